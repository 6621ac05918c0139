/* Set-up of a ring; the hot half lies in the header so that it inlines. */
#include "shards/ring.h"

#include <stddef.h>

#include "base/assert.h"

void tg_ring_init(struct tg_ring *ring, void **slots, uint32_t slot_count)
{
    TG_ASSERT(slots != NULL);
    TG_ASSERT(slot_count != 0 && (slot_count & (slot_count - 1)) == 0);
    TG_ASSERT(((uintptr_t)ring & (TG_LINE_PAIR - 1)) == 0);
    atomic_init(&ring->tail, 0);
    atomic_init(&ring->head, 0);
    ring->head_seen = 0;
    ring->tail_seen = 0;
    ring->slots = slots;
    ring->mask = slot_count - 1;
}
