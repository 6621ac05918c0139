/* What stands inside JSON strings: escape sequences. Stage 1 has already refused invalid UTF-8 and bare control
 * characters, so a string without a backslash needs nothing from here. */
#ifndef TG_IO_DECODE_STRING_H
#define TG_IO_DECODE_STRING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"

/* True when every escape in text[0..bytes) is one of RFC 8259 and \u escapes of surrogates come in pairs, high first. A
 * lone one names no character, so it has no UTF-8 and the document is refused.  @any */
TG_MUST_USE bool tg_string_escapes_ok(const uint8_t *text, uint32_t bytes);

/* Unescape text[0..bytes), which tg_string_escapes_ok has accepted, to `out`, which has room for `bytes`; returns the
 * length, never more than `bytes` (the tightest case is \u00e9: six bytes become two).  @any */
uint32_t tg_string_unescape(const uint8_t *text, uint32_t bytes, uint8_t *out);

#endif
