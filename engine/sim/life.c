/* Start, schedule, end. */
#include "engine/sim/life.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"

enum { HEALED_STEPS_FLOOR = 2000000, HEALED_STEPS_PER_RECORD = 20000, QUICK_NS = 10000000, WAIT_STEPS_MAX = 50000 };
enum { PID_MAX = 1 << 22 };

struct run {
    const struct tg_sim_life *life;
    struct tg_cluster *cluster;
    uint32_t opened;
    struct tg_sim_outcome *outcome;
    uint64_t visits; /* of failpoints */
    uint64_t calls;  /* to the disk that change something */
    bool dead;
};

/* Nobody outside hears of this process any more. */
static void freeze(struct run *run)
{
    const struct tg_sim_chaos *chaos = run->life->chaos;
    run->dead = true;
    tg_sim_disk_freeze(chaos->disk);
    tg_sim_log_freeze(chaos->log);
    tg_sim_net_freeze(chaos->net);
}

/* A failpoint is passed. Death comes in the middle of a call then: the call goes on, but the world has stopped. */
static int visited(void *self, const char *name, uint64_t count)
{
    struct run *run = self;
    (void)count;
    run->visits++;
    if (run->visits == run->life->visits_max) { freeze(run); }
    const bool full = run->life->options->crowded && strcmp(name, "file.full") == 0;
    return run->dead || full ? EIO : 0;
}

/* The process is about to change something on the disk. Death comes before that has any effect. */
static void called(void *self)
{
    struct run *run = self;
    run->calls++;
    if (run->calls == run->life->calls_max) { freeze(run); }
}

/* ---- schedule ---------------------------------------------------------------------------------------------------- */

static uint32_t flushed_workers(const struct tg_cluster *cluster, struct tg_error *err)
{
    uint32_t flushed = 0;
    for (uint32_t i = 0; i < cluster->plan->shard_count; i++) {
        const int state = atomic_load(&cluster->workers[i].state);
        if (state == TG_WORKER_FAILED && err->status == TG_OK) { *err = cluster->workers[i].error; }
        flushed += state == TG_WORKER_FLUSHED;
    }
    return flushed;
}

/* One step of one actor: an agent of a shard, the helpers, or the world outside. Returns its work. */
static uint32_t step(const struct run *run)
{
    const struct tg_sim_options *options = run->life->options;
    const uint32_t shards = run->life->shards;
    struct tg_prng *prng = run->life->prng;
    const struct tg_sim_chaos *chaos = run->life->chaos;
    const uint32_t actor = tg_prng_below(prng, shards + 2);
    if (actor == shards) {
        uint32_t ran = tg_helper_step(run->cluster->helper, 1 + tg_prng_below(prng, 4));
        if (run->cluster->keeper != NULL) { ran += tg_helper_step(run->cluster->keeper, 1 + tg_prng_below(prng, 4)); }
        return ran;
    }
    if (actor > shards) { return tg_sim_net_step(chaos->net) + tg_sim_cql_step(chaos->cql); }
    if (options->bias != 0 && actor == options->seed % shards && tg_prng_below(prng, options->bias) != 0) { return 0; }
    const struct tg_shard *shard = &run->cluster->workers[actor].shard;
    const struct tg_agent *agent = &shard->agents[tg_prng_below(prng, shard->agent_count)];
    return agent->poll(agent->self, chaos->world->now_ns, options->budget);
}

/* How long nothing has to happen until everybody waits for time to pass: it then passes quicker. */
static uint64_t patience(const struct tg_sim_options *options)
{
    enum { TURNS = 100 };
    return (uint64_t)TURNS * (tg_sim_shards_max(options) + 2) * (options->bias > 1 ? options->bias : 1);
}

/* Once all is healed the run must come to its end. */
static tg_status check_liveness(const struct run *run, struct tg_error *err)
{
    const struct tg_sim_options *options = run->life->options;
    const uint64_t steps_max = HEALED_STEPS_FLOOR + (uint64_t)options->records * HEALED_STEPS_PER_RECORD;
    if (run->outcome->healed_steps < steps_max) { return TG_OK; }
    return tg_fail(err, TG1403, 0, "seed %" PRIu64 " did not end within %" PRIu64 " steps (%.0f s) after healing",
                   options->seed, steps_max, (double)run->outcome->healed_ns / 1e9);
}

/* Does the life's time run? */
static bool counts(const struct run *run)
{
    const struct tg_checkpoint *checkpoint = run->cluster->checkpoint;
    if (checkpoint == NULL || run->life->from == TG_SIM_FROM_START) { return true; }
    if (run->life->from == TG_SIM_FROM_BEGUN) { return atomic_load(&checkpoint->epoch) != 0; }
    return atomic_load(&checkpoint->complete) != 0;
}

/* Dump what has become complete while the process lives: a later one of this life may replace it. */
static tg_status take_complete(struct run *run, struct tg_error *err)
{
    const struct tg_checkpoint *checkpoint = run->cluster->checkpoint;
    struct tg_sim_export *left = run->life->left;
    if (left == NULL || checkpoint == NULL || run->dead) { return TG_OK; }
    if (atomic_load(&checkpoint->complete) <= left->newest) { return TG_OK; }
    return tg_sim_export_checkpoints(left, err);
}

/* For how long nobody of the process runs now, while the world goes on. */
static uint64_t stop(const struct run *run)
{
    enum { STEPS = 3000 }; /* from one stop to the next, on average */
    const struct tg_sim_life *life = run->life;
    if (life->options->stop_ns == 0 || life->chaos->healed) { return 0; }
    return tg_prng_below(life->prng, STEPS) == 0 ? tg_prng_next(life->prng) % life->options->stop_ns : 0;
}

static enum tg_sim_end work(struct run *run, struct tg_error *err)
{
    const struct tg_sim_life *life = run->life;
    struct tg_sim_chaos *chaos = life->chaos;
    uint64_t waited = 0; /* for a checkpoint */
    uint64_t steps = 0;
    uint64_t idle = 0;
    while (flushed_workers(run->cluster, err) < life->shards) {
        if (run->dead || steps == life->steps_max) { return TG_SIM_DIED; }
        if (err->status == TG_OK) { (void)check_liveness(run, err); }
        if (err->status != TG_OK) { return TG_SIM_FAILED; }
        const bool quick = idle >= patience(life->options);
        const uint64_t passed_ns = tg_prng_below(life->prng, quick ? QUICK_NS : (uint32_t)life->options->tick_ns);
        chaos->world->now_ns += passed_ns + stop(run);
        tg_sim_chaos_step(chaos);
        idle = step(run) != 0 ? 0 : idle + 1;
        if (err->status == TG_OK) { (void)take_complete(run, err); }
        const bool counting = waited == WAIT_STEPS_MAX || counts(run);
        steps += counting;
        waited += !counting;
        run->outcome->steps++;
        run->outcome->healed_steps += chaos->healed;
        run->outcome->healed_ns += chaos->healed ? passed_ns : 0;
    }
    return TG_SIM_ENDED;
}

/* ---- start and end ----------------------------------------------------------------------------------------------- */

/* A step of the schedule takes as long as another. */
static uint64_t step_cpu_ns(void)
{
    static uint64_t spent_ns;
    return spent_ns += 30000;
}

static tg_status open_checkpoints(const struct tg_sim_life *life, const struct tg_plan *plan,
                                  struct tg_checkpoint **checkpoint, struct tg_error *err)
{
    struct tg_checkpoint_config config = {
        .plan = plan,
        .fresh = life->fresh,
        .clock = tg_sim_world_clock(life->chaos->world),
        .pid = 1 + tg_prng_below(&life->chaos->prng, PID_MAX),
        .slice_ns = step_cpu_ns,
    };
    for (size_t i = 0; i < sizeof config.run_id.bytes; i++) {
        config.run_id.bytes[i] = (uint8_t)tg_prng_below(&life->chaos->prng, 256);
    }
    return tg_checkpoint_create(checkpoint, &config, err);
}

static tg_status begin(struct run *run, const struct tg_run_options *run_options, struct tg_error *err)
{
    const struct tg_sim_life *life = run->life;
    struct tg_plan *plan;
    tg_status status = tg_plan_create(&plan, life->job, life->shards, life->partitions, err);
    if (status != TG_OK) { return status; }
    for (uint32_t i = 0; life->options->project && i < plan->sink_count; i++) { plan->sinks[i].identity = false; }
    struct tg_checkpoint *checkpoint = NULL;
    if (life->job->checkpoint.is_on) { status = open_checkpoints(life, plan, &checkpoint, err); }
    if (status != TG_OK) {
        tg_plan_destroy(plan);
        return status;
    }
    const struct tg_cluster_config config = {
        .plan = plan,
        .checkpoint = checkpoint,
        .options = run_options,
        .tick_watch = life->tick_watch,
        .clock = tg_sim_world_clock(life->chaos->world),
        .simulated = true,
    };
    status = tg_cluster_create(&run->cluster, &config, err);
    while (status == TG_OK && run->opened < life->shards) {
        struct tg_worker *worker = &run->cluster->workers[run->opened];
        worker->loop = tg_sim_net_loop(life->chaos->net); /* a simulated worker opens none of its own */
        run->opened++;
        status = worker->loop != NULL ? tg_worker_open(worker, err) : tg_fail(err, TG1601, 0, "no memory for a loop");
    }
    return status;
}

/* Job A has one source and one step. */
static void take_counts(struct run *run)
{
    struct tg_sim_outcome *outcome = run->outcome;
    const uint32_t count = run->life->partitions[0];
    TG_ASSERT(count <= TG_SIM_PARTITIONS_MAX);
    outcome->partition_count = 0;
    for (uint32_t p = 0; p < count; p++) {
        if (!tg_cluster_partition(run->cluster, 0, p, &outcome->partitions[p])) { return; }
        if (!tg_cluster_tally(run->cluster, 0, p, &outcome->tallies[p])) { return; }
    }
    outcome->partition_count = count;
}

static void take_down(struct run *run)
{
    for (uint32_t i = 0; i < run->opened; i++) { tg_worker_close(&run->cluster->workers[i]); }
    if (run->cluster != NULL) {
        tg_cluster_totals(run->cluster, &run->outcome->totals);
        take_counts(run);
        tg_cluster_destroy(run->cluster);
    }
}

/* The process dies, alone or with its machine. The ordinary code takes its memory down, in a world that no longer
 * listens to it. */
static void die(struct run *run)
{
    struct tg_sim_chaos *chaos = run->life->chaos;
    const bool power = tg_prng_below(&chaos->prng, 2) != 0 || run->life->options->power_only;
    const enum tg_sim_crash crash = power ? TG_SIM_POWER : TG_SIM_KILL;
    freeze(run);
    take_down(run);
    tg_sim_disk_crash(chaos->disk, crash);
    tg_sim_log_crash(chaos->log);
    tg_sim_net_crash(chaos->net, crash);
    run->outcome->crashes++;
    run->outcome->cuts += crash == TG_SIM_POWER;
}

enum tg_sim_end tg_sim_life_run(const struct tg_sim_life *life, struct tg_sim_outcome *outcome, struct tg_error *err)
{
    const struct tg_run_options run_options = {.fresh = life->fresh,
                                               .until_end = true,
                                               .no_drain = life->options->no_drain,
                                               .poll_count_max = life->options->poll,
                                               .seed = life->options->seed};
    struct run run = {.life = life, .outcome = outcome};
    tg_sim_chaos_calm(life->chaos, true);
    tg_failpoint_watch(visited, &run);
    tg_sim_disk_watch(life->chaos->disk, called, &run);
    tg_status status = begin(&run, &run_options, err);
    if (status == TG_OK && !run.dead && life->job->checkpoint.is_on) {
        status = tg_sim_witness_start(life->witness, run.cluster, life->options->fatal, err);
    }
    tg_sim_chaos_calm(life->chaos, false);
    enum tg_sim_end end = status == TG_OK ? work(&run, err) : TG_SIM_FAILED;
    tg_failpoint_reset();
    tg_sim_disk_watch(life->chaos->disk, NULL, NULL);
    if (run.dead) { end = TG_SIM_DIED; } /* whatever it said after that */
    if (life->job->checkpoint.is_on) { tg_sim_witness_end(life->witness, run.cluster, life->options->fatal); }
    if (end == TG_SIM_DIED) {
        *err = (struct tg_error){0};
        die(&run);
    } else {
        take_down(&run);
    }
    return end;
}
