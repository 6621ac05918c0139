/* Claims about the duty cycle: order, accounting, spinning before parking, start and stop. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "shards/shard.h"

/* A clock that the test moves, and a park that moves it. Used by the shard's thread only. */
struct world {
    uint64_t now_ns;
    uint64_t step_ns; /* added by each reading */
    uint64_t park_ns;
    uint32_t parked;
    uint64_t first_park_ns;
    uint64_t timeout_ns;
    uint32_t polled;
    uint32_t busy_cycles; /* polls that find work; idle after that */
    uint32_t finish_after; /* parks */
    struct tg_shard *shard;
    char order[16];
    uint32_t started;
    uint32_t stopped;
};

static uint64_t fake_ns(void *self)
{
    struct world *world = self;
    world->now_ns += world->step_ns;
    return world->now_ns;
}
static int64_t fake_us(void *self)
{
    (void)self;
    return 0;
}
static void fake_park(void *self, uint64_t timeout_ns)
{
    struct world *world = self;
    if (world->parked++ == 0) { world->first_park_ns = world->now_ns; }
    world->timeout_ns = timeout_ns;
    world->now_ns += world->park_ns;
    if (world->parked == world->finish_after) { tg_shard_finish(world->shard); }
}
static uint32_t work_then_idle(void *self, uint64_t now_ns, uint32_t budget)
{
    struct world *world = self;
    (void)now_ns;
    return world->polled++ < world->busy_cycles ? budget : 0;
}
static tg_status count_start(void *self, struct tg_error *err)
{
    (void)err;
    ((struct world *)self)->started++;
    return TG_OK;
}
static void count_stop(void *self) { ((struct world *)self)->stopped++; }
static tg_status refuse_start(void *self, struct tg_error *err)
{
    (void)self;
    return tg_fail(err, TG1201, 0, "no broker");
}

static struct tg_shard_config config_of(struct world *world)
{
    return (struct tg_shard_config){
        .cpu = -1,
        .budget = 7,
        .spin_ns = 1000,
        .park_ns_max = 5000,
        .clock = {.monotonic_ns = fake_ns, .wall_us = fake_us, .self = world},
        .start = count_start,
        .stop = count_stop,
        .park = fake_park,
        .self = world,
    };
}

static uint32_t note(void *self, char name)
{
    struct world *world = self;
    const size_t used = strlen(world->order);
    world->order[used] = name;
    return 1;
}
static uint32_t agent_a(void *self, uint64_t now_ns, uint32_t budget)
{
    cr_assert_eq(now_ns, 42);
    cr_assert_eq(budget, 7);
    return note(self, 'a');
}
static uint32_t agent_b(void *self, uint64_t now_ns, uint32_t budget)
{
    (void)now_ns, (void)budget;
    return 2 * note(self, 'b');
}
static uint32_t agent_huge(void *self, uint64_t now_ns, uint32_t budget)
{
    (void)now_ns, (void)budget;
    (void)note(self, 'h');
    return UINT32_MAX;
}

Test(shard, cycle_polls_agents_in_order_and_sums_work)
{
    struct world world = {0};
    struct tg_shard shard;
    const struct tg_shard_config config = config_of(&world);
    tg_shard_init(&shard, &config);
    tg_shard_add(&shard, "a", agent_a, &world);
    tg_shard_add(&shard, "b", agent_b, &world);
    cr_assert_eq(tg_shard_cycle(&shard, 42), 3);
    cr_assert_str_eq(world.order, "ab");
    tg_shard_add(&shard, "h", agent_huge, &world);
    cr_assert_eq(tg_shard_cycle(&shard, 42), UINT32_MAX, "saturates; 0 would read as idle");
    cr_assert_eq(tg_counter_read(&shard.cycles), 2);
}

Test(shard, spins_then_parks_and_books_busy_and_idle_time)
{
    struct world world = {.step_ns = 100, .park_ns = 5000, .busy_cycles = 10, .finish_after = 3};
    struct tg_shard shard;
    struct tg_error err = {0};
    world.shard = &shard;
    const struct tg_shard_config config = config_of(&world);
    tg_shard_init(&shard, &config);
    tg_shard_add(&shard, "work", work_then_idle, &world);
    cr_assert_eq(tg_shard_start(&shard, &err), TG_OK);
    cr_assert_eq(tg_shard_join(&shard, &err), TG_OK);
    cr_assert_eq(world.started, 1);
    cr_assert_eq(world.stopped, 1);
    cr_assert_eq(world.timeout_ns, 5000);
    /* Reading 1 opens; readings 2 to 11 are busy cycles; idle from reading 12 = 1,200 ns; parks at 2,200. */
    cr_assert_eq(world.first_park_ns, 2200);
    cr_assert_eq(tg_counter_read(&shard.busy_ns), 11 * 100, "up to the reading that found nothing");
    /* 10 spans of spinning, then two parks seen by a later reading (the third ends the thread). */
    cr_assert_eq(tg_counter_read(&shard.idle_ns), 10 * 100 + 2 * 5100);
    cr_assert_eq(tg_counter_read(&shard.cycles), world.polled);
}

Test(shard, failed_start_is_returned_by_join_and_runs_nothing)
{
    struct world world = {0};
    struct tg_shard shard;
    struct tg_error err = {0};
    struct tg_shard_config config = config_of(&world);
    config.start = refuse_start;
    tg_shard_init(&shard, &config);
    tg_shard_add(&shard, "work", work_then_idle, &world);
    cr_assert_eq(tg_shard_start(&shard, &err), TG_OK);
    cr_assert_eq(tg_shard_join(&shard, &err), TG_ERR_UNAVAILABLE);
    cr_assert_eq(err.code, TG1201);
    cr_assert_eq(world.polled, 0);
    cr_assert_eq(world.stopped, 0);
}

Test(shard, refused_pinning_is_an_operating_error)
{
    struct world world = {0};
    struct tg_shard shard;
    struct tg_error err = {0};
    struct tg_shard_config config = config_of(&world);
    config.cpu = 1000; /* nobody has that many */
    tg_shard_init(&shard, &config);
    cr_assert_eq(tg_shard_start(&shard, &err), TG_ERR_IO);
    cr_assert_eq(err.code, TG1601);
    cr_assert_eq(tg_shard_join(&shard, &err), TG_OK, "nothing to wait for");
}

static uint32_t where(void *self, uint64_t now_ns, uint32_t budget)
{
    struct world *world = self;
    (void)now_ns, (void)budget;
    cpu_set_t set;
    CPU_ZERO(&set);
    (void)pthread_getaffinity_np(pthread_self(), sizeof set, &set);
    world->polled = CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set) ? 1 : 2;
    tg_shard_finish(world->shard);
    return 0;
}

Test(shard, thread_is_pinned)
{
    struct world world = {0};
    struct tg_shard shard;
    struct tg_error err = {0};
    cpu_set_t set;
    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    if (!CPU_ISSET(0, &set)) { cr_skip("core 0 is not ours"); }
    world.shard = &shard;
    struct tg_shard_config config = config_of(&world);
    config.cpu = 0;
    tg_shard_init(&shard, &config);
    tg_shard_add(&shard, "where", where, &world);
    cr_assert_eq(tg_shard_start(&shard, &err), TG_OK);
    cr_assert_eq(tg_shard_join(&shard, &err), TG_OK);
    cr_assert_eq(world.polled, 1);
}
