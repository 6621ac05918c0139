/* Do two manifests say the same? */
#ifndef TG_TESTS_MANIFEST_EQUAL_H
#define TG_TESTS_MANIFEST_EQUAL_H

#include <string.h>

#include "engine/checkpoint/manifest.h"

static inline bool manifest_same_partition(const struct tg_manifest_partition *a, const struct tg_manifest_partition *b)
{
    return a->next_offset == b->next_offset && a->max_ts == b->max_ts && a->wm == b->wm && a->flags == b->flags &&
           a->quiet_ns == b->quiet_ns && a->idle_base_wm == b->idle_base_wm && a->idle_base_ns == b->idle_base_ns &&
           a->records == b->records && a->dead == b->dead && a->late == b->late && a->duplicates == b->duplicates &&
           a->accepted == b->accepted && a->late_in_part == b->late_in_part;
}

static inline bool manifest_same_source(const struct tg_manifest_source *a, const struct tg_manifest_source *b)
{
    if (strcmp(a->name, b->name) != 0 || strcmp(a->connector, b->connector) != 0) { return false; }
    if (strcmp(a->cluster, b->cluster) != 0 || strcmp(a->topic, b->topic) != 0) { return false; }
    if (a->partition_count != b->partition_count) { return false; }
    for (uint32_t i = 0; i < a->partition_count; i++) {
        if (!manifest_same_partition(&a->partitions[i], &b->partitions[i])) { return false; }
    }
    return true;
}

static inline bool manifest_same_step(const struct tg_manifest_step *a, const struct tg_manifest_step *b)
{
    if (strcmp(a->name, b->name) != 0 || strcmp(a->op, b->op) != 0) { return false; }
    if ((a->layout == NULL) != (b->layout == NULL)) { return false; }
    if (a->layout != NULL && !tg_state_layout_equal(a->layout, b->layout)) { return false; }
    if (a->clock_count != b->clock_count || a->tally_first != b->tally_first || a->tally_count != b->tally_count) {
        return false;
    }
    if (a->from_source != b->from_source) { return false; }
    if (a->clock_count != 0 && memcmp(a->clocks, b->clocks, a->clock_count * sizeof *a->clocks) != 0) { return false; }
    return a->tally_count == 0 || memcmp(a->tallies, b->tallies, a->tally_count * sizeof *a->tallies) == 0;
}

static inline bool manifest_same_file(const struct tg_manifest_file *a, const struct tg_manifest_file *b)
{
    return a->shard == b->shard && a->kind == b->kind && a->epoch == b->epoch && a->bytes == b->bytes &&
           a->crc == b->crc;
}

static inline bool manifest_same_sink(const struct tg_manifest_sink *a, const struct tg_manifest_sink *b)
{
    if (strcmp(a->name, b->name) != 0 || strcmp(a->connector, b->connector) != 0) { return false; }
    if (a->committable_count != b->committable_count) { return false; }
    for (uint32_t i = 0; i < a->committable_count; i++) {
        const struct tg_committable *x = &a->committables[i];
        const struct tg_committable *y = &b->committables[i];
        if (x->bytes != y->bytes || (x->bytes > 0 && memcmp(x->data, y->data, x->bytes) != 0)) { return false; }
    }
    return true;
}

static inline bool manifest_same_head(const struct tg_manifest *a, const struct tg_manifest *b)
{
    return strcmp(a->job, b->job) == 0 && memcmp(&a->run_id, &b->run_id, sizeof a->run_id) == 0 &&
           a->epoch == b->epoch && a->created_us == b->created_us && a->generation == b->generation &&
           a->version_base == b->version_base && a->job_clock_base == b->job_clock_base &&
           a->graph_hash == b->graph_hash && a->hash_seed == b->hash_seed && a->key_group_count == b->key_group_count &&
           a->shard_count == b->shard_count && a->source_count == b->source_count && a->step_count == b->step_count &&
           a->file_count == b->file_count && a->sink_count == b->sink_count;
}

static inline bool manifest_equal(const struct tg_manifest *a, const struct tg_manifest *b)
{
    if (!manifest_same_head(a, b)) { return false; }
    for (uint32_t i = 0; i < a->source_count; i++) {
        if (!manifest_same_source(&a->sources[i], &b->sources[i])) { return false; }
    }
    for (uint32_t i = 0; i < a->step_count; i++) {
        if (!manifest_same_step(&a->steps[i], &b->steps[i])) { return false; }
    }
    for (uint32_t i = 0; i < a->file_count; i++) {
        if (!manifest_same_file(&a->files[i], &b->files[i])) { return false; }
    }
    for (uint32_t i = 0; i < a->sink_count; i++) {
        if (!manifest_same_sink(&a->sinks[i], &b->sinks[i])) { return false; }
    }
    return true;
}

#endif
