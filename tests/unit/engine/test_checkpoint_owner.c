/* A process whose directory was taken over, behind the decision of a checkpoint: it commits nothing any more, says
 * nothing of it, removes nothing, and ends. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/checkpoint/checkpoint.h"

enum { SINKS = 2 };

static char folder[64];
static struct tg_error err;
static struct tg_store other; /* whose it is once it was taken over */
static struct tg_checkpoint *checkpoint;
static struct tg_plan *plan;
static struct tg_job *job;
static struct tg_sink_spec specs[SINKS];
static struct tg_manifest_sink sinks[SINKS];
static void *shared[SINKS];
static uint32_t commits;
static uint32_t taken_over_in; /* the commit with this number; 0 = none */
static uint64_t now_ns;

static bool there(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

/* Somebody is sure that nothing runs there, and starts the job again; it has begun the next checkpoint. */
static void take_over(void)
{
    char lock[128];
    struct tg_error why = {0};
    (void)snprintf(lock, sizeof lock, "%s/LOCK", folder);
    cr_assert_eq(unlink(lock), 0);
    const struct tg_store_config config = {.path = folder, .pid = 2};
    cr_assert_eq(tg_store_open(&other, &config, &why), TG_OK, "%s", why.text);
    cr_assert_eq(tg_store_epoch_begin(&other, 2, &why), TG_OK, "%s", why.text);
}

static tg_status commit(void *self, const struct tg_committable *list, uint32_t count, struct tg_error *why)
{
    (void)self;
    (void)list;
    (void)count;
    (void)why;
    if (++commits == taken_over_in) { take_over(); }
    return TG_OK;
}

static uint64_t monotonic_ns(void *self)
{
    (void)self;
    return now_ns;
}

static int64_t wall_us(void *self)
{
    (void)self;
    return 1;
}

static struct tg_clock fixed_clock(void) { return (struct tg_clock){.monotonic_ns = monotonic_ns, .wall_us = wall_us}; }

static void begin(void)
{
    static const struct tg_sink_ops ops = {.name = "spy", .commit = commit};
    static const struct tg_committable rows = {.data = (const uint8_t *)"rows", .bytes = 4};
    static const char *const names[SINKS] = {"out", "late"};
    (void)snprintf(folder, sizeof folder, "%s/turgo-owner-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
    job = calloc(1, sizeof *job);
    plan = calloc(1, sizeof *plan);
    checkpoint = calloc(1, sizeof *checkpoint);
    cr_assert(job != NULL && plan != NULL && checkpoint != NULL);
    job->checkpoint.every = 1000;
    job->checkpoint.keep = 3;
    plan->job = job;
    plan->shard_count = 1;
    plan->sink_count = SINKS;
    for (uint32_t i = 0; i < SINKS; i++) {
        specs[i] = (struct tg_sink_spec){.name = names[i], .ops = &ops};
        plan->sinks[i].spec = &specs[i];
        sinks[i] = (struct tg_manifest_sink){
            .name = names[i], .connector = ops.name, .committable_count = 1, .committables = &rows};
    }
    checkpoint->config.plan = plan;
    checkpoint->config.clock = fixed_clock();
    checkpoint->shared = shared;
    checkpoint->parts = calloc(1, sizeof *checkpoint->parts);
    checkpoint->manifest = (struct tg_manifest){.epoch = 1, .sink_count = SINKS, .sinks = sinks};
    cr_assert_eq(tg_helper_create(&checkpoint->helper, 1, NULL, NULL, &err), TG_OK);
    const struct tg_store_config config = {.path = folder, .pid = 1};
    cr_assert_eq(tg_store_open(&checkpoint->store, &config, &err), TG_OK, "%s", err.text);
    other.lock_fd = -1;
    now_ns = 1;
}

static void end(void)
{
    char command[128];
    tg_helper_destroy(checkpoint->helper);
    tg_store_close(&checkpoint->store);
    tg_store_close(&other);
    free(checkpoint->parts);
    free(checkpoint);
    free(plan);
    free(job);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}
TestSuite(checkpoint_owner, .init = begin, .fini = end, .timeout = 60);

/* Shard 0 and the helper in turns, until a while after the manifest of checkpoint 1 became durable. */
static void go_on(void)
{
    checkpoint->phase = TG_CHECKPOINT_PUBLISHING;
    checkpoint->next_epoch = 1;
    checkpoint->next_ns = UINT64_MAX;
    checkpoint->started_ns = now_ns;
    checkpoint->task_done = true;
    for (uint32_t i = 0; i < 20 && checkpoint->fatal.status == TG_OK; i++) {
        (void)tg_checkpoint_poll(checkpoint, now_ns);
        if (checkpoint->phase == TG_CHECKPOINT_WAITING) { break; }
        (void)tg_helper_step(checkpoint->helper, 1);
        (void)tg_helper_poll(checkpoint->helper, 0);
        now_ns += 600000000;
    }
}

/* Nobody asks the machine who it is: the simulator's runs would not be the same twice. */
Test(checkpoint_owner, pid_and_run_are_those_of_the_config)
{
    struct tg_checkpoint *made = NULL;
    struct tg_checkpoint_config config = {.plan = plan, .pid = 4711, .run_id = {{1, 2, 3}}, .clock = fixed_clock()};
    tg_store_close(&checkpoint->store);
    job->name = "job";
    job->checkpoint.dir = folder;
    cr_assert_eq(tg_checkpoint_create(&made, &config, &err), TG_OK, "%s", err.text);
    cr_assert_arr_eq(made->run_id.bytes, config.run_id.bytes, sizeof config.run_id.bytes);
    char path[128];
    char text[32] = "";
    (void)snprintf(path, sizeof path, "%s/LOCK", folder);
    FILE *lock = fopen(path, "r");
    cr_assert_not_null(lock);
    cr_assert_not_null(fgets(text, sizeof text, lock));
    cr_assert_eq(fclose(lock), 0);
    cr_assert_str_eq(text, "pid 4711\n");
    tg_checkpoint_destroy(made);
}

Test(checkpoint_owner, commits_says_so_and_removes_what_nobody_needs)
{
    cr_assert_eq(tg_store_epoch_begin(&checkpoint->store, 2, &err), TG_OK); /* never completed */
    go_on();
    cr_assert_eq(checkpoint->fatal.status, TG_OK, "%s", checkpoint->fatal.text);
    cr_assert_eq(checkpoint->phase, TG_CHECKPOINT_WAITING);
    cr_assert_eq(commits, SINKS);
    cr_assert(there("ACK-1") && !there("e2"));
}

Test(checkpoint_owner, one_that_was_replaced_commits_nothing_and_ends)
{
    take_over();
    go_on();
    cr_assert_eq(commits, 0);
    cr_assert_eq(checkpoint->fatal.code, TG1521, "TG%d %s", (int)checkpoint->fatal.code, checkpoint->fatal.text);
    cr_assert(!there("ACK-1") && there("e2"));
    cr_assert(there("GENERATION-2"));
}

Test(checkpoint_owner, one_that_is_replaced_in_between_does_no_more)
{
    taken_over_in = 1;
    go_on();
    cr_assert_eq(commits, 1, "the other sink's rows are the new owner's business");
    cr_assert_eq(checkpoint->fatal.code, TG1521, "TG%d %s", (int)checkpoint->fatal.code, checkpoint->fatal.text);
    cr_assert(!there("ACK-1") && there("e2"));
}

Test(checkpoint_owner, one_that_is_replaced_by_its_last_commit_neither_acknowledges_nor_removes)
{
    taken_over_in = SINKS;
    go_on();
    cr_assert_eq(checkpoint->fatal.code, TG1521, "TG%d %s", (int)checkpoint->fatal.code, checkpoint->fatal.text);
    cr_assert(!there("ACK-1") && there("e2"));
}

Test(checkpoint_owner, a_start_that_was_replaced_while_it_verified_commits_nothing_again)
{
    checkpoint->choice.found = true;
    checkpoint->choice.epoch = 1;
    checkpoint->choice.manifest = checkpoint->manifest;
    cr_assert_eq(tg_checkpoint_recommit(checkpoint, &err), TG_OK, "%s", err.text);
    cr_assert_eq(commits, SINKS);
    take_over();
    cr_assert_neq(tg_checkpoint_recommit(checkpoint, &err), TG_OK);
    cr_assert_eq(err.code, TG1521, "TG%d %s", (int)err.code, err.text);
    cr_assert_eq(commits, SINKS);
}

/* ---- whose rows -------------------------------------------------------------------------------------------------- */

Test(checkpoint_owner, a_sink_of_another_name_or_kind_commits_nothing_of_it)
{
    checkpoint->choice.found = true;
    checkpoint->choice.manifest = checkpoint->manifest;
    sinks[0].connector = "other";
    sinks[1].name = "another";
    cr_assert_eq(tg_checkpoint_recommit(checkpoint, &err), TG_OK, "%s", err.text);
    cr_assert_eq(commits, 0);
}

Test(checkpoint_owner, a_sink_goes_on_with_what_the_checkpoint_has_of_it_or_comes_anew)
{
    cr_assert(!tg_checkpoint_resumes(NULL, 0) && !tg_checkpoint_joins(NULL, 0), "no checkpoints");
    checkpoint->choice.manifest = checkpoint->manifest;
    cr_assert(!tg_checkpoint_resumes(checkpoint, 0) && !tg_checkpoint_joins(checkpoint, 0), "a fresh start");
    checkpoint->choice.found = true;
    cr_assert(tg_checkpoint_resumes(checkpoint, 0) && !tg_checkpoint_joins(checkpoint, 0));
    sinks[0].connector = "other";
    cr_assert(!tg_checkpoint_resumes(checkpoint, 0) && tg_checkpoint_joins(checkpoint, 0));
    sinks[1].committable_count = 0;
    cr_assert(!tg_checkpoint_resumes(checkpoint, 1) && tg_checkpoint_joins(checkpoint, 1));
}

Test(checkpoint_owner, dead_letters_and_late_rows_are_sinks_of_a_job_too)
{
    struct tg_recovery_sink found[TG_MANIFEST_SINKS_MAX];
    job->sink_count = 1;
    job->sinks = &specs[0];
    cr_assert_eq(tg_job_sinks(job, found), 1);
    job->late = &specs[1];
    cr_assert_eq(tg_job_sinks(job, found), 2);
    cr_assert_str_eq(found[0].name, "out");
    cr_assert_str_eq(found[1].name, "late");
    cr_assert_str_eq(found[1].connector, "spy");
    job->dead_letters = &specs[1];
    cr_assert_eq(tg_job_sinks(job, found), 3);
}
