/* Time zone files of the system's tz database (RFC 8536, version 2 and later) as a flat list of offset changes. The
 * rule in the file's footer is unrolled over one calendar cycle of 400 years, after which it repeats to the day. */
#ifndef TG_BASE_TZIF_H
#define TG_BASE_TZIF_H

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

enum { TG_TZIF_CHANGES_MAX = 4096, TG_TZIF_FILE_BYTES_MAX = 1 << 20 };

struct tg_tzif_change {
    int64_t at;    /* seconds since 1970 UTC */
    int32_t after; /* offset east of UTC in seconds from then on; differs from the one before */
};

struct tg_tzif {
    int32_t first;         /* offset before the first change */
    uint32_t change_count;
    int64_t repeats_from;  /* from here on the changes repeat every 400 years; INT64_MAX = they do not */
    struct tg_tzif_change changes[TG_TZIF_CHANGES_MAX]; /* ascending */
};

/* Read a whole file. NULL when it was understood, else what is wrong with it (static text).  @setup */
TG_MUST_USE const char *tg_tzif_parse(const uint8_t *file, size_t bytes, struct tg_tzif *out);

#endif
