/* Remembered identities of one source on one shard (`dedupe: {by, per, ttl}`), per partition: with partitioned_by a
 * repeated identity always comes back to the same partition, so no exchange is needed.
 * Duplicate iff ts <= first ts + ttl and the identity is still remembered; it is forgotten once the partition's clock
 * before the row has passed first ts + ttl. */
#ifndef TG_ENGINE_DEDUPE_H
#define TG_ENGINE_DEDUPE_H

#include "base/key.h"
#include "engine/job.h"
#include "state/table.h"
#include "state/wheel.h"

struct tg_dedupe {
    struct tg_key_spec spec; /* per..., by */
    tg_us ttl;
    struct tg_heap *heap;
    struct tg_table *table;
    struct tg_wheel **wheels; /* [owned partitions] */
    uint32_t by;
    uint32_t key_bytes; /* 0 = the row has no identity */
    uint8_t key[TG_KEY_BYTES_MAX + 16]; /* of the row that began: its partition, then the spec's columns */
};

enum tg_dedupe_verdict { TG_DEDUPE_NEW, TG_DEDUPE_DUPLICATE, TG_DEDUPE_FULL };

/* Address space for `ids_max` identities over `owned_count` partitions.  @setup */
size_t tg_dedupe_bytes(const struct tg_source_spec *source, uint64_t ids_max, uint32_t owned_count);
/* An empty set in the arena. Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_dedupe_init(struct tg_dedupe *dedupe, const struct tg_source_spec *source, uint64_t ids_max,
                                     uint32_t owned_count, struct tg_arena *arena, struct tg_error *err);

/* Take in the identity of `row` of owned partition `owned`; false when it is longer than a key may be.  @shard */
TG_MUST_USE bool tg_dedupe_begin(struct tg_dedupe *dedupe, const struct tg_row *row, uint32_t owned);
/* Judge the row that began, which is `row`, with the partition's clock `wm` as it was before it; NEW remembers it.
 * @shard */
enum tg_dedupe_verdict tg_dedupe_judge(struct tg_dedupe *dedupe, const struct tg_row *row, uint32_t owned, int64_t wm);
/* Forget what the clock of `owned` has passed.  @shard */
void tg_dedupe_expire(struct tg_dedupe *dedupe, uint32_t owned, int64_t wm);

#endif
