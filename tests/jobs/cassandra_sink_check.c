/* Writes random revisions of random rows through the Cassandra sink and prints what the table must then hold, one JSON
 * object a row: tests/jobs/test_cassandra_sink.py compares with a foreign client.
 *   TURGO_CASSANDRA=host:port cassandra_sink_check TABLE ROWS KEYS INSTANCES PROTOCOL BACKEND RATE
 * RATE is rows a second and instance, 0 = as fast as it goes. Exit 77 without TURGO_CASSANDRA. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_text.h"
#include "io/connectors.h"
#include "tests/options_of.h"
#include "tests/row_maker.h"
#include "tests/seed.h"

enum { BATCH_ROWS = 256, WRITER_BYTES = 1 << 20 };

static struct tg_schema schema;
static const uint32_t key_columns[1] = {MAKER_KEY};
static struct tg_test_options options;

struct instance {
    pthread_t thread;
    uint32_t index;
    uint32_t rows;
    uint32_t keys; /* of this instance: i x instances + index */
    uint32_t instances;
    uint32_t rate;
    enum tg_loop_backend backend;
    uint64_t seed;
    uint8_t *last; /* [keys x row_bytes] last row of each key */
    char *texts;   /* [keys x TG_TEXT_BYTES_MAX] its text column */
    struct tg_histogram latency;
    struct tg_sink_stats stats;
};

static void fail(const struct tg_error *err)
{
    (void)fprintf(stderr, "TG%d %s\n", (int)err->code, err->text);
    exit(1);
}

static void remember(struct instance *in, uint32_t key, const struct tg_row *row)
{
    struct tg_row *last = (struct tg_row *)(void *)(in->last + (size_t)key * schema.row_bytes);
    memcpy(last, row, schema.row_bytes);
    tg_text *text = tg_row_value(&schema, last, MAKER_TEXT);
    if (text->bytes == 0) { return; }
    char *copy = in->texts + (size_t)key * TG_TEXT_BYTES_MAX;
    memcpy(copy, text->data, text->bytes);
    text->data = copy;
}

struct pump {
    void *state;
    struct tg_loop *loop;
    struct tg_clock clock;
};

static void turn(struct pump *pump)
{
    uint32_t work = tg_loop_poll(pump->loop);
    work += tg_cassandra_sink.poll(pump->state, tg_clock_now_ns(&pump->clock));
    if (work == 0) { tg_loop_park(pump->loop, 1000000, NULL, NULL); }
    struct tg_error err = {0};
    if (tg_cassandra_sink.failure(pump->state, &err) != TG_OK) { fail(&err); }
}

static void push_all(struct pump *pump, const struct tg_batch *batch)
{
    uint32_t from = 0;
    while (from < batch->count) {
        const uint32_t taken = tg_cassandra_sink.push(pump->state, batch, from);
        from += taken;
        if (from < batch->count) { turn(pump); }
    }
}

static void write_rows(struct instance *in, struct pump *pump, struct tg_batch *batch)
{
    struct tg_prng prng = {in->seed};
    int64_t *revisions = calloc(in->keys, sizeof *revisions);
    const uint64_t start_ns = tg_clock_now_ns(&pump->clock);
    for (uint32_t done = 0; done < in->rows;) {
        batch->count = in->rows - done < BATCH_ROWS ? in->rows - done : BATCH_ROWS;
        batch->arrived_ns = tg_clock_now_ns(&pump->clock);
        for (uint32_t i = 0; i < batch->count; i++) {
            /* Every key once, then at random: hot keys are overwritten while they are in flight. */
            const uint32_t n = done + i;
            const uint32_t key = n < in->keys ? n : tg_prng_below(&prng, tg_prng_below(&prng, 2) == 0 ? 3 : in->keys);
            struct tg_row *row = tg_batch_row(batch, i);
            maker_row(&prng, &schema, row, key * in->instances + in->index, ++revisions[key]);
            remember(in, key, row);
        }
        push_all(pump, batch);
        done += batch->count;
        turn(pump);
        while (in->rate > 0 && (tg_clock_now_ns(&pump->clock) - start_ns) / 1000 * in->rate / 1000000 < done) {
            turn(pump);
        }
    }
    free(revisions);
}

static void *run_instance(void *self)
{
    struct instance *in = self;
    struct tg_error err = {0};
    struct tg_arena arena;
    struct tg_loop *loop = NULL;
    const struct tg_loop_config loop_config = {.backend = in->backend, .ops_max = 256};
    if (tg_arena_open(&arena, (size_t)1 << 30, &err) != TG_OK ||
        tg_loop_open(&loop, &loop_config, NULL, &err) != TG_OK) {
        fail(&err);
    }
    struct tg_sink_env env = {.job_name = "check", .sink_name = "check", .options = &options.options, .schema = &schema,
                              .key_columns = key_columns, .key_count = 1, .version_base = 1700000000000000,
                              .shard = in->index, .shard_count = in->instances, .max_keys = 1 << 20, .arena = &arena,
                              .loop = loop, .clock = tg_clock_real(), .latency = &in->latency};
    void *state = calloc(1, tg_cassandra_sink.state_bytes(&env));
    if (tg_cassandra_sink.open(state, &env, &err) != TG_OK) { fail(&err); }
    struct pump pump = {state, loop, env.clock};
    struct tg_batch batch = {.schema = &schema, .capacity = BATCH_ROWS};
    batch.rows = aligned_alloc(64, (size_t)BATCH_ROWS * schema.row_bytes / 64 * 64 + 64);
    write_rows(in, &pump, &batch);
    tg_cassandra_sink.flush(state);
    while (!tg_cassandra_sink.flushed(state)) { turn(&pump); }
    tg_cassandra_sink.stats(state, &in->stats);
    tg_cassandra_sink.close(state);
    tg_loop_close(loop);
    free(batch.rows);
    free(state);
    tg_arena_close(&arena);
    return NULL;
}

static void print_rows(const struct instance *in)
{
    static char text[WRITER_BYTES];
    for (uint32_t key = 0; key < in->keys; key++) {
        struct tg_writer writer = {.data = text, .capacity = sizeof text};
        tg_write_json_row(&writer, &schema, in->last + (size_t)key * schema.row_bytes, true);
        (void)printf("%.*s\n", (int)writer.used, writer.data);
    }
}

static void check_target(void)
{
    struct tg_error err = {0};
    const struct tg_clock clock = tg_clock_real();
    struct tg_sink_env env = {.job_name = "check", .sink_name = "check", .options = &options.options, .schema = &schema,
                              .key_columns = key_columns, .key_count = 1, .create_tables = true, .clock = clock};
    if (tg_cassandra_sink.check(&env, tg_clock_now_ns(&clock) + 20000000000u, &err) != TG_OK) { fail(&err); }
}

static uint32_t number(const char *text)
{
    char *end = NULL;
    const unsigned long value = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value > UINT32_MAX) {
        (void)fprintf(stderr, "not a number: %s\n", text);
        exit(64);
    }
    return (uint32_t)value;
}

int main(int argc, char **argv)
{
    const char *host = getenv("TURGO_CASSANDRA");
    if (host == NULL || *host == '\0') {
        (void)fprintf(stderr, "skipped: TURGO_CASSANDRA is not set\n");
        return 77;
    }
    if (argc < 8) {
        (void)fprintf(stderr, "usage: %s TABLE ROWS KEYS INSTANCES PROTOCOL BACKEND RATE\n", argv[0]);
        return 64;
    }
    maker_schema(&schema);
    (void)tg_test_options(&options, tg_cassandra_sink.options, tg_cassandra_sink.option_count, "hosts", host, "table",
                          argv[1], "protocol", argv[5], NULL);
    check_target();
    const uint32_t instances = number(argv[4]);
    const uint64_t seed = tg_test_seed();
    struct instance *all = calloc(instances, sizeof *all);
    for (uint32_t i = 0; i < instances; i++) {
        struct instance *in = &all[i];
        in->index = i;
        in->instances = instances;
        in->rows = number(argv[2]) / instances;
        in->keys = number(argv[3]) / instances;
        in->backend = strcmp(argv[6], "uring") == 0 ? TG_LOOP_URING : TG_LOOP_EPOLL;
        in->rate = number(argv[7]);
        in->seed = seed + i;
        in->last = aligned_alloc(64, ((size_t)in->keys * schema.row_bytes + 63) / 64 * 64);
        in->texts = malloc((size_t)in->keys * TG_TEXT_BYTES_MAX);
        if (pthread_create(&in->thread, NULL, run_instance, in) != 0) { return 71; }
    }
    for (uint32_t i = 0; i < instances; i++) { (void)pthread_join(all[i].thread, NULL); }
    for (uint32_t i = 0; i < instances; i++) {
        const struct tg_sink_stats *s = &all[i].stats;
        (void)fprintf(
            stderr,
            "instance %u: taken %lu written %lu retries %lu errors %lu pending %lu latency p50 %lu us p99 %lu us "
            "count %lu\n",
            i, s->rows_taken, s->rows_written, s->retries, s->errors, s->pending,
            tg_histogram_quantile_ns(&all[i].latency, 0.5) / 1000,
            tg_histogram_quantile_ns(&all[i].latency, 0.99) / 1000, tg_histogram_count(&all[i].latency));
        print_rows(&all[i]);
    }
    return 0;
}
