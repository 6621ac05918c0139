/* turgo checkpoint restore: an older checkpoint, or one of a copied directory, becomes the one that the next start
 * loads. It is written again as the newest, so that it is there whole or not at all, and nothing that was there is
 * lost. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/amounts.h"
#include "engine/checkpoint/state_layout.h"
#include "engine/plan.h"
#include "tools/checkpoint.h"
#include "tools/report.h"

struct restore {
    const struct tg_checkpoint_restoring *wanted;
    struct tg_store from;
    struct tg_store to;
    struct tg_store_listing there; /* in `to` */
    struct tg_arena arena;
    struct tg_manifest manifest;
};

/* ---- may it be? -------------------------------------------------------------------------------------------------- */

/* Steps, keys and operators of today's job are the checkpoint's, and the sinks whose output goes back with it are its,
 * too. What its sources read is looked at by the next start, which can ask them. */
static tg_status is_of_job(const struct restore *restore, struct tg_error *err)
{
    const struct tg_manifest *manifest = &restore->manifest;
    const struct tg_job *job = restore->wanted->job;
    if (strcmp(manifest->job, job->name) != 0) {
        return tg_fail(err, TG1514, 0, "checkpoint %" PRIu64 " is of job %s, this is %s", manifest->epoch,
                       manifest->job, job->name);
    }
    uint32_t partitions[TG_SOURCES_MAX];
    for (uint32_t i = 0; i < job->source_count; i++) {
        const struct tg_manifest_source *stored = tg_manifest_source_find(manifest, job->sources[i].name);
        if (stored == NULL || strcmp(stored->connector, job->sources[i].ops->name) != 0) {
            return tg_fail(err, TG1516, 0, "checkpoint %" PRIu64 " knows no %s source %s", manifest->epoch,
                           job->sources[i].ops->name, job->sources[i].name);
        }
        partitions[i] = stored->partition_count;
    }
    struct tg_plan *plan = NULL;
    const tg_status status = tg_plan_create(&plan, job, manifest->shard_count, partitions, err);
    if (status != TG_OK) { return status; }
    const uint64_t graph_hash = tg_job_graph_hash(plan);
    tg_plan_destroy(plan);
    if (graph_hash != manifest->graph_hash) {
        return tg_fail(err, TG1515, 0, "checkpoint %" PRIu64 " was made by another graph of job %s", manifest->epoch,
                       job->name);
    }
    struct tg_recovery_sink sinks[TG_MANIFEST_SINKS_MAX];
    return tg_manifest_sinks_fit(manifest, sinks, tg_job_sinks(job, sinks), err);
}

/* Did checkpoint `epoch`, which is not an ancestor of the wanted one, show rows? Unreadable ones may have. */
static bool has_shown_rows(const struct restore *restore, uint64_t epoch)
{
    struct tg_arena arena;
    struct tg_manifest manifest;
    if (tg_arena_open(&arena, TG_RECOVERY_ARENA_BYTES, NULL) != TG_OK) { return true; }
    const bool readable = tg_recovery_read_manifest(&restore->to, epoch, &arena, &manifest, NULL) == TG_OK;
    const bool is_before = readable && epoch <= restore->manifest.epoch &&
                           memcmp(&manifest.run_id, &restore->manifest.run_id, sizeof manifest.run_id) == 0;
    const bool shown =
        readable ? tg_manifest_commits(&manifest) : tg_store_acknowledged(&restore->to, epoch) != TG_STORE_ACK_EMPTY;
    tg_arena_close(&arena);
    return shown && !is_before;
}

static tg_status doubles_nothing(const struct restore *restore, struct tg_error *err)
{
    for (uint32_t i = 0; i < restore->there.manifest_count && !restore->wanted->accept_duplicates; i++) {
        const uint64_t epoch = restore->there.manifests[i].epoch;
        if (!has_shown_rows(restore, epoch)) { continue; }
        return tg_fail(err, TG1523, 0,
                       "checkpoint %" PRIu64 " has shown rows that the job will write again from checkpoint %" PRIu64
                       "; --accept-duplicates allows that",
                       epoch, restore->manifest.epoch);
    }
    return TG_OK;
}

/* ---- doing it ---------------------------------------------------------------------------------------------------- */

static tg_status open_all(struct restore *restore, struct tg_error *err)
{
    const struct tg_checkpoint_restoring *wanted = restore->wanted;
    const struct tg_store_config look = {.path = wanted->from, .read_only = true};
    const struct tg_store_config take = {.path = wanted->to, .pid = getpid()};
    struct tg_store_listing listing;
    tg_status status = tg_arena_open(&restore->arena, TG_RECOVERY_ARENA_BYTES + 2 * TG_STORE_ARENA_BYTES, err);
    if (status == TG_OK) { status = tg_store_open(&restore->from, &look, err); }
    if (status == TG_OK) { status = tg_store_list(&restore->from, &restore->arena, &listing, err); }
    if (status != TG_OK && err->code == TG1511 && err->os_errno == ENOENT) {
        *err = (struct tg_error){0};
        return tg_fail(err, TG1520, 0, "no checkpoint in %s", wanted->from);
    }
    if (status != TG_OK) { return status; }
    uint64_t epoch = wanted->epoch;
    if (epoch == 0 && listing.manifest_count != 0) { epoch = listing.manifests[0].epoch; }
    bool is_there = false;
    for (uint32_t i = 0; i < listing.manifest_count; i++) {
        is_there = is_there || listing.manifests[i].epoch == epoch;
    }
    if (!is_there) { return tg_fail(err, TG1520, 0, "no checkpoint %" PRIu64 " in %s", epoch, wanted->from); }
    status = tg_recovery_read_manifest(&restore->from, epoch, &restore->arena, &restore->manifest, err);
    if (status == TG_OK) { status = is_of_job(restore, err); }
    if (status == TG_OK) { status = tg_store_open(&restore->to, &take, err); } /* from here on no job runs on it */
    if (status == TG_OK) { status = tg_store_list(&restore->to, &restore->arena, &restore->there, err); }
    return status;
}

static void tell(const struct restore *restore, uint64_t epoch, const struct tg_recovery_totals *totals)
{
    char bytes[TG_AMOUNT_BYTES];
    (void)printf("ok  checkpoint %" PRIu64 " is now checkpoint %" PRIu64 ", the newest: %" PRIu64 " entries, %s; the "
                 "next start goes on from it\n",
                 restore->manifest.epoch, epoch, totals->puts, tg_bytes_text((int64_t)totals->bytes, bytes));
}

int tg_checkpoint_restore(const struct tg_checkpoint_restoring *wanted)
{
    struct restore *restore = calloc(1, sizeof *restore);
    struct tg_error err = {0};
    struct tg_recovery_totals totals;
    if (restore == NULL) {
        (void)tg_fail(&err, TG1601, ENOMEM, "no memory to restore a checkpoint");
        return tg_print_error(&err);
    }
    restore->wanted = wanted;
    restore->to.lock_fd = restore->from.lock_fd = -1;
    tg_status status = open_all(restore, &err);
    const bool is_newest = status == TG_OK && strcmp(wanted->from, wanted->to) == 0 &&
                           restore->there.manifests[0].epoch == restore->manifest.epoch;
    if (is_newest) {
        (void)printf("ok  checkpoint %" PRIu64 " is the newest: the next start goes on from it anyway\n",
                     restore->manifest.epoch);
    } else {
        if (status == TG_OK) { status = doubles_nothing(restore, &err); }
        const uint64_t newest =
            restore->there.newest > restore->manifest.epoch ? restore->there.newest : restore->manifest.epoch;
        if (status == TG_OK) {
            status = tg_recovery_copy(&restore->from, &restore->manifest, &restore->to, newest + 1, &totals, &err);
        }
        if (status == TG_OK) { tell(restore, newest + 1, &totals); }
    }
    tg_store_close(&restore->to);
    tg_store_close(&restore->from);
    tg_arena_close(&restore->arena);
    free(restore);
    return status == TG_OK ? 0 : tg_print_error(&err);
}
