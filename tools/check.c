/* turgo check: the same loader as run, then every server the job names, each with a deadline. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "tools/report.h"
#include "tools/verbs.h"

/* A check asks once and its answer is the verdict: it waits longer than one of the tries of a run. */
static const uint64_t PEER_VERDICT_NS = 10000000000u;
static const size_t CHECK_ARENA_BYTES = (size_t)64 << 20;

static bool is_quiet; /* --quiet: say nothing of what is right */

/* An error of a peer, and where the job file names it. */
static void print_finding(const struct tg_error *err, const char *kind, const char *name, const struct tg_place *place)
{
    (void)tg_print_error(err);
    (void)fprintf(stderr, "  %s %s, %s", kind, name, place->origin);
    if (place->line > 0) { (void)fprintf(stderr, ":%u:%u", place->line, place->column); }
    (void)fputc('\n', stderr);
}

static tg_status worse(tg_status a, tg_status b) { return a < b ? a : b; }

static tg_status check_source(const struct tg_source_spec *source, const struct tg_clock *clock)
{
    struct tg_error err = {0};
    uint32_t partitions = 0;
    const uint64_t deadline_ns = tg_clock_now_ns(clock) + PEER_VERDICT_NS;
    const tg_status status = source->ops->discover(&source->options, source->name, deadline_ns, &partitions, &err);
    if (status != TG_OK) {
        print_finding(&err, "source", source->name, &source->place);
    } else if (!is_quiet) {
        (void)printf("ok  source %s: %s, %u partition%s\n", source->name, source->ops->name, partitions,
                     partitions == 1 ? "" : "s");
    }
    return status;
}

static tg_status check_sink(const struct tg_job *job, const struct tg_sink_spec *sink, const struct tg_clock *clock)
{
    if (sink == NULL) { return TG_OK; }
    struct tg_error err = {0};
    struct tg_arena arena = {0};
    tg_status status = tg_arena_open(&arena, CHECK_ARENA_BYTES, &err);
    if (status == TG_OK && sink->ops->check != NULL) {
        const struct tg_sink_env env = {
            .job_name = job->name,
            .sink_name = sink->name,
            .options = &sink->options,
            .schema = &sink->schema,
            .key_columns = sink->key_columns,
            .key_count = sink->ops->keyed ? sink->key_count : 0,
            .with_revision = sink->with_revision,
            .shard_count = 1,
            .max_keys = job->engine.max_keys,
            .arena = &arena,
            .clock = *clock,
        };
        status = sink->ops->check(&env, tg_clock_now_ns(clock) + PEER_VERDICT_NS, &err);
    }
    tg_arena_close(&arena);
    if (status != TG_OK) {
        print_finding(&err, "sink", sink->name, &sink->place);
    } else if (!is_quiet) {
        (void)printf("ok  sink %s: %s\n", sink->name, sink->ops->name);
    }
    return status;
}

static tg_status check_environment(const struct tg_job *job)
{
    const struct tg_clock clock = tg_clock_real();
    tg_status status = TG_OK;
    for (uint32_t i = 0; i < job->source_count; i++) { status = worse(status, check_source(&job->sources[i], &clock)); }
    for (uint32_t i = 0; i < job->sink_count; i++) { status = worse(status, check_sink(job, &job->sinks[i], &clock)); }
    status = worse(status, check_sink(job, job->dead_letters, &clock));
    return worse(status, check_sink(job, job->late, &clock));
}

int tg_verb_check(int argc, char **argv)
{
    struct tg_args args;
    struct tg_job *job = NULL;
    int code = tg_args_parse(argc, argv, &args);
    if (code == 0) { tg_set_colour(&args); }
    const bool environment = code == 0 && !tg_args_given(&args, "no-environment");
    is_quiet = code == 0 && tg_args_given(&args, "quiet");
    if (code == 0) { code = tg_load_job(&args, 0, NULL, environment, &job); }
    if (code != 0) { return code; }
    if (tg_args_given(&args, "print-effective")) { tg_job_print_effective(job, stdout); }
    if (environment) { code = tg_exit_code(check_environment(job)); }
    if (code == 0 && !is_quiet && !tg_args_given(&args, "print-effective")) {
        (void)printf("ok  job %s, profile %s%s\n", job->name, job->profile[0] != '\0' ? job->profile : "none",
                     environment ? "" : " (file only)");
    }
    tg_job_destroy(job);
    return code;
}
