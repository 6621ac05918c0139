/* Health of a job's checkpoints: when reading is held back, when it goes on, what counts as healthy. */
#include <criterion/criterion.h>

#include "engine/checkpoint/health.h"

#define SECOND_NS ((uint64_t)1000000000)
enum { MAX_AGE_US = 10000000 };

static bool holds_at(struct tg_checkpoint_health *health, uint64_t now_ns)
{
    tg_checkpoint_health_poll(health, now_ns);
    return tg_checkpoint_health_holds(health);
}

Test(checkpoint_health, reading_is_held_back_once_the_newest_is_too_old_and_goes_on_with_the_next)
{
    struct tg_checkpoint_health health = {.max_age = MAX_AGE_US};
    const uint64_t begin_ns = 100 * SECOND_NS; /* a run's age counts from its first poll, not from the clock's zero */
    cr_assert_not(holds_at(&health, begin_ns));
    cr_assert_not(holds_at(&health, begin_ns + 10 * SECOND_NS));
    cr_assert_eq(tg_checkpoint_health_age_ns(&health, begin_ns + 10 * SECOND_NS), 10 * SECOND_NS);
    tg_checkpoint_health_complete(&health, begin_ns + 5 * SECOND_NS, begin_ns + 10 * SECOND_NS);
    cr_assert_eq(tg_checkpoint_health_age_ns(&health, begin_ns + 15 * SECOND_NS), 10 * SECOND_NS, "of its begin");
    cr_assert_not(holds_at(&health, begin_ns + 20 * SECOND_NS));
    cr_assert(holds_at(&health, begin_ns + 20 * SECOND_NS + 1000));
    cr_assert_not(tg_checkpoint_health_good(&health));
    cr_assert(holds_at(&health, begin_ns + 23 * SECOND_NS));
    tg_checkpoint_health_complete(&health, begin_ns + 17 * SECOND_NS, begin_ns + 23 * SECOND_NS + 1000);
    cr_assert_not(holds_at(&health, begin_ns + 24 * SECOND_NS));
    cr_assert(tg_checkpoint_health_good(&health));
    cr_assert_eq(tg_checkpoint_health_held_ns(&health, begin_ns + 30 * SECOND_NS), 3 * SECOND_NS);
}

Test(checkpoint_health, held_times_add_up_also_while_one_lasts)
{
    struct tg_checkpoint_health health = {.max_age = MAX_AGE_US};
    (void)holds_at(&health, SECOND_NS);
    cr_assert(holds_at(&health, 20 * SECOND_NS));
    tg_checkpoint_health_complete(&health, 21 * SECOND_NS, 22 * SECOND_NS);
    cr_assert(holds_at(&health, 40 * SECOND_NS));
    cr_assert_eq(tg_checkpoint_health_held_ns(&health, 45 * SECOND_NS), 7 * SECOND_NS);
}

Test(checkpoint_health, checkpoints_that_take_longer_than_max_age_leave_time_to_read)
{
    struct tg_checkpoint_health health = {.max_age = MAX_AGE_US};
    (void)holds_at(&health, SECOND_NS);
    for (uint64_t begin_ns = 20 * SECOND_NS; begin_ns < 1000 * SECOND_NS; begin_ns += 30 * SECOND_NS) {
        cr_assert(holds_at(&health, begin_ns + 28 * SECOND_NS));
        tg_checkpoint_health_complete(&health, begin_ns, begin_ns + 29 * SECOND_NS);
        cr_assert_not(holds_at(&health, begin_ns + 29 * SECOND_NS));
        cr_assert_not(holds_at(&health, begin_ns + 39 * SECOND_NS));
    }
}

Test(checkpoint_health, without_a_limit_reading_is_never_held_back)
{
    struct tg_checkpoint_health health = {.max_age = TG_TS_MAX};
    cr_assert_not(holds_at(&health, SECOND_NS));
    cr_assert_not(holds_at(&health, UINT64_MAX));
}

Test(checkpoint_health, three_failures_in_a_row_are_unhealthy_two_are_not)
{
    struct tg_checkpoint_health health = {.max_age = TG_TS_MAX};
    for (uint32_t round = 0; round < 2; round++) {
        tg_checkpoint_health_failed(&health);
        tg_checkpoint_health_failed(&health);
        cr_assert(tg_checkpoint_health_good(&health));
        tg_checkpoint_health_complete(&health, SECOND_NS, SECOND_NS);
    }
    for (uint32_t i = 0; i < TG_CHECKPOINT_FAILURES_MAX; i++) { tg_checkpoint_health_failed(&health); }
    cr_assert_not(tg_checkpoint_health_good(&health));
    cr_assert_eq(tg_checkpoint_health_failed_in_row(&health), TG_CHECKPOINT_FAILURES_MAX);
    tg_checkpoint_health_complete(&health, SECOND_NS, SECOND_NS);
    cr_assert(tg_checkpoint_health_good(&health));
}
