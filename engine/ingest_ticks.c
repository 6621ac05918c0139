/* An ingest's idle partitions: their silence is counted, their clocks are raised when the raise's tick is durable, and
 * ticks of an earlier life act where they did then. */
#include "engine/ingest.h"

/* More than this between two polls is our own pause (a stopped process, a busy core), not the input's silence. */
#define LISTEN_NS_MAX 20000000u
/* So long after such a pause a source has had the chance to hear of what came meanwhile. */
#define SETTLE_NS 100000000u

void tg_ingest_send_wm(struct tg_ingest *ingest, uint32_t partition, int64_t wm)
{
    const uint32_t job_wide = ingest->plan->partition_first[ingest->source_index] + partition;
    for (uint32_t e = 0; e < ingest->readers->edge_count; e++) {
        tg_edge_out_wm(&ingest->edges[ingest->readers->edges[e]], job_wide, wm);
    }
}

int64_t tg_ingest_position(const struct tg_ingest *ingest, uint32_t owned)
{
    const int64_t next = ingest->partitions[owned].next_offset;
    if (next >= 0 || ingest->source->ops->position == NULL) { return next; }
    return ingest->source->ops->position(ingest->state, ingest->owned[owned]);
}

static void tell_watch(const struct tg_ingest *ingest, const struct tg_tick *tick)
{
    if (ingest->tick_watch != NULL) { ingest->tick_watch->acted(ingest->tick_watch->self, tick); }
}

static struct tg_tick tick_of(const struct tg_ingest *ingest, uint32_t owned)
{
    return (struct tg_tick){.source = ingest->source_index,
                            .partition = ingest->owned[owned],
                            .offset = ingest->partitions[owned].raise.offset,
                            .wm = ingest->partitions[owned].raise.wm,
                            .wall_us = ingest->partitions[owned].raise.wall_us};
}

void tg_ingest_act(struct tg_ingest *ingest, uint32_t owned)
{
    struct tg_partition *partition = &ingest->partitions[owned];
    const struct tg_tick tick = tick_of(ingest, owned);
    tell_watch(ingest, &tick);
    tg_partition_raise(partition);
    if (ingest->source->has_dedupe) { tg_dedupe_expire(&ingest->dedupe, owned, partition->wm); }
    tg_ingest_send_wm(ingest, ingest->owned[owned], partition->wm);
}

/* A raise is due. With a log it acts when its tick is durable; without room on the way there the next one will. */
static void order_raise(struct tg_ingest *ingest, uint32_t owned)
{
    ingest->partitions[owned].raise.offset = tg_ingest_position(ingest, owned);
    const struct tg_tick tick = tick_of(ingest, owned);
    if (ingest->ticks == NULL) {
        tg_ingest_act(ingest, owned);
    } else if (tg_tick_lane_order(ingest->ticks, &tick, &ingest->partitions[owned])) {
        ingest->ordered++;
    }
}

void tg_ingest_act_ordered(struct tg_ingest *ingest)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < ingest->owned_count; i++) {
        if (ingest->partitions[i].tick == TG_TICK_DURABLE) { tg_ingest_act(ingest, i); }
        left += ingest->partitions[i].tick == TG_TICK_ORDERED;
    }
    ingest->ordered = left;
}

void tg_ingest_replay_before(struct tg_ingest *ingest, struct tg_partition *partition, int64_t offset)
{
    while (partition->replay_offset <= offset) {
        tell_watch(ingest, partition->replay);
        tg_partition_replay(partition, ingest->source, false, 0);
    }
}

void tg_ingest_replay_silent(struct tg_ingest *ingest, uint32_t owned)
{
    struct tg_partition *partition = &ingest->partitions[owned];
    if (partition->replay_count == 0) { return; }
    const int64_t position = tg_ingest_position(ingest, owned);
    bool any = false;
    while (partition->replay_offset <= position) {
        tell_watch(ingest, partition->replay);
        tg_partition_replay(partition, ingest->source, true, tg_clock_wall_us(&ingest->clock));
        any = true;
    }
    if (any && ingest->source->has_dedupe) { tg_dedupe_expire(&ingest->dedupe, owned, partition->wm); }
}

void tg_ingest_go_on_silent(struct tg_ingest *ingest, uint32_t owned)
{
    struct tg_partition *partition = &ingest->partitions[owned];
    if (partition->replay_count == 0) { return; }
    tg_ingest_replay_silent(ingest, owned);
    tg_partition_publish(partition, false);
    tg_ingest_send_wm(ingest, ingest->owned[owned], partition->wm);
}

/* After a pause of our own silence is counted as before, but acts only when what came meanwhile can have been heard of.
 * Pauses while we wait for that do not count: a core that is always busy must not keep everybody awake. True = wait;
 * *again = the wait is over just now. */
static bool settling(struct tg_ingest *ingest, uint64_t now_ns, bool *again)
{
    const bool paused = ingest->heard_ns != 0 && now_ns - ingest->heard_ns > LISTEN_NS_MAX;
    ingest->heard_ns = now_ns;
    if (paused && ingest->settle_ns == 0) { ingest->settle_ns = now_ns + SETTLE_NS; }
    if (now_ns < ingest->settle_ns) { return true; }
    *again = ingest->settle_ns != 0;
    ingest->settle_ns = 0;
    return false;
}

/* Records that came since the end was reported may lie where we have not looked: in the client's queue, behind those of
 * other partitions. */
static bool has_unread(struct tg_ingest *ingest, uint32_t owned)
{
    const struct tg_source_ops *ops = ingest->source->ops;
    return ops->unread != NULL && ops->unread(ingest->state, ingest->owned[owned]);
}

/* A partition that was silent for long enough. The source is asked before others see it as idle, before every raise,
 * and `again`; not every cycle. */
static void go_on_idle(struct tg_ingest *ingest, uint32_t owned, uint64_t now_ns, bool again)
{
    const struct tg_surroundings around = {
        .all = ingest->published,
        .all_count = ingest->plan->partition_count,
        .now_ns = now_ns,
        .wall_us = tg_clock_wall_us(&ingest->clock),
    };
    struct tg_partition *partition = &ingest->partitions[owned];
    const bool known = tg_partition_shows_idle(partition);
    const bool due = tg_partition_raise_due(partition, ingest->source, &around);
    const bool asks = partition->tick == TG_TICK_NONE && (due || again || !known);
    if (asks && has_unread(ingest, owned)) {
        tg_partition_stirred(partition);
        return;
    }
    if (!known) { tg_partition_publish(partition, true); }
    if (due) { order_raise(ingest, owned); }
}

void tg_ingest_check_idle(struct tg_ingest *ingest, uint64_t now_ns, uint64_t since_ns)
{
    const uint64_t elapsed_ns = since_ns < LISTEN_NS_MAX ? since_ns : LISTEN_NS_MAX;
    bool again = false;
    const bool waits = settling(ingest, now_ns, &again);
    for (uint32_t i = 0; i < ingest->owned_count; i++) {
        const bool silent = tg_partition_silent(&ingest->partitions[i], ingest->source, elapsed_ns);
        if (silent && !waits) { go_on_idle(ingest, i, now_ns, again); }
    }
}
