/* Lays out the rings of one stage edge. Every ring's slots start on a line pair of their own, so that two rings with
 * different producers never share a line. */
#include "shards/mesh.h"

#include "base/assert.h"

static size_t slots_bytes(uint32_t slot_count)
{
    const size_t bytes = (size_t)slot_count * sizeof(void *);
    return (bytes + TG_LINE_PAIR - 1) & ~(size_t)(TG_LINE_PAIR - 1);
}

size_t tg_mesh_bytes(uint32_t shard_count, uint32_t slot_count)
{
    const size_t ring_count = 2 * (size_t)shard_count * shard_count;
    return ring_count * (sizeof(struct tg_ring) + slots_bytes(slot_count)) + 2 * TG_LINE_PAIR;
}

/* One direction: [shard_count x shard_count] rings with their slots behind them. */
static struct tg_ring *rings_create(uint32_t shard_count, uint32_t slot_count, struct tg_arena *arena)
{
    const size_t ring_count = (size_t)shard_count * shard_count;
    struct tg_ring *rings = tg_arena_alloc(arena, ring_count * sizeof *rings, TG_LINE_PAIR);
    uint8_t *slots = tg_arena_alloc(arena, ring_count * slots_bytes(slot_count), TG_LINE_PAIR);
    if (rings == NULL || slots == NULL) { return NULL; }
    for (size_t i = 0; i < ring_count; i++) {
        tg_ring_init(&rings[i], (void **)(void *)(slots + i * slots_bytes(slot_count)), slot_count);
    }
    return rings;
}

tg_status tg_mesh_init(struct tg_mesh *mesh, uint32_t shard_count, uint32_t slot_count, struct tg_arena *arena,
                       struct tg_error *err)
{
    TG_ASSERT(shard_count >= 1 && shard_count <= TG_SHARDS_MAX);
    *mesh = (struct tg_mesh){.shard_count = shard_count, .slot_count = slot_count};
    mesh->forward = rings_create(shard_count, slot_count, arena);
    mesh->reverse = rings_create(shard_count, slot_count, arena);
    if (mesh->forward == NULL || mesh->reverse == NULL) {
        return tg_fail(err, TG1601, 0, "no address space for the rings of %u shards", shard_count);
    }
    return TG_OK;
}
