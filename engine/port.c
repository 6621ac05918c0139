/* Rows between those who make them and those who take them: a short queue of batches with one mark per reader. */
#include "engine/port.h"

#include "base/assert.h"
#include "base/copy.h"

tg_status tg_port_init(struct tg_port *port, const struct tg_port_config *config, struct tg_arena *arena,
                       struct tg_error *err)
{
    const struct tg_readers *readers = config->readers;
    const char *name = config->schema->name;
    *port = (struct tg_port){.schema = config->schema};
    if (readers->edge_count + readers->sink_count > TG_PORT_READERS_MAX) {
        return tg_fail(err, TG1101, 0, "%s has more than %d readers", name, TG_PORT_READERS_MAX);
    }
    for (uint32_t i = 0; i < readers->edge_count; i++) {
        port->readers[port->reader_count++].edge = &config->edges[readers->edges[i]];
    }
    for (uint32_t i = 0; i < readers->sink_count; i++) {
        port->readers[port->reader_count++].outlet = &config->outlets[readers->sinks[i]];
    }
    const struct tg_batch_config batch = {.schema = config->schema, .capacity = TG_BATCH_ROWS_MAX, .has_blob = true};
    for (uint32_t i = 0; i < TG_PORT_BATCHES; i++) {
        port->batches[i] = tg_batch_create(&batch, arena);
        if (port->batches[i] == NULL) { return tg_fail(err, TG1601, 0, "no address space for output %s", name); }
    }
    return TG_OK;
}

struct tg_row *tg_port_claim_next(struct tg_port *port)
{
    if (port->newest - port->oldest == TG_PORT_BATCHES - 1) { return NULL; }
    struct tg_batch *batch = port->batches[++port->newest % TG_PORT_BATCHES];
    TG_DCHECK(batch->count == 0);
    return tg_batch_claim(batch);
}

bool tg_port_commit(struct tg_port *port, uint64_t arrived_ns)
{
    struct tg_batch *batch = port->batches[port->newest % TG_PORT_BATCHES];
    if (TG_UNLIKELY(!tg_batch_commit(batch))) { /* no room for its texts: the row moves on */
        const struct tg_row *row = tg_batch_claim(batch);
        if (tg_port_claim_next(port) == NULL) { return false; }
        batch = port->batches[port->newest % TG_PORT_BATCHES];
        TG_ASSERT(tg_batch_append_copy(batch, row) != NULL);
    }
    if (batch->arrived_ns == 0) { batch->arrived_ns = arrived_ns; }
    return true;
}

bool tg_port_append(struct tg_port *port, const struct tg_row *row, uint64_t arrived_ns)
{
    struct tg_row *place = tg_port_claim(port);
    if (place == NULL) { return false; }
    tg_copy_row(place, row, port->schema->row_bytes);
    return tg_port_commit(port, arrived_ns);
}

/* Rows of `batch` from `taken` on into the reader; returns the new count of taken rows. */
static uint32_t edge_take(struct tg_edge_out *edge, const struct tg_batch *batch, uint32_t taken)
{
    uint8_t key[TG_KEY_BYTES_MAX];
    while (taken < batch->count) {
        struct tg_row *row = tg_batch_row(batch, taken);
        const uint32_t bytes = tg_key_encode(&edge->edge->plan->key, row, key, sizeof key);
        TG_ASSERT(bytes != 0); /* derived keys are made of columns that were keys or bounded before */
        const uint64_t own_hash = row->hash;
        row->hash = tg_key_hash(key, bytes);
        const bool placed = tg_edge_out_row(edge, row, NULL, batch->arrived_ns);
        row->hash = own_hash;
        if (!placed) { break; }
        taken++;
    }
    return taken;
}

/* One batch to all readers; true when every reader has all of it. */
static bool batch_deliver(struct tg_port *port, const struct tg_batch *batch)
{
    bool complete = true;
    for (uint32_t i = 0; i < port->reader_count; i++) {
        struct tg_port_reader *reader = &port->readers[i];
        if (reader->taken == batch->count) { continue; }
        if (reader->edge != NULL) {
            reader->taken = edge_take(reader->edge, batch, reader->taken);
        } else if (tg_outlet_takes(reader->outlet, port->epochs)) {
            reader->taken += tg_outlet_push(reader->outlet, batch, reader->taken);
        }
        complete = complete && reader->taken == batch->count;
    }
    return complete;
}

bool tg_port_deliver(struct tg_port *port)
{
    for (;;) { /* at most TG_PORT_BATCHES turns */
        struct tg_batch *batch = port->batches[port->oldest % TG_PORT_BATCHES];
        if (batch->count != 0 && !batch_deliver(port, batch)) { return false; }
        for (uint32_t i = 0; i < port->reader_count; i++) { port->readers[i].taken = 0; }
        tg_batch_reset(batch);
        if (port->oldest == port->newest) { return true; }
        port->oldest++;
    }
}
