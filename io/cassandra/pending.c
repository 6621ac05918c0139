/* Table, lists and block chains of the rows that wait for Cassandra. Knows neither statement nor connection. */
#include "io/cassandra/pending.h"

#include <string.h>

#include "base/assert.h"
#include "base/key.h"

static uint32_t slot_count(uint32_t entry_count)
{
    uint32_t slots = 16;
    while (slots < 2 * entry_count) { slots *= 2; } /* at most half full: probes stay short */
    return slots;
}

static uint32_t block_count(const struct tg_cql_pending_config *config)
{
    const uint32_t two_largest = 2 * (config->image_bytes_max / config->block_bytes + 1);
    return config->block_count > two_largest ? config->block_count : two_largest;
}

size_t tg_cql_pending_bytes(const struct tg_cql_pending_config *config)
{
    return (size_t)config->entry_count * sizeof(struct tg_cql_entry) + (size_t)slot_count(config->entry_count) * 4 +
           (size_t)block_count(config) * (config->block_bytes + 4) + 4096;
}

static void list_push(struct tg_cql_pending *pending, struct tg_cql_list *list, uint32_t entry)
{
    pending->entries[entry].next = TG_CQL_NO_ENTRY;
    if (list->last == TG_CQL_NO_ENTRY) {
        list->first = entry;
    } else {
        pending->entries[list->last].next = entry;
    }
    list->last = entry;
    list->count++;
}

/* Free entries are reused last in, first out: their memory is warm. */
static void list_push_first(struct tg_cql_pending *pending, struct tg_cql_list *list, uint32_t entry)
{
    pending->entries[entry].next = list->first;
    list->first = entry;
    if (list->last == TG_CQL_NO_ENTRY) { list->last = entry; }
    list->count++;
}

static uint32_t list_pop(struct tg_cql_pending *pending, struct tg_cql_list *list)
{
    const uint32_t entry = list->first;
    TG_DCHECK(entry != TG_CQL_NO_ENTRY);
    list->first = pending->entries[entry].next;
    if (list->first == TG_CQL_NO_ENTRY) { list->last = TG_CQL_NO_ENTRY; }
    list->count--;
    return entry;
}

tg_status tg_cql_pending_init(struct tg_cql_pending *pending, const struct tg_cql_pending_config *config,
                              struct tg_arena *arena, struct tg_error *err)
{
    TG_ASSERT(config->entry_count > 0 && config->block_bytes > 0);
    const struct tg_cql_list empty = {TG_CQL_NO_ENTRY, TG_CQL_NO_ENTRY, 0};
    *pending = (struct tg_cql_pending){.entry_count = config->entry_count,
                                       .slot_mask = slot_count(config->entry_count) - 1,
                                       .block_count = block_count(config),
                                       .block_bytes = config->block_bytes,
                                       .free = empty,
                                       .queue = empty,
                                       .delayed = empty};
    pending->entries = tg_arena_alloc(arena, (size_t)config->entry_count * sizeof *pending->entries, 64);
    pending->slots = tg_arena_alloc(arena, ((size_t)pending->slot_mask + 1) * 4, 64);
    pending->blocks = tg_arena_alloc(arena, (size_t)pending->block_count * config->block_bytes, 64);
    pending->block_next = tg_arena_alloc(arena, (size_t)pending->block_count * 4, 64);
    if (pending->entries == NULL || pending->slots == NULL || pending->blocks == NULL || pending->block_next == NULL) {
        return tg_fail(err, TG1601, 0, "arena too small for %u pending Cassandra rows", config->entry_count);
    }
    memset(pending->slots, 0xff, ((size_t)pending->slot_mask + 1) * 4);
    for (uint32_t i = 0; i < config->entry_count; i++) { list_push(pending, &pending->free, i); }
    for (uint32_t i = 0; i < pending->block_count; i++) {
        pending->block_next[i] = i + 1 < pending->block_count ? i + 1 : TG_CQL_NO_BLOCK;
    }
    pending->free_blocks = pending->block_count;
    return TG_OK;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

static uint32_t blocks_of(const struct tg_cql_pending *pending, uint32_t bytes)
{
    return (bytes + pending->block_bytes - 1) / pending->block_bytes;
}

/* The caller has checked that enough are free. */
static uint32_t blocks_store(struct tg_cql_pending *pending, const uint8_t *image, uint32_t bytes)
{
    const uint32_t first = pending->free_block;
    uint32_t block = first;
    uint32_t last = first;
    for (uint32_t at = 0; at < bytes; at += pending->block_bytes) {
        const uint32_t piece = bytes - at < pending->block_bytes ? bytes - at : pending->block_bytes;
        memcpy(pending->blocks + (size_t)block * pending->block_bytes, image + at, piece);
        last = block;
        block = pending->block_next[block];
        pending->free_blocks--;
    }
    pending->free_block = block;
    pending->block_next[last] = TG_CQL_NO_BLOCK;
    return first;
}

static void blocks_free(struct tg_cql_pending *pending, struct tg_cql_image *image)
{
    uint32_t last = image->block;
    uint32_t count = 1;
    while (pending->block_next[last] != TG_CQL_NO_BLOCK) { /* ends: a chain is never a ring */
        last = pending->block_next[last];
        count++;
    }
    TG_DCHECK(count == blocks_of(pending, image->bytes));
    pending->block_next[last] = pending->free_block;
    pending->free_block = image->block;
    pending->free_blocks += count;
    image->block = TG_CQL_NO_BLOCK;
}

void tg_cql_pending_copy(const struct tg_cql_pending *pending, const struct tg_cql_image *image, uint8_t *out)
{
    uint32_t block = image->block;
    for (uint32_t at = 0; at < image->bytes; at += pending->block_bytes) {
        const uint32_t piece = image->bytes - at < pending->block_bytes ? image->bytes - at : pending->block_bytes;
        memcpy(out + at, pending->blocks + (size_t)block * pending->block_bytes, piece);
        block = pending->block_next[block];
    }
}

static bool key_equal(const struct tg_cql_pending *pending, const struct tg_cql_entry *entry, const uint8_t *key,
                      uint32_t key_bytes)
{
    if (entry->key_bytes != key_bytes) { return false; }
    uint32_t block = entry->waiting.block != TG_CQL_NO_BLOCK ? entry->waiting.block : entry->flying.block;
    for (uint32_t at = 0; at < key_bytes; at += pending->block_bytes) {
        const uint32_t piece = key_bytes - at < pending->block_bytes ? key_bytes - at : pending->block_bytes;
        if (memcmp(key + at, pending->blocks + (size_t)block * pending->block_bytes, piece) != 0) { return false; }
        block = pending->block_next[block];
    }
    return true;
}

/* ---- hash table -------------------------------------------------------------------------------------------------- */

/* Slot of the key, or the empty slot where it belongs. */
static uint32_t slot_find(const struct tg_cql_pending *pending, uint64_t hash, const uint8_t *key, uint32_t key_bytes)
{
    uint32_t slot = (uint32_t)hash & pending->slot_mask;
    while (pending->slots[slot] != TG_CQL_NO_ENTRY) { /* ends: half of the slots are empty */
        const struct tg_cql_entry *entry = &pending->entries[pending->slots[slot]];
        if (entry->hash == hash && key_equal(pending, entry, key, key_bytes)) { break; }
        slot = (slot + 1) & pending->slot_mask;
    }
    return slot;
}

/* Remove `entry` and close the gap by moving later members of the probe run back. */
static void slot_remove(struct tg_cql_pending *pending, uint32_t entry)
{
    const uint32_t mask = pending->slot_mask;
    uint32_t gap = (uint32_t)pending->entries[entry].hash & mask;
    while (pending->slots[gap] != entry) { gap = (gap + 1) & mask; } /* ends: it is there */
    for (uint32_t slot = (gap + 1) & mask; pending->slots[slot] != TG_CQL_NO_ENTRY; slot = (slot + 1) & mask) {
        const uint32_t home = (uint32_t)pending->entries[pending->slots[slot]].hash & mask;
        if (((slot - home) & mask) >= ((slot - gap) & mask)) {
            pending->slots[gap] = pending->slots[slot];
            gap = slot;
        }
    }
    pending->slots[gap] = TG_CQL_NO_ENTRY;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static void image_begin(struct tg_cql_pending *pending, struct tg_cql_image *image, const struct tg_cql_image *from)
{
    *image = *from;
    image->rows = 1;
    image->round = pending->round;
    pending->images++;
}

/* An encoded row on its way in. */
struct row {
    const uint8_t *image;
    uint32_t bytes;
    uint32_t key_bytes;
    uint64_t hash;
};

static bool entry_new(struct tg_cql_pending *pending, uint32_t slot, const struct row *row,
                      const struct tg_cql_image *from)
{
    if (pending->free.count == 0 || blocks_of(pending, row->bytes) > pending->free_blocks) { return false; }
    const uint32_t index = list_pop(pending, &pending->free);
    struct tg_cql_entry *entry = &pending->entries[index];
    *entry = (struct tg_cql_entry){
        .hash = row->hash, .key_bytes = row->key_bytes, .avoid = UINT16_MAX, .place = TG_CQL_QUEUED};
    entry->flying.block = TG_CQL_NO_BLOCK;
    image_begin(pending, &entry->waiting, from);
    entry->waiting.block = blocks_store(pending, row->image, row->bytes);
    entry->waiting.bytes = row->bytes;
    pending->slots[slot] = index;
    list_push(pending, &pending->queue, index);
    return true;
}

/* Newer revision of a key whose last one waits: the image is replaced, its place in the queue stays. */
static bool entry_replace(struct tg_cql_pending *pending, struct tg_cql_entry *entry, const uint8_t *image,
                          uint32_t bytes, int64_t version)
{
    struct tg_cql_image *waiting = &entry->waiting;
    if (version < waiting->version) {
        waiting->rows++;
        return true;
    }
    if (blocks_of(pending, bytes) > pending->free_blocks + blocks_of(pending, waiting->bytes)) { return false; }
    blocks_free(pending, waiting);
    waiting->block = blocks_store(pending, image, bytes);
    waiting->bytes = bytes;
    waiting->version = version;
    waiting->rows++;
    return true;
}

bool tg_cql_pending_put(struct tg_cql_pending *pending, const uint8_t *image, uint32_t bytes, uint32_t key_bytes,
                        const struct tg_cql_image *from)
{
    TG_ASSERT(key_bytes > 0 && key_bytes <= bytes);
    const uint64_t hash = tg_key_hash(image, key_bytes);
    const uint32_t slot = slot_find(pending, hash, image, key_bytes);
    if (pending->slots[slot] == TG_CQL_NO_ENTRY) {
        const struct row row = {image, bytes, key_bytes, hash};
        return entry_new(pending, slot, &row, from);
    }
    struct tg_cql_entry *entry = &pending->entries[pending->slots[slot]];
    if (entry->waiting.block != TG_CQL_NO_BLOCK) { return entry_replace(pending, entry, image, bytes, from->version); }
    if (blocks_of(pending, bytes) > pending->free_blocks) { return false; }
    image_begin(pending, &entry->waiting, from);
    entry->waiting.block = blocks_store(pending, image, bytes);
    entry->waiting.bytes = bytes;
    return true;
}

uint32_t tg_cql_pending_next(const struct tg_cql_pending *pending, uint64_t now_ns, bool hurry)
{
    const uint32_t delayed = pending->delayed.first;
    if (delayed != TG_CQL_NO_ENTRY && pending->entries[delayed].retry_ns <= now_ns) { return delayed; }
    const uint32_t queued = pending->queue.first;
    if (queued == TG_CQL_NO_ENTRY) { return TG_CQL_NO_ENTRY; }
    const bool due = hurry || pending->before_flush > 0 || pending->entries[queued].waiting.due_ns <= now_ns;
    return due ? queued : TG_CQL_NO_ENTRY;
}

const struct tg_cql_image *tg_cql_pending_image(const struct tg_cql_pending *pending, uint32_t entry)
{
    const struct tg_cql_entry *e = &pending->entries[entry];
    return e->place == TG_CQL_QUEUED ? &e->waiting : &e->flying;
}

void tg_cql_pending_sent(struct tg_cql_pending *pending, uint32_t entry)
{
    struct tg_cql_entry *e = &pending->entries[entry];
    if (e->place == TG_CQL_QUEUED) {
        TG_ASSERT(list_pop(pending, &pending->queue) == entry);
        e->flying = e->waiting;
        e->waiting.block = TG_CQL_NO_BLOCK;
        e->attempts = 0;
        e->refusals = 0;
    } else {
        TG_ASSERT(e->place == TG_CQL_DELAYED);
        TG_ASSERT(list_pop(pending, &pending->delayed) == entry);
    }
    e->place = TG_CQL_FLYING;
}

void tg_cql_pending_done(struct tg_cql_pending *pending, uint32_t entry, struct tg_cql_image *done)
{
    struct tg_cql_entry *e = &pending->entries[entry];
    TG_ASSERT(e->place == TG_CQL_FLYING);
    *done = e->flying;
    if (e->flying.round < pending->round) {
        TG_ASSERT(pending->before_flush > 0);
        pending->before_flush--;
    }
    pending->images--;
    const bool again = e->waiting.block != TG_CQL_NO_BLOCK;
    if (!again) { slot_remove(pending, entry); } /* while its key can still be read */
    blocks_free(pending, &e->flying);
    e->avoid = UINT16_MAX;
    e->place = again ? TG_CQL_QUEUED : TG_CQL_FREE;
    if (again) {
        list_push(pending, &pending->queue, entry);
    } else {
        list_push_first(pending, &pending->free, entry);
    }
}

void tg_cql_pending_delay(struct tg_cql_pending *pending, uint32_t entry, uint64_t retry_ns)
{
    struct tg_cql_entry *e = &pending->entries[entry];
    TG_ASSERT(e->place == TG_CQL_FLYING);
    e->place = TG_CQL_DELAYED;
    e->retry_ns = retry_ns;
    if (e->attempts < UINT16_MAX) { e->attempts++; }
    list_push(pending, &pending->delayed, entry);
}

void tg_cql_pending_flush(struct tg_cql_pending *pending)
{
    pending->round++;
    pending->before_flush = pending->images;
}

bool tg_cql_pending_flushed(const struct tg_cql_pending *pending) { return pending->before_flush == 0; }

/* ---- check ------------------------------------------------------------------------------------------------------- */

static uint32_t chain_count(const struct tg_cql_pending *pending, const struct tg_cql_image *image)
{
    uint32_t count = 0;
    for (uint32_t block = image->block; block != TG_CQL_NO_BLOCK; block = pending->block_next[block]) {
        TG_ASSERT(block < pending->block_count && count < pending->block_count);
        count++;
    }
    if (count > 0) { TG_ASSERT(count == blocks_of(pending, image->bytes)); }
    return count;
}

static uint32_t list_check(const struct tg_cql_pending *pending, const struct tg_cql_list *list,
                           enum tg_cql_place place)
{
    uint32_t count = 0;
    for (uint32_t i = list->first; i != TG_CQL_NO_ENTRY; i = pending->entries[i].next) {
        TG_ASSERT(pending->entries[i].place == place && count < pending->entry_count);
        count++;
    }
    TG_ASSERT(count == list->count);
    return count;
}

void tg_cql_pending_check(const struct tg_cql_pending *pending)
{
    uint32_t blocks = 0;
    uint32_t flying = 0;
    uint64_t images = 0;
    uint64_t before = 0;
    for (uint32_t i = 0; i < pending->entry_count; i++) {
        const struct tg_cql_entry *entry = &pending->entries[i];
        if (entry->place == TG_CQL_FREE) { continue; }
        const struct tg_cql_image *both[2] = {&entry->waiting, &entry->flying};
        for (uint32_t k = 0; k < 2; k++) {
            if (both[k]->block == TG_CQL_NO_BLOCK) { continue; }
            blocks += chain_count(pending, both[k]);
            images++;
            before += both[k]->round < pending->round ? 1 : 0;
        }
        TG_ASSERT((entry->flying.block == TG_CQL_NO_BLOCK) == (entry->place == TG_CQL_QUEUED));
        flying += entry->place == TG_CQL_FLYING ? 1 : 0;
    }
    for (uint32_t block = pending->free_block; block != TG_CQL_NO_BLOCK; block = pending->block_next[block]) {
        blocks++;
    }
    TG_ASSERT(blocks == pending->block_count);
    TG_ASSERT(images == pending->images);
    TG_ASSERT(before == pending->before_flush);
    const uint32_t listed = list_check(pending, &pending->free, TG_CQL_FREE) +
                            list_check(pending, &pending->queue, TG_CQL_QUEUED) +
                            list_check(pending, &pending->delayed, TG_CQL_DELAYED);
    TG_ASSERT(listed + flying == pending->entry_count);
}
