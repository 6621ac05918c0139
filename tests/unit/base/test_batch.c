/* Batches: copied rows own their texts, pinned rows hold the buffer, full is NULL and changes nothing. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/batch.h"
#include "base/prng.h"
#include "tests/seed.h"

static struct tg_arena arena;
static struct tg_buffer_pool pool;
static struct tg_schema schema;
static const struct tg_buffer_pool_config pool_config = {.standard_count = 32, .standard_bytes = 4096};
static uint8_t row_bytes[512] __attribute__((aligned(16)));
static struct tg_row *const row = (struct tg_row *)(void *)row_bytes;

enum { USER, AMOUNT, NOTE };

static void open_all(void)
{
    struct tg_error err = {0};
    cr_assert_eq(tg_arena_open(&arena, 64 << 20, &err), TG_OK);
    cr_assert_eq(tg_buffer_pool_init(&pool, &pool_config, &arena, &err), TG_OK);
    schema = (struct tg_schema){.name = "t",
                                .column_count = 3,
                                .columns = {{.name = "user", .type = TG_TYPE_TEXT},
                                            {.name = "amount", .type = TG_TYPE_NUMERIC, .scale = 2},
                                            {.name = "note", .type = TG_TYPE_JSON}}};
    tg_schema_layout(&schema);
    cr_assert_leq(schema.row_bytes, sizeof row_bytes);
    memset(row_bytes, 0, sizeof row_bytes);
}

static void close_all(void) { tg_arena_close(&arena); }

TestSuite(batch, .init = open_all, .fini = close_all);

static struct tg_batch *create(uint32_t capacity, bool has_blob)
{
    const struct tg_batch_config config = {.schema = &schema, .capacity = capacity, .wm_capacity = 4,
                                           .has_blob = has_blob};
    const size_t before = arena.used_bytes;
    struct tg_batch *batch = tg_batch_create(&config, &arena);
    cr_assert_not_null(batch);
    cr_assert_leq(arena.used_bytes - before, tg_batch_bytes(&config), "the size promised is enough");
    return batch;
}

static void set_text(uint32_t column, const char *data, uint32_t bytes)
{
    tg_row_set_null(&schema, row, column, false);
    *(tg_text *)tg_row_value(&schema, row, column) = (tg_text){.data = data, .bytes = bytes};
}

static const tg_text *text_of(const struct tg_row *of, uint32_t column) { return tg_row_value(&schema, of, column); }

Test(batch, a_copied_row_survives_its_source)
{
    struct tg_batch *batch = create(8, true);
    char user[] = "alice";
    row->ts = 42;
    row->hash = 0xABCDEF;
    set_text(USER, user, 5);
    set_text(NOTE, "{}", 2);
    *(tg_dec *)tg_row_value(&schema, row, AMOUNT) = -7;
    struct tg_row *copy = tg_batch_append_copy(batch, row);
    memset(user, '?', 5);
    memset(row_bytes, 0x55, sizeof row_bytes);
    cr_assert_eq(copy, tg_batch_row(batch, 0));
    cr_assert_eq(copy->ts, 42);
    cr_assert_eq(copy->hash, 0xABCDEF);
    cr_assert(*(tg_dec *)tg_row_value(&schema, copy, AMOUNT) == -7);
    cr_assert_eq(text_of(copy, USER)->bytes, 5);
    cr_assert_eq(memcmp(text_of(copy, USER)->data, "alice", 5), 0);
    cr_assert_eq(memcmp(text_of(copy, NOTE)->data, "{}", 2), 0);
    cr_assert_eq(batch->blob_used, 7);
}

Test(batch, null_texts_are_not_followed_and_empty_ones_may_be_null_pointers)
{
    struct tg_batch *batch = create(8, true);
    set_text(USER, (const char *)(uintptr_t)8, 1000000); /* rubbish behind the null bit */
    tg_row_set_null(&schema, row, USER, true);
    set_text(NOTE, NULL, 0);
    const struct tg_row *copy = tg_batch_append_copy(batch, row);
    cr_assert_not_null(copy);
    cr_assert(tg_row_is_null(&schema, copy, USER));
    cr_assert_eq(text_of(copy, NOTE)->bytes, 0);
    cr_assert_eq(batch->blob_used, 0);
}

Test(batch, the_row_after_the_last_is_refused_without_a_trace)
{
    struct tg_batch *batch = create(3, true);
    set_text(USER, "u", 1);
    set_text(NOTE, "1", 1);
    for (int i = 0; i < 3; i++) { cr_assert_not_null(tg_batch_append_copy(batch, row)); }
    cr_assert_null(tg_batch_append_copy(batch, row));
    cr_assert_eq(batch->count, 3);
    cr_assert_eq(batch->blob_used, 6);
}

Test(batch, a_full_blob_refuses_the_row_and_takes_a_smaller_one)
{
    struct tg_batch *batch = create(1024, true);
    char *big = calloc(1, TG_TEXT_BYTES_MAX);
    cr_assert_eq(batch->blob_capacity, 2 * TG_BATCH_BLOB_BYTES);
    set_text(USER, big, TG_TEXT_BYTES_MAX);
    set_text(NOTE, big, TG_TEXT_BYTES_MAX - 10);
    cr_assert_not_null(tg_batch_append_copy(batch, row), "the largest row there is fits an empty blob");
    set_text(USER, big, 6);
    set_text(NOTE, big, 5);
    cr_assert_null(tg_batch_append_copy(batch, row), "11 bytes do not fit into 10");
    cr_assert_eq(batch->count, 1);
    set_text(NOTE, big, 4);
    cr_assert_not_null(tg_batch_append_copy(batch, row), "10 do");
    cr_assert_eq(batch->blob_used, batch->blob_capacity);
    free(big);
}

Test(batch, a_claimed_row_counts_once_it_is_committed_and_a_refused_one_can_still_be_read)
{
    struct tg_batch *batch = create(8, true);
    struct tg_batch *other = create(8, true);
    char *big = calloc(1, TG_TEXT_BYTES_MAX);
    for (uint32_t bytes = 0; bytes <= 40; bytes++) { /* every length near the ones that are copied without a call */
        char text[40];
        for (uint32_t i = 0; i < bytes; i++) { text[i] = (char)('a' + i); }
        set_text(USER, bytes != 0 ? text : NULL, bytes);
        set_text(NOTE, "{}", 2);
        tg_batch_reset(batch);
        cr_assert_eq(tg_batch_claim(batch), tg_batch_claim(batch), "a claim that is given up leaves no trace");
        memcpy(tg_batch_claim(batch), row, schema.row_bytes);
        cr_assert_eq(batch->count, 0);
        cr_assert(tg_batch_commit(batch));
        memset(text, '?', sizeof text);
        cr_assert_eq(batch->count, 1);
        cr_assert_eq(batch->blob_used, bytes + 2);
        for (uint32_t i = 0; i < bytes; i++) {
            cr_assert_eq(text_of(tg_batch_row(batch, 0), USER)->data[i], (char)('a' + i));
        }
    }
    memset(big, 'x', TG_TEXT_BYTES_MAX);
    set_text(USER, big, TG_TEXT_BYTES_MAX);
    set_text(NOTE, big, TG_TEXT_BYTES_MAX);
    const uint32_t used = batch->blob_used;
    memcpy(tg_batch_claim(batch), row, schema.row_bytes);
    cr_assert_not(tg_batch_commit(batch));
    cr_assert_eq(batch->count, 1);
    cr_assert_eq(batch->blob_used, used);
    cr_assert_not_null(tg_batch_append_copy(other, tg_batch_claim(batch)));
    cr_assert_eq(memcmp(text_of(tg_batch_row(other, 0), USER)->data, big, TG_TEXT_BYTES_MAX), 0);
    cr_assert_eq(memcmp(text_of(tg_batch_row(other, 0), NOTE)->data, big, TG_TEXT_BYTES_MAX), 0);
    free(big);
}

Test(batch, pins_hold_each_buffer_once_and_reset_lets_go)
{
    struct tg_batch *batch = create(8, false);
    struct tg_buffer *one = tg_buffer_acquire(&pool, 1);
    struct tg_buffer *two = tg_buffer_acquire(&pool, 1);
    memcpy(one->data, "bob", 3);
    set_text(USER, (const char *)one->data, 3);
    tg_row_set_null(&schema, row, NOTE, true);
    for (int i = 0; i < 3; i++) { cr_assert_not_null(tg_batch_append_pinned(batch, row, one)); }
    cr_assert_not_null(tg_batch_append_pinned(batch, row, two));
    cr_assert_eq(one->refs, 2);
    cr_assert_eq(two->refs, 2);
    cr_assert_eq(batch->pin_count, 2);
    cr_assert_eq(text_of(tg_batch_row(batch, 2), USER)->data, (const char *)one->data, "nothing was copied");
    tg_buffer_release(one);
    tg_buffer_release(two);
    cr_assert_eq(pool.in_use, 2, "the batch still holds both");
    batch->wm_count = 1;
    batch->flags = TG_BATCH_END;
    batch->arrived_ns = 9;
    tg_batch_reset(batch);
    cr_assert_eq(pool.in_use, 0);
    cr_assert_eq(batch->count + batch->pin_count + batch->wm_count + batch->flags + batch->blob_used, 0);
    cr_assert_eq(batch->arrived_ns, 0);
}

Test(batch, more_buffers_than_pins_close_the_batch)
{
    struct tg_batch *batch = create(1024, false);
    struct tg_buffer *buffer = NULL;
    tg_row_set_null(&schema, row, USER, true);
    tg_row_set_null(&schema, row, NOTE, true);
    for (int i = 0; i < TG_BATCH_PINS_MAX; i++) {
        buffer = tg_buffer_acquire(&pool, 1);
        cr_assert_not_null(tg_batch_append_pinned(batch, row, buffer));
    }
    struct tg_buffer *other = tg_buffer_acquire(&pool, 1);
    cr_assert_null(tg_batch_append_pinned(batch, row, other));
    cr_assert_eq(other->refs, 1);
    cr_assert_eq(batch->count, TG_BATCH_PINS_MAX);
    cr_assert_not_null(tg_batch_append_pinned(batch, row, buffer), "the newest buffer is pinned already");
}

Test(batch, capacity_outside_the_limits_aborts, .signal = SIGABRT)
{
    const struct tg_batch_config config = {.schema = &schema, .capacity = TG_BATCH_ROWS_MAX + 1, .wm_capacity = 1};
    (void)!tg_batch_create(&config, &arena);
}

Test(batch, a_spent_arena_gives_null)
{
    struct tg_error err = {0};
    struct tg_arena small;
    const struct tg_batch_config config = {.schema = &schema, .capacity = 1024, .wm_capacity = 1, .has_blob = true};
    cr_assert_eq(tg_arena_open(&small, 8192, &err), TG_OK);
    cr_assert_null(tg_batch_create(&config, &small));
    tg_arena_close(&small);
}

Test(batch, random_fills_keep_every_text_until_reset)
{
    enum { ROUNDS = 200, TEXT_MAX = 3000 };
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    struct tg_batch *batch = create(64, true);
    char text[TEXT_MAX];
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t lengths[64][2];
        uint32_t rows = 0;
        uint64_t blob = 0;
        while (true) {
            for (uint32_t column = 0; column < 2; column++) {
                lengths[rows & 63][column] = tg_prng_below(&prng, TEXT_MAX);
            }
            memset(text, (int)(rows + 1), sizeof text);
            set_text(USER, text, lengths[rows & 63][0]);
            set_text(NOTE, text, lengths[rows & 63][1]);
            const uint64_t need = (uint64_t)lengths[rows & 63][0] + lengths[rows & 63][1];
            const bool fits = rows < 64 && blob + need <= batch->blob_capacity;
            cr_assert_eq(tg_batch_append_copy(batch, row) != NULL, fits, "seed %" PRIu64 " round %u", seed, round);
            if (!fits) { break; }
            rows++;
            blob += need;
        }
        cr_assert_eq(batch->count, rows);
        cr_assert_eq(batch->blob_used, blob);
        for (uint32_t i = 0; i < rows; i++) {
            static const uint32_t columns[2] = {USER, NOTE};
            for (uint32_t k = 0; k < 2; k++) {
                const tg_text *got = text_of(tg_batch_row(batch, i), columns[k]);
                cr_assert_eq(got->bytes, lengths[i][k]);
                for (uint32_t at = 0; at < got->bytes; at++) {
                    cr_assert_eq((uint8_t)got->data[at], i + 1, "seed %" PRIu64 " round %u row %u", seed, round, i);
                }
            }
        }
        tg_batch_reset(batch);
    }
}
