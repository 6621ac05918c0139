/* Statements: names, texts, types that fit, and the bytes of values (golden ones from an independent client). */
#include <criterion/criterion.h>

#include "io/cassandra/statement.h"
#include "io/cassandra/token.h"
#include "tests/unit/io/cql_bytes.h"

static struct tg_arena arena;

static void setup(void)
{
    struct tg_error err = {0};
    cr_assert_eq(tg_arena_open(&arena, 4 << 20, &err), TG_OK);
}
static void teardown(void) { tg_arena_close(&arena); }
TestSuite(cql_statement, .init = setup, .fini = teardown);

static struct tg_schema counts = {
    .name = "counts",
    .column_count = 4,
    .columns = {{.name = "purchaseCount", .type = TG_TYPE_INTEGER},
                {.name = "userId", .type = TG_TYPE_TEXT},
                {.name = "eventTimestamp", .type = TG_TYPE_TIMESTAMP},
                {.name = "order", .type = TG_TYPE_BOOLEAN}},
};
static const uint32_t counts_key[] = {1};

static void make(struct tg_cql_statement *statement, struct tg_schema *schema, const uint32_t *key, uint32_t key_count)
{
    struct tg_error err = {0};
    struct tg_cql_target target;
    cr_assert_eq(tg_cql_target_parse(&target, "streaming_demo.user_transaction_counts", &err), TG_OK);
    tg_schema_layout(schema);
    const struct tg_cql_statement_config config = {&target, schema, key, key_count};
    cr_assert_eq(tg_cql_statement_init(statement, &config, &arena, &err), TG_OK);
    char text[1024];
    cr_assert(tg_cql_statement_create_table(statement, &target, text, sizeof text));
    for (uint32_t i = 0; i < schema->column_count; i++) { /* as if PREPARED said what we would create */
        statement->types[i] = tg_cql_type_for(&schema->columns[statement->order[i]]);
    }
    statement->bound = true;
}

Test(cql_statement, names_are_quoted_where_case_or_a_reserved_word_needs_it)
{
    struct tg_cql_statement statement;
    make(&statement, &counts, counts_key, 1);
    cr_assert_str_eq(statement.cql,
                     "INSERT INTO streaming_demo.user_transaction_counts (\"userId\", \"purchaseCount\", "
                     "\"eventTimestamp\", \"order\") VALUES (?, ?, ?, ?)");
    struct tg_cql_target target = {"streaming_demo", "user_transaction_counts"};
    char text[1024];
    cr_assert(tg_cql_statement_create_table(&statement, &target, text, sizeof text));
    cr_assert_str_eq(text, "CREATE TABLE streaming_demo.user_transaction_counts (\"userId\" text PRIMARY KEY, "
                           "\"purchaseCount\" int, \"eventTimestamp\" timestamp, \"order\" boolean)");
    cr_assert_not(tg_cql_statement_create_table(&statement, &target, text, 60), "cut is not a statement");
}

Test(cql_statement, times_at_the_keys_end_cluster)
{
    static struct tg_schema views = {.name = "views",
                                     .column_count = 4,
                                     .columns = {{.name = "window_start", .type = TG_TYPE_TIMESTAMP},
                                                 {.name = "product_id", .type = TG_TYPE_TEXT},
                                                 {.name = "category", .type = TG_TYPE_TEXT},
                                                 {.name = "view_count", .type = TG_TYPE_BIGINT}}};
    static const uint32_t key[] = {0, 1, 2};
    struct tg_cql_statement statement;
    struct tg_cql_target target = {"demo", "PageViews"};
    char text[1024];
    make(&statement, &views, key, 3);
    cr_assert(tg_cql_statement_create_table(&statement, &target, text, sizeof text));
    cr_assert_str_eq(text, "CREATE TABLE demo.\"PageViews\" (window_start timestamp, product_id text, category text, "
                           "view_count bigint, PRIMARY KEY ((product_id, category), window_start))");
}

Test(cql_statement, targets_are_keyspace_dot_table)
{
    struct tg_cql_target target;
    cr_assert_eq(tg_cql_target_parse(&target, "ks.\"Mixed\"", NULL), TG_OK);
    cr_assert_str_eq(target.table, "Mixed");
    char text[128];
    cr_assert(tg_cql_target_print(&target, text, sizeof text));
    cr_assert_str_eq(text, "ks.\"Mixed\"");
    static const char *const bad[] = {"", "table", "a.", ".b", "a.b.c", "a.\"b", "a.b'c", "a b.c",
                                      "a.x123456789012345678901234567890123456789012345678"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tg_error err = {0};
        cr_assert_eq(tg_cql_target_parse(&target, bad[i], &err), TG_ERR_CONFIG, "%s", bad[i]);
        cr_assert_eq(err.code, TG1004);
    }
}

Test(cql_statement, only_lossless_types_fit)
{
    const struct tg_column integer = {.type = TG_TYPE_INTEGER};
    const struct tg_column bigint = {.type = TG_TYPE_BIGINT};
    const struct tg_column text = {.type = TG_TYPE_TEXT};
    const struct tg_column money = {.type = TG_TYPE_NUMERIC, .precision = 18, .scale = 2};
    const struct tg_column whole = {.type = TG_TYPE_NUMERIC, .precision = 9, .scale = 0};
    cr_assert(tg_cql_type_fits(&integer, TG_CQL_TYPE_INT) && tg_cql_type_fits(&integer, TG_CQL_TYPE_BIGINT));
    cr_assert(tg_cql_type_fits(&integer, TG_CQL_TYPE_DOUBLE) && !tg_cql_type_fits(&integer, TG_CQL_TYPE_TEXT));
    cr_assert(tg_cql_type_fits(&bigint, TG_CQL_TYPE_VARINT) && !tg_cql_type_fits(&bigint, TG_CQL_TYPE_INT));
    cr_assert(!tg_cql_type_fits(&bigint, TG_CQL_TYPE_DOUBLE) && !tg_cql_type_fits(&bigint, TG_CQL_TYPE_TIMESTAMP));
    cr_assert(tg_cql_type_fits(&money, TG_CQL_TYPE_DECIMAL) && !tg_cql_type_fits(&money, TG_CQL_TYPE_DOUBLE));
    cr_assert(!tg_cql_type_fits(&money, TG_CQL_TYPE_BIGINT) && tg_cql_type_fits(&whole, TG_CQL_TYPE_INT));
    cr_assert(!tg_cql_type_fits(&text, 0x01) && !tg_cql_type_fits(&text, 0x22) && !tg_cql_type_fits(&text, 0));
}

/* Encode one value of `column` into a column of `type`. */
static const char *encode(struct tg_column column, uint16_t type, const void *value)
{
    static struct tg_schema one;
    static const uint32_t key[] = {0};
    struct tg_cql_statement statement;
    one = (struct tg_schema){
        .name = "one", .column_count = 2, .columns = {{.name = "k", .type = TG_TYPE_BOOLEAN}, column}};
    one.columns[1].name = "v";
    make(&statement, &one, key, 1);
    statement.types[1] = type;
    cr_assert(tg_cql_type_fits(&column, type));
    _Alignas(16) uint8_t row[256] = {0};
    memcpy(tg_row_value(&one, row, 1), value, tg_type_bytes(column.type));
    static uint8_t image[256];
    struct tg_cql_writer writer = {.data = image, .capacity = sizeof image};
    uint32_t key_bytes = 0;
    cr_assert(tg_cql_statement_encode(&statement, row, &writer, &key_bytes));
    cr_assert_eq(key_bytes, 5);
    struct tg_cql_reader reader = {.data = image, .bytes = writer.used, .at = 5};
    const struct tg_cql_view view = tg_cql_get_bytes(&reader);
    cr_assert_eq(reader.at, writer.used);
    return to_hex(view.data, view.bytes);
}

Test(cql_statement, varints_and_decimals_have_the_drivers_bytes)
{
    static const struct {
        int64_t value;
        const char *hex;
    } golden[] = {{0, "00"},       {1, "01"},         {-1, "ff"},         {127, "7f"},         {128, "0080"},
                  {-128, "80"},    {-129, "ff7f"},    {255, "00ff"},      {256, "0100"},       {32767, "7fff"},
                  {32768, "008000"}, {-32768, "8000"}, {-32769, "ff7fff"}, {INT64_MAX, "7fffffffffffffff"},
                  {INT64_MIN, "8000000000000000"}};
    for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
        const struct tg_column bigint = {.type = TG_TYPE_BIGINT};
        const struct tg_column money = {.type = TG_TYPE_NUMERIC, .precision = 38, .scale = 2};
        const tg_dec decimal = golden[i].value;
        char with_scale[64];
        cr_assert_str_eq(encode(bigint, TG_CQL_TYPE_VARINT, &golden[i].value), golden[i].hex);
        (void)snprintf(with_scale, sizeof with_scale, "00000002%s", golden[i].hex);
        cr_assert_str_eq(encode(money, TG_CQL_TYPE_DECIMAL, &decimal), with_scale);
    }
    tg_dec large = 1;
    for (uint32_t i = 0; i < 37; i++) { large *= 10; }
    const struct tg_column whole = {.type = TG_TYPE_NUMERIC, .precision = 38, .scale = 0};
    cr_assert_str_eq(encode(whole, TG_CQL_TYPE_VARINT, &large), "0785ee10d5da46d900f436a000000000");
    large = -large;
    cr_assert_str_eq(encode(whole, TG_CQL_TYPE_VARINT, &large), "f87a11ef2a25b926ff0bc96000000000");
}

Test(cql_statement, times_are_floored_to_milliseconds_and_dates_start_in_the_middle)
{
    const struct tg_column at = {.type = TG_TYPE_TIMESTAMP};
    const struct tg_column day = {.type = TG_TYPE_DATE};
    const struct tg_column number = {.type = TG_TYPE_INTEGER};
    tg_ts ts = -1;
    cr_assert_str_eq(encode(at, TG_CQL_TYPE_TIMESTAMP, &ts), "ffffffffffffffff");
    ts = -1000;
    cr_assert_str_eq(encode(at, TG_CQL_TYPE_TIMESTAMP, &ts), "ffffffffffffffff");
    ts = -1001;
    cr_assert_str_eq(encode(at, TG_CQL_TYPE_TIMESTAMP, &ts), "fffffffffffffffe");
    ts = 1999;
    cr_assert_str_eq(encode(at, TG_CQL_TYPE_TIMESTAMP, &ts), "0000000000000001");
    tg_date date = 0;
    cr_assert_str_eq(encode(day, TG_CQL_TYPE_DATE, &date), "80000000");
    date = -1;
    cr_assert_str_eq(encode(day, TG_CQL_TYPE_DATE, &date), "7fffffff");
    date = 19782;
    cr_assert_str_eq(encode(day, TG_CQL_TYPE_DATE, &date), "80004d46");
    int32_t n = -2;
    cr_assert_str_eq(encode(number, TG_CQL_TYPE_INT, &n), "fffffffe");
    cr_assert_str_eq(encode(number, TG_CQL_TYPE_BIGINT, &n), "fffffffffffffffe");
    cr_assert_str_eq(encode(number, TG_CQL_TYPE_DOUBLE, &n), "c000000000000000");
}

Test(cql_statement, null_is_erased_or_kept_and_a_null_key_is_refused)
{
    struct tg_cql_statement statement;
    make(&statement, &counts, counts_key, 1);
    _Alignas(16) uint8_t row[512] = {0};
    *(tg_text *)tg_row_value(&counts, row, 1) = (tg_text){.data = "u", .bytes = 1};
    tg_row_set_null(&counts, row, 2, true);
    uint8_t image[256];
    uint32_t key_bytes = 0;
    struct tg_cql_writer writer = {.data = image, .capacity = sizeof image};
    cr_assert(tg_cql_statement_encode(&statement, row, &writer, &key_bytes));
    cr_assert_str_eq(to_hex(image, writer.used), "0000000175" "0000000400000000" "ffffffff" "0000000100");
    cr_assert_eq(tg_cql_statement_token(&statement, image, writer.used, image), 0, "partition key not known yet");
    statement.partition_count = 1;
    uint8_t scratch[512];
    cr_assert_eq(tg_cql_statement_token(&statement, image, writer.used, scratch),
                 tg_cql_token((const uint8_t *)"u", 1));
    statement.nulls_unset = true;
    writer.used = 0;
    cr_assert(tg_cql_statement_encode(&statement, row, &writer, &key_bytes));
    cr_assert_str_eq(to_hex(image, writer.used), "0000000175" "0000000400000000" "fffffffe" "0000000100");
    tg_row_set_null(&counts, row, 1, true);
    writer.used = 0;
    cr_assert_not(tg_cql_statement_encode(&statement, row, &writer, &key_bytes));
}

/* PREPARED metadata: flags 1, four columns, partition key = marker 0, ks.t, names and types. */
static uint32_t metadata(uint8_t *out, uint16_t count_type)
{
    static const char *const names[] = {"userId", "purchaseCount", "eventTimestamp", "order"};
    const uint16_t types[] = {0x0d, count_type, 0x0b, 0x04};
    struct tg_cql_writer writer = {.data = out, .capacity = 256};
    tg_cql_put_u32(&writer, 1);
    tg_cql_put_u32(&writer, 4);
    tg_cql_put_u32(&writer, 1);
    tg_cql_put_u16(&writer, 0);
    tg_cql_put_string(&writer, "ks");
    tg_cql_put_string(&writer, "t");
    for (uint32_t i = 0; i < 4; i++) {
        tg_cql_put_string(&writer, names[i]);
        tg_cql_put_u16(&writer, types[i]);
    }
    return writer.used;
}

Test(cql_statement, binding_takes_types_and_refuses_what_does_not_fit)
{
    struct tg_cql_statement statement;
    make(&statement, &counts, counts_key, 1);
    statement.bound = false;
    uint8_t data[256];
    const uint32_t whole = metadata(data, 0x09);
    for (uint32_t bytes = 0; bytes < whole; bytes++) {
        struct tg_cql_reader cut = {.data = data, .bytes = bytes};
        cr_assert_eq(tg_cql_statement_bind(&statement, &cut, NULL), TG_ERR_UNAVAILABLE, "cut at %u", bytes);
        cr_assert_not(statement.bound);
    }
    struct tg_cql_reader reader = {.data = data, .bytes = whole};
    cr_assert_eq(tg_cql_statement_bind(&statement, &reader, NULL), TG_OK);
    cr_assert(statement.bound && statement.partition_count == 1 && statement.types[1] == TG_CQL_TYPE_INT);
    struct tg_error err = {0};
    reader = (struct tg_cql_reader){.data = data, .bytes = metadata(data, 0x0d)};
    cr_assert_eq(tg_cql_statement_bind(&statement, &reader, &err), TG_ERR_CONFIG);
    cr_assert_eq(err.code, TG1312);
    cr_assert(strstr(err.text, "\"purchaseCount\" is text in the table, integer in the job") != NULL, "%s", err.text);
    reader = (struct tg_cql_reader){.data = data, .bytes = metadata(data, 0x02)};
    err = (struct tg_error){0};
    cr_assert_eq(tg_cql_statement_bind(&statement, &reader, &err), TG_ERR_CONFIG,
                 "bigint fits, but it was int a moment ago");
}
