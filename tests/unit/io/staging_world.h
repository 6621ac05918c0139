/* A file sink's staging in a folder of its own: runs (numbered starts) that append to parts, committables that are kept
 * as a checkpoint would, and what the files hold. */
#ifndef TG_TESTS_UNIT_IO_STAGING_WORLD_H
#define TG_TESTS_UNIT_IO_STAGING_WORLD_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file/staging.h"
#include "tests/faulty_ops.h"

enum { WORLD_SHARDS = 2, WORLD_TEXT = 1 << 20 };

static struct tg_staging world; /* of the run under way */
static int world_fd = -1;
static char world_folder[64];
static char world_path[128];
static struct tg_error world_error;
static uint64_t world_segment[WORLD_SHARDS]; /* the shards' current ones */

/* What a checkpoint keeps of a sink. */
struct kept {
    uint8_t *data[WORLD_SHARDS];
    struct tg_committable list[WORLD_SHARDS];
};

static inline void world_make(void)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(world_folder, sizeof world_folder, "%s/turgo-staging-XXXXXX", base);
    cr_assert_neq(mkdtemp(world_folder), NULL);
    (void)snprintf(world_path, sizeof world_path, "%s/rows.jsonl", world_folder);
}

static inline void world_remove(void)
{
    char command[128];
    tg_file_ops_use(NULL);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", world_folder);
    cr_assert_eq(system(command), 0);
}

/* Start number `generation`. What earlier ones left is there; `kept`, when there is one, is committed again. */
static inline tg_status run_begin(uint64_t generation, const struct kept *kept)
{
    world_error = (struct tg_error){0};
    world_fd = open(world_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    cr_assert_geq(world_fd, 0);
    cr_assert_eq(tg_staging_open(&world, world_path, world_fd, WORLD_SHARDS, generation, &world_error), TG_OK);
    tg_status status = TG_OK;
    if (kept != NULL) { status = tg_staging_commit(&world, kept->list, WORLD_SHARDS, &world_error); }
    for (uint32_t s = 0; s < WORLD_SHARDS; s++) { world_segment[s] = world.next_segment; }
    return status;
}

static inline void run_end(void)
{
    tg_staging_close(&world);
    (void)close(world_fd);
}

static inline int stage_text(uint32_t shard, const char *text)
{
    return tg_staging_append(&world, shard, world_segment[shard], text, (uint32_t)strlen(text));
}

static inline void stage(uint32_t shard, const char *text) { cr_assert_eq(stage_text(shard, text), 0, "%s", text); }

/* The epoch ends for all shards. */
static inline void cut(void)
{
    for (uint32_t s = 0; s < WORLD_SHARDS; s++) {
        cr_assert_eq(tg_staging_sync(&world, s), 0);
        world_segment[s]++;
    }
}

/* What the checkpoint keeps of the last cut. */
static inline void prepare(struct kept *kept)
{
    static uint8_t out[TG_COMMITTABLE_BYTES_MAX];
    for (uint32_t s = 0; s < WORLD_SHARDS; s++) {
        const uint32_t bytes = tg_staging_prepare(&world, s, world_segment[s] - 1, out);
        kept->data[s] = malloc(bytes);
        memcpy(kept->data[s], out, bytes);
        kept->list[s] = (struct tg_committable){.data = kept->data[s], .bytes = bytes};
    }
}

static inline void cut_and_prepare(struct kept *kept)
{
    cut();
    prepare(kept);
}

/* The checkpoint of the last cut is over. */
static inline void settle(void)
{
    for (uint32_t s = 0; s < WORLD_SHARDS; s++) { tg_staging_settle(&world, s, world_segment[s] - 1); }
}

static inline void kept_free(struct kept *kept)
{
    for (uint32_t s = 0; s < WORLD_SHARDS; s++) { free(kept->data[s]); }
}

static inline tg_status commit(const struct kept *kept)
{
    world_error = (struct tg_error){0};
    return tg_staging_commit(&world, kept->list, WORLD_SHARDS, &world_error);
}

/* A checkpoint that is cut, kept and committed. */
static inline void checkpoint(struct kept *kept)
{
    cut_and_prepare(kept);
    cr_assert_eq(commit(kept), TG_OK, "%s", world_error.text);
}

/* The whole of a file; "" when it is not there. Static memory. */
static inline const char *text_of(const char *path)
{
    static char text[WORLD_TEXT];
    FILE *in = fopen(path, "r");
    const size_t bytes = in != NULL ? fread(text, 1, sizeof text - 1, in) : 0;
    if (in != NULL) { (void)fclose(in); }
    text[bytes] = '\0';
    return text;
}

static inline void write_text(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    cr_assert_neq(out, NULL);
    (void)fputs(text, out);
    (void)fclose(out);
}

/* Static memory. */
static inline const char *part_path(uint32_t shard, uint64_t segment)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s.part-%u-%lu", world_path, shard, segment);
    return path;
}

/* A start that goes on with `kept` finds the file to be `text`, and ends. */
static inline void start_shows(uint64_t generation, const struct kept *kept, const char *text)
{
    cr_assert_eq(run_begin(generation, kept), TG_OK, "%s", world_error.text);
    cr_assert_str_eq(text_of(world_path), text);
    run_end();
}

/* Rows of two committed checkpoints, the second of which lists no part: what it knows is the file as it was. */
static inline void two_checkpoints(struct kept *first, struct kept *second, const char *rows)
{
    cr_assert_eq(run_begin(1, NULL), TG_OK);
    stage(0, rows);
    checkpoint(first);
    checkpoint(second);
    run_end();
}

#endif
