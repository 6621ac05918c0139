/* One life of the engine in the simulated world: from its start to its end, its failure or its death. */
#ifndef TG_ENGINE_SIM_LIFE_H
#define TG_ENGINE_SIM_LIFE_H

#include "engine/sim/chaos.h"

struct tg_sim_life {
    const struct tg_sim_options *options;
    struct tg_sim_chaos *chaos; /* and with it the world */
    const struct tg_job *job;
    const uint32_t *partitions; /* of each source */
    struct tg_prng *prng;       /* the schedule */
    const struct tg_tick_watch *tick_watch;
    bool fresh;                 /* begins from nothing; false: from the newest checkpoint, where there is one */
    uint64_t steps_max;         /* dies then; UINT64_MAX = not before its time */
    uint64_t visits_max;        /* dies at this visit of any failpoint, in the middle of what it does; likewise */
};

enum tg_sim_end {
    TG_SIM_ENDED,  /* everything is processed and flushed */
    TG_SIM_DIED,   /* as asked; the world is as the crash left it */
    TG_SIM_FAILED, /* *err says why */
};

/* Live it. outcome->steps and what belongs to it grow.  @setup */
TG_MUST_USE enum tg_sim_end tg_sim_life_run(const struct tg_sim_life *life, struct tg_sim_outcome *outcome,
                                            struct tg_error *err);

#endif
