/* Framing of the CQL native protocol, both ways.
 *
 * Envelope (every version, big endian): version u8 (bit 7 = response), flags u8, stream i16, opcode u8, length u32,
 * body. Frame (version 5, after the handshake, little endian): 17 bits payload length, 1 bit self-contained, 6 bits 0;
 * CRC-24 of those 3 bytes; payload (at most 131,071 bytes); CRC-32 of the payload, seeded with FA 2D 55 CA.
 * A self-contained frame holds one or more whole envelopes; a larger envelope is cut over several frames of its own. */
#ifndef TG_IO_CASSANDRA_FRAME_H
#define TG_IO_CASSANDRA_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attributes.h"

enum {
    TG_CQL_ENVELOPE_HEADER_BYTES = 9,
    TG_CQL_FRAME_HEADER_BYTES = 6,
    TG_CQL_FRAME_TRAILER_BYTES = 4,
    TG_CQL_FRAME_PAYLOAD_MAX = 131071,
    TG_CQL_ENVELOPE_BYTES_MAX = 2 << 20, /* largest answer we accept; the protocol's limit is 256 MB */
    TG_CQL_INPUT_BYTES = 256 << 10,
};

enum tg_cql_opcode {
    TG_CQL_ERROR = 0x00,
    TG_CQL_STARTUP = 0x01,
    TG_CQL_READY = 0x02,
    TG_CQL_AUTHENTICATE = 0x03,
    TG_CQL_OPTIONS = 0x05,
    TG_CQL_SUPPORTED = 0x06,
    TG_CQL_QUERY = 0x07,
    TG_CQL_RESULT = 0x08,
    TG_CQL_PREPARE = 0x09,
    TG_CQL_EXECUTE = 0x0A,
    TG_CQL_REGISTER = 0x0B,
    TG_CQL_EVENT = 0x0C,
    TG_CQL_BATCH = 0x0D,
    TG_CQL_AUTH_CHALLENGE = 0x0E,
    TG_CQL_AUTH_RESPONSE = 0x0F,
    TG_CQL_AUTH_SUCCESS = 0x10,
};

/* CRC-24 (polynomial 1974F0B, start 875060) of the three header bytes in `header`'s low 24 bits, first byte lowest.
 * @any */
uint32_t tg_cql_crc24(uint32_t header);
/* CRC-32 of a payload, with the protocol's four bytes in front.  @any */
uint32_t tg_cql_crc32(const uint8_t *payload, uint32_t bytes);

/* ---- receiving -------------------------------------------------------------------------------------------------- */

/* One received envelope; tracing id, warnings and custom payload are already cut off the body. */
struct tg_cql_envelope {
    uint8_t version; /* without the response bit */
    uint8_t opcode;
    int16_t stream;
    const uint8_t *body; /* valid until the next call on the decoder */
    uint32_t bytes;
};

enum tg_cql_decoded { TG_CQL_MORE, TG_CQL_ENVELOPE, TG_CQL_CORRUPT };

struct tg_cql_decoder {
    uint8_t *input; /* [TG_CQL_INPUT_BYTES] */
    uint8_t *whole; /* [TG_CQL_ENVELOPE_BYTES_MAX]: an envelope that comes in pieces; untouched otherwise */
    uint32_t input_used;
    uint32_t input_at;     /* consumed */
    uint32_t payload_left; /* of the self-contained frame whose envelopes are being handed out */
    uint32_t whole_used;
    bool framed;
    bool corrupt; /* for ever: the connection must be closed */
};

/* Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_cql_decoder_init(struct tg_cql_decoder *decoder, struct tg_arena *arena, struct tg_error *err);
/* Back to the state of a new connection.  @shard */
void tg_cql_decoder_reset(struct tg_cql_decoder *decoder);
/* Frames from the next byte on.  @shard */
void tg_cql_decoder_start_frames(struct tg_cql_decoder *decoder);
/* Where the next received bytes go, and how many fit (at least 1 after tg_cql_decoder_next said MORE).  @shard */
uint8_t *tg_cql_decoder_space(struct tg_cql_decoder *decoder, uint32_t *bytes);
/* `bytes` were received there.  @shard */
void tg_cql_decoder_received(struct tg_cql_decoder *decoder, uint32_t bytes);
/* The next envelope. CORRUPT: bad checksum, impossible length, or larger than TG_CQL_ENVELOPE_BYTES_MAX.  @shard */
enum tg_cql_decoded tg_cql_decoder_next(struct tg_cql_decoder *decoder, struct tg_cql_envelope *out);

/* ---- sending ---------------------------------------------------------------------------------------------------- */

/* Bytes to send: envelopes are written in place, small ones share a frame. */
struct tg_cql_output {
    uint8_t *data; /* [capacity] */
    uint32_t capacity;
    uint32_t used;
    uint32_t frame_at; /* where the open frame's header will stand; meaningless unless frame_open */
    bool framed;
    bool frame_open;
};

/* Bytes one envelope of `body_bytes` can occupy at most, framing included.  @any */
uint32_t tg_cql_output_need(uint32_t body_bytes);
/* Begin an envelope: its header is written, the caller fills the returned body[body_bytes] before any other call.
 * NULL = no room now.  @shard */
uint8_t *tg_cql_output_begin(struct tg_cql_output *output, uint8_t version, int16_t stream, enum tg_cql_opcode opcode,
                             uint32_t body_bytes);
/* The body is complete.  @shard */
void tg_cql_output_end(struct tg_cql_output *output);
/* Close the open frame: afterwards data[used] can be sent.  @shard */
void tg_cql_output_seal(struct tg_cql_output *output);

#endif
