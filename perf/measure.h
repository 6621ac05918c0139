/* What micro benchmarks share: a clock, medians over alternating rounds, and the verdict against a floor. Only ratios
 * within one process count; each is the median of the ratios of single rounds, printed with its least and greatest. */
#ifndef TG_PERF_MEASURE_H
#define TG_PERF_MEASURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TG_ROUNDS_MAX = 64 };

static inline uint64_t tg_measure_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Time this thread really ran: a neighbour that takes the core away does not count. For programs of one thread. */
static inline uint64_t tg_measure_cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline bool tg_measure_smoke(int argc, char **argv) { return argc > 1 && strcmp(argv[1], "--smoke") == 0; }

static inline int tg_measure_compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Nanoseconds per operation of one contestant, a value per round. */
struct tg_measure {
    double rounds[TG_ROUNDS_MAX];
    uint32_t count;
};
static inline void tg_measure_add(struct tg_measure *measure, uint64_t elapsed_ns, uint64_t operations)
{
    if (measure->count < TG_ROUNDS_MAX) { measure->rounds[measure->count++] = (double)elapsed_ns / (double)operations; }
}
static inline double tg_measure_median(const struct tg_measure *measure)
{
    struct tg_measure sorted = *measure;
    qsort(sorted.rounds, sorted.count, sizeof sorted.rounds[0], tg_measure_compare);
    return sorted.count == 0 ? 0 : sorted.rounds[sorted.count / 2];
}

/* Print "ours is R times as fast as the rival" and judge it. Returns 1 when below the floor (never with smoke). */
static inline int tg_measure_judge(const char *what, const struct tg_measure *ours, const char *rival_name,
                                   const struct tg_measure *rival, double floor_ratio, bool smoke)
{
    struct tg_measure ratios = *ours;
    for (uint32_t i = 0; i < ours->count; i++) { ratios.rounds[i] = rival->rounds[i] / ours->rounds[i]; }
    const double ratio = tg_measure_median(&ratios);
    qsort(ratios.rounds, ratios.count, sizeof ratios.rounds[0], tg_measure_compare);
    (void)printf("%-46s %8.2f ns  %-22s %8.2f ns  ratio %6.2f [%.2f..%.2f]", what, tg_measure_median(ours), rival_name,
                 tg_measure_median(rival), ratio, ratios.rounds[0], ratios.rounds[ratios.count - 1]);
    const bool below = !smoke && floor_ratio > 0 && ratio < floor_ratio;
    if (floor_ratio > 0) { (void)printf("  floor %.2f%s", floor_ratio, below ? "  BELOW FLOOR" : ""); }
    (void)printf("\n");
    (void)fflush(stdout);
    return below ? 1 : 0;
}

#endif
