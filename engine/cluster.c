/* What the workers of a job share: made before the first one starts, taken down after the last one has closed, and the
 * sums over what they report. */
#include "engine/cluster.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static void wake_worker(void *self, uint32_t shard)
{
    struct tg_cluster *cluster = self;
    if (cluster->workers != NULL) { tg_worker_wake(&cluster->workers[shard]); }
}

static tg_status make_edges(struct tg_cluster *cluster, struct tg_error *err)
{
    const struct tg_plan *plan = cluster->plan;
    size_t bytes = plan->partition_count * sizeof *cluster->published + (1 << 20);
    for (uint32_t i = 0; i < plan->job->step_count; i++) { bytes += tg_mesh_bytes(plan->shard_count, TG_EDGE_BATCHES); }
    tg_status status = tg_arena_open(&cluster->arena, bytes, err);
    if (status != TG_OK) { return status; }
    cluster->published = tg_arena_alloc(&cluster->arena, plan->partition_count * sizeof *cluster->published, 64);
    for (uint32_t i = 0; status == TG_OK && i < plan->partition_count; i++) {
        atomic_init(&cluster->published[i].wm, TG_TS_MIN);
        atomic_init(&cluster->published[i].idle, 0);
    }
    for (uint32_t i = 0; status == TG_OK && i < plan->job->step_count; i++) {
        status = tg_edge_init(&cluster->edges[i], &plan->edges[i], plan->shard_count, &cluster->arena, err);
        cluster->edges[i].wake = cluster->simulated ? NULL : wake_worker;
        cluster->edges[i].wake_self = cluster;
    }
    return status;
}

static tg_status share_sinks(struct tg_cluster *cluster, struct tg_error *err)
{
    for (uint32_t i = 0; i < cluster->plan->sink_count; i++) {
        const struct tg_sink_ops *ops = cluster->plan->sinks[i].spec->ops;
        if (ops->share == NULL) { continue; }
        const struct tg_outlet_env env = {
            .plan = cluster->plan,
            .sink = i,
            .version_base = tg_sink_version_base(cluster, i),
            .create_tables = cluster->options->create_tables,
            .staged = cluster->checkpoint != NULL,
            .resumes = tg_checkpoint_resumes(cluster->checkpoint, i),
            .joins = tg_checkpoint_joins(cluster->checkpoint, i),
            .generation = cluster->checkpoint != NULL ? cluster->checkpoint->store.generation : 0,
            .clock = cluster->clock,
        };
        struct tg_sink_env sink_env;
        tg_outlet_sink_env(&env, &sink_env);
        const tg_status status = ops->share(&sink_env, &cluster->shared[i], err);
        if (status != TG_OK) { return status; }
    }
    return TG_OK;
}

tg_status tg_cluster_create(struct tg_cluster **out, const struct tg_cluster_config *config, struct tg_error *err)
{
    const uint32_t shard_count = config->plan->shard_count;
    struct tg_cluster *cluster = calloc(1, sizeof *cluster);
    if (cluster == NULL) {
        tg_checkpoint_destroy(config->checkpoint);
        tg_plan_destroy(config->plan);
        return tg_fail(err, TG1601, 0, "no memory for the job");
    }
    cluster->plan = config->plan;
    cluster->options = config->options;
    cluster->clock = config->clock;
    cluster->simulated = config->simulated;
    cluster->io = config->plan->job->engine.io;
    cluster->checkpoint = config->checkpoint;
    cluster->tick_watch = config->tick_watch;
    const int64_t born_us = tg_clock_wall_us(&config->clock);
    cluster->version_base = config->checkpoint != NULL ? config->checkpoint->version_base : born_us;
    cluster->job_clock_base = config->checkpoint != NULL ? config->checkpoint->job_clock_base : born_us;
    atomic_init(&cluster->cycling, shard_count);
    tg_status status = make_edges(cluster, err);
    if (status == TG_OK) { status = tg_helper_create(&cluster->helper, shard_count, wake_worker, cluster, err); }
    if (status == TG_OK && cluster->checkpoint != NULL) {
        status = tg_helper_create(&cluster->keeper, shard_count, wake_worker, cluster, err);
        cluster->checkpoint->helper = cluster->keeper;
    }
    if (status == TG_OK) { status = share_sinks(cluster, err); }
    if (status == TG_OK && cluster->checkpoint != NULL) {
        cluster->checkpoint->shared = cluster->shared;
        status = tg_checkpoint_recommit(cluster->checkpoint, err);
        if (status == TG_OK) { status = tg_checkpoint_may_go_on(cluster->checkpoint, err); }
    }
    if (status == TG_OK && !config->simulated) { status = tg_helper_start(cluster->helper, err); }
    if (status == TG_OK && !config->simulated && cluster->keeper != NULL) {
        status = tg_helper_start(cluster->keeper, err);
    }
    if (status == TG_OK) {
        cluster->workers = calloc(shard_count, sizeof *cluster->workers);
        if (cluster->workers == NULL) { status = tg_fail(err, TG1601, 0, "no memory for %u shards", shard_count); }
    }
    if (status != TG_OK) {
        tg_cluster_destroy(cluster);
        return status;
    }
    for (uint32_t i = 0; i < shard_count; i++) { tg_worker_init(&cluster->workers[i], cluster, i); }
    *out = cluster;
    return TG_OK;
}

void tg_cluster_destroy(struct tg_cluster *cluster)
{
    tg_helper_destroy(cluster->helper);
    tg_helper_destroy(cluster->keeper);
    for (uint32_t i = 0; i < cluster->plan->sink_count; i++) {
        const struct tg_sink_ops *ops = cluster->plan->sinks[i].spec->ops;
        if (cluster->shared[i] != NULL && ops->unshare != NULL) { ops->unshare(cluster->shared[i]); }
    }
    for (uint32_t i = 0; cluster->workers != NULL && i < cluster->plan->shard_count; i++) {
        tg_arena_close(&cluster->workers[i].arena);
    }
    free(cluster->workers);
    tg_checkpoint_destroy(cluster->checkpoint);
    tg_arena_close(&cluster->arena);
    tg_plan_destroy((struct tg_plan *)(uintptr_t)cluster->plan); /* ours alone again */
    free(cluster);
}

void tg_cluster_totals(const struct tg_cluster *cluster, struct tg_totals *out)
{
    *out = (struct tg_totals){.watermark = TG_TS_MAX};
    for (uint32_t w = 0; w < cluster->plan->shard_count; w++) {
        const struct tg_progress *progress = &cluster->workers[w].progress;
        out->records_in += tg_counter_read(&progress->records_in);
        out->bytes_in += tg_counter_read(&progress->bytes_in);
        out->late += tg_counter_read(&progress->late);
        out->duplicates += tg_counter_read(&progress->duplicates);
        out->ignored += tg_counter_read(&progress->ignored);
        out->adjusted += tg_counter_read(&progress->adjusted);
        out->moved_keys += tg_counter_read(&progress->moved_keys);
        out->rows_out += tg_counter_read(&progress->rows_out);
        out->timers_fired += tg_counter_read(&progress->timers_fired);
        out->blocked += tg_counter_read(&progress->blocked);
        out->keys += tg_gauge_read(&progress->keys);
        out->state_bytes += tg_gauge_read(&progress->state_bytes);
        for (uint32_t r = 0; r < TG_REASON_COUNT; r++) {
            const uint64_t dead = tg_counter_read(&progress->dead[r]);
            out->dead_by_reason[r] += dead;
            out->dead += dead;
        }
        const int64_t lag = tg_gauge_read(&progress->lag);
        out->lag = lag < 0 || out->lag < 0 ? -1 : out->lag + lag;
        const int64_t wm = tg_gauge_read(&progress->watermark);
        if (wm != 0 && wm < out->watermark) { out->watermark = wm; }
    }
}

void tg_cluster_latency(const struct tg_cluster *cluster, struct tg_histogram *acknowledged,
                        struct tg_histogram *applied)
{
    for (uint32_t w = 0; w < cluster->plan->shard_count; w++) {
        const struct tg_worker *worker = &cluster->workers[w];
        if (atomic_load_explicit(&worker->state, memory_order_acquire) == TG_WORKER_OPENING) { continue; }
        tg_histogram_merge(applied, &worker->progress.process);
        for (uint32_t s = 0; s < worker->outlet_count && s < cluster->plan->job->sink_count; s++) {
            if (worker->outlets[s].latency != NULL) { tg_histogram_merge(acknowledged, worker->outlets[s].latency); }
        }
    }
}

bool tg_cluster_partition(const struct tg_cluster *cluster, uint32_t source, uint32_t partition,
                          struct tg_manifest_partition *out)
{
    const struct tg_worker *worker = &cluster->workers[partition % cluster->plan->shard_count];
    if (worker->ingest_count <= source || worker->ingests[source].partitions == NULL) { return false; }
    const struct tg_ingest *ingest = &worker->ingests[source];
    tg_partition_save(&ingest->partitions[ingest->owned_index[partition]], out);
    return true;
}

bool tg_cluster_tally(const struct tg_cluster *cluster, uint32_t step, uint32_t partition, struct tg_tally *out)
{
    const struct tg_edge_plan *edge = &cluster->plan->edges[step];
    *out = (struct tg_tally){0};
    if (partition - edge->partition_first >= edge->partition_count) { return false; }
    for (uint32_t w = 0; w < cluster->plan->shard_count; w++) {
        const struct tg_worker *worker = &cluster->workers[w];
        if (worker->stages == NULL || worker->stages[step].tallies == NULL) { return false; }
        tg_tally_add(out, &worker->stages[step].tallies[partition - edge->partition_first]);
    }
    return true;
}

void tg_cluster_sink_stats(const struct tg_cluster *cluster, uint32_t sink, struct tg_sink_stats *out)
{
    *out = (struct tg_sink_stats){0};
    for (uint32_t w = 0; w < cluster->plan->shard_count; w++) {
        const struct tg_worker *worker = &cluster->workers[w];
        if (sink >= worker->outlet_count) { continue; }
        const struct tg_sink_stats own = worker->outlets[sink].stats;
        out->rows_taken += own.rows_taken;
        out->rows_written += own.rows_written;
        out->retries += own.retries;
        out->errors += own.errors;
        out->digest += own.digest;
        out->digest_core += own.digest_core;
        out->rows_core += own.rows_core;
        out->pending += own.pending;
    }
}
