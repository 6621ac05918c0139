/* The records. Two ways of drawing: `tx` seeds a fresh prng from (seed, partition, index), so record i can be made
 * without the ones before it, which is what makes duplicates cheap; the bench kinds draw from one stream, because they
 * reproduce a published data set byte for byte. */
#include "io/generate/generate.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/timestamp.h"

enum { US_PER_SECOND = 1000000, DIGITS_MAX = 20 };

/* ---- text -------------------------------------------------------------------------------------------------------- */

static char *put(char *at, const char *text)
{
    const size_t bytes = strlen(text);
    memcpy(at, text, bytes);
    return at + bytes;
}

/* Exactly `width` decimal digits, zeros in front. */
static char *put_digits(char *at, uint64_t value, uint32_t width)
{
    for (uint32_t i = width; i > 0; i--) {
        at[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + width;
}

static char *put_number(char *at, uint64_t value)
{
    char text[DIGITS_MAX];
    uint32_t first = DIGITS_MAX;
    do {
        text[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    memcpy(at, text + first, DIGITS_MAX - first);
    return at + (DIGITS_MAX - first);
}

/* RFC 3339 with 3 or 6 fraction digits. Calendar arithmetic runs once per second of event time: neighbours share it. */
static char *put_instant(struct tg_generator *generator, char *at, tg_ts ts, uint32_t digits)
{
    int64_t second = ts / US_PER_SECOND;
    int64_t micros = ts % US_PER_SECOND;
    if (micros < 0) {
        second--;
        micros += US_PER_SECOND;
    }
    if (second != generator->second) {
        char text[TG_TS_TEXT_BYTES];
        const uint32_t bytes = tg_ts_format(second * US_PER_SECOND, text);
        TG_ASSERT(bytes == 20); /* YYYY-MM-DDTHH:MM:SSZ */
        memcpy(generator->second_text, text, 19);
        generator->second_text[19] = '.';
        generator->second = second;
    }
    memcpy(at, generator->second_text, 20);
    at = put_digits(at + 20, digits == 3 ? (uint64_t)micros / 1000 : (uint64_t)micros, digits);
    *at = 'Z';
    return at + 1;
}

/* ---- murmur2 ----------------------------------------------------------------------------------------------------- */

uint32_t tg_generate_partition(const char *key, uint32_t bytes, uint32_t partitions)
{
    const uint32_t m = 0x5bd1e995;
    const uint8_t *data = (const uint8_t *)key;
    uint32_t hash = 0x9747b28cu ^ bytes;
    uint32_t left = bytes;
    for (; left >= 4; left -= 4, data += 4) {
        uint32_t word;
        memcpy(&word, data, 4); /* little endian, as the reference implementation reads it */
        word *= m;
        word ^= word >> 24;
        word *= m;
        hash = (hash * m) ^ word;
    }
    if (left >= 3) { hash ^= (uint32_t)data[2] << 16; }
    if (left >= 2) { hash ^= (uint32_t)data[1] << 8; }
    if (left >= 1) { hash = (hash ^ data[0]) * m; }
    hash ^= hash >> 13;
    hash *= m;
    hash ^= hash >> 15;
    return (hash & 0x7fffffffu) % partitions;
}

/* ---- Zipf -------------------------------------------------------------------------------------------------------- */

/* Rejection-inversion (W. Hoermann, G. Derflinger: Rejection-inversion to generate variates from monotone discrete
 * distributions, 1996): the histogram of k^-s is covered by the curve x^-s, whose integral can be inverted, so a draw
 * needs no table over the keys and about 1.1 rounds. `expm1(y)/y` and `log1p(x)/x` keep it exact near s = 1, where the
 * textbook formula divides by zero. */
static double log1p_over(double x) { return fabs(x) > 1e-8 ? log1p(x) / x : 1 - x * (0.5 - x / 3); }
static double expm1_over(double x) { return fabs(x) > 1e-8 ? expm1(x) / x : 1 + x / 2 * (1 + x / 3); }

static double zipf_integral(double skew, double x)
{
    const double log_x = log(x);
    return expm1_over((1 - skew) * log_x) * log_x;
}
static double zipf_height(double skew, double x) { return exp(-skew * log(x)); }
static double zipf_inverse(double skew, double y)
{
    const double t = fmax(y * (1 - skew), -1);
    return exp(log1p_over(t) * y);
}

static void zipf_init(struct tg_zipf *zipf, double skew, uint32_t count)
{
    zipf->integral_first = zipf_integral(skew, 1.5) - 1;
    zipf->integral_last = zipf_integral(skew, (double)count + 0.5);
    zipf->shortcut = 2 - zipf_inverse(skew, zipf_integral(skew, 2.5) - zipf_height(skew, 2));
}

/* A rank from 0 to count - 1. */
static uint32_t zipf_draw(const struct tg_zipf *zipf, double skew, uint32_t count, struct tg_prng *prng)
{
    enum { ROUNDS_MAX = 64 }; /* one round rejects with p < 0.3; 64 in a row do not happen */
    for (uint32_t round = 0; round < ROUNDS_MAX; round++) {
        const double share = (double)(tg_prng_next(prng) >> 11) * 0x1p-53;
        const double y = zipf->integral_last + share * (zipf->integral_first - zipf->integral_last);
        const double x = zipf_inverse(skew, y);
        const double k = fmin(fmax(floor(x + 0.5), 1), (double)count);
        if (k - x <= zipf->shortcut || y >= zipf_integral(skew, k + 0.5) - zipf_height(skew, k)) {
            return (uint32_t)k - 1;
        }
    }
    return 0;
}

/* ---- tx ---------------------------------------------------------------------------------------------------------- */

/* What record `index` of a partition is, before it is written. */
struct tx_draw {
    uint64_t user;
    uint64_t number; /* over all partitions */
    tg_ts ts;
    uint32_t fault;
    uint32_t variant; /* of a malformed record */
};

/* The schedule: instant of record `number`, counted over all partitions. */
static tg_ts scheduled(const struct tg_generate_config *config, uint64_t number)
{
    const uint64_t rate = config->rate == 0 ? TG_GENERATE_PACE : config->rate;
    __extension__ const unsigned __int128 us = (unsigned __int128)number * US_PER_SECOND / rate;
    return config->start + (tg_us)us;
}

static tg_ts tx_due(const struct tg_generator *generator, uint64_t index)
{
    const struct tg_generate_config *config = &generator->config;
    return scheduled(config, index * config->partitions + generator->partition);
}

static struct tg_prng tx_prng(const struct tg_generator *generator, uint64_t index)
{
    /* One step of the same prng separates seeds and partitions that are small neighbouring numbers. */
    struct tg_prng mix = {generator->config.seed ^ ((uint64_t)generator->partition << 40)};
    return (struct tg_prng){tg_prng_next(&mix) ^ (index * 0xD1B54A32D192ED03ULL)};
}

static struct tx_draw tx_draw(const struct tg_generator *generator, uint64_t index)
{
    enum { MILLION = 1000000, LATE_MIN_S = 360, LATE_SPREAD_S = 600 };
    const struct tg_generate_config *config = &generator->config;
    struct tg_prng prng = tx_prng(generator, index);
    struct tx_draw draw = {.number = index * config->partitions + generator->partition};
    const uint32_t rank = config->skew > 0
                              ? zipf_draw(&generator->zipf, config->skew, generator->user_count, &prng)
                              : tg_prng_below(&prng, generator->user_count);
    draw.user = (uint64_t)rank * config->partitions + generator->partition;
    draw.ts = tx_due(generator, index);
    if (config->disorder > 0) {
        draw.ts -= (tg_us)(tg_prng_next(&prng) % (uint64_t)(config->disorder + 1));
    }
    const uint32_t lot = tg_prng_below(&prng, MILLION);
    draw.variant = tg_prng_below(&prng, MILLION);
    if (lot < config->malformed_ppm) {
        draw.fault = TG_GENERATE_MALFORMED;
    } else if (lot < config->malformed_ppm + config->late_ppm) {
        draw.fault = TG_GENERATE_LATE;
        draw.ts -= config->disorder + (tg_us)(LATE_MIN_S + tg_prng_below(&prng, LATE_SPREAD_S)) * US_PER_SECOND;
    } else if (lot < config->malformed_ppm + config->late_ppm + config->duplicate_ppm) {
        draw.fault = TG_GENERATE_DUPLICATE;
    }
    return draw;
}

static char *put_user(char *at, uint64_t user) { return put_number(put(at, "user_"), user); }

static char *tx_write(struct tg_generator *generator, const struct tx_draw *draw, char *out)
{
    char *at = put(out, "{\"userId\":\"");
    at = put_user(at, draw->user);
    at = put(at, "\",\"transactionTimestamp\":\"");
    at = put_instant(generator, at, draw->ts, 3);
    if (generator->config.ids) {
        at = put(at, "\",\"transactionId\":\"t");
        at = put_number(at, draw->number);
    }
    return put(at, "\"}");
}

/* Records that a careful decoder refuses, one fault each. None contains a line end. */
static char *tx_write_malformed(struct tg_generator *generator, const struct tx_draw *draw, char *out)
{
    enum { NESTING = 1100, VARIANTS = 14 }; /* deeper than TG_JSON_DEPTH_MAX */
    static_assert(2 * NESTING + 256 < TG_GENERATE_BYTES_MAX, "the deepest record fits");
    static const char *const whole[VARIANTS] = {
        [6] = "[1,2,3]",
        [7] = "",
        [8] = "{\"userId\":\"\\ud800\",\"transactionTimestamp\":\"2026-01-01T00:00:00Z\"}",
        [9] = "{\"userId\":\"\",\"transactionTimestamp\":\"2026-01-01T00:00:00Z\"}",
        [10] = "{\"userId\":\"user_0\",\"transactionTimestamp\":\"2026-13-45T25:61:00Z\"}",
        [11] = "{\"userId\":\"user_0\",\"transactionTimestamp\":1e999}",
        [12] = "{\"userId\":\"user_0\",\"transactionTimestamp\":\"2026-01-01T00:00:00Z\",\"amount\":NaN}",
        [13] = "{\"userId\":\"user_0\",\"transactionTimestamp\":null}",
    };
    const uint32_t variant = draw->variant % VARIANTS;
    if (whole[variant] != NULL) { return put(out, whole[variant]); }
    char *at;
    switch (variant) {
    case 0: /* cut off in the middle */ return tx_write(generator, draw, out) - 1 - draw->user % 20;
    case 1: /* a number where text is asked for */
        at = put_user(put(out, "{\"userId\":\""), draw->user);
        return put(put_number(put(at, "\",\"transactionTimestamp\":"), (uint64_t)draw->ts), "}");
    case 2: /* not UTF-8 */
        at = put(tx_write(generator, draw, out) - 1, ",\"note\":\"");
        *at++ = (char)0xC3;
        *at++ = (char)0x28;
        return put(at, "\"}");
    case 3: /* no timestamp */ return put(put_user(put(out, "{\"userId\":\""), draw->user), "\"}");
    case 4: /* no user */
        at = put_instant(generator, put(out, "{\"transactionTimestamp\":\""), draw->ts, 3);
        return put(at, "\"}");
    default: /* 5: nested beyond reason */
        at = put(tx_write(generator, draw, out) - 1, ",\"deep\":");
        memset(at, '[', NESTING);
        memset(at + NESTING, ']', NESTING);
        return put(at + 2 * NESTING, "}");
    }
}

static bool tx_next(struct tg_generator *generator, char *out, struct tg_generated *info)
{
    if (generator->index == generator->count) { return false; }
    const uint64_t index = generator->index++;
    struct tx_draw draw = tx_draw(generator, index);
    info->due = tx_due(generator, index);
    info->fault = draw.fault;
    if (draw.fault == TG_GENERATE_DUPLICATE) {
        /* Repeat one of the records before it that stands for itself; there is none at the very beginning. */
        info->fault = 0;
        for (uint64_t back = 1 + draw.variant % TG_GENERATE_RECENT; back <= index && back <= 2 * TG_GENERATE_RECENT;
             back++) {
            const struct tx_draw earlier = tx_draw(generator, index - back);
            if (earlier.fault == 0) {
                draw = earlier;
                info->fault = TG_GENERATE_DUPLICATE;
                break;
            }
        }
    }
    const char *end = draw.fault == TG_GENERATE_MALFORMED ? tx_write_malformed(generator, &draw, out)
                                                          : tx_write(generator, &draw, out);
    info->bytes = (uint32_t)(end - out);
    info->key_bytes = (uint32_t)(put_user(info->key, draw.user) - info->key);
    return true;
}

/* ---- bench kinds ------------------------------------------------------------------------------------------------- */

/* Everything one record draws, in the order of the data set's definition. */
struct bench_draw {
    uint32_t user;
    uint32_t product;
    uint32_t session;
    uint32_t action;
    tg_ts ts;
    uint64_t id[2];
};

static uint32_t below(struct tg_generator *generator, uint32_t bound) { return tg_prng_below(&generator->prng, bound); }

static struct bench_draw bench_draw(struct tg_generator *generator, uint64_t index)
{
    const struct tg_generate_config *config = &generator->config;
    __extension__ const __int128 place = (__int128)index * config->span / (__int128)config->count;
    const tg_ts base = TG_GENERATE_BENCH_START + (tg_us)place;
    struct bench_draw draw = {0};
    if (config->kind == TG_GENERATE_BENCH_TX) {
        draw.user = below(generator, 100000);
        draw.ts = (base / 1000 - (int64_t)below(generator, (uint32_t)(config->jitter / 1000) + 1)) * 1000;
        return draw;
    }
    draw.user = below(generator, 200000);
    draw.product = below(generator, 10000);
    draw.session = below(generator, 1000000);
    draw.action = below(generator, 4);
    draw.ts = base - (int64_t)below(generator, (uint32_t)config->jitter + 1);
    draw.id[0] = tg_prng_next(&generator->prng);
    draw.id[1] = tg_prng_next(&generator->prng);
    return draw;
}

static uint32_t bench_key(const struct tg_generate_config *config, uint32_t user, char *key)
{
    const char *end = config->kind == TG_GENERATE_BENCH_TX ? put_digits(put(key, "u"), user, 7)
                                                           : put_digits(put(key, "user_"), user, 8);
    return (uint32_t)(end - key);
}

static char *put_uuid(char *at, const uint64_t id[2])
{
    for (uint32_t i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20) { *at++ = '-'; }
        *at++ = "0123456789abcdef"[(id[i >> 4] >> ((i & 15) * 4)) & 15];
    }
    return at;
}

static char *click_write(struct tg_generator *generator, const struct bench_draw *draw, const struct tg_generated *info,
                         char *out)
{
    static const char *const categories[8] = {"electronics", "books", "clothing", "home",
                                              "sports",      "toys",  "beauty",   "grocery"};
    static const char *const actions[4] = {"view", "click", "add_to_cart", "purchase"};
    char *at = put_uuid(put(out, "{\"event_id\":\""), draw->id);
    at = put(at, "\",\"user_id\":\"");
    memcpy(at, info->key, info->key_bytes);
    at = put_digits(put(at + info->key_bytes, "\",\"session_id\":\"session_"), draw->session, 7);
    at = put_digits(put(at, "\",\"product_id\":\"product_"), draw->product, 5);
    at = put(put(at, "\",\"category\":\""), categories[(draw->product * 2654435761u) >> 29]);
    at = put(put(at, "\",\"action\":\""), actions[draw->action]);
    at = put_digits(put(at, "\",\"page_url\":\"/products/product_"), draw->product, 5);
    at = put(at, "\",\"user_agent\":\"Mozilla/5.0 (X11; Linux x86_64)\",\"timestamp\":\"");
    return put(put_instant(generator, at, draw->ts, 6), "\"}");
}

static bool bench_next(struct tg_generator *generator, char *out, struct tg_generated *info)
{
    const struct tg_generate_config *config = &generator->config;
    while (generator->index < generator->count) {
        const struct bench_draw draw = bench_draw(generator, generator->index++);
        info->key_bytes = bench_key(config, draw.user, info->key);
        if (config->partitions > 1 &&
            tg_generate_partition(info->key, info->key_bytes, config->partitions) != generator->partition) {
            continue;
        }
        char *end;
        if (config->kind == TG_GENERATE_BENCH_CLICKS) {
            end = click_write(generator, &draw, info, out);
        } else {
            end = put(out, "{\"userId\":\"");
            memcpy(end, info->key, info->key_bytes);
            end = put(end + info->key_bytes, "\",\"transactionTimestamp\":\"");
            end = put(put_instant(generator, end, draw.ts, 3), "\"}");
        }
        info->due = draw.ts;
        info->fault = 0;
        info->bytes = (uint32_t)(end - out);
        return true;
    }
    return false;
}

/* ---- public ------------------------------------------------------------------------------------------------------ */

void tg_generator_init(struct tg_generator *generator, const struct tg_generate_config *config, uint32_t partition)
{
    TG_ASSERT(config->partitions >= 1);
    TG_ASSERT(partition < config->partitions);
    *generator = (struct tg_generator){.config = *config, .partition = partition, .second = INT64_MIN};
    if (config->kind != TG_GENERATE_TX) {
        TG_ASSERT(config->count >= 1);
        TG_ASSERT(config->jitter >= 0 && config->jitter < UINT32_MAX);
        generator->count = config->count;
        generator->prng.state = config->seed;
        return;
    }
    TG_ASSERT(config->keys >= config->partitions);
    TG_ASSERT((uint64_t)config->late_ppm + config->malformed_ppm + config->duplicate_ppm <= 1000000);
    generator->user_count = (config->keys - partition + config->partitions - 1) / config->partitions;
    generator->count = UINT64_MAX;
    if (config->count != 0) {
        generator->count = config->count / config->partitions + (partition < config->count % config->partitions);
    }
    if (config->skew > 0) { zipf_init(&generator->zipf, config->skew, generator->user_count); }
}

void tg_generator_seek(struct tg_generator *generator, uint64_t index)
{
    TG_ASSERT(generator->config.kind == TG_GENERATE_TX);
    generator->index = index < generator->count ? index : generator->count;
}

tg_ts tg_generator_due(const struct tg_generator *generator)
{
    if (generator->index == generator->count) { return TG_TS_MAX; }
    const struct tg_generate_config *config = &generator->config;
    if (config->kind == TG_GENERATE_TX) { return tx_due(generator, generator->index); }
    return config->rate == 0 ? TG_TS_MIN : scheduled(config, generator->index);
}

bool tg_generator_next(struct tg_generator *generator, char *out, struct tg_generated *info)
{
    return generator->config.kind == TG_GENERATE_TX ? tx_next(generator, out, info)
                                                    : bench_next(generator, out, info);
}

int64_t tg_generator_left(const struct tg_generator *generator)
{
    return generator->count == UINT64_MAX ? -1 : (int64_t)(generator->count - generator->index);
}
