/* The conservation law of a checkpoint: every record below its offsets has come to exactly one end, and every row a
 * source passed on has come to one in each step that reads it. Decided by the manifest alone. */
#ifndef TG_ENGINE_CHECKPOINT_CONSERVATION_H
#define TG_ENGINE_CHECKPOINT_CONSERVATION_H

#include "engine/checkpoint/manifest.h"

/* What is checked of each partition:
 *   records = dead + (late - late_in_part) + duplicates + accepted
 *   records = next offset        where offsets count records from 0 (the connector says so)
 *   records <= next offset       elsewhere: offsets may have gaps and begin anywhere
 *   applied + ignored + refused = accepted, in each step that reads the source; with rows that were late for some steps
 *                                 only, at most that and at least accepted - late_in_part
 * Errors: TG1529.  @any */
TG_MUST_USE tg_status tg_conservation_check(const struct tg_manifest *manifest, struct tg_error *err);

/* All partitions together. */
struct tg_conservation_totals {
    uint64_t records, dead, late, late_in_part, duplicates, accepted;
};
/* @any */
void tg_conservation_sum(const struct tg_manifest *manifest, struct tg_conservation_totals *out);

#endif
