/* Numbers with units, choices, and the nearest name. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/config/suggest.h"
#include "engine/config/values.h"
#include "tests/unit/engine/doubles.h"

static void reads(enum tg_option_kind kind, const char *text, int64_t expected)
{
    int64_t number = -77;
    cr_assert(tg_value_parse(kind, NULL, text, &number), "%s", text);
    cr_assert_eq(number, expected, "%s gives %ld", text, (long)number);
}

static void refuses(enum tg_option_kind kind, const char *text)
{
    int64_t number;
    cr_assert_not(tg_value_parse(kind, NULL, text, &number), "\"%s\" gives %ld", text, (long)number);
}

Test(values, integers_are_whole_and_fit)
{
    reads(TG_OPTION_INTEGER, "0", 0);
    reads(TG_OPTION_INTEGER, "-12", -12);
    reads(TG_OPTION_INTEGER, "9223372036854775807", INT64_MAX);
    reads(TG_OPTION_INTEGER, "-9223372036854775808", INT64_MIN);
    static const char *const bad[] = {"", "-", "+1", "1.0", "1e3", " 1", "1 ", "0x10", "9223372036854775808", "1k"};
    for (size_t i = 0; i < TG_COUNT_OF(bad); i++) { refuses(TG_OPTION_INTEGER, bad[i]); }
}

Test(values, sizes_rates_and_shares)
{
    reads(TG_OPTION_SIZE, "4096", 4096);
    reads(TG_OPTION_SIZE, "64KiB", 65536);
    reads(TG_OPTION_SIZE, "1.5GiB", 1610612736);
    reads(TG_OPTION_SIZE, "2MB", 2000000);
    reads(TG_OPTION_RATE, "1000", 1000);
    reads(TG_OPTION_RATE, "1k/s", 1000);
    reads(TG_OPTION_RATE, "2.5M/s", 2500000);
    reads(TG_OPTION_RATE, "1M", 1000000);
    reads(TG_OPTION_RATE, "0", 0);
    reads(TG_OPTION_NUMBER, "0.001", 1000);
    reads(TG_OPTION_NUMBER, "1", 1000000);
    reads(TG_OPTION_NUMBER, "0.5%", 5000);
    static const char *const sizes[] = {"", "KiB", "1 KiB", "1kib", "-1", "0.3", "1.", ".5", "99999999999999TiB", "1k"};
    for (size_t i = 0; i < TG_COUNT_OF(sizes); i++) { refuses(TG_OPTION_SIZE, sizes[i]); }
    static const char *const rates[] = {"1/m", "1k/", "k/s", "1.0005k/s0", "1.0005/s", "1KiB"};
    for (size_t i = 0; i < TG_COUNT_OF(rates); i++) { refuses(TG_OPTION_RATE, rates[i]); }
    refuses(TG_OPTION_NUMBER, "0.0000001");
}

Test(values, durations_and_booleans)
{
    reads(TG_OPTION_DURATION, "250ms", 250000);
    reads(TG_OPTION_DURATION, "1h30m", 5400000000);
    refuses(TG_OPTION_DURATION, "30");
    reads(TG_OPTION_DURATION, "3660000d", TG_DURATION_US_MAX);
    refuses(TG_OPTION_DURATION, "3660000d1us"); /* a few of them and a timestamp add up without overflow */
    refuses(TG_OPTION_DURATION, "106751991d");
    reads(TG_OPTION_BOOLEAN, "true", 1);
    reads(TG_OPTION_BOOLEAN, "false", 0);
    refuses(TG_OPTION_BOOLEAN, "yes");
    refuses(TG_OPTION_BOOLEAN, "True");
}

Test(values, words_beside_numbers_and_choices)
{
    int64_t number;
    cr_assert(tg_value_parse(TG_OPTION_DURATION, "off", "off", &number));
    cr_assert_eq(number, TG_VALUE_WORD);
    cr_assert(tg_value_parse(TG_OPTION_CHOICE, "a|bc|d", "bc", &number));
    cr_assert_eq(number, 1);
    cr_assert_not(tg_value_parse(TG_OPTION_CHOICE, "a|bc|d", "b", &number));
    cr_assert_not(tg_value_parse(TG_OPTION_CHOICE, "a|bc|d", "", &number));
    char text[8];
    cr_assert(tg_choice_at("a|bc|d", 1, text, sizeof text));
    cr_assert_str_eq(text, "bc");
    cr_assert_not(tg_choice_at("a|bc|d", 3, text, sizeof text));
}

Test(suggest, distance_counts_swaps_as_one_edit)
{
    cr_assert_eq(tg_suggest_distance("", "abc"), 3);
    cr_assert_eq(tg_suggest_distance("watermark", "watermark"), 0);
    cr_assert_eq(tg_suggest_distance("watermrk", "watermark"), 1);
    cr_assert_eq(tg_suggest_distance("wateramrk", "watermark"), 1);
    cr_assert_eq(tg_suggest_distance("WaterMark", "watermark"), 0);
    cr_assert_eq(tg_suggest_distance("kitten", "sitting"), 3);
}

Test(suggest, names_the_nearest_or_none)
{
    static const char *const names[] = {"watermark", "fields", "version", "from"};
    cr_assert_str_eq(tg_suggest("watermrk", 4, names), "watermark");
    cr_assert_str_eq(tg_suggest("feilds", 4, names), "fields");
    cr_assert_str_eq(tg_suggest("vers", 4, names), "version");
    cr_assert_null(tg_suggest("zzz", 4, names));
    cr_assert_null(tg_suggest("w", 4, names));
    cr_assert_null(tg_suggest("x", 0, names));
}
