/* State files made from a seed: layouts of every kind of field, keys, values, and files with a model of what they hold.
 * Everything lives in one arena. */
#ifndef TG_TESTS_CHECKPOINT_MAKER_H
#define TG_TESTS_CHECKPOINT_MAKER_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/key.h"
#include "base/prng.h"
#include "state/format.h"
#include "state/value.h"

struct maker {
    struct tg_prng prng;
    struct tg_arena arena;
    struct tg_error err;
};

static inline void maker_open(struct maker *maker, uint64_t seed)
{
    *maker = (struct maker){.prng = {seed}};
    if (tg_arena_open(&maker->arena, (size_t)256 << 20, &maker->err) != TG_OK) { abort(); }
}
static inline void maker_close(struct maker *maker) { tg_arena_close(&maker->arena); }
static inline void *maker_alloc(struct maker *maker, size_t bytes)
{
    void *memory = tg_arena_alloc(&maker->arena, bytes, 16);
    if (memory == NULL) { abort(); }
    return memory;
}
static inline uint32_t maker_below(struct maker *maker, uint32_t below) { return tg_prng_below(&maker->prng, below); }
static inline const char *maker_name(struct maker *maker, const char *prefix, uint32_t number)
{
    char text[128];
    (void)snprintf(text, sizeof text, "%s%" PRIu32, prefix, number);
    char *copy = tg_arena_strdup(&maker->arena, text);
    if (copy == NULL) { abort(); }
    return copy;
}

/* ---- layouts ----------------------------------------------------------------------------------------------------- */

static inline struct tg_state_field maker_plain(struct maker *maker, const char *prefix, uint32_t number, bool in_key)
{
    static const enum tg_state_kind kinds[] = {TG_STATE_TEXT,      TG_STATE_BIGINT, TG_STATE_INTEGER, TG_STATE_BOOLEAN,
                                               TG_STATE_TIMESTAMP, TG_STATE_DATE,   TG_STATE_NUMERIC, TG_STATE_ENUM,
                                               TG_STATE_DURATION,  TG_STATE_LABEL,  TG_STATE_NAME};
    const enum tg_state_kind kind = kinds[maker_below(maker, in_key ? 8 : 11)];
    const uint8_t scale = maker_below(maker, 4) == 0 ? TG_STATE_SCALE_NONE : (uint8_t)maker_below(maker, 39);
    return (struct tg_state_field){
        .name = maker_name(maker, prefix, number), .kind = kind, .scale = kind == TG_STATE_NUMERIC ? scale : 0};
}
static inline struct tg_state_field *maker_plains(struct maker *maker, const char *prefix, uint32_t count, bool in_key)
{
    struct tg_state_field *fields = maker_alloc(maker, count * sizeof *fields);
    for (uint32_t i = 0; i < count; i++) { fields[i] = maker_plain(maker, prefix, i, in_key); }
    return fields;
}
static inline struct tg_state_field maker_field(struct maker *maker, uint32_t number)
{
    if (maker_below(maker, 2) == 0) { return maker_plain(maker, "f", number, false); }
    struct tg_state_field field = {.name = maker_name(maker, "f", number)};
    field.kind = (enum tg_state_kind)(TG_STATE_DEQUE + maker_below(maker, 3));
    field.element_count = field.kind == TG_STATE_DEQUE ? 1 : 2 + maker_below(maker, 3);
    struct tg_state_field *elements = maker_plains(maker, "x", field.element_count, false);
    if (field.kind == TG_STATE_DEQUE) {
        elements[0].kind = maker_below(maker, 2) == 0 ? TG_STATE_TIMESTAMP : TG_STATE_BIGINT;
        elements[0].scale = 0;
    }
    field.key_count = field.kind == TG_STATE_MAP ? (uint8_t)(1 + maker_below(maker, field.element_count - 1)) : 0;
    field.elements = elements;
    return field;
}
static inline struct tg_state_layout maker_layout(struct maker *maker, enum tg_state_owner owner_kind,
                                                  const char *owner)
{
    struct tg_state_layout layout = {.owner_kind = owner_kind, .owner = owner, .name = "kept", .version = 1};
    layout.key_count = 1 + maker_below(maker, 3);
    struct tg_state_field *keys = maker_plains(maker, "k", layout.key_count, true);
    keys[0].kind = maker_below(maker, 2) == 0 ? TG_STATE_BIGINT : TG_STATE_TIMESTAMP; /* every shard has such keys */
    keys[0].scale = 0;
    layout.keys = keys;
    layout.field_count = 1 + maker_below(maker, 8);
    struct tg_state_field *fields = maker_alloc(maker, layout.field_count * sizeof *fields);
    for (uint32_t i = 0; i < layout.field_count; i++) { fields[i] = maker_field(maker, i); }
    layout.fields = fields;
    return layout;
}

/* ---- values and keys --------------------------------------------------------------------------------------------- */

static inline struct tg_state_scalar maker_scalar(struct maker *maker, const struct tg_state_field *field)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghij";
    struct tg_state_scalar value = {.decimal = 0};
    const uint32_t most = field->kind == TG_STATE_LABEL ? 16 : field->kind == TG_STATE_NAME ? 64 : 30;
    switch (field->kind) {
    case TG_STATE_BOOLEAN: value.number = maker_below(maker, 2); break;
    case TG_STATE_INTEGER:
    case TG_STATE_ENUM:
    case TG_STATE_DATE: value.number = (int32_t)tg_prng_next(&maker->prng); break;
    case TG_STATE_NUMERIC: value.decimal = (tg_dec)(int64_t)tg_prng_next(&maker->prng) * 1000; break;
    case TG_STATE_TEXT:
    case TG_STATE_LABEL:
    case TG_STATE_NAME: value.text = (tg_text){.data = letters, .bytes = maker_below(maker, most)}; break;
    default: value.number = (int64_t)tg_prng_next(&maker->prng); break;
    }
    return value;
}
static inline void maker_value(struct maker *maker, const struct tg_state_layout *layout, struct tg_bytes_out *out,
                               uint32_t elements_max)
{
    for (uint32_t i = 0; i < layout->field_count; i++) {
        const struct tg_state_field *field = &layout->fields[i];
        if (field->kind < TG_STATE_DEQUE) {
            const struct tg_state_scalar value = maker_scalar(maker, field);
            tg_state_scalar_put(out, field, &value);
            continue;
        }
        const uint32_t count = maker_below(maker, elements_max + 1);
        tg_bytes_put_u32(out, count);
        int64_t last = -1000000;
        for (uint32_t j = 0; j < count; j++) {
            for (uint32_t k = 0; k < field->element_count; k++) {
                struct tg_state_scalar value = maker_scalar(maker, &field->elements[k]);
                if (field->kind == TG_STATE_DEQUE) { value.number = last += maker_below(maker, 1000); }
                tg_state_scalar_put(out, &field->elements[k], &value);
            }
        }
    }
}
static inline void maker_key(struct maker *maker, const struct tg_state_layout *layout, struct tg_bytes_out *out)
{
    for (uint32_t i = 0; i < layout->key_count; i++) {
        const struct tg_state_field *field = &layout->keys[i];
        const bool is_null = i > 0 && maker_below(maker, 20) == 0;
        tg_bytes_put_u8(out, !is_null);
        if (is_null) { continue; }
        const struct tg_state_scalar value = maker_scalar(maker, field);
        if (field->kind == TG_STATE_INTEGER || field->kind == TG_STATE_ENUM) {
            tg_bytes_put_i64(out, value.number);
        } else {
            tg_state_scalar_put(out, field, &value);
        }
    }
}

/* ---- state files ------------------------------------------------------------------------------------------------- */

struct made_record {
    enum tg_state_op op;
    uint32_t table;
    struct tg_key key;
    const uint8_t *value;
    uint32_t value_bytes;
};
struct made_file {
    struct tg_state_header header;
    struct tg_state_totals totals;
    uint8_t *data;
    size_t bytes; /* footer included */
    struct made_record *records;
    uint32_t record_count;
};

static inline struct tg_state_header maker_header(struct maker *maker, uint32_t shard, uint32_t shard_count,
                                                  uint64_t epoch, uint64_t previous)
{
    struct tg_state_header header = {
        .job = "job",
        .graph_hash = 0xABCD,
        .epoch = epoch,
        .previous = previous,
        .kind = previous == 0 ? TG_STATE_BASE : TG_STATE_DELTA,
        .shard = shard,
        .shard_count = shard_count,
    };
    (void)maker;
    memset(header.run_id.bytes, 0x5A, sizeof header.run_id.bytes);
    tg_state_group_range(shard, shard_count, &header.group_first, &header.group_last);
    return header;
}

/* A key of the layout that belongs to the shard of the header. */
static inline struct tg_key maker_own_key(struct maker *maker, const struct tg_state_layout *layout,
                                          const struct tg_state_header *header)
{
    for (;;) {
        uint8_t bytes[TG_KEY_BYTES_MAX];
        struct tg_bytes_out out = {.data = bytes, .capacity = sizeof bytes};
        maker_key(maker, layout, &out);
        const uint32_t group = tg_key_group(tg_key_hash(bytes, (uint32_t)out.used));
        if (group < header->group_first || group > header->group_last) { continue; }
        uint8_t *copy = maker_alloc(maker, out.used);
        memcpy(copy, bytes, out.used);
        return (struct tg_key){.data = copy, .bytes = (uint32_t)out.used};
    }
}

static inline void made_append(struct made_file *file, size_t capacity, const void *data, size_t bytes)
{
    if (bytes > capacity - file->bytes) { abort(); }
    memcpy(file->data + file->bytes, data, bytes);
    file->bytes += bytes;
}

/* Records of one table: `count` of them, a tenth removals, values with up to elements_max elements in a container. */
static inline void maker_records(struct maker *maker, struct made_file *file, uint32_t table, uint32_t count,
                                 uint32_t elements_max, size_t capacity)
{
    const struct tg_state_layout *layout = &file->header.tables[table];
    const bool is_large = elements_max > 1000;
    uint8_t *memory = malloc(is_large ? TG_BLOCK_RECORD_BYTES_MAX : TG_BLOCK_BYTES_MAX);
    const size_t value_max = is_large ? TG_BLOCK_RECORD_BYTES_MAX / 2 : TG_BLOCK_BYTES_MAX / 2;
    uint8_t *value = malloc(value_max);
    if (memory == NULL || value == NULL) { abort(); }
    struct tg_block block;
    tg_block_begin(&block, memory, TG_BLOCK_BYTES_MAX, table);
    for (uint32_t i = 0; i < count; i++) {
        struct made_record *record = &file->records[file->record_count++];
        *record = (struct made_record){.op = maker_below(maker, 10) == 0 ? TG_STATE_DEL : TG_STATE_PUT, .table = table};
        record->key = maker_own_key(maker, layout, &file->header);
        struct tg_bytes_out out = {.data = value, .capacity = value_max};
        if (record->op == TG_STATE_PUT) { maker_value(maker, layout, &out, elements_max); }
        if (out.overflow) { abort(); }
        uint8_t *copy = maker_alloc(maker, out.used + 1);
        memcpy(copy, value, out.used);
        record->value = copy;
        record->value_bytes = (uint32_t)out.used;
        for (;;) {
            uint8_t *place = NULL;
            const bool fits = record->op == TG_STATE_PUT
                                  ? (place = tg_block_put(&block, record->key, record->value_bytes)) != NULL
                                  : tg_block_delete(&block, record->key);
            if (place != NULL) { memcpy(place, record->value, record->value_bytes); }
            if (fits) { break; }
            const uint32_t bytes = tg_block_end(&block, &file->header, &file->totals);
            made_append(file, capacity, memory, bytes);
            const uint32_t need = tg_block_bytes(record->key.bytes, record->value_bytes);
            if (need == 0) { abort(); }
            tg_block_begin(&block, memory, need > TG_BLOCK_BYTES_MAX ? need : TG_BLOCK_BYTES_MAX, table);
        }
        if (maker_below(maker, 10) == 0) { /* short blocks, too */
            made_append(file, capacity, memory, tg_block_end(&block, &file->header, &file->totals));
            tg_block_begin(&block, memory, TG_BLOCK_BYTES_MAX, table);
        }
    }
    made_append(file, capacity, memory, tg_block_end(&block, &file->header, &file->totals));
    free(value);
    free(memory);
}

/* The whole file of `header` with `count` records a table; *capacity bytes are reserved for it. */
static inline struct made_file maker_file(struct maker *maker, const struct tg_state_header *header, uint32_t count,
                                          uint32_t elements_max, size_t capacity)
{
    struct made_file file = {.header = *header};
    file.data = maker_alloc(maker, capacity);
    file.records = maker_alloc(maker, (count + 1) * (header->table_count + 1) * sizeof *file.records);
    struct tg_bytes_out out = {.data = file.data, .capacity = capacity};
    if (tg_state_header_encode(&file.header, &out, &file.totals, &maker->err) != TG_OK) { abort(); }
    file.bytes = out.used;
    for (uint32_t i = 0; i < header->table_count; i++) {
        maker_records(maker, &file, i, count, elements_max, capacity);
    }
    uint8_t footer[TG_STATE_FOOTER_BYTES];
    tg_state_footer_encode(&file.header, &file.totals, footer);
    made_append(&file, capacity, footer, sizeof footer);
    return file;
}

#endif
