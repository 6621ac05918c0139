/* Reading a state file record by record; every byte of it is covered by a checksum that is verified before use. */
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "state/format.h"
#include "state/format_bytes.h"

/* The header's bytes, what they become in memory (a stored field of 7 bytes is one of 40), the largest block. */
static const size_t ARENA_BYTES =
    (size_t)TG_STATE_HEADER_BYTES_MAX * 17 + TG_BLOCK_RECORD_BYTES_MAX + TG_BLOCK_HEADER_BYTES;

static tg_status damaged(const struct tg_state_reader *reader, uint64_t at, const char *what, struct tg_error *err)
{
    return tg_state_damaged(reader->input.name, at, what, err);
}

static tg_status read_header(struct tg_state_reader *reader, struct tg_error *err)
{
    const struct tg_state_input *input = &reader->input;
    const uint64_t room = input->bytes - TG_STATE_FOOTER_BYTES;
    uint8_t envelope[HEADER_ENVELOPE_BYTES];
    tg_status status = input->read(input->self, 0, envelope, sizeof envelope, err);
    if (status != TG_OK) { return status; }
    uint32_t bytes;
    memcpy(&bytes, envelope + HEADER_LENGTH_AT, sizeof bytes);
    bytes = bytes > TG_STATE_HEADER_BYTES_MAX ? HEADER_ENVELOPE_BYTES : bytes; /* decoding says that it is wrong */
    bytes = bytes < HEADER_ENVELOPE_BYTES ? HEADER_ENVELOPE_BYTES : bytes;
    bytes = bytes > room ? (uint32_t)room : bytes;
    uint8_t *data = tg_arena_alloc(&reader->arena, bytes, 16);
    TG_ASSERT(data != NULL); /* the reservation is larger */
    status = input->read(input->self, 0, data, bytes, err);
    if (status != TG_OK) { return status; }
    struct tg_bytes_in in = {.data = data, .bytes = bytes};
    status = tg_state_header_decode(&in, input->name, &reader->arena, &reader->header, err);
    reader->seen = (struct tg_state_totals){.bytes = in.at};
    return status;
}

tg_status tg_state_reader_open(struct tg_state_reader *reader, const struct tg_state_input *input, struct tg_error *err)
{
    *reader = (struct tg_state_reader){.input = *input};
    if (input->bytes < TG_STATE_HEADER_FIXED_BYTES + 4 + TG_STATE_FOOTER_BYTES) {
        return damaged(reader, input->bytes, "too short for a state file, cut", err);
    }
    tg_status status = tg_arena_open(&reader->arena, ARENA_BYTES, err);
    if (status != TG_OK) { return status; }
    reader->block = tg_arena_alloc(&reader->arena, TG_BLOCK_RECORD_BYTES_MAX, 4096);
    TG_ASSERT(reader->block != NULL);
    status = read_header(reader, err);
    if (status != TG_OK) { return status; }
    uint8_t footer[TG_STATE_FOOTER_BYTES];
    status = input->read(input->self, input->bytes - sizeof footer, footer, sizeof footer, err);
    if (status != TG_OK) { return status; }
    return tg_state_footer_decode(footer, input->name, input->bytes, reader->header.tag, &reader->wanted, err);
}

void tg_state_reader_close(struct tg_state_reader *reader) { tg_arena_close(&reader->arena); }

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

/* What a block's checksum does not say: that it belongs here. */
static const char *block_flaw(const struct tg_state_reader *reader, struct tg_bytes_in *in, uint32_t *entries,
                              uint32_t *table)
{
    in->at = 4;
    if (tg_bytes_get_u32(in) != reader->header.tag) { return "block of another file"; }
    if (tg_bytes_get_u32(in) != reader->seen.blocks) { return "block out of its place"; }
    *table = tg_bytes_get_u16(in);
    if (*table >= reader->header.table_count) { return "block of an unknown table"; }
    const uint32_t flags = tg_bytes_get_u16(in);
    *entries = tg_bytes_get_u32(in);
    const bool is_large = tg_bytes_get_u32(in) > TG_BLOCK_BYTES_MAX - TG_BLOCK_HEADER_BYTES;
    if (flags != (is_large ? BLOCK_IS_LARGE : 0)) { return "wrong flags of a block"; }
    if (*entries == 0 || (is_large && *entries != 1)) { return "wrong number of entries"; }
    return tg_bytes_get_u32(in) != 0 ? "reserved bytes are not 0" : NULL;
}

static tg_status read_block(struct tg_state_reader *reader, struct tg_error *err)
{
    const struct tg_state_input *input = &reader->input;
    const uint64_t at = reader->seen.bytes;
    const uint64_t room = reader->wanted.bytes - at;
    if (room < TG_BLOCK_HEADER_BYTES) { return damaged(reader, at, "block cut short", err); }
    tg_status status = input->read(input->self, at, reader->block, TG_BLOCK_HEADER_BYTES, err);
    if (status != TG_OK) { return status; }
    struct tg_bytes_in in = {.data = reader->block, .bytes = TG_BLOCK_HEADER_BYTES};
    if (tg_bytes_get_u32(&in) != BLOCK_MAGIC) { return damaged(reader, at, "no block", err); }
    in.at = 20;
    const uint32_t payload = tg_bytes_get_u32(&in);
    if (payload > room - TG_BLOCK_HEADER_BYTES || payload > TG_BLOCK_RECORD_BYTES_MAX - TG_BLOCK_HEADER_BYTES) {
        return damaged(reader, at + 20, "block longer than its file", err);
    }
    uint8_t *records = reader->block + TG_BLOCK_HEADER_BYTES;
    status = input->read(input->self, at + TG_BLOCK_HEADER_BYTES, records, payload, err);
    if (status != TG_OK) { return status; }
    uint32_t crc;
    memcpy(&crc, reader->block + BLOCK_CRC_AT, sizeof crc);
    if (tg_crc32c(tg_crc32c(0, reader->block, BLOCK_CRC_AT), records, payload) != crc) {
        return damaged(reader, at, "wrong checksum of a block", err);
    }
    const char *flaw = block_flaw(reader, &in, &reader->entries_left, &reader->table);
    if (flaw != NULL) { return damaged(reader, at, flaw, err); }
    reader->block_at = at;
    reader->block_bytes = TG_BLOCK_HEADER_BYTES + payload;
    reader->record_at = TG_BLOCK_HEADER_BYTES;
    reader->seen.blocks++;
    reader->seen.blocks_crc = tg_crc32c(reader->seen.blocks_crc, &crc, sizeof crc);
    reader->seen.bytes += reader->block_bytes;
    return TG_OK;
}

static int finish(const struct tg_state_reader *reader, struct tg_error *err)
{
    const struct tg_state_totals *seen = &reader->seen;
    const struct tg_state_totals *wanted = &reader->wanted;
    const uint64_t footer = wanted->bytes;
    if (seen->blocks != wanted->blocks) { return damaged(reader, footer + 4, "wrong number of blocks", err); }
    if (seen->puts != wanted->puts) { return damaged(reader, footer + 8, "wrong number of entries", err); }
    if (seen->deletes != wanted->deletes) { return damaged(reader, footer + 16, "wrong number of removals", err); }
    if (seen->blocks_crc != wanted->blocks_crc) {
        return damaged(reader, footer + 36, "wrong checksum of the blocks' checksums", err);
    }
    return 0;
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

static const char *get_record(struct tg_bytes_in *in, struct tg_state_record *out)
{
    const uint8_t op = tg_bytes_get_u8(in);
    const uint8_t reserved = tg_bytes_get_u8(in);
    const uint32_t key_bytes = tg_bytes_get_u16(in);
    out->op = (enum tg_state_op)op;
    out->value_bytes = op == TG_STATE_PUT ? tg_bytes_get_u32(in) : 0;
    if (in->wrong != NULL) { return "record cut short"; }
    if (op != TG_STATE_PUT && op != TG_STATE_DEL) { return "unknown operation"; }
    if (reserved != 0) { return "reserved byte of a record is not 0"; }
    if (key_bytes == 0 || key_bytes > TG_STATE_KEY_BYTES_MAX) { return "wrong length of a key"; }
    out->key = (struct tg_key){.data = tg_bytes_take(in, key_bytes), .bytes = key_bytes};
    out->value = op == TG_STATE_PUT ? tg_bytes_take(in, out->value_bytes) : NULL;
    return in->wrong != NULL ? "record longer than its block" : NULL;
}

int tg_state_reader_next(struct tg_state_reader *reader, struct tg_state_record *record, struct tg_error *err)
{
    if (reader->entries_left == 0) {
        if (reader->record_at != reader->block_bytes) {
            return damaged(reader, reader->block_at + reader->record_at, "bytes behind the last record", err);
        }
        if (reader->seen.bytes == reader->wanted.bytes) { return finish(reader, err); }
        const tg_status status = read_block(reader, err);
        if (status != TG_OK) { return status; }
    }
    struct tg_bytes_in in = {.data = reader->block, .bytes = reader->block_bytes, .at = reader->record_at};
    record->at = reader->block_at + reader->record_at;
    record->table = reader->table;
    const char *flaw = get_record(&in, record);
    if (flaw != NULL) { return damaged(reader, record->at, flaw, err); }
    reader->record_at = (uint32_t)in.at;
    reader->entries_left--;
    if (record->op == TG_STATE_PUT) {
        reader->seen.puts++;
    } else {
        reader->seen.deletes++;
    }
    return 1;
}
