/* The contract of sources: whole fetch buffers with slices, never one record at a time, so that a connector can be as
 * fast as its wire. One instance per (source, shard), owning some partitions. No call blocks; every call but `discover`
 * and `identify` runs on the owning shard. */
#ifndef TG_IO_SOURCE_H
#define TG_IO_SOURCE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/schema.h"
#include "base/status.h"
#include "io/helper.h"
#include "io/loop.h"
#include "io/options.h"

struct tg_slice {
    const uint8_t *value; /* into the raw batch's buffer; NULL = tombstone */
    int64_t offset;       /* grows strictly within a partition; gaps are legal */
    int64_t record_us;    /* the record's own timestamp; TG_TS_MIN = it has none */
    uint32_t value_bytes;
    uint32_t oversize; /* 1: longer than TG_RECORD_BYTES_MAX; value holds its first bytes only -> too_long */
};

enum {
    TG_RAW_AT_END = 1, /* the source reported its end at our position: nothing newer existed when this was filled */
    TG_RAW_ENDED = 2,  /* bounded input: this partition never delivers again */
};

/* Records of one partition in offset order. count may be 0 when only flags are news. */
struct tg_raw_batch {
    uint32_t partition; /* of this source, 0-based */
    uint32_t count;
    uint32_t flags;           /* TG_RAW_* */
    struct tg_buffer *buffer; /* one reference, the receiver releases it; NULL when count is 0 */
    uint64_t arrived_ns;      /* monotonic */
    struct tg_slice slices[TG_BATCH_ROWS_MAX];
};

enum tg_start_kind { TG_START_EARLIEST, TG_START_LATEST, TG_START_HORIZON, TG_START_COMMITTED };

struct tg_source_env {
    const char *job_name;
    const char *source_name;
    const struct tg_options *options;
    uint32_t shard;
    uint32_t shard_count;
    uint32_t partition_count;   /* of the source, from discover */
    const uint32_t *partitions; /* [owned_count] the ones this instance owns */
    uint32_t owned_count;
    const int64_t *positions; /* [owned_count] where a checkpoint goes on; -1 = by the start rule. NULL = all by it */
    bool bounded;             /* --until end: the end is where the source stood when it was opened */
    bool fresh;               /* --fresh: ignore committed positions */
    tg_us horizon;            /* for TG_START_HORIZON: how far back the job looks */
    uint32_t poll_count_max;  /* slices per poll, 1 to TG_BATCH_ROWS_MAX; tests and the simulator vary it */
    uint64_t seed;            /* for generated sources; the same for all shards */
    struct tg_buffer_pool *buffers;
    struct tg_arena *arena;
    struct tg_loop *loop;
    struct tg_helper *helper;
    struct tg_clock clock;
};

enum { TG_SOURCE_IDENTITY_BYTES = 256 };
/* What a log is and holds at a moment, and what a checkpoint knows of it. */
struct tg_source_log {
    uint32_t partition_count;
    const char *known;        /* the identity a checkpoint has; NULL = there is none */
    const int64_t *positions; /* [partition_count] where it goes on, -1 = it has read nothing there; NULL = none */
    /* Answers. The identity tells the log from another one of the same name: a cluster's id, the first bytes of files.
     * "" = it has none. It is `known` while the log can be the known one, however much it has grown. */
    char identity[TG_SOURCE_IDENTITY_BYTES];
    int64_t *begin;  /* [partition_count] first offset that can be read, -1 = unknown (as it comes) */
    int64_t *end;    /* [partition_count] at least so far it reaches: one past the last offset; -1 = unknown */
    bool ends_there; /* and no further */
};

struct tg_source_ops {
    const char *name; /* config key, e.g. "kafka" */
    const struct tg_option *options;
    uint32_t option_count;
    bool offsets_count_records; /* from 0 and without gaps: so many records are below an offset; false = at most */
    /* Number of partitions (1 to TG_PARTITIONS_MAX); may wait for a peer until the monotonic instant `deadline_ns`.
     * TG_ERR_UNAVAILABLE with TG1201 means "not reachable yet": run retries it, check reports it; other errors are
     * final.  @setup */
    tg_status (*discover)(const struct tg_options *options, const char *source_name, uint64_t deadline_ns,
                          uint32_t *partition_count, struct tg_error *err);
    /* Fill in *log; waits and fails as `discover`. The end may be given as the position when it is at least there.
     * NULL = there is nothing to tell.  @setup */
    tg_status (*identify)(const struct tg_options *options, const char *source_name, uint64_t deadline_ns,
                          struct tg_source_log *log, struct tg_error *err);
    /* Bytes of one instance; the engine allocates them zeroed.  @setup */
    size_t (*state_bytes)(const struct tg_options *options, uint32_t owned_count);
    /* @shard */
    tg_status (*open)(void *state, const struct tg_source_env *env, struct tg_error *err);
    /* Fill *out with news of one partition, partitions in turn. Returns 1, or 0 when there is none. A failure the
     * source cannot retry itself is returned by `failure` from then on.  @shard */
    uint32_t (*poll)(void *state, struct tg_raw_batch *out, uint64_t now_ns);
    /* First unrecoverable error, TG_OK while there is none.  @shard */
    tg_status (*failure)(const void *state, struct tg_error *err);
    /* Offset of the record the partition delivers next; -1 = not known yet. NULL = offsets begin at 0.  @shard */
    int64_t (*position)(const void *state, uint32_t partition);
    /* Asked before the silence of a partition counts, when it was polled empty or has not been for a while: does the
     * source know of anything behind the end it reported last that it has not delivered? What it told once, and what
     * never became a record, it need not tell again. NULL = nothing can lie unread.  @shard */
    bool (*unread)(void *state, uint32_t partition);
    /* Records known to exist beyond our position, over the owned partitions; -1 = unknown.  @shard */
    int64_t (*lag)(const void *state);
    /* Remember upstream that every record of `partition` below `offset` has taken effect. Asynchronous, best effort
     * until close.  @shard */
    void (*commit)(void *state, uint32_t partition, int64_t offset);
    /* Also legal after a failed open. Commits made before are sent, waiting at most 5 s.  @shard */
    void (*close)(void *state);
};

#endif
