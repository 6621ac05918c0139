/* Rows into staging batches, batches into rings, watermarks behind the rows they cover. */
#include "engine/edge.h"

#include <string.h>

#include "base/assert.h"

static struct tg_batch_config batch_config(const struct tg_edge_plan *plan, bool local)
{
    return (struct tg_batch_config){
        .schema = plan->schema,
        .capacity = TG_EDGE_ROWS,
        .wm_capacity = plan->partition_count,
        .has_blob = !(local && plan->from_source), /* local rows of sources stay in their fetch buffers */
    };
}

size_t tg_edge_bytes(const struct tg_edge_plan *plan, uint32_t shard_count)
{
    const struct tg_batch_config config = batch_config(plan, false);
    return shard_count *
               (TG_EDGE_BATCHES * tg_batch_bytes(&config) + sizeof(struct tg_lane) + plan->partition_count * 8) +
           plan->partition_count * 8 + 4096;
}

tg_status tg_edge_init(struct tg_edge *edge, const struct tg_edge_plan *plan, uint32_t shard_count,
                       struct tg_arena *arena, struct tg_error *err)
{
    *edge = (struct tg_edge){.plan = plan};
    return tg_mesh_init(&edge->mesh, shard_count, TG_EDGE_BATCHES, arena, err);
}

static int64_t *wm_array(uint32_t count, struct tg_arena *arena)
{
    int64_t *wms = tg_arena_alloc(arena, count * sizeof *wms, 8);
    for (uint32_t i = 0; wms != NULL && i < count; i++) { wms[i] = TG_TS_MIN; }
    return wms;
}

tg_status tg_edge_out_init(struct tg_edge_out *out, struct tg_edge *edge, uint32_t self, uint32_t shard_count,
                           struct tg_arena *arena, struct tg_error *err)
{
    *out = (struct tg_edge_out){.edge = edge, .self = self, .shard_count = shard_count};
    out->lanes = tg_arena_alloc(arena, shard_count * sizeof *out->lanes, 64);
    out->wm = wm_array(edge->plan->partition_count, arena);
    bool complete = out->lanes != NULL && out->wm != NULL;
    for (uint32_t to = 0; complete && to < shard_count; to++) {
        struct tg_lane *lane = &out->lanes[to];
        const struct tg_batch_config config = batch_config(edge->plan, to == self);
        lane->wm_sent = wm_array(edge->plan->partition_count, arena);
        complete = lane->wm_sent != NULL;
        for (uint32_t i = 0; complete && i < TG_EDGE_BATCHES; i++) {
            struct tg_batch *batch = tg_batch_create(&config, arena);
            complete = batch != NULL;
            lane->free[lane->free_count++] = batch;
        }
    }
    return complete ? TG_OK : tg_fail(err, TG1601, 0, "no address space for the batches of an edge");
}

/* An empty batch: from the lane's stack (the warmest first), refilled from the reverse ring. */
static struct tg_batch *lane_acquire(struct tg_edge_out *out, uint32_t to)
{
    struct tg_lane *lane = &out->lanes[to];
    if (lane->free_count == 0) {
        struct tg_ring *ring = tg_mesh_reverse(&out->edge->mesh, out->self, to);
        lane->free_count = tg_ring_pop(ring, (void **)lane->free, TG_EDGE_BATCHES);
        if (lane->free_count == 0) { return NULL; }
    }
    return lane->free[--lane->free_count];
}

static bool wm_list_due(const struct tg_edge_out *out, const struct tg_lane *lane)
{
    if (!out->wm_dirty) { return false; }
    for (uint32_t i = 0; i < out->edge->plan->partition_count; i++) {
        if (out->wm[i] > lane->wm_sent[i]) { return true; }
    }
    return false;
}

/* Close the staged batch of a lane: the watermarks that hold now go behind its rows. */
static void lane_send(struct tg_edge_out *out, uint32_t to)
{
    struct tg_lane *lane = &out->lanes[to];
    struct tg_batch *batch = lane->staging;
    const uint32_t partition_count = out->edge->plan->partition_count;
    for (uint32_t i = 0; out->wm_dirty && i < partition_count; i++) {
        if (out->wm[i] > lane->wm_sent[i]) {
            batch->wms[batch->wm_count++] =
                (struct tg_wm){.partition = out->edge->plan->partition_first + i, .wm = out->wm[i]};
            lane->wm_sent[i] = out->wm[i];
        }
    }
    if (lane->barrier_due) {
        batch->flags |= TG_BATCH_BARRIER;
        lane->barrier_due = false;
    }
    if (out->end) {
        batch->flags |= TG_BATCH_END;
        lane->end_sent = true;
    }
    lane->staging = NULL;
    void *item = batch;
    TG_ASSERT(tg_ring_push(tg_mesh_forward(&out->edge->mesh, out->self, to), &item, 1) == 1);
    if (to != out->self && out->edge->wake != NULL) { out->edge->wake(out->edge->wake_self, to); }
}

bool tg_edge_out_row(struct tg_edge_out *out, const struct tg_row *row, struct tg_buffer *buffer, uint64_t arrived_ns)
{
    const uint32_t to = tg_key_shard(row->hash, out->shard_count);
    struct tg_lane *lane = &out->lanes[to];
    TG_DCHECK(!lane->barrier_due);
    const bool pinned = to == out->self && buffer != NULL && out->edge->plan->from_source;
    for (uint32_t attempt = 0; attempt < 2; attempt++) {
        if (lane->staging == NULL) {
            lane->staging = lane_acquire(out, to);
            if (lane->staging == NULL) {
                out->blocked++;
                return false;
            }
        }
        struct tg_batch *batch = lane->staging;
        const struct tg_row *copy =
            pinned ? tg_batch_append_pinned(batch, row, buffer) : tg_batch_append_copy(batch, row);
        if (copy != NULL) {
            if (batch->arrived_ns == 0) { batch->arrived_ns = arrived_ns; }
            return true;
        }
        TG_ASSERT(batch->count != 0); /* any single row fits an empty batch */
        lane_send(out, to);
    }
    return false;
}

void tg_edge_out_wm(struct tg_edge_out *out, uint32_t partition, int64_t wm)
{
    const uint32_t index = partition - out->edge->plan->partition_first;
    TG_ASSERT(index < out->edge->plan->partition_count);
    if (wm <= out->wm[index]) { return; }
    out->wm[index] = wm;
    out->wm_dirty = true;
}

void tg_edge_out_barrier(struct tg_edge_out *out)
{
    for (uint32_t to = 0; to < out->shard_count; to++) { out->lanes[to].barrier_due = true; }
}

void tg_edge_out_end(struct tg_edge_out *out) { out->end = true; }

uint32_t tg_edge_out_flush(struct tg_edge_out *out, uint32_t rows_min)
{
    uint32_t sent = 0;
    bool wm_left = false;
    for (uint32_t to = 0; to < out->shard_count; to++) {
        struct tg_lane *lane = &out->lanes[to];
        const bool news = wm_list_due(out, lane) || lane->barrier_due || (out->end && !lane->end_sent);
        if (lane->staging == NULL && rows_min == 0 && news) { lane->staging = lane_acquire(out, to); }
        if (lane->staging != NULL &&
            (lane->staging->count >= (rows_min == 0 ? 1 : rows_min) || (rows_min == 0 && news))) {
            lane_send(out, to);
            sent++;
        } else {
            wm_left = wm_left || news;
        }
    }
    if (out->wm_dirty && !wm_left) { out->wm_dirty = false; }
    return sent;
}

bool tg_edge_out_clean(const struct tg_edge_out *out)
{
    for (uint32_t to = 0; to < out->shard_count; to++) {
        const struct tg_lane *lane = &out->lanes[to];
        if ((lane->staging != NULL && lane->staging->count != 0) || (out->end && !lane->end_sent)) { return false; }
        if (lane->barrier_due || wm_list_due(out, lane)) { return false; }
    }
    return true;
}

struct tg_batch *tg_edge_in_pop(struct tg_edge *edge, uint32_t self, uint32_t from)
{
    void *item;
    return tg_ring_pop(tg_mesh_forward(&edge->mesh, from, self), &item, 1) == 1 ? item : NULL;
}

void tg_edge_in_return(struct tg_edge *edge, uint32_t self, uint32_t from, struct tg_batch *batch)
{
    TG_DCHECK(batch->count == 0 && batch->pin_count == 0);
    void *item = batch;
    TG_ASSERT(tg_ring_push(tg_mesh_reverse(&edge->mesh, from, self), &item, 1) == 1);
}
