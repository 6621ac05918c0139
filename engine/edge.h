/* One edge between stages as one shard sees it: outgoing staging batches to every shard, incoming rings from every
 * shard. A (from, to) pair owns a fixed set of batches, as many as its ring has slots, so a push cannot fail: running
 * out of empty batches is the only form of back-pressure. */
#ifndef TG_ENGINE_EDGE_H
#define TG_ENGINE_EDGE_H

#include "base/batch.h"
#include "engine/plan.h"
#include "shards/mesh.h"

enum { TG_EDGE_BATCHES = 16, TG_EDGE_ROWS = 512 };

/* Shared by all shards. `wake(self, shard)` is called after a push to another shard. */
struct tg_edge {
    const struct tg_edge_plan *plan;
    struct tg_mesh mesh;
    void (*wake)(void *self, uint32_t shard);
    void *wake_self;
};

/* What shard `self` has staged for one destination. */
struct tg_lane {
    struct tg_batch *staging; /* NULL = none acquired */
    struct tg_batch *free[TG_EDGE_BATCHES];
    uint32_t free_count;
    bool end_sent;
    bool barrier_due; /* asked for, not sent yet */
    int64_t *wm_sent; /* [partition_count] last watermark sent */
};

/* The sending side of an edge on one shard. */
struct tg_edge_out {
    struct tg_edge *edge;
    uint32_t self;
    uint32_t shard_count;
    struct tg_lane *lanes; /* [shard_count] */
    int64_t *wm;           /* [partition_count] newest watermark to send; TG_TS_MIN = none yet */
    bool wm_dirty;
    bool end;         /* END was asked for */
    uint64_t blocked; /* how often a row found no empty batch */
};

/* Address space of the sending side on one shard.  @setup */
size_t tg_edge_bytes(const struct tg_edge_plan *plan, uint32_t shard_count);
/* Rings, in the shared arena.  @setup */
TG_MUST_USE tg_status tg_edge_init(struct tg_edge *edge, const struct tg_edge_plan *plan, uint32_t shard_count,
                                   struct tg_arena *arena, struct tg_error *err);
/* Batches and staging of shard `self`, in its arena.  @setup */
TG_MUST_USE tg_status tg_edge_out_init(struct tg_edge_out *out, struct tg_edge *edge, uint32_t self,
                                       uint32_t shard_count, struct tg_arena *arena, struct tg_error *err);

/* Append `row` for the shard that owns row->hash. With `buffer` not NULL a row that stays on this shard keeps pointing
 * into it. `arrived_ns` is when its record was read. False = no empty batch: nothing happened, try again next cycle.
 * @shard */
TG_HOT TG_MUST_USE bool tg_edge_out_row(struct tg_edge_out *out, const struct tg_row *row, struct tg_buffer *buffer,
                                        uint64_t arrived_ns);
/* The newest watermark of a job-wide partition; it travels behind every row appended before.  @shard */
void tg_edge_out_wm(struct tg_edge_out *out, uint32_t partition, int64_t wm);
/* The epoch ends behind all rows and watermarks so far. Until tg_edge_out_clean, which is when the barrier is in every
 * ring, neither rows nor watermarks may be added.  @shard */
void tg_edge_out_barrier(struct tg_edge_out *out);
/* No row or watermark will follow.  @shard */
void tg_edge_out_end(struct tg_edge_out *out);
/* Send staged batches of at least `rows_min` rows; 0 = everything staged, watermarks, barrier and end mark too. Returns
 * how many batches were sent.  @shard */
uint32_t tg_edge_out_flush(struct tg_edge_out *out, uint32_t rows_min);
/* True when nothing is staged, no watermark is unsent, barrier and end mark (if asked for) have been sent.  @shard */
bool tg_edge_out_clean(const struct tg_edge_out *out);

/* The next full batch from shard `from`, NULL when there is none.  @shard */
struct tg_batch *tg_edge_in_pop(struct tg_edge *edge, uint32_t self, uint32_t from);
/* Send an emptied batch home. Its pins must have been released by tg_batch_reset.  @shard */
void tg_edge_in_return(struct tg_edge *edge, uint32_t self, uint32_t from, struct tg_batch *batch);

#endif
