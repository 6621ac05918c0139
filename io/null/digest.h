/* Digest of rows that does not depend on their order: sum over rows, mod 2^64, of fmix64(FNV-1a-64(text)), where text =
 * the columns in schema order joined by ',': text and json as they are, integers decimal, timestamps as milliseconds
 * since 1970 (floor), booleans true or false, enums by name, everything else as files show it, null for null.
 * (FNV: Fowler, Noll, Vo; fmix64: the finaliser of A. Appleby's MurmurHash3.) */
#ifndef TG_IO_NULL_DIGEST_H
#define TG_IO_NULL_DIGEST_H

#include "base/batch.h"

enum { TG_DIGEST_HEADS = 4 }; /* number columns whose leading digits are remembered */

/* What hashing one constant text does to a hash: h becomes h x power + add[lowest byte of h]. */
struct tg_digest_phrase {
    uint64_t power;
    uint64_t add[256];
};

/* The eight and more leading digits (value / 10^8) that a column's numbers share for a while, as timestamps do for a
 * day. */
struct tg_digest_head {
    uint64_t base;      /* of the phrase: numbers base to base + 10^8 - 1 begin with it; 0 = none yet */
    uint64_t next;      /* the base seen last beside it ... */
    uint32_t next_seen; /* ... and how many times in a row */
    struct tg_digest_phrase phrase;
};

enum tg_digest_kind { TG_DIGEST_TEXT, TG_DIGEST_NUMBER, TG_DIGEST_BOOLEAN, TG_DIGEST_OTHER };

/* One column. */
struct tg_digest_step {
    enum tg_digest_kind kind;
    enum tg_type type;
    uint32_t index;
    uint32_t offset;             /* in the row */
    bool plain;                  /* where no value is null, there is a way around text */
    struct tg_digest_head *head; /* of plain number columns */
};

struct tg_digest {
    const struct tg_schema *schema;
    int core_column; /* boolean; rows where it is false are core rows; -1 = none are */
    struct tg_digest_step steps[TG_COLUMNS_MAX];
    struct tg_digest_phrase booleans[2]; /* ",false" and ",true" */
    struct tg_digest_head heads[TG_DIGEST_HEADS];
    uint64_t rows;
    uint64_t sum;
    uint64_t rows_core;
    uint64_t sum_core;
};

/* `schema` is borrowed; the digest must stay where it is. core_column: see above.  @setup */
void tg_digest_init(struct tg_digest *digest, const struct tg_schema *schema, int core_column);
/* Add rows from..batch->count - 1.  @shard */
TG_HOT void tg_digest_add(struct tg_digest *digest, const struct tg_batch *batch, uint32_t from);

#endif
