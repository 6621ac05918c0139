/* A job's checkpoint directory: its lock, its files, and the order of syncs that makes a checkpoint complete.
 *
 *   LOCK               flock for the life of the process; holds "pid 4711"
 *   GENERATION-<g>     one per start, created exclusively; who finds a higher one than its own has been replaced
 *   e<N>/s<k>.base|delta   state of shard k in epoch N
 *   MANIFEST-<N>       its appearance under this name is the decision that checkpoint N is complete
 *   ACK-<N>            output of N is committed; "committed <count of committables>"
 *   RESTORING          a checkpoint is being copied here, or was when the process died; empty
 *
 * Manifests are opaque here. Everything blocks: what changes the directory is for the checkpoints' helper, one call at
 * a time, or for set-up; what only looks is for anybody. After an error of a write or a sync nothing of that epoch may
 * be trusted: pages the kernel failed to write are marked clean, so a second fsync would lie. The file is closed and
 * removed, the epoch is to be aborted, and whoever wants its content writes a new one from memory. All system calls go
 * through io/file_ops.h. */
#ifndef TG_IO_CHECKPOINT_STORE_H
#define TG_IO_CHECKPOINT_STORE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/status.h"

enum {
    TG_STORE_PATH_BYTES = 2048,     /* of the directory */
    TG_STORE_NAME_BYTES = 64,       /* of a file below it */
    TG_STORE_LIST_MAX = 4096,       /* entries of one kind in the directory */
    TG_STORE_ARENA_BYTES = 1 << 20, /* for a listing */
    TG_STORE_MANIFEST_BYTES_MAX = 64 << 20,
    TG_STORE_BUFFER_BYTES = 1 << 20, /* one write to the device */
    TG_STORE_BUFFER_ALIGN = 4096,    /* of its address, and of what is written directly: no device has larger sectors */
};

/* A state file being written. With a buffer it goes past the page cache (O_DIRECT), where the file system can: nobody
 * reads it soon, and the kernel's copy into pages that it must find first costs more than all else of a checkpoint. */
struct tg_store_file {
    uint8_t *buffer; /* [TG_STORE_BUFFER_BYTES] aligned, lent for as long as files are made with it; NULL = written as
                        it is appended */
    char name[TG_STORE_NAME_BYTES]; /* "e12/s0.base" */
    int fd;                         /* -1 = closed: finished or dead */
    bool direct;                    /* its descriptor takes whole blocks only */
    uint32_t held;                  /* bytes in `buffer`, not written yet */
    uint64_t bytes;                 /* appended so far */
};

struct tg_store {
    char path[TG_STORE_PATH_BYTES];
    bool read_only;
    int lock_fd;
    uint64_t generation; /* ours; 0 when read only */
};

struct tg_store_config {
    const char *path;
    bool read_only; /* for looking: no lock, nothing is created; the directory may change meanwhile */
    int64_t pid;    /* written into LOCK for people */
};

/* Create the directory where needed, take the lock, claim the next generation. Errors: TG1604 in use (with the pid when
 * LOCK tells it), TG1510, TG1511 (read only: no such directory).  @setup */
TG_MUST_USE tg_status tg_store_open(struct tg_store *store, const struct tg_store_config *config, struct tg_error *err);
/* Gives the lock back. Also legal after a failed open.  @setup */
void tg_store_close(struct tg_store *store);
/* Has nobody claimed a higher generation? Everything below that writes or removes asks this first (but what stays
 * within an epoch's folder); whoever changes something outside for a checkpoint asks, too. Between the answer and the
 * change there is a moment in which another process may still start. Errors: TG1521, TG1511.  @any */
TG_MUST_USE tg_status tg_store_still_ours(const struct tg_store *store, struct tg_error *err);

/* ---- writing checkpoint N, in this order ------------------------------------------------------------------------- */

/* mkdir e<N>. N must be larger than any number in use (tg_store_list). Errors: TG1510, TG1511, TG1521.  @helper */
TG_MUST_USE tg_status tg_store_epoch_begin(struct tg_store *store, uint64_t epoch, struct tg_error *err);
/* Create e<N>/s<shard>.base (or .delta); it must not exist. Of `file` only the buffer is read.  @helper */
TG_MUST_USE tg_status tg_store_file_create(struct tg_store *store, uint64_t epoch, uint32_t shard, bool base,
                                           struct tg_store_file *file, struct tg_error *err);
/* The device is slower than what comes: what follows goes to the page cache, which takes it at once while it has room.
 * Nothing to do where it does so already. On any error the file is closed and removed.  @helper */
TG_MUST_USE tg_status tg_store_file_use_cache(struct tg_store *store, struct tg_store_file *file, struct tg_error *err);
/* Append all of data[bytes], perhaps not before `finish`. On any error the file is closed and removed.  @helper */
TG_MUST_USE tg_status tg_store_file_append(struct tg_store *store, struct tg_store_file *file, const void *data,
                                           size_t bytes, struct tg_error *err);
/* Write what the buffer holds, fdatasync and close. On any error the file is removed, as above.  @helper */
TG_MUST_USE tg_status tg_store_file_finish(struct tg_store *store, struct tg_store_file *file, struct tg_error *err);
/* Close and remove a file that is not finished; nothing to do when it is closed.  @helper */
void tg_store_file_drop(struct tg_store *store, struct tg_store_file *file);
/* fsync of e<N> and of the directory that names it: after this the files' names are durable, too.  @helper */
TG_MUST_USE tg_status tg_store_epoch_sync(struct tg_store *store, uint64_t epoch, struct tg_error *err);
/* The decision: MANIFEST-<N>.tmp, fdatasync, rename to MANIFEST-<N>, fsync of the directory. An error before the rename
 * means: not complete, abort the epoch. An error of the last fsync (*decided is true then) means: it may be complete or
 * not; do not abort, do not commit output, stop and let recovery find out. Errors: TG1510, TG1511, TG1521.  @helper */
TG_MUST_USE tg_status tg_store_publish(struct tg_store *store, uint64_t epoch, const void *manifest, size_t bytes,
                                       bool *decided, struct tg_error *err);
/* Output of N is committed: ACK-<N>. May be lost in a crash, commits are repeated then. Errors: TG1510, TG1511, TG1521.
 * @helper */
TG_MUST_USE tg_status tg_store_acknowledge(struct tg_store *store, uint64_t epoch, uint32_t committed,
                                           struct tg_error *err);
/* Remove e<N> with everything in it, and MANIFEST-<N>.tmp: an aborted epoch. Best effort: what stays is removed at the
 * next start. Nothing when somebody claimed a higher generation: it is theirs.  @helper */
void tg_store_epoch_abort(struct tg_store *store, uint64_t epoch);

/* ---- around it, when N is a copy of another checkpoint ----------------------------------------------------------- */

/* A restore begins: where no checkpoint is, RESTORING says so, durably. Until that is gone the directory is not a fresh
 * one. Errors: TG1510, TG1511, TG1521.  @setup */
TG_MUST_USE tg_status tg_store_restore_begin(struct tg_store *store, struct tg_error *err);
/* The copy is durable. Best effort: what stays is removed by a sweep.  @setup */
void tg_store_restore_end(struct tg_store *store);

/* ---- looking ----------------------------------------------------------------------------------------------------- */

struct tg_store_manifest {
    uint64_t epoch;
    bool acknowledged; /* ACK-<N> is there */
};
struct tg_store_listing {
    uint32_t manifest_count;
    /* Newest first. Among them, before all others, are checkpoints whose manifest is gone: an ACK-<N> above every
     * manifest tells of them, because removals leave none. Reading one says TG1512. */
    struct tg_store_manifest *manifests;
    uint32_t epoch_count;
    uint64_t *epochs; /* numbers of the folders e<N>, newest first */
    uint32_t ack_count;
    uint64_t *acks; /* numbers of all ACK-<N>, newest first */
    uint32_t leftover_count;
    const char **leftovers; /* *.tmp, RESTORING */
    uint64_t newest;        /* largest number in use, complete or not; 0 = none */
    uint64_t generation;    /* largest claimed */
    bool restoring;         /* a restore was begun and has not ended */
};
/* What is in the directory; names that are none of ours are ignored. Memory from `arena` (TG_STORE_ARENA_BYTES).
 * Errors: TG1511.  @any */
TG_MUST_USE tg_status tg_store_list(const struct tg_store *store, struct tg_arena *arena, struct tg_store_listing *out,
                                    struct tg_error *err);
/* All bytes of MANIFEST-<N>, in `arena`. Errors: TG1511, TG1512 when it is longer than any manifest.  @any */
TG_MUST_USE tg_status tg_store_read_manifest(const struct tg_store *store, uint64_t epoch, struct tg_arena *arena,
                                             const uint8_t **data, size_t *bytes, struct tg_error *err);
enum tg_store_ack {
    TG_STORE_ACK_NONE,      /* there is no ACK-<N> */
    TG_STORE_ACK_EMPTY,     /* nothing had to be committed */
    TG_STORE_ACK_COMMITTED, /* all that had to be was committed */
    TG_STORE_ACK_UNREADABLE,
};
/* What ACK-<N> says.  @any */
enum tg_store_ack tg_store_acknowledged(const struct tg_store *store, uint64_t epoch);

/* A state file being read. */
struct tg_store_reading {
    const struct tg_store *store;
    char name[TG_STORE_NAME_BYTES];
    int fd;
    uint64_t bytes;
};
/* Open e<N>/s<shard>.base (or .delta). Errors: TG1511; TG1512 when it is not there.  @any */
TG_MUST_USE tg_status tg_store_reading_open(const struct tg_store *store, uint64_t epoch, uint32_t shard, bool base,
                                            struct tg_store_reading *out, struct tg_error *err);
/* Fill data[bytes] from byte `at`: `self` is the reading (it fits struct tg_state_input). Errors: TG1511, TG1512 when
 * the file is shorter.  @any */
TG_MUST_USE tg_status tg_store_reading_read(void *self, uint64_t at, void *data, size_t bytes, struct tg_error *err);
void tg_store_reading_close(struct tg_store_reading *reading);

/* ---- removing ---------------------------------------------------------------------------------------------------- */

/* What stays; everything else of ours goes, except LOCK and our GENERATION. */
struct tg_store_keep {
    uint32_t manifest_count;
    const uint64_t *manifests; /* MANIFEST-<N> and ACK-<N> */
    uint32_t epoch_count;
    const uint64_t *epochs; /* folders e<N> */
};
/* Remove manifests first, make that durable, then acknowledgements, folders and leftovers, so that no crash leaves a
 * manifest whose files are gone. Where no manifest stays acknowledgements go before them, so that no crash leaves one
 * above all manifests. Stops at the first error; calling again goes on. Errors: TG1510, TG1511,
 * TG1521.  @helper */
TG_MUST_USE tg_status tg_store_sweep(struct tg_store *store, const struct tg_store_keep *keep, struct tg_error *err);

/* Write "e12/s0.base" into out.  @any */
void tg_store_file_name(uint64_t epoch, uint32_t shard, bool base, char out[TG_STORE_NAME_BYTES]);

#endif
