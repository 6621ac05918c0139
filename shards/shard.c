/* The duty cycle and its thread. Time is read once per cycle: the span between two readings is booked as busy when the
 * cycle between them found work and as idle otherwise, so parking needs no clock call of its own. */
#include "shards/shard.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

/* Tell the core that we spin: leaves the pipeline to the other hyperthread and costs some 10 ns. */
static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

void tg_shard_init(struct tg_shard *shard, const struct tg_shard_config *config)
{
    TG_ASSERT(config->park != NULL);
    TG_ASSERT(config->clock.monotonic_ns != NULL);
    TG_ASSERT(config->budget >= 1);
    TG_ASSERT(config->park_ns_max >= 1);
    *shard = (struct tg_shard){.config = *config};
}

void tg_shard_add(struct tg_shard *shard, const char *name, uint32_t (*poll)(void *, uint64_t, uint32_t), void *self)
{
    TG_ASSERT(!shard->started);
    TG_ASSERT(shard->agent_count < TG_AGENTS_MAX);
    TG_ASSERT(poll != NULL);
    shard->agents[shard->agent_count++] = (struct tg_agent){.name = name, .poll = poll, .self = self};
}

uint32_t tg_shard_cycle(struct tg_shard *shard, uint64_t now_ns)
{
    uint32_t work = 0;
    for (uint32_t i = 0; i < shard->agent_count; i++) {
        const struct tg_agent *agent = &shard->agents[i];
        const uint32_t done = agent->poll(agent->self, now_ns, shard->config.budget);
        work = done > UINT32_MAX - work ? UINT32_MAX : work + done;
    }
    tg_counter_add(&shard->cycles, 1);
    return work;
}

/* Nothing to do: spin for a while, because waking a parked thread costs some 20 us, then park. */
static void shard_idle(struct tg_shard *shard, uint64_t now_ns)
{
    const struct tg_shard_config *config = &shard->config;
    if (shard->idle_since_ns == 0) { shard->idle_since_ns = now_ns; }
    if (now_ns - shard->idle_since_ns < config->spin_ns) {
        relax();
        return;
    }
    config->park(config->self, config->park_ns_max);
}

static void shard_run(struct tg_shard *shard)
{
    uint64_t before_ns = tg_clock_now_ns(&shard->config.clock);
    while (!atomic_load_explicit(&shard->done, memory_order_acquire)) {
        const uint64_t now_ns = tg_clock_now_ns(&shard->config.clock);
        /* idle_since_ns still tells whether the span that ends now found work. */
        tg_counter_add(shard->idle_since_ns == 0 ? &shard->busy_ns : &shard->idle_ns, now_ns - before_ns);
        before_ns = now_ns;
        if (tg_shard_cycle(shard, now_ns) != 0) {
            shard->idle_since_ns = 0;
        } else {
            shard_idle(shard, now_ns);
        }
    }
}

static void *shard_main(void *argument)
{
    struct tg_shard *shard = argument;
    const struct tg_shard_config *config = &shard->config;
    char name[16];
    (void)snprintf(name, sizeof name, "shard-%u", config->index);
    (void)pthread_setname_np(pthread_self(), name);
    if (config->start != NULL) {
        const tg_status status = config->start(config->self, &shard->error);
        if (status != TG_OK) {
            shard->error.status = status; /* also when start() gave no text */
            return NULL;
        }
    }
    shard_run(shard);
    if (config->stop != NULL) { config->stop(config->self); }
    return NULL;
}

/* The thread is born on its core, so that its stack and first touches are local to that core's node. */
static int pin_attribute(pthread_attr_t *attributes, int cpu)
{
    if (cpu < 0) { return 0; }
    if (cpu >= CPU_SETSIZE) { return EINVAL; }
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    return pthread_attr_setaffinity_np(attributes, sizeof set, &set);
}

tg_status tg_shard_start(struct tg_shard *shard, struct tg_error *err)
{
    TG_ASSERT(!shard->started);
    pthread_attr_t attributes;
    int failed = pthread_attr_init(&attributes);
    if (failed != 0) { return tg_fail(err, TG1601, failed, "thread of shard %u", shard->config.index); }
    failed = pin_attribute(&attributes, shard->config.cpu);
    shard->started = true; /* before the thread exists: it may look, and tg_shard_add must not run any more */
    if (failed == 0) { failed = pthread_create(&shard->thread, &attributes, shard_main, shard); }
    (void)pthread_attr_destroy(&attributes);
    if (failed != 0) {
        shard->started = false;
        return tg_fail(err, TG1601, failed, "thread of shard %u on core %d", shard->config.index, shard->config.cpu);
    }
    return TG_OK;
}

void tg_shard_finish(struct tg_shard *shard) { atomic_store_explicit(&shard->done, true, memory_order_release); }

tg_status tg_shard_join(struct tg_shard *shard, struct tg_error *err)
{
    if (!shard->started) { return TG_OK; }
    TG_ASSERT(pthread_join(shard->thread, NULL) == 0);
    shard->started = false;
    if (shard->error.status != TG_OK && err != NULL && err->status == TG_OK) { *err = shard->error; }
    return shard->error.status;
}
