/* What every type takes and refuses, with which reason, and how values are found in a document. */
#include "tests/unit/io/decode_fixture.h"

#include "base/decimal.h"

static struct fixture one;

/* A decoder of the single field "v". */
static struct tg_field_spec *open_one(enum tg_type type)
{
    fixture_init(&one);
    return fixture_field(&one, "v", type);
}

static const char *wrap(const char *value)
{
    static char document[4096];
    snprintf(document, sizeof document, "{\"v\":%s}", value);
    return document;
}

Test(decode, reasons_have_the_names_users_see)
{
    cr_assert_str_eq(tg_reason_name(TG_REASON_none), "");
    cr_assert_str_eq(tg_reason_name(TG_REASON_bad_json), "bad_json");
    cr_assert_str_eq(tg_reason_name(TG_REASON_empty_key), "empty_key");
    cr_assert_str_eq(tg_reason_name(TG_REASON_operator_refused), "operator_refused");
}

Test(decode, text_comes_from_strings_only)
{
    open_one(TG_TYPE_TEXT);
    fixture_open(&one, 4096);
    assert_accepted(&one, wrap("\"abc\""));
    cr_assert(fixture_text_is(&one, "v", "abc"));
    assert_accepted(&one, "{ \"v\" \t:\r\n \"a b\" \n}  ");
    cr_assert(fixture_text_is(&one, "v", "a b"));
    assert_accepted(&one, wrap("\"\"")); /* empty is a value unless the field is required */
    cr_assert(fixture_text_is(&one, "v", ""));
    static const char *const others[] = {"7", "7.0", "true", "[]", "{}", "[\"a\"]", "-0"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_refused(&one, wrap(others[i]), TG_REASON_wrong_type, 0);
    }
    fixture_close(&one);
}

Test(decode, integer_ok_gives_canonical_text_of_integer_tokens_only)
{
    open_one(TG_TYPE_TEXT)->integer_ok = true;
    fixture_open(&one, 4096);
    static const char *const pairs[][2] = {{"7", "7"}, {"0", "0"}, {"-0", "0"}, {"-12", "-12"}, {"\"7\"", "7"},
        {"\"-0\"", "-0"},
        {"123456789012345678901234567890", "123456789012345678901234567890"}, {" 42 ", "42"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        assert_accepted(&one, wrap(pairs[i][0]));
        cr_assert(fixture_text_is(&one, "v", pairs[i][1]), "%s", pairs[i][0]);
    }
    static const char *const refused[] = {"7.0", "1e2", "-0.0", "0e0", "true", "[7]"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_refused(&one, wrap(refused[i]), TG_REASON_wrong_type, 0);
    }
    assert_refused(&one, wrap("007"), TG_REASON_bad_json, -1);
    assert_refused(&one, wrap("+7"), TG_REASON_bad_json, -1);
    fixture_close(&one);
}

Test(decode, bigint_is_exact_to_both_ends_of_int64)
{
    open_one(TG_TYPE_BIGINT);
    fixture_open(&one, 4096);
    static const struct {
        const char *token;
        int64_t value;
    } good[] = {{"0", 0}, {"-0", 0}, {"1", 1}, {"-1", -1}, {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN}, {"9007199254740993", 9007199254740993}, {"1000000000000000000",
            1000000000000000000}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_accepted(&one, wrap(good[i].token));
        cr_assert_eq(*(int64_t *)fixture_value(&one, "v"), good[i].value, "%s", good[i].token);
    }
    static const char *const beyond[] = {"9223372036854775808", "-9223372036854775809", "18446744073709551616",
        "18446744073709551617", "99999999999999999999999999", "-99999999999999999999999999"};
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        assert_refused(&one, wrap(beyond[i]), TG_REASON_out_of_range, 0);
    }
    static const char *const others[] = {"2.0", "1e2", "\"2\"", "true", "[1]", "{\"a\":1}",
        "99999999999999999999999999.5", "1E400"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_refused(&one, wrap(others[i]), TG_REASON_wrong_type, 0);
    }
    fixture_close(&one);
}

Test(decode, integer_is_exact_to_both_ends_of_int32)
{
    open_one(TG_TYPE_INTEGER);
    fixture_open(&one, 4096);
    assert_accepted(&one, wrap("2147483647"));
    cr_assert_eq(*(int32_t *)fixture_value(&one, "v"), INT32_MAX);
    assert_accepted(&one, wrap("-2147483648"));
    cr_assert_eq(*(int32_t *)fixture_value(&one, "v"), INT32_MIN);
    assert_refused(&one, wrap("2147483648"), TG_REASON_out_of_range, 0);
    assert_refused(&one, wrap("-2147483649"), TG_REASON_out_of_range, 0);
    assert_refused(&one, wrap("9223372036854775808"), TG_REASON_out_of_range, 0);
    assert_refused(&one, wrap("1.0"), TG_REASON_wrong_type, 0);
    fixture_close(&one);
}

Test(decode, boolean_is_true_or_false)
{
    open_one(TG_TYPE_BOOLEAN);
    fixture_open(&one, 4096);
    assert_accepted(&one, wrap("true"));
    cr_assert_eq(*(uint8_t *)fixture_value(&one, "v"), 1);
    assert_accepted(&one, wrap("false"));
    cr_assert_eq(*(uint8_t *)fixture_value(&one, "v"), 0);
    assert_refused(&one, wrap("1"), TG_REASON_wrong_type, 0);
    assert_refused(&one, wrap("\"true\""), TG_REASON_wrong_type, 0);
    assert_refused(&one, wrap("True"), TG_REASON_bad_json, -1);
    assert_refused(&one, wrap("tru"), TG_REASON_bad_json, -1);
    assert_refused(&one, wrap("truee"), TG_REASON_bad_json, -1);
    fixture_close(&one);
}

Test(decode, enums_are_case_sensitive)
{
    static const char *const values[] = {"view", "click", "add_to_cart"};
    open_one(TG_TYPE_ENUM);
    fixture_column(&one)->enum_values = values;
    fixture_column(&one)->enum_count = 3;
    fixture_open(&one, 4096);
    assert_accepted(&one, wrap("\"add_to_cart\""));
    cr_assert_eq(*(int32_t *)fixture_value(&one, "v"), 2);
    assert_accepted(&one, wrap("\"vi\\u0065w\"")); /* by value, not by spelling */
    cr_assert_eq(*(int32_t *)fixture_value(&one, "v"), 0);
    static const char *const unknown[] = {"\"View\"", "\"\"", "\"clic\"", "\"clicks\"", "\"view \""};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_refused(&one, wrap(unknown[i]), TG_REASON_unknown_enum, 0);
    }
    assert_refused(&one, wrap("0"), TG_REASON_wrong_type, 0);
    fixture_close(&one);
}

Test(decode, timestamps_are_text_unless_an_epoch_is_declared)
{
    open_one(TG_TYPE_TIMESTAMP);
    fixture_open(&one, 4096);
    assert_accepted(&one, wrap("\"2024-05-11T10:00:00.000001Z\""));
    cr_assert_eq(*(tg_ts *)fixture_value(&one, "v"), INT64_C(1715421600000001));
    assert_accepted(&one, wrap("\"2024-05-11\\u002010:00:00\""));
    cr_assert_eq(*(tg_ts *)fixture_value(&one, "v"), INT64_C(1715421600000000));
    static const char *const bad[] = {"\"\"", "\"2024-05-11\"", "\"2024-02-30T00:00:00Z\"", "\"2024-05-11T24:00:00Z\"",
        "\"2024-05-11T10:00:60Z\"", "\"0000-05-11T10:00:00Z\"", "\"2024-05-11T10:00:00.1234567890Z\"",
            "\"1715421600\""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_refused(&one, wrap(bad[i]), TG_REASON_bad_timestamp, 0);
    }
    assert_refused(&one, wrap("1715421600"), TG_REASON_wrong_type, 0);
    assert_refused(&one, wrap("true"), TG_REASON_wrong_type, 0);
    fixture_close(&one);
}

Test(decode, epochs_are_integers_in_their_unit_within_the_years_of_text)
{
    static const struct {
        enum tg_epoch epoch;
        const char *token;
        tg_ts ts;
        enum tg_reason reason;
    } cases[] = {
        {TG_EPOCH_S, "1715421600", INT64_C(1715421600000000), TG_REASON_none},
        {TG_EPOCH_S, "-1", -1000000, TG_REASON_none},
        {TG_EPOCH_S, "\"1970-01-01T00:00:01Z\"", 1000000, TG_REASON_none},
        {TG_EPOCH_MS, "1715421600123", INT64_C(1715421600123000), TG_REASON_none},
        {TG_EPOCH_US, "1715421600123456", INT64_C(1715421600123456), TG_REASON_none},
        {TG_EPOCH_US, "-0", 0, TG_REASON_none},
        {TG_EPOCH_S, "253402300799", INT64_C(253402300799000000), TG_REASON_none},
        {TG_EPOCH_S, "253402300800", 0, TG_REASON_out_of_range},
        {TG_EPOCH_S, "-62135596800", INT64_C(-62135596800000000), TG_REASON_none},
        {TG_EPOCH_S, "-62135596801", 0, TG_REASON_out_of_range},
        {TG_EPOCH_US, "253402300799999999", INT64_C(253402300799999999), TG_REASON_none},
        {TG_EPOCH_US, "253402300800000000", 0, TG_REASON_out_of_range},
        {TG_EPOCH_S, "9223372036854775807", 0, TG_REASON_out_of_range},
        {TG_EPOCH_S, "18446744073709552", 0, TG_REASON_out_of_range}, /* x 10^6 would wrap to a small number */
        {TG_EPOCH_US, "9223372036854775807", 0, TG_REASON_out_of_range}, /* TG_TS_MAX is no instant */
        {TG_EPOCH_US, "9223372036854775808", 0, TG_REASON_out_of_range},
        {TG_EPOCH_S, "1715421600.5", 0, TG_REASON_wrong_type},
        {TG_EPOCH_S, "1.7154216e9", 0, TG_REASON_wrong_type},
        {TG_EPOCH_S, "\"1715421600\"", 0, TG_REASON_bad_timestamp},
        {TG_EPOCH_S, "false", 0, TG_REASON_wrong_type},
        {TG_EPOCH_S, "[1]", 0, TG_REASON_wrong_type},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        open_one(TG_TYPE_TIMESTAMP)->epoch = cases[i].epoch;
        fixture_open(&one, 4096);
        assert_refused(&one, wrap(cases[i].token), cases[i].reason, cases[i].reason == TG_REASON_none ? -1 : 0);
        if (cases[i].reason == TG_REASON_none) {
            cr_assert_eq(*(tg_ts *)fixture_value(&one, "v"), cases[i].ts, "%s", cases[i].token);
        }
        fixture_close(&one);
    }
}

Test(decode, stamps_without_zone_follow_the_source_and_gaps_are_counted)
{
    struct tg_zone *zone;
    struct tg_error err = {0};
    cr_assert_eq(tg_zone_open(&zone, "Europe/Berlin", &err), TG_OK, "%s", err.text);
    open_one(TG_TYPE_TIMESTAMP);
    one.zone = zone;
    fixture_open(&one, 4096);
    assert_accepted(&one, wrap("\"2024-01-01 01:00:00\""));
    cr_assert_eq(*(tg_ts *)fixture_value(&one, "v"), INT64_C(1704067200000000));
    cr_assert_eq(one.adjusted, 0);
    assert_accepted(&one, wrap("\"2024-03-31 02:30:00\"")); /* does not exist in Berlin */
    cr_assert_eq(one.adjusted, 1);
    fixture_close(&one);
    tg_zone_close(zone);
}

Test(decode, dates_are_calendar_days)
{
    open_one(TG_TYPE_DATE);
    fixture_open(&one, 4096);
    assert_accepted(&one, wrap("\"1970-01-02\""));
    cr_assert_eq(*(tg_date *)fixture_value(&one, "v"), 1);
    assert_refused(&one, wrap("\"2023-02-29\""), TG_REASON_bad_timestamp, 0);
    assert_refused(&one, wrap("\"2023-02-28T00:00:00Z\""), TG_REASON_bad_timestamp, 0);
    assert_refused(&one, wrap("1"), TG_REASON_wrong_type, 0);
    fixture_close(&one);
}

static bool decimal_is(const char *expected, uint8_t scale)
{
    char text[TG_DEC_TEXT_BYTES];
    tg_dec value;
    memcpy(&value, fixture_value(&one, "v"), sizeof value);
    const uint32_t bytes = tg_dec_format(value, scale, text);
    return bytes == strlen(expected) && memcmp(text, expected, bytes) == 0;
}

Test(decode, numerics_are_exact_and_never_rounded_unasked)
{
    open_one(TG_TYPE_NUMERIC);
    fixture_column(&one)->precision = 38;
    fixture_column(&one)->scale = 2;
    fixture_open(&one, 4096);
    static const char *const pairs[][2] = {{"5", "5.00"}, {"5.000", "5.00"}, {"50e-1", "5.00"}, {"1e2", "100.00"},
        {"-0.05", "-0.05"},
        {"16777217", "16777217.00"}, {"0.10 ", "0.10"}, {"123456789012345678901234567890123456.78",
            "123456789012345678901234567890123456.78"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        assert_accepted(&one, wrap(pairs[i][0]));
        cr_assert(decimal_is(pairs[i][1], 2), "%s", pairs[i][0]);
    }
    assert_refused(&one, wrap("5.005"), TG_REASON_scale, 0);
    assert_refused(&one, wrap("1e36"), TG_REASON_out_of_range, 0);
    assert_refused(&one, wrap("1e400"), TG_REASON_out_of_range, 0);
    assert_refused(&one, wrap("\"5.00\""), TG_REASON_wrong_type, 0);
    assert_refused(&one, wrap("true"), TG_REASON_wrong_type, 0);
    fixture_close(&one);
    open_one(TG_TYPE_NUMERIC)->excess_round = true;
    fixture_column(&one)->precision = 18;
    fixture_column(&one)->scale = 2;
    fixture_open(&one, 4096);
    assert_accepted(&one, wrap("239.96999999999997"));
    cr_assert(decimal_is("239.97", 2));
    assert_accepted(&one, wrap("0.125"));
    cr_assert(decimal_is("0.12", 2));
    fixture_close(&one);
}

Test(decode, long_text_is_refused_by_its_unescaped_length)
{
    open_one(TG_TYPE_TEXT);
    fixture_open(&one, 1 << 20);
    static char document[6 * 65537 + 64];
    for (uint32_t excess = 0; excess < 2; excess++) {
        const uint32_t bytes = TG_TEXT_BYTES_MAX + excess;
        const enum tg_reason expected = excess == 0 ? TG_REASON_none : TG_REASON_too_long;
        uint32_t used = (uint32_t)snprintf(document, 128, "{\"v\":\"");
        memset(document + used, 'x', bytes);
        snprintf(document + used + bytes, 64, "%s", "\"}");
        assert_refused(&one, document, expected, (int)excess - 1);
        for (uint32_t i = 0; i < bytes; i++) { memcpy(document + used + 6 * i, "\\u0041", 6); }
        snprintf(document + used + 6 * bytes, 64, "%s", "\"}");
        assert_refused(&one, document, expected, (int)excess - 1);
    }
    fixture_close(&one);
}

Test(decode, records_beyond_the_limit_and_empty_ones_are_refused)
{
    open_one(TG_TYPE_TEXT);
    fixture_open(&one, 4096);
    memcpy(one.buffer.data, "{}", 2);
    const struct tg_slice slices[] = {
        {.value = one.buffer.data, .value_bytes = 2, .oversize = 1}, /* its first bytes only: never parsed */
        {.value = NULL},
        {.value = one.buffer.data, .value_bytes = 0},
        {.value = one.buffer.data, .value_bytes = 2},
    };
    struct tg_decoded results[4];
    uint8_t *rows = malloc(4 * (size_t)one.schema.row_bytes);
    fixture_decode_slices(&one, 4, slices, &one.buffer, rows, results);
    static const enum tg_reason expected[] = {TG_REASON_too_long, TG_REASON_bad_json, TG_REASON_bad_json,
        TG_REASON_none};
    for (uint32_t i = 0; i < 4; i++) {
        cr_assert_eq(results[i].reason, expected[i], "slice %u", i);
        cr_assert_eq(results[i].field, -1);
    }
    free(rows);
    fixture_close(&one);
}
