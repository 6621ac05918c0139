/* From a JSON token to the value of one column: types exactly as declared, no coercion, or the reason why not. */
#ifndef TG_IO_DECODE_FIELD_H
#define TG_IO_DECODE_FIELD_H

#include "io/decode.h"

/* A value as it stands in the document. Of a string: what is between the quotes, unescaped; of anything else: the token
 * itself, of an object or array its opening bracket. */
struct tg_lexeme {
    const char *text;
    uint32_t bytes;
    char first; /* byte the token starts with; '"' for strings */
};

/* A column with what its spec says, laid out for one pass over all fields: one cache line each. */
struct tg_field {
    uint32_t member;  /* the first name of the field, see decode_names.h */
    uint32_t offset;  /* of the column in a row */
    uint8_t type;     /* enum tg_type of the column */
    uint8_t epoch;    /* enum tg_epoch */
    bool required;
    bool integer_ok;
    bool excess_round;
    uint8_t value_bytes;  /* of the type */
    uint16_t alias_count; /* further names, first choice first */
    const uint32_t *aliases; /* [alias_count] members */
    const struct tg_column *column;
    const struct tg_zone *zone;
    uint32_t *enum_bytes; /* [column->enum_count] lengths of the values */
};
static_assert(sizeof(struct tg_field) <= 64, "one line");

/* Write the value of `lexeme`, which is not null, to `out` (tg_type_bytes long). *adjusted is increased when a stamp
 * fell into a gap or overlap of the zone.  @shard */
TG_HOT TG_MUST_USE enum tg_reason tg_field_convert(const struct tg_field *field, const struct tg_lexeme *lexeme,
                                                   void *out, uint64_t *adjusted);

#endif
