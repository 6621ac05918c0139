/* The seam to the file system: every file a connector reads or writes goes through these calls, so that tests make the
 * k-th one fail and the simulator brings its own disk. Results are the system call's, or -errno; none of them retries,
 * short reads and writes are passed on. SQLite does its own I/O and is not behind this. */
#ifndef TG_IO_FILE_OPS_H
#define TG_IO_FILE_OPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

struct tg_file_ops {
    int (*open)(void *self, const char *path, int flags, uint32_t mode); /* O_CLOEXEC is added */
    int (*close)(void *self, int fd);
    int64_t (*size)(void *self, int fd); /* bytes of a regular file; -ESPIPE when it is none */
    int64_t (*pread)(void *self, int fd, void *data, size_t bytes, int64_t offset);
    int64_t (*pwrite)(void *self, int fd, const void *data, size_t bytes, int64_t offset);
    int64_t (*write)(void *self, int fd, const void *data, size_t bytes); /* streams: standard output */
    /* 1 = up to 4 KiB can be written at once without blocking, 0 = not yet */
    int (*writable)(void *self, int fd, int timeout_ms);
    int (*ftruncate)(void *self, int fd, int64_t bytes);
    int (*fdatasync)(void *self, int fd);
    int (*lock)(void *self, int fd); /* exclusive, for the life of fd; -EWOULDBLOCK when another one holds it */
    int (*rename)(void *self, const char *from, const char *to);
    int (*mkdir)(void *self, const char *path, uint32_t mode);
    int (*unlink)(void *self, const char *path);
    int (*rmdir)(void *self, const char *path);
    /* Names in a folder, in no order, without "." and ".."; `found` must not change the folder. */
    int (*list)(void *self, const char *path, void (*found)(void *to, const char *name), void *to);
    int (*sync_dir)(void *self, const char *path); /* its entries: what was created, renamed and removed in it */
    void *self;
};

/* The calls in force; the real ones unless tg_file_ops_use gave others.  @any */
const struct tg_file_ops *tg_file_ops(void);
/* Use `ops` (lent until the next call) from now on, in every thread; NULL = the real ones. Only while no connector is
 * open.  @setup */
void tg_file_ops_use(const struct tg_file_ops *ops);

/* Create the folders on the way to `path` (not `path` itself). 0 or -errno.  @setup */
TG_MUST_USE int tg_file_make_parents(const char *path);
/* Make the name of `path`, which exists, and those of all folders on the way to it durable: whoever made them may have
 * died before they were. A folder that we may not read is passed over: none of its entries is ours. 0 or -errno.
 * @setup */
TG_MUST_USE int tg_file_sync_way(const char *path);
/* Write all of data[bytes] at byte `at`, in as many calls as it takes. 0 or -errno; a failed one may have written some.
 * @any */
TG_MUST_USE int tg_file_write_all(int fd, const void *data, size_t bytes, int64_t at);
/* Read up to data[bytes] from byte `at` on, in as many calls as it takes; fewer only where the file ends. How many, or
 * -errno.  @any */
TG_MUST_USE int64_t tg_file_read_upto(int fd, void *data, size_t bytes, int64_t at);
/* Make the bytes of `fd` durable. 0 or -errno: then the kernel may have dropped some, and a second call would lie.
 * @any */
TG_MUST_USE int tg_file_sync(int fd);
/* Could `path`, which does not exist, be created, folders included? Asks the nearest folder that exists, changes
 * nothing. 0 or -errno.  @setup */
TG_MUST_USE int tg_file_creatable(const char *path);
/* True for errors that time or an operator's hand can end (no space, quota, I/O error, no memory): worth a retry.
 * @any */
int tg_file_may_recover(int os_errno);

#endif
