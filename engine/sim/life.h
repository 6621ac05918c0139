/* One life of the engine in the simulated world: from its start to its end, its failure or its death. */
#ifndef TG_ENGINE_SIM_LIFE_H
#define TG_ENGINE_SIM_LIFE_H

#include "engine/sim/chaos.h"
#include "engine/sim/export.h"
#include "engine/sim/witness.h"

/* Where the count of the steps to a death begins: lives that never have a checkpoint prove little. */
enum tg_sim_from {
    TG_SIM_FROM_START,
    TG_SIM_FROM_BEGUN,    /* the life's first checkpoint has begun */
    TG_SIM_FROM_COMPLETE, /* it is complete */
};

struct tg_sim_life {
    const struct tg_sim_options *options;
    struct tg_sim_chaos *chaos; /* and with it the world */
    struct tg_sim_witness *witness;
    const struct tg_job *job;
    const uint32_t *partitions; /* of each source */
    struct tg_prng *prng;       /* the schedule */
    const struct tg_tick_watch *tick_watch;
    struct tg_sim_export *left; /* told of every checkpoint that is complete; NULL = nobody wants to know */
    uint32_t shards;
    bool fresh; /* begins from nothing; false: from the newest checkpoint, where there is one */
    enum tg_sim_from from;
    uint64_t steps_max;  /* dies then; UINT64_MAX = not before its time */
    uint64_t visits_max; /* dies at this visit of any failpoint, in the middle of what it does; likewise */
    uint64_t calls_max;  /* dies at this call that would change the disk; likewise */
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
