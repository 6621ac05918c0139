/* A stage and its checkpoints: aligning barriers, cutting, passing the barrier on. */
#include <string.h>

#include "base/assert.h"
#include "engine/stage.h"

void tg_stage_want_cut(struct tg_ctx *stage, bool base)
{
    TG_ASSERT(stage->cut == TG_CUT_NONE || stage->cut == TG_CUT_DONE);
    stage->cut = TG_CUT_WANTED;
    stage->cut_base = base;
}

bool tg_stage_edges_clean(const struct tg_ctx *stage)
{
    for (uint32_t o = 0; o < stage->plan->step->op->output_count; o++) {
        const struct tg_readers *readers = &stage->plan->readers[o];
        for (uint32_t e = 0; e < readers->edge_count; e++) {
            if (!tg_edge_out_clean(&stage->edges[readers->edges[e]])) { return false; }
        }
    }
    return true;
}

bool tg_stage_may_cut(const struct tg_ctx *stage)
{
    return stage->cut == TG_CUT_WANTED && (stage->aligned | stage->ended) == tg_stage_all_channels(stage);
}

void tg_stage_cut(struct tg_ctx *stage)
{
    TG_ASSERT(tg_stage_may_cut(stage) && stage->phase == TG_STAGE_IDLE);
    memcpy(stage->cut_clocks, stage->clocks, (stage->edge_plan->partition_count + 1) * sizeof *stage->clocks);
    memcpy(stage->cut_tallies, stage->tallies, stage->edge_plan->partition_count * sizeof *stage->tallies);
    if (stage->snapshot != NULL) { tg_snapshot_cut(stage->snapshot, stage->cut_base); }
    stage->aligned = 0;
    stage->cut = TG_CUT_PASSING;
    for (uint32_t o = 0; o < stage->plan->step->op->output_count; o++) {
        TG_ASSERT(tg_port_is_empty(&stage->ports[o])); /* a batch is done when its output has been handed on */
        const struct tg_readers *readers = &stage->plan->readers[o];
        for (uint32_t e = 0; e < readers->edge_count && !stage->end_sent; e++) {
            tg_edge_out_barrier(&stage->edges[readers->edges[e]]);
        }
        stage->ports[o].epochs++;
    }
    stage->epochs++;
    tg_stage_pass_barrier(stage);
}

void tg_stage_pass_barrier(struct tg_ctx *stage)
{
    for (uint32_t o = 0; o < stage->plan->step->op->output_count; o++) {
        const struct tg_readers *readers = &stage->plan->readers[o];
        for (uint32_t e = 0; e < readers->edge_count; e++) {
            (void)tg_edge_out_flush(&stage->edges[readers->edges[e]], 0);
        }
    }
    if (tg_stage_edges_clean(stage)) { stage->cut = TG_CUT_DONE; }
}

void tg_stage_restored(struct tg_ctx *stage)
{
    void *none[1];
    for (uint32_t c = 0; c <= stage->edge_plan->partition_count; c++) { /* empty wheels go to their clocks first */
        TG_ASSERT(tg_wheel_expire(stage->wheels[c], stage->clocks[c], none, 1) == 0);
    }
    for (uint32_t slot = tg_table_next(stage->table, 0); slot != TG_SLOT_NONE;
         slot = tg_table_next(stage->table, slot + 1)) {
        struct tg_key_state *key = tg_table_value(stage->table, slot);
        key->flags = TG_KEY_LIVE; /* others are gone when a batch is done */
        tg_stage_settle(stage, key);
    }
}
