/* Shard 0's side of checkpoints: a few phases, each ended by the shards' reports or by a task on the I/O helper. */
#include "engine/checkpoint/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"

enum { ARENA_BYTES = 64 << 20 };
#define RETRY_NS 500000000u

static const struct tg_job *job_of(const struct tg_checkpoint *checkpoint) { return checkpoint->config.plan->job; }

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

static bool commits_output(const struct tg_plan *plan)
{
    for (uint32_t i = 0; i < plan->sink_count; i++) {
        if (plan->sinks[i].spec->ops->commit != NULL) { return true; }
    }
    return false;
}

static tg_status choose(struct tg_checkpoint *checkpoint, struct tg_error *err)
{
    const struct tg_job *job = checkpoint->config.plan->job;
    struct tg_recovery_source sources[TG_SOURCES_MAX];
    for (uint32_t i = 0; i < job->source_count; i++) {
        sources[i] = (struct tg_recovery_source){
            .name = job->sources[i].name,
            .connector = job->sources[i].ops->name,
            .cluster = "",
            .topic = job->sources[i].topic,
            .partition_count = checkpoint->config.plan->source_partitions[i],
        };
    }
    struct tg_recovery_sink sinks[TG_MANIFEST_SINKS_MAX];
    const struct tg_recovery_wanted wanted = {
        .job = job->name,
        .graph_hash = checkpoint->graph_hash,
        .source_count = job->source_count,
        .sources = sources,
        .sink_count = tg_job_sinks(job, sinks),
        .sinks = sinks,
        .ask = tg_checkpoint_ask_sources,
        .ask_self = checkpoint,
        .transactional = commits_output(checkpoint->config.plan),
        .accept_duplicates = checkpoint->config.accept_duplicates,
        .threads = checkpoint->config.threads,
        .progress = &checkpoint->progress,
    };
    checkpoint->identities = tg_arena_alloc(&checkpoint->arena, job->source_count * sizeof *checkpoint->identities, 8);
    if (checkpoint->identities == NULL) { return tg_fail(err, TG1601, ENOMEM, "no memory for checkpoints"); }
    checkpoint->begin_ns = tg_clock_now_ns(&checkpoint->config.clock);
    tg_restore_progress_open(&checkpoint->progress, checkpoint->config.clock);
    const tg_status status =
        tg_recovery_choose(&checkpoint->store, &wanted, &checkpoint->arena, &checkpoint->choice, err);
    checkpoint->verify_ns = tg_clock_now_ns(&checkpoint->config.clock) - checkpoint->begin_ns;
    return status == TG_OK && !checkpoint->choice.found ? tg_checkpoint_ask_first(checkpoint, err) : status;
}

static tg_status open_ticks(struct tg_checkpoint *checkpoint, struct tg_error *err)
{
    const struct tg_job *job = checkpoint->config.plan->job;
    struct tg_ticks_source sources[TG_SOURCES_MAX];
    for (uint32_t i = 0; i < job->source_count; i++) {
        sources[i] = (struct tg_ticks_source){.name = job->sources[i].name,
                                              .topic = job->sources[i].topic,
                                              .cluster = checkpoint->identities[i],
                                              .partition_count = checkpoint->config.plan->source_partitions[i]};
    }
    const struct tg_ticks_header header = {
        .job = job->name, .graph_hash = checkpoint->graph_hash, .source_count = job->source_count, .sources = sources};
    const struct tg_manifest *chosen = checkpoint->choice.found ? &checkpoint->choice.manifest : NULL;
    return tg_tick_log_open(&checkpoint->ticks, &checkpoint->store, &header, chosen, err);
}

/* Every shard's part, and room for the chain of files behind each. They begin empty: the first checkpoint of a
 * run is a base, unless loading finds the chain to go on with. */
static tg_status parts_create(struct tg_checkpoint *checkpoint, struct tg_error *err)
{
    const uint32_t shard_count = checkpoint->config.plan->shard_count;
    const size_t files = (size_t)shard_count * TG_MANIFEST_CHAIN_MAX;
    checkpoint->chain = tg_arena_alloc(&checkpoint->arena, files * sizeof *checkpoint->chain, 8);
    checkpoint->chain_counts = tg_arena_alloc(&checkpoint->arena, shard_count * sizeof(uint32_t), 8);
    checkpoint->parts = calloc(shard_count, sizeof *checkpoint->parts);
    if (checkpoint->chain == NULL || checkpoint->chain_counts == NULL || checkpoint->parts == NULL) {
        return tg_fail(err, TG1601, 0, "no memory for checkpoints");
    }
    for (uint32_t i = 0; i < shard_count; i++) {
        checkpoint->parts[i].checkpoint = checkpoint;
        checkpoint->parts[i].shard = i;
    }
    return TG_OK;
}

static void begin_life(struct tg_checkpoint *checkpoint)
{
    const int64_t wall_us = tg_clock_wall_us(&checkpoint->config.clock);
    if (checkpoint->choice.found) {
        const struct tg_manifest *manifest = &checkpoint->choice.manifest;
        const uint32_t shard_count = checkpoint->config.plan->shard_count;
        const uint32_t readers = manifest->shard_count == shard_count ? 1 : shard_count;
        tg_restore_progress_begin(&checkpoint->progress, manifest, "loaded", readers);
        checkpoint->run_id = manifest->run_id;
        checkpoint->version_base = manifest->version_base;
        checkpoint->job_clock_base = tg_recovery_job_clock_base(manifest, checkpoint->store.generation, wall_us);
    } else {
        const struct tg_tick_log *ticks = &checkpoint->ticks;
        checkpoint->run_id = ticks->found ? ticks->header.run_id : checkpoint->config.run_id;
        checkpoint->version_base = wall_us;
        checkpoint->job_clock_base = wall_us;
    }
    tg_tick_log_begin(&checkpoint->ticks, &checkpoint->run_id);
    checkpoint->next_epoch = checkpoint->choice.newest + 1;
    checkpoint->next_ns =
        tg_clock_now_ns(&checkpoint->config.clock) + (uint64_t)job_of(checkpoint)->checkpoint.every * 1000;
    atomic_init(&checkpoint->epoch, 0);
    checkpoint->health.max_age = job_of(checkpoint)->checkpoint.max_age;
    tg_recovery_time_begin(&checkpoint->recovery_time, checkpoint->config.plan->shard_count,
                           checkpoint->choice.found ? tg_manifest_bytes(&checkpoint->choice.manifest) : 0,
                           tg_clock_process_cpu_ns());
}

tg_status tg_checkpoint_may_go_on(const struct tg_checkpoint *checkpoint, struct tg_error *err)
{
    if (!checkpoint->choice.found) { return TG_OK; }
    const struct tg_manifest *manifest = &checkpoint->choice.manifest;
    for (uint32_t s = 0; s < manifest->source_count; s++) {
        for (uint32_t p = 0; p < manifest->sources[s].partition_count; p++) {
            if (manifest->sources[s].partitions[p].wm != TG_TS_MAX) { return TG_OK; }
        }
    }
    return tg_fail(err, TG1522, 0, "checkpoint %" PRIu64 " in %s is of a run that has come to its end", manifest->epoch,
                   job_of(checkpoint)->checkpoint.dir);
}

tg_status tg_checkpoint_create(struct tg_checkpoint **out, const struct tg_checkpoint_config *config,
                               struct tg_error *err)
{
    struct tg_checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
    if (checkpoint == NULL) { return tg_fail(err, TG1601, ENOMEM, "no memory for checkpoints"); }
    checkpoint->config = *config;
    checkpoint->graph_hash = tg_job_graph_hash(config->plan);
    const struct tg_store_config store = {.path = config->plan->job->checkpoint.dir, .pid = config->pid};
    tg_status status = tg_store_open(&checkpoint->store, &store, err);
    if (status == TG_OK) { status = tg_arena_open(&checkpoint->arena, TG_RECOVERY_ARENA_BYTES + ARENA_BYTES, err); }
    if (status == TG_OK) { status = tg_job_tables_make(config->plan, &checkpoint->arena, &checkpoint->tables, err); }
    if (status == TG_OK && config->fresh) { status = tg_checkpoint_forget(checkpoint, err); }
    if (status == TG_OK) { status = choose(checkpoint, err); }
    if (status == TG_OK) { status = open_ticks(checkpoint, err); }
    if (status == TG_OK) { status = parts_create(checkpoint, err); }
    if (status != TG_OK) {
        tg_checkpoint_destroy(checkpoint);
        return status;
    }
    begin_life(checkpoint);
    *out = checkpoint;
    return TG_OK;
}

void tg_checkpoint_destroy(struct tg_checkpoint *checkpoint)
{
    if (checkpoint == NULL) { return; }
    tg_tick_log_close(&checkpoint->ticks);
    tg_store_close(&checkpoint->store);
    tg_arena_close(&checkpoint->arena);
    tg_arena_close(&checkpoint->manifest_arena);
    free(checkpoint->parts);
    free(checkpoint);
}

/* ---- tasks ------------------------------------------------------------------------------------------------------- */

static void task_done(struct tg_task *task) { ((struct tg_checkpoint *)task->owner)->task_done = true; }

static void submit(struct tg_checkpoint *checkpoint, void (*run)(struct tg_task *))
{
    checkpoint->task = (struct tg_task){.run = run, .done = task_done, .owner = checkpoint};
    checkpoint->task_done = false;
    checkpoint->status = TG_OK;
    checkpoint->error = (struct tg_error){0};
    TG_ASSERT(tg_helper_submit(checkpoint->helper, 0, &checkpoint->task)); /* one of ours is under way at a time */
}

static void run_begin(struct tg_task *task)
{
    struct tg_checkpoint *checkpoint = task->owner;
    checkpoint->status = tg_store_epoch_begin(&checkpoint->store, checkpoint->next_epoch, &checkpoint->error);
}

static void run_publish(struct tg_task *task)
{
    struct tg_checkpoint *checkpoint = task->owner;
    const struct tg_manifest *manifest = &checkpoint->manifest;
    struct tg_error *err = &checkpoint->error;
    checkpoint->decided = false;
    checkpoint->status = tg_store_epoch_sync(&checkpoint->store, manifest->epoch, err);
    if (checkpoint->status != TG_OK) { return; }
    struct tg_bytes_out out = {.data = checkpoint->manifest_bytes, .capacity = TG_MANIFEST_BYTES_MAX};
    checkpoint->status = tg_manifest_encode(manifest, &out, err);
    if (checkpoint->status != TG_OK) { return; }
    checkpoint->status =
        tg_store_publish(&checkpoint->store, manifest->epoch, out.data, out.used, &checkpoint->decided, err);
}

/* Sinks make the rows of a decided checkpoint visible. *count is how many committables that were. A sink that is no
 * longer in the job had shown all of its own: a start asks for that. */
static tg_status commit_all(struct tg_checkpoint *checkpoint, const struct tg_manifest *manifest, uint32_t *count,
                            struct tg_error *err)
{
    const struct tg_plan *plan = checkpoint->config.plan;
    *count = 0;
    for (uint32_t i = 0; i < plan->sink_count; i++) {
        const struct tg_sink_spec *spec = plan->sinks[i].spec;
        const struct tg_manifest_sink *sink = tg_manifest_sink_find(manifest, spec->name, spec->ops->name);
        if (sink == NULL || sink->committable_count == 0 || spec->ops->commit == NULL) { continue; }
        const int failed = TG_FAILPOINT("checkpoint.commit_sink");
        if (failed != 0) { return tg_fail(err, TG1502, failed, "commit rows of sink %s", spec->name); }
        tg_status status = tg_store_still_ours(&checkpoint->store, err);
        if (status == TG_OK) {
            status = spec->ops->commit(checkpoint->shared[i], sink->committables, sink->committable_count, err);
        }
        if (status != TG_OK) { return status; }
        *count += sink->committable_count;
    }
    return TG_OK;
}

bool tg_checkpoint_resumes(const struct tg_checkpoint *checkpoint, uint32_t sink)
{
    if (checkpoint == NULL || !checkpoint->choice.found) { return false; }
    const struct tg_sink_spec *spec = checkpoint->config.plan->sinks[sink].spec;
    const struct tg_manifest_sink *known =
        tg_manifest_sink_find(&checkpoint->choice.manifest, spec->name, spec->ops->name);
    return known != NULL && known->committable_count != 0;
}

bool tg_checkpoint_joins(const struct tg_checkpoint *checkpoint, uint32_t sink)
{
    return checkpoint != NULL && checkpoint->choice.found && !tg_checkpoint_resumes(checkpoint, sink);
}

tg_status tg_checkpoint_recommit(struct tg_checkpoint *checkpoint, struct tg_error *err)
{
    uint32_t count;
    if (!checkpoint->choice.found) { return TG_OK; }
    const int failed = TG_FAILPOINT("recovery.recommit");
    if (failed != 0) {
        return tg_fail(err, TG1502, failed, "commit checkpoint %" PRIu64 " again", checkpoint->choice.epoch);
    }
    return commit_all(checkpoint, &checkpoint->choice.manifest, &count, err);
}

/* Commits are repeated until they work; what comes after cannot undo the checkpoint, and is tried again behind the next
 * one. */
static void run_clean(struct tg_task *task)
{
    struct tg_checkpoint *checkpoint = task->owner;
    const uint64_t epoch = checkpoint->manifest.epoch;
    struct tg_error error = {0};
    uint32_t count = 0;
    const int failed = TG_FAILPOINT("checkpoint.commit");
    if (failed != 0) { (void)tg_fail(&checkpoint->error, TG1502, failed, "commit"); }
    checkpoint->committed =
        failed == 0 && commit_all(checkpoint, &checkpoint->manifest, &count, &checkpoint->error) == TG_OK;
    if (!checkpoint->committed) { return; }
    if (tg_store_acknowledge(&checkpoint->store, epoch, count, &error) != TG_OK ||
        tg_recovery_collect(&checkpoint->store, job_of(checkpoint)->checkpoint.keep, &error) != TG_OK) {
        checkpoint->error = error;
        checkpoint->status = error.status;
    }
}

static void run_abort(struct tg_task *task)
{
    struct tg_checkpoint *checkpoint = task->owner;
    tg_store_epoch_abort(&checkpoint->store, checkpoint->next_epoch);
}

/* ---- chains ------------------------------------------------------------------------------------------------------ */

/* The chain of a shard: a base starts it anew, a delta makes it longer. */
static void extend_chain(struct tg_checkpoint *checkpoint, uint32_t shard)
{
    const struct tg_manifest_file *file = &checkpoint->parts[shard].result;
    uint32_t *count = &checkpoint->chain_counts[shard];
    if (file->kind == TG_STATE_BASE) { *count = 0; }
    TG_ASSERT(*count < TG_MANIFEST_CHAIN_MAX);
    checkpoint->chain[(size_t)shard * TG_MANIFEST_CHAIN_MAX + (*count)++] = *file;
}

/* ---- phases ------------------------------------------------------------------------------------------------------ */

/* Of a part that is done, and so does not write them. */
static void take_longest(struct tg_checkpoint *checkpoint, const struct tg_checkpoint_shard *part)
{
    struct tg_checkpoint_stats *stats = &checkpoint->stats;
    if (part->align_ns_max > atomic_load_explicit(&stats->align_ns_max, memory_order_relaxed)) {
        atomic_store_explicit(&stats->align_ns_max, part->align_ns_max, memory_order_relaxed);
    }
}

static void log_failure(struct tg_checkpoint *checkpoint, const struct tg_error *why, uint64_t now_ns)
{
    (void)atomic_fetch_add_explicit(&checkpoint->stats.failed, 1, memory_order_relaxed);
    tg_checkpoint_health_failed(&checkpoint->health);
    uint64_t suppressed = 0;
    if (!tg_log_allowed(&checkpoint->log_limit, now_ns, &suppressed)) { return; }
    tg_log(TG_LOG_WARN, TG2501, -1, NULL, "checkpoint %" PRIu64 " failed: %s; the job goes on, the next one is tried",
           checkpoint->next_epoch, why->text);
}

/* The last checkpoint of a run is tried until it works: rows may be waiting to become visible. */
static void wait_for_next(struct tg_checkpoint *checkpoint, bool succeeded, uint64_t now_ns)
{
    const uint64_t due_ns = checkpoint->started_ns + (uint64_t)job_of(checkpoint)->checkpoint.every * 1000;
    checkpoint->next_ns = due_ns > now_ns ? due_ns : now_ns;
    if (!succeeded && checkpoint->is_final) { checkpoint->next_ns = now_ns + RETRY_NS; }
    atomic_store_explicit(&checkpoint->over, checkpoint->next_epoch, memory_order_release);
    checkpoint->next_epoch++;
    checkpoint->phase = TG_CHECKPOINT_WAITING;
    if (succeeded && checkpoint->is_final) {
        atomic_store_explicit(&checkpoint->final_over, true, memory_order_release);
    }
}

/* The checkpoint under way is over, not complete. */
static void give_up(struct tg_checkpoint *checkpoint, const struct tg_error *why, uint64_t now_ns)
{
    if (why->code == TG1521) { /* another process has taken over: what we do counts for nothing any more */
        checkpoint->fatal = *why;
        return;
    }
    log_failure(checkpoint, why, now_ns);
    submit(checkpoint, run_abort);
    checkpoint->phase = TG_CHECKPOINT_ABORTING;
}

/* Likewise, behind the cuts: what has changed in that epoch is in its files only, which go. No delta may follow. */
static void give_up_cut(struct tg_checkpoint *checkpoint, const struct tg_error *why, uint64_t now_ns)
{
    for (uint32_t i = 0; i < checkpoint->config.plan->shard_count; i++) { checkpoint->parts[i].last_epoch = 0; }
    give_up(checkpoint, why, now_ns);
}

static uint32_t poll_waiting(struct tg_checkpoint *checkpoint, uint64_t now_ns)
{
    const bool final_wanted = atomic_load_explicit(&checkpoint->final_wanted, memory_order_acquire);
    if (atomic_load_explicit(&checkpoint->final_over, memory_order_relaxed)) { return 0; }
    const bool first_try = final_wanted && !checkpoint->is_final; /* at once */
    if (!first_try && now_ns < checkpoint->next_ns) { return 0; }
    checkpoint->is_final = final_wanted;
    checkpoint->started_ns = now_ns;
    checkpoint->started_cpu_ns = tg_clock_process_cpu_ns();
    submit(checkpoint, run_begin);
    checkpoint->phase = TG_CHECKPOINT_BEGINNING;
    return 1;
}

static uint32_t poll_beginning(struct tg_checkpoint *checkpoint, uint64_t now_ns)
{
    if (!checkpoint->task_done) { return 0; }
    if (checkpoint->status != TG_OK) {
        give_up(checkpoint, &checkpoint->error, now_ns);
        return 1;
    }
    atomic_store_explicit(&checkpoint->epoch, checkpoint->next_epoch, memory_order_release);
    checkpoint->phase = TG_CHECKPOINT_RUNNING;
    return 1;
}

static uint32_t poll_running(struct tg_checkpoint *checkpoint, uint64_t now_ns)
{
    const uint32_t shard_count = checkpoint->config.plan->shard_count;
    const struct tg_error *why = NULL;
    for (uint32_t i = 0; i < shard_count; i++) {
        const struct tg_checkpoint_shard *part = &checkpoint->parts[i];
        if (atomic_load_explicit(&part->done, memory_order_acquire) != checkpoint->next_epoch) {
            if (now_ns - checkpoint->started_ns > (uint64_t)job_of(checkpoint)->checkpoint.timeout * 1000) {
                atomic_store_explicit(&checkpoint->unwanted, checkpoint->next_epoch, memory_order_relaxed);
            }
            return 0;
        }
        take_longest(checkpoint, part);
        if (!part->complete && why == NULL) { why = &part->why; }
    }
    if (why != NULL) {
        give_up_cut(checkpoint, why, now_ns);
        return 1;
    }
    for (uint32_t i = 0; i < shard_count; i++) { extend_chain(checkpoint, i); }
    struct tg_error error = {0};
    tg_arena_close(&checkpoint->manifest_arena);
    const int failed = TG_FAILPOINT("checkpoint.manifest");
    if (failed != 0) { (void)tg_fail(&error, TG1601, failed, "no memory for a manifest"); }
    if (failed != 0 ||
        tg_arena_open(&checkpoint->manifest_arena, TG_MANIFEST_BYTES_MAX + ARENA_BYTES, &error) != TG_OK ||
        tg_checkpoint_make_manifest(checkpoint, &checkpoint->manifest_arena, &error) != TG_OK) {
        give_up_cut(checkpoint, &error, now_ns);
        return 1;
    }
    submit(checkpoint, run_publish);
    checkpoint->phase = TG_CHECKPOINT_PUBLISHING;
    return 1;
}

static void note_success(struct tg_checkpoint *checkpoint, uint64_t now_ns)
{
    struct tg_checkpoint_stats *stats = &checkpoint->stats;
    uint64_t bytes = 0;
    uint64_t entries = 0;
    for (uint32_t i = 0; i < checkpoint->config.plan->shard_count; i++) {
        bytes += checkpoint->parts[i].result.bytes;
        entries += checkpoint->parts[i].puts;
    }
    atomic_store_explicit(&stats->last_ns, now_ns - checkpoint->started_ns, memory_order_relaxed);
    atomic_store_explicit(&stats->last_bytes, bytes, memory_order_relaxed);
    atomic_store_explicit(&stats->last_entries, entries, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&stats->bytes, bytes, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&stats->entries, entries, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&stats->completed, 1, memory_order_relaxed);
    atomic_store_explicit(&checkpoint->complete, checkpoint->next_epoch, memory_order_release);
    tg_checkpoint_health_complete(&checkpoint->health, checkpoint->started_ns, now_ns);
    tg_recovery_time_complete(&checkpoint->recovery_time, tg_manifest_bytes(&checkpoint->manifest),
                              checkpoint->started_cpu_ns);
}

static uint32_t poll_publishing(struct tg_checkpoint *checkpoint, uint64_t now_ns)
{
    if (!checkpoint->task_done) { return 0; }
    if (checkpoint->status != TG_OK && !checkpoint->decided) {
        give_up_cut(checkpoint, &checkpoint->error, now_ns);
        return 1;
    }
    if (checkpoint->status != TG_OK) { /* complete or not: only a new start can tell */
        checkpoint->fatal = checkpoint->error;
        return 0;
    }
    note_success(checkpoint, now_ns);
    submit(checkpoint, run_clean);
    checkpoint->phase = TG_CHECKPOINT_CLEANING;
    return 1;
}

static uint32_t poll_cleaning(struct tg_checkpoint *checkpoint, uint64_t now_ns)
{
    if (!checkpoint->task_done || now_ns < checkpoint->retry_ns) { return 0; }
    uint64_t suppressed = 0;
    if (checkpoint->error.code == TG1521) { /* its rows are the business of who has taken over */
        checkpoint->fatal = checkpoint->error;
        return 0;
    }
    if (!checkpoint->committed) {
        if (tg_log_allowed(&checkpoint->log_limit, now_ns, &suppressed)) {
            tg_log(TG_LOG_WARN, TG2501, -1, NULL,
                   "checkpoint %" PRIu64 " is complete, its rows are not visible yet: %s; "
                   "trying again",
                   checkpoint->next_epoch, checkpoint->error.text);
        }
        checkpoint->retry_ns = now_ns + RETRY_NS;
        submit(checkpoint, run_clean);
        return 1;
    }
    if (checkpoint->status != TG_OK && tg_log_allowed(&checkpoint->log_limit, now_ns, &suppressed)) {
        tg_log(TG_LOG_WARN, TG2501, -1, NULL, "after checkpoint %" PRIu64 ": %s; old ones stay for now",
               checkpoint->next_epoch, checkpoint->error.text);
    }
    wait_for_next(checkpoint, true, now_ns);
    return 1;
}

uint32_t tg_checkpoint_poll(struct tg_checkpoint *checkpoint, uint64_t now_ns)
{
    tg_checkpoint_health_poll(&checkpoint->health, now_ns);
    switch (checkpoint->phase) {
    case TG_CHECKPOINT_WAITING: return poll_waiting(checkpoint, now_ns);
    case TG_CHECKPOINT_BEGINNING: return poll_beginning(checkpoint, now_ns);
    case TG_CHECKPOINT_RUNNING: return poll_running(checkpoint, now_ns);
    case TG_CHECKPOINT_PUBLISHING: return poll_publishing(checkpoint, now_ns);
    case TG_CHECKPOINT_CLEANING: return poll_cleaning(checkpoint, now_ns);
    case TG_CHECKPOINT_ABORTING:
        if (!checkpoint->task_done) { return 0; }
        wait_for_next(checkpoint, false, now_ns);
        return 1;
    }
    return 0;
}
