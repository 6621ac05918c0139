/* The Cassandra sink: rows become images (statement.h), wait and coalesce (pending.h), are routed (cluster.h), written
 * with version_base + revision as their write timestamp, and sent again until they are acknowledged. Nothing is ever
 * dropped: when memory is full, push takes fewer rows. */
#include <stdio.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "io/cassandra/pending.h"
#include "io/cassandra/settings.h"
#include "io/connectors.h"

enum {
    DISPATCH_MAX = 1024, /* writes started by one poll */
    LIMITED_ATTEMPTS = 10,
    BLOCK_BYTES_MIN = 64,
    BLOCK_BYTES_MAX = 1024,
    CLOSE_ROUNDS_MAX = 2000,
};
static const uint64_t RETRY_MIN_NS = 20000000u;
static const uint64_t RETRY_MAX_NS = 1000000000u;
static const uint64_t CLOSE_WAIT_NS = 1000000u;
static const uint64_t GRACE_NS = 2000000000u; /* silence before the first "waiting" line */

struct sink {
    struct tg_cql_settings settings;
    struct tg_cql_statement statement;
    struct tg_cql_cluster cluster;
    struct tg_cql_pending pending;
    struct tg_loop *loop;
    struct tg_histogram *latency;
    struct tg_clock clock;
    int64_t version_base;
    int shard;
    bool hurry; /* memory is short: write without waiting for newer revisions */
    uint8_t *image;   /* [statement.image_bytes_max] the row being taken */
    uint8_t *scratch; /* for tokens: image and key at a time */
    struct tg_prng prng;
    struct tg_sink_stats stats;
    struct tg_error failure;
    struct tg_log_limit waiting_limit;
    struct tg_log_limit error_limit;
    uint64_t down_ns; /* since when no connection is up; 0 = one is */
    bool said_waiting;
};

/* ---- open and close ---------------------------------------------------------------------------------------------- */

static size_t sink_state_bytes(const struct tg_sink_env *env)
{
    (void)env;
    return sizeof(struct sink);
}

static tg_status sink_share(const struct tg_sink_env *env, void **shared, struct tg_error *err)
{
    (void)env;
    (void)err;
    *shared = NULL;
    return TG_OK;
}

static void sink_unshare(void *shared) { (void)shared; }

/* A block holds a usual row: numbers in full, texts of 32 bytes. */
static uint32_t block_bytes_for(const struct tg_schema *schema)
{
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const enum tg_type type = schema->columns[i].type;
        bytes += type == TG_TYPE_TEXT || type == TG_TYPE_JSON || type == TG_TYPE_ENUM ? 36 : 16;
    }
    bytes = (bytes + BLOCK_BYTES_MIN - 1) / BLOCK_BYTES_MIN * BLOCK_BYTES_MIN;
    return bytes > BLOCK_BYTES_MAX ? BLOCK_BYTES_MAX : bytes;
}

static tg_status open_pending(struct sink *s, const struct tg_sink_env *env, struct tg_error *err)
{
    uint64_t rows = s->settings.pending_max;
    if (env->max_keys > 0 && env->max_keys < rows) { rows = env->max_keys < 16 ? 16 : env->max_keys; }
    const uint32_t block_bytes = block_bytes_for(env->schema);
    uint64_t blocks = s->settings.pending_bytes / block_bytes;
    if (blocks > 2 * rows && s->statement.image_bytes_max <= block_bytes) { blocks = 2 * rows; }
    if (blocks > UINT32_MAX / 2) { blocks = UINT32_MAX / 2; }
    const struct tg_cql_pending_config config = {
        .entry_count = (uint32_t)rows,
        .block_bytes = block_bytes,
        .block_count = (uint32_t)blocks,
        .image_bytes_max = s->statement.image_bytes_max,
    };
    return tg_cql_pending_init(&s->pending, &config, env->arena, err);
}

static tg_status sink_open(void *state, const struct tg_sink_env *env, struct tg_error *err)
{
    struct sink *s = state;
    *s = (struct sink){.loop = env->loop, .latency = env->latency, .clock = env->clock,
                       .version_base = env->version_base, .shard = (int)env->shard};
    tg_status status = tg_cql_settings_read(&s->settings, env->options, err);
    if (status != TG_OK) { return status; }
    const struct tg_cql_statement_config insert = {&s->settings.target, env->schema, env->key_columns, env->key_count};
    status = tg_cql_statement_init(&s->statement, &insert, env->arena, err);
    if (status != TG_OK) { return status; }
    s->statement.nulls_unset = s->settings.nulls_unset;
    status = open_pending(s, env, err);
    if (status != TG_OK) { return status; }
    s->image = tg_arena_alloc(env->arena, s->statement.image_bytes_max, 64);
    s->scratch = tg_arena_alloc(env->arena, 2 * (size_t)s->statement.image_bytes_max + 4 * TG_COLUMNS_MAX, 64);
    if (s->image == NULL || s->scratch == NULL) {
        return tg_fail(err, TG1601, 0, "arena too small for a Cassandra row");
    }
    s->prng.state = (uint64_t)tg_clock_wall_us(&env->clock) * 64 + env->shard;
    struct tg_cql_cluster_config config = {
        .connection = tg_cql_settings_connection(&s->settings),
        .keyspace = s->settings.target.keyspace,
        .datacenter = s->settings.datacenter,
        .connections_per_node = s->settings.connections_per_node,
    };
    config.connection.loop = env->loop;
    config.connection.statement = &s->statement;
    config.connection.seed = tg_prng_next(&s->prng);
    status = tg_cql_resolve(config.contacts, &config.contact_count, s->settings.hosts, s->settings.host_count, err);
    if (status != TG_OK) { return status; }
    return tg_cql_cluster_open(&s->cluster, &config, env->arena, err);
}

static void sink_close(void *state)
{
    struct sink *s = state;
    if (s->cluster.connections == NULL) { return; } /* open failed before anything was started */
    tg_cql_cluster_stop(&s->cluster, tg_clock_now_ns(&s->clock));
    for (uint32_t round = 0; !tg_cql_cluster_quiet(&s->cluster); round++) { /* its operations point into our state */
        TG_ASSERT(round < CLOSE_ROUNDS_MAX);
        if (tg_loop_poll(s->loop) == 0) { tg_loop_park(s->loop, CLOSE_WAIT_NS, NULL, NULL); }
    }
}

/* ---- taking rows ------------------------------------------------------------------------------------------------- */

static uint32_t sink_push(void *state, const struct tg_batch *batch, uint32_t from)
{
    struct sink *s = state;
    if (s->failure.status != TG_OK || !s->statement.bound) { return 0; } /* types are known once a node prepared it */
    const uint64_t now_ns = tg_clock_now_ns(&s->clock);
    struct tg_cql_image image = {
        .arrived_ns = batch->arrived_ns == 0 ? now_ns : batch->arrived_ns,
        .due_ns = now_ns + s->settings.flush_every_ns,
    };
    uint32_t index = from;
    for (; index < batch->count; index++) {
        const struct tg_row *row = tg_batch_row(batch, index);
        struct tg_cql_writer writer = {.data = s->image, .capacity = s->statement.image_bytes_max};
        uint32_t key_bytes = 0;
        if (!tg_cql_statement_encode(&s->statement, row, &writer, &key_bytes)) {
            (void)tg_fail(&s->failure, TG1303, 0, "a row for %s.%s has no value in a column of its key",
                          s->settings.target.keyspace, s->settings.target.table);
            break;
        }
        image.version = s->version_base + row->revision;
        if (!tg_cql_pending_put(&s->pending, s->image, writer.used, key_bytes, &image)) {
            s->hurry = true;
            break;
        }
    }
    s->stats.rows_taken += index - from;
    return index - from;
}

/* ---- outcomes ---------------------------------------------------------------------------------------------------- */

/* The same bytes again, later: 20 ms doubling to 1 s, a random half of it. */
static void retry(struct sink *s, uint32_t entry, uint32_t connection, bool at_once, uint64_t now_ns)
{
    struct tg_cql_entry *e = &s->pending.entries[entry];
    const uint32_t doublings = e->attempts < 6 ? e->attempts : 6;
    uint64_t pause = RETRY_MIN_NS << doublings;
    pause = pause > RETRY_MAX_NS ? RETRY_MAX_NS : pause;
    pause = pause / 2 + (pause / 2 * tg_prng_below(&s->prng, 1024)) / 1024;
    if (at_once && e->attempts == 0) { pause = 0; }
    e->avoid = (uint16_t)connection;
    s->stats.retries++;
    tg_cql_pending_delay(&s->pending, entry, now_ns + pause);
}

static void acknowledge(struct sink *s, uint32_t connection, const struct tg_cql_answer *answer, uint64_t now_ns)
{
    struct tg_cql_image done;
    tg_cql_pending_done(&s->pending, answer->tag, &done);
    s->stats.rows_written++;
    tg_cql_connection_fast(&s->cluster.connections[connection], answer->sent_ns, now_ns);
    if (s->latency != NULL && now_ns > done.arrived_ns) {
        tg_histogram_record(s->latency, now_ns - done.arrived_ns, done.rows);
    }
}

static void log_error(struct sink *s, const char *text, uint64_t now_ns)
{
    uint64_t suppressed = 0;
    s->stats.errors++;
    if (!tg_log_allowed(&s->error_limit, now_ns, &suppressed)) { return; }
    char fields[64];
    (void)snprintf(fields, sizeof fields, "suppressed=%llu", (unsigned long long)suppressed);
    tg_log(TG_LOG_WARN, TG2301, s->shard, fields, "Cassandra asks to try again: %s", text);
}

/* An execution was answered with an ERROR. All our writes may be repeated: they carry their own timestamp. */
static void on_error(struct sink *s, uint32_t connection, const struct tg_cql_answer *answer, uint64_t now_ns)
{
    char text[256];
    const uint32_t code = tg_cql_error_read(&answer->envelope, text, sizeof text);
    struct tg_cql_entry *entry = &s->pending.entries[answer->tag];
    switch (code) {
    case TG_CQL_CODE_UNPREPARED: /* the connection prepares again; this is nobody's fault */
        retry(s, answer->tag, TG_CQL_NO_CONNECTION, true, now_ns);
        return;
    case TG_CQL_CODE_OVERLOADED:
    case TG_CQL_CODE_UNAVAILABLE:
    case TG_CQL_CODE_WRITE_TIMEOUT: /* perhaps applied */
        tg_cql_connection_slow(&s->cluster.connections[connection], answer->sent_ns, now_ns);
        retry(s, answer->tag, connection, false, now_ns);
        log_error(s, text, now_ns);
        return;
    case TG_CQL_CODE_BOOTSTRAPPING:
        retry(s, answer->tag, connection, true, now_ns);
        log_error(s, text, now_ns);
        return;
    case TG_CQL_CODE_WRITE_FAILURE:
    case TG_CQL_CODE_SERVER: /* only its own kind counts: a row may have waited through any number of overloads */
        entry->refusals++;
        if (entry->refusals <= LIMITED_ATTEMPTS) {
            retry(s, answer->tag, connection, false, now_ns);
            log_error(s, text, now_ns);
            return;
        }
        break;
    default: break; /* SYNTAX, UNAUTHORIZED, INVALID, CONFIG, ...: the same bytes would be refused again */
    }
    s->stats.errors++;
    (void)tg_fail(&s->failure, TG1303, 0, "%s.%s refuses a row (code 0x%04x): %s", s->settings.target.keyspace,
                  s->settings.target.table, code, text);
    retry(s, answer->tag, connection, false, now_ns); /* it stays ours: not written, not dropped */
}

static void on_answer(struct sink *s, uint32_t connection, const struct tg_cql_answer *answer, uint64_t now_ns)
{
    if (answer->tag >= TG_CQL_TAG_EXECUTE_END) {
        tg_cql_cluster_answer(&s->cluster, connection, answer, now_ns);
        return;
    }
    switch (answer->outcome) {
    case TG_CQL_ANSWERED:
        if (answer->envelope.opcode == TG_CQL_RESULT) {
            acknowledge(s, connection, answer, now_ns);
        } else if (answer->envelope.opcode == TG_CQL_ERROR) {
            on_error(s, connection, answer, now_ns);
        } else { /* no such answer exists: treat the row as not written */
            retry(s, answer->tag, connection, false, now_ns);
        }
        return;
    case TG_CQL_EXPIRED:
        tg_cql_connection_slow(&s->cluster.connections[connection], answer->sent_ns, now_ns);
        retry(s, answer->tag, connection, false, now_ns);
        log_error(s, "no answer in time", now_ns);
        return;
    case TG_CQL_LOST: retry(s, answer->tag, connection, true, now_ns); return;
    }
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static bool memory_short(const struct sink *s)
{
    const struct tg_cql_pending *p = &s->pending;
    return p->free.count < p->entry_count / 4 || p->free_blocks < p->block_count / 4;
}

/* Start one write; false when nothing is due or nobody has room. */
static bool write_next(struct sink *s, bool hurry, uint64_t now_ns)
{
    const uint32_t entry = tg_cql_pending_next(&s->pending, now_ns, hurry);
    if (entry == TG_CQL_NO_ENTRY) { return false; }
    const struct tg_cql_image *image = tg_cql_pending_image(&s->pending, entry);
    const bool routed = tg_cql_cluster_routes(&s->cluster);
    int64_t token = 0;
    if (routed) {
        tg_cql_pending_copy(&s->pending, image, s->scratch);
        token = tg_cql_statement_token(&s->statement, s->scratch, image->bytes, s->scratch + image->bytes);
    }
    struct tg_cql_connection *c = tg_cql_cluster_choose(&s->cluster, routed, token, s->pending.entries[entry].avoid);
    if (c == NULL) { return false; }
    uint8_t *out = tg_cql_connection_execute(c, entry, image->bytes, image->version, now_ns);
    if (out == NULL) { return false; }
    tg_cql_pending_copy(&s->pending, image, out);
    tg_cql_connection_executed(c);
    tg_cql_pending_sent(&s->pending, entry);
    return true;
}

static uint32_t dispatch(struct sink *s, uint64_t now_ns)
{
    if (s->failure.status != TG_OK || s->pending.images == 0 || TG_FAILPOINT("cassandra.write") != 0) { return 0; }
    const bool hurry = s->hurry || memory_short(s);
    uint32_t started = 0;
    while (started < DISPATCH_MAX && write_next(s, hurry, now_ns)) { started++; }
    if (started == 0) { s->hurry = false; } /* nobody has room, or all of it is under way */
    return started;
}

/* One line a minute while no node can be used, and one when that is over. */
static void watch(struct sink *s, uint64_t now_ns)
{
    if (tg_cql_cluster_ups(&s->cluster) > 0) {
        if (s->said_waiting && s->shard == 0) { tg_log(TG_LOG_INFO, TG2301, s->shard, NULL, "Cassandra is back"); }
        s->down_ns = 0;
        s->said_waiting = false;
        return;
    }
    if (s->down_ns == 0) { s->down_ns = now_ns; }
    uint64_t suppressed = 0;
    if (s->shard != 0 || now_ns - s->down_ns < GRACE_NS || !tg_log_allowed(&s->waiting_limit, now_ns, &suppressed)) {
        return;
    }
    char where[64];
    char fields[128];
    (void)snprintf(fields, sizeof fields, "host=%s pending=%llu",
                   tg_cql_address_print(&s->cluster.config.contacts[0], where), (unsigned long long)s->pending.images);
    tg_log(TG_LOG_WARN, TG2301, s->shard, fields, "waiting for Cassandra (%s); rows are kept, none is lost",
           s->cluster.connections[0].why);
    s->said_waiting = true;
}

static uint32_t sink_poll(void *state, uint64_t now_ns)
{
    struct sink *s = state;
    uint32_t work = 0;
    for (uint32_t i = 0; i < s->cluster.connection_count; i++) {
        struct tg_cql_connection *c = &s->cluster.connections[i];
        struct tg_cql_answer answer;
        work += tg_cql_connection_poll(c, now_ns);
        while (tg_cql_connection_next(c, now_ns, &answer)) { /* ends: what was received or is in flight is bounded */
            on_answer(s, i, &answer, now_ns);
            work++;
        }
        if (c->fatal.status != TG_OK && s->failure.status == TG_OK) { s->failure = c->fatal; }
    }
    tg_cql_cluster_poll(&s->cluster, now_ns);
    work += dispatch(s, now_ns);
    for (uint32_t i = 0; i < s->cluster.connection_count; i++) { tg_cql_connection_flush(&s->cluster.connections[i]); }
    watch(s, now_ns);
    return work;
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static void sink_flush(void *state)
{
    struct sink *s = state;
    (void)TG_FAILPOINT("cassandra.flush");
    tg_cql_pending_flush(&s->pending);
}

static bool sink_flushed(const void *state)
{
    const struct sink *s = state;
    return tg_cql_pending_flushed(&s->pending);
}

static tg_status sink_failure(const void *state, struct tg_error *err)
{
    const struct sink *s = state;
    if (s->failure.status != TG_OK && err != NULL && err->status == TG_OK) { *err = s->failure; }
    return s->failure.status;
}

static void sink_stats(const void *state, struct tg_sink_stats *out)
{
    const struct sink *s = state;
    *out = s->stats;
    out->pending = s->pending.images;
}

const struct tg_sink_ops tg_cassandra_sink = {
    .name = "cassandra",
    .options = tg_cql_options,
    .option_count = TG_CQL_OPTION_COUNT,
    .keyed = true,
    .needs_server = true,
    .check = tg_cql_check,
    .share = sink_share,
    .unshare = sink_unshare,
    .state_bytes = sink_state_bytes,
    .open = sink_open,
    .push = sink_push,
    .poll = sink_poll,
    .flush = sink_flush,
    .flushed = sink_flushed,
    .failure = sink_failure,
    .stats = sink_stats,
    .close = sink_close,
};
