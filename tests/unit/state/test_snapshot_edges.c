/* Snapshots at their limits: large entries, tables that are nearly empty, more removed keys than blocks for them,
 * deltas that were asked for in vain, and no memory. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/key.h"
#include "state/containers.h"
#include "state/slots.h"
#include "state/snapshot.h"

enum { KEY_BYTES = 1000, KEYS = 40000, BLOCKS = 256 };

struct value {
    int64_t number;
    struct tg_mark mark;
    struct tg_list list;
};
static const struct tg_state_field key_columns[] = {{.name = "id", .kind = TG_STATE_TEXT}};
static const struct tg_state_field numbers[] = {{.name = "n", .kind = TG_STATE_BIGINT}};
static const struct tg_state_field fields[] = {
    {.name = "number", .kind = TG_STATE_BIGINT, .offset = offsetof(struct value, number)},
    {.name = "list",
     .kind = TG_STATE_LIST,
     .offset = offsetof(struct value, list),
     .element_count = 1,
     .elements = numbers,
     .element_bytes = 8},
};
static const struct tg_state_layout layout = {.owner_kind = TG_STATE_OF_STEP,
                                              .owner = "counts",
                                              .name = "value",
                                              .version = 1,
                                              .key_count = 1,
                                              .keys = key_columns,
                                              .field_count = 2,
                                              .fields = fields};

static struct tg_arena arena;
static struct tg_heap *heap;
static struct tg_table *table;
static struct tg_spool *spool;
static struct tg_snapshot snapshot;

static void open_with(uint32_t blocks, uint64_t tracked)
{
    const struct tg_table_config config = {
        .entry_count_max = KEYS, .hash_seed = 77, .value_bytes = sizeof(struct value)};
    const struct tg_spool_config of_spool = {.block_count = blocks};
    cr_assert_eq(tg_arena_open(&arena, (size_t)2 << 30, NULL), TG_OK);
    cr_assert_eq(tg_heap_create(&heap, (uint64_t)256 << 20, &arena, NULL), TG_OK);
    cr_assert_eq(tg_table_create(&table, &config, heap, &arena, NULL), TG_OK);
    cr_assert_eq(tg_spool_create(&spool, &of_spool, &arena, NULL), TG_OK);
    const struct tg_snapshot_config of_snapshot = {.table = table,
                                                   .layout = &layout,
                                                   .spool = spool,
                                                   .entry_count_max = tracked,
                                                   .mark_offset = offsetof(struct value, mark)};
    cr_assert_eq(tg_snapshot_init(&snapshot, &of_snapshot, &arena, NULL), TG_OK);
}
static void end(void) { tg_arena_close(&arena); }
TestSuite(snapshot_edges, .fini = end, .timeout = 120);

static struct tg_key key_of(uint32_t id, uint8_t bytes[KEY_BYTES])
{
    memset(bytes, 'k', KEY_BYTES);
    memcpy(bytes, &id, sizeof id);
    return (struct tg_key){bytes, KEY_BYTES};
}
static struct value *find(uint32_t id)
{
    uint8_t bytes[KEY_BYTES];
    const struct tg_key key = key_of(id, bytes);
    return tg_table_find(table, key, tg_key_hash(key.data, key.bytes));
}
static struct value *make(uint32_t id)
{
    uint8_t bytes[KEY_BYTES];
    const struct tg_key key = key_of(id, bytes);
    const uint64_t hash = tg_key_hash(key.data, key.bytes);
    void *value;
    uint64_t fresh;
    cr_assert_eq(tg_table_upsert(table, 1, &key, &hash, &value, &fresh), 1);
    tg_snapshot_born(&snapshot, value);
    return value;
}
static void take_away(uint32_t id)
{
    struct value *value = find(id);
    tg_snapshot_removing(&snapshot, value);
    tg_list_clear(&value->list, heap, 8);
    tg_table_remove(table, value);
}
static void grow(struct value *value, uint32_t count)
{
    tg_snapshot_touch(&snapshot, value);
    for (int64_t i = 0; i < count; i++) { cr_assert_not_null(tg_list_append(&value->list, heap, 8, &i)); }
}

struct written {
    uint64_t puts;
    uint64_t deletes;
    uint64_t large; /* blocks */
};
/* Cut, write all of it, and count what came out. */
static struct written write_epoch(bool base)
{
    struct written written = {0};
    struct tg_block *block;
    tg_snapshot_cut(&snapshot, base);
    while (!tg_snapshot_step(&snapshot, 100)) {}
    cr_assert(tg_snapshot_step(&snapshot, 100), "nothing is left to do");
    while ((block = tg_spool_next(spool)) != NULL) {
        written.puts += block->puts;
        written.deletes += block->entries - block->puts;
        written.large += block->capacity > TG_BLOCK_BYTES_MAX;
        tg_spool_release(spool, block);
    }
    return written;
}

Test(snapshot_edges, large_entries_have_blocks_of_their_own)
{
    open_with(BLOCKS, KEYS);
    for (uint32_t i = 0; i < 9; i++) { grow(make(i), i % 3 == 2 ? 200000 : 50000); } /* 1.6 MB or 0.4 MB */
    const struct written written = write_epoch(true);
    cr_assert(written.puts == 9 && written.large == 3 && !tg_spool_failed(spool));
    cr_assert_eq(tg_spool_used(spool), 0);
    for (uint32_t i = 0; i < 9; i++) { grow(find(i), 1); }
    tg_snapshot_cut(&snapshot, false);
    cr_assert_not(tg_snapshot_step(&snapshot, 100), "a step is bounded by bytes, too");
    while (!tg_snapshot_step(&snapshot, 100)) {}
    cr_assert(tg_spool_closed(spool) > 3);
    tg_spool_discard(spool);
}

/* What a step had to look at from slot `from` to before `to`: slots, and segments without a key as a whole. */
static uint32_t looks_between(uint32_t from, uint32_t to)
{
    const struct tg_slots *slots = tg_table_slots(table);
    uint32_t looks = 0;
    while (from < to) {
        const uint32_t segment_end = (from / TG_SEGMENT_UNITS + 1) * TG_SEGMENT_UNITS;
        const bool empty = tg_table_next(table, from / TG_SEGMENT_UNITS * TG_SEGMENT_UNITS) >= segment_end;
        from = empty ? segment_end : tg_slots_after(slots, from);
        looks++;
    }
    return looks;
}

/* Write a base of a table of which every `every`th key is left, mending what is left meanwhile: every step is bounded,
 * and all of them are there. */
static void write_through_holes(uint32_t every, uint32_t *steps, uint32_t *looks)
{
    for (uint32_t i = 0; i < KEYS; i++) {
        if (i % every != 0) { take_away(i); }
    }
    const uint32_t slots_end = tg_table_slot_end(table);
    tg_snapshot_cut(&snapshot, true);
    bool done = false;
    for (*steps = *looks = 0; !done; ++*steps) {
        const uint32_t from = snapshot.sweep_next;
        done = tg_snapshot_step(&snapshot, 32);
        const uint32_t step_looks = looks_between(from, done ? slots_end : snapshot.sweep_next);
        cr_assert_leq(step_looks, TG_SNAPSHOT_STEP_SLOTS, "step %u from slot %u", *steps, from);
        *looks += step_looks;
    }
    cr_assert_eq(snapshot.written, (KEYS + every - 1) / every);
    tg_spool_discard(spool);
}

Test(snapshot_edges, a_step_looks_at_few_slots_of_a_table_that_was_full)
{
    const uint32_t slots_in_segment = TG_SEGMENT_BYTES / 64;
    uint32_t steps, looks;
    open_with(BLOCKS, KEYS);
    for (uint32_t i = 0; i < KEYS; i++) { (void)make(i); }
    write_through_holes(slots_in_segment - 1, &steps, &looks); /* some in every segment: each slot is looked at */
    cr_assert(looks > KEYS - slots_in_segment && steps >= KEYS / TG_SNAPSHOT_STEP_SLOTS, "%u in %u steps", looks,
              steps);
    end();
    open_with(BLOCKS, KEYS);
    for (uint32_t i = 0; i < KEYS; i++) { (void)make(i); }
    write_through_holes(10 * slots_in_segment, &steps, &looks); /* in one of ten */
    cr_assert_leq(looks, 4 * slots_in_segment + KEYS / slots_in_segment, "segments without a key cost one look");
    end();
    open_with(BLOCKS, KEYS);
    for (uint32_t i = 0; i < KEYS; i++) { (void)make(i); }
    write_through_holes(KEYS, &steps, &looks);
    take_away(0);
    tg_snapshot_cut(&snapshot, true);
    cr_assert(tg_snapshot_step(&snapshot, 32) && snapshot.written == 0, "nothing is left, one step says so");
}

Test(snapshot_edges, removed_keys_fill_several_blocks)
{
    open_with(BLOCKS, KEYS);
    for (uint32_t i = 0; i < 5000; i++) { (void)make(i); }
    cr_assert_eq(write_epoch(true).puts, 5000);
    for (uint32_t i = 0; i < 4000; i++) { take_away(i); }
    cr_assert(tg_snapshot_has_delta(&snapshot));
    const struct written written = write_epoch(false);
    cr_assert(written.puts == 0 && written.deletes == 4000 && tg_spool_used(spool) == 0);
    for (uint32_t i = 4000; i < 5000; i++) {
        take_away(i);
    } /* and those of an epoch that ends as a base are not wanted */
    for (uint32_t i = 5000; i < 9000; i++) { (void)make(i); }
    (void)write_epoch(false);
    for (uint32_t i = 5000; i < 8500; i++) { take_away(i); }
    const struct written base = write_epoch(true);
    cr_assert(base.puts == 500 && base.deletes == 0 && tg_spool_used(spool) == 0);
}

Test(snapshot_edges, more_removed_keys_than_are_kept_track_of_make_the_next_one_a_base)
{
    open_with(BLOCKS, KEYS);
    for (uint32_t i = 0; i < KEYS; i++) { (void)make(i); }
    cr_assert_eq(write_epoch(true).puts, KEYS);
    uint32_t removed = 0;
    while (removed < KEYS && tg_snapshot_has_delta(&snapshot)) { take_away(removed++); }
    cr_assert(removed > TG_SNAPSHOT_REMOVED_MAX * 1000 && removed < KEYS, "%u", removed);
    cr_assert_eq(tg_spool_used(spool), 0, "what was kept of them is given back");
    take_away(removed++);
    const struct written in_vain = write_epoch(false);
    cr_assert(in_vain.puts == 0 && in_vain.deletes == 0 && !tg_snapshot_has_delta(&snapshot));
    cr_assert_eq(write_epoch(true).puts, KEYS - removed);
    cr_assert(tg_snapshot_has_delta(&snapshot));
}

/* The list is as long as the table; a slot that is freed and taken again is on it twice. */
Test(snapshot_edges, more_changes_than_the_list_holds_make_the_next_one_a_base)
{
    open_with(BLOCKS, 10);
    for (uint32_t i = 0; i < 10; i++) { (void)make(i); }
    cr_assert_eq(write_epoch(true).puts, 10);
    for (uint32_t i = 0; i < 10; i++) { grow(find(i), 1); }
    cr_assert(tg_snapshot_has_delta(&snapshot) && tg_snapshot_changed(&snapshot) == 10);
    take_away(3);
    (void)make(3);
    cr_assert_not(tg_snapshot_has_delta(&snapshot));
    (void)make(11); /* nothing is kept track of any more */
    cr_assert_eq(write_epoch(true).puts, 11);
}

Test(snapshot_edges, removed_keys_without_a_block_cost_a_base_and_no_more)
{
    open_with(1, KEYS);
    for (uint32_t i = 0; i < 100; i++) { (void)make(i); }
    cr_assert_eq(write_epoch(true).puts, 100);
    struct tg_block *held = tg_spool_open(spool, 0, 100);
    take_away(1);
    cr_assert(!tg_snapshot_has_delta(&snapshot) && !tg_spool_failed(spool));
    cr_assert_null(tg_spool_open(spool, 0, 100));
    tg_spool_release(spool, held);
    tg_spool_discard(spool);
    cr_assert_eq(write_epoch(true).puts, 99);
    held = tg_spool_open(spool, 0, 100);
    cr_assert_null(tg_spool_open(spool, 0, 100)); /* an epoch that has failed already stays failed */
    take_away(2);
    cr_assert(!tg_snapshot_has_delta(&snapshot) && tg_spool_failed(spool));
    tg_snapshot_cut(&snapshot, true);
    while (!tg_snapshot_step(&snapshot, 100)) {}
    cr_assert(tg_spool_failed(spool));
    tg_snapshot_abort(&snapshot);
    cr_assert_not(tg_snapshot_has_delta(&snapshot));
}

Test(snapshot_edges, without_memory_there_is_none)
{
    open_with(1, KEYS);
    const struct tg_snapshot_config config = {
        .table = table, .layout = &layout, .spool = spool, .entry_count_max = 1024};
    bool done = false;
    uint32_t failed = 0;
    for (size_t bytes = 64; !done; bytes += 64) {
        struct tg_arena small;
        struct tg_snapshot another;
        struct tg_error err = {0};
        cr_assert_eq(tg_arena_open(&small, 1 << 20, NULL), TG_OK);
        small.reserved_bytes = bytes;
        done = tg_snapshot_init(&another, &config, &small, &err) == TG_OK;
        cr_assert(done || err.code == TG1601);
        failed += !done;
        small.reserved_bytes = 1 << 20;
        tg_arena_close(&small);
    }
    cr_assert_gt(failed, 100);
}
