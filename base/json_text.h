/* Rows as text: compact JSON objects (files, dead letters, console) and escaping. */
#ifndef TG_BASE_JSON_TEXT_H
#define TG_BASE_JSON_TEXT_H

#include "base/schema.h"

/* An output area the caller owns. `overflow` is set, and nothing more is written, once something did not fit. */
struct tg_writer {
    char *data;
    uint32_t capacity;
    uint32_t used;
    bool overflow;
};

/* Bytes as they are; text up to its end; a decimal integer. Each goes in whole or not at all.  @any */
void tg_write_bytes(struct tg_writer *writer, const char *data, uint32_t bytes);
void tg_write_cstr(struct tg_writer *writer, const char *text);
void tg_write_i64(struct tg_writer *writer, int64_t value);
/* Quoted and escaped JSON string; `text` is valid UTF-8.  @any */
void tg_write_json_string(struct tg_writer *writer, const char *text, uint32_t bytes);
/* One column's value as JSON: text quoted, integers bare, timestamps and dates quoted (RFC 3339), decimals as strings
 * with their scale, enums by name, json as it is, null for null.  @any */
void tg_write_json_value(struct tg_writer *writer, const struct tg_schema *schema, const void *row, uint32_t column);
/* {"a":1,...}, null columns marked omit_null left out; with_revision adds "_revision" and "_final" at the end.  @any */
void tg_write_json_row(struct tg_writer *writer, const struct tg_schema *schema, const void *row, bool with_revision);
/* Standard base64 with padding (RFC 4648).  @any */
void tg_write_base64(struct tg_writer *writer, const uint8_t *data, uint32_t bytes);

#endif
