/* Checkpoints on a disk that forgets what was not synced: after a power cut or a kill at any call, with or without a
 * disk that fails now and then, the newest durable checkpoint is chosen, whole, and no manifest is ever seen whose
 * files are not. */
#include <criterion/criterion.h>

#include "engine/checkpoint/tick_log.h"
#include "engine/sim/disk.h"
#include "tests/checkpoint_world.h"
#include "tests/faulty_ops.h"
#include "tests/seed.h"

struct life {
    struct maker maker;
    struct world world;
    struct tg_store store;
    struct faulty faulty;
    uint64_t durable;  /* newest checkpoint whose publication returned without an error */
    uint64_t possible; /* newest one that may have been decided */
    uint64_t next;
};
static struct life life;
static struct tg_error err;

static struct tg_sim_disk *make_disk(uint64_t seed)
{
    struct tg_sim_disk *disk = tg_sim_disk_create(seed);
    tg_sim_disk_set_direct(disk, (enum tg_sim_direct)(seed % TG_SIM_DIRECT_WAYS));
    return disk;
}

static tg_status open_store(void)
{
    err = (struct tg_error){0};
    return tg_store_open(&life.store, &(struct tg_store_config){.path = "var/job/checkpoints", .pid = 7}, &err);
}

/* Up to 8 checkpoints with acknowledgements and sweeps, until a call that cannot be passed over fails. */
static void run(void)
{
    struct tg_error why = {0};
    if (tg_store_open(&life.store, &(struct tg_store_config){.path = "var/job/checkpoints", .pid = 7}, &why) != TG_OK) {
        return;
    }
    for (uint32_t i = 0; i < 8; i++) {
        const uint64_t epoch = life.next++;
        bool decided;
        const tg_status status = world_checkpoint(&life.world, &life.store, epoch, &decided, &why);
        if (decided) { life.possible = epoch; }
        if (status == TG_OK) { life.durable = epoch; }
        if (decided && status != TG_OK) { break; } /* nobody knows: stop and recover */
        if (status != TG_OK) { continue; }
        const tg_status acknowledged = tg_store_acknowledge(&life.store, epoch, 1, &why);
        const tg_status swept = tg_recovery_collect(&life.store, 3, &why);
        (void)acknowledged; /* both may be lost */
        (void)swept;
    }
    tg_store_close(&life.store);
}

/* What a start finds; takes the chains over, so that the next life goes on from it. */
static void recover(uint64_t seed, uint64_t call)
{
    cr_assert_eq(open_store(), TG_OK, "seed %" PRIu64 " call %" PRIu64 ": %s", seed, call, err.text);
    struct tg_recovery_wanted wanted = world_wanted(&life.world);
    wanted.transactional = true;
    struct tg_arena arena;
    cr_assert_eq(tg_arena_open(&arena, TG_RECOVERY_ARENA_BYTES, NULL), TG_OK);
    struct tg_recovery_choice choice;
    cr_assert_eq(tg_recovery_choose(&life.store, &wanted, &arena, &choice, &err), TG_OK,
                 "seed %" PRIu64 " call %" PRIu64 ": %s", seed, call, err.text);
    cr_assert_eq(choice.skipped_count, 0, "seed %" PRIu64 " call %" PRIu64 ": %s", seed, call,
                 choice.skipped[0].why.text);
    const uint64_t found = choice.found ? choice.epoch : 0;
    cr_assert(found == life.durable || found == life.possible,
              "seed %" PRIu64 " call %" PRIu64 ": found %" PRIu64 ", durable %" PRIu64 ", possible %" PRIu64, seed,
              call, found, life.durable, life.possible);
    cr_assert_eq(tg_recovery_collect(&life.store, 3, &err), TG_OK, "%s", err.text);
    memset(life.world.chain_count, 0, sizeof life.world.chain_count); /* the next files are bases */
    life.durable = life.possible = found;
    life.next = choice.newest + 1;
    tg_arena_close(&arena);
    tg_store_close(&life.store);
}

static void lives(uint64_t seed, uint32_t count, const struct tg_sim_disk_faults *faults)
{
    static const struct tg_sim_disk_faults none;
    struct tg_sim_disk *disk = make_disk(seed);
    cr_assert_not_null(disk);
    life = (struct life){.next = 1};
    maker_open(&life.maker, seed);
    for (uint32_t i = 0; i < count; i++) {
        maker_close(&life.maker);
        maker_open(&life.maker, seed + i);
        world_open(&life.world, &life.maker, 1 + maker_below(&life.maker, 3));
        life.world.records = 3;
        life.world.commits = maker_below(&life.maker, 2) == 0;
        const uint64_t call = 1 + maker_below(&life.maker, i % 4 == 0 ? 60 : 500);
        faulty_use(&life.faulty, maker_below(&life.maker, 2) == 0 ? FAULTY_EIO : FAULTY_TORN_ERROR, call, UINT32_MAX);
        life.faulty.real = tg_sim_disk_ops(disk);
        tg_sim_disk_set_faults(disk, faults);
        run();
        tg_sim_disk_set_faults(disk, &none);
        tg_sim_disk_crash(disk, maker_below(&life.maker, 3) == 0 ? TG_SIM_KILL : TG_SIM_POWER);
        tg_sim_disk_check(disk);
        tg_file_ops_use(tg_sim_disk_ops(disk));
        recover(seed, call);
    }
    cr_assert_gt(life.durable, count / 4);
    tg_file_ops_use(NULL);
    tg_sim_disk_destroy(disk);
    maker_close(&life.maker);
}

/* Where a copy, of some hundred calls, is cut: half the time early, where nothing of it may have lasted. */
static uint64_t draw_call(void) { return 1 + maker_below(&life.maker, maker_below(&life.maker, 2) == 0 ? 12 : 120); }

/* An old checkpoint made the newest one: after any cut there is the one or the other, whole. */
Test(checkpoints, a_copy_is_there_whole_or_not_at_all, .timeout = 200)
{
    const uint64_t seed = tg_test_seed();
    uint32_t there = 0;
    uint32_t not_there = 0;
    for (uint32_t i = 0; i < 300; i++) {
        struct tg_sim_disk *disk = make_disk(seed + i);
        life = (struct life){.next = 1};
        maker_open(&life.maker, seed + i);
        world_open(&life.world, &life.maker, 1 + maker_below(&life.maker, 3));
        life.world.records = 3;
        tg_file_ops_use(tg_sim_disk_ops(disk));
        cr_assert_eq(open_store(), TG_OK, "%s", err.text);
        for (uint64_t epoch = 1; epoch <= 4; epoch++) {
            bool decided;
            cr_assert_eq(world_checkpoint(&life.world, &life.store, epoch, &decided, &err), TG_OK, "%s", err.text);
        }
        struct tg_arena arena;
        struct tg_manifest old;
        struct tg_recovery_totals totals;
        cr_assert_eq(tg_arena_open(&arena, TG_RECOVERY_ARENA_BYTES, NULL), TG_OK);
        cr_assert_eq(tg_recovery_read_manifest(&life.store, 2, &arena, &old, &err), TG_OK, "%s", err.text);
        const uint64_t call = draw_call();
        faulty_use(&life.faulty, maker_below(&life.maker, 2) == 0 ? FAULTY_EIO : FAULTY_TORN_ERROR, call, UINT32_MAX);
        life.faulty.real = tg_sim_disk_ops(disk);
        const bool said = tg_recovery_copy(&life.store, &old, &life.store, 5, &totals, &err) == TG_OK;
        tg_arena_close(&arena);
        tg_store_close(&life.store);
        tg_sim_disk_crash(disk, maker_below(&life.maker, 3) == 0 ? TG_SIM_KILL : TG_SIM_POWER);
        tg_sim_disk_check(disk);
        tg_file_ops_use(tg_sim_disk_ops(disk));
        life.durable = said ? 5 : 4;
        life.possible = 5;
        recover(seed + i, call);
        there += life.durable == 5;
        not_there += life.durable == 4;
        tg_file_ops_use(NULL);
        tg_sim_disk_destroy(disk);
        maker_close(&life.maker);
    }
    cr_assert(there > 20 && not_there > 20, "%u there, %u not", there, not_there);
}

/* Two ticks of the world's run that its checkpoint 2 does not hold, in the directory of `store`. */
static void write_ticks(const struct tg_store *store)
{
    const struct tg_tick ticks[] = {{.partition = 0, .offset = 500, .wm = 9000},
                                    {.partition = 1, .offset = 7, .wm = 8}};
    const struct tg_ticks_source source = {
        .name = "tx", .topic = "transactions", .cluster = "", .partition_count = life.world.partition_count};
    const struct tg_ticks_header header = {.job = "job", .graph_hash = 0xABCD, .source_count = 1, .sources = &source};
    const struct tg_manifest manifest = world_manifest(&life.world, 1);
    struct tg_tick_log log;
    cr_assert_eq(tg_tick_log_open(&log, store, &header, NULL, &err), TG_OK, "%s", err.text);
    tg_tick_log_begin(&log, &manifest.run_id);
    cr_assert_eq(tg_tick_log_append(&log, ticks, 2, &err), TG_OK, "%s", err.text);
    tg_tick_log_close(&log);
}

/* What a start of a lost directory finds, after a restore into it was cut; true = the checkpoint. Where a part of it is
 * there the start is refused. */
static bool finds_all_or_nothing(uint64_t seed, uint64_t call, uint32_t *refused)
{
    cr_assert_eq(open_store(), TG_OK, "seed %" PRIu64 " call %" PRIu64 ": %s", seed, call, err.text);
    const struct tg_recovery_wanted wanted = world_wanted(&life.world);
    struct tg_arena arena;
    struct tg_recovery_choice choice;
    struct tg_tick_totals ticks = {0};
    cr_assert_eq(tg_arena_open(&arena, TG_RECOVERY_ARENA_BYTES, NULL), TG_OK);
    const tg_status status = tg_recovery_choose(&life.store, &wanted, &arena, &choice, &err);
    const bool is_refused = status != TG_OK;
    *refused += is_refused;
    cr_assert(!is_refused || err.code == TG1524, "seed %" PRIu64 " call %" PRIu64 ": %s", seed, call, err.text);
    cr_assert(choice.found || is_refused || choice.newest == 0,
              "seed %" PRIu64 " call %" PRIu64 ": a fresh start over a part of a copy", seed, call);
    if (choice.found) {
        cr_assert_eq(tg_tick_log_verify(&life.store, &choice.manifest, &ticks, &err), TG_OK, "%s", err.text);
        cr_assert_eq(ticks.waiting, 1, "seed %" PRIu64 " call %" PRIu64 ": ticks are lost", seed, call);
    } else if (!is_refused) {
        struct tg_tick_log_found found;
        cr_assert_eq(tg_tick_log_find(&life.store, NULL, &arena, &found, &err), TG_OK, "%s", err.text);
        cr_assert_not(found.data != NULL, "seed %" PRIu64 " call %" PRIu64 ": ticks of no checkpoint", seed, call);
    }
    tg_arena_close(&arena);
    tg_store_close(&life.store);
    return choice.found;
}

/* A checkpoint brought from another directory: whenever there is one, its ticks are there, too. */
Test(checkpoints, a_copy_in_another_directory_is_there_with_its_ticks_or_not_at_all, .timeout = 200)
{
    const uint64_t seed = tg_test_seed();
    uint32_t there = 0;
    uint32_t not_there = 0;
    uint32_t refused = 0;
    for (uint32_t i = 0; i < 300; i++) {
        struct tg_sim_disk *disk = make_disk(seed + i);
        life = (struct life){.next = 1};
        maker_open(&life.maker, seed + i);
        world_open(&life.world, &life.maker, 1 + maker_below(&life.maker, 3));
        life.world.records = 3;
        tg_file_ops_use(tg_sim_disk_ops(disk));
        struct tg_store backup;
        struct tg_arena arena;
        struct tg_manifest old;
        struct tg_recovery_totals totals;
        cr_assert_eq(tg_store_open(&backup, &(struct tg_store_config){.path = "backup", .pid = 7}, &err), TG_OK);
        for (uint64_t epoch = 1; epoch <= 2; epoch++) {
            bool decided;
            cr_assert_eq(world_checkpoint(&life.world, &backup, epoch, &decided, &err), TG_OK, "%s", err.text);
        }
        write_ticks(&backup);
        cr_assert_eq(tg_arena_open(&arena, TG_RECOVERY_ARENA_BYTES, NULL), TG_OK);
        cr_assert_eq(tg_recovery_read_manifest(&backup, 2, &arena, &old, &err), TG_OK, "%s", err.text);
        cr_assert_eq(open_store(), TG_OK, "%s", err.text);
        const uint64_t call = draw_call();
        faulty_use(&life.faulty, maker_below(&life.maker, 2) == 0 ? FAULTY_EIO : FAULTY_TORN_ERROR, call, UINT32_MAX);
        life.faulty.real = tg_sim_disk_ops(disk);
        const bool said = tg_recovery_copy(&backup, &old, &life.store, 3, &totals, &err) == TG_OK;
        tg_arena_close(&arena);
        tg_store_close(&life.store);
        tg_store_close(&backup);
        tg_sim_disk_crash(disk, maker_below(&life.maker, 3) == 0 ? TG_SIM_KILL : TG_SIM_POWER);
        tg_file_ops_use(tg_sim_disk_ops(disk));
        const bool found = finds_all_or_nothing(seed + i, call, &refused);
        cr_assert(found || !said, "seed %" PRIu64 " call %" PRIu64 ": it was said to be there", seed + i, call);
        there += found;
        not_there += !found;
        tg_file_ops_use(NULL);
        tg_sim_disk_destroy(disk);
        maker_close(&life.maker);
    }
    cr_assert(refused > 20 && not_there - refused > 2, "%u refused of %u", refused, not_there);
    cr_assert(there > 20 && not_there > 20, "%u there, %u not", there, not_there);
}

Test(checkpoints, survive_power_cuts_and_kills_at_any_call, .timeout = 200)
{
    const uint64_t seed = tg_test_seed();
    const struct tg_sim_disk_faults none = {0};
    for (uint32_t i = 0; i < 20; i++) { lives(seed + 1001 * i, 15, &none); }
}

Test(checkpoints, survive_them_on_a_disk_that_fails_now_and_then, .timeout = 200)
{
    const uint64_t seed = tg_test_seed();
    for (uint32_t i = 0; i < 20; i++) {
        const struct tg_sim_disk_faults faults = {
            .read_ppm = 2000, .write_ppm = 10000, .short_ppm = 50000, .sync_ppm = 10000, .entry_ppm = 5000};
        lives(seed + 1001 * i, 15, &faults);
    }
}
