/* Inside the verb `checkpoint`: printing the entries of one, and making one the newest. */
#ifndef TG_TOOLS_CHECKPOINT_H
#define TG_TOOLS_CHECKPOINT_H

#include <stdio.h>

#include "engine/job.h"
#include "engine/recovery.h"

/* Print the manifest's positions, clocks and counts, then every record, as JSON lines, in the order of the files;
 * `resolved`: only each key's newest value, no removals. Errors as tg_recovery_verify, TG1601.  @setup */
TG_MUST_USE tg_status tg_checkpoint_dump(const struct tg_store *store, const struct tg_manifest *manifest,
                                         bool resolved, FILE *out, struct tg_error *err);

struct tg_checkpoint_restoring {
    const struct tg_job *job;
    const char *from; /* directory it is in */
    const char *to;   /* the job's */
    uint64_t epoch;   /* 0 = the newest of `from` */
    bool accept_duplicates;
};
/* Make a checkpoint the one that the next start loads, and say so; returns the exit code.  @setup */
int tg_checkpoint_restore(const struct tg_checkpoint_restoring *wanted);

#endif
