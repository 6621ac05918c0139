/* Nodes and their connections, routing of executions. Reading the topology is in discovery.c. */
#include "io/cassandra/cluster.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "io/cassandra/discovery.h"

/* ---- addresses --------------------------------------------------------------------------------------------------- */

/* Split "host", "host:port", "[v6]:port", "v6" into its parts. */
static bool split_host(const char *text, char host[256], char port[8])
{
    const char *end = NULL;
    const char *colon = NULL;
    if (text[0] == '[') {
        end = strchr(text, ']');
        if (end == NULL) { return false; }
        colon = end[1] == ':' ? end + 1 : NULL;
        text++;
    } else {
        colon = strchr(text, ':');
        if (colon != NULL && strchr(colon + 1, ':') != NULL) { colon = NULL; } /* bare IPv6 */
        end = colon != NULL ? colon : text + strlen(text);
    }
    const size_t bytes = (size_t)(end - text);
    if (bytes == 0 || bytes >= 256) { return false; }
    memcpy(host, text, bytes);
    host[bytes] = '\0';
    const int written = colon != NULL ? snprintf(port, 8, "%s", colon + 1) : snprintf(port, 8, "%d", TG_CQL_PORT);
    return written > 0 && written < 8;
}

static void resolve_one(struct tg_cql_address *out, uint32_t *count, const char *text, struct tg_error *err)
{
    char host[256];
    char port[8];
    if (!split_host(text, host, port)) {
        (void)tg_fail(err, TG1301, 0, "\"%s\" is not host or host:port", text);
        return;
    }
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    const int failed = getaddrinfo(host, port, &hints, &list);
    if (failed != 0) {
        (void)tg_fail(err, TG1301, 0, "cannot find the address of \"%s\": %s", text, gai_strerror(failed));
        return;
    }
    for (const struct addrinfo *a = list; a != NULL && *count < TG_CQL_CONTACTS_MAX; a = a->ai_next) {
        out[*count].bytes = a->ai_addrlen;
        memcpy(&out[*count].storage, a->ai_addr, a->ai_addrlen);
        ++*count;
    }
    freeaddrinfo(list);
}

tg_status tg_cql_resolve(struct tg_cql_address out[TG_CQL_CONTACTS_MAX], uint32_t *count, const char *const *hosts,
                         uint32_t host_count, struct tg_error *err)
{
    struct tg_error first = {0};
    *count = 0;
    for (uint32_t i = 0; i < host_count; i++) { resolve_one(out, count, hosts[i], &first); }
    if (*count > 0) { return TG_OK; }
    if (first.status == TG_OK) { return tg_fail(err, TG1301, 0, "no Cassandra hosts are given"); }
    return tg_fail(err, TG1301, 0, "%s", first.text);
}

char *tg_cql_address_print(const struct tg_cql_address *address, char out[64])
{
    char host[INET6_ADDRSTRLEN] = "?";
    const struct sockaddr_storage *s = &address->storage;
    if (s->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)s;
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        (void)snprintf(out, 64, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_in *v4 = (const void *)s;
        (void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        (void)snprintf(out, 64, "%s:%u", host, ntohs(v4->sin_port));
    }
    return out;
}

static bool same_address(const struct tg_cql_address *a, const struct tg_cql_address *b)
{
    char left[64];
    char right[64];
    return strcmp(tg_cql_address_print(a, left), tg_cql_address_print(b, right)) == 0;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

/* A connection object that nothing uses: its last life has ended in the loop, too. */
static uint32_t connection_take(struct tg_cql_cluster *cluster)
{
    for (uint32_t i = 0; i < TG_CQL_CONNECTIONS_MAX; i++) {
        const struct tg_cql_connection *c = &cluster->connections[i];
        if (cluster->owners[i] == TG_CQL_NO_NODE && tg_cql_connection_quiet(c) && c->live_count == 0) { return i; }
    }
    return TG_CQL_NO_CONNECTION;
}

uint32_t tg_cql_cluster_node(struct tg_cql_cluster *cluster, const struct tg_cql_address *address)
{
    uint32_t empty = TG_CQL_NO_NODE;
    for (uint32_t i = 0; i < TG_CQL_NODES_MAX; i++) {
        if (cluster->nodes[i].used && same_address(&cluster->nodes[i].address, address)) { return i; }
        if (!cluster->nodes[i].used && empty == TG_CQL_NO_NODE) { empty = i; }
    }
    if (empty != TG_CQL_NO_NODE) { cluster->nodes[empty] = (struct tg_cql_node){.used = true, .address = *address}; }
    return empty;
}

void tg_cql_cluster_connect(struct tg_cql_cluster *cluster, uint32_t node)
{
    struct tg_cql_node *n = &cluster->nodes[node];
    while (n->connection_count < cluster->config.connections_per_node) { /* ends: each round adds one or returns */
        const uint32_t index = connection_take(cluster);
        if (index == TG_CQL_NO_CONNECTION) { return; }
        cluster->owners[index] = (uint16_t)node;
        n->connection_count++;
        if (cluster->connection_count <= index) { cluster->connection_count = index + 1; }
        tg_cql_connection_start(&cluster->connections[index], (const struct sockaddr *)&n->address.storage,
                                n->address.bytes);
    }
}

void tg_cql_cluster_forget(struct tg_cql_cluster *cluster, uint32_t node, uint64_t now_ns)
{
    for (uint32_t i = 0; i < cluster->connection_count; i++) {
        if (cluster->owners[i] != node) { continue; }
        tg_cql_connection_stop(&cluster->connections[i], now_ns);
        cluster->owners[i] = TG_CQL_NO_NODE;
    }
    cluster->nodes[node] = (struct tg_cql_node){0};
}

tg_status tg_cql_cluster_open(struct tg_cql_cluster *cluster, const struct tg_cql_cluster_config *config,
                              struct tg_arena *arena, struct tg_error *err)
{
    *cluster = (struct tg_cql_cluster){.config = *config, .control = TG_CQL_NO_CONNECTION};
    if (config->datacenter != NULL) {
        (void)snprintf(cluster->datacenter, sizeof cluster->datacenter, "%s", config->datacenter);
    }
    cluster->connections = tg_arena_alloc(arena, TG_CQL_CONNECTIONS_MAX * sizeof *cluster->connections, 64);
    if (cluster->connections == NULL) { return tg_fail(err, TG1601, 0, "arena too small for Cassandra connections"); }
    for (uint32_t i = 0; i < TG_CQL_CONNECTIONS_MAX; i++) {
        struct tg_cql_connection_config each = config->connection;
        each.seed += i * 0x9E3779B97F4A7C15u;
        const tg_status status = tg_cql_connection_init(&cluster->connections[i], &each, arena, err);
        if (status != TG_OK) { return status; }
        cluster->owners[i] = TG_CQL_NO_NODE;
    }
    tg_status status = tg_cql_ring_init(&cluster->ring, arena, err);
    if (status == TG_OK) { status = tg_cql_ring_init(&cluster->fresh, arena, err); }
    if (status != TG_OK) { return status; }
    for (uint32_t i = 0; i < config->contact_count; i++) {
        const uint32_t node = tg_cql_cluster_node(cluster, &config->contacts[i]);
        TG_ASSERT(node != TG_CQL_NO_NODE);
        cluster->nodes[node].is_contact = true;
        tg_cql_cluster_connect(cluster, node);
    }
    return TG_OK;
}

/* ---- routing ----------------------------------------------------------------------------------------------------- */

bool tg_cql_cluster_routes(const struct tg_cql_cluster *cluster) { return cluster->ring.node_count > 1; }

/* The least busy connection of `node` (any node when TG_CQL_NO_NODE) that has room and is not `avoid`. */
static struct tg_cql_connection *least_busy(struct tg_cql_cluster *cluster, uint32_t node, uint32_t avoid)
{
    struct tg_cql_connection *best = NULL;
    uint32_t best_room = 0;
    for (uint32_t k = 0; k < cluster->connection_count; k++) {
        const uint32_t i = (k + cluster->turn) % cluster->connection_count;
        if (i == avoid || cluster->owners[i] == TG_CQL_NO_NODE ||
            (node != TG_CQL_NO_NODE && cluster->owners[i] != node)) {
            continue;
        }
        const uint32_t room = tg_cql_connection_room(&cluster->connections[i]);
        if (room > best_room) {
            best = &cluster->connections[i];
            best_room = room;
        }
    }
    return best;
}

struct tg_cql_connection *tg_cql_cluster_choose(struct tg_cql_cluster *cluster, bool routed, int64_t token,
                                                uint32_t avoid)
{
    const uint8_t *replicas = routed ? tg_cql_ring_replicas(&cluster->ring, token) : NULL;
    for (uint32_t i = 0; replicas != NULL && i < TG_CQL_REPLICAS_MAX && replicas[i] != TG_CQL_NO_NODE; i++) {
        struct tg_cql_connection *c = least_busy(cluster, replicas[i], avoid);
        if (c != NULL) { return c; }
    }
    cluster->turn++;
    struct tg_cql_connection *c = least_busy(cluster, TG_CQL_NO_NODE, avoid);
    if (c == NULL && avoid < cluster->connection_count && cluster->owners[avoid] != TG_CQL_NO_NODE &&
        tg_cql_connection_room(&cluster->connections[avoid]) > 0) {
        c = &cluster->connections[avoid];
    }
    return c;
}

uint32_t tg_cql_cluster_ups(const struct tg_cql_cluster *cluster)
{
    uint32_t ups = 0;
    for (uint32_t i = 0; i < cluster->connection_count; i++) {
        ups += cluster->connections[i].state == TG_CQL_UP ? 1 : 0;
    }
    return ups;
}

void tg_cql_cluster_stop(struct tg_cql_cluster *cluster, uint64_t now_ns)
{
    for (uint32_t i = 0; i < cluster->connection_count; i++) {
        tg_cql_connection_stop(&cluster->connections[i], now_ns);
    }
}

bool tg_cql_cluster_quiet(const struct tg_cql_cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->connection_count; i++) {
        if (!tg_cql_connection_quiet(&cluster->connections[i])) { return false; }
    }
    return true;
}
