/* Escape sequences of JSON strings: checked once for the whole document, undone for the texts a row takes. */
#include "io/decode_string.h"

#include <string.h>

#include "base/assert.h"

/* What follows a backslash -> the byte it stands for; 0 = no such escape. \u is not in the table. */
static const uint8_t simple_escapes[256] = {
    ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t',
};

/* Value of four hexadecimal digits, or UINT32_MAX. */
static uint32_t hex4(const uint8_t *digits)
{
    uint32_t value = 0;
    for (uint32_t i = 0; i < 4; i++) {
        const uint32_t c = digits[i];
        const uint32_t lower = c | 0x20;
        if (c - '0' < 10) {
            value = value << 4 | (c - '0');
        } else if (lower - 'a' < 6) {
            value = value << 4 | (lower - 'a' + 10);
        } else {
            return UINT32_MAX;
        }
    }
    return value;
}

static bool is_high_surrogate(uint32_t unit) { return unit - 0xD800 < 0x400; }
static bool is_low_surrogate(uint32_t unit) { return unit - 0xDC00 < 0x400; }

/* Bytes of the escape at text[0] (a backslash) when it is a legal one, else 0. */
static uint32_t escape_bytes(const uint8_t *text, uint32_t bytes)
{
    if (bytes < 2) { return 0; }
    if (text[1] != 'u') { return simple_escapes[text[1]] != 0 ? 2 : 0; }
    if (bytes < 6) { return 0; }
    const uint32_t unit = hex4(text + 2);
    if (unit == UINT32_MAX || is_low_surrogate(unit)) { return 0; }
    if (!is_high_surrogate(unit)) { return 6; }
    if (bytes < 12 || text[6] != '\\' || text[7] != 'u') { return 0; }
    return is_low_surrogate(hex4(text + 8)) ? 12 : 0;
}

bool tg_string_escapes_ok(const uint8_t *text, uint32_t bytes)
{
    const uint8_t *const end = text + bytes;
    const uint8_t *at = memchr(text, '\\', bytes);
    while (at != NULL) {
        const uint32_t escape = escape_bytes(at, (uint32_t)(end - at));
        if (escape == 0) { return false; }
        at += escape;
        at = memchr(at, '\\', (size_t)(end - at));
    }
    return true;
}

static uint32_t put_utf8(uint32_t point, uint8_t *out)
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (uint8_t)(0xC0 | point >> 6);
        out[1] = (uint8_t)(0x80 | (point & 0x3F));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (uint8_t)(0xE0 | point >> 12);
        out[1] = (uint8_t)(0x80 | (point >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (point & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | point >> 18);
    out[1] = (uint8_t)(0x80 | (point >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (point >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (point & 0x3F));
    return 4;
}

uint32_t tg_string_unescape(const uint8_t *text, uint32_t bytes, uint8_t *out)
{
    const uint8_t *at = text;
    const uint8_t *const end = text + bytes;
    uint32_t used = 0;
    while (at < end) {
        const uint8_t *const escape = memchr(at, '\\', (size_t)(end - at));
        const size_t plain = (size_t)((escape != NULL ? escape : end) - at);
        memcpy(out + used, at, plain);
        used += (uint32_t)plain;
        at += plain;
        if (escape == NULL) { break; }
        if (at[1] != 'u') {
            out[used++] = simple_escapes[at[1]];
            at += 2;
            continue;
        }
        uint32_t point = hex4(at + 2);
        at += 6;
        if (is_high_surrogate(point)) {
            point = 0x10000 + ((point - 0xD800) << 10) + (hex4(at + 2) - 0xDC00);
            at += 6;
        }
        used += put_utf8(point, out + used);
    }
    TG_ASSERT(used <= bytes);
    return used;
}
