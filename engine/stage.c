/* A stage works on one batch at a time: its rows, then its watermarks, then handing on what both made. Each of these
 * phases can stop for want of room and go on later; nothing is done twice. */
#include "engine/stage.h"

#include <string.h>

#include "base/assert.h"
#include "base/json_text.h"
#include "engine/side_outputs.h"

enum { HEAP_BYTES_MIN = 1 << 20 };
#define NO_CLOCK_MOVING UINT32_MAX

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

static struct tg_table_config table_config(const struct tg_stage_plan *plan)
{
    return (struct tg_table_config){
        .entry_count_max = plan->keys_per_shard, .hash_seed = 0x9E3779B97F4A7C15ULL, .value_bytes = plan->value_bytes};
}

static struct tg_wheel_config wheel_config(const struct tg_stage_plan *plan, const struct tg_edge_plan *edge)
{
    return (struct tg_wheel_config){
        .entry_count_max = plan->keys_per_shard,
        .wheel_count = edge->partition_count + 1,
        .node_offset = offsetof(struct tg_key_state, node),
        .tick_bits = TG_WHEEL_TICK_BITS,
    };
}

static uint64_t heap_limit(const struct tg_plan *plan)
{
    const uint64_t share = plan->job->engine.max_state / plan->shard_count / (plan->job->step_count + 1);
    return share < HEAP_BYTES_MIN ? HEAP_BYTES_MIN : share;
}

static uint32_t refusal_text_bytes(const struct tg_schema *schema)
{
    return schema->text_count * TG_TEXT_BYTES_MAX * 6 + TG_TEXT_BYTES_MAX; /* an escape is at most six bytes */
}

size_t tg_stage_bytes(const struct tg_plan *plan, uint32_t step)
{
    const struct tg_stage_plan *stage = &plan->stages[step];
    const struct tg_edge_plan *edge = &plan->edges[step];
    const struct tg_table_config table = table_config(stage);
    const struct tg_wheel_config wheels = wheel_config(stage, edge);
    size_t bytes = tg_table_bytes(&table) + tg_heap_bytes(heap_limit(plan)) + tg_wheel_bytes(&wheels);
    bytes += (edge->partition_count + 1) * (64 + 8 * ((size_t)plan->shard_count + 4));
    bytes += edge->partition_count * 2 * sizeof(struct tg_tally);
    bytes += (size_t)TG_EDGE_ROWS * TG_KEY_BYTES_MAX + refusal_text_bytes(edge->schema) + 65536;
    for (uint32_t o = 0; o < stage->step->op->output_count; o++) {
        const struct tg_batch_config config = {
            .schema = &stage->step->outputs[o], .capacity = TG_BATCH_ROWS_MAX, .has_blob = true};
        bytes += TG_PORT_BATCHES * tg_batch_bytes(&config) + sizeof(struct tg_port) + 4096;
    }
    return bytes;
}

static int64_t *clock_array(uint32_t count, struct tg_arena *arena)
{
    int64_t *clocks = tg_arena_alloc(arena, count * sizeof *clocks, 64);
    for (uint32_t i = 0; clocks != NULL && i < count; i++) { clocks[i] = TG_TS_MIN; }
    return clocks;
}

static tg_status open_state(struct tg_ctx *stage, const struct tg_stage_env *env, struct tg_error *err)
{
    const struct tg_table_config config = table_config(stage->plan);
    const uint32_t clock_count = stage->edge_plan->partition_count + 1;
    tg_status status = tg_heap_create(&stage->heap, heap_limit(env->plan), env->arena, err);
    if (status == TG_OK) { status = tg_table_create(&stage->table, &config, stage->heap, env->arena, err); }
    stage->wheels = tg_arena_alloc(env->arena, clock_count * sizeof *stage->wheels, 64);
    stage->clocks = clock_array(clock_count, env->arena);
    stage->partition_wm = clock_array(clock_count, env->arena);
    stage->channel_count = stage->edge_plan->from_source ? 1 : stage->shard_count;
    stage->cut_clocks = clock_array(clock_count, env->arena);
    stage->channel_wm = clock_array(clock_count * stage->channel_count, env->arena);
    stage->tallies = tg_arena_alloc(env->arena, clock_count * sizeof *stage->tallies, 64);
    stage->cut_tallies = tg_arena_alloc(env->arena, clock_count * sizeof *stage->cut_tallies, 64);
    if (stage->wheels == NULL || stage->clocks == NULL || stage->partition_wm == NULL || stage->channel_wm == NULL ||
        stage->cut_clocks == NULL || stage->tallies == NULL || stage->cut_tallies == NULL) {
        return tg_fail(err, TG1601, 0, "no address space for step %s", stage->plan->step->name);
    }
    if (status != TG_OK) { return status; }
    struct tg_wheel_config wheels = wheel_config(stage->plan, stage->edge_plan);
    wheels.table = stage->table;
    return tg_wheel_create(stage->wheels, &wheels, env->arena, err);
}

tg_status tg_stage_open(struct tg_ctx *stage, const struct tg_stage_env *env, struct tg_error *err)
{
    const struct tg_stage_plan *plan = &env->plan->stages[env->step];
    *stage = (struct tg_ctx){
        .plan = plan,
        .edge_plan = &env->plan->edges[env->step],
        .job_plan = env->plan,
        .edge = env->edge,
        .shard = env->shard,
        .shard_count = env->plan->shard_count,
        .edges = env->edges,
        .dead_letters = env->plan->dead_letters >= 0 ? &env->outlets[env->plan->dead_letters] : NULL,
        .progress = env->progress,
        .real_clock = env->clock,
        .moving = NO_CLOCK_MOVING,
        .fired_until = TG_TS_MIN,
        .text_bytes = refusal_text_bytes(env->plan->edges[env->step].schema),
    };
    tg_status status = open_state(stage, env, err);
    if (status != TG_OK) { return status; }
    const struct tg_operator *op = plan->step->op;
    stage->ports = tg_arena_alloc(env->arena, op->output_count * sizeof *stage->ports, 64);
    stage->key_bytes = tg_arena_alloc(env->arena, (size_t)TG_EDGE_ROWS * TG_KEY_BYTES_MAX, 64);
    stage->record = tg_arena_alloc(env->arena, op->input->bytes, 16);
    stage->text = tg_arena_alloc(env->arena, stage->text_bytes, 64);
    if (stage->ports == NULL || stage->key_bytes == NULL || stage->record == NULL || stage->text == NULL) {
        return tg_fail(err, TG1601, 0, "no address space for step %s", plan->step->name);
    }
    for (uint32_t o = 0; status == TG_OK && o < op->output_count; o++) {
        const struct tg_port_config port = {&plan->step->outputs[o], &plan->readers[o], env->edges, env->outlets};
        status = tg_port_init(&stage->ports[o], &port, env->arena, err);
    }
    return status;
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

void tg_stage_key_fresh(const struct tg_ctx *stage, struct tg_key_state *key)
{
    const struct tg_stage_plan *plan = stage->plan;
    uint8_t *state = (uint8_t *)key + plan->state_offset;
    memset(state, 0, plan->step->op->state->bytes);
    for (uint32_t i = 0; i < plan->ts_min_count; i++) {
        *(int64_t *)(void *)(state + plan->ts_min_offsets[i]) = TG_TS_MIN;
    }
    for (uint32_t t = 0; t < plan->step->op->timer_count; t++) { key->timers[t] = TG_TS_MAX; }
    if (plan->audit_offset != 0) { *tg_stage_audit(stage, key) = (struct tg_audit){0}; }
    key->revision = TG_TS_MIN;
    key->moved = false;
    key->flags &= TG_KEY_DOOMED;
}

static void key_free_containers(struct tg_ctx *stage, struct tg_key_state *key)
{
    tg_layout_clear(stage->plan->containers, stage->plan->container_count, stage->heap, tg_stage_state(stage, key));
}

static struct tg_wheel *key_wheel(const struct tg_ctx *stage, const struct tg_key_state *key)
{
    const bool own = stage->plan->partition_clock && !key->moved;
    return stage->wheels[own ? key->partition - stage->edge_plan->partition_first : stage->edge_plan->partition_count];
}

static void key_doom(struct tg_ctx *stage, struct tg_key_state *key)
{
    if ((key->flags & TG_KEY_DOOMED) != 0) { return; }
    TG_ASSERT(stage->doomed_count < sizeof stage->doomed / sizeof stage->doomed[0]);
    key->flags |= TG_KEY_DOOMED;
    stage->doomed[stage->doomed_count++] = key;
}

/* Remove the keys that no row brought (back) to life. Only when no row of a batch points to them any more. */
static void purge(struct tg_ctx *stage)
{
    for (uint32_t i = 0; i < stage->doomed_count; i++) {
        struct tg_key_state *key = stage->doomed[i];
        key->flags &= (uint8_t)~TG_KEY_DOOMED;
        if ((key->flags & TG_KEY_LIVE) != 0) { continue; }
        tg_wheel_disarm(key_wheel(stage, key), key);
        if (stage->snapshot != NULL) { tg_snapshot_removing(stage->snapshot, key); }
        key_free_containers(stage, key);
        tg_table_remove(stage->table, key);
    }
    stage->doomed_count = 0;
}

void tg_stage_settle(struct tg_ctx *stage, struct tg_key_state *key)
{
    if ((key->flags & TG_KEY_FORGET) != 0) {
        tg_wheel_disarm(key_wheel(stage, key), key); /* before the flags that choose the wheel are gone */
        key_free_containers(stage, key);
        tg_stage_key_fresh(stage, key);
    }
    if ((key->flags & TG_KEY_LIVE) == 0) { key_doom(stage, key); }
    uint32_t timer = 0;
    const int64_t earliest = tg_stage_earliest_timer(stage, key, &timer);
    if (earliest != TG_TS_MAX) {
        tg_wheel_arm(key_wheel(stage, key), key, earliest);
    } else {
        tg_wheel_disarm(key_wheel(stage, key), key);
    }
}

int64_t tg_stage_row_clock(struct tg_ctx *stage, struct tg_key_state *key, const struct tg_row *row)
{
    const uint32_t job_clock = stage->edge_plan->partition_count;
    if (!stage->plan->partition_clock) {
        key->partition = row->partition;
        return stage->clocks[job_clock];
    }
    if (key->partition != row->partition) {
        if ((key->flags & TG_KEY_LIVE) == 0) {
            tg_wheel_disarm(key_wheel(stage, key), key); /* a refused row may have armed it */
            key->partition = row->partition;
            tg_stage_settle(stage, key);
        } else if (!key->moved) {
            tg_wheel_disarm(key_wheel(stage, key), key);
            key->moved = true;
            tg_stage_settle(stage, key);
            tg_counter_add(&stage->progress->moved_keys, 1);
            uint64_t suppressed;
            if (tg_log_allowed(&stage->moved_log, tg_clock_now_ns(&stage->real_clock), &suppressed)) {
                tg_log(
                    TG_LOG_WARN, TG2401, (int)stage->shard, NULL,
                    "step %s: a key came from two partitions although the source says partitioned_by; its timers now "
                    "follow the slowest partition",
                    stage->plan->step->name);
            }
        }
    }
    if (key->moved) { return stage->clocks[job_clock]; }
    const tg_us lateness = stage->plan->step->late == TG_LATE_ACCEPT ? 0 : stage->plan->step->allowed_lateness;
    return row->wm == TG_TS_MIN ? TG_TS_MIN : row->wm - lateness;
}

bool tg_stage_make_room(struct tg_port *port)
{
    (void)tg_port_deliver(port);
    return tg_port_has_room(port);
}

/* Armed again: does its time stand still? The number of those in a row is bounded, for no clock would ever pass them.
 */
static bool comes_to_rest(struct tg_ctx *stage, int64_t at, int64_t clock)
{
    stage->fired_until = stage->instant > stage->fired_until ? stage->instant : stage->fired_until;
    const bool stands = clock == TG_TS_MAX || at <= stage->fired_until;
    stage->fires = stands ? stage->fires + 1 : 0;
    if (stage->fires <= TG_REARM_AT_INFINITY_MAX) { return true; }
    (void)tg_fail(&stage->error, TG1603, 0, "step %s: a key armed its timer more than %d times %s",
                  stage->plan->step->name, TG_REARM_AT_INFINITY_MAX,
                  clock == TG_TS_MAX ? "after the input had ended" : "at or before the instant it fired at");
    return false;
}

bool tg_stage_fire_due(struct tg_ctx *stage, struct tg_key_state *key, int64_t clock)
{
    const struct tg_operator *op = stage->plan->step->op;
    uint32_t timer = 0;
    int64_t at = tg_stage_earliest_timer(stage, key, &timer);
    if (stage->snapshot != NULL) { tg_snapshot_touch(stage->snapshot, key); }
    while (at < clock) {
        if (!tg_stage_has_room(stage)) { return false; }
        stage->key = key;
        stage->cause = NULL;
        stage->instant = at;
        stage->clock = clock;
        stage->emitted = 0;
        key->timers[timer] = TG_TS_MAX;
        const tg_result result = op->on_timer(stage, timer, tg_stage_state(stage, key), stage->plan->params);
        tg_counter_add(&stage->progress->timers_fired, 1);
        if (result == TG_ROW_FAIL || stage->error.status != TG_OK) {
            (void)tg_fail(&stage->error, TG1404, 0, "step %s: timer callback failed", stage->plan->step->name);
            return false;
        }
        if ((key->flags & TG_KEY_FORGET) != 0) { break; }
        at = tg_stage_earliest_timer(stage, key, &timer);
        if (at < clock && !comes_to_rest(stage, at, clock)) { return false; }
    }
    stage->fires = 0;
    stage->fired_until = TG_TS_MIN;
    tg_stage_settle(stage, key);
    return true;
}

/* ----------------------------------------------------------------------------------------------------------------- */

bool tg_stage_refuse(struct tg_ctx *stage)
{
    const struct tg_row *row = tg_batch_row(stage->batch, stage->row);
    const struct tg_job *job = stage->job_plan->job;
    uint32_t source = 0;
    for (uint32_t s = 0; s < job->source_count; s++) {
        if (row->partition >= stage->job_plan->partition_first[s]) { source = s; }
    }
    if (stage->dead_letters != NULL) {
        struct tg_writer writer = {.data = stage->text, .capacity = stage->text_bytes};
        tg_write_json_row(&writer, stage->edge_plan->schema, row, false);
        TG_ASSERT(!writer.overflow);
        const struct tg_dead_letter letter = {
            .topic = job->sources[source].topic,
            .partition = row->partition - stage->job_plan->partition_first[source],
            .offset = row->offset,
            .reason = stage->refusal != NULL ? stage->refusal : tg_reason_name(TG_REASON_state_full),
            .raw = (const uint8_t *)stage->text,
            .raw_bytes = writer.used,
            .time = job->replay ? TG_TS_MIN : tg_clock_wall_us(&stage->real_clock),
        };
        struct tg_side_row side;
        tg_dead_letter_row(&letter, NULL, 0, &side); /* row texts are UTF-8: no base64 */
        if (!tg_outlet_takes(stage->dead_letters, stage->epochs) ||
            !tg_outlet_push_row(stage->dead_letters, &side.head, stage->batch->arrived_ns)) {
            return false;
        }
    }
    tg_stage_tally(stage, row)->refused++;
    tg_counter_add(&stage->progress->dead[stage->refusal != NULL ? TG_REASON_operator_refused : TG_REASON_state_full],
                   1);
    return true;
}

/* ----------------------------------------------------------------------------------------------------------------- */

static void encode_keys(struct tg_ctx *stage)
{
    const struct tg_batch *batch = stage->batch;
    uint8_t *out = stage->key_bytes;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct tg_row *row = tg_batch_row(batch, i);
        const uint32_t bytes = tg_key_encode(&stage->edge_plan->key, row, out, TG_KEY_BYTES_MAX);
        TG_DCHECK(bytes != 0); /* the sender has hashed the same bytes */
        stage->keys[i] = (struct tg_key){out, bytes};
        stage->hashes[i] = row->hash;
        out += bytes;
    }
}

/* Find or make the state of rows `from`.. of the batch; `one` bounds it to a single row. */
static void place(struct tg_ctx *stage, uint32_t from, bool one)
{
    uint64_t fresh[TG_EDGE_ROWS / 64 + 1];
    const uint32_t count = one ? 1 : stage->batch->count - from;
    memset(fresh, 0, sizeof fresh);
    const uint32_t placed =
        tg_table_upsert(stage->table, count, &stage->keys[from], &stage->hashes[from], &stage->values[from], fresh);
    for (uint32_t i = 0; i < placed; i++) {
        struct tg_key_state *key = stage->values[from + i];
        if (((fresh[i >> 6] >> (i & 63)) & 1) == 0) {
            if (stage->snapshot != NULL) { tg_snapshot_touch(stage->snapshot, key); }
            continue;
        }
        tg_stage_key_fresh(stage, key);
        key->partition = tg_batch_row(stage->batch, from + i)->partition;
        if (stage->snapshot != NULL) { tg_snapshot_born(stage->snapshot, key); }
        key_doom(stage, key); /* unless a row brings it to life */
    }
    stage->placed = from + placed;
}

static void begin_batch(struct tg_ctx *stage, struct tg_batch *batch, uint32_t from)
{
    stage->batch = batch;
    stage->from = from;
    stage->row = 0;
    stage->placed = 0;
    stage->wm_index = 0;
    stage->due_count = 0;
    stage->due_next = 0;
    stage->moving = NO_CLOCK_MOVING;
    stage->phase = TG_STAGE_ROWS;
    stage->arrived_ns = batch->arrived_ns;
    if (batch->count != 0) {
        encode_keys(stage);
        place(stage, 0, false);
    }
}

/* True when every row has been applied or refused. A key without room ends the placing of a batch: from there on rows
 * are placed one by one, for the keys that have state already go on. */
static bool work_rows(struct tg_ctx *stage)
{
    const uint32_t count = stage->batch->count;
    while (stage->row < count) {
        if (stage->row >= stage->placed) { place(stage, stage->row, true); }
        if (stage->row == stage->placed) {
            stage->refusal = NULL;
            if (!tg_stage_refuse(stage)) { return false; }
            stage->row++;
            continue;
        }
        stage->plan->step->op->on_batch(stage);
        if (stage->error.status != TG_OK || stage->row < stage->placed) { return false; }
    }
    purge(stage);
    if (count != 0) {
        const uint64_t now_ns = tg_clock_now_ns(&stage->real_clock);
        tg_histogram_record(&stage->progress->process, now_ns - stage->arrived_ns, count);
    }
    return true;
}

/* ----------------------------------------------------------------------------------------------------------------- */

static int64_t wm_minus_lateness(const struct tg_ctx *stage, int64_t wm)
{
    if (wm == TG_TS_MIN || wm == TG_TS_MAX || stage->plan->step->late == TG_LATE_ACCEPT) { return wm; }
    return wm - stage->plan->step->allowed_lateness;
}

/* Take in one watermark; sets clocks[] of its partition and of the job. */
static void take_wm(struct tg_ctx *stage, const struct tg_wm *wm)
{
    const uint32_t partition_count = stage->edge_plan->partition_count;
    const uint32_t p = wm->partition - stage->edge_plan->partition_first;
    TG_ASSERT(p < partition_count);
    const uint32_t channel = stage->channel_count == 1 ? 0 : stage->from;
    int64_t *own = &stage->channel_wm[(size_t)channel * partition_count + p];
    if (wm->wm <= *own) { return; }
    *own = wm->wm;
    int64_t minimum = wm->wm;
    for (uint32_t c = 0; c < stage->channel_count; c++) {
        const int64_t other = stage->channel_wm[(size_t)c * partition_count + p];
        minimum = other < minimum ? other : minimum;
    }
    stage->partition_wm[p] = minimum;
    const int64_t clock = wm_minus_lateness(stage, minimum);
    if (clock > stage->clocks[p]) { stage->clocks[p] = clock; }
    int64_t job = TG_TS_MAX;
    for (uint32_t i = 0; i < partition_count; i++) { job = stage->clocks[i] < job ? stage->clocks[i] : job; }
    if (job > stage->clocks[partition_count]) { stage->clocks[partition_count] = job; }
}

/* Fire every key that clock `index` has passed; false = blocked or failed. */
static bool fire_due(struct tg_ctx *stage, uint32_t index)
{
    const uint32_t chunk = sizeof stage->due / sizeof stage->due[0];
    for (;;) {
        for (; stage->due_next < stage->due_count; stage->due_next++) {
            tg_stage_look_ahead(stage, stage->due, stage->due_next, stage->due_count);
            if (!tg_stage_fire(stage, stage->due[stage->due_next], stage->clocks[index])) { return false; }
        }
        purge(stage);
        stage->due_next = 0;
        stage->due_count = tg_wheel_expire(stage->wheels[index], stage->clocks[index], stage->due, chunk);
        if (stage->due_count == 0) { return true; }
    }
}

/* True when all watermarks of the batch have been taken and what they caused has fired. */
static bool work_clocks(struct tg_ctx *stage)
{
    const uint32_t job_clock = stage->edge_plan->partition_count;
    for (; stage->wm_index < stage->batch->wm_count; stage->wm_index++) {
        const struct tg_wm *wm = &stage->batch->wms[stage->wm_index];
        if (stage->moving == NO_CLOCK_MOVING) {
            take_wm(stage, wm);
            stage->arrived_ns = tg_clock_now_ns(&stage->real_clock); /* of rows that timers make */
            stage->moving = wm->partition - stage->edge_plan->partition_first;
        }
        if (stage->moving != job_clock) {
            if (!fire_due(stage, stage->moving)) { return false; }
            stage->moving = job_clock;
        }
        if (!fire_due(stage, job_clock)) { return false; }
        stage->moving = NO_CLOCK_MOVING;
    }
    return true;
}

/* ----------------------------------------------------------------------------------------------------------------- */

static bool deliver_all(struct tg_ctx *stage)
{
    bool empty = true;
    for (uint32_t o = 0; o < stage->plan->step->op->output_count; o++) {
        empty = tg_port_deliver(&stage->ports[o]) && empty;
    }
    return empty;
}

/* The rows a clock caused are on their way; now the clock itself may go. */
static void forward_clocks(struct tg_ctx *stage)
{
    const struct tg_batch *batch = stage->batch;
    for (uint32_t o = 0; o < stage->plan->step->op->output_count; o++) {
        const struct tg_readers *readers = &stage->plan->readers[o];
        for (uint32_t e = 0; e < readers->edge_count; e++) {
            struct tg_edge_out *out = &stage->edges[readers->edges[e]];
            for (uint32_t i = 0; i < batch->wm_count; i++) {
                const uint32_t p = batch->wms[i].partition - stage->edge_plan->partition_first;
                if (stage->clocks[p] != TG_TS_MIN) { tg_edge_out_wm(out, batch->wms[i].partition, stage->clocks[p]); }
            }
        }
    }
}

static uint32_t flush_edges(struct tg_ctx *stage, bool end)
{
    uint32_t sent = 0;
    for (uint32_t o = 0; o < stage->plan->step->op->output_count; o++) {
        const struct tg_readers *readers = &stage->plan->readers[o];
        for (uint32_t e = 0; e < readers->edge_count; e++) {
            if (end) { tg_edge_out_end(&stage->edges[readers->edges[e]]); }
            sent += tg_edge_out_flush(&stage->edges[readers->edges[e]], 0);
        }
    }
    return sent;
}

/* Work on the batch in hand; false = blocked. */
static bool work(struct tg_ctx *stage)
{
    if (stage->phase == TG_STAGE_ROWS) {
        if (!work_rows(stage)) { return false; }
        stage->phase = TG_STAGE_CLOCKS;
    }
    if (stage->phase == TG_STAGE_CLOCKS) {
        if (!work_clocks(stage)) { return false; }
        stage->phase = TG_STAGE_DELIVER;
    }
    if (!deliver_all(stage)) { return false; }
    forward_clocks(stage);
    if ((stage->batch->flags & TG_BATCH_END) != 0) { stage->ended |= 1ULL << stage->from; }
    if ((stage->batch->flags & TG_BATCH_BARRIER) != 0) { stage->aligned |= 1ULL << stage->from; }
    tg_batch_reset(stage->batch);
    tg_edge_in_return(stage->edge, stage->shard, stage->from, stage->batch);
    stage->batch = NULL;
    stage->phase = TG_STAGE_IDLE;
    return true;
}

uint32_t tg_stage_poll(struct tg_ctx *stage, uint64_t now_ns, uint32_t budget)
{
    (void)now_ns;
    if (stage->error.status != TG_OK) { return 0; }
    if (stage->cut == TG_CUT_PASSING) { tg_stage_pass_barrier(stage); }
    if (stage->cut == TG_CUT_PASSING) { return 0; }
    if (stage->end_sent) {
        if (tg_stage_may_cut(stage)) { tg_stage_cut(stage); }
        return flush_edges(stage, true);
    }
    uint32_t done = 0;
    bool blocked = stage->phase != TG_STAGE_IDLE && !work(stage);
    for (uint32_t k = 0; !blocked && k < stage->shard_count; k++) {
        const uint32_t from = (stage->shard + stage->turn + k) % stage->shard_count;
        struct tg_batch *batch = NULL;
        for (uint32_t i = 0; !blocked && i < budget && (stage->aligned >> from & 1) == 0 &&
                             (batch = tg_edge_in_pop(stage->edge, stage->shard, from)) != NULL;
             i++) {
            begin_batch(stage, batch, from);
            blocked = !work(stage);
            done++;
        }
        if (blocked) { stage->turn = (stage->turn + k + 1) % stage->shard_count; }
    }
    if (blocked) {
        tg_counter_add(&stage->progress->blocked, 1);
        return done + flush_edges(stage, false);
    }
    stage->turn = 0;
    if (tg_stage_may_cut(stage)) {
        tg_stage_cut(stage);
        return done + 1;
    }
    if (stage->ended == tg_stage_all_channels(stage)) { stage->end_sent = true; }
    return done + flush_edges(stage, stage->end_sent);
}

bool tg_stage_ended(const struct tg_ctx *stage) { return stage->end_sent && tg_stage_edges_clean(stage); }
