/* The rarer ways of making an entry: when a list needs a chunk, when it begins, and when it is not in the ring. */
#include "state/wheel_lists.h"

/* The chunk that will be wanted next is brought close meanwhile: a store to a far line would hold up all stores behind
 * it. */
uint32_t tg_wheel_add_chunk(struct tg_wheel_set *set, uint32_t list)
{
    uint32_t chunk = set->chunk_carved;
    if (set->chunk_free != 0) {
        chunk = set->chunk_free - 1;
        set->chunk_free = (uint32_t)set->pool[chunk << TG_WHEEL_CHUNK_BITS];
    } else {
        TG_ASSERT(chunk < set->chunk_count); /* see the bound in wheel_sweep.c */
        set->chunk_carved++;
    }
    tg_wheel_prefetch_chunk(set, set->chunk_free != 0 ? set->chunk_free - 1 : set->chunk_carved);
    const uint64_t below = list != 0 ? (uint32_t)set->pool[(list - 1) & ~(TG_WHEEL_CHUNK_WORDS - 1u)] : 0;
    set->pool[chunk << TG_WHEEL_CHUNK_BITS] = below << 32 | list;
    return (chunk << TG_WHEEL_CHUNK_BITS) + 1;
}

void tg_wheel_list_begins(struct tg_wheel *wheel, uint32_t list)
{
    const uint32_t level = (list - TG_WHEEL_RING) / TG_WHEEL_DIGIT_COUNT;
    const uint32_t digit = (list - TG_WHEEL_RING) % TG_WHEEL_DIGIT_COUNT;
    tg_wheel_bucket_mark(wheel, level, digit);
    if (level == 0) { return; }
    const uint64_t start = tg_wheel_bucket_start(wheel, level, digit);
    if (start < wheel->cascade_at) { wheel->cascade_at = start; }
}

uint64_t tg_wheel_aside(struct tg_wheel *wheel, int64_t due, uint32_t *list)
{
    const uint64_t tick = tg_wheel_tick(wheel, due);
    *list = TG_WHEEL_FAR;
    if (tick > wheel->position) {
        if (tick - TG_WHEEL_FAR_AHEAD < wheel->far_at) { wheel->far_at = tick - TG_WHEEL_FAR_AHEAD; }
        return TG_WHEEL_LOOK_FAR;
    }
    const uint32_t look = tg_wheel_rest_look(wheel, due);
    *list = TG_WHEEL_REST + (look >> wheel->rest_shift);
    wheel->rest_lists |= 1ull << (look >> wheel->rest_shift);
    if (look < wheel->rest_at) { wheel->rest_at = look; }
    return TG_WHEEL_LOOK_REST | look;
}
