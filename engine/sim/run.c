/* One simulated run: input, schedule, end. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "engine/sim/sim.h"
#include "engine/sim/slow_sink.h"
#include "io/generate/generate.h"

#define TOPIC "user-transaction-topic"
enum { PATH_BYTES = 512, STEPS_PER_RECORD_MAX = 20000, STEPS_FLOOR = 2000000 };

/* ---- input ------------------------------------------------------------------------------------------------------- */

static tg_status make_directory(const char *path, struct tg_error *err)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST) { return tg_fail(err, TG1502, errno, "%s", path); }
    return TG_OK;
}

/* All characters of the record's id but the last `keep` become the same. */
static void repeat_id(char *record, uint32_t bytes, uint32_t keep)
{
    static const char name[] = "\"transactionId\":\"";
    char *id = memmem(record, bytes, name, sizeof name - 1);
    if (id == NULL) { return; }
    id += sizeof name - 1;
    uint32_t length = 0;
    while (id + length < record + bytes && (isalnum((unsigned char)id[length]) || id[length] == '-')) { length++; }
    for (uint32_t i = 0; i + keep < length; i++) { id[i] = 'x'; }
}

static tg_status write_partition(const struct tg_sim_options *options, const struct tg_generate_config *config,
                                 uint32_t partition, const char *path, struct tg_error *err)
{
    FILE *out = fopen(path, "w");
    if (out == NULL) { return tg_fail(err, TG1502, errno, "%s", path); }
    struct tg_generator generator;
    struct tg_generated info;
    char record[TG_GENERATE_BYTES_MAX];
    tg_generator_init(&generator, config, partition);
    while (tg_generator_next(&generator, record, &info)) {
        for (uint32_t i = 0; i < info.bytes; i++) { /* a record is a line: its own line ends would cut it in two */
            if (record[i] == '\n') { record[i] = ' '; }
        }
        if (options->id_chars != 0) { repeat_id(record, info.bytes, options->id_chars); }
        (void)fwrite(record, 1, info.bytes, out);
        (void)fputc('\n', out);
    }
    return fclose(out) == 0 ? TG_OK : tg_fail(err, TG1502, errno, "%s", path);
}

static tg_status write_input(const struct tg_sim_options *options, const char *dir, struct tg_error *err)
{
    const struct tg_generate_config config = {
        .kind = TG_GENERATE_TX,
        .partitions = options->partitions,
        .seed = options->seed,
        .count = options->records,
        .rate = options->rate,
        .start = TG_GENERATE_BENCH_START,
        .keys = options->keys < options->partitions ? options->partitions : options->keys,
        .ids = options->ids,
        .disorder = options->disorder,
        .late_ppm = options->late_ppm,
        .malformed_ppm = options->malformed_ppm,
        .duplicate_ppm = options->duplicate_ppm,
    };
    char path[PATH_BYTES];
    tg_status status = make_directory(dir, err);
    const char *const folders[] = {"in", ("in/" TOPIC), "out"};
    for (uint32_t i = 0; status == TG_OK && i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, folders[i]);
        status = make_directory(path, err);
    }
    for (uint32_t p = 0; status == TG_OK && p < options->partitions; p++) {
        (void)snprintf(path, sizeof path, "%s/in/" TOPIC "/p%u.jsonl", dir, p);
        status = write_partition(options, &config, p, path, err);
    }
    return status;
}

/* ----------------------------------------------------------------------------------------------------------------- */

static tg_status load_job(const struct tg_sim_options *options, const char *job_path, const char *dir,
                          struct tg_job **job, struct tg_error *err)
{
    char in[PATH_BYTES], out[PATH_BYTES], sets[5][96];
    (void)snprintf(in, sizeof in, "%s/in", dir);
    (void)snprintf(out, sizeof out, "%s/out", dir);
    (void)setenv("TURGO_IN", in, 1);
    (void)setenv("TURGO_OUT", out, 1);
    (void)snprintf(sets[0], sizeof sets[0], "sources.tx.watermark.delay=%" PRId64 "us", options->delay);
    (void)snprintf(sets[1], sizeof sets[1], "steps.counts.process.params.window=%" PRId64 "us", options->window);
    (void)snprintf(sets[2], sizeof sets[2], "steps.counts.process.params.idle=%" PRId64 "us", options->idle);
    (void)snprintf(sets[3], sizeof sets[3], "steps.counts.allowed_lateness=%" PRId64 "us", options->lateness);
    (void)snprintf(sets[4], sizeof sets[4], "sources.tx.dedupe.ttl=%" PRId64 "us", options->window + options->delay);
    const char *const list[] = {sets[0], sets[1], sets[2], sets[3], sets[4]};
    const struct tg_job_options job_options = {
        .path = job_path, .profile = "replay", .set_count = 5, .sets = list, .environment = true};
    static struct tg_findings findings;
    findings.count = 0;
    const tg_status status = tg_job_load(job, &job_options, &findings);
    if (status != TG_OK) {
        return tg_fail(err, findings.count != 0 ? findings.list[0].code : TG1001, 0, "%s",
                       findings.count != 0 ? findings.list[0].text : job_path);
    }
    if (options->max_keys != 0) { (*job)->engine.max_keys = options->max_keys; }
    if (options->sink_rows != 0) { tg_slow_sink_put_before(*job, options->sink_rows, options->seed); }
    return TG_OK;
}

/* ----------------------------------------------------------------------------------------------------------------- */

struct sim_time {
    uint64_t now_ns;
};
static uint64_t sim_monotonic_ns(void *self) { return ((struct sim_time *)self)->now_ns; }
static int64_t sim_wall_us(void *self)
{
    return TG_GENERATE_BENCH_START + (int64_t)(((struct sim_time *)self)->now_ns / 1000);
}

/* ----------------------------------------------------------------------------------------------------------------- */

static uint32_t flushed_workers(const struct tg_cluster *cluster, struct tg_error *err)
{
    uint32_t flushed = 0;
    for (uint32_t i = 0; i < cluster->plan->shard_count; i++) {
        const int state = atomic_load(&cluster->workers[i].state);
        if (state == TG_WORKER_FAILED) { *err = cluster->workers[i].error; }
        flushed += state == TG_WORKER_FLUSHED;
    }
    return flushed;
}

/* One step of one actor: an agent of a shard, or the helper. */
static void step(struct tg_cluster *cluster, const struct tg_sim_options *options, struct tg_prng *prng,
                 uint64_t now_ns)
{
    const uint32_t actor = tg_prng_below(prng, options->shards + 1);
    if (actor == options->shards) {
        (void)tg_helper_step(cluster->helper, 1 + tg_prng_below(prng, 4));
        return;
    }
    if (options->bias != 0 && actor == options->seed % options->shards && tg_prng_below(prng, options->bias) != 0) {
        return;
    }
    struct tg_shard *shard = &cluster->workers[actor].shard;
    const struct tg_agent *agent = &shard->agents[tg_prng_below(prng, shard->agent_count)];
    (void)agent->poll(agent->self, now_ns, options->budget);
}

static tg_status run_cluster(struct tg_cluster *cluster, const struct tg_sim_options *options, struct sim_time *time,
                             struct tg_sim_outcome *outcome, struct tg_error *err)
{
    struct tg_prng prng = {options->seed ^ 0x5DEECE66DULL};
    const uint64_t steps_max = STEPS_FLOOR + (uint64_t)options->records * STEPS_PER_RECORD_MAX;
    tg_status status = TG_OK;
    uint32_t opened = 0;
    for (; status == TG_OK && opened < options->shards; opened++) {
        status = tg_worker_open(&cluster->workers[opened], err);
    }
    uint64_t taken = 0;
    while (status == TG_OK && flushed_workers(cluster, err) < options->shards) {
        status = err->status;
        if (taken == steps_max) {
            status = tg_fail(err, TG1403, 0, "seed %" PRIu64 " did not end within %" PRIu64 " steps", options->seed,
                             steps_max);
        }
        time->now_ns += tg_prng_below(&prng, 200000);
        step(cluster, options, &prng, time->now_ns);
        taken++;
    }
    for (uint32_t i = 0; i < opened; i++) { tg_worker_close(&cluster->workers[i]); }
    outcome->steps = taken;
    tg_cluster_totals(cluster, &outcome->totals);
    return status;
}

tg_status tg_sim_run(const struct tg_sim_options *options, const char *job_path, const char *dir,
                     struct tg_sim_outcome *outcome, struct tg_error *err)
{
    struct tg_job *job = NULL;
    tg_status status = write_input(options, dir, err);
    if (status == TG_OK) { status = load_job(options, job_path, dir, &job, err); }
    if (status != TG_OK) { return status; }
    struct sim_time time = {.now_ns = 1};
    const struct tg_run_options run_options = {.fresh = true,
                                               .until_end = true,
                                               .no_drain = options->no_drain,
                                               .poll_count_max = options->poll,
                                               .seed = options->seed};
    uint32_t partitions[TG_SOURCES_MAX] = {0};
    for (uint32_t i = 0; status == TG_OK && i < job->source_count; i++) {
        const struct tg_source_spec *source = &job->sources[i];
        status = source->ops->discover(&source->options, source->name, 0, &partitions[i], err);
    }
    struct tg_plan *plan = NULL;
    if (status == TG_OK) { status = tg_plan_create(&plan, job, options->shards, partitions, err); }
    const struct tg_cluster_config config = {
        .plan = plan,
        .options = &run_options,
        .clock = {.monotonic_ns = sim_monotonic_ns, .wall_us = sim_wall_us, .self = &time},
        .simulated = true,
    };
    struct tg_cluster *cluster = NULL;
    if (status == TG_OK) {
        for (uint32_t i = 0; options->project && i < plan->sink_count; i++) { plan->sinks[i].identity = false; }
        status = tg_cluster_create(&cluster, &config, err);
    }
    if (status == TG_OK) {
        status = run_cluster(cluster, options, &time, outcome, err);
        tg_cluster_destroy(cluster);
    }
    tg_job_destroy(job);
    return status;
}
