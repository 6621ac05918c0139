/* An SQLite file system that fails on purpose: the k-th write, sync, truncate, open or mapping and the ones after it,
 * for a while. Everything else goes to SQLite's own. It becomes the default, so that the sink under test uses it
 * unknowingly. */
#ifndef TG_TESTS_FAULTY_VFS_H
#define TG_TESTS_FAULTY_VFS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct faulty_file {
    sqlite3_file base;
    sqlite3_file *real; /* lies behind this struct */
};

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    int code;       /* what a failing write says */
    uint64_t first; /* 1-based number of the first call that fails; 0 = none */
    uint64_t count;
    uint64_t calls;
    bool hit;
    bool unsynced; /* something was written since the last sync that worked */
} faulty_vfs;

static inline bool vfs_fails(void)
{
    faulty_vfs.calls++;
    const bool now = faulty_vfs.first != 0 && faulty_vfs.calls >= faulty_vfs.first &&
                     faulty_vfs.calls < faulty_vfs.first + faulty_vfs.count;
    faulty_vfs.hit = faulty_vfs.hit || now;
    return now;
}

static inline sqlite3_file *real_of(sqlite3_file *file) { return ((struct faulty_file *)(void *)file)->real; }

static inline int vfs_close(sqlite3_file *file) { return real_of(file)->pMethods->xClose(real_of(file)); }
static inline int vfs_read(sqlite3_file *file, void *data, int bytes, sqlite3_int64 offset)
{
    return real_of(file)->pMethods->xRead(real_of(file), data, bytes, offset);
}
static inline int vfs_write(sqlite3_file *file, const void *data, int bytes, sqlite3_int64 offset)
{
    faulty_vfs.unsynced = true;
    if (vfs_fails()) {
        (void)real_of(file)->pMethods->xWrite(real_of(file), data, bytes / 2, offset); /* torn, too */
        return faulty_vfs.code;
    }
    return real_of(file)->pMethods->xWrite(real_of(file), data, bytes, offset);
}
static inline int vfs_truncate(sqlite3_file *file, sqlite3_int64 bytes)
{
    return vfs_fails() ? SQLITE_IOERR_TRUNCATE : real_of(file)->pMethods->xTruncate(real_of(file), bytes);
}
static inline int vfs_sync(sqlite3_file *file, int flags)
{
    if (vfs_fails()) { return SQLITE_IOERR_FSYNC; }
    faulty_vfs.unsynced = false;
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}
static inline int vfs_size(sqlite3_file *file, sqlite3_int64 *bytes)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), bytes);
}
static inline int vfs_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}
static inline int vfs_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}
static inline int vfs_reserved(sqlite3_file *file, int *result)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), result);
}
static inline int vfs_control(sqlite3_file *file, int op, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, argument);
}
static inline int vfs_sector(sqlite3_file *file) { return real_of(file)->pMethods->xSectorSize(real_of(file)); }
static inline int vfs_device(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}
static inline int vfs_map(sqlite3_file *file, int page, int bytes, int extend, void volatile **out)
{
    return vfs_fails() ? SQLITE_IOERR_SHMMAP
        : real_of(file)->pMethods->xShmMap(real_of(file), page, bytes, extend, out);
}
static inline int vfs_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}
static inline void vfs_barrier(sqlite3_file *file) { real_of(file)->pMethods->xShmBarrier(real_of(file)); }
static inline int vfs_unmap(sqlite3_file *file, int drop)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), drop);
}

static const sqlite3_io_methods faulty_methods = {
    .iVersion = 2, .xClose = vfs_close, .xRead = vfs_read, .xWrite = vfs_write, .xTruncate = vfs_truncate,
    .xSync = vfs_sync,
    .xFileSize = vfs_size, .xLock = vfs_lock, .xUnlock = vfs_unlock, .xCheckReservedLock = vfs_reserved,
    .xFileControl = vfs_control, .xSectorSize = vfs_sector, .xDeviceCharacteristics = vfs_device, .xShmMap = vfs_map,
    .xShmLock = vfs_shm_lock, .xShmBarrier = vfs_barrier, .xShmUnmap = vfs_unmap,
};

static inline int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    struct faulty_file *faulty = (struct faulty_file *)(void *)file;
    (void)vfs;
    faulty->base.pMethods = NULL;
    faulty->real = (sqlite3_file *)(void *)(faulty + 1);
    if (vfs_fails()) { return SQLITE_CANTOPEN; }
    const int outcome = faulty_vfs.real->xOpen(faulty_vfs.real, name, faulty->real, flags, out_flags);
    if (faulty->real->pMethods != NULL) { faulty->base.pMethods = &faulty_methods; }
    return outcome;
}

/* Make it the default file system of SQLite, failing nothing yet. */
static inline void faulty_vfs_use(void)
{
    faulty_vfs.real = sqlite3_vfs_find(NULL);
    faulty_vfs.vfs = *faulty_vfs.real;
    faulty_vfs.vfs.zName = "faulty";
    faulty_vfs.vfs.szOsFile = (int)sizeof(struct faulty_file) + faulty_vfs.real->szOsFile;
    faulty_vfs.vfs.xOpen = vfs_open;
    (void)sqlite3_vfs_register(&faulty_vfs.vfs, 1);
}

#endif
