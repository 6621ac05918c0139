/* The simulated world's time. Everything in it that waits, waits for this clock; nothing in it asks the machine. */
#ifndef TG_ENGINE_SIM_WORLD_H
#define TG_ENGINE_SIM_WORLD_H

#include "base/clock.h"
#include "base/prng.h"

struct tg_sim_world {
    uint64_t now_ns;
    int64_t start_us; /* wall time of now_ns 0 */
};

/* Its clock, as the engine sees it.  @setup */
struct tg_clock tg_sim_world_clock(struct tg_sim_world *world);

#endif
