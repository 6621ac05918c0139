/* Any bytes as a state file. First as they are; then with the checksums of header, blocks and footer made right as far
 * as lengths lead, so that what stands behind them is read, too: records, keys and values by the layouts of the header.
 */
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "state/value.h"
#include "tests/memory_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_file(const uint8_t *data, size_t size)
{
    struct memory_input memory = {data, size};
    const struct tg_state_input input = memory_input(&memory);
    struct tg_state_reader reader;
    struct tg_state_record record;
    struct tg_error err = {0};
    uint64_t count = 0;
    int more = tg_state_reader_open(&reader, &input, &err) == TG_OK ? 1 : -1;
    while (more > 0 && (more = tg_state_reader_next(&reader, &record, &err)) > 0) {
        const struct tg_state_layout *layout = &reader.header.tables[record.table];
        struct tg_bytes_in in = {.data = record.key.data, .bytes = record.key.bytes};
        if (tg_state_key_check(layout, &in) != (in.wrong == NULL) || in.wrong_at > in.bytes) { abort(); }
        in = (struct tg_bytes_in){.data = record.value, .bytes = record.value_bytes};
        if (tg_state_value_check(layout, &in) != (in.wrong == NULL) || in.wrong_at > in.bytes) { abort(); }
        count++;
    }
    if (more < 0 && err.code != TG1512 && err.code != TG1513) { abort(); }
    if (more == 0 && count != reader.wanted.puts + reader.wanted.deletes) { abort(); }
    tg_state_reader_close(&reader);
}

static uint32_t word(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}
static void put_word(uint8_t *at, uint32_t value) { memcpy(at, &value, sizeof value); }

/* Seal what is there: the header's length is believed when it fits, then block after block. */
static void seal(uint8_t *data, size_t size)
{
    const size_t footer = size - TG_STATE_FOOTER_BYTES;
    memcpy(data, "TGSTATE\n\x01\0\0\0", 12);
    size_t at = word(data + 12) % (footer + 1);
    at = at < TG_STATE_HEADER_FIXED_BYTES + 4 ? TG_STATE_HEADER_FIXED_BYTES + 4 : at;
    put_word(data + 12, (uint32_t)at);
    const uint32_t tag = tg_crc32c(0, data, at - 4);
    put_word(data + at - 4, tag);
    uint32_t blocks = 0, blocks_crc = 0;
    while (footer - at > TG_BLOCK_HEADER_BYTES) {
        uint8_t *block = data + at;
        const size_t room = footer - at - TG_BLOCK_HEADER_BYTES;
        const uint32_t payload = (uint32_t)(word(block + 20) > room ? room : word(block + 20));
        memcpy(block, "BLCK", 4);
        put_word(block + 4, tag);
        put_word(block + 8, blocks++);
        memset(block + 14, 0, 2);
        put_word(block + 20, payload);
        put_word(block + 24, 0);
        const uint32_t crc = tg_crc32c(tg_crc32c(0, block, 28), block + TG_BLOCK_HEADER_BYTES, payload);
        put_word(block + 28, crc);
        blocks_crc = tg_crc32c(blocks_crc, &crc, sizeof crc);
        at += TG_BLOCK_HEADER_BYTES + payload;
    }
    uint8_t *end = data + footer;
    const uint64_t bytes = footer;
    memcpy(end, "FOOT", 4);
    put_word(end + 4, blocks);
    memcpy(end + 24, &bytes, sizeof bytes);
    put_word(end + 32, tag);
    put_word(end + 36, blocks_crc);
    put_word(end + 40, tg_crc32c(0, end, 40));
    memcpy(end + 44, "TGND", 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_file(data, size);
    if (size < TG_STATE_HEADER_FIXED_BYTES + 4 + TG_STATE_FOOTER_BYTES || size > 1 << 20) { return 0; }
    uint8_t *copy = malloc(size);
    if (copy == NULL) { abort(); }
    memcpy(copy, data, size);
    seal(copy, size);
    read_file(copy, size);
    free(copy);
    return 0;
}
