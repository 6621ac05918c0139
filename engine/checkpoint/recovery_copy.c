/* A checkpoint written again as the newest one: each shard's chain, every record checked on the way, as one base. The
 * same order of syncs and the same decision as a checkpoint of a run, so that whatever happens in between, there is the
 * new one, whole and with the ticks of its run, or there is what was there before. */
#include <string.h>

#include "base/assert.h"
#include "engine/checkpoint/recovery.h"
#include "engine/checkpoint/tick_log.h"

struct copy {
    const struct tg_store *from;
    struct tg_store *to;
    const struct tg_manifest *manifest;
    uint64_t epoch;
    struct tg_recovery_totals *totals;
    /* of the shard in work */
    struct tg_state_header header;
    struct tg_state_totals file_totals;
    struct tg_store_file file;
    struct tg_block block; /* of records that wait for it to be full */
    /* Memory of `arena` */
    uint8_t *head;    /* [TG_STATE_HEADER_BYTES_MAX] */
    uint8_t *memory;  /* [TG_BLOCK_BYTES_MAX] */
    uint8_t *large;   /* [TG_BLOCK_RECORD_BYTES_MAX] of a record that has a block of its own */
    uint8_t *encoded; /* [TG_MANIFEST_BYTES_MAX] */
    struct tg_arena arena;
};

/* Address space; it is touched as it is used. */
static tg_status make_room(struct copy *copy, struct tg_error *err)
{
    enum { SIZES = 4 };
    static const size_t sizes[SIZES] = {TG_STATE_HEADER_BYTES_MAX, TG_BLOCK_BYTES_MAX, TG_BLOCK_RECORD_BYTES_MAX,
                                        TG_MANIFEST_BYTES_MAX};
    uint8_t **const places[SIZES] = {&copy->head, &copy->memory, &copy->large, &copy->encoded};
    size_t bytes = 0;
    for (uint32_t i = 0; i < SIZES; i++) { bytes += sizes[i] + 64; }
    const tg_status status = tg_arena_open(&copy->arena, bytes, err);
    for (uint32_t i = 0; status == TG_OK && i < SIZES; i++) {
        *places[i] = tg_arena_alloc(&copy->arena, sizes[i], 64);
        TG_ASSERT(*places[i] != NULL);
    }
    return status;
}

static tg_status end_block(struct copy *copy, struct tg_block *block, struct tg_error *err)
{
    const uint32_t bytes = tg_block_end(block, &copy->header, &copy->file_totals);
    return bytes == 0 ? TG_OK : tg_store_file_append(copy->to, &copy->file, block->data, bytes, err);
}

static bool append_record(struct tg_block *block, const struct tg_state_record *record)
{
    if (record->op == TG_STATE_DEL) { return tg_block_delete(block, record->key); }
    uint8_t *place = tg_block_put(block, record->key, record->value_bytes);
    if (place != NULL) { memcpy(place, record->value, record->value_bytes); }
    return place != NULL;
}

/* Records keep their order: a full block, one of another table, and a record too large for it end the block before. */
static tg_status copy_record(struct copy *copy, const struct tg_state_record *record, struct tg_error *err)
{
    struct tg_block *block = &copy->block;
    const uint32_t bytes = tg_block_bytes(record->key.bytes, record->value_bytes);
    TG_ASSERT(bytes != 0); /* it came out of a block */
    tg_status status = TG_OK;
    if (bytes > TG_BLOCK_BYTES_MAX) {
        status = end_block(copy, block, err);
        struct tg_block own;
        tg_block_begin(&own, copy->large, bytes, record->table);
        TG_ASSERT(append_record(&own, record));
        if (status == TG_OK) { status = end_block(copy, &own, err); }
        tg_block_begin(block, copy->memory, TG_BLOCK_BYTES_MAX, record->table);
        return status;
    }
    if (block->table == record->table && append_record(block, record)) { return TG_OK; }
    status = end_block(copy, block, err);
    tg_block_begin(block, copy->memory, TG_BLOCK_BYTES_MAX, record->table);
    TG_ASSERT(append_record(block, record));
    return status;
}

/* The new file begins as the chain does. */
static tg_status begin_file(struct copy *copy, const struct tg_state_header *first, struct tg_error *err)
{
    copy->header = *first;
    copy->header.epoch = copy->epoch;
    copy->header.previous = 0;
    copy->header.kind = TG_STATE_BASE;
    struct tg_bytes_out out = {.data = copy->head, .capacity = TG_STATE_HEADER_BYTES_MAX};
    tg_status status = tg_state_header_encode(&copy->header, &out, &copy->file_totals, err);
    if (status == TG_OK) { status = tg_store_file_create(copy->to, copy->epoch, first->shard, true, &copy->file, err); }
    if (status == TG_OK) { status = tg_store_file_append(copy->to, &copy->file, copy->head, out.used, err); }
    tg_block_begin(&copy->block, copy->memory, TG_BLOCK_BYTES_MAX, 0);
    return status;
}

static bool has_same_tables(const struct tg_state_header *a, const struct tg_state_header *b)
{
    bool same = a->table_count == b->table_count;
    for (uint32_t i = 0; same && i < a->table_count; i++) {
        same = tg_state_layout_equal(&a->tables[i], &b->tables[i]);
    }
    return same;
}

static tg_status copy_file(struct copy *copy, struct tg_recovery_file *file, struct tg_error *err)
{
    if (!has_same_tables(&file->reader.header, &copy->header)) {
        return tg_fail(err, TG1519, 0, "%s has other tables than the files before it", file->reading.name);
    }
    struct tg_state_record record;
    int more;
    while ((more = tg_state_reader_next(&file->reader, &record, err)) > 0) {
        tg_status status = tg_recovery_record_check(&file->reader, &record, err);
        if (status == TG_OK) { status = copy_record(copy, &record, err); }
        if (status != TG_OK) { return status; }
    }
    copy->totals->puts += file->reader.seen.puts;
    copy->totals->deletes += file->reader.seen.deletes;
    copy->totals->bytes += file->reading.bytes;
    return (tg_status)more;
}

static tg_status finish_file(struct copy *copy, struct tg_manifest_file *out, struct tg_error *err)
{
    uint8_t foot[TG_STATE_FOOTER_BYTES];
    tg_status status = end_block(copy, &copy->block, err);
    if (status != TG_OK) { return status; }
    tg_state_footer_encode(&copy->header, &copy->file_totals, foot);
    status = tg_store_file_append(copy->to, &copy->file, foot, sizeof foot, err);
    *out = (struct tg_manifest_file){.shard = copy->header.shard,
                                     .kind = TG_STATE_BASE,
                                     .epoch = copy->epoch,
                                     .bytes = copy->file.bytes,
                                     .crc = copy->file_totals.footer_crc};
    return status == TG_OK ? tg_store_file_finish(copy->to, &copy->file, err) : status;
}

static tg_status copy_shard(struct copy *copy, uint32_t shard, struct tg_manifest_file *out, struct tg_error *err)
{
    uint32_t count;
    const uint32_t first = tg_manifest_chain(copy->manifest, shard, &count);
    struct tg_recovery_file base; /* stays open: the header's texts are in its memory */
    copy->file = (struct tg_store_file){.fd = -1};
    tg_status status = tg_recovery_file_open(copy->from, copy->manifest, first, &base, err);
    if (status == TG_OK) { status = begin_file(copy, &base.reader.header, err); }
    if (status == TG_OK) { status = copy_file(copy, &base, err); }
    for (uint32_t i = 1; status == TG_OK && i < count; i++) {
        struct tg_recovery_file file;
        status = tg_recovery_file_open(copy->from, copy->manifest, first + i, &file, err);
        if (status == TG_OK) { status = copy_file(copy, &file, err); }
        tg_recovery_file_close(&file);
    }
    if (status == TG_OK) { status = finish_file(copy, out, err); }
    if (status != TG_OK) { tg_store_file_drop(copy->to, &copy->file); }
    tg_recovery_file_close(&base);
    return status;
}

static tg_status publish(const struct copy *copy, struct tg_manifest_file *files, bool *decided, struct tg_error *err)
{
    struct tg_manifest manifest = *copy->manifest; /* positions, clocks, committables, and when it was */
    manifest.epoch = copy->epoch;
    manifest.generation = copy->to->generation; /* starts are counted from here on, in this directory */
    manifest.file_count = manifest.shard_count;
    manifest.files = files;
    struct tg_bytes_out out = {.data = copy->encoded, .capacity = TG_MANIFEST_BYTES_MAX};
    tg_status status = tg_store_epoch_sync(copy->to, copy->epoch, err);
    if (status == TG_OK) { status = tg_tick_log_restore(copy->from, copy->to, copy->manifest, err); }
    if (status == TG_OK) { status = tg_manifest_encode(&manifest, &out, err); }
    if (status == TG_OK) { status = tg_store_publish(copy->to, copy->epoch, out.data, out.used, decided, err); }
    return status;
}

tg_status tg_recovery_copy(const struct tg_store *from, const struct tg_manifest *manifest, struct tg_store *to,
                           uint64_t epoch, struct tg_recovery_totals *totals, struct tg_error *err)
{
    TG_ASSERT(epoch > manifest->epoch);
    *totals = (struct tg_recovery_totals){0};
    struct copy copy = {.from = from, .to = to, .manifest = manifest, .epoch = epoch, .totals = totals};
    struct tg_manifest_file files[TG_SHARDS_MAX];
    bool decided = false;
    tg_status status = make_room(&copy, err);
    if (status != TG_OK) { return status; }
    status = tg_store_restore_begin(to, err);
    if (status == TG_OK) { status = tg_store_epoch_begin(to, epoch, err); }
    for (uint32_t i = 0; status == TG_OK && i < manifest->shard_count; i++) {
        status = copy_shard(&copy, i, &files[i], err);
    }
    if (status == TG_OK) { status = publish(&copy, files, &decided, err); }
    if (status == TG_OK) { tg_store_restore_end(to); }
    if (status != TG_OK && !decided) { tg_store_epoch_abort(to, epoch); }
    tg_arena_close(&copy.arena);
    return status;
}
