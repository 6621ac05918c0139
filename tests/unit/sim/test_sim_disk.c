/* The simulated disk: what was synced is there after any power cut, what was not may be gone in every legal way, and a
 * process that dies alone loses nothing. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "engine/sim/disk.h"
#include "tests/seed.h"

static struct tg_sim_disk *disk;
static const struct tg_file_ops *ops;

static void start(uint64_t seed)
{
    tg_sim_disk_destroy(disk);
    disk = tg_sim_disk_create(seed);
    cr_assert_not_null(disk);
    ops = tg_sim_disk_ops(disk);
}

static int open_file(const char *path)
{
    const int fd = ops->open(ops->self, path, O_RDWR | O_CREAT, 0666);
    cr_assert_geq(fd, 0, "%s: %d", path, fd);
    return fd;
}

static void write_at(int fd, const char *text, int64_t offset)
{
    cr_assert_eq(ops->pwrite(ops->self, fd, text, strlen(text), offset), (int64_t)strlen(text));
}

static void sync_file(int fd) { cr_assert_eq(ops->fdatasync(ops->self, fd), 0); }
static void sync_dir(const char *path) { cr_assert_eq(ops->sync_dir(ops->self, path), 0); }
static void rename_file(const char *from, const char *to) { cr_assert_eq(ops->rename(ops->self, from, to), 0); }

static bool holds(const char *path, const char *text)
{
    const void *data;
    size_t bytes;
    return tg_sim_disk_get(disk, path, &data, &bytes) && bytes == strlen(text) && memcmp(data, text, bytes) == 0;
}

static bool exists(const char *path)
{
    const void *data;
    size_t bytes;
    return tg_sim_disk_get(disk, path, &data, &bytes);
}

/* ---- digest ------------------------------------------------------------------------------------------------------ */

enum digest_change { SAME, OTHER_BYTE, OTHER_PLACE, OTHER_NAME, NO_SYNC };

static uint32_t digest_of(enum digest_change change)
{
    start(1);
    const int fd = open_file(change == OTHER_NAME ? "LOCH" : "LOCK");
    write_at(fd, change == OTHER_BYTE ? "pid 4712" : "pid 4711", change == OTHER_PLACE ? 1 : 0);
    if (change != NO_SYNC) { sync_file(fd); }
    rename_file(change == OTHER_NAME ? "LOCH" : "LOCK", "x");
    return tg_sim_disk_digest(disk);
}

Test(disk, its_digest_tells_every_byte_place_and_name)
{
    const uint32_t digest = digest_of(SAME);
    cr_assert_eq(digest_of(SAME), digest);
    cr_assert_neq(digest_of(OTHER_BYTE), digest);
    cr_assert_neq(digest_of(OTHER_PLACE), digest);
    cr_assert_neq(digest_of(OTHER_NAME), digest);
    cr_assert_eq(digest_of(NO_SYNC), digest); /* it is of what was written, not of what lasts */
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

Test(disk, reads_what_was_written_with_zeros_between)
{
    char data[16];
    start(1);
    const int fd = open_file("f");
    write_at(fd, "abc", 0);
    write_at(fd, "xy", 6);
    cr_assert_eq(ops->size(ops->self, fd), 8);
    cr_assert_eq(ops->pread(ops->self, fd, data, sizeof data, 0), 8);
    cr_assert_arr_eq(data, "abc\0\0\0xy", 8);
    cr_assert_eq(ops->pread(ops->self, fd, data, sizeof data, 8), 0);
    cr_assert_eq(ops->ftruncate(ops->self, fd, 2), 0);
    cr_assert(holds("f", "ab"));
    tg_sim_disk_check(disk);
}

Test(disk, errors_are_those_of_the_system_calls)
{
    start(1);
    const int fd = open_file("f");
    cr_assert_eq(ops->open(ops->self, "g", O_RDONLY, 0), -ENOENT);
    cr_assert_eq(ops->open(ops->self, "no/g", O_WRONLY | O_CREAT, 0), -ENOENT);
    cr_assert_eq(ops->open(ops->self, "f/g", O_WRONLY | O_CREAT, 0), -ENOTDIR);
    cr_assert_eq(ops->open(ops->self, "f", O_WRONLY | O_CREAT | O_EXCL, 0), -EEXIST);
    cr_assert_eq(ops->open(ops->self, "f", O_PATH | O_DIRECTORY, 0), -ENOTDIR);
    cr_assert_eq(ops->mkdir(ops->self, "d", 0777), 0);
    cr_assert_eq(ops->mkdir(ops->self, "d", 0777), -EEXIST);
    cr_assert_eq(ops->open(ops->self, "d", O_WRONLY, 0), -EISDIR);
    cr_assert_geq(ops->open(ops->self, "d/new", O_WRONLY | O_CREAT | O_EXCL, 0), 0);
    cr_assert_eq(ops->rmdir(ops->self, "d"), -ENOTEMPTY);
    cr_assert_eq(ops->unlink(ops->self, "d"), -EISDIR);
    cr_assert_eq(ops->rmdir(ops->self, "f"), -ENOTDIR);
    cr_assert_eq(ops->rename(ops->self, "d", "f"), -ENOTDIR);
    cr_assert_eq(ops->rename(ops->self, "f", "d"), -EISDIR);
    cr_assert_eq(ops->rename(ops->self, "d", "d/below"), -EINVAL);
    cr_assert_eq(ops->sync_dir(ops->self, "f"), -ENOTDIR);
    cr_assert_eq(ops->unlink(ops->self, "f"), 0);
    cr_assert(!exists("f"));
    write_at(fd, "still open", 0);
    cr_assert_eq(ops->size(ops->self, fd), 10);
    cr_assert_eq(ops->close(ops->self, fd), 0);
    cr_assert_eq(ops->close(ops->self, fd), -EBADF);
    tg_sim_disk_check(disk);
}

Test(disk, a_lock_is_one_descriptor_s_until_it_closes_or_dies)
{
    start(1);
    const int first = open_file("f");
    const int second = open_file("f");
    cr_assert_eq(ops->lock(ops->self, first), 0);
    cr_assert_eq(ops->lock(ops->self, second), -EWOULDBLOCK);
    cr_assert_eq(ops->close(ops->self, first), 0);
    cr_assert_eq(ops->lock(ops->self, second), 0);
    tg_sim_disk_crash(disk, TG_SIM_KILL);
    cr_assert_eq(ops->lock(ops->self, open_file("f")), 0);
}

static void count_name(void *to, const char *name)
{
    uint32_t *seen = to;
    *seen |= 1u << (name[0] - 'a');
}

Test(disk, lists_every_name_once)
{
    uint32_t seen = 0;
    start(1);
    cr_assert_eq(ops->mkdir(ops->self, "/d", 0777), 0);
    (void)open_file("/d/a");
    (void)open_file("/d/b");
    cr_assert_eq(ops->mkdir(ops->self, "/d/c", 0777), 0);
    (void)open_file("/d/c/d");
    cr_assert_eq(ops->list(ops->self, "/d", count_name, &seen), 0);
    cr_assert_eq(seen, 7);
    cr_assert_eq(ops->list(ops->self, "/e", count_name, &seen), -ENOENT);
}

Test(disk, a_full_disk_refuses_until_there_is_space_again)
{
    char big[4096];
    memset(big, 'x', sizeof big);
    start(1);
    const int fd = open_file("f");
    tg_sim_disk_set_budget(disk, 2 * 256 + 5000);
    int64_t at = 0;
    int64_t moved = 0;
    for (int i = 0; i < 4; i++) {
        moved = ops->pwrite(ops->self, fd, big, sizeof big, at);
        if (moved < 0) { break; }
        at += moved;
    }
    cr_assert_eq(moved, -ENOSPC);
    cr_assert_eq(at, 5000, "the last write was a short one");
    cr_assert_eq(ops->pwrite(ops->self, fd, big, sizeof big, 0), (int64_t)sizeof big, "it has blocks");
    cr_assert_eq(ops->open(ops->self, "g", O_WRONLY | O_CREAT, 0), -ENOSPC);
    tg_sim_disk_set_budget(disk, 1 << 20);
    cr_assert_eq(ops->pwrite(ops->self, fd, big, sizeof big, at), (int64_t)sizeof big);
    cr_assert_eq(ops->unlink(ops->self, "f"), 0);
    tg_sim_disk_set_budget(disk, 256 + 5000);
    cr_assert_eq(ops->open(ops->self, "g", O_WRONLY | O_CREAT, 0), -ENOSPC, "an open file has its bytes");
    cr_assert_eq(ops->close(ops->self, fd), 0);
    cr_assert_geq(ops->open(ops->self, "g", O_WRONLY | O_CREAT, 0), 0);
}

/* ---- the classic mistakes ---------------------------------------------------------------------------------------- */

enum { TRIES = 300 };

static void write_new(const char *text, bool sync)
{
    const int fd = open_file("new");
    write_at(fd, text, 0);
    if (sync) { sync_file(fd); }
    cr_assert_eq(ops->close(ops->self, fd), 0);
}

static void with_old_file(uint64_t seed)
{
    start(seed);
    cr_assert_eq(tg_sim_disk_put(disk, "file", "old", 3), 0);
}

Test(disk, rename_without_sync_of_the_file_can_lose_its_content)
{
    uint32_t lost = 0;
    for (uint64_t seed = 1; seed <= TRIES; seed++) {
        with_old_file(seed);
        write_new("newer", false);
        rename_file("new", "file");
        sync_dir("/");
        tg_sim_disk_crash(disk, TG_SIM_POWER);
        cr_assert(exists("file"));
        cr_assert(!holds("file", "old"), "the rename was synced");
        lost += !holds("file", "newer");
    }
    cr_assert_gt(lost, TRIES / 10);
    cr_assert_lt(lost, TRIES);
}

Test(disk, rename_without_sync_of_the_folder_can_vanish_but_never_half)
{
    uint32_t old = 0;
    uint32_t fresh = 0;
    for (uint64_t seed = 1; seed <= TRIES; seed++) {
        with_old_file(seed);
        write_new("newer", true);
        rename_file("new", "file");
        tg_sim_disk_crash(disk, TG_SIM_POWER);
        cr_assert(holds("file", "old") || holds("file", "newer"), "seed %d", (int)seed);
        cr_assert(!(holds("file", "newer") && exists("new")), "seed %d: two names of one file", (int)seed);
        old += holds("file", "old");
        fresh += holds("file", "newer");
    }
    cr_assert_gt(old, TRIES / 10);
    cr_assert_gt(fresh, TRIES / 10);
}

Test(disk, the_right_order_survives_every_cut)
{
    for (uint64_t seed = 1; seed <= TRIES; seed++) {
        with_old_file(seed);
        write_new("newer", true);
        rename_file("new", "file");
        sync_dir("/");
        tg_sim_disk_crash(disk, TG_SIM_POWER);
        cr_assert(holds("file", "newer"), "seed %d", (int)seed);
    }
}

Test(disk, a_synced_file_in_an_unsynced_folder_can_be_nameless)
{
    uint32_t gone = 0;
    for (uint64_t seed = 1; seed <= TRIES; seed++) {
        start(seed);
        cr_assert_eq(ops->mkdir(ops->self, "d", 0777), 0);
        const int fd = open_file("d/f");
        write_at(fd, "kept", 0);
        sync_file(fd);
        sync_dir("d"); /* and not the folder that d is in */
        tg_sim_disk_crash(disk, TG_SIM_POWER);
        cr_assert(!exists("d/f") || holds("d/f", "kept"));
        gone += !exists("d/f");
    }
    cr_assert_gt(gone, TRIES / 10);
    cr_assert_lt(gone, TRIES);
}

Test(disk, a_rename_between_folders_happens_in_both_or_in_neither)
{
    uint32_t moved = 0;
    for (uint64_t seed = 1; seed <= TRIES; seed++) {
        start(seed);
        cr_assert_eq(tg_sim_disk_put(disk, "a/f", "text", 4), 0);
        cr_assert_eq(tg_sim_disk_put(disk, "b/g", "", 0), 0);
        (void)open_file("a/before");
        rename_file("a/f", "b/f");
        (void)open_file("b/behind");
        if (seed % 3 == 0) { sync_dir("a"); } /* one side synced: the other one too */
        tg_sim_disk_crash(disk, TG_SIM_POWER);
        cr_assert(holds("a/f", "text") != holds("b/f", "text"), "seed %d", (int)seed);
        cr_assert(seed % 3 != 0 || holds("b/f", "text"), "seed %d", (int)seed);
        moved += holds("b/f", "text");
    }
    cr_assert_gt(moved, TRIES / 3);
    cr_assert_lt(moved, TRIES);
}

Test(disk, after_a_failed_sync_the_data_stays_lost_although_the_next_sync_succeeds)
{
    uint32_t lost = 0;
    for (uint64_t seed = 1; seed <= TRIES; seed++) {
        start(seed);
        cr_assert_eq(tg_sim_disk_put(disk, "f", "", 0), 0);
        const int fd = open_file("f");
        write_at(fd, "data", 0);
        tg_sim_disk_set_faults(disk, &(struct tg_sim_disk_faults){.sync_ppm = 1000000});
        cr_assert_eq(ops->fdatasync(ops->self, fd), -EIO);
        tg_sim_disk_set_faults(disk, &(struct tg_sim_disk_faults){0});
        sync_file(fd);
        cr_assert(holds("f", "data"), "the cache still shows it");
        tg_sim_disk_crash(disk, TG_SIM_POWER);
        lost += !holds("f", "data");
    }
    cr_assert_gt(lost, TRIES / 10);
}

Test(disk, a_dead_process_loses_no_bytes_and_a_frozen_disk_takes_none)
{
    start(1);
    const int fd = open_file("f");
    write_at(fd, "unsynced", 0);
    tg_sim_disk_freeze(disk);
    cr_assert_eq(ops->pwrite(ops->self, fd, "X", 1, 0), -EIO);
    cr_assert_eq(ops->fdatasync(ops->self, fd), -EIO);
    cr_assert_eq(ops->rename(ops->self, "f", "g"), -EIO);
    cr_assert_eq(ops->open(ops->self, "g", O_WRONLY | O_CREAT, 0), -EIO);
    tg_sim_disk_crash(disk, TG_SIM_KILL);
    cr_assert(holds("f", "unsynced"));
    cr_assert_eq(ops->pwrite(ops->self, fd, "X", 1, 0), -EBADF);
}

Test(disk, a_torn_write_ends_at_a_sector)
{
    static char text[5 * 512];
    uint32_t torn = 0;
    for (uint64_t seed = 1; seed <= TRIES; seed++) {
        const void *data;
        size_t bytes;
        memset(text, 'y', sizeof text);
        start(seed);
        cr_assert_eq(tg_sim_disk_put(disk, "f", "", 0), 0);
        cr_assert_eq(ops->pwrite(ops->self, open_file("f"), text, sizeof text, 0), (int64_t)sizeof text);
        tg_sim_disk_crash(disk, TG_SIM_POWER);
        cr_assert(tg_sim_disk_get(disk, "f", &data, &bytes));
        cr_assert_eq(bytes % 512, 0);
        for (size_t i = 0; i < bytes; i++) {
            const char byte = ((const char *)data)[i];
            cr_assert(byte == 'y' || byte == 0);
            cr_assert_eq(byte, ((const char *)data)[i / 512 * 512], "one sector is whole");
        }
        torn += bytes > 0 && (bytes < sizeof text || memchr(data, 0, bytes) != NULL);
    }
    cr_assert_gt(torn, TRIES / 10);
}

/* ---- random runs against a model --------------------------------------------------------------------------------- */

enum { FILES = 6, FILE_BYTES = 3000, STEPS = 400, ROUNDS = 60 };

/* One name of the only folder. The model knows of each file what is seen and what is promised. */
struct model_file {
    bool there;
    uint8_t seen[FILE_BYTES];
    size_t seen_bytes;
    uint8_t synced[FILE_BYTES];
    size_t synced_bytes;
    bool clean;  /* nothing was written since the last sync */
    bool broken; /* a sync failed: nothing is promised until the file is made anew */
};

static struct model_file model[FILES];
static bool promised[FILES]; /* the name is durable and nothing has happened to it since */
static struct tg_prng prng;

static const char *name_of(uint32_t index)
{
    static const char *const names[FILES] = {"d/0", "d/1", "d/2", "d/3", "d/4", "d/5"};
    return names[index];
}

static void random_write(struct model_file *m, int fd)
{
    uint8_t data[1200];
    const size_t bytes = 1 + tg_prng_below(&prng, sizeof data);
    const size_t offset = tg_prng_below(&prng, (uint32_t)(FILE_BYTES - bytes) + 1);
    for (size_t i = 0; i < bytes; i++) { data[i] = (uint8_t)(1 + tg_prng_below(&prng, 255)); }
    const int64_t moved = ops->pwrite(ops->self, fd, data, bytes, (int64_t)offset);
    cr_assert_gt(moved, 0);
    const size_t end = offset + (size_t)moved;
    if (end > m->seen_bytes) {
        memset(m->seen + m->seen_bytes, 0, end - m->seen_bytes);
        m->seen_bytes = end;
    }
    memcpy(m->seen + offset, data, (size_t)moved);
    m->clean = false;
}

static void random_sync(struct model_file *m, int fd)
{
    if (ops->fdatasync(ops->self, fd) != 0) {
        m->broken = true;
        return;
    }
    memcpy(m->synced, m->seen, m->seen_bytes);
    m->synced_bytes = m->seen_bytes;
    m->clean = true;
}

static void random_step(uint32_t step)
{
    const uint32_t index = tg_prng_below(&prng, FILES);
    struct model_file *m = &model[index];
    const uint32_t what = tg_prng_below(&prng, 100);
    if (what < 8) {
        const bool synced = ops->sync_dir(ops->self, "d") == 0;
        for (uint32_t i = 0; i < FILES && synced; i++) { promised[i] = true; }
    } else if (what < 14 && m->there) {
        cr_assert_eq(ops->unlink(ops->self, name_of(index)), 0);
        m->there = false;
        promised[index] = false;
    } else if (what < 20 && m->there) {
        const uint32_t to = tg_prng_below(&prng, FILES);
        cr_assert_eq(ops->rename(ops->self, name_of(index), name_of(to)), 0);
        if (to == index) { return; }
        model[to] = *m;
        m->there = false;
        promised[index] = promised[to] = false;
    } else {
        const int fd = open_file(name_of(index));
        if (!m->there) {
            *m = (struct model_file){.there = true, .clean = true};
            promised[index] = false;
        }
        if (what < 40) {
            random_sync(m, fd);
        } else if (what < 44) {
            m->seen_bytes = tg_prng_below(&prng, (uint32_t)m->seen_bytes + 1);
            m->clean = false;
            cr_assert_eq(ops->ftruncate(ops->self, fd, (int64_t)m->seen_bytes), 0, "step %u", step);
        } else {
            random_write(m, fd);
        }
        cr_assert_eq(ops->close(ops->self, fd), 0);
    }
}

static void expect_seen(uint64_t seed)
{
    for (uint32_t i = 0; i < FILES; i++) {
        const void *data;
        size_t bytes;
        const bool there = tg_sim_disk_get(disk, name_of(i), &data, &bytes);
        cr_assert_eq(there, model[i].there, "seed %" PRIu64, seed);
        if (!there) { continue; }
        cr_assert_eq(bytes, model[i].seen_bytes, "seed %" PRIu64, seed);
        cr_assert(bytes == 0 || memcmp(data, model[i].seen, bytes) == 0, "seed %" PRIu64, seed);
    }
}

/* After a power cut: names that are promised are as they were; of those, files without unsynced changes are whole. */
static uint32_t expect_promised(uint64_t seed)
{
    uint32_t whole = 0;
    for (uint32_t i = 0; i < FILES; i++) {
        const void *data;
        size_t bytes;
        if (!promised[i]) { continue; }
        const bool there = tg_sim_disk_get(disk, name_of(i), &data, &bytes);
        cr_assert_eq(there, model[i].there, "seed %" PRIu64 ": %s", seed, name_of(i));
        if (!there || !model[i].clean || model[i].broken) { continue; }
        cr_assert_eq(bytes, model[i].synced_bytes, "seed %" PRIu64 ": %s", seed, name_of(i));
        cr_assert(bytes == 0 || memcmp(data, model[i].synced, bytes) == 0, "seed %" PRIu64 ": %s", seed, name_of(i));
        whole++;
    }
    return whole;
}

/* The model goes on from what is there now, which is durable. */
static void adopt(void)
{
    for (uint32_t i = 0; i < FILES; i++) {
        const void *data;
        size_t bytes = 0;
        model[i] = (struct model_file){.there = tg_sim_disk_get(disk, name_of(i), &data, &bytes), .clean = true};
        if (bytes > 0) { memcpy(model[i].seen, data, bytes); }
        if (bytes > 0) { memcpy(model[i].synced, data, bytes); }
        model[i].seen_bytes = model[i].synced_bytes = bytes;
        promised[i] = true;
    }
}

Test(disk, what_was_synced_is_there_after_any_crash)
{
    const uint64_t seed = tg_test_seed();
    uint32_t whole = 0;
    prng = (struct tg_prng){seed};
    start(seed);
    cr_assert_eq(tg_sim_disk_put(disk, "d/x", "", 0), 0);
    adopt();
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const struct tg_sim_disk_faults faults = {.short_ppm = 100000, .sync_ppm = round % 2 == 0 ? 0 : 50000};
        tg_sim_disk_set_faults(disk, &faults);
        const uint32_t steps = tg_prng_below(&prng, STEPS);
        for (uint32_t step = 0; step < steps; step++) { random_step(step); }
        tg_sim_disk_check(disk);
        expect_seen(seed);
        tg_sim_disk_freeze(disk);
        if (round % 5 == 4) {
            tg_sim_disk_crash(disk, TG_SIM_KILL);
            expect_seen(seed);
            continue;
        }
        tg_sim_disk_crash(disk, TG_SIM_POWER);
        tg_sim_disk_check(disk);
        whole += expect_promised(seed);
        adopt();
    }
    cr_assert_gt(whole, ROUNDS / 4, "the promise was put to the test");
}

Test(disk, the_same_seed_crashes_the_same_way)
{
    char first[4][64] = {{0}};
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < 4; i++) {
            const void *data;
            size_t bytes = 0;
            char now[64] = {0};
            start(i);
            const int fd = open_file("f");
            for (int k = 0; k < 9; k++) { write_at(fd, "012345", k * 400); }
            sync_dir("/");
            tg_sim_disk_crash(disk, TG_SIM_POWER);
            cr_assert(tg_sim_disk_get(disk, "f", &data, &bytes));
            (void)snprintf(now, sizeof now, "%zu", bytes);
            if (pass == 0) { memcpy(first[i], now, sizeof now); }
            cr_assert_str_eq(first[i], now);
        }
    }
}
