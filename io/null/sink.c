/* Null sink: takes every row at once, counts and digests it (see digest.h) and keeps nothing. For measuring, and for
 * comparing outputs of different engines over the same input. */
#include "base/assert.h"
#include "io/connectors.h"
#include "io/null/digest.h"

struct null_sink {
    struct tg_digest digest;
    struct tg_clock clock;
    struct tg_histogram *latency;
};

static const struct tg_option null_options[] = {
    {.name = "core_where_false", .kind = TG_OPTION_TEXT,
     .doc = "A boolean column; rows where it is false get a count and a digest of their own in the report."},
};

/* Index of the core column, -1 when none is set. */
static tg_status core_column_find(const struct tg_sink_env *env, int *column, struct tg_error *err)
{
    const char *name = tg_option_text(env->options, "core_where_false");
    *column = -1;
    if (name == NULL) { return TG_OK; }
    *column = tg_schema_find(env->schema, name);
    if (*column < 0) {
        return tg_fail(err, TG1102, 0, "sink %s: core_where_false: there is no column %s", env->sink_name, name);
    }
    const enum tg_type type = env->schema->columns[*column].type;
    if (type == TG_TYPE_BOOLEAN) { return TG_OK; }
    return tg_fail(err, TG1103, 0, "sink %s: core_where_false: column %s is %s, not boolean", env->sink_name, name,
                   tg_type_name(type));
}

static tg_status null_check(const struct tg_sink_env *env, uint64_t deadline_ns, struct tg_error *err)
{
    (void)deadline_ns;
    int column;
    return core_column_find(env, &column, err);
}

static tg_status null_share(const struct tg_sink_env *env, void **shared, struct tg_error *err)
{
    (void)env;
    (void)err;
    *shared = NULL;
    return TG_OK;
}
static void null_unshare(void *shared) { TG_ASSERT(shared == NULL); }

static size_t null_state_bytes(const struct tg_sink_env *env)
{
    (void)env;
    return sizeof(struct null_sink);
}

static tg_status null_open(void *state, const struct tg_sink_env *env, struct tg_error *err)
{
    struct null_sink *sink = state;
    int column;
    const tg_status status = core_column_find(env, &column, err);
    if (status != TG_OK) { return status; }
    tg_digest_init(&sink->digest, env->schema, column);
    sink->clock = env->clock;
    sink->latency = env->latency;
    return TG_OK;
}

static uint32_t null_push(void *state, const struct tg_batch *batch, uint32_t from)
{
    struct null_sink *sink = state;
    TG_DCHECK(from <= batch->count);
    tg_digest_add(&sink->digest, batch, from);
    if (sink->latency != NULL && batch->arrived_ns != 0) {
        const uint64_t now_ns = tg_clock_now_ns(&sink->clock);
        const uint64_t taken_ns = now_ns > batch->arrived_ns ? now_ns - batch->arrived_ns : 0;
        tg_histogram_record(sink->latency, taken_ns, batch->count - from);
    }
    return batch->count - from;
}

static uint32_t null_poll(void *state, uint64_t now_ns)
{
    (void)state;
    (void)now_ns;
    return 0;
}
static void null_flush(void *state) { (void)state; }
static bool null_flushed(const void *state)
{
    (void)state;
    return true;
}
static tg_status null_failure(const void *state, struct tg_error *err)
{
    (void)state;
    (void)err;
    return TG_OK;
}

static void null_stats(const void *state, struct tg_sink_stats *out)
{
    const struct null_sink *sink = state;
    *out = (struct tg_sink_stats){
        .rows_taken = sink->digest.rows,
        .rows_written = sink->digest.rows,
        .digest = sink->digest.sum,
        .digest_core = sink->digest.sum_core,
        .rows_core = sink->digest.rows_core,
    };
}

static void null_close(void *state) { (void)state; }

const struct tg_sink_ops tg_null_sink = {
    .name = "null",
    .options = null_options,
    .option_count = sizeof null_options / sizeof null_options[0],
    .keyed = false,
    .needs_server = false,
    .check = null_check,
    .share = null_share,
    .unshare = null_unshare,
    .state_bytes = null_state_bytes,
    .open = null_open,
    .push = null_push,
    .poll = null_poll,
    .flush = null_flush,
    .flushed = null_flushed,
    .failure = null_failure,
    .stats = null_stats,
    .close = null_close,
};
