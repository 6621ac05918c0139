/* What the scripted node (cql_server.h) does with each request. */
#ifndef TG_TESTS_UNIT_IO_CQL_SERVER_REQUESTS_H
#define TG_TESTS_UNIT_IO_CQL_SERVER_REQUESTS_H

#include "tests/unit/io/cql_server_state.h"

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
    server_answer(server, c, stream, TG_CQL_RESULT, &body, SERVER_APPLY);
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
    server_answer(server, c, stream, TG_CQL_RESULT, &body, SERVER_APPLY);
}

/* Last write wins; one timestamp with two contents would be decided by the values, which is what must never happen. */
static inline void server_apply(struct server *server, const uint8_t *values, uint32_t bytes, int64_t timestamp)
{
    struct tg_cql_reader reader = {.data = values, .bytes = bytes};
    const struct tg_cql_view key = tg_cql_get_bytes(&reader);
    char text[32];
    tg_cql_view_copy(key, text, sizeof text);
    const uint32_t index = (uint32_t)strtoul(text + 1, NULL, 10);
    cr_assert_lt(index, SERVER_KEYS);
    cr_assert_leq(bytes, SERVER_IMAGE);
    if (server->owned_from < server->owned_to) {
        const int64_t token = tg_cql_token(key.data, key.bytes);
        server->misrouted += token > server->owned_from && token <= server->owned_to ? 0 : 1;
    }
    struct server_cell *cell = &server->table[index];
    if (cell->present && cell->timestamp == timestamp &&
        (cell->bytes != bytes || memcmp(cell->values, values, bytes) != 0)) {
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

static inline void server_acknowledge(struct server *server, struct server_connection *c, int16_t stream,
                                      enum server_action harm)
{
    uint8_t data[4];
    struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
    tg_cql_put_u32(&body, 1);
    server_answer(server, c, stream, TG_CQL_RESULT, &body, harm);
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
    server_answer(server, c, stream, TG_CQL_ERROR, &body, SERVER_APPLY);
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
    case SERVER_OVERLOADED: server_error(server, c, stream, TG_CQL_CODE_OVERLOADED, "overloaded"); return;
    case SERVER_UNAVAILABLE: server_error(server, c, stream, TG_CQL_CODE_UNAVAILABLE, "unavailable"); return;
    case SERVER_BOOTSTRAPPING: server_error(server, c, stream, TG_CQL_CODE_BOOTSTRAPPING, "starting"); return;
    case SERVER_TIMEOUT_APPLIED:
    case SERVER_TIMEOUT_LOST: server_write_timeout(server, c, stream); return;
    case SERVER_FAILURE: server_error(server, c, stream, TG_CQL_CODE_WRITE_FAILURE, "failed"); return;
    case SERVER_INVALID: server_error(server, c, stream, TG_CQL_CODE_INVALID, "Key may not be empty"); return;
    case SERVER_LATE_ANSWER:
        cr_assert_lt(server->late_count, SERVER_LATE);
        server->late[server->late_count++] = (struct server_late){
            server_now() + (uint64_t)(server->late_ms / 2 + tg_prng_below(&server->prng, server->late_ms)) * 1000000u,
            (uint32_t)(c - server->connections), c->generation, stream};
        return;
    case SERVER_FORGET:
        server->epoch++;
        server_error(server, c, stream, TG_CQL_CODE_UNPREPARED, "forgotten");
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
        server_error(server, c, stream, TG_CQL_CODE_UNPREPARED, "unknown id");
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
        server_answer(server, c, stream, TG_CQL_AUTH_SUCCESS, &body, SERVER_APPLY);
        return;
    }
    (void)empty;
    server_error(server, c, stream, TG_CQL_CODE_CREDENTIALS, "Provided username and/or password are incorrect");
}

static inline void server_startup(struct server *server, struct server_connection *c, int16_t stream)
{
    uint8_t data[128];
    struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
    server->starts_v4 += c->version == 4 ? 1 : 0;
    if (server->user != NULL) { tg_cql_put_string(&body, "org.apache.cassandra.auth.PasswordAuthenticator"); }
    server_answer(server, c, stream, server->user != NULL ? TG_CQL_AUTHENTICATE : TG_CQL_READY, &body, SERVER_APPLY);
    c->framed = c->version >= 5;
}

static inline void server_envelope(struct server *server, struct server_connection *c, const uint8_t *data,
                                   uint32_t bytes)
{
    struct tg_cql_reader request = {.data = data, .bytes = bytes, .at = 9};
    const int16_t stream = (int16_t)(data[2] << 8 | data[3]);
    const struct tg_cql_writer empty = {0};
    const uint8_t none[2] = {0, 0};
    const struct tg_cql_writer no_options = {.data = (uint8_t *)(uintptr_t)none, .used = 2};
    c->version = data[0];
    if (server->mute) { return; }
    if (data[0] > server->version_max) {
        c->version = server->version_max;
        server_error(server, c, stream, TG_CQL_CODE_PROTOCOL, "Invalid or unsupported protocol version");
        if (c->fd >= 0) { server_close(server, c); }
        return;
    }
    switch (data[4]) {
    case TG_CQL_OPTIONS: server_answer(server, c, stream, TG_CQL_SUPPORTED, &no_options, SERVER_APPLY); return;
    case TG_CQL_STARTUP: server_startup(server, c, stream); return;
    case TG_CQL_AUTH_RESPONSE: server_authenticate(server, c, stream, &request); return;
    case TG_CQL_REGISTER: server_answer(server, c, stream, TG_CQL_READY, &empty, SERVER_APPLY); return;
    case TG_CQL_QUERY: server_query(server, c, stream, &request); return;
    case TG_CQL_PREPARE: server_prepare(server, c, stream); return;
    case TG_CQL_EXECUTE: server_execute(server, c, stream, &request); return;
    default: cr_assert_fail("opcode %u", data[4]);
    }
}

#endif
