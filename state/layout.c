/* Layouts: their legality, their stored form (docs/formats/checkpoint.md), and which stored one today's can take. */
#include "state/layout.h"

#include <inttypes.h>
#include <string.h>

const char *tg_state_kind_name(enum tg_state_kind kind)
{
    switch (kind) {
    case TG_STATE_TEXT: return "text";
    case TG_STATE_BIGINT: return "bigint";
    case TG_STATE_INTEGER: return "integer";
    case TG_STATE_BOOLEAN: return "boolean";
    case TG_STATE_TIMESTAMP: return "timestamp";
    case TG_STATE_DATE: return "date";
    case TG_STATE_NUMERIC: return "numeric";
    case TG_STATE_ENUM: return "enum";
    case TG_STATE_JSON: return "json";
    case TG_STATE_DURATION: return "duration";
    case TG_STATE_LABEL: return "label";
    case TG_STATE_NAME: return "name";
    case TG_STATE_DEQUE: return "deque";
    case TG_STATE_LIST: return "list";
    case TG_STATE_MAP: return "map";
    }
    return NULL;
}

/* ---- legality ---------------------------------------------------------------------------------------------------- */

static bool is_container(enum tg_state_kind kind) { return kind >= TG_STATE_DEQUE; }

static const char *names_flaw(const struct tg_state_field *fields, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const char *flaw = tg_bytes_text_flaw(fields[i].name, 1, TG_STATE_NAME_BYTES_MAX);
        if (flaw != NULL) { return flaw; }
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(fields[i].name, fields[j].name) == 0) { return "two fields of one name"; }
        }
    }
    return NULL;
}

static const char *kind_flaw(const struct tg_state_field *field)
{
    if (tg_state_kind_name(field->kind) == NULL) { return "unknown kind of field"; }
    if (field->kind != TG_STATE_NUMERIC) { return field->scale != 0 ? "scale without a numeric" : NULL; }
    return field->scale > 38 && field->scale != TG_STATE_SCALE_NONE ? "scale beyond 38" : NULL;
}

/* Fields that are neither containers nor have what only containers have. */
static const char *plain_flaw(const struct tg_state_field *fields, uint32_t count, bool in_key)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct tg_state_field *field = &fields[i];
        const char *flaw = kind_flaw(field);
        if (flaw != NULL) { return flaw; }
        if (is_container(field->kind)) { return "container where a plain field must be"; }
        if (in_key ? field->kind > TG_STATE_JSON : field->kind == TG_STATE_JSON) { return "kind not allowed here"; }
        if (field->key_count != 0 || field->element_count != 0) { return "elements without a container"; }
    }
    return NULL;
}

static const char *container_flaw(const struct tg_state_field *field)
{
    const bool is_map = field->kind == TG_STATE_MAP;
    const uint32_t count = field->element_count;
    const uint32_t low = is_map ? 2 : 1;
    const uint32_t high = field->kind == TG_STATE_DEQUE ? 1 : TG_STATE_ELEMENTS_MAX;
    if (count < low || count > high) { return "wrong number of element fields"; }
    if (is_map ? field->key_count == 0 || field->key_count >= count : field->key_count != 0) {
        return "wrong number of key fields of a map";
    }
    const char *flaw = plain_flaw(field->elements, count, false);
    if (flaw != NULL) { return flaw; }
    const enum tg_state_kind first = field->elements[0].kind;
    if (field->kind == TG_STATE_DEQUE && first != TG_STATE_TIMESTAMP && first != TG_STATE_BIGINT) {
        return "a deque of something else than timestamps or bigints";
    }
    flaw = names_flaw(field->elements, field->key_count); /* key and value are records of their own */
    return flaw != NULL ? flaw : names_flaw(field->elements + field->key_count, count - field->key_count);
}

static const char *fields_flaw(const struct tg_state_layout *layout)
{
    for (uint32_t i = 0; i < layout->field_count; i++) {
        const struct tg_state_field *field = &layout->fields[i];
        const char *flaw = kind_flaw(field);
        if (flaw == NULL) { flaw = is_container(field->kind) ? container_flaw(field) : plain_flaw(field, 1, false); }
        if (flaw != NULL) { return flaw; }
    }
    return names_flaw(layout->fields, layout->field_count);
}

static const char *layout_flaw(const struct tg_state_layout *layout)
{
    if (layout->owner_kind != TG_STATE_OF_STEP && layout->owner_kind != TG_STATE_OF_SOURCE) { return "unknown owner"; }
    const char *flaw = tg_bytes_text_flaw(layout->owner, 1, TG_STATE_NAME_BYTES_MAX);
    if (flaw == NULL) { flaw = tg_bytes_text_flaw(layout->name, 1, TG_STATE_NAME_BYTES_MAX); }
    if (flaw != NULL) { return flaw; }
    if (layout->key_count < 1 || layout->key_count > TG_STATE_KEYS_MAX) { return "wrong number of key columns"; }
    if (layout->field_count < 1 || layout->field_count > TG_STATE_FIELDS_MAX) { return "wrong number of fields"; }
    flaw = plain_flaw(layout->keys, layout->key_count, true);
    if (flaw == NULL) { flaw = names_flaw(layout->keys, layout->key_count); }
    return flaw != NULL ? flaw : fields_flaw(layout);
}

static const char *owner_word(const struct tg_state_layout *layout)
{
    return layout->owner_kind == TG_STATE_OF_SOURCE ? "source" : "step";
}

tg_status tg_state_layout_check(const struct tg_state_layout *layout, struct tg_error *err)
{
    const char *flaw = layout_flaw(layout);
    if (flaw == NULL) { return TG_OK; }
    return tg_fail(err, TG1519, 0, "state %s of %s %s: %s", layout->name, owner_word(layout), layout->owner, flaw);
}

/* ---- stored form ------------------------------------------------------------------------------------------------- */

static void put_field(struct tg_bytes_out *out, const struct tg_state_field *field)
{
    tg_bytes_put_u8(out, (uint8_t)field->kind);
    tg_bytes_put_u8(out, field->scale);
    tg_bytes_put_u8(out, field->key_count);
    tg_bytes_put_u8(out, 0);
    tg_bytes_put_text(out, field->name);
}

static void put_fields(struct tg_bytes_out *out, const struct tg_state_field *fields, uint32_t count)
{
    tg_bytes_put_u16(out, (uint16_t)count);
    for (uint32_t i = 0; i < count; i++) {
        put_field(out, &fields[i]);
        if (!is_container(fields[i].kind)) { continue; }
        tg_bytes_put_u16(out, (uint16_t)fields[i].element_count);
        for (uint32_t j = 0; j < fields[i].element_count; j++) { put_field(out, &fields[i].elements[j]); }
    }
}

void tg_state_layout_encode(const struct tg_state_layout *layout, struct tg_bytes_out *out)
{
    tg_bytes_put_u8(out, (uint8_t)layout->owner_kind);
    tg_bytes_put_text(out, layout->owner);
    tg_bytes_put_text(out, layout->name);
    tg_bytes_put_u32(out, layout->version);
    put_fields(out, layout->keys, layout->key_count);
    put_fields(out, layout->fields, layout->field_count);
}

static void get_field(struct tg_bytes_in *in, struct tg_arena *arena, struct tg_state_field *field)
{
    const size_t at = in->at;
    field->kind = (enum tg_state_kind)tg_bytes_get_u8(in);
    field->scale = tg_bytes_get_u8(in);
    field->key_count = tg_bytes_get_u8(in);
    (void)tg_bytes_get_within(in, 1, 0, 0, "reserved byte is not 0");
    field->name = tg_bytes_get_text(in, arena, 1, TG_STATE_NAME_BYTES_MAX);
    if (tg_state_kind_name(field->kind) == NULL) { tg_bytes_wrong_at(in, at, "unknown kind of field"); }
}

static const struct tg_state_field *get_fields(struct tg_bytes_in *in, struct tg_arena *arena, uint32_t high,
                                               uint32_t *count)
{
    *count = (uint32_t)tg_bytes_get_within(in, 2, 1, high, "wrong number of fields");
    struct tg_state_field *fields = tg_bytes_array(in, arena, *count, sizeof *fields);
    for (uint32_t i = 0; in->wrong == NULL && i < *count; i++) {
        get_field(in, arena, &fields[i]);
        if (in->wrong != NULL || !is_container(fields[i].kind)) { continue; }
        fields[i].element_count =
            (uint32_t)tg_bytes_get_within(in, 2, 1, TG_STATE_ELEMENTS_MAX, "wrong number of element fields");
        struct tg_state_field *elements = tg_bytes_array(in, arena, fields[i].element_count, sizeof *elements);
        fields[i].elements = elements;
        for (uint32_t j = 0; in->wrong == NULL && j < fields[i].element_count; j++) {
            get_field(in, arena, &elements[j]);
        }
    }
    return fields;
}

bool tg_state_layout_decode(struct tg_bytes_in *in, struct tg_arena *arena, struct tg_state_layout *out)
{
    const size_t at = in->at;
    *out = (struct tg_state_layout){0};
    out->owner_kind = (enum tg_state_owner)tg_bytes_get_u8(in);
    out->owner = tg_bytes_get_text(in, arena, 1, TG_STATE_NAME_BYTES_MAX);
    out->name = tg_bytes_get_text(in, arena, 1, TG_STATE_NAME_BYTES_MAX);
    out->version = tg_bytes_get_u32(in);
    out->keys = get_fields(in, arena, TG_STATE_KEYS_MAX, &out->key_count);
    out->fields = get_fields(in, arena, TG_STATE_FIELDS_MAX, &out->field_count);
    if (in->wrong != NULL) { return false; }
    const char *flaw = layout_flaw(out);
    if (flaw != NULL) { tg_bytes_wrong_at(in, at, flaw); }
    return flaw == NULL;
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static bool same_kinds(const struct tg_state_field *a, uint32_t a_count, const struct tg_state_field *b,
                       uint32_t b_count)
{
    if (a_count != b_count) { return false; }
    for (uint32_t i = 0; i < a_count; i++) {
        if (a[i].kind != b[i].kind || a[i].scale != b[i].scale || a[i].key_count != b[i].key_count) { return false; }
        if (strcmp(a[i].name, b[i].name) != 0) { return false; }
    }
    return true;
}

/* The whole field, elements included. */
static bool same_field(const struct tg_state_field *a, const struct tg_state_field *b)
{
    return same_kinds(a, 1, b, 1) && same_kinds(a->elements, a->element_count, b->elements, b->element_count);
}

bool tg_state_layout_equal(const struct tg_state_layout *a, const struct tg_state_layout *b)
{
    if (a->owner_kind != b->owner_kind || a->version != b->version) { return false; }
    if (strcmp(a->owner, b->owner) != 0 || strcmp(a->name, b->name) != 0) { return false; }
    if (!same_kinds(a->keys, a->key_count, b->keys, b->key_count)) { return false; }
    if (a->field_count != b->field_count) { return false; }
    for (uint32_t i = 0; i < a->field_count; i++) {
        if (!same_field(&a->fields[i], &b->fields[i])) { return false; }
    }
    return true;
}

static tg_status refuse(const struct tg_state_layout *now, struct tg_error *err, const char *what)
{
    return tg_fail(err, TG1519, 0, "state %s of %s %s: %s", now->name, owner_word(now), now->owner, what);
}

static tg_status match_keys(const struct tg_state_layout *stored, const struct tg_state_layout *now,
                            struct tg_error *err)
{
    if (stored->key_count != now->key_count) { return refuse(now, err, "the stored key has other columns"); }
    for (uint32_t i = 0; i < now->key_count; i++) {
        const struct tg_state_field *a = &stored->keys[i];
        const struct tg_state_field *b = &now->keys[i];
        const bool wider = a->kind == TG_STATE_INTEGER && b->kind == TG_STATE_BIGINT;
        if ((a->kind == b->kind && a->scale == b->scale) || wider) { continue; }
        return tg_fail(err, TG1519, 0, "state %s of %s %s: key column %s was stored as %s %s and is %s now", now->name,
                       owner_word(now), now->owner, b->name, tg_state_kind_name(a->kind), a->name,
                       tg_state_kind_name(b->kind));
    }
    return TG_OK;
}

static uint32_t find_field(const struct tg_state_layout *layout, const char *name)
{
    uint32_t i = 0;
    while (i < layout->field_count && strcmp(layout->fields[i].name, name) != 0) { i++; }
    return i;
}

static bool widens(const struct tg_state_field *stored, const struct tg_state_field *now)
{
    return (stored->kind == TG_STATE_INTEGER && now->kind == TG_STATE_BIGINT) ||
           (stored->kind == TG_STATE_LABEL && now->kind == TG_STATE_NAME);
}

static tg_status match_field(const struct tg_state_layout *stored, uint32_t index, const struct tg_state_layout *now,
                             struct tg_state_mapping *out, struct tg_error *err)
{
    const struct tg_state_field *field = &stored->fields[index];
    const uint32_t target = find_field(now, field->name);
    out->fate[index] = TG_STATE_GONE;
    if (target == now->field_count) { return TG_OK; }
    out->target[index] = (uint8_t)target;
    const struct tg_state_field *today = &now->fields[target];
    if (same_field(field, today)) {
        out->fate[index] = TG_STATE_SAME;
    } else if (widens(field, today)) {
        out->fate[index] = TG_STATE_WIDER;
    } else {
        return tg_fail(err, TG1519, 0, "state %s of %s %s: field %s was stored as %s and is %s now%s", now->name,
                       owner_word(now), now->owner, field->name, tg_state_kind_name(field->kind),
                       tg_state_kind_name(today->kind),
                       field->kind != today->kind  ? ""
                       : is_container(today->kind) ? " with other elements"
                                                   : " with another scale");
    }
    return TG_OK;
}

tg_status tg_state_layout_match(const struct tg_state_layout *stored, const struct tg_state_layout *now,
                                struct tg_state_mapping *out, struct tg_error *err)
{
    *out = (struct tg_state_mapping){.same = tg_state_layout_equal(stored, now)};
    if (stored->owner_kind != now->owner_kind || strcmp(stored->owner, now->owner) != 0 ||
        strcmp(stored->name, now->name) != 0) {
        return tg_fail(err, TG1519, 0, "state %s of %s %s: what is stored is state %s of %s %s", now->name,
                       owner_word(now), now->owner, stored->name, owner_word(stored), stored->owner);
    }
    if (stored->version != now->version) {
        return tg_fail(err, TG1519, 0,
                       "state %s of %s %s: version %" PRIu32 " is stored, the operator has version "
                       "%" PRIu32,
                       now->name, owner_word(now), now->owner, stored->version, now->version);
    }
    tg_status status = match_keys(stored, now, err);
    for (uint32_t i = 0; status == TG_OK && i < stored->field_count; i++) {
        status = match_field(stored, i, now, out, err);
    }
    for (uint32_t i = 0; i < now->field_count; i++) {
        if (find_field(stored, now->fields[i].name) == stored->field_count) {
            out->added[out->added_count++] = (uint8_t)i;
        }
    }
    return status;
}
