/* The files `ticks.log` and `ticks-<run>.log` of a checkpoint directory: bytes that are durable before the call that
 * wrote them returns, and nothing of a write that failed. Whatever changes a file asks first whether the directory is
 * still ours (TG1521). What the bytes mean is engine/checkpoint/ticks.h's business, which file is whose is
 * engine/checkpoint/tick_log.h's. Everything blocks: the calls are for the checkpoints' helper, one at a time, and for
 * set-up. */
#ifndef TG_IO_CHECKPOINT_TICK_FILE_H
#define TG_IO_CHECKPOINT_TICK_FILE_H

#include "io/checkpoint/store.h"

#define TG_TICK_FILE_NAME "ticks.log" /* of the run that was born in the directory */
#define TG_TICK_FILE_PREFIX "ticks-"  /* and a run's id, so many hexadecimal digits: of one that came by a restore */
#define TG_TICK_FILE_SUFFIX ".log"
enum { TG_TICK_FILE_RUN_DIGITS = 32, TG_TICK_FILE_BYTES_MAX = 64 << 20 };

struct tg_tick_file {
    const struct tg_store *store;
    char name[TG_STORE_NAME_BYTES];
    int fd;         /* -1 = there is no file */
    uint64_t bytes; /* durable; the next ones go behind them */
    bool doubtful;  /* a failed write may have left something behind `bytes`: nothing is written until it is cut off */
    bool unnamed; /* a power cut may still bring the file back that had the name before: nothing is written meanwhile */
};

/* All bytes of the file `name`, in `arena`; *data = NULL when there is none. Errors: TG1511, TG1512 when it is longer
 * than any, TG1601.  @setup */
TG_MUST_USE tg_status tg_tick_file_read(const struct tg_store *store, const char *name, struct tg_arena *arena,
                                        const uint8_t **data, size_t *bytes, struct tg_error *err);
/* Nothing of `name` is open or known yet. One that is there is gone on with by replacing it with its own bytes: a sync
 * of it may have failed before its writer died, and another one would not bring to the disk what that one lost.  @setup
 */
void tg_tick_file_begin(struct tg_tick_file *file, const struct tg_store *store, const char *name);
/* Also legal after a failed open.  @setup */
void tg_tick_file_close(struct tg_tick_file *file);

/* data[bytes] behind what is there, durable. After an error nothing of them is there, unless `doubtful` says that this
 * is not known. Errors: TG1510, TG1511, TG1521.  @helper */
TG_MUST_USE tg_status tg_tick_file_append(struct tg_tick_file *file, const void *data, size_t bytes,
                                          struct tg_error *err);
/* The file is data[bytes] from now on, all of it or, after an error, what it was. Errors: TG1510, TG1511,
 * TG1521.  @helper */
TG_MUST_USE tg_status tg_tick_file_replace(struct tg_tick_file *file, const void *data, size_t bytes,
                                           struct tg_error *err);
/* Bring a doubtful or unnamed file in order. Errors: TG1510, TG1511: not yet; TG1521.  @helper */
TG_MUST_USE tg_status tg_tick_file_repair(struct tg_tick_file *file, struct tg_error *err);
/* The first `bytes` of the open file into data. Errors: TG1511.  @helper */
TG_MUST_USE tg_status tg_tick_file_again(const struct tg_tick_file *file, void *data, size_t bytes,
                                         struct tg_error *err);
/* Remove ticks.log, durably; nothing to do when there is none. Errors: TG1510, TG1511, TG1521.  @setup */
TG_MUST_USE tg_status tg_tick_file_remove(const struct tg_store *store, struct tg_error *err);
/* Remove the files of runs with names other than kept[count], and what a crash left of new ones; ticks.log stays. Not
 * durably: one that comes back is removed by the next call. Errors: TG1510, TG1511, TG1521.  @helper */
TG_MUST_USE tg_status tg_tick_file_sweep(const struct tg_store *store, uint32_t count,
                                         const char (*kept)[TG_STORE_NAME_BYTES], struct tg_error *err);

#endif
