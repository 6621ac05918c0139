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

/* A column with what its spec says. Names and aliases are decode_names.h's. */
struct tg_field {
    const struct tg_column *column;
    const struct tg_zone *zone;
    uint32_t *enum_bytes; /* [column->enum_count] lengths of the values */
    bool required;
    bool integer_ok;
    bool excess_round;
    enum tg_epoch epoch;
};

/* Write the value of `lexeme`, which is not null, to `out` (tg_type_bytes long). *adjusted is increased when a stamp fell
 * into a gap or overlap of the zone.  @shard */
TG_HOT TG_MUST_USE enum tg_reason tg_field_convert(const struct tg_field *field, const struct tg_lexeme *lexeme, void *out,
                                                   uint64_t *adjusted);

#endif
