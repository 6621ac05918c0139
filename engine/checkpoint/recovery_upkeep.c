/* Deciding what of a checkpoint directory may go, and letting it go. */
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "engine/checkpoint/recovery.h"
#include "engine/checkpoint/tick_log.h"

enum { KEEP_MIN = 3, RUNS_MAX = 64 };

struct keeping {
    uint64_t manifests[TG_STORE_LIST_MAX];
    uint64_t epochs[TG_STORE_LIST_MAX];
    uint32_t manifest_count;
    uint32_t epoch_count;
    char tick_logs[RUNS_MAX][TG_STORE_NAME_BYTES]; /* of the runs that kept manifests are of */
    uint32_t tick_log_count;
    bool all; /* something unreadable: nothing that a manifest may need goes */
};

static void keep_epoch(struct keeping *keeping, uint64_t epoch)
{
    for (uint32_t i = 0; i < keeping->epoch_count; i++) {
        if (keeping->epochs[i] == epoch) { return; }
    }
    if (keeping->epoch_count == TG_STORE_LIST_MAX) {
        keeping->all = true;
        return;
    }
    keeping->epochs[keeping->epoch_count++] = epoch;
}

static void keep_tick_log(struct keeping *keeping, const struct tg_run_id *run_id)
{
    char name[TG_STORE_NAME_BYTES];
    tg_tick_log_name(run_id, name);
    for (uint32_t i = 0; i < keeping->tick_log_count; i++) {
        if (strcmp(keeping->tick_logs[i], name) == 0) { return; }
    }
    if (keeping->tick_log_count == RUNS_MAX) {
        keeping->all = true;
        return;
    }
    memcpy(keeping->tick_logs[keeping->tick_log_count++], name, sizeof name);
}

/* Keep one checkpoint with its chain; true when nothing of it is left to commit. */
static bool keep_checkpoint(const struct tg_store *store, uint64_t epoch, struct tg_arena *scratch,
                            struct keeping *keeping)
{
    struct tg_manifest manifest;
    keeping->manifests[keeping->manifest_count++] = epoch;
    if (tg_recovery_read_manifest(store, epoch, scratch, &manifest, NULL) != TG_OK) {
        keeping->all = true;
        return false;
    }
    for (uint32_t i = 0; i < manifest.file_count; i++) { keep_epoch(keeping, manifest.files[i].epoch); }
    keep_tick_log(keeping, &manifest.run_id);
    return tg_recovery_is_settled(store, &manifest);
}

static tg_status decide(const struct tg_store *store, const struct tg_store_listing *listing, uint32_t keep,
                        struct keeping *keeping, struct tg_error *err)
{
    bool is_settled = false;
    for (uint32_t i = 0; i < listing->manifest_count && !keeping->all && (i < keep || !is_settled); i++) {
        struct tg_arena scratch;
        const tg_status status = tg_arena_open(&scratch, TG_RECOVERY_ARENA_BYTES, err);
        if (status != TG_OK) { return status; }
        is_settled = keep_checkpoint(store, listing->manifests[i].epoch, &scratch, keeping) || is_settled;
        tg_arena_close(&scratch);
    }
    if (!keeping->all) { return TG_OK; }
    const uint64_t newest = listing->manifests[0].epoch;
    keeping->manifest_count = keeping->epoch_count = 0;
    for (uint32_t i = 0; i < listing->manifest_count; i++) {
        keeping->manifests[keeping->manifest_count++] = listing->manifests[i].epoch;
    }
    for (uint32_t i = 0; i < listing->epoch_count; i++) {
        if (listing->epochs[i] <= newest) { keep_epoch(keeping, listing->epochs[i]); }
    }
    return TG_OK;
}

tg_status tg_recovery_collect(struct tg_store *store, uint32_t keep, struct tg_error *err)
{
    struct tg_arena arena;
    tg_status status = tg_arena_open(&arena, TG_STORE_ARENA_BYTES + 2 * sizeof(struct keeping), err);
    if (status != TG_OK) { return status; }
    struct tg_store_listing listing;
    status = tg_store_list(store, &arena, &listing, err);
    if (status == TG_OK) {
        struct keeping *keeping = tg_arena_alloc(&arena, sizeof *keeping, 16);
        TG_ASSERT(keeping != NULL); /* the reservation has room for a full listing and this */
        status = decide(store, &listing, keep > KEEP_MIN ? keep : KEEP_MIN, keeping, err);
        const struct tg_store_keep what = {.manifest_count = keeping->manifest_count,
                                           .manifests = keeping->manifests,
                                           .epoch_count = keeping->epoch_count,
                                           .epochs = keeping->epochs};
        if (status == TG_OK) { status = tg_store_sweep(store, &what, err); }
        if (status == TG_OK && !keeping->all) { /* behind the manifests, whose removal is durable */
            status = tg_tick_file_sweep(store, keeping->tick_log_count,
                                        (const char(*)[TG_STORE_NAME_BYTES])keeping->tick_logs, err);
        }
    }
    tg_arena_close(&arena);
    return status;
}
