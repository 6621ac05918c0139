/* A scripted Cassandra node for error injection: one thread, a table of its own with Cassandra's last-write-wins rule, and
 * a script that says what happens to each execution. It speaks versions 4 and 5 and reads frames by its own code. */
#ifndef TG_TESTS_CQL_SERVER_H
#define TG_TESTS_CQL_SERVER_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/prng.h"
#include "io/cassandra/codec.h"
#include "io/cassandra/connection.h"
#include "io/cassandra/frame.h"
#include "io/cassandra/token.h"

enum { SERVER_KEYS = 1000, SERVER_CONNECTIONS = 16, SERVER_LATE = 4096, SERVER_INPUT = 1 << 20, SERVER_IMAGE = 256 };

enum server_action {
    SERVER_APPLY,      /* write it, acknowledge */
    SERVER_OVERLOADED, /* do nothing, say so */
    SERVER_UNAVAILABLE,
    SERVER_BOOTSTRAPPING,
    SERVER_TIMEOUT_APPLIED, /* WRITE_TIMEOUT, although it was written */
    SERVER_TIMEOUT_LOST,
    SERVER_SILENT,     /* neither written nor answered */
    SERVER_LATE_ANSWER, /* written and acknowledged after late_ms */
    SERVER_CUT,        /* written; half of the answer, then the connection ends */
    SERVER_CORRUPT,    /* written; one bit of the answer is wrong */
    SERVER_FORGET,     /* all prepared statements are forgotten */
    SERVER_FAILURE,    /* WRITE_FAILURE */
    SERVER_INVALID,
    SERVER_ACTIONS,
};

struct server_cell {
    bool present;
    int64_t timestamp;
    uint32_t bytes;
    uint8_t values[SERVER_IMAGE];
};

struct server_late {
    uint64_t due_ns;
    uint32_t connection;
    uint32_t generation;
    int16_t stream;
};

struct server_connection {
    int fd;
    uint32_t generation;
    uint8_t version;
    bool framed;
    uint32_t used;
    uint8_t *input;
};

struct server {
    /* script: set before start */
    uint8_t version_max;
    uint32_t weights[SERVER_ACTIONS]; /* of 1,000; the rest is APPLY */
    uint32_t late_ms;
    const char *user; /* NULL = everybody may come in */
    const char *password;
    const char *token;      /* the node's only token */
    uint16_t peer_port;     /* other node; 0 = none */
    const char *peer_token;
    int64_t owned_from, owned_to; /* tokens of our rows: (from, to] */
    bool mute;              /* accepts, never answers */
    uint64_t seed;
    uint16_t port; /* 0 = any; filled by server_listen */
    /* running */
    int listener;
    pthread_t thread;
    bool started;
    _Atomic bool stop;
    pthread_mutex_t lock; /* of what follows */
    struct server_cell *table; /* [SERVER_KEYS] */
    uint64_t counts[SERVER_ACTIONS];
    uint64_t executions, connections_made, prepares, misrouted, unprepared, starts_v4;
    bool conflict; /* one timestamp came with two contents */
    /* the thread's own */
    struct server_connection connections[SERVER_CONNECTIONS];
    struct server_late late[SERVER_LATE];
    uint32_t late_count;
    uint8_t epoch; /* part of prepared ids */
    struct tg_prng prng;
};

static inline uint64_t server_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void server_close(struct server *server, struct server_connection *c)
{
    (void)server;
    (void)close(c->fd);
    c->fd = -1;
    c->generation++;
}

static inline void server_write(struct server *server, struct server_connection *c, const uint8_t *data, uint32_t bytes)
{
    uint64_t end_ns = server_now() + 2000000000u;
    for (uint32_t at = 0; at < bytes;) {
        const ssize_t sent = send(c->fd, data + at, bytes - at, MSG_NOSIGNAL);
        if (sent > 0) {
            at += (uint32_t)sent;
        } else if (errno != EINTR || server_now() > end_ns) {
            server_close(server, c);
            return;
        }
    }
}

/* Send one envelope; `harm` is APPLY, CUT or CORRUPT. */
static inline void server_answer(struct server *server, struct server_connection *c, uint8_t version, int16_t stream,
                                 uint8_t opcode, const struct tg_cql_writer *body, enum server_action harm)
{
    uint8_t data[4096];
    struct tg_cql_output output = {.data = data, .capacity = sizeof data, .framed = c->framed};
    uint8_t *out = tg_cql_output_begin(&output, (uint8_t)(version | 0x80), stream, (enum tg_cql_opcode)opcode, body->used);
    cr_assert_not_null(out);
    if (body->used > 0) { memcpy(out, body->data, body->used); }
    tg_cql_output_end(&output);
    tg_cql_output_seal(&output);
    if (harm == SERVER_CORRUPT) { data[tg_prng_below(&server->prng, output.used)] ^= 0x10; }
    server_write(server, c, data, harm == SERVER_CUT ? output.used / 2 : output.used);
    if (harm == SERVER_CUT && c->fd >= 0) { server_close(server, c); }
}

static inline void server_error(struct server *server, struct server_connection *c, uint8_t version, int16_t stream,
                                uint32_t code, const char *text)
{
    uint8_t data[512];
    struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
    tg_cql_put_u32(&body, code);
    tg_cql_put_string(&body, text);
    server_answer(server, c, version, stream, TG_CQL_ERROR, &body, SERVER_APPLY);
}

/* ROWS with `columns` columns of type text; cells are [bytes] already in `cells`. */
static inline void server_rows(struct server *server, struct server_connection *c, int16_t stream, uint32_t columns,
                               uint32_t rows, const struct tg_cql_writer *cells)
{
    uint8_t data[1024];
    struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
    tg_cql_put_u32(&body, 2);
    tg_cql_put_u32(&body, 1);
    tg_cql_put_u32(&body, columns);
    tg_cql_put_string(&body, "system");
    tg_cql_put_string(&body, "x");
    for (uint32_t i = 0; i < columns; i++) {
        tg_cql_put_string(&body, "c");
        tg_cql_put_u16(&body, 0x0d);
    }
    tg_cql_put_u32(&body, rows);
    tg_cql_put_raw(&body, cells->data, cells->used);
    server_answer(server, c, c->version, stream, TG_CQL_RESULT, &body, SERVER_APPLY);
}

static inline void put_node(struct tg_cql_writer *cells, const char *token)
{
    tg_cql_put_long_string(cells, "dc1");
    tg_cql_put_long_string(cells, "rack1");
    tg_cql_put_u32(cells, 4 + 4 + (uint32_t)strlen(token));
    tg_cql_put_u32(cells, 1);
    tg_cql_put_long_string(cells, token);
}

static inline void server_query(struct server *server, struct server_connection *c, int16_t stream,
                                struct tg_cql_reader *request)
{
    char cql[512];
    uint8_t data[512];
    struct tg_cql_writer cells = {.data = data, .capacity = sizeof data};
    tg_cql_view_copy(tg_cql_get_bytes(request), cql, sizeof cql);
    if (strstr(cql, "system.local") != NULL) {
        put_node(&cells, server->token != NULL ? server->token : "0");
        server_rows(server, c, stream, 3, 1, &cells);
    } else if (strstr(cql, "system.peers_v2") != NULL) {
        if (server->peer_port != 0) {
            put_node(&cells, server->peer_token);
            tg_cql_put_u32(&cells, 4);
            tg_cql_put_u32(&cells, INADDR_LOOPBACK);
            tg_cql_put_u32(&cells, 4);
            tg_cql_put_u32(&cells, server->peer_port);
        }
        server_rows(server, c, stream, 5, server->peer_port != 0 ? 1 : 0, &cells);
    } else {
        server_rows(server, c, stream, 1, 0, &cells);
    }
}

static inline void server_prepare(struct server *server, struct server_connection *c, int16_t stream)
{
    static const struct {
        const char *name;
        uint16_t type;
    } columns[] = {{"key", 0x0d}, {"n", 0x09}, {"note", 0x0d}};
    uint8_t data[512];
    const uint8_t id[3] = {'i', 'd', server->epoch};
    struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
    tg_cql_put_u32(&body, 4);
    tg_cql_put_short_bytes(&body, id, sizeof id);
    if (c->version >= 5) { tg_cql_put_short_bytes(&body, "meta", 4); }
    tg_cql_put_u32(&body, 1);
    tg_cql_put_u32(&body, 3);
    tg_cql_put_u32(&body, 1);
    tg_cql_put_u16(&body, 0);
    tg_cql_put_string(&body, "ks");
    tg_cql_put_string(&body, "t");
    for (uint32_t i = 0; i < 3; i++) {
        tg_cql_put_string(&body, columns[i].name);
        tg_cql_put_u16(&body, columns[i].type);
    }
    tg_cql_put_u32(&body, 4);
    tg_cql_put_u32(&body, 0);
    server->prepares++;
    server_answer(server, c, c->version, stream, TG_CQL_RESULT, &body, SERVER_APPLY);
}

/* Last write wins; one timestamp with two contents would be decided by the values, which is what must never happen. */
static inline void server_apply(struct server *server, const uint8_t *values, uint32_t bytes, int64_t timestamp)
{
    struct tg_cql_reader reader = {.data = values, .bytes = bytes};
    const struct tg_cql_view key = tg_cql_get_bytes(&reader);
    char text[32];
    tg_cql_view_copy(key, text, sizeof text);
    const uint32_t index = (uint32_t)atoi(text + 1);
    cr_assert_lt(index, SERVER_KEYS);
    cr_assert_leq(bytes, SERVER_IMAGE);
    if (server->owned_from < server->owned_to) {
        const int64_t token = tg_cql_token(key.data, key.bytes);
        server->misrouted += token > server->owned_from && token <= server->owned_to ? 0 : 1;
    }
    struct server_cell *cell = &server->table[index];
    if (cell->present && cell->timestamp == timestamp && (cell->bytes != bytes || memcmp(cell->values, values, bytes) != 0)) {
        server->conflict = true;
    }
    if (cell->present && cell->timestamp >= timestamp) { return; }
    *cell = (struct server_cell){.present = true, .timestamp = timestamp, .bytes = bytes};
    memcpy(cell->values, values, bytes);
}

static inline enum server_action server_choose(struct server *server)
{
    uint32_t pick = tg_prng_below(&server->prng, 1000);
    for (uint32_t i = 1; i < SERVER_ACTIONS; i++) {
        if (pick < server->weights[i]) { return (enum server_action)i; }
        pick -= server->weights[i];
    }
    return SERVER_APPLY;
}

static inline void server_acknowledge(struct server *server, struct server_connection *c, int16_t stream, enum server_action harm)
{
    uint8_t data[4];
    struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
    tg_cql_put_u32(&body, 1);
    server_answer(server, c, c->version, stream, TG_CQL_RESULT, &body, harm);
}

static inline void server_write_timeout(struct server *server, struct server_connection *c, int16_t stream)
{
    uint8_t data[128];
    struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
    tg_cql_put_u32(&body, TG_CQL_CODE_WRITE_TIMEOUT);
    tg_cql_put_string(&body, "Operation timed out");
    tg_cql_put_u16(&body, 6);
    tg_cql_put_u32(&body, 0);
    tg_cql_put_u32(&body, 1);
    tg_cql_put_string(&body, "SIMPLE");
    server_answer(server, c, c->version, stream, TG_CQL_ERROR, &body, SERVER_APPLY);
}

static inline void server_act(struct server *server, struct server_connection *c, int16_t stream, const uint8_t *values,
                              uint32_t bytes, int64_t timestamp)
{
    const enum server_action action = server_choose(server);
    server->counts[action]++;
    const bool applied = action == SERVER_APPLY || action == SERVER_TIMEOUT_APPLIED || action == SERVER_LATE_ANSWER ||
                         action == SERVER_CUT || action == SERVER_CORRUPT;
    if (applied) { server_apply(server, values, bytes, timestamp); }
    switch (action) {
    case SERVER_APPLY:
    case SERVER_CUT:
    case SERVER_CORRUPT: server_acknowledge(server, c, stream, action); return;
    case SERVER_OVERLOADED: server_error(server, c, c->version, stream, TG_CQL_CODE_OVERLOADED, "overloaded"); return;
    case SERVER_UNAVAILABLE: server_error(server, c, c->version, stream, TG_CQL_CODE_UNAVAILABLE, "unavailable"); return;
    case SERVER_BOOTSTRAPPING: server_error(server, c, c->version, stream, TG_CQL_CODE_BOOTSTRAPPING, "starting"); return;
    case SERVER_TIMEOUT_APPLIED:
    case SERVER_TIMEOUT_LOST: server_write_timeout(server, c, stream); return;
    case SERVER_FAILURE: server_error(server, c, c->version, stream, TG_CQL_CODE_WRITE_FAILURE, "failed"); return;
    case SERVER_INVALID: server_error(server, c, c->version, stream, TG_CQL_CODE_INVALID, "Key may not be empty"); return;
    case SERVER_LATE_ANSWER:
        cr_assert_lt(server->late_count, SERVER_LATE);
        server->late[server->late_count++] = (struct server_late){
            server_now() + (uint64_t)(server->late_ms / 2 + tg_prng_below(&server->prng, server->late_ms)) * 1000000u,
            (uint32_t)(c - server->connections), c->generation, stream};
        return;
    case SERVER_FORGET:
        server->epoch++;
        server_error(server, c, c->version, stream, TG_CQL_CODE_UNPREPARED, "forgotten");
        return;
    case SERVER_SILENT:
    case SERVER_ACTIONS: return;
    }
}

static inline void server_execute(struct server *server, struct server_connection *c, int16_t stream,
                                  struct tg_cql_reader *request)
{
    const struct tg_cql_view id = tg_cql_get_string(request);
    if (c->version >= 5) { cr_assert(tg_cql_view_is(tg_cql_get_string(request), "meta")); }
    cr_assert_eq(tg_cql_get_u16(request), 6, "LOCAL_QUORUM");
    const uint32_t flags = c->version >= 5 ? tg_cql_get_u32(request) : tg_cql_get_u8(request);
    cr_assert_eq(flags, 0x23);
    cr_assert_eq(tg_cql_get_u16(request), 3);
    const uint8_t *values = request->data + request->at;
    for (uint32_t i = 0; i < 3; i++) { (void)tg_cql_get_bytes(request); }
    const uint32_t bytes = (uint32_t)(request->data + request->at - values);
    const int64_t timestamp = (int64_t)tg_cql_get_u64(request);
    cr_assert(!request->broken && request->at == request->bytes);
    server->executions++;
    if (id.bytes != 3 || id.data[2] != server->epoch) {
        server->unprepared++;
        server_error(server, c, c->version, stream, TG_CQL_CODE_UNPREPARED, "unknown id");
        return;
    }
    server_act(server, c, stream, values, bytes, timestamp);
}

static inline void server_authenticate(struct server *server, struct server_connection *c, int16_t stream,
                                       struct tg_cql_reader *request)
{
    char want[128];
    const struct tg_cql_view token = tg_cql_get_bytes(request);
    const int bytes = snprintf(want, sizeof want, "%c%s%c%s", 0, server->user, 0, server->password);
    const struct tg_cql_writer empty = {0};
    if (token.bytes == (uint32_t)bytes && memcmp(token.data, want, token.bytes) == 0) {
        uint8_t data[4];
        struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
        tg_cql_put_u32(&body, UINT32_MAX);
        server_answer(server, c, c->version, stream, TG_CQL_AUTH_SUCCESS, &body, SERVER_APPLY);
        return;
    }
    (void)empty;
    server_error(server, c, c->version, stream, TG_CQL_CODE_CREDENTIALS, "Provided username and/or password are incorrect");
}

static inline void server_startup(struct server *server, struct server_connection *c, int16_t stream)
{
    uint8_t data[128];
    struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
    server->starts_v4 += c->version == 4 ? 1 : 0;
    if (server->user != NULL) { tg_cql_put_string(&body, "org.apache.cassandra.auth.PasswordAuthenticator"); }
    server_answer(server, c, c->version, stream, server->user != NULL ? TG_CQL_AUTHENTICATE : TG_CQL_READY, &body, SERVER_APPLY);
    c->framed = c->version >= 5;
}

static inline void server_envelope(struct server *server, struct server_connection *c, const uint8_t *data, uint32_t bytes)
{
    struct tg_cql_reader request = {.data = data, .bytes = bytes, .at = 9};
    const int16_t stream = (int16_t)(data[2] << 8 | data[3]);
    const struct tg_cql_writer empty = {0};
    const uint8_t none[2] = {0, 0};
    const struct tg_cql_writer no_options = {.data = (uint8_t *)(uintptr_t)none, .used = 2};
    c->version = data[0];
    if (server->mute) { return; }
    if (data[0] > server->version_max) {
        server_error(server, c, server->version_max, stream, TG_CQL_CODE_PROTOCOL, "Invalid or unsupported protocol version");
        if (c->fd >= 0) { server_close(server, c); }
        return;
    }
    switch (data[4]) {
    case TG_CQL_OPTIONS: server_answer(server, c, c->version, stream, TG_CQL_SUPPORTED, &no_options, SERVER_APPLY); return;
    case TG_CQL_STARTUP: server_startup(server, c, stream); return;
    case TG_CQL_AUTH_RESPONSE: server_authenticate(server, c, stream, &request); return;
    case TG_CQL_REGISTER: server_answer(server, c, c->version, stream, TG_CQL_READY, &empty, SERVER_APPLY); return;
    case TG_CQL_QUERY: server_query(server, c, stream, &request); return;
    case TG_CQL_PREPARE: server_prepare(server, c, stream); return;
    case TG_CQL_EXECUTE: server_execute(server, c, stream, &request); return;
    default: cr_assert_fail("opcode %u", data[4]);
    }
}

/* Whole envelopes in [at, end) of the input; returns where the first incomplete one starts. */
static inline uint32_t server_envelopes(struct server *server, struct server_connection *c, uint32_t at, uint32_t end)
{
    while (c->fd >= 0 && end - at >= 9) {
        const uint8_t *data = c->input + at;
        const uint32_t bytes = 9 + ((uint32_t)data[5] << 24 | (uint32_t)data[6] << 16 | (uint32_t)data[7] << 8 | data[8]);
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
        if (c->fd >= 0 && c->generation == late.generation) { server_acknowledge(server, c, late.stream, SERVER_APPLY); }
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
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
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
