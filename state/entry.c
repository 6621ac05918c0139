/* Writing goes by a plan, reading field by field. Kinds of fixed width look the same in memory and in records;
 * labels and names lose their unused bytes, containers become a count and their elements. */
#include "state/entry.h"

#include <string.h>

#include "base/assert.h"
#include "state/containers.h"
#include "state/table.h"
#include "state/value.h"

static uint32_t text_bytes(const struct tg_state_field *field, const uint8_t *at)
{
    return at[tg_state_short_text_max(field->kind)];
}

static uint32_t scalar_bytes(const struct tg_state_field *field, const uint8_t *at)
{
    return tg_state_is_short_text(field->kind) ? 1 + text_bytes(field, at) : tg_state_scalar_bytes(field->kind);
}

static uint8_t *scalar_write(const struct tg_state_field *field, const uint8_t *at, uint8_t *out)
{
    uint32_t bytes = tg_state_scalar_bytes(field->kind);
    if (tg_state_is_short_text(field->kind)) {
        bytes = text_bytes(field, at);
        *out++ = (uint8_t)bytes;
    }
    memcpy(out, at, bytes);
    return out + bytes;
}

static void scalar_read(const struct tg_state_field *stored, const struct tg_state_field *now, struct tg_bytes_in *in,
                        uint8_t *at)
{
    struct tg_state_scalar value;
    tg_state_scalar_get(in, stored, &value);
    if (in->wrong != NULL || at == NULL) { return; }
    if (tg_state_is_short_text(now->kind)) {
        TG_ASSERT(value.text.bytes <= tg_state_short_text_max(stored->kind)); /* a name never becomes a label */
        memcpy(at, value.text.data, value.text.bytes);
        at[tg_state_short_text_max(now->kind)] = (uint8_t)value.text.bytes;
    } else if (now->kind == TG_STATE_NUMERIC) {
        memcpy(at, &value.decimal, sizeof value.decimal);
    } else {
        memcpy(at, &value.number, tg_state_scalar_bytes(now->kind)); /* little endian: the low bytes come first */
    }
}

static struct tg_map_shape shape_of(const struct tg_state_field *map)
{
    return (struct tg_map_shape){.key_bytes = map->key_bytes, .value_bytes = map->element_bytes, .align = map->align};
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* Bytes of elements first..last - 1 when all have a fixed width, 0 when one is a text. */
static uint32_t fixed_bytes(const struct tg_state_field *field)
{
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < field->element_count; i++) {
        if (tg_state_is_short_text(field->elements[i].kind)) { return 0; }
        bytes += tg_state_scalar_bytes(field->elements[i].kind);
    }
    return bytes;
}

/* Fields `first` to `last` - 1 of one element. */
static uint64_t part_bytes(const struct tg_state_field *field, uint32_t first, uint32_t last, const uint8_t *part)
{
    uint64_t bytes = 0;
    for (uint32_t i = first; i < last; i++) {
        bytes += scalar_bytes(&field->elements[i], part + field->elements[i].offset);
    }
    return bytes;
}
static uint8_t *part_write(const struct tg_state_field *field, uint32_t first, uint32_t last, const uint8_t *part,
                           uint8_t *out)
{
    for (uint32_t i = first; i < last; i++) {
        out = scalar_write(&field->elements[i], part + field->elements[i].offset, out);
    }
    return out;
}

static uint64_t list_bytes(const struct tg_state_field *field, const struct tg_list *list)
{
    const uint32_t fixed = fixed_bytes(field);
    if (fixed != 0) { return 4 + (uint64_t)fixed * list->count; }
    uint64_t bytes = 4;
    for (uint32_t i = 0; i < list->count; i++) {
        bytes += part_bytes(field, 0, field->element_count, list->elements + (size_t)i * field->element_bytes);
    }
    return bytes;
}

static uint64_t map_bytes(const struct tg_state_field *field, const struct tg_map *map)
{
    const uint32_t fixed = fixed_bytes(field);
    if (fixed != 0) { return 4 + (uint64_t)fixed * map->count; }
    const struct tg_map_shape shape = shape_of(field);
    const void *key;
    void *value;
    uint64_t bytes = 4;
    for (uint32_t s = tg_map_next(map, shape, 0, &key, &value); s != UINT32_MAX;
         s = tg_map_next(map, shape, s + 1, &key, &value)) {
        bytes += part_bytes(field, 0, field->key_count, key);
        bytes += part_bytes(field, field->key_count, field->element_count, value);
    }
    return bytes;
}

void tg_state_plan_make(const struct tg_state_layout *layout, struct tg_state_plan *plan)
{
    TG_ASSERT(layout->field_count <= TG_STATE_FIELDS_MAX);
    plan->fixed_bytes = plan->step_count = 0;
    for (uint32_t i = 0; i < layout->field_count; i++) {
        const struct tg_state_field *field = &layout->fields[i];
        const uint32_t bytes = tg_state_scalar_bytes(field->kind); /* 0: its length is the value's */
        struct tg_state_step *last = plan->step_count == 0 ? NULL : &plan->steps[plan->step_count - 1];
        plan->fixed_bytes += bytes;
        if (bytes != 0 && last != NULL && last->field == NULL && last->offset + last->bytes == field->offset) {
            last->bytes += bytes;
            continue;
        }
        plan->steps[plan->step_count++] =
            (struct tg_state_step){.field = bytes == 0 ? field : NULL, .offset = field->offset, .bytes = bytes};
    }
}

void tg_state_entry_prefetch(const struct tg_state_plan *plan, const void *value)
{
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const struct tg_state_field *field = plan->steps[i].field;
        const uint8_t *at = (const uint8_t *)value + plan->steps[i].offset;
        if (field == NULL) { continue; }
        if (field->kind == TG_STATE_DEQUE) {
            const struct tg_deque_i64 *deque = (const struct tg_deque_i64 *)(const void *)at;
            if (deque->capacity != 0) { __builtin_prefetch(&deque->elements[deque->first]); }
        } else if (field->kind == TG_STATE_LIST) {
            __builtin_prefetch(((const struct tg_list *)(const void *)at)->elements);
        } else if (field->kind == TG_STATE_MAP) {
            __builtin_prefetch(((const struct tg_map *)(const void *)at)->slots);
        }
    }
}

uint64_t tg_state_entry_bytes(const struct tg_state_plan *plan, const void *value)
{
    uint64_t bytes = plan->fixed_bytes;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const struct tg_state_field *field = plan->steps[i].field;
        const uint8_t *at = (const uint8_t *)value + plan->steps[i].offset;
        if (field == NULL) { continue; }
        switch (field->kind) {
        case TG_STATE_DEQUE: bytes += 4 + 8ull * ((const struct tg_deque_i64 *)(const void *)at)->count; break;
        case TG_STATE_LIST: bytes += list_bytes(field, (const struct tg_list *)(const void *)at); break;
        case TG_STATE_MAP: bytes += map_bytes(field, (const struct tg_map *)(const void *)at); break;
        default: bytes += scalar_bytes(field, at);
        }
    }
    return bytes;
}

static uint8_t *count_write(uint32_t count, uint8_t *out)
{
    memcpy(out, &count, sizeof count);
    return out + sizeof count;
}

/* The ring's two stretches, oldest first. */
static uint8_t *deque_write(const struct tg_deque_i64 *deque, uint8_t *out)
{
    const int64_t *elements = deque->capacity == 0 ? deque->inlined : deque->elements;
    const uint32_t capacity = deque->capacity == 0 ? TG_DEQUE_INLINE : deque->capacity;
    const uint32_t to_end = capacity - deque->first;
    const uint32_t first = deque->count < to_end ? deque->count : to_end;
    const size_t first_bytes = first * sizeof(int64_t);
    const size_t rest_bytes = (deque->count - first) * sizeof(int64_t);
    out = count_write(deque->count, out);
    memcpy(out, elements + deque->first, first_bytes);
    memcpy(out + first_bytes, elements, rest_bytes);
    return out + first_bytes + rest_bytes;
}

static uint8_t *list_write(const struct tg_state_field *field, const struct tg_list *list, uint8_t *out)
{
    out = count_write(list->count, out);
    for (uint32_t i = 0; i < list->count; i++) {
        out = part_write(field, 0, field->element_count, list->elements + (size_t)i * field->element_bytes, out);
    }
    return out;
}

static uint8_t *map_write(const struct tg_state_field *field, const struct tg_map *map, uint8_t *out)
{
    const struct tg_map_shape shape = shape_of(field);
    const void *key;
    void *value;
    out = count_write(map->count, out);
    for (uint32_t s = tg_map_next(map, shape, 0, &key, &value); s != UINT32_MAX;
         s = tg_map_next(map, shape, s + 1, &key, &value)) {
        out = part_write(field, 0, field->key_count, key, out);
        out = part_write(field, field->key_count, field->element_count, value, out);
    }
    return out;
}

void tg_state_entry_write(const struct tg_state_plan *plan, const void *value, uint8_t *out)
{
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const struct tg_state_step *step = &plan->steps[i];
        const struct tg_state_field *field = step->field;
        const uint8_t *at = (const uint8_t *)value + step->offset;
        if (field == NULL) {
            memcpy(out, at, step->bytes);
            out += step->bytes;
            continue;
        }
        switch (field->kind) {
        case TG_STATE_DEQUE: out = deque_write((const struct tg_deque_i64 *)(const void *)at, out); break;
        case TG_STATE_LIST: out = list_write(field, (const struct tg_list *)(const void *)at, out); break;
        case TG_STATE_MAP: out = map_write(field, (const struct tg_map *)(const void *)at, out); break;
        default: out = scalar_write(field, at, out);
        }
    }
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* What reading one container needs; `now` is NULL when the field is gone: then it is only walked over. */
struct container {
    const struct tg_state_field *stored;
    const struct tg_state_field *now;
    struct tg_bytes_in *in;
    struct tg_heap *heap;
    uint8_t *at;
    bool *full;
};

static void deque_read(const struct container *c)
{
    const uint32_t count = tg_state_count_get(c->in, c->stored);
    for (uint32_t i = 0; i < count && !*c->full; i++) { /* the count said that all their bytes are there */
        const int64_t element = tg_bytes_get_i64(c->in);
        if (c->now == NULL) { continue; }
        *c->full = !tg_deque_i64_insert((struct tg_deque_i64 *)(void *)c->at, c->heap, element);
    }
}

static void list_read(const struct container *c)
{
    const uint32_t count = tg_state_count_get(c->in, c->stored);
    _Alignas(16) uint8_t element[TG_VALUE_BYTES_MAX];
    for (uint32_t i = 0; i < count && c->in->wrong == NULL && !*c->full; i++) {
        if (c->now != NULL) { memset(element, 0, c->now->element_bytes); }
        for (uint32_t e = 0; e < c->stored->element_count; e++) {
            const struct tg_state_field *now = c->now == NULL ? NULL : &c->now->elements[e];
            scalar_read(&c->stored->elements[e], now, c->in, now == NULL ? NULL : element + now->offset);
        }
        if (c->in->wrong != NULL || c->now == NULL) { continue; }
        struct tg_list *list = (struct tg_list *)(void *)c->at;
        *c->full = tg_list_append(list, c->heap, c->now->element_bytes, element) == NULL;
    }
}

static void map_read(const struct container *c)
{
    const uint32_t count = tg_state_count_get(c->in, c->stored);
    _Alignas(16) uint8_t key[TG_VALUE_BYTES_MAX];
    _Alignas(16) uint8_t value[TG_VALUE_BYTES_MAX];
    for (uint32_t i = 0; i < count && c->in->wrong == NULL && !*c->full; i++) {
        if (c->now != NULL) {
            memset(key, 0, c->now->key_bytes);
            memset(value, 0, c->now->element_bytes);
        }
        for (uint32_t e = 0; e < c->stored->element_count; e++) {
            const struct tg_state_field *now = c->now == NULL ? NULL : &c->now->elements[e];
            uint8_t *part = e < c->stored->key_count ? key : value;
            scalar_read(&c->stored->elements[e], now, c->in, now == NULL ? NULL : part + now->offset);
        }
        if (c->in->wrong != NULL || c->now == NULL) { continue; }
        bool fresh;
        void *place = tg_map_upsert((struct tg_map *)(void *)c->at, c->heap, shape_of(c->now), key, &fresh);
        if (place == NULL) {
            *c->full = true;
        } else if (!fresh) {
            tg_bytes_wrong_at(c->in, c->in->at, "a map's key twice");
        } else {
            memcpy(place, value, c->now->element_bytes);
        }
    }
}

bool tg_state_entry_read(struct tg_state_entry_reading *reading, struct tg_bytes_in *in, void *value)
{
    const struct tg_state_mapping *mapping = reading->mapping;
    bool *full = &reading->full;
    *full = false;
    for (uint32_t i = 0; i < reading->stored->field_count && in->wrong == NULL && !*full; i++) {
        const struct tg_state_field *field = &reading->stored->fields[i];
        const bool gone = !mapping->same && mapping->fate[i] == TG_STATE_GONE;
        const struct tg_state_field *target =
            gone ? NULL : &reading->now->fields[mapping->same ? i : mapping->target[i]];
        uint8_t *at = gone ? NULL : (uint8_t *)value + target->offset;
        const struct container container = {field, target, in, reading->heap, at, full};
        switch (field->kind) {
        case TG_STATE_DEQUE: deque_read(&container); break;
        case TG_STATE_LIST: list_read(&container); break;
        case TG_STATE_MAP: map_read(&container); break;
        default: scalar_read(field, target, in, at);
        }
    }
    if (in->wrong == NULL && !*full && tg_bytes_left(in) != 0) {
        tg_bytes_wrong_at(in, in->at, "bytes behind the value");
    }
    return in->wrong == NULL && !*full;
}

void tg_state_entry_clear(const struct tg_state_layout *layout, void *value, struct tg_heap *heap)
{
    for (uint32_t i = 0; i < layout->field_count; i++) {
        const struct tg_state_field *field = &layout->fields[i];
        void *at = (uint8_t *)value + field->offset;
        switch (field->kind) {
        case TG_STATE_DEQUE: tg_deque_i64_clear(at, heap); break;
        case TG_STATE_LIST: tg_list_clear(at, heap, field->element_bytes); break;
        case TG_STATE_MAP: tg_map_clear(at, heap, shape_of(field)); break;
        default: break;
        }
    }
}
