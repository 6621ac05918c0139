/* File and SQLite sinks of several shard threads against one helper thread: every row arrives, none twice, and TSan
 * sees every hand-over. Weakening S1 in io/sqlite/database.c to relaxed must make it report a race here. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/prng.h"
#include "io/connectors.h"
#include "tests/options_of.h"

enum { SHARDS = 3, ROWS = 6000, KEYS = 100 };

static struct tg_schema schema = {
    .name = "rows",
    .column_count = 2,
    .columns = {{.name = "key", .type = TG_TYPE_TEXT}, {.name = "n", .type = TG_TYPE_BIGINT}},
};
static const uint32_t key_columns[] = {0};
static struct tg_test_options options;
static struct tg_helper *helper;
static const struct tg_sink_ops *ops;
static void *shared;

static void row_fill(struct tg_row *row, char *name, uint32_t shard, uint32_t n)
{
    const int bytes = snprintf(name, 32, "shard %u key %u", shard, n % KEYS);
    memset(row, 0, schema.row_bytes);
    row->revision = (int64_t)n + 1;
    *(tg_text *)tg_row_value(&schema, row, 0) = (tg_text){.data = name, .bytes = (uint32_t)bytes};
    *(int64_t *)tg_row_value(&schema, row, 1) = n;
}

static void cycle(void *state, const struct tg_sink_env *env)
{
    (void)tg_helper_poll(helper, env->shard);
    (void)ops->poll(state, tg_clock_now_ns(&env->clock));
    TG_ASSERT(ops->failure(state, NULL) == TG_OK);
}

static void *shard_main(void *argument)
{
    const uint32_t shard = (uint32_t)(uintptr_t)argument;
    struct tg_arena arena;
    struct tg_histogram *latency = calloc(1, sizeof *latency);
    TG_ASSERT(latency != NULL && tg_arena_open(&arena, 512 << 20, NULL) == TG_OK);
    const struct tg_batch_config config = {.schema = &schema, .capacity = 50, .wm_capacity = 1, .has_blob = true};
    struct tg_batch *batch = tg_batch_create(&config, &arena);
    const struct tg_sink_env env = {.job_name = "stress", .sink_name = "rows", .options = &options.options,
                                    .schema = &schema,
                                    .key_columns = key_columns, .key_count = ops->keyed ? 1 : 0,
                                    .with_revision = !ops->keyed,
                                    .create_tables = true, .shard = shard, .shard_count = SHARDS, .max_keys = 10000,
                                    .latency = latency, .arena = &arena, .helper = helper, .clock = tg_clock_real(),
                                    .shared = shared};
    void *state = calloc(1, ops->state_bytes(&env));
    TG_ASSERT(ops->open(state, &env, NULL) == TG_OK);
    struct tg_prng prng = {shard};
    for (uint32_t n = 0; n < ROWS;) {
        alignas(16) uint8_t area[256];
        char name[32];
        tg_batch_reset(batch);
        batch->arrived_ns = tg_clock_now_ns(&env.clock);
        for (uint32_t i = 1 + tg_prng_below(&prng, 50); i != 0 && n < ROWS; i--, n++) {
            row_fill((struct tg_row *)area, name, shard, n);
            TG_ASSERT(tg_batch_append_copy(batch, (struct tg_row *)area) != NULL);
        }
        for (uint32_t from = 0; from < batch->count;) {
            from += ops->push(state, batch, from);
            cycle(state, &env);
        }
        if (tg_prng_below(&prng, 30) == 0) { ops->flush(state); }
    }
    ops->flush(state);
    while (!ops->flushed(state)) { cycle(state, &env); }
    struct tg_sink_stats stats;
    ops->stats(state, &stats);
    TG_ASSERT(stats.rows_taken == ROWS && stats.pending == 0);
    TG_ASSERT(tg_histogram_count(latency) == ROWS);
    ops->close(state);
    free(state);
    free(latency);
    tg_arena_close(&arena);
    return NULL;
}

static void run(const struct tg_sink_ops *sink, const char *path)
{
    ops = sink;
    struct tg_error error = {0};
    (void)tg_test_options(&options, sink->options, sink->option_count, "path", path, "flush_every", "1ms", NULL);
    TG_ASSERT(tg_helper_create(&helper, SHARDS, NULL, NULL, NULL) == TG_OK);
    TG_ASSERT(tg_helper_start(helper, NULL) == TG_OK);
    const struct tg_sink_env env = {.job_name = "stress", .sink_name = "rows", .options = &options.options,
                                    .schema = &schema,
                                    .key_columns = key_columns, .key_count = sink->keyed ? 1 : 0, .create_tables = true,
                                    .shard_count = SHARDS, .clock = tg_clock_real()};
    const tg_status status = sink->share(&env, &shared, &error);
    if (status != TG_OK) { (void)fprintf(stderr, "%s\n", error.text); }
    TG_ASSERT(status == TG_OK);
    pthread_t threads[SHARDS];
    for (uintptr_t i = 0; i < SHARDS; i++) { TG_ASSERT(pthread_create(&threads[i], NULL, shard_main, (void *)i) == 0); }
    for (uint32_t i = 0; i < SHARDS; i++) { TG_ASSERT(pthread_join(threads[i], NULL) == 0); }
    sink->unshare(shared);
    tg_helper_destroy(helper);
}

/* Lines per shard in order, whole and complete. */
static void lines_verify(const char *path)
{
    FILE *file = fopen(path, "r");
    TG_ASSERT(file != NULL);
    uint32_t next[SHARDS] = {0};
    char line[256];
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned shard = 0;
        unsigned key = 0;
        unsigned n = 0;
        int used = 0;
        TG_ASSERT(sscanf(line, "{\"key\":\"shard %u key %u\",\"n\":%u%n", &shard, &key, &n, &used) == 3);
        TG_ASSERT(shard < SHARDS && n == next[shard] && key == n % KEYS && line[strlen(line) - 1] == '\n');
        next[shard]++;
    }
    (void)fclose(file);
    for (uint32_t i = 0; i < SHARDS; i++) { TG_ASSERT(next[i] == ROWS); }
}

static void table_verify(const char *path)
{
    sqlite3 *connection = NULL;
    sqlite3_stmt *sum = NULL;
    TG_ASSERT(sqlite3_open(path, &connection) == SQLITE_OK);
    TG_ASSERT(sqlite3_prepare_v2(connection, "SELECT count(*), min(n), max(n) FROM rows", -1, &sum, NULL) == SQLITE_OK);
    TG_ASSERT(sqlite3_step(sum) == SQLITE_ROW);
    TG_ASSERT(sqlite3_column_int(sum, 0) == SHARDS * KEYS);
    TG_ASSERT(sqlite3_column_int(sum, 1) == ROWS - KEYS && sqlite3_column_int(sum, 2) == ROWS - 1);
    (void)sqlite3_finalize(sum);
    (void)sqlite3_close(connection);
}

int main(void)
{
    char folder[] = "/tmp/turgo-stress-XXXXXX";
    char path[64];
    TG_ASSERT(mkdtemp(folder) != NULL);
    tg_schema_layout(&schema);
    (void)snprintf(path, sizeof path, "%s/rows.jsonl", folder);
    run(&tg_file_sink, path);
    lines_verify(path);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/rows.db", folder);
    run(&tg_sqlite_sink, path);
    table_verify(path);
    (void)unlink(path);
    (void)rmdir(folder);
    (void)printf("%d shards, %d rows each, file and SQLite: all there, none twice\n", SHARDS, ROWS);
    return 0;
}
