/* A job as the job file describes it, after profiles, --set and variables were applied and every name was resolved.
 * config.c makes it, plan.c turns it into stages and edges, `turgo plan` and `check` print it. Everything here is
 * allocated from the job's own arena and never changes after tg_job_load. */
#ifndef TG_ENGINE_JOB_H
#define TG_ENGINE_JOB_H

#include <stdio.h>

#include "base/arena.h"
#include "base/schema.h"
#include "base/timestamp.h"
#include "engine/turgo.h"
#include "io/decode.h"
#include "io/registry.h"

/* Where something stands: "purchase_count.yaml:14:5", or "--set", or "env TURGO_SET_..." or "default". */
struct tg_place {
    const char *origin;
    uint32_t line; /* 0 = none */
    uint32_t column;
};

enum tg_idle_clock { TG_IDLE_RATE, TG_IDLE_OFF };
enum tg_on_error { TG_ON_ERROR_DEAD_LETTER, TG_ON_ERROR_STOP };
enum tg_late_rule { TG_LATE_OUTPUT, TG_LATE_ACCEPT };

struct tg_source_spec {
    const char *name;
    struct tg_place place;
    const struct tg_source_ops *ops;
    struct tg_options options;
    const char *topic; /* in dead letters and late entries: kafka topic, else the option `topic` or the source's name */
    const char *zone_name;
    struct tg_zone *zone;
    struct tg_schema schema; /* one column per field, in the job file's order */
    struct tg_field_spec fields[TG_COLUMNS_MAX];
    uint32_t event_time;   /* column index, a timestamp */
    tg_us watermark_delay; /* B */
    tg_us idle_after;
    enum tg_idle_clock idle_clock;
    tg_us max_skew; /* TG_TS_MAX = off (replay) */
    uint32_t partitioned_by_count;
    uint32_t partitioned_by[TG_COLUMNS_MAX];
    bool has_dedupe;
    uint32_t dedupe_by;        /* column index; rows where it is null are never duplicates */
    uint32_t dedupe_per_count; /* further columns of the identity */
    uint32_t dedupe_per[TG_COLUMNS_MAX];
    tg_us dedupe_ttl;
    enum tg_on_error on_error;
};

struct tg_param_value {
    const char *name;
    const char *text; /* as in YAML */
    struct tg_place place;
};

/* What a step or sink reads: a source, or output `output` of an earlier step. */
struct tg_input_ref {
    bool is_source;
    uint32_t index;  /* into sources or steps */
    uint32_t output; /* of the operator; 0 for sources */
};

struct tg_step_spec {
    const char *name;
    struct tg_place place;
    const struct tg_operator *op;
    struct tg_input_ref from;
    uint32_t key_count;
    uint32_t key[TG_COLUMNS_MAX]; /* columns of the input's schema */
    uint32_t param_count;
    struct tg_param_value params[32];
    tg_us allowed_lateness; /* L */
    enum tg_late_rule late;
    /* Row schema of each output: key columns first (input names), then the operator's record. */
    uint32_t output_count;
    struct tg_schema outputs[TG_OUTPUTS_MAX];
};

struct tg_sink_spec {
    const char *name;
    struct tg_place place;
    const struct tg_sink_ops *ops;
    struct tg_options options;
    struct tg_input_ref from;         /* unused for dead_letters and late */
    struct tg_schema schema;          /* the sink's columns, named as in the target */
    uint32_t columns[TG_COLUMNS_MAX]; /* sink column i = column columns[i] of the input's schema */
    uint32_t key_count;
    uint32_t key_columns[TG_COLUMNS_MAX]; /* indexes into schema: the row key = the step's key */
    bool with_revision;
};

/* One value of the job file as it came out, for `check --print-effective`; secrets are ***. */
struct tg_effective {
    const char *path; /* "sources.tx.watermark.delay" */
    const char *text;
    const char *origin; /* "purchase_count.yaml:14:5", "--set", "env TURGO_SET_...", "default" */
};

enum { TG_SHARDS_AUTO = 0 };

struct tg_job {
    const char *name;
    const char *path;    /* of the job file */
    const char *profile; /* "" = none */
    uint32_t source_count;
    struct tg_source_spec *sources;
    uint32_t step_count;
    struct tg_step_spec *steps; /* in an order where inputs come first */
    uint32_t sink_count;
    struct tg_sink_spec *sinks;
    struct tg_sink_spec *dead_letters; /* NULL = counted only (refused by check unless a sink is named) */
    struct tg_sink_spec *late;
    struct {
        uint32_t shards; /* TG_SHARDS_AUTO = by topology */
        enum tg_loop_backend io;
        uint64_t max_keys;     /* of each step, all shards together */
        uint64_t max_state;    /* bytes of containers, all shards together */
        int64_t drain_timeout; /* us, from the signal on; TG_TS_MAX = off */
        bool audit;            /* sums over the uids of applied rows, see tally.h */
    } engine;
    struct {
        bool is_on;
        tg_us every;
        tg_us timeout;
        tg_us max_age; /* of the newest complete one; TG_TS_MAX = any */
        uint32_t keep;
        const char *dir;
    } checkpoint;
    bool replay; /* profile `replay`: no future check, `every` 0, dead letters without time */
    const char *state_dir;
    uint32_t effective_count;
    struct tg_effective *effective; /* in reading order */
    struct tg_arena arena;
};

/* Schemas of the two built-in outputs; column order is the order in files. */
/* topic, partition, offset, reason, field, raw, raw_base64, raw_bytes (null unless a sink shortened raw), time (null in
 * replay)  @any */
const struct tg_schema *tg_dead_letter_schema(void);
/* topic, partition, offset, ts, wm, lateness_us, steps (json list of names)  @any */
const struct tg_schema *tg_late_schema(void);

struct tg_job_options {
    const char *path;
    const char *profile; /* --profile; NULL = the file's `default_profile`, else none */
    uint32_t set_count;
    const char *const *sets; /* --set a.b=c */
    bool environment;        /* false: --no-environment, ${VAR} without value is not an error */
};

/* One finding of the loader; the text is ready to print: code, what, file:line:col, caret line, what to do. */
struct tg_finding {
    enum tg_code code;
    char text[2048];
};
struct tg_findings {
    uint32_t count; /* at most 32 are kept */
    struct tg_finding list[32];
};

/* Load, merge, resolve and check a job file. On failure *findings says everything that is wrong (not only the first)
 * and the worst status is returned.  @setup */
TG_MUST_USE tg_status tg_job_load(struct tg_job **job, const struct tg_job_options *options,
                                  struct tg_findings *findings);
void tg_job_destroy(struct tg_job *job);

/* Each effective value with its origin, secrets as ***; for `check --print-effective`.  @setup */
void tg_job_print_effective(const struct tg_job *job, FILE *out);
/* Sources, steps with clocks and keys, sinks, as text or Graphviz DOT; for `plan`.  @setup */
void tg_job_print_plan(const struct tg_job *job, bool dot, FILE *out);

/* True when a step follows the partition clock of its source: it reads the source directly and has every
 * partitioned_by field among its key fields.  @any */
bool tg_step_on_partition_clock(const struct tg_job *job, const struct tg_step_spec *step);

/* Operators linked in, by name; NULL when there is none.  @any */
const struct tg_operator *tg_operator_find(const char *name);
/* Called by jobs/ at start-up of the command.  @setup */
void tg_operator_register(const struct tg_operator *op);
enum { TG_OPERATORS_MAX = 64 };
/* Their names in the order of registration; returns how many.  @any */
uint32_t tg_operator_names(const char *names[TG_OPERATORS_MAX]);

#endif
