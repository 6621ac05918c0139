/* Which nodes hold a token: the cluster's token ring with, at each position, its replicas in order of preference. */
#ifndef TG_IO_CASSANDRA_RING_H
#define TG_IO_CASSANDRA_RING_H

#include "base/arena.h"
#include "base/attributes.h"
#include "base/status.h"

enum { TG_CQL_RING_MAX = 16384, TG_CQL_REPLICAS_MAX = 5, TG_CQL_NODES_MAX = 32, TG_CQL_NO_NODE = 0xff };

struct tg_cql_ring_token {
    int64_t token;
    uint8_t node;
    uint8_t replicas[TG_CQL_REPLICAS_MAX]; /* TG_CQL_NO_NODE behind the last one */
};

struct tg_cql_ring {
    struct tg_cql_ring_token *tokens; /* [TG_CQL_RING_MAX], ascending once built */
    uint32_t count;
    uint32_t node_count; /* different nodes in it */
};

/* How a keyspace spreads its rows. */
struct tg_cql_replication {
    uint32_t factor;  /* 0 = unknown: the first node only */
    bool spread_racks; /* NetworkTopologyStrategy: different racks first */
};

/* Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_cql_ring_init(struct tg_cql_ring *ring, struct tg_arena *arena, struct tg_error *err);
/* Add a token before build; silently full at TG_CQL_RING_MAX (routing then is a little less exact).  @shard */
void tg_cql_ring_add(struct tg_cql_ring *ring, int64_t token, uint8_t node);
/* Sort and find replicas. racks[node] is any number that tells racks apart.  @shard */
void tg_cql_ring_build(struct tg_cql_ring *ring, const struct tg_cql_replication *replication,
                       const uint32_t racks[TG_CQL_NODES_MAX]);
/* Replicas of `token`; NULL when the ring is empty.  @shard */
TG_HOT const uint8_t *tg_cql_ring_replicas(const struct tg_cql_ring *ring, int64_t token);

#endif
