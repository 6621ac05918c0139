/* The log of ticks of a directory into which a checkpoint of another directory is copied: what either of them knows of
 * that checkpoint's run. A tick says what happened before an offset of a log that is read again; it is as true for the
 * copy as it was for the original. */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "engine/tick_log.h"

/* The ticks of run `run_id` in a directory; *out is empty when there are none. */
static tg_status read_run(const struct tg_store *store, const struct tg_run_id *run_id, struct tg_arena *arena,
                          struct tg_ticks *out, struct tg_error *err)
{
    const uint8_t *data;
    size_t bytes;
    *out = (struct tg_ticks){0};
    tg_status status = tg_tick_file_read(store, arena, &data, &bytes, err);
    if (status != TG_OK || data == NULL) { return status; }
    status = tg_ticks_decode(data, bytes, TG_TICK_FILE_NAME, arena, out, err);
    if (status != TG_OK || memcmp(&out->header.run_id, run_id, sizeof *run_id) != 0) { *out = (struct tg_ticks){0}; }
    return status;
}

static tg_status write_both(const struct tg_ticks *a, const struct tg_ticks *b, const struct tg_store *to,
                            struct tg_arena *arena, struct tg_error *err)
{
    const uint64_t most = a->count + b->count;
    const uint64_t frames_max = most / TG_TICKS_FRAME_MAX + 1;
    const size_t room = TG_TICKS_HEADER_BYTES_MAX + frames_max * TG_TICKS_FRAME_HEAD_BYTES + most * TG_TICK_BYTES;
    struct tg_tick *list = tg_arena_alloc(arena, most * sizeof *list + 1, 8);
    struct tg_bytes_out out = {.data = tg_arena_alloc(arena, room, 64), .capacity = room};
    struct tg_ticks_header header = b->header.source_count != 0 ? b->header : a->header;
    if (list == NULL || out.data == NULL || !tg_ticks_header_encode(&header, &out)) {
        return tg_fail(err, TG1601, ENOMEM, "no memory for " TG_TICK_FILE_NAME);
    }
    if (a->count != 0) { memcpy(list, a->list, a->count * sizeof *list); }
    if (b->count != 0) { memcpy(list + a->count, b->list, b->count * sizeof *list); }
    const uint64_t count = tg_ticks_condense(list, most);
    for (uint64_t at = 0; at < count; at += TG_TICKS_FRAME_MAX) {
        const uint32_t some = count - at < TG_TICKS_FRAME_MAX ? (uint32_t)(count - at) : TG_TICKS_FRAME_MAX;
        tg_ticks_frame_encode(header.tag, at / TG_TICKS_FRAME_MAX, list + at, some, &out);
    }
    if (out.used > TG_TICK_FILE_BYTES_MAX) {
        return tg_fail(err, TG1510, EFBIG, "both directories' ticks in one " TG_TICK_FILE_NAME);
    }
    struct tg_tick_file file;
    tg_status status = tg_tick_file_open(&file, to, 0, err);
    if (status == TG_OK) { status = tg_tick_file_replace(&file, out.data, out.used, err); }
    tg_tick_file_close(&file);
    return status;
}

tg_status tg_tick_log_restore(const struct tg_store *from, const struct tg_store *to, const struct tg_run_id *run_id,
                              struct tg_error *err)
{
    struct tg_arena arena;
    struct tg_ticks theirs;
    struct tg_ticks ours;
    tg_status status = tg_arena_open(&arena, 8 * tg_ticks_decode_bytes(TG_TICK_FILE_BYTES_MAX), err);
    if (status != TG_OK) { return status; }
    status = read_run(from, run_id, &arena, &theirs, err);
    if (status == TG_OK) {
        struct tg_error trouble = {0};
        status = read_run(to, run_id, &arena, &ours, &trouble);
        if (status != TG_OK && trouble.code != TG1512) { /* a damaged one is what is to be replaced */
            *err = trouble;
        } else {
            const bool has_any = theirs.header.source_count != 0 || ours.header.source_count != 0;
            status = has_any ? write_both(&theirs, &ours, to, &arena, err) : tg_tick_file_remove(to, err);
        }
    }
    tg_arena_close(&arena);
    return status;
}
