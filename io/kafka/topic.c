/* Is the topic there? What a person needs to hear when it, or the whole cluster, is not. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "io/kafka/client.h"

enum { NAME_BYTES_MAX = 249 }; /* of a topic */

static uint64_t monotonic_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint32_t min3(uint32_t a, uint32_t b, uint32_t c)
{
    const uint32_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein distance of two topic names, one row at a time. */
static uint32_t distance(const char *a, const char *b)
{
    const uint32_t a_bytes = (uint32_t)strnlen(a, NAME_BYTES_MAX);
    const uint32_t b_bytes = (uint32_t)strnlen(b, NAME_BYTES_MAX);
    uint32_t row[NAME_BYTES_MAX + 1];
    for (uint32_t j = 0; j <= b_bytes; j++) { row[j] = j; }
    for (uint32_t i = 1; i <= a_bytes; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= b_bytes; j++) {
            const uint32_t above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_bytes];
}

/* "12 topics, nearest: \"x\"" over the cluster's own topics; internal ones are nobody's typo. */
static void describe_cluster(struct tg_kafka_client *client, const char *topic, char *out, size_t bytes)
{
    enum { WAIT_MS = 2000 };
    const struct rd_kafka_metadata *metadata = NULL;
    if (rd_kafka_metadata(client->rk, 1, NULL, &metadata, WAIT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        (void)snprintf(out, bytes, "its topics could not be listed");
        return;
    }
    uint32_t count = 0;
    uint32_t nearest = UINT32_MAX;
    const char *name = NULL;
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const char *candidate = metadata->topics[i].topic;
        if (strncmp(candidate, "__", 2) == 0 || strcmp(candidate, topic) == 0) { continue; }
        count++;
        const uint32_t edits = distance(topic, candidate);
        if (edits < nearest) {
            nearest = edits;
            name = candidate;
        }
    }
    /* A name that shares less than half its letters is no help. */
    if (name != NULL && nearest * 2 <= strlen(topic)) {
        (void)snprintf(out, bytes, "%u topic%s, nearest: \"%s\"", count, count == 1 ? "" : "s", name);
    } else {
        (void)snprintf(out, bytes, "%u topic%s, none with a similar name", count, count == 1 ? "" : "s");
    }
    rd_kafka_metadata_destroy(metadata);
}

static tg_status fail_missing(struct tg_kafka_client *client, const char *topic, struct tg_error *err)
{
    char around[TG_KAFKA_TEXT_BYTES];
    describe_cluster(client, topic, around, sizeof around);
    return tg_fail(err, TG1203, 0, "topic \"%s\" does not exist on %s (%s)\n  create it:  kafka-topics "
                   "--bootstrap-server %s --create --topic %s --partitions 4\n  or correct %s.topic", topic,
                   client->brokers, around, client->brokers, topic, client->block);
}

static tg_status fail_unreachable(struct tg_kafka_client *client, uint64_t waited_ms, struct tg_error *err)
{
    return tg_fail(err, TG1201, 0, "Kafka unreachable: %s (%s; waited %llu.%llu s)\n  %s.brokers comes from %s. Is it "
                   "running? Without a Kafka at hand try --profile dev", client->brokers,
                   client->reason[0] != '\0' ? client->reason : "no answer", (unsigned long long)(waited_ms / 1000),
                   (unsigned long long)(waited_ms % 1000 / 100), client->block,
                   client->brokers_origin != NULL ? client->brokers_origin : "the job file");
}

/* One question to the cluster. True: *err_out is its answer about the topic (0: *partition_count is set). */
static bool ask(struct tg_kafka_client *client, rd_kafka_topic_t *topic, int wait_ms, uint32_t *partition_count,
                rd_kafka_resp_err_t *err_out)
{
    const struct rd_kafka_metadata *metadata = NULL;
    const rd_kafka_resp_err_t err = rd_kafka_metadata(client->rk, 0, topic, &metadata, wait_ms);
    (void)rd_kafka_poll(client->rk, 0); /* error callback */
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        *err_out = err;
        return !tg_kafka_is_transient(err);
    }
    *err_out = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (*err_out == RD_KAFKA_RESP_ERR_NO_ERROR) { *partition_count = (uint32_t)metadata->topics[0].partition_cnt; }
    rd_kafka_metadata_destroy(metadata);
    return !tg_kafka_is_transient(*err_out);
}

tg_status tg_kafka_topic_find(struct tg_kafka_client *client, const char *topic, uint64_t wait_ns,
                              uint32_t *partition_count, struct tg_error *err)
{
    enum { STEP_MS = 250, PAUSE_MS = 20, LONGEST_MS = 60000 };
    const uint64_t begin_ms = monotonic_ms();
    const uint64_t wait_ms = wait_ns / 1000000 < LONGEST_MS ? wait_ns / 1000000 : LONGEST_MS;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client->rk, topic, NULL);
    if (handle == NULL) {
        return tg_fail(err, TG1203, 0, "\"%s\" is not a topic name (%s.topic)", topic, client->block);
    }
    tg_status status = TG_OK;
    for (;;) { /* bounded by wait_ms */
        rd_kafka_resp_err_t answer = RD_KAFKA_RESP_ERR_NO_ERROR;
        if (ask(client, handle, STEP_MS, partition_count, &answer)) {
            if (answer == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
                status = fail_missing(client, topic, err);
            } else if (answer == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION) {
                status = tg_fail(err, TG1203, 0, "\"%s\" is not a topic name (%s.topic)", topic, client->block);
            } else if (answer != RD_KAFKA_RESP_ERR_NO_ERROR) {
                status = tg_fail(err, TG1206, 0, "Kafka at %s refuses topic \"%s\": %s (%s)", client->brokers, topic,
                                 rd_kafka_err2str(answer), client->block);
            }
            break;
        }
        if (client->fatal) {
            status = tg_kafka_client_failure(client, err);
            break;
        }
        const uint64_t waited_ms = monotonic_ms() - begin_ms;
        if (waited_ms >= wait_ms) {
            status = fail_unreachable(client, waited_ms, err);
            break;
        }
        (void)rd_kafka_poll(client->rk, PAUSE_MS); /* some answers come at once, and asking again should not */
    }
    rd_kafka_topic_destroy(handle);
    return status;
}

/* ---- create, delete ---------------------------------------------------------------------------------------------- */

enum { ANSWER_MS = 10000 };

/* What the cluster says about the one topic of a request; takes the event. */
static rd_kafka_resp_err_t topic_result(rd_kafka_event_t *event, bool is_create)
{
    if (event == NULL) { return RD_KAFKA_RESP_ERR__TIMED_OUT; }
    rd_kafka_resp_err_t err = rd_kafka_event_error(event);
    size_t count = 0;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const rd_kafka_topic_result_t **results =
            is_create ? rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)
                      : rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
        if (count == 1) { err = rd_kafka_topic_result_error(results[0]); }
    }
    rd_kafka_event_destroy(event);
    return err;
}

tg_status tg_kafka_topic_create(struct tg_kafka_client *client, const char *topic, int32_t partitions, bool *created,
                                struct tg_error *err)
{
    char text[TG_KAFKA_TEXT_BYTES];
    *created = false;
    rd_kafka_NewTopic_t *request = rd_kafka_NewTopic_new(topic, partitions, -1, text, sizeof text);
    if (request == NULL) { return tg_fail(err, TG1206, 0, "create topic \"%s\": %s", topic, text); }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->rk);
    rd_kafka_CreateTopics(client->rk, &request, 1, NULL, queue);
    const rd_kafka_resp_err_t answer = topic_result(rd_kafka_queue_poll(queue, ANSWER_MS), true);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(request);
    *created = answer == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (*created || answer == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) { return TG_OK; }
    return tg_fail(err, TG1206, 0, "create topic \"%s\" on %s: %s", topic, client->brokers, rd_kafka_err2str(answer));
}

tg_status tg_kafka_topic_delete(struct tg_kafka_client *client, const char *topic, struct tg_error *err)
{
    rd_kafka_DeleteTopic_t *request = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->rk);
    rd_kafka_DeleteTopics(client->rk, &request, 1, NULL, queue);
    const rd_kafka_resp_err_t answer = topic_result(rd_kafka_queue_poll(queue, ANSWER_MS), false);
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteTopic_destroy(request);
    if (answer == RD_KAFKA_RESP_ERR_NO_ERROR || answer == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) { return TG_OK; }
    return tg_fail(err, TG1206, 0, "delete topic \"%s\" on %s: %s", topic, client->brokers, rd_kafka_err2str(answer));
}
