/* Manifests made from a seed, with everything a manifest can hold. */
#ifndef TG_TESTS_MANIFEST_MAKER_H
#define TG_TESTS_MANIFEST_MAKER_H

#include "engine/checkpoint/manifest.h"
#include "tests/checkpoint_maker.h"

static inline void maker_sources(struct maker *maker, struct tg_manifest *m)
{
    m->source_count = 1 + maker_below(maker, 3);
    struct tg_manifest_source *sources = maker_alloc(maker, m->source_count * sizeof *sources);
    for (uint32_t i = 0; i < m->source_count; i++) {
        const uint32_t count = 1 + maker_below(maker, 5);
        struct tg_manifest_partition *partitions = maker_alloc(maker, count * sizeof *partitions);
        for (uint32_t j = 0; j < count; j++) {
            partitions[j] = (struct tg_manifest_partition){
                .next_offset = (int64_t)maker_below(maker, 1000000) - 1,
                .max_ts = (int64_t)tg_prng_next(&maker->prng),
                .wm = (int64_t)tg_prng_next(&maker->prng),
                .flags = maker_below(maker, TG_PARTITION_FLAGS + 1),
                .quiet_ns = tg_prng_next(&maker->prng),
                .idle_base_wm = (int64_t)tg_prng_next(&maker->prng),
                .idle_base_ns = tg_prng_next(&maker->prng),
                .records = tg_prng_next(&maker->prng),
                .dead = maker_below(maker, 1000),
                .late = maker_below(maker, 1000),
                .duplicates = maker_below(maker, 1000),
            };
            partitions[j].accepted = tg_prng_next(&maker->prng);
            partitions[j].late_in_part = maker_below(maker, 1000);
        }
        sources[i] = (struct tg_manifest_source){.name = maker_name(maker, "source", i),
                                                 .connector = "kafka",
                                                 .cluster = maker_below(maker, 2) == 0 ? "" : "cluster-1",
                                                 .topic = maker_name(maker, "topic", i),
                                                 .partition_count = count,
                                                 .partitions = partitions};
    }
    m->sources = sources;
}
static inline void maker_tallies(struct maker *maker, struct tg_manifest_step *step, uint32_t partitions)
{
    step->from_source = maker_below(maker, 2) == 0;
    step->tally_first = maker_below(maker, partitions);
    step->tally_count = maker_below(maker, partitions - step->tally_first + 1);
    struct tg_tally *tallies = maker_alloc(maker, (step->tally_count + 1) * sizeof *tallies);
    for (uint32_t i = 0; i < step->tally_count; i++) {
        tallies[i] = (struct tg_tally){.applied = maker_below(maker, 1000),
                                       .ignored = maker_below(maker, 1000),
                                       .refused = maker_below(maker, 1000),
                                       .sum = tg_prng_next(&maker->prng),
                                       .squares = tg_prng_next(&maker->prng)};
    }
    step->tallies = tallies;
}
static inline void maker_steps(struct maker *maker, struct tg_manifest *m)
{
    uint32_t partitions = 0;
    for (uint32_t i = 0; i < m->source_count; i++) { partitions += m->sources[i].partition_count; }
    m->step_count = maker_below(maker, 4);
    struct tg_manifest_step *steps = maker_alloc(maker, (m->step_count + 1) * sizeof *steps);
    for (uint32_t i = 0; i < m->step_count; i++) {
        steps[i] = (struct tg_manifest_step){.name = maker_name(maker, "step", i), .op = "op"};
        if (maker_below(maker, 4) > 0) {
            struct tg_state_layout *layout = maker_alloc(maker, sizeof *layout);
            *layout = maker_layout(maker, TG_STATE_OF_STEP, steps[i].name);
            steps[i].layout = layout;
        }
        steps[i].clock_count = maker_below(maker, 3) == 0 ? 0 : partitions + 1;
        int64_t *clocks = maker_alloc(maker, (steps[i].clock_count + 1) * sizeof *clocks);
        for (uint32_t j = 0; j < steps[i].clock_count; j++) { clocks[j] = (int64_t)tg_prng_next(&maker->prng); }
        steps[i].clocks = clocks;
        maker_tallies(maker, &steps[i], partitions);
    }
    m->steps = steps;
}
static inline void maker_files(struct maker *maker, struct tg_manifest *m)
{
    struct tg_manifest_file *files = maker_alloc(maker, m->shard_count * 8 * sizeof *files);
    for (uint32_t shard = 0; shard < m->shard_count; shard++) {
        const uint32_t chain = 1 + maker_below(maker, m->epoch < 6 ? (uint32_t)m->epoch : 6);
        for (uint32_t i = 0; i < chain; i++) {
            files[m->file_count++] = (struct tg_manifest_file){.shard = shard,
                                                               .kind = i == 0 ? TG_STATE_BASE : TG_STATE_DELTA,
                                                               .epoch = m->epoch - chain + 1 + i,
                                                               .bytes = 1000 + maker_below(maker, 1000000),
                                                               .crc = (uint32_t)tg_prng_next(&maker->prng)};
        }
    }
    m->files = files;
}
static inline void maker_sinks(struct maker *maker, struct tg_manifest *m)
{
    m->sink_count = maker_below(maker, 4);
    struct tg_manifest_sink *sinks = maker_alloc(maker, (m->sink_count + 1) * sizeof *sinks);
    for (uint32_t i = 0; i < m->sink_count; i++) {
        sinks[i] = (struct tg_manifest_sink){.name = maker_name(maker, "sink", i), .connector = "file"};
        sinks[i].committable_count = maker_below(maker, 2) == 0 ? 0 : m->shard_count;
        struct tg_committable *list = maker_alloc(maker, (sinks[i].committable_count + 1) * sizeof *list);
        for (uint32_t j = 0; j < sinks[i].committable_count; j++) {
            list[j].bytes = maker_below(maker, 50);
            uint8_t *data = maker_alloc(maker, list[j].bytes + 1);
            for (uint32_t k = 0; k < list[j].bytes; k++) { data[k] = (uint8_t)tg_prng_next(&maker->prng); }
            list[j].data = data;
        }
        sinks[i].committables = list;
    }
    m->sinks = sinks;
}
static inline struct tg_manifest maker_manifest(struct maker *maker, uint64_t epoch)
{
    struct tg_manifest m = {
        .job = "job",
        .epoch = epoch,
        .created_us = (int64_t)tg_prng_next(&maker->prng),
        .generation = tg_prng_next(&maker->prng),
        .version_base = (int64_t)tg_prng_next(&maker->prng),
        .job_clock_base = (int64_t)tg_prng_next(&maker->prng),
        .graph_hash = 0xABCD,
        .hash_seed = tg_prng_next(&maker->prng),
        .key_group_count = TG_KEY_GROUP_COUNT,
        .shard_count = 1 + maker_below(maker, 4),
    };
    memset(m.run_id.bytes, 0x5A, sizeof m.run_id.bytes);
    maker_sources(maker, &m);
    maker_steps(maker, &m);
    maker_files(maker, &m);
    maker_sinks(maker, &m);
    return m;
}

#endif
