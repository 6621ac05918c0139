/* Time is cut into ticks of 2^tick_bits microseconds. Level l has 256 buckets of 256^l ticks each, used as a ring: a
 * node lies at the lowest level whose ring reaches its tick from the wheel's position. Bitmaps tell which buckets are
 * occupied and `cascade_at` when the next one above level 0 begins, so that the clock jumps over months as cheaply as
 * over a bucket. The levels cover the whole 64-bit range: there is no overflow list. An instant before the position
 * goes to the bucket of the position.
 *
 * Rejected: choosing the level by the highest digit in which tick and position differ. It saves a subtraction, but
 * every timer beyond the next boundary of a large bucket then waits in that one bucket, and crossing the boundary
 * moves them all at once: with 10 M timers and some 30 ns a move, a pause of a third of a second.
 *
 * When the position reaches a bucket of a higher level its nodes move down. That is also where lazy re-arming is paid:
 * a node says when it is due now, its bucket only says when to look. Arming anew needs no list operation as long as
 * the bucket will be looked at in time.
 *
 * The bucket of the position itself holds nodes on both sides of the clock. `rest_due` bounds them from below, so a
 * clock that creeps does not look at them again in vain.
 *
 * Nodes are far apart in memory and a list shows the next one only after the last one has arrived. So each bucket is
 * STRIPE_COUNT lists, filled in turn and walked side by side, and a node remembers the node two places on as it was
 * when it was linked: twice STRIPE_COUNT misses are under way at once. The hint alone took an expiry with 4 M timers
 * from 112 to 75 ns (2 virtual cores of Zen 4, shared with other work). */
#include "state/wheel.h"

#include "base/assert.h"
#include "state/slots.h"

enum {
    DIGIT_BITS = 8,
    DIGIT_COUNT = 1 << DIGIT_BITS,
    WORD_COUNT = DIGIT_COUNT / 64,
    STRIPE_COUNT = 4,
    LEVEL_LISTS = DIGIT_COUNT * STRIPE_COUNT,
    TICK_BITS_MIN = 1, /* no tick number then is UINT64_MAX */
    TICK_BITS_MAX = 40,
    LEVEL_COUNT_MAX = 8,
};
static_assert(LEVEL_COUNT_MAX * DIGIT_BITS >= 64 - TICK_BITS_MIN, "the digits cover the range");

struct tg_wheel {
    struct tg_slots slots; /* a copy: fixed once the table exists */
    uint32_t node_offset;
    uint32_t tick_bits;
    uint32_t level_count;
    uint32_t turn;     /* the stripe that was filled last */
    uint64_t position; /* tick; never behind a node's bucket, never ahead of the clock */
    int64_t clock;
    int64_t rest_due; /* nothing in the bucket of the position is due before */
    uint64_t count;
    uint64_t cascade_at;  /* no bucket above level 0 begins before this tick; UINT64_MAX = there is none */
    uint32_t used_levels; /* bit l: level l is not empty */
    uint64_t occupied[LEVEL_COUNT_MAX][WORD_COUNT]; /* bit d: bucket d of the level is not empty */
    uint32_t heads[];                               /* [level_count][DIGIT_COUNT][STRIPE_COUNT] slot number + 1 */
};

static uint32_t level_count_for(uint32_t tick_bits) { return (64 - tick_bits + DIGIT_BITS - 1) / DIGIT_BITS; }

size_t tg_wheel_bytes(const struct tg_wheel_config *config)
{
    return sizeof(struct tg_wheel) + level_count_for(config->tick_bits) * LEVEL_LISTS * sizeof(uint32_t) + 64;
}

tg_status tg_wheel_create(struct tg_wheel **wheel, const struct tg_wheel_config *config, struct tg_arena *arena,
                          struct tg_error *err)
{
    TG_ASSERT(config->tick_bits >= TICK_BITS_MIN && config->tick_bits <= TICK_BITS_MAX);
    TG_ASSERT((config->node_offset & 7) == 0);
    struct tg_wheel *self = tg_arena_alloc(arena, tg_wheel_bytes(config) - 64, 64);
    if (self == NULL) { return tg_fail(err, TG1601, 0, "no address space for a timer wheel"); }
    *self = (struct tg_wheel){
        .slots = *tg_table_slots(config->table),
        .node_offset = config->node_offset,
        .tick_bits = config->tick_bits,
        .level_count = level_count_for(config->tick_bits),
        .clock = TG_TS_MIN,
        .rest_due = INT64_MAX,
        .cascade_at = UINT64_MAX,
    }; /* heads are zero: the arena's memory is */
    *wheel = self;
    return TG_OK;
}

/* ---- nodes and positions ---- */

static inline struct tg_wheel_node *node_at(const struct tg_wheel *wheel, uint32_t link)
{
    uint8_t *value = tg_slots_value(tg_slots_at(&wheel->slots, link - 1));
    return (struct tg_wheel_node *)(void *)(value + wheel->node_offset);
}
static inline struct tg_wheel_node *node_of_value(const struct tg_wheel *wheel, void *value)
{
    return (struct tg_wheel_node *)(void *)((uint8_t *)value + wheel->node_offset);
}
static inline void *value_of_node(const struct tg_wheel *wheel, struct tg_wheel_node *node)
{
    return (uint8_t *)node - wheel->node_offset;
}

/* Signed instants to unsigned ticks, order kept. */
static inline uint64_t tick_of(const struct tg_wheel *wheel, int64_t instant)
{
    return ((uint64_t)instant ^ 1ull << 63) >> wheel->tick_bits;
}
/* The tick by which the wheel must look at a node due then. */
static inline uint64_t tick_to_look(const struct tg_wheel *wheel, int64_t due)
{
    const uint64_t tick = tick_of(wheel, due);
    return tick > wheel->position ? tick : wheel->position;
}
/* First tick of bucket `digit` of `level`: the next time its turn comes in the ring. */
static inline uint64_t bucket_start(const struct tg_wheel *wheel, uint32_t level, uint32_t digit)
{
    const uint64_t here = wheel->position >> (level * DIGIT_BITS);
    return (here + ((digit - here) & (DIGIT_COUNT - 1))) << (level * DIGIT_BITS);
}
/* The lowest level whose ring reaches `tick` (not before the position). */
static inline uint32_t level_for(const struct tg_wheel *wheel, uint64_t tick)
{
    const uint64_t distance = tick - wheel->position;
    if (distance < DIGIT_COUNT) { return 0; }
    const uint32_t level = (63 - (uint32_t)__builtin_clzll(distance)) / DIGIT_BITS;
    const uint32_t shift = level * DIGIT_BITS;
    return (tick >> shift) - (wheel->position >> shift) < DIGIT_COUNT ? level : level + 1;
}

/* ---- lists ---- */

static inline void bucket_mark(struct tg_wheel *wheel, uint32_t level, uint32_t digit)
{
    wheel->occupied[level][digit / 64] |= 1ull << (digit % 64);
    wheel->used_levels |= 1u << level;
}
static inline void bucket_clear(struct tg_wheel *wheel, uint32_t level, uint32_t digit)
{
    uint64_t *words = wheel->occupied[level];
    words[digit / 64] &= ~(1ull << (digit % 64));
    uint64_t any = 0;
    for (uint32_t w = 0; w < WORD_COUNT; w++) { any |= words[w]; }
    if (any == 0) { wheel->used_levels &= ~(1u << level); }
}
/* The occupied bucket of a level in use whose turn comes first. */
static inline uint32_t bucket_first(const struct tg_wheel *wheel, uint32_t level)
{
    const uint32_t from = (uint32_t)(wheel->position >> (level * DIGIT_BITS)) & (DIGIT_COUNT - 1);
    uint32_t word = from / 64;
    uint64_t bits = wheel->occupied[level][word] & (~0ull << (from % 64));
    /* The first word is looked at twice: its lower bits come last. */
    for (uint32_t tried = 0; bits == 0 && tried < WORD_COUNT; tried++) {
        word = (word + 1) & (WORD_COUNT - 1);
        bits = wheel->occupied[level][word];
    }
    TG_DCHECK(bits != 0);
    return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

static inline void node_link(struct tg_wheel *wheel, struct tg_wheel_node *node, uint32_t link)
{
    const uint64_t tick = tick_to_look(wheel, node->due);
    const uint32_t level = level_for(wheel, tick);
    const uint64_t unit = tick >> (level * DIGIT_BITS);
    const uint32_t digit = (uint32_t)unit & (DIGIT_COUNT - 1);
    wheel->turn = (wheel->turn + 1) & (STRIPE_COUNT - 1);
    const uint32_t list = level * LEVEL_LISTS + digit * STRIPE_COUNT + wheel->turn;
    const uint32_t head = wheel->heads[list];
    node->next = head;
    node->prev = 0;
    node->bucket = list + 1;
    if (head != 0) {
        struct tg_wheel_node *second = node_at(wheel, head);
        second->prev = link;
        node->reserved = second->next; /* a hint for walks: may be out of date, so it is only ever prefetched */
    } else {
        bucket_mark(wheel, level, digit);
    }
    wheel->heads[list] = link;
    if (level != 0 && unit << (level * DIGIT_BITS) < wheel->cascade_at) {
        wheel->cascade_at = unit << (level * DIGIT_BITS);
    }
    if (node->due < wheel->rest_due) { wheel->rest_due = node->due; } /* too low is harmless, for other buckets too */
}

static inline void node_unlink(struct tg_wheel *wheel, struct tg_wheel_node *node)
{
    const uint32_t list = node->bucket - 1;
    if (node->next != 0) { node_at(wheel, node->next)->prev = node->prev; }
    node->bucket = 0;
    if (node->prev != 0) {
        node_at(wheel, node->prev)->next = node->next;
        return;
    }
    wheel->heads[list] = node->next;
    if (node->next != 0) { return; }
    const uint32_t *stripes = &wheel->heads[list & ~(uint32_t)(STRIPE_COUNT - 1)];
    uint32_t any = 0;
    for (uint32_t s = 0; s < STRIPE_COUNT; s++) { any |= stripes[s]; }
    if (any == 0) { bucket_clear(wheel, list / LEVEL_LISTS, (list / STRIPE_COUNT) & (DIGIT_COUNT - 1)); }
}

void tg_wheel_arm(struct tg_wheel *wheel, void *value, int64_t due)
{
    struct tg_wheel_node *node = node_of_value(wheel, value);
    node->due = due;
    if (node->bucket != 0) {
        const uint32_t bucket = (node->bucket - 1) / STRIPE_COUNT;
        const uint64_t start = bucket_start(wheel, bucket / DIGIT_COUNT, bucket & (DIGIT_COUNT - 1));
        if (tick_to_look(wheel, due) >= start) { /* we shall look in time: leave it where it is */
            if (due < wheel->rest_due) { wheel->rest_due = due; }
            return;
        }
        node_unlink(wheel, node);
        wheel->count--;
    }
    node_link(wheel, node, tg_slots_number(&wheel->slots, tg_slots_of_value(value)) + 1);
    wheel->count++;
}

void tg_wheel_disarm(struct tg_wheel *wheel, void *value)
{
    struct tg_wheel_node *node = node_of_value(wheel, value);
    if (node->bucket == 0) { return; }
    node_unlink(wheel, node);
    TG_DCHECK(wheel->count > 0);
    wheel->count--;
}

/* ---- expiry ---- */

struct expiry {
    int64_t due_max; /* inclusive */
    void **values;
    uint32_t count;
    uint32_t count_max;
};

/* Load the first node of each stripe; returns how many lists there are to walk. */
static inline uint32_t stripes_begin(const struct tg_wheel *wheel, const uint32_t *heads, uint32_t *cursors)
{
    uint32_t live = 0;
    for (uint32_t s = 0; s < STRIPE_COUNT; s++) {
        if (heads[s] == 0) { continue; }
        cursors[live++] = heads[s];
        __builtin_prefetch(node_at(wheel, heads[s]), 1);
    }
    return live;
}

/* Load the first nodes of the finest bucket that comes after `digit`, while that one is being drained. */
static inline void stripes_prefetch_after(const struct tg_wheel *wheel, uint32_t digit)
{
    /* Looking as far as the word's end is enough. */
    const uint64_t later = wheel->occupied[0][digit / 64] & (~1ull << (digit % 64));
    if (later == 0) { return; }
    const uint32_t next = (digit & ~63u) + (uint32_t)__builtin_ctzll(later);
    for (uint32_t s = 0; s < STRIPE_COUNT; s++) {
        const uint32_t head = wheel->heads[next * STRIPE_COUNT + s];
        if (head != 0) { __builtin_prefetch(node_at(wheel, head), 1); }
    }
}

/* Go on to `next` in list s, with the one behind it on its way; a finished list gives its place to the last one. */
static inline uint32_t stripes_advance(const struct tg_wheel *wheel, uint32_t *cursors, uint32_t live, uint32_t s,
                                       uint32_t next, uint32_t ahead)
{
    if (next != 0) {
        cursors[s] = next;
        __builtin_prefetch(node_at(wheel, next), 1);
        if (ahead != 0) { __builtin_prefetch(node_at(wheel, ahead), 1); }
        return live;
    }
    cursors[s] = cursors[live - 1];
    return live - 1;
}

/* Hang the lists that were not walked to their end back into the bucket they came from. */
static TG_COLD void stripes_restore(struct tg_wheel *wheel, uint32_t level, uint32_t digit, const uint32_t *cursors,
                                    uint32_t live)
{
    for (uint32_t s = 0; s < live; s++) {
        struct tg_wheel_node *node = node_at(wheel, cursors[s]);
        node->prev = 0;
        wheel->heads[node->bucket - 1] = cursors[s];
    }
    bucket_mark(wheel, level, digit);
}

/* Empty a bucket whose first tick is the position: at a higher level, or at level 0 with the clock beyond it. What is
 * due comes out, the rest goes where it belongs now. Without room, due nodes of a higher level move down and level 0
 * stops. */
static void bucket_empty(struct tg_wheel *wheel, uint32_t level, uint32_t digit, struct expiry *expiry)
{
    uint32_t cursors[STRIPE_COUNT];
    uint32_t *heads = &wheel->heads[level * LEVEL_LISTS + digit * STRIPE_COUNT];
    uint32_t live = stripes_begin(wheel, heads, cursors);
    const uint32_t count_before = expiry->count;
    for (uint32_t s = 0; s < STRIPE_COUNT; s++) { heads[s] = 0; }
    bucket_clear(wheel, level, digit);
    while (live != 0) {
        for (uint32_t s = 0; s < live; s++) {
            const uint32_t link = cursors[s];
            struct tg_wheel_node *node = node_at(wheel, link);
            if (node->due > expiry->due_max) {
                live = stripes_advance(wheel, cursors, live, s, node->next, node->reserved);
                node_link(wheel, node, link);
            } else if (expiry->count < expiry->count_max) {
                live = stripes_advance(wheel, cursors, live, s, node->next, node->reserved);
                node->bucket = 0;
                expiry->values[expiry->count++] = value_of_node(wheel, node);
            } else if (level != 0) {
                live = stripes_advance(wheel, cursors, live, s, node->next, node->reserved);
                node_link(wheel, node, link);
            } else {
                stripes_restore(wheel, level, digit, cursors, live);
                live = 0;
            }
        }
    }
    wheel->count -= expiry->count - count_before;
}

/* Take what is due out of the bucket of the position, until there is no room. Nodes armed anew for later leave it,
 * nodes due in the same tick but not yet stay. */
static void bucket_drain(struct tg_wheel *wheel, struct expiry *expiry)
{
    uint32_t cursors[STRIPE_COUNT];
    const uint32_t digit = (uint32_t)wheel->position & (DIGIT_COUNT - 1);
    uint32_t live = stripes_begin(wheel, &wheel->heads[digit * STRIPE_COUNT], cursors);
    int64_t rest_due = INT64_MAX;
    while (live != 0) {
        for (uint32_t s = 0; s < live; s++) {
            const uint32_t link = cursors[s];
            struct tg_wheel_node *node = node_at(wheel, link);
            const uint32_t next = node->next;
            const uint32_t ahead = node->reserved;
            if (node->due <= expiry->due_max) {
                if (expiry->count == expiry->count_max) {
                    wheel->rest_due = INT64_MIN; /* not known: look again */
                    return;
                }
                node_unlink(wheel, node);
                expiry->values[expiry->count++] = value_of_node(wheel, node);
                wheel->count--;
            } else if (tick_of(wheel, node->due) > wheel->position) {
                node_unlink(wheel, node);
                node_link(wheel, node, link);
            } else if (node->due < rest_due) {
                rest_due = node->due;
            }
            live = stripes_advance(wheel, cursors, live, s, next, ahead);
        }
    }
    wheel->rest_due = rest_due;
}

/* Move the position to `cascade_at` and empty the buckets that begin there. */
static void wheel_cascade(struct tg_wheel *wheel, struct expiry *expiry)
{
    wheel->position = wheel->cascade_at;
    wheel->rest_due = INT64_MIN; /* of the bucket we have come to nothing is known */
    for (uint32_t level = 1; level < wheel->level_count; level++) {
        const uint32_t shift = level * DIGIT_BITS;
        if ((wheel->position & ((1ull << shift) - 1)) != 0) { break; }
        const uint32_t digit = (uint32_t)(wheel->position >> shift) & (DIGIT_COUNT - 1);
        if ((wheel->occupied[level][digit / 64] >> (digit % 64) & 1) == 1) {
            bucket_empty(wheel, level, digit, expiry);
        }
    }
    wheel->cascade_at = UINT64_MAX;
    for (uint32_t levels = wheel->used_levels & ~1u; levels != 0; levels &= levels - 1) {
        const uint32_t level = (uint32_t)__builtin_ctz(levels);
        const uint64_t start = bucket_start(wheel, level, bucket_first(wheel, level));
        if (start < wheel->cascade_at) { wheel->cascade_at = start; }
    }
}

uint32_t tg_wheel_expire(struct tg_wheel *wheel, int64_t clock, void **values, uint32_t count_max)
{
    TG_ASSERT(count_max >= 1);
    TG_ASSERT(clock >= wheel->clock);
    wheel->clock = clock;
    if (clock == TG_TS_MIN) { return 0; }
    struct expiry expiry = {
        .due_max = clock == TG_TS_MAX ? TG_TS_MAX : clock - 1, .values = values, .count_max = count_max};
    const uint64_t target = tick_of(wheel, clock);
    while (expiry.count < count_max) {
        uint64_t start = UINT64_MAX; /* of the next bucket of level 0; no tick number is that high */
        if ((wheel->used_levels & 1) != 0) { start = bucket_start(wheel, 0, bucket_first(wheel, 0)); }
        if (wheel->cascade_at <= start && wheel->cascade_at <= target) {
            wheel_cascade(wheel, &expiry);
            continue;
        }
        if (start > target) {
            if (wheel->position != target) { wheel->rest_due = INT64_MAX; } /* nothing in the bucket we come to */
            wheel->position = target;
            break;
        }
        if (start < target) {
            const uint32_t digit = (uint32_t)start & (DIGIT_COUNT - 1);
            wheel->position = start;
            wheel->rest_due = INT64_MIN;
            stripes_prefetch_after(wheel, digit);
            bucket_empty(wheel, 0, digit, &expiry);
            continue;
        }
        if (start != wheel->position || expiry.due_max >= wheel->rest_due) {
            wheel->position = start;
            bucket_drain(wheel, &expiry);
        }
        break;
    }
    return expiry.count;
}

uint64_t tg_wheel_count(const struct tg_wheel *wheel) { return wheel->count; }

/* ---- invariants ---- */

/* Assert one list; returns its length. */
static uint64_t check_list(const struct tg_wheel *wheel, uint32_t list)
{
    const uint32_t level = list / LEVEL_LISTS;
    const uint32_t digit = (list / STRIPE_COUNT) & (DIGIT_COUNT - 1);
    const uint64_t start = bucket_start(wheel, level, digit);
    uint64_t length = 0;
    uint32_t before = 0;
    for (uint32_t link = wheel->heads[list]; link != 0; link = node_at(wheel, link)->next) {
        const struct tg_wheel_node *node = node_at(wheel, link);
        TG_ASSERT(node->bucket == list + 1);
        TG_ASSERT(node->prev == before);
        TG_ASSERT(tick_to_look(wheel, node->due) >= start); /* we look in time */
        TG_ASSERT(start > wheel->position || level == 0);
        TG_ASSERT(start != wheel->position || node->due >= wheel->rest_due);
        length++;
        TG_ASSERT(length <= wheel->count);
        before = link;
    }
    TG_ASSERT(length == 0 || level == 0 || start >= wheel->cascade_at);
    return length;
}

void tg_wheel_check(const struct tg_wheel *wheel)
{
    uint64_t linked = 0;
    for (uint32_t bucket = 0; bucket < wheel->level_count * DIGIT_COUNT; bucket++) {
        uint64_t length = 0;
        for (uint32_t s = 0; s < STRIPE_COUNT; s++) { length += check_list(wheel, bucket * STRIPE_COUNT + s); }
        const uint32_t level = bucket / DIGIT_COUNT;
        const uint32_t digit = bucket % DIGIT_COUNT;
        TG_ASSERT((wheel->occupied[level][digit / 64] >> (digit % 64) & 1) == (length != 0));
        TG_ASSERT(length == 0 || (wheel->used_levels >> level & 1) == 1);
        TG_ASSERT((wheel->used_levels >> level & 1) == 0 || bucket_first(wheel, level) < DIGIT_COUNT);
        linked += length;
    }
    TG_ASSERT(linked == wheel->count);
    TG_ASSERT(wheel->clock == TG_TS_MIN || wheel->position <= tick_of(wheel, wheel->clock));
}
