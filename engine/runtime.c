/* Running a job: waits for its peers, starts the workers, watches them, ends them in order. */
#include "engine/runtime.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "engine/amounts.h"
#include "engine/cluster.h"
#include "engine/report.h"
#include "shards/topology.h"

#define PEER_TRY_NS 3000000000u /* one try to reach a peer; others follow */
enum { PIN_CORES_MIN = 4 };     /* docs/decisions/0005 */
#define PEER_PAUSE_NS 500000000u
#define WATCH_NS 20000000
#define DRAIN_NOTE_US 1000000u /* a stop that takes longer says what it waits for */
#define SPIN_NS 30000u

/* ----------------------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t signal_seen;

static void on_signal(int number)
{
    if (signal_seen != 0) { _exit(128 + number); } /* the second one: stop now */
    signal_seen = number;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    signal_seen = 0;
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

static void nap(uint64_t ns)
{
    const struct timespec time = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
    (void)nanosleep(&time, NULL); /* a signal ends it early, which is what we want */
}

/* ----------------------------------------------------------------------------------------------------------------- */

/* The hint behind an error's first line as one quoted log field; "" when there is none. */
static void hint_field(const char *hint, char *out, size_t capacity)
{
    size_t used = 0;
    out[0] = '\0';
    hint += strspn(hint, "\n ");
    if (*hint == '\0') { return; }
    used += (size_t)snprintf(out, capacity, " hint=\"");
    for (; *hint != '\0' && used + 4 < capacity; hint++) {
        if (*hint == '"' || *hint == '\\') { out[used++] = '\\'; }
        out[used++] = *hint == '\n' ? ' ' : *hint;
    }
    out[used++] = '"';
    out[used] = '\0';
}

/* True when the peer may come back: the caller tries again after a while, with one line a minute. */
static bool may_retry(const struct tg_error *err, const char *kind, const char *name, struct tg_log_limit *limit,
                      uint64_t now_ns)
{
    if (err->code != TG1201 && err->code != TG1301) { return false; }
    uint64_t suppressed;
    if (tg_log_allowed(limit, now_ns, &suppressed)) {
        char hint[TG_ERROR_TEXT_BYTES];
        char fields[TG_ERROR_TEXT_BYTES + 256];
        const size_t first = strcspn(err->text, "\n");
        hint_field(err->text + first, hint, sizeof hint);
        (void)snprintf(fields, sizeof fields, "%s=%s retry_in=500ms%s", kind, name, hint);
        tg_log(TG_LOG_WARN, err->code == TG1201 ? TG2201 : TG2301, -1, fields, "%.*s; trying again until it answers",
               (int)first, err->text);
    }
    nap(PEER_PAUSE_NS);
    return true;
}

static tg_status discover_sources(const struct tg_job *job, const struct tg_clock *clock, uint32_t *partitions,
                                  struct tg_error *err)
{
    struct tg_log_limit limit = {0};
    for (uint32_t i = 0; i < job->source_count; i++) {
        const struct tg_source_spec *source = &job->sources[i];
        tg_status status;
        do {
            *err = (struct tg_error){0};
            const uint64_t now_ns = tg_clock_now_ns(clock);
            status = source->ops->discover(&source->options, source->name, now_ns + PEER_TRY_NS, &partitions[i], err);
            if (status == TG_OK) { TG_ASSERT(partitions[i] >= 1 && partitions[i] <= TG_PARTITIONS_MAX); }
        } while (status != TG_OK && signal_seen == 0 &&
                 may_retry(err, "source", source->name, &limit, tg_clock_now_ns(clock)));
        if (status != TG_OK) { return status; }
    }
    return TG_OK;
}

static tg_status check_sinks(const struct tg_plan *plan, const struct tg_run_options *options,
                             const struct tg_clock *clock, struct tg_error *err)
{
    struct tg_log_limit limit = {0};
    for (uint32_t i = 0; i < plan->sink_count; i++) {
        const struct tg_sink_ops *ops = plan->sinks[i].spec->ops;
        if (ops->check == NULL) { continue; }
        const struct tg_outlet_env env = {
            .plan = plan, .sink = i, .create_tables = options->create_tables, .clock = *clock};
        struct tg_sink_env sink_env;
        tg_outlet_sink_env(&env, &sink_env);
        tg_status status;
        do {
            *err = (struct tg_error){0};
            status = ops->check(&sink_env, tg_clock_now_ns(clock) + PEER_TRY_NS, err);
        } while (status != TG_OK && signal_seen == 0 &&
                 may_retry(err, "sink", plan->sinks[i].spec->name, &limit, tg_clock_now_ns(clock)));
        if (status != TG_OK) { return status; }
    }
    return TG_OK;
}

/* ----------------------------------------------------------------------------------------------------------------- */

struct run {
    const struct tg_job *job;
    const struct tg_run_options *options;
    struct tg_cluster *cluster;
    struct tg_clock clock;
    struct tg_topology topology;
    struct tg_status_line line;
    uint64_t start_ns;
    uint64_t first_record_ns; /* 0 = none yet */
    uint64_t last_news_ns;    /* when records_in last grew */
    uint64_t last_records;
    uint64_t signal_ns; /* when the signal was seen; 0 = none */
    bool drain_noted;
    bool replayed; /* what was behind the checkpoint is read again, and people know */
    char reason[TG_ERROR_TEXT_BYTES];
};

static tg_status start_workers(struct run *run, struct tg_error *err)
{
    const uint32_t count = run->cluster->plan->shard_count;
    /* With few cores the clients' own threads need them too, and a pinned shard cannot get out of their way. */
    const bool roomy = run->topology.core_count > count || run->topology.core_count >= PIN_CORES_MIN;
    const bool pinned = !run->topology.overprovisioned && count <= run->topology.core_count && count > 1 && roomy;
    tg_status status = TG_OK;
    uint32_t started = 0;
    for (; status == TG_OK && started < count; started++) {
        struct tg_shard *shard = &run->cluster->workers[started].shard;
        shard->config.cpu = pinned ? run->topology.cpus[started] : -1;
        shard->config.spin_ns = !run->topology.overprovisioned && run->topology.core_count > 2 * count
                                    ? SPIN_NS
                                    : 0; /* others need the cores too */
        status = tg_shard_start(shard, err);
    }
    if (status == TG_OK) { return TG_OK; }
    const uint32_t missing = count - started + 1;
    (void)atomic_fetch_sub(&run->cluster->cycling, missing);
    for (uint32_t i = 0; i + 1 < started; i++) { /* all of them first: each waits for the others before it closes */
        tg_shard_finish(&run->cluster->workers[i].shard);
        tg_worker_wake(&run->cluster->workers[i]);
    }
    for (uint32_t i = 0; i + 1 < started; i++) { (void)tg_shard_join(&run->cluster->workers[i].shard, NULL); }
    return status;
}

static void note_io(struct run *run)
{
    for (uint32_t i = 0; i < run->cluster->plan->shard_count; i++) {
        const int denied = run->cluster->workers[i].io_denied;
        if (denied != 0) {
            tg_log(TG_LOG_WARN, TG2101, -1, NULL,
                   "io_uring denied (%s; a container's seccomp profile?): using epoll, expect a little less throughput",
                   strerror(denied));
            return;
        }
    }
}

/* Why the run should stop now; NULL = it should not. */
static const char *stop_reason(struct run *run, uint64_t now_ns)
{
    const struct tg_run_options *options = run->options;
    if (signal_seen != 0) { return signal_seen == SIGTERM ? "SIGTERM" : "SIGINT"; }
    if (options->run_for != 0 && (now_ns - run->start_ns) / 1000 >= (uint64_t)options->run_for) {
        return "--for is over";
    }
    struct tg_totals totals;
    tg_cluster_totals(run->cluster, &totals);
    if (totals.records_in != run->last_records) {
        if (run->first_record_ns == 0) { run->first_record_ns = now_ns; }
        run->last_records = totals.records_in;
        run->last_news_ns = now_ns;
    }
    if (options->until_records != 0 && totals.records_in >= options->until_records) {
        return "--until records reached";
    }
    const uint64_t quiet_us = (now_ns - run->last_news_ns) / 1000;
    if (options->until_idle != 0 && quiet_us >= (uint64_t)options->until_idle) { return "--until idle reached"; }
    return NULL;
}

/* True when a signal asked for the end and the sinks have had their time. */
static bool drain_is_over(struct run *run, uint64_t now_ns)
{
    if (signal_seen == 0) { return false; }
    if (run->signal_ns == 0) { run->signal_ns = now_ns; }
    const uint64_t limit_us = (uint64_t)run->job->engine.drain_timeout;
    const uint64_t waited_us = (now_ns - run->signal_ns) / 1000;
    if (waited_us >= DRAIN_NOTE_US && waited_us < limit_us && !run->drain_noted) {
        run->drain_noted = true;
        char limit[64] = "until it is";
        if (run->job->engine.drain_timeout != TG_TS_MAX) {
            (void)snprintf(limit, sizeof limit, "for at most %.3gs", (double)limit_us / 1e6);
        }
        tg_log(TG_LOG_WARN, TG_CODE_NONE, -1, NULL,
               "%s: not everything is written yet, waiting %s (engine.drain_timeout); a second signal ends the run "
               "at once",
               run->reason, limit);
    }
    return waited_us >= limit_us;
}

/* Once as many records are read as there were behind the checkpoint, or nothing is left to read, the run is where a run
 * without a crash would have been at its start. */
static void note_replayed(struct run *run, uint64_t now_ns)
{
    const struct tg_checkpoint *checkpoint = run->cluster->checkpoint;
    if (run->replayed || checkpoint == NULL || !checkpoint->choice.found || checkpoint->replay <= 0) { return; }
    struct tg_totals totals;
    tg_cluster_totals(run->cluster, &totals);
    const bool has_all = totals.records_in >= (uint64_t)checkpoint->replay;
    if (!has_all && (totals.lag != 0 || totals.records_in == 0)) { return; }
    run->replayed = true;
    char count[TG_AMOUNT_BYTES];
    const uint64_t records = has_all ? (uint64_t)checkpoint->replay : totals.records_in;
    tg_log(TG_LOG_INFO, TG_CODE_NONE, -1, NULL, "replayed %s records, %.1f s after the start",
           tg_count_text((double)records, count), (double)(now_ns - run->start_ns) / 1e9);
}

enum outcome { ALL_FLUSHED, ONE_FAILED, DRAIN_OVER };

/* Until every worker has flushed, or one has failed, or there is no time left. */
static enum outcome watch(struct run *run)
{
    bool stopping = false;
    bool noted = false;
    for (;;) {
        const uint64_t now_ns = tg_clock_now_ns(&run->clock);
        uint32_t flushed = 0;
        uint32_t opening = 0;
        for (uint32_t i = 0; i < run->cluster->plan->shard_count; i++) {
            struct tg_worker *worker = &run->cluster->workers[i];
            const int state = atomic_load_explicit(&worker->state, memory_order_acquire);
            if (state == TG_WORKER_FAILED) { return ONE_FAILED; }
            flushed += state == TG_WORKER_FLUSHED;
            opening += state == TG_WORKER_OPENING;
        }
        if (opening != 0 && run->cluster->checkpoint != NULL) {
            (void)tg_restore_progress_poll(&run->cluster->checkpoint->progress);
        }
        if (opening == 0 && !noted) {
            note_io(run);
            tg_checkpoint_note_restored(run->cluster->checkpoint);
            noted = true;
        }
        if (opening == 0) { note_replayed(run, now_ns); }
        const char *reason = opening == 0 ? stop_reason(run, now_ns) : NULL;
        if (reason != NULL && !stopping) {
            (void)snprintf(run->reason, sizeof run->reason, "%s", reason);
            atomic_store(&run->cluster->stop, true);
            stopping = true;
        }
        if (flushed == run->cluster->plan->shard_count) { return ALL_FLUSHED; }
        if (opening == 0 && drain_is_over(run, now_ns)) { return DRAIN_OVER; }
        if (!run->options->quiet) { tg_status_line_show(&run->line, run->cluster, now_ns); }
        nap(WATCH_NS);
    }
}

static tg_status end_workers(struct run *run, enum outcome outcome, struct tg_error *err)
{
    atomic_store_explicit(&run->cluster->commit, outcome == ALL_FLUSHED, memory_order_release);
    for (uint32_t i = 0; i < run->cluster->plan->shard_count; i++) {
        tg_shard_finish(&run->cluster->workers[i].shard);
        tg_worker_wake(&run->cluster->workers[i]);
    }
    tg_status status = TG_OK;
    for (uint32_t i = 0; i < run->cluster->plan->shard_count; i++) {
        struct tg_worker *worker = &run->cluster->workers[i];
        (void)tg_shard_join(&worker->shard, NULL);
        if (status == TG_OK && atomic_load(&worker->state) == TG_WORKER_FAILED) {
            *err = worker->error;
            status = worker->error.status;
        }
    }
    return status;
}

/* The error of a run that was not allowed to wait for its sinks; their workers are closed. */
static tg_status fail_drain(const struct run *run, struct tg_error *err)
{
    char list[TG_ERROR_TEXT_BYTES / 2] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < run->cluster->plan->sink_count; i++) {
        struct tg_sink_stats stats = {0};
        tg_cluster_sink_stats(run->cluster, i, &stats);
        if (stats.pending == 0 || used >= sizeof list) { continue; }
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s (%llu rows)", used == 0 ? "" : ", ",
                                 run->cluster->plan->sinks[i].spec->name, (unsigned long long)stats.pending);
    }
    return tg_fail(err, TG1606, 0,
                   "%s: what was pending could not be written within %.3gs: %s\n  nothing is committed, the next run "
                   "reads it again; engine.drain_timeout says how long to wait",
                   run->reason, (double)run->job->engine.drain_timeout / 1e6, used == 0 ? "rows on their way" : list);
}

static tg_status close_run(struct run *run, tg_status status, struct tg_error *err)
{
    const uint64_t now_ns = tg_clock_now_ns(&run->clock);
    const struct tg_closing closing = {
        .exit_reason = status != TG_OK ? err->text : run->reason,
        .seconds = (double)(now_ns - run->start_ns) / 1e9,
        .active_seconds = run->first_record_ns != 0 ? (double)(run->last_news_ns - run->first_record_ns) / 1e9 : 0,
        .exit_code = tg_exit_code(status),
    };
    if (!run->options->quiet) {
        tg_status_line_end(&run->line);
        if (run->options->progress_as_log) {
            tg_report_log(run->cluster, &closing);
        } else {
            tg_report_print(run->cluster, &closing, stderr);
        }
    }
    if (run->options->report_path != NULL) {
        struct tg_error report_error = {0};
        const tg_status written = tg_report_write(run->cluster, &closing, run->options->report_path, &report_error);
        if (written != TG_OK && status == TG_OK) {
            *err = report_error;
            return written;
        }
    }
    return status;
}

static uint32_t shard_count_of(const struct run *run)
{
    const uint32_t wanted = run->job->engine.shards;
    if (wanted != TG_SHARDS_AUTO) { return wanted; }
    const double quota = run->topology.cpu_quota;
    const uint32_t cores = run->topology.core_count;
    return quota > 0 && quota < cores ? (quota < 1 ? 1 : (uint32_t)quota) : cores;
}

static tg_status open_checkpoints(const struct run *run, const struct tg_plan *plan, struct tg_checkpoint **checkpoint,
                                  struct tg_error *err)
{
    struct tg_checkpoint_config config = {
        .plan = plan,
        .fresh = run->options->fresh,
        .accept_duplicates = run->options->accept_duplicates,
        .threads = plan->shard_count,
        .clock = run->clock,
        .pid = getpid(),
        .touched = true,
    };
    TG_ASSERT(getrandom(&config.run_id, sizeof config.run_id, 0) == sizeof config.run_id);
    struct tg_log_limit limit = {0};
    tg_status status;
    do { /* it asks the sources about their logs */
        *err = (struct tg_error){0};
        status = tg_checkpoint_create(checkpoint, &config, err);
    } while (status != TG_OK && signal_seen == 0 &&
             may_retry(err, "job", run->job->name, &limit, tg_clock_now_ns(&run->clock)));
    return status;
}

static tg_status prepare(struct run *run, struct tg_error *err)
{
    uint32_t partitions[TG_SOURCES_MAX];
    struct tg_plan *plan = NULL;
    tg_topology_read(&run->topology, "");
    run->topology.overprovisioned = run->topology.overprovisioned || run->options->overprovisioned;
    tg_status status = discover_sources(run->job, &run->clock, partitions, err);
    if (status != TG_OK) { return status; }
    status = tg_plan_create(&plan, run->job, shard_count_of(run), partitions, err);
    if (status != TG_OK) { return status; }
    status = check_sinks(plan, run->options, &run->clock, err);
    if (status != TG_OK) {
        tg_plan_destroy(plan);
        return status;
    }
    struct tg_checkpoint *checkpoint = NULL;
    if (run->job->checkpoint.is_on) { status = open_checkpoints(run, plan, &checkpoint, err); }
    if (status != TG_OK) {
        tg_plan_destroy(plan);
        return status;
    }
    const struct tg_cluster_config config = {
        .plan = plan, .options = run->options, .checkpoint = checkpoint, .clock = run->clock};
    return tg_cluster_create(&run->cluster, &config, err);
}

tg_status tg_run(const struct tg_job *job, const struct tg_run_options *options, struct tg_error *err)
{
    struct run run = {.job = job, .options = options, .clock = tg_clock_real(), .reason = "input ended"};
    catch_signals();
    tg_status status = prepare(&run, err);
    if (status != TG_OK) {
        if (signal_seen == 0) { return status; }
        *err = (struct tg_error){0}; /* told to stop while waiting for a peer: nothing was read, nothing is owed */
        return TG_OK;
    }
    run.start_ns = tg_clock_now_ns(&run.clock);
    run.last_news_ns = run.start_ns;
    tg_status_line_begin(&run.line, options->progress_as_log, run.start_ns);
    status = start_workers(&run, err);
    if (status == TG_OK) {
        const enum outcome outcome = watch(&run);
        status = end_workers(&run, outcome, err);
        if (status == TG_OK && outcome == DRAIN_OVER) { status = fail_drain(&run, err); }
        status = close_run(&run, status, err);
    }
    tg_cluster_destroy(run.cluster);
    return status;
}
