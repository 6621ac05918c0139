/* Sinks: connector, the columns it gets and the row key. The two built-in outputs are sinks with a fixed schema. */
#include <string.h>

#include "engine/config/config.h"

/* One mapped column: target name on the left, column of the input on the right. */
static void read_column(struct tg_config *config, const struct tg_config_at *at, const struct tg_schema *input,
                        struct tg_sink_spec *sink)
{
    if (tg_yaml_is_null(at->value)) {
        (void)tg_finding_add(&config->drafts, TG1004, at->key, "column \"%s\" has no source column", at->key->text);
        return;
    }
    const int column = tg_config_column(config, at, input);
    if (column < 0 || sink->schema.column_count == TG_COLUMNS_MAX) { return; }
    sink->columns[sink->schema.column_count] = (uint32_t)column;
    struct tg_column *target = &sink->schema.columns[sink->schema.column_count++];
    *target = input->columns[column];
    target->name = at->key->text;
}

static void read_columns(struct tg_config *config, const struct tg_config_at *at, const struct tg_schema *input,
                         struct tg_sink_spec *sink)
{
    if (tg_yaml_is_null(at->value)) {
        for (uint32_t i = 0; i < input->column_count; i++) {
            sink->columns[i] = i;
            sink->schema.columns[i] = input->columns[i];
        }
        sink->schema.column_count = input->column_count;
    } else if (at->value->kind != TG_YAML_MAP) {
        struct tg_draft *draft =
            tg_finding_add(&config->drafts, TG1004, at->key, "columns is %s, it should be a mapping",
                           tg_yaml_kind_name(at->value->kind));
        tg_draft_hint(draft, "target column: column, for example userId: user_id");
    } else {
        for (uint32_t i = 0; i < at->value->count; i++) {
            const struct tg_config_at column = tg_config_child(config, at, &at->value->entries[i]);
            read_column(config, &column, input, sink);
        }
    }
    tg_schema_layout(&sink->schema);
}

/* The row key is the step's key, in its order, under the target's names. Append logs may leave key columns out; then
 * they have no row key. Sinks that keep one row per key need all of them. */
static void bind_key(struct tg_config *config, const struct tg_config_at *at, struct tg_sink_spec *sink)
{
    const struct tg_job *job = config->job;
    if (sink->from.is_source) {
        if (!sink->ops->keyed) { return; }
        struct tg_draft *draft =
            tg_finding_add(&config->drafts, TG1101, at->key, "%s keeps one row per key, and source %s has none",
                           sink->ops->name, job->sources[sink->from.index].name);
        tg_draft_hint(draft, "read from a step, or write to a log: file, kafka, console");
        return;
    }
    const struct tg_step_spec *step = &job->steps[sink->from.index];
    const struct tg_schema *input = tg_input_schema(job, sink->from);
    sink->key_count = 0;
    for (uint32_t i = 0; i < step->key_count; i++) { /* key column i is column i of the step's outputs */
        uint32_t column = 0;
        while (column < sink->schema.column_count && sink->columns[column] != i) { column++; }
        if (column < sink->schema.column_count) {
            sink->key_columns[sink->key_count++] = column;
            continue;
        }
        if (!sink->ops->keyed) {
            sink->key_count = 0;
            return;
        }
        struct tg_draft *draft = tg_finding_add(&config->drafts, TG1101, at->key,
                                                "key column \"%s\" is not among the columns", input->columns[i].name);
        tg_draft_hint(draft, "%s keeps one row per key of step %s: map it, for example %s: %s", sink->ops->name,
                      step->name, input->columns[i].name, input->columns[i].name);
    }
}

static void read_sink(struct tg_config *config, const struct tg_config_at *at, struct tg_sink_spec *sink)
{
    struct tg_config_values values;
    sink->name = at->key->text;
    sink->schema.name = sink->name;
    sink->place = tg_config_place(at->key);
    if (!tg_config_name(config, at->key) || !tg_config_read(config, at, TG_BLOCK_SINK, &values)) { return; }
    sink->ops = tg_config_sink_connector(config, at, &sink->options);
    if (!tg_config_input(config, tg_config_at(&values, TG_BLOCK_SINK, "from"), &sink->from)) { return; }
    const struct tg_schema *input = tg_input_schema(config->job, sink->from);
    if (input == NULL || input->column_count == 0) { return; } /* reported where it failed */
    const uint32_t findings_before = config->drafts.count;
    const struct tg_config_at *columns = tg_config_at(&values, TG_BLOCK_SINK, "columns");
    read_columns(config, columns, input, sink);
    if (sink->ops == NULL || config->drafts.count != findings_before) { return; }
    bind_key(config, columns, sink);
    /* An append log holds every version of a row: the revision tells them apart. */
    sink->with_revision = !sink->ops->keyed && !sink->from.is_source;
}

void tg_config_sinks(struct tg_config *config, const struct tg_config_at *sinks)
{
    struct tg_job *job = config->job;
    if (tg_yaml_is_null(sinks->value)) { return; }
    if (sinks->value->kind != TG_YAML_MAP || sinks->value->count == 0) {
        (void)tg_finding_add(&config->drafts, TG1004, sinks->key, "sinks must be a mapping of names to sinks");
        return;
    }
    if (sinks->value->count > TG_SINKS_MAX) {
        (void)tg_finding_add(&config->drafts, TG1004, sinks->key, "more than %d sinks", TG_SINKS_MAX);
        return;
    }
    job->sinks = tg_config_alloc(config, sinks->value->count * sizeof *job->sinks);
    for (uint32_t i = 0; i < sinks->value->count; i++) {
        const struct tg_config_at at = tg_config_child(config, sinks, &sinks->value->entries[i]);
        read_sink(config, &at, &job->sinks[i]);
        job->sink_count++;
    }
}

struct tg_sink_spec *tg_config_side_output(struct tg_config *config, const struct tg_config_at *at, const char *name,
                                           const struct tg_schema *schema)
{
    struct tg_config_values values;
    if (tg_yaml_is_null(at->value)) { return NULL; }
    struct tg_sink_spec *sink = tg_config_alloc(config, sizeof *sink);
    sink->name = name;
    sink->place = tg_config_place(at->key);
    sink->schema = *schema;
    for (uint32_t i = 0; i < schema->column_count; i++) { sink->columns[i] = i; }
    if (!tg_config_read(config, at, TG_BLOCK_SIDE_OUTPUT, &values)) { return NULL; }
    sink->ops = tg_config_sink_connector(config, at, &sink->options);
    if (sink->ops != NULL && sink->ops->keyed) {
        struct tg_draft *draft =
            tg_finding_add(&config->drafts, TG1101, at->key, "%s cannot go to %s", name, sink->ops->name);
        tg_draft_hint(draft, "it keeps one row per key, and these are a log: use file, kafka or console");
    }
    return sink;
}
