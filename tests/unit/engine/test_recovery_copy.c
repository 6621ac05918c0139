/* A checkpoint written again as the newest one. */
#include "tests/faulty_ops.h"
#include "tests/manifest_equal.h"
#include "tests/no_memory.h"
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

/* ---- what does not go well --------------------------------------------------------------------------------------- */

enum { LARGE_RECORDS = 24 };

/* The world has one shard with one table of this key and field, which must last as long. Header of its files. */
static struct tg_state_header one_table(const struct tg_state_field *key, const struct tg_state_field *field)
{
    world_open(&world, &maker, 1);
    world.layouts[0] = (struct tg_state_layout){.owner_kind = TG_STATE_OF_STEP,
                                                .owner = "counts",
                                                .name = "kept",
                                                .version = 1,
                                                .key_count = 1,
                                                .keys = key,
                                                .field_count = 1,
                                                .fields = field};
    struct tg_state_header header = maker_header(&maker, 0, 1, 1, 0);
    header.table_count = 1;
    header.tables = world.layouts;
    return header;
}

/* A checkpoint 1 of one shard with a table of lists, some of whose records are larger than a block, and some fill one
 * with the next. */
static void large_checkpoint(void)
{
    static const struct tg_state_field key = {.name = "k", .kind = TG_STATE_BIGINT};
    static const struct tg_state_field element = {.name = "x", .kind = TG_STATE_BIGINT};
    static const struct tg_state_field list = {
        .name = "f", .kind = TG_STATE_DEQUE, .element_count = 1, .elements = &element};
    const struct tg_state_header header = one_table(&key, &list);
    const struct made_file made = maker_file(&maker, &header, LARGE_RECORDS, 200000, 64 << 20);
    struct tg_store_file file = {0};
    cr_assert_eq(tg_store_epoch_begin(&store, 1, &err), TG_OK, "%s", err.text);
    cr_assert_eq(tg_store_file_create(&store, 1, 0, true, &file, &err), TG_OK);
    cr_assert_eq(tg_store_file_append(&store, &file, made.data, made.bytes, &err), TG_OK);
    cr_assert_eq(tg_store_file_finish(&store, &file, &err), TG_OK);
    world.chain[0][0] = (struct tg_manifest_file){
        .shard = 0, .kind = TG_STATE_BASE, .epoch = 1, .bytes = made.bytes, .crc = made.totals.footer_crc};
    world.chain_count[0] = 1;
    cr_assert_gt(made.bytes, 2 * TG_BLOCK_BYTES_MAX);
}

/* Copy `old` again and again, each time with one more call that works. */
static void fail_at_every_call(const struct tg_manifest *old)
{
    static struct faulty faulty;
    struct tg_recovery_totals totals;
    uint64_t epoch = 10;
    uint32_t failures = 0;
    bool hit = true;
    for (uint64_t call = 1; hit; call++) {
        err = (struct tg_error){0};
        faulty_use(&faulty, FAULTY_EIO, call, UINT32_MAX);
        const tg_status status = tg_recovery_copy(&store, old, &store, epoch++, &totals, &err);
        tg_file_ops_use(NULL);
        hit = faulty.hit;
        cr_assert(status != TG_OK || !hit || call > 10, "call %" PRIu64, call);
        failures += status != TG_OK;
    }
    cr_assert_gt(failures, 10);
}

Test(recovery_copy, whatever_call_fails_the_copy_says_so)
{
    checkpoints(1, 3);
    const struct tg_manifest old = world_manifest(&world, 3);
    fail_at_every_call(&old);
}

Test(recovery_copy, records_larger_than_a_block_are_copied_and_whatever_call_fails_is_told)
{
    large_checkpoint();
    const struct tg_manifest old = world_manifest(&world, 1);
    struct tg_recovery_totals totals;
    uint64_t records, copied;
    const uint64_t digest = digest_of(&store, &old, &records);
    cr_assert_eq(tg_recovery_copy(&store, &old, &store, 2, &totals, &err), TG_OK, "%s", err.text);
    chooses(2);
    cr_assert_eq(digest_of(&store, &choice.manifest, &copied), digest, "seed %" PRIu64, seed);
    cr_assert(copied == LARGE_RECORDS && totals.puts + totals.deletes == LARGE_RECORDS);
    fail_at_every_call(&old);
}

Test(recovery_copy, a_chain_whose_tables_change_is_not_copied)
{
    struct tg_recovery_totals totals;
    checkpoints(1, 1);
    world.layouts[1].version++; /* of identities; those of steps are in the manifest, too */
    checkpoints(2, 2);
    const struct tg_manifest old = world_manifest(&world, 2);
    cr_assert_neq(tg_recovery_copy(&store, &old, &store, 3, &totals, &err), TG_OK);
    cr_assert_eq(err.code, TG1519, "%s", err.text);
    cr_assert_not_null(strstr(err.text, "has other tables than the files before it"), "%s", err.text);
}

Test(recovery_copy, a_value_that_its_checksums_do_not_say_is_wrong_is_not_copied)
{
    static uint8_t data[TG_STATE_HEADER_BYTES_MAX];
    static uint8_t memory[4096];
    const struct tg_state_field number = {.name = "k", .kind = TG_STATE_BIGINT};
    struct tg_state_header header = one_table(&number, &number);
    struct tg_bytes_out out = {.data = data, .capacity = sizeof data};
    struct tg_state_totals totals;
    cr_assert_eq(tg_state_header_encode(&header, &out, &totals, &err), TG_OK, "%s", err.text);
    const uint8_t key[9] = {1};
    struct tg_block block;
    tg_block_begin(&block, memory, sizeof memory, 0);
    memset(tg_block_put(&block, (struct tg_key){.data = key, .bytes = 9}, 9), 0, 9); /* one byte too many */
    const uint32_t bytes = tg_block_end(&block, &header, &totals);
    uint8_t footer[TG_STATE_FOOTER_BYTES];
    tg_state_footer_encode(&header, &totals, footer);
    struct tg_store_file file = {0};
    cr_assert_eq(tg_store_epoch_begin(&store, 1, &err), TG_OK);
    cr_assert_eq(tg_store_file_create(&store, 1, 0, true, &file, &err), TG_OK);
    cr_assert_eq(tg_store_file_append(&store, &file, data, out.used, &err), TG_OK);
    cr_assert_eq(tg_store_file_append(&store, &file, memory, bytes, &err), TG_OK);
    cr_assert_eq(tg_store_file_append(&store, &file, footer, sizeof footer, &err), TG_OK);
    cr_assert_eq(tg_store_file_finish(&store, &file, &err), TG_OK);
    world.chain[0][0] = (struct tg_manifest_file){
        .shard = 0, .kind = TG_STATE_BASE, .epoch = 1, .bytes = file.bytes, .crc = totals.footer_crc};
    world.chain_count[0] = 1;
    const struct tg_manifest old = world_manifest(&world, 1);
    struct tg_recovery_totals copied;
    cr_assert_eq(tg_recovery_copy(&store, &old, &store, 2, &copied, &err), TG_ERR_DATA);
    cr_assert_not_null(strstr(err.text, "bytes behind the last field"), "%s", err.text);
}

Test(recovery_copy, without_memory_nothing_is_begun)
{
    checkpoints(1, 1);
    const struct tg_manifest old = world_manifest(&world, 1);
    struct tg_recovery_totals totals;
    if (!no_memory_above(0)) { return; } /* see there */
    const tg_status status = tg_recovery_copy(&store, &old, &store, 2, &totals, &err);
    memory_again();
    cr_assert(status != TG_OK && err.code == TG1601);
    chooses(1);
}
