/* turgo checkpoint: what a job's checkpoint directory holds. All but restore only read and take no lock: a job may be
 * running on it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/timestamp.h"
#include "engine/checkpoint/conservation.h"
#include "engine/checkpoint/dump.h"
#include "engine/checkpoint/tick_log.h"
#include "tools/checkpoint.h"
#include "tools/report.h"
#include "tools/verbs.h"

enum action { ACTION_LIST, ACTION_VERIFY, ACTION_DUMP, ACTION_RESTORE, ACTION_COUNT };
static const char *const action_names[ACTION_COUNT] = {"list", "verify", "dump", "restore"};

struct request {
    enum action action;
    bool resolved;
    uint64_t epoch;     /* 0 = the newest */
    struct tg_job *job; /* NULL with --dir */
    struct tg_store store;
    struct tg_arena arena;
    struct tg_store_listing listing;
};

/* ---- list -------------------------------------------------------------------------------------------------------- */

struct summary {
    uint64_t bytes;
    uint64_t puts;
    uint64_t deletes;
    uint32_t deltas; /* of the longest chain */
    bool knows_ticks;
    uint64_t ticks; /* that a start from it lets act again */
};

/* Lengths, headers and footers of the chain, and every byte of the log of ticks. */
static tg_status look(const struct tg_store *store, const struct tg_manifest *manifest, struct summary *summary,
                      struct tg_error *err)
{
    *summary = (struct summary){.bytes = tg_manifest_bytes(manifest)};
    for (uint32_t shard = 0; shard < manifest->shard_count; shard++) {
        uint32_t count;
        (void)tg_manifest_chain(manifest, shard, &count);
        summary->deltas = count - 1 > summary->deltas ? count - 1 : summary->deltas;
    }
    tg_status status = TG_OK;
    for (uint32_t i = 0; i < manifest->file_count; i++) {
        struct tg_recovery_file file;
        if (status == TG_OK) {
            status = tg_recovery_file_open(store, manifest, i, &file, err);
            summary->puts += status == TG_OK ? file.reader.wanted.puts : 0;
            summary->deletes += status == TG_OK ? file.reader.wanted.deletes : 0;
            tg_recovery_file_close(&file);
        }
    }
    struct tg_tick_totals ticks;
    struct tg_error unread = {0};
    const tg_status found = tg_tick_log_verify(store, manifest, &ticks, &unread);
    summary->knows_ticks = found == TG_OK;
    summary->ticks = ticks.waiting;
    if (status == TG_OK && found != TG_OK) { *err = unread; }
    return status == TG_OK ? found : status;
}

static void print_cells(const struct tg_manifest *manifest, const struct summary *summary, const char *ack)
{
    char time[TG_TS_TEXT_BYTES + 1] = {0};
    char kind[24];
    char keys[32];
    char age[32];
    char ticks[32] = "-";
    if (summary->knows_ticks) { (void)snprintf(ticks, sizeof ticks, "%" PRIu64, summary->ticks); }
    const struct tg_clock clock = tg_clock_real();
    const int64_t second = manifest->created_us - manifest->created_us % 1000000;
    time[tg_ts_format(second, time)] = '\0';
    int64_t elapsed;
    const bool is_odd = __builtin_sub_overflow(tg_clock_wall_us(&clock), second, &elapsed) || elapsed < 0;
    (void)tg_duration_format(is_odd ? 0 : elapsed - elapsed % 1000000, age);
    (void)snprintf(kind, sizeof kind, summary->deltas == 0 ? "base" : "base+%" PRIu32, summary->deltas);
    (void)snprintf(keys, sizeof keys, "%s%" PRIu64,
                   summary->deltas == 0 && summary->deletes == 0 ? "" : "<=", summary->puts);
    struct tg_conservation_totals sum;
    tg_conservation_sum(manifest, &sum);
    (void)printf("%8" PRIu64 "  %-20s  %-8s  %6" PRIu32 "  %12" PRIu64 "  %10s  %12" PRIu64 "  %5s  %-10s  %-6s",
                 manifest->epoch, time, kind, manifest->file_count, summary->bytes, keys, sum.records, ticks,
                 is_odd ? "-" : age, ack);
}

static void print_checkpoint(const struct request *request, const struct tg_store_manifest *listed, bool *is_damaged)
{
    struct tg_arena arena;
    struct tg_manifest manifest;
    struct tg_error err = {0};
    struct summary summary;
    tg_status status = tg_arena_open(&arena, TG_RECOVERY_ARENA_BYTES, &err);
    if (status == TG_OK) {
        status = tg_recovery_read_manifest(&request->store, listed->epoch, &arena, &manifest, &err);
    }
    if (status != TG_OK) {
        (void)printf("%8" PRIu64 "  %-20s  %-8s  %6s  %12s  %10s  %12s  %5s  %-10s  %-6s", listed->epoch, "-", "-", "-",
                     "-", "-", "-", "-", "-", listed->acknowledged ? "yes" : "-");
    } else {
        status = look(&request->store, &manifest, &summary, &err);
        const bool commits = tg_manifest_commits(&manifest);
        print_cells(&manifest, &summary, listed->acknowledged ? "yes" : commits ? "no" : "-");
    }
    if (status == TG_OK) {
        (void)printf("  complete\n"); /* not more than that: only verify reads every block */
    } else {
        (void)printf("  TG%d %s\n", (int)err.code, err.text);
        *is_damaged = true;
    }
    tg_arena_close(&arena);
}

static int list(const struct request *request)
{
    const struct tg_store_listing *listing = &request->listing;
    bool is_damaged = false;
    (void)printf("%8s  %-20s  %-8s  %6s  %12s  %10s  %12s  %5s  %-10s  %-6s  %s\n", "EPOCH", "TIME", "KIND", "FILES",
                 "BYTES", "KEYS", "RECORDS", "TICKS", "AGE", "ACKED", "STATE");
    for (uint32_t i = 0; i < listing->manifest_count; i++) {
        if (request->epoch != 0 && listing->manifests[i].epoch != request->epoch) { continue; }
        print_checkpoint(request, &listing->manifests[i], &is_damaged);
    }
    const uint64_t newest = listing->manifests[0].epoch;
    for (uint32_t i = 0; i < listing->epoch_count && listing->epochs[i] > newest; i++) {
        (void)printf("%8" PRIu64 "  not complete\n", listing->epochs[i]);
    }
    return is_damaged ? tg_exit_code(TG_ERR_DATA) : 0;
}

/* ---- verify, dump ------------------------------------------------------------------------------------------------ */

static tg_status verify(const struct request *request, const struct tg_manifest *manifest, struct tg_error *err)
{
    struct tg_recovery_totals totals;
    struct tg_tick_totals ticks;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const uint32_t threads = cores < 1 ? 1 : cores > TG_SHARDS_MAX ? TG_SHARDS_MAX : (uint32_t)cores;
    tg_status status = tg_recovery_verify(&request->store, manifest, threads, NULL, &totals, err);
    if (status == TG_OK) { status = tg_tick_log_verify(&request->store, manifest, &ticks, err); }
    if (status != TG_OK) { return status; }
    struct tg_error law = {0};
    if (tg_conservation_check(manifest, &law) != TG_OK) {
        return tg_fail(err, law.code, 0, "checkpoint %" PRIu64 ": %s", manifest->epoch, law.text);
    }
    (void)printf("ok  checkpoint %" PRIu64 ": %" PRIu32 " file%s, %" PRIu64 " bytes, %" PRIu64 " entries, %" PRIu64
                 " removals\n",
                 manifest->epoch, manifest->file_count, manifest->file_count == 1 ? "" : "s", totals.bytes, totals.puts,
                 totals.deletes);
    struct tg_conservation_totals sum;
    tg_conservation_sum(manifest, &sum);
    (void)printf("ok  %" PRIu64 " records = %" PRIu64 " accepted + %" PRIu64 " dead + %" PRIu64 " late + %" PRIu64
                 " duplicates, in every partition and step\n",
                 sum.records, sum.accepted, sum.dead, sum.late - sum.late_in_part, sum.duplicates);
    if (ticks.found) {
        (void)printf("ok  %s: %" PRIu64 " bytes, %" PRIu64 " ticks, %" PRIu64 " of them behind the checkpoint\n",
                     ticks.name, ticks.bytes, ticks.ticks, ticks.waiting);
    }
    const bool is_its = request->job != NULL && strcmp(request->job->name, manifest->job) == 0;
    if (!is_its || tg_recovery_is_settled(&request->store, manifest)) { return TG_OK; }
    struct tg_recovery_sink sinks[TG_MANIFEST_SINKS_MAX];
    return tg_manifest_sinks_fit(manifest, sinks, tg_job_sinks(request->job, sinks), err);
}

static int on_one(struct request *request)
{
    struct tg_error err = {0};
    struct tg_manifest manifest;
    const uint64_t epoch = request->epoch != 0 ? request->epoch : request->listing.manifests[0].epoch;
    tg_status status = tg_recovery_read_manifest(&request->store, epoch, &request->arena, &manifest, &err);
    if (status == TG_OK) {
        status = request->action == ACTION_VERIFY
                     ? verify(request, &manifest, &err)
                     : tg_checkpoint_dump(&request->store, &manifest, request->resolved, stdout, &err);
    }
    return status == TG_OK ? 0 : tg_print_error(&err);
}

/* ---- the command line -------------------------------------------------------------------------------------------- */

static bool has_epoch(const struct request *request)
{
    for (uint32_t i = 0; i < request->listing.manifest_count; i++) {
        if (request->epoch == 0 || request->listing.manifests[i].epoch == request->epoch) { return true; }
    }
    return false;
}

static int answer(struct request *request, const char *directory)
{
    struct tg_error err = {0};
    const struct tg_store_config config = {.path = directory, .read_only = true};
    tg_status status = tg_arena_open(&request->arena, TG_RECOVERY_ARENA_BYTES, &err);
    if (status == TG_OK) { status = tg_store_open(&request->store, &config, &err); }
    if (status == TG_OK) { status = tg_store_list(&request->store, &request->arena, &request->listing, &err); }
    const bool is_missing = status != TG_OK && err.code == TG1511 && err.os_errno == ENOENT;
    if (is_missing) { err = (struct tg_error){0}; } /* a job that has made none yet */
    if (is_missing || (status == TG_OK && !has_epoch(request))) {
        status = request->epoch == 0
                     ? tg_fail(&err, TG1520, 0, "no checkpoint in %s%s", directory,
                               request->listing.restoring ? ": a restore into it has not ended" : "")
                     : tg_fail(&err, TG1520, 0, "no checkpoint %" PRIu64 " in %s", request->epoch, directory);
    }
    const int code = status != TG_OK                  ? tg_print_error(&err)
                     : request->action == ACTION_LIST ? list(request)
                                                      : on_one(request);
    tg_arena_close(&request->arena);
    return code;
}

/* Words behind the action: [JOB.yaml] [EPOCH]; with --dir only [EPOCH]. Fills `directory`. */
static int place(const struct tg_args *args, struct request *request, size_t capacity, char *directory)
{
    const char *dir = tg_args_text(args, "dir");
    uint32_t next = 1;
    if (dir != NULL) {
        (void)snprintf(directory, capacity, "%s", dir);
    } else if (args->positional_count < 2) {
        return tg_usage_error("turgo checkpoint needs JOB.yaml or --dir DIR", "turgo checkpoint --help");
    } else {
        struct tg_args job_args = *args;
        job_args.positional[0] = args->positional[next++];
        const int code = tg_load_job(&job_args, 0, NULL, false, &request->job);
        if (code != 0) { return code; }
        const struct tg_job *job = request->job;
        if (job->checkpoint.dir != NULL) {
            (void)snprintf(directory, capacity, "%s", job->checkpoint.dir);
        } else { /* checkpoints were asked for on the command line */
            (void)snprintf(directory, capacity, "%s/checkpoints", job->state_dir);
        }
    }
    if (next == args->positional_count) { return 0; }
    const char *text = args->positional[next];
    char *rest;
    request->epoch = strtoull(text, &rest, 10);
    if (text[0] >= '1' && text[0] <= '9' && *rest == '\0' && next + 1 == args->positional_count) { return 0; }
    char what[160];
    (void)snprintf(what, sizeof what, "\"%.80s\" is no epoch", text);
    return tg_usage_error(what, "turgo checkpoint list shows their numbers");
}

static int restore(const struct tg_args *args, const struct request *request, const char *directory)
{
    if (request->job == NULL) {
        return tg_usage_error("turgo checkpoint restore needs JOB.yaml",
                              "turgo checkpoint restore JOB.yaml EPOCH, or --from a copied directory");
    }
    const char *from = tg_args_text(args, "from");
    if (from == NULL && request->epoch == 0) {
        return tg_usage_error("which checkpoint? turgo checkpoint restore JOB.yaml EPOCH",
                              "turgo checkpoint list JOB.yaml shows their numbers");
    }
    const struct tg_checkpoint_restoring wanted = {
        .job = request->job,
        .from = from != NULL ? from : directory,
        .to = directory,
        .epoch = request->epoch,
        .accept_duplicates = tg_args_given(args, "accept-duplicates"),
    };
    struct tg_error err = {0};
    if (tg_failpoint_arm(getenv("TURGO_FAILPOINT"), &err) != TG_OK) { return tg_print_error(&err); }
    return tg_checkpoint_restore(&wanted);
}

int tg_verb_checkpoint(int argc, char **argv)
{
    static struct request request;
    struct tg_args args;
    char directory[TG_STORE_PATH_BYTES + 64];
    int code = tg_args_parse(argc, argv, &args);
    if (code != 0) { return code; }
    uint32_t action = 0;
    while (action < ACTION_COUNT && strcmp(args.positional[0], action_names[action]) != 0) { action++; }
    if (action == ACTION_COUNT) { return tg_usage_error("turgo checkpoint can list, verify, dump and restore", ""); }
    request = (struct request){.action = (enum action)action, .resolved = tg_args_given(&args, "resolved")};
    if (request.resolved && action != ACTION_DUMP) { return tg_usage_error("--resolved belongs to dump", ""); }
    const bool is_changing = tg_args_given(&args, "from") || tg_args_given(&args, "accept-duplicates");
    if (is_changing && action != ACTION_RESTORE) {
        return tg_usage_error("--from and --accept-duplicates belong to restore", "");
    }
    code = place(&args, &request, sizeof directory, directory);
    if (code == 0 && action == ACTION_RESTORE) {
        code = restore(&args, &request, directory);
    } else if (code == 0) {
        code = answer(&request, directory);
    }
    tg_job_destroy(request.job);
    return code;
}
