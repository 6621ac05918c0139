/* The simulator's disk: file calls (io/file_ops.h) over memory, with a page cache in front of what would survive.
 *
 * A file has bytes that a reader sees and bytes that are durable; between them lie its unsynced writes. A folder has
 * entries that are seen and entries that are durable; between them lie its unsynced changes. fdatasync moves a file's
 * bytes and size over, sync_dir a folder's entries; neither does the other's work: a new file that was synced has
 * no name after a power cut unless its folder was synced too.
 *
 * A power cut keeps what is durable and, drawn by seed, some of the rest, as ext4 and XFS may:
 *   - of a file: any set of the 512-byte sectors of its unsynced writes, or none, or all, or the first ones up to a
 *     torn one, or its new length with zeros. Truncation is an ordered change of metadata: without it nothing behind
 *     it;
 *   - of a folder: a prefix of its changes. A rename is one change: the old state or the new one; over two folders it
 *     happens in both or in neither.
 * When a process dies alone, the cache stays: it loses its descriptors and locks, nothing else. */
#ifndef TG_ENGINE_SIM_DISK_H
#define TG_ENGINE_SIM_DISK_H

#include <stdbool.h>

#include "io/file_ops.h"

struct tg_sim_disk;

/* What becomes of files opened with O_DIRECT. */
enum tg_sim_direct {
    TG_SIM_DIRECT,         /* they take whole blocks of 4 KiB at addresses of that alignment; other writes: EINVAL */
    TG_SIM_DIRECT_REFUSED, /* EINVAL at the open, after creating the file, as Linux does */
    TG_SIM_DIRECT_UNKNOWN, /* the same with EOPNOTSUPP */
    TG_SIM_DIRECT_LARGE,   /* every write is too small: EINVAL */
    TG_SIM_DIRECT_WAYS,
};

/* Shares of calls that fail, parts per million. */
struct tg_sim_disk_faults {
    uint32_t read_ppm;  /* pread: EIO */
    uint32_t write_ppm; /* pwrite, ftruncate: EIO, after some of a write perhaps */
    uint32_t short_ppm; /* pread, pwrite: fewer bytes than asked for */
    uint32_t sync_ppm;  /* fdatasync: EIO, and what was unsynced counts as clean afterwards: only some of it is durable,
                           and syncing again does not help. sync_dir: EIO, nothing happened */
    uint32_t entry_ppm; /* creating open, rename, mkdir, unlink, rmdir: EIO, nothing happened */
};

/* An empty disk; NULL = no memory.  @setup */
struct tg_sim_disk *tg_sim_disk_create(uint64_t seed);
/* @setup */
void tg_sim_disk_destroy(struct tg_sim_disk *disk);
/* Its calls, for tg_file_ops_use.  @setup */
const struct tg_file_ops *tg_sim_disk_ops(const struct tg_sim_disk *disk);

/* From now on.  @setup */
void tg_sim_disk_set_faults(struct tg_sim_disk *disk, const struct tg_sim_disk_faults *faults);
/* TG_SIM_DIRECT unless this says otherwise.  @setup */
void tg_sim_disk_set_direct(struct tg_sim_disk *disk, enum tg_sim_direct direct);
/* All files together may hold so many bytes, a file or folder itself counts 256; UINT64_MAX = no limit. What is there
 * already stays when it is more.  @setup */
void tg_sim_disk_set_budget(struct tg_sim_disk *disk, uint64_t bytes);

/* Say `called` before each call that would change something, the disk's state included: it may freeze the disk. NULL =
 * nobody.  @setup */
void tg_sim_disk_watch(struct tg_sim_disk *disk, void (*called)(void *self), void *self);

/* The process is dead: until the crash below every call fails with EIO and changes nothing, so that its memory can be
 * taken down by the ordinary code.  @setup */
void tg_sim_disk_freeze(struct tg_sim_disk *disk);
enum tg_sim_crash { TG_SIM_KILL, TG_SIM_POWER };
/* All descriptors are gone; after POWER also what was not durable and not drawn. The disk works again.  @setup */
void tg_sim_disk_crash(struct tg_sim_disk *disk, enum tg_sim_crash crash);

/* A durable file of these bytes, folders included; for inputs.  @setup */
TG_MUST_USE int tg_sim_disk_put(struct tg_sim_disk *disk, const char *path, const void *data, size_t bytes);
/* What a reader sees in a file (valid until the next call on the disk), without faults. False = there is none.
 * @setup */
bool tg_sim_disk_get(const struct tg_sim_disk *disk, const char *path, const void **data, size_t *bytes);

/* Somebody looks who is not part of the run: until `end` no call fails by fault, and what calls draw is drawn again
 * afterwards. Only reading, and never twice at a time.  @setup */
void tg_sim_disk_look_begin(struct tg_sim_disk *disk);
void tg_sim_disk_look_end(struct tg_sim_disk *disk);

/* One number for everything that was written and named so far, in its order, whether it lasted or not.  @setup */
uint32_t tg_sim_disk_digest(const struct tg_sim_disk *disk);
/* Calls that were made to fail so far.  @setup */
uint64_t tg_sim_disk_faulted(const struct tg_sim_disk *disk);
/* Assert every invariant (tests).  @setup */
void tg_sim_disk_check(const struct tg_sim_disk *disk);

#endif
