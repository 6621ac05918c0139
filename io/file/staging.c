/* Rows into parts, and parts made durable. */
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
#include "io/file/parts.h"
#include "io/file_ops.h"

_Static_assert(TG_FILE_HEAD_BYTES + TG_STAGING_SEGMENTS_MAX * TG_FILE_PART_BYTES <= TG_COMMITTABLE_BYTES_MAX,
               "all segments fit");

const char *tg_staging_part_name(const struct tg_staging *staging, uint32_t shard, uint64_t segment,
                                 char out[TG_STAGING_PATH_BYTES])
{
    (void)snprintf(out, TG_STAGING_PATH_BYTES, "%s.part-%" PRIu32 "-%" PRIu64, staging->path, shard, segment);
    return out;
}

/* The folder of the final file and its name in there. */
static const char *split(const char *path, char folder[TG_STAGING_PATH_BYTES])
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        (void)snprintf(folder, TG_STAGING_PATH_BYTES, ".");
        return path;
    }
    (void)snprintf(folder, TG_STAGING_PATH_BYTES, "%.*s", slash == path ? 1 : (int)(slash - path), path);
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
    staging->copy = malloc(TG_STAGING_COPY_BYTES);
    staging->anew = malloc(TG_STAGING_COPY_BYTES);
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
    char found[TG_STAGING_NAME_BYTES]; /* "" = none */
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
    char folder[TG_STAGING_PATH_BYTES];
    char prefix[TG_STAGING_PATH_BYTES];
    char path[TG_STAGING_PATH_BYTES + TG_STAGING_NAME_BYTES];
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

int tg_staging_sync_folder(const struct tg_staging *staging)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char folder[TG_STAGING_PATH_BYTES];
    (void)split(staging->path, folder);
    return ops->sync_dir(ops->self, folder);
}

/* Make `segment` the newest one of the shard: the one before is complete and durable since its cut. */
static int begin_segment(struct tg_staging *staging, uint32_t index, uint64_t segment)
{
    const struct tg_file_ops *ops = tg_file_ops();
    struct tg_staging_shard *shard = &staging->shards[index];
    char path[TG_STAGING_PATH_BYTES];
    const uint64_t end = atomic_load_explicit(&shard->end, memory_order_relaxed);           /* our own store */
    const uint64_t count = end - atomic_load_explicit(&shard->first, memory_order_acquire); /* S4 */
    const bool full = TG_FAILPOINT("file.full") != 0;
    if (count == TG_STAGING_SEGMENTS_MAX || (full && count != 0)) { return -EAGAIN; }
    if (shard->fd >= 0) { (void)ops->close(ops->self, shard->fd); }
    shard->fd = -TG_FAILPOINT("file.segment");
    if (shard->fd == 0) {
        shard->fd =
            ops->open(ops->self, tg_staging_part_name(staging, index, segment, path), O_RDWR | O_CREAT | O_TRUNC, 0666);
    }
    if (shard->fd < 0) {
        const int failed = shard->fd;
        shard->fd = -1;
        return failed;
    }
    shard->torn = shard->dirty = shard->doubtful = false;
    *tg_staging_part_at(shard, end) = (struct tg_file_part){.number = segment};
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
    return tg_staging_part_at(shard, end - 1)->number == segment || settled + 1 >= segment;
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
    struct tg_file_part *newest =
        tg_staging_part_at(shard, atomic_load_explicit(&shard->end, memory_order_relaxed) - 1);
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

int tg_staging_part_copy(char *copy, int from, int to, int64_t at, const struct tg_file_part *segment, uint32_t *crc)
{
    *crc = 0;
    for (uint64_t done = 0; done < segment->bytes;) {
        const uint64_t left = segment->bytes - done;
        const int64_t got =
            tg_file_read_upto(from, copy, left < TG_STAGING_COPY_BYTES ? left : TG_STAGING_COPY_BYTES, (int64_t)done);
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
    const struct tg_file_part *newest = tg_staging_part_at(shard, end - 1);
    char path[TG_STAGING_PATH_BYTES];
    char anew[TG_STAGING_PATH_BYTES + TG_STAGING_NAME_BYTES];
    (void)snprintf(anew, sizeof anew, "%s.anew", tg_staging_part_name(staging, index, newest->number, path));
    const int fd = ops->open(ops->self, anew, O_RDWR | O_CREAT | O_TRUNC, 0666);
    if (fd < 0) { return fd; }
    uint32_t crc;
    const int got = tg_staging_part_copy(staging->anew, shard->fd, fd, 0, newest, &crc);
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
    if (failed == 0) { failed = tg_staging_sync_folder(staging); }
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
    for (; at != end && tg_staging_part_at(shard, at)->number <= segment; at++) {
        tg_file_part_put(&out, tg_staging_part_at(shard, at));
    }
    TG_ASSERT(!out.overflow);
    return (uint32_t)out.used;
}
