/* Row batch: up to 1,024 rows of one schema, plus the watermarks that hold after its last row. It is what travels on
 * rings. A batch belongs to the pool of the (edge, sending shard) that made it and goes home by a reverse ring.
 * Text of rows: inside `blob`, or inside a pinned fetch buffer when the batch stays on the shard that fetched it. */
#ifndef TG_BASE_BATCH_H
#define TG_BASE_BATCH_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/schema.h"

struct tg_wm {
    uint32_t partition; /* job-wide index */
    uint32_t reserved;
    int64_t wm; /* TG_TS_MAX: that partition has ended */
};

enum {
    TG_BATCH_END = 1,     /* nothing follows on this channel, ever */
    TG_BATCH_BARRIER = 2, /* what follows on this channel belongs to the next epoch */
};

struct tg_batch {
    const struct tg_schema *schema;
    uint8_t *rows;     /* [capacity x schema->row_bytes] */
    uint8_t *blob;     /* [blob_capacity] */
    struct tg_wm *wms; /* [wm_capacity]; hold after the last row */
    uint32_t capacity;
    uint32_t count;
    uint32_t wm_capacity;
    uint32_t wm_count;
    uint32_t blob_capacity;
    uint32_t blob_used;
    uint32_t flags; /* TG_BATCH_* */
    uint32_t pin_count;
    uint64_t arrived_ns; /* monotonic: when the oldest record behind these rows was read; 0 = no rows yet */
    struct tg_buffer *pins[TG_BATCH_PINS_MAX];
};

struct tg_batch_config {
    const struct tg_schema *schema;
    uint32_t capacity;    /* rows, 1 to TG_BATCH_ROWS_MAX */
    uint32_t wm_capacity; /* partitions whose watermark can travel */
    bool has_blob;        /* false: local edge, texts stay in pinned buffers */
};

/* Address space one batch needs.  @setup */
size_t tg_batch_bytes(const struct tg_batch_config *config);
/* Lay one batch out in the arena. NULL when the arena is spent.  @setup */
TG_MUST_USE struct tg_batch *tg_batch_create(const struct tg_batch_config *config, struct tg_arena *arena);

/* Empty it for reuse; releases its pins.  @shard */
void tg_batch_reset(struct tg_batch *batch);

static inline struct tg_row *tg_batch_row(const struct tg_batch *batch, uint32_t index)
{
    return (struct tg_row *)(void *)(batch->rows + (size_t)index * batch->schema->row_bytes);
}

/* The place of the next row, for the caller to fill: head, columns and null bits. It counts once it is committed; until
 * then it may be claimed again. NULL when all rows are taken.  @shard */
static inline struct tg_row *tg_batch_claim(const struct tg_batch *batch)
{
    return TG_LIKELY(batch->count < batch->capacity) ? tg_batch_row(batch, batch->count) : NULL;
}
/* Count the claimed row in: its texts, wherever they are, are copied into the blob. False when the blob has no room for
 * them: the row does not count, but can be read as long as the batch is not reset; move it to another one. A row whose
 * texts exceed an empty blob cannot exist: there are TG_BATCH_BLOB_BYTES of it per text column.  @shard */
TG_HOT TG_MUST_USE bool tg_batch_commit(struct tg_batch *batch);

/* Append a copy of `row` (of batch->schema, head included) with its texts copied into the blob. Returns the new row,
 * or NULL when rows or blob are full.  @shard */
TG_HOT struct tg_row *tg_batch_append_copy(struct tg_batch *batch, const struct tg_row *row);

/* Append a copy of `row` whose texts keep pointing into `buffer`, which is pinned once per batch. NULL when rows or
 * pins are full.  @shard */
TG_HOT struct tg_row *tg_batch_append_pinned(struct tg_batch *batch, const struct tg_row *row,
                                             struct tg_buffer *buffer);

#endif
