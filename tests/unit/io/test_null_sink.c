/* The null sink's digest against one that puts every row's text together as the definition says. */
#include <stdalign.h>
#include <stdio.h>

#include "io/connectors.h"
#include "io/null/digest.h"
#include "io/value_text.h"
#include "tests/contract/sink_rig.h"
#include "tests/seed.h"

static uint64_t text_hash(const char *text, uint32_t bytes)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint32_t i = 0; i < bytes; i++) { hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3u; }
    hash ^= hash >> 33;
    hash *= 0xff51afd7ed558ccdu;
    hash ^= hash >> 33;
    hash *= 0xc4ceb9fe1a85ec53u;
    return hash ^ (hash >> 33);
}

/* The definition, word by word. */
static uint64_t row_hash(const struct tg_schema *schema, const struct tg_row *row)
{
    static char text[1 << 20];
    uint32_t used = 0;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        char scratch[TG_VALUE_TEXT_BYTES];
        const void *value = tg_row_value(schema, row, i);
        tg_text cell = {.data = "null", .bytes = 4};
        if (i != 0) { text[used++] = ','; }
        if (!tg_row_is_null(schema, row, i)) { cell = tg_value_text(&schema->columns[i], value, scratch); }
        if (!tg_row_is_null(schema, row, i) && schema->columns[i].type == TG_TYPE_TIMESTAMP) {
            const tg_ts ts = *(const tg_ts *)value;
            const int64_t ms = ts >= 0 ? ts / 1000 : -((-ts + 999) / 1000);
            cell = (tg_text){.data = scratch,
                             .bytes = (uint32_t)snprintf(scratch, sizeof scratch, "%lld", (long long)ms)};
        }
        memcpy(text + used, cell.data, cell.bytes);
        used += cell.bytes;
    }
    return text_hash(text, used);
}

Test(null_sink, rows_of_every_type_in_any_order_of_columns_agree_with_the_definition)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    static struct tg_schema made;
    maker_schema(&made);
    for (uint32_t round = 0; round < 300; round++) {
        static struct tg_schema schema;
        static struct tg_digest digest;
        static alignas(16) uint8_t area[2][1024];
        struct tg_arena arena;
        uint32_t columns[MAKER_COLUMNS * 3];
        schema = (struct tg_schema){.name = "shuffled", .column_count = 1 + tg_prng_below(&prng, MAKER_COLUMNS * 3)};
        for (uint32_t i = 0; i < schema.column_count; i++) {
            columns[i] = tg_prng_below(&prng, MAKER_COLUMNS);
            schema.columns[i] = made.columns[columns[i]];
        }
        tg_schema_layout(&schema);
        cr_assert_leq(schema.row_bytes, sizeof area[0]);
        int core_column = -1;
        for (uint32_t i = 0; i < schema.column_count; i++) {
            if (schema.columns[i].type == TG_TYPE_BOOLEAN) { core_column = (int)i; }
        }
        const struct tg_batch_config config = {.schema = &schema, .capacity = 64, .wm_capacity = 1, .has_blob = true};
        cr_assert_eq(tg_arena_open(&arena, tg_batch_bytes(&config), NULL), TG_OK);
        struct tg_batch *batch = tg_batch_create(&config, &arena);
        uint64_t sum = 0;
        uint64_t sum_core = 0;
        uint64_t rows_core = 0;
        for (uint32_t want = tg_prng_below(&prng, 12); want != 0; want--) {
            struct tg_row *from = (struct tg_row *)area[0];
            struct tg_row *row = (struct tg_row *)area[1];
            maker_row(&prng, &made, from, tg_prng_below(&prng, 4096), 1);
            memset(row, 0, schema.row_bytes);
            for (uint32_t i = 0; i < schema.column_count; i++) {
                const uint32_t bytes = tg_type_bytes(schema.columns[i].type);
                memcpy(tg_row_value(&schema, row, i), tg_row_value(&made, from, columns[i]), bytes);
                tg_row_set_null(&schema, row, i, tg_row_is_null(&made, from, columns[i]));
            }
            if (tg_batch_append_copy(batch, row) == NULL) { break; }
            const uint64_t hash = row_hash(&schema, row);
            const bool core = core_column >= 0 && !tg_row_is_null(&schema, row, (uint32_t)core_column) &&
                              !*(const bool *)tg_row_value(&schema, row, (uint32_t)core_column);
            sum += hash;
            sum_core += core ? hash : 0;
            rows_core += core;
        }
        tg_digest_init(&digest, &schema, core_column);
        tg_digest_add(&digest, batch, 0);
        cr_assert_eq(digest.rows, batch->count);
        cr_assert_eq(digest.sum, sum, "seed %" PRIu64 " round %u", seed, round);
        cr_assert_eq(digest.sum_core, sum_core, "seed %" PRIu64 " round %u", seed, round);
        cr_assert_eq(digest.rows_core, rows_core);
        tg_digest_add(&digest, batch, batch->count);
        cr_assert_eq(digest.sum, sum, "no rows, no change");
        tg_arena_close(&arena);
    }
}

/* Days follow each other, with numbers of every size between them: the leading digits that are remembered change, are
 * missed and come again. */
Test(null_sink, numbers_that_share_leading_digits_for_a_while_agree_with_the_definition)
{
    enum { ROWS = 4000, NUMBERS = 6 };
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    static struct tg_schema schema = {.name = "numbers", .column_count = NUMBERS + 1};
    static struct tg_digest digest;
    static alignas(16) uint8_t area[512];
    for (uint32_t i = 0; i <= NUMBERS; i++) {
        schema.columns[i] = (struct tg_column){.name = "n", .type = i % 2 == 0 ? TG_TYPE_TIMESTAMP : TG_TYPE_BIGINT};
    }
    schema.columns[NUMBERS].type = TG_TYPE_BOOLEAN;
    tg_schema_layout(&schema);
    cr_assert_leq(schema.row_bytes, sizeof area);
    struct tg_row *row = (struct tg_row *)area;
    struct tg_arena arena;
    const struct tg_batch_config config = {.schema = &schema, .capacity = 64, .wm_capacity = 1};
    cr_assert_eq(tg_arena_open(&arena, tg_batch_bytes(&config), NULL), TG_OK);
    struct tg_batch *batch = tg_batch_create(&config, &arena);
    tg_digest_init(&digest, &schema, NUMBERS);
    uint64_t sum = 0;
    int64_t day = 0;
    for (uint32_t n = 0; n < ROWS; n++) {
        if (tg_prng_below(&prng, 100) == 0) { day = (int64_t)tg_prng_below(&prng, 30000) * 86400000000; }
        for (uint32_t i = 0; i < NUMBERS; i++) {
            static const int64_t sizes[] = {10, 100, 1000, 100000000, 10000000000, 10000000000000000, INT64_MAX};
            int64_t value = day + (int64_t)tg_prng_below(&prng, 86400000) * 1000;
            if (tg_prng_below(&prng, 50) == 0) { value = (int64_t)(tg_prng_next(&prng) % (uint64_t)sizes[n % 7]); }
            if (tg_prng_below(&prng, 200) == 0) { value = -value; }
            if (i % 2 != 0) { value /= 1000; } /* as many digits as a timestamp shows */
            *(int64_t *)tg_row_value(&schema, row, i) = value;
            tg_row_set_null(&schema, row, i, tg_prng_below(&prng, 300) == 0);
        }
        *(bool *)tg_row_value(&schema, row, NUMBERS) = tg_prng_below(&prng, 2) != 0;
        cr_assert_not_null(tg_batch_append_copy(batch, row));
        sum += row_hash(&schema, row);
        if (batch->count < batch->capacity && tg_prng_below(&prng, 20) != 0) { continue; }
        tg_digest_add(&digest, batch, 0);
        tg_batch_reset(batch);
        cr_assert_eq(digest.sum, sum, "seed %" PRIu64 " row %u", seed, n);
    }
    uint32_t known = 0;
    for (uint32_t i = 0; i < TG_DIGEST_HEADS; i++) { known += digest.heads[i].base != 0; }
    cr_assert_eq(known, TG_DIGEST_HEADS, "the test has reached what it is about");
    tg_arena_close(&arena);
}

Test(null_sink, one_row_by_hand)
{
    static struct tg_schema schema = {
        .name = "counts",
        .column_count = 4,
        .columns = {{.name = "userId", .type = TG_TYPE_TEXT},
                    {.name = "purchaseCount", .type = TG_TYPE_INTEGER},
                    {.name = "eventTimestamp", .type = TG_TYPE_TIMESTAMP},
                    {.name = "isTimeout", .type = TG_TYPE_BOOLEAN}},
    };
    static struct tg_digest digest;
    static alignas(16) uint8_t area[256];
    struct tg_row *row = (struct tg_row *)area;
    struct tg_batch batch = {.schema = &schema, .rows = area, .capacity = 1, .count = 1};
    tg_schema_layout(&schema);
    *(tg_text *)tg_row_value(&schema, row, 0) = maker_text("user_1", 6);
    *(int32_t *)tg_row_value(&schema, row, 1) = -12;
    *(tg_ts *)tg_row_value(&schema, row, 2) = -1; /* floor: a thousandth before 1970 */
    tg_digest_init(&digest, &schema, 3);
    tg_digest_add(&digest, &batch, 0);
    cr_assert_eq(digest.sum, text_hash("user_1,-12,-1,false", 19));
    cr_assert_eq(digest.sum_core, digest.sum);
    const int64_t numbers[] = {0, 9, 10, 99, 100, 99999999, 100000000, 9999999999999999, 10000000000000000, INT64_MAX,
                               INT64_MIN};
    static struct tg_schema one = {.name = "n", .column_count = 1, .columns = {{.name = "n", .type = TG_TYPE_BIGINT}}};
    tg_schema_layout(&one);
    batch.schema = &one;
    for (uint32_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char text[32];
        memset(area, 0, sizeof area);
        *(int64_t *)tg_row_value(&one, row, 0) = numbers[i];
        tg_digest_init(&digest, &one, -1);
        tg_digest_add(&digest, &batch, 0);
        cr_assert_eq(digest.sum, text_hash(text, (uint32_t)snprintf(text, sizeof text, "%lld", (long long)numbers[i])),
                     "%s", text);
    }
}

Test(null_sink, a_wrong_core_column_is_refused_by_name)
{
    static struct rig rig;
    const struct rig_setting missing[] = {{"core_where_false", "noSuchColumn"}, {NULL, NULL}};
    rig_prepare(&rig, &tg_null_sink, 1, false, missing);
    cr_assert_eq(rig.ops->check(&rig.env[0], 0, &rig.error), TG_ERR_CONFIG);
    cr_assert_eq(rig.error.code, TG1102);
    cr_assert_neq(strstr(rig.error.text, "noSuchColumn"), NULL);
    rig_close(&rig);
    const struct rig_setting text[] = {{"core_where_false", "key"}, {NULL, NULL}};
    rig_prepare(&rig, &tg_null_sink, 1, false, text);
    cr_assert_eq(rig.ops->check(&rig.env[0], 0, &rig.error), TG_ERR_CONFIG);
    cr_assert_eq(rig.error.code, TG1103);
    rig_close(&rig);
}
