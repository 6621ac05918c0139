/* --fresh: what is forgotten, and what is not. Also what loading refuses that no start would choose. */
#include "engine/checkpoint/checkpoint.h"
#include "tests/faulty_ops.h"
#include "tests/no_memory.h"
#include "tests/unit/engine/recovery_fixture.h"

static struct tg_job job;
static struct tg_plan plan;
static struct tg_checkpoint checkpoint;

static void begin(void)
{
    recovery_begin();
    job = (struct tg_job){.name = "job"};
    job.checkpoint.dir = path;
    plan = (struct tg_plan){.job = &job, .shard_count = 2};
    checkpoint = (struct tg_checkpoint){.config = {.plan = &plan}, .store = store};
}
TestSuite(forget, .init = begin, .fini = recovery_end, .timeout = 120);

/* How many manifests there are. */
static uint32_t manifests(void)
{
    struct tg_store_listing listing;
    struct tg_error why = {0};
    tg_arena_close(&arena);
    cr_assert_eq(tg_arena_open(&arena, TG_RECOVERY_ARENA_BYTES, NULL), TG_OK);
    cr_assert_eq(tg_store_list(&store, &arena, &listing, &why), TG_OK, "%s", why.text);
    return listing.manifest_count;
}

static tg_status forget(void)
{
    err = (struct tg_error){0};
    return tg_checkpoint_forget(&checkpoint, &err);
}

Test(forget, everything_goes_also_what_is_damaged_and_where_there_is_nothing)
{
    checkpoints(1, 4);
    damage("MANIFEST-4", 40);
    cr_assert_eq(forget(), TG_OK, "%s", err.text);
    cr_assert_eq(manifests(), 0);
    cr_assert_eq(forget(), TG_OK, "%s", err.text);
    world_open(&world, &maker, 2);
    checkpoints(1, 1);
    damage("MANIFEST-1", 40); /* nobody can know whose it is */
    cr_assert_eq(forget(), TG_OK, "%s", err.text);
    cr_assert_eq(manifests(), 0);
}

Test(forget, what_another_job_has_made_stays)
{
    checkpoints(1, 4);
    damage("MANIFEST-4", 40);
    job.name = "other";
    cr_assert_neq(forget(), TG_OK);
    cr_assert_eq(err.code, TG1514);
    cr_assert_not_null(strstr(err.text, "checkpoint 3 in "), "%s", err.text);
    cr_assert_not_null(strstr(err.text, " is of job job, this is other: --fresh does not remove it"), "%s", err.text);
    cr_assert_eq(manifests(), 4);
}

Test(forget, whatever_call_fails_is_told_and_doing_it_again_ends_it)
{
    static struct faulty faulty;
    uint32_t failures = 0;
    bool hit = true;
    for (uint64_t call = 1; hit; call++) {
        maker_close(&maker); /* its memory is finite */
        maker_open(&maker, seed + call);
        world_open(&world, &maker, 2);
        checkpoints(call * 10, call * 10 + 2);
        faulty_use(&faulty, FAULTY_EIO, call, UINT32_MAX);
        failures += forget() != TG_OK;
        tg_file_ops_use(NULL);
        hit = faulty.hit;
        cr_assert_eq(forget(), TG_OK, "call %" PRIu64 ": %s", call, err.text);
        cr_assert_eq(manifests(), 0);
    }
    cr_assert_gt(failures, 5);
}

Test(forget, without_memory_nothing_is_forgotten)
{
    checkpoints(1, 2);
    if (!no_memory_above(0)) { return; } /* see there */
    const tg_status status = forget();
    memory_again();
    cr_assert(status != TG_OK && err.code == TG1601);
    cr_assert_eq(manifests(), 2);
}

Test(forget, loading_refuses_tables_that_the_job_does_not_have)
{
    static struct tg_checkpoint_shard parts[2];
    checkpoints(1, 2);
    chooses(2);
    checkpoint.choice = choice;
    checkpoint.parts = parts;
    checkpoint.config.clock = tg_clock_real();
    for (uint32_t shard = 0; shard < 2; shard++) {
        parts[shard].shard = shard;
        err = (struct tg_error){0};
        cr_assert_neq(tg_checkpoint_load(&checkpoint, shard, &err), TG_OK);
        cr_assert_eq(err.code, TG1519);
        cr_assert_not_null(strstr(err.text, " holds state of counts, which the job does not have"), "%s", err.text);
    }
}
