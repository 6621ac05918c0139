/* The contract of sinks. One instance per (sink, shard). Rows are pushed in batches; the sink copies what it keeps and
 * never blocks: taking fewer rows than offered is back-pressure. A sink is row-per-key (it has a key and may coalesce:
 * only the last revision of a key between flushes need be written) or an append log (it writes every row). */
#ifndef TG_IO_SINK_H
#define TG_IO_SINK_H

#include "base/arena.h"
#include "base/batch.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "base/status.h"
#include "io/helper.h"
#include "io/loop.h"
#include "io/options.h"

struct tg_sink_env {
    const char *job_name;
    const char *sink_name;
    const struct tg_options *options;
    /* The sink's columns as the job file maps them: names are the target's names ("purchaseCount"); rows pushed have
     * exactly this schema. */
    const struct tg_schema *schema;
    const uint32_t *key_columns; /* [key_count] row key in this schema; key_count 0 = append log */
    uint32_t key_count;
    bool with_revision;   /* file-like sinks: add _revision and _final */
    int64_t version_base; /* version in the sink = version_base + row revision */
    bool create_tables;
    uint32_t shard;
    uint32_t shard_count;
    uint64_t max_keys; /* of the job: how many different row keys may be pending */
    /* Rows become visible with checkpoints, where the sink can do that: what is pushed is staged until `commit`. */
    bool staged;
    bool resumes;        /* `commit` follows `share`, with what the checkpoint says: keep what earlier runs committed */
    bool joins;          /* the job goes on without having known the sink: what is there is not its own to replace */
    uint64_t generation; /* with `staged`: number of the start, larger than those of all before it */
    struct tg_histogram *latency; /* arrival (batch->arrived_ns) to acknowledged, one value per row */
    struct tg_arena *arena;
    struct tg_loop *loop;
    struct tg_helper *helper;
    struct tg_clock clock;
    void *shared; /* what `share` returned */
};

enum { TG_COMMITTABLE_BYTES_MAX = 1 << 20 };
/* What a sink needs to commit one shard's rows of an epoch: its own bytes, kept by the checkpoint. */
struct tg_committable {
    const uint8_t *data;
    uint32_t bytes; /* 0 = nothing to commit */
};

struct tg_sink_stats {
    uint64_t rows_taken;
    uint64_t rows_written; /* acknowledged; less than taken where rows were coalesced */
    uint64_t retries;
    uint64_t errors;
    uint64_t digest; /* null sink: see io/null; 0 elsewhere */
    uint64_t digest_core;
    uint64_t rows_core;
    uint64_t pending; /* rows or keys waiting to be written */
};

struct tg_sink_ops {
    const char *name;
    const struct tg_option *options;
    uint32_t option_count;
    bool keyed;        /* row-per-key sink: needs key columns */
    bool needs_server; /* the contract suite runs it only where services are up */
    /* Verify the target against env (reachable, table and columns there, types fit), create it when create_tables. May
     * wait for a peer until the monotonic instant deadline_ns. TG1301-like "not reachable yet" is retried by run.
     * @setup */
    tg_status (*check)(const struct tg_sink_env *env, uint64_t deadline_ns, struct tg_error *err);
    /* Objects that all shards' instances share (an output file, a SQLite handle): used on the helper thread only.
     * `unshare` runs after every instance is closed.  @setup */
    tg_status (*share)(const struct tg_sink_env *env, void **shared, struct tg_error *err);
    void (*unshare)(void *shared);
    size_t (*state_bytes)(const struct tg_sink_env *env);
    tg_status (*open)(void *state, const struct tg_sink_env *env, struct tg_error *err);
    /* Take rows from..count-1 of the batch in order; returns how many were taken.  @shard */
    uint32_t (*push)(void *state, const struct tg_batch *batch, uint32_t from);
    /* Make progress; returns a work count.  @shard */
    uint32_t (*poll)(void *state, uint64_t now_ns);
    /* Write out everything taken so far without waiting for more.  @shard */
    void (*flush)(void *state);
    /* True once every row taken before the last flush call is acknowledged (durable as the sink's page says).
     * @shard */
    bool (*flushed)(const void *state);
    /* -- Checkpoints; all NULL where rows are visible at once and `flush` is all there is to a cut.
     * The epoch ends: a flush, and what is pushed from now on belongs to the next one.  @shard */
    void (*cut)(void *state);
    /* The checkpoint of the last cut is over: committed, or it never will be, and its rows belong to the next one.
     * Before the next cut is asked for, as a rule long before.  @shard */
    void (*settle)(void *state);
    /* What `commit` needs of this shard, of all rows since the last commit, once flushed() says true after a cut; at
     * most TG_COMMITTABLE_BYTES_MAX bytes. Returns their number. The shard goes on pushing meanwhile.  @helper */
    uint32_t (*prepare)(void *state, uint8_t *out);
    /* The checkpoint is complete: make the rows visible. One element per shard of the run that prepared them. Again
     * after a crash or an error, with the same outcome. May block.  @helper */
    tg_status (*commit)(void *shared, const struct tg_committable *list, uint32_t count, struct tg_error *err);
    /* First unrecoverable error, TG_OK while there is none; a peer that is away is not one: the sink retries.
     * @shard */
    tg_status (*failure)(const void *state, struct tg_error *err);
    void (*stats)(const void *state, struct tg_sink_stats *out);
    void (*close)(void *state);
};

#endif
