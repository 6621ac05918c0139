/* An entry's mark has a bit for each of the two epochs that can be open at a time, told apart by parity: the current
 * one and the one being written. With the current bit set, the entry has been dealt with in this epoch: nothing to do.
 * With only the old bit set, it belongs to the delta being written and was not reached yet. A third bit says that a
 * file has the entry, so that its removal must be written, too.
 *
 * Changed slots are listed, so that a delta looks at nothing else; a list that is full, or too many removed keys, make
 * the next epoch a base, which needs neither. A base walks the slots; an entry ahead of the walk without the current
 * bit was there at the cut and is still as it was.
 *
 * A removed key's record is made at once, into blocks that wait for the cut: written before any entry of that epoch,
 * they can never undo a later PUT of the same key. */
#include "state/snapshot.h"

#include "base/assert.h"
#include "state/slots.h"

static inline struct tg_mark *mark_of(const struct tg_snapshot *snapshot, void *value)
{
    return (struct tg_mark *)(void *)((uint8_t *)value + snapshot->mark_offset);
}

size_t tg_snapshot_bytes(uint64_t entry_count_max)
{
    return 2 * entry_count_max * sizeof(uint32_t) + TG_SNAPSHOT_REMOVED_MAX * sizeof(struct tg_block *) + 4 * 4096;
}

tg_status tg_snapshot_init(struct tg_snapshot *snapshot, const struct tg_snapshot_config *config,
                           struct tg_arena *arena, struct tg_error *err)
{
    *snapshot = (struct tg_snapshot){
        .table = config->table,
        .slots = tg_table_slots(config->table),
        .spool = config->spool,
        .table_index = config->table_index,
        .mark_offset = config->mark_offset,
        .removals_follow = config->removals_follow,
        .changed = 1,
        .changed_old = 2,
        .list_max = (uint32_t)config->entry_count_max,
    };
    tg_state_plan_make(config->layout, &snapshot->plan);
    const size_t list_bytes = config->entry_count_max * sizeof(uint32_t);
    snapshot->lists[0] = tg_arena_alloc(arena, list_bytes, 4096);
    snapshot->lists[1] = tg_arena_alloc(arena, list_bytes, 4096);
    snapshot->removed_full = tg_arena_alloc(arena, TG_SNAPSHOT_REMOVED_MAX * sizeof(struct tg_block *), 64);
    if (snapshot->lists[0] == NULL || snapshot->lists[1] == NULL || snapshot->removed_full == NULL) {
        return tg_fail(err, TG1601, 0, "no address space for the checkpoints of %llu keys",
                       (unsigned long long)config->entry_count_max);
    }
    return TG_OK;
}

void tg_snapshot_continue(struct tg_snapshot *snapshot)
{
    TG_ASSERT(snapshot->phase == TG_SNAPSHOT_IDLE && !snapshot->complete);
    TG_ASSERT(snapshot->list_counts[snapshot->parity] == 0 && snapshot->removed == NULL);
    snapshot->complete = true;
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

/* The entry as it is now, into the blocks of the epoch being written. Without memory the spool says failed. */
static void entry_write(struct tg_snapshot *snapshot, void *value)
{
    struct tg_mark *mark = mark_of(snapshot, value);
    mark->bits &= (uint16_t)~snapshot->changed_old;
    if (snapshot->unwanted) { return; }
    const struct tg_key key = tg_table_key(snapshot->table, value);
    const uint64_t bytes = tg_state_entry_bytes(&snapshot->plan, value);
    const uint32_t block_bytes = tg_block_bytes(key.bytes, bytes);
    mark->bits |= TG_MARK_SAVED;
    snapshot->written++;
    snapshot->written_bytes += bytes;
    uint8_t *place = NULL;
    if (snapshot->puts != NULL && block_bytes <= TG_BLOCK_BYTES_MAX) {
        place = tg_block_put(snapshot->puts, key, (uint32_t)bytes);
    }
    if (place == NULL) {
        if (snapshot->puts != NULL) { tg_spool_close(snapshot->spool, snapshot->puts); }
        snapshot->puts = tg_spool_open(snapshot->spool, snapshot->table_index, block_bytes);
        if (snapshot->puts == NULL) { return; }
        place = tg_block_put(snapshot->puts, key, (uint32_t)bytes);
    }
    TG_ASSERT(place != NULL);
    tg_state_entry_write(&snapshot->plan, value, place);
}

/* Too much to keep track of: the next epoch is a base, which asks for none of it. */
static TG_COLD void give_up_delta(struct tg_snapshot *snapshot)
{
    snapshot->complete = false;
    snapshot->list_counts[snapshot->parity] = 0;
    if (snapshot->removed != NULL) { tg_spool_release(snapshot->spool, snapshot->removed); }
    for (uint32_t i = 0; i < snapshot->removed_count; i++) {
        tg_spool_release(snapshot->spool, snapshot->removed_full[i]);
    }
    snapshot->removed = NULL;
    snapshot->removed_count = 0;
}

static void list_append(struct tg_snapshot *snapshot, const void *value)
{
    if (!snapshot->complete) { return; }
    uint32_t *count = &snapshot->list_counts[snapshot->parity];
    if (*count == snapshot->list_max) {
        give_up_delta(snapshot);
        return;
    }
    snapshot->lists[snapshot->parity][(*count)++] = tg_table_slot(snapshot->table, value);
}

static void removal_write(struct tg_snapshot *snapshot, struct tg_key key)
{
    if (snapshot->removed != NULL && tg_block_delete(snapshot->removed, key)) { return; }
    if (snapshot->removed != NULL) {
        if (snapshot->removed_count == TG_SNAPSHOT_REMOVED_MAX) {
            give_up_delta(snapshot);
            return;
        }
        snapshot->removed_full[snapshot->removed_count++] = snapshot->removed;
    }
    /* A checkpoint that spoils another one's memory would be no help: this only costs a base. */
    const bool failed = tg_spool_failed(snapshot->spool);
    snapshot->removed = tg_spool_open(snapshot->spool, snapshot->table_index, TG_BLOCK_BYTES_MAX);
    if (snapshot->removed == NULL) {
        give_up_delta(snapshot);
        if (!failed) { tg_spool_forgive(snapshot->spool); }
        return;
    }
    TG_ASSERT(tg_block_delete(snapshot->removed, key));
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

/* Is the entry, which has not changed in the current epoch, part of what is being written and not there yet? */
static bool is_due(const struct tg_snapshot *snapshot, const struct tg_mark *mark, const void *value)
{
    if (snapshot->phase == TG_SNAPSHOT_WRITING_DELTA) { return (mark->bits & snapshot->changed_old) != 0; }
    if (snapshot->phase == TG_SNAPSHOT_IDLE) { return false; }
    const uint32_t slot = tg_table_slot(snapshot->table, value);
    TG_DCHECK(slot < snapshot->sweep_end); /* it was there at the cut: whoever came later has the current bit */
    return slot >= snapshot->sweep_next;
}

void tg_snapshot_touch_first(struct tg_snapshot *snapshot, void *value)
{
    struct tg_mark *mark = mark_of(snapshot, value);
    if (is_due(snapshot, mark, value)) { entry_write(snapshot, value); }
    mark->bits |= snapshot->changed;
    list_append(snapshot, value);
}

void tg_snapshot_born(struct tg_snapshot *snapshot, void *value)
{
    TG_DCHECK(mark_of(snapshot, value)->bits == 0);
    mark_of(snapshot, value)->bits = snapshot->changed;
    list_append(snapshot, value);
}

void tg_snapshot_removing(struct tg_snapshot *snapshot, void *value)
{
    struct tg_mark *mark = mark_of(snapshot, value);
    if ((mark->bits & snapshot->changed) == 0 && is_due(snapshot, mark, value)) { entry_write(snapshot, value); }
    if ((mark->bits & TG_MARK_SAVED) != 0 && snapshot->complete && !snapshot->removals_follow) {
        removal_write(snapshot, tg_table_key(snapshot->table, value));
    }
    mark->bits = 0; /* the lists may still name the slot */
}

/* ---- epochs ------------------------------------------------------------------------------------------------------ */

bool tg_snapshot_has_delta(const struct tg_snapshot *snapshot) { return snapshot->complete; }
uint64_t tg_snapshot_changed(const struct tg_snapshot *snapshot) { return snapshot->list_counts[snapshot->parity]; }

void tg_snapshot_cut(struct tg_snapshot *snapshot, bool base)
{
    TG_ASSERT(snapshot->phase == TG_SNAPSHOT_IDLE);
    snapshot->unwanted = !base && !snapshot->complete;
    base = base || snapshot->unwanted;
    if (base) { give_up_delta(snapshot); }
    for (uint32_t i = 0; i < snapshot->removed_count; i++) {
        tg_spool_close(snapshot->spool, snapshot->removed_full[i]);
    }
    if (snapshot->removed != NULL) { tg_spool_close(snapshot->spool, snapshot->removed); }
    snapshot->removed = NULL;
    snapshot->removed_count = 0;
    snapshot->sweep_next = 0;
    snapshot->sweep_end = base ? tg_table_slot_end(snapshot->table) : snapshot->list_counts[snapshot->parity];
    snapshot->phase = base ? TG_SNAPSHOT_WRITING_BASE : TG_SNAPSHOT_WRITING_DELTA;
    snapshot->written = 0;
    snapshot->written_bytes = 0;
    snapshot->parity ^= 1;
    snapshot->changed_old = snapshot->changed;
    snapshot->changed = (uint16_t)(1u << snapshot->parity);
    snapshot->list_counts[snapshot->parity] = 0;
    snapshot->complete = !snapshot->unwanted;
}

/* Slots are asked for first, what their containers hold elsewhere once the slots are near. */
enum { SLOT_AHEAD = 16, CONTAINER_AHEAD = 8 };

/* The slot CONTAINER_AHEAD places on in the same segment; slots themselves come in order, the hardware sees that. */
static inline void look_ahead(const struct tg_snapshot *snapshot, uint32_t slot)
{
    const uint32_t ahead = slot + CONTAINER_AHEAD * snapshot->slots->slot_units;
    if (ahead >= snapshot->sweep_end || (ahead & (TG_SEGMENT_UNITS - 1)) > snapshot->slots->last_unit ||
        ahead / TG_SEGMENT_UNITS != slot / TG_SEGMENT_UNITS) {
        return;
    }
    struct tg_slot *next = tg_slots_at(snapshot->slots, ahead);
    if (next->key_bytes != TG_SLOT_FREE) { tg_state_entry_prefetch(&snapshot->plan, tg_slots_value(next)); }
}

/* A base: the next `entries` slots that are in use, or as far as TG_SNAPSHOT_STEP_SLOTS looks lead. */
static bool step_base(struct tg_snapshot *snapshot, uint32_t entries)
{
    const uint64_t bytes_end = snapshot->written_bytes + TG_SNAPSHOT_STEP_BYTES;
    struct tg_slots_walk walk = {.next = snapshot->sweep_next, .looks = TG_SNAPSHOT_STEP_SLOTS};
    for (uint32_t i = 0; i < entries && snapshot->written_bytes < bytes_end; i++) {
        const uint32_t slot = tg_slots_walk(snapshot->slots, &walk, snapshot->sweep_end);
        snapshot->sweep_next = walk.next;
        if (slot == TG_SLOT_NONE) { break; }
        void *value = tg_table_value(snapshot->table, slot);
        look_ahead(snapshot, slot);
        struct tg_mark *mark = mark_of(snapshot, value);
        if ((mark->bits & snapshot->changed) == 0) { entry_write(snapshot, value); }
        mark->bits &= (uint16_t)~snapshot->changed_old; /* also of one that was written early */
    }
    return snapshot->sweep_next >= snapshot->sweep_end;
}

static bool step_delta(struct tg_snapshot *snapshot, uint32_t entries)
{
    const uint32_t *list = snapshot->lists[snapshot->parity ^ 1];
    const uint32_t left = snapshot->sweep_end - snapshot->sweep_next;
    const uint32_t end = snapshot->sweep_next + (left < entries ? left : entries);
    const uint64_t bytes_end = snapshot->written_bytes + TG_SNAPSHOT_STEP_BYTES;
    for (; snapshot->sweep_next < end && snapshot->written_bytes < bytes_end; snapshot->sweep_next++) {
        const uint32_t at = snapshot->sweep_next;
        if (at + SLOT_AHEAD < snapshot->sweep_end) {
            struct tg_slot *ahead = tg_slots_at(snapshot->slots, list[at + SLOT_AHEAD]);
            __builtin_prefetch(ahead, 1);
            __builtin_prefetch((uint8_t *)ahead + 64);
        }
        if (at + CONTAINER_AHEAD < snapshot->sweep_end) {
            struct tg_slot *ahead = tg_slots_at(snapshot->slots, list[at + CONTAINER_AHEAD]);
            if (ahead->key_bytes != TG_SLOT_FREE) { tg_state_entry_prefetch(&snapshot->plan, tg_slots_value(ahead)); }
        }
        struct tg_slot *slot = tg_slots_at(snapshot->slots, list[at]);
        if (slot->key_bytes == TG_SLOT_FREE) { continue; }
        void *value = tg_slots_value(slot);
        if ((mark_of(snapshot, value)->bits & snapshot->changed_old) != 0) { entry_write(snapshot, value); }
    }
    return snapshot->sweep_next == snapshot->sweep_end;
}

bool tg_snapshot_step(struct tg_snapshot *snapshot, uint32_t entries)
{
    if (snapshot->phase == TG_SNAPSHOT_IDLE) { return true; }
    const bool base = snapshot->phase == TG_SNAPSHOT_WRITING_BASE;
    if (!(base ? step_base(snapshot, entries) : step_delta(snapshot, entries))) { return false; }
    if (snapshot->puts != NULL) { tg_spool_close(snapshot->spool, snapshot->puts); }
    snapshot->puts = NULL;
    snapshot->phase = TG_SNAPSHOT_IDLE;
    snapshot->unwanted = false;
    return true;
}

void tg_snapshot_abort(struct tg_snapshot *snapshot)
{
    if (snapshot->puts != NULL) { tg_spool_release(snapshot->spool, snapshot->puts); }
    snapshot->puts = NULL;
    snapshot->unwanted = snapshot->phase != TG_SNAPSHOT_IDLE;
    give_up_delta(snapshot);
}
