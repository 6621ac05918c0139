/* Opening a checkpoint directory and writing into it, in the order that survives a crash at any point. */
#include "io/checkpoint/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "io/checkpoint/place.h"
#include "io/file_ops.h"

enum { FILE_MODE = 0666, FOLDER_MODE = 0777, PID_TEXT_BYTES = 64 };

void tg_store_file_name(uint64_t epoch, uint32_t shard, bool base, char out[TG_STORE_NAME_BYTES])
{
    const int bytes =
        snprintf(out, TG_STORE_NAME_BYTES, "e%" PRIu64 "/s%" PRIu32 ".%s", epoch, shard, base ? "base" : "delta");
    TG_ASSERT(bytes > 0 && bytes < TG_STORE_NAME_BYTES);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

/* Close errors count: on some file systems they are where a failed write shows. What has `failed` already is only
 * closed: it is never synced. */
static int sync_and_close(int fd, int failed)
{
    const struct tg_file_ops *ops = tg_file_ops();
    if (failed == 0) { failed = ops->fdatasync(ops->self, fd); }
    const int close_failed = ops->close(ops->self, fd);
    return failed != 0 ? failed : close_failed;
}

static int open_in(const struct tg_store *store, const char *name, int flags)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char path[TG_PLACE_BYTES];
    return ops->open(ops->self, tg_place_of(store->path, name, path), flags, FILE_MODE);
}

static int remove_in(const struct tg_store *store, const char *name)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char path[TG_PLACE_BYTES];
    return ops->unlink(ops->self, tg_place_of(store->path, name, path));
}

static int sync_folder(const char *path)
{
    const struct tg_file_ops *ops = tg_file_ops();
    return ops->sync_dir(ops->self, path);
}

static tg_status not_written(const struct tg_store *store, const char *what, const char *name, int failed,
                             struct tg_error *err)
{
    return tg_fail(err, TG1510, -failed, "checkpoint directory %s: cannot %s %s", store->path, what, name);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static tg_status in_use(const struct tg_store *store, int fd, struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char text[PID_TEXT_BYTES] = {0};
    unsigned long long pid = 0;
    const int64_t bytes = ops->pread(ops->self, fd, text, sizeof text - 1, 0);
    if (bytes > 0 && sscanf(text, "pid %llu\n", &pid) == 1) {
        return tg_fail(err, TG1604, 0, "checkpoint directory %s is in use by process %llu", store->path, pid);
    }
    return tg_fail(err, TG1604, 0, "checkpoint directory %s is in use by another process", store->path);
}

/* The pid is for people: that it cannot be written on a full disk is no reason to refuse, an old one would mislead. */
static void note_pid(int fd, int64_t pid)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char text[PID_TEXT_BYTES];
    const int bytes = snprintf(text, sizeof text, "pid %" PRId64 "\n", pid);
    if (ops->ftruncate(ops->self, fd, 0) == 0 && tg_file_write_all(fd, text, (size_t)bytes, 0) != 0) {
        (void)ops->ftruncate(ops->self, fd, 0);
    }
}

static tg_status take_lock(struct tg_store *store, int64_t pid, struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    const int fd = open_in(store, "LOCK", O_RDWR | O_CREAT);
    if (fd < 0) { return not_written(store, "open", "LOCK", fd, err); }
    int failed = -TG_FAILPOINT("store.lock");
    if (failed == 0) { failed = ops->lock(ops->self, fd); }
    if (failed != 0) {
        const tg_status status =
            failed == -EWOULDBLOCK ? in_use(store, fd, err) : not_written(store, "lock", "LOCK", failed, err);
        (void)ops->close(ops->self, fd);
        return status;
    }
    note_pid(fd, pid);
    store->lock_fd = fd;
    return TG_OK;
}

/* The next generation's file, created by nobody else; older ones go. The lock keeps two processes of one machine apart,
 * the generation two machines that share a file system whose locks do not reach that far. */
static tg_status claim_generation(struct tg_store *store, struct tg_error *err)
{
    struct tg_store_names names;
    tg_status status = tg_store_scan(store, &names, err);
    if (status != TG_OK) { return status; }
    if (names.generation == UINT64_MAX) { return not_written(store, "number", "GENERATION", -EOVERFLOW, err); }
    char name[TG_STORE_NAME_BYTES];
    (void)snprintf(name, sizeof name, "GENERATION-%" PRIu64, names.generation + 1);
    int failed = -TG_FAILPOINT("store.generation");
    const int fd = failed == 0 ? open_in(store, name, O_WRONLY | O_CREAT | O_EXCL) : failed;
    if (fd < 0) { return not_written(store, "create", name, fd, err); }
    failed = sync_and_close(fd, -TG_FAILPOINT("store.generation_sync"));
    if (failed == 0) { failed = sync_folder(store->path); }
    if (failed != 0) {
        (void)remove_in(store, name); /* nobody goes on with it, and starts that fail may be many */
        return not_written(store, "make durable", name, failed, err);
    }
    store->generation = names.generation + 1;
    if (names.generation > 0) {
        (void)snprintf(name, sizeof name, "GENERATION-%" PRIu64, names.generation);
        failed = remove_in(store, name);
    }
    return failed == 0 || failed == -ENOENT ? TG_OK : not_written(store, "remove", name, failed, err);
}

/* Create `path` and what is missing on the way, each name durable in its folder. 0 or -errno. */
static int make_folders(const char *path)
{
    const struct tg_file_ops *ops = tg_file_ops();
    int failed = tg_file_make_parents(path);
    if (failed == 0) { failed = ops->mkdir(ops->self, path, FOLDER_MODE); }
    return failed == 0 || failed == -EEXIST ? tg_file_sync_way(path) : failed;
}

tg_status tg_store_open(struct tg_store *store, const struct tg_store_config *config, struct tg_error *err)
{
    *store = (struct tg_store){.read_only = config->read_only, .lock_fd = -1};
    const int bytes = snprintf(store->path, sizeof store->path, "%s", config->path);
    if (bytes <= 0 || (size_t)bytes >= sizeof store->path) {
        return tg_fail(err, TG1511, ENAMETOOLONG, "checkpoint directory %.100s...", config->path);
    }
    if (config->read_only) { return TG_OK; }
    const int failed = make_folders(store->path);
    if (failed != 0) { return not_written(store, "create", "it", failed, err); }
    tg_status status = take_lock(store, config->pid, err);
    if (status == TG_OK) { status = claim_generation(store, err); }
    if (status != TG_OK) { tg_store_close(store); }
    return status;
}

void tg_store_close(struct tg_store *store)
{
    const struct tg_file_ops *ops = tg_file_ops();
    if (store->lock_fd >= 0) { (void)ops->close(ops->self, store->lock_fd); }
    store->lock_fd = -1;
}

/* ---- whose is it? ------------------------------------------------------------------------------------------------ */

tg_status tg_store_check_newest(const struct tg_store *store, const struct tg_store_names *names, struct tg_error *err)
{
    if (names->generation == store->generation) { return TG_OK; }
    return tg_fail(err, TG1521, 0, "checkpoint directory %s belongs to generation %" PRIu64 " now, we are %" PRIu64,
                   store->path, names->generation, store->generation);
}

tg_status tg_store_still_ours(const struct tg_store *store, struct tg_error *err)
{
    struct tg_store_names names;
    const tg_status status = tg_store_scan(store, &names, err);
    return status == TG_OK ? tg_store_check_newest(store, &names, err) : status;
}

/* ---- files of an epoch ------------------------------------------------------------------------------------------- */

tg_status tg_store_epoch_begin(struct tg_store *store, uint64_t epoch, struct tg_error *err)
{
    TG_ASSERT(store->lock_fd >= 0 && epoch > 0);
    const struct tg_file_ops *ops = tg_file_ops();
    char name[TG_STORE_NAME_BYTES];
    char path[TG_PLACE_BYTES];
    const tg_status status = tg_store_still_ours(store, err);
    if (status != TG_OK) { return status; }
    (void)snprintf(name, sizeof name, "e%" PRIu64, epoch);
    int failed = -TG_FAILPOINT("store.epoch");
    if (failed == 0) { failed = ops->mkdir(ops->self, tg_place_of(store->path, name, path), FOLDER_MODE); }
    return failed == 0 ? TG_OK : not_written(store, "create", name, failed, err);
}

static bool is_refusal(int failed) { return failed == -EINVAL || failed == -EOPNOTSUPP; }

/* A file system that cannot write past the page cache refuses, some of them when the file is there already. */
static int create_file(const struct tg_store *store, struct tg_store_file *file)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL;
    if (file->buffer != NULL) {
        const int fd = open_in(store, file->name, flags | O_DIRECT);
        file->direct = fd >= 0;
        if (!is_refusal(fd)) { return fd; }
        (void)remove_in(store, file->name);
    }
    return open_in(store, file->name, flags);
}

tg_status tg_store_file_create(struct tg_store *store, uint64_t epoch, uint32_t shard, bool base,
                               struct tg_store_file *file, struct tg_error *err)
{
    TG_ASSERT(store->lock_fd >= 0);
    *file = (struct tg_store_file){.buffer = file->buffer, .fd = -1};
    TG_ASSERT((uintptr_t)file->buffer % TG_STORE_BUFFER_ALIGN == 0);
    tg_store_file_name(epoch, shard, base, file->name);
    const int failed = -TG_FAILPOINT("store.create");
    const int fd = failed == 0 ? create_file(store, file) : failed;
    if (fd < 0) { return not_written(store, "create", file->name, fd, err); }
    file->fd = fd;
    return TG_OK;
}

void tg_store_file_drop(struct tg_store *store, struct tg_store_file *file)
{
    const struct tg_file_ops *ops = tg_file_ops();
    if (file->fd < 0) { return; }
    (void)ops->close(ops->self, file->fd);
    file->fd = -1;
    (void)remove_in(store, file->name); /* what stays is swept at the next start */
}

/* Through the page cache from here on. What is written already is with the device: its close has nothing to tell. */
static int leave_direct(const struct tg_store *store, struct tg_store_file *file)
{
    const struct tg_file_ops *ops = tg_file_ops();
    const int fd = open_in(store, file->name, O_WRONLY);
    if (fd < 0) { return fd; }
    (void)ops->close(ops->self, file->fd);
    file->fd = fd;
    file->direct = false;
    return 0;
}

/* A direct write is refused where the file system wants larger blocks than ours, or has written a part of one. */
static int write_at(const struct tg_store *store, struct tg_store_file *file, const void *data, size_t bytes,
                    uint64_t at)
{
    int failed = tg_file_write_all(file->fd, data, bytes, (int64_t)at);
    if (!file->direct || !is_refusal(failed)) { return failed; }
    failed = leave_direct(store, file);
    return failed == 0 ? tg_file_write_all(file->fd, data, bytes, (int64_t)at) : failed;
}

/* Through the buffer, which is written when it is full. */
static int gather(const struct tg_store *store, struct tg_store_file *file, const uint8_t *data, size_t bytes)
{
    int failed = 0;
    for (size_t taken = 0; failed == 0 && taken < bytes;) {
        const size_t room = TG_STORE_BUFFER_BYTES - file->held;
        const size_t count = bytes - taken < room ? bytes - taken : room;
        memcpy(file->buffer + file->held, data + taken, count);
        taken += count;
        file->held += (uint32_t)count;
        if (file->held < TG_STORE_BUFFER_BYTES) { continue; }
        failed = write_at(store, file, file->buffer, file->held, file->bytes + taken - file->held);
        file->held = 0;
    }
    return failed;
}

/* What the buffer holds at the end: directly in whole blocks, and what fills the last one is cut off again. */
static int write_rest(const struct tg_store *store, struct tg_store_file *file)
{
    const struct tg_file_ops *ops = tg_file_ops();
    const uint64_t at = file->bytes - file->held;
    size_t bytes = file->held;
    if (file->direct) {
        bytes = (bytes + TG_STORE_BUFFER_ALIGN - 1) / TG_STORE_BUFFER_ALIGN * TG_STORE_BUFFER_ALIGN;
        memset(file->buffer + file->held, 0, bytes - file->held);
    }
    const int failed = write_at(store, file, file->buffer, bytes, at);
    return failed == 0 && at + bytes > file->bytes ? ops->ftruncate(ops->self, file->fd, (int64_t)file->bytes) : failed;
}

tg_status tg_store_file_use_cache(struct tg_store *store, struct tg_store_file *file, struct tg_error *err)
{
    TG_ASSERT(file->fd >= 0);
    const int failed = file->direct ? leave_direct(store, file) : 0;
    if (failed == 0) { return TG_OK; }
    tg_store_file_drop(store, file);
    return not_written(store, "open", file->name, failed, err);
}

tg_status tg_store_file_append(struct tg_store *store, struct tg_store_file *file, const void *data, size_t bytes,
                               struct tg_error *err)
{
    TG_ASSERT(file->fd >= 0);
    int failed = -TG_FAILPOINT("store.append");
    if (failed == 0) {
        failed =
            file->buffer != NULL ? gather(store, file, data, bytes) : write_at(store, file, data, bytes, file->bytes);
    }
    if (failed != 0) {
        tg_store_file_drop(store, file);
        return not_written(store, "write", file->name, failed, err);
    }
    file->bytes += bytes;
    return TG_OK;
}

tg_status tg_store_file_finish(struct tg_store *store, struct tg_store_file *file, struct tg_error *err)
{
    TG_ASSERT(file->fd >= 0);
    int failed = write_rest(store, file);
    if (failed == 0) { failed = -TG_FAILPOINT("store.sync"); }
    failed = sync_and_close(file->fd, failed);
    file->fd = -1;
    if (failed == 0) { return TG_OK; }
    (void)remove_in(store, file->name);
    return not_written(store, "make durable", file->name, failed, err);
}

tg_status tg_store_epoch_sync(struct tg_store *store, uint64_t epoch, struct tg_error *err)
{
    char name[TG_STORE_NAME_BYTES];
    char path[TG_PLACE_BYTES];
    (void)snprintf(name, sizeof name, "e%" PRIu64, epoch);
    int failed = -TG_FAILPOINT("store.folder_sync");
    if (failed == 0) { failed = sync_folder(tg_place_of(store->path, name, path)); }
    if (failed == 0) { failed = -TG_FAILPOINT("store.root_sync"); }
    if (failed == 0) { failed = sync_folder(store->path); }
    return failed == 0 ? TG_OK : not_written(store, "make durable", name, failed, err);
}

/* ---- decision ---------------------------------------------------------------------------------------------------- */

/* Steps of write_whole; manifests and acknowledgements have failpoints of their own. */
static int failed_create(bool is_ack)
{
    return -(is_ack ? TG_FAILPOINT("ack.create") : TG_FAILPOINT("manifest.create"));
}
static int failed_write(bool is_ack) { return -(is_ack ? TG_FAILPOINT("ack.write") : TG_FAILPOINT("manifest.write")); }
static int failed_sync(bool is_ack) { return -(is_ack ? TG_FAILPOINT("ack.sync") : TG_FAILPOINT("manifest.sync")); }
static int failed_rename(bool is_ack)
{
    return -(is_ack ? TG_FAILPOINT("ack.rename") : TG_FAILPOINT("manifest.rename"));
}

/* Write `name`.tmp, make it durable, give it its name; the name itself is durable after the folder's next sync. Whether
 * the directory is still ours is asked before both: a sync may take long. */
static tg_status write_whole(struct tg_store *store, const char *name, const void *data, size_t bytes,
                             struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char temporary[TG_STORE_NAME_BYTES];
    char from[TG_PLACE_BYTES];
    char to[TG_PLACE_BYTES];
    const int length = snprintf(temporary, sizeof temporary, "%s.tmp", name);
    TG_ASSERT(length > 0 && (size_t)length < sizeof temporary);
    tg_status status = tg_store_still_ours(store, err);
    if (status != TG_OK) { return status; }
    int failed = remove_in(store, temporary); /* what an earlier try could not remove */
    if (failed != 0 && failed != -ENOENT) { return not_written(store, "remove", temporary, failed, err); }
    const bool is_ack = name[0] == 'A';
    failed = failed_create(is_ack);
    const int fd = failed == 0 ? open_in(store, temporary, O_WRONLY | O_CREAT | O_EXCL) : failed;
    if (fd < 0) { return not_written(store, "create", temporary, fd, err); }
    failed = failed_write(is_ack);
    if (failed == 0) { failed = tg_file_write_all(fd, data, bytes, 0); }
    if (failed == 0) { failed = failed_sync(is_ack); }
    failed = sync_and_close(fd, failed);
    if (failed == 0) { failed = failed_rename(is_ack); }
    if (failed == 0) {
        status = tg_store_still_ours(store, err);
        if (status != TG_OK) { return status; }
        failed = ops->rename(ops->self, tg_place_of(store->path, temporary, from), tg_place_of(store->path, name, to));
    }
    if (failed == 0) { return TG_OK; }
    (void)remove_in(store, temporary);
    return not_written(store, "write", name, failed, err);
}

tg_status tg_store_publish(struct tg_store *store, uint64_t epoch, const void *manifest, size_t bytes, bool *decided,
                           struct tg_error *err)
{
    TG_ASSERT(store->lock_fd >= 0 && bytes <= TG_STORE_MANIFEST_BYTES_MAX);
    *decided = false;
    char name[TG_STORE_NAME_BYTES];
    (void)snprintf(name, sizeof name, "MANIFEST-%" PRIu64, epoch);
    const tg_status status = write_whole(store, name, manifest, bytes, err);
    if (status != TG_OK) { return status; }
    *decided = true;
    int failed = -TG_FAILPOINT("manifest.folder_sync");
    if (failed == 0) { failed = sync_folder(store->path); }
    return failed == 0 ? TG_OK : not_written(store, "make durable", name, failed, err);
}

tg_status tg_store_acknowledge(struct tg_store *store, uint64_t epoch, uint32_t committed, struct tg_error *err)
{
    TG_ASSERT(store->lock_fd >= 0);
    char name[TG_STORE_NAME_BYTES];
    char text[TG_STORE_NAME_BYTES];
    (void)snprintf(name, sizeof name, "ACK-%" PRIu64, epoch);
    const int bytes = snprintf(text, sizeof text, "committed %" PRIu32 "\n", committed);
    const tg_status status = write_whole(store, name, text, (size_t)bytes, err);
    if (status != TG_OK) { return status; }
    int failed = -TG_FAILPOINT("ack.folder_sync");
    if (failed == 0) { failed = sync_folder(store->path); }
    return failed == 0 ? TG_OK : not_written(store, "make durable", name, failed, err);
}

void tg_store_epoch_abort(struct tg_store *store, uint64_t epoch)
{
    char name[TG_STORE_NAME_BYTES];
    if (TG_FAILPOINT("store.abort") != 0 || tg_store_still_ours(store, NULL) != TG_OK) { return; }
    (void)snprintf(name, sizeof name, "MANIFEST-%" PRIu64 ".tmp", epoch);
    (void)remove_in(store, name);
    (void)tg_store_remove_epoch(store, epoch);
}

/* ---- copies of other checkpoints --------------------------------------------------------------------------------- */

tg_status tg_store_restore_begin(struct tg_store *store, struct tg_error *err)
{
    TG_ASSERT(store->lock_fd >= 0);
    struct tg_store_names names;
    tg_status status = tg_store_scan(store, &names, err);
    if (status == TG_OK) { status = tg_store_check_newest(store, &names, err); }
    if (status != TG_OK || names.manifest_count != 0) { return status; }
    const int fd = open_in(store, TG_PLACE_RESTORING, O_WRONLY | O_CREAT);
    if (fd < 0) { return not_written(store, "create", TG_PLACE_RESTORING, fd, err); }
    int failed = sync_and_close(fd, -TG_FAILPOINT("restore.sync"));
    if (failed == 0) { failed = sync_folder(store->path); }
    return failed == 0 ? TG_OK : not_written(store, "make durable", TG_PLACE_RESTORING, failed, err);
}

void tg_store_restore_end(struct tg_store *store)
{
    if (TG_FAILPOINT("restore.end") == 0) { (void)remove_in(store, TG_PLACE_RESTORING); }
}
