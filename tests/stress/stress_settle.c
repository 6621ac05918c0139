/* A file sink's staging between its three threads: the shard cuts and settles, one helper appends, the other one
 * prepares and commits, or the checkpoint is given up, often many in a row. Every row is in the file once and in order,
 * and TSan sees every hand-over. Weakening S5 in io/file/staging.c to relaxed must make it report a race here. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/prng.h"
#include "io/file/staging.h"
#include "tests/seed.h"

enum { EPOCHS = 1500, GIVEN_UP_MAX = 2 * TG_STAGING_SEGMENTS_MAX, PATH_BYTES = 128 };

static struct tg_staging staging;
static _Atomic uint64_t current;   /* epoch that rows belong to */
static _Atomic uint64_t passed;    /* all rows of epochs up to this one are appended */
static _Atomic uint64_t cut_epoch; /* to be prepared */
static _Atomic uint64_t over;      /* epoch whose checkpoint is over */
static _Atomic bool stop;
static uint64_t seed;
static uint64_t rows;         /* the helper's; read when it has ended */
static uint64_t without_room; /* likewise */
static uint64_t commits;      /* the keeper's; likewise */

/* The I/O helper: rows without end, a refused one tried again. */
static void *append_main(void *unused)
{
    (void)unused;
    uint64_t epoch = staging.next_segment;
    for (;;) {
        const bool last = atomic_load_explicit(&stop, memory_order_acquire);
        const uint64_t now = atomic_load_explicit(&current, memory_order_acquire);
        if (now != epoch) { atomic_store_explicit(&passed, now - 1, memory_order_release); }
        epoch = now;
        if (last) { return NULL; }
        char text[32];
        const int bytes = snprintf(text, sizeof text, "%lu\n", rows + 1);
        const int failed = tg_staging_append(&staging, 0, epoch, text, (uint32_t)bytes);
        TG_ASSERT(failed == 0 || failed == -EAGAIN);
        rows += failed == 0;
        without_room += failed != 0;
        if (failed != 0 || rows % 4 == 0) { (void)usleep(20); }
    }
}

/* The checkpoints' helper. */
static void *commit_main(void *unused)
{
    (void)unused;
    static uint8_t data[TG_COMMITTABLE_BYTES_MAX];
    struct tg_prng prng = {seed};
    uint32_t given_up = 0; /* so many more are */
    for (uint64_t seen = 0;;) {
        const bool last = atomic_load_explicit(&stop, memory_order_acquire);
        const uint64_t epoch = atomic_load_explicit(&cut_epoch, memory_order_acquire);
        if (epoch == seen && last) { return NULL; }
        if (epoch == seen) {
            (void)usleep(5);
            continue;
        }
        seen = epoch;
        if (given_up == 0 && tg_prng_below(&prng, 60) == 0) { given_up = tg_prng_below(&prng, GIVEN_UP_MAX); }
        given_up -= given_up != 0;
        const struct tg_committable list = {.data = data, .bytes = tg_staging_prepare(&staging, 0, epoch, data)};
        if (given_up == 0) {
            TG_ASSERT(tg_staging_commit(&staging, &list, 1, NULL) == TG_OK);
            commits++;
        }
        atomic_store_explicit(&over, epoch, memory_order_release);
    }
}

static void wait_for(_Atomic uint64_t *place, uint64_t value)
{
    while (atomic_load_explicit(place, memory_order_acquire) < value) { (void)usleep(5); }
}

/* One checkpoint, as the shard sees it. */
static void checkpoint(uint64_t epoch)
{
    atomic_store_explicit(&current, epoch + 1, memory_order_release);
    wait_for(&passed, epoch);
    atomic_store_explicit(&cut_epoch, epoch, memory_order_release);
    wait_for(&over, epoch);
    tg_staging_settle(&staging, 0, epoch);
}

/* What was not committed is missing at the end; what is there is 1, 2, 3 and so on. */
static uint64_t count_rows(const char *path)
{
    uint64_t count = 0;
    unsigned long number;
    FILE *in = fopen(path, "r");
    TG_ASSERT(in != NULL);
    while (fscanf(in, "%lu", &number) == 1) { TG_ASSERT(number == ++count); }
    (void)fclose(in);
    return count;
}

int main(void)
{
    char folder[PATH_BYTES / 2];
    char path[PATH_BYTES];
    char command[PATH_BYTES];
    seed = tg_test_seed();
    (void)snprintf(folder, sizeof folder, "%s/turgo-settle-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    TG_ASSERT(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof path, "%s/rows", folder);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    TG_ASSERT(fd >= 0 && tg_staging_open(&staging, path, fd, 1, 1, NULL) == TG_OK);
    const uint64_t first = staging.next_segment;
    atomic_store(&current, first);
    pthread_t appending, committing;
    TG_ASSERT(pthread_create(&appending, NULL, append_main, NULL) == 0);
    TG_ASSERT(pthread_create(&committing, NULL, commit_main, NULL) == 0);
    for (uint64_t epoch = first; epoch < first + EPOCHS; epoch++) {
        if (epoch % 3 == 0) { (void)usleep(100); }
        checkpoint(epoch);
    }
    atomic_store_explicit(&stop, true, memory_order_release);
    TG_ASSERT(pthread_join(appending, NULL) == 0);
    TG_ASSERT(pthread_join(committing, NULL) == 0);
    static uint8_t data[TG_COMMITTABLE_BYTES_MAX];
    const struct tg_committable list = {.data = data, .bytes = tg_staging_prepare(&staging, 0, first + EPOCHS, data)};
    TG_ASSERT(tg_staging_commit(&staging, &list, 1, NULL) == TG_OK);
    TG_ASSERT(count_rows(path) == rows);
    printf("%lu rows, %lu commits of %u checkpoints, %lu times without room\n", rows, commits, EPOCHS, without_room);
    tg_staging_close(&staging);
    (void)close(fd);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}
