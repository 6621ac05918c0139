/* One connection to one node: handshake, preparing, stream ids, time limits, heartbeats, reconnecting. It never blocks
 * and calls nobody back: the owner polls it, takes answers from it, and puts requests into it.
 *
 *   DOWN -> CONNECTING -> GREETING (OPTIONS) -> STARTING (STARTUP) [-> AUTHENTICATING] -> PREPARING -> UP
 *
 * Any failure leads to DOWN: every request in flight is answered LOST, and after a pause (exponential, with jitter) the
 * next attempt begins. A refused protocol version 5 is followed by version 4 at once. */
#ifndef TG_IO_CASSANDRA_CONNECTION_H
#define TG_IO_CASSANDRA_CONNECTION_H

#include "base/prng.h"
#include "io/cassandra/frame.h"
#include "io/cassandra/statement.h"
#include "io/loop.h"

/* Error codes of the protocol that somebody treats apart. */
enum tg_cql_code {
    TG_CQL_CODE_SERVER = 0x0000,
    TG_CQL_CODE_PROTOCOL = 0x000A,
    TG_CQL_CODE_CREDENTIALS = 0x0100,
    TG_CQL_CODE_UNAVAILABLE = 0x1000,
    TG_CQL_CODE_OVERLOADED = 0x1001,
    TG_CQL_CODE_BOOTSTRAPPING = 0x1002,
    TG_CQL_CODE_WRITE_TIMEOUT = 0x1100,
    TG_CQL_CODE_WRITE_FAILURE = 0x1500,
    TG_CQL_CODE_SYNTAX = 0x2000,
    TG_CQL_CODE_UNAUTHORIZED = 0x2100,
    TG_CQL_CODE_INVALID = 0x2200,
    TG_CQL_CODE_CONFIG = 0x2300,
    TG_CQL_CODE_EXISTS = 0x2400,
    TG_CQL_CODE_UNPREPARED = 0x2500,
};

enum tg_cql_version { TG_CQL_VERSION_AUTO = 0, TG_CQL_V4 = 4, TG_CQL_V5 = 5 };

struct tg_cql_connection_config {
    struct tg_loop *loop;
    struct tg_cql_statement *statement; /* prepared on every connect, shared by the shard's connections; NULL = none */
    const char *username;               /* NULL = none given */
    const char *password;
    enum tg_cql_version version;
    uint16_t consistency;      /* of executions */
    uint32_t in_flight_max;    /* executions at a time, 1 to 1,024 */
    uint64_t request_timeout_ns;
    uint64_t seed;             /* of the jitter */
};

enum tg_cql_state {
    TG_CQL_DOWN,
    TG_CQL_CONNECTING,
    TG_CQL_GREETING,
    TG_CQL_STARTING,
    TG_CQL_AUTHENTICATING,
    TG_CQL_PREPARING,
    TG_CQL_UP,
};

enum tg_cql_outcome {
    TG_CQL_ANSWERED, /* see envelope */
    TG_CQL_EXPIRED,  /* no answer in time; it may have taken effect or still do so */
    TG_CQL_LOST,     /* the connection went down; likewise */
};

/* Tags: executions below TG_CQL_TAG_EXECUTE_END, the owner's other requests from there to TG_CQL_TAG_INTERNAL. */
#define TG_CQL_TAG_EXECUTE_END UINT32_C(0xFFFFFF00)
#define TG_CQL_TAG_INTERNAL UINT32_C(0xFFFFFFF0)
enum { TG_CQL_STREAMS_SPARE = 272, TG_CQL_ID_BYTES_MAX = 64 };

struct tg_cql_answer {
    enum tg_cql_outcome outcome;
    uint32_t tag; /* what the owner gave with the request */
    uint64_t sent_ns;
    struct tg_cql_envelope envelope; /* valid until the next call on the connection */
};

/* A stream id in use. */
struct tg_cql_flight {
    uint64_t sent_ns;
    uint32_t tag;
    uint16_t next; /* in the live list (by time) or the free list */
    uint16_t prev;
    bool orphan; /* its owner was told EXPIRED; the id stays taken until the answer comes */
    bool used;
};

struct tg_cql_id {
    uint16_t bytes;
    uint8_t data[TG_CQL_ID_BYTES_MAX];
};

struct tg_cql_connection {
    struct tg_cql_connection_config config;
    enum tg_cql_state state;
    uint8_t version;
    bool wanted; /* false: stays down */
    bool connecting, receiving, sending; /* operations of the loop that have not ended */
    bool connected, received, sent;      /* their outcomes, taken by the next poll */
    int32_t connect_result, receive_result, send_result;
    int fd;
    struct sockaddr_storage address;
    socklen_t address_bytes;
    struct tg_io connect_io, receive_io, send_io;
    struct tg_cql_decoder decoder;
    struct tg_cql_output output[2]; /* one is filled while the other one is sent */
    uint32_t filling;
    struct tg_cql_flight *flights; /* [flight_count] by stream id */
    uint32_t flight_count;
    uint16_t free_stream;
    uint16_t live_first, live_last;
    uint32_t live_count; /* requests without answer, not counting orphans */
    uint32_t orphan_count;
    uint32_t executing;  /* executions among them */
    uint32_t window;     /* executions allowed now, 1 to in_flight_max */
    uint32_t window_acks;
    uint64_t window_cut_ns; /* last time it was halved */
    bool window_slow_start;
    bool heartbeat;         /* an OPTIONS is in flight */
    bool refused_version;   /* while going down: try the older one at once */
    struct tg_cql_id statement_id;
    struct tg_cql_id result_id; /* version 5 */
    uint64_t state_ns;    /* since when in this state */
    uint64_t received_ns; /* last sign of life */
    uint64_t attempt_ns;  /* when to connect next */
    uint32_t failures;    /* since it was last up */
    uint32_t prepare_refusals;
    uint64_t events;      /* pushed by the server since the start */
    struct tg_prng prng;
    struct tg_error fatal; /* status set: trying again is useless */
    char why[256];         /* of the last failure */
};

/* Memory: about 3 MiB of address space, of which some 100 KiB are touched in quiet use. Errors: TG1601.  @shard */
TG_MUST_USE tg_status tg_cql_connection_init(struct tg_cql_connection *connection,
                                             const struct tg_cql_connection_config *config, struct tg_arena *arena,
                                             struct tg_error *err);
/* Keep connected to this address from the next poll on.  @shard */
void tg_cql_connection_start(struct tg_cql_connection *connection, const struct sockaddr *address, socklen_t bytes);
/* Go down and stay down; requests in flight are answered LOST.  @shard */
void tg_cql_connection_stop(struct tg_cql_connection *connection, uint64_t now_ns);
/* True when nothing of it is left in the loop.  @shard */
bool tg_cql_connection_quiet(const struct tg_cql_connection *connection);

/* Timers and transfers; returns a work count. Take the answers with tg_cql_connection_next afterwards.  @shard */
uint32_t tg_cql_connection_poll(struct tg_cql_connection *connection, uint64_t now_ns);
/* The next answer to one of the owner's requests; false = none now.  @shard */
bool tg_cql_connection_next(struct tg_cql_connection *connection, uint64_t now_ns, struct tg_cql_answer *answer);
/* Send what has been put in.  @shard */
void tg_cql_connection_flush(struct tg_cql_connection *connection);

/* Executions that may be started now.  @shard */
uint32_t tg_cql_connection_room(const struct tg_cql_connection *connection);
/* Start an execution of the statement with write timestamp `version`: returns where the caller puts its
 * image[image_bytes] before it calls tg_cql_connection_executed; NULL = no room.  @shard */
uint8_t *tg_cql_connection_execute(struct tg_cql_connection *connection, uint32_t tag, uint32_t image_bytes,
                                   int64_t version, uint64_t now_ns);
/* The image is in place.  @shard */
void tg_cql_connection_executed(struct tg_cql_connection *connection);
/* Start a request of another kind with a ready body (QUERY: see tg_cql_connection_query). False = no room.  @shard */
TG_MUST_USE bool tg_cql_connection_request(struct tg_cql_connection *connection, uint32_t tag,
                                           enum tg_cql_opcode opcode, const uint8_t *body, uint32_t bytes,
                                           uint64_t now_ns);
/* QUERY without values, consistency ONE.  @shard */
TG_MUST_USE bool tg_cql_connection_query(struct tg_cql_connection *connection, uint32_t tag, const char *cql,
                                         uint64_t now_ns);

/* Code and text of an ERROR; the text is cut to `capacity` and terminated.  @any */
uint32_t tg_cql_error_read(const struct tg_cql_envelope *envelope, char *text, uint32_t capacity);

/* An execution sent at sent_ns was acknowledged: the window may grow, or shrinks when that took long.  @shard */
void tg_cql_connection_fast(struct tg_cql_connection *connection, uint64_t sent_ns, uint64_t now_ns);
/* The node asked for less (OVERLOADED, UNAVAILABLE, no answer in time) over an execution sent at sent_ns: halve the
 * window, once for all that was under way then.  @shard */
void tg_cql_connection_slow(struct tg_cql_connection *connection, uint64_t sent_ns, uint64_t now_ns);

#endif
