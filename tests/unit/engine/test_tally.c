/* The audit's uids: the model's numbers, and what tells rows apart. */
#include <criterion/criterion.h>

#include "engine/tally.h"

Test(tally, uids_are_the_models) /* the same numbers are in tests/model/test_audit.py */
{
    cr_assert_eq(tg_uid_mix(1), 0x5692161D100B05E5);
    cr_assert_eq(tg_uid_of_record(0, 0), 0xE220A8397B1DCDAF);
    cr_assert_eq(tg_uid_of_record(3, 41), 0x9EBEB27D522A4E8B);
    cr_assert_eq(tg_uid_of_record(0, INT64_MAX), 0x2A67D7552E039EA7);
}

Test(tally, rows_of_a_source_are_their_records_and_rows_of_a_step_differ_by_instant_and_revision)
{
    struct tg_row row = {.partition = 3, .offset = 41, .ts = 7, .revision = 9};
    cr_assert_eq(tg_uid_of_row(&row, true), tg_uid_of_record(3, 41));
    const uint64_t uid = tg_uid_of_row(&row, false);
    cr_assert_neq(uid, tg_uid_of_record(3, 41));
    row.ts++;
    cr_assert_neq(tg_uid_of_row(&row, false), uid);
    row.ts--;
    row.revision++;
    cr_assert_neq(tg_uid_of_row(&row, false), uid);
    row.revision--;
    cr_assert_eq(tg_uid_of_row(&row, false), uid);
}

Test(tally, adding_adds_every_count)
{
    struct tg_tally sum = {1, 2, 3, UINT64_MAX, 5};
    const struct tg_tally more = {10, 20, 30, 2, 50};
    tg_tally_add(&sum, &more);
    cr_assert(sum.applied == 11 && sum.ignored == 22 && sum.refused == 33 && sum.sum == 1 && sum.squares == 55);
}
