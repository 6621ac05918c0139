/* The token ring, rebuilt as a whole whenever the topology was read. */
#include "io/cassandra/ring.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

tg_status tg_cql_ring_init(struct tg_cql_ring *ring, struct tg_arena *arena, struct tg_error *err)
{
    *ring = (struct tg_cql_ring){0};
    ring->tokens = tg_arena_alloc(arena, TG_CQL_RING_MAX * sizeof *ring->tokens, 64);
    if (ring->tokens == NULL) { return tg_fail(err, TG1601, 0, "arena too small for a token ring"); }
    return TG_OK;
}

void tg_cql_ring_add(struct tg_cql_ring *ring, int64_t token, uint8_t node)
{
    TG_ASSERT(node < TG_CQL_NODES_MAX);
    if (ring->count == TG_CQL_RING_MAX) { return; }
    struct tg_cql_ring_token *entry = &ring->tokens[ring->count++];
    entry->token = token;
    entry->node = node;
}

static int by_token(const void *a, const void *b)
{
    const int64_t left = ((const struct tg_cql_ring_token *)a)->token;
    const int64_t right = ((const struct tg_cql_ring_token *)b)->token;
    return left < right ? -1 : left > right ? 1 : 0;
}

/* Walk clockwise from `start` and take the next nodes that are new; with `racks`, first only those in racks not met yet
 * (NetworkTopologyStrategy), the skipped ones afterwards in the order in which they were met. */
static void find_replicas(struct tg_cql_ring *ring, uint32_t start, uint32_t wanted, const uint32_t *racks)
{
    uint8_t *out = ring->tokens[start].replicas;
    memset(out, TG_CQL_NO_NODE, TG_CQL_REPLICAS_MAX);
    uint64_t met = 0;
    uint32_t met_racks[TG_CQL_NODES_MAX];
    uint8_t skipped[TG_CQL_NODES_MAX];
    uint32_t rack_count = 0;
    uint32_t skipped_count = 0;
    uint32_t used = 0;
    uint32_t met_count = 0;
    for (uint32_t i = 0; i < ring->count && used < wanted && met_count < ring->node_count; i++) {
        const uint8_t node = ring->tokens[(start + i) % ring->count].node;
        if (((met >> node) & 1) != 0) { continue; }
        met |= 1ull << node;
        met_count++;
        bool new_rack = true;
        for (uint32_t k = 0; racks != NULL && k < rack_count; k++) {
            new_rack = new_rack && met_racks[k] != racks[node];
        }
        if (!new_rack) {
            skipped[skipped_count++] = node;
            continue;
        }
        if (racks != NULL) { met_racks[rack_count++] = racks[node]; }
        out[used++] = node;
    }
    for (uint32_t i = 0; i < skipped_count && used < wanted; i++) { out[used++] = skipped[i]; }
}

void tg_cql_ring_build(struct tg_cql_ring *ring, const struct tg_cql_replication *replication,
                       const uint32_t racks[TG_CQL_NODES_MAX])
{
    qsort(ring->tokens, ring->count, sizeof *ring->tokens, by_token);
    uint64_t nodes = 0;
    for (uint32_t i = 0; i < ring->count; i++) { nodes |= 1ull << ring->tokens[i].node; }
    ring->node_count = (uint32_t)__builtin_popcountll(nodes);
    uint32_t wanted = replication->factor == 0 ? 1 : replication->factor;
    wanted = wanted > TG_CQL_REPLICAS_MAX ? TG_CQL_REPLICAS_MAX : wanted;
    for (uint32_t i = 0; i < ring->count; i++) {
        find_replicas(ring, i, wanted, replication->spread_racks ? racks : NULL);
    }
}

const uint8_t *tg_cql_ring_replicas(const struct tg_cql_ring *ring, int64_t token)
{
    if (ring->count == 0) { return NULL; }
    uint32_t low = 0; /* first position with a token >= ours; a node owns what lies up to its token */
    uint32_t high = ring->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (ring->tokens[middle].token < token) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return ring->tokens[low == ring->count ? 0 : low].replicas;
}
