/* The ticks that a directory has once a checkpoint is to be copied into it: those of the checkpoint's run, whoever knew
 * them, and beside them those of the runs that were there. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/types.h"
#include "engine/checkpoint/tick_log.h"

static struct tg_store from;
static struct tg_store to;
static struct tg_arena arena;
static struct tg_error err;
static char folder[64];
static const struct tg_run_id run_a = {{1}};
static const struct tg_run_id run_b = {{2}};
static const struct tg_ticks_source source = {.name = "tx", .topic = "t", .cluster = "c", .partition_count = 4};

static const struct tg_manifest_partition unread = {.next_offset = -1, .max_ts = TG_TS_MIN, .wm = TG_TS_MIN};
static struct tg_manifest_partition partitions[4];
static const struct tg_manifest_source read_source = {
    .name = "tx", .connector = "kafka", .topic = "t", .cluster = "c", .partition_count = 4, .partitions = partitions};

static void open_store(struct tg_store *store, const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    cr_assert_eq(tg_store_open(store, &(struct tg_store_config){.path = path, .pid = 1}, &err), TG_OK, "%s", err.text);
}
static void begin(void)
{
    err = (struct tg_error){0};
    (void)snprintf(folder, sizeof folder, "/tmp/turgo-ticks-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    open_store(&from, "from");
    open_store(&to, "to");
    cr_assert_eq(tg_arena_open(&arena, (size_t)1 << 30, NULL), TG_OK);
    for (uint32_t i = 0; i < 4; i++) { partitions[i] = unread; }
}
static void end(void)
{
    char command[128];
    tg_store_close(&from);
    tg_store_close(&to);
    tg_arena_close(&arena);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}
TestSuite(tick_restore, .init = begin, .fini = end);

/* Write ticks before the offsets given, as a run does; the clock is ten times the offset. */
static void write_ticks(const struct tg_store *store, struct tg_run_id run, uint32_t count, const int64_t *offsets)
{
    struct tg_tick_log log;
    const struct tg_ticks_header header = {.job = "job", .graph_hash = 7, .source_count = 1, .sources = &source};
    cr_assert_eq(tg_tick_log_open(&log, store, &header, NULL, &err), TG_OK, "%s", err.text);
    tg_tick_log_begin(&log, &run);
    for (uint32_t i = 0; i < count; i++) {
        const struct tg_tick tick = {.partition = 1, .offset = offsets[i], .wm = offsets[i] * 10, .wall_us = 5};
        cr_assert_eq(tg_tick_log_append(&log, &tick, 1, &err), TG_OK, "%s", err.text);
    }
    tg_tick_log_close(&log);
}

static struct tg_manifest manifest_of(struct tg_run_id run)
{
    return (struct tg_manifest){
        .job = "job", .run_id = run, .epoch = 3, .graph_hash = 7, .source_count = 1, .sources = &read_source};
}

/* The directory's log of a run, and that it is the run's. */
static void has(struct tg_run_id run, uint32_t count, const int64_t *offsets)
{
    struct tg_tick_log_found found;
    const struct tg_manifest manifest = manifest_of(run);
    cr_assert_eq(tg_tick_log_find(&to, &run, &arena, &found, &err), TG_OK, "%s", err.text);
    cr_assert_not_null(found.data);
    cr_assert_eq(tg_tick_log_is_beside(&found, &manifest, &err), TG_OK, "%s", err.text);
    cr_assert_eq(found.ticks.count, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct tg_tick *tick = &found.ticks.list[i];
        cr_assert(tick->offset == offsets[i] && tick->wm == offsets[i] * 10);
        cr_assert(tick->partition == 1 && tick->wall_us == 5);
    }
}

static tg_status restore_a(void)
{
    const struct tg_manifest manifest = manifest_of(run_a);
    err = (struct tg_error){0};
    return tg_tick_log_restore(&from, &to, &manifest, &err);
}

static void restores(uint32_t count, const int64_t *offsets)
{
    cr_assert_eq(restore_a(), TG_OK, "%s", err.text);
    has(run_a, count, offsets);
}

static void flip(const struct tg_store *store, const char *name, long at)
{
    char path[TG_STORE_PATH_BYTES + 80];
    (void)snprintf(path, sizeof path, "%s/%s", store->path, name);
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, at, SEEK_SET), 0);
    const int byte = fgetc(file);
    cr_assert(fseek(file, at, SEEK_SET) == 0 && fputc(byte ^ 4, file) != EOF && fclose(file) == 0);
}

Test(tick_restore, both_know_something_of_the_run)
{
    write_ticks(&from, run_a, 2, (int64_t[]){10, 20});
    write_ticks(&to, run_a, 2, (int64_t[]){20, 30});
    restores(3, (int64_t[]){10, 20, 30});
    restores(3, (int64_t[]){10, 20, 30}); /* again, after a crash in between */
}

Test(tick_restore, ticks_of_another_run_stay)
{
    write_ticks(&from, run_a, 1, (int64_t[]){10});
    write_ticks(&to, run_b, 1, (int64_t[]){40});
    restores(1, (int64_t[]){10});
    has(run_b, 1, (int64_t[]){40});
}

Test(tick_restore, one_that_was_restored_before_is_added_to)
{
    write_ticks(&to, run_b, 1, (int64_t[]){40});
    write_ticks(&from, run_a, 1, (int64_t[]){10});
    restores(1, (int64_t[]){10});
    cr_assert_eq(tg_tick_file_remove(&from, &err), TG_OK);
    write_ticks(&from, run_a, 1, (int64_t[]){20});
    restores(2, (int64_t[]){10, 20});
    has(run_b, 1, (int64_t[]){40});
}

Test(tick_restore, a_start_without_a_checkpoint_does_not_see_them)
{
    write_ticks(&from, run_a, 1, (int64_t[]){10});
    restores(1, (int64_t[]){10});
    struct tg_tick_log log;
    const struct tg_ticks_header header = {.job = "job", .graph_hash = 7, .source_count = 1, .sources = &source};
    cr_assert_eq(tg_tick_log_open(&log, &to, &header, NULL, &err), TG_OK, "%s", err.text);
    cr_assert(!log.found && log.replay_count == 0);
    tg_tick_log_close(&log);
}

Test(tick_restore, a_run_goes_on_in_its_own_log)
{
    write_ticks(&from, run_a, 1, (int64_t[]){10});
    write_ticks(&to, run_b, 1, (int64_t[]){40});
    restores(1, (int64_t[]){10});
    struct tg_tick_log log;
    const struct tg_manifest manifest = manifest_of(run_a);
    const struct tg_ticks_header header = {.job = "job", .graph_hash = 7, .source_count = 1, .sources = &source};
    cr_assert_eq(tg_tick_log_open(&log, &to, &header, &manifest, &err), TG_OK, "%s", err.text);
    tg_tick_log_begin(&log, &run_a);
    cr_assert_eq(log.replay_count, 1);
    const struct tg_tick tick = {.partition = 1, .offset = 20, .wm = 200, .wall_us = 5};
    cr_assert_eq(tg_tick_log_append(&log, &tick, 1, &err), TG_OK, "%s", err.text);
    tg_tick_log_close(&log);
    has(run_a, 2, (int64_t[]){10, 20});
    has(run_b, 1, (int64_t[]){40});
}

Test(tick_restore, a_damaged_copy_is_refused_and_a_damaged_one_of_ours_replaced)
{
    char name[TG_STORE_NAME_BYTES];
    tg_tick_log_name(&run_a, name);
    write_ticks(&from, run_a, 2, (int64_t[]){10, 20});
    restores(2, (int64_t[]){10, 20});
    flip(&to, name, 20);
    restores(2, (int64_t[]){10, 20});
    flip(&from, TG_TICK_FILE_NAME, 20);
    cr_assert_eq(restore_a(), TG_ERR_DATA);
    cr_assert(err.code == TG1512 && strstr(err.text, "ticks.log: wrong checksum at byte") != NULL, "%s", err.text);
    has(run_a, 2, (int64_t[]){10, 20});
}

Test(tick_restore, a_copy_whose_log_is_another_runs_is_refused)
{
    write_ticks(&from, run_b, 1, (int64_t[]){10});
    cr_assert_eq(restore_a(), TG_ERR_DATA);
    cr_assert_str_eq(err.text, "ticks.log is of another run than checkpoint 3");
}

Test(tick_restore, what_no_kept_run_needs_is_swept_and_nothing_else)
{
    char names[2][TG_STORE_NAME_BYTES];
    char path[TG_STORE_PATH_BYTES + 80];
    static const char *const others[] = {"ticks-notes.log", "ticks-0.log",
                                         "ticks-00000000000000000000000000000000.txt"};
    write_ticks(&to, run_b, 1, (int64_t[]){40});
    write_ticks(&from, run_a, 1, (int64_t[]){10});
    restores(1, (int64_t[]){10});
    tg_tick_log_name(&run_a, names[0]);
    tg_tick_log_name(&run_b, names[1]);
    for (uint32_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", to.path, others[i]);
        cr_assert_eq(fclose(fopen(path, "w")), 0);
    }
    cr_assert_eq(tg_tick_file_sweep(&to, 2, (const char(*)[TG_STORE_NAME_BYTES])names, &err), TG_OK);
    has(run_a, 1, (int64_t[]){10});
    (void)snprintf(path, sizeof path, "%s/%s.tmp", to.path, names[0]);
    cr_assert_eq(fclose(fopen(path, "w")), 0);
    cr_assert_eq(tg_tick_file_sweep(&to, 1, (const char(*)[TG_STORE_NAME_BYTES]) & names[1], &err), TG_OK);
    cr_assert_neq(access(path, F_OK), 0, "what a crash left");
    (void)snprintf(path, sizeof path, "%s/%s", to.path, names[0]);
    cr_assert_neq(access(path, F_OK), 0);
    for (uint32_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", to.path, others[i]);
        cr_assert_eq(access(path, F_OK), 0, "%s", path);
    }
    has(run_b, 1, (int64_t[]){40});
}

Test(tick_restore, an_empty_copy_leaves_what_is_of_its_run)
{
    write_ticks(&to, run_a, 1, (int64_t[]){40});
    restores(1, (int64_t[]){40});
}

Test(tick_restore, nobody_has_any_of_the_run)
{
    write_ticks(&to, run_b, 1, (int64_t[]){40});
    restores(0, NULL); /* an empty log of its own: the other run's is not taken for it */
    restores(0, NULL);
    has(run_b, 1, (int64_t[]){40});
}

Test(tick_restore, many_of_them)
{
    enum { MANY = 3000 };
    static int64_t even[MANY], odd[MANY], all[2 * MANY];
    for (int64_t i = 0; i < MANY; i++) {
        all[2 * i] = even[i] = 2 * i + 2;
        all[2 * i + 1] = odd[i] = 2 * i + 3;
    }
    write_ticks(&from, run_a, MANY / 10, even);
    write_ticks(&to, run_a, MANY / 10, odd);
    restores(MANY / 5, all);
}
