/* Event-time timers: a hierarchical wheel (G. Varghese, A. Lauck, SOSP 1987) whose nodes lie inside the slots of a
 * table, linked by slot number. Arming later than before only writes the node (it moves when its bucket is reached), so
 * the common re-arm costs no list operation. Instants are exact microseconds: a bucket is a neighbourhood, never a
 * rounding. */
#ifndef TG_STATE_WHEEL_H
#define TG_STATE_WHEEL_H

#include "state/table.h"

/* Embedded in the value at a fixed offset; all-zero is "not armed". */
struct tg_wheel_node {
    uint32_t next;     /* slot number + 1; 0 = none */
    uint32_t prev;     /* slot number + 1; 0 = first of its bucket */
    uint32_t bucket;   /* bucket index + 1; 0 = not in the wheel */
    uint32_t reserved; /* the wheel's */
    int64_t due;       /* microseconds; meaningful while in the wheel */
};
static_assert(sizeof(struct tg_wheel_node) == 24, "part of every state slot");

struct tg_wheel; /* opaque: wheel.c */

/* About 1 ms: timers of up to a minute then move once before they fire, and a clock that creeps meets a handful of
 * nodes in its bucket. Results never depend on it. */
enum { TG_WHEEL_TICK_BITS = 10 };

struct tg_wheel_config {
    struct tg_table *table; /* the slots */
    uint32_t node_offset;   /* of the node inside a value */
    uint32_t tick_bits; /* 1 to 40: the finest bucket is 2^tick_bits microseconds wide; TG_WHEEL_TICK_BITS suits most */
};

/* Address space needed from the arena.  @setup */
size_t tg_wheel_bytes(const struct tg_wheel_config *config);
/* An empty wheel over the slots of config->table, which is borrowed. Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_wheel_create(struct tg_wheel **wheel, const struct tg_wheel_config *config,
                                      struct tg_arena *arena, struct tg_error *err);

/* Arm or re-arm the node of `value` for `due`. A due below the clock is legal: the next expire returns it.  @shard */
TG_HOT void tg_wheel_arm(struct tg_wheel *wheel, void *value, int64_t due);
/* Take the node out; legal when it is not armed.  @shard */
TG_HOT void tg_wheel_disarm(struct tg_wheel *wheel, void *value);
/* Take out up to `count_max` nodes with due < clock and list their values; order is free. Call again while it returns
 * count_max. The clock never goes back. TG_TS_MAX takes out everything.  @shard */
TG_HOT uint32_t tg_wheel_expire(struct tg_wheel *wheel, int64_t clock, void **values, uint32_t count_max);
/* Armed nodes.  @shard */
uint64_t tg_wheel_count(const struct tg_wheel *wheel);
/* Assert every link and bucket. Cost: all nodes.  @shard */
void tg_wheel_check(const struct tg_wheel *wheel);

#endif
