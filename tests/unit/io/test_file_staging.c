/* Rows that wait for their checkpoint: none is lost, none is there twice, and none of another run takes their place. */
#include "tests/unit/io/staging_world.h"

TestSuite(file_staging, .init = world_make, .fini = world_remove, .timeout = 60);

Test(file_staging, no_run_uses_a_number_of_a_run_before_it)
{
    struct kept first;
    struct kept nothing;
    cr_assert_eq(run_begin(1, NULL), TG_OK);
    stage(0, "a\n");
    cut(&first);
    const uint64_t used = world_segment[0];
    cr_assert_eq(commit(&first), TG_OK);
    cut(&nothing); /* a checkpoint that lists no part */
    cr_assert_eq(commit(&nothing), TG_OK);
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
    cr_assert_eq(run_begin(1, NULL), TG_OK);
    stage(0, "first\n");
    cut(&first);
    cr_assert_eq(commit(&first), TG_OK);
    cut(&second);
    cr_assert_eq(commit(&second), TG_OK);
    run_end();
    cr_assert_eq(run_begin(2, &second), TG_OK);
    stage(0, "never committed\n"); /* this run dies; the newest checkpoint is found damaged, or not wanted */
    run_end();
    cr_assert_eq(run_begin(3, &first), TG_OK, "%s", world_error.text);
    cr_assert_str_eq(text_of(world_path), "first\n");
    run_end();
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
    cut(&before);
    cr_assert_eq(commit(&before), TG_OK);
    stage(0, "right\n");
    stage(1, "right too\n");
    cut(&kept);
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
    cr_assert_eq(run_begin(3, &kept), TG_OK, "%s", world_error.text);
    cr_assert_str_eq(text_of(world_path), "shown\nright\nright too\n");
    run_end();
    kept_free(&before);
    kept_free(&kept);
}

Test(file_staging, a_commit_that_was_torn_is_made_again_from_its_start)
{
    struct kept kept;
    cr_assert_eq(run_begin(1, NULL), TG_OK);
    stage(0, "one\n");
    stage(1, "two\n");
    cut(&kept);
    run_end();
    write_text(world_path, "one\ntx");
    cr_assert_eq(run_begin(2, &kept), TG_OK);
    cr_assert_str_eq(text_of(world_path), "one\ntwo\n");
    run_end();
    cr_assert_eq(run_begin(3, &kept), TG_OK, "with the same outcome when its parts are gone");
    cr_assert_str_eq(text_of(world_path), "one\ntwo\n");
    run_end();
    kept_free(&kept);
}

Test(file_staging, parts_that_are_gone_are_missed_unless_the_file_has_their_rows)
{
    struct kept kept;
    cr_assert_eq(run_begin(1, NULL), TG_OK);
    stage(0, "one\n");
    stage(1, "two\n");
    cut(&kept);
    cr_assert_eq(commit(&kept), TG_OK);
    run_end();
    write_text(world_path, "one\ntwo\nof a later checkpoint\n");
    cr_assert_eq(run_begin(2, &kept), TG_OK);
    cr_assert_str_eq(text_of(world_path), "one\ntwo\n", "the file is that of the checkpoint");
    run_end();
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
    cut(&kept);
    const uint64_t number = world_segment[0] - 1;
    cr_assert_eq(commit(&kept), TG_OK);
    run_end();
    write_text(part_path(0, number), "another's\n");
    cr_assert_eq(run_begin(2, &kept), TG_OK, "%s", world_error.text);
    cr_assert_str_eq(text_of(world_path), "mine\n");
    run_end();
    kept_free(&kept);
}

/* docs/formats/checkpoint.md: format 1 has no checksums; a run that wrote it may have died before its commit. */
Test(file_staging, committables_of_format_1_are_committed)
{
    static const uint8_t bytes[] = {6, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t none[] = {6, 0, 0, 0, 0, 0, 0, 0};
    const struct kept kept = {.list = {{.data = bytes, .bytes = sizeof bytes}, {.data = none, .bytes = sizeof none}}};
    write_text(world_path, "shown\n");
    write_text(part_path(0, 7), "new\nnot committed\n");
    cr_assert_eq(run_begin(2, &kept), TG_OK, "%s", world_error.text);
    cr_assert_str_eq(text_of(world_path), "shown\nnew\n");
    cr_assert_eq(access(part_path(0, 7), F_OK), -1);
    run_end();
    cr_assert_eq(run_begin(3, &kept), TG_OK);
    cr_assert_str_eq(text_of(world_path), "shown\nnew\n");
    run_end();
    write_text(world_path, "shown\nne");
    cr_assert_eq(run_begin(4, &kept), TG_ERR_IO);
    run_end();
}

Test(file_staging, committables_are_format_2_byte_by_byte)
{
    static const uint8_t expected[] = {
        2, 0, 0, 0, 0, 0, 0, 0x40,                                                 /* format */
        6, 0, 0, 0, 0, 0, 0, 0,                                                    /* the file's length */
        2, 0, 0, 0, 9, 0, 0, 0,    9, 0, 0, 0, 0, 0, 0, 0, 0x83, 0x92, 0x06, 0xE3, /* CRC-32C of "123456789" */
    };
    struct kept before;
    struct kept kept;
    cr_assert_eq(run_begin(9, NULL), TG_OK);
    stage(0, "shown\n");
    cut(&before);
    cr_assert_eq(commit(&before), TG_OK);
    stage(0, "1234");
    stage(0, "56789");
    cut(&kept);
    cr_assert_eq(kept.list[0].bytes, sizeof expected);
    cr_assert_arr_eq(kept.list[0].data, expected, sizeof expected);
    cr_assert_eq(kept.list[1].bytes, 16, "no part");
    run_end();
    kept_free(&before);
    kept_free(&kept);
}

Test(file_staging, damaged_and_newer_committables_are_refused)
{
    struct kept kept;
    cr_assert_eq(run_begin(1, NULL), TG_OK);
    stage(0, "a\n");
    cut(&kept);
    struct kept bad = kept;
    for (uint32_t bytes = 1; bytes < kept.list[0].bytes; bytes++) {
        if (bytes == 16) { continue; } /* a whole one without parts */
        bad.list[0].bytes = bytes;
        cr_assert_eq(commit(&bad), TG_ERR_IO, "%u bytes", bytes);
    }
    bad.list[0].bytes = kept.list[0].bytes;
    kept.data[0][0] = 3;
    cr_assert_eq(commit(&bad), TG_ERR_IO);
    cr_assert_neq(strstr(world_error.text, "newer"), NULL, "%s", world_error.text);
    kept.data[0][0] = 2;
    kept.data[0][8] = 1;
    cr_assert_eq(commit(&bad), TG_ERR_IO);
    cr_assert_neq(strstr(world_error.text, "disagree"), NULL, "%s", world_error.text);
    kept.data[0][8] = 0;
    kept.data[0][31] = 0xFF; /* a negative length of a part */
    cr_assert_eq(commit(&bad), TG_ERR_IO);
    cr_assert_str_eq(text_of(world_path), "");
    kept.data[0][31] = 0;
    cr_assert_eq(commit(&kept), TG_OK);
    cr_assert_str_eq(text_of(world_path), "a\n");
    run_end();
    kept_free(&kept);
}

/* Whatever call fails, and how: the commit says so and works the next time, or it worked. */
Test(file_staging, every_kth_call_of_a_commit_failing_in_every_way_is_made_good_by_the_next)
{
    struct faulty faulty;
    uint32_t failures = 0;
    for (enum faulty_way way = FAULTY_EIO; way < FAULTY_WAYS; way++) {
        for (uint64_t k = 1;; k++) {
            cr_assert_lt(k, 200, "a commit makes no end of calls");
            struct kept kept;
            write_text(world_path, "shown\n");
            cr_assert_eq(run_begin(k, NULL), TG_OK);
            world.length = 6;
            stage(0, "one\n");
            stage(1, "two\n");
            cut(&kept);
            write_text(world_path, "shown\non"); /* torn by a run before */
            faulty_use(&faulty, way, k, 1);
            const tg_status status = commit(&kept);
            tg_file_ops_use(NULL);
            if (status != TG_OK) {
                failures++;
                cr_assert_eq(world_error.code, TG1502);
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
