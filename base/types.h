/* The value types of rows: what the job file calls text, bigint, timestamp, ..., as C types. */
#ifndef TG_BASE_TYPES_H
#define TG_BASE_TYPES_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int64_t tg_ts;    /* microseconds since 1970-01-01T00:00:00 UTC */
typedef int32_t tg_date;  /* days since 1970-01-01 */
__extension__ typedef __int128 tg_dec; /* value x 10^scale; the scale belongs to the column */
typedef int64_t tg_us;    /* a duration in microseconds */

#define TG_TS_MIN INT64_MIN
#define TG_TS_MAX INT64_MAX /* as a watermark: the input has ended */

/* Bytes of UTF-8, not terminated. Who lends them says for how long. */
typedef struct tg_text {
    const char *data;
    uint32_t bytes;
    uint32_t reserved; /* keeps rows free of uninitialised padding */
} tg_text;
static_assert(sizeof(tg_text) == 16, "rows are laid out by this size");

/* Encoded key: columns in key order, see key.h. */
struct tg_key {
    const uint8_t *data;
    uint32_t bytes;
};

enum tg_type {
    TG_TYPE_TEXT = 1,  /* tg_text */
    TG_TYPE_BIGINT,    /* int64_t */
    TG_TYPE_INTEGER,   /* int32_t */
    TG_TYPE_BOOLEAN,   /* bool */
    TG_TYPE_TIMESTAMP, /* tg_ts */
    TG_TYPE_DATE,      /* tg_date */
    TG_TYPE_NUMERIC,   /* tg_dec, scale in the column */
    TG_TYPE_ENUM,      /* int32_t, index into the column's values */
    TG_TYPE_JSON,      /* tg_text holding a JSON value, printed as it is; output columns only */
};

/* Bytes and alignment of a value of `type` in a row.  @any */
static inline uint32_t tg_type_bytes(enum tg_type type)
{
    switch (type) {
    case TG_TYPE_TEXT:
    case TG_TYPE_JSON:
    case TG_TYPE_NUMERIC: return 16;
    case TG_TYPE_BIGINT:
    case TG_TYPE_TIMESTAMP: return 8;
    case TG_TYPE_INTEGER:
    case TG_TYPE_ENUM:
    case TG_TYPE_DATE: return 4;
    case TG_TYPE_BOOLEAN: return 1;
    }
    return 0;
}
static inline uint32_t tg_type_align(enum tg_type type)
{
    return type == TG_TYPE_TEXT || type == TG_TYPE_JSON ? 8 : tg_type_bytes(type);
}

/* The job file's name of `type` ("timestamp").  @any */
const char *tg_type_name(enum tg_type type);

#endif
