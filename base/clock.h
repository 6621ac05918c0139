/* Time as a seam: real clocks or the simulator's. Monotonic time serves flushing, retries, idleness and measuring;
 * wall time serves "now - B" and log lines. Event time never comes from here. */
#ifndef TG_BASE_CLOCK_H
#define TG_BASE_CLOCK_H

#include <stdint.h>

struct tg_clock {
    uint64_t (*monotonic_ns)(void *self);
    int64_t (*wall_us)(void *self);
    void *self;
};

/* CLOCK_MONOTONIC and CLOCK_REALTIME.  @any */
struct tg_clock tg_clock_real(void);
/* Time the calling thread has run, whatever the clock in use: for measuring, nothing may depend on it.  @any */
uint64_t tg_clock_cpu_ns(void);
/* The same of all threads of the process.  @any */
uint64_t tg_clock_process_cpu_ns(void);

static inline uint64_t tg_clock_now_ns(const struct tg_clock *clock) { return clock->monotonic_ns(clock->self); }
static inline int64_t tg_clock_wall_us(const struct tg_clock *clock) { return clock->wall_us(clock->self); }

#endif
