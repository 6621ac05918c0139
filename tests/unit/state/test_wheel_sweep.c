/* Claims about the wheel's stale entries: whatever is done to a few keys for however long, they stay bounded, nothing is
 * lost, nothing fires that was not armed. And about rebuilding from the nodes. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "base/key.h"
#include "base/prng.h"
#include "state/wheel.h"
#include "state/wheel_set.h"
#include "tests/seed.h"

enum { KEYS_MAX = 4000, WHEELS_MAX = 5, STEPS = 300000 };
#define NOW 1750000000000000
#define SECOND 1000000ll

struct payload {
    uint64_t id;
    struct tg_wheel_node node;
};
struct key_model {
    struct payload *payload; /* NULL = not in the table */
    bool armed;
    uint32_t wheel;
    int64_t due;
};
struct rig {
    struct tg_arena arena;
    struct tg_heap *heap;
    struct tg_table *table;
    struct tg_wheel *wheels[WHEELS_MAX];
    int64_t clocks[WHEELS_MAX];
    uint32_t wheel_count;
    uint32_t key_count;
    struct tg_wheel_config config;
    struct key_model keys[KEYS_MAX];
    struct tg_prng prng;
    uint64_t seed;
    uint64_t sweeps; /* seen to begin */
    uint32_t space;
};

static void create_wheels(struct rig *rig)
{
    struct tg_error err = {0};
    cr_assert_eq(tg_wheel_create(rig->wheels, &rig->config, &rig->arena, &err), TG_OK);
    rig->space = rig->wheels[0]->set->space;
}

static void open_rig(struct rig *rig, uint32_t key_count, uint32_t wheel_count, uint32_t tick_bits)
{
    struct tg_error err = {0};
    memset(rig, 0, sizeof *rig);
    rig->key_count = key_count;
    rig->wheel_count = wheel_count;
    rig->seed = tg_test_seed();
    rig->prng.state = rig->seed;
    const struct tg_table_config table = {
        .entry_count_max = key_count, .hash_seed = 77777, .value_bytes = sizeof(struct payload)};
    rig->config = (struct tg_wheel_config){.entry_count_max = key_count,
                                           .wheel_count = wheel_count,
                                           .node_offset = offsetof(struct payload, node),
                                           .tick_bits = tick_bits};
    const size_t bytes = tg_table_bytes(&table) + tg_heap_bytes(4096) + 2 * tg_wheel_bytes(&rig->config);
    cr_assert_eq(tg_arena_open(&rig->arena, bytes, &err), TG_OK);
    cr_assert_eq(tg_heap_create(&rig->heap, 4096, &rig->arena, &err), TG_OK);
    cr_assert_eq(tg_table_create(&rig->table, &table, rig->heap, &rig->arena, &err), TG_OK);
    rig->config.table = rig->table;
    create_wheels(rig);
    for (uint32_t w = 0; w < wheel_count; w++) {
        void *fired[1];
        rig->clocks[w] = NOW;
        cr_assert_eq(tg_wheel_expire(rig->wheels[w], NOW, fired, 1), 0);
    }
}

static void create_key(struct rig *rig, uint64_t id)
{
    const struct tg_key key = {(const uint8_t *)&id, 8};
    const uint64_t hash = tg_key_hash(key.data, 8);
    void *value;
    uint64_t fresh;
    cr_assert_eq(tg_table_upsert(rig->table, 1, &key, &hash, &value, &fresh), 1);
    rig->keys[id].payload = value;
    rig->keys[id].payload->id = id;
}

static void disarm(struct rig *rig, uint32_t id)
{
    struct key_model *key = &rig->keys[id];
    if (key->payload == NULL) { return; }
    tg_wheel_disarm(rig->wheels[key->wheel], key->payload);
    key->armed = false;
}

static void arm(struct rig *rig, uint32_t id, uint32_t wheel, int64_t due)
{
    struct key_model *key = &rig->keys[id];
    if (key->payload == NULL) { create_key(rig, id); }
    if (key->armed && key->wheel != wheel) { disarm(rig, id); }
    key->armed = true;
    key->wheel = wheel;
    key->due = due;
    tg_wheel_arm(rig->wheels[wheel], key->payload, due);
    const uint32_t space = rig->wheels[0]->set->space;
    rig->sweeps += space != rig->space;
    rig->space = space;
}

static void forget(struct rig *rig, uint32_t id)
{
    struct key_model *key = &rig->keys[id];
    if (key->payload == NULL) { return; }
    disarm(rig, id);
    tg_table_remove(rig->table, key->payload);
    key->payload = NULL;
}

/* Move a clock and compare: exactly what is due comes out, once; some of it is forgotten. */
static void expire(struct rig *rig, uint32_t wheel, int64_t clock)
{
    void *fired[64];
    uint32_t got;
    rig->clocks[wheel] = clock;
    const uint32_t count_max = 1 + tg_prng_below(&rig->prng, 64);
    do {
        got = tg_wheel_expire(rig->wheels[wheel], clock, fired, count_max);
        for (uint32_t i = 0; i < got; i++) {
            struct key_model *key = &rig->keys[((struct payload *)fired[i])->id];
            cr_assert_eq(key->payload, fired[i]);
            cr_assert(key->armed && key->wheel == wheel, "seed %" PRIu64 ": fired, not armed here", rig->seed);
            cr_assert(key->due < clock || clock == TG_TS_MAX, "seed %" PRIu64 ": early", rig->seed);
            key->armed = false;
            if (tg_prng_below(&rig->prng, 3) == 0) { forget(rig, (uint32_t)((struct payload *)fired[i])->id); }
        }
    } while (got == count_max);
    for (uint32_t i = 0; i < rig->key_count; i++) {
        const struct key_model *key = &rig->keys[i];
        const bool late = key->armed && key->wheel == wheel && (key->due < clock || clock == TG_TS_MAX);
        cr_assert_not(late, "seed %" PRIu64 ": key %u due %" PRId64 " at %" PRId64, rig->seed, i, key->due, clock);
    }
}

static void close_rig(struct rig *rig)
{
    tg_wheel_check(rig->wheels[0]);
    for (uint32_t w = 0; w < rig->wheel_count; w++) {
        expire(rig, w, TG_TS_MAX);
        cr_assert_eq(tg_wheel_count(rig->wheels[w]), 0);
    }
    tg_wheel_check(rig->wheels[0]);
    tg_arena_close(&rig->arena);
}

/* ---- patterns that leave stale entries behind; each runs long enough to overflow a pool without sweeps ---- */

static void far_and_near(struct rig *rig, uint32_t step)
{
    const uint32_t id = step % rig->key_count;
    disarm(rig, id);
    arm(rig, id, 0, NOW + (step & 1 ? 3600 * SECOND : 1800 * SECOND - (int64_t)step * 1001));
}
static void descending(struct rig *rig, uint32_t step)
{
    arm(rig, step % rig->key_count, 0, NOW + 86400 * SECOND - (int64_t)step * 200000);
}
/* The same instant each time, and the slots come back in turn: entries look alike. */
static void forgotten_and_met_again(struct rig *rig, uint32_t step)
{
    const uint32_t id = step % rig->key_count;
    forget(rig, id);
    arm(rig, id, 0, NOW + 86400 * SECOND);
}
static void forgotten_together(struct rig *rig, uint32_t step)
{
    if (step % rig->key_count == 0) {
        for (uint32_t i = 0; i < rig->key_count; i++) { forget(rig, i); }
    }
    arm(rig, step % rig->key_count, 0, NOW + 40 * SECOND);
}
static void from_clock_to_clock(struct rig *rig, uint32_t step)
{
    arm(rig, step % rig->key_count, step / rig->key_count % rig->wheel_count, NOW + 60 * SECOND);
}
static void beyond_the_ring(struct rig *rig, uint32_t step)
{
    const uint32_t id = step % rig->key_count;
    forget(rig, id);
    arm(rig, id, 0, NOW + 300 * 86400 * SECOND);
}
static void below_the_clock(struct rig *rig, uint32_t step)
{
    const uint32_t id = step % rig->key_count;
    forget(rig, id);
    arm(rig, id, 0, NOW - 1000000 + (step & 1023));
}

static void run_pattern(void (*pattern)(struct rig *, uint32_t), uint32_t key_count, uint32_t wheel_count)
{
    static struct rig rig;
    open_rig(&rig, key_count, wheel_count, TG_WHEEL_TICK_BITS);
    cr_assert_lt(2 * rig.wheels[0]->set->entry_bound, STEPS, "long enough to tell");
    for (uint32_t step = 0; step < STEPS; step++) {
        pattern(&rig, step);
        if (step % 10007 == 0) { tg_wheel_check(rig.wheels[0]); }
    }
    cr_assert_gt(rig.sweeps, 4);
    close_rig(&rig);
}

Test(wheel_sweep, keeps_up_with_one_key_armed_far_and_near_for_ever) { run_pattern(far_and_near, 1, 1); }
Test(wheel_sweep, keeps_up_with_keys_armed_far_and_near) { run_pattern(far_and_near, 999, 2); }
Test(wheel_sweep, keeps_up_with_descending_instants) { run_pattern(descending, 37, 1); }
Test(wheel_sweep, keeps_up_with_one_key_forgotten_and_met_again) { run_pattern(forgotten_and_met_again, 1, 1); }
Test(wheel_sweep, keeps_up_with_keys_forgotten_and_met_again) { run_pattern(forgotten_and_met_again, 1000, 2); }
Test(wheel_sweep, keeps_up_with_keys_forgotten_together) { run_pattern(forgotten_together, 500, 1); }
Test(wheel_sweep, keeps_up_with_keys_that_change_their_clock) { run_pattern(from_clock_to_clock, 300, WHEELS_MAX); }
Test(wheel_sweep, keeps_up_beyond_the_ring) { run_pattern(beyond_the_ring, 64, 1); }
Test(wheel_sweep, keeps_up_below_the_clock) { run_pattern(below_the_clock, 64, 1); }

/* ---- everything at once ---- */

static int64_t some_instant(struct rig *rig, uint32_t wheel, int64_t before)
{
    static const int64_t spans[] = {1, 1000, SECOND, 600 * SECOND, 86400 * SECOND, 400 * 86400 * SECOND};
    const int64_t span = spans[tg_prng_below(&rig->prng, sizeof spans / sizeof spans[0])];
    const int64_t into = (int64_t)(tg_prng_next(&rig->prng) % (uint64_t)(2 * span));
    switch (tg_prng_below(&rig->prng, 5)) {
    case 0: return NOW + 3600 * SECOND; /* one that all share */
    case 2: return before - (int64_t)tg_prng_below(&rig->prng, 2000);
    case 1: return rig->clocks[wheel] - span / 2 + into;
    default: return rig->clocks[wheel] + into;
    }
}

static void run_random(uint32_t key_count, uint32_t wheel_count, uint32_t tick_bits, uint32_t clock_every)
{
    static struct rig rig;
    open_rig(&rig, key_count, wheel_count, tick_bits);
    for (uint32_t step = 0; step < STEPS; step++) {
        const uint32_t id = tg_prng_below(&rig.prng, key_count);
        const uint32_t wheel = tg_prng_below(&rig.prng, wheel_count);
        switch (tg_prng_below(&rig.prng, 8)) {
        case 0: disarm(&rig, id); break;
        case 1: forget(&rig, id); break;
        default: arm(&rig, id, wheel, some_instant(&rig, wheel, rig.keys[id].due)); break;
        }
        if (tg_prng_below(&rig.prng, clock_every) == 0) {
            const uint32_t magnitude = tg_prng_below(&rig.prng, 32);
            expire(&rig, wheel, rig.clocks[wheel] + (int64_t)(tg_prng_next(&rig.prng) & ((1ull << magnitude) - 1)));
        }
        if (step % 20011 == 0) { tg_wheel_check(rig.wheels[0]); }
        if (step % 50021 == 0) { tg_wheel_rebuild(rig.wheels[wheel_count - 1]); }
    }
    cr_assert_gt(rig.sweeps, 4);
    close_rig(&rig);
}

Test(wheel_sweep, loses_nothing_with_few_keys) { run_random(50, 2, 10, 500); }
Test(wheel_sweep, loses_nothing_with_many_keys_and_a_busy_clock) { run_random(3000, 3, 10, 300); }
Test(wheel_sweep, loses_nothing_while_a_clock_hardly_moves) { run_random(2000, 1, 12, 5000); }
Test(wheel_sweep, loses_nothing_with_the_coarsest_tick) { run_random(700, 2, 32, 400); }

/* ---- rebuilding ---- */

Test(wheel_sweep, new_wheels_find_all_timers_in_the_nodes_that_came_back)
{
    static struct rig rig;
    open_rig(&rig, KEYS_MAX, 3, TG_WHEEL_TICK_BITS);
    for (uint32_t step = 0; step < 20000; step++) {
        const uint32_t wheel = tg_prng_below(&rig.prng, 3);
        const uint32_t id = tg_prng_below(&rig.prng, KEYS_MAX);
        arm(&rig, id, wheel, some_instant(&rig, wheel, rig.keys[id].due));
        if (tg_prng_below(&rig.prng, 5) == 0) { disarm(&rig, id); }
        if (tg_prng_below(&rig.prng, 7) == 0) { forget(&rig, id); }
    }
    for (uint32_t w = 0; w < 3; w++) { expire(&rig, w, NOW + 5 * SECOND); }
    create_wheels(&rig); /* as after a restore: the table's values are there, nothing else */
    for (uint32_t w = 0; w < 3; w++) {
        void *fired[1];
        cr_assert_eq(tg_wheel_expire(rig.wheels[w], rig.clocks[w], fired, 1), 0);
    }
    tg_wheel_rebuild(rig.wheels[0]);
    tg_wheel_check(rig.wheels[0]);
    uint64_t armed = 0;
    for (uint32_t i = 0; i < KEYS_MAX; i++) { armed += rig.keys[i].armed; }
    cr_assert_gt(armed, 1000);
    cr_assert_eq(tg_wheel_count(rig.wheels[0]) + tg_wheel_count(rig.wheels[1]) + tg_wheel_count(rig.wheels[2]), armed);
    for (uint32_t hour = 1; hour < 50; hour++) {
        for (uint32_t w = 0; w < 3; w++) { expire(&rig, w, NOW + hour * 3600 * SECOND); }
    }
    close_rig(&rig);
}
