/* Verifying a checkpoint to the last byte. Reading and checking take about as long as loading, so the files of
 * different shards are given to a thread each: they have nothing in common, and what is found is put together when all
 * are done. */
#include <pthread.h>
#include <string.h>

#include "base/assert.h"
#include "base/key.h"
#include "base/limits.h"
#include "engine/checkpoint/recovery.h"
#include "state/value.h"

tg_status tg_recovery_record_check(const struct tg_state_reader *reader, const struct tg_state_record *record,
                                   struct tg_error *err)
{
    const struct tg_state_header *header = &reader->header;
    const struct tg_state_layout *layout = &header->tables[record->table];
    const uint64_t key_at = record->at + (record->op == TG_STATE_PUT ? TG_RECORD_PUT_BYTES : TG_RECORD_DELETE_BYTES);
    struct tg_bytes_in in = {.data = record->key.data, .bytes = record->key.bytes};
    if (!tg_state_key_check(layout, &in)) {
        return tg_state_damaged(reader->input.name, key_at + in.wrong_at, in.wrong, err);
    }
    const uint32_t group = tg_key_group(tg_key_hash(record->key.data, record->key.bytes));
    const bool by_group = layout->owner_kind == TG_STATE_OF_STEP; /* identities go with their partition */
    if (by_group && (group < header->group_first || group > header->group_last)) {
        return tg_state_damaged(reader->input.name, key_at, "key of another shard", err);
    }
    if (record->op == TG_STATE_DEL) { return TG_OK; }
    in = (struct tg_bytes_in){.data = record->value, .bytes = record->value_bytes};
    if (tg_state_value_check(layout, &in)) { return TG_OK; }
    return tg_state_damaged(reader->input.name, key_at + record->key.bytes + in.wrong_at, in.wrong, err);
}

/* The files of every `stride`th shard, from shard `first` on. */
struct verifier {
    const struct tg_store *store;
    const struct tg_manifest *manifest;
    struct tg_restore_progress *progress;
    uint32_t first;
    uint32_t stride;
    struct tg_recovery_totals totals;
    uint32_t failed_at; /* index of the file that is damaged; file_count = none */
    tg_status status;
    struct tg_error error;
    pthread_t thread;
    bool has_thread; /* of its own */
};

static tg_status verify_file(struct verifier *verifier, uint32_t index, struct tg_error *err)
{
    struct tg_recovery_file file;
    struct tg_recovery_totals *totals = &verifier->totals;
    tg_status status = tg_recovery_file_open(verifier->store, verifier->manifest, index, &file, err);
    struct tg_state_record record;
    uint64_t told = 0; /* bytes */
    int more = 1;
    while (status == TG_OK && (more = tg_state_reader_next(&file.reader, &record, err)) > 0) {
        status = tg_recovery_record_check(&file.reader, &record, err);
        if (!tg_state_reader_block_ends(&file.reader)) { continue; }
        tg_restore_progress_add(verifier->progress, file.reader.seen.bytes - told);
        told = file.reader.seen.bytes;
        if (!verifier->has_thread) { (void)tg_restore_progress_poll(verifier->progress); }
    }
    if (more < 0) { status = (tg_status)more; }
    if (status == TG_OK) {
        tg_restore_progress_add(verifier->progress, file.reading.bytes - told);
        totals->puts += file.reader.seen.puts;
        totals->deletes += file.reader.seen.deletes;
        totals->bytes += file.reading.bytes;
    }
    tg_recovery_file_close(&file);
    return status;
}

static void *verify_some(void *self)
{
    struct verifier *verifier = self;
    const struct tg_manifest *manifest = verifier->manifest;
    verifier->failed_at = manifest->file_count;
    for (uint32_t i = 0; i < manifest->file_count; i++) {
        if (manifest->files[i].shard % verifier->stride != verifier->first) { continue; }
        verifier->status = verify_file(verifier, i, &verifier->error);
        if (verifier->status != TG_OK) {
            verifier->failed_at = i;
            break;
        }
    }
    return NULL;
}

tg_status tg_recovery_verify(const struct tg_store *store, const struct tg_manifest *manifest, uint32_t threads,
                             struct tg_restore_progress *progress, struct tg_recovery_totals *totals,
                             struct tg_error *err)
{
    TG_ASSERT(threads >= 1 && threads <= TG_SHARDS_MAX);
    struct verifier verifiers[TG_SHARDS_MAX];
    const uint32_t count = threads < manifest->shard_count ? threads : manifest->shard_count;
    for (uint32_t i = 0; i < count; i++) {
        verifiers[i] = (struct verifier){.store = store,
                                         .manifest = manifest,
                                         .progress = progress,
                                         .first = i,
                                         .stride = count,
                                         .has_thread = i != 0};
        /* One that cannot be started is done by this thread, after its own. */
        if (i != 0 && pthread_create(&verifiers[i].thread, NULL, verify_some, &verifiers[i]) != 0) {
            verifiers[i].has_thread = false;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!verifiers[i].has_thread) { (void)verify_some(&verifiers[i]); }
    }
    *totals = (struct tg_recovery_totals){0};
    const struct verifier *first = &verifiers[0]; /* which damage is told must not depend on how threads ran */
    for (uint32_t i = 0; i < count; i++) {
        if (verifiers[i].has_thread) { TG_ASSERT(pthread_join(verifiers[i].thread, NULL) == 0); }
        totals->puts += verifiers[i].totals.puts;
        totals->deletes += verifiers[i].totals.deletes;
        totals->bytes += verifiers[i].totals.bytes;
        if (verifiers[i].failed_at < first->failed_at) { first = &verifiers[i]; }
    }
    if (first->status != TG_OK && err != NULL) { *err = first->error; }
    return first->status;
}
