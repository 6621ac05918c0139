/* The log of ticks of a job with checkpoints, and each shard's way to it. A raise of an idle partition's clock is
 * ordered here, written and made durable by the I/O helper, and acts only then; until it has, or is known not to have
 * been written, no record of that partition is judged. A start finds the ticks that its checkpoint does not hold, for
 * all partitions, whatever shard had them. Ticks that every checkpoint of its run holds go, now and then, when the file
 * has grown. */
#ifndef TG_ENGINE_CHECKPOINT_TICK_LOG_H
#define TG_ENGINE_CHECKPOINT_TICK_LOG_H

#include "base/clock.h"
#include "base/log.h"
#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/ticks.h"
#include "engine/partition.h"
#include "io/checkpoint/tick_file.h"
#include "io/helper.h"

#define TG_TICK_LOG_TRIM_BYTES (64u << 10) /* a shorter one is left as it is */

/* The helper's, once the workers run. */
struct tg_tick_log {
    struct tg_tick_file file;
    struct tg_ticks_header header;
    struct tg_ticks_source sources[TG_SOURCES_MAX];
    struct tg_arena arena;        /* what a start found */
    const struct tg_tick *replay; /* [replay_count] condensed: what the chosen checkpoint does not hold */
    uint64_t replay_count;
    bool found;          /* a log of this job was there: its run goes on */
    uint64_t frames;     /* number of the next one */
    uint64_t trim_bytes; /* from this length on it is trimmed before the next frame */
    uint8_t *frame;      /* [TG_TICKS_FRAME_BYTES_MAX] */
};

/* Read what is there. `header` is today's job, without a run id; `chosen` the manifest to go on with, whose run's log
 * it is; NULL = none. Then the log of a run of the same job that was born here is gone on with, too, and any other one
 * is as good as none. The header's sources are copied; their texts and the job's name are borrowed until
 * tg_tick_log_close. Errors: TG1512 damaged, or of another run; TG1513, TG1510, TG1511, TG1521, TG1601.  @setup */
TG_MUST_USE tg_status tg_tick_log_open(struct tg_tick_log *log, const struct tg_store *store,
                                       const struct tg_ticks_header *header, const struct tg_manifest *chosen,
                                       struct tg_error *err);
/* Also legal after a failed open.  @setup */
void tg_tick_log_close(struct tg_tick_log *log);
/* Of the run whose log this is from now on.  @setup */
void tg_tick_log_begin(struct tg_tick_log *log, const struct tg_run_id *run_id);
/* Ticks of a partition that act again, *count of them, in their order; NULL = none.  @any */
const struct tg_tick *tg_tick_log_replay(const struct tg_tick_log *log, uint32_t source, uint32_t partition,
                                         uint32_t *count);
/* Make ticks[count] durable. After an error none of them is, unless log->file.doubtful. Errors: TG1510, TG1511, TG1521,
 * TG1601.  @helper */
TG_MUST_USE tg_status tg_tick_log_append(struct tg_tick_log *log, const struct tg_tick *ticks, uint32_t count,
                                         struct tg_error *err);

/* The file that is the log of a run, or would be: the one named after the run, which a restore has written, else
 * ticks.log, which belongs to the run that was born in the directory. */
struct tg_tick_log_found {
    char name[TG_STORE_NAME_BYTES];
    const uint8_t *data;   /* [ticks.bytes] and what a crash left behind them, in `arena`; NULL = there is none */
    struct tg_ticks ticks; /* likewise */
};
/* The name that a run's own log has.  @any */
void tg_tick_log_name(const struct tg_run_id *run_id, char name[TG_STORE_NAME_BYTES]);
/* Find and read it; run_id NULL = ticks.log, whosever it is. Whether it is the run's is for the caller to see. Errors:
 * TG1512 damaged, TG1513, TG1511, TG1601.  @setup */
TG_MUST_USE tg_status tg_tick_log_find(const struct tg_store *store, const struct tg_run_id *run_id,
                                       struct tg_arena *arena, struct tg_tick_log_found *out, struct tg_error *err);
/* Is a log that was found the one that belongs beside `manifest`? Errors: TG1512.  @any */
TG_MUST_USE tg_status tg_tick_log_is_beside(const struct tg_tick_log_found *found, const struct tg_manifest *manifest,
                                            struct tg_error *err);

/* Checkpoint `manifest` of `from` is about to become one of `to`: give `to` the ticks of its run that either has,
 * durably, in a log of their own. A start that chooses another run's checkpoint, or finds none, does not see it. In one
 * directory there is nothing to do but to look. No job runs on `to`. Errors: TG1512 damaged in `from` or of another
 * run, TG1513, TG1510, TG1511, TG1521, TG1601.  @setup */
TG_MUST_USE tg_status tg_tick_log_restore(const struct tg_store *from, const struct tg_store *to,
                                          const struct tg_manifest *manifest, struct tg_error *err);

/* What a log holds beside a checkpoint. */
struct tg_tick_totals {
    bool found;
    char name[TG_STORE_NAME_BYTES];
    uint64_t bytes;
    uint64_t ticks;
    uint64_t waiting; /* of them, not held by the checkpoint */
};
/* Read every byte of the log beside `manifest`; a job may be writing it. Errors: TG1511, TG1512, TG1513, TG1601.
 * @setup */
TG_MUST_USE tg_status tg_tick_log_verify(const struct tg_store *store, const struct tg_manifest *manifest,
                                         struct tg_tick_totals *totals, struct tg_error *err);

/* Somebody who wants to know which ticks acted, replayed ones too: tests. */
struct tg_tick_watch {
    void (*acted)(void *self, const struct tg_tick *tick);
    void *self;
};

struct tg_tick_order {
    struct tg_tick tick;
    struct tg_partition *partition;
};

/* One shard's. Orders are gathered while those before them are on their way. */
struct tg_tick_lane {
    struct tg_tick_log *log; /* NULL = there is none: clocks are raised at once */
    struct tg_helper *helper;
    uint32_t shard;
    struct tg_clock clock;
    struct tg_tick_order *gathered; /* [TG_TICKS_FRAME_MAX] */
    uint32_t gathered_count;
    struct tg_tick_order *orders; /* [TG_TICKS_FRAME_MAX] on their way */
    uint32_t order_count;
    struct tg_tick *ticks; /* [TG_TICKS_FRAME_MAX] the helper's while under way */
    struct tg_task task;
    bool under_way;
    bool doubtful; /* the orders may have been written, or not: to be found out before anything else */
    uint64_t next_ns;
    tg_status status; /* of the task, with error */
    struct tg_error error;
    struct tg_error fatal; /* the job must stop: its directory is another process's (TG1521) */
    struct tg_log_limit log_limit;
};

struct tg_tick_lane_config {
    struct tg_tick_log *log; /* NULL = there is none */
    struct tg_helper *helper;
    uint32_t shard;
    struct tg_clock clock;
};
/* A shard's way to its log, in its arena. Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_tick_lane_open(struct tg_tick_lane *lane, const struct tg_tick_lane_config *config,
                                        struct tg_arena *arena, struct tg_error *err);
/* Order a tick of `partition`, which is told by its `tick`: ORDERED from now on, then DURABLE, or NONE when it could
 * not be written. False = not now.  @shard */
TG_MUST_USE bool tg_tick_lane_order(struct tg_tick_lane *lane, const struct tg_tick *tick,
                                    struct tg_partition *partition);
/* Send what was ordered. Returns a work count.  @shard */
uint32_t tg_tick_lane_poll(struct tg_tick_lane *lane, uint64_t now_ns);

#endif
