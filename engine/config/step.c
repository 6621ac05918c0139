/* Steps: put in an order where inputs come first, then resolved one by one. */
#include <string.h>

#include "base/assert.h"
#include "engine/config/config.h"

const struct tg_schema *tg_input_schema(const struct tg_job *job, struct tg_input_ref ref)
{
    if (ref.is_source) { return ref.index < job->source_count ? &job->sources[ref.index].schema : NULL; }
    if (ref.index >= job->step_count) { return NULL; }
    const struct tg_step_spec *step = &job->steps[ref.index];
    return ref.output < step->output_count ? &step->outputs[ref.output] : NULL;
}

static void report_input(struct tg_config *config, const struct tg_config_at *at, const char *name)
{
    const struct tg_job *job = config->job;
    const char *names[64];
    uint32_t count = 0;
    for (uint32_t i = 0; i < job->source_count && count < 64; i++) { names[count++] = job->sources[i].name; }
    for (uint32_t i = 0; i < job->step_count && count < 64; i++) {
        const struct tg_step_spec *step = &job->steps[i];
        if (step->name == NULL) { continue; }
        if (step->op == NULL || step->op->output_count == 1) {
            names[count++] = step->name;
            continue;
        }
        for (uint32_t k = 0; k < step->op->output_count && count < 64; k++) {
            names[count++] = tg_config_format(config, "%s.%s", step->name, step->op->outputs[k]->name);
        }
    }
    struct tg_draft *draft = tg_finding_add(&config->drafts, TG1006, at->value, "unknown name \"%s\"", name);
    tg_draft_suggest(draft, name, count, names, "to read from");
}

/* Which output "x" or "x.output" means; -1 = reported. */
static int find_output(struct tg_config *config, const struct tg_config_at *at, const struct tg_step_spec *step,
                       const char *output)
{
    if (step->op == NULL || (output == NULL && step->op->output_count == 1)) { return 0; }
    const char *names[TG_OUTPUTS_MAX];
    for (uint32_t i = 0; i < step->op->output_count; i++) {
        names[i] = step->op->outputs[i]->name;
        if (output != NULL && strcmp(names[i], output) == 0) { return (int)i; }
    }
    struct tg_draft *draft =
        output == NULL
            ? tg_finding_add(&config->drafts, TG1006, at->value, "step %s has several outputs", step->name)
            : tg_finding_add(&config->drafts, TG1006, at->value, "step %s has no output \"%s\"", step->name, output);
    tg_draft_suggest(draft, output != NULL ? output : "", step->op->output_count, names, "name one as step.output");
    return -1;
}

bool tg_config_input(struct tg_config *config, const struct tg_config_at *at, struct tg_input_ref *ref)
{
    const struct tg_job *job = config->job;
    if (tg_yaml_is_null(at->value)) { return false; } /* reported as missing */
    bool unresolved = false;
    const char *name = tg_config_scalar(config, at, false, &unresolved);
    if (name == NULL || unresolved) { return false; }
    tg_config_effective(config, at->path, name, tg_config_origin(config, at->value));
    const size_t bytes = strcspn(name, ".");
    const char *output = name[bytes] == '.' ? name + bytes + 1 : NULL;
    for (uint32_t i = 0; i < job->source_count && output == NULL; i++) {
        if (strcmp(job->sources[i].name, name) == 0) {
            *ref = (struct tg_input_ref){.is_source = true, .index = i};
            return true;
        }
    }
    for (uint32_t i = 0; i < job->step_count; i++) {
        const char *step = job->steps[i].name;
        if (step == NULL || strlen(step) != bytes || memcmp(step, name, bytes) != 0) { continue; }
        const int found = find_output(config, at, &job->steps[i], output);
        *ref = (struct tg_input_ref){.index = i, .output = found < 0 ? 0 : (uint32_t)found};
        return found >= 0;
    }
    report_input(config, at, name);
    return false;
}

bool tg_step_on_partition_clock(const struct tg_job *job, const struct tg_step_spec *step)
{
    if (!step->from.is_source) { return false; }
    const struct tg_source_spec *source = &job->sources[step->from.index];
    for (uint32_t i = 0; i < source->partitioned_by_count; i++) {
        bool in_key = false;
        for (uint32_t k = 0; k < step->key_count && !in_key; k++) {
            in_key = step->key[k] == source->partitioned_by[i];
        }
        if (!in_key) { return false; }
    }
    return source->partitioned_by_count > 0;
}

static void find_operator(struct tg_config *config, struct tg_step_spec *step, const struct tg_config_at *at)
{
    bool unresolved = false;
    const char *name = tg_yaml_is_null(at->value) ? NULL : tg_config_scalar(config, at, false, &unresolved);
    if (name == NULL || unresolved) { return; }
    tg_config_effective(config, at->path, name, tg_config_origin(config, at->value));
    step->op = tg_operator_find(name);
    if (step->op != NULL) { return; }
    const char *names[TG_OPERATORS_MAX];
    const uint32_t count = tg_operator_names(names);
    struct tg_draft *draft = tg_finding_add(&config->drafts, TG1401, at->value, "operator \"%s\" not found", name);
    tg_draft_suggest(draft, name, count, names, "linked in");
}

static void check_lateness(struct tg_config *config, const struct tg_step_spec *step,
                           const struct tg_config_values *values)
{
    static const char *const names[] = {"allowed_lateness", "late"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct tg_config_at *at = tg_config_at(values, TG_BLOCK_STEP, names[i]);
        if (step->from.is_source || tg_yaml_is_null(at->value)) { continue; }
        struct tg_draft *draft =
            tg_finding_add(&config->drafts, TG1101, at->key, "%s belongs to steps that read a source", names[i]);
        tg_draft_hint(draft, "rows of a step are never judged late; set it on the step in front");
    }
    if (step->allowed_lateness < 0) {
        const struct tg_config_at *at = tg_config_at(values, TG_BLOCK_STEP, "allowed_lateness");
        (void)tg_finding_add(&config->drafts, TG1004, at->value, "%s must not be negative", at->path);
    }
}

static void read_step(struct tg_config *config, const struct tg_config_at *at, struct tg_step_spec *step)
{
    struct tg_config_values values;
    struct tg_config_values process;
    step->name = at->key->text;
    step->place = tg_config_place(at->key);
    if (!tg_config_name(config, at->key) || !tg_config_read(config, at, TG_BLOCK_STEP, &values)) { return; }
    step->allowed_lateness = tg_config_value(&values, TG_BLOCK_STEP, "allowed_lateness")->number;
    step->late = (enum tg_late_rule)tg_config_value(&values, TG_BLOCK_STEP, "late")->number;
    const struct tg_config_at *process_at = tg_config_at(&values, TG_BLOCK_STEP, "process");
    if (tg_yaml_is_null(process_at->value) || !tg_config_read(config, process_at, TG_BLOCK_PROCESS, &process)) {
        return;
    }
    const struct tg_config_at *operator_at = tg_config_at(&process, TG_BLOCK_PROCESS, "operator");
    const struct tg_config_at *key_at = tg_config_at(&process, TG_BLOCK_PROCESS, "key");
    find_operator(config, step, operator_at);
    if (!tg_config_input(config, tg_config_at(&process, TG_BLOCK_PROCESS, "from"), &step->from)) { return; }
    check_lateness(config, step, &values);
    const struct tg_schema *input = tg_input_schema(config->job, step->from);
    if (input == NULL || input->column_count == 0) { return; }
    const uint32_t findings_before = config->drafts.count;
    step->key_count = tg_config_columns(config, key_at, input, step->key);
    if (config->drafts.count != findings_before) { step->key_count = 0; } /* no outputs either: sinks would repeat it */
    if (step->key_count == 0 && !tg_yaml_is_null(key_at->value) && key_at->value->kind == TG_YAML_LIST &&
        key_at->value->count == 0) {
        (void)tg_finding_add(&config->drafts, TG1003, key_at->key, "a step needs at least one key column");
    }
    if (step->op != NULL) {
        tg_config_bind(config, step, operator_at, tg_config_at(&process, TG_BLOCK_PROCESS, "params"));
    }
}

/* Index of the step that step `index` reads by the raw text of its `from`, or -1; a source's name means the source. */
static int input_step(const struct tg_job *job, const struct tg_yaml_node *steps, uint32_t index)
{
    const struct tg_yaml_node *process = tg_yaml_get(steps->entries[index].value, "process");
    const struct tg_yaml_node *from = tg_yaml_get(process, "from");
    if (from == NULL || from->kind != TG_YAML_SCALAR) { return -1; }
    for (uint32_t i = 0; i < job->source_count; i++) {
        if (strcmp(job->sources[i].name, from->text) == 0) { return -1; }
    }
    const size_t bytes = strcspn(from->text, ".");
    for (uint32_t i = 0; i < steps->count; i++) {
        const char *name = steps->entries[i].key->text;
        if (strlen(name) == bytes && memcmp(name, from->text, bytes) == 0) { return (int)i; }
    }
    return -1;
}

/* Inputs first, otherwise the file's order; returns how many could be placed. */
static uint32_t order_steps(const struct tg_job *job, const struct tg_yaml_node *steps, uint32_t order[TG_STEPS_MAX],
                            bool placed[TG_STEPS_MAX])
{
    uint32_t count = 0;
    for (uint32_t round = 0; round < steps->count; round++) {
        for (uint32_t i = 0; i < steps->count; i++) {
            const int input = input_step(job, steps, i);
            if (placed[i] || (input >= 0 && !placed[input])) { continue; }
            placed[i] = true;
            order[count++] = i;
        }
    }
    return count;
}

static void check_names(struct tg_config *config, const struct tg_yaml_node *steps)
{
    for (uint32_t i = 0; i < steps->count; i++) {
        for (uint32_t k = 0; k < config->job->source_count; k++) {
            const struct tg_source_spec *source = &config->job->sources[k];
            if (strcmp(steps->entries[i].key->text, source->name) != 0) { continue; }
            struct tg_draft *draft = tg_finding_add(&config->drafts, TG1007, steps->entries[i].key,
                                                   "a source is called \"%s\", too", source->name);
            tg_draft_hint(draft, "\"from: %s\" would be ambiguous", source->name);
        }
    }
}

void tg_config_steps(struct tg_config *config, const struct tg_config_at *steps)
{
    struct tg_job *job = config->job;
    uint32_t order[TG_STEPS_MAX] = {0};
    bool placed[TG_STEPS_MAX] = {false};
    if (tg_yaml_is_null(steps->value)) { return; }
    if (steps->value->kind != TG_YAML_MAP) {
        (void)tg_finding_add(&config->drafts, TG1004, steps->key, "steps must be a mapping of names to steps");
        return;
    }
    if (steps->value->count > TG_STEPS_MAX) {
        (void)tg_finding_add(&config->drafts, TG1004, steps->key, "more than %d steps", TG_STEPS_MAX);
        return;
    }
    check_names(config, steps->value);
    job->steps = tg_config_alloc(config, (steps->value->count + 1) * sizeof *job->steps);
    const uint32_t count = order_steps(job, steps->value, order, placed);
    for (uint32_t i = 0; i < count; i++) {
        const struct tg_config_at at = tg_config_child(config, steps, &steps->value->entries[order[i]]);
        job->step_count =
            i + 1; /* itself included, so that `from` its own name is found and refused by the order above */
        read_step(config, &at, &job->steps[i]);
    }
    for (uint32_t i = 0; i < steps->value->count; i++) {
        if (placed[i]) { continue; }
        struct tg_draft *draft =
            tg_finding_add(&config->drafts, TG1101, steps->value->entries[i].key,
                           "step \"%s\" reads itself, directly or through others", steps->value->entries[i].key->text);
        tg_draft_hint(draft, "steps form no circles");
    }
}
