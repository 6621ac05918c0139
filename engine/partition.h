/* The clock of a source partition: wm_p = max(ts of its records so far) - B, judged and moved row by row on the shard
 * that owns the partition, raised when the partition is idle, and published for the other shards. */
#ifndef TG_ENGINE_PARTITION_H
#define TG_ENGINE_PARTITION_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/types.h"
#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/ticks.h"
#include "engine/job.h"

/* What other shards may read of a partition; written by its owner only. */
struct tg_published {
    _Atomic int64_t wm;
    _Atomic uint32_t idle; /* 1 = silent at the broker's end, or ended */
};

/* A raise that is due. It acts at once, or when its tick is durable. */
struct tg_raise {
    int64_t wm;
    int64_t offset;    /* of the record that will be judged next */
    int64_t wall_us;   /* when it became due */
    uint64_t quiet_ns; /* of the partition, when it became due */
    bool follows;      /* a busy partition, not the wall clock */
};

struct tg_partition {
    int64_t max_ts;      /* of accepted records; TG_TS_MIN = none yet */
    int64_t wm;          /* max_ts - B, raised by idleness; TG_TS_MIN = none yet, TG_TS_MAX = ended */
    int64_t next_offset; /* one past the last record taken in; -1 = none */
    bool at_end;         /* the source said so, and nothing came since */
    bool ended;
    bool has_valid;
    uint64_t quiet_ns;     /* time at the end without our own back-pressure */
    int64_t idle_base_wm;  /* wm when it fell silent, or when a busy partition last took it along */
    uint64_t idle_base_ns; /* quiet_ns at that moment */
    uint64_t last_raise_ns;
    bool stirred; /* its log grew behind the reported end, and nothing came of that so far */
    bool resumed; /* it was at the end before the restart: silence goes on from there unless something comes */
    enum {
        TG_TICK_NONE,
        TG_TICK_ORDERED,
        TG_TICK_DURABLE
    } tick; /* of `raise`: no record is judged while it is ORDERED */
    struct tg_raise raise;
    int64_t replay_offset;        /* of the next tick that acts again; INT64_MAX = none */
    const struct tg_tick *replay; /* [replay_count] those that are left */
    uint32_t replay_count;
    /* Since the job's birth, as in the manifest: every record ends in one of them. */
    uint64_t records, dead, late, late_in_part, duplicates, accepted;
    struct tg_published *published;
};

/* No record yet, no clock; published at once.  @shard */
void tg_partition_init(struct tg_partition *partition, struct tg_published *published);

/* An accepted record's ts moves the clock.  @shard */
static inline void tg_partition_accept(struct tg_partition *partition, int64_t ts, tg_us delay)
{
    partition->has_valid = true;
    if (ts <= partition->max_ts) { return; }
    partition->max_ts = ts;
    const int64_t wm = ts < TG_TS_MIN + 1 + delay ? TG_TS_MIN + 1 : ts - delay;
    if (wm > partition->wm) { partition->wm = wm; }
}
/* Records arrived, or the source reported its end.  @shard */
void tg_partition_arrived(struct tg_partition *partition);
void tg_partition_reached_end(struct tg_partition *partition);
/* The source knows of something behind the end it reported. That may be records, which arrive, or nothing for us, of
 * which no more is heard: the silence begins anew, and must last even where it would count at once.  @shard */
void tg_partition_stirred(struct tg_partition *partition);
/* Let the others see wm and idleness; what they see of the latter.  @shard */
void tg_partition_publish(const struct tg_partition *partition, bool idle);
bool tg_partition_shows_idle(const struct tg_partition *partition);

/* As a checkpoint keeps it, and back; `down_us` is how long nobody was reading since.  @shard */
void tg_partition_save(const struct tg_partition *partition, struct tg_manifest_partition *out);
void tg_partition_restore(struct tg_partition *partition, const struct tg_manifest_partition *saved, tg_us down_us);
/* Ticks that a checkpoint does not hold act again: replay[count] in their order, lent for good.  @shard */
void tg_partition_expect(struct tg_partition *partition, const struct tg_tick *replay, uint32_t count);
/* The next of them acts. `silent`: no record of the partition came behind it, so that its silence goes on from there.
 * @shard */
void tg_partition_replay(struct tg_partition *partition, const struct tg_source_spec *source, bool silent,
                         int64_t wall_us);

/* Every record taken in has come to one end: dead letter, late entry, duplicate, or accepted.  @shard */
static inline bool tg_partition_balances(const struct tg_partition *partition)
{
    return partition->records ==
           partition->dead + partition->late - partition->late_in_part + partition->duplicates + partition->accepted;
}

/* What the idleness rule looks at besides the partition itself. */
struct tg_surroundings {
    struct tg_published *all; /* [all_count] of the whole job, this partition among them */
    uint32_t all_count;
    uint64_t now_ns;
    int64_t wall_us;
};
/* Silence goes on for `elapsed_ns`, without what was spent blocked by our own back-pressure; told every cycle that is
 * not blocked. True when it has lasted long enough for the partition to be idle.  @shard */
bool tg_partition_silent(struct tg_partition *partition, const struct tg_source_spec *source, uint64_t elapsed_ns);
/* Of one that is: true at most once a second, when partition->raise is due.  @shard */
bool tg_partition_raise_due(struct tg_partition *partition, const struct tg_source_spec *source,
                            const struct tg_surroundings *around);
/* The raise that was due acts.  @shard */
void tg_partition_raise(struct tg_partition *partition);

#endif
