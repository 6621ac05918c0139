/* The table behind the SQLite sink, in SQL: its statements, and how it compares with one that exists. */
#ifndef TG_IO_SQLITE_TABLE_H
#define TG_IO_SQLITE_TABLE_H

#include <sqlite3.h>

#include "io/sink.h"

enum { TG_SQLITE_SQL_BYTES = 64 << 10 };

/* What a sink writes to. Borrowed from its env. */
struct tg_sqlite_table {
    const char *sink_name;
    const char *path;
    const char *name;
    const struct tg_schema *schema;
    const uint32_t *key_columns;
    uint32_t key_count;
};

/* Columns of the schema in order, then "_version"; parameter i of every statement is column i - 1, the last one the
 * version.
 * The null-key pair is for rows with a null among their key columns, which no unique index of SQLite sees as equal. */
enum tg_sqlite_statement {
    TG_SQLITE_CREATE,          /* CREATE TABLE IF NOT EXISTS */
    TG_SQLITE_UPSERT,          /* insert, or update when the version is higher */
    TG_SQLITE_UPDATE_NULL_KEY, /* update the row of this key when the version is higher */
    TG_SQLITE_INSERT_NULL_KEY, /* insert unless there is a row of this key */
    TG_SQLITE_STATEMENTS
};

/* SQL text into out[TG_SQLITE_SQL_BYTES]. Errors: TG1503 when names are too long for it.  @setup */
TG_MUST_USE tg_status tg_sqlite_statement_text(const struct tg_sqlite_table *table, enum tg_sqlite_statement statement,
                                               char *out, struct tg_error *err);
/* Compare with the table in the database. *exists = it is there; other columns, types or key are TG1504.  @setup */
TG_MUST_USE tg_status tg_sqlite_table_compare(const struct tg_sqlite_table *table, sqlite3 *connection, bool *exists,
                                              struct tg_error *err);

#endif
