/* Digits in bulk: integers to decimal text two digits at a time, and eight digit characters to an integer in a few
 * multiplications (one 64-bit word, no loop). Internal to base/: per-record paths that must not meet printf. */
#ifndef TG_BASE_DIGITS_H
#define TG_BASE_DIGITS_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first character is the lowest byte of a word");

enum { TG_DIGITS_U64_BYTES = 20 };

/* "00" to "99".  @any */
extern const char tg_digit_pairs[201];

/* Two digits of n, 0 to 99.  @any */
static inline void tg_digits_put2(char *out, uint32_t n) { memcpy(out, tg_digit_pairs + (size_t)n * 2, 2); }

/* Four digits of n, 0 to 9999.  @any */
static inline void tg_digits_put4(char *out, uint32_t n)
{
    tg_digits_put2(out, n / 100);
    tg_digits_put2(out + 2, n % 100);
}

/* How many decimal digits n has; 1 for 0.  @any */
uint32_t tg_digits_count(uint64_t n);

/* Exactly `count` digits of n, leading zeros included; digits above are cut off.  @any */
void tg_digits_put(char *out, uint64_t n, uint32_t count);

/* A word of 8 characters.  @any */
static inline uint64_t tg_digits_load8(const char *text)
{
    uint64_t word;
    memcpy(&word, text, sizeof word);
    return word;
}

/* Characters to digit values: '0' to '9' become 0 to 9, everything else becomes 10 or more.  @any */
static inline uint64_t tg_digits_strip(uint64_t word) { return word ^ 0x3030303030303030u; }

/* 0 when each byte of `digits` is at most the byte of `limits` in the same place (limits up to 127). Results of several
 * words may be or-ed and tested once.  @any */
static inline uint64_t tg_digits_over(uint64_t digits, uint64_t limits)
{
    return (digits | (digits + (0x7F7F7F7F7F7F7F7Fu - limits))) & 0x8080808080808080u;
}
/* @any */
static inline bool tg_digits_within(uint64_t digits, uint64_t limits) { return tg_digits_over(digits, limits) == 0; }

/* True when all 8 characters are digits.  @any */
static inline bool tg_digits_all(uint64_t word)
{
    return tg_digits_within(tg_digits_strip(word), 0x0909090909090909u);
}

/* Value of 8 digit values, first one highest.  @any */
static inline uint32_t tg_digits_value8(uint64_t digits)
{
    digits = digits * 10 + (digits >> 8); /* even bytes: pairs, each below 100 */
    const uint64_t outer = (digits & 0x000000FF000000FFu) * 0x000F424000000064u;  /* 100 + (1000000 << 32) */
    const uint64_t inner = ((digits >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u; /* 1 + (10000 << 32) */
    return (uint32_t)((outer + inner) >> 32);
}

#endif
