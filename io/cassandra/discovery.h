/* Reading the topology over the control connection. Private to cluster.c and discovery.c. */
#ifndef TG_IO_CASSANDRA_DISCOVERY_H
#define TG_IO_CASSANDRA_DISCOVERY_H

#include "io/cassandra/cluster.h"

/* Index of the node at `address`, new when it is unknown; TG_CQL_NO_NODE when the table is full.  @shard */
uint32_t tg_cql_cluster_node(struct tg_cql_cluster *cluster, const struct tg_cql_address *address);
/* Give the node the connections it should have, as far as there are any.  @shard */
void tg_cql_cluster_connect(struct tg_cql_cluster *cluster, uint32_t node);
/* Drop a node that left the cluster.  @shard */
void tg_cql_cluster_forget(struct tg_cql_cluster *cluster, uint32_t node, uint64_t now_ns);

#endif
