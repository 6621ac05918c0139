/* Any bytes as a manifest. First as they are; then with magic, length, checksum and end mark made right, because a
 * fuzzer does not find those: what is accepted must be legal and encode to the very bytes it came from. */
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "engine/checkpoint/manifest.h"
#include "tests/manifest_equal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const uint8_t *data, size_t size)
{
    struct tg_arena arena;
    struct tg_manifest manifest;
    struct tg_error err = {0};
    if (tg_arena_open(&arena, (size_t)256 << 20, NULL) != TG_OK) { abort(); }
    const tg_status status = tg_manifest_decode(data, size, "MANIFEST-1", &arena, &manifest, &err);
    if (status == TG_OK) {
        struct tg_bytes_out out = {.data = malloc(size), .capacity = size};
        if (tg_manifest_flaw(&manifest) != NULL || !manifest_equal(&manifest, &manifest)) { abort(); }
        if (tg_manifest_encode(&manifest, &out, NULL) != TG_OK) { abort(); }
        if (out.used != size || memcmp(out.data, data, size) != 0) { abort(); }
        free(out.data);
    } else if (err.code != TG1512 && err.code != TG1513) {
        abort();
    }
    tg_arena_close(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(data, size);
    if (size < 24 || size > 1 << 20) { return 0; }
    uint8_t *copy = malloc(size);
    if (copy == NULL) { abort(); }
    memcpy(copy, data, size);
    const uint32_t total = (uint32_t)size;
    memcpy(copy, "TGMANIF\n\x01\0\0\0", 12);
    memcpy(copy + 12, &total, 4);
    memcpy(copy + size - 4, "TGND", 4);
    const uint32_t crc = tg_crc32c(0, copy, size - 8);
    memcpy(copy + size - 8, &crc, 4);
    decode(copy, size);
    free(copy);
    return 0;
}
