/* The buffer a source is filling. Consecutive raw batches, also of different partitions, lie one after the other in it:
 * a trickle of short batches then pins a few buffers and not one each. Every batch holds a reference of its own; the
 * filler's own one ends when the buffer is full. */
#ifndef TG_IO_FILL_H
#define TG_IO_FILL_H

#include <string.h>

#include "base/assert.h"
#include "base/buffer.h"

struct tg_fill {
    struct tg_buffer_pool *pool;
    struct tg_buffer *buffer; /* NULL = none at the moment */
};

static inline uint32_t tg_fill_room(const struct tg_fill *fill)
{
    return fill->buffer == NULL ? 0 : fill->buffer->capacity - fill->buffer->used;
}

/* Make sure that a record of `bytes` fits, changing the buffer if need be. False = no buffer is free. The old buffer is
 * let go first: it may be the only large one, and then it can come back only when nobody holds it, us included.
 * @shard */
static inline bool tg_fill_begin(struct tg_fill *fill, uint32_t bytes)
{
    if (fill->buffer != NULL && tg_fill_room(fill) >= bytes) { return true; }
    if (fill->buffer != NULL) { tg_buffer_release(fill->buffer); }
    fill->buffer = tg_buffer_acquire(fill->pool, bytes);
    return fill->buffer != NULL;
}

/* Append a copy of a record; there must be room.  @shard */
static inline const uint8_t *tg_fill_append(struct tg_fill *fill, const void *data, uint32_t bytes)
{
    TG_DCHECK(tg_fill_room(fill) >= bytes);
    uint8_t *at = fill->buffer->data + fill->buffer->used;
    memcpy(at, data, bytes);
    fill->buffer->used += bytes;
    return at;
}

/* One reference for a batch whose records were just appended.  @shard */
static inline struct tg_buffer *tg_fill_lend(struct tg_fill *fill)
{
    tg_buffer_retain(fill->buffer);
    return fill->buffer;
}

/* End our own reference.  @shard */
static inline void tg_fill_close(struct tg_fill *fill)
{
    if (fill->buffer != NULL) {
        tg_buffer_release(fill->buffer);
        fill->buffer = NULL;
    }
}

#endif
