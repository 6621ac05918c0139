/* Lists of entries, 8 bytes each: "look at this slot then". Inside state/ only; what entries mean to wheels is said
 * in wheel_set.h.
 *
 * A list is a stack of chunks from a pool. It is one word: in its low half the position in the pool where the next
 * entry goes, in its high half the end of that chunk; 0 = an empty list. The first chunk of a list is small, so that
 * the hundreds of lists of a wheel with few timers take little; the second and all others are larger, because a chunk
 * is a far address (a page walk) and each one is read in a row: with 256 bytes throughout, expiry took a quarter
 * longer. The sizes are odd numbers of lines: lists fill side by side, and where chunks are powers of two the lines in
 * work fall into few sets of the cache.
 *
 * The first word of a chunk holds the end of the one below, which is full. */
#ifndef TG_STATE_WHEEL_LISTS_H
#define TG_STATE_WHEEL_LISTS_H

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

enum {
    TG_WHEEL_SIZES = 3,
    TG_WHEEL_SMALL_WORDS = 5 * 8, /* of a chunk, one of which is the link */
    TG_WHEEL_MEDIUM_WORDS = 17 * 8,
    TG_WHEEL_LARGE_WORDS = 65 * 8,
};

/* Chunks of one size, by the position of their first word. */
struct tg_wheel_chunks {
    uint32_t free;  /* first one given back; each holds the next; 0 = none */
    uint32_t carve; /* first one never handed out */
    uint32_t end;   /* behind the last one */
};

struct tg_wheel_pool {
    uint64_t *words;                              /* the first LARGE_WORDS are not used: 0 is no position */
    struct tg_wheel_chunks sizes[TG_WHEEL_SIZES]; /* one behind the other */
};

/* Number of the slot below, when to look above. */
static inline uint64_t tg_wheel_entry(uint32_t slot, uint32_t look) { return (uint64_t)look << 32 | slot; }
static inline uint32_t tg_wheel_entry_slot(uint64_t entry) { return (uint32_t)entry; }
static inline uint32_t tg_wheel_entry_look(uint64_t entry) { return (uint32_t)(entry >> 32); }

static inline uint32_t tg_wheel_list_next(uint64_t list) { return (uint32_t)list; }
static inline uint32_t tg_wheel_list_end(uint64_t list) { return (uint32_t)(list >> 32); }

/* The size of the chunk that ends there. */
static inline uint32_t tg_wheel_size_of(const struct tg_wheel_pool *pool, uint32_t end)
{
    return (uint32_t)(end > pool->sizes[0].end) + (uint32_t)(end > pool->sizes[1].end);
}
static inline uint32_t tg_wheel_size_words(uint32_t size)
{
    static const uint32_t words[TG_WHEEL_SIZES] = {TG_WHEEL_SMALL_WORDS, TG_WHEEL_MEDIUM_WORDS, TG_WHEEL_LARGE_WORDS};
    return words[size];
}
/* Where the last chunk of a list begins. */
static inline uint32_t tg_wheel_chunk_of(const struct tg_wheel_pool *pool, uint64_t list)
{
    const uint32_t end = tg_wheel_list_end(list);
    return end - tg_wheel_size_words(tg_wheel_size_of(pool, end));
}

/* Add a chunk to a list that is empty or full; returns what the list is then.  @shard */
uint64_t tg_wheel_chunk_add(struct tg_wheel_pool *pool, uint64_t list);

/* Bring the next line of a list close that grows: a store to a far line would hold up all stores behind it. */
static inline void tg_wheel_line_prefetch(const uint64_t *words, uint64_t list)
{
    __builtin_prefetch(&words[tg_wheel_list_next(list) + 8], 1);
}

static inline __attribute__((always_inline)) void tg_wheel_list_push(struct tg_wheel_pool *pool, uint64_t *list,
                                                                     uint64_t entry)
{
    uint64_t grown = *list;
    if (TG_UNLIKELY(tg_wheel_list_next(grown) == tg_wheel_list_end(grown))) { grown = tg_wheel_chunk_add(pool, grown); }
    tg_wheel_line_prefetch(pool->words, grown);
    pool->words[tg_wheel_list_next(grown)] = entry;
    *list = grown + 1;
}

/* The last chunk of a list: returns its first entry, with how many there are. */
static inline const uint64_t *tg_wheel_chunk_entries(const struct tg_wheel_pool *pool, uint64_t list, uint32_t *count)
{
    const uint32_t chunk = tg_wheel_chunk_of(pool, list);
    *count = tg_wheel_list_next(list) - 1 - chunk;
    return &pool->words[chunk + 1];
}
/* What the list was before its last chunk was added. */
static inline uint64_t tg_wheel_chunk_below(const struct tg_wheel_pool *pool, uint64_t list)
{
    const uint64_t end = pool->words[tg_wheel_chunk_of(pool, list)];
    return end << 32 | end;
}
/* Take `count` entries, which have been read, off the last chunk of a list that has as many; returns what it is then.
 */
static inline uint64_t tg_wheel_list_drop(struct tg_wheel_pool *pool, uint64_t list, uint32_t count)
{
    const uint32_t chunk = tg_wheel_chunk_of(pool, list);
    if (tg_wheel_list_next(list) - 1 - chunk != count) { return list - count; }
    struct tg_wheel_chunks *chunks = &pool->sizes[tg_wheel_size_of(pool, tg_wheel_list_end(list))];
    const uint64_t below = tg_wheel_chunk_below(pool, list);
    pool->words[chunk] = chunks->free;
    chunks->free = chunk;
    return below;
}
/* The last entry of a list that is not empty, which is taken off. */
static inline uint64_t tg_wheel_list_pop(struct tg_wheel_pool *pool, uint64_t *list)
{
    const uint64_t entry = pool->words[tg_wheel_list_next(*list) - 1];
    *list = tg_wheel_list_drop(pool, *list, 1);
    return entry;
}

/* Bring all lines of the last chunk of a list close; harmless when there is none. */
static inline void tg_wheel_list_prefetch(const struct tg_wheel_pool *pool, uint64_t list)
{
    const uint64_t *word = &pool->words[list != 0 ? tg_wheel_chunk_of(pool, list) : 0];
    const uint64_t *end = &pool->words[tg_wheel_list_next(list)];
    for (; word < end; word += 8) { __builtin_prefetch(word, 0, 2); }
}

#endif
