/* Identities in a table, forgotten by wheels on their partition's clock. The verdict looks at the rule, never at
 * whether the wheel has cleaned up yet. */
#include "engine/dedupe.h"

#include <string.h>

/* What is remembered of an identity. */
struct seen {
    struct tg_wheel_node node; /* due = forgotten once the clock is beyond it */
    int64_t first_ts;
    struct tg_mark mark;
};

const struct tg_state_field tg_dedupe_first_ts = {
    .name = "first_ts", .kind = TG_STATE_TIMESTAMP, .offset = offsetof(struct seen, first_ts)};
const uint32_t tg_dedupe_mark_offset = offsetof(struct seen, mark);
const uint32_t tg_dedupe_value_bytes = sizeof(struct seen);

void tg_dedupe_key(const struct tg_source_spec *source, struct tg_key_spec *out)
{
    *out = (struct tg_key_spec){.schema = &source->schema};
    for (uint32_t i = 0; i < source->dedupe_per_count; i++) {
        out->columns[out->column_count++] = source->dedupe_per[i];
    }
    out->columns[out->column_count++] = source->dedupe_by;
}

static struct tg_table_config table_config(uint64_t ids_max)
{
    return (struct tg_table_config){
        .entry_count_max = ids_max, .hash_seed = 0x9E3779B97F4A7C15ULL, .value_bytes = sizeof(struct seen)};
}

static struct tg_wheel_config wheel_config(uint64_t ids_max, uint32_t owned_count)
{
    return (struct tg_wheel_config){
        .entry_count_max = ids_max,
        .wheel_count = owned_count,
        .node_offset = offsetof(struct seen, node),
        .tick_bits = TG_WHEEL_TICK_BITS,
    };
}

static uint64_t heap_limit(uint64_t ids_max) { return ids_max * 64 + (1 << 20); }

size_t tg_dedupe_bytes(const struct tg_source_spec *source, uint64_t ids_max, uint32_t owned_count)
{
    if (!source->has_dedupe) { return 0; }
    const struct tg_table_config config = table_config(ids_max);
    const struct tg_wheel_config wheels = wheel_config(ids_max, owned_count);
    return tg_table_bytes(&config) + tg_heap_bytes(heap_limit(ids_max)) + tg_wheel_bytes(&wheels) +
           owned_count * sizeof(struct tg_wheel *) + 4096;
}

tg_status tg_dedupe_init(struct tg_dedupe *dedupe, const struct tg_source_spec *source, uint64_t ids_max,
                         uint32_t owned_count, struct tg_arena *arena, struct tg_error *err)
{
    *dedupe = (struct tg_dedupe){.ttl = source->dedupe_ttl, .by = source->dedupe_by};
    tg_dedupe_key(source, &dedupe->spec);
    const struct tg_table_config config = table_config(ids_max);
    tg_status status = tg_heap_create(&dedupe->heap, heap_limit(ids_max), arena, err);
    if (status == TG_OK) { status = tg_table_create(&dedupe->table, &config, dedupe->heap, arena, err); }
    dedupe->wheels = tg_arena_alloc(arena, owned_count * sizeof *dedupe->wheels, 8);
    if (status == TG_OK && dedupe->wheels == NULL) { status = tg_fail(err, TG1601, 0, "no address space for dedupe"); }
    if (status != TG_OK) { return status; }
    struct tg_wheel_config wheels = wheel_config(ids_max, owned_count);
    wheels.table = dedupe->table;
    return tg_wheel_create(dedupe->wheels, &wheels, arena, err);
}

bool tg_dedupe_begin(struct tg_dedupe *dedupe, const struct tg_row *row, uint32_t owned)
{
    dedupe->key_bytes = 0;
    if (tg_row_is_null(dedupe->spec.schema, row, dedupe->by)) { return true; }
    const int64_t partition = dedupe->partitions[owned]; /* a set per partition; as a key column, see key.h */
    dedupe->key[0] = 1;
    memcpy(dedupe->key + 1, &partition, sizeof partition);
    const uint32_t bytes = tg_key_encode(&dedupe->spec, row, dedupe->key + TG_DEDUPE_PREFIX_BYTES, TG_KEY_BYTES_MAX);
    if (bytes == 0) { return false; }
    dedupe->key_bytes = bytes + TG_DEDUPE_PREFIX_BYTES;
    return true;
}

enum tg_dedupe_verdict tg_dedupe_judge(struct tg_dedupe *dedupe, const struct tg_row *row, uint32_t owned, int64_t wm)
{
    if (dedupe->key_bytes == 0) { return TG_DEDUPE_NEW; }
    const struct tg_key key = {dedupe->key, dedupe->key_bytes};
    const uint64_t hash = tg_key_hash(key.data, key.bytes);
    void *value;
    uint64_t fresh = 0;
    if (tg_table_upsert(dedupe->table, 1, &key, &hash, &value, &fresh) != 1) { return TG_DEDUPE_FULL; }
    struct seen *seen = value;
    if ((fresh & 1) == 0) {
        const int64_t until = seen->first_ts + dedupe->ttl;
        if (wm <= until && row->ts <= until) { return TG_DEDUPE_DUPLICATE; }
    }
    if (dedupe->snapshot != NULL) {
        if ((fresh & 1) == 0) {
            tg_snapshot_touch(dedupe->snapshot, seen);
        } else {
            tg_snapshot_born(dedupe->snapshot, seen);
        }
    }
    seen->first_ts = row->ts;
    tg_wheel_disarm(dedupe->wheels[owned], seen);
    tg_wheel_arm(dedupe->wheels[owned], seen, row->ts + dedupe->ttl);
    return TG_DEDUPE_NEW;
}

void tg_dedupe_expire(struct tg_dedupe *dedupe, uint32_t owned, int64_t wm)
{
    enum { CHUNK = 256 };
    void *values[CHUNK];
    uint32_t count;
    do {
        count = tg_wheel_expire(dedupe->wheels[owned], wm, values, CHUNK);
        for (uint32_t i = 0; i < count; i++) {
            if (dedupe->snapshot != NULL) { tg_snapshot_removing(dedupe->snapshot, values[i]); }
            tg_table_remove(dedupe->table, values[i]);
        }
    } while (count == CHUNK);
}

uint32_t tg_dedupe_record_partition(const uint8_t *key)
{
    int64_t partition;
    memcpy(&partition, key + 1, sizeof partition);
    return (uint32_t)partition;
}

void tg_dedupe_restored(struct tg_dedupe *dedupe, const uint32_t *owned_index)
{
    for (uint32_t slot = tg_table_next(dedupe->table, 0); slot != TG_SLOT_NONE;
         slot = tg_table_next(dedupe->table, slot + 1)) {
        struct seen *seen = tg_table_value(dedupe->table, slot);
        const uint32_t owned = owned_index[tg_dedupe_record_partition(tg_table_key(dedupe->table, seen).data)];
        tg_wheel_arm(dedupe->wheels[owned], seen, seen->first_ts + dedupe->ttl);
    }
}
