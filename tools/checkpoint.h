/* Inside the verb `checkpoint`: printing the entries of one. */
#ifndef TG_TOOLS_CHECKPOINT_H
#define TG_TOOLS_CHECKPOINT_H

#include <stdio.h>

#include "engine/recovery.h"

/* Print every record of the checkpoint as a JSON line, in the order of its files; `resolved`: only each key's newest
 * value, no removals. Errors as tg_recovery_verify, TG1601.  @setup */
TG_MUST_USE tg_status tg_checkpoint_dump(const struct tg_store *store, const struct tg_manifest *manifest,
                                         bool resolved, FILE *out, struct tg_error *err);

#endif
