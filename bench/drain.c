/* Bare librdkafka drain: the denominator of every ratio in bench/. Reads a whole topic from its beginning through
 * the callback queue, librdkafka's fastest path, counts and drops. Prints one JSON object. The fetch settings are
 * arguments, because which ones are fastest depends on the machine: bench/run tries several and keeps the best. */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PARTITIONS_MAX = 256, CALL_WAIT_MS = 100, METADATA_WAIT_MS = 10000, SILENCE_S_MAX = 60 };

struct drain {
    uint64_t records;
    uint64_t bytes;
    int ended; /* partitions that reported their end */
    int failed;
};

static double now_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void count_message(rd_kafka_message_t *message, void *opaque)
{
    struct drain *drain = opaque;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        drain->records++;
        drain->bytes += message->len;
    } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        drain->ended++;
    } else {
        (void)fprintf(stderr, "drain: %s\n", rd_kafka_message_errstr(message));
        drain->failed = 1;
    }
}

static rd_kafka_t *open_consumer(const char *brokers, const char *queued, const char *fetch)
{
    const char *const settings[][2] = {
        {"bootstrap.servers", brokers},
        {"group.id", "turgo-bench-drain"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"enable.partition.eof", "true"},
        {"check.crcs", "false"},
        {"queued.min.messages", queued},
        {"queued.max.messages.kbytes", "1048576"},
        {"fetch.message.max.bytes", fetch},
        {"fetch.max.bytes", "104857600"},
        {"fetch.wait.max.ms", "10"},
    };
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text) != RD_KAFKA_CONF_OK) {
            (void)fprintf(stderr, "drain: %s\n", text);
            rd_kafka_conf_destroy(conf);
            return NULL;
        }
    }
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (client == NULL) {
        (void)fprintf(stderr, "drain: %s\n", text);
        rd_kafka_conf_destroy(conf);
    }
    return client;
}

/* Number of partitions of `topic`, 0 when it cannot be had. */
static int count_partitions(rd_kafka_t *client, const char *topic)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    const rd_kafka_resp_err_t err = rd_kafka_metadata(client, 0, handle, &metadata, METADATA_WAIT_MS);
    int count = 0;
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        (void)fprintf(stderr, "drain: %s: %s\n", topic, rd_kafka_err2str(err));
    } else {
        count = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(handle);
    return count <= PARTITIONS_MAX ? count : 0;
}

static int assign_all(rd_kafka_t *client, const char *topic, int count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++) { rd_kafka_topic_partition_list_add(list, topic, i)->offset = 0; }
    const rd_kafka_resp_err_t err = rd_kafka_assign(client, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) { (void)fprintf(stderr, "drain: %s\n", rd_kafka_err2str(err)); }
    return err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Seconds from the first record to the last partition's end; negative when nothing came for SILENCE_S_MAX. */
static double run_drain(rd_kafka_t *client, int partitions, struct drain *drain)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);
    double first = 0;
    double heard = now_seconds();
    while (drain->ended < partitions && !drain->failed) {
        const int served = rd_kafka_consume_callback_queue(queue, CALL_WAIT_MS, count_message, drain);
        const double now = now_seconds();
        if (served > 0) { heard = now; }
        if (first == 0 && drain->records > 0) { first = now; }
        if (now - heard > SILENCE_S_MAX) { drain->failed = 1; }
    }
    rd_kafka_queue_destroy(queue);
    return drain->failed ? -1 : now_seconds() - first;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        (void)fprintf(stderr, "usage: drain BROKERS TOPIC QUEUED_MIN_MESSAGES FETCH_MESSAGE_MAX_BYTES\n");
        return 64;
    }
    rd_kafka_t *client = open_consumer(argv[1], argv[3], argv[4]);
    if (client == NULL) { return 69; }
    (void)rd_kafka_poll_set_consumer(client);
    const int partitions = count_partitions(client, argv[2]);
    if (partitions == 0 || !assign_all(client, argv[2], partitions)) { return 69; }
    struct drain drain = {0};
    const double seconds = run_drain(client, partitions, &drain);
    if (seconds < 0) { return 70; }
    (void)printf("{\"records\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"seconds\": %.6f}\n", drain.records, drain.bytes,
                 seconds);
    (void)fflush(stdout);
    _exit(0); /* tearing librdkafka down takes seconds and belongs to nobody's measurement */
}
