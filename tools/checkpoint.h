/* Inside the verb `checkpoint`: making one the newest. */
#ifndef TG_TOOLS_CHECKPOINT_H
#define TG_TOOLS_CHECKPOINT_H

#include "engine/checkpoint/recovery.h"
#include "engine/job.h"

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
