/* The parameters of a step as its operator's params struct. */
#ifndef TG_ENGINE_PARAMS_H
#define TG_ENGINE_PARAMS_H

#include "engine/job.h"

/* Fill out[op->params->bytes] from the step's texts; the loader has checked names and syntax. Errors: TG1402.  @setup */
TG_MUST_USE tg_status tg_params_build(const struct tg_step_spec *step, void *out, struct tg_error *err);

#endif
