/* The law of a manifest's counts: what it allows, and that every single wrong count breaks it. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/checkpoint/conservation.h"

static struct tg_manifest_partition partitions[3];
static struct tg_manifest_source sources[2];
static struct tg_tally tallies[3];
static struct tg_tally derived[3];
static struct tg_manifest_step steps[2];
static struct tg_manifest manifest;
static struct tg_error err;

/* Two sources: files of one partition, a topic of two. One step reads the topic, another one reads that step. */
static void balanced(void)
{
    err = (struct tg_error){0};
    memset(derived, 0, sizeof derived);
    partitions[0] = (struct tg_manifest_partition){.next_offset = 5, .records = 5, .dead = 2, .accepted = 3};
    partitions[1] = (struct tg_manifest_partition){
        .next_offset = 900, .records = 20, .dead = 1, .late = 4, .late_in_part = 1, .duplicates = 2, .accepted = 14};
    partitions[2] = (struct tg_manifest_partition){.next_offset = -1};
    sources[0] = (struct tg_manifest_source){
        .name = "lines", .connector = "file", .partition_count = 1, .partitions = &partitions[0]};
    sources[1] = (struct tg_manifest_source){
        .name = "topic", .connector = "kafka", .partition_count = 2, .partitions = &partitions[1]};
    tallies[0] =
        (struct tg_tally){.applied = 9, .ignored = 3, .refused = 1}; /* of partition 1 of the job; one was late */
    tallies[1] = (struct tg_tally){0};
    derived[0].applied = 1000; /* its input is rows of a step: no source's count says how many */
    steps[0] = (struct tg_manifest_step){
        .name = "a", .from_source = true, .tally_first = 1, .tally_count = 2, .tallies = tallies};
    steps[1] = (struct tg_manifest_step){.name = "b", .tally_first = 1, .tally_count = 2, .tallies = derived};
    manifest = (struct tg_manifest){.source_count = 2, .sources = sources, .step_count = 2, .steps = steps};
}

static bool holds(void)
{
    const bool is_right = tg_conservation_check(&manifest, &err) == TG_OK;
    cr_assert(is_right || err.code == TG1529);
    return is_right;
}

TestSuite(conservation, .init = balanced);

Test(conservation, what_a_job_leaves_is_balanced)
{
    cr_assert(holds(), "%s", err.text);
    tallies[0].applied++; /* the row that was late for some steps may have been in time for this one */
    cr_assert(holds(), "%s", err.text);
}

Test(conservation, every_single_wrong_count_is_found)
{
    uint64_t *const counts[] = {&partitions[0].records,    &partitions[0].dead,       &partitions[0].late,
                                &partitions[0].duplicates, &partitions[0].accepted,   &partitions[0].late_in_part,
                                &partitions[1].records,    &partitions[1].dead,       &partitions[1].late,
                                &partitions[1].duplicates, &partitions[1].accepted,   &partitions[1].late_in_part,
                                &partitions[2].records,    &partitions[2].duplicates, &tallies[1].applied,
                                &tallies[1].ignored,       &tallies[1].refused};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        balanced();
        ++*counts[i];
        cr_assert_not(holds(), "count %zu", i);
        balanced();
        --*counts[i]; /* 0 becomes 2^64 - 1 */
        cr_assert_not(holds(), "count %zu", i);
    }
}

Test(conservation, a_step_gets_what_its_source_passed_on)
{
    tallies[0].refused += 2;
    cr_assert_not(holds(), "one more than was accepted");
    cr_assert_str_eq(err.text, "step a, partition 1 of the job: 9 rows applied, 3 ignored, 3 refused, but its source "
                               "accepted 14");
    balanced();
    tallies[0].applied--;
    cr_assert_not(holds(), "one fewer than those that were late for some steps only explain");
}

Test(conservation, lines_of_files_are_all_counted_and_offsets_of_topics_may_have_gaps)
{
    partitions[0].next_offset = 6;
    cr_assert_not(holds(), "a line below the offset is not counted");
    balanced();
    partitions[1].next_offset = 20;
    cr_assert(holds());
    partitions[1].next_offset = 19;
    cr_assert_not(holds(), "more records than offsets");
    cr_assert_str_eq(err.text, "source topic, partition 0: 20 records are counted below offset 19");
}

Test(conservation, sums_are_over_all_partitions)
{
    struct tg_conservation_totals sum;
    tg_conservation_sum(&manifest, &sum);
    cr_assert(sum.records == 25 && sum.dead == 3 && sum.late == 4 && sum.late_in_part == 1 && sum.duplicates == 2 &&
              sum.accepted == 17);
}
