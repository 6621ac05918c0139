/* The file calls over the tree, and what goes wrong with them. */
#include "engine/sim/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "engine/sim/disk_tree.h"

enum {
    FD_FIRST = 1 << 16,
    FDS_MAX = 1024,
    NODE_BYTES = 256,
    COLLECT_EVERY = 128,
    PATH_BYTES = 512,
    BLOCK_BYTES = 4096
};

struct tg_sim_disk {
    struct tg_file_ops ops;
    struct tg_sim_tree tree;
    struct tg_sim_node *fds[FDS_MAX]; /* NULL = free */
    bool locks[FDS_MAX];              /* that descriptor holds its file's lock */
    bool directs[FDS_MAX];            /* that descriptor was opened with O_DIRECT */
    enum tg_sim_direct direct;
    struct tg_sim_disk_faults faults;
    uint64_t budget;
    uint64_t faulted;
    uint32_t digest;
    uint32_t removals; /* since the last collection */
    bool frozen;
    void (*called)(void *self); /* NULL = nobody watches */
    void *watcher;
    struct tg_prng prng;
    struct tg_prng looked_prng; /* while somebody looks: as it was */
    struct tg_sim_disk_faults looked_faults;
};

/* A call that would change something begins. */
static void announce(const struct tg_sim_disk *disk)
{
    if (disk->called != NULL && !disk->frozen) { disk->called(disk->watcher); }
}

static void note(struct tg_sim_disk *disk, const void *data, size_t bytes)
{
    disk->digest = tg_crc32c(disk->digest, data, bytes);
}

static void note_path(struct tg_sim_disk *disk, const char *path) { note(disk, path, strlen(path) + 1); }

/* ---- faults ------------------------------------------------------------------------------------------------------ */

static bool strikes(struct tg_sim_disk *disk, uint32_t ppm)
{
    if (ppm == 0 || tg_prng_below(&disk->prng, 1000000) >= ppm) { return false; }
    disk->faulted++;
    return true;
}

/* Bytes that may be added. */
static uint64_t room(const struct tg_sim_disk *disk)
{
    if (disk->budget == UINT64_MAX) { return UINT64_MAX; }
    uint64_t used = 0;
    for (uint32_t i = 0; i < disk->tree.node_count; i++) {
        const struct tg_sim_node *node = disk->tree.nodes[i];
        if (node->links > 0 || node->opens > 0) { used += NODE_BYTES + node->file.seen.used; }
    }
    return used < disk->budget ? disk->budget - used : 0;
}

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

static struct tg_sim_node *node_of(const struct tg_sim_disk *disk, int fd)
{
    if (fd < FD_FIRST || fd >= FD_FIRST + FDS_MAX) { return NULL; }
    return disk->fds[fd - FD_FIRST];
}

static int fd_give(struct tg_sim_disk *disk, struct tg_sim_node *node, int flags)
{
    const bool direct = (flags & O_DIRECT) != 0;
    if (direct && disk->direct == TG_SIM_DIRECT_REFUSED) { return -EINVAL; }
    if (direct && disk->direct == TG_SIM_DIRECT_UNKNOWN) { return -EOPNOTSUPP; }
    for (int i = 0; i < FDS_MAX; i++) {
        if (disk->fds[i] != NULL) { continue; }
        disk->fds[i] = node;
        disk->locks[i] = false;
        disk->directs[i] = direct;
        node->opens++;
        return FD_FIRST + i;
    }
    return -EMFILE;
}

static int create_file(struct tg_sim_disk *disk, struct tg_sim_node *folder, const char *name,
                       struct tg_sim_node **node)
{
    if (strikes(disk, disk->faults.entry_ppm)) { return -EIO; }
    if (room(disk) < NODE_BYTES) { return -ENOSPC; }
    *node = tg_sim_tree_node(&disk->tree, false);
    tg_sim_tree_set(&disk->tree, folder, name, *node);
    return 0;
}

static int sim_open(void *self, const char *path, int flags, uint32_t mode)
{
    (void)mode;
    struct tg_sim_disk *disk = self;
    struct tg_sim_node *folder;
    char name[TG_SIM_NAME_BYTES];
    int failed = 0;
    if ((flags & O_CREAT) != 0) { announce(disk); }
    if (disk->frozen) { return -EIO; }
    if ((flags & O_CREAT) != 0) { note_path(disk, path); }
    struct tg_sim_node *node = tg_sim_tree_find(&disk->tree, path, &folder, name, &failed);
    if (failed != 0) { return failed; }
    if (node == NULL) {
        failed = (flags & O_CREAT) != 0 ? create_file(disk, folder, name, &node) : -ENOENT;
        return failed != 0 ? failed : fd_give(disk, node, flags);
    }
    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) { return -EEXIST; }
    const bool for_writing = (flags & O_ACCMODE) != O_RDONLY;
    if (node->is_folder && for_writing) { return -EISDIR; }
    if (!node->is_folder && (flags & O_DIRECTORY) != 0) { return -ENOTDIR; }
    if ((flags & O_TRUNC) != 0 && for_writing) { tg_sim_file_truncate(&node->file, 0); }
    return fd_give(disk, node, flags);
}

static int sim_close(void *self, int fd)
{
    struct tg_sim_disk *disk = self;
    struct tg_sim_node *node = node_of(disk, fd);
    if (node == NULL) { return -EBADF; }
    if (disk->locks[fd - FD_FIRST]) { node->locked = false; }
    disk->fds[fd - FD_FIRST] = NULL;
    node->opens--;
    return 0;
}

static int sim_lock(void *self, int fd)
{
    struct tg_sim_disk *disk = self;
    struct tg_sim_node *node = node_of(disk, fd);
    if (disk->frozen || node == NULL) { return disk->frozen ? -EIO : -EBADF; }
    if (disk->locks[fd - FD_FIRST]) { return 0; }
    if (node->locked) { return -EWOULDBLOCK; }
    node->locked = true;
    disk->locks[fd - FD_FIRST] = true;
    return 0;
}

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

/* The file behind a descriptor; NULL with *failed set. */
static struct tg_sim_file *file_of(struct tg_sim_disk *disk, int fd, int *failed)
{
    struct tg_sim_node *node = node_of(disk, fd);
    *failed = disk->frozen ? -EIO : node == NULL ? -EBADF : node->is_folder ? -EISDIR : 0;
    return *failed != 0 ? NULL : &node->file;
}

static int64_t sim_size(void *self, int fd)
{
    int failed = 0;
    const struct tg_sim_file *file = file_of(self, fd, &failed);
    return file != NULL ? (int64_t)file->seen.used : failed == -EISDIR ? -ESPIPE : failed;
}

static int64_t sim_pread(void *self, int fd, void *data, size_t bytes, int64_t offset)
{
    struct tg_sim_disk *disk = self;
    int failed = 0;
    const struct tg_sim_file *file = file_of(disk, fd, &failed);
    if (file == NULL) { return failed; }
    if (strikes(disk, disk->faults.read_ppm)) { return -EIO; }
    if (offset < 0 || (uint64_t)offset >= file->seen.used) { return 0; }
    const size_t left = file->seen.used - (size_t)offset;
    size_t count = bytes < left ? bytes : left;
    if (count > 1 && strikes(disk, disk->faults.short_ppm)) { count = 1 + tg_prng_below(&disk->prng, (uint32_t)count); }
    memcpy(data, file->seen.data + offset, count);
    return (int64_t)count;
}

/* How many of `bytes` at `offset` there is room for. */
static size_t fitting(const struct tg_sim_disk *disk, const struct tg_sim_file *file, size_t offset, size_t bytes)
{
    const uint64_t free_bytes = room(disk);
    if (free_bytes >= bytes) { return bytes; }
    const uint64_t end = file->seen.used + free_bytes;
    return end > offset ? (end - offset < bytes ? (size_t)(end - offset) : bytes) : 0;
}

/* May a write to this descriptor be of that shape? */
static bool fits_blocks(const struct tg_sim_disk *disk, int fd, const void *data, size_t bytes, int64_t offset)
{
    if (!disk->directs[fd - FD_FIRST]) { return true; }
    const uint64_t all = (uintptr_t)data | bytes | (uint64_t)offset;
    return disk->direct == TG_SIM_DIRECT && all % BLOCK_BYTES == 0;
}

/* How many bytes of a write are fewer than `bytes`; of a direct one, which may stop within a block, whole sectors. */
static size_t fewer(struct tg_sim_disk *disk, int fd, size_t bytes)
{
    const size_t count = 1 + tg_prng_below(&disk->prng, (uint32_t)bytes);
    if (!disk->directs[fd - FD_FIRST] || count == bytes || bytes < TG_SIM_SECTOR_BYTES) { return count; }
    return count < TG_SIM_SECTOR_BYTES ? TG_SIM_SECTOR_BYTES : count / TG_SIM_SECTOR_BYTES * TG_SIM_SECTOR_BYTES;
}

static int64_t sim_pwrite(void *self, int fd, const void *data, size_t bytes, int64_t offset)
{
    struct tg_sim_disk *disk = self;
    announce(disk);
    int failed = 0;
    struct tg_sim_file *file = file_of(disk, fd, &failed);
    if (file == NULL || bytes == 0) { return failed; }
    if (!fits_blocks(disk, fd, data, bytes, offset)) { return -EINVAL; }
    note(disk, &offset, sizeof offset);
    note(disk, data, bytes);
    size_t count = fitting(disk, file, (size_t)offset, bytes);
    if (count == 0) {
        disk->faulted++;
        return -ENOSPC;
    }
    const bool fails = strikes(disk, disk->faults.write_ppm);
    if (fails) { count = tg_prng_below(&disk->prng, (uint32_t)count + 1); }
    if (count > 1 && strikes(disk, disk->faults.short_ppm)) { count = fewer(disk, fd, count); }
    tg_sim_file_write(file, (size_t)offset, data, count);
    return fails ? -EIO : (int64_t)count;
}

/* Nothing here is a stream. */
static int64_t sim_write(void *self, int fd, const void *data, size_t bytes)
{
    (void)self;
    (void)fd;
    (void)data;
    (void)bytes;
    return -EBADF;
}

static int sim_writable(void *self, int fd, int timeout_ms)
{
    (void)timeout_ms;
    const struct tg_sim_disk *disk = self;
    return disk->frozen ? -EIO : node_of(disk, fd) != NULL ? 1 : -EBADF;
}

static int sim_ftruncate(void *self, int fd, int64_t bytes)
{
    struct tg_sim_disk *disk = self;
    announce(disk);
    int failed = 0;
    struct tg_sim_file *file = file_of(disk, fd, &failed);
    if (file == NULL) { return failed; }
    if (strikes(disk, disk->faults.write_ppm)) { return -EIO; }
    if ((uint64_t)bytes > file->seen.used && (uint64_t)bytes - file->seen.used > room(disk)) { return -ENOSPC; }
    tg_sim_file_truncate(file, (size_t)bytes);
    return 0;
}

static int sim_fdatasync(void *self, int fd)
{
    struct tg_sim_disk *disk = self;
    announce(disk);
    int failed = 0;
    struct tg_sim_file *file = file_of(disk, fd, &failed);
    if (file == NULL) { return failed; }
    if (strikes(disk, disk->faults.sync_ppm)) {
        tg_sim_file_sync_failed(file, &disk->prng);
        return -EIO;
    }
    tg_sim_file_sync(file);
    return 0;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static void removed(struct tg_sim_disk *disk)
{
    if (++disk->removals % COLLECT_EVERY == 0) { tg_sim_tree_collect(&disk->tree); }
}

/* Is `node` `below` or a folder on the way to it? A folder has one name, so the way down from `node` finds out. */
static bool contains(const struct tg_sim_disk *disk, const struct tg_sim_node *node, const struct tg_sim_node *below)
{
    const struct tg_sim_node *at = below;
    for (uint32_t round = 0; at != NULL && at != node && round < disk->tree.node_count; round++) {
        const struct tg_sim_node *parent = NULL;
        for (uint32_t i = 0; i < disk->tree.node_count && parent == NULL; i++) {
            const struct tg_sim_entries *entries = &disk->tree.nodes[i]->seen;
            for (uint32_t e = 0; e < entries->count; e++) {
                if (entries->list[e].node == at) { parent = disk->tree.nodes[i]; }
            }
        }
        at = parent;
    }
    return at == node;
}

/* 0 when `node` may take the place of `there`. */
static int may_replace(const struct tg_sim_node *node, const struct tg_sim_node *there)
{
    if (there == NULL || there == node) { return 0; }
    if (there->is_folder != node->is_folder) { return there->is_folder ? -EISDIR : -ENOTDIR; }
    return there->is_folder && there->seen.count > 0 ? -ENOTEMPTY : 0;
}

static int sim_rename(void *self, const char *from, const char *to)
{
    struct tg_sim_disk *disk = self;
    struct tg_sim_node *folders[2];
    char names[2][TG_SIM_NAME_BYTES];
    announce(disk);
    int failed = 0;
    if (disk->frozen) { return -EIO; }
    note_path(disk, from);
    note_path(disk, to);
    struct tg_sim_node *node = tg_sim_tree_find(&disk->tree, from, &folders[0], names[0], &failed);
    if (failed == 0 && node == NULL) { failed = -ENOENT; }
    if (failed != 0) { return failed; }
    struct tg_sim_node *there = tg_sim_tree_find(&disk->tree, to, &folders[1], names[1], &failed);
    if (failed == 0) { failed = may_replace(node, there); }
    if (failed == 0 && (folders[0] == NULL || folders[1] == NULL)) { failed = -EBUSY; }
    if (failed == 0 && node->is_folder && contains(disk, node, folders[1])) { failed = -EINVAL; }
    if (failed != 0 || node == there) { return failed; }
    if (strikes(disk, disk->faults.entry_ppm)) { return -EIO; }
    tg_sim_tree_rename(&disk->tree, folders[0], names[0], folders[1], names[1]);
    removed(disk);
    return 0;
}

static int sim_mkdir(void *self, const char *path, uint32_t mode)
{
    (void)mode;
    struct tg_sim_disk *disk = self;
    struct tg_sim_node *folder;
    char name[TG_SIM_NAME_BYTES];
    announce(disk);
    int failed = 0;
    if (disk->frozen) { return -EIO; }
    note_path(disk, path);
    const struct tg_sim_node *there = tg_sim_tree_find(&disk->tree, path, &folder, name, &failed);
    if (failed != 0) { return failed; }
    if (there != NULL) { return -EEXIST; }
    if (strikes(disk, disk->faults.entry_ppm)) { return -EIO; }
    if (room(disk) < NODE_BYTES) { return -ENOSPC; }
    tg_sim_tree_set(&disk->tree, folder, name, tg_sim_tree_node(&disk->tree, true));
    return 0;
}

static int remove_name(struct tg_sim_disk *disk, const char *path, bool is_folder)
{
    struct tg_sim_node *folder;
    char name[TG_SIM_NAME_BYTES];
    announce(disk);
    int failed = 0;
    if (disk->frozen) { return -EIO; }
    note_path(disk, path);
    const struct tg_sim_node *node = tg_sim_tree_find(&disk->tree, path, &folder, name, &failed);
    if (failed == 0 && node == NULL) { failed = -ENOENT; }
    if (failed == 0 && node->is_folder != is_folder) { failed = is_folder ? -ENOTDIR : -EISDIR; }
    if (failed == 0 && folder == NULL) { failed = -EBUSY; }
    if (failed == 0 && is_folder && node->seen.count > 0) { failed = -ENOTEMPTY; }
    if (failed == 0 && strikes(disk, disk->faults.entry_ppm)) { failed = -EIO; }
    if (failed != 0) { return failed; }
    tg_sim_tree_set(&disk->tree, folder, name, NULL);
    removed(disk);
    return 0;
}

static int sim_unlink(void *self, const char *path) { return remove_name(self, path, false); }
static int sim_rmdir(void *self, const char *path) { return remove_name(self, path, true); }

/* The folder of that name; NULL with *failed set. */
static struct tg_sim_node *folder_of(struct tg_sim_disk *disk, const char *path, int *failed)
{
    struct tg_sim_node *folder;
    char name[TG_SIM_NAME_BYTES];
    *failed = disk->frozen ? -EIO : 0;
    if (*failed != 0) { return NULL; }
    struct tg_sim_node *node = tg_sim_tree_find(&disk->tree, path, &folder, name, failed);
    if (node == NULL && *failed == 0) { *failed = -ENOENT; }
    if (node != NULL && !node->is_folder) { *failed = -ENOTDIR; }
    return *failed == 0 ? node : NULL;
}

static int sim_list(void *self, const char *path, void (*found)(void *to, const char *name), void *to)
{
    struct tg_sim_disk *disk = self;
    int failed = 0;
    const struct tg_sim_node *node = folder_of(disk, path, &failed);
    if (node == NULL) { return failed; }
    /* From a drawn place on: nobody may rely on an order. */
    const uint32_t first = node->seen.count > 0 ? tg_prng_below(&disk->prng, node->seen.count) : 0;
    for (uint32_t i = 0; i < node->seen.count; i++) { found(to, node->seen.list[(first + i) % node->seen.count].name); }
    return 0;
}

static int sim_sync_dir(void *self, const char *path)
{
    struct tg_sim_disk *disk = self;
    announce(disk);
    int failed = 0;
    struct tg_sim_node *node = folder_of(disk, path, &failed);
    if (node == NULL) { return failed; }
    if (strikes(disk, disk->faults.sync_ppm)) { return -EIO; }
    tg_sim_tree_sync(&disk->tree, node);
    return 0;
}

/* ---- the disk as a whole ----------------------------------------------------------------------------------------- */

struct tg_sim_disk *tg_sim_disk_create(uint64_t seed)
{
    struct tg_sim_disk *disk = calloc(1, sizeof *disk);
    if (disk == NULL) { return NULL; }
    disk->ops = (struct tg_file_ops){
        .open = sim_open,
        .close = sim_close,
        .size = sim_size,
        .pread = sim_pread,
        .pwrite = sim_pwrite,
        .write = sim_write,
        .writable = sim_writable,
        .ftruncate = sim_ftruncate,
        .fdatasync = sim_fdatasync,
        .lock = sim_lock,
        .rename = sim_rename,
        .mkdir = sim_mkdir,
        .unlink = sim_unlink,
        .rmdir = sim_rmdir,
        .list = sim_list,
        .sync_dir = sim_sync_dir,
        .self = disk,
    };
    disk->budget = UINT64_MAX;
    disk->prng = (struct tg_prng){seed};
    tg_sim_tree_init(&disk->tree);
    return disk;
}

void tg_sim_disk_destroy(struct tg_sim_disk *disk)
{
    if (disk == NULL) { return; }
    tg_sim_tree_deinit(&disk->tree);
    free(disk);
}

const struct tg_file_ops *tg_sim_disk_ops(const struct tg_sim_disk *disk) { return &disk->ops; }

void tg_sim_disk_set_faults(struct tg_sim_disk *disk, const struct tg_sim_disk_faults *faults)
{
    disk->faults = *faults;
}

void tg_sim_disk_set_direct(struct tg_sim_disk *disk, enum tg_sim_direct direct) { disk->direct = direct; }

void tg_sim_disk_set_budget(struct tg_sim_disk *disk, uint64_t bytes) { disk->budget = bytes; }

uint32_t tg_sim_disk_digest(const struct tg_sim_disk *disk) { return disk->digest; }
uint64_t tg_sim_disk_faulted(const struct tg_sim_disk *disk) { return disk->faulted; }

void tg_sim_disk_watch(struct tg_sim_disk *disk, void (*called)(void *self), void *self)
{
    disk->called = called;
    disk->watcher = self;
}

void tg_sim_disk_freeze(struct tg_sim_disk *disk) { disk->frozen = true; }

void tg_sim_disk_crash(struct tg_sim_disk *disk, enum tg_sim_crash crash)
{
    for (int i = 0; i < FDS_MAX; i++) {
        if (disk->fds[i] != NULL) { (void)sim_close(disk, FD_FIRST + i); }
    }
    if (crash == TG_SIM_POWER) { tg_sim_tree_crash(&disk->tree, &disk->prng); }
    disk->frozen = false;
}

int tg_sim_disk_put(struct tg_sim_disk *disk, const char *path, const void *data, size_t bytes)
{
    const struct tg_sim_disk_faults faults = disk->faults;
    struct tg_sim_node *folder = NULL;
    char part[PATH_BYTES];
    const size_t length = strlen(path);
    if (length >= sizeof part) { return -ENAMETOOLONG; }
    disk->faults = (struct tg_sim_disk_faults){0};
    int failed = 0;
    for (size_t i = 1; i < length && (failed == 0 || failed == -EEXIST); i++) {
        if (path[i] != '/') { continue; }
        memcpy(part, path, i);
        part[i] = '\0';
        failed = sim_mkdir(disk, part, 0777);
    }
    const int fd = failed == 0 || failed == -EEXIST ? sim_open(disk, path, O_WRONLY | O_CREAT | O_TRUNC, 0666) : failed;
    disk->faults = faults;
    if (fd < 0) { return fd; }
    struct tg_sim_file *file = &disk->fds[fd - FD_FIRST]->file;
    tg_sim_file_write(file, 0, data, bytes);
    tg_sim_file_sync(file);
    (void)sim_close(disk, fd);
    for (uint32_t i = 0; i < disk->tree.node_count; i++) {
        folder = disk->tree.nodes[i];
        if (folder->is_folder) { tg_sim_tree_sync(&disk->tree, folder); }
    }
    return 0;
}

bool tg_sim_disk_get(const struct tg_sim_disk *disk, const char *path, const void **data, size_t *bytes)
{
    struct tg_sim_node *folder;
    char name[TG_SIM_NAME_BYTES];
    int failed = 0;
    const struct tg_sim_node *node = tg_sim_tree_find(&disk->tree, path, &folder, name, &failed);
    if (node == NULL || node->is_folder) { return false; }
    *data = node->file.seen.data;
    *bytes = node->file.seen.used;
    return true;
}

void tg_sim_disk_look_begin(struct tg_sim_disk *disk)
{
    disk->looked_prng = disk->prng;
    disk->looked_faults = disk->faults;
    disk->faults = (struct tg_sim_disk_faults){0};
}

void tg_sim_disk_look_end(struct tg_sim_disk *disk)
{
    disk->prng = disk->looked_prng;
    disk->faults = disk->looked_faults;
}

void tg_sim_disk_check(const struct tg_sim_disk *disk)
{
    for (uint32_t i = 0; i < disk->tree.node_count; i++) {
        const struct tg_sim_node *node = disk->tree.nodes[i];
        uint32_t links = i == 0 ? 1 : 0;
        uint32_t opens = 0;
        for (uint32_t n = 0; n < disk->tree.node_count; n++) {
            const struct tg_sim_entries *entries = &disk->tree.nodes[n]->seen;
            for (uint32_t e = 0; e < entries->count; e++) { links += entries->list[e].node == node; }
        }
        for (int fd = 0; fd < FDS_MAX; fd++) { opens += disk->fds[fd] == node; }
        TG_ASSERT(links == node->links && opens == node->opens);
        TG_ASSERT(node->is_folder || (node->seen.count == 0 && node->move_count == 0));
        TG_ASSERT(!node->is_folder || node->file.seen.used == 0);
    }
}
