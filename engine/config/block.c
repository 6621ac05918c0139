/* Reading blocks by their tables. Nothing here knows what a key means. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "engine/config/config.h"
#include "engine/config/interpolate.h"
#include "engine/config/suggest.h"
#include "engine/config/values.h"

void *tg_config_alloc(struct tg_config *config, size_t bytes)
{
    void *memory = tg_arena_alloc(config->arena, bytes, 16);
    TG_ASSERT(memory != NULL); /* sized for the limits of yaml.h and of expansions, see load.c */
    return memory;
}

const char *tg_config_format(struct tg_config *config, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    char *copy = tg_arena_strdup(config->arena, text);
    TG_ASSERT(copy != NULL);
    return copy;
}

struct tg_place tg_config_place(const struct tg_yaml_node *node)
{
    if (node == NULL) { return (struct tg_place){.origin = "default"}; }
    if (!node->source->is_file) { return (struct tg_place){.origin = node->source->name}; }
    return (struct tg_place){.origin = node->source->name, .line = node->line, .column = node->column};
}

const char *tg_config_origin(struct tg_config *config, const struct tg_yaml_node *node)
{
    const struct tg_place place = tg_config_place(node);
    if (place.line == 0) {
        if (node == NULL || strcmp(place.origin, "env") != 0) { return place.origin; }
        const int name_bytes = (int)strcspn(node->source->text, "=");
        return tg_config_format(config, "env %.*s", name_bytes, node->source->text);
    }
    return tg_config_format(config, "%.900s:%u:%u", place.origin, place.line, place.column);
}

struct tg_config_at tg_config_child(struct tg_config *config, const struct tg_config_at *parent,
                                    const struct tg_yaml_entry *entry)
{
    const char *dot = parent->path[0] != '\0' ? "." : "";
    return (struct tg_config_at){
        .path = tg_config_format(config, "%s%s%s", parent->path, dot, entry->key->text),
        .key = entry->key,
        .value = entry->value,
    };
}

void tg_config_effective(struct tg_config *config, const char *path, const char *text, const char *origin)
{
    struct tg_job *job = config->job;
    if (job->effective_count == config->effective_capacity) {
        const uint32_t capacity = config->effective_capacity * 2 + 64;
        struct tg_effective *list = tg_config_alloc(config, capacity * sizeof *list);
        if (job->effective_count > 0) { memcpy(list, job->effective, job->effective_count * sizeof *list); }
        job->effective = list;
        config->effective_capacity = capacity;
    }
    job->effective[job->effective_count++] = (struct tg_effective){.path = path, .text = text, .origin = origin};
}

bool tg_config_name(struct tg_config *config, const struct tg_yaml_node *key)
{
    const char *name = key->text;
    bool ok = isalpha((unsigned char)name[0]) || name[0] == '_';
    size_t bytes = 0;
    for (; name[bytes] != '\0'; bytes++) {
        ok = ok && (isalnum((unsigned char)name[bytes]) || name[bytes] == '_' || name[bytes] == '-');
    }
    if (ok && bytes < 64) { return true; }
    struct tg_draft *draft = tg_finding_add(&config->drafts, TG1004, key, "\"%s\" is no name", name);
    tg_draft_hint(draft, "names are letters, digits, _ and -, at most 63, and do not start with a digit");
    return false;
}

const char *tg_config_scalar(struct tg_config *config, const struct tg_config_at *at, bool secret, bool *unresolved)
{
    *unresolved = false;
    if (at->value->kind != TG_YAML_SCALAR) {
        (void)tg_finding_add(&config->drafts, TG1004, at->key, "%s is %s, it should be a single value", at->path,
                             tg_yaml_kind_name(at->value->kind));
        return NULL;
    }
    if (config->arena->used_bytes > config->arena->reserved_bytes / 2) {
        (void)tg_finding_add(&config->drafts, TG1004, at->value, "the job file's values are too large together");
        return NULL;
    }
    struct tg_expansion expansion;
    if (!tg_interpolate(config->arena, at->value->text, config->options->environment, secret, &expansion)) {
        struct tg_draft *draft = tg_finding_add(&config->drafts, expansion.code, at->value, "%s", expansion.what);
        if (expansion.hint[0] != '\0') { tg_draft_hint(draft, "%s", expansion.hint); }
        return NULL;
    }
    *unresolved = expansion.unresolved;
    return expansion.text;
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

static void report_value(struct tg_config *config, const struct tg_config_at *at, const struct tg_option *option,
                         const char *text)
{
    if (option->kind == TG_OPTION_CHOICE) {
        char list[256];
        const char *names[16];
        uint32_t count = 0;
        (void)snprintf(list, sizeof list, "%s", option->choices);
        char *rest = list;
        for (char *name = strsep(&rest, "|"); name != NULL && count < 16; name = strsep(&rest, "|")) {
            names[count++] = name;
        }
        struct tg_draft *draft =
            tg_finding_add(&config->drafts, TG1004, at->value, "wrong value \"%s\" for %s", text, option->name);
        tg_draft_suggest(draft, text, count, names, "allowed here");
        return;
    }
    struct tg_draft *draft =
        tg_finding_add(&config->drafts, TG1004, at->value, "wrong value \"%s\" for %s", text, option->name);
    tg_draft_hint(draft, "it takes %s%s%s", tg_value_looks_like(option->kind), option->choices != NULL ? ", or " : "",
                  option->choices != NULL ? option->choices : "");
}

static void read_entries(struct tg_config *config, const struct tg_config_at *at, struct tg_option_value *out)
{
    const uint32_t count = at->value->count;
    const char **names = tg_config_alloc(config, (count + 1) * sizeof *names);
    const char **texts = tg_config_alloc(config, (count + 1) * sizeof *texts);
    for (uint32_t i = 0; i < count; i++) {
        const struct tg_yaml_entry *entry = &at->value->entries[i];
        const char *name = entry->key != NULL ? entry->key->text : NULL;
        const bool secret = name != NULL && tg_secret_name(name);
        const struct tg_config_at item = {
            .path = name != NULL ? tg_config_format(config, "%s.%s", at->path, name)
                                 : tg_config_format(config, "%s[%u]", at->path, i),
            .key = name != NULL ? entry->key : entry->value,
            .value = entry->value,
        };
        bool unresolved = false;
        const char *text = tg_config_scalar(config, &item, secret, &unresolved);
        names[i] = name;
        texts[i] = text != NULL ? text : "";
        tg_config_effective(config, item.path, secret ? "***" : texts[i], tg_config_origin(config, entry->value));
    }
    out->is_set = true;
    out->count = count;
    out->names = at->value->kind == TG_YAML_MAP ? names : NULL;
    out->texts = texts;
    out->text = "";
}

/* "a, b" is a list of two: an environment variable cannot hold a YAML list. Empty items are nothing. */
static void split_list(struct tg_config *config, const char *text, struct tg_option_value *out)
{
    uint32_t commas = 0;
    for (const char *at = text; *at != '\0'; at++) { commas += *at == ','; }
    const char **texts = tg_config_alloc(config, (commas + 1) * sizeof *texts);
    out->count = 0;
    for (const char *at = text;; at++) {
        at += strspn(at, " ");
        const size_t length = strcspn(at, ",");
        size_t bytes = length;
        while (bytes > 0 && at[bytes - 1] == ' ') { bytes--; }
        if (bytes > 0) {
            char *item = tg_config_alloc(config, bytes + 1);
            memcpy(item, at, bytes);
            texts[out->count++] = item;
        }
        at += length;
        if (*at == '\0') { break; }
    }
    out->texts = texts;
}

static void read_text(struct tg_config *config, const struct tg_config_at *at, const struct tg_option *option,
                      struct tg_option_value *out)
{
    const bool secret = option->kind == TG_OPTION_SECRET;
    bool unresolved = false;
    const char *text = tg_config_scalar(config, at, secret, &unresolved);
    if (text == NULL) { return; }
    out->is_set = true;
    out->text = text;
    tg_config_effective(config, at->path, secret ? "***" : text, out->origin);
    if (unresolved) { return; }
    if (!tg_value_parse(option->kind, option->choices, text, &out->number)) {
        report_value(config, at, option, text);
        out->is_set = false; /* nobody judges a value that is none */
        out->number = 0;
    }
    if (option->kind == TG_OPTION_LIST) { split_list(config, text, out); }
}

static void read_fallback(struct tg_config *config, const struct tg_config_at *at, const struct tg_option *option,
                          struct tg_option_value *out)
{
    out->origin = "default";
    if (option->fallback == NULL) { return; }
    out->is_set = true;
    out->text = option->fallback;
    TG_ASSERT(tg_value_parse(option->kind, option->choices, option->fallback, &out->number));
    if (option->kind == TG_OPTION_LIST) { split_list(config, option->fallback, out); }
    tg_config_effective(config, at->path, option->kind == TG_OPTION_SECRET ? "***" : option->fallback, "default");
}

/* One mistake, one finding: the key is there, misspelt. */
static bool is_misspelt(const struct tg_config *config, const struct tg_yaml_node *block, const char *name)
{
    for (uint32_t i = 0; i < config->meant_count; i++) {
        if (config->meant[i].block == block && strcmp(config->meant[i].name, name) == 0) { return true; }
    }
    return false;
}

static void report_missing(struct tg_config *config, const struct tg_yaml_node *block, const struct tg_option *option)
{
    if (is_misspelt(config, block, option->name)) { return; }
    const char *where =
        block == NULL ? tg_config_format(config, " at the top of %s", config->file_root->source->name) : "";
    struct tg_draft *draft =
        tg_finding_add(&config->drafts, TG1003, block, "missing key \"%s\"%s", option->name, where);
    if (option->doc != NULL) { tg_draft_hint(draft, "%s", option->doc); }
}

void tg_config_option(struct tg_config *config, const struct tg_config_at *at, const struct tg_option *option,
                      struct tg_option_value *out)
{
    *out = (struct tg_option_value){0};
    if (tg_yaml_is_null(at->value)) {
        if (option->required) { report_missing(config, at->key, option); }
        read_fallback(config, at, option, out);
        return;
    }
    out->origin = tg_config_origin(config, at->value);
    const bool many = (option->kind == TG_OPTION_MAP && at->value->kind == TG_YAML_MAP) ||
                      (option->kind == TG_OPTION_LIST && at->value->kind == TG_YAML_LIST);
    if (many) {
        read_entries(config, at, out);
    } else if (at->value->kind != TG_YAML_SCALAR || option->kind == TG_OPTION_MAP) {
        (void)tg_finding_add(&config->drafts, TG1004, at->key, "%s is %s, it should be %s", option->name,
                             tg_yaml_kind_name(at->value->kind), tg_value_looks_like(option->kind));
    } else {
        read_text(config, at, option, out);
    }
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

/* A misspelt secret is still a secret: its value must not be quoted with the finding. */
static void report_unknown_key(struct tg_config *config, const struct tg_yaml_node *block,
                               const struct tg_yaml_entry *entry, uint32_t count, const char *const *names)
{
    struct tg_draft *draft =
        tg_finding_add(&config->drafts, TG1002, entry->key, "unknown key \"%s\"", entry->key->text);
    tg_draft_suggest(draft, entry->key->text, count, names, "allowed here");
    const char *meant = tg_suggest(entry->key->text, count, names);
    if (meant != NULL && config->meant_count < TG_CONFIG_MEANT_MAX) {
        config->meant[config->meant_count++] = (struct tg_config_meant){block, meant};
    }
    if (meant != NULL && tg_secret_name(meant)) {
        tg_secrets_collect(&config->secrets,
                           tg_yaml_map_of(config->arena, &(struct tg_yaml_node){.text = "password"}, entry->value));
    }
}

static uint32_t connector_names(enum tg_config_connectors kind, const char **names)
{
    uint32_t count = 0;
    for (uint32_t i = 0; kind == TG_SOURCE_CONNECTOR && tg_source_registry[i] != NULL; i++) {
        names[count++] = tg_source_registry[i]->name;
    }
    for (uint32_t i = 0; kind == TG_SINK_CONNECTOR && tg_sink_registry[i] != NULL; i++) {
        names[count++] = tg_sink_registry[i]->name;
    }
    return count;
}

static void check_known(struct tg_config *config, const struct tg_config_at *at, const struct tg_config_block *block)
{
    const struct tg_yaml_node *map = at->value;
    const char *names[64];
    uint32_t count = connector_names(block->connectors, names);
    for (uint32_t i = 0; i < block->key_count; i++) { names[count++] = block->keys[i].option.name; }
    for (uint32_t i = 0; i < map->count; i++) {
        bool known = false;
        for (uint32_t k = 0; k < count && !known; k++) { known = strcmp(names[k], map->entries[i].key->text) == 0; }
        if (!known) { report_unknown_key(config, at->key, &map->entries[i], count, names); }
    }
}

static bool check_map(struct tg_config *config, const struct tg_config_at *at)
{
    if (tg_yaml_is_null(at->value) || at->value->kind == TG_YAML_MAP) { return true; }
    (void)tg_finding_add(&config->drafts, TG1004, at->key != NULL ? at->key : at->value,
                         "%s is %s, it should be a mapping", at->path[0] != '\0' ? at->path : "the job file",
                         tg_yaml_kind_name(at->value->kind));
    return false;
}

/* The value of key `name`; for what is missing the finding stands at the block. */
static struct tg_config_at key_at(struct tg_config *config, const struct tg_config_at *block, const char *name)
{
    const struct tg_yaml_entry *entry = tg_yaml_find(block->value, name);
    if (entry != NULL) { return tg_config_child(config, block, entry); }
    const char *dot = block->path[0] != '\0' ? "." : "";
    return (struct tg_config_at){.path = tg_config_format(config, "%s%s%s", block->path, dot, name), .key = block->key};
}

bool tg_config_read(struct tg_config *config, const struct tg_config_at *at, enum tg_config_block_id id,
                    struct tg_config_values *out)
{
    const struct tg_config_block *block = &tg_config_blocks[id];
    TG_ASSERT(block->key_count <= TG_CONFIG_KEYS_MAX);
    *out = (struct tg_config_values){0};
    const bool ok = check_map(config, at);
    struct tg_config_at map = *at;
    if (!ok) { map.value = NULL; }
    if (map.value != NULL && map.value->kind == TG_YAML_MAP) { check_known(config, &map, block); }
    for (uint32_t i = 0; i < block->key_count; i++) {
        const struct tg_config_key *key = &block->keys[i];
        out->at[i] = key_at(config, &map, key->option.name);
        if (!ok) { continue; } /* one finding is enough for a block that is none */
        if (key->reader == TG_READ_KIND) {
            tg_config_option(config, &out->at[i], &key->option, &out->values[i]);
        } else if (key->option.required && tg_yaml_is_null(out->at[i].value)) {
            report_missing(config, out->at[i].key, &key->option);
        }
    }
    return ok;
}

uint32_t tg_config_key_index(enum tg_config_block_id id, const char *name)
{
    uint32_t index = 0;
    while (index < tg_config_blocks[id].key_count && strcmp(tg_config_blocks[id].keys[index].option.name, name) != 0) {
        index++;
    }
    TG_ASSERT(index < tg_config_blocks[id].key_count);
    return index;
}

const struct tg_option_value *tg_config_value(const struct tg_config_values *values, enum tg_config_block_id id,
                                              const char *name)
{
    return &values->values[tg_config_key_index(id, name)];
}

const struct tg_config_at *tg_config_at(const struct tg_config_values *values, enum tg_config_block_id id,
                                        const char *name)
{
    return &values->at[tg_config_key_index(id, name)];
}

/* ---- connectors -------------------------------------------------------------------------------------------------- */

static void read_connector(struct tg_config *config, const struct tg_config_at *at, const struct tg_option *table,
                           uint32_t count, struct tg_options *options)
{
    struct tg_option_value *values = tg_config_alloc(config, (count + 1) * sizeof *values);
    *options = (struct tg_options){.table = table, .values = values, .count = count};
    if (!check_map(config, at)) { return; }
    const char *names[64];
    TG_ASSERT(count <= 64);
    for (uint32_t i = 0; i < count; i++) { names[i] = table[i].name; }
    for (uint32_t i = 0; at->value->kind == TG_YAML_MAP && i < at->value->count; i++) {
        bool known = false;
        for (uint32_t k = 0; k < count && !known; k++) {
            known = strcmp(names[k], at->value->entries[i].key->text) == 0;
        }
        if (!known) { report_unknown_key(config, at->key, &at->value->entries[i], count, names); }
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct tg_config_at option_at = key_at(config, at, table[i].name);
        tg_config_option(config, &option_at, &table[i], &values[i]);
    }
}

/* The one entry of `block` that names a connector. */
static const struct tg_yaml_entry *find_connector(struct tg_config *config, const struct tg_config_at *block,
                                                  enum tg_config_connectors kind)
{
    const char *names[32];
    const uint32_t count = connector_names(kind, names);
    const struct tg_yaml_entry *found = NULL;
    if (block->value != NULL && block->value->kind != TG_YAML_MAP && !tg_yaml_is_null(block->value)) { return NULL; }
    for (uint32_t i = 0; i < count; i++) {
        const struct tg_yaml_entry *entry = tg_yaml_find(block->value, names[i]);
        if (entry != NULL && found != NULL) {
            struct tg_draft *draft = tg_finding_add(&config->drafts, TG1004, entry->key, "two connectors: %s and %s",
                                                    found->key->text, entry->key->text);
            tg_draft_hint(draft, "%s takes one; a profile may replace it", block->path);
        } else if (entry != NULL) {
            found = entry;
        }
    }
    for (uint32_t i = 0; i < count && found == NULL; i++) {
        if (is_misspelt(config, block->key, names[i])) { return NULL; }
    }
    if (found == NULL) {
        struct tg_draft *draft =
            tg_finding_add(&config->drafts, TG1003, block->key, "missing connector in %s", block->path);
        tg_draft_suggest(draft, "", count, names, "one of");
    }
    return found;
}

const struct tg_source_ops *tg_config_source_connector(struct tg_config *config, const struct tg_config_at *block,
                                                       struct tg_options *options)
{
    const struct tg_yaml_entry *entry = find_connector(config, block, TG_SOURCE_CONNECTOR);
    if (entry == NULL) { return NULL; }
    const struct tg_source_ops *ops = tg_source_find(entry->key->text);
    const struct tg_config_at at = tg_config_child(config, block, entry);
    read_connector(config, &at, ops->options, ops->option_count, options);
    return ops;
}

const struct tg_sink_ops *tg_config_sink_connector(struct tg_config *config, const struct tg_config_at *block,
                                                   struct tg_options *options)
{
    const struct tg_yaml_entry *entry = find_connector(config, block, TG_SINK_CONNECTOR);
    if (entry == NULL) { return NULL; }
    const struct tg_sink_ops *ops = tg_sink_find(entry->key->text);
    const struct tg_config_at at = tg_config_child(config, block, entry);
    read_connector(config, &at, ops->options, ops->option_count, options);
    return ops;
}

/* ---- column names ------------------------------------------------------------------------------------------------ */

int tg_config_column(struct tg_config *config, const struct tg_config_at *at, const struct tg_schema *schema)
{
    bool unresolved = false;
    const char *name = tg_config_scalar(config, at, false, &unresolved);
    if (name == NULL || unresolved) { return -1; }
    tg_config_effective(config, at->path, name, tg_config_origin(config, at->value));
    const int index = tg_schema_find(schema, name);
    if (index >= 0) { return index; }
    const char *names[TG_COLUMNS_MAX];
    for (uint32_t i = 0; i < schema->column_count; i++) { names[i] = schema->columns[i].name; }
    struct tg_draft *draft = tg_finding_add(&config->drafts, TG1102, at->value, "column \"%s\" does not exist", name);
    tg_draft_suggest(draft, name, schema->column_count, names, tg_config_format(config, "columns of %s", schema->name));
    return -1;
}

uint32_t tg_config_columns(struct tg_config *config, const struct tg_config_at *at, const struct tg_schema *schema,
                           uint32_t columns[TG_COLUMNS_MAX])
{
    if (tg_yaml_is_null(at->value)) { return 0; }
    const bool many = at->value->kind == TG_YAML_LIST;
    const uint32_t given = many ? at->value->count : 1;
    uint32_t count = 0;
    for (uint32_t i = 0; i < given; i++) {
        struct tg_config_at item = *at;
        if (many) {
            item.path = tg_config_format(config, "%s[%u]", at->path, i);
            item.value = at->value->entries[i].value;
            item.key = item.value;
        }
        const int column = tg_config_column(config, &item, schema);
        if (column < 0) { continue; }
        bool seen = false;
        for (uint32_t k = 0; k < count && !seen; k++) { seen = columns[k] == (uint32_t)column; }
        if (seen) {
            (void)tg_finding_add(&config->drafts, TG1007, item.value, "column \"%s\" twice",
                                 schema->columns[column].name);
        } else if (count < TG_COLUMNS_MAX) {
            columns[count++] = (uint32_t)column;
        }
    }
    return count;
}
