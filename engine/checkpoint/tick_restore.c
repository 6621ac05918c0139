/* The log of ticks of a checkpoint that is about to be made one of another directory: what either directory knows of
 * its run, under the run's own name. A tick says what happened before an offset of a log that is read again; it is as
 * true for the copy as it was for the original. What the directory's other runs know stays where it is, so that their
 * checkpoints can be gone back to. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "engine/checkpoint/tick_log.h"

/* The header that a log beside `manifest` has. */
static tg_status header_of(const struct tg_manifest *manifest, struct tg_arena *arena, struct tg_ticks_header *out,
                           struct tg_error *err)
{
    struct tg_ticks_source *sources = tg_arena_alloc(arena, manifest->source_count * sizeof *sources + 1, 8);
    if (sources == NULL) { return tg_fail(err, TG1601, ENOMEM, "no memory for a log of ticks"); }
    for (uint32_t i = 0; i < manifest->source_count; i++) {
        const struct tg_manifest_source *source = &manifest->sources[i];
        sources[i] = (struct tg_ticks_source){.name = source->name,
                                              .topic = source->topic,
                                              .cluster = source->cluster,
                                              .partition_count = source->partition_count};
    }
    *out = (struct tg_ticks_header){.job = manifest->job,
                                    .run_id = manifest->run_id,
                                    .graph_hash = manifest->graph_hash,
                                    .source_count = manifest->source_count,
                                    .sources = sources};
    return TG_OK;
}

/* What `to` knows of the run. A damaged log is what is to be replaced, one of another run is another run's. */
static tg_status find_ours(const struct tg_store *to, const struct tg_manifest *manifest, struct tg_arena *arena,
                           struct tg_ticks *out, struct tg_error *err)
{
    struct tg_error trouble = {0};
    struct tg_tick_log_found found;
    *out = (struct tg_ticks){0};
    tg_status status = tg_tick_log_find(to, &manifest->run_id, arena, &found, &trouble);
    if (status == TG_OK) { status = tg_tick_log_is_beside(&found, manifest, &trouble); }
    if (status == TG_OK) {
        *out = found.ticks;
    } else if (trouble.code != TG1512) {
        *err = trouble;
        return status;
    }
    return TG_OK;
}

static tg_status write_both(const struct tg_ticks *a, const struct tg_ticks *b, const struct tg_manifest *manifest,
                            const struct tg_store *to, struct tg_arena *arena, struct tg_error *err)
{
    const uint64_t most = a->count + b->count;
    struct tg_tick *list = tg_arena_alloc(arena, most * sizeof *list + 1, 8);
    struct tg_bytes_out out;
    char name[TG_STORE_NAME_BYTES];
    struct tg_ticks_header header;
    tg_tick_log_name(&manifest->run_id, name);
    tg_status status = header_of(manifest, arena, &header, err);
    if (status != TG_OK) { return status; }
    if ((a->header.job != NULL && !tg_ticks_same_job(&header, &a->header)) ||
        (b->header.job != NULL && !tg_ticks_same_job(&header, &b->header))) {
        return tg_fail(err, TG1512, 0, "a log of ticks of another job has the run of checkpoint %" PRIu64,
                       manifest->epoch);
    }
    if (list == NULL) { return tg_fail(err, TG1601, ENOMEM, "no memory for %s", name); }
    if (a->count != 0) { memcpy(list, a->list, a->count * sizeof *list); }
    if (b->count != 0) { memcpy(list + a->count, b->list, b->count * sizeof *list); }
    const uint64_t count = tg_ticks_condense(list, most);
    if (!tg_ticks_encode(&header, list, count, arena, &out)) {
        return tg_fail(err, TG1601, ENOMEM, "no memory for %s", name);
    }
    if (out.used > TG_TICK_FILE_BYTES_MAX) {
        return tg_fail(err, TG1510, EFBIG, "both directories' ticks in one %s", name);
    }
    struct tg_tick_file file;
    tg_tick_file_begin(&file, to, name);
    status = tg_tick_file_replace(&file, out.data, out.used, err);
    tg_tick_file_close(&file);
    return status;
}

tg_status tg_tick_log_restore(const struct tg_store *from, const struct tg_store *to,
                              const struct tg_manifest *manifest, struct tg_error *err)
{
    struct tg_arena arena;
    struct tg_tick_log_found theirs;
    struct tg_ticks ours;
    tg_status status = tg_arena_open(&arena, 8 * tg_ticks_decode_bytes(TG_TICK_FILE_BYTES_MAX), err);
    if (status != TG_OK) { return status; }
    status = tg_tick_log_find(from, &manifest->run_id, &arena, &theirs, err);
    if (status == TG_OK) { status = tg_tick_log_is_beside(&theirs, manifest, err); }
    if (status == TG_OK && strcmp(from->path, to->path) != 0) {
        status = find_ours(to, manifest, &arena, &ours, err);
        if (status == TG_OK) { status = write_both(&theirs.ticks, &ours, manifest, to, &arena, err); }
    }
    tg_arena_close(&arena);
    return status;
}
