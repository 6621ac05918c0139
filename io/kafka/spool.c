/* A row's bytes never wrap: where the stretch up to the end of the ring is too short, the row starts at the beginning
 * and the rest of the end is part of its room, so that room is given back in one piece. */
#include "io/kafka/spool.h"

#include <string.h>

#include "base/assert.h"

size_t tg_kafka_spool_bytes(uint64_t slot_count, uint64_t capacity)
{
    return slot_count * sizeof(struct tg_kafka_slot) + capacity + 128;
}

tg_status tg_kafka_spool_init(struct tg_kafka_spool *spool, uint64_t slot_count, uint64_t capacity,
                              struct tg_arena *arena, struct tg_error *err)
{
    TG_ASSERT((slot_count & (slot_count - 1)) == 0 && (capacity & (capacity - 1)) == 0 && capacity <= UINT32_MAX);
    *spool = (struct tg_kafka_spool){.slot_count = slot_count, .capacity = capacity};
    spool->slots = tg_arena_alloc(arena, slot_count * sizeof *spool->slots, 64);
    spool->bytes = tg_arena_alloc(arena, capacity, 64);
    if (spool->slots == NULL || spool->bytes == NULL) {
        return tg_fail(err, TG1601, 0, "no room for %llu bytes of rows on their way to Kafka",
                       (unsigned long long)capacity);
    }
    return TG_OK;
}

/* Used stretch of the ring of bytes, as free-running positions. */
static uint64_t used_begin(const struct tg_kafka_spool *spool)
{
    return spool->first == spool->next ? 0 : tg_kafka_spool_slot(spool, spool->first)->begin;
}
static uint64_t used_end(const struct tg_kafka_spool *spool)
{
    return spool->first == spool->next ? 0 : tg_kafka_spool_slot(spool, spool->next - 1)->end;
}

struct tg_writer tg_kafka_spool_claim(const struct tg_kafka_spool *spool, bool retry)
{
    struct tg_writer writer = {0};
    if (tg_kafka_spool_count(spool) == spool->slot_count) { return writer; }
    const uint64_t free_bytes = spool->capacity - (used_end(spool) - used_begin(spool));
    const uint64_t at = used_end(spool) & (spool->capacity - 1);
    const uint64_t to_end = spool->capacity - at;
    if (retry) {
        if (free_bytes <= to_end) { return writer; } /* no stretch at the beginning */
        writer.data = (char *)spool->bytes;
        writer.capacity = (uint32_t)(free_bytes - to_end);
    } else if (free_bytes > 0) {
        writer.data = (char *)spool->bytes + at;
        writer.capacity = (uint32_t)(free_bytes < to_end ? free_bytes : to_end);
    }
    return writer;
}

struct tg_kafka_slot *tg_kafka_spool_commit(struct tg_kafka_spool *spool, const struct tg_writer *writer,
                                            uint32_t key_bytes, uint32_t short_bytes)
{
    TG_ASSERT(!writer->overflow && key_bytes + short_bytes <= writer->used);
    const uint64_t begin = used_end(spool);
    const uint64_t at = begin & (spool->capacity - 1);
    const uint64_t offset = (uint64_t)((uint8_t *)writer->data - spool->bytes);
    const uint64_t skipped = offset == at ? 0 : spool->capacity - at; /* the row went to the beginning */
    struct tg_kafka_slot *slot = tg_kafka_spool_slot(spool, spool->next);
    *slot = (struct tg_kafka_slot){
        .data = (uint8_t *)writer->data,
        .key_bytes = key_bytes,
        .value_bytes = writer->used - key_bytes - short_bytes,
        .short_bytes = short_bytes,
        .begin = begin,
        .end = begin + skipped + writer->used,
    };
    spool->next++;
    TG_DCHECK(slot->end - used_begin(spool) <= spool->capacity);
    return slot;
}

bool tg_kafka_slot_shorten(struct tg_kafka_slot *slot)
{
    TG_ASSERT(slot->state == TG_KAFKA_SLOT_WAITING);
    if (slot->short_bytes == 0) { return false; }
    uint8_t *value = slot->data + slot->key_bytes;
    memmove(value, value + slot->value_bytes, slot->short_bytes);
    slot->value_bytes = slot->short_bytes;
    slot->short_bytes = 0;
    return true;
}

void tg_kafka_spool_undo(struct tg_kafka_spool *spool)
{
    TG_ASSERT(spool->next > spool->first);
    spool->next--;
}

uint32_t tg_kafka_spool_trim(struct tg_kafka_spool *spool)
{
    uint32_t trimmed = 0;
    while (spool->first < spool->next &&
           tg_kafka_spool_slot(spool, spool->first)->state == TG_KAFKA_SLOT_CONFIRMED) {
        spool->first++;
        trimmed++;
    }
    return trimmed;
}
