/* turgo-sim: seeded runs for the reference model to check. Each seed gets a folder with its input and its output. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/sim/sim.h"
#include "jobs/jobs.h"

static const char usage[] =
    "usage: turgo-sim --dir DIR [--seed N] [--count N] [--job FILE]\n"
    "Runs job A on simulated shards, one run per seed from N on, each in DIR/<seed>/ (in/ and out/).\n"
    "Prints one line per seed with everything the seed chose; exit 1 when a run failed.\n";

struct arguments {
    uint64_t seed;
    uint64_t count;
    const char *dir;
    const char *job;
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
        } else if (strcmp(argv[i - 1], "--dir") == 0) {
            arguments->dir = value;
        } else if (strcmp(argv[i - 1], "--job") == 0) {
            arguments->job = value;
        } else {
            return 64;
        }
    }
    return arguments->dir != NULL ? 0 : 64;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.seed = 1, .count = 1, .job = "jobs/purchase_count.yaml"};
    if (parse(&arguments, argc, argv) != 0) {
        (void)fputs(usage, stderr);
        return 64;
    }
    tg_jobs_register();
    if (mkdir(arguments.dir, 0777) != 0 && errno != EEXIST) {
        perror(arguments.dir);
        return 74;
    }
    int failed = 0;
    for (uint64_t i = 0; i < arguments.count; i++) {
        struct tg_sim_options options;
        struct tg_error err = {0};
        char dir[512];
        struct tg_sim_outcome outcome = {0};
        tg_sim_options_draw(&options, arguments.seed + i);
        (void)snprintf(dir, sizeof dir, "%s/%" PRIu64, arguments.dir, options.seed);
        const tg_status status = tg_sim_run(&options, arguments.job, dir, &outcome, &err);
        tg_sim_options_print(&options, stdout);
        (void)printf(" records_in=%" PRIu64 " duplicates=%" PRIu64 " ignored=%" PRIu64 " steps=%" PRIu64 " result=%s\n",
                     outcome.totals.records_in, outcome.totals.duplicates, outcome.totals.ignored, outcome.steps,
                     status == TG_OK ? "ran" : "failed");
        (void)fflush(stdout);
        if (status != TG_OK) {
            (void)fprintf(stderr, "seed %" PRIu64 ": %s\n", options.seed, err.text);
            failed = 1;
        }
    }
    return failed;
}
