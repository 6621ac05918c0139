/* A sink that takes its time: what the simulator puts in front of a job's sinks so that rows have to wait. */
#ifndef TG_ENGINE_SIM_SLOW_SINK_H
#define TG_ENGINE_SIM_SLOW_SINK_H

#include "engine/job.h"

/* Every sink of the job, side outputs too, from now on refuses most offers and takes at most `rows_max` rows of the
 * others; `seed` chooses which. One job at a time.  @setup */
void tg_slow_sink_put_before(struct tg_job *job, uint32_t rows_max, uint64_t seed);

#endif
