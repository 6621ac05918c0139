/* One-writer counters: the owner adds with plain-cost relaxed stores, any thread may read. */
#ifndef TG_BASE_COUNTERS_H
#define TG_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

struct tg_counter {
    _Atomic uint64_t value;
};
struct tg_gauge {
    _Atomic int64_t value;
};

/* Add; only the owner calls it, so load and store need not be one atomic step.  @shard */
static inline void tg_counter_add(struct tg_counter *counter, uint64_t n)
{
    atomic_store_explicit(&counter->value, atomic_load_explicit(&counter->value, memory_order_relaxed) + n,
                          memory_order_relaxed);
}
/* @any */
static inline uint64_t tg_counter_read(const struct tg_counter *counter)
{
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}
/* @shard */
static inline void tg_gauge_set(struct tg_gauge *gauge, int64_t value)
{
    atomic_store_explicit(&gauge->value, value, memory_order_relaxed);
}
/* @any */
static inline int64_t tg_gauge_read(const struct tg_gauge *gauge)
{
    return atomic_load_explicit(&gauge->value, memory_order_relaxed);
}

#endif
