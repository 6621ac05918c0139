/* Walks over the slots of a table. Free slots are looked at one by one, each a cache line of its own: a table that was
 * full once and holds ten keys now is a long way, so that walks can stop anywhere, and segments without a key are
 * skipped. */
#include "state/slots.h"

uint32_t tg_slots_walk(const struct tg_slots *slots, struct tg_slots_walk *walk, uint32_t end)
{
    uint32_t number = walk->next;
    uint32_t looks = walk->looks;
    uint32_t found = TG_SLOT_NONE;
    for (; number < end && looks != 0 && found == TG_SLOT_NONE; looks--) {
        if (slots->occupied[number / TG_SEGMENT_UNITS] == 0) {
            number = (number | (TG_SEGMENT_UNITS - 1)) + 1;
            continue;
        }
        if (tg_slots_at(slots, number)->key_bytes != TG_SLOT_FREE) { found = number; }
        number = tg_slots_after(slots, number);
    }
    walk->next = number;
    walk->looks = looks;
    return found;
}

uint32_t tg_table_next(const struct tg_table *table, uint32_t slot)
{
    const struct tg_slots *slots = tg_table_slots(table);
    struct tg_slots_walk walk = {.next = slot, .looks = UINT32_MAX}; /* more than there are slots */
    const uint32_t past = slot % TG_SEGMENT_UNITS % slots->slot_units;
    if (past != 0) { walk.next += slots->slot_units - past; } /* from between two slots to the next one */
    if (walk.next % TG_SEGMENT_UNITS > slots->last_unit) { walk.next = (walk.next | (TG_SEGMENT_UNITS - 1)) + 1; }
    return tg_slots_walk(slots, &walk, tg_table_slot_end(table));
}
