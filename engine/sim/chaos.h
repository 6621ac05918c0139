/* What goes wrong in the world, and when it stops: rates of faults while the run is in its first phase, outages by
 * timetable, and healing. */
#ifndef TG_ENGINE_SIM_CHAOS_H
#define TG_ENGINE_SIM_CHAOS_H

#include "engine/sim/cql_server.h"
#include "engine/sim/log.h"
#include "engine/sim/sim.h"

struct tg_sim_chaos {
    const struct tg_sim_options *options;
    struct tg_sim_world *world;
    struct tg_sim_disk *disk;
    struct tg_sim_log *log;
    struct tg_sim_net *net;
    struct tg_sim_cql *cql;
    struct tg_prng prng;
    uint64_t next_ns;    /* of the timetable */
    uint32_t hosts_down; /* bits */
    bool broker_down;
    bool disk_full;
    bool held; /* healing waits, because crashes are still to come */
    bool healed;
};

/* The faults of the first phase begin; fields up to `cql` are set.  @setup */
void tg_sim_chaos_begin(struct tg_sim_chaos *chaos);
/* Time has passed: outages, or healing.  @shard */
void tg_sim_chaos_step(struct tg_sim_chaos *chaos);
/* The disk is faultless while the process starts, or as faulty as it should be again.  @setup */
void tg_sim_chaos_calm(struct tg_sim_chaos *chaos, bool calm);

#endif
