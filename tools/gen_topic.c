/* An idempotent producer: order within a partition and every record once, whatever the network does. Keys are spread by
 * murmur2, so a record lies where any other Kafka client would have put it. */
#include "tools/gen_topic.h"

#include <stdio.h>
#include <time.h>

enum { WAIT_S = 10, CREATE_TRIES = 40, PAUSE_MS = 250 };
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

static tg_status topic_prepare(struct tg_gen_topic *out, struct tg_error *err)
{
    uint32_t partitions = 0;
    tg_status status = tg_kafka_topic_find(&out->client, out->config.topic, WAIT_NS, &partitions, err);
    if (!out->config.create && !out->config.recreate) { return status; }
    if (status == TG_OK && !out->config.recreate) { return status; }
    if (status != TG_OK && err->code != TG1203) { return status; }
    const bool exists = status == TG_OK;
    *err = (struct tg_error){0};
    status = exists ? tg_kafka_topic_delete(&out->client, out->config.topic, err) : TG_OK;
    for (uint32_t i = 0; i < CREATE_TRIES && status == TG_OK; i++) { /* a deleted topic stays for a moment */
        bool created = false;
        status = tg_kafka_topic_create(&out->client, out->config.topic, (int32_t)out->config.partitions, &created, err);
        if (created) { break; }
        pause_ms(PAUSE_MS);
    }
    if (status != TG_OK) { return status; }
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
