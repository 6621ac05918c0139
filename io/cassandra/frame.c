/* Frames and envelopes of the CQL native protocol: checksums, cutting, joining. Knows no message. */
#include "io/cassandra/frame.h"

#include <string.h>
#include <zlib.h>

#include "base/assert.h"
#include "io/cassandra/codec.h"

enum { FLAG_TRACING = 0x02, FLAG_CUSTOM_PAYLOAD = 0x04, FLAG_WARNING = 0x08, SELF_CONTAINED = 1 << 17 };

uint32_t tg_cql_crc24(uint32_t header)
{
    uint32_t crc = 0x875060;
    for (uint32_t i = 0; i < 3; i++) {
        crc ^= ((header >> (8 * i)) & 0xff) << 16;
        for (uint32_t bit = 0; bit < 8; bit++) {
            crc <<= 1;
            if ((crc & 0x1000000) != 0) { crc ^= 0x1974f0b; }
        }
    }
    return crc;
}

uint32_t tg_cql_crc32(const uint8_t *payload, uint32_t bytes)
{
    static const uint8_t front[4] = {0xfa, 0x2d, 0x55, 0xca};
    return (uint32_t)crc32(crc32(0, front, sizeof front), payload, bytes);
}

static uint32_t get_le24(const uint8_t *data)
{
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16;
}
static uint32_t get_le32(const uint8_t *data) { return get_le24(data) | (uint32_t)data[3] << 24; }
static uint32_t get_be32(const uint8_t *data)
{
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | (uint32_t)data[3];
}
static void put_le24(uint8_t *data, uint32_t value)
{
    data[0] = (uint8_t)value;
    data[1] = (uint8_t)(value >> 8);
    data[2] = (uint8_t)(value >> 16);
}

/* ---- receiving -------------------------------------------------------------------------------------------------- */

tg_status tg_cql_decoder_init(struct tg_cql_decoder *decoder, struct tg_arena *arena, struct tg_error *err)
{
    *decoder = (struct tg_cql_decoder){0};
    decoder->input = tg_arena_alloc(arena, TG_CQL_INPUT_BYTES, 64);
    decoder->whole = tg_arena_alloc(arena, TG_CQL_ENVELOPE_BYTES_MAX, 4096);
    if (decoder->input == NULL || decoder->whole == NULL) {
        return tg_fail(err, TG1601, 0, "arena too small for a Cassandra connection");
    }
    return TG_OK;
}

void tg_cql_decoder_reset(struct tg_cql_decoder *decoder)
{
    *decoder = (struct tg_cql_decoder){.input = decoder->input, .whole = decoder->whole};
}

void tg_cql_decoder_start_frames(struct tg_cql_decoder *decoder) { decoder->framed = true; }

uint8_t *tg_cql_decoder_space(struct tg_cql_decoder *decoder, uint32_t *bytes)
{
    if (decoder->input_at > 0 && decoder->payload_left == 0) {
        const uint32_t left = decoder->input_used - decoder->input_at;
        memmove(decoder->input, decoder->input + decoder->input_at, left);
        decoder->input_used = left;
        decoder->input_at = 0;
    }
    *bytes = TG_CQL_INPUT_BYTES - decoder->input_used;
    return decoder->input + decoder->input_used;
}

void tg_cql_decoder_received(struct tg_cql_decoder *decoder, uint32_t bytes)
{
    TG_ASSERT(bytes <= TG_CQL_INPUT_BYTES - decoder->input_used);
    decoder->input_used += bytes;
}

static enum tg_cql_decoded corrupt(struct tg_cql_decoder *decoder)
{
    decoder->corrupt = true;
    return TG_CQL_CORRUPT;
}

/* Cut off what may stand before the body: tracing id, warnings, custom payload. */
static bool skip_prefixes(struct tg_cql_reader *reader, uint8_t flags)
{
    if ((flags & FLAG_TRACING) != 0) { (void)tg_cql_get_raw(reader, 16); }
    if ((flags & FLAG_WARNING) != 0) {
        const uint32_t count = tg_cql_get_u16(reader);
        for (uint32_t i = 0; i < count && !reader->broken; i++) { (void)tg_cql_get_string(reader); }
    }
    if ((flags & FLAG_CUSTOM_PAYLOAD) != 0) {
        const uint32_t count = tg_cql_get_u16(reader);
        for (uint32_t i = 0; i < count && !reader->broken; i++) {
            (void)tg_cql_get_string(reader);
            (void)tg_cql_get_bytes(reader);
        }
    }
    return !reader->broken;
}

/* `data` holds a whole envelope. */
static enum tg_cql_decoded envelope_open(struct tg_cql_decoder *decoder, const uint8_t *data, uint32_t bytes,
                                         struct tg_cql_envelope *out)
{
    struct tg_cql_reader reader = {.data = data, .bytes = bytes, .at = TG_CQL_ENVELOPE_HEADER_BYTES};
    const uint8_t flags = data[1];
    if ((data[0] & 0x80) == 0 || (flags & 0x01) != 0 || !skip_prefixes(&reader, flags)) {
        return corrupt(decoder); /* a request, or compressed, which we never asked for */
    }
    out->version = data[0] & 0x7f;
    out->stream = (int16_t)(uint16_t)((uint32_t)data[2] << 8 | data[3]);
    out->opcode = data[4];
    out->body = data + reader.at;
    out->bytes = bytes - reader.at;
    return TG_CQL_ENVELOPE;
}

/* Length of the envelope that starts at `data`, header included; 0 when the header is not all there. */
static uint64_t envelope_bytes(const uint8_t *data, uint32_t available)
{
    if (available < TG_CQL_ENVELOPE_HEADER_BYTES) { return 0; }
    return (uint64_t)get_be32(data + 5) + TG_CQL_ENVELOPE_HEADER_BYTES;
}

/* An envelope inside the self-contained frame that is being handed out. */
static enum tg_cql_decoded next_in_payload(struct tg_cql_decoder *decoder, struct tg_cql_envelope *out)
{
    const uint8_t *data = decoder->input + decoder->input_at;
    const uint64_t bytes = envelope_bytes(data, decoder->payload_left);
    if (bytes == 0 || bytes > decoder->payload_left) { return corrupt(decoder); }
    decoder->payload_left -= (uint32_t)bytes;
    decoder->input_at += (uint32_t)bytes;
    if (decoder->payload_left == 0) { decoder->input_at += TG_CQL_FRAME_TRAILER_BYTES; }
    return envelope_open(decoder, data, (uint32_t)bytes, out);
}

/* Append a piece of a large envelope; ENVELOPE when it is complete. */
static enum tg_cql_decoded join(struct tg_cql_decoder *decoder, const uint8_t *piece, uint32_t bytes,
                                struct tg_cql_envelope *out)
{
    if (bytes > TG_CQL_ENVELOPE_BYTES_MAX - decoder->whole_used) { return corrupt(decoder); }
    memcpy(decoder->whole + decoder->whole_used, piece, bytes);
    decoder->whole_used += bytes;
    const uint64_t whole = envelope_bytes(decoder->whole, decoder->whole_used);
    if (whole > TG_CQL_ENVELOPE_BYTES_MAX) { return corrupt(decoder); }
    if (whole == 0 || decoder->whole_used < whole) { return TG_CQL_MORE; }
    if (decoder->whole_used > whole) { return corrupt(decoder); }
    decoder->whole_used = 0;
    return envelope_open(decoder, decoder->whole, (uint32_t)whole, out);
}

static enum tg_cql_decoded next_frame(struct tg_cql_decoder *decoder, struct tg_cql_envelope *out)
{
    const uint32_t overhead = TG_CQL_FRAME_HEADER_BYTES + TG_CQL_FRAME_TRAILER_BYTES;
    while (true) { /* ends: each round consumes a frame */
        const uint8_t *data = decoder->input + decoder->input_at;
        const uint32_t available = decoder->input_used - decoder->input_at;
        if (available < TG_CQL_FRAME_HEADER_BYTES) { return TG_CQL_MORE; }
        const uint32_t header = get_le24(data);
        if (tg_cql_crc24(header) != get_le24(data + 3)) { return corrupt(decoder); }
        const uint32_t payload = header & TG_CQL_FRAME_PAYLOAD_MAX;
        if (available < payload + overhead) { return TG_CQL_MORE; }
        const uint8_t *body = data + TG_CQL_FRAME_HEADER_BYTES;
        if (tg_cql_crc32(body, payload) != get_le32(body + payload)) { return corrupt(decoder); }
        if ((header & SELF_CONTAINED) != 0) {
            if (payload == 0 || decoder->whole_used > 0) { return corrupt(decoder); }
            decoder->input_at += TG_CQL_FRAME_HEADER_BYTES;
            decoder->payload_left = payload;
            return next_in_payload(decoder, out);
        }
        decoder->input_at += payload + overhead;
        const enum tg_cql_decoded joined = join(decoder, body, payload, out);
        if (joined != TG_CQL_MORE) { return joined; }
    }
}

static enum tg_cql_decoded next_unframed(struct tg_cql_decoder *decoder, struct tg_cql_envelope *out)
{
    const uint8_t *data = decoder->input + decoder->input_at;
    const uint32_t available = decoder->input_used - decoder->input_at;
    if (available == 0) { return TG_CQL_MORE; }
    if (decoder->whole_used == 0) {
        const uint64_t bytes = envelope_bytes(data, available);
        if (bytes > TG_CQL_ENVELOPE_BYTES_MAX) { return corrupt(decoder); }
        if (bytes == 0 || (bytes <= TG_CQL_INPUT_BYTES && available < bytes)) { return TG_CQL_MORE; }
        if (bytes <= available) {
            decoder->input_at += (uint32_t)bytes;
            return envelope_open(decoder, data, (uint32_t)bytes, out);
        }
    }
    /* Larger than the input area: gather it. Its length is known from the first piece, which has the header. */
    const uint64_t whole = decoder->whole_used == 0 ? envelope_bytes(data, available)
                                                    : envelope_bytes(decoder->whole, decoder->whole_used);
    const uint64_t missing = whole - decoder->whole_used;
    const uint32_t piece = available < missing ? available : (uint32_t)missing;
    decoder->input_at += piece;
    return join(decoder, data, piece, out);
}

enum tg_cql_decoded tg_cql_decoder_next(struct tg_cql_decoder *decoder, struct tg_cql_envelope *out)
{
    if (decoder->corrupt) { return TG_CQL_CORRUPT; }
    if (decoder->payload_left > 0) { return next_in_payload(decoder, out); }
    return decoder->framed ? next_frame(decoder, out) : next_unframed(decoder, out);
}

/* ---- sending ---------------------------------------------------------------------------------------------------- */

static const uint32_t FRAME_OVERHEAD = TG_CQL_FRAME_HEADER_BYTES + TG_CQL_FRAME_TRAILER_BYTES;

uint32_t tg_cql_output_need(uint32_t body_bytes)
{
    const uint32_t envelope = body_bytes + TG_CQL_ENVELOPE_HEADER_BYTES;
    /* Its own frames, and the trailer of the frame that was open before it. */
    return envelope + (envelope / TG_CQL_FRAME_PAYLOAD_MAX + 2) * FRAME_OVERHEAD;
}

/* Header and trailer around data[at + 6, payload]. */
static void frame_finish(uint8_t *frame, uint32_t payload, bool self_contained)
{
    TG_ASSERT(payload > 0 && payload <= TG_CQL_FRAME_PAYLOAD_MAX);
    const uint32_t header = payload | (self_contained ? SELF_CONTAINED : 0u);
    put_le24(frame, header);
    put_le24(frame + 3, tg_cql_crc24(header));
    uint8_t *body = frame + TG_CQL_FRAME_HEADER_BYTES;
    const uint32_t crc = tg_cql_crc32(body, payload);
    put_le24(body + payload, crc);
    body[payload + 3] = (uint8_t)(crc >> 24);
}

void tg_cql_output_seal(struct tg_cql_output *output)
{
    if (!output->frame_open) { return; }
    frame_finish(output->data + output->frame_at, output->used - output->frame_at - TG_CQL_FRAME_HEADER_BYTES, true);
    output->used += TG_CQL_FRAME_TRAILER_BYTES;
    output->frame_open = false;
}

uint8_t *tg_cql_output_begin(struct tg_cql_output *output, uint8_t version, int16_t stream, enum tg_cql_opcode opcode,
                             uint32_t body_bytes)
{
    if (tg_cql_output_need(body_bytes) > output->capacity - output->used) { return NULL; }
    const uint32_t envelope = body_bytes + TG_CQL_ENVELOPE_HEADER_BYTES;
    if (output->frame_open) {
        const uint32_t payload = output->used - output->frame_at - TG_CQL_FRAME_HEADER_BYTES;
        if (payload + envelope > TG_CQL_FRAME_PAYLOAD_MAX) { tg_cql_output_seal(output); }
    }
    if (output->framed && !output->frame_open) {
        output->frame_at = output->used;
        output->used += TG_CQL_FRAME_HEADER_BYTES;
        output->frame_open = true;
    }
    struct tg_cql_writer writer = {.data = output->data + output->used, .capacity = TG_CQL_ENVELOPE_HEADER_BYTES};
    tg_cql_put_u8(&writer, version);
    tg_cql_put_u8(&writer, 0);
    tg_cql_put_u16(&writer, (uint16_t)stream);
    tg_cql_put_u8(&writer, (uint8_t)opcode);
    tg_cql_put_u32(&writer, body_bytes);
    output->used += envelope;
    return writer.data + TG_CQL_ENVELOPE_HEADER_BYTES;
}

/* The open frame holds one envelope that is too large for it: make room for more headers and trailers in place, moving
 * its pieces from the last one on. */
static void cut(struct tg_cql_output *output)
{
    uint8_t *first = output->data + output->frame_at;
    const uint32_t envelope = output->used - output->frame_at - TG_CQL_FRAME_HEADER_BYTES;
    const uint32_t frames = (envelope + TG_CQL_FRAME_PAYLOAD_MAX - 1) / TG_CQL_FRAME_PAYLOAD_MAX;
    for (uint32_t i = frames; i-- > 0;) {
        const uint32_t at = i * TG_CQL_FRAME_PAYLOAD_MAX;
        const uint32_t bytes = envelope - at < TG_CQL_FRAME_PAYLOAD_MAX ? envelope - at : TG_CQL_FRAME_PAYLOAD_MAX;
        uint8_t *frame = first + at + i * FRAME_OVERHEAD;
        memmove(frame + TG_CQL_FRAME_HEADER_BYTES, first + TG_CQL_FRAME_HEADER_BYTES + at, bytes);
        frame_finish(frame, bytes, false);
    }
    output->used = output->frame_at + envelope + frames * FRAME_OVERHEAD;
    output->frame_open = false;
}

void tg_cql_output_end(struct tg_cql_output *output)
{
    if (!output->frame_open) { return; }
    if (output->used - output->frame_at - TG_CQL_FRAME_HEADER_BYTES > TG_CQL_FRAME_PAYLOAD_MAX) { cut(output); }
    TG_ASSERT(output->used <= output->capacity);
}
