/* Choosing and keeping checkpoints at their limits: files that are almost the right ones, manifests whose checksums are
 * right and whose sections are not, more damage than is told of, and no memory. */
#include <pthread.h>

#include "base/crc32c.h"
#include "base/failpoint.h"
#include "tests/no_memory.h"
#include "tests/unit/engine/recovery_fixture.h"

enum { MEMORY_LEFT = 64 << 20 }; /* enough for a listing, not for a manifest's arena */

static void end(void)
{
    tg_failpoint_reset();
    recovery_end();
}
TestSuite(recovery_edges, .init = recovery_begin, .fini = end, .timeout = 120);

static void empty(const char *name)
{
    char file[256];
    (void)snprintf(file, sizeof file, "%s/%s", path, name);
    cr_assert_eq(truncate(file, 0), 0);
}

/* ---- files that are almost the right ones ------------------------------------------------------------------------ */

/* A file of `header` under the name of another one; the manifest believes it. */
static const char *open_instead(const struct tg_state_header *header, uint64_t epoch, uint32_t shard, bool is_base)
{
    struct tg_manifest manifest = world_manifest(&world, 2);
    struct tg_manifest_file files[8];
    struct tg_store_file to = {0};
    struct tg_recovery_file file;
    char name[256], full[256];
    const struct made_file made = maker_file(&maker, header, 3, 2, 1 << 20);
    uint32_t index = 0;
    memcpy(files, manifest.files, manifest.file_count * sizeof *files);
    while (files[index].epoch != epoch || files[index].shard != shard) { index++; }
    files[index].bytes = made.bytes;
    files[index].crc = made.totals.footer_crc;
    manifest.files = files;
    tg_store_file_name(epoch, shard, is_base, name);
    (void)snprintf(full, sizeof full, "%s/%.63s", path, name);
    cr_assert_eq(unlink(full), 0);
    cr_assert_eq(tg_store_file_create(&store, epoch, shard, is_base, &to, &err), TG_OK);
    cr_assert_eq(tg_store_file_append(&store, &to, made.data, made.bytes, &err), TG_OK);
    cr_assert_eq(tg_store_file_finish(&store, &to, &err), TG_OK);
    err = (struct tg_error){0};
    const tg_status status = tg_recovery_file_open(&store, &manifest, index, &file, &err);
    tg_recovery_file_close(&file);
    return status == TG_OK ? "" : err.text;
}

Test(recovery_edges, a_file_must_be_the_kind_and_shard_it_is_called)
{
    checkpoints(1, 2); /* bases of 1, deltas of 2 */
    struct tg_state_header header = maker_header(&maker, 0, 2, 2, 0);
    header.tables = world.layouts;
    header.table_count = 2;
    cr_assert_not_null(strstr(open_instead(&header, 2, 0, false), "state file of another epoch"), "%s", err.text);
    header = maker_header(&maker, 0, 3, 2, 1);
    header.tables = world.layouts;
    header.table_count = 2;
    cr_assert_not_null(strstr(open_instead(&header, 2, 0, false), "state file of another shard"), "%s", err.text);
}

Test(recovery_edges, only_the_state_of_the_same_name_is_compared_with_the_manifest)
{
    checkpoints(1, 2);
    struct tg_state_layout other = world.layouts[0];
    struct tg_state_header header = maker_header(&maker, 0, 2, 2, 1);
    other.name = "another";
    other.version++;
    header.tables = &other;
    header.table_count = 1;
    cr_assert_str_eq(open_instead(&header, 2, 0, false), "");
    other.name = world.layouts[0].name;
    other.owner_kind = TG_STATE_OF_SOURCE;
    cr_assert_str_eq(open_instead(&header, 2, 0, false), "");
    other.owner_kind = TG_STATE_OF_STEP;
    cr_assert_not_null(strstr(open_instead(&header, 2, 0, false), "state layout of another"), "%s", err.text);
}

Test(recovery_edges, a_key_belongs_to_the_groups_of_its_file)
{
    struct tg_state_reader reader = {.input.name = "file", .header = maker_header(&maker, 0, 1, 1, 0)};
    reader.header.tables = world.layouts;
    reader.header.table_count = 2;
    const struct tg_key key = maker_own_key(&maker, &world.layouts[0], &reader.header);
    const uint32_t group = tg_key_group(tg_key_hash(key.data, key.bytes));
    const struct tg_state_record record = {.op = TG_STATE_DEL, .table = 0, .key = key};
    cr_assert_eq(tg_recovery_record_check(&reader, &record, &err), TG_OK, "%s", err.text);
    reader.header.group_first = group + 1;
    cr_assert_eq(tg_recovery_record_check(&reader, &record, &err), TG_ERR_DATA);
    reader.header.group_first = 0;
    reader.header.group_last = group - 1;
    cr_assert(group == 0 || tg_recovery_record_check(&reader, &record, &err) == TG_ERR_DATA);
    cr_assert_not_null(strstr(err.text, "key of another shard"), "%s", err.text);
}

/* ---- manifests --------------------------------------------------------------------------------------------------- */

static struct tg_bytes_out encoded(size_t room)
{
    const struct tg_manifest manifest = world_manifest(&world, 2);
    struct tg_bytes_out out = {.data = maker_alloc(&maker, 1 << 20), .capacity = (1 << 20) - room};
    cr_assert_eq(tg_manifest_encode(&manifest, &out, &err), TG_OK, "%s", err.text);
    return out;
}
static void reseal(uint8_t *data, uint32_t bytes)
{
    static const uint8_t end_mark[4] = {'T', 'G', 'N', 'D'};
    memcpy(data + 12, &bytes, sizeof bytes);
    const uint32_t crc = tg_crc32c(0, data, bytes - 8);
    memcpy(data + bytes - 8, &crc, sizeof crc);
    memcpy(data + bytes - 4, end_mark, sizeof end_mark);
}

Test(recovery_edges, sections_end_where_the_manifest_ends)
{
    checkpoints(1, 2);
    const struct tg_bytes_out out = encoded(100);
    struct tg_manifest manifest;
    uint8_t *copy = maker_alloc(&maker, out.used + 100);
    for (uint32_t bytes = 0; bytes <= out.used + 50; bytes++) { /* any length, everything else right */
        memset(copy, 0, out.used + 100);
        memcpy(copy, out.data, out.used);
        if (bytes >= 24) { reseal(copy, bytes); }
        err = (struct tg_error){0};
        const tg_status status = tg_manifest_decode(copy, bytes, "M", &arena, &manifest, &err);
        cr_assert_eq(status == TG_OK, bytes == out.used, "%u: %s", bytes, err.text);
        cr_assert(status == TG_OK || err.code == TG1512, "%u: TG%d %s", bytes, (int)err.code, err.text);
    }
    cr_assert_not_null(strstr(err.text, "bytes behind the last section"), "%s", err.text);
    const uint32_t tiny = 20; /* right about itself, too short for anything */
    memcpy(copy + 12, &tiny, sizeof tiny);
    cr_assert_neq(tg_manifest_decode(copy, tiny, "M", &arena, &manifest, &err), TG_OK);
}

Test(recovery_edges, a_manifest_has_a_largest_size)
{
    enum { COUNT = 64, BYTES = 1 << 20 };
    checkpoints(1, 2);
    struct tg_manifest manifest = world_manifest(&world, 2);
    struct tg_manifest_sink sinks[COUNT];
    struct tg_committable list[2] = {{.data = maker_alloc(&maker, BYTES), .bytes = BYTES}, {.bytes = 0}};
    for (uint32_t i = 0; i < COUNT; i++) {
        sinks[i] = (struct tg_manifest_sink){
            .name = maker_name(&maker, "sink", i), .connector = "file", .committable_count = 2, .committables = list};
    }
    manifest.sinks = sinks;
    manifest.sink_count = COUNT;
    struct tg_bytes_out out = {.data = malloc(100 << 20), .capacity = 100 << 20};
    cr_assert_neq(tg_manifest_encode(&manifest, &out, &err), TG_OK);
    cr_assert(err.code == TG1510 && strstr(err.text, "is longer than") != NULL, "%s", err.text);
    free(out.data);
}

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

Test(recovery_edges, more_damaged_ones_than_are_told_of_are_counted)
{
    char name[64];
    checkpoints(1, TG_RECOVERY_SKIPPED_MAX + 3);
    for (uint32_t epoch = 2; epoch <= TG_RECOVERY_SKIPPED_MAX + 3; epoch++) {
        (void)snprintf(name, sizeof name, "MANIFEST-%" PRIu32, epoch);
        empty(name);
    }
    cr_assert_eq(choose_plain(), TG_OK, "%s", err.text);
    cr_assert(choice.epoch == 1 && choice.skipped_count == TG_RECOVERY_SKIPPED_MAX + 2);
    cr_assert_eq(choice.skipped[TG_RECOVERY_SKIPPED_MAX - 1].epoch, 4);
}

Test(recovery_edges, what_cannot_be_read_is_not_passed_over_unless_the_disk_says_so)
{
    world.base_every = 1;
    checkpoints(1, 2);
    static const char *const places[] = {"recovery.read:1:error:", "recovery.verify:1:error:"};
    for (uint32_t i = 0; i < 2; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "%sEIO", places[i]);
        cr_assert_eq(tg_failpoint_arm(text, &err), TG_OK, "%s", err.text);
        cr_assert_eq(choose_plain(), TG_OK, "%s", err.text);
        cr_assert_eq(choice.epoch, 1);
        tg_failpoint_reset();
        (void)snprintf(text, sizeof text, "%sENOMEM", places[i]);
        cr_assert_eq(tg_failpoint_arm(text, &err), TG_OK);
        cr_assert_neq(choose_plain(), TG_OK);
        cr_assert_eq(err.code, TG1511);
        tg_failpoint_reset();
    }
    cr_assert_eq(tg_failpoint_arm("recovery.list:1:error:EIO", &err), TG_OK);
    (void)choose_plain();
}

/* Manifest `epoch` as it is, but for the source's connector and cluster, and one more step without state. */
static void publish_source(uint64_t epoch, const char *connector, const char *cluster)
{
    struct tg_manifest manifest = world_manifest(&world, epoch);
    struct tg_manifest_source source = manifest.sources[0];
    struct tg_manifest_step steps[2] = {manifest.steps[0], {.name = "plain", .op = "project"}};
    bool decided;
    source.connector = connector;
    source.cluster = cluster;
    manifest.sources = &source;
    manifest.steps = steps;
    manifest.step_count = 2;
    struct tg_bytes_out out = {.data = maker_alloc(&maker, 1 << 20), .capacity = 1 << 20};
    cr_assert_eq(tg_manifest_encode(&manifest, &out, &err), TG_OK, "%s", err.text);
    cr_assert_eq(tg_store_publish(&store, epoch, out.data, out.used, &decided, &err), TG_OK, "%s", err.text);
}

Test(recovery_edges, an_input_is_compared_by_what_is_known_of_it)
{
    checkpoints(1, 2);
    publish_source(2, "kafka", ""); /* unknown then */
    cr_assert_eq(choose_plain(), TG_OK, "%s", err.text);
    publish_source(2, "kafka", "cluster-2");
    cr_assert_neq(choose_plain(), TG_OK);
    cr_assert(err.code == TG1516 && strstr(err.text, "now (cluster-2, now ") != NULL, "%s", err.text);
    publish_source(2, "file", "another");
    cr_assert_neq(choose_plain(), TG_OK);
    cr_assert(err.code == TG1516 && strstr(err.text, "now (another, now ") != NULL, "%s", err.text);
}

Test(recovery_edges, a_log_whose_end_is_not_known_is_not_called_short)
{
    static const int64_t ends[2] = {-1, -1};
    checkpoints(1, 2);
    struct tg_recovery_wanted wanted = world_wanted(&world);
    struct tg_recovery_source source = wanted.sources[0];
    source.log_end = ends;
    wanted.sources = &source;
    wanted.threads = 2;
    cr_assert_eq(tg_recovery_choose(&store, &wanted, &arena, &choice, &err), TG_OK, "%s", err.text);
    cr_assert_eq(choice.epoch, 2);
}

/* ---- what may go ------------------------------------------------------------------------------------------------- */

/* Manifest `epoch` of run `run` whose chain has one file in each of the `length` epochs up to it; nothing of it is
 * there. */
static void publish_run(uint64_t epoch, uint32_t length, uint8_t run)
{
    struct tg_manifest manifest = world_manifest(&world, epoch);
    manifest.run_id.bytes[0] = run;
    struct tg_manifest_file files[64];
    bool decided;
    for (uint32_t i = 0; i < length; i++) {
        files[i] = (struct tg_manifest_file){
            .kind = i == 0 ? TG_STATE_BASE : TG_STATE_DELTA, .epoch = epoch - length + 1 + i, .bytes = 1000};
    }
    manifest.files = files;
    manifest.file_count = length;
    struct tg_bytes_out out = {.data = malloc(1 << 20), .capacity = 1 << 20};
    cr_assert_eq(tg_manifest_encode(&manifest, &out, &err), TG_OK, "%s", err.text);
    cr_assert_eq(tg_store_publish(&store, epoch, out.data, out.used, &decided, &err), TG_OK, "%s", err.text);
    free(out.data);
}

static void publish_chain(uint64_t epoch, uint32_t length) { publish_run(epoch, length, 1); }

Test(recovery_edges, checkpoints_of_more_runs_than_there_is_room_for_all_stay)
{
    enum { RUNS = 65 };
    struct tg_store_listing listing;
    world.shard_count = 1;
    publish_run(1, 1, 1);
    for (uint32_t i = 1; i < RUNS; i++) { publish_run(i + 1, 1, (uint8_t)i); }
    cr_assert_eq(tg_recovery_collect(&store, RUNS - 1, &err), TG_OK, "%s", err.text);
    cr_assert_eq(tg_store_list(&store, &arena, &listing, &err), TG_OK);
    cr_assert_eq(listing.manifest_count, RUNS - 1, "64 runs are known one by one");
    publish_run(RUNS + 1, 1, RUNS);
    cr_assert_eq(tg_recovery_collect(&store, RUNS, &err), TG_OK, "%s", err.text);
    publish_run(RUNS + 2, 1, RUNS + 1);
    cr_assert_eq(tg_recovery_collect(&store, RUNS, &err), TG_OK, "%s", err.text);
    cr_assert_eq(tg_store_list(&store, &arena, &listing, &err), TG_OK);
    cr_assert_eq(listing.manifest_count, RUNS + 1, "of 65 nobody knows, so nothing goes");
}

Test(recovery_edges, more_to_keep_than_there_is_room_for_keeps_everything)
{
    enum { LENGTH = 64, COUNT = TG_STORE_LIST_MAX / LENGTH + 1 };
    struct tg_store_listing listing;
    world.shard_count = 1;
    world.commits = true; /* none is acknowledged: all of them stay */
    for (uint32_t i = 1; i <= COUNT; i++) { publish_chain((uint64_t)i * LENGTH, LENGTH); }
    cr_assert_eq(tg_store_epoch_begin(&store, 5, &err), TG_OK);
    cr_assert_eq(tg_store_epoch_begin(&store, (COUNT + 1) * LENGTH, &err), TG_OK); /* above every manifest */
    cr_assert_eq(tg_recovery_collect(&store, 3, &err), TG_OK, "%s", err.text);
    cr_assert_eq(tg_store_list(&store, &arena, &listing, &err), TG_OK);
    cr_assert_eq(listing.manifest_count, COUNT);
    cr_assert(listing.epoch_count == 1 && listing.epochs[0] == 5);
}

/* ---- no memory --------------------------------------------------------------------------------------------------- */

Test(recovery_edges, without_memory_nothing_is_chosen_and_nothing_removed)
{
    checkpoints(1, 5);
    if (!no_memory_above(MEMORY_LEFT)) { return; } /* see there */
    const struct tg_recovery_wanted wanted = world_wanted(&world);
    const tg_status chosen = tg_recovery_choose(&store, &wanted, &arena, &choice, &err);
    const enum tg_code why = err.code;
    err = (struct tg_error){0};
    const tg_status collected = tg_recovery_collect(&store, 3, &err);
    const enum tg_code why_not = err.code;
    memory_again();
    cr_assert(chosen != TG_OK && why == TG1601 && !choice.found);
    cr_assert(collected != TG_OK && why_not == TG1601);
    cr_assert(no_memory_above(0));
    err = (struct tg_error){0};
    const tg_status listed = tg_recovery_collect(&store, 3, &err);
    memory_again();
    cr_assert(listed != TG_OK && err.code == TG1601);
    cr_assert_eq(choose_plain(), TG_OK, "%s", err.text);
    cr_assert_eq(choice.epoch, 5);
}

/* ---- verifying by threads ---------------------------------------------------------------------------------------- */

Test(recovery_edges, damage_in_the_last_shard_is_told_by_whoever_reads_it)
{
    struct tg_recovery_totals totals;
    checkpoints(1, 2);
    chooses(2);
    damage("e2/s1.delta", -1);
    cr_assert_eq(tg_recovery_verify(&store, &choice.manifest, 2, NULL, &totals, &err), TG_ERR_DATA);
    cr_assert_not_null(strstr(err.text, "e2/s1.delta"), "%s", err.text);
    cr_assert_eq(tg_recovery_verify(&store, &choice.manifest, 2, NULL, &totals, NULL), TG_ERR_DATA);
}

Test(recovery_edges, what_no_thread_can_be_had_for_is_verified_all_the_same)
{
    struct tg_recovery_totals threaded, alone;
    checkpoints(1, 2);
    chooses(2);
    pthread_attr_t usual, vast; /* a stack that no address space holds */
    cr_assert_eq(pthread_getattr_default_np(&usual), 0);
    vast = usual;
    cr_assert_eq(pthread_attr_setstacksize(&vast, (size_t)1 << 47), 0);
    cr_assert_eq(pthread_setattr_default_np(&vast), 0);
    const tg_status status = tg_recovery_verify(&store, &choice.manifest, 2, NULL, &alone, &err);
    cr_assert_eq(pthread_setattr_default_np(&usual), 0);
    cr_assert_eq(status, TG_OK, "%s", err.text);
    cr_assert_eq(tg_recovery_verify(&store, &choice.manifest, 2, NULL, &threaded, &err), TG_OK);
    cr_assert(alone.puts == threaded.puts && alone.deletes == threaded.deletes && alone.bytes == threaded.bytes);
}
