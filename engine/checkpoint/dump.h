/* A checkpoint as text: for people, and for programs that judge what it holds. */
#ifndef TG_ENGINE_CHECKPOINT_DUMP_H
#define TG_ENGINE_CHECKPOINT_DUMP_H

#include <stdio.h>

#include "engine/checkpoint/recovery.h"

/* Print the manifest's positions, clocks and counts, then every record, as JSON lines, in the order of the files;
 * `resolved`: only each key's newest value, no removals. Errors as tg_recovery_verify, TG1601.  @setup */
TG_MUST_USE tg_status tg_checkpoint_dump(const struct tg_store *store, const struct tg_manifest *manifest,
                                         bool resolved, FILE *out, struct tg_error *err);

#endif
