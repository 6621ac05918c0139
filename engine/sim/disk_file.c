/* Writes, syncs and torn remains. */
#include "engine/sim/disk_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

/* The first `bytes` bytes exist afterwards; new ones are zero. */
static void bytes_reach(struct tg_sim_bytes *bytes, size_t used)
{
    if (used <= bytes->used) { return; }
    if (used > bytes->capacity) {
        size_t capacity = bytes->capacity < 4096 ? 4096 : bytes->capacity;
        while (capacity < used) { capacity *= 2; }
        bytes->data = realloc(bytes->data, capacity);
        TG_ASSERT(bytes->data != NULL);
        bytes->capacity = capacity;
    }
    memset(bytes->data + bytes->used, 0, used - bytes->used);
    bytes->used = used;
}

static void bytes_put(struct tg_sim_bytes *bytes, size_t offset, const uint8_t *data, size_t count)
{
    bytes_reach(bytes, offset + count);
    memcpy(bytes->data + offset, data, count);
}

static void bytes_resize(struct tg_sim_bytes *bytes, size_t used)
{
    bytes_reach(bytes, used);
    bytes->used = used;
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

static void change_add(struct tg_sim_file *file, const struct tg_sim_change *change)
{
    if (file->change_count == file->change_capacity) {
        file->change_capacity = file->change_capacity == 0 ? 16 : 2 * file->change_capacity;
        file->changes = realloc(file->changes, file->change_capacity * sizeof *file->changes);
        TG_ASSERT(file->changes != NULL);
    }
    file->changes[file->change_count++] = *change;
}

static void changes_clear(struct tg_sim_file *file)
{
    for (size_t i = 0; i < file->change_count; i++) { free(file->changes[i].data); }
    file->change_count = 0;
}

void tg_sim_file_write(struct tg_sim_file *file, size_t offset, const void *data, size_t bytes)
{
    if (bytes == 0) { return; }
    bytes_put(&file->seen, offset, data, bytes);
    struct tg_sim_change change = {.data = malloc(bytes), .offset = offset, .bytes = bytes};
    TG_ASSERT(change.data != NULL);
    memcpy(change.data, data, bytes);
    change_add(file, &change);
}

void tg_sim_file_truncate(struct tg_sim_file *file, size_t bytes)
{
    if (bytes == file->seen.used) { return; }
    bytes_resize(&file->seen, bytes);
    change_add(file, &(struct tg_sim_change){.offset = bytes});
}

void tg_sim_file_free(struct tg_sim_file *file)
{
    changes_clear(file);
    free(file->changes);
    free(file->seen.data);
    free(file->durable.data);
    *file = (struct tg_sim_file){0};
}

/* ---- durability -------------------------------------------------------------------------------------------------- */

static void change_apply(struct tg_sim_file *file, const struct tg_sim_change *change)
{
    if (change->data == NULL) {
        bytes_resize(&file->durable, change->offset);
    } else {
        bytes_put(&file->durable, change->offset, change->data, change->bytes);
    }
}

/* Bytes of a write that lie in sectors drawn with a chance of one half. */
static void change_apply_some(struct tg_sim_file *file, const struct tg_sim_change *change, struct tg_prng *prng)
{
    size_t at = 0;
    while (at < change->bytes) {
        const size_t in_sector = (change->offset + at) % TG_SIM_SECTOR_BYTES;
        size_t count = TG_SIM_SECTOR_BYTES - in_sector;
        count = count > change->bytes - at ? change->bytes - at : count;
        if (tg_prng_below(prng, 2) == 0) { bytes_put(&file->durable, change->offset + at, change->data + at, count); }
        at += count;
    }
}

/* The first `kept` changes, and of the next one what a cut leaves: whole sectors up to some point. */
static void keep_first(struct tg_sim_file *file, size_t kept, struct tg_prng *prng)
{
    for (size_t i = 0; i < kept; i++) { change_apply(file, &file->changes[i]); }
    if (kept == file->change_count || file->changes[kept].data == NULL) { return; }
    const struct tg_sim_change *torn = &file->changes[kept];
    const size_t end = torn->offset + tg_prng_below(prng, (uint32_t)torn->bytes + 1);
    const size_t sector_end = end / TG_SIM_SECTOR_BYTES * TG_SIM_SECTOR_BYTES;
    if (sector_end > torn->offset) { bytes_put(&file->durable, torn->offset, torn->data, sector_end - torn->offset); }
}

/* Any sectors of any writes; a truncation that is not kept takes everything behind it along. */
static void keep_some(struct tg_sim_file *file, struct tg_prng *prng)
{
    for (size_t i = 0; i < file->change_count; i++) {
        if (file->changes[i].data != NULL) {
            change_apply_some(file, &file->changes[i], prng);
        } else if (tg_prng_below(prng, 2) == 0) {
            change_apply(file, &file->changes[i]);
        } else {
            return;
        }
    }
}

static void forget_cache(struct tg_sim_file *file)
{
    changes_clear(file);
    bytes_resize(&file->seen, 0);
    if (file->durable.used > 0) { bytes_put(&file->seen, 0, file->durable.data, file->durable.used); }
}

static bool truncates(const struct tg_sim_file *file)
{
    for (size_t i = 0; i < file->change_count; i++) {
        if (file->changes[i].data == NULL) { return true; }
    }
    return false;
}

void tg_sim_file_sync(struct tg_sim_file *file)
{
    for (size_t i = 0; i < file->change_count; i++) { change_apply(file, &file->changes[i]); }
    changes_clear(file);
}

void tg_sim_file_sync_failed(struct tg_sim_file *file, struct tg_prng *prng)
{
    keep_some(file, prng);
    changes_clear(file);
}

void tg_sim_file_crash(struct tg_sim_file *file, struct tg_prng *prng)
{
    enum { NOTHING, EVERYTHING, FIRST, SOME, LENGTH, WAYS };
    if (file->change_count == 0) {
        forget_cache(file); /* a sync that failed may have left more to be seen than there is */
        return;
    }
    const size_t length = file->seen.used;
    switch (tg_prng_below(prng, WAYS)) {
    case EVERYTHING: keep_first(file, file->change_count, prng); break;
    case FIRST: keep_first(file, tg_prng_below(prng, (uint32_t)file->change_count + 1), prng); break;
    case SOME: keep_some(file, prng); break;
    case LENGTH: /* the inode went out before the data */
        if (truncates(file)) { break; }
        keep_some(file, prng);
        bytes_reach(&file->durable, length);
        break;
    default: break;
    }
    forget_cache(file);
}
