/* Deque, list and map over the heap's size classes. All of them grow by doubling and, when something is added to a
 * block that is seven eighths empty, halve it: a key that was busy once would otherwise keep its largest size. */
#include "state/containers.h"

#include <string.h>

#include "base/assert.h"
#include "base/key.h"

enum { BLOCK_BYTES_MAX = 8 << 20, DEQUE_CAPACITY_MIN = 16, LIST_BYTES_MIN = 64, MAP_BYTES_MIN = 256 };

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

/* Move all elements into a block of `want_bytes`. False when the heap is spent. */
static TG_COLD bool list_resize(struct tg_list *list, struct tg_heap *heap, uint32_t element_bytes, uint64_t want_bytes)
{
    uint32_t given_bytes;
    TG_DCHECK(want_bytes >= (uint64_t)list->count * element_bytes && want_bytes <= BLOCK_BYTES_MAX);
    uint8_t *elements = tg_heap_acquire(heap, (uint32_t)want_bytes, &given_bytes);
    if (elements == NULL) { return false; }
    if (list->capacity != 0) {
        memcpy(elements, list->elements, (size_t)list->count * element_bytes);
        tg_heap_release(heap, list->elements, list->capacity * element_bytes);
    }
    list->elements = elements;
    list->capacity = given_bytes / element_bytes; /* more than half a block: the same class on release */
    return true;
}

static TG_COLD bool list_grow(struct tg_list *list, struct tg_heap *heap, uint32_t element_bytes)
{
    uint64_t want_bytes = 2 * (uint64_t)list->capacity * element_bytes;
    if (want_bytes < LIST_BYTES_MIN) { want_bytes = LIST_BYTES_MIN; }
    if (want_bytes < element_bytes) { want_bytes = element_bytes; }
    if (want_bytes > BLOCK_BYTES_MAX) { want_bytes = BLOCK_BYTES_MAX; }
    if (((uint64_t)list->count + 1) * element_bytes > want_bytes) { return false; } /* the largest block is full */
    return list_resize(list, heap, element_bytes, want_bytes);
}

static bool list_reserve(struct tg_list *list, struct tg_heap *heap, uint32_t element_bytes)
{
    if (TG_UNLIKELY(list->count == list->capacity)) { return list_grow(list, heap, element_bytes); }
    const uint64_t half_bytes = (uint64_t)list->capacity / 2 * element_bytes;
    if (TG_UNLIKELY(list->count < list->capacity / 8 && half_bytes >= LIST_BYTES_MIN)) {
        (void)list_resize(list, heap, element_bytes, half_bytes); /* refused = stay as we are */
    }
    return true;
}

void *tg_list_append(struct tg_list *list, struct tg_heap *heap, uint32_t element_bytes, const void *element)
{
    TG_DCHECK(element_bytes >= 1 && element_bytes <= BLOCK_BYTES_MAX);
    if (!list_reserve(list, heap, element_bytes)) { return NULL; }
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

void tg_list_remove(struct tg_list *list, uint32_t element_bytes, uint32_t index, uint32_t count)
{
    TG_ASSERT(count <= list->count);
    TG_ASSERT(index <= list->count - count);
    if (count == 0) { return; } /* an empty list has no elements to point at */
    uint8_t *place = list->elements + (size_t)index * element_bytes;
    const size_t gap_bytes = (size_t)count * element_bytes;
    memmove(place, place + gap_bytes, (size_t)(list->count - count - index) * element_bytes);
    list->count -= count;
}

void tg_list_clear(struct tg_list *list, struct tg_heap *heap, uint32_t element_bytes)
{
    if (list->capacity != 0) { tg_heap_release(heap, list->elements, list->capacity * element_bytes); }
    *list = (struct tg_list){0};
}

/* ---- map ---- */

/* Linear probing in hash order. An entry's home rises with its hash, entries stand at or behind their homes, ascending
 * by (hash, key), and nothing wraps: behind the last home lie spare slots that no hash calls home. Hence
 *   - a walk from the first slot to the last meets the entries in an order that only the keys decide, whatever the
 *     capacity and whatever came and went before: a map read back from a checkpoint walks as the lost one did;
 *   - a search that meets a larger hash has failed;
 *   - growing copies the entries in order, each to its home or behind its predecessor.
 * Price: an insertion moves the rest of its run by one slot, a few hundred bytes at three quarters full. A run that
 * would leave the table makes it grow early, so colliding hashes cost budget (max_state), never correctness.
 *
 * Slot: hash (its last bit is set, so it is never 0), key, value; the latter two aligned as the shape says. */
struct map_layout {
    uint32_t key_offset;
    uint32_t value_offset;
    uint32_t slot_bytes;
    uint32_t key_bytes;
};

static inline uint32_t round_up(uint32_t bytes, uint32_t align) { return (bytes + align - 1) & ~(align - 1); }

static inline struct map_layout map_layout(struct tg_map_shape shape)
{
    const uint32_t align = shape.align == 16 ? 16 : 8;
    const uint32_t value_offset = align + round_up(shape.key_bytes, align);
    return (struct map_layout){align, value_offset, value_offset + round_up(shape.value_bytes, align), shape.key_bytes};
}
static inline uint8_t *map_slot(const struct tg_map *map, struct map_layout layout, uint32_t index)
{
    return map->slots + (size_t)index * layout.slot_bytes;
}
static inline uint64_t map_slot_hash(const uint8_t *slot)
{
    uint64_t hash;
    memcpy(&hash, slot, sizeof hash);
    return hash;
}
static inline uint64_t map_hash(struct map_layout layout, const void *key)
{
    return tg_key_hash(key, layout.key_bytes) | 1;
}
static inline uint32_t map_home(uint32_t capacity, uint64_t hash)
{
    const uint32_t homes = capacity - capacity / 8 - 1;
    return (uint32_t)(((hash >> 32) * homes) >> 32);
}

struct map_place {
    uint32_t index; /* of the entry, or of where it belongs; may be the capacity */
    bool found;
};

/* Ends: at a free slot, at a larger entry, or behind the last slot. */
static struct map_place map_seek(const struct tg_map *map, struct map_layout layout, const void *key, uint64_t hash)
{
    uint32_t index = map_home(map->capacity, hash);
    for (; index < map->capacity; index++) {
        const uint8_t *slot = map_slot(map, layout, index);
        const uint64_t other = map_slot_hash(slot);
        if (other == 0 || other > hash) { break; }
        if (other < hash) { continue; }
        const int order = memcmp(slot + layout.key_offset, key, layout.key_bytes);
        if (order >= 0) { return (struct map_place){index, order == 0}; }
    }
    return (struct map_place){index, false};
}

/* Copy the entries, in order, into zeroed slots; false when the last run would leave the table. */
static bool map_copy(const struct tg_map *from, struct tg_map *to, struct map_layout layout)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < from->capacity; i++) {
        const uint8_t *slot = map_slot(from, layout, i);
        const uint64_t hash = map_slot_hash(slot);
        if (hash == 0) { continue; }
        const uint32_t home = map_home(to->capacity, hash);
        next = next > home ? next : home;
        if (next == to->capacity) { return false; }
        memcpy(map_slot(to, layout, next), slot, layout.slot_bytes);
        next++;
    }
    return true;
}

/* Move all entries into a block of `want_bytes`. False when the heap is spent or the entries do not fit. */
static TG_COLD bool map_resize(struct tg_map *map, struct tg_heap *heap, struct map_layout layout, uint64_t want_bytes)
{
    uint32_t given_bytes;
    if (want_bytes > BLOCK_BYTES_MAX) { return false; }
    uint8_t *slots = tg_heap_acquire(heap, (uint32_t)want_bytes, &given_bytes);
    if (slots == NULL) { return false; }
    memset(slots, 0, given_bytes);
    struct tg_map moved = {.count = map->count, .capacity = given_bytes / layout.slot_bytes, .slots = slots};
    if (!map_copy(map, &moved, layout)) {
        tg_heap_release(heap, slots, given_bytes);
        return false;
    }
    if (map->capacity != 0) { tg_heap_release(heap, map->slots, map->capacity * layout.slot_bytes); }
    *map = moved;
    return true;
}

/* Double. False at the largest block, and when the heap is spent. */
static TG_COLD bool map_grow(struct tg_map *map, struct tg_heap *heap, struct map_layout layout)
{
    uint64_t want_bytes = 2 * (uint64_t)map->capacity * layout.slot_bytes;
    const uint64_t least_bytes = 4 * (uint64_t)layout.slot_bytes;
    if (want_bytes < MAP_BYTES_MIN) { want_bytes = MAP_BYTES_MIN; }
    if (want_bytes < least_bytes) { want_bytes = least_bytes; }
    return map_resize(map, heap, layout, want_bytes);
}

/* The free slot that ends the run at `index`; the capacity when there is none. */
static uint32_t map_run_end(const struct tg_map *map, struct map_layout layout, uint32_t index)
{
    while (index < map->capacity && map_slot_hash(map_slot(map, layout, index)) != 0) { index++; }
    return index;
}

/* Room for one more entry, which is not there yet: *index is where it goes. Ends: every round doubles the block. */
static bool map_reserve(struct tg_map *map, struct tg_heap *heap, struct map_layout layout, const void *key,
                        uint32_t *index)
{
    const uint64_t hash = map_hash(layout, key);
    const uint64_t half_bytes = (uint64_t)map->capacity / 2 * layout.slot_bytes;
    if (TG_UNLIKELY(map->count < map->capacity / 8 && half_bytes >= MAP_BYTES_MIN)) {
        (void)map_resize(map, heap, layout, half_bytes); /* refused = stay as we are */
    }
    for (;;) {
        if (4 * ((uint64_t)map->count + 1) <= 3 * (uint64_t)map->capacity) {
            *index = map_seek(map, layout, key, hash).index;
            const uint32_t end = map_run_end(map, layout, *index);
            if (TG_LIKELY(end < map->capacity)) {
                uint8_t *place = map_slot(map, layout, *index);
                memmove(place + layout.slot_bytes, place, (size_t)(end - *index) * layout.slot_bytes);
                return true;
            }
        }
        if (!map_grow(map, heap, layout)) { return false; }
    }
}

void *tg_map_upsert(struct tg_map *map, struct tg_heap *heap, struct tg_map_shape shape, const void *key, bool *fresh)
{
    TG_DCHECK(shape.key_bytes >= 1);
    const struct map_layout layout = map_layout(shape);
    void *value = tg_map_find(map, shape, key);
    *fresh = false;
    if (value != NULL) { return value; }
    uint32_t index;
    if (!map_reserve(map, heap, layout, key, &index)) { return NULL; }
    uint8_t *slot = map_slot(map, layout, index);
    const uint64_t hash = map_hash(layout, key);
    memset(slot, 0, layout.slot_bytes);
    memcpy(slot, &hash, sizeof hash);
    memcpy(slot + layout.key_offset, key, layout.key_bytes);
    map->count++;
    *fresh = true;
    return slot + layout.value_offset;
}

void *tg_map_find(const struct tg_map *map, struct tg_map_shape shape, const void *key)
{
    if (map->count == 0) { return NULL; }
    const struct map_layout layout = map_layout(shape);
    const struct map_place place = map_seek(map, layout, key, map_hash(layout, key));
    return place.found ? map_slot(map, layout, place.index) + layout.value_offset : NULL;
}

void tg_map_remove_at(struct tg_map *map, struct tg_map_shape shape, uint32_t slot)
{
    const struct map_layout layout = map_layout(shape);
    TG_ASSERT(slot < map->capacity);
    uint8_t *place = map_slot(map, layout, slot);
    TG_ASSERT(map_slot_hash(place) != 0);
    uint32_t end = slot + 1; /* entries behind it that are not at home come one slot nearer */
    for (; end < map->capacity; end++) {
        const uint64_t hash = map_slot_hash(map_slot(map, layout, end));
        if (hash == 0 || map_home(map->capacity, hash) == end) { break; }
    }
    memmove(place, place + layout.slot_bytes, (size_t)(end - slot - 1) * layout.slot_bytes);
    memset(map_slot(map, layout, end - 1), 0, sizeof(uint64_t));
    map->count--;
}

bool tg_map_remove(struct tg_map *map, struct tg_map_shape shape, const void *key)
{
    if (map->count == 0) { return false; }
    const struct map_layout layout = map_layout(shape);
    const struct map_place place = map_seek(map, layout, key, map_hash(layout, key));
    if (place.found) { tg_map_remove_at(map, shape, place.index); }
    return place.found;
}

uint32_t tg_map_next(const struct tg_map *map, struct tg_map_shape shape, uint32_t slot, const void **key, void **value)
{
    const struct map_layout layout = map_layout(shape);
    for (uint32_t index = slot; index < map->capacity; index++) {
        uint8_t *place = map_slot(map, layout, index);
        if (map_slot_hash(place) == 0) { continue; }
        *key = place + layout.key_offset;
        *value = place + layout.value_offset;
        return index;
    }
    return UINT32_MAX;
}

void tg_map_clear(struct tg_map *map, struct tg_heap *heap, struct tg_map_shape shape)
{
    if (map->capacity != 0) { tg_heap_release(heap, map->slots, map->capacity * map_layout(shape).slot_bytes); }
    *map = (struct tg_map){0};
}

void tg_map_check(const struct tg_map *map, struct tg_map_shape shape)
{
    const struct map_layout layout = map_layout(shape);
    const uint8_t *before = NULL;
    uint32_t count = 0;
    uint32_t run = 0; /* where the run of occupied slots began */
    for (uint32_t i = 0; i < map->capacity; i++) {
        const uint8_t *slot = map_slot(map, layout, i);
        const uint64_t hash = map_slot_hash(slot);
        if (hash == 0) {
            run = i + 1;
            continue;
        }
        TG_ASSERT(hash == map_hash(layout, slot + layout.key_offset));
        TG_ASSERT(map_home(map->capacity, hash) <= i);
        TG_ASSERT(map_home(map->capacity, hash) >= run); /* no free slot between an entry and its home */
        if (before != NULL) {
            const uint64_t earlier = map_slot_hash(before);
            TG_ASSERT(earlier <= hash);
            TG_ASSERT(earlier < hash ||
                      memcmp(before + layout.key_offset, slot + layout.key_offset, layout.key_bytes) < 0);
        }
        before = slot;
        count++;
    }
    TG_ASSERT(count == map->count);
}
