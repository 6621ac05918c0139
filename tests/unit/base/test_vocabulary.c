/* The small words of base/: assertions, random numbers, counters, clocks. */
#include <criterion/criterion.h>
#include <signal.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/prng.h"

Test(assertion, a_broken_invariant_aborts, .signal = SIGABRT) { TG_ASSERT(1 + 1 == 3); }

Test(assertion, a_true_condition_is_evaluated_once)
{
    int calls = 0;
    TG_ASSERT(++calls == 1);
    cr_assert_eq(calls, 1);
}

Test(assertion, a_debug_check_costs_nothing_in_release)
{
    int calls = 0;
    TG_DCHECK(++calls == 1);
#ifdef TG_DEBUG
    cr_assert_eq(calls, 1);
#else
    cr_assert_eq(calls, 0);
#endif
}

Test(prng, splitmix64_gives_the_published_sequence)
{
    struct tg_prng prng = {1234567};
    static const uint64_t expected[] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                        4593380528125082431u,
                                        16408922859458223821u};
    for (int i = 0; i < 5; i++) { cr_assert_eq(tg_prng_next(&prng), expected[i]); }
}

Test(prng, below_stays_below_and_reaches_every_value)
{
    struct tg_prng prng = {1};
    uint32_t seen[7] = {0};
    for (int i = 0; i < 70000; i++) {
        const uint32_t value = tg_prng_below(&prng, 7);
        cr_assert_lt(value, 7);
        seen[value]++;
    }
    for (int i = 0; i < 7; i++) { cr_assert(seen[i] > 9000 && seen[i] < 11000, "value %d: %u of 70000", i, seen[i]); }
    cr_assert_eq(tg_prng_below(&prng, 1), 0);
}

Test(counters, add_up_and_gauges_take_the_last)
{
    struct tg_counter counter = {0};
    struct tg_gauge gauge = {0};
    tg_counter_add(&counter, 3);
    tg_counter_add(&counter, 4);
    tg_gauge_set(&gauge, -5);
    tg_gauge_set(&gauge, -6);
    cr_assert_eq(tg_counter_read(&counter), 7);
    cr_assert_eq(tg_gauge_read(&gauge), -6);
}

Test(clocks, monotonic_does_not_go_back_and_wall_is_this_century)
{
    const struct tg_clock clock = tg_clock_real();
    uint64_t last = tg_clock_now_ns(&clock);
    for (int i = 0; i < 1000; i++) {
        const uint64_t now = tg_clock_now_ns(&clock);
        cr_assert_geq(now, last);
        last = now;
    }
    cr_assert_gt(tg_clock_wall_us(&clock), INT64_C(1600000000) * 1000000);
    cr_assert_lt(tg_clock_wall_us(&clock), INT64_C(4102444800) * 1000000);
}
