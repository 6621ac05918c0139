/* What the scripted Cassandra makes of each request. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "engine/sim/cql_peer.h"
#include "io/cassandra/connection.h"

enum { TYPE_TEXT = 0x0d, TEXT_BYTES = 2048, ID_BYTES = 3 };
enum { VALUES = 0x01, SKIP_METADATA = 0x02, DEFAULT_TIMESTAMP = 0x20 };

/* ---- system tables ----------------------------------------------------------------------------------------------- */

/* ROWS with `columns` columns of type text; cells are [bytes] already in `cells`. */
static void answer_rows(struct tg_sim_peer *peer, int16_t stream, uint32_t columns, uint32_t rows,
                        const struct tg_cql_writer *cells)
{
    uint8_t data[TG_SIM_ANSWER_BYTES];
    struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
    tg_cql_put_u32(&body, 2);
    tg_cql_put_u32(&body, 1);
    tg_cql_put_u32(&body, columns);
    tg_cql_put_string(&body, "system");
    tg_cql_put_string(&body, "x");
    for (uint32_t i = 0; i < columns; i++) {
        tg_cql_put_string(&body, "c");
        tg_cql_put_u16(&body, TYPE_TEXT);
    }
    tg_cql_put_u32(&body, rows);
    tg_cql_put_raw(&body, cells->data, cells->used);
    tg_sim_cql_answer(peer, stream, TG_CQL_RESULT, &body, false);
}

static void put_node(struct tg_cql_writer *cells, uint32_t index, uint32_t count)
{
    char token[32];
    /* The ring in equal parts. */
    const int64_t place = (int64_t)(UINT64_C(0x8000000000000001) + index * (UINT64_MAX / count));
    (void)snprintf(token, sizeof token, "%lld", (long long)place);
    tg_cql_put_long_string(cells, "dc1");
    tg_cql_put_long_string(cells, "rack1");
    tg_cql_put_u32(cells, 4 + 4 + (uint32_t)strlen(token));
    tg_cql_put_u32(cells, 1);
    tg_cql_put_long_string(cells, token);
}

static void put_peers(const struct tg_sim_cql *cql, uint32_t self, struct tg_cql_writer *cells)
{
    for (uint32_t i = 0; i < cql->config.nodes; i++) {
        if (i == self) { continue; }
        put_node(cells, i, cql->config.nodes);
        tg_cql_put_u32(cells, 4);
        tg_cql_put_u32(cells, 0x0A000001 + i);
        tg_cql_put_u32(cells, 4);
        tg_cql_put_u32(cells, TG_SIM_PORT);
    }
}

static void put_replication(const struct tg_sim_cql *cql, struct tg_cql_writer *cells)
{
    uint8_t data[256];
    char factor[16];
    struct tg_cql_writer map = {.data = data, .capacity = sizeof data};
    (void)snprintf(factor, sizeof factor, "%u", cql->config.nodes > 2 ? 2u : 1u);
    tg_cql_put_u32(&map, 2);
    tg_cql_put_long_string(&map, "class");
    tg_cql_put_long_string(&map, "org.apache.cassandra.locator.SimpleStrategy");
    tg_cql_put_long_string(&map, "replication_factor");
    tg_cql_put_long_string(&map, factor);
    tg_cql_put_u32(cells, map.used);
    tg_cql_put_raw(cells, map.data, map.used);
}

static void on_query(struct tg_sim_cql *cql, struct tg_sim_peer *peer, int16_t stream, struct tg_cql_reader *request)
{
    char cql_text[TEXT_BYTES];
    uint8_t data[TG_SIM_ANSWER_BYTES / 2];
    struct tg_cql_writer cells = {.data = data, .capacity = sizeof data};
    tg_cql_view_copy(tg_cql_get_bytes(request), cql_text, sizeof cql_text);
    if (strstr(cql_text, "system.local") != NULL) {
        put_node(&cells, peer->node->index, cql->config.nodes);
        answer_rows(peer, stream, 3, 1, &cells);
    } else if (strstr(cql_text, "system.peers_v2") != NULL) {
        put_peers(cql, peer->node->index, &cells);
        answer_rows(peer, stream, 5, cql->config.nodes - 1, &cells);
    } else if (strstr(cql_text, "system_schema.keyspaces") != NULL) {
        put_replication(cql, &cells);
        answer_rows(peer, stream, 1, 1, &cells);
    } else {
        tg_sim_cql_error(peer, stream, TG_CQL_CODE_INVALID, "the simulator has no such table");
    }
}

/* ---- the statement ----------------------------------------------------------------------------------------------- */

static int column_of(const struct tg_sim_table_config *table, const char *name, size_t bytes)
{
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (strlen(table->columns[i].name) == bytes && memcmp(table->columns[i].name, name, bytes) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* Columns of "INSERT INTO ks.t (a, "B", ...) VALUES (...)" in their order; false when it is not that. */
static bool read_insert(struct tg_sim_cql *cql, const char *text)
{
    const struct tg_sim_table_config *table = tg_sim_table_columns(cql->config.table);
    const char *at = strchr(text, '(');
    const char *end = at != NULL ? strchr(at, ')') : NULL;
    if (strncmp(text, "INSERT INTO ", 12) != 0 || end == NULL) { return false; }
    cql->order_count = 0;
    for (at++; at < end;) {
        at += strspn(at, " ,\"");
        const size_t bytes = strcspn(at, " ,\")");
        const int column = column_of(table, at, bytes);
        if (column < 0 || cql->order_count == TG_SIM_CELLS_MAX) { return false; }
        cql->order[cql->order_count++] = (uint8_t)column;
        at += bytes;
        at += strspn(at, " \"");
    }
    return cql->order_count == table->column_count;
}

static void put_metadata(const struct tg_sim_cql *cql, struct tg_cql_writer *body)
{
    const struct tg_sim_table_config *table = tg_sim_table_columns(cql->config.table);
    uint16_t keys[TG_SIM_CELLS_MAX];
    uint32_t key_count = 0;
    for (uint32_t i = 0; i < cql->order_count; i++) {
        if (table->columns[cql->order[i]].in_key) { keys[key_count++] = (uint16_t)i; }
    }
    tg_cql_put_u32(body, 1);
    tg_cql_put_u32(body, cql->order_count);
    tg_cql_put_u32(body, key_count);
    for (uint32_t i = 0; i < key_count; i++) { tg_cql_put_u16(body, keys[i]); }
    tg_cql_put_string(body, cql->config.keyspace);
    tg_cql_put_string(body, cql->config.table_name);
    for (uint32_t i = 0; i < cql->order_count; i++) {
        tg_cql_put_string(body, table->columns[cql->order[i]].name);
        tg_cql_put_u16(body, table->columns[cql->order[i]].type);
    }
    tg_cql_put_u32(body, 4);
    tg_cql_put_u32(body, 0);
}

static void on_prepare(struct tg_sim_cql *cql, struct tg_sim_peer *peer, int16_t stream, struct tg_cql_reader *request)
{
    char text[TEXT_BYTES];
    uint8_t data[TG_SIM_ANSWER_BYTES];
    const uint8_t id[ID_BYTES] = {'i', 'd', peer->node->epoch};
    struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
    tg_cql_view_copy(tg_cql_get_bytes(request), text, sizeof text);
    if (!read_insert(cql, text)) {
        tg_sim_cql_error(peer, stream, TG_CQL_CODE_INVALID, "the simulator prepares INSERTs of its table only");
        return;
    }
    tg_cql_put_u32(&body, 4);
    tg_cql_put_short_bytes(&body, id, sizeof id);
    if (peer->version >= 5) { tg_cql_put_short_bytes(&body, "meta", 4); }
    put_metadata(cql, &body);
    tg_sim_cql_answer(peer, stream, TG_CQL_RESULT, &body, false);
}

/* ---- executions -------------------------------------------------------------------------------------------------- */

/* The values of one execution, which stay where they are. */
static void read_values(const struct tg_sim_cql *cql, struct tg_cql_reader *request, struct tg_sim_cql_task *task)
{
    const uint32_t count = tg_cql_get_u16(request);
    TG_ASSERT(count == cql->order_count);
    const uint32_t start = request->at;
    for (uint32_t i = 0; i < count; i++) { (void)tg_cql_get_bytes(request); }
    task->order_count = count;
    memcpy(task->order, cql->order, sizeof task->order);
    task->image = (uint8_t *)(uintptr_t)(request->data + start); /* read only */
    task->image_bytes = request->at - start;
}

static bool knows(const struct tg_sim_peer *peer, struct tg_cql_view id)
{
    return id.bytes == ID_BYTES && id.data[2] == peer->node->epoch;
}

static uint32_t read_flags(const struct tg_sim_peer *peer, struct tg_cql_reader *request)
{
    return peer->version >= 5 ? tg_cql_get_u32(request) : tg_cql_get_u8(request);
}

static void on_execute(struct tg_sim_cql *cql, struct tg_sim_peer *peer, int16_t stream, struct tg_cql_reader *request)
{
    struct tg_sim_cql_task task = {.peer = peer, .generation = peer->generation, .stream = stream};
    const struct tg_cql_view id = tg_cql_get_string(request);
    if (peer->version >= 5) { (void)tg_cql_get_string(request); }
    (void)tg_cql_get_u16(request);
    const uint32_t flags = read_flags(peer, request);
    TG_ASSERT(flags == (VALUES | SKIP_METADATA | DEFAULT_TIMESTAMP));
    read_values(cql, request, &task);
    task.timestamp = (int64_t)tg_cql_get_u64(request);
    TG_ASSERT(!request->broken && request->at == request->bytes);
    if (!knows(peer, id)) {
        tg_sim_cql_error(peer, stream, TG_CQL_CODE_UNPREPARED, "unknown statement");
        return;
    }
    tg_sim_cql_execute(cql, &task);
}

/* Prepared statements only. All of a batch shares one fate: it is drawn with its last write, the others are applied. */
static void on_batch(struct tg_sim_cql *cql, struct tg_sim_peer *peer, int16_t stream, struct tg_cql_reader *request)
{
    enum { WRITES_MAX = 64, PREPARED = 1 };
    struct tg_sim_cql_task tasks[WRITES_MAX];
    (void)tg_cql_get_u8(request);
    const uint32_t count = tg_cql_get_u16(request);
    bool known = true;
    TG_ASSERT(count >= 1 && count <= WRITES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        tasks[i] = (struct tg_sim_cql_task){.peer = peer, .generation = peer->generation, .stream = stream};
        TG_ASSERT(tg_cql_get_u8(request) == PREPARED);
        known = knows(peer, tg_cql_get_string(request)) && known;
        read_values(cql, request, &tasks[i]);
    }
    (void)tg_cql_get_u16(request);
    TG_ASSERT(read_flags(peer, request) == DEFAULT_TIMESTAMP);
    const int64_t timestamp = (int64_t)tg_cql_get_u64(request);
    TG_ASSERT(!request->broken && request->at == request->bytes);
    if (!known) {
        tg_sim_cql_error(peer, stream, TG_CQL_CODE_UNPREPARED, "unknown statement");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        tasks[i].timestamp = timestamp;
        if (i + 1 < count) { tg_sim_cql_apply(cql, &tasks[i]); }
    }
    tg_sim_cql_execute(cql, &tasks[count - 1]);
}

/* ------------------------------------------------------------------------------------------------------------------ */

void tg_sim_cql_request(struct tg_sim_cql *cql, struct tg_sim_peer *peer, const uint8_t *data, uint32_t bytes)
{
    struct tg_cql_reader request = {.data = data, .bytes = bytes, .at = 9};
    const int16_t stream = (int16_t)(data[2] << 8 | data[3]);
    uint8_t none[2] = {0, 0};
    const struct tg_cql_writer empty = {0};
    const struct tg_cql_writer no_options = {.data = none, .used = 2};
    peer->version = data[0];
    if (data[0] > cql->config.version_max) {
        peer->version = (uint8_t)cql->config.version_max;
        tg_sim_cql_error(peer, stream, TG_CQL_CODE_PROTOCOL, "Invalid or unsupported protocol version");
        return;
    }
    switch (data[4]) {
    case TG_CQL_OPTIONS: tg_sim_cql_answer(peer, stream, TG_CQL_SUPPORTED, &no_options, false); return;
    case TG_CQL_STARTUP:
        tg_sim_cql_answer(peer, stream, TG_CQL_READY, &empty, false);
        peer->framed = peer->version >= 5;
        return;
    case TG_CQL_REGISTER: tg_sim_cql_answer(peer, stream, TG_CQL_READY, &empty, false); return;
    case TG_CQL_QUERY: on_query(cql, peer, stream, &request); return;
    case TG_CQL_PREPARE: on_prepare(cql, peer, stream, &request); return;
    case TG_CQL_EXECUTE: on_execute(cql, peer, stream, &request); return;
    case TG_CQL_BATCH: on_batch(cql, peer, stream, &request); return;
    default: tg_sim_cql_error(peer, stream, TG_CQL_CODE_PROTOCOL, "unknown request"); return;
    }
}
