/* JSON text: escapes, every column type, overflow that leaves whole pieces, base64. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/prng.h"
#include "tests/seed.h"

static char area[65536];
static struct tg_writer writer;

static void fresh(void) { writer = (struct tg_writer){.data = area, .capacity = sizeof area}; }

static const char *text(void)
{
    cr_assert(!writer.overflow);
    area[writer.used] = '\0';
    return area;
}

TestSuite(json_text, .init = fresh);

Test(json_text, integers_to_both_ends)
{
    static const int64_t values[] = {0, 7, -7, 10, 99, 100, -100, INT32_MAX, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char expected[32];
        fresh();
        (void)snprintf(expected, sizeof expected, "%" PRId64, values[i]);
        tg_write_i64(&writer, values[i]);
        cr_assert_str_eq(text(), expected);
    }
}

Test(json_text, strings_escape_what_must_be_and_nothing_else)
{
    static const struct {
        const char *plain;
        const char *json;
    } table[] = {
        {"", "\"\""},
        {"alice", "\"alice\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"back\\slash", "\"back\\\\slash\""},
        {"a/b", "\"a/b\""},
        {"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
        {"\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\""},
        {"서울 é \xF0\x9F\x98\x80", "\"서울 é \xF0\x9F\x98\x80\""},
        {"12345678\"", "\"12345678\\\"\""},
        {"1234567\"9abcdef\\", "\"1234567\\\"9abcdef\\\\\""},
        {"\xC2\x80\xDF\xBF\xE2\x80\xA8", "\"\xC2\x80\xDF\xBF\xE2\x80\xA8\""},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        fresh();
        tg_write_json_string(&writer, table[i].plain, (uint32_t)strlen(table[i].plain));
        cr_assert_str_eq(text(), table[i].json);
    }
    fresh();
    tg_write_json_string(&writer, "a\0b", 3);
    cr_assert_str_eq(text(), "\"a\\u0000b\"");
    fresh();
    tg_write_json_string(&writer, NULL, 0);
    cr_assert_str_eq(text(), "\"\"");
}

static uint32_t model_string(const char *plain, uint32_t bytes, char *out)
{
    uint32_t used = 0;
    out[used++] = '"';
    for (uint32_t i = 0; i < bytes; i++) {
        const unsigned char c = (unsigned char)plain[i];
        const char *names = "\"\"\\\\\bb\ff\nn\rr\tt";
        const char *found = NULL;
        for (int k = 0; k < 14; k += 2) {
            if ((unsigned char)names[k] == c) { found = names + k; }
        }
        if (found != NULL) {
            out[used++] = '\\';
            out[used++] = found[1];
        } else if (c < 0x20) {
            used += (uint32_t)snprintf(out + used, 8, "\\u%04x", c);
        } else {
            out[used++] = (char)c;
        }
    }
    out[used++] = '"';
    return used;
}

Test(json_text, random_strings_agree_with_the_model_and_overflow_leaves_nothing)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    for (uint32_t round = 0; round < 100000; round++) {
        const uint32_t bytes = tg_prng_below(&prng, 70);
        const uint32_t rare = 1 + tg_prng_below(&prng, 30);
        char *plain = malloc(bytes + 1);
        char expected[512];
        for (uint32_t i = 0; i < bytes; i++) {
            const uint32_t letter = 'a' + tg_prng_below(&prng, 26);
            plain[i] = (char)(tg_prng_below(&prng, rare) == 0 ? tg_prng_below(&prng, 256) : letter);
        }
        char *exact = malloc(bytes + 1);
        memcpy(exact, plain, bytes);
        const uint32_t need = model_string(plain, bytes, expected);
        char *room = malloc(need);
        struct tg_writer tight = {.data = room, .capacity = need};
        tg_write_json_string(&tight, exact, bytes);
        cr_assert(!tight.overflow && tight.used == need, "seed %" PRIu64 " round %u", seed, round);
        cr_assert_eq(memcmp(room, expected, need), 0, "seed %" PRIu64 " round %u", seed, round);
        struct tg_writer short_by_one = {.data = room, .capacity = need - 1};
        tg_write_json_string(&short_by_one, exact, bytes);
        cr_assert(short_by_one.overflow && short_by_one.used == 0, "seed %" PRIu64 " round %u", seed, round);
        free(room);
        free(exact);
        free(plain);
    }
}

Test(json_text, after_an_overflow_nothing_is_written)
{
    struct tg_writer small = {.data = area, .capacity = 5};
    tg_write_cstr(&small, "abc");
    tg_write_cstr(&small, "def");
    cr_assert(small.overflow);
    cr_assert_eq(small.used, 3);
    tg_write_cstr(&small, "x");
    tg_write_i64(&small, 1);
    tg_write_json_string(&small, "", 0);
    tg_write_base64(&small, (const uint8_t *)"", 0);
    cr_assert_eq(small.used, 3);
    small = (struct tg_writer){.data = area, .capacity = 3};
    tg_write_i64(&small, -100);
    cr_assert(small.overflow && small.used == 0);
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static const char *const kinds[] = {"view", "add \"x\""};
static struct tg_schema schema;
static union {
    struct tg_row head;
    uint8_t bytes[1024];
} row;

static void put(const char *name, const void *value, bool null)
{
    const int column = tg_schema_find(&schema, name);
    cr_assert_geq(column, 0);
    tg_row_set_null(&schema, &row, (uint32_t)column, null);
    memcpy(tg_row_value(&schema, &row, (uint32_t)column), value, tg_type_bytes(schema.columns[column].type));
}

static void build(void)
{
    schema = (struct tg_schema){.name = "all",
                                .column_count = 9,
                                .columns = {{.name = "user", .type = TG_TYPE_TEXT},
                                            {.name = "n", .type = TG_TYPE_BIGINT},
                                            {.name = "i", .type = TG_TYPE_INTEGER},
                                            {.name = "ok", .type = TG_TYPE_BOOLEAN},
                                            {.name = "at", .type = TG_TYPE_TIMESTAMP},
                                            {.name = "day", .type = TG_TYPE_DATE},
                                            {.name = "sum", .type = TG_TYPE_NUMERIC, .precision = 38, .scale = 2},
                                            {.name = "kind \"k\"", .type = TG_TYPE_ENUM, .enum_values = kinds,
                                             .enum_count = 2},
                                            {.name = "top", .type = TG_TYPE_JSON}}};
    tg_schema_layout(&schema);
    const tg_text user = {.data = "al\"ice", .bytes = 6};
    const tg_text top = {.data = "[{\"a\":1}]", .bytes = 9};
    put("user", &user, false);
    put("n", &(int64_t){INT64_MIN}, false);
    put("i", &(int32_t){-5}, false);
    put("ok", &(bool){true}, false);
    put("at", &(tg_ts){1715421600123000}, false);
    put("day", &(tg_date){19854}, false);
    put("sum", &(tg_dec){-5}, false);
    put("kind \"k\"", &(int32_t){1}, false);
    put("top", &top, false);
}

#define ALL_MEMBERS \
    "{\"user\":\"al\\\"ice\",\"n\":-9223372036854775808,\"i\":-5,\"ok\":true," \
    "\"at\":\"2024-05-11T10:00:00.123Z\",\"day\":\"2024-05-11\"," \
    "\"sum\":\"-0.05\",\"kind \\\"k\\\"\":\"add \\\"x\\\"\",\"top\":[{\"a\":1}]"

Test(json_text, every_type_in_one_row)
{
    build();
    tg_write_json_row(&writer, &schema, &row, false);
    cr_assert_str_eq(text(), ALL_MEMBERS "}");
}

Test(json_text, revision_and_final_come_last)
{
    build();
    row.head.revision = 17;
    row.head.flags = TG_ROW_FINAL;
    tg_write_json_row(&writer, &schema, &row, true);
    cr_assert_str_eq(text(), ALL_MEMBERS ",\"_revision\":17,\"_final\":true}");
    fresh();
    row.head.flags = 0;
    schema.column_count = 0;
    tg_write_json_row(&writer, &schema, &row, true);
    cr_assert_str_eq(text(), "{\"_revision\":17,\"_final\":false}");
    fresh();
    tg_write_json_row(&writer, &schema, &row, false);
    cr_assert_str_eq(text(), "{}");
}

Test(json_text, null_is_null_whatever_lies_beneath)
{
    build();
    for (uint32_t i = 0; i < schema.column_count; i++) {
        memset(tg_row_value(&schema, &row, i), 0xFF, tg_type_bytes(schema.columns[i].type));
        tg_row_set_null(&schema, &row, i, true);
        fresh();
        tg_write_json_value(&writer, &schema, &row, i);
        cr_assert_str_eq(text(), "null");
    }
}

Test(json_text, columns_marked_so_are_left_out_when_null)
{
    build();
    for (uint32_t i = 0; i < schema.column_count; i++) {
        schema.columns[i].omit_null = i != 3;
        tg_row_set_null(&schema, &row, i, true);
    }
    tg_write_json_row(&writer, &schema, &row, false);
    cr_assert_str_eq(text(), "{\"ok\":null}");
    fresh();
    schema.columns[3].omit_null = true;
    tg_write_json_row(&writer, &schema, &row, false);
    cr_assert_str_eq(text(), "{}");
    fresh();
    row.head.revision = -1;
    row.head.flags = 0;
    tg_write_json_row(&writer, &schema, &row, true);
    cr_assert_str_eq(text(), "{\"_revision\":-1,\"_final\":false}");
}

Test(json_text, a_row_in_any_room_is_whole_or_marked)
{
    build();
    tg_write_json_row(&writer, &schema, &row, true);
    const uint32_t need = writer.used;
    for (uint32_t capacity = 0; capacity <= need; capacity++) {
        char *room = malloc(capacity + 1);
        struct tg_writer tight = {.data = room, .capacity = capacity};
        tg_write_json_row(&tight, &schema, &row, true);
        cr_assert_eq(tight.overflow, capacity < need, "capacity %u", capacity);
        cr_assert_leq(tight.used, capacity);
        free(room);
    }
}

Test(json_text, base64_vectors_of_rfc_4648)
{
    static const struct {
        const char *plain;
        const char *text;
    } table[] = {{"", ""},         {"f", "Zg=="},         {"fo", "Zm8="},        {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xff\xfe\xfd", "//79"},
                 {"\xfb\xef\xbe", "++++"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        fresh();
        tg_write_base64(&writer, (const uint8_t *)table[i].plain, (uint32_t)strlen(table[i].plain));
        cr_assert_str_eq(text(), table[i].text);
    }
}
