/* The contract of sources, for every registered one that can run from files or out of nothing: partitions, strictly
 * growing offsets, slices inside their buffer, ends, back-pressure by withheld buffers, closing at any time; and that
 * the records do not depend on poll size, number of instances, held buffers or the helper's pace. The Kafka source has
 * tests of its own, skipped where TURGO_KAFKA (brokers) is not set; they read topic TURGO_KAFKA_SOURCE_TOPIC
 * (turgo_contract_source), which must hold records that nobody adds to. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/key.h"
#include "base/prng.h"
#include "io/registry.h"
#include "tests/options_of.h"
#include "tests/seed.h"

enum { PARTITIONS_MAX = 8, INSTANCES_MAX = 3, HELD_MAX = 6 };

struct instance {
    struct tg_source_env env;
    void *state;
    struct tg_arena arena;
    struct tg_buffer_pool pool;
    struct tg_loop *loop;
    uint32_t owned[PARTITIONS_MAX];
    int64_t positions[PARTITIONS_MAX];
    struct tg_buffer *held[HELD_MAX];
    uint32_t held_count;
};

/* What a partition delivered. */
struct seen {
    int64_t last_offset;
    uint64_t records;
    uint64_t digest; /* of offsets and bytes, in order */
    bool ended;
};

static struct instance instances[INSTANCES_MAX];
static struct seen seen[PARTITIONS_MAX];
static struct tg_test_options options;
static struct tg_helper *helper;
static uint32_t partition_count;
static uint32_t instance_count;
static char folder[64];
static const int64_t *count_from; /* [PARTITIONS_MAX] what is before it is looked at and not counted */
static const int64_t *start_at;   /* [PARTITIONS_MAX] positions to go on at, NULL = from the beginning */

static bool is(const struct tg_source_ops *ops, const char *name) { return strcmp(ops->name, name) == 0; }

static const char *variable(const char *name, const char *fallback)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? text : fallback;
}

static bool needs_server(const struct tg_source_ops *ops) { return is(ops, "kafka"); }

/* ---- input ------------------------------------------------------------------------------------------------------- */

static void files_make(void)
{
    if (folder[0] != '\0') { return; }
    (void)snprintf(folder, sizeof folder, "/tmp/turgo-sources-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    struct tg_prng prng = {99};
    for (uint32_t partition = 0; partition < 3; partition++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/p%u.jsonl", folder, partition);
        FILE *file = fopen(path, "w");
        cr_assert_not_null(file);
        for (uint32_t line = 0; line < 3000 * partition; line++) { /* partition 0 is empty */
            const uint32_t bytes =
                tg_prng_below(&prng, 50) == 0 ? tg_prng_below(&prng, 20000) : tg_prng_below(&prng, 200);
            for (uint32_t i = 0; i < bytes; i++) { (void)fputc('a' + (int)((line + i) % 26), file); }
            (void)fputc('\n', file);
        }
        cr_assert_eq(fclose(file), 0);
    }
}
static void files_remove(void)
{
    char command[128];
    if (folder[0] == '\0') { return; }
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
    folder[0] = '\0';
}
TestSuite(sources, .init = files_make, .fini = files_remove, .timeout = 280);

static const struct tg_options *options_make(const struct tg_source_ops *ops)
{
    if (is(ops, "file")) { return tg_test_options(&options, ops->options, ops->option_count, "path", folder, NULL); }
    if (is(ops, "kafka")) {
        return tg_test_options(&options, ops->options, ops->option_count, "brokers", variable("TURGO_KAFKA", ""),
                               "topic", variable("TURGO_KAFKA_SOURCE_TOPIC", "turgo_contract_source"), "start",
                               "earliest", NULL);
    }
    cr_assert(is(ops, "generate"), "this suite does not know how to feed source %s: teach it", ops->name);
    return tg_test_options(&options, ops->options, ops->option_count, "count", "5000", "partitions", "3", "rate", "0",
                           "start_time", "2026-01-01T00:00:00Z", "seed", "7", "late", "0.1", "malformed", "0.1", NULL);
}

/* ---- opening and closing ----------------------------------------------------------------------------------------- */

static tg_status instance_open(const struct tg_source_ops *ops, uint32_t index, uint32_t poll_count_max,
                               struct tg_error *err)
{
    struct instance *instance = &instances[index];
    const struct tg_buffer_pool_config buffers = {.standard_count = 8, .standard_bytes = 64 << 10, .large_count = 2};
    const struct tg_loop_config loop = {.backend = TG_LOOP_EPOLL, .ops_max = 256};
    memset(instance, 0, sizeof *instance);
    cr_assert_eq(tg_arena_open(&instance->arena, tg_buffer_pool_bytes(&buffers) + (256 << 20), NULL), TG_OK);
    cr_assert_eq(tg_buffer_pool_init(&instance->pool, &buffers, &instance->arena, NULL), TG_OK);
    cr_assert_eq(tg_loop_open(&instance->loop, &loop, NULL, NULL), TG_OK);
    uint32_t owned = 0;
    for (uint32_t partition = index; partition < partition_count; partition += instance_count) {
        instance->positions[owned] = start_at != NULL ? start_at[partition] : -1;
        instance->owned[owned++] = partition;
    }
    instance->env = (struct tg_source_env){.job_name = "contract",
                                           .source_name = "records",
                                           .options = &options.options,
                                           .shard = index,
                                           .shard_count = instance_count,
                                           .partition_count = partition_count,
                                           .partitions = instance->owned,
                                           .owned_count = owned,
                                           .positions = start_at != NULL ? instance->positions : NULL,
                                           .bounded = true,
                                           .fresh = true,
                                           .poll_count_max = poll_count_max,
                                           .seed = 7,
                                           .buffers = &instance->pool,
                                           .arena = &instance->arena,
                                           .loop = instance->loop,
                                           .helper = helper,
                                           .clock = tg_clock_real()};
    instance->state = calloc(1, ops->state_bytes(&options.options, owned));
    return ops->open(instance->state, &instance->env, err);
}

static void run_open(const struct tg_source_ops *ops, uint32_t count, bool threaded, uint32_t poll_count_max)
{
    const struct tg_clock real = tg_clock_real();
    struct tg_error error = {0};
    (void)options_make(ops);
    cr_assert_eq(
        ops->discover(&options.options, "records", tg_clock_now_ns(&real) + 10000000000, &partition_count, &error),
        TG_OK, "source %s: what is named is not ready: %s", ops->name, error.text);
    cr_assert(partition_count >= 1 && partition_count <= PARTITIONS_MAX);
    instance_count = count;
    cr_assert_eq(tg_helper_create(&helper, count, NULL, NULL, NULL), TG_OK);
    if (threaded) { cr_assert_eq(tg_helper_start(helper, NULL), TG_OK); }
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < PARTITIONS_MAX; i++) { seen[i].last_offset = -1; }
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_eq(instance_open(ops, i, poll_count_max, &error), TG_OK, "%s", error.text);
    }
}

static void held_release(struct instance *instance)
{
    while (instance->held_count != 0) { tg_buffer_release(instance->held[--instance->held_count]); }
}

static void run_close(const struct tg_source_ops *ops)
{
    for (uint32_t i = 0; i < instance_count; i++) {
        ops->close(instances[i].state);
        held_release(&instances[i]); /* batches that are still on their way go back after the source is closed */
        tg_loop_close(instances[i].loop);
        free(instances[i].state);
        tg_arena_close(&instances[i].arena);
    }
    tg_helper_destroy(helper);
}

/* ---- polling ----------------------------------------------------------------------------------------------------- */

static void batch_verify(const struct instance *instance, const struct tg_raw_batch *raw)
{
    bool owned = false;
    for (uint32_t i = 0; i < instance->env.owned_count; i++) { owned = owned || instance->owned[i] == raw->partition; }
    cr_assert(owned, "partition %u is somebody else's", raw->partition);
    struct seen *partition = &seen[raw->partition];
    cr_assert_not(partition->ended, "news of partition %u after its end", raw->partition);
    cr_assert_leq(raw->count, instance->env.poll_count_max);
    cr_assert(raw->count != 0 || raw->flags != 0, "a batch must say something");
    cr_assert_eq(raw->count != 0, raw->buffer != NULL);
    for (uint32_t i = 0; i < raw->count; i++) {
        const struct tg_slice *slice = &raw->slices[i];
        cr_assert_gt(slice->offset, partition->last_offset);
        partition->last_offset = slice->offset;
        const uint8_t *data = raw->buffer->data;
        if (slice->value != NULL) {
            cr_assert(slice->value >= data && slice->value + slice->value_bytes <= data + raw->buffer->capacity);
            cr_assert(slice->oversize != 0 || slice->value_bytes <= TG_RECORD_BYTES_MAX);
        }
        if (count_from != NULL && slice->offset < count_from[raw->partition]) { continue; } /* the reader knows it */
        partition->digest =
            partition->digest * 31 + tg_key_hash(slice->value != NULL ? slice->value : data, slice->value_bytes);
        partition->digest = partition->digest * 31 + (uint64_t)slice->offset;
        partition->records++;
    }
    cr_assert(raw->count == 0 || raw->arrived_ns != 0);
    partition->ended = (raw->flags & TG_RAW_ENDED) != 0;
}

/* One cycle of an instance: poll, and keep or give back buffers as the dice say. */
static void step(const struct tg_source_ops *ops, struct instance *instance, struct tg_prng *prng, bool hold)
{
    static struct tg_raw_batch raw;
    const struct tg_clock real = tg_clock_real();
    (void)tg_helper_step(helper, tg_prng_below(prng, 3));
    (void)tg_helper_poll(helper, instance->env.shard);
    (void)tg_loop_poll(instance->loop);
    if (ops->poll(instance->state, &raw, tg_clock_now_ns(&real)) != 0) {
        batch_verify(instance, &raw);
        if (raw.buffer != NULL) {
            cr_assert_geq(raw.buffer->refs, 1);
            if (hold && instance->held_count < HELD_MAX) {
                instance->held[instance->held_count++] = raw.buffer;
            } else {
                tg_buffer_release(raw.buffer);
            }
        }
        if (raw.count != 0 && tg_prng_below(prng, 4) == 0) {
            ops->commit(instance->state, raw.partition, seen[raw.partition].last_offset + 1);
        }
    }
    if (tg_prng_below(prng, 16) == 0) { held_release(instance); }
    cr_assert_geq(ops->lag(instance->state), -1);
    cr_assert_eq(ops->failure(instance->state, NULL), TG_OK);
}

static bool all_ended(void)
{
    for (uint32_t i = 0; i < partition_count; i++) {
        if (!seen[i].ended) { return false; }
    }
    return true;
}

static void run_to_end(const struct tg_source_ops *ops, struct tg_prng *prng, bool hold)
{
    const struct tg_clock real = tg_clock_real();
    const uint64_t give_up_ns = tg_clock_now_ns(&real) + 60000000000;
    while (!all_ended()) {
        step(ops, &instances[tg_prng_below(prng, instance_count)], prng, hold);
        cr_assert_lt(tg_clock_now_ns(&real), give_up_ns, "source %s never ends", ops->name);
    }
    /* nothing after the end */
    for (uint32_t i = 0; i < 100; i++) { step(ops, &instances[i % instance_count], prng, false); }
}

static void records_do_not_depend(const struct tg_source_ops *ops, struct tg_prng *prng, uint64_t seed)
{
    static struct seen reference[PARTITIONS_MAX];
    run_open(ops, 1, false, TG_BATCH_ROWS_MAX);
    run_to_end(ops, prng, false);
    run_close(ops);
    memcpy(reference, seen, sizeof seen);
    uint64_t records = 0;
    for (uint32_t partition = 0; partition < partition_count; partition++) { records += seen[partition].records; }
    cr_assert_gt(records, 0, "%s", ops->name);
    const uint32_t polls[] = {1, 2, 7, 64, 1023, TG_BATCH_ROWS_MAX};
    for (uint32_t run = 0; run < 30; run++) {
        run_open(ops, 1 + tg_prng_below(prng, INSTANCES_MAX), run % 3 == 0, polls[run % 6]);
        run_to_end(ops, prng, run % 2 == 0);
        run_close(ops);
        for (uint32_t partition = 0; partition < partition_count; partition++) {
            cr_assert_eq(seen[partition].records, reference[partition].records, "%s seed %" PRIu64, ops->name, seed);
            cr_assert_eq(seen[partition].digest, reference[partition].digest, "%s seed %" PRIu64, ops->name, seed);
        }
    }
}

static void withheld_buffers_are_back_pressure(const struct tg_source_ops *ops)
{
    static struct tg_raw_batch raw;
    struct tg_prng prng = {3};
    struct tg_buffer *taken[64];
    uint32_t count = 0;
    run_open(ops, 1, false, 16);
    struct tg_buffer *buffer = NULL; /* take the whole pool away */
    while (count < 64 && (buffer = tg_buffer_acquire(&instances[0].pool, 1000)) != NULL) { taken[count++] = buffer; }
    for (uint32_t cycle = 0; cycle < 200; cycle++) {
        (void)tg_helper_step(helper, 8);
        (void)tg_helper_poll(helper, 0);
        if (ops->poll(instances[0].state, &raw, 1) != 0) {
            batch_verify(&instances[0], &raw);
            if (raw.buffer != NULL) { tg_buffer_release(raw.buffer); }
        }
    }
    cr_assert_eq(ops->failure(instances[0].state, NULL), TG_OK);
    while (count != 0) { tg_buffer_release(taken[--count]); }
    run_to_end(ops, &prng, false);
    run_close(ops);
}

static void close_at_any_time(const struct tg_source_ops *ops, struct tg_prng *prng)
{
    for (uint32_t run = 0; run < (needs_server(ops) ? 10u : 60u); run++) {
        run_open(ops, 1 + tg_prng_below(prng, INSTANCES_MAX), run % 2 == 0, 1 + tg_prng_below(prng, 100));
        for (uint32_t steps = tg_prng_below(prng, 200); steps != 0; steps--) {
            step(ops, &instances[tg_prng_below(prng, instance_count)], prng, true);
        }
        run_close(ops);
    }
}

Test(sources, records_do_not_depend_on_polls_instances_or_held_buffers)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    for (uint32_t i = 0; tg_source_registry[i] != NULL; i++) {
        if (!needs_server(tg_source_registry[i])) { records_do_not_depend(tg_source_registry[i], &prng, seed); }
    }
}

Test(sources, withheld_buffers_are_back_pressure_and_nothing_is_lost)
{
    for (uint32_t i = 0; tg_source_registry[i] != NULL; i++) {
        if (!needs_server(tg_source_registry[i])) { withheld_buffers_are_back_pressure(tg_source_registry[i]); }
    }
}

/* Going on at a position gives what a run from the beginning gives from there on. */
static void goes_on(const struct tg_source_ops *ops, struct tg_prng *prng)
{
    static struct seen reference[PARTITIONS_MAX];
    static int64_t positions[PARTITIONS_MAX];
    memset(positions, 0, sizeof positions);
    for (uint32_t run = 0; run < 8; run++) {
        count_from = positions;
        start_at = NULL;
        run_open(ops, 1, false, 64);
        run_to_end(ops, prng, false);
        run_close(ops);
        memcpy(reference, seen, sizeof seen);
        start_at = positions;
        run_open(ops, 1 + tg_prng_below(prng, INSTANCES_MAX), false, 1 + tg_prng_below(prng, 100));
        run_to_end(ops, prng, false);
        run_close(ops);
        for (uint32_t p = 0; p < partition_count; p++) {
            cr_assert_eq(seen[p].records, reference[p].records, "%s partition %u", ops->name, p);
            cr_assert_eq(seen[p].digest, reference[p].digest, "%s partition %u", ops->name, p);
            const uint32_t end = (uint32_t)(positions[p] + (int64_t)reference[p].records);
            positions[p] = run == 0 ? end : tg_prng_below(prng, end + 1); /* the end itself, then anywhere */
        }
    }
    count_from = start_at = NULL;
}

static void identify(const struct tg_source_ops *ops, const char *known, const int64_t *positions,
                     struct tg_source_log *log)
{
    static int64_t begin[PARTITIONS_MAX], end[PARTITIONS_MAX];
    struct tg_error error = {0};
    const struct tg_clock real = tg_clock_real();
    for (uint32_t p = 0; p < PARTITIONS_MAX; p++) { begin[p] = end[p] = -1; }
    *log = (struct tg_source_log){
        .partition_count = partition_count, .known = known, .positions = positions, .begin = begin, .end = end};
    cr_assert_eq(ops->identify(&options.options, "records", tg_clock_now_ns(&real) + 10000000000, log, &error), TG_OK,
                 "%s: %s", ops->name, error.text);
    cr_assert_lt(strlen(log->identity), sizeof log->identity);
}

/* What a source says of its log is true of what it then delivers, and stays the same. */
static void tells_its_log(const struct tg_source_ops *ops, struct tg_prng *prng)
{
    struct tg_source_log log;
    char known[TG_SOURCE_IDENTITY_BYTES];
    int64_t positions[PARTITIONS_MAX];
    run_open(ops, 1, false, 64);
    identify(ops, NULL, NULL, &log);
    memcpy(known, log.identity, sizeof known);
    run_to_end(ops, prng, false);
    run_close(ops);
    for (uint32_t p = 0; p < partition_count; p++) {
        positions[p] = seen[p].last_offset + 1;
        cr_assert_leq(log.begin[p], seen[p].last_offset < 0 ? 0 : seen[p].last_offset);
        cr_assert(!log.ends_there || log.end[p] == -1 || log.end[p] >= positions[p], "%s %u", ops->name, p);
    }
    identify(ops, known, positions, &log);
    cr_assert_str_eq(log.identity, known, "%s", ops->name);
    for (uint32_t p = 0; p < partition_count; p++) {
        cr_assert(log.end[p] >= positions[p], "%s: partition %u ends at %" PRId64 ", delivered up to %" PRId64,
                  ops->name, p, log.end[p], positions[p]);
    }
    for (uint32_t p = 0; p < partition_count; p++) { positions[p] += 1; } /* one more than there is */
    identify(ops, known, positions, &log);
    for (uint32_t p = 0; p < partition_count && !needs_server(ops); p++) { cr_assert_lt(log.end[p], positions[p]); }
}

Test(sources, go_on_at_positions)
{
    struct tg_prng prng = {tg_test_seed()};
    for (uint32_t i = 0; tg_source_registry[i] != NULL; i++) {
        if (!needs_server(tg_source_registry[i])) { goes_on(tg_source_registry[i], &prng); }
    }
}

Test(sources, what_they_tell_of_their_log_is_true)
{
    struct tg_prng prng = {tg_test_seed()};
    for (uint32_t i = 0; tg_source_registry[i] != NULL; i++) {
        const struct tg_source_ops *ops = tg_source_registry[i];
        if (!needs_server(ops) && ops->identify != NULL) { tells_its_log(ops, &prng); }
    }
}

Test(sources, close_is_legal_at_any_time)
{
    struct tg_prng prng = {tg_test_seed()};
    for (uint32_t i = 0; tg_source_registry[i] != NULL; i++) {
        if (!needs_server(tg_source_registry[i])) { close_at_any_time(tg_source_registry[i], &prng); }
    }
}

/* ---- on real servers --------------------------------------------------------------------------------------------- */

static const struct tg_source_ops *kafka_on_server(void)
{
    if (variable("TURGO_KAFKA", NULL) == NULL) {
        cr_skip_test("no server for source kafka: tools/services up, tools/services env");
    }
    return tg_source_find("kafka");
}

TestSuite(sources_on_servers, .timeout = 280);

Test(sources_on_servers, kafka_goes_on_at_positions_and_tells_its_log)
{
    const struct tg_source_ops *ops = kafka_on_server();
    struct tg_prng prng = {tg_test_seed()};
    goes_on(ops, &prng);
    tells_its_log(ops, &prng);
}

Test(sources_on_servers, kafka_records_do_not_depend_on_polls_instances_or_held_buffers)
{
    const struct tg_source_ops *ops = kafka_on_server();
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    records_do_not_depend(ops, &prng, seed);
}

Test(sources_on_servers, kafka_withheld_buffers_are_back_pressure_and_nothing_is_lost)
{
    withheld_buffers_are_back_pressure(kafka_on_server());
}

Test(sources_on_servers, kafka_close_is_legal_at_any_time)
{
    const struct tg_source_ops *ops = kafka_on_server();
    struct tg_prng prng = {tg_test_seed()};
    close_at_any_time(ops, &prng);
}

Test(sources, what_is_not_there_is_refused_by_name)
{
    struct tg_error error = {0};
    uint32_t count = 0;
    const struct tg_source_ops *ops = tg_source_find("file");
    cr_assert_not_null(ops);
    (void)tg_test_options(&options, ops->options, ops->option_count, "path", "/tmp/no/such/folder", NULL);
    cr_assert_eq(ops->discover(&options.options, "records", 0, &count, &error), TG_ERR_INPUT);
    cr_assert_eq(error.code, TG1501);
    cr_assert_neq(strstr(error.text, "/tmp/no/such/folder"), NULL, "%s", error.text);
    cr_assert_null(tg_source_find("no such source"));
    for (uint32_t i = 0; tg_source_registry[i] != NULL; i++) {
        cr_assert_eq(tg_source_find(tg_source_registry[i]->name), tg_source_registry[i]);
        for (uint32_t option = 0; option < tg_source_registry[i]->option_count; option++) {
            cr_assert_not_null(tg_source_registry[i]->options[option].doc);
        }
    }
}
