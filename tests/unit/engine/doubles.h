/* Connectors and operators that exist only in the tests of the job loader: the option tables are the loader's whole
 * view of a connector, and these do not change when a real connector gets another option. Include in one file per
 * executable. */
#ifndef TG_TESTS_UNIT_ENGINE_DOUBLES_H
#define TG_TESTS_UNIT_ENGINE_DOUBLES_H

#include "engine/job.h"
#include "io/connectors.h"

#define TG_COUNT_OF(list) (sizeof(list) / sizeof(list)[0])

static const struct tg_option double_kafka_source_options[] = {
    {"topic", TG_OPTION_TEXT, true, NULL, NULL, "Topic to read."},
    {"brokers", TG_OPTION_TEXT, false, "localhost:9092", NULL, "Brokers to start from."},
    {"start", TG_OPTION_CHOICE, false, "committed", "earliest|latest|horizon|committed", "Where to start."},
    {"password", TG_OPTION_SECRET, false, NULL, NULL, "SASL password."},
    {"client", TG_OPTION_MAP, false, NULL, NULL, "Client settings handed through."},
};
static const struct tg_option double_file_source_options[] = {
    {"path", TG_OPTION_TEXT, true, NULL, NULL, "Folder of p0.jsonl, p1.jsonl, ..."},
};
static const struct tg_option double_generate_options[] = {
    {"kind", TG_OPTION_CHOICE, true, NULL, "tx|click", "What to make."},
    {"rate", TG_OPTION_RATE, false, "1k/s", NULL, "Records per second."},
    {"keys", TG_OPTION_INTEGER, false, "100", NULL, "Different keys."},
    {"skew", TG_OPTION_NUMBER, false, "0", NULL, "Zipf exponent of the keys."},
    {"late", TG_OPTION_NUMBER, false, "0", NULL, "Share of late records."},
    {"malformed", TG_OPTION_NUMBER, false, "0", NULL, "Share of malformed records."},
    {"skew", TG_OPTION_TEXT, false, "0", NULL, "Zipf exponent."},
};
static const struct tg_option double_cassandra_options[] = {
    {"table", TG_OPTION_TEXT, true, NULL, NULL, "keyspace.table"},
    {"hosts", TG_OPTION_LIST, false, "localhost:9042", NULL, "Nodes to start from."},
    {"password", TG_OPTION_SECRET, false, NULL, NULL, "Password."},
    {"timeout", TG_OPTION_DURATION, false, "12s", NULL, "Of one request."},
    {"tls", TG_OPTION_BOOLEAN, false, "false", NULL, "Use TLS."},
};
static const struct tg_option double_kafka_sink_options[] = {
    {"topic", TG_OPTION_TEXT, true, NULL, NULL, "Topic to write."},
    {"brokers", TG_OPTION_TEXT, false, "localhost:9092", NULL, "Brokers to start from."},
};
static const struct tg_option double_sqlite_options[] = {
    {"path", TG_OPTION_TEXT, true, NULL, NULL, "Database file."},
    {"table", TG_OPTION_TEXT, true, NULL, NULL, "Table."},
};
static const struct tg_option double_file_sink_options[] = {
    {"path", TG_OPTION_TEXT, true, NULL, NULL, "File to write."},
    {"roll", TG_OPTION_SIZE, false, "128MiB", NULL, "Size of one file."},
};
static const struct tg_option double_null_options[] = {
    {"core_where_false", TG_OPTION_TEXT, false, NULL, NULL, "Boolean column."},
};

const struct tg_source_ops tg_kafka_source = {
    .name = "kafka", .options = double_kafka_source_options, .option_count = TG_COUNT_OF(double_kafka_source_options)};
const struct tg_source_ops tg_file_source = {
    .name = "file", .options = double_file_source_options, .option_count = TG_COUNT_OF(double_file_source_options)};
const struct tg_source_ops tg_generate_source = {
    .name = "generate", .options = double_generate_options, .option_count = TG_COUNT_OF(double_generate_options)};
const struct tg_sink_ops tg_cassandra_sink = {.name = "cassandra",
                                              .options = double_cassandra_options,
                                              .option_count = TG_COUNT_OF(double_cassandra_options),
                                              .keyed = true};
const struct tg_sink_ops tg_kafka_sink = {
    .name = "kafka", .options = double_kafka_sink_options, .option_count = TG_COUNT_OF(double_kafka_sink_options)};
const struct tg_sink_ops tg_sqlite_sink = {.name = "sqlite",
                                           .options = double_sqlite_options,
                                           .option_count = TG_COUNT_OF(double_sqlite_options),
                                           .keyed = true};
const struct tg_sink_ops tg_file_sink = {
    .name = "file", .options = double_file_sink_options, .option_count = TG_COUNT_OF(double_file_sink_options)};
const struct tg_sink_ops tg_console_sink = {.name = "console"};
const struct tg_sink_ops tg_null_sink = {
    .name = "null", .options = double_null_options, .option_count = TG_COUNT_OF(double_null_options)};

/* ---- operators ------------------------------------------------------------------------------------------------------
 */

#define DOUBLE_TX(F) F(timestamp, at)
#define DOUBLE_COUNT(F) F(integer, n) F(timestamp, at) F(boolean, timeout)
#define DOUBLE_RECENT(F) F(timestamp, latest)
#define DOUBLE_LIMITS(F) F(duration, window) F(duration, idle)
TG_RECORD(double_tx, DOUBLE_TX)
TG_RECORD(double_count, DOUBLE_COUNT)
TG_STATE(double_recent, DOUBLE_RECENT, 1)
TG_PARAMS(double_limits, DOUBLE_LIMITS)

static const char *double_check(const void *params, tg_us watermark_delay)
{
    const double_limits *limits = params;
    if (limits->window <= watermark_delay) { return "window must be longer than the watermark's delay"; }
    return NULL;
}

static tg_us double_horizon(const void *params, tg_us watermark_delay)
{
    return ((const double_limits *)params)->window + watermark_delay;
}

static const struct tg_record *const double_outputs[] = {&double_count_record};
static const struct tg_operator double_purchase_count = {
    .abi = TG_ABI,
    .name = "purchase_count",
    .input = &double_tx_record,
    .state = &double_recent_record,
    .params = &double_limits_record,
    .outputs = double_outputs,
    .output_count = 1,
    .check = double_check,
    .horizon = double_horizon,
};

/* Every kind of parameter and record field, two outputs. */
#define WIDE_IN(F) F(text, user_id) F(numeric, amount)
#define WIDE_LEFT(F) F(bigint, total) F(numeric, amount)
#define WIDE_RIGHT(F) F(text, note) F(date, day)
#define WIDE_STATE(F) F(bigint, seen)
#define WIDE_PARAMS(F)                                                                                                 \
    F(boolean, flag)                                                                                                   \
    F(text, word) F(integer, small) F(bigint, big) F(boolean, other) F(numeric, price) F(timestamp, since)             \
        F(date, day) F(duration, wait)
TG_RECORD(wide_in, WIDE_IN)
TG_RECORD(wide_left, WIDE_LEFT)
TG_RECORD(wide_right, WIDE_RIGHT)
TG_STATE(wide_state, WIDE_STATE, 1)
TG_PARAMS(wide_params, WIDE_PARAMS)

static const struct tg_record *const wide_outputs[] = {&wide_left_record, &wide_right_record};
static const struct tg_operator double_wide = {
    .abi = TG_ABI,
    .name = "wide",
    .input = &wide_in_record,
    .state = &wide_state_record,
    .params = &wide_params_record,
    .outputs = wide_outputs,
    .output_count = 2,
};

static inline void doubles_register(void)
{
    tg_operator_register(&double_purchase_count);
    tg_operator_register(&double_wide);
}

#endif
