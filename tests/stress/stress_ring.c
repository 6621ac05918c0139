/* Two real threads on one ring: every item arrives once, in order, with what the producer wrote before pushing it.
 * Runs each batch size unpinned and, with two cores, pinned. Under TSan this also proves the ordering edges: cells are
 * written once by plain stores, and nothing but the ring orders the two threads (tests/stress/mutate_ring.sh).
 *   stress_ring [items per run] */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "shards/ring.h"
#include "tests/seed.h"

enum { BATCH_MAX = 64, SLOTS_MAX = 256 };

struct run {
    struct tg_ring ring;
    void *slots[SLOTS_MAX];
    uint64_t *cells; /* [count]; the pattern of item i is written right before it is pushed */
    uint64_t count;
    uint64_t seed;
    uint32_t batch; /* 0 = random sizes */
    int cpus[2];    /* -1 = not pinned */
    uint64_t wrong;
};

static uint64_t pattern(uint64_t i, uint64_t seed) { return (i + seed) * 0x9E3779B97F4A7C15u; }

static void pin(int cpu)
{
    if (cpu < 0) { return; }
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static uint32_t batch_size(const struct run *run, struct tg_prng *prng)
{
    return run->batch != 0 ? run->batch : 1 + tg_prng_below(prng, BATCH_MAX);
}

static void *produce(void *argument)
{
    struct run *run = argument;
    struct tg_prng prng = {run->seed};
    void *items[BATCH_MAX];
    pin(run->cpus[0]);
    for (uint64_t next = 0; next < run->count;) {
        uint32_t want = batch_size(run, &prng);
        if (want > run->count - next) { want = (uint32_t)(run->count - next); }
        for (uint32_t i = 0; i < want; i++) {
            run->cells[next + i] = pattern(next + i, run->seed);
            items[i] = &run->cells[next + i];
        }
        for (uint32_t pushed = 0; pushed < want;) {
            const uint32_t took = tg_ring_push(&run->ring, items + pushed, want - pushed);
            pushed += took;
            if (took == 0) { (void)sched_yield(); }
        }
        next += want;
    }
    return NULL;
}

static void *consume(void *argument)
{
    struct run *run = argument;
    struct tg_prng prng = {~run->seed};
    void *items[BATCH_MAX];
    pin(run->cpus[1]);
    for (uint64_t next = 0; next < run->count;) {
        const uint32_t got = tg_ring_pop(&run->ring, items, batch_size(run, &prng));
        for (uint32_t i = 0; i < got; i++) {
            const uint64_t *cell = items[i];
            run->wrong += cell != &run->cells[next + i] || *cell != pattern(next + i, run->seed);
        }
        next += got;
        if (got == 0 && !tg_ring_ready(&run->ring)) { (void)sched_yield(); }
    }
    return NULL;
}

static int run_once(uint32_t batch, uint32_t slot_count, uint64_t count, uint64_t seed, const int cpus[2])
{
    static struct run run;
    pthread_t threads[2];
    run = (struct run){.count = count, .seed = seed, .batch = batch, .cpus = {cpus[0], cpus[1]}};
    run.cells = calloc(count, sizeof *run.cells);
    if (run.cells == NULL) { return 1; }
    tg_ring_init(&run.ring, run.slots, slot_count);
    if (pthread_create(&threads[0], NULL, produce, &run) != 0 ||
        pthread_create(&threads[1], NULL, consume, &run) != 0) {
        (void)fprintf(stderr, "stress_ring: no threads\n");
        exit(1);
    }
    (void)pthread_join(threads[0], NULL);
    (void)pthread_join(threads[1], NULL);
    free(run.cells);
    if (run.wrong != 0) {
        (void)fprintf(stderr, "stress_ring: %" PRIu64 " wrong items: batch %u, %u slots, seed %" PRIu64 "\n", run.wrong,
                      batch, slot_count, seed);
    }
    return run.wrong != 0;
}

/* The first two cores we may use; false with only one. */
static bool two_cores(int cpus[2])
{
    cpu_set_t set;
    int found = 0;
    if (sched_getaffinity(0, sizeof set, &set) != 0) { return false; }
    for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++) {
        if (CPU_ISSET((size_t)cpu, &set)) { cpus[found++] = cpu; }
    }
    return found == 2;
}

int main(int argc, char **argv)
{
    static const uint32_t batches[] = {1, 2, 3, 7, 8, 31, 32, 64, 0};
    static const uint32_t slot_counts[] = {1, 2, 16, SLOTS_MAX};
    const int anywhere[2] = {-1, -1};
    int pair[2];
    const bool pinned = two_cores(pair);
    const uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 40000;
    uint64_t seed = tg_test_seed();
    int failed = 0;
    for (uint32_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
        for (uint32_t s = 0; s < sizeof slot_counts / sizeof slot_counts[0]; s++) {
            /* A tiny ring is full or empty at every step already; on a shared core each of them is a task switch. */
            const uint64_t items = slot_counts[s] <= 2 ? count / 8 : count;
            failed |= run_once(batches[b], slot_counts[s], items, seed++, anywhere);
            if (pinned) { failed |= run_once(batches[b], slot_counts[s], items, seed++, pair); }
        }
    }
    (void)printf("stress_ring: %s\n", failed ? "FAILED" : "ok");
    return failed;
}
