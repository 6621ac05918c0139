/* Ingest over a source of the test's own: when silence counts, and in which order a record's faults are named. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "engine/ingest.h"

#define S 1000000LL
#define NS 1000000000ULL
#define CYCLE_NS 10000000ULL

enum { PARTITIONS = 2, BUFFERS = 2 };

/* What the source does: partition 0 has a record in every poll while `busy`; any partition as told by `next`. */
static struct {
    struct tg_buffer_pool *pool;
    bool busy;
    bool starved;  /* takes a buffer before it looks for records, as sources do */
    bool has_next; /* news of partition `next` */
    uint32_t next;
    uint32_t flags;    /* of the news */
    const char *value; /* its record; NULL = none */
    int64_t record_us; /* stamp of records */
    int64_t offsets[PARTITIONS];
    bool unread; /* the source knows of something in partition 1 */
    uint32_t asked;
    int64_t stamp_s; /* of partition 0's records */
} script;

static size_t state_bytes(const struct tg_options *options, uint32_t owned_count)
{
    (void)options;
    return owned_count;
}
static tg_status open_source(void *state, const struct tg_source_env *env, struct tg_error *err)
{
    (void)state;
    (void)err;
    script.pool = env->buffers;
    return TG_OK;
}
static void give(struct tg_raw_batch *out, uint32_t partition, const char *value, struct tg_buffer *buffer)
{
    out->partition = partition;
    out->count = 1;
    out->buffer = buffer;
    memcpy(buffer->data, value, strlen(value));
    out->slices[0] = (struct tg_slice){.value = buffer->data,
                                       .offset = script.offsets[partition]++,
                                       .record_us = script.record_us,
                                       .value_bytes = (uint32_t)strlen(value)};
}
static uint32_t poll_source(void *state, struct tg_raw_batch *out, uint64_t now_ns)
{
    static bool turn;
    (void)state;
    out->arrived_ns = now_ns;
    if (script.has_next) {
        script.has_next = false;
        out->partition = script.next;
        out->flags = script.flags;
        if (script.value != NULL) { give(out, script.next, script.value, tg_buffer_acquire(script.pool, 1)); }
        return 1;
    }
    if (script.starved && tg_buffer_acquire(script.pool, 1) == NULL) { return 0; }
    turn = !turn;
    if (!script.busy || !turn) { return 0; }
    char value[64];
    (void)snprintf(value, sizeof value, "{\"at\":\"2024-01-01T%02" PRId64 ":%02" PRId64 ":%02" PRId64 "Z\"}",
                   script.stamp_s / 3600, script.stamp_s / 60 % 60, script.stamp_s % 60);
    give(out, 0, value, tg_buffer_acquire(script.pool, 1));
    return 1;
}
static bool unread(void *state, uint32_t partition)
{
    (void)state;
    script.asked += partition == 1;
    return partition == 1 && script.unread;
}
static tg_status no_failure(const void *state, struct tg_error *err)
{
    (void)state;
    (void)err;
    return TG_OK;
}
static int64_t no_lag(const void *state)
{
    (void)state;
    return 0;
}
static void close_source(void *state) { (void)state; }

static const struct tg_source_ops scripted = {.name = "scripted",
                                              .state_bytes = state_bytes,
                                              .open = open_source,
                                              .poll = poll_source,
                                              .unread = unread,
                                              .failure = no_failure,
                                              .lag = no_lag,
                                              .close = close_source};

static struct tg_source_spec source;
static struct tg_job job;
static struct tg_plan *plan;
static struct tg_published published[PARTITIONS];
static struct tg_progress progress;
static struct tg_buffer_pool pool;
static struct tg_arena arena;
static struct tg_ingest ingest;
static uint64_t now_ns;
/* With a log of ticks, stepped by the test */
static char folder[64];
static struct tg_store store;
static struct tg_tick_log tick_log;
static struct tg_tick_lane lane;
static struct tg_helper *helper;
static int64_t acted[16][2]; /* offset, clock of partition 1's ticks */
static uint32_t acted_count;

static int64_t wall_ahead_us;
static int64_t wall_us(void *self)
{
    (void)self;
    return INT64_MAX / 2 + wall_ahead_us;
}
static uint64_t monotonic_ns(void *self)
{
    (void)self;
    return now_ns;
}

static void setup(void)
{
    static const char *const names[] = {"at"};
    struct tg_error err = {0};
    memset(&script, 0, sizeof script);
    script.stamp_s = 3600;
    script.next = 1;
    script.record_us = TG_TS_MIN;
    source = (struct tg_source_spec){.name = "in",
                                     .topic = "in",
                                     .ops = &scripted,
                                     .watermark_delay = 30 * S,
                                     .idle_after = 5 * S,
                                     .max_skew = TG_TS_MAX};
    source.schema = (struct tg_schema){.name = "in", .column_count = 1};
    source.schema.columns[0] = (struct tg_column){.name = "at", .type = TG_TYPE_TIMESTAMP};
    source.fields[0] = (struct tg_field_spec){.names = names, .name_count = 1, .required = true};
    tg_schema_layout(&source.schema);
    job = (struct tg_job){.name = "test", .source_count = 1, .sources = &source};
    job.engine.max_keys = 100;
    const uint32_t partitions[] = {PARTITIONS};
    cr_assert_eq(tg_plan_create(&plan, &job, 1, partitions, &err), TG_OK, "%s", err.text);
    const struct tg_buffer_pool_config buffers = {BUFFERS, 4096, 0};
    cr_assert_eq(tg_arena_open(&arena, (size_t)1 << 30, &err), TG_OK);
    cr_assert_eq(tg_buffer_pool_init(&pool, &buffers, &arena, &err), TG_OK);
    now_ns = NS;
    const struct tg_ingest_env env = {.plan = plan,
                                      .published = published,
                                      .progress = &progress,
                                      .buffers = &pool,
                                      .arena = &arena,
                                      .clock = {.monotonic_ns = monotonic_ns, .wall_us = wall_us}};
    cr_assert_eq(tg_ingest_open(&ingest, &env, &err), TG_OK, "%s", err.text);
}
static void teardown(void)
{
    tg_ingest_close(&ingest);
    tg_plan_destroy(plan);
    tg_arena_close(&arena);
}

TestSuite(ingest, .init = setup, .fini = teardown);

static void run_for(uint64_t ns)
{
    for (const uint64_t end = now_ns + ns; now_ns < end;) {
        now_ns += CYCLE_NS;
        (void)tg_ingest_poll(&ingest, now_ns, 8);
    }
}

static void tell(const char *value, uint32_t flags)
{
    script.value = value;
    script.flags = flags;
    script.has_next = true;
    run_for(CYCLE_NS);
}

static bool is_idle(uint32_t partition) { return atomic_load(&published[partition].idle) != 0; }

Test(ingest, a_partition_falls_silent_while_its_neighbour_on_the_shard_is_busy)
{
    script.busy = true;
    tell("{\"at\":\"2024-01-01T00:10:00Z\"}", TG_RAW_AT_END);
    run_for(4 * NS);
    cr_assert_not(is_idle(1));
    run_for(2 * NS);
    cr_assert(is_idle(1));
    cr_assert_eq(atomic_load(&published[1].wm), atomic_load(&published[0].wm));
}

Test(ingest, without_a_free_buffer_nobody_falls_silent)
{
    tell("{\"at\":\"2024-01-01T00:10:00Z\"}", TG_RAW_AT_END);
    struct tg_buffer *held[BUFFERS];
    for (uint32_t i = 0; i < BUFFERS; i++) { held[i] = tg_buffer_acquire(&pool, 1); }
    script.starved = true;
    run_for(60 * NS);
    cr_assert_not(is_idle(1), "its records may wait where we cannot look");
    script.starved = false;
    for (uint32_t i = 0; i < BUFFERS; i++) { tg_buffer_release(held[i]); }
    run_for(4 * NS);
    cr_assert_not(is_idle(1));
    run_for(2 * NS);
    cr_assert(is_idle(1));
}

Test(ingest, a_pause_of_the_process_is_not_silence)
{
    tell("{\"at\":\"2024-01-01T00:10:00Z\"}", TG_RAW_AT_END);
    run_for(NS);
    now_ns += 60 * NS;
    run_for(2 * NS);
    cr_assert_not(is_idle(1));
    run_for(3 * NS);
    cr_assert(is_idle(1));
}

#define TEN_PAST 1704067800000000LL                  /* 2024-01-01T00:10:00Z */
#define TWO (TEN_PAST - 600 * S + 7200 * S - 30 * S) /* partition 0's clock */

Test(ingest, what_lies_unread_after_a_pause_is_not_judged_by_the_silence_before_it)
{
    script.busy = true;
    tell("{\"at\":\"2024-01-01T00:10:00Z\"}", TG_RAW_AT_END);
    run_for(8 * NS);
    cr_assert(is_idle(1));
    const int64_t before = atomic_load(&published[1].wm);
    script.stamp_s = 7200;
    ingest.held = true;
    run_for(60 * NS);
    script.unread = true; /* came in the last moment */
    ingest.held = false;
    run_for(8 * CYCLE_NS); /* others' records are before it */
    cr_assert_eq(atomic_load(&published[1].wm), before);
    run_for(NS);
    cr_assert_eq(atomic_load(&published[1].wm), before);
    cr_assert_not(is_idle(1));
    script.unread = false;
    script.busy = false;
    tell("{\"at\":\"2024-01-01T01:30:00Z\"}", 0);
    cr_assert_eq(tg_counter_read(&progress.late), 0);
    cr_assert_eq(atomic_load(&published[1].wm), TEN_PAST + 80 * 60 * S - 30 * S, "it moved the clock itself");
}

Test(ingest, one_just_short_of_idleness_asks_before_it_counts)
{
    script.busy = true;
    tell("{\"at\":\"2024-01-01T00:10:00Z\"}", TG_RAW_AT_END);
    run_for(5 * NS - 4 * CYCLE_NS);
    cr_assert_not(is_idle(1));
    script.unread = true; /* too short a pause to be noticed, or none */
    run_for(6 * CYCLE_NS);
    cr_assert_not(is_idle(1));
    cr_assert_eq(atomic_load(&published[1].wm), TEN_PAST - 30 * S);
}

Test(ingest, one_that_never_had_a_record_asks_too)
{
    script.busy = true;
    script.unread = true;
    tell(NULL, TG_RAW_AT_END);
    run_for(CYCLE_NS);
    cr_assert_eq(script.asked, 1);
    cr_assert_eq(atomic_load(&published[1].wm), TG_TS_MIN);
    script.unread = false; /* nothing came of it: an aborted transaction, of which no more is heard */
    run_for(4 * NS);
    cr_assert_not(is_idle(1));
    run_for(2 * NS);
    cr_assert(is_idle(1), "but not for ever");
    cr_assert_eq(atomic_load(&published[1].wm), atomic_load(&published[0].wm));
}

Test(ingest, silence_that_was_disturbed_for_nothing_goes_on)
{
    script.busy = true;
    tell("{\"at\":\"2024-01-01T00:10:00Z\"}", TG_RAW_AT_END);
    run_for(6 * NS);
    cr_assert(is_idle(1));
    script.unread = true;
    script.stamp_s = 7200;
    run_for(NS);
    cr_assert_not(is_idle(1));
    script.unread = false;
    run_for(6 * NS); /* without another report of the end */
    cr_assert(is_idle(1));
    cr_assert_eq(atomic_load(&published[1].wm), TWO);
}

Test(ingest, a_source_is_asked_when_it_matters_and_not_every_cycle)
{
    script.busy = true;
    tell("{\"at\":\"2024-01-01T00:10:00Z\"}", TG_RAW_AT_END);
    run_for(4 * NS);
    cr_assert_eq(script.asked, 0);
    script.stamp_s = 7200;
    run_for(2 * NS);
    cr_assert_eq(script.asked, 1, "it falls silent");
    for (uint32_t i = 0; i < 10; i++) {
        script.stamp_s++;
        run_for(NS);
    }
    cr_assert_geq(script.asked, 10, "a raise a second");
    cr_assert_leq(script.asked, 12);
}

Test(ingest, after_a_stop_nobody_is_idle_before_the_source_can_have_heard)
{
    script.busy = true;
    tell("{\"at\":\"2024-01-01T00:10:00Z\"}", TG_RAW_AT_END);
    run_for(6 * NS);
    const int64_t before = atomic_load(&published[1].wm);
    script.stamp_s = 7200;
    now_ns += 60 * NS; /* the client's threads stood still as well */
    run_for(8 * CYCLE_NS);
    cr_assert_eq(atomic_load(&published[1].wm), before);
    run_for(5 * CYCLE_NS);
    cr_assert_eq(atomic_load(&published[1].wm), TWO);
}

Test(ingest, on_a_core_that_is_always_busy_partitions_fall_silent_all_the_same)
{
    script.busy = true;
    script.stamp_s = 7200;
    tell("{\"at\":\"2024-01-01T00:10:00Z\"}", TG_RAW_AT_END);
    for (uint32_t i = 0; i < 600; i++) { /* each poll comes late, and 20 ms of each count */
        now_ns += 500000000;
        (void)tg_ingest_poll(&ingest, now_ns, 8);
    }
    cr_assert(is_idle(1));
    cr_assert_eq(atomic_load(&published[1].wm), TWO);
}

Test(ingest, a_record_too_far_ahead_of_its_own_stamp_does_not_move_the_clock)
{
    source.max_skew = 300 * S;
    script.record_us = TEN_PAST - 300 * S - 1;
    tell("{\"at\":\"2024-01-01T00:10:00Z\"}", 0);
    cr_assert_eq(tg_counter_read(&progress.dead[TG_REASON_future]), 1);
    cr_assert_eq(atomic_load(&published[1].wm), TG_TS_MIN);
    script.record_us = TEN_PAST - 300 * S; /* exactly as far as it may be */
    tell("{\"at\":\"2024-01-01T00:10:00Z\"}", 0);
    script.record_us = TG_TS_MIN; /* without a stamp there is nothing to compare with */
    tell("{\"at\":\"2024-01-01T00:20:00Z\"}", 0);
    cr_assert_eq(tg_counter_read(&progress.dead[TG_REASON_future]), 1);
    cr_assert_eq(atomic_load(&published[1].wm), TEN_PAST + 570 * S);
}

Test(ingest, an_ended_partition_takes_nobody_along_to_the_end_of_time)
{
    tell("{\"at\":\"2024-01-01T00:20:00Z\"}", TG_RAW_ENDED);
    cr_assert_eq(atomic_load(&published[1].wm), TG_TS_MAX);
    script.next = 0;
    tell("{\"at\":\"2024-01-01T00:10:00Z\"}", TG_RAW_AT_END);
    run_for(10 * NS);
    cr_assert(is_idle(0));
    cr_assert_leq(atomic_load(&published[0].wm), TEN_PAST - 20 * S); /* as if time went on, no further */
}

Test(ingest, without_draining_only_partitions_that_had_nothing_run_to_the_end)
{
    ingest.no_drain = true;
    tell(NULL, TG_RAW_ENDED);
    cr_assert_eq(atomic_load(&published[1].wm), TG_TS_MAX);
    script.next = 0;
    tell("{\"at\":\"2024-01-01T00:10:00Z\"}", TG_RAW_ENDED);
    cr_assert_eq(atomic_load(&published[0].wm), TEN_PAST - 30 * S);
}

Test(ingest, a_wanted_cut_comes_before_the_next_batch)
{
    static struct tg_outlet full; /* takes nothing of an epoch that it has not begun */
    ingest.dead_letters = &full;
    ingest.epochs = 1;
    tell("no document", 0);
    cr_assert(ingest.in_work, "its dead letter waits for room");
    tg_ingest_want_cut(&ingest, true);
    run_for(CYCLE_NS);
    cr_assert_eq(ingest.cut, TG_CUT_WANTED);
    ingest.dead_letters = NULL;
    script.has_next = true;
    run_for(CYCLE_NS);
    cr_assert(script.has_next, "or the cut would wait for that batch, and the one after it");
    run_for(CYCLE_NS);
    cr_assert_eq(ingest.cut, TG_CUT_DONE);
    run_for(CYCLE_NS);
    cr_assert_not(script.has_next);
}

/* ---- ticks ------------------------------------------------------------------------------------------------------- */

static void tick_acted(void *self, const struct tg_tick *tick)
{
    (void)self;
    if (tick->partition != 1) { return; }
    acted[acted_count][0] = tick->offset;
    acted[acted_count++][1] = tick->wm;
}

/* The ingest begins again, over what the log holds. */
static void begin_life(const struct tg_manifest_partition *saved)
{
    static const struct tg_tick_watch watch = {.acted = tick_acted};
    const struct tg_clock clock = {.monotonic_ns = monotonic_ns, .wall_us = wall_us};
    const struct tg_ticks_source sources[] = {
        {.name = "in", .topic = "in", .cluster = "", .partition_count = PARTITIONS}};
    const struct tg_ticks_header header = {.job = "test", .source_count = 1, .sources = sources};
    const struct tg_run_id run_id = {.bytes = {1}};
    struct tg_error err = {0};
    tg_ingest_close(&ingest);
    tg_tick_log_close(&tick_log);
    cr_assert_eq(tg_tick_log_open(&tick_log, &store, &header, NULL, &err), TG_OK, "%s", err.text);
    tg_tick_log_begin(&tick_log, &run_id);
    const struct tg_tick_lane_config config = {.log = &tick_log, .helper = helper, .clock = clock};
    cr_assert_eq(tg_tick_lane_open(&lane, &config, &arena, &err), TG_OK);
    const struct tg_ingest_env env = {.plan = plan,
                                      .published = published,
                                      .progress = &progress,
                                      .buffers = &pool,
                                      .arena = &arena,
                                      .clock = clock,
                                      .saved = saved,
                                      .ticks = &lane,
                                      .tick_watch = &watch};
    acted_count = 0;
    cr_assert_eq(tg_ingest_open(&ingest, &env, &err), TG_OK, "%s", err.text);
}

static void setup_ticks(void)
{
    struct tg_error err = {0};
    setup();
    (void)snprintf(folder, sizeof folder, "/tmp/turgo-ingest-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(tg_store_open(&store, &(struct tg_store_config){.path = folder, .pid = 1}, &err), TG_OK);
    cr_assert_eq(tg_helper_create(&helper, 1, NULL, NULL, &err), TG_OK);
    begin_life(NULL);
}
static void teardown_ticks(void)
{
    char command[128];
    tg_helper_destroy(helper);
    tg_tick_log_close(&tick_log);
    tg_store_close(&store);
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert_eq(system(command), 0);
    teardown();
}
TestSuite(ingest_ticks, .init = setup_ticks, .fini = teardown_ticks);

/* Polls as run_for, and the shard's lane. */
static void live_for(uint64_t ns)
{
    for (const uint64_t end = now_ns + ns; now_ns < end;) {
        run_for(CYCLE_NS);
        (void)tg_tick_lane_poll(&lane, now_ns);
        (void)tg_helper_poll(helper, 0);
    }
}

/* Partition 1 falls silent behind its first record while partition 0 is busy, until its tick is on its way. */
static void order_a_tick(void)
{
    script.busy = true;
    script.stamp_s = 7200;
    tell("{\"at\":\"2024-01-01T00:10:00Z\"}", TG_RAW_AT_END);
    live_for(6 * NS);
    cr_assert_eq(ingest.partitions[1].tick, TG_TICK_ORDERED);
}

Test(ingest_ticks, a_raise_acts_when_its_tick_is_durable)
{
    order_a_tick();
    live_for(NS);
    cr_assert_eq(atomic_load(&published[1].wm), TEN_PAST - 30 * S);
    cr_assert_eq(acted_count, 0);
    cr_assert_eq(tg_helper_step(helper, 10), 1);
    live_for(CYCLE_NS);
    live_for(CYCLE_NS);
    cr_assert_eq(atomic_load(&published[1].wm), TWO);
    cr_assert_eq(acted_count, 1);
    cr_assert_eq(acted[0][0], 1, "before the second record");
    cr_assert_eq(acted[0][1], TWO);
}

Test(ingest_ticks, a_record_that_comes_meanwhile_is_judged_behind_the_tick)
{
    order_a_tick();
    script.busy = false;
    tell("{\"at\":\"2024-01-01T00:11:00Z\"}", 0);
    live_for(NS);
    cr_assert_eq(ingest.partitions[1].records, 1, "it waits");
    cr_assert_eq(tg_helper_step(helper, 10), 1);
    live_for(5 * CYCLE_NS);
    cr_assert_eq(ingest.partitions[1].records, 2);
    cr_assert_eq(((const struct tg_row *)(const void *)ingest.rows)->wm, TWO, "its watermark is the raised one");
    cr_assert_eq(acted_count, 1);
    cr_assert_eq(atomic_load(&published[1].wm), TWO);
}

Test(ingest_ticks, what_acted_before_a_crash_acts_again_before_the_same_record)
{
    order_a_tick();
    (void)tg_helper_step(helper, 10);
    live_for(5 * CYCLE_NS);
    cr_assert_eq(acted_count, 1);
    atomic_store(&published[1].wm, TG_TS_MIN);
    script.busy = false;
    script.offsets[1] = 0;
    begin_life(NULL);
    cr_assert_eq(ingest.partitions[1].replay_count, 1);
    tell("{\"at\":\"2024-01-01T00:10:00Z\"}", 0);
    cr_assert_eq(acted_count, 1, "there was one record before it");
    cr_assert_eq(acted[0][0], 1);
    cr_assert_eq(atomic_load(&published[1].wm), TWO);
    cr_assert_eq(ingest.partitions[1].replay_count, 0);
}

Test(ingest_ticks, silence_goes_on_from_the_last_tick_downtime_included)
{
    order_a_tick();
    (void)tg_helper_step(helper, 10);
    live_for(5 * CYCLE_NS);
    struct tg_manifest_partition saved[PARTITIONS] = {{.next_offset = -1}, {.next_offset = 1}};
    saved[0].wm = saved[0].max_ts = saved[0].idle_base_wm = TG_TS_MIN;
    saved[1].wm = saved[1].idle_base_wm = TEN_PAST - 30 * S;
    saved[1].max_ts = TEN_PAST;
    saved[1].flags = TG_PARTITION_HAS_VALID;
    script.busy = false;
    atomic_store(&published[0].wm, TG_TS_MIN);
    begin_life(saved);
    cr_assert_eq(acted_count, 1, "nothing came behind it");
    cr_assert_eq(atomic_load(&published[1].wm), TWO);
    script.next = 0;
    tell(NULL, TG_RAW_AT_END); /* one that never had a record is idle at once */
    script.next = 1;
    tell(NULL, TG_RAW_AT_END);
    wall_ahead_us = 3600 * S;
    begin_life(saved);
    script.next = 0;
    tell(NULL, TG_RAW_AT_END);
    script.next = 1;
    tell(NULL, TG_RAW_AT_END);
    live_for(2 * CYCLE_NS);
    (void)tg_helper_step(helper, 10);
    live_for(2 * CYCLE_NS);
    cr_assert_geq(atomic_load(&published[1].wm), TWO + 3600 * S);
    cr_assert_leq(atomic_load(&published[1].wm), TWO + 3601 * S);
}

Test(ingest_ticks, a_cut_holds_what_has_acted_and_nothing_else)
{
    order_a_tick();
    tg_ingest_want_cut(&ingest, true);
    live_for(CYCLE_NS);
    cr_assert_eq(ingest.cut, TG_CUT_DONE);
    cr_assert_eq(ingest.cut_state[1].wm, TEN_PAST - 30 * S);
    (void)tg_helper_step(helper, 10);
    live_for(5 * CYCLE_NS);
    tg_ingest_want_cut(&ingest, true);
    live_for(CYCLE_NS);
    cr_assert_eq(ingest.cut_state[1].wm, TWO);
}
