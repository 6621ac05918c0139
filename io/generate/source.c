/* The generate source: records made up on the spot, paced by the clock or as fast as they are asked for. It holds no
 * position of its own: an open starts at record 0, and with `start_time` and `seed` set at the very same record 0.
 * Given positions, kind tx goes on there, as if no time had passed: what is due first is due now. Bench kinds begin at
 * record 0 and let the reader pass over what it knows. */
#include <string.h>

#include "base/assert.h"
#include "base/timestamp.h"
#include "io/connectors.h"
#include "io/fill.h"
#include "io/generate/generate.h"

enum { MILLION = 1000000, BENCH_COUNT = 4000000, LIVE_RATE = 1000 };
#define BENCH_SPAN_US (2400LL * MILLION)
#define BENCH_JITTER_US (5LL * MILLION)

static const struct tg_option options_table[] = {
    {"kind", TG_OPTION_CHOICE, false, "tx", TG_GENERATE_KINDS,
     "What to make: tx (transactions of user_0, user_1, ...), or a benchmark's data set, byte for byte."},
    {"rate", TG_OPTION_RATE, false, NULL, NULL,
     "Records a second over all partitions; 0 = as fast as they are taken. Default 1k/s, with `count` no limit."},
    {"count", TG_OPTION_INTEGER, false, NULL, NULL,
     "Stop after this many records over all partitions. Default: endless for tx, 4000000 for the bench kinds."},
    {"partitions", TG_OPTION_INTEGER, false, "4", NULL, "Number of partitions; a user lives in one of them."},
    {"keys", TG_OPTION_INTEGER, false, "100", NULL, "tx: number of different users."},
    {"skew", TG_OPTION_NUMBER, false, "0", NULL, "tx: Zipf exponent of the users, e.g. 0.99; 0 = all alike."},
    {"ids", TG_OPTION_BOOLEAN, false, NULL, NULL, "tx: write a transactionId; on by default when `duplicate` is set."},
    {"disorder", TG_OPTION_DURATION, false, "0s", NULL, "tx: event time is up to this much before the schedule."},
    {"late", TG_OPTION_NUMBER, false, "0", NULL, "tx: share of records 6 to 16 minutes late."},
    {"malformed", TG_OPTION_NUMBER, false, "0", NULL, "tx: share of records no decoder should accept."},
    {"duplicate", TG_OPTION_NUMBER, false, "0", NULL, "tx: share of records that repeat an earlier one, id included."},
    {"start_time", TG_OPTION_TEXT, false, "now", NULL, "tx: event time of the first record: now, or RFC 3339."},
    {"span", TG_OPTION_DURATION, false, "40m", NULL, "Bench kinds: event time from the first to the last record."},
    {"jitter", TG_OPTION_DURATION, false, "5s", NULL, "Bench kinds: event time is up to this much before its place."},
    {"seed", TG_OPTION_INTEGER, false, NULL, NULL, "Seed of the records; default: the run's --seed."},
};

struct generate_partition {
    struct tg_generator generator;
    int64_t offset;   /* of the next record */
    bool said_at_end; /* nothing more was due, and the receiver knows */
    bool said_ended;
};

struct generate_source {
    struct tg_source_env env;
    struct tg_fill fill;
    tg_ts start;        /* the schedule's record 0 ... */
    uint64_t opened_ns; /* ... is due at this monotonic instant */
    bool paced;
    bool seeks;    /* goes on at the positions given */
    uint32_t turn; /* partition asked next */
    uint32_t owned_count;
    struct generate_partition partitions[];
};

/* ---- configuration ----------------------------------------------------------------------------------------------- */

static tg_status read_share(const struct tg_options *options, const char *source_name, const char *name, uint32_t *ppm,
                            struct tg_error *err)
{
    const int64_t value = tg_option_number(options, name);
    if (value < 0 || value > MILLION) {
        return tg_fail(err, TG1004, 0, "sources.%s.generate.%s must be between 0 and 1", source_name, name);
    }
    *ppm = (uint32_t)value;
    return TG_OK;
}

static tg_status read_count(const struct tg_options *options, const char *source_name, const char *name, uint32_t max,
                            uint32_t *value, struct tg_error *err)
{
    const int64_t number = tg_option_number(options, name);
    if (number < 1 || number > max) {
        return tg_fail(err, TG1004, 0, "sources.%s.generate.%s must be between 1 and %u", source_name, name, max);
    }
    *value = (uint32_t)number;
    return TG_OK;
}

static tg_status read_start(const struct tg_options *options, const char *source_name, tg_ts now, tg_ts *start,
                            struct tg_error *err)
{
    const char *text = tg_option_text(options, "start_time");
    *start = now;
    if (text == NULL || strcmp(text, "now") == 0) { return TG_OK; }
    if (!tg_ts_parse(text, (uint32_t)strlen(text), NULL, start, NULL)) {
        return tg_fail(err, TG1004, 0, "sources.%s.generate.start_time is neither now nor an RFC 3339 instant: %s",
                       source_name, text);
    }
    return TG_OK;
}

/* The generator's configuration, all values checked against each other. `now` is the wall clock. */
static tg_status read_config(const struct tg_options *options, const char *source_name, tg_ts now,
                             struct tg_generate_config *config, struct tg_error *err)
{
    *config = (struct tg_generate_config){.kind = (enum tg_generate_kind)tg_option_number(options, "kind")};
    tg_status status = read_count(options, source_name, "partitions", TG_PARTITIONS_MAX, &config->partitions, err);
    if (status == TG_OK) { status = read_count(options, source_name, "keys", UINT32_MAX, &config->keys, err); }
    if (status == TG_OK) { status = read_share(options, source_name, "late", &config->late_ppm, err); }
    if (status == TG_OK) { status = read_share(options, source_name, "malformed", &config->malformed_ppm, err); }
    if (status == TG_OK) { status = read_share(options, source_name, "duplicate", &config->duplicate_ppm, err); }
    if (status == TG_OK) { status = read_start(options, source_name, now, &config->start, err); }
    if (status != TG_OK) { return status; }

    const struct tg_option_value *count = tg_option(options, "count");
    const bool is_bench = config->kind != TG_GENERATE_TX;
    config->seed = (uint64_t)tg_option_number(options, "seed");
    config->count = count->is_set ? (uint64_t)count->number : (is_bench ? BENCH_COUNT : 0);
    config->rate = (uint64_t)tg_option_number(options, "rate");
    config->ids = tg_option(options, "ids")->is_set ? tg_option_number(options, "ids") != 0 : config->duplicate_ppm > 0;
    config->skew = (double)tg_option_number(options, "skew") / MILLION;
    config->disorder = tg_option_number(options, "disorder");
    config->span = tg_option(options, "span")->is_set ? tg_option_number(options, "span") : BENCH_SPAN_US;
    config->jitter = tg_option(options, "jitter")->is_set ? tg_option_number(options, "jitter") : BENCH_JITTER_US;
    if ((count->is_set && count->number < 1) || config->skew < 0 || config->disorder < 0 || config->span < 0 ||
        config->jitter < 0 || config->jitter >= UINT32_MAX) {
        return tg_fail(err, TG1004, 0,
                       "sources.%s.generate: count must be at least 1, skew, disorder and span not "
                       "negative, jitter below 71 minutes",
                       source_name);
    }
    if (!is_bench && config->keys < config->partitions) {
        return tg_fail(err, TG1004, 0, "sources.%s.generate: %u keys cannot fill %u partitions, a user lives in one",
                       source_name, config->keys, config->partitions);
    }
    if ((uint64_t)config->late_ppm + config->malformed_ppm + config->duplicate_ppm > MILLION) {
        return tg_fail(err, TG1004, 0, "sources.%s.generate: late, malformed and duplicate add up to more than 1",
                       source_name);
    }
    return TG_OK;
}

static tg_status discover(const struct tg_options *options, const char *source_name, uint64_t deadline_ns,
                          uint32_t *partition_count, struct tg_error *err)
{
    (void)deadline_ns; /* there is nobody to wait for */
    struct tg_generate_config config;
    const tg_status status = read_config(options, source_name, 0, &config, err);
    if (status == TG_OK) { *partition_count = config.partitions; }
    return status;
}

/* A counted run may have become shorter than what was made of it. */
static tg_status identify(const struct tg_options *options, const char *source_name, uint64_t deadline_ns,
                          struct tg_source_log *log, struct tg_error *err)
{
    (void)deadline_ns;
    struct tg_generate_config config;
    const tg_status status = read_config(options, source_name, 0, &config, err);
    for (uint32_t i = 0; status == TG_OK && i < log->partition_count && config.kind == TG_GENERATE_TX; i++) {
        struct tg_generator generator;
        tg_generator_init(&generator, &config, i);
        log->begin[i] = 0;
        log->end[i] = tg_generator_left(&generator); /* -1 = endless */
        log->ends_there = config.count != 0;
    }
    return status;
}

static size_t state_bytes(const struct tg_options *options, uint32_t owned_count)
{
    (void)options;
    return sizeof(struct generate_source) + owned_count * sizeof(struct generate_partition);
}

/* Each partition before its first record; `start` is when the earliest of them is due, TG_TS_MAX = never. */
static void stand(struct generate_source *source, const struct tg_generate_config *config)
{
    source->start = TG_TS_MAX;
    for (uint32_t i = 0; i < source->owned_count; i++) {
        struct generate_partition *partition = &source->partitions[i];
        tg_generator_init(&partition->generator, config, source->env.partitions[i]);
        if (source->seeks && source->env.positions[i] > 0) {
            partition->offset = source->env.positions[i];
            tg_generator_seek(&partition->generator, (uint64_t)partition->offset);
        }
        const tg_ts due = tg_generator_due(&partition->generator);
        source->start = due < source->start ? due : source->start;
    }
}

static tg_status open_source(void *state, const struct tg_source_env *env, struct tg_error *err)
{
    struct generate_source *source = state;
    TG_ASSERT(env->poll_count_max >= 1 && env->poll_count_max <= TG_BATCH_ROWS_MAX);
    source->env = *env;
    const tg_ts now = tg_clock_wall_us(&env->clock);
    struct tg_generate_config config;
    const tg_status status = read_config(env->options, env->source_name, now, &config, err);
    if (status != TG_OK) { return status; }
    TG_ASSERT(config.partitions == env->partition_count);
    if (!tg_option(env->options, "seed")->is_set) { config.seed = env->seed; }
    if (env->bounded && config.count == 0) {
        return tg_fail(err, TG1004, 0,
                       "source %s is endless and the run is to end with its input: set "
                       "sources.%s.generate.count",
                       env->source_name, env->source_name);
    }
    const struct tg_option_value *rate = tg_option(env->options, "rate");
    if (!rate->is_set && config.count == 0) { config.rate = LIVE_RATE; }
    source->paced = config.rate != 0;
    source->opened_ns = tg_clock_now_ns(&env->clock);
    source->fill.pool = env->buffers;
    source->owned_count = env->owned_count;
    source->seeks = env->positions != NULL && config.kind == TG_GENERATE_TX;
    stand(source, &config);
    const char *start = tg_option_text(env->options, "start_time");
    if (source->seeks && source->start != TG_TS_MAX && (start == NULL || strcmp(start, "now") == 0)) {
        config.start -= source->start - now; /* the present is where the records are, not where they began */
        stand(source, &config);
    }
    if (!source->seeks || source->start == TG_TS_MAX) { source->start = config.start; }
    return TG_OK;
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

/* The schedule's present: records due up to here may go out. */
static tg_ts due_now(const struct generate_source *source, uint64_t now_ns)
{
    return source->paced ? source->start + (tg_us)((now_ns - source->opened_ns) / 1000) : TG_TS_MAX - 1;
}

/* Append due records of one partition until the batch or the buffer is full. */
static void fill_batch(struct generate_source *source, struct generate_partition *partition, tg_ts until,
                       struct tg_raw_batch *out)
{
    char text[TG_GENERATE_BYTES_MAX];
    while (out->count < source->env.poll_count_max && tg_generator_due(&partition->generator) <= until &&
           tg_fill_room(&source->fill) >= TG_GENERATE_BYTES_MAX) {
        struct tg_generated made;
        if (!tg_generator_next(&partition->generator, text, &made)) { break; }
        out->slices[out->count++] = (struct tg_slice){
            .value = tg_fill_append(&source->fill, text, made.bytes),
            .offset = partition->offset++,
            .record_us = made.due,
            .value_bytes = made.bytes,
        };
    }
}

/* News of one partition: records, or the first time that there is nothing more. */
static uint32_t poll_partition(struct generate_source *source, uint32_t index, struct tg_raw_batch *out,
                               uint64_t now_ns)
{
    struct generate_partition *partition = &source->partitions[index];
    if (partition->said_ended) { return 0; }
    const tg_ts until = due_now(source, now_ns);
    const tg_ts due = tg_generator_due(&partition->generator);
    if (due <= until) {
        if (!tg_fill_begin(&source->fill, TG_GENERATE_BYTES_MAX)) { return 0; }
        fill_batch(source, partition, until, out);
        partition->said_at_end = false;
    }
    if (tg_generator_due(&partition->generator) == TG_TS_MAX) {
        out->flags |= TG_RAW_AT_END | TG_RAW_ENDED;
        partition->said_ended = true;
    } else if (tg_generator_due(&partition->generator) > until && !partition->said_at_end) {
        out->flags |= TG_RAW_AT_END;
        partition->said_at_end = true;
    }
    return out->count > 0 || out->flags != 0;
}

static uint32_t poll_source(void *state, struct tg_raw_batch *out, uint64_t now_ns)
{
    struct generate_source *source = state;
    out->count = 0;
    out->flags = 0;
    out->buffer = NULL;
    out->arrived_ns = now_ns;
    for (uint32_t i = 0; i < source->owned_count; i++) {
        const uint32_t index = source->turn;
        source->turn = index + 1 == source->owned_count ? 0 : index + 1;
        if (poll_partition(source, index, out, now_ns) != 0) {
            out->partition = source->env.partitions[index];
            if (out->count > 0) { out->buffer = tg_fill_lend(&source->fill); }
            return 1;
        }
    }
    return 0;
}

static tg_status failure(const void *state, struct tg_error *err)
{
    (void)state;
    (void)err;
    return TG_OK; /* nothing can go wrong after open */
}

static bool unread(void *state, uint32_t number)
{
    const struct generate_source *source = state;
    const tg_ts until = due_now(source, tg_clock_now_ns(&source->env.clock));
    for (uint32_t i = 0; i < source->owned_count; i++) {
        if (source->env.partitions[i] == number) { return tg_generator_due(&source->partitions[i].generator) <= until; }
    }
    return false;
}

/* Paced: what is due and was not taken. Otherwise what is left of a counted run. */
static int64_t lag(const void *state)
{
    const struct generate_source *source = state;
    int64_t sum = 0;
    const tg_ts until = due_now(source, tg_clock_now_ns(&source->env.clock));
    for (uint32_t i = 0; i < source->owned_count; i++) {
        const struct tg_generator *generator = &source->partitions[i].generator;
        const int64_t left = tg_generator_left(generator);
        if (!source->paced) {
            if (left < 0) { return -1; }
            sum += left;
            continue;
        }
        const tg_ts due = tg_generator_due(generator);
        if (due > until) { continue; }
        const struct tg_generate_config *config = &generator->config;
        const double behind = (double)(until - due) * (double)config->rate / MILLION / config->partitions;
        const int64_t count = 1 + (int64_t)behind;
        sum += left >= 0 && left < count ? left : count;
    }
    return sum;
}

/* Made-up records have no upstream that could remember anything. */
static void commit(void *state, uint32_t partition, int64_t offset)
{
    (void)state;
    (void)partition;
    (void)offset;
}

static void close_source(void *state)
{
    struct generate_source *source = state;
    tg_fill_close(&source->fill);
}

const struct tg_source_ops tg_generate_source = {
    .name = "generate",
    .options = options_table,
    .option_count = sizeof options_table / sizeof options_table[0],
    .offsets_count_records = true,
    .discover = discover,
    .identify = identify,
    .state_bytes = state_bytes,
    .open = open_source,
    .poll = poll_source,
    .failure = failure,
    .unread = unread,
    .lag = lag,
    .commit = commit,
    .close = close_source,
};
