/* Event-time timers: hierarchical wheels (G. Varghese, A. Lauck, SOSP 1987) over the slots of a table. A bucket is an
 * array of 8-byte entries "look at this slot at this tick"; when a timer is due says its node alone, which lies in the
 * slot's value. Arming later than before only writes the node, disarming too: the entry finds out at its turn. Instants
 * are exact microseconds: a bucket is a neighbourhood, never a rounding. */
#ifndef TG_STATE_WHEEL_H
#define TG_STATE_WHEEL_H

#include "state/table.h"

/* Embedded in the value at a fixed offset; all-zero is "not armed". */
struct tg_wheel_node {
    int64_t due;   /* microseconds; meaningful while armed */
    uint64_t look; /* the wheel's: armed or not, in which wheel, and which entry leads here */
};
static_assert(sizeof(struct tg_wheel_node) == 16, "part of every state slot");

struct tg_wheel; /* opaque: wheel.c */

enum {
    /* About 1 ms: timers of up to a minute then move once before they fire, and those of one bucket keep the cache's
     * prefetching busy. Results never depend on it. */
    TG_WHEEL_TICK_BITS = 10,
    TG_WHEEL_TICK_BITS_MAX = 32,
    TG_WHEEL_COUNT_MAX = 1 << 16,
};

/* All wheels over the slots of one table: they share the memory for entries, and a slot is armed in at most one. */
struct tg_wheel_config {
    struct tg_table *table;   /* the slots; not needed for tg_wheel_bytes */
    uint64_t entry_count_max; /* of the table */
    uint32_t wheel_count;     /* 1 to TG_WHEEL_COUNT_MAX, one per clock */
    uint32_t node_offset;     /* of the node inside a value */
    uint32_t tick_bits; /* 1 to 32: the finest bucket is 2^tick_bits microseconds wide; TG_WHEEL_TICK_BITS suits most */
};

/* Address space needed from the arena; touched as timers come.  @setup */
size_t tg_wheel_bytes(const struct tg_wheel_config *config);
/* Empty wheels[0 .. wheel_count - 1] over the slots of config->table, which is borrowed. Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_wheel_create(struct tg_wheel **wheels, const struct tg_wheel_config *config,
                                      struct tg_arena *arena, struct tg_error *err);

/* Arm or re-arm the node of `value` for `due`; it is not armed in another wheel. A due below the clock is legal: the
 * next expire returns it. The slot may only be removed once it is no longer armed.  @shard */
TG_HOT void tg_wheel_arm(struct tg_wheel *wheel, void *value, int64_t due);
/* The node will not fire; legal when it is not armed.  @shard */
TG_HOT void tg_wheel_disarm(struct tg_wheel *wheel, void *value);
/* Take out up to `count_max` nodes with due < clock and list their values; order is free. Call again while it returns
 * count_max. The clock never goes back. TG_TS_MAX takes out everything.  @shard */
TG_HOT uint32_t tg_wheel_expire(struct tg_wheel *wheel, int64_t clock, void **values, uint32_t count_max);
/* Armed nodes.  @shard */
uint64_t tg_wheel_count(const struct tg_wheel *wheel);

/* Derive everything from the nodes in the table, for `wheel` and all it was created with: after values came back with
 * the armed nodes they had. Bring the clocks forward (tg_wheel_expire) before that. Cost: all slots.  @shard */
void tg_wheel_rebuild(struct tg_wheel *wheel);
/* Assert every entry, node and bucket of `wheel`, and the memory it shares. Cost: all entries. Writes to nodes, but
 * leaves them as they were.  @shard */
void tg_wheel_check(struct tg_wheel *wheel);

#endif
