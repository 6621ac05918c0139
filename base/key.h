/* Key bytes and their hash: the frozen encoding behind routing, tables and checkpoints.
 * Columns in key order, each: presence byte (0 = null, nothing follows; 1), then
 *   text, json                u32 little endian length, bytes
 *   bigint, timestamp         8 bytes little endian
 *   integer, enum             8 bytes little endian, sign extended
 *   boolean                   1 byte 0/1
 *   date                      4 bytes little endian
 *   numeric                   16 bytes little endian, at column scale
 * No Unicode normalisation. hash = XXH3_64bits(bytes), seed 0. key group = hash >> 54; shard = group x shards >> 10. */
#ifndef TG_BASE_KEY_H
#define TG_BASE_KEY_H

#include "base/schema.h"

struct tg_key_spec {
    const struct tg_schema *schema;
    uint32_t column_count;
    uint32_t columns[TG_COLUMNS_MAX]; /* indexes into schema */
};

/* Encode the key of `row` into out[capacity]; returns its length, or 0 when it exceeds capacity.  @any */
TG_HOT uint32_t tg_key_encode(const struct tg_key_spec *spec, const void *row, uint8_t *out, uint32_t capacity);

/* Write the columns of encoded `key` into the first columns of `row`, whose null bits are clear and which is of
 * `schema`. Texts point into the key's bytes.  @any */
TG_HOT void tg_key_decode(const struct tg_key_spec *spec, struct tg_key key, const struct tg_schema *schema, void *row);

/* XXH3_64bits of the bytes, seed 0.  @any */
TG_HOT uint64_t tg_key_hash(const uint8_t *data, uint32_t bytes);

static inline uint32_t tg_key_group(uint64_t hash) { return (uint32_t)(hash >> 54); }
static inline uint32_t tg_key_shard(uint64_t hash, uint32_t shard_count)
{
    return (tg_key_group(hash) * shard_count) >> 10;
}

#endif
