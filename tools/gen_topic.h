/* `turgo gen` into a Kafka topic: create it, fill it as fast as the client can, count what the brokers confirmed. */
#ifndef TG_TOOLS_GEN_TOPIC_H
#define TG_TOOLS_GEN_TOPIC_H

#include "io/generate/generate.h"
#include "io/kafka/client.h"

enum { TG_GEN_CLIENT_SETTINGS_MAX = 32 };

struct tg_gen_topic_config {
    const char *brokers;
    const char *topic;
    const char *codec;    /* librdkafka's compression.codec */
    const char *password; /* NULL = none */
    bool create;
    bool recreate; /* delete it first */
    uint32_t partitions; /* of a created topic */
    uint32_t setting_count;
    const char *setting_names[TG_GEN_CLIENT_SETTINGS_MAX]; /* further client settings */
    const char *setting_texts[TG_GEN_CLIENT_SETTINGS_MAX];
};

struct tg_gen_topic {
    struct tg_gen_topic_config config;
    struct tg_option_value values[3];
    struct tg_options options;
    struct tg_kafka_client client;
    rd_kafka_topic_t *topic;
    uint64_t confirmed;
    uint64_t errors;
    char first_error[TG_KAFKA_TEXT_BYTES];
};

/* Connect and see to the topic. Errors: TG1201 to TG1206.  @setup */
TG_MUST_USE tg_status tg_gen_topic_open(struct tg_gen_topic *out, const struct tg_gen_topic_config *config,
                                        struct tg_error *err);
/* Queue one record; waits while the client's queue is full.  @setup */
TG_MUST_USE tg_status tg_gen_topic_write(struct tg_gen_topic *out, const char *record,
                                         const struct tg_generated *made, struct tg_error *err);
/* Wait for all confirmations. TG1206 when some record was not written.  @setup */
TG_MUST_USE tg_status tg_gen_topic_finish(struct tg_gen_topic *out, struct tg_error *err);
void tg_gen_topic_close(struct tg_gen_topic *out);

#endif
