/* How long a start would take if the job died now: reading and loading the newest complete checkpoint, then working
 * through what has come since it began. An estimate for people, nothing depends on it: the atomics are each for itself
 * (relaxed). */
#ifndef TG_ENGINE_CHECKPOINT_RECOVERY_TIME_H
#define TG_ENGINE_CHECKPOINT_RECOVERY_TIME_H

#include <stdatomic.h>
#include <stdint.h>

struct tg_recovery_time {
    uint32_t shard_count;
    _Atomic uint64_t ns_per_mib; /* of reading and loading by all shards at once */
    _Atomic uint64_t bytes;      /* of files that a start would read */
    _Atomic uint64_t cpu_ns;     /* process CPU time when the newest complete checkpoint, or the run's work, began */
};

/* A run begins with files of so many bytes to go back to (0 = none) and a pace that other machines had.  @setup */
void tg_recovery_time_begin(struct tg_recovery_time *time, uint32_t shard_count, uint64_t bytes, uint64_t cpu_ns);
/* All shards have loaded, and the run's work begins at that CPU time. So many bytes took so long to read and load on
 * this machine; few of them say nothing.  @any */
void tg_recovery_time_loaded(struct tg_recovery_time *time, uint64_t bytes, uint64_t took_ns, uint64_t cpu_ns);
/* A checkpoint that began at that CPU time is complete; a start would read so many bytes.  @shard */
void tg_recovery_time_complete(struct tg_recovery_time *time, uint64_t bytes, uint64_t cpu_ns);
/* What a start would take at that age of the checkpoint and at that CPU time: what was done since is done again by all
 * shards at once, and takes no longer than it took.  @any */
uint64_t tg_recovery_time_ns(const struct tg_recovery_time *time, uint64_t age_ns, uint64_t cpu_ns);

#endif
