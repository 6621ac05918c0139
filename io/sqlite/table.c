/* SQL text and the comparison of tables. Column types are those SQLite gives an affinity to: TEXT for text, json, enum,
 * numeric (exact digits; a REAL would round), timestamp and date (RFC 3339, so that people can read them), INTEGER for
 * the integers and for booleans (0 and 1). */
#include "io/sqlite/table.h"

#include <string.h>

#include "base/assert.h"
#include "base/json_text.h"

static const char *affinity_of(enum tg_type type)
{
    switch (type) {
    case TG_TYPE_BIGINT:
    case TG_TYPE_INTEGER:
    case TG_TYPE_BOOLEAN: return "INTEGER";
    default: return "TEXT";
    }
}

/* "name" with quotes doubled inside. */
static void name_write(struct tg_writer *sql, const char *name)
{
    tg_write_bytes(sql, "\"", 1);
    for (; *name != '\0'; name++) {
        tg_write_bytes(sql, name, 1);
        if (*name == '"') { tg_write_bytes(sql, "\"", 1); }
    }
    tg_write_bytes(sql, "\"", 1);
}

static void column_write(struct tg_writer *sql, const struct tg_sqlite_table *table, uint32_t column)
{
    const bool is_version = column == table->schema->column_count;
    name_write(sql, is_version ? "_version" : table->schema->columns[column].name);
}

static bool is_key(const struct tg_sqlite_table *table, uint32_t column)
{
    for (uint32_t i = 0; i < table->key_count; i++) {
        if (table->key_columns[i] == column) { return true; }
    }
    return false;
}

static void parameter_write(struct tg_writer *sql, uint32_t column)
{
    tg_write_bytes(sql, "?", 1);
    tg_write_i64(sql, (int64_t)column + 1);
}

/* "a" , "b" of the key. */
static void key_write(struct tg_writer *sql, const struct tg_sqlite_table *table)
{
    for (uint32_t i = 0; i < table->key_count; i++) {
        if (i != 0) { tg_write_bytes(sql, ", ", 2); }
        column_write(sql, table, table->key_columns[i]);
    }
}

static void create_write(struct tg_writer *sql, const struct tg_sqlite_table *table)
{
    tg_write_cstr(sql, "CREATE TABLE IF NOT EXISTS ");
    name_write(sql, table->name);
    tg_write_cstr(sql, " (\n");
    for (uint32_t i = 0; i <= table->schema->column_count; i++) {
        tg_write_cstr(sql, "  ");
        column_write(sql, table, i);
        tg_write_bytes(sql, " ", 1);
        const bool is_version = i == table->schema->column_count;
        tg_write_cstr(sql, is_version ? "INTEGER NOT NULL" : affinity_of(table->schema->columns[i].type));
        tg_write_cstr(sql, ",\n");
    }
    tg_write_cstr(sql, "  PRIMARY KEY (");
    key_write(sql, table);
    tg_write_cstr(sql, "))");
}

static void columns_write(struct tg_writer *sql, const struct tg_sqlite_table *table, bool parameters)
{
    for (uint32_t i = 0; i <= table->schema->column_count; i++) {
        if (i != 0) { tg_write_bytes(sql, ", ", 2); }
        if (parameters) {
            parameter_write(sql, i);
        } else {
            column_write(sql, table, i);
        }
    }
}

/* SET list: every column that is not key; `from` stands in front of the names, NULL = parameters. */
static void set_write(struct tg_writer *sql, const struct tg_sqlite_table *table, const char *from)
{
    for (uint32_t i = 0, written = 0; i <= table->schema->column_count; i++) {
        if (is_key(table, i)) { continue; }
        if (written++ != 0) { tg_write_bytes(sql, ", ", 2); }
        column_write(sql, table, i);
        tg_write_cstr(sql, " = ");
        if (from == NULL) {
            parameter_write(sql, i);
            continue;
        }
        tg_write_cstr(sql, from);
        column_write(sql, table, i);
    }
}

/* "k1" IS ?1 AND ... */
static void key_is_write(struct tg_writer *sql, const struct tg_sqlite_table *table)
{
    for (uint32_t i = 0; i < table->key_count; i++) {
        if (i != 0) { tg_write_cstr(sql, " AND "); }
        column_write(sql, table, table->key_columns[i]);
        tg_write_cstr(sql, " IS ");
        parameter_write(sql, table->key_columns[i]);
    }
}

static void insert_write(struct tg_writer *sql, const struct tg_sqlite_table *table, const char *values)
{
    tg_write_cstr(sql, "INSERT INTO ");
    name_write(sql, table->name);
    tg_write_cstr(sql, " (");
    columns_write(sql, table, false);
    tg_write_cstr(sql, values);
    columns_write(sql, table, true);
}

tg_status tg_sqlite_statement_text(const struct tg_sqlite_table *table, enum tg_sqlite_statement statement, char *out,
                                   struct tg_error *err)
{
    struct tg_writer sql = {.data = out, .capacity = TG_SQLITE_SQL_BYTES - 1};
    switch (statement) {
    case TG_SQLITE_CREATE: create_write(&sql, table); break;
    case TG_SQLITE_UPSERT:
        insert_write(&sql, table, ") VALUES (");
        tg_write_cstr(&sql, ") ON CONFLICT (");
        key_write(&sql, table);
        tg_write_cstr(&sql, ") DO UPDATE SET ");
        set_write(&sql, table, "excluded.");
        tg_write_cstr(&sql, " WHERE excluded.\"_version\" > ");
        name_write(&sql, table->name);
        tg_write_cstr(&sql, ".\"_version\"");
        break;
    case TG_SQLITE_UPDATE_NULL_KEY:
        tg_write_cstr(&sql, "UPDATE ");
        name_write(&sql, table->name);
        tg_write_cstr(&sql, " SET ");
        set_write(&sql, table, NULL);
        tg_write_cstr(&sql, " WHERE ");
        key_is_write(&sql, table);
        tg_write_cstr(&sql, " AND \"_version\" < ");
        parameter_write(&sql, table->schema->column_count);
        break;
    case TG_SQLITE_INSERT_NULL_KEY:
        insert_write(&sql, table, ") SELECT ");
        tg_write_cstr(&sql, " WHERE NOT EXISTS (SELECT 1 FROM ");
        name_write(&sql, table->name);
        tg_write_cstr(&sql, " WHERE ");
        key_is_write(&sql, table);
        tg_write_cstr(&sql, ")");
        break;
    case TG_SQLITE_STATEMENTS: TG_ASSERT(false); break;
    }
    if (sql.overflow) {
        return tg_fail(err, TG1503, 0, "sink %s: its column names are too long for a statement", table->sink_name);
    }
    out[sql.used] = '\0';
    return TG_OK;
}

/* ---- comparison -------------------------------------------------------------------------------------------------- */

/* The affinity SQLite derives from a declared type (its documentation, "Determination Of Column Affinity"). */
static const char *declared_affinity(const char *declared)
{
    if (strcasestr(declared, "INT") != NULL) { return "INTEGER"; }
    if (strcasestr(declared, "CHAR") != NULL || strcasestr(declared, "CLOB") != NULL ||
        strcasestr(declared, "TEXT") != NULL) {
        return "TEXT";
    }
    if (*declared == '\0' || strcasestr(declared, "BLOB") != NULL) { return "BLOB"; }
    if (strcasestr(declared, "REAL") != NULL || strcasestr(declared, "FLOA") != NULL ||
        strcasestr(declared, "DOUB") != NULL) {
        return "REAL";
    }
    return "NUMERIC";
}

/* Does a column of this affinity keep our values as they are? BLOB means "none". */
static bool affinity_fits(const char *ours, const char *theirs)
{
    if (strcmp(theirs, "BLOB") == 0 || strcmp(ours, theirs) == 0) { return true; }
    return strcmp(ours, "INTEGER") == 0 && strcmp(theirs, "NUMERIC") == 0;
}

/* Index of the sink's column of that name (SQLite ignores the case of ASCII letters), the version behind the others,
 * -1. */
static int column_find(const struct tg_sqlite_table *table, const char *name)
{
    for (uint32_t i = 0; i < table->schema->column_count; i++) {
        if (sqlite3_stricmp(table->schema->columns[i].name, name) == 0) { return (int)i; }
    }
    return sqlite3_stricmp(name, "_version") == 0 ? (int)table->schema->column_count : -1;
}

/* "name TYPE key, ..." of the sink. */
static void ours_write(struct tg_writer *list, const struct tg_sqlite_table *table)
{
    for (uint32_t i = 0; i <= table->schema->column_count; i++) {
        const bool is_version = i == table->schema->column_count;
        if (i != 0) { tg_write_bytes(list, ", ", 2); }
        tg_write_cstr(list, is_version ? "_version" : table->schema->columns[i].name);
        tg_write_bytes(list, " ", 1);
        tg_write_cstr(list, is_version ? "INTEGER" : affinity_of(table->schema->columns[i].type));
        if (is_key(table, i)) { tg_write_cstr(list, " key"); }
    }
}

/* Go through the columns of the existing table: list them and see whether all of them are ours. */
static bool theirs_match(const struct tg_sqlite_table *table, sqlite3_stmt *info, struct tg_writer *list,
                         uint32_t *count)
{
    bool match = true;
    for (*count = 0; sqlite3_step(info) == SQLITE_ROW; (*count)++) {
        const char *name = (const char *)sqlite3_column_text(info, 0);
        const char *declared = (const char *)sqlite3_column_text(info, 1);
        const bool theirs_key = sqlite3_column_int(info, 2) != 0;
        if (*count != 0) { tg_write_bytes(list, ", ", 2); }
        tg_write_cstr(list, name);
        tg_write_bytes(list, " ", 1);
        tg_write_cstr(list, declared != NULL ? declared : "");
        if (theirs_key) { tg_write_cstr(list, " key"); }
        const int column = column_find(table, name);
        if (column < 0 || theirs_key != is_key(table, (uint32_t)column)) {
            match = false;
            continue;
        }
        const bool is_version = (uint32_t)column == table->schema->column_count;
        const char *ours = is_version ? "INTEGER" : affinity_of(table->schema->columns[column].type);
        match = match && affinity_fits(ours, declared_affinity(declared != NULL ? declared : ""));
    }
    return match && *count == table->schema->column_count + 1;
}

tg_status tg_sqlite_table_compare(const struct tg_sqlite_table *table, sqlite3 *connection, bool *exists,
                                  struct tg_error *err)
{
    enum { LIST_BYTES = 384 }; /* two of them and the words around them fit an error's text */
    char theirs_text[LIST_BYTES + 1];
    char ours_text[LIST_BYTES + 1];
    struct tg_writer theirs = {.data = theirs_text, .capacity = LIST_BYTES};
    struct tg_writer ours = {.data = ours_text, .capacity = LIST_BYTES};
    sqlite3_stmt *info = NULL;
    if (sqlite3_prepare_v2(connection, "SELECT name, type, pk FROM pragma_table_info(?1)", -1, &info,
                           NULL) != SQLITE_OK ||
        sqlite3_bind_text(info, 1, table->name, -1, SQLITE_STATIC) != SQLITE_OK) {
        (void)sqlite3_finalize(info);
        return tg_fail(err, TG1503, 0, "sink %s: read the columns of %s in %s: %s", table->sink_name, table->name,
                       table->path,
                       sqlite3_errmsg(connection));
    }
    uint32_t count = 0;
    const bool match = theirs_match(table, info, &theirs, &count);
    const int outcome = sqlite3_finalize(info);
    if (outcome != SQLITE_OK) {
        return tg_fail(err, TG1503, 0, "sink %s: read the columns of %s in %s: %s", table->sink_name, table->name,
                       table->path,
                       sqlite3_errstr(outcome));
    }
    *exists = count != 0;
    if (count == 0 || match) { return TG_OK; }
    ours_write(&ours, table);
    theirs_text[theirs.used] = '\0';
    ours_text[ours.used] = '\0';
    return tg_fail(err, TG1504, 0,
                   "sink %s: table %s in %s exists with other columns\n  there:  %s%s\n  sink:   %s%s\n"
                   "Drop or rename that table, or give the sink another `table` or `path`.",
                   table->sink_name, table->name, table->path, theirs_text, theirs.overflow ? " ..." : "", ours_text,
                   ours.overflow ? " ..." : "");
}
