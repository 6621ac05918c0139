/* A sink under test: its instances on a few shards, the helper (threaded or stepped), a clock the test moves, options
 * from the connector's own table, and batches whose memory is overwritten as soon as a sink has taken them. */
#ifndef TG_TESTS_CONTRACT_SINK_RIG_H
#define TG_TESTS_CONTRACT_SINK_RIG_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "io/registry.h"
#include "tests/options_of.h"
#include "tests/row_maker.h"

enum { RIG_SHARDS_MAX = 3, RIG_ARENA_BYTES = 512 << 20 };

struct rig_setting {
    const char *name;
    const char *text;
};

struct rig {
    const struct tg_sink_ops *ops;
    uint32_t shard_count;
    bool threaded;
    uint64_t now_ns; /* stepped: what the clock says */
    struct tg_schema schema;
    struct tg_test_options options;
    struct tg_helper *helper;
    void *shared;
    struct tg_sink_env env[RIG_SHARDS_MAX];
    void *state[RIG_SHARDS_MAX];
    struct tg_loop *loop[RIG_SHARDS_MAX]; /* for sinks that talk to a server */
    struct tg_arena arena[RIG_SHARDS_MAX];
    struct tg_arena batch_arena[RIG_SHARDS_MAX];
    struct tg_batch *batch[RIG_SHARDS_MAX];
    struct tg_histogram *latency[RIG_SHARDS_MAX];
    struct tg_error error;
};

static const uint32_t rig_key_columns[] = {MAKER_KEY};

static inline uint64_t rig_now(void *self) { return ((const struct rig *)self)->now_ns; }
static inline int64_t rig_wall(void *self)
{
    return 1700000000000000 + (int64_t)(((const struct rig *)self)->now_ns / 1000);
}

/* Fallbacks, then those of the settings that this connector has an option for. */
static inline void rig_options(struct rig *rig, const struct rig_setting *settings)
{
    struct tg_test_options *test = &rig->options;
    (void)tg_test_options(test, rig->ops->options, rig->ops->option_count, NULL);
    for (const struct rig_setting *setting = settings; setting != NULL && setting->name != NULL; setting++) {
        bool known = false;
        for (uint32_t i = 0; i < rig->ops->option_count; i++) {
            known = known || strcmp(rig->ops->options[i].name, setting->name) == 0;
        }
        if (known && setting->text != NULL) { tg_test_option_set(test, setting->name, setting->text); }
    }
}

/* Everything up to, but not including, share. */
static inline void rig_prepare(struct rig *rig, const struct tg_sink_ops *ops, uint32_t shards, bool threaded,
                               const struct rig_setting *settings)
{
    *rig = (struct rig){.ops = ops, .shard_count = shards, .threaded = threaded, .now_ns = 1000000000};
    maker_schema(&rig->schema);
    rig_options(rig, settings);
    cr_assert_eq(tg_helper_create(&rig->helper, shards, NULL, NULL, NULL), TG_OK);
    if (threaded) { cr_assert_eq(tg_helper_start(rig->helper, NULL), TG_OK); }
    const struct tg_batch_config batch = {.schema = &rig->schema, .capacity = 64, .wm_capacity = 1, .has_blob = true};
    const bool real_time = threaded || ops->needs_server;
    const struct tg_loop_config loop = {.backend = TG_LOOP_EPOLL, .ops_max = 1024};
    for (uint32_t shard = 0; shard < shards; shard++) {
        if (ops->needs_server) { cr_assert_eq(tg_loop_open(&rig->loop[shard], &loop, NULL, NULL), TG_OK); }
        cr_assert_eq(tg_arena_open(&rig->arena[shard], RIG_ARENA_BYTES, NULL), TG_OK);
        cr_assert_eq(tg_arena_open(&rig->batch_arena[shard], tg_batch_bytes(&batch) + 4096, NULL), TG_OK);
        rig->batch[shard] = tg_batch_create(&batch, &rig->batch_arena[shard]);
        rig->latency[shard] = calloc(1, sizeof(struct tg_histogram));
        rig->env[shard] = (struct tg_sink_env){
            .job_name = "contract",
            .sink_name = "rows",
            .options = &rig->options.options,
            .schema = &rig->schema,
            .key_columns = rig_key_columns,
            .key_count = ops->keyed ? 1 : 0,
            .with_revision = !ops->keyed,
            .version_base = 1000000,
            .create_tables = true,
            .shard = shard,
            .shard_count = shards,
            .max_keys = 100000,
            .latency = rig->latency[shard],
            .arena = &rig->arena[shard],
            .loop = rig->loop[shard],
            .helper = rig->helper,
            .clock = real_time ? tg_clock_real() : (struct tg_clock){rig_now, rig_wall, rig},
        };
    }
}

static inline tg_status rig_share(struct rig *rig)
{
    const tg_status status = rig->ops->share(&rig->env[0], &rig->shared, &rig->error);
    for (uint32_t shard = 0; shard < rig->shard_count; shard++) { rig->env[shard].shared = rig->shared; }
    return status;
}

static inline tg_status rig_open_shard(struct rig *rig, uint32_t shard)
{
    rig->state[shard] = calloc(1, rig->ops->state_bytes(&rig->env[shard]));
    return rig->ops->open(rig->state[shard], &rig->env[shard], &rig->error);
}

static inline void rig_open(struct rig *rig, const struct tg_sink_ops *ops, uint32_t shards, bool threaded,
                            const struct rig_setting *settings)
{
    rig_prepare(rig, ops, shards, threaded, settings);
    cr_assert_eq(ops->check(&rig->env[0], UINT64_MAX, &rig->error), TG_OK, "check: %s", rig->error.text);
    cr_assert_eq(rig_share(rig), TG_OK, "share: %s", rig->error.text);
    for (uint32_t shard = 0; shard < shards; shard++) {
        cr_assert_eq(rig_open_shard(rig, shard), TG_OK, "open: %s", rig->error.text);
    }
}

/* What a shard's duty cycle does for a sink. */
static inline void rig_cycle(struct rig *rig, uint32_t shard)
{
    (void)tg_helper_step(rig->helper, 1);
    (void)tg_helper_poll(rig->helper, shard);
    if (rig->loop[shard] != NULL) { (void)tg_loop_poll(rig->loop[shard]); }
    (void)rig->ops->poll(rig->state[shard], rig->env[shard].clock.monotonic_ns(rig->env[shard].clock.self));
}

static inline void rig_advance(struct rig *rig, uint64_t ns)
{
    if (!rig->threaded) { rig->now_ns += ns; }
}

/* Push what is left of a batch; true when all of it was taken. Its memory is then overwritten. */
static inline bool rig_push(struct rig *rig, uint32_t shard, uint32_t *from)
{
    struct tg_batch *batch = rig->batch[shard];
    const uint32_t taken = rig->ops->push(rig->state[shard], batch, *from);
    cr_assert_leq(taken, batch->count - *from);
    *from += taken;
    if (*from != batch->count) { return false; }
    memset(batch->rows, 0xEE, (size_t)batch->count * batch->schema->row_bytes);
    memset(batch->blob, 0xEE, batch->blob_used);
    tg_batch_reset(batch);
    *from = 0;
    return true;
}

/* Cycle until every shard is flushed; fails when it does not come to that. */
static inline void rig_flush(struct rig *rig)
{
    for (uint32_t shard = 0; shard < rig->shard_count; shard++) { rig->ops->flush(rig->state[shard]); }
    const struct tg_clock real = tg_clock_real();
    const uint64_t give_up_ns = tg_clock_now_ns(&real) + 30000000000;
    for (uint32_t shard = 0; shard < rig->shard_count; shard++) {
        while (!rig->ops->flushed(rig->state[shard])) {
            for (uint32_t i = 0; i < rig->shard_count; i++) { rig_cycle(rig, i); }
            rig_advance(rig, 1000000);
            cr_assert_eq(rig->ops->failure(rig->state[shard], &rig->error), TG_OK, "%s", rig->error.text);
            cr_assert_lt(tg_clock_now_ns(&real), give_up_ns, "%s: flushed() never comes", rig->ops->name);
        }
    }
}

static inline void rig_close_shards(struct rig *rig)
{
    for (uint32_t shard = 0; shard < rig->shard_count; shard++) {
        if (rig->state[shard] != NULL) { rig->ops->close(rig->state[shard]); }
    }
    for (uint32_t shard = 0; shard < rig->shard_count; shard++) {
        free(rig->state[shard]);
        rig->state[shard] = NULL;
    }
}

/* Everything that is not the sink's. */
static inline void rig_discard(struct rig *rig)
{
    tg_helper_destroy(rig->helper);
    for (uint32_t shard = 0; shard < rig->shard_count; shard++) {
        if (rig->loop[shard] != NULL) { tg_loop_close(rig->loop[shard]); }
        tg_arena_close(&rig->arena[shard]);
        tg_arena_close(&rig->batch_arena[shard]);
        free(rig->latency[shard]);
    }
}

static inline void rig_close(struct rig *rig)
{
    rig_close_shards(rig);
    rig->ops->unshare(rig->shared);
    rig_discard(rig);
}

#endif
