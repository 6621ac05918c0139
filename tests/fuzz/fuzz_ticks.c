/* Any bytes as a log of ticks. First as they are; then with the header's and the first frames' magic, lengths and
 * checksums made right, because a fuzzer does not find those: what is accepted must be legal and encode to the very
 * bytes it came from. */
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "engine/checkpoint/ticks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The frames that were taken, frame by frame as they lie in data. */
static void encode_frames(const uint8_t *data, const struct tg_ticks *ticks, struct tg_bytes_out *out)
{
    uint64_t first = 0;
    for (uint64_t f = 0; f < ticks->frames; f++) {
        uint32_t count;
        memcpy(&count, data + out->used + 16, sizeof count);
        tg_ticks_frame_encode(ticks->header.tag, f, ticks->list + first, count, out);
        first += count;
    }
    if (first != ticks->count) { abort(); }
}

static void decode(const uint8_t *data, size_t size)
{
    struct tg_arena arena;
    struct tg_ticks ticks;
    struct tg_error err = {0};
    if (tg_arena_open(&arena, tg_ticks_decode_bytes(size) + (1 << 20), NULL) != TG_OK) { abort(); }
    if (tg_ticks_decode(data, size, "ticks.log", &arena, &ticks, &err) == TG_OK) {
        struct tg_bytes_out out = {.data = malloc(size), .capacity = size};
        struct tg_ticks_header header = ticks.header;
        if (ticks.bytes > size || !tg_ticks_header_encode(&header, &out)) { abort(); }
        if (header.tag != ticks.header.tag || !tg_ticks_same_job(&header, &ticks.header)) { abort(); }
        encode_frames(data, &ticks, &out);
        if (out.used != ticks.bytes || memcmp(out.data, data, out.used) != 0) { abort(); }
        if (tg_ticks_condense((struct tg_tick *)(uintptr_t)ticks.list, ticks.count) > ticks.count) { abort(); }
        free(out.data);
    } else if (err.code != TG1512 && err.code != TG1513) {
        abort();
    }
    tg_arena_close(&arena);
}

/* The first two bytes say where the header ends, a byte in a frame's count how many ticks it has. */
static void repair(uint8_t *data, size_t size)
{
    const size_t room = size - 48;
    const uint32_t length = 48 + (uint32_t)((data[0] | data[1] << 8) % (room + 1)) / 8 * 8;
    memcpy(data, "TGTICKS\n\x01\0\0\0", 12);
    memcpy(data + 12, &length, 4);
    const uint32_t tag = tg_crc32c(0, data, length - 4);
    memcpy(data + length - 4, &tag, 4);
    uint64_t number = 0;
    for (size_t at = length; at + TG_TICKS_FRAME_HEAD_BYTES + TG_TICK_BYTES <= size; number++) {
        const size_t most = (size - at - TG_TICKS_FRAME_HEAD_BYTES) / TG_TICK_BYTES;
        const uint32_t count = 1 + (uint32_t)(data[at + 16] % (most < TG_TICKS_FRAME_MAX ? most : TG_TICKS_FRAME_MAX));
        const uint32_t head[5] = {0x4B434954, tag, (uint32_t)number, 0, count};
        memcpy(data + at, head, sizeof head);
        memset(data + at + 20, 0, 8);
        uint32_t crc = tg_crc32c(0, data + at, 28);
        crc = tg_crc32c(crc, data + at + TG_TICKS_FRAME_HEAD_BYTES, (size_t)count * TG_TICK_BYTES);
        memcpy(data + at + 28, &crc, 4);
        at += TG_TICKS_FRAME_HEAD_BYTES + (size_t)count * TG_TICK_BYTES;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(data, size);
    if (size < 64 || size > 1 << 20) { return 0; }
    uint8_t *copy = malloc(size);
    if (copy == NULL) { abort(); }
    memcpy(copy, data, size);
    repair(copy, size);
    decode(copy, size);
    free(copy);
    return 0;
}
