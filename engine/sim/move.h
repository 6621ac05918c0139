/* Between two lives the job moves to another machine: its newest checkpoint is restored into another directory, as
 * `turgo checkpoint restore --from` does it, by somebody who may be killed at it. Then it is done again, or the job is
 * started all the same. */
#ifndef TG_ENGINE_SIM_MOVE_H
#define TG_ENGINE_SIM_MOVE_H

#include "engine/sim/disk.h"
#include "engine/sim/sim.h"

struct tg_sim_move {
    struct tg_sim_disk *disk;
    struct tg_prng *prng;
    const char *from;
    const char *to;     /* a directory that no job has run on */
    uint32_t calls_max; /* dies at one of so many calls that would change the disk, half of the time */
    bool power_only;
};

/* *moved = false: there is no checkpoint to move with. Otherwise `to` is to be used; what it has may be only a part, of
 * which a start must not make anything (TG1524). Errors: those of a restore; `to` is not to be used then.  @setup */
TG_MUST_USE tg_status tg_sim_move_run(const struct tg_sim_move *move, bool *moved, struct tg_error *err);

#endif
