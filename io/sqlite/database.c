/* One connection in WAL mode, synchronous=FULL: a commit is one write to the log and its sync, readers are never
 * blocked, and what was acknowledged survives a power cut, because a checkpoint counts on it. Every write is an upsert
 * guarded by "_version", so a transaction whose outcome is unknown is simply written again.
 *   S1 offered store-release (tg_sqlite_offer)  pairs with  S2 offered exchange-acquire (tg_sqlite_write):  the block
 *   and its rows are visible to the helper. The way back is ordered by the helper's own edges: a shard looks at its
 *   block only in `done` of the task it submitted after S1, and the helper settled the block at that task's run at the
 *   latest. */
#include "io/sqlite/database.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "io/file_ops.h"
#include "io/sqlite/table.h"
#include "io/value_text.h"

enum { BUSY_MS_SETUP = 5000, BUSY_MS = 20 }; /* while rows flow, the shard waits instead of the helper */
static const uint64_t BUSY_LOG_NS = 10000000000; /* being kept out for this long is worth a line */

struct tg_sqlite {
    struct tg_sqlite_table table;
    struct tg_clock clock;
    int64_t version_base;
    uint32_t shard_count;
    sqlite3 *connection;
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *statements[TG_SQLITE_STATEMENTS]; /* CREATE is not kept */
    char (*scratch)[TG_VALUE_TEXT_BYTES];           /* [column_count]: texts bound to the statement in progress */
    uint64_t failing_since_ns; /* 0 = the last attempt went well */
    bool failing_logged;
    struct tg_log_limit limit;
    _Atomic(struct tg_sqlite_block *) offered[TG_SHARDS_MAX];
};

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static int value_bind(struct tg_sqlite *db, sqlite3_stmt *statement, const struct tg_row *row, uint32_t column)
{
    const struct tg_schema *schema = db->table.schema;
    const int parameter = (int)column + 1;
    if (tg_row_is_null(schema, row, column)) { return sqlite3_bind_null(statement, parameter); }
    const void *value = tg_row_value(schema, row, column);
    switch (schema->columns[column].type) {
    case TG_TYPE_BIGINT: return sqlite3_bind_int64(statement, parameter, *(const int64_t *)value);
    case TG_TYPE_INTEGER: return sqlite3_bind_int64(statement, parameter, *(const int32_t *)value);
    case TG_TYPE_BOOLEAN: return sqlite3_bind_int64(statement, parameter, *(const bool *)value ? 1 : 0);
    default: break;
    }
    const tg_text text = tg_value_text(&schema->columns[column], value, db->scratch[column]);
    return sqlite3_bind_text(statement, parameter, text.bytes != 0 ? text.data : "", (int)text.bytes, SQLITE_STATIC);
}

/* Bind a row and run a statement that returns no rows; an SQLite code. */
static int row_run(struct tg_sqlite *db, enum tg_sqlite_statement which, const struct tg_row *row)
{
    sqlite3_stmt *statement = db->statements[which];
    for (uint32_t i = 0; i < db->table.schema->column_count; i++) {
        const int bound = value_bind(db, statement, row, i);
        if (bound != SQLITE_OK) { return bound; }
    }
    const int version = (int)db->table.schema->column_count + 1;
    const int bound = sqlite3_bind_int64(statement, version, db->version_base + row->revision);
    if (bound != SQLITE_OK) { return bound; }
    const int outcome = sqlite3_step(statement);
    (void)sqlite3_reset(statement);
    return outcome == SQLITE_DONE ? SQLITE_OK : outcome;
}

static int row_write(struct tg_sqlite *db, const struct tg_row *row)
{
    bool null_in_key = false;
    for (uint32_t i = 0; i < db->table.key_count; i++) {
        null_in_key = null_in_key || tg_row_is_null(db->table.schema, row, db->table.key_columns[i]);
    }
    if (!null_in_key) { return row_run(db, TG_SQLITE_UPSERT, row); }
    const int updated = row_run(db, TG_SQLITE_UPDATE_NULL_KEY, row);
    if (updated != SQLITE_OK || sqlite3_changes(db->connection) != 0) { return updated; }
    return row_run(db, TG_SQLITE_INSERT_NULL_KEY, row);
}

static int plain_run(sqlite3_stmt *statement)
{
    const int outcome = sqlite3_step(statement);
    (void)sqlite3_reset(statement);
    return outcome == SQLITE_DONE ? SQLITE_OK : outcome;
}

/* What SQLite would say of an errno; SQLITE_OK of 0. */
static int failure_of(int os_errno)
{
    if (os_errno == 0) { return SQLITE_OK; }
    return os_errno == ENOSPC || os_errno == EDQUOT ? SQLITE_FULL : os_errno == ENOMEM ? SQLITE_NOMEM : SQLITE_IOERR;
}

/* All blocks in one transaction; an SQLite code, and the text of an error before anything else overwrites it. */
static int transaction(struct tg_sqlite *db, struct tg_sqlite_block *const *blocks, uint32_t count, char text[256])
{
    if (sqlite3_get_autocommit(db->connection) == 0) { /* a rollback failed earlier */
        (void)sqlite3_exec(db->connection, "ROLLBACK", NULL, NULL, NULL);
    }
    int outcome = failure_of(TG_FAILPOINT("sqlite.begin"));
    if (outcome == SQLITE_OK) { outcome = plain_run(db->begin); }
    for (uint32_t i = 0; i < count && outcome == SQLITE_OK; i++) {
        for (uint32_t j = 0; j < blocks[i]->count && outcome == SQLITE_OK; j++) {
            outcome = row_write(db, tg_row_entry_row(blocks[i]->entries[j]));
        }
    }
    if (outcome == SQLITE_OK) { outcome = failure_of(TG_FAILPOINT("sqlite.commit")); }
    if (outcome == SQLITE_OK) { outcome = plain_run(db->commit); }
    if (outcome == SQLITE_OK) { outcome = failure_of(TG_FAILPOINT("sqlite.committed")); } /* written again then */
    if (outcome == SQLITE_OK) { return SQLITE_OK; }
    (void)snprintf(text, 256, "%s (%s)", sqlite3_errmsg(db->connection), sqlite3_errstr(outcome));
    if (sqlite3_get_autocommit(db->connection) == 0) {
        (void)sqlite3_exec(db->connection, "ROLLBACK", NULL, NULL, NULL);
    }
    return outcome;
}

static enum tg_sqlite_result result_of(int outcome)
{
    switch (outcome & 0xFF) {
    case SQLITE_OK: return TG_SQLITE_WRITTEN;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return TG_SQLITE_BUSY;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
    case SQLITE_CANTOPEN: /* of the log or its index: descriptors may be short */
    case SQLITE_PROTOCOL: return TG_SQLITE_AGAIN;
    default: return TG_SQLITE_FAILED;
    }
}

/* One line when trouble starts, then one a minute; one when it is over. */
static void outcome_log(struct tg_sqlite *db, enum tg_sqlite_result result, const char *text)
{
    const uint64_t now_ns = tg_clock_now_ns(&db->clock);
    if (result == TG_SQLITE_WRITTEN) {
        if (db->failing_logged) {
            tg_log(TG_LOG_INFO, TG_CODE_NONE, -1, NULL, "sink %s: writing to %s again after %.1f s",
                   db->table.sink_name,
                   db->table.path, (double)(now_ns - db->failing_since_ns) / 1e9);
        }
        db->failing_since_ns = 0;
        db->failing_logged = false;
        return;
    }
    if (db->failing_since_ns == 0) { db->failing_since_ns = now_ns; }
    if (result == TG_SQLITE_BUSY && now_ns - db->failing_since_ns < BUSY_LOG_NS) { return; }
    uint64_t suppressed = 0;
    if (!tg_log_allowed(&db->limit, now_ns, &suppressed)) { return; }
    db->failing_logged = true;
    tg_log(TG_LOG_WARN, TG1503, -1, NULL,
           "sink %s: cannot write to %s: %s; rows wait, trying again (%" PRIu64 " attempts not shown)",
           db->table.sink_name, db->table.path, text, suppressed);
}

void tg_sqlite_offer(struct tg_sqlite *db, uint32_t shard, struct tg_sqlite_block *block)
{
    TG_ASSERT(shard < db->shard_count);
    block->settled = false;
    atomic_store_explicit(&db->offered[shard], block, memory_order_release); /* S1 */
}

void tg_sqlite_write(struct tg_sqlite *db)
{
    struct tg_sqlite_block *blocks[TG_SHARDS_MAX];
    uint32_t count = 0;
    for (uint32_t shard = 0; shard < db->shard_count; shard++) {
        /* S2 */
        struct tg_sqlite_block *block = atomic_exchange_explicit(&db->offered[shard], NULL, memory_order_acquire);
        if (block != NULL) { blocks[count++] = block; }
    }
    if (count == 0) { return; } /* an earlier task took our block along */
    char text[256] = "";
    const int outcome = transaction(db, blocks, count, text);
    const enum tg_sqlite_result result = result_of(outcome);
    outcome_log(db, result, text);
    for (uint32_t i = 0; i < count; i++) {
        blocks[i]->result = result;
        if (result == TG_SQLITE_FAILED) {
            (void)tg_fail(&blocks[i]->error, TG1503, 0, "sink %s: write to table %s in %s: %s", db->table.sink_name,
                          db->table.name, db->table.path, text);
        }
        blocks[i]->settled = true;
    }
}

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

static struct tg_sqlite_table table_of(const struct tg_sink_env *env)
{
    const char *name = tg_option_text(env->options, "table");
    return (struct tg_sqlite_table){
        .sink_name = env->sink_name,
        .path = tg_option_text(env->options, "path"),
        .name = name != NULL ? name : env->sink_name,
        .schema = env->schema,
        .key_columns = env->key_columns,
        .key_count = env->key_count,
    };
}

static tg_status refused(const struct tg_sqlite_table *table, sqlite3 *connection, const char *what,
                         struct tg_error *err)
{
    const int outcome = connection != NULL ? sqlite3_errcode(connection) : SQLITE_NOMEM;
    const bool from_system = (outcome & 0xFF) == SQLITE_CANTOPEN || (outcome & 0xFF) == SQLITE_IOERR;
    const int os_errno = from_system ? sqlite3_system_errno(connection) : 0;
    const char *why = connection != NULL ? sqlite3_errmsg(connection) : "out of memory";
    return tg_fail(err, TG1503, os_errno, "sink %s: %s %s: %s", table->sink_name, what, table->path, why);
}

static tg_status connection_open(const struct tg_sqlite_table *table, int flags, sqlite3 **connection,
                                 struct tg_error *err)
{
    if (sqlite3_open_v2(table->path, connection, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        return refused(table, *connection, "open", err);
    }
    (void)sqlite3_extended_result_codes(*connection, 1);
    (void)sqlite3_busy_timeout(*connection, BUSY_MS_SETUP);
    return TG_OK;
}

tg_status tg_sqlite_check(const struct tg_sink_env *env, struct tg_error *err)
{
    const struct tg_sqlite_table table = table_of(env);
    TG_ASSERT(table.key_count >= 1);
    if (strcmp(table.path, ":memory:") == 0) { return TG_OK; }
    if (access(table.path, F_OK) != 0) {
        const int failed = tg_file_creatable(table.path);
        return failed == 0 ? TG_OK
            : tg_fail(err, TG1503, -failed, "sink %s: cannot create %s", table.sink_name, table.path);
    }
    sqlite3 *connection = NULL;
    tg_status status = connection_open(&table, SQLITE_OPEN_READWRITE, &connection, err);
    bool exists = false;
    if (status == TG_OK) { status = tg_sqlite_table_compare(&table, connection, &exists, err); }
    (void)sqlite3_close(connection);
    return status;
}

/* WAL where the file system can do it: a commit is one sync then, without it two or three. With or without, it is one:
 * synchronous=NORMAL would take a checkpoint's rows for written that a power cut takes away. */
static tg_status modes_set(struct tg_sqlite *db, struct tg_error *err)
{
    sqlite3_stmt *pragma = NULL;
    int outcome = sqlite3_prepare_v2(db->connection, "PRAGMA journal_mode=WAL", -1, &pragma, NULL);
    if (outcome == SQLITE_OK) { (void)sqlite3_step(pragma); } /* finalizing tells what went wrong */
    outcome = sqlite3_finalize(pragma);
    if (outcome == SQLITE_OK) {
        outcome = sqlite3_exec(db->connection, "PRAGMA synchronous=FULL", NULL, NULL, NULL);
    }
    return outcome == SQLITE_OK ? TG_OK : refused(&db->table, db->connection, "use write-ahead logging in", err);
}

static tg_status table_make(struct tg_sqlite *db, char *sql, struct tg_error *err)
{
    bool exists = false;
    tg_status status = tg_sqlite_table_compare(&db->table, db->connection, &exists, err);
    if (status != TG_OK || exists) { return status; }
    status = tg_sqlite_statement_text(&db->table, TG_SQLITE_CREATE, sql, err);
    if (status != TG_OK) { return status; }
    if (sqlite3_exec(db->connection, sql, NULL, NULL, NULL) == SQLITE_OK) { return TG_OK; }
    return refused(&db->table, db->connection, "create the table in", err);
}

static tg_status statements_prepare(struct tg_sqlite *db, char *sql, struct tg_error *err)
{
    for (enum tg_sqlite_statement i = TG_SQLITE_UPSERT; i < TG_SQLITE_STATEMENTS; i++) {
        const tg_status status = tg_sqlite_statement_text(&db->table, i, sql, err);
        if (status != TG_OK) { return status; }
        if (sqlite3_prepare_v3(db->connection, sql, -1, SQLITE_PREPARE_PERSISTENT, &db->statements[i],
                               NULL) != SQLITE_OK) {
            return refused(&db->table, db->connection, "prepare the statements for", err);
        }
    }
    if (sqlite3_prepare_v3(db->connection, "BEGIN IMMEDIATE", -1, SQLITE_PREPARE_PERSISTENT, &db->begin,
                           NULL) != SQLITE_OK ||
        sqlite3_prepare_v3(db->connection, "COMMIT", -1, SQLITE_PREPARE_PERSISTENT, &db->commit, NULL) != SQLITE_OK) {
        return refused(&db->table, db->connection, "prepare the statements for", err);
    }
    return TG_OK;
}

static tg_status database_fill(struct tg_sqlite *db, char *sql, struct tg_error *err)
{
    const bool on_disk = strcmp(db->table.path, ":memory:") != 0;
    int failed = on_disk ? tg_file_make_parents(db->table.path) : 0;
    if (failed != 0) {
        return tg_fail(err, TG1503, -failed, "sink %s: create the folders of %s", db->table.sink_name, db->table.path);
    }
    tg_status status = connection_open(&db->table, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &db->connection, err);
    if (status == TG_OK) { status = modes_set(db, err); }
    if (status == TG_OK) { status = table_make(db, sql, err); }
    if (status == TG_OK && on_disk && (failed = tg_file_sync_way(db->table.path)) != 0) {
        status = tg_fail(err, TG1503, -failed, "sink %s: sync the folders of %s", db->table.sink_name, db->table.path);
    }
    if (status == TG_OK) { status = statements_prepare(db, sql, err); }
    if (status == TG_OK) { (void)sqlite3_busy_timeout(db->connection, BUSY_MS); }
    return status;
}

tg_status tg_sqlite_open(struct tg_sqlite **database, const struct tg_sink_env *env, struct tg_error *err)
{
    TG_ASSERT(env->key_count >= 1);
    TG_ASSERT(env->shard_count >= 1 && env->shard_count <= TG_SHARDS_MAX);
    struct tg_sqlite *db = calloc(1, sizeof *db);
    char(*scratch)[TG_VALUE_TEXT_BYTES] = calloc(env->schema->column_count, sizeof *scratch);
    char *sql = malloc(TG_SQLITE_SQL_BYTES);
    tg_status status = TG_OK;
    if (db == NULL || scratch == NULL || sql == NULL) {
        free(db);
        free(scratch);
        status = tg_fail(err, TG1601, ENOMEM, "open sink %s", env->sink_name);
    } else {
        db->table = table_of(env);
        db->clock = env->clock;
        db->version_base = env->version_base;
        db->shard_count = env->shard_count;
        db->scratch = scratch;
        status = database_fill(db, sql, err);
        if (status != TG_OK) { tg_sqlite_close(db); }
    }
    free(sql);
    if (status == TG_OK) { *database = db; }
    return status;
}

void tg_sqlite_close(struct tg_sqlite *db)
{
    if (db == NULL) { return; }
    for (uint32_t i = 0; i < TG_SQLITE_STATEMENTS; i++) { (void)sqlite3_finalize(db->statements[i]); }
    (void)sqlite3_finalize(db->begin);
    (void)sqlite3_finalize(db->commit);
    (void)sqlite3_close(db->connection); /* the last connection moves the log into the database file */
    free(db->scratch);
    free(db);
}
