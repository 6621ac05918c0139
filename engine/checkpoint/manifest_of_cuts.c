/* What the parts left at their cuts, as a manifest. */
#include <errno.h>
#include <string.h>

#include "engine/checkpoint/checkpoint.h"

/* The parts of a manifest, each in memory of `arena`; NULL = it is spent. */

static const struct tg_manifest_source *make_sources(const struct tg_checkpoint *checkpoint, struct tg_arena *arena)
{
    const struct tg_plan *plan = checkpoint->config.plan;
    const struct tg_job *job = plan->job;
    struct tg_manifest_source *sources = tg_arena_alloc(arena, job->source_count * sizeof *sources, 8);
    for (uint32_t i = 0; sources != NULL && i < job->source_count; i++) {
        const uint32_t count = plan->source_partitions[i];
        struct tg_manifest_partition *partitions = tg_arena_alloc(arena, count * sizeof *partitions, 8);
        if (partitions == NULL) { return NULL; }
        for (uint32_t p = 0; p < count; p++) {
            const struct tg_ingest *ingest = &checkpoint->parts[p % plan->shard_count].ingests[i];
            partitions[p] = ingest->cut_state[ingest->owned_index[p]];
        }
        sources[i] = (struct tg_manifest_source){.name = job->sources[i].name,
                                                 .connector = job->sources[i].ops->name,
                                                 .cluster = checkpoint->identities[i],
                                                 .topic = job->sources[i].topic,
                                                 .partition_count = count,
                                                 .partitions = partitions};
    }
    return sources;
}

static const struct tg_tally *make_tallies(const struct tg_checkpoint *checkpoint, uint32_t step,
                                           struct tg_arena *arena)
{
    const uint32_t count = checkpoint->parts[0].stages[step].edge_plan->partition_count;
    struct tg_tally *tallies = tg_arena_alloc(arena, count * sizeof *tallies, 8);
    if (tallies == NULL) { return NULL; }
    memset(tallies, 0, count * sizeof *tallies);
    for (uint32_t s = 0; s < checkpoint->config.plan->shard_count; s++) {
        const struct tg_tally *own = checkpoint->parts[s].stages[step].cut_tallies;
        for (uint32_t p = 0; p < count; p++) { tg_tally_add(&tallies[p], &own[p]); }
    }
    return tallies;
}

static const struct tg_manifest_step *make_steps(const struct tg_checkpoint *checkpoint, struct tg_arena *arena)
{
    const struct tg_plan *plan = checkpoint->config.plan;
    const struct tg_job *job = plan->job;
    struct tg_manifest_step *steps = tg_arena_alloc(arena, job->step_count * sizeof *steps, 8);
    for (uint32_t i = 0; steps != NULL && i < job->step_count; i++) {
        const struct tg_ctx *stage = &checkpoint->parts[0].stages[i];
        const uint32_t own_count = stage->edge_plan->partition_count;
        int64_t *clocks = tg_arena_alloc(arena, (plan->partition_count + 1) * sizeof *clocks, 8);
        if (clocks == NULL) { return NULL; }
        for (uint32_t p = 0; p < plan->partition_count; p++) { clocks[p] = TG_TS_MIN; }
        memcpy(clocks + stage->edge_plan->partition_first, stage->cut_clocks, own_count * sizeof *clocks);
        clocks[plan->partition_count] = stage->cut_clocks[own_count];
        steps[i] = (struct tg_manifest_step){.name = job->steps[i].name,
                                             .op = job->steps[i].op->name,
                                             .layout = &checkpoint->tables.layouts[i],
                                             .clock_count = plan->partition_count + 1,
                                             .clocks = clocks,
                                             .from_source = stage->edge_plan->from_source,
                                             .tally_first = stage->edge_plan->partition_first,
                                             .tally_count = own_count,
                                             .tallies = make_tallies(checkpoint, i, arena)};
        if (steps[i].tallies == NULL) { return NULL; }
    }
    return steps;
}

static const struct tg_manifest_sink *make_sinks(const struct tg_checkpoint *checkpoint, struct tg_arena *arena)
{
    const struct tg_plan *plan = checkpoint->config.plan;
    struct tg_manifest_sink *sinks = tg_arena_alloc(arena, plan->sink_count * sizeof *sinks, 8);
    for (uint32_t i = 0; sinks != NULL && i < plan->sink_count; i++) {
        sinks[i] =
            (struct tg_manifest_sink){.name = plan->sinks[i].spec->name, .connector = plan->sinks[i].spec->ops->name};
        if (checkpoint->parts[0].committables[i] == NULL) { continue; }
        struct tg_committable *list = tg_arena_alloc(arena, plan->shard_count * sizeof *list, 8);
        if (list == NULL) { return NULL; }
        for (uint32_t s = 0; s < plan->shard_count; s++) {
            const struct tg_checkpoint_shard *part = &checkpoint->parts[s];
            list[s] = (struct tg_committable){part->committables[i], part->committable_bytes[i]};
        }
        sinks[i].committable_count = plan->shard_count;
        sinks[i].committables = list;
    }
    return sinks;
}

static const struct tg_manifest_file *make_files(const struct tg_checkpoint *checkpoint, struct tg_arena *arena,
                                                 uint32_t *count)
{
    const uint32_t shard_count = checkpoint->config.plan->shard_count;
    struct tg_manifest_file *files =
        tg_arena_alloc(arena, (size_t)shard_count * TG_MANIFEST_CHAIN_MAX * sizeof *files, 8);
    *count = 0;
    for (uint32_t s = 0; files != NULL && s < shard_count; s++) {
        for (uint32_t f = 0; f < checkpoint->chain_counts[s]; f++) {
            files[(*count)++] = checkpoint->chain[(size_t)s * TG_MANIFEST_CHAIN_MAX + f];
        }
    }
    return files;
}

tg_status tg_checkpoint_make_manifest(struct tg_checkpoint *checkpoint, struct tg_arena *arena, struct tg_error *err)
{
    const struct tg_plan *plan = checkpoint->config.plan;
    struct tg_manifest *manifest = &checkpoint->manifest;
    *manifest = (struct tg_manifest){.job = plan->job->name,
                                     .run_id = checkpoint->run_id,
                                     .epoch = checkpoint->next_epoch,
                                     .created_us = tg_clock_wall_us(&checkpoint->config.clock),
                                     .generation = checkpoint->store.generation,
                                     .version_base = checkpoint->version_base,
                                     .job_clock_base = checkpoint->job_clock_base,
                                     .graph_hash = checkpoint->graph_hash,
                                     .key_group_count = TG_KEY_GROUP_COUNT,
                                     .shard_count = plan->shard_count,
                                     .source_count = plan->job->source_count,
                                     .step_count = plan->job->step_count,
                                     .sink_count = plan->sink_count};
    manifest->sources = make_sources(checkpoint, arena);
    manifest->steps = make_steps(checkpoint, arena);
    manifest->sinks = make_sinks(checkpoint, arena);
    manifest->files = make_files(checkpoint, arena, &manifest->file_count);
    checkpoint->manifest_bytes = tg_arena_alloc(arena, TG_MANIFEST_BYTES_MAX, 64);
    if (manifest->sources == NULL || manifest->steps == NULL || manifest->sinks == NULL || manifest->files == NULL ||
        checkpoint->manifest_bytes == NULL) {
        return tg_fail(err, TG1601, ENOMEM, "no memory for a manifest");
    }
    return TG_OK;
}
