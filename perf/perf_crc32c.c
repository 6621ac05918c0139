/* Checksums of blocks: ours against zlib's crc32 (another polynomial, the same work) and against a loop over one table,
 * at the sizes checkpoints use. */
#include <stdlib.h>
#include <zlib.h>

#include "base/crc32c.h"
#include "base/crc32c_tables.h"
#include "base/prng.h"
#include "perf/measure.h"

static uint32_t plain_loop(uint32_t crc, const uint8_t *data, size_t bytes)
{
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) { crc = crc >> 8 ^ tg_crc32c_tables[0][(crc ^ data[i]) & 0xFF]; }
    return ~crc;
}

static uint32_t sink;

/* Nanoseconds per KiB. */
static int contest(const uint8_t *data, uint32_t bytes, uint32_t floor, bool smoke)
{
    struct tg_measure ours = {0}, zlib = {0}, loop = {0};
    const uint32_t turns = (smoke ? 1u << 16 : 1u << 24) / bytes + 1;
    for (uint32_t round = 0; round < (smoke ? 3 : 9); round++) {
        uint64_t begun = tg_measure_cpu_ns();
        for (uint32_t i = 0; i < turns; i++) { sink += tg_crc32c(sink, data, bytes); }
        tg_measure_add(&ours, (tg_measure_cpu_ns() - begun) * 1024, (uint64_t)turns * bytes);
        begun = tg_measure_cpu_ns();
        for (uint32_t i = 0; i < turns; i++) { sink += (uint32_t)crc32(sink, data, bytes); }
        tg_measure_add(&zlib, (tg_measure_cpu_ns() - begun) * 1024, (uint64_t)turns * bytes);
        begun = tg_measure_cpu_ns();
        for (uint32_t i = 0; i < turns; i++) { sink += plain_loop(sink, data, bytes); }
        tg_measure_add(&loop, (tg_measure_cpu_ns() - begun) * 1024, (uint64_t)turns * bytes);
    }
    char what[64];
    (void)snprintf(what, sizeof what, "crc32c, blocks of %u bytes, per KiB", bytes);
    return tg_measure_judge(what, &ours, "zlib crc32", &zlib, floor, smoke) +
           tg_measure_judge(what, &ours, "table loop", &loop, floor, smoke);
}

int main(int argc, char **argv)
{
    const bool smoke = tg_measure_smoke(argc, argv);
    static const struct {
        uint32_t bytes;
        uint32_t floor;
    } sizes[] = {{64, 1}, {1024, 3}, {65536, 4}, {1 << 20, 4}};
    uint8_t *data = malloc(1 << 20);
    if (data == NULL) { return 1; }
    struct tg_prng prng = {1};
    for (uint32_t i = 0; i < 1 << 20; i++) { data[i] = (uint8_t)tg_prng_next(&prng); }
    int below = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        below += contest(data, sizes[i].bytes, sizes[i].floor, smoke);
    }
    free(data);
    return below > 0 || sink == 1;
}
