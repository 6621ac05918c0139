/* What a run leaves for tests to look at besides its output: the checkpoints on the simulated disk, as real folders,
 * and what became of every record. */
#ifndef TG_ENGINE_SIM_EXPORT_H
#define TG_ENGINE_SIM_EXPORT_H

#include "engine/sim/disk.h"
#include "engine/sim/sim.h"

/* Copy the checkpoint directory `from` of the simulated disk to dir/checkpoints/<life>, as a reader sees it now;
 * nothing when it does not exist. Draws nothing: the run goes on as if nobody had looked. Errors: TG1502.  @setup */
TG_MUST_USE tg_status tg_sim_export_checkpoints(const struct tg_sim_disk *disk, const char *from, const char *dir,
                                                uint32_t life, struct tg_error *err);
/* The counts of a run that came to its end, a line for each partition, to dir/out/counts.jsonl. Errors: TG1502.  @setup
 */
TG_MUST_USE tg_status tg_sim_export_counts(const struct tg_sim_outcome *outcome, const char *dir, struct tg_error *err);

#endif
