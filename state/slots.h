/* Where the slots of a table lie: from slot numbers to addresses and back. Shared inside state/ only: the table lays
 * slots out, the wheel links them by number.
 *
 * A slot is a 32-byte head followed by the value. Its size is a multiple of 32, which never touches more cache lines
 * than a multiple of 64 would: 64n + 32 bytes starting at 0 or 32 both lie on n + 1 lines. A number is
 * (segment << place_bits) + place, with gaps where a segment's slots are not a power of two, so that both directions
 * are shifts and one multiplication. */
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

struct tg_slots {
    uint8_t *base;       /* segments in one contiguous range */
    uint64_t reciprocal; /* 2^32 / slot_bytes rounded up: exact for multiples of slot_bytes below 2^16 */
    uint32_t slot_bytes;
    uint32_t place_bits;
    uint32_t places; /* slots of one segment */
};

static inline struct tg_slot *tg_slots_at(const struct tg_slots *slots, uint32_t number)
{
    const uint64_t segment = number >> slots->place_bits;
    const uint32_t place = number & ((1u << slots->place_bits) - 1);
    return (struct tg_slot *)(void *)(slots->base + segment * TG_SEGMENT_BYTES + place * slots->slot_bytes);
}

static inline uint32_t tg_slots_number(const struct tg_slots *slots, const struct tg_slot *slot)
{
    const uint64_t offset = (uint64_t)((const uint8_t *)slot - slots->base);
    const uint64_t place = ((offset & (TG_SEGMENT_BYTES - 1)) * slots->reciprocal) >> 32;
    return (uint32_t)((offset / TG_SEGMENT_BYTES) << slots->place_bits) + (uint32_t)place;
}

static inline struct tg_slot *tg_slots_of_value(const void *value)
{
    return (struct tg_slot *)(uintptr_t)((const uint8_t *)value - sizeof(struct tg_slot));
}
static inline void *tg_slots_value(struct tg_slot *slot) { return slot + 1; }

/* The layout of a table; valid as long as the table.  @shard */
const struct tg_slots *tg_table_slots(const struct tg_table *table);

#endif
