/* What the decoder touches: a value that ends 64 bytes before an unmapped page, at every alignment; and random objects
 * against a model of their values, in batches. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/prng.h"
#include "tests/unit/io/decode_fixture.h"
#include "tests/seed.h"

static struct fixture it;

static void open_all(void)
{
    static const char *const values[] = {"alpha", "beta"};
    fixture_init(&it);
    fixture_field(&it, "text", TG_TYPE_TEXT);
    fixture_field(&it, "big", TG_TYPE_BIGINT);
    fixture_field(&it, "o.int", TG_TYPE_INTEGER);
    fixture_field(&it, "flag", TG_TYPE_BOOLEAN);
    fixture_field(&it, "kind", TG_TYPE_ENUM);
    fixture_column(&it)->enum_values = values;
    fixture_column(&it)->enum_count = 2;
    fixture_field(&it, "timestamp_with_a_long_name", TG_TYPE_TIMESTAMP);
    fixture_field(&it, "d", TG_TYPE_NUMERIC);
    fixture_column(&it)->precision = 18;
    fixture_column(&it)->scale = 2;
    fixture_open(&it, 1 << 20);
}

Test(decode_memory, nothing_beyond_the_padding_is_read_at_any_alignment)
{
    static const char every_type[] = "{\"timestamp_with_a_long_name\":\"2024-05-11T10:00:00.123Z\",\"kind\":\"alpha\","
                                     "\"flag\":true,\"d\":12.50,\"o\":{\"int\":7}}";
    const char *const documents[] = {
        "{\"text\":\"x\",\"big\":1}", "{\"a\":1}", "{}", "[]", "7", "{\"text\":\"\\u00e9\"}", "{\"text\":\"unclosed",
        "{\"text\":\"ab\\", "{\"timestamp_with_a_long_name", every_type, "{\"d\":1e", "{\"flag\":t", "\xC3"};
    enum { MAP = 1 << 20 };
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *map = mmap(NULL, MAP + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(map, MAP_FAILED);
    cr_assert_eq(mprotect(map + MAP, page, PROT_NONE), 0);
    open_all();
    struct tg_buffer buffer = {.data = map, .capacity = MAP - TG_BUFFER_PADDING, .scratch = it.buffer.scratch,
        .refs = 1};
    for (size_t d = 0; d < sizeof documents / sizeof documents[0]; d++) {
        const uint32_t bytes = (uint32_t)strlen(documents[d]);
        const struct tg_decoded expected = fixture_decode(&it, documents[d]);
        /* back 0 touches the page's edge, each further one is another alignment */
        for (uint32_t back = 0; back < 64; back++) {
            uint8_t *value = map + MAP - TG_BUFFER_PADDING - bytes - back;
            memset(value, '"', bytes + back + TG_BUFFER_PADDING);
            memcpy(value, documents[d], bytes);
            const struct tg_slice slice = {.value = value, .value_bytes = bytes};
            struct tg_decoded decoded;
            buffer.scratch_used = 0;
            fixture_decode_slices(&it, 1, &slice, &buffer, it.row, &decoded);
            cr_assert_eq(decoded.reason, expected.reason, "%s %u", documents[d], back);
            cr_assert_eq(decoded.field, expected.field, "%s %u", documents[d], back);
        }
    }
    fixture_close(&it);
    munmap(map, MAP + page);
}

/* ---- random objects and their model --------------------------------------------------------------------------------
 * */

enum { RECORDS = 16, KEYS = 5, TEXT_BYTES = 96 };

struct model {
    bool is_there[KEYS];
    char text[TEXT_BYTES];
    uint32_t text_bytes;
    int64_t big;
    int32_t integer;
    bool flag;
    int32_t kind;
};

struct out {
    char *at;
    struct tg_prng *prng;
};

static void put(struct out *out, const char *text) { out->at = stpcpy(out->at, text); }

static void put_blanks(struct out *out)
{
    if (tg_prng_below(out->prng, 8) != 0) { return; }
    for (uint32_t i = tg_prng_below(out->prng, 70); i > 0; i--) { *out->at++ = " \t\r\n"[tg_prng_below(out->prng, 4)]; }
}

static uint32_t put_utf8(char *at, uint32_t point)
{
    if (point < 0x80) {
        at[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        at[0] = (char)(0xC0 | point >> 6);
        at[1] = (char)(0x80 | (point & 63));
        return 2;
    }
    if (point < 0x10000) {
        at[0] = (char)(0xE0 | point >> 12);
        at[1] = (char)(0x80 | (point >> 6 & 63));
        at[2] = (char)(0x80 | (point & 63));
        return 3;
    }
    at[0] = (char)(0xF0 | point >> 18);
    at[1] = (char)(0x80 | (point >> 12 & 63));
    at[2] = (char)(0x80 | (point >> 6 & 63));
    at[3] = (char)(0x80 | (point & 63));
    return 4;
}

static uint32_t random_point(struct tg_prng *prng)
{
    static const uint32_t ends[] = {0x80, 0x80, 0x80, 0x800, 0xD800, 0x110000};
    const uint32_t point = tg_prng_below(prng, ends[tg_prng_below(prng, 6)]);
    return point >= 0xD800 && point < 0xE000 ? 'x' : point;
}

/* One character in one of its spellings. */
static void put_point(struct out *out, uint32_t point, bool may_escape)
{
    const bool must = point < 0x20 || point == '"' || point == '\\';
    if (!must && (!may_escape || tg_prng_below(out->prng, 4) != 0)) {
        out->at += put_utf8(out->at, point);
    } else if (point >= 0x10000) {
        out->at += snprintf(out->at, 128, "\\u%04x\\u%04X", 0xD800 + ((point - 0x10000) >> 10),
            0xDC00 + ((point - 0x10000) & 0x3FF));
    } else if (point == '\n' && tg_prng_below(out->prng, 2) == 0) {
        put(out, "\\n");
    } else if ((point == '"' || point == '\\' || point == '/') && tg_prng_below(out->prng, 2) == 0) {
        out->at += snprintf(out->at, 128, "\\%c", (int)point);
    } else {
        out->at += snprintf(out->at, 128, "\\u%04x", point);
    }
}

static void put_string(struct out *out, const char *ascii)
{
    const bool may_escape = tg_prng_below(out->prng, 8) == 0;
    put(out, "\"");
    for (; *ascii != 0; ascii++) { put_point(out, (uint8_t)*ascii, may_escape); }
    put(out, "\"");
}

static void put_text(struct out *out, struct model *model)
{
    const bool may_escape = tg_prng_below(out->prng, 2) == 0;
    model->text_bytes = 0;
    put(out, "\"");
    for (uint32_t i = tg_prng_below(out->prng, TEXT_BYTES / 4); i > 0; i--) {
        uint32_t point = random_point(out->prng);
        if (!may_escape && (point < 0x20 || point == '"' || point == '\\')) { point = 'y'; }
        model->text_bytes += put_utf8(model->text + model->text_bytes, point);
        put_point(out, point, may_escape);
    }
    put(out, "\"");
}

/* A value nobody reads: flat, or nested as deep as `depth` says. */
static void put_noise(struct out *out, uint32_t depth)
{
    static const char *const flat[] = {"null", "true", "false", "0", "-1.5e+10", "\"\"", "\"}]{[:,\"", "\"\\\\\"",
        "[]", "{}", "\"\\\"\"", "1E400"};
    for (uint32_t i = 0; i < depth; i++) { put(out, i % 2 == 0 ? "[1," : "{\"text\":"); }
    put(out, flat[tg_prng_below(out->prng, sizeof flat / sizeof flat[0])]);
    for (uint32_t i = depth; i > 0; i--) { put(out, (i - 1) % 2 == 0 ? ", \"t\" ]" : "}"); }
}

static void put_member(struct out *out, struct model *model, uint32_t key)
{
    static const char *const names[KEYS] = {"text", "big", "o", "flag", "kind"};
    char digits[32];
    put_string(out, names[key]);
    put_blanks(out);
    put(out, ":");
    put_blanks(out);
    model->is_there[key] = tg_prng_below(out->prng, 8) != 0;
    if (!model->is_there[key]) {
        put(out, key == 2 ? "{\"x\":{\"int\":1}}" : "null");
        return;
    }
    switch (key) {
    case 0: put_text(out, model); break;
    case 1:
        model->big = (int64_t)(tg_prng_next(out->prng) >> tg_prng_below(out->prng, 64));
        model->big = tg_prng_below(out->prng, 2) == 0 ? model->big : -model->big;
        snprintf(digits, sizeof digits, "%" PRId64, model->big);
        put(out, digits);
        break;
    case 2:
        model->integer = (int32_t)tg_prng_next(out->prng);
        snprintf(digits, sizeof digits, "%" PRId32, model->integer);
        put(out, "{");
        if (tg_prng_below(out->prng, 2) == 0) { put(out, "\"text\" : [ ] , "); }
        put_string(out, "int");
        put(out, ":");
        put(out, digits);
        put(out, "}");
        break;
    case 3:
        model->flag = tg_prng_below(out->prng, 2) == 0;
        put(out, model->flag ? "true" : "false");
        break;
    default:
        model->kind = (int32_t)tg_prng_below(out->prng, 2);
        put_string(out, model->kind == 0 ? "alpha" : "beta");
        break;
    }
}

/* Members in a mostly stable order, some repeated, noise between them. */
static void put_record(struct out *out, struct model *model)
{
    *model = (struct model){.is_there = {false}};
    const uint32_t start = tg_prng_below(out->prng, 4) == 0 ? tg_prng_below(out->prng, KEYS) : 0;
    const uint32_t count = tg_prng_below(out->prng, 4) == 0 ? tg_prng_below(out->prng, 2 * KEYS) : KEYS;
    put_blanks(out);
    put(out, "{");
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) { put(out, ","); }
        put_blanks(out);
        if (tg_prng_below(out->prng, 4) == 0) {
            static const char *const unknown[] = {"texts", "tex", "", "a key of more than thirty-two bytes in all",
                "o.int"};
            put_string(out, unknown[tg_prng_below(out->prng, 5)]);
            put(out, ":");
            put_noise(out, tg_prng_below(out->prng, 4) == 0 ? tg_prng_below(out->prng, 80) : 0);
            put(out, " ,");
        }
        put_member(out, model, (start + i) % KEYS);
        put_blanks(out);
    }
    put(out, "}");
    put_blanks(out);
}

static bool row_equals(const struct model *model, const uint8_t *row)
{
    for (uint32_t key = 0; key < KEYS; key++) {
        if (tg_row_is_null(&it.schema, row, key) == model->is_there[key]) { return false; }
        const void *value = tg_row_value(&it.schema, row, key);
        if (!model->is_there[key]) { continue; }
        const tg_text *text = value;
        bool equal = false;
        switch (key) {
        case 0: equal = text->bytes == model->text_bytes && memcmp(text->data, model->text, text->bytes) == 0; break;
        case 1: equal = *(const int64_t *)value == model->big; break;
        case 2: equal = *(const int32_t *)value == model->integer; break;
        case 3: equal = *(const bool *)value == model->flag; break;
        default: equal = *(const int32_t *)value == model->kind; break;
        }
        if (!equal) { return false; }
    }
    return true;
}

Test(decode_memory, random_objects_give_the_values_of_their_model)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    open_all();
    uint8_t *rows = malloc(RECORDS * (size_t)it.schema.row_bytes);
    uint64_t with_escapes = 0;
    for (uint32_t round = 0; round < 3000; round++) {
        static struct model models[RECORDS];
        struct tg_slice slices[RECORDS];
        struct tg_decoded results[RECORDS];
        struct out out = {(char *)it.buffer.data, &prng};
        for (uint32_t i = 0; i < RECORDS; i++) {
            /* a record head */
            for (uint32_t gap = tg_prng_below(&prng, 4); gap > 0; gap--) { *out.at++ = (char)tg_prng_next(&prng); }
            char *start = out.at;
            put_record(&out, &models[i]);
            slices[i] = (struct tg_slice){.value = (uint8_t *)start, .value_bytes = (uint32_t)(out.at - start)};
        }
        it.buffer.scratch_used = 0;
        fixture_decode_slices(&it, RECORDS, slices, &it.buffer, rows, results);
        with_escapes += it.buffer.scratch_used > 0;
        for (uint32_t i = 0; i < RECORDS; i++) {
            cr_assert_eq(results[i].reason, TG_REASON_none, "seed %" PRIu64 " round %u: %s in %.*s", seed, round,
                         tg_reason_name(results[i].reason), (int)slices[i].value_bytes, (const char *)slices[i].value);
            cr_assert(row_equals(&models[i], rows + i * (size_t)it.schema.row_bytes),
                "seed %" PRIu64 " round %u: %.*s", seed, round,
                      (int)slices[i].value_bytes, (const char *)slices[i].value);
        }
    }
    cr_assert_gt(with_escapes, 100);
    free(rows);
    fixture_close(&it);
}
