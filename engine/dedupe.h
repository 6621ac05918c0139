/* Remembered identities of one source on one shard (`dedupe: {by, per, ttl}`), per partition: with partitioned_by a
 * repeated identity always comes back to the same partition, so no exchange is needed.
 * Duplicate iff ts <= first ts + ttl and the identity is still remembered; it is forgotten once the partition's clock
 * before the row has passed first ts + ttl. */
#ifndef TG_ENGINE_DEDUPE_H
#define TG_ENGINE_DEDUPE_H

#include "base/key.h"
#include "engine/job.h"
#include "state/layout.h"
#include "state/snapshot.h"
#include "state/table.h"
#include "state/wheel.h"

enum { TG_DEDUPE_PREFIX_BYTES = 9 }; /* in front of the identity: the partition as a key column */

struct tg_dedupe {
    struct tg_key_spec spec; /* per..., by */
    tg_us ttl;
    struct tg_heap *heap;
    struct tg_table *table;
    struct tg_wheel **wheels; /* [owned partitions] */
    uint32_t by;
    const uint32_t *partitions;                             /* [owned partitions] their numbers in the source */
    struct tg_snapshot *snapshot;                           /* NULL = the job makes no checkpoints */
    uint32_t key_bytes;                                     /* 0 = the row has no identity */
    uint8_t key[TG_KEY_BYTES_MAX + TG_DEDUPE_PREFIX_BYTES]; /* of the row that began: its partition, then the spec's */
};

enum tg_dedupe_verdict { TG_DEDUPE_NEW, TG_DEDUPE_DUPLICATE, TG_DEDUPE_FULL };

/* Address space for `ids_max` identities over `owned_count` partitions.  @setup */
size_t tg_dedupe_bytes(const struct tg_source_spec *source, uint64_t ids_max, uint32_t owned_count);
/* An empty set in the arena. Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_dedupe_init(struct tg_dedupe *dedupe, const struct tg_source_spec *source, uint64_t ids_max,
                                     uint32_t owned_count, struct tg_arena *arena, struct tg_error *err);

/* The columns of an identity.  @setup */
void tg_dedupe_key(const struct tg_source_spec *source, struct tg_key_spec *out);
/* The one field of a value that a checkpoint keeps, and where a value has its mark.  @setup */
extern const struct tg_state_field tg_dedupe_first_ts;
extern const uint32_t tg_dedupe_mark_offset;
extern const uint32_t tg_dedupe_value_bytes;
/* Of a record: partition and first_ts, for those who choose what to load.  @setup */
uint32_t tg_dedupe_record_partition(const uint8_t *key);
/* After values came back from a checkpoint: arm their timers. owned_index[partition of the source] as the ingest has
 * it.
 * @setup */
void tg_dedupe_restored(struct tg_dedupe *dedupe, const uint32_t *owned_index);

/* Take in the identity of `row` of owned partition `owned`; false when it is longer than a key may be.  @shard */
TG_MUST_USE bool tg_dedupe_begin(struct tg_dedupe *dedupe, const struct tg_row *row, uint32_t owned);
/* Judge the row that began, which is `row`, with the partition's clock `wm` as it was before it; NEW remembers it.
 * @shard */
enum tg_dedupe_verdict tg_dedupe_judge(struct tg_dedupe *dedupe, const struct tg_row *row, uint32_t owned, int64_t wm);
/* Forget what the clock of `owned` has passed.  @shard */
void tg_dedupe_expire(struct tg_dedupe *dedupe, uint32_t owned, int64_t wm);

#endif
