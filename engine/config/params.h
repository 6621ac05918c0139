/* An operator's parameters: from the job file's texts to the C struct its callbacks get. */
#ifndef TG_ENGINE_CONFIG_PARAMS_H
#define TG_ENGINE_CONFIG_PARAMS_H

#include <stdbool.h>

#include "engine/job.h"

/* Read `text` as a parameter of `kind` (text bigint integer boolean timestamp date numeric duration) into *out, which
 * has that kind's size. Texts are borrowed. numeric has scale 2. False: it is no such value, or no such kind.  @setup
 */
TG_MUST_USE bool tg_param_parse(const char *kind, const char *text, void *out);
/* "a duration such as ..."; NULL for a kind that parameters cannot have.  @any */
const char *tg_param_looks_like(const char *kind);

/* Fill out[op->params->bytes] from the step's values, which a loaded job has checked: every parameter is there and
 * reads. Texts point into the job.  @setup */
void tg_params_build(const struct tg_step_spec *step, void *out);

#endif
