/* Keyed state: an open-addressing index (32-bit tag, 32-bit slot number) over 64 KiB segments of slots that never move.
 * The index is reserved for entry_count_max at set-up, so nothing ever rehashes. All operations of the hot path take
 * batches: every line is prefetched some dozens of rows before it is touched. Values are fixed-size and belong to the
 * engine and operators; keys up to TG_KEY_INLINE_BYTES live in the slot, longer ones in the heap pool. */
#ifndef TG_STATE_TABLE_H
#define TG_STATE_TABLE_H

#include "base/arena.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/types.h"
#include "state/heap.h"

enum { TG_SEGMENT_BYTES = 65536, TG_KEY_INLINE_BYTES = 20, TG_VALUE_BYTES_MAX = 8192 };
#define TG_SLOT_NONE UINT32_MAX

struct tg_table_config {
    uint64_t entry_count_max; /* hard limit, reserved at setup; hitting it is an outcome, never a resize */
    uint64_t hash_seed;       /* odd factor of the hash. The engine's is a constant: no guard against chosen keys */
    uint32_t value_bytes;     /* same for every key, 1 to TG_VALUE_BYTES_MAX; values are aligned to 16 */
};

struct tg_table; /* opaque: table.c */

/* Address space needed from the arena.  @setup */
size_t tg_table_bytes(const struct tg_table_config *config);
/* Lay out a table in the arena; long keys come from `heap`, which is borrowed. Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_table_create(struct tg_table **table, const struct tg_table_config *config,
                                      struct tg_heap *heap, struct tg_arena *arena, struct tg_error *err);

/* Find or create the state of `count` keys in one call (1 to TG_BATCH_ROWS_MAX).
 *   keys    in  [count]         borrowed for this call
 *   hashes  in  [count]         tg_key_hash(key); the exchange computed them, nobody hashes twice
 *   values  out [count]         point into the table; valid until removed
 *   fresh   out [count/64 up]   bit i is set when key i was absent; its value bytes are then zero
 * The same key may occur several times; it is fresh once. Returns how many leading keys were placed; fewer than `count`
 * only when entry_count_max or the heap is exhausted at that key: this module never decides policy.
 * Cost: about two cache misses a key, overlapped by prefetching rows ahead.  @shard */
TG_HOT TG_MUST_USE uint32_t tg_table_upsert(struct tg_table *table, uint32_t count, const struct tg_key *keys,
                                            const uint64_t *hashes, void **values, uint64_t *fresh);

/* Existing state only; NULL when absent.  @shard */
TG_HOT void *tg_table_find(struct tg_table *table, struct tg_key key, uint64_t hash);

/* Remove the entry that holds `value` (containers inside must have been freed). The slot is reused later.  @shard */
void tg_table_remove(struct tg_table *table, void *value);

/* Slot number of a value and back; slot numbers stay valid until removal.  @shard */
uint32_t tg_table_slot(const struct tg_table *table, const void *value);
void *tg_table_value(const struct tg_table *table, uint32_t slot);
/* Key and hash of the entry that holds `value`; the key is valid until removal.  @shard */
struct tg_key tg_table_key(const struct tg_table *table, const void *value);
uint64_t tg_table_hash(const struct tg_table *table, const void *value);

/* Number of entries, bytes committed for them, and the longest probe so far.  @shard */
uint64_t tg_table_count(const struct tg_table *table);
uint64_t tg_table_used_bytes(const struct tg_table *table);
uint32_t tg_table_probe_max(const struct tg_table *table);

/* Walk: returns the next occupied slot at or after `slot`, TG_SLOT_NONE at the end.  @shard */
uint32_t tg_table_next(const struct tg_table *table, uint32_t slot);

/* One past the largest slot number that was ever used.  @shard */
uint32_t tg_table_slot_end(const struct tg_table *table);

/* Assert every invariant of index, slots and free list. Cost: whole table.  @shard */
void tg_table_check(const struct tg_table *table);

#endif
