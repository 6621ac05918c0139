/* What one entry costs a checkpoint: written by the sweep of a base and of a delta, written early because it is about
 * to change, and restored. The floors are loops that only move what has to be moved: a memcpy of as many bytes from
 * every slot in the same order, and the insertion of the same keys with nothing to read. Values are shaped like job
 * A's: what the engine keeps of a key, two timers, and a deque of a few instants. At last, the longest steps and slices
 * in a table that was full and holds few keys: of that there is no floor, it is for looking at. */
#include <inttypes.h>

#include "base/assert.h"
#include "base/key.h"
#include "base/prng.h"
#include "engine/checkpoint/shard.h"
#include "perf/measure.h"
#include "state/containers.h"
#include "state/restore.h"
#include "state/snapshot.h"

enum { ROUNDS = 9, BATCH = 256, INSTANTS = 3, STEP_ENTRIES = 32, FILE_BYTES_PER_KEY = 128 };

struct value {
    int64_t revision;
    uint32_t partition;
    bool moved;
    uint8_t flags;
    struct tg_mark mark;
    int64_t timers[2];
    struct tg_deque_i64 instants;
};
static const struct tg_state_field key_columns[] = {{.name = "user", .kind = TG_STATE_BIGINT}};
static const struct tg_state_field instant[] = {{.name = "element", .kind = TG_STATE_TIMESTAMP}};
static const struct tg_state_field fields[] = {
    {.name = "_revision", .kind = TG_STATE_BIGINT, .offset = offsetof(struct value, revision)},
    {.name = "_partition", .kind = TG_STATE_INTEGER, .offset = offsetof(struct value, partition)},
    {.name = "_moved", .kind = TG_STATE_BOOLEAN, .offset = offsetof(struct value, moved)},
    {.name = "_timer_0", .kind = TG_STATE_TIMESTAMP, .offset = offsetof(struct value, timers)},
    {.name = "_timer_1", .kind = TG_STATE_TIMESTAMP, .offset = offsetof(struct value, timers) + 8},
    {.name = "recent",
     .kind = TG_STATE_DEQUE,
     .offset = offsetof(struct value, instants),
     .element_count = 1,
     .elements = instant},
};
static const struct tg_state_layout layout = {.owner_kind = TG_STATE_OF_STEP,
                                              .owner = "counts",
                                              .name = "recent",
                                              .version = 1,
                                              .key_count = 1,
                                              .keys = key_columns,
                                              .field_count = sizeof fields / sizeof fields[0],
                                              .fields = fields};
enum { VALUE_BYTES = 8 + 4 + 1 + 16 + 4 + 8 * INSTANTS, KEY_BYTES = 9, RECORD_BYTES = 8 + KEY_BYTES + VALUE_BYTES };

/* ---- a table ----------------------------------------------------------------------------------------------------- */

struct rig {
    uint32_t keys;
    struct tg_arena arena;
    struct tg_heap *heap;
    struct tg_table *table;
};

static uint8_t *all_keys; /* [keys x KEY_BYTES] in a random order */

static void rig_open(struct rig *rig, uint32_t keys, size_t more)
{
    struct tg_error err = {0};
    const struct tg_table_config config = {
        .entry_count_max = keys, .hash_seed = 0x9E3779B97F4A7C15u, .value_bytes = sizeof(struct value)};
    const uint64_t heap_bytes = 64 << 20;
    rig->keys = keys;
    const size_t bytes = tg_table_bytes(&config) + tg_heap_bytes(heap_bytes) + more + (1 << 20);
    TG_ASSERT(tg_arena_open(&rig->arena, bytes, &err) == TG_OK);
    TG_ASSERT(tg_heap_create(&rig->heap, heap_bytes, &rig->arena, &err) == TG_OK);
    TG_ASSERT(tg_table_create(&rig->table, &config, rig->heap, &rig->arena, &err) == TG_OK);
}

/* Keys alone, BATCH at a time; the values go to `visit`. */
static void insert_all(struct rig *rig, void (*visit)(struct rig *rig, struct value *value, uint32_t index))
{
    struct tg_key keys[BATCH];
    uint64_t hashes[BATCH];
    void *values[BATCH];
    uint64_t fresh[BATCH / 64];
    for (uint32_t from = 0; from < rig->keys; from += BATCH) {
        const uint32_t count = rig->keys - from < BATCH ? rig->keys - from : BATCH;
        for (uint32_t i = 0; i < count; i++) {
            keys[i] = (struct tg_key){all_keys + (size_t)(from + i) * KEY_BYTES, KEY_BYTES};
            hashes[i] = tg_key_hash(keys[i].data, KEY_BYTES);
        }
        TG_ASSERT(tg_table_upsert(rig->table, count, keys, hashes, values, fresh) == count);
        for (uint32_t i = 0; visit != NULL && i < count; i++) { visit(rig, values[i], from + i); }
    }
}

static void fill(struct rig *rig, struct value *value, uint32_t index)
{
    value->revision = index;
    value->partition = index % 2;
    for (uint32_t i = 0; i < INSTANTS; i++) { TG_ASSERT(tg_deque_i64_insert(&value->instants, rig->heap, index + i)); }
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

struct writing {
    struct rig rig;
    struct tg_spool *spool;
    struct tg_snapshot snapshot;
    struct tg_state_header header;
    struct tg_state_totals totals;
    uint32_t *order; /* [keys] slots in a random order */
    uint8_t *copy;   /* [TG_BLOCK_BYTES_MAX] where the plain loop copies to */
    uint8_t *file;   /* [keys x FILE_BYTES_PER_KEY + 2 MiB] */
    uint64_t file_bytes;
};

/* Blocks to the file in memory, or only out of the way. */
static void take_blocks(struct writing *w, bool keep)
{
    struct tg_block *block;
    while ((block = tg_spool_next(w->spool)) != NULL) {
        if (keep) {
            const uint32_t bytes = tg_block_end(block, &w->header, &w->totals);
            memcpy(w->file + w->file_bytes, block->data, bytes);
            w->file_bytes += bytes;
        }
        tg_spool_release(w->spool, block);
    }
}

static uint64_t sweep(struct writing *w, bool keep)
{
    uint64_t spent_ns = 0;
    bool done = false;
    while (!done) {
        const uint64_t begin_ns = tg_measure_cpu_ns();
        for (uint32_t i = 0; !done && i < 64; i++) { done = tg_snapshot_step(&w->snapshot, STEP_ENTRIES); }
        spent_ns += tg_measure_cpu_ns() - begin_ns;
        take_blocks(w, keep);
    }
    TG_ASSERT(!tg_spool_failed(w->spool));
    return spent_ns;
}

static uint64_t touch_all(struct writing *w)
{
    uint64_t spent_ns = 0;
    for (uint32_t from = 0; from < w->rig.keys; from += 4096) {
        const uint32_t end = w->rig.keys - from < 4096 ? w->rig.keys : from + 4096;
        const uint64_t begin_ns = tg_measure_cpu_ns();
        for (uint32_t i = from; i < end; i++) {
            if (i + 16 < w->rig.keys) { /* rows are looked up in batches, their slots are near when they are applied */
                const uint8_t *ahead = tg_table_value(w->rig.table, w->order[i + 16]);
                __builtin_prefetch(ahead - 32, 1);
                __builtin_prefetch(ahead + 32, 1);
                __builtin_prefetch(ahead + 96, 1);
            }
            tg_snapshot_touch(&w->snapshot, tg_table_value(w->rig.table, w->order[i]));
        }
        spent_ns += tg_measure_cpu_ns() - begin_ns;
        take_blocks(w, false);
    }
    return spent_ns;
}

/* As many bytes as a record has, from every slot in turn, and nothing else. */
static uint64_t plain_copy(struct writing *w)
{
    const uint64_t begin_ns = tg_measure_cpu_ns();
    uint32_t at = 0;
    for (uint32_t slot = tg_table_next(w->rig.table, 0); slot != TG_SLOT_NONE;
         slot = tg_table_next(w->rig.table, slot + 1)) {
        memcpy(w->copy + at, tg_table_value(w->rig.table, slot), RECORD_BYTES);
        at = at + 2 * RECORD_BYTES > TG_BLOCK_BYTES_MAX ? 0 : at + RECORD_BYTES;
    }
    return tg_measure_cpu_ns() - begin_ns;
}

static void writing_open(struct writing *w, uint32_t keys)
{
    const struct tg_spool_config spool = {.block_count = 64};
    struct tg_error err = {0};
    rig_open(&w->rig, keys, tg_snapshot_bytes(keys) + tg_spool_bytes(&spool));
    TG_ASSERT(tg_spool_create(&w->spool, &spool, &w->rig.arena, &err) == TG_OK);
    const struct tg_snapshot_config config = {.table = w->rig.table,
                                              .layout = &layout,
                                              .spool = w->spool,
                                              .entry_count_max = keys,
                                              .mark_offset = offsetof(struct value, mark)};
    TG_ASSERT(tg_snapshot_init(&w->snapshot, &config, &w->rig.arena, &err) == TG_OK);
    insert_all(&w->rig, fill);
    w->order = calloc(keys, sizeof *w->order);
    w->copy = calloc(1, TG_BLOCK_BYTES_MAX);
    w->file = calloc(1, (size_t)keys * FILE_BYTES_PER_KEY + (2 << 20));
    TG_ASSERT(w->order != NULL && w->copy != NULL && w->file != NULL);
    struct tg_prng prng = {4711};
    uint32_t count = 0;
    for (uint32_t slot = tg_table_next(w->rig.table, 0); slot != TG_SLOT_NONE;
         slot = tg_table_next(w->rig.table, slot + 1)) {
        const uint32_t other = tg_prng_below(&prng, count + 1);
        w->order[count] = w->order[other];
        w->order[other] = slot;
        count++;
    }
    TG_ASSERT(count == keys);
}

/* ---- restoring --------------------------------------------------------------------------------------------------- */

static tg_status memory_read(void *self, uint64_t at, void *data, size_t bytes, struct tg_error *err)
{
    (void)err;
    memcpy(data, (const uint8_t *)self + at, bytes);
    return TG_OK;
}

static uint64_t restore_all(const struct writing *w)
{
    static struct tg_state_record records[TG_RESTORE_RECORDS_MAX];
    struct rig rig;
    struct tg_error err = {0};
    struct tg_state_reader reader;
    rig_open(&rig, w->rig.keys, 0);
    struct tg_restore restore = {.table = rig.table,
                                 .heap = rig.heap,
                                 .now = &layout,
                                 .value_bytes = sizeof(struct value),
                                 .mark_offset = offsetof(struct value, mark)};
    const struct tg_state_input input = {memory_read, w->file, w->file_bytes, "memory"};
    const uint64_t begin_ns = tg_measure_cpu_ns();
    TG_ASSERT(tg_state_reader_open(&reader, &input, &err) == TG_OK);
    TG_ASSERT(tg_restore_begin(&restore, &reader.header.tables[0], &err) == TG_OK);
    uint32_t count = 0;
    int more;
    while ((more = tg_state_reader_next(&reader, &records[count], &err)) > 0) {
        count++;
        if (count < TG_RESTORE_RECORDS_MAX && !tg_state_reader_block_ends(&reader)) { continue; }
        TG_ASSERT(tg_restore_records(&restore, records, count, "memory", &err) == TG_OK);
        count = 0;
    }
    const uint64_t spent_ns = tg_measure_cpu_ns() - begin_ns;
    TG_ASSERT(more == 0 && tg_table_count(rig.table) == w->rig.keys);
    tg_state_reader_close(&reader);
    tg_arena_close(&rig.arena);
    return spent_ns;
}

static uint64_t insert_only(uint32_t keys)
{
    struct rig rig;
    rig_open(&rig, keys, 0);
    const uint64_t begin_ns = tg_measure_cpu_ns();
    insert_all(&rig, NULL);
    const uint64_t spent_ns = tg_measure_cpu_ns() - begin_ns;
    tg_arena_close(&rig.arena);
    return spent_ns;
}

static void begin_file(struct writing *w)
{
    static uint8_t space[TG_STATE_HEADER_BYTES_MAX];
    struct tg_bytes_out out = {.data = space, .capacity = sizeof space};
    struct tg_error err = {0};
    w->header = (struct tg_state_header){.job = "perf",
                                         .epoch = 1,
                                         .kind = TG_STATE_BASE,
                                         .shard_count = 1,
                                         .group_last = 1023,
                                         .table_count = 1,
                                         .tables = &layout};
    TG_ASSERT(tg_state_header_encode(&w->header, &out, &w->totals, &err) == TG_OK);
    memcpy(w->file, space, out.used);
    w->file_bytes = out.used;
}

/* ---- holes ------------------------------------------------------------------------------------------------------- */

/* One key of `every` is left, in the order of slots; then a base, in slices like the engine's. */
static void write_through_holes(struct writing *w, uint32_t every)
{
    for (uint32_t slot = tg_table_next(w->rig.table, 0); slot != TG_SLOT_NONE;
         slot = tg_table_next(w->rig.table, slot + 1)) {
        struct value *value = tg_table_value(w->rig.table, slot);
        if (value->revision % every == 0) { continue; }
        tg_deque_i64_clear(&value->instants, w->rig.heap);
        tg_table_remove(w->rig.table, value);
    }
    uint64_t longest_ns = 0, longest_slice_ns = 0, all_ns = 0, steps = 0;
    tg_snapshot_cut(&w->snapshot, true);
    for (bool done = false; !done; take_blocks(w, false)) {
        uint64_t slice_ns = 0;
        while (!done && slice_ns < TG_CHECKPOINT_SLICE_NS) {
            const uint64_t begin_ns = tg_measure_cpu_ns();
            done = tg_snapshot_step(&w->snapshot, STEP_ENTRIES);
            const uint64_t spent_ns = tg_measure_cpu_ns() - begin_ns;
            longest_ns = spent_ns > longest_ns ? spent_ns : longest_ns;
            slice_ns += spent_ns;
            steps++;
        }
        longest_slice_ns = slice_ns > longest_slice_ns ? slice_ns : longest_slice_ns;
        all_ns += slice_ns;
    }
    (void)printf("base of %7" PRIu64 " keys in %u slots: %6" PRIu64
                 " steps, %8.1f us; longest step %.1f us, slice %.1f us\n",
                 tg_table_count(w->rig.table), w->rig.keys, steps, (double)all_ns / 1e3, (double)longest_ns / 1e3,
                 (double)longest_slice_ns / 1e3);
}

/* ----------------------------------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    const bool smoke = tg_measure_smoke(argc, argv);
    const uint32_t keys = smoke ? 5000 : 1000000;
    static struct writing w;
    static struct tg_measure base, delta, early, plain, restore, insert;
    all_keys = malloc((size_t)keys * KEY_BYTES);
    TG_ASSERT(all_keys != NULL);
    for (uint32_t i = 0; i < keys; i++) {
        const uint64_t id = i * 0x9E3779B97F4A7C15u;
        all_keys[(size_t)i * KEY_BYTES] = 1;
        memcpy(all_keys + (size_t)i * KEY_BYTES + 1, &id, sizeof id);
    }
    writing_open(&w, keys);
    begin_file(&w);
    tg_snapshot_cut(&w.snapshot, true);
    (void)sweep(&w, true);
    tg_state_footer_encode(&w.header, &w.totals, w.file + w.file_bytes);
    w.file_bytes += TG_STATE_FOOTER_BYTES;
    for (uint32_t round = 0; round < (smoke ? 1 : ROUNDS); round++) {
        tg_measure_add(&plain, plain_copy(&w), keys);
        tg_snapshot_cut(&w.snapshot, true);
        tg_measure_add(&base, sweep(&w, false), keys);
        (void)touch_all(&w);
        tg_snapshot_cut(&w.snapshot, false);
        tg_measure_add(&delta, sweep(&w, false), keys);
        tg_snapshot_cut(&w.snapshot, true);
        tg_measure_add(&early, touch_all(&w), keys);
        (void)sweep(&w, false);
        tg_measure_add(&insert, insert_only(keys), keys);
        tg_measure_add(&restore, restore_all(&w), keys);
    }
    (void)printf("%u keys, records of %u bytes, file of %" PRIu64 " bytes\n", keys, RECORD_BYTES, w.file_bytes);
    int failed = tg_measure_judge("written by the sweep of a base", &base, "memcpy, slot by slot", &plain, 0.20, smoke);
    failed |= tg_measure_judge("written by the sweep of a delta", &delta, "memcpy, slot by slot", &plain, 0.12, smoke);
    failed |= tg_measure_judge("written early, about to change", &early, "memcpy, slot by slot", &plain, 0.10, smoke);
    failed |= tg_measure_judge("restored", &restore, "insertion of its key", &insert, 0.25, smoke);
    write_through_holes(&w, 100);
    write_through_holes(&w, 300);       /* one in a segment: every slot is looked at */
    write_through_holes(&w, keys / 10); /* most segments are skipped */
    return failed;
}
