/* Bytes by a pace, and CPU time by the number of shards. */
#include "engine/checkpoint/recovery_time.h"

enum { MIB = 1 << 20, MEASURED_MIB_MIN = 16 };
static const uint64_t usual_ns_per_mib = 6000000; /* of one shard; rather too slow than too quick */

static uint64_t get(const _Atomic uint64_t *value) { return atomic_load_explicit(value, memory_order_relaxed); }
static void set(_Atomic uint64_t *value, uint64_t to) { atomic_store_explicit(value, to, memory_order_relaxed); }

void tg_recovery_time_begin(struct tg_recovery_time *time, uint32_t shard_count, uint64_t bytes, uint64_t cpu_ns)
{
    time->shard_count = shard_count;
    set(&time->ns_per_mib, usual_ns_per_mib / shard_count);
    tg_recovery_time_complete(time, bytes, cpu_ns);
}

void tg_recovery_time_loaded(struct tg_recovery_time *time, uint64_t bytes, uint64_t took_ns, uint64_t cpu_ns)
{
    if (bytes >= (uint64_t)MEASURED_MIB_MIN * MIB) { set(&time->ns_per_mib, took_ns / (bytes / MIB)); }
    set(&time->cpu_ns, cpu_ns);
}

void tg_recovery_time_complete(struct tg_recovery_time *time, uint64_t bytes, uint64_t cpu_ns)
{
    set(&time->bytes, bytes);
    set(&time->cpu_ns, cpu_ns);
}

uint64_t tg_recovery_time_ns(const struct tg_recovery_time *time, uint64_t age_ns, uint64_t cpu_ns)
{
    const uint64_t since_ns = get(&time->cpu_ns);
    const uint64_t replay_ns = cpu_ns > since_ns ? (cpu_ns - since_ns) / time->shard_count : 0;
    return get(&time->bytes) / MIB * get(&time->ns_per_mib) + (replay_ns < age_ns ? replay_ns : age_ns);
}
