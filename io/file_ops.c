/* The real file calls, and the few things every user of files needs. */
#include "io/file_ops.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int real_open(void *self, const char *path, int flags, uint32_t mode)
{
    (void)self;
    const int fd = open(path, flags | O_CLOEXEC, (mode_t)mode);
    return fd >= 0 ? fd : -errno;
}

static int real_close(void *self, int fd)
{
    (void)self;
    return close(fd) == 0 ? 0 : -errno;
}

static int64_t real_size(void *self, int fd)
{
    (void)self;
    struct stat about;
    if (fstat(fd, &about) != 0) { return -errno; }
    return S_ISREG(about.st_mode) ? about.st_size : -ESPIPE;
}

static int64_t real_pread(void *self, int fd, void *data, size_t bytes, int64_t offset)
{
    (void)self;
    const ssize_t moved = pread(fd, data, bytes, offset);
    return moved >= 0 ? moved : -errno;
}

static int64_t real_pwrite(void *self, int fd, const void *data, size_t bytes, int64_t offset)
{
    (void)self;
    const ssize_t moved = pwrite(fd, data, bytes, offset);
    return moved >= 0 ? moved : -errno;
}

static int64_t real_write(void *self, int fd, const void *data, size_t bytes)
{
    (void)self;
    const ssize_t moved = write(fd, data, bytes);
    return moved >= 0 ? moved : -errno;
}

static int real_writable(void *self, int fd, int timeout_ms)
{
    (void)self;
    struct pollfd poller = {.fd = fd, .events = POLLOUT};
    const int ready = poll(&poller, 1, timeout_ms);
    return ready >= 0 ? ready : -errno; /* an error or a closed reader counts as ready: the write says which */
}

static int real_ftruncate(void *self, int fd, int64_t bytes)
{
    (void)self;
    return ftruncate(fd, bytes) == 0 ? 0 : -errno;
}

static int real_fdatasync(void *self, int fd)
{
    (void)self;
    return fdatasync(fd) == 0 ? 0 : -errno;
}

static int real_lock(void *self, int fd)
{
    (void)self;
    return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
}

static int real_rename(void *self, const char *from, const char *to)
{
    (void)self;
    return rename(from, to) == 0 ? 0 : -errno;
}

static int real_mkdir(void *self, const char *path, uint32_t mode)
{
    (void)self;
    return mkdir(path, (mode_t)mode) == 0 ? 0 : -errno;
}

static int real_unlink(void *self, const char *path)
{
    (void)self;
    return unlink(path) == 0 ? 0 : -errno;
}

static int real_rmdir(void *self, const char *path)
{
    (void)self;
    return rmdir(path) == 0 ? 0 : -errno;
}

static int real_list(void *self, const char *path, void (*found)(void *to, const char *name), void *to)
{
    (void)self;
    DIR *folder = opendir(path);
    if (folder == NULL) { return -errno; }
    errno = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) { found(to, entry->d_name); }
        errno = 0;
    }
    const int failed = errno; /* the only way to tell an error from the end */
    (void)closedir(folder);
    return -failed;
}

static int real_sync_dir(void *self, const char *path)
{
    (void)self;
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) { return -errno; }
    const int failed = fsync(fd) == 0 ? 0 : -errno;
    (void)close(fd);
    return failed;
}

static const struct tg_file_ops real_ops = {
    .open = real_open,
    .close = real_close,
    .size = real_size,
    .pread = real_pread,
    .pwrite = real_pwrite,
    .write = real_write,
    .writable = real_writable,
    .ftruncate = real_ftruncate,
    .fdatasync = real_fdatasync,
    .lock = real_lock,
    .rename = real_rename,
    .mkdir = real_mkdir,
    .unlink = real_unlink,
    .rmdir = real_rmdir,
    .list = real_list,
    .sync_dir = real_sync_dir,
    .self = NULL,
};
static const struct tg_file_ops *ops_in_force = &real_ops;

const struct tg_file_ops *tg_file_ops(void) { return ops_in_force; }

void tg_file_ops_use(const struct tg_file_ops *ops) { ops_in_force = ops != NULL ? ops : &real_ops; }

int tg_file_make_parents(const char *path)
{
    char folder[PATH_MAX];
    const size_t bytes = strlen(path);
    if (bytes >= sizeof folder) { return -ENAMETOOLONG; }
    for (size_t i = 1; i < bytes; i++) {
        if (path[i] != '/') { continue; }
        memcpy(folder, path, i);
        folder[i] = '\0';
        const int failed = ops_in_force->mkdir(ops_in_force->self, folder, 0777);
        if (failed != 0 && failed != -EEXIST) { return failed; }
    }
    return 0;
}

int tg_file_sync_way(const char *path)
{
    char folder[PATH_MAX];
    const size_t bytes = strlen(path);
    if (bytes >= sizeof folder) { return -ENAMETOOLONG; }
    memcpy(folder, path, bytes + 1);
    char *slash;
    do {
        slash = strrchr(folder, '/');
        if (slash != NULL) { slash[slash == folder] = '\0'; } /* "/x" lies in "/" */
        const char *holder = slash != NULL ? folder : ".";
        const int failed = ops_in_force->sync_dir(ops_in_force->self, holder);
        if (failed != 0 && failed != -EACCES) { return failed; }
    } while (slash != NULL && slash != folder);
    return 0;
}

int tg_file_write_all(int fd, const void *data, size_t bytes, int64_t at)
{
    size_t moved = 0;
    while (moved < bytes) {
        const int64_t result = ops_in_force->pwrite(ops_in_force->self, fd, (const uint8_t *)data + moved,
                                                    bytes - moved, at + (int64_t)moved);
        if (result == -EINTR) { continue; }
        if (result < 0) { return (int)result; }
        if (result == 0) { return -ENOSPC; } /* POSIX allows it; no progress is no space */
        moved += (size_t)result;
    }
    return 0;
}

int64_t tg_file_read_upto(int fd, void *data, size_t bytes, int64_t at)
{
    size_t moved = 0;
    while (moved < bytes) {
        const int64_t result =
            ops_in_force->pread(ops_in_force->self, fd, (uint8_t *)data + moved, bytes - moved, at + (int64_t)moved);
        if (result == -EINTR) { continue; }
        if (result < 0) { return result; }
        if (result == 0) { break; }
        moved += (size_t)result;
    }
    return (int64_t)moved;
}

int tg_file_sync(int fd)
{
    int failed = ops_in_force->fdatasync(ops_in_force->self, fd);
    while (failed == -EINTR) { failed = ops_in_force->fdatasync(ops_in_force->self, fd); }
    return failed;
}

int tg_file_creatable(const char *path)
{
    char folder[PATH_MAX];
    const size_t bytes = strlen(path);
    if (bytes >= sizeof folder) { return -ENAMETOOLONG; }
    memcpy(folder, path, bytes + 1);
    for (;;) {
        char *slash = strrchr(folder, '/');
        if (slash == NULL) { return access(".", W_OK | X_OK) == 0 ? 0 : -errno; }
        slash[slash == folder] = '\0'; /* "/x" ends at "/" */
        if (access(folder, W_OK | X_OK) == 0) { return 0; }
        if (errno != ENOENT || slash == folder) { return -errno; }
    }
}

int tg_file_may_recover(int os_errno)
{
    switch (os_errno) {
    case ENOSPC:
    case EDQUOT:
    case EIO:
    case ENOMEM:
    case ENOBUFS:
    case EAGAIN: return 1;
    default: return 0;
    }
}
