/* Blocks of 2^k bytes. Small classes are cut from 64 KiB segments, larger blocks come from the arena range singly;
 * both from one bump pointer. A released block goes on the free list of its class, first used last freed, because it
 * is still in the cache. When the range is spent, larger free blocks are halved; halves are never joined again, which
 * the doubled address range makes up for. There is no header per block: the caller knows what it asked for. */
#include "state/heap.h"

#include <string.h>

#include "base/assert.h"

enum {
    CLASS_BITS_MIN = 5,  /* 32 B */
    CLASS_BITS_MAX = 23, /* 8 MiB */
    CLASS_COUNT = CLASS_BITS_MAX - CLASS_BITS_MIN + 1,
    SEGMENT_BITS = 16,
};

struct block {
    struct block *next;
};

struct tg_heap {
    uint64_t used_bytes; /* handed out, by capacity */
    uint64_t bytes_max;
    uint8_t *range;
    uint64_t range_bytes;
    uint64_t carved_bytes;
    struct block *free[CLASS_COUNT];
    uint8_t *segment_next[CLASS_COUNT]; /* rest of the segment in use by a small class */
    uint8_t *segment_end[CLASS_COUNT];
};

/* Twice the limit, because blocks freed in one class do not serve a larger one; then a segment in use per class. */
static uint64_t range_bytes_for(uint64_t bytes_max)
{
    return 2 * bytes_max + (uint64_t)CLASS_COUNT * (1u << SEGMENT_BITS);
}

size_t tg_heap_bytes(uint64_t bytes_max) { return sizeof(struct tg_heap) + range_bytes_for(bytes_max) + 8192; }

tg_status tg_heap_create(struct tg_heap **heap, uint64_t bytes_max, struct tg_arena *arena, struct tg_error *err)
{
    struct tg_heap *self = tg_arena_alloc(arena, sizeof *self, 64);
    uint8_t *range = tg_arena_alloc(arena, range_bytes_for(bytes_max), 4096);
    if (self == NULL || range == NULL) {
        return tg_fail(err, TG1601, 0, "no address space for %llu bytes of state", (unsigned long long)bytes_max);
    }
    tg_arena_advise_huge(range, range_bytes_for(bytes_max)); /* blocks are touched at random: spare the page walks */
    *self = (struct tg_heap){.bytes_max = bytes_max, .range = range, .range_bytes = range_bytes_for(bytes_max)};
    *heap = self;
    return TG_OK;
}

static inline uint32_t class_of(uint32_t bytes)
{
    TG_ASSERT(bytes >= 1 && bytes <= 1u << CLASS_BITS_MAX);
    if (bytes <= 1u << CLASS_BITS_MIN) { return 0; }
    return 32 - (uint32_t)__builtin_clz(bytes - 1) - CLASS_BITS_MIN;
}

static inline uint32_t class_bytes(uint32_t class) { return 1u << (class + CLASS_BITS_MIN); }

static inline void list_push(struct tg_heap *heap, uint32_t class, void *data)
{
    struct block *block = data;
    block->next = heap->free[class];
    heap->free[class] = block;
}

static uint8_t *range_carve(struct tg_heap *heap, uint64_t bytes)
{
    if (bytes > heap->range_bytes - heap->carved_bytes) { return NULL; }
    uint8_t *data = heap->range + heap->carved_bytes;
    heap->carved_bytes += bytes;
    return data;
}

/* A block that was never handed out. */
static void *class_carve(struct tg_heap *heap, uint32_t class)
{
    const uint32_t bytes = class_bytes(class);
    if (bytes >= 1u << SEGMENT_BITS) { return range_carve(heap, bytes); }
    if (heap->segment_next[class] == heap->segment_end[class]) {
        uint8_t *segment = range_carve(heap, 1u << SEGMENT_BITS);
        if (segment == NULL) { return NULL; }
        heap->segment_next[class] = segment;
        heap->segment_end[class] = segment + (1u << SEGMENT_BITS);
    }
    uint8_t *data = heap->segment_next[class];
    heap->segment_next[class] += bytes;
    return data;
}

/* Halve the smallest larger free block down to `class`. */
static void *class_split(struct tg_heap *heap, uint32_t class)
{
    uint32_t from = class + 1;
    while (from < CLASS_COUNT && heap->free[from] == NULL) { from++; }
    if (from >= CLASS_COUNT) { return NULL; }
    struct block *block = heap->free[from];
    heap->free[from] = block->next;
    while (from > class) {
        from--;
        list_push(heap, from, (uint8_t *)block + class_bytes(from));
    }
    return block;
}

static TG_COLD void *class_refill(struct tg_heap *heap, uint32_t class)
{
    void *data = class_carve(heap, class);
    return data != NULL ? data : class_split(heap, class);
}

void *tg_heap_acquire(struct tg_heap *heap, uint32_t bytes, uint32_t *capacity)
{
    const uint32_t class = class_of(bytes);
    if (class_bytes(class) > heap->bytes_max - heap->used_bytes) { return NULL; }
    void *data = heap->free[class];
    if (TG_LIKELY(data != NULL)) {
        heap->free[class] = heap->free[class]->next;
    } else {
        data = class_refill(heap, class);
        if (data == NULL) { return NULL; }
    }
    heap->used_bytes += class_bytes(class);
    if (capacity != NULL) { *capacity = class_bytes(class); }
    return data;
}

void tg_heap_release(struct tg_heap *heap, void *block, uint32_t bytes)
{
    const uint32_t class = class_of(bytes);
    TG_DCHECK((uint8_t *)block >= heap->range && (uint8_t *)block < heap->range + heap->carved_bytes);
    TG_DCHECK(heap->used_bytes >= class_bytes(class));
#ifdef TG_DEBUG
    memset(block, 0xDB, class_bytes(class)); /* a reader that comes too late finds nonsense, not yesterday's truth */
#endif
    list_push(heap, class, block);
    heap->used_bytes -= class_bytes(class);
}

uint64_t tg_heap_used_bytes(const struct tg_heap *heap) { return heap->used_bytes; }
