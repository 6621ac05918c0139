/* Choosing a checkpoint: the newest whole one, nothing doubled, nothing foreign; and what may be deleted meanwhile. */
#include "tests/faulty_ops.h"
#include "tests/unit/engine/recovery_fixture.h"

static void end(void)
{
    tg_file_ops_use(NULL);
    recovery_end();
}
TestSuite(recovery, .init = recovery_begin, .fini = end, .timeout = 300);

static void refuses(const struct tg_recovery_wanted *wanted, enum tg_code code, const char *what)
{
    cr_assert_neq(choose(wanted), TG_OK);
    cr_assert_eq(err.code, code, "TG%d %s", (int)err.code, err.text);
    cr_assert_not_null(strstr(err.text, what), "%s", err.text);
}

static bool there(const char *name)
{
    char file[256];
    (void)snprintf(file, sizeof file, "%s/%s", path, name);
    return access(file, F_OK) == 0;
}
static void remove_file(const char *name)
{
    char file[256];
    (void)snprintf(file, sizeof file, "%s/%s", path, name);
    cr_assert_eq(unlink(file), 0);
}

static bool settled(void) { return tg_recovery_is_settled(&store, &choice.manifest); }

Test(recovery, an_empty_directory_is_a_fresh_start)
{
    cr_assert_eq(choose_plain(), TG_OK);
    cr_assert(!choice.found && choice.newest == 0);
    cr_assert_eq(tg_store_epoch_begin(&store, 4, &err), TG_OK); /* an epoch that never became complete */
    cr_assert_eq(choose_plain(), TG_OK);
    cr_assert(!choice.found && choice.newest == 4);
}

Test(recovery, a_directory_into_which_a_restore_has_not_ended_is_no_fresh_start)
{
    cr_assert_eq(tg_store_restore_begin(&store, &err), TG_OK, "%s", err.text);
    const struct tg_recovery_wanted wanted = world_wanted(&world);
    refuses(&wanted, TG1524, "restore again, or start with --fresh");
    err = (struct tg_error){0};
    checkpoints(1, 2); /* then there is something to go on from */
    chooses(2);
}

Test(recovery, the_newest_is_chosen_and_its_chain_loads)
{
    checkpoints(1, 5); /* bases 1 and 4 */
    chooses(5);
    cr_assert(choice.newest == 5 && settled() && choice.skipped_count == 0);
    cr_assert_eq(choice.manifest.file_count, 4); /* base of 4, delta of 5, two shards */
    uint64_t records = 0;
    for (uint32_t i = 0; i < choice.manifest.file_count; i++) {
        struct tg_recovery_file file;
        cr_assert_eq(tg_recovery_file_open(&store, &choice.manifest, i, &file, &err), TG_OK, "%s", err.text);
        struct tg_state_record record;
        int more;
        while ((more = tg_state_reader_next(&file.reader, &record, &err)) > 0) { records++; }
        cr_assert_eq(more, 0, "%s", err.text);
        tg_recovery_file_close(&file);
    }
    struct tg_recovery_totals totals;
    cr_assert_eq(tg_recovery_verify(&store, &choice.manifest, 3, NULL, &totals, &err), TG_OK, "%s", err.text);
    cr_assert_eq(totals.puts + totals.deletes, records);
    cr_assert_eq(records, 4 * 2 * world.records);
}

Test(recovery, damage_of_any_kind_falls_back_to_the_next_whole_one)
{
    world.base_every = 1; /* every checkpoint stands alone */
    checkpoints(1, 3);
    static const struct {
        const char *name;
        int64_t at;
    } places[] = {{"MANIFEST-3", 0},  {"MANIFEST-3", 40}, {"MANIFEST-3", -1}, {"e3/s0.base", 0},
                  {"e3/s1.base", 60}, {"e3/s1.base", -1}, {"e3/s0.base", -10}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        damage(places[i].name, places[i].at);
        chooses(2);
        cr_assert(choice.newest == 3 && choice.skipped_count == 1 && choice.skipped[0].epoch == 3);
        cr_assert_eq(choice.skipped[0].why.code, TG1512);
        damage(places[i].name, places[i].at); /* as it was */
        chooses(3);
    }
    remove_file("e3/s1.base");
    chooses(2);
    cr_assert_not_null(strstr(choice.skipped[0].why.text, "e3/s1.base is missing"), "%s", choice.skipped[0].why.text);
    damage("MANIFEST-2", 3);
    chooses(1);
    cr_assert_eq(choice.skipped_count, 2);
    damage("e1/s0.base", 5);
    const struct tg_recovery_wanted wanted = world_wanted(&world);
    refuses(&wanted, TG1512, "every one of 3 checkpoints is damaged; the newest, 3: e3/s1.base is missing");
}

Test(recovery, a_block_damaged_inside_is_found_before_it_is_loaded)
{
    world.base_every = 1;
    world.records = 50;
    checkpoints(1, 3);
    damage("e3/s0.base", -200); /* behind the header, before the footer */
    chooses(2);
    cr_assert(choice.newest == 3 && choice.skipped_count == 1);
    const char *why = choice.skipped[0].why.text;
    /* Of the block's header or of its inside: where byte -200 is depends on the seed. */
    cr_assert(strstr(why, "e3/s0.base: ") != NULL && strstr(why, "block") != NULL, "seed %" PRIu64 ": %s", seed, why);
}

Test(recovery, what_may_be_outside_is_not_written_again)
{
    world.base_every = 1;
    world.commits = true;
    checkpoints(1, 3);
    chooses(3);
    cr_assert_not(settled());
    cr_assert_eq(tg_store_acknowledge(&store, 3, 0, &err), TG_OK); /* by a job without that sink */
    cr_assert(settled());
    cr_assert_eq(tg_store_acknowledge(&store, 3, 1, &err), TG_OK);
    chooses(3);
    cr_assert(settled());
    struct tg_recovery_wanted wanted = world_wanted(&world);
    damage("e3/s0.base", 0); /* the manifest is whole and has committables */
    refuses(&wanted, TG1518, "--accept-duplicates");
    remove_file("ACK-3");
    refuses(&wanted, TG1518, "checkpoint 3 is damaged (e3/s0.base: not the start of a state file at byte 0)");
    wanted.accept_duplicates = true;
    cr_assert_eq(choose(&wanted), TG_OK);
    cr_assert_eq(choice.epoch, 2);
    wanted.accept_duplicates = false;
    damage("MANIFEST-3", 60);             /* unreadable: who knows */
    cr_assert_eq(choose(&wanted), TG_OK); /* today's job commits nothing with checkpoints */
    cr_assert_eq(choice.epoch, 2);
    wanted.transactional = true;
    refuses(&wanted, TG1518, "checkpoint 3 is damaged (MANIFEST-3: ");
    cr_assert_eq(tg_store_acknowledge(&store, 3, 0, &err), TG_OK); /* nothing was committed */
    cr_assert_eq(choose(&wanted), TG_OK);
    cr_assert_eq(choice.epoch, 2);
    wanted.transactional = false;
    cr_assert_eq(tg_store_acknowledge(&store, 3, 2, &err), TG_OK);
    refuses(&wanted, TG1518, "--accept-duplicates");
    damage("ACK-3", 0); /* an acknowledgement nobody can read */
    refuses(&wanted, TG1518, "--accept-duplicates");
}

Test(recovery, one_whose_manifest_is_gone_is_not_passed_over_while_its_output_may_be_outside)
{
    world.base_every = 1;
    world.commits = true;
    checkpoints(1, 3);
    for (uint64_t epoch = 1; epoch <= 3; epoch++) { cr_assert_eq(tg_store_acknowledge(&store, epoch, 1, &err), TG_OK); }
    remove_file("MANIFEST-2"); /* below the newest: nothing asks for it */
    chooses(3);
    cr_assert_eq(choice.skipped_count, 0);
    remove_file("MANIFEST-3");
    struct tg_recovery_wanted wanted = world_wanted(&world);
    refuses(&wanted, TG1518, "checkpoint 3 is damaged (MANIFEST-3 is missing)");
    wanted.accept_duplicates = true; /* 2 is gone, too */
    cr_assert_eq(choose(&wanted), TG_OK, "%s", err.text);
    cr_assert(choice.epoch == 1 && choice.newest == 3 && choice.skipped_count == 2);
    cr_assert(choice.skipped[0].epoch == 3 && choice.skipped[1].epoch == 2);
    remove_file("MANIFEST-1");
    refuses(&wanted, TG1512, "every one of 3 checkpoints is damaged; the newest, 3: MANIFEST-3 is missing");
    wanted.accept_duplicates = false;
    refuses(&wanted, TG1518, "checkpoint 3 is damaged (MANIFEST-3 is missing)");
}

Test(recovery, one_whose_manifest_is_gone_is_passed_over_when_it_had_nothing_to_commit)
{
    world.base_every = 1;
    checkpoints(1, 3);
    cr_assert_eq(tg_store_acknowledge(&store, 3, 0, &err), TG_OK);
    remove_file("MANIFEST-3");
    struct tg_recovery_wanted wanted = world_wanted(&world);
    wanted.transactional = true;
    cr_assert_eq(choose(&wanted), TG_OK, "%s", err.text);
    cr_assert(choice.epoch == 2 && choice.newest == 3 && choice.skipped_count == 1);
    cr_assert_eq(choice.skipped[0].why.code, TG1512);
}

Test(recovery, nothing_goes_while_the_newest_manifest_is_gone)
{
    world.base_every = 1;
    checkpoints(1, 6);
    cr_assert_eq(tg_store_acknowledge(&store, 6, 1, &err), TG_OK);
    remove_file("MANIFEST-6");
    cr_assert_eq(tg_recovery_collect(&store, 3, &err), TG_OK, "%s", err.text);
    cr_assert(there("ACK-6") && there("MANIFEST-1") && there("e1") && there("e6"));
    checkpoints(7, 9);
    cr_assert_eq(tg_recovery_collect(&store, 3, &err), TG_OK, "%s", err.text);
    cr_assert(!there("ACK-6") && !there("e6") && there("MANIFEST-7"));
}

Test(recovery, what_is_foreign_is_refused_with_its_reason)
{
    checkpoints(1, 2);
    struct tg_recovery_wanted wanted = world_wanted(&world);
    struct tg_recovery_source source = wanted.sources[0];
    const struct tg_recovery_source original = source;
    wanted.job = "other";
    refuses(&wanted, TG1514, "checkpoint 2 is of job job, this is other");
    wanted.job = "job";
    wanted.graph_hash = 1;
    refuses(&wanted, TG1515, "another graph of job job (000000000000abcd, now 0000000000000001)");
    wanted = world_wanted(&world);
    wanted.sources = &source;
    source.topic = "payments";
    refuses(&wanted, TG1516, "was made from topic transactions, source tx reads payments now");
    source = original;
    source.cluster = "cluster-2";
    refuses(&wanted, TG1516, "another cluster or other files than source tx reads now (cluster-1, now cluster-2)");
    source = original;
    source.connector = "file";
    refuses(&wanted, TG1516, "was made from a kafka source, source tx is a file source now");
    source = original;
    source.cluster = ""; /* unknown is not another one */
    cr_assert_eq(choose(&wanted), TG_OK);
    source = original;
    source.partition_count = 3;
    refuses(&wanted, TG1516, "was made from 2 partitions, source tx has 3 now");
    source = original;
    source.name = "ty";
    refuses(&wanted, TG1516, "checkpoint 2 knows no source ty");
    wanted.source_count = 0;
    refuses(&wanted, TG1516, "was made from 1 sources, the job has 0");
    damage("e2/s0.delta", 0); /* foreign and damaged: foreign */
    wanted.job = "other";
    refuses(&wanted, TG1514, "other");
}

Test(recovery, rows_that_may_not_be_shown_yet_need_their_sink)
{
    world.commits = true;
    checkpoints(1, 2);
    struct tg_recovery_wanted wanted = world_wanted(&world);
    struct tg_recovery_sink sinks[] = {{.name = "lines", .connector = "file"}, {.name = "out", .connector = "sqlite"}};
    wanted.sinks = sinks;
    wanted.sink_count = 1;
    refuses(&wanted, TG1525,
            "checkpoint 2 may have rows of file sink out that are not shown yet, and the job has no such sink; let");
    wanted.sink_count = 2;
    refuses(&wanted, TG1525, "rows of file sink out that are not shown yet, and it is a sqlite sink now; let");
    wanted.accept_duplicates = true; /* that is about rows twice, not about none */
    refuses(&wanted, TG1525, "it is a sqlite sink now");
    damage("e2/s0.delta", 0); /* damage does not lead past it */
    refuses(&wanted, TG1525, "it is a sqlite sink now");
    damage("e2/s0.delta", 0);
    sinks[1].connector = "file"; /* and one more is no obstacle */
    cr_assert_eq(choose(&wanted), TG_OK, "%s", err.text);
    wanted.sink_count = 0;
    cr_assert_eq(tg_store_acknowledge(&store, 2, 2, &err), TG_OK, "%s", err.text);
    cr_assert_eq(choose(&wanted), TG_OK, "%s", err.text);
    cr_assert_eq(choice.epoch, 2, "all is shown: nobody is needed any more");
}

Test(recovery, a_sink_that_commits_nothing_may_go)
{
    checkpoints(1, 2);
    struct tg_recovery_wanted wanted = world_wanted(&world);
    wanted.sink_count = 0;
    cr_assert_eq(choose(&wanted), TG_OK, "%s", err.text);
    cr_assert_eq(choice.epoch, 2);
}

Test(recovery, the_log_must_go_on_where_the_checkpoint_stops)
{
    checkpoints(1, 2); /* partition 0 goes on at 200, partition 1 at 201 */
    struct tg_recovery_wanted wanted = world_wanted(&world);
    struct tg_recovery_source source = wanted.sources[0];
    wanted.sources = &source;
    int64_t log_begin[2] = {200, 201};
    int64_t log_end[2] = {200, 201};
    source.log_begin = log_begin;
    source.log_end = log_end;
    cr_assert_eq(choose(&wanted), TG_OK, "%s", err.text);
    log_end[1] = 200;
    refuses(&wanted, TG1517, "partition 1: checkpoint 2 has read up to offset 201, the log ends at 200");
    log_end[1] = 300;
    log_begin[1] = 202;
    refuses(&wanted, TG1205, "partition 1: checkpoint 2 goes on at offset 201, the log begins at 202");
}

Test(recovery, a_partition_nobody_read_may_have_any_log)
{
    struct tg_manifest manifest = world_manifest(&world, 1);
    bool decided;
    cr_assert_eq(world_checkpoint(&world, &store, 1, &decided, &err), TG_OK);
    manifest = world_manifest(&world, 1);
    struct tg_manifest_partition *partitions =
        (struct tg_manifest_partition *)(uintptr_t)manifest.sources[0].partitions;
    partitions[0].next_offset = -1;
    struct tg_bytes_out out = {.data = maker_alloc(&maker, 1 << 20), .capacity = 1 << 20};
    cr_assert_eq(tg_manifest_encode(&manifest, &out, &err), TG_OK);
    remove_file("MANIFEST-1");
    cr_assert_eq(tg_store_publish(&store, 1, out.data, out.used, &decided, &err), TG_OK, "%s", err.text);
    struct tg_recovery_wanted wanted = world_wanted(&world);
    struct tg_recovery_source source = wanted.sources[0];
    const int64_t log_begin[2] = {500, 0}, log_end[2] = {500, 900};
    source.log_begin = log_begin;
    source.log_end = log_end;
    wanted.sources = &source;
    cr_assert_eq(choose(&wanted), TG_OK, "%s", err.text);
}

Test(recovery, a_newer_format_is_not_passed_over)
{
    checkpoints(1, 2);
    char file[256];
    (void)snprintf(file, sizeof file, "%s/MANIFEST-2", path);
    const int fd = open(file, O_RDWR);
    uint8_t bytes[8192];
    const ssize_t count = read(fd, bytes, sizeof bytes);
    cr_assert_gt(count, 100);
    bytes[8] = 9;
    extern uint32_t tg_crc32c(uint32_t crc, const void *data, size_t bytes);
    const uint32_t crc = tg_crc32c(0, bytes, (size_t)count - 8);
    memcpy(bytes + count - 8, &crc, 4);
    cr_assert_eq(pwrite(fd, bytes, (size_t)count, 0), count);
    cr_assert_eq(close(fd), 0);
    const struct tg_recovery_wanted wanted = world_wanted(&world);
    refuses(&wanted, TG1513, "MANIFEST-2 has format 9, this turgo reads up to 1");
}

Test(recovery, files_must_be_the_ones_the_manifest_means)
{
    checkpoints(1, 3);
    const struct tg_manifest good = world_manifest(&world, 3);
    static const char *const why[] = {
        "state file of another job",
        "state file of another run",
        "state file of another job graph",
        "the manifest says",
        "footer that the manifest does not know",
        "delta of another chain",
        "state layout of another checkpoint",
        "e3/s1.delta is missing",
    };
    for (uint32_t i = 0; i < sizeof why / sizeof why[0]; i++) {
        struct tg_manifest manifest = good;
        struct tg_manifest_file files[16];
        memcpy(files, good.files, good.file_count * sizeof *files);
        struct tg_manifest_step step = good.steps[0];
        struct tg_state_layout layout = *step.layout;
        manifest.files = files;
        manifest.steps = &step;
        uint32_t index = 2; /* shard 0's delta of epoch 3 */
        switch (i) {
        case 0: manifest.job = "x"; break;
        case 1: manifest.run_id.bytes[0]++; break;
        case 2: manifest.graph_hash++; break;
        case 3: files[2].bytes--; break;
        case 4: files[2].crc++; break;
        case 5: files[1].epoch = 1; break;
        case 6:
            layout.version++;
            step.layout = &layout;
            break;
        default:
            index = 5;
            remove_file("e3/s1.delta");
            break;
        }
        struct tg_recovery_file file;
        struct tg_error what = {0};
        cr_assert_eq(tg_recovery_file_open(&store, &manifest, index, &file, &what), TG_ERR_DATA);
        tg_recovery_file_close(&file);
        cr_assert_not_null(strstr(what.text, why[i]), "%" PRIu32 ": %s", i, what.text);
    }
    char from[256], to[256]; /* another shard's, another epoch's */
    (void)snprintf(from, sizeof from, "%s/e3/s0.delta", path);
    (void)snprintf(to, sizeof to, "%s/e3/s1.delta", path);
    cr_assert_eq(rename(from, to), 0);
    struct tg_manifest_file files[16];
    memcpy(files, good.files, good.file_count * sizeof *files);
    files[5].bytes = files[2].bytes;
    struct tg_manifest manifest = good;
    manifest.files = files;
    struct tg_recovery_file file;
    struct tg_error what = {0};
    cr_assert_eq(tg_recovery_file_open(&store, &manifest, 5, &file, &what), TG_ERR_DATA);
    tg_recovery_file_close(&file);
    cr_assert_not_null(strstr(what.text, "state file of another shard"), "%s", what.text);
    (void)snprintf(from, sizeof from, "%s/e2/s0.delta", path);
    (void)snprintf(to, sizeof to, "%s/e3/s0.delta", path);
    cr_assert_eq(rename(from, to), 0);
    files[2].bytes = files[1].bytes;
    what = (struct tg_error){0};
    cr_assert_eq(tg_recovery_file_open(&store, &manifest, 2, &file, &what), TG_ERR_DATA);
    tg_recovery_file_close(&file);
    cr_assert_not_null(strstr(what.text, "state file of another epoch"), "%s", what.text);
}

Test(recovery, a_manifest_under_another_number_is_damaged)
{
    checkpoints(1, 2);
    char from[256], to[256];
    (void)snprintf(from, sizeof from, "%s/MANIFEST-2", path);
    (void)snprintf(to, sizeof to, "%s/MANIFEST-3", path);
    cr_assert_eq(rename(from, to), 0);
    chooses(1);
    cr_assert_eq(choice.newest, 3);
    cr_assert_not_null(strstr(choice.skipped[0].why.text, "MANIFEST-3 is the manifest of epoch 2"));
}

Test(recovery, verifying_looks_into_values_and_keys)
{
    static const char *const why[] = {"key of another shard", "bytes behind the last field", "cut short"};
    for (uint32_t i = 0; i < 3; i++) {
        const uint64_t epoch = i + 1;
        const struct tg_state_field key = {.name = "k", .kind = TG_STATE_BIGINT};
        const struct tg_state_layout layout = {.owner_kind = TG_STATE_OF_STEP,
                                               .owner = "tx",
                                               .name = "x",
                                               .key_count = 1,
                                               .keys = &key,
                                               .field_count = 1,
                                               .fields = &key};
        struct tg_state_header header = maker_header(&maker, 0, 2, epoch, 0);
        header.table_count = 1;
        header.tables = &layout;
        static uint8_t data[TG_STATE_HEADER_BYTES_MAX];
        static uint8_t memory[4096];
        struct tg_bytes_out out = {.data = data, .capacity = sizeof data};
        struct tg_state_totals totals;
        cr_assert_eq(tg_state_header_encode(&header, &out, &totals, &err), TG_OK);
        struct tg_block block;
        tg_block_begin(&block, memory, sizeof memory, 0);
        for (uint64_t n = 0;; n++) {
            uint8_t bytes[10] = {1};
            memcpy(bytes + 1, &n, 8);
            const bool is_own = tg_key_shard(tg_key_hash(bytes, 9), 2) == 0;
            if (is_own == (i == 0)) { continue; } /* the first one wants a stranger */
            const struct tg_key put = {.data = bytes, .bytes = i == 2 ? 5 : 9};
            uint8_t *place = tg_block_put(&block, put, i == 1 ? 9 : 8);
            memset(place, 0, i == 1 ? 9 : 8);
            break;
        }
        uint8_t footer[TG_STATE_FOOTER_BYTES];
        const uint32_t block_bytes = tg_block_end(&block, &header, &totals);
        tg_state_footer_encode(&header, &totals, footer);
        struct tg_store_file file = {0};
        cr_assert_eq(tg_store_epoch_begin(&store, epoch, &err), TG_OK);
        cr_assert_eq(tg_store_file_create(&store, epoch, 0, true, &file, &err), TG_OK);
        cr_assert_eq(tg_store_file_append(&store, &file, data, out.used, &err), TG_OK);
        cr_assert_eq(tg_store_file_append(&store, &file, memory, block_bytes, &err), TG_OK);
        cr_assert_eq(tg_store_file_append(&store, &file, footer, sizeof footer, &err), TG_OK);
        cr_assert_eq(tg_store_file_finish(&store, &file, &err), TG_OK);
        struct tg_manifest manifest = world_manifest(&world, epoch);
        const struct tg_manifest_file listed = {
            .shard = 0, .kind = TG_STATE_BASE, .epoch = epoch, .bytes = file.bytes, .crc = totals.footer_crc};
        manifest.files = &listed;
        manifest.file_count = 1;
        struct tg_recovery_totals sum;
        struct tg_error what = {0};
        cr_assert_eq(tg_recovery_verify(&store, &manifest, 2, NULL, &sum, &what), TG_ERR_DATA);
        cr_assert_not_null(strstr(what.text, why[i]), "%s", what.text);
    }
}

/* ---- failing calls and deletions --------------------------------------------------------------------------------- */

static bool whole(uint64_t epoch)
{
    return choose_plain() == TG_OK && choice.found && choice.epoch == epoch && choice.skipped_count == 0;
}

Test(recovery, whatever_call_fails_the_previous_or_the_new_one_is_chosen_whole)
{
    static struct faulty faulty;
    uint32_t previous = 0, new = 0;
    for (int way = 0; way < FAULTY_WAYS; way++) {
        for (uint64_t k = 1;; k++) {
            end();
            recovery_begin();
            world.commits = k % 2 == 1;
            checkpoints(1, 4); /* base, two deltas, base */
            faulty_use(&faulty, (enum faulty_way)way, k, k % 3 == 0 ? 1000 : 1);
            bool decided;
            struct tg_error why = {0};
            const tg_status status = world_checkpoint(&world, &store, 5, &decided, &why);
            if (status == TG_OK) {
                const tg_status ignored = tg_store_acknowledge(&store, 5, 1, &why);
                (void)ignored;
            }
            const tg_status swept = tg_recovery_collect(&store, 3, &why);
            const bool hit = faulty.hit;
            tg_file_ops_use(NULL);
            tg_store_close(&store);
            open_store();
            cr_assert(status == TG_OK || hit);
            cr_assert(swept == TG_OK || hit);
            cr_assert(decided || status != TG_OK);
            cr_assert(whole(decided ? 5 : 4), "way %d call %" PRIu64 ": chose %" PRIu64 ", decided %d: %s", way, k,
                      choice.epoch, decided, err.text);
            previous += !decided;
            new += decided;
            struct tg_error again = {0};
            cr_assert_eq(tg_recovery_collect(&store, 3, &again), TG_OK, "%s", again.text);
            cr_assert(whole(decided ? 5 : 4));
            if (!hit) { break; }
            cr_assert_lt(k, 300);
        }
    }
    cr_assert(previous > 50 && new > 50, "%" PRIu32 " %" PRIu32, previous, new);
}

Test(recovery, a_call_that_fails_while_choosing_chooses_nothing_wrong)
{
    static struct faulty faulty;
    world.base_every = 1;
    checkpoints(1, 3);
    for (int way = 0; way < FAULTY_WAYS; way++) {
        for (uint64_t k = 1;; k++) {
            faulty_use(&faulty, (enum faulty_way)way, k, 1);
            const tg_status status = choose_plain();
            const bool hit = faulty.hit;
            tg_file_ops_use(NULL);
            if (status == TG_OK) {
                cr_assert(choice.found);
                cr_assert(choice.epoch == 3 || (choice.epoch == 2 && choice.skipped[0].why.os_errno == EIO));
            } else {
                cr_assert(err.code == TG1511 || err.code == TG1512, "%s", err.text);
            }
            if (!hit) { break; }
        }
    }
    chooses(3);
}

Test(recovery, versions_on_the_job_clock_rise_with_every_start)
{
    const int64_t born = 1700000000000000;
    const int64_t room = 1 << 28;
    struct tg_manifest manifest = {.generation = 3, .job_clock_base = born};
    cr_assert_eq(tg_recovery_job_clock_base(&manifest, 4, born + 2 * room), born + 2 * room);
    cr_assert_eq(tg_recovery_job_clock_base(&manifest, 4, born - 1), born + room); /* the clock was set back */
    cr_assert_eq(tg_recovery_job_clock_base(&manifest, 6, 0), born + 3 * room);    /* two starts died early */
    cr_assert_eq(tg_recovery_job_clock_base(&manifest, 2, 0), born + room);        /* a copied directory */
    manifest.generation = 0;
    cr_assert_gt(tg_recovery_job_clock_base(&manifest, UINT64_MAX, 0), born + room);
    manifest.job_clock_base = INT64_MAX - 1;
    cr_assert_eq(tg_recovery_job_clock_base(&manifest, 1, born), born);
}

Test(recovery, three_checkpoints_and_their_chains_stay)
{
    checkpoints(1, 8);                                                         /* bases 1, 4, 7 */
    cr_assert_eq(tg_recovery_collect(&store, 1, &err), TG_OK, "%s", err.text); /* fewer than 3 is 3 */
    cr_assert(!there("MANIFEST-5") && there("MANIFEST-6") && there("MANIFEST-7") && there("MANIFEST-8"));
    cr_assert(!there("e3") && there("e4") && there("e5") && there("e6") && there("e7") && there("e8"));
    cr_assert(whole(8));
    cr_assert_eq(tg_store_epoch_begin(&store, 9, &err), TG_OK);
    cr_assert_eq(tg_recovery_collect(&store, 3, &err), TG_OK);
    cr_assert(!there("e9")); /* never completed */
    checkpoints(10, 11);
    cr_assert_eq(tg_recovery_collect(&store, 5, &err), TG_OK);
    cr_assert(there("MANIFEST-6") && there("e4"));
    cr_assert_eq(tg_recovery_collect(&store, 4, &err), TG_OK);
    cr_assert(!there("MANIFEST-6") && there("MANIFEST-7") && !there("e4") && there("e7"));
}

Test(recovery, what_is_not_acknowledged_keeps_the_last_that_is)
{
    world.base_every = 1;
    world.commits = true;
    checkpoints(1, 6);
    cr_assert_eq(tg_store_acknowledge(&store, 2, 1, &err), TG_OK);
    cr_assert_eq(tg_recovery_collect(&store, 3, &err), TG_OK, "%s", err.text);
    cr_assert(!there("MANIFEST-1") && there("MANIFEST-2") && there("e2") && there("ACK-2") && there("MANIFEST-3"));
    cr_assert_eq(tg_store_acknowledge(&store, 5, 1, &err), TG_OK);
    cr_assert_eq(tg_recovery_collect(&store, 3, &err), TG_OK);
    cr_assert(!there("MANIFEST-2") && !there("ACK-2") && !there("e3") && there("MANIFEST-4"));
}

Test(recovery, a_damaged_manifest_stops_deletions_until_it_is_old)
{
    checkpoints(1, 6);
    damage("MANIFEST-5", 50);
    cr_assert_eq(tg_store_epoch_begin(&store, 7, &err), TG_OK);
    cr_assert_eq(tg_recovery_collect(&store, 3, &err), TG_OK, "%s", err.text);
    cr_assert(there("MANIFEST-1") && there("e1") && there("MANIFEST-5") && there("e5") && !there("e7"));
    checkpoints(8, 10);
    cr_assert_eq(tg_recovery_collect(&store, 3, &err), TG_OK);
    cr_assert(!there("MANIFEST-5") && !there("e1") && there("MANIFEST-8"));
    cr_assert(whole(10));
}
