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
