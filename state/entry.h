/* Values between memory and records: fields lie at the layout's offsets here and one behind the other there
 * (state/value.h has the stored form). Writing trusts memory, reading trusts nothing. */
#ifndef TG_STATE_ENTRY_H
#define TG_STATE_ENTRY_H

#include "base/bytes.h"
#include "state/heap.h"
#include "state/layout.h"

/* How values of a layout are written. Fields of fixed width that follow one another in memory as they do in records are
 * one piece: most values are two or three pieces and a container. */
struct tg_state_plan {
    uint32_t fixed_bytes; /* of all pieces */
    uint32_t step_count;
    struct tg_state_step {
        const struct tg_state_field *field; /* NULL = a piece of `bytes` */
        uint32_t offset;
        uint32_t bytes;
    } steps[TG_STATE_FIELDS_MAX];
};
/* The layout is lent to the plan.  @setup */
void tg_state_plan_make(const struct tg_state_layout *layout, struct tg_state_plan *plan);
/* Bytes of `value` as a record.  @shard */
TG_HOT uint64_t tg_state_entry_bytes(const struct tg_state_plan *plan, const void *value);
/* Write them to out[tg_state_entry_bytes].  @shard */
TG_HOT void tg_state_entry_write(const struct tg_state_plan *plan, const void *value, uint8_t *out);
/* Ask for what the containers of `value` hold elsewhere: it is to be written soon.  @shard */
TG_HOT void tg_state_entry_prefetch(const struct tg_state_plan *plan, const void *value);
/* How records of one layout become values of another. */
struct tg_state_entry_reading {
    const struct tg_state_layout *stored;
    const struct tg_state_layout *now;
    const struct tg_state_mapping *mapping;
    struct tg_heap *heap; /* of containers */
    bool full;            /* out: the heap is spent */
};
/* Read a record into `value` of reading->now, which is fresh (zero). Fields that the record does not have stay as they
 * are. False: `in` says what is wrong and where, or reading->full is true.  @setup */
TG_MUST_USE bool tg_state_entry_read(struct tg_state_entry_reading *reading, struct tg_bytes_in *in, void *value);
/* Give back what the containers of `value` hold; they are empty then.  @shard */
void tg_state_entry_clear(const struct tg_state_layout *layout, void *value, struct tg_heap *heap);

#endif
