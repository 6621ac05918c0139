/* The I/O helper, with its thread and stepped. */
#include <criterion/criterion.h>
#include <stdatomic.h>

#include "io/helper.h"

struct step {
    struct tg_task task;
    uint32_t number;
    uint32_t *ran;  /* [*ran_count] numbers in the order of `run` */
    uint32_t *ran_count;
    uint32_t *done_next;
    bool resubmit; /* by `done`, once */
    struct tg_helper *helper;
};

static void step_run(struct tg_task *task)
{
    struct step *step = task->owner;
    step->ran[(*step->ran_count)++] = step->number;
}
static void step_done(struct tg_task *task)
{
    struct step *step = task->owner;
    cr_assert_eq(step->number, *step->done_next);
    (*step->done_next)++;
    if (step->resubmit) {
        step->resubmit = false;
        step->number += TG_HELPER_TASKS_MAX;
        cr_assert(tg_helper_submit(step->helper, 0, task));
    }
}

enum { STEPS = TG_HELPER_TASKS_MAX };
static struct step steps[STEPS + 1];
static uint32_t ran[2 * STEPS + 2];

static struct tg_helper *helper_open(uint32_t shards, void (*wake)(void *, uint32_t), void *self)
{
    struct tg_helper *helper = NULL;
    cr_assert_eq(tg_helper_create(&helper, shards, wake, self, NULL), TG_OK);
    return helper;
}

static void steps_init(struct tg_helper *helper, uint32_t *ran_count, uint32_t *done_next)
{
    for (uint32_t i = 0; i <= STEPS; i++) {
        steps[i] = (struct step){.task = {step_run, step_done, &steps[i]}, .number = i, .ran = ran,
                                 .ran_count = ran_count, .done_next = done_next, .helper = helper};
    }
}

Test(helper, a_stepped_helper_runs_tasks_in_order_and_refuses_one_too_many)
{
    uint32_t ran_count = 0;
    uint32_t done_next = 0;
    struct tg_helper *helper = helper_open(1, NULL, NULL);
    steps_init(helper, &ran_count, &done_next);
    for (uint32_t i = 0; i < STEPS; i++) { cr_assert(tg_helper_submit(helper, 0, &steps[i].task)); }
    cr_assert_not(tg_helper_submit(helper, 0, &steps[STEPS].task), "the lane is full");
    cr_assert_eq(tg_helper_poll(helper, 0), 0, "nothing ran yet");
    cr_assert_not(tg_helper_ready(helper, 0));
    cr_assert_eq(tg_helper_step(helper, 10), 10);
    cr_assert(tg_helper_ready(helper, 0));
    cr_assert_not(tg_helper_submit(helper, 0, &steps[STEPS].task), "run is not enough, done must have run");
    cr_assert_eq(tg_helper_poll(helper, 0), 10);
    cr_assert(tg_helper_submit(helper, 0, &steps[STEPS].task));
    cr_assert_eq(tg_helper_step(helper, 10000), STEPS - 10 + 1);
    cr_assert_eq(tg_helper_step(helper, 10000), 0);
    cr_assert_eq(tg_helper_poll(helper, 0), STEPS - 10 + 1);
    for (uint32_t i = 0; i <= STEPS; i++) { cr_assert_eq(ran[i], i); }
    tg_helper_destroy(helper);
}

Test(helper, done_may_submit_again)
{
    uint32_t ran_count = 0;
    uint32_t done_next = 0;
    struct tg_helper *helper = helper_open(1, NULL, NULL);
    steps_init(helper, &ran_count, &done_next);
    for (uint32_t i = 0; i < STEPS; i++) {
        steps[i].resubmit = true;
        cr_assert(tg_helper_submit(helper, 0, &steps[i].task));
    }
    cr_assert_eq(tg_helper_step(helper, 10000), STEPS);
    cr_assert_eq(tg_helper_poll(helper, 0), STEPS);
    cr_assert_eq(tg_helper_step(helper, 10000), STEPS);
    cr_assert_eq(tg_helper_poll(helper, 0), STEPS);
    cr_assert_eq(done_next, 2 * STEPS);
    tg_helper_destroy(helper);
}

Test(helper, shards_take_turns)
{
    uint32_t ran_count = 0;
    uint32_t done_next = 0;
    struct tg_helper *helper = helper_open(3, NULL, NULL);
    steps_init(helper, &ran_count, &done_next);
    for (uint32_t i = 0; i < 9; i++) { cr_assert(tg_helper_submit(helper, i / 3, &steps[i].task)); }
    cr_assert_eq(tg_helper_step(helper, 4), 4);
    cr_assert_eq(tg_helper_step(helper, 100), 5);
    const uint32_t expected[] = {0, 3, 6, 1, 4, 7, 2, 5, 8};
    for (uint32_t i = 0; i < 9; i++) { cr_assert_eq(ran[i], expected[i]); }
    for (uint32_t shard = 0; shard < 3; shard++) { cr_assert_eq(tg_helper_poll(helper, shard), 3); }
    tg_helper_destroy(helper);
}

Test(helper, destroy_finishes_what_was_submitted)
{
    for (uint32_t threaded = 0; threaded < 2; threaded++) {
        uint32_t ran_count = 0;
        uint32_t done_next = 0;
        struct tg_helper *helper = helper_open(2, NULL, NULL);
        steps_init(helper, &ran_count, &done_next);
        if (threaded) { cr_assert_eq(tg_helper_start(helper, NULL), TG_OK); }
        for (uint32_t i = 0; i < 100; i++) { cr_assert(tg_helper_submit(helper, i & 1, &steps[i].task)); }
        tg_helper_destroy(helper);
        cr_assert_eq(ran_count, 100);
        cr_assert_eq(done_next, 0, "done of unpolled tasks does not run");
    }
}

static void count_wake(void *self, uint32_t shard) { atomic_fetch_add((_Atomic uint32_t *)self + shard, 1); }

Test(helper, the_thread_wakes_the_shard_and_wait_returns_results)
{
    static _Atomic uint32_t wakes[2];
    uint32_t ran_count = 0;
    uint32_t done_next = 0;
    struct tg_helper *helper = helper_open(2, count_wake, wakes);
    steps_init(helper, &ran_count, &done_next);
    cr_assert_eq(tg_helper_wait(helper, 1), 0, "nothing is under way");
    cr_assert_eq(tg_helper_start(helper, NULL), TG_OK);
    for (uint32_t i = 0; i < STEPS; i++) {
        cr_assert(tg_helper_submit(helper, 1, &steps[i].task));
        if (i % 7 == 0) {
            while (done_next <= i) { cr_assert_gt(tg_helper_wait(helper, 1), 0); }
        }
    }
    while (tg_helper_wait(helper, 1) != 0) {}
    cr_assert_eq(done_next, STEPS);
    cr_assert_eq(atomic_load(&wakes[1]), STEPS);
    cr_assert_eq(atomic_load(&wakes[0]), 0);
    cr_assert_eq(tg_helper_step(helper, 1), 0, "a threaded helper is not stepped");
    tg_helper_destroy(helper);
}
