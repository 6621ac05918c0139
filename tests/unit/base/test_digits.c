/* Digits and the calendar beneath timestamps. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/civil.h"
#include "base/digits.h"
#include "base/prng.h"
#include "tests/seed.h"

Test(digits, counts_at_every_power_of_ten)
{
    uint64_t power = 1;
    cr_assert_eq(tg_digits_count(0), 1);
    for (uint32_t digits = 1; digits <= 20; digits++) {
        cr_assert_eq(tg_digits_count(power), digits);
        cr_assert_eq(tg_digits_count(power - 1), digits == 1 ? 1 : digits - 1);
        if (digits < 20) { power *= 10; }
    }
    cr_assert_eq(tg_digits_count(UINT64_MAX), 20);
}

Test(digits, random_numbers_print_as_by_printf)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    for (uint32_t i = 0; i < 300000; i++) {
        const uint64_t n = tg_prng_next(&prng) >> tg_prng_below(&prng, 64);
        char expected[24];
        char got[24] = "";
        const int bytes = snprintf(expected, sizeof expected, "%" PRIu64, n);
        cr_assert_eq(tg_digits_count(n), (uint32_t)bytes, "seed %" PRIu64 ": %s", seed, expected);
        tg_digits_put(got, n, (uint32_t)bytes);
        cr_assert_str_eq(got, expected, "seed %" PRIu64, seed);
    }
    char padded[8] = "";
    tg_digits_put(padded, 42, 5);
    cr_assert_str_eq(padded, "00042");
    tg_digits_put(padded, 1234567, 5);
    cr_assert_str_eq(padded, "34567");
}

Test(digits, eight_characters_in_one_word)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    for (uint32_t i = 0; i < 300000; i++) {
        const uint32_t n = tg_prng_below(&prng, 100000000);
        char text[16];
        (void)snprintf(text, sizeof text, "%08u", n);
        cr_assert_eq(tg_digits_value8(tg_digits_strip(tg_digits_load8(text))), n, "seed %" PRIu64 ": %s", seed, text);
    }
}

Test(digits, a_byte_over_its_limit_is_seen_in_any_place)
{
    for (uint32_t place = 0; place < 8; place++) {
        for (uint32_t value = 0; value < 256; value++) {
            const uint64_t digits = tg_digits_strip(tg_digits_load8("90909090")) & ~(UINT64_C(0xFF) << 8 * place);
            const uint64_t word = digits | (uint64_t)value << 8 * place;
            cr_assert_eq(tg_digits_within(word, 0x0909090909090909u), value <= 9, "value %u at %u", value, place);
        }
    }
}

Test(civil, every_day_from_year_minus_800_to_12000_follows_the_one_before)
{
    struct tg_civil last = tg_civil_from_days(-719528 - 800 * INT64_C(146097) / 400 - 1);
    for (int64_t day = -719528 - 800 * INT64_C(146097) / 400; day < 3663000; day++) {
        const struct tg_civil now = tg_civil_from_days(day);
        const bool new_month = now.day == 1;
        const uint32_t in_cycle = (uint32_t)(last.year % 400 + 400);
        if (new_month) {
            cr_assert_eq(last.day, tg_civil_month_days(in_cycle, last.month), "day %" PRId64, day);
            cr_assert_eq(now.month, last.month % 12 + 1);
            cr_assert_eq(now.year, last.year + (now.month == 1));
        } else {
            cr_assert_eq(now.day, last.day + 1, "day %" PRId64, day);
            cr_assert(now.month == last.month && now.year == last.year);
        }
        if (now.year >= 1 && now.year <= 9999) {
            cr_assert_eq(tg_civil_to_days((uint32_t)now.year, now.month, now.day), day);
        }
        last = now;
    }
    const struct tg_civil epoch = tg_civil_from_days(0);
    cr_assert(epoch.year == 1970 && epoch.month == 1 && epoch.day == 1);
}

Test(civil, leap_years)
{
    for (uint32_t year = 1; year <= 9999; year++) {
        cr_assert_eq(tg_civil_is_leap(year), (year % 4 == 0 && year % 100 != 0) || year % 400 == 0, "%u", year);
    }
}
