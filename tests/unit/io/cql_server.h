/* A scripted Cassandra node for error injection: one thread, a table of its own with Cassandra's last-write-wins rule,
 * and a script that says what happens to each execution. It speaks versions 4 and 5 and reads frames by its own code.
 */
#ifndef TG_TESTS_UNIT_IO_CQL_SERVER_H
#define TG_TESTS_UNIT_IO_CQL_SERVER_H

#include "tests/unit/io/cql_server_requests.h"

/* Whole envelopes in [at, end) of the input; returns where the first incomplete one starts. */
static inline uint32_t server_envelopes(struct server *server, struct server_connection *c, uint32_t at, uint32_t end)
{
    while (c->fd >= 0 && end - at >= 9) {
        const uint8_t *data = c->input + at;
        const uint32_t bytes = 9 +
                               ((uint32_t)data[5] << 24 | (uint32_t)data[6] << 16 | (uint32_t)data[7] << 8 | data[8]);
        if (bytes > end - at) { break; }
        const bool was_framed = c->framed;
        server_envelope(server, c, data, bytes);
        at += bytes;
        if (c->framed != was_framed) { break; }
    }
    return at;
}

static inline void server_input(struct server *server, struct server_connection *c)
{
    uint32_t at = 0;
    while (c->fd >= 0 && !c->framed && at < c->used) {
        const uint32_t next = server_envelopes(server, c, at, c->used);
        if (next == at) { break; }
        at = next;
    }
    while (c->fd >= 0 && c->framed && c->used - at >= 6) {
        const uint8_t *data = c->input + at;
        const uint32_t header = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16;
        const uint32_t payload = header & 0x1ffff;
        cr_assert_eq(tg_cql_crc24(header), (uint32_t)data[3] | (uint32_t)data[4] << 8 | (uint32_t)data[5] << 16);
        if (c->used - at < payload + 10) { break; }
        uint32_t crc;
        memcpy(&crc, data + 6 + payload, 4);
        cr_assert_eq(tg_cql_crc32(data + 6, payload), crc);
        cr_assert_neq(header & 0x20000, 0, "rows here are small");
        cr_assert(server_envelopes(server, c, at + 6, at + 6 + payload) == at + 6 + payload || c->fd < 0);
        at += payload + 10;
    }
    if (c->fd < 0) { return; }
    memmove(c->input, c->input + at, c->used - at);
    c->used -= at;
}

static inline void server_accept(struct server *server)
{
    const int fd = accept(server->listener, NULL, NULL);
    if (fd < 0) { return; }
    for (uint32_t i = 0; i < SERVER_CONNECTIONS; i++) {
        struct server_connection *c = &server->connections[i];
        if (c->fd >= 0) { continue; }
        const struct timeval limit = {.tv_sec = 2};
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (c->input == NULL) { c->input = malloc(SERVER_INPUT); }
        *c = (struct server_connection){.fd = fd, .generation = c->generation + 1, .input = c->input};
        server->connections_made++;
        return;
    }
    (void)close(fd);
}

static inline void server_late_answers(struct server *server)
{
    for (uint32_t i = 0; i < server->late_count;) {
        const struct server_late late = server->late[i];
        if (late.due_ns > server_now()) {
            i++;
            continue;
        }
        server->late[i] = server->late[--server->late_count];
        struct server_connection *c = &server->connections[late.connection];
        if (c->fd >= 0 && c->generation == late.generation) {
            server_acknowledge(server, c, late.stream, SERVER_APPLY);
        }
    }
}

static inline void *server_run(void *self)
{
    struct server *server = self;
    while (!atomic_load(&server->stop)) {
        struct pollfd polls[SERVER_CONNECTIONS + 1] = {{.fd = server->listener, .events = POLLIN}};
        for (uint32_t i = 0; i < SERVER_CONNECTIONS; i++) {
            polls[i + 1] = (struct pollfd){.fd = server->connections[i].fd, .events = POLLIN};
        }
        (void)poll(polls, SERVER_CONNECTIONS + 1, 2);
        (void)pthread_mutex_lock(&server->lock);
        for (uint32_t i = 0; i < SERVER_CONNECTIONS; i++) {
            struct server_connection *c = &server->connections[i];
            if (c->fd < 0 || (polls[i + 1].revents & (POLLIN | POLLHUP | POLLERR)) == 0) { continue; }
            const ssize_t got = recv(c->fd, c->input + c->used, SERVER_INPUT - c->used, MSG_DONTWAIT);
            if (got <= 0) {
                server_close(server, c);
                continue;
            }
            c->used += (uint32_t)got;
            server_input(server, c);
        }
        server_late_answers(server);
        if ((polls[0].revents & POLLIN) != 0) { server_accept(server); }
        (void)pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

/* Bind the port (any when 0). */
static inline void server_listen(struct server *server)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(server->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    const int on = 1;
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    (void)setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    cr_assert_eq(bind(server->listener, (struct sockaddr *)&address, bytes), 0);
    cr_assert_eq(getsockname(server->listener, (struct sockaddr *)&address, &bytes), 0);
    server->port = ntohs(address.sin_port);
}

static inline void server_start(struct server *server)
{
    cr_assert_eq(listen(server->listener, 64), 0);
    server->prng.state = server->seed;
    if (server->version_max == 0) { server->version_max = 5; }
    if (server->table == NULL) { server->table = calloc(SERVER_KEYS, sizeof *server->table); }
    for (uint32_t i = 0; i < SERVER_CONNECTIONS; i++) { server->connections[i].fd = -1; }
    (void)pthread_mutex_init(&server->lock, NULL);
    atomic_store(&server->stop, false);
    cr_assert_eq(pthread_create(&server->thread, NULL, server_run, server), 0);
    server->started = true;
}

/* The table stays. */
static inline void server_stop(struct server *server)
{
    if (!server->started) { return; }
    atomic_store(&server->stop, true);
    (void)pthread_join(server->thread, NULL);
    for (uint32_t i = 0; i < SERVER_CONNECTIONS; i++) {
        if (server->connections[i].fd >= 0) { server_close(server, &server->connections[i]); }
        free(server->connections[i].input);
        server->connections[i].input = NULL;
    }
    (void)close(server->listener);
    server->started = false;
    server->late_count = 0;
}

#endif
