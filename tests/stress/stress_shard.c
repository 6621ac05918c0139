/* Shards that park the moment they are idle and wake each other through rings. Tokens travel from shard to shard; a
 * wake-up that is lost shows as a park that lasted its whole timeout although a token was waiting, and the run has a
 * time limit. Once with few tokens (nearly every hop wakes a sleeper), once with many (parking races with pushing).
 *   stress_shard [hops] */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/prng.h"
#include "shards/mesh.h"
#include "shards/shard.h"
#include "tests/seed.h"

enum { SHARDS = 3, SLOTS = 64, TOKENS_MAX = 48, TIME_LIMIT_S = 120 };
#define PARK_NS_MAX 3000000000u

struct token {
    uint64_t hops; /* plain: only the ring orders the shards */
    uint32_t at;
};
struct world;
struct node {
    struct tg_shard shard;
    struct world *world;
    uint32_t index;
    int wake_fd;
    _Atomic uint32_t parked;
    struct tg_prng prng;
    uint64_t hops;
    uint64_t parks;
    uint64_t woken;
    uint64_t lost; /* slept the whole timeout with a token waiting */
};
struct world {
    struct tg_mesh mesh;
    struct node nodes[SHARDS];
    struct token tokens[TOKENS_MAX];
    uint64_t hops_each;
    _Atomic uint32_t arrived; /* tokens that made all their hops */
};

/* parked is only touched by read-modify-writes. Either ours comes second and sees the 1, or the parker's comes second
 * and, having read ours, sees what we pushed before. */
static void wake(struct node *node)
{
    if (atomic_fetch_add(&node->parked, 0) == 0) { return; }
    const uint64_t one = 1;
    if (write(node->wake_fd, &one, sizeof one) != (ssize_t)sizeof one) { abort(); }
}

static bool work_waits(const struct node *node)
{
    for (uint32_t from = 0; from < SHARDS; from++) {
        if (tg_ring_ready(tg_mesh_forward(&node->world->mesh, from, node->index))) { return true; }
    }
    return false;
}

static void park(void *self, uint64_t timeout_ns)
{
    struct node *node = self;
    (void)atomic_exchange(&node->parked, 1);
    if (!work_waits(node) && !atomic_load(&node->shard.done)) {
        struct pollfd poll_fd = {.fd = node->wake_fd, .events = POLLIN};
        const int ready = poll(&poll_fd, 1, (int)(timeout_ns / 1000000));
        node->parks++;
        node->woken += ready == 1;
        node->lost += ready == 0 && work_waits(node);
    }
    (void)atomic_exchange(&node->parked, 0);
    uint64_t drained;
    if (read(node->wake_fd, &drained, sizeof drained) < 0 && errno != EAGAIN) { abort(); }
}

static void forward(struct node *node, struct token *token)
{
    const uint32_t to = (node->index + 1 + tg_prng_below(&node->prng, SHARDS - 1)) % SHARDS; /* never to itself */
    void *item = token;
    token->at = to;
    if (tg_ring_push(tg_mesh_forward(&node->world->mesh, node->index, to), &item, 1) != 1) {
        abort();
    } /* it has room */
    wake(&node->world->nodes[to]);
}

static uint32_t receive(void *self, uint64_t now_ns, uint32_t budget)
{
    struct node *node = self;
    uint32_t work = 0;
    (void)now_ns;
    for (uint32_t from = 0; from < SHARDS; from++) {
        void *items[8];
        const uint32_t got = tg_ring_pop(tg_mesh_forward(&node->world->mesh, from, node->index), items, budget);
        for (uint32_t i = 0; i < got; i++) {
            struct token *token = items[i];
            if (token->at != node->index) { abort(); }
            node->hops++;
            if (++token->hops == node->world->hops_each) {
                (void)atomic_fetch_add(&node->world->arrived, 1);
            } else {
                forward(node, token);
            }
        }
        work += got;
    }
    return work;
}

static void node_open(struct world *world, uint32_t index, uint64_t seed, uint64_t spin_ns)
{
    struct node *node = &world->nodes[index];
    const struct tg_shard_config config = {.index = index,
                                           .cpu = -1,
                                           .budget = 8,
                                           .spin_ns = spin_ns,
                                           .park_ns_max = PARK_NS_MAX,
                                           .clock = tg_clock_real(),
                                           .park = park,
                                           .self = node};
    *node = (struct node){.world = world, .index = index, .prng = {seed + index}};
    node->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (node->wake_fd < 0) { abort(); }
    tg_shard_init(&node->shard, &config);
    tg_shard_add(&node->shard, "receive", receive, node);
}

/* All shards to the end; returns what went wrong. */
static int world_close(struct world *world, uint64_t hops_expected)
{
    uint64_t hops = 0;
    uint64_t lost = 0;
    uint64_t parks = 0;
    uint64_t woken = 0;
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct node *node = &world->nodes[i];
        tg_shard_finish(&node->shard);
        wake(node);
        if (tg_shard_join(&node->shard, NULL) != TG_OK) { abort(); }
        hops += node->hops;
        lost += node->lost;
        parks += node->parks;
        woken += node->woken;
    }
    for (uint32_t i = 0; i < SHARDS; i++) { (void)close(world->nodes[i].wake_fd); } /* after the last one may wake */
    (void)printf("stress_shard: %" PRIu64 " hops, %" PRIu64 " parks, %" PRIu64 " woken, %" PRIu64 " lost\n", hops,
                 parks, woken, lost);
    return hops != hops_expected || lost != 0 || parks == 0;
}

static int run_once(uint32_t token_count, uint64_t hops, uint64_t seed, uint64_t spin_ns)
{
    static struct world world;
    struct tg_arena arena;
    struct tg_error err = {0};
    world = (struct world){.hops_each = hops / token_count};
    if (tg_arena_open(&arena, tg_mesh_bytes(SHARDS, SLOTS), &err) != TG_OK ||
        tg_mesh_init(&world.mesh, SHARDS, SLOTS, &arena, &err) != TG_OK) {
        (void)fprintf(stderr, "stress_shard: %s\n", err.text);
        return 1;
    }
    for (uint32_t i = 0; i < SHARDS; i++) { node_open(&world, i, seed, spin_ns); }
    for (uint32_t i = 0; i < token_count; i++) { /* before the threads: this thread stands in for every producer */
        void *item = &world.tokens[i];
        world.tokens[i].at = i % SHARDS;
        if (tg_ring_push(tg_mesh_forward(&world.mesh, i % SHARDS, i % SHARDS), &item, 1) != 1) { abort(); }
    }
    for (uint32_t i = 0; i < SHARDS; i++) {
        if (tg_shard_start(&world.nodes[i].shard, &err) != TG_OK) {
            (void)fprintf(stderr, "stress_shard: %s\n", err.text);
            exit(1);
        }
    }
    while (atomic_load(&world.arrived) < token_count) { (void)usleep(1000); } /* alarm() bounds it */
    const int failed = world_close(&world, token_count * world.hops_each);
    tg_arena_close(&arena);
    return failed;
}

int main(int argc, char **argv)
{
    const uint64_t hops = argc > 1 ? strtoull(argv[1], NULL, 10) : 30000;
    const uint64_t seed = tg_test_seed();
    (void)alarm(TIME_LIMIT_S); /* a shard that never wakes ends the program */
    int failed = run_once(1, hops / 3, seed, 0);
    failed |= run_once(2, hops, seed, 0);
    failed |= run_once(TOKENS_MAX, 4 * hops, seed, 0);
    failed |= run_once(2, hops, seed, 20000);
    (void)printf("stress_shard: %s\n", failed ? "FAILED" : "ok");
    return failed;
}
