/* Checkpoints of a job: shard 0 opens epochs, waits for every shard's part, publishes the manifest (the decision), has
 * sinks commit, cleans up. One is under way at a time. A part that fails, or one that takes too long, spoils the epoch:
 * it is removed, said so, and the job goes on; the next one is complete in itself.
 *
 * Order of epoch N: cuts; sinks acknowledge all rows of epochs <= N; state files durable; manifest durable; commits;
 * acknowledgement; older checkpoints removed. Positions are told to the sources, for their displays only, as soon as
 * the manifest is durable. */
#ifndef TG_ENGINE_CHECKPOINT_CHECKPOINT_H
#define TG_ENGINE_CHECKPOINT_CHECKPOINT_H

#include <stdio.h>

#include "engine/checkpoint/health.h"
#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/recovery.h"
#include "engine/checkpoint/recovery_time.h"
#include "engine/checkpoint/shard.h"
#include "engine/checkpoint/tick_log.h"

struct tg_checkpoint_config {
    const struct tg_plan *plan; /* its job says where, how often and how many */
    bool fresh;                 /* --fresh: what is there is removed */
    bool accept_duplicates;
    uint32_t threads; /* to verify with at the start; 0 = the caller's alone (simulator) */
    struct tg_clock clock;
    int64_t pid;             /* for the directory's lock */
    struct tg_run_id run_id; /* of the job when its life begins with this start, not from a checkpoint */
    bool touched; /* the memory that slices fill is there when they do: no page faults; false: as it is needed */
    uint64_t (*slice_ns)(void); /* what bounds slices where the clock stands still (simulator); NULL = the clock */
};

/* Numbers for people, written by shard 0. */
struct tg_checkpoint_stats {
    _Atomic uint64_t completed;
    _Atomic uint64_t failed;
    _Atomic uint64_t last_ns;      /* duration of the last complete one */
    _Atomic uint64_t last_bytes;   /* of its files */
    _Atomic uint64_t last_entries; /* written in it */
    _Atomic uint64_t align_ns_max; /* longest wait of a shard for its cuts, of all */
    _Atomic uint64_t bytes;        /* of all complete ones' files */
    _Atomic uint64_t entries;      /* written in them */
};

struct tg_checkpoint {
    struct tg_checkpoint_config config;
    struct tg_store store;
    struct tg_helper *helper;
    void *const *shared;   /* [sink_count] what the sinks share: the cluster's */
    struct tg_arena arena; /* layouts, the choice, the list of files */
    struct tg_job_tables tables;
    struct tg_recovery_choice choice;             /* what the start found */
    struct tg_restore_progress progress;          /* of verifying, then of loading */
    uint64_t begin_ns;                            /* when the start began to look for one */
    uint64_t verify_ns;                           /* how long choosing it took, every byte read */
    char (*identities)[TG_SOURCE_IDENTITY_BYTES]; /* [source_count] of the logs the sources read */
    int64_t replay;                               /* records behind the chosen checkpoint; -1 = nobody knows */
    struct tg_tick_log ticks;
    struct tg_run_id run_id;
    int64_t version_base;   /* as the manifest's */
    int64_t job_clock_base; /* as the manifest's */
    uint64_t graph_hash;
    struct tg_checkpoint_shard *parts; /* [shard_count] */
    struct tg_checkpoint_stats stats;
    struct tg_checkpoint_health health;
    struct tg_recovery_time recovery_time;
    _Atomic uint64_t epoch;    /* the one to be made; a shard starts when it sees a new one */
    _Atomic uint64_t unwanted; /* epochs up to this one are given up */
    _Atomic uint64_t over;     /* up to this one all are: committed, or given up */
    _Atomic uint64_t complete; /* newest complete epoch: positions may be told to the sources */
    _Atomic bool final_wanted; /* all input has ended: one last checkpoint, at rest */
    _Atomic bool final_over;   /* it is complete and committed */
    /* shard 0's */
    enum {
        TG_CHECKPOINT_WAITING,
        TG_CHECKPOINT_BEGINNING,
        TG_CHECKPOINT_RUNNING,
        TG_CHECKPOINT_PUBLISHING,
        TG_CHECKPOINT_CLEANING,
        TG_CHECKPOINT_ABORTING,
    } phase;
    uint64_t next_epoch;
    uint64_t next_ns;
    uint64_t started_ns;
    uint64_t started_cpu_ns; /* of the process */
    bool is_final;
    bool decided;
    bool committed;
    uint64_t retry_ns; /* a commit that failed is repeated then */
    struct tg_task task;
    bool task_done;
    tg_status status; /* of the task, with error */
    struct tg_error error;
    struct tg_error fatal; /* the job must stop: nobody knows whether a checkpoint is complete, or it was replaced */
    struct tg_manifest manifest;
    struct tg_arena manifest_arena;
    uint8_t *manifest_bytes;        /* [TG_MANIFEST_BYTES_MAX] */
    struct tg_manifest_file *chain; /* [TG_MANIFEST_CHAIN_MAX x shard_count] by shard */
    uint32_t *chain_counts;         /* [shard_count] */
    struct tg_log_limit log_limit;
};

/* Open the directory, choose what to start from. Errors: the store's and recovery's.  @setup */
TG_MUST_USE tg_status tg_checkpoint_create(struct tg_checkpoint **checkpoint, const struct tg_checkpoint_config *config,
                                           struct tg_error *err);
/* After the workers have closed.  @setup */
void tg_checkpoint_destroy(struct tg_checkpoint *checkpoint);

/* --fresh: remove everything. Errors: TG1514, the store's.  @setup */
TG_MUST_USE tg_status tg_checkpoint_forget(struct tg_checkpoint *checkpoint, struct tg_error *err);
/* For tg_recovery_choose: `self` is the checkpoint. Notes identities, and how much there is to replay. Errors: the
 * sources', TG1601.  @setup */
TG_MUST_USE tg_status tg_checkpoint_ask_sources(void *self, const struct tg_manifest *manifest, struct tg_arena *arena,
                                                struct tg_recovery_source *now, struct tg_error *err);
/* The same where there is no checkpoint: only identities.  @setup */
TG_MUST_USE tg_status tg_checkpoint_ask_first(struct tg_checkpoint *checkpoint, struct tg_error *err);

/* Load a shard's part of the chosen checkpoint: tables, clocks, timers, partitions. Stages and ingests are open and
 * empty. Nothing to do when none was chosen. Errors: TG1512, TG1519, TG1601.  @shard */
TG_MUST_USE tg_status tg_checkpoint_load(struct tg_checkpoint *checkpoint, uint32_t shard, struct tg_error *err);
/* The chosen state of a source's partitions; NULL when the start is fresh, or the job makes no checkpoints (NULL).
 * @setup */
const struct tg_manifest_partition *tg_checkpoint_partitions(const struct tg_checkpoint *checkpoint, uint32_t source);

/* Everything the parts left at their cuts, into checkpoint->manifest, and room for its bytes; all in memory of
 * `arena`. Errors: TG1601.  @shard */
TG_MUST_USE tg_status tg_checkpoint_make_manifest(struct tg_checkpoint *checkpoint, struct tg_arena *arena,
                                                  struct tg_error *err);

/* The chosen checkpoint is of a run that drained its input: there is nothing to go on with. After recommitting. Errors:
 * TG1522.  @setup */
TG_MUST_USE tg_status tg_checkpoint_may_go_on(const struct tg_checkpoint *checkpoint, struct tg_error *err);
/* Does the chosen checkpoint have something of a sink's to commit?  @setup */
bool tg_checkpoint_resumes(const struct tg_checkpoint *checkpoint, uint32_t sink);
/* Was there a checkpoint chosen, and has it nothing of the sink's?  @setup */
bool tg_checkpoint_joins(const struct tg_checkpoint *checkpoint, uint32_t sink);
/* Commit what the chosen checkpoint decided: its run may have died before it did. Again and again with the same
 * outcome. Errors: the sinks', TG1521.  @setup */
TG_MUST_USE tg_status tg_checkpoint_recommit(struct tg_checkpoint *checkpoint, struct tg_error *err);

/* "restored checkpoint 12: 9.80M keys, 640.0MiB, 1.2 s; replaying 3.10M records", once all shards have loaded; the
 * seconds are from looking for a checkpoint to the last key, timers included. Returns out.  @any */
const char *tg_checkpoint_restored_text(const struct tg_checkpoint *checkpoint, char out[TG_RESTORE_TEXT_BYTES]);
/* Tell people what came back, once all shards have loaded, and remember how long it took; nothing when the start was
 * fresh.  @any */
void tg_checkpoint_note_restored(struct tg_checkpoint *checkpoint);
/* How long a start would take, about, if the job died now.  @any */
uint64_t tg_checkpoint_recovery_ns(const struct tg_checkpoint *checkpoint, uint64_t now_ns);

/* What the checkpoints were and cost, as one JSON object; the shards are at rest.  @setup */
void tg_checkpoint_write_json(const struct tg_checkpoint *checkpoint, FILE *out);

/* One step of shard 0's side. Returns a work count.  @shard */
uint32_t tg_checkpoint_poll(struct tg_checkpoint *checkpoint, uint64_t now_ns);

#endif
