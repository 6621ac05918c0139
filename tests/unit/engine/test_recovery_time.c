/* The estimate of what a start would take. */
#include <criterion/criterion.h>

#include "engine/checkpoint/recovery_time.h"

#define MIB ((uint64_t)1 << 20)
#define SECOND_NS ((uint64_t)1000000000)

Test(recovery_time, is_loading_by_the_usual_pace_and_all_work_since_by_all_shards)
{
    struct tg_recovery_time time = {0};
    tg_recovery_time_begin(&time, 2, 0, SECOND_NS);
    cr_assert_eq(tg_recovery_time_ns(&time, 10 * SECOND_NS, 5 * SECOND_NS), 2 * SECOND_NS, "nothing to load");
    tg_recovery_time_complete(&time, 1000 * MIB, 4 * SECOND_NS);
    cr_assert_eq(tg_recovery_time_ns(&time, SECOND_NS, 4 * SECOND_NS), 3 * SECOND_NS, "nothing to replay");
    cr_assert_eq(tg_recovery_time_ns(&time, 10 * SECOND_NS, 5 * SECOND_NS), 3 * SECOND_NS + SECOND_NS / 2);
}

Test(recovery_time, work_is_never_longer_than_it_was)
{
    struct tg_recovery_time time = {0};
    tg_recovery_time_begin(&time, 1, 0, 0);
    cr_assert_eq(tg_recovery_time_ns(&time, SECOND_NS, 4 * SECOND_NS), SECOND_NS);
    cr_assert_eq(tg_recovery_time_ns(&time, SECOND_NS, 0), 0);
}

Test(recovery_time, takes_the_pace_of_this_machine_when_enough_was_loaded)
{
    struct tg_recovery_time time = {0};
    tg_recovery_time_begin(&time, 2, 100 * MIB, 0);
    tg_recovery_time_loaded(&time, MIB, SECOND_NS, 0);
    cr_assert_eq(tg_recovery_time_ns(&time, 0, 0), 3 * SECOND_NS / 10);
    tg_recovery_time_loaded(&time, 50 * MIB, SECOND_NS, 5 * SECOND_NS);
    cr_assert_eq(tg_recovery_time_ns(&time, 0, 0), 2 * SECOND_NS);
    cr_assert_eq(tg_recovery_time_ns(&time, SECOND_NS, 6 * SECOND_NS), 2 * SECOND_NS + SECOND_NS / 2, "not loading");
}
