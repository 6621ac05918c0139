/* The log of ticks on disk, and a shard's way to it: what was said to be durable is found again, nothing else ever is,
 * whatever file call fails. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/checkpoint/tick_log.h"
#include "tests/faulty_ops.h"

#define NOON INT64_C(1715421600000000)
enum { PARTITIONS = 4 };

static char folder[64];
static char path[128];
static struct tg_store store;
static struct tg_tick_log log_;
static struct tg_error err;
static struct tg_run_id run_id = {.bytes = {1, 2, 3}};
static uint64_t now_ns;

static const struct tg_ticks_source sources[] = {
    {.name = "tx", .topic = "t", .cluster = "", .partition_count = PARTITIONS}};

static struct tg_ticks_header header_of(const char *job)
{
    return (struct tg_ticks_header){.job = job, .graph_hash = 7, .source_count = 1, .sources = sources};
}

static tg_status open_log(const char *job, const struct tg_manifest *chosen)
{
    const struct tg_ticks_header header = header_of(job);
    err = (struct tg_error){0};
    const tg_status status = tg_tick_log_open(&log_, &store, &header, chosen, &err);
    if (status == TG_OK) { tg_tick_log_begin(&log_, &run_id); }
    return status;
}

static void reopen(const struct tg_manifest *chosen)
{
    tg_tick_log_close(&log_);
    cr_assert_eq(open_log("job", chosen), TG_OK, "%s", err.text);
}

static void begin(void)
{
    (void)snprintf(folder, sizeof folder, "%s/turgo-ticks-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/ticks.log", folder);
    tg_log_configure(&(struct tg_log_config){.level_min = TG_LOG_ERROR});
    cr_assert_eq(tg_store_open(&store, &(struct tg_store_config){.path = folder, .pid = 1}, &err), TG_OK);
    cr_assert_eq(open_log("job", NULL), TG_OK, "%s", err.text);
    now_ns = 1;
}
static void end(void)
{
    char command[128];
    tg_file_ops_use(NULL);
    tg_tick_log_close(&log_);
    tg_store_close(&store);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}
TestSuite(tick_log, .init = begin, .fini = end, .timeout = 120);

static tg_status append(uint32_t partition, int64_t offset, int64_t wm)
{
    const struct tg_tick tick = {.partition = partition, .offset = offset, .wm = wm, .wall_us = NOON + wm};
    err = (struct tg_error){0};
    return tg_tick_log_append(&log_, &tick, 1, &err);
}

static int64_t bytes_there(void)
{
    struct stat found;
    return stat(path, &found) == 0 ? found.st_size : -1;
}

static void assert_replay(uint32_t partition, uint32_t count, const int64_t (*wanted)[2])
{
    uint32_t found;
    const struct tg_tick *ticks = tg_tick_log_replay(&log_, 0, partition, &found);
    cr_assert_eq(found, count, "partition %u: %u", partition, found);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_eq(ticks[i].offset, wanted[i][0]);
        cr_assert_eq(ticks[i].wm, wanted[i][1]);
    }
}

Test(tick_log, a_job_without_ticks_has_no_file)
{
    cr_assert_eq(bytes_there(), -1);
    cr_assert_not(log_.found);
    assert_replay(0, 0, NULL);
}

Test(tick_log, a_start_finds_the_ticks_of_all_partitions_in_their_order)
{
    cr_assert_eq(append(2, 10, 100), TG_OK, "%s", err.text);
    cr_assert_eq(append(0, -1, 50), TG_OK);
    cr_assert_eq(append(2, 10, 200), TG_OK);
    cr_assert_eq(append(2, 15, 300), TG_OK);
    reopen(NULL);
    cr_assert(log_.found);
    cr_assert_eq(memcmp(&log_.header.run_id, &run_id, sizeof run_id), 0, "the run goes on");
    assert_replay(0, 1, (const int64_t[][2]){{-1, 50}});
    assert_replay(1, 0, NULL);
    assert_replay(2, 2, (const int64_t[][2]){{10, 200}, {15, 300}});
    cr_assert_eq(append(1, 7, 70), TG_OK);
    reopen(NULL);
    assert_replay(1, 1, (const int64_t[][2]){{7, 70}});
}

/* A sync of the old one may have failed before its writer died: another one would not write what that one lost. */
Test(tick_log, a_start_goes_on_with_a_new_file)
{
    struct stat before;
    struct stat after;
    cr_assert_eq(append(2, 10, 100), TG_OK, "%s", err.text);
    cr_assert_eq(stat(path, &before), 0);
    reopen(NULL);
    cr_assert_eq(stat(path, &after), 0);
    cr_assert_neq(before.st_ino, after.st_ino);
    cr_assert_eq(before.st_size, after.st_size);
}

static struct tg_manifest chosen_of(struct tg_manifest_partition *partitions, struct tg_manifest_source *source)
{
    *source = (struct tg_manifest_source){
        .name = "tx", .topic = "t", .cluster = "", .partition_count = PARTITIONS, .partitions = partitions};
    return (struct tg_manifest){.epoch = 5, .run_id = run_id, .source_count = 1, .sources = source};
}

Test(tick_log, what_the_checkpoint_holds_does_not_act_again)
{
    struct tg_manifest_partition partitions[PARTITIONS] = {{.next_offset = 10, .wm = 150},
                                                           {.next_offset = -1, .wm = TG_TS_MIN},
                                                           {.next_offset = 3, .wm = TG_TS_MAX},
                                                           {.next_offset = 0, .wm = 0}};
    struct tg_manifest_source source;
    const struct tg_manifest chosen = chosen_of(partitions, &source);
    const struct {
        uint32_t partition;
        int64_t offset, wm;
    } ticks[] = {{0, 5, 60}, {0, 10, 140}, {0, 10, 160}, {0, 12, 170}, {1, -1, 5}, {2, 3, 9}, {3, 0, 0}, {3, 0, 1}};
    for (uint32_t i = 0; i < sizeof ticks / sizeof ticks[0]; i++) {
        cr_assert_eq(append(ticks[i].partition, ticks[i].offset, ticks[i].wm), TG_OK, "%s", err.text);
    }
    reopen(&chosen);
    assert_replay(0, 2, (const int64_t[][2]){{10, 160}, {12, 170}});
    assert_replay(1, 1, (const int64_t[][2]){{-1, 5}});
    assert_replay(2, 0, NULL);
    assert_replay(3, 1, (const int64_t[][2]){{0, 1}});
}

Test(tick_log, one_of_another_run_is_refused_beside_a_checkpoint_and_replaced_without)
{
    struct tg_manifest_partition partitions[PARTITIONS] = {{.next_offset = 0}};
    struct tg_manifest_source source;
    struct tg_manifest chosen = chosen_of(partitions, &source);
    cr_assert_eq(append(0, 1, 10), TG_OK, "%s", err.text);
    chosen.run_id.bytes[0]++;
    tg_tick_log_close(&log_);
    cr_assert_neq(open_log("job", &chosen), TG_OK);
    cr_assert_eq(err.code, TG1512);
    tg_tick_log_close(&log_);
    cr_assert_eq(open_log("another", NULL), TG_OK, "%s", err.text);
    cr_assert_not(log_.found);
    assert_replay(0, 0, NULL);
    cr_assert_eq(append(3, 2, 20), TG_OK, "%s", err.text);
    tg_tick_log_close(&log_);
    cr_assert_eq(open_log("another", NULL), TG_OK, "%s", err.text);
    assert_replay(0, 0, NULL);
    assert_replay(3, 1, (const int64_t[][2]){{2, 20}});
}

Test(tick_log, a_torn_end_is_cut_off_before_anything_follows)
{
    cr_assert_eq(append(0, 1, 10), TG_OK);
    const int64_t whole = bytes_there();
    cr_assert_eq(append(0, 2, 20), TG_OK);
    cr_assert_eq(truncate(path, bytes_there() - 1), 0);
    reopen(NULL);
    cr_assert_eq(bytes_there(), whole);
    assert_replay(0, 1, (const int64_t[][2]){{1, 10}});
    cr_assert_eq(append(0, 3, 30), TG_OK);
    reopen(NULL);
    assert_replay(0, 2, (const int64_t[][2]){{1, 10}, {3, 30}});
}

Test(tick_log, a_damaged_one_is_refused)
{
    cr_assert_eq(append(0, 1, 10), TG_OK);
    cr_assert_eq(append(0, 2, 20), TG_OK);
    FILE *file = fopen(path, "r+");
    cr_assert_eq(fseek(file, (long)bytes_there() - 80, SEEK_SET), 0); /* in the last but one */
    cr_assert_eq(fputc(0xFF, file), 0xFF);
    cr_assert_eq(fclose(file), 0);
    tg_tick_log_close(&log_);
    cr_assert_neq(open_log("job", NULL), TG_OK);
    cr_assert_eq(err.code, TG1512, "%s", err.text);
}

Test(tick_log, a_partition_that_is_idle_for_years_does_not_fill_the_disk)
{
    int64_t longest = 0;
    for (int64_t i = 0; i < 20000; i++) {
        cr_assert_eq(append((uint32_t)(i % 2), 5, i), TG_OK, "%s", err.text);
        longest = bytes_there() > longest ? bytes_there() : longest;
    }
    cr_assert_leq(longest, TG_TICK_LOG_TRIM_BYTES + 128);
    reopen(NULL);
    assert_replay(0, 1, (const int64_t[][2]){{5, 19998}});
    assert_replay(1, 1, (const int64_t[][2]){{5, 19999}});
}

static void publish(struct tg_manifest manifest)
{
    static uint8_t bytes[1 << 16];
    const struct tg_manifest_file file = {.kind = TG_STATE_BASE, .epoch = manifest.epoch, .bytes = 1000};
    bool decided;
    manifest.job = "job";
    manifest.key_group_count = TG_KEY_GROUP_COUNT;
    manifest.shard_count = manifest.file_count = 1;
    manifest.files = &file;
    struct tg_bytes_out out = {.data = bytes, .capacity = sizeof bytes};
    cr_assert_eq(tg_store_epoch_begin(&store, manifest.epoch, &err), TG_OK, "%s", err.text);
    cr_assert_null(tg_manifest_flaw(&manifest));
    cr_assert_eq(tg_manifest_encode(&manifest, &out, &err), TG_OK, "%s", err.text);
    cr_assert_eq(tg_store_publish(&store, manifest.epoch, out.data, out.used, &decided, &err), TG_OK, "%s", err.text);
}

Test(tick_log, what_an_older_number_holds_is_kept_for_a_newer_one_that_stands_before_it)
{
    struct tg_manifest_partition ahead[PARTITIONS] = {{.next_offset = 100, .wm = 1000}};
    struct tg_manifest_partition restored[PARTITIONS] = {{.next_offset = 10, .wm = 150}};
    struct tg_manifest_source sources_of[2];
    struct tg_manifest manifest = chosen_of(ahead, &sources_of[0]);
    struct tg_manifest newest = chosen_of(restored, &sources_of[1]);
    sources_of[0].connector = sources_of[1].connector = "kafka";
    manifest.epoch = 19;
    newest.epoch = 20;
    publish(manifest);
    publish(newest);
    cr_assert_eq(append(0, 5, 60), TG_OK, "%s", err.text);
    cr_assert_eq(append(0, 50, 500), TG_OK, "%s", err.text);
    log_.trim_bytes = 1;
    const int64_t before = bytes_there();
    cr_assert_eq(append(0, 60, 600), TG_OK, "%s", err.text);
    cr_assert_leq(bytes_there(), before, "the first one is held by both");
    reopen(&newest);
    assert_replay(0, 2, (const int64_t[][2]){{50, 500}, {60, 600}});
}

/* Another process starts on the directory, though this one is still there. */
static void take_over(struct tg_store *other)
{
    char lock[128];
    (void)snprintf(lock, sizeof lock, "%s/LOCK", folder);
    cr_assert_eq(unlink(lock), 0);
    cr_assert_eq(tg_store_open(other, &(struct tg_store_config){.path = folder, .pid = 2}, &err), TG_OK, "%s",
                 err.text);
}

/* The bytes of the log; free() them. */
static char *take_bytes(void)
{
    const size_t bytes = (size_t)bytes_there();
    char *data = malloc(bytes);
    FILE *in = fopen(path, "r");
    cr_assert(data != NULL && in != NULL);
    cr_assert_eq(fread(data, 1, bytes, in), bytes);
    (void)fclose(in);
    return data;
}

Test(tick_log, a_process_that_was_replaced_leaves_the_log_alone)
{
    struct tg_store other;
    cr_assert_eq(append(0, 10, 100), TG_OK, "%s", err.text);
    take_over(&other);
    struct tg_tick_log theirs;
    const struct tg_ticks_header header = header_of("job");
    cr_assert_eq(tg_tick_log_open(&theirs, &other, &header, NULL, &err), TG_OK, "%s", err.text);
    tg_tick_log_begin(&theirs, &run_id);
    const struct tg_tick tick = {.partition = 1, .offset = 20, .wm = 200, .wall_us = NOON};
    cr_assert_eq(tg_tick_log_append(&theirs, &tick, 1, &err), TG_OK, "%s", err.text);
    const int64_t bytes = bytes_there();
    char *before = take_bytes();
    cr_assert_neq(append(0, 10, 300), TG_OK);
    cr_assert_eq(err.code, TG1521, "TG%d %s", (int)err.code, err.text);
    log_.trim_bytes = 0;
    cr_assert_neq(append(0, 10, 300), TG_OK);
    log_.file.doubtful = true; /* of a write that failed before */
    cr_assert_neq(tg_tick_file_repair(&log_.file, &err), TG_OK);
    err = (struct tg_error){0};
    log_.file.doubtful = false;
    cr_assert_neq(tg_tick_file_replace(&log_.file, "x", 1, &err), TG_OK);
    cr_assert_eq(err.code, TG1521, "TG%d %s", (int)err.code, err.text);
    cr_assert_neq(tg_tick_file_remove(&store, &err), TG_OK);
    tg_tick_log_close(&log_);
    cr_assert_neq(open_log("job", NULL), TG_OK, "a start that was replaced before it came to the log");
    cr_assert_eq(err.code, TG1521, "TG%d %s", (int)err.code, err.text);
    cr_assert_eq(bytes_there(), bytes);
    char *after = take_bytes();
    cr_assert_eq(memcmp(before, after, (size_t)bytes), 0);
    free(before);
    free(after);
    tg_tick_log_close(&theirs);
    tg_store_close(&other);
}

/* ---- failing calls ----------------------------------------------------------------------------------------------- */

/* Ten ticks while the calls from the `first` on fail; what was said to be durable must be what a start finds. */
static bool survive(enum faulty_way way, uint64_t first, uint64_t count)
{
    static struct faulty faulty;
    int64_t acted[16][2];
    uint32_t acted_count = 0;
    cr_assert_eq(tg_tick_file_remove(&store, &err), TG_OK);
    reopen(NULL);
    log_.trim_bytes = 300; /* in the middle */
    faulty_use(&faulty, way, first, count);
    for (int64_t i = 0; i < 10; i++) {
        if (append(0, i, 10 * i) == TG_OK) {
            acted[acted_count][0] = i;
            acted[acted_count++][1] = 10 * i;
        }
        if (log_.trim_bytes > 5000) { log_.trim_bytes = 500; }
        for (uint32_t tries = 0; log_.file.doubtful; tries++) {
            cr_assert_lt(tries, 1000);
            if (tg_tick_file_repair(&log_.file, NULL) == TG_OK) { cr_assert_not(log_.file.doubtful); }
        }
    }
    tg_file_ops_use(NULL);
    reopen(NULL);
    uint32_t found;
    (void)tg_tick_log_replay(&log_, 0, 0, &found);
    cr_assert_eq(found, acted_count, "way %d, call %" PRIu64 " + %" PRIu64 ": %u of %u", way, first, count, found,
                 acted_count);
    assert_replay(0, acted_count, (const int64_t(*)[2])acted);
    return faulty.hit;
}

Test(tick_log, whichever_call_fails_and_however_only_durable_ticks_are_found)
{
    static const uint64_t runs[] = {1, 2, 5};
    uint32_t struck = 0;
    for (uint32_t way = 0; way < FAULTY_WAYS; way++) {
        for (uint32_t r = 0; r < sizeof runs / sizeof runs[0]; r++) {
            uint64_t first = 1;
            while (survive((enum faulty_way)way, first, runs[r])) {
                first++;
                struck++;
            }
        }
    }
    cr_assert_gt(struck, 500, "%u", struck);
}

/* ---- lanes ------------------------------------------------------------------------------------------------------- */

static struct tg_helper *helper;
static struct tg_arena arena;
static struct tg_tick_lane lane;
static struct tg_published published[PARTITIONS];
static struct tg_partition partitions[PARTITIONS];

static uint64_t monotonic_ns(void *self)
{
    (void)self;
    return now_ns;
}
static int64_t wall_us(void *self)
{
    (void)self;
    return NOON;
}

static void begin_lane(void)
{
    begin();
    cr_assert_eq(tg_arena_open(&arena, (size_t)16 << 20, NULL), TG_OK);
    cr_assert_eq(tg_helper_create(&helper, 1, NULL, NULL, &err), TG_OK);
    const struct tg_tick_lane_config config = {
        .log = &log_, .helper = helper, .clock = {.monotonic_ns = monotonic_ns, .wall_us = wall_us}};
    cr_assert_eq(tg_tick_lane_open(&lane, &config, &arena, &err), TG_OK);
    for (uint32_t i = 0; i < PARTITIONS; i++) { tg_partition_init(&partitions[i], &published[i]); }
}
static void end_lane(void)
{
    tg_helper_destroy(helper);
    tg_arena_close(&arena);
    end();
}
TestSuite(tick_lane, .init = begin_lane, .fini = end_lane, .timeout = 60);

static void order(uint32_t partition, int64_t wm)
{
    const struct tg_tick tick = {.partition = partition, .offset = 3, .wm = wm};
    cr_assert(tg_tick_lane_order(&lane, &tick, &partitions[partition]));
    cr_assert_eq(partitions[partition].tick, TG_TICK_ORDERED);
}

static void pass(uint64_t ns)
{
    now_ns += ns;
    (void)tg_tick_lane_poll(&lane, now_ns);
    (void)tg_helper_step(helper, 10);
    (void)tg_helper_poll(helper, 0);
}

Test(tick_lane, a_tick_is_durable_before_its_partition_hears_of_it)
{
    order(0, 100);
    (void)tg_tick_lane_poll(&lane, now_ns);
    order(1, 200); /* behind the one on its way */
    cr_assert_eq(bytes_there(), -1);
    cr_assert_eq(tg_helper_step(helper, 10), 1);
    cr_assert_gt(bytes_there(), 0);
    cr_assert_eq(partitions[0].tick, TG_TICK_ORDERED, "the shard has not looked");
    (void)tg_helper_poll(helper, 0);
    cr_assert_eq(partitions[0].tick, TG_TICK_DURABLE);
    cr_assert_eq(partitions[1].tick, TG_TICK_ORDERED);
    pass(1000000000);
    cr_assert_eq(partitions[1].tick, TG_TICK_DURABLE);
    reopen(NULL);
    assert_replay(0, 1, (const int64_t[][2]){{3, 100}});
    assert_replay(1, 1, (const int64_t[][2]){{3, 200}});
}

Test(tick_lane, ticks_that_are_due_together_share_a_frame)
{
    for (uint32_t i = 0; i < PARTITIONS; i++) { order(i, 10); }
    pass(0);
    cr_assert_eq(log_.frames, 1);
    for (uint32_t i = 0; i < PARTITIONS; i++) { cr_assert_eq(partitions[i].tick, TG_TICK_DURABLE); }
}

Test(tick_lane, a_full_one_takes_no_more_orders)
{
    static struct tg_partition many[TG_TICKS_FRAME_MAX + 1];
    const struct tg_tick tick = {.wm = 1};
    for (uint32_t i = 0; i < TG_TICKS_FRAME_MAX; i++) { cr_assert(tg_tick_lane_order(&lane, &tick, &many[i])); }
    cr_assert_not(tg_tick_lane_order(&lane, &tick, &many[TG_TICKS_FRAME_MAX]));
    cr_assert_eq(many[TG_TICKS_FRAME_MAX].tick, TG_TICK_NONE);
    pass(0);
    cr_assert_eq(many[TG_TICKS_FRAME_MAX - 1].tick, TG_TICK_DURABLE);
}

Test(tick_lane, one_that_cannot_be_written_does_not_act_and_the_next_one_may)
{
    static struct faulty faulty;
    faulty_use(&faulty, FAULTY_ENOSPC, 1, 1);
    order(0, 100);
    pass(0);
    tg_file_ops_use(NULL);
    cr_assert_eq(partitions[0].tick, TG_TICK_NONE);
    cr_assert_eq(lane.status, TG_ERR_IO);
    order(0, 110);
    pass(1000000000);
    cr_assert_eq(partitions[0].tick, TG_TICK_DURABLE);
    reopen(NULL);
    assert_replay(0, 1, (const int64_t[][2]){{3, 110}});
}

Test(tick_lane, while_nobody_knows_whether_it_was_written_it_stays_ordered)
{
    static struct faulty faulty;
    order(1, 1);
    pass(0); /* the file is there */
    order(0, 100);
    faulty_use(&faulty, FAULTY_EIO, 2, 5); /* the sync, and what takes the write back */
    pass(1000000000);
    cr_assert(lane.doubtful);
    cr_assert_eq(partitions[0].tick, TG_TICK_ORDERED);
    pass(1000000); /* not at once again */
    for (uint32_t i = 0; i < 20 && lane.doubtful; i++) {
        cr_assert_eq(partitions[0].tick, TG_TICK_ORDERED);
        pass(200000000);
    }
    tg_file_ops_use(NULL);
    cr_assert(faulty.hit);
    cr_assert_not(lane.doubtful);
    cr_assert_eq(partitions[0].tick, TG_TICK_NONE, "it is known not to be there");
    reopen(NULL);
    assert_replay(0, 0, NULL);
}

Test(tick_lane, of_a_process_that_was_replaced_says_so_and_sends_nothing_more)
{
    struct tg_store other;
    order(0, 100);
    pass(0);
    const int64_t bytes = bytes_there();
    order(1, 200);
    take_over(&other);
    pass(1000000000);
    cr_assert_eq(lane.fatal.code, TG1521, "TG%d %s", (int)lane.fatal.code, lane.fatal.text);
    cr_assert_eq(partitions[1].tick, TG_TICK_ORDERED, "no record of it is judged any more");
    pass(1000000000);
    cr_assert_not(lane.under_way);
    cr_assert_eq(bytes_there(), bytes);
    tg_store_close(&other);
}
