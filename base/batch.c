/* Batches: laid out in an arena once, filled by copying rows, emptied by setting counts to 0. A copied row owns its
 * texts in the blob; a pinned row keeps pointing into the fetch buffer, which the batch then holds. */
#include "base/batch.h"

#include <string.h>

#include "base/assert.h"

static size_t blob_bytes(const struct tg_batch_config *config)
{
    return config->has_blob ? (size_t)TG_BATCH_BLOB_BYTES * config->schema->text_count : 0;
}

size_t tg_batch_bytes(const struct tg_batch_config *config)
{
    return sizeof(struct tg_batch) + (size_t)config->capacity * config->schema->row_bytes +
           config->wm_capacity * sizeof(struct tg_wm) + blob_bytes(config) + 4 * 64;
}

struct tg_batch *tg_batch_create(const struct tg_batch_config *config, struct tg_arena *arena)
{
    TG_ASSERT(config->capacity >= 1 && config->capacity <= TG_BATCH_ROWS_MAX);
    struct tg_batch *batch = tg_arena_alloc(arena, sizeof *batch, 64);
    uint8_t *rows = tg_arena_alloc(arena, (size_t)config->capacity * config->schema->row_bytes, 64);
    struct tg_wm *wms = tg_arena_alloc(arena, config->wm_capacity * sizeof *wms, 16);
    uint8_t *blob = tg_arena_alloc(arena, blob_bytes(config), 64);
    if (batch == NULL || rows == NULL || wms == NULL || blob == NULL) { return NULL; }
    *batch = (struct tg_batch){
        .schema = config->schema,
        .rows = rows,
        .blob = blob,
        .wms = wms,
        .capacity = config->capacity,
        .wm_capacity = config->wm_capacity,
        .blob_capacity = (uint32_t)blob_bytes(config),
    };
    return batch;
}

void tg_batch_reset(struct tg_batch *batch)
{
    for (uint32_t i = 0; i < batch->pin_count; i++) { tg_buffer_release(batch->pins[i]); }
    batch->count = 0;
    batch->wm_count = 0;
    batch->blob_used = 0;
    batch->flags = 0;
    batch->pin_count = 0;
    batch->arrived_ns = 0;
}

static bool column_has_text(const struct tg_column *column)
{
    return column->type == TG_TYPE_TEXT || column->type == TG_TYPE_JSON;
}

/* Bytes of text in the row; null texts have none. */
static uint64_t row_text_bytes(const struct tg_schema *schema, const struct tg_row *row)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if (column_has_text(&schema->columns[i]) && !tg_row_is_null(schema, row, i)) {
            bytes += ((const tg_text *)tg_row_value(schema, row, i))->bytes;
        }
    }
    return bytes;
}

struct tg_row *tg_batch_append_copy(struct tg_batch *batch, const struct tg_row *row)
{
    const struct tg_schema *schema = batch->schema;
    if (batch->count == batch->capacity) { return NULL; }
    const uint32_t room = batch->blob_capacity - batch->blob_used;
    if (schema->text_count != 0 && row_text_bytes(schema, row) > room) { return NULL; }
    struct tg_row *copy = tg_batch_row(batch, batch->count++);
    memcpy(copy, row, schema->row_bytes);
    if (schema->text_count == 0) { return copy; }
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if (!column_has_text(&schema->columns[i]) || tg_row_is_null(schema, copy, i)) { continue; }
        tg_text *text = tg_row_value(schema, copy, i);
        char *target = (char *)batch->blob + batch->blob_used;
        if (text->bytes != 0) { memcpy(target, text->data, text->bytes); } /* an empty text may be NULL */
        text->data = target;
        batch->blob_used += text->bytes;
    }
    return copy;
}

struct tg_row *tg_batch_append_pinned(struct tg_batch *batch, const struct tg_row *row, struct tg_buffer *buffer)
{
    if (batch->count == batch->capacity) { return NULL; }
    if (batch->pin_count == 0 || batch->pins[batch->pin_count - 1] != buffer) {
        if (batch->pin_count == TG_BATCH_PINS_MAX) { return NULL; }
        tg_buffer_retain(buffer);
        batch->pins[batch->pin_count++] = buffer;
    }
    struct tg_row *copy = tg_batch_row(batch, batch->count++);
    memcpy(copy, row, batch->schema->row_bytes);
    return copy;
}
