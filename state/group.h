/* A group of the table's index: eight entries {tag, slot number + 1} in one cache line, whose tags are compared at
 * once. It knows neither slots nor keys. */
#ifndef TG_STATE_GROUP_H
#define TG_STATE_GROUP_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { TG_GROUP_WAYS = 8, TG_GROUP_BITS = 6 /* of its size in bytes */ };

struct tg_group {
    uint32_t tags[TG_GROUP_WAYS];    /* 0 = free; entries fill a group from its start */
    uint32_t numbers[TG_GROUP_WAYS]; /* of the slot, + 1 */
};
static_assert(sizeof(struct tg_group) == 1 << TG_GROUP_BITS, "a group is a cache line");

static inline bool tg_group_is_full(const struct tg_group *group) { return group->tags[TG_GROUP_WAYS - 1] != 0; }

/* Which entries have this tag, two bits for each. Tag 0 finds the free ones. */
static inline uint32_t tg_group_match(const struct tg_group *group, uint32_t tag)
{
#ifdef __SSE2__
    const __m128i *tags = (const __m128i *)(const void *)group->tags;
    const __m128i wanted = _mm_set1_epi32((int)tag);
    const __m128i low = _mm_cmpeq_epi32(_mm_load_si128(tags), wanted);
    const __m128i high = _mm_cmpeq_epi32(_mm_load_si128(tags + 1), wanted);
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi32(low, high));
#else
    uint32_t match = 0;
    for (uint32_t way = 0; way < TG_GROUP_WAYS; way++) { match |= (group->tags[way] == tag ? 3u : 0) << (2 * way); }
    return match;
#endif
}

/* The first entry of a match that is not 0, its number, and the match without it. */
static inline uint32_t tg_match_way(uint32_t match) { return (uint32_t)__builtin_ctz(match) / 2; }
static inline uint32_t tg_group_number(const struct tg_group *group, uint32_t match)
{
    uint32_t number; /* two bits a way, four bytes a number: no need to halve and multiply again */
    memcpy(&number, (const uint8_t *)group->numbers + 2 * (size_t)__builtin_ctz(match), sizeof number);
    return number;
}
static inline uint32_t tg_match_rest(uint32_t match) { return match & ~(3u << __builtin_ctz(match)); }

#endif
