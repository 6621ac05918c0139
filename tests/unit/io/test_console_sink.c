/* The console sink: readers that are slow or gone, full disks behind a redirection, tables for people. */
#include <stdalign.h>
#include <stdio.h>

#include "base/log.h"
#include "io/connectors.h"
#include "io/console/table.h"
#include "tests/contract/sink_readers.h"

static struct rig rig;
static struct model model;
static int saved_stdout = -1;
static int64_t revision;
static uint32_t from;

static void stdout_become(int fd)
{
    (void)fflush(stdout);
    if (saved_stdout < 0) { saved_stdout = dup(STDOUT_FILENO); }
    cr_assert_geq(dup2(fd, STDOUT_FILENO), 0);
    (void)close(fd);
}
static void stdout_restore(void)
{
    if (saved_stdout >= 0) { (void)dup2(saved_stdout, STDOUT_FILENO); }
}
static void quiet(void) { tg_log_configure(&(struct tg_log_config){.level_min = TG_LOG_ERROR}); }
TestSuite(console_sink, .init = quiet, .fini = stdout_restore, .timeout = 60);

static void sink_open(const char *format)
{
    const struct rig_setting settings[] = {{"format", format}, {"flush_every", "0"}, {NULL, NULL}};
    rig_open(&rig, &tg_console_sink, 1, false, settings);
}

static bool rows_push(uint32_t rows)
{
    static alignas(16) uint8_t area[1024];
    struct tg_prng prng = {(uint64_t)revision + 7};
    for (uint32_t i = 0; i < rows; i++) {
        maker_row(&prng, &rig.schema, (struct tg_row *)area, i % MODEL_KEYS, ++revision);
        if (tg_batch_append_copy(rig.batch[0], (struct tg_row *)area) == NULL) { break; }
        model_add(&model, &rig, 0, i % MODEL_KEYS, (struct tg_row *)area);
    }
    return rig_push(&rig, 0, &from);
}

static void cycles(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        rig_cycle(&rig, 0);
        rig_advance(&rig, 20000000);
    }
}

Test(console_sink, a_reader_that_goes_away_ends_the_job_with_a_clear_message)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    stdout_become(ends[1]);
    sink_open("json");
    cr_assert(rows_push(5));
    (void)close(ends[0]);
    cycles(10);
    cr_assert_eq(rig.ops->failure(rig.state[0], &rig.error), TG_ERR_IO);
    cr_assert_eq(rig.error.code, TG1502);
    cr_assert_neq(strstr(rig.error.text, "gone away"), NULL, "%s", rig.error.text);
    rig_close(&rig);
}

static void other_run(struct tg_task *task) { *(bool *)task->owner = true; }

Test(console_sink, a_slow_reader_holds_up_neither_the_helper_nor_a_single_byte)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    stdout_become(ends[1]);
    sink_open("json");
    while (model.row_count[0] < MODEL_ROWS_MAX - 64 && rows_push(60)) { cycles(3); }
    cr_assert_neq(rig.batch[0]->count, 0, "back-pressure");
    bool other_ran = false;
    struct tg_task other = {.run = other_run, .owner = &other_ran};
    cr_assert(tg_helper_submit(rig.helper, 0, &other));
    cycles(3);
    cr_assert(other_ran, "the helper has time for others");
    cr_assert_eq(rig.ops->failure(rig.state[0], NULL), TG_OK);
    struct tg_sink_stats stats;
    rig.ops->stats(rig.state[0], &stats);
    cr_assert_gt(stats.pending, 0, "the pipe is smaller than that");
    cr_assert_eq(stats.errors, 0, "slow is no error");

    char path[] = "/tmp/turgo-console-XXXXXX";
    const int file = mkstemp(path);
    cr_assert_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    for (uint32_t reads = 0; rig.batch[0]->count != 0 || !rig.ops->flushed(rig.state[0]); reads++) {
        static char data[65536];
        const ssize_t bytes = read(ends[0], data, sizeof data);
        cr_assert_lt(reads, 2000);
        if (bytes > 0) { cr_assert_eq(write(file, data, (size_t)bytes), bytes); }
        if (rig.batch[0]->count != 0 && rig_push(&rig, 0, &from)) { rig.ops->flush(rig.state[0]); }
        cycles(2);
    }
    rig_close(&rig);
    stdout_restore(); /* the last writer of the pipe */
    for (;;) {
        static char data[65536];
        const ssize_t bytes = read(ends[0], data, sizeof data);
        if (bytes <= 0) { break; }
        cr_assert_eq(write(file, data, (size_t)bytes), bytes);
    }
    (void)close(file);
    lines_verify(&model, path, LINES_ALL);
    (void)unlink(path);
}

Test(console_sink, no_space_behind_a_redirection_is_waited_out)
{
    stdout_become(open("/dev/full", O_WRONLY));
    sink_open("json");
    cr_assert(rows_push(20));
    cycles(500);
    struct tg_sink_stats stats;
    rig.ops->stats(rig.state[0], &stats);
    cr_assert_eq(rig.ops->failure(rig.state[0], NULL), TG_OK);
    cr_assert_gt(stats.retries, 3);
    cr_assert_eq(stats.rows_written, 0);
    char path[] = "/tmp/turgo-console-XXXXXX";
    const int file = mkstemp(path);
    stdout_become(file);
    rig_flush(&rig);
    rig_close(&rig);
    stdout_restore();
    lines_verify(&model, path, LINES_ALL);
    (void)unlink(path);
}

static char *table_text(const struct tg_schema *schema, bool with_revision, const struct tg_row *row)
{
    static char text[8192];
    static struct tg_table table;
    struct tg_writer writer = {.data = text, .capacity = sizeof text - 1};
    tg_table_init(&table, schema, with_revision);
    tg_table_row(&table, &writer, row); /* first: widths are known before the header */
    const uint32_t row_bytes = writer.used;
    tg_table_header(&table, &writer);
    tg_table_row(&table, &writer, row);
    text[writer.used] = '\0';
    return text + row_bytes;
}

Test(console_sink, a_table_is_aligned_cut_and_cannot_move_the_cursor)
{
    static struct tg_schema schema = {
        .name = "t",
        .column_count = 4,
        .columns = {{.name = "user", .type = TG_TYPE_TEXT},
                    {.name = "n", .type = TG_TYPE_INTEGER},
                    {.name = "at", .type = TG_TYPE_TIMESTAMP},
                    {.name = "timeout", .type = TG_TYPE_BOOLEAN}},
    };
    tg_schema_layout(&schema);
    static alignas(16) uint8_t area[256];
    struct tg_row *row = (struct tg_row *)area;
    row->revision = 42;
    row->flags = TG_ROW_FINAL;
    *(tg_text *)tg_row_value(&schema, row, 0) = maker_text("\xe6\x97\xa5\xe6\x9c\xac\x1b[2J", 10);
    *(int32_t *)tg_row_value(&schema, row, 1) = 7;
    *(tg_ts *)tg_row_value(&schema, row, 2) = 1700000000000000;
    tg_row_set_null(&schema, row, 3, true);
    cr_assert_str_eq(table_text(&schema, true, row),
                     "user                n  at                        timeout  _revision  _final\n"
                     "-------------  ------  ------------------------  -------  ---------  ------\n"
                     "\xe6\x97\xa5\xe6\x9c\xac\\u001b[2J       7  "
                     "2023-11-14T22:13:20Z      null            42  true\n");
    memset(maker_long, 'x', sizeof maker_long);
    *(tg_text *)tg_row_value(&schema, row, 0) = maker_text(maker_long, 61);
    const char *text = table_text(&schema, false, row);
    cr_assert_neq(strstr(text, "xxxxxxxxxx\xe2\x80\xa6 "), NULL, "%s", text);
    *(tg_text *)tg_row_value(&schema, row, 0) = maker_text(maker_long, 60);
    cr_assert_null(strstr(table_text(&schema, false, row), "\xe2\x80\xa6"), "60 still fit");
}

Test(console_sink, the_table_format_prints_its_header_once_and_again_when_it_grew)
{
    char path[] = "/tmp/turgo-console-XXXXXX";
    stdout_become(mkstemp(path));
    sink_open("table");
    for (uint32_t i = 0; i < 10; i++) {
        cr_assert(rows_push(30));
        cycles(5);
    }
    rig_flush(&rig);
    rig_close(&rig);
    stdout_restore();
    size_t bytes = 0;
    char *data = whole_file(path, &bytes);
    cr_assert_eq(strncmp(data, "key", 3), 0);
    uint32_t lines = 0;
    uint32_t rules = 0;
    for (char *line = data; *line != '\0'; line = strchr(line, '\n') + 1) {
        rules += strncmp(line, "----", 4) == 0;
        lines += *line != '\n';
    }
    cr_assert_geq(rules, 1);
    cr_assert_leq(rules, 4, "headers must not crowd out rows");
    cr_assert_eq(lines, 300 + 2 * rules);
    free(data);
    (void)unlink(path);
}
