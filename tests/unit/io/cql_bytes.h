/* Hexadecimal for golden values. */
#ifndef TG_TESTS_UNIT_IO_CQL_BYTES_H
#define TG_TESTS_UNIT_IO_CQL_BYTES_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static inline uint32_t from_hex(const char *hex, uint8_t *out)
{
    const uint32_t bytes = (uint32_t)(strlen(hex) / 2);
    for (uint32_t i = 0; i < bytes; i++) {
        unsigned value = 0;
        (void)sscanf(hex + 2 * (size_t)i, "%2x", &value);
        out[i] = (uint8_t)value;
    }
    return bytes;
}

static inline const char *to_hex(const uint8_t *data, uint32_t bytes)
{
    static char text[4096];
    for (uint32_t i = 0; i < bytes && i < sizeof text / 2 - 1; i++) {
        (void)snprintf(text + 2 * (size_t)i, 3, "%02x", data[i]);
    }
    text[2 * (size_t)bytes] = '\0';
    return text;
}

#endif
