/* The operator interface (turgo.h) over a stage. */
#include <string.h>

#include "base/assert.h"
#include "engine/stage.h"

/* Copy one field; the sizes that occur are few and known. Never several at once: fields were written one by one a
 * moment ago, and a load that spans two stores waits until both have left the core's store buffer. */
static inline void copy_field(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
    switch (bytes) {
    case 8: memcpy(to, from, 8); break;
    case 4: memcpy(to, from, 4); break;
    case 1: memcpy(to, from, 1); break;
    case 16: memcpy(to, from, 16); break;
    default: memcpy(to, from, bytes); break;
    }
}

static inline void gather_record(struct tg_ctx *ctx, const struct tg_row *row)
{
    const struct tg_schema *schema = ctx->edge_plan->schema;
    const struct tg_copy *copy = ctx->plan->input_copies;
    const struct tg_copy *const end = copy + ctx->plan->input_copy_count;
    uint8_t *record = ctx->record;
    for (; copy < end; copy++) {
        if (TG_UNLIKELY(tg_row_is_null(schema, row, copy->column))) {
            memset(record + copy->to, 0, copy->bytes);
        } else {
            copy_field(record + copy->to, (const uint8_t *)row + copy->from, copy->bytes);
        }
    }
}

/* A refused row waits here until the dead letters have room. */
static bool retry_refusal(struct tg_ctx *ctx)
{
    if (!tg_stage_refuse(ctx)) { return false; }
    ctx->poisoned = false;
    tg_stage_settle(ctx, ctx->key);
    ctx->row++;
    return true;
}

bool tg_next_row(tg_ctx *ctx, const void **record, void **state, const void **params)
{
    if (ctx->error.status != TG_OK || (ctx->poisoned && !retry_refusal(ctx))) { return false; }
    if (ctx->row == ctx->placed) { return false; }
    tg_stage_look_ahead(ctx, ctx->values, ctx->row, ctx->placed);
    struct tg_key_state *key = ctx->values[ctx->row];
    const struct tg_row *row = tg_batch_row(ctx->batch, ctx->row);
    const int64_t clock = tg_stage_row_clock(ctx, key, row);
    if (!tg_stage_fire(ctx, key, clock) || !tg_stage_has_room(ctx)) { return false; }
    ctx->key = key;
    ctx->cause = row;
    ctx->instant = row->ts;
    ctx->clock = clock;
    ctx->emitted = 0;
    gather_record(ctx, row);
    *record = ctx->record;
    *state = tg_stage_state(ctx, key);
    *params = ctx->plan->params;
    return true;
}

static inline void note_applied(struct tg_ctx *ctx)
{
    struct tg_tally *tally = tg_stage_tally(ctx, ctx->cause);
    tally->applied++;
    if (TG_LIKELY(ctx->plan->audit_offset == 0)) { return; }
    struct tg_audit *audit = tg_stage_audit(ctx, ctx->key);
    const uint64_t uid = tg_uid_of_row(ctx->cause, ctx->edge_plan->from_source);
    audit->rows++;
    audit->sum += uid;
    audit->squares += uid * uid;
    tally->sum += uid;
    tally->squares += uid * uid;
}

void tg_row_done(tg_ctx *ctx, tg_result result)
{
    switch (result) {
    case TG_ROW_OK:
        ctx->key->flags |= TG_KEY_LIVE;
        note_applied(ctx);
        break;
    case TG_ROW_IGNORED:
        tg_stage_tally(ctx, ctx->cause)->ignored++;
        tg_counter_add(&ctx->progress->ignored, 1);
        break;
    case TG_ROW_REFUSED:
        if (!tg_stage_refuse(ctx)) {
            ctx->poisoned = true;
            return;
        }
        break;
    case TG_ROW_FAIL:
        (void)tg_fail(&ctx->error, TG1404, 0, "step %s: operator %s failed", ctx->plan->step->name,
                      ctx->plan->step->op->name);
        return;
    }
    tg_stage_settle(ctx, ctx->key);
    ctx->row++;
}

static void next_revision(struct tg_ctx *ctx)
{
    int64_t *revision = &ctx->key->revision;
    if (ctx->plan->step->op->revision == TG_REVISION_EVENT_TIME) {
        *revision = *revision != TG_TS_MIN && *revision >= ctx->instant ? *revision + 1 : ctx->instant;
    } else {
        *revision = *revision == TG_TS_MIN ? 1 : *revision + 1;
    }
}

/* Fill the head, the record's fields and the key's columns of an output row. Every column is one of these. */
static inline void fill_row(struct tg_ctx *ctx, uint32_t output, const void *fields, struct tg_row *row)
{
    const struct tg_stage_plan *plan = ctx->plan;
    const struct tg_schema *schema = &plan->step->outputs[output];
    const struct tg_copy *copy = plan->output_copies[output];
    const struct tg_copy *const end = copy + plan->output_copy_count[output];
    uint8_t *bytes = (uint8_t *)row;
    *row = (struct tg_row){
        .ts = ctx->instant,
        .wm = ctx->clock,
        .offset = ctx->cause != NULL ? ctx->cause->offset : -1,
        .hash = tg_table_hash(ctx->table, ctx->key),
        .revision = ctx->key->revision,
        .partition = ctx->key->partition,
    };
    for (; copy < end; copy++) { copy_field(bytes + copy->to, (const uint8_t *)fields + copy->from, copy->bytes); }
    const uint32_t nulls_end = schema->nulls_offset + (schema->column_count + 7) / 8;
    for (uint32_t at = schema->nulls_offset; at < nulls_end; at++) { bytes[at] = 0; }
    tg_key_decode(&ctx->edge_plan->key, tg_table_key(ctx->table, ctx->key), schema, row);
}

void tg_emit_row(tg_ctx *ctx, const struct tg_record *record, const void *fields)
{
    const struct tg_step_spec *step = ctx->plan->step;
    uint32_t output = 0;
    while (output < step->op->output_count && step->op->outputs[output] != record) { output++; }
    TG_ASSERT(output < step->op->output_count);
    struct tg_port *port = &ctx->ports[output];
    struct tg_row *row = ++ctx->emitted <= TG_EMIT_ROWS_MAX ? tg_port_claim(port) : NULL;
    if (row != NULL) {
        next_revision(ctx);
        fill_row(ctx, output, fields, row);
        tg_counter_add(&ctx->progress->rows_out, 1);
        if (TG_LIKELY(tg_port_commit(port, ctx->arrived_ns))) { return; }
    }
    (void)tg_fail(&ctx->error, TG1403, 0,
                  "step %s: one callback of operator %s emitted more than %d rows (or 4 batches "
                  "of text); emit fewer, or split them over timers",
                  step->name, step->op->name, TG_EMIT_ROWS_MAX);
}

void tg_timer_arm(tg_ctx *ctx, uint32_t timer, tg_ts at)
{
    TG_ASSERT(timer < ctx->plan->step->op->timer_count);
    ctx->key->timers[timer] = at;
}

void tg_timer_disarm(tg_ctx *ctx, uint32_t timer)
{
    TG_ASSERT(timer < ctx->plan->step->op->timer_count);
    ctx->key->timers[timer] = TG_TS_MAX;
}

tg_ts tg_instant(const tg_ctx *ctx) { return ctx->instant; }

void tg_state_forget(tg_ctx *ctx)
{
    TG_ASSERT(ctx->plan->step->op->may_forget); /* otherwise its revisions would start again */
    ctx->key->flags |= TG_KEY_FORGET;
}

bool tg_deque_insert(tg_ctx *ctx, struct tg_deque_i64 *deque, int64_t element)
{
    return tg_deque_i64_insert(deque, ctx->heap, element);
}

tg_result tg_dead_letter(tg_ctx *ctx, const char *reason)
{
    ctx->refusal = reason;
    return TG_ROW_REFUSED;
}

tg_result tg_state_full(tg_ctx *ctx)
{
    ctx->refusal = NULL;
    return TG_ROW_REFUSED;
}

tg_result tg_fail_job(tg_ctx *ctx, const char *why)
{
    (void)tg_fail(&ctx->error, TG1404, 0, "step %s: %s", ctx->plan->step->name, why);
    return TG_ROW_FAIL;
}
