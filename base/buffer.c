/* Fetch buffers: laid out once, then only moved between the free lists and their holders. */
#include "base/buffer.h"

#include "base/assert.h"

static size_t buffer_bytes(uint32_t capacity)
{
    return sizeof(struct tg_buffer) + 64 + 2 * (size_t)capacity + TG_BUFFER_PADDING + 4096;
}

size_t tg_buffer_pool_bytes(const struct tg_buffer_pool_config *config)
{
    return config->standard_count * buffer_bytes(config->standard_bytes) +
           config->large_count * buffer_bytes(TG_RECORD_BYTES_MAX);
}

static struct tg_buffer *buffer_create(struct tg_buffer_pool *pool, uint32_t capacity, struct tg_arena *arena)
{
    struct tg_buffer *buffer = tg_arena_alloc(arena, sizeof *buffer, 64);
    uint8_t *data = tg_arena_alloc(arena, (size_t)capacity + TG_BUFFER_PADDING, 64);
    uint8_t *scratch = tg_arena_alloc(arena, capacity, 64);
    if (buffer == NULL || data == NULL || scratch == NULL) { return NULL; }
    *buffer = (struct tg_buffer){.data = data, .scratch = scratch, .capacity = capacity, .pool = pool};
    return buffer;
}

static tg_status list_create(struct tg_buffer_pool *pool, struct tg_buffer **list, uint32_t count, uint32_t capacity,
                             struct tg_arena *arena, struct tg_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        struct tg_buffer *buffer = buffer_create(pool, capacity, arena);
        if (buffer == NULL) { return tg_fail(err, TG1601, 0, "no address space for %u fetch buffers", count); }
        buffer->next_free = *list;
        *list = buffer;
    }
    return TG_OK;
}

tg_status tg_buffer_pool_init(struct tg_buffer_pool *pool, const struct tg_buffer_pool_config *config,
                              struct tg_arena *arena, struct tg_error *err)
{
    *pool = (struct tg_buffer_pool){.standard_bytes = config->standard_bytes};
    tg_status status =
        list_create(pool, &pool->free_standard, config->standard_count, config->standard_bytes, arena, err);
    if (status == TG_OK) {
        status = list_create(pool, &pool->free_large, config->large_count, TG_RECORD_BYTES_MAX, arena, err);
    }
    return status;
}

struct tg_buffer *tg_buffer_acquire(struct tg_buffer_pool *pool, uint32_t bytes)
{
    TG_ASSERT(bytes <= TG_RECORD_BYTES_MAX);
    struct tg_buffer **list = bytes <= pool->standard_bytes ? &pool->free_standard : &pool->free_large;
    struct tg_buffer *buffer = *list;
    if (buffer == NULL) {
        pool->refused++;
        return NULL;
    }
    *list = buffer->next_free;
    buffer->next_free = NULL;
    buffer->used = 0;
    buffer->scratch_used = 0;
    buffer->refs = 1;
    pool->in_use++;
    return buffer;
}

void tg_buffer_retain(struct tg_buffer *buffer)
{
    TG_DCHECK(buffer->refs > 0);
    buffer->refs++;
}

void tg_buffer_release(struct tg_buffer *buffer)
{
    TG_ASSERT(buffer->refs > 0);
    if (--buffer->refs != 0) { return; }
    struct tg_buffer_pool *pool = buffer->pool;
    struct tg_buffer **list = buffer->capacity <= pool->standard_bytes ? &pool->free_standard : &pool->free_large;
    buffer->next_free = *list;
    *list = buffer;
    pool->in_use--;
}
