/* A later record of a key replaces what an earlier one left, containers and all. */
#include "state/restore.h"

#include <string.h>

#include "base/assert.h"
#include "base/key.h"
#include "state/entry.h"
#include "state/snapshot.h"

tg_status tg_restore_begin(struct tg_restore *restore, const struct tg_state_layout *stored, struct tg_error *err)
{
    restore->stored = stored;
    return tg_state_layout_match(stored, restore->now, &restore->mapping, err);
}

/* One record into its key's value. */
static tg_status put(struct tg_restore *restore, const struct tg_state_record *record, void *value, bool fresh,
                     const char *file, struct tg_error *err)
{
    if (!fresh) {
        tg_state_entry_clear(restore->now, value, restore->heap);
        memset(value, 0, restore->value_bytes);
    }
    if (restore->make_fresh != NULL) { restore->make_fresh(restore->self, value); }
    tg_snapshot_loaded((struct tg_mark *)(void *)((uint8_t *)value + restore->mark_offset));
    struct tg_bytes_in in = {.data = record->value, .bytes = record->value_bytes};
    struct tg_state_entry_reading reading = {
        .stored = restore->stored, .now = restore->now, .mapping = &restore->mapping, .heap = restore->heap};
    if (tg_state_entry_read(&reading, &in, value)) { return TG_OK; }
    if (reading.full) { return tg_fail(err, TG1601, 0, "%s holds more state than max_state allows", file); }
    return tg_fail(err, TG1512, 0, "%s, byte %llu: a value is damaged: %s", file,
                   (unsigned long long)(record->at + in.wrong_at), in.wrong);
}

/* PUT records that follow one another. */
static tg_status put_all(struct tg_restore *restore, const struct tg_state_record *records, uint32_t count,
                         const char *file, struct tg_error *err)
{
    const struct tg_state_record *kept[TG_RESTORE_RECORDS_MAX];
    struct tg_key keys[TG_RESTORE_RECORDS_MAX];
    uint64_t hashes[TG_RESTORE_RECORDS_MAX];
    void *values[TG_RESTORE_RECORDS_MAX];
    uint64_t fresh[TG_RESTORE_RECORDS_MAX / 64];
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t hash = tg_key_hash(records[i].key.data, records[i].key.bytes);
        if (restore->wanted != NULL && !restore->wanted(restore->self, &records[i], hash)) { continue; }
        kept[kept_count] = &records[i];
        keys[kept_count] = records[i].key;
        hashes[kept_count++] = hash;
    }
    if (kept_count == 0) { return TG_OK; }
    const uint32_t placed = tg_table_upsert(restore->table, kept_count, keys, hashes, values, fresh);
    tg_status status = TG_OK;
    for (uint32_t i = 0; status == TG_OK && i < placed; i++) {
        status = put(restore, kept[i], values[i], (fresh[i / 64] >> (i % 64) & 1) != 0, file, err);
    }
    if (status != TG_OK || placed == kept_count) { return status; }
    return tg_fail(err, TG1601, 0, "%s holds more keys than max_keys allows", file);
}

static void take_out(struct tg_restore *restore, const struct tg_state_record *record)
{
    const uint64_t hash = tg_key_hash(record->key.data, record->key.bytes);
    if (restore->wanted != NULL && !restore->wanted(restore->self, record, hash)) { return; }
    void *value = tg_table_find(restore->table, record->key, hash);
    if (value == NULL) { return; }
    tg_state_entry_clear(restore->now, value, restore->heap);
    tg_table_remove(restore->table, value);
}

tg_status tg_restore_records(struct tg_restore *restore, const struct tg_state_record *records, uint32_t count,
                             const char *file, struct tg_error *err)
{
    TG_ASSERT(count >= 1 && count <= TG_RESTORE_RECORDS_MAX);
    tg_status status = TG_OK;
    uint32_t next = 0;
    while (status == TG_OK && next < count) {
        uint32_t end = next;
        while (end < count && records[end].op == TG_STATE_PUT) { end++; }
        if (end != next) {
            status = put_all(restore, &records[next], end - next, file, err);
            next = end;
        } else {
            take_out(restore, &records[next++]);
        }
    }
    return status;
}
