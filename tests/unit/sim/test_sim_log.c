/* The simulated log: every record once and in order, whatever fetches bring; ends and commits as a broker has them. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/sim/log.h"
#include "tests/seed.h"

enum { PARTITIONS = 3, RECORDS = 500 };

static struct tg_sim_world world;
static struct tg_sim_log *slog;
static struct tg_arena arena;
static struct tg_buffer_pool buffers;
static void *state;

static void make_log(uint64_t seed, uint64_t grow_ns)
{
    world = (struct tg_sim_world){.now_ns = 1};
    tg_sim_log_destroy(slog);
    slog = tg_sim_log_create(&world, PARTITIONS, seed);
    cr_assert_not_null(slog);
    tg_sim_log_use(slog);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        for (uint32_t i = 0; i < RECORDS; i++) {
            char text[32];
            const int bytes = snprintf(text, sizeof text, "p%u r%u", p, i);
            const struct tg_sim_log_record record = {text, (uint32_t)bytes, i == 10, i * grow_ns};
            tg_sim_log_append(slog, p, &record);
        }
    }
}

static void open_reader(bool fresh, bool bounded)
{
    static const uint32_t partitions[PARTITIONS] = {0, 1, 2};
    const struct tg_buffer_pool_config pool = {4, 64 << 10, 1};
    struct tg_error err = {0};
    uint32_t count = 0;
    cr_assert_eq(tg_sim_log_source.discover(NULL, "tx", 0, &count, &err), TG_OK);
    cr_assert_eq(count, PARTITIONS);
    cr_assert_eq(tg_arena_open(&arena, (size_t)64 << 20, &err), TG_OK);
    cr_assert_eq(tg_buffer_pool_init(&buffers, &pool, &arena, &err), TG_OK);
    const struct tg_source_env env = {.partitions = partitions,
                                      .owned_count = PARTITIONS,
                                      .bounded = bounded,
                                      .fresh = fresh,
                                      .poll_count_max = 7,
                                      .buffers = &buffers,
                                      .arena = &arena};
    state = calloc(1, tg_sim_log_source.state_bytes(NULL, PARTITIONS));
    cr_assert_eq(tg_sim_log_source.open(state, &env, &err), TG_OK);
}

static void close_reader(void)
{
    tg_sim_log_source.close(state);
    free(state);
    cr_assert_eq(buffers.in_use, 0);
    tg_arena_close(&arena);
}

struct seen {
    int64_t next[PARTITIONS];
    uint32_t ended;
    uint32_t ends_between; /* AT_END before the last record */
};

static void read_all(struct seen *seen, uint32_t polls, uint64_t step_ns)
{
    static struct tg_raw_batch batch;
    for (uint32_t i = 0; i < polls && seen->ended < PARTITIONS; i++) {
        world.now_ns += step_ns;
        if (tg_sim_log_source.poll(state, &batch, world.now_ns) == 0) { continue; }
        cr_assert_leq(batch.count, 7);
        for (uint32_t k = 0; k < batch.count; k++) {
            char want[32];
            cr_assert_eq(batch.slices[k].offset, seen->next[batch.partition]);
            (void)snprintf(want, sizeof want, "p%u r%u", batch.partition, (uint32_t)seen->next[batch.partition]++);
            cr_assert_eq(batch.slices[k].value_bytes, strlen(want));
            cr_assert_eq(memcmp(batch.slices[k].value, want, strlen(want)), 0);
        }
        if (batch.count > 0) { tg_buffer_release(batch.buffer); }
        seen->ended += (batch.flags & TG_RAW_ENDED) != 0;
        if ((batch.flags & TG_RAW_AT_END) != 0 && seen->next[batch.partition] < RECORDS) {
            seen->ends_between++;
            cr_assert_gt(seen->next[batch.partition], 10, "no end is told before the first good record");
        }
    }
}

Test(log, brings_every_record_once_and_in_order)
{
    struct seen seen = {0};
    make_log(tg_test_seed(), 100000);
    tg_sim_log_set_faults(slog, &(struct tg_sim_log_faults){.hold_ppm = 300000, .delay_ns = 50000});
    open_reader(true, true);
    read_all(&seen, 1000000, 10000);
    cr_assert_eq(seen.ended, PARTITIONS);
    for (uint32_t p = 0; p < PARTITIONS; p++) { cr_assert_eq(seen.next[p], RECORDS); }
    cr_assert_gt(seen.ends_between, 0);
    cr_assert_eq(tg_sim_log_source.lag(state), 0);
    close_reader();
}

Test(log, nothing_comes_while_the_broker_is_away_or_the_record_is_not_there_yet)
{
    struct seen seen = {0};
    make_log(1, 1000000000);
    open_reader(true, true);
    read_all(&seen, 1000, 1);
    cr_assert_eq(seen.next[0], 1, "the first record is visible at once");
    tg_sim_log_set_up(slog, false);
    tg_sim_log_reveal(slog);
    read_all(&seen, 1000, 1);
    cr_assert_eq(seen.next[0], 1);
    tg_sim_log_set_up(slog, true);
    read_all(&seen, 10000, 1);
    cr_assert_eq(seen.next[0], RECORDS);
    close_reader();
}

Test(log, the_client_knows_what_is_visible_whether_it_is_polled_or_not)
{
    struct seen seen = {0};
    make_log(1, 1000000);
    open_reader(true, false);
    world.now_ns = 20500000; /* 21 records */
    cr_assert(tg_sim_log_source.unread(state, 1));
    read_all(&seen, 100, 0);
    cr_assert_eq(seen.next[1], 21);
    cr_assert_not(tg_sim_log_source.unread(state, 1));
    cr_assert(tg_sim_log_was_silent(slog, 1, 21, world.now_ns));
    cr_assert_not(tg_sim_log_was_silent(slog, 1, 20, world.now_ns));
    tg_sim_log_set_up(slog, false);
    world.now_ns += 5000000;
    cr_assert_not(tg_sim_log_source.unread(state, 1), "a broker that is away takes no records");
    cr_assert(tg_sim_log_was_silent(slog, 1, 21, world.now_ns));
    tg_sim_log_set_up(slog, true);
    cr_assert(tg_sim_log_source.unread(state, 1));
    cr_assert(tg_sim_log_was_silent(slog, 1, 21, world.now_ns - 1), "nor did it have them before");
    cr_assert_not(tg_sim_log_was_silent(slog, 1, 21, world.now_ns));
    close_reader();
}

Test(log, commits_arrive_later_or_are_lost_in_a_crash)
{
    uint32_t kept = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        make_log(seed, 0);
        tg_sim_log_set_faults(slog, &(struct tg_sim_log_faults){.delay_ns = 1000000});
        open_reader(true, true);
        tg_sim_log_source.commit(state, 1, 100);
        tg_sim_log_freeze(slog);
        tg_sim_log_source.commit(state, 1, 200);
        close_reader();
        tg_sim_log_crash(slog);
        const int64_t committed = tg_sim_log_committed(slog, 1);
        cr_assert(committed == 100 || committed == -1);
        kept += committed == 100;
    }
    cr_assert_gt(kept, 20);
    cr_assert_lt(kept, 80);
}

Test(log, a_run_goes_on_at_the_committed_position_unless_it_is_fresh)
{
    static struct tg_raw_batch batch;
    for (int fresh = 0; fresh < 2; fresh++) {
        make_log(1, 0);
        open_reader(true, true);
        tg_sim_log_source.commit(state, 0, 100);
        close_reader();
        world.now_ns += 1000000;
        open_reader(fresh == 1, true);
        cr_assert_eq(tg_sim_log_source.poll(state, &batch, world.now_ns), 1);
        cr_assert_eq(batch.partition, 0);
        cr_assert_eq(batch.slices[0].offset, fresh == 1 ? 0 : 100);
        tg_buffer_release(batch.buffer);
        close_reader();
    }
}
