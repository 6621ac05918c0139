/* A shard: a pinned thread that runs a fixed list of agents over and over (its duty cycle) and parks when none of them
 * finds work. It knows nothing of streams: the engine supplies the agents and the way to park. */
#ifndef TG_SHARDS_SHARD_H
#define TG_SHARDS_SHARD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/status.h"

enum { TG_AGENTS_MAX = 64 };

/* One step of work; never blocks. Returns a work count, 0 = nothing to do. `budget` bounds the items of one call. */
struct tg_agent {
    const char *name;
    uint32_t (*poll)(void *self, uint64_t now_ns, uint32_t budget);
    void *self;
};

struct tg_shard_config {
    uint32_t index;
    int cpu; /* -1 = not pinned */
    uint32_t budget;       /* handed to every agent */
    uint64_t spin_ns;      /* idle this long before parking: 20-50 us, 0 with fewer cores than busy threads */
    uint64_t park_ns_max;  /* longest sleep: timers of flushing and retries are polled at least this often */
    struct tg_clock clock;
    /* Called in the shard's thread before the first cycle (open loops, connectors) and after the last one. A failed
     * start ends the shard with that status. */
    tg_status (*start)(void *self, struct tg_error *err);
    void (*stop)(void *self);
    /* Sleep up to timeout_ns or until woken; called by the shard when idle. */
    void (*park)(void *self, uint64_t timeout_ns);
    void *self; /* of start, stop, park */
};

struct tg_shard {
    struct tg_shard_config config;
    struct tg_agent agents[TG_AGENTS_MAX];
    uint32_t agent_count;
    uint64_t idle_since_ns; /* 0 = not idle */
    struct tg_counter busy_ns;
    struct tg_counter idle_ns; /* spinning and parked */
    struct tg_counter cycles;
    pthread_t thread;
    struct tg_error error; /* why start failed; read after join */
    bool started;
    _Atomic bool done; /* set by tg_shard_finish */
};

/* Prepare; agents are added afterwards, before the thread starts.  @setup */
void tg_shard_init(struct tg_shard *shard, const struct tg_shard_config *config);
void tg_shard_add(struct tg_shard *shard, const char *name, uint32_t (*poll)(void *, uint64_t, uint32_t), void *self);

/* One duty cycle over all agents; returns the sum of their work counts. The thread calls it; the simulator does too.
 * @shard */
uint32_t tg_shard_cycle(struct tg_shard *shard, uint64_t now_ns);

/* Start the thread: pin, start(), cycles until tg_shard_finish, stop(). Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_shard_start(struct tg_shard *shard, struct tg_error *err);
/* Ask the thread to end after the cycle in progress; wake it afterwards.  @any */
void tg_shard_finish(struct tg_shard *shard);
/* Wait for the thread; returns the status of start().  @setup */
tg_status tg_shard_join(struct tg_shard *shard, struct tg_error *err);

#endif
