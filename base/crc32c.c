/* CRC-32C. Where the processor has SSE4.2 and PCLMULQDQ: three lanes of the crc32 instruction side by side; elsewhere
 * eight table look-ups for eight bytes. Chosen at run time.
 *
 * The instruction takes a new word every cycle but answers after three, so one running checksum uses a third of it.
 * Problem: three lanes give the checksums of three neighbouring pieces, and that of their concatenation is wanted.
 * Idea: a checksum is a remainder modulo P. Appending n zero bytes multiplies it by x^(8n), so
 *     crc(A B C) = crc(A) x^(16n) + crc(B) x^(8n) + crc(C)   (mod P, + is xor, n bytes in B and in C)
 * with B's and C's lanes started at zero. The product of two reflected 32-bit remainders by carry-less multiplication
 * is one place off (times x), and the crc32 instruction applied to its 64 bits multiplies by x^32 and reduces: a factor
 * x^33 too many. Hence the constants x^(8n - 33) and x^(16n - 33) mod P.
 * Limits: two sizes of lanes, for buffers of 12 KiB and more and for what is left down to 768 bytes; the rest runs in
 * one lane. */
#include "base/crc32c.h"

#include <string.h>

#include "base/crc32c_tables.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>
#endif

static uint32_t crc_by_table(uint32_t crc, const uint8_t *data, size_t bytes)
{
    const uint32_t(*const t)[256] = tg_crc32c_tables;
    for (; bytes >= 8; bytes -= 8, data += 8) {
        uint64_t word;
        memcpy(&word, data, sizeof word);
        word ^= crc;
        crc = t[7][word & 0xFF] ^ t[6][word >> 8 & 0xFF] ^ t[5][word >> 16 & 0xFF] ^ t[4][word >> 24 & 0xFF] ^
              t[3][word >> 32 & 0xFF] ^ t[2][word >> 40 & 0xFF] ^ t[1][word >> 48 & 0xFF] ^ t[0][word >> 56];
    }
    for (size_t i = 0; i < bytes; i++) { crc = crc >> 8 ^ t[0][(crc ^ data[i]) & 0xFF]; }
    return crc;
}

#if defined(__x86_64__)
#define TARGET __attribute__((target("sse4.2,pclmul")))

struct lanes {
    size_t bytes;  /* n: of one lane, a multiple of 8 */
    uint64_t far;  /* x^(16n - 33) mod P, reflected */
    uint64_t near; /* x^(8n - 33) mod P, reflected */
};
static const struct lanes long_lanes = {4096, 0x54A86326, 0x82F89C77};
static const struct lanes short_lanes = {256, 0xDD7E3B0C, 0xB9E02B86};

TARGET static inline uint64_t times(uint64_t remainder, uint64_t power)
{
    const __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)remainder), _mm_cvtsi64_si128((int64_t)power), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

/* Three lanes' worth of data, again and again while there is enough; returns how many bytes were taken. */
TARGET static inline size_t crc_by_lanes(uint64_t *crc, const uint8_t *data, size_t bytes, struct lanes lanes)
{
    const size_t round = 3 * lanes.bytes;
    size_t taken = 0;
    for (; bytes - taken >= round; taken += round) {
        const uint8_t *at = data + taken;
        uint64_t a = *crc, b = 0, c = 0;
        for (size_t i = 0; i < lanes.bytes; i += 8) {
            uint64_t words[3];
            memcpy(&words[0], at + i, 8);
            memcpy(&words[1], at + i + lanes.bytes, 8);
            memcpy(&words[2], at + i + 2 * lanes.bytes, 8);
            a = _mm_crc32_u64(a, words[0]);
            b = _mm_crc32_u64(b, words[1]);
            c = _mm_crc32_u64(c, words[2]);
        }
        *crc = c ^ _mm_crc32_u64(0, times(a, lanes.far) ^ times(b, lanes.near));
    }
    return taken;
}

TARGET static uint32_t crc_by_instruction(uint32_t crc, const uint8_t *data, size_t bytes)
{
    uint64_t wide = crc;
    size_t at = crc_by_lanes(&wide, data, bytes, long_lanes);
    at += crc_by_lanes(&wide, data + at, bytes - at, short_lanes);
    for (; bytes - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, data + at, sizeof word);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    for (; at < bytes; at++) { crc = _mm_crc32_u8(crc, data[at]); }
    return crc;
}

static int has_instruction(void) { return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"); }
#else
static uint32_t crc_by_instruction(uint32_t crc, const uint8_t *data, size_t bytes)
{
    return crc_by_table(crc, data, bytes);
}

static int has_instruction(void) { return 0; }
#endif

uint32_t tg_crc32c(uint32_t crc, const void *data, size_t bytes)
{
    return ~(has_instruction() ? crc_by_instruction(~crc, data, bytes) : crc_by_table(~crc, data, bytes));
}
