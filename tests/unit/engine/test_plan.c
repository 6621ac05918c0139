/* The plan: how far back a cold start reads. */
#include "tests/unit/engine/config_fixture.h"

#define S INT64_C(1000000)

/* The horizon of source tx for the fixture with `steps` instead of its only one. */
static tg_us horizon_with(const char *steps, const char *set)
{
    struct tg_job *job;
    struct tg_plan *plan = fixture_plan(fixture_with(14, steps, ""), set, &job);
    const tg_us horizon = tg_plan_horizon(plan, 0);
    tg_plan_destroy(plan);
    tg_job_destroy(job);
    return horizon;
}

#define COUNTS "    process: {operator: purchase_count, from: tx, key: [user_id], params: {window: 5m, idle: 30s}}"

Test(plan, a_cold_start_reads_the_window_and_what_may_still_come_out_of_order)
{
    cr_assert_eq(horizon_with(COUNTS, NULL), 330 * S);
    cr_assert_eq(horizon_with(COUNTS, "sources.tx.watermark.delay=1m"), 360 * S);
    cr_assert_eq(horizon_with(COUNTS, "steps.counts.process.params.window=1h"), 3630 * S);
}

Test(plan, a_cold_start_also_reads_what_may_still_come_late)
{
    cr_assert_eq(horizon_with(COUNTS, "steps.counts.allowed_lateness=10m"), 930 * S);
    cr_assert_eq(horizon_with(COUNTS, "steps.counts.late=accept"), 330 * S); /* nothing to wait for */
}

Test(plan, a_step_behind_a_step_needs_the_horizons_of_both)
{
    cr_assert_eq(horizon_with(COUNTS "\n  second: {process: {operator: purchase_count, from: counts, key: user_id, "
                                     "params: {window: 1h, idle: 30s}}}",
                              NULL),
                 (330 + 3630) * S);
}
