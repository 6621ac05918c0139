/* Zones: worked gaps and overlaps, every zone of the system against the C library, hand-made and broken zone files. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/civil.h"
#include "base/prng.h"
#include "base/timestamp.h"
#include "base/tzif.h"
#include "tests/seed.h"

#define S INT64_C(1000000)
#define HOUR INT64_C(3600)

static struct tg_zone *open_zone(const char *name)
{
    struct tg_zone *zone = NULL;
    struct tg_error err = {0};
    cr_assert_eq(tg_zone_open(&zone, name, &err), TG_OK, "%s: %s", name, err.text);
    return zone;
}

Test(zone, stamps_without_zone_follow_the_rule)
{
    static const struct {
        const char *zone;
        const char *text;
        const char *utc;
        bool adjusted;
    } table[] = {
        {"UTC", "2024-05-11 10:00:00", "2024-05-11T10:00:00Z", false},
        {"+02:00", "2024-05-11 10:00:00", "2024-05-11T08:00:00Z", false},
        {"-03:30", "2024-05-11 10:00:00.25", "2024-05-11T13:30:00.250Z", false},
        {"Europe/Berlin", "2024-01-15 12:00:00", "2024-01-15T11:00:00Z", false},
        {"Europe/Berlin", "2024-07-15 12:00:00", "2024-07-15T10:00:00Z", false},
        /* Gap of 31 March 2024: 02:00 to 03:00 never was; the offset before (+1) applies. */
        {"Europe/Berlin", "2024-03-31 01:59:59.999999", "2024-03-31T00:59:59.999999Z", false},
        {"Europe/Berlin", "2024-03-31 02:00:00", "2024-03-31T01:00:00Z", true},
        {"Europe/Berlin", "2024-03-31 02:59:59.999999", "2024-03-31T01:59:59.999999Z", true},
        {"Europe/Berlin", "2024-03-31 03:00:00", "2024-03-31T01:00:00Z", false},
        /* Overlap of 27 October 2024: 02:00 to 03:00 was twice; the first time (+2) counts. */
        {"Europe/Berlin", "2024-10-27 01:59:59.999999", "2024-10-26T23:59:59.999999Z", false},
        {"Europe/Berlin", "2024-10-27 02:00:00", "2024-10-27T00:00:00Z", true},
        {"Europe/Berlin", "2024-10-27 02:59:59.999999", "2024-10-27T00:59:59.999999Z", true},
        {"Europe/Berlin", "2024-10-27 03:00:00", "2024-10-27T02:00:00Z", false},
        /* A stamp that names its zone is never adjusted. */
        {"Europe/Berlin", "2024-10-27T02:30:00Z", "2024-10-27T02:30:00Z", false},
        {"Europe/Berlin", "2024-10-27T02:30:00.5+02:00", "2024-10-27T00:30:00.500Z", false},
        /* By the rule of the file's footer, beyond its last entry and beyond 400 years. */
        {"Europe/Berlin", "2099-07-01 12:00:00", "2099-07-01T10:00:00Z", false},
        {"Europe/Berlin", "2100-03-28 02:30:00", "2100-03-28T01:30:00Z", true},
        {"Europe/Berlin", "2500-03-28 02:30:00", "2500-03-28T01:30:00Z", true},
        {"Europe/Berlin", "9999-12-31 23:59:59", "9999-12-31T22:59:59Z", false},
        {"Europe/Berlin", "1800-01-01 00:00:00", "1799-12-31T23:06:32Z", false},
        /* Korea had summer time in 1987 and 1988 only (of late), and moved its offset in 1961. */
        {"Asia/Seoul", "2024-05-11 10:00:00", "2024-05-11T01:00:00Z", false},
        {"Asia/Seoul", "1988-07-01 00:00:00", "1988-06-30T14:00:00Z", false},
        {"Asia/Seoul", "1988-05-08 02:30:00", "1988-05-07T17:30:00Z", true},
        {"Asia/Seoul", "1988-10-09 02:30:00", "1988-10-08T16:30:00Z", true},
        {"Asia/Seoul", "1961-08-10 00:15:00", "1961-08-09T15:45:00Z", true},
        {"Asia/Seoul", "8000-07-01 00:00:00", "8000-06-30T15:00:00Z", false},
        /* South of the equator; half an hour of summer time; a day that never was. */
        {"Australia/Sydney", "2024-10-06 02:30:00", "2024-10-05T16:30:00Z", true},
        {"Australia/Lord_Howe", "2024-04-07 01:45:00", "2024-04-06T14:45:00Z", true},
        {"Pacific/Apia", "2011-12-30 12:00:00", "2011-12-30T22:00:00Z", true},
        {"America/New_York", "2024-11-03 01:30:00", "2024-11-03T05:30:00Z", true},
        {"Europe/Dublin", "2060-07-01 12:00:00", "2060-07-01T11:00:00Z", false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct tg_zone *zone = open_zone(table[i].zone);
        tg_ts got = 0;
        bool adjusted = !table[i].adjusted;
        char text[TG_TS_TEXT_BYTES + 1];
        cr_assert(tg_ts_parse(table[i].text, (uint32_t)strlen(table[i].text), zone, &got, &adjusted), "%s",
                  table[i].text);
        text[tg_ts_format(got, text)] = '\0';
        cr_assert_str_eq(text, table[i].utc, "%s in %s is %s", table[i].text, table[i].zone, text);
        cr_assert_eq(adjusted, table[i].adjusted, "%s in %s", table[i].text, table[i].zone);
        tg_ts again = 0;
        cr_assert(tg_ts_parse(table[i].text, (uint32_t)strlen(table[i].text), zone, &again, NULL),
                  "adjusted may be NULL");
        cr_assert_eq(again, got);
        tg_zone_close(zone);
    }
}

Test(zone, wrong_names_are_refused_with_a_reason)
{
    static const char *const names[] = {"", "Europe/Berlim", "europe/berlin", "../../../etc/passwd", "/etc/passwd",
                                        "Europe/", "Europe",
                                        "Europe//Berlin", "+2:00", "+24:00", "+02:60", "+0200", "02:00", "UTC+2",
                                        "zone.tab",
                                        "+0a:00", "Europe/../Asia/Seoul", "tzdata.zi", "+02:00 ", "\xC3\xA9"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct tg_zone *zone = (struct tg_zone *)8;
        struct tg_error err = {0};
        cr_assert_eq(tg_zone_open(&zone, names[i], &err), TG_ERR_CONFIG, "%s", names[i]);
        cr_assert_eq(err.code, TG1004);
        cr_assert_neq(err.text[0], '\0');
        cr_assert_null(zone);
        tg_zone_close(zone);
    }
}

/* ---- the C library as the model ---------------------------------------------------------------------------------- */

static int64_t libc_offset(int64_t utc)
{
    const time_t t = (time_t)utc;
    struct tm tm;
    cr_assert_not_null(localtime_r(&t, &tm));
    return tm.tm_gmtoff;
}

/* By definition: instants whose local time is `wall`, and when there is none the clocks jumped over it. */
static int64_t model_to_utc(int64_t wall, bool *adjusted)
{
    int64_t found[8];
    int count = 0;
    int64_t tried[64];
    int tries = 0;
    for (int64_t h = -30; h <= 30; h++) {
        const int64_t offset = libc_offset(wall + h * HOUR);
        bool known = false;
        for (int i = 0; i < tries; i++) { known = known || tried[i] == offset; }
        if (known) { continue; }
        tried[tries++] = offset;
        if (libc_offset(wall - offset) == offset && count < 8) { found[count++] = wall - offset; }
    }
    *adjusted = count != 1;
    int64_t first = INT64_MAX;
    for (int i = 0; i < count; i++) { first = found[i] < first ? found[i] : first; }
    if (count > 0) { return first; }
    int64_t low = wall - 30 * HOUR; /* local time before `wall` */
    int64_t high = wall + 30 * HOUR;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (middle + libc_offset(middle) < wall) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return wall - libc_offset(low);
}

static void compare(const struct tg_zone *zone, const char *name, int64_t wall, uint64_t seed)
{
    bool expected_adjusted;
    bool adjusted;
    const int64_t expected = model_to_utc(wall, &expected_adjusted);
    const int64_t got = tg_zone_to_utc(zone, wall * S + 123, &adjusted);
    cr_assert_eq(got, expected * S + 123, "seed %" PRIu64 ": %s wall %" PRId64 ": %" PRId64 " not %" PRId64, seed,
                 name, wall, got / S, expected);
    cr_assert_eq(adjusted, expected_adjusted, "seed %" PRIu64 ": %s wall %" PRId64, seed, name, wall);
}

static void set_libc_zone(const char *name)
{
    (void)setenv("TZ", name, 1);
    tzset();
}

Test(zone, wall_times_around_every_change_agree_with_the_c_library, .timeout = 120)
{
    static const char *const names[] = {"Europe/Berlin", "Asia/Seoul", "America/New_York", "America/Sao_Paulo",
                                        "Africa/Casablanca",
                                        "Asia/Gaza", "Antarctica/Troll", "Pacific/Apia", "Europe/Dublin",
                                        "Australia/Lord_Howe"};
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct tg_zone *zone = open_zone(names[i]);
        set_libc_zone(names[i]);
        uint32_t changes = 0;
        int64_t before = libc_offset(-3000000000);
        for (int64_t t = -3000000000; t < 5000000000; t += 5 * 86400) {
            const int64_t after = libc_offset(t + 5 * 86400);
            if (before == after) { continue; }
            for (int k = 0; k < 12; k++) {
                compare(zone, names[i], t + before + tg_prng_below(&prng, 5 * 86400 + 7200), seed);
            }
            int64_t low = t;
            int64_t high = t + 5 * 86400;
            while (high - low > 1) {
                const int64_t middle = low + (high - low) / 2;
                if (libc_offset(middle) == before) {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            const int64_t edges[] = {high + before, high + after, high + (before + after) / 2};
            for (int k = 0; k < 3; k++) {
                for (int64_t d = -1; d <= 1; d++) { compare(zone, names[i], edges[k] + d, seed); }
            }
            before = after;
            changes++;
        }
        cr_assert_gt(changes, 5, "%s", names[i]);
        tg_zone_close(zone);
    }
}

static uint32_t walk(const char *folder, struct tg_prng *prng, uint64_t seed)
{
    char path[512];
    uint32_t zones = 0;
    (void)snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", folder);
    DIR *dir = opendir(path);
    cr_assert_not_null(dir, "%s", path);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char name[400];
        struct stat st;
        (void)snprintf(name, sizeof name, "%s%s%s", folder, *folder == '\0' ? "" : "/", entry->d_name);
        (void)snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
        if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) { continue; }
        if (strchr(entry->d_name, '.') != NULL || strcmp(name, "leapseconds") == 0) { continue; }
        struct tg_zone *zone = open_zone(name);
        set_libc_zone(name);
        for (int i = 0; i < 60; i++) {
            /* 1700 to 2700: what the file lists, the footer's rule, and the rule more than a cycle later */
            compare(zone, name, -8520336000 + (int64_t)(tg_prng_next(prng) % 31556952000u), seed);
        }
        tg_zone_close(zone);
        zones++;
    }
    (void)closedir(dir);
    return zones;
}

Test(zone, every_zone_of_the_system_agrees_with_the_c_library, .timeout = 120)
{
    static const char *const folders[] = {"", "Africa", "America", "America/Argentina", "America/Indiana",
                                          "America/Kentucky",
                                          "America/North_Dakota", "Antarctica", "Asia", "Atlantic", "Australia", "Etc",
                                          "Europe",
                                          "Indian", "Pacific"};
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    uint32_t zones = 0;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) { zones += walk(folders[i], &prng, seed); }
    cr_assert_gt(zones, 300);
}

/* ---- hand-made files --------------------------------------------------------------------------------------------- */

enum { ODD_OFFSET = 25620 };

struct maker {
    uint8_t bytes[4096];
    size_t used;
};

static void add(struct maker *m, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) { m->bytes[m->used++] = i < 8 ? (uint8_t)(value >> (8 * i)) : 0; }
}

static void add_header(struct maker *m, char version, uint32_t leaps, uint32_t times, uint32_t types)
{
    memcpy(m->bytes + m->used, "TZif", 4);
    m->bytes[m->used + 4] = (uint8_t)version;
    memset(m->bytes + m->used + 5, 0, 15);
    m->used += 20;
    const uint32_t counts[6] = {0, 0, leaps, times, types, 4};
    for (int i = 0; i < 6; i++) { add(m, counts[i], 4); }
}

/* Two types (+1 h, and +7:07 which no rule has); changes at the given times alternate between them, starting with the
 * second. */
static struct maker make(const int64_t *times, uint32_t count, const char *rule)
{
    struct maker m = {.used = 0};
    add_header(&m, '2', 0, 0, 1);
    add(&m, 0, 6 + 4); /* the old part: one type and its name */
    add_header(&m, '2', 0, count, 2);
    for (uint32_t i = 0; i < count; i++) { add(&m, (uint64_t)times[i], 8); }
    for (uint32_t i = 0; i < count; i++) { add(&m, (i + 1) % 2, 1); }
    for (uint32_t i = 0; i < 2; i++) {
        add(&m, i == 0 ? 3600 : ODD_OFFSET, 4);
        add(&m, 0, 2);
    }
    add(&m, 0, 4);
    m.used += (size_t)snprintf((char *)m.bytes + m.used, 200, "\n%s\n", rule);
    return m;
}

static struct tg_tzif out;

Test(tzif, footers_that_are_understood)
{
    static const struct {
        const char *rule;
        int32_t standard;
        int64_t first_change; /* after 2001-01-01, 0 = none */
        int32_t after;
    } table[] = {
        {"", 3600, 0, 0},
        {"CET-1", 3600, 0, 0},
        {"<+0530>-5:30", 19800, 0, 0},
        {"CET-1CEST,M3.5.0,M10.5.0/3", 3600, 985482000, 7200},        /* 2001-03-25T01:00Z */
        {"EST5EDT,M3.2.0,M11.1.0", -18000, 984294000, -14400},         /* 2001-03-11T07:00Z */
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", 36000, 986054400, 36000},     /* 2001-03-31T16:00Z, summer ends */
        {"IST-1GMT0,M10.5.0,M3.5.0/1", 3600, 985482000, 3600},         /* "summer" is winter, one hour back */
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", -7200, 985482000, -3600},  /* 2001-03-24T23:00-02 */
        {"EET-2EEST,M3.4.4/50,M10.4.4/50", 7200, 985392000, 10800},    /* 2001-03-24T02:00+02 */
        {"AAA0BBB,J60,J300", 0, 983412000, 3600},                      /* 1 March 2001, 02:00 */
        {"AAA0BBB,59,299", 0, 983412000, 3600},                        /* day 59 counted from 0: 1 March */
        {"AAA0BBB-2,J1/0:30:15,J2", 0, 978309015, 7200},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        /* Made so that the file itself ends on the rule's winter: no change of its own. */
        const struct maker m = make(NULL, 0, table[i].rule);
        cr_assert_null(tg_tzif_parse(m.bytes, m.used, &out), "%s", table[i].rule);
        if (table[i].first_change == 0) {
            cr_assert_eq(out.change_count, 0, "%s", table[i].rule);
            cr_assert_eq(out.first, table[i].standard, "%s", table[i].rule);
            cr_assert_eq(out.repeats_from, INT64_MAX);
        }
    }
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].first_change == 0) { continue; }
        const int64_t times[1] = {978307200}; /* 2001-01-01 */
        const struct maker m = make(times, 1, table[i].rule);
        cr_assert_null(tg_tzif_parse(m.bytes, m.used, &out), "%s", table[i].rule);
        cr_assert_eq(out.changes[0].at, times[0]);
        cr_assert_eq(out.changes[1].at, table[i].first_change, "%s: %" PRId64, table[i].rule, out.changes[1].at);
        cr_assert_eq(out.changes[1].after, table[i].after, "%s", table[i].rule);
        for (uint32_t k = 1; k < out.change_count; k++) { cr_assert_gt(out.changes[k].at, out.changes[k - 1].at); }
        cr_assert_gt(out.changes[out.change_count - 1].at, out.repeats_from);
    }
}

Test(tzif, days_counted_without_29_february_are_the_same_date_in_a_leap_year)
{
    const int64_t times[1] = {1072915200}; /* 2004-01-01 */
    struct maker m = make(times, 1, "AAA0BBB,J60,J300");
    cr_assert_null(tg_tzif_parse(m.bytes, m.used, &out));
    cr_assert_eq(out.changes[1].at, 1078106400); /* 1 March 2004, 02:00 */
    m = make(times, 1, "AAA0BBB,J59,J300");
    cr_assert_null(tg_tzif_parse(m.bytes, m.used, &out));
    cr_assert_eq(out.changes[1].at, 1077933600); /* 28 February */
    m = make(times, 1, "AAA0BBB,59,299");
    cr_assert_null(tg_tzif_parse(m.bytes, m.used, &out));
    cr_assert_eq(out.changes[1].at, 1078020000); /* 29 February: this kind counts it */
}

Test(tzif, perpetual_summer_has_no_changes)
{
    const int64_t times[1] = {978307200};
    const struct maker m = make(times, 1, "EST5EDT,0/0,J365/25");
    cr_assert_null(tg_tzif_parse(m.bytes, m.used, &out));
    cr_assert_eq(out.change_count, 3);
    cr_assert_eq(out.changes[1].after, -14400);
    cr_assert_gt(out.changes[2].at, out.repeats_from, "where the unrolled part ends, out of sight");
}

Test(tzif, footers_that_are_refused)
{
    static const char *const rules[] = {"X", "CET", "CET-", "CET-25", "CET-1CEST", "CET-1CEST,M3.5.0",
                                        "CET-1CEST,M13.5.0,M10.5.0",
                                        "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0",
                                        "CET-1CEST,M3.5,M10.5.0",
                                        "CET-1CEST,M0.5.0,M10.5.0", "CET-1CEST,M3.0.0,M10.5.0", "CET-1CEST,J0,J2",
                                        "CET-1CEST,J366,J2",
                                        "CET-1CEST,M3.5.0/168,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0 ",
                                        "CET-1CEST,M3.5.0,M10.5.0,",
                                        "<CET-1", "CET-1:60", "CET-00001", "CET-1CEST,M3.5.0,M10.5.0/3x",
                                        "CET-1CEST M3.5.0,M10.5.0"};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const struct maker m = make(NULL, 0, rules[i]);
        cr_assert_not_null(tg_tzif_parse(m.bytes, m.used, &out), "%s", rules[i]);
    }
}

Test(tzif, broken_files_are_refused_with_a_reason)
{
    const int64_t backwards[2] = {978307200, 978307199};
    struct maker m = make(backwards, 2, "");
    cr_assert_str_eq(tg_tzif_parse(m.bytes, m.used, &out), "changes are out of order or too many");
    m = make(NULL, 0, "");
    m.bytes[0] = 'X';
    cr_assert_str_eq(tg_tzif_parse(m.bytes, m.used, &out), "not a time zone file");
    m = make(NULL, 0, "");
    m.bytes[4] = 0;
    cr_assert_str_eq(tg_tzif_parse(m.bytes, m.used, &out), "version 1 is not supported");
    m = make(NULL, 0, "");
    m.bytes[54 + 31] = 1; /* leap second count of the second header */
    add(&m, 0, 12);
    cr_assert_str_eq(tg_tzif_parse(m.bytes, m.used, &out), "it counts leap seconds");
    const int64_t times[1] = {978307200};
    m = make(times, 1, "");
    m.bytes[98 + 8] = 2; /* the change's type, of two */
    cr_assert_str_eq(tg_tzif_parse(m.bytes, m.used, &out), "a change names a type that does not exist");
}

Test(tzif, a_change_that_means_always_sets_the_first_offset)
{
    const int64_t times[2] = {-INT64_C(576460752303423488), 978307200};
    const struct maker m = make(times, 2, "");
    cr_assert_null(tg_tzif_parse(m.bytes, m.used, &out));
    cr_assert_eq(out.first, ODD_OFFSET);
    cr_assert_eq(out.change_count, 1);
    cr_assert_eq(out.changes[0].after, 3600);
}

static size_t read_zone(const char *name, uint8_t *file, size_t capacity)
{
    char path[256];
    (void)snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    FILE *in = fopen(path, "rb");
    cr_assert_not_null(in, "%s", path);
    const size_t bytes = fread(file, 1, capacity, in);
    (void)fclose(in);
    return bytes;
}

Test(tzif, every_prefix_of_a_file_is_refused_without_reading_past_it)
{
    static uint8_t file[65536];
    const size_t bytes = read_zone("Europe/Berlin", file, sizeof file);
    cr_assert_null(tg_tzif_parse(file, bytes, &out));
    for (size_t cut = 0; cut < bytes; cut++) {
        uint8_t *copy = malloc(cut + 1);
        memcpy(copy, file, cut);
        cr_assert_not_null(tg_tzif_parse(copy, cut, &out), "%zu of %zu bytes", cut, bytes);
        free(copy);
    }
}

Test(tzif, random_damage_never_breaks_the_order_of_changes)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    static uint8_t file[65536];
    const size_t bytes = read_zone("America/New_York", file, sizeof file);
    uint32_t accepted = 0;
    for (uint32_t round = 0; round < 20000; round++) {
        uint8_t *copy = malloc(bytes);
        memcpy(copy, file, bytes);
        for (uint32_t i = 0; i < 3; i++) { copy[tg_prng_below(&prng, (uint32_t)bytes)] = (uint8_t)tg_prng_next(&prng); }
        if (tg_tzif_parse(copy, bytes, &out) == NULL) {
            accepted++;
            for (uint32_t k = 1; k < out.change_count; k++) {
                cr_assert_gt(out.changes[k].at, out.changes[k - 1].at, "seed %" PRIu64 " round %u", seed, round);
            }
        }
        free(copy);
    }
    cr_assert_gt(accepted, 0);
}
