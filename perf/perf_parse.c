/* The per-record readers of base/: RFC 3339 stamps against a plain loop over characters and against strptime + timegm,
 * decimals against strtod. Prints nanoseconds a call (best of several rounds, so that a busy machine shows less) and
 * the ratio to the rival. `--smoke` runs a tiny size to prove that it still works. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "base/prng.h"
#include "base/timestamp.h"

enum { TEXTS = 4096, TEXT_BYTES = 32, SEED = 1 }; /* 4,096 different texts: no branch predictor learns them by heart */

struct texts {
    char data[TEXTS][TEXT_BYTES];
    uint8_t bytes[TEXTS];
};

static struct texts texts;

/* One rival: sums up what it reads, so that nothing can be left out and all can be compared. */
struct reader {
    const char *name;
    int64_t (*run)(const struct texts *in);
};

static int64_t stamps_turgo(const struct texts *in)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < TEXTS; i++) {
        tg_ts ts = 0;
        if (!tg_ts_parse(in->data[i], in->bytes[i], NULL, &ts, NULL)) { abort(); }
        sum += ts;
    }
    return sum;
}

/* ---- rivals: stamps ---------------------------------------------------------------------------------------------- */

/* What one writes by hand: digits in a loop, checks, days by a formula. */
static int loop_number(const char **at, const char *end, int digits)
{
    int value = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (*at == end || **at < '0' || **at > '9') { return -1; }
        value = value * 10 + (**at - '0');
    }
    return value;
}

static int64_t loop_days(int year, int month, int day)
{
    year -= month <= 2;
    const int era = year / 400;
    const int of_era = year - era * 400;
    const int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool loop_parse(const char *at, const char *end, int64_t *out)
{
    static const int month_days[13] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    static const char separators[5] = {'-', '-', 'T', ':', ':'};
    int v[6];
    for (int i = 0; i < 6; i++) {
        v[i] = loop_number(&at, end, i == 0 ? 4 : 2);
        if (v[i] < 0 || (i < 5 && (at == end || *at++ != separators[i]))) { return false; }
    }
    const bool leap = v[0] % 4 == 0 && (v[0] % 100 != 0 || v[0] % 400 == 0);
    if (v[0] < 1 || v[1] < 1 || v[1] > 12) { return false; }
    if (v[2] < 1 || v[2] > month_days[v[1]] + (leap && v[1] == 2)) { return false; }
    if (v[3] > 23 || v[4] > 59 || v[5] > 59) { return false; }
    int64_t us = 0;
    if (at < end && *at == '.') {
        int64_t unit = 100000;
        for (at++; at < end && *at >= '0' && *at <= '9'; at++, unit /= 10) { us += (*at - '0') * unit; }
    }
    *out = (loop_days(v[0], v[1], v[2]) * 86400 + v[3] * 3600 + v[4] * 60 + v[5]) * 1000000 + us;
    return at + 1 == end && *at == 'Z';
}

static int64_t stamps_loop(const struct texts *in)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < TEXTS; i++) {
        int64_t ts = 0;
        if (!loop_parse(in->data[i], in->data[i] + in->bytes[i], &ts)) { abort(); }
        sum += ts;
    }
    return sum;
}

static int64_t stamps_strptime(const struct texts *in)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < TEXTS; i++) {
        struct tm tm = {0};
        char *rest = strptime(in->data[i], "%Y-%m-%dT%H:%M:%S", &tm);
        if (rest == NULL) { abort(); }
        int64_t us = 0;
        if (*rest == '.') {
            char *end;
            us = strtol(rest + 1, &end, 10);
            for (ptrdiff_t digits = end - rest - 1; digits < 6; digits++) { us *= 10; }
        }
        sum += (int64_t)timegm(&tm) * 1000000 + us;
    }
    return sum;
}

/* ---- decimals ---------------------------------------------------------------------------------------------------- */

enum { SCALE = 2 };

static int64_t decimals_turgo(const struct texts *in)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < TEXTS; i++) {
        tg_dec value = 0;
        if (tg_dec_parse(in->data[i], in->bytes[i], 18, SCALE, true, &value) != TG_DEC_OK) { abort(); }
        sum += (int64_t)value;
    }
    return sum;
}

static int64_t decimals_strtod(const struct texts *in)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < TEXTS; i++) {
        const double cents = strtod(in->data[i], NULL) * 100;
        sum += (int64_t)(cents < 0 ? cents - 0.5 : cents + 0.5);
    }
    return sum;
}

/* ---- text out ---------------------------------------------------------------------------------------------------- */

static int64_t formats_turgo(const struct texts *in)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < TEXTS; i++) {
        char out[TG_TS_TEXT_BYTES];
        sum += tg_ts_format((tg_ts)i * 86399000001 + in->bytes[i], out);
    }
    return sum;
}

static int64_t formats_printf(const struct texts *in)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < TEXTS; i++) {
        char out[64];
        const int64_t us = (int64_t)i * 86399000001 + in->bytes[i];
        const time_t seconds = us / 1000000;
        struct tm tm;
        (void)gmtime_r(&seconds, &tm);
        sum += snprintf(out, sizeof out, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                        tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(us % 1000000));
    }
    return sum;
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

/* Best time of one pass over the texts, in nanoseconds a text. */
static double measure(const struct reader *reader, uint32_t rounds, uint32_t passes, int64_t *sum)
{
    const struct tg_clock clock = tg_clock_real();
    double best = 1e18;
    for (uint32_t round = 0; round < rounds; round++) {
        const uint64_t start = tg_clock_now_ns(&clock);
        for (uint32_t pass = 0; pass < passes; pass++) { *sum = reader->run(&texts); }
        const double ns = (double)(tg_clock_now_ns(&clock) - start) / ((double)passes * TEXTS);
        if (ns < best) { best = ns; }
    }
    return best;
}

/* The first reader is ours. With `equal`, all must have read the same. Rounds alternate between them by halves, so that
 * a slow minute of the machine hits all. */
static bool compare(const char *what, const struct reader *readers, uint32_t count, bool smoke, bool equal)
{
    double best[4] = {1e18, 1e18, 1e18, 1e18};
    int64_t sums[4] = {0};
    for (uint32_t half = 0; half < (smoke ? 1u : 6u); half++) {
        for (uint32_t i = 0; i < count; i++) {
            const double ns = measure(&readers[i], smoke ? 1 : 5, smoke ? 1 : 20, &sums[i]);
            if (ns < best[i]) { best[i] = ns; }
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        (void)printf("%-26s %-10s %7.2f ns", what, readers[i].name, best[i]);
        if (i > 0) { (void)printf("  %5.1fx", best[i] / best[0]); }
        (void)printf("\n");
        if (equal && sums[i] != sums[0]) {
            (void)printf("perf_parse: %s and %s disagree on %s\n", readers[0].name, readers[i].name, what);
            return false;
        }
    }
    return true;
}

static void set_text(uint32_t i, int bytes)
{
    if (bytes < 0 || bytes >= TEXT_BYTES) { abort(); }
    texts.bytes[i] = (uint8_t)bytes;
}

/* `fraction` 0, 3 or 6 digits; -1 = mixed. */
static void fill_stamps(struct tg_prng *prng, int fraction)
{
    for (uint32_t i = 0; i < TEXTS; i++) {
        static const uint32_t grains[3] = {1000000, 1000, 1};
        const uint32_t grain = fraction < 0 ? tg_prng_below(prng, 3) : (uint32_t)fraction / 3;
        char text[TG_TS_TEXT_BYTES];
        const tg_ts seconds = 1700000000 + (tg_ts)tg_prng_below(prng, 86400 * 365);
        uint32_t us = tg_prng_below(prng, 1000000) / grains[grain] * grains[grain];
        if (grain == 1 && us == 0) { us = 1000; } /* keep the layout asked for */
        if (grain == 2 && us % 1000 == 0) { us++; }
        const uint32_t bytes = tg_ts_format(seconds * 1000000 + us, text);
        memcpy(texts.data[i], text, bytes);
        texts.data[i][bytes] = '\0';
        set_text(i, (int)bytes);
    }
}

static void fill_amounts(struct tg_prng *prng)
{
    for (uint32_t i = 0; i < TEXTS; i++) {
        const uint32_t whole = tg_prng_below(prng, 4) == 0 ? tg_prng_below(prng, 10000) : tg_prng_below(prng, 500);
        set_text(i, snprintf(texts.data[i], TEXT_BYTES, "%u.%02u", whole, tg_prng_below(prng, 100)));
    }
}

/* As a program prints that keeps money in doubles: 239.96999999999997. */
static void fill_doubles(struct tg_prng *prng)
{
    for (uint32_t i = 0; i < TEXTS; i++) {
        const double price = (double)tg_prng_below(prng, 50000) / 100;
        set_text(i, snprintf(texts.data[i], TEXT_BYTES, "%.17g", price * (1 + tg_prng_below(prng, 5))));
        if (strchr(texts.data[i], '.') == NULL) { set_text(i, snprintf(texts.data[i], TEXT_BYTES, "1.0")); }
    }
}

int main(int argc, char **argv)
{
    static const struct reader stamps[] = {
        {"turgo", stamps_turgo}, {"loop", stamps_loop}, {"strptime", stamps_strptime}};
    static const struct reader decimals[] = {{"turgo", decimals_turgo}, {"strtod", decimals_strtod}};
    static const struct reader formats[] = {{"turgo", formats_turgo}, {"printf", formats_printf}};
    const bool smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    struct tg_prng prng = {SEED};
    bool ok = true;
    fill_stamps(&prng, 0);
    ok = compare("stamp, seconds (20)", stamps, 3, smoke, true) && ok;
    fill_stamps(&prng, 3);
    ok = compare("stamp, milliseconds (24)", stamps, 3, smoke, true) && ok;
    fill_stamps(&prng, 6);
    ok = compare("stamp, microseconds (27)", stamps, 3, smoke, true) && ok;
    fill_stamps(&prng, -1);
    ok = compare("stamp, mixed layouts", stamps, 3, smoke, true) && ok;
    ok = compare("stamp to text", formats, 2, smoke, false) && ok;
    fill_amounts(&prng);
    ok = compare("decimal, amounts", decimals, 2, smoke, true) && ok;
    fill_doubles(&prng);
    ok = compare("decimal, 17 digits", decimals, 2, smoke, false) && ok;
    return ok ? 0 : 1;
}
