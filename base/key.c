/* The frozen key encoding, both ways, and its hash. docs/formats/key.md has it byte by byte with golden vectors. */
#include "base/key.h"

#include <string.h>

#include "base/assert.h"
#include "base/copy.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* The byte orders below are the machine's own. */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "key bytes are little endian");

/* Bytes of a value behind its presence byte; texts add their own. */
static const uint8_t fixed_bytes[] = {
    [TG_TYPE_TEXT] = 4,    [TG_TYPE_JSON] = 4, [TG_TYPE_DATE] = 4,    [TG_TYPE_BIGINT] = 8,   [TG_TYPE_TIMESTAMP] = 8,
    [TG_TYPE_INTEGER] = 8, [TG_TYPE_ENUM] = 8, [TG_TYPE_BOOLEAN] = 1, [TG_TYPE_NUMERIC] = 16,
};

uint32_t tg_key_encode(const struct tg_key_spec *spec, const void *row, uint8_t *out, uint32_t capacity)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < spec->column_count; i++) {
        const uint32_t index = spec->columns[i];
        const struct tg_column *column = &spec->schema->columns[index];
        const void *value = (const uint8_t *)row + column->offset;
        const bool null = tg_row_is_null(spec->schema, row, index);
        if (used + 1 + (null ? 0 : fixed_bytes[column->type]) > capacity) { return 0; }
        out[used++] = null ? 0 : 1;
        if (null) { continue; }
        switch (column->type) {
        case TG_TYPE_TEXT:
        case TG_TYPE_JSON: {
            const tg_text *text = value;
            if (text->bytes > capacity - used - 4) { return 0; }
            memcpy(out + used, &text->bytes, 4);
            tg_copy_text(out + used + 4, text->data, text->bytes);
            used += 4 + text->bytes;
            break;
        }
        case TG_TYPE_BIGINT:
        case TG_TYPE_TIMESTAMP:
            memcpy(out + used, value, 8);
            used += 8;
            break;
        case TG_TYPE_INTEGER:
        case TG_TYPE_ENUM: {
            const int64_t wide = *(const int32_t *)value;
            memcpy(out + used, &wide, 8);
            used += 8;
            break;
        }
        case TG_TYPE_BOOLEAN: out[used++] = *(const bool *)value ? 1 : 0; break;
        case TG_TYPE_DATE:
            memcpy(out + used, value, 4);
            used += 4;
            break;
        case TG_TYPE_NUMERIC:
            memcpy(out + used, value, 16);
            used += 16;
            break;
        }
    }
    return used;
}

void tg_key_decode(const struct tg_key_spec *spec, struct tg_key key, const struct tg_schema *schema, void *row)
{
    const uint32_t count = spec->column_count;
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct tg_column *column = &schema->columns[i];
        void *value = (uint8_t *)row + column->offset;
        TG_DCHECK(used < key.bytes);
        if (key.data[used++] == 0) {
            tg_row_set_null(schema, row, i, true);
            memset(value, 0, tg_type_bytes(column->type));
            continue;
        }
        switch (column->type) {
        case TG_TYPE_TEXT:
        case TG_TYPE_JSON: {
            tg_text *text = value; /* member by member: a whole one would have to wait for its parts */
            text->data = (const char *)key.data + used + 4;
            memcpy(&text->bytes, key.data + used, 4);
            text->reserved = 0;
            used += 4 + text->bytes;
            break;
        }
        case TG_TYPE_BIGINT:
        case TG_TYPE_TIMESTAMP:
            memcpy(value, key.data + used, 8);
            used += 8;
            break;
        case TG_TYPE_INTEGER:
        case TG_TYPE_ENUM:
            memcpy(value, key.data + used, 4); /* low half of the little endian eight */
            used += 8;
            break;
        case TG_TYPE_BOOLEAN: *(bool *)value = key.data[used++] != 0; break;
        case TG_TYPE_DATE:
            memcpy(value, key.data + used, 4);
            used += 4;
            break;
        case TG_TYPE_NUMERIC:
            memcpy(value, key.data + used, 16);
            used += 16;
            break;
        }
    }
    TG_DCHECK(used == key.bytes);
}

uint64_t tg_key_hash(const uint8_t *data, uint32_t bytes) { return XXH3_64bits(data, bytes); }
