/* The record generator and its source: same seed, same bytes; the published data sets; shares; pacing. */
#include <criterion/criterion.h>
#include <math.h>
#include <xxhash.h>

#include "io/connectors.h"
#include "io/generate/generate.h"
#include "tests/options_of.h"
#include "tests/seed.h"

/* ---- generator --------------------------------------------------------------------------------------------------- */

/* XXH3 over "key TAB value LF" of every record. */
static uint64_t digest_of(const struct tg_generate_config *config, uint32_t partition, uint64_t *count)
{
    static struct tg_generator generator;
    tg_generator_init(&generator, config, partition);
    XXH3_state_t *state = XXH3_createState();
    XXH3_64bits_reset(state);
    char out[TG_GENERATE_BYTES_MAX];
    struct tg_generated made;
    *count = 0;
    while (tg_generator_next(&generator, out, &made)) {
        XXH3_64bits_update(state, made.key, made.key_bytes);
        XXH3_64bits_update(state, "\t", 1);
        XXH3_64bits_update(state, out, made.bytes);
        XXH3_64bits_update(state, "\n", 1);
        (*count)++;
    }
    const uint64_t digest = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return digest;
}

static struct tg_generate_config bench_config(enum tg_generate_kind kind)
{
    return (struct tg_generate_config){
        .kind = kind, .partitions = 1, .seed = 42, .count = 100000, .span = 2400000000, .jitter = 5000000};
}

/* The expected digests were computed once over the original generator's output for the same options. */
Test(generate, bench_tx_is_the_published_data_set)
{
    struct tg_generate_config config = bench_config(TG_GENERATE_BENCH_TX);
    uint64_t count;
    cr_assert_eq(digest_of(&config, 0, &count), 0x1b8d86338cc29c79u);
    cr_assert_eq(count, 100000);
    config = (struct tg_generate_config){
        .kind = TG_GENERATE_BENCH_TX, .partitions = 1, .seed = 7, .count = 5000, .span = 60000000, .jitter = 100000};
    cr_assert_eq(digest_of(&config, 0, &count), 0x1f64dd0e9e854686u);
}

Test(generate, bench_clicks_is_the_published_data_set)
{
    struct tg_generate_config config = bench_config(TG_GENERATE_BENCH_CLICKS);
    uint64_t count;
    cr_assert_eq(digest_of(&config, 0, &count), 0x748a4391144f46feu);
    config = (struct tg_generate_config){.kind = TG_GENERATE_BENCH_CLICKS,
                                         .partitions = 1,
                                         .seed = 7,
                                         .count = 5000,
                                         .span = 60000000,
                                         .jitter = 100000};
    cr_assert_eq(digest_of(&config, 0, &count), 0x7c3e0571ef92258eu);
}

Test(generate, bench_partitions_hold_every_record_once)
{
    struct tg_generate_config config = bench_config(TG_GENERATE_BENCH_TX);
    config.partitions = 3;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t count;
        (void)digest_of(&config, i, &count);
        cr_assert_gt(count, 30000);
        sum += count;
    }
    cr_assert_eq(sum, 100000);
}

/* Vectors from the Java client's own test of its murmur2. */
Test(generate, murmur2_is_kafkas)
{
    static const struct {
        const char *key;
        int32_t hash;
    } vectors[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
    };
    for (uint32_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const uint32_t hash = (uint32_t)vectors[i].hash & 0x7fffffff;
        cr_expect_eq(tg_generate_partition(vectors[i].key, (uint32_t)strlen(vectors[i].key), 1000003), hash % 1000003);
    }
}

static struct tg_generate_config tx_config(uint64_t seed)
{
    return (struct tg_generate_config){.kind = TG_GENERATE_TX,
                                       .partitions = 4,
                                       .seed = seed,
                                       .count = 40003,
                                       .rate = 1000,
                                       .start = TG_GENERATE_BENCH_START,
                                       .keys = 1000,
                                       .ids = true,
                                       .disorder = 3000000,
                                       .late_ppm = 30000,
                                       .malformed_ppm = 20000,
                                       .duplicate_ppm = 10000};
}

Test(generate, same_configuration_same_bytes_and_another_seed_others)
{
    const uint64_t seed = tg_test_seed();
    struct tg_generate_config config = tx_config(seed);
    uint64_t first_count, count;
    const uint64_t first = digest_of(&config, 2, &first_count);
    cr_assert_eq(digest_of(&config, 2, &count), first);
    config.seed++;
    cr_assert_neq(digest_of(&config, 2, &count), first);
    config.seed--;
    config.late_ppm = 0;
    cr_assert_neq(digest_of(&config, 2, &count), first);
}

Test(generate, shares_are_kept_and_counts_add_up)
{
    const uint64_t seed = tg_test_seed();
    const struct tg_generate_config config = tx_config(seed);
    uint64_t sum = 0, faults[4] = {0};
    for (uint32_t p = 0; p < 4; p++) {
        struct tg_generator generator;
        tg_generator_init(&generator, &config, p);
        char out[TG_GENERATE_BYTES_MAX];
        struct tg_generated made;
        tg_ts last_due = TG_TS_MIN;
        while (tg_generator_next(&generator, out, &made)) {
            faults[made.fault]++;
            sum++;
            cr_assert_eq(memchr(out, '\n', made.bytes), NULL);
            cr_assert_leq(made.bytes, TG_GENERATE_BYTES_MAX);
            cr_assert_gt(made.due, last_due, "the schedule goes on");
            last_due = made.due;
            made.key[made.key_bytes] = '\0';
            cr_assert_eq(strtoul(made.key + 5, NULL, 10) % 4, p, "a user lives in one partition");
        }
    }
    cr_assert_eq(sum, config.count);
    /* Binomial with p n: sigma = sqrt(n p (1 - p)) < 35; five sigma. */
    cr_assert_lt(fabs((double)faults[TG_GENERATE_LATE] - 1200), 175, "late %lu", (unsigned long)faults[1]);
    cr_assert_lt(fabs((double)faults[TG_GENERATE_MALFORMED] - 800), 150, "malformed %lu", (unsigned long)faults[2]);
    cr_assert_lt(fabs((double)faults[TG_GENERATE_DUPLICATE] - 400), 100, "duplicate %lu", (unsigned long)faults[3]);
}

static tg_ts stamp_of(const char *record, uint32_t bytes)
{
    const char *at = memmem(record, bytes, "transactionTimestamp\":\"", 23);
    tg_ts ts = 0;
    cr_assert_not_null(at);
    cr_assert(tg_ts_parse(at + 23, 24, NULL, &ts, NULL), "%.*s", (int)bytes, record);
    return ts;
}

Test(generate, event_time_keeps_to_its_bounds_and_duplicates_repeat_a_recent_record)
{
    struct tg_generate_config config = tx_config(tg_test_seed());
    struct tg_generator generator;
    tg_generator_init(&generator, &config, 1);
    static char seen[4 * TG_GENERATE_RECENT][256];
    uint64_t index = 0, duplicates = 0;
    char out[TG_GENERATE_BYTES_MAX];
    struct tg_generated made;
    while (tg_generator_next(&generator, out, &made)) {
        if (made.fault != TG_GENERATE_MALFORMED) {
            const tg_ts ts = stamp_of(out, made.bytes);
            out[made.bytes] = '\0';
            if (made.fault == TG_GENERATE_LATE) {
                cr_assert_lt(ts, made.due - config.disorder - 359000000);
            } else if (made.fault == 0) {
                cr_assert_leq(ts, made.due);
                cr_assert_geq(ts, made.due - config.disorder - 1000); /* written in whole milliseconds */
            } else {
                bool found = false;
                for (uint32_t i = 0; i < 4 * TG_GENERATE_RECENT; i++) { found |= strcmp(seen[i], out) == 0; }
                cr_assert(found, "nothing like it before: %s", out);
                duplicates++;
            }
            cr_assert_lt(made.bytes, sizeof seen[0]);
            memcpy(seen[index % (4 * TG_GENERATE_RECENT)], out, made.bytes + 1);
        }
        index++;
    }
    cr_assert_gt(duplicates, 40);
}

Test(generate, zipf_ranks_follow_the_law_and_uniform_is_flat)
{
    struct tg_generate_config config = tx_config(tg_test_seed());
    config.partitions = 1;
    config.count = 200000;
    config.keys = 100;
    for (uint32_t round = 0; round < 3; round++) {
        config.skew = round == 0 ? 0 : (round == 1 ? 1.0 : 1.5);
        struct tg_generator generator;
        tg_generator_init(&generator, &config, 0);
        char out[TG_GENERATE_BYTES_MAX];
        struct tg_generated made;
        double counts[100] = {0}, norm = 0;
        while (tg_generator_next(&generator, out, &made)) {
            made.key[made.key_bytes] = '\0';
            counts[strtoul(made.key + 5, NULL, 10)]++;
        }
        for (uint32_t k = 0; k < 100; k++) { norm += pow(k + 1, -config.skew); }
        for (uint32_t k = 0; k < 100; k++) {
            const double expected = 200000 * pow(k + 1, -config.skew) / norm;
            cr_assert_lt(fabs(counts[k] - expected), 6 * sqrt(expected) + 5, "skew %.1f rank %u: %.0f, not %.0f",
                         config.skew, k, counts[k], expected);
        }
    }
}

/* ---- source ------------------------------------------------------------------------------------------------------ */

static uint64_t clock_ns;
static uint64_t fake_monotonic(void *self) { return *(uint64_t *)self; }
static int64_t fake_wall(void *self) { return TG_GENERATE_BENCH_START + (int64_t)(*(uint64_t *)self / 1000); }

struct bench_of_source {
    struct tg_test_options options;
    struct tg_arena arena;
    struct tg_buffer_pool pool;
    struct tg_source_env env;
    void *state;
};
static const uint32_t all_partitions[] = {0, 1, 2, 3};

static tg_status source_open(struct bench_of_source *bench, struct tg_error *err)
{
    static const struct tg_buffer_pool_config pool = {.standard_count = 4, .standard_bytes = 65536, .large_count = 1};
    cr_assert_eq(tg_arena_open(&bench->arena, tg_buffer_pool_bytes(&pool) + 8192, err), TG_OK);
    cr_assert_eq(tg_buffer_pool_init(&bench->pool, &pool, &bench->arena, err), TG_OK);
    bench->env.options = &bench->options.options;
    bench->env.source_name = "tx";
    bench->env.partitions = all_partitions;
    bench->env.owned_count = bench->env.partition_count;
    bench->env.buffers = &bench->pool;
    bench->env.clock = (struct tg_clock){fake_monotonic, fake_wall, &clock_ns};
    bench->state = calloc(1, tg_generate_source.state_bytes(bench->env.options, bench->env.owned_count));
    uint32_t count = 0;
    const tg_status status = tg_generate_source.discover(bench->env.options, "tx", 0, &count, err);
    if (status != TG_OK) { return status; }
    cr_assert_eq(count, bench->env.partition_count);
    return tg_generate_source.open(bench->state, &bench->env, err);
}

static void source_close(struct bench_of_source *bench)
{
    tg_generate_source.close(bench->state);
    cr_assert_eq(bench->pool.in_use, 0, "every buffer came home");
    free(bench->state);
    tg_arena_close(&bench->arena);
}

#define OPTIONS(bench, ...) \
    tg_test_options(&(bench)->options, tg_generate_source.options, tg_generate_source.option_count, __VA_ARGS__, NULL)

/* Poll until all partitions have ended; a digest per partition, offsets checked. */
static void source_drain(struct bench_of_source *bench, uint32_t poll_count_max, uint64_t digests[4], uint64_t *count)
{
    struct tg_error err = {0};
    bench->env.poll_count_max = poll_count_max;
    cr_assert_eq(source_open(bench, &err), TG_OK, "%s", err.text);
    static struct tg_raw_batch batch;
    int64_t next[4] = {0};
    uint32_t ended = 0;
    *count = 0;
    memset(digests, 0, 4 * sizeof digests[0]);
    while (ended < bench->env.partition_count) {
        cr_assert_eq(tg_generate_source.poll(bench->state, &batch, clock_ns), 1);
        cr_assert_leq(batch.count, poll_count_max);
        for (uint32_t i = 0; i < batch.count; i++) {
            cr_assert_eq(batch.slices[i].offset, next[batch.partition]++);
            digests[batch.partition] =
                digests[batch.partition] * 31 + XXH3_64bits(batch.slices[i].value, batch.slices[i].value_bytes);
        }
        *count += batch.count;
        ended += (batch.flags & TG_RAW_ENDED) != 0;
        if (batch.buffer != NULL) { tg_buffer_release(batch.buffer); }
    }
    cr_assert_eq(tg_generate_source.poll(bench->state, &batch, clock_ns), 0, "an end is said once");
    cr_assert_eq(tg_generate_source.lag(bench->state), 0);
    source_close(bench);
}

Test(generate_source, poll_size_changes_nothing)
{
    struct bench_of_source bench = {.env = {.partition_count = 3, .bounded = true}};
    uint64_t reference[4], digests[4], count;
    OPTIONS(&bench, "count", "20000", "partitions", "3", "late", "0.05", "malformed", "0.05", "duplicate", "0.05",
            "skew", "0.9", "seed", "5", "start_time", "2026-02-03T04:05:06Z");
    source_drain(&bench, TG_BATCH_ROWS_MAX, reference, &count);
    cr_assert_eq(count, 20000);
    static const uint32_t sizes[] = {1, 7, 500};
    for (uint32_t i = 0; i < 3; i++) {
        clock_ns += 12345678;
        source_drain(&bench, sizes[i], digests, &count);
        cr_assert_arr_eq(digests, reference, sizeof digests);
    }
}

Test(generate_source, a_paced_source_keeps_its_rate_and_says_when_it_is_at_the_end)
{
    struct bench_of_source bench = {.env = {.partition_count = 4, .poll_count_max = 1024}};
    struct tg_error err = {0};
    clock_ns = 5000000000;
    OPTIONS(&bench, "rate", "1k/s");
    cr_assert_eq(source_open(&bench, &err), TG_OK, "%s", err.text);
    static struct tg_raw_batch batch;
    uint64_t count = 0, at_end = 0;
    for (uint32_t ms = 0; ms < 2000; ms++, clock_ns += 1000000) {
        while (tg_generate_source.poll(bench.state, &batch, clock_ns) != 0) {
            count += batch.count;
            at_end += (batch.flags & TG_RAW_AT_END) != 0;
            for (uint32_t i = 0; i < batch.count; i++) {
                const tg_ts now = fake_wall(&clock_ns);
                cr_assert_leq(batch.slices[i].record_us, now);
                cr_assert_geq(batch.slices[i].record_us, now - 2000);
            }
            if (batch.buffer != NULL) { tg_buffer_release(batch.buffer); }
        }
        cr_assert_eq(count, ms + 1, "one record each millisecond");
    }
    cr_assert_geq(at_end, 2000);
    cr_assert_not(tg_generate_source.unread(bench.state, 0) && tg_generate_source.unread(bench.state, 3));
    clock_ns += 3000000000;
    const int64_t lag = tg_generate_source.lag(bench.state);
    cr_assert(lag >= 2998 && lag <= 3004, "three seconds were not taken: %ld", (long)lag);
    for (uint32_t p = 0; p < 4; p++) { cr_assert(tg_generate_source.unread(bench.state, p)); }
    source_close(&bench);
}

Test(generate_source, no_free_buffer_is_back_pressure_not_loss)
{
    struct bench_of_source bench = {.env = {.partition_count = 1, .poll_count_max = 64, .bounded = true}};
    struct tg_error err = {0};
    OPTIONS(&bench, "count", "20000", "partitions", "1");
    cr_assert_eq(source_open(&bench, &err), TG_OK, "%s", err.text);
    static struct tg_raw_batch batches[1024];
    uint32_t held = 0;
    int64_t next = 0;
    uint64_t refused = 0;
    for (bool ended = false; !ended;) {
        if (tg_generate_source.poll(bench.state, &batches[held], clock_ns) == 0) {
            refused++;
            cr_assert_gt(held, 0);
            for (uint32_t i = 0; i < held; i++) { tg_buffer_release(batches[i].buffer); }
            held = 0;
            continue;
        }
        cr_assert_eq(batches[held].slices[0].offset, next);
        next += batches[held].count;
        ended = (batches[held].flags & TG_RAW_ENDED) != 0;
        if (batches[held].buffer != NULL) { held++; }
    }
    for (uint32_t i = 0; i < held; i++) { tg_buffer_release(batches[i].buffer); }
    cr_assert_eq(next, 20000);
    cr_assert_gt(refused, 0, "the pool was never empty");
    source_close(&bench);
}

Test(generate_source, wrong_options_are_refused)
{
    static const char *const pairs[][2] = {
        {"partitions", "0"},        {"keys", "3"},         {"late", "1.5"}, {"count", "0"},
        {"start_time", "tomorrow"}, {"partitions", "5000"}};
    for (uint32_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct tg_test_options options;
        struct tg_error err = {0};
        uint32_t count;
        tg_test_options(&options, tg_generate_source.options, tg_generate_source.option_count, pairs[i][0], pairs[i][1],
                        NULL);
        cr_assert_eq(tg_generate_source.discover(&options.options, "tx", 0, &count, &err), TG_ERR_CONFIG);
        cr_assert_eq(err.code, TG1004);
    }
    struct bench_of_source bench = {.env = {.partition_count = 4, .poll_count_max = 1, .bounded = true}};
    struct tg_error err = {0};
    OPTIONS(&bench, "rate", "5");
    cr_assert_eq(source_open(&bench, &err), TG_ERR_CONFIG, "an endless source cannot be run to its end");
    source_close(&bench);
}
