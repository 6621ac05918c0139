/* The two threads of a file sink that stages: one appends rows and syncs them, the other prepares and commits, while
 * nothing but the cursors S1 to S4 (io/file/staging.h) and the word that an epoch is durable orders them. Calls fail at
 * random, epochs are given up, commits fall behind until all places of a shard are taken. The final file must hold each
 * row once, in the order of its shard. Weakening one of the edges to relaxed must make TSan report a race here
 * (tests/stress/mutate_staging.sh).
 *   stress_staging [epochs] */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/prng.h"
#include "io/file/staging.h"
#include "io/file_ops.h"
#include "tests/seed.h"

enum { SHARDS = 2, BEHIND_MAX = 12, BLOCK_BYTES = 512, LONG_BLOCK_BYTES = 300 << 10, TIME_LIMIT_S = 120 };

static struct tg_staging staging;
static uint64_t seed;
static uint64_t epoch_count;
static _Atomic uint64_t durable; /* store-release (writer), load-acquire (keeper): epochs whose last block is written */
static _Atomic bool full;        /* the writer has waited for a place; relaxed, so that it orders nothing */
static _Atomic uint64_t over;    /* epochs up to this one are committed or given up; relaxed, too */
static uint64_t rows[SHARDS];    /* written; the writer's, everybody's behind the joins */

/* ---- file calls that fail ---------------------------------------------------------------------------------------- */

/* Syncs are left out: what is durable is not at stake here, and there are thousands of them. */
static const struct tg_file_ops *real;
static _Thread_local uint32_t calls_left; /* of this thread until one fails; 0 = none will */

static bool fails(void) { return calls_left != 0 && --calls_left == 0; }

static int faulty_open(void *self, const char *path, int flags, uint32_t mode)
{
    (void)self;
    return fails() ? -EIO : real->open(real->self, path, flags, mode);
}
static int64_t faulty_size(void *self, int fd)
{
    (void)self;
    return fails() ? -EIO : real->size(real->self, fd);
}
static int64_t faulty_pread(void *self, int fd, void *data, size_t bytes, int64_t offset)
{
    (void)self;
    return fails() ? -EIO : real->pread(real->self, fd, data, bytes, offset);
}
/* Half of it is there when the error comes. */
static int64_t faulty_pwrite(void *self, int fd, const void *data, size_t bytes, int64_t offset)
{
    (void)self;
    if (!fails()) { return real->pwrite(real->self, fd, data, bytes, offset); }
    if (bytes > 1) { (void)real->pwrite(real->self, fd, data, bytes / 2, offset); }
    return -ENOSPC;
}
static int faulty_ftruncate(void *self, int fd, int64_t bytes)
{
    (void)self;
    return fails() ? -EIO : real->ftruncate(real->self, fd, bytes);
}
static int faulty_fdatasync(void *self, int fd)
{
    (void)self;
    (void)fd;
    return fails() ? -EIO : 0;
}
static int faulty_unlink(void *self, const char *path)
{
    (void)self;
    return fails() ? -EIO : real->unlink(real->self, path);
}
static int faulty_sync_dir(void *self, const char *path)
{
    (void)self;
    (void)path;
    return fails() ? -EIO : 0;
}

/* ---- the writer: as the sinks' helper --------------------------------------------------------------------------- */

/* Until it works, as the outbox does. */
static void append(struct tg_prng *prng, uint32_t shard, uint64_t epoch, const char *block, uint32_t bytes)
{
    int failed;
    do {
        calls_left = tg_prng_below(prng, 4) == 0 ? 1 + tg_prng_below(prng, 4) : 0;
        failed = tg_staging_append(&staging, shard, epoch, block, bytes);
        TG_ASSERT(failed == 0 || failed == -EIO || failed == -ENOSPC || failed == -EOVERFLOW);
        if (failed == -EOVERFLOW) {
            atomic_store_explicit(&full, true, memory_order_relaxed);
            (void)usleep(100);
        }
    } while (failed != 0);
}

/* A block of a few rows, or of one that is longer than what commits copy at a time. */
static void append_rows(struct tg_prng *prng, uint32_t shard, uint64_t epoch)
{
    static char block[LONG_BLOCK_BYTES + BLOCK_BYTES];
    uint32_t used = 0;
    if (tg_prng_below(prng, 512) == 0) {
        memset(block, ' ', LONG_BLOCK_BYTES);
        used = LONG_BLOCK_BYTES;
    }
    for (uint32_t i = 1 + tg_prng_below(prng, 5); i != 0; i--) {
        used += (uint32_t)snprintf(block + used, BLOCK_BYTES / 5, "%" PRIu32 " %" PRIu64 "\n", shard, rows[shard]++);
    }
    append(prng, shard, epoch, block, used);
}

/* Once all places were taken, commits are to keep up: there are many small ones then. */
static void stay_near(uint64_t epoch, uint64_t distance)
{
    if (!atomic_load_explicit(&full, memory_order_relaxed)) { return; }
    while (epoch - atomic_load_explicit(&over, memory_order_relaxed) > distance && epoch != epoch_count) {
        (void)usleep(20);
    }
}

static void *writer_main(void *unused)
{
    struct tg_prng prng = {seed};
    (void)unused;
    for (uint64_t epoch = 1; epoch <= epoch_count; epoch++) {
        /* Shard 0 has rows in every epoch: it is the one that runs out of places. */
        for (uint32_t i = 0; i < 3; i++) {
            const uint32_t shard = i == 0 ? 0 : tg_prng_below(&prng, SHARDS);
            if (i == 0 || tg_prng_below(&prng, 4) == 0) { append_rows(&prng, shard, epoch); }
        }
        calls_left = 0; /* a sync that fails ends the job */
        for (uint32_t shard = 0; shard < SHARDS; shard++) { TG_ASSERT(tg_staging_sync(&staging, shard) == 0); }
        atomic_store_explicit(&durable, epoch, memory_order_release);
        stay_near(epoch, 1 + tg_prng_below(&prng, BEHIND_MAX));
    }
    return NULL;
}

/* ---- the keeper: as the checkpoints' helper ---------------------------------------------------------------------- */

static uint64_t commits;
static uint64_t failed_commits;

/* An epoch is prepared, and committed until that works unless it is given up. */
static void end_epoch(struct tg_prng *prng, uint64_t epoch, bool decided)
{
    static uint8_t data[SHARDS][TG_COMMITTABLE_BYTES_MAX];
    struct tg_committable list[SHARDS];
    for (uint32_t shard = 0; shard < SHARDS; shard++) {
        list[shard] = (struct tg_committable){.data = data[shard],
                                              .bytes = tg_staging_prepare(&staging, shard, epoch, data[shard])};
    }
    if (!decided) { return; }
    for (bool done = false; !done;) {
        struct tg_error error = {0};
        calls_left = tg_prng_below(prng, 3) == 0 ? 1 + tg_prng_below(prng, 40) : 0;
        done = tg_staging_commit(&staging, list, SHARDS, &error) == TG_OK;
        TG_ASSERT(done || error.code == TG1502);
        failed_commits += !done;
    }
    calls_left = 0;
    commits++;
}

static void *keeper_main(void *unused)
{
    struct tg_prng prng = {~seed};
    uint64_t epoch = 0;
    uint64_t taken = 0; /* newest committed */
    bool waits = true;  /* for a shard without a place left: all are then taken again as soon as they are given back */
    (void)unused;
    while (epoch < epoch_count) {
        const uint64_t newest = atomic_load_explicit(&durable, memory_order_acquire);
        waits = waits && newest < epoch_count && !atomic_load_explicit(&full, memory_order_relaxed);
        if (waits || newest == epoch) {
            (void)usleep(50);
            continue;
        }
        epoch = newest;
        /* Without a place left a shard may not go on; neither can it behind the last one. */
        const bool must = epoch - taken == TG_STAGING_SEGMENTS_MAX || epoch == epoch_count;
        const bool decided = must || tg_prng_below(&prng, 4) != 0;
        end_epoch(&prng, epoch, decided);
        taken = decided ? epoch : taken;
        atomic_store_explicit(&over, epoch, memory_order_relaxed);
    }
    return NULL;
}

/* ---- the outcome ------------------------------------------------------------------------------------------------- */

static int verify(const char *path)
{
    static char line[LONG_BLOCK_BYTES + BLOCK_BYTES];
    uint64_t next[SHARDS] = {0};
    FILE *file = fopen(path, "r");
    TG_ASSERT(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        uint32_t shard = SHARDS;
        uint64_t row = 0;
        char end = 0;
        if (sscanf(line, "%" SCNu32 " %" SCNu64 "%c", &shard, &row, &end) != 3 || end != '\n' || shard >= SHARDS ||
            row != next[shard]) {
            (void)fprintf(stderr,
                          "stress_staging: seed %" PRIu64 ": row %" PRIu64 " of shard %" PRIu32 " where %" PRIu64
                          " was due\n",
                          seed, row, shard, shard < SHARDS ? next[shard] : 0);
            (void)fclose(file);
            return 1;
        }
        next[shard]++;
    }
    (void)fclose(file);
    for (uint32_t shard = 0; shard < SHARDS; shard++) {
        if (next[shard] == rows[shard]) { continue; }
        (void)fprintf(stderr,
                      "stress_staging: seed %" PRIu64 ": %" PRIu64 " of %" PRIu64 " rows of shard %" PRIu32 "\n", seed,
                      next[shard], rows[shard], shard);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    char folder[256];
    char path[300];
    pthread_t threads[2];
    (void)alarm(TIME_LIMIT_S); /* a writer that never gets a place back ends the program */
    seed = tg_test_seed();
    epoch_count = argc > 1 ? strtoull(argv[1], NULL, 10) : TG_STAGING_SEGMENTS_MAX + 1500;
    const char *given = getenv("TMPDIR");
    const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"; /* five times as fast */
    (void)snprintf(folder, sizeof folder, "%s/turgo-stress-staging-XXXXXX", given != NULL ? given : memory);
    TG_ASSERT(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof path, "%s/rows", folder);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    TG_ASSERT(fd >= 0);
    real = tg_file_ops();
    struct tg_file_ops ops = *real;
    ops.open = faulty_open;
    ops.size = faulty_size;
    ops.pread = faulty_pread;
    ops.pwrite = faulty_pwrite;
    ops.ftruncate = faulty_ftruncate;
    ops.fdatasync = faulty_fdatasync;
    ops.unlink = faulty_unlink;
    ops.sync_dir = faulty_sync_dir;
    tg_file_ops_use(&ops);
    TG_ASSERT(tg_staging_open(&staging, path, fd, SHARDS, 1, NULL) == TG_OK);
    TG_ASSERT(pthread_create(&threads[0], NULL, writer_main, NULL) == 0);
    TG_ASSERT(pthread_create(&threads[1], NULL, keeper_main, NULL) == 0);
    for (uint32_t i = 0; i < 2; i++) { TG_ASSERT(pthread_join(threads[i], NULL) == 0); }
    const int wrong = verify(path);
    TG_ASSERT(tg_staging_clean(&staging) == 0); /* what could not be removed before */
    tg_staging_close(&staging);
    (void)close(fd);
    (void)unlink(path);
    TG_ASSERT(rmdir(folder) == 0); /* nothing but the parts' names was left */
    (void)printf("stress_staging: %" PRIu64 " epochs, %" PRIu64 " rows, %" PRIu64 " commits, %" PRIu64
                 " attempts failed, places %s: %s\n",
                 epoch_count, rows[0] + rows[1], commits, failed_commits,
                 atomic_load_explicit(&full, memory_order_relaxed) ? "ran out" : "never ran out",
                 wrong ? "FAILED" : "each row once");
    return wrong;
}
