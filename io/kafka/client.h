/* One librdkafka client: its configuration out of a connector's options, what it last complained about, and the codes
 * its errors get. Everything librdkafka allocates is on the heap and its threads are its own: the exception to "memory
 * from the arena", kept inside this folder. */
#ifndef TG_IO_KAFKA_CLIENT_H
#define TG_IO_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/status.h"
#include "io/options.h"

enum { TG_KAFKA_TEXT_BYTES = 512, TG_KAFKA_BLOCK_BYTES = 160, TG_KAFKA_SETTINGS_MAX = 32 };

struct tg_kafka_setting {
    const char *name;
    const char *value;
};

struct tg_kafka_setup {
    const char *kind; /* "sources" or "sinks": where in the job file the block is that messages talk about */
    const char *name; /* of the source or sink; NULL = `kind` alone is the place */
    const struct tg_options *options;        /* has brokers, client and password */
    const struct tg_kafka_setting *defaults; /* ended by a NULL name; the job's client map may override them */
    const struct tg_kafka_setting *fixed;    /* ended by a NULL name; the map may not */
    bool producer;
    bool quiet; /* no log lines: the caller reports what it finds */
    int shard;  /* for log lines; -1 outside shards */
};

/* What the callbacks of a client write down. They run in the thread that serves the client's queue. */
struct tg_kafka_client {
    rd_kafka_t *rk;
    int shard;
    bool quiet;
    bool down;                        /* no broker was reachable, and nothing came since */
    bool drained;                     /* what had been read ahead before that is used up: news would be new */
    bool fatal;                       /* unrecoverable: see tg_kafka_client_failure */
    rd_kafka_resp_err_t error;        /* the last one that was not just "all brokers are down" */
    char reason[TG_KAFKA_TEXT_BYTES]; /* its text, shortened */
    char block[TG_KAFKA_BLOCK_BYTES]; /* "sources.tx.kafka" */
    char brokers[TG_KAFKA_TEXT_BYTES];
    const char *brokers_origin; /* borrowed from the options */
    uint64_t now_ns;            /* the caller's last reading, for the limiters */
    struct tg_log_limit down_limit;
    struct tg_log_limit noise_limit;
    /* Set by the owner before the queue is served; may be NULL. */
    void (*on_commit)(void *owner, rd_kafka_resp_err_t err);
    void (*on_delivery)(void *owner, const rd_kafka_message_t *message);
    void *owner;
};

/* Create the client. Errors: TG1003 no brokers; TG1202 a client setting that is ours, unknown or wrong (by name, never
 * its value).  @setup */
TG_MUST_USE tg_status tg_kafka_client_open(struct tg_kafka_client *client, const struct tg_kafka_setup *setup,
                                           struct tg_error *err);
/* Also legal after a failed open. Takes a few seconds at most.  @setup */
void tg_kafka_client_close(struct tg_kafka_client *client);

/* Wait up to wait_ns (a duration) until `topic` is known; its number of partitions. Serves the client's queue
 * meanwhile. Errors: TG1201 unreachable, TG1203 no such topic (with the nearest name), TG1204, TG1206.  @setup */
TG_MUST_USE tg_status tg_kafka_topic_find(struct tg_kafka_client *client, const char *topic, uint64_t wait_ns,
                                          uint32_t *partition_count, struct tg_error *err);

/* Create `topic`; partitions -1 = the cluster's default. *created is false when it was there already. Errors: TG1206.
 * @setup */
TG_MUST_USE tg_status tg_kafka_topic_create(struct tg_kafka_client *client, const char *topic, int32_t partitions,
                                            bool *created, struct tg_error *err);
/* Delete `topic`; one that is not there is no error. Errors: TG1206.  @setup */
TG_MUST_USE tg_status tg_kafka_topic_delete(struct tg_kafka_client *client, const char *topic, struct tg_error *err);

/* "waiting for Kafka", once a minute; notes that the client is down.  @shard */
void tg_kafka_client_waiting(struct tg_kafka_client *client, const char *reason);
/* Something came: say so if the client was down and this was not just read ahead.  @shard */
void tg_kafka_client_alive(struct tg_kafka_client *client);

/* The failure behind client->fatal: TG1204 or TG1206.  @any */
tg_status tg_kafka_client_failure(const struct tg_kafka_client *client, struct tg_error *err);

/* True for errors that pass by themselves: brokers away, leaders moving, timeouts.  @any */
bool tg_kafka_is_transient(rd_kafka_resp_err_t err);
/* True when the cluster, or a broker of it, does not know the topic or the partition.  @any */
bool tg_kafka_is_missing(rd_kafka_resp_err_t err);
/* True for refused credentials.  @any */
bool tg_kafka_is_authentication(rd_kafka_resp_err_t err);

#endif
