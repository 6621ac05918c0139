/* Every fixed limit of the engine, with the relations between them asserted once. */
#ifndef TG_BASE_LIMITS_H
#define TG_BASE_LIMITS_H

#include <assert.h>

enum {
    TG_BATCH_ROWS_MAX = 1024,      /* rows of one batch, slices of one raw batch */
    TG_BATCH_BLOB_BYTES = 65536,   /* text of a batch that crosses to another shard, per text column */
    TG_BATCH_PINS_MAX = 16,        /* fetch buffers one batch may point into */
    TG_KEY_BYTES_MAX = 1024,       /* encoded key */
    TG_TEXT_BYTES_MAX = 65536,     /* one text value */
    TG_RECORD_BYTES_MAX = 8 << 20, /* one record */
    TG_JSON_DEPTH_MAX = 1024,
    TG_KEY_GROUP_COUNT = 1024, /* frozen: part of every checkpoint */
    TG_COLUMNS_MAX = 64,
    TG_PARTITIONS_MAX = 4096, /* of one source */
    TG_SOURCES_MAX = 16,
    TG_STEPS_MAX = 64, /* a row carries one refusal bit per step */
    TG_SINKS_MAX = 64,
    TG_SHARDS_MAX = 64,
    TG_TIMERS_MAX = 8,              /* named timers of one operator */
    TG_OUTPUTS_MAX = 8,             /* of one operator */
    TG_EMIT_ROWS_MAX = 256,         /* of one callback */
    TG_REARM_AT_INFINITY_MAX = 10000,
    TG_BUFFER_PADDING = 64, /* readable bytes behind the last record of a fetch buffer */
};

static_assert(TG_BATCH_BLOB_BYTES >= TG_TEXT_BYTES_MAX, "any single text fits an empty blob");
static_assert(TG_STEPS_MAX <= 64, "the refusal bits of a row are one 64-bit word");
static_assert((TG_BATCH_ROWS_MAX & (TG_BATCH_ROWS_MAX - 1)) == 0, "fresh bitmaps are whole words");

#endif
