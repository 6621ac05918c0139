/* Stages, edges and the byte copies between rows, operator records and sink rows. */
#include "engine/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "engine/config/params.h"
#include "engine/stage.h"

static_assert(sizeof(struct tg_key_state) + TG_TIMERS_MAX * sizeof(int64_t) + sizeof(struct tg_audit) + 16 +
                      TG_STATE_BYTES_MAX <=
                  TG_VALUE_BYTES_MAX,
              "the largest state fits a slot with every timer");

static uint32_t align_up(uint32_t value, uint32_t align) { return (value + align - 1) & ~(align - 1); }

static tg_status plan_input(struct tg_stage_plan *stage, const struct tg_schema *input, struct tg_error *err)
{
    const struct tg_record *record = stage->step->op->input;
    for (uint32_t i = 0; i < record->field_count; i++) {
        const int column = tg_schema_find(input, record->fields[i].name);
        if (column < 0) {
            return tg_fail(err, TG1102, 0, "step %s: operator %s reads \"%s\", which %s does not have",
                           stage->step->name, stage->step->op->name, record->fields[i].name, input->name);
        }
        stage->input_copies[stage->input_copy_count++] = (struct tg_copy){
            .from = input->columns[column].offset,
            .to = tg_record_offset(record, i),
            .bytes = record->fields[i].bytes,
            .column = (uint32_t)column,
        };
    }
    return TG_OK;
}

static void plan_output(struct tg_stage_plan *stage, uint32_t output)
{
    const struct tg_record *record = stage->step->op->outputs[output];
    const struct tg_schema *schema = &stage->step->outputs[output];
    TG_ASSERT(schema->column_count == stage->step->key_count + record->field_count);
    for (uint32_t i = 0; i < record->field_count; i++) {
        const uint32_t column = stage->step->key_count + i;
        stage->output_copies[output][stage->output_copy_count[output]++] = (struct tg_copy){
            .from = tg_record_offset(record, i),
            .to = schema->columns[column].offset,
            .bytes = record->fields[i].bytes,
            .column = column,
        };
    }
}

static void plan_state(struct tg_stage_plan *stage, bool audit)
{
    const struct tg_operator *op = stage->step->op;
    /* A state with numeric fields is aligned to 16: compilers move those with instructions that insist on it. */
    const uint32_t align = tg_record_align(op->state) > 8 ? tg_record_align(op->state) : 8;
    const uint32_t timers_end = (uint32_t)(sizeof(struct tg_key_state) + op->timer_count * sizeof(int64_t));
    stage->audit_offset = audit ? timers_end : 0;
    stage->state_offset = align_up(timers_end + (audit ? (uint32_t)sizeof(struct tg_audit) : 0), align);
    stage->value_bytes = stage->state_offset + op->state->bytes;
    for (uint32_t i = 0; i < op->state->field_count; i++) {
        const struct tg_field *field = &op->state->fields[i];
        const uint32_t offset = tg_record_offset(op->state, i);
        if (field->kind_id == TG_KIND_timestamp) { stage->ts_min_offsets[stage->ts_min_count++] = offset; }
    }
    stage->container_count = tg_layout_containers(op->state, stage->containers, &stage->deque_count);
}

static const struct tg_schema *input_schema(const struct tg_job *job, const struct tg_input_ref *from)
{
    return from->is_source ? &job->sources[from->index].schema : &job->steps[from->index].outputs[from->output];
}

static struct tg_readers *readers_of(struct tg_plan *plan, const struct tg_input_ref *from)
{
    return from->is_source ? &plan->source_readers[from->index] : &plan->stages[from->index].readers[from->output];
}

static tg_status plan_step(struct tg_plan *plan, uint32_t index, struct tg_error *err)
{
    const struct tg_step_spec *step = &plan->job->steps[index];
    struct tg_stage_plan *stage = &plan->stages[index];
    struct tg_edge_plan *edge = &plan->edges[index];
    stage->step = step;
    stage->partition_clock = tg_step_on_partition_clock(plan->job, step);
    stage->keys_per_shard = plan->job->engine.max_keys / plan->shard_count + 1;
    edge->schema = input_schema(plan->job, &step->from);
    edge->key.schema = edge->schema;
    edge->key.column_count = step->key_count;
    memcpy(edge->key.columns, step->key, sizeof step->key[0] * step->key_count);
    edge->from_source = step->from.is_source;
    if (step->from.is_source) {
        edge->partition_first = plan->partition_first[step->from.index];
        edge->partition_count = plan->source_partitions[step->from.index];
    } else { /* inputs come first, so the upstream edge is planned already */
        TG_ASSERT(step->from.index < index);
        edge->partition_first = plan->edges[step->from.index].partition_first;
        edge->partition_count = plan->edges[step->from.index].partition_count;
    }
    stage->params = tg_arena_alloc(&plan->arena, step->op->params->bytes, 16);
    if (stage->params == NULL) { return tg_fail(err, TG1601, 0, "no memory for the plan"); }
    tg_params_build(step, stage->params);
    const tg_status status = plan_input(stage, edge->schema, err);
    if (status != TG_OK) { return status; }
    for (uint32_t o = 0; o < step->op->output_count; o++) { plan_output(stage, o); }
    plan_state(stage, plan->job->engine.audit);
    struct tg_readers *readers = readers_of(plan, &step->from);
    readers->edges[readers->edge_count++] = index;
    return TG_OK;
}

static void plan_sink(struct tg_plan *plan, const struct tg_sink_spec *spec, const struct tg_schema *input)
{
    struct tg_sink_plan *sink = &plan->sinks[plan->sink_count++];
    sink->spec = spec;
    sink->input = input;
    sink->identity = spec->schema.row_bytes == input->row_bytes && spec->schema.column_count == input->column_count;
    for (uint32_t i = 0; i < spec->schema.column_count; i++) {
        const struct tg_column *from = &input->columns[spec->columns[i]];
        const struct tg_column *to = &spec->schema.columns[i];
        TG_ASSERT(from->type == to->type);
        sink->identity = sink->identity && spec->columns[i] == i && from->offset == to->offset;
        sink->copies[sink->copy_count++] = (struct tg_copy){
            .from = from->offset,
            .to = to->offset,
            .bytes = tg_type_bytes(to->type),
            .column = spec->columns[i],
        };
    }
}

static tg_status plan_all(struct tg_plan *plan, struct tg_error *err)
{
    const struct tg_job *job = plan->job;
    for (uint32_t i = 0; i < job->step_count; i++) {
        const tg_status status = plan_step(plan, i, err);
        if (status != TG_OK) { return status; }
    }
    for (uint32_t i = 0; i < job->sink_count; i++) {
        const struct tg_sink_spec *spec = &job->sinks[i];
        struct tg_readers *readers = readers_of(plan, &spec->from);
        readers->sinks[readers->sink_count++] = plan->sink_count;
        plan_sink(plan, spec, input_schema(job, &spec->from));
    }
    plan->dead_letters = -1;
    plan->late = -1;
    if (job->dead_letters != NULL) {
        plan->dead_letters = (int)plan->sink_count;
        plan_sink(plan, job->dead_letters, tg_dead_letter_schema());
    }
    if (job->late != NULL) {
        plan->late = (int)plan->sink_count;
        plan_sink(plan, job->late, tg_late_schema());
    }
    return TG_OK;
}

tg_status tg_plan_create(struct tg_plan **out, const struct tg_job *job, uint32_t shard_count,
                         const uint32_t *source_partitions, struct tg_error *err)
{
    TG_ASSERT(shard_count >= 1 && shard_count <= TG_SHARDS_MAX);
    struct tg_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) { return tg_fail(err, TG1601, 0, "no memory for the plan"); }
    plan->job = job;
    plan->shard_count = shard_count;
    for (uint32_t i = 0; i < job->source_count; i++) {
        plan->partition_first[i] = plan->partition_count;
        plan->source_partitions[i] = source_partitions[i];
        plan->partition_count += source_partitions[i];
    }
    tg_status status = tg_arena_open(&plan->arena, 16 << 20, err);
    if (status == TG_OK) { status = plan_all(plan, err); }
    if (status != TG_OK) {
        tg_plan_destroy(plan);
        return status;
    }
    *out = plan;
    return TG_OK;
}

void tg_plan_destroy(struct tg_plan *plan)
{
    tg_arena_close(&plan->arena);
    free(plan);
}

/* What step `index` alone looks back upon: its operator's reach, and rows that may still come late. */
static tg_us step_horizon(const struct tg_plan *plan, uint32_t index, tg_us delay)
{
    const struct tg_step_spec *step = &plan->job->steps[index];
    const tg_us reach = step->op->horizon != NULL ? step->op->horizon(plan->stages[index].params, delay) : 0;
    return reach + (step->late == TG_LATE_ACCEPT ? 0 : step->allowed_lateness);
}

tg_us tg_plan_horizon(const struct tg_plan *plan, uint32_t source)
{
    const struct tg_job *job = plan->job;
    const tg_us delay = job->sources[source].watermark_delay;
    tg_us horizons[TG_STEPS_MAX]; /* of each step with the steps in front of it */
    tg_us longest = delay;
    for (uint32_t i = 0; i < job->step_count; i++) { /* inputs come first */
        const struct tg_input_ref *from = &job->steps[i].from;
        horizons[i] = step_horizon(plan, i, delay) + (from->is_source ? 0 : horizons[from->index]);
        longest = horizons[i] > longest ? horizons[i] : longest;
    }
    return longest;
}
