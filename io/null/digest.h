/* Digest of rows that does not depend on their order: sum over rows, mod 2^64, of fmix64(FNV-1a-64(text)), where text =
 * the columns in schema order joined by ',': text and json as they are, integers decimal, timestamps as milliseconds
 * since 1970 (floor), booleans true or false, enums by name, everything else as files show it, null for null.
 * (FNV: Fowler, Noll, Vo; fmix64: the finaliser of A. Appleby's MurmurHash3.) */
#ifndef TG_IO_NULL_DIGEST_H
#define TG_IO_NULL_DIGEST_H

#include "base/batch.h"

enum { TG_DIGEST_RUN_MAX = 8 }; /* columns rendered side by side at once */

/* A stretch of a row's text. */
struct tg_digest_step {
    bool is_text;   /* one text, json or enum column, hashed where it lies; else a run of rendered columns */
    bool comma;     /* runs: ',' stands in front */
    bool comma_behind; /* runs: ',' stands behind, a text follows */
    uint8_t count;
    uint8_t columns[TG_DIGEST_RUN_MAX];
};

struct tg_digest {
    const struct tg_schema *schema;
    int core_column; /* boolean; rows where it is false are core rows; -1 = none are */
    uint32_t step_count;
    struct tg_digest_step steps[2 * TG_COLUMNS_MAX];
    /* Text of the upper digits (value / 10^8) rendered last: timestamps near each other share them for a day. */
    uint64_t high;
    uint64_t high_text;
    uint32_t high_bytes;
    uint64_t rows;
    uint64_t sum;
    uint64_t rows_core;
    uint64_t sum_core;
};

/* `schema` is borrowed. core_column: see above.  @setup */
void tg_digest_init(struct tg_digest *digest, const struct tg_schema *schema, int core_column);
/* Add rows from..batch->count - 1. Four rows at a time: FNV is one chain of multiplications per row, so a single row
 * leaves the multiplier idle three cycles out of four.  @shard */
TG_HOT void tg_digest_add(struct tg_digest *digest, const struct tg_batch *batch, uint32_t from);

#endif
