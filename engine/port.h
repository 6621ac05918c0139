/* A port: the rows one output of a step (or a source with sinks of its own) has produced on one shard, until every
 * reader has taken them. Rows are appended to the newest batch; the oldest is offered to edges and sinks in turn and
 * reused once all of them have it. */
#ifndef TG_ENGINE_PORT_H
#define TG_ENGINE_PORT_H

#include "base/batch.h"
#include "engine/edge.h"
#include "engine/outlet.h"

enum { TG_PORT_BATCHES = 4, TG_PORT_READERS_MAX = 16 };

struct tg_port {
    const struct tg_schema *schema;
    struct tg_batch *batches[TG_PORT_BATCHES];
    uint32_t oldest; /* runs free; index modulo TG_PORT_BATCHES */
    uint32_t newest;
    uint64_t epochs; /* cuts of the one who fills it: a sink takes its rows once it has made as many */
    uint32_t reader_count;
    struct tg_port_reader {
        struct tg_edge_out *edge; /* either an edge ... */
        struct tg_outlet *outlet; /* ... or a sink */
        uint32_t taken;           /* rows of the oldest batch */
    } readers[TG_PORT_READERS_MAX];
};

struct tg_port_config {
    const struct tg_schema *schema;
    const struct tg_readers *readers;
    struct tg_edge_out *edges; /* the shard's, indexed by step */
    struct tg_outlet *outlets; /* the shard's, indexed like the plan's sinks */
};
/* Batches in the shard's arena. Errors: TG1101 (too many readers), TG1601.  @setup */
TG_MUST_USE tg_status tg_port_init(struct tg_port *port, const struct tg_port_config *config, struct tg_arena *arena,
                                   struct tg_error *err);

/* True when a callback may emit TG_EMIT_ROWS_MAX more rows.  @shard */
static inline bool tg_port_has_room(const struct tg_port *port)
{
    return port->newest - port->oldest < TG_PORT_BATCHES - 1 &&
           port->batches[port->newest % TG_PORT_BATCHES]->count <= TG_BATCH_ROWS_MAX - TG_EMIT_ROWS_MAX;
}
/* The first row of the next batch; NULL when there is none.  @shard */
struct tg_row *tg_port_claim_next(struct tg_port *port);
/* The place of the next row, to be filled by the caller and then committed; NULL when all batches are full.  @shard */
static inline struct tg_row *tg_port_claim(struct tg_port *port)
{
    struct tg_row *row = tg_batch_claim(port->batches[port->newest % TG_PORT_BATCHES]);
    return TG_LIKELY(row != NULL) ? row : tg_port_claim_next(port);
}
/* Count the claimed row in, its texts copied into the blob; false when all batches are full.  @shard */
TG_HOT TG_MUST_USE bool tg_port_commit(struct tg_port *port, uint64_t arrived_ns);
/* Append a copy of `row`; false when all batches are full.  @shard */
TG_MUST_USE bool tg_port_append(struct tg_port *port, const struct tg_row *row, uint64_t arrived_ns);
/* Offer rows to the readers until they are all taken or a reader refuses. True when nothing is left.  @shard */
TG_HOT bool tg_port_deliver(struct tg_port *port);
static inline bool tg_port_is_empty(const struct tg_port *port)
{
    return port->newest == port->oldest && port->batches[port->oldest % TG_PORT_BATCHES]->count == 0;
}

#endif
