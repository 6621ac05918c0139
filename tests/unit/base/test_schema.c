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

Test(schema, a_row_is_shortened_at_whole_characters_and_says_how_long_it_was)
{
    enum { RAW, BASE64, LENGTH, OTHER };
    struct tg_schema schema = {.column_count = 4,
                               .columns = {{.name = "raw", .type = TG_TYPE_TEXT, .shorten = TG_SHORTEN_TEXT},
                                           {.name = "base64", .type = TG_TYPE_TEXT, .shorten = TG_SHORTEN_BASE64},
                                           {.name = "length", .type = TG_TYPE_BIGINT, .shorten = TG_SHORTEN_LENGTH},
                                           {.name = "other", .type = TG_TYPE_TEXT}}};
    tg_schema_layout(&schema);
    static char text[3 * TG_SHORTEN_BYTES];
    _Alignas(16) uint8_t rows[2][256];
    struct tg_row *row = (struct tg_row *)rows[0];
    struct tg_row *copy = (struct tg_row *)rows[1];
    for (uint32_t lead = 0; lead < 3; lead++) { /* snowmen of three bytes across the cut, in each position */
        memset(text, 'x', sizeof text);
        for (uint32_t i = lead; i + 3 <= sizeof text; i += 3) { memcpy(text + i, "\xe2\x98\x83", 3); }
        memset(rows, 0, sizeof rows);
        tg_row_set_null(&schema, row, BASE64, true);
        tg_row_set_null(&schema, row, LENGTH, true);
        *(tg_text *)tg_row_value(&schema, row, RAW) = (tg_text){.data = text, .bytes = sizeof text};
        *(tg_text *)tg_row_value(&schema, row, OTHER) = (tg_text){.data = text, .bytes = sizeof text};
        cr_assert(tg_row_shorten(&schema, row, copy));
        const tg_text *kept = tg_row_value(&schema, copy, RAW);
        cr_assert(kept->bytes <= TG_SHORTEN_BYTES && kept->bytes > TG_SHORTEN_BYTES - 3);
        cr_assert_eq((kept->bytes - lead) % 3, 0, "lead %u: cut within a character", lead);
        cr_assert_eq(*(int64_t *)tg_row_value(&schema, copy, LENGTH), (int64_t)sizeof text);
        cr_assert_not(tg_row_is_null(&schema, copy, LENGTH));
        cr_assert_eq(((tg_text *)tg_row_value(&schema, copy, OTHER))->bytes, sizeof text, "nothing else is touched");
        cr_assert_eq(((tg_text *)tg_row_value(&schema, row, RAW))->bytes, sizeof text, "the row itself is not");
    }
    tg_row_set_null(&schema, row, RAW, true);
    tg_row_set_null(&schema, row, BASE64, false);
    for (uint32_t padding = 0; padding < 3; padding++) {
        memset(text, 'A', sizeof text);
        memset(text + sizeof text - padding, '=', padding);
        *(tg_text *)tg_row_value(&schema, row, BASE64) = (tg_text){.data = text, .bytes = sizeof text};
        cr_assert(tg_row_shorten(&schema, row, copy));
        cr_assert_eq(((tg_text *)tg_row_value(&schema, copy, BASE64))->bytes, TG_SHORTEN_BYTES / 3 * 4);
        cr_assert_eq(*(int64_t *)tg_row_value(&schema, copy, LENGTH), (int64_t)(sizeof text / 4 * 3 - padding));
    }
    ((tg_text *)tg_row_value(&schema, row, BASE64))->bytes = 8;
    cr_assert_not(tg_row_shorten(&schema, row, copy), "short enough as it is");
}
