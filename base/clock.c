#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static uint64_t real_monotonic_ns(void *self)
{
    (void)self;
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int64_t real_wall_us(void *self)
{
    (void)self;
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct tg_clock tg_clock_real(void)
{
    return (struct tg_clock){.monotonic_ns = real_monotonic_ns, .wall_us = real_wall_us, .self = NULL};
}

static uint64_t cpu_ns(clockid_t whose)
{
    struct timespec t = {0};
    (void)clock_gettime(whose, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t tg_clock_cpu_ns(void) { return cpu_ns(CLOCK_THREAD_CPUTIME_ID); }
uint64_t tg_clock_process_cpu_ns(void) { return cpu_ns(CLOCK_PROCESS_CPUTIME_ID); }
