/* An idempotent producer: order within a partition and every record once, whatever the network does. Keys are spread by
 * murmur2, so a record lies where any other Kafka client would have put it. */
#include "tools/gen_topic.h"

#include <stdio.h>
#include <time.h>

enum { WAIT_S = 10, CREATE_TRIES = 40, PAUSE_MS = 250, ANSWER_MS = 10000 };
#define WAIT_NS ((uint64_t)WAIT_S * 1000000000u)

static const struct tg_option options_table[] = {
    {"brokers", TG_OPTION_LIST, true, NULL, NULL, "Bootstrap brokers."},
    {"client", TG_OPTION_MAP, false, NULL, NULL, "Client settings."},
    {"password", TG_OPTION_SECRET, false, NULL, NULL, "SASL password."},
};

static void pause_ms(uint32_t ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&pause, NULL);
}

static void on_delivery(void *owner, const rd_kafka_message_t *message)
{
    struct tg_gen_topic *out = owner;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        out->confirmed++;
        return;
    }
    if (out->errors++ == 0) {
        (void)snprintf(out->first_error, sizeof out->first_error, "%s", rd_kafka_message_errstr(message));
    }
}

/* ---- the topic --------------------------------------------------------------------------------------------------- */

static rd_kafka_resp_err_t topic_result(rd_kafka_event_t *event, bool created)
{
    if (event == NULL) { return RD_KAFKA_RESP_ERR__TIMED_OUT; }
    rd_kafka_resp_err_t err = rd_kafka_event_error(event);
    size_t count = 0;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const rd_kafka_topic_result_t **results =
            created ? rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)
                    : rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
        if (count == 1) { err = rd_kafka_topic_result_error(results[0]); }
    }
    rd_kafka_event_destroy(event);
    return err;
}

static rd_kafka_resp_err_t topic_delete(struct tg_gen_topic *out, rd_kafka_queue_t *queue)
{
    rd_kafka_DeleteTopic_t *request = rd_kafka_DeleteTopic_new(out->config.topic);
    rd_kafka_DeleteTopics(out->client.rk, &request, 1, NULL, queue);
    const rd_kafka_resp_err_t err = topic_result(rd_kafka_queue_poll(queue, ANSWER_MS), false);
    rd_kafka_DeleteTopic_destroy(request);
    return err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ? RD_KAFKA_RESP_ERR_NO_ERROR : err;
}

static rd_kafka_resp_err_t topic_create(struct tg_gen_topic *out, rd_kafka_queue_t *queue)
{
    char text[TG_KAFKA_TEXT_BYTES];
    rd_kafka_NewTopic_t *request = rd_kafka_NewTopic_new(out->config.topic, (int)out->config.partitions, -1, text,
                                                         sizeof text);
    if (request == NULL) { return RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION; }
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (uint32_t i = 0; i < CREATE_TRIES; i++) {
        rd_kafka_CreateTopics(out->client.rk, &request, 1, NULL, queue);
        err = topic_result(rd_kafka_queue_poll(queue, ANSWER_MS), true);
        /* A topic that was just deleted stays for a moment. */
        if (err != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS || !out->config.recreate) { break; }
        pause_ms(PAUSE_MS);
    }
    rd_kafka_NewTopic_destroy(request);
    return err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS ? RD_KAFKA_RESP_ERR_NO_ERROR : err;
}

static tg_status topic_prepare(struct tg_gen_topic *out, struct tg_error *err)
{
    uint32_t partitions = 0;
    tg_status status = tg_kafka_topic_find(&out->client, out->config.topic, WAIT_NS, &partitions, err);
    if (!out->config.create && !out->config.recreate) { return status; }
    if (status == TG_OK && !out->config.recreate) { return status; }
    if (status != TG_OK && err->code != TG1203) { return status; }
    const bool exists = status == TG_OK;
    *err = (struct tg_error){0};
    rd_kafka_queue_t *queue = rd_kafka_queue_new(out->client.rk);
    rd_kafka_resp_err_t answer = exists ? topic_delete(out, queue) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (answer == RD_KAFKA_RESP_ERR_NO_ERROR) { answer = topic_create(out, queue); }
    rd_kafka_queue_destroy(queue);
    if (answer != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return tg_fail(err, TG1206, 0, "create topic \"%s\" on %s: %s", out->config.topic, out->client.brokers,
                       rd_kafka_err2str(answer));
    }
    status = TG_OK;
    for (uint32_t i = 0; i < CREATE_TRIES; i++) { /* until every partition has a leader that is known */
        *err = (struct tg_error){0};
        status = tg_kafka_topic_find(&out->client, out->config.topic, WAIT_NS, &partitions, err);
        if (status == TG_OK && partitions == out->config.partitions) { break; }
        pause_ms(PAUSE_MS);
    }
    return status;
}

/* ---- public ------------------------------------------------------------------------------------------------------ */

tg_status tg_gen_topic_open(struct tg_gen_topic *out, const struct tg_gen_topic_config *config, struct tg_error *err)
{
    *out = (struct tg_gen_topic){.config = *config};
    const struct tg_kafka_setting defaults[] = {
        {"client.id", "turgo-gen"},
        {"linger.ms", "20"},
        {"batch.num.messages", "20000"},
        {"batch.size", "900000"},
        {"queue.buffering.max.messages", "500000"},
        {"queue.buffering.max.kbytes", "524288"},
        {"compression.codec", config->codec},
        {NULL, NULL},
    };
    static const struct tg_kafka_setting fixed[] = {
        {"enable.idempotence", "true"}, {"partitioner", "murmur2_random"}, {NULL, NULL}};
    out->values[0] = (struct tg_option_value){.is_set = true, .count = 1, .texts = &out->config.brokers,
                                              .origin = "--brokers"};
    out->values[1] = (struct tg_option_value){.is_set = true, .count = config->setting_count,
                                              .names = out->config.setting_names, .texts = out->config.setting_texts};
    out->values[2] = (struct tg_option_value){.is_set = config->password != NULL, .text = config->password};
    out->options = (struct tg_options){.table = options_table, .values = out->values, .count = 3};
    const struct tg_kafka_setup setup = {.kind = "gen", .options = &out->options, .defaults = defaults, .fixed = fixed,
                                         .producer = true, .quiet = true, .shard = -1};
    tg_status status = tg_kafka_client_open(&out->client, &setup, err);
    if (status != TG_OK) { return status; }
    out->client.owner = out;
    out->client.on_delivery = on_delivery;
    status = topic_prepare(out, err);
    if (status != TG_OK) { return status; }
    out->topic = rd_kafka_topic_new(out->client.rk, config->topic, NULL);
    if (out->topic == NULL) { return tg_fail(err, TG1206, 0, "\"%s\" is not a topic name", config->topic); }
    return TG_OK;
}

tg_status tg_gen_topic_write(struct tg_gen_topic *out, const char *record, const struct tg_generated *made,
                             struct tg_error *err)
{
    enum { FULL_WAIT_MS = 10, STALLED_MAX = 6000 };
    for (uint32_t waits = 0; waits < STALLED_MAX; waits++) {
        if (rd_kafka_produce(out->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)record,
                             made->bytes, made->key, made->key_bytes, NULL) == 0) {
            return TG_OK;
        }
        const rd_kafka_resp_err_t why = rd_kafka_last_error();
        if (why != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            return tg_fail(err, TG1206, 0, "produce to \"%s\": %s", out->config.topic, rd_kafka_err2str(why));
        }
        if (rd_kafka_poll(out->client.rk, FULL_WAIT_MS) > 0) { waits = 0; }
        if (out->client.fatal) { return tg_kafka_client_failure(&out->client, err); }
    }
    return tg_fail(err, TG1201, 0, "Kafka unreachable: %s confirmed nothing for a minute (%s)", out->client.brokers,
                   out->client.reason);
}

tg_status tg_gen_topic_finish(struct tg_gen_topic *out, struct tg_error *err)
{
    enum { FLUSH_MS = 120000 };
    const rd_kafka_resp_err_t flushed = rd_kafka_flush(out->client.rk, FLUSH_MS);
    if (out->errors > 0) {
        return tg_fail(err, TG1206, 0, "%llu records were not written to \"%s\": %s", (unsigned long long)out->errors,
                       out->config.topic, out->first_error);
    }
    if (flushed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return tg_fail(err, TG1201, 0, "Kafka unreachable: %d records were not confirmed by %s (%s)",
                       rd_kafka_outq_len(out->client.rk), out->client.brokers, out->client.reason);
    }
    return TG_OK;
}

void tg_gen_topic_close(struct tg_gen_topic *out)
{
    if (out->topic != NULL) { rd_kafka_topic_destroy(out->topic); }
    out->topic = NULL;
    tg_kafka_client_close(&out->client);
}
