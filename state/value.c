/* Values and keys as bytes, read without trust. */
#include "state/value.h"

#include "base/limits.h"

uint32_t tg_state_scalar_bytes(enum tg_state_kind kind)
{
    switch (kind) {
    case TG_STATE_BIGINT:
    case TG_STATE_TIMESTAMP:
    case TG_STATE_DURATION: return 8;
    case TG_STATE_INTEGER:
    case TG_STATE_ENUM:
    case TG_STATE_DATE: return 4;
    case TG_STATE_BOOLEAN: return 1;
    case TG_STATE_NUMERIC: return 16;
    default: return 0;
    }
}

static int64_t get_i32(struct tg_bytes_in *in) { return (int32_t)tg_bytes_get_u32(in); }

static void get_text(struct tg_bytes_in *in, size_t at, uint32_t bytes, uint32_t high, struct tg_state_scalar *out)
{
    if (bytes > high) { tg_bytes_wrong_at(in, at, "text longer than its field"); }
    const uint8_t *data = tg_bytes_take(in, bytes);
    if (data != NULL) { out->text = (tg_text){.data = (const char *)data, .bytes = bytes}; }
}

void tg_state_scalar_get(struct tg_bytes_in *in, const struct tg_state_field *field, struct tg_state_scalar *out)
{
    const size_t at = in->at;
    *out = (struct tg_state_scalar){.decimal = 0};
    switch (field->kind) {
    case TG_STATE_BIGINT:
    case TG_STATE_TIMESTAMP:
    case TG_STATE_DURATION: out->number = tg_bytes_get_i64(in); break;
    case TG_STATE_INTEGER:
    case TG_STATE_ENUM:
    case TG_STATE_DATE: out->number = get_i32(in); break;
    case TG_STATE_BOOLEAN:
        out->number = (int64_t)tg_bytes_get_within(in, 1, 0, 1, "a boolean that is neither 0 nor 1");
        break;
    case TG_STATE_NUMERIC: tg_bytes_get(in, &out->decimal, sizeof out->decimal); break;
    case TG_STATE_LABEL:
    case TG_STATE_NAME: get_text(in, at, tg_bytes_get_u8(in), tg_state_short_text_max(field->kind), out); break;
    default: get_text(in, at, tg_bytes_get_u32(in), TG_TEXT_BYTES_MAX, out); break;
    }
}

void tg_state_scalar_put(struct tg_bytes_out *out, const struct tg_state_field *field,
                         const struct tg_state_scalar *value)
{
    const uint32_t bytes = tg_state_scalar_bytes(field->kind);
    if (field->kind == TG_STATE_NUMERIC) {
        tg_bytes_put(out, &value->decimal, bytes);
    } else if (bytes > 0) {
        tg_bytes_put(out, &value->number, bytes);
    } else {
        tg_bytes_put(out, &value->text.bytes, tg_state_is_short_text(field->kind) ? 1 : 4);
        tg_bytes_put(out, value->text.data, value->text.bytes);
    }
}

/* The least an element can take: what bounds a count before it is believed. */
static uint32_t element_bytes_min(const struct tg_state_field *field)
{
    uint32_t least = 0;
    for (uint32_t i = 0; i < field->element_count; i++) {
        const enum tg_state_kind kind = field->elements[i].kind;
        const uint32_t fixed = tg_state_scalar_bytes(kind);
        least += fixed > 0 ? fixed : kind == TG_STATE_TEXT ? 4 : 1;
    }
    return least;
}

uint32_t tg_state_count_get(struct tg_bytes_in *in, const struct tg_state_field *field)
{
    const size_t at = in->at;
    const uint32_t count = tg_bytes_get_u32(in);
    if ((uint64_t)count * element_bytes_min(field) <= tg_bytes_left(in)) { return count; }
    tg_bytes_wrong_at(in, at, "more elements than bytes");
    return 0;
}

static void check_elements(struct tg_bytes_in *in, const struct tg_state_field *field)
{
    const uint32_t count = tg_state_count_get(in, field);
    int64_t last = INT64_MIN;
    for (uint32_t i = 0; in->wrong == NULL && i < count; i++) {
        const size_t at = in->at;
        struct tg_state_scalar value = {.number = 0};
        for (uint32_t j = 0; j < field->element_count; j++) { tg_state_scalar_get(in, &field->elements[j], &value); }
        if (field->kind != TG_STATE_DEQUE) { continue; }
        if (value.number < last) { tg_bytes_wrong_at(in, at, "a deque that does not ascend"); }
        last = value.number;
    }
}

static bool at_end(struct tg_bytes_in *in)
{
    if (tg_bytes_left(in) > 0) { tg_bytes_wrong_at(in, in->at, "bytes behind the last field"); }
    return in->wrong == NULL;
}

bool tg_state_value_check(const struct tg_state_layout *layout, struct tg_bytes_in *in)
{
    struct tg_state_scalar value;
    for (uint32_t i = 0; in->wrong == NULL && i < layout->field_count; i++) {
        if (layout->fields[i].kind >= TG_STATE_DEQUE) {
            check_elements(in, &layout->fields[i]);
        } else {
            tg_state_scalar_get(in, &layout->fields[i], &value);
        }
    }
    return at_end(in);
}

void tg_state_key_get(struct tg_bytes_in *in, const struct tg_state_field *column, bool *is_null,
                      struct tg_state_scalar *out)
{
    *out = (struct tg_state_scalar){.decimal = 0};
    *is_null = tg_bytes_get_within(in, 1, 0, 1, "a presence byte that is neither 0 nor 1") == 0;
    if (*is_null) { return; }
    if (column->kind != TG_STATE_INTEGER && column->kind != TG_STATE_ENUM) {
        tg_state_scalar_get(in, column, out);
        return;
    }
    const size_t at = in->at;
    out->number = tg_bytes_get_i64(in);
    if (out->number != (int32_t)out->number) { tg_bytes_wrong_at(in, at, "an integer beyond 32 bits"); }
}

bool tg_state_key_check(const struct tg_state_layout *layout, struct tg_bytes_in *in)
{
    struct tg_state_scalar value;
    bool is_null;
    for (uint32_t i = 0; in->wrong == NULL && i < layout->key_count; i++) {
        tg_state_key_get(in, &layout->keys[i], &is_null, &value);
    }
    return at_end(in);
}
