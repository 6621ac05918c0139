/* The I/O helper: lanes of tasks, one per shard, and the thread that works through them.
 * A lane is one ring with three cursors instead of two rings, because tasks of a shard finish in the order they were
 * submitted: slots polled..finished wait for their `done`, finished..submitted for their `run`.
 *   H1 submitted store (submit)      pairs with  H2 submitted load (helper):  slot and task are visible to `run`
 *   H3 finished store-release        pairs with  H4 finished load-acquire (poll):  what `run` wrote is visible to
 *   `done`
 * A slot is written again only TG_HELPER_TASKS_MAX submissions later, after its `done` ran: H3/H4 order that too.
 * Sleeping is Dekker's handshake, so these four are sequentially consistent (fences would do, but TSan cannot see
 * them):
 *   H1 submitted store, then H5 asleep exchange (submit)   against   H6 asleep store, then H2 submitted load (helper)
 * at least one side sees the other: either the helper finds the task or the shard wakes it. */
#include "io/helper.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

struct lane {
    alignas(TG_LINE_PAIR) _Atomic uint64_t submitted; /* written by the shard only */
    uint64_t polled;                                  /* the shard's own */
    alignas(TG_LINE_PAIR) _Atomic uint64_t finished;  /* written by the helper only */
    alignas(TG_LINE_PAIR) struct tg_task *slots[TG_HELPER_TASKS_MAX];
};
static_assert((TG_HELPER_TASKS_MAX & (TG_HELPER_TASKS_MAX - 1)) == 0, "positions run free and are masked");

struct tg_helper {
    struct lane *lanes; /* [shard_count] */
    uint32_t shard_count;
    uint32_t turn; /* lane that tg_helper_step looks at first */
    void (*wake)(void *self, uint32_t shard);
    void *wake_self;
    pthread_t thread;
    bool has_thread;
    _Atomic bool stop;
    alignas(TG_LINE_PAIR) _Atomic uint32_t asleep; /* futex word: 1 = the helper sleeps or is about to */
};

/* Run the oldest waiting task of a lane; false when there is none. */
static bool lane_run(struct tg_helper *helper, uint32_t shard)
{
    struct lane *lane = &helper->lanes[shard];
    const uint64_t next = atomic_load_explicit(&lane->finished, memory_order_relaxed); /* our own store */
    if (next == atomic_load_explicit(&lane->submitted, memory_order_seq_cst)) { return false; } /* H2 */
    struct tg_task *task = lane->slots[next & (TG_HELPER_TASKS_MAX - 1)];
    task->run(task);
    atomic_store_explicit(&lane->finished, next + 1, memory_order_release); /* H3 */
    if (helper->wake != NULL) { helper->wake(helper->wake_self, shard); }
    return true;
}

/* One task of every lane that has one; returns how many ran. */
static uint32_t round_run(struct tg_helper *helper)
{
    uint32_t ran = 0;
    for (uint32_t shard = 0; shard < helper->shard_count; shard++) { ran += lane_run(helper, shard); }
    return ran;
}

static bool anything_waits(const struct tg_helper *helper)
{
    for (uint32_t shard = 0; shard < helper->shard_count; shard++) {
        const struct lane *lane = &helper->lanes[shard];
        if (atomic_load_explicit(&lane->submitted, memory_order_seq_cst) != /* H2 */
            atomic_load_explicit(&lane->finished, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

static void *helper_main(void *self)
{
    struct tg_helper *helper = self;
    for (;;) {
        if (round_run(helper) != 0) { continue; }
        atomic_store_explicit(&helper->asleep, 1, memory_order_seq_cst); /* H6 */
        if (anything_waits(helper)) {
            atomic_store_explicit(&helper->asleep, 0, memory_order_relaxed);
            continue;
        }
        if (atomic_load_explicit(&helper->stop, memory_order_seq_cst)) { return NULL; }
        (void)syscall(SYS_futex, &helper->asleep, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
        atomic_store_explicit(&helper->asleep, 0, memory_order_relaxed);
    }
}

/* Wake the helper when it sleeps; exactly one of several callers enters the kernel. */
static void helper_rouse(struct tg_helper *helper)
{
    if (atomic_load_explicit(&helper->asleep, memory_order_seq_cst) == 0) { return; } /* H5 */
    if (atomic_exchange_explicit(&helper->asleep, 0, memory_order_seq_cst) == 0) { return; }
    (void)syscall(SYS_futex, &helper->asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

tg_status tg_helper_create(struct tg_helper **helper, uint32_t shard_count, void (*wake)(void *self, uint32_t shard),
                           void *self, struct tg_error *err)
{
    TG_ASSERT(shard_count >= 1);
    struct tg_helper *made = aligned_alloc(TG_LINE_PAIR, sizeof *made);
    struct lane *lanes = aligned_alloc(TG_LINE_PAIR, shard_count * sizeof *lanes);
    if (made == NULL || lanes == NULL) {
        free(made);
        free(lanes);
        return tg_fail(err, TG1601, ENOMEM, "create the I/O helper of %u shards", shard_count);
    }
    *made = (struct tg_helper){.lanes = lanes, .shard_count = shard_count, .wake = wake, .wake_self = self};
    for (uint32_t i = 0; i < shard_count; i++) { lanes[i] = (struct lane){0}; }
    *helper = made;
    return TG_OK;
}

tg_status tg_helper_start(struct tg_helper *helper, struct tg_error *err)
{
    TG_ASSERT(!helper->has_thread);
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
    const int failed = pthread_create(&helper->thread, NULL, helper_main, helper);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) { return tg_fail(err, TG1601, failed, "start the I/O helper"); }
    (void)pthread_setname_np(helper->thread, "tg-helper");
    helper->has_thread = true;
    return TG_OK;
}

void tg_helper_destroy(struct tg_helper *helper)
{
    if (helper == NULL) { return; }
    if (helper->has_thread) {
        atomic_store_explicit(&helper->stop, true, memory_order_seq_cst);
        helper_rouse(helper);
        TG_ASSERT(pthread_join(helper->thread, NULL) == 0);
    } else {
        while (round_run(helper) != 0) {}
    }
    free(helper->lanes);
    free(helper);
}

bool tg_helper_submit(struct tg_helper *helper, uint32_t shard, struct tg_task *task)
{
    TG_ASSERT(shard < helper->shard_count);
    TG_ASSERT(task->run != NULL);
    struct lane *lane = &helper->lanes[shard];
    const uint64_t next = atomic_load_explicit(&lane->submitted, memory_order_relaxed); /* our own store */
    if (next - lane->polled == TG_HELPER_TASKS_MAX) { return false; }
    lane->slots[next & (TG_HELPER_TASKS_MAX - 1)] = task;
    atomic_store_explicit(&lane->submitted, next + 1, memory_order_seq_cst); /* H1 */
    helper_rouse(helper);
    return true;
}

bool tg_helper_ready(const struct tg_helper *helper, uint32_t shard)
{
    const struct lane *lane = &helper->lanes[shard];
    return atomic_load_explicit(&lane->finished, memory_order_acquire) != lane->polled; /* H4 */
}

uint32_t tg_helper_poll(struct tg_helper *helper, uint32_t shard)
{
    TG_ASSERT(shard < helper->shard_count);
    struct lane *lane = &helper->lanes[shard];
    const uint64_t finished = atomic_load_explicit(&lane->finished, memory_order_acquire); /* H4 */
    const uint32_t count = (uint32_t)(finished - lane->polled);
    while (lane->polled != finished) {
        struct tg_task *task = lane->slots[lane->polled & (TG_HELPER_TASKS_MAX - 1)];
        lane->polled++; /* before `done`, which may submit the next one */
        if (task->done != NULL) { task->done(task); }
    }
    return count;
}

uint32_t tg_helper_wait(struct tg_helper *helper, uint32_t shard)
{
    const struct lane *lane = &helper->lanes[shard];
    while (atomic_load_explicit(&lane->submitted, memory_order_relaxed) != lane->polled) {
        const uint32_t count = tg_helper_poll(helper, shard);
        if (count != 0) { return count; }
        if (tg_helper_step(helper, helper->shard_count) == 0) {
            (void)nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL); /* closing is rare: no wake-up for it */
        }
    }
    return 0;
}

uint32_t tg_helper_step(struct tg_helper *helper, uint32_t budget)
{
    if (helper->has_thread) { return 0; }
    uint32_t ran = 0;
    uint32_t empty = 0; /* lanes in a row without a task */
    while (ran < budget && empty < helper->shard_count) {
        const bool worked = lane_run(helper, helper->turn);
        helper->turn = (helper->turn + 1) % helper->shard_count;
        empty = worked ? 0 : empty + 1;
        ran += worked;
    }
    return ran;
}
