/* What a run leaves for tests to look at besides its output: its checkpoints, and what became of every record. */
#ifndef TG_ENGINE_SIM_EXPORT_H
#define TG_ENGINE_SIM_EXPORT_H

#include "engine/sim/disk.h"
#include "engine/sim/sim.h"

struct tg_sim_export {
    struct tg_sim_disk *disk;
    const char *from; /* checkpoint directory on the simulated disk */
    const char *dir;
    uint32_t life;   /* from 1 */
    uint64_t newest; /* checkpoint there was when somebody looked last */
    uint64_t dumped; /* so far */
};

/* Dump the complete checkpoints that are new since the last call, as `turgo checkpoint dump --resolved` prints them, to
 * dir/checkpoints/<life>-<epoch>.jsonl: all until there are many, some of the others. Nothing when there are none; the
 * run goes on as if nobody had looked. Errors: TG1502, and of reading a checkpoint.  @setup */
TG_MUST_USE tg_status tg_sim_export_checkpoints(struct tg_sim_export *state, struct tg_error *err);
/* The counts of a run that came to its end, a line for each partition, to dir/out/counts.jsonl. Errors: TG1502.  @setup
 */
TG_MUST_USE tg_status tg_sim_export_counts(const struct tg_sim_outcome *outcome, const char *dir, struct tg_error *err);

#endif
