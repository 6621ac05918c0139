/* Committables of every format are committed as docs/formats/checkpoint.md says, and only to the file that they know.
 */
#include "base/crc32c.h"
#include "tests/unit/io/staging_world.h"

TestSuite(file_committable, .init = world_make, .fini = world_remove, .timeout = 60);

/* Format 1 has no checksums; a run that wrote it may have died before its commit. */
Test(file_committable, committables_of_format_1_are_committed)
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
    start_shows(3, &kept, "shown\nnew\n");
    write_text(world_path, "shown\nne");
    cr_assert_eq(run_begin(4, &kept), TG_ERR_IO);
    run_end();
}

/* Format 2 has no checksums of the file. */
Test(file_committable, committables_of_format_2_are_committed)
{
    static const uint8_t bytes[] = {2, 0, 0, 0, 0, 0, 0, 0x40, 6, 0, 0, 0, 0, 0, 0,    0,    7,    0,
                                    0, 0, 9, 0, 0, 0, 9, 0,    0, 0, 0, 0, 0, 0, 0x83, 0x92, 0x06, 0xE3};
    static const uint8_t none[] = {2, 0, 0, 0, 0, 0, 0, 0x40, 6, 0, 0, 0, 0, 0, 0, 0};
    const struct kept kept = {.list = {{.data = bytes, .bytes = sizeof bytes}, {.data = none, .bytes = sizeof none}}};
    const uint64_t number = UINT64_C(9) << 32 | 7;
    write_text(world_path, "shown\nmore");
    write_text(part_path(0, number), "12345678X");
    cr_assert_eq(run_begin(2, &kept), TG_ERR_IO, "a part with other bytes");
    run_end();
    write_text(part_path(0, number), "123456789");
    start_shows(3, &kept, "shown\n123456789");
}

Test(file_committable, committables_are_format_3_byte_by_byte)
{
    static const uint8_t expected[] = {
        3,    0,    0,    0,    0, 0, 0,    0x40, /* format */
        9,    0,    0,    0,    0, 0, 0,    0,    /* the file's length */
        0x83, 0x92, 0x06, 0xE3, 0, 0, 0,    0,    /* CRC-32C of "123456789"; of the path */
        2,    0,    0,    0,    9, 0, 0,    0,    9,    0,
        0,    0,    0,    0,    0, 0, 0x83, 0x92, 0x06, 0xE3, /* CRC-32C of "123456789" */
    };
    struct kept before;
    struct kept kept;
    cr_assert_eq(run_begin(9, NULL), TG_OK);
    stage(0, "123456789");
    checkpoint(&before);
    stage(0, "1234");
    stage(0, "56789");
    cut_and_prepare(&kept);
    cr_assert_eq(kept.list[0].bytes, sizeof expected);
    const uint32_t of_path = tg_crc32c(0, world_path, strlen(world_path));
    cr_assert_eq(memcmp(kept.list[0].data + 20, &of_path, 4), 0);
    memset(kept.data[0] + 20, 0, 4);
    cr_assert_arr_eq(kept.list[0].data, expected, sizeof expected);
    cr_assert_eq(kept.list[1].bytes, 24, "no part");
    run_end();
    kept_free(&before);
    kept_free(&kept);
}

Test(file_committable, damaged_and_newer_committables_are_refused)
{
    struct kept kept;
    cr_assert_eq(run_begin(1, NULL), TG_OK);
    stage(0, "a\n");
    cut_and_prepare(&kept);
    struct kept bad = kept;
    for (uint32_t bytes = 1; bytes < kept.list[0].bytes; bytes++) {
        if (bytes == 24) { continue; } /* a whole one without parts */
        bad.list[0].bytes = bytes;
        cr_assert_eq(commit(&bad), TG_ERR_IO, "%u bytes", bytes);
    }
    bad.list[0].bytes = kept.list[0].bytes;
    kept.data[0][0] = 4;
    cr_assert_eq(commit(&bad), TG_ERR_IO);
    cr_assert_neq(strstr(world_error.text, "newer"), NULL, "%s", world_error.text);
    kept.data[0][0] = 3;
    for (uint32_t at = 8; at < 24; at += 4) { /* length, checksums of the file and of its path */
        kept.data[0][at] ^= 1;
        cr_assert_eq(commit(&bad), TG_ERR_IO);
        cr_assert_neq(strstr(world_error.text, "disagree"), NULL, "%s", world_error.text);
        kept.data[0][at] ^= 1;
    }
    kept.data[0][39] = 0xFF; /* a negative length of a part */
    cr_assert_eq(commit(&bad), TG_ERR_IO);
    cr_assert_str_eq(text_of(world_path), "");
    kept.data[0][39] = 0;
    cr_assert_eq(commit(&kept), TG_OK);
    cr_assert_str_eq(text_of(world_path), "a\n");
    run_end();
    kept_free(&kept);
}

static void refuse(uint64_t generation, const struct kept *kept, enum tg_code code, const char *what)
{
    static char before[WORLD_TEXT];
    (void)snprintf(before, sizeof before, "%s", text_of(world_path));
    cr_assert_neq(run_begin(generation, kept), TG_OK);
    cr_assert_eq(world_error.code, code, "%s", world_error.text);
    cr_assert_neq(strstr(world_error.text, what), NULL, "%s", world_error.text);
    cr_assert_str_eq(text_of(world_path), before, "it is not touched");
    run_end();
}

Test(file_committable, a_file_with_other_newest_rows_is_not_cut)
{
    struct kept first;
    struct kept second;
    two_checkpoints(&first, &second, "mine\n");
    write_text(world_path, "ours\nand longer\n");
    refuse(2, &second, TG1502, "does not have the rows");
    write_text(world_path, "mine\nand torn");
    start_shows(3, &second, "mine\n");
    kept_free(&first);
    kept_free(&second);
}

/* The checksum is that of the last 4,096 bytes: one further up is not looked at, however long the file is. */
Test(file_committable, the_newest_4096_bytes_are_known)
{
    enum { ROWS = 10000 };
    static char rows[ROWS + 1];
    struct kept first;
    struct kept second;
    memset(rows, 'x', ROWS);
    two_checkpoints(&first, &second, rows);
    uint64_t generation = 2;
    for (uint32_t at = 0; at < ROWS; at += 1) {
        if (at == 2) { at = ROWS - 4097; }
        if (at == ROWS - 4094) { at = ROWS - 1; }
        rows[at] = 'y';
        write_text(world_path, rows);
        rows[at] = 'x';
        const bool known = at >= ROWS - 4096;
        cr_assert_eq(run_begin(generation++, &second), known ? TG_ERR_IO : TG_OK, "byte %u", at);
        run_end();
    }
    kept_free(&first);
    kept_free(&second);
}

/* The sink's path is changed: only the file that the checkpoint knows is gone on with, wherever it is now. */
Test(file_committable, under_another_path_only_the_file_that_the_checkpoint_knows_is_gone_on_with)
{
    struct kept first;
    struct kept second;
    char old[sizeof world_path];
    two_checkpoints(&first, &second, "mine\n");
    memcpy(old, world_path, sizeof old);
    (void)snprintf(world_path, sizeof world_path, "%s/other.jsonl", world_folder);
    refuse(2, &second, TG1525, "shorter");
    write_text(world_path, "another's, and longer\n");
    refuse(3, &second, TG1525, "does not have the rows");
    refuse(4, &first, TG1525, "parts are missing");
    cr_assert_eq(rename(old, world_path), 0);
    cr_assert_eq(run_begin(5, &second), TG_OK, "%s", world_error.text);
    struct kept third;
    stage(1, "more\n");
    checkpoint(&third);
    run_end();
    write_text(world_path, "hers\nmore\n");
    refuse(6, &third, TG1502, "does not have the rows");
    kept_free(&first);
    kept_free(&second);
    kept_free(&third);
}

/* A checkpoint of a job that has shown nothing yet knows nothing of the file but its path. */
Test(file_committable, under_another_path_a_file_that_nothing_is_known_of_must_be_empty)
{
    struct kept kept;
    cr_assert_eq(run_begin(1, NULL), TG_OK);
    cut_and_prepare(&kept);
    run_end();
    write_text(world_path, "of an interrupted commit");
    start_shows(2, &kept, "");
    (void)snprintf(world_path, sizeof world_path, "%s/other.jsonl", world_folder);
    write_text(world_path, "another's\n");
    refuse(3, &kept, TG1525, "not empty");
    write_text(world_path, "");
    cr_assert_eq(run_begin(4, &kept), TG_OK, "%s", world_error.text);
    run_end();
    kept_free(&kept);
}

/* Waiting parts that came along prove whose file it is. */
Test(file_committable, a_file_that_is_moved_with_its_parts_gets_their_rows)
{
    struct kept kept;
    char command[512];
    cr_assert_eq(run_begin(1, NULL), TG_OK);
    stage(0, "one\n");
    stage(1, "two\n");
    cut_and_prepare(&kept);
    run_end();
    write_text(world_path, "one\ntx");
    (void)snprintf(command, sizeof command, "cd '%s' && for f in rows*; do mv $f other${f#rows}; done", world_folder);
    (void)snprintf(world_path, sizeof world_path, "%s/other.jsonl", world_folder);
    cr_assert_eq(system(command), 0);
    start_shows(2, &kept, "one\ntwo\n");
    kept_free(&kept);
}
