/* Copies of a few bytes, in line: a call costs more than they do. */
#ifndef TG_BASE_COPY_H
#define TG_BASE_COPY_H

#include <stdint.h>
#include <string.h>

#include "base/attributes.h"

/* Text of any length; most are ids of 8 to 16 bytes, for which two loads that overlap will do. `from` may be NULL when
 * there is nothing to copy.  @any */
static inline void tg_copy_text(void *to, const void *from, uint32_t bytes)
{
    if (TG_LIKELY(bytes - 8 <= 8)) {
        uint64_t head;
        uint64_t tail;
        memcpy(&head, from, 8);
        memcpy(&tail, (const uint8_t *)from + bytes - 8, 8);
        memcpy(to, &head, 8);
        memcpy((uint8_t *)to + bytes - 8, &tail, 8);
    } else if (bytes != 0) {
        memcpy(to, from, bytes);
    }
}

/* A row: about a hundred bytes, always whole words. In the size of its fields: those were written a moment ago, and a
 * load that spans two stores waits until both have left the core's store buffer.  @any */
static inline void tg_copy_row(void *to, const void *from, uint32_t bytes)
{
    for (uint32_t at = 0; at < bytes; at += 8) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)from + at, 8);
        memcpy((uint8_t *)to + at, &word, 8);
    }
}

#endif
