/* Several shard threads against one helper thread: every task runs once, in order per shard, its results are visible to
 * its `done`, and no wake-up is lost (a lost one shows as a hang, which the test run's time limit reports).
 * Weakening H1 or H3 in io/helper.c to relaxed must make TSan report a race here. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "base/prng.h"
#include "io/helper.h"

enum { SHARDS = 3, TASKS = 20000, SLOTS = 64 };

struct item {
    struct tg_task task;
    uint64_t asked;    /* plain memory on purpose: the helper's edges must order it */
    uint64_t answered;
    bool busy;
};
struct shard {
    struct tg_helper *helper;
    uint32_t index;
    uint64_t next_answer;
    struct item items[SLOTS];
};
static struct shard shards[SHARDS];

static void item_run(struct tg_task *task)
{
    struct item *item = (struct item *)task;
    item->answered = item->asked * 3 + 1;
}
static void item_done(struct tg_task *task)
{
    struct item *item = (struct item *)task;
    struct shard *shard = task->owner;
    TG_ASSERT(item->asked == shard->next_answer);
    TG_ASSERT(item->answered == item->asked * 3 + 1);
    shard->next_answer++;
    item->busy = false;
}

static void *shard_main(void *self)
{
    struct shard *shard = self;
    struct tg_prng prng = {shard->index + 1};
    for (uint64_t asked = 0; asked < TASKS;) {
        struct item *item = &shard->items[asked % SLOTS];
        if (!item->busy) {
            *item = (struct item){.task = {item_run, item_done, shard}, .asked = asked, .busy = true};
            TG_ASSERT(tg_helper_submit(shard->helper, shard->index, &item->task));
            asked++;
        }
        if (item->busy || tg_prng_below(&prng, 4) == 0) { (void)tg_helper_poll(shard->helper, shard->index); }
        if (tg_prng_below(&prng, 512) == 0) { /* long enough for the helper to fall asleep */
            (void)nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        }
    }
    while (tg_helper_wait(shard->helper, shard->index) != 0) {}
    TG_ASSERT(shard->next_answer == TASKS);
    return NULL;
}

int main(void)
{
    struct tg_helper *helper = NULL;
    TG_ASSERT(tg_helper_create(&helper, SHARDS, NULL, NULL, NULL) == TG_OK);
    TG_ASSERT(tg_helper_start(helper, NULL) == TG_OK);
    pthread_t threads[SHARDS];
    for (uint32_t i = 0; i < SHARDS; i++) {
        shards[i].helper = helper;
        shards[i].index = i;
        TG_ASSERT(pthread_create(&threads[i], NULL, shard_main, &shards[i]) == 0);
    }
    for (uint32_t i = 0; i < SHARDS; i++) { TG_ASSERT(pthread_join(threads[i], NULL) == 0); }
    tg_helper_destroy(helper);
    (void)printf("%d shards, %d tasks each: in order, none lost\n", SHARDS, TASKS);
    return 0;
}
