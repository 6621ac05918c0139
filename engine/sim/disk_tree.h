/* Folders of the simulated disk: names that are seen, names that are durable, and the changes in between. */
#ifndef TG_ENGINE_SIM_DISK_TREE_H
#define TG_ENGINE_SIM_DISK_TREE_H

#include "engine/sim/disk_file.h"

enum { TG_SIM_NAME_BYTES = 64 };

struct tg_sim_node;

struct tg_sim_entry {
    char name[TG_SIM_NAME_BYTES];
    struct tg_sim_node *node;
};

struct tg_sim_entries {
    struct tg_sim_entry *list;
    uint32_t count;
    uint32_t capacity;
};

/* An unsynced change of one folder. A rename over two folders is one of each, with the same number. */
struct tg_sim_move {
    char removed[TG_SIM_NAME_BYTES]; /* "" = nothing */
    struct tg_sim_entry set;         /* node NULL = nothing */
    struct tg_sim_node *peer;        /* the other folder, or NULL */
    uint64_t number;
};

struct tg_sim_node {
    bool is_folder;
    bool marked;
    uint32_t links; /* names that are seen; the root has one more */
    uint32_t opens;
    bool locked;
    struct tg_sim_file file;
    struct tg_sim_entries seen;
    struct tg_sim_entries durable;
    struct tg_sim_move *moves; /* oldest first */
    uint32_t move_count;
    uint32_t move_capacity;
    uint64_t kept; /* crash and sync: moves up to this number */
};

struct tg_sim_tree {
    struct tg_sim_node **nodes; /* [node_count], the root first */
    uint32_t node_count;
    uint32_t node_capacity;
    uint64_t number; /* of the last move */
};

/* A tree with an empty root.  @setup */
void tg_sim_tree_init(struct tg_sim_tree *tree);
void tg_sim_tree_deinit(struct tg_sim_tree *tree);
/* A node without a name yet.  @setup */
struct tg_sim_node *tg_sim_tree_node(struct tg_sim_tree *tree, bool is_folder);
/* What `path` names, or NULL; -errno of a path that cannot be in *failed. *folder and name[] are the place of its last
 * part, also when that does not exist (then *failed is 0); *folder is NULL for the root itself.  @setup */
struct tg_sim_node *tg_sim_tree_find(const struct tg_sim_tree *tree, const char *path, struct tg_sim_node **folder,
                                     char name[TG_SIM_NAME_BYTES], int *failed);
/* Give `node` a name, or take one away (node NULL).  @setup */
void tg_sim_tree_set(struct tg_sim_tree *tree, struct tg_sim_node *folder, const char *name, struct tg_sim_node *node);
/* Replaces what `to_name` named.  @setup */
void tg_sim_tree_rename(struct tg_sim_tree *tree, struct tg_sim_node *from, const char *from_name,
                        struct tg_sim_node *to, const char *to_name);
/* The folder's entries are durable, with what must happen at once in others.  @setup */
void tg_sim_tree_sync(struct tg_sim_tree *tree, struct tg_sim_node *folder);
/* The power is cut: every folder keeps a prefix of its moves, every file what tg_sim_file_crash leaves it.  @setup */
void tg_sim_tree_crash(struct tg_sim_tree *tree, struct tg_prng *prng);
/* Free the nodes that no name, durable name, move or descriptor reaches.  @setup */
void tg_sim_tree_collect(struct tg_sim_tree *tree);

#endif
