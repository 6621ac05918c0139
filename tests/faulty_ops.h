/* File calls that fail on purpose: the k-th call and the ones after it, for a while, in one of several ways. Everything
 * else goes to the real calls. */
#ifndef TG_TESTS_FAULTY_OPS_H
#define TG_TESTS_FAULTY_OPS_H

#include <errno.h>
#include <stdbool.h>

#include "io/file_ops.h"

enum faulty_way {
    FAULTY_EIO,
    FAULTY_ENOSPC,
    FAULTY_SHORT,      /* half of a write, then no space; other calls: EIO */
    FAULTY_TORN_ERROR, /* a write that wrote half and says EIO */
    FAULTY_EINTR,
    FAULTY_EROFS,      /* nothing that waiting would end */
    FAULTY_TORN_EROFS, /* a write that wrote half and says so */
    FAULTY_WAYS,
    FAULTY_ENOENT = FAULTY_WAYS, /* somebody was quicker; not one of the ways of disks */
};

struct faulty {
    const struct tg_file_ops *real;
    struct tg_file_ops ops;
    enum faulty_way way;
    uint64_t first; /* 1-based number of the first call that fails; 0 = none */
    uint64_t count; /* how many fail in a row */
    uint64_t calls;
    bool sync_failed;
    bool unsynced; /* something was written since the last fdatasync that worked */
    bool hit;
};

static inline bool faulty_now(struct faulty *faulty)
{
    faulty->calls++;
    const bool now = faulty->first != 0 && faulty->calls >= faulty->first &&
        faulty->calls < faulty->first + faulty->count;
    faulty->hit = faulty->hit || now;
    return now;
}
static inline int faulty_errno(const struct faulty *faulty)
{
    switch (faulty->way) {
    case FAULTY_ENOSPC: return ENOSPC;
    case FAULTY_ENOENT: return ENOENT;
    case FAULTY_EINTR: return EINTR;
    case FAULTY_EROFS:
    case FAULTY_TORN_EROFS: return EROFS;
    default: return EIO;
    }
}

static inline int faulty_open(void *self, const char *path, int flags, uint32_t mode)
{
    struct faulty *f = self;
    return faulty_now(f) ? -faulty_errno(f) : f->real->open(f->real->self, path, flags, mode);
}
static inline int faulty_close(void *self, int fd)
{
    struct faulty *f = self;
    return f->real->close(f->real->self, fd);
}
static inline int64_t faulty_size(void *self, int fd)
{
    struct faulty *f = self;
    return faulty_now(f) ? -faulty_errno(f) : f->real->size(f->real->self, fd);
}
static inline int64_t faulty_pread(void *self, int fd, void *data, size_t bytes, int64_t offset)
{
    struct faulty *f = self;
    if (!faulty_now(f)) { return f->real->pread(f->real->self, fd, data, bytes, offset); }
    if (f->way == FAULTY_SHORT && bytes > 1) { return f->real->pread(f->real->self, fd, data, bytes / 2, offset); }
    return -faulty_errno(f);
}
static inline int64_t faulty_pwrite(void *self, int fd, const void *data, size_t bytes, int64_t offset)
{
    struct faulty *f = self;
    f->unsynced = true;
    if (!faulty_now(f)) { return f->real->pwrite(f->real->self, fd, data, bytes, offset); }
    const bool torn = f->way == FAULTY_SHORT || f->way == FAULTY_TORN_ERROR || f->way == FAULTY_TORN_EROFS;
    if (!torn) { return -faulty_errno(f); }
    const int64_t half = bytes > 1 ? f->real->pwrite(f->real->self, fd, data, bytes / 2, offset) : 0;
    return f->way == FAULTY_SHORT ? half : -faulty_errno(f);
}
static inline int64_t faulty_write(void *self, int fd, const void *data, size_t bytes)
{
    struct faulty *f = self;
    if (!faulty_now(f)) { return f->real->write(f->real->self, fd, data, bytes); }
    if (f->way == FAULTY_SHORT && bytes > 1) { return f->real->write(f->real->self, fd, data, bytes / 2); }
    return -faulty_errno(f);
}
static inline int faulty_writable(void *self, int fd, int timeout_ms)
{
    struct faulty *f = self;
    return faulty_now(f) ? -faulty_errno(f) : f->real->writable(f->real->self, fd, timeout_ms);
}
static inline int faulty_ftruncate(void *self, int fd, int64_t bytes)
{
    struct faulty *f = self;
    return faulty_now(f) ? -faulty_errno(f) : f->real->ftruncate(f->real->self, fd, bytes);
}
static inline int faulty_fdatasync(void *self, int fd)
{
    struct faulty *f = self;
    if (!faulty_now(f)) {
        f->unsynced = false;
        return f->real->fdatasync(f->real->self, fd);
    }
    f->sync_failed = f->sync_failed || f->way != FAULTY_EINTR;
    return -faulty_errno(f);
}
static inline int faulty_lock(void *self, int fd)
{
    struct faulty *f = self;
    return faulty_now(f) ? -faulty_errno(f) : f->real->lock(f->real->self, fd);
}
static inline int faulty_rename(void *self, const char *from, const char *to)
{
    struct faulty *f = self;
    return faulty_now(f) ? -faulty_errno(f) : f->real->rename(f->real->self, from, to);
}
static inline int faulty_mkdir(void *self, const char *path, uint32_t mode)
{
    struct faulty *f = self;
    return faulty_now(f) ? -faulty_errno(f) : f->real->mkdir(f->real->self, path, mode);
}
static inline int faulty_unlink(void *self, const char *path)
{
    struct faulty *f = self;
    return faulty_now(f) ? -faulty_errno(f) : f->real->unlink(f->real->self, path);
}
static inline int faulty_rmdir(void *self, const char *path)
{
    struct faulty *f = self;
    return faulty_now(f) ? -faulty_errno(f) : f->real->rmdir(f->real->self, path);
}
static inline int faulty_list(void *self, const char *path, void (*found)(void *to, const char *name), void *to)
{
    struct faulty *f = self;
    return faulty_now(f) ? -faulty_errno(f) : f->real->list(f->real->self, path, found, to);
}
static inline int faulty_sync_dir(void *self, const char *path)
{
    struct faulty *f = self;
    return faulty_now(f) ? -faulty_errno(f) : f->real->sync_dir(f->real->self, path);
}

/* Put the faulty calls in force; tg_file_ops_use(NULL) ends it. */
static inline void faulty_use(struct faulty *faulty, enum faulty_way way, uint64_t first, uint64_t count)
{
    tg_file_ops_use(NULL);
    *faulty = (struct faulty){.real = tg_file_ops(), .way = way, .first = first, .count = count};
    faulty->ops = (struct tg_file_ops){.open = faulty_open, .close = faulty_close, .size = faulty_size,
                                       .pread = faulty_pread,
                                       .pwrite = faulty_pwrite, .write = faulty_write, .writable = faulty_writable,
                                       .ftruncate = faulty_ftruncate, .fdatasync = faulty_fdatasync,
                                       .lock = faulty_lock,
                                       .rename = faulty_rename, .mkdir = faulty_mkdir,
                                       .unlink = faulty_unlink, .rmdir = faulty_rmdir, .list = faulty_list,
                                       .sync_dir = faulty_sync_dir, .self = faulty};
    tg_file_ops_use(&faulty->ops);
}

#endif
