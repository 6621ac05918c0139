/* Strings, bytes and bounds checks of the CQL native protocol. */
#include "io/cassandra/codec.h"

void tg_cql_put_string(struct tg_cql_writer *writer, const char *text)
{
    const size_t bytes = strlen(text);
    if (bytes > UINT16_MAX) {
        writer->overflow = true;
        return;
    }
    tg_cql_put_short_bytes(writer, text, (uint16_t)bytes);
}

void tg_cql_put_long_string(struct tg_cql_writer *writer, const char *text)
{
    const size_t bytes = strlen(text);
    if (bytes > INT32_MAX) {
        writer->overflow = true;
        return;
    }
    tg_cql_put_u32(writer, (uint32_t)bytes);
    tg_cql_put_raw(writer, text, (uint32_t)bytes);
}

void tg_cql_put_short_bytes(struct tg_cql_writer *writer, const void *data, uint16_t bytes)
{
    tg_cql_put_u16(writer, bytes);
    tg_cql_put_raw(writer, data, bytes);
}

const uint8_t *tg_cql_get_raw(struct tg_cql_reader *reader, uint32_t bytes)
{
    if (reader->broken || bytes > reader->bytes - reader->at) {
        reader->broken = true;
        return NULL;
    }
    const uint8_t *data = reader->data + reader->at;
    reader->at += bytes;
    return data;
}

uint8_t tg_cql_get_u8(struct tg_cql_reader *reader)
{
    const uint8_t *data = tg_cql_get_raw(reader, 1);
    return data != NULL ? data[0] : 0;
}

uint16_t tg_cql_get_u16(struct tg_cql_reader *reader)
{
    uint16_t wire = 0;
    const uint8_t *data = tg_cql_get_raw(reader, 2);
    if (data != NULL) { memcpy(&wire, data, 2); }
    return __builtin_bswap16(wire);
}

uint32_t tg_cql_get_u32(struct tg_cql_reader *reader)
{
    uint32_t wire = 0;
    const uint8_t *data = tg_cql_get_raw(reader, 4);
    if (data != NULL) { memcpy(&wire, data, 4); }
    return __builtin_bswap32(wire);
}

uint64_t tg_cql_get_u64(struct tg_cql_reader *reader)
{
    uint64_t wire = 0;
    const uint8_t *data = tg_cql_get_raw(reader, 8);
    if (data != NULL) { memcpy(&wire, data, 8); }
    return __builtin_bswap64(wire);
}

static struct tg_cql_view view_of(struct tg_cql_reader *reader, uint32_t bytes)
{
    static const uint8_t empty[1] = {0};
    const uint8_t *data = tg_cql_get_raw(reader, bytes);
    return (struct tg_cql_view){.data = data != NULL ? data : empty, .bytes = data != NULL ? bytes : 0};
}

struct tg_cql_view tg_cql_get_string(struct tg_cql_reader *reader) { return view_of(reader, tg_cql_get_u16(reader)); }

struct tg_cql_view tg_cql_get_bytes(struct tg_cql_reader *reader)
{
    const uint32_t bytes = tg_cql_get_u32(reader);
    if (bytes > INT32_MAX) { return (struct tg_cql_view){.is_null = true}; }
    return view_of(reader, bytes);
}

bool tg_cql_view_is(struct tg_cql_view view, const char *text)
{
    return !view.is_null && view.bytes == strlen(text) && memcmp(view.data, text, view.bytes) == 0;
}

void tg_cql_view_copy(struct tg_cql_view view, char *out, uint32_t capacity)
{
    const uint32_t bytes = view.is_null ? 0 : view.bytes < capacity - 1 ? view.bytes : capacity - 1;
    if (bytes > 0) { memcpy(out, view.data, bytes); }
    out[bytes] = '\0';
}
