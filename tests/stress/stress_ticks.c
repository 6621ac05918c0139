/* Lanes of three shards order ticks at once, the helper's thread writes them: what a shard hears to be durable is in
 * the log, each tick once, and nothing races (build preset tsan). */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "engine/checkpoint/tick_log.h"

enum { SHARDS = 3, PARTITIONS = 40, TICKS = 600 };

static struct tg_store store;
static struct tg_tick_log tick_log;
static struct tg_helper *helper;
static const struct tg_ticks_source sources[] = {
    {.name = "tx", .topic = "t", .cluster = "", .partition_count = SHARDS * PARTITIONS}};

struct shard {
    uint32_t index;
    pthread_t thread;
    struct tg_arena arena;
    struct tg_tick_lane lane;
    struct tg_published published[PARTITIONS];
    struct tg_partition partitions[PARTITIONS];
    int64_t wms[PARTITIONS]; /* of the newest durable tick */
};
static struct shard shards[SHARDS];

/* Order, wait, look: each partition's ticks rise by 1. */
static void *run_shard(void *self)
{
    struct shard *shard = self;
    uint32_t durable = 0;
    while (durable < TICKS) {
        for (uint32_t i = 0; i < PARTITIONS; i++) {
            struct tg_partition *partition = &shard->partitions[i];
            if (partition->tick == TG_TICK_DURABLE) {
                partition->tick = TG_TICK_NONE;
                shard->wms[i]++;
                durable++;
            }
            const struct tg_tick tick = {
                .partition = shard->index * PARTITIONS + i, .offset = 1, .wm = shard->wms[i] + 1};
            if (partition->tick == TG_TICK_NONE) { TG_ASSERT(tg_tick_lane_order(&shard->lane, &tick, partition)); }
        }
        (void)tg_tick_lane_poll(&shard->lane, tg_clock_now_ns(&shard->lane.clock));
        (void)tg_helper_poll(helper, shard->index);
        (void)usleep(100);
    }
    return NULL;
}

static void begin(struct tg_error *err, const char *folder)
{
    const struct tg_run_id run_id = {.bytes = {1}};
    const struct tg_ticks_header header = {.job = "job", .source_count = 1, .sources = sources};
    TG_ASSERT(tg_store_open(&store, &(struct tg_store_config){.path = folder, .pid = 1}, err) == TG_OK);
    TG_ASSERT(tg_tick_log_open(&tick_log, &store, &header, NULL, err) == TG_OK);
    tg_tick_log_begin(&tick_log, &run_id);
}

int main(void)
{
    char folder[] = "/tmp/turgo-stress-ticks-XXXXXX";
    char command[64];
    struct tg_error err = {0};
    TG_ASSERT(mkdtemp(folder) != NULL);
    begin(&err, folder);
    TG_ASSERT(tg_helper_create(&helper, SHARDS, NULL, NULL, &err) == TG_OK);
    TG_ASSERT(tg_helper_start(helper, &err) == TG_OK);
    for (uint32_t s = 0; s < SHARDS; s++) {
        const struct tg_tick_lane_config config = {
            .log = &tick_log, .helper = helper, .shard = s, .clock = tg_clock_real()};
        shards[s].index = s;
        TG_ASSERT(tg_arena_open(&shards[s].arena, (size_t)1 << 20, &err) == TG_OK);
        TG_ASSERT(tg_tick_lane_open(&shards[s].lane, &config, &shards[s].arena, &err) == TG_OK);
        for (uint32_t i = 0; i < PARTITIONS; i++) {
            tg_partition_init(&shards[s].partitions[i], &shards[s].published[i]);
        }
        TG_ASSERT(pthread_create(&shards[s].thread, NULL, run_shard, &shards[s]) == 0);
    }
    for (uint32_t s = 0; s < SHARDS; s++) { TG_ASSERT(pthread_join(shards[s].thread, NULL) == 0); }
    tg_helper_destroy(helper);
    tg_tick_log_close(&tick_log);
    tg_store_close(&store);
    begin(&err, folder);
    for (uint32_t p = 0; p < SHARDS * PARTITIONS; p++) {
        uint32_t count;
        const struct tg_tick *tick = tg_tick_log_replay(&tick_log, 0, p, &count);
        const int64_t wm = shards[p / PARTITIONS].wms[p % PARTITIONS];
        TG_ASSERT(count == 1);                           /* the highest before one offset */
        TG_ASSERT(tick->wm == wm || tick->wm == wm + 1); /* the last one was perhaps not heard of */
    }
    tg_tick_log_close(&tick_log);
    tg_store_close(&store);
    for (uint32_t s = 0; s < SHARDS; s++) { tg_arena_close(&shards[s].arena); }
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}
