/* What one shard has done so far: one-writer counters that the status line and the report add up. */
#ifndef TG_ENGINE_PROGRESS_H
#define TG_ENGINE_PROGRESS_H

#include "base/counters.h"
#include "base/histogram.h"
#include "io/decode.h"

struct tg_progress {
    struct tg_counter records_in;
    struct tg_counter bytes_in;
    struct tg_counter late;
    struct tg_counter dead[TG_REASON_COUNT];
    struct tg_counter duplicates;
    struct tg_counter adjusted;   /* stamps in a gap or overlap of the zone */
    struct tg_counter ignored;    /* rows an operator found without effect */
    struct tg_counter moved_keys; /* met in a second partition */
    struct tg_counter rows_out;
    struct tg_counter timers_fired;
    struct tg_counter blocked; /* cycles in which rows had to wait for room */
    struct tg_gauge keys;
    struct tg_gauge state_bytes;
    struct tg_gauge lag;         /* records behind, -1 = unknown */
    struct tg_gauge watermark;   /* smallest wm of the shard's partitions that have one */
    struct tg_histogram process; /* arrival to applied */
};

#endif
