/* What this machine does to a thread that never waits: slices as long by the wall clock as the engine cuts the writing
 * of a checkpoint, but of arithmetic alone. Beside the engine's own slices it shows which of their tail is the
 * machine's. One line of JSON.
 *
 *     spin [seconds] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/histogram.h"
#include "engine/checkpoint/shard.h"

static struct tg_histogram slices;
static struct tg_histogram pauses;

static uint64_t read_ns(clockid_t clock)
{
    struct timespec time = {0};
    (void)clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void print(const char *name, const struct tg_histogram *histogram)
{
    (void)printf("\"%s\": {\"count\": %" PRIu64 ", \"p50\": %" PRIu64 ", \"p99\": %" PRIu64 ", \"p999\": %" PRIu64
                 ", \"max\": %" PRIu64 "}",
                 name, tg_histogram_count(histogram), tg_histogram_quantile_ns(histogram, 0.5),
                 tg_histogram_quantile_ns(histogram, 0.99), tg_histogram_quantile_ns(histogram, 0.999),
                 tg_histogram_max_ns(histogram));
}

int main(int argc, char **argv)
{
    enum { STEP = 1000 };
    const uint64_t end_ns = read_ns(CLOCK_MONOTONIC) + (argc > 1 ? strtoull(argv[1], NULL, 10) : 5) * 1000000000u;
    volatile uint64_t sink = 0;
    uint64_t now_ns = 0;
    while (now_ns < end_ns) {
        const uint64_t cpu_ns = read_ns(CLOCK_THREAD_CPUTIME_ID);
        const uint64_t begin_ns = read_ns(CLOCK_MONOTONIC);
        do {
            uint64_t word = begin_ns;
            for (uint32_t i = 0; i < STEP; i++) { word = word * 6364136223846793005u + 1442695040888963407u; }
            sink = word;
            now_ns = read_ns(CLOCK_MONOTONIC);
        } while (now_ns - begin_ns < TG_CHECKPOINT_SLICE_NS);
        tg_histogram_record(&pauses, now_ns - begin_ns, 1);
        tg_histogram_record(&slices, read_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns, 1);
    }
    (void)sink;
    (void)printf("{");
    print("slice_cpu_ns", &slices);
    (void)printf(", ");
    print("pause_ns", &pauses);
    (void)printf("}\n");
    return 0;
}
