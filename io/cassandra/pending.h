/* Rows on their way to Cassandra: for each row key the newest revision that waits, and the one in flight. Coalescing
 * happens here; so does the bound on memory. Images (statement.h) are kept in chains of small fixed blocks, so that
 * rows of 60 bytes and of 64 KiB share one pool.
 *
 * An entry is in exactly one place: waiting in the queue, in flight, or delayed for a retry. While its image is in
 * flight (or delayed) newer revisions replace each other in `waiting`; once the image is acknowledged they queue again.
 */
#ifndef TG_IO_CASSANDRA_PENDING_H
#define TG_IO_CASSANDRA_PENDING_H

#include "base/arena.h"
#include "base/attributes.h"

#define TG_CQL_NO_ENTRY UINT32_MAX
#define TG_CQL_NO_BLOCK UINT32_MAX

struct tg_cql_image {
    uint32_t block; /* first one; TG_CQL_NO_BLOCK = there is no image */
    uint32_t bytes;
    uint64_t rows;       /* taken rows this image stands for */
    int64_t version;     /* write timestamp */
    uint64_t arrived_ns; /* of the oldest of them */
    uint64_t due_ns;     /* when it may be written: flush_every after the first one was taken */
    uint64_t round;      /* flush round in which the oldest was taken */
};

enum tg_cql_place { TG_CQL_FREE, TG_CQL_QUEUED, TG_CQL_FLYING, TG_CQL_DELAYED };

struct tg_cql_entry {
    uint64_t hash;
    struct tg_cql_image waiting;
    struct tg_cql_image flying; /* in flight or delayed */
    uint64_t retry_ns;
    uint32_t key_bytes; /* leading bytes of either image */
    uint32_t next;      /* in queue, delayed or free list */
    uint16_t attempts;  /* that failed for the image in `flying` */
    uint16_t refusals;  /* of them, answered with an error that may be final */
    uint16_t avoid;     /* connection of the last failure; UINT16_MAX = none */
    enum tg_cql_place place;
};

struct tg_cql_list {
    uint32_t first;
    uint32_t last;
    uint32_t count;
};

struct tg_cql_pending {
    struct tg_cql_entry *entries; /* [entry_count] */
    uint32_t *slots;              /* [slot_mask + 1] entry of each hash slot; linear probing */
    uint8_t *blocks;              /* [block_count x block_bytes] */
    uint32_t *block_next;         /* [block_count] */
    uint32_t entry_count;
    uint32_t slot_mask;
    uint32_t block_count;
    uint32_t block_bytes;
    uint32_t free_block;
    uint32_t free_blocks;
    struct tg_cql_list free;
    struct tg_cql_list queue;   /* oldest first */
    struct tg_cql_list delayed; /* in order of failure */
    uint64_t round;             /* grows with each flush */
    uint64_t before_flush;      /* images of earlier rounds that are not acknowledged */
    uint64_t images;            /* waiting, flying and delayed */
};

struct tg_cql_pending_config {
    uint32_t entry_count;
    uint32_t block_bytes;
    uint32_t block_count; /* raised so that two of the largest images fit */
    uint32_t image_bytes_max;
};

/* Address space needed.  @setup */
size_t tg_cql_pending_bytes(const struct tg_cql_pending_config *config);
/* Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_cql_pending_init(struct tg_cql_pending *pending, const struct tg_cql_pending_config *config,
                                          struct tg_arena *arena, struct tg_error *err);

/* Take one row: image[bytes], whose first key_bytes identify it; `from` brings version, arrived_ns, due_ns. A row whose
 * key waits with a higher version is taken without effect. False: no entry or no blocks are free; nothing changed.
 * @shard */
TG_HOT TG_MUST_USE bool tg_cql_pending_put(struct tg_cql_pending *pending, const uint8_t *image, uint32_t bytes,
                                           uint32_t key_bytes, const struct tg_cql_image *from);

/* Entry that should be written next: the oldest delayed one whose time has come, else the oldest queued one that is due
 * (all are while a flush is under way or `hurry`). TG_CQL_NO_ENTRY = none.  @shard */
uint32_t tg_cql_pending_next(const struct tg_cql_pending *pending, uint64_t now_ns, bool hurry);
/* That entry has been sent: its image is now the one in flight.  @shard */
void tg_cql_pending_sent(struct tg_cql_pending *pending, uint32_t entry);
/* Copy the image that tg_cql_pending_next would have sent for `entry` into out[image.bytes].  @shard */
const struct tg_cql_image *tg_cql_pending_image(const struct tg_cql_pending *pending, uint32_t entry);
void tg_cql_pending_copy(const struct tg_cql_pending *pending, const struct tg_cql_image *image, uint8_t *out);
/* The image in flight is acknowledged; the freed image is copied to *done (its blocks are gone).  @shard */
void tg_cql_pending_done(struct tg_cql_pending *pending, uint32_t entry, struct tg_cql_image *done);
/* The image in flight has to be sent again, not before retry_ns.  @shard */
void tg_cql_pending_delay(struct tg_cql_pending *pending, uint32_t entry, uint64_t retry_ns);
/* Everything taken so far is to be written out.  @shard */
void tg_cql_pending_flush(struct tg_cql_pending *pending);
/* True when nothing taken before the last flush is left.  @shard */
bool tg_cql_pending_flushed(const struct tg_cql_pending *pending);
/* Assert every invariant (tests).  @shard */
void tg_cql_pending_check(const struct tg_cql_pending *pending);

#endif
