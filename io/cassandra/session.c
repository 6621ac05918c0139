/* Blocking set-up conversations, made of the same connection the shards use. */
#include "io/cassandra/session.h"

#include <stdio.h>

#include "base/assert.h"

static const uint64_t QUERY_TIMEOUT_NS = 30000000000u; /* creating a table can take long on a busy cluster */
static const uint64_t PARK_NS = 20000000u;
enum { CLOSE_ROUNDS_MAX = 500, SESSION_ARENA_BYTES = 16 << 20, SESSION_OPS = 8 };

static uint64_t now(const struct tg_cql_session *session) { return tg_clock_now_ns(&session->clock); }

/* One turn of the loop; true when an answer came. */
static bool turn(struct tg_cql_session *session, struct tg_cql_answer *answer)
{
    struct tg_cql_connection *c = &session->connection;
    (void)tg_loop_poll(session->loop);
    (void)tg_cql_connection_poll(c, now(session));
    const bool answered = tg_cql_connection_next(c, now(session), answer);
    tg_cql_connection_flush(c);
    if (!answered && tg_loop_poll(session->loop) == 0) { tg_loop_park(session->loop, PARK_NS, NULL, NULL); }
    return answered;
}

/* Wait until the connection is up, has failed once (an old protocol version does not count), or time is over. */
static bool try_contact(struct tg_cql_session *session, const struct tg_cql_address *address, uint64_t deadline_ns)
{
    struct tg_cql_connection *c = &session->connection;
    struct tg_cql_answer answer;
    tg_cql_connection_start(c, (const struct sockaddr *)&address->storage, address->bytes);
    (void)turn(session, &answer);
    while (c->state != TG_CQL_UP && c->fatal.status == TG_OK && now(session) < deadline_ns) {
        if (c->state == TG_CQL_DOWN && c->attempt_ns > now(session)) { break; }
        (void)turn(session, &answer);
    }
    if (c->state == TG_CQL_UP) { return true; }
    if (c->state != TG_CQL_DOWN) { (void)snprintf(c->why, sizeof c->why, "no answer in time"); }
    char why[sizeof c->why];
    (void)snprintf(why, sizeof why, "%s", c->why);
    tg_cql_connection_stop(c, now(session));
    for (uint32_t round = 0; !tg_cql_connection_quiet(c) || c->live_count > 0; round++) {
        TG_ASSERT(round < CLOSE_ROUNDS_MAX);
        (void)turn(session, &answer);
    }
    (void)snprintf(c->why, sizeof c->why, "%s", why);
    return false;
}

static tg_status session_connect(struct tg_cql_session *session, const struct tg_cql_settings *settings,
                                 uint64_t deadline_ns, struct tg_error *err)
{
    struct tg_cql_address contacts[TG_CQL_CONTACTS_MAX];
    uint32_t count = 0;
    const tg_status status = tg_cql_resolve(contacts, &count, settings->hosts, settings->host_count, err);
    if (status != TG_OK) { return status; }
    char first[64];
    (void)tg_cql_address_print(&contacts[0], first);
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t start_ns = now(session);
        const uint64_t share_ns = deadline_ns > start_ns ? (deadline_ns - start_ns) / (count - i) : 0;
        if (try_contact(session, &contacts[i], start_ns + share_ns)) { return TG_OK; }
        if (session->connection.fatal.status != TG_OK) { break; }
    }
    const struct tg_cql_connection *c = &session->connection;
    if (c->fatal.status != TG_OK) {
        return tg_fail(err, c->fatal.code, 0, "Cassandra at %s: %s", first, c->fatal.text);
    }
    return tg_fail(err, TG1301, 0, "Cassandra is not reachable at %s%s (%s).  Is it running?  Set hosts, e.g. "
                   "CASSANDRA_HOSTS=node1:9042", first, count > 1 ? " and the other hosts" : "", c->why);
}

tg_status tg_cql_session_open(struct tg_cql_session *session, const struct tg_cql_settings *settings,
                              struct tg_clock clock, uint64_t deadline_ns, struct tg_error *err)
{
    *session = (struct tg_cql_session){.clock = clock};
    tg_status status = tg_arena_open(&session->arena, SESSION_ARENA_BYTES, err);
    if (status != TG_OK) { return status; }
    const struct tg_loop_config loop = {.backend = TG_LOOP_EPOLL, .ops_max = SESSION_OPS};
    status = tg_loop_open(&session->loop, &loop, NULL, err);
    if (status != TG_OK) { return status; }
    struct tg_cql_connection_config config = tg_cql_settings_connection(settings);
    config.loop = session->loop;
    config.in_flight_max = 1;
    config.request_timeout_ns = QUERY_TIMEOUT_NS;
    status = tg_cql_connection_init(&session->connection, &config, &session->arena, err);
    return status != TG_OK ? status : session_connect(session, settings, deadline_ns, err);
}

/* Answers of a node that starts, stops or is overwhelmed. */
static bool transient(uint32_t code)
{
    enum { READ_TIMEOUT = 0x1200 };
    return code == TG_CQL_CODE_OVERLOADED || code == TG_CQL_CODE_UNAVAILABLE || code == TG_CQL_CODE_BOOTSTRAPPING ||
           code == READ_TIMEOUT;
}

tg_status tg_cql_session_query(struct tg_cql_session *session, const char *cql, struct tg_cql_envelope *envelope,
                               struct tg_error *err)
{
    struct tg_cql_connection *c = &session->connection;
    struct tg_cql_answer answer = {.outcome = TG_CQL_LOST};
    const bool asked = c->state == TG_CQL_UP && tg_cql_connection_query(c, TG_CQL_TAG_EXECUTE_END, cql, now(session));
    while (asked && !turn(session, &answer)) {} /* ends: an answer, the time limit or the loss of the connection */
    if (answer.outcome != TG_CQL_ANSWERED) {
        return tg_fail(err, TG1301, 0, "Cassandra went away during set-up (%s)",
                       answer.outcome == TG_CQL_EXPIRED ? "no answer in time" : c->why);
    }
    if (answer.envelope.opcode == TG_CQL_ERROR) {
        char text[512];
        const uint32_t code = tg_cql_error_read(&answer.envelope, text, sizeof text);
        if (transient(code)) { return tg_fail(err, TG1301, 0, "Cassandra is not ready: %s", text); }
        return tg_fail(err, TG1303, 0, "Cassandra refused \"%s\" (code 0x%04x): %s", cql, code, text);
    }
    *envelope = answer.envelope;
    return TG_OK;
}

void tg_cql_session_nap(struct tg_cql_session *session, uint64_t ns)
{
    struct tg_cql_answer answer;
    const uint64_t end_ns = now(session) + ns;
    while (now(session) < end_ns) { (void)turn(session, &answer); }
}

void tg_cql_session_close(struct tg_cql_session *session)
{
    if (session->loop != NULL) {
        if (session->connection.config.loop != NULL) { tg_cql_connection_stop(&session->connection, now(session)); }
        tg_loop_close(session->loop); /* waits for what is in flight */
    }
    tg_arena_close(&session->arena);
}
