/* Life of a connection and its stream ids. What a handshake says is in handshake.c. */
#include "io/cassandra/connection.h"

#include <errno.h>
#include <stdio.h>

#include "base/assert.h"
#include "io/cassandra/handshake.h"

enum {
    NO_STREAM = UINT16_MAX,
    ORPHANS_MAX = 256,
    OUTPUT_BYTES_MIN = 256 << 10,
    RECEIVE_BYTES_MAX = 64 << 10,
    WINDOW_START = 128,
    WINDOW_MIN = 4,
};
static const uint64_t CONNECT_TIMEOUT_NS = 5000000000u;
static const uint64_t HEARTBEAT_NS = 10000000000u;
static const uint64_t PAUSE_MIN_NS = 100000000u;
static const uint64_t PAUSE_MAX_NS = 10000000000u;

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

static void on_connected(struct tg_io *io, int32_t result)
{
    struct tg_cql_connection *c = io->owner;
    c->connecting = false;
    c->connected = true;
    c->connect_result = result;
}

static void on_received(struct tg_io *io, int32_t result)
{
    struct tg_cql_connection *c = io->owner;
    c->receiving = false;
    c->received = true;
    c->receive_result = result;
}

static void on_sent(struct tg_io *io, int32_t result)
{
    struct tg_cql_connection *c = io->owner;
    c->sending = false;
    c->sent = true;
    c->send_result = result;
}

/* All stream ids free again. */
static void flights_reset(struct tg_cql_connection *c)
{
    for (uint32_t i = 0; i < c->flight_count; i++) {
        c->flights[i] = (struct tg_cql_flight){.next = i + 1 < c->flight_count ? (uint16_t)(i + 1)
                                                                               : (uint16_t)NO_STREAM};
    }
    c->free_stream = 0;
    c->live_first = NO_STREAM;
    c->live_last = NO_STREAM;
    c->live_count = 0;
    c->orphan_count = 0;
    c->executing = 0;
}

tg_status tg_cql_connection_init(struct tg_cql_connection *c, const struct tg_cql_connection_config *config,
                                 struct tg_arena *arena, struct tg_error *err)
{
    TG_ASSERT(config->in_flight_max > 0 && config->in_flight_max <= 1024);
    *c = (struct tg_cql_connection){.config = *config, .fd = -1, .prng = {config->seed}};
    c->version = config->version == TG_CQL_VERSION_AUTO ? TG_CQL_V5 : (uint8_t)config->version;
    c->flight_count = config->in_flight_max + TG_CQL_STREAMS_SPARE;
    c->flights = tg_arena_alloc(arena, c->flight_count * sizeof *c->flights, 64);
    uint32_t capacity = OUTPUT_BYTES_MIN;
    if (config->statement != NULL) {
        const uint32_t largest = tg_cql_output_need(config->statement->image_bytes_max + 1024);
        capacity = largest > capacity ? largest : capacity;
    }
    for (uint32_t i = 0; i < 2; i++) {
        c->output[i].data = tg_arena_alloc(arena, capacity, 64);
        c->output[i].capacity = capacity;
    }
    if (c->flights == NULL || c->output[0].data == NULL || c->output[1].data == NULL) {
        return tg_fail(err, TG1601, 0, "arena too small for a Cassandra connection");
    }
    flights_reset(c);
    c->connect_io = (struct tg_io){.done = on_connected, .owner = c};
    c->receive_io = (struct tg_io){.done = on_received, .owner = c};
    c->send_io = (struct tg_io){.done = on_sent, .owner = c};
    return tg_cql_decoder_init(&c->decoder, arena, err);
}

void tg_cql_connection_start(struct tg_cql_connection *c, const struct sockaddr *address, socklen_t bytes)
{
    TG_ASSERT(bytes <= sizeof c->address);
    memcpy(&c->address, address, bytes);
    c->address_bytes = bytes;
    c->wanted = true;
    c->attempt_ns = 0;
    c->failures = 0;
}

/* ---- going down -------------------------------------------------------------------------------------------------- */

bool tg_cql_connection_quiet(const struct tg_cql_connection *c)
{
    return c->fd < 0 && !c->connecting && !c->receiving && !c->sending;
}

static void enter(struct tg_cql_connection *c, enum tg_cql_state state, uint64_t now_ns)
{
    c->state = state;
    c->state_ns = now_ns;
}

void tg_cql_connection_drop(struct tg_cql_connection *c, uint64_t now_ns, const char *why)
{
    if (c->state == TG_CQL_DOWN) { return; }
    (void)snprintf(c->why, sizeof c->why, "%s", why);
    if (c->fd >= 0) { tg_loop_shutdown(c->config.loop, c->fd); }
    c->fd = -1;
    enter(c, TG_CQL_DOWN, now_ns);
    /* 0.1 s doubling to 10 s, of which a random half is waited: nodes that come back are not met by all at once. */
    const uint32_t doublings = c->failures < 8 ? c->failures : 8;
    uint64_t pause = PAUSE_MIN_NS << doublings;
    pause = pause > PAUSE_MAX_NS ? PAUSE_MAX_NS : pause;
    pause = pause / 2 + (pause / 2 * tg_prng_below(&c->prng, 1024)) / 1024;
    c->attempt_ns = c->refused_version ? now_ns : now_ns + pause;
    c->refused_version = false;
    c->failures++;
}

void tg_cql_connection_stop(struct tg_cql_connection *c, uint64_t now_ns)
{
    c->wanted = false;
    tg_cql_connection_drop(c, now_ns, "stopped");
}

/* ---- streams ----------------------------------------------------------------------------------------------------- */

static void live_add(struct tg_cql_connection *c, uint16_t stream)
{
    struct tg_cql_flight *flight = &c->flights[stream];
    flight->next = NO_STREAM;
    flight->prev = c->live_last;
    if (c->live_last == NO_STREAM) {
        c->live_first = stream;
    } else {
        c->flights[c->live_last].next = stream;
    }
    c->live_last = stream;
    c->live_count++;
    c->executing += flight->tag < TG_CQL_TAG_EXECUTE_END ? 1 : 0;
}

static void live_remove(struct tg_cql_connection *c, uint16_t stream)
{
    const struct tg_cql_flight *flight = &c->flights[stream];
    if (flight->prev == NO_STREAM) {
        c->live_first = flight->next;
    } else {
        c->flights[flight->prev].next = flight->next;
    }
    if (flight->next == NO_STREAM) {
        c->live_last = flight->prev;
    } else {
        c->flights[flight->next].prev = flight->prev;
    }
    c->live_count--;
    c->executing -= flight->tag < TG_CQL_TAG_EXECUTE_END ? 1 : 0;
}

static void stream_free(struct tg_cql_connection *c, uint16_t stream)
{
    c->flights[stream] = (struct tg_cql_flight){.next = c->free_stream};
    c->free_stream = stream;
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

/* Stream id and envelope of a request; NULL = no id or no room in the output. */
static uint8_t *request_begin(struct tg_cql_connection *c, uint32_t tag, enum tg_cql_opcode opcode, uint32_t body_bytes,
                              uint64_t now_ns)
{
    const uint16_t stream = c->free_stream;
    if (stream == NO_STREAM) { return NULL; }
    struct tg_cql_output *output = &c->output[c->filling];
    uint8_t *body = tg_cql_output_begin(output, c->version, (int16_t)stream, opcode, body_bytes);
    if (body == NULL) { return NULL; }
    c->free_stream = c->flights[stream].next;
    c->flights[stream] = (struct tg_cql_flight){.sent_ns = now_ns, .tag = tag, .used = true};
    live_add(c, stream);
    return body;
}

bool tg_cql_connection_request(struct tg_cql_connection *c, uint32_t tag, enum tg_cql_opcode opcode,
                               const uint8_t *body, uint32_t bytes, uint64_t now_ns)
{
    uint8_t *out = request_begin(c, tag, opcode, bytes, now_ns);
    if (out == NULL) { return false; }
    if (bytes > 0) { memcpy(out, body, bytes); }
    tg_cql_output_end(&c->output[c->filling]);
    return true;
}

bool tg_cql_connection_query(struct tg_cql_connection *c, uint32_t tag, const char *cql, uint64_t now_ns)
{
    enum { ONE = 1 };
    uint8_t body[TG_CQL_TEXT_BYTES + 16];
    struct tg_cql_writer writer = {.data = body, .capacity = sizeof body};
    tg_cql_put_long_string(&writer, cql);
    tg_cql_put_u16(&writer, ONE);
    if (c->version >= TG_CQL_V5) {
        tg_cql_put_u32(&writer, 0);
    } else {
        tg_cql_put_u8(&writer, 0);
    }
    return !writer.overflow && tg_cql_connection_request(c, tag, TG_CQL_QUERY, body, writer.used, now_ns);
}

uint8_t *tg_cql_connection_execute(struct tg_cql_connection *c, uint32_t tag, uint32_t image_bytes, int64_t version,
                                   uint64_t now_ns)
{
    enum { VALUES = 0x01, SKIP_METADATA = 0x02, DEFAULT_TIMESTAMP = 0x20 };
    TG_DCHECK(tag < TG_CQL_TAG_EXECUTE_END);
    if (tg_cql_connection_room(c) == 0) { return NULL; }
    const bool v5 = c->version >= TG_CQL_V5;
    const uint32_t ids = 2u + c->statement_id.bytes + (v5 ? 2u + c->result_id.bytes : 0u);
    const uint32_t bytes = ids + 2 + (v5 ? 4 : 1) + 2 + image_bytes + 8;
    uint8_t *body = request_begin(c, tag, TG_CQL_EXECUTE, bytes, now_ns);
    if (body == NULL) { return NULL; }
    struct tg_cql_writer writer = {.data = body, .capacity = bytes};
    tg_cql_put_short_bytes(&writer, c->statement_id.data, c->statement_id.bytes);
    if (v5) { tg_cql_put_short_bytes(&writer, c->result_id.data, c->result_id.bytes); }
    tg_cql_put_u16(&writer, c->config.consistency);
    if (v5) {
        tg_cql_put_u32(&writer, VALUES | SKIP_METADATA | DEFAULT_TIMESTAMP);
    } else {
        tg_cql_put_u8(&writer, VALUES | SKIP_METADATA | DEFAULT_TIMESTAMP);
    }
    tg_cql_put_u16(&writer, (uint16_t)c->config.statement->schema->column_count);
    uint8_t *image = body + writer.used;
    writer.used += image_bytes;
    tg_cql_put_u64(&writer, (uint64_t)(version == INT64_MIN ? INT64_MIN + 1 : version)); /* the one it refuses */
    TG_ASSERT(!writer.overflow && writer.used == bytes);
    return image;
}

void tg_cql_connection_executed(struct tg_cql_connection *c) { tg_cql_output_end(&c->output[c->filling]); }

uint32_t tg_cql_connection_room(const struct tg_cql_connection *c)
{
    if (c->state != TG_CQL_UP || c->executing >= c->window || c->orphan_count >= ORPHANS_MAX) { return 0; }
    return c->window - c->executing;
}

/* ---- window ------------------------------------------------------------------------------------------------------ */

void tg_cql_connection_slow(struct tg_cql_connection *c, uint64_t sent_ns, uint64_t now_ns)
{
    c->window_slow_start = false;
    if (sent_ns < c->window_cut_ns) { return; } /* sent before the last cut: the same congestion */
    c->window_cut_ns = now_ns;
    c->window = c->window / 2 > WINDOW_MIN ? c->window / 2 : WINDOW_MIN;
    c->window = c->window > c->config.in_flight_max ? c->config.in_flight_max : c->window;
    c->window_acks = 0;
}

void tg_cql_connection_fast(struct tg_cql_connection *c, uint64_t sent_ns, uint64_t now_ns)
{
    /* On the way to a time-out: ask for less before it happens. */
    if (now_ns - sent_ns > c->config.request_timeout_ns / 4) {
        tg_cql_connection_slow(c, sent_ns, now_ns);
        return;
    }
    c->window_acks++;
    if (c->window >= c->config.in_flight_max || (!c->window_slow_start && c->window_acks < c->window)) { return; }
    /* Doubling at first; later by a 64th of the whole for each window's worth of answers. */
    const uint32_t step = c->window_slow_start ? 1 : 1 + c->config.in_flight_max / 64;
    c->window = c->window + step > c->config.in_flight_max ? c->config.in_flight_max : c->window + step;
    c->window_acks = 0;
}

/* ---- polling ----------------------------------------------------------------------------------------------------- */

static void begin_connect(struct tg_cql_connection *c, uint64_t now_ns)
{
    flights_reset(c);
    tg_cql_decoder_reset(&c->decoder);
    for (uint32_t i = 0; i < 2; i++) {
        c->output[i] = (struct tg_cql_output){.data = c->output[i].data, .capacity = c->output[i].capacity};
    }
    c->connected = false;
    c->received = false;
    c->sent = false;
    c->heartbeat = false;
    c->window = c->config.in_flight_max < WINDOW_START ? c->config.in_flight_max : WINDOW_START;
    c->window_slow_start = true;
    c->window_acks = 0;
    enter(c, TG_CQL_CONNECTING, now_ns);
    c->fd = tg_loop_socket(c->config.loop, c->address.ss_family);
    if (c->fd < 0) {
        const int failed = -c->fd;
        c->fd = -1;
        tg_cql_connection_drop(c, now_ns, strerror(failed));
        return;
    }
    c->connecting = true;
    tg_loop_connect(c->config.loop, &c->connect_io, c->fd, (struct sockaddr *)&c->address, c->address_bytes);
}

/* Outcomes of the loop's operations that ended since the last poll. Those of a connection already dropped only count
 * as ended. */
static uint32_t take_outcomes(struct tg_cql_connection *c, uint64_t now_ns)
{
    uint32_t work = 0;
    if (c->connected && c->state == TG_CQL_CONNECTING) {
        work++;
        if (c->connect_result != 0) {
            tg_cql_connection_drop(c, now_ns, strerror(-c->connect_result));
        } else {
            c->received_ns = now_ns;
            enter(c, TG_CQL_GREETING, now_ns);
            tg_cql_handshake_begin(c, now_ns);
        }
    }
    c->connected = false;
    if (c->sent && c->state != TG_CQL_DOWN) {
        work++;
        if (c->send_result < 0) { tg_cql_connection_drop(c, now_ns, strerror(-c->send_result)); }
    }
    c->sent = false;
    if (c->received && c->state != TG_CQL_DOWN) {
        work++;
        if (c->receive_result > 0) {
            tg_cql_decoder_received(&c->decoder, (uint32_t)c->receive_result);
            c->received_ns = now_ns;
        } else {
            tg_cql_connection_drop(c, now_ns,
                                   c->receive_result == 0 ? "closed by the node" : strerror(-c->receive_result));
        }
    }
    c->received = false;
    return work;
}

static void watch(struct tg_cql_connection *c, uint64_t now_ns)
{
    if (c->state == TG_CQL_CONNECTING && now_ns - c->state_ns > CONNECT_TIMEOUT_NS) {
        tg_cql_connection_drop(c, now_ns, "no answer to the connection attempt");
        return;
    }
    if (c->state != TG_CQL_UP || c->heartbeat || now_ns - c->received_ns < HEARTBEAT_NS) { return; }
    c->heartbeat = tg_cql_connection_request(c, TG_CQL_TAG_HEARTBEAT, TG_CQL_OPTIONS, NULL, 0, now_ns);
}

static void begin_receive(struct tg_cql_connection *c)
{
    if (c->receiving || c->received || c->state < TG_CQL_GREETING) { return; }
    uint32_t bytes = 0;
    uint8_t *space = tg_cql_decoder_space(&c->decoder, &bytes);
    TG_ASSERT(bytes > 0);
    c->receiving = true;
    tg_loop_recv(c->config.loop, &c->receive_io, c->fd, space, bytes < RECEIVE_BYTES_MAX ? bytes : RECEIVE_BYTES_MAX,
                 false);
}

uint32_t tg_cql_connection_poll(struct tg_cql_connection *c, uint64_t now_ns)
{
    const uint32_t work = take_outcomes(c, now_ns);
    if (c->state == TG_CQL_DOWN) {
        const bool ready = c->wanted && c->fatal.status == TG_OK && c->live_count == 0 && tg_cql_connection_quiet(c);
        if (!ready || now_ns < c->attempt_ns) { return work; }
        begin_connect(c, now_ns);
        return work + 1;
    }
    watch(c, now_ns);
    return work;
}

void tg_cql_connection_flush(struct tg_cql_connection *c)
{
    if (c->state < TG_CQL_GREETING || c->sending || c->sent) { return; }
    struct tg_cql_output *output = &c->output[c->filling];
    if (output->used == 0) { return; }
    tg_cql_output_seal(output);
    c->filling ^= 1;
    c->output[c->filling].used = 0;
    c->output[c->filling].framed = output->framed;
    c->sending = true;
    tg_loop_send(c->config.loop, &c->send_io, c->fd, output->data, output->used);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

/* The oldest request without answer, for `outcome`. Internal ones are swallowed; false for those. */
static bool give_up_first(struct tg_cql_connection *c, enum tg_cql_outcome outcome, struct tg_cql_answer *answer)
{
    const uint16_t stream = c->live_first;
    struct tg_cql_flight *flight = &c->flights[stream];
    *answer = (struct tg_cql_answer){.outcome = outcome, .tag = flight->tag, .sent_ns = flight->sent_ns};
    live_remove(c, stream);
    if (outcome == TG_CQL_EXPIRED) {
        flight->orphan = true;
        c->orphan_count++;
    } else {
        stream_free(c, stream);
    }
    return answer->tag < TG_CQL_TAG_INTERNAL;
}

/* Requests older than the time limit. A handshake or heartbeat without answer, or too many orphans, end the connection.
 */
static bool expire(struct tg_cql_connection *c, uint64_t now_ns, struct tg_cql_answer *answer)
{
    if (c->live_count == 0) { return false; }
    const struct tg_cql_flight *oldest = &c->flights[c->live_first];
    if (now_ns - oldest->sent_ns < c->config.request_timeout_ns || now_ns < oldest->sent_ns) { return false; }
    if (oldest->tag >= TG_CQL_TAG_INTERNAL) {
        tg_cql_connection_drop(c, now_ns, "no answer in time");
        return false;
    }
    const bool external = give_up_first(c, TG_CQL_EXPIRED, answer);
    TG_ASSERT(external);
    if (c->orphan_count >= ORPHANS_MAX) { tg_cql_connection_drop(c, now_ns, "too many requests without answer"); }
    return true;
}

/* True when the envelope answers a request of the owner. */
static bool take_envelope(struct tg_cql_connection *c, uint64_t now_ns, struct tg_cql_answer *answer)
{
    const struct tg_cql_envelope *envelope = &answer->envelope;
    if (envelope->stream < 0) {
        c->events += envelope->opcode == TG_CQL_EVENT ? 1 : 0;
        return false;
    }
    const uint16_t stream = (uint16_t)envelope->stream;
    if (stream >= c->flight_count || !c->flights[stream].used) {
        tg_cql_connection_drop(c, now_ns, "answer to a request that was never made");
        return false;
    }
    const struct tg_cql_flight flight = c->flights[stream];
    if (flight.orphan) {
        c->orphan_count--;
        stream_free(c, stream);
        return false;
    }
    live_remove(c, stream);
    stream_free(c, stream);
    answer->outcome = TG_CQL_ANSWERED;
    answer->tag = flight.tag;
    answer->sent_ns = flight.sent_ns;
    if (flight.tag < TG_CQL_TAG_INTERNAL) {
        tg_cql_handshake_watch(c, answer, now_ns);
        return true;
    }
    tg_cql_handshake_answer(c, answer, now_ns);
    return false;
}

bool tg_cql_connection_next(struct tg_cql_connection *c, uint64_t now_ns, struct tg_cql_answer *answer)
{
    while (true) { /* ends: each round consumes an envelope or a request */
        if (c->state == TG_CQL_DOWN) {
            if (c->live_count == 0) { return false; }
            if (give_up_first(c, TG_CQL_LOST, answer)) { return true; }
            continue;
        }
        if (c->receiving || c->received) { break; } /* the input belongs to the kernel, or was not taken yet */
        *answer = (struct tg_cql_answer){0};
        const enum tg_cql_decoded decoded = tg_cql_decoder_next(&c->decoder, &answer->envelope);
        if (decoded == TG_CQL_CORRUPT) {
            tg_cql_connection_drop(c, now_ns, "received bytes that are not the protocol (checksum or length)");
            continue;
        }
        if (decoded == TG_CQL_MORE) {
            begin_receive(c);
            break;
        }
        if (take_envelope(c, now_ns, answer)) { return true; }
    }
    return expire(c, now_ns, answer); /* what it drops is answered LOST next time */
}
