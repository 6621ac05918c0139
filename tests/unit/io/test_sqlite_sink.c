/* The SQLite sink: versions, null keys, other writers, failing disks, tables that do not fit. */
#include <stdalign.h>
#include <stdio.h>

#include "base/log.h"
#include "io/connectors.h"
#include "io/file_ops.h"
#include "tests/contract/sink_readers.h"
#include "tests/faulty_vfs.h"
#include "tests/seed.h"

static struct rig rig;
static struct model model;
static char folder[64];
static char path[128];
static uint32_t from[RIG_SHARDS_MAX];

static void folder_make(void)
{
    tg_log_configure(&(struct tg_log_config){.level_min = TG_LOG_ERROR});
    (void)snprintf(folder, sizeof folder, "%s/turgo-sqlite-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    cr_assert_neq(mkdtemp(folder), NULL);
    (void)snprintf(path, sizeof path, "%s/a/rows.db", folder);
}
static void folder_remove(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}
TestSuite(sqlite_sink, .init = folder_make, .fini = folder_remove, .timeout = 120);

static void prepare(uint32_t shards)
{
    const struct rig_setting settings[] = {{"path", path}, {"flush_every", "1ms"}, {"batch_rows", "50"}, {NULL, NULL}};
    model_clear(&model);
    memset(from, 0, sizeof from);
    rig_prepare(&rig, &tg_sqlite_sink, shards, false, settings);
}

static void open_all(void)
{
    cr_assert_eq(rig_share(&rig), TG_OK, "%s", rig.error.text);
    for (uint32_t shard = 0; shard < rig.shard_count; shard++) { cr_assert_eq(rig_open_shard(&rig, shard), TG_OK); }
}

static struct tg_row *row_make(struct tg_prng *prng, uint32_t key, int64_t revision)
{
    static alignas(16) uint8_t area[1024];
    maker_row(prng, &rig.schema, (struct tg_row *)area, key, revision);
    return (struct tg_row *)area;
}

static void row_add(uint32_t shard, uint32_t key, const struct tg_row *row)
{
    cr_assert_neq(tg_batch_append_copy(rig.batch[shard], row), NULL);
    model_add(&model, &rig, shard, key, row);
}

static void sql_run(const char *sql)
{
    sqlite3 *connection = NULL;
    char *text = NULL;
    cr_assert_eq(sqlite3_open(path, &connection), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(connection, sql, NULL, NULL, &text), SQLITE_OK, "%s", text);
    cr_assert_eq(sqlite3_close(connection), SQLITE_OK);
}

static int64_t sql_integer(const char *sql)
{
    sqlite3 *connection = NULL;
    sqlite3_stmt *statement = NULL;
    cr_assert_eq(sqlite3_open(path, &connection), SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(connection, sql, -1, &statement, NULL), SQLITE_OK, "%s",
                 sqlite3_errmsg(connection));
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
    const int64_t value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(connection);
    return value;
}

/* Cycle until all is flushed or the sink failed; its status. */
static tg_status settle(void)
{
    for (uint32_t shard = 0; shard < rig.shard_count; shard++) { rig.ops->flush(rig.state[shard]); }
    for (uint32_t cycle = 0; cycle < 20000; cycle++) {
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

/* A checkpoint takes what is flushed for written: a power cut must not undo it. */
Test(sqlite_sink, what_is_flushed_is_synced)
{
    struct tg_prng prng = {5};
    faulty_vfs_use();
    prepare(1);
    open_all();
    for (uint32_t round = 1; round <= 5; round++) {
        row_add(0, 1, row_make(&prng, 1, 10 * round));
        cr_assert(rig_push(&rig, 0, &from[0]));
        cr_assert_eq(settle(), TG_OK);
        cr_assert_not(faulty_vfs.unsynced, "round %u", round);
        rig.batch[0]->count = 0;
        from[0] = 0;
    }
    rig_close(&rig);
}

Test(sqlite_sink, versions_decide_between_runs_and_the_last_base_wins)
{
    struct tg_prng prng = {5};
    prepare(1);
    open_all();
    row_add(0, 1, row_make(&prng, 1, 10));
    cr_assert(rig_push(&rig, 0, &from[0]));
    cr_assert_eq(settle(), TG_OK);
    rig_close(&rig);
    sqlite_verify(&model, &rig, path);

    prepare(1); /* the same base again: an old revision changes nothing, a higher one does */
    open_all();
    cr_assert_neq(tg_batch_append_copy(rig.batch[0], row_make(&prng, 1, 9)), NULL);
    cr_assert(rig_push(&rig, 0, &from[0]));
    cr_assert_eq(settle(), TG_OK);
    cr_assert_eq(sql_integer("SELECT _version FROM rows"), 1000010);
    row_add(0, 1, row_make(&prng, 1, 11));
    cr_assert(rig_push(&rig, 0, &from[0]));
    cr_assert_eq(settle(), TG_OK);
    rig_close(&rig);
    sqlite_verify(&model, &rig, path);

    prepare(1); /* a later run has a higher base: it wins from its first revision on */
    rig.env[0].version_base = 2000000;
    open_all();
    row_add(0, 1, row_make(&prng, 1, 1));
    cr_assert(rig_push(&rig, 0, &from[0]));
    cr_assert_eq(settle(), TG_OK);
    rig_close(&rig);
    sqlite_verify(&model, &rig, path);
}

Test(sqlite_sink, rows_with_a_null_key_are_one_row_too)
{
    struct tg_prng prng = {6};
    prepare(1);
    const uint32_t key_columns[] = {MAKER_KEY, MAKER_INTEGER};
    rig.env[0].key_columns = key_columns;
    rig.env[0].key_count = 2;
    open_all();
    const int64_t revisions[] = {3, 5, 4};
    for (uint32_t i = 0; i < 3; i++) { /* a flush between them: the store does not help */
        struct tg_row *row = row_make(&prng, 1, revisions[i]);
        tg_row_set_null(&rig.schema, row, MAKER_INTEGER, true);
        cr_assert_neq(tg_batch_append_copy(rig.batch[0], row), NULL);
        cr_assert(rig_push(&rig, 0, &from[0]));
        cr_assert_eq(settle(), TG_OK);
    }
    cr_assert_eq(sql_integer("SELECT count(*) FROM rows"), 1);
    cr_assert_eq(sql_integer("SELECT _version FROM rows WHERE anInteger IS NULL"), 1000005);
    rig_close(&rig);
}

Test(sqlite_sink, another_writer_is_waited_for)
{
    struct tg_prng prng = {7};
    sqlite3 *other = NULL;
    prepare(2);
    open_all();
    cr_assert_eq(sqlite3_open(path, &other), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    for (uint32_t shard = 0; shard < 2; shard++) {
        for (uint32_t i = 0; i < 10; i++) { row_add(shard, 2 * i + shard, row_make(&prng, 2 * i + shard, 1)); }
        cr_assert(rig_push(&rig, shard, &from[shard]));
        rig.ops->flush(rig.state[shard]);
    }
    for (uint32_t i = 0; i < 20; i++) {
        rig_cycle(&rig, i & 1);
        rig_advance(&rig, 5000000);
    }
    struct tg_sink_stats stats;
    rig.ops->stats(rig.state[0], &stats);
    cr_assert_eq(stats.rows_written, 0);
    cr_assert_eq(stats.pending, 10);
    cr_assert_eq(stats.errors, 0, "busy is no error");
    cr_assert_eq(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_close(other), SQLITE_OK);
    cr_assert_eq(settle(), TG_OK);
    rig_close(&rig);
    sqlite_verify(&model, &rig, path);
}

Test(sqlite_sink, shards_share_one_transaction)
{
    struct tg_prng prng = {8};
    prepare(3);
    open_all();
    for (uint32_t shard = 0; shard < 3; shard++) {
        row_add(shard, shard, row_make(&prng, shard, 1));
        cr_assert(rig_push(&rig, shard, &from[shard]));
        rig.ops->flush(rig.state[shard]);
        (void)rig.ops->poll(rig.state[shard], rig.now_ns); /* submitted, not yet run */
    }
    cr_assert_eq(tg_helper_step(rig.helper, 1), 1);
    cr_assert_eq(sql_integer("SELECT count(*) FROM rows"), 3, "the first task took the blocks of all");
    cr_assert_eq(tg_helper_step(rig.helper, 10), 2);
    for (uint32_t shard = 0; shard < 3; shard++) {
        cr_assert_eq(tg_helper_poll(rig.helper, shard), 1);
        cr_assert(rig.ops->flushed(rig.state[shard]));
    }
    rig_close(&rig);
}

/* Three rounds of random rows on two shards with a flush each, the disk failing as set; the sink's status. */
static tg_status faulty_run(uint64_t seed)
{
    struct tg_prng prng = {seed};
    prepare(2);
    faulty_vfs.calls = 0;
    faulty_vfs.hit = false;
    tg_status status = rig_share(&rig);
    if (status != TG_OK) {
        rig.shared = NULL;
        rig_close(&rig);
        return status;
    }
    for (uint32_t shard = 0; shard < 2; shard++) { cr_assert_eq(rig_open_shard(&rig, shard), TG_OK); }
    for (uint32_t round = 0; round < 3 && status == TG_OK; round++) {
        for (uint32_t shard = 0; shard < 2; shard++) {
            for (uint32_t i = 0; i < 15; i++) {
                const uint32_t key = 2 * tg_prng_below(&prng, 12) + shard;
                row_add(shard, key, row_make(&prng, key, (int64_t)(round * 100 + i)));
            }
            while (!rig_push(&rig, shard, &from[shard])) { rig_cycle(&rig, shard); }
        }
        status = settle();
    }
    rig_close(&rig);
    return status;
}

Test(sqlite_sink, every_kth_disk_call_failing_loses_no_row)
{
    const uint64_t seed = tg_test_seed();
    const int codes[] = {SQLITE_IOERR_WRITE, SQLITE_FULL};
    uint32_t recovered = 0;
    uint32_t refused = 0;
    faulty_vfs_use();
    for (uint32_t i = 0; i < 4; i++) {
        bool hit = true;
        faulty_vfs.code = codes[i & 1];
        faulty_vfs.count = i < 2 ? 1 : 6;
        for (faulty_vfs.first = 1; hit; faulty_vfs.first++) {
            cr_assert_lt(faulty_vfs.first, 2000);
            const tg_status status = faulty_run(seed);
            hit = faulty_vfs.hit;
            const uint64_t first = faulty_vfs.first;
            faulty_vfs.first = 0;
            if (status == TG_OK) {
                sqlite_verify(&model, &rig, path);
                cr_assert_eq(sql_integer("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"),
                             0);
                recovered += hit;
            } else { /* while the table is being made there is nothing to lose: the start is refused */
                cr_assert_eq(rig.error.code, TG1503, "k %lu: %s", (unsigned long)first, rig.error.text);
                cr_assert_eq(model.row_count[0], 0, "k %lu: rows were taken, so they must be written: %s",
                             (unsigned long)first,
                             rig.error.text);
                refused++;
            }
            faulty_vfs.first = first;
            char command[200];
            (void)snprintf(command, sizeof command, "rm -rf '%s/a'", folder);
            cr_assert_eq(system(command), 0);
        }
    }
    cr_assert_gt(recovered, 40);
    cr_assert_gt(refused, 5);
}

static const char *refusal(const char *sql)
{
    cr_assert_eq(tg_file_make_parents(path), 0);
    if (sql != NULL) { sql_run(sql); }
    prepare(1);
    const tg_status checked = rig.ops->check(&rig.env[0], 0, &rig.error);
    rig.error = (struct tg_error){0};
    const tg_status shared = rig_share(&rig);
    cr_assert_eq(checked, shared, "check and share agree");
    rig_close(&rig);
    (void)unlink(path);
    return shared == TG_OK ? NULL : rig.error.text;
}

Test(sqlite_sink, an_existing_table_must_fit)
{
    const char *text = refusal("CREATE TABLE rows (key TEXT PRIMARY KEY, n INTEGER, _version INTEGER)");
    cr_assert_eq(rig.error.code, TG1504);
    cr_assert_eq(rig.error.status, TG_ERR_CONFIG);
    cr_assert_neq(strstr(text, "there:  key TEXT key, n INTEGER, _version INTEGER\n"), NULL, "%s", text);
    cr_assert_neq(strstr(text, "sink:   key TEXT key, aBigint INTEGER, anInteger INTEGER"), NULL, "%s", text);
    cr_assert_neq(strstr(text, "Drop or rename"), NULL, "%s", text);
    const char *const columns =
        "aBigint INTEGER, anInteger INTEGER, aBoolean INTEGER, aTimestamp TEXT, aDate TEXT, aNumeric %s,"
                                " anEnum TEXT, aJson TEXT, \"order\" TEXT, _version INTEGER";
    char list[512];
    char sql[1024];
    (void)snprintf(list, sizeof list, columns, "TEXT");
    (void)snprintf(sql, sizeof sql, "CREATE TABLE rows (%s, \"KEY\" VARCHAR(40) PRIMARY KEY)", list);
    cr_assert_null(refusal(sql), "other order, case and type names are fine: %s", rig.error.text);
    (void)snprintf(sql, sizeof sql, "CREATE TABLE rows (%s, key TEXT)", list);
    cr_assert_neq(refusal(sql), NULL, "no key");
    (void)snprintf(sql, sizeof sql, "CREATE TABLE rows (%s, key TEXT PRIMARY KEY, extra TEXT)", list);
    cr_assert_neq(refusal(sql), NULL, "one column too many");
    (void)snprintf(list, sizeof list, columns, "REAL");
    (void)snprintf(sql, sizeof sql, "CREATE TABLE rows (%s, key TEXT PRIMARY KEY)", list);
    cr_assert_neq(refusal(sql), NULL, "REAL would round decimals");
}

Test(sqlite_sink, what_is_no_database_is_refused_and_a_lost_table_ends_the_job)
{
    struct tg_prng prng = {9};
    cr_assert_eq(tg_file_make_parents(path), 0);
    FILE *file = fopen(path, "w");
    for (uint32_t i = 0; i < 1000; i++) { (void)fputs("this is no database\n", file); }
    (void)fclose(file);
    cr_assert_neq(refusal(NULL), NULL);
    cr_assert_eq(rig.error.code, TG1503);
    cr_assert_neq(strstr(rig.error.text, path), NULL, "%s", rig.error.text);

    prepare(1);
    open_all();
    sql_run("DROP TABLE rows");
    row_add(0, 1, row_make(&prng, 1, 1));
    cr_assert(rig_push(&rig, 0, &from[0]));
    cr_assert_eq(settle(), TG_ERR_IO);
    cr_assert_eq(rig.error.code, TG1503);
    cr_assert_neq(strstr(rig.error.text, "no such table"), NULL, "%s", rig.error.text);
    cr_assert_eq(rig.ops->push(rig.state[0], rig.batch[0], 0), 0, "a failed sink takes nothing");
    rig_close(&rig);
}
