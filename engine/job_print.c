/* A loaded job for people: every value with its origin, and the plan as text or Graphviz DOT. */
#include <inttypes.h>
#include <string.h>

#include "engine/job.h"
#include "engine/layout.h"

void tg_job_print_effective(const struct tg_job *job, FILE *out)
{
    size_t widest = 0;
    for (uint32_t i = 0; i < job->effective_count; i++) {
        const size_t width = strlen(job->effective[i].path) + strlen(job->effective[i].text) + 2;
        if (width > widest && width <= 90) { widest = width; }
    }
    for (uint32_t i = 0; i < job->effective_count; i++) {
        const struct tg_effective *value = &job->effective[i];
        const int used = fprintf(out, "%s: %s", value->path, value->text);
        const int pad = used > 0 && (size_t)used < widest ? (int)(widest - (size_t)used) : 0;
        (void)fprintf(out, "%*s  # %s\n", pad, "", value->origin);
    }
}

static void print_type(const struct tg_column *column, FILE *out)
{
    if (column->type == TG_TYPE_NUMERIC) {
        (void)fprintf(out, "numeric(%u,%u)", column->precision, column->scale);
    } else {
        (void)fputs(tg_type_name(column->type), out);
    }
}

static void print_schema(const struct tg_schema *schema, FILE *out)
{
    for (uint32_t i = 0; i < schema->column_count; i++) {
        (void)fprintf(out, "%s%s ", i > 0 ? ", " : "", schema->columns[i].name);
        print_type(&schema->columns[i], out);
    }
}

static void print_names(const struct tg_schema *schema, uint32_t count, const uint32_t *columns, FILE *out)
{
    for (uint32_t i = 0; i < count; i++) {
        (void)fprintf(out, "%s%s", i > 0 ? ", " : "", schema->columns[columns[i]].name);
    }
}

static const struct tg_schema *input_schema(const struct tg_job *job, struct tg_input_ref ref)
{
    return ref.is_source ? &job->sources[ref.index].schema : &job->steps[ref.index].outputs[ref.output];
}

/* Schemas are called as a job file refers to them: "tx", "counts", "wallets.balance". */
static const char *input_name(const struct tg_job *job, struct tg_input_ref ref)
{
    return input_schema(job, ref)->name;
}

static const char *duration(tg_us us, char out[32])
{
    if (us == TG_TS_MAX) { return "off"; }
    return tg_duration_format(us, out);
}

static void print_source(const struct tg_source_spec *source, FILE *out)
{
    char text[3][32];
    (void)fprintf(out, "source %s  %s, topic %s\n  row       ", source->name, source->ops->name, source->topic);
    print_schema(&source->schema, out);
    (void)fprintf(out, "\n  clock     %s, delay %s, idle after %s, max skew %s\n",
                  source->schema.columns[source->event_time].name, duration(source->watermark_delay, text[0]),
                  duration(source->idle_after, text[1]), duration(source->max_skew, text[2]));
    if (source->partitioned_by_count > 0) {
        (void)fputs("  promise   each ", out);
        print_names(&source->schema, source->partitioned_by_count, source->partitioned_by, out);
        (void)fputs(" stands in one partition\n", out);
    }
    if (source->has_dedupe) {
        (void)fprintf(out, "  dedupe    by %s", source->schema.columns[source->dedupe_by].name);
        (void)fputs(source->dedupe_per_count > 0 ? " per " : "", out);
        print_names(&source->schema, source->dedupe_per_count, source->dedupe_per, out);
        (void)fprintf(out, ", remembered %s\n", duration(source->dedupe_ttl, text[0]));
    }
}

static void print_step(const struct tg_job *job, const struct tg_step_spec *step, FILE *out)
{
    char text[32];
    (void)fprintf(out, "step %s  operator %s, from %s\n  key       ", step->name, step->op->name,
                  input_name(job, step->from));
    print_names(input_schema(job, step->from), step->key_count, step->key, out);
    (void)fprintf(out, "\n  clock     %s",
                  tg_step_on_partition_clock(job, step) ? "of the key's partition" : "of the job");
    if (step->from.is_source) {
        (void)fprintf(out, ", late rows %s", step->late == TG_LATE_ACCEPT ? "are accepted" : "go to the late output");
        if (step->allowed_lateness > 0) {
            (void)fprintf(out, ", allowed lateness %s", duration(step->allowed_lateness, text));
        }
    }
    (void)fputc('\n', out);
    for (uint32_t i = 0; i < step->param_count; i++) {
        (void)fprintf(out, "%s%s %s%s", i == 0 ? "  params    " : ", ", step->params[i].name, step->params[i].text,
                      i + 1 == step->param_count ? "\n" : "");
    }
    tg_layout_print(step->op, "  ", out);
    for (uint32_t i = 0; i < step->output_count; i++) {
        (void)fprintf(out, "  output    %s: ", step->outputs[i].name);
        print_schema(&step->outputs[i], out);
        (void)fputc('\n', out);
    }
}

static void print_sink(const struct tg_job *job, const struct tg_sink_spec *sink, FILE *out)
{
    (void)fprintf(out, "sink %s  %s, from %s\n  row       ", sink->name, sink->ops->name, input_name(job, sink->from));
    print_schema(&sink->schema, out);
    (void)fputs("\n  row key   ", out);
    print_names(&sink->schema, sink->key_count, sink->key_columns, out);
    (void)fprintf(out, "%s%s\n",
                  sink->key_count == 0 ? "none: a log"
                  : sink->ops->keyed   ? ": one row each"
                                       : ": every version",
                  sink->with_revision ? ", with _revision and _final" : "");
}

static void print_text(const struct tg_job *job, FILE *out)
{
    (void)fprintf(out, "job %s  profile %s%s\n", job->name, job->profile[0] != '\0' ? job->profile : "none",
                  job->replay ? " (a pure function of its input files)" : "");
    for (uint32_t i = 0; i < job->source_count; i++) { print_source(&job->sources[i], out); }
    for (uint32_t i = 0; i < job->step_count; i++) { print_step(job, &job->steps[i], out); }
    for (uint32_t i = 0; i < job->sink_count; i++) { print_sink(job, &job->sinks[i], out); }
    if (job->dead_letters != NULL) { (void)fprintf(out, "dead letters  %s\n", job->dead_letters->ops->name); }
    if (job->late != NULL) { (void)fprintf(out, "late rows  %s\n", job->late->ops->name); }
    (void)fputs("engine  shards ", out);
    if (job->engine.shards == TG_SHARDS_AUTO) {
        (void)fputs("auto", out);
    } else {
        (void)fprintf(out, "%u", job->engine.shards);
    }
    (void)fprintf(out, ", keys of a step %" PRIu64 ", state %" PRIu64 " MiB, files in %s\n", job->engine.max_keys,
                  job->engine.max_state >> 20, job->state_dir);
}

static void dot_edge(const struct tg_job *job, struct tg_input_ref from, const char *kind, const char *name, FILE *out)
{
    const char *from_name = from.is_source ? job->sources[from.index].name : job->steps[from.index].name;
    (void)fprintf(out, "  \"%s %s\" -> \"%s %s\"", from.is_source ? "source" : "step", from_name, kind, name);
    if (!from.is_source && job->steps[from.index].output_count > 1) {
        (void)fprintf(out, " [label=\"%s\"]", strchr(input_name(job, from), '.') + 1);
    }
    (void)fputs(";\n", out);
}

/* Names are letters, digits, _ and -: nothing needs escaping. */
static void print_dot(const struct tg_job *job, FILE *out)
{
    (void)fprintf(out, "digraph \"%s\" {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n", job->name);
    for (uint32_t i = 0; i < job->source_count; i++) {
        const struct tg_source_spec *source = &job->sources[i];
        (void)fprintf(out, "  \"source %s\" [shape=cds, label=\"%s\\n%s\"];\n", source->name, source->name,
                      source->ops->name);
    }
    for (uint32_t i = 0; i < job->step_count; i++) {
        const struct tg_step_spec *step = &job->steps[i];
        (void)fprintf(out, "  \"step %s\" [label=\"%s\\n%s by ", step->name, step->name, step->op->name);
        print_names(input_schema(job, step->from), step->key_count, step->key, out);
        (void)fprintf(out, "\\n%s clock\"];\n", tg_step_on_partition_clock(job, step) ? "partition" : "job");
        dot_edge(job, step->from, "step", step->name, out);
    }
    for (uint32_t i = 0; i < job->sink_count; i++) {
        const struct tg_sink_spec *sink = &job->sinks[i];
        (void)fprintf(out, "  \"sink %s\" [shape=%s, label=\"%s\\n%s\"];\n", sink->name,
                      sink->ops->keyed ? "cylinder" : "note", sink->name, sink->ops->name);
        dot_edge(job, sink->from, "sink", sink->name, out);
    }
    (void)fputs("}\n", out);
}

void tg_job_print_plan(const struct tg_job *job, bool dot, FILE *out)
{
    if (dot) {
        print_dot(job, out);
    } else {
        print_text(job, out);
    }
}
