/* Appending durably, and taking back what could not be made durable. */
#include "io/checkpoint/tick_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "io/checkpoint/place.h"
#include "io/file_ops.h"

enum { FILE_MODE = 0666 };

static tg_status not_written(const struct tg_store *store, const char *what, const char *name, int failed,
                             struct tg_error *err)
{
    return tg_fail(err, TG1510, -failed, "checkpoint directory %s: cannot %s %s", store->path, what, name);
}

static tg_status not_read(const struct tg_store *store, const char *name, int failed, struct tg_error *err)
{
    return tg_fail(err, TG1511, -failed, "checkpoint directory %s: cannot read %s", store->path, name);
}

static int open_named(const struct tg_store *store, const char *name, int flags)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char path[TG_PLACE_BYTES];
    return ops->open(ops->self, tg_place_of(store->path, name, path), flags, FILE_MODE);
}

static int sync_folder(const struct tg_store *store)
{
    const struct tg_file_ops *ops = tg_file_ops();
    return ops->sync_dir(ops->self, store->path);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int read_all(int fd, uint8_t *data, size_t bytes)
{
    const int64_t moved = tg_file_read_upto(fd, data, bytes, 0);
    if (moved < 0) { return (int)moved; }
    return (size_t)moved == bytes ? 0 : -EIO;
}

tg_status tg_tick_file_read(const struct tg_store *store, const char *name, struct tg_arena *arena,
                            const uint8_t **data, size_t *bytes, struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    *data = NULL;
    *bytes = 0;
    const int fd = open_named(store, name, O_RDONLY);
    if (fd == -ENOENT) { return TG_OK; }
    if (fd < 0) { return not_read(store, name, fd, err); }
    tg_status status = TG_OK;
    uint8_t *memory = NULL;
    const int64_t size = ops->size(ops->self, fd);
    if (size < 0) {
        status = not_read(store, name, (int)size, err);
    } else if (size > TG_TICK_FILE_BYTES_MAX) {
        status = tg_fail(err, TG1512, 0, "%s: longer than any, %" PRId64 " bytes", name, size);
    } else if ((memory = tg_arena_alloc(arena, (size_t)size + 1, 16)) == NULL) {
        status = tg_fail(err, TG1601, ENOMEM, "no memory to read %s", name);
    } else {
        const int failed = read_all(fd, memory, (size_t)size);
        if (failed != 0) { status = not_read(store, name, failed, err); }
        *data = memory;
        *bytes = (size_t)size;
    }
    (void)ops->close(ops->self, fd);
    return status;
}

tg_status tg_tick_file_again(const struct tg_tick_file *file, void *data, size_t bytes, struct tg_error *err)
{
    TG_ASSERT(file->fd >= 0 && bytes <= file->bytes);
    const int failed = read_all(file->fd, data, bytes);
    return failed == 0 ? TG_OK : not_read(file->store, file->name, failed, err);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* Nothing stands behind the first `bytes` any more, durably. 0 or -errno. */
static int cut_off(int fd, uint64_t bytes)
{
    const struct tg_file_ops *ops = tg_file_ops();
    const int failed = ops->ftruncate(ops->self, fd, (int64_t)bytes);
    return failed != 0 ? failed : tg_file_sync(fd);
}

void tg_tick_file_begin(struct tg_tick_file *file, const struct tg_store *store, const char *name)
{
    *file = (struct tg_tick_file){.store = store, .fd = -1};
    (void)snprintf(file->name, sizeof file->name, "%s", name);
}

void tg_tick_file_close(struct tg_tick_file *file)
{
    const struct tg_file_ops *ops = tg_file_ops();
    if (file->store != NULL && file->fd >= 0) { (void)ops->close(ops->self, file->fd); }
    file->fd = -1;
}

tg_status tg_tick_file_repair(struct tg_tick_file *file, struct tg_error *err)
{
    if (!file->doubtful && !file->unnamed) { return TG_OK; }
    const tg_status status = tg_store_still_ours(file->store, err);
    if (status != TG_OK) { return status; }
    if (file->doubtful) {
        const int failed = cut_off(file->fd, file->bytes);
        if (failed != 0) { return not_written(file->store, "take back what was written to", file->name, failed, err); }
        file->doubtful = false;
    }
    if (file->unnamed) {
        const int failed = sync_folder(file->store);
        if (failed != 0) { return not_written(file->store, "make durable the name of", file->name, failed, err); }
        file->unnamed = false;
    }
    return TG_OK;
}

static int write_durably(int fd, const void *data, size_t bytes, uint64_t at)
{
    int failed = TG_FAILPOINT("ticks.write");
    if (failed != 0) { return -failed; }
    failed = tg_file_write_all(fd, data, bytes, (int64_t)at);
    if (failed != 0) { return failed; }
    failed = TG_FAILPOINT("ticks.sync");
    return failed != 0 ? -failed : tg_file_sync(fd);
}

tg_status tg_tick_file_append(struct tg_tick_file *file, const void *data, size_t bytes, struct tg_error *err)
{
    TG_ASSERT(file->fd >= 0);
    tg_status status = tg_store_still_ours(file->store, err);
    if (status == TG_OK) { status = tg_tick_file_repair(file, err); }
    if (status != TG_OK) { return status; }
    if (file->bytes + bytes > TG_TICK_FILE_BYTES_MAX) {
        return not_written(file->store, "lengthen", file->name, -EFBIG, err);
    }
    const int failed = write_durably(file->fd, data, bytes, file->bytes);
    if (failed != 0) {
        file->doubtful = true;
        if (tg_tick_file_repair(file, NULL) != TG_OK) { TG_ASSERT(file->doubtful || file->unnamed); }
        return not_written(file->store, "write", file->name, failed, err);
    }
    file->bytes += bytes;
    return TG_OK;
}

tg_status tg_tick_file_replace(struct tg_tick_file *file, const void *data, size_t bytes, struct tg_error *err)
{
    TG_ASSERT(!file->doubtful && bytes <= TG_TICK_FILE_BYTES_MAX);
    const struct tg_file_ops *ops = tg_file_ops();
    char new_name[TG_STORE_NAME_BYTES + 8];
    char old_path[TG_PLACE_BYTES];
    char new_path[TG_PLACE_BYTES];
    const tg_status status = tg_store_still_ours(file->store, err);
    if (status != TG_OK) { return status; }
    (void)snprintf(new_name, sizeof new_name, "%s.tmp", file->name);
    const int fd = open_named(file->store, new_name, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0) { return not_written(file->store, "create a new", file->name, fd, err); }
    int failed = write_durably(fd, data, bytes, 0);
    if (failed == 0) {
        failed = ops->rename(ops->self, tg_place_of(file->store->path, new_name, new_path),
                             tg_place_of(file->store->path, file->name, old_path));
    }
    if (failed != 0) {
        (void)ops->close(ops->self, fd);
        (void)ops->unlink(ops->self,
                          tg_place_of(file->store->path, new_name, new_path)); /* else the next one replaces it */
        return not_written(file->store, "write a new", file->name, failed, err);
    }
    tg_tick_file_close(file);
    file->fd = fd;
    file->bytes = bytes;
    file->unnamed = true;
    return tg_tick_file_repair(file, err);
}

tg_status tg_tick_file_remove(const struct tg_store *store, struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char path[TG_PLACE_BYTES];
    const tg_status status = tg_store_still_ours(store, err);
    if (status != TG_OK) { return status; }
    int failed = ops->unlink(ops->self, tg_place_of(store->path, TG_TICK_FILE_NAME, path));
    if (failed == -ENOENT) { return TG_OK; }
    if (failed == 0) { failed = sync_folder(store); }
    return failed == 0 ? TG_OK : not_written(store, "remove", TG_TICK_FILE_NAME, failed, err);
}

/* ---- files that nobody needs ------------------------------------------------------------------------------------- */

enum { SWEPT_MAX = 64 }; /* more of them are the next call's */

struct unneeded {
    uint32_t kept_count;
    const char (*kept)[TG_STORE_NAME_BYTES];
    uint32_t count;
    char names[SWEPT_MAX][TG_STORE_NAME_BYTES];
};

static bool is_of_run(const char *name)
{
    const size_t prefix = strlen(TG_TICK_FILE_PREFIX);
    if (strncmp(name, TG_TICK_FILE_PREFIX, prefix) != 0) { return false; }
    if (strspn(name + prefix, "0123456789abcdef") != TG_TICK_FILE_RUN_DIGITS) { return false; }
    const char *rest = name + prefix + TG_TICK_FILE_RUN_DIGITS;
    return strcmp(rest, TG_TICK_FILE_SUFFIX) == 0 || strcmp(rest, TG_TICK_FILE_SUFFIX ".tmp") == 0;
}

static void found_name(void *to, const char *name)
{
    struct unneeded *unneeded = to;
    if (!is_of_run(name) || unneeded->count == SWEPT_MAX) { return; }
    for (uint32_t i = 0; i < unneeded->kept_count; i++) {
        if (strcmp(name, unneeded->kept[i]) == 0) { return; }
    }
    memcpy(unneeded->names[unneeded->count++], name, strlen(name) + 1);
}

tg_status tg_tick_file_sweep(const struct tg_store *store, uint32_t count, const char (*kept)[TG_STORE_NAME_BYTES],
                             struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    struct unneeded unneeded = {.kept_count = count, .kept = kept};
    int failed = ops->list(ops->self, store->path, found_name, &unneeded);
    if (failed != 0) { return tg_fail(err, TG1511, -failed, "checkpoint directory %s: cannot list it", store->path); }
    if (unneeded.count == 0) { return TG_OK; }
    const tg_status status = tg_store_still_ours(store, err);
    if (status != TG_OK) { return status; }
    for (uint32_t i = 0; i < unneeded.count; i++) {
        char path[TG_PLACE_BYTES];
        failed = ops->unlink(ops->self, tg_place_of(store->path, unneeded.names[i], path));
        if (failed != 0 && failed != -ENOENT) { return not_written(store, "remove", unneeded.names[i], failed, err); }
    }
    return TG_OK;
}
