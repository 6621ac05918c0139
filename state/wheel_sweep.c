/* Upkeep of the wheels over one table: sweeps that bound what stale entries take, rebuilding from the nodes, and the
 * check of all invariants.
 *
 * An entry becomes stale when its node is armed for earlier, is disarmed, or its slot is removed; it is dropped when
 * its turn comes, which may be in months. So once stale entries are more than half of the armed nodes plus a slack, a
 * sweep begins: the current space (wheel_set.h) changes, so that from now on new entries are apart from old ones, and
 * with each new entry up to SWEEP_ENTRIES of the old space are looked at. What is valid gets an entry in the new space,
 * the rest is gone. A node says in which space its entry is: each node survives once, also when several of its entries
 * look alike (a slot that was armed for T, removed, taken by another key and armed for T again).
 *
 * Why the pool suffices. C = entries of the table, W = wheels, n = lists of a wheel in one space. Entries that move
 * without their node being looked at move to lists with lower numbers, and the sweep goes through the lists of a wheel
 * from the highest number down: what it has emptied stays empty. A step takes at least K = 33 entries on average, but
 * for the last chunk of a list, which may hold fewer (a full one has 39, 135 or 519 entries: 1, 4 or 13 steps). So a
 * sweep that
 * finds E entries takes at most E/K + Wn steps for them and W(n/64 + 1) to pass over empty lists, together E/K + S.
 * Only arming makes entries, one per step, and C nodes survive at most: at its end there are at most C + E/K + S. A
 * sweep begins at 1.5 C + slack + 1 entries at the latest, or at once when the last one left more. Hence
 * E <= max(1.5 C + slack, (C + S + 1) K/(K - 1)) + 1, and there are never more than E + E/K + S entries. A list has at
 * most one chunk of each of the smaller sizes and one that is not full, and none of a size before those below are full.
 * Some chunks more are in use while entries move. Rebuilding makes at most C entries. */
#include "state/wheel_set.h"

enum {
    SWEEP_ENTRIES = 40,     /* looked at in a step */
    SWEEP_ENTRIES_MIN = 33, /* on average, in a full chunk */
    SWEEP_LISTS = 64,       /* empty ones passed over in a step */
    STALE_SLACK = 1024,     /* spares small tables endless sweeps */
    STALE_SLACK_PER_WHEEL = 512,
    CHUNKS_SPARE = 8,
};

#define STEPS_FOR(entries) (((entries) + SWEEP_ENTRIES - 1) / SWEEP_ENTRIES)
static_assert(STEPS_FOR(TG_WHEEL_SMALL_WORDS - 1) * SWEEP_ENTRIES_MIN <= TG_WHEEL_SMALL_WORDS - 1, "see above");
static_assert(STEPS_FOR(TG_WHEEL_MEDIUM_WORDS - 1) * SWEEP_ENTRIES_MIN <= TG_WHEEL_MEDIUM_WORDS - 1, "see above");
static_assert(STEPS_FOR(TG_WHEEL_LARGE_WORDS - 1) * SWEEP_ENTRIES_MIN <= TG_WHEEL_LARGE_WORDS - 1, "see above");

/* Lay out the pool for that many entries in that many lists. */
static void pool_limits(struct tg_wheel_pool *pool, uint64_t entries, uint64_t lists)
{
    uint64_t at = TG_WHEEL_LARGE_WORDS;
    uint64_t entries_below = 0; /* that a list has before it begins a chunk of this size */
    for (uint32_t size = 0; size < TG_WHEEL_SIZES; size++) {
        const uint64_t words = tg_wheel_size_words(size);
        const uint64_t lists_here = entries / (entries_below + 1) < lists ? entries / (entries_below + 1) : lists;
        uint64_t chunks = lists_here + CHUNKS_SPARE;
        if (size == TG_WHEEL_SIZES - 1) { chunks += entries / (words - 1); }
        const uint64_t end = at + chunks * words;
        TG_ASSERT(end <= UINT32_MAX); /* positions have 32 bits */
        pool->sizes[size] = (struct tg_wheel_chunks){.carve = (uint32_t)at, .end = (uint32_t)end};
        entries_below += words - 1;
        at = end;
    }
}

void tg_wheel_limits(const struct tg_wheel_config *config, struct tg_wheel_set *set)
{
    const uint64_t step_entries = SWEEP_ENTRIES_MIN;
    const uint64_t entries = config->entry_count_max;
    const uint64_t lists = (uint64_t)config->wheel_count * TG_WHEEL_LIST_COUNT;
    const uint64_t steps = lists + lists / SWEEP_LISTS + config->wheel_count;
    const uint64_t slack = STALE_SLACK + (uint64_t)STALE_SLACK_PER_WHEEL * config->wheel_count;
    const uint64_t by_stale = entries + entries / 2 + slack;
    const uint64_t by_sweep = (entries + steps + 1) * step_entries / (step_entries - 1) + 1;
    const uint64_t at_start = (by_stale > by_sweep ? by_stale : by_sweep) + 1;
    set->entry_bound = at_start + at_start / step_entries + 1 + steps;
    set->stale_slack = (int64_t)slack * TG_WHEEL_ROOM_ENTRY;
    set->stale_room = set->stale_slack;
    pool_limits(&set->pool, set->entry_bound, 2 * lists);
}

/* ---- sweeps ---- */

/* Look at the nodes of `count` entries of the old space: what is valid gets an entry in the new one. */
static void sweep_entries(struct tg_wheel *wheel, const uint64_t *entries, uint32_t count, uint64_t kind)
{
    for (uint32_t i = 0; i < count; i++) {
        __builtin_prefetch(tg_wheel_node_at(wheel, tg_wheel_entry_slot(entries[i])), 0, 2);
    }
    uint32_t dropped = count;
    for (uint32_t i = 0; i < count; i++) {
        struct tg_wheel_node *node = tg_wheel_node_at(wheel, tg_wheel_entry_slot(entries[i]));
        if ((node->look & ~TG_WHEEL_LOOK_ARMED) != (kind | tg_wheel_entry_look(entries[i]))) { continue; }
        if ((node->look & TG_WHEEL_LOOK_ARMED) != 0) {
            tg_wheel_link(wheel, node);
            dropped--;
        } else {
            node->look = 0;
        }
    }
    wheel->set->stale_room += (int64_t)dropped * TG_WHEEL_ROOM_ENTRY;
}

/* Take up to SWEEP_ENTRIES of a list in the old space apart. */
static void sweep_list(struct tg_wheel *wheel, uint32_t space, uint32_t list)
{
    struct tg_wheel_pool *pool = &wheel->set->pool;
    uint64_t *const number = &wheel->lists[space][list];
    uint32_t count;
    const uint64_t *entries = tg_wheel_chunk_entries(pool, *number, &count);
    const uint32_t taken = count < SWEEP_ENTRIES ? count : SWEEP_ENTRIES;
    sweep_entries(wheel, entries + count - taken, taken, tg_wheel_look_of(wheel, space, list));
    *number = tg_wheel_list_drop(pool, *number, taken);
    tg_wheel_list_emptied(wheel, list);
}

void tg_wheel_sweep(struct tg_wheel_set *set)
{
    if (set->sweep_below == 0) {
        set->sweep_below = INT64_MAX;
        set->space ^= 1;
        for (uint32_t i = 0; i < set->wheel_count; i++) { tg_wheel_freshen(&set->wheels[i]); }
        set->sweep_wheel = 0;
        set->sweep_list = TG_WHEEL_LIST_COUNT - 1;
    }
    const uint32_t old = set->space ^ 1;
    for (uint32_t passed = 0; passed < SWEEP_LISTS; passed++) {
        struct tg_wheel *wheel = &set->wheels[set->sweep_wheel];
        if (wheel->lists[old][set->sweep_list] != 0) {
            sweep_list(wheel, old, set->sweep_list);
            return;
        }
        if (set->sweep_list != 0) {
            set->sweep_list--;
            continue;
        }
        set->sweep_list = TG_WHEEL_LIST_COUNT - 1;
        set->sweep_wheel++;
        if (set->sweep_wheel == set->wheel_count) {
            set->sweep_below = 0;
            return;
        }
    }
}

/* ---- rebuilding ---- */

static void wheel_clear(struct tg_wheel *wheel)
{
    for (uint32_t list = 0; list < TG_WHEEL_LIST_COUNT; list++) {
        wheel->lists[0][list] = 0;
        wheel->lists[1][list] = 0;
    }
    for (uint32_t level = 0; level < TG_WHEEL_LEVEL_COUNT; level++) {
        for (uint32_t w = 0; w < TG_WHEEL_WORD_COUNT; w++) { wheel->occupied[level][w] = 0; }
    }
    wheel->used_levels = 0;
    wheel->rest_lists = 0;
    wheel->cascade_at = UINT64_MAX;
    wheel->far_at = UINT64_MAX;
    wheel->rest_at = UINT64_MAX;
    wheel->count = 0;
    wheel->quiet_until = 0;
}

void tg_wheel_rebuild(struct tg_wheel *wheel)
{
    struct tg_wheel_set *set = wheel->set;
    for (uint32_t i = 0; i < set->wheel_count; i++) { wheel_clear(&set->wheels[i]); }
    for (uint32_t size = 0; size < TG_WHEEL_SIZES; size++) {
        set->pool.sizes[size].free = 0;
        set->pool.sizes[size].carve = size == 0 ? TG_WHEEL_LARGE_WORDS : set->pool.sizes[size - 1].end;
    }
    set->stale_room = set->stale_slack;
    set->sweep_below = 0;
    for (uint32_t slot = tg_table_next(set->table, 0); slot != TG_SLOT_NONE;
         slot = tg_table_next(set->table, slot + 1)) {
        struct tg_wheel_node *node = tg_wheel_node_at(wheel, slot);
        const uint64_t look = node->look;
        node->look = 0;
        if ((look & TG_WHEEL_LOOK_ARMED) == 0) { continue; }
        const uint64_t number = look >> TG_WHEEL_LOOK_WHEEL_SHIFT;
        TG_ASSERT(number >= 1 && number <= set->wheel_count);
        tg_wheel_link(&set->wheels[number - 1], node);
        set->wheels[number - 1].count++;
        set->stale_room += TG_WHEEL_ROOM_ARMED - TG_WHEEL_ROOM_ENTRY;
    }
}

/* ---- invariants ---- */

struct sums {
    uint64_t entries;
    uint64_t words; /* of chunks */
    uint64_t nodes;
};

/* One entry says where and when to look: assert that this agrees with the wheel, and that it is in time for its node
 * if it is valid. */
static void check_entry(const struct tg_wheel *wheel, uint32_t list, uint64_t entry, bool valid)
{
    const int64_t due = tg_wheel_node_at(wheel, tg_wheel_entry_slot(entry))->due;
    const uint32_t look = tg_wheel_entry_look(entry);
    const uint64_t tick = tg_wheel_tick(wheel, due);
    if (list < TG_WHEEL_RING) {
        TG_ASSERT(look >> wheel->rest_shift == list - TG_WHEEL_REST);
        TG_ASSERT(look >= wheel->rest_at);
        TG_ASSERT(!valid || tick > wheel->position || tg_wheel_rest_look(wheel, due) >= look);
    } else if (list < TG_WHEEL_FAR) {
        const uint32_t level = (list - TG_WHEEL_RING) / TG_WHEEL_DIGIT_COUNT;
        const uint32_t digit = (list - TG_WHEEL_RING) % TG_WHEEL_DIGIT_COUNT;
        const uint64_t start = tg_wheel_bucket_start(wheel, level, digit);
        const uint32_t into = look - (uint32_t)start;
        TG_ASSERT(into < 1ull << (level * TG_WHEEL_DIGIT_BITS));
        TG_ASSERT(level == 0 || start > wheel->position);
        TG_ASSERT(level == 0 || start >= wheel->cascade_at);
        TG_ASSERT(!valid || (tick > wheel->position ? tick : wheel->position) >= start + into);
    } else {
        TG_ASSERT(look == 0);
        TG_ASSERT(!valid || tick >= wheel->far_at);
    }
}

/* What SEEN and ARMED hide of a node's `look`. */
static uint64_t look_told(const struct tg_wheel *wheel, uint32_t slot)
{
    return tg_wheel_node_at(wheel, slot)->look & ~(TG_WHEEL_LOOK_ARMED | TG_WHEEL_LOOK_SEEN);
}

/* Assert entries of one list and mark the nodes they lead to; *nodes counts the armed ones not met before. */
static void check_entries(const struct tg_wheel *wheel, uint32_t space, uint32_t list, const uint64_t *entries,
                          uint32_t count, uint64_t *nodes)
{
    const uint64_t kind = tg_wheel_look_of(wheel, space, list);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t slot = tg_wheel_entry_slot(entries[i]);
        struct tg_wheel_node *node = tg_wheel_node_at(wheel, slot);
        const bool valid = look_told(wheel, slot) == (kind | tg_wheel_entry_look(entries[i])) &&
                           (node->look & TG_WHEEL_LOOK_ARMED) != 0;
        check_entry(wheel, list, entries[i], valid);
        TG_ASSERT(!valid || tg_wheel_instant(node->due) >= wheel->quiet_until ||
                  wheel->quiet_until >> wheel->tick_bits <= wheel->position);
        if (!valid || (node->look & TG_WHEEL_LOOK_SEEN) != 0) { continue; }
        TG_ASSERT(tg_slots_at(tg_table_slots(wheel->set->table), slot)->key_bytes != TG_SLOT_FREE);
        node->look |= TG_WHEEL_LOOK_SEEN;
        (*nodes)++;
    }
}

/* Wipe the marks again. */
static void unsee_entries(const struct tg_wheel *wheel, uint64_t kind, const uint64_t *entries, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t slot = tg_wheel_entry_slot(entries[i]);
        if (look_told(wheel, slot) != (kind | tg_wheel_entry_look(entries[i]))) { continue; }
        tg_wheel_node_at(wheel, slot)->look &= ~TG_WHEEL_LOOK_SEEN;
    }
}

/* Assert one list; adds up its entries, the words of its chunks and the armed nodes not met before. */
static void check_list(const struct tg_wheel *wheel, uint32_t space, uint32_t list, struct sums *sums)
{
    const struct tg_wheel_pool *pool = &wheel->set->pool;
    const uint64_t last = wheel->lists[space][list];
    for (uint64_t number = last; number != 0; number = tg_wheel_chunk_below(pool, number)) {
        uint32_t count;
        const uint64_t *entries = tg_wheel_chunk_entries(pool, number, &count);
        const uint32_t size = tg_wheel_size_of(pool, tg_wheel_list_end(number));
        const uint64_t below = tg_wheel_chunk_below(pool, number);
        TG_ASSERT(tg_wheel_list_end(number) <= pool->sizes[size].carve);
        TG_ASSERT((size == 0) == (below == 0)); /* the first one, and only it, is small */
        TG_ASSERT(below == 0 || tg_wheel_size_of(pool, tg_wheel_list_end(below)) + 1 >= size);
        TG_ASSERT(count >= 1);
        TG_ASSERT(number == last || count == tg_wheel_size_words(size) - 1);
        check_entries(wheel, space, list, entries, count, &sums->nodes);
        sums->entries += count;
        sums->words += tg_wheel_size_words(size);
        TG_ASSERT(sums->words <= pool->sizes[TG_WHEEL_SIZES - 1].end);
    }
}

static void unsee_list(const struct tg_wheel *wheel, uint32_t space, uint32_t list)
{
    const struct tg_wheel_pool *pool = &wheel->set->pool;
    const uint64_t kind = tg_wheel_look_of(wheel, space, list);
    for (uint64_t number = wheel->lists[space][list]; number != 0; number = tg_wheel_chunk_below(pool, number)) {
        uint32_t count;
        const uint64_t *entries = tg_wheel_chunk_entries(pool, number, &count);
        unsee_entries(wheel, kind, entries, count);
    }
}

static void check_bits(const struct tg_wheel *wheel)
{
    TG_ASSERT((wheel->lists[0][TG_WHEEL_FAR] | wheel->lists[1][TG_WHEEL_FAR]) == 0 || wheel->far_at != UINT64_MAX);
    for (uint32_t list = 0; list < TG_WHEEL_FAR; list++) {
        const bool used = (wheel->lists[0][list] | wheel->lists[1][list]) != 0;
        if (list < TG_WHEEL_RING) {
            TG_ASSERT((wheel->rest_lists >> (list - TG_WHEEL_REST) & 1) == used);
            continue;
        }
        const uint32_t level = (list - TG_WHEEL_RING) / TG_WHEEL_DIGIT_COUNT;
        const uint32_t digit = (list - TG_WHEEL_RING) % TG_WHEEL_DIGIT_COUNT;
        TG_ASSERT((wheel->occupied[level][digit / 64] >> (digit % 64) & 1) == used);
        TG_ASSERT(!used || (wheel->used_levels >> level & 1) == 1);
    }
    for (uint32_t level = 0; level < TG_WHEEL_LEVEL_COUNT; level++) {
        TG_ASSERT((wheel->used_levels >> level & 1) == 0 || tg_wheel_bucket_first(wheel, level) < TG_WHEEL_DIGIT_COUNT);
    }
}

static uint64_t free_words(const struct tg_wheel_pool *pool, const struct tg_wheel_chunks *chunks, uint32_t words)
{
    uint64_t sum = 0;
    for (uint32_t chunk = chunks->free; chunk != 0; chunk = (uint32_t)pool->words[chunk]) {
        sum += words;
        TG_ASSERT(sum < chunks->end);
    }
    return sum;
}

void tg_wheel_check(struct tg_wheel *wheel)
{
    const struct tg_wheel_set *set = wheel->set;
    struct sums sums = {0};
    uint64_t armed = 0;
    for (uint32_t i = 0; i < set->wheel_count; i++) {
        const struct tg_wheel *one = &set->wheels[i];
        sums.nodes = 0;
        for (uint32_t list = 0; list < TG_WHEEL_LIST_COUNT; list++) {
            for (uint32_t space = 0; space < 2; space++) { check_list(one, space, list, &sums); }
        }
        for (uint32_t list = 0; list < TG_WHEEL_LIST_COUNT; list++) {
            for (uint32_t space = 0; space < 2; space++) { unsee_list(one, space, list); }
        }
        TG_ASSERT(sums.nodes == one->count); /* every armed node has a valid entry */
        check_bits(one);
        TG_ASSERT(one->clock == TG_TS_MIN || one->position <= tg_wheel_tick(one, one->clock));
        armed += one->count;
    }
    TG_ASSERT(set->stale_room ==
              set->stale_slack + (int64_t)armed * TG_WHEEL_ROOM_ARMED - (int64_t)sums.entries * TG_WHEEL_ROOM_ENTRY);
    TG_ASSERT(sums.entries <= set->entry_bound);
    uint64_t carved = 0;
    for (uint32_t size = 0; size < TG_WHEEL_SIZES; size++) {
        const struct tg_wheel_chunks *chunks = &set->pool.sizes[size];
        carved += chunks->carve - (size == 0 ? TG_WHEEL_LARGE_WORDS : set->pool.sizes[size - 1].end);
        sums.words += free_words(&set->pool, chunks, tg_wheel_size_words(size));
    }
    TG_ASSERT(sums.words == carved); /* no chunk is lost */
}
