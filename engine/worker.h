/* A worker: everything of a job on one shard. It opens the shard's loop, sinks, stages and sources in the shard's own
 * thread, offers them as agents, and notices when all of it has come to its end. */
#ifndef TG_ENGINE_WORKER_H
#define TG_ENGINE_WORKER_H

#include "engine/checkpoint/checkpoint.h"
#include "engine/ingest.h"
#include "engine/runtime.h"
#include "engine/stage.h"
#include "shards/shard.h"

enum tg_worker_state {
    TG_WORKER_OPENING,
    TG_WORKER_RUNNING,
    TG_WORKER_FLUSHED, /* every stage has ended and every sink has everything */
    TG_WORKER_FAILED,  /* error says why */
};

/* What all workers of a job share. Set up before they start. */
struct tg_cluster {
    const struct tg_plan *plan;
    const struct tg_run_options *options;
    struct tg_worker *workers; /* [shard_count] */
    struct tg_edge edges[TG_STEPS_MAX];
    struct tg_published *published; /* [partition_count] */
    void *shared[TG_SINKS_MAX + 2]; /* of the sinks */
    struct tg_helper *helper;       /* for sinks and sources */
    struct tg_helper *keeper; /* another one, for checkpoints: their syncs and commits hold up no row; NULL = none */
    struct tg_checkpoint *checkpoint; /* NULL = the job makes none; borrowed */
    const struct tg_tick_watch *tick_watch; /* NULL = none */
    struct tg_arena arena;            /* rings, published */
    struct tg_clock clock;
    enum tg_loop_backend io;
    bool simulated;           /* no loop, no threads */
    int64_t version_base;     /* of steps on a partition's clock: a replay gives the same rows the same version */
    int64_t job_clock_base;   /* of the others */
    _Atomic uint32_t cycling; /* workers whose duty cycle may still touch the others */
    _Atomic bool stop;        /* finish what is read, flush, end */
    _Atomic bool commit;      /* on closing: positions may be committed */
};

struct tg_worker {
    struct tg_cluster *cluster;
    uint32_t index;
    struct tg_shard shard;
    struct tg_arena arena;
    struct tg_buffer_pool buffers;
    struct tg_loop *loop;
    _Atomic(struct tg_loop *) wake_loop; /* set while others may wake it */
    _Atomic uint32_t wakers;             /* threads inside tg_worker_wake: the loop outlives them */
    int io_denied;                       /* errno that refused io_uring, 0 = none */
    struct tg_edge_out edges[TG_STEPS_MAX];
    struct tg_ctx *stages;     /* [step_count] */
    struct tg_ingest *ingests; /* [source_count] */
    struct tg_tick_lane ticks; /* of its idle partitions */
    struct tg_outlet *outlets; /* [plan->sink_count] */
    uint32_t outlet_count;     /* opened so far */
    uint32_t ingest_count;
    struct tg_progress progress;
    uint64_t next_gauges_ns;
    _Atomic bool ended;               /* input over, output acknowledged: only the last checkpoint is missing */
    struct tg_checkpoint_shard *part; /* of the cluster's checkpoint; NULL = none */
    _Atomic int state;                /* enum tg_worker_state */
    struct tg_error error;
};

/* Register the agents; nothing is opened yet.  @setup */
void tg_worker_init(struct tg_worker *worker, struct tg_cluster *cluster, uint32_t index);
/* Open everything; in the shard's thread (or the simulator's only one). On failure state is FAILED.  @shard */
tg_status tg_worker_open(struct tg_worker *worker, struct tg_error *err);
/* Commit positions when the cluster says so, close everything.  @shard */
void tg_worker_close(struct tg_worker *worker);
/* What a sink adds to revisions: 0 where the revision is event time, else the base of the step's clock.  @any */
int64_t tg_sink_version_base(const struct tg_cluster *cluster, uint32_t sink);
/* Make its thread look at the world again.  @any */
void tg_worker_wake(struct tg_worker *worker);

#endif
