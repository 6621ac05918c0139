/* Claims about the size-class heap: blocks never overlap, the limit is exact, released blocks serve again. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "base/prng.h"
#include "state/heap.h"
#include "tests/seed.h"

struct fixture {
    struct tg_arena arena;
    struct tg_heap *heap;
};

static void open_heap(struct fixture *f, uint64_t bytes_max)
{
    struct tg_error err = {0};
    cr_assert_eq(tg_arena_open(&f->arena, tg_heap_bytes(bytes_max), &err), TG_OK);
    cr_assert_eq(tg_heap_create(&f->heap, bytes_max, &f->arena, &err), TG_OK);
}

Test(heap, random_blocks_keep_their_bytes_and_the_limit)
{
    enum { BLOCKS = 400, STEPS = 60000, LIMIT = 4 << 20 };
    static struct {
        uint8_t *data;
        uint32_t bytes;
        uint32_t capacity;
        uint8_t mark;
    } blocks[BLOCKS];
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    struct fixture f;
    uint64_t used = 0;
    uint32_t refused = 0;
    open_heap(&f, LIMIT);
    for (uint32_t step = 0; step < STEPS; step++) {
        const uint32_t b = tg_prng_below(&prng, BLOCKS);
        if (blocks[b].data != NULL) {
            for (uint32_t i = 0; i < blocks[b].bytes; i += 1 + blocks[b].bytes / 16) {
                cr_assert_eq(blocks[b].data[i], blocks[b].mark, "seed %" PRIu64 " step %u", seed, step);
            }
            tg_heap_release(f.heap, blocks[b].data, step % 2 == 0 ? blocks[b].bytes : blocks[b].capacity);
            used -= blocks[b].capacity;
            blocks[b].data = NULL;
        } else {
            blocks[b].bytes = 1 + tg_prng_below(&prng, 1u << tg_prng_below(&prng, 19));
            blocks[b].data = tg_heap_acquire(f.heap, blocks[b].bytes, &blocks[b].capacity);
            if (blocks[b].data == NULL) {
                refused++;
                cr_assert_gt(used + 2ull * blocks[b].bytes, LIMIT, "seed %" PRIu64 " step %u: refused too early", seed,
                             step);
                continue;
            }
            cr_assert_geq(blocks[b].capacity, blocks[b].bytes);
            cr_assert_lt(blocks[b].capacity, 2 * blocks[b].bytes + 32);
            cr_assert_eq((uintptr_t)blocks[b].data % 16, 0);
            blocks[b].mark = (uint8_t)step;
            memset(blocks[b].data, blocks[b].mark, blocks[b].capacity);
            used += blocks[b].capacity;
        }
        cr_assert_eq(tg_heap_used_bytes(f.heap), used);
        cr_assert_leq(used, LIMIT);
    }
    cr_assert_gt(refused, 0, "the limit was met");
    tg_arena_close(&f.arena);
}

Test(heap, serves_every_size_up_to_8_mib)
{
    struct fixture f;
    open_heap(&f, 64 << 20);
    for (uint32_t bits = 0; bits <= 23; bits++) {
        uint32_t capacity;
        void *block = tg_heap_acquire(f.heap, 1u << bits, &capacity);
        cr_assert_not_null(block);
        cr_assert_eq(capacity, bits < 5 ? 32 : 1u << bits);
        memset(block, 1, capacity);
    }
    tg_arena_close(&f.arena);
}

Test(heap, gives_the_block_released_last_first)
{
    struct fixture f;
    open_heap(&f, 1 << 20);
    void *a = tg_heap_acquire(f.heap, 100, NULL);
    void *b = tg_heap_acquire(f.heap, 100, NULL);
    tg_heap_release(f.heap, a, 100);
    tg_heap_release(f.heap, b, 100);
    cr_assert_eq(tg_heap_acquire(f.heap, 65, NULL), b);
    cr_assert_eq(tg_heap_acquire(f.heap, 128, NULL), a);
    tg_arena_close(&f.arena);
}

Test(heap, halves_larger_free_blocks_when_its_range_is_spent)
{
    enum { LIMIT = 1 << 20 };
    struct fixture f;
    uint32_t count = 0;
    open_heap(&f, LIMIT);
    for (uint32_t round = 0; round < 8; round++) { /* each class in turn takes the whole limit and gives it back */
        static void *blocks[LIMIT / 32];
        const uint32_t bytes = LIMIT >> (round + 1);
        count = 0;
        for (void *block = tg_heap_acquire(f.heap, bytes, NULL); block != NULL;
             block = tg_heap_acquire(f.heap, bytes, NULL)) {
            memset(block, 1, bytes);
            blocks[count++] = block;
        }
        cr_assert_eq(count, LIMIT / bytes, "round %u", round);
        for (uint32_t i = 0; i < count; i++) { tg_heap_release(f.heap, blocks[i], bytes); }
    }
    cr_assert_eq(tg_heap_used_bytes(f.heap), 0);
    tg_arena_close(&f.arena);
}

Test(heap, says_so_when_the_arena_is_too_small)
{
    struct tg_arena arena;
    struct tg_heap *heap;
    struct tg_error err = {0};
    cr_assert_eq(tg_arena_open(&arena, 65536, &err), TG_OK);
    cr_assert_eq(tg_heap_create(&heap, 1 << 20, &arena, &err), TG_ERR_IO);
    cr_assert_eq(err.code, TG1601);
    tg_arena_close(&arena);
}
