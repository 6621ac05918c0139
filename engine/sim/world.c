#include "engine/sim/world.h"

static uint64_t monotonic_ns(void *self) { return ((const struct tg_sim_world *)self)->now_ns; }

static int64_t wall_us(void *self)
{
    const struct tg_sim_world *world = self;
    return world->start_us + (int64_t)(world->now_ns / 1000);
}

struct tg_clock tg_sim_world_clock(struct tg_sim_world *world)
{
    return (struct tg_clock){.monotonic_ns = monotonic_ns, .wall_us = wall_us, .self = world};
}
