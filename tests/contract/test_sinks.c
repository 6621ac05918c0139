/* The contract of sinks, for every registered one: what io/sink.h promises, under many schedules, with the helper
 * stepped and threaded. Sinks that need a server have tests of their own, skipped where TURGO_KAFKA (brokers) or
 * TURGO_CASSANDRA (hosts) names none; a server that is named and does not do its part fails the test. They write to
 * topic TURGO_KAFKA_TOPIC (turgo_contract) and table TURGO_CASSANDRA_TABLE (turgo_contract.rows), which are made when
 * they are not there. What they wrote is read back by the job tests, here their answers and counts are checked. */
#include <stdalign.h>
#include <stdio.h>

#include "tests/contract/sink_readers.h"
#include "tests/seed.h"

static struct rig rig;
static struct model model;
static char folder[64];
static char path[128];
static int console_fd = -1;
static uint32_t targets_made;

/* ---- one fresh target per rig ------------------------------------------------------------------------------------ */

static const char *variable(const char *name, const char *fallback)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? text : fallback;
}

static const char *server_of(const struct tg_sink_ops *ops)
{
    if (strcmp(ops->name, "kafka") == 0) { return variable("TURGO_KAFKA", NULL); }
    if (strcmp(ops->name, "cassandra") == 0) { return variable("TURGO_CASSANDRA", NULL); }
    return NULL;
}

static bool is(const struct tg_sink_ops *ops, const char *name) { return strcmp(ops->name, name) == 0; }

static void folder_make(void)
{
    if (folder[0] != '\0') { return; }
    (void)snprintf(folder, sizeof folder, "%s/turgo-sinks-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    cr_assert_neq(mkdtemp(folder), NULL);
}

static void folder_remove(void)
{
    char command[128];
    if (folder[0] == '\0') { return; }
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
    folder[0] = '\0';
}

/* Settings that point a sink to a place of its own; `flush_every` in the sink's own words. */
static const struct rig_setting *target_make(const struct tg_sink_ops *ops, const char *flush_every)
{
    static struct rig_setting settings[8];
    folder_make();
    (void)snprintf(path, sizeof path, "%s/deep/down/%u.out", folder, targets_made++);
    uint32_t count = 0;
    settings[count++] = (struct rig_setting){"path", path};
    settings[count++] = (struct rig_setting){"flush_every", flush_every};
    settings[count++] = (struct rig_setting){"batch_rows", "7"};
    settings[count++] = (struct rig_setting){"brokers", server_of(ops)};
    settings[count++] = (struct rig_setting){"hosts", server_of(ops)};
    settings[count++] = (struct rig_setting){"topic", variable("TURGO_KAFKA_TOPIC", "turgo_contract")};
    if (is(ops, "cassandra")) {
        settings[count++] = (struct rig_setting){"table", variable("TURGO_CASSANDRA_TABLE", "turgo_contract.rows")};
    }
    settings[count] = (struct rig_setting){0};
    if (is(ops, "console")) {
        (void)snprintf(path, sizeof path, "%s/%u.console", folder, targets_made);
        (void)fflush(stdout);
        console_fd = dup(STDOUT_FILENO);
        const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        cr_assert_geq(dup2(fd, STDOUT_FILENO), 0);
        (void)close(fd);
    }
    return settings;
}

static void target_verify(const struct tg_sink_ops *ops, bool all)
{
    if (console_fd >= 0) {
        (void)dup2(console_fd, STDOUT_FILENO);
        (void)close(console_fd);
        console_fd = -1;
    }
    if (is(ops, "file") || is(ops, "console")) { lines_verify(&model, path, all ? LINES_ALL : LINES_SOME); }
    if (is(ops, "sqlite") && all) { sqlite_verify(&model, &rig, path); }
    (void)unlink(path);
}

/* ---- schedules --------------------------------------------------------------------------------------------------- */

static int64_t revisions[MODEL_KEYS];
static uint32_t from[RIG_SHARDS_MAX];

/* A new batch for a shard: rows of keys that live there, revisions growing, sometimes one that came too late. */
static void batch_fill(struct tg_prng *prng, uint32_t shard)
{
    static alignas(16) uint8_t area[1024];
    struct tg_row *row = (struct tg_row *)area;
    struct tg_batch *batch = rig.batch[shard];
    cr_assert_leq(rig.schema.row_bytes, sizeof area);
    batch->arrived_ns = rig.env[0].clock.monotonic_ns(rig.env[0].clock.self);
    for (uint32_t want = 1 + tg_prng_below(prng, 20); want != 0; want--) {
        const uint32_t key = tg_prng_below(prng, MODEL_KEYS / rig.shard_count) * rig.shard_count + shard;
        const bool stale = rig.ops->keyed && revisions[key] > 1 && tg_prng_below(prng, 8) == 0;
        const int64_t revision = stale ? revisions[key] - 1 : ++revisions[key];
        maker_row(prng, &rig.schema, row, key, revision);
        if (tg_batch_append_copy(batch, row) == NULL) { return; }
        model_add(&model, &rig, shard, key, row);
    }
}

static void step(struct tg_prng *prng)
{
    const uint32_t shard = tg_prng_below(prng, rig.shard_count);
    const uint32_t dice = tg_prng_below(prng, 100);
    if (dice < 40) {
        if (rig.batch[shard]->count == 0 && model.row_count[shard] < MODEL_ROWS_MAX - 64) { batch_fill(prng, shard); }
        if (rig.batch[shard]->count != 0) { (void)rig_push(&rig, shard, &from[shard]); }
    } else if (dice < 60) {
        (void)rig.ops->poll(rig.state[shard], rig.env[shard].clock.monotonic_ns(rig.env[shard].clock.self));
    } else if (dice < 75) {
        (void)tg_helper_step(rig.helper, 1);
    } else if (dice < 90) {
        (void)tg_helper_poll(rig.helper, shard);
    } else if (dice < 98) {
        rig_advance(&rig, tg_prng_next(prng) % 50000000);
    } else {
        rig.ops->flush(rig.state[shard]);
    }
}

/* Push what a shard still has to offer; fails when back-pressure never ends. */
static void push_rest(uint32_t shard)
{
    const struct tg_clock real = tg_clock_real();
    const uint64_t give_up_ns = tg_clock_now_ns(&real) + 30000000000;
    while (rig.batch[shard]->count != 0 && !rig_push(&rig, shard, &from[shard])) {
        for (uint32_t i = 0; i < rig.shard_count; i++) { rig_cycle(&rig, i); }
        rig_advance(&rig, 1000000);
        cr_assert_lt(tg_clock_now_ns(&real), give_up_ns, "%s: back-pressure never ends", rig.ops->name);
    }
}

static void stats_verify(void)
{
    for (uint32_t shard = 0; shard < rig.shard_count; shard++) {
        struct tg_sink_stats stats = {0};
        rig.ops->stats(rig.state[shard], &stats);
        cr_assert_eq(stats.rows_taken, model.row_count[shard]);
        cr_assert_eq(stats.pending, 0);
        cr_assert_eq(stats.errors, 0);
        cr_assert(rig.ops->keyed ? stats.rows_written <= stats.rows_taken : stats.rows_written == stats.rows_taken);
        cr_assert(stats.rows_taken == 0 || stats.rows_written != 0);
        cr_assert_eq(tg_histogram_count(rig.latency[shard]), stats.rows_taken, "one latency per row");
    }
}

static void schedule_run(const struct tg_sink_ops *ops, uint64_t seed, bool threaded)
{
    struct tg_prng prng = {seed};
    const char *const flush_every[] = {"0", "1ms", "100ms"};
    model_clear(&model);
    memset(revisions, 0, sizeof revisions);
    memset(from, 0, sizeof from);
    rig_open(&rig, ops, 1 + tg_prng_below(&prng, RIG_SHARDS_MAX), threaded,
             target_make(ops, flush_every[tg_prng_below(&prng, 3)]));
    const uint32_t steps = 20 + tg_prng_below(&prng, 300);
    for (uint32_t i = 0; i < steps; i++) { step(&prng); }
    const bool finish = tg_prng_below(&prng, 8) != 0; /* else: closed in the middle of it, as a failing job is */
    if (finish) {
        for (uint32_t shard = 0; shard < rig.shard_count; shard++) { push_rest(shard); }
        rig_flush(&rig);
        stats_verify();
        for (uint32_t shard = 0; shard < rig.shard_count; shard++) {
            cr_assert(ops->flushed(rig.state[shard]), "flushed() stays true");
        }
    }
    rig_close(&rig);
    target_verify(ops, finish);
}

static void schedules_run(uint32_t count, bool threaded)
{
    const uint64_t seed = tg_test_seed();
    for (uint32_t i = 0; tg_sink_registry[i] != NULL; i++) {
        if (tg_sink_registry[i]->needs_server) { continue; }
        for (uint32_t run = 0; run < count; run++) { schedule_run(tg_sink_registry[i], seed + run, threaded); }
    }
    folder_remove();
}

Test(sinks, a_thousand_schedules_write_exactly_what_was_pushed, .timeout = 280) { schedules_run(1000 / 4, false); }

Test(sinks, the_same_with_a_real_helper_thread, .timeout = 280) { schedules_run(40, true); }

/* ---- on real servers --------------------------------------------------------------------------------------------- */

/* The target is looked at once, with a deadline, so that a server that is away is one clear line and not a hang. */
static void server_schedules_run(const char *name, bool threaded)
{
    const struct tg_sink_ops *ops = tg_sink_find(name);
    cr_assert_not_null(ops);
    const char *server = server_of(ops);
    if (server == NULL) { cr_skip_test("no server for sink %s: tools/services up, tools/services env", name); }
    const uint64_t seed = tg_test_seed();
    const struct tg_clock real = tg_clock_real();
    rig_prepare(&rig, ops, 1, false, target_make(ops, "1ms"));
    const tg_status status = ops->check(&rig.env[0], tg_clock_now_ns(&real) + 10000000000, &rig.error);
    cr_assert_eq(status, TG_OK, "sink %s: %s is named and not ready: %s", name, server, rig.error.text);
    rig_discard(&rig);
    for (uint32_t run = 0; run < 12; run++) { schedule_run(ops, seed + run, threaded); }
    folder_remove();
}

Test(sinks_on_servers, kafka, .timeout = 280) { server_schedules_run("kafka", false); }

Test(sinks_on_servers, kafka_with_a_real_helper_thread, .timeout = 280) { server_schedules_run("kafka", true); }

Test(sinks_on_servers, cassandra, .timeout = 280) { server_schedules_run("cassandra", false); }

Test(sinks_on_servers, cassandra_with_a_real_helper_thread, .timeout = 280) { server_schedules_run("cassandra", true); }

/* ---- single promises --------------------------------------------------------------------------------------------- */

Test(sinks, close_is_legal_after_a_failed_open)
{
    for (uint32_t i = 0; tg_sink_registry[i] != NULL; i++) {
        const struct tg_sink_ops *ops = tg_sink_registry[i];
        if (ops->needs_server) { continue; }
        rig_prepare(&rig, ops, 2, false, target_make(ops, "1ms"));
        cr_assert_eq(rig_share(&rig), TG_OK, "%s", rig.error.text);
        tg_arena_close(&rig.arena[1]);
        cr_assert_eq(tg_arena_open(&rig.arena[1], 4096, NULL), TG_OK);
        cr_assert_eq(rig_open_shard(&rig, 0), TG_OK);
        const tg_status status = rig_open_shard(&rig, 1);
        if (status != TG_OK) {
            cr_assert_eq(rig.error.code, TG1601, "%s: %s", ops->name, rig.error.text);
            cr_assert_gt(strlen(rig.error.text), 10);
        }
        rig_close(&rig);
        model_clear(&model);
        target_verify(ops, false);
    }
    folder_remove();
}

Test(sinks, a_sink_that_nobody_empties_takes_less_and_later_everything)
{
    const uint64_t seed = tg_test_seed();
    for (uint32_t i = 0; tg_sink_registry[i] != NULL; i++) {
        const struct tg_sink_ops *ops = tg_sink_registry[i];
        /* a keyed one coalesces: see the schedules */
        if (ops->needs_server || ops->keyed || is(ops, "null")) { continue; }
        struct tg_prng prng = {seed};
        model_clear(&model);
        memset(revisions, 0, sizeof revisions);
        memset(from, 0, sizeof from);
        rig_open(&rig, ops, 1, false, target_make(ops, "1ms"));
        bool taken = true;
        while (taken && model.row_count[0] < MODEL_ROWS_MAX - 64) {
            batch_fill(&prng, 0);
            taken = rig_push(&rig, 0, &from[0]);
            (void)rig.ops->poll(rig.state[0], rig.now_ns); /* submits, but nobody steps the helper */
        }
        cr_assert_not(taken, "%s: memory is not bounded", ops->name);
        struct tg_sink_stats stats;
        ops->stats(rig.state[0], &stats);
        cr_assert_gt(stats.pending, 0);
        cr_assert_not(ops->push(rig.state[0], rig.batch[0], from[0]), "and it stays full");
        push_rest(0);
        rig_flush(&rig);
        stats_verify();
        rig_close(&rig);
        target_verify(ops, true);
    }
    folder_remove();
}

Test(sinks, every_registered_name_is_found_and_documents_its_options)
{
    for (uint32_t i = 0; tg_sink_registry[i] != NULL; i++) {
        const struct tg_sink_ops *ops = tg_sink_registry[i];
        cr_assert_eq(tg_sink_find(ops->name), ops);
        cr_assert(!ops->needs_server || is(ops, "kafka") || is(ops, "cassandra"),
                  "sink %s has no test on its server: write one above", ops->name);
        for (uint32_t option = 0; option < ops->option_count; option++) {
            cr_assert_neq(ops->options[option].name, NULL);
            cr_assert_neq(ops->options[option].doc, NULL, "%s.%s", ops->name, ops->options[option].name);
            if (ops->options[option].kind == TG_OPTION_CHOICE) { cr_assert_neq(ops->options[option].choices, NULL); }
        }
    }
    cr_assert_null(tg_sink_find("no such sink"));
}
