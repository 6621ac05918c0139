/* tg_job_load: read the file, lay the layers, resolve every block, render what is wrong. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "engine/config/config.h"
#include "engine/config/values.h"

/* Address space, committed by touch. Trees and their merges stay far below half of it (yaml.h limits them); expansions
 * of variables stop at half (tg_config_scalar). */
static const size_t ARENA_BYTES = (size_t)512 << 20;
/* Of engine.max_state: every step of a shard has at least 1 MiB, whatever is asked for. */
static const int64_t STATE_BYTES_MIN = 1 << 20;
static const int64_t STATE_BYTES_MAX = (int64_t)1 << 46;

/* A number given by the user must be min to max; words and what only the environment knows are left alone. */
static void check_range(struct tg_config *config, const struct tg_config_at *at, const struct tg_option_value *value,
                        int64_t min, int64_t max)
{
    const bool is_word = value->number == TG_VALUE_WORD;
    if (!value->is_set || tg_yaml_is_null(at->value) || is_word || strchr(value->text, '$') != NULL) { return; }
    if (value->number >= min && value->number <= max) { return; }
    (void)tg_finding_add(&config->drafts, TG1004, at->value, "%s must be between %" PRId64 " and %" PRId64, at->path,
                         min, max);
}

static void read_engine(struct tg_config *config, const struct tg_config_at *at)
{
    struct tg_config_values values;
    struct tg_job *job = config->job;
    (void)tg_config_read(config, at, TG_BLOCK_ENGINE, &values);
    const struct tg_option_value *shards = tg_config_value(&values, TG_BLOCK_ENGINE, "shards");
    const struct tg_option_value *keys = tg_config_value(&values, TG_BLOCK_ENGINE, "max_keys");
    const struct tg_option_value *state = tg_config_value(&values, TG_BLOCK_ENGINE, "max_state");
    const struct tg_option_value *drain = tg_config_value(&values, TG_BLOCK_ENGINE, "drain_timeout");
    job->engine.io = (enum tg_loop_backend)tg_config_value(&values, TG_BLOCK_ENGINE, "io")->number;
    job->engine.max_keys = (uint64_t)keys->number;
    job->engine.max_state = (uint64_t)state->number;
    job->engine.drain_timeout = drain->number;
    job->engine.audit = tg_config_value(&values, TG_BLOCK_ENGINE, "audit")->number != 0;
    job->engine.shards = TG_SHARDS_AUTO;
    check_range(config, tg_config_at(&values, TG_BLOCK_ENGINE, "shards"), shards, 1, TG_SHARDS_MAX);
    check_range(config, tg_config_at(&values, TG_BLOCK_ENGINE, "max_keys"), keys, 1, INT32_MAX);
    check_range(config, tg_config_at(&values, TG_BLOCK_ENGINE, "max_state"), state, STATE_BYTES_MIN, STATE_BYTES_MAX);
    if (drain->number < 0) {
        (void)tg_finding_add(&config->drafts, TG1004, tg_config_at(&values, TG_BLOCK_ENGINE, "drain_timeout")->value,
                             "engine.drain_timeout must not be negative");
    }
    if (shards->number <= TG_SHARDS_MAX) { job->engine.shards = (uint32_t)shards->number; }
}

/* How old the newest complete checkpoint may become before reading stops. */
static tg_us read_max_age(struct tg_config *config, const struct tg_config_values *values)
{
    const struct tg_option_value *every = tg_config_value(values, TG_BLOCK_CHECKPOINT, "every");
    const struct tg_option_value *timeout = tg_config_value(values, TG_BLOCK_CHECKPOINT, "timeout");
    const struct tg_option_value *age = tg_config_value(values, TG_BLOCK_CHECKPOINT, "max_age");
    if (every->number == TG_TS_MAX) { return TG_TS_MAX; }
    if (!age->is_set) {
        const tg_us often = every->number > TG_TS_MAX / 10 ? TG_TS_MAX : every->number * 10;
        const tg_us slow = timeout->number > TG_TS_MAX / 2 ? TG_TS_MAX : timeout->number * 2;
        return often > slow ? often : slow;
    }
    if (age->number / 2 < every->number && strchr(age->text, '$') == NULL) { /* they take turns then */
        (void)tg_finding_add(&config->drafts, TG1004, tg_config_at(values, TG_BLOCK_CHECKPOINT, "max_age")->value,
                             "checkpoint.max_age must be at least two times checkpoint.every");
    }
    return age->number;
}

static void read_checkpoint(struct tg_config *config, const struct tg_config_at *at)
{
    struct tg_config_values values;
    struct tg_job *job = config->job;
    if (tg_yaml_is_null(at->value)) { return; }
    (void)tg_config_read(config, at, TG_BLOCK_CHECKPOINT, &values);
    const struct tg_option_value *every = tg_config_value(&values, TG_BLOCK_CHECKPOINT, "every");
    const struct tg_option_value *keep = tg_config_value(&values, TG_BLOCK_CHECKPOINT, "keep");
    const struct tg_option_value *dir = tg_config_value(&values, TG_BLOCK_CHECKPOINT, "dir");
    check_range(config, tg_config_at(&values, TG_BLOCK_CHECKPOINT, "keep"), keep, 3, 1000);
    job->checkpoint.is_on = every->number != TG_TS_MAX;
    job->checkpoint.every = every->number;
    job->checkpoint.keep = (uint32_t)keep->number;
    job->checkpoint.timeout = tg_config_value(&values, TG_BLOCK_CHECKPOINT, "timeout")->number;
    job->checkpoint.max_age = read_max_age(config, &values);
    job->checkpoint.dir = dir->is_set ? dir->text : tg_config_format(config, "%s/checkpoints", job->state_dir);
}

static void read_side_outputs(struct tg_config *config, const struct tg_config_values *values)
{
    struct tg_job *job = config->job;
    const struct tg_config_at *late_at = tg_config_at(values, TG_BLOCK_JOB, "late");
    job->dead_letters = tg_config_side_output(config, tg_config_at(values, TG_BLOCK_JOB, "dead_letters"),
                                              "dead_letters", tg_dead_letter_schema());
    job->late = tg_config_side_output(config, late_at, "late", tg_late_schema());
    if (!tg_yaml_is_null(late_at->value)) { return; }
    for (uint32_t i = 0; i < job->step_count; i++) {
        const struct tg_step_spec *step = &job->steps[i];
        if (step->op == NULL || !step->from.is_source || step->late == TG_LATE_ACCEPT) { continue; }
        struct tg_draft *draft = tg_finding_add(&config->drafts, TG1003, NULL, "missing key \"late\"");
        tg_draft_hint(
            draft,
            "step %s refuses late rows; say where they go: late: {file: {path: late.jsonl}}, or late: accept in "
            "the step",
            step->name);
        return;
    }
}

static void read_job(struct tg_config *config)
{
    struct tg_job *job = config->job;
    struct tg_config_values values;
    const struct tg_config_at root = {.path = "", .value = config->root};
    job->name = "";
    if (!tg_config_read(config, &root, TG_BLOCK_JOB, &values)) { return; }
    const struct tg_option_value *name = tg_config_value(&values, TG_BLOCK_JOB, "job");
    if (name->is_set && name->text != NULL) {
        const struct tg_config_at *at = tg_config_at(&values, TG_BLOCK_JOB, "job");
        struct tg_yaml_node checked = *at->value;
        checked.text = name->text;
        (void)tg_config_name(config, &checked);
        job->name = name->text;
    }
    const struct tg_option_value *state_dir = tg_config_value(&values, TG_BLOCK_JOB, "state_dir");
    job->state_dir = state_dir->is_set ? state_dir->text : tg_config_format(config, "var/%s", job->name);
    if (!state_dir->is_set) { tg_config_effective(config, "state_dir", job->state_dir, "default"); }
    job->replay = strcmp(job->profile, "replay") == 0;
    tg_config_sources(config, tg_config_at(&values, TG_BLOCK_JOB, "sources"));
    tg_config_steps(config, tg_config_at(&values, TG_BLOCK_JOB, "steps"));
    tg_config_sinks(config, tg_config_at(&values, TG_BLOCK_JOB, "sinks"));
    read_side_outputs(config, &values);
    read_engine(config, tg_config_at(&values, TG_BLOCK_JOB, "engine"));
    read_checkpoint(config, tg_config_at(&values, TG_BLOCK_JOB, "checkpoint"));
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static void report_fault(struct tg_config *config, const struct tg_yaml_source *source,
                         const struct tg_yaml_fault *fault)
{
    const struct tg_yaml_node at = {.source = source, .line = fault->line, .column = fault->column};
    if (fault->is_duplicate) {
        (void)tg_finding_add(&config->drafts, TG1007, &at, "%s", fault->text);
    } else {
        (void)tg_finding_add(&config->drafts, TG1001, fault->line > 0 ? &at : NULL,
                             "%s is not YAML that turgo reads: %s", source->name, fault->text);
    }
}

static void load(struct tg_config *config, const char *name, const char *text)
{
    struct tg_yaml_source *source = tg_config_alloc(config, sizeof *source);
    char *copy = tg_arena_strdup(config->arena, text);
    TG_ASSERT(copy != NULL);
    *source =
        (struct tg_yaml_source){.name = base_name(tg_config_format(config, "%s", name)), .text = copy, .is_file = true};
    config->job->path = tg_config_format(config, "%s", name);
    config->job->profile = "";
    struct tg_yaml_fault fault;
    if (!tg_yaml_parse(config->arena, source, &config->file_root, &fault)) {
        report_fault(config, source, &fault);
        return;
    }
    tg_secrets_collect(&config->secrets, config->file_root);
    if (config->file_root->kind != TG_YAML_MAP) {
        (void)tg_finding_add(&config->drafts, TG1004, config->file_root, "the job file is %s, it should be a mapping",
                             tg_yaml_kind_name(config->file_root->kind));
        return;
    }
    tg_config_layers(config);
    tg_secrets_collect(&config->secrets, config->root); /* and what --set and the environment added */
    /* A profile that does not exist leaves half a job; anything else is worth all of its findings. */
    for (uint32_t i = 0; i < config->drafts.count; i++) {
        if (config->drafts.list[i].code == TG1009) { return; }
    }
    read_job(config);
}

tg_status tg_job_load_text(struct tg_job **job, const char *name, const char *text,
                           const struct tg_job_options *options, struct tg_findings *findings)
{
    *job = NULL;
    findings->count = 0;
    struct tg_config *config = calloc(1, sizeof *config);
    struct tg_job *loaded = calloc(1, sizeof *loaded);
    struct tg_error err = {0};
    tg_status status = TG_OK;
    if (config == NULL || loaded == NULL) {
        status = tg_fail(&err, TG1601, ENOMEM, "load %s", name);
    } else {
        status = tg_arena_open(&loaded->arena, ARENA_BYTES, &err);
    }
    if (status != TG_OK) {
        findings->count = 1;
        findings->list[0].code = err.code;
        (void)tg_error_headline(findings->list[0].text, sizeof findings->list[0].text, err.code, err.text);
        free(config);
        free(loaded);
        return status;
    }
    config->job = loaded;
    config->arena = &loaded->arena;
    config->options = options;
    load(config, name, text);
    status = tg_findings_render(&config->drafts, &config->secrets, findings);
    free(config);
    if (status != TG_OK) {
        tg_job_destroy(loaded);
        return status;
    }
    tg_arena_seal(&loaded->arena);
    *job = loaded;
    return TG_OK;
}

/* The whole file, terminated; NULL with errno set. One byte beyond the limit is read, so that the parser refuses it. */
static char *read_file(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) { return NULL; }
    char *text = malloc(TG_YAML_BYTES_MAX + 2);
    size_t used = 0;
    int failed = text == NULL ? ENOMEM : 0;
    while (failed == 0 && used < TG_YAML_BYTES_MAX + 1) {
        const ssize_t got = read(fd, text + used, TG_YAML_BYTES_MAX + 1 - used);
        if (got == 0) { break; }
        if (got > 0) { used += (size_t)got; }
        if (got < 0 && errno != EINTR) { failed = errno; }
    }
    (void)close(fd);
    if (failed == 0 && memchr(text, '\0', used) != NULL) { failed = EILSEQ; }
    if (failed != 0) {
        free(text);
        errno = failed;
        return NULL;
    }
    text[used] = '\0';
    return text;
}

tg_status tg_job_load(struct tg_job **job, const struct tg_job_options *options, struct tg_findings *findings)
{
    *job = NULL;
    findings->count = 0;
    char *text = read_file(options->path);
    if (text == NULL) {
        struct tg_error err = {0};
        const tg_status status =
            errno == EILSEQ ? tg_fail(&err, TG1001, 0, "job file %s holds zero bytes: it is no text", options->path)
                            : tg_fail(&err, TG1008, errno, "job file %s not readable", options->path);
        findings->count = 1;
        findings->list[0].code = err.code;
        (void)tg_error_headline(findings->list[0].text, sizeof findings->list[0].text, err.code, err.text);
        return status;
    }
    const tg_status status = tg_job_load_text(job, options->path, text, options, findings);
    free(text);
    return status;
}

void tg_job_destroy(struct tg_job *job)
{
    if (job == NULL) { return; }
    for (uint32_t i = 0; i < job->source_count; i++) {
        if (job->sources[i].zone != NULL) { tg_zone_close(job->sources[i].zone); }
    }
    struct tg_arena arena = job->arena;
    tg_arena_close(&arena);
    free(job);
}
