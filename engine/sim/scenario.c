/* One run: the world is made, lives follow each other until one comes to its end, what came out is saved. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "engine/sim/export.h"
#include "engine/sim/input.h"
#include "engine/sim/life.h"
#include "engine/sim/move.h"
#include "engine/sim/slow_sink.h"
#include "io/generate/generate.h"

#define NEVER_US INT64_C(3600000000000000)
#define DAY_US INT64_C(86400000000)
enum { PATH_BYTES = 512, SETS_MAX = 12, SET_BYTES = 320, SETTLE_STEPS = 100, HEARD_STEPS = 5000, TICKS_MAX = 1 << 18 };
/* Lives in a row that fail: what is behind that may be permanent, and healing tells; nothing is behind so many. */
enum { FAILED_MAX = 100, STARTS_MAX = 10000 };
#define KEYSPACE "streaming_demo"
#define TABLE "user_transaction_counts"
#define CHECKPOINTS "/state/checkpoints"
#define CHAINED "window_rows"

struct scenario {
    const struct tg_sim_options *options;
    const struct tg_sim_config *config;
    struct tg_sim_world world;
    struct tg_sim_disk *disk;
    struct tg_sim_log *log;
    struct tg_sim_net *net;
    struct tg_sim_table *table;
    struct tg_sim_cql *cql;
    struct tg_job *job;
    uint32_t partitions[TG_SOURCES_MAX];
    struct tg_sim_chaos chaos;
    struct tg_sim_witness witness;
    struct tg_prng prng; /* the schedule */
    char checkpoints[PATH_BYTES];
    char before[PATH_BYTES]; /* where they were before the last move; "" = there was none */
    struct tg_tick_watch tick_watch;
    struct tg_tick *ticks; /* [tick_count] that acted, in any life */
    uint64_t tick_count;
    char early[160]; /* the first tick that counted silence where there was none; "" = there is none */
    bool heard;      /* a failure has come since everything was healed */
};

/* ---- the job ----------------------------------------------------------------------------------------------------- */

/* The values that differ from the job file's replay profile, as --set has them. */
static uint32_t make_sets(const struct tg_sim_options *options, char sets[SETS_MAX][SET_BYTES])
{
    uint32_t count = 0;
#define SET(...) (void)snprintf(sets[count++], SET_BYTES, __VA_ARGS__)
    SET("sources.tx.watermark.delay=%" PRId64 "us", options->delay);
    SET("sources.tx.watermark.idle_after=%" PRId64 "us", options->idle_after != 0 ? options->idle_after : NEVER_US);
    SET("steps.counts.process.params.window=%" PRId64 "us", options->window);
    SET("steps.counts.process.params.idle=%" PRId64 "us", options->idle);
    SET("steps.counts.allowed_lateness=%" PRId64 "us", options->lateness);
    SET("sources.tx.dedupe.ttl=%" PRId64 "us", options->window + options->delay);
    if (options->log) { SET("sources.tx.sim_log={}"); }
    if (options->cassandra) {
        SET("sinks." TABLE ".cassandra={hosts: \"10.0.0.1,10.0.0.%u\", table: " KEYSPACE "." TABLE ", "
            "request_timeout: %" PRId64 "us, flush_every: %" PRId64 "us, max_pending: 256, max_pending_bytes: 256KiB, "
            "max_in_flight: %u}",
            options->nodes, options->timeout, options->flush, options->poll < 8 ? 8 : 64);
    } else {
        SET("sinks." TABLE ".file.flush_every=%" PRId64 "us", options->flush);
    }
#undef SET
    TG_ASSERT(count <= SETS_MAX);
    return count;
}

static tg_status load_job(struct scenario *s, struct tg_error *err)
{
    char sets[SETS_MAX][SET_BYTES];
    const char *list[SETS_MAX];
    const uint32_t count = make_sets(s->options, sets);
    for (uint32_t i = 0; i < count; i++) { list[i] = sets[i]; }
    (void)setenv("TURGO_IN", "/in", 1);
    (void)setenv("TURGO_OUT", "/out", 1);
    const struct tg_job_options job_options = {.path = s->options->chain ? s->config->chain_path : s->config->job_path,
                                               .profile = "replay",
                                               .set_count = count,
                                               .sets = list,
                                               .environment = true};
    static struct tg_findings findings;
    findings.count = 0;
    const tg_status status = tg_job_load(&s->job, &job_options, &findings);
    if (status != TG_OK) {
        return tg_fail(err, findings.count != 0 ? findings.list[0].code : TG1001, 0, "%s",
                       findings.count != 0 ? findings.list[0].text : "the job");
    }
    if (s->options->log) { s->job->sources[0].topic = TG_SIM_TOPIC; }
    if (s->options->max_keys != 0) { s->job->engine.max_keys = s->options->max_keys; }
    s->job->engine.audit = s->options->audit;
    if (s->options->checkpoint != 0) {
        s->job->checkpoint.is_on = true;
        s->job->checkpoint.every = s->options->checkpoint;
        s->job->checkpoint.timeout = 600000000;
        s->job->checkpoint.max_age = s->options->max_age != 0 ? s->options->max_age : TG_TS_MAX;
        s->job->checkpoint.keep = 3;
        s->job->checkpoint.dir = s->checkpoints;
    }
    if (s->options->sink_rows != 0) { tg_slow_sink_put_before(s->job, s->options->sink_rows, s->options->seed); }
    return TG_OK;
}

/* ---- the world --------------------------------------------------------------------------------------------------- */

static tg_status make_cassandra(struct scenario *s, struct tg_error *err)
{
    const struct tg_sink_spec *sink = &s->job->sinks[0];
    struct tg_sim_table_config table;
    tg_sim_table_describe(&table, &sink->schema, sink->key_columns, sink->key_count);
    s->table = tg_sim_table_create(&table);
    if (s->table == NULL) { return tg_fail(err, TG1601, ENOMEM, "make the simulated table"); }
    const struct tg_sim_cql_config cql = {
        .nodes = s->options->nodes,
        .version_max = s->options->protocol,
        .keyspace = KEYSPACE,
        .table_name = TABLE,
        .table = s->table,
        .world = &s->world,
        .net = s->net,
        .seed = s->options->seed ^ 0xCA55,
    };
    s->cql = tg_sim_cql_create(&cql);
    return s->cql != NULL ? TG_OK : tg_fail(err, TG1601, ENOMEM, "make the simulated Cassandra");
}

static tg_status make_world(struct scenario *s, struct tg_error *err)
{
    const uint64_t seed = s->options->seed;
    s->world = (struct tg_sim_world){.now_ns = 1, .start_us = TG_GENERATE_BENCH_START};
    if (s->options->idle_after != 0) { s->world.start_us += DAY_US; } /* the wall clock bounds what silence may raise */
    s->prng = (struct tg_prng){seed ^ 0x5DEECE66DULL};
    s->disk = tg_sim_disk_create(seed ^ 0xD15C);
    s->log = tg_sim_log_create(&s->world, s->options->partitions, seed ^ 0x106);
    s->net = tg_sim_net_create(&s->world, seed ^ 0x0E7);
    if (s->disk == NULL || s->log == NULL || s->net == NULL) {
        return tg_fail(err, TG1601, ENOMEM, "make the simulated world");
    }
    tg_sim_disk_set_direct(s->disk, s->options->direct);
    tg_file_ops_use(tg_sim_disk_ops(s->disk));
    tg_sim_log_use(s->log);
    tg_status status = tg_sim_input_make(s->options, s->config->dir, s->disk, s->log, err);
    if (status == TG_OK) { status = load_job(s, err); }
    if (status == TG_OK) { status = make_cassandra(s, err); }
    for (uint32_t i = 0; status == TG_OK && i < s->job->source_count; i++) {
        const struct tg_source_spec *source = &s->job->sources[i];
        status = source->ops->discover(&source->options, source->name, 0, &s->partitions[i], err);
    }
    if (status != TG_OK) { return status; }
    s->chaos = (struct tg_sim_chaos){.options = s->options,
                                     .world = &s->world,
                                     .disk = s->disk,
                                     .log = s->log,
                                     .net = s->net,
                                     .cql = s->cql,
                                     .prng = {seed ^ 0xC4A05}};
    s->witness = (struct tg_sim_witness){.disk = s->disk,
                                         .paths = {"/out/" TABLE ".jsonl", "/out/dead_letters.jsonl", "/out/late.jsonl",
                                                   s->options->chain ? "/out/" CHAINED ".jsonl" : NULL}};
    tg_sim_chaos_begin(&s->chaos);
    return TG_OK;
}

static void take_down(struct scenario *s)
{
    tg_file_ops_use(NULL);
    tg_sim_witness_close(&s->witness);
    if (s->job != NULL) { tg_job_destroy(s->job); }
    tg_sim_net_destroy(s->net);
    tg_sim_cql_destroy(s->cql);
    tg_sim_table_destroy(s->table);
    tg_sim_log_destroy(s->log);
    tg_sim_disk_destroy(s->disk);
}

static void note_tick(void *self, const struct tg_tick *tick)
{
    struct scenario *s = self;
    TG_ASSERT(s->tick_count < TICKS_MAX);
    s->ticks[s->tick_count++] = *tick;
    const uint64_t at_ns = (uint64_t)(tick->wall_us - s->world.start_us) * 1000;
    if (s->early[0] != '\0' || tg_sim_log_was_silent(s->log, tick->partition, tick->offset, at_ns)) { return; }
    (void)snprintf(s->early, sizeof s->early,
                   "the clock of partition %u was raised at %.6f s for its silence, and record %" PRId64 " lay unread",
                   tick->partition, (double)at_ns / 1e9, tick->offset);
}

/* ---- lives ------------------------------------------------------------------------------------------------------- */

/* Did the life fail as it was entitled to, of a fault that no connector can live with? What failed just before the
 * world was healed is heard of a little later, once: a start that never succeeds is none of its. */
static bool is_entitled(struct scenario *s, const struct tg_sim_outcome *outcome, const struct tg_error *err)
{
    const bool of_files = err->code == TG1501 || err->code == TG1502 || err->code == TG1510 || err->code == TG1511 ||
                          err->code == TG1512 || err->code == TG1518;
    if (!s->options->fatal || !of_files) { return false; }
    if (!s->chaos.healed) { return true; }
    const bool is_first = !s->heard;
    s->heard = true;
    return is_first && outcome->healed_steps < HEARD_STEPS;
}

/* Go on elsewhere, now and then; `again` where the last start was told that it has not been moved there as a whole. A
 * damaged checkpoint is not moved: the next start has to live with it. */
static tg_status move(struct scenario *s, bool again, struct tg_sim_outcome *outcome, struct tg_error *err)
{
    if (!again && (outcome->moves == s->options->moves || tg_prng_below(&s->chaos.prng, 2) != 0)) { return TG_OK; }
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    bool moved;
    (void)snprintf(from, sizeof from, "%s", again ? s->before : s->checkpoints);
    (void)snprintf(to, sizeof to, "/state/moved-%u", outcome->lives);
    const struct tg_sim_move config = {.disk = s->disk,
                                       .prng = &s->chaos.prng,
                                       .from = from,
                                       .to = again ? s->checkpoints : to,
                                       .calls_max = 28 + 6 * tg_sim_shards_max(s->options),
                                       .power_only = s->options->power_only};
    tg_sim_chaos_calm(&s->chaos, true);
    const tg_status status = tg_sim_move_run(&config, &moved, err);
    tg_sim_chaos_calm(&s->chaos, false);
    if (status != TG_OK && is_entitled(s, outcome, err)) {
        *err = (struct tg_error){0};
        return TG_OK;
    }
    if (status == TG_OK && again && !moved) { /* what was to be moved is lost with its power: it never was durable */
        memcpy(s->checkpoints, from, sizeof from);
    }
    if (!moved || again) { return status; }
    outcome->moves++;
    memcpy(s->before, from, sizeof from);
    memcpy(s->checkpoints, to, sizeof to);
    return status;
}

static tg_status live(struct scenario *s, struct tg_sim_outcome *outcome, struct tg_error *err)
{
    struct tg_sim_life life = {.options = s->options,
                               .chaos = &s->chaos,
                               .witness = &s->witness,
                               .job = s->job,
                               .partitions = s->partitions,
                               .prng = &s->prng,
                               .tick_watch = &s->tick_watch,
                               .fresh =
                                   s->options->checkpoint == 0}; /* without checkpoints a life begins from nothing */
    struct tg_sim_export left = {.disk = s->disk, .from = s->checkpoints, .dir = s->config->dir};
    life.left = s->config->checkpoints ? &left : NULL;
    uint32_t failed = 0; /* lives in a row */
    for (;;) {           /* ends: crashes are counted, failures end with healing, and time goes on */
        const bool dies = outcome->crashes < s->options->crashes;
        const bool at_failpoint = dies && s->options->crash_visits > 0 && tg_prng_below(&s->chaos.prng, 2) == 0;
        s->chaos.held = dies && failed < FAILED_MAX;
        const bool at_call =
            dies && !at_failpoint && s->options->crash_calls > 0 && tg_prng_below(&s->chaos.prng, 2) == 0;
        life.shards = s->options->reshard ? 1 + tg_prng_below(&s->chaos.prng, TG_SIM_SHARDS_MAX) : s->options->shards;
        life.calls_max = at_call ? 1 + tg_prng_below(&s->chaos.prng, s->options->crash_calls) : UINT64_MAX;
        life.from = (enum tg_sim_from)tg_prng_below(&s->chaos.prng, TG_SIM_FROM_COMPLETE + 1);
        life.steps_max = dies ? 1 + tg_prng_next(&s->chaos.prng) % s->options->crash_steps : UINT64_MAX;
        life.visits_max = at_failpoint ? 1 + tg_prng_below(&s->chaos.prng, s->options->crash_visits) : UINT64_MAX;
        left.life = ++outcome->lives;
        const enum tg_sim_end end = tg_sim_life_run(&life, outcome, err);
        if (end != TG_SIM_ENDED) { outcome->partition_count = 0; } /* what was in memory is lost */
        struct tg_error trouble = {0};
        if (s->config->checkpoints && tg_sim_export_checkpoints(&left, &trouble) != TG_OK) {
            *err = trouble;
            return err->status;
        }
        if (end == TG_SIM_FAILED && err->code == TG1522) { /* died between its last checkpoint and its end */
            *err = (struct tg_error){0};
            return TG_OK;
        }
        if (end == TG_SIM_ENDED) { return TG_OK; }
        const bool is_half_moved = end == TG_SIM_FAILED && err->code == TG1524 && s->before[0] != '\0';
        if (end == TG_SIM_FAILED) {
            if (!is_half_moved && !is_entitled(s, outcome, err)) { return err->status; }
            *err = (struct tg_error){0};
            outcome->failures++;
        }
        failed = end == TG_SIM_FAILED ? failed + 1 : 0;
        if (failed == STARTS_MAX) { return tg_fail(err, TG1403, 0, "%" PRIu32 " starts in a row have failed", failed); }
        s->world.now_ns += 1000000000; /* somebody starts it again */
        tg_sim_chaos_step(&s->chaos);
        if (move(s, is_half_moved, outcome, err) != TG_OK) { return err->status; }
    }
}

/* What the cluster still has in hand takes effect: it must not undo anything. */
static tg_status settle(struct scenario *s, struct tg_error *err)
{
    const uint64_t longest_ns = 6000 * (uint64_t)s->options->timeout + 1000000000;
    for (uint32_t i = 0; i < SETTLE_STEPS; i++) {
        s->world.now_ns += longest_ns / SETTLE_STEPS;
        (void)tg_sim_net_step(s->net);
        (void)tg_sim_cql_step(s->cql);
    }
    const char *violation = tg_sim_table_violation(s->table);
    violation = violation == NULL ? tg_sim_cql_violation(s->cql) : violation;
    return violation == NULL ? TG_OK : tg_fail(err, TG1403, 0, "%s", violation);
}

/* ---- what came out ----------------------------------------------------------------------------------------------- */

static tg_status save(const struct scenario *s, const char *name, struct tg_error *err)
{
    char path[PATH_BYTES];
    const void *data = NULL;
    size_t bytes = 0;
    (void)snprintf(path, sizeof path, "/out/%s.jsonl", name);
    const bool there = tg_sim_disk_get(s->disk, path, &data, &bytes);
    (void)snprintf(path, sizeof path, "%s/out/%s.jsonl", s->config->dir, name);
    FILE *out = fopen(path, "w");
    if (out == NULL) { return tg_fail(err, TG1502, errno, "%s", path); }
    if (there && bytes > 0) { (void)fwrite(data, 1, bytes, out); }
    if (!there && s->options->cassandra && strcmp(name, TABLE) == 0) { tg_sim_table_print(s->table, out); }
    return fclose(out) == 0 ? TG_OK : tg_fail(err, TG1502, errno, "%s", path);
}

/* Which ticks acted is the schedule's doing, so the model is told; that they act again after a crash is not told. */
static tg_status save_ticks(const struct scenario *s, struct tg_error *err)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/out/ticks.jsonl", s->config->dir);
    FILE *out = fopen(path, "w");
    if (out == NULL) { return tg_fail(err, TG1502, errno, "%s", path); }
    for (uint64_t i = 0; i < s->tick_count; i++) {
        (void)fprintf(out, "{\"partition\":%u,\"offset\":%" PRId64 ",\"wm_us\":%" PRId64 "}\n", s->ticks[i].partition,
                      s->ticks[i].offset, s->ticks[i].wm);
    }
    return fclose(out) == 0 ? TG_OK : tg_fail(err, TG1502, errno, "%s", path);
}

static tg_status save_all(const struct scenario *s, const struct tg_sim_outcome *outcome, struct tg_error *err)
{
    tg_status status = save(s, TABLE, err);
    if (status == TG_OK) { status = save(s, "dead_letters", err); }
    if (status == TG_OK) { status = save_ticks(s, err); }
    if (status == TG_OK && s->options->chain) { status = save(s, CHAINED, err); }
    if (status == TG_OK) { status = save(s, "late", err); }
    return status == TG_OK ? tg_sim_export_counts(outcome, s->config->dir, err) : status;
}

tg_status tg_sim_run(const struct tg_sim_options *options, const struct tg_sim_config *config,
                     struct tg_sim_outcome *outcome, struct tg_error *err)
{
    static struct tg_tick ticks[TICKS_MAX];
    struct scenario s = {.options = options, .config = config, .checkpoints = CHECKPOINTS, .ticks = ticks};
    s.tick_watch = (struct tg_tick_watch){.acted = note_tick, .self = &s};
    tg_status status = make_world(&s, err);
    if (status == TG_OK) { status = live(&s, outcome, err); }
    if (status == TG_OK && s.early[0] != '\0') { status = tg_fail(err, TG1403, 0, "%s", s.early); }
    outcome->now_ns = s.world.now_ns;
    outcome->ticks = s.tick_count;
    outcome->restores = s.witness.restores;
    outcome->deltas = s.witness.deltas;
    if (status == TG_OK) { status = settle(&s, err); }
    if (s.cql != NULL) {
        uint64_t executions = 0;
        uint64_t stale = 0;
        tg_sim_cql_counts(s.cql, &executions, &outcome->faults);
        tg_sim_table_counts(s.table, &outcome->writes, &stale);
        outcome->faults += tg_sim_disk_faulted(s.disk);
        outcome->digest = (uint64_t)tg_sim_disk_digest(s.disk) << 32;
        outcome->digest ^= tg_prng_next(&s.prng) ^ tg_prng_next(&s.chaos.prng);
        const tg_status saved = save_all(&s, outcome, status == TG_OK ? err : NULL);
        status = status == TG_OK ? saved : status;
    }
    take_down(&s);
    return status;
}
