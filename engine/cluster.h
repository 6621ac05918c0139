/* Setting up and taking down what all workers of a job share: sources counted, sinks verified, rings, the helper. Used
 * by the runtime (threads) and by the simulator (none). */
#ifndef TG_ENGINE_CLUSTER_H
#define TG_ENGINE_CLUSTER_H

#include "engine/worker.h"

struct tg_cluster_config {
    struct tg_plan *plan;                 /* taken over, also when creation fails */
    const struct tg_run_options *options; /* borrowed for the cluster's life */
    struct tg_checkpoint *checkpoint;     /* the cluster's from now on, also on failure; NULL = the job makes none */
    const struct tg_tick_watch *tick_watch; /* NULL = none; borrowed for the cluster's life */
    struct tg_clock clock;
    bool simulated;
};

/* Edges, sinks' shared objects, helpers (their threads run unless simulated), workers initialised. On failure
 * everything is taken down again.  @setup */
TG_MUST_USE tg_status tg_cluster_create(struct tg_cluster **cluster, const struct tg_cluster_config *config,
                                        struct tg_error *err);
/* After all workers are closed.  @setup */
void tg_cluster_destroy(struct tg_cluster *cluster);

/* Totals over all workers, for the status line, the report and tests. */
struct tg_totals {
    uint64_t records_in, bytes_in, late, dead, duplicates, ignored, adjusted, moved_keys, rows_out, timers_fired,
        blocked;
    uint64_t dead_by_reason[TG_REASON_COUNT];
    int64_t keys, state_bytes;
    int64_t lag;       /* -1 = unknown */
    int64_t watermark; /* smallest; TG_TS_MAX = none yet */
};
/* @any */
void tg_cluster_totals(const struct tg_cluster *cluster, struct tg_totals *out);
/* Arrival to acknowledged over the job's sinks (side outputs apart), and arrival to applied.  @any */
void tg_cluster_latency(const struct tg_cluster *cluster, struct tg_histogram *acknowledged,
                        struct tg_histogram *applied);
/* A source's partition as it stands, counted since the job's birth: over all lives that a checkpoint connects. False =
 * the source was never opened. Workers are closed.  @setup */
bool tg_cluster_partition(const struct tg_cluster *cluster, uint32_t source, uint32_t partition,
                          struct tg_manifest_partition *out);
/* What became of the rows of a partition, by its number in the job, in one step; likewise.  @setup */
bool tg_cluster_tally(const struct tg_cluster *cluster, uint32_t step, uint32_t partition, struct tg_tally *out);
/* One sink over all workers, as its instances stood when they were closed.  @setup */
void tg_cluster_sink_stats(const struct tg_cluster *cluster, uint32_t sink, struct tg_sink_stats *out);

#endif
