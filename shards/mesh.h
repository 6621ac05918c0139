/* The rings of one stage edge: for every (from, to) pair of shards, the local pair too, a forward ring for full batches
 * and a reverse ring that brings empty ones home. Watermarks and end marks travel in batches, too, so every slot is
 * for a batch. */
#ifndef TG_SHARDS_MESH_H
#define TG_SHARDS_MESH_H

#include "base/arena.h"
#include "base/limits.h"
#include "shards/ring.h"

struct tg_mesh {
    uint32_t shard_count;
    uint32_t slot_count; /* per ring, a power of two */
    struct tg_ring *forward; /* [shard_count x shard_count], from x shard_count + to */
    struct tg_ring *reverse; /* same index: pushed by `to`, popped by `from` */
};

/* Arena bytes tg_mesh_init takes.  @setup */
size_t tg_mesh_bytes(uint32_t shard_count, uint32_t slot_count);
/* Lay the rings out in the arena. Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_mesh_init(struct tg_mesh *mesh, uint32_t shard_count, uint32_t slot_count,
                                   struct tg_arena *arena, struct tg_error *err);

static inline struct tg_ring *tg_mesh_forward(const struct tg_mesh *mesh, uint32_t from, uint32_t to)
{
    return &mesh->forward[from * mesh->shard_count + to];
}
static inline struct tg_ring *tg_mesh_reverse(const struct tg_mesh *mesh, uint32_t from, uint32_t to)
{
    return &mesh->reverse[from * mesh->shard_count + to];
}

#endif
