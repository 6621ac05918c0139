/* Distinct rows through the Cassandra sink, one shard, 1,024 in flight: the counterpart of bench/cassandra_driver.
 * Prints one line a run: rows, seconds, client CPU seconds, errors.   cassandra_fill HOST:PORT TABLE ROWS RUNS
 * [BACKEND] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "io/connectors.h"

enum { BATCH = 1024, OPTIONS_MAX = 32 };

static struct tg_schema schema = {
    .name = "counts",
    .column_count = 4,
    .columns = {{.name = "userId", .type = TG_TYPE_TEXT},
                {.name = "purchaseCount", .type = TG_TYPE_INTEGER},
                {.name = "eventTimestamp", .type = TG_TYPE_TIMESTAMP},
                {.name = "isTimeout", .type = TG_TYPE_BOOLEAN}},
};

struct writer {
    void *state;
    struct tg_loop *loop;
    struct tg_clock clock;
    struct tg_batch batch;
    char names[BATCH][24];
};

/* Numbers as the job loader would give them; the others are their fallbacks' zeros. */
static struct tg_options options_of(const char *const *hosts, const char *table)
{
    static const struct {
        const char *name;
        int64_t number;
    } numbers[] = {{"consistency", 6},   {"connections", 1},           {"max_in_flight", 1024},
                   {"max_pending", 4096}, {"max_pending_bytes", 64 << 20}, {"request_timeout", 5000000}};
    static struct tg_option_value values[OPTIONS_MAX];
    for (uint32_t i = 0; i < tg_cassandra_sink.option_count; i++) {
        const char *name = tg_cassandra_sink.options[i].name;
        for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
            if (strcmp(name, numbers[k].name) != 0) { continue; }
            values[i] = (struct tg_option_value){.is_set = true, .number = numbers[k].number};
        }
        if (strcmp(name, "hosts") == 0) {
            values[i] = (struct tg_option_value){.is_set = true, .count = 1, .texts = hosts};
        }
        if (strcmp(name, "table") == 0) { values[i] = (struct tg_option_value){.is_set = true, .text = table}; }
    }
    return (struct tg_options){tg_cassandra_sink.options, values, tg_cassandra_sink.option_count};
}

static void die(const struct tg_error *err)
{
    (void)fprintf(stderr, "TG%d %s\n", (int)err->code, err->text);
    exit(1);
}

static double cpu_seconds(void)
{
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void turn(struct writer *w)
{
    struct tg_error err = {0};
    uint32_t work = tg_loop_poll(w->loop);
    work += tg_cassandra_sink.poll(w->state, tg_clock_now_ns(&w->clock));
    if (work == 0) { tg_loop_park(w->loop, 1000000, NULL, NULL); }
    if (tg_cassandra_sink.failure(w->state, &err) != TG_OK) { die(&err); }
}

static void fill(struct writer *w, uint32_t first, uint32_t count, int64_t revision)
{
    w->batch.count = count;
    w->batch.arrived_ns = tg_clock_now_ns(&w->clock);
    for (uint32_t i = 0; i < count; i++) {
        struct tg_row *row = tg_batch_row(&w->batch, i);
        const uint32_t n = first + i;
        memset(row, 0, schema.row_bytes);
        row->revision = revision + n;
        const int bytes = snprintf(w->names[i], sizeof w->names[i], "user-%u", n);
        *(tg_text *)tg_row_value(&schema, row, 0) = (tg_text){.data = w->names[i], .bytes = (uint32_t)bytes};
        *(int32_t *)tg_row_value(&schema, row, 1) = (int32_t)(n & 1023);
        *(tg_ts *)tg_row_value(&schema, row, 2) = (1700000000000 + (int64_t)n) * 1000;
        *(bool *)tg_row_value(&schema, row, 3) = (n & 7) == 0;
    }
}

static void run(struct writer *w, uint32_t rows, int64_t revision)
{
    const uint64_t start_ns = tg_clock_now_ns(&w->clock);
    const double cpu = cpu_seconds();
    for (uint32_t done = 0; done < rows;) {
        const uint32_t count = rows - done < BATCH ? rows - done : BATCH;
        fill(w, done, count, revision);
        for (uint32_t from = 0; from < count;) {
            from += tg_cassandra_sink.push(w->state, &w->batch, from);
            turn(w);
        }
        done += count;
    }
    tg_cassandra_sink.flush(w->state);
    while (!tg_cassandra_sink.flushed(w->state)) { turn(w); }
    struct tg_sink_stats stats;
    tg_cassandra_sink.stats(w->state, &stats);
    (void)printf("%u %.6f %.6f %lu\n", rows, (double)(tg_clock_now_ns(&w->clock) - start_ns) / 1e9, cpu_seconds() - cpu,
                 stats.errors);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static const uint32_t key[] = {0};
    static struct writer w;
    struct tg_error err = {0};
    struct tg_arena arena;
    if (argc < 5) {
        (void)fprintf(stderr, "usage: %s HOST:PORT TABLE ROWS RUNS [io_uring|epoll]\n", argv[0]);
        return 64;
    }
    tg_schema_layout(&schema);
    const char *hosts[1] = {argv[1]};
    const struct tg_options options = options_of(hosts, argv[2]);
    w.clock = tg_clock_real();
    const struct tg_loop_config loop = {
        .backend = argc > 5 && strcmp(argv[5], "epoll") == 0 ? TG_LOOP_EPOLL : TG_LOOP_AUTO, .ops_max = 256};
    if (tg_arena_open(&arena, (size_t)512 << 20, &err) != TG_OK || tg_loop_open(&w.loop, &loop, NULL, &err) != TG_OK) {
        die(&err);
    }
    const struct tg_sink_env env = {.job_name = "bench",
                                    .sink_name = "bench",
                                    .options = &options,
                                    .schema = &schema,
                                    .key_columns = key,
                                    .key_count = 1,
                                    .version_base = 1700000000000000,
                                    .create_tables = true,
                                    .shard_count = 1,
                                    .max_keys = 1 << 20,
                                    .arena = &arena,
                                    .loop = w.loop,
                                    .clock = w.clock};
    if (tg_cassandra_sink.check(&env, tg_clock_now_ns(&w.clock) + 20000000000u, &err) != TG_OK) { die(&err); }
    w.state = calloc(1, tg_cassandra_sink.state_bytes(&env));
    w.batch = (struct tg_batch){
        .schema = &schema, .capacity = BATCH, .rows = aligned_alloc(64, BATCH * (size_t)schema.row_bytes)};
    if (tg_cassandra_sink.open(w.state, &env, &err) != TG_OK) { die(&err); }
    const uint32_t rows = (uint32_t)strtoul(argv[3], NULL, 10);
    const int64_t runs = strtol(argv[4], NULL, 10);
    for (int64_t i = 0; i < runs; i++) { run(&w, rows, i * rows); }
    tg_cassandra_sink.close(w.state);
    tg_loop_close(w.loop);
    free(w.state);
    free(w.batch.rows);
    tg_arena_close(&arena);
    return 0;
}
