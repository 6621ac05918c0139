/* Claims about the timer wheel against a model that is an array of due instants. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "base/key.h"
#include "base/prng.h"
#include "state/wheel.h"
#include "tests/seed.h"

enum { TIMERS = 2000, WHEELS = 3 };

struct payload {
    uint64_t id;
    struct tg_wheel_node node;
};
struct timer {
    struct payload *payload;
    bool armed;
    uint32_t wheel;
    int64_t due;
};
struct fixture {
    struct tg_arena arena;
    struct tg_heap *heap;
    struct tg_table *table;
    struct tg_wheel *wheels[WHEELS];
    int64_t clocks[WHEELS];
    struct timer timers[TIMERS];
    uint64_t seed;
};

static void create_key(struct fixture *f, uint64_t id)
{
    const struct tg_key key = {(const uint8_t *)&id, 8};
    const uint64_t hash = tg_key_hash(key.data, 8);
    void *value;
    uint64_t fresh;
    cr_assert_eq(tg_table_upsert(f->table, 1, &key, &hash, &value, &fresh), 1);
    cr_assert_eq(fresh, 1);
    f->timers[id].payload = value;
    f->timers[id].payload->id = id;
}

static void open_fixture(struct fixture *f, uint32_t tick_bits)
{
    struct tg_error err = {0};
    memset(f, 0, sizeof *f);
    const struct tg_table_config config = {
        .entry_count_max = TIMERS, .hash_seed = 77777, .value_bytes = sizeof(struct payload)};
    struct tg_wheel_config wheel = {.entry_count_max = TIMERS,
                                    .wheel_count = WHEELS,
                                    .node_offset = offsetof(struct payload, node),
                                    .tick_bits = tick_bits};
    cr_assert_eq(
        tg_arena_open(&f->arena, tg_table_bytes(&config) + tg_heap_bytes(4096) + tg_wheel_bytes(&wheel), &err), TG_OK);
    cr_assert_eq(tg_heap_create(&f->heap, 4096, &f->arena, &err), TG_OK);
    cr_assert_eq(tg_table_create(&f->table, &config, f->heap, &f->arena, &err), TG_OK);
    wheel.table = f->table;
    cr_assert_eq(tg_wheel_create(f->wheels, &wheel, &f->arena, &err), TG_OK);
    for (uint32_t w = 0; w < WHEELS; w++) { f->clocks[w] = TG_TS_MIN; }
    for (uint64_t i = 0; i < TIMERS; i++) { create_key(f, i); }
}

static uint64_t armed_count(const struct fixture *f, uint32_t wheel)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < TIMERS; i++) { count += f->timers[i].armed && f->timers[i].wheel == wheel; }
    return count;
}

static void arm(struct fixture *f, uint32_t i, uint32_t wheel, int64_t due)
{
    struct timer *timer = &f->timers[i];
    if (timer->armed && timer->wheel != wheel) { /* a key changes its clock */
        tg_wheel_disarm(f->wheels[timer->wheel], timer->payload);
    }
    timer->armed = true;
    timer->wheel = wheel;
    timer->due = due;
    tg_wheel_arm(f->wheels[wheel], timer->payload, due);
}

static void disarm(struct fixture *f, uint32_t i)
{
    tg_wheel_disarm(f->wheels[f->timers[i].wheel], f->timers[i].payload);
    f->timers[i].armed = false;
}

/* Forget two keys and meet them again: each gets the slot of the other. */
static void swap_slots(struct fixture *f, uint32_t a, uint32_t b)
{
    if (a == b) { return; }
    disarm(f, a);
    disarm(f, b);
    tg_table_remove(f->table, f->timers[b].payload);
    tg_table_remove(f->table, f->timers[a].payload);
    create_key(f, b);
    create_key(f, a);
}

/* Move the clock and compare: exactly what is due comes out, once. */
static uint32_t expire(struct fixture *f, uint32_t wheel, int64_t clock, uint32_t count_max)
{
    static void *fired[TIMERS];
    uint32_t total = 0;
    uint32_t got;
    cr_assert_geq(clock, f->clocks[wheel]);
    f->clocks[wheel] = clock;
    do {
        got = tg_wheel_expire(f->wheels[wheel], clock, fired, count_max);
        cr_assert_leq(got, count_max);
        for (uint32_t i = 0; i < got; i++) {
            struct timer *timer = &f->timers[((struct payload *)fired[i])->id];
            cr_assert(timer->armed, "seed %" PRIu64 ": fired once only", f->seed);
            cr_assert_eq(timer->wheel, wheel);
            cr_assert(timer->due < clock || clock == TG_TS_MAX, "seed %" PRIu64 ": not early", f->seed);
            timer->armed = false;
        }
        total += got;
    } while (got == count_max);
    for (uint32_t i = 0; i < TIMERS; i++) {
        const struct timer *timer = &f->timers[i];
        const bool late = timer->armed && timer->wheel == wheel && (timer->due < clock || clock == TG_TS_MAX);
        cr_assert_not(late, "seed %" PRIu64 ": timer %u due %" PRId64 " at %" PRId64, f->seed, i, timer->due, clock);
    }
    cr_assert_eq(tg_wheel_count(f->wheels[wheel]), armed_count(f, wheel));
    return total;
}

/* A distance between 0 and 2^bits, every magnitude equally likely. */
static int64_t distance(struct tg_prng *prng, uint32_t bits)
{
    return (int64_t)(tg_prng_next(prng) >> 1 >> (63 - tg_prng_below(prng, bits + 1)));
}

static int64_t add_clamped(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? (b < 0 ? TG_TS_MIN : TG_TS_MAX) : sum;
}

static void random_arms(struct fixture *f, struct tg_prng *prng, uint32_t bits)
{
    const uint32_t count = tg_prng_below(prng, 200);
    if (tg_prng_below(prng, 64) == 0) { tg_wheel_rebuild(f->wheels[tg_prng_below(prng, WHEELS)]); }
    for (uint32_t n = 0; n < count; n++) {
        const uint32_t i = tg_prng_below(prng, TIMERS);
        struct timer *timer = &f->timers[i];
        const uint32_t wheel = timer->armed && tg_prng_below(prng, 8) != 0 ? timer->wheel : tg_prng_below(prng, WHEELS);
        const int64_t base = f->clocks[wheel];
        switch (tg_prng_below(prng, 10)) {
        case 0: disarm(f, i); break; /* armed or not */
        case 9: arm(f, i, wheel, add_clamped(timer->due, -distance(prng, 10))); break;
        case 8: swap_slots(f, i, tg_prng_below(prng, TIMERS)); break;
        case 1: arm(f, i, wheel, add_clamped(base, -distance(prng, bits))); break;      /* below the clock */
        case 2: arm(f, i, wheel, add_clamped(timer->due, -distance(prng, bits))); break; /* earlier than before */
        case 3: arm(f, i, wheel, add_clamped(timer->due, distance(prng, bits))); break;  /* later than before */
        case 4: arm(f, i, wheel, tg_prng_below(prng, 50) == 0 ? TG_TS_MAX : base); break;
        default: arm(f, i, wheel, add_clamped(base, distance(prng, bits))); break;
        }
    }
}

static void run_model(uint32_t tick_bits, int64_t epoch, uint32_t bits, uint32_t steps)
{
    static struct fixture f;
    open_fixture(&f, tick_bits);
    f.seed = tg_test_seed();
    struct tg_prng prng = {f.seed};
    uint64_t fired = 0;
    for (uint32_t step = 0; step < steps; step++) {
        random_arms(&f, &prng, bits);
        const uint32_t wheel = tg_prng_below(&prng, WHEELS);
        const uint32_t count_max = 1 + tg_prng_below(&prng, tg_prng_below(&prng, 2) == 0 ? 5 : TIMERS - 1);
        int64_t clock = f.clocks[wheel] == TG_TS_MIN ? epoch : f.clocks[wheel];
        if (clock > TG_TS_MAX / 2) { break; }
        clock = add_clamped(clock, distance(&prng, tg_prng_below(&prng, 20) == 0 ? bits + 4 : bits - 6));
        fired += expire(&f, wheel, clock, count_max);
        if (step % 8 == 0) {
            for (uint32_t w = 0; w < WHEELS; w++) { tg_wheel_check(f.wheels[w]); }
        }
    }
    cr_assert_gt(fired, 1000);
    for (uint32_t w = 0; w < WHEELS; w++) {
        (void)expire(&f, w, TG_TS_MAX, 7);
        cr_assert_eq(tg_wheel_count(f.wheels[w]), 0);
        tg_wheel_check(f.wheels[w]);
    }
    tg_arena_close(&f.arena);
}

#define NOW_2025 1750000000000000
Test(wheel, agrees_with_a_model_over_minutes) { run_model(8, NOW_2025, 28, 3000); }
Test(wheel, agrees_with_a_model_with_coarse_buckets) { run_model(16, NOW_2025, 28, 3000); }
Test(wheel, agrees_with_a_model_over_years) { run_model(10, NOW_2025, 50, 1500); }
Test(wheel, agrees_with_a_model_in_the_first_microseconds) { run_model(4, -1000, 12, 3000); }
Test(wheel, agrees_with_a_model_over_all_of_time) { run_model(4, TG_TS_MIN + 1, 59, 1500); }
Test(wheel, agrees_with_a_model_at_the_finest_tick) { run_model(1, TG_TS_MIN + 1, 59, 1500); }

Test(wheel, fires_exact_instants)
{
    static struct fixture f;
    open_fixture(&f, 16);
    for (uint32_t i = 0; i < TIMERS; i++) { arm(&f, i, 0, NOW_2025 + i); }
    for (uint32_t i = 0; i < TIMERS; i++) {
        cr_assert_eq(expire(&f, 0, NOW_2025 + i, 10), i == 0 ? 0 : 1, "due < clock, not <=");
        tg_wheel_check(f.wheels[0]);
    }
    cr_assert_eq(expire(&f, 0, NOW_2025 + TIMERS, 10), 1);
    tg_arena_close(&f.arena);
}

Test(wheel, arming_later_keeps_the_node_where_it_is_and_fires_at_the_new_instant)
{
    static struct fixture f;
    open_fixture(&f, 8);
    (void)expire(&f, 0, NOW_2025, 1);
    arm(&f, 0, 0, NOW_2025 + 1000000);
    const uint64_t look = f.timers[0].payload->node.look;
    for (int64_t later = 2; later < 100; later++) {
        arm(&f, 0, 0, NOW_2025 + later * 1000000);
        cr_assert_eq(f.timers[0].payload->node.look, look);
    }
    cr_assert_eq(expire(&f, 0, NOW_2025 + 99000000, 1), 0);
    cr_assert_eq(expire(&f, 0, NOW_2025 + 99000001, 1), 1);
    tg_arena_close(&f.arena);
}

Test(wheel, of_months_is_crossed_in_one_call)
{
    static struct fixture f;
    void *fired[4];
    open_fixture(&f, 8);
    arm(&f, 0, 0, NOW_2025 + 90 * 86400000000);
    arm(&f, 1, 0, NOW_2025 + 365 * 86400000000);
    cr_assert_eq(expire(&f, 0, NOW_2025, 4), 0);
    cr_assert_eq(tg_wheel_expire(f.wheels[0], NOW_2025 + 200 * 86400000000, fired, 4), 1);
    cr_assert_eq(fired[0], f.timers[0].payload);
    tg_wheel_check(f.wheels[0]);
    tg_arena_close(&f.arena);
}

Test(wheel, at_infinity_takes_out_everything_also_what_is_armed_then)
{
    static struct fixture f;
    open_fixture(&f, 16);
    for (uint32_t i = 0; i < 100; i++) { arm(&f, i, 0, i % 2 == 0 ? TG_TS_MAX : NOW_2025 + i); }
    cr_assert_eq(expire(&f, 0, TG_TS_MAX, 3), 100);
    arm(&f, 5, 0, TG_TS_MAX);
    arm(&f, 6, 0, 17);
    cr_assert_eq(expire(&f, 0, TG_TS_MAX, 1), 2);
    cr_assert_eq(tg_wheel_count(f.wheels[0]), 0);
    tg_arena_close(&f.arena);
}

Test(wheel, has_nothing_to_fire_before_the_first_clock)
{
    static struct fixture f;
    open_fixture(&f, 16);
    arm(&f, 0, 0, TG_TS_MIN);
    cr_assert_eq(expire(&f, 0, TG_TS_MIN, 3), 0);
    cr_assert_eq(expire(&f, 0, TG_TS_MIN + 1, 3), 1);
    tg_arena_close(&f.arena);
}

Test(wheel, takes_little_address_space_for_one_more_clock)
{
    struct tg_wheel_config config = {.entry_count_max = 1000000, .wheel_count = 1, .tick_bits = TG_WHEEL_TICK_BITS};
    const size_t one = tg_wheel_bytes(&config);
    cr_assert_lt(one, 32 * config.entry_count_max);
    config.wheel_count = 101; /* a step may have one per partition */
    cr_assert_lt((tg_wheel_bytes(&config) - one) / 100, 2 << 20);
}
