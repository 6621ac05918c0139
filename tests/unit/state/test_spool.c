/* Blocks of a spool: neighbours for what is large, the order of the queue, and memory that is spent. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>

#include "base/prng.h"
#include "state/spool.h"
#include "tests/seed.h"

enum { BLOCKS = 8 };

static struct tg_arena arena;
static struct tg_spool *spool;

static void begin(void)
{
    const struct tg_spool_config config = {.block_count = BLOCKS};
    cr_assert_eq(tg_arena_open(&arena, tg_spool_bytes(&config), NULL), TG_OK);
    cr_assert_eq(tg_spool_create(&spool, &config, &arena, NULL), TG_OK);
}
static void end(void) { tg_arena_close(&arena); }
TestSuite(spool, .init = begin, .fini = end, .timeout = 60);

static void fill(struct tg_block *block)
{
    const struct tg_key key = {(const uint8_t *)"k", 1};
    cr_assert(tg_block_delete(block, key));
}

Test(spool, without_memory_there_is_none)
{
    const struct tg_spool_config config = {.block_count = BLOCKS};
    const size_t whole = tg_spool_bytes(&config), memory = (size_t)BLOCKS * TG_BLOCK_BYTES_MAX + 4096;
    uint32_t failed = 0;
    bool done = false;
    for (size_t bytes = 8; !done; bytes = bytes < 1024 || bytes >= memory ? bytes + 8 : memory) {
        struct tg_arena small;
        struct tg_error err = {0};
        struct tg_spool *none;
        cr_assert_eq(tg_arena_open(&small, whole, NULL), TG_OK);
        small.reserved_bytes = bytes;
        done = tg_spool_create(&none, &config, &small, &err) == TG_OK;
        cr_assert(done || err.code == TG1601);
        failed += !done;
        small.reserved_bytes = whole;
        tg_arena_close(&small);
    }
    cr_assert_gt(failed, 100);
}

/* Pages of the first blocks that have memory. */
static uint32_t resident(const struct tg_block *first, uint32_t blocks)
{
    enum { PAGES_MAX = BLOCKS * TG_BLOCK_BYTES_MAX / 4096 };
    static unsigned char pages[PAGES_MAX];
    const size_t bytes = (size_t)blocks * TG_BLOCK_BYTES_MAX;
    cr_assert_eq(mincore(first->data, bytes, pages), 0);
    uint32_t count = 0;
    for (size_t i = 0; i < bytes / 4096; i++) { count += pages[i] & 1u; }
    return count;
}

Test(spool, ready_blocks_have_their_memory_and_the_others_have_none)
{
    end();
    for (uint32_t ready = 0; ready <= BLOCKS; ready += 4) {
        const struct tg_spool_config config = {.block_count = BLOCKS, .ready_count = ready};
        cr_assert_eq(tg_arena_open(&arena, tg_spool_bytes(&config), NULL), TG_OK);
        cr_assert_eq(tg_spool_create(&spool, &config, &arena, NULL), TG_OK);
        const struct tg_block *first = tg_spool_open(spool, 0, 100);
        cr_assert_eq(resident(first, ready), ready * (TG_BLOCK_BYTES_MAX / 4096));
        cr_assert_leq(resident(first, BLOCKS), ready * (TG_BLOCK_BYTES_MAX / 4096) + 1);
        if (ready < BLOCKS) { end(); }
    }
}

Test(spool, closed_blocks_come_in_their_order_and_empty_ones_go_back)
{
    struct tg_block *blocks[3];
    for (uint32_t i = 0; i < 3; i++) {
        blocks[i] = tg_spool_open(spool, i, 100);
        cr_assert_not_null(blocks[i]);
    }
    cr_assert(tg_spool_used(spool) == 3 && tg_spool_closed(spool) == 0 && tg_spool_next(spool) == NULL);
    fill(blocks[2]);
    fill(blocks[0]);
    tg_spool_close(spool, blocks[2]);
    tg_spool_close(spool, blocks[1]); /* empty */
    tg_spool_close(spool, blocks[0]);
    cr_assert(tg_spool_used(spool) == 2 && tg_spool_closed(spool) == 2);
    cr_assert_eq(tg_spool_next(spool), blocks[2]);
    tg_spool_release(spool, blocks[2]);
    cr_assert_eq(tg_spool_used(spool), 1);
    tg_spool_discard(spool);
    cr_assert(tg_spool_used(spool) == 0 && tg_spool_closed(spool) == 0);
}

Test(spool, spent_memory_is_told_until_it_is_discarded_or_forgiven)
{
    for (uint32_t i = 0; i < BLOCKS; i++) {
        struct tg_block *block = tg_spool_open(spool, 0, TG_BLOCK_BYTES_MAX);
        cr_assert_not_null(block);
        fill(block);
        tg_spool_close(spool, block);
    }
    cr_assert_not(tg_spool_failed(spool));
    cr_assert_null(tg_spool_open(spool, 0, 100));
    cr_assert(tg_spool_failed(spool));
    tg_spool_forgive(spool);
    cr_assert_not(tg_spool_failed(spool));
    cr_assert_null(tg_spool_open(spool, 0, 100));
    tg_spool_discard(spool);
    cr_assert(!tg_spool_failed(spool) && tg_spool_used(spool) == 0);
    cr_assert_null(tg_spool_open(spool, 0, 0), "a record that no block can hold");
    cr_assert_null(tg_spool_open(spool, 0, (BLOCKS + 1) * TG_BLOCK_BYTES_MAX), "nor this spool");
}

/* Large blocks take neighbours, never over the end; nobody's memory is anybody else's. */
Test(spool, blocks_of_any_size_have_their_memory_to_themselves)
{
    struct tg_prng prng = {tg_test_seed()};
    struct tg_block *held[BLOCKS] = {NULL};
    uint32_t sizes[BLOCKS] = {0};
    uint32_t large = 0, failed = 0;
    for (uint32_t round = 0; round < 20000; round++) {
        const uint32_t i = tg_prng_below(&prng, BLOCKS);
        if (held[i] != NULL) {
            for (uint32_t at = 0; at < sizes[i]; at += TG_BLOCK_BYTES_MAX) { cr_assert_eq(held[i]->data[at], i); }
            tg_spool_release(spool, held[i]);
            held[i] = NULL;
            continue;
        }
        const uint32_t wanted = 1 + tg_prng_below(&prng, 3);
        sizes[i] = wanted * TG_BLOCK_BYTES_MAX;
        held[i] = tg_spool_open(spool, 0, sizes[i]);
        failed += held[i] == NULL;
        if (held[i] == NULL) { continue; }
        large += wanted > 1;
        for (uint32_t at = 0; at < sizes[i]; at += TG_BLOCK_BYTES_MAX) { held[i]->data[at] = (uint8_t)i; }
    }
    cr_assert(large > 1000 && failed > 1000, "%u large, %u without room", large, failed);
}
