/* Containers inside state: deque, list and map of fixed-size elements. The struct lives in the state value; elements
 * beyond the inline part lie in the shard's heap. All-zero bytes are an empty container, so fresh state needs no
 * constructor. Insertion returns false when the heap is spent: the caller dead-letters state_full. */
#ifndef TG_STATE_CONTAINERS_H
#define TG_STATE_CONTAINERS_H

#include <assert.h>
#include <stdbool.h>

#include "base/types.h"
#include "state/heap.h"

/* Ascending sequence of 64-bit integers (timestamps, counters); equal ones are kept. */
enum { TG_DEQUE_INLINE = 14 };
struct tg_deque_i64 {
    uint32_t count;
    uint32_t first;    /* index of the oldest element, in a ring of `capacity` */
    uint32_t capacity; /* 0 = inline */
    uint32_t reserved;
    union {
        int64_t inlined[TG_DEQUE_INLINE];
        int64_t *elements;
    };
};
static_assert(sizeof(struct tg_deque_i64) == 128, "two cache lines in the state");

/* Insert keeping ascending order, behind equal ones. Cost: O(distance from the end).  @shard */
TG_HOT TG_MUST_USE bool tg_deque_i64_insert(struct tg_deque_i64 *deque, struct tg_heap *heap, int64_t element);
/* Drop every element <= bound; returns how many.  @shard */
TG_HOT uint32_t tg_deque_i64_drop_until(struct tg_deque_i64 *deque, int64_t bound);
/* Element `index` from the oldest; asserts index < count.  @shard */
int64_t tg_deque_i64_at(const struct tg_deque_i64 *deque, uint32_t index);
/* Give the heap part back and be empty.  @shard */
void tg_deque_i64_clear(struct tg_deque_i64 *deque, struct tg_heap *heap);

/* Growing array of elements of one size (fixed per call site). */
struct tg_list {
    uint32_t count;
    uint32_t capacity;
    uint8_t *elements;
};
/* Append a copy of *element; returns its place, NULL when the heap is spent.  @shard */
TG_MUST_USE void *tg_list_append(struct tg_list *list, struct tg_heap *heap, uint32_t element_bytes,
                                 const void *element);
void *tg_list_at(const struct tg_list *list, uint32_t element_bytes, uint32_t index);
/* Remove elements `index` to index + count - 1, keeping the others' order. Cost: what lies behind them.  @shard */
void tg_list_remove(struct tg_list *list, uint32_t element_bytes, uint32_t index, uint32_t count);
void tg_list_clear(struct tg_list *list, struct tg_heap *heap, uint32_t element_bytes);

/* Hash map from fixed-size keys to fixed-size values, open addressing in hash order (containers.c), grows by doubling
 * in the heap. */
struct tg_map {
    uint32_t count;
    uint32_t capacity; /* slots */
    uint8_t *slots;
};
struct tg_map_shape {
    uint32_t key_bytes; /* keys are compared bytewise: no padding inside */
    uint32_t value_bytes;
    uint32_t align; /* of key and value in their slot: 16, else 8 */
};
/* Value of `key`, created zeroed when absent (*fresh); NULL when the heap is spent. Values move when a key is created
 * or removed.  @shard */
TG_MUST_USE void *tg_map_upsert(struct tg_map *map, struct tg_heap *heap, struct tg_map_shape shape, const void *key,
                                bool *fresh);
/* NULL when absent.  @shard */
void *tg_map_find(const struct tg_map *map, struct tg_map_shape shape, const void *key);
/* False when absent.  @shard */
bool tg_map_remove(struct tg_map *map, struct tg_map_shape shape, const void *key);
/* Remove the entry in `slot`, as tg_map_next gave it; the next one may move there.  @shard */
void tg_map_remove_at(struct tg_map *map, struct tg_map_shape shape, uint32_t slot);
/* Next occupied slot at or after `slot`: its index with *key and *value set, UINT32_MAX at the end. The order of a walk
 * is a function of the keys in the map, not of its history.  @shard */
uint32_t tg_map_next(const struct tg_map *map, struct tg_map_shape shape, uint32_t slot, const void **key,
                     void **value);
/* Give the heap part back and be empty.  @shard */
void tg_map_clear(struct tg_map *map, struct tg_heap *heap, struct tg_map_shape shape);
/* Assert every invariant. Cost: the whole map.  @shard */
void tg_map_check(const struct tg_map *map, struct tg_map_shape shape);

#endif
