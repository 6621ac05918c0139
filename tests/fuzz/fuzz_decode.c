/* Any bytes as records of a source with fields of every type, alone and in company: no crash, every verdict has its
 * shape, every value is one its type can hold, texts lie inside the buffer's data or scratch and are UTF-8, and
 * neighbours change nothing. A byte 0x1E in the input cuts it into records. */
#include <stdlib.h>
#include <string.h>

#include "io/decode.h"
#include "io/decode_stage1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COLUMNS = 10, RECORDS_MAX = 32, ROW_BYTES_MAX = 512, SEPARATOR = 0x1E };

static const char *const kinds[] = {"view", "click"};
static const char *const id_names[] = {"id", "ID", "o.id"};
static const char *const names[COLUMNS] = {"id", "t", "b", "i", "f", "ts", "e", "d", "n", "k"};

static const struct tg_column columns[COLUMNS] = {
    {.name = "id", .type = TG_TYPE_TEXT}, {.name = "t", .type = TG_TYPE_TEXT}, {.name = "b", .type = TG_TYPE_BIGINT},
    {.name = "i", .type = TG_TYPE_INTEGER}, {.name = "f", .type = TG_TYPE_BOOLEAN}, {.name = "ts",
        .type = TG_TYPE_TIMESTAMP},
    {.name = "e", .type = TG_TYPE_TIMESTAMP}, {.name = "d", .type = TG_TYPE_DATE},
    {.name = "n", .type = TG_TYPE_NUMERIC, .precision = 18, .scale = 2},
    {.name = "k", .type = TG_TYPE_ENUM, .enum_values = kinds, .enum_count = 2}};

static struct tg_schema schema;
static struct tg_field_spec specs[COLUMNS];
static struct tg_decoder *decoder;

static void check(bool holds)
{
    if (!holds) { abort(); }
}

static void set_up(void)
{
    schema.column_count = COLUMNS;
    for (uint32_t i = 0; i < COLUMNS; i++) {
        schema.columns[i] = columns[i];
        specs[i] = (struct tg_field_spec){.names = &names[i], .name_count = 1};
    }
    specs[0] = (struct tg_field_spec){.names = id_names, .name_count = 3, .integer_ok = true, .required = true};
    specs[6].epoch = TG_EPOCH_MS;
    specs[8].excess_round = true;
    tg_schema_layout(&schema);
    check(schema.row_bytes <= ROW_BYTES_MAX);
    const struct tg_decoder_config config = {.schema = &schema, .fields = specs};
    check(tg_decoder_create(&decoder, &config, NULL) == TG_OK);
}

static bool inside(const char *text, uint32_t bytes, const uint8_t *area, uint32_t area_bytes)
{
    const uint8_t *at = (const uint8_t *)text;
    return at >= area && at + bytes <= area + area_bytes;
}

static void check_row(const struct tg_buffer *buffer, const uint8_t *row)
{
    for (uint32_t i = 0; i < COLUMNS; i++) {
        const void *value = tg_row_value(&schema, row, i);
        if (tg_row_is_null(&schema, row, i)) {
            static const uint8_t zeros[16];
            check(memcmp(value, zeros, tg_type_bytes(columns[i].type)) == 0);
            continue;
        }
        if (columns[i].type == TG_TYPE_TEXT) {
            const tg_text *text = value;
            check(text->bytes <= TG_TEXT_BYTES_MAX);
            check(inside(text->data, text->bytes, buffer->data, buffer->capacity) ||
                  inside(text->data, text->bytes, buffer->scratch, buffer->scratch_used));
            check(text->bytes == 0 || tg_stage1_is_utf8((const uint8_t *)text->data, text->bytes));
        }
        if (columns[i].type == TG_TYPE_ENUM) { check(*(const int32_t *)value >= 0 && *(const int32_t *)value < 2); }
        if (columns[i].type == TG_TYPE_BOOLEAN) { check(*(const uint8_t *)value <= 1); }
        if (columns[i].type == TG_TYPE_TIMESTAMP) { check(*(const tg_ts *)value > TG_TS_MIN / 2 &&
            *(const tg_ts *)value < TG_TS_MAX / 2); }
    }
    check(!tg_row_is_null(&schema, row, 0)); /* required ... */
    check(((const tg_text *)tg_row_value(&schema, row, 0))->bytes > 0); /* ... and not empty */
}

static bool equal_rows(const uint8_t *left, const uint8_t *right)
{
    for (uint32_t i = 0; i < COLUMNS; i++) {
        const void *a = tg_row_value(&schema, left, i);
        const void *b = tg_row_value(&schema, right, i);
        if (tg_row_is_null(&schema, left, i) != tg_row_is_null(&schema, right, i)) { return false; }
        if (columns[i].type == TG_TYPE_TEXT) {
            const tg_text *x = a;
            const tg_text *y = b;
            if (x->bytes != y->bytes || (x->bytes != 0 && memcmp(x->data, y->data, x->bytes) != 0)) { return false; }
        } else if (memcmp(a, b, tg_type_bytes(columns[i].type)) != 0) {
            return false;
        }
    }
    return true;
}

static void check_verdict(const struct tg_decoded *result)
{
    check((uint32_t)result->reason < TG_REASON_COUNT && result->reason != TG_REASON_future);
    check(result->field >= -1 && result->field < COLUMNS);
    const bool of_document = result->reason <= TG_REASON_not_object;
    check(of_document == (result->field == -1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t rows[RECORDS_MAX][ROW_BYTES_MAX] __attribute__((aligned(16)));
    static uint8_t alone_row[ROW_BYTES_MAX] __attribute__((aligned(16)));
    if (decoder == NULL) { set_up(); }
    if (size > 1 << 16) { return 0; }
    struct tg_buffer buffer = {.capacity = (uint32_t)size, .refs = 1};
    buffer.data = malloc(size + TG_BUFFER_PADDING); /* exact: the sanitizer sees the first byte too many */
    buffer.scratch = malloc(2 * size + 1);          /* every record is decoded twice */
    check(buffer.data != NULL && buffer.scratch != NULL);
    memcpy(buffer.data, data, size);
    memset(buffer.data + size, '"', TG_BUFFER_PADDING);

    static struct tg_raw_batch raw, one;
    raw.buffer = one.buffer = &buffer;
    one.count = 1;
    struct tg_decoded results[RECORDS_MAX];
    uint32_t count = 0;
    uint32_t start = 0;
    for (uint32_t i = 0; i <= size && count < RECORDS_MAX; i++) {
        if (i < size && data[i] != SEPARATOR) { continue; }
        raw.slices[count] = (struct tg_slice){.value = buffer.data + start, .value_bytes = i - start, .offset = count};
        count++;
        start = i + 1;
    }
    raw.count = count;
    uint8_t *packed = malloc((size_t)count * schema.row_bytes);
    check(packed != NULL);
    (void)tg_decode_json(decoder, &raw, packed, results);
    const uint32_t together_used = buffer.scratch_used;
    check(together_used <= size);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(rows[i], packed + (size_t)i * schema.row_bytes, schema.row_bytes);
        check_verdict(&results[i]);
        struct tg_decoded alone;
        buffer.scratch_used = together_used; /* behind the texts of the first pass */
        buffer.capacity = (uint32_t)(2 * size);
        one.slices[0] = raw.slices[i];
        (void)tg_decode_json(decoder, &one, alone_row, &alone);
        buffer.capacity = (uint32_t)size;
        check(alone.reason == results[i].reason && alone.field == results[i].field);
        if (alone.reason != TG_REASON_none) { continue; }
        check_row(&buffer, alone_row);
        buffer.scratch_used = together_used;
        check_row(&buffer, rows[i]);
        check(equal_rows(rows[i], alone_row));
    }
    free(packed);
    free(buffer.data);
    free(buffer.scratch);
    return 0;
}
