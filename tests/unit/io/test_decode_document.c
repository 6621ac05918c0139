/* Finding fields in documents: order, duplicates, aliases, null, escapes, nesting, several records in one buffer. */
#include "tests/unit/io/decode_fixture.h"

static struct fixture two;

static void open_two(void)
{
    fixture_init(&two);
    fixture_field(&two, "id", TG_TYPE_TEXT)->required = true;
    fixture_field(&two, "n", TG_TYPE_BIGINT);
    fixture_open(&two, 1 << 20);
}

Test(decode_document, null_is_missing)
{
    open_two();
    assert_accepted(&two, "{\"id\":\"a\",\"n\":null}");
    cr_assert(fixture_is_null(&two, "n"));
    cr_assert_eq(*(int64_t *)fixture_value(&two, "n"), 0, "null columns hold zeros");
    cr_assert_not(fixture_is_null(&two, "id"));
    assert_accepted(&two, "{\"id\":\"a\"}");
    cr_assert(fixture_is_null(&two, "n"));
    assert_refused(&two, "{\"id\":null,\"n\":1}", TG_REASON_missing_field, 0);
    assert_refused(&two, "{}", TG_REASON_missing_field, 0);
    assert_refused(&two, "{\"id\":\"\"}", TG_REASON_empty_key, 0);
    fixture_close(&two);
}

Test(decode_document, the_last_of_equal_keys_wins)
{
    open_two();
    assert_accepted(&two, "{\"id\":1,\"id\":\"b\",\"n\":\"x\",\"n\":2}");
    cr_assert(fixture_text_is(&two, "id", "b"));
    assert_refused(&two, "{\"id\":\"a\",\"id\":null}", TG_REASON_missing_field, 0);
    assert_refused(&two, "{\"id\":\"a\",\"i\\u0064\":1}", TG_REASON_wrong_type, 0);
    fixture_close(&two);
}

Test(decode_document, faults_are_named_in_field_order_and_documents_come_first)
{
    open_two();
    assert_refused(&two, "{\"n\":\"x\",\"id\":1}", TG_REASON_wrong_type, 0);
    assert_refused(&two, "{\"n\":\"x\"}", TG_REASON_missing_field, 0);
    assert_refused(&two, "{\"n\":\"x\",\"id\":\"a\"}", TG_REASON_wrong_type, 1);
    assert_refused(&two, "{\"n\":\"x\",\"id\":1,}", TG_REASON_bad_json, -1);
    assert_refused(&two, "{\"id\":1}\xff", TG_REASON_bad_utf8, -1);
    assert_refused(&two, "{\"id\":\"\xff", TG_REASON_bad_utf8, -1); /* also unclosed: encoding comes first */
    assert_refused(&two, "[1]", TG_REASON_not_object, -1);
    assert_refused(&two, "7", TG_REASON_not_object, -1);
    assert_refused(&two, "\"a\\n\"", TG_REASON_not_object, -1);
    assert_refused(&two, "null ", TG_REASON_not_object, -1);
    assert_refused(&two, "[1", TG_REASON_bad_json, -1);
    fixture_close(&two);
}

Test(decode_document, what_follows_or_precedes_the_object_is_refused)
{
    open_two();
    static const char *const bad[] = {"{\"id\":\"a\"}{\"id\":\"b\"}", "{\"id\":\"a\"}}", "{\"id\":\"a\"},",
        "{\"id\":\"a\"}1",
        "{} {}", "\xEF\xBB\xBF{\"id\":\"a\"}", "\xEF\xBB\xBF", " ", "\n", "{", "}", "{\"id\"", "{\"id\":",
            "{\"id\":\"a\"", "{\"id\":\"a\",",
        "{\"id\":\"a\",\"n\"}", "{\"id\":\"a\" \"n\":1}", "{\"id\" \"a\"}", "{id:\"a\"}", "{'id':'a'}",
            "{\"id\":\"a\"}\f", "{\"id\":\"a\"}//",
        "{\"id\"::\"a\"}", "{,\"id\":\"a\"}", "{\"id\":\"a\",,\"n\":1}", "{\"id\":\"a\" , }", "{1:2}",
            "{\"id\":\"a\"]", "{\"id\":[1}}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) { assert_refused(&two, bad[i], TG_REASON_bad_json, -1); }
    fixture_close(&two);
}

Test(decode_document, every_truncation_is_refused)
{
    open_two();
    static const char whole[] =
        "{\"x\":{\"a\":[1,-2.5e+3,\"\\u00e9\\\\\",null,true,{}]},\"id\":\"\xC3\xA9t\\n\",\"n\":12}";
    assert_accepted(&two, whole);
    for (uint32_t bytes = 1; bytes < sizeof whole - 1; bytes++) {
        const struct tg_decoded decoded = fixture_decode_bytes(&two, whole, bytes);
        cr_assert(decoded.reason == TG_REASON_bad_json || decoded.reason == TG_REASON_bad_utf8, "%u bytes: %s", bytes,
                  tg_reason_name(decoded.reason));
    }
    fixture_close(&two);
}

Test(decode_document, keys_compare_unescaped)
{
    open_two();
    assert_accepted(&two, "{\"\\u0069d\":\"a\",\"\\u006E\":3}");
    cr_assert(fixture_text_is(&two, "id", "a"));
    cr_assert_eq(*(int64_t *)fixture_value(&two, "n"), 3);
    assert_refused(&two, "{\"\\\\u0069d\":\"a\"}", TG_REASON_missing_field, 0);
    assert_refused(&two, "{\"id\":\"a\",\"\\ud800\":1}", TG_REASON_bad_json, -1);
    assert_refused(&two, "{\"id\":\"a\",\"\\x\":1}", TG_REASON_bad_json, -1);
    fixture_close(&two);
    fixture_init(&two);
    fixture_field(&two, "e\xCC\x81", TG_TYPE_BIGINT);
    fixture_field(&two, "quote\"back\\", TG_TYPE_BIGINT);
    fixture_open(&two, 4096);
    assert_accepted(&two, "{\"\xC3\xA9\":1,\"e\\u0301\":2,\"quote\\\"back\\\\\":3}"); /* NFC is not NFD */
    cr_assert_eq(*(int64_t *)fixture_value(&two, "e\xCC\x81"), 2);
    cr_assert_eq(*(int64_t *)fixture_value(&two, "quote\"back\\"), 3);
    fixture_close(&two);
}

Test(decode_document, escapes_become_their_characters)
{
    open_two();
    static const char *const pairs[][2] = {{"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"}, {"\\u0041\\u00e9\\u20AC",
        "A\xC3\xA9\xE2\x82\xAC"},
        {"\\ud834\\uDD1e", "\xF0\x9D\x84\x9E"}, {"a\\uFFFFb", "a\xEF\xBF\xBF" "b"}, {"\xF0\x9D\x84\x9E",
            "\xF0\x9D\x84\x9E"}, {"\\u007f", "\x7f"},
        {"\\ud800\\udc00", "\xF0\x90\x80\x80"}, {"\\udbff\\udfff", "\xF4\x8F\xBF\xBF"}, {"x\\\\u0041", "x\\u0041"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char document[256];
        snprintf(document, sizeof document, "{\"other\":\"\\t\",\"id\":\"%s\"}", pairs[i][0]);
        assert_accepted(&two, document);
        cr_assert(fixture_text_is(&two, "id", pairs[i][1]), "%s", document);
        const tg_text *text = fixture_value(&two, "id");
        const uint8_t *data = (const uint8_t *)text->data;
        const bool in_scratch = data >= two.buffer.scratch && data < two.buffer.scratch + two.buffer.scratch_used;
        cr_assert_eq(in_scratch, strchr(pairs[i][0], '\\') != NULL, "%s", document);
    }
    assert_accepted(&two, "{\"id\":\"a\\u0000b\"}");
    const tg_text *text = fixture_value(&two, "id");
    cr_assert(text->bytes == 3 && memcmp(text->data, "a\0b", 3) == 0);
    static const char *const lone[] = {"\\ud800", "\\udc00", "\\ud800x", "\\ud800\\n", "\\ud800\\ud800",
        "\\udc00\\ud800", "\\ud800\\u0041",
        "\\u12", "\\u12g4", "\\U0041", "\\x41", "\\ud800\\udc0", "\\'", "\\ud800\\", "\\0"};
    for (size_t i = 0; i < sizeof lone / sizeof lone[0]; i++) {
        char document[256];
        snprintf(document, sizeof document, "{\"id\":\"a\",\"other\":\"%s\"}", lone[i]);
        assert_refused(&two, document, TG_REASON_bad_json, -1);
    }
    fixture_close(&two);
}

Test(decode_document, the_first_listed_alias_that_is_present_wins)
{
    static const char *const names[] = {"transaction_id", "transactionID", "txn"};
    fixture_init(&two);
    struct tg_field_spec *spec = fixture_field(&two, "id", TG_TYPE_TEXT);
    spec->names = names;
    spec->name_count = 3;
    spec->required = true;
    fixture_open(&two, 4096);
    assert_accepted(&two, "{\"txn\":\"c\",\"transactionID\":\"b\",\"transaction_id\":\"a\"}");
    cr_assert(fixture_text_is(&two, "id", "a"));
    assert_accepted(&two, "{\"txn\":\"c\",\"transactionID\":\"b\"}");
    cr_assert(fixture_text_is(&two, "id", "b"));
    assert_accepted(&two, "{\"transaction_id\":null,\"transactionID\":\"b\"}"); /* null is missing, also for aliases */
    cr_assert(fixture_text_is(&two, "id", "b"));
    assert_refused(&two, "{\"transaction_id\":1,\"transactionID\":\"b\"}", TG_REASON_wrong_type, 0);
    assert_refused(&two, "{\"transaction_id\":\"\",\"transactionID\":\"b\"}", TG_REASON_empty_key, 0);
    assert_refused(&two, "{\"Transaction_id\":\"b\"}", TG_REASON_missing_field, 0);
    fixture_close(&two);
}

Test(decode_document, two_fields_may_read_one_member)
{
    static const char *const name = "v";
    fixture_init(&two);
    fixture_field(&two, "a", TG_TYPE_TEXT)->names = &name;
    fixture_field(&two, "b", TG_TYPE_TEXT)->names = &name;
    fixture_open(&two, 16);
    assert_accepted(&two, "{\"v\":\"\\nabcde\"}");
    cr_assert(fixture_text_is(&two, "a", "\nabcde"));
    cr_assert(fixture_text_is(&two, "b", "\nabcde"));
    cr_assert_eq(two.buffer.scratch_used, 6, "unescaped once");
    fixture_close(&two);
}

Test(decode_document, dotted_names_reach_into_objects)
{
    fixture_init(&two);
    fixture_field(&two, "user.id", TG_TYPE_TEXT);
    fixture_field(&two, "user.address.zip", TG_TYPE_BIGINT);
    fixture_field(&two, "id", TG_TYPE_TEXT);
    fixture_open(&two, 4096);
    assert_accepted(&two,
        "{\"id\":\"top\",\"user\":{\"x\":[{\"id\":1}],\"id\":\"in\",\"address\":{\"zip\":7}},\"zip\":8}");
    cr_assert(fixture_text_is(&two, "user.id", "in"));
    cr_assert(fixture_text_is(&two, "id", "top"));
    cr_assert_eq(*(int64_t *)fixture_value(&two, "user.address.zip"), 7);
    assert_accepted(&two, "{\"user.id\":\"literal\",\"user\":{}}");
    cr_assert(fixture_is_null(&two, "user.id"), "a key with a dot in it is another member");
    static const char *const absent[] = {"{\"user\":5}", "{\"user\":[{\"id\":\"a\"}]}", "{\"user\":null}",
        "{\"user\":{\"id\":null}}",
        "{\"user\":{\"id\":\"a\"},\"user\":{}}", "{\"user\":{\"id\":\"a\"},\"user\":5}",
            "{\"user\":{\"address\":{\"id\":\"a\"}}}"};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        assert_accepted(&two, absent[i]);
        cr_assert(fixture_is_null(&two, "user.id"), "%s", absent[i]);
    }
    assert_accepted(&two, "{\"user\":{\"address\":{\"zip\":1}},\"user\":{\"id\":\"b\"}}");
    cr_assert(fixture_is_null(&two, "user.address.zip"), "the last user wins as a whole");
    cr_assert(fixture_text_is(&two, "user.id", "b"));
    assert_refused(&two, "{\"user\":{\"id\":\"a\"}", TG_REASON_bad_json, -1);
    assert_refused(&two, "{\"user\":{\"id\":\"a\"]}", TG_REASON_bad_json, -1);
    assert_refused(&two, "{\"user\":{\"id\":\"a\",}}", TG_REASON_bad_json, -1);
    assert_refused(&two, "{\"user\":{\"id\":7}}", TG_REASON_wrong_type, 0);
    fixture_close(&two);
}

Test(decode_document, nesting_is_bounded_at_1024)
{
    open_two();
    for (uint32_t kind = 0; kind < 2; kind++) {
        for (uint32_t depth = TG_JSON_DEPTH_MAX - 1; depth <= TG_JSON_DEPTH_MAX + 1; depth++) {
            char *document = malloc(16 * (size_t)depth);
            char *at = document;
            at += snprintf(at, 128, "{\"id\":\"a\",\"x\":"); /* one level */
            for (uint32_t i = 1; i < depth; i++) {
                at += snprintf(at, 128, "%s", kind == 0 ? "[" : i + 1 < depth ? "{\"x\":" : "{");
            }
            for (uint32_t i = 1; i < depth; i++) { *at++ = kind == 0 ? ']' : '}'; }
            snprintf(at, 64, "%s", "}");
            assert_refused(&two, document, depth <= TG_JSON_DEPTH_MAX ? TG_REASON_none : TG_REASON_bad_json, -1);
            free(document);
        }
    }
    char *deep = malloc(100001);
    memset(deep, '[', 100000);
    deep[100000] = 0;
    assert_refused(&two, deep, TG_REASON_bad_json, -1);
    free(deep);
    fixture_close(&two);
}

Test(decode_document, ten_thousand_unknown_fields_and_any_key_order_are_fine)
{
    open_two();
    char *document = malloc(400000);
    for (uint32_t where = 0; where < 3; where++) {
        char *at = document + snprintf(document, 128, "{");
        for (uint32_t i = 0; i < 10000; i++) {
            if (i == where * 4999) { at += snprintf(at, 128, "\"id\":\"found\",\"n\":%u,", i); }
            at += snprintf(at, 128, "\"unknown_%u%s\":[%u],", i,
                i % 7 == 0 ? "_with_a_name_that_is_too_long_to_be_learned" : "", i);
        }
        snprintf(at - 1, 64, "%s", "}");
        assert_accepted(&two, document);
        cr_assert(fixture_text_is(&two, "id", "found"));
        cr_assert_eq(*(int64_t *)fixture_value(&two, "n"), where * 4999);
    }
    free(document);
    fixture_close(&two);
}

Test(decode_document, slices_of_one_buffer_in_any_order_and_overlap)
{
    open_two();
    static const char text[] = "{\"id\":\"a\\n\"}#\\#{\"id\":\"bb\"}{\"id\":\"\\u0063\",\"n\":1}\\{\"x\":\"\\q\"}";
    memcpy(two.buffer.data, text, sizeof text);
    const struct tg_slice all[] = {
        {.value = two.buffer.data, .value_bytes = 12},
        {.value = two.buffer.data + 15, .value_bytes = 11},
        {.value = two.buffer.data + 26, .value_bytes = 21},
        {.value = two.buffer.data + 48, .value_bytes = 10},
    };
    static const char *const ids[] = {"a\n", "bb", "c", NULL};
    static const uint32_t orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 1, 0, 0}, {0, 3, 0, 2}};
    for (size_t o = 0; o < sizeof orders / sizeof orders[0]; o++) {
        struct tg_slice slices[4];
        struct tg_decoded results[4];
        for (uint32_t i = 0; i < 4; i++) { slices[i] = all[orders[o][i]]; }
        uint8_t *rows = malloc(4 * (size_t)two.schema.row_bytes);
        fixture_decode_slices(&two, 4, slices, &two.buffer, rows, results);
        for (uint32_t i = 0; i < 4; i++) {
            const char *id = ids[orders[o][i]];
            cr_assert_eq(results[i].reason, id != NULL ? TG_REASON_none : TG_REASON_bad_json, "order %zu slice %u", o,
                i);
            if (id == NULL) { continue; }
            const tg_text *value = tg_row_value(&two.schema, rows + i * (size_t)two.schema.row_bytes, 0);
            cr_assert(value->bytes == strlen(id) && memcmp(value->data, id, value->bytes) == 0, "order %zu slice %u",
                o, i);
        }
        free(rows);
    }
    fixture_close(&two);
}

Test(decode_document, the_halves_of_a_document_are_two_broken_records)
{
    static const char *const wholes[] = {
        "{\"id\":\"a\",\"n\":1}", "{\"n\":1,\"id\":\"a\"}", "{\"id\":\"a\",\"x\":\"\\n\"}",
        "{\"x\":{\"id\":[1,{}]},\"id\":\"a\"}", "{\"id\":\"a\",\"x\":[[],[]]}", "[{\"id\":\"a\"}]"};
    open_two();
    uint8_t *rows = malloc(3 * (size_t)two.schema.row_bytes);
    for (size_t w = 0; w < sizeof wholes / sizeof wholes[0]; w++) {
        const uint32_t bytes = (uint32_t)strlen(wholes[w]);
        const enum tg_reason whole = fixture_decode(&two, wholes[w]).reason; /* also teaches the shape */
        for (uint32_t cut = 1; cut < bytes; cut++) {
            memcpy(two.buffer.data, wholes[w], bytes);
            memcpy(two.buffer.data + bytes, wholes[w], bytes);
            const struct tg_slice slices[] = {
                {.value = two.buffer.data, .value_bytes = cut},
                {.value = two.buffer.data + cut, .value_bytes = bytes - cut},
                {.value = two.buffer.data + bytes, .value_bytes = bytes},
            };
            struct tg_decoded results[3];
            fixture_decode_slices(&two, 3, slices, &two.buffer, rows, results);
            cr_assert_eq(results[0].reason, TG_REASON_bad_json, "%.*s", (int)cut, wholes[w]);
            cr_assert_eq(results[1].reason, TG_REASON_bad_json, "%s", wholes[w] + cut);
            cr_assert_eq(results[2].reason, whole, "%s", wholes[w]);
        }
    }
    free(rows);
    fixture_close(&two);
}
