/* Names of the engine's own fields begin with an underscore, so that they cannot meet an operator's. */
#include "engine/checkpoint/state_layout.h"

#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.h"
#include "base/key.h"
#include "engine/dedupe.h"
#include "engine/stage.h"

enum { ENGINE_FIELDS_MAX = 6 }; /* revision, partition, moved, audit */

static enum tg_state_kind kind_of(enum tg_kind kind)
{
    switch (kind) {
    case TG_KIND_text: return TG_STATE_TEXT;
    case TG_KIND_bigint: return TG_STATE_BIGINT;
    case TG_KIND_integer: return TG_STATE_INTEGER;
    case TG_KIND_boolean: return TG_STATE_BOOLEAN;
    case TG_KIND_timestamp: return TG_STATE_TIMESTAMP;
    case TG_KIND_date: return TG_STATE_DATE;
    case TG_KIND_numeric: return TG_STATE_NUMERIC;
    case TG_KIND_enum: return TG_STATE_ENUM;
    case TG_KIND_duration: return TG_STATE_DURATION;
    case TG_KIND_label: return TG_STATE_LABEL;
    case TG_KIND_name: return TG_STATE_NAME;
    case TG_KIND_deque_timestamp:
    case TG_KIND_deque_bigint: return TG_STATE_DEQUE;
    case TG_KIND_list: return TG_STATE_LIST;
    case TG_KIND_map: return TG_STATE_MAP;
    }
    TG_ASSERT(false);
    return TG_STATE_BIGINT;
}

static struct tg_state_field plain_field(const struct tg_field *field, uint32_t offset)
{
    const enum tg_state_kind kind = kind_of(field->kind_id);
    return (struct tg_state_field){
        .name = field->name,
        .kind = kind,
        .scale = kind == TG_STATE_NUMERIC ? TG_STATE_SCALE_NONE : 0,
        .offset = offset,
    };
}

static uint32_t append_record(struct tg_state_field *out, uint32_t count, const struct tg_record *record)
{
    for (uint32_t i = 0; i < record->field_count; i++) {
        out[count++] = plain_field(&record->fields[i], tg_record_offset(record, i));
    }
    return count;
}

/* Fill in what a container holds. False = no memory. */
static bool describe_container(const struct tg_record *state, uint32_t index, struct tg_arena *arena,
                               struct tg_state_field *out)
{
    const struct tg_field *field = &state->fields[index];
    static const struct tg_state_field timestamp_element = {.name = "element", .kind = TG_STATE_TIMESTAMP};
    static const struct tg_state_field bigint_element = {.name = "element", .kind = TG_STATE_BIGINT};
    if (out->kind == TG_STATE_DEQUE) {
        out->element_count = 1;
        out->elements = field->kind_id == TG_KIND_deque_timestamp ? &timestamp_element : &bigint_element;
        return true;
    }
    const uint32_t key_count = field->key != NULL ? field->key->field_count : 0;
    const uint32_t count = key_count + field->element->field_count;
    struct tg_state_field *elements = tg_arena_alloc(arena, count * sizeof *elements, 8);
    if (elements == NULL) { return false; }
    uint32_t made = 0;
    if (field->key != NULL) {
        const struct tg_map_shape shape = tg_layout_container(state, index).shape;
        made = append_record(elements, made, field->key);
        out->key_count = (uint8_t)key_count;
        out->key_bytes = shape.key_bytes;
        out->align = shape.align;
    }
    (void)append_record(elements, made, field->element);
    out->element_bytes = field->element->bytes;
    out->element_count = count;
    out->elements = elements;
    return true;
}

static struct tg_state_field *key_fields(const struct tg_key_spec *spec, bool with_partition, struct tg_arena *arena)
{
    const uint32_t first = with_partition ? 1 : 0;
    struct tg_state_field *keys = tg_arena_alloc(arena, (first + spec->column_count) * sizeof *keys, 8);
    if (keys == NULL) { return NULL; }
    if (with_partition) { keys[0] = (struct tg_state_field){.name = "_partition", .kind = TG_STATE_BIGINT}; }
    for (uint32_t i = 0; i < spec->column_count; i++) {
        const struct tg_column *column = &spec->schema->columns[spec->columns[i]];
        keys[first + i] = (struct tg_state_field){
            .name = column->name, .kind = (enum tg_state_kind)column->type, .scale = column->scale};
    }
    return keys;
}

static const char *timer_name(uint32_t timer, struct tg_arena *arena)
{
    char name[24];
    (void)snprintf(name, sizeof name, "_timer_%u", timer);
    return tg_arena_strdup(arena, name);
}

static tg_status no_memory(const char *owner, struct tg_error *err)
{
    return tg_fail(err, TG1601, 0, "no memory to describe the state of %s", owner);
}

static uint32_t append_audit(struct tg_state_field *fields, uint32_t count, uint32_t offset)
{
    static const char *const names[] = {"_audit_rows", "_audit_sum", "_audit_squares"};
    for (uint32_t i = 0; i < 3; i++) {
        fields[count++] = (struct tg_state_field){
            .name = names[i], .kind = TG_STATE_BIGINT, .offset = offset + i * (uint32_t)sizeof(uint64_t)};
    }
    return count;
}

static tg_status layout_of_step(const struct tg_plan *plan, uint32_t step, struct tg_arena *arena,
                                struct tg_state_layout *out, struct tg_error *err)
{
    const struct tg_stage_plan *stage = &plan->stages[step];
    const struct tg_operator *op = stage->step->op;
    const struct tg_key_spec *key = &plan->edges[step].key;
    const uint32_t count_max = ENGINE_FIELDS_MAX + op->timer_count + op->state->field_count;
    struct tg_state_field *fields = tg_arena_alloc(arena, count_max * sizeof *fields, 8);
    struct tg_state_field *keys = key_fields(key, false, arena);
    if (fields == NULL || keys == NULL) { return no_memory(stage->step->name, err); }
    uint32_t count = 0;
    fields[count++] = (struct tg_state_field){
        .name = "_revision", .kind = TG_STATE_BIGINT, .offset = offsetof(struct tg_key_state, revision)};
    fields[count++] = (struct tg_state_field){
        .name = "_partition", .kind = TG_STATE_INTEGER, .offset = offsetof(struct tg_key_state, partition)};
    fields[count++] = (struct tg_state_field){
        .name = "_moved", .kind = TG_STATE_BOOLEAN, .offset = offsetof(struct tg_key_state, moved)};
    if (stage->audit_offset != 0) { count = append_audit(fields, count, stage->audit_offset); }
    for (uint32_t t = 0; t < op->timer_count; t++) {
        fields[count] = (struct tg_state_field){
            .name = timer_name(t, arena),
            .kind = TG_STATE_TIMESTAMP,
            .offset = (uint32_t)(offsetof(struct tg_key_state, timers) + t * sizeof(int64_t)),
        };
        if (fields[count++].name == NULL) { return no_memory(stage->step->name, err); }
    }
    for (uint32_t i = 0; i < op->state->field_count; i++) {
        const struct tg_field *field = &op->state->fields[i];
        struct tg_state_field *made = &fields[count++];
        *made = plain_field(field, stage->state_offset + tg_record_offset(op->state, i));
        if (made->kind >= TG_STATE_DEQUE && !describe_container(op->state, i, arena, made)) {
            return no_memory(stage->step->name, err);
        }
    }
    *out = (struct tg_state_layout){.owner_kind = TG_STATE_OF_STEP,
                                    .owner = stage->step->name,
                                    .name = op->state->name,
                                    .version = op->state->version,
                                    .key_count = key->column_count,
                                    .keys = keys,
                                    .field_count = count,
                                    .fields = fields};
    return tg_state_layout_check(out, err);
}

static tg_status layout_of_source(const struct tg_source_spec *source, struct tg_arena *arena,
                                  struct tg_state_layout *out, struct tg_error *err)
{
    struct tg_key_spec spec;
    tg_dedupe_key(source, &spec);
    struct tg_state_field *keys = key_fields(&spec, true, arena);
    if (keys == NULL) { return no_memory(source->name, err); }
    *out = (struct tg_state_layout){.owner_kind = TG_STATE_OF_SOURCE,
                                    .owner = source->name,
                                    .name = "dedupe",
                                    .version = 1,
                                    .key_count = spec.column_count + 1,
                                    .keys = keys,
                                    .field_count = 1,
                                    .fields = &tg_dedupe_first_ts};
    return tg_state_layout_check(out, err);
}

tg_status tg_job_tables_make(const struct tg_plan *plan, struct tg_arena *arena, struct tg_job_tables *out,
                             struct tg_error *err)
{
    *out = (struct tg_job_tables){0};
    tg_status status = TG_OK;
    for (uint32_t i = 0; status == TG_OK && i < plan->job->step_count; i++) {
        status = layout_of_step(plan, i, arena, &out->layouts[out->count++], err);
    }
    for (uint32_t i = 0; status == TG_OK && i < plan->job->source_count; i++) {
        out->of_source[i] = UINT32_MAX;
        if (!plan->job->sources[i].has_dedupe) { continue; }
        out->of_source[i] = out->count;
        status = layout_of_source(&plan->job->sources[i], arena, &out->layouts[out->count++], err);
    }
    return status;
}

/* ---- the graph --------------------------------------------------------------------------------------------------- */

static void hash_u8(XXH3_state_t *hash, uint8_t value) { (void)XXH3_64bits_update(hash, &value, sizeof value); }

/* As tg_bytes_put_text writes it. */
static void hash_text(XXH3_state_t *hash, const char *text)
{
    const uint16_t bytes = (uint16_t)strlen(text);
    (void)XXH3_64bits_update(hash, &bytes, sizeof bytes);
    (void)XXH3_64bits_update(hash, text, bytes);
}

static void hash_key(XXH3_state_t *hash, const struct tg_key_spec *key)
{
    for (uint32_t i = 0; i < key->column_count; i++) {
        const struct tg_column *column = &key->schema->columns[key->columns[i]];
        hash_text(hash, column->name);
        hash_u8(hash, (uint8_t)column->type);
    }
}

uint64_t tg_job_graph_hash(const struct tg_plan *plan)
{
    const struct tg_job *job = plan->job;
    XXH3_state_t hash;
    (void)XXH3_64bits_reset(&hash);
    for (uint32_t i = 0; i < job->source_count; i++) {
        struct tg_key_spec identity = {0};
        if (job->sources[i].has_dedupe) { tg_dedupe_key(&job->sources[i], &identity); }
        hash_text(&hash, job->sources[i].name);
        hash_u8(&hash, (uint8_t)identity.column_count);
        hash_key(&hash, &identity);
    }
    for (uint32_t i = 0; i < job->step_count; i++) {
        const struct tg_edge_plan *edge = &plan->edges[i];
        hash_text(&hash, job->steps[i].name);
        hash_text(&hash, job->steps[i].op->name);
        hash_text(&hash, edge->schema->name);
        hash_u8(&hash, edge->from_source);
        hash_key(&hash, &edge->key);
    }
    return XXH3_64bits_digest(&hash);
}
