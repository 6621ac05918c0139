/* Remembered identities against a model that forgets nothing and looks at the rule only. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "base/prng.h"
#include "engine/dedupe.h"
#include "tests/seed.h"

struct sample {
    struct tg_row head;
    tg_text user;
    tg_text id;
    uint8_t nulls[16];
};

static struct tg_source_spec source;
static struct tg_dedupe dedupe;
static struct tg_arena arena;

static void open_set(uint64_t ids_max, tg_us ttl)
{
    source = (struct tg_source_spec){.has_dedupe = true, .dedupe_by = 1, .dedupe_per_count = 1, .dedupe_ttl = ttl};
    source.schema = (struct tg_schema){.name = "tx", .column_count = 2};
    source.schema.columns[0] = (struct tg_column){.name = "user", .type = TG_TYPE_TEXT};
    source.schema.columns[1] = (struct tg_column){.name = "id", .type = TG_TYPE_TEXT};
    tg_schema_layout(&source.schema);
    cr_assert_eq(source.schema.row_bytes, sizeof(struct sample));
    struct tg_error err = {0};
    cr_assert_eq(tg_arena_open(&arena, tg_dedupe_bytes(&source, ids_max, 2) + (64 << 20), &err), TG_OK);
    cr_assert_eq(tg_dedupe_init(&dedupe, &source, ids_max, 2, &arena, &err), TG_OK, "%s", err.text);
    static const uint32_t partitions[] = {3, 8};
    dedupe.partitions = partitions;
}
static void close_set(void) { tg_arena_close(&arena); }

TestSuite(dedupe, .fini = close_set);

static struct sample sample_row(uint32_t user, uint32_t id, int64_t ts, char text[2][16])
{
    (void)snprintf(text[0], 16, "u%u", user);
    (void)snprintf(text[1], 16, "id%u", id);
    struct sample row = {.user = {.data = text[0], .bytes = (uint32_t)strlen(text[0])},
                         .id = {.data = text[1], .bytes = (uint32_t)strlen(text[1])}};
    row.head.ts = ts;
    return row;
}

static enum tg_dedupe_verdict judge(const struct sample *row, uint32_t owned, int64_t wm)
{
    cr_assert(tg_dedupe_begin(&dedupe, &row->head, owned));
    return tg_dedupe_judge(&dedupe, &row->head, owned, wm);
}

Test(dedupe, follows_the_rule_for_any_traffic_and_whenever_it_cleans_up)
{
    enum { USERS = 3, IDS = 20, PARTITIONS = 2 };
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    const tg_us ttl = 1000;
    open_set(10000, ttl);
    int64_t first[PARTITIONS][USERS][IDS];
    bool known[PARTITIONS][USERS][IDS] = {{{false}}};
    int64_t wm[PARTITIONS] = {0};
    uint32_t duplicates = 0;
    for (uint32_t step = 0; step < 50000; step++) {
        const uint32_t p = tg_prng_below(&prng, PARTITIONS);
        wm[p] += tg_prng_below(&prng, 20);
        const int64_t ts = wm[p] + tg_prng_below(&prng, 300) - (int64_t)tg_prng_below(&prng, 100);
        const uint32_t user = tg_prng_below(&prng, USERS);
        const uint32_t id = tg_prng_below(&prng, IDS);
        char text[2][16];
        const struct sample row = sample_row(user, id, ts, text);
        int64_t *before = &first[p][user][id];
        const bool expected = known[p][user][id] && wm[p] <= *before + ttl && ts <= *before + ttl;
        const enum tg_dedupe_verdict verdict = judge(&row, p, wm[p]);
        cr_assert_eq(verdict, expected ? TG_DEDUPE_DUPLICATE : TG_DEDUPE_NEW, "seed %" PRIu64 " step %u", seed, step);
        if (!expected) {
            known[p][user][id] = true;
            *before = ts;
        }
        duplicates += expected;
        if (tg_prng_below(&prng, 50) == 0) {
            tg_dedupe_expire(&dedupe, p, wm[p]);
        } /* when it cleans up must not matter */
    }
    cr_assert_gt(duplicates, 1000);
}

Test(dedupe, forgets_what_the_clock_has_passed)
{
    open_set(1000, 100);
    for (uint32_t i = 0; i < 5000; i++) { /* five times what it may hold */
        char text[2][16];
        const struct sample row = sample_row(0, i, i * 10, text);
        cr_assert_eq(judge(&row, 0, i * 10), TG_DEDUPE_NEW);
        tg_dedupe_expire(&dedupe, 0, i * 10);
    }
    cr_assert_lt(tg_table_count(dedupe.table), 20);
}

Test(dedupe, a_full_set_says_so_and_goes_on_knowing)
{
    open_set(100, 1000000);
    char text[2][16];
    uint32_t placed = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        const struct sample row = sample_row(0, i, 0, text);
        const enum tg_dedupe_verdict verdict = judge(&row, 0, 0);
        cr_assert(verdict == TG_DEDUPE_NEW || verdict == TG_DEDUPE_FULL);
        placed += verdict == TG_DEDUPE_NEW;
    }
    cr_assert_eq(placed, 100);
    const struct sample again = sample_row(0, 5, 0, text);
    cr_assert_eq(judge(&again, 0, 0), TG_DEDUPE_DUPLICATE);
}

Test(dedupe, a_row_without_an_id_is_never_a_duplicate)
{
    open_set(100, 1000000);
    char text[2][16];
    struct sample row = sample_row(0, 1, 0, text);
    tg_row_set_null(&source.schema, &row, 1, true);
    for (uint32_t i = 0; i < 3; i++) { cr_assert_eq(judge(&row, 0, 0), TG_DEDUPE_NEW); }
}
