/* RFC 3339: tables of what is accepted and refused, round trips against the C library, random texts against a reader
 * that goes character by character. Zones by name are in test_zone.c. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/civil.h"
#include "base/prng.h"
#include "base/timestamp.h"
#include "tests/seed.h"

#define S INT64_C(1000000)

/* Parse from a heap block of exactly that size, so that the sanitizer sees a read behind the end. */
static bool parse(const char *text, size_t bytes, tg_ts *out)
{
    char *copy = malloc(bytes == 0 ? 1 : bytes);
    memcpy(copy, text, bytes);
    bool adjusted = true;
    const bool ok = tg_ts_parse(copy, (uint32_t)bytes, NULL, out, &adjusted);
    cr_assert(!adjusted, "UTC is never in doubt: %s", text);
    free(copy);
    return ok;
}

Test(timestamp, accepted_texts_and_their_instants)
{
    static const struct {
        const char *text;
        int64_t us;
    } table[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.000Z", 0},
        {"1970-01-01T00:00:00.000000Z", 0},
        {"1970-01-01t00:00:00z", 0},
        {"1970-01-01 00:00:00", 0},
        {"1970-01-01T00:00:00", 0},
        {"1970-01-01T00:00:00+00:00", 0},
        {"1970-01-01T00:00:00-00:00", 0},
        {"1969-12-31T23:59:59.999999Z", -1},
        {"1969-12-31T23:59:59Z", -S},
        {"1969-12-31T23:59:59.5Z", -500000},
        {"2024-05-11T10:00:00Z", 1715421600 * S},
        {"2024-05-11T10:00:00.123Z", 1715421600 * S + 123000},
        {"2024-05-11T10:00:00.123456Z", 1715421600 * S + 123456},
        {"2024-05-11T10:00:00.1Z", 1715421600 * S + 100000},
        {"2024-05-11T10:00:00.12Z", 1715421600 * S + 120000},
        {"2024-05-11T10:00:00.1234Z", 1715421600 * S + 123400},
        {"2024-05-11T10:00:00.12345Z", 1715421600 * S + 123450},
        {"2024-05-11T10:00:00.1234567Z", 1715421600 * S + 123456},
        {"2024-05-11T10:00:00.12345678Z", 1715421600 * S + 123456},
        {"2024-05-11T10:00:00.123456789Z", 1715421600 * S + 123456},
        {"2024-05-11T10:00:00.999999999Z", 1715421600 * S + 999999},
        {"1969-12-31T23:59:59.0000009Z", -S}, /* cut, not rounded, also before 1970 */
        {"2024-05-11 10:00:00.5", 1715421600 * S + 500000},
        {"2024-05-11T10:00:00.5+09:00", (1715421600 - 9 * 3600) * S + 500000},
        {"2024-05-11T10:00:00+09:00", (1715421600 - 9 * 3600) * S},
        {"2024-05-11T10:00:00-03:30", (1715421600 + 12600) * S},
        {"2024-05-11T10:00:00+23:59", (1715421600 - 86340) * S},
        {"2024-05-11T10:00:00-23:59", (1715421600 + 86340) * S},
        {"2024-05-11T23:59:59Z", 1715471999 * S},
        {"2024-02-29T12:00:00Z", 1709208000 * S},
        {"2000-02-29T00:00:00Z", 951782400 * S},
        {"1600-02-29T00:00:00Z", -11670998400 * S},
        {"0001-01-01T00:00:00Z", -62135596800 * S},
        {"0004-02-29T00:00:00Z", -62035891200 * S},
        {"9999-12-31T23:59:59Z", 253402300799 * S},
        {"9999-12-31T23:59:59.999999Z", 253402300799 * S + 999999},
        {"0001-01-01T00:00:00-00:01", (-62135596800 + 60) * S},
        {"9999-12-31T23:59:59+00:01", (253402300799 - 60) * S},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        tg_ts got = 77;
        cr_assert(parse(table[i].text, strlen(table[i].text), &got), "refused %s", table[i].text);
        cr_assert_eq(got, table[i].us, "%s: %" PRId64, table[i].text, got);
    }
}

Test(timestamp, refused_texts)
{
    static const char *const table[] = {
        "", "2", "2024", "2024-05-11", "2024-05-11T", "2024-05-11T10:00", "2024-05-11T10:00Z", "2024-05-11T10:00:0Z",
        "2024-05-11T10:00:60Z", "2024-05-11T23:59:60Z", "2016-12-31T23:59:60Z", "2024-05-11T10:00:60.5Z",
        "2024-05-11T24:00:00Z", "2024-05-11T24:00:01Z", "2024-05-11T25:00:00Z", "2024-05-11T29:00:00Z",
        "2024-05-11T10:60:00Z", "2024-05-11T10:99:00Z", "0000-01-01T00:00:00Z", "0000-12-31T23:59:59Z",
        "2024-00-11T10:00:00Z", "2024-13-11T10:00:00Z", "2024-19-11T10:00:00Z", "2024-20-11T10:00:00Z",
        "2024-05-00T10:00:00Z", "2024-05-32T10:00:00Z", "2024-05-39T10:00:00Z", "2024-04-31T10:00:00Z",
        "2024-06-31T10:00:00Z", "2024-09-31T10:00:00Z", "2024-11-31T10:00:00Z", "2024-02-30T10:00:00Z",
        "2023-02-29T10:00:00Z", "1900-02-29T10:00:00Z", "2100-02-29T10:00:00Z", "9900-02-29T10:00:00Z",
        "2024-05-11T10:00:00.Z", "2024-05-11T10:00:00.", "2024-05-11T10:00:00.1234567890Z",
        "2024-05-11T10:00:00.0000000000",
        "2024-05-11T10:00:00.12a456Z", "2024-05-11T10:00:00.12aZ", "2024-05-11T10:00:00,123Z",
        "2024-05-11T10:00:00,123456Z",
        "2024-05-11T10:00:00.-23Z", "2024-05-11T10:00:00ZZ", "2024-05-11T10:00:00Z ", " 2024-05-11T10:00:00Z",
        "2024-05-11  10:00:00Z", "2024-05-11T 10:00:00Z", "2024-05-11T10:00:00 Z", "2024-05-11_10:00:00Z",
        "2024-05-11T10:00:00+24:00", "2024-05-11T10:00:00+09:60", "2024-05-11T10:00:00+0900", "2024-05-11T10:00:00+09",
        "2024-05-11T10:00:00+9:00", "2024-05-11T10:00:00+09:0", "2024-05-11T10:00:00+09:000",
        "2024-05-11T10:00:00*09:00",
        "2024-05-11T10:00:00+09:00Z", "2024-05-11T10:00:00Z+09:00", "2024-05-11T10:00:00+09-00",
        "2024-05-11T10:00:00+-9:00",
        "2024/05/11T10:00:00Z", "2024-05-11T10.00.00Z", "2024-05-11T10:00-00Z", "20240511T100000Z",
        "2024-5-11T10:00:00Z",
        "-024-05-11T10:00:00Z", "+2024-05-11T10:00:00Z", "12024-05-11T10:00:00Z", "2024-05-11T1:00:00Z",
        "2024-W19-6T10:00:00Z",
        "2024-05-11T10:00:00 UTC", "2024-05-11T10:00:00GMT", "1715421600", "1715421600000",
        "Sat, 11 May 2024 10:00:00 GMT",
        "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "9999-12-31T23:59:59.999999-00:01",
        "\xEF\xBC\222024-05-11T10:00:00Z", "2024-05-11T10:00:00\303\232",
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        tg_ts got;
        cr_assert(!parse(table[i], strlen(table[i]), &got), "accepted %s", table[i]);
    }
    tg_ts got;
    cr_assert(!parse("2024-05-11T10:00:00\0", 20, &got), "a zero byte is a byte");
}

Test(timestamp, any_wrong_byte_in_a_fast_layout_is_refused_or_means_the_same_as_in_the_model)
{
    static const char *const layouts[] = {"2024-05-11T10:00:00Z", "2024-05-11T10:00:00.000Z",
                                          "2024-05-11T10:00:00.000000Z"};
    for (int layout = 0; layout < 3; layout++) {
        const size_t bytes = strlen(layouts[layout]);
        for (size_t at = 0; at < bytes; at++) {
            for (int c = 0; c < 256; c++) {
                char text[32];
                tg_ts got;
                memcpy(text, layouts[layout], bytes);
                text[at] = (char)c;
                const bool digit_there = layouts[layout][at] >= '0' && layouts[layout][at] <= '9';
                const bool same = c == layouts[layout][at];
                const bool mark = at == 10 && (c == ' ' || c == 't');
                const bool zone = at == bytes - 1 && c == 'z';
                const bool longer = at == bytes - 1 && bytes > 20 && c >= '0' && c <= '9'; /* 4 or 7 digits, no zone */
                const bool digit = digit_there && c >= '0' && c <= '9';
                if (!parse(text, bytes, &got)) {
                    cr_assert(!same && !mark && !zone && !longer, "refused byte %d at %zu of %s", c, at,
                              layouts[layout]);
                } else {
                    cr_assert(same || mark || zone || longer || digit, "accepted byte %d at %zu of %s", c, at,
                              layouts[layout]);
                }
            }
        }
    }
}

Test(timestamp, every_day_of_ten_thousand_years_agrees_with_the_c_library)
{
    char expected[80];
    char got[TG_TS_TEXT_BYTES];
    for (int64_t day = -719162; day < 2932897; day++) {
        const time_t seconds = (time_t)(day * 86400);
        struct tm tm;
        if (day % 31 != 0 && day % 1461 > 2) { continue; } /* all weekdays, months and leap days are still met */
        cr_assert_not_null(gmtime_r(&seconds, &tm));
        (void)snprintf(expected, sizeof expected, "%04d-%02d-%02dT00:00:00Z", tm.tm_year + 1900, tm.tm_mon + 1,
                       tm.tm_mday);
        const uint32_t bytes = tg_ts_format(day * 86400 * S, got);
        cr_assert(bytes == 20 && memcmp(got, expected, 20) == 0, "%.*s is %s", (int)bytes, got, expected);
        tg_ts back;
        tg_date date;
        cr_assert(tg_ts_parse(got, bytes, NULL, &back, NULL));
        cr_assert_eq(back, day * 86400 * S, "%s", expected);
        cr_assert(tg_date_parse(got, 10, &date));
        cr_assert_eq(date, day);
    }
}

Test(timestamp, random_instants_round_trip_and_agree_with_timegm)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    for (uint32_t i = 0; i < 500000; i++) {
        const int64_t seconds = -62135596800 + (int64_t)(tg_prng_next(&prng) % 315537897600u);
        static const uint32_t grains[3] = {1000000, 1000, 1};
        const uint32_t grain = grains[tg_prng_below(&prng, 3)];
        const int64_t us = tg_prng_below(&prng, 1000000) / grain * grain;
        const tg_ts ts = seconds * S + us;
        char text[TG_TS_TEXT_BYTES + 1];
        const uint32_t bytes = tg_ts_format(ts, text);
        text[bytes] = '\0';
        cr_assert_eq(bytes, us == 0 ? 20 : us % 1000 == 0 ? 24 : 27, "seed %" PRIu64 ": %s", seed, text);
        tg_ts back;
        cr_assert(parse(text, bytes, &back), "seed %" PRIu64 ": %s", seed, text);
        cr_assert_eq(back, ts, "seed %" PRIu64 ": %s", seed, text);
        struct tm tm = {0};
        int read = 0;
        cr_assert_eq(sscanf(text, "%d-%d-%dT%d:%d:%d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
                            &tm.tm_sec, &read), 6);
        tm.tm_year -= 1900;
        tm.tm_mon -= 1;
        cr_assert_eq(timegm(&tm), seconds, "seed %" PRIu64 ": %s", seed, text);
        cr_assert_eq(read, 19);
    }
}

/* ---- an independent reader, one character at a time -------------------------------------------------------------- */

static bool model_number(const char **at, const char *end, int digits, int *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (*at == end || **at < '0' || **at > '9') { return false; }
        *out = *out * 10 + (**at - '0');
    }
    return true;
}

static bool model_char(const char **at, const char *end, const char *any)
{
    if (*at == end || **at == '\0' || strchr(any, **at) == NULL) { return false; }
    (*at)++;
    return true;
}

static bool model_parse(const char *at, size_t bytes, int64_t *out)
{
    const char *end = at + bytes;
    int v[6];
    if (!model_number(&at, end, 4, &v[0]) || !model_char(&at, end, "-") || !model_number(&at, end, 2, &v[1]) ||
        !model_char(&at, end, "-") || !model_number(&at, end, 2, &v[2]) || !model_char(&at, end, "Tt ") ||
        !model_number(&at, end, 2, &v[3]) || !model_char(&at, end, ":") || !model_number(&at, end, 2, &v[4]) ||
        !model_char(&at, end, ":") || !model_number(&at, end, 2, &v[5])) {
        return false;
    }
    struct tm tm = {.tm_year = v[0] - 1900, .tm_mon = v[1] - 1, .tm_mday = v[2], .tm_hour = v[3], .tm_min = v[4],
                    .tm_sec = v[5]};
    const struct tm before = tm;
    int64_t seconds = timegm(&tm);
    if (v[0] < 1 || tm.tm_mday != before.tm_mday || tm.tm_mon != before.tm_mon || tm.tm_hour != before.tm_hour ||
        tm.tm_min != before.tm_min || tm.tm_sec != before.tm_sec) {
        return false;
    }
    int64_t us = 0;
    if (at < end && *at == '.') {
        int digits = 0;
        int64_t unit = 100000;
        for (at++; at < end && *at >= '0' && *at <= '9'; at++, digits++, unit /= 10) { us += (*at - '0') * unit; }
        if (digits < 1 || digits > 9) { return false; }
    }
    if (at < end && (*at == '+' || *at == '-')) {
        const int sign = *at++ == '-' ? 1 : -1;
        int hours, minutes;
        if (!model_number(&at, end, 2, &hours) || !model_char(&at, end, ":") || !model_number(&at, end, 2, &minutes)) {
            return false;
        }
        if (hours > 23 || minutes > 59) { return false; }
        seconds += sign * (hours * 3600 + minutes * 60);
    } else {
        (void)model_char(&at, end, "Zz");
    }
    *out = seconds * S + us;
    return at == end && seconds >= -62135596800 && seconds < 253402300800;
}

Test(timestamp, random_texts_are_read_as_by_the_model)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    static const char alphabet[] = "0123456789-:TtZz .+";
    uint32_t accepted = 0;
    for (uint32_t i = 0; i < 1000000; i++) {
        char text[128];
        int bytes = snprintf(text, sizeof text, "%04u-%02u-%02uT%02u:%02u:%02u", tg_prng_below(&prng, 10000),
                             tg_prng_below(&prng, 14), tg_prng_below(&prng, 33), tg_prng_below(&prng, 25),
                             tg_prng_below(&prng, 61), tg_prng_below(&prng, 61));
        const uint32_t digits = tg_prng_below(&prng, 12);
        if (digits > 0) { text[bytes++] = '.'; }
        for (uint32_t k = 1; k < digits; k++) { text[bytes++] = (char)('0' + tg_prng_below(&prng, 10)); }
        switch (tg_prng_below(&prng, 4)) {
        case 0: text[bytes++] = 'Z'; break;
        case 1:
            bytes += snprintf(text + bytes, 8, "%c%02u:%02u", "+-"[tg_prng_below(&prng, 2)], tg_prng_below(&prng, 25),
                              tg_prng_below(&prng, 61));
            break;
        default: break;
        }
        if (tg_prng_below(&prng, 3) == 0) {
            text[tg_prng_below(&prng, (uint32_t)bytes)] = alphabet[tg_prng_below(&prng, sizeof alphabet - 1)];
        }
        text[bytes] = '\0';
        int64_t expected = 0;
        tg_ts got = 0;
        const bool ok = model_parse(text, (size_t)bytes, &expected);
        cr_assert_eq(parse(text, (size_t)bytes, &got), ok, "seed %" PRIu64 ": %s", seed, text);
        cr_assert(!ok || got == expected, "seed %" PRIu64 ": %s %" PRId64 " %" PRId64, seed, text, got, expected);
        accepted += ok;
    }
    cr_assert_gt(accepted, 100000, "the generator makes too few legal texts");
}

Test(timestamp, instants_outside_four_digit_years_still_print)
{
    static const struct {
        int64_t us;
        const char *text;
    } table[] = {
        {TG_TS_MAX, "+294247-01-10T04:00:54.775807Z"},
        {TG_TS_MIN, "-290308-12-21T19:59:05.224192Z"},
        {253402300800 * S, "+10000-01-01T00:00:00Z"},
        {-62135596800 * S - 1, "0000-12-31T23:59:59.999999Z"},
        {-62167219200 * S - 1, "-0001-12-31T23:59:59.999999Z"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[TG_TS_TEXT_BYTES + 1];
        const uint32_t bytes = tg_ts_format(table[i].us, text);
        text[bytes] = '\0';
        cr_assert_str_eq(text, table[i].text);
    }
}

Test(date, accepted_refused_and_formatted)
{
    static const struct {
        const char *text;
        bool ok;
        tg_date date;
    } table[] = {{"1970-01-01", true, 0},       {"1969-12-31", true, -1},        {"2024-02-29", true, 19782},
                 {"0001-01-01", true, -719162}, {"9999-12-31", true, 2932896},   {"0000-01-01", false, 0},
                 {"2023-02-29", false, 0},      {"2024-13-01", false, 0},        {"2024-00-01", false, 0},
                 {"2024-01-00", false, 0},      {"2024-04-31", false, 0},        {"2024-1-01", false, 0},
                 {"2024-01-1", false, 0},       {"2024-01-011", false, 0},       {"2024-01-01T", false, 0},
                 {"2024/01/01", false, 0},      {"20240101", false, 0},          {"", false, 0},
                 {" 2024-01-1", false, 0},      {"2024-01-\xB1\x31", false, 0}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const size_t bytes = strlen(table[i].text);
        char *copy = malloc(bytes + 1);
        memcpy(copy, table[i].text, bytes);
        tg_date date = 0;
        cr_assert_eq(tg_date_parse(copy, (uint32_t)bytes, &date), table[i].ok, "%s", table[i].text);
        char back[TG_DATE_TEXT_BYTES + 1];
        if (table[i].ok) {
            cr_assert_eq(date, table[i].date);
            back[tg_date_format(date, back)] = '\0';
            cr_assert_str_eq(back, table[i].text);
        }
        free(copy);
    }
    char text[TG_DATE_TEXT_BYTES + 1];
    text[tg_date_format(INT32_MAX, text)] = '\0';
    cr_assert_str_eq(text, "+5881580-07-11");
    text[tg_date_format(INT32_MIN, text)] = '\0';
    cr_assert_str_eq(text, "-5877641-06-23");
}

Test(duration, accepted_refused_and_formatted)
{
    static const struct {
        const char *text;
        int64_t us; /* -1 = refused */
        const char *canonical;
    } table[] = {
        {"250ms", 250000, "250ms"}, {"30s", 30 * S, "30s"}, {"5m", 300 * S, "5m"}, {"24h", 86400 * S, "1d"},
        {"30d", 2592000 * S, "30d"}, {"10us", 10, "10us"}, {"0", 0, "0"}, {"0s", 0, "0"}, {"1h30m", 5400 * S, "1h30m"},
        {"5m30s", 330 * S, "5m30s"}, {"90m", 5400 * S, "1h30m"}, {"1d2h3m4s5ms6us", 93784005006, "1d2h3m4s5ms6us"},
        {"1500ms", 1500000, "1s500ms"}, {"1s1us", 1000001, "1s1us"}, {"007s", 7 * S, "7s"},
        {"106751991d4h54s775ms807us", INT64_MAX, "106751991d4h54s775ms807us"},
        {"", -1, ""}, {"5", -1, ""}, {"00", -1, ""}, {"5x", -1, ""}, {"m", -1, ""}, {"-5m", -1, ""}, {"+5m", -1, ""},
        {"5 m", -1, ""}, {" 5m", -1, ""}, {"5m ", -1, ""}, {"5M", -1, ""}, {"1.5h", -1, ""}, {"1m1h", -1, ""},
        {"1m1m", -1, ""}, {"1ms1s", -1, ""}, {"1h30", -1, ""}, {"5min", -1, ""}, {"1hh", -1, ""}, {"5mss", -1, ""},
        {"1w", -1, ""},
        {"106751991d4h54s775ms808us", -1, ""}, {"9223372036854775808us", -1, ""}, {"9223372036854775807d", -1, ""},
        {"99999999999999999999999us", -1, ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        tg_us us = -2;
        char text[32];
        const bool ok = tg_duration_parse(table[i].text, &us);
        cr_assert_eq(ok, table[i].us >= 0, "%s", table[i].text);
        if (!ok) { continue; }
        cr_assert_eq(us, table[i].us, "%s: %" PRId64, table[i].text, us);
        cr_assert_str_eq(tg_duration_format(us, text), table[i].canonical);
    }
    char text[32];
    cr_assert_str_eq(tg_duration_format(-90 * S, text), "-1m30s");
    cr_assert_str_eq(tg_duration_format(INT64_MIN, text), "-106751991d4h54s775ms808us");
    cr_assert_str_eq(tg_duration_format(106751991 * INT64_C(86400) * S - 1, text), "106751990d23h59m59s999ms999us");
}

Test(duration, random_durations_survive_their_text)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    for (uint32_t i = 0; i < 200000; i++) {
        const tg_us us = (int64_t)(tg_prng_next(&prng) >> 1 >> tg_prng_below(&prng, 63));
        char text[32];
        tg_us back = -1;
        cr_assert(tg_duration_parse(tg_duration_format(us, text), &back), "seed %" PRIu64 ": %s", seed, text);
        cr_assert_eq(back, us, "seed %" PRIu64 ": %s", seed, text);
    }
}
