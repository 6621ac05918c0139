/* The files a file source reads: either one file, or a folder of p0.jsonl, p1.jsonl, ... where file n is partition
 * n. */
#ifndef TG_IO_FILE_FOLDER_H
#define TG_IO_FILE_FOLDER_H

#include "base/status.h"

enum { TG_FOLDER_PATH_BYTES = 4352 }; /* PATH_MAX and a file name */

/* How many partitions `path` holds. Every file is opened once, so that a file nobody may read is found before the run.
 * Errors: TG1501 with what is missing and where to put it.  @setup */
TG_MUST_USE tg_status tg_folder_count(const char *path, const char *source_name, uint32_t *partition_count,
                                      struct tg_error *err);

/* Open the file of `partition` for reading; fd or -errno. Blocks.  @any */
TG_MUST_USE int tg_folder_open(const char *path, uint32_t partition);

/* The name of that file, as messages show it; returns `out`.  @any */
const char *tg_folder_name(const char *path, uint32_t partition, char out[TG_FOLDER_PATH_BYTES]);

#endif
