/* Which checkpoint a start loads: the newest complete one that is whole and belongs to this job. A damaged one is
 * passed over only while that cannot double anything outside, and so is one that was acknowledged and whose manifest is
 * gone; everything else that does not fit is refused with its reason. Also: opening its files one by one, verifying
 * every byte, writing one again as the newest, and what may be deleted. All through a store. */
#ifndef TG_ENGINE_CHECKPOINT_RECOVERY_H
#define TG_ENGINE_CHECKPOINT_RECOVERY_H

#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/progress.h"
#include "engine/checkpoint/sinks.h"
#include "io/checkpoint/store.h"

/* What today's job says about a source. */
struct tg_recovery_source {
    const char *name;
    const char *connector; /* NULL = not compared */
    const char *cluster;   /* the log's identity; "" = unknown or none: not compared */
    const char *topic;
    uint32_t partition_count;
    const int64_t *log_begin; /* [partition_count] first offset the log still has, -1 = unknown; NULL = all unknown */
    const int64_t *log_end;   /* [partition_count] one past its last; likewise */
};
struct tg_recovery_wanted {
    const char *job;
    uint64_t graph_hash;
    uint32_t source_count;
    const struct tg_recovery_source *sources;
    uint32_t sink_count;
    const struct tg_recovery_sink *sinks; /* [sink_count] */
    /* Asks the sources what they hold today, once job, topics and partition counts fit: sets cluster, log_begin and
     * log_end in now[source_count], which begins as `sources`. NULL = `sources` says all there is. Its errors refuse
     * the start. */
    tg_status (*ask)(void *self, const struct tg_manifest *manifest, struct tg_arena *arena,
                     struct tg_recovery_source *now, struct tg_error *err);
    void *ask_self;
    bool transactional;                   /* a sink of today's job commits output with checkpoints */
    bool accept_duplicates;               /* --accept-duplicates */
    uint32_t threads;                     /* to verify with; 0 = the caller's alone */
    struct tg_restore_progress *progress; /* open; verifying tells it how far it is. NULL = nobody waits */
};

enum { TG_RECOVERY_SKIPPED_MAX = 8 };
struct tg_recovery_choice {
    bool found;      /* false: no checkpoint, the job starts fresh */
    uint64_t epoch;  /* the chosen one */
    uint64_t newest; /* largest epoch number in use: the next one is newest + 1 */
    struct tg_manifest manifest;
    uint32_t skipped_count; /* damaged ones passed over, newest first; reasons of the first few are kept */
    struct {
        uint64_t epoch;
        struct tg_error why;
    } skipped[TG_RECOVERY_SKIPPED_MAX];
};

/* Choose, every byte of it verified. The manifest and the listing live in `arena` (TG_RECOVERY_ARENA_BYTES). TG_OK with
 * found = false when no manifest exists, none is missed and no restore has not ended. Errors: TG1511, TG1601, and
 *
 *     TG1512  every checkpoint is damaged
 *     TG1513  the newest is of a newer format
 *     TG1514  of another job
 *     TG1515  of another job graph
 *     TG1516  of another topic, cluster or partition count, of files that were others
 *     TG1517  the log is shorter than the checkpoint
 *     TG1205  the log no longer has what comes next
 *     TG1518  the newest is damaged and its output may be outside: needs --accept-duplicates
 *     TG1524  there is none, and a restore has not ended
 *     TG1525  its rows may be waiting for a sink that is gone, or is of another connector
 *
 * @setup */
#define TG_RECOVERY_ARENA_BYTES ((size_t)1 << 30)
TG_MUST_USE tg_status tg_recovery_choose(const struct tg_store *store, const struct tg_recovery_wanted *wanted,
                                         struct tg_arena *arena, struct tg_recovery_choice *out, struct tg_error *err);

/* Base of the sink versions of steps on the job clock, for the start number `generation` that goes on with `manifest`:
 * their revisions may stand for other rows after a replay, so every start's versions lie above those of all before it,
 * also when the wall clock (microseconds since 1970) was set back.  @any */
int64_t tg_recovery_job_clock_base(const struct tg_manifest *manifest, uint64_t generation, int64_t wall_us);

/* Is nothing of a checkpoint left to commit? `manifest` is its own.  @any */
bool tg_recovery_is_settled(const struct tg_store *store, const struct tg_manifest *manifest);

/* Read and decode one manifest. Errors: TG1511, TG1512, TG1513, TG1601.  @setup */
TG_MUST_USE tg_status tg_recovery_read_manifest(const struct tg_store *store, uint64_t epoch, struct tg_arena *arena,
                                                struct tg_manifest *out, struct tg_error *err);

/* One file of a checkpoint, open for loading; not to be moved meanwhile. */
struct tg_recovery_file {
    struct tg_store_reading reading;
    struct tg_state_reader reader;
};
/* Open manifest->files[index] and check size, header and footer against the manifest and the files before it. Then
 * tg_state_reader_next(&file->reader, ...) gives its records. Errors: TG1511, TG1512, TG1513, TG1601.  @setup */
TG_MUST_USE tg_status tg_recovery_file_open(const struct tg_store *store, const struct tg_manifest *manifest,
                                            uint32_t index, struct tg_recovery_file *file, struct tg_error *err);
/* Also legal after a failed open.  @setup */
void tg_recovery_file_close(struct tg_recovery_file *file);

/* What the checksums do not say of a record: key and value are its layout's, the key's group is the file's. Errors:
 * TG1512.  @setup */
TG_MUST_USE tg_status tg_recovery_record_check(const struct tg_state_reader *reader,
                                               const struct tg_state_record *record, struct tg_error *err);

/* What files hold. */
struct tg_recovery_totals {
    uint64_t puts;
    uint64_t deletes;
    uint64_t bytes;
};
/* Read every byte of every file of the chain, every value against its layout, every key against its group, with up to
 * `threads` threads (1 to TG_SHARDS_MAX, the caller's among them, which polls `progress` meanwhile; NULL = none). The
 * first error in the order of the files, as above, names file and byte.  @setup */
TG_MUST_USE tg_status tg_recovery_verify(const struct tg_store *store, const struct tg_manifest *manifest,
                                         uint32_t threads, struct tg_restore_progress *progress,
                                         struct tg_recovery_totals *totals, struct tg_error *err);

/* Write a checkpoint again as `epoch` of `to`, larger than any number in use there, so that the next start loads it.
 * Every record is checked on the way, *totals as by tg_recovery_verify. `from` and `to` may be one directory; else the
 * run's ticks are brought along, durable before the checkpoint is. It is there whole or not at all. Errors: TG1510,
 * TG1511, TG1512, TG1513, TG1519, TG1521, TG1601.  @setup */
TG_MUST_USE tg_status tg_recovery_copy(const struct tg_store *from, const struct tg_manifest *manifest,
                                       struct tg_store *to, uint64_t epoch, struct tg_recovery_totals *totals,
                                       struct tg_error *err);

/* Remove what no start can need: keeps the newest `keep` (at least 3) checkpoints with their chains, and more until one
 * of them has nothing left to commit or is acknowledged; of the logs of ticks that came by restores, those of runs that
 * a kept checkpoint is of. While a manifest at or above the oldest kept one is unreadable or gone only leftovers above
 * every manifest go, and no log. Never while an epoch is being written. Errors: TG1510, TG1511, TG1521.  @helper */
TG_MUST_USE tg_status tg_recovery_collect(struct tg_store *store, uint32_t keep, struct tg_error *err);

#endif
