/* Headers, footers and blocks of state files: docs/formats/checkpoint.md in code. */
#include "state/format.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "state/format_bytes.h"

tg_status tg_state_damaged(const char *name, uint64_t at, const char *what, struct tg_error *err)
{
    if (what == tg_bytes_no_room) { return tg_fail(err, TG1601, 0, "%s: no memory to read it", name); }
    return tg_fail(err, TG1512, 0, "%s: %s at byte %" PRIu64, name, what, at);
}

void tg_state_group_range(uint32_t shard, uint32_t shard_count, uint32_t *first, uint32_t *last)
{
    TG_ASSERT(shard < shard_count && shard_count <= TG_SHARDS_MAX);
    /* group x count >> 10 = shard  <=>  shard x 1024 / count rounded up <= group < the same of shard + 1 */
    *first = (shard * TG_KEY_GROUP_COUNT + shard_count - 1) / shard_count;
    *last = ((shard + 1) * TG_KEY_GROUP_COUNT + shard_count - 1) / shard_count - 1;
}

/* ---- header ------------------------------------------------------------------------------------------------------ */

static const char *header_flaw(const struct tg_state_header *header)
{
    if (header->epoch == 0) { return "epoch 0"; }
    if (header->kind == TG_STATE_BASE ? header->previous != 0
                                      : header->previous == 0 || header->previous >= header->epoch) {
        return "wrong previous epoch";
    }
    if (header->shard_count < 1 || header->shard_count > TG_SHARDS_MAX) { return "wrong number of shards"; }
    if (header->shard >= header->shard_count) { return "shard beyond their number"; }
    uint32_t first, last;
    tg_state_group_range(header->shard, header->shard_count, &first, &last);
    if (header->group_first != first || header->group_last != last) { return "key groups of another shard"; }
    for (uint32_t i = 0; i < header->table_count; i++) {
        const struct tg_state_layout *a = &header->tables[i];
        for (uint32_t j = 0; j < i; j++) {
            const struct tg_state_layout *b = &header->tables[j];
            if (a->owner_kind == b->owner_kind && strcmp(a->owner, b->owner) == 0 && strcmp(a->name, b->name) == 0) {
                return "two tables of one name";
            }
        }
    }
    return NULL;
}

tg_status tg_state_header_encode(struct tg_state_header *header, struct tg_bytes_out *out,
                                 struct tg_state_totals *totals, struct tg_error *err)
{
    TG_ASSERT(out->used == 0 && header->table_count <= TG_STATE_TABLES_MAX);
    TG_ASSERT(header_flaw(header) == NULL);
    tg_bytes_put(out, STATE_MAGIC, MAGIC_BYTES);
    tg_bytes_put_u16(out, TG_STATE_FORMAT);
    tg_bytes_put_u16(out, 0);
    tg_bytes_put_u32(out, 0); /* length, below */
    tg_bytes_put(out, header->run_id.bytes, sizeof header->run_id.bytes);
    tg_bytes_put_u64(out, header->graph_hash);
    tg_bytes_put_u64(out, header->epoch);
    tg_bytes_put_u64(out, header->previous);
    tg_bytes_put_u8(out, (uint8_t)header->kind);
    tg_bytes_put_u8(out, 0);
    tg_bytes_put_u16(out, (uint16_t)header->shard);
    tg_bytes_put_u16(out, (uint16_t)header->shard_count);
    tg_bytes_put_u16(out, (uint16_t)header->group_first);
    tg_bytes_put_u16(out, (uint16_t)header->group_last);
    tg_bytes_put_u16(out, (uint16_t)header->table_count);
    TG_ASSERT(out->overflow || out->used == TG_STATE_HEADER_FIXED_BYTES);
    tg_bytes_put_text(out, header->job);
    for (uint32_t i = 0; i < header->table_count; i++) {
        const tg_status status = tg_state_layout_check(&header->tables[i], err);
        if (status != TG_OK) { return status; }
        tg_state_layout_encode(&header->tables[i], out);
    }
    if (out->overflow || out->capacity - out->used < 4 || out->used + 4 > TG_STATE_HEADER_BYTES_MAX) {
        return tg_fail(err, TG1519, 0, "the names of all state fields of job %s do not fit %d bytes", header->job,
                       TG_STATE_HEADER_BYTES_MAX);
    }
    const uint32_t bytes = (uint32_t)out->used + 4;
    memcpy(out->data + HEADER_LENGTH_AT, &bytes, sizeof bytes);
    header->tag = tg_crc32c(0, out->data, out->used);
    tg_bytes_put_u32(out, header->tag);
    *totals = (struct tg_state_totals){.bytes = bytes};
    return TG_OK;
}

/* Magic, length and checksum, which stand where they stand in every version. Returns the length. */
static uint32_t envelope(struct tg_bytes_in *in, struct tg_state_header *out, uint32_t *version)
{
    const uint8_t *magic = tg_bytes_take(in, MAGIC_BYTES);
    if (magic != NULL && memcmp(magic, STATE_MAGIC, MAGIC_BYTES) != 0) {
        tg_bytes_wrong_at(in, 0, "not the start of a state file");
    }
    *version = tg_bytes_get_u16(in);
    (void)tg_bytes_get_u16(in);
    const uint32_t bytes = (uint32_t)tg_bytes_get_within(in, 4, TG_STATE_HEADER_FIXED_BYTES + 4,
                                                         TG_STATE_HEADER_BYTES_MAX, "wrong length of the header");
    if (in->wrong == NULL && bytes > in->bytes) { tg_bytes_wrong_at(in, in->bytes, "cut short"); }
    if (in->wrong != NULL) { return 0; }
    memcpy(&out->tag, in->data + bytes - 4, 4);
    if (tg_crc32c(0, in->data, bytes - 4) != out->tag) { tg_bytes_wrong_at(in, 0, "wrong checksum of the header"); }
    return bytes;
}

static void get_header(struct tg_bytes_in *in, struct tg_arena *arena, struct tg_state_header *out)
{
    in->at = 10;
    (void)tg_bytes_get_within(in, 2, 0, 0, "reserved bytes are not 0");
    in->at = MAGIC_BYTES + 8;
    tg_bytes_get(in, out->run_id.bytes, sizeof out->run_id.bytes);
    out->graph_hash = tg_bytes_get_u64(in);
    out->epoch = tg_bytes_get_u64(in);
    out->previous = tg_bytes_get_u64(in);
    out->kind =
        (enum tg_state_file_kind)tg_bytes_get_within(in, 1, TG_STATE_BASE, TG_STATE_DELTA, "unknown kind of file");
    (void)tg_bytes_get_within(in, 1, 0, 0, "reserved byte is not 0");
    out->shard = tg_bytes_get_u16(in);
    out->shard_count = tg_bytes_get_u16(in);
    out->group_first = tg_bytes_get_u16(in);
    out->group_last = tg_bytes_get_u16(in);
    out->table_count = (uint32_t)tg_bytes_get_within(in, 2, 0, TG_STATE_TABLES_MAX, "too many tables");
    out->job = tg_bytes_get_text(in, arena, 1, TG_STATE_NAME_BYTES_MAX);
    struct tg_state_layout *tables = tg_bytes_array(in, arena, out->table_count, sizeof *tables);
    for (uint32_t i = 0; in->wrong == NULL && i < out->table_count; i++) {
        if (!tg_state_layout_decode(in, arena, &tables[i])) { break; } /* in->wrong says why */
    }
    out->tables = tables;
    if (in->wrong == NULL && in->at != in->bytes) { tg_bytes_wrong_at(in, in->at, "bytes behind the last table"); }
    const char *flaw = in->wrong == NULL ? header_flaw(out) : NULL;
    if (flaw != NULL) { tg_bytes_wrong_at(in, MAGIC_BYTES + 8, flaw); }
}

tg_status tg_state_header_decode(struct tg_bytes_in *in, const char *name, struct tg_arena *arena,
                                 struct tg_state_header *out, struct tg_error *err)
{
    *out = (struct tg_state_header){0};
    uint32_t version = 0;
    in->at = 0;
    const uint32_t bytes = envelope(in, out, &version);
    if (in->wrong == NULL && version > TG_STATE_FORMAT) {
        return tg_fail(err, TG1513, 0, "%s has format %" PRIu32 ", this turgo reads up to %d", name, version,
                       TG_STATE_FORMAT);
    }
    if (in->wrong == NULL && version != TG_STATE_FORMAT) { tg_bytes_wrong_at(in, MAGIC_BYTES, "unknown format"); }
    if (in->wrong != NULL) { return tg_state_damaged(name, in->wrong_at, in->wrong, err); }
    struct tg_bytes_in inside = {.data = in->data, .bytes = bytes - 4};
    get_header(&inside, arena, out);
    in->at = bytes;
    return inside.wrong == NULL ? TG_OK : tg_state_damaged(name, inside.wrong_at, inside.wrong, err);
}

/* ---- footer ------------------------------------------------------------------------------------------------------ */

void tg_state_footer_encode(const struct tg_state_header *header, struct tg_state_totals *totals,
                            uint8_t out[TG_STATE_FOOTER_BYTES])
{
    struct tg_bytes_out to = {.data = out, .capacity = TG_STATE_FOOTER_BYTES};
    tg_bytes_put_u32(&to, FOOTER_MAGIC);
    tg_bytes_put_u32(&to, totals->blocks);
    tg_bytes_put_u64(&to, totals->puts);
    tg_bytes_put_u64(&to, totals->deletes);
    tg_bytes_put_u64(&to, totals->bytes);
    tg_bytes_put_u32(&to, header->tag);
    tg_bytes_put_u32(&to, totals->blocks_crc);
    totals->footer_crc = tg_crc32c(0, out, to.used);
    tg_bytes_put_u32(&to, totals->footer_crc);
    tg_bytes_put_u32(&to, END_MAGIC);
    TG_ASSERT(to.used == TG_STATE_FOOTER_BYTES && !to.overflow);
}

tg_status tg_state_footer_decode(const uint8_t data[TG_STATE_FOOTER_BYTES], const char *name, uint64_t file_bytes,
                                 uint32_t tag, struct tg_state_totals *totals, struct tg_error *err)
{
    TG_ASSERT(file_bytes >= TG_STATE_FOOTER_BYTES);
    struct tg_bytes_in in = {.data = data, .bytes = TG_STATE_FOOTER_BYTES};
    const uint64_t start = file_bytes - TG_STATE_FOOTER_BYTES;
    const uint32_t magic = tg_bytes_get_u32(&in);
    totals->blocks = tg_bytes_get_u32(&in);
    totals->puts = tg_bytes_get_u64(&in);
    totals->deletes = tg_bytes_get_u64(&in);
    totals->bytes = tg_bytes_get_u64(&in);
    const uint32_t its_tag = tg_bytes_get_u32(&in);
    totals->blocks_crc = tg_bytes_get_u32(&in);
    totals->footer_crc = tg_bytes_get_u32(&in);
    if (tg_bytes_get_u32(&in) != END_MAGIC) { return tg_state_damaged(name, start + 44, "no end mark", err); }
    if (magic != FOOTER_MAGIC) { return tg_state_damaged(name, start, "no footer", err); }
    if (tg_crc32c(0, data, 40) != totals->footer_crc) {
        return tg_state_damaged(name, start, "wrong checksum of the footer", err);
    }
    if (totals->bytes != start) {
        return tg_state_damaged(name, start + 24, "footer of a file of another length", err);
    }
    if (its_tag != tag) { return tg_state_damaged(name, start + 32, "footer of another file", err); }
    return TG_OK;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

uint32_t tg_block_bytes(uint32_t key_bytes, uint64_t value_bytes)
{
    TG_ASSERT(key_bytes >= 1 && key_bytes <= TG_STATE_KEY_BYTES_MAX);
    const uint32_t around = TG_BLOCK_HEADER_BYTES + TG_RECORD_PUT_BYTES + key_bytes;
    return value_bytes <= TG_BLOCK_RECORD_BYTES_MAX - around ? around + (uint32_t)value_bytes : 0;
}

void tg_block_begin(struct tg_block *block, uint8_t *memory, uint32_t capacity, uint32_t table)
{
    TG_ASSERT(capacity > TG_BLOCK_HEADER_BYTES && capacity <= TG_BLOCK_RECORD_BYTES_MAX);
    *block = (struct tg_block){.data = memory, .capacity = capacity, .used = TG_BLOCK_HEADER_BYTES, .table = table};
}

/* Room for a record of `bytes`: beyond the ordinary size only for the first and only one. */
static inline uint8_t *block_claim(struct tg_block *block, uint64_t bytes)
{
    const uint64_t end = block->used + bytes;
    if (end > block->capacity || (end > TG_BLOCK_BYTES_MAX && block->entries > 0)) { return NULL; }
    uint8_t *place = block->data + block->used;
    block->used = (uint32_t)end;
    block->entries++;
    return place;
}

uint8_t *tg_block_put(struct tg_block *block, struct tg_key key, uint32_t value_bytes)
{
    TG_DCHECK(key.bytes >= 1 && key.bytes <= TG_STATE_KEY_BYTES_MAX);
    uint8_t *place = block_claim(block, (uint64_t)TG_RECORD_PUT_BYTES + key.bytes + value_bytes);
    if (place == NULL) { return NULL; }
    block->puts++;
    place[0] = TG_STATE_PUT;
    place[1] = 0;
    const uint16_t key_bytes = (uint16_t)key.bytes;
    memcpy(place + 2, &key_bytes, sizeof key_bytes);
    memcpy(place + 4, &value_bytes, sizeof value_bytes);
    memcpy(place + TG_RECORD_PUT_BYTES, key.data, key.bytes);
    return place + TG_RECORD_PUT_BYTES + key.bytes;
}

bool tg_block_delete(struct tg_block *block, struct tg_key key)
{
    TG_DCHECK(key.bytes >= 1 && key.bytes <= TG_STATE_KEY_BYTES_MAX);
    uint8_t *place = block_claim(block, (uint64_t)TG_RECORD_DELETE_BYTES + key.bytes);
    if (place == NULL) { return false; }
    place[0] = TG_STATE_DEL;
    place[1] = 0;
    const uint16_t key_bytes = (uint16_t)key.bytes;
    memcpy(place + 2, &key_bytes, sizeof key_bytes);
    memcpy(place + TG_RECORD_DELETE_BYTES, key.data, key.bytes);
    return true;
}

uint32_t tg_block_end(struct tg_block *block, const struct tg_state_header *header, struct tg_state_totals *totals)
{
    if (block->entries == 0) { return 0; }
    TG_ASSERT(block->table < header->table_count && totals->blocks < UINT32_MAX);
    struct tg_bytes_out out = {.data = block->data, .capacity = TG_BLOCK_HEADER_BYTES};
    tg_bytes_put_u32(&out, BLOCK_MAGIC);
    tg_bytes_put_u32(&out, header->tag);
    tg_bytes_put_u32(&out, totals->blocks);
    tg_bytes_put_u16(&out, (uint16_t)block->table);
    tg_bytes_put_u16(&out, block->used > TG_BLOCK_BYTES_MAX ? BLOCK_IS_LARGE : 0);
    tg_bytes_put_u32(&out, block->entries);
    tg_bytes_put_u32(&out, block->used - TG_BLOCK_HEADER_BYTES);
    tg_bytes_put_u32(&out, 0);
    uint32_t crc = tg_crc32c(0, block->data, BLOCK_CRC_AT);
    crc = tg_crc32c(crc, block->data + TG_BLOCK_HEADER_BYTES, block->used - TG_BLOCK_HEADER_BYTES);
    tg_bytes_put_u32(&out, crc);
    TG_ASSERT(out.used == TG_BLOCK_HEADER_BYTES && !out.overflow);
    totals->blocks++;
    totals->blocks_crc = tg_crc32c(totals->blocks_crc, &crc, sizeof crc);
    totals->puts += block->puts;
    totals->deletes += block->entries - block->puts;
    totals->bytes += block->used;
    const uint32_t bytes = block->used;
    block->entries = block->puts = 0;
    block->used = TG_BLOCK_HEADER_BYTES;
    return bytes;
}
