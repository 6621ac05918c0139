/* Offsets follow the C ABI's natural alignment, so a declaration's text is enough to find every field. */
#include "engine/layout.h"

#include <string.h>

#include "base/assert.h"

static uint32_t align_up(uint32_t value, uint32_t align) { return (value + align - 1) & ~(align - 1); }

uint32_t tg_record_offset(const struct tg_record *record, uint32_t index)
{
    uint32_t offset = 0;
    for (uint32_t i = 0; i <= index; i++) {
        const struct tg_field *field = &record->fields[i];
        offset = align_up(offset, field->align);
        if (i < index) { offset += field->bytes; }
    }
    return offset;
}

uint32_t tg_record_align(const struct tg_record *record)
{
    uint32_t align = 1;
    for (uint32_t i = 0; i < record->field_count; i++) {
        align = record->fields[i].align > align ? record->fields[i].align : align;
    }
    return align;
}

static void check_flat(const struct tg_record *record)
{
    TG_ASSERT(record->field_count >= 1);
    const uint32_t last = record->field_count - 1;
    const uint32_t end = tg_record_offset(record, last) + record->fields[last].bytes;
    TG_ASSERT(align_up(end, tg_record_align(record)) == record->bytes);
}

void tg_record_check(const struct tg_record *record)
{
    check_flat(record);
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct tg_field *field = &record->fields[i];
        TG_ASSERT((field->kind_id == TG_KIND_map) == (field->key != NULL));
        TG_ASSERT((field->kind_id == TG_KIND_map || field->kind_id == TG_KIND_list) == (field->element != NULL));
        if (field->key != NULL) { check_flat(field->key); }
        if (field->element != NULL) { check_flat(field->element); }
    }
}

/* ---- containers -------------------------------------------------------------------------------------------------- */

static bool is_deque(enum tg_kind kind) { return kind == TG_KIND_deque_timestamp || kind == TG_KIND_deque_bigint; }

struct tg_container tg_layout_container(const struct tg_record *state, uint32_t index)
{
    const struct tg_field *field = &state->fields[index];
    struct tg_container container = {
        .kind = field->kind_id, .offset = tg_record_offset(state, index), .element = field->element};
    if (field->kind_id == TG_KIND_list) { container.element_bytes = field->element->bytes; }
    if (field->kind_id == TG_KIND_map) {
        const uint32_t key_align = tg_record_align(field->key);
        const uint32_t value_align = tg_record_align(field->element);
        container.shape = (struct tg_map_shape){
            .key_bytes = field->key->bytes,
            .value_bytes = field->element->bytes,
            .align = key_align > value_align ? key_align : value_align,
        };
    }
    return container;
}

uint32_t tg_layout_containers(const struct tg_record *state, struct tg_container *out, uint32_t *deque_count)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < state->field_count; i++) {
        if (is_deque(state->fields[i].kind_id)) { out[count++] = tg_layout_container(state, i); }
    }
    *deque_count = count;
    for (uint32_t i = 0; i < state->field_count; i++) {
        const enum tg_kind kind = state->fields[i].kind_id;
        if (kind == TG_KIND_list || kind == TG_KIND_map) { out[count++] = tg_layout_container(state, i); }
    }
    return count;
}

void tg_container_clear(const struct tg_container *container, struct tg_heap *heap, void *state)
{
    void *place = (uint8_t *)state + container->offset;
    if (container->kind == TG_KIND_list) {
        tg_list_clear(place, heap, container->element_bytes);
    } else if (container->kind == TG_KIND_map) {
        tg_map_clear(place, heap, container->shape);
    } else {
        tg_deque_i64_clear(place, heap);
    }
}

void tg_layout_clear(const struct tg_container *containers, uint32_t count, struct tg_heap *heap, void *state)
{
    for (uint32_t i = 0; i < count; i++) { tg_container_clear(&containers[i], heap, state); }
}

/* ---- for people -------------------------------------------------------------------------------------------------- */

static void print_fields(const struct tg_record *record, FILE *out)
{
    for (uint32_t i = 0; i < record->field_count; i++) {
        (void)fprintf(out, "%s%s %s", i > 0 ? ", " : "", record->fields[i].name, record->fields[i].kind);
    }
}

/* "map {id label} -> {count bigint, last timestamp}" */
static void print_kind(const struct tg_field *field, FILE *out)
{
    switch (field->kind_id) {
    case TG_KIND_deque_timestamp:
    case TG_KIND_deque_bigint: (void)fprintf(out, "deque of %s, ascending", field->kind + strlen("deque_")); break;
    case TG_KIND_list:
        (void)fprintf(out, "list of %s {", field->element->name);
        print_fields(field->element, out);
        (void)fprintf(out, "}, %u bytes each", field->element->bytes);
        break;
    case TG_KIND_map:
        (void)fprintf(out, "map from %s {", field->key->name);
        print_fields(field->key, out);
        (void)fprintf(out, "} to %s {", field->element->name);
        print_fields(field->element, out);
        (void)fprintf(out, "}, %u + %u bytes each", field->key->bytes, field->element->bytes);
        break;
    default: (void)fputs(field->kind, out); break;
    }
}

void tg_layout_print(const struct tg_operator *op, const char *indent, FILE *out)
{
    const struct tg_record *state = op->state;
    int widest = 0;
    for (uint32_t i = 0; i < state->field_count; i++) {
        const int width = (int)strlen(state->fields[i].name);
        widest = width > widest ? width : widest;
    }
    (void)fprintf(out, "%sstate     %s version %u, %u bytes a key and %u timer%s\n", indent, state->name,
                  state->version, state->bytes, op->timer_count, op->timer_count == 1 ? "" : "s");
    for (uint32_t i = 0; i < state->field_count; i++) {
        (void)fprintf(out, "%s          %-*s  %4u bytes at %-4u  ", indent, widest, state->fields[i].name,
                      state->fields[i].bytes, tg_record_offset(state, i));
        print_kind(&state->fields[i], out);
        (void)fputc('\n', out);
    }
}

static void print_record(const char *what, const struct tg_record *record, FILE *out)
{
    (void)fprintf(out, "  %-8s  %s: ", what, record->name);
    print_fields(record, out);
    (void)fputc('\n', out);
}

void tg_operator_print(const struct tg_operator *op, FILE *out)
{
    (void)fprintf(out, "operator %s  interface %u\n", op->name, op->abi);
    print_record("reads", op->input, out);
    for (uint32_t i = 0; i < op->output_count; i++) { print_record("emits", op->outputs[i], out); }
    print_record("params", op->params, out);
    tg_layout_print(op, "  ", out);
    (void)fprintf(out, "  revision  %s%s\n",
                  op->revision == TG_REVISION_EVENT_TIME ? "by event time" : "counted per key",
                  op->may_forget ? "; forgets keys" : "");
}
