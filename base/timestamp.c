/* RFC 3339 text to microseconds and back, dates and durations. One word-at-a-time reader serves the 19 characters up to
 * the seconds of every layout; what follows (fraction, zone) is read in one more word for the three common layouts and
 * by characters otherwise. Zones are in zone.c. */
#include "base/timestamp.h"

#include <string.h>

#include "base/assert.h"
#include "base/civil.h"
#include "base/civil_tables.h"
#include "base/digits.h"

enum { HEAD_BYTES = 19, FRACTION_DIGITS_MAX = 9 };

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_DAY (86400 * US_PER_SECOND)
/* 0001-01-01T00:00:00 and 10000-01-01T00:00:00. */
#define FIRST_DAY INT64_C(-719162)
#define FIRST_US (FIRST_DAY * US_PER_DAY)
#define BEYOND_US (INT64_C(2932897) * US_PER_DAY)

/* A word of text with separators turned into 0 and digits into their values, when they are what `pattern` says. */
static inline uint64_t strip(const char *text, uint64_t pattern) { return tg_digits_load8(text) ^ pattern; }

/* Byte i: value of the two digits at i and i + 1. Every byte of `digits` is at most 9, so none carries. */
static inline uint64_t pairs(uint64_t digits) { return digits * 10 + (digits >> 8); }

static inline uint32_t byte_at(uint64_t word, uint32_t index) { return (uint32_t)(word >> (8 * index)) & 0xFF; }

/* "YYYY-MM-" as pairs() leaves it (month up to 19), and the day of the month (up to 39), as days since 1970. */
static inline bool days_of(uint64_t date_pairs, uint32_t day, int64_t *days)
{
    const struct tg_civil_tables *tables = &tg_civil_tables;
    const uint32_t century = byte_at(date_pairs, 0);
    const uint32_t year = tables->years[(century & 3) == 0][byte_at(date_pairs, 2)];
    const uint32_t month = tables->months[year & 1][byte_at(date_pairs, 5)];
    *days = tables->centuries[century] + (int32_t)((year >> 1) + (month >> 8) + day - 1);
    return day - 1 < (month & 0xFF) && *days >= FIRST_DAY; /* no month, no days; no year 0 */
}

/* "YYYY-MM-DDThh:mm:ss" as if it were UTC, in microseconds; false when it is no date or time of day. Words overlap:
 * bytes 0-7 "YYYY-MM-", 8-9 "DD", 11-18 "hh:mm:ss". Separators strip to 0, so one comparison with the largest allowed
 * values checks digits and separators alike, and the three words share the branch. */
static inline bool head_parse(const char *text, int64_t *us)
{
    const uint64_t date = strip(text, 0x2D30302D30303030u);          /* "0000-00-" */
    const uint64_t of_month = strip(text + 8, 0x3030) & 0xFFFF;      /* "00" */
    const uint64_t time = strip(text + 11, 0x30303A30303A3030u);     /* "00:00:00" */
    const uint64_t over = tg_digits_over(date, 0x0009010009090909u) | tg_digits_over(time, 0x0905000905000902u) |
                          tg_digits_over(of_month, 0x0903);
    const char mark = text[10];
    if (over != 0) { return false; }
    if (TG_UNLIKELY(mark != 'T') && mark != ' ' && mark != 't') { return false; }
    const uint64_t time_pairs = pairs(time);
    const uint32_t of_day = (byte_at(time_pairs, 0) * 60 + byte_at(time_pairs, 3)) * 60 + byte_at(time_pairs, 6);
    int64_t days;
    if (!days_of(pairs(date), byte_at(pairs(of_month), 0), &days) || of_day >= 86400) { return false; } /* 24:00 */
    *us = (days * 86400 + of_day) * US_PER_SECOND;
    return true;
}

/* Digits after the point, 1 to 9 of them, cut to microseconds. Returns how many characters were read, 0 = refused. */
static uint32_t fraction_parse(const char *text, uint32_t bytes, int64_t *us)
{
    uint32_t digits = 0;
    uint32_t value = 0;
    while (digits < bytes && (unsigned char)(text[digits] - '0') <= 9) {
        if (digits == FRACTION_DIGITS_MAX) { return 0; }
        value = value * 10 + (uint32_t)(text[digits++] - '0');
    }
    static const uint32_t scale[FRACTION_DIGITS_MAX + 1] = {0, 100000, 10000, 1000, 100, 10, 1, 1, 1, 1};
    static const uint32_t excess[FRACTION_DIGITS_MAX + 1] = {1, 1, 1, 1, 1, 1, 1, 10, 100, 1000};
    *us = (int64_t)(value / excess[digits]) * scale[digits];
    return digits;
}

/* "+hh:mm" or "-hh:mm", hours to 23, minutes to 59, as microseconds east of UTC. */
static bool offset_parse(const char *text, int64_t *us)
{
    static const uint8_t limits[6] = {0, 2, 9, 0, 5, 9};
    uint32_t digits[6] = {0};
    if ((text[0] != '+' && text[0] != '-') || text[3] != ':') { return false; }
    for (uint32_t i = 1; i < 6; i++) {
        if (i == 3) { continue; }
        digits[i] = (uint32_t)(unsigned char)text[i] - '0';
        if (digits[i] > limits[i]) { return false; }
    }
    const uint32_t hour = digits[1] * 10 + digits[2];
    if (hour > 23) { return false; }
    const int64_t east = (int64_t)(hour * 60 + digits[4] * 10 + digits[5]) * 60 * US_PER_SECOND;
    *us = text[0] == '-' ? -east : east;
    return true;
}

/* What follows the seconds in a layout the fast path does not know. Not inlined: it would take its registers. */
static __attribute__((noinline)) bool tail_parse(const char *text, uint32_t bytes, const struct tg_zone *zone,
                                                 tg_ts *us, bool *adjusted)
{
    uint32_t at = 0;
    if (bytes > 0 && text[0] == '.') {
        int64_t fraction;
        const uint32_t digits = fraction_parse(text + 1, bytes - 1, &fraction);
        if (digits == 0) { return false; }
        *us += fraction;
        at = 1 + digits;
    }
    const uint32_t rest = bytes - at;
    if (rest == 0) {
        if (zone != NULL) { *us = tg_zone_to_utc(zone, *us, adjusted); }
    } else if (rest != 1 || (text[at] != 'Z' && text[at] != 'z')) {
        int64_t east;
        if (rest != 6 || !offset_parse(text + at, &east)) { return false; }
        *us -= east;
    }
    /* An offset can push the instant over either end: it could not be written as RFC 3339 again. */
    return *us >= FIRST_US && *us < BEYOND_US;
}

bool tg_ts_parse(const char *text, uint32_t bytes, const struct tg_zone *zone, tg_ts *out, bool *adjusted)
{
    int64_t us;
    if (adjusted != NULL) { *adjusted = false; }
    if (bytes < HEAD_BYTES || !head_parse(text, &us)) { return false; }
    if (bytes == 20 && text[19] == 'Z') {
        *out = us;
        return true;
    }
    if (bytes == 24) {
        const uint64_t tail = strip(text + 16, 0x5A3030302E000000u) >> 24; /* "???.000Z" */
        if (tg_digits_over(tail, 0x0009090900u) == 0) {
            *out = us + (byte_at(tail, 1) * 100 + byte_at(pairs(tail), 2)) * 1000;
            return true;
        }
    }
    if (bytes == 27) {
        const uint64_t tail = strip(text + 19, 0x5A3030303030302Eu); /* ".000000Z" */
        if (tg_digits_over(tail, 0x0009090909090900u) == 0) {
            *out = us + tg_digits_value8(tail << 8);
            return true;
        }
    }
    *out = us;
    return tail_parse(text + HEAD_BYTES, bytes - HEAD_BYTES, zone, out, adjusted);
}

/* Year, month and day; years outside 0000 to 9999 get a sign and as many digits as they need. */
static uint32_t date_put(int64_t days, char *out)
{
    const struct tg_civil civil = tg_civil_from_days(days);
    uint32_t used = 0;
    uint32_t width = 4;
    uint64_t year = (uint64_t)civil.year;
    if (civil.year < 0 || civil.year > 9999) {
        out[used++] = civil.year < 0 ? '-' : '+';
        year = civil.year < 0 ? -year : year;
        const uint32_t digits = tg_digits_count(year);
        width = digits < 4 ? 4 : digits;
    }
    tg_digits_put(out + used, year, width);
    used += width;
    out[used] = '-';
    tg_digits_put2(out + used + 1, civil.month);
    out[used + 3] = '-';
    tg_digits_put2(out + used + 4, civil.day);
    return used + 6;
}

uint32_t tg_ts_format(tg_ts ts, char out[TG_TS_TEXT_BYTES])
{
    int64_t days = ts / US_PER_DAY;
    int64_t of_day = ts % US_PER_DAY;
    if (of_day < 0) { days--, of_day += US_PER_DAY; }
    const uint32_t seconds = (uint32_t)(of_day / US_PER_SECOND);
    const uint32_t fraction = (uint32_t)(of_day % US_PER_SECOND);
    uint32_t used = date_put(days, out);
    out[used] = 'T';
    tg_digits_put2(out + used + 1, seconds / 3600);
    out[used + 3] = ':';
    tg_digits_put2(out + used + 4, seconds / 60 % 60);
    out[used + 6] = ':';
    tg_digits_put2(out + used + 7, seconds % 60);
    used += 9;
    if (fraction != 0) {
        const bool millis = fraction % 1000 == 0;
        out[used] = '.';
        tg_digits_put(out + used + 1, millis ? fraction / 1000 : fraction, millis ? 3 : 6);
        used += millis ? 4 : 7;
    }
    out[used++] = 'Z';
    TG_DCHECK(used <= TG_TS_TEXT_BYTES);
    return used;
}

bool tg_date_parse(const char *text, uint32_t bytes, tg_date *out)
{
    if (bytes != 10) { return false; }
    const uint64_t front = strip(text, 0x2D30302D30303030u);    /* "0000-00-" */
    const uint64_t back = strip(text + 2, 0x30302D30302D3030u); /* "00-00-00" */
    if (!tg_digits_within(front, 0x0009010009090909u) || !tg_digits_within(back, 0x0903000901000909u)) { return false; }
    int64_t days;
    if (!days_of(pairs(front), byte_at(pairs(back), 6), &days)) { return false; }
    *out = (tg_date)days;
    return true;
}

uint32_t tg_date_format(tg_date date, char out[TG_DATE_TEXT_BYTES]) { return date_put(date, out); }
