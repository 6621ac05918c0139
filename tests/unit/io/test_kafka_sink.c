/* The Kafka sink against librdkafka's mock cluster: every row arrives, in any weather; keys, flushes, codes. */
#include "base/prng.h"
#include "tests/kafka_kit.h"
#include "tests/seed.h"

#define TOPIC "rows"

enum { ROWS = 256, API_PRODUCE = 0 };

struct kit_sink {
    struct tg_test_options options;
    struct tg_schema schema;
    struct tg_sink_env env;
    struct tg_arena arena;
    struct tg_batch *batch;
    struct tg_histogram *latency;
    void *state;
    uint64_t pushed;
};

#define SINK_OPTIONS(sink, ...) \
    tg_test_options(&(sink)->options, tg_kafka_sink.options, tg_kafka_sink.option_count, __VA_ARGS__, NULL)

static const uint32_t key_columns[] = {0};

static void sink_open(struct kit_sink *sink, uint32_t key_count)
{
    struct tg_error err = {0};
    sink->schema = (struct tg_schema){.name = "rows", .column_count = 2};
    sink->schema.columns[0] = (struct tg_column){.name = "user", .type = TG_TYPE_TEXT};
    sink->schema.columns[1] = (struct tg_column){.name = "n", .type = TG_TYPE_BIGINT};
    tg_schema_layout(&sink->schema);
    const struct tg_batch_config batch = {
        .schema = &sink->schema, .capacity = ROWS, .wm_capacity = 1, .has_blob = true};
    cr_assert_eq(tg_arena_open(&sink->arena, tg_batch_bytes(&batch) + (64u << 20), &err), TG_OK, "%s", err.text);
    sink->batch = tg_batch_create(&batch, &sink->arena);
    sink->latency = tg_arena_alloc(&sink->arena, sizeof *sink->latency, 64);
    sink->env = (struct tg_sink_env){.job_name = "test", .sink_name = "out", .options = &sink->options.options,
                                     .schema = &sink->schema, .key_columns = key_columns, .key_count = key_count,
                                     .with_revision = true, .shard_count = 1, .latency = sink->latency,
                                     .arena = &sink->arena, .clock = tg_clock_real()};
    sink->state = calloc(1, tg_kafka_sink.state_bytes(&sink->env));
    cr_assert_eq(tg_kafka_sink.open(sink->state, &sink->env, &err), TG_OK, "%s", err.text);
}

static void sink_close(struct kit_sink *sink)
{
    tg_kafka_sink.close(sink->state);
    free(sink->state);
    tg_arena_close(&sink->arena);
}

/* Rows user "u<n mod 10>", n, revision n; final when n is odd. Polls while the sink pushes back, up to `seconds`. */
static bool push_rows(struct kit_sink *sink, uint64_t count, uint32_t seconds)
{
    const uint64_t until = kit_now_ns() + (uint64_t)seconds * 1000000000u;
    while (count > 0) {
        tg_batch_reset(sink->batch);
        sink->batch->arrived_ns = kit_now_ns();
        const uint32_t rows = count < ROWS ? (uint32_t)count : ROWS;
        char users[ROWS][8];
        for (uint32_t i = 0; i < rows; i++) {
            const uint64_t n = sink->pushed + i;
            struct tg_row *row = tg_batch_row(sink->batch, i);
            memset(row, 0, sink->schema.row_bytes);
            row->revision = (int64_t)n;
            row->flags = (n & 1) != 0 ? TG_ROW_FINAL : 0;
            (void)snprintf(users[i], sizeof users[i], "u%u", (unsigned)(n % 10));
            *(tg_text *)tg_row_value(&sink->schema, row, 0) = (tg_text){.data = users[i], .bytes = 2};
            *(int64_t *)tg_row_value(&sink->schema, row, 1) = (int64_t)n;
        }
        sink->batch->count = rows;
        for (uint32_t from = 0; from < rows;) {
            const uint32_t taken = tg_kafka_sink.push(sink->state, sink->batch, from);
            from += taken;
            (void)tg_kafka_sink.poll(sink->state, kit_now_ns());
            if (tg_kafka_sink.failure(sink->state, NULL) != TG_OK || kit_now_ns() > until) {
                sink->pushed += from;
                return false;
            }
            if (taken == 0) { kit_pause_us(500); }
        }
        sink->pushed += rows;
        count -= rows;
    }
    return true;
}

static bool flush_rows(struct kit_sink *sink, uint32_t seconds)
{
    const uint64_t until = kit_now_ns() + (uint64_t)seconds * 1000000000u;
    tg_kafka_sink.flush(sink->state);
    while (!tg_kafka_sink.flushed(sink->state) && kit_now_ns() < until) {
        if (tg_kafka_sink.failure(sink->state, NULL) != TG_OK) { return false; }
        (void)tg_kafka_sink.poll(sink->state, kit_now_ns());
        kit_pause_us(500);
    }
    return tg_kafka_sink.flushed(sink->state);
}

/* Read the whole topic back with a plain consumer: seen[n] = how often row n is there; checks key and value. */
static void read_back(const char *brokers, int partitions, uint64_t count, uint32_t *seen, bool keyed)
{
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    cr_assert_eq(rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof text), RD_KAFKA_CONF_OK);
    cr_assert_eq(rd_kafka_conf_set(conf, "group.id", "read_back", text, sizeof text), RD_KAFKA_CONF_OK);
    cr_assert_eq(rd_kafka_conf_set(conf, "enable.partition.eof", "true", text, sizeof text), RD_KAFKA_CONF_OK);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    cr_assert_not_null(rk);
    (void)rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int32_t p = 0; p < partitions; p++) { rd_kafka_topic_partition_list_add(list, TOPIC, p)->offset = 0; }
    (void)rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    int ends = 0;
    const uint64_t until = kit_now_ns() + 20000000000u;
    while (ends < partitions && kit_now_ns() < until) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 100);
        if (message == NULL) { continue; }
        ends += message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            unsigned long long user = 0, n = 0, revision = 0;
            char final[8] = "", expected[128];
            (void)snprintf(text, sizeof text, "%.*s", (int)message->len, (const char *)message->payload);
            cr_assert_eq(sscanf(text, "{\"user\":\"u%llu\",\"n\":%llu,\"_revision\":%llu,\"_final\":%5[a-z]}", &user,
                                &n, &revision, final),
                         4, "%s", text);
            cr_assert(n < count && revision == n && user == n % 10 &&
                      strcmp(final, (n & 1) != 0 ? "true" : "false") == 0);
            (void)snprintf(expected, sizeof expected, "{\"user\":\"u%llu\"}", user);
            cr_assert_eq(message->key_len, keyed ? strlen(expected) : 0);
            if (keyed) { cr_assert_arr_eq(message->key, expected, message->key_len); }
            seen[n]++;
        }
        rd_kafka_message_destroy(message);
    }
    cr_assert_eq(ends, partitions);
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void expect_rows(const char *brokers, int partitions, uint64_t count, bool keyed, uint32_t most)
{
    uint32_t *seen = calloc(count, sizeof *seen);
    read_back(brokers, partitions, count, seen, keyed);
    for (uint64_t n = 0; n < count; n++) {
        cr_assert(seen[n] >= 1 && seen[n] <= most, "row %lu is there %u times", (unsigned long)n, seen[n]);
    }
    free(seen);
}

Test(kafka_sink, every_row_arrives_once_with_its_key)
{
    for (uint32_t keyed = 0; keyed < 2; keyed++) {
        struct kit_mock mock;
        kit_mock_open(&mock, 1, TOPIC, 3);
        struct kit_sink sink = {0};
        struct tg_sink_stats stats;
        SINK_OPTIONS(&sink, "brokers", mock.brokers, "topic", TOPIC);
        sink_open(&sink, keyed);
        cr_assert(push_rows(&sink, 20000, 20));
        cr_assert(flush_rows(&sink, 20));
        tg_kafka_sink.stats(sink.state, &stats);
        cr_assert_eq(stats.rows_taken, 20000);
        cr_assert_eq(stats.rows_written, 20000);
        cr_assert_eq(stats.pending, 0);
        cr_assert_eq(tg_histogram_count(sink.latency), 20000, "one latency for each row");
        expect_rows(mock.brokers, 3, 20000, keyed == 1, 1);
        sink_close(&sink);
        kit_mock_close(&mock);
    }
}

Test(kafka_sink, a_flush_waits_for_the_rows_before_it_and_no_others)
{
    struct kit_mock mock;
    kit_mock_open(&mock, 1, TOPIC, 1);
    struct kit_sink sink = {0};
    SINK_OPTIONS(&sink, "brokers", mock.brokers, "topic", TOPIC);
    sink_open(&sink, 0);
    cr_assert(push_rows(&sink, 100, 10));
    tg_kafka_sink.flush(sink.state);
    cr_assert_not(tg_kafka_sink.flushed(sink.state), "nothing can be confirmed yet");
    cr_assert(flush_rows(&sink, 10));
    rd_kafka_mock_broker_set_down(mock.cluster, 1);
    cr_assert(push_rows(&sink, 50, 10));
    cr_assert(tg_kafka_sink.flushed(sink.state), "these came after the flush");
    tg_kafka_sink.flush(sink.state);
    (void)tg_kafka_sink.poll(sink.state, kit_now_ns());
    cr_assert_not(tg_kafka_sink.flushed(sink.state));
    rd_kafka_mock_broker_set_up(mock.cluster, 1);
    cr_assert(flush_rows(&sink, 30));
    expect_rows(mock.brokers, 1, 150, false, 1);
    sink_close(&sink);
    kit_mock_close(&mock);
}

Test(kafka_sink, a_broker_that_is_away_is_back_pressure_and_loses_nothing, .timeout = 90)
{
    struct kit_mock mock;
    kit_mock_open(&mock, 1, TOPIC, 2);
    struct kit_sink sink = {0};
    struct tg_sink_stats stats;
    struct tg_error err = {0};
    SINK_OPTIONS(&sink, "brokers", mock.brokers, "topic", TOPIC, "queue_bytes", "64KiB");
    sink_open(&sink, 1);
    cr_assert(push_rows(&sink, 1000, 10));
    rd_kafka_mock_broker_set_down(mock.cluster, 1);
    cr_assert_not(push_rows(&sink, 20000, 2), "64 KiB cannot take all these");
    cr_assert_eq(tg_kafka_sink.failure(sink.state, &err), TG_OK, "%s", err.text);
    tg_kafka_sink.stats(sink.state, &stats);
    cr_assert_eq(stats.rows_taken, sink.pushed);
    cr_assert_gt(stats.pending, 100);
    rd_kafka_mock_broker_set_up(mock.cluster, 1);
    cr_assert(push_rows(&sink, 10000, 30));
    cr_assert(flush_rows(&sink, 30));
    expect_rows(mock.brokers, 2, sink.pushed, true, 1);
    sink_close(&sink);
    kit_mock_close(&mock);
}

Test(kafka_sink, errors_that_pass_are_retried_without_doubles, .timeout = 60)
{
    struct kit_mock mock;
    kit_mock_open(&mock, 1, TOPIC, 1);
    struct kit_sink sink = {0};
    SINK_OPTIONS(&sink, "brokers", mock.brokers, "topic", TOPIC);
    sink_open(&sink, 0);
    rd_kafka_mock_push_request_errors(mock.cluster, API_PRODUCE, 4, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    cr_assert(push_rows(&sink, 5000, 20));
    cr_assert(flush_rows(&sink, 40));
    expect_rows(mock.brokers, 1, 5000, false, 1);
    sink_close(&sink);
    kit_mock_close(&mock);
}

/* A gap in the sequence numbers kills an idempotent producer for good. */
Test(kafka_sink, a_dead_producer_is_replaced_and_its_rows_are_sent_again, .timeout = 60)
{
    struct kit_mock mock;
    kit_mock_open(&mock, 1, TOPIC, 1);
    struct kit_sink sink = {0};
    struct tg_sink_stats stats;
    struct tg_error err = {0};
    SINK_OPTIONS(&sink, "brokers", mock.brokers, "topic", TOPIC);
    sink_open(&sink, 0);
    cr_assert(push_rows(&sink, 1000, 20));
    cr_assert(flush_rows(&sink, 20));
    rd_kafka_mock_push_request_errors(mock.cluster, API_PRODUCE, 1, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    cr_assert(push_rows(&sink, 1000, 20), "%s", (tg_kafka_sink.failure(sink.state, &err), err.text));
    cr_assert(flush_rows(&sink, 40), "%s", (tg_kafka_sink.failure(sink.state, &err), err.text));
    tg_kafka_sink.stats(sink.state, &stats);
    cr_assert_eq(stats.rows_written, 2000);
    expect_rows(mock.brokers, 1, 2000, false, 2);
    sink_close(&sink);
    kit_mock_close(&mock);
}

Test(kafka_sink, a_topic_that_may_not_be_written_ends_the_job_by_name, .timeout = 60)
{
    struct kit_mock mock;
    kit_mock_open(&mock, 1, TOPIC, 1);
    struct kit_sink sink = {0};
    struct tg_error err = {0};
    SINK_OPTIONS(&sink, "brokers", mock.brokers, "topic", TOPIC);
    sink_open(&sink, 0);
    rd_kafka_mock_push_request_errors(mock.cluster, API_PRODUCE, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    (void)push_rows(&sink, 10, 5);
    cr_assert_not(flush_rows(&sink, 10));
    cr_assert_eq(tg_kafka_sink.failure(sink.state, &err), TG_ERR_UNAVAILABLE);
    cr_assert_eq(err.code, TG1206, "%s", err.text);
    cr_assert_not_null(strstr(err.text, TOPIC));
    sink_close(&sink);
    kit_mock_close(&mock);
}

Test(kafka_sink, check_finds_the_topic_or_says_what_is_missing)
{
    struct kit_mock mock;
    struct kit_sink sink = {0};
    struct tg_error err = {0};
    kit_mock_open(&mock, 1, TOPIC, 1);
    struct tg_sink_env env = {.job_name = "test", .sink_name = "out", .options = &sink.options.options,
                              .clock = tg_clock_real()};
    SINK_OPTIONS(&sink, "brokers", mock.brokers, "topic", TOPIC);
    cr_assert_eq(tg_kafka_sink.check(&env, tg_clock_now_ns(&env.clock) + 10000000000, &err), TG_OK, "%s", err.text);
    rd_kafka_mock_topic_set_error(mock.cluster, "row", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    SINK_OPTIONS(&sink, "brokers", mock.brokers, "topic", "row");
    cr_assert_eq(tg_kafka_sink.check(&env, tg_clock_now_ns(&env.clock) + 10000000000, &err), TG_ERR_UNAVAILABLE);
    cr_assert_eq(err.code, TG1203, "%s", err.text);
    cr_assert_not_null(strstr(err.text, "nearest: \"rows\""), "%s", err.text);
    err = (struct tg_error){0};
    SINK_OPTIONS(&sink, "topic", TOPIC);
    cr_assert_eq(tg_kafka_sink.check(&env, 0, &err), TG_ERR_CONFIG);
    cr_assert_eq(err.code, TG1003);
    kit_mock_close(&mock);
}
