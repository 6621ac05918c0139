/* Arena: alignment, zeroed memory, the hard end of a reservation, the seal. */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "base/arena.h"

static struct tg_arena arena;

static void open_small(void)
{
    struct tg_error err = {0};
    cr_assert_eq(tg_arena_open(&arena, 1 << 20, &err), TG_OK, "%s", err.text);
}

static void close_it(void) { tg_arena_close(&arena); }

TestSuite(arena, .init = open_small, .fini = close_it);

Test(arena, blocks_are_aligned_zeroed_and_apart)
{
    uint8_t *last_end = arena.base;
    for (size_t align = 1; align <= 4096; align *= 2) {
        uint8_t *block = tg_arena_alloc(&arena, 33, align);
        cr_assert_not_null(block);
        cr_assert_eq((uintptr_t)block % align, 0, "align %zu", align);
        cr_assert_geq(block, last_end);
        for (int i = 0; i < 33; i++) { cr_assert_eq(block[i], 0); }
        memset(block, 0xFF, 33);
        last_end = block + 33;
    }
}

Test(arena, the_whole_reservation_can_be_used_and_not_a_byte_more)
{
    cr_assert_not_null(tg_arena_alloc(&arena, (1 << 20) - 1, 1));
    cr_assert_null(tg_arena_alloc(&arena, 2, 1));
    cr_assert_not_null(tg_arena_alloc(&arena, 1, 1));
    cr_assert_null(tg_arena_alloc(&arena, 1, 1));
    cr_assert_eq(arena.used_bytes, arena.reserved_bytes);
}

Test(arena, a_size_that_would_wrap_is_refused)
{
    cr_assert_not_null(tg_arena_alloc(&arena, 100, 1));
    cr_assert_null(tg_arena_alloc(&arena, SIZE_MAX - 10, 1));
    cr_assert_null(tg_arena_alloc(&arena, SIZE_MAX, 4096));
}

Test(arena, alignment_padding_at_the_end_does_not_pass_the_end)
{
    cr_assert_not_null(tg_arena_alloc(&arena, (1 << 20) - 7, 1));
    cr_assert_null(tg_arena_alloc(&arena, 1, 4096));
    cr_assert_not_null(tg_arena_alloc(&arena, 7, 1));
}

Test(arena, strings_are_copied_with_their_end)
{
    char text[] = "wallets";
    char *copy = tg_arena_strdup(&arena, text);
    text[0] = 'W';
    cr_assert_str_eq(copy, "wallets");
    cr_assert_str_eq(tg_arena_strdup(&arena, ""), "");
}

Test(arena, allocation_after_the_seal_aborts, .signal = SIGABRT)
{
    tg_arena_seal(&arena);
    (void)!tg_arena_alloc(&arena, 1, 1);
}

Test(arena, an_alignment_that_is_no_power_of_two_aborts, .signal = SIGABRT) { (void)!tg_arena_alloc(&arena, 1, 24); }

Test(arena, closing_twice_is_harmless)
{
    tg_arena_close(&arena);
    cr_assert_null(arena.base);
    tg_arena_close(&arena);
}

Test(arena_open, an_impossible_reservation_names_the_operating_system)
{
    struct tg_arena big;
    struct tg_error err = {0};
    cr_assert_eq(tg_arena_open(&big, SIZE_MAX / 2, &err), TG_ERR_IO);
    cr_assert_eq(err.code, TG1601);
    cr_assert_neq(err.os_errno, 0);
}
