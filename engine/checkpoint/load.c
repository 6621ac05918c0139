/* Loading: every shard reads the files that can hold keys of its own and keeps those. With as many shards as before
 * that is its own chain, else all of them. */
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "base/key.h"
#include "engine/checkpoint/checkpoint.h"
#include "state/restore.h"

struct load {
    struct tg_checkpoint *checkpoint;
    struct tg_checkpoint_shard *part;
    const struct tg_plan *plan;
    uint64_t bytes;
    bool same_tables; /* every file read so far has today's tables */
    struct tg_restore restores[TG_STATE_TABLES_MAX];
};

const struct tg_manifest_partition *tg_checkpoint_partitions(const struct tg_checkpoint *checkpoint, uint32_t source)
{
    if (checkpoint == NULL || !checkpoint->choice.found) { return NULL; }
    const struct tg_manifest *manifest = &checkpoint->choice.manifest;
    const struct tg_manifest_source *stored =
        tg_manifest_source_find(manifest, checkpoint->config.plan->job->sources[source].name);
    TG_ASSERT(stored != NULL); /* else it would not have been chosen */
    return stored->partitions;
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

/* What the callbacks of one table know. */
struct chooser {
    const struct tg_checkpoint *checkpoint;
    struct tg_ctx *stage;           /* a step's state ... */
    const struct tg_ingest *ingest; /* ... or a source's identities */
    uint32_t shard;
    uint32_t shard_count;
};

static bool key_is_ours(void *self, const struct tg_state_record *record, uint64_t hash)
{
    const struct chooser *chooser = self;
    (void)record;
    return tg_key_shard(hash, chooser->shard_count) == chooser->shard;
}

/* Identities go with their partition; what its clock has passed may have been forgotten without a word. */
static bool identity_is_ours(void *self, const struct tg_state_record *record, uint64_t hash)
{
    const struct chooser *chooser = self;
    (void)hash;
    const uint32_t partition = tg_dedupe_record_partition(record->key.data);
    if (partition % chooser->shard_count != chooser->shard) { return false; }
    if (record->op == TG_STATE_DEL) { return true; }
    const struct tg_manifest_partition *saved =
        tg_checkpoint_partitions(chooser->checkpoint, chooser->ingest->source_index);
    int64_t first_ts = 0;
    if (record->value_bytes == sizeof first_ts) { memcpy(&first_ts, record->value, sizeof first_ts); }
    return first_ts + chooser->ingest->dedupe.ttl >= saved[partition].wm;
}

static void make_key_fresh(void *self, void *value) { tg_stage_key_fresh(((struct chooser *)self)->stage, value); }

static bool has_todays_tables(const struct tg_state_header *header, const struct tg_job_tables *tables)
{
    bool same = header->table_count == tables->count;
    for (uint32_t t = 0; same && t < tables->count; t++) {
        same = tg_state_layout_equal(&header->tables[t], &tables->layouts[t]);
    }
    return same;
}

/* A max_keys with which each of `shard_count` shards has room for its part of any so many keys: their groups may be one
 * more than another shard's, and six standard deviations above their mean in keys. */
static uint64_t roomy_max_keys(uint64_t key_count, uint32_t shard_count)
{
    const uint64_t groups = (TG_KEY_GROUP_COUNT + shard_count - 1) / shard_count;
    const uint64_t mean = (key_count * groups + TG_KEY_GROUP_COUNT - 1) / TG_KEY_GROUP_COUNT;
    uint64_t root = 1;
    while (root * root < mean) { root++; } /* at most 46,341: max_keys is below 2^31 */
    return shard_count * (mean + 6 * root + 1);
}

/* Keys do not fall evenly: what found room on some shards may not on another number of them. */
static tg_status no_room(const struct load *load, const char *step, struct tg_error *err)
{
    const struct tg_manifest *manifest = &load->checkpoint->choice.manifest;
    const uint64_t max_keys = load->plan->job->engine.max_keys;
    const uint32_t shard_count = load->plan->shard_count;
    *err = (struct tg_error){0};
    if (manifest->shard_count == shard_count) {
        return tg_fail(err, TG1601, 0,
                       "step %s: checkpoint %" PRIu64 " has more keys for shard %" PRIu32 " of %" PRIu32
                       " than its part of engine.max_keys: %" PRIu64 "; it was larger when the checkpoint was made",
                       step, manifest->epoch, load->part->shard, shard_count, max_keys);
    }
    return tg_fail(err, TG1601, 0,
                   "step %s: checkpoint %" PRIu64 " has more keys for shard %" PRIu32 " of %" PRIu32
                   " than its part of engine.max_keys: %" PRIu64 "; with %" PRIu64 " all keys that %" PRIu32
                   " shard%s had room for find it again",
                   step, manifest->epoch, load->part->shard, shard_count, max_keys,
                   roomy_max_keys(max_keys + manifest->shard_count, shard_count), manifest->shard_count,
                   manifest->shard_count == 1 ? "" : "s");
}

/* Did a step's table refuse a record for want of room? */
static bool is_full(const struct load *load, const struct tg_restore *restore, const struct tg_error *err)
{
    return err->code == TG1601 && restore->now->owner_kind == TG_STATE_OF_STEP &&
           tg_table_count(restore->table) >= load->plan->stages[0].keys_per_shard;
}

/* Every record of a file, as many of a block at a time as are applied together; `ours` maps its tables to the job's. */
static tg_status load_records(struct load *load, struct tg_state_reader *reader, const uint32_t *ours,
                              struct tg_error *err)
{
    static _Thread_local struct tg_state_record records[TG_RESTORE_RECORDS_MAX];
    uint64_t told = 0; /* bytes */
    uint32_t count = 0;
    int more;
    while ((more = tg_state_reader_next(reader, &records[count], err)) > 0) {
        count++;
        if (count < TG_RESTORE_RECORDS_MAX && !tg_state_reader_block_ends(reader)) { continue; }
        struct tg_restore *restore = &load->restores[ours[records[0].table]]; /* a block is of one table */
        const tg_status status = tg_restore_records(restore, records, count, reader->input.name, err);
        if (status != TG_OK) { return is_full(load, restore, err) ? no_room(load, restore->now->owner, err) : status; }
        if (tg_state_reader_block_ends(reader)) {
            tg_restore_progress_add(&load->checkpoint->progress, reader->seen.bytes - told);
            told = reader->seen.bytes;
        }
        count = 0;
    }
    tg_restore_progress_add(&load->checkpoint->progress, reader->input.bytes - told);
    return (tg_status)more;
}

static tg_status load_file(struct load *load, uint32_t index, struct tg_error *err)
{
    const struct tg_job_tables *tables = &load->checkpoint->tables;
    static _Thread_local struct tg_recovery_file file;
    const int failed = TG_FAILPOINT("recovery.load");
    if (failed != 0) {
        return tg_fail(err, TG1511, failed, "a file of checkpoint %" PRIu64, load->checkpoint->choice.epoch);
    }
    tg_status status =
        tg_recovery_file_open(&load->checkpoint->store, &load->checkpoint->choice.manifest, index, &file, err);
    const struct tg_state_header *header = &file.reader.header;
    uint32_t ours[TG_STATE_TABLES_MAX]; /* table of the file -> table of the job */
    for (uint32_t t = 0; status == TG_OK && t < header->table_count; t++) {
        const struct tg_state_layout *stored = &header->tables[t];
        ours[t] = UINT32_MAX;
        for (uint32_t i = 0; i < tables->count; i++) {
            const struct tg_state_layout *now = &tables->layouts[i];
            if (now->owner_kind == stored->owner_kind && strcmp(now->owner, stored->owner) == 0) { ours[t] = i; }
        }
        if (ours[t] == UINT32_MAX) {
            status = tg_fail(err, TG1519, 0, "%s holds state of %s, which the job does not have",
                             file.reader.input.name, stored->owner);
        } else {
            status = tg_restore_begin(&load->restores[ours[t]], stored, err);
        }
    }
    load->same_tables = load->same_tables && has_todays_tables(header, tables);
    if (status == TG_OK) { status = load_records(load, &file.reader, ours, err); }
    load->bytes += file.reading.bytes;
    tg_recovery_file_close(&file);
    return status;
}

/* ---- clocks ------------------------------------------------------------------------------------------------------ */

/* Watermarks would bring the clocks up again, but not until every partition has had news: meanwhile a clock would have
 * gone back, and timers on the job's clock would wait for the most silent partition. */
static void load_clocks(const struct load *load, uint32_t step)
{
    const struct tg_manifest *manifest = &load->checkpoint->choice.manifest;
    const struct tg_step_spec *spec = &load->plan->job->steps[step];
    struct tg_ctx *stage = &load->part->stages[step];
    const struct tg_edge_plan *edge = stage->edge_plan;
    const int64_t *clocks = manifest->steps[step].clocks;
    for (uint32_t p = 0; p < edge->partition_count; p++) {
        const uint32_t job_wide = edge->partition_first + p;
        int64_t wm; /* what the channels brought last */
        if (edge->from_source) {
            const uint32_t source = spec->from.index;
            wm = tg_checkpoint_partitions(load->checkpoint, source)[job_wide - load->plan->partition_first[source]].wm;
        } else {
            wm = manifest->steps[spec->from.index].clocks[job_wide];
        }
        for (uint32_t c = 0; c < stage->channel_count; c++) {
            stage->channel_wm[(size_t)c * edge->partition_count + p] = wm;
        }
        stage->partition_wm[p] = wm;
        stage->clocks[p] = clocks[job_wide];
    }
    stage->clocks[edge->partition_count] = clocks[load->plan->partition_count];
}

/* They are sums over the shards: the first one takes them all. */
static void load_tallies(const struct load *load, uint32_t step)
{
    const struct tg_manifest_step *saved = &load->checkpoint->choice.manifest.steps[step];
    const struct tg_ctx *stage = &load->part->stages[step];
    if (load->part->shard != 0 || saved->tally_count != stage->edge_plan->partition_count) { return; }
    memcpy(stage->tallies, saved->tallies, saved->tally_count * sizeof *stage->tallies);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static void begin_tables(struct load *load, struct chooser *choosers)
{
    const struct tg_job_tables *tables = &load->checkpoint->tables;
    const struct chooser chooser = {
        .checkpoint = load->checkpoint, .shard = load->part->shard, .shard_count = load->plan->shard_count};
    for (uint32_t i = 0; i < load->part->stage_count; i++) {
        struct tg_ctx *stage = &load->part->stages[i];
        choosers[i] = chooser;
        choosers[i].stage = stage;
        load->restores[i] = (struct tg_restore){.table = stage->table,
                                                .heap = stage->heap,
                                                .now = &tables->layouts[i],
                                                .value_bytes = stage->plan->value_bytes,
                                                .mark_offset = offsetof(struct tg_key_state, mark),
                                                .wanted = key_is_ours,
                                                .make_fresh = make_key_fresh,
                                                .self = &choosers[i]};
    }
    for (uint32_t i = 0; i < load->part->ingest_count; i++) {
        const uint32_t table = tables->of_source[i];
        if (table == UINT32_MAX) { continue; }
        const struct tg_ingest *ingest = &load->part->ingests[i];
        choosers[table] = chooser;
        choosers[table].ingest = ingest;
        load->restores[table] = (struct tg_restore){.table = ingest->dedupe.table,
                                                    .heap = ingest->dedupe.heap,
                                                    .now = &tables->layouts[table],
                                                    .value_bytes = tg_dedupe_value_bytes,
                                                    .mark_offset = tg_dedupe_mark_offset,
                                                    .wanted = identity_is_ours,
                                                    .self = &choosers[table]};
    }
}

/* The shard's tables are what its own chain made of them, so the next file may be a delta behind it. */
static void continue_chain(struct tg_checkpoint *checkpoint, uint32_t shard)
{
    struct tg_checkpoint_shard *part = &checkpoint->parts[shard];
    const struct tg_manifest *manifest = &checkpoint->choice.manifest;
    uint32_t count;
    const struct tg_manifest_file *files = &manifest->files[tg_manifest_chain(manifest, shard, &count)];
    TG_ASSERT(count >= 1 && count <= TG_MANIFEST_CHAIN_MAX);
    for (uint32_t i = 0; i < count; i++) {
        checkpoint->chain[(size_t)shard * TG_MANIFEST_CHAIN_MAX + i] = files[i];
        part->chain_bytes += i == 0 ? 0 : files[i].bytes;
    }
    checkpoint->chain_counts[shard] = count;
    part->base_bytes = files[0].bytes;
    part->chain_length = count - 1;
    part->last_epoch = files[count - 1].epoch;
    for (uint32_t i = 0; i < part->table_count; i++) {
        TG_ASSERT(part->snapshots[i] != NULL); /* stages and ingests are all open */
        tg_snapshot_continue(part->snapshots[i]);
    }
}

tg_status tg_checkpoint_load(struct tg_checkpoint *checkpoint, uint32_t shard, struct tg_error *err)
{
    if (!checkpoint->choice.found) { return TG_OK; }
    static _Thread_local struct load load;
    struct chooser choosers[TG_STATE_TABLES_MAX];
    const struct tg_manifest *manifest = &checkpoint->choice.manifest;
    load = (struct load){.checkpoint = checkpoint,
                         .part = &checkpoint->parts[shard],
                         .plan = checkpoint->config.plan,
                         .same_tables = true};
    begin_tables(&load, choosers);
    const uint64_t begin_ns = tg_clock_now_ns(&checkpoint->config.clock);
    const uint64_t cpu_begin_ns = tg_clock_cpu_ns();
    const bool same_shards = manifest->shard_count == load.plan->shard_count;
    tg_status status = TG_OK;
    for (uint32_t f = 0; status == TG_OK && f < manifest->file_count; f++) {
        if (same_shards && manifest->files[f].shard != shard) { continue; }
        status = load_file(&load, f, err);
    }
    if (status == TG_OK && same_shards && load.same_tables) { continue_chain(checkpoint, shard); }
    const uint64_t timers_begin_ns = tg_clock_now_ns(&checkpoint->config.clock);
    for (uint32_t i = 0; status == TG_OK && i < load.part->stage_count; i++) {
        load_clocks(&load, i);
        load_tallies(&load, i);
        tg_stage_restored(&load.part->stages[i]);
    }
    for (uint32_t i = 0; status == TG_OK && i < load.part->ingest_count; i++) {
        struct tg_ingest *ingest = &load.part->ingests[i];
        if (ingest->dedupe.table != NULL) { tg_dedupe_restored(&ingest->dedupe, ingest->owned_index); }
    }
    struct tg_checkpoint_shard *part = load.part;
    for (uint32_t i = 0; i < part->stage_count; i++) { part->loaded_keys += tg_table_count(part->stages[i].table); }
    part->loaded_bytes = load.bytes;
    const uint64_t end_ns = tg_clock_now_ns(&checkpoint->config.clock);
    part->timers_ns = end_ns - timers_begin_ns;
    part->load_ns = end_ns - begin_ns;
    part->loaded_ns = end_ns;
    part->load_cpu_ns = tg_clock_cpu_ns() - cpu_begin_ns;
    return status;
}
