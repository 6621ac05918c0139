/* Binding an operator to its step: the fields of its record to columns of the input, its parameters, its outputs. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "engine/config/config.h"
#include "engine/config/params.h"

/* Column type of a record field's kind; 0 when records cannot hold it. */
static enum tg_type kind_type(const char *kind)
{
    for (enum tg_type type = TG_TYPE_TEXT; type <= TG_TYPE_ENUM; type++) {
        if (strcmp(tg_type_name(type), kind) == 0) { return type; }
    }
    return 0;
}

static const char *declared_at(struct tg_config *config, const struct tg_step_spec *step, uint32_t column)
{
    if (!step->from.is_source) {
        return tg_config_format(config, "step %s", config->job->steps[step->from.index].name);
    }
    return tg_config_origin(config, config->declared[step->from.index][column]);
}

static void bind_input(struct tg_config *config, const struct tg_step_spec *step, const struct tg_schema *schema,
                       const struct tg_yaml_node *at)
{
    const struct tg_record *record = step->op->input;
    const char *names[TG_COLUMNS_MAX];
    for (uint32_t i = 0; i < schema->column_count; i++) { names[i] = schema->columns[i].name; }
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct tg_field *field = &record->fields[i];
        const int column = tg_schema_find(schema, field->name);
        if (column < 0) {
            struct tg_draft *draft =
                tg_finding_add(&config->drafts, TG1102, at, "column \"%s\" does not exist", field->name);
            tg_draft_hint(draft, "operator %s reads %s \"%s\" by this name from %s", step->op->name, field->kind,
                          field->name, schema->name);
            tg_draft_suggest(draft, field->name, schema->column_count, names, "its columns");
            continue;
        }
        const enum tg_type type = schema->columns[column].type;
        if (kind_type(field->kind) == type) { continue; }
        struct tg_draft *draft =
            tg_finding_add(&config->drafts, TG1103, at, "operator %s reads \"%s\" as %s, but it is %s", step->op->name,
                           field->name, field->kind, tg_type_name(type));
        tg_draft_hint(draft, "the operator declares F(%s, %s) in its record \"%s\"; the job file declares %s at %s",
                      field->kind, field->name, record->name, tg_type_name(type),
                      declared_at(config, step, (uint32_t)column));
    }
}

/* An output's columns: the key in front, under the input's names, then the record. */
static void bind_output(struct tg_config *config, struct tg_step_spec *step, uint32_t output,
                        const struct tg_schema *input, const struct tg_yaml_node *at)
{
    const struct tg_record *record = step->op->outputs[output];
    struct tg_schema *schema = &step->outputs[output];
    schema->name =
        step->op->output_count == 1 ? step->name : tg_config_format(config, "%s.%s", step->name, record->name);
    if (step->key_count + record->field_count > TG_COLUMNS_MAX) {
        (void)tg_finding_add(&config->drafts, TG1101, at, "output %s has more than %d columns", schema->name,
                             TG_COLUMNS_MAX);
        return;
    }
    for (uint32_t i = 0; i < step->key_count; i++) {
        schema->columns[schema->column_count++] = input->columns[step->key[i]];
    }
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct tg_field *field = &record->fields[i];
        struct tg_column column = {.name = field->name, .type = kind_type(field->kind)};
        const int source = tg_schema_find(input, field->name);
        TG_ASSERT(column.type != 0); /* states and parameters may hold more kinds, records may not */
        if (tg_schema_find(schema, field->name) >= 0) {
            struct tg_draft *draft = tg_finding_add(&config->drafts, TG1007, at, "output %s has two columns \"%s\"",
                                                    schema->name, field->name);
            tg_draft_hint(draft, "the key columns are added in front: name the key's field otherwise");
        }
        if (column.type == TG_TYPE_NUMERIC) { /* records do not say a scale */
            column.precision = 38;
            column.scale = 2;
        }
        if (column.type == TG_TYPE_ENUM && source >= 0 && input->columns[source].type == TG_TYPE_ENUM) {
            column.enum_count = input->columns[source].enum_count;
            column.enum_values = input->columns[source].enum_values;
        } else if (column.type == TG_TYPE_ENUM) {
            (void)tg_finding_add(&config->drafts, TG1101, at,
                                 "output enum \"%s\" has no input enum of that name to take values from", field->name);
        }
        schema->columns[schema->column_count++] = column;
    }
    tg_schema_layout(schema);
}

static int param_index(const struct tg_record *record, const char *name)
{
    for (uint32_t i = 0; i < record->field_count; i++) {
        if (strcmp(record->fields[i].name, name) == 0) { return (int)i; }
    }
    return -1;
}

/* One given parameter; false when it is wrong or cannot be known yet. */
static bool read_param(struct tg_config *config, struct tg_step_spec *step, const struct tg_config_at *at)
{
    const struct tg_record *record = step->op->params;
    const int index = param_index(record, at->key->text);
    if (index < 0) {
        const char *names[TG_COLUMNS_MAX];
        uint32_t count = 0;
        for (; count < record->field_count && count < TG_COLUMNS_MAX; count++) {
            names[count] = record->fields[count].name;
        }
        struct tg_draft *draft = tg_finding_add(&config->drafts, TG1402, at->key, "operator %s has no parameter \"%s\"",
                                               step->op->name, at->key->text);
        tg_draft_suggest(draft, at->key->text, count, names, "its parameters");
        return false;
    }
    bool unresolved = false;
    const char *text = tg_config_scalar(config, at, false, &unresolved);
    if (text == NULL || unresolved) { return false; }
    tg_config_effective(config, at->path, text, tg_config_origin(config, at->value));
    step->params[step->param_count++] = (struct tg_param_value){
        .name = record->fields[index].name, .text = text, .place = tg_config_place(at->value)};
    union {
        tg_dec widest;
        tg_text text;
    } value;
    if (tg_param_parse(record->fields[index].kind, text, &value)) { return true; }
    struct tg_draft *draft =
        tg_finding_add(&config->drafts, TG1402, at->value, "wrong value \"%s\" for parameter %s", text, at->key->text);
    const char *looks = tg_param_looks_like(record->fields[index].kind);
    tg_draft_hint(draft, "it is declared %s and takes %s", record->fields[index].kind,
                  looks != NULL ? looks : "nothing");
    return false;
}

static tg_us feeding_delay(const struct tg_job *job, const struct tg_step_spec *step)
{
    struct tg_input_ref ref = step->from;
    for (uint32_t i = 0; !ref.is_source && i < TG_STEPS_MAX; i++) { ref = job->steps[ref.index].from; }
    return ref.is_source ? job->sources[ref.index].watermark_delay : 0;
}

/* The operator's own rules see parameters only when each of them reads. */
static void check_params(struct tg_config *config, const struct tg_step_spec *step, const struct tg_config_at *at)
{
    if (step->op->check == NULL) { return; }
    void *params = tg_config_alloc(config, step->op->params->bytes);
    tg_params_build(step, params);
    const char *wrong = step->op->check(params, feeding_delay(config->job, step));
    if (wrong == NULL) { return; }
    struct tg_draft *draft = tg_finding_add(&config->drafts, TG1402, at->key, "%s", wrong);
    tg_draft_hint(draft, "operator %s refuses these parameters", step->op->name);
}

static void bind_params(struct tg_config *config, struct tg_step_spec *step, const struct tg_config_at *at)
{
    const struct tg_record *record = step->op->params;
    const struct tg_yaml_node *map = at->value;
    if (!tg_yaml_is_null(map) && map->kind != TG_YAML_MAP) {
        (void)tg_finding_add(&config->drafts, TG1004, at->key, "params is %s, it should be a mapping",
                             tg_yaml_kind_name(map->kind));
        return;
    }
    TG_ASSERT(record->field_count <= sizeof step->params / sizeof step->params[0]);
    bool complete = true;
    for (uint32_t i = 0; map != NULL && map->kind == TG_YAML_MAP && i < map->count; i++) {
        const struct tg_config_at param = tg_config_child(config, at, &map->entries[i]);
        complete = read_param(config, step, &param) && complete;
    }
    for (uint32_t i = 0; i < record->field_count; i++) {
        if (tg_yaml_find(map, record->fields[i].name) != NULL) { continue; }
        struct tg_draft *draft =
            tg_finding_add(&config->drafts, TG1402, at->key, "missing parameter \"%s\"", record->fields[i].name);
        const char *looks = tg_param_looks_like(record->fields[i].kind);
        tg_draft_hint(draft, "operator %s takes %s", step->op->name, looks != NULL ? looks : "nothing");
        complete = false;
    }
    if (complete) { check_params(config, step, at); }
}

void tg_config_bind(struct tg_config *config, struct tg_step_spec *step, const struct tg_config_at *operator_at,
                    const struct tg_config_at *params_at)
{
    bind_params(config, step, params_at);
    const struct tg_schema *input = tg_input_schema(config->job, step->from);
    if (input == NULL || input->column_count == 0) { return; } /* reported where it failed */
    bind_input(config, step, input, operator_at->value);
    if (step->key_count == 0) { return; }
    step->output_count = step->op->output_count;
    for (uint32_t i = 0; i < step->output_count; i++) { bind_output(config, step, i, input, operator_at->value); }
}
