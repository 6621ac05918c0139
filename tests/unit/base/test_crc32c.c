/* CRC-32C: published vectors, both implementations against the definition bit by bit. Includes the source file, because
 * the table path cannot be reached from outside on a processor that has the instruction. */
#include "base/crc32c.c"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/prng.h"
#include "tests/seed.h"

Test(crc32c, published_vectors)
{
    uint8_t bytes[48];
    cr_assert_eq(tg_crc32c(0, "123456789", 9), 0xE3069283u);
    cr_assert_eq(tg_crc32c(0, "", 0), 0);
    memset(bytes, 0, 32);
    cr_assert_eq(tg_crc32c(0, bytes, 32), 0x8A9136AAu); /* RFC 3720 B.4 */
    memset(bytes, 0xFF, 32);
    cr_assert_eq(tg_crc32c(0, bytes, 32), 0x62A8AB43u);
    for (int i = 0; i < 32; i++) { bytes[i] = (uint8_t)i; }
    cr_assert_eq(tg_crc32c(0, bytes, 32), 0x46DD794Eu);
    for (int i = 0; i < 32; i++) { bytes[i] = (uint8_t)(31 - i); }
    cr_assert_eq(tg_crc32c(0, bytes, 32), 0x113FDB5Cu);
    static const uint8_t scsi_read[48] = {1, 0xC0, [16] = 0x14, [22] = 4, [27] = 0x14, [31] = 0x18, 0x28, [40] = 2};
    cr_assert_eq(tg_crc32c(0, scsi_read, 48), 0xD9963A56u); /* RFC 3720 B.4: an iSCSI SCSI Read (10) command PDU */
}

static uint32_t by_definition(uint32_t crc, const uint8_t *data, size_t bytes)
{
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) { crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82F63B78u : 0); }
    }
    return ~crc;
}

Test(crc32c, random_blocks_of_any_length_and_alignment_agree_and_may_be_cut_anywhere)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    for (uint32_t round = 0; round < 20000; round++) {
        const uint32_t bytes = tg_prng_below(&prng, 200);
        const uint32_t skew = tg_prng_below(&prng, 8);
        uint8_t *block = malloc(bytes + skew + 1);
        for (uint32_t i = 0; i < bytes + skew; i++) { block[i] = (uint8_t)tg_prng_next(&prng); }
        const uint8_t *data = block + skew;
        const uint32_t start = (uint32_t)tg_prng_next(&prng);
        const uint32_t cut = tg_prng_below(&prng, bytes + 1);
        const uint32_t expected = by_definition(start, data, bytes);
        cr_assert_eq(tg_crc32c(start, data, bytes), expected, "seed %" PRIu64 " round %u", seed, round);
        cr_assert_eq(tg_crc32c(tg_crc32c(start, data, cut), data + cut, bytes - cut), expected,
                     "seed %" PRIu64 " round %u", seed, round);
        cr_assert_eq(~crc_by_table(~start, data, bytes), expected, "seed %" PRIu64 " round %u", seed, round);
        free(block);
    }
}

Test(crc32c, long_blocks_agree_around_every_size_of_the_lanes)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    enum { LONGEST = 40000 };
    uint8_t *block = malloc(LONGEST);
    for (uint32_t i = 0; i < LONGEST; i++) { block[i] = (uint8_t)tg_prng_next(&prng); }
    static const uint32_t sizes[] = {768, 1536, 2304, 12288, 12288 + 768, 24576, 36864, LONGEST - 9};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (uint32_t bytes = sizes[i] - 9; bytes <= sizes[i] + 9; bytes++) {
            const uint32_t start = (uint32_t)tg_prng_next(&prng);
            const uint32_t expected = by_definition(start, block, bytes);
            cr_assert_eq(tg_crc32c(start, block, bytes), expected, "seed %" PRIu64 " bytes %u", seed, bytes);
            cr_assert_eq(~crc_by_table(~start, block, bytes), expected, "seed %" PRIu64 " bytes %u", seed, bytes);
        }
    }
    free(block);
}
