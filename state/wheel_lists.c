/* How a list grows: chunks from the pool. */
#include "state/wheel_lists.h"

/* A chunk of `words` words. The first lines of the one that will be wanted next are brought close meanwhile. */
static uint32_t chunk_take(struct tg_wheel_pool *pool, struct tg_wheel_chunks *chunks, uint32_t words)
{
    uint32_t chunk = chunks->free;
    if (chunk != 0) {
        chunks->free = (uint32_t)pool->words[chunk];
    } else {
        chunk = chunks->carve;
        TG_ASSERT(chunk < chunks->end); /* see the bound in wheel_sweep.c */
        chunks->carve += words;
    }
    const uint64_t *next = &pool->words[chunks->free != 0 ? chunks->free : chunks->carve];
    __builtin_prefetch(next, 1);
    __builtin_prefetch(next + 8, 1);
    return chunk;
}

uint64_t tg_wheel_chunk_add(struct tg_wheel_pool *pool, uint64_t list)
{
    uint32_t size = 0;
    if (list != 0) {
        size = tg_wheel_size_of(pool, tg_wheel_list_end(list));
        if (size + 1 < TG_WHEEL_SIZES) { size++; }
    }
    const uint32_t chunk = chunk_take(pool, &pool->sizes[size], tg_wheel_size_words(size));
    pool->words[chunk] = tg_wheel_list_end(list);
    return (uint64_t)(chunk + tg_wheel_size_words(size)) << 32 | (chunk + 1);
}
