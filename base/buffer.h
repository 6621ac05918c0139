/* Fetch buffers: where a source puts the bytes of records, and what row batches on the same shard point into.
 * Owned by one shard; the reference count is plain because buffers never cross to another one.
 * Two sizes per pool: standard, and a few large ones for a record that does not fit a standard buffer. */
#ifndef TG_BASE_BUFFER_H
#define TG_BASE_BUFFER_H

#include "base/arena.h"
#include "base/limits.h"

struct tg_buffer {
    uint8_t *data;    /* [capacity + TG_BUFFER_PADDING]: record bytes, always 64 readable bytes behind them */
    uint8_t *scratch; /* [capacity]: unescaped texts of the same records; untouched (uncommitted) when there are none */
    uint32_t capacity;
    uint32_t used;
    uint32_t scratch_used;
    uint32_t refs; /* 1 after acquire */
    struct tg_buffer_pool *pool;
    struct tg_buffer *next_free;
};

struct tg_buffer_pool {
    struct tg_buffer *free_standard;
    struct tg_buffer *free_large;
    uint32_t standard_bytes;
    uint32_t in_use;
    uint64_t refused; /* how often there was none: the input waited for us, not we for it */
};

struct tg_buffer_pool_config {
    uint32_t standard_count;
    uint32_t standard_bytes; /* e.g. 512 KiB */
    uint32_t large_count;    /* each TG_RECORD_BYTES_MAX */
};

/* Address space needed from the arena.  @setup */
size_t tg_buffer_pool_bytes(const struct tg_buffer_pool_config *config);
/* Lay out the pool in the arena. Errors: TG1601 when the arena is too small.  @setup */
TG_MUST_USE tg_status tg_buffer_pool_init(struct tg_buffer_pool *pool, const struct tg_buffer_pool_config *config,
                                          struct tg_arena *arena, struct tg_error *err);

/* A buffer with at least `bytes` (up to TG_RECORD_BYTES_MAX) of room, refs 1; NULL = none free: back-pressure, try
 * again next cycle.  @shard */
TG_MUST_USE struct tg_buffer *tg_buffer_acquire(struct tg_buffer_pool *pool, uint32_t bytes);
/* One more holder.  @shard */
void tg_buffer_retain(struct tg_buffer *buffer);
/* One holder less; the last one gives it back to its pool.  @shard */
void tg_buffer_release(struct tg_buffer *buffer);

#endif
