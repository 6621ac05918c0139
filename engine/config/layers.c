/* Layers: file < profile < TURGO_SET_a__b < --set a.b. Each one is a tree laid over the tree below it, so all follow
 * the same rules; a --set is a tree of one leaf. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "engine/config/config.h"
#include "engine/config/suggest.h"

enum { PATH_PARTS_MAX = 12, ENVIRONMENT_SETS_MAX = 256 };

/* Where in the job file a mapping stands, as far as merging cares. */
enum scope { AT_ROOT, AT_SOURCES, AT_SOURCE, AT_FIELDS, AT_FIELD, AT_SINKS, AT_SINK, AT_ELSEWHERE };

static enum scope scope_below(enum scope scope, const char *key)
{
    switch (scope) {
    case AT_ROOT:
        if (strcmp(key, "sources") == 0) { return AT_SOURCES; }
        if (strcmp(key, "sinks") == 0) { return AT_SINKS; }
        return strcmp(key, "dead_letters") == 0 || strcmp(key, "late") == 0 ? AT_SINK : AT_ELSEWHERE;
    case AT_SOURCES: return AT_SOURCE;
    case AT_SOURCE: return strcmp(key, "fields") == 0 ? AT_FIELDS : AT_ELSEWHERE;
    case AT_FIELDS: return AT_FIELD;
    case AT_SINKS: return AT_SINK;
    case AT_FIELD:
    case AT_SINK:
    case AT_ELSEWHERE: break;
    }
    return AT_ELSEWHERE;
}

static bool is_connector(enum scope scope, const char *name)
{
    return (scope == AT_SOURCE && tg_source_find(name) != NULL) || (scope == AT_SINK && tg_sink_find(name) != NULL);
}

static const char *connector_of(enum scope scope, const struct tg_yaml_node *map)
{
    for (uint32_t i = 0; map != NULL && map->kind == TG_YAML_MAP && i < map->count; i++) {
        if (is_connector(scope, map->entries[i].key->text)) { return map->entries[i].key->text; }
    }
    return NULL;
}

/* `name: text` is short for `name: {type: text}`; an overlay that adds to it needs the long form. */
static const struct tg_yaml_node *field_as_map(struct tg_config *config, const struct tg_yaml_node *type)
{
    struct tg_yaml_node *key = tg_config_alloc(config, sizeof *key);
    *key = *type;
    key->text = "type";
    return tg_yaml_map_of(config->arena, key, type);
}

struct merge_work {
    const struct tg_yaml_node **slot;
    const struct tg_yaml_node *base;
    const struct tg_yaml_node *over;
    enum scope scope;
    struct merge_work *next;
};

static struct tg_yaml_entry *entry_find(struct tg_yaml_node *map, const char *name)
{
    for (uint32_t i = 0; i < map->count; i++) {
        if (strcmp(map->entries[i].key->text, name) == 0) { return &map->entries[i]; }
    }
    return NULL;
}

static void entry_remove(struct tg_yaml_node *map, struct tg_yaml_entry *entry)
{
    const size_t behind = (size_t)(map->entries + map->count - (entry + 1));
    memmove(entry, entry + 1, behind * sizeof *entry);
    map->count--;
}

/* A mapping holding base's entries, with room for over's; connectors that over replaces are left out. */
static struct tg_yaml_node *merge_start(struct tg_config *config, const struct merge_work *work)
{
    struct tg_yaml_node *map = tg_config_alloc(config, sizeof *map);
    *map = *work->base;
    map->count = 0;
    map->entries = tg_config_alloc(config, (work->base->count + work->over->count + 1) * sizeof *map->entries);
    const char *replaced_by = connector_of(work->scope, work->over);
    for (uint32_t i = 0; i < work->base->count; i++) {
        const char *name = work->base->entries[i].key->text;
        if (replaced_by != NULL && is_connector(work->scope, name) && strcmp(name, replaced_by) != 0) { continue; }
        map->entries[map->count++] = work->base->entries[i];
    }
    return map;
}

static struct merge_work *merge_map(struct tg_config *config, const struct merge_work *work, struct merge_work *queue)
{
    struct tg_yaml_node *map = merge_start(config, work);
    for (uint32_t i = 0; i < work->over->count; i++) {
        const struct tg_yaml_entry *over = &work->over->entries[i];
        if (tg_yaml_is_null(over->value) && !is_connector(work->scope, over->key->text)) {
            struct tg_yaml_entry *gone = entry_find(map, over->key->text);
            if (gone != NULL) { entry_remove(map, gone); }
        } else if (entry_find(map, over->key->text) == NULL) {
            map->entries[map->count++] = *over;
        }
    }
    for (uint32_t i = 0; i < work->over->count; i++) { /* the array is final now: slots may point into it */
        const struct tg_yaml_entry *over = &work->over->entries[i];
        const enum scope below = scope_below(work->scope, over->key->text);
        struct tg_yaml_entry *entry = entry_find(map, over->key->text);
        if (entry == NULL || entry->value == over->value) { continue; }
        const struct tg_yaml_node *base = entry->value;
        if (below == AT_FIELD && base->kind == TG_YAML_SCALAR && over->value->kind == TG_YAML_MAP) {
            base = field_as_map(config, base);
        }
        if (base->kind != TG_YAML_MAP || over->value->kind != TG_YAML_MAP) {
            if (tg_yaml_is_null(over->value) && base->kind == TG_YAML_MAP) { continue; } /* connector named again */
            *entry = *over;
            continue;
        }
        struct merge_work *more = tg_config_alloc(config, sizeof *more);
        *more = (struct merge_work){&entry->value, base, over->value, below, queue};
        queue = more;
    }
    *work->slot = map;
    return queue;
}

const struct tg_yaml_node *tg_config_merge(struct tg_config *config, const struct tg_yaml_node *base,
                                           const struct tg_yaml_node *over)
{
    if (base->kind != TG_YAML_MAP || over->kind != TG_YAML_MAP) { return over; }
    const struct tg_yaml_node *root = NULL;
    struct merge_work first = {&root, base, over, AT_ROOT, NULL};
    struct merge_work *queue = &first;
    while (queue != NULL) {
        struct merge_work *work = queue;
        queue = merge_map(config, work, work->next);
    }
    return root;
}

/* ---- one --set --------------------------------------------------------------------------------------------------- */

struct set {
    struct tg_yaml_source *source; /* its text is "path=value" */
    uint32_t part_count;
    const struct tg_yaml_node *parts[PATH_PARTS_MAX];
    const struct tg_yaml_node *value;
};

static void node_move(const struct tg_yaml_source *source, struct tg_yaml_node *node, uint32_t column, uint32_t width)
{
    node->source = source;
    node->line = node->end_line = 1;
    node->column = column;
    node->end_column = column + width;
}

/* Split "a.b.c" or "a__b__c" into key nodes that stand in source->text. */
static bool set_split(struct tg_config *config, struct set *set, const char *path, size_t bytes, const char *separator)
{
    const size_t separator_bytes = strlen(separator);
    size_t start = 0;
    while (start <= bytes) {
        const char *next = strstr(path + start, separator);
        size_t end = next != NULL && (size_t)(next - path) < bytes ? (size_t)(next - path) : bytes;
        if (end == start || set->part_count == PATH_PARTS_MAX) { return false; }
        struct tg_yaml_node *part = tg_config_alloc(config, sizeof *part);
        char *text = tg_config_alloc(config, end - start + 1);
        memcpy(text, path + start, end - start);
        part->text = text;
        node_move(set->source, part, (uint32_t)(path - set->source->text + (ptrdiff_t)start) + 1,
                  (uint32_t)(end - start));
        set->parts[set->part_count++] = part;
        start = end + separator_bytes;
    }
    return set->part_count > 0;
}

/* The value is YAML of its own; its nodes stand where they are in "path=value". */
static bool set_value(struct tg_config *config, struct set *set, const char *value)
{
    /* Blanks instead of the path keep every column right; a path is one line. */
    const char *text = set->source->text;
    char *padded = tg_arena_strdup(config->arena, text);
    TG_ASSERT(padded != NULL);
    memset(padded, ' ', (size_t)(value - text));
    struct tg_yaml_fault fault;
    set->source->text = padded;
    const bool parsed = tg_yaml_parse(config->arena, set->source, &set->value, &fault);
    set->source->text = text;
    if (!parsed) {
        struct tg_draft *draft = tg_finding_add(&config->drafts, TG1001, set->parts[set->part_count - 1],
                                                "value is not YAML: %s", fault.text);
        tg_draft_hint(draft, "quote it: --set 'path=\"value\"'");
        return false;
    }
    const bool nothing = value[strspn(value, " ")] == '\0';
    if (nothing) {
        struct tg_yaml_node *empty = tg_config_alloc(config, sizeof *empty);
        empty->text = "";
        node_move(set->source, empty, (uint32_t)(value - text) + 1, 1);
        set->value = empty;
    }
    return true;
}

/* What the user named must be there: sources, steps, sinks and fields are never made by a --set. */
static const struct tg_yaml_node *find_missing(const struct set *set, const struct tg_yaml_node *root,
                                               const struct tg_yaml_node **among)
{
    const struct tg_yaml_node *node = root;
    for (uint32_t i = 0; i + 1 < set->part_count && i < 4; i++) {
        const char *name = set->parts[i]->text;
        const struct tg_yaml_node *below = tg_yaml_get(node, name);
        const bool named =
            i == 1 && (strcmp(set->parts[0]->text, "sources") == 0 || strcmp(set->parts[0]->text, "steps") == 0 ||
                       strcmp(set->parts[0]->text, "sinks") == 0);
        const bool field =
            i == 3 && strcmp(set->parts[0]->text, "sources") == 0 && strcmp(set->parts[2]->text, "fields") == 0;
        if ((named || field) && below == NULL) {
            *among = node;
            return set->parts[i];
        }
        node = below;
    }
    return NULL;
}

static void report_unknown(struct tg_config *config, const struct tg_yaml_node *part, const struct tg_yaml_node *among)
{
    const char *names[32];
    uint32_t count = 0;
    for (uint32_t i = 0; among != NULL && among->kind == TG_YAML_MAP && i < among->count && count < 32; i++) {
        names[count++] = among->entries[i].key->text;
    }
    struct tg_draft *draft = tg_finding_add(&config->drafts, TG1006, part, "unknown name \"%s\"", part->text);
    tg_draft_suggest(draft, part->text, count, names, "there are");
}

/* A setting below a connector that the profile does not use would replace the one in use by half a block. */
static bool check_connector(struct tg_config *config, const struct set *set, const struct tg_yaml_node *root)
{
    const char *first = set->parts[0]->text;
    const bool side = strcmp(first, "dead_letters") == 0 || strcmp(first, "late") == 0;
    const uint32_t at = side ? 1 : 2;
    const enum scope scope = strcmp(first, "sources") == 0         ? AT_SOURCE
                             : side || strcmp(first, "sinks") == 0 ? AT_SINK
                                                                   : AT_ROOT;
    if (scope == AT_ROOT || set->part_count <= at + 1 || !is_connector(scope, set->parts[at]->text)) { return true; }
    const struct tg_yaml_node *block = tg_yaml_get(root, first);
    if (!side) { block = tg_yaml_get(block, set->parts[1]->text); }
    const char *used = connector_of(scope, block);
    if (used == NULL || strcmp(used, set->parts[at]->text) == 0) { return true; }
    struct tg_draft *draft = tg_finding_add(&config->drafts, TG1006, set->parts[at], "%s is not used here, %s is",
                                           set->parts[at]->text, used);
    if (config->job->profile[0] != '\0') { tg_draft_hint(draft, "profile %s chose it", config->job->profile); }
    tg_draft_hint(draft, "to change the connector, set the whole block: %s={...}", set->parts[at]->text);
    return false;
}

/* A path that runs through a value names nothing. */
static const struct tg_yaml_node *find_scalar(const struct set *set, const struct tg_yaml_node *root)
{
    const struct tg_yaml_node *node = root;
    for (uint32_t i = 0; i + 1 < set->part_count; i++) {
        node = tg_yaml_get(node, set->parts[i]->text);
        if (node == NULL) { return NULL; }
        const bool short_field = i == 3 && strcmp(set->parts[2]->text, "fields") == 0;
        if (node->kind != TG_YAML_MAP && !tg_yaml_is_null(node) && !short_field) { return set->parts[i + 1]; }
    }
    return NULL;
}

static bool set_allowed(struct tg_config *config, const struct set *set, const struct tg_yaml_node *root)
{
    const char *first = set->parts[0]->text;
    if (strcmp(first, "profiles") == 0 || strcmp(first, "default_profile") == 0) {
        struct tg_draft *draft = tg_finding_add(&config->drafts, TG1006, set->parts[0], "%s cannot be set", first);
        tg_draft_hint(draft, "choose one with --profile NAME, and set the keys themselves");
        return false;
    }
    const struct tg_yaml_node *among = NULL;
    const struct tg_yaml_node *part = find_missing(set, root, &among);
    if (part != NULL) {
        report_unknown(config, part, among);
        return false;
    }
    part = find_scalar(set, root);
    if (part != NULL) {
        struct tg_draft *draft = tg_finding_add(&config->drafts, TG1006, part, "unknown name \"%s\"", part->text);
        tg_draft_hint(draft, "what stands in front of it is a value, not a block");
        return false;
    }
    return check_connector(config, set, root);
}

/* "path=value" over root. A secret on the command line is everybody's to read in the process list. */
static void set_apply(struct tg_config *config, struct tg_yaml_source *source, char *path, const char *separator)
{
    struct set set = {.source = source};
    char *equals = strchr(path, '=');
    const size_t bytes = equals != NULL ? (size_t)(equals - path) : 0;
    if (equals == NULL || !set_split(config, &set, path, bytes, separator)) {
        struct tg_yaml_node *whole = tg_config_alloc(config, sizeof *whole);
        if (equals != NULL) { *equals = '\0'; }
        node_move(source, whole, 1, (uint32_t)strlen(source->text));
        struct tg_draft *draft = tg_finding_add(&config->drafts, TG1006, whole, "not a setting");
        tg_draft_hint(draft, "write path%sname=value, for example sources%stx%swatermark%sdelay=30s", separator,
                      separator, separator, separator);
        return;
    }
    if (!set_allowed(config, &set, config->root) || !set_value(config, &set, equals + 1)) {
        *equals = '\0'; /* the value is nobody's business when its name is wrong */
        return;
    }
    const struct tg_yaml_node *over = set.value;
    for (uint32_t i = set.part_count; i > 0; i--) { over = tg_yaml_map_of(config->arena, set.parts[i - 1], over); }
    struct tg_secrets *secrets = tg_config_alloc(config, sizeof *secrets);
    tg_secrets_collect(secrets, over);
    if (strcmp(source->name, "--set") == 0 && secrets->has_literal) {
        struct tg_draft *draft = tg_finding_add(&config->drafts, TG1004, set.parts[set.part_count - 1],
                                               "a secret must not stand on a command line");
        tg_draft_hint(draft, "everybody can read it in the process list: use ${file:PATH} or ${NAME}");
        *equals = '\0';
        return;
    }
    config->root = tg_config_merge(config, config->root, over);
}

/* ---- all layers -------------------------------------------------------------------------------------------------- */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void layer_environment(struct tg_config *config)
{
    static const char prefix[] = "TURGO_SET_";
    const char *found[ENVIRONMENT_SETS_MAX];
    size_t count = 0;
    for (char **variable = environ; variable != NULL && *variable != NULL && count < ENVIRONMENT_SETS_MAX; variable++) {
        if (strncmp(*variable, prefix, sizeof prefix - 1) == 0) { found[count++] = *variable; }
    }
    qsort(found, count, sizeof found[0], compare_texts); /* the order of environ is nobody's choice */
    for (size_t i = 0; i < count; i++) {
        struct tg_yaml_source *source = tg_config_alloc(config, sizeof *source);
        char *text = tg_arena_strdup(config->arena, found[i]);
        TG_ASSERT(text != NULL);
        *source = (struct tg_yaml_source){.name = "env", .text = text};
        set_apply(config, source, text + sizeof prefix - 1, "__");
    }
}

static void layer_profile(struct tg_config *config)
{
    const struct tg_yaml_node *profiles = tg_yaml_get(config->file_root, "profiles");
    const struct tg_yaml_entry *by_default = tg_yaml_find(config->file_root, "default_profile");
    const char *name = config->options->profile;
    if (name == NULL && by_default != NULL && by_default->value->kind == TG_YAML_SCALAR) {
        name = by_default->value->text;
    }
    config->job->profile = "";
    if (name == NULL || name[0] == '\0') { return; }
    config->job->profile = tg_config_format(config, "%s", name);
    const struct tg_yaml_node *profile = tg_yaml_get(profiles, name);
    if (profile != NULL && (profile->kind == TG_YAML_MAP || tg_yaml_is_null(profile))) {
        if (profile->kind == TG_YAML_MAP) { config->root = tg_config_merge(config, config->root, profile); }
        return;
    }
    const struct tg_yaml_node *at = config->options->profile == NULL ? by_default->value : NULL;
    if (profile != NULL) {
        (void)tg_finding_add(&config->drafts, TG1004, profile, "profile %s must be a mapping", name);
        return;
    }
    const char *names[32];
    uint32_t count = 0;
    for (uint32_t i = 0; profiles != NULL && profiles->kind == TG_YAML_MAP && i < profiles->count && count < 32; i++) {
        names[count++] = profiles->entries[i].key->text;
    }
    tg_draft_suggest(tg_finding_add(&config->drafts, TG1009, at, "unknown profile \"%s\"", name), name, count, names,
                     "profiles");
}

void tg_config_layers(struct tg_config *config)
{
    config->root = config->file_root;
    layer_profile(config);
    layer_environment(config);
    for (uint32_t i = 0; i < config->options->set_count; i++) {
        struct tg_yaml_source *source = tg_config_alloc(config, sizeof *source);
        char *text = tg_arena_strdup(config->arena, config->options->sets[i]);
        TG_ASSERT(text != NULL);
        *source = (struct tg_yaml_source){.name = "--set", .text = text};
        set_apply(config, source, text, ".");
    }
}
