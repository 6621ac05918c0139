/* Ports and outlets: what a step emits reaches each of its readers once and in order, sinks in their own columns,
 * whatever number of rows a reader takes at a time. The sink here takes a random number and checks every row itself. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "engine/port.h"
#include "tests/seed.h"

enum { SHARDS = 2, SINKS = 4, TEXT_BYTES = 6000, COLUMNS = 4 };
enum { NAME, NUMBER, SMALL, FLAG }; /* columns of the input */

/* ---- the model: row n is a function of n ------------------------------------------------------------------------- */

static struct tg_schema input;

static bool model_null(uint64_t n, uint32_t column) { return (n * 0x9E3779B97F4A7C15u >> (20 + column) & 3) == 0; }

/* Most texts are short; one in 64 is long, so that batches end by rows as well as by text. */
static uint32_t model_text(uint64_t n, char text[TEXT_BYTES])
{
    const uint32_t bytes = n % 64 == 63 ? TEXT_BYTES : 3 + (uint32_t)(n % 17);
    memset(text, 'a' + (int)(n % 26), bytes);
    return bytes;
}

static void model_row(uint64_t n, struct tg_row *row, char text[TEXT_BYTES])
{
    memset(row, 0, input.row_bytes);
    row->ts = (int64_t)n * 3;
    row->wm = (int64_t)n;
    row->offset = (int64_t)n;
    row->hash = n ^ 0xABCDEF;
    row->revision = (int64_t)n + 1;
    row->flags = n % 5 == 0 ? TG_ROW_FINAL : 0;
    const tg_text name = {.data = text, .bytes = model_text(n, text)};
    memcpy(tg_row_value(&input, row, NAME), &name, sizeof name);
    *(int64_t *)tg_row_value(&input, row, NUMBER) = (int64_t)(n * 7);
    *(int32_t *)tg_row_value(&input, row, SMALL) = (int32_t)(n % 1000);
    *(bool *)tg_row_value(&input, row, FLAG) = n % 2 == 0;
    for (uint32_t i = 0; i < COLUMNS; i++) { tg_row_set_null(&input, row, i, model_null(n, i)); }
}

/* ---- a sink that takes what it likes ----------------------------------------------------------------------------- */

struct fake {
    struct tg_sink_env env;
    uint32_t index;
    uint64_t received;
    uint64_t flushed_at; /* received when flush was called */
    uint32_t flushes;
};

static struct tg_sink_spec specs[SINKS];
static struct fake *fakes[SINKS];
static struct tg_prng prng;
static uint64_t seed;
static uint32_t take_max[SINKS]; /* a sink takes 0 to this many rows of a push; UINT32_MAX = all it is offered */

static void fake_check(const struct fake *fake, const struct tg_row *row)
{
    const struct tg_schema *schema = fake->env.schema;
    static char text[TEXT_BYTES];
    const uint64_t n = (uint64_t)row->offset;
    cr_assert_eq(n, fake->received, "sink %u got row %" PRIu64 " for %" PRIu64 ", seed %" PRIu64, fake->index, n,
                 fake->received, seed);
    cr_assert_eq(row->ts, (int64_t)n * 3);
    cr_assert_eq(row->hash, n ^ 0xABCDEF, "an edge has left its hash in the row");
    cr_assert_eq(row->revision, (int64_t)n + 1);
    cr_assert_eq(row->flags, n % 5 == 0 ? TG_ROW_FINAL : 0);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const uint32_t column = specs[fake->index].columns[i];
        const void *value = tg_row_value(schema, row, i);
        cr_assert_eq(tg_row_is_null(schema, row, i), model_null(n, column), "sink %u row %" PRIu64 " column %u",
                     fake->index, n, i);
        if (model_null(n, column)) { continue; }
        if (column == NAME) {
            const tg_text *name = value;
            cr_assert_eq(name->bytes, model_text(n, text));
            cr_assert_eq(memcmp(name->data, text, name->bytes), 0, "text of row %" PRIu64 ", seed %" PRIu64, n, seed);
        }
        if (column == NUMBER) { cr_assert_eq(*(const int64_t *)value, (int64_t)(n * 7)); }
        if (column == SMALL) { cr_assert_eq(*(const int32_t *)value, (int32_t)(n % 1000)); }
        if (column == FLAG) { cr_assert_eq(*(const bool *)value, n % 2 == 0); }
    }
}

static size_t fake_bytes(const struct tg_sink_env *env)
{
    (void)env;
    return sizeof(struct fake);
}

static tg_status fake_open(void *state, const struct tg_sink_env *env, struct tg_error *err)
{
    (void)err;
    struct fake *fake = state;
    *fake = (struct fake){.env = *env};
    while (strcmp(specs[fake->index].name, env->sink_name) != 0) { fake->index++; }
    fakes[fake->index] = fake;
    return TG_OK;
}

static uint32_t fake_push(void *state, const struct tg_batch *batch, uint32_t from)
{
    struct fake *fake = state;
    cr_assert_eq(batch->schema, fake->env.schema);
    cr_assert_lt(from, batch->count, "nothing was offered");
    cr_assert_neq(batch->arrived_ns, 0);
    const uint32_t offered = batch->count - from;
    const uint32_t limit = take_max[fake->index];
    const uint32_t wanted = limit == UINT32_MAX ? offered : tg_prng_below(&prng, limit + 1);
    const uint32_t taken = wanted < offered ? wanted : offered;
    for (uint32_t i = 0; i < taken; i++) {
        fake_check(fake, tg_batch_row(batch, from + i));
        fake->received++;
    }
    return taken;
}

static uint32_t fake_poll(void *state, uint64_t now_ns)
{
    (void)state;
    (void)now_ns;
    return 0;
}

static void fake_flush(void *state)
{
    struct fake *fake = state;
    fake->flushes++;
    fake->flushed_at = fake->received;
}

static bool fake_flushed(const void *state)
{
    const struct fake *fake = state;
    return fake->flushed_at == fake->received;
}

static void fake_stats(const void *state, struct tg_sink_stats *out)
{
    const struct fake *fake = state;
    *out = (struct tg_sink_stats){.rows_taken = fake->received};
}

static void fake_close(void *state) { fakes[((struct fake *)state)->index] = NULL; }

static const struct tg_sink_ops fake_ops = {.name = "fake",
                                            .state_bytes = fake_bytes,
                                            .open = fake_open,
                                            .push = fake_push,
                                            .poll = fake_poll,
                                            .flush = fake_flush,
                                            .flushed = fake_flushed,
                                            .stats = fake_stats,
                                            .close = fake_close};

/* ---- a job of one source with four sinks and an edge ------------------------------------------------------------- */

static struct tg_source_spec source;
static struct tg_job job;
static struct tg_plan *plan;
static struct tg_arena arena;
static struct tg_outlet outlets[SINKS];
static struct tg_edge_plan edge_plan;
static struct tg_edge edge;
static struct tg_edge_out edge_out;
static struct tg_port port;
static uint64_t appended;

static void add_sink(uint32_t index, const char *name, const uint32_t *columns, uint32_t count)
{
    struct tg_sink_spec *spec = &specs[index];
    *spec = (struct tg_sink_spec){.name = name, .ops = &fake_ops, .from = {.is_source = true}};
    spec->schema = (struct tg_schema){.name = name, .column_count = count};
    for (uint32_t i = 0; i < count; i++) {
        spec->columns[i] = columns[i];
        spec->schema.columns[i] = input.columns[columns[i]];
        spec->schema.columns[i].name = "renamed";
    }
    tg_schema_layout(&spec->schema);
}

static void open_sinks(void)
{
    struct tg_error err = {0};
    for (uint32_t i = 0; i < plan->sink_count; i++) {
        const struct tg_outlet_env env = {
            .plan = plan, .sink = i, .arena = &arena, .clock = tg_clock_real(), .version_base = 100 + i};
        cr_assert_eq(tg_outlet_open(&outlets[i], &env, &err), TG_OK, "%s", err.text);
        take_max[i] = UINT32_MAX;
    }
}

static void setup(void)
{
    static const enum tg_type types[COLUMNS] = {TG_TYPE_TEXT, TG_TYPE_BIGINT, TG_TYPE_INTEGER, TG_TYPE_BOOLEAN};
    static const char *const names[COLUMNS] = {"name", "number", "small", "flag"};
    input = (struct tg_schema){.name = "input", .column_count = COLUMNS};
    for (uint32_t i = 0; i < COLUMNS; i++) {
        input.columns[i] = (struct tg_column){.name = names[i], .type = types[i]};
    }
    tg_schema_layout(&input);
    source = (struct tg_source_spec){.name = "source", .schema = input};
    add_sink(0, "identity", (const uint32_t[]){NAME, NUMBER, SMALL, FLAG}, 4);
    add_sink(1, "turned", (const uint32_t[]){FLAG, SMALL, NUMBER, NAME}, 4);
    add_sink(2, "single", (const uint32_t[]){SMALL}, 1);
    add_sink(3, "twice", (const uint32_t[]){NAME, FLAG, NAME}, 3);
    job = (struct tg_job){.name = "job", .source_count = 1, .sources = &source, .sink_count = SINKS, .sinks = specs};
    struct tg_error err = {0};
    const uint32_t partitions = 1;
    cr_assert_eq(tg_plan_create(&plan, &job, 1, &partitions, &err), TG_OK, "%s", err.text);
    cr_assert_eq(tg_arena_open(&arena, (size_t)1 << 30, &err), TG_OK);
    edge_plan = (struct tg_edge_plan){.schema = &input, .partition_count = 1};
    edge_plan.key = (struct tg_key_spec){.schema = &input, .column_count = 1, .columns = {NUMBER}};
    cr_assert_eq(tg_edge_init(&edge, &edge_plan, SHARDS, &arena, &err), TG_OK);
    cr_assert_eq(tg_edge_out_init(&edge_out, &edge, 0, SHARDS, &arena, &err), TG_OK);
    open_sinks();
    struct tg_readers readers = plan->source_readers[0];
    cr_assert_eq(readers.sink_count, SINKS);
    readers.edge_count = 1;
    readers.edges[0] = 0;
    const struct tg_port_config config = {
        .schema = &input, .readers = &readers, .edges = &edge_out, .outlets = outlets};
    cr_assert_eq(tg_port_init(&port, &config, &arena, &err), TG_OK, "%s", err.text);
    appended = 0;
}

static void teardown(void)
{
    for (uint32_t i = 0; i < SINKS; i++) { tg_outlet_close(&outlets[i]); }
    tg_plan_destroy(plan);
    tg_arena_close(&arena);
}

TestSuite(port, .init = setup, .fini = teardown);
TestSuite(outlet, .init = setup, .fini = teardown);

static bool append_next(void)
{
    static uint8_t row[256] __attribute__((aligned(16)));
    static char text[TEXT_BYTES];
    cr_assert_leq(input.row_bytes, sizeof row);
    model_row(appended, (struct tg_row *)(void *)row, text);
    const bool placed = tg_port_append(&port, (struct tg_row *)(void *)row, 1 + appended);
    memset(text, '!', sizeof text); /* the port must have its own copy */
    appended += placed;
    return placed;
}

/* Everything that waits in the edge's rings: right shard, ascending, the key's hash in the row. */
static uint64_t drain_edge(int64_t last[SHARDS])
{
    uint64_t rows = 0;
    for (uint32_t to = 0; to < SHARDS; to++) {
        struct tg_batch *batch;
        while ((batch = tg_edge_in_pop(&edge, to, 0)) != NULL) {
            for (uint32_t i = 0; i < batch->count; i++) {
                const struct tg_row *row = tg_batch_row(batch, i);
                uint8_t key[TG_KEY_BYTES_MAX];
                const uint32_t bytes = tg_key_encode(&edge_plan.key, row, key, sizeof key);
                cr_assert_eq(row->hash, tg_key_hash(key, bytes));
                cr_assert_eq(tg_key_shard(row->hash, SHARDS), to);
                cr_assert_gt(row->offset, last[to], "seed %" PRIu64, seed);
                last[to] = row->offset;
            }
            rows += batch->count;
            tg_batch_reset(batch);
            tg_edge_in_return(&edge, to, 0, batch);
        }
    }
    return rows;
}

/* ---- claims ------------------------------------------------------------------------------------------------------ */

Test(port, every_reader_gets_every_row_once_and_in_order_whatever_it_takes_at_a_time)
{
    seed = tg_test_seed();
    prng.state = seed;
    int64_t last[SHARDS] = {-1, -1};
    uint64_t at_edge = 0;
    uint32_t refused = 0;
    for (uint32_t step = 0; step < 20000; step++) {
        if (step % 100 == 0) { /* other appetites; now and then a sink takes nothing at all */
            for (uint32_t i = 0; i < SINKS; i++) {
                take_max[i] = tg_prng_below(&prng, 4) == 0 ? 0 : tg_prng_below(&prng, 700);
            }
        }
        switch (tg_prng_below(&prng, 4)) {
        case 0:
        case 1:
            for (uint32_t n = tg_prng_below(&prng, 60); n > 0; n--) { refused += !append_next(); }
            break;
        case 2: (void)tg_port_deliver(&port); break;
        default:
            (void)tg_edge_out_flush(&edge_out, 0);
            if (tg_prng_below(&prng, 3) != 0) { at_edge += drain_edge(last); }
            break;
        }
    }
    for (uint32_t i = 0; i < SINKS; i++) { take_max[i] = UINT32_MAX; }
    for (uint32_t step = 0; step < 100 && !tg_port_deliver(&port); step++) {
        (void)tg_edge_out_flush(&edge_out, 0);
        at_edge += drain_edge(last);
    }
    cr_assert(tg_port_is_empty(&port));
    (void)tg_edge_out_flush(&edge_out, 0);
    at_edge += drain_edge(last);
    for (uint32_t i = 0; i < SINKS; i++) { cr_assert_eq(fakes[i]->received, appended, "seed %" PRIu64, seed); }
    cr_assert_eq(at_edge, appended);
    cr_assert_gt(appended, 20000u, "seed %" PRIu64, seed);
    cr_assert_gt(refused, 0u, "back-pressure was never reached, seed %" PRIu64, seed);
}

Test(port, the_slowest_reader_holds_its_batch_and_the_others_do_not_get_it_twice)
{
    take_max[2] = 0;
    int64_t last[SHARDS] = {-1, -1};
    uint64_t at_edge = 0;
    while (append_next()) {
        const bool delivered = tg_port_deliver(&port);
        cr_assert_not(delivered);
        (void)tg_edge_out_flush(&edge_out, 0);
        at_edge += drain_edge(last);
        cr_assert_lt(appended, 100000u);
    }
    cr_assert_gt(appended, 3 * 200u, "all batches of the port are in use");
    cr_assert_not(tg_port_has_room(&port));
    cr_assert_not(tg_port_is_empty(&port));
    cr_assert_eq(fakes[0]->received, fakes[1]->received);
    cr_assert_lt(fakes[0]->received, appended, "younger batches wait behind the oldest");
    cr_assert_eq(fakes[2]->received, 0);
    take_max[2] = UINT32_MAX;
    while (!tg_port_deliver(&port)) {
        (void)tg_edge_out_flush(&edge_out, 0);
        const uint64_t drained = drain_edge(last);
        cr_assert_gt(drained, 0u, "only the edge may be full");
        at_edge += drained;
    }
    for (uint32_t i = 0; i < SINKS; i++) { cr_assert_eq(fakes[i]->received, appended); }
    (void)tg_edge_out_flush(&edge_out, 0);
    cr_assert_eq(at_edge + drain_edge(last), appended);
    cr_assert(tg_port_has_room(&port));
    cr_assert(append_next(), "emptied batches are used again");
}

Test(port, a_full_edge_holds_the_rows_and_leaves_their_hash_alone)
{
    int64_t last[SHARDS] = {-1, -1};
    bool delivered = true;
    while (delivered) { /* nobody pops: the edge runs out of batches */
        for (uint32_t n = 0; n < 100; n++) { cr_assert(append_next()); }
        delivered = tg_port_deliver(&port);
    }
    cr_assert_gt(edge_out.blocked, 0u);
    uint64_t at_edge = 0;
    for (uint32_t n = 0; n < 100 && !tg_port_deliver(&port); n++) {
        (void)tg_edge_out_flush(&edge_out, 0);
        at_edge += drain_edge(last);
    }
    cr_assert(tg_port_is_empty(&port));
    (void)tg_edge_out_flush(&edge_out, 0);
    cr_assert_eq(at_edge + drain_edge(last), appended);
    for (uint32_t i = 0; i < SINKS; i++) { cr_assert_eq(fakes[i]->received, appended); }
}

Test(port, has_room_promises_a_whole_callback_of_rows)
{
    uint32_t callbacks = 0;
    for (; tg_port_has_room(&port); callbacks++) {
        const uint64_t before = appended;
        static uint8_t row[256] __attribute__((aligned(16)));
        static char text[TEXT_BYTES];
        for (uint32_t i = 0; i < TG_EMIT_ROWS_MAX; i++) { /* short texts, as a callback's outputs mostly are */
            model_row(2, (struct tg_row *)(void *)row, text);
            cr_assert(tg_port_append(&port, (struct tg_row *)(void *)row, 1));
            appended++;
        }
        cr_assert_eq(appended, before + TG_EMIT_ROWS_MAX);
    }
    cr_assert_geq(callbacks, TG_PORT_BATCHES - 1);
}

Test(port, more_readers_than_a_port_has_are_refused)
{
    struct tg_readers readers = {.sink_count = TG_PORT_READERS_MAX + 1};
    const struct tg_port_config config = {
        .schema = &input, .readers = &readers, .edges = &edge_out, .outlets = outlets};
    struct tg_error err = {0};
    static struct tg_port other;
    cr_assert_neq(tg_port_init(&other, &config, &arena, &err), TG_OK);
    cr_assert_eq(err.code, TG1101);
}

Test(outlet, only_the_sink_with_the_layout_of_its_input_needs_no_projection)
{
    cr_assert(plan->sinks[0].identity);
    for (uint32_t i = 1; i < SINKS; i++) { cr_assert_not(plan->sinks[i].identity, "%s", specs[i].name); }
}

Test(outlet, its_sink_is_told_what_the_job_says_about_it)
{
    for (uint32_t i = 0; i < SINKS; i++) {
        const struct tg_sink_env *env = &fakes[i]->env;
        cr_assert_str_eq(env->job_name, "job");
        cr_assert_str_eq(env->sink_name, specs[i].name);
        cr_assert_eq(env->schema, &specs[i].schema);
        cr_assert_eq(env->version_base, 100 + (int64_t)i);
        cr_assert_eq(env->latency, outlets[i].latency);
        cr_assert_eq(env->shard_count, 1);
    }
}

static struct tg_batch *model_batch(uint32_t count)
{
    static char text[TEXT_BYTES];
    static uint8_t row[256] __attribute__((aligned(16)));
    const struct tg_batch_config config = {.schema = &input, .capacity = TG_BATCH_ROWS_MAX, .has_blob = true};
    struct tg_batch *batch = tg_batch_create(&config, &arena);
    for (uint32_t n = 0; n < count; n++) {
        model_row(n, (struct tg_row *)(void *)row, text);
        cr_assert_not_null(tg_batch_append_copy(batch, (struct tg_row *)(void *)row));
    }
    batch->arrived_ns = 1;
    return batch;
}

Test(outlet, a_batch_larger_than_the_projection_is_taken_in_one_push)
{
    const uint32_t count = 2 * TG_OUTLET_ROWS + 17;
    const struct tg_batch *batch = model_batch(count);
    for (uint32_t i = 0; i < SINKS; i++) {
        cr_assert_eq(tg_outlet_push(&outlets[i], batch, 0), count);
        cr_assert_eq(fakes[i]->received, count);
    }
}

Test(outlet, rows_that_joined_a_batch_after_a_partial_push_are_projected_too)
{
    static uint8_t row[256] __attribute__((aligned(16)));
    static char text[TEXT_BYTES];
    struct tg_batch *batch = model_batch(10);
    seed = prng.state = 7;
    take_max[1] = 4;
    uint32_t taken = 0;
    while (taken == 0) { taken = tg_outlet_push(&outlets[1], batch, 0); }
    cr_assert_lt(taken, 10);
    model_row(10, (struct tg_row *)(void *)row, text);
    cr_assert_not_null(tg_batch_append_copy(batch, (struct tg_row *)(void *)row));
    take_max[1] = UINT32_MAX;
    cr_assert_eq(taken + tg_outlet_push(&outlets[1], batch, taken), 11);
}

Test(outlet, a_single_row_between_two_parts_of_a_batch_disturbs_neither)
{
    static uint8_t row[256] __attribute__((aligned(16)));
    static char text[TEXT_BYTES];
    const struct tg_batch *batch = model_batch(10);
    seed = prng.state = 7;
    for (uint32_t round = 0; round < 200; round++) {
        take_max[1] = round % 5; /* with 0 the single row comes between an offer and its repetition */
        const uint32_t taken = tg_outlet_push(&outlets[1], batch, 0);
        take_max[1] = UINT32_MAX;
        fakes[1]->received = 77;
        model_row(77, (struct tg_row *)(void *)row, text);
        cr_assert(tg_outlet_push_row(&outlets[1], (struct tg_row *)(void *)row, 5));
        fakes[1]->received = taken;
        cr_assert_eq(taken + tg_outlet_push(&outlets[1], batch, taken), 10);
        fakes[1]->received = 0;
    }
    take_max[1] = 0;
    cr_assert_not(tg_outlet_push_row(&outlets[1], (struct tg_row *)(void *)row, 5), "back-pressure shows");
}

Test(outlet, a_flush_is_asked_for_once_until_more_rows_come)
{
    const struct tg_batch *batch = model_batch(10);
    cr_assert(tg_outlet_flush(&outlets[0]));
    cr_assert(tg_outlet_flush(&outlets[0]));
    cr_assert_eq(fakes[0]->flushes, 1);
    cr_assert_eq(tg_outlet_push(&outlets[0], batch, 0), 10);
    cr_assert(tg_outlet_flush(&outlets[0]));
    cr_assert_eq(fakes[0]->flushes, 2);
}

Test(outlet, closing_keeps_the_statistics_and_happens_once)
{
    const struct tg_batch *batch = model_batch(10);
    cr_assert_eq(tg_outlet_push(&outlets[3], batch, 0), 10);
    tg_outlet_close(&outlets[3]);
    cr_assert_null(fakes[3]);
    cr_assert_eq(outlets[3].stats.rows_taken, 10);
    tg_outlet_close(&outlets[3]);
}
