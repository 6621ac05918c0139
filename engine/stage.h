/* A stage: one step on one shard. It pops batches from every shard, applies each row to its key's state after firing
 * that key's timers, then moves its clocks and fires the other keys' timers. What callbacks emit goes to ports.
 * Whenever a port runs out of room the stage stops between two rows or two timers and resumes there. */
#ifndef TG_ENGINE_STAGE_H
#define TG_ENGINE_STAGE_H

#include "base/log.h"
#include "engine/cut.h"
#include "engine/edge.h"
#include "engine/outlet.h"
#include "engine/port.h"
#include "engine/progress.h"
#include "engine/tally.h"
#include "state/snapshot.h"
#include "state/table.h"
#include "state/wheel.h"

/* What the engine keeps of a key, in front of its timers and the operator's state. */
struct tg_key_state {
    struct tg_wheel_node node; /* due = the earliest armed timer */
    int64_t revision;          /* of the last row; TG_TS_MIN = none yet (event-time rule) */
    uint32_t partition;        /* whose clock the key follows; job-wide index */
    bool moved;                /* met in a second partition: follows the job clock */
    uint8_t flags;             /* TG_KEY_* */
    struct tg_mark mark;
    int64_t timers[]; /* [timer_count] TG_TS_MAX = not armed */
};

struct tg_ctx {
    const struct tg_stage_plan *plan;
    const struct tg_edge_plan *edge_plan;
    struct tg_edge *edge;
    uint32_t shard;
    uint32_t shard_count;
    struct tg_table *table;
    struct tg_heap *heap;
    struct tg_wheel **wheels;  /* [partition_count], then one for the job clock */
    int64_t *channel_wm;       /* [channel_count x partition_count] */
    uint32_t channel_count;    /* 1 when a partition arrives on one channel only (edges from sources) */
    int64_t *partition_wm;     /* [partition_count] minimum over the channels */
    int64_t *clocks;           /* [partition_count], then the job clock: wm - L */
    struct tg_port *ports;     /* [output_count] */
    struct tg_edge_out *edges; /* the shard's */
    struct tg_outlet *dead_letters;
    struct tg_progress *progress;
    struct tg_clock real_clock;
    /* the batch in work */
    struct tg_batch *batch;
    uint32_t from;     /* the shard it came from */
    uint32_t turn;     /* where popping begins: 0 = the local channel, whose rows are warm; behind one that blocked */
    uint32_t row;      /* next row */
    uint32_t placed;   /* rows whose state was found or made */
    uint32_t wm_index; /* next of the batch's watermarks */
    enum { TG_STAGE_IDLE, TG_STAGE_ROWS, TG_STAGE_CLOCKS, TG_STAGE_DELIVER } phase;
    uint8_t *key_bytes; /* [TG_EDGE_ROWS x TG_KEY_BYTES_MAX], packed */
    struct tg_key keys[TG_EDGE_ROWS];
    uint64_t hashes[TG_EDGE_ROWS];
    void *values[TG_EDGE_ROWS];
    /* keys whose timers are being fired because a clock moved */
    void *due[256];
    uint32_t due_count;
    uint32_t due_next;
    uint32_t moving; /* index into clocks of the clock that moved; UINT32_MAX = none */
    /* keys to look at when the batch is done: forgotten, or never brought to life */
    void *doomed[TG_EDGE_ROWS + 256];
    uint32_t doomed_count;
    /* the callback in progress */
    struct tg_key_state *key;
    tg_ts instant;
    const struct tg_row *cause; /* the row, NULL in timers */
    int64_t clock;              /* of the key, for output rows */
    uint32_t emitted;
    const char *refusal;   /* reason of tg_dead_letter; NULL = state_full */
    uint32_t fires;        /* timers of this key fired in a row without time going on */
    int64_t fired_until;   /* newest instant of those */
    uint8_t *record;       /* the operator's input record */
    uint64_t arrived_ns;
    bool poisoned; /* row `row` is refused and waits for room in the dead letters */
    char *text;    /* a refused row as JSON */
    uint32_t text_bytes;
    const struct tg_plan *job_plan;
    /* checkpoints */
    struct tg_snapshot *snapshot; /* NULL = the job makes none */
    uint64_t epochs;              /* cuts so far: rows made from now on belong behind as many cuts of a sink */
    enum tg_cut cut;
    bool cut_base;                /* what to write then */
    uint64_t aligned;             /* bit per shard whose barrier has arrived */
    int64_t *cut_clocks;          /* [partition_count + 1] clocks as they were at the cut */
    struct tg_tally *tallies;     /* [partition_count] of this shard; after a restore shard 0 has what came before */
    struct tg_tally *cut_tallies; /* [partition_count] as they were at the cut */
    /* the end */
    uint64_t ended; /* bit per shard whose channel has ended */
    bool end_sent;
    struct tg_log_limit moved_log;
    struct tg_error error;
};

struct tg_stage_env {
    const struct tg_plan *plan;
    uint32_t step;
    uint32_t shard;
    struct tg_edge *edge;      /* into this step */
    struct tg_edge_out *edges; /* the shard's, indexed by step */
    struct tg_outlet *outlets;
    struct tg_progress *progress;
    struct tg_arena *arena;
    struct tg_clock clock;
};

/* Address space of one stage on one shard.  @setup */
size_t tg_stage_bytes(const struct tg_plan *plan, uint32_t step);
/* State, clocks and ports in the shard's arena. Errors: TG1601, TG1101.  @setup */
TG_MUST_USE tg_status tg_stage_open(struct tg_ctx *stage, const struct tg_stage_env *env, struct tg_error *err);

/* One step: at most `budget` batches. Returns a work count.  @shard */
uint32_t tg_stage_poll(struct tg_ctx *stage, uint64_t now_ns, uint32_t budget);
/* True once every channel has ended and all output has been handed on.  @shard */
bool tg_stage_ended(const struct tg_ctx *stage);

enum {
    TG_KEY_LIVE = 1,   /* a row took effect since the state was made or forgotten */
    TG_KEY_DOOMED = 2, /* on the list of keys to look at when the batch is done */
    TG_KEY_FORGET = 4, /* the callback in progress asked for it */
};

/* ---- checkpoints (stage_cut.c) ----------------------------------------------------------------------------------- */

/* Cut where all barriers have arrived: the table goes on to its next epoch, the barrier to the edges behind the stage.
 * Legal when the last cut is DONE or there was none.  @shard */
void tg_stage_want_cut(struct tg_ctx *stage, bool base);
/* Between the stage and its cut: every channel has brought its barrier or ended, and a cut is wanted.  @shard */
bool tg_stage_may_cut(const struct tg_ctx *stage);
void tg_stage_cut(struct tg_ctx *stage);
/* A fresh value besides zeros, and what follows once all values are back and the clocks are set: liveness and timers.
 * @setup */
void tg_stage_key_fresh(const struct tg_ctx *stage, struct tg_key_state *key);
void tg_stage_restored(struct tg_ctx *stage);
/* Nothing that the stage has made is left in the edges behind it.  @shard */
bool tg_stage_edges_clean(const struct tg_ctx *stage);
/* A bit for each shard that rows come from.  @shard */
static inline uint64_t tg_stage_all_channels(const struct tg_ctx *stage)
{
    return stage->shard_count == 64 ? UINT64_MAX : (1ULL << stage->shard_count) - 1;
}
/* The barrier on its way into the rings behind; cut becomes DONE when it is in all of them.  @shard */
void tg_stage_pass_barrier(struct tg_ctx *stage);

/* Between the stage and the operator's calls (operator.c). */

/* When the first armed timer of `key` is due and which one that is; TG_TS_MAX = none is armed.  @shard */
static inline int64_t tg_stage_earliest_timer(const struct tg_ctx *stage, const struct tg_key_state *key,
                                              uint32_t *timer)
{
    const uint32_t count = stage->plan->step->op->timer_count;
    int64_t earliest = TG_TS_MAX;
    for (uint32_t t = 0; t < count; t++) {
        if (key->timers[t] < earliest) {
            earliest = key->timers[t];
            *timer = t;
        }
    }
    return earliest;
}
/* Fire the armed timers of `key` below `clock`. False = a port is out of room, or the job failed; call again.  @shard
 */
bool tg_stage_fire_due(struct tg_ctx *stage, struct tg_key_state *key, int64_t clock);
static inline bool tg_stage_fire(struct tg_ctx *stage, struct tg_key_state *key, int64_t clock)
{
    uint32_t timer;
    return tg_stage_earliest_timer(stage, key, &timer) >= clock || tg_stage_fire_due(stage, key, clock);
}
/* Hand on what a port holds; true when it has room again.  @shard */
bool tg_stage_make_room(struct tg_port *port);
/* True when every port has room for one more callback.  @shard */
static inline bool tg_stage_has_room(struct tg_ctx *stage)
{
    const uint32_t count = stage->plan->step->op->output_count;
    for (uint32_t o = 0; o < count; o++) {
        struct tg_port *port = &stage->ports[o];
        if (TG_UNLIKELY(!tg_port_has_room(port)) && !tg_stage_make_room(port)) { return false; }
    }
    return true;
}
/* The clock `row` sees; notes a key that is met in a second partition.  @shard */
int64_t tg_stage_row_clock(struct tg_ctx *stage, struct tg_key_state *key, const struct tg_row *row);
/* After a callback: forget what it asked to forget, put the earliest timer into the wheel.  @shard */
void tg_stage_settle(struct tg_ctx *stage, struct tg_key_state *key);
/* Row `row` of the batch to the dead letters; false = no room, try again.  @shard */
bool tg_stage_refuse(struct tg_ctx *stage);
/* Keys that will be worked on a little later are brought close in two steps: first the slot (in front of the value lie
 * the key's bytes and hash, which emitting needs), then, once the slot is near, what its containers hold elsewhere. All
 * at once would be more than a core has in flight: it drops the rest.  @shard */
enum { TG_SLOT_AHEAD = 12, TG_CONTAINER_AHEAD = 6 };
static inline void tg_stage_prefetch_slot(const struct tg_ctx *stage, const uint8_t *key)
{
    const uint32_t bytes = stage->plan->value_bytes;
    __builtin_prefetch(key - 32);
    for (uint32_t at = 0; at < bytes; at += 64) { __builtin_prefetch(key + at, 1); }
    __builtin_prefetch(key + bytes - 1, 1); /* a slot may start in the middle of a line */
}
static inline void tg_stage_prefetch_containers(const struct tg_ctx *stage, const uint8_t *key)
{
    const uint8_t *state = key + stage->plan->state_offset;
    for (uint32_t i = 0; i < stage->plan->deque_count; i++) {
        const struct tg_deque_i64 *deque =
            (const struct tg_deque_i64 *)(const void *)(state + stage->plan->containers[i].offset);
        if (deque->capacity != 0) { /* both ends: rows go to the newest, expiry to the oldest */
            __builtin_prefetch(&deque->elements[deque->first], 1);
            __builtin_prefetch(&deque->elements[(deque->first + deque->count) & (deque->capacity - 1)], 1);
        }
    }
}
static inline void tg_stage_look_ahead(const struct tg_ctx *stage, void *const *keys, uint32_t at, uint32_t count)
{
    if (at + TG_SLOT_AHEAD < count) { tg_stage_prefetch_slot(stage, keys[at + TG_SLOT_AHEAD]); }
    if (at + TG_CONTAINER_AHEAD < count) { tg_stage_prefetch_containers(stage, keys[at + TG_CONTAINER_AHEAD]); }
}
/* Of the partition that `row` goes back to.  @shard */
static inline struct tg_tally *tg_stage_tally(const struct tg_ctx *stage, const struct tg_row *row)
{
    return &stage->tallies[row->partition - stage->edge_plan->partition_first];
}
/* The key's sums; only with audit.  @shard */
static inline struct tg_audit *tg_stage_audit(const struct tg_ctx *stage, struct tg_key_state *key)
{
    return (struct tg_audit *)(void *)((uint8_t *)key + stage->plan->audit_offset);
}
/* The operator's state behind the head.  @shard */
static inline void *tg_stage_state(const struct tg_ctx *stage, struct tg_key_state *key)
{
    return (uint8_t *)key + stage->plan->state_offset;
}

#endif
