/* The clock of a partition while it is read, while it is silent, and over a restart. */
#include "engine/partition.h"

#include "base/assert.h"

void tg_partition_init(struct tg_partition *partition, struct tg_published *published)
{
    *partition = (struct tg_partition){.max_ts = TG_TS_MIN,
                                       .wm = TG_TS_MIN,
                                       .next_offset = -1,
                                       .idle_base_wm = TG_TS_MIN,
                                       .replay_offset = INT64_MAX,
                                       .published = published};
    tg_partition_publish(partition, false);
}

void tg_partition_publish(const struct tg_partition *partition, bool idle)
{
    atomic_store_explicit(&partition->published->wm, partition->wm, memory_order_relaxed);
    atomic_store_explicit(&partition->published->idle, idle ? 1u : 0u, memory_order_relaxed);
}

bool tg_partition_shows_idle(const struct tg_partition *partition)
{
    return atomic_load_explicit(&partition->published->idle, memory_order_relaxed) != 0;
}

void tg_partition_arrived(struct tg_partition *partition)
{
    partition->at_end = false;
    partition->resumed = false;
    partition->stirred = false;
    partition->quiet_ns = 0;
    tg_partition_publish(partition, false); /* now, not when its records are through: they may have to wait */
}

static void silence_begins(struct tg_partition *partition)
{
    partition->quiet_ns = 0;
    partition->idle_base_wm = partition->wm;
    partition->idle_base_ns = 0;
}

void tg_partition_reached_end(struct tg_partition *partition)
{
    if (!partition->at_end && !partition->resumed) { silence_begins(partition); }
    partition->resumed = false;
    partition->stirred = false;
    partition->at_end = true;
}

void tg_partition_stirred(struct tg_partition *partition)
{
    TG_ASSERT(partition->tick == TG_TICK_NONE); /* a raise that is under way knows how long it was silent */
    silence_begins(partition);
    partition->stirred = true;
    tg_partition_publish(partition, false);
}

/* The smallest wm of the other partitions that are not idle; false when all are. One at the end of time is over,
 * whatever else is published of it: nobody follows it there. */
static bool busy_minimum(const struct tg_surroundings *around, const struct tg_published *own, int64_t *minimum)
{
    bool found = false;
    for (uint32_t i = 0; i < around->all_count; i++) {
        struct tg_published *other = &around->all[i];
        if (other == own || atomic_load_explicit(&other->idle, memory_order_relaxed) != 0) { continue; }
        const int64_t wm = atomic_load_explicit(&other->wm, memory_order_relaxed);
        if (wm == TG_TS_MAX) { continue; }
        *minimum = !found || wm < *minimum ? wm : *minimum;
        found = true;
    }
    return found;
}

bool tg_partition_silent(struct tg_partition *partition, const struct tg_source_spec *source, uint64_t elapsed_ns)
{
    if (partition->ended || !partition->at_end) { return false; }
    partition->quiet_ns += elapsed_ns;
    if (!partition->has_valid && !partition->stirred) { return true; }
    return (int64_t)(partition->quiet_ns / 1000) >= source->idle_after;
}

bool tg_partition_raise_due(struct tg_partition *partition, const struct tg_source_spec *source,
                            const struct tg_surroundings *around)
{
    enum { RAISE_INTERVAL_NS = 1000000000 };
    if (partition->tick != TG_TICK_NONE) { return false; }
    if (partition->last_raise_ns != 0 && around->now_ns - partition->last_raise_ns < RAISE_INTERVAL_NS) {
        return false;
    }
    int64_t target = TG_TS_MIN;
    const bool anyone_busy = busy_minimum(around, partition->published, &target);
    if (!anyone_busy) { /* everybody is silent: event time goes on at the wall clock's rate */
        if (source->idle_clock == TG_IDLE_OFF || partition->idle_base_wm == TG_TS_MIN) { return false; }
        target = partition->idle_base_wm + (int64_t)((partition->quiet_ns - partition->idle_base_ns) / 1000);
        const int64_t limit = around->wall_us - source->watermark_delay;
        target = target > limit ? limit : target;
    }
    if (target <= partition->wm) { return false; }
    partition->raise = (struct tg_raise){
        .wm = target, .wall_us = around->wall_us, .quiet_ns = partition->quiet_ns, .follows = anyone_busy};
    partition->last_raise_ns = around->now_ns;
    return true;
}

void tg_partition_raise(struct tg_partition *partition)
{
    const struct tg_raise *raise = &partition->raise;
    partition->tick = TG_TICK_NONE;
    if (raise->wm <= partition->wm) { return; }
    partition->wm = raise->wm;
    if (raise->follows) { /* should the others fall silent too, time goes on from here */
        partition->idle_base_wm = raise->wm;
        partition->idle_base_ns = raise->quiet_ns;
    }
    tg_partition_publish(partition, true);
}

void tg_partition_expect(struct tg_partition *partition, const struct tg_tick *replay, uint32_t count)
{
    partition->replay = replay;
    partition->replay_count = count;
    partition->replay_offset = count != 0 ? replay[0].offset : INT64_MAX;
}

void tg_partition_replay(struct tg_partition *partition, const struct tg_source_spec *source, bool silent,
                         int64_t wall_us)
{
    const struct tg_tick *tick = partition->replay;
    if (tick->wm > partition->wm) { partition->wm = tick->wm; }
    if (silent) {
        const tg_us since = wall_us > tick->wall_us ? wall_us - tick->wall_us : 0;
        partition->resumed = true;
        partition->idle_base_wm = tick->wm;
        partition->idle_base_ns = (uint64_t)source->idle_after * 1000;
        partition->quiet_ns = partition->idle_base_ns + (uint64_t)since * 1000;
    }
    tg_partition_expect(partition, partition->replay + 1, partition->replay_count - 1);
}

void tg_partition_save(const struct tg_partition *partition, struct tg_manifest_partition *out)
{
    uint32_t flags = 0;
    if (partition->has_valid) { flags |= TG_PARTITION_HAS_VALID; }
    if (partition->at_end) { flags |= TG_PARTITION_AT_END; }
    if (partition->ended) { flags |= TG_PARTITION_ENDED; }
    *out = (struct tg_manifest_partition){
        .next_offset = partition->next_offset,
        .max_ts = partition->max_ts,
        .wm = partition->wm,
        .flags = flags,
        .quiet_ns = partition->quiet_ns,
        .idle_base_wm = partition->idle_base_wm,
        .idle_base_ns = partition->idle_base_ns,
        .records = partition->records,
        .dead = partition->dead,
        .late = partition->late,
        .duplicates = partition->duplicates,
        .accepted = partition->accepted,
        .late_in_part = partition->late_in_part,
    };
}

void tg_partition_restore(struct tg_partition *partition, const struct tg_manifest_partition *saved, tg_us down_us)
{
    partition->next_offset = saved->next_offset;
    partition->max_ts = saved->max_ts;
    partition->wm = saved->wm;
    partition->has_valid = (saved->flags & TG_PARTITION_HAS_VALID) != 0;
    partition->resumed = (saved->flags & TG_PARTITION_AT_END) != 0;
    partition->quiet_ns = saved->quiet_ns + (uint64_t)(down_us > 0 ? down_us : 0) * 1000;
    partition->idle_base_wm = saved->idle_base_wm;
    partition->idle_base_ns = saved->idle_base_ns;
    partition->records = saved->records;
    partition->dead = saved->dead;
    partition->late = saved->late;
    partition->duplicates = saved->duplicates;
    partition->late_in_part = saved->late_in_part;
    /* What balances, as the manifest's own does unless somebody else made it (conservation.h). */
    partition->accepted = saved->records - saved->dead - saved->late + saved->late_in_part - saved->duplicates;
    tg_partition_publish(partition, false);
}
