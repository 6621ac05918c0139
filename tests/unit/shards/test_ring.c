/* Claims about the ring and the mesh, checked on one thread; two threads: tests/stress/stress_ring.c. */
#include <criterion/criterion.h>
#include <inttypes.h>

#include "base/prng.h"
#include "shards/mesh.h"
#include "tests/seed.h"

Test(ring, random_batches_keep_order_and_lose_nothing)
{
    enum { SLOTS = 16, STEPS = 200000 };
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    void *slots[SLOTS];
    struct tg_ring ring;
    tg_ring_init(&ring, slots, SLOTS);

    uintptr_t pushed = 0; /* the whole model: item n carries the number n */
    uintptr_t popped = 0;
    for (uint32_t step = 0; step < STEPS; step++) {
        void *batch[24];
        const uint32_t want = tg_prng_below(&prng, 25);
        const uintptr_t inside = pushed - popped;
        if (tg_prng_below(&prng, 2) == 0) {
            for (uint32_t i = 0; i < want; i++) { batch[i] = (void *)(pushed + i + 1); }
            const uint32_t took = tg_ring_push(&ring, batch, want);
            cr_assert_eq(took, want < SLOTS - inside ? want : SLOTS - inside, "seed %" PRIu64 " step %u", seed, step);
            pushed += took;
        } else {
            const uint32_t got = tg_ring_pop(&ring, batch, want);
            cr_assert_eq(got, want < inside ? want : inside, "seed %" PRIu64 " step %u", seed, step);
            for (uint32_t i = 0; i < got; i++) {
                cr_assert_eq((uintptr_t)batch[i], ++popped, "seed %" PRIu64 " step %u", seed, step);
            }
        }
        cr_assert_eq(tg_ring_ready(&ring) != 0, pushed != popped, "seed %" PRIu64 " step %u", seed, step);
    }
    cr_assert_gt(popped, SLOTS); /* wrap-around was exercised, not just the first lap */
}

Test(ring, of_one_slot_alternates)
{
    void *slots[1];
    struct tg_ring ring;
    int a;
    int b;
    void *items[2] = {&a, &b};
    void *got[2];
    tg_ring_init(&ring, slots, 1);
    cr_assert_eq(tg_ring_push(&ring, items, 2), 1);
    cr_assert_eq(tg_ring_push(&ring, &items[1], 1), 0);
    cr_assert_eq(tg_ring_pop(&ring, got, 2), 1);
    cr_assert_eq(got[0], &a);
    cr_assert_eq(tg_ring_pop(&ring, got, 2), 0);
    cr_assert_eq(tg_ring_push(&ring, &items[1], 1), 1);
    cr_assert_eq(tg_ring_pop(&ring, got, 2), 1);
    cr_assert_eq(got[0], &b);
}

Test(mesh, has_a_ring_for_every_pair_and_direction)
{
    enum { SHARDS = 3, SLOTS = 8 };
    struct tg_arena arena;
    struct tg_error err = {0};
    struct tg_mesh mesh;
    cr_assert_eq(tg_arena_open(&arena, tg_mesh_bytes(SHARDS, SLOTS), &err), TG_OK);
    cr_assert_eq(tg_mesh_init(&mesh, SHARDS, SLOTS, &arena, &err), TG_OK);
    static int marks[2][SHARDS][SHARDS];
    for (uint32_t from = 0; from < SHARDS; from++) {
        for (uint32_t to = 0; to < SHARDS; to++) {
            for (uint32_t i = 0; i < SLOTS; i++) { /* full rings: slots must not overlap */
                void *forward = &marks[0][from][to];
                void *reverse = &marks[1][from][to];
                cr_assert_eq(tg_ring_push(tg_mesh_forward(&mesh, from, to), &forward, 1), 1);
                cr_assert_eq(tg_ring_push(tg_mesh_reverse(&mesh, from, to), &reverse, 1), 1);
            }
        }
    }
    for (uint32_t from = 0; from < SHARDS; from++) {
        for (uint32_t to = 0; to < SHARDS; to++) {
            void *got[SLOTS + 1];
            cr_assert_eq(tg_ring_pop(tg_mesh_forward(&mesh, from, to), got, SLOTS + 1), SLOTS);
            for (uint32_t i = 0; i < SLOTS; i++) { cr_assert_eq(got[i], &marks[0][from][to]); }
            cr_assert_eq(tg_ring_pop(tg_mesh_reverse(&mesh, from, to), got, SLOTS + 1), SLOTS);
            for (uint32_t i = 0; i < SLOTS; i++) { cr_assert_eq(got[i], &marks[1][from][to]); }
        }
    }
    tg_arena_close(&arena);
}

Test(mesh, says_so_when_the_arena_is_too_small)
{
    struct tg_arena arena;
    struct tg_error err = {0};
    struct tg_mesh mesh;
    cr_assert_eq(tg_arena_open(&arena, 4096, &err), TG_OK);
    cr_assert_eq(tg_mesh_init(&mesh, 4, 64, &arena, &err), TG_ERR_IO);
    cr_assert_eq(err.code, TG1601);
    tg_arena_close(&arena);
}
