/* A checkpoint directory with a history, written through the store the way a run writes it: every epoch one file a
 * shard, bases now and then, a manifest with the chains, an acknowledgement when asked for. */
#ifndef TG_TESTS_CHECKPOINT_WORLD_H
#define TG_TESTS_CHECKPOINT_WORLD_H

#include "engine/checkpoint/recovery.h"
#include "tests/checkpoint_maker.h"

enum { WORLD_SHARDS_MAX = 4, WORLD_CHAIN_MAX = 8 };

struct world {
    struct maker *maker;
    uint32_t shard_count;
    uint32_t records;    /* of a file */
    uint32_t base_every; /* epochs */
    bool commits;        /* manifests carry committables */
    uint32_t partition_count;
    struct tg_state_layout layouts[2];
    uint64_t last[WORLD_SHARDS_MAX]; /* epoch of each shard's newest file */
    struct tg_manifest_file chain[WORLD_SHARDS_MAX][WORLD_CHAIN_MAX];
    uint32_t chain_count[WORLD_SHARDS_MAX];
};

static inline void world_open(struct world *world, struct maker *maker, uint32_t shard_count)
{
    *world = (struct world){
        .maker = maker, .shard_count = shard_count, .records = 10, .base_every = 3, .partition_count = 2};
    world->layouts[0] = maker_layout(maker, TG_STATE_OF_STEP, "counts");
    world->layouts[1] = maker_layout(maker, TG_STATE_OF_SOURCE, "tx");
}

/* The manifest of `epoch` from the chains as they stand. */
static inline struct tg_manifest world_manifest(struct world *world, uint64_t epoch)
{
    struct maker *maker = world->maker;
    struct tg_manifest m = {.job = "job",
                            .epoch = epoch,
                            .created_us = 1700000000000000 + (int64_t)epoch * 10000000,
                            .version_base = 1700000000000000,
                            .graph_hash = 0xABCD,
                            .hash_seed = 3,
                            .key_group_count = TG_KEY_GROUP_COUNT,
                            .shard_count = world->shard_count,
                            .source_count = 1,
                            .step_count = 1,
                            .sink_count = 1};
    memset(m.run_id.bytes, 0x5A, sizeof m.run_id.bytes);
    struct tg_manifest_partition *partitions = maker_alloc(maker, world->partition_count * sizeof *partitions);
    for (uint32_t i = 0; i < world->partition_count; i++) {
        partitions[i] = (struct tg_manifest_partition){.next_offset = (int64_t)epoch * 100 + i,
                                                       .max_ts = 5000,
                                                       .wm = 4000,
                                                       .flags = TG_PARTITION_HAS_VALID,
                                                       .records = epoch * 100};
    }
    struct tg_manifest_source *source = maker_alloc(maker, sizeof *source);
    *source = (struct tg_manifest_source){.name = "tx",
                                          .connector = "kafka",
                                          .cluster = "cluster-1",
                                          .topic = "transactions",
                                          .partition_count = world->partition_count,
                                          .partitions = partitions};
    int64_t *clocks = maker_alloc(maker, (world->partition_count + 1) * sizeof *clocks);
    for (uint32_t i = 0; i <= world->partition_count; i++) { clocks[i] = 4000; }
    struct tg_manifest_step *step = maker_alloc(maker, sizeof *step);
    *step = (struct tg_manifest_step){.name = "counts",
                                      .op = "purchase_count",
                                      .layout = &world->layouts[0],
                                      .clock_count = world->partition_count + 1,
                                      .clocks = clocks};
    struct tg_manifest_sink *sink = maker_alloc(maker, sizeof *sink);
    *sink = (struct tg_manifest_sink){.name = "out", .connector = "file"};
    if (world->commits) {
        struct tg_committable *list = maker_alloc(maker, world->shard_count * sizeof *list);
        list[0] = (struct tg_committable){.data = (const uint8_t *)"staged", .bytes = 6};
        sink->committable_count = world->shard_count;
        sink->committables = list;
    }
    struct tg_manifest_file *files = maker_alloc(maker, sizeof world->chain);
    for (uint32_t shard = 0; shard < world->shard_count; shard++) {
        for (uint32_t i = 0; i < world->chain_count[shard]; i++) { files[m.file_count++] = world->chain[shard][i]; }
    }
    m.sources = source;
    m.steps = step;
    m.files = files;
    m.sinks = sink;
    return m;
}

static inline tg_status world_file(struct world *world, struct tg_store *store, uint64_t epoch, uint32_t shard,
                                   struct tg_error *err)
{
    const bool is_base = world->chain_count[shard] == 0 || world->chain_count[shard] >= world->base_every;
    struct tg_state_header header =
        maker_header(world->maker, shard, world->shard_count, epoch, is_base ? 0 : world->last[shard]);
    header.table_count = 2;
    header.tables = world->layouts;
    const size_t room = (1 << 20) + (size_t)world->records * 4096; /* values of any layout */
    const struct made_file made = maker_file(world->maker, &header, world->records, 3, room);
    static _Alignas(TG_STORE_BUFFER_ALIGN) uint8_t buffer[TG_STORE_BUFFER_BYTES];
    struct tg_store_file file = {.buffer = maker_below(world->maker, 4) == 0 ? NULL : buffer};
    tg_status status = tg_store_file_create(store, epoch, shard, is_base, &file, err);
    const size_t half = made.bytes / 2;
    if (status == TG_OK) { status = tg_store_file_append(store, &file, made.data, half, err); }
    if (status == TG_OK) { status = tg_store_file_append(store, &file, made.data + half, made.bytes - half, err); }
    if (status == TG_OK) { status = tg_store_file_finish(store, &file, err); }
    if (status != TG_OK) { return status; }
    if (is_base) { world->chain_count[shard] = 0; }
    world->chain[shard][world->chain_count[shard]++] =
        (struct tg_manifest_file){.shard = shard,
                                  .kind = is_base ? TG_STATE_BASE : TG_STATE_DELTA,
                                  .epoch = epoch,
                                  .bytes = made.bytes,
                                  .crc = made.totals.footer_crc};
    world->last[shard] = epoch;
    return TG_OK;
}

/* Checkpoint `epoch`, in the order of a run; a failed one is aborted and the next files are bases. */
static inline tg_status world_checkpoint(struct world *world, struct tg_store *store, uint64_t epoch, bool *decided,
                                         struct tg_error *err)
{
    *decided = false;
    tg_status status = tg_store_epoch_begin(store, epoch, err);
    for (uint32_t shard = 0; status == TG_OK && shard < world->shard_count; shard++) {
        status = world_file(world, store, epoch, shard, err);
    }
    if (status == TG_OK) { status = tg_store_epoch_sync(store, epoch, err); }
    if (status == TG_OK) {
        const struct tg_manifest manifest = world_manifest(world, epoch);
        struct tg_bytes_out out = {.data = maker_alloc(world->maker, 1 << 20), .capacity = 1 << 20};
        status = tg_manifest_encode(&manifest, &out, err);
        if (status == TG_OK) { status = tg_store_publish(store, epoch, out.data, out.used, decided, err); }
    }
    if (status != TG_OK && !*decided) {
        tg_store_epoch_abort(store, epoch);
        memset(world->chain_count, 0, sizeof world->chain_count);
    }
    return status;
}

/* What a start of the same job wants. */
static inline struct tg_recovery_wanted world_wanted(const struct world *world)
{
    static struct tg_recovery_source source;
    static const struct tg_recovery_sink sink = {.name = "out", .connector = "file"};
    source = (struct tg_recovery_source){
        .name = "tx", .cluster = "cluster-1", .topic = "transactions", .partition_count = world->partition_count};
    return (struct tg_recovery_wanted){
        .job = "job", .graph_hash = 0xABCD, .source_count = 1, .sources = &source, .sink_count = 1, .sinks = &sink};
}

#endif
