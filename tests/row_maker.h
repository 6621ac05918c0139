/* Rows of every type for tests: one schema, random values with the corner cases in (null, empty, quotes, control bytes,
 * several scripts, 64 KiB), and comparison by column. Include after criterion.h. */
#ifndef TG_TESTS_ROW_MAKER_H
#define TG_TESTS_ROW_MAKER_H

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/prng.h"
#include "base/schema.h"

enum { MAKER_KEY, MAKER_BIGINT, MAKER_INTEGER, MAKER_BOOLEAN, MAKER_TIMESTAMP, MAKER_DATE, MAKER_NUMERIC, MAKER_ENUM,
       MAKER_JSON, MAKER_TEXT, MAKER_COLUMNS };

static const char *const maker_enum[] = {"view", "click", "add \"to\" cart"};
static char maker_long[TG_TEXT_BYTES_MAX];
static char maker_keys[4096][32];

static inline void maker_schema(struct tg_schema *schema)
{
    *schema = (struct tg_schema){
        .name = "every_type",
        .column_count = MAKER_COLUMNS,
        .columns = {{.name = "key", .type = TG_TYPE_TEXT},
                    {.name = "aBigint", .type = TG_TYPE_BIGINT},
                    {.name = "anInteger", .type = TG_TYPE_INTEGER},
                    {.name = "aBoolean", .type = TG_TYPE_BOOLEAN},
                    {.name = "aTimestamp", .type = TG_TYPE_TIMESTAMP},
                    {.name = "aDate", .type = TG_TYPE_DATE},
                    {.name = "aNumeric", .type = TG_TYPE_NUMERIC, .precision = 38, .scale = 2},
                    {.name = "anEnum", .type = TG_TYPE_ENUM, .enum_count = 3, .enum_values = maker_enum},
                    {.name = "aJson", .type = TG_TYPE_JSON},
                    {.name = "order", .type = TG_TYPE_TEXT}}, /* a word of SQL: names must be quoted */
    };
    tg_schema_layout(schema);
    memset(maker_long, 'x', sizeof maker_long);
    for (uint32_t i = 0; i < 4096; i++) {
        (void)snprintf(maker_keys[i], sizeof maker_keys[i],
                       i % 3 == 0 ? "k%u" : i % 3 == 1 ? "schl\xc3\xbcssel-%u" : "%u", i);
    }
}

static inline tg_text maker_text(const char *text, uint32_t bytes) { return (tg_text){.data = text, .bytes = bytes}; }

static inline tg_text maker_random_text(struct tg_prng *prng, bool may_be_long)
{
#define MAKER_LITERAL(text) {.data = (text), .bytes = sizeof(text) - 1}
    static const tg_text texts[] = {
        MAKER_LITERAL(""),
        MAKER_LITERAL("plain"),
        MAKER_LITERAL("quote\" back\\slash / tab\t newline\n cr\r"),
        MAKER_LITERAL("nul \0 inside"),
        MAKER_LITERAL("\x01\x1f\x7f"),
        MAKER_LITERAL("gr\xc3\xbc\xc3\x9f"),
        MAKER_LITERAL("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"),
        MAKER_LITERAL("\xf0\x9f\x98\x80 ok"),
        MAKER_LITERAL("it's; DROP TABLE x --"),
    };
#undef MAKER_LITERAL
    const uint32_t pick = tg_prng_below(prng, 64);
    if (may_be_long && pick == 0) { return maker_text(maker_long, TG_TEXT_BYTES_MAX); }
    if (may_be_long && pick < 4) { return maker_text(maker_long, tg_prng_below(prng, 5000)); }
    return texts[tg_prng_below(prng, sizeof texts / sizeof texts[0])];
}

/* A value from the middle of the range or one of its ends. */
static inline int64_t maker_i64(struct tg_prng *prng, int64_t min, int64_t max)
{
    switch (tg_prng_below(prng, 8)) {
    case 0: return min;
    case 1: return max;
    case 2: return 0;
    case 3: return -1;
    default: return (int64_t)(tg_prng_next(prng) % 2000000) - 1000000;
    }
}

/* Fill `row` (schema->row_bytes, at least 16-byte aligned): key number `key`, revision as given, the rest random. */
static inline void maker_row(struct tg_prng *prng, const struct tg_schema *schema, struct tg_row *row, uint32_t key,
                             int64_t revision)
{
    memset(row, 0, schema->row_bytes);
    row->revision = revision;
    row->ts = 1700000000000000 + revision;
    row->flags = tg_prng_below(prng, 4) == 0 ? TG_ROW_FINAL : 0;
    *(tg_text *)tg_row_value(schema, row, MAKER_KEY) = maker_text(maker_keys[key], (uint32_t)strlen(maker_keys[key]));
    *(int64_t *)tg_row_value(schema, row, MAKER_BIGINT) = maker_i64(prng, INT64_MIN, INT64_MAX);
    *(int32_t *)tg_row_value(schema, row, MAKER_INTEGER) = (int32_t)maker_i64(prng, INT32_MIN, INT32_MAX);
    *(bool *)tg_row_value(schema, row, MAKER_BOOLEAN) = tg_prng_below(prng, 2) != 0;
    /* years 0001 to 9999: what RFC 3339 can say */
    *(tg_ts *)tg_row_value(schema, row, MAKER_TIMESTAMP) = maker_i64(prng, -62135596800000000, 253402300799999999);
    *(tg_date *)tg_row_value(schema, row, MAKER_DATE) = (tg_date)maker_i64(prng, -719162, 2932896);
    *(tg_dec *)tg_row_value(schema, row, MAKER_NUMERIC) = (tg_dec)maker_i64(prng, INT64_MIN, INT64_MAX);
    *(int32_t *)tg_row_value(schema, row, MAKER_ENUM) = (int32_t)tg_prng_below(prng, 3);
    *(tg_text *)tg_row_value(schema, row, MAKER_JSON) =
        tg_prng_below(prng, 2) != 0 ? maker_text("[1,{\"a\":null}]", 14) : maker_text("\"\"", 2);
    *(tg_text *)tg_row_value(schema, row, MAKER_TEXT) = maker_random_text(prng, true);
    for (uint32_t column = MAKER_KEY + 1; column < MAKER_COLUMNS; column++) {
        if (tg_prng_below(prng, 8) != 0) { continue; }
        tg_row_set_null(schema, row, column, true);
        memset(tg_row_value(schema, row, column), 0, tg_type_bytes(schema->columns[column].type));
    }
}

/* Same columns and revision. */
static inline bool maker_equal(const struct tg_schema *schema, const struct tg_row *a, const struct tg_row *b)
{
    if (a->revision != b->revision || a->flags != b->flags) { return false; }
    for (uint32_t column = 0; column < schema->column_count; column++) {
        const bool null = tg_row_is_null(schema, a, column);
        if (null != tg_row_is_null(schema, b, column)) { return false; }
        if (null) { continue; }
        const enum tg_type type = schema->columns[column].type;
        const void *value_a = tg_row_value(schema, a, column);
        const void *value_b = tg_row_value(schema, b, column);
        if (type == TG_TYPE_TEXT || type == TG_TYPE_JSON) {
            const tg_text *text_a = value_a;
            const tg_text *text_b = value_b;
            if (text_a->bytes != text_b->bytes || memcmp(text_a->data, text_b->data, text_a->bytes) != 0) {
                return false;
            }
        } else if (memcmp(value_a, value_b, tg_type_bytes(type)) != 0) {
            return false;
        }
    }
    return true;
}

#endif
