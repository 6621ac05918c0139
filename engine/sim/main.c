/* turgo-sim: seeded runs for the reference model to check. Each seed gets a folder with its input and its output. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "base/log.h"
#include "engine/sim/log.h"
#include "engine/sim/sim.h"
#include "engine/sim/window_rows.h"
#include "io/registry.h"
#include "jobs/jobs.h"

static const char usage[] =
    "usage: turgo-sim --dir DIR [--seed N] [--count N] [--crashes N] [--checkpoints N] [--job FILE]\n"
    "                 [--set NAME=VALUE]...\n"
    "Runs job A on simulated shards, one run per seed from N on, each in DIR/<seed>/ (in/ and out/).\n"
    "With --crashes every run dies and starts again up to N times; with --checkpoints every Nth seed leaves the\n"
    "checkpoints of its lives in checkpoints/. --set replaces what the seed chose; names are those of the printed "
    "line.\n"
    "Prints one line per seed with everything the seed chose; exit 1 when a run failed.\n";

enum { SETS_MAX = 32 };

struct arguments {
    uint64_t seed;
    uint64_t count;
    uint64_t crashes;
    uint64_t checkpoints;
    const char *dir;
    const char *job;
    const char *sets[SETS_MAX];
    uint32_t set_count;
};

static int parse(struct arguments *arguments, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            (void)fputs(usage, stdout);
            exit(0);
        }
        if (i + 1 == argc) { return 64; }
        const char *value = argv[++i];
        if (strcmp(argv[i - 1], "--seed") == 0) {
            arguments->seed = strtoull(value, NULL, 0);
        } else if (strcmp(argv[i - 1], "--count") == 0) {
            arguments->count = strtoull(value, NULL, 0);
        } else if (strcmp(argv[i - 1], "--crashes") == 0) {
            arguments->crashes = strtoull(value, NULL, 0);
        } else if (strcmp(argv[i - 1], "--checkpoints") == 0) {
            arguments->checkpoints = strtoull(value, NULL, 0);
        } else if (strcmp(argv[i - 1], "--dir") == 0) {
            arguments->dir = value;
        } else if (strcmp(argv[i - 1], "--job") == 0) {
            arguments->job = value;
        } else if (strcmp(argv[i - 1], "--set") == 0 && arguments->set_count < SETS_MAX) {
            struct tg_sim_options probe = {.shards = 1};
            if (!tg_sim_options_set(&probe, value)) { return 64; }
            arguments->sets[arguments->set_count++] = value;
        } else {
            return 64;
        }
    }
    return arguments->dir != NULL ? 0 : 64;
}

static int run(const struct arguments *arguments, uint64_t seed)
{
    struct tg_sim_options options;
    struct tg_sim_outcome outcome = {0};
    struct tg_error err = {0};
    char dir[512];
    const struct tg_sim_config config = {.job_path = arguments->job,
                                         .chain_path = "tests/sim/chain.yaml",
                                         .dir = dir,
                                         .checkpoints =
                                             arguments->checkpoints != 0 && seed % arguments->checkpoints == 0};
    tg_sim_options_draw(&options, seed, (uint32_t)arguments->crashes);
    for (uint32_t i = 0; i < arguments->set_count; i++) {
        TG_ASSERT(tg_sim_options_set(&options, arguments->sets[i])); /* parse has tried it */
    }
    (void)snprintf(dir, sizeof dir, "%s/%" PRIu64, arguments->dir, seed);
    const tg_status status = tg_sim_run(&options, &config, &outcome, &err);
    tg_sim_options_print(&options, stdout);
    (void)printf(" records_in=%" PRIu64 " duplicates=%" PRIu64 " ignored=%" PRIu64, outcome.totals.records_in,
                 outcome.totals.duplicates, outcome.totals.ignored);
    (void)printf(" ticks=%" PRIu64 " moves=%" PRIu32, outcome.ticks, outcome.moves);
    (void)printf(" crashes=%u power_cuts=%u failures=%u restores=%" PRIu64 " deltas=%" PRIu64 " faults=%" PRIu64
                 " writes=%" PRIu64 " steps=%" PRIu64 " healed_steps=%" PRIu64
                 " seconds=%.3f healed_seconds=%.3f digest=%016" PRIx64 " result=%s\n",
                 outcome.crashes, outcome.cuts, outcome.failures, outcome.restores, outcome.deltas, outcome.faults,
                 outcome.writes, outcome.steps, outcome.healed_steps, (double)outcome.now_ns / 1e9,
                 (double)outcome.healed_ns / 1e9, outcome.digest, status == TG_OK ? "ran" : "failed");
    (void)fflush(stdout);
    if (status != TG_OK) { (void)fprintf(stderr, "seed %" PRIu64 ": %s\n", seed, err.text); }
    return status == TG_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.seed = 1, .count = 1, .job = "jobs/purchase_count.yaml"};
    if (parse(&arguments, argc, argv) != 0) {
        (void)fputs(usage, stderr);
        return 64;
    }
    tg_jobs_register();
    tg_operator_register(&tg_operator_sim_window_rows);
    tg_source_register(&tg_sim_log_source);
    tg_log_configure(&(struct tg_log_config){.level_min = TG_LOG_ERROR}); /* faults are the rule here */
    if (mkdir(arguments.dir, 0777) != 0 && errno != EEXIST) {
        perror(arguments.dir);
        return 74;
    }
    int failed = 0;
    for (uint64_t i = 0; i < arguments.count; i++) { failed |= run(&arguments, arguments.seed + i); }
    return failed;
}
