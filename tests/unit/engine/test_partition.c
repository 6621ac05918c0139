/* The clock of a partition: what moves it, and the idleness rule. */
#include <criterion/criterion.h>

#include "engine/partition.h"

#define S 1000000LL
#define NS 1000000000ULL

static struct tg_published published[3];
static struct tg_partition partitions[3];
static struct tg_source_spec source;

static void setup(void)
{
    source = (struct tg_source_spec){.watermark_delay = 30 * S, .idle_after = 5 * S, .idle_clock = TG_IDLE_RATE};
    for (int i = 0; i < 3; i++) { tg_partition_init(&partitions[i], &published[i]); }
}

static bool idle(int p, uint64_t elapsed_ns, uint64_t now_ns, int64_t wall_us)
{
    const struct tg_surroundings around = {published, 3, now_ns, wall_us};
    if (!tg_partition_silent(&partitions[p], &source, elapsed_ns)) { return false; }
    tg_partition_publish(&partitions[p], true);
    if (!tg_partition_raise_due(&partitions[p], &source, &around)) { return false; }
    tg_partition_raise(&partitions[p]);
    return true;
}

TestSuite(partition, .init = setup);

Test(partition, watermark_is_the_newest_record_minus_the_delay)
{
    cr_assert_eq(partitions[0].wm, TG_TS_MIN);
    tg_partition_accept(&partitions[0], 100 * S, source.watermark_delay);
    cr_assert_eq(partitions[0].wm, 70 * S);
    tg_partition_accept(&partitions[0], 90 * S, source.watermark_delay);
    cr_assert_eq(partitions[0].wm, 70 * S, "an older record moves nothing");
    tg_partition_accept(&partitions[0], 101 * S, source.watermark_delay);
    cr_assert_eq(partitions[0].wm, 71 * S);
}

Test(partition, the_earliest_instants_do_not_wrap)
{
    tg_partition_accept(&partitions[0], TG_TS_MIN + 1, source.watermark_delay);
    cr_assert_gt(partitions[0].wm, TG_TS_MIN, "it has a clock");
    cr_assert_leq(partitions[0].wm, TG_TS_MIN + 1);
}

Test(partition, a_silent_partition_follows_the_slowest_busy_one)
{
    for (int i = 0; i < 3; i++) { tg_partition_accept(&partitions[i], 100 * S, source.watermark_delay); }
    tg_partition_accept(&partitions[1], 500 * S, source.watermark_delay);
    tg_partition_accept(&partitions[2], 400 * S, source.watermark_delay);
    for (int i = 0; i < 3; i++) { tg_partition_publish(&partitions[i], false); }
    cr_assert_not(idle(0, 60 * NS, 60 * NS, 0), "silence counts only once the source has reported its end");
    tg_partition_reached_end(&partitions[0]);
    cr_assert_not(idle(0, 4 * NS, 100 * NS, 0), "not silent for long enough");
    cr_assert(idle(0, 1 * NS, 101 * NS, 0));
    cr_assert_eq(partitions[0].wm, 370 * S, "the minimum of the busy partitions' watermarks");
    cr_assert_eq(atomic_load(&published[0].wm), 370 * S);
}

Test(partition, at_most_one_raise_a_second)
{
    tg_partition_accept(&partitions[0], 100 * S, source.watermark_delay);
    tg_partition_accept(&partitions[1], 200 * S, source.watermark_delay);
    tg_partition_accept(&partitions[2], 200 * S, source.watermark_delay);
    for (int i = 0; i < 3; i++) { tg_partition_publish(&partitions[i], false); }
    tg_partition_reached_end(&partitions[0]);
    cr_assert(idle(0, 6 * NS, 10 * NS, 0));
    for (int i = 1; i < 3; i++) {
        tg_partition_accept(&partitions[i], 300 * S, source.watermark_delay);
        tg_partition_publish(&partitions[i], false);
    }
    cr_assert_not(idle(0, NS / 2, 10 * NS + NS / 2, 0));
    cr_assert(idle(0, NS / 2, 11 * NS, 0));
    cr_assert_eq(partitions[0].wm, 270 * S);
}

Test(partition, when_all_are_silent_event_time_goes_on_at_the_rate_of_the_wall_clock)
{
    for (int i = 0; i < 3; i++) {
        tg_partition_accept(&partitions[i], 100 * S, source.watermark_delay);
        tg_partition_reached_end(&partitions[i]);
    }
    const int64_t wall = 100000 * S;
    cr_assert_not(idle(1, 6 * NS, 10 * NS, wall) && partitions[1].wm != 70 * S,
                  "partition 0 and 2 still count as busy");
    (void)idle(2, 6 * NS, 10 * NS, wall);
    cr_assert(idle(0, 6 * NS, 10 * NS, wall));
    cr_assert_eq(partitions[0].wm, 76 * S, "last watermark + the time since the last arrival");
    cr_assert(idle(0, 24 * NS, 34 * NS, wall));
    cr_assert_eq(partitions[0].wm, 100 * S);
    cr_assert_not(idle(0, 5 * NS, 39 * NS, 120 * S), "never above now - B");
}

Test(partition, idle_clock_off_stops_event_time_when_all_are_silent)
{
    source.idle_clock = TG_IDLE_OFF;
    for (int i = 0; i < 3; i++) {
        tg_partition_accept(&partitions[i], 100 * S, source.watermark_delay);
        tg_partition_reached_end(&partitions[i]);
        (void)idle(i, 6 * NS, 10 * NS, 100000 * S);
    }
    cr_assert_not(idle(0, 60 * NS, 100 * NS, 100000 * S));
    cr_assert_eq(partitions[0].wm, 70 * S);
}

Test(partition, one_that_never_had_a_record_follows_at_once)
{
    tg_partition_accept(&partitions[1], 200 * S, source.watermark_delay);
    tg_partition_accept(&partitions[2], 300 * S, source.watermark_delay);
    for (int i = 1; i < 3; i++) { tg_partition_publish(&partitions[i], false); }
    tg_partition_reached_end(&partitions[0]);
    cr_assert(idle(0, 0, 1 * NS, 0));
    cr_assert_eq(partitions[0].wm, 170 * S);
}

Test(partition, a_record_ends_the_silence)
{
    tg_partition_accept(&partitions[0], 100 * S, source.watermark_delay);
    tg_partition_reached_end(&partitions[0]);
    (void)idle(0, 4 * NS, 4 * NS, 0);
    tg_partition_arrived(&partitions[0]);
    cr_assert_not(idle(0, 60 * NS, 64 * NS, 0));
    tg_partition_reached_end(&partitions[0]);
    cr_assert_not(idle(0, 4 * NS, 68 * NS, 0), "the silence starts anew");
}

Test(partition, one_that_never_had_a_record_goes_on_when_the_others_fall_silent)
{
    for (int i = 1; i < 3; i++) {
        tg_partition_accept(&partitions[i], 200 * S, source.watermark_delay);
        tg_partition_publish(&partitions[i], false);
    }
    tg_partition_reached_end(&partitions[0]);
    cr_assert(idle(0, 10 * NS, 10 * NS, 0));
    cr_assert_eq(partitions[0].wm, 170 * S);
    for (int i = 1; i < 3; i++) {
        tg_partition_reached_end(&partitions[i]);
        (void)idle(i, 6 * NS, 16 * NS, 100000 * S);
    }
    cr_assert(idle(0, 7 * NS, 17 * NS, 100000 * S));
    cr_assert_eq(partitions[0].wm, 177 * S, "from where the others left it, at the rate of the wall clock");
}

Test(partition, one_whose_records_wait_for_room_is_not_silent_to_others)
{
    for (int i = 0; i < 3; i++) {
        tg_partition_accept(&partitions[i], 100 * S, source.watermark_delay);
        tg_partition_reached_end(&partitions[i]);
    }
    for (int i = 2; i >= 0; i--) { (void)idle(i, 6 * NS, 10 * NS, 100000 * S); }
    tg_partition_arrived(&partitions[1]);
    const int64_t before = partitions[0].wm;
    cr_assert_not(idle(0, 10 * NS, 30 * NS, 100000 * S));
    cr_assert_eq(partitions[0].wm, before);
}

Test(partition, nobody_follows_one_that_was_over_before_a_restart)
{
    struct tg_manifest_partition over = {.next_offset = 5, .max_ts = 100 * S, .wm = TG_TS_MAX};
    over.flags = TG_PARTITION_HAS_VALID | TG_PARTITION_ENDED;
    tg_partition_restore(&partitions[1], &over, 0);
    tg_partition_restore(&partitions[2], &over, 0);
    tg_partition_accept(&partitions[0], 100 * S, source.watermark_delay);
    tg_partition_reached_end(&partitions[0]);
    cr_assert(idle(0, 6 * NS, 10 * NS, 100000 * S));
    cr_assert_eq(partitions[0].wm, 76 * S, "time goes on at the wall clock's rate");
}
