/* A checkpoint written again as the newest one. */
#include "tests/manifest_equal.h"
#include "tests/unit/engine/recovery_fixture.h"

TestSuite(recovery_copy, .init = recovery_begin, .fini = recovery_end, .timeout = 300);

/* Of all records in their order. */
static uint64_t digest_of(const struct tg_store *from, const struct tg_manifest *manifest, uint64_t *records)
{
    uint64_t digest = 0;
    *records = 0;
    for (uint32_t i = 0; i < manifest->file_count; i++) {
        static struct tg_recovery_file file;
        struct tg_state_record record;
        cr_assert_eq(tg_recovery_file_open(from, manifest, i, &file, &err), TG_OK, "%s", err.text);
        while (tg_state_reader_next(&file.reader, &record, &err) > 0) {
            digest = digest * 31 + tg_key_hash(record.key.data, record.key.bytes) + record.table;
            digest = digest * 31 + (uint64_t)record.op;
            for (uint32_t b = 0; b < record.value_bytes; b++) { digest = digest * 31 + record.value[b]; }
            ++*records;
        }
        cr_assert_eq(err.status, TG_OK, "%s", err.text);
        tg_recovery_file_close(&file);
    }
    return digest;
}

Test(recovery_copy, a_copy_is_the_newest_and_holds_what_the_old_one_holds)
{
    world.commits = true;
    world.records = 3000;
    checkpoints(1, 5);
    struct tg_manifest old;
    struct tg_arena kept;
    struct tg_recovery_totals totals, verified;
    uint64_t records, copied;
    cr_assert_eq(tg_arena_open(&kept, TG_RECOVERY_ARENA_BYTES, NULL), TG_OK);
    cr_assert_eq(tg_recovery_read_manifest(&store, 3, &kept, &old, &err), TG_OK, "%s", err.text);
    cr_assert_gt(old.file_count, old.shard_count, "a chain with deltas");
    const uint64_t digest = digest_of(&store, &old, &records);
    cr_assert_eq(tg_recovery_copy(&store, &old, &store, 6, &totals, &err), TG_OK, "%s", err.text);
    chooses(6);
    cr_assert_eq(digest_of(&store, &choice.manifest, &copied), digest, "seed %" PRIu64, seed);
    cr_assert(copied == records && totals.puts + totals.deletes == records && records > 5000);
    cr_assert_eq(tg_recovery_verify(&store, &choice.manifest, 2, NULL, &verified, &err), TG_OK, "%s", err.text);
    cr_assert(verified.puts == totals.puts && verified.deletes == totals.deletes);
    struct tg_manifest expected = old; /* nothing but epoch, files and whose start it was differs */
    expected.epoch = 6;
    expected.generation = store.generation;
    expected.file_count = choice.manifest.file_count;
    expected.files = choice.manifest.files;
    cr_assert(manifest_equal(&choice.manifest, &expected));
    cr_assert_eq(choice.manifest.file_count, old.shard_count, "one base for each shard");
    struct tg_store_listing listing;
    cr_assert_eq(tg_store_list(&store, &arena, &listing, &err), TG_OK, "%s", err.text);
    cr_assert_not(listing.restoring);
    tg_arena_close(&kept);
}

Test(recovery_copy, a_damaged_checkpoint_is_not_copied)
{
    checkpoints(1, 3);
    struct tg_manifest old;
    struct tg_recovery_totals totals;
    cr_assert_eq(tg_recovery_read_manifest(&store, 2, &arena, &old, &err), TG_OK, "%s", err.text);
    damage("e2/s1.delta", 200);
    cr_assert_eq(tg_recovery_copy(&store, &old, &store, 4, &totals, &err), TG_ERR_DATA);
    cr_assert_eq(err.code, TG1512, "%s", err.text);
    struct tg_store_listing listing;
    cr_assert_eq(tg_store_list(&store, &arena, &listing, &err), TG_OK);
    cr_assert_eq(listing.newest, 3, "nothing of it is left");
}
