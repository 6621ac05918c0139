/* One sink on one shard, as the engine drives it: projection into the sink's columns, partial pushes, flush state. */
#ifndef TG_ENGINE_OUTLET_H
#define TG_ENGINE_OUTLET_H

#include "base/histogram.h"
#include "engine/plan.h"

enum { TG_OUTLET_ROWS = 256 };

struct tg_outlet {
    const struct tg_sink_plan *plan;
    const struct tg_sink_ops *ops;
    void *state;
    struct tg_histogram *latency;      /* arrival to acknowledged */
    struct tg_batch projected;         /* rows only; texts stay where the pushed batch has them */
    uint32_t projected_from;           /* rows of the source batch in front of projected row 0 */
    const struct tg_batch *projecting; /* the batch `projected` was made from; NULL = none */
    bool flushing;
    bool cutting;    /* a cut was asked for and is not acknowledged yet */
    uint64_t epochs; /* cuts so far */
    bool opened;
    struct tg_sink_stats stats; /* as they were when it was closed */
    struct tg_error error;
};

struct tg_outlet_env {
    const struct tg_plan *plan;
    uint32_t sink; /* index into plan->sinks */
    uint32_t shard;
    int64_t version_base;
    bool create_tables;
    bool staged;         /* the job makes checkpoints */
    bool resumes;        /* and a checkpoint has something of the sink's to commit */
    bool joins;          /* and the start goes on from a checkpoint that has not */
    uint64_t generation; /* of the checkpoint directory, with `staged` */
    void *shared;
    struct tg_arena *arena;
    struct tg_loop *loop;
    struct tg_helper *helper;
    struct tg_clock clock;
};

/* The sink_env of a sink, for check, share and open.  @setup */
void tg_outlet_sink_env(const struct tg_outlet_env *env, struct tg_sink_env *out);

/* Allocate and open the sink's instance.  @shard */
TG_MUST_USE tg_status tg_outlet_open(struct tg_outlet *outlet, const struct tg_outlet_env *env, struct tg_error *err);

/* Offer rows from.. of a batch in the sink's input schema; returns how many were taken. Call again with the same batch
 * until all are taken before offering another one.  @shard */
TG_HOT uint32_t tg_outlet_push(struct tg_outlet *outlet, const struct tg_batch *batch, uint32_t from);
/* Offer a single row whose texts may be anywhere; false = not taken, try again.  @shard */
bool tg_outlet_push_row(struct tg_outlet *outlet, const struct tg_row *row, uint64_t arrived_ns);

/* Progress; a work count.  @shard */
uint32_t tg_outlet_poll(struct tg_outlet *outlet, uint64_t now_ns);
/* Begin to write out everything; true once it is.  @shard */
bool tg_outlet_flush(struct tg_outlet *outlet);
/* Do rows of somebody who has made `epochs` cuts belong into the sink's current epoch? Not before it has cut, too:
 * until then they wait.  @shard */
static inline bool tg_outlet_takes(const struct tg_outlet *outlet, uint64_t epochs) { return outlet->epochs >= epochs; }
/* The epoch ends here: all who feed the sink have cut.  @shard */
void tg_outlet_cut(struct tg_outlet *outlet);
/* True once everything taken before the last cut is acknowledged, or staged for its commit.  @shard */
bool tg_outlet_cut_done(struct tg_outlet *outlet);
/* The checkpoint of the last cut is over, one way or the other.  @shard */
void tg_outlet_settle(struct tg_outlet *outlet);
/* What the last cut leaves to commit, once done; returns its bytes, 0 = nothing, ever.  @helper */
uint32_t tg_outlet_prepare(struct tg_outlet *outlet, uint8_t *out);
/* First unrecoverable error of the sink.  @shard */
tg_status tg_outlet_failure(struct tg_outlet *outlet, struct tg_error *err);
void tg_outlet_close(struct tg_outlet *outlet);

#endif
