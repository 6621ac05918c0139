/* The part's phases: CUTTING until every ingest and stage of the shard has cut, ALIGNED until those of the other shards
 * have too, WRITING until all tables are in closed
 * blocks, the blocks with the helper, and the sinks have acknowledged; FINISHING while the file is made durable. Tables
 * that have cut early are written meanwhile. */
#include "engine/checkpoint/shard.h"

#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "engine/checkpoint/checkpoint.h"

enum { SLICE_ENTRIES = 32, DELTAS_MAX = 16 };

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

size_t tg_checkpoint_shard_bytes(const struct tg_plan *plan)
{
    const struct tg_spool_config spool = {.block_count = TG_CHECKPOINT_BLOCKS};
    size_t bytes = tg_spool_bytes(&spool) + TG_STATE_HEADER_BYTES_MAX + 65536;
    bytes += TG_STORE_BUFFER_BYTES + TG_STORE_BUFFER_ALIGN;
    bytes += plan->sink_count * (TG_COMMITTABLE_BYTES_MAX + 4096);
    for (uint32_t i = 0; i < plan->job->step_count; i++) { bytes += tg_snapshot_bytes(plan->stages[i].keys_per_shard); }
    for (uint32_t i = 0; i < plan->job->source_count; i++) {
        if (plan->job->sources[i].has_dedupe) { bytes += tg_snapshot_bytes(plan->job->engine.max_keys); }
    }
    return bytes;
}

static tg_status track(struct tg_checkpoint_shard *part, uint32_t index, struct tg_snapshot_config *config,
                       struct tg_arena *arena, struct tg_error *err)
{
    config->layout = &part->checkpoint->tables.layouts[index];
    config->spool = part->spool;
    config->table_index = index;
    part->snapshots[index] = &part->space[index];
    return tg_snapshot_init(part->snapshots[index], config, arena, err);
}

tg_status tg_checkpoint_shard_open(struct tg_checkpoint_shard *part, struct tg_arena *arena, struct tg_error *err)
{
    const struct tg_job_tables *tables = &part->checkpoint->tables;
    const struct tg_plan *plan = part->checkpoint->config.plan;
    const uint32_t filled = TG_CHECKPOINT_BLOCKS_AHEAD + tables->count; /* at a time, but for early entries */
    const struct tg_spool_config spool = {.block_count = TG_CHECKPOINT_BLOCKS,
                                          .ready_count = part->checkpoint->config.touched ? filled : 0};
    part->table_count = tables->count;
    part->file =
        (struct tg_store_file){.buffer = tg_arena_alloc(arena, TG_STORE_BUFFER_BYTES, TG_STORE_BUFFER_ALIGN), .fd = -1};
    part->head = tg_arena_alloc(arena, TG_STATE_HEADER_BYTES_MAX, 64);
    if (part->head == NULL || part->file.buffer == NULL) {
        return tg_fail(err, TG1601, 0, "no address space for checkpoints");
    }
    for (uint32_t i = 0; i < part->outlet_count; i++) {
        if (part->outlets[i].ops->prepare == NULL) { continue; }
        part->committables[i] = tg_arena_alloc(arena, TG_COMMITTABLE_BYTES_MAX, 64);
        if (part->committables[i] == NULL) { return tg_fail(err, TG1601, 0, "no address space for checkpoints"); }
    }
    tg_status status = tg_spool_create(&part->spool, &spool, arena, err);
    for (uint32_t i = 0; status == TG_OK && i < part->stage_count; i++) {
        struct tg_snapshot_config config = {
            .table = part->stages[i].table,
            .entry_count_max = plan->stages[i].keys_per_shard,
            .mark_offset = offsetof(struct tg_key_state, mark),
        };
        status = track(part, i, &config, arena, err);
        part->stages[i].snapshot = part->snapshots[i];
    }
    for (uint32_t i = 0; status == TG_OK && i < part->ingest_count; i++) {
        if (tables->of_source[i] == UINT32_MAX) { continue; }
        struct tg_snapshot_config config = {
            .table = part->ingests[i].dedupe.table,
            .entry_count_max = plan->job->engine.max_keys,
            .mark_offset = tg_dedupe_mark_offset,
            .removals_follow = true, /* from the partition's clock */
        };
        status = track(part, tables->of_source[i], &config, arena, err);
        part->ingests[i].dedupe.snapshot = part->snapshots[tables->of_source[i]];
    }
    return status;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

/* The first reason counts. */
static void spoil(struct tg_checkpoint_shard *part, const struct tg_error *why)
{
    if (part->spoiled) { return; }
    part->spoiled = true;
    part->why = *why;
}

static TG_COLD void spoil_because(struct tg_checkpoint_shard *part, int errnum, const char *text)
{
    struct tg_error why = {0};
    if (part->spoiled) { return; }
    (void)tg_fail(&why, TG1510, errnum, "%s", text);
    spoil(part, &why);
}

static void task_done(struct tg_task *base)
{
    struct tg_checkpoint_task *task = (struct tg_checkpoint_task *)(void *)base;
    struct tg_checkpoint_shard *part = task->part;
    task->under_way = false;
    part->under_way--;
    if (task->block != NULL) { tg_spool_release(part->spool, task->block); }
    task->block = NULL;
    if (task->status != TG_OK) { spoil(part, &task->error); }
    if (task == &part->last) { part->last_done = true; }
}

/* On the helper. After an error the store has closed and removed the file: what follows has nothing to write to. */
static void run_first(struct tg_task *base)
{
    struct tg_checkpoint_task *task = (struct tg_checkpoint_task *)(void *)base;
    struct tg_checkpoint_shard *part = task->part;
    struct tg_store *store = &part->checkpoint->store;
    task->status = tg_store_file_create(store, part->epoch, part->shard, part->base, &part->file, &task->error);
    if (task->status == TG_OK) {
        task->status = tg_store_file_append(store, &part->file, part->head, part->head_bytes, &task->error);
    }
}

static void run_append(struct tg_task *base)
{
    struct tg_checkpoint_task *task = (struct tg_checkpoint_task *)(void *)base;
    struct tg_checkpoint_shard *part = task->part;
    struct tg_store *store = &part->checkpoint->store;
    if (part->file.fd < 0) { return; }
    /* Sealed here, not on the shard: a checksum over 1 MiB is half a slice. */
    const uint32_t bytes = tg_block_end(task->block, &part->header, &part->totals);
    if (task->past_device) { task->status = tg_store_file_use_cache(store, &part->file, &task->error); }
    if (task->status != TG_OK) { return; }
    task->status = tg_store_file_append(store, &part->file, task->block->data, bytes, &task->error);
}

static void run_finish(struct tg_task *base)
{
    struct tg_checkpoint_task *task = (struct tg_checkpoint_task *)(void *)base;
    struct tg_checkpoint_shard *part = task->part;
    struct tg_store *store = &part->checkpoint->store;
    if (part->file.fd < 0) { return; }
    const int failed = TG_FAILPOINT("checkpoint.prepare");
    if (failed != 0) {
        tg_store_file_drop(store, &part->file);
        task->status = tg_fail(&task->error, TG1510, failed, "prepare");
        return;
    }
    for (uint32_t i = 0; i < part->outlet_count; i++) {
        if (part->committables[i] == NULL) { continue; }
        part->committable_bytes[i] = tg_outlet_prepare(&part->outlets[i], part->committables[i]);
    }
    task->status = tg_store_file_append(store, &part->file, part->foot, sizeof part->foot, &task->error);
    if (task->status == TG_OK) { task->status = tg_store_file_finish(store, &part->file, &task->error); }
}

static void run_drop(struct tg_task *base)
{
    struct tg_checkpoint_shard *part = ((struct tg_checkpoint_task *)(void *)base)->part;
    tg_store_file_drop(&part->checkpoint->store, &part->file);
}

/* The helper takes many more tasks than a shard has. */
static void submit(struct tg_checkpoint_shard *part, struct tg_checkpoint_task *task, void (*run)(struct tg_task *))
{
    task->part = part;
    task->task = (struct tg_task){.run = run, .done = task_done, .owner = part};
    task->status = TG_OK;
    task->error = (struct tg_error){0};
    TG_ASSERT(tg_helper_submit(part->checkpoint->helper, part->shard, &task->task));
    task->under_way = true;
    part->under_way++;
}

/* Blocks that wait for the file. Those that are being filled do not count: those of removed keys wait for the next cut,
 * however many they are. */
static uint32_t waiting(const struct tg_checkpoint_shard *part)
{
    return tg_spool_closed(part->spool) + part->under_way;
}

/* Do entries that cannot wait come faster than the device takes them? */
static bool is_device_slow(const struct tg_checkpoint_shard *part)
{
    return part->phase != TG_PART_CUTTING && waiting(part) > part->waiting_at_cut + TG_CHECKPOINT_BLOCKS_SLOW;
}

/* Closed blocks to the helper, in their order, as many as there are tasks for. */
static uint32_t send_blocks(struct tg_checkpoint_shard *part)
{
    uint32_t sent = 0;
    for (uint32_t i = 0; i < TG_CHECKPOINT_TASKS && tg_spool_closed(part->spool) != 0; i++) {
        struct tg_checkpoint_task *task = &part->tasks[i];
        if (task->under_way || part->first.under_way) { continue; }
        task->past_device = is_device_slow(part);
        task->block = tg_spool_next(part->spool);
        submit(part, task, run_append);
        sent++;
    }
    return sent;
}

/* ---- an epoch ---------------------------------------------------------------------------------------------------- */

/* A base when a delta is not possible, would not pay, or has too long a chain behind it. */
static bool choose_base(const struct tg_checkpoint_shard *part)
{
    if (part->last_epoch == 0 || part->chain_length >= DELTAS_MAX || part->chain_bytes > part->base_bytes) {
        return true;
    }
    uint64_t changed = 0;
    uint64_t entries = 0;
    for (uint32_t i = 0; i < part->table_count; i++) {
        const struct tg_snapshot *snapshot = part->snapshots[i];
        if (snapshot == NULL) { continue; }
        if (!tg_snapshot_has_delta(snapshot)) { return true; }
        changed += tg_snapshot_changed(snapshot);
        entries += tg_table_count(snapshot->table);
    }
    return changed * 10 > entries * 4;
}

static void begin(struct tg_checkpoint_shard *part, uint64_t epoch, uint64_t now_ns)
{
    const struct tg_checkpoint *checkpoint = part->checkpoint;
    part->epoch = epoch;
    part->phase = TG_PART_CUTTING;
    part->spoiled = false;
    part->why = (struct tg_error){0};
    part->last_done = false;
    part->complete = false;
    part->puts = 0;
    part->base = choose_base(part);
    part->cut_ns = now_ns;
    part->header = (struct tg_state_header){
        .job = checkpoint->config.plan->job->name,
        .run_id = checkpoint->run_id,
        .graph_hash = checkpoint->graph_hash,
        .epoch = epoch,
        .previous = part->base ? 0 : part->last_epoch,
        .kind = part->base ? TG_STATE_BASE : TG_STATE_DELTA,
        .shard = part->shard,
        .shard_count = checkpoint->config.plan->shard_count,
        .table_count = part->table_count,
        .tables = checkpoint->tables.layouts,
    };
    tg_state_group_range(part->shard, part->header.shard_count, &part->header.group_first, &part->header.group_last);
    struct tg_bytes_out out = {.data = part->head, .capacity = TG_STATE_HEADER_BYTES_MAX};
    struct tg_error error = {0};
    if (tg_state_header_encode(&part->header, &out, &part->totals, &error) != TG_OK) { spoil(part, &error); }
    part->head_bytes = (uint32_t)out.used;
    tg_spool_forgive(part->spool);
    submit(part, &part->first, run_first);
    for (uint32_t i = 0; i < part->ingest_count; i++) { tg_ingest_want_cut(&part->ingests[i], part->base); }
    for (uint32_t i = 0; i < part->stage_count; i++) { tg_stage_want_cut(&part->stages[i], part->base); }
}

/* True when every ingest and stage has cut; then it is the sinks' turn. */
static bool cuts_made(const struct tg_checkpoint_shard *part)
{
    for (uint32_t i = 0; i < part->ingest_count; i++) {
        if (part->ingests[i].cut != TG_CUT_DONE) { return false; }
    }
    for (uint32_t i = 0; i < part->stage_count; i++) {
        if (part->stages[i].cut != TG_CUT_DONE) { return false; }
    }
    return true;
}

/* What bounds a slice: the wall clock, which costs no system call. A thread that lost its core meanwhile stops early.
 */
static uint64_t slice_clock_ns(const struct tg_checkpoint *checkpoint)
{
    return checkpoint->config.slice_ns != NULL ? checkpoint->config.slice_ns()
                                               : tg_clock_now_ns(&checkpoint->config.clock);
}

static bool is_writing(const struct tg_checkpoint_shard *part)
{
    for (uint32_t i = 0; i < part->table_count; i++) {
        if (part->snapshots[i] != NULL && part->snapshots[i]->phase != TG_SNAPSHOT_IDLE) { return true; }
    }
    return false;
}

/* The file is behind: one may sleep until the helper has caught up. */
static bool must_wait(const struct tg_checkpoint_shard *part) { return waiting(part) >= TG_CHECKPOINT_BLOCKS_AHEAD; }

/* One slice of writing; false = every table is in closed blocks. */
static bool sweep(struct tg_checkpoint_shard *part)
{
    if (!is_writing(part)) { return false; }
    if (must_wait(part)) { return true; }
    const uint64_t cpu_begin_ns = tg_clock_cpu_ns();
    const uint64_t begin_ns = slice_clock_ns(part->checkpoint);
    uint64_t spent_ns = 0;
    bool more = false;
    for (uint32_t i = 0; i < part->table_count; i++) {
        struct tg_snapshot *snapshot = part->snapshots[i];
        if (snapshot == NULL || snapshot->phase == TG_SNAPSHOT_IDLE) { continue; }
        bool done = false;
        while (!done && spent_ns < TG_CHECKPOINT_SLICE_NS && !must_wait(part)) {
            done = tg_snapshot_step(snapshot, SLICE_ENTRIES);
            spent_ns = slice_clock_ns(part->checkpoint) - begin_ns;
        }
        if (done) { part->puts += snapshot->written; }
        more = more || !done;
    }
    tg_histogram_record(&part->slices, tg_clock_cpu_ns() - cpu_begin_ns, 1);
    tg_histogram_record(&part->pauses, spent_ns, 1);
    return more;
}

static bool sinks_done(struct tg_checkpoint_shard *part)
{
    bool done = true;
    for (uint32_t i = 0; i < part->outlet_count; i++) { done = tg_outlet_cut_done(&part->outlets[i]) && done; }
    return done;
}

static void abandon(struct tg_checkpoint_shard *part)
{
    for (uint32_t i = 0; i < part->table_count; i++) {
        if (part->snapshots[i] != NULL) { tg_snapshot_abort(part->snapshots[i]); }
    }
    tg_spool_discard(part->spool);
}

static void report(struct tg_checkpoint_shard *part)
{
    part->complete = !part->spoiled;
    part->result = (struct tg_manifest_file){.shard = part->shard,
                                             .kind = part->header.kind,
                                             .epoch = part->epoch,
                                             .bytes = part->file.bytes,
                                             .crc = part->totals.footer_crc};
    if (part->complete) {
        part->chain_length = part->base ? 0 : part->chain_length + 1;
        part->base_bytes = part->base ? part->file.bytes : part->base_bytes;
        part->chain_bytes = part->base ? 0 : part->chain_bytes + part->file.bytes;
        part->last_epoch = part->epoch;
    } else {
        part->last_epoch = 0; /* the next one is a base */
    }
    part->phase = TG_PART_IDLE;
    atomic_store_explicit(&part->done, part->epoch, memory_order_release);
}

static uint32_t poll_cutting(struct tg_checkpoint_shard *part, uint64_t now_ns)
{
    if (!cuts_made(part)) { return 0; }
    const int failed = TG_FAILPOINT("checkpoint.cut");
    if (failed != 0) { spoil_because(part, failed, "cut"); }
    for (uint32_t i = 0; i < part->table_count; i++) {
        if (part->snapshots[i] == NULL || !part->snapshots[i]->unwanted) { continue; }
        spoil_because(part, 0, "more changed since the last one than is kept track of");
    }
    part->waiting_at_cut = waiting(part);
    if (now_ns - part->cut_ns > part->align_ns_max) { part->align_ns_max = now_ns - part->cut_ns; }
    atomic_store_explicit(&part->aligned, part->epoch, memory_order_release);
    part->phase = TG_PART_ALIGNED;
    return 1;
}

/* Sinks cut once every shard is aligned: what they then do (a file's sync takes as long as the disk likes) may hold up
 * the same sink on another shard, and with it the rows that shard still has in front of its cut. */
static uint32_t poll_aligned(struct tg_checkpoint_shard *part)
{
    const struct tg_checkpoint *checkpoint = part->checkpoint;
    for (uint32_t i = 0; i < checkpoint->config.plan->shard_count; i++) {
        if (atomic_load_explicit(&checkpoint->parts[i].aligned, memory_order_acquire) < part->epoch) { return 0; }
    }
    for (uint32_t i = 0; i < part->outlet_count; i++) { tg_outlet_cut(&part->outlets[i]); }
    part->phase = TG_PART_WRITING;
    return 1;
}

/* The file ends when nothing is to be added, and is durable before the shard's part can be complete. */
static void finish_file(struct tg_checkpoint_shard *part)
{
    const int failed = part->spoiled ? 0 : TG_FAILPOINT("checkpoint.acknowledged");
    if (failed != 0) { spoil_because(part, failed, "acknowledge"); }
    const bool drop = part->spoiled;
    if (!drop) { tg_state_footer_encode(&part->header, &part->totals, part->foot); }
    submit(part, &part->last, drop ? run_drop : run_finish);
    part->phase = TG_PART_FINISHING;
}

/* A complete checkpoint's positions, for the sources' displays of lag; nothing depends on them. */
static void tell_positions(struct tg_checkpoint_shard *part)
{
    if (part->told_epoch == part->epoch || part->phase != TG_PART_IDLE) { return; }
    if (atomic_load_explicit(&part->checkpoint->complete, memory_order_acquire) != part->epoch) { return; }
    part->told_epoch = part->epoch;
    if (TG_FAILPOINT("checkpoint.positions") != 0) { return; }
    for (uint32_t i = 0; i < part->ingest_count; i++) {
        const struct tg_ingest *ingest = &part->ingests[i];
        for (uint32_t p = 0; p < ingest->owned_count; p++) {
            const int64_t offset = ingest->cut_state[p].next_offset;
            if (offset >= 0) { ingest->source->ops->commit(ingest->state, ingest->owned[p], offset); }
        }
    }
}

/* Sinks hear that the last one is over: of one that was given up they may wait for that with rows of the next. */
static void settle(struct tg_checkpoint_shard *part)
{
    if (part->settled == part->epoch) { return; }
    if (atomic_load_explicit(&part->checkpoint->over, memory_order_acquire) < part->epoch) { return; }
    part->settled = part->epoch;
    for (uint32_t i = 0; i < part->outlet_count; i++) { tg_outlet_settle(&part->outlets[i]); }
}

uint32_t tg_checkpoint_shard_poll(struct tg_checkpoint_shard *part, uint64_t now_ns)
{
    if (part->phase == TG_PART_IDLE) {
        tell_positions(part);
        const uint64_t epoch = atomic_load_explicit(&part->checkpoint->epoch, memory_order_acquire);
        settle(part); /* after that look: who sees the next one sees that the last one is over */
        if (epoch <= part->epoch) { return 0; }
        begin(part, epoch, now_ns);
        return 1;
    }
    if (tg_spool_failed(part->spool)) { spoil_because(part, 0, "the memory for state on its way to disk is spent"); }
    if (atomic_load_explicit(&part->checkpoint->unwanted, memory_order_relaxed) >= part->epoch) {
        spoil_because(part, 0, "given up");
    }
    uint32_t done = 0;
    if (part->spoiled) {
        tg_spool_discard(part->spool);
        if (part->phase == TG_PART_WRITING) { abandon(part); }
    }
    const bool more = sweep(part); /* also when spoiled: marks are cleared */
    done += more && !must_wait(part) ? 1 : 0;
    if (!part->spoiled) { done += send_blocks(part); }
    if (part->phase == TG_PART_CUTTING) { done += poll_cutting(part, now_ns); }
    if (part->phase == TG_PART_ALIGNED) { done += poll_aligned(part); }
    if (part->phase == TG_PART_WRITING && !more && part->under_way == 0 &&
        (part->spoiled || (tg_spool_closed(part->spool) == 0 && sinks_done(part)))) {
        finish_file(part);
        return done + 1;
    }
    if (part->phase == TG_PART_FINISHING && part->last_done) {
        report(part);
        return done + 1;
    }
    return done;
}
