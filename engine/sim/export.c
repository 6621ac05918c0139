/* A directory is looked at with the engine's own reader, and checkpoints with its dump. */
#include "engine/sim/export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "engine/checkpoint/dump.h"

enum { PATH_BYTES = 768, DUMPS_MANY = 100, DUMPS_SHARE = 20 };

static tg_status dump_one(const struct tg_sim_export *state, const struct tg_store *store, uint64_t epoch,
                          struct tg_error *err)
{
    struct tg_arena arena;
    struct tg_manifest manifest;
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/checkpoints/%u-%" PRIu64 ".jsonl", state->dir, state->life, epoch);
    tg_status status = tg_arena_open(&arena, TG_RECOVERY_ARENA_BYTES, err);
    if (status != TG_OK) { return status; }
    FILE *out = fopen(path, "w");
    if (out == NULL) { status = tg_fail(err, TG1502, errno, "%s", path); }
    if (status == TG_OK) { status = tg_recovery_read_manifest(store, epoch, &arena, &manifest, err); }
    if (status == TG_OK) { status = tg_checkpoint_dump(store, &manifest, true, out, err); }
    if (out != NULL && fclose(out) != 0 && status == TG_OK) { status = tg_fail(err, TG1502, errno, "%s", path); }
    tg_arena_close(&arena);
    return status;
}

static tg_status dump_new(struct tg_sim_export *state, const struct tg_store *store, struct tg_arena *arena,
                          struct tg_error *err)
{
    struct tg_store_listing listing;
    tg_status status = tg_store_list(store, arena, &listing, err);
    for (uint32_t i = 0; status == TG_OK && i < listing.manifest_count; i++) {
        const uint64_t epoch = listing.manifests[i].epoch;
        const bool is_wanted = state->dumped < DUMPS_MANY || epoch % DUMPS_SHARE == 0;
        if (epoch <= state->newest || !is_wanted) { continue; }
        state->dumped++;
        status = dump_one(state, store, epoch, err);
    }
    /* A power cut may have taken the newest one away: its number comes again then. */
    if (status == TG_OK) { state->newest = listing.manifest_count > 0 ? listing.manifests[0].epoch : 0; }
    return status;
}

tg_status tg_sim_export_checkpoints(struct tg_sim_export *state, struct tg_error *err)
{
    char path[PATH_BYTES];
    struct tg_arena arena;
    struct tg_store store;
    const struct tg_store_config config = {.path = state->from, .read_only = true};
    (void)snprintf(path, sizeof path, "%s/checkpoints", state->dir);
    if (mkdir(path, 0777) != 0 && errno != EEXIST) { return tg_fail(err, TG1502, errno, "%s", path); }
    tg_status status = tg_arena_open(&arena, TG_RECOVERY_ARENA_BYTES, err);
    if (status != TG_OK) { return status; }
    tg_sim_disk_look_begin(state->disk);
    status = tg_store_open(&store, &config, err);
    if (status == TG_OK) { status = dump_new(state, &store, &arena, err); }
    tg_store_close(&store);
    tg_sim_disk_look_end(state->disk);
    tg_arena_close(&arena);
    if (status != TG_OK && err->os_errno == ENOENT) { /* the job has made none yet */
        *err = (struct tg_error){0};
        status = TG_OK;
    }
    return status;
}

tg_status tg_sim_export_counts(const struct tg_sim_outcome *outcome, const char *dir, struct tg_error *err)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/out/counts.jsonl", dir);
    FILE *out = fopen(path, "w");
    if (out == NULL) { return tg_fail(err, TG1502, errno, "%s", path); }
    for (uint32_t i = 0; i < outcome->partition_count; i++) {
        const struct tg_manifest_partition *p = &outcome->partitions[i];
        const struct tg_tally *tally = &outcome->tallies[i];
        (void)fprintf(out,
                      "{\"partition\": %" PRIu32 ", \"records\": %" PRIu64 ", \"dead\": %" PRIu64 ", \"late\": %" PRIu64
                      ", \"late_in_part\": %" PRIu64 ", \"duplicates\": %" PRIu64 ", \"accepted\": %" PRIu64
                      ", \"applied\": %" PRIu64 ", \"ignored\": %" PRIu64 ", \"refused\": %" PRIu64
                      ", \"sum\": %" PRId64 ", \"squares\": %" PRId64 "}\n",
                      i, p->records, p->dead, p->late, p->late_in_part, p->duplicates, p->accepted, tally->applied,
                      tally->ignored, tally->refused, (int64_t)tally->sum, (int64_t)tally->squares);
    }
    return fclose(out) == 0 ? TG_OK : tg_fail(err, TG1502, errno, "%s", path);
}
