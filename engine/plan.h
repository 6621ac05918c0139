/* The plan: a job cut into stages and edges for a given number of shards. One stage per step, one edge into each stage.
 * Built once before any thread starts, read by all of them, never changed. */
#ifndef TG_ENGINE_PLAN_H
#define TG_ENGINE_PLAN_H

#include "base/key.h"
#include "engine/job.h"
#include "engine/layout.h"

/* Columns of one schema copied into another: projections of sinks, records of operators. */
struct tg_copy {
    uint32_t from; /* byte offset */
    uint32_t to;
    uint32_t bytes;
    uint32_t column; /* of the schema side of the copy, for null bits; TG_COLUMNS_MAX = none */
};

/* Who reads an output or a source: stages over edges, sinks directly. */
struct tg_readers {
    uint32_t edge_count;
    uint32_t edges[TG_STEPS_MAX]; /* edge i leads into step i */
    uint32_t sink_count;
    uint32_t sinks[TG_SINKS_MAX];
};

struct tg_edge_plan {
    const struct tg_schema *schema;
    struct tg_key_spec key; /* of the reading step */
    bool from_source;
    uint32_t partition_first; /* job-wide partitions whose watermarks travel here */
    uint32_t partition_count;
};

struct tg_stage_plan {
    const struct tg_step_spec *step;
    bool partition_clock;
    uint32_t value_bytes;  /* engine head, timers, audit, operator state */
    uint32_t audit_offset; /* of struct tg_audit behind the timers; 0 = no audit */
    uint32_t state_offset;
    uint32_t input_copy_count; /* row columns -> operator record */
    struct tg_copy input_copies[TG_COLUMNS_MAX];
    uint32_t output_copy_count[TG_OUTPUTS_MAX]; /* operator record -> row columns */
    struct tg_copy output_copies[TG_OUTPUTS_MAX][TG_COLUMNS_MAX];
    uint32_t ts_min_count; /* state fields that start at TG_TS_MIN: byte offsets in the state */
    uint32_t ts_min_offsets[TG_COLUMNS_MAX];
    uint32_t container_count; /* to give back when a key is forgotten */
    uint32_t deque_count;     /* of them; they come first */
    struct tg_container containers[TG_COLUMNS_MAX];
    uint8_t *params; /* the operator's params struct */
    uint64_t keys_per_shard;
    struct tg_readers readers[TG_OUTPUTS_MAX];
};

struct tg_sink_plan {
    const struct tg_sink_spec *spec;
    bool identity; /* the sink's rows have the layout of its input: no projection */
    const struct tg_schema *input;
    uint32_t copy_count;
    struct tg_copy copies[TG_COLUMNS_MAX];
};

struct tg_plan {
    const struct tg_job *job;
    uint32_t shard_count;
    uint32_t partition_count;                 /* of all sources */
    uint32_t partition_first[TG_SOURCES_MAX]; /* job-wide index of a source's partition 0 */
    uint32_t source_partitions[TG_SOURCES_MAX];
    struct tg_readers source_readers[TG_SOURCES_MAX];
    struct tg_edge_plan edges[TG_STEPS_MAX];
    struct tg_stage_plan stages[TG_STEPS_MAX];
    /* The job's sinks, then dead_letters and late when the job has them. */
    uint32_t sink_count;
    struct tg_sink_plan sinks[TG_SINKS_MAX + 2];
    int dead_letters; /* index into sinks, -1 = none */
    int late;
    struct tg_arena arena;
};

/* Build the plan. `source_partitions` is what the sources' discover said. Errors: TG1101.  @setup */
TG_MUST_USE tg_status tg_plan_create(struct tg_plan **plan, const struct tg_job *job, uint32_t shard_count,
                                     const uint32_t *source_partitions, struct tg_error *err);
void tg_plan_destroy(struct tg_plan *plan);

/* How far back a cold start must read for every step to be right: the longest chain of steps, whoever feeds it.  @setup
 */
tg_us tg_plan_horizon(const struct tg_plan *plan, uint32_t source);

#endif
