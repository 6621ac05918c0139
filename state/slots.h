/* Where the slots of a table lie: from slot numbers to addresses and back. Shared inside state/ only: the table lays
 * slots out, the wheel names them by number.
 *
 * A slot is a 32-byte head followed by the value. Its size is a multiple of 32, which never touches more cache lines
 * than a multiple of 64 would: 64n + 32 bytes starting at 0 or 32 both lie on n + 1 lines. A slot's number is its
 * distance from the first one in units of 32 bytes: numbers have gaps, but both directions are a shift and an addition,
 * and 32 bits of them reach 128 GiB. */
#ifndef TG_STATE_SLOTS_H
#define TG_STATE_SLOTS_H

#include "state/table.h"

/* Head of a slot. */
struct tg_slot {
    uint64_t hash;                    /* of the key; in a free slot: number + 1 of the next free one, 0 = last */
    uint32_t key_bytes;               /* TG_SLOT_FREE in a free slot */
    uint8_t key[TG_KEY_INLINE_BYTES]; /* the key, or from byte TG_KEY_FAR_OFFSET its address in the heap */
};
static_assert(sizeof(struct tg_slot) == 32, "the value starts at a multiple of 16");
enum { TG_KEY_FAR_OFFSET = 4 }; /* makes the address 8-aligned in the slot */
#define TG_SLOT_FREE UINT32_MAX

enum {
    TG_SLOT_UNIT_BITS = 5, /* 32 bytes */
    TG_SEGMENT_UNITS = TG_SEGMENT_BYTES >> TG_SLOT_UNIT_BITS,
};

struct tg_slots {
    uint8_t *base;      /* segments in one contiguous range */
    uint16_t *occupied; /* [segments] slots in use of each: walks skip segments without */
    uint32_t slot_bytes;
    uint32_t slot_units; /* slot_bytes / 32 */
    uint32_t last_unit;  /* within a segment: where its last slot starts */
};

static inline struct tg_slot *tg_slots_at(const struct tg_slots *slots, uint32_t number)
{
    return (struct tg_slot *)(void *)(slots->base + ((uint64_t)number << TG_SLOT_UNIT_BITS));
}
static inline uint32_t tg_slots_number(const struct tg_slots *slots, const struct tg_slot *slot)
{
    return (uint32_t)((uint64_t)((const uint8_t *)slot - slots->base) >> TG_SLOT_UNIT_BITS);
}
/* The slot behind `number`, in the next segment when this one is full. */
static inline uint32_t tg_slots_after(const struct tg_slots *slots, uint32_t number)
{
    const uint32_t unit = number & (TG_SEGMENT_UNITS - 1);
    return unit == slots->last_unit ? number - unit + TG_SEGMENT_UNITS : number + slots->slot_units;
}
static inline struct tg_slot *tg_slots_of_value(const void *value)
{
    return (struct tg_slot *)(uintptr_t)((const uint8_t *)value - sizeof(struct tg_slot));
}
static inline void *tg_slots_value(struct tg_slot *slot) { return slot + 1; }

/* Where a walk in pieces stands; all zero at first, but for the looks. */
struct tg_slots_walk {
    uint32_t next;  /* every slot before it has been looked at */
    uint32_t looks; /* left: one for a slot, one for a segment in which none is in use */
};
/* The next slot in use before `end` (at most tg_table_slot_end); the walk moves behind it. TG_SLOT_NONE: there is none
 * (next >= end), or the looks are spent. Cost: at most `looks` cache misses.  @shard */
uint32_t tg_slots_walk(const struct tg_slots *slots, struct tg_slots_walk *walk, uint32_t end);

/* The layout of a table; valid as long as the table.  @shard */
const struct tg_slots *tg_table_slots(const struct tg_table *table);

#endif
