/* The Kafka sink: an append log of JSON rows, keyed by the row key where there is one. Idempotent producer, all
 * replicas, no time-out: a row is confirmed, waits, or ends the job by name. An idempotent producer of librdkafka 2.0.2
 * can declare itself dead (a time-out in the wrong moment breaks its sequence numbers); the rows are still in the
 * spool, so it is replaced and they are sent again. At-least-once: such a replacement, and a crash, may write rows
 * twice.
 *
 * Rows that are too large. What a topic takes is known to its brokers only, and they refuse a whole batch, innocent
 * rows too. Rows of columns that may be shortened (dead letters: somebody else's record must not end the job) are
 * therefore kept with a shorter form of their own, which goes out once the longer one was refused, and rows that were
 * only near it go out again. All other rows end the job: they cannot be written as they are, and nothing is dropped. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "io/connectors.h"
#include "io/kafka/client.h"
#include "io/kafka/spool.h"

enum { SLOTS = 32768, SERVE_NS = 5000000, REPLACE_NS = 1000000000 };
enum { SHORT_FROM_BYTES = 32768 }; /* values below this have no shorter form; no topic takes less */
enum { REFUSALS_MAX = 8 };         /* of an innocent row, each time in other company */

static const struct tg_option options_table[] = {
    {"brokers", TG_OPTION_LIST, false, NULL, NULL, "Bootstrap brokers, host:port; needed when the job runs."},
    {"topic", TG_OPTION_TEXT, true, NULL, NULL, "Topic to write."},
    {"client", TG_OPTION_MAP, false, NULL, NULL,
     "Further librdkafka settings (TLS, SASL, compression.codec, linger.ms)."},
    {"password", TG_OPTION_SECRET, false, NULL, NULL, "SASL password; never logged or printed."},
    {"queue_bytes", TG_OPTION_SIZE, false, "16MiB", NULL,
     "Rows of one shard on their way, rounded up to a power of two; a full queue is back-pressure."},
};

static const struct tg_kafka_setting defaults[] = {
    {"client.id", "turgo"},           {"linger.ms", "5"},
    {"batch.num.messages", "20000"},  {"reconnect.backoff.max.ms", "2000"},
    {"socket.keepalive.enable", "true"}, {"socket.nagle.disable", "true"},
    {NULL, NULL},
};

/* SLOTS is the bound; the client's own is above it and never met. */
static const struct tg_kafka_setting fixed[] = {
    {"enable.idempotence", "true"},
    {"acks", "all"},
    {"message.timeout.ms", "0"},
    {"partitioner", "murmur2_random"},
    {"allow.auto.create.topics", "false"},
    {"queue.buffering.max.messages", "100000"},
    {"queue.buffering.max.kbytes", "2097151"},
    {NULL, NULL},
};

struct kafka_sink {
    struct tg_sink_env env;
    struct tg_kafka_client client;
    rd_kafka_topic_t *topic;
    struct tg_kafka_spool spool;
    const char *topic_name;
    uint64_t now_ns;
    uint64_t served_ns;
    uint64_t replaced_ns;
    uint64_t resend;       /* no slot before this one waits to be given to the client; spool.next = none does */
    struct tg_row *shortened; /* room for one row; NULL = rows of this schema cannot be shortened */
    struct tg_log_limit shorten_limit;
    uint64_t flush_turn;   /* flushes asked for */
    uint64_t outstanding_before; /* rows taken before the last flush and not confirmed */
    uint64_t outstanding_after;
    struct tg_sink_stats stats;
    tg_status status;
    struct tg_error error;
};

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

static struct tg_kafka_setup setup_of(const struct tg_sink_env *env, bool quiet)
{
    return (struct tg_kafka_setup){.kind = "sinks", .name = env->sink_name, .options = env->options,
                                   .defaults = defaults, .fixed = fixed, .producer = true, .quiet = quiet,
                                   .shard = quiet ? -1 : (int)env->shard};
}

static tg_status check(const struct tg_sink_env *env, uint64_t deadline_ns, struct tg_error *err)
{
    const struct tg_kafka_setup setup = setup_of(env, true);
    const char *topic = tg_option_text(env->options, "topic");
    struct tg_kafka_client client;
    uint32_t partitions = 0;
    tg_status status = tg_kafka_client_open(&client, &setup, err);
    if (status != TG_OK) { return status; }
    struct tg_error found = {0};
    const struct tg_clock clock = tg_clock_real();
    const uint64_t now_ns = tg_clock_now_ns(&clock);
    const uint64_t wait_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    status = tg_kafka_topic_find(&client, topic, wait_ns, &partitions, &found);
    if (status != TG_OK && found.code == TG1203 && env->create_tables) {
        bool created = false;
        found = (struct tg_error){0};
        status = tg_kafka_topic_create(&client, topic, -1, &created, &found);
    }
    if (status != TG_OK && err != NULL) { *err = found; }
    tg_kafka_client_close(&client);
    return status;
}

static tg_status share(const struct tg_sink_env *env, void **shared, struct tg_error *err)
{
    (void)env;
    (void)err;
    *shared = NULL; /* every shard has a producer of its own */
    return TG_OK;
}

static void unshare(void *shared) { (void)shared; }

static uint64_t queue_capacity(const struct tg_sink_env *env)
{
    const int64_t wanted = tg_option_number(env->options, "queue_bytes");
    uint64_t capacity = 65536;
    while (capacity < (uint64_t)wanted && capacity < 1u << 30) { capacity *= 2; }
    return capacity;
}

static size_t state_bytes(const struct tg_sink_env *env)
{
    (void)env;
    return sizeof(struct kafka_sink);
}

static void on_confirmed(rd_kafka_t *rk, void *loop)
{
    (void)rk;
    tg_loop_wake(loop); /* in a thread of the client */
}

static void on_delivery(void *owner, const rd_kafka_message_t *message);

static tg_status client_open(struct kafka_sink *sink, struct tg_error *err)
{
    const struct tg_kafka_setup setup = setup_of(&sink->env, false);
    const tg_status status = tg_kafka_client_open(&sink->client, &setup, err);
    if (status != TG_OK) { return status; }
    sink->client.owner = sink;
    sink->client.on_delivery = on_delivery;
    sink->client.now_ns = sink->now_ns;
    sink->topic = rd_kafka_topic_new(sink->client.rk, sink->topic_name, NULL);
    if (sink->topic == NULL) {
        return tg_fail(err, TG1203, 0, "\"%s\" is not a topic name (%s.topic)", sink->topic_name, sink->client.block);
    }
    if (sink->env.loop != NULL) {
        rd_kafka_queue_t *queue = rd_kafka_queue_get_main(sink->client.rk);
        rd_kafka_queue_cb_event_enable(queue, on_confirmed, sink->env.loop);
        rd_kafka_queue_destroy(queue);
    }
    return TG_OK;
}

static void client_close(struct kafka_sink *sink)
{
    if (sink->client.rk == NULL) { return; }
    sink->client.on_delivery = NULL; /* reports of what is given up say nothing about the rows */
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(sink->client.rk);
    rd_kafka_queue_cb_event_enable(queue, NULL, NULL);
    rd_kafka_queue_destroy(queue);
    (void)rd_kafka_purge(sink->client.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    if (sink->topic != NULL) { rd_kafka_topic_destroy(sink->topic); }
    sink->topic = NULL;
    tg_kafka_client_close(&sink->client);
}

static tg_status open_sink(void *state, const struct tg_sink_env *env, struct tg_error *err)
{
    struct kafka_sink *sink = state;
    sink->env = *env;
    sink->topic_name = tg_option_text(env->options, "topic");
    sink->now_ns = tg_clock_now_ns(&env->clock);
    const tg_status status = tg_kafka_spool_init(&sink->spool, SLOTS, queue_capacity(env), env->arena, err);
    if (status != TG_OK) { return status; }
    for (uint32_t i = 0; i < env->schema->column_count && sink->shortened == NULL; i++) {
        if (env->schema->columns[i].shorten == TG_SHORTEN_NEVER) { continue; }
        sink->shortened = tg_arena_alloc(env->arena, env->schema->row_bytes, 16);
        if (sink->shortened == NULL) { return tg_fail(err, TG1601, 0, "no room for a row of %s", env->sink_name); }
    }
    return client_open(sink, err);
}

/* ---- confirmations ----------------------------------------------------------------------------------------------- */

static void confirm(struct kafka_sink *sink, struct tg_kafka_slot *slot)
{
    TG_ASSERT(slot->state == TG_KAFKA_SLOT_SENT);
    slot->state = TG_KAFKA_SLOT_CONFIRMED;
    sink->stats.rows_written++;
    if (slot->flush_turn < sink->flush_turn) {
        sink->outstanding_before--;
    } else {
        sink->outstanding_after--;
    }
    if (sink->env.latency != NULL && slot->arrived_ns != 0 && sink->now_ns > slot->arrived_ns) {
        tg_histogram_record(sink->env.latency, sink->now_ns - slot->arrived_ns, 1);
    }
}

static bool comes_back(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT ||
           err == RD_KAFKA_RESP_ERR__FATAL || err == RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER ||
           err == RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID || err == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH ||
           err == RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE || err == RD_KAFKA_RESP_ERR__INCONSISTENT ||
           tg_kafka_is_transient(err);
}

static bool is_too_large(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || err == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE;
}

static void note_shortened(struct kafka_sink *sink, uint64_t bytes)
{
    uint64_t suppressed = 0;
    if (!tg_log_allowed(&sink->shorten_limit, sink->now_ns, &suppressed)) { return; }
    tg_log(TG_LOG_WARN, TG2202, sink->client.shard, NULL,
           "%s: an entry of %llu bytes is too large for topic \"%s\": shortened (%llu more)", sink->client.block,
           (unsigned long long)bytes, sink->topic_name, (unsigned long long)suppressed);
}

/* The shorter form of a slot from here on, if there is one. */
static bool shorten(struct kafka_sink *sink, struct tg_kafka_slot *slot)
{
    const uint32_t bytes = slot->value_bytes;
    if (!tg_kafka_slot_shorten(slot)) { return false; }
    note_shortened(sink, bytes);
    return true;
}

/* The cluster refused a batch for its size; true when this row of it gets another chance. */
static bool try_smaller(struct kafka_sink *sink, struct tg_kafka_slot *slot)
{
    if (sink->shortened == NULL) { return false; }
    slot->state = TG_KAFKA_SLOT_WAITING;
    if (!shorten(sink, slot) && ++slot->refusals > REFUSALS_MAX) { return false; }
    const uint64_t position = tg_kafka_spool_position(&sink->spool, slot);
    if (position < sink->resend) { sink->resend = position; }
    return true;
}

static void on_delivery(void *owner, const rd_kafka_message_t *message)
{
    struct kafka_sink *sink = owner;
    struct tg_kafka_slot *slot = message->_private;
    if (TG_LIKELY(message->err == RD_KAFKA_RESP_ERR_NO_ERROR)) {
        confirm(sink, slot);
        return;
    }
    sink->stats.errors++;
    if (comes_back(message->err) || sink->client.fatal) {
        /* The client has given the row up, not we: a new client gets all rows that are not confirmed. */
        sink->client.fatal = true;
        return;
    }
    if (sink->status != TG_OK || (is_too_large(message->err) && try_smaller(sink, slot))) { return; }
    const bool missing = message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                         message->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    sink->status =
        tg_fail(&sink->error, missing ? TG1203 : TG1206, 0, "topic \"%s\" on %s refuses a row of %u bytes: %s",
                sink->topic_name, sink->client.brokers, slot->value_bytes, rd_kafka_message_errstr(message));
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static bool hand_over(const struct kafka_sink *sink, struct tg_kafka_slot *slot)
{
    const bool has_key = slot->key_bytes > 0;
    return rd_kafka_produce(sink->topic, RD_KAFKA_PARTITION_UA, 0, slot->data + slot->key_bytes, slot->value_bytes,
                            has_key ? slot->data : NULL, slot->key_bytes, slot) == 0;
}

/* Hand one row to the client; false = it has no room for it now. */
static bool produce(struct kafka_sink *sink, struct tg_kafka_slot *slot)
{
    bool taken = hand_over(sink, slot);
    if (!taken && is_too_large(rd_kafka_last_error()) && shorten(sink, slot)) { taken = hand_over(sink, slot); }
    if (taken) {
        slot->state = TG_KAFKA_SLOT_SENT;
        return true;
    }
    const rd_kafka_resp_err_t err = rd_kafka_last_error();
    if (err == RD_KAFKA_RESP_ERR__FATAL) {
        sink->client.fatal = true;
    } else if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL && sink->status == TG_OK) {
        sink->status = tg_fail(&sink->error, TG1206, 0,
                               "topic \"%s\": a row of %u bytes cannot be sent: %s (%s.client: "
                               "message.max.bytes is the limit)",
                               sink->topic_name, slot->value_bytes, rd_kafka_err2str(err), sink->client.block);
    }
    return false;
}

static void write_key(const struct kafka_sink *sink, struct tg_writer *writer, const struct tg_row *row)
{
    for (uint32_t i = 0; i < sink->env.key_count; i++) {
        const char *name = sink->env.schema->columns[sink->env.key_columns[i]].name;
        tg_write_bytes(writer, i == 0 ? "{" : ",", 1);
        tg_write_json_string(writer, name, (uint32_t)strlen(name));
        tg_write_bytes(writer, ":", 1);
        tg_write_json_value(writer, sink->env.schema, row, sink->env.key_columns[i]);
    }
    if (sink->env.key_count > 0) { tg_write_bytes(writer, "}", 1); }
}

/* Write key, value and the shorter value of `row` into the spool; NULL = no room at the moment. */
static struct tg_kafka_slot *spool_form(struct kafka_sink *sink, const struct tg_row *row)
{
    for (uint32_t attempt = 0; attempt < 2; attempt++) {
        struct tg_writer writer = tg_kafka_spool_claim(&sink->spool, attempt == 1);
        if (writer.data == NULL) { continue; }
        write_key(sink, &writer, row);
        const uint32_t key_bytes = writer.used;
        tg_write_json_row(&writer, sink->env.schema, row, sink->env.with_revision);
        const uint32_t long_end = writer.used;
        if (sink->shortened != NULL && long_end - key_bytes > SHORT_FROM_BYTES &&
            tg_row_shorten(sink->env.schema, row, sink->shortened)) {
            tg_write_json_row(&writer, sink->env.schema, sink->shortened, sink->env.with_revision);
        }
        if (!writer.overflow) {
            return tg_kafka_spool_commit(&sink->spool, &writer, key_bytes, writer.used - long_end);
        }
    }
    return NULL;
}

static struct tg_kafka_slot *spool_row(struct kafka_sink *sink, const struct tg_row *row)
{
    struct tg_kafka_slot *slot = spool_form(sink, row);
    if (slot != NULL || tg_kafka_spool_count(&sink->spool) != 0 || sink->status != TG_OK) { return slot; }
    /* The whole queue is too small for it. */
    if (sink->shortened != NULL && tg_row_shorten(sink->env.schema, row, sink->shortened)) {
        note_shortened(sink, sink->spool.capacity);
        slot = spool_form(sink, sink->shortened);
    }
    if (slot == NULL) {
        sink->status =
            tg_fail(&sink->error, TG1206, 0, "sink %s: a row is longer than queue_bytes", sink->env.sink_name);
    }
    return slot;
}

static uint32_t push(void *state, const struct tg_batch *batch, uint32_t from)
{
    struct kafka_sink *sink = state;
    uint32_t index = from;
    if (sink->client.fatal || sink->resend != sink->spool.next) { return 0; } /* rows before these come first */
    for (; index < batch->count && sink->status == TG_OK; index++) {
        struct tg_kafka_slot *slot = spool_row(sink, tg_batch_row(batch, index));
        if (slot == NULL) { break; }
        slot->arrived_ns = batch->arrived_ns;
        slot->flush_turn = sink->flush_turn;
        if (!produce(sink, slot)) {
            tg_kafka_spool_undo(&sink->spool);
            break;
        }
        sink->resend = sink->spool.next;
        sink->outstanding_after++;
    }
    sink->stats.rows_taken += index - from;
    return index - from;
}

/* ---- the duty cycle ---------------------------------------------------------------------------------------------- */

/* The client is dead: give the rows that it has not confirmed to a new one. Closing waits for the old one's threads, a
 * fraction of a second at worst; rare enough to spare a state machine. */
static void replace_client(struct kafka_sink *sink)
{
    if (tg_kafka_is_authentication(sink->client.error)) {
        sink->status = tg_kafka_client_failure(&sink->client, &sink->error);
        return;
    }
    if (sink->now_ns - sink->replaced_ns < REPLACE_NS) { return; }
    if (TG_FAILPOINT("kafka.replace") != 0) { return; }
    sink->replaced_ns = sink->now_ns;
    tg_log(TG_LOG_WARN, TG_CODE_NONE, sink->client.shard, NULL,
           "%s: the producer gave up (%s); %llu rows are sent again", sink->client.block, sink->client.reason,
           (unsigned long long)tg_kafka_spool_count(&sink->spool));
    client_close(sink);
    sink->status = client_open(sink, &sink->error);
    for (uint64_t i = sink->spool.first; i < sink->spool.next; i++) {
        struct tg_kafka_slot *slot = tg_kafka_spool_slot(&sink->spool, i);
        if (slot->state == TG_KAFKA_SLOT_SENT) { slot->state = TG_KAFKA_SLOT_WAITING; }
    }
    sink->resend = sink->spool.first;
}

static void send_again(struct kafka_sink *sink)
{
    while (sink->resend != sink->spool.next && sink->status == TG_OK && !sink->client.fatal) {
        struct tg_kafka_slot *slot = tg_kafka_spool_slot(&sink->spool, sink->resend);
        if (slot->state == TG_KAFKA_SLOT_WAITING) {
            if (!produce(sink, slot)) { return; }
            sink->stats.retries++;
        }
        sink->resend++;
    }
}

static uint32_t poll_sink(void *state, uint64_t now_ns)
{
    struct kafka_sink *sink = state;
    if (sink->status != TG_OK) { return 0; }
    if (tg_kafka_spool_count(&sink->spool) == 0 && now_ns - sink->served_ns < SERVE_NS) { return 0; }
    sink->served_ns = now_ns;
    sink->now_ns = now_ns;
    sink->client.now_ns = now_ns;
    if (tg_kafka_spool_count(&sink->spool) != 0 && TG_FAILPOINT("kafka.serve") != 0) { sink->client.fatal = true; }
    (void)rd_kafka_poll(sink->client.rk, 0);
    if (sink->client.fatal) {
        replace_client(sink);
        return 0;
    }
    send_again(sink);
    const uint32_t trimmed = tg_kafka_spool_trim(&sink->spool);
    if (trimmed > 0) {
        sink->client.drained = true; /* a confirmation is news */
        tg_kafka_client_alive(&sink->client);
    }
    return trimmed;
}

/* The client sends within linger.ms by itself; a flush only draws the line. */
static void flush(void *state)
{
    struct kafka_sink *sink = state;
    (void)TG_FAILPOINT("kafka.flush");
    sink->flush_turn++;
    sink->outstanding_before += sink->outstanding_after;
    sink->outstanding_after = 0;
}

static bool flushed(const void *state)
{
    const struct kafka_sink *sink = state;
    return sink->outstanding_before == 0;
}

static tg_status failure(const void *state, struct tg_error *err)
{
    const struct kafka_sink *sink = state;
    if (sink->status != TG_OK && err != NULL) { *err = sink->error; }
    return sink->status;
}

static void stats(const void *state, struct tg_sink_stats *out)
{
    const struct kafka_sink *sink = state;
    *out = sink->stats;
    out->pending = sink->outstanding_before + sink->outstanding_after;
}

static void close_sink(void *state)
{
    struct kafka_sink *sink = state;
    client_close(sink);
}

const struct tg_sink_ops tg_kafka_sink = {
    .name = "kafka",
    .options = options_table,
    .option_count = sizeof options_table / sizeof options_table[0],
    .keyed = false,
    .needs_server = true,
    .check = check,
    .share = share,
    .unshare = unshare,
    .state_bytes = state_bytes,
    .open = open_sink,
    .push = push,
    .poll = poll_sink,
    .flush = flush,
    .flushed = flushed,
    .failure = failure,
    .stats = stats,
    .close = close_sink,
};
