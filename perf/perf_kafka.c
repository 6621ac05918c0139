/* Kafka source against a bare librdkafka consumer (callback queue, count and drop) on the same topic, in turn, in
 * pairs. TURGO_KAFKA=host:port perf_kafka TOPIC [--pairs N] [--shards N] [option=value ...] Options after that are the
 * source's own (fetch_bytes=1048576, queue_bytes=67108864, check_crcs=0). Without TURGO_KAFKA there is nothing to
 * measure: says so and ends with 0. */
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "io/connectors.h"

enum { SHARDS_MAX = 16, OPTIONS_MAX = 32, BUFFERS = 16, PAIRS_MAX = 100 };

struct result {
    uint64_t records;
    uint64_t bytes;
    double seconds; /* first record to last */
    double total_seconds; /* with connecting, asking for positions and closing */
    double cpu_seconds;
};

static const char *brokers;
static const char *topic;
static uint32_t partition_count;
static struct tg_option_value values[OPTIONS_MAX];
static struct tg_options options = {.values = values};
static struct tg_helper *helper;

static double now_s(void)
{
    const struct tg_clock clock = tg_clock_real();
    return (double)tg_clock_now_ns(&clock) / 1e9;
}

static double cpu_s(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

_Noreturn static void die(const char *what)
{
    (void)fprintf(stderr, "perf_kafka: %s\n", what);
    exit(1);
}

/* ---- the source -------------------------------------------------------------------------------------------------- */

struct shard {
    uint32_t index;
    uint32_t count;
    uint64_t records;
    uint64_t bytes;
    double first_s;
    double last_s;
    bool idle_sleeps;
};

static uint64_t take(const struct tg_raw_batch *batch)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < batch->count; i++) { bytes += batch->slices[i].value_bytes; }
    if (batch->buffer != NULL) { tg_buffer_release(batch->buffer); }
    return bytes;
}

static void *shard_main(void *argument)
{
    struct shard *shard = argument;
    static _Thread_local struct tg_raw_batch batch;
    struct tg_error err = {0};
    struct tg_arena arena;
    struct tg_buffer_pool pool;
    const struct tg_buffer_pool_config config = {
        .standard_count = BUFFERS, .standard_bytes = 512 << 10, .large_count = 1};
    uint32_t owned[TG_PARTITIONS_MAX];
    struct tg_source_env env = {.job_name = "perf_kafka",
                                .source_name = "in",
                                .options = &options,
                                .shard = shard->index,
                                .shard_count = shard->count,
                                .partition_count = partition_count,
                                .partitions = owned,
                                .bounded = true,
                                .fresh = true,
                                .poll_count_max = TG_BATCH_ROWS_MAX,
                                .buffers = &pool,
                                .helper = helper,
                                .clock = tg_clock_real()};
    for (uint32_t p = shard->index; p < partition_count; p += shard->count) { owned[env.owned_count++] = p; }
    if (tg_arena_open(&arena, tg_buffer_pool_bytes(&config) + 4096, &err) != TG_OK ||
        tg_buffer_pool_init(&pool, &config, &arena, &err) != TG_OK) {
        die(err.text);
    }
    void *state = calloc(1, tg_kafka_source.state_bytes(&options, env.owned_count));
    if (tg_kafka_source.open(state, &env, &err) != TG_OK) { die(err.text); }
    uint32_t ended = 0;
    while (ended < env.owned_count) {
        (void)tg_helper_poll(helper, shard->index);
        if (tg_kafka_source.poll(state, &batch, tg_clock_now_ns(&env.clock)) == 0) {
            if (tg_kafka_source.failure(state, &err) != TG_OK) { die(err.text); }
            const struct timespec pause = {.tv_nsec = 50000};
            if (shard->idle_sleeps) { (void)nanosleep(&pause, NULL); }
            continue;
        }
        if (shard->first_s == 0) { shard->first_s = now_s(); }
        shard->records += batch.count;
        shard->bytes += take(&batch);
        ended += (batch.flags & TG_RAW_ENDED) != 0;
    }
    shard->last_s = now_s();
    tg_kafka_source.close(state);
    free(state);
    tg_arena_close(&arena);
    return NULL;
}

static struct result run_source(uint32_t shard_count)
{
    struct shard shards[SHARDS_MAX] = {0};
    pthread_t threads[SHARDS_MAX];
    struct result result = {0};
    const double cpu = cpu_s();
    const double begin = now_s();
    for (uint32_t i = 0; i < shard_count; i++) {
        shards[i] = (struct shard){.index = i, .count = shard_count, .idle_sleeps = true};
        if (pthread_create(&threads[i], NULL, shard_main, &shards[i]) != 0) { die("pthread_create"); }
    }
    double first = 0;
    double last = 0;
    for (uint32_t i = 0; i < shard_count; i++) {
        (void)pthread_join(threads[i], NULL);
        result.records += shards[i].records;
        result.bytes += shards[i].bytes;
        if (first == 0 || (shards[i].first_s > 0 && shards[i].first_s < first)) { first = shards[i].first_s; }
        if (shards[i].last_s > last) { last = shards[i].last_s; }
    }
    result.seconds = last - first;
    result.total_seconds = now_s() - begin;
    result.cpu_seconds = cpu_s() - cpu;
    return result;
}

/* ---- the rival --------------------------------------------------------------------------------------------------- */

struct drain {
    uint64_t records;
    uint64_t bytes;
    uint32_t ends;
};

static void drain_one(rd_kafka_message_t *message, void *opaque)
{
    struct drain *drain = opaque;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        drain->ends += message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        return;
    }
    drain->records++;
    drain->bytes += message->len;
}

static struct result run_drain(void)
{
    static const char *const settings[][2] = {
        {"group.id", "drain"}, {"enable.auto.commit", "false"}, {"enable.partition.eof", "true"},
        {"queued.min.messages", "1000000"}, {"queued.max.messages.kbytes", "1048576"},
        {"fetch.message.max.bytes", "1048576"}, {"fetch.wait.max.ms", "10"}};
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (uint32_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text) != RD_KAFKA_CONF_OK) {
            die(text);
        }
    }
    if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof text) != RD_KAFKA_CONF_OK) { die(text); }
    const double cpu = cpu_s();
    const double begin = now_s();
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (rk == NULL) { die(text); }
    (void)rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)partition_count);
    for (uint32_t p = 0; p < partition_count; p++) {
        rd_kafka_topic_partition_list_add(list, topic, (int32_t)p)->offset = 0;
    }
    (void)rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
    struct drain drain = {0};
    double first = 0;
    while (drain.ends < partition_count) {
        (void)rd_kafka_consume_callback_queue(queue, 100, drain_one, &drain);
        if (first == 0 && drain.records > 0) { first = now_s(); }
    }
    const double last = now_s();
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return (struct result){drain.records, drain.bytes, last - first, now_s() - begin, cpu_s() - cpu};
}

static double print(const char *name, struct result result)
{
    const double rate = (double)result.records / result.seconds / 1e6;
    (void)printf("%-8s %9llu records  %6.2f s (%5.2f in all)  %6.3f M/s  %6.0f MB/s  %5.3f us CPU/record\n", name,
                 (unsigned long long)result.records, result.seconds, result.total_seconds, rate,
                 (double)result.bytes / result.seconds / 1e6, result.cpu_seconds / (double)result.records * 1e6);
    (void)fflush(stdout);
    return rate;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

static void option_set(const char *name, const char *text)
{
    for (uint32_t i = 0; i < options.count; i++) {
        if (strcmp(options.table[i].name, name) != 0) { continue; }
        static const char *entries[OPTIONS_MAX];
        entries[i] = text;
        values[i] = (struct tg_option_value){.is_set = true, .text = text, .number = strtoll(text, NULL, 0), .count = 1,
                                             .texts = &entries[i], .origin = "command line"};
        return;
    }
    die(name);
}

static void options_init(void)
{
    options.table = tg_kafka_source.options;
    options.count = tg_kafka_source.option_count;
    option_set("brokers", brokers);
    option_set("topic", topic);
    option_set("check_crcs", "0"); /* as the rival */
    option_set("fetch_bytes", "1048576");
    option_set("queue_bytes", "67108864");
}

int main(int argc, char **argv)
{
    uint32_t pairs = 3;
    uint32_t shards = 1;
    brokers = getenv("TURGO_KAFKA");
    if (brokers == NULL || argc < 2 || strcmp(argv[1], "--smoke") == 0) {
        (void)printf("perf_kafka: skipped, needs TURGO_KAFKA=host:port and a topic\n");
        return 0;
    }
    topic = argv[1];
    options_init();
    for (int i = 2; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (strcmp(argv[i], "--pairs") == 0 && i + 1 < argc) {
            pairs = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--shards") == 0 && i + 1 < argc) {
            shards = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else if (equals != NULL) {
            *equals = '\0';
            option_set(argv[i], equals + 1);
        } else {
            die("TOPIC [--pairs N] [--shards N] [option=value ...]");
        }
    }
    struct tg_error err = {0};
    if (shards < 1 || shards > SHARDS_MAX || pairs < 1 || pairs > PAIRS_MAX) {
        die("--shards: 1 to 16, --pairs: 1 to 100");
    }
    const struct tg_clock clock = tg_clock_real();
    const uint64_t deadline_ns = tg_clock_now_ns(&clock) + 10000000000u;
    if (tg_kafka_source.discover(&options, "in", deadline_ns, &partition_count, &err) != TG_OK) { die(err.text); }
    if (tg_helper_create(&helper, shards, NULL, NULL, &err) != TG_OK || tg_helper_start(helper, &err) != TG_OK) {
        die(err.text);
    }
    double ratios[PAIRS_MAX];
    for (uint32_t i = 0; i < pairs; i++) {
        const double rival = print("drain", run_drain());
        const double ours = print("source", run_source(shards));
        ratios[i] = ours / rival;
        (void)printf("         ratio %.2f\n", ratios[i]);
    }
    qsort(ratios, pairs, sizeof ratios[0], by_value);
    (void)printf("ratio of rates: median %.2f (%.2f to %.2f) over %u pairs, %u shard(s), %u partitions\n",
                 ratios[pairs / 2], ratios[0], ratios[pairs - 1], pairs, shards, partition_count);
    tg_helper_destroy(helper);
    return 0;
}
