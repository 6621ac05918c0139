/* Outbox of an append sink on one shard: rows rendered into blocks, which the I/O helper writes one at a time and in
 * order. A block that could not be written stays first and is tried again, so nothing is lost, doubled or reordered;
 * when all blocks are full the sink takes no more rows. Who writes the bytes, and where, is the connector's. */
#ifndef TG_IO_OUTBOX_H
#define TG_IO_OUTBOX_H

#include "base/json_text.h"
#include "io/sink.h"

enum {
    TG_OUTBOX_BLOCKS = 4,
    TG_OUTBOX_BLOCK_BYTES = 256 << 10, /* a block is closed once it holds this much */
    TG_OUTBOX_ARRIVALS_MAX = 64,       /* different arrival times a block tells apart */
};

enum tg_outbox_result {
    TG_OUTBOX_WRITTEN,
    TG_OUTBOX_AGAIN, /* an error that may pass: tried again after a pause that grows to a second */
    TG_OUTBOX_LATER, /* no error, the reader is slow: goes on soon, from where it stands */
    TG_OUTBOX_FAILED, /* block->error says why */
};

struct tg_outbox_arrival {
    uint64_t arrived_ns;
    uint64_t rows;
};

struct tg_outbox_block {
    struct tg_task task;
    char *data;
    uint32_t used;
    uint32_t moved; /* the writer's own: bytes already out, kept between attempts */
    bool sync;      /* make it durable too, with everything before it */
    enum tg_outbox_result result;
    struct tg_error error;
    uint64_t tag; /* the outbox's when the block was closed */
    uint64_t rows;
    uint32_t arrival_count;
    struct tg_outbox_arrival arrivals[TG_OUTBOX_ARRIVALS_MAX];
};

struct tg_outbox_config {
    /* Runs on the helper. `shared` is the sink's. */
    enum tg_outbox_result (*write)(void *shared, struct tg_outbox_block *block);
    uint64_t flush_every_ns; /* rows wait at most this long for a block to fill */
    bool sync_on_flush;      /* flushed() waits for a block written with `sync` */
    uint32_t row_bytes_max;  /* longest rendered row */
};

/* Fields are the outbox's own. All zero = closed. */
struct tg_outbox {
    struct tg_outbox_config config;
    struct tg_clock clock;
    struct tg_histogram *latency;
    struct tg_helper *helper;
    void *shared;
    uint32_t shard;
    uint32_t capacity; /* of each block */
    struct tg_writer writer; /* over the block that is being filled */
    uint32_t row_start;
    /* blocks first to fill - 1 are closed and not yet written; block n is blocks[n % TG_OUTBOX_BLOCKS] */
    uint64_t first;
    uint64_t fill;
    uint64_t tag; /* the sink's, for the blocks closed from now on; a flush leaves no rows behind for the next one */
    uint64_t target;       /* flushed once first >= target */
    uint64_t filling_since_ns; /* 0 = the next poll notes it */
    uint64_t retry_at_ns;
    uint64_t retry_delay_ns;
    bool in_flight; /* block `first` is the helper's */
    bool unsynced;  /* something was written since the last sync */
    struct tg_error error;
    struct tg_sink_stats stats;
    struct tg_outbox_block blocks[TG_OUTBOX_BLOCKS];
};

/* An upper bound of one JSON row of `schema` with its longest texts.  @setup */
uint32_t tg_outbox_json_bytes_max(const struct tg_schema *schema);
/* Address space needed from the arena.  @setup */
size_t tg_outbox_bytes(const struct tg_outbox_config *config);
/* `outbox` is zeroed memory. Errors: TG1601 when the arena is too small.  @setup */
TG_MUST_USE tg_status tg_outbox_open(struct tg_outbox *outbox, const struct tg_outbox_config *config,
                                     const struct tg_sink_env *env, struct tg_error *err);

/* Where to render the next row; NULL = back-pressure.  @shard */
struct tg_writer *tg_outbox_begin(struct tg_outbox *outbox);
/* The row is rendered, line end included. Returns 1, or 0 when it did not fit: render it again after the next begin.
 * @shard */
uint32_t tg_outbox_end(struct tg_outbox *outbox, uint64_t arrived_ns);

/* The rest is what tg_sink_ops asks for.  @shard */
uint32_t tg_outbox_poll(struct tg_outbox *outbox, uint64_t now_ns);
void tg_outbox_flush(struct tg_outbox *outbox);                                             /* @shard */
bool tg_outbox_flushed(const struct tg_outbox *outbox);                                     /* @shard */
tg_status tg_outbox_failure(const struct tg_outbox *outbox, struct tg_error *err);          /* @shard */
void tg_outbox_stats(const struct tg_outbox *outbox, struct tg_sink_stats *out);            /* @shard */
/* Waits for the block that is being written, drops the others. Also legal after a failed open.  @shard */
void tg_outbox_close(struct tg_outbox *outbox);

#endif
