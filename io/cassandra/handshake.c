/* From a connected socket to a prepared statement. */
#include "io/cassandra/handshake.h"

#include <stdio.h>

#include "base/assert.h"

enum { RESULT_PREPARED = 4, PREPARE_REFUSALS_MAX = 10, NAME_BYTES = 160 };

uint32_t tg_cql_error_read(const struct tg_cql_envelope *envelope, char *text, uint32_t capacity)
{
    struct tg_cql_reader reader = {.data = envelope->body, .bytes = envelope->bytes};
    const uint32_t code = tg_cql_get_u32(&reader);
    tg_cql_view_copy(tg_cql_get_string(&reader), text, capacity);
    return reader.broken ? TG_CQL_CODE_PROTOCOL : code;
}

/* An internal request always finds room: nothing else is in flight, or a spare stream is. If not, start over. */
static void request(struct tg_cql_connection *c, uint32_t tag, enum tg_cql_opcode opcode,
                    const struct tg_cql_writer *body, uint64_t now_ns)
{
    if (body->overflow || !tg_cql_connection_request(c, tag, opcode, body->data, body->used, now_ns)) {
        tg_cql_connection_drop(c, now_ns, "handshake does not fit");
    }
}

static void enter(struct tg_cql_connection *c, enum tg_cql_state state, uint64_t now_ns)
{
    c->state = state;
    c->state_ns = now_ns;
}

void tg_cql_handshake_begin(struct tg_cql_connection *c, uint64_t now_ns)
{
    const struct tg_cql_writer empty = {0};
    request(c, TG_CQL_TAG_GREETING, TG_CQL_OPTIONS, &empty, now_ns);
}

static void startup(struct tg_cql_connection *c, uint64_t now_ns)
{
    uint8_t data[256];
    struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
    tg_cql_put_u16(&body, 4);
    tg_cql_put_string(&body, "CQL_VERSION");
    tg_cql_put_string(&body, "3.0.0");
    tg_cql_put_string(&body, "DRIVER_NAME");
    tg_cql_put_string(&body, "turgo");
    tg_cql_put_string(&body, "DRIVER_VERSION");
    tg_cql_put_string(&body, TURGO_VERSION);
    tg_cql_put_string(&body, "THROW_ON_OVERLOAD"); /* else an overloaded node just stops reading */
    tg_cql_put_string(&body, "1");
    enter(c, TG_CQL_STARTING, now_ns);
    request(c, TG_CQL_TAG_STARTUP, TG_CQL_STARTUP, &body, now_ns);
}

static void prepare(struct tg_cql_connection *c, uint64_t now_ns)
{
    if (c->config.statement == NULL) {
        enter(c, TG_CQL_UP, now_ns);
        c->failures = 0;
        return;
    }
    uint8_t data[TG_CQL_TEXT_BYTES + 16];
    struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
    tg_cql_put_long_string(&body, c->config.statement->cql);
    if (c->version >= TG_CQL_V5) { tg_cql_put_u32(&body, 0); }
    enter(c, TG_CQL_PREPARING, now_ns);
    request(c, TG_CQL_TAG_PREPARE, TG_CQL_PREPARE, &body, now_ns);
}

/* SASL PLAIN: NUL, user, NUL, password. */
static void authenticate(struct tg_cql_connection *c, const struct tg_cql_answer *answer, uint64_t now_ns)
{
    struct tg_cql_reader reader = {.data = answer->envelope.body, .bytes = answer->envelope.bytes};
    char name[NAME_BYTES];
    tg_cql_view_copy(tg_cql_get_string(&reader), name, sizeof name);
    if (c->config.username == NULL || c->config.password == NULL) {
        (void)tg_fail(&c->fatal, TG1302, 0, "the node asks for authentication (%s): set username and password", name);
        tg_cql_connection_drop(c, now_ns, "authentication needed");
        return;
    }
    uint8_t data[1024];
    struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
    const size_t user_bytes = strlen(c->config.username);
    const size_t password_bytes = strlen(c->config.password);
    if (user_bytes + password_bytes > sizeof data - 16) {
        (void)tg_fail(&c->fatal, TG1302, 0, "username and password are too long");
        tg_cql_connection_drop(c, now_ns, "authentication impossible");
        return;
    }
    tg_cql_put_u32(&body, (uint32_t)(2 + user_bytes + password_bytes));
    tg_cql_put_u8(&body, 0);
    tg_cql_put_raw(&body, c->config.username, (uint32_t)user_bytes);
    tg_cql_put_u8(&body, 0);
    tg_cql_put_raw(&body, c->config.password, (uint32_t)password_bytes);
    enter(c, TG_CQL_AUTHENTICATING, now_ns);
    request(c, TG_CQL_TAG_AUTH, TG_CQL_AUTH_RESPONSE, &body, now_ns);
    explicit_bzero(data, sizeof data);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static void refused_version(struct tg_cql_connection *c, uint64_t now_ns, const char *text)
{
    char why[sizeof c->why];
    if (c->config.version == TG_CQL_VERSION_AUTO && c->version == TG_CQL_V5) {
        c->version = TG_CQL_V4;
        c->refused_version = true;
        tg_cql_connection_drop(c, now_ns, "protocol version 5 refused");
        return;
    }
    (void)snprintf(why, sizeof why, "protocol version %u refused: %s", c->version, text);
    tg_cql_connection_drop(c, now_ns, why);
}

static void on_error(struct tg_cql_connection *c, const struct tg_cql_answer *answer, uint64_t now_ns)
{
    char text[sizeof c->why];
    const uint32_t code = tg_cql_error_read(&answer->envelope, text, sizeof text);
    if (code == TG_CQL_CODE_PROTOCOL && c->state < TG_CQL_AUTHENTICATING) {
        refused_version(c, now_ns, text);
        return;
    }
    if (code == TG_CQL_CODE_CREDENTIALS) { /* trying again could lock the account */
        (void)tg_fail(&c->fatal, TG1302, 0, "user \"%s\" was refused: %s",
                      c->config.username != NULL ? c->config.username : "", text);
    }
    if (answer->tag == TG_CQL_TAG_PREPARE) {
        /* A node that has not heard of a new table yet says INVALID, too: only insistence is final. */
        c->prepare_refusals++;
        if (code == TG_CQL_CODE_SYNTAX || code == TG_CQL_CODE_UNAUTHORIZED ||
            c->prepare_refusals >= PREPARE_REFUSALS_MAX) {
            (void)tg_fail(&c->fatal, TG1303, 0, "cannot prepare %s: %s", c->config.statement->cql, text);
        }
    }
    tg_cql_connection_drop(c, now_ns, text);
}

static bool get_id(struct tg_cql_reader *reader, struct tg_cql_id *id)
{
    const struct tg_cql_view view = tg_cql_get_string(reader);
    if (reader->broken || view.bytes > TG_CQL_ID_BYTES_MAX) { return false; }
    id->bytes = (uint16_t)view.bytes;
    memcpy(id->data, view.data, view.bytes);
    return true;
}

static void on_prepared(struct tg_cql_connection *c, const struct tg_cql_answer *answer, uint64_t now_ns)
{
    struct tg_cql_reader reader = {.data = answer->envelope.body, .bytes = answer->envelope.bytes};
    const bool ids = tg_cql_get_u32(&reader) == RESULT_PREPARED && get_id(&reader, &c->statement_id) &&
                     (c->version < TG_CQL_V5 || get_id(&reader, &c->result_id));
    if (!ids) {
        tg_cql_connection_drop(c, now_ns, "PREPARE answered with something else");
        return;
    }
    if (tg_cql_statement_bind(c->config.statement, &reader, &c->fatal) != TG_OK) {
        tg_cql_connection_drop(c, now_ns, "the table does not fit");
        return;
    }
    enter(c, TG_CQL_UP, now_ns);
    c->prepare_refusals = 0;
    c->failures = 0;
}

void tg_cql_handshake_answer(struct tg_cql_connection *c, const struct tg_cql_answer *answer, uint64_t now_ns)
{
    const enum tg_cql_opcode opcode = (enum tg_cql_opcode)answer->envelope.opcode;
    if (answer->tag == TG_CQL_TAG_HEARTBEAT) { /* any answer is a sign of life */
        c->heartbeat = false;
        return;
    }
    if (opcode == TG_CQL_ERROR) {
        on_error(c, answer, now_ns);
        return;
    }
    if (answer->envelope.version != c->version) {
        refused_version(c, now_ns, "answered in another version");
        return;
    }
    const bool starting = answer->tag == TG_CQL_TAG_STARTUP;
    if (starting && c->version >= TG_CQL_V5 && (opcode == TG_CQL_READY || opcode == TG_CQL_AUTHENTICATE)) {
        tg_cql_decoder_start_frames(&c->decoder); /* this answer was the last one without a frame */
        c->output[c->filling].framed = true;
    }
    if (answer->tag == TG_CQL_TAG_GREETING && opcode == TG_CQL_SUPPORTED) {
        startup(c, now_ns);
    } else if ((starting && opcode == TG_CQL_READY) ||
               (answer->tag == TG_CQL_TAG_AUTH && opcode == TG_CQL_AUTH_SUCCESS)) {
        prepare(c, now_ns);
    } else if (starting && opcode == TG_CQL_AUTHENTICATE) {
        authenticate(c, answer, now_ns);
    } else if (answer->tag == TG_CQL_TAG_PREPARE && opcode == TG_CQL_RESULT) {
        on_prepared(c, answer, now_ns);
    } else {
        tg_cql_connection_drop(c, now_ns, "unexpected answer in the handshake");
    }
}

void tg_cql_handshake_watch(struct tg_cql_connection *c, const struct tg_cql_answer *answer, uint64_t now_ns)
{
    if (answer->envelope.opcode != TG_CQL_ERROR || c->state != TG_CQL_UP || c->config.statement == NULL) { return; }
    struct tg_cql_reader reader = {.data = answer->envelope.body, .bytes = answer->envelope.bytes};
    if (tg_cql_get_u32(&reader) == TG_CQL_CODE_UNPREPARED) { prepare(c, now_ns); } /* not UP until it is answered */
}
