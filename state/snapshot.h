/* Checkpoints of one table while it is being changed. The table's owner says `touch` before it changes an entry; a cut
 * divides time into epochs; entries that changed before the cut are then written a few at a time, each as it was at the
 * cut: if it is to change before its turn comes, it is written first. So nothing is ever copied but into the record
 * that had to be written anyway (the idea of CALC, K. Ren et al., SIGMOD 2016, at the grain of an entry), and an epoch
 * costs what changed in it.
 *
 *   base   every entry            delta   entries changed since the last cut, after the keys removed since then
 *
 * Records come out as blocks in a spool, in an order that only matters so far: of one key a DEL comes before a PUT. */
#ifndef TG_STATE_SNAPSHOT_H
#define TG_STATE_SNAPSHOT_H

#include "state/entry.h"
#include "state/layout.h"
#include "state/spool.h"
#include "state/table.h"

/* In every value at config.mark_offset; all-zero in a fresh one. */
struct tg_mark {
    uint16_t bits;
};

enum { TG_MARK_SAVED = 4 }; /* a file has the entry; beside 1 << parity */

struct tg_snapshot_config {
    struct tg_table *table;
    const struct tg_state_layout *layout; /* offsets are those of the value */
    struct tg_spool *spool;
    uint64_t entry_count_max; /* of the table */
    uint32_t table_index;     /* of the table in the file's header */
    uint32_t mark_offset;     /* of struct tg_mark in the value */
    bool removals_follow;     /* removals follow from the clocks, whoever loads knows: no DEL is written */
};

/* All fields are private. */
struct tg_snapshot {
    struct tg_table *table;
    const struct tg_slots *slots;
    struct tg_state_plan plan;
    struct tg_spool *spool;
    uint32_t table_index;
    uint32_t mark_offset;
    bool removals_follow;
    uint16_t changed;     /* mark bit of the current epoch */
    uint16_t changed_old; /* of the epoch being written */
    enum { TG_SNAPSHOT_IDLE, TG_SNAPSHOT_WRITING_BASE, TG_SNAPSHOT_WRITING_DELTA } phase;
    bool unwanted;                  /* what is being written was aborted: only the marks are still to be cleared */
    bool complete;                  /* the current epoch's changes are all known: a delta is possible */
    struct tg_block *puts;          /* being filled, of the epoch being written */
    struct tg_block *removed;       /* being filled, of the current epoch */
    struct tg_block **removed_full; /* [TG_SNAPSHOT_REMOVED_MAX] full ones of the current epoch */
    uint32_t removed_count;
    uint32_t *lists[2]; /* slots changed, per parity; [list_max] */
    uint32_t list_counts[2];
    uint32_t list_max;
    uint32_t parity;     /* of the current epoch */
    uint32_t sweep_next; /* delta: index into the old list; base: slot */
    uint32_t sweep_end;
    uint64_t written;       /* entries in the epoch being written */
    uint64_t written_bytes; /* of values */
};
enum {
    TG_SNAPSHOT_REMOVED_MAX = 32,      /* blocks of removed keys; beyond them the next epoch is a base */
    TG_SNAPSHOT_STEP_BYTES = 8 * 1024, /* a step ends with the entry that passes it */
    TG_SNAPSHOT_STEP_SLOTS = 256,      /* of a base, looked at in a step: most may be free */
};

/* Address space needed from the arena.  @setup */
size_t tg_snapshot_bytes(uint64_t entry_count_max);
/* The table is as it is; its first epoch is a base. Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_snapshot_init(struct tg_snapshot *snapshot, const struct tg_snapshot_config *config,
                                       struct tg_arena *arena, struct tg_error *err);

/* Every entry is one that files of a chain gave back, and nothing has changed since: the first epoch may be a delta
 * behind that chain.  @setup */
void tg_snapshot_continue(struct tg_snapshot *snapshot);
/* Of an entry that a checkpoint gave back: a file has it.  @setup */
static inline void tg_snapshot_loaded(struct tg_mark *mark) { mark->bits = TG_MARK_SAVED; }

/* What tg_snapshot_touch does the first time in an epoch.  @shard */
void tg_snapshot_touch_first(struct tg_snapshot *snapshot, void *value);
/* Before anything the layout names changes in `value`.  @shard */
static inline void tg_snapshot_touch(struct tg_snapshot *snapshot, void *value)
{
    const struct tg_mark *mark = (const struct tg_mark *)(void *)((uint8_t *)value + snapshot->mark_offset);
    if (__builtin_expect((mark->bits & snapshot->changed) == 0, 0)) { tg_snapshot_touch_first(snapshot, value); }
}
/* After an entry was made.  @shard */
void tg_snapshot_born(struct tg_snapshot *snapshot, void *value);
/* Before an entry is removed, containers still in place.  @shard */
void tg_snapshot_removing(struct tg_snapshot *snapshot, void *value);

/* Can the next epoch be a delta? No after set-up, an abort, or more changes than were kept track of.  @shard */
bool tg_snapshot_has_delta(const struct tg_snapshot *snapshot);
/* Entries changed since the last cut, some perhaps twice.  @shard */
uint64_t tg_snapshot_changed(const struct tg_snapshot *snapshot);
/* Here the epoch ends; write it as a base or a delta. Only while nothing is being written. Constant time, but for the
 * blocks of removed keys, which are closed. When a delta was asked for and is not possible any more, the epoch ends all
 * the same, `unwanted`, as after an abort.  @shard */
void tg_snapshot_cut(struct tg_snapshot *snapshot, bool base);
/* Write entries of the epoch that was cut: no more than `entries`, looking at no more than TG_SNAPSHOT_STEP_SLOTS slots
 * or `entries` of the list, ending with the one that passes TG_SNAPSHOT_STEP_BYTES: some microseconds of work, unless
 * that one has large containers. True when all of it is in closed blocks. Clock and spool are the caller's.  @shard */
TG_MUST_USE bool tg_snapshot_step(struct tg_snapshot *snapshot, uint32_t entries);
/* The epoch being written is not wanted any more, and the next one is a base. Steps go on until they say true: marks
 * are to be cleared. Its closed blocks are the caller's.  @shard */
void tg_snapshot_abort(struct tg_snapshot *snapshot);

#endif
