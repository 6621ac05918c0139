/* Decoding: record bytes to rows. A decoder is compiled once from the field list of a source; decoding a record
 * validates the whole document (RFC 8259, depth TG_JSON_DEPTH_MAX) and fills the columns of one row, or names the
 * reason and field of its refusal. Event time, lateness and deduplication are the engine's. */
#ifndef TG_IO_DECODE_H
#define TG_IO_DECODE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/schema.h"
#include "base/timestamp.h"
#include "io/source.h"

/* Why a record is a dead letter, in the order they are looked for; names as users see them. */
#define TG_REASONS(X) \
    X(bad_json) X(bad_utf8) X(not_object) X(missing_field) X(wrong_type) X(empty_key) X(unknown_enum) X(bad_timestamp) \
    X(out_of_range) X(scale) X(too_long) X(future) X(state_full) X(operator_refused)
#define TG_REASON_ENUM(name) TG_REASON_##name,
enum tg_reason { TG_REASON_none, TG_REASONS(TG_REASON_ENUM) TG_REASON_COUNT };
#undef TG_REASON_ENUM
/* "bad_json"; "" for none.  @any */
const char *tg_reason_name(enum tg_reason reason);

enum tg_epoch { TG_EPOCH_NONE, TG_EPOCH_S, TG_EPOCH_MS, TG_EPOCH_US };

/* One field of a source; column i of the schema is field i. */
struct tg_field_spec {
    const char *const *names; /* [name_count] top-level member names, the first one present wins; "a.b": b inside a */
    uint32_t name_count;
    bool required;
    bool integer_ok;   /* text: an integer lexeme gives its canonical text */
    bool excess_round; /* numeric: digits beyond the scale are rounded HALF_EVEN instead of refused */
    enum tg_epoch epoch; /* timestamp: a JSON integer is an epoch in this unit */
};

struct tg_decoder;

struct tg_decoder_config {
    const struct tg_schema *schema;     /* borrowed for the decoder's life */
    const struct tg_field_spec *fields; /* [schema->column_count], borrowed likewise */
    const struct tg_zone *zone;         /* for stamps without one; NULL = UTC */
};

/* Result of one record. */
struct tg_decoded {
    enum tg_reason reason; /* none: the row is filled */
    int32_t field;         /* column the reason is about, -1 = the document */
};

/* One decoder per (source, shard): it has scratch memory of its own. Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_decoder_create(struct tg_decoder **decoder, const struct tg_decoder_config *config,
                                        struct tg_error *err);
void tg_decoder_destroy(struct tg_decoder *decoder);

/* Decode the slices of a raw batch.
 *   rows     out [raw->count x schema->row_bytes]  columns and null bitmap of the accepted ones are filled; the head
 *                                              is not touched. Texts point into raw->buffer (data, or scratch when
 *                                              unescaped: it has room as long as no slice is decoded twice).
 *   results  out [raw->count]
 * The bytes behind each slice are readable for TG_BUFFER_PADDING (the buffer's promise). Returns the number of stamps
 * that fell into a gap or overlap of `zone`.  @shard */
TG_HOT uint64_t tg_decode_json(struct tg_decoder *decoder, const struct tg_raw_batch *raw, uint8_t *rows,
                               struct tg_decoded *results);

#endif
