/* From librdkafka's queue of one partition into a raw batch: the copy, the offset fence, the end marks, the record that
 * did not fit, and the cure for the one-second fetch stall. */
#ifndef TG_IO_KAFKA_INTAKE_H
#define TG_IO_KAFKA_INTAKE_H

#include "io/fill.h"
#include "io/kafka/client.h"
#include "io/source.h"

struct tg_kafka_partition {
    rd_kafka_queue_t *queue; /* NULL until open */
    uint32_t number;
    bool at_end;           /* the broker had nothing more when asked last */
    bool ended;            /* bounded input is complete, and the receiver knows */
    bool was_full;         /* the queue came near its limit: the broker thread may sleep on it */
    int64_t next;          /* lowest offset still wanted: the fence */
    int64_t end;           /* bounded: first offset not wanted; INT64_MAX otherwise */
    int64_t high;          /* last known end of the log, for lag */
    int64_t heard;         /* end of the log as reported, or as told by `unread` since */
    int64_t commit;        /* to be told upstream; -1 = nothing so far */
    int64_t commit_told;   /* handed to the client */
    uint32_t record_bytes; /* of the last batch, on average */
    uint64_t fenced;       /* records dropped because they came a second time */
    /* The record that arrived when there was no room: the callback is the only moment it can be had. */
    uint8_t *held; /* malloc'd; NULL = none */
    struct tg_slice held_slice;
};

struct tg_kafka_intake {
    struct tg_kafka_client *client; /* borrowed */
    const char *topic;              /* borrowed */
    struct tg_fill fill;
    uint32_t poll_count_max;
    uint32_t queue_messages; /* librdkafka's limits per partition */
    uint64_t queue_bytes;
    const char *user; /* of SASL, as configured; "" without. See tg_kafka_intake_rouse */
    const char *password;
    uint64_t roused_ns;
    uint64_t rouse_count;
    bool unsure;      /* the cluster is to be asked whether it is there, still has the topic, and where its logs end */
    tg_status status; /* first failure */
    struct tg_error error;
};

/* Fill *out from one partition; returns 1 when it holds news.  @shard */
TG_HOT uint32_t tg_kafka_intake_poll(struct tg_kafka_intake *intake, struct tg_kafka_partition *partition,
                                     struct tg_raw_batch *out, uint64_t now_ns);
/* Now and then, for a partition that was polled empty: rouse the broker thread when the log is known to hold more.
 * @shard */
void tg_kafka_intake_check(struct tg_kafka_intake *intake, const struct tg_kafka_partition *partition, uint64_t now_ns);
/* Is there anything behind the end that was reported last, as far as the client knows? It goes on listening while we do
 * not. While no broker can be reached there may be.  @shard */
bool tg_kafka_intake_unread(struct tg_kafka_intake *intake, struct tg_kafka_partition *partition);
/* Offset of the record that is delivered next.  @shard */
int64_t tg_kafka_intake_position(const struct tg_kafka_partition *partition);
/* Drop the held record.  @shard */
void tg_kafka_partition_close(struct tg_kafka_partition *partition);

#endif
