/* One shard's part of a checkpoint: it asks the shard's ingests and stages for their cuts, writes what its tables were
 * then into one file (blocks go to the I/O helper), has the sinks acknowledge, and reports. A spoiled part never stops
 * the shard: cuts are completed, what was written is thrown away, and the next checkpoint is a base. */
#ifndef TG_ENGINE_CHECKPOINT_SHARD_H
#define TG_ENGINE_CHECKPOINT_SHARD_H

#include <stdatomic.h>

#include "base/histogram.h"
#include "engine/checkpoint/state_layout.h"
#include "engine/ingest.h"
#include "engine/stage.h"
#include "io/checkpoint/store.h"
#include "state/snapshot.h"
#include "state/spool.h"

struct tg_checkpoint;

enum {
    TG_CHECKPOINT_TASKS = 8,         /* blocks on their way to the file */
    TG_CHECKPOINT_BLOCKS = 256,      /* memory of a shard, 1 MiB each */
    TG_CHECKPOINT_BLOCKS_AHEAD = 16, /* the sweep waits for the file beyond this */
    TG_CHECKPOINT_BLOCKS_SLOW = 48,  /* so many more wait than at the cut: the device is slower than the job */
    TG_CHECKPOINT_SLICE_NS = 50000,  /* a slice ends with the step that passes it. Steps are bounded in entries, slots
                                        and bytes, not in time; docs/RELIABILITY.md has what was measured */
};

struct tg_checkpoint_task {
    struct tg_task task; /* first: done() finds the rest */
    struct tg_checkpoint_shard *part;
    struct tg_block *block; /* NULL = none */
    bool past_device;       /* TG_CHECKPOINT_BLOCKS_SLOW when it was submitted */
    bool under_way;
    tg_status status; /* of its run, with error */
    struct tg_error error;
};

struct tg_checkpoint_shard {
    struct tg_checkpoint *checkpoint;
    uint32_t shard;
    /* the shard's */
    struct tg_ctx *stages;
    struct tg_ingest *ingests;
    struct tg_outlet *outlets;
    uint32_t stage_count;
    uint32_t ingest_count;
    uint32_t outlet_count;
    struct tg_spool *spool;
    uint32_t table_count;
    struct tg_snapshot
        *snapshots[TG_STATE_TABLES_MAX]; /* in the order of the file's tables; NULL = not on this shard */
    struct tg_snapshot space[TG_STATE_TABLES_MAX];
    /* the checkpoint under way */
    enum { TG_PART_IDLE, TG_PART_CUTTING, TG_PART_ALIGNED, TG_PART_WRITING, TG_PART_FINISHING } phase;
    uint64_t epoch;
    bool base;
    bool spoiled;
    struct tg_error why;
    struct tg_state_header header;
    struct tg_state_totals totals; /* with file: the helper's while tasks are under way */
    struct tg_store_file file;
    uint8_t *head; /* [TG_STATE_HEADER_BYTES_MAX] the file's first bytes */
    uint32_t head_bytes;
    uint8_t foot[TG_STATE_FOOTER_BYTES];
    struct tg_checkpoint_task tasks[TG_CHECKPOINT_TASKS];
    struct tg_checkpoint_task first; /* create the file, write its header */
    struct tg_checkpoint_task last;  /* footer, fdatasync; or drop */
    uint32_t under_way;
    bool last_done;
    uint32_t waiting_at_cut;    /* blocks, those of keys removed before it among them */
    uint64_t cut_ns;            /* when the last cut of this checkpoint was asked for */
    uint64_t align_ns_max;      /* longest wait from asking to the last cut */
    struct tg_histogram slices; /* of writing: thread CPU time */
    struct tg_histogram pauses; /* the same by the wall clock: with what the machine did to the thread meanwhile */
    uint64_t last_epoch;        /* of the newest file in the chain; 0 = none */
    uint32_t chain_length;      /* deltas behind the base */
    uint64_t base_bytes;
    uint64_t chain_bytes;                    /* of the deltas */
    uint8_t *committables[TG_SINKS_MAX + 2]; /* [TG_COMMITTABLE_BYTES_MAX] of each sink that commits; NULL = does not */
    uint32_t committable_bytes[TG_SINKS_MAX + 2];
    uint64_t told_epoch;  /* whose positions the sources know */
    uint64_t settled;     /* epoch of which the sinks know that it is over */
    uint64_t loaded_keys; /* at the start */
    uint64_t loaded_bytes;
    uint64_t loaded_ns;   /* when that was done */
    uint64_t load_ns;     /* all of it */
    uint64_t load_cpu_ns; /* of it, what the thread ran */
    uint64_t timers_ns;   /* of that, clocks and timers */
    /* for shard 0, valid once `done` says the epoch */
    bool complete;
    struct tg_manifest_file result;
    uint64_t puts;
    _Atomic uint64_t aligned; /* epoch in which every ingest and stage of the shard has cut */
    _Atomic uint64_t done;    /* epoch whose part is over, complete or spoiled */
};

/* Address space.  @setup */
size_t tg_checkpoint_shard_bytes(const struct tg_plan *plan);
/* Track the changes of the shard's tables from now on. Stages and ingests are open. Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_checkpoint_shard_open(struct tg_checkpoint_shard *part, struct tg_arena *arena,
                                               struct tg_error *err);
/* One step. Returns a work count.  @shard */
uint32_t tg_checkpoint_shard_poll(struct tg_checkpoint_shard *part, uint64_t now_ns);

#endif
