/* Ingest: one source on one shard, from fetch buffer to edges. In this order, for every record of a partition: decode
 * and range checks, key lengths, future, late, duplicate; then the clock of the partition moves and the row goes to the
 * shards that own its keys. Whatever is refused becomes a dead letter or a late entry: nothing is dropped. */
#ifndef TG_ENGINE_INGEST_H
#define TG_ENGINE_INGEST_H

#include "engine/checkpoint/tick_log.h"
#include "engine/cut.h"
#include "engine/dedupe.h"
#include "engine/edge.h"
#include "engine/outlet.h"
#include "engine/partition.h"
#include "engine/port.h"
#include "engine/progress.h"

struct tg_ingest {
    const struct tg_plan *plan;
    const struct tg_source_spec *source;
    uint32_t source_index;
    void *state; /* of the source's instance */
    bool opened;
    struct tg_decoder *decoder;
    struct tg_partition *partitions; /* [owned_count] */
    int64_t *positions;              /* [owned_count] where the source goes on; -1 = by its start rule */
    uint32_t *owned;                 /* [owned_count] partition numbers of the source */
    uint32_t *owned_index;           /* [source partitions] back, UINT32_MAX = not ours */
    uint32_t owned_count;
    struct tg_dedupe dedupe;
    const struct tg_readers *readers;
    struct tg_edge_out *edges;      /* the shard's, indexed by step */
    struct tg_port port;            /* for sinks that read the source itself */
    struct tg_outlet *dead_letters; /* NULL = counted only */
    struct tg_outlet *late;
    struct tg_published *published; /* of all partitions of the job */
    struct tg_progress *progress;
    struct tg_tick_lane *ticks; /* the shard's; NULL = raises act at once */
    const struct tg_tick_watch *tick_watch;
    uint32_t ordered; /* partitions whose tick was ordered, at most */
    struct tg_clock clock;
    const struct tg_buffer_pool *buffers;
    bool no_drain;
    /* the raw batch in work */
    struct tg_raw_batch raw;
    bool in_work;
    bool begun;         /* a batch in work waits for a tick before it is begun */
    uint32_t next_row;  /* first record not finished */
    uint32_t next_edge; /* of that record */
    uint8_t *rows;      /* [TG_BATCH_ROWS_MAX x row_bytes] */
    struct tg_decoded *results;
    uint8_t *side_text; /* base64 of a dead letter's raw bytes */
    /* the record in work */
    enum { TG_INGEST_KEYS, TG_INGEST_JUDGE, TG_INGEST_DEDUPE, TG_INGEST_ROUTE } phase;
    uint64_t hashes[TG_STEPS_MAX]; /* [edge_count] of its keys */
    /* checkpoints */
    enum tg_cut cut;
    bool cut_base;
    uint64_t epochs;                         /* cuts so far */
    struct tg_manifest_partition *cut_state; /* [owned_count] partitions as they were at the cut */
    /* state of the whole */
    uint64_t last_ns;   /* of the last poll */
    bool was_blocked;   /* the last poll: what passed since was our own back-pressure */
    uint64_t heard_ns;  /* when silence was counted last; 0 = never */
    uint64_t settle_ns; /* after a pause: until then nobody is idle; 0 = there was none */
    uint64_t staged_ns; /* when the oldest staged row was staged; 0 = none */
    uint32_t ended_count;
    bool stopping; /* no more polls: flush and end */
    bool held;     /* no polls for now: what is read could be lost to a crash (checkpoint.max_age) */
    bool end_sent;
    struct tg_error error;
};

struct tg_ingest_env {
    const struct tg_plan *plan;
    uint32_t source;
    uint32_t shard;
    struct tg_edge_out *edges;
    struct tg_outlet *outlets;
    struct tg_published *published;
    struct tg_progress *progress;
    bool bounded;
    bool no_drain;
    bool fresh;
    const struct tg_manifest_partition *saved; /* [partitions of the source] as a checkpoint has them; NULL = none */
    int64_t saved_us;                          /* wall clock when that was saved */
    struct tg_tick_lane *ticks;                /* NULL = raises act at once */
    const struct tg_tick_watch *tick_watch;    /* NULL = nobody wants to know */
    uint32_t poll_count_max;
    uint64_t seed;
    struct tg_buffer_pool *buffers;
    struct tg_arena *arena;
    struct tg_loop *loop;
    struct tg_helper *helper;
    struct tg_clock clock;
};

/* Address space of one ingest besides the source's own.  @setup */
size_t tg_ingest_bytes(const struct tg_plan *plan, uint32_t source);
TG_MUST_USE tg_status tg_ingest_open(struct tg_ingest *ingest, const struct tg_ingest_env *env, struct tg_error *err);

/* One step: work on the current raw batch or fetch the next; at most `budget` raw batches.  @shard */
uint32_t tg_ingest_poll(struct tg_ingest *ingest, uint64_t now_ns, uint32_t budget);
/* Stop fetching; what was fetched is finished, then the end mark goes out. No clock moves.  @shard */
void tg_ingest_stop(struct tg_ingest *ingest);
/* Cut between two raw batches; legal when the last cut is DONE or there was none. `base`: what to write of the
 * identities.  @shard */
void tg_ingest_want_cut(struct tg_ingest *ingest, bool base);
/* True once the end mark is on its way.  @shard */
bool tg_ingest_ended(const struct tg_ingest *ingest);
/* Tell the source that everything read so far has taken effect.  @shard */
void tg_ingest_commit(struct tg_ingest *ingest);
void tg_ingest_close(struct tg_ingest *ingest);

/* ---- idle partitions (ingest_ticks.c) ---------------------------------------------------------------------------- */

/* The clock of one of the source's partitions to all edges.  @shard */
void tg_ingest_send_wm(struct tg_ingest *ingest, uint32_t partition, int64_t wm);
/* Offset of the record that is judged next of partition owned[owned]; -1 = not known, and none was.  @shard */
int64_t tg_ingest_position(const struct tg_ingest *ingest, uint32_t owned);
/* Silence counts while we were free to listen (`since_ns`), also while other partitions of ours are busy; raises that
 * are due are ordered, or act at once where there is no log.  @shard */
void tg_ingest_check_idle(struct tg_ingest *ingest, uint64_t now_ns, uint64_t since_ns);
/* Between two batches: the raise of a partition acts; all whose ticks have become durable do.  @shard */
void tg_ingest_act(struct tg_ingest *ingest, uint32_t owned);
void tg_ingest_act_ordered(struct tg_ingest *ingest);
/* Ticks of an earlier life act again: those before the record at `offset`, which is judged next; those before what
 * comes next, between two batches; and the same at the start, before anything was read.  @shard */
void tg_ingest_replay_before(struct tg_ingest *ingest, struct tg_partition *partition, int64_t offset);
void tg_ingest_replay_silent(struct tg_ingest *ingest, uint32_t owned);
void tg_ingest_go_on_silent(struct tg_ingest *ingest, uint32_t owned);

#endif
