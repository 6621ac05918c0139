/* The answer of a file source to `identify`. */
#ifndef TG_IO_FILE_IDENTITY_H
#define TG_IO_FILE_IDENTITY_H

#include "io/source.h"

/* Fill in *log for the files of `path`. The identity has the length and a hash of the first bytes of the first files;
 * the end of a partition is counted no further than the position asked about. Errors: TG1501, TG1601.  @setup */
TG_MUST_USE tg_status tg_file_identify(const char *path, const char *source_name, struct tg_source_log *log,
                                       struct tg_error *err);

#endif
