/* JSONTestSuite, as documents and as the value of a member no field reads, and our choices as docs/formats/json.md has
 * them: the tables there are read here, so the page cannot say anything else than the decoder does. */
#include <dirent.h>

#include "base/decimal.h"
#include "tests/source_path.h"
#include "tests/unit/io/decode_fixture.h"

enum { FILE_BYTES_MAX = 1 << 20, PATH_BYTES = 1024 };

static struct fixture suite;

/* The file's bytes, terminated; the caller frees them. */
static char *file_read(const char *relative, uint32_t *bytes)
{
    FILE *file = fopen(tg_test_source_path(relative), "rb");
    cr_assert_not_null(file, "%s", relative);
    char *data = malloc(FILE_BYTES_MAX + 1);
    *bytes = (uint32_t)fread(data, 1, FILE_BYTES_MAX, file);
    data[*bytes] = 0;
    fclose(file);
    return data;
}

static struct tg_decoded decode_wrapped(const char *data, uint32_t bytes)
{
    char *document = malloc((size_t)bytes + 64);
    uint32_t used = (uint32_t)snprintf(document, 128, "{\"unread\":");
    memcpy(document + used, data, bytes);
    used += bytes;
    used += (uint32_t)snprintf(document + used, 128, ",\"k\":\"value\"}");
    const struct tg_decoded decoded = fixture_decode_bytes(&suite, document, used);
    if (decoded.reason == TG_REASON_none) { cr_assert(fixture_text_is(&suite, "k", "value")); }
    free(document);
    return decoded;
}

static void open_suite(void)
{
    fixture_init(&suite);
    fixture_field(&suite, "k", TG_TYPE_TEXT);
    fixture_open(&suite, FILE_BYTES_MAX);
}

/* Run `check` over the files of `folder` whose names start with `prefix`; returns how many there were. */
static uint32_t for_each_file(const char *folder, const char *prefix,
                              void (*check)(const char *name, const char *data, uint32_t bytes))
{
    uint32_t count = 0;
    DIR *directory = opendir(tg_test_source_path(folder));
    cr_assert_not_null(directory, "%s", folder);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (entry->d_name[0] == '.' || strncmp(entry->d_name, prefix, strlen(prefix)) != 0) { continue; }
        char relative[PATH_BYTES];
        snprintf(relative, sizeof relative, "%s/%s", folder, entry->d_name);
        uint32_t bytes;
        char *data = file_read(relative, &bytes);
        check(entry->d_name, data, bytes);
        free(data);
        count++;
    }
    closedir(directory);
    return count;
}

#define PARSING "tests/data/json/test_parsing"
#define TRANSFORM "tests/data/json/test_transform"

static bool is_object(const char *data) { return data[strspn(data, " \t\r\n")] == '{'; }

static void check_accepted(const char *name, const char *data, uint32_t bytes)
{
    const enum tg_reason expected = is_object(data) ? TG_REASON_none : TG_REASON_not_object;
    cr_assert_eq(fixture_decode_bytes(&suite, data, bytes).reason, expected, "%s as a document", name);
    cr_assert_eq(decode_wrapped(data, bytes).reason, TG_REASON_none, "%s wrapped", name);
}

static void check_refused(const char *name, const char *data, uint32_t bytes)
{
    const struct tg_decoded whole = fixture_decode_bytes(&suite, data, bytes);
    cr_assert(whole.reason == TG_REASON_bad_json || whole.reason == TG_REASON_bad_utf8, "%s as a document: %s", name,
              tg_reason_name(whole.reason));
    const struct tg_decoded wrapped = decode_wrapped(data, bytes);
    cr_assert(wrapped.reason == TG_REASON_bad_json || wrapped.reason == TG_REASON_bad_utf8, "%s wrapped: %s", name,
              tg_reason_name(wrapped.reason));
    cr_assert_eq(whole.field, -1);
}

Test(decode_suite, all_95_valid_documents_are_accepted)
{
    open_suite();
    cr_assert_eq(for_each_file(PARSING, "y_", check_accepted), 95);
    fixture_close(&suite);
}

Test(decode_suite, all_188_invalid_documents_are_refused)
{
    open_suite();
    cr_assert_eq(for_each_file(PARSING, "n_", check_refused), 188);
    fixture_close(&suite);
}

/* Cell `column` (0 = file, without its backquotes) of the table row of `name` in the page; "" when there is no row. */
static const char *page_cell(const char *page, const char *name, uint32_t column)
{
    static char cell[256];
    char row[300];
    snprintf(row, sizeof row, "\n| `%s` |", name);
    const char *at = strstr(page, row);
    cr_assert_not_null(at, "%s is not in the page", name);
    cr_assert_null(strstr(at + 1, row), "%s is in the page twice", name);
    at += strlen(row);
    for (uint32_t i = 1; i < column; i++) { at = strchr(at, '|') + 1; }
    const char *end = strchr(at, '|');
    snprintf(cell, sizeof cell, "%.*s", (int)(end - at - 2), at + 1);
    return cell;
}

static char *page;

static void check_choice(const char *name, const char *data, uint32_t bytes)
{
    const char *outcome = page_cell(page, name, 1);
    const enum tg_reason wrapped = decode_wrapped(data, bytes).reason;
    cr_assert_str_eq(wrapped == TG_REASON_none ? "accepted" : tg_reason_name(wrapped), outcome, "%s wrapped", name);
    const enum tg_reason whole = fixture_decode_bytes(&suite, data, bytes).reason;
    const bool is_accepted = strcmp(outcome, "accepted") == 0;
    const char *expected = !is_accepted ? outcome : is_object(data) ? "" : "not_object";
    cr_assert_str_eq(tg_reason_name(whole), expected, "%s as a document", name);
}

Test(decode_suite, the_35_open_documents_behave_as_the_page_says)
{
    open_suite();
    uint32_t bytes;
    page = file_read("docs/formats/json.md", &bytes);
    cr_assert_eq(for_each_file(PARSING, "i_", check_choice), 35);
    free(page);
    fixture_close(&suite);
}

/* What a field of `type` gets from {"a":element}, or the document itself when it is an object, as the page writes it.
 * */
static const char *field_result(enum tg_type type, const char *data, uint32_t bytes)
{
    static char text[256];
    struct fixture field;
    fixture_init(&field);
    fixture_field(&field, "a", type);
    fixture_column(&field)->precision = 38;
    fixture_column(&field)->scale = 2;
    fixture_open(&field, FILE_BYTES_MAX);
    char document[256];
    const char *close = strrchr(data, ']');
    if (is_object(data)) {
        snprintf(document, sizeof document, "%.*s", (int)bytes, data);
    } else {
        snprintf(document, sizeof document, "{\"a\":%.*s}", (int)(close - data - 1), data + 1);
    }
    const struct tg_decoded decoded = fixture_decode(&field, document);
    if (decoded.reason != TG_REASON_none) {
        snprintf(text, sizeof text, "%s", decoded.field < 0 ? "-" : tg_reason_name(decoded.reason));
    } else if (fixture_is_null(&field, "a")) {
        snprintf(text, sizeof text, "-");
    } else if (type == TG_TYPE_BIGINT) {
        snprintf(text, sizeof text, "%lld", (long long)*(int64_t *)fixture_value(&field, "a"));
    } else if (type == TG_TYPE_NUMERIC) {
        tg_dec value;
        memcpy(&value, fixture_value(&field, "a"), sizeof value);
        char digits[TG_DEC_TEXT_BYTES];
        snprintf(text, sizeof text, "%.*s", (int)tg_dec_format(value, 2, digits), digits);
    } else {
        const tg_text *value = fixture_value(&field, "a");
        uint32_t used = 0;
        for (uint32_t i = 0; i < value->bytes; i++) {
            if (value->data[i] == 0) { text[used++] = '\\'; }
            text[used++] = value->data[i] == 0 ? '0' : value->data[i];
        }
        text[used] = 0;
    }
    fixture_close(&field);
    return text;
}

static void check_transform(const char *name, const char *data, uint32_t bytes)
{
    static const enum tg_type types[] = {TG_TYPE_TEXT, TG_TYPE_BIGINT, TG_TYPE_NUMERIC};
    check_choice(name, data, bytes);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_str_eq(field_result(types[i], data, bytes), page_cell(page, name, 2 + i), "%s as %s", name,
                         tg_type_name(types[i]));
    }
}

Test(decode_suite, the_22_transforms_behave_as_the_page_says)
{
    open_suite();
    uint32_t bytes;
    page = file_read("docs/formats/json.md", &bytes);
    cr_assert_eq(for_each_file(TRANSFORM, "", check_transform), 22);
    free(page);
    fixture_close(&suite);
}
