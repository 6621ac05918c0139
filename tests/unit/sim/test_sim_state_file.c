/* State files on their way past the page cache: whatever the file system thinks of O_DIRECT, a finished file has the
 * bytes that were appended and keeps them through a power cut, and one that is not finished is gone. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/prng.h"
#include "engine/sim/disk.h"
#include "io/checkpoint/store.h"
#include "tests/faulty_ops.h"
#include "tests/seed.h"

enum { BYTES_MAX = 3 * TG_STORE_BUFFER_BYTES };

static struct tg_sim_disk *disk;
static struct tg_store store;
static struct tg_error err;
static struct tg_prng prng;
static uint8_t *content; /* [BYTES_MAX] */
static uint8_t *found;   /* [BYTES_MAX + 1] */
static _Alignas(TG_STORE_BUFFER_ALIGN) uint8_t buffer[TG_STORE_BUFFER_BYTES];

static void begin(void)
{
    content = malloc(BYTES_MAX);
    found = malloc(BYTES_MAX + 1);
    cr_assert(content != NULL && found != NULL);
}
static void end(void)
{
    tg_file_ops_use(NULL);
    tg_sim_disk_destroy(disk);
    free(content);
    free(found);
}
TestSuite(state_file, .init = begin, .fini = end, .timeout = 200);

/* A new disk and an epoch 1 on it. */
static void start(uint64_t seed, enum tg_sim_direct direct)
{
    tg_sim_disk_destroy(disk);
    disk = tg_sim_disk_create(seed);
    cr_assert_not_null(disk);
    tg_sim_disk_set_direct(disk, direct);
    prng = (struct tg_prng){seed};
    for (size_t i = 0; i < BYTES_MAX; i += sizeof(uint64_t)) {
        const uint64_t word = tg_prng_next(&prng);
        memcpy(content + i, &word, sizeof word);
    }
    tg_file_ops_use(tg_sim_disk_ops(disk));
    cr_assert_eq(tg_store_open(&store, &(struct tg_store_config){.path = "job", .pid = 7}, &err), TG_OK);
    cr_assert_eq(tg_store_epoch_begin(&store, 1, &err), TG_OK);
}

/* Sizes around those where something changes. */
static size_t draw_bytes(void)
{
    static const size_t middles[] = {0, 4096, 65536, TG_STORE_BUFFER_BYTES, 2 * TG_STORE_BUFFER_BYTES, BYTES_MAX};
    const size_t middle = middles[tg_prng_below(&prng, sizeof middles / sizeof middles[0])];
    const size_t away = tg_prng_below(&prng, 3) == 0 ? 0 : tg_prng_below(&prng, 5000);
    if (tg_prng_below(&prng, 2) == 0) { return middle > away ? middle - away : 0; }
    return middle + away < BYTES_MAX ? middle + away : BYTES_MAX;
}

/* The first `bytes` of the content in pieces, as e1/s0.base; now and then the rest of them to the page cache. */
static tg_status write_file(struct tg_store_file *file, size_t bytes)
{
    *file = (struct tg_store_file){.buffer = buffer};
    err = (struct tg_error){0};
    tg_status status = tg_store_file_create(&store, 1, 0, true, file, &err);
    for (size_t done = 0; status == TG_OK && done < bytes;) {
        if (tg_prng_below(&prng, 50) == 0) { status = tg_store_file_use_cache(&store, file, &err); }
        if (status != TG_OK) { break; }
        const size_t left = bytes - done;
        const size_t most = tg_prng_below(&prng, 4) == 0 ? BYTES_MAX : 300000;
        const size_t count = 1 + tg_prng_below(&prng, (uint32_t)(left < most ? left : most));
        status = tg_store_file_append(&store, file, content + done, count, &err);
        done += count;
        cr_assert(status != TG_OK || file->bytes == done);
    }
    return status == TG_OK ? tg_store_file_finish(&store, file, &err) : status;
}

/* Is e1/s0.base what was appended, by a reader of its own? */
static bool holds_content(size_t bytes)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char name[TG_STORE_PATH_BYTES + TG_STORE_NAME_BYTES];
    (void)snprintf(name, sizeof name, "%s/e1/s0.base", store.path);
    const int fd = ops->open(ops->self, name, O_RDONLY, 0);
    if (fd < 0) { return false; }
    const int64_t got = tg_file_read_upto(fd, found, BYTES_MAX + 1, 0);
    cr_assert_eq(ops->close(ops->self, fd), 0);
    return got == (int64_t)bytes && memcmp(found, content, bytes) == 0;
}

Test(state_file, holds_what_was_appended_however_the_file_system_takes_it)
{
    const uint64_t seed = tg_test_seed();
    uint32_t direct = 0;
    uint32_t left = 0;
    for (uint32_t i = 0; i < 400; i++) {
        const enum tg_sim_direct way = (enum tg_sim_direct)(i % TG_SIM_DIRECT_WAYS);
        struct tg_store_file file;
        start(seed + i, way);
        const struct tg_sim_disk_faults faults = {.short_ppm = i / TG_SIM_DIRECT_WAYS % 2 == 0 ? 0 : 400000};
        tg_sim_disk_set_faults(disk, &faults);
        const size_t bytes = draw_bytes();
        cr_assert_eq(write_file(&file, bytes), TG_OK, "seed %" PRIu64 ": %s", seed + i, err.text);
        cr_assert(file.fd == -1 && file.bytes == bytes);
        cr_assert(way == TG_SIM_DIRECT || bytes == 0 || !file.direct);
        direct += file.direct && bytes > 0;
        left += way == TG_SIM_DIRECT && !file.direct; /* a block was written in part, or it was asked for */
        cr_assert_eq(tg_store_epoch_sync(&store, 1, &err), TG_OK);
        tg_sim_disk_set_faults(disk, &(struct tg_sim_disk_faults){0});
        tg_sim_disk_crash(disk, TG_SIM_POWER);
        cr_assert(holds_content(bytes), "seed %" PRIu64 ": %zu bytes", seed + i, bytes);
    }
    cr_assert(direct > 10 && left > 15, "%u direct, %u left in the middle", direct, left);
}

Test(state_file, is_whole_or_gone_when_a_call_fails)
{
    const uint64_t seed = tg_test_seed();
    uint32_t failed = 0;
    for (uint32_t i = 0; i < 600; i++) {
        static struct faulty faulty;
        struct tg_store_file file;
        start(seed + i, (enum tg_sim_direct)(i % TG_SIM_DIRECT_WAYS));
        const size_t bytes = draw_bytes();
        const uint64_t call = 1 + tg_prng_below(&prng, 6);
        faulty_use(&faulty, (enum faulty_way)tg_prng_below(&prng, FAULTY_EINTR), call, 1);
        faulty.real = tg_sim_disk_ops(disk);
        const tg_status status = write_file(&file, bytes);
        tg_file_ops_use(tg_sim_disk_ops(disk));
        cr_assert_eq(file.fd, -1);
        if (status == TG_OK) {
            cr_assert(holds_content(bytes), "seed %" PRIu64 " call %" PRIu64, seed + i, call);
            continue;
        }
        failed++;
        const void *data;
        size_t there;
        cr_assert_eq(err.code, TG1510, "seed %" PRIu64 ": %s", seed + i, err.text);
        /* Where O_DIRECT is refused behind the creation the second call removes the file again: whoever aborts the
         * epoch does when that fails. */
        const uint32_t way = i % TG_SIM_DIRECT_WAYS;
        const bool refused = way == TG_SIM_DIRECT_REFUSED || way == TG_SIM_DIRECT_UNKNOWN;
        const bool stayed = tg_sim_disk_get(disk, "job/e1/s0.base", &data, &there);
        cr_assert(!stayed || (refused && call == 2), "seed %" PRIu64 " call %" PRIu64, seed + i, call);
        /* Its name is free again. */
        if (!stayed) { cr_assert_eq(write_file(&file, bytes), TG_OK, "seed %" PRIu64 ": %s", seed + i, err.text); }
    }
    cr_assert_gt(failed, 100);
}

/* Real file systems: one in memory, and the one under /tmp. */
static void on_real(const char *where)
{
    char folder[64];
    char command[128];
    struct tg_store_file file;
    (void)snprintf(folder, sizeof folder, "%s/turgo-state-XXXXXX", where);
    if (mkdtemp(folder) == NULL) { return; }
    start(tg_test_seed(), TG_SIM_DIRECT);
    tg_file_ops_use(NULL);
    cr_assert_eq(tg_store_open(&store, &(struct tg_store_config){.path = folder, .pid = 7}, &err), TG_OK);
    cr_assert_eq(tg_store_epoch_begin(&store, 1, &err), TG_OK);
    for (uint32_t i = 0; i < 20; i++) {
        const size_t bytes = draw_bytes();
        cr_assert_eq(write_file(&file, bytes), TG_OK, "%s: %s", where, err.text);
        cr_assert(holds_content(bytes), "%s: %zu bytes", where, bytes);
        (void)snprintf(command, sizeof command, "%s/e1/s0.base", folder);
        cr_assert_eq(unlink(command), 0);
    }
    tg_store_close(&store);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}

Test(state_file, holds_what_was_appended_on_real_file_systems)
{
    on_real("/tmp");
    on_real("/dev/shm");
}
