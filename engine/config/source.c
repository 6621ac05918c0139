/* Sources: connector, fields, event time, partitions and deduplication. */
#include <string.h>

#include "engine/config/config.h"
#include "engine/config/values.h"

static void check_not_negative(struct tg_config *config, const struct tg_config_at *at, int64_t value)
{
    if (value < 0) { (void)tg_finding_add(&config->drafts, TG1004, at->value, "%s must not be negative", at->path); }
}

static void read_watermark(struct tg_config *config, const struct tg_config_at *at, struct tg_source_spec *source)
{
    struct tg_config_values values;
    if (tg_yaml_is_null(at->value) || !tg_config_read(config, at, TG_BLOCK_WATERMARK, &values)) { return; }
    source->watermark_delay = tg_config_value(&values, TG_BLOCK_WATERMARK, "delay")->number;
    source->idle_after = tg_config_value(&values, TG_BLOCK_WATERMARK, "idle_after")->number;
    source->idle_clock = (enum tg_idle_clock)tg_config_value(&values, TG_BLOCK_WATERMARK, "idle_clock")->number;
    source->max_skew = tg_config_value(&values, TG_BLOCK_WATERMARK, "max_skew")->number; /* "off" is TG_VALUE_WORD */
    check_not_negative(config, tg_config_at(&values, TG_BLOCK_WATERMARK, "delay"), source->watermark_delay);
    check_not_negative(config, tg_config_at(&values, TG_BLOCK_WATERMARK, "idle_after"), source->idle_after);
    check_not_negative(config, tg_config_at(&values, TG_BLOCK_WATERMARK, "max_skew"), source->max_skew);
}
static_assert(TG_VALUE_WORD == TG_TS_MAX, "max_skew: off is the largest duration");

static void read_event_time(struct tg_config *config, const struct tg_config_at *at, struct tg_source_spec *source,
                            const struct tg_yaml_node *const declared[TG_COLUMNS_MAX])
{
    if (tg_yaml_is_null(at->value)) { return; }
    const int column = tg_config_column(config, at, &source->schema);
    if (column < 0) { return; }
    source->event_time = (uint32_t)column;
    source->fields[column].required = true; /* a row without a time has no place in the stream */
    const enum tg_type type = source->schema.columns[column].type;
    if (type == TG_TYPE_TIMESTAMP) { return; }
    struct tg_draft *draft =
        tg_finding_add(&config->drafts, TG1103, at->value, "event_time \"%s\" is %s, it must be a timestamp",
                       source->schema.columns[column].name, tg_type_name(type));
    tg_draft_hint(draft, "declared %s", tg_config_origin(config, declared[column]));
}

static void read_dedupe(struct tg_config *config, const struct tg_config_at *at, struct tg_source_spec *source)
{
    struct tg_config_values values;
    if (tg_yaml_is_null(at->value) || !tg_config_read(config, at, TG_BLOCK_DEDUPE, &values)) { return; }
    const struct tg_config_at *by = tg_config_at(&values, TG_BLOCK_DEDUPE, "by");
    const int column = tg_yaml_is_null(by->value) ? -1 : tg_config_column(config, by, &source->schema);
    source->has_dedupe = true;
    source->dedupe_by = column >= 0 ? (uint32_t)column : 0;
    const struct tg_config_at *per = tg_config_at(&values, TG_BLOCK_DEDUPE, "per");
    source->dedupe_per_count = tg_config_columns(config, per, &source->schema, source->dedupe_per);
    source->dedupe_ttl = tg_config_value(&values, TG_BLOCK_DEDUPE, "ttl")->number;
    check_not_negative(config, tg_config_at(&values, TG_BLOCK_DEDUPE, "ttl"), source->dedupe_ttl);
}

/* Without the promise a copy may come to another partition, whose set does not know it. */
static void check_promise(struct tg_config *config, const struct tg_config_at *dedupe,
                          const struct tg_config_at *partitioned_by)
{
    const struct tg_yaml_node *promise = partitioned_by->value;
    const bool given = !tg_yaml_is_null(promise) && !(promise->kind == TG_YAML_LIST && promise->count == 0);
    if (tg_yaml_is_null(dedupe->value) || given) { return; }
    struct tg_draft *draft = tg_finding_add(&config->drafts, TG1101, dedupe->key, "dedupe needs partitioned_by");
    tg_draft_hint(draft, "ids are remembered per partition: say which columns decide a record's partition, so that a "
                         "copy comes to the same one");
}

/* Dead letters and late entries name the topic; a profile that replays files of a topic keeps that topic's name. */
static const char *find_topic(struct tg_config *config, const struct tg_source_spec *source)
{
    for (uint32_t i = 0; i < source->options.count; i++) {
        if (strcmp(source->options.table[i].name, "topic") == 0 && source->options.values[i].text != NULL) {
            return source->options.values[i].text;
        }
    }
    const struct tg_yaml_node *of_file = tg_yaml_get(tg_yaml_get(config->file_root, "sources"), source->name);
    const struct tg_yaml_node *topic = tg_yaml_get(tg_yaml_get(of_file, "kafka"), "topic");
    const bool literal = topic != NULL && topic->kind == TG_YAML_SCALAR && strchr(topic->text, '$') == NULL;
    return literal && topic->text[0] != '\0' ? topic->text : source->name;
}

static void read_zone(struct tg_config *config, const struct tg_config_at *at, const struct tg_option_value *value,
                      struct tg_source_spec *source)
{
    source->zone_name = value->text != NULL ? value->text : "UTC";
    if (tg_yaml_is_null(at->value) || strchr(source->zone_name, '$') != NULL) { return; } /* UTC needs no zone */
    struct tg_error err = {0};
    if (tg_zone_open(&source->zone, source->zone_name, &err) != TG_OK) {
        source->zone = NULL;
        (void)tg_finding_add(&config->drafts, TG1004, at->value, "%s", err.text);
    }
}

static void read_source(struct tg_config *config, const struct tg_config_at *at, struct tg_source_spec *source,
                        const struct tg_yaml_node *declared[TG_COLUMNS_MAX])
{
    struct tg_config_values values;
    source->name = at->key->text;
    source->schema.name = source->name;
    source->place = tg_config_place(at->key);
    (void)tg_config_name(config, at->key);
    if (!tg_config_read(config, at, TG_BLOCK_SOURCE, &values)) { return; }
    source->ops = tg_config_source_connector(config, at, &source->options);
    source->topic = find_topic(config, source);
    tg_config_fields(config, tg_config_at(&values, TG_BLOCK_SOURCE, "fields"), source, declared);
    read_event_time(config, tg_config_at(&values, TG_BLOCK_SOURCE, "event_time"), source, declared);
    read_watermark(config, tg_config_at(&values, TG_BLOCK_SOURCE, "watermark"), source);
    read_zone(config, tg_config_at(&values, TG_BLOCK_SOURCE, "zone"), tg_config_value(&values, TG_BLOCK_SOURCE, "zone"),
              source);
    const struct tg_config_at *partitioned = tg_config_at(&values, TG_BLOCK_SOURCE, "partitioned_by");
    source->partitioned_by_count = tg_config_columns(config, partitioned, &source->schema, source->partitioned_by);
    const struct tg_config_at *dedupe = tg_config_at(&values, TG_BLOCK_SOURCE, "dedupe");
    read_dedupe(config, dedupe, source);
    check_promise(config, dedupe, partitioned);
    source->on_error = (enum tg_on_error)tg_config_value(&values, TG_BLOCK_SOURCE, "on_error")->number;
}

void tg_config_sources(struct tg_config *config, const struct tg_config_at *sources)
{
    struct tg_job *job = config->job;
    if (tg_yaml_is_null(sources->value)) { return; }
    if (sources->value->kind != TG_YAML_MAP || sources->value->count == 0) {
        (void)tg_finding_add(&config->drafts, TG1004, sources->key, "sources must be a mapping of names to sources");
        return;
    }
    if (sources->value->count > TG_SOURCES_MAX) {
        (void)tg_finding_add(&config->drafts, TG1004, sources->key, "more than %d sources", TG_SOURCES_MAX);
        return;
    }
    job->sources = tg_config_alloc(config, sources->value->count * sizeof *job->sources);
    for (uint32_t i = 0; i < sources->value->count; i++) {
        const struct tg_config_at at = tg_config_child(config, sources, &sources->value->entries[i]);
        read_source(config, &at, &job->sources[i], config->declared[i]);
        job->source_count++; /* destroy closes the zones of what is counted */
    }
}
