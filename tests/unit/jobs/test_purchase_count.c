/* What the operator says about itself before a job starts; what it does with rows is the job tests' business. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/turgo.h"
#include "jobs/jobs.h"

/* As the operator's params list has them. */
struct limits {
    tg_us window;
    tg_us idle;
};

Test(purchase_count, a_cold_start_needs_the_window_and_what_may_be_out_of_order)
{
    const struct limits limits = {TG_MINUTES(5), TG_SECONDS(30)};
    cr_assert_eq(tg_operator_purchase_count.params->bytes, sizeof limits);
    cr_assert_eq(tg_operator_purchase_count.horizon(&limits, TG_SECONDS(30)), TG_SECONDS(330));
}

Test(purchase_count, a_window_of_nothing_is_refused)
{
    const struct limits none = {0, TG_SECONDS(30)};
    const struct limits least = {1, 0};
    cr_assert_not_null(tg_operator_purchase_count.check(&none, TG_SECONDS(30)));
    cr_assert_null(tg_operator_purchase_count.check(&least, TG_SECONDS(30)));
}
