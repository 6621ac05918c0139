/* Fetch buffers: two sizes, plain reference counts, back-pressure when none is free. */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "base/buffer.h"

static struct tg_arena arena;
static struct tg_buffer_pool pool;
static const struct tg_buffer_pool_config config = {.standard_count = 3, .standard_bytes = 8192, .large_count = 1};

static void open_pool(void)
{
    struct tg_error err = {0};
    cr_assert_eq(tg_arena_open(&arena, tg_buffer_pool_bytes(&config), &err), TG_OK);
    cr_assert_eq(tg_buffer_pool_init(&pool, &config, &arena, &err), TG_OK, "%s", err.text);
}

static void close_pool(void) { tg_arena_close(&arena); }

TestSuite(buffer, .init = open_pool, .fini = close_pool);

Test(buffer, the_size_asked_for_decides_the_kind)
{
    struct tg_buffer *small = tg_buffer_acquire(&pool, 8192);
    struct tg_buffer *large = tg_buffer_acquire(&pool, 8193);
    cr_assert_eq(small->capacity, 8192);
    cr_assert_eq(large->capacity, TG_RECORD_BYTES_MAX);
    cr_assert_eq(pool.in_use, 2);
    tg_buffer_release(small);
    tg_buffer_release(large);
    cr_assert_eq(pool.in_use, 0);
}

Test(buffer, none_free_is_null_and_kinds_do_not_stand_in_for_each_other)
{
    struct tg_buffer *taken[3];
    for (int i = 0; i < 3; i++) { cr_assert_not_null(taken[i] = tg_buffer_acquire(&pool, 1)); }
    cr_assert_null(tg_buffer_acquire(&pool, 1));
    struct tg_buffer *large = tg_buffer_acquire(&pool, 10000);
    cr_assert_not_null(large);
    cr_assert_null(tg_buffer_acquire(&pool, 10000));
    tg_buffer_release(taken[1]);
    cr_assert_null(tg_buffer_acquire(&pool, 10000), "a standard one came home, not a large one");
    cr_assert_eq(tg_buffer_acquire(&pool, 1), taken[1]);
}

Test(buffer, the_last_holder_gives_it_back)
{
    struct tg_buffer *buffer = tg_buffer_acquire(&pool, 1);
    tg_buffer_retain(buffer);
    tg_buffer_retain(buffer);
    tg_buffer_release(buffer);
    tg_buffer_release(buffer);
    cr_assert_eq(pool.in_use, 1);
    tg_buffer_release(buffer);
    cr_assert_eq(pool.in_use, 0);
}

Test(buffer, a_buffer_comes_back_empty)
{
    struct tg_buffer *buffer = tg_buffer_acquire(&pool, 1);
    buffer->used = 100;
    buffer->scratch_used = 50;
    tg_buffer_release(buffer);
    buffer = tg_buffer_acquire(&pool, 1);
    cr_assert_eq(buffer->used, 0);
    cr_assert_eq(buffer->scratch_used, 0);
    cr_assert_eq(buffer->refs, 1);
}

Test(buffer, every_byte_with_padding_and_scratch_is_its_own)
{
    struct tg_buffer *all[4];
    for (int i = 0; i < 4; i++) {
        all[i] = tg_buffer_acquire(&pool, i < 3 ? 1 : 10000);
        memset(all[i]->data, i + 1, all[i]->capacity + TG_BUFFER_PADDING);
        memset(all[i]->scratch, 0x10 + i, all[i]->capacity);
    }
    for (int i = 0; i < 4; i++) {
        for (uint32_t at = 0; at < all[i]->capacity + TG_BUFFER_PADDING; at++) {
            cr_assert_eq(all[i]->data[at], i + 1);
        }
        for (uint32_t at = 0; at < all[i]->capacity; at++) { cr_assert_eq(all[i]->scratch[at], 0x10 + i); }
    }
}

Test(buffer, a_release_too_many_aborts, .signal = SIGABRT)
{
    struct tg_buffer *buffer = tg_buffer_acquire(&pool, 1);
    tg_buffer_release(buffer);
    tg_buffer_release(buffer);
}

Test(buffer, a_record_beyond_the_limit_aborts, .signal = SIGABRT)
{
    (void)!tg_buffer_acquire(&pool, TG_RECORD_BYTES_MAX + 1);
}

Test(buffer_pool, an_arena_too_small_is_an_error)
{
    struct tg_error err = {0};
    struct tg_arena small;
    struct tg_buffer_pool other;
    cr_assert_eq(tg_arena_open(&small, 20000, &err), TG_OK);
    cr_assert_eq(tg_buffer_pool_init(&other, &config, &small, &err), TG_ERR_IO);
    cr_assert_eq(err.code, TG1601);
    tg_arena_close(&small);
}
