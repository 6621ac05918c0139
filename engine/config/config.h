/* The job loader's insides, shared by the .c files beside it. Loading has three phases: layers (layers.c: file,
 * profile, environment and --set become one tree), blocks (block.c reads any block by its key table, keys.c), and
 * resolution (sources, steps, sinks: names become indexes, types are compared). Every phase goes on after a finding, so
 * that one run says everything. */
#ifndef TG_ENGINE_CONFIG_CONFIG_H
#define TG_ENGINE_CONFIG_CONFIG_H

#include "engine/config/findings.h"
#include "engine/config/yaml.h"
#include "engine/job.h"

/* ---- tables (keys.c) --------------------------------------------------------------------------------------------- */

enum tg_config_reader {
    TG_READ_KIND,  /* by option.kind */
    TG_READ_HAND,  /* a list or scalar its block's reader resolves itself (column names, references) */
    TG_READ_BLOCK, /* a block of its own, named by `block` */
};
struct tg_config_key {
    struct tg_option option;
    enum tg_config_reader reader;
    const char *block; /* for the documentation: whose keys stand inside */
};
enum tg_config_connectors { TG_NO_CONNECTOR, TG_SOURCE_CONNECTOR, TG_SINK_CONNECTOR };
struct tg_config_block {
    const char *name;  /* "source" */
    const char *where; /* "sources.<name>" */
    const char *doc;
    const struct tg_config_key *keys;
    uint32_t key_count;
    enum tg_config_connectors connectors; /* one of them stands inside, too */
};

enum tg_config_block_id {
    TG_BLOCK_JOB,
    TG_BLOCK_SOURCE,
    TG_BLOCK_FIELD,
    TG_BLOCK_WATERMARK,
    TG_BLOCK_DEDUPE,
    TG_BLOCK_STEP,
    TG_BLOCK_PROCESS,
    TG_BLOCK_SINK,
    TG_BLOCK_SIDE_OUTPUT,
    TG_BLOCK_ENGINE,
    TG_BLOCK_CHECKPOINT,
    TG_BLOCK_COUNT,
};
extern const struct tg_config_block tg_config_blocks[TG_BLOCK_COUNT];

/* ---- context ----------------------------------------------------------------------------------------------------- */

enum { TG_CONFIG_MEANT_MAX = 32 };
struct tg_config {
    struct tg_job *job;
    struct tg_arena *arena; /* the job's */
    const struct tg_job_options *options;
    const struct tg_yaml_node *file_root; /* the file alone */
    const struct tg_yaml_node *root;      /* all layers */
    uint32_t effective_capacity;
    const struct tg_yaml_node *declared[TG_SOURCES_MAX][TG_COLUMNS_MAX]; /* where each source's column was declared */
    struct tg_drafts drafts;
    struct tg_secrets secrets;
    uint32_t meant_count; /* keys that unknown ones were probably meant to be: not missing, too */
    struct tg_config_meant {
        const struct tg_yaml_node *block; /* key of the block */
        const char *name;
    } meant[TG_CONFIG_MEANT_MAX];
};

/* A value and how it is reached. */
struct tg_config_at {
    const char *path; /* "sources.tx.watermark.delay" */
    const struct tg_yaml_node
        *key; /* its key; for what is missing, the key of the block it should be in; NULL = root */
    const struct tg_yaml_node *value; /* NULL = not given */
};

/* What a block's keys hold: [i] belongs to key i of the block's table. */
enum { TG_CONFIG_KEYS_MAX = 16 };
struct tg_config_values {
    struct tg_config_at at[TG_CONFIG_KEYS_MAX];
    struct tg_option_value values[TG_CONFIG_KEYS_MAX]; /* TG_READ_KIND only */
};

/* Zeroed memory of the job's arena.  @setup */
void *tg_config_alloc(struct tg_config *config, size_t bytes);
/* Formatted text in the job's arena, at most 1 KiB.  @setup */
const char *tg_config_format(struct tg_config *config, const char *fmt, ...) TG_PRINTF(2, 3);
/* "job.yaml:14:5", "--set", ..., "default" for NULL.  @setup */
const char *tg_config_origin(struct tg_config *config, const struct tg_yaml_node *node);
struct tg_place tg_config_place(const struct tg_yaml_node *node);
/* What `key` stands for inside `parent`.  @setup */
struct tg_config_at tg_config_child(struct tg_config *config, const struct tg_config_at *parent,
                                    const struct tg_yaml_entry *entry);

/* ---- layers (layers.c) ------------------------------------------------------------------------------------------- */

/* `over` laid over `base`; connector blocks replace different ones; null removes a key.  @setup */
const struct tg_yaml_node *tg_config_merge(struct tg_config *config, const struct tg_yaml_node *base,
                                           const struct tg_yaml_node *over);
/* Profile, environment and --set over config->file_root, into config->root.  @setup */
void tg_config_layers(struct tg_config *config);

/* ---- blocks (block.c) -------------------------------------------------------------------------------------------- */

/* A scalar with its variables replaced. NULL: reported, or (*unresolved) not knowable without the environment.  @setup
 */
const char *tg_config_scalar(struct tg_config *config, const struct tg_config_at *at, bool secret, bool *unresolved);
/* Read the value at `at` (or the fallback) as the option says.  @setup */
void tg_config_option(struct tg_config *config, const struct tg_config_at *at, const struct tg_option *option,
                      struct tg_option_value *out);
/* Read a block by its table; unknown and missing keys are reported. False: it is no mapping.  @setup */
bool tg_config_read(struct tg_config *config, const struct tg_config_at *at, enum tg_config_block_id id,
                    struct tg_config_values *out);
/* Index of key `name` in a block's table; asserts that it is there.  @any */
uint32_t tg_config_key_index(enum tg_config_block_id id, const char *name);
/* Shorthands over it.  @any */
const struct tg_option_value *tg_config_value(const struct tg_config_values *values, enum tg_config_block_id id,
                                              const char *name);
const struct tg_config_at *tg_config_at(const struct tg_config_values *values, enum tg_config_block_id id,
                                        const char *name);

/* Find the one connector of a source or sink block and read its options. `ops_out` gets a tg_source_ops or tg_sink_ops,
 * NULL when there is none (reported).  @setup */
const struct tg_source_ops *tg_config_source_connector(struct tg_config *config, const struct tg_config_at *block,
                                                       struct tg_options *options);
const struct tg_sink_ops *tg_config_sink_connector(struct tg_config *config, const struct tg_config_at *block,
                                                   struct tg_options *options);

/* Column names (a list or a single one) as indexes of `schema`; returns how many.  @setup */
uint32_t tg_config_columns(struct tg_config *config, const struct tg_config_at *at, const struct tg_schema *schema,
                           uint32_t columns[TG_COLUMNS_MAX]);
/* One column name; -1 = reported.  @setup */
int tg_config_column(struct tg_config *config, const struct tg_config_at *at, const struct tg_schema *schema);
/* Remember an effective value for --print-effective.  @setup */
void tg_config_effective(struct tg_config *config, const char *path, const char *text, const char *origin);
/* A name of a source, step, sink or column: letters, digits, _ and -, at most 63, no digit first. Reported if not.
 * @setup */
bool tg_config_name(struct tg_config *config, const struct tg_yaml_node *key);

/* ---- resolution -------------------------------------------------------------------------------------------------- */

/* `sources` into job->sources (source.c).  @setup */
void tg_config_sources(struct tg_config *config, const struct tg_config_at *sources);
/* Fields of one source (field.c).  @setup */
void tg_config_fields(struct tg_config *config, const struct tg_config_at *fields, struct tg_source_spec *source,
                      const struct tg_yaml_node *declared[TG_COLUMNS_MAX]);
/* `steps` into job->steps, inputs first (step.c).  @setup */
void tg_config_steps(struct tg_config *config, const struct tg_config_at *steps);
/* Bind a step's operator: record fields to columns, params, outputs (operator.c).  @setup */
void tg_config_bind(struct tg_config *config, struct tg_step_spec *step, const struct tg_config_at *operator_at,
                    const struct tg_config_at *params_at);
/* `sinks` into job->sinks (sink.c).  @setup */
void tg_config_sinks(struct tg_config *config, const struct tg_config_at *sinks);
/* dead_letters and late (sink.c).  @setup */
struct tg_sink_spec *tg_config_side_output(struct tg_config *config, const struct tg_config_at *at, const char *name,
                                           const struct tg_schema *schema);
/* Resolve "x" or "x.output" to a source or a step's output; false = reported.  @setup */
bool tg_config_input(struct tg_config *config, const struct tg_config_at *at, struct tg_input_ref *ref);
/* Schema behind a reference; NULL when its step could not be resolved (reported there).  @any */
const struct tg_schema *tg_input_schema(const struct tg_job *job, struct tg_input_ref ref);

/* tg_job_load over bytes already in memory; `name` is what messages call them.  @setup */
TG_MUST_USE tg_status tg_job_load_text(struct tg_job **job, const char *name, const char *text,
                                       const struct tg_job_options *options, struct tg_findings *findings);

#endif
