/* Values of records, field by field, in the order of the layout; no padding, no offsets:
 *   text                                  u32 length, bytes          label, name     u8 length, bytes
 *   bigint, timestamp, duration           8 bytes                    numeric         16 bytes
 *   integer, enum, date                   4 bytes                    boolean         1 byte, 0 or 1
 *   deque, list                           u32 count, elements        map             u32 count, (key, value) elements
 * Numbers are little endian. Walks validate as they go: nothing is trusted. */
#ifndef TG_STATE_VALUE_H
#define TG_STATE_VALUE_H

#include "base/bytes.h"
#include "state/layout.h"

/* One plain value as read; which member counts is the kind's. */
struct tg_state_scalar {
    union {
        int64_t number; /* bigint, integer, enum, boolean, timestamp, date, duration */
        tg_dec decimal;
        tg_text text; /* text, json, label, name; lent by the record */
    };
};

/* Texts inside the value: in memory the last byte is the length, on disk the first.  @any */
enum { TG_STATE_LABEL_TEXT_MAX = 15, TG_STATE_NAME_TEXT_MAX = 63 };
static inline bool tg_state_is_short_text(enum tg_state_kind kind)
{
    return kind == TG_STATE_LABEL || kind == TG_STATE_NAME;
}
static inline uint32_t tg_state_short_text_max(enum tg_state_kind kind)
{
    return kind == TG_STATE_LABEL ? TG_STATE_LABEL_TEXT_MAX : TG_STATE_NAME_TEXT_MAX;
}

/* Bytes of a plain value of fixed width, 0 for texts.  @any */
uint32_t tg_state_scalar_bytes(enum tg_state_kind kind);
/* Read a plain value. On bad bytes `in` says so and *out is zero.  @any */
void tg_state_scalar_get(struct tg_bytes_in *in, const struct tg_state_field *field, struct tg_state_scalar *out);
/* Append one.  @any */
void tg_state_scalar_put(struct tg_bytes_out *out, const struct tg_state_field *field,
                         const struct tg_state_scalar *value);
/* Read the element count of a container; at most so many as could still follow.  @any */
uint32_t tg_state_count_get(struct tg_bytes_in *in, const struct tg_state_field *field);

/* Is value[bytes] exactly one value of the layout: lengths, counts, booleans, deques ascending? False: *in (its start
 * is value) has what is wrong and where.  @any */
TG_MUST_USE bool tg_state_value_check(const struct tg_state_layout *layout, struct tg_bytes_in *in);
/* Is the key exactly the layout's key columns (base/key.h)?  @any */
TG_MUST_USE bool tg_state_key_check(const struct tg_state_layout *layout, struct tg_bytes_in *in);
/* Read the next column of a key; *is_null when it is null.  @any */
void tg_state_key_get(struct tg_bytes_in *in, const struct tg_state_field *column, bool *is_null,
                      struct tg_state_scalar *out);

#endif
