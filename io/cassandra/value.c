/* Values: which column type holds which of ours without loss, and their bytes on the wire. */
#include "base/assert.h"
#include "io/cassandra/statement.h"
#include "io/cassandra/token.h"

static const uint32_t NULL_BYTES = 0xffffffffu;  /* [value] -1: erases the cell */
static const uint32_t UNSET_BYTES = 0xfffffffeu; /* [value] -2: leaves it alone */

static const struct {
    uint16_t type;
    const char *name;
} type_names[] = {
    {TG_CQL_TYPE_BIGINT, "bigint"},   {TG_CQL_TYPE_BOOLEAN, "boolean"},     {TG_CQL_TYPE_DECIMAL, "decimal"},
    {TG_CQL_TYPE_DOUBLE, "double"},   {TG_CQL_TYPE_INT, "int"},             {TG_CQL_TYPE_TIMESTAMP, "timestamp"},
    {TG_CQL_TYPE_TEXT, "text"},       {TG_CQL_TYPE_VARINT, "varint"},       {TG_CQL_TYPE_DATE, "date"},
    /* Never written, named in messages only. */
    {0x01, "ascii"},                  {0x03, "blob"},                       {0x05, "counter"},
    {0x08, "float"},                  {0x0C, "uuid"},                       {0x0F, "timeuuid"},
    {0x10, "inet"},                   {0x12, "time"},                       {0x13, "smallint"},
    {0x14, "tinyint"},                {0x15, "duration"},                   {0x20, "a list"},
    {0x21, "a map"},                  {0x22, "a set"},                      {0x30, "a user type"},
    {0x31, "a tuple"},
};
enum { TYPE_NAME_COUNT = sizeof type_names / sizeof type_names[0], WRITABLE_COUNT = 9 };

const char *tg_cql_type_name(uint16_t type)
{
    for (uint32_t i = 0; i < TYPE_NAME_COUNT; i++) {
        if (type_names[i].type == type) { return type_names[i].name; }
    }
    return "another type";
}

uint16_t tg_cql_type_of_name(struct tg_cql_view name)
{
    for (uint32_t i = 0; i < WRITABLE_COUNT; i++) {
        if (tg_cql_view_is(name, type_names[i].name)) { return type_names[i].type; }
    }
    return tg_cql_view_is(name, "varchar") ? TG_CQL_TYPE_TEXT : TG_CQL_TYPE_NONE;
}

uint16_t tg_cql_type_for(const struct tg_column *column)
{
    switch (column->type) {
    case TG_TYPE_TEXT:
    case TG_TYPE_JSON:
    case TG_TYPE_ENUM: return TG_CQL_TYPE_TEXT;
    case TG_TYPE_BIGINT: return TG_CQL_TYPE_BIGINT;
    case TG_TYPE_INTEGER: return TG_CQL_TYPE_INT;
    case TG_TYPE_BOOLEAN: return TG_CQL_TYPE_BOOLEAN;
    case TG_TYPE_TIMESTAMP: return TG_CQL_TYPE_TIMESTAMP;
    case TG_TYPE_DATE: return TG_CQL_TYPE_DATE;
    case TG_TYPE_NUMERIC: return TG_CQL_TYPE_DECIMAL;
    }
    return TG_CQL_TYPE_NONE;
}

bool tg_cql_type_fits(const struct tg_column *column, uint16_t type)
{
    if (type == TG_CQL_TYPE_NONE) { return false; }
    if (type == tg_cql_type_for(column)) { return true; }
    switch (column->type) {
    case TG_TYPE_BIGINT: return type == TG_CQL_TYPE_VARINT || type == TG_CQL_TYPE_DECIMAL;
    case TG_TYPE_INTEGER: /* a double has 53 bits */
        return type == TG_CQL_TYPE_BIGINT || type == TG_CQL_TYPE_VARINT || type == TG_CQL_TYPE_DECIMAL ||
               type == TG_CQL_TYPE_DOUBLE;
    case TG_TYPE_NUMERIC:
        if (column->scale != 0) { return false; }
        return type == TG_CQL_TYPE_VARINT || (type == TG_CQL_TYPE_BIGINT && column->precision <= 18) ||
               (type == TG_CQL_TYPE_INT && column->precision <= 9);
    case TG_TYPE_TEXT:
    case TG_TYPE_JSON:
    case TG_TYPE_ENUM:
    case TG_TYPE_BOOLEAN:
    case TG_TYPE_TIMESTAMP:
    case TG_TYPE_DATE: return false;
    }
    return false;
}

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

static void put_bytes(struct tg_cql_writer *writer, const void *data, uint32_t bytes)
{
    tg_cql_put_u32(writer, bytes);
    tg_cql_put_raw(writer, data, bytes);
}

/* Two's complement, big endian, as few bytes as keep the sign. */
static uint32_t varint(tg_dec value, uint8_t out[16])
{
    uint32_t first = 0;
    for (uint32_t i = 0; i < 16; i++) { out[i] = (uint8_t)(value >> (8 * (15 - i))); }
    while (first < 15 &&
           ((out[first] == 0x00 && out[first + 1] < 0x80) || (out[first] == 0xff && out[first + 1] >= 0x80))) {
        first++;
    }
    memmove(out, out + first, 16 - first);
    return 16 - first;
}

static void put_integer(struct tg_cql_writer *writer, uint16_t type, tg_dec value, uint32_t scale)
{
    uint8_t digits[16];
    switch (type) {
    case TG_CQL_TYPE_INT:
        tg_cql_put_u32(writer, 4);
        tg_cql_put_u32(writer, (uint32_t)(int32_t)value);
        return;
    case TG_CQL_TYPE_BIGINT:
        tg_cql_put_u32(writer, 8);
        tg_cql_put_u64(writer, (uint64_t)(int64_t)value);
        return;
    case TG_CQL_TYPE_DOUBLE: {
        const double number = (double)(int32_t)value;
        uint64_t bits;
        memcpy(&bits, &number, sizeof bits);
        tg_cql_put_u32(writer, 8);
        tg_cql_put_u64(writer, bits);
        return;
    }
    case TG_CQL_TYPE_VARINT: {
        const uint32_t bytes = varint(value, digits);
        put_bytes(writer, digits, bytes);
        return;
    }
    default: {
        TG_ASSERT(type == TG_CQL_TYPE_DECIMAL);
        const uint32_t bytes = varint(value, digits);
        tg_cql_put_u32(writer, 4 + bytes);
        tg_cql_put_u32(writer, scale);
        tg_cql_put_raw(writer, digits, bytes);
        return;
    }
    }
}

static int64_t floor_ms(tg_ts ts) { return ts / 1000 - (ts % 1000 < 0 ? 1 : 0); }

static void put_value(struct tg_cql_writer *writer, const struct tg_column *column, uint16_t type, const void *value)
{
    switch (column->type) {
    case TG_TYPE_TEXT:
    case TG_TYPE_JSON: {
        const tg_text *text = value;
        put_bytes(writer, text->data, text->bytes);
        return;
    }
    case TG_TYPE_ENUM: {
        const int32_t index = *(const int32_t *)value;
        TG_ASSERT(index >= 0 && index < column->enum_count);
        put_bytes(writer, column->enum_values[index], (uint32_t)strlen(column->enum_values[index]));
        return;
    }
    case TG_TYPE_BIGINT: put_integer(writer, type, *(const int64_t *)value, 0); return;
    case TG_TYPE_INTEGER: put_integer(writer, type, *(const int32_t *)value, 0); return;
    case TG_TYPE_NUMERIC: put_integer(writer, type, *(const tg_dec *)value, column->scale); return;
    case TG_TYPE_BOOLEAN: {
        const uint8_t byte = *(const bool *)value ? 1 : 0;
        put_bytes(writer, &byte, 1);
        return;
    }
    case TG_TYPE_TIMESTAMP:
        tg_cql_put_u32(writer, 8);
        tg_cql_put_u64(writer, (uint64_t)floor_ms(*(const tg_ts *)value));
        return;
    case TG_TYPE_DATE: /* days, with 1970-01-01 in the middle of the unsigned range */
        tg_cql_put_u32(writer, 4);
        tg_cql_put_u32(writer, (uint32_t)*(const tg_date *)value + 0x80000000u);
        return;
    }
    TG_ASSERT(false);
}

bool tg_cql_statement_encode(const struct tg_cql_statement *statement, const void *row, struct tg_cql_writer *writer,
                             uint32_t *key_bytes)
{
    TG_DCHECK(statement->bound);
    const struct tg_schema *schema = statement->schema;
    const uint32_t start = writer->used;
    const uint32_t absent = statement->nulls_unset ? UNSET_BYTES : NULL_BYTES;
    *key_bytes = 0;
    for (uint32_t marker = 0; marker < schema->column_count; marker++) {
        if (marker == statement->key_count) { *key_bytes = writer->used - start; }
        const uint32_t column = statement->order[marker];
        if (TG_UNLIKELY(tg_row_is_null(schema, row, column))) {
            if (marker < statement->key_count) { return false; }
            tg_cql_put_u32(writer, absent);
            continue;
        }
        put_value(writer, &schema->columns[column], statement->types[marker], tg_row_value(schema, row, column));
    }
    if (statement->key_count == schema->column_count) { *key_bytes = writer->used - start; }
    return !writer->overflow;
}

/* The value of `marker` in an image; images are ours, so it is there. */
static struct tg_cql_view image_value(const uint8_t *image, uint32_t bytes, uint32_t marker)
{
    struct tg_cql_reader reader = {.data = image, .bytes = bytes};
    for (uint32_t i = 0; i < marker; i++) { (void)tg_cql_get_bytes(&reader); }
    const struct tg_cql_view view = tg_cql_get_bytes(&reader);
    TG_ASSERT(!reader.broken);
    return view;
}

int64_t tg_cql_statement_token(const struct tg_cql_statement *statement, const uint8_t *image, uint32_t bytes,
                               uint8_t *scratch)
{
    if (statement->partition_count == 0) { return 0; } /* the server did not say: any node will do */
    if (statement->partition_count == 1) {
        const struct tg_cql_view only = image_value(image, bytes, statement->partition[0]);
        return only.is_null ? 0 : tg_cql_token(only.data, only.bytes);
    }
    struct tg_cql_writer writer = {.data = scratch, .capacity = bytes + 3 * TG_COLUMNS_MAX};
    for (uint32_t i = 0; i < statement->partition_count; i++) {
        const struct tg_cql_view part = image_value(image, bytes, statement->partition[i]);
        if (part.is_null || part.bytes > UINT16_MAX) { return 0; } /* the server will refuse it by name */
        tg_cql_put_short_bytes(&writer, part.data, (uint16_t)part.bytes);
        tg_cql_put_u8(&writer, 0);
    }
    TG_ASSERT(!writer.overflow);
    return tg_cql_token(scratch, writer.used);
}
