/* The Kafka source: one librdkafka consumer per (source, shard), given its partitions by assign() with explicit
 * offsets; it joins no group and uses `group` only to remember positions. A cluster that is away is waited for, for
 * ever; what can never heal (a deleted topic, records deleted before they were read, refused credentials) ends the job
 * by name. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "io/connectors.h"
#include "io/kafka/identity.h"
#include "io/kafka/intake.h"
#include "io/kafka/positions.h"

enum {
    SERVE_NS = 5000000,     /* callbacks of the client, watermarks, commits are looked at this often */
    COMMIT_NS = 1000000000, /* positions are sent upstream at most this often */
    RETRY_NS = 1000000000,  /* between two rounds of questions about positions */
    ASK_AGAIN_MS = 1000,    /* of a running job: others need the helper, too */
    CLOSE_MS = 5000,        /* the last commit may take this long */
    SERVE_PARTITIONS = 64,  /* whose watermarks are read in one go */
    SERVE_EVENTS_MAX = 64,
    BYTES_PER_MESSAGE = 640, /* queued: about 310 bytes of the client's own, and a payload */
    QUEUE_MESSAGES_MIN = 100,
};
#define QUEUE_BYTES_PER_SHARD (1LL << 30)
#define ASK_AGAIN_NS 3000000000u
#define MISSING_NS 10000000000u /* so long a topic that was there may be unknown to its cluster */

static const struct tg_option options_table[] = {
    {"brokers", TG_OPTION_LIST, false, NULL, NULL, "Bootstrap brokers, host:port; needed when the job runs."},
    {"topic", TG_OPTION_TEXT, true, NULL, NULL, "Topic to read."},
    {"group", TG_OPTION_TEXT, false, NULL, NULL,
     "Name under which positions are kept in Kafka while checkpoints are off; default: the job's name. No group is "
     "joined."},
    {"start", TG_OPTION_CHOICE, false, "earliest", "earliest|latest|horizon|committed",
     "Where to begin without a checkpoint or, with checkpoints off, a committed position (or with --fresh): earliest; "
     "latest; horizon = as far back as the job's steps look; committed = like earliest. With checkpoints on committed "
     "positions are never used."},
    {"client", TG_OPTION_MAP, false, NULL, NULL,
     "Further librdkafka settings (TLS, SASL, timeouts), e.g. {security.protocol: sasl_ssl}."},
    {"password", TG_OPTION_SECRET, false, NULL, NULL, "SASL password; never logged or printed."},
    {"check_crcs", TG_OPTION_BOOLEAN, false, "true", NULL, "Verify the checksum of every record batch."},
    {"fetch_bytes", TG_OPTION_SIZE, false, "1MiB", NULL, "Largest answer per partition of one fetch."},
    /* Some 6,500 messages: several milliseconds of a partition at full speed. More only pushes what was read ahead out
     * of the caches before it is used. */
    {"queue_bytes", TG_OPTION_SIZE, false, "4MiB", NULL,
     "Records read ahead per partition; all partitions of a shard together stay below 1 GiB."},
};

struct kafka_source {
    struct tg_source_env env;
    struct tg_kafka_client client;
    struct tg_kafka_intake intake;
    struct tg_kafka_positions positions;
    enum tg_start_kind start;
    bool has_positions; /* assigned: records may come */
    uint64_t served_ns;
    uint64_t retry_ns;
    uint64_t missing_ns; /* when the cluster first said that it has no such topic or partition; 0 = it did not */
    uint64_t committed_ns;
    uint32_t serve_turn; /* partition whose watermark is read next */
    uint32_t turn;       /* partition polled next */
    uint64_t commit_errors;
    struct tg_log_limit commit_limit;
    uint32_t owned_count;
    struct tg_kafka_partition partitions[];
};

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

/* What suits most clusters; the job's client map may say otherwise. */
static const struct tg_kafka_setting defaults[] = {
    {"client.id", "turgo"},
    {"fetch.wait.max.ms", "50"},
    {"fetch.error.backoff.ms", "100"},
    {"reconnect.backoff.max.ms", "2000"},
    {"socket.keepalive.enable", "true"},
    {"socket.nagle.disable", "true"},
    {NULL, NULL},
};

/* Of a client that asks one question, before there are shards. */
static struct tg_kafka_setup asking(const struct tg_options *options, const char *source_name,
                                    const struct tg_kafka_setting *fixed)
{
    return (struct tg_kafka_setup){.kind = "sources",
                                   .name = source_name,
                                   .options = options,
                                   .defaults = defaults,
                                   .fixed = fixed,
                                   .quiet = true,
                                   .shard = -1};
}

static tg_status discover(const struct tg_options *options, const char *source_name, uint64_t deadline_ns,
                          uint32_t *partition_count, struct tg_error *err)
{
    static const struct tg_kafka_setting fixed[] = {{"allow.auto.create.topics", "false"}, {NULL, NULL}};
    const struct tg_kafka_setup setup = asking(options, source_name, fixed);
    struct tg_kafka_client client;
    tg_status status = tg_kafka_client_open(&client, &setup, err);
    if (status != TG_OK) { return status; }
    const struct tg_clock clock = tg_clock_real();
    const uint64_t now_ns = tg_clock_now_ns(&clock);
    const uint64_t wait_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    status = tg_kafka_topic_find(&client, tg_option_text(options, "topic"), wait_ns, partition_count, err);
    if (status == TG_OK && *partition_count > TG_PARTITIONS_MAX) {
        status = tg_fail(err, TG1206, 0, "topic \"%s\" has %u partitions; at most %u can be read",
                         tg_option_text(options, "topic"), *partition_count, TG_PARTITIONS_MAX);
    }
    tg_kafka_client_close(&client);
    return status;
}

static tg_status identify(const struct tg_options *options, const char *source_name, uint64_t deadline_ns,
                          struct tg_source_log *log, struct tg_error *err)
{
    static const struct tg_kafka_setting fixed[] = {
        {"allow.auto.create.topics", "false"}, {"isolation.level", "read_committed"}, {NULL, NULL}};
    const struct tg_kafka_setup setup = asking(options, source_name, fixed);
    return tg_kafka_identify(&setup, deadline_ns, log, err);
}

static size_t state_bytes(const struct tg_options *options, uint32_t owned_count)
{
    (void)options;
    return sizeof(struct kafka_source) + owned_count * sizeof(struct tg_kafka_partition);
}

static void on_records(rd_kafka_t *rk, void *loop)
{
    (void)rk;
    tg_loop_wake(loop); /* in a thread of the client */
}

static void on_commit(void *owner, rd_kafka_resp_err_t err);

static tg_status client_open(struct kafka_source *source, struct tg_error *err)
{
    const struct tg_options *options = source->env.options;
    const char *group = tg_option_text(options, "group");
    char messages[24];
    char kbytes[24];
    char fetch[24];
    (void)snprintf(messages, sizeof messages, "%u", source->intake.queue_messages);
    (void)snprintf(kbytes, sizeof kbytes, "%llu", (unsigned long long)(source->intake.queue_bytes / 1024));
    (void)snprintf(fetch, sizeof fetch, "%lld", (long long)tg_option_number(options, "fetch_bytes"));
    const struct tg_kafka_setting fixed[] = {
        {"group.id", group != NULL ? group : source->env.job_name},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"enable.partition.eof", "true"},
        {"isolation.level", "read_committed"},
        {"allow.auto.create.topics", "false"},
        {"check.crcs", tg_option_number(options, "check_crcs") != 0 ? "true" : "false"},
        {"queued.min.messages", messages},
        {"queued.max.messages.kbytes", kbytes},
        {"fetch.message.max.bytes", fetch},
        {NULL, NULL},
    };
    const struct tg_kafka_setup setup = {.kind = "sources",
                                         .name = source->env.source_name,
                                         .options = options,
                                         .defaults = defaults,
                                         .fixed = fixed,
                                         .shard = (int)source->env.shard};
    const tg_status status = tg_kafka_client_open(&source->client, &setup, err);
    if (status != TG_OK) { return status; }
    source->client.owner = source;
    source->client.on_commit = on_commit;
    (void)rd_kafka_poll_set_consumer(source->client.rk); /* one queue for all callbacks */
    return TG_OK;
}

/* A queue per partition, cut off from the client's common one: a raw batch is of one partition, and a partition that is
 * behind must not stand in front of the others. */
static tg_status queues_open(struct kafka_source *source, struct tg_error *err)
{
    for (uint32_t i = 0; i < source->owned_count; i++) {
        struct tg_kafka_partition *partition = &source->partitions[i];
        partition->number = source->env.partitions[i];
        partition->commit = -1;
        partition->commit_told = -1;
        partition->queue =
            rd_kafka_queue_get_partition(source->client.rk, source->intake.topic, (int32_t)partition->number);
        if (partition->queue == NULL) {
            return tg_fail(err, TG1206, 0, "topic \"%s\" partition %u has no queue", source->intake.topic,
                           partition->number);
        }
        rd_kafka_queue_forward(partition->queue, NULL);
        if (source->env.loop != NULL) {
            rd_kafka_queue_cb_event_enable(partition->queue, on_records, source->env.loop);
        }
    }
    return TG_OK;
}

static void limits_read(struct kafka_source *source)
{
    const struct tg_options *options = source->env.options;
    const int64_t share = QUEUE_BYTES_PER_SHARD / (source->owned_count == 0 ? 1 : source->owned_count);
    int64_t bytes = tg_option_number(options, "queue_bytes");
    if (bytes > share) { bytes = share; }
    source->intake.queue_bytes = bytes < 1024 ? 1024 : (uint64_t)bytes;
    const uint64_t messages = source->intake.queue_bytes / BYTES_PER_MESSAGE;
    source->intake.queue_messages = messages < QUEUE_MESSAGES_MIN ? QUEUE_MESSAGES_MIN : (uint32_t)messages;
}

static const char *map_text(const struct tg_option_value *map, const char *name)
{
    for (uint32_t i = 0; map->is_set && i < map->count; i++) {
        if (strcmp(map->names[i], name) == 0) { return map->texts[i]; }
    }
    return "";
}

static tg_status open_source(void *state, const struct tg_source_env *env, struct tg_error *err)
{
    struct kafka_source *source = state;
    const char *password = tg_option_text(env->options, "password");
    TG_ASSERT(env->poll_count_max >= 1 && env->poll_count_max <= TG_BATCH_ROWS_MAX);
    source->env = *env;
    source->owned_count = env->owned_count;
    source->start = (enum tg_start_kind)tg_option_number(env->options, "start");
    source->intake = (struct tg_kafka_intake){
        .client = &source->client,
        .topic = tg_option_text(env->options, "topic"),
        .fill = {.pool = env->buffers},
        .poll_count_max = env->poll_count_max,
        .user = map_text(tg_option(env->options, "client"), "sasl.username"),
        .password = password != NULL ? password : "",
    };
    limits_read(source);
    tg_status status = client_open(source, err);
    if (status == TG_OK) { status = queues_open(source, err); }
    if (status != TG_OK) { return status; }
    tg_kafka_positions_init(&source->positions, source->client.rk, source->intake.topic, env->partitions,
                            env->owned_count);
    source->positions.want_committed = !env->fresh && env->positions == NULL;
    source->positions.want_times = source->start == TG_START_HORIZON;
    source->positions.time_ms = (tg_clock_wall_us(&env->clock) - env->horizon) / 1000;
    return TG_OK;
}

/* ---- positions --------------------------------------------------------------------------------------------------- */

/* All questions are answered: begin to fetch. */
static tg_status assign(struct kafka_source *source, struct tg_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)source->owned_count);
    tg_status status = TG_OK;
    for (uint32_t i = 0; i < source->owned_count && status == TG_OK; i++) {
        struct tg_kafka_partition *partition = &source->partitions[i];
        if (source->env.positions != NULL && source->env.positions[i] >= 0) {
            source->positions.committed->elems[i].offset = source->env.positions[i];
        }
        status = tg_kafka_positions_start(&source->positions, i, source->start, &partition->next, err);
        partition->high = source->positions.high->elems[i].offset;
        partition->end = source->env.bounded ? partition->high : INT64_MAX;
        if (partition->next < partition->end) {
            rd_kafka_topic_partition_list_add(list, source->intake.topic, (int32_t)partition->number)->offset =
                partition->next;
        }
    }
    if (status == TG_OK && list->cnt > 0) {
        const rd_kafka_resp_err_t refused = rd_kafka_assign(source->client.rk, list);
        if (refused != RD_KAFKA_RESP_ERR_NO_ERROR) {
            status = tg_fail(err, TG1206, 0, "topic \"%s\": assigning its partitions failed: %s", source->intake.topic,
                             rd_kafka_err2str(refused));
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

/* A broker that has just started knows nothing of its topics for a moment, and ours was there when the run began. */
static bool may_appear(struct kafka_source *source, rd_kafka_resp_err_t err, uint64_t now_ns)
{
    if (!tg_kafka_is_missing(err)) { return false; }
    if (source->missing_ns == 0) { source->missing_ns = now_ns; }
    return now_ns - source->missing_ns < MISSING_NS;
}

/* Ask, wait, ask again: true when all questions are answered. */
static bool positions_answered(struct kafka_source *source, uint64_t now_ns)
{
    struct tg_kafka_positions *positions = &source->positions;
    switch (positions->phase) {
    case TG_KAFKA_POSITIONS_IDLE:
        if (now_ns < source->retry_ns) { return false; }
        if (!tg_kafka_positions_ask(positions, source->env.helper, source->env.shard)) { source->retry_ns = now_ns; }
        return false;
    case TG_KAFKA_POSITIONS_ASKING: return false;
    case TG_KAFKA_POSITIONS_ANSWERED: break;
    }
    positions->phase = TG_KAFKA_POSITIONS_IDLE;
    source->retry_ns = now_ns + (source->has_positions ? ASK_AGAIN_NS : RETRY_NS);
    if (positions->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        source->missing_ns = 0;
        return true;
    }
    const bool transient = tg_kafka_is_transient(positions->err);
    if (transient) { source->missing_ns = 0; } /* nobody says that it is missing */
    if (transient || may_appear(source, positions->err, now_ns)) {
        tg_kafka_client_waiting(&source->client, source->client.reason[0] != '\0' ? source->client.reason
                                                                                  : rd_kafka_err2str(positions->err));
    } else if (source->has_positions && tg_kafka_is_missing(positions->err)) {
        source->intake.status =
            tg_fail(&source->intake.error, TG1203, 0, "topic \"%s\" does not exist any more on %s (%s)",
                    source->intake.topic, source->client.brokers, rd_kafka_err2str(positions->err));
    } else {
        source->intake.status = tg_fail(&source->intake.error, tg_kafka_is_missing(positions->err) ? TG1203 : TG1206, 0,
                                        "topic \"%s\" on %s: asking for %s failed: %s", source->intake.topic,
                                        source->client.brokers, positions->question, rd_kafka_err2str(positions->err));
    }
    return false;
}

static void seek_positions(struct kafka_source *source, uint64_t now_ns)
{
    if (!positions_answered(source, now_ns)) { return; }
    source->intake.status = assign(source, &source->intake.error);
    source->has_positions = source->intake.status == TG_OK;
    source->positions.want_committed = false;
    source->positions.want_times = false;
    source->positions.answer_ms = ASK_AGAIN_MS;
    source->client.drained = true;
    tg_kafka_client_alive(&source->client);
}

/* Nobody could be reached, or somebody said that the topic is unknown. The client goes on by itself; of a topic that is
 * another one of its name then, the offsets tell. What came meanwhile is unread, though the client may not have heard.
 */
static void ask_again(struct kafka_source *source, uint64_t now_ns)
{
    if (!positions_answered(source, now_ns)) { return; }
    for (uint32_t i = 0; i < source->owned_count; i++) {
        const int64_t high = source->positions.high->elems[i].offset;
        if (high > source->partitions[i].high) { source->partitions[i].high = high; }
    }
    source->intake.unsure = false;
    source->client.drained = true;
    tg_kafka_client_alive(&source->client);
}

/* ---- commits ----------------------------------------------------------------------------------------------------- */

static void on_commit(void *owner, rd_kafka_resp_err_t err)
{
    struct kafka_source *source = owner;
    uint64_t suppressed = 0;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR || err == RD_KAFKA_RESP_ERR__NO_OFFSET) { return; }
    source->commit_errors++;
    for (uint32_t i = 0; i < source->owned_count; i++) { source->partitions[i].commit_told = -1; } /* tell again */
    if (!tg_log_allowed(&source->commit_limit, source->client.now_ns, &suppressed)) { return; }
    tg_log(TG_LOG_WARN, TG_CODE_NONE, source->client.shard, NULL, "%s: positions were not committed: %s%s",
           source->client.block, rd_kafka_err2str(err),
           err == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ? " (another program is a member of this group)" : "");
}

/* Positions that upstream has not been told yet; NULL when there are none. */
static rd_kafka_topic_partition_list_t *commits_take(struct kafka_source *source)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    for (uint32_t i = 0; i < source->owned_count; i++) {
        struct tg_kafka_partition *partition = &source->partitions[i];
        if (partition->commit < 0 || partition->commit == partition->commit_told) { continue; }
        if (list == NULL) { list = rd_kafka_topic_partition_list_new((int)source->owned_count); }
        rd_kafka_topic_partition_list_add(list, source->intake.topic, (int32_t)partition->number)->offset =
            partition->commit;
        partition->commit_told = partition->commit;
    }
    return list;
}

static void commits_send(struct kafka_source *source, uint64_t now_ns)
{
    if (now_ns - source->committed_ns < COMMIT_NS) { return; }
    source->committed_ns = now_ns;
    rd_kafka_topic_partition_list_t *list = commits_take(source);
    if (list == NULL) { return; }
    const rd_kafka_resp_err_t err = rd_kafka_commit(source->client.rk, list, 1);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) { on_commit(source, err); }
    rd_kafka_topic_partition_list_destroy(list);
}

/* Where in partitions[owned_count] the one of that number is; owned_count = it is another shard's. */
static uint32_t place_of(const struct kafka_source *source, uint32_t number)
{
    uint32_t place = 0;
    while (place < source->owned_count && source->partitions[place].number != number) { place++; }
    return place;
}

static void commit(void *state, uint32_t number, int64_t offset)
{
    struct kafka_source *source = state;
    const uint32_t place = place_of(source, number);
    if (place < source->owned_count) { source->partitions[place].commit = offset; }
    /* Also from here: a shard under back-pressure does not poll, yet what has taken effect grows. */
    if (source->client.rk != NULL) { commits_send(source, tg_clock_now_ns(&source->env.clock)); }
}

static void commits_flush(struct kafka_source *source)
{
    for (uint32_t i = 0; i < source->owned_count; i++) { source->partitions[i].commit_told = -1; }
    rd_kafka_topic_partition_list_t *list = commits_take(source);
    if (list == NULL) { return; }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(source->client.rk);
    if (rd_kafka_commit_queue(source->client.rk, list, queue, NULL, NULL) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CLOSE_MS);
        if (event == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            tg_log(TG_LOG_WARN, TG_CODE_NONE, source->client.shard, NULL,
                   "%s: the last positions were not committed: %s", source->client.block,
                   event == NULL ? "no answer" : rd_kafka_event_error_string(event));
        }
        if (event != NULL) { rd_kafka_event_destroy(event); }
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_partition_list_destroy(list);
}

/* ---- the duty cycle ---------------------------------------------------------------------------------------------- */

static void serve_events(struct kafka_source *source)
{
    for (uint32_t i = 0; i < SERVE_EVENTS_MAX; i++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(source->client.rk, 0);
        if (message == NULL) { break; }
        /* Records have queues of their own; what comes here are the client's complaints. */
        if (tg_kafka_is_transient(message->err)) {
            tg_kafka_client_waiting(&source->client, rd_kafka_message_errstr(message));
        } else if (tg_kafka_is_missing(message->err)) {
            source->intake.unsure = true;
        } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && source->intake.status == TG_OK) {
            source->intake.status = tg_fail(&source->intake.error, TG1206, 0, "%s: %s", source->client.block,
                                            rd_kafka_message_errstr(message));
        }
        rd_kafka_message_destroy(message);
    }
    if (source->client.fatal && source->intake.status == TG_OK) {
        source->intake.status = tg_kafka_client_failure(&source->client, &source->intake.error);
    }
}

/* Ends of logs for lag, and partitions that wait although there is more. */
static void serve_watermarks(struct kafka_source *source, uint64_t now_ns)
{
    const uint32_t count = source->owned_count < SERVE_PARTITIONS ? source->owned_count : SERVE_PARTITIONS;
    for (uint32_t i = 0; i < count; i++) {
        struct tg_kafka_partition *partition = &source->partitions[source->serve_turn];
        source->serve_turn = source->serve_turn + 1 == source->owned_count ? 0 : source->serve_turn + 1;
        int64_t low = 0;
        int64_t high = 0;
        (void)rd_kafka_get_watermark_offsets(source->client.rk, source->intake.topic, (int32_t)partition->number, &low,
                                             &high); /* what the last fetch said; nothing is sent */
        if (high > partition->high) { partition->high = high; }
        tg_kafka_intake_check(&source->intake, partition, now_ns);
    }
}

static void serve(struct kafka_source *source, uint64_t now_ns)
{
    source->served_ns = now_ns;
    source->client.now_ns = now_ns;
    serve_events(source);
    if (source->intake.status != TG_OK) { return; }
    if (!source->has_positions) {
        seek_positions(source, now_ns);
        return;
    }
    if (source->intake.unsure) { ask_again(source, now_ns); }
    serve_watermarks(source, now_ns);
    commits_send(source, now_ns);
}

static uint32_t poll_source(void *state, struct tg_raw_batch *out, uint64_t now_ns)
{
    struct kafka_source *source = state;
    out->count = 0;
    out->flags = 0;
    out->buffer = NULL;
    out->arrived_ns = now_ns;
    if (now_ns - source->served_ns >= SERVE_NS) { serve(source, now_ns); }
    if (!source->has_positions || source->intake.status != TG_OK) { return 0; }
    for (uint32_t i = 0; i < source->owned_count; i++) {
        struct tg_kafka_partition *partition = &source->partitions[source->turn];
        source->turn = source->turn + 1 == source->owned_count ? 0 : source->turn + 1;
        if (tg_kafka_intake_poll(&source->intake, partition, out, now_ns) != 0) {
            tg_kafka_client_alive(&source->client);
            return 1;
        }
    }
    source->client.drained = true;
    return 0;
}

static tg_status failure(const void *state, struct tg_error *err)
{
    const struct kafka_source *source = state;
    if (source->intake.status != TG_OK && err != NULL) { *err = source->intake.error; }
    return source->intake.status;
}

static int64_t position(const void *state, uint32_t number)
{
    const struct kafka_source *source = state;
    const uint32_t place = place_of(source, number);
    if (!source->has_positions || place == source->owned_count) { return -1; }
    return tg_kafka_intake_position(&source->partitions[place]);
}

static bool unread(void *state, uint32_t number)
{
    struct kafka_source *source = state;
    const uint32_t place = place_of(source, number);
    return source->has_positions && place < source->owned_count &&
           tg_kafka_intake_unread(&source->intake, &source->partitions[place]);
}

static int64_t lag(const void *state)
{
    const struct kafka_source *source = state;
    int64_t sum = 0;
    if (!source->has_positions) { return -1; }
    for (uint32_t i = 0; i < source->owned_count; i++) {
        const struct tg_kafka_partition *partition = &source->partitions[i];
        const int64_t end = partition->high < partition->end ? partition->high : partition->end;
        if (end > partition->next) { sum += end - partition->next; }
    }
    return sum;
}

static void close_source(void *state)
{
    struct kafka_source *source = state;
    if (source->client.rk != NULL) {
        tg_kafka_positions_deinit(&source->positions, source->env.helper, source->env.shard);
        commits_flush(source);
    }
    for (uint32_t i = 0; i < source->owned_count; i++) { tg_kafka_partition_close(&source->partitions[i]); }
    tg_kafka_client_close(&source->client);
    tg_fill_close(&source->intake.fill);
}

const struct tg_source_ops tg_kafka_source = {
    .name = "kafka",
    .options = options_table,
    .option_count = sizeof options_table / sizeof options_table[0],
    .discover = discover,
    .identify = identify,
    .state_bytes = state_bytes,
    .open = open_source,
    .poll = poll_source,
    .failure = failure,
    .position = position,
    .unread = unread,
    .lag = lag,
    .commit = commit,
    .close = close_source,
};
