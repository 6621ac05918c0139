/* The ticks that a directory has after a checkpoint was copied into it: those of the checkpoint's run, whoever knew
 * them. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tick_log.h"

static struct tg_store from;
static struct tg_store to;
static struct tg_arena arena;
static struct tg_error err;
static char folder[64];
static const struct tg_run_id run_a = {{1}};
static const struct tg_run_id run_b = {{2}};
static const struct tg_ticks_source source = {.name = "tx", .topic = "t", .cluster = "c", .partition_count = 4};

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

static void restores(uint32_t count, const int64_t *offsets)
{
    const uint8_t *data;
    size_t bytes;
    struct tg_ticks ticks;
    cr_assert_eq(tg_tick_log_restore(&from, &to, &run_a, &err), TG_OK, "%s", err.text);
    cr_assert_eq(tg_tick_file_read(&to, &arena, &data, &bytes, &err), TG_OK, "%s", err.text);
    cr_assert_eq(data != NULL, count != 0);
    if (count == 0) { return; }
    cr_assert_eq(tg_ticks_decode(data, bytes, "ticks", &arena, &ticks, &err), TG_OK, "%s", err.text);
    cr_assert_eq(memcmp(&ticks.header.run_id, &run_a, sizeof run_a), 0);
    cr_assert_eq(ticks.count, count);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert(ticks.list[i].offset == offsets[i] && ticks.list[i].wm == offsets[i] * 10);
        cr_assert(ticks.list[i].partition == 1 && ticks.list[i].wall_us == 5);
    }
}

Test(tick_restore, both_know_something_of_the_run)
{
    write_ticks(&from, run_a, 2, (int64_t[]){10, 20});
    write_ticks(&to, run_a, 2, (int64_t[]){20, 30});
    restores(3, (int64_t[]){10, 20, 30});
    restores(3, (int64_t[]){10, 20, 30}); /* again, after a crash in between */
}

Test(tick_restore, ticks_of_another_run_go)
{
    write_ticks(&from, run_a, 1, (int64_t[]){10});
    write_ticks(&to, run_b, 1, (int64_t[]){40});
    restores(1, (int64_t[]){10});
}

Test(tick_restore, an_empty_copy_leaves_what_is_of_its_run)
{
    write_ticks(&to, run_a, 1, (int64_t[]){40});
    restores(1, (int64_t[]){40});
}

Test(tick_restore, nobody_has_any_of_the_run)
{
    write_ticks(&to, run_b, 1, (int64_t[]){40});
    restores(0, NULL);
    restores(0, NULL);
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
