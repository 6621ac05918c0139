/* Row layout out of names and types, columns by name, and rows cut down to what a peer takes. */
#include "base/schema.h"

#include <string.h>

#include "base/assert.h"

const char *tg_type_name(enum tg_type type)
{
    static const char *const names[] = {"?",         "text", "bigint",  "integer", "boolean",
                                        "timestamp", "date", "numeric", "enum",    "json"};
    return (unsigned)type < sizeof names / sizeof names[0] ? names[type] : names[0];
}

static uint32_t align_up(uint32_t value, uint32_t align) { return (value + align - 1) & ~(align - 1); }

void tg_schema_layout(struct tg_schema *schema)
{
    TG_ASSERT(schema->column_count <= TG_COLUMNS_MAX);
    uint32_t offset = sizeof(struct tg_row);
    schema->text_count = 0;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        struct tg_column *column = &schema->columns[i];
        offset = align_up(offset, tg_type_align(column->type));
        column->offset = offset;
        offset += tg_type_bytes(column->type);
        if (column->type == TG_TYPE_TEXT || column->type == TG_TYPE_JSON) {
            schema->text_columns[schema->text_count++] = (uint8_t)i;
        }
    }
    schema->nulls_offset = offset;
    schema->row_bytes = align_up(offset + (schema->column_count + 7) / 8, 16);
}

int tg_schema_find(const struct tg_schema *schema, const char *name)
{
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if (strcmp(schema->columns[i].name, name) == 0) { return (int)i; }
    }
    return -1;
}

/* ---- shortening -------------------------------------------------------------------------------------------------- */

/* The longest whole characters of `text` within `bytes`. */
static uint32_t utf8_prefix(const tg_text *text, uint32_t bytes)
{
    while (bytes > 0 && ((uint8_t)text->data[bytes] & 0xC0) == 0x80) { bytes--; } /* at most three steps */
    return bytes;
}

/* Cut one value down; the content's full length, 0 when it is short enough as it is. */
static uint32_t shorten_text(enum tg_shorten how, tg_text *text)
{
    enum { BASE64_BYTES = TG_SHORTEN_BYTES / 3 * 4 }; /* whole groups: no padding needed */
    uint32_t bytes = text->bytes;
    if (how == TG_SHORTEN_TEXT && bytes > TG_SHORTEN_BYTES) {
        text->bytes = utf8_prefix(text, TG_SHORTEN_BYTES);
    } else if (how == TG_SHORTEN_BASE64 && bytes > BASE64_BYTES) {
        const uint32_t padding = (text->data[bytes - 1] == '=') + (text->data[bytes - 2] == '=');
        bytes = bytes / 4 * 3 - padding;
        text->bytes = BASE64_BYTES;
    } else {
        return 0;
    }
    return bytes;
}

bool tg_row_shorten(const struct tg_schema *schema, const struct tg_row *row, struct tg_row *copy)
{
    int64_t length = 0;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const enum tg_shorten how = schema->columns[i].shorten;
        if ((how != TG_SHORTEN_TEXT && how != TG_SHORTEN_BASE64) || tg_row_is_null(schema, row, i)) { continue; }
        tg_text text;
        memcpy(&text, tg_row_value(schema, row, i), sizeof text);
        const uint32_t bytes = shorten_text(how, &text);
        if (bytes == 0) { continue; }
        if (length == 0) { memcpy(copy, row, schema->row_bytes); }
        length = bytes;
        memcpy(tg_row_value(schema, copy, i), &text, sizeof text);
    }
    for (uint32_t i = 0; length != 0 && i < schema->column_count; i++) {
        if (schema->columns[i].shorten != TG_SHORTEN_LENGTH) { continue; }
        memcpy(tg_row_value(schema, copy, i), &length, sizeof length);
        tg_row_set_null(schema, copy, i, false);
    }
    return length != 0;
}
