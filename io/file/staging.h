/* Rows of a file sink until their checkpoint is complete. Every shard writes parts of its own beside the final file,
 * `<path>.part-<shard>-<segment>`, one segment per epoch; a commit appends them to the final file, in the order of the
 * shards, and removes them. So whoever reads the final name sees each row once, and only rows of complete checkpoints.
 *
 * Segment numbers begin with the number of the start, so no name is used twice in the life of a checkpoint directory:
 * an older checkpoint that is gone back to cannot mean another run's part. What cannot be known from names (a copied
 * directory, a part that was damaged) the checksums tell. A committable (committable.h) has the final file's length
 * before the commit, the checksum of its newest bytes and of its path, then number, bytes and checksum of each part. A
 * final file that is shorter or has other newest bytes is not touched, nor is one under another path that nothing
 * tells to be the checkpoint's. A commit is made when the final file has the parts' bytes behind that length. As many
 * of them as are there stay, readers may have seen them; what else is there is cut off, and the parts are appended. A
 * part that is not what the checkpoint says leaves nothing behind. Parts go once the final file has their rows durably.
 * All calls block.
 *
 * Two threads may be at work: one appends and syncs, the other prepares and commits, so that rows flow on while a
 * commit copies and syncs. What is not committed yet lies between two cursors, each written by one of them:
 *
 *     S1  end store-release (append)      pairs with S2  end load-acquire (prepare): the segment is there; its
 *                                         bytes are read once the shard knows that its last block was written
 *     S3  first store-release (commit)    pairs with S4  first load-acquire (append): its place may be used again
 *
 * Checkpoints may fail for hours, so epochs without one may be more than there is room for. Once the shard knows that
 * the checkpoint of the last cut is over, nobody prepares or commits until the next cut: what is not committed is the
 * next checkpoint's, and the newest segment goes on with rows of the current epoch. Only what comes while a checkpoint
 * is under way needs a segment of its own, and waits for its end where there is no room for one.
 *
 *     S5  settled store-release (shard)   pairs with S6  settled load-acquire (append): prepare and commit have read */
#ifndef TG_IO_FILE_STAGING_H
#define TG_IO_FILE_STAGING_H

#include <stdatomic.h>

#include "base/limits.h"
#include "io/file/committable.h"

enum { TG_STAGING_SEGMENTS_MAX = 64 }; /* of one shard, not committed */

/* Parts of one shard. */
struct tg_staging_shard {
    int fd;                        /* of the newest segment, committed or not; -1 = none is open */
    bool torn;                     /* bytes behind the newest segment's may have to be cut off */
    bool dirty;                    /* rows were appended since the newest segment was made durable */
    bool doubtful;                 /* and that failed: what the disk has of it nobody knows */
    struct tg_file_part *segments; /* [TG_STAGING_SEGMENTS_MAX] first to end - 1 are not committed; a ring */
    _Atomic uint64_t first;
    _Atomic uint64_t end;
    _Atomic uint64_t settled; /* segments up to this number are in no checkpoint that is under way */
};

struct tg_staging {
    const char *path; /* final */
    uint32_t path_crc;
    int final_fd;
    int64_t length;    /* of the final file: what is committed */
    uint32_t tail_crc; /* of its newest bytes, as a committable has it */
    bool moved;        /* what is being committed knows the final file under another path */
    char *copy;        /* for commits */
    char *anew;        /* for rows that are written to a new file */
    uint32_t shard_count;
    uint64_t next_segment; /* at the start: no run before this one had it or a larger one */
    struct tg_staging_shard shards[TG_SHARDS_MAX];
};

/* Over a final file that is open for reading and writing; its name and folders are durable after this. `generation` is
 * the number of the start. Errors: TG1502, TG1601.  @setup */
TG_MUST_USE tg_status tg_staging_open(struct tg_staging *staging, const char *path, int final_fd, uint32_t shard_count,
                                      uint64_t generation, struct tg_error *err);
/* Remove parts that nobody will commit: of runs before this one. 0 or -errno.  @setup */
TG_MUST_USE int tg_staging_clean(struct tg_staging *staging);
void tg_staging_close(struct tg_staging *staging);

/* Append data[bytes] to `segment` of a shard, whose number never falls. 0 or -errno; nothing is left of a failed call.
 * -EAGAIN: there is no room for another segment before the checkpoint under way is over.  @helper */
TG_MUST_USE int tg_staging_append(struct tg_staging *staging, uint32_t shard, uint64_t segment, const char *data,
                                  uint32_t bytes);
/* No checkpoint is under way that has segments of the shard, all of which are numbered `segment` or less unless they
 * were begun since the last cut.  @shard */
void tg_staging_settle(struct tg_staging *staging, uint32_t shard, uint64_t segment);
/* Make a shard's newest segment durable. 0 or -errno; the next call then writes the rows to a new file. -EBADMSG: read
 * back they are not what was appended, and are lost to this run.  @helper */
TG_MUST_USE int tg_staging_sync(struct tg_staging *staging, uint32_t shard);
/* The committable of all segments of a shard up to `segment`; out[TG_COMMITTABLE_BYTES_MAX]. Returns its bytes.
 * @helper */
uint32_t tg_staging_prepare(const struct tg_staging *staging, uint32_t shard, uint64_t segment, uint8_t *out);
/* Append what the committables name. Errors: TG1502; TG1525: it cannot be done, and the sink had another path when they
 * were made.  @helper */
TG_MUST_USE tg_status tg_staging_commit(struct tg_staging *staging, const struct tg_committable *list, uint32_t count,
                                        struct tg_error *err);

#endif
