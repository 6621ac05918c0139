/* The file source against a model of lines: offsets, ends, straddling and oversize lines, errors, any poll and block
 * size, a stepped helper and a real one. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/prng.h"
#include "io/connectors.h"
#include "io/file_ops.h"
#include "tests/options_of.h"
#include "tests/seed.h"

enum { PARTITIONS = 8, LINES_MAX = 4096 };

struct rig {
    char folder[64];
    struct tg_test_options options;
    struct tg_arena arena;
    struct tg_buffer_pool pool;
    struct tg_helper *helper;
    struct tg_source_env env;
    void *state;
    uint32_t owned[PARTITIONS];
};

struct rig_config {
    uint32_t buffer_bytes;
    uint32_t buffer_count;
    uint32_t poll_count_max;
    uint32_t partitions;
    bool threaded;
};

static void rig_folder(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    snprintf(rig->folder, 64, "%s", "/tmp/test_file_source_XXXXXX");
    cr_assert_not_null(mkdtemp(rig->folder));
}

static const char *rig_path(const struct rig *rig, uint32_t partition)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/p%u.jsonl", rig->folder, partition);
    return path;
}

static void rig_write(const struct rig *rig, uint32_t partition, const void *data, size_t bytes)
{
    FILE *file = fopen(rig_path(rig, partition), "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(data, 1, bytes, file), bytes);
    cr_assert_eq(fclose(file), 0);
}

static const struct tg_options *rig_options(struct rig *rig, const char *path)
{
    return tg_test_options(&rig->options, tg_file_source.options, tg_file_source.option_count, "path", path, NULL);
}

static void rig_open(struct rig *rig, const char *path, const struct rig_config *config)
{
    struct tg_error err = {0};
    const struct tg_buffer_pool_config pool = {config->buffer_count, config->buffer_bytes, 2};
    cr_assert_eq(tg_arena_open(&rig->arena, tg_buffer_pool_bytes(&pool) + 65536, &err), TG_OK, "%s", err.text);
    cr_assert_eq(tg_buffer_pool_init(&rig->pool, &pool, &rig->arena, &err), TG_OK, "%s", err.text);
    cr_assert_eq(tg_helper_create(&rig->helper, 1, NULL, NULL, &err), TG_OK, "%s", err.text);
    if (config->threaded) { cr_assert_eq(tg_helper_start(rig->helper, &err), TG_OK, "%s", err.text); }
    rig->env = (struct tg_source_env){.source_name = "tx", .options = rig_options(rig, path), .shard_count = 1,
        .partitions = rig->owned,
        .partition_count = config->partitions, .owned_count = config->partitions,
            .poll_count_max = config->poll_count_max,
        .buffers = &rig->pool, .arena = &rig->arena, .helper = rig->helper, .clock = tg_clock_real()};
    for (uint32_t i = 0; i < config->partitions; i++) { rig->owned[i] = i; }
    rig->state = calloc(1, tg_file_source.state_bytes(rig->env.options, config->partitions));
    cr_assert_eq(tg_file_source.open(rig->state, &rig->env, &err), TG_OK, "%s", err.text);
}

static void rig_close(struct rig *rig)
{
    tg_file_source.close(rig->state);
    cr_assert_eq(rig->pool.in_use, 0, "every buffer came home");
    tg_helper_destroy(rig->helper);
    tg_arena_close(&rig->arena);
    free(rig->state);
}

static void rig_remove(struct rig *rig)
{
    for (uint32_t i = 0; i < PARTITIONS; i++) { (void)unlink(rig_path(rig, i)); }
    cr_assert_eq(rmdir(rig->folder), 0, "%s", rig->folder);
}

/* The lines of a file, independently: split at newlines, the last one makes no line. */
struct model {
    const uint8_t *lines[LINES_MAX];
    uint32_t bytes[LINES_MAX];
    uint32_t count;
    uint32_t seen;
    bool ended;
};

static void model_split(struct model *model, const uint8_t *data, size_t bytes)
{
    *model = (struct model){.count = 0};
    size_t start = 0;
    for (size_t i = 0; i <= bytes; i++) {
        if ((i == bytes && i > start) || (i < bytes && data[i] == '\n')) {
            cr_assert_lt(model->count, LINES_MAX);
            model->lines[model->count] = data + start;
            model->bytes[model->count++] = (uint32_t)(i - start);
            start = i + 1;
        }
    }
}

static void model_check(struct model *model, const struct tg_raw_batch *raw, const struct rig *rig)
{
    cr_assert_not(model->ended, "news of partition %u after its end", raw->partition);
    cr_assert_leq(raw->count, rig->env.poll_count_max);
    cr_assert_eq(raw->buffer != NULL, raw->count > 0);
    for (uint32_t i = 0; i < raw->count; i++) {
        const struct tg_slice *slice = &raw->slices[i];
        cr_assert_eq(slice->offset, model->seen, "partition %u", raw->partition);
        cr_assert_lt(model->seen, model->count);
        const uint32_t bytes = model->bytes[model->seen];
        cr_assert_eq(slice->oversize, bytes > TG_RECORD_BYTES_MAX);
        cr_assert_eq(slice->value_bytes, slice->oversize != 0 ? (uint32_t)TG_RECORD_BYTES_MAX : bytes);
        cr_assert_eq(slice->record_us, TG_TS_MIN);
        cr_assert_eq(memcmp(slice->value, model->lines[model->seen], slice->value_bytes), 0, "offset %u", model->seen);
        cr_assert_geq(slice->value, raw->buffer->data);
        cr_assert_leq(slice->value + slice->value_bytes, raw->buffer->data + raw->buffer->capacity,
            "the padding stays behind it");
        model->seen++;
    }
    model->ended = raw->flags != 0;
    cr_assert(raw->flags == 0 || raw->flags == (TG_RAW_AT_END | TG_RAW_ENDED));
    cr_assert(!model->ended || model->seen == model->count, "partition %u ended at %u of %u", raw->partition,
        model->seen, model->count);
}

/* Read everything; batches are held back at random, so that buffers run short. */
static void rig_drain(struct rig *rig, struct model *models, struct tg_prng *prng)
{
    enum { HELD_MAX = 3 };
    struct tg_buffer *held[HELD_MAX] = {NULL};
    static struct tg_raw_batch raw;
    uint32_t ended = 0;
    for (uint64_t step = 0; ended < rig->env.owned_count; step++) {
        cr_assert_lt(step, 50000000, "it ends");
        struct tg_buffer **slot = &held[tg_prng_below(prng, HELD_MAX)];
        if (*slot != NULL) { tg_buffer_release(*slot); }
        *slot = NULL;
        (void)tg_helper_step(rig->helper, tg_prng_below(prng, 3));
        (void)tg_helper_poll(rig->helper, 0);
        cr_assert_eq(tg_file_source.failure(rig->state, NULL), TG_OK);
        cr_assert_eq(tg_file_source.lag(rig->state), -1);
        if (tg_file_source.poll(rig->state, &raw, step) == 0) { continue; }
        cr_assert_lt(raw.partition, rig->env.partition_count);
        model_check(&models[raw.partition], &raw, rig);
        ended += models[raw.partition].ended;
        *slot = raw.buffer;
    }
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (held[i] != NULL) { tg_buffer_release(held[i]); }
    }
    cr_assert_eq(tg_file_source.poll(rig->state, &raw, 0), 0, "nothing follows the end");
    cr_assert_eq(tg_file_source.lag(rig->state), 0);
}

/* One partition holding `text` gives `count` records. */
static void check_text(const char *text, uint32_t count)
{
    static struct model model;
    struct rig rig;
    struct tg_prng prng = {1};
    rig_folder(&rig);
    rig_write(&rig, 0, text, strlen(text));
    model_split(&model, (const uint8_t *)text, strlen(text));
    cr_assert_eq(model.count, count, "%s", text);
    rig_open(&rig, rig.folder, &(struct rig_config){64, 4, 2, 1, false});
    rig_drain(&rig, &model, &prng);
    rig_close(&rig);
    rig_remove(&rig);
}

Test(file_source, lines_are_records_and_the_last_newline_makes_none)
{
    check_text("", 0);
    check_text("\n", 1);
    check_text("a", 1);
    check_text("a\n", 1);
    check_text("a\nb", 2);
    check_text("a\n\nb\n\n", 4);
    check_text("a\r\nb\r\n", 2); /* the model has the \r in the record */
    check_text("\n\n\n", 3);
    check_text("a line that is much longer than the buffers of sixty-four bytes this test reads files into\nb", 2);
}

Test(file_source, random_files_in_any_geometry_give_their_lines)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    static struct model models[PARTITIONS];
    uint8_t *data[PARTITIONS];
    for (uint32_t round = 0; round < 60; round++) {
        struct rig rig;
        rig_folder(&rig);
        const uint32_t partitions = 1 + tg_prng_below(&prng, PARTITIONS);
        const uint32_t line_max = 1u << tg_prng_below(&prng, 11);
        for (uint32_t p = 0; p < partitions; p++) {
            const uint32_t lines = tg_prng_below(&prng, 5) == 0 ? 0 : tg_prng_below(&prng, 600);
            data[p] = malloc((size_t)lines * (line_max + 1) + 1);
            size_t used = 0;
            for (uint32_t i = 0; i < lines; i++) {
                for (uint32_t c = tg_prng_below(&prng, line_max + 1); c > 0; c--) {
                    const uint8_t byte = (uint8_t)tg_prng_next(&prng);
                    data[p][used++] = byte == '\n' ? '\r' : byte;
                }
                if (i + 1 < lines || tg_prng_below(&prng, 2) == 0) { data[p][used++] = '\n'; }
            }
            rig_write(&rig, p, data[p], used);
            model_split(&models[p], data[p], used);
        }
        const struct rig_config config = {.buffer_bytes = 16u << tg_prng_below(&prng, 10),
            .buffer_count = 4 + tg_prng_below(&prng, 8),
            .poll_count_max = tg_prng_below(&prng, 2) == 0 ? 1 + tg_prng_below(&prng, 8) : TG_BATCH_ROWS_MAX,
            .partitions = partitions, .threaded = round % 4 == 3};
        rig_open(&rig, rig.folder, &config);
        rig_drain(&rig, models, &prng);
        rig_close(&rig);
        rig_remove(&rig);
        for (uint32_t p = 0; p < partitions; p++) { free(data[p]); }
    }
}

Test(file_source, lines_at_and_beyond_eight_mebibytes)
{
    static struct model model;
    struct tg_prng prng = {3};
    const size_t limit = TG_RECORD_BYTES_MAX;
    const size_t lengths[] = {limit, 5, limit + 1, 0, 2 * limit + 12345, 7, limit - 1, limit + 1};
    for (uint32_t ending = 0; ending < 2; ending++) { /* with and without a newline behind the last, oversize, line */
        size_t total = 0;
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) { total += lengths[i] + 1; }
        uint8_t *data = malloc(total);
        size_t used = 0;
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            memset(data + used, 'a' + (int)i, lengths[i]);
            used += lengths[i];
            data[used++] = '\n';
        }
        used -= ending;
        struct rig rig;
        rig_folder(&rig);
        rig_write(&rig, 0, data, used);
        model_split(&model, data, used);
        rig_open(&rig, rig.folder, &(struct rig_config){512 << 10, 6, 16, 1, false});
        rig_drain(&rig, &model, &prng);
        rig_close(&rig);
        rig_remove(&rig);
        free(data);
    }
}

Test(file_source, one_file_is_one_partition)
{
    static struct model model;
    struct tg_prng prng = {4};
    struct rig rig;
    struct tg_error err = {0};
    uint32_t partitions = 0;
    rig_folder(&rig);
    rig_write(&rig, 0, "x\ny\n", 4);
    const char *path = rig_path(&rig, 0);
    cr_assert_eq(tg_file_source.discover(rig_options(&rig, path), "tx", 0, &partitions, &err), TG_OK, "%s", err.text);
    cr_assert_eq(partitions, 1);
    model_split(&model, (const uint8_t *)"x\ny\n", 4);
    rig_open(&rig, path, &(struct rig_config){4096, 4, 100, 1, true});
    rig_drain(&rig, &model, &prng);
    rig_close(&rig);
    rig_remove(&rig);
}

static void check_discover(struct rig *rig, const char *path, tg_status expected, const char *says, uint32_t partitions)
{
    struct tg_error err = {0};
    uint32_t count = 0;
    const tg_status status = tg_file_source.discover(rig_options(rig, path), "tx", 0, &count, &err);
    cr_assert_eq(status, expected, "%s: %s", path, err.text);
    if (expected == TG_OK) {
        cr_assert_eq(count, partitions);
    } else {
        cr_assert_eq(err.code, TG1501);
        cr_assert_not_null(strstr(err.text, says), "%s does not say: %s", err.text, says);
    }
}

Test(file_source, discover_counts_partitions_and_says_what_is_missing)
{
    struct rig rig;
    char path[160];
    rig_folder(&rig);
    check_discover(&rig, "/nonexistent/input", TG_ERR_INPUT, "No such file", 0);
    check_discover(&rig, rig.folder, TG_ERR_INPUT, "has no p0.jsonl", 0);
    rig_write(&rig, 0, "", 0);
    rig_write(&rig, 1, "a", 1);
    check_discover(&rig, rig.folder, TG_OK, NULL, 2);
    snprintf(path, sizeof path, "%s/", rig.folder);
    check_discover(&rig, path, TG_OK, NULL, 2);
    rig_write(&rig, 3, "a", 1);
    check_discover(&rig, rig.folder, TG_ERR_INPUT, "p2.jsonl is missing", 0);
    unlink(rig_path(&rig, 3));
    snprintf(path, sizeof path, "%s/p01.jsonl", rig.folder);
    fclose(fopen(path, "w"));
    check_discover(&rig, rig.folder, TG_ERR_INPUT, "leading zeros", 0);
    unlink(path);
    snprintf(path, sizeof path, "%s/p4096.jsonl", rig.folder);
    fclose(fopen(path, "w"));
    check_discover(&rig, rig.folder, TG_ERR_INPUT, "beyond the 4096 partitions", 0);
    unlink(path);
    snprintf(path, sizeof path, "%s/notes.txt", rig.folder); /* none of ours */
    fclose(fopen(path, "w"));
    check_discover(&rig, rig.folder, TG_OK, NULL, 2);
    unlink(path);
    unlink(rig_path(&rig, 1));
    cr_assert_eq(mkdir(rig_path(&rig, 1), 0700), 0);
    check_discover(&rig, rig.folder, TG_ERR_INPUT, "p1.jsonl is no regular file", 0);
    rmdir(rig_path(&rig, 1));
    cr_assert_eq(mkfifo(rig_path(&rig, 1), 0600), 0);
    check_discover(&rig, rig.folder, TG_ERR_INPUT, "p1.jsonl is no regular file", 0);
    unlink(rig_path(&rig, 1));
    rig_remove(&rig);
}

/* ---- faults ------------------------------------------------------------------------------------------------------ */

static const struct tg_file_ops *real;
static uint32_t reads_until_fault;

static int64_t failing_pread(void *self, int fd, void *data, size_t bytes, int64_t offset)
{
    if (reads_until_fault == 0) { return -EIO; }
    reads_until_fault--;
    return real->pread(self, fd, data, bytes < 7 ? bytes : 7, offset); /* short, as reads may be */
}

Test(file_source, a_read_error_fails_the_source_after_the_records_before_it)
{
    static const char text[] = "one\ntwo\nthree\nfour\n";
    static struct tg_raw_batch raw;
    for (uint32_t after = 0; after < 12; after++) {
        struct rig rig;
        rig_folder(&rig);
        rig_write(&rig, 0, text, sizeof text - 1);
        rig_open(&rig, rig.folder, &(struct rig_config){8, 4, 1, 1, false});
        real = tg_file_ops();
        struct tg_file_ops ops = *real;
        ops.pread = failing_pread;
        reads_until_fault = after;
        tg_file_ops_use(&ops);
        uint32_t records = 0;
        struct tg_error err = {0};
        bool ended = false;
        for (uint32_t step = 0; step < 100 && !ended && tg_file_source.failure(rig.state, &err) == TG_OK; step++) {
            (void)tg_helper_step(rig.helper, 1);
            (void)tg_helper_poll(rig.helper, 0);
            if (tg_file_source.poll(rig.state, &raw, 0) == 0) { continue; }
            records += raw.count;
            ended = (raw.flags & TG_RAW_ENDED) != 0;
            if (raw.buffer != NULL) { tg_buffer_release(raw.buffer); }
        }
        cr_assert_neq(ended, err.status == TG_ERR_INPUT, "%s", err.text);
        cr_assert_eq(ended, after >= 6, "%u reads", after); /* two blocks of two reads, then the rest and the end */
        if (ended) {
            cr_assert_eq(records, 4);
        } else {
            cr_assert_eq(err.code, TG1501);
            cr_assert_not_null(strstr(err.text, "p0.jsonl"), "%s", err.text);
            cr_assert_eq(tg_file_source.poll(rig.state, &raw, 0), 0);
        }
        rig_close(&rig);
        tg_file_ops_use(NULL);
        rig_remove(&rig);
    }
}

Test(file_source, a_file_that_vanished_after_discover_fails_by_name)
{
    static struct tg_raw_batch raw;
    struct rig rig;
    struct tg_error err = {0};
    rig_folder(&rig);
    rig_open(&rig, rig.folder, &(struct rig_config){4096, 4, 1, 1, false});
    cr_assert_eq(tg_file_source.poll(rig.state, &raw, 0), 0);
    (void)tg_helper_step(rig.helper, 1);
    (void)tg_helper_poll(rig.helper, 0);
    cr_assert_eq(tg_file_source.poll(rig.state, &raw, 0), 0);
    cr_assert_eq(tg_file_source.failure(rig.state, &err), TG_ERR_INPUT);
    cr_assert_not_null(strstr(err.text, "No such file"), "%s", err.text);
    rig_close(&rig);
    rig_remove(&rig);
}

Test(file_source, closing_waits_for_the_read_under_way)
{
    static struct tg_raw_batch raw;
    for (uint32_t threaded = 0; threaded < 2; threaded++) {
        struct rig rig;
        rig_folder(&rig);
        rig_write(&rig, 0, "a\nb\n", 4);
        rig_open(&rig, rig.folder, &(struct rig_config){4096, 4, 1, 1, threaded != 0});
        cr_assert_eq(tg_file_source.poll(rig.state, &raw, 0), 0); /* starts a read, asks for nothing more */
        cr_assert_eq(rig.pool.in_use, 1);
        rig_close(&rig);
        rig_remove(&rig);
    }
}
