/* One state file of a checkpoint: header, blocks of records, footer (docs/formats/checkpoint.md has every byte). Memory
 * only: the writer fills blocks that somebody else appends to a file, the reader asks somebody else for bytes. Nothing
 * read is trusted: every count, length and checksum is looked at before it is used, and an error says what is wrong at
 * which byte of which file. */
#ifndef TG_STATE_FORMAT_H
#define TG_STATE_FORMAT_H

#include "base/limits.h"
#include "state/layout.h"

enum {
    TG_STATE_FORMAT = 1,
    TG_STATE_HEADER_BYTES_MAX = 1 << 20,
    TG_STATE_TABLES_MAX = TG_STEPS_MAX + TG_SOURCES_MAX,
    TG_STATE_HEADER_FIXED_BYTES = 68, /* before the job's name */
    TG_STATE_FOOTER_BYTES = 48,
    TG_BLOCK_HEADER_BYTES = 32,
    TG_BLOCK_BYTES_MAX = 1 << 20,         /* block header included */
    TG_BLOCK_RECORD_BYTES_MAX = 64 << 20, /* a record that does not fit has a block of its own, up to here in all */
    TG_RECORD_PUT_BYTES = 8,              /* in front of key and value */
    TG_RECORD_DELETE_BYTES = 4,           /* in front of the key */
    TG_STATE_KEY_BYTES_MAX = TG_KEY_BYTES_MAX + 9, /* an identity is a key behind its partition */
};
static_assert(TG_BLOCK_BYTES_MAX >= TG_BLOCK_HEADER_BYTES + TG_RECORD_PUT_BYTES + TG_STATE_KEY_BYTES_MAX + 65536,
              "every value without containers fits an ordinary block");

enum tg_state_file_kind { TG_STATE_BASE = 1, TG_STATE_DELTA = 2 };

struct tg_run_id {
    uint8_t bytes[16]; /* random at the job's birth (--fresh), the same in every file until the next one */
};

struct tg_state_header {
    const char *job;
    struct tg_run_id run_id;
    uint64_t graph_hash;
    uint64_t epoch;    /* from 1 */
    uint64_t previous; /* epoch of the file this delta builds on; 0 in a base */
    enum tg_state_file_kind kind;
    uint32_t shard;
    uint32_t shard_count;
    uint32_t group_first; /* key groups of the shard, both ends included */
    uint32_t group_last;
    uint32_t table_count;
    const struct tg_state_layout *tables; /* [table_count]; a block's table is an index into them */
    uint32_t tag; /* the header's checksum, repeated in every block and the footer: encode and decode fill it */
};

/* What a file's blocks add up to; the writer of a file keeps one and hands it to the footer. */
struct tg_state_totals {
    uint32_t blocks;
    uint32_t blocks_crc; /* CRC-32C over the blocks' checksums in order */
    uint64_t puts;
    uint64_t deletes;
    uint64_t bytes;      /* of header and blocks so far */
    uint32_t footer_crc; /* once the footer is written or read */
};

/* Write the header into the empty `out` (of TG_STATE_HEADER_BYTES_MAX), set header->tag and start *totals. Errors:
 * TG1519 when a layout is illegal or all do not fit.  @any */
TG_MUST_USE tg_status tg_state_header_encode(struct tg_state_header *header, struct tg_bytes_out *out,
                                             struct tg_state_totals *totals, struct tg_error *err);
/* Read and check one from `in`, which holds the first bytes of a file called `name`; texts and layouts go into `arena`.
 * in->at is then the header's end. Errors: TG1512 damaged, TG1513 newer format, TG1601.  @any */
TG_MUST_USE tg_status tg_state_header_decode(struct tg_bytes_in *in, const char *name, struct tg_arena *arena,
                                             struct tg_state_header *out, struct tg_error *err);
/* The group range of `shard`: key.h's rule turned round.  @any */
void tg_state_group_range(uint32_t shard, uint32_t shard_count, uint32_t *first, uint32_t *last);

/* The last TG_STATE_FOOTER_BYTES of a file. The manifest keeps totals->footer_crc, and bytes + TG_STATE_FOOTER_BYTES as
 * the file's length.  @any */
void tg_state_footer_encode(const struct tg_state_header *header, struct tg_state_totals *totals,
                            uint8_t out[TG_STATE_FOOTER_BYTES]);
/* Read and check the footer of a file of `file_bytes` (at least a footer's) whose header has `tag`; totals->footer_crc
 * is its checksum. Errors: TG1512.  @any */
TG_MUST_USE tg_status tg_state_footer_decode(const uint8_t data[TG_STATE_FOOTER_BYTES], const char *name,
                                             uint64_t file_bytes, uint32_t tag, struct tg_state_totals *totals,
                                             struct tg_error *err);

/* Damage at byte `at` of the file `name`: the one form of such errors; TG1601 when `what` is tg_bytes_no_room.  @any */
TG_COLD tg_status tg_state_damaged(const char *name, uint64_t at, const char *what, struct tg_error *err);

/* ---- writing blocks ---------------------------------------------------------------------------------------------- */

/* A block in the making. Memory is the caller's: TG_BLOCK_BYTES_MAX of it, or what tg_block_bytes asks for. */
struct tg_block {
    uint8_t *data;
    uint32_t capacity;
    uint32_t used; /* header included */
    uint32_t table;
    uint32_t entries;
    uint32_t puts;
};

/* Bytes of a block that holds nothing but this record; more than TG_BLOCK_BYTES_MAX = it needs a block of its own, with
 * memory of that size; 0 = more than TG_BLOCK_RECORD_BYTES_MAX, no block can hold it.  @any */
uint32_t tg_block_bytes(uint32_t key_bytes, uint64_t value_bytes);
/* Start an empty block of records of table `table`.  @shard */
void tg_block_begin(struct tg_block *block, uint8_t *memory, uint32_t capacity, uint32_t table);
/* Append a PUT: copies the key and returns where exactly `value_bytes` bytes of value are to be written now; NULL when
 * the block is full (end it and begin another; never when it is empty and tg_block_bytes fits its capacity). A block
 * with more than TG_BLOCK_BYTES_MAX of capacity takes one record.  @shard */
TG_HOT TG_MUST_USE uint8_t *tg_block_put(struct tg_block *block, struct tg_key key, uint32_t value_bytes);
/* Append a DEL; false when the block is full.  @shard */
TG_HOT TG_MUST_USE bool tg_block_delete(struct tg_block *block, struct tg_key key);
/* Seal the block as the next one of the file: header, checksum, totals. Returns the bytes to append, 0 when it is
 * empty and nothing is to be written.  @shard */
uint32_t tg_block_end(struct tg_block *block, const struct tg_state_header *header, struct tg_state_totals *totals);

/* ---- reading ----------------------------------------------------------------------------------------------------- */

enum tg_state_op { TG_STATE_PUT = 1, TG_STATE_DEL = 2 };

struct tg_state_record {
    enum tg_state_op op;
    uint32_t table;
    struct tg_key key;    /* key and value are lent until a record of another block is read */
    const uint8_t *value; /* NULL for DEL */
    uint32_t value_bytes;
    uint64_t at; /* byte of the file where the record starts */
};

/* Where a reader's bytes come from. `read` fills data[bytes] from byte `at` or fails; never short. */
struct tg_state_input {
    tg_status (*read)(void *self, uint64_t at, void *data, size_t bytes, struct tg_error *err);
    void *self;
    uint64_t bytes;   /* of the file */
    const char *name; /* of the file, for errors */
};

struct tg_state_reader {
    struct tg_state_input input;
    struct tg_state_header header;
    struct tg_state_totals wanted; /* the footer's */
    struct tg_state_totals seen;
    struct tg_arena arena;
    uint8_t *block;       /* [TG_BLOCK_RECORD_BYTES_MAX], touched as far as blocks are long */
    uint64_t block_at;    /* in the file */
    uint32_t block_bytes; /* 0 = none read yet */
    uint32_t record_at;   /* in the block */
    uint32_t entries_left;
    uint32_t table;
};

/* Read and check header and footer. Errors: TG1512 damaged, TG1513 newer format, TG1601, and the input's.  @setup */
TG_MUST_USE tg_status tg_state_reader_open(struct tg_state_reader *reader, const struct tg_state_input *input,
                                           struct tg_error *err);
/* The next record: 1 = *record is set; 0 = the end, and everything added up to what the footer says; negative
 * tg_status: TG1512 or the input's error. Each block's checksum is verified before its first record is given; whether
 * a value is what the layout says is tg_state_value_check's.  @setup */
TG_MUST_USE int tg_state_reader_next(struct tg_state_reader *reader, struct tg_state_record *record,
                                     struct tg_error *err);
/* Was that the last record of its block? What was lent of the block is gone with the next one.  @setup */
static inline bool tg_state_reader_block_ends(const struct tg_state_reader *reader)
{
    return reader->entries_left == 0;
}
/* Also legal after a failed open.  @setup */
void tg_state_reader_close(struct tg_state_reader *reader);

#endif
