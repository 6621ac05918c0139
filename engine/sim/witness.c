/* What is compared is taken from outside the code that restores: from the sources' part of the manifest, the disk, and
 * what the life before had announced. */
#include "engine/sim/witness.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static tg_status check_complete(const struct tg_sim_witness *witness, const struct tg_cluster *cluster,
                                struct tg_error *err)
{
    const struct tg_recovery_choice *choice = &cluster->checkpoint->choice;
    const uint64_t epoch = choice->found ? choice->epoch : 0;
    if (epoch >= witness->complete) { return TG_OK; }
    return tg_fail(err, TG1403, 0, "checkpoint %" PRIu64 " was complete, the next start goes on from %" PRIu64,
                   witness->complete, epoch);
}

/* A step that reads a source has the clock its watermarks give it, one that reads a step has that step's. */
static tg_status check_clocks(const struct tg_cluster *cluster, const struct tg_ctx *stages, struct tg_error *err)
{
    const struct tg_plan *plan = cluster->plan;
    for (uint32_t i = 0; i < plan->job->step_count; i++) {
        const struct tg_step_spec *spec = plan->stages[i].step;
        const struct tg_edge_plan *edge = &plan->edges[i];
        int64_t slowest = TG_TS_MAX;
        for (uint32_t p = 0; p < edge->partition_count; p++) {
            const uint32_t at = edge->partition_first + p;
            int64_t due;
            if (edge->from_source) {
                const uint32_t source = spec->from.index;
                due = tg_checkpoint_partitions(cluster->checkpoint, source)[at - plan->partition_first[source]].wm;
                const bool moves = due != TG_TS_MIN && due != TG_TS_MAX && spec->late != TG_LATE_ACCEPT;
                due -= moves ? spec->allowed_lateness : 0;
            } else {
                due = stages[spec->from.index].clocks[at - plan->edges[spec->from.index].partition_first];
            }
            slowest = due < slowest ? due : slowest;
            if (stages[i].clocks[p] < due) {
                return tg_fail(err, TG1403, 0,
                               "step %s: the clock of partition %u went back to %" PRId64 ", rows up to %" PRId64
                               " are in the checkpoint",
                               spec->name, p, stages[i].clocks[p], due);
            }
        }
        if (stages[i].clocks[edge->partition_count] < slowest) {
            return tg_fail(err, TG1403, 0, "step %s: the job's clock went back", spec->name);
        }
    }
    return TG_OK;
}

static tg_status check_files(const struct tg_sim_witness *witness, struct tg_error *err)
{
    for (uint32_t i = 0; i < TG_SIM_WITNESS_FILES && witness->paths[i] != NULL; i++) {
        const void *data = NULL;
        size_t bytes = 0;
        (void)tg_sim_disk_get(witness->disk, witness->paths[i], &data, &bytes);
        const size_t seen = witness->seen_bytes[i];
        if (seen != 0 && (bytes < seen || memcmp(data, witness->seen[i], seen) != 0)) {
            return tg_fail(err, TG1403, 0, "%s: readers saw %zu bytes, which are not there any more; now it has %zu",
                           witness->paths[i], seen, bytes);
        }
    }
    return TG_OK;
}

tg_status tg_sim_witness_start(struct tg_sim_witness *witness, const struct tg_cluster *cluster, bool lossy,
                               struct tg_error *err)
{
    const struct tg_recovery_choice *choice = &cluster->checkpoint->choice;
    tg_status status = lossy ? TG_OK : check_complete(witness, cluster, err);
    if (status == TG_OK) { status = check_files(witness, err); }
    witness->is_whole = status == TG_OK;
    if (status != TG_OK || !choice->found) { return status; }
    witness->restores++;
    for (uint32_t i = 0; i < choice->manifest.file_count; i++) {
        witness->deltas += choice->manifest.files[i].kind == TG_STATE_DELTA;
    }
    for (uint32_t i = 0; status == TG_OK && i < cluster->plan->shard_count; i++) {
        status = check_clocks(cluster, cluster->workers[i].stages, err);
    }
    return status;
}

/* A power cut may have torn what a commit was writing; the next start commits again before anything else. A sync that
 * failed may have taken bytes away that were there to be read: that happens in a commit, too, which is then repeated.
 */
static bool may_be_torn(const struct tg_sim_witness *witness, const struct tg_cluster *cluster, bool lossy)
{
    return !witness->is_whole || (lossy && cluster->checkpoint->phase == TG_CHECKPOINT_CLEANING);
}

void tg_sim_witness_end(struct tg_sim_witness *witness, const struct tg_cluster *cluster, bool lossy)
{
    if (cluster != NULL) {
        const uint64_t complete = atomic_load_explicit(&cluster->checkpoint->complete, memory_order_acquire);
        witness->complete = complete > witness->complete ? complete : witness->complete;
    }
    const bool is_torn = may_be_torn(witness, cluster, lossy);
    witness->is_whole = false;
    if (is_torn) { return; }
    for (uint32_t i = 0; i < TG_SIM_WITNESS_FILES && witness->paths[i] != NULL; i++) {
        const void *data = NULL;
        size_t bytes = 0;
        /* Shorter: a commit has failed, and took back what it had written. */
        if (!tg_sim_disk_get(witness->disk, witness->paths[i], &data, &bytes) || bytes <= witness->seen_bytes[i]) {
            continue;
        }
        free(witness->seen[i]);
        witness->seen[i] = malloc(bytes);
        TG_ASSERT(witness->seen[i] != NULL);
        memcpy(witness->seen[i], data, bytes);
        witness->seen_bytes[i] = bytes;
    }
}

void tg_sim_witness_close(struct tg_sim_witness *witness)
{
    for (uint32_t i = 0; i < TG_SIM_WITNESS_FILES; i++) { free(witness->seen[i]); }
}
