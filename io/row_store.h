/* Row store: what a row-per-key sink still has to write. Latest image of every waiting row key, texts owned, bounded,
 * handed out in the order in which the keys first came. One shard owns it; entries that were taken keep their place in
 * memory until they are released, so another thread may read them meanwhile.
 * Memory is bounded by what waits at the same time, not by how many keys pass through: slots and texts are reused last
 * in, first out. Texts live in blocks of powers of two from an area of their own. */
#ifndef TG_IO_ROW_STORE_H
#define TG_IO_ROW_STORE_H

#include "base/arena.h"
#include "base/schema.h"

struct tg_row_store_config {
    const struct tg_schema *schema;
    const uint32_t *key_columns; /* [key_count] of schema; borrowed for the store's life */
    uint32_t key_count;          /* >= 1 */
    uint32_t capacity;           /* entries, waiting and taken together */
    size_t text_bytes;           /* for the texts of all entries; raised to what one row may need */
};

struct tg_row_entry {
    struct tg_row_entry *next; /* the store's */
    uint64_t hash;             /* the store's */
    uint64_t arrived_ns;       /* when the oldest row behind this entry arrived; 0 = unknown */
    uint64_t rows;             /* how many rows it stands for: 1 + replaced + stale ones */
    void *texts;               /* the store's */
    uint32_t text_class;       /* the store's */
};

struct tg_row_store; /* opaque */

enum tg_row_put {
    TG_ROW_PUT_FULL,     /* not taken: no entry or no text memory is free until something is released */
    TG_ROW_PUT_NEW,      /* first row of its key among the waiting ones */
    TG_ROW_PUT_REPLACED, /* its key waited with a lower revision */
    TG_ROW_PUT_STALE,    /* its key waits with this or a higher revision; counted in that entry */
};

/* Address space needed from the arena.  @setup */
size_t tg_row_store_bytes(const struct tg_row_store_config *config);
/* Errors: TG1601 when the arena is too small.  @setup */
TG_MUST_USE tg_status tg_row_store_create(struct tg_row_store **store, const struct tg_row_store_config *config,
                                          struct tg_arena *arena, struct tg_error *err);

/* Keep a copy of `row` (of the schema) unless its key waits with an equal or higher revision. O(1).  @shard */
enum tg_row_put tg_row_store_put(struct tg_row_store *store, const struct tg_row *row, uint64_t arrived_ns);
/* Keys that wait: put and not taken.  @shard */
uint32_t tg_row_store_count(const struct tg_row_store *store);
/* Rows behind the entries that are waiting or taken.  @shard */
uint64_t tg_row_store_rows(const struct tg_row_store *store);
/* Take up to `count` entries, oldest key first, into entries[]; returns how many. A later row of a taken key is a new
 * entry. The entries do not change until released.  @shard */
uint32_t tg_row_store_take(struct tg_row_store *store, struct tg_row_entry **entries, uint32_t count);
/* Give a taken entry back.  @shard */
void tg_row_store_release(struct tg_row_store *store, struct tg_row_entry *entry);
/* The row image behind an entry.  @any */
static inline const struct tg_row *tg_row_entry_row(const struct tg_row_entry *entry)
{
    return (const struct tg_row *)(const void *)(((uintptr_t)(entry + 1) + 15) & ~(uintptr_t)15);
}
/* Count everything again and assert that it fits together (tests).  @shard */
void tg_row_store_check(const struct tg_row_store *store);

#endif
