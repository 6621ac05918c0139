/* Time is cut into ticks of 2^tick_bits microseconds. Level l has 256 buckets of 256^l ticks each, used as a ring: an
 * entry lies at the lowest level whose ring reaches its tick from the wheel's position. Bitmaps tell which buckets are
 * occupied and `cascade_at` when the next one above level 0 begins, so that the clock jumps over months as cheaply as
 * over a bucket. Four levels reach 2^32 ticks (49 days of 1 ms). What is due later waits in the far list: it is looked
 * at as a whole once the first of it may be due within half of that, so at most every 24 days, and whenever the clock
 * leaps. When entries are valid: wheel_set.h; how they are stored: wheel_lists.h.
 *
 * Rejected: choosing the level by the highest digit in which tick and position differ. It saves a subtraction, but
 * every timer beyond the next boundary of a large bucket then waits in that one bucket, and crossing the boundary
 * moves them all at once.
 *
 * When the position reaches a bucket of a higher level its entries move down. They say themselves at which tick to
 * look, so that no node is touched: a few nanoseconds each, whatever lies in the cache. Nodes are looked at when the
 * clock has passed their entry's tick. That is also where lazy re-arming is paid: a node says when it is due now, its
 * entry only when to look. Before nodes are looked at their entries gather in a stage, from as many buckets as it
 * takes, so that the nodes, far apart in memory, are prefetched at a full distance. (Rejected: buckets as lists that
 * run through the nodes. Measured in docs/decisions/0006: each step of a cascade or a walk is a miss, and the next one
 * begins only when the last has ended.)
 *
 * The position is the tick of the last microsecond that has passed, or one before it while no entry is to be looked at:
 * a call with nothing to do is one comparison. What is due in the tick of the position but later, or was armed for
 * before it, waits in one of 64 rest lists by its microsecond, so that a clock that creeps through a tick looks at each
 * node about once. */
#include "state/wheel.h"

#include "state/wheel_set.h"

enum {
    TICK_BITS_MIN = 1,       /* no tick number then is UINT64_MAX */
    POOL_PADDING_WORDS = 16, /* prefetched, never used */
};

struct sizes {
    size_t set_bytes;
    size_t wheels_bytes;
    size_t pool_bytes;
};

static struct sizes sizes_for(const struct tg_wheel_config *config, struct tg_wheel_set *set)
{
    TG_ASSERT(config->tick_bits >= TICK_BITS_MIN && config->tick_bits <= TG_WHEEL_TICK_BITS_MAX);
    TG_ASSERT(config->wheel_count >= 1 && config->wheel_count <= TG_WHEEL_COUNT_MAX);
    TG_ASSERT((config->node_offset & 7) == 0);
    *set = (struct tg_wheel_set){.wheel_count = config->wheel_count, .table = config->table};
    tg_wheel_limits(config, set);
    return (struct sizes){
        .set_bytes = sizeof *set,
        .wheels_bytes = config->wheel_count * sizeof(struct tg_wheel),
        .pool_bytes = ((size_t)set->pool.sizes[TG_WHEEL_SIZES - 1].end + POOL_PADDING_WORDS) * sizeof(uint64_t),
    };
}

size_t tg_wheel_bytes(const struct tg_wheel_config *config)
{
    struct tg_wheel_set set;
    const struct sizes sizes = sizes_for(config, &set);
    return sizes.set_bytes + 64 + sizes.wheels_bytes + 64 + sizes.pool_bytes + 4096;
}

tg_status tg_wheel_create(struct tg_wheel **wheels, const struct tg_wheel_config *config, struct tg_arena *arena,
                          struct tg_error *err)
{
    struct tg_wheel_set layout;
    const struct sizes sizes = sizes_for(config, &layout);
    struct tg_wheel_set *set = tg_arena_alloc(arena, sizes.set_bytes, 64);
    layout.wheels = tg_arena_alloc(arena, sizes.wheels_bytes, 64);
    layout.pool.words = tg_arena_alloc(arena, sizes.pool_bytes, 4096);
    if (set == NULL || layout.wheels == NULL || layout.pool.words == NULL) {
        return tg_fail(err, TG1601, 0, "no address space for %u timer wheels", config->wheel_count);
    }
    tg_arena_advise_huge(layout.pool.words, sizes.pool_bytes); /* chunks of one list lie anywhere */
    *set = layout;
    for (uint32_t i = 0; i < config->wheel_count; i++) {
        struct tg_wheel *wheel = &set->wheels[i]; /* its lists are zero: the arena's memory is */
        wheel->set = set;
        wheel->nodes = tg_table_slots(config->table)->base + sizeof(struct tg_slot) + config->node_offset;
        wheel->words = set->pool.words;
        wheel->node_offset = config->node_offset;
        wheel->tick_bits = config->tick_bits;
        wheel->rest_shift = config->tick_bits > TG_WHEEL_REST_BITS ? config->tick_bits - TG_WHEEL_REST_BITS : 0;
        wheel->tag = (uint64_t)(i + 1) << TG_WHEEL_LOOK_WHEEL_SHIFT;
        wheel->cascade_at = UINT64_MAX;
        wheel->far_at = UINT64_MAX;
        wheel->rest_at = UINT64_MAX;
        wheel->clock = TG_TS_MIN;
        tg_wheel_freshen(wheel);
        wheels[i] = wheel;
    }
    return TG_OK;
}

/* ---- entries outside the common case ---- */

/* A list of the ring is about to get its first entry. */
static void list_begins(struct tg_wheel *wheel, uint32_t list)
{
    const uint32_t level = (list - TG_WHEEL_RING) / TG_WHEEL_DIGIT_COUNT;
    const uint32_t digit = (list - TG_WHEEL_RING) % TG_WHEEL_DIGIT_COUNT;
    tg_wheel_bucket_mark(wheel, level, digit);
    if (level == 0) { return; }
    const uint64_t start = tg_wheel_bucket_start(wheel, level, digit);
    if (start < wheel->cascade_at) { wheel->cascade_at = start; }
}

void tg_wheel_link_slowly(struct tg_wheel *wheel, struct tg_wheel_node *node)
{
    struct tg_wheel_set *set = wheel->set;
    const uint64_t tick = tg_wheel_tick(wheel, node->due);
    uint32_t list = TG_WHEEL_FAR;
    uint64_t look = TG_WHEEL_LOOK_FAR;
    uint64_t instant; /* before that nobody needs to look */
    if (tick <= wheel->position) {
        const uint32_t micros = tg_wheel_rest_look(wheel, node->due);
        list = TG_WHEEL_REST + (micros >> wheel->rest_shift);
        look = TG_WHEEL_LOOK_REST | micros;
        instant = tg_wheel_instant(node->due);
        wheel->rest_lists |= 1ull << (micros >> wheel->rest_shift);
        if (micros < wheel->rest_at) { wheel->rest_at = micros; }
    } else {
        list = tg_wheel_list_for(wheel, tick);
        if (list != TG_WHEEL_FAR) {
            look = (uint32_t)tick;
            instant = tick << wheel->tick_bits;
            if (wheel->fresh[list] == 0) { list_begins(wheel, list); }
        } else {
            if (tick - TG_WHEEL_FAR_AHEAD < wheel->far_at) { wheel->far_at = tick - TG_WHEEL_FAR_AHEAD; }
            instant = wheel->far_at << wheel->tick_bits;
        }
    }
    tg_wheel_disquiet(wheel, instant);
    tg_wheel_list_push(&set->pool, &wheel->fresh[list], tg_wheel_entry(tg_wheel_slot_of(wheel, node), (uint32_t)look));
    node->look = wheel->fresh_tag | look;
}

/* ---- arming ---- */

/* True when the entry that `look` names will be looked at before a node due then is late. */
static inline bool looks_in_time(const struct tg_wheel *wheel, uint64_t look, int64_t due)
{
    if ((look & TG_WHEEL_LOOK_WHEEL) != wheel->tag) { return false; }
    const uint64_t tick = tg_wheel_tick(wheel, due);
    if (TG_LIKELY((look & (TG_WHEEL_LOOK_REST | TG_WHEEL_LOOK_FAR)) == 0)) {
        const uint64_t distance = tick > wheel->position ? tick - wheel->position : 0;
        return (uint32_t)look - (uint32_t)wheel->position <= distance;
    }
    if ((look & TG_WHEEL_LOOK_FAR) != 0) { return tick >= wheel->far_at; }
    return tick > wheel->position || tg_wheel_rest_look(wheel, due) >= (uint32_t)look;
}

/* Apart from tg_wheel_arm, which then needs no registers saved. */
static __attribute__((noinline)) void arm_slowly(struct tg_wheel *wheel, struct tg_wheel_node *node)
{
    tg_wheel_link_slowly(wheel, node);
    if (wheel->set->stale_room < wheel->set->sweep_below) { tg_wheel_sweep(wheel->set); }
}

void tg_wheel_arm(struct tg_wheel *wheel, void *value, int64_t due)
{
    struct tg_wheel_node *node = tg_wheel_node_of(wheel, value);
    const uint64_t look = node->look;
    node->due = due;
    if (looks_in_time(wheel, look, due)) {
        if ((look & TG_WHEEL_LOOK_ARMED) != 0) { return; }
        node->look = look | TG_WHEEL_LOOK_ARMED;
        wheel->count++;
        wheel->set->stale_room += TG_WHEEL_ROOM_ARMED;
        return;
    }
    TG_DCHECK((look & TG_WHEEL_LOOK_ARMED) == 0 || (look & TG_WHEEL_LOOK_WHEEL) == wheel->tag);
    const uint32_t newly = (look & TG_WHEEL_LOOK_ARMED) == 0;
    struct tg_wheel_set *set = wheel->set;
    const int64_t room = set->stale_room + (newly != 0 ? TG_WHEEL_ROOM_ARMED : 0) - TG_WHEEL_ROOM_ENTRY;
    wheel->count += newly;
    set->stale_room = room;
    if (!tg_wheel_link_fast(wheel, node)) {
        arm_slowly(wheel, node);
    } else if (TG_UNLIKELY(room < set->sweep_below)) {
        tg_wheel_sweep(set);
    }
}

void tg_wheel_disarm(struct tg_wheel *wheel, void *value)
{
    struct tg_wheel_node *node = tg_wheel_node_of(wheel, value);
    if ((node->look & TG_WHEEL_LOOK_ARMED) == 0) { return; }
    TG_DCHECK((node->look & TG_WHEEL_LOOK_WHEEL) == wheel->tag);
    node->look &= ~TG_WHEEL_LOOK_ARMED;
    wheel->count--;
    wheel->set->stale_room -= TG_WHEEL_ROOM_ARMED;
}

/* ---- expiry ---- */

struct expiry {
    int64_t due_max; /* inclusive */
    uint64_t target; /* its tick */
    void **values;
    uint32_t count;
    uint32_t count_max;
    /* Taken off their lists, nodes not looked at yet; never more than there is room for. */
    uint32_t staged;
    uint32_t slots[TG_WHEEL_STAGE_COUNT];
    uint64_t looks[TG_WHEEL_STAGE_COUNT]; /* what the node says if the entry is valid, but for ARMED */
};

static inline uint32_t stage_limit(const struct expiry *expiry)
{
    const uint32_t room = expiry->count_max - expiry->count;
    return room < TG_WHEEL_STAGE_COUNT ? room : TG_WHEEL_STAGE_COUNT;
}

static inline struct tg_wheel_node *node_at(uint8_t *nodes, uint32_t slot)
{
    return (struct tg_wheel_node *)(void *)(nodes + ((uint64_t)slot << TG_SLOT_UNIT_BITS));
}
/* Into the second-level cache: more prefetches can be under way to there than to the first level. */
static inline void prefetch_node(uint8_t *nodes, uint32_t slot) { __builtin_prefetch(node_at(nodes, slot), 0, 2); }

static inline void stage_add(const struct tg_wheel *wheel, struct expiry *expiry, uint64_t entry, uint64_t kind)
{
    const uint32_t slot = tg_wheel_entry_slot(entry);
    if (expiry->staged < TG_WHEEL_PREFETCH_AHEAD) { prefetch_node(wheel->nodes, slot); }
    expiry->slots[expiry->staged] = slot;
    expiry->looks[expiry->staged] = kind | tg_wheel_entry_look(entry);
    expiry->staged++;
}

/* Move entries from a list to the stage until the list is empty or `limit` are staged. Returns what the list is then.
 */
static inline uint64_t stage_take(const struct tg_wheel *wheel, struct expiry *expiry, uint64_t list, uint64_t kind,
                                  uint32_t limit)
{
    struct tg_wheel_pool *pool = &wheel->set->pool;
    while (list != 0 && expiry->staged < limit) {
        uint32_t count;
        const uint64_t *entries = tg_wheel_chunk_entries(pool, list, &count);
        const uint32_t room = limit - expiry->staged;
        const uint32_t taken = count < room ? count : room;
        for (uint32_t i = 0; i < taken; i++) { stage_add(wheel, expiry, entries[count - 1 - i], kind); }
        list = tg_wheel_list_drop(pool, list, taken);
    }
    return list;
}

/* Look at the nodes of the stage: what is due comes out while there is room, what is armed for later or finds no room
 * goes where it belongs now, stale entries are gone. Whether a node is due or was armed anew cannot be predicted, so
 * that decides no branch. */
static void stage_visit(struct tg_wheel *wheel, struct expiry *expiry)
{
    uint32_t later[TG_WHEEL_STAGE_COUNT];
    uint32_t later_count = 0;
    void *nowhere;
    const uint32_t staged = expiry->staged;
    const uint32_t room = expiry->count_max - expiry->count;
    void **const values = room != 0 ? expiry->values + expiry->count : &nowhere;
    uint32_t fired = 0;
    const int64_t due_max = expiry->due_max;
    uint8_t *const nodes = wheel->nodes;
    const uint64_t offset = wheel->node_offset;
    TG_DCHECK(room == 0 || staged <= room);
    for (uint32_t i = 0; i < staged; i++) {
        if (i + TG_WHEEL_PREFETCH_AHEAD < staged) { prefetch_node(nodes, expiry->slots[i + TG_WHEEL_PREFETCH_AHEAD]); }
        struct tg_wheel_node *node = node_at(nodes, expiry->slots[i]);
        const uint64_t look = node->look;
        if ((look & ~TG_WHEEL_LOOK_ARMED) != expiry->looks[i]) { continue; }
        const uint32_t armed = (uint32_t)(look >> TG_WHEEL_LOOK_ARMED_SHIFT) & 1;
        const uint32_t due = armed & (node->due <= due_max) & (room != 0);
        node->look = look & -(uint64_t)(armed ^ due);
        values[fired] = (uint8_t *)node - offset;
        fired += due;
        later[later_count] = expiry->slots[i];
        later_count += armed ^ due;
    }
    for (uint32_t i = 0; i < later_count; i++) { tg_wheel_link(wheel, tg_wheel_node_at(wheel, later[i])); }
    wheel->set->stale_room +=
        (int64_t)(staged - later_count) * TG_WHEEL_ROOM_ENTRY - (int64_t)fired * TG_WHEEL_ROOM_ARMED;
    wheel->count -= fired;
    expiry->count += fired;
    expiry->staged = 0;
}

/* Stage what a list holds in both spaces. */
static inline void take_list(struct tg_wheel *wheel, struct expiry *expiry, uint32_t list, uint32_t limit)
{
    for (uint32_t space = 0; space < 2; space++) {
        uint64_t *const number = &wheel->lists[space][list];
        if (*number == 0) { continue; }
        *number = stage_take(wheel, expiry, *number, tg_wheel_look_of(wheel, space, list), limit);
    }
    tg_wheel_list_emptied(wheel, list);
}

/* ---- the tick of the position ---- */

/* Stage the entries of a rest list that are to be looked at by `look_max`; the others stay, and lower `rest_at`. */
static void take_rest_part(struct tg_wheel *wheel, struct expiry *expiry, uint32_t list, uint32_t look_max)
{
    struct tg_wheel_pool *pool = &wheel->set->pool;
    const uint32_t limit = stage_limit(expiry);
    for (uint32_t space = 0; space < 2; space++) {
        uint64_t *const from = &wheel->lists[space][list];
        const uint64_t kind = tg_wheel_look_of(wheel, space, list);
        uint64_t kept = 0;
        while (*from != 0 && expiry->staged < limit) {
            const uint64_t entry = tg_wheel_list_pop(pool, from);
            const uint32_t look = tg_wheel_entry_look(entry);
            if (look <= look_max) {
                stage_add(wheel, expiry, entry, kind);
            } else {
                if (look < wheel->rest_at) { wheel->rest_at = look; }
                tg_wheel_list_push(pool, &kept, entry);
            }
        }
        while (kept != 0) { tg_wheel_list_push(pool, from, tg_wheel_list_pop(pool, &kept)); }
    }
    tg_wheel_list_emptied(wheel, list);
}

/* Take out what is due of the tick of the position: all there is when the clock goes on to another tick. False when
 * there was no room. */
static bool expire_rest(struct tg_wheel *wheel, struct expiry *expiry)
{
    uint32_t look_max = UINT32_MAX;
    uint32_t part = TG_WHEEL_REST_COUNT; /* the list whose time has begun but not ended */
    if (expiry->target == wheel->position) {
        look_max = tg_wheel_rest_look(wheel, expiry->due_max);
        if (look_max < wheel->rest_at) { return true; }
        part = look_max >> wheel->rest_shift;
    }
    wheel->rest_at = UINT64_MAX;
    while (expiry->count < expiry->count_max && wheel->rest_lists != 0) {
        const uint32_t list = (uint32_t)__builtin_ctzll(wheel->rest_lists);
        if (list > part) { break; }
        const uint32_t limit = stage_limit(expiry);
        if (list < part) {
            take_list(wheel, expiry, TG_WHEEL_REST + list, limit);
        } else {
            take_rest_part(wheel, expiry, TG_WHEEL_REST + list, look_max);
        }
        const bool done = list == part && expiry->staged < limit;
        stage_visit(wheel, expiry);
        if (done) { break; }
    }
    if (expiry->count == expiry->count_max) {
        if (wheel->rest_lists != 0) { wheel->rest_at = 0; } /* not known: look again */
        return false;
    }
    const uint64_t later = part < TG_WHEEL_REST_COUNT - 1 ? wheel->rest_lists & (~0ull << (part + 1)) : 0;
    if (later != 0) {
        const uint64_t start = (uint64_t)__builtin_ctzll(later) << wheel->rest_shift;
        if (start < wheel->rest_at) { wheel->rest_at = start; }
    }
    return true;
}

/* ---- the ring ---- */

/* Move the entries of a list of a bucket that begins at the position to lower levels. No node is looked at. */
static void cascade_list(struct tg_wheel *wheel, uint32_t space, uint32_t level, uint32_t digit)
{
    struct tg_wheel_pool *pool = &wheel->set->pool;
    uint64_t *const ring = &wheel->lists[space][TG_WHEEL_RING];
    const uint32_t here = (uint32_t)wheel->position; /* where all lower levels wrap */
    uint64_t list = ring[level * TG_WHEEL_DIGIT_COUNT + digit];
    ring[level * TG_WHEEL_DIGIT_COUNT + digit] = 0;
    while (list != 0) {
        uint32_t count;
        const uint64_t *entries = tg_wheel_chunk_entries(pool, list, &count);
        for (uint32_t i = 0; i < count; i += 8) { __builtin_prefetch(&entries[i]); } /* all lines at once */
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t look = tg_wheel_entry_look(entries[i]);
            uint32_t lower = 0;
            if (level != 1) {
                const uint32_t distance = look - here;
                lower = (distance >= 1u << TG_WHEEL_DIGIT_BITS) + (distance >= 1u << (2 * TG_WHEEL_DIGIT_BITS));
            }
            const uint32_t to = (look >> (lower * TG_WHEEL_DIGIT_BITS)) & (TG_WHEEL_DIGIT_COUNT - 1);
            uint64_t *const target = &ring[lower * TG_WHEEL_DIGIT_COUNT + to];
            if (TG_UNLIKELY(*target == 0)) { tg_wheel_bucket_mark(wheel, lower, to); }
            tg_wheel_list_push(pool, target, entries[i]);
        }
        list = tg_wheel_list_drop(pool, list, count);
    }
}

/* Move the position to `cascade_at` and empty the buckets that begin there. */
static void wheel_cascade(struct tg_wheel *wheel)
{
    wheel->position = wheel->cascade_at;
    for (uint32_t level = TG_WHEEL_LEVEL_COUNT - 1; level > 0; level--) {
        const uint32_t shift = level * TG_WHEEL_DIGIT_BITS;
        if ((wheel->position & ((1ull << shift) - 1)) != 0) { continue; }
        const uint32_t digit = (uint32_t)(wheel->position >> shift) & (TG_WHEEL_DIGIT_COUNT - 1);
        if ((wheel->occupied[level][digit / 64] >> (digit % 64) & 1) == 0) { continue; }
        tg_wheel_bucket_clear(wheel, level, digit);
        cascade_list(wheel, 0, level, digit);
        cascade_list(wheel, 1, level, digit);
    }
    wheel->cascade_at = UINT64_MAX;
    for (uint32_t levels = wheel->used_levels & ~1u; levels != 0; levels &= levels - 1) {
        const uint32_t level = (uint32_t)__builtin_ctz(levels);
        const uint64_t start = tg_wheel_bucket_start(wheel, level, tg_wheel_bucket_first(wheel, level));
        if (start < wheel->cascade_at) { wheel->cascade_at = start; }
    }
}

/* Move the position on towards the target and stage what the finest buckets on the way hold. False when the target is
 * reached and nothing more was staged. */
static bool stage_ring(struct tg_wheel *wheel, struct expiry *expiry)
{
    const uint32_t limit = stage_limit(expiry);
    while (expiry->staged < limit) {
        uint32_t digit = 0;
        uint64_t start = UINT64_MAX; /* no tick number is that high */
        if ((wheel->used_levels & 1) != 0) {
            digit = tg_wheel_bucket_first(wheel, 0);
            start = tg_wheel_bucket_start(wheel, 0, digit);
        }
        if (wheel->cascade_at <= start && wheel->cascade_at <= expiry->target) {
            wheel_cascade(wheel);
            continue;
        }
        if (start > expiry->target) {
            wheel->position = expiry->target;
            break;
        }
        wheel->position = start;
        tg_wheel_list_prefetch(&wheel->set->pool,
                               wheel->fresh[TG_WHEEL_RING + ((digit + 1) & (TG_WHEEL_DIGIT_COUNT - 1))]);
        take_list(wheel, expiry, TG_WHEEL_RING + digit, limit);
    }
    return expiry->staged != 0;
}

/* Look at all of the far list. What is due and finds no room is found in the rest lists by the next call. */
static void expire_far(struct tg_wheel *wheel, struct expiry *expiry)
{
    wheel->far_at = UINT64_MAX;
    for (uint32_t turn = 0; turn < 2; turn++) { /* the space that grows meanwhile first */
        const uint32_t space = wheel->set->space ^ turn;
        const uint64_t kind = tg_wheel_look_of(wheel, space, TG_WHEEL_FAR);
        uint64_t list = wheel->lists[space][TG_WHEEL_FAR];
        wheel->lists[space][TG_WHEEL_FAR] = 0;
        while (list != 0) {
            const uint32_t limit = stage_limit(expiry);
            list = stage_take(wheel, expiry, list, kind, limit != 0 ? limit : TG_WHEEL_STAGE_COUNT);
            stage_visit(wheel, expiry);
        }
    }
}

/* When the first entry is to be looked at. */
static uint64_t quiet_instant(const struct tg_wheel *wheel)
{
    uint64_t tick = wheel->cascade_at < wheel->far_at ? wheel->cascade_at : wheel->far_at;
    if ((wheel->used_levels & 1) != 0) {
        const uint64_t start = tg_wheel_bucket_start(wheel, 0, tg_wheel_bucket_first(wheel, 0));
        tick = start < tick ? start : tick;
    }
    const uint64_t instant = tick == UINT64_MAX ? UINT64_MAX : tick << wheel->tick_bits;
    if (wheel->rest_at == UINT64_MAX) { return instant; }
    const uint64_t rest = (wheel->position << wheel->tick_bits) + wheel->rest_at;
    return rest < instant ? rest : instant;
}

uint32_t tg_wheel_expire(struct tg_wheel *wheel, int64_t clock, void **values, uint32_t count_max)
{
    TG_ASSERT(count_max >= 1);
    TG_ASSERT(clock >= wheel->clock);
    wheel->clock = clock;
    if (clock == TG_TS_MIN) { return 0; }
    const int64_t due_max = clock == TG_TS_MAX ? TG_TS_MAX : clock - 1;
    if (tg_wheel_instant(due_max) < wheel->quiet_until) { return 0; } /* the position may stay behind */
    wheel->quiet_until = 0;
    struct expiry expiry;
    expiry.due_max = due_max;
    expiry.target = tg_wheel_tick(wheel, due_max);
    expiry.values = values;
    expiry.count = 0;
    expiry.count_max = count_max;
    expiry.staged = 0;
    if (!expire_rest(wheel, &expiry)) { return expiry.count; }
    while (expiry.count < count_max && stage_ring(wheel, &expiry)) { stage_visit(wheel, &expiry); }
    if (expiry.count < count_max && wheel->far_at <= wheel->position) { expire_far(wheel, &expiry); }
    if (expiry.count < count_max) { wheel->quiet_until = quiet_instant(wheel); }
    return expiry.count;
}

uint64_t tg_wheel_count(const struct tg_wheel *wheel) { return wheel->count; }
