/* The file sink when files misbehave: whatever the k-th call does, the file holds exactly the rows, or the sink says
 * why not. */
#include <stdalign.h>
#include <stdio.h>

#include "base/log.h"
#include "io/connectors.h"
#include "tests/contract/sink_readers.h"
#include "tests/faulty_ops.h"
#include "tests/seed.h"

static struct rig rig;
static struct model model;
static struct faulty faulty;
static char folder[64];
static char path[128];

static void folder_make(void)
{
    tg_log_configure(&(struct tg_log_config){.level_min = TG_LOG_ERROR}); /* the warnings are many here */
    (void)snprintf(folder, sizeof folder, "%s/turgo-file-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    cr_assert_neq(mkdtemp(folder), NULL);
    (void)snprintf(path, sizeof path, "%s/a/b/rows.jsonl", folder);
}
static void folder_remove(void)
{
    char command[128];
    tg_file_ops_use(NULL);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}
TestSuite(file_sink, .init = folder_make, .fini = folder_remove, .timeout = 120);

static void prepare(uint32_t shards)
{
    const struct rig_setting settings[] = {{"path", path}, {"flush_every", "1ms"}, {NULL, NULL}};
    model_clear(&model);
    rig_prepare(&rig, &tg_file_sink, shards, false, settings);
}

static void batch_fill(struct tg_prng *prng, uint32_t shard, uint32_t rows, int64_t *revision)
{
    static alignas(16) uint8_t area[1024];
    struct tg_row *row = (struct tg_row *)area;
    rig.batch[shard]->arrived_ns = 1;
    for (uint32_t i = 0; i < rows; i++) {
        const uint32_t key = tg_prng_below(prng, MODEL_KEYS / rig.shard_count) * rig.shard_count + shard;
        maker_row(prng, &rig.schema, row, key, ++*revision);
        if (tg_batch_append_copy(rig.batch[shard], row) == NULL) { return; }
        model_add(&model, &rig, shard, key, row);
    }
}

/* Cycle until all is flushed or the sink failed; its status. */
static tg_status settle(void)
{
    for (uint32_t shard = 0; shard < rig.shard_count; shard++) { rig.ops->flush(rig.state[shard]); }
    for (uint32_t cycle = 0; cycle < 100000; cycle++) {
        bool flushed = true;
        for (uint32_t shard = 0; shard < rig.shard_count; shard++) {
            rig_cycle(&rig, shard);
            const tg_status status = rig.ops->failure(rig.state[shard], &rig.error);
            if (status != TG_OK) { return status; }
            flushed = flushed && rig.ops->flushed(rig.state[shard]);
        }
        rig_advance(&rig, 5000000);
        if (flushed) { return TG_OK; }
    }
    cr_assert_fail("neither flushed nor failed");
    return TG_OK;
}

/* One run: two shards, three rounds with a flush each. Returns the sink's status; rows are in the model. */
static tg_status run(uint64_t seed)
{
    struct tg_prng prng = {seed};
    int64_t revision = 0;
    prepare(2);
    const tg_status shared = rig_share(&rig);
    if (shared != TG_OK) {
        rig.shared = NULL;
        rig_close(&rig);
        return shared;
    }
    for (uint32_t shard = 0; shard < 2; shard++) { cr_assert_eq(rig_open_shard(&rig, shard), TG_OK); }
    tg_status status = TG_OK;
    for (uint32_t round = 0; round < 3 && status == TG_OK; round++) {
        for (uint32_t shard = 0; shard < 2; shard++) {
            uint32_t from = 0;
            batch_fill(&prng, shard, 1 + tg_prng_below(&prng, 30), &revision);
            while (!rig_push(&rig, shard, &from)) { rig_cycle(&rig, shard); }
        }
        status = settle();
    }
    rig_close(&rig);
    return status;
}

/* A run that goes on from a checkpoint without this sink. */
static tg_status join(void)
{
    prepare(1);
    rig.env[0].staged = true;
    rig.env[0].joins = true;
    rig.env[0].generation = 1;
    const tg_status status = rig_share(&rig);
    if (status != TG_OK) { rig.shared = NULL; }
    rig_close(&rig);
    return status;
}

Test(file_sink, one_that_joins_a_job_replaces_no_file)
{
    cr_assert_eq(join(), TG_OK, "%s", rig.error.text); /* none is there */
    cr_assert_eq(join(), TG_OK, "%s", rig.error.text); /* an empty one is */
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL && fputs("rows of who knows whom\n", file) >= 0 && fclose(file) == 0);
    cr_assert_neq(join(), TG_OK);
    cr_assert_eq(rig.error.code, TG1525, "TG%d %s", (int)rig.error.code, rig.error.text);
    cr_assert_neq(strstr(rig.error.text, path), NULL, "%s", rig.error.text);
    char text[64] = "";
    file = fopen(path, "r");
    cr_assert(file != NULL && fgets(text, sizeof text, file) != NULL && fclose(file) == 0);
    cr_assert_str_eq(text, "rows of who knows whom\n");
}

Test(file_sink, every_kth_call_failing_in_every_way_leaves_an_exact_file)
{
    const uint64_t seed = tg_test_seed();
    uint32_t recovered = 0;
    uint32_t failed = 0;
    for (enum faulty_way way = FAULTY_EIO; way < FAULTY_WAYS; way++) {
        const uint64_t lengths[] = {1, 2, 5};
        for (uint32_t length = 0; length < 3; length++) {
            bool hit = true;
            for (uint64_t k = 1; hit; k++) {
                cr_assert_lt(k, 200, "the run makes no end of calls");
                faulty_use(&faulty, way, k, lengths[length]);
                const tg_status status = run(seed);
                hit = faulty.hit;
                if (status == TG_OK) {
                    cr_assert_not(faulty.sync_failed, "a failed fdatasync must not be swallowed");
                    cr_assert_not(faulty.unsynced, "flushed means durable");
                    lines_verify(&model, path, LINES_ALL);
                    recovered += hit;
                } else {
                    cr_assert_eq(rig.error.code, TG1502, "way %d k %lu: %s", way, k, rig.error.text);
                    cr_assert_neq(strstr(rig.error.text, folder), NULL, "the message names the file: %s",
                                  rig.error.text);
                    failed++;
                    /* as long as cutting off fails too, nothing can mend the file */
                    const bool still_failing = faulty.calls + 1 < faulty.first + faulty.count;
                    if (access(path, F_OK) == 0) {
                        lines_verify(&model, path, still_failing ? LINES_SOME_LAST_TORN : LINES_SOME);
                    }
                }
                model_clear(&model);
                (void)unlink(path);
            }
        }
    }
    cr_assert_gt(recovered, 50);
    cr_assert_gt(failed, 10);
}

Test(file_sink, waits_out_a_full_disk_with_back_pressure_and_loses_nothing)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    int64_t revision = 0;
    uint32_t from = 0;
    faulty_use(&faulty, FAULTY_ENOSPC, 0, 0);
    prepare(1);
    cr_assert_eq(rig_share(&rig), TG_OK);
    cr_assert_eq(rig_open_shard(&rig, 0), TG_OK);
    faulty.first = faulty.calls + 1;
    faulty.count = UINT32_MAX;
    bool taken = true;
    while (taken && model.row_count[0] < MODEL_ROWS_MAX - 64) {
        batch_fill(&prng, 0, 60, &revision);
        taken = rig_push(&rig, 0, &from);
        rig_cycle(&rig, 0);
        rig_advance(&rig, 1000000);
    }
    cr_assert_not(taken, "a full disk must hold the job up");
    for (uint32_t i = 0; i < 1000; i++) {
        rig_cycle(&rig, 0);
        rig_advance(&rig, 10000000);
    }
    struct tg_sink_stats stats;
    rig.ops->stats(rig.state[0], &stats);
    cr_assert_gt(stats.retries, 5);
    cr_assert_lt(stats.retries, 50, "10 s of waiting must not be a storm of attempts");
    cr_assert_eq(stats.rows_written, 0);
    cr_assert_eq(rig.ops->failure(rig.state[0], NULL), TG_OK);
    faulty.first = 0; /* space is back */
    while (!rig_push(&rig, 0, &from)) {
        rig_cycle(&rig, 0);
        rig_advance(&rig, 1000000);
    }
    cr_assert_eq(settle(), TG_OK);
    rig_close(&rig);
    lines_verify(&model, path, LINES_ALL);
}

Test(file_sink, flush_makes_durable_what_was_written_before_it)
{
    struct tg_prng prng = {2};
    int64_t revision = 0;
    uint32_t from = 0;
    faulty_use(&faulty, FAULTY_EIO, 0, 0);
    prepare(1);
    cr_assert_eq(rig_share(&rig), TG_OK);
    cr_assert_eq(rig_open_shard(&rig, 0), TG_OK);
    batch_fill(&prng, 0, 5, &revision);
    cr_assert(rig_push(&rig, 0, &from));
    for (uint32_t i = 0; i < 10; i++) { /* flush_every writes them out */
        rig_cycle(&rig, 0);
        rig_advance(&rig, 5000000);
    }
    struct tg_sink_stats stats;
    rig.ops->stats(rig.state[0], &stats);
    cr_assert_eq(stats.pending, 0);
    cr_assert(faulty.unsynced, "time alone does not sync");
    rig.ops->flush(rig.state[0]);
    cr_assert_not(rig.ops->flushed(rig.state[0]), "written is not durable");
    cr_assert_eq(settle(), TG_OK);
    cr_assert_not(faulty.unsynced);
    const uint64_t calls = faulty.calls;
    cr_assert_eq(settle(), TG_OK);
    cr_assert_eq(faulty.calls, calls, "a second flush has nothing to do");
    rig_close(&rig);
}

Test(file_sink, replaces_an_existing_file_but_not_before_the_run_starts)
{
    struct tg_prng prng = {1};
    int64_t revision = 0;
    uint32_t from = 0;
    cr_assert_eq(tg_file_make_parents(path), 0);
    FILE *old = fopen(path, "w");
    (void)fputs("an earlier run\n", old);
    (void)fclose(old);
    prepare(1);
    cr_assert_eq(rig.ops->check(&rig.env[0], 0, &rig.error), TG_OK);
    size_t bytes = 0;
    free(whole_file(path, &bytes));
    cr_assert_eq(bytes, 15, "check changes nothing");
    cr_assert_eq(rig_share(&rig), TG_OK);
    cr_assert_eq(rig_open_shard(&rig, 0), TG_OK);
    batch_fill(&prng, 0, 5, &revision);
    cr_assert(rig_push(&rig, 0, &from));
    cr_assert_eq(settle(), TG_OK);
    rig_close(&rig);
    lines_verify(&model, path, LINES_ALL);
}

/* check() of a sink with that path must fail and say `hint`. */
static void check_refused(const char *bad_path, const char *hint)
{
    static struct rig other;
    const struct rig_setting settings[] = {{"path", bad_path}, {NULL, NULL}};
    rig_prepare(&other, &tg_file_sink, 1, false, settings);
    cr_assert_eq(other.ops->check(&other.env[0], 0, &other.error), TG_ERR_IO);
    cr_assert_neq(strstr(other.error.text, hint), NULL, "%s", other.error.text);
    rig_close(&other);
}

/* So must share(). */
static void share_refused(const char *bad_path, tg_status status, const char *hint)
{
    static struct rig other;
    const struct rig_setting settings[] = {{"path", bad_path}, {NULL, NULL}};
    rig_prepare(&other, &tg_file_sink, 1, false, settings);
    cr_assert_eq(rig_share(&other), status);
    cr_assert_neq(strstr(other.error.text, hint), NULL, "%s", other.error.text);
    rig_close(&other);
}

Test(file_sink, refuses_what_is_no_file_and_what_another_sink_writes)
{
    prepare(1);
    cr_assert_eq(rig_share(&rig), TG_OK);
    share_refused(path, TG_ERR_LOCKED, "another sink");
    rig_close(&rig);
    check_refused("/dev/null", "console sink");
    check_refused(folder, "directory");
    share_refused("/proc/no/such/folder.jsonl", TG_ERR_IO, "folders");
}
