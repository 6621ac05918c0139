/* Any bytes as a committable of a file sink: what is read ends, never leaves the bytes, and in the newest format
 * encodes to the very bytes it came from. */
#include <stdlib.h>
#include <string.h>

#include "io/file/committable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const uint8_t *data, size_t size)
{
    struct tg_file_parts parts = tg_file_parts_begin(&(struct tg_committable){.data = data, .bytes = (uint32_t)size});
    struct tg_bytes_out out = {.data = malloc(size), .capacity = size};
    if (out.data == NULL) { abort(); }
    struct tg_file_part part;
    tg_file_head_put(&out, &parts.head);
    while (tg_file_parts_next(&parts, &part)) { tg_file_part_put(&out, &part); }
    const bool well = parts.in.wrong == NULL;
    if (well && (parts.in.at != size || parts.head.length < 0)) { abort(); }
    if (well && parts.head.format == 3 && (out.overflow || memcmp(out.data, data, size) != 0)) { abort(); }
    free(out.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = size == 0 || size > TG_COMMITTABLE_BYTES_MAX ? NULL : malloc(size);
    if (copy == NULL) { return 0; }
    memcpy(copy, data, size);
    decode(copy, size);
    if (size >= 8) { /* a fuzzer does not find the formats' first bytes */
        memcpy(copy, (const uint8_t[]){(uint8_t)(data[0] % 5), 0, 0, 0, 0, 0, 0, 0x40}, 8);
        decode(copy, size);
    }
    free(copy);
    return 0;
}
