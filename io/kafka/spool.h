/* Rows on their way to Kafka: their bytes and what is known about them, in the order they were taken, until the cluster
 * has confirmed them. The client sends straight from here, so nothing is copied, and whatever becomes of the client the
 * rows are still there to be sent again. Two rings: slots, and the bytes they point to. */
#ifndef TG_IO_KAFKA_SPOOL_H
#define TG_IO_KAFKA_SPOOL_H

#include "base/arena.h"
#include "base/json_text.h"

enum tg_kafka_slot_state { TG_KAFKA_SLOT_WAITING, TG_KAFKA_SLOT_SENT, TG_KAFKA_SLOT_CONFIRMED };

struct tg_kafka_slot {
    uint8_t *data;        /* key, then value, then the shorter value where there is one */
    uint32_t key_bytes;
    uint32_t value_bytes;
    uint32_t short_bytes; /* 0 = the value is all there is */
    uint32_t refusals;    /* times the cluster found it, or what it travelled with, too large */
    uint64_t begin;       /* position in the ring of bytes where its room begins ... */
    uint64_t end;         /* ... and ends */
    uint64_t arrived_ns;  /* of the record behind the row; 0 = unknown */
    uint64_t flush_turn;  /* the flush it belongs to */
    enum tg_kafka_slot_state state;
};

/* Positions run free and are masked. */
struct tg_kafka_spool {
    struct tg_kafka_slot *slots; /* [slot_count], a power of two */
    uint64_t slot_count;
    uint64_t first; /* oldest slot in use */
    uint64_t next;  /* slot of the next row */
    uint8_t *bytes; /* [capacity], a power of two */
    uint64_t capacity;
};

/* Arena bytes for these sizes, both powers of two.  @setup */
size_t tg_kafka_spool_bytes(uint64_t slot_count, uint64_t capacity);
/* Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_kafka_spool_init(struct tg_kafka_spool *spool, uint64_t slot_count, uint64_t capacity,
                                          struct tg_arena *arena, struct tg_error *err);

/* A writer over the longest free stretch; NULL-data when slots or bytes are spent. `retry` asks for the stretch at the
 * start of the ring, after the one at its end proved too short.  @shard */
struct tg_writer tg_kafka_spool_claim(const struct tg_kafka_spool *spool, bool retry);
/* Keep what `writer` holds: the first key_bytes are the key, the last short_bytes a shorter value to send in place of
 * the one before it. Returns its slot.  @shard */
struct tg_kafka_slot *tg_kafka_spool_commit(struct tg_kafka_spool *spool, const struct tg_writer *writer,
                                            uint32_t key_bytes, uint32_t short_bytes);
/* From here on the shorter value; false = there is none. Nobody may be sending the slot.  @shard */
TG_MUST_USE bool tg_kafka_slot_shorten(struct tg_kafka_slot *slot);
/* Undo the last commit.  @shard */
void tg_kafka_spool_undo(struct tg_kafka_spool *spool);
/* Give the room of confirmed rows at the front back; returns how many.  @shard */
uint32_t tg_kafka_spool_trim(struct tg_kafka_spool *spool);

static inline uint64_t tg_kafka_spool_count(const struct tg_kafka_spool *spool) { return spool->next - spool->first; }
/* Where a slot in use is: first to next - 1.  @shard */
static inline uint64_t tg_kafka_spool_position(const struct tg_kafka_spool *spool, const struct tg_kafka_slot *slot)
{
    return spool->first + (((uint64_t)(slot - spool->slots) - spool->first) & (spool->slot_count - 1));
}
/* The slot at `position` (first to next - 1).  @shard */
static inline struct tg_kafka_slot *tg_kafka_spool_slot(const struct tg_kafka_spool *spool, uint64_t position)
{
    return &spool->slots[position & (spool->slot_count - 1)];
}

#endif
