/* Rows as JSON text. Every piece is written whole or not at all, so a writer that overflowed ends at a piece's end. */
#include "base/json_text.h"

#include <string.h>

#include "base/assert.h"
#include "base/decimal.h"
#include "base/digits.h"
#include "base/timestamp.h"

enum { ESCAPE_BYTES_MAX = 6 };

/* Room for `bytes` more at the returned place, NULL when there is none (then the writer has overflowed). */
static char *reserve(struct tg_writer *writer, uint64_t bytes)
{
    if (TG_UNLIKELY(writer->overflow || bytes > writer->capacity - writer->used)) {
        writer->overflow = true;
        return NULL;
    }
    return writer->data + writer->used;
}

void tg_write_bytes(struct tg_writer *writer, const char *data, uint32_t bytes)
{
    char *out = reserve(writer, bytes);
    if (out == NULL || bytes == 0) { return; }
    memcpy(out, data, bytes);
    writer->used += bytes;
}

void tg_write_cstr(struct tg_writer *writer, const char *text) { tg_write_bytes(writer, text, (uint32_t)strlen(text)); }

void tg_write_i64(struct tg_writer *writer, int64_t value)
{
    const uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
    const uint32_t digits = tg_digits_count(magnitude);
    const uint32_t sign = value < 0;
    char *out = reserve(writer, sign + digits);
    if (out == NULL) { return; }
    out[0] = '-';
    tg_digits_put(out + sign, magnitude, digits);
    writer->used += sign + digits;
}

/* ---- strings ----------------------------------------------------------------------------------------------------- */

/* Nonzero bytes mark characters of `word` that need an escape: below 0x20, '"' and '\'. The lowest mark is exact, marks
 * above it may be borrow. */
static uint64_t special_mark(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t quote = word ^ ones * '"';
    const uint64_t slash = word ^ ones * '\\';
    return ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash);
}

static bool is_special(unsigned char c) { return c < 0x20 || c == '"' || c == '\\'; }

/* Length of the leading part of text that is copied as it is. */
static uint32_t plain_bytes(const char *text, uint32_t bytes)
{
    uint32_t at = 0;
    for (; bytes - at >= 8; at += 8) {
        const uint64_t marks = special_mark(tg_digits_load8(text + at)) & 0x8080808080808080u;
        if (marks != 0) { return at + ((uint32_t)__builtin_ctzll(marks) >> 3); }
    }
    while (at < bytes && !is_special((unsigned char)text[at])) { at++; }
    return at;
}

/* The escape of a special character; returns its length. */
static uint32_t escape_put(unsigned char c, char out[ESCAPE_BYTES_MAX])
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[0x20] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    out[0] = '\\';
    out[1] = c >= 0x20 ? (char)c : letters[c];
    if (out[1] != '\0') { return 2; }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

/* Text behind its first special character: how many bytes it takes when escaped. */
static uint64_t escaped_bytes(const char *text, uint32_t bytes)
{
    char scratch[ESCAPE_BYTES_MAX];
    uint64_t total = 0;
    for (uint32_t at = 0; at < bytes;) {
        const uint32_t plain = plain_bytes(text + at, bytes - at);
        total += plain;
        at += plain;
        if (at < bytes) { total += escape_put((unsigned char)text[at++], scratch); }
    }
    return total;
}

static char *escaped_put(char *out, const char *text, uint32_t bytes)
{
    for (uint32_t at = 0; at < bytes;) {
        const uint32_t plain = plain_bytes(text + at, bytes - at);
        memcpy(out, text + at, plain);
        out += plain;
        at += plain;
        if (at < bytes) { out += escape_put((unsigned char)text[at++], out); }
    }
    return out;
}

void tg_write_json_string(struct tg_writer *writer, const char *text, uint32_t bytes)
{
    const uint32_t plain = bytes == 0 ? 0 : plain_bytes(text, bytes);
    const uint64_t behind = plain == bytes ? 0 : escaped_bytes(text + plain, bytes - plain);
    char *out = reserve(writer, plain + behind + 2);
    if (out == NULL) { return; }
    const char *start = out;
    *out++ = '"';
    if (plain != 0) { memcpy(out, text, plain); }
    out += plain;
    if (behind != 0) { out = escaped_put(out, text + plain, bytes - plain); }
    *out++ = '"';
    writer->used += (uint32_t)(out - start);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* Text without characters to escape, in quotes. */
static void quoted(struct tg_writer *writer, const char *text, uint32_t bytes)
{
    char *out = reserve(writer, (uint64_t)bytes + 2);
    if (out == NULL) { return; }
    out[0] = '"';
    memcpy(out + 1, text, bytes);
    out[bytes + 1] = '"';
    writer->used += bytes + 2;
}

static void enum_write(struct tg_writer *writer, const struct tg_column *column, int32_t index)
{
    TG_ASSERT(index >= 0 && index < column->enum_count);
    const char *name = column->enum_values[index];
    tg_write_json_string(writer, name, (uint32_t)strlen(name));
}

void tg_write_json_value(struct tg_writer *writer, const struct tg_schema *schema, const void *row,
                         uint32_t column_index)
{
    const struct tg_column *column = &schema->columns[column_index];
    const void *value = tg_row_value(schema, row, column_index);
    char text[TG_DEC_TEXT_BYTES];
    static_assert((int)TG_DEC_TEXT_BYTES >= (int)TG_TS_TEXT_BYTES, "one scratch serves stamps too");
    static_assert((int)TG_DEC_TEXT_BYTES >= (int)TG_DATE_TEXT_BYTES, "and dates");
    if (tg_row_is_null(schema, row, column_index)) {
        tg_write_bytes(writer, "null", 4);
        return;
    }
    switch (column->type) {
    case TG_TYPE_TEXT: {
        const tg_text *string = value;
        tg_write_json_string(writer, string->data, string->bytes);
        return;
    }
    case TG_TYPE_JSON: {
        const tg_text *json = value;
        tg_write_bytes(writer, json->data, json->bytes);
        return;
    }
    case TG_TYPE_BIGINT: tg_write_i64(writer, *(const int64_t *)value); return;
    case TG_TYPE_INTEGER: tg_write_i64(writer, *(const int32_t *)value); return;
    case TG_TYPE_BOOLEAN: tg_write_cstr(writer, *(const bool *)value ? "true" : "false"); return;
    case TG_TYPE_TIMESTAMP: quoted(writer, text, tg_ts_format(*(const tg_ts *)value, text)); return;
    case TG_TYPE_DATE: quoted(writer, text, tg_date_format(*(const tg_date *)value, text)); return;
    case TG_TYPE_NUMERIC: quoted(writer, text, tg_dec_format(*(const tg_dec *)value, column->scale, text)); return;
    case TG_TYPE_ENUM: enum_write(writer, column, *(const int32_t *)value); return;
    }
    tg_assert_failed(__FILE__, __LINE__, "a column has one of the types above");
}

void tg_write_json_row(struct tg_writer *writer, const struct tg_schema *schema, const void *row, bool with_revision)
{
    const struct tg_row *head = row;
    const char *separator = "{";
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const struct tg_column *column = &schema->columns[i];
        if (column->omit_null && tg_row_is_null(schema, row, i)) { continue; }
        tg_write_bytes(writer, separator, 1);
        tg_write_json_string(writer, column->name, (uint32_t)strlen(column->name));
        tg_write_bytes(writer, ":", 1);
        tg_write_json_value(writer, schema, row, i);
        separator = ",";
    }
    if (with_revision) {
        tg_write_bytes(writer, separator, 1);
        tg_write_cstr(writer, "\"_revision\":");
        tg_write_i64(writer, head->revision);
        tg_write_cstr(writer, (head->flags & TG_ROW_FINAL) != 0 ? ",\"_final\":true" : ",\"_final\":false");
        separator = ",";
    }
    tg_write_cstr(writer, *separator == '{' ? "{}" : "}");
}

void tg_write_base64(struct tg_writer *writer, const uint8_t *data, uint32_t bytes)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint64_t needed = ((uint64_t)bytes + 2) / 3 * 4;
    char *out = reserve(writer, needed);
    if (out == NULL) { return; }
    uint32_t at = 0;
    for (; bytes - at >= 3; at += 3, out += 4) {
        const uint32_t word = (uint32_t)data[at] << 16 | (uint32_t)data[at + 1] << 8 | data[at + 2];
        out[0] = letters[word >> 18];
        out[1] = letters[word >> 12 & 63];
        out[2] = letters[word >> 6 & 63];
        out[3] = letters[word & 63];
    }
    if (at < bytes) {
        const uint32_t second = at + 1 < bytes ? data[at + 1] : 0;
        const uint32_t word = (uint32_t)data[at] << 16 | second << 8;
        out[0] = letters[word >> 18];
        out[1] = letters[word >> 12 & 63];
        out[2] = at + 1 < bytes ? letters[word >> 6 & 63] : '=';
        out[3] = '=';
    }
    writer->used += (uint32_t)needed;
}
