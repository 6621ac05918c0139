/* State of the scripted node (cql_server.h): what its script says, what it counted, its connections, how it answers. */
#ifndef TG_TESTS_UNIT_IO_CQL_SERVER_STATE_H
#define TG_TESTS_UNIT_IO_CQL_SERVER_STATE_H

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
static inline void server_answer(struct server *server, struct server_connection *c, int16_t stream, uint8_t opcode,
                                 const struct tg_cql_writer *body, enum server_action harm)
{
    uint8_t data[4096];
    struct tg_cql_output output = {.data = data, .capacity = sizeof data, .framed = c->framed};
    uint8_t *out = tg_cql_output_begin(&output, (uint8_t)(c->version | 0x80), stream, (enum tg_cql_opcode)opcode,
                                       body->used);
    cr_assert_not_null(out);
    if (body->used > 0) { memcpy(out, body->data, body->used); }
    tg_cql_output_end(&output);
    tg_cql_output_seal(&output);
    if (harm == SERVER_CORRUPT) { data[tg_prng_below(&server->prng, output.used)] ^= 0x10; }
    server_write(server, c, data, harm == SERVER_CUT ? output.used / 2 : output.used);
    if (harm == SERVER_CUT && c->fd >= 0) { server_close(server, c); }
}

static inline void server_error(struct server *server, struct server_connection *c, int16_t stream, uint32_t code,
                                const char *text)
{
    uint8_t data[512];
    struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
    tg_cql_put_u32(&body, code);
    tg_cql_put_string(&body, text);
    server_answer(server, c, stream, TG_CQL_ERROR, &body, SERVER_APPLY);
}

#endif
