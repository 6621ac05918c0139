/* What the files of the wheel share: how entries, lists and nodes belong together. Inside state/ only.
 *
 * An entry is valid while its node's `look` names it: the wheel, the kind of list, the space, and 32 bits of time that
 * depend on the kind. Anything else is stale and is dropped when its turn comes. An entry can never fire wrongly: it
 * only leads to a node, whose `due` decides, and whose wheel is part of the comparison.
 *
 *   ring  the four levels of buckets; the low bits of the tick at which to look, which is less than 2^32 ahead
 *   rest  due in the tick of the position or before; the microsecond of the tick at which to look
 *   far   beyond the ring; looked at as a whole long before the first of them may be due
 *
 * Each list exists twice, in space 0 and 1. New entries go to the set's current space; the other one is empty but for
 * a sweep, which empties it (wheel_sweep.c). */
#ifndef TG_STATE_WHEEL_SET_H
#define TG_STATE_WHEEL_SET_H

#include "state/slots.h"
#include "state/wheel.h"
#include "state/wheel_lists.h"

enum {
    TG_WHEEL_DIGIT_BITS = 8,
    TG_WHEEL_DIGIT_COUNT = 1 << TG_WHEEL_DIGIT_BITS,
    TG_WHEEL_WORD_COUNT = TG_WHEEL_DIGIT_COUNT / 64,
    TG_WHEEL_LEVEL_COUNT = 4,
    TG_WHEEL_REST_BITS = 6,
    /* Numbers of lists. Entries that move without their node being looked at move to lower numbers. */
    TG_WHEEL_REST = 0,
    TG_WHEEL_REST_COUNT = 1 << TG_WHEEL_REST_BITS,
    TG_WHEEL_RING = TG_WHEEL_REST + TG_WHEEL_REST_COUNT,
    TG_WHEEL_FAR = TG_WHEEL_RING + TG_WHEEL_LEVEL_COUNT * TG_WHEEL_DIGIT_COUNT,
    TG_WHEEL_LIST_COUNT = TG_WHEEL_FAR + 1,
    /* A sweep begins when there are 1.5 entries for each armed node: counted in halves. */
    TG_WHEEL_ROOM_ARMED = 3,
    TG_WHEEL_ROOM_ENTRY = 2,
    TG_WHEEL_STAGE_COUNT = 512,   /* entries in flight between their lists and their nodes */
    TG_WHEEL_PREFETCH_AHEAD = 64, /* nodes on their way: about what a core keeps in flight */
};
static_assert(TG_WHEEL_REST_COUNT == 64, "one word of bits");
static_assert(TG_WHEEL_LEVEL_COUNT * TG_WHEEL_DIGIT_BITS == 32, "the low bits of a tick tell it from all in the ring");
#define TG_WHEEL_FAR_AHEAD (1ull << 31) /* the far list is looked at that many ticks before its first timer is due */

/* A node's `look`; 0 = not armed and no entry leads here. */
#define TG_WHEEL_LOOK_SPACE_SHIFT 32
#define TG_WHEEL_LOOK_REST (1ull << 33) /* neither: ring */
#define TG_WHEEL_LOOK_FAR (1ull << 34)
#define TG_WHEEL_LOOK_ARMED_SHIFT 35
#define TG_WHEEL_LOOK_ARMED (1ull << TG_WHEEL_LOOK_ARMED_SHIFT)
#define TG_WHEEL_LOOK_SEEN (1ull << 36) /* only during tg_wheel_check */
#define TG_WHEEL_LOOK_WHEEL_SHIFT 40    /* number of the wheel + 1 */
#define TG_WHEEL_LOOK_WHEEL (~0ull << TG_WHEEL_LOOK_WHEEL_SHIFT)

/* All wheels over one table. */
struct tg_wheel_set {
    struct tg_wheel_pool pool;
    uint32_t space; /* where new entries go: 0 or 1 */
    uint32_t wheel_count;
    int64_t stale_room;   /* armed nodes x ROOM_ARMED + slack - entries x ROOM_ENTRY */
    int64_t sweep_below;  /* room from which on arming sweeps: 0, or INT64_MAX while a sweep is under way */
    uint32_t sweep_wheel; /* where the sweep is */
    uint32_t sweep_list;
    int64_t stale_slack;  /* the room there is without a node: spares small tables endless sweeps */
    uint64_t entry_bound; /* see wheel_sweep.c */
    struct tg_table *table;
    struct tg_wheel *wheels; /* [wheel_count] */
};

struct tg_wheel {
    struct tg_wheel_set *set;
    uint8_t *nodes;     /* of slot 0; slots are fixed once the table exists */
    uint64_t *words;    /* of the pool */
    uint64_t *fresh;    /* the lists of the set's current space */
    uint64_t fresh_tag; /* what `look` of a node in the ring says that is linked now, but for the tick */
    uint32_t node_offset;
    uint32_t tick_bits;
    uint32_t rest_shift;  /* from the microsecond of a tick to one of the rest lists */
    uint32_t used_levels; /* bit l: level l is not empty */
    uint64_t tag;         /* of our nodes: LOOK_WHEEL */
    uint64_t position;    /* tick; never behind an entry in the ring, never ahead of what has passed */
    uint64_t cascade_at;  /* no bucket above level 0 begins before this tick; UINT64_MAX = there is none */
    uint64_t far_at;      /* the far list is looked at when the position gets here; UINT64_MAX = it is empty */
    uint64_t rest_at;     /* no rest entry is to be looked at before this microsecond; UINT64_MAX = there is none */
    uint64_t rest_lists;  /* bit r: one of the rest lists r is not empty */
    uint64_t count;       /* armed */
    int64_t clock;
    uint64_t quiet_until; /* no entry is to be looked at before this (unsigned) instant: expiring has nothing to do */
    uint64_t occupied[TG_WHEEL_LEVEL_COUNT][TG_WHEEL_WORD_COUNT]; /* bit d: one of the lists of bucket d is not empty */
    uint64_t lists[2][TG_WHEEL_LIST_COUNT];                       /* by space */
};

/* ---- nodes and instants ---- */

static inline struct tg_wheel_node *tg_wheel_node_at(const struct tg_wheel *wheel, uint32_t slot)
{
    return (struct tg_wheel_node *)(void *)(wheel->nodes + ((uint64_t)slot << TG_SLOT_UNIT_BITS));
}
static inline uint32_t tg_wheel_slot_of(const struct tg_wheel *wheel, const struct tg_wheel_node *node)
{
    return (uint32_t)((uint64_t)((const uint8_t *)node - wheel->nodes) >> TG_SLOT_UNIT_BITS);
}
static inline struct tg_wheel_node *tg_wheel_node_of(const struct tg_wheel *wheel, void *value)
{
    return (struct tg_wheel_node *)(void *)((uint8_t *)value + wheel->node_offset);
}

/* Signed instants to unsigned ones, order kept. */
static inline uint64_t tg_wheel_instant(int64_t due) { return (uint64_t)due ^ 1ull << 63; }
static inline uint64_t tg_wheel_tick(const struct tg_wheel *wheel, int64_t due)
{
    return tg_wheel_instant(due) >> wheel->tick_bits;
}
/* The microsecond of the position's tick at which to look at a node due in that tick or before. */
static inline uint32_t tg_wheel_rest_look(const struct tg_wheel *wheel, int64_t due)
{
    const uint64_t start = wheel->position << wheel->tick_bits;
    return tg_wheel_instant(due) > start ? (uint32_t)(tg_wheel_instant(due) - start) : 0;
}

/* ---- buckets ---- */

static inline void tg_wheel_bucket_mark(struct tg_wheel *wheel, uint32_t level, uint32_t digit)
{
    wheel->occupied[level][digit / 64] |= 1ull << (digit % 64);
    wheel->used_levels |= 1u << level;
}
static inline void tg_wheel_bucket_clear(struct tg_wheel *wheel, uint32_t level, uint32_t digit)
{
    uint64_t *words = wheel->occupied[level];
    words[digit / 64] &= ~(1ull << (digit % 64));
    uint64_t any = 0;
    for (uint32_t w = 0; w < TG_WHEEL_WORD_COUNT; w++) { any |= words[w]; }
    if (any == 0) { wheel->used_levels &= ~(1u << level); }
}

/* First tick of bucket `digit` of `level`: the next time its turn comes in the ring. */
static inline uint64_t tg_wheel_bucket_start(const struct tg_wheel *wheel, uint32_t level, uint32_t digit)
{
    const uint64_t here = wheel->position >> (level * TG_WHEEL_DIGIT_BITS);
    return (here + ((digit - here) & (TG_WHEEL_DIGIT_COUNT - 1))) << (level * TG_WHEEL_DIGIT_BITS);
}
/* The occupied bucket of a level in use whose turn comes first. */
static inline uint32_t tg_wheel_bucket_first(const struct tg_wheel *wheel, uint32_t level)
{
    const uint32_t from = (uint32_t)(wheel->position >> (level * TG_WHEEL_DIGIT_BITS)) & (TG_WHEEL_DIGIT_COUNT - 1);
    uint32_t word = from / 64;
    uint64_t bits = wheel->occupied[level][word] & (~0ull << (from % 64));
    /* The first word is looked at twice: its lower bits come last. */
    for (uint32_t tried = 0; bits == 0 && tried < TG_WHEEL_WORD_COUNT; tried++) {
        word = (word + 1) & (TG_WHEEL_WORD_COUNT - 1);
        bits = wheel->occupied[level][word];
    }
    TG_DCHECK(bits != 0);
    return word * 64 + (uint32_t)__builtin_ctzll(bits);
}
/* The list of the lowest level whose ring reaches a tick beyond the position; FAR when none does. */
static inline __attribute__((always_inline)) uint32_t tg_wheel_list_for(const struct tg_wheel *wheel, uint64_t tick)
{
    uint64_t unit = tick;
    uint64_t here = wheel->position;
#pragma GCC unroll 4
    for (uint32_t level = 0; level < TG_WHEEL_LEVEL_COUNT; level++) {
        if (unit - here < TG_WHEEL_DIGIT_COUNT) {
            return TG_WHEEL_RING + level * TG_WHEEL_DIGIT_COUNT + ((uint32_t)unit & (TG_WHEEL_DIGIT_COUNT - 1));
        }
        unit >>= TG_WHEEL_DIGIT_BITS;
        here >>= TG_WHEEL_DIGIT_BITS;
    }
    return TG_WHEEL_FAR;
}

static inline void tg_wheel_disquiet(struct tg_wheel *wheel, uint64_t instant)
{
    if (instant < wheel->quiet_until) { wheel->quiet_until = instant; }
}

/* As tg_wheel_link, in every case.  @shard */
void tg_wheel_link_slowly(struct tg_wheel *wheel, struct tg_wheel_node *node);

/* Make the entry by which an armed node will be found in time; any other one becomes stale. Here only for a list of the
 * ring whose chunk has room: that needs no call, thus no registers saved. False = not done. The caller counts the entry
 * (stale_room). */
static inline __attribute__((always_inline)) bool tg_wheel_link_fast(struct tg_wheel *wheel, struct tg_wheel_node *node)
{
    const uint64_t tick = tg_wheel_tick(wheel, node->due);
    if (TG_UNLIKELY(tick <= wheel->position)) { return false; }
    const uint32_t list = tg_wheel_list_for(wheel, tick);
    const uint64_t grown = wheel->fresh[list];
    if (TG_UNLIKELY(list == TG_WHEEL_FAR || tg_wheel_list_next(grown) == tg_wheel_list_end(grown))) { return false; }
    tg_wheel_line_prefetch(wheel->words, grown);
    wheel->words[tg_wheel_list_next(grown)] = tg_wheel_entry(tg_wheel_slot_of(wheel, node), (uint32_t)tick);
    wheel->fresh[list] = grown + 1;
    node->look = wheel->fresh_tag | (uint32_t)tick;
    tg_wheel_disquiet(wheel, tick << wheel->tick_bits);
    return true;
}
static inline void tg_wheel_link(struct tg_wheel *wheel, struct tg_wheel_node *node)
{
    if (!tg_wheel_link_fast(wheel, node)) { tg_wheel_link_slowly(wheel, node); }
}

/* Let new entries of a wheel go to the set's current space. */
static inline void tg_wheel_freshen(struct tg_wheel *wheel)
{
    const uint64_t space = wheel->set->space;
    wheel->fresh = wheel->lists[space];
    wheel->fresh_tag = wheel->tag | TG_WHEEL_LOOK_ARMED | space << TG_WHEEL_LOOK_SPACE_SHIFT;
}

/* What the node of a valid entry in this list says, but for ARMED and the entry's own bits. */
static inline uint64_t tg_wheel_look_of(const struct tg_wheel *wheel, uint32_t space, uint32_t list)
{
    const uint64_t kind = list == TG_WHEEL_FAR ? TG_WHEEL_LOOK_FAR : list < TG_WHEEL_RING ? TG_WHEEL_LOOK_REST : 0;
    return wheel->tag | kind | (uint64_t)space << TG_WHEEL_LOOK_SPACE_SHIFT;
}

/* A list has become empty: forget the bit when the one of the other space is empty too. */
static inline void tg_wheel_list_emptied(struct tg_wheel *wheel, uint32_t list)
{
    if ((wheel->lists[0][list] | wheel->lists[1][list]) != 0) { return; }
    if (list < TG_WHEEL_RING) {
        wheel->rest_lists &= ~(1ull << (list - TG_WHEEL_REST));
    } else if (list < TG_WHEEL_FAR) {
        const uint32_t bucket = list - TG_WHEEL_RING;
        tg_wheel_bucket_clear(wheel, bucket / TG_WHEEL_DIGIT_COUNT, bucket % TG_WHEEL_DIGIT_COUNT);
    }
}

/* One step of a sweep, which begins when none is under way. To be called after each entry that tg_wheel_arm makes while
 * a sweep is under way or due.  @shard */
TG_COLD void tg_wheel_sweep(struct tg_wheel_set *set);
/* How many entries and chunks there can be at most, and how much staleness is let be.  @setup */
void tg_wheel_limits(const struct tg_wheel_config *config, struct tg_wheel_set *set);

#endif
