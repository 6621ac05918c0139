/* A checkpoint directory of made-up checkpoints (tests/checkpoint_world.h) and what a start chooses of it; on memory,
 * where there is a file system of that. */
#ifndef TG_TESTS_UNIT_ENGINE_RECOVERY_FIXTURE_H
#define TG_TESTS_UNIT_ENGINE_RECOVERY_FIXTURE_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/checkpoint_world.h"
#include "tests/seed.h"

static struct maker maker;
static struct world world;
static struct tg_store store;
static struct tg_arena arena; /* of the last choice */
static struct tg_error err;
static struct tg_recovery_choice choice;
static char folder[64];
static char path[128]; /* of the directory, in `folder` */
static uint64_t seed;

static inline void open_store(void)
{
    struct tg_error why = {0};
    cr_assert_eq(tg_store_open(&store, &(struct tg_store_config){.path = path, .pid = 1}, &why), TG_OK, "%s", why.text);
}

static inline void recovery_begin(void)
{
    seed = tg_test_seed();
    maker_open(&maker, seed);
    world_open(&world, &maker, 2);
    err = (struct tg_error){0};
    (void)snprintf(folder, sizeof folder, "%s/turgo-recovery-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/checkpoints", folder);
    cr_assert_eq(tg_arena_open(&arena, TG_RECOVERY_ARENA_BYTES, NULL), TG_OK);
    open_store();
}

static inline void recovery_end(void)
{
    char command[128];
    tg_store_close(&store);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
    tg_arena_close(&arena);
    maker_close(&maker);
}

static inline void checkpoints(uint64_t first, uint64_t last)
{
    for (uint64_t epoch = first; epoch <= last; epoch++) {
        bool decided;
        cr_assert_eq(world_checkpoint(&world, &store, epoch, &decided, &err), TG_OK, "%s", err.text);
    }
}

static inline tg_status choose(const struct tg_recovery_wanted *wanted)
{
    err = (struct tg_error){0};
    tg_arena_close(&arena);
    cr_assert_eq(tg_arena_open(&arena, TG_RECOVERY_ARENA_BYTES, NULL), TG_OK);
    return tg_recovery_choose(&store, wanted, &arena, &choice, &err);
}

static inline tg_status choose_plain(void)
{
    const struct tg_recovery_wanted wanted = world_wanted(&world);
    return choose(&wanted);
}

static inline void chooses(uint64_t epoch)
{
    cr_assert_eq(choose_plain(), TG_OK, "seed %" PRIu64 ": %s", seed, err.text);
    cr_assert(choice.found && choice.epoch == epoch && choice.manifest.epoch == epoch, "%" PRIu64, choice.epoch);
}

/* Change one byte of a file of the directory; `at` from the end when negative. */
static inline void damage(const char *name, int64_t at)
{
    char file[256];
    (void)snprintf(file, sizeof file, "%s/%s", path, name);
    const int fd = open(file, O_RDWR);
    cr_assert_geq(fd, 0, "%s", file);
    struct stat about;
    cr_assert_eq(fstat(fd, &about), 0);
    at = at < 0 ? about.st_size + at : at;
    uint8_t byte;
    cr_assert_eq(pread(fd, &byte, 1, at), 1);
    byte ^= 0x20;
    cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
    cr_assert_eq(close(fd), 0);
}

#endif
