/* Histogram: relative error, quantiles against a sorted list, merging, the range's end, the printed form. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/histogram.h"
#include "base/prng.h"
#include "tests/seed.h"

static struct tg_histogram histogram;
static struct tg_histogram other;

Test(histogram, an_empty_one_is_all_zero)
{
    cr_assert_eq(tg_histogram_count(&histogram), 0);
    cr_assert_eq(tg_histogram_quantile_ns(&histogram, 0.5), 0);
    cr_assert_eq(tg_histogram_quantile_ns(&histogram, 1), 0);
    cr_assert_eq(tg_histogram_max_ns(&histogram), 0);
}

Test(histogram, small_values_are_exact)
{
    for (uint64_t value = 0; value < 64; value++) { tg_histogram_record(&histogram, value, 1); }
    cr_assert_eq(tg_histogram_quantile_ns(&histogram, 0), 0);
    for (uint64_t value = 0; value < 64; value++) {
        cr_assert_eq(tg_histogram_quantile_ns(&histogram, (double)(value + 1) / 64), value);
    }
}

Test(histogram, a_quantile_is_the_upper_end_of_its_bucket)
{
    tg_histogram_record(&histogram, 64, 1); /* shares its bucket with 65 */
    tg_histogram_record(&histogram, 1000000, 1);
    cr_assert_eq(tg_histogram_quantile_ns(&histogram, 0.5), 65);
    cr_assert_eq(tg_histogram_quantile_ns(&histogram, 0), 65, "quantile 0 is the smallest value's bucket");
    cr_assert_eq(tg_histogram_quantile_ns(&histogram, 0.51), 1000000);
}

Test(histogram, one_value_is_every_quantile_within_a_32nd)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    for (uint32_t i = 0; i < 20000; i++) {
        const uint64_t value = (tg_prng_next(&prng) >> 24) >> tg_prng_below(&prng, 40); /* below 2^40 */
        const uint64_t larger = value + value / 3;
        memset(&histogram, 0, sizeof histogram);
        tg_histogram_record(&histogram, value, 1);
        cr_assert_eq(tg_histogram_quantile_ns(&histogram, 0.5), value, "never above the maximum");
        tg_histogram_record(&histogram, larger, 1);
        const uint64_t got = tg_histogram_quantile_ns(&histogram, 0.5);
        cr_assert_geq(got, value, "seed %" PRIu64, seed);
        cr_assert_leq(got, value + value / 32, "seed %" PRIu64 ": %" PRIu64 " is %" PRIu64, seed, value, got);
        cr_assert_eq(tg_histogram_quantile_ns(&histogram, 1), larger);
    }
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

Test(histogram, quantiles_of_random_values_bound_those_of_the_sorted_list)
{
    enum { VALUES = 50000 };
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    uint64_t *values = malloc(VALUES * sizeof *values);
    for (uint32_t i = 0; i < VALUES; i++) {
        values[i] = (tg_prng_next(&prng) >> 24) >> tg_prng_below(&prng, 38);
        tg_histogram_record(i % 2 == 0 ? &histogram : &other, values[i], 1);
    }
    tg_histogram_merge(&histogram, &other);
    qsort(values, VALUES, sizeof *values, by_value);
    cr_assert_eq(tg_histogram_count(&histogram), VALUES);
    cr_assert_eq(tg_histogram_max_ns(&histogram), values[VALUES - 1]);
    static const double quantiles[] = {0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
    for (uint32_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        uint32_t rank = (uint32_t)(quantiles[i] * VALUES);
        if ((double)rank < quantiles[i] * VALUES || rank == 0) { rank++; }
        const uint64_t exact = values[rank - 1];
        const uint64_t got = tg_histogram_quantile_ns(&histogram, quantiles[i]);
        cr_assert(got >= exact && got <= exact + exact / 32, "seed %" PRIu64 " q %f: %" PRIu64 " is %" PRIu64, seed,
                  quantiles[i], exact, got);
    }
    free(values);
}

Test(histogram, values_beyond_the_range_count_and_keep_their_maximum)
{
    tg_histogram_record(&histogram, UINT64_MAX, 3);
    tg_histogram_record(&histogram, UINT64_C(1) << 41, 2);
    cr_assert_eq(tg_histogram_count(&histogram), 5);
    cr_assert_eq(histogram.counts[TG_HISTOGRAM_BUCKETS - 1], 5);
    cr_assert_eq(tg_histogram_quantile_ns(&histogram, 0.5), UINT64_MAX);
    tg_histogram_record(&histogram, 7, 0);
    cr_assert_eq(tg_histogram_count(&histogram), 5, "no values, nothing recorded");
}

static uint32_t printed_lines(uint32_t lines, char *text, size_t capacity)
{
    FILE *out = fmemopen(text, capacity, "w");
    tg_histogram_print(&histogram, out, lines);
    (void)fclose(out);
    uint32_t count = 0;
    for (const char *at = text; *at != '\0'; at++) { count += *at == '\n'; }
    return count;
}

Test(histogram, prints_1_2_5_bounds_and_no_more_lines_than_asked_for)
{
    static char text[8192];
    cr_assert_eq(printed_lines(10, text, sizeof text), 0, "nothing to show");
    tg_histogram_record(&histogram, 1000, 1);
    tg_histogram_record(&histogram, 4000, 2);
    tg_histogram_record(&histogram, 1900000, 1);
    cr_assert_leq(printed_lines(20, text, sizeof text), 20);
    cr_assert_not_null(strstr(text, "<=    5us            2  50.00% ####"), "%s", text);
    cr_assert_not_null(strstr(text, "<=    2ms            1  25.00% ####"), "%s", text);
    for (uint32_t lines = 1; lines < 12; lines++) { cr_assert_leq(printed_lines(lines, text, sizeof text), lines); }
    tg_histogram_record(&histogram, UINT64_MAX, 1);
    tg_histogram_record(&histogram, 0, 1);
    for (uint32_t lines = 1; lines < 45; lines++) { cr_assert_leq(printed_lines(lines, text, sizeof text), lines); }
}
