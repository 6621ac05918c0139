/* The nodes of a cluster as one shard sees them: found from the contact points, connected, routed to. One of the
 * connections is also the control connection: it reads the topology and is told of changes. */
#ifndef TG_IO_CASSANDRA_CLUSTER_H
#define TG_IO_CASSANDRA_CLUSTER_H

#include "io/cassandra/connection.h"
#include "io/cassandra/ring.h"

enum { TG_CQL_CONNECTIONS_MAX = 32, TG_CQL_CONTACTS_MAX = 16, TG_CQL_PORT = 9042, TG_CQL_NO_CONNECTION = 0xffff };

struct tg_cql_address {
    struct sockaddr_storage storage;
    socklen_t bytes;
};

/* Contact points of "host" and "host:port" texts ("[::1]:9042" too), all addresses of each name. May block on the name
 * service. Errors: TG1301 when no text gives an address.  @setup */
TG_MUST_USE tg_status tg_cql_resolve(struct tg_cql_address out[TG_CQL_CONTACTS_MAX], uint32_t *count,
                                     const char *const *hosts, uint32_t host_count, struct tg_error *err);
/* "127.0.0.1:9042"; returns out.  @any */
char *tg_cql_address_print(const struct tg_cql_address *address, char out[64]);

struct tg_cql_cluster_config {
    struct tg_cql_connection_config connection;
    const char *keyspace;
    const char *datacenter; /* NULL = the one of the node first reached */
    uint32_t connections_per_node;
    uint32_t contact_count;
    struct tg_cql_address contacts[TG_CQL_CONTACTS_MAX];
};

struct tg_cql_node {
    struct tg_cql_address address;
    char datacenter[64];
    uint32_t rack;      /* hash of its name */
    bool is_contact;    /* named by the user: never dropped */
    bool described;     /* the topology knows it */
    bool used;
    uint16_t connection_count;
};

enum tg_cql_discovery {
    TG_CQL_UNDISCOVERED,
    TG_CQL_ASKED_LOCAL,
    TG_CQL_ASKED_PEERS,
    TG_CQL_ASKED_KEYSPACE,
    TG_CQL_DISCOVERED
};

struct tg_cql_cluster {
    struct tg_cql_cluster_config config;
    struct tg_cql_connection *connections; /* [TG_CQL_CONNECTIONS_MAX] */
    uint16_t owners[TG_CQL_CONNECTIONS_MAX]; /* node of each; TG_CQL_NO_NODE = free */
    uint32_t connection_count;             /* connections made so far; never shrinks */
    struct tg_cql_node nodes[TG_CQL_NODES_MAX];
    struct tg_cql_ring ring;
    struct tg_cql_ring fresh; /* being read */
    struct tg_cql_replication replication;
    enum tg_cql_discovery discovery;
    uint16_t control; /* connection; TG_CQL_NO_CONNECTION = none */
    bool old_peers;   /* system.peers_v2 does not exist there */
    uint64_t refresh_ns;
    uint64_t events_seen;
    uint32_t turn; /* rotates among equals */
    char datacenter[64];
};

/* All memory for TG_CQL_CONNECTIONS_MAX connections. Errors: TG1601.  @shard */
TG_MUST_USE tg_status tg_cql_cluster_open(struct tg_cql_cluster *cluster, const struct tg_cql_cluster_config *config,
                                          struct tg_arena *arena, struct tg_error *err);
/* Topology: ask when it is time, choose another control connection when it was lost. The caller polls the connections
 * itself (0 to connection_count - 1) and hands over the answers whose tag is not an execution's.  @shard */
void tg_cql_cluster_poll(struct tg_cql_cluster *cluster, uint64_t now_ns);
void tg_cql_cluster_answer(struct tg_cql_cluster *cluster, uint32_t connection, const struct tg_cql_answer *answer,
                           uint64_t now_ns);

/* True when rows should be routed by token: there is more than one node to choose from.  @shard */
bool tg_cql_cluster_routes(const struct tg_cql_cluster *cluster);
/* Connection for the next execution: a replica of `token` first (unless !routed), then any node; one that is not
 * `avoid` when there is another. NULL = none has room.  @shard */
struct tg_cql_connection *tg_cql_cluster_choose(struct tg_cql_cluster *cluster, bool routed, int64_t token,
                                                uint32_t avoid);
/* Connections that are up.  @shard */
uint32_t tg_cql_cluster_ups(const struct tg_cql_cluster *cluster);
/* Stop all connections; quiet once the loop holds nothing of them.  @shard */
void tg_cql_cluster_stop(struct tg_cql_cluster *cluster, uint64_t now_ns);
bool tg_cql_cluster_quiet(const struct tg_cql_cluster *cluster);

#endif
