/* Choosing the checkpoint to start from. The order of questions: is the newest manifest readable, is it ours, are its
 * files whole, does the log still continue it. Only damage leads on to an older one. */
#include "engine/checkpoint/recovery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"

tg_status tg_recovery_read_manifest(const struct tg_store *store, uint64_t epoch, struct tg_arena *arena,
                                    struct tg_manifest *out, struct tg_error *err)
{
    *out = (struct tg_manifest){0};
    const uint8_t *data;
    size_t bytes;
    tg_status status = tg_store_read_manifest(store, epoch, arena, &data, &bytes, err);
    if (status != TG_OK) { return status; }
    char name[TG_STORE_NAME_BYTES];
    (void)snprintf(name, sizeof name, "MANIFEST-%" PRIu64, epoch);
    status = tg_manifest_decode(data, bytes, name, arena, out, err);
    if (status == TG_OK && out->epoch != epoch) {
        status = tg_fail(err, TG1512, 0, "%s is the manifest of epoch %" PRIu64, name, out->epoch);
    }
    return status;
}

/* ---- is it this job's? ------------------------------------------------------------------------------------------- */

static tg_status fits_source(const struct tg_manifest *manifest, const struct tg_recovery_source *wanted,
                             struct tg_error *err)
{
    const struct tg_manifest_source *stored = tg_manifest_source_find(manifest, wanted->name);
    if (stored == NULL) {
        return tg_fail(err, TG1516, 0, "checkpoint %" PRIu64 " knows no source %s", manifest->epoch, wanted->name);
    }
    if (wanted->connector != NULL && strcmp(stored->connector, wanted->connector) != 0) {
        return tg_fail(err, TG1516, 0, "checkpoint %" PRIu64 " was made from a %s source, source %s is a %s source now",
                       manifest->epoch, stored->connector, wanted->name, wanted->connector);
    }
    if (strcmp(stored->topic, wanted->topic) != 0) {
        return tg_fail(err, TG1516, 0, "checkpoint %" PRIu64 " was made from topic %s, source %s reads %s now",
                       manifest->epoch, stored->topic, wanted->name, wanted->topic);
    }
    if (stored->partition_count != wanted->partition_count) {
        return tg_fail(err, TG1516, 0,
                       "checkpoint %" PRIu64 " was made from %" PRIu32 " partitions, source %s has "
                       "%" PRIu32 " now",
                       manifest->epoch, stored->partition_count, wanted->name, wanted->partition_count);
    }
    return TG_OK;
}

/* Names may stay the same while what they stand for does not. */
static tg_status is_same_log(const struct tg_manifest *manifest, const struct tg_recovery_source *wanted,
                             struct tg_error *err)
{
    const struct tg_manifest_source *stored = tg_manifest_source_find(manifest, wanted->name);
    if (stored->cluster[0] == '\0' || wanted->cluster[0] == '\0' || strcmp(stored->cluster, wanted->cluster) == 0) {
        return TG_OK;
    }
    return tg_fail(err, TG1516, 0,
                   "checkpoint %" PRIu64 " was made from another cluster or other files than source %s reads now "
                   "(%s, now %s)",
                   manifest->epoch, wanted->name, stored->cluster, wanted->cluster);
}

static tg_status is_ours(const struct tg_manifest *manifest, const struct tg_recovery_wanted *wanted,
                         struct tg_error *err)
{
    if (strcmp(manifest->job, wanted->job) != 0) {
        return tg_fail(err, TG1514, 0, "checkpoint %" PRIu64 " is of job %s, this is %s", manifest->epoch,
                       manifest->job, wanted->job);
    }
    if (manifest->graph_hash != wanted->graph_hash) {
        return tg_fail(err, TG1515, 0,
                       "checkpoint %" PRIu64 " was made by another graph of job %s (%016" PRIx64 ", now %016" PRIx64
                       ")",
                       manifest->epoch, wanted->job, manifest->graph_hash, wanted->graph_hash);
    }
    tg_status status = TG_OK;
    for (uint32_t i = 0; status == TG_OK && i < wanted->source_count; i++) {
        status = fits_source(manifest, &wanted->sources[i], err);
    }
    if (status == TG_OK && manifest->source_count != wanted->source_count) {
        status =
            tg_fail(err, TG1516, 0, "checkpoint %" PRIu64 " was made from %" PRIu32 " sources, the job has %" PRIu32,
                    manifest->epoch, manifest->source_count, wanted->source_count);
    }
    return status;
}

/* Reading goes on at next_offset: the log must reach up to it and still have it. */
static tg_status log_continues(const struct tg_manifest *manifest, const struct tg_recovery_source *wanted,
                               struct tg_error *err)
{
    const struct tg_manifest_source *stored = tg_manifest_source_find(manifest, wanted->name);
    for (uint32_t i = 0; i < stored->partition_count; i++) {
        const int64_t next = stored->partitions[i].next_offset;
        if (next < 0) { continue; } /* nothing was read of it */
        if (wanted->log_end != NULL && wanted->log_end[i] >= 0 && wanted->log_end[i] < next) {
            return tg_fail(err, TG1517, 0,
                           "source %s, partition %" PRIu32 ": checkpoint %" PRIu64 " has read up to "
                           "offset %" PRId64 ", the log ends at %" PRId64,
                           wanted->name, i, manifest->epoch, next, wanted->log_end[i]);
        }
        if (wanted->log_begin != NULL && wanted->log_begin[i] > next) {
            return tg_fail(err, TG1205, 0,
                           "source %s, partition %" PRIu32 ": checkpoint %" PRIu64 " goes on at offset "
                           "%" PRId64 ", the log begins at %" PRId64,
                           wanted->name, i, manifest->epoch, next, wanted->log_begin[i]);
        }
    }
    return TG_OK;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static const char *header_flaw(const struct tg_manifest *manifest, uint32_t index, const struct tg_state_header *header)
{
    const struct tg_manifest_file *file = &manifest->files[index];
    const bool is_base = file->kind == TG_STATE_BASE;
    if (strcmp(header->job, manifest->job) != 0) { return "state file of another job"; }
    if (memcmp(&header->run_id, &manifest->run_id, sizeof header->run_id) != 0) { return "state file of another run"; }
    if (header->graph_hash != manifest->graph_hash) { return "state file of another job graph"; }
    if (header->epoch != file->epoch || header->kind != file->kind) { return "state file of another epoch"; }
    if (header->shard != file->shard || header->shard_count != manifest->shard_count) {
        return "state file of another shard";
    }
    if (header->previous != (is_base ? 0 : manifest->files[index - 1].epoch)) { return "delta of another chain"; }
    for (uint32_t i = 0; i < header->table_count; i++) {
        const struct tg_state_layout *table = &header->tables[i];
        for (uint32_t j = 0; j < manifest->step_count; j++) {
            const struct tg_state_layout *layout = manifest->steps[j].layout;
            const bool is_it = layout != NULL && table->owner_kind == TG_STATE_OF_STEP &&
                               strcmp(table->owner, layout->owner) == 0 && strcmp(table->name, layout->name) == 0;
            if (is_it && !tg_state_layout_equal(table, layout)) { return "state layout of another checkpoint"; }
        }
    }
    return NULL;
}

tg_status tg_recovery_file_open(const struct tg_store *store, const struct tg_manifest *manifest, uint32_t index,
                                struct tg_recovery_file *file, struct tg_error *err)
{
    TG_ASSERT(index < manifest->file_count);
    const struct tg_manifest_file *listed = &manifest->files[index];
    *file = (struct tg_recovery_file){.reading.fd = -1};
    tg_status status =
        tg_store_reading_open(store, listed->epoch, listed->shard, listed->kind == TG_STATE_BASE, &file->reading, err);
    if (status != TG_OK) { return status; }
    const char *name = file->reading.name;
    if (file->reading.bytes != listed->bytes) {
        return tg_fail(err, TG1512, 0, "%s has %" PRIu64 " bytes, the manifest says %" PRIu64, name,
                       file->reading.bytes, listed->bytes);
    }
    const struct tg_state_input input = {
        .read = tg_store_reading_read, .self = &file->reading, .bytes = file->reading.bytes, .name = name};
    status = tg_state_reader_open(&file->reader, &input, err);
    if (status != TG_OK) { return status; }
    const char *flaw = header_flaw(manifest, index, &file->reader.header);
    if (flaw != NULL) { return tg_state_damaged(name, 0, flaw, err); }
    if (file->reader.wanted.footer_crc != listed->crc) {
        return tg_state_damaged(name, listed->bytes - TG_STATE_FOOTER_BYTES, "footer that the manifest does not know",
                                err);
    }
    return TG_OK;
}

void tg_recovery_file_close(struct tg_recovery_file *file)
{
    tg_state_reader_close(&file->reader);
    tg_store_reading_close(&file->reading);
}

/* Every byte: damage found while loading would be found too late to choose another one. */
static tg_status check_files(const struct tg_store *store, const struct tg_recovery_wanted *wanted,
                             const struct tg_manifest *manifest, struct tg_error *err)
{
    struct tg_recovery_totals totals;
    const uint32_t threads = wanted->threads == 0 ? 1 : wanted->threads;
    if (wanted->progress != NULL) { tg_restore_progress_begin(wanted->progress, manifest, "verified", 1); }
    return tg_recovery_verify(store, manifest, threads, wanted->progress, &totals, err);
}

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

/* What may be passed over: content that is not what was written. A sector the disk cannot read is that, too; a lack of
 * descriptors or memory is not. */
static bool is_damage(const struct tg_error *why)
{
    return why->code == TG1512 || (why->code == TG1511 && why->os_errno == EIO);
}

/* Passing over a checkpoint replays its input with other cuts. Where its output was committed outside, or may have
 * been, that doubles it. */
static bool may_be_outside(const struct tg_store *store, const struct tg_recovery_wanted *wanted, uint64_t epoch,
                           const struct tg_manifest *manifest)
{
    if (manifest->epoch != 0) { return tg_manifest_commits(manifest); } /* readable */
    const enum tg_store_ack ack = tg_store_acknowledged(store, epoch);
    return ack == TG_STORE_ACK_NONE ? wanted->transactional : ack != TG_STORE_ACK_EMPTY;
}

/* One candidate: TG_OK = take it; otherwise *err says why not. */
static tg_status examine(const struct tg_store *store, const struct tg_recovery_wanted *wanted, uint64_t epoch,
                         struct tg_arena *arena, struct tg_manifest *manifest, struct tg_error *err)
{
    const int failed = TG_FAILPOINT("recovery.read");
    tg_status status = failed != 0 ? tg_fail(err, TG1511, failed, "MANIFEST-%" PRIu64, epoch)
                                   : tg_recovery_read_manifest(store, epoch, arena, manifest, err);
    if (status != TG_OK) {
        manifest->epoch = 0; /* what was decoded of it counts for nothing */
        return status;
    }
    status = is_ours(manifest, wanted, err);
    if (status == TG_OK && !tg_recovery_is_settled(store, manifest)) {
        status = tg_manifest_sinks_fit(manifest, wanted->sinks, wanted->sink_count, err);
    }
    struct tg_recovery_source now[TG_SOURCES_MAX];
    memcpy(now, wanted->sources, wanted->source_count * sizeof now[0]);
    if (status == TG_OK && wanted->ask != NULL) { status = wanted->ask(wanted->ask_self, manifest, arena, now, err); }
    for (uint32_t i = 0; status == TG_OK && i < wanted->source_count; i++) {
        status = is_same_log(manifest, &now[i], err);
    }
    if (status == TG_OK) {
        const int unread = TG_FAILPOINT("recovery.verify");
        status = unread != 0 ? tg_fail(err, TG1511, unread, "files of checkpoint %" PRIu64, epoch)
                             : check_files(store, wanted, manifest, err);
    }
    for (uint32_t i = 0; status == TG_OK && i < wanted->source_count; i++) {
        status = log_continues(manifest, &now[i], err);
    }
    return status;
}

static void note_skipped(struct tg_recovery_choice *out, uint64_t epoch, const struct tg_error *why)
{
    if (out->skipped_count < TG_RECOVERY_SKIPPED_MAX) {
        out->skipped[out->skipped_count].epoch = epoch;
        out->skipped[out->skipped_count].why = *why;
    }
    out->skipped_count++;
}

bool tg_recovery_is_settled(const struct tg_store *store, const struct tg_manifest *manifest)
{
    if (!tg_manifest_commits(manifest)) { return true; }
    const enum tg_store_ack ack = tg_store_acknowledged(store, manifest->epoch);
    return ack == TG_STORE_ACK_EMPTY || ack == TG_STORE_ACK_COMMITTED;
}

/* Chosen: read it again into the caller's arena. */
static tg_status take(const struct tg_store *store, uint64_t epoch, struct tg_arena *arena,
                      struct tg_recovery_choice *out, struct tg_error *err)
{
    const tg_status status = tg_recovery_read_manifest(store, epoch, arena, &out->manifest, err);
    if (status != TG_OK) { return status; }
    out->epoch = epoch;
    out->found = true;
    return TG_OK;
}

static tg_status choose_among(const struct tg_store *store, const struct tg_recovery_wanted *wanted,
                              const struct tg_store_listing *listing, struct tg_arena *arena,
                              struct tg_recovery_choice *out, struct tg_error *err)
{
    for (uint32_t i = 0; i < listing->manifest_count; i++) {
        const uint64_t epoch = listing->manifests[i].epoch;
        struct tg_arena scratch;
        tg_status status = tg_arena_open(&scratch, TG_RECOVERY_ARENA_BYTES, err);
        if (status != TG_OK) { return status; }
        struct tg_error why = {0};
        struct tg_manifest manifest;
        status = examine(store, wanted, epoch, &scratch, &manifest, &why);
        const bool refuse = status != TG_OK && is_damage(&why) && !wanted->accept_duplicates &&
                            may_be_outside(store, wanted, epoch, &manifest);
        tg_arena_close(&scratch);
        if (status == TG_OK) { return take(store, epoch, arena, out, err); }
        if (!is_damage(&why)) { return tg_fail(err, why.code, 0, "%s", why.text); }
        if (refuse) {
            return tg_fail(err, TG1518, 0,
                           "checkpoint %" PRIu64 " is damaged (%s) and its output may be committed: an "
                           "older one would write it again; --accept-duplicates allows that",
                           epoch, why.text);
        }
        note_skipped(out, epoch, &why);
    }
    return tg_fail(err, TG1512, 0,
                   "checkpoint directory %s: every one of %" PRIu32 " checkpoints is damaged; the newest, "
                   "%" PRIu64 ": %s",
                   store->path, listing->manifest_count, out->skipped[0].epoch, out->skipped[0].why.text);
}

tg_status tg_recovery_choose(const struct tg_store *store, const struct tg_recovery_wanted *wanted,
                             struct tg_arena *arena, struct tg_recovery_choice *out, struct tg_error *err)
{
    *out = (struct tg_recovery_choice){0};
    struct tg_store_listing listing;
    const int failed = TG_FAILPOINT("recovery.list");
    if (failed != 0) { return tg_fail(err, TG1511, failed, "checkpoint directory %s: cannot list it", store->path); }
    const tg_status status = tg_store_list(store, arena, &listing, err);
    if (status != TG_OK) { return status; }
    out->newest = listing.newest;
    if (listing.manifest_count != 0) { return choose_among(store, wanted, &listing, arena, out, err); }
    if (!listing.restoring) { return TG_OK; }
    return tg_fail(err, TG1524, 0,
                   "checkpoint directory %s: a restore into it has not ended; restore again, or start with --fresh",
                   store->path);
}

/* ---- versions ---------------------------------------------------------------------------------------------------- */

int64_t tg_recovery_job_clock_base(const struct tg_manifest *manifest, uint64_t generation, int64_t wall_us)
{
    /* More rows than one key sees between two starts; starts that died before their first checkpoint count too. */
    const int64_t room = INT64_C(1) << 28;
    const uint64_t starts_max = UINT64_C(1) << 20; /* a manifest may hold any number: stay below the end of time */
    uint64_t starts = generation > manifest->generation ? generation - manifest->generation : 1;
    if (starts > starts_max) { starts = starts_max; }
    int64_t raised;
    if (__builtin_add_overflow(manifest->job_clock_base, (int64_t)starts * room, &raised)) { return wall_us; }
    return wall_us > raised ? wall_us : raised;
}
