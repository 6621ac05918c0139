/* Values between memory and records: fields lie at the layout's offsets here and one behind the other there
 * (state/value.h has the stored form). Writing trusts memory, reading trusts nothing. */
#ifndef TG_STATE_ENTRY_H
#define TG_STATE_ENTRY_H

#include "base/bytes.h"
#include "state/heap.h"
#include "state/layout.h"

/* Bytes of `value` as a record.  @shard */
TG_HOT uint64_t tg_state_entry_bytes(const struct tg_state_layout *layout, const void *value);
/* Write them to out[tg_state_entry_bytes].  @shard */
TG_HOT void tg_state_entry_write(const struct tg_state_layout *layout, const void *value, uint8_t *out);
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
