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
#include "base/failpoint.h"
#include "io/file_ops.h"

enum { PATH_BYTES = 4200, NAME_BYTES = 256, COPY_BYTES = 256 << 10 };

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
                          struct tg_error *err)
{
    *staging = (struct tg_staging){.path = path, .final_fd = final_fd, .shard_count = shard_count, .next_segment = 1};
    staging->copy = malloc(COPY_BYTES);
    if (staging->copy == NULL) { return tg_fail(err, TG1601, ENOMEM, "stage rows of %s", path); }
    for (uint32_t i = 0; i < shard_count; i++) {
        staging->shards[i].fd = -1;
        staging->shards[i].segments = calloc(TG_STAGING_SEGMENTS_MAX, sizeof(struct tg_staging_segment));
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
static struct tg_staging_segment *segment_at(const struct tg_staging_shard *shard, uint64_t position)
{
    return &shard->segments[position % TG_STAGING_SEGMENTS_MAX];
}

/* Make `segment` the newest one of the shard: the one before is complete and durable since its cut. */
static int begin_segment(struct tg_staging *staging, uint32_t index, uint64_t segment)
{
    const struct tg_file_ops *ops = tg_file_ops();
    struct tg_staging_shard *shard = &staging->shards[index];
    char path[PATH_BYTES];
    const uint64_t end = atomic_load_explicit(&shard->end, memory_order_relaxed); /* our own store */
    if (end - atomic_load_explicit(&shard->first, memory_order_acquire) == TG_STAGING_SEGMENTS_MAX) { /* S4 */
        return -EOVERFLOW;
    }
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
    shard->torn = false;
    *segment_at(shard, end) = (struct tg_staging_segment){.number = segment};
    atomic_store_explicit(&shard->end, end + 1, memory_order_release); /* S1 */
    return 0;
}

int tg_staging_append(struct tg_staging *staging, uint32_t index, uint64_t segment, const char *data, uint32_t bytes)
{
    const struct tg_file_ops *ops = tg_file_ops();
    struct tg_staging_shard *shard = &staging->shards[index];
    const uint64_t end = atomic_load_explicit(&shard->end, memory_order_relaxed); /* our own store */
    if (shard->fd < 0 || segment_at(shard, end - 1)->number != segment) {
        const int failed = begin_segment(staging, index, segment);
        if (failed != 0) { return failed; }
    }
    struct tg_staging_segment *newest = segment_at(shard, atomic_load_explicit(&shard->end, memory_order_relaxed) - 1);
    if (shard->torn) {
        const int failed = ops->ftruncate(ops->self, shard->fd, (int64_t)newest->bytes);
        if (failed != 0) { return failed; }
    }
    shard->torn = true; /* also when the call fails: it may have written before it did */
    int failed = -TG_FAILPOINT("file.stage");
    if (failed == 0) { failed = tg_file_write_all(shard->fd, data, bytes, (int64_t)newest->bytes); }
    if (failed != 0) { return failed; }
    newest->bytes += bytes;
    shard->torn = false;
    return 0;
}

int tg_staging_sync(struct tg_staging *staging, uint32_t index)
{
    const struct tg_staging_shard *shard = &staging->shards[index];
    if (shard->fd < 0) { return 0; }
    int failed = -TG_FAILPOINT("file.stage_sync");
    if (failed == 0) { failed = tg_file_sync(shard->fd); }
    if (failed == 0) { failed = -TG_FAILPOINT("file.stage_folder_sync"); }
    return failed != 0 ? failed : sync_folder(staging);
}

uint32_t tg_staging_prepare(const struct tg_staging *staging, uint32_t index, uint64_t segment, uint8_t *data)
{
    const struct tg_staging_shard *shard = &staging->shards[index];
    struct tg_bytes_out out = {.data = data, .capacity = TG_COMMITTABLE_BYTES_MAX};
    tg_bytes_put_i64(&out, staging->length);
    const uint64_t end = atomic_load_explicit(&shard->end, memory_order_acquire); /* S2 */
    uint64_t at = atomic_load_explicit(&shard->first, memory_order_relaxed);      /* our own store */
    for (; at != end && segment_at(shard, at)->number <= segment; at++) {
        tg_bytes_put_u64(&out, segment_at(shard, at)->number);
        tg_bytes_put_u64(&out, segment_at(shard, at)->bytes);
    }
    TG_ASSERT(!out.overflow);
    return (uint32_t)out.used;
}

/* ---- commit ------------------------------------------------------------------------------------------------------ */

static tg_status lost(const struct tg_staging *staging, const char *what, int failed, struct tg_error *err)
{
    return tg_fail(err, TG1502, -failed, "commit rows to %s: %s", staging->path, what);
}

/* What a list of committables comes to. */
struct survey {
    bool complete; /* all parts exist */
    int64_t base;  /* the final file's length before the commit; -1 = there is nothing to commit, not even nothing */
    int64_t bytes; /* of all parts together */
};

static tg_status survey(struct tg_staging *staging, const struct tg_committable *list, uint32_t count,
                        struct survey *out, struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    *out = (struct survey){.complete = true, .base = -1};
    for (uint32_t shard = 0; shard < count; shard++) {
        struct tg_bytes_in in = {.data = list[shard].data, .bytes = list[shard].bytes};
        if (list[shard].bytes == 0) { continue; }
        const int64_t own_base = tg_bytes_get_i64(&in);
        if (out->base >= 0 && own_base != out->base) {
            return lost(staging, "the shards' committables disagree", 0, err);
        }
        out->base = own_base;
        while (in.wrong == NULL && tg_bytes_left(&in) != 0) {
            char path[PATH_BYTES];
            const uint64_t number = tg_bytes_get_u64(&in);
            const uint64_t part_bytes = tg_bytes_get_u64(&in);
            const int fd = ops->open(ops->self, part_name(staging, shard, number, path), O_RDONLY, 0);
            if (fd < 0 && fd != -ENOENT) { return lost(staging, path, fd, err); }
            const int64_t size = fd < 0 ? -1 : ops->size(ops->self, fd);
            if (fd >= 0) { (void)ops->close(ops->self, fd); }
            out->complete = out->complete && size >= (int64_t)part_bytes;
            out->bytes += (int64_t)part_bytes;
            if (number >= staging->next_segment) { staging->next_segment = number + 1; }
        }
        if (in.wrong != NULL) { return lost(staging, "a committable is damaged", 0, err); }
    }
    return TG_OK;
}

static int append_part(struct tg_staging *staging, uint32_t shard, const struct tg_staging_segment *segment, char *copy)
{
    char path[PATH_BYTES];
    const struct tg_file_ops *ops = tg_file_ops();
    int failed = -TG_FAILPOINT("file.copy");
    if (failed != 0) { return failed; }
    const int fd = ops->open(ops->self, part_name(staging, shard, segment->number, path), O_RDONLY, 0);
    if (fd < 0) { return fd; }
    for (uint64_t at = 0; failed == 0 && at < segment->bytes;) {
        const uint64_t left = segment->bytes - at;
        const int64_t got = tg_file_read_upto(fd, copy, left < COPY_BYTES ? left : COPY_BYTES, (int64_t)at);
        failed = got < 0 ? (int)got : got == 0 ? -EIO : 0;
        if (failed == 0) { failed = tg_file_write_all(staging->final_fd, copy, (size_t)got, staging->length); }
        if (failed == 0) {
            staging->length += got;
            at += (uint64_t)got;
        }
    }
    (void)ops->close(ops->self, fd);
    return failed;
}

/* Call `each` for every part of the committables; stops at the first error. */
static int for_parts(struct tg_staging *staging, const struct tg_committable *list, uint32_t count, char *copy,
                     int (*each)(struct tg_staging *, uint32_t, const struct tg_staging_segment *, char *))
{
    for (uint32_t shard = 0; shard < count; shard++) {
        struct tg_bytes_in in = {.data = list[shard].data, .bytes = list[shard].bytes};
        if (list[shard].bytes == 0) { continue; }
        (void)tg_bytes_get_i64(&in);
        while (tg_bytes_left(&in) != 0) {
            struct tg_staging_segment segment;
            segment.number = tg_bytes_get_u64(&in);
            segment.bytes = tg_bytes_get_u64(&in);
            const int failed = each(staging, shard, &segment, copy);
            if (failed != 0) { return failed; }
        }
    }
    return 0;
}

/* Best effort: what stays is removed at the next start. */
static int remove_part(struct tg_staging *staging, uint32_t shard, const struct tg_staging_segment *segment, char *copy)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char path[PATH_BYTES];
    (void)copy;
    if (TG_FAILPOINT("file.remove") == 0) {
        (void)ops->unlink(ops->self, part_name(staging, shard, segment->number, path));
    }
    if (shard >= staging->shard_count) { return 0; }
    struct tg_staging_shard *own = &staging->shards[shard];
    const uint64_t first = atomic_load_explicit(&own->first, memory_order_relaxed); /* our own store */
    if (first != atomic_load_explicit(&own->end, memory_order_acquire) &&           /* S2 */
        segment_at(own, first)->number == segment->number) {
        atomic_store_explicit(&own->first, first + 1, memory_order_release); /* S3 */
    }
    return 0;
}

tg_status tg_staging_commit(struct tg_staging *staging, const struct tg_committable *list, uint32_t count,
                            struct tg_error *err)
{
    struct survey found;
    const tg_status status = survey(staging, list, count, &found, err);
    if (status != TG_OK || found.base < 0) { return status; }
    const struct tg_file_ops *ops = tg_file_ops();
    const int64_t size = ops->size(ops->self, staging->final_fd);
    if (!found.complete) { /* parts go once the rows are durable in the final file */
        if (size < found.base + found.bytes) {
            return lost(staging, "parts are missing, and the file does not have their rows", 0, err);
        }
        staging->length = found.base + found.bytes;
        (void)for_parts(staging, list, count, NULL, remove_part);
        return TG_OK;
    }
    if (size < found.base) { return lost(staging, "the file is shorter than the checkpoint says", 0, err); }
    int failed = ops->ftruncate(ops->self, staging->final_fd, found.base);
    staging->length = found.base;
    if (failed == 0) { failed = -TG_FAILPOINT("file.commit"); }
    if (failed == 0) { failed = for_parts(staging, list, count, staging->copy, append_part); }
    if (failed == 0) { failed = -TG_FAILPOINT("file.commit_sync"); }
    if (failed == 0) { failed = tg_file_sync(staging->final_fd); }
    if (failed == 0) { failed = -TG_FAILPOINT("file.commit_folder_sync"); }
    if (failed == 0) { failed = sync_folder(staging); }
    if (failed != 0) {
        staging->length = found.base; /* a commit that is repeated begins there */
        return lost(staging, "append", failed, err);
    }
    (void)for_parts(staging, list, count, NULL, remove_part);
    return TG_OK;
}
