/* Bounded single-producer, single-consumer ring of pointers: hands batches from exactly one shard to exactly
 * one other. Never blocks, allocates or enters the kernel. Positions run free and are masked on access.
 *   P1 tail store-release (push)  pairs with  C1 tail load-acquire (pop):  slot contents are visible
 *   C2 head store-release (pop)   pairs with  P2 head load-acquire (push): slot reads are finished */
#ifndef TG_SHARDS_RING_H
#define TG_SHARDS_RING_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base/attributes.h"

struct tg_ring {
    alignas(TG_LINE_PAIR) _Atomic uint64_t tail; /* written by the producer only */
    uint64_t head_seen;                          /* producer's last look at head */
    alignas(TG_LINE_PAIR) _Atomic uint64_t head; /* written by the consumer only */
    uint64_t tail_seen;                          /* consumer's last look at tail */
    alignas(TG_LINE_PAIR) void **slots;          /* [mask + 1], borrowed; fixed after init */
    uint64_t mask;
};
static_assert(sizeof(struct tg_ring) == 3 * TG_LINE_PAIR, "each writer owns a line pair; nothing else shares it");

/* `slot_count` is a power of two; slots[slot_count] is lent for the ring's life.  @setup */
void tg_ring_init(struct tg_ring *ring, void **slots, uint32_t slot_count);

/* Push a prefix of items[count]; returns its length. Shorter than `count` means full: the caller keeps the
 * rest and applies backpressure. Ownership of the pushed items moves to the consumer.  @producer */
TG_HOT static inline uint32_t tg_ring_push(struct tg_ring *ring, void *const *items, uint32_t count)
{
    const uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed); /* our own store */
    uint64_t room = ring->mask + 1 - (tail - ring->head_seen);
    if (room < count) { /* touch the consumer's line only when our stale view says we must */
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire); /* P2 */
        room = ring->mask + 1 - (tail - ring->head_seen);
    }
    const uint32_t pushed = room < count ? (uint32_t)room : count;
    const uint64_t at = tail & ring->mask;
    uint32_t i = 0;
    if (pushed >= 4 && at + pushed <= ring->mask + 1) { /* no wrap: wide stores, fewer to wait in the store buffer */
        for (; i + 4 <= pushed; i += 4) { memcpy(&ring->slots[at + i], &items[i], 4 * sizeof items[0]); }
    }
    for (; i < pushed; i++) { ring->slots[(tail + i) & ring->mask] = items[i]; }
    atomic_store_explicit(&ring->tail, tail + pushed, memory_order_release); /* P1 */
    return pushed;
}

/* Pop up to `count` items in order; returns how many. Ownership moves to the caller.  @consumer */
TG_HOT static inline uint32_t tg_ring_pop(struct tg_ring *ring, void **items, uint32_t count)
{
    const uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed); /* our own store */
    uint64_t ready = ring->tail_seen - head;
    if (ready < count) { /* as in push: look again only when the stale view is not enough */
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire); /* C1 */
        ready = ring->tail_seen - head;
    }
    const uint32_t popped = ready < count ? (uint32_t)ready : count;
    const uint64_t at = head & ring->mask;
    uint32_t i = 0;
    if (popped >= 4 && at + popped <= ring->mask + 1) { /* no wrap */
        for (; i + 4 <= popped; i += 4) { memcpy(&items[i], &ring->slots[at + i], 4 * sizeof items[0]); }
    }
    for (; i < popped; i++) { items[i] = ring->slots[(head + i) & ring->mask]; }
    atomic_store_explicit(&ring->head, head + popped, memory_order_release); /* C2 */
    return popped;
}

/* True when a pop would find something; may be stale the moment it returns.  @consumer */
static inline int tg_ring_ready(struct tg_ring *ring)
{
    return atomic_load_explicit(&ring->tail, memory_order_acquire) != /* C1 */
           atomic_load_explicit(&ring->head, memory_order_relaxed);
}

#endif
