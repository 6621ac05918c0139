/* Deque, list and map over the heap's size classes. All of them grow by doubling; the deque also shrinks, because a key
 * that was busy once would otherwise keep its largest size for ever. */
#include "state/containers.h"

#include <string.h>

#include "base/assert.h"
#include "base/key.h"

enum { BLOCK_BYTES_MAX = 8 << 20, DEQUE_CAPACITY_MIN = 16, LIST_BYTES_MIN = 64, MAP_CAPACITY_MIN = 8 };

/* ---- deque ---- */

static inline int64_t *deque_elements(struct tg_deque_i64 *deque)
{
    return deque->capacity == 0 ? deque->inlined : deque->elements;
}
static inline uint32_t deque_capacity(const struct tg_deque_i64 *deque)
{
    return deque->capacity == 0 ? TG_DEQUE_INLINE : deque->capacity;
}
/* Place of element `index`; capacities of the inline part are no power of two, hence no mask. */
static inline uint32_t deque_place(uint32_t first, uint32_t index, uint32_t capacity)
{
    const uint32_t place = first + index;
    return place < capacity ? place : place - capacity;
}

/* Move all elements, oldest first, into a ring of `capacity` (0 = inline). False when the heap is spent. */
static TG_COLD bool deque_resize(struct tg_deque_i64 *deque, struct tg_heap *heap, uint32_t capacity)
{
    struct tg_deque_i64 moved = {.count = deque->count, .capacity = capacity};
    if (capacity != 0) {
        if (capacity > BLOCK_BYTES_MAX / sizeof(int64_t)) { return false; }
        moved.elements = tg_heap_acquire(heap, capacity * (uint32_t)sizeof(int64_t), NULL);
        if (moved.elements == NULL) { return false; }
    }
    int64_t *target = deque_elements(&moved);
    for (uint32_t i = 0; i < deque->count; i++) { target[i] = tg_deque_i64_at(deque, i); }
    tg_deque_i64_clear(deque, heap);
    *deque = moved;
    return true;
}

/* Room for one more element; also gives back a block that is seven eighths empty. */
static bool deque_reserve(struct tg_deque_i64 *deque, struct tg_heap *heap)
{
    const uint32_t capacity = deque_capacity(deque);
    if (TG_UNLIKELY(deque->count == capacity)) {
        return deque_resize(deque, heap, capacity < DEQUE_CAPACITY_MIN ? DEQUE_CAPACITY_MIN : 2 * capacity);
    }
    if (TG_UNLIKELY(deque->capacity != 0 && deque->count < deque->capacity / 8)) {
        const uint32_t half = deque->capacity / 2;
        (void)deque_resize(deque, heap, half < DEQUE_CAPACITY_MIN ? 0 : half); /* refused = stay as we are */
    }
    return true;
}

bool tg_deque_i64_insert(struct tg_deque_i64 *deque, struct tg_heap *heap, int64_t element)
{
    if (!deque_reserve(deque, heap)) { return false; }
    int64_t *elements = deque_elements(deque);
    const uint32_t capacity = deque_capacity(deque);
    uint32_t index = deque->count;
    while (index > 0) { /* newer elements make room */
        const int64_t before = elements[deque_place(deque->first, index - 1, capacity)];
        if (before <= element) { break; }
        elements[deque_place(deque->first, index, capacity)] = before;
        index--;
    }
    elements[deque_place(deque->first, index, capacity)] = element;
    deque->count++;
    return true;
}

uint32_t tg_deque_i64_drop_until(struct tg_deque_i64 *deque, int64_t bound)
{
    const int64_t *elements = deque_elements(deque);
    const uint32_t capacity = deque_capacity(deque);
    uint32_t dropped = 0;
    while (dropped < deque->count && elements[deque_place(deque->first, dropped, capacity)] <= bound) { dropped++; }
    deque->first = dropped == deque->count ? 0 : deque_place(deque->first, dropped, capacity);
    deque->count -= dropped;
    return dropped;
}

int64_t tg_deque_i64_at(const struct tg_deque_i64 *deque, uint32_t index)
{
    TG_ASSERT(index < deque->count);
    const int64_t *elements = deque->capacity == 0 ? deque->inlined : deque->elements;
    return elements[deque_place(deque->first, index, deque_capacity(deque))];
}

void tg_deque_i64_clear(struct tg_deque_i64 *deque, struct tg_heap *heap)
{
    if (deque->capacity != 0) { tg_heap_release(heap, deque->elements, deque->capacity * (uint32_t)sizeof(int64_t)); }
    *deque = (struct tg_deque_i64){0};
}

/* ---- list ---- */

static TG_COLD bool list_grow(struct tg_list *list, struct tg_heap *heap, uint32_t element_bytes)
{
    const uint64_t used_bytes = (uint64_t)list->count * element_bytes;
    uint64_t want_bytes = 2 * (uint64_t)list->capacity * element_bytes;
    if (want_bytes < LIST_BYTES_MIN) { want_bytes = LIST_BYTES_MIN; }
    if (want_bytes < element_bytes) { want_bytes = element_bytes; }
    if (want_bytes > BLOCK_BYTES_MAX) { want_bytes = BLOCK_BYTES_MAX; }
    if (used_bytes + element_bytes > want_bytes) { return false; } /* the largest block is full */
    uint32_t given_bytes;
    uint8_t *elements = tg_heap_acquire(heap, (uint32_t)want_bytes, &given_bytes);
    if (elements == NULL) { return false; }
    if (list->capacity != 0) {
        memcpy(elements, list->elements, used_bytes);
        tg_heap_release(heap, list->elements, list->capacity * element_bytes);
    }
    list->elements = elements;
    list->capacity = given_bytes / element_bytes; /* more than half a block: the same class on release */
    return true;
}

void *tg_list_append(struct tg_list *list, struct tg_heap *heap, uint32_t element_bytes, const void *element)
{
    TG_DCHECK(element_bytes >= 1 && element_bytes <= BLOCK_BYTES_MAX);
    if (TG_UNLIKELY(list->count == list->capacity) && !list_grow(list, heap, element_bytes)) { return NULL; }
    uint8_t *place = list->elements + (size_t)list->count * element_bytes;
    memcpy(place, element, element_bytes);
    list->count++;
    return place;
}

void *tg_list_at(const struct tg_list *list, uint32_t element_bytes, uint32_t index)
{
    TG_ASSERT(index < list->count);
    return list->elements + (size_t)index * element_bytes;
}

void tg_list_remove(struct tg_list *list, uint32_t element_bytes, uint32_t index)
{
    TG_ASSERT(index < list->count);
    uint8_t *place = list->elements + (size_t)index * element_bytes;
    memmove(place, place + element_bytes, (size_t)(list->count - 1 - index) * element_bytes);
    list->count--;
}

void tg_list_clear(struct tg_list *list, struct tg_heap *heap, uint32_t element_bytes)
{
    if (list->capacity != 0) { tg_heap_release(heap, list->elements, list->capacity * element_bytes); }
    *list = (struct tg_list){0};
}

/* ---- map ---- */

/* Slot: hash (its last bit is set, so it is never 0), key padded to 8, value padded to 8. */
static inline uint32_t map_value_offset(struct tg_map_shape shape) { return 8 + ((shape.key_bytes + 7) & ~7u); }
static inline uint32_t map_slot_bytes(struct tg_map_shape shape)
{
    return map_value_offset(shape) + ((shape.value_bytes + 7) & ~7u);
}
static inline uint8_t *map_slot(const struct tg_map *map, struct tg_map_shape shape, uint32_t index)
{
    return map->slots + (size_t)index * map_slot_bytes(shape);
}
static inline uint64_t map_slot_hash(const uint8_t *slot)
{
    uint64_t hash;
    memcpy(&hash, slot, sizeof hash);
    return hash;
}
static inline uint64_t map_hash(struct tg_map_shape shape, const void *key)
{
    return tg_key_hash(key, shape.key_bytes) | 1;
}
/* The routing hash's leading bits choose the shard, so the middle ones choose the slot. */
static inline uint32_t map_home(const struct tg_map *map, uint64_t hash)
{
    return (uint32_t)(hash >> 20) & (map->capacity - 1);
}

/* The slot that holds `key`, or the free one where it belongs. Ends: a quarter of the slots is free. */
static uint32_t map_seek(const struct tg_map *map, struct tg_map_shape shape, const void *key, uint64_t hash)
{
    uint32_t index = map_home(map, hash);
    for (;;) {
        const uint8_t *slot = map_slot(map, shape, index);
        const uint64_t other = map_slot_hash(slot);
        if (other == 0 || (other == hash && memcmp(slot + 8, key, shape.key_bytes) == 0)) { return index; }
        index = (index + 1) & (map->capacity - 1);
    }
}

static TG_COLD bool map_grow(struct tg_map *map, struct tg_heap *heap, struct tg_map_shape shape)
{
    const uint32_t slot_bytes = map_slot_bytes(shape);
    struct tg_map grown = {.count = map->count, .capacity = map->capacity == 0 ? MAP_CAPACITY_MIN : 2 * map->capacity};
    const uint64_t bytes = (uint64_t)grown.capacity * slot_bytes;
    if (bytes > BLOCK_BYTES_MAX) { return false; }
    grown.slots = tg_heap_acquire(heap, (uint32_t)bytes, NULL);
    if (grown.slots == NULL) { return false; }
    memset(grown.slots, 0, bytes);
    for (uint32_t i = 0; i < map->capacity; i++) {
        const uint8_t *slot = map_slot(map, shape, i);
        const uint64_t hash = map_slot_hash(slot);
        if (hash == 0) { continue; }
        memcpy(map_slot(&grown, shape, map_seek(&grown, shape, slot + 8, hash)), slot, slot_bytes);
    }
    tg_map_clear(map, heap, shape);
    *map = grown;
    return true;
}

void *tg_map_upsert(struct tg_map *map, struct tg_heap *heap, struct tg_map_shape shape, const void *key, bool *fresh)
{
    TG_DCHECK(shape.key_bytes >= 1);
    const uint64_t hash = map_hash(shape, key);
    *fresh = false;
    uint32_t index = 0;
    if (map->capacity != 0) {
        index = map_seek(map, shape, key, hash);
        if (map_slot_hash(map_slot(map, shape, index)) != 0) {
            return map_slot(map, shape, index) + map_value_offset(shape);
        }
    }
    if (4 * ((uint64_t)map->count + 1) > 3 * (uint64_t)map->capacity) {
        if (!map_grow(map, heap, shape)) { return NULL; }
        index = map_seek(map, shape, key, hash);
    }
    uint8_t *slot = map_slot(map, shape, index);
    memset(slot, 0, map_slot_bytes(shape));
    memcpy(slot, &hash, sizeof hash);
    memcpy(slot + 8, key, shape.key_bytes);
    map->count++;
    *fresh = true;
    return slot + map_value_offset(shape);
}

void *tg_map_find(const struct tg_map *map, struct tg_map_shape shape, const void *key)
{
    if (map->count == 0) { return NULL; }
    uint8_t *slot = map_slot(map, shape, map_seek(map, shape, key, map_hash(shape, key)));
    return map_slot_hash(slot) == 0 ? NULL : slot + map_value_offset(shape);
}

bool tg_map_remove(struct tg_map *map, struct tg_map_shape shape, const void *key)
{
    if (map->count == 0) { return false; }
    const uint32_t mask = map->capacity - 1;
    const uint64_t zero = 0;
    uint32_t hole = map_seek(map, shape, key, map_hash(shape, key));
    if (map_slot_hash(map_slot(map, shape, hole)) == 0) { return false; }
    for (uint32_t at = (hole + 1) & mask;; at = (at + 1) & mask) { /* ends at the first free slot */
        const uint64_t hash = map_slot_hash(map_slot(map, shape, at));
        if (hash == 0) { break; }
        if (((at - map_home(map, hash)) & mask) >= ((at - hole) & mask)) { /* its home is not behind the hole */
            memcpy(map_slot(map, shape, hole), map_slot(map, shape, at), map_slot_bytes(shape));
            hole = at;
        }
    }
    memcpy(map_slot(map, shape, hole), &zero, sizeof zero);
    map->count--;
    return true;
}

uint32_t tg_map_next(const struct tg_map *map, struct tg_map_shape shape, uint32_t slot, const void **key, void **value)
{
    for (uint32_t index = slot; index < map->capacity; index++) {
        uint8_t *place = map_slot(map, shape, index);
        if (map_slot_hash(place) == 0) { continue; }
        *key = place + 8;
        *value = place + map_value_offset(shape);
        return index;
    }
    return UINT32_MAX;
}

void tg_map_clear(struct tg_map *map, struct tg_heap *heap, struct tg_map_shape shape)
{
    if (map->capacity != 0) { tg_heap_release(heap, map->slots, map->capacity * map_slot_bytes(shape)); }
    *map = (struct tg_map){0};
}
