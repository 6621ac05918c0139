/* Schema: offsets, alignment, null bitmap, row stride, names. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "base/schema.h"
#include "tests/seed.h"

Test(schema, layout_of_a_mixed_row_is_what_the_header_says)
{
    struct tg_schema schema = {.name = "mixed",
                               .column_count = 6,
                               .columns = {{.name = "flag", .type = TG_TYPE_BOOLEAN},
                                           {.name = "day", .type = TG_TYPE_DATE},
                                           {.name = "user", .type = TG_TYPE_TEXT},
                                           {.name = "n", .type = TG_TYPE_INTEGER},
                                           {.name = "sum", .type = TG_TYPE_NUMERIC, .precision = 38, .scale = 2},
                                           {.name = "at", .type = TG_TYPE_TIMESTAMP}}};
    tg_schema_layout(&schema);
    static const uint32_t offsets[] = {48, 52, 56, 72, 80, 96};
    for (uint32_t i = 0; i < 6; i++) { cr_assert_eq(schema.columns[i].offset, offsets[i], "column %u", i); }
    cr_assert_eq(schema.nulls_offset, 104);
    cr_assert_eq(schema.row_bytes, 112);
    cr_assert_eq(schema.text_count, 1);
    tg_schema_layout(&schema);
    cr_assert_eq(schema.text_count, 1, "laying out twice counts once");
}

Test(schema, a_row_without_columns_is_its_head)
{
    struct tg_schema schema = {.name = "empty"};
    tg_schema_layout(&schema);
    cr_assert_eq(schema.row_bytes, sizeof(struct tg_row));
    cr_assert_eq(tg_schema_find(&schema, "x"), -1);
}

Test(schema, names_are_found_exactly)
{
    struct tg_schema schema = {.column_count = 3, .columns = {{.name = "user"}, {.name = "user_id"}, {.name = "User"}}};
    cr_assert_eq(tg_schema_find(&schema, "user"), 0);
    cr_assert_eq(tg_schema_find(&schema, "user_id"), 1);
    cr_assert_eq(tg_schema_find(&schema, "User"), 2);
    cr_assert_eq(tg_schema_find(&schema, "use"), -1);
    cr_assert_eq(tg_schema_find(&schema, ""), -1);
}

Test(schema, type_names_are_the_job_files_words)
{
    static const char *const names[] = {"text", "bigint", "integer", "boolean", "timestamp", "date", "numeric", "enum",
                                        "json"};
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        cr_assert_str_eq(tg_type_name((enum tg_type)(TG_TYPE_TEXT + i)), names[i]);
    }
    cr_assert_str_eq(tg_type_name((enum tg_type)0), "?");
    cr_assert_str_eq(tg_type_name((enum tg_type)99), "?");
}

Test(schema, random_layouts_never_overlap_and_null_bits_are_apart)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    for (uint32_t round = 0; round < 2000; round++) {
        struct tg_schema schema = {.name = "random", .column_count = tg_prng_below(&prng, TG_COLUMNS_MAX + 1)};
        uint8_t owner[4096];
        memset(owner, 0xFF, sizeof owner);
        memset(owner, 0xFE, sizeof(struct tg_row));
        for (uint32_t i = 0; i < schema.column_count; i++) {
            schema.columns[i].type = (enum tg_type)(1 + tg_prng_below(&prng, TG_TYPE_JSON));
        }
        tg_schema_layout(&schema);
        cr_assert_eq(schema.row_bytes % 16, 0);
        cr_assert_leq(schema.nulls_offset + (schema.column_count + 7) / 8, schema.row_bytes);
        for (uint32_t i = 0; i < schema.column_count; i++) {
            const struct tg_column *column = &schema.columns[i];
            cr_assert_eq(column->offset % tg_type_align(column->type), 0, "seed %" PRIu64 " round %u", seed, round);
            cr_assert_leq(column->offset + tg_type_bytes(column->type), schema.nulls_offset);
            for (uint32_t at = 0; at < tg_type_bytes(column->type); at++) {
                cr_assert_eq(owner[column->offset + at], 0xFF, "seed %" PRIu64 " round %u column %u", seed, round, i);
                owner[column->offset + at] = (uint8_t)i;
            }
        }
        uint64_t model = 0;
        uint8_t row[4096] = {0};
        for (uint32_t step = 0; step < 100 && schema.column_count != 0; step++) {
            const uint32_t column = tg_prng_below(&prng, schema.column_count);
            const bool null = tg_prng_below(&prng, 2) == 0;
            tg_row_set_null(&schema, row, column, null);
            model = null ? model | UINT64_C(1) << column : model & ~(UINT64_C(1) << column);
            for (uint32_t i = 0; i < schema.column_count; i++) {
                cr_assert_eq(tg_row_is_null(&schema, row, i), (model >> i & 1) != 0, "seed %" PRIu64 " round %u", seed,
                             round);
            }
        }
    }
}
