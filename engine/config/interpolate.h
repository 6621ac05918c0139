/* Variables in scalars: ${VAR} ${VAR:-default} ${VAR:?message} $$ and, for secrets, ${file:PATH}. It works on single
 * values after YAML was parsed, so that a value can never bring structure along. */
#ifndef TG_ENGINE_CONFIG_INTERPOLATE_H
#define TG_ENGINE_CONFIG_INTERPOLATE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/codes.h"

enum { TG_EXPANSION_BYTES_MAX = 65536 };

struct tg_expansion {
    const char *text;  /* in the arena */
    bool unresolved;   /* environment was not asked and the value cannot be known: `text` is as it was written */
    enum tg_code code; /* of a failure: TG1005 variable without value, else TG1004 */
    char what[256];    /* of a failure: what is wrong */
    char hint[256];    /* of a failure: what to do; may be empty */
};

/* Replace the variables of `text`. With `environment` false nothing but defaults is looked up where a variable is
 * unset, and no file is read. `secret` allows ${file:PATH}; the file must not be readable by others, one newline at its
 * end is dropped. False: *out says why; never quotes what a file or variable holds.  @setup */
TG_MUST_USE bool tg_interpolate(struct tg_arena *arena, const char *text, bool environment, bool secret,
                                struct tg_expansion *out);

#endif
