/* What a restore says while it lasts, and when it is done. */
#include "engine/amounts.h"
#include "engine/checkpoint/checkpoint.h"
#include "tests/unit/engine/recovery_fixture.h"

#define SECOND_NS ((uint64_t)1000000000)

/* A clock that goes on by step_ns whenever somebody looks. */
static uint64_t time_ns;
static uint64_t step_ns;
static uint64_t now_ns(void *self)
{
    (void)self;
    return time_ns += step_ns;
}
static const struct tg_clock clock_of_test = {.monotonic_ns = now_ns};

static void begin_test(void)
{
    recovery_begin();
    time_ns = 100 * SECOND_NS;
    step_ns = 0;
}

TestSuite(restore_progress, .init = begin_test, .fini = recovery_end, .timeout = 300);

/* Of a checkpoint of two files. */
static struct tg_restore_progress progress_of(uint64_t epoch, uint64_t bytes, uint32_t readers)
{
    struct tg_manifest_file files[] = {{.bytes = bytes / 4}, {.bytes = bytes - bytes / 4}};
    const struct tg_manifest manifest = {.epoch = epoch, .file_count = 2, .files = files};
    struct tg_restore_progress progress;
    tg_restore_progress_open(&progress, clock_of_test);
    tg_restore_progress_begin(&progress, &manifest, "loaded", readers);
    return progress;
}

Test(restore_progress, a_line_has_the_number_and_how_much_of_all)
{
    char text[TG_RESTORE_TEXT_BYTES];
    struct tg_restore_progress progress = progress_of(7, 640 << 20, 1);
    tg_restore_progress_add(&progress, 200 << 20);
    tg_restore_progress_add(&progress, 10 << 20);
    cr_assert_str_eq(tg_restore_progress_text(&progress, text), "restoring checkpoint 7: loaded 210.0MiB of 640.0MiB");
    progress = progress_of(UINT64_MAX, 900 << 10, 3); /* three shards read everything */
    tg_restore_progress_add(&progress, 2 * 900 << 10);
    cr_assert_str_eq(tg_restore_progress_text(&progress, text),
                     "restoring checkpoint 18446744073709551615: loaded 600KiB of 900KiB");
    tg_restore_progress_add(NULL, 1);
}

Test(restore_progress, a_line_is_said_every_two_seconds_and_only_while_files_are_read)
{
    struct tg_restore_progress progress = progress_of(7, 1000, 2);
    time_ns += 3 * SECOND_NS;
    cr_assert_not(tg_restore_progress_poll(&progress), "nothing is read yet: it is not the restore that is waited for");
    tg_restore_progress_add(&progress, 400);
    cr_assert(tg_restore_progress_poll(&progress));
    cr_assert_not(tg_restore_progress_poll(&progress));
    time_ns += 2 * SECOND_NS - 1;
    cr_assert_not(tg_restore_progress_poll(&progress));
    time_ns += 1;
    cr_assert(tg_restore_progress_poll(&progress));
    tg_restore_progress_add(&progress, 1600);
    time_ns += 3 * SECOND_NS;
    cr_assert_not(tg_restore_progress_poll(&progress), "all is read");
    cr_assert_not(tg_restore_progress_poll(NULL));
    tg_restore_progress_open(&progress, clock_of_test);
    time_ns += 3 * SECOND_NS;
    cr_assert_not(tg_restore_progress_poll(&progress), "no checkpoint was found");
}

Test(restore_progress, a_short_one_says_nothing)
{
    struct tg_restore_progress progress = progress_of(7, 1000, 1);
    tg_restore_progress_add(&progress, 400);
    time_ns += 2 * SECOND_NS - 1;
    cr_assert_not(tg_restore_progress_poll(&progress));
}

Test(restore_progress, verifying_counts_every_byte_and_says_lines_from_the_thread_that_waits)
{
    char text[TG_RESTORE_TEXT_BYTES];
    char wanted_text[TG_RESTORE_TEXT_BYTES];
    checkpoints(1, 3);
    struct tg_restore_progress progress;
    tg_restore_progress_open(&progress, clock_of_test);
    struct tg_recovery_wanted wanted = world_wanted(&world);
    wanted.progress = &progress;
    for (uint32_t threads = 0; threads <= 2; threads += 2) {
        wanted.threads = threads;
        step_ns = 3 * SECOND_NS; /* every look at the clock is a line */
        const uint64_t before_ns = time_ns;
        cr_assert_eq(choose(&wanted), TG_OK, "%s", err.text);
        cr_assert_gt(time_ns, before_ns);
        cr_assert_eq(progress.next_ns, time_ns + TG_RESTORE_LINE_NS, "the last look was a line");
        cr_assert_gt(progress.bytes, 0);
        cr_assert_eq(atomic_load(&progress.read), progress.bytes, "with %" PRIu32 " threads", threads);
    }
    char size[TG_AMOUNT_BYTES];
    (void)tg_bytes_text((int64_t)progress.bytes, size);
    (void)snprintf(wanted_text, sizeof wanted_text, "restoring checkpoint 3: verified %s of %s", size, size);
    cr_assert_str_eq(tg_restore_progress_text(&progress, text), wanted_text);
}

Test(restore_progress, in_the_end_keys_bytes_seconds_and_records_to_replay_are_said)
{
    static struct tg_checkpoint checkpoint;
    static struct tg_checkpoint_shard parts[2];
    const struct tg_plan plan = {.shard_count = 2};
    char text[TG_RESTORE_TEXT_BYTES];
    parts[0] = (struct tg_checkpoint_shard){.loaded_keys = 9000000, .loaded_ns = 101100 * (SECOND_NS / 1000)};
    parts[1] = (struct tg_checkpoint_shard){.loaded_keys = 800000, .loaded_ns = 101200 * (SECOND_NS / 1000)};
    checkpoint.config.plan = &plan;
    checkpoint.parts = parts;
    checkpoint.choice.epoch = 12;
    checkpoint.progress = progress_of(12, 640 << 20, 2);
    checkpoint.begin_ns = time_ns; /* verifying counts, too */
    checkpoint.verify_ns = SECOND_NS;
    static const struct {
        int64_t replay;
        const char *end;
    } cases[] = {
        {3100000, "; replaying 3.10M records"}, {1, "; replaying 1 records"}, {0, "; nothing to replay"}, {-1, ""}};
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[TG_RESTORE_TEXT_BYTES];
        (void)snprintf(expected, sizeof expected, "restored checkpoint 12: 9.80M keys, 640.0MiB, 1.2 s%s",
                       cases[i].end);
        checkpoint.replay = cases[i].replay;
        cr_assert_str_eq(tg_checkpoint_restored_text(&checkpoint, text), expected);
    }
}
