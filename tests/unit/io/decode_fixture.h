/* A decoder with a buffer of its own, for suites of io/decode.h: one call per record. */
#ifndef TG_TESTS_UNIT_IO_DECODE_FIXTURE_H
#define TG_TESTS_UNIT_IO_DECODE_FIXTURE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/decode.h"

struct fixture {
    struct tg_schema schema;
    struct tg_field_spec specs[TG_COLUMNS_MAX];
    const char *names[TG_COLUMNS_MAX];
    const struct tg_zone *zone;
    struct tg_decoder *decoder;
    struct tg_buffer buffer;
    uint8_t *row; /* of the last record */
    uint64_t adjusted;
};

static inline void fixture_init(struct fixture *fixture)
{
    *fixture = (struct fixture){.schema = {.name = "test"}};
}

/* One more field whose member has the column's name; further settings through the spec returned. */
static inline struct tg_field_spec *fixture_field(struct fixture *fixture, const char *name, enum tg_type type)
{
    const uint32_t i = fixture->schema.column_count++;
    fixture->schema.columns[i] = (struct tg_column){.name = name, .type = type};
    fixture->names[i] = name;
    fixture->specs[i] = (struct tg_field_spec){.names = &fixture->names[i], .name_count = 1};
    return &fixture->specs[i];
}

static inline struct tg_column *fixture_column(struct fixture *fixture)
{
    return &fixture->schema.columns[fixture->schema.column_count - 1];
}

static inline void fixture_open(struct fixture *fixture, uint32_t capacity)
{
    tg_schema_layout(&fixture->schema);
    const struct tg_decoder_config config = {.schema = &fixture->schema, .fields = fixture->specs,
        .zone = fixture->zone};
    struct tg_error err = {0};
    cr_assert_eq(tg_decoder_create(&fixture->decoder, &config, &err), TG_OK, "%s", err.text);
    fixture->buffer = (struct tg_buffer){.capacity = capacity, .refs = 1};
    fixture->buffer.data = calloc(1, capacity + TG_BUFFER_PADDING);
    fixture->buffer.scratch = malloc(capacity);
    fixture->row = malloc(fixture->schema.row_bytes);
    cr_assert(fixture->buffer.data != NULL && fixture->buffer.scratch != NULL && fixture->row != NULL);
}

static inline void fixture_close(struct fixture *fixture)
{
    tg_decoder_destroy(fixture->decoder);
    free(fixture->buffer.data);
    free(fixture->buffer.scratch);
    free(fixture->row);
}

/* Decode slices[count] of `buffer` in one call. */
static inline void fixture_decode_slices(struct fixture *fixture, uint32_t count, const struct tg_slice *slices,
                                         struct tg_buffer *buffer, uint8_t *rows, struct tg_decoded *results)
{
    static struct tg_raw_batch raw;
    raw.count = count;
    raw.buffer = buffer;
    memcpy(raw.slices, slices, count * sizeof *slices);
    fixture->adjusted += tg_decode_json(fixture->decoder, &raw, rows, results);
}

/* Decode one document; what stands behind it in the buffer is hostile: it would continue the document. */
static inline struct tg_decoded fixture_decode_bytes(struct fixture *fixture, const void *document, uint32_t bytes)
{
    cr_assert_leq(bytes, fixture->buffer.capacity);
    static const char tail[] = "\"}]}:,1\\\"}]}:,1\\\"}]}:,1\\\"}]}:,1\\\"}]}:,1\\\"}]}:,1\\\"}]}:,1\\\"}]}:,1\\";
    static_assert(sizeof tail >= TG_BUFFER_PADDING, "the padding is full of it");
    memcpy(fixture->buffer.data, document, bytes);
    memcpy(fixture->buffer.data + bytes, tail, TG_BUFFER_PADDING);
    memset(fixture->row, 0xA5, fixture->schema.row_bytes);
    fixture->buffer.scratch_used = 0;
    const struct tg_slice slice = {.value = fixture->buffer.data, .value_bytes = bytes, .record_us = TG_TS_MIN};
    struct tg_decoded decoded = {TG_REASON_COUNT, -2};
    fixture_decode_slices(fixture, 1, &slice, &fixture->buffer, fixture->row, &decoded);
    return decoded;
}

static inline struct tg_decoded fixture_decode(struct fixture *fixture, const char *document)
{
    return fixture_decode_bytes(fixture, document, (uint32_t)strlen(document));
}

static inline void *fixture_value(const struct fixture *fixture, const char *name)
{
    const int column = tg_schema_find(&fixture->schema, name);
    cr_assert_geq(column, 0, "no column %s", name);
    return tg_row_value(&fixture->schema, fixture->row, (uint32_t)column);
}

static inline bool fixture_is_null(const struct fixture *fixture, const char *name)
{
    return tg_row_is_null(&fixture->schema, fixture->row, (uint32_t)tg_schema_find(&fixture->schema, name));
}

static inline bool fixture_text_is(const struct fixture *fixture, const char *name, const char *expected)
{
    const tg_text *text = fixture_value(fixture, name);
    return !fixture_is_null(fixture, name) && text->bytes == strlen(expected) &&
           memcmp(text->data, expected, text->bytes) == 0;
}

/* The document is refused for `reason`, about column `field` (-1: the document). */
#define assert_refused(fixture, document, expected_reason, expected_field) \
    do { \
        const struct tg_decoded refused_ = fixture_decode(fixture, document); \
        cr_assert_str_eq(tg_reason_name(refused_.reason), tg_reason_name(expected_reason), "%.200s", document); \
        cr_assert_eq(refused_.field, expected_field, "field %d of %.200s", refused_.field, document); \
    } while (0)

#define assert_accepted(fixture, document) assert_refused(fixture, document, TG_REASON_none, -1)

#endif
