/* What a cluster answers: to a client that is set up wrongly or finds nobody (no server needed), and, where
 * TURGO_KAFKA=host:port names a real broker, what the mock cluster cannot show: a million records over several
 * instances, transaction marks, offsets by time. Without it those tests are skipped and say so. */
#include "base/prng.h"
#include "io/kafka/client.h"
#include "tests/kafka_kit.h"
#include "tests/seed.h"

/* ---- discover and options ---------------------------------------------------------------------------------------- */

static enum tg_code discover_code(const struct tg_test_options *options, uint64_t wait_ns, struct tg_error *err)
{
    uint32_t count = 0;
    *err = (struct tg_error){0};
    (void)tg_kafka_source.discover(&options->options, "in", kit_now_ns() + wait_ns, &count, err);
    return err->code;
}

Test(kafka_client, a_cluster_that_is_away_is_named_with_its_reason_within_the_deadline)
{
    struct kit_source source = {0};
    struct tg_error err;
    KIT_OPTIONS(&source, "brokers", "127.0.0.1:1", "topic", "numbers");
    const uint64_t begin = kit_now_ns();
    cr_assert_eq(discover_code(&source.options, 700000000, &err), TG1201);
    cr_assert_lt(kit_now_ns() - begin, 2500000000u);
    cr_assert_not_null(strstr(err.text, "127.0.0.1:1"), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "Connection refused"), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "sources.in.kafka.brokers comes from test"), "%s", err.text);
}

Test(kafka_client, missing_brokers_and_refused_settings_are_named_without_their_values)
{
    struct kit_source source = {0};
    struct tg_error err;
    KIT_OPTIONS(&source, "topic", "numbers");
    cr_assert_eq(discover_code(&source.options, 0, &err), TG1003);
    static const char *const wrong[] = {"group.id=x",
                                        "enable.auto.commit=true",
                                        "isolation.level=read_uncommitted",
                                        "sasl.password=hunter2",
                                        "no.such.setting=hunter2",
                                        "socket.timeout.ms=hunter2",
                                        "security.protocol=hunter2",
                                        "bootstrap.servers=hunter2"};
    for (uint32_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        KIT_OPTIONS(&source, "topic", "numbers", "brokers", "127.0.0.1:1", "client", wrong[i]);
        cr_expect_eq(discover_code(&source.options, 0, &err), TG1202, "%s: %s", wrong[i], err.text);
        const size_t name_bytes = strcspn(wrong[i], "=");
        cr_expect_not_null(memmem(err.text, strlen(err.text), wrong[i], name_bytes), "%s", err.text);
        if (strstr(wrong[i], "password") != NULL) { cr_expect_null(strstr(err.text, "hunter2"), "%s", err.text); }
    }
}

Test(kafka_client, a_missing_topic_is_named_with_the_nearest_one)
{
    struct kit_mock mock;
    struct kit_source source = {0};
    struct tg_error err;
    kit_mock_open(&mock, 1, "user-transactions-topic", 1);
    rd_kafka_mock_topic_set_error(mock.cluster, "user-transaction-topic", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    KIT_OPTIONS(&source, "brokers", mock.brokers, "topic", "user-transaction-topic");
    cr_assert_eq(discover_code(&source.options, 10000000000, &err), TG1203, "%s", err.text);
    cr_assert_not_null(strstr(err.text, "nearest: \"user-transactions-topic\""), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "kafka-topics --bootstrap-server"), "%s", err.text);
    kit_mock_close(&mock);
}

/* ---- a real broker --------------------------------------------------------------------------------------------- */

enum { PARTITIONS = 5 };

static const char *brokers;
static char topic[64];
static struct tg_kafka_client admin;
static struct tg_test_options admin_options;

static void topic_open(void)
{
    brokers = getenv("TURGO_KAFKA");
    if (brokers == NULL || *brokers == '\0') {
        (void)fputs("skipped: needs a real broker, TURGO_KAFKA=host:port\n", stderr);
        cr_skip_test("TURGO_KAFKA=host:port is not set");
    }
    static const struct tg_kafka_setting none[] = {{NULL, NULL}};
    struct tg_error err = {0};
    bool created = false;
    (void)snprintf(topic, sizeof topic, "test_kafka_%llx", (unsigned long long)kit_now_ns());
    tg_test_options(&admin_options, tg_kafka_sink.options, tg_kafka_sink.option_count, "brokers", brokers, "topic",
                    topic, NULL);
    const struct tg_kafka_setup setup = {.kind = "test",
                                         .options = &admin_options.options,
                                         .defaults = none,
                                         .fixed = none,
                                         .producer = true,
                                         .quiet = true,
                                         .shard = -1};
    cr_assert_eq(tg_kafka_client_open(&admin, &setup, &err), TG_OK, "%s", err.text);
    cr_assert_eq(tg_kafka_topic_create(&admin, topic, PARTITIONS, &created, &err), TG_OK, "%s", err.text);
    cr_assert(created);
}

static void topic_close(void)
{
    struct tg_error err = {0};
    if (admin.rk == NULL) { return; }
    (void)!tg_kafka_topic_delete(&admin, topic, &err);
    tg_kafka_client_close(&admin);
}

TestSuite(kafka_broker, .init = topic_open, .fini = topic_close, .timeout = 120);

Test(kafka_broker, a_million_records_come_once_in_order_over_one_to_three_instances)
{
    enum { EACH = 200000 };
    struct tg_prng prng = {tg_test_seed()};
    struct kit_producer producer;
    kit_producer_open(&producer, brokers, NULL);
    for (int32_t p = 0; p < PARTITIONS; p++) { kit_put_numbers(&producer, topic, p, 0, EACH, 20 + 30 * p); }
    for (uint32_t shards = 1; shards <= 3; shards++) {
        static struct kit_source sources[3];
        struct tg_error err = {0};
        memset(sources, 0, sizeof sources);
        for (uint32_t i = 0; i < shards; i++) {
            sources[i].numbered = true;
            sources[i].env.bounded = true;
            sources[i].env.poll_count_max = 1 + tg_prng_below(&prng, TG_BATCH_ROWS_MAX);
            KIT_OPTIONS(&sources[i], "brokers", brokers, "topic", topic, "queue_bytes", shards == 2 ? "1MiB" : "64MiB");
            cr_assert_eq(kit_source_open(&sources[i], i, shards, KIT_POOL, &err), TG_OK, "%s", err.text);
        }
        kit_put_numbers(&producer, topic, (int32_t)shards - 1, EACH, 1000,
                        8); /* behind the end of this round or the next */
        uint32_t open = shards;
        const uint64_t until = kit_now_ns() + 40000000000u;
        while (open > 0 && kit_now_ns() < until) {
            open = 0;
            for (uint32_t i = 0; i < shards; i++) {
                (void)kit_step(&sources[i]);
                cr_assert_eq(tg_kafka_source.failure(sources[i].state, &err), TG_OK, "%s", err.text);
                open += sources[i].ended_count < sources[i].env.owned_count;
            }
        }
        cr_assert_eq(open, 0);
        uint64_t total = 0;
        for (uint32_t i = 0; i < shards; i++) {
            total += kit_total(&sources[i]);
            kit_source_close(&sources[i]);
        }
        /* Where the end lies is asked after open returns, so this round's extra records may or may not count. */
        const uint64_t least = (uint64_t)PARTITIONS * EACH + (shards - 1) * 1000u;
        cr_assert(total == least || total == least + 1000, "%u instances: %lu", shards, (unsigned long)total);
    }
    kit_producer_close(&producer);
}

static void put_transaction(struct kit_producer *producer, uint64_t first, uint64_t count, bool commit)
{
    char text[32];
    cr_assert_null(rd_kafka_begin_transaction(producer->rk));
    for (uint64_t i = first; i < first + count; i++) {
        const int bytes = snprintf(text, sizeof text, "%llu", (unsigned long long)i);
        kit_put(producer, topic, 0, text, (size_t)bytes);
    }
    cr_assert_eq(rd_kafka_flush(producer->rk, 20000), RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert_null(commit ? rd_kafka_commit_transaction(producer->rk, 20000)
                          : rd_kafka_abort_transaction(producer->rk, 20000));
}

/* The last offsets of the log are marks and aborted records: no record ever reaches the end. */
Test(kafka_broker, aborted_records_and_transaction_marks_at_the_end_do_not_hang_bounded_input)
{
    struct kit_producer producer;
    kit_producer_open(&producer, brokers, topic);
    cr_assert_null(rd_kafka_init_transactions(producer.rk, 20000));
    put_transaction(&producer, 0, 100, true);
    put_transaction(&producer, 5000, 100, false);
    put_transaction(&producer, 100, 100, true);
    put_transaction(&producer, 6000, 100, false);
    struct kit_source source = {.numbered = true, .env = {.bounded = true, .poll_count_max = 7}};
    struct tg_error err = {0};
    KIT_OPTIONS(&source, "brokers", brokers, "topic", topic);
    cr_assert_eq(kit_source_open(&source, 0, 1, KIT_POOL, &err), TG_OK, "%s", err.text);
    kit_drain(&source, 30);
    cr_assert_eq(source.counts[0], 200);
    cr_assert_eq(tg_kafka_source.lag(source.state), 0);
    kit_source_close(&source);
    kit_producer_close(&producer);
}

/* Of an open transaction nothing can be read, of an aborted one nothing ever comes: each growth of the log is told
 * once, so that silence can go on; and behind what can be read the end is reported again. */
Test(kafka_broker, what_never_becomes_a_record_is_told_once)
{
    struct kit_producer producer;
    kit_producer_open(&producer, brokers, topic);
    cr_assert_null(rd_kafka_init_transactions(producer.rk, 20000));
    put_transaction(&producer, 0, 100, true);
    struct kit_source source = {.numbered = true};
    struct tg_error err = {0};
    KIT_OPTIONS(&source, "brokers", brokers, "topic", topic);
    cr_assert_eq(kit_source_open(&source, 0, 1, KIT_POOL, &err), TG_OK, "%s", err.text);
    kit_run(&source, 100, 20);
    kit_run_to_end(&source, PARTITIONS, 20);
    cr_assert_not(tg_kafka_source.unread(source.state, 0), "the mark behind the records is not unread");

    cr_assert_null(rd_kafka_begin_transaction(producer.rk));
    for (uint32_t i = 0; i < 2; i++) {
        kit_put(&producer, topic, 0, "x", 1);
        cr_assert_eq(rd_kafka_flush(producer.rk, 20000), RD_KAFKA_RESP_ERR_NO_ERROR);
        cr_assert(kit_hears(&source, 0, 5000), "an open transaction writes");
        cr_assert_not(kit_step(&source));
        cr_assert_not(kit_hears(&source, 0, 300), "and is told once");
    }
    const uint32_t before = source.at_end_count;
    cr_assert_null(rd_kafka_abort_transaction(producer.rk, 20000));
    cr_assert(kit_hears(&source, 0, 5000), "its end");
    kit_run_to_end(&source, before + 1, 20);
    cr_assert_not(tg_kafka_source.unread(source.state, 0));
    cr_assert_eq(source.counts[0], 100);

    put_transaction(&producer, 100, 100, true);
    cr_assert(kit_hears(&source, 0, 5000));
    kit_run_to_end(&source, before + 2, 20);
    cr_assert_eq(source.counts[0], 200);
    cr_assert_not(tg_kafka_source.unread(source.state, 0));
    kit_source_close(&source);
    kit_producer_close(&producer);
}

static void delete_topic(void)
{
    struct tg_error err = {0};
    cr_assert_eq(tg_kafka_topic_delete(&admin, topic, &err), TG_OK, "%s", err.text);
}

Test(kafka_broker, a_topic_that_is_deleted_ends_the_job_by_name)
{
    struct kit_producer producer;
    kit_producer_open(&producer, brokers, NULL);
    kit_put_numbers(&producer, topic, 0, 0, 100, 8);
    kit_producer_close(&producer);
    struct kit_source source = {.numbered = true, .faster = 4};
    struct tg_error err = {0};
    KIT_OPTIONS(&source, "brokers", brokers, "topic", topic);
    cr_assert_eq(kit_source_open(&source, 0, 1, KIT_POOL, &err), TG_OK, "%s", err.text);
    kit_run(&source, 100, 20);
    delete_topic();
    cr_assert_eq(kit_failure(&source, 30, &err), TG1203, "%s", err.text);
    cr_assert_not_null(strstr(err.text, topic), "%s", err.text);
    kit_source_close(&source); /* in bounded time, too */
}

/* Created again while nobody looks, and after the job was told that it is gone. */
static void create_again(uint32_t after_s)
{
    struct kit_producer producer;
    kit_producer_open(&producer, brokers, NULL);
    for (int32_t p = 0; p < PARTITIONS; p++) { kit_put_numbers(&producer, topic, p, 0, 100, 8); }
    kit_producer_close(&producer);
    struct kit_source source = {.numbered = true};
    struct tg_error err = {0};
    bool created = false;
    KIT_OPTIONS(&source, "brokers", brokers, "topic", topic);
    cr_assert_eq(kit_source_open(&source, 0, 1, KIT_POOL, &err), TG_OK, "%s", err.text);
    kit_run(&source, 100 * PARTITIONS, 20);
    delete_topic();
    kit_run(&source, UINT64_MAX, after_s);
    for (uint32_t i = 0; i < 100 && !created; i++) {
        kit_pause_us(20000);
        cr_assert_eq(tg_kafka_topic_create(&admin, topic, PARTITIONS, &created, &err), TG_OK, "%s", err.text);
    }
    cr_assert(created);
    cr_assert_eq(kit_failure(&source, 30, &err), TG1205, "%s", err.text);
    cr_assert_not_null(strstr(err.text, topic), "%s", err.text);
    kit_source_close(&source);
}

Test(kafka_broker, a_topic_that_is_created_again_ends_the_job_by_name) { create_again(0); }
Test(kafka_broker, a_topic_that_was_missing_and_is_another_one_then_ends_the_job_by_name) { create_again(2); }

Test(kafka_broker, start_horizon_reads_from_the_offset_of_that_time)
{
    struct kit_producer producer;
    kit_producer_open(&producer, brokers, NULL);
    kit_put_numbers(&producer, topic, 0, 0, 100, 8);
    kit_pause_us(900000);
    kit_pause_us(900000);
    kit_put_numbers(&producer, topic, 0, 100, 100, 8);
    struct kit_source source = {.numbered = true, .counts = {100}, .env = {.bounded = true, .horizon = 1000000}};
    struct tg_error err = {0};
    KIT_OPTIONS(&source, "brokers", brokers, "topic", topic, "start", "horizon");
    cr_assert_eq(kit_source_open(&source, 0, 1, KIT_POOL, &err), TG_OK, "%s", err.text);
    kit_drain(&source, 30);
    cr_assert_eq(source.counts[0], 200);
    kit_source_close(&source);
    kit_producer_close(&producer);
}

Test(kafka_broker, positions_are_remembered_by_the_group)
{
    struct kit_producer producer;
    kit_producer_open(&producer, brokers, NULL);
    kit_put_numbers(&producer, topic, 2, 0, 1000, 8);
    for (uint32_t round = 0; round < 3; round++) {
        struct kit_source source = {.numbered = true, .env = {.bounded = true, .fresh = round == 2}};
        struct tg_error err = {0};
        if (round == 1) { source.counts[2] = 400; }
        KIT_OPTIONS(&source, "brokers", brokers, "topic", topic, "group", topic);
        cr_assert_eq(kit_source_open(&source, 0, 1, KIT_POOL, &err), TG_OK, "%s", err.text);
        kit_drain(&source, 30);
        cr_assert_eq(source.counts[2], 1000);
        if (round == 0) { tg_kafka_source.commit(source.state, 2, 400); }
        kit_source_close(&source);
    }
    kit_producer_close(&producer);
}

Test(kafka_broker, a_wrong_topic_name_is_answered_with_the_nearest)
{
    struct kit_source source = {0};
    struct tg_error err = {0};
    char wrong[80];
    uint32_t count = 0;
    (void)snprintf(wrong, sizeof wrong, "%ss", topic);
    KIT_OPTIONS(&source, "brokers", brokers, "topic", wrong);
    cr_assert_eq(tg_kafka_source.discover(&source.options.options, "in", kit_now_ns() + 10000000000, &count, &err),
                 TG_ERR_UNAVAILABLE);
    cr_assert_eq(err.code, TG1203);
    cr_assert_not_null(strstr(err.text, topic), "%s", err.text);
}
