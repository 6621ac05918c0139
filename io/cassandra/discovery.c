/* Topology of a cluster: system.local, then system.peers_v2 (system.peers on old nodes), then the keyspace's
 * replication. Read when a control connection is chosen, a second after a change was announced, and once a minute. */
#include "io/cassandra/discovery.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/key.h"
#include "io/cassandra/rows.h"

#define TAG_LOCAL (TG_CQL_TAG_EXECUTE_END + 0)
#define TAG_PEERS (TG_CQL_TAG_EXECUTE_END + 1)
#define TAG_KEYSPACE (TG_CQL_TAG_EXECUTE_END + 2)
#define TAG_REGISTER (TG_CQL_TAG_EXECUTE_END + 3)

static const uint64_t SECOND_NS = 1000000000u;
static const uint64_t REFRESH_NS = 60000000000u;

static struct tg_cql_connection *control(struct tg_cql_cluster *cluster)
{
    return &cluster->connections[cluster->control];
}

/* Ask; when that is impossible now, everything is asked again a second later. */
static void ask(struct tg_cql_cluster *cluster, enum tg_cql_discovery step, uint32_t tag, const char *cql,
                uint64_t now_ns)
{
    if (tg_cql_connection_query(control(cluster), tag, cql, now_ns)) {
        cluster->discovery = step;
    } else {
        cluster->discovery = TG_CQL_UNDISCOVERED;
        cluster->refresh_ns = now_ns + SECOND_NS;
    }
}

static void begin(struct tg_cql_cluster *cluster, uint64_t now_ns)
{
    cluster->fresh.count = 0;
    cluster->refresh_ns = now_ns + REFRESH_NS;
    cluster->events_seen = control(cluster)->events;
    for (uint32_t i = 0; i < TG_CQL_NODES_MAX; i++) { cluster->nodes[i].described = false; }
    ask(cluster, TG_CQL_ASKED_LOCAL, TAG_LOCAL,
        "SELECT data_center, rack, tokens FROM system.local WHERE key = 'local'", now_ns);
}

static void register_events(struct tg_cql_cluster *cluster, uint64_t now_ns)
{
    uint8_t data[64];
    struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
    tg_cql_put_u16(&body, 2);
    tg_cql_put_string(&body, "TOPOLOGY_CHANGE");
    tg_cql_put_string(&body, "STATUS_CHANGE");
    /* Without events the topology is still read once a minute. */
    (void)!tg_cql_connection_request(control(cluster), TAG_REGISTER, TG_CQL_REGISTER, body.data, body.used, now_ns);
}

void tg_cql_cluster_poll(struct tg_cql_cluster *cluster, uint64_t now_ns)
{
    if (cluster->control != TG_CQL_NO_CONNECTION && control(cluster)->state < TG_CQL_PREPARING) {
        cluster->control = TG_CQL_NO_CONNECTION;
        cluster->discovery = TG_CQL_UNDISCOVERED;
    }
    if (cluster->control == TG_CQL_NO_CONNECTION) {
        for (uint32_t i = 0; i < cluster->connection_count; i++) {
            if (cluster->connections[i].state != TG_CQL_UP || cluster->owners[i] == TG_CQL_NO_NODE) { continue; }
            cluster->control = (uint16_t)i;
            register_events(cluster, now_ns);
            begin(cluster, now_ns);
            return;
        }
        return;
    }
    const bool idle = cluster->discovery == TG_CQL_DISCOVERED || cluster->discovery == TG_CQL_UNDISCOVERED;
    if (control(cluster)->events != cluster->events_seen && cluster->refresh_ns > now_ns + SECOND_NS) {
        cluster->refresh_ns = now_ns + SECOND_NS; /* a change is announced by several events: wait for all */
    }
    if (idle && now_ns >= cluster->refresh_ns && control(cluster)->state == TG_CQL_UP) { begin(cluster, now_ns); }
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static void add_tokens(struct tg_cql_cluster *cluster, uint32_t node, struct tg_cql_view tokens)
{
    struct tg_cql_reader reader = {.data = tokens.data, .bytes = tokens.bytes};
    uint32_t left = UINT32_MAX;
    struct tg_cql_view text;
    while (tg_cql_elements_next(&reader, false, &left, &text)) {
        char number[32];
        tg_cql_view_copy(text, number, sizeof number);
        tg_cql_ring_add(&cluster->fresh, strtoll(number, NULL, 10), (uint8_t)node);
    }
}

static void describe(struct tg_cql_cluster *cluster, uint32_t node, const struct tg_cql_view *cells)
{
    struct tg_cql_node *n = &cluster->nodes[node];
    tg_cql_view_copy(cells[0], n->datacenter, sizeof n->datacenter);
    n->rack = cells[1].is_null ? 0 : (uint32_t)tg_key_hash(cells[1].data, cells[1].bytes);
    n->described = true;
    if (cluster->datacenter[0] == '\0') { memcpy(cluster->datacenter, n->datacenter, sizeof n->datacenter); }
    /* Other data centers take part in no LOCAL consistency level: they are known, not used. */
    if (strcmp(n->datacenter, cluster->datacenter) == 0) {
        add_tokens(cluster, node, cells[2]);
        tg_cql_cluster_connect(cluster, node);
    }
}

static bool read_address(const struct tg_cql_cluster *cluster, struct tg_cql_view host, struct tg_cql_view port,
                         struct tg_cql_address *out)
{
    const struct tg_cql_address *ours = &cluster->nodes[cluster->owners[cluster->control]].address;
    uint16_t number = ntohs(((const struct sockaddr_in *)(const void *)&ours->storage)->sin_port);
    if (!port.is_null && port.bytes == 4) { number = (uint16_t)((uint32_t)port.data[2] << 8 | port.data[3]); }
    *out = (struct tg_cql_address){0};
    if (!host.is_null && host.bytes == 4) {
        struct sockaddr_in *v4 = (void *)&out->storage;
        v4->sin_family = AF_INET;
        v4->sin_port = htons(number);
        memcpy(&v4->sin_addr, host.data, 4);
        out->bytes = sizeof *v4;
        return v4->sin_addr.s_addr != 0;
    }
    if (!host.is_null && host.bytes == 16) {
        struct sockaddr_in6 *v6 = (void *)&out->storage;
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(number);
        memcpy(&v6->sin6_addr, host.data, 16);
        out->bytes = sizeof *v6;
        return true;
    }
    return false;
}

static void ask_peers(struct tg_cql_cluster *cluster, uint64_t now_ns)
{
    ask(cluster, TG_CQL_ASKED_PEERS, TAG_PEERS,
        cluster->old_peers ? "SELECT data_center, rack, tokens, rpc_address FROM system.peers"
                           : "SELECT data_center, rack, tokens, native_address, native_port FROM system.peers_v2",
        now_ns);
}

static void on_local(struct tg_cql_cluster *cluster, const struct tg_cql_answer *answer, uint64_t now_ns)
{
    struct tg_cql_rows rows;
    if (!tg_cql_rows_open(&rows, &answer->envelope, 3) || !tg_cql_rows_next(&rows)) {
        cluster->discovery = TG_CQL_UNDISCOVERED;
        return;
    }
    describe(cluster, cluster->owners[cluster->control], rows.cells);
    ask_peers(cluster, now_ns);
}

static void on_peers(struct tg_cql_cluster *cluster, const struct tg_cql_answer *answer, uint64_t now_ns)
{
    if (answer->envelope.opcode == TG_CQL_ERROR && !cluster->old_peers) {
        cluster->old_peers = true;
        ask_peers(cluster, now_ns);
        return;
    }
    struct tg_cql_rows rows;
    if (!tg_cql_rows_open(&rows, &answer->envelope, cluster->old_peers ? 4 : 5)) {
        cluster->discovery = TG_CQL_UNDISCOVERED;
        return;
    }
    const struct tg_cql_view no_port = {.is_null = true};
    while (tg_cql_rows_next(&rows)) {
        struct tg_cql_address address;
        if (!read_address(cluster, rows.cells[3], cluster->old_peers ? no_port : rows.cells[4], &address)) { continue; }
        const uint32_t node = tg_cql_cluster_node(cluster, &address);
        if (node != TG_CQL_NO_NODE && !cluster->nodes[node].described) { describe(cluster, node, rows.cells); }
    }
    char cql[160];
    (void)snprintf(cql, sizeof cql, "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = '%s'",
                   cluster->config.keyspace);
    ask(cluster, TG_CQL_ASKED_KEYSPACE, TAG_KEYSPACE, cql, now_ns);
}

static uint32_t factor_of(struct tg_cql_view text)
{
    char number[16];
    tg_cql_view_copy(text, number, sizeof number);
    return (uint32_t)strtoul(number, NULL, 10); /* "3/1" (transient replicas) reads as 3 */
}

static void read_replication(struct tg_cql_cluster *cluster, struct tg_cql_view map)
{
    struct tg_cql_reader reader = {.data = map.data, .bytes = map.bytes};
    struct tg_cql_replication out = {0};
    uint32_t left = UINT32_MAX;
    struct tg_cql_view name;
    struct tg_cql_view value;
    while (tg_cql_elements_next(&reader, true, &left, &name) && tg_cql_elements_next(&reader, true, &left, &value)) {
        char text[128];
        tg_cql_view_copy(value, text, sizeof text);
        if (tg_cql_view_is(name, "class")) { out.spread_racks = strstr(text, "NetworkTopologyStrategy") != NULL; }
        if (tg_cql_view_is(name, "replication_factor") || tg_cql_view_is(name, cluster->datacenter)) {
            out.factor = factor_of(value);
        }
    }
    cluster->replication = out;
}

static void on_keyspace(struct tg_cql_cluster *cluster, const struct tg_cql_answer *answer, uint64_t now_ns)
{
    struct tg_cql_rows rows;
    if (tg_cql_rows_open(&rows, &answer->envelope, 1) && tg_cql_rows_next(&rows) && !rows.cells[0].is_null) {
        read_replication(cluster, rows.cells[0]);
    }
    uint32_t racks[TG_CQL_NODES_MAX];
    for (uint32_t i = 0; i < TG_CQL_NODES_MAX; i++) {
        const struct tg_cql_node *node = &cluster->nodes[i];
        racks[i] = node->rack;
        /* Contact points stay even when the topology names them otherwise: they may be the only way in. */
        if (node->used && !node->described && !node->is_contact) { tg_cql_cluster_forget(cluster, i, now_ns); }
    }
    tg_cql_ring_build(&cluster->fresh, &cluster->replication, racks);
    const struct tg_cql_ring built = cluster->fresh;
    cluster->fresh = cluster->ring;
    cluster->ring = built;
    cluster->discovery = TG_CQL_DISCOVERED;
}

void tg_cql_cluster_answer(struct tg_cql_cluster *cluster, uint32_t connection, const struct tg_cql_answer *answer,
                           uint64_t now_ns)
{
    if (answer->tag == TAG_REGISTER || connection != cluster->control) { return; }
    if (answer->outcome != TG_CQL_ANSWERED) {
        cluster->discovery = TG_CQL_UNDISCOVERED;
        cluster->refresh_ns = now_ns + SECOND_NS;
        return;
    }
    switch (cluster->discovery) {
    case TG_CQL_ASKED_LOCAL: on_local(cluster, answer, now_ns); return;
    case TG_CQL_ASKED_PEERS: on_peers(cluster, answer, now_ns); return;
    case TG_CQL_ASKED_KEYSPACE: on_keyspace(cluster, answer, now_ns); return;
    case TG_CQL_UNDISCOVERED:
    case TG_CQL_DISCOVERED: return;
    }
}
