/* Manifests in memory: what is legal. Their bytes are engine/checkpoint/manifest_bytes.c's. */
#include "engine/checkpoint/manifest.h"

#include <string.h>

#include "base/assert.h"
#include "engine/checkpoint/manifest_bytes.h"

/* ---- legality, section by section -------------------------------------------------------------------------------- */

const char *tg_manifest_job_flaw(const struct tg_manifest *m)
{
    if (m->epoch == 0) { return "epoch 0"; }
    if (m->key_group_count != TG_KEY_GROUP_COUNT) { return "another number of key groups"; }
    if (m->shard_count < 1 || m->shard_count > TG_SHARDS_MAX) { return "wrong number of shards"; }
    return tg_bytes_text_flaw(m->job, 1, TG_STATE_NAME_BYTES_MAX);
}

static const char *source_flaw(const struct tg_manifest_source *source)
{
    const char *flaw = tg_bytes_text_flaw(source->name, 1, TG_STATE_NAME_BYTES_MAX);
    if (flaw == NULL) { flaw = tg_bytes_text_flaw(source->connector, 1, TG_STATE_NAME_BYTES_MAX); }
    if (flaw == NULL) { flaw = tg_bytes_text_flaw(source->cluster, 0, TG_STATE_NAME_BYTES_MAX); }
    if (flaw == NULL) { flaw = tg_bytes_text_flaw(source->topic, 0, TG_MANIFEST_TOPIC_BYTES_MAX); }
    if (flaw != NULL) { return flaw; }
    if (source->partition_count < 1 || source->partition_count > TG_PARTITIONS_MAX) {
        return "wrong number of partitions";
    }
    for (uint32_t i = 0; i < source->partition_count; i++) {
        if (source->partitions[i].next_offset < -1) { return "negative offset"; }
        if (source->partitions[i].flags > TG_PARTITION_FLAGS) { return "unknown flags of a partition"; }
    }
    return NULL;
}

const char *tg_manifest_sources_flaw(const struct tg_manifest *m)
{
    if (m->source_count > TG_SOURCES_MAX) { return "too many sources"; }
    for (uint32_t i = 0; i < m->source_count; i++) {
        const char *flaw = source_flaw(&m->sources[i]);
        if (flaw != NULL) { return flaw; }
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(m->sources[i].name, m->sources[j].name) == 0) { return "two sources of one name"; }
        }
    }
    return NULL;
}

static uint32_t partitions_of(const struct tg_manifest *m)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->source_count; i++) { count += m->sources[i].partition_count; }
    return count;
}

static const char *step_flaw(const struct tg_manifest *m, const struct tg_manifest_step *step)
{
    const char *flaw = tg_bytes_text_flaw(step->name, 1, TG_STATE_NAME_BYTES_MAX);
    if (flaw == NULL) { flaw = tg_bytes_text_flaw(step->op, 1, TG_STATE_NAME_BYTES_MAX); }
    if (flaw != NULL) { return flaw; }
    if (step->clock_count != 0 && step->clock_count != partitions_of(m) + 1) { return "wrong number of clocks"; }
    const uint32_t partitions = partitions_of(m);
    if (step->tally_first > partitions || step->tally_count > partitions - step->tally_first) {
        return "tallies of unknown partitions";
    }
    const struct tg_state_layout *layout = step->layout;
    if (layout == NULL) { return NULL; }
    if (tg_state_layout_check(layout, NULL) != TG_OK) { return "illegal layout of a state"; }
    if (layout->owner_kind != TG_STATE_OF_STEP || strcmp(layout->owner, step->name) != 0) {
        return "layout of another step";
    }
    return NULL;
}

const char *tg_manifest_steps_flaw(const struct tg_manifest *m)
{
    if (m->step_count > TG_STEPS_MAX) { return "too many steps"; }
    for (uint32_t i = 0; i < m->step_count; i++) {
        const char *flaw = step_flaw(m, &m->steps[i]);
        if (flaw != NULL) { return flaw; }
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(m->steps[i].name, m->steps[j].name) == 0) { return "two steps of one name"; }
        }
    }
    return NULL;
}

/* One shard's chain starts at *index; moves it behind the chain. */
static const char *chain_flaw(const struct tg_manifest *m, uint32_t shard, uint32_t *index)
{
    const uint32_t first = *index;
    for (; *index < m->file_count && m->files[*index].shard == shard; (*index)++) {
        const struct tg_manifest_file *file = &m->files[*index];
        if (file->kind != (*index == first ? TG_STATE_BASE : TG_STATE_DELTA)) { return "a chain is a base and deltas"; }
        if (file->epoch == 0 || (*index > first && file->epoch <= m->files[*index - 1].epoch)) {
            return "epochs of a chain do not ascend";
        }
        if (file->bytes < TG_STATE_HEADER_FIXED_BYTES + TG_STATE_FOOTER_BYTES || file->bytes > INT64_MAX) {
            return "wrong length of a state file";
        }
    }
    if (*index == first) { return "a shard without state file"; }
    if (*index - first > TG_MANIFEST_CHAIN_MAX) { return "chain too long"; }
    return m->files[*index - 1].epoch != m->epoch ? "a chain does not end with this epoch" : NULL;
}

const char *tg_manifest_files_flaw(const struct tg_manifest *m)
{
    uint32_t index = 0;
    for (uint32_t shard = 0; shard < m->shard_count; shard++) {
        const char *flaw = chain_flaw(m, shard, &index);
        if (flaw != NULL) { return flaw; }
    }
    return index != m->file_count ? "state file of an unknown shard" : NULL;
}

const char *tg_manifest_sinks_flaw(const struct tg_manifest *m)
{
    if (m->sink_count > TG_MANIFEST_SINKS_MAX) { return "too many sinks"; }
    for (uint32_t i = 0; i < m->sink_count; i++) {
        const struct tg_manifest_sink *sink = &m->sinks[i];
        const char *flaw = tg_bytes_text_flaw(sink->name, 1, TG_STATE_NAME_BYTES_MAX);
        if (flaw == NULL) { flaw = tg_bytes_text_flaw(sink->connector, 1, TG_STATE_NAME_BYTES_MAX); }
        if (flaw != NULL) { return flaw; }
        if (sink->committable_count != 0 && sink->committable_count != m->shard_count) {
            return "wrong number of committables";
        }
        for (uint32_t j = 0; j < sink->committable_count; j++) {
            if (sink->committables[j].bytes > TG_COMMITTABLE_BYTES_MAX) { return "committable too long"; }
        }
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(sink->name, m->sinks[j].name) == 0) { return "two sinks of one name"; }
        }
    }
    return NULL;
}

const char *tg_manifest_flaw(const struct tg_manifest *manifest)
{
    const char *flaw = tg_manifest_job_flaw(manifest);
    if (flaw == NULL) { flaw = tg_manifest_sources_flaw(manifest); }
    if (flaw == NULL) { flaw = tg_manifest_steps_flaw(manifest); }
    if (flaw == NULL) { flaw = tg_manifest_files_flaw(manifest); }
    return flaw != NULL ? flaw : tg_manifest_sinks_flaw(manifest);
}

/* ---- questions --------------------------------------------------------------------------------------------------- */

const struct tg_manifest_source *tg_manifest_source_find(const struct tg_manifest *manifest, const char *name)
{
    for (uint32_t i = 0; i < manifest->source_count; i++) {
        if (strcmp(manifest->sources[i].name, name) == 0) { return &manifest->sources[i]; }
    }
    return NULL;
}

const struct tg_manifest_sink *tg_manifest_sink_find(const struct tg_manifest *manifest, const char *name,
                                                     const char *connector)
{
    for (uint32_t i = 0; i < manifest->sink_count; i++) {
        const struct tg_manifest_sink *sink = &manifest->sinks[i];
        if (strcmp(sink->name, name) == 0 && strcmp(sink->connector, connector) == 0) { return sink; }
    }
    return NULL;
}

bool tg_manifest_sink_commits(const struct tg_manifest_sink *sink)
{
    for (uint32_t i = 0; i < sink->committable_count; i++) {
        if (sink->committables[i].bytes > 0) { return true; }
    }
    return false;
}

bool tg_manifest_commits(const struct tg_manifest *manifest)
{
    for (uint32_t i = 0; i < manifest->sink_count; i++) {
        if (tg_manifest_sink_commits(&manifest->sinks[i])) { return true; }
    }
    return false;
}

uint32_t tg_manifest_chain(const struct tg_manifest *manifest, uint32_t shard, uint32_t *count)
{
    TG_ASSERT(shard < manifest->shard_count);
    uint32_t first = 0;
    while (manifest->files[first].shard != shard) { first++; } /* every shard has one: checked when decoded */
    *count = 0;
    while (first + *count < manifest->file_count && manifest->files[first + *count].shard == shard) { (*count)++; }
    return first;
}

uint64_t tg_manifest_bytes(const struct tg_manifest *manifest)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < manifest->file_count; i++) { bytes += manifest->files[i].bytes; }
    return bytes;
}
