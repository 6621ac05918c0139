/* What a topic's log is and holds, asked before a job goes on from a checkpoint: the cluster's id, and first and end
 * offset of every partition. The cluster does not tell a topic from one that was deleted and created again under its
 * name; that one shows as soon as it is shorter than the checkpoint. */
#include "io/kafka/identity.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "io/kafka/client.h"
#include "io/kafka/positions.h"

enum { STEP_MS = 500, PAUSE_MS = 100 };

static tg_status fail(const struct tg_kafka_client *client, const char *topic, const char *question,
                      rd_kafka_resp_err_t answer, struct tg_error *err)
{
    if (client->fatal) { return tg_kafka_client_failure(client, err); }
    const bool may_pass = answer == RD_KAFKA_RESP_ERR_NO_ERROR || tg_kafka_is_transient(answer);
    const enum tg_code code = may_pass ? TG1201 : tg_kafka_is_missing(answer) ? TG1203 : TG1206;
    return tg_fail(err, code, 0, "topic \"%s\" on %s: asking for %s failed: %s", topic, client->brokers, question,
                   answer != RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_err2str(answer)
                   : client->reason[0] != '\0'          ? client->reason
                                                        : "no answer");
}

static tg_status ask(struct tg_kafka_client *client, const char *topic, uint64_t deadline_ns, struct tg_source_log *log,
                     struct tg_error *err)
{
    uint32_t partitions[TG_PARTITIONS_MAX];
    for (uint32_t i = 0; i < log->partition_count; i++) { partitions[i] = i; }
    struct tg_kafka_positions positions;
    tg_kafka_positions_init(&positions, client->rk, topic, partitions, log->partition_count);
    const struct tg_clock clock = tg_clock_real();
    tg_status status = TG_OK;
    for (;;) { /* bounded by the deadline */
        char *cluster = rd_kafka_clusterid(client->rk, STEP_MS);
        if (cluster != NULL) {
            (void)snprintf(log->identity, sizeof log->identity, "%s", cluster);
            rd_kafka_mem_free(client->rk, cluster);
            tg_kafka_positions_ask_now(&positions);
            if (positions.err == RD_KAFKA_RESP_ERR_NO_ERROR) { break; }
        }
        const bool may_pass = tg_kafka_is_transient(positions.err) || tg_kafka_is_missing(positions.err);
        const bool final = client->fatal || (cluster != NULL && !may_pass);
        if (final || tg_clock_now_ns(&clock) >= deadline_ns) {
            status = fail(client, topic, cluster == NULL ? "its cluster's id" : positions.question, positions.err, err);
            break;
        }
        (void)rd_kafka_poll(client->rk, PAUSE_MS);
    }
    for (uint32_t i = 0; status == TG_OK && i < log->partition_count; i++) {
        log->begin[i] = positions.low->elems[i].offset;
        log->end[i] = positions.high->elems[i].offset;
    }
    log->ends_there = true;
    tg_kafka_positions_deinit(&positions, NULL, 0);
    return status;
}

tg_status tg_kafka_identify(const struct tg_kafka_setup *setup, uint64_t deadline_ns, struct tg_source_log *log,
                            struct tg_error *err)
{
    struct tg_kafka_client client;
    tg_status status = tg_kafka_client_open(&client, setup, err);
    if (status != TG_OK) { return status; }
    status = ask(&client, tg_option_text(setup->options, "topic"), deadline_ns, log, err);
    tg_kafka_client_close(&client);
    return status;
}
