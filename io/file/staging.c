/* See staging.h. Parts are opened by name for a commit: after a restart nobody has them open. */
#include "io/file/staging.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/failpoint.h"
#include "io/file_ops.h"

enum { PATH_BYTES = 4200, NAME_BYTES = 256, COPY_BYTES = 256 << 10 };
_Static_assert(TG_FILE_HEAD_BYTES + TG_STAGING_SEGMENTS_MAX * TG_FILE_PART_BYTES <= TG_COMMITTABLE_BYTES_MAX,
               "all segments fit");
static const int64_t LENGTH_MAX = INT64_C(1) << 62; /* of a file */

static const char *part_name(const struct tg_staging *staging, uint32_t shard, uint64_t segment, char out[PATH_BYTES])
{
    (void)snprintf(out, PATH_BYTES, "%s.part-%" PRIu32 "-%" PRIu64, staging->path, shard, segment);
    return out;
}

/* The folder of the final file and its name in there. */
static const char *split(const char *path, char folder[PATH_BYTES])
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        (void)snprintf(folder, PATH_BYTES, ".");
        return path;
    }
    (void)snprintf(folder, PATH_BYTES, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    return slash + 1;
}

tg_status tg_staging_open(struct tg_staging *staging, const char *path, int final_fd, uint32_t shard_count,
                          uint64_t generation, struct tg_error *err)
{
    *staging = (struct tg_staging){.path = path,
                                   .path_crc = tg_crc32c(0, path, strlen(path)),
                                   .final_fd = final_fd,
                                   .shard_count = shard_count,
                                   .next_segment = generation << 32 | 1};
    staging->copy = malloc(COPY_BYTES);
    staging->anew = malloc(COPY_BYTES);
    if (staging->copy == NULL || staging->anew == NULL) {
        return tg_fail(err, TG1601, ENOMEM, "stage rows of %s", path);
    }
    for (uint32_t i = 0; i < shard_count; i++) {
        staging->shards[i].fd = -1;
        staging->shards[i].segments = calloc(TG_STAGING_SEGMENTS_MAX, sizeof(struct tg_file_part));
        if (staging->shards[i].segments == NULL) { return tg_fail(err, TG1601, ENOMEM, "stage rows of %s", path); }
    }
    const int failed = tg_file_sync_way(path);
    if (failed != 0) { return tg_fail(err, TG1502, -failed, "make the folders of %s durable", path); }
    return TG_OK;
}

void tg_staging_close(struct tg_staging *staging)
{
    const struct tg_file_ops *ops = tg_file_ops();
    for (uint32_t i = 0; i < staging->shard_count; i++) {
        struct tg_staging_shard *shard = &staging->shards[i];
        if (shard->fd >= 0 && shard->segments != NULL) { (void)ops->close(ops->self, shard->fd); }
        free(shard->segments);
    }
    free(staging->copy);
    free(staging->anew);
    staging->shard_count = 0;
}

/* ---- left over parts --------------------------------------------------------------------------------------------- */

/* One name in the folder that begins with a prefix. */
struct search {
    const char *prefix; /* "<name>.part-" */
    size_t prefix_bytes;
    char found[NAME_BYTES]; /* "" = none */
};

static void search_name(void *self, const char *name)
{
    struct search *search = self;
    if (search->found[0] != '\0' || strncmp(name, search->prefix, search->prefix_bytes) != 0) { return; }
    (void)snprintf(search->found, sizeof search->found, "%s", name);
}

/* A folder must not change while it is listed: one part at a time. */
int tg_staging_clean(struct tg_staging *staging)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char folder[PATH_BYTES];
    char prefix[PATH_BYTES];
    char path[PATH_BYTES + NAME_BYTES];
    const int bytes = snprintf(prefix, sizeof prefix, "%s.part-", split(staging->path, folder));
    struct search search = {.prefix = prefix, .prefix_bytes = (size_t)bytes};
    do {
        search.found[0] = '\0';
        int failed = ops->list(ops->self, folder, search_name, &search);
        if (failed == 0 && search.found[0] != '\0') {
            (void)snprintf(path, sizeof path, "%s/%s", folder, search.found);
            failed = ops->unlink(ops->self, path);
        }
        if (failed != 0) { return failed; }
    } while (search.found[0] != '\0');
    return 0;
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */

static int sync_folder(const struct tg_staging *staging)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char folder[PATH_BYTES];
    (void)split(staging->path, folder);
    return ops->sync_dir(ops->self, folder);
}

/* The segment at a cursor's position. */
static struct tg_file_part *segment_at(const struct tg_staging_shard *shard, uint64_t position)
{
    return &shard->segments[position % TG_STAGING_SEGMENTS_MAX];
}

/* Make `segment` the newest one of the shard: the one before is complete and durable since its cut. */
static int begin_segment(struct tg_staging *staging, uint32_t index, uint64_t segment)
{
    const struct tg_file_ops *ops = tg_file_ops();
    struct tg_staging_shard *shard = &staging->shards[index];
    char path[PATH_BYTES];
    const uint64_t end = atomic_load_explicit(&shard->end, memory_order_relaxed);           /* our own store */
    const uint64_t count = end - atomic_load_explicit(&shard->first, memory_order_acquire); /* S4 */
    const bool full = TG_FAILPOINT("file.full") != 0;
    if (count == TG_STAGING_SEGMENTS_MAX || (full && count != 0)) { return -EAGAIN; }
    if (shard->fd >= 0) { (void)ops->close(ops->self, shard->fd); }
    shard->fd = -TG_FAILPOINT("file.segment");
    if (shard->fd == 0) {
        shard->fd = ops->open(ops->self, part_name(staging, index, segment, path), O_RDWR | O_CREAT | O_TRUNC, 0666);
    }
    if (shard->fd < 0) {
        const int failed = shard->fd;
        shard->fd = -1;
        return failed;
    }
    shard->torn = shard->dirty = shard->doubtful = false;
    *segment_at(shard, end) = (struct tg_file_part){.number = segment};
    atomic_store_explicit(&shard->end, end + 1, memory_order_release); /* S1 */
    return 0;
}

/* May rows of epoch `segment` go into the newest segment? Into its own, and into one that nobody reads until the
 * epoch's cut. */
static bool takes(const struct tg_staging_shard *shard, uint64_t segment)
{
    const uint64_t settled = atomic_load_explicit(&shard->settled, memory_order_acquire); /* S6 */
    const uint64_t first = atomic_load_explicit(&shard->first, memory_order_acquire);     /* S4 */
    const uint64_t end = atomic_load_explicit(&shard->end, memory_order_relaxed);         /* our own store */
    if (shard->fd < 0 || first == end) { return false; }
    return segment_at(shard, end - 1)->number == segment || settled + 1 >= segment;
}

void tg_staging_settle(struct tg_staging *staging, uint32_t index, uint64_t segment)
{
    atomic_store_explicit(&staging->shards[index].settled, segment, memory_order_release); /* S5 */
}

int tg_staging_append(struct tg_staging *staging, uint32_t index, uint64_t segment, const char *data, uint32_t bytes)
{
    const struct tg_file_ops *ops = tg_file_ops();
    struct tg_staging_shard *shard = &staging->shards[index];
    if (!takes(shard, segment)) {
        const int failed = begin_segment(staging, index, segment);
        if (failed != 0) { return failed; }
    }
    struct tg_file_part *newest = segment_at(shard, atomic_load_explicit(&shard->end, memory_order_relaxed) - 1);
    if (shard->torn) {
        const int failed = ops->ftruncate(ops->self, shard->fd, (int64_t)newest->bytes);
        if (failed != 0) { return failed; }
    }
    shard->dirty = true;
    shard->torn = true; /* also when the call fails: it may have written before it did */
    int failed = -TG_FAILPOINT("file.stage");
    if (failed == 0) { failed = tg_file_write_all(shard->fd, data, bytes, (int64_t)newest->bytes); }
    if (failed != 0) { return failed; }
    newest->bytes += bytes;
    newest->crc = tg_crc32c(newest->crc, data, bytes);
    shard->torn = false;
    return 0;
}

/* Copy a segment to byte `at` of another file, by way of copy[COPY_BYTES]; *crc is that of what was read. 1, 0 where
 * the file is shorter than the segment, or -errno. */
static int copy_segment(char *copy, int from, int to, int64_t at, const struct tg_file_part *segment, uint32_t *crc)
{
    *crc = 0;
    for (uint64_t done = 0; done < segment->bytes;) {
        const uint64_t left = segment->bytes - done;
        const int64_t got = tg_file_read_upto(from, copy, left < COPY_BYTES ? left : COPY_BYTES, (int64_t)done);
        if (got <= 0) { return (int)got; }
        const int failed = tg_file_write_all(to, copy, (size_t)got, at + (int64_t)done);
        if (failed != 0) { return failed; }
        *crc = tg_crc32c(*crc, copy, (size_t)got);
        done += (uint64_t)got;
    }
    return 1;
}

/* A sync that failed is not repeated: the kernel may have dropped what it could not write, and would report success. A
 * new file with the same rows, read back and compared with their checksum, takes the place of the newest segment's. */
static int write_anew(struct tg_staging *staging, uint32_t index)
{
    const struct tg_file_ops *ops = tg_file_ops();
    struct tg_staging_shard *shard = &staging->shards[index];
    const uint64_t end = atomic_load_explicit(&shard->end, memory_order_relaxed); /* our own store */
    const struct tg_file_part *newest = segment_at(shard, end - 1);
    char path[PATH_BYTES];
    char anew[PATH_BYTES + NAME_BYTES];
    (void)snprintf(anew, sizeof anew, "%s.anew", part_name(staging, index, newest->number, path));
    const int fd = ops->open(ops->self, anew, O_RDWR | O_CREAT | O_TRUNC, 0666);
    if (fd < 0) { return fd; }
    uint32_t crc;
    const int got = copy_segment(staging->anew, shard->fd, fd, 0, newest, &crc);
    int failed = got < 0 ? got : got == 0 || crc != newest->crc ? -EBADMSG : -TG_FAILPOINT("file.stage_anew");
    if (failed == 0) { failed = tg_file_sync(fd); }
    if (failed == 0) { failed = ops->rename(ops->self, anew, path); }
    if (failed != 0) {
        (void)ops->close(ops->self, fd);
        (void)ops->unlink(ops->self, anew);
        return failed;
    }
    (void)ops->close(ops->self, shard->fd);
    shard->fd = fd;
    return 0;
}

int tg_staging_sync(struct tg_staging *staging, uint32_t index)
{
    struct tg_staging_shard *shard = &staging->shards[index];
    if (!shard->dirty) { return 0; }
    int failed = 0;
    if (shard->doubtful) {
        failed = write_anew(staging, index);
    } else {
        failed = -TG_FAILPOINT("file.stage_sync");
        if (failed == 0) { failed = tg_file_sync(shard->fd); }
    }
    if (failed == 0) { failed = -TG_FAILPOINT("file.stage_folder_sync"); }
    if (failed == 0) { failed = sync_folder(staging); }
    shard->dirty = shard->doubtful = failed != 0;
    return failed;
}

uint32_t tg_staging_prepare(const struct tg_staging *staging, uint32_t index, uint64_t segment, uint8_t *data)
{
    const struct tg_staging_shard *shard = &staging->shards[index];
    struct tg_bytes_out out = {.data = data, .capacity = TG_COMMITTABLE_BYTES_MAX};
    const struct tg_file_head head = {
        .length = staging->length, .tail_crc = staging->tail_crc, .path_crc = staging->path_crc};
    tg_file_head_put(&out, &head);
    const uint64_t end = atomic_load_explicit(&shard->end, memory_order_acquire); /* S2 */
    uint64_t at = atomic_load_explicit(&shard->first, memory_order_relaxed);      /* our own store */
    for (; at != end && segment_at(shard, at)->number <= segment; at++) {
        tg_file_part_put(&out, segment_at(shard, at));
    }
    TG_ASSERT(!out.overflow);
    return (uint32_t)out.used;
}

/* ---- commit ------------------------------------------------------------------------------------------------------ */

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

/* Is there a part that is long enough? 1, 0, or -errno. */
static int find_part(const struct tg_staging *staging, uint32_t shard, const struct tg_file_part *segment)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char path[PATH_BYTES];
    const int fd = ops->open(ops->self, part_name(staging, shard, segment->number, path), O_RDONLY, 0);
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

static tg_status stranger(const struct tg_staging *staging, const char *part, struct tg_error *err)
{
    char what[PATH_BYTES + NAME_BYTES];
    (void)snprintf(what, sizeof what, "%s is not the part that the checkpoint means", part);
    return lost(staging, what, 0, err);
}

/* Continue *crc over a file's bytes `from` to `to` - 1. 1, 0 where the file is shorter, or -errno. */
static int sum_bytes(struct tg_staging *staging, int fd, int64_t from, int64_t to, uint32_t *crc)
{
    while (from < to) {
        const size_t want = to - from < COPY_BYTES ? (size_t)(to - from) : COPY_BYTES;
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
        char path[PATH_BYTES];
        uint32_t crc = 0;
        const int fd = ops->open(ops->self, part_name(staging, parts.shard, segment.number, path), O_RDONLY, 0);
        if (fd < 0) { return lost(staging, "read a part", fd, err); }
        const int got = sum_bytes(staging, fd, 0, (int64_t)segment.bytes, &crc);
        (void)ops->close(ops->self, fd);
        if (got < 0) { return lost(staging, "read a part", got, err); }
        if (got == 0 || crc != segment.crc) { return stranger(staging, path, err); }
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
static tg_status append_part(struct tg_staging *staging, const char *path, const struct tg_file_part *segment,
                             bool summed, int64_t *length, struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    int failed = -TG_FAILPOINT("file.copy");
    if (failed != 0) { return lost(staging, "append", failed, err); }
    const int fd = ops->open(ops->self, path, O_RDONLY, 0);
    if (fd < 0) { return lost(staging, "append", fd, err); }
    uint32_t crc;
    const int got = copy_segment(staging->copy, fd, staging->final_fd, *length, segment, &crc);
    (void)ops->close(ops->self, fd);
    failed = got < 0 ? got : got == 0 ? -EIO : 0;
    if (failed != 0) { return lost(staging, "append", failed, err); }
    *length += (int64_t)segment->bytes;
    return summed && crc != segment->crc ? stranger(staging, path, err) : TG_OK;
}

static tg_status append_parts(struct tg_staging *staging, const struct tg_committable *list, uint32_t count,
                              int64_t *length, struct tg_error *err)
{
    tg_status status = TG_OK;
    struct parts parts = {.list = list, .count = count};
    struct tg_file_part segment;
    while (status == TG_OK && parts_next(&parts, &segment)) {
        char path[PATH_BYTES];
        (void)part_name(staging, parts.shard, segment.number, path);
        status = append_part(staging, path, &segment, parts.of_shard.head.format >= TG_FILE_PARTS_SUMMED, length, err);
    }
    return status;
}

/* Best effort: what stays is removed at the next start. */
static void remove_part(struct tg_staging *staging, uint32_t shard, const struct tg_file_part *segment)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char path[PATH_BYTES];
    if (TG_FAILPOINT("file.remove") == 0) {
        (void)ops->unlink(ops->self, part_name(staging, shard, segment->number, path));
    }
    if (shard >= staging->shard_count) { return; }
    struct tg_staging_shard *own = &staging->shards[shard];
    const uint64_t first = atomic_load_explicit(&own->first, memory_order_relaxed); /* our own store */
    if (first != atomic_load_explicit(&own->end, memory_order_acquire) &&           /* S2 */
        segment_at(own, first)->number == segment->number) {
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

/* Cut the final file back to `base` and append the parts, durably. After an error nothing of them is there, unless
 * cutting it back fails: then the next attempt does it. */
static tg_status write_rows(struct tg_staging *staging, const struct tg_committable *list, uint32_t count, int64_t base,
                            struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    int failed = ops->ftruncate(ops->self, staging->final_fd, base);
    int64_t length = base;
    if (failed == 0) { failed = -TG_FAILPOINT("file.commit"); }
    tg_status status =
        failed != 0 ? lost(staging, "append", failed, err) : append_parts(staging, list, count, &length, err);
    if (status == TG_OK) {
        failed = -TG_FAILPOINT("file.commit_sync");
        if (failed == 0) { failed = tg_file_sync(staging->final_fd); }
        if (failed == 0) { failed = -TG_FAILPOINT("file.commit_folder_sync"); }
        if (failed == 0) { failed = sync_folder(staging); }
        if (failed == 0) { failed = note_length(staging, length); }
        if (failed != 0) { status = lost(staging, "append", failed, err); }
    }
    if (status != TG_OK) { (void)ops->ftruncate(ops->self, staging->final_fd, base); }
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
    status = status == TG_OK ? write_rows(staging, list, count, found.head.length, err)
                             : keep_rows(staging, list, count, &found, &why, err);
    if (status == TG_OK) { remove_parts(staging, list, count); }
    return status;
}
