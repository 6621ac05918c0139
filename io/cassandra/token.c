/* Murmur3 as Cassandra computes it; golden values in the tests come from `SELECT token(...)` of a real server. */
#include "io/cassandra/token.h"

#include <string.h>

static const uint64_t c1 = 0x87c37b91114253d5u;
static const uint64_t c2 = 0x4cf5ad432745937fu;

static uint64_t rotate(uint64_t value, uint32_t bits) { return (value << bits) | (value >> (64 - bits)); }

static uint64_t finish(uint64_t hash)
{
    hash ^= hash >> 33;
    hash *= 0xff51afd7ed558ccdu;
    hash ^= hash >> 33;
    hash *= 0xc4ceb9fe1a85ec53u;
    return hash ^ (hash >> 33);
}

/* Up to 8 bytes, little endian, each one sign-extended before it is shifted in: Java's bytes are signed and its port
 * XORs them as they are, so a byte >= 0x80 flips all the bits above it. */
static uint64_t signed_tail(const uint8_t *tail, uint32_t bytes)
{
    uint64_t word = 0;
    for (uint32_t i = 0; i < bytes; i++) { word ^= (uint64_t)(int64_t)(int8_t)tail[i] << (8 * i); }
    return word;
}

int64_t tg_cql_token(const uint8_t *key, uint32_t bytes)
{
    uint64_t h1 = 0;
    uint64_t h2 = 0;
    const uint32_t blocks = bytes / 16;
    for (uint32_t i = 0; i < blocks; i++) {
        uint64_t k1;
        uint64_t k2;
        memcpy(&k1, key + (size_t)i * 16, 8);
        memcpy(&k2, key + (size_t)i * 16 + 8, 8);
        h1 ^= rotate(k1 * c1, 31) * c2;
        h1 = (rotate(h1, 27) + h2) * 5 + 0x52dce729;
        h2 ^= rotate(k2 * c2, 33) * c1;
        h2 = (rotate(h2, 31) + h1) * 5 + 0x38495ab5;
    }
    const uint8_t *tail = key + (size_t)blocks * 16;
    const uint32_t rest = bytes % 16;
    if (rest > 8) { h2 ^= rotate(signed_tail(tail + 8, rest - 8) * c2, 33) * c1; }
    if (rest > 0) { h1 ^= rotate(signed_tail(tail, rest < 8 ? rest : 8) * c1, 31) * c2; }
    h1 ^= bytes;
    h2 ^= bytes;
    h1 += h2;
    h2 += h1;
    h1 = finish(h1);
    h2 = finish(h2);
    h1 += h2;
    const int64_t token = (int64_t)h1;
    return token == INT64_MIN ? INT64_MAX : token;
}
