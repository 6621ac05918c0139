/* The conversion of libyaml's document, node by node and in place order, so no recursion is needed: node i of the
 * document is element i of one array. Aliases are shared nodes; a walk that counts them refuses cycles and exponential
 * documents. */
#include "engine/config/yaml.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/assert.h"

static bool fault_set(struct tg_yaml_fault *fault, uint32_t line, uint32_t column, const char *text)
{
    fault->line = line;
    fault->column = column;
    (void)snprintf(fault->text, sizeof fault->text, "%s", text);
    return false;
}

static bool fault_from_parser(struct tg_yaml_fault *fault, const yaml_parser_t *parser)
{
    const char *problem = parser->problem != NULL ? parser->problem : "cannot be read";
    char text[200];
    if (parser->error == YAML_READER_ERROR) {
        (void)snprintf(text, sizeof text, "%s (byte %zu)", problem, parser->problem_offset);
        return fault_set(fault, 0, 0, text);
    }
    if (parser->context != NULL) {
        (void)snprintf(text, sizeof text, "%s: %s (line %zu)", problem, parser->context, parser->context_mark.line + 1);
    } else {
        (void)snprintf(text, sizeof text, "%s", problem);
    }
    return fault_set(fault, (uint32_t)parser->problem_mark.line + 1, (uint32_t)parser->problem_mark.column + 1, text);
}

static bool convert_scalar(struct tg_arena *arena, const yaml_node_t *from, struct tg_yaml_node *to,
                           struct tg_yaml_fault *fault)
{
    const char *value = (const char *)from->data.scalar.value;
    const size_t bytes = from->data.scalar.length;
    if (memchr(value, '\0', bytes) != NULL) {
        return fault_set(fault, to->line, to->column, "a text with a zero byte");
    }
    char *text = tg_arena_alloc(arena, bytes + 1, 1);
    if (text == NULL) { return fault_set(fault, to->line, to->column, "the document is too large"); }
    memcpy(text, value, bytes);
    to->kind = TG_YAML_SCALAR;
    to->text = text;
    to->plain = from->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return true;
}

/* Room for a collection's entries; false when there are too many of them. */
static bool make_entries(struct tg_arena *arena, size_t count, struct tg_yaml_node *to)
{
    if (count > TG_YAML_ENTRIES_MAX) { return false; }
    to->entries = tg_arena_alloc(arena, (count + 1) * sizeof *to->entries, _Alignof(struct tg_yaml_entry));
    to->count = (uint32_t)count;
    return to->entries != NULL;
}

static bool convert_list(struct tg_arena *arena, const yaml_node_t *from, struct tg_yaml_node *nodes,
                         struct tg_yaml_node *to, struct tg_yaml_fault *fault)
{
    const yaml_node_item_t *start = from->data.sequence.items.start;
    to->kind = TG_YAML_LIST;
    if (!make_entries(arena, (size_t)(from->data.sequence.items.top - start), to)) {
        return fault_set(fault, to->line, to->column, "a list of more than 1,024 items");
    }
    for (uint32_t i = 0; i < to->count; i++) { to->entries[i].value = &nodes[start[i] - 1]; }
    return true;
}

static bool convert_map(struct tg_arena *arena, const yaml_node_t *from, struct tg_yaml_node *nodes,
                        struct tg_yaml_node *to, struct tg_yaml_fault *fault)
{
    const yaml_node_pair_t *start = from->data.mapping.pairs.start;
    to->kind = TG_YAML_MAP;
    if (!make_entries(arena, (size_t)(from->data.mapping.pairs.top - start), to)) {
        return fault_set(fault, to->line, to->column, "a mapping of more than 1,024 keys");
    }
    for (uint32_t i = 0; i < to->count; i++) {
        to->entries[i].key = &nodes[start[i].key - 1];
        to->entries[i].value = &nodes[start[i].value - 1];
    }
    return true;
}

/* Keys can only be compared when every node is converted: a key may be an alias of a later array element. */
static bool check_keys(const struct tg_yaml_node *map, struct tg_yaml_fault *fault)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct tg_yaml_node *key = map->entries[i].key;
        if (key->kind != TG_YAML_SCALAR || key->text[0] == '\0') {
            return fault_set(fault, key->line, key->column, "a key must be a text");
        }
        for (uint32_t k = 0; k < i; k++) {
            const struct tg_yaml_node *earlier = map->entries[k].key;
            if (strcmp(earlier->text, key->text) != 0) { continue; }
            char text[200];
            (void)snprintf(text, sizeof text, "key \"%.80s\" is already there in line %u", key->text, earlier->line);
            fault->is_duplicate = true;
            return fault_set(fault, key->line, key->column, text);
        }
    }
    return true;
}

static void ignore_scalar(void *self, const struct tg_yaml_visit *at)
{
    (void)self;
    (void)at;
}

static bool convert(struct tg_arena *arena, const struct tg_yaml_source *source, const yaml_document_t *document,
                    const struct tg_yaml_node **root, struct tg_yaml_fault *fault)
{
    const size_t count = (size_t)(document->nodes.top - document->nodes.start);
    if (count > TG_YAML_NODES_MAX) { return fault_set(fault, 0, 0, "more than 65,536 values"); }
    struct tg_yaml_node *nodes = tg_arena_alloc(arena, (count + 1) * sizeof *nodes, _Alignof(struct tg_yaml_node));
    if (nodes == NULL) { return fault_set(fault, 0, 0, "the document is too large"); }
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *from = &document->nodes.start[i];
        struct tg_yaml_node *to = &nodes[i];
        to->source = source;
        to->line = (uint32_t)from->start_mark.line + 1;
        to->column = (uint32_t)from->start_mark.column + 1;
        to->end_line = (uint32_t)from->end_mark.line + 1;
        to->end_column = (uint32_t)from->end_mark.column + 1;
        bool ok = false;
        switch (from->type) {
        case YAML_SCALAR_NODE: ok = convert_scalar(arena, from, to, fault); break;
        case YAML_SEQUENCE_NODE: ok = convert_list(arena, from, nodes, to, fault); break;
        case YAML_MAPPING_NODE: ok = convert_map(arena, from, nodes, to, fault); break;
        case YAML_NO_NODE: ok = fault_set(fault, to->line, to->column, "an empty node"); break;
        }
        if (!ok) { return false; }
    }
    for (size_t i = 0; i < count; i++) {
        if (nodes[i].kind == TG_YAML_MAP && !check_keys(&nodes[i], fault)) { return false; }
    }
    if (count == 0) {
        nodes[0] = (struct tg_yaml_node){.source = source, .kind = TG_YAML_MAP, .line = 1, .column = 1};
    } else if (!tg_yaml_walk(&nodes[0], ignore_scalar, NULL)) {
        return fault_set(fault, 0, 0, "nested too deeply, or an anchor contains itself, or aliases multiply too far");
    }
    *root = &nodes[0];
    return true;
}

/* A second document would be ignored silently otherwise. */
static bool check_single(yaml_parser_t *parser, struct tg_yaml_fault *fault)
{
    yaml_document_t next;
    if (!yaml_parser_load(parser, &next)) { return fault_from_parser(fault, parser); }
    const yaml_node_t *root = yaml_document_get_root_node(&next);
    const uint32_t line = (uint32_t)next.start_mark.line + 1;
    yaml_document_delete(&next);
    return root == NULL || fault_set(fault, line, 1, "a second document in one file");
}

bool tg_yaml_parse(struct tg_arena *arena, const struct tg_yaml_source *source, const struct tg_yaml_node **root,
                   struct tg_yaml_fault *fault)
{
    *fault = (struct tg_yaml_fault){0};
    *root = NULL;
    const size_t bytes = strlen(source->text);
    if (bytes > TG_YAML_BYTES_MAX) { return fault_set(fault, 0, 0, "larger than 1 MiB"); }
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) { return fault_set(fault, 0, 0, "out of memory"); }
    yaml_parser_set_input_string(&parser, (const unsigned char *)source->text, bytes);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_document_t document;
    bool ok = yaml_parser_load(&parser, &document) != 0;
    if (!ok) {
        (void)fault_from_parser(fault, &parser);
    } else {
        const bool has_content = yaml_document_get_root_node(&document) != NULL;
        ok = convert(arena, source, &document, root, fault);
        yaml_document_delete(&document);
        ok = ok && (!has_content || check_single(&parser, fault));
    }
    yaml_parser_delete(&parser);
    return ok;
}

const struct tg_yaml_entry *tg_yaml_find(const struct tg_yaml_node *map, const char *name)
{
    if (map == NULL || map->kind != TG_YAML_MAP) { return NULL; }
    for (uint32_t i = 0; i < map->count; i++) {
        if (strcmp(map->entries[i].key->text, name) == 0) { return &map->entries[i]; }
    }
    return NULL;
}

const struct tg_yaml_node *tg_yaml_get(const struct tg_yaml_node *map, const char *name)
{
    const struct tg_yaml_entry *entry = tg_yaml_find(map, name);
    return entry != NULL ? entry->value : NULL;
}

bool tg_yaml_is_null(const struct tg_yaml_node *node)
{
    if (node == NULL) { return true; }
    return node->kind == TG_YAML_SCALAR && node->plain &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

const char *tg_yaml_kind_name(enum tg_yaml_kind kind)
{
    switch (kind) {
    case TG_YAML_SCALAR: return "a single value";
    case TG_YAML_MAP: return "a mapping";
    case TG_YAML_LIST: return "a list";
    }
    return "?";
}

bool tg_yaml_walk(const struct tg_yaml_node *root, void (*visit)(void *self, const struct tg_yaml_visit *at),
                  void *self)
{
    struct level {
        const struct tg_yaml_node *node;
        uint32_t next;      /* entry to visit */
        uint32_t key_count; /* keys above and at this level */
    } levels[TG_YAML_DEPTH_MAX];
    const struct tg_yaml_node *keys[TG_YAML_DEPTH_MAX];
    uint32_t depth = 1;
    uint32_t visited = 1;
    levels[0] = (struct level){.node = root};
    while (depth > 0) {
        struct level *level = &levels[depth - 1];
        if (level->node->kind == TG_YAML_SCALAR) {
            visit(self, &(struct tg_yaml_visit){.scalar = level->node, .key_count = level->key_count, .keys = keys});
            depth--;
            continue;
        }
        if (level->next == level->node->count) {
            depth--;
            continue;
        }
        if (depth == TG_YAML_DEPTH_MAX || visited == TG_YAML_NODES_MAX) { return false; }
        const struct tg_yaml_entry *entry = &level->node->entries[level->next++];
        levels[depth] = (struct level){.node = entry->value, .key_count = level->key_count};
        if (entry->key != NULL) { keys[levels[depth].key_count++] = entry->key; }
        depth++;
        visited++;
    }
    return true;
}

struct tg_yaml_node *tg_yaml_map_of(struct tg_arena *arena, const struct tg_yaml_node *key,
                                    const struct tg_yaml_node *value)
{
    struct tg_yaml_node *map = tg_arena_alloc(arena, sizeof *map, _Alignof(struct tg_yaml_node));
    struct tg_yaml_entry *entry = tg_arena_alloc(arena, sizeof *entry, _Alignof(struct tg_yaml_entry));
    TG_ASSERT(map != NULL && entry != NULL);
    *entry = (struct tg_yaml_entry){.key = key, .value = value};
    *map = *key;
    map->kind = TG_YAML_MAP;
    map->text = NULL;
    map->count = 1;
    map->entries = entry;
    return map;
}
