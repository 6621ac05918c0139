/* Batches: laid out in an arena once, filled by copying rows, emptied by setting counts to 0. A copied row owns its
 * texts in the blob; a pinned row keeps pointing into the fetch buffer, which the batch then holds. */
#include "base/batch.h"

#include "base/assert.h"
#include "base/copy.h"

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

bool tg_batch_commit(struct tg_batch *batch)
{
    const struct tg_schema *schema = batch->schema;
    struct tg_row *row = tg_batch_row(batch, batch->count);
    uint32_t used = batch->blob_used;
    for (uint32_t i = 0; i < schema->text_count; i++) {
        const uint32_t column = schema->text_columns[i];
        if (tg_row_is_null(schema, row, column)) { continue; }
        tg_text *text = tg_row_value(schema, row, column);
        if (TG_UNLIKELY(text->bytes > batch->blob_capacity - used)) { return false; }
        char *copy = (char *)batch->blob + used;
        tg_copy_text(copy, text->data, text->bytes);
        text->data = copy;
        used += text->bytes;
    }
    batch->blob_used = used;
    batch->count++;
    return true;
}

struct tg_row *tg_batch_append_copy(struct tg_batch *batch, const struct tg_row *row)
{
    struct tg_row *copy = tg_batch_claim(batch);
    if (copy == NULL) { return NULL; }
    tg_copy_row(copy, row, batch->schema->row_bytes);
    return tg_batch_commit(batch) ? copy : NULL;
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
    tg_copy_row(copy, row, batch->schema->row_bytes);
    return copy;
}
