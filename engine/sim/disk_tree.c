/* Names and their durability. */
#include "engine/sim/disk_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* ---- entries ----------------------------------------------------------------------------------------------------- */

static void name_copy(char to[TG_SIM_NAME_BYTES], const char *from)
{
    const size_t bytes = strlen(from);
    TG_ASSERT(bytes < TG_SIM_NAME_BYTES);
    memmove(to, from, bytes + 1);
}

static struct tg_sim_entry *entry_find(const struct tg_sim_entries *entries, const char *name)
{
    for (uint32_t i = 0; i < entries->count; i++) {
        if (strcmp(entries->list[i].name, name) == 0) { return &entries->list[i]; }
    }
    return NULL;
}

static void entry_remove(struct tg_sim_entries *entries, const char *name)
{
    struct tg_sim_entry *entry = entry_find(entries, name);
    if (entry != NULL) { *entry = entries->list[--entries->count]; }
}

static void entry_set(struct tg_sim_entries *entries, const char *name, struct tg_sim_node *node)
{
    struct tg_sim_entry *entry = entry_find(entries, name);
    if (entry == NULL) {
        if (entries->count == entries->capacity) {
            entries->capacity = entries->capacity == 0 ? 8 : 2 * entries->capacity;
            entries->list = realloc(entries->list, entries->capacity * sizeof *entries->list);
            TG_ASSERT(entries->list != NULL);
        }
        entry = &entries->list[entries->count++];
        name_copy(entry->name, name);
    }
    entry->node = node;
}

static void entries_copy(struct tg_sim_entries *to, const struct tg_sim_entries *from)
{
    to->count = 0;
    for (uint32_t i = 0; i < from->count; i++) { entry_set(to, from->list[i].name, from->list[i].node); }
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

struct tg_sim_node *tg_sim_tree_node(struct tg_sim_tree *tree, bool is_folder)
{
    if (tree->node_count == tree->node_capacity) {
        tree->node_capacity = tree->node_capacity == 0 ? 64 : 2 * tree->node_capacity;
        tree->nodes = realloc(tree->nodes, tree->node_capacity * sizeof *tree->nodes);
        TG_ASSERT(tree->nodes != NULL);
    }
    struct tg_sim_node *node = calloc(1, sizeof *node);
    TG_ASSERT(node != NULL);
    node->is_folder = is_folder;
    tree->nodes[tree->node_count++] = node;
    return node;
}

static void node_free(struct tg_sim_node *node)
{
    tg_sim_file_free(&node->file);
    free(node->seen.list);
    free(node->durable.list);
    free(node->moves);
    free(node);
}

void tg_sim_tree_init(struct tg_sim_tree *tree)
{
    *tree = (struct tg_sim_tree){0};
    tg_sim_tree_node(tree, true)->links = 1;
}

void tg_sim_tree_deinit(struct tg_sim_tree *tree)
{
    for (uint32_t i = 0; i < tree->node_count; i++) { node_free(tree->nodes[i]); }
    free(tree->nodes);
    *tree = (struct tg_sim_tree){0};
}

struct tg_sim_node *tg_sim_tree_find(const struct tg_sim_tree *tree, const char *path, struct tg_sim_node **folder,
                                     char name[TG_SIM_NAME_BYTES], int *failed)
{
    struct tg_sim_node *at = tree->nodes[0];
    *folder = NULL;
    *failed = 0;
    name[0] = '\0';
    for (;;) { /* ends: each round consumes a part */
        path += strspn(path, "/");
        const size_t bytes = strcspn(path, "/");
        if (bytes == 0) { return at; }
        if (bytes == 1 && path[0] == '.') {
            path++;
            continue;
        }
        if (at == NULL || !at->is_folder || bytes >= TG_SIM_NAME_BYTES) {
            *failed = at == NULL ? -ENOENT : !at->is_folder ? -ENOTDIR : -ENAMETOOLONG;
            return NULL;
        }
        memcpy(name, path, bytes);
        name[bytes] = '\0';
        *folder = at;
        const struct tg_sim_entry *entry = entry_find(&at->seen, name);
        at = entry != NULL ? entry->node : NULL;
        path += bytes;
    }
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

static struct tg_sim_move *move_add(struct tg_sim_node *folder, uint64_t number)
{
    if (folder->move_count == folder->move_capacity) {
        folder->move_capacity = folder->move_capacity == 0 ? 8 : 2 * folder->move_capacity;
        folder->moves = realloc(folder->moves, folder->move_capacity * sizeof *folder->moves);
        TG_ASSERT(folder->moves != NULL);
    }
    struct tg_sim_move *move = &folder->moves[folder->move_count++];
    *move = (struct tg_sim_move){.number = number};
    return move;
}

static void unname(struct tg_sim_node *folder, const char *name)
{
    const struct tg_sim_entry *entry = entry_find(&folder->seen, name);
    if (entry != NULL) { entry->node->links--; }
    entry_remove(&folder->seen, name);
}

void tg_sim_tree_set(struct tg_sim_tree *tree, struct tg_sim_node *folder, const char *name, struct tg_sim_node *node)
{
    struct tg_sim_move *move = move_add(folder, ++tree->number);
    unname(folder, name);
    if (node == NULL) {
        name_copy(move->removed, name);
        return;
    }
    name_copy(move->set.name, name);
    move->set.node = node;
    entry_set(&folder->seen, name, node);
    node->links++;
}

void tg_sim_tree_rename(struct tg_sim_tree *tree, struct tg_sim_node *from, const char *from_name,
                        struct tg_sim_node *to, const char *to_name)
{
    struct tg_sim_node *node = entry_find(&from->seen, from_name)->node;
    const uint64_t number = ++tree->number;
    struct tg_sim_move *move = move_add(from, number);
    name_copy(move->removed, from_name);
    if (to != from) {
        move->peer = to;
        move = move_add(to, number);
        move->peer = from;
    }
    name_copy(move->set.name, to_name);
    move->set.node = node;
    node->links++;
    unname(from, from_name);
    unname(to, to_name);
    entry_set(&to->seen, to_name, node);
}

/* ---- durability -------------------------------------------------------------------------------------------------- */

/* Apply the moves up to `kept` and drop them. */
static void moves_apply(struct tg_sim_node *folder)
{
    uint32_t done = 0;
    while (done < folder->move_count && folder->moves[done].number <= folder->kept) {
        const struct tg_sim_move *move = &folder->moves[done++];
        if (move->removed[0] != '\0') { entry_remove(&folder->durable, move->removed); }
        if (move->set.node != NULL) { entry_set(&folder->durable, move->set.name, move->set.node); }
    }
    if (done == 0) { return; }
    folder->move_count -= done;
    memmove(folder->moves, folder->moves + done, folder->move_count * sizeof *folder->moves);
}

/* One pass over all moves that concern two folders: where one side is kept, keep the other (or, `lower`, where one is
 * not kept, do not keep the other). True when something changed. */
static bool moves_agree(struct tg_sim_tree *tree, bool lower)
{
    bool changed = false;
    for (uint32_t i = 0; i < tree->node_count; i++) {
        const struct tg_sim_node *folder = tree->nodes[i];
        for (uint32_t m = 0; m < folder->move_count; m++) {
            const struct tg_sim_move *move = &folder->moves[m];
            if (move->peer == NULL) { continue; }
            if (!lower && move->number <= folder->kept && move->peer->kept < move->number) {
                move->peer->kept = move->number;
                changed = true;
            }
            if (lower && move->number > folder->kept && move->peer->kept >= move->number) {
                move->peer->kept = move->number - 1;
                changed = true;
            }
        }
    }
    return changed;
}

void tg_sim_tree_sync(struct tg_sim_tree *tree, struct tg_sim_node *folder)
{
    for (uint32_t i = 0; i < tree->node_count; i++) { tree->nodes[i]->kept = 0; }
    folder->kept = UINT64_MAX;
    while (moves_agree(tree, false)) {} /* ends: marks only rise */
    for (uint32_t i = 0; i < tree->node_count; i++) { moves_apply(tree->nodes[i]); }
}

void tg_sim_tree_crash(struct tg_sim_tree *tree, struct tg_prng *prng)
{
    for (uint32_t i = 0; i < tree->node_count; i++) {
        struct tg_sim_node *node = tree->nodes[i];
        const uint32_t kept = tg_prng_below(prng, node->move_count + 1);
        node->kept = kept == 0 ? 0 : node->moves[kept - 1].number;
    }
    while (moves_agree(tree, true)) {} /* ends: marks only fall */
    for (uint32_t i = 0; i < tree->node_count; i++) {
        struct tg_sim_node *node = tree->nodes[i];
        moves_apply(node);
        node->move_count = 0;
        node->links = i == 0 ? 1 : 0;
        node->opens = 0;
        node->locked = false;
        entries_copy(&node->seen, &node->durable);
        tg_sim_file_crash(&node->file, prng);
    }
    for (uint32_t i = 0; i < tree->node_count; i++) {
        for (uint32_t e = 0; e < tree->nodes[i]->seen.count; e++) { tree->nodes[i]->seen.list[e].node->links++; }
    }
    tg_sim_tree_collect(tree);
}

/* ---- collecting -------------------------------------------------------------------------------------------------- */

static void mark_all(struct tg_sim_node **work, uint32_t *count, const struct tg_sim_entries *entries)
{
    for (uint32_t i = 0; i < entries->count; i++) {
        struct tg_sim_node *node = entries->list[i].node;
        if (node->marked) { continue; }
        node->marked = true;
        work[(*count)++] = node;
    }
}

static void mark_moves(struct tg_sim_node **work, uint32_t *count, const struct tg_sim_node *folder)
{
    for (uint32_t i = 0; i < folder->move_count; i++) {
        struct tg_sim_node *const both[] = {folder->moves[i].set.node, folder->moves[i].peer};
        for (uint32_t k = 0; k < 2; k++) {
            if (both[k] == NULL || both[k]->marked) { continue; }
            both[k]->marked = true;
            work[(*count)++] = both[k];
        }
    }
}

void tg_sim_tree_collect(struct tg_sim_tree *tree)
{
    struct tg_sim_node **work = malloc(tree->node_count * sizeof *work);
    TG_ASSERT(work != NULL);
    uint32_t count = 0;
    for (uint32_t i = 0; i < tree->node_count; i++) {
        tree->nodes[i]->marked = i == 0 || tree->nodes[i]->opens > 0;
        if (tree->nodes[i]->marked) { work[count++] = tree->nodes[i]; }
    }
    while (count > 0) { /* ends: a node is put there once */
        const struct tg_sim_node *node = work[--count];
        mark_all(work, &count, &node->seen);
        mark_all(work, &count, &node->durable);
        mark_moves(work, &count, node);
    }
    free(work);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < tree->node_count; i++) {
        if (tree->nodes[i]->marked) {
            tree->nodes[kept++] = tree->nodes[i];
        } else {
            node_free(tree->nodes[i]);
        }
    }
    tree->node_count = kept;
}
