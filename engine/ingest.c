/* One record after the other through the checks, in the order of the rules. Work stops between two records when
 * somebody has no room, and goes on there: `next_row`, `phase` and `next_edge` say where. */
#include "engine/ingest.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "engine/side_outputs.h"

enum {
    SIDE_TEXT_BYTES = TG_RECORD_BYTES_MAX / 3 * 4 + 16, /* base64 of the longest record; committed by touch */
    FLUSH_ROWS = 256,                                   /* a batch worth sending before the input pauses */
};
#define FLUSH_AGE_NS 500000u

size_t tg_ingest_bytes(const struct tg_plan *plan, uint32_t source)
{
    const struct tg_source_spec *spec = &plan->job->sources[source];
    const uint32_t partitions = plan->source_partitions[source];
    return (size_t)TG_BATCH_ROWS_MAX * (spec->schema.row_bytes + sizeof(struct tg_decoded)) + SIDE_TEXT_BYTES +
           partitions * (sizeof(struct tg_partition) + 64) +
           tg_dedupe_bytes(spec, plan->job->engine.max_keys, partitions + 1) + (64 << 20);
}

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

static tg_status own_partitions(struct tg_ingest *ingest, const struct tg_ingest_env *env, struct tg_error *err)
{
    const uint32_t count = env->plan->source_partitions[env->source];
    const uint32_t first = env->plan->partition_first[env->source];
    ingest->owned = tg_arena_alloc(env->arena, count * sizeof *ingest->owned, 8);
    ingest->owned_index = tg_arena_alloc(env->arena, count * sizeof *ingest->owned_index, 8);
    ingest->partitions = tg_arena_alloc(env->arena, count * sizeof *ingest->partitions, 64);
    ingest->positions = tg_arena_alloc(env->arena, count * sizeof *ingest->positions, 8);
    if (ingest->positions == NULL || ingest->owned == NULL || ingest->owned_index == NULL ||
        ingest->partitions == NULL) {
        return tg_fail(err, TG1601, 0, "no address space for partitions");
    }
    for (uint32_t p = 0; p < count; p++) {
        ingest->owned_index[p] = UINT32_MAX;
        if (p % env->plan->shard_count != env->shard) { continue; }
        ingest->owned_index[p] = ingest->owned_count;
        ingest->owned[ingest->owned_count] = p;
        struct tg_partition *partition = &ingest->partitions[ingest->owned_count];
        tg_partition_init(partition, &env->published[first + p]);
        const struct tg_manifest_partition *saved = env->saved != NULL ? &env->saved[p] : NULL;
        if (saved != NULL) { tg_partition_restore(partition, saved, tg_clock_wall_us(&env->clock) - env->saved_us); }
        ingest->positions[ingest->owned_count] = saved != NULL ? saved->next_offset : -1;
        if (env->ticks != NULL && env->ticks->log != NULL) {
            uint32_t expected;
            const struct tg_tick *replay = tg_tick_log_replay(env->ticks->log, env->source, p, &expected);
            tg_partition_expect(partition, replay, expected);
        }
        ingest->owned_count++;
    }
    return TG_OK;
}

static tg_status open_source(struct tg_ingest *ingest, const struct tg_ingest_env *env, struct tg_error *err)
{
    const struct tg_source_spec *spec = ingest->source;
    ingest->state = tg_arena_alloc(env->arena, spec->ops->state_bytes(&spec->options, ingest->owned_count), 64);
    if (ingest->state == NULL) { return tg_fail(err, TG1601, 0, "no address space for source %s", spec->name); }
    const struct tg_source_env source_env = {
        .job_name = env->plan->job->name,
        .source_name = spec->name,
        .options = &spec->options,
        .shard = env->shard,
        .shard_count = env->plan->shard_count,
        .partition_count = env->plan->source_partitions[env->source],
        .partitions = ingest->owned,
        .owned_count = ingest->owned_count,
        .positions = env->saved != NULL ? ingest->positions : NULL,
        .bounded = env->bounded,
        .fresh = env->fresh,
        .horizon = tg_plan_horizon(env->plan, env->source),
        .poll_count_max = env->poll_count_max,
        .seed = env->seed,
        .buffers = env->buffers,
        .arena = env->arena,
        .loop = env->loop,
        .helper = env->helper,
        .clock = env->clock,
    };
    ingest->opened = true;
    tg_gauge_set(&env->progress->lag, -1); /* nobody knows before positions are found */
    return spec->ops->open(ingest->state, &source_env, err);
}

tg_status tg_ingest_open(struct tg_ingest *ingest, const struct tg_ingest_env *env, struct tg_error *err)
{
    const struct tg_plan *plan = env->plan;
    *ingest = (struct tg_ingest){
        .plan = plan,
        .source = &plan->job->sources[env->source],
        .source_index = env->source,
        .readers = &plan->source_readers[env->source],
        .edges = env->edges,
        .dead_letters = plan->dead_letters >= 0 ? &env->outlets[plan->dead_letters] : NULL,
        .late = plan->late >= 0 ? &env->outlets[plan->late] : NULL,
        .published = env->published,
        .progress = env->progress,
        .ticks = env->ticks != NULL && env->ticks->log != NULL ? env->ticks : NULL,
        .tick_watch = env->tick_watch,
        .clock = env->clock,
        .buffers = env->buffers,
        .no_drain = env->no_drain,
    };
    const struct tg_schema *schema = &ingest->source->schema;
    ingest->rows = tg_arena_alloc(env->arena, (size_t)TG_BATCH_ROWS_MAX * schema->row_bytes, 64);
    ingest->cut_state =
        tg_arena_alloc(env->arena, (plan->source_partitions[env->source] + 1) * sizeof *ingest->cut_state, 64);
    ingest->results = tg_arena_alloc(env->arena, TG_BATCH_ROWS_MAX * sizeof *ingest->results, 64);
    ingest->side_text = tg_arena_alloc(env->arena, SIDE_TEXT_BYTES, 64);
    if (ingest->rows == NULL || ingest->results == NULL || ingest->side_text == NULL || ingest->cut_state == NULL) {
        return tg_fail(err, TG1601, 0, "no address space for source %s", ingest->source->name);
    }
    const struct tg_decoder_config decoder = {
        .schema = schema, .fields = ingest->source->fields, .zone = ingest->source->zone};
    tg_status status = own_partitions(ingest, env, err);
    if (status == TG_OK) { status = tg_decoder_create(&ingest->decoder, &decoder, err); }
    if (status == TG_OK && ingest->source->has_dedupe) {
        status = tg_dedupe_init(&ingest->dedupe, ingest->source, plan->job->engine.max_keys, ingest->owned_count + 1,
                                env->arena, err);
        ingest->dedupe.partitions = ingest->owned;
    }
    if (status == TG_OK) {
        struct tg_readers readers = *ingest->readers;
        readers.edge_count = 0; /* rows for stages leave from here without a copy in between */
        const struct tg_port_config port = {schema, &readers, env->edges, env->outlets};
        status = tg_port_init(&ingest->port, &port, env->arena, err);
    }
    if (status == TG_OK) { status = open_source(ingest, env, err); }
    for (uint32_t i = 0; status == TG_OK && i < ingest->owned_count; i++) { tg_ingest_go_on_silent(ingest, i); }
    return status;
}

/* ---- side outputs ------------------------------------------------------------------------------------------------ */

/* Record `index` of the raw batch as a dead letter; false = the sink has no room now. */
static bool dead_letter(struct tg_ingest *ingest, uint32_t index, struct tg_decoded why, struct tg_partition *partition)
{
    const struct tg_slice *slice = &ingest->raw.slices[index];
    if (ingest->source->on_error == TG_ON_ERROR_STOP) {
        (void)tg_fail(&ingest->error, TG1602, 0, "source %s: record %s[%u]@%ld is refused: %s%s%s",
                      ingest->source->name, ingest->source->topic, ingest->raw.partition, (long)slice->offset,
                      tg_reason_name(why.reason), why.field >= 0 ? " in field " : "",
                      why.field >= 0 ? ingest->source->schema.columns[why.field].name : "");
        return false;
    }
    if (ingest->dead_letters != NULL) {
        const struct tg_dead_letter letter = {
            .topic = ingest->source->topic,
            .partition = ingest->raw.partition,
            .offset = slice->offset,
            .reason = tg_reason_name(why.reason),
            .field = why.field >= 0 ? ingest->source->fields[why.field].names[0] : NULL,
            .raw = slice->value,
            .raw_bytes = slice->value_bytes,
            .raw_unchecked = why.reason == TG_REASON_bad_utf8 || why.reason == TG_REASON_too_long,
            .time = ingest->plan->job->replay ? TG_TS_MIN : tg_clock_wall_us(&ingest->clock),
        };
        struct tg_side_row row;
        tg_dead_letter_row(&letter, ingest->side_text, SIDE_TEXT_BYTES, &row);
        if (!tg_outlet_takes(ingest->dead_letters, ingest->epochs) ||
            !tg_outlet_push_row(ingest->dead_letters, &row.head, ingest->raw.arrived_ns)) {
            return false;
        }
    }
    partition->dead++;
    tg_counter_add(&ingest->progress->dead[why.reason], 1);
    return true;
}

static bool late_entry(struct tg_ingest *ingest, const struct tg_row *row, uint64_t refused,
                       struct tg_partition *partition)
{
    if (ingest->late != NULL) {
        const struct tg_late_entry entry = {
            .topic = ingest->source->topic,
            .partition = ingest->raw.partition,
            .offset = row->offset,
            .ts = row->ts,
            .wm = partition->wm,
            .steps = refused,
        };
        struct tg_side_row side;
        tg_late_row(&entry, ingest->plan->job, (char *)ingest->side_text, SIDE_TEXT_BYTES, &side);
        if (!tg_outlet_takes(ingest->late, ingest->epochs) ||
            !tg_outlet_push_row(ingest->late, &side.head, ingest->raw.arrived_ns)) {
            return false;
        }
    }
    partition->late++;
    tg_counter_add(&ingest->progress->late, 1);
    return true;
}

/* ---- one record -------------------------------------------------------------------------------------------------- */

static struct tg_row *row_at(const struct tg_ingest *ingest, uint32_t index)
{
    return (struct tg_row *)(void *)(ingest->rows + (size_t)index * ingest->source->schema.row_bytes);
}

/* True when every column of the key comes before field `end`. */
static bool key_before(const struct tg_key_spec *spec, uint32_t end)
{
    for (uint32_t i = 0; i < spec->column_count; i++) {
        if (spec->columns[i] >= end) { return false; }
    }
    return true;
}

/* Key hashes of record `index` for every edge, and its identity; one that is too long is the record's fault. Faults are
 * named in the order of the fields: of a refused record only the keys before its fault count. */
static void take_keys(struct tg_ingest *ingest, uint32_t index)
{
    struct tg_decoded *result = &ingest->results[index];
    const bool refused = result->reason != TG_REASON_none;
    if (refused && result->field <= 0) { return; }
    const uint32_t end = refused ? (uint32_t)result->field : TG_COLUMNS_MAX;
    uint8_t key[TG_KEY_BYTES_MAX];
    for (uint32_t e = 0; e < ingest->readers->edge_count; e++) {
        const struct tg_key_spec *spec = &ingest->plan->edges[ingest->readers->edges[e]].key;
        if (refused && !key_before(spec, end)) { continue; }
        const uint32_t bytes = tg_key_encode(spec, row_at(ingest, index), key, sizeof key);
        if (bytes == 0) {
            *result = (struct tg_decoded){TG_REASON_too_long, (int32_t)spec->columns[0]};
            return;
        }
        ingest->hashes[e] = tg_key_hash(key, bytes);
    }
    if (!ingest->source->has_dedupe || (refused && !key_before(&ingest->dedupe.spec, end))) { return; }
    if (!tg_dedupe_begin(&ingest->dedupe, row_at(ingest, index), ingest->owned_index[ingest->raw.partition])) {
        *result = (struct tg_decoded){TG_REASON_too_long, (int32_t)ingest->source->dedupe_by};
    }
}

/* Bits of the steps that refuse `ts` as late against wm_p as it stands. */
static uint64_t late_bits(const struct tg_ingest *ingest, int64_t ts, int64_t wm)
{
    if (ts >= wm || wm == TG_TS_MIN) { return 0; }
    uint64_t bits = 0;
    for (uint32_t e = 0; e < ingest->readers->edge_count; e++) {
        const uint32_t step = ingest->readers->edges[e];
        const struct tg_step_spec *spec = &ingest->plan->job->steps[step];
        if (spec->late == TG_LATE_OUTPUT && ts < wm - spec->allowed_lateness) { bits |= 1ULL << step; }
    }
    return bits;
}

static uint64_t all_bits(const struct tg_ingest *ingest)
{
    uint64_t bits = 0;
    for (uint32_t e = 0; e < ingest->readers->edge_count; e++) { bits |= 1ULL << ingest->readers->edges[e]; }
    return bits;
}

enum verdict { DONE, ROUTE, BLOCKED };

/* Checks of record `index` up to lateness, in the order of the rules. DONE: it goes no further. */
static enum verdict judge(struct tg_ingest *ingest, uint32_t index, struct tg_partition *partition)
{
    const struct tg_slice *slice = &ingest->raw.slices[index];
    struct tg_decoded *result = &ingest->results[index];
    struct tg_row *row = row_at(ingest, index);
    if (result->reason == TG_REASON_none) {
        row->ts = *(const tg_ts *)tg_row_value(&ingest->source->schema, row, ingest->source->event_time);
        const tg_us skew = ingest->source->max_skew;
        if (skew != TG_TS_MAX && slice->record_us != TG_TS_MIN && row->ts > slice->record_us + skew) {
            *result = (struct tg_decoded){TG_REASON_future, (int32_t)ingest->source->event_time};
        }
    }
    if (result->reason != TG_REASON_none) { return dead_letter(ingest, index, *result, partition) ? DONE : BLOCKED; }
    row->wm = partition->wm;
    row->offset = slice->offset;
    row->partition = ingest->plan->partition_first[ingest->source_index] + ingest->raw.partition;
    row->flags = 0;
    row->refused = late_bits(ingest, row->ts, partition->wm);
    if (row->refused != 0) {
        if (!late_entry(ingest, row, row->refused, partition)) { return BLOCKED; }
        if (row->refused == all_bits(ingest)) { return DONE; }
        partition->late_in_part++;
    }
    return ROUTE;
}

/* Duplicates end here; everything accepted moves the partition's clock. */
static enum verdict judge_identity(struct tg_ingest *ingest, uint32_t index, struct tg_partition *partition)
{
    const struct tg_row *row = row_at(ingest, index);
    const uint32_t owned = ingest->owned_index[ingest->raw.partition];
    enum tg_dedupe_verdict verdict = TG_DEDUPE_NEW;
    if (ingest->source->has_dedupe) { verdict = tg_dedupe_judge(&ingest->dedupe, row, owned, partition->wm); }
    if (verdict == TG_DEDUPE_FULL) { /* what the clock has passed is still there in the middle of a batch */
        tg_dedupe_expire(&ingest->dedupe, owned, partition->wm);
        verdict = tg_dedupe_judge(&ingest->dedupe, row, owned, partition->wm);
    }
    if (verdict == TG_DEDUPE_FULL) {
        const struct tg_decoded full = {TG_REASON_state_full, (int32_t)ingest->source->dedupe_by};
        if (!dead_letter(ingest, index, full, partition)) { return BLOCKED; }
    }
    tg_partition_accept(partition, row->ts, ingest->source->watermark_delay);
    if (verdict == TG_DEDUPE_DUPLICATE) {
        partition->duplicates++;
        tg_counter_add(&ingest->progress->duplicates, 1);
    }
    return verdict == TG_DEDUPE_NEW ? ROUTE : DONE;
}

/* To the owners of the row's keys, and to sinks that read the source itself. False = no room; resumes at next_edge. */
static bool route(struct tg_ingest *ingest, uint32_t index)
{
    struct tg_row *row = row_at(ingest, index);
    for (; ingest->next_edge < ingest->readers->edge_count; ingest->next_edge++) {
        const uint32_t step = ingest->readers->edges[ingest->next_edge];
        if ((row->refused >> step) & 1) { continue; }
        row->hash = ingest->hashes[ingest->next_edge];
        if (!tg_edge_out_row(&ingest->edges[step], row, ingest->raw.buffer, ingest->raw.arrived_ns)) { return false; }
    }
    if (ingest->port.reader_count != 0) {
        if (!tg_port_has_room(&ingest->port) && !tg_port_deliver(&ingest->port)) { return false; }
        if (!tg_port_append(&ingest->port, row, ingest->raw.arrived_ns)) { return false; }
    }
    ingest->next_edge = 0;
    return true;
}

/* ----------------------------------------------------------------------------------------------------------------- */

/* Drop records that were taken in before: a source that goes on may begin a little, or all the way, before its
 * position.
 */
static void fence(struct tg_raw_batch *raw, int64_t next_offset)
{
    uint32_t known = 0;
    while (known < raw->count && raw->slices[known].offset < next_offset) { known++; }
    if (known == 0) { return; }
    raw->count -= known;
    memmove(raw->slices, raw->slices + known, raw->count * sizeof raw->slices[0]);
}

static void begin_batch(struct tg_ingest *ingest, struct tg_partition *partition)
{
    struct tg_raw_batch *raw = &ingest->raw;
    ingest->begun = true;
    ingest->next_row = 0;
    ingest->next_edge = 0;
    ingest->phase = TG_INGEST_KEYS;
    if (raw->count != 0) { fence(raw, partition->next_offset); }
    if (raw->count == 0) { return; }
    tg_partition_arrived(partition);
    uint64_t bytes = 0;
    const uint64_t adjusted = tg_decode_json(ingest->decoder, raw, ingest->rows, ingest->results);
    for (uint32_t i = 0; i < raw->count; i++) { bytes += raw->slices[i].value_bytes; }
    partition->records += raw->count;
    tg_counter_add(&ingest->progress->records_in, raw->count);
    tg_counter_add(&ingest->progress->bytes_in, bytes);
    if (adjusted != 0) { tg_counter_add(&ingest->progress->adjusted, adjusted); }
}

static void end_batch(struct tg_ingest *ingest, struct tg_partition *partition)
{
    struct tg_raw_batch *raw = &ingest->raw;
    if (raw->count != 0) {
        partition->next_offset = raw->slices[raw->count - 1].offset + 1;
        if (ingest->source->has_dedupe) {
            tg_dedupe_expire(&ingest->dedupe, ingest->owned_index[raw->partition], partition->wm);
        }
    }
    if (raw->buffer != NULL) { tg_buffer_release(raw->buffer); }
    tg_ingest_replay_silent(ingest, ingest->owned_index[raw->partition]);
    if ((raw->flags & (TG_RAW_AT_END | TG_RAW_ENDED)) != 0) { tg_partition_reached_end(partition); }
    if ((raw->flags & TG_RAW_ENDED) != 0 && !partition->ended) {
        partition->ended = true;
        ingest->ended_count++;
        /* A partition that never had a valid record must not hold the job clock back. */
        if (!ingest->no_drain || !partition->has_valid) { partition->wm = TG_TS_MAX; }
    }
    tg_partition_publish(partition, partition->ended);
    tg_ingest_send_wm(ingest, raw->partition, partition->wm);
    ingest->in_work = false;
}

/* Work through the records; false = blocked, resume at next_row in `phase`. */
static bool work(struct tg_ingest *ingest, struct tg_partition *partition)
{
    for (; ingest->next_row < ingest->raw.count; ingest->next_row++, ingest->phase = TG_INGEST_KEYS) {
        if (ingest->phase == TG_INGEST_KEYS) {
            if (TG_UNLIKELY(ingest->raw.slices[ingest->next_row].offset >= partition->replay_offset)) {
                tg_ingest_replay_before(ingest, partition, ingest->raw.slices[ingest->next_row].offset);
            }
            take_keys(ingest, ingest->next_row);
            ingest->phase = TG_INGEST_JUDGE;
        }
        if (ingest->phase == TG_INGEST_JUDGE) {
            const enum verdict verdict = judge(ingest, ingest->next_row, partition);
            if (verdict == BLOCKED) { return false; }
            if (verdict == DONE) { continue; }
            ingest->phase = TG_INGEST_DEDUPE;
        }
        if (ingest->phase == TG_INGEST_DEDUPE) {
            const enum verdict verdict = judge_identity(ingest, ingest->next_row, partition);
            if (verdict == BLOCKED) { return false; }
            if (verdict == DONE) { continue; }
            ingest->phase = TG_INGEST_ROUTE;
        }
        if (!route(ingest, ingest->next_row)) { return false; }
        partition->accepted++;
    }
    return true;
}

/* ----------------------------------------------------------------------------------------------------------------- */

static uint32_t flush_edges(struct tg_ingest *ingest, uint32_t rows_min)
{
    uint32_t sent = 0;
    for (uint32_t e = 0; e < ingest->readers->edge_count; e++) {
        sent += tg_edge_out_flush(&ingest->edges[ingest->readers->edges[e]], rows_min);
    }
    return sent;
}

/* Nothing is left in the edges behind the ingest. */
static bool edges_clean(const struct tg_ingest *ingest)
{
    for (uint32_t e = 0; e < ingest->readers->edge_count; e++) {
        if (!tg_edge_out_clean(&ingest->edges[ingest->readers->edges[e]])) { return false; }
    }
    return true;
}

static bool finish_batch(struct tg_ingest *ingest)
{
    const uint32_t owned = ingest->owned_index[ingest->raw.partition];
    struct tg_partition *partition = &ingest->partitions[owned];
    if (!ingest->begun && partition->tick == TG_TICK_DURABLE) { tg_ingest_act(ingest, owned); }
    const bool must_wait = !ingest->begun && partition->tick == TG_TICK_ORDERED;
    if (!ingest->begun && !must_wait) { begin_batch(ingest, partition); }
    if (must_wait || !work(ingest, partition)) {
        tg_counter_add(&ingest->progress->blocked, 1);
        return false;
    }
    end_batch(ingest, partition);
    return true;
}

static void send_end(struct tg_ingest *ingest)
{
    for (uint32_t e = 0; e < ingest->readers->edge_count; e++) {
        tg_edge_out_end(&ingest->edges[ingest->readers->edges[e]]);
    }
    ingest->end_sent = true;
}

/* ---- checkpoints ------------------------------------------------------------------------------------------------- */

void tg_ingest_want_cut(struct tg_ingest *ingest, bool base)
{
    TG_ASSERT(ingest->cut == TG_CUT_NONE || ingest->cut == TG_CUT_DONE);
    ingest->cut = TG_CUT_WANTED;
    ingest->cut_base = base;
}

static void pass_barrier(struct tg_ingest *ingest)
{
    (void)flush_edges(ingest, 0);
    if (edges_clean(ingest)) { ingest->cut = TG_CUT_DONE; }
}

static void make_cut(struct tg_ingest *ingest)
{
    for (uint32_t i = 0; i < ingest->owned_count; i++) {
        TG_ASSERT(tg_partition_balances(&ingest->partitions[i])); /* no record was lost sight of */
        tg_partition_save(&ingest->partitions[i], &ingest->cut_state[i]);
        ingest->cut_state[i].next_offset = tg_ingest_position(ingest, i);
    }
    if (ingest->dedupe.snapshot != NULL) { tg_snapshot_cut(ingest->dedupe.snapshot, ingest->cut_base); }
    for (uint32_t e = 0; e < ingest->readers->edge_count && !ingest->end_sent; e++) {
        tg_edge_out_barrier(&ingest->edges[ingest->readers->edges[e]]);
    }
    ingest->epochs++;
    ingest->port.epochs++;
    ingest->cut = TG_CUT_PASSING;
    pass_barrier(ingest);
}

static void report_gauges(struct tg_ingest *ingest)
{
    int64_t wm = TG_TS_MAX;
    for (uint32_t i = 0; i < ingest->owned_count; i++) {
        const int64_t own = ingest->partitions[i].wm;
        if (own != TG_TS_MIN && own != TG_TS_MAX && own < wm) { wm = own; }
    }
    tg_gauge_set(&ingest->progress->watermark, wm);
    tg_gauge_set(&ingest->progress->lag, ingest->source->ops->lag(ingest->state));
}

uint32_t tg_ingest_poll(struct tg_ingest *ingest, uint64_t now_ns, uint32_t budget)
{
    const uint64_t elapsed_ns = ingest->last_ns == 0 ? 0 : now_ns - ingest->last_ns;
    ingest->last_ns = now_ns;
    if (ingest->cut == TG_CUT_PASSING) { pass_barrier(ingest); }
    if (ingest->cut == TG_CUT_WANTED && !ingest->in_work && tg_port_is_empty(&ingest->port)) { make_cut(ingest); }
    if (ingest->cut == TG_CUT_PASSING) {
        ingest->was_blocked = true;
        return 0;
    }
    if (ingest->end_sent || ingest->error.status != TG_OK) { return flush_edges(ingest, 0); }
    if (ingest->ordered != 0 && !ingest->in_work) { tg_ingest_act_ordered(ingest); }
    const uint64_t refused = ingest->buffers->refused;
    uint32_t done = 0;
    bool blocked = ingest->in_work && !finish_batch(ingest);
    bool dry = false;
    /* The cut comes between two batches: when one is wanted none is begun, or with a slow sink, where every poll ends
     * in the middle of a batch, the others would wait for this one's barrier for as long as there is input. */
    const bool cutting = ingest->cut == TG_CUT_WANTED;
    const bool resting = cutting || ingest->held || ingest->stopping;
    for (uint32_t i = 0; !blocked && !resting && i < budget; i++) {
        ingest->raw.count = 0; /* not the whole of it: 32 KiB of slices */
        ingest->raw.flags = 0;
        ingest->raw.buffer = NULL;
        if (ingest->source->ops->poll(ingest->state, &ingest->raw, now_ns) == 0) {
            dry = true;
            break;
        }
        ingest->in_work = true;
        ingest->begun = false;
        blocked = !finish_batch(ingest);
        done++;
    }
    if (ingest->port.reader_count != 0) { (void)tg_port_deliver(&ingest->port); }
    /* no buffer, or reading is held back: records wait for us unseen */
    const bool waited = blocked || cutting || ingest->held || ingest->buffers->refused != refused;
    if (!waited) { tg_ingest_check_idle(ingest, now_ns, ingest->was_blocked ? 0 : elapsed_ns); }
    ingest->was_blocked = waited;
    if (dry && ingest->source->ops->failure(ingest->state, &ingest->error) != TG_OK) { return 0; }
    if (done != 0 && ingest->staged_ns == 0) { ingest->staged_ns = now_ns; }
    const bool stale = ingest->staged_ns != 0 && now_ns - ingest->staged_ns >= FLUSH_AGE_NS;
    const bool over = ingest->stopping || ingest->ended_count == ingest->owned_count;
    if (over && !ingest->in_work && tg_port_is_empty(&ingest->port)) { send_end(ingest); }
    const uint32_t sent = flush_edges(ingest, dry || stale || blocked || ingest->end_sent ? 0 : FLUSH_ROWS);
    if (dry || stale) {
        ingest->staged_ns = 0;
        report_gauges(ingest);
    }
    return done + sent;
}

void tg_ingest_stop(struct tg_ingest *ingest) { ingest->stopping = true; }

bool tg_ingest_ended(const struct tg_ingest *ingest) { return ingest->end_sent && edges_clean(ingest); }

void tg_ingest_commit(struct tg_ingest *ingest)
{
    for (uint32_t i = 0; i < ingest->owned_count; i++) {
        const int64_t offset = ingest->partitions[i].next_offset;
        if (offset >= 0) { ingest->source->ops->commit(ingest->state, ingest->owned[i], offset); }
    }
}

void tg_ingest_close(struct tg_ingest *ingest)
{
    if (ingest->in_work && ingest->raw.buffer != NULL) { tg_buffer_release(ingest->raw.buffer); }
    ingest->in_work = false;
    if (ingest->opened) { ingest->source->ops->close(ingest->state); }
    ingest->opened = false;
    if (ingest->decoder != NULL) { tg_decoder_destroy(ingest->decoder); }
    ingest->decoder = NULL;
}
