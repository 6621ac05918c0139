/* The reader of time zone files. It trusts no count in the file: every block is checked against the file's length
 * before it is read, every type index against the number of types. */
#include "base/tzif.h"

#include <stdbool.h>
#include <string.h>

#include "base/civil.h"

enum { HEADER_BYTES = 44, TYPE_BYTES = 6, LEAP_BYTES = 12, TIME_BYTES = 8, OFFSET_MAX = 7 * 86400 };

/* Changes before year -9999 are the compiler's way to say "always": their offset holds from the start. */
#define ALWAYS_SECONDS INT64_C(-377705116800)
/* A change past year 9999 cannot matter to a stamp. */
#define NEVER_SECONDS INT64_C(253402300800)
#define CYCLE_SECONDS (INT64_C(86400) * TG_CIVIL_CYCLE_DAYS)

struct header {
    uint64_t utc_count, standard_count, leap_count, time_count, type_count, char_count;
};

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t be64(const uint8_t *p) { return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4)); }

static bool header_read(const uint8_t *file, size_t bytes, size_t at, struct header *out)
{
    if (bytes - at < HEADER_BYTES || memcmp(file + at, "TZif", 4) != 0) { return false; }
    const uint8_t *counts = file + at + 20;
    *out = (struct header){be32(counts),      be32(counts + 4),  be32(counts + 8),
                           be32(counts + 12), be32(counts + 16), be32(counts + 20)};
    return true;
}

static uint64_t block_bytes(const struct header *h, uint64_t time_bytes)
{
    return h->time_count * (time_bytes + 1) + h->type_count * TYPE_BYTES + h->char_count +
           h->leap_count * (time_bytes + 4) + h->standard_count + h->utc_count;
}

/* ---- the footer: POSIX TZ with the extensions of RFC 8536 -------------------------------------------------------- */

/* A day of the year and a time on it, as the rule writes it: Mm.w.d, Jn or n. */
struct rule_day {
    char kind; /* 'M', 'J' or '0' */
    int32_t month, week, day;
    int32_t seconds; /* wall time, -167 h to 167 h */
};

struct rule {
    bool has_summer;
    int32_t standard, summer; /* seconds east */
    struct rule_day start, end;
};

/* A cursor over the footer; `bad` sticks. */
struct scan {
    const char *at;
    const char *end;
    bool bad;
};

static bool scan_take(struct scan *s, char c)
{
    if (s->at == s->end || *s->at != c) { return false; }
    s->at++;
    return true;
}

static int32_t scan_number(struct scan *s, int32_t most)
{
    int32_t value = 0;
    const char *from = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9' && s->at - from < 4) {
        value = value * 10 + (*s->at++ - '0');
    }
    if (s->at == from || value > most) { s->bad = true; }
    return value;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static int32_t scan_time(struct scan *s, int32_t hours_max)
{
    const bool negative = scan_take(s, '-');
    if (!negative) { (void)scan_take(s, '+'); }
    int32_t seconds = scan_number(s, hours_max) * 3600;
    if (scan_take(s, ':')) { seconds += scan_number(s, 59) * 60; }
    if (scan_take(s, ':')) { seconds += scan_number(s, 59); }
    return negative ? -seconds : seconds;
}

/* Three or more letters, or anything in <>; the name itself is of no use here. */
static void scan_name(struct scan *s)
{
    const char *from = s->at;
    if (scan_take(s, '<')) {
        while (s->at < s->end && *s->at != '>') { s->at++; }
        if (!scan_take(s, '>')) { s->bad = true; }
        return;
    }
    while (s->at < s->end && ((*s->at >= 'A' && *s->at <= 'Z') || (*s->at >= 'a' && *s->at <= 'z'))) { s->at++; }
    if (s->at - from < 3) { s->bad = true; }
}

static struct rule_day scan_day(struct scan *s)
{
    struct rule_day day = {.kind = '0', .seconds = 2 * 3600};
    if (!scan_take(s, ',')) { s->bad = true; }
    if (scan_take(s, 'M')) {
        day.kind = 'M';
        day.month = scan_number(s, 12);
        if (!scan_take(s, '.')) { s->bad = true; }
        day.week = scan_number(s, 5);
        if (!scan_take(s, '.')) { s->bad = true; }
        day.day = scan_number(s, 6);
        if (day.month == 0 || day.week == 0) { s->bad = true; }
    } else if (scan_take(s, 'J')) {
        day.kind = 'J';
        day.day = scan_number(s, 365);
        if (day.day == 0) { s->bad = true; }
    } else {
        day.day = scan_number(s, 365);
    }
    if (scan_take(s, '/')) { day.seconds = scan_time(s, 167); }
    return day;
}

static bool rule_parse(const char *text, size_t bytes, struct rule *out)
{
    struct scan s = {text, text + bytes, false};
    *out = (struct rule){0};
    scan_name(&s);
    out->standard = -scan_time(&s, 24); /* POSIX counts west */
    if (!s.bad && s.at < s.end) {
        out->has_summer = true;
        scan_name(&s);
        out->summer = s.at < s.end && *s.at != ',' ? -scan_time(&s, 24) : out->standard + 3600;
        out->start = scan_day(&s);
        out->end = scan_day(&s);
    }
    return !s.bad && s.at == s.end;
}

/* Seconds since 1970 of the rule's wall time in `year`, as if that were UTC. */
static int64_t rule_wall(const struct rule_day *rule, uint32_t year)
{
    int64_t day;
    if (rule->kind == 'M') {
        const int64_t first = tg_civil_to_days(year, (uint32_t)rule->month, 1);
        const int64_t weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
        int64_t of_month = (rule->day - weekday + 7) % 7 + (int64_t)(rule->week - 1) * 7;
        if (of_month >= tg_civil_month_days(year, (uint32_t)rule->month)) { of_month -= 7; } /* week 5 means the last */
        day = first + of_month;
    } else {
        day = (int64_t)tg_civil_to_days(year, 1, 1) + rule->day;
        /* Jn never counts 29 February: J60 is 1 March in every year. */
        if (rule->kind == 'J' && !(tg_civil_is_leap(year) && rule->day >= 60)) { day--; }
    }
    return day * 86400 + rule->seconds;
}

/* ---- putting the changes together -------------------------------------------------------------------------------- */

static int32_t offset_now(const struct tg_tzif *zone)
{
    return zone->change_count == 0 ? zone->first : zone->changes[zone->change_count - 1].after;
}

/* Append; false when there is no room or the order is broken. Changes that change nothing are dropped, and of two at
 * one instant the later one counts. */
static bool change_add(struct tg_tzif *zone, int64_t at, int32_t after)
{
    if (zone->change_count != 0) {
        const struct tg_tzif_change *last = &zone->changes[zone->change_count - 1];
        if (at < last->at) { return false; }
        if (at == last->at) { zone->change_count--; }
    }
    if (after == offset_now(zone)) { return true; }
    if (zone->change_count == TG_TZIF_CHANGES_MAX) { return false; }
    zone->changes[zone->change_count++] = (struct tg_tzif_change){at, after};
    return true;
}

static const char *changes_read(const uint8_t *times, const struct header *h, struct tg_tzif *out, int64_t *last_at)
{
    const uint8_t *indexes = times + h->time_count * TIME_BYTES;
    const uint8_t *types = indexes + h->time_count;
    *last_at = INT64_MIN;
    out->first = (int32_t)be32(types); /* type 0 holds before the first change */
    for (uint64_t i = 0; i < h->time_count; i++) {
        const int64_t at = be64(times + i * TIME_BYTES);
        if (indexes[i] >= h->type_count) { return "a change names a type that does not exist"; }
        const int32_t offset = (int32_t)be32(types + (size_t)indexes[i] * TYPE_BYTES);
        if (offset < -OFFSET_MAX || offset > OFFSET_MAX) { return "an offset is out of range"; }
        if (at > NEVER_SECONDS) { break; }
        *last_at = at;
        if (at < ALWAYS_SECONDS) {
            out->first = offset;
        } else if (!change_add(out, at, offset)) {
            return "changes are out of order or too many";
        }
    }
    return out->first < -OFFSET_MAX || out->first > OFFSET_MAX ? "an offset is out of range" : NULL;
}

/* The rule's two changes of one year in order of time. */
static void year_changes(const struct rule *rule, uint32_t year, struct tg_tzif_change pair[2])
{
    const struct tg_tzif_change start = {rule_wall(&rule->start, year) - rule->standard, rule->summer};
    const struct tg_tzif_change end = {rule_wall(&rule->end, year) - rule->summer, rule->standard};
    const bool start_first = start.at < end.at;
    pair[0] = start_first ? start : end;
    pair[1] = start_first ? end : start;
}

/* Unroll the rule after the last change of the file. One full cycle and a year on both sides is enough: `repeats_from`
 * lies where only the rule decides, and everything one cycle later is the same again. */
static const char *rule_unroll(const struct rule *rule, int64_t last_at, struct tg_tzif *out)
{
    if (!rule->has_summer) {
        if (last_at == INT64_MIN) { out->first = rule->standard; }
        return NULL;
    }
    uint32_t year = 1;
    if (last_at > (int64_t)tg_civil_to_days(2, 1, 1) * 86400) {
        year = (uint32_t)tg_civil_from_days(last_at / 86400 - (last_at % 86400 < 0)).year;
    }
    const uint32_t last_year = year + TG_CIVIL_CYCLE_YEARS + 3;
    if (last_year > 9999) { return "its rule begins too late"; }
    out->repeats_from = (int64_t)tg_civil_to_days(year + 2, 1, 1) * 86400 + CYCLE_SECONDS;
    for (; year <= last_year; year++) {
        struct tg_tzif_change pair[2];
        year_changes(rule, year, pair);
        for (uint32_t i = 0; i < 2; i++) {
            if (pair[i].at <= last_at) { continue; }
            if (!change_add(out, pair[i].at, pair[i].after)) { return "its rule is out of order"; }
        }
    }
    return NULL;
}

const char *tg_tzif_parse(const uint8_t *file, size_t bytes, struct tg_tzif *out)
{
    struct header old;
    struct header h;
    out->first = 0;
    out->change_count = 0;
    out->repeats_from = INT64_MAX;
    if (!header_read(file, bytes, 0, &old)) { return "not a time zone file"; }
    if (file[4] < '2') { return "version 1 is not supported"; }
    const uint64_t second = HEADER_BYTES + block_bytes(&old, 4);
    if (second > bytes || !header_read(file, bytes, (size_t)second, &h)) { return "its second part is missing"; }
    const uint64_t data = second + HEADER_BYTES;
    const uint64_t footer = data + block_bytes(&h, TIME_BYTES);
    if (footer > bytes || h.type_count == 0 || h.type_count > 256) { return "it is cut short"; }
    if (h.leap_count != 0) { return "it counts leap seconds"; }
    int64_t last_at;
    const char *wrong = changes_read(file + data, &h, out, &last_at);
    if (wrong != NULL) { return wrong; }
    const char *text = (const char *)file + footer;
    if (bytes - footer < 2 || text[0] != '\n' || file[bytes - 1] != '\n') { return "its footer is missing"; }
    if (bytes - footer == 2) { return NULL; } /* an empty rule: the last offset stays */
    struct rule rule;
    if (!rule_parse(text + 1, (size_t)(bytes - footer) - 2, &rule)) { return "its rule is not understood"; }
    return rule_unroll(&rule, last_at, out);
}
