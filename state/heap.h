/* Size-class pools for what varies in state: long keys and containers' elements. Blocks of 2^k bytes (32 B to 8 MiB)
 * are carved from the shard's arena in 64 KiB segments (larger ones singly) and kept on free lists; a hard limit makes
 * exhaustion an outcome. */
#ifndef TG_STATE_HEAP_H
#define TG_STATE_HEAP_H

#include "base/arena.h"
#include "base/status.h"

struct tg_heap; /* opaque: heap.c */

/* Address space needed from the arena for `bytes_max` of blocks.  @setup */
size_t tg_heap_bytes(uint64_t bytes_max);
TG_MUST_USE tg_status tg_heap_create(struct tg_heap **heap, uint64_t bytes_max, struct tg_arena *arena,
                                     struct tg_error *err);

/* At least `bytes` (1 to 8 MiB), 16-byte aligned, contents undefined; *capacity (may be NULL) is what was really given.
 * NULL = the limit is spent.  @shard */
TG_HOT TG_MUST_USE void *tg_heap_acquire(struct tg_heap *heap, uint32_t bytes, uint32_t *capacity);
/* Give back a block acquired with the same `bytes` (or its capacity).  @shard */
TG_HOT void tg_heap_release(struct tg_heap *heap, void *block, uint32_t bytes);
/* Bytes handed out, by capacity.  @shard */
uint64_t tg_heap_used_bytes(const struct tg_heap *heap);

#endif
