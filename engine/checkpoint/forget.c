/* Forgetting what a checkpoint directory holds, when a start was told to. */
#include <inttypes.h>
#include <string.h>

#include "engine/checkpoint/checkpoint.h"

/* --fresh may forget what is ours, in whatever state it is. A directory of another job is a mistake. */
static tg_status may_forget(struct tg_checkpoint *checkpoint, struct tg_error *err)
{
    const struct tg_job *job = checkpoint->config.plan->job;
    struct tg_arena arena;
    struct tg_store_listing listing;
    tg_status status = tg_arena_open(&arena, TG_RECOVERY_ARENA_BYTES + TG_STORE_ARENA_BYTES, err);
    if (status == TG_OK) { status = tg_store_list(&checkpoint->store, &arena, &listing, err); }
    for (uint32_t i = 0; status == TG_OK && i < listing.manifest_count; i++) {
        struct tg_manifest manifest;
        const uint64_t epoch = listing.manifests[i].epoch;
        if (tg_recovery_read_manifest(&checkpoint->store, epoch, &arena, &manifest, NULL) != TG_OK) { continue; }
        if (strcmp(manifest.job, job->name) != 0) {
            status = tg_fail(err, TG1514, 0,
                             "checkpoint %" PRIu64 " in %s is of job %s, this is %s: --fresh does not remove it", epoch,
                             job->checkpoint.dir, manifest.job, job->name);
        }
        break;
    }
    tg_arena_close(&arena);
    return status;
}

/* ticks.log first: without a checkpoint it would be gone on with. Those of other runs are of no use without one. */
tg_status tg_checkpoint_forget(struct tg_checkpoint *checkpoint, struct tg_error *err)
{
    const struct tg_store_keep nothing = {0};
    tg_status status = may_forget(checkpoint, err);
    if (status == TG_OK) { status = tg_tick_file_remove(&checkpoint->store, err); }
    if (status == TG_OK) { status = tg_store_sweep(&checkpoint->store, &nothing, err); }
    return status == TG_OK ? tg_tick_file_sweep(&checkpoint->store, 0, NULL, err) : status;
}
