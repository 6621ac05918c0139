/* What became of a step's input rows, counted per source partition, and the audit's sums over those that were applied
 * (`engine: {audit: true}`). A row's uid is a hash of where its record stands in the input. One lost row and one
 * applied twice leave every count right; sum and sum of squares of the uids tell them apart. */
#ifndef TG_ENGINE_TALLY_H
#define TG_ENGINE_TALLY_H

#include <stdint.h>

#include "base/batch.h"

/* Of the rows of one partition that a step got. Without audit `sum` and `squares` stay 0. */
struct tg_tally {
    uint64_t applied;
    uint64_t ignored; /* the operator found them without effect */
    uint64_t refused; /* dead letters of the step: of the operator, or state_full */
    uint64_t sum;     /* of the uids of applied rows, modulo 2^64 */
    uint64_t squares; /* of their squares, likewise */
};

/* The same of one key since its state was made: part of its state, saved with it, unseen by operators. */
struct tg_audit {
    uint64_t rows;
    uint64_t sum;
    uint64_t squares;
};

/* @any */
static inline void tg_tally_add(struct tg_tally *to, const struct tg_tally *from)
{
    to->applied += from->applied;
    to->ignored += from->ignored;
    to->refused += from->refused;
    to->sum += from->sum;
    to->squares += from->squares;
}

/* Every bit of `x` goes into every bit (the finisher of SplitMix64, G. Steele et al., 2014).  @any */
static inline uint64_t tg_uid_mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ x >> 27) * 0x94D049BB133111EBULL;
    return x ^ x >> 31;
}
/* The uid of a record: its job-wide partition and its offset. tests/model/audit.py computes the same.  @any */
static inline uint64_t tg_uid_of_record(uint32_t partition, int64_t offset)
{
    return tg_uid_mix(((uint64_t)partition + 1) * 0x9E3779B97F4A7C15ULL + (uint64_t)offset);
}
/* The uid of a row. Several rows of a step may go back to one record, or to none: instant and revision count, too.
 * @any */
static inline uint64_t tg_uid_of_row(const struct tg_row *row, bool from_source)
{
    const uint64_t uid = tg_uid_of_record(row->partition, row->offset);
    if (from_source) { return uid; }
    return tg_uid_mix(tg_uid_mix(uid + (uint64_t)row->ts) + (uint64_t)row->revision);
}

#endif
