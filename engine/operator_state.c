/* Lists and maps of the state, as operators see them (turgo.h). A macro there passes the container's address; what it
 * holds is looked up in the plan, so a wrong size cannot be passed, and an address that is no container of this key's
 * state is an assertion. */
#include <string.h>

#include "base/assert.h"
#include "engine/stage.h"

/* The container at `place`, from index `first` on. A state has few: the search is shorter than a table of them. */
static inline const struct tg_container *find_any(tg_ctx *ctx, const void *place, uint32_t first)
{
    const struct tg_stage_plan *plan = ctx->plan;
    const uintptr_t offset = (uintptr_t)place - (uintptr_t)tg_stage_state(ctx, ctx->key);
    uint32_t index = first;
    while (index < plan->container_count && plan->containers[index].offset != offset) { index++; }
    TG_ASSERT(index < plan->container_count); /* else it is no container of the callback's own state */
    return &plan->containers[index];
}

static inline const struct tg_container *find(tg_ctx *ctx, const void *place, enum tg_kind kind)
{
    const struct tg_container *container = find_any(ctx, place, ctx->plan->deque_count);
    TG_ASSERT(container->kind == kind);
    return container;
}

void *tg_state_list_add(tg_ctx *ctx, struct tg_list *list, const void *element)
{
    return tg_list_append(list, ctx->heap, find(ctx, list, TG_KIND_list)->element_bytes, element);
}

void *tg_state_list_get(tg_ctx *ctx, const struct tg_list *list, uint32_t index)
{
    return tg_list_at(list, find(ctx, list, TG_KIND_list)->element_bytes, index);
}

void tg_state_list_drop(tg_ctx *ctx, struct tg_list *list, uint32_t index, uint32_t count)
{
    tg_list_remove(list, find(ctx, list, TG_KIND_list)->element_bytes, index, count);
}

/* A value starts like a state: zero, timestamps at the beginning of time. */
static void make_fresh(const struct tg_record *record, uint8_t *value)
{
    const tg_ts start = TG_TS_MIN;
    for (uint32_t i = 0; i < record->field_count; i++) {
        if (record->fields[i].kind_id != TG_KIND_timestamp) { continue; }
        memcpy(value + tg_record_offset(record, i), &start, sizeof start);
    }
}

void *tg_state_map_put(tg_ctx *ctx, struct tg_map *map, const void *key)
{
    const struct tg_container *container = find(ctx, map, TG_KIND_map);
    bool fresh;
    void *value = tg_map_upsert(map, ctx->heap, container->shape, key, &fresh);
    if (fresh && value != NULL) { make_fresh(container->element, value); }
    return value;
}

void *tg_state_map_get(tg_ctx *ctx, const struct tg_map *map, const void *key)
{
    return tg_map_find(map, find(ctx, map, TG_KIND_map)->shape, key);
}

bool tg_state_map_drop(tg_ctx *ctx, struct tg_map *map, const void *key)
{
    return tg_map_remove(map, find(ctx, map, TG_KIND_map)->shape, key);
}

bool tg_state_map_walk(tg_ctx *ctx, const struct tg_map *map, tg_cursor *cursor)
{
    const struct tg_map_shape shape = find(ctx, map, TG_KIND_map)->shape;
    const uint32_t slot = tg_map_next(map, shape, cursor->next, &cursor->key, &cursor->value);
    cursor->next = slot == UINT32_MAX ? UINT32_MAX : slot + 1;
    return slot != UINT32_MAX;
}

void tg_state_map_walk_drop(tg_ctx *ctx, struct tg_map *map, tg_cursor *cursor)
{
    TG_ASSERT(cursor->next != 0 && cursor->next != UINT32_MAX); /* it stands at an entry */
    TG_ASSERT(cursor->key != NULL);                             /* and that entry was not dropped before */
    tg_map_remove_at(map, find(ctx, map, TG_KIND_map)->shape, cursor->next - 1);
    cursor->next--; /* the entry behind may have moved there */
    cursor->key = NULL;
    cursor->value = NULL;
}

void tg_state_empty(tg_ctx *ctx, void *container)
{
    tg_container_clear(find_any(ctx, container, 0), ctx->heap, tg_stage_state(ctx, ctx->key));
}

bool tg_keep_bytes(char *data, uint32_t capacity, uint8_t *bytes, tg_text text)
{
    if (text.bytes > capacity) { return false; }
    memset(data, 0, capacity);
    if (text.bytes != 0) { memcpy(data, text.data, text.bytes); }
    *bytes = (uint8_t)text.bytes;
    return true;
}
