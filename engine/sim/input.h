/* The records of a run: made by seed, left in a real folder for the reference model, on the simulated disk and in the
 * simulated log. */
#ifndef TG_ENGINE_SIM_INPUT_H
#define TG_ENGINE_SIM_INPUT_H

#include "engine/sim/disk.h"
#include "engine/sim/log.h"
#include "engine/sim/sim.h"

#define TG_SIM_TOPIC "user-transaction-topic"

/* dir/in and dir/out are made; p<n>.jsonl below dir/in and, on the disk, below /in; the same lines in the log.
 * Errors: TG1502.  @setup */
TG_MUST_USE tg_status tg_sim_input_make(const struct tg_sim_options *options, const char *dir, struct tg_sim_disk *disk,
                                        struct tg_sim_log *log, struct tg_error *err);

#endif
