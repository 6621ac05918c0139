/* The coalescing store of row-per-key sinks, against a model that keeps whole rows. */
#include <criterion/criterion.h>
#include <stdalign.h>

#include "io/row_store.h"
#include "tests/row_maker.h"
#include "tests/seed.h"

static struct tg_schema schema;
static struct tg_arena arena;
static const uint32_t key_columns[] = {MAKER_KEY};

static struct tg_row_store *store_open(uint32_t capacity, size_t text_bytes)
{
    maker_schema(&schema);
    const struct tg_row_store_config config = {&schema, key_columns, 1, capacity, text_bytes};
    cr_assert_eq(tg_arena_open(&arena, tg_row_store_bytes(&config), NULL), TG_OK);
    struct tg_row_store *store = NULL;
    cr_assert_eq(tg_row_store_create(&store, &config, &arena, NULL), TG_OK);
    return store;
}

static alignas(16) uint8_t row_area[1024];
static struct tg_row *row_of(struct tg_prng *prng, uint32_t key, int64_t revision)
{
    maker_row(prng, &schema, (struct tg_row *)row_area, key, revision);
    return (struct tg_row *)row_area;
}

Test(row_store, keeps_the_last_revision_in_the_order_of_first_arrival)
{
    struct tg_prng prng = {1};
    struct tg_row_store *store = store_open(8, 0);
    cr_assert_eq(tg_row_store_put(store, row_of(&prng, 1, 10), 100), TG_ROW_PUT_NEW);
    cr_assert_eq(tg_row_store_put(store, row_of(&prng, 2, 5), 200), TG_ROW_PUT_NEW);
    cr_assert_eq(tg_row_store_put(store, row_of(&prng, 1, 12), 300), TG_ROW_PUT_REPLACED);
    cr_assert_eq(tg_row_store_put(store, row_of(&prng, 1, 12), 400), TG_ROW_PUT_STALE);
    cr_assert_eq(tg_row_store_put(store, row_of(&prng, 1, 3), 500), TG_ROW_PUT_STALE);
    cr_assert_eq(tg_row_store_count(store), 2);
    struct tg_row_entry *entries[8];
    cr_assert_eq(tg_row_store_take(store, entries, 8), 2);
    cr_assert_eq(tg_row_entry_row(entries[0])->revision, 12);
    cr_assert_eq(entries[0]->arrived_ns, 100);
    cr_assert_eq(entries[0]->rows, 4);
    cr_assert_eq(tg_row_entry_row(entries[1])->revision, 5);
    cr_assert_eq(tg_row_store_put(store, row_of(&prng, 1, 4), 600), TG_ROW_PUT_NEW, "a taken key starts again");
    cr_assert_eq(tg_row_entry_row(entries[0])->revision, 12, "a taken entry does not change");
    tg_row_store_release(store, entries[0]);
    tg_row_store_release(store, entries[1]);
    cr_assert_eq(tg_row_store_rows(store), 1);
    tg_row_store_check(store);
    tg_arena_close(&arena);
}

Test(row_store, refuses_beyond_capacity_and_takes_again_after_release)
{
    struct tg_prng prng = {2};
    struct tg_row_store *store = store_open(3, 0);
    for (uint32_t key = 0; key < 3; key++) {
        cr_assert_eq(tg_row_store_put(store, row_of(&prng, key, 1), 1), TG_ROW_PUT_NEW);
    }
    cr_assert_eq(tg_row_store_put(store, row_of(&prng, 3, 1), 1), TG_ROW_PUT_FULL);
    cr_assert_eq(tg_row_store_put(store, row_of(&prng, 2, 2), 1), TG_ROW_PUT_REPLACED, "a waiting key still fits");
    struct tg_row_entry *entry;
    cr_assert_eq(tg_row_store_take(store, &entry, 1), 1);
    cr_assert_eq(tg_row_store_put(store, row_of(&prng, 3, 1), 1), TG_ROW_PUT_FULL, "taken is not released");
    tg_row_store_release(store, entry);
    cr_assert_eq(tg_row_store_put(store, row_of(&prng, 3, 1), 1), TG_ROW_PUT_NEW);
    tg_row_store_check(store);
    tg_arena_close(&arena);
}

Test(row_store, small_texts_never_stay_in_the_way_of_a_long_one)
{
    struct tg_prng prng = {3};
    struct tg_row_store *store = store_open(4096, 0); /* the least: two rows' worth of long texts */
    uint32_t key = 0;
    for (;; key++) {
        struct tg_row *row = row_of(&prng, key, 1);
        *(tg_text *)tg_row_value(&schema, row, MAKER_TEXT) = maker_text(maker_long, 200);
        tg_row_set_null(&schema, row, MAKER_TEXT, false);
        if (tg_row_store_put(store, row, 1) == TG_ROW_PUT_FULL) { break; }
        cr_assert_lt(key, 4095, "the text area should be the limit here");
    }
    struct tg_row *row = row_of(&prng, 0, 2);
    *(tg_text *)tg_row_value(&schema, row, MAKER_TEXT) = maker_text(maker_long, TG_TEXT_BYTES_MAX);
    tg_row_set_null(&schema, row, MAKER_TEXT, false);
    cr_assert_eq(tg_row_store_put(store, row, 1), TG_ROW_PUT_FULL);
    struct tg_row_entry *entry;
    while (tg_row_store_take(store, &entry, 1) != 0) { tg_row_store_release(store, entry); }
    cr_assert_eq(tg_row_store_put(store, row, 1), TG_ROW_PUT_NEW);
    cr_assert_eq(tg_row_store_take(store, &entry, 1), 1);
    cr_assert(maker_equal(&schema, tg_row_entry_row(entry), row));
    tg_arena_close(&arena);
}

Test(row_store, random_operations_agree_with_a_model)
{
    enum { KEYS = 300, CAPACITY = 200, TAKEN = 64, STEPS = 200000 };
    static struct { bool waits; uint64_t order; uint64_t rows; alignas(16) uint8_t row[512]; } model[KEYS];
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    struct tg_row_store *store = store_open(CAPACITY, 1 << 20);
    cr_assert_leq(schema.row_bytes, sizeof model[0].row);
    struct tg_row_entry *taken[CAPACITY];
    uint32_t taken_count = 0;
    uint64_t next_order = 0;
    uint64_t full = 0;
    for (uint32_t step = 0; step < STEPS; step++) {
        const uint32_t dice = tg_prng_below(&prng, 100);
        if (dice < 90) {
            const uint32_t key = tg_prng_below(&prng, KEYS);
            struct tg_row *row = row_of(&prng, key, tg_prng_below(&prng, 1000));
            const struct tg_row *kept = (const struct tg_row *)model[key].row;
            const enum tg_row_put put = tg_row_store_put(store, row, step);
            if (put == TG_ROW_PUT_FULL) { full++; continue; }
            if (!model[key].waits) {
                cr_assert_eq(put, TG_ROW_PUT_NEW, "seed %" PRIu64 " step %u", seed, step);
                model[key].waits = true;
                model[key].order = next_order++;
                model[key].rows = 0;
            } else {
                cr_assert_eq(put, row->revision > kept->revision ? TG_ROW_PUT_REPLACED : TG_ROW_PUT_STALE,
                             "seed %" PRIu64 " step %u", seed, step);
            }
            model[key].rows++;
            if (put != TG_ROW_PUT_STALE) { memcpy(model[key].row, row, schema.row_bytes); }
        } else if (dice < 95) {
            const uint32_t count = tg_row_store_take(store, taken + taken_count, tg_prng_below(&prng, TAKEN));
            for (uint32_t i = 0; i < count; i++) {
                const struct tg_row *row = tg_row_entry_row(taken[taken_count + i]);
                uint32_t oldest = KEYS;
                for (uint32_t key = 0; key < KEYS; key++) {
                    if (model[key].waits && (oldest == KEYS || model[key].order < model[oldest].order)) {
                        oldest = key;
                    }
                }
                cr_assert_lt(oldest, KEYS);
                cr_assert(maker_equal(&schema, row, (const struct tg_row *)model[oldest].row),
                          "seed %" PRIu64 " step %u", seed, step);
                cr_assert_eq(taken[taken_count + i]->rows, model[oldest].rows);
                model[oldest].waits = false;
            }
            taken_count += count;
        } else {
            while (taken_count != 0 && tg_prng_below(&prng, 40) != 0) {
                const uint32_t pick = tg_prng_below(&prng, taken_count);
                tg_row_store_release(store, taken[pick]);
                taken[pick] = taken[--taken_count];
            }
        }
        if (step % 1000 == 0) { tg_row_store_check(store); }
    }
    tg_row_store_check(store);
    cr_assert_gt(full, 0, "the limits were reached");
    tg_arena_close(&arena);
}
