/* turgo run: flags to options, then the engine. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/limits.h"
#include "base/log.h"
#include "engine/config/values.h"
#include "engine/runtime.h"
#include "tools/report.h"
#include "tools/verbs.h"

static int read_until(const char *text, struct tg_run_options *options)
{
    int64_t number = 0;
    if (strcmp(text, "end") == 0) {
        options->until_end = true;
        return 0;
    }
    if (strncmp(text, "idle:", 5) == 0 && tg_value_parse(TG_OPTION_DURATION, NULL, text + 5, &number) && number > 0) {
        options->until_idle = number;
        return 0;
    }
    if (strncmp(text, "records:", 8) == 0 && tg_value_parse(TG_OPTION_RATE, NULL, text + 8, &number) && number > 0 &&
        strchr(text, '/') == NULL) {
        options->until_records = (uint64_t)number;
        return 0;
    }
    char what[160];
    (void)snprintf(what, sizeof what, "wrong value \"%.80s\" for --until", text);
    return tg_usage_error(what, "it takes end, idle:5s or records:1M");
}

/* "2-7,9": this process runs there and nowhere else; threads started later inherit it. False: no such list, or not
 * one of these CPUs is there for us. */
static bool use_cpus(const char *list)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    const char *at = list;
    do {
        char *end = NULL;
        const unsigned long first = strtoul(at, &end, 10);
        unsigned long last = first;
        if (end == at || *at < '0' || *at > '9') { return false; }
        if (*end == '-') {
            at = end + 1;
            last = strtoul(at, &end, 10);
            if (end == at || *at < '0' || *at > '9') { return false; }
        }
        if (last < first || last >= CPU_SETSIZE) { return false; }
        for (unsigned long cpu = first; cpu <= last; cpu++) { CPU_SET(cpu, &set); }
        at = end + 1;
        if (*end == '\0') { return sched_setaffinity(0, sizeof set, &set) == 0; }
        if (*end != ',') { return false; }
    } while (*at != '\0');
    return false;
}

static int read_options(const struct tg_args *args, struct tg_run_options *options)
{
    *options = (struct tg_run_options){
        .fresh = tg_args_given(args, "fresh"),
        .accept_duplicates = tg_args_given(args, "accept-duplicates"),
        .create_tables = tg_args_given(args, "create-tables"),
        .no_drain = tg_args_given(args, "no-drain"),
        .quiet = tg_args_given(args, "quiet"),
        .progress_as_log = tg_args_number(args, "log-format") > TG_LOG_TEXT,
        .overprovisioned = tg_args_given(args, "overprovisioned"),
        .report_path = tg_args_text(args, "report"),
        .run_for = tg_args_number(args, "for"),
        .seed = (uint64_t)tg_args_number(args, "seed"),
        .poll_count_max = (uint32_t)tg_args_number(args, "poll-size"),
    };
    const int64_t poll = tg_args_number(args, "poll-size");
    if (tg_args_given(args, "poll-size") && (poll < 1 || poll > TG_BATCH_ROWS_MAX)) {
        return tg_usage_error("--poll-size is out of range", "it takes 1 to 1024");
    }
    if (tg_args_given(args, "for") && options->run_for <= 0) {
        return tg_usage_error("--for must be longer than 0", "");
    }
    if (tg_args_given(args, "cpuset") && !use_cpus(tg_args_text(args, "cpuset"))) {
        return tg_usage_error("--cpuset names no CPUs this process may use", "it takes a list such as 2-7,9");
    }
    if (tg_args_number(args, "seed") < 0) { return tg_usage_error("--seed must not be negative", ""); }
    const int code = tg_args_given(args, "until") ? read_until(tg_args_text(args, "until"), options) : 0;
    if (code != 0) { return code; }
    return options->no_drain && !options->until_end ? tg_usage_error("--no-drain goes with --until end", "") : 0;
}

/* A folder's name as a quoted YAML value without variables: ' doubled, $ doubled. */
static bool quote(const char *text, char *out, size_t capacity)
{
    size_t used = 0;
    out[used++] = '\'';
    for (; *text != '\0' && used + 4 < capacity; text++) {
        if (*text == '\'' || *text == '$') { out[used++] = *text; }
        out[used++] = *text;
    }
    out[used++] = '\'';
    out[used] = '\0';
    return *text == '\0';
}

/* Again when the job's name is known: every line carries it. */
static void start_log(const struct tg_args *args, const char *job)
{
    struct tg_log_config log = {.level_min = tg_args_given(args, "verbose") ? TG_LOG_DEBUG : TG_LOG_INFO,
                                .format = (enum tg_log_format)tg_args_number(args, "log-format"),
                                .colour = (enum tg_log_colour)tg_args_number(args, "color"),
                                .job = job};
    if (tg_args_given(args, "log-level")) { log.level_min = (enum tg_log_level)tg_args_number(args, "log-level"); }
    tg_log_configure(&log);
}

/* A report that cannot be written is better known before a run of a day than after it. */
static tg_status try_report(const char *path, struct tg_error *err)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) { return tg_fail(err, TG1502, errno, "report %s", path); }
    (void)close(fd);
    return TG_OK;
}

int tg_verb_run(int argc, char **argv)
{
    struct tg_args args;
    struct tg_run_options options;
    int code = tg_args_parse(argc, argv, &args);
    if (code == 0) { code = read_options(&args, &options); }
    if (code != 0) { return code; }
    struct tg_error err = {0};
    if (tg_failpoint_arm(getenv("TURGO_FAILPOINT"), &err) != TG_OK) { return tg_print_error(&err); }
    /* Flags with a key of their own in the job file are that key set last, so that --print-effective and run agree. */
    char shards[64];
    char io[64];
    char quoted[2048];
    char state_dir[2100];
    const char *more[3];
    uint32_t more_count = 0;
    (void)snprintf(shards, sizeof shards, "engine.shards=%s",
                   tg_args_given(&args, "shards") ? tg_args_text(&args, "shards") : "");
    if (tg_args_given(&args, "shards")) { more[more_count++] = shards; }
    (void)snprintf(io, sizeof io, "engine.io=%s", tg_args_given(&args, "io") ? tg_args_text(&args, "io") : "");
    if (tg_args_given(&args, "io")) { more[more_count++] = io; }
    if (tg_args_given(&args, "state-dir")) {
        if (!quote(tg_args_text(&args, "state-dir"), quoted, sizeof quoted)) {
            return tg_usage_error("--state-dir is too long", "");
        }
        (void)snprintf(state_dir, sizeof state_dir, "state_dir=%s", quoted);
        more[more_count++] = state_dir;
    }
    start_log(&args, NULL);
    struct tg_job *job = NULL;
    code = tg_load_job(&args, more_count, more, true, &job);
    if (code != 0) { return code; }
    start_log(&args, job->name);
    tg_status status = options.report_path != NULL ? try_report(options.report_path, &err) : TG_OK;
    if (status == TG_OK) { status = tg_run(job, &options, &err); }
    code = tg_exit_code(status);
    if (status != TG_OK && options.progress_as_log) {
        tg_log(TG_LOG_ERROR, err.code, -1, NULL, "%s", err.text);
    } else if (status != TG_OK) {
        (void)tg_print_error(&err);
    }
    start_log(&args, NULL);
    tg_job_destroy(job);
    return code;
}
