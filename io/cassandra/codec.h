/* Big-endian vocabulary of the CQL native protocol: a writer and a reader that never leave the memory they were given.
 * Both remember the first thing that did not fit; callers look once, at the end. */
#ifndef TG_IO_CASSANDRA_CODEC_H
#define TG_IO_CASSANDRA_CODEC_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/attributes.h"

struct tg_cql_writer {
    uint8_t *data;
    uint32_t capacity;
    uint32_t used;
    bool overflow; /* something did not fit; nothing was written from then on */
};

struct tg_cql_reader {
    const uint8_t *data;
    uint32_t bytes;
    uint32_t at;
    bool broken; /* something was asked for that is not there; zeros and empty views from then on */
};

/* Bytes inside what was read; data is never NULL unless is_null. */
struct tg_cql_view {
    const uint8_t *data;
    uint32_t bytes;
    bool is_null; /* length was negative */
};

static inline void tg_cql_put_raw(struct tg_cql_writer *writer, const void *data, uint32_t bytes)
{
    if (TG_UNLIKELY(writer->overflow || bytes > writer->capacity - writer->used)) {
        writer->overflow = true;
        return;
    }
    if (bytes > 0) { memcpy(writer->data + writer->used, data, bytes); }
    writer->used += bytes;
}
static inline void tg_cql_put_u8(struct tg_cql_writer *writer, uint8_t value) { tg_cql_put_raw(writer, &value, 1); }
static inline void tg_cql_put_u16(struct tg_cql_writer *writer, uint16_t value)
{
    const uint16_t wire = __builtin_bswap16(value);
    tg_cql_put_raw(writer, &wire, 2);
}
static inline void tg_cql_put_u32(struct tg_cql_writer *writer, uint32_t value)
{
    const uint32_t wire = __builtin_bswap32(value);
    tg_cql_put_raw(writer, &wire, 4);
}
static inline void tg_cql_put_u64(struct tg_cql_writer *writer, uint64_t value)
{
    const uint64_t wire = __builtin_bswap64(value);
    tg_cql_put_raw(writer, &wire, 8);
}
/* [string]: longer than 65,535 bytes overflows.  @any */
void tg_cql_put_string(struct tg_cql_writer *writer, const char *text);
/* [long string].  @any */
void tg_cql_put_long_string(struct tg_cql_writer *writer, const char *text);
/* [short bytes].  @any */
void tg_cql_put_short_bytes(struct tg_cql_writer *writer, const void *data, uint16_t bytes);

/* The next `bytes` bytes, NULL when they are not there.  @any */
const uint8_t *tg_cql_get_raw(struct tg_cql_reader *reader, uint32_t bytes);
uint8_t tg_cql_get_u8(struct tg_cql_reader *reader);
uint16_t tg_cql_get_u16(struct tg_cql_reader *reader);
uint32_t tg_cql_get_u32(struct tg_cql_reader *reader);
uint64_t tg_cql_get_u64(struct tg_cql_reader *reader);
/* [string] or [short bytes].  @any */
struct tg_cql_view tg_cql_get_string(struct tg_cql_reader *reader);
/* [bytes]: 4-byte length, negative = null.  @any */
struct tg_cql_view tg_cql_get_bytes(struct tg_cql_reader *reader);

/* True when the view holds exactly this text.  @any */
bool tg_cql_view_is(struct tg_cql_view view, const char *text);
/* Copy as a terminated string, cut to `capacity` - 1 bytes.  @any */
void tg_cql_view_copy(struct tg_cql_view view, char *out, uint32_t capacity);

#endif
