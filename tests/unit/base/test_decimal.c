/* Decimals: worked lexemes, the border at 10^38, HALF_EVEN, and random lexemes against arithmetic on digit strings. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decimal.h"
#include "base/prng.h"
#include "tests/seed.h"

#define NINES_38 "99999999999999999999999999999999999999"

static const char *text_of(tg_dec value, uint8_t scale)
{
    static char text[TG_DEC_TEXT_BYTES + 1];
    text[tg_dec_format(value, scale, text)] = '\0';
    return text;
}

/* From a heap block of exactly that size, so that the sanitizer sees a read behind the end. */
static enum tg_dec_outcome parse(const char *lexeme, size_t bytes, uint8_t precision, uint8_t scale, bool round,
                                 tg_dec *out)
{
    char *copy = malloc(bytes == 0 ? 1 : bytes);
    memcpy(copy, lexeme, bytes);
    const enum tg_dec_outcome outcome = tg_dec_parse(copy, (uint32_t)bytes, precision, scale, round, out);
    free(copy);
    return outcome;
}

struct line {
    const char *lexeme;
    uint8_t precision, scale;
    bool round;
    enum tg_dec_outcome outcome;
    const char *text;
};

static void check(const struct line *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct line *l = &lines[i];
        tg_dec got = 0;
        const enum tg_dec_outcome outcome = parse(l->lexeme, strlen(l->lexeme), l->precision, l->scale, l->round, &got);
        cr_assert_eq(outcome, l->outcome, "%s scale %u: outcome %d", l->lexeme, l->scale, outcome);
        if (outcome == TG_DEC_OK) {
            cr_assert_str_eq(text_of(got, l->scale), l->text, "%s is %s", l->lexeme, text_of(got, l->scale));
        }
    }
}

#define CHECK(lines) check(lines, sizeof(lines) / sizeof((lines)[0]))

Test(decimal, lexemes_are_taken_by_value)
{
    static const struct line lines[] = {
        {"0", 38, 2, false, TG_DEC_OK, "0.00"}, {"-0", 38, 2, false, TG_DEC_OK, "0.00"},
        {"-0.0", 38, 2, false, TG_DEC_OK, "0.00"},
        {"7", 38, 2, false, TG_DEC_OK, "7.00"}, {"-7", 38, 2, false, TG_DEC_OK, "-7.00"},
        {"75.00", 38, 2, false, TG_DEC_OK, "75.00"},
        {"-0.05", 38, 2, false, TG_DEC_OK, "-0.05"}, {"5.000", 38, 2, false, TG_DEC_OK, "5.00"},
        {"5.0000000000", 38, 2, false, TG_DEC_OK, "5.00"},
        {"50e-1", 38, 2, false, TG_DEC_OK, "5.00"}, {"1e2", 38, 2, false, TG_DEC_OK, "100.00"},
        {"1E+2", 38, 2, false, TG_DEC_OK, "100.00"},
        {"1.5e1", 38, 2, false, TG_DEC_OK, "15.00"}, {"0.001e1", 38, 2, false, TG_DEC_OK, "0.01"},
        {"0e999999999999999999", 38, 2, false, TG_DEC_OK, "0.00"},
        {"0.000e-5", 38, 2, false, TG_DEC_OK, "0.00"}, {"16777217", 38, 2, false, TG_DEC_OK, "16777217.00"},
        {"9007199254740993", 38, 0, false, TG_DEC_OK, "9007199254740993"}, {"1", 38, 38, false, TG_DEC_RANGE, ""},
        {"0.01", 38, 38, false, TG_DEC_OK, "0.01000000000000000000000000000000000000"},
        {"12345678", 8, 0, false, TG_DEC_OK, "12345678"},
        {"1234567.", 8, 0, false, TG_DEC_SYNTAX, ""}, {"1234.5678", 8, 4, false, TG_DEC_OK, "1234.5678"},
        {"239.97", 18, 2, true, TG_DEC_OK, "239.97"},
        {"239.96999999999997", 18, 2, true, TG_DEC_OK, "239.97"},
        {"239.96999999999997", 18, 2, false, TG_DEC_SCALE, ""},
        {"5.005", 38, 2, false, TG_DEC_SCALE, ""}, {"1e-400", 38, 2, false, TG_DEC_SCALE, ""},
        {"1e-400", 38, 2, true, TG_DEC_OK, "0.00"},
        {"-1e-400", 38, 2, true, TG_DEC_OK, "0.00"}, {"1e400", 38, 2, true, TG_DEC_RANGE, ""},
        {"1e99999999999999999999", 38, 2, false, TG_DEC_RANGE, ""},
        {"1e-99999999999999999999", 38, 2, false, TG_DEC_SCALE, ""},
        {"1e-99999999999999999999", 38, 2, true, TG_DEC_OK, "0.00"},
        {"100000000000000000000000000000000000000000e-41", 38, 2, false, TG_DEC_OK, "1.00"},
        {"0.00000000000000000000000000000000000000000000012e45", 38, 2, false, TG_DEC_OK, "0.12"},
    };
    CHECK(lines);
}

Test(decimal, what_is_no_json_number_is_a_syntax_error)
{
    static const char *const wrong[] = {
        "", "-", "+1", "--1", "01", "-01", "00", "1.", ".5", "-.5", "1..2", "1.2.3", "1.2.", "..", ".", "e5", "1e",
        "1e+", "1e-", "1e5.5", "1e5e5", "1,5", "1_000", "0x10", "NaN", "Infinity", "-Infinity", "1 ", " 1", "1a",
        "a", "1.a", "1.5a", "1-", "1-2", "12345678a", "123456789a", "1234567890123456789012345678901234567890a",
        "1.e5", "00.5", "1/2", "1:2", "12:4567", "\"1\"", "1e 5", "1\t", "٣", "1e++5", "1e5-", "0123456789012345678",
        "0e", "0.", "-0.e1", "1.23456789012.5",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        for (int round = 0; round < 2; round++) {
            tg_dec got;
            cr_assert_eq(parse(wrong[i], strlen(wrong[i]), 38, 2, round == 1, &got), TG_DEC_SYNTAX, "%s", wrong[i]);
        }
    }
    tg_dec got;
    cr_assert_eq(parse("1\0002", 3, 38, 2, false, &got), TG_DEC_SYNTAX, "a zero byte is a byte");
}

Test(decimal, any_byte_anywhere_in_a_short_lexeme)
{
    static const char *const lexemes[] = {"1", "12", "123", "1234", "12345", "123456", "1234567", "12345678",
                                          "-1234.67", "123.5678"};
    for (size_t i = 0; i < sizeof lexemes / sizeof lexemes[0]; i++) {
        const size_t bytes = strlen(lexemes[i]);
        for (size_t at = 0; at < bytes; at++) {
            for (int c = 0; c < 256; c++) {
                char text[16] = "";
                char *end;
                tg_dec got;
                memcpy(text, lexemes[i], bytes);
                text[at] = (char)c;
                const enum tg_dec_outcome outcome = parse(text, bytes, 38, 10, false, &got);
                if (c != 'e' && c != 'E' && c != '.' && c != '-' && !(c >= '0' && c <= '9')) {
                    cr_assert_eq(outcome, TG_DEC_SYNTAX, "accepted byte %d at %zu of %s", c, at, lexemes[i]);
                } else if (outcome == TG_DEC_OK) {
                    const double expected = strtod(text, &end);
                    cr_assert_eq(end, text + bytes, "%s", text);
                    cr_assert_float_eq(strtod(text_of(got, 10), NULL), expected,
                                       1e-9 * (1 + (expected < 0 ? -expected : expected)), "%s", text);
                }
            }
        }
    }
}

Test(decimal, ties_go_to_the_even_neighbour)
{
    static const struct line lines[] = {
        {"0.005", 38, 2, true, TG_DEC_OK, "0.00"}, {"0.015", 38, 2, true, TG_DEC_OK, "0.02"},
        {"0.025", 38, 2, true, TG_DEC_OK, "0.02"},
        {"-0.005", 38, 2, true, TG_DEC_OK, "0.00"}, {"-0.015", 38, 2, true, TG_DEC_OK, "-0.02"},
        {"-0.025", 38, 2, true, TG_DEC_OK, "-0.02"},
        {"5.005", 38, 2, true, TG_DEC_OK, "5.00"}, {"5.0050000000000000001", 38, 2, true, TG_DEC_OK, "5.01"},
        {"5.0049999999999999", 38, 2, true, TG_DEC_OK, "5.00"},
        {"0.5", 38, 0, true, TG_DEC_OK, "0"}, {"1.5", 38, 0, true, TG_DEC_OK, "2"},
        {"2.5", 38, 0, true, TG_DEC_OK, "2"},
        {"0.49", 38, 0, true, TG_DEC_OK, "0"}, {"0.51", 38, 0, true, TG_DEC_OK, "1"},
        {"0.05", 38, 0, true, TG_DEC_OK, "0"},
        {"25e-1", 38, 0, true, TG_DEC_OK, "2"}, {"35e-1", 38, 0, true, TG_DEC_OK, "4"},
        {"5e-3", 38, 2, true, TG_DEC_OK, "0.00"}, {"6e-3", 38, 2, true, TG_DEC_OK, "0.01"},
    };
    CHECK(lines);
}

Test(decimal, the_border_of_the_range)
{
    static const struct line lines[] = {
        {NINES_38, 38, 0, false, TG_DEC_OK, NINES_38},
        {"-" NINES_38, 38, 0, false, TG_DEC_OK, "-" NINES_38},
        {"100000000000000000000000000000000000000", 38, 0, false, TG_DEC_RANGE, ""},
        {"-100000000000000000000000000000000000000", 38, 0, false, TG_DEC_RANGE, ""},
        {"1e38", 38, 0, false, TG_DEC_RANGE, ""},
        {"1e37", 38, 0, false, TG_DEC_OK, "10000000000000000000000000000000000000"},
        {"1e36", 38, 2, false, TG_DEC_RANGE, ""},
        {"1e35", 38, 2, false, TG_DEC_OK, "100000000000000000000000000000000000.00"},
        {"999999999999999999999999999999999999.99", 38, 2, false, TG_DEC_OK, "999999999999999999999999999999999999.99"},
        {"999999999999999999999999999999999999.994", 38, 2, true, TG_DEC_OK, "999999999999999999999999999999999999.99"},
        {"999999999999999999999999999999999999.995", 38, 2, true, TG_DEC_RANGE, ""}, /* rounds up to 10^38 */
        {"170141183460469231731687303715884105728", 38, 0, false, TG_DEC_RANGE, ""}, /* 2^127 */
        {"340282366920938463463374607431768211457", 38, 0, false, TG_DEC_RANGE, ""}, /* 2^128 + 1 */
        {"99.99", 4, 2, false, TG_DEC_OK, "99.99"}, {"100", 4, 2, false, TG_DEC_RANGE, ""},
        {"99.995", 4, 2, true, TG_DEC_RANGE, ""},
        {"100.001", 4, 2, false, TG_DEC_SCALE, ""}, /* both wrong: the scale is named */
        {"99999999", 8, 0, false, TG_DEC_OK, "99999999"}, {"99999999", 7, 0, false, TG_DEC_RANGE, ""},
        {"1", 1, 1, false, TG_DEC_RANGE, ""},
        {"0.9", 1, 1, false, TG_DEC_OK, "0.9"},
    };
    CHECK(lines);
}

Test(decimal, four_hundred_digits)
{
    char text[1000];
    tg_dec got = 0;
    memset(text, '0', sizeof text);
    memcpy(text, "1.", 2);
    cr_assert_eq(parse(text, 400, 38, 2, false, &got), TG_DEC_OK, "zeros behind the point");
    cr_assert_str_eq(text_of(got, 2), "1.00");
    text[399] = '1';
    cr_assert_eq(parse(text, 400, 38, 2, false, &got), TG_DEC_SCALE);
    cr_assert_eq(parse(text, 400, 38, 2, true, &got), TG_DEC_OK);
    text[4] = '5'; /* 1.005000...1: above the tie */
    text[3] = '0';
    cr_assert_eq(parse(text, 400, 38, 2, true, &got), TG_DEC_OK);
    cr_assert_str_eq(text_of(got, 2), "1.01");
    memset(text, '9', sizeof text);
    cr_assert_eq(parse(text, 400, 38, 2, false, &got), TG_DEC_RANGE);
    memset(text, '0', sizeof text);
    text[0] = '7';
    memcpy(text + 400, "e-400", 5); /* 7 x 10^399 x 10^-400 */
    cr_assert_eq(parse(text, 405, 38, 2, false, &got), TG_DEC_OK);
    cr_assert_str_eq(text_of(got, 2), "0.70");
    memcpy(text, "0.", 2);
    memset(text + 2, '0', 398);
    memcpy(text + 400, "42e400", 6);
    cr_assert_eq(parse(text, 406, 38, 2, false, &got), TG_DEC_OK);
    cr_assert_str_eq(text_of(got, 2), "42.00");
}

/* ---- the model: numbers as strings of digits --------------------------------------------------------------------- */

/* Digit i of the model's plane stands for 10^(MODEL_POINT - 1 - i). */
enum { MODEL_TEXT_BYTES = 256, MODEL_DIGITS = 200, MODEL_POINT = 100 };

struct lexeme {
    const char *digits;
    int point; /* digits before the decimal point */
    int exponent;
    bool negative;
    uint8_t precision, scale;
    bool round;
};

static enum tg_dec_outcome model_parse(const struct lexeme *l, char *out)
{
    char plane[MODEL_DIGITS + 1];
    memset(plane, '0', MODEL_DIGITS);
    for (int i = 0; l->digits[i] != '\0'; i++) {
        const int at = MODEL_POINT - l->point - l->exponent + i;
        cr_assert(at >= 0 && at < MODEL_DIGITS, "the model's plane is too small");
        plane[at] = l->digits[i];
    }
    const int cut = MODEL_POINT + l->scale; /* first digit that is cut off */
    const bool rest = strspn(plane + cut, "0") < (size_t)(MODEL_DIGITS - cut);
    plane[MODEL_DIGITS] = '\0';
    if (rest && !l->round) { return TG_DEC_SCALE; }
    if (rest) {
        const bool more = strspn(plane + cut + 1, "0") < (size_t)(MODEL_DIGITS - cut - 1);
        const bool odd = (plane[cut - 1] - '0') % 2 == 1;
        if (plane[cut] > '5' || (plane[cut] == '5' && (more || odd))) {
            int at = cut - 1;
            while (plane[at] == '9') { plane[at--] = '0'; }
            plane[at]++;
        }
    }
    plane[cut] = '\0';
    const int zeros = (int)strspn(plane, "0");
    if (cut - zeros > l->precision) { return TG_DEC_RANGE; }
    const int from = zeros < MODEL_POINT - 1 ? zeros : MODEL_POINT - 1; /* at least one digit before the point */
    const bool zero = zeros == cut;
    (void)snprintf(out, MODEL_TEXT_BYTES, "%s%.*s%s%s", l->negative && !zero ? "-" : "", MODEL_POINT - from,
                   plane + from,
                   l->scale > 0 ? "." : "", plane + MODEL_POINT);
    return TG_DEC_OK;
}

Test(decimal, random_lexemes_agree_with_arithmetic_on_digit_strings)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    uint32_t outcomes[4] = {0};
    for (uint32_t i = 0; i < 1000000; i++) {
        char digits[64], lexeme[160], expected[MODEL_TEXT_BYTES] = "";
        const int max = tg_prng_below(&prng, 3) == 0 ? 42 : 10;
        const int count = 1 + (int)tg_prng_below(&prng, (uint32_t)max);
        const int kind = (int)tg_prng_below(&prng, 3); /* any digits, many zeros, only 9, 5 and 0 */
        for (int k = 0; k < count; k++) {
            const char any = (char)('0' + tg_prng_below(&prng, 10));
            const char rare = tg_prng_below(&prng, 4) == 0 ? any : '0';
            const char tie = "950"[tg_prng_below(&prng, 3)];
            digits[k] = kind == 0 ? any : kind == 1 ? rare : tie;
        }
        digits[count] = '\0';
        int point = 1 + (int)tg_prng_below(&prng, (uint32_t)count);
        if (digits[0] == '0') { point = 1; }
        const bool negative = tg_prng_below(&prng, 3) == 0;
        const bool with_exponent = tg_prng_below(&prng, 4) == 0;
        const int exponent = with_exponent ? (int)tg_prng_below(&prng, 41) - 20 : 0;
        int bytes = snprintf(lexeme, sizeof lexeme, "%s%.*s%s%s", negative ? "-" : "", point, digits,
                             point < count ? "." : "", digits + point);
        if (with_exponent) {
            bytes += snprintf(lexeme + bytes, 16, "%c%s%d", "eE"[i & 1], exponent >= 0 && (i & 2) != 0 ? "+" : "",
                              exponent);
        }
        const uint8_t scale = (uint8_t)tg_prng_below(&prng, tg_prng_below(&prng, 4) == 0 ? 39 : 5);
        const uint8_t precision = (uint8_t)(tg_prng_below(&prng, 2) == 0 ? 38 : 1 + tg_prng_below(&prng, 38));
        const bool round = tg_prng_below(&prng, 2) == 0;
        tg_dec got = 0;
        const struct lexeme model = {digits, point, exponent, negative, precision, scale, round};
        const enum tg_dec_outcome want = model_parse(&model, expected);
        const enum tg_dec_outcome outcome = parse(lexeme, (size_t)bytes, precision, scale, round, &got);
        cr_assert_eq(outcome, want, "seed %" PRIu64 ": %s (%u,%u) round %d: %d not %d", seed, lexeme, precision, scale,
                     round, outcome, want);
        if (want == TG_DEC_OK) {
            cr_assert_str_eq(text_of(got, scale), expected, "seed %" PRIu64 ": %s", seed, lexeme);
        }
        outcomes[want]++;
    }
    cr_assert(outcomes[TG_DEC_OK] > 100000 && outcomes[TG_DEC_SCALE] > 10000 && outcomes[TG_DEC_RANGE] > 10000,
              "a lopsided generator");
}

/* ---- text and arithmetic ----------------------------------------------------------------------------------------- */

static tg_dec random_dec(struct tg_prng *prng)
{
    static const uint64_t limits[] = {10, 100, 10000000000000000000u};
    tg_dec value = (tg_dec)tg_prng_next(prng) % limits[tg_prng_below(prng, 3)];
    if (tg_prng_below(prng, 2) == 0) {
        value = value * 10000000000000000000u + (tg_dec)(tg_prng_next(prng) % 10000000000000000000u);
    }
    return tg_prng_below(prng, 2) == 0 ? -value : value;
}

Test(decimal, format_and_parse_are_inverse)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    for (uint32_t i = 0; i < 500000; i++) {
        const tg_dec value = random_dec(&prng);
        const uint8_t scale = (uint8_t)tg_prng_below(&prng, 39);
        const char *text = text_of(value, scale);
        tg_dec back = 1;
        cr_assert_eq(parse(text, strlen(text), 38, scale, false, &back), TG_DEC_OK, "seed %" PRIu64 ": %s", seed, text);
        cr_assert(back == value, "seed %" PRIu64 ": %s", seed, text);
        const char *point = strchr(text, '.');
        cr_assert_eq(point == NULL ? 0 : strlen(point + 1), scale, "%s", text);
    }
}

Test(decimal, sums_stop_short_of_ten_to_the_38)
{
    tg_dec most = 0;
    tg_dec out = 0;
    cr_assert_eq(tg_dec_parse(NINES_38, 38, 38, 0, false, &most), TG_DEC_OK);
    cr_assert(tg_dec_add(most, 0, &out) && out == most);
    cr_assert(!tg_dec_add(most, 1, &out));
    cr_assert(tg_dec_add(-most, most, &out) && out == 0);
    cr_assert(!tg_dec_add(-most, -1, &out));
    cr_assert(!tg_dec_add(most, most, &out), "this one leaves 128 bits");
    cr_assert(tg_dec_add(most - 1, 1, &out) && out == most);
}

Test(decimal, quotients_round_half_even)
{
    static const struct {
        int64_t numerator, denominator;
        uint8_t in, out;
        const char *text;
    } table[] = {
        {2, 3, 0, 4, "0.6667"}, {1, 3, 0, 4, "0.3333"}, {-2, 3, 0, 4, "-0.6667"}, {1, 8, 0, 2, "0.12"},
        {3, 8, 0, 2, "0.38"},
        {-1, 8, 0, 2, "-0.12"}, {500, 1, 2, 2, "5.00"}, {501, 2, 2, 2, "2.50"}, {503, 2, 2, 2, "2.52"},
        {-501, 2, 2, 2, "-2.50"},
        {0, 7, 2, 4, "0.0000"}, {1, 2, 0, 0, "0"}, {3, 2, 0, 0, "2"}, {5, 2, 0, 0, "2"}, {1000, 3, 2, 0, "3"},
        {750, 3, 2, 0, "2"},
        {350, 1, 2, 0, "4"}, {250, 1, 2, 0, "2"}, {251, 1, 2, 0, "3"},
        {1, 7, 0, 38, "0.14285714285714285714285714285714285714"},
        {1, INT64_MAX, 0, 38, "0.00000000000000000010842021724855044341"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        tg_dec out = 0;
        cr_assert(tg_dec_divide(table[i].numerator, table[i].denominator, table[i].in, table[i].out, &out), "line %zu",
                  i);
        cr_assert_str_eq(text_of(out, table[i].out), table[i].text, "%" PRId64 "/%" PRId64 " is %s",
                         table[i].numerator, table[i].denominator,
                         text_of(out, table[i].out));
    }
    tg_dec most = 0;
    tg_dec out = 0;
    cr_assert_eq(tg_dec_parse(NINES_38, 38, 38, 0, false, &most), TG_DEC_OK);
    cr_assert(!tg_dec_divide(most, 1, 0, 1, &out));
    cr_assert(!tg_dec_divide(most, 9, 0, 2, &out));
    cr_assert(tg_dec_divide(most, 10000, 0, 4, &out) && out == most, "though the grown numerator has 42 digits");
    cr_assert(!tg_dec_divide(most, 1, 0, 38, &out));
    cr_assert(tg_dec_divide(most, 1, 38, 0, &out) && out == 1, "0.99... rounds to 1");
}

Test(decimal, random_quotients_agree_with_the_definition)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    for (uint32_t i = 0; i < 500000; i++) {
        const uint32_t shift = tg_prng_below(&prng, 62);
        const tg_dec numerator = (tg_dec)(int64_t)tg_prng_next(&prng) >> tg_prng_below(&prng, 64);
        const int64_t denominator = 1 + (int64_t)(tg_prng_next(&prng) >> 1 >> shift) % INT64_C(1000000000000);
        const uint8_t in = (uint8_t)tg_prng_below(&prng, 5);
        const uint8_t to = (uint8_t)tg_prng_below(&prng, 9);
        tg_dec up = 1, down = 1;
        for (int k = in; k < to; k++) { up *= 10; }
        for (int k = to; k < in; k++) { down *= 10; }
        tg_dec got;
        cr_assert(tg_dec_divide(numerator, denominator, in, to, &got));
        /* |2 (n - q d)| <= d, and on equality q is even */
        const tg_dec d = denominator * down;
        tg_dec twice = 2 * (numerator * up - got * d);
        twice = twice < 0 ? -twice : twice;
        cr_assert(twice < d || (twice == d && got % 2 == 0), "seed %" PRIu64 " step %u", seed, i);
    }
}
