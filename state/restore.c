/* A later record of a key replaces what an earlier one left, containers and all. */
#include "state/restore.h"

#include <string.h>

#include "base/key.h"
#include "state/entry.h"
#include "state/snapshot.h"

tg_status tg_restore_begin(struct tg_restore *restore, const struct tg_state_layout *stored, struct tg_error *err)
{
    restore->stored = stored;
    return tg_state_layout_match(stored, restore->now, &restore->mapping, err);
}

static tg_status put(struct tg_restore *restore, const struct tg_state_record *record, uint64_t hash, const char *file,
                     struct tg_error *err)
{
    void *value;
    uint64_t fresh;
    if (tg_table_upsert(restore->table, 1, &record->key, &hash, &value, &fresh) != 1) {
        return tg_fail(err, TG1601, 0, "%s holds more keys than max_keys allows", file);
    }
    if ((fresh & 1) == 0) {
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

tg_status tg_restore_record(struct tg_restore *restore, const struct tg_state_record *record, const char *file,
                            struct tg_error *err)
{
    const uint64_t hash = tg_key_hash(record->key.data, record->key.bytes);
    if (restore->wanted != NULL && !restore->wanted(restore->self, record, hash)) { return TG_OK; }
    if (record->op == TG_STATE_PUT) { return put(restore, record, hash, file, err); }
    void *value = tg_table_find(restore->table, record->key, hash);
    if (value != NULL) {
        tg_state_entry_clear(restore->now, value, restore->heap);
        tg_table_remove(restore->table, value);
    }
    return TG_OK;
}
