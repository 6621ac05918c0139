/* One ring between two cores: items per second by batches of 1 and 32, against Concurrency Kit's SPSC ring and a plain
 * ring with cached indexes (both move one item at a time; they have no batch call).
 *   perf_ring [--smoke] */
#include <ck_ring.h>
#include <pthread.h>
#include <sched.h>
#include <stdalign.h>

#include "perf/measure.h"
#include "shards/ring.h"

/* Runs are short, so that most of them escape being preempted by other work on the machine. */
enum { SLOTS = 1024, BATCH_MAX = 32, ROUNDS = 63, ITEMS = 32 * 4000, ITEMS_SMOKE = 32 * 500 };

/* The textbook ring: own position and a stale copy of the other's, one item a call. */
struct plain_ring {
    alignas(128) _Atomic uint64_t tail;
    uint64_t head_seen;
    alignas(128) _Atomic uint64_t head;
    uint64_t tail_seen;
    alignas(128) void *slots[SLOTS];
};

static bool plain_push(struct plain_ring *ring, void *item)
{
    const uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (tail - ring->head_seen == SLOTS) {
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
        if (tail - ring->head_seen == SLOTS) { return false; }
    }
    ring->slots[tail & (SLOTS - 1)] = item;
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return true;
}
static bool plain_pop(struct plain_ring *ring, void **item)
{
    const uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (head == ring->tail_seen) {
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (head == ring->tail_seen) { return false; }
    }
    *item = ring->slots[head & (SLOTS - 1)];
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return true;
}

enum kind { OURS_1, OURS_32, CK, PLAIN, KIND_COUNT };

static struct tg_ring ours;
static void *ours_slots[SLOTS];
static struct plain_ring plain;
static alignas(128) ck_ring_t ck;
static ck_ring_buffer_t ck_slots[SLOTS];
static uint64_t item_count;
static enum kind kind; /* published by go, like item_count */
static _Atomic uint64_t go;
static int cores[2] = {-1, -1};
static uint64_t checksum;

static void pin(int cpu)
{
    cpu_set_t set;
    if (cpu < 0) { return; }
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}
static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Inlined with their batch size, as the rivals' calls are with theirs. */
static inline __attribute__((always_inline)) void push_ours(uint32_t batch)
{
    void *items[BATCH_MAX];
    for (uint64_t next = 1; next <= item_count; next += batch) {
        for (uint32_t i = 0; i < batch; i++) { items[i] = (void *)(uintptr_t)(next + i); }
        for (uint32_t pushed = 0; pushed < batch;) {
            const uint32_t took = tg_ring_push(&ours, items + pushed, batch - pushed);
            pushed += took;
            if (took == 0) { relax(); }
        }
    }
}
static inline __attribute__((always_inline)) uint64_t pop_ours(uint32_t batch)
{
    void *items[BATCH_MAX];
    uint64_t sum = 0;
    for (uint64_t popped = 0; popped < item_count;) {
        const uint32_t got = tg_ring_pop(&ours, items, batch);
        for (uint32_t i = 0; i < got; i++) { sum += (uintptr_t)items[i]; }
        popped += got;
        if (got == 0) { relax(); }
    }
    return sum;
}

static void produce(void)
{
    switch (kind) {
    case OURS_1: push_ours(1); break;
    case OURS_32: push_ours(32); break;
    case CK:
        for (uint64_t i = 1; i <= item_count; i++) {
            while (!ck_ring_enqueue_spsc(&ck, ck_slots, (void *)(uintptr_t)i)) { relax(); }
        }
        break;
    case PLAIN:
    default:
        for (uint64_t i = 1; i <= item_count; i++) {
            while (!plain_push(&plain, (void *)(uintptr_t)i)) { relax(); }
        }
    }
}
/* Runs once for each time `go` is raised, until it is odd. */
static void *producer_main(void *unused)
{
    (void)unused;
    pin(cores[0]);
    for (uint64_t seen = 0;;) {
        uint64_t now = atomic_load_explicit(&go, memory_order_acquire);
        for (; now == seen; now = atomic_load_explicit(&go, memory_order_acquire)) { relax(); }
        if ((now & 1) == 1) { return NULL; }
        seen = now;
        produce();
    }
}
static void consume(void)
{
    uint64_t sum = 0;
    void *item;
    switch (kind) {
    case OURS_1: sum = pop_ours(1); break;
    case OURS_32: sum = pop_ours(32); break;
    case CK:
        for (uint64_t i = 0; i < item_count; i++) {
            while (!ck_ring_dequeue_spsc(&ck, ck_slots, &item)) { relax(); }
            sum += (uintptr_t)item;
        }
        break;
    case PLAIN:
    default:
        for (uint64_t i = 0; i < item_count; i++) {
            while (!plain_pop(&plain, &item)) { relax(); }
            sum += (uintptr_t)item;
        }
    }
    checksum = sum;
}

static uint64_t run(enum kind which)
{
    kind = which;
    const uint64_t start = tg_measure_ns();
    (void)atomic_fetch_add_explicit(&go, 2, memory_order_release);
    consume();
    const uint64_t elapsed = tg_measure_ns() - start;
    if (checksum != item_count * (item_count + 1) / 2) {
        (void)fprintf(stderr, "perf_ring: items were lost\n");
        exit(1);
    }
    return elapsed;
}

int main(int argc, char **argv)
{
    const bool smoke = tg_measure_smoke(argc, argv);
    cpu_set_t set;
    int found = 0;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++) {
            if (CPU_ISSET((size_t)cpu, &set)) { cores[found++] = cpu; }
        }
    }
    if (found < 2) { cores[0] = cores[1] = -1; }
    pin(cores[1]);
    tg_ring_init(&ours, ours_slots, SLOTS);
    ck_ring_init(&ck, SLOTS);
    item_count = smoke ? ITEMS_SMOKE : ITEMS;
    pthread_t producer;
    if (pthread_create(&producer, NULL, producer_main, NULL) != 0) { return 1; }
    static struct tg_measure measures[KIND_COUNT];
    for (uint32_t round = 0; round < (smoke ? 3u : (uint32_t)ROUNDS); round++) {
        for (uint32_t k = 0; k < KIND_COUNT; k++) { /* another one begins each round */
            const enum kind which = (enum kind)((k + round) % KIND_COUNT);
            tg_measure_add(&measures[which], run(which), item_count);
        }
    }
    (void)atomic_fetch_add_explicit(&go, 1, memory_order_release);
    (void)pthread_join(producer, NULL);
    int failed = 0;
    failed |= tg_measure_judge("ring, batch 1, per item", &measures[OURS_1], "ck_ring spsc", &measures[CK], 1.0, smoke);
    failed |= tg_measure_judge("ring, batch 1, per item", &measures[OURS_1], "plain cached-index", &measures[PLAIN],
                               1.0, smoke);
    failed |=
        tg_measure_judge("ring, batch 32, per item", &measures[OURS_32], "ck_ring spsc", &measures[CK], 3.0, smoke);
    failed |= tg_measure_judge("ring, batch 32, per item", &measures[OURS_32], "plain cached-index", &measures[PLAIN],
                               3.0, smoke);
    return failed;
}
