/* SQLite sink: one row per key in a table, for development, demos and jobs that fit one machine. Rows wait in a row
 * store where the last revision of a key wins; what has gathered goes to the I/O helper as a block, at most one at a
 * time per shard, and the helper writes the blocks of all shards in one transaction. A busy database, a full disk and
 * I/O errors are waited out, with back-pressure once the store is full; anything else SQLite says no to ends the job
 * (TG1503). Columns: text, enum, json TEXT; bigint, integer INTEGER; boolean INTEGER 0 or 1; timestamp TEXT in RFC 3339
 * and date TEXT YYYY-MM-DD, so that people can read them and they still sort; numeric TEXT with its scale, exact; and
 * "_version" INTEGER, which a row must exceed to replace another one. */
#include "base/assert.h"
#include "io/connectors.h"
#include "io/sqlite/database.h"

enum {
    ENTRIES_MAX = 1 << 18,  /* keys that may wait on one shard */
    ENTRIES_MIN = 1 << 10,
    TEXT_BYTES = 64 << 20,  /* for their texts; address space until it is needed */
};
static const uint64_t RETRY_NS_MIN = 10000000;   /* 10 ms */
static const uint64_t RETRY_NS_MAX = 1000000000; /* 1 s */
static const uint64_t BUSY_NS = 5000000;         /* 5 ms: another process's transaction is short */

struct sqlite_sink {
    struct tg_task task;
    struct tg_sqlite *database;
    struct tg_helper *helper;
    struct tg_clock clock;
    struct tg_histogram *latency;
    struct tg_row_store *store;
    struct tg_sqlite_block block;
    uint32_t shard;
    uint32_t batch_rows;
    uint64_t flush_every_ns;
    uint64_t waiting_since_ns; /* 0 = the next poll notes it */
    uint64_t entries_put;      /* keys that ever waited, in order */
    uint64_t entries_written;  /* of those */
    uint64_t target;           /* flushed once entries_written >= target */
    uint64_t retry_at_ns;
    uint64_t retry_delay_ns;
    bool store_full; /* the last push was cut short: write now, not when the flush is due */
    bool offered;    /* the block is the helper's, or about to be */
    bool in_flight;  /* and its task is submitted */
    struct tg_error error;
    struct tg_sink_stats stats;
};

static const struct tg_option sqlite_options[] = {
    {.name = "path", .kind = TG_OPTION_TEXT, .required = true,
     .doc = "Database file; folders and the file are created when missing."},
    {.name = "table", .kind = TG_OPTION_TEXT,
     .doc = "Table to write to, created when missing; default: the sink's name."},
    {.name = "flush_every", .kind = TG_OPTION_DURATION, .fallback = "100ms",
     .doc = "Rows wait at most this long; until then a later row of the same key replaces an earlier one."},
    {.name = "batch_rows", .kind = TG_OPTION_INTEGER, .fallback = "10000",
     .doc = "Rows one transaction writes at most per shard."},
};

/* ---- the block's way to the helper and back ---------------------------------------------------------------------- */

static void task_run(struct tg_task *task)
{
    struct sqlite_sink *sink = task->owner;
    tg_sqlite_write(sink->database);
    TG_ASSERT(sink->block.settled);
}

static void acknowledge(struct sqlite_sink *sink)
{
    const uint64_t now_ns = tg_clock_now_ns(&sink->clock);
    for (uint32_t i = 0; i < sink->block.count; i++) {
        struct tg_row_entry *entry = sink->block.entries[i];
        if (sink->latency != NULL && entry->arrived_ns != 0) { /* replaced rows count as old as the first of them */
            tg_histogram_record(sink->latency, now_ns > entry->arrived_ns ? now_ns - entry->arrived_ns : 0,
                                entry->rows);
        }
        tg_row_store_release(sink->store, entry);
    }
    sink->entries_written += sink->block.count;
    sink->stats.rows_written += sink->block.count;
    sink->block.count = 0;
    sink->retry_at_ns = 0;
    sink->retry_delay_ns = 0;
    sink->store_full = false;
}

static void retry_later(struct sqlite_sink *sink, uint64_t delay_ns)
{
    sink->retry_at_ns = tg_clock_now_ns(&sink->clock) + delay_ns;
}

static void task_done(struct tg_task *task)
{
    struct sqlite_sink *sink = task->owner;
    TG_ASSERT(sink->in_flight && sink->block.settled);
    sink->in_flight = false;
    sink->offered = false;
    switch (sink->block.result) {
    case TG_SQLITE_WRITTEN: acknowledge(sink); break;
    case TG_SQLITE_BUSY: retry_later(sink, BUSY_NS); break;
    case TG_SQLITE_AGAIN:
        sink->stats.errors++;
        sink->retry_delay_ns = sink->retry_delay_ns == 0 ? RETRY_NS_MIN : 2 * sink->retry_delay_ns;
        if (sink->retry_delay_ns > RETRY_NS_MAX) { sink->retry_delay_ns = RETRY_NS_MAX; }
        retry_later(sink, sink->retry_delay_ns);
        break;
    case TG_SQLITE_FAILED:
        sink->stats.errors++;
        if (sink->error.status == TG_OK) { sink->error = sink->block.error; }
        break;
    }
}

/* Take a new block from the store when one is due; true when there is a block to write. */
static bool block_gather(struct sqlite_sink *sink, uint64_t now_ns)
{
    if (sink->block.count != 0) { return now_ns >= sink->retry_at_ns; }
    const uint32_t waiting = tg_row_store_count(sink->store);
    if (waiting == 0) {
        sink->waiting_since_ns = 0;
        return false;
    }
    if (sink->waiting_since_ns == 0) { sink->waiting_since_ns = now_ns; }
    const bool due = waiting >= sink->batch_rows || sink->store_full || sink->entries_written < sink->target ||
                     now_ns - sink->waiting_since_ns >= sink->flush_every_ns;
    if (!due) { return false; }
    sink->block.count = tg_row_store_take(sink->store, sink->block.entries, sink->batch_rows);
    sink->waiting_since_ns = tg_row_store_count(sink->store) != 0 ? now_ns : 0;
    return true;
}

static uint32_t sqlite_poll(void *state, uint64_t now_ns)
{
    struct sqlite_sink *sink = state;
    if (sink->in_flight || sink->error.status != TG_OK) { return 0; }
    if (!sink->offered) {
        if (!block_gather(sink, now_ns)) { return 0; }
        sink->stats.retries += sink->retry_at_ns != 0;
        tg_sqlite_offer(sink->database, sink->shard, &sink->block);
        sink->offered = true;
    }
    /* Another shard's task may write the block before ours is even submitted: it is settled in our `done` all the
     * same. */
    if (!tg_helper_submit(sink->helper, sink->shard, &sink->task)) { return 0; }
    sink->in_flight = true;
    return 1;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static uint32_t sqlite_push(void *state, const struct tg_batch *batch, uint32_t from)
{
    struct sqlite_sink *sink = state;
    if (sink->error.status != TG_OK) { return 0; }
    for (uint32_t row = from; row < batch->count; row++) {
        const enum tg_row_put put = tg_row_store_put(sink->store, tg_batch_row(batch, row), batch->arrived_ns);
        if (put == TG_ROW_PUT_FULL) {
            sink->store_full = true;
            return row - from;
        }
        sink->entries_put += put == TG_ROW_PUT_NEW;
        sink->stats.rows_taken++;
    }
    return batch->count - from;
}

static void sqlite_flush(void *state)
{
    struct sqlite_sink *sink = state;
    sink->target = sink->entries_put;
}

static bool sqlite_flushed(const void *state)
{
    const struct sqlite_sink *sink = state;
    return sink->entries_written >= sink->target;
}

static tg_status sqlite_failure(const void *state, struct tg_error *err)
{
    const struct sqlite_sink *sink = state;
    if (sink->error.status != TG_OK && err != NULL && err->status == TG_OK) { *err = sink->error; }
    return sink->error.status;
}

static void sqlite_stats(const void *state, struct tg_sink_stats *out)
{
    const struct sqlite_sink *sink = state;
    *out = sink->stats;
    out->pending = sink->entries_put - sink->entries_written;
}

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

static tg_status sqlite_check(const struct tg_sink_env *env, uint64_t deadline_ns, struct tg_error *err)
{
    (void)deadline_ns;
    return tg_sqlite_check(env, err);
}

static tg_status sqlite_share(const struct tg_sink_env *env, void **shared, struct tg_error *err)
{
    struct tg_sqlite *database = NULL;
    const tg_status status = tg_sqlite_open(&database, env, err);
    *shared = database;
    return status;
}

static void sqlite_unshare(void *shared) { tg_sqlite_close(shared); }

static size_t sqlite_state_bytes(const struct tg_sink_env *env)
{
    (void)env;
    return sizeof(struct sqlite_sink);
}

/* A shard's part of the job's keys, with room for an uneven split, within bounds. */
static uint32_t entries_of(const struct tg_sink_env *env)
{
    const uint64_t part = env->max_keys / env->shard_count + env->max_keys / env->shard_count / 4;
    return (uint32_t)(part < ENTRIES_MIN ? ENTRIES_MIN : part > ENTRIES_MAX ? ENTRIES_MAX : part);
}

static tg_status sqlite_open(void *state, const struct tg_sink_env *env, struct tg_error *err)
{
    struct sqlite_sink *sink = state;
    const int64_t batch_rows = tg_option_number(env->options, "batch_rows");
    if (batch_rows < 1 || batch_rows > ENTRIES_MAX) {
        return tg_fail(err, TG1004, 0, "sink %s: batch_rows: %lld is not between 1 and %d", env->sink_name,
                       (long long)batch_rows,
                       ENTRIES_MAX);
    }
    const struct tg_row_store_config config = {.schema = env->schema,
                                               .key_columns = env->key_columns,
                                               .key_count = env->key_count,
                                               .capacity = entries_of(env),
                                               .text_bytes = TEXT_BYTES};
    const tg_status status = tg_row_store_create(&sink->store, &config, env->arena, err);
    if (status != TG_OK) { return status; }
    sink->batch_rows = (uint32_t)batch_rows < config.capacity ? (uint32_t)batch_rows : config.capacity;
    sink->block.entries = tg_arena_alloc(env->arena, sink->batch_rows * sizeof *sink->block.entries, 64);
    if (sink->block.entries == NULL) {
        return tg_fail(err, TG1601, 0, "no address space for the blocks of sink %s", env->sink_name);
    }
    sink->task = (struct tg_task){.run = task_run, .done = task_done, .owner = sink};
    sink->database = env->shared;
    sink->helper = env->helper;
    sink->clock = env->clock;
    sink->latency = env->latency;
    sink->shard = env->shard;
    sink->flush_every_ns = (uint64_t)tg_option_number(env->options, "flush_every") * 1000;
    return TG_OK;
}

static void sqlite_close(void *state)
{
    struct sqlite_sink *sink = state;
    while (sink->offered && !sink->in_flight) { /* the helper may have the block already: see it through */
        sink->in_flight = tg_helper_submit(sink->helper, sink->shard, &sink->task);
        if (!sink->in_flight) { (void)tg_helper_wait(sink->helper, sink->shard); }
    }
    while (sink->in_flight) { (void)tg_helper_wait(sink->helper, sink->shard); }
}

const struct tg_sink_ops tg_sqlite_sink = {
    .name = "sqlite",
    .options = sqlite_options,
    .option_count = sizeof sqlite_options / sizeof sqlite_options[0],
    .keyed = true,
    .needs_server = false,
    .check = sqlite_check,
    .share = sqlite_share,
    .unshare = sqlite_unshare,
    .state_bytes = sqlite_state_bytes,
    .open = sqlite_open,
    .push = sqlite_push,
    .poll = sqlite_poll,
    .flush = sqlite_flush,
    .flushed = sqlite_flushed,
    .failure = sqlite_failure,
    .stats = sqlite_stats,
    .close = sqlite_close,
};
