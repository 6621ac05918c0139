/* The Cassandra sink against a scripted node: whatever the node does, afterwards its table holds the last revision of
 * every key, written with its own timestamp, and never two contents under one timestamp. */
#include <criterion/criterion.h>

#include "base/log.h"
#include "io/connectors.h"
#include "tests/options_of.h"
#include "tests/seed.h"
#include "tests/unit/io/cql_server.h"

enum { VERSION_BASE = 1000000, BATCH = 64 };

static struct tg_schema schema = {
    .name = "t",
    .column_count = 3,
    .columns = {{.name = "key", .type = TG_TYPE_TEXT},
                {.name = "n", .type = TG_TYPE_INTEGER},
                {.name = "note", .type = TG_TYPE_TEXT}},
};
static const uint32_t key_columns[] = {0};
static char key_names[SERVER_KEYS][8];

struct rig {
    struct server *servers;
    uint32_t server_count;
    enum tg_loop_backend backend;
    uint32_t keys;
    struct tg_test_options options;
    struct tg_arena arena;
    struct tg_loop *loop;
    void *state;
    struct tg_clock clock;
    struct tg_histogram latency;
    struct tg_batch batch;
    struct tg_prng prng;
    int64_t revisions[SERVER_KEYS];
    int32_t numbers[SERVER_KEYS];
    uint64_t pushed;
};

static struct rig rig;
static struct server servers[2];

static void open_rig(const char *timeout, const char *protocol, const char *user, const char *password)
{
    char hosts[64];
    struct tg_error err = {0};
    const struct tg_log_config log = {.level_min = TG_LOG_ERROR};
    tg_log_configure(&log);
    tg_schema_layout(&schema);
    for (uint32_t i = 0; i < SERVER_KEYS; i++) { (void)snprintf(key_names[i], sizeof key_names[i], "k%u", i); }
    (void)snprintf(hosts, sizeof hosts, rig.server_count > 1 ? "127.0.0.1:%u,127.0.0.1:%u" : "127.0.0.1:%u",
                   servers[0].port, servers[1].port);
    (void)tg_test_options(&rig.options, tg_cassandra_sink.options, tg_cassandra_sink.option_count, "hosts", hosts,
                          "table", "ks.t", "request_timeout", timeout, "flush_every", "2ms", "protocol", protocol,
                          "max_in_flight", "64", "max_pending", "300", NULL);
    if (user != NULL) { tg_test_option_set(&rig.options, "username", user); }
    if (password != NULL) { tg_test_option_set(&rig.options, "password", password); }
    cr_assert_eq(tg_arena_open(&rig.arena, (size_t)512 << 20, &err), TG_OK);
    const struct tg_loop_config loop = {.backend = rig.backend, .ops_max = 256};
    cr_assert_eq(tg_loop_open(&rig.loop, &loop, NULL, &err), TG_OK, "%s", err.text);
    rig.clock = tg_clock_real();
    const struct tg_sink_env env = {.job_name = "j",
                                    .sink_name = "s",
                                    .options = &rig.options.options,
                                    .schema = &schema,
                                    .key_columns = key_columns,
                                    .key_count = 1,
                                    .version_base = VERSION_BASE,
                                    .shard_count = 1,
                                    .max_keys = 100000,
                                    .latency = &rig.latency,
                                    .arena = &rig.arena,
                                    .loop = rig.loop,
                                    .clock = rig.clock};
    rig.state = calloc(1, tg_cassandra_sink.state_bytes(&env));
    cr_assert_eq(tg_cassandra_sink.open(rig.state, &env, &err), TG_OK, "%s", err.text);
    rig.batch = (struct tg_batch){
        .schema = &schema, .capacity = BATCH, .rows = aligned_alloc(64, BATCH * (size_t)schema.row_bytes)};
}

static void turn(void)
{
    uint32_t work = tg_loop_poll(rig.loop);
    work += tg_cassandra_sink.poll(rig.state, tg_clock_now_ns(&rig.clock));
    if (work == 0) { tg_loop_park(rig.loop, 500000, NULL, NULL); }
}

static void push_some(void)
{
    rig.batch.count = 1 + tg_prng_below(&rig.prng, BATCH);
    rig.batch.arrived_ns = tg_clock_now_ns(&rig.clock);
    for (uint32_t i = 0; i < rig.batch.count; i++) {
        const uint32_t key = tg_prng_below(&rig.prng, tg_prng_below(&rig.prng, 3) == 0 ? 5 : rig.keys);
        struct tg_row *row = tg_batch_row(&rig.batch, i);
        memset(row, 0, schema.row_bytes);
        row->revision = ++rig.revisions[key];
        rig.numbers[key] = (int32_t)tg_prng_next(&rig.prng);
        *(tg_text *)tg_row_value(&schema, row, 0) = (tg_text){.data = key_names[key],
                                                              .bytes = (uint32_t)strlen(key_names[key])};
        *(int32_t *)tg_row_value(&schema, row, 1) = rig.numbers[key];
        *(tg_text *)tg_row_value(&schema, row, 2) = (tg_text){.data = "a note that is somewhat longer",
                                                              .bytes = rig.batch.count % 30};
    }
    uint32_t from = 0;
    const uint64_t end_ns = tg_clock_now_ns(&rig.clock) + 60000000000u;
    while (from < rig.batch.count) {
        const uint32_t taken = tg_cassandra_sink.push(rig.state, &rig.batch, from);
        from += taken;
        if (taken == 0) { turn(); }
        cr_assert_lt(tg_clock_now_ns(&rig.clock), end_ns, "the sink takes nothing any more");
    }
    rig.pushed += rig.batch.count;
}

static void flush_all(void)
{
    struct tg_error err = {0};
    tg_cassandra_sink.flush(rig.state);
    const uint64_t end_ns = tg_clock_now_ns(&rig.clock) + 60000000000u;
    while (!tg_cassandra_sink.flushed(rig.state)) {
        turn();
        cr_assert_eq(tg_cassandra_sink.failure(rig.state, &err), TG_OK, "%s", err.text);
        cr_assert_lt(tg_clock_now_ns(&rig.clock), end_ns, "a flush ends");
    }
}

static struct tg_sink_stats stats(void)
{
    struct tg_sink_stats out;
    tg_cassandra_sink.stats(rig.state, &out);
    return out;
}

/* The newest cell over the nodes: they are replicas of each other as far as this test goes. */
static const struct server_cell *cell_of(uint32_t key)
{
    const struct server_cell *best = NULL;
    for (uint32_t i = 0; i < rig.server_count; i++) {
        const struct server_cell *cell = &servers[i].table[key];
        if (cell->present && (best == NULL || cell->timestamp > best->timestamp)) { best = cell; }
    }
    return best;
}

static void expect_table(void)
{
    for (uint32_t i = 0; i < rig.server_count; i++) { (void)pthread_mutex_lock(&servers[i].lock); }
    for (uint32_t key = 0; key < rig.keys; key++) {
        const struct server_cell *cell = cell_of(key);
        if (rig.revisions[key] == 0) {
            cr_assert_null(cell);
            continue;
        }
        cr_assert_not_null(cell, "key %u is missing", key);
        cr_assert_eq(cell->timestamp, VERSION_BASE + rig.revisions[key], "key %u", key);
        struct tg_cql_reader reader = {.data = cell->values, .bytes = cell->bytes};
        (void)tg_cql_get_bytes(&reader);
        (void)tg_cql_get_u32(&reader);
        cr_assert_eq((int32_t)tg_cql_get_u32(&reader), rig.numbers[key], "key %u", key);
    }
    for (uint32_t i = 0; i < rig.server_count; i++) {
        cr_assert_not(servers[i].conflict, "one timestamp came with two contents");
        (void)pthread_mutex_unlock(&servers[i].lock);
    }
}

static void close_rig(void)
{
    tg_cassandra_sink.close(rig.state);
    tg_loop_close(rig.loop);
    for (uint32_t i = 0; i < rig.server_count; i++) {
        server_stop(&servers[i]);
        free(servers[i].table);
    }
    free(rig.state);
    free(rig.batch.rows);
    tg_arena_close(&rig.arena);
}

static void prepare(enum tg_loop_backend backend)
{
    const uint64_t seed = tg_test_seed();
    rig = (struct rig){.server_count = 1, .backend = backend, .keys = 400, .prng = {seed}};
    memset(servers, 0, sizeof servers);
    servers[0].seed = seed + 1;
    servers[1].seed = seed + 2;
    server_listen(&servers[0]);
}

/* Push `batches`, flushing now and then, and compare. */
static void write_and_compare(uint32_t batches)
{
    for (uint32_t i = 0; i < batches; i++) {
        push_some();
        turn();
        if (tg_prng_below(&rig.prng, 40) == 0) {
            flush_all();
            expect_table();
        }
    }
    flush_all();
    expect_table();
    const struct tg_sink_stats s = stats();
    cr_assert_eq(s.rows_taken, rig.pushed);
    cr_assert_eq(s.pending, 0);
    cr_assert_eq(tg_histogram_count(&rig.latency), rig.pushed, "one latency a row");
}

static void plain(enum tg_loop_backend backend, const char *protocol, uint8_t version_max)
{
    prepare(backend);
    servers[0].version_max = version_max;
    server_start(&servers[0]);
    open_rig("5s", protocol, NULL, NULL);
    write_and_compare(400);
    cr_assert_eq(stats().retries, 0);
    cr_assert_eq(servers[0].starts_v4, version_max == 4 || protocol[1] == '4' ? 1 : 0);
    close_rig();
}

Test(cql_sink, writes_the_last_revision_over_io_uring) { plain(TG_LOOP_URING, "auto", 5); }
Test(cql_sink, writes_the_last_revision_over_epoll) { plain(TG_LOOP_EPOLL, "auto", 5); }
Test(cql_sink, version_5_refused_means_version_4) { plain(TG_LOOP_EPOLL, "auto", 4); }
Test(cql_sink, version_4_on_request) { plain(TG_LOOP_URING, "v4", 5); }

/* Run with one kind of fault and see that it really happened. */
static void with_fault(enum server_action action, uint32_t of_thousand, const char *timeout, uint32_t batches)
{
    prepare(action % 2 == 0 ? TG_LOOP_URING : TG_LOOP_EPOLL);
    servers[0].weights[action] = of_thousand;
    servers[0].late_ms = 400;
    server_start(&servers[0]);
    open_rig(timeout, "auto", NULL, NULL);
    write_and_compare(batches);
    cr_assert_gt(servers[0].counts[action], 0);
    cr_assert_gt(stats().retries, 0);
    close_rig();
}

Test(cql_sink, overloaded_rows_are_sent_again) { with_fault(SERVER_OVERLOADED, 200, "5s", 60); }
Test(cql_sink, unavailable_rows_are_sent_again) { with_fault(SERVER_UNAVAILABLE, 100, "5s", 60); }
Test(cql_sink, bootstrapping_rows_are_sent_again) { with_fault(SERVER_BOOTSTRAPPING, 100, "5s", 60); }
Test(cql_sink, a_timeout_that_was_applied_is_repeated_alike) { with_fault(SERVER_TIMEOUT_APPLIED, 200, "5s", 60); }
Test(cql_sink, a_timeout_that_was_not_applied_is_repeated) { with_fault(SERVER_TIMEOUT_LOST, 200, "5s", 60); }
Test(cql_sink, failures_are_repeated_a_few_times) { with_fault(SERVER_FAILURE, 200, "5s", 60); }
Test(cql_sink, an_unprepared_storm_ends_prepared) { with_fault(SERVER_FORGET, 30, "5s", 100); }
Test(cql_sink, a_connection_cut_inside_an_answer_is_made_anew) { with_fault(SERVER_CUT, 5, "5s", 100); }
Test(cql_sink, a_corrupt_frame_ends_the_connection_not_the_data) { with_fault(SERVER_CORRUPT, 5, "5s", 100); }
Test(cql_sink, requests_without_answer_are_sent_again) { with_fault(SERVER_SILENT, 20, "200ms", 60); }

/* A late answer must not be taken for the answer to a row that was lost meanwhile. */
Test(cql_sink, late_answers_match_nothing_else)
{
    prepare(TG_LOOP_URING);
    servers[0].weights[SERVER_LATE_ANSWER] = 30;
    servers[0].weights[SERVER_SILENT] = 30;
    servers[0].late_ms = 400;
    server_start(&servers[0]);
    open_rig("150ms", "auto", NULL, NULL);
    write_and_compare(60);
    cr_assert_gt(servers[0].counts[SERVER_LATE_ANSWER], 0);
    close_rig();
}

Test(cql_sink, everything_at_once)
{
    prepare(TG_LOOP_EPOLL);
    static const enum server_action actions[] = {SERVER_OVERLOADED,   SERVER_UNAVAILABLE, SERVER_TIMEOUT_APPLIED,
                                                 SERVER_TIMEOUT_LOST, SERVER_SILENT,      SERVER_LATE_ANSWER,
                                                 SERVER_CUT,          SERVER_CORRUPT,     SERVER_FORGET};
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) { servers[0].weights[actions[i]] = 8; }
    servers[0].late_ms = 400;
    server_start(&servers[0]);
    open_rig("200ms", "auto", NULL, NULL);
    write_and_compare(60);
    close_rig();
}

/* ---- failures that end the job ----------------------------------------------------------------------------------- */

static tg_status wait_for_failure(struct tg_error *err)
{
    const uint64_t end_ns = tg_clock_now_ns(&rig.clock) + 20000000000u;
    while (tg_cassandra_sink.failure(rig.state, err) == TG_OK && tg_clock_now_ns(&rig.clock) < end_ns) { turn(); }
    return tg_cassandra_sink.failure(rig.state, err);
}

static void refused_row(enum server_action action, uint64_t attempts)
{
    prepare(TG_LOOP_EPOLL);
    rig.keys = 6;
    servers[0].weights[action] = 1000;
    server_start(&servers[0]);
    open_rig("5s", "auto", NULL, NULL);
    push_some();
    tg_cassandra_sink.flush(rig.state);
    struct tg_error err = {0};
    cr_assert_eq(wait_for_failure(&err), TG_ERR_UNAVAILABLE);
    cr_assert_eq(err.code, TG1303);
    cr_assert(strstr(err.text, "ks.t") != NULL, "%s", err.text);
    cr_assert_geq(servers[0].executions, attempts);
    cr_assert_gt(stats().pending, 0, "the rows are still ours");
    cr_assert_not(tg_cassandra_sink.flushed(rig.state));
    cr_assert_eq(tg_cassandra_sink.push(rig.state, &rig.batch, 0), 0);
    close_rig();
}

Test(cql_sink, a_row_the_table_refuses_fails_the_job_and_is_kept) { refused_row(SERVER_INVALID, 1); }
Test(cql_sink, endless_write_failures_fail_the_job) { refused_row(SERVER_FAILURE, 11); }

static void with_password(const char *user, const char *password, bool good)
{
    prepare(TG_LOOP_URING);
    servers[0].user = "anna";
    servers[0].password = "s3cret";
    server_start(&servers[0]);
    open_rig("5s", "auto", user, password);
    if (good) {
        write_and_compare(20);
    } else {
        struct tg_error err = {0};
        cr_assert_eq(wait_for_failure(&err), TG_ERR_CONFIG);
        cr_assert_eq(err.code, TG1302);
        cr_assert(password == NULL || strstr(err.text, password) == NULL, "%s", err.text);
        for (uint32_t i = 0; i < 200; i++) { turn(); }
        cr_assert_eq(servers[0].connections_made, 1, "trying again could lock the account");
    }
    close_rig();
}

Test(cql_sink, logs_in_with_user_and_password) { with_password("anna", "s3cret", true); }
Test(cql_sink, a_wrong_password_is_final_and_not_shown) { with_password("anna", "wr0ng", false); }
Test(cql_sink, a_missing_password_is_named) { with_password(NULL, NULL, false); }

/* ---- nodes that come and go -------------------------------------------------------------------------------------- */

Test(cql_sink, a_node_that_is_down_at_first_is_waited_for)
{
    prepare(TG_LOOP_EPOLL);
    open_rig("5s", "auto", NULL, NULL);
    rig.batch.count = 0;
    for (uint32_t i = 0; i < 300; i++) { turn(); }
    cr_assert_eq(tg_cassandra_sink.failure(rig.state, NULL), TG_OK);
    server_start(&servers[0]);
    write_and_compare(50);
    close_rig();
}

Test(cql_sink, a_node_that_restarts_gets_every_row)
{
    prepare(TG_LOOP_URING);
    server_start(&servers[0]);
    open_rig("5s", "auto", NULL, NULL);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 5; i++) { push_some(); }
        for (uint32_t i = 0; i < 10; i++) { turn(); }
        server_stop(&servers[0]);
        for (uint32_t i = 0; i < 100; i++) { turn(); }
        server_listen(&servers[0]);
        server_start(&servers[0]);
    }
    write_and_compare(50);
    close_rig();
}

Test(cql_sink, a_node_that_accepts_and_never_answers_is_given_up)
{
    prepare(TG_LOOP_EPOLL);
    servers[0].mute = true;
    server_start(&servers[0]);
    open_rig("100ms", "auto", NULL, NULL);
    const uint64_t end_ns = tg_clock_now_ns(&rig.clock) + 1000000000u;
    while (tg_clock_now_ns(&rig.clock) < end_ns) { turn(); }
    (void)pthread_mutex_lock(&servers[0].lock);
    cr_assert_gt(servers[0].connections_made, 1);
    cr_assert_lt(servers[0].connections_made, 12, "with pauses");
    servers[0].mute = false;
    (void)pthread_mutex_unlock(&servers[0].lock);
    write_and_compare(20);
    close_rig();
}

Test(cql_sink, rows_go_to_the_node_that_owns_their_token)
{
    prepare(TG_LOOP_URING);
    rig.server_count = 2;
    server_listen(&servers[1]);
    for (uint32_t i = 0; i < 2; i++) {
        servers[i].token = i == 0 ? "0" : "9223372036854775807";
        servers[i].peer_token = i == 1 ? "0" : "9223372036854775807";
        servers[i].peer_port = servers[1 - i].port;
        servers[i].owned_from = i == 0 ? INT64_MIN : 0;
        servers[i].owned_to = i == 0 ? 0 : INT64_MAX;
        server_start(&servers[i]);
    }
    open_rig("5s", "auto", NULL, NULL);
    const uint64_t end_ns = tg_clock_now_ns(&rig.clock) + 300000000u;
    while (tg_clock_now_ns(&rig.clock) < end_ns) { turn(); } /* the topology is read */
    for (uint32_t i = 0; i < 100; i++) { /* few at a time: a full connection lets rows go to another node */
        push_some();
        flush_all();
    }
    expect_table();
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert_gt(servers[i].executions, 100);
        cr_assert_eq(servers[i].misrouted, 0, "node %u got %lu of %lu", i, servers[i].misrouted, servers[i].executions);
    }
    server_stop(&servers[1]); /* the other one takes over */
    write_and_compare(20);
    close_rig();
}
