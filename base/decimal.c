/* Exact decimals. Lexemes of up to 8 characters, which is what most amounts are, go through one 64-bit word without a
 * loop; longer ones are scanned once for their shape, then only the digits that can matter are turned into a number.
 * When a value fits neither the scale nor the range, the scale is named: it is looked at first. */
#include "base/decimal.h"

#include <string.h>

#include "base/assert.h"
#include "base/digits.h"

__extension__ typedef unsigned __int128 wide;

enum { DIGITS_MAX = 38, WORD_DIGITS_MAX = 19 };

/* An exponent beyond this is as good as infinite: no lexeme has as many digits. */
#define EXPONENT_MAX INT64_C(1000000000000)

#define E19 ((wide)10000000000000000000u)
#define E(zeros) ((wide)1##zeros##u)
#define EE(zeros) (E19 * 1##zeros##u)
static const wide powers[DIGITS_MAX + 1] = {
    E(), E(0), E(00), E(000), E(0000), E(00000), E(000000), E(0000000), E(00000000), E(000000000), E(0000000000),
    E(00000000000), E(000000000000), E(0000000000000), E(00000000000000), E(000000000000000), E(0000000000000000),
    E(00000000000000000), E(000000000000000000), E19, EE(0), EE(00), EE(000), EE(0000), EE(00000), EE(000000),
    EE(0000000), EE(00000000), EE(000000000), EE(0000000000), EE(00000000000), EE(000000000000), EE(0000000000000),
    EE(00000000000000), EE(000000000000000), EE(0000000000000000), EE(00000000000000000), EE(000000000000000000),
    E19 * E19};

static bool is_digit(char c) { return (unsigned char)(c - '0') <= 9; }

static enum tg_dec_outcome finish(wide magnitude, bool negative, uint8_t precision, tg_dec *out)
{
    if (magnitude >= powers[precision]) { return TG_DEC_RANGE; }
    *out = negative ? -(tg_dec)magnitude : (tg_dec)magnitude;
    return TG_DEC_OK;
}

/* ---- up to 8 characters ------------------------------------------------------------------------------------------ */

/* 1 to 8 characters, first one lowest, zero bytes behind. Reads nothing outside text[0, bytes). */
static uint64_t load_short(const char *text, uint32_t bytes)
{
    if (bytes >= 4) {
        uint32_t front;
        uint32_t back;
        memcpy(&front, text, 4);
        memcpy(&back, text + bytes - 4, 4);
        return front | (uint64_t)back << (8 * (bytes - 4)); /* where they overlap they are equal */
    }
    const uint64_t first = (unsigned char)text[0];
    const uint64_t middle = (unsigned char)text[bytes >> 1];
    const uint64_t last = (unsigned char)text[bytes - 1];
    return first | middle << (8 * (bytes >> 1)) | last << (8 * (bytes - 1));
}

/* Unsigned number without exponent: its digits as an integer and how many of them are behind the point. False for all
 * else, right or wrong: the general path decides. */
static bool short_parse(const char *text, uint32_t bytes, uint64_t *value, uint32_t *fraction)
{
    const uint64_t word = load_short(text, bytes);
    const uint64_t marked = word ^ 0x2E2E2E2E2E2E2E2Eu; /* the point becomes a zero byte */
    const uint64_t zeros = (marked - 0x0101010101010101u) & ~marked & 0x8080808080808080u;
    uint64_t digits = word;
    uint32_t count = bytes;
    *fraction = 0;
    if (zeros != 0) {
        const uint32_t point = (uint32_t)__builtin_ctzll(zeros) >> 3; /* the lowest is exact, others may be borrow */
        if (point == 0 || point + 1 == bytes) { return false; }
        const uint64_t before = (UINT64_C(1) << (8 * point)) - 1;
        digits = (word & before) | (word >> 8 & ~before);
        *fraction = bytes - 1 - point;
        count--;
    }
    if (text[0] == '0' && bytes > 1 && *fraction != count - 1) { return false; } /* 01 */
    digits = tg_digits_strip(digits) << (8 * (8 - count)); /* leading zeros in front */
    if (!tg_digits_within(digits, 0x0909090909090909u)) { return false; }
    *value = tg_digits_value8(digits);
    return true;
}

/* ---- any length -------------------------------------------------------------------------------------------------- */

/* A lexeme taken apart: value = 0.d1 d2 ... x 10^point over the digits of both runs without leading zeros. */
struct shape {
    bool negative;
    const char *integer; /* significant digits before the point */
    uint32_t integer_count;
    const char *fraction; /* significant digits behind the point */
    uint32_t fraction_count;
    int64_t exponent; /* of the last digit: value = digits x 10^exponent */
};

/* Length of the run of digits at text[from]. */
static uint32_t run_bytes(const char *text, uint32_t from, uint32_t bytes)
{
    uint32_t at = from;
    while (bytes - at >= 8 && tg_digits_all(tg_digits_load8(text + at))) { at += 8; }
    while (at < bytes && is_digit(text[at])) { at++; }
    return at - from;
}

static uint32_t zeros_in_front(const char *digits, uint32_t count)
{
    uint32_t zeros = 0;
    while (zeros < count && digits[zeros] == '0') { zeros++; }
    return zeros;
}

/* "e+12" at text[at], to the end of the lexeme. */
static bool exponent_parse(const char *text, uint32_t at, uint32_t bytes, int64_t *exponent)
{
    at++;
    const bool negative = at < bytes && text[at] == '-';
    if (at < bytes && (text[at] == '-' || text[at] == '+')) { at++; }
    if (at == bytes) { return false; }
    int64_t value = 0;
    for (; at < bytes; at++) {
        if (!is_digit(text[at])) { return false; }
        value = value * 10 + (text[at] - '0');
        if (value > EXPONENT_MAX) { value = EXPONENT_MAX; }
    }
    *exponent = negative ? -value : value;
    return true;
}

/* The grammar of RFC 8259 section 6. */
static bool shape_parse(const char *text, uint32_t bytes, struct shape *out)
{
    uint32_t at = 0;
    *out = (struct shape){0};
    out->negative = bytes > 0 && text[0] == '-';
    at += out->negative;
    const uint32_t integer = run_bytes(text, at, bytes);
    if (integer == 0 || (integer > 1 && text[at] == '0')) { return false; }
    out->integer = text + at;
    out->integer_count = text[at] == '0' ? 0 : integer;
    at += integer;
    if (at < bytes && text[at] == '.') {
        const uint32_t fraction = run_bytes(text, at + 1, bytes);
        if (fraction == 0) { return false; }
        const uint32_t zeros = out->integer_count == 0 ? zeros_in_front(text + at + 1, fraction) : 0;
        out->fraction = text + at + 1 + zeros;
        out->fraction_count = fraction - zeros;
        out->exponent = -(int64_t)fraction;
        at += 1 + fraction;
    }
    if (at == bytes) { return true; }
    int64_t exponent = 0;
    if ((text[at] | 0x20) != 'e' || !exponent_parse(text, at, bytes, &exponent)) { return false; }
    out->exponent += exponent;
    return true;
}

/* value x 10^count + the digits; the caller knows that it fits. */
static wide digits_append(wide value, const char *digits, uint32_t count)
{
    while (count > 0) {
        uint64_t chunk = 0;
        uint32_t taken = 0;
        if (count >= 16) {
            chunk = tg_digits_value8(tg_digits_strip(tg_digits_load8(digits))) * UINT64_C(100000000) +
                    tg_digits_value8(tg_digits_strip(tg_digits_load8(digits + 8)));
            taken = 16;
        } else if (count >= 8) {
            chunk = tg_digits_value8(tg_digits_strip(tg_digits_load8(digits)));
            taken = 8;
        } else {
            for (; taken < count; taken++) { chunk = chunk * 10 + (uint64_t)(digits[taken] - '0'); }
        }
        value = value * powers[taken] + chunk;
        digits += taken;
        count -= taken;
    }
    return value;
}

/* The digits of a shape are one row; digit `index` of it. */
static char digit_at(const struct shape *s, uint32_t index)
{
    return index < s->integer_count ? s->integer[index] : s->fraction[index - s->integer_count];
}

/* The leading `keep` digits of the row as a number. */
static wide leading(const struct shape *s, uint32_t keep)
{
    const uint32_t from_integer = keep < s->integer_count ? keep : s->integer_count;
    const wide value = digits_append(0, s->integer, from_integer);
    return digits_append(value, s->fraction, keep - from_integer);
}

/* True when a digit other than 0 stands at or behind `index`. */
static bool rest_counts(const struct shape *s, uint32_t index)
{
    const uint32_t total = s->integer_count + s->fraction_count;
    for (; index < total; index++) {
        if (digit_at(s, index) != '0') { return true; }
    }
    return false;
}

/* HALF_EVEN: does the row cut behind `keep` digits round away from zero? */
static bool rounds_up(const struct shape *s, uint32_t keep, bool odd)
{
    const char first = digit_at(s, keep);
    if (first != '5') { return first > '5'; }
    return odd || rest_counts(s, keep + 1);
}

static enum tg_dec_outcome long_parse(const char *text, uint32_t bytes, uint8_t precision, uint8_t scale, bool round,
                                      tg_dec *out)
{
    struct shape s;
    if (!shape_parse(text, bytes, &s)) { return TG_DEC_SYNTAX; }
    const uint32_t total = s.integer_count + s.fraction_count;
    const int64_t shift = s.exponent + scale; /* scaled value = row x 10^shift */
    if (total == 0) {
        *out = 0;
        return TG_DEC_OK;
    }
    if (shift >= 0) {
        if ((int64_t)total + shift > DIGITS_MAX) { return TG_DEC_RANGE; } /* the row starts with a digit that counts */
        return finish(leading(&s, total) * powers[shift], s.negative, precision, out);
    }
    const int64_t keep = (int64_t)total + shift; /* digits of the scaled value; the rest is cut off */
    if (!round && rest_counts(&s, keep < 0 ? 0 : (uint32_t)keep)) { return TG_DEC_SCALE; }
    if (keep > DIGITS_MAX) { return TG_DEC_RANGE; }
    if (keep < 0) { /* below a tenth of the last place */
        *out = 0;
        return TG_DEC_OK;
    }
    wide value = leading(&s, (uint32_t)keep);
    if (round) { value += rounds_up(&s, (uint32_t)keep, (value & 1) != 0); }
    return finish(value, s.negative, precision, out);
}

enum tg_dec_outcome tg_dec_parse(const char *lexeme, uint32_t bytes, uint8_t precision, uint8_t scale, bool round,
                                 tg_dec *out)
{
    TG_DCHECK(precision >= 1 && precision <= DIGITS_MAX && scale <= DIGITS_MAX);
    const bool negative = bytes > 1 && lexeme[0] == '-';
    const uint32_t length = bytes - negative;
    if (length - 1 < 8) {
        uint64_t value;
        uint32_t fraction;
        if (short_parse(lexeme + negative, length, &value, &fraction) && fraction <= scale &&
            scale - fraction < WORD_DIGITS_MAX) {
            return finish((wide)value * (uint64_t)powers[scale - fraction], negative, precision, out);
        }
    }
    return long_parse(lexeme, bytes, precision, scale, round, out);
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

uint32_t tg_dec_format(tg_dec value, uint8_t scale, char out[TG_DEC_TEXT_BYTES])
{
    char digits[2 * WORD_DIGITS_MAX + 2];
    uint32_t used = 0;
    const wide magnitude = value < 0 ? -(wide)value : (wide)value;
    TG_DCHECK(scale <= DIGITS_MAX && magnitude < powers[DIGITS_MAX]);
    uint32_t count;
    if (magnitude < E19) {
        count = tg_digits_count((uint64_t)magnitude);
        tg_digits_put(digits, (uint64_t)magnitude, count);
    } else {
        const uint64_t high = (uint64_t)(magnitude / E19);
        count = tg_digits_count(high);
        tg_digits_put(digits, high, count);
        tg_digits_put(digits + count, (uint64_t)(magnitude - high * E19), WORD_DIGITS_MAX);
        count += WORD_DIGITS_MAX;
    }
    if (value < 0) { out[used++] = '-'; }
    const uint32_t whole = count > scale ? count - scale : 0;
    if (whole == 0) { out[used++] = '0'; }
    memcpy(out + used, digits, whole);
    used += whole;
    if (scale == 0) { return used; }
    out[used++] = '.';
    const uint32_t behind = count - whole;
    memset(out + used, '0', scale - behind);
    memcpy(out + used + scale - behind, digits + whole, behind);
    used += scale;
    TG_DCHECK(used <= TG_DEC_TEXT_BYTES);
    return used;
}

/* ---- arithmetic -------------------------------------------------------------------------------------------------- */

static bool in_range(tg_dec value)
{
    const tg_dec limit = (tg_dec)powers[DIGITS_MAX];
    return value < limit && value > -limit;
}

bool tg_dec_add(tg_dec a, tg_dec b, tg_dec *out)
{
    tg_dec sum;
    if (__builtin_add_overflow(a, b, &sum) || !in_range(sum)) { return false; }
    *out = sum;
    return true;
}

/* magnitude / denominator with `more` further digits; the remainder is left in *rest, below the denominator. */
static bool divide_up(wide magnitude, uint64_t denominator, uint32_t more, wide *quotient, uint64_t *rest)
{
    *quotient = magnitude / denominator;
    *rest = (uint64_t)(magnitude % denominator);
    while (more > 0) { /* at most two rounds: 19 digits times a 63-bit remainder stay below 2^127 */
        const uint32_t digits = more < WORD_DIGITS_MAX ? more : WORD_DIGITS_MAX;
        const wide grown = (wide)*rest * powers[digits];
        if (*quotient >= powers[DIGITS_MAX - digits]) { return false; }
        *quotient = *quotient * powers[digits] + grown / denominator;
        *rest = (uint64_t)(grown % denominator);
        more -= digits;
    }
    return true;
}

bool tg_dec_divide(tg_dec numerator, int64_t denominator, uint8_t scale_in, uint8_t scale_out, tg_dec *out)
{
    TG_DCHECK(denominator > 0 && scale_in <= DIGITS_MAX && scale_out <= DIGITS_MAX);
    const wide magnitude = numerator < 0 ? -(wide)numerator : (wide)numerator;
    const uint32_t more = scale_out > scale_in ? (uint32_t)scale_out - scale_in : 0;
    const uint32_t fewer = scale_in > scale_out ? (uint32_t)scale_in - scale_out : 0;
    wide quotient;
    uint64_t rest;
    if (!divide_up(magnitude, (uint64_t)denominator, more, &quotient, &rest)) { return false; }
    bool up = false;
    if (fewer == 0) {
        const uint64_t other = (uint64_t)denominator - rest; /* rest against what is missing to a whole */
        up = rest > other || (rest == other && (quotient & 1) != 0);
    } else {
        const wide cut = quotient % powers[fewer];
        const wide half = powers[fewer] / 2;
        quotient /= powers[fewer];
        up = cut > half || (cut == half && (rest != 0 || (quotient & 1) != 0));
    }
    quotient += up;
    if (quotient >= powers[DIGITS_MAX]) { return false; }
    *out = numerator < 0 ? -(tg_dec)quotient : (tg_dec)quotient;
    return true;
}
