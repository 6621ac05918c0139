/* YAML as a tree of nodes that know where they stand: a thin layer over libyaml's document API. It neither interprets
 * scalars nor knows the job file. Trees live in the caller's arena and are never changed: merging makes new nodes. */
#ifndef TG_ENGINE_CONFIG_YAML_H
#define TG_ENGINE_CONFIG_YAML_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attributes.h"

enum {
    TG_YAML_BYTES_MAX = 1 << 20, /* of one file */
    TG_YAML_NODES_MAX = 65536,   /* with every alias counted as a copy: no "billion laughs" */
    TG_YAML_DEPTH_MAX = 32,
    TG_YAML_ENTRIES_MAX = 1024, /* of one mapping or sequence */
};

/* What nodes were read from; messages quote it. */
struct tg_yaml_source {
    const char *name; /* "purchase_count.yaml", "--set", "env TURGO_SET_engine__shards" */
    const char *text; /* terminated */
    bool is_file;     /* its places are printed as name:line:column */
};

enum tg_yaml_kind { TG_YAML_SCALAR, TG_YAML_MAP, TG_YAML_LIST };

struct tg_yaml_node;
struct tg_yaml_entry {
    const struct tg_yaml_node *key; /* a scalar; NULL in lists */
    const struct tg_yaml_node *value;
};
struct tg_yaml_node {
    const struct tg_yaml_source *source;
    enum tg_yaml_kind kind;
    bool plain;      /* scalar without quotes */
    uint32_t line;   /* 1-based */
    uint32_t column; /* 1-based, in characters */
    uint32_t end_line;
    uint32_t end_column; /* of the first character behind it */
    uint32_t count;
    const char *text;              /* SCALAR: terminated, variables not yet replaced */
    struct tg_yaml_entry *entries; /* MAP, LIST: [count] */
};

/* Why a text was refused. */
struct tg_yaml_fault {
    uint32_t line; /* 1-based; 0 = the text as a whole */
    uint32_t column;
    bool is_duplicate; /* a key twice in one mapping */
    char text[256];
};

/* Parse one document. An empty text gives an empty mapping. False: *fault says why.  @setup */
TG_MUST_USE bool tg_yaml_parse(struct tg_arena *arena, const struct tg_yaml_source *source,
                               const struct tg_yaml_node **root, struct tg_yaml_fault *fault);

/* The entry of `map` called `name`, NULL when there is none or `map` is no mapping (NULL included).  @any */
const struct tg_yaml_entry *tg_yaml_find(const struct tg_yaml_node *map, const char *name);
/* Its value, NULL likewise.  @any */
const struct tg_yaml_node *tg_yaml_get(const struct tg_yaml_node *map, const char *name);
/* Nothing: NULL, or a plain scalar that is empty, ~ or null.  @any */
bool tg_yaml_is_null(const struct tg_yaml_node *node);
/* "a text", "a mapping", "a list".  @any */
const char *tg_yaml_kind_name(enum tg_yaml_kind kind);

/* One scalar of a walk: keys[key_count] lead to it from the root, outermost first; list items add none. */
struct tg_yaml_visit {
    const struct tg_yaml_node *scalar;
    uint32_t key_count;
    const struct tg_yaml_node *const *keys;
};
/* Visit every scalar below `root` (aliases each time). Bounded by the limits above; what exceeds them is not visited
 * and makes the result false.  @setup */
bool tg_yaml_walk(const struct tg_yaml_node *root, void (*visit)(void *self, const struct tg_yaml_visit *at),
                  void *self);

/* A mapping of one entry, standing where its key stands; a scalar with the place of `at`.  @setup */
struct tg_yaml_node *tg_yaml_map_of(struct tg_arena *arena, const struct tg_yaml_node *key,
                                    const struct tg_yaml_node *value);

#endif
