/* Where reading begins and, for bounded input, ends: the questions to the cluster that librdkafka only offers as
 * blocking calls. They run on the I/O helper, a bounded time at a go, so that a shard never waits for a broker. */
#ifndef TG_IO_KAFKA_POSITIONS_H
#define TG_IO_KAFKA_POSITIONS_H

#include <librdkafka/rdkafka.h>

#include "io/helper.h"
#include "io/source.h"

enum tg_kafka_positions_phase { TG_KAFKA_POSITIONS_IDLE, TG_KAFKA_POSITIONS_ASKING, TG_KAFKA_POSITIONS_ANSWERED };

/* Owned by the shard, except while ASKING: then by the helper. */
struct tg_kafka_positions {
    struct tg_task task;
    enum tg_kafka_positions_phase phase;
    rd_kafka_t *rk; /* borrowed */
    bool want_committed;
    bool want_times;
    int64_t time_ms; /* records at or after this instant, want_times */
    int answer_ms;   /* per question: a bounded stay on the helper */
    /* Answers, element i = the i-th partition asked for. */
    rd_kafka_topic_partition_list_t *low;
    rd_kafka_topic_partition_list_t *high; /* end of what read_committed delivers */
    rd_kafka_topic_partition_list_t *times;
    rd_kafka_topic_partition_list_t *committed;
    rd_kafka_resp_err_t err; /* 0 = all of them are there */
    const char *question;    /* the one that failed */
};

/* The lists for these partitions.  @setup */
void tg_kafka_positions_init(struct tg_kafka_positions *positions, rd_kafka_t *rk, const char *topic,
                             const uint32_t *partitions, uint32_t count);
/* Ask everything again. False = the helper is busy, try later.  @shard */
TG_MUST_USE bool tg_kafka_positions_ask(struct tg_kafka_positions *positions, struct tg_helper *helper, uint32_t shard);
/* Ask everything here and now, a few seconds at most.  @setup */
void tg_kafka_positions_ask_now(struct tg_kafka_positions *positions);
/* Wait for a question under way, free the lists. Blocks for a few seconds at most.  @shard */
void tg_kafka_positions_deinit(struct tg_kafka_positions *positions, struct tg_helper *helper, uint32_t shard);

/* First offset to deliver of partition `index` by `start`: a committed offset (of the group, or
 * put into `committed` by the caller) wins, else what `start` says. Returns
 * TG1205 when the committed offset lies outside the log.  @shard */
TG_MUST_USE tg_status tg_kafka_positions_start(const struct tg_kafka_positions *positions, uint32_t index,
                                               enum tg_start_kind start, int64_t *offset, struct tg_error *err);

#endif
