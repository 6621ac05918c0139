/* The database behind the SQLite sink: one connection for all shards, its table, and the writing of blocks of rows in
 * one transaction. Opened and closed at set-up, in between used on the I/O helper only. */
#ifndef TG_IO_SQLITE_DATABASE_H
#define TG_IO_SQLITE_DATABASE_H

#include <sqlite3.h>

#include "base/log.h"
#include "io/row_store.h"
#include "io/sink.h"

enum tg_sqlite_result {
    TG_SQLITE_WRITTEN,
    TG_SQLITE_BUSY,   /* another process writes: try again soon */
    TG_SQLITE_AGAIN,  /* no space, I/O error: try again after a pause */
    TG_SQLITE_FAILED, /* error says why */
};

/* Rows of one shard on their way into the table. The shard fills it, offers it and keeps its hands off until its task
 * has come back. */
struct tg_sqlite_block {
    struct tg_row_entry **entries; /* [count] */
    uint32_t count;
    bool settled; /* the helper has tried to write it; result and error are set */
    enum tg_sqlite_result result;
    struct tg_error error;
};

struct tg_sqlite; /* opaque */

/* Look at an existing database without changing it; one that does not exist yet is fine when it can be created.
 * Errors: TG1503, TG1504.  @setup */
TG_MUST_USE tg_status tg_sqlite_check(const struct tg_sink_env *env, struct tg_error *err);
/* Open, create what is missing, prepare. Errors: TG1503, TG1504, TG1601.  @setup */
TG_MUST_USE tg_status tg_sqlite_open(struct tg_sqlite **database, const struct tg_sink_env *env, struct tg_error *err);
void tg_sqlite_close(struct tg_sqlite *database); /* @setup */

/* Put a block where the next tg_sqlite_write finds it; the shard's task must follow.  @shard */
void tg_sqlite_offer(struct tg_sqlite *database, uint32_t shard, struct tg_sqlite_block *block);
/* Write every offered block, of all shards, in one transaction, and settle them. Runs on the helper.  @any */
void tg_sqlite_write(struct tg_sqlite *database);

#endif
