/* Sinks behind the engine's calls: what a sink sees are rows of its own columns. */
#include "engine/outlet.h"

#include <string.h>

#include "base/assert.h"

void tg_outlet_sink_env(const struct tg_outlet_env *env, struct tg_sink_env *out)
{
    const struct tg_sink_spec *spec = env->plan->sinks[env->sink].spec;
    const struct tg_job *job = env->plan->job;
    *out = (struct tg_sink_env){
        .job_name = job->name,
        .sink_name = spec->name,
        .options = &spec->options,
        .schema = &spec->schema,
        .key_columns = spec->key_columns,
        .key_count = spec->key_count,
        .with_revision = spec->with_revision,
        .version_base = env->version_base,
        .create_tables = env->create_tables,
        .staged = env->staged,
        .resumes = env->resumes,
        .joins = env->joins,
        .generation = env->generation,
        .shard = env->shard,
        .shard_count = env->plan->shard_count,
        .max_keys = job->engine.max_keys,
        .arena = env->arena,
        .loop = env->loop,
        .helper = env->helper,
        .clock = env->clock,
        .shared = env->shared,
    };
}

tg_status tg_outlet_open(struct tg_outlet *outlet, const struct tg_outlet_env *env, struct tg_error *err)
{
    const struct tg_sink_plan *plan = &env->plan->sinks[env->sink];
    *outlet = (struct tg_outlet){.plan = plan, .ops = plan->spec->ops};
    struct tg_sink_env sink_env;
    tg_outlet_sink_env(env, &sink_env);
    outlet->latency = tg_arena_alloc(env->arena, sizeof *outlet->latency, 64);
    outlet->state = tg_arena_alloc(env->arena, outlet->ops->state_bytes(&sink_env), 64);
    uint8_t *rows = tg_arena_alloc(env->arena, (size_t)TG_OUTLET_ROWS * plan->spec->schema.row_bytes, 64);
    if (outlet->latency == NULL || outlet->state == NULL || rows == NULL) {
        return tg_fail(err, TG1601, 0, "no address space for sink %s", plan->spec->name);
    }
    outlet->projected = (struct tg_batch){.schema = &plan->spec->schema, .rows = rows, .capacity = TG_OUTLET_ROWS};
    sink_env.latency = outlet->latency;
    outlet->opened = true; /* close is legal after a failed open */
    return outlet->ops->open(outlet->state, &sink_env, err);
}

static void project_row(const struct tg_sink_plan *plan, const struct tg_row *from, struct tg_row *to)
{
    const struct tg_schema *schema = &plan->spec->schema;
    *to = *from;
    memset((uint8_t *)to + schema->nulls_offset, 0, (schema->column_count + 7) / 8);
    for (uint32_t i = 0; i < plan->copy_count; i++) {
        const struct tg_copy *copy = &plan->copies[i];
        memcpy((uint8_t *)to + copy->to, (const uint8_t *)from + copy->from, copy->bytes);
        if (tg_row_is_null(plan->input, from, copy->column)) { tg_row_set_null(schema, to, i, true); }
    }
}

static void project_batch(struct tg_outlet *outlet, const struct tg_batch *batch, uint32_t from)
{
    struct tg_batch *projected = &outlet->projected;
    const uint32_t left = batch->count - from;
    projected->count = left < projected->capacity ? left : projected->capacity;
    projected->arrived_ns = batch->arrived_ns;
    for (uint32_t i = 0; i < projected->count; i++) {
        project_row(outlet->plan, tg_batch_row(batch, from + i), tg_batch_row(projected, i));
    }
    outlet->projecting = batch;
    outlet->projected_from = from;
}

uint32_t tg_outlet_push(struct tg_outlet *outlet, const struct tg_batch *batch, uint32_t from)
{
    outlet->flushing = false;
    if (outlet->plan->identity) { /* same layout, other names: lend the batch under the sink's schema */
        struct tg_batch view = *batch;
        view.schema = &outlet->plan->spec->schema;
        return outlet->ops->push(outlet->state, &view, from);
    }
    uint32_t taken = 0;
    while (from + taken < batch->count) {
        const uint32_t at = from + taken;
        const bool covered = outlet->projecting == batch && at >= outlet->projected_from &&
                             at < outlet->projected_from + outlet->projected.count;
        if (!covered) { project_batch(outlet, batch, at); }
        const uint32_t offered = at - outlet->projected_from;
        const uint32_t got = outlet->ops->push(outlet->state, &outlet->projected, offered);
        taken += got;
        if (offered + got < outlet->projected.count) { break; }
    }
    if (from + taken == batch->count) { outlet->projecting = NULL; }
    return taken;
}

bool tg_outlet_push_row(struct tg_outlet *outlet, const struct tg_row *row, uint64_t arrived_ns)
{
    struct tg_row *view = tg_batch_row(&outlet->projected, 0);
    project_row(outlet->plan, row, view);
    outlet->projecting = NULL;
    outlet->flushing = false;
    outlet->projected.count = 1;
    outlet->projected.arrived_ns = arrived_ns;
    return outlet->ops->push(outlet->state, &outlet->projected, 0) == 1;
}

uint32_t tg_outlet_poll(struct tg_outlet *outlet, uint64_t now_ns) { return outlet->ops->poll(outlet->state, now_ns); }

bool tg_outlet_cut_done(struct tg_outlet *outlet)
{
    if (outlet->cutting && outlet->ops->flushed(outlet->state)) { outlet->cutting = false; }
    return !outlet->cutting;
}

bool tg_outlet_flush(struct tg_outlet *outlet)
{
    if (!outlet->flushing) {
        /* Else the cut would wait for rows behind it, too, which may wait for the checkpoint. */
        if (!tg_outlet_cut_done(outlet)) { return false; }
        outlet->ops->flush(outlet->state);
        outlet->flushing = true;
    }
    return outlet->ops->flushed(outlet->state);
}

void tg_outlet_cut(struct tg_outlet *outlet)
{
    outlet->epochs++;
    outlet->cutting = true;
    if (outlet->ops->cut != NULL) {
        outlet->ops->cut(outlet->state);
    } else {
        outlet->ops->flush(outlet->state);
    }
}

void tg_outlet_settle(struct tg_outlet *outlet)
{
    if (outlet->ops->settle != NULL) { outlet->ops->settle(outlet->state); }
}

uint32_t tg_outlet_prepare(struct tg_outlet *outlet, uint8_t *out)
{
    return outlet->ops->prepare != NULL ? outlet->ops->prepare(outlet->state, out) : 0;
}

tg_status tg_outlet_failure(struct tg_outlet *outlet, struct tg_error *err)
{
    return outlet->ops->failure(outlet->state, err);
}

void tg_outlet_close(struct tg_outlet *outlet)
{
    if (!outlet->opened) { return; }
    outlet->ops->stats(outlet->state, &outlet->stats);
    outlet->ops->close(outlet->state);
    outlet->opened = false;
}
