/* Rows that wait for their checkpoint: none is lost, none is there twice, and none of another run takes their place. */
#include <errno.h>

#include "base/failpoint.h"
#include "base/prng.h"
#include "tests/seed.h"
#include "tests/unit/io/staging_world.h"

TestSuite(file_staging, .init = world_make, .fini = world_remove, .timeout = 60);

Test(file_staging, no_run_uses_a_number_of_a_run_before_it)
{
    struct kept first;
    struct kept nothing;
    cr_assert_eq(run_begin(1, NULL), TG_OK);
    stage(0, "a\n");
    cut_and_prepare(&first);
    const uint64_t used = world_segment[0];
    cr_assert_eq(commit(&first), TG_OK);
    checkpoint(&nothing); /* a checkpoint that lists no part */
    run_end();
    cr_assert_eq(run_begin(2, &nothing), TG_OK);
    cr_assert_gt(world.next_segment, used);
    run_end();
    kept_free(&first);
    kept_free(&nothing);
}

Test(file_staging, going_back_to_an_older_checkpoint_takes_no_part_of_a_later_run)
{
    struct kept first;
    struct kept second;
    two_checkpoints(&first, &second, "first\n");
    cr_assert_eq(run_begin(2, &second), TG_OK);
    stage(0, "never committed\n"); /* this run dies; the newest checkpoint is found damaged, or not wanted */
    run_end();
    start_shows(3, &first, "first\n");
    kept_free(&first);
    kept_free(&second);
}

/* A part of the same name and length with other bytes, as a copied directory may bring it about. */
Test(file_staging, a_part_that_is_not_the_checkpoints_is_named_and_changes_nothing)
{
    struct kept before;
    struct kept kept;
    cr_assert_eq(run_begin(1, NULL), TG_OK);
    stage(1, "shown\n");
    checkpoint(&before);
    stage(0, "right\n");
    stage(1, "right too\n");
    cut_and_prepare(&kept);
    const uint64_t number = world_segment[1] - 1;
    write_text(part_path(1, number), "wrong too\n");
    cr_assert_eq(commit(&kept), TG_ERR_IO);
    cr_assert_eq(world_error.code, TG1502);
    cr_assert_neq(strstr(world_error.text, part_path(1, number)), NULL, "%s", world_error.text);
    cr_assert_str_eq(text_of(world_path), "shown\n", "half a commit is no commit");
    run_end();
    cr_assert_eq(run_begin(2, &kept), TG_ERR_IO);
    cr_assert_str_eq(text_of(world_path), "shown\n");
    run_end();
    write_text(part_path(1, number), "right too\n"); /* somebody finds the right one */
    start_shows(3, &kept, "shown\nright\nright too\n");
    kept_free(&before);
    kept_free(&kept);
}

Test(file_staging, a_commit_that_was_torn_is_made_again_from_its_start)
{
    struct kept kept;
    cr_assert_eq(run_begin(1, NULL), TG_OK);
    stage(0, "one\n");
    stage(1, "two\n");
    cut_and_prepare(&kept);
    run_end();
    write_text(world_path, "one\ntx");
    start_shows(2, &kept, "one\ntwo\n");
    cr_assert_eq(run_begin(3, &kept), TG_OK, "with the same outcome when its parts are gone");
    cr_assert_str_eq(text_of(world_path), "one\ntwo\n");
    run_end();
    kept_free(&kept);
}

/* However far a commit had come: what is there of its rows stays, also when the next one fails, and nothing else does.
 */
Test(file_staging, rows_that_readers_have_seen_stay_when_their_commit_is_made_again)
{
    enum { LARGE = 300001 };
    static const size_t lengths[] = {0, 1, 131071, 131072, 131073, 262144, LARGE - 1, LARGE, LARGE + 2, LARGE + 4};
    static char rows[LARGE + 5]; /* of both shards */
    static char torn[LARGE + 20];
    for (size_t i = 0; i < LARGE; i++) { rows[i] = i % 100 == 99 ? '\n' : (char)('a' + i % 26); }
    struct kept kept;
    cr_assert_eq(run_begin(1, NULL), TG_OK);
    stage(0, rows);
    stage(1, "two\n");
    (void)snprintf(rows + LARGE, sizeof rows - LARGE, "two\n");
    cut_and_prepare(&kept);
    for (size_t i = 0; i < 2 * sizeof lengths / sizeof lengths[0]; i++) {
        const int length = (int)lengths[i / 2];
        (void)snprintf(torn, sizeof torn, "%.*s%s", length, rows, i % 2 == 0 ? "" : "#of another");
        write_text(world_path, torn);
        cr_assert_eq(tg_failpoint_arm("file.copy:1:error:EIO", &world_error), TG_OK);
        cr_assert_eq(commit(&kept), TG_ERR_IO);
        tg_failpoint_reset();
        cr_assert_eq(strlen(text_of(world_path)), (size_t)length, "%zu", i);
        cr_assert_eq(strncmp(text_of(world_path), rows, (size_t)length), 0, "%zu", i);
    }
    cr_assert_eq(commit(&kept), TG_OK, "%s", world_error.text);
    cr_assert_str_eq(text_of(world_path), rows);
    run_end();
    kept_free(&kept);
}

Test(file_staging, parts_that_are_gone_are_missed_unless_the_file_has_their_rows)
{
    struct kept kept;
    cr_assert_eq(run_begin(1, NULL), TG_OK);
    stage(0, "one\n");
    stage(1, "two\n");
    checkpoint(&kept);
    run_end();
    write_text(world_path, "one\ntwo\nof a later checkpoint\n");
    start_shows(2, &kept, "one\ntwo\n");
    write_text(world_path, "one\nsix\n"); /* as long, of another run */
    cr_assert_eq(run_begin(3, &kept), TG_ERR_IO);
    cr_assert_neq(strstr(world_error.text, "parts are missing"), NULL, "%s", world_error.text);
    cr_assert_str_eq(text_of(world_path), "one\nsix\n");
    run_end();
    write_text(world_path, "one\ntw");
    cr_assert_eq(run_begin(4, &kept), TG_ERR_IO);
    run_end();
    kept_free(&kept);
}

Test(file_staging, rows_that_only_the_file_has_are_never_cut_off_for_a_strangers_parts)
{
    struct kept kept;
    cr_assert_eq(run_begin(1, NULL), TG_OK);
    stage(0, "mine\n");
    cut_and_prepare(&kept);
    const uint64_t number = world_segment[0] - 1;
    cr_assert_eq(commit(&kept), TG_OK);
    run_end();
    write_text(part_path(0, number), "another's\n");
    start_shows(2, &kept, "mine\n");
    kept_free(&kept);
}

/* Whatever call fails, and how: the commit says so and works the next time, or it worked. */
Test(file_staging, every_kth_call_of_a_commit_failing_in_every_way_is_made_good_by_the_next)
{
    static const uint8_t length[] = {6, 0, 0, 0, 0, 0, 0, 0};
    const struct kept six = {.list = {{.data = length, .bytes = sizeof length}}}; /* six bytes were shown */
    struct faulty faulty;
    uint32_t failures = 0;
    for (enum faulty_way way = FAULTY_EIO; way < FAULTY_WAYS; way++) {
        for (uint64_t k = 1;; k++) {
            cr_assert_lt(k, 200, "a commit makes no end of calls");
            struct kept kept;
            write_text(world_path, "shown\n");
            cr_assert_eq(run_begin(k, &six), TG_OK);
            stage(0, "one\n");
            stage(1, "two\n");
            cut_and_prepare(&kept);
            write_text(world_path, "shown\non"); /* torn by a run before */
            faulty_use(&faulty, way, k, 1);
            const tg_status status = commit(&kept);
            tg_file_ops_use(NULL);
            if (status != TG_OK) {
                failures++;
                cr_assert_eq(world_error.code, TG1502);
                cr_assert_eq(strncmp(text_of(world_path), "shown\non", 8), 0, "way %u k %lu: readers saw it", way, k);
                cr_assert_eq(commit(&kept), TG_OK, "way %u k %lu: %s", way, k, world_error.text);
            }
            cr_assert_str_eq(text_of(world_path), "shown\none\ntwo\n", "way %u k %lu", way, k);
            run_end();
            kept_free(&kept);
            if (!faulty.hit) { break; }
        }
    }
    cr_assert_gt(failures, 50);
}

/* Whatever fails while rows are made durable: nobody syncs the same file again, and the next calls make it good. */
Test(file_staging, every_kth_call_of_a_sync_failing_in_every_way_is_made_good_by_a_new_file)
{
    struct faulty faulty;
    uint32_t failures = 0;
    for (enum faulty_way way = FAULTY_EIO; way < FAULTY_WAYS; way++) {
        for (uint64_t calls = 1; calls <= 20; calls++) { /* so many in a row */
            struct kept kept;
            struct stat before;
            struct stat after;
            write_text(world_path, "");
            cr_assert_eq(run_begin(calls, NULL), TG_OK);
            stage(0, "one\n");
            cr_assert_eq(stat(part_path(0, world_segment[0]), &before), 0);
            faulty_use(&faulty, way, 1, calls);
            uint32_t attempts = 0;
            int failed;
            do {
                failed = tg_staging_sync(&world, 0);
                cr_assert_neq(failed, -EBADMSG, "way %u, %lu calls", way, calls);
                failures += failed != 0;
                cr_assert_lt(++attempts, 30u, "way %u, %lu calls", way, calls);
            } while (failed != 0);
            tg_file_ops_use(NULL);
            cr_assert_eq(stat(part_path(0, world_segment[0]), &after), 0);
            if (attempts > 1) { cr_assert_neq(before.st_ino, after.st_ino, "way %u, %lu calls", way, calls); }
            stage(0, "two\n"); /* of the same epoch */
            checkpoint(&kept);
            cr_assert_str_eq(text_of(world_path), "one\ntwo\n");
            cr_assert_eq(tg_staging_clean(&world), 0);
            run_end();
            kept_free(&kept);
        }
    }
    cr_assert_gt(failures, 50);
}

Test(file_staging, rows_that_a_failed_sync_has_lost_are_missed)
{
    struct faulty faulty;
    const char *const wrong[] = {"", "one", "onE\n"};
    for (uint32_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        write_text(world_path, "");
        cr_assert_eq(run_begin(i + 1, NULL), TG_OK);
        stage(0, "one\n");
        faulty_use(&faulty, FAULTY_EIO, 1, 1);
        cr_assert_eq(tg_staging_sync(&world, 0), -EIO);
        tg_file_ops_use(NULL);
        write_text(part_path(0, world_segment[0]), wrong[i]);
        for (uint32_t k = 0; k < 3; k++) { cr_assert_eq(tg_staging_sync(&world, 0), -EBADMSG, "%s", wrong[i]); }
        run_end();
    }
}

Test(file_staging, epochs_without_a_checkpoint_may_be_any_number)
{
    enum { EPOCHS = 5000 };
    struct kept kept;
    char row[32];
    static char expected[WORLD_TEXT];
    size_t used = 0;
    cr_assert_eq(run_begin(1, NULL), TG_OK);
    for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
        (void)snprintf(row, sizeof row, "row %u\n", epoch);
        stage(0, row);
        if (epoch % 500 == 0) { stage(1, row); }
        used += (size_t)snprintf(expected + used, sizeof expected - used, "%s", row);
        cut();
        settle(); /* given up */
    }
    for (uint32_t epoch = 0; epoch < EPOCHS; epoch += 500) {
        used += (size_t)snprintf(expected + used, sizeof expected - used, "row %u\n", epoch);
    }
    checkpoint(&kept);
    cr_assert(strcmp(text_of(world_path), expected) == 0, "every row once, in order");
    run_end();
    kept_free(&kept);
}

/* Rows that come while a checkpoint is under way must not get into what it commits. */
Test(file_staging, without_room_rows_wait_until_the_checkpoint_under_way_is_over)
{
    struct kept kept;
    cr_assert_eq(run_begin(1, NULL), TG_OK);
    for (uint32_t epoch = 0; epoch < TG_STAGING_SEGMENTS_MAX; epoch++) {
        stage(0, "x\n");
        cut();
        if (epoch == TG_STAGING_SEGMENTS_MAX - 1) { break; }
        stage(0, "y\n"); /* the checkpoint is under way: a segment of its own */
        settle();
    }
    prepare(&kept); /* of the last one */
    cr_assert_eq(stage_text(0, "z\n"), -EAGAIN);
    cr_assert_eq(stage_text(1, "z\n"), 0, "the other shard has room");
    settle(); /* it is given up behind that */
    stage(0, "z\n");
    kept_free(&kept);
    cut_and_prepare(&kept);
    cr_assert_eq(stage_text(0, "next\n"), -EAGAIN);
    cr_assert_eq(commit(&kept), TG_OK);
    stage(0, "next\n");
    const char *text = text_of(world_path);
    cr_assert_str_eq(text + strlen(text) - 8, "y\nx\nz\nz\n", "%s", text);
    kept_free(&kept);
    settle();
    checkpoint(&kept);
    text = text_of(world_path);
    cr_assert_str_eq(text + strlen(text) - 5, "next\n");
    run_end();
    kept_free(&kept);
}

/* ---- at random --------------------------------------------------------------------------------------------------- */

/* What must be in the file, and what waits. */
struct model {
    char shown[WORLD_TEXT];
    char waiting[WORLD_SHARDS][WORLD_TEXT]; /* in the checkpoint under way, or in the next one when there is none */
    char behind[WORLD_SHARDS][WORLD_TEXT];  /* the cut of the one under way */
};
static struct model model;

static void model_append(char *text, const char *more)
{
    const size_t used = strlen(text);
    cr_assert_lt(used + strlen(more), (size_t)WORLD_TEXT);
    memcpy(text + used, more, strlen(more) + 1);
}

/* The checkpoint under way is over. */
static void model_over(bool committed)
{
    for (uint32_t s = 0; s < WORLD_SHARDS; s++) {
        if (committed) {
            model_append(model.shown, model.waiting[s]);
            model.waiting[s][0] = '\0';
        }
        model_append(model.waiting[s], model.behind[s]);
        model.behind[s][0] = '\0';
    }
}

/* What was not committed is read again by the next run, as other rows here. */
static void model_die(void)
{
    for (uint32_t s = 0; s < WORLD_SHARDS; s++) {
        model.waiting[s][0] = '\0';
        model.behind[s][0] = '\0';
    }
}

static uint32_t stage_some(struct tg_prng *prng, bool under_way, uint32_t *number)
{
    uint32_t refused = 0;
    for (uint32_t s = 0; s < WORLD_SHARDS; s++) {
        if (tg_prng_below(prng, 3) == 0) { continue; }
        char row[32];
        (void)snprintf(row, sizeof row, "%u\n", ++*number);
        const int failed = stage_text(s, row);
        cr_assert(failed == 0 || (failed == -EAGAIN && under_way), "%d", failed);
        if (failed == 0) { model_append(under_way ? model.behind[s] : model.waiting[s], row); }
        refused += failed != 0;
    }
    return refused;
}

Test(file_staging, at_random_every_row_of_a_checkpoint_is_shown_once_and_no_other)
{
    enum { STEPS = 6000 };
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    struct kept last = {0}; /* of the newest complete checkpoint */
    uint32_t refused = 0, commits = 0, deaths = 0, number = 0, bad_epochs = 0;
    uint64_t generation = 1;
    cr_assert_eq(run_begin(generation, NULL), TG_OK);
    for (uint32_t step = 0; step < STEPS; step++) {
        (void)stage_some(&prng, false, &number);
        cut();
        refused += stage_some(&prng, true, &number);
        if (bad_epochs == 0 && tg_prng_below(&prng, 100) == 0) { bad_epochs = tg_prng_below(&prng, 200); }
        bad_epochs -= bad_epochs != 0;
        struct kept kept;
        prepare(&kept);
        refused += stage_some(&prng, true, &number);
        const bool complete = bad_epochs == 0;
        const bool dies = tg_prng_below(&prng, 50) == 0;
        if (!complete || dies) {
            if (complete) { /* decided, not committed: the next run does it */
                kept_free(&last);
                last = kept;
                model_over(true);
            } else {
                kept_free(&kept);
            }
            if (dies) {
                deaths++;
                run_end();
                const bool any = last.list[0].bytes != 0;
                cr_assert_eq(run_begin(++generation, any ? &last : NULL), TG_OK, "seed %lu: %s", seed,
                             world_error.text);
                model_die();
            } else {
                model_over(false);
                settle();
            }
        } else {
            cr_assert_eq(commit(&kept), TG_OK, "seed %lu: %s", seed, world_error.text);
            kept_free(&last);
            last = kept;
            commits++;
            model_over(true);
            settle();
        }
        cr_assert(strcmp(text_of(world_path), model.shown) == 0, "seed %lu step %u", seed, step);
        if (model.shown[0] != '\0' && strlen(model.shown) > 20000) { break; }
    }
    run_end();
    kept_free(&last);
    cr_assert_gt(commits, 50);
    cr_assert_gt(deaths, 5);
    (void)fprintf(stderr, "%u commits, %u deaths, %u times without room\n", commits, deaths, refused);
}
