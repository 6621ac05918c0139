/* What the files of the scripted Cassandra share: its connections and its work in hand. Private to them. */
#ifndef TG_ENGINE_SIM_CQL_PEER_H
#define TG_ENGINE_SIM_CQL_PEER_H

#include "engine/sim/cql_server.h"
#include "io/cassandra/frame.h"

enum { TG_SIM_PEERS_MAX = 128, TG_SIM_IMAGE_BYTES = 4096, TG_SIM_ANSWER_BYTES = 4096, TG_SIM_STREAMS_MAX = 2048 };

struct tg_sim_cql_node {
    struct tg_sim_cql *cql;
    uint32_t index;
    uint8_t epoch; /* changes when it forgets its statements */
    struct tg_sim_service service;
};

/* A connection. */
struct tg_sim_peer {
    struct tg_sim_link *link; /* NULL = free */
    struct tg_sim_cql_node *node;
    uint64_t generation; /* tells the lives of this object apart */
    uint8_t version;
    bool framed;
    uint8_t *input;
    uint32_t input_used;
    uint32_t input_capacity;
    uint64_t unanswered[TG_SIM_STREAMS_MAX / 64]; /* bits of stream ids with an execution in hand */
};

/* An execution in hand, or an answer. */
struct tg_sim_cql_task {
    uint64_t due_ns;
    uint64_t number; /* order of equals */
    struct tg_sim_peer *peer;
    uint64_t generation;
    int16_t stream;
    bool applies;
    bool answers;
    bool corrupt;
    bool cuts;
    uint32_t error; /* code of the answer, UINT32_MAX = RESULT void */
    int64_t timestamp;
    uint32_t order_count;
    uint8_t order[TG_SIM_CELLS_MAX]; /* value i is column order[i] */
    uint32_t image_bytes;
    uint8_t *image; /* values as they came */
};

struct tg_sim_cql {
    struct tg_sim_cql_config config;
    struct tg_sim_cql_faults faults;
    struct tg_sim_cql_node nodes[TG_SIM_HOSTS_MAX];
    struct tg_sim_peer peers[TG_SIM_PEERS_MAX];
    struct tg_sim_cql_task *tasks; /* heap, the next one due first */
    uint32_t task_count;
    uint32_t task_capacity;
    uint64_t number;
    uint64_t executions;
    uint64_t faulted;
    bool stream_reused; /* the client gave an id away whose answer was still to come */
    /* the one statement: value i of its images is column order[i] */
    uint32_t order_count;
    uint8_t order[TG_SIM_CELLS_MAX];
    struct tg_prng prng;
};

/* A request has arrived: version, flags, stream, opcode and length stand before the body.  @shard */
void tg_sim_cql_request(struct tg_sim_cql *cql, struct tg_sim_peer *peer, const uint8_t *data, uint32_t bytes);
/* Send an answer.  @shard */
void tg_sim_cql_answer(struct tg_sim_peer *peer, int16_t stream, enum tg_cql_opcode opcode,
                       const struct tg_cql_writer *body, bool corrupt);
/* Send an ERROR of that code with what the protocol says it carries.  @shard */
void tg_sim_cql_error(struct tg_sim_peer *peer, int16_t stream, uint32_t code, const char *text);
/* The write takes effect.  @shard */
void tg_sim_cql_apply(const struct tg_sim_cql *cql, const struct tg_sim_cql_task *task);
/* Take an execution in hand: `task` has peer, stream, timestamp, order and image (lent); faults are drawn here.
 * @shard */
void tg_sim_cql_execute(struct tg_sim_cql *cql, const struct tg_sim_cql_task *task);

#endif
