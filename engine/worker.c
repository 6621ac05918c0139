/* The agents of one shard, the order in which its parts are opened and closed, and the end of its work. */
#include "engine/worker.h"

#include <string.h>
#include <unistd.h>

#include "base/assert.h"

enum { BUFFER_COUNT = 24, BUFFER_BYTES = 512 << 10, LARGE_BUFFER_COUNT = 4, LOOP_OPS_MAX = 1024 };
enum { CONNECTOR_BYTES = 1 << 30 }; /* address space each sink and source instance may use besides max_keys rows */
#define PARK_NS_MAX 1000000u
#define GAUGES_EVERY_NS 100000000u

/* ---- agents ------------------------------------------------------------------------------------------------------ */

static uint32_t poll_io(void *self, uint64_t now_ns, uint32_t budget)
{
    struct tg_worker *worker = self;
    (void)now_ns;
    (void)budget;
    uint32_t done = tg_helper_poll(worker->cluster->helper, worker->index);
    if (worker->cluster->keeper != NULL) { done += tg_helper_poll(worker->cluster->keeper, worker->index); }
    if (worker->loop != NULL) { done += tg_loop_poll(worker->loop); }
    return done;
}

static uint32_t poll_stages(void *self, uint64_t now_ns, uint32_t budget)
{
    struct tg_worker *worker = self;
    uint32_t done = 0;
    for (uint32_t i = worker->cluster->plan->job->step_count; i-- != 0;) { /* last stage first: drain before feeding */
        done += tg_stage_poll(&worker->stages[i], now_ns, budget);
    }
    return done;
}

static uint32_t poll_sources(void *self, uint64_t now_ns, uint32_t budget)
{
    struct tg_worker *worker = self;
    uint32_t done = 0;
    const bool held = worker->part != NULL && tg_checkpoint_health_holds(&worker->cluster->checkpoint->health);
    for (uint32_t i = 0; i < worker->ingest_count; i++) {
        worker->ingests[i].held = held;
        done += tg_ingest_poll(&worker->ingests[i], now_ns, budget);
    }
    return done + tg_tick_lane_poll(&worker->ticks, now_ns);
}

static uint32_t poll_sinks(void *self, uint64_t now_ns, uint32_t budget)
{
    struct tg_worker *worker = self;
    (void)budget;
    uint32_t done = 0;
    for (uint32_t i = 0; i < worker->outlet_count; i++) { done += tg_outlet_poll(&worker->outlets[i], now_ns); }
    return done;
}

static void fail(struct tg_worker *worker, const struct tg_error *error)
{
    worker->error = *error;
    atomic_store_explicit(&worker->state, TG_WORKER_FAILED, memory_order_release);
}

/* The first error of any part, if there is one. */
static bool check_failures(struct tg_worker *worker)
{
    struct tg_error error = {0};
    for (uint32_t i = 0; i < worker->cluster->plan->job->step_count; i++) {
        if (worker->stages[i].error.status != TG_OK) { error = worker->stages[i].error; }
    }
    for (uint32_t i = 0; i < worker->ingest_count; i++) {
        if (worker->ingests[i].error.status != TG_OK) { error = worker->ingests[i].error; }
    }
    for (uint32_t i = 0; error.status == TG_OK && i < worker->outlet_count; i++) {
        (void)tg_outlet_failure(&worker->outlets[i], &error);
    }
    if (error.status == TG_OK && worker->part != NULL && worker->index == 0) {
        error = worker->cluster->checkpoint->fatal;
    }
    if (error.status == TG_OK) { error = worker->ticks.fatal; }
    if (error.status == TG_OK) { return false; }
    fail(worker, &error);
    return true;
}

static bool everything_ended(struct tg_worker *worker)
{
    for (uint32_t i = 0; i < worker->ingest_count; i++) {
        if (!tg_ingest_ended(&worker->ingests[i])) { return false; }
    }
    for (uint32_t i = 0; i < worker->cluster->plan->job->step_count; i++) {
        if (!tg_stage_ended(&worker->stages[i])) { return false; }
    }
    bool flushed = true;
    for (uint32_t i = 0; i < worker->outlet_count; i++) { flushed = tg_outlet_flush(&worker->outlets[i]) && flushed; }
    return flushed;
}

static uint32_t poll_checkpoint(void *self, uint64_t now_ns, uint32_t budget)
{
    struct tg_worker *worker = self;
    (void)budget;
    if (worker->part == NULL) { return 0; }
    uint32_t done = tg_checkpoint_shard_poll(worker->part, now_ns);
    if (worker->index == 0) { done += tg_checkpoint_poll(worker->cluster->checkpoint, now_ns); }
    return done;
}

/* All is read and acknowledged: is the last checkpoint over, too? */
static bool last_checkpoint_over(struct tg_worker *worker)
{
    struct tg_cluster *cluster = worker->cluster;
    if (cluster->checkpoint == NULL) { return true; }
    atomic_store_explicit(&worker->ended, true, memory_order_release);
    bool all_ended = worker->index == 0;
    for (uint32_t i = 0; all_ended && i < cluster->plan->shard_count; i++) {
        all_ended = atomic_load_explicit(&cluster->workers[i].ended, memory_order_acquire);
    }
    if (all_ended) { atomic_store_explicit(&cluster->checkpoint->final_wanted, true, memory_order_release); }
    return atomic_load_explicit(&cluster->checkpoint->final_over, memory_order_acquire);
}

static void report_gauges(struct tg_worker *worker, uint64_t now_ns)
{
    if (now_ns < worker->next_gauges_ns) { return; }
    worker->next_gauges_ns = now_ns + GAUGES_EVERY_NS;
    int64_t keys = 0;
    int64_t bytes = 0;
    for (uint32_t i = 0; i < worker->cluster->plan->job->step_count; i++) {
        keys += (int64_t)tg_table_count(worker->stages[i].table);
        bytes += (int64_t)(tg_table_used_bytes(worker->stages[i].table) + tg_heap_used_bytes(worker->stages[i].heap));
    }
    tg_gauge_set(&worker->progress.keys, keys);
    tg_gauge_set(&worker->progress.state_bytes, bytes);
}

static uint32_t poll_control(void *self, uint64_t now_ns, uint32_t budget)
{
    struct tg_worker *worker = self;
    (void)budget;
    report_gauges(worker, now_ns);
    if (atomic_load_explicit(&worker->state, memory_order_relaxed) != TG_WORKER_RUNNING || check_failures(worker)) {
        return 0;
    }
    if (atomic_load_explicit(&worker->cluster->stop, memory_order_relaxed)) {
        for (uint32_t i = 0; i < worker->ingest_count; i++) { tg_ingest_stop(&worker->ingests[i]); }
    }
    if (everything_ended(worker) && last_checkpoint_over(worker)) {
        worker->next_gauges_ns = 0;
        report_gauges(worker, now_ns);
        atomic_store_explicit(&worker->state, TG_WORKER_FLUSHED, memory_order_release);
    }
    return 0;
}

/* ----------------------------------------------------------------------------------------------------------------- */

static size_t arena_bytes(const struct tg_plan *plan)
{
    const struct tg_job *job = plan->job;
    const struct tg_buffer_pool_config buffers = {BUFFER_COUNT, BUFFER_BYTES, LARGE_BUFFER_COUNT};
    size_t bytes = tg_buffer_pool_bytes(&buffers) + (64 << 20);
    for (uint32_t i = 0; i < job->step_count; i++) {
        bytes += tg_stage_bytes(plan, i) + tg_edge_bytes(&plan->edges[i], plan->shard_count) + sizeof(struct tg_ctx);
    }
    for (uint32_t i = 0; i < job->source_count; i++) { bytes += tg_ingest_bytes(plan, i) + CONNECTOR_BYTES; }
    if (job->checkpoint.is_on) { bytes += tg_checkpoint_shard_bytes(plan); }
    for (uint32_t i = 0; i < plan->sink_count; i++) {
        bytes += CONNECTOR_BYTES + plan->stages[0].keys_per_shard * (plan->sinks[i].spec->schema.row_bytes + 256) * 2;
    }
    return bytes;
}

int64_t tg_sink_version_base(const struct tg_cluster *cluster, uint32_t sink)
{
    const struct tg_plan *plan = cluster->plan;
    if ((int)sink == plan->dead_letters || (int)sink == plan->late || plan->sinks[sink].spec->from.is_source) {
        return 0;
    }
    const uint32_t step = plan->sinks[sink].spec->from.index;
    const bool is_version = plan->job->steps[step].op->revision == TG_REVISION_EVENT_TIME; /* by itself */
    if (is_version) { return 0; }
    return plan->stages[step].partition_clock ? cluster->version_base : cluster->job_clock_base;
}

static tg_status open_sinks(struct tg_worker *worker, struct tg_error *err)
{
    const struct tg_plan *plan = worker->cluster->plan;
    for (uint32_t i = 0; i < plan->sink_count; i++) {
        const struct tg_outlet_env env = {
            .plan = plan,
            .sink = i,
            .shard = worker->index,
            .version_base = tg_sink_version_base(worker->cluster, i),
            .create_tables = worker->cluster->options->create_tables,
            .staged = worker->part != NULL,
            .shared = worker->cluster->shared[i],
            .arena = &worker->arena,
            .loop = worker->loop,
            .helper = worker->cluster->helper,
            .clock = worker->cluster->clock,
        };
        worker->outlet_count = i + 1;
        const tg_status status = tg_outlet_open(&worker->outlets[i], &env, err);
        if (status != TG_OK) { return status; }
    }
    return TG_OK;
}

static tg_status open_stages(struct tg_worker *worker, struct tg_error *err)
{
    const struct tg_plan *plan = worker->cluster->plan;
    for (uint32_t i = 0; i < plan->job->step_count; i++) {
        tg_status status = tg_edge_out_init(&worker->edges[i], &worker->cluster->edges[i], worker->index,
                                            plan->shard_count, &worker->arena, err);
        if (status != TG_OK) { return status; }
    }
    for (uint32_t i = 0; i < plan->job->step_count; i++) {
        const struct tg_stage_env env = {
            .plan = plan,
            .step = i,
            .shard = worker->index,
            .edge = &worker->cluster->edges[i],
            .edges = worker->edges,
            .outlets = worker->outlets,
            .progress = &worker->progress,
            .arena = &worker->arena,
            .clock = worker->cluster->clock,
        };
        const tg_status status = tg_stage_open(&worker->stages[i], &env, err);
        if (status != TG_OK) { return status; }
    }
    return TG_OK;
}

/* Changes are tracked from here on; then what the chosen checkpoint has comes back. */
static tg_status open_checkpoint(struct tg_worker *worker, struct tg_error *err)
{
    struct tg_checkpoint_shard *part = worker->part;
    if (part == NULL) { return TG_OK; }
    part->stages = worker->stages;
    part->ingests = worker->ingests;
    part->outlets = worker->outlets;
    part->stage_count = worker->cluster->plan->job->step_count;
    part->ingest_count = worker->ingest_count;
    part->outlet_count = worker->outlet_count;
    tg_status status = tg_checkpoint_shard_open(part, &worker->arena, err);
    if (status == TG_OK) { status = tg_checkpoint_load(worker->cluster->checkpoint, worker->index, err); }
    return status;
}

static tg_status open_sources(struct tg_worker *worker, struct tg_error *err)
{
    const struct tg_plan *plan = worker->cluster->plan;
    const struct tg_run_options *options = worker->cluster->options;
    struct tg_checkpoint *checkpoint = worker->cluster->checkpoint;
    const struct tg_tick_lane_config ticks = {.log = checkpoint != NULL ? &checkpoint->ticks : NULL,
                                              .helper = worker->cluster->helper,
                                              .shard = worker->index,
                                              .clock = worker->cluster->clock};
    const tg_status opened = tg_tick_lane_open(&worker->ticks, &ticks, &worker->arena, err);
    if (opened != TG_OK) { return opened; }
    for (uint32_t i = 0; i < plan->job->source_count; i++) {
        const struct tg_ingest_env env = {
            .plan = plan,
            .source = i,
            .shard = worker->index,
            .edges = worker->edges,
            .outlets = worker->outlets,
            .published = worker->cluster->published,
            .progress = &worker->progress,
            .bounded = options->until_end,
            .no_drain = options->no_drain,
            .fresh =
                options->fresh || worker->part != NULL, /* positions are the checkpoint's then, never the group's */
            .saved = tg_checkpoint_partitions(checkpoint, i),
            .saved_us = checkpoint != NULL ? checkpoint->choice.manifest.created_us : 0,
            .ticks = &worker->ticks,
            .tick_watch = worker->cluster->tick_watch,
            .poll_count_max = options->poll_count_max != 0 ? options->poll_count_max : TG_BATCH_ROWS_MAX,
            .seed = options->seed != 0 ? options->seed : 1,
            .buffers = &worker->buffers,
            .arena = &worker->arena,
            .loop = worker->loop,
            .helper = worker->cluster->helper,
            .clock = worker->cluster->clock,
        };
        worker->ingest_count = i + 1;
        const tg_status status = tg_ingest_open(&worker->ingests[i], &env, err);
        if (status != TG_OK) { return status; }
    }
    return TG_OK;
}

tg_status tg_worker_open(struct tg_worker *worker, struct tg_error *err)
{
    const struct tg_plan *plan = worker->cluster->plan;
    const struct tg_buffer_pool_config buffers = {BUFFER_COUNT, BUFFER_BYTES, LARGE_BUFFER_COUNT};
    const struct tg_loop_config loop = {.backend = worker->cluster->io, .ops_max = LOOP_OPS_MAX};
    tg_status status = tg_arena_open(&worker->arena, arena_bytes(plan), err);
    if (status == TG_OK && !worker->cluster->simulated) {
        status = tg_loop_open(&worker->loop, &loop, &worker->io_denied, err);
    }
    if (status == TG_OK) { status = tg_buffer_pool_init(&worker->buffers, &buffers, &worker->arena, err); }
    if (status == TG_OK) {
        worker->stages = tg_arena_alloc(&worker->arena, plan->job->step_count * sizeof *worker->stages, 64);
        worker->ingests = tg_arena_alloc(&worker->arena, plan->job->source_count * sizeof *worker->ingests, 64);
        worker->outlets = tg_arena_alloc(&worker->arena, plan->sink_count * sizeof *worker->outlets, 64);
        TG_ASSERT(worker->stages != NULL && worker->ingests != NULL && worker->outlets != NULL);
        status = open_sinks(worker, err);
    }
    if (status == TG_OK) { status = open_stages(worker, err); }
    if (status == TG_OK) { status = open_sources(worker, err); }
    if (status == TG_OK) { status = open_checkpoint(worker, err); }
    if (status != TG_OK) {
        fail(worker, err);
        return status;
    }
    tg_arena_seal(&worker->arena);
    atomic_store_explicit(&worker->state, TG_WORKER_RUNNING, memory_order_release);
    return TG_OK;
}

void tg_worker_close(struct tg_worker *worker)
{
    const bool commit = atomic_load_explicit(&worker->cluster->commit, memory_order_acquire);
    for (uint32_t i = 0; i < worker->ingest_count; i++) {
        if (commit && worker->part == NULL) { tg_ingest_commit(&worker->ingests[i]); }
        tg_ingest_close(&worker->ingests[i]);
    }
    for (uint32_t i = 0; i < worker->outlet_count; i++) { tg_outlet_close(&worker->outlets[i]); }
    atomic_store(&worker->wake_loop, NULL);                         /* W2 */
    while (atomic_load(&worker->wakers) != 0) { (void)usleep(10); } /* a wake is one write() */
    if (worker->loop != NULL) { tg_loop_close(worker->loop); }
    worker->loop = NULL;
}

/* In the shard's thread. */
static tg_status start(void *self, struct tg_error *err)
{
    struct tg_worker *worker = self;
    const tg_status status = tg_worker_open(worker, err);
    if (status == TG_OK) {
        atomic_store(&worker->wake_loop, worker->loop);
    } else {
        (void)atomic_fetch_sub(&worker->cluster->cycling, 1);
        tg_worker_close(worker);
    }
    return status;
}

/* Nobody's loop may go away while another worker can still wake it. */
static void stop(void *self)
{
    struct tg_worker *worker = self;
    (void)atomic_fetch_sub(&worker->cluster->cycling, 1);
    while (atomic_load(&worker->cluster->cycling) != 0) {
        (void)usleep(100);
    } /* every worker has been told to finish */
    tg_worker_close(worker);
}

/* Anything that arrived between the last poll and the announcement that we sleep must keep us awake. */
static bool still_idle(void *self)
{
    struct tg_worker *worker = self;
    const struct tg_plan *plan = worker->cluster->plan;
    if (tg_helper_ready(worker->cluster->helper, worker->index)) { return false; }
    if (worker->cluster->keeper != NULL && tg_helper_ready(worker->cluster->keeper, worker->index)) { return false; }
    for (uint32_t i = 0; i < plan->job->step_count; i++) {
        for (uint32_t from = 0; from < plan->shard_count; from++) {
            if (tg_ring_ready(tg_mesh_forward(&worker->cluster->edges[i].mesh, from, worker->index))) { return false; }
        }
    }
    return true;
}

static void park(void *self, uint64_t timeout_ns)
{
    struct tg_worker *worker = self;
    tg_loop_park(worker->loop, timeout_ns, still_idle, worker);
}

void tg_worker_wake(struct tg_worker *worker)
{
    /* W1: announced before the pointer is read, so that close (W2) either hides the pointer from us or waits for us. */
    (void)atomic_fetch_add(&worker->wakers, 1);
    struct tg_loop *loop = atomic_load(&worker->wake_loop);
    if (loop != NULL) { tg_loop_wake(loop); }
    (void)atomic_fetch_sub(&worker->wakers, 1);
}

void tg_worker_init(struct tg_worker *worker, struct tg_cluster *cluster, uint32_t index)
{
    worker->cluster = cluster;
    worker->index = index;
    worker->part = cluster->checkpoint != NULL ? &cluster->checkpoint->parts[index] : NULL;
    atomic_init(&worker->ended, false);
    atomic_init(&worker->state, TG_WORKER_OPENING);
    const struct tg_shard_config config = {
        .index = index,
        .cpu = -1,
        .budget = 8,
        .spin_ns = 0,
        .park_ns_max = PARK_NS_MAX,
        .clock = cluster->clock,
        .start = start,
        .stop = stop,
        .park = park,
        .self = worker,
    };
    tg_shard_init(&worker->shard, &config);
    tg_shard_add(&worker->shard, "io", poll_io, worker);
    tg_shard_add(&worker->shard, "stages", poll_stages, worker);
    tg_shard_add(&worker->shard, "sources", poll_sources, worker);
    tg_shard_add(&worker->shard, "sinks", poll_sinks, worker);
    tg_shard_add(&worker->shard, "checkpoint", poll_checkpoint, worker);
    tg_shard_add(&worker->shard, "control", poll_control, worker);
}
