/* Commits of a file sink: is the final file the one that the checkpoint knows, are the parts those that it means, has
 * an earlier try been here? Parts are opened by name: after a restart nobody has them open. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/crc32c.h"
#include "base/failpoint.h"
#include "io/file/parts.h"
#include "io/file/staging.h"
#include "io/file_ops.h"

static const int64_t LENGTH_MAX = INT64_C(1) << 62; /* of a file */

/* All parts of committables that a survey has found right, in the order of a commit. */
struct parts {
    const struct tg_committable *list; /* [count] */
    uint32_t count;
    uint32_t next;  /* committable to be begun */
    uint32_t shard; /* of the part */
    struct tg_file_parts of_shard;
};

static bool parts_next(struct parts *parts, struct tg_file_part *part)
{
    while (!tg_file_parts_next(&parts->of_shard, part)) {
        if (parts->next == parts->count) { return false; }
        parts->shard = parts->next++;
        const struct tg_committable *committable = &parts->list[parts->shard];
        parts->of_shard = committable->bytes == 0 ? (struct tg_file_parts){0} : tg_file_parts_begin(committable);
    }
    return true;
}

/* A call failed, or with `failed` 0: `what` is so. Under another path than the checkpoint's that is likely why. */
static tg_status lost(const struct tg_staging *staging, const char *what, int failed, struct tg_error *err)
{
    if (failed != 0 || !staging->moved) {
        return tg_fail(err, TG1502, -failed, "commit rows to %s: %s", staging->path, what);
    }
    return tg_fail(err, TG1525, 0,
                   "commit rows to %s: %s; when the checkpoint was made the sink had another path: let the job run "
                   "once with that, or move the file and its .part- files along, or use --fresh",
                   staging->path, what);
}

/* What a list of committables comes to. */
struct survey {
    bool any;                 /* there is something to commit, be it nothing */
    bool complete;            /* all parts exist */
    struct tg_file_head head; /* the final file before the commit */
    int64_t bytes;            /* of all parts together */
    int64_t size;             /* of the final file now */
};

/* For reading; or -errno. */
static int open_part(const struct tg_staging *staging, uint32_t shard, const struct tg_file_part *segment)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char path[TG_STAGING_PATH_BYTES];
    return ops->open(ops->self, tg_staging_part_name(staging, shard, segment->number, path), O_RDONLY, 0);
}

/* Is there a part that is long enough? 1, 0, or -errno. */
static int find_part(const struct tg_staging *staging, uint32_t shard, const struct tg_file_part *segment)
{
    const struct tg_file_ops *ops = tg_file_ops();
    const int fd = open_part(staging, shard, segment);
    if (fd < 0) { return fd == -ENOENT ? 0 : fd; }
    const int64_t size = ops->size(ops->self, fd);
    (void)ops->close(ops->self, fd);
    return size >= (int64_t)segment->bytes;
}

static bool same_head(const struct tg_file_head *a, const struct tg_file_head *b)
{
    return a->format == b->format && a->length == b->length && a->tail_crc == b->tail_crc && a->path_crc == b->path_crc;
}

static tg_status survey(struct tg_staging *staging, const struct tg_committable *list, uint32_t count,
                        struct survey *out, struct tg_error *err)
{
    *out = (struct survey){.complete = true};
    staging->moved = false;
    for (uint32_t shard = 0; shard < count; shard++) {
        if (list[shard].bytes == 0) { continue; }
        struct tg_file_parts parts = tg_file_parts_begin(&list[shard]);
        if (out->any && !same_head(&parts.head, &out->head)) {
            return lost(staging, "the shards' committables disagree", 0, err);
        }
        out->any = true;
        out->head = parts.head;
        struct tg_file_part part;
        while (tg_file_parts_next(&parts, &part)) {
            const int found = find_part(staging, shard, &part);
            if (found < 0) { return lost(staging, "look at a part", found, err); }
            out->complete = out->complete && found > 0;
            if (__builtin_add_overflow(out->bytes, (int64_t)part.bytes, &out->bytes) || out->bytes > LENGTH_MAX) {
                return lost(staging, "a committable is damaged", 0, err);
            }
            if (part.number >= staging->next_segment) { staging->next_segment = part.number + 1; }
        }
        if (parts.in.wrong != NULL) { return lost(staging, parts.in.wrong, 0, err); }
    }
    staging->moved = out->head.format >= TG_FILE_SUMMED && out->head.path_crc != staging->path_crc;
    return TG_OK;
}

static tg_status stranger(const struct tg_staging *staging, uint32_t shard, const struct tg_file_part *segment,
                          struct tg_error *err)
{
    char path[TG_STAGING_PATH_BYTES];
    char what[TG_STAGING_PATH_BYTES + TG_STAGING_NAME_BYTES];
    (void)snprintf(what, sizeof what, "%s is not the part that the checkpoint means",
                   tg_staging_part_name(staging, shard, segment->number, path));
    return lost(staging, what, 0, err);
}

/* Continue *crc over a file's bytes `from` to `to` - 1. 1, 0 where the file is shorter, or -errno. */
static int sum_bytes(struct tg_staging *staging, int fd, int64_t from, int64_t to, uint32_t *crc)
{
    while (from < to) {
        const size_t want = to - from < TG_STAGING_COPY_BYTES ? (size_t)(to - from) : TG_STAGING_COPY_BYTES;
        const int64_t got = tg_file_read_upto(fd, staging->copy, want, from);
        if (got <= 0) { return (int)got; }
        *crc = tg_crc32c(*crc, staging->copy, (size_t)got);
        from += got;
    }
    return 1;
}

/* Are all parts those that the checkpoint means? Only where that can be known: they have checksums. */
static tg_status check_parts(struct tg_staging *staging, const struct tg_committable *list, uint32_t count,
                             struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    struct parts parts = {.list = list, .count = count};
    struct tg_file_part segment;
    while (parts_next(&parts, &segment)) {
        uint32_t crc = 0;
        const int fd = open_part(staging, parts.shard, &segment);
        if (fd < 0) { return lost(staging, "read a part", fd, err); }
        const int got = sum_bytes(staging, fd, 0, (int64_t)segment.bytes, &crc);
        (void)ops->close(ops->self, fd);
        if (got < 0) { return lost(staging, "read a part", got, err); }
        if (got == 0 || crc != segment.crc) { return stranger(staging, parts.shard, &segment, err); }
    }
    return TG_OK;
}

/* Are the parts' bytes in the final file, where a commit puts them? 1, 0, or -errno. */
static int has_rows(struct tg_staging *staging, const struct tg_committable *list, uint32_t count, int64_t base)
{
    struct parts parts = {.list = list, .count = count};
    struct tg_file_part segment;
    while (parts_next(&parts, &segment)) {
        uint32_t crc = 0;
        const int got = sum_bytes(staging, staging->final_fd, base, base + (int64_t)segment.bytes, &crc);
        if (got <= 0) { return got; }
        if (parts.of_shard.head.format >= TG_FILE_PARTS_SUMMED && crc != segment.crc) { return 0; }
        base += (int64_t)segment.bytes;
    }
    return 1;
}

/* The final file is `length` long from here on: sum its newest bytes below that. 0 or -errno, and then as before. */
static int note_length(struct tg_staging *staging, int64_t length)
{
    uint32_t crc = 0;
    const int64_t from = length > TG_FILE_TAIL_BYTES ? length - TG_FILE_TAIL_BYTES : 0;
    const int got = sum_bytes(staging, staging->final_fd, from, length, &crc);
    if (got <= 0) { return got < 0 ? got : -EIO; }
    staging->length = length;
    staging->tail_crc = crc;
    return 0;
}

/* Is the final file the one that the checkpoint knows? Then its length is what it was before the commit. */
static tg_status check_file(struct tg_staging *staging, struct survey *found, struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    const struct tg_file_head *head = &found->head;
    found->size = ops->size(ops->self, staging->final_fd);
    if (found->size < 0) { return lost(staging, "look at the file", (int)found->size, err); }
    if (found->size < head->length) { return lost(staging, "the file is shorter than the checkpoint says", 0, err); }
    if (staging->moved && head->length == 0 && found->bytes == 0 && found->size > 0) {
        return lost(staging, "the file is not empty, and the checkpoint knows nothing of it", 0, err);
    }
    const int failed = note_length(staging, head->length);
    if (failed != 0) { return lost(staging, "read the file", failed, err); }
    if (head->format >= TG_FILE_SUMMED && staging->tail_crc != head->tail_crc) {
        return lost(staging, "the file does not have the rows that the checkpoint knows", 0, err);
    }
    return TG_OK;
}

/* Append a part to the final file, which is *length long. */
static tg_status append_part(struct tg_staging *staging, uint32_t shard, const struct tg_file_part *segment,
                             bool summed, int64_t *length, struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    int failed = -TG_FAILPOINT("file.copy");
    if (failed != 0) { return lost(staging, "append", failed, err); }
    const int fd = open_part(staging, shard, segment);
    if (fd < 0) { return lost(staging, "append", fd, err); }
    uint32_t crc;
    const int got = tg_staging_part_copy(staging->copy, fd, staging->final_fd, *length, segment, &crc);
    (void)ops->close(ops->self, fd);
    failed = got < 0 ? got : got == 0 ? -EIO : 0;
    if (failed != 0) { return lost(staging, "append", failed, err); }
    *length += (int64_t)segment->bytes;
    return summed && crc != segment->crc ? stranger(staging, shard, segment, err) : TG_OK;
}

static tg_status append_parts(struct tg_staging *staging, const struct tg_committable *list, uint32_t count,
                              int64_t *length, struct tg_error *err)
{
    tg_status status = TG_OK;
    struct parts parts = {.list = list, .count = count};
    struct tg_file_part segment;
    while (status == TG_OK && parts_next(&parts, &segment)) {
        const bool summed = parts.of_shard.head.format >= TG_FILE_PARTS_SUMMED;
        status = append_part(staging, parts.shard, &segment, summed, length, err);
    }
    return status;
}

/* Best effort: what stays is removed at the next start. */
static void remove_part(struct tg_staging *staging, uint32_t shard, const struct tg_file_part *segment)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char path[TG_STAGING_PATH_BYTES];
    if (TG_FAILPOINT("file.remove") == 0) {
        (void)ops->unlink(ops->self, tg_staging_part_name(staging, shard, segment->number, path));
    }
    if (shard >= staging->shard_count) { return; }
    struct tg_staging_shard *own = &staging->shards[shard];
    const uint64_t first = atomic_load_explicit(&own->first, memory_order_relaxed); /* our own store */
    const uint64_t end = atomic_load_explicit(&own->end, memory_order_acquire); /* as S2, which prepare had for these */
    if (first != end && tg_staging_part_at(own, first)->number == segment->number) {
        atomic_store_explicit(&own->first, first + 1, memory_order_release); /* S3 */
    }
}

/* The rows are durable in the final file. */
static void remove_parts(struct tg_staging *staging, const struct tg_committable *list, uint32_t count)
{
    struct parts parts = {.list = list, .count = count};
    struct tg_file_part segment;
    while (parts_next(&parts, &segment)) { remove_part(staging, parts.shard, &segment); }
}

/* How many of a part's bytes, from its first on, are in the final file from `at` on. Or -errno. */
static int64_t same_bytes(struct tg_staging *staging, int part, const struct tg_file_part *segment, int64_t at)
{
    enum { HALF = TG_STAGING_COPY_BYTES / 2 };
    char *rows = staging->copy;
    char *shown = staging->copy + HALF;
    int64_t done = 0;
    int64_t same = 0;
    do {
        const int64_t left = (int64_t)segment->bytes - done;
        const int64_t got = tg_file_read_upto(part, rows, left < HALF ? (size_t)left : HALF, done);
        const int64_t has = got > 0 ? tg_file_read_upto(staging->final_fd, shown, (size_t)got, at + done) : got;
        if (has < 0) { return has; }
        for (same = 0; same < has && rows[same] == shown[same]; same++) {}
        done += same;
    } while (same == HALF);
    return done;
}

/* How many bytes of the final file from `base` on are there because a commit that was interrupted has put them there:
 * readers may have seen them. Or -errno. */
static int64_t rows_there(struct tg_staging *staging, const struct tg_committable *list, uint32_t count, int64_t base)
{
    const struct tg_file_ops *ops = tg_file_ops();
    struct parts parts = {.list = list, .count = count};
    struct tg_file_part segment;
    int64_t there = 0;
    bool whole = true;
    while (whole && parts_next(&parts, &segment)) {
        const int fd = open_part(staging, parts.shard, &segment);
        if (fd < 0) { return fd; }
        const int64_t same = same_bytes(staging, fd, &segment, base + there);
        (void)ops->close(ops->self, fd);
        if (same < 0) { return same; }
        there += same;
        whole = same == (int64_t)segment.bytes;
    }
    return there;
}

/* Append the parts to the final file's first `base` bytes, durably. What readers may have seen of them stays, also
 * after an error; what else is there is cut off first. It is written again, too: a sync may have failed before. */
static tg_status write_rows(struct tg_staging *staging, const struct tg_committable *list, uint32_t count,
                            const struct survey *found, struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    const int64_t base = found->head.length;
    const int64_t there = found->size > base ? rows_there(staging, list, count, base) : 0;
    if (there < 0) { return lost(staging, "compare", (int)there, err); }
    int failed = ops->ftruncate(ops->self, staging->final_fd, base + there);
    int64_t length = base;
    if (failed == 0) { failed = -TG_FAILPOINT("file.commit"); }
    tg_status status =
        failed != 0 ? lost(staging, "append", failed, err) : append_parts(staging, list, count, &length, err);
    if (status == TG_OK) {
        failed = -TG_FAILPOINT("file.commit_sync");
        if (failed == 0) { failed = tg_file_sync(staging->final_fd); }
        if (failed == 0) { failed = -TG_FAILPOINT("file.commit_folder_sync"); }
        if (failed == 0) { failed = tg_staging_sync_folder(staging); }
        if (failed == 0) { failed = note_length(staging, length); }
        if (failed != 0) { status = lost(staging, "append", failed, err); }
    }
    if (status != TG_OK) { (void)ops->ftruncate(ops->self, staging->final_fd, base + there); }
    return status;
}

/* The parts cannot be appended, which is right if the final file has their rows: parts go once it has them durably. */
static tg_status keep_rows(struct tg_staging *staging, const struct tg_committable *list, uint32_t count,
                           const struct survey *found, const struct tg_error *why, struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    const int has = has_rows(staging, list, count, found->head.length);
    if (has < 0) { return lost(staging, "read the file", has, err); }
    if (has == 0) {
        if (err != NULL) { *err = *why; }
        return why->status;
    }
    const int64_t length = found->head.length + found->bytes;
    int failed = ops->ftruncate(ops->self, staging->final_fd, length); /* what later ones appended */
    if (failed == 0) { failed = note_length(staging, length); }
    return failed == 0 ? TG_OK : lost(staging, "cut the file back", failed, err);
}

tg_status tg_staging_commit(struct tg_staging *staging, const struct tg_committable *list, uint32_t count,
                            struct tg_error *err)
{
    struct survey found;
    tg_status status = survey(staging, list, count, &found, err);
    if (status != TG_OK || !found.any) { return status; }
    status = check_file(staging, &found, err);
    if (status != TG_OK) { return status; }
    struct tg_error why = {0};
    if (!found.complete) {
        status = lost(staging, "parts are missing, and the file does not have their rows", 0, &why);
    } else if (found.head.format >= TG_FILE_PARTS_SUMMED &&
               found.size > found.head.length) { /* what is cut off may be rows that only the file has */
        status = check_parts(staging, list, count, &why);
    }
    status = status == TG_OK ? write_rows(staging, list, count, &found, err)
                             : keep_rows(staging, list, count, &found, &why, err);
    if (status == TG_OK) { remove_parts(staging, list, count); }
    return status;
}
