/* Manifests as bytes: docs/formats/checkpoint.md in code. */
#include "engine/checkpoint/manifest_bytes.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"

#define MANIFEST_MAGIC "TGMANIF\n"
#define END_MAGIC 0x444E4754u /* TGND */
enum { MAGIC_BYTES = 8, LENGTH_AT = 12, FIXED_BYTES = 16, TRAILER_BYTES = 8 };

enum section { SECTION_JOB, SECTION_SOURCES, SECTION_STEPS, SECTION_FILES, SECTION_SINKS, SECTION_COUNT };
static const char section_tags[SECTION_COUNT][5] = {"JOB ", "SRC ", "STP ", "FIL ", "SNK "};

/* ---- encode ------------------------------------------------------------------------------------------------------ */

static void put_job(struct tg_bytes_out *out, const struct tg_manifest *m)
{
    tg_bytes_put_text(out, m->job);
    tg_bytes_put(out, m->run_id.bytes, sizeof m->run_id.bytes);
    tg_bytes_put_u64(out, m->epoch);
    tg_bytes_put_i64(out, m->created_us);
    tg_bytes_put_u64(out, m->generation);
    tg_bytes_put_i64(out, m->version_base);
    tg_bytes_put_i64(out, m->job_clock_base);
    tg_bytes_put_u64(out, m->graph_hash);
    tg_bytes_put_u64(out, m->hash_seed);
    tg_bytes_put_u16(out, (uint16_t)m->key_group_count);
    tg_bytes_put_u16(out, (uint16_t)m->shard_count);
}

static void put_partition(struct tg_bytes_out *out, const struct tg_manifest_partition *partition)
{
    tg_bytes_put_i64(out, partition->next_offset);
    tg_bytes_put_i64(out, partition->max_ts);
    tg_bytes_put_i64(out, partition->wm);
    tg_bytes_put_u32(out, partition->flags);
    tg_bytes_put_u64(out, partition->quiet_ns);
    tg_bytes_put_i64(out, partition->idle_base_wm);
    tg_bytes_put_u64(out, partition->idle_base_ns);
    tg_bytes_put_u64(out, partition->records);
    tg_bytes_put_u64(out, partition->dead);
    tg_bytes_put_u64(out, partition->late);
    tg_bytes_put_u64(out, partition->duplicates);
    tg_bytes_put_u64(out, partition->accepted);
    tg_bytes_put_u64(out, partition->late_in_part);
}

static void put_sources(struct tg_bytes_out *out, const struct tg_manifest *m)
{
    tg_bytes_put_u16(out, (uint16_t)m->source_count);
    for (uint32_t i = 0; i < m->source_count; i++) {
        const struct tg_manifest_source *source = &m->sources[i];
        tg_bytes_put_text(out, source->name);
        tg_bytes_put_text(out, source->connector);
        tg_bytes_put_text(out, source->cluster);
        tg_bytes_put_text(out, source->topic);
        tg_bytes_put_u32(out, source->partition_count);
        for (uint32_t j = 0; j < source->partition_count; j++) { put_partition(out, &source->partitions[j]); }
    }
}

static void put_tallies(struct tg_bytes_out *out, const struct tg_manifest_step *step)
{
    tg_bytes_put_u8(out, step->from_source);
    tg_bytes_put_u32(out, step->tally_first);
    tg_bytes_put_u32(out, step->tally_count);
    for (uint32_t i = 0; i < step->tally_count; i++) {
        const struct tg_tally *tally = &step->tallies[i];
        tg_bytes_put_u64(out, tally->applied);
        tg_bytes_put_u64(out, tally->ignored);
        tg_bytes_put_u64(out, tally->refused);
        tg_bytes_put_u64(out, tally->sum);
        tg_bytes_put_u64(out, tally->squares);
    }
}

static void put_steps(struct tg_bytes_out *out, const struct tg_manifest *m)
{
    tg_bytes_put_u16(out, (uint16_t)m->step_count);
    for (uint32_t i = 0; i < m->step_count; i++) {
        const struct tg_manifest_step *step = &m->steps[i];
        tg_bytes_put_text(out, step->name);
        tg_bytes_put_text(out, step->op);
        tg_bytes_put_u8(out, step->layout != NULL);
        if (step->layout != NULL) { tg_state_layout_encode(step->layout, out); }
        tg_bytes_put_u32(out, step->clock_count);
        for (uint32_t j = 0; j < step->clock_count; j++) { tg_bytes_put_i64(out, step->clocks[j]); }
        put_tallies(out, step);
    }
}

static void put_files(struct tg_bytes_out *out, const struct tg_manifest *m)
{
    tg_bytes_put_u32(out, m->file_count);
    for (uint32_t i = 0; i < m->file_count; i++) {
        const struct tg_manifest_file *file = &m->files[i];
        tg_bytes_put_u16(out, (uint16_t)file->shard);
        tg_bytes_put_u8(out, (uint8_t)file->kind);
        tg_bytes_put_u8(out, 0);
        tg_bytes_put_u64(out, file->epoch);
        tg_bytes_put_u64(out, file->bytes);
        tg_bytes_put_u32(out, file->crc);
    }
}

static void put_sinks(struct tg_bytes_out *out, const struct tg_manifest *m)
{
    tg_bytes_put_u16(out, (uint16_t)m->sink_count);
    for (uint32_t i = 0; i < m->sink_count; i++) {
        const struct tg_manifest_sink *sink = &m->sinks[i];
        tg_bytes_put_text(out, sink->name);
        tg_bytes_put_text(out, sink->connector);
        tg_bytes_put_u16(out, (uint16_t)sink->committable_count);
        for (uint32_t j = 0; j < sink->committable_count; j++) {
            tg_bytes_put_u32(out, sink->committables[j].bytes);
            tg_bytes_put(out, sink->committables[j].data, sink->committables[j].bytes);
        }
    }
}

tg_status tg_manifest_encode(const struct tg_manifest *manifest, struct tg_bytes_out *out, struct tg_error *err)
{
    TG_ASSERT(out->used == 0);
    TG_ASSERT(tg_manifest_flaw(manifest) == NULL);
    static void (*const sections[SECTION_COUNT])(struct tg_bytes_out *, const struct tg_manifest *) = {
        put_job, put_sources, put_steps, put_files, put_sinks};
    tg_bytes_put(out, MANIFEST_MAGIC, MAGIC_BYTES);
    tg_bytes_put_u16(out, TG_MANIFEST_FORMAT);
    tg_bytes_put_u16(out, 0);
    tg_bytes_put_u32(out, 0);
    for (uint32_t i = 0; i < SECTION_COUNT; i++) {
        tg_bytes_put(out, section_tags[i], 4);
        uint8_t *length_at = tg_bytes_claim(out, 4);
        const size_t start = out->used;
        sections[i](out, manifest);
        const uint32_t length = (uint32_t)(out->used - start);
        if (length_at != NULL) { memcpy(length_at, &length, sizeof length); }
    }
    uint8_t *trailer = tg_bytes_claim(out, TRAILER_BYTES);
    if (trailer == NULL || out->used > TG_MANIFEST_BYTES_MAX) {
        return tg_fail(err, TG1510, 0, "the manifest of epoch %" PRIu64 " is longer than %d bytes", manifest->epoch,
                       TG_MANIFEST_BYTES_MAX);
    }
    const uint32_t total = (uint32_t)out->used;
    memcpy(out->data + LENGTH_AT, &total, sizeof total);
    const uint32_t crc = tg_crc32c(0, out->data, total - TRAILER_BYTES);
    const uint32_t end = END_MAGIC;
    memcpy(trailer, &crc, sizeof crc);
    memcpy(trailer + sizeof crc, &end, sizeof end);
    return TG_OK;
}

/* ---- decode ------------------------------------------------------------------------------------------------------ */

static const char *get_name(struct tg_bytes_in *in, struct tg_arena *arena)
{
    return tg_bytes_get_text(in, arena, 1, TG_STATE_NAME_BYTES_MAX);
}

static void get_job(struct tg_bytes_in *in, struct tg_arena *arena, struct tg_manifest *m)
{
    m->job = get_name(in, arena);
    tg_bytes_get(in, m->run_id.bytes, sizeof m->run_id.bytes);
    m->epoch = tg_bytes_get_u64(in);
    m->created_us = tg_bytes_get_i64(in);
    m->generation = tg_bytes_get_u64(in);
    m->version_base = tg_bytes_get_i64(in);
    m->job_clock_base = tg_bytes_get_i64(in);
    m->graph_hash = tg_bytes_get_u64(in);
    m->hash_seed = tg_bytes_get_u64(in);
    m->key_group_count = tg_bytes_get_u16(in);
    m->shard_count = tg_bytes_get_u16(in);
}

static void get_partition(struct tg_bytes_in *in, struct tg_manifest_partition *partition)
{
    partition->next_offset = tg_bytes_get_i64(in);
    partition->max_ts = tg_bytes_get_i64(in);
    partition->wm = tg_bytes_get_i64(in);
    partition->flags = tg_bytes_get_u32(in);
    partition->quiet_ns = tg_bytes_get_u64(in);
    partition->idle_base_wm = tg_bytes_get_i64(in);
    partition->idle_base_ns = tg_bytes_get_u64(in);
    partition->records = tg_bytes_get_u64(in);
    partition->dead = tg_bytes_get_u64(in);
    partition->late = tg_bytes_get_u64(in);
    partition->duplicates = tg_bytes_get_u64(in);
    partition->accepted = tg_bytes_get_u64(in);
    partition->late_in_part = tg_bytes_get_u64(in);
}

static void get_sources(struct tg_bytes_in *in, struct tg_arena *arena, struct tg_manifest *m)
{
    m->source_count = (uint32_t)tg_bytes_get_within(in, 2, 0, TG_SOURCES_MAX, "too many sources");
    struct tg_manifest_source *sources = tg_bytes_array(in, arena, m->source_count, sizeof *sources);
    for (uint32_t i = 0; in->wrong == NULL && i < m->source_count; i++) {
        struct tg_manifest_source *source = &sources[i];
        source->name = get_name(in, arena);
        source->connector = get_name(in, arena);
        source->cluster = tg_bytes_get_text(in, arena, 0, TG_STATE_NAME_BYTES_MAX);
        source->topic = tg_bytes_get_text(in, arena, 0, TG_MANIFEST_TOPIC_BYTES_MAX);
        source->partition_count =
            (uint32_t)tg_bytes_get_within(in, 4, 1, TG_PARTITIONS_MAX, "wrong number of partitions");
        struct tg_manifest_partition *partitions =
            tg_bytes_array(in, arena, source->partition_count, sizeof *partitions);
        for (uint32_t j = 0; in->wrong == NULL && j < source->partition_count; j++) {
            get_partition(in, &partitions[j]);
        }
        source->partitions = partitions;
    }
    m->sources = sources;
}

static void get_tallies(struct tg_bytes_in *in, struct tg_arena *arena, struct tg_manifest_step *step)
{
    step->from_source = tg_bytes_get_within(in, 1, 0, 1, "neither fed by a source nor by a step") == 1;
    step->tally_first = tg_bytes_get_u32(in);
    step->tally_count = (uint32_t)tg_bytes_get_within(in, 4, 0, TG_MANIFEST_PARTITIONS_MAX, "too many tallies");
    struct tg_tally *tallies = tg_bytes_array(in, arena, step->tally_count, sizeof *tallies);
    for (uint32_t i = 0; in->wrong == NULL && i < step->tally_count; i++) {
        tallies[i].applied = tg_bytes_get_u64(in);
        tallies[i].ignored = tg_bytes_get_u64(in);
        tallies[i].refused = tg_bytes_get_u64(in);
        tallies[i].sum = tg_bytes_get_u64(in);
        tallies[i].squares = tg_bytes_get_u64(in);
    }
    step->tallies = tallies;
}

static void get_step(struct tg_bytes_in *in, struct tg_arena *arena, struct tg_manifest_step *step)
{
    step->name = get_name(in, arena);
    step->op = get_name(in, arena);
    if (tg_bytes_get_within(in, 1, 0, 1, "neither with nor without state") == 1) {
        struct tg_state_layout *layout = tg_bytes_array(in, arena, 1, sizeof *layout);
        if (layout == NULL || !tg_state_layout_decode(in, arena, layout)) { return; }
        step->layout = layout;
    }
    step->clock_count = (uint32_t)tg_bytes_get_within(in, 4, 0, TG_MANIFEST_PARTITIONS_MAX + 1, "too many clocks");
    int64_t *clocks = tg_bytes_array(in, arena, step->clock_count, sizeof *clocks);
    for (uint32_t i = 0; in->wrong == NULL && i < step->clock_count; i++) { clocks[i] = tg_bytes_get_i64(in); }
    step->clocks = clocks;
    get_tallies(in, arena, step);
}

static void get_steps(struct tg_bytes_in *in, struct tg_arena *arena, struct tg_manifest *m)
{
    m->step_count = (uint32_t)tg_bytes_get_within(in, 2, 0, TG_STEPS_MAX, "too many steps");
    struct tg_manifest_step *steps = tg_bytes_array(in, arena, m->step_count, sizeof *steps);
    for (uint32_t i = 0; in->wrong == NULL && i < m->step_count; i++) { get_step(in, arena, &steps[i]); }
    m->steps = steps;
}

static void get_files(struct tg_bytes_in *in, struct tg_arena *arena, struct tg_manifest *m)
{
    m->file_count =
        (uint32_t)tg_bytes_get_within(in, 4, 1, TG_SHARDS_MAX * TG_MANIFEST_CHAIN_MAX, "wrong number of state files");
    struct tg_manifest_file *files = tg_bytes_array(in, arena, m->file_count, sizeof *files);
    for (uint32_t i = 0; in->wrong == NULL && i < m->file_count; i++) {
        files[i].shard = tg_bytes_get_u16(in);
        files[i].kind = (enum tg_state_file_kind)tg_bytes_get_u8(in);
        (void)tg_bytes_get_within(in, 1, 0, 0, "reserved byte is not 0");
        files[i].epoch = tg_bytes_get_u64(in);
        files[i].bytes = tg_bytes_get_u64(in);
        files[i].crc = tg_bytes_get_u32(in);
    }
    m->files = files;
}

static void get_committable(struct tg_bytes_in *in, struct tg_arena *arena, struct tg_committable *committable)
{
    const uint32_t bytes = (uint32_t)tg_bytes_get_within(in, 4, 0, TG_COMMITTABLE_BYTES_MAX, "committable too long");
    const uint8_t *lent = tg_bytes_take(in, bytes);
    uint8_t *data = tg_bytes_array(in, arena, bytes, 1);
    if (data == NULL) { return; }
    memcpy(data, lent, bytes);
    *committable = (struct tg_committable){.data = data, .bytes = bytes};
}

static void get_sinks(struct tg_bytes_in *in, struct tg_arena *arena, struct tg_manifest *m)
{
    m->sink_count = (uint32_t)tg_bytes_get_within(in, 2, 0, TG_MANIFEST_SINKS_MAX, "too many sinks");
    struct tg_manifest_sink *sinks = tg_bytes_array(in, arena, m->sink_count, sizeof *sinks);
    for (uint32_t i = 0; in->wrong == NULL && i < m->sink_count; i++) {
        sinks[i].name = get_name(in, arena);
        sinks[i].connector = get_name(in, arena);
        sinks[i].committable_count =
            (uint32_t)tg_bytes_get_within(in, 2, 0, TG_SHARDS_MAX, "wrong number of committables");
        struct tg_committable *committables =
            tg_bytes_array(in, arena, sinks[i].committable_count, sizeof *committables);
        for (uint32_t j = 0; in->wrong == NULL && j < sinks[i].committable_count; j++) {
            get_committable(in, arena, &committables[j]);
        }
        sinks[i].committables = committables;
    }
    m->sinks = sinks;
}

static void get_section(struct tg_bytes_in *in, enum section section, struct tg_arena *arena, struct tg_manifest *out)
{
    static void (*const readers[SECTION_COUNT])(struct tg_bytes_in *, struct tg_arena *, struct tg_manifest *) = {
        get_job, get_sources, get_steps, get_files, get_sinks};
    static const char *(*const flaws[SECTION_COUNT])(const struct tg_manifest *) = {
        tg_manifest_job_flaw, tg_manifest_sources_flaw, tg_manifest_steps_flaw, tg_manifest_files_flaw,
        tg_manifest_sinks_flaw};
    const size_t at = in->at;
    const uint8_t *tag = tg_bytes_take(in, 4);
    if (tag != NULL && memcmp(tag, section_tags[section], 4) != 0) { tg_bytes_wrong_at(in, at, "another section"); }
    const uint32_t bytes = tg_bytes_get_u32(in);
    const size_t start = in->at;
    if (in->wrong == NULL && bytes > in->bytes - start) { tg_bytes_wrong_at(in, at + 4, "section cut short"); }
    readers[section](in, arena, out);
    if (in->wrong == NULL && in->at - start != bytes) { tg_bytes_wrong_at(in, at + 4, "section of another length"); }
    const char *flaw = in->wrong == NULL ? flaws[section](out) : NULL;
    if (flaw != NULL) { tg_bytes_wrong_at(in, start, flaw); }
}

/* Magic, length, checksum and end stand where they stand in every version; returns the version. */
static uint32_t envelope(struct tg_bytes_in *in)
{
    const uint8_t *magic = tg_bytes_take(in, MAGIC_BYTES);
    if (magic != NULL && memcmp(magic, MANIFEST_MAGIC, MAGIC_BYTES) != 0) { tg_bytes_wrong_at(in, 0, "no manifest"); }
    const uint32_t version = tg_bytes_get_u16(in);
    (void)tg_bytes_get_u16(in);
    const uint32_t total = tg_bytes_get_u32(in);
    if (in->wrong != NULL) { return 0; }
    if (total != in->bytes || total < FIXED_BYTES + TRAILER_BYTES) {
        tg_bytes_wrong_at(in, LENGTH_AT, "manifest of another length");
        return 0;
    }
    uint32_t trailer[2];
    memcpy(trailer, in->data + total - TRAILER_BYTES, sizeof trailer);
    if (trailer[1] != END_MAGIC) { tg_bytes_wrong_at(in, total - 4, "no end mark"); }
    if (tg_crc32c(0, in->data, total - TRAILER_BYTES) != trailer[0]) {
        tg_bytes_wrong_at(in, total - TRAILER_BYTES, "wrong checksum of the manifest");
    }
    return version;
}

tg_status tg_manifest_decode(const uint8_t *data, size_t bytes, const char *name, struct tg_arena *arena,
                             struct tg_manifest *out, struct tg_error *err)
{
    *out = (struct tg_manifest){0};
    struct tg_bytes_in in = {.data = data, .bytes = bytes};
    const uint32_t version = envelope(&in);
    if (in.wrong == NULL && version > TG_MANIFEST_FORMAT) {
        return tg_fail(err, TG1513, 0, "%s has format %" PRIu32 ", this turgo reads up to %d", name, version,
                       TG_MANIFEST_FORMAT);
    }
    if (in.wrong == NULL && version != TG_MANIFEST_FORMAT) { tg_bytes_wrong_at(&in, MAGIC_BYTES, "unknown format"); }
    in.at = in.wrong == NULL ? MAGIC_BYTES + 2 : in.at;
    (void)tg_bytes_get_within(&in, 2, 0, 0, "reserved bytes are not 0");
    in.at = in.wrong == NULL ? FIXED_BYTES : in.at;
    in.bytes -= in.wrong == NULL ? TRAILER_BYTES : 0;
    for (uint32_t i = 0; in.wrong == NULL && i < SECTION_COUNT; i++) { get_section(&in, (enum section)i, arena, out); }
    if (in.wrong == NULL && in.at != in.bytes) { tg_bytes_wrong_at(&in, in.at, "bytes behind the last section"); }
    return in.wrong == NULL ? TG_OK : tg_state_damaged(name, in.wrong_at, in.wrong, err);
}
