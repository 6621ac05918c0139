/* Checkpoints of a table that changes all the time, against plain copies of what it held at each cut: every chain of
 * files is loaded into a new table and compared. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "base/key.h"
#include "base/prng.h"
#include "state/containers.h"
#include "state/restore.h"
#include "state/snapshot.h"
#include "tests/seed.h"

enum { KEYS = 400, HOLES = 12000, ELEMENTS = 24, CHAIN = 12, FILE_BYTES = 32 << 20 };

struct value {
    int64_t number;
    char label[15];
    uint8_t label_bytes;
    struct tg_mark mark;
    struct tg_deque_i64 deque;
    struct tg_list list;
    struct tg_map map;
};
struct pair {
    int64_t at;
    int32_t pages;
    int32_t padding;
};
static const struct tg_state_field key_columns[] = {{.name = "id", .kind = TG_STATE_BIGINT}};
static const struct tg_state_field deque_elements[] = {{.name = "element", .kind = TG_STATE_BIGINT}};
static const struct tg_state_field list_elements[] = {
    {.name = "at", .kind = TG_STATE_BIGINT, .offset = offsetof(struct pair, at)},
    {.name = "pages", .kind = TG_STATE_INTEGER, .offset = offsetof(struct pair, pages)}};
static const struct tg_state_field map_elements[] = {{.name = "id", .kind = TG_STATE_BIGINT},
                                                     {.name = "n", .kind = TG_STATE_BIGINT}};
static const struct tg_state_field fields[] = {
    {.name = "number", .kind = TG_STATE_BIGINT, .offset = offsetof(struct value, number)},
    {.name = "label", .kind = TG_STATE_LABEL, .offset = offsetof(struct value, label)},
    {.name = "deque",
     .kind = TG_STATE_DEQUE,
     .offset = offsetof(struct value, deque),
     .element_count = 1,
     .elements = deque_elements},
    {.name = "list",
     .kind = TG_STATE_LIST,
     .offset = offsetof(struct value, list),
     .element_count = 2,
     .elements = list_elements,
     .element_bytes = sizeof(struct pair)},
    {.name = "map",
     .kind = TG_STATE_MAP,
     .offset = offsetof(struct value, map),
     .element_count = 2,
     .key_count = 1,
     .elements = map_elements,
     .element_bytes = 8,
     .key_bytes = 8,
     .align = 8},
};
static const struct tg_state_layout layout = {.owner_kind = TG_STATE_OF_STEP,
                                              .owner = "counts",
                                              .name = "value",
                                              .version = 1,
                                              .key_count = 1,
                                              .keys = key_columns,
                                              .field_count = sizeof fields / sizeof fields[0],
                                              .fields = fields};
static const struct tg_map_shape shape = {.key_bytes = 8, .value_bytes = 8, .align = 8};

/* What a key should hold. The list's and map's contents follow from their counts and the number. */
struct expected {
    bool present;
    int64_t number;
    uint32_t deque_count;
    int64_t deque[ELEMENTS];
    uint32_t list_count;
    struct pair list[ELEMENTS];
    uint32_t map_count;
    int64_t map[ELEMENTS]; /* value of key i */
};

struct table {
    struct tg_arena arena;
    struct tg_heap *heap;
    struct tg_table *table;
};

static void table_open(struct table *t)
{
    struct tg_error err = {0};
    const struct tg_table_config config = {
        .entry_count_max = KEYS + HOLES, .hash_seed = 77, .value_bytes = sizeof(struct value)};
    cr_assert_eq(tg_arena_open(&t->arena, (size_t)512 << 20, &err), TG_OK);
    cr_assert_eq(tg_heap_create(&t->heap, 32 << 20, &t->arena, &err), TG_OK);
    cr_assert_eq(tg_table_create(&t->table, &config, t->heap, &t->arena, &err), TG_OK);
}

struct file {
    uint8_t *data;
    uint64_t bytes;
};

struct fixture {
    struct table live;
    struct tg_spool *spool;
    struct tg_snapshot snapshot;
    struct tg_prng prng;
    uint64_t seed;
    uint32_t holes; /* slots that had a key before the first one came */
    struct expected now[KEYS];
    struct expected at_cut[KEYS];
    struct file chain[CHAIN];
    uint32_t chain_count;
    /* the file being written */
    struct file writing;
    struct tg_state_header header;
    struct tg_state_totals totals;
    bool is_base;
    uint64_t epoch;
    uint64_t last_complete;
};

static struct tg_key key_of(int64_t id, uint8_t out[9])
{
    out[0] = 1;
    memcpy(out + 1, &id, sizeof id);
    return (struct tg_key){out, 9};
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

static void change(struct fixture *f, uint32_t id, struct value *v)
{
    struct expected *e = &f->now[id];
    switch (tg_prng_below(&f->prng, 5)) {
    case 0:
        e->number = v->number = (int64_t)tg_prng_next(&f->prng);
        v->label_bytes = (uint8_t)((uint64_t)v->number % 16);
        memset(v->label, 0, sizeof v->label);
        memset(v->label, 'a' + (int)((uint64_t)v->number % 26), v->label_bytes);
        break;
    case 1:
        if (e->deque_count == ELEMENTS) {
            (void)tg_deque_i64_drop_until(&v->deque, e->deque[ELEMENTS / 2]);
            e->deque_count -= ELEMENTS / 2 + 1;
            memmove(e->deque, e->deque + ELEMENTS / 2 + 1, e->deque_count * sizeof e->deque[0]);
        }
        e->deque[e->deque_count] =
            (e->deque_count == 0 ? 0 : e->deque[e->deque_count - 1]) + 1 + tg_prng_below(&f->prng, 9);
        cr_assert(tg_deque_i64_insert(&v->deque, f->live.heap, e->deque[e->deque_count]));
        e->deque_count++;
        break;
    case 2:
        if (e->list_count == ELEMENTS) {
            tg_list_clear(&v->list, f->live.heap, sizeof(struct pair));
            e->list_count = 0;
        }
        e->list[e->list_count] = (struct pair){.at = (int64_t)tg_prng_next(&f->prng), .pages = -(int32_t)id};
        cr_assert_not_null(tg_list_append(&v->list, f->live.heap, sizeof(struct pair), &e->list[e->list_count]));
        e->list_count++;
        break;
    default: {
        const int64_t at = tg_prng_below(&f->prng, e->map_count == ELEMENTS ? ELEMENTS : e->map_count + 1);
        bool fresh;
        int64_t *n = tg_map_upsert(&v->map, f->live.heap, shape, &at, &fresh);
        cr_assert_not_null(n);
        e->map_count += fresh;
        e->map[at] = *n = (int64_t)tg_prng_next(&f->prng);
    }
    }
}

static void mutate(struct fixture *f, uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++) {
        const uint32_t id = tg_prng_below(&f->prng, tg_prng_below(&f->prng, 2) == 0 ? KEYS : KEYS / 20);
        uint8_t bytes[9];
        const struct tg_key key = key_of(id, bytes);
        const uint64_t hash = tg_key_hash(key.data, key.bytes);
        void *value = tg_table_find(f->live.table, key, hash);
        cr_assert_eq(value != NULL, f->now[id].present);
        if (value != NULL && tg_prng_below(&f->prng, 6) == 0) {
            tg_snapshot_removing(&f->snapshot, value);
            struct value *v = value;
            tg_deque_i64_clear(&v->deque, f->live.heap);
            tg_list_clear(&v->list, f->live.heap, sizeof(struct pair));
            tg_map_clear(&v->map, f->live.heap, shape);
            tg_table_remove(f->live.table, value);
            f->now[id] = (struct expected){0};
            continue;
        }
        uint64_t fresh = 0;
        if (value == NULL) {
            cr_assert_eq(tg_table_upsert(f->live.table, 1, &key, &hash, &value, &fresh), 1);
            f->now[id].present = true;
            tg_snapshot_born(&f->snapshot, value);
        } else {
            tg_snapshot_touch(&f->snapshot, value);
        }
        change(f, id, value);
    }
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static void put_bytes(struct file *file, const void *data, size_t bytes)
{
    cr_assert_leq(file->bytes + bytes, FILE_BYTES);
    memcpy(file->data + file->bytes, data, bytes);
    file->bytes += bytes;
}

static void begin_file(struct fixture *f)
{
    static uint8_t space[TG_STATE_HEADER_BYTES_MAX];
    struct tg_bytes_out out = {.data = space, .capacity = sizeof space};
    struct tg_error err = {0};
    f->header = (struct tg_state_header){.job = "test",
                                         .epoch = f->epoch,
                                         .previous = f->is_base ? 0 : f->last_complete,
                                         .kind = f->is_base ? TG_STATE_BASE : TG_STATE_DELTA,
                                         .shard = 0,
                                         .shard_count = 1,
                                         .group_first = 0,
                                         .group_last = 1023,
                                         .table_count = 1,
                                         .tables = &layout};
    cr_assert_eq(tg_state_header_encode(&f->header, &out, &f->totals, &err), TG_OK, "%s", err.text);
    f->writing.bytes = 0;
    put_bytes(&f->writing, space, out.used);
}

static void take_blocks(struct fixture *f)
{
    struct tg_block *block;
    while ((block = tg_spool_next(f->spool)) != NULL) {
        const uint32_t bytes = tg_block_end(block, &f->header, &f->totals);
        put_bytes(&f->writing, block->data, bytes);
        tg_spool_release(f->spool, block);
    }
}

static tg_status memory_read(void *self, uint64_t at, void *data, size_t bytes, struct tg_error *err)
{
    const struct file *file = self;
    (void)err;
    cr_assert_leq(at + bytes, file->bytes);
    memcpy(data, file->data + at, bytes);
    return TG_OK;
}

static void load(struct fixture *f, struct table *into)
{
    struct tg_restore restore = {.table = into->table,
                                 .heap = into->heap,
                                 .now = &layout,
                                 .value_bytes = sizeof(struct value),
                                 .mark_offset = offsetof(struct value, mark)};
    for (uint32_t i = 0; i < f->chain_count; i++) {
        struct tg_error err = {0};
        struct tg_state_reader reader;
        struct tg_state_record records[TG_RESTORE_RECORDS_MAX];
        uint32_t count = 0;
        const struct tg_state_input input = {memory_read, &f->chain[i], f->chain[i].bytes, "memory"};
        cr_assert_eq(tg_state_reader_open(&reader, &input, &err), TG_OK, "seed %" PRIu64 ": %s", f->seed, err.text);
        cr_assert_eq(tg_restore_begin(&restore, &reader.header.tables[0], &err), TG_OK, "%s", err.text);
        int more;
        uint32_t together = 1 + tg_prng_below(&f->prng, TG_RESTORE_RECORDS_MAX);
        while ((more = tg_state_reader_next(&reader, &records[count], &err)) == 1) {
            count++;
            if (count < together && !tg_state_reader_block_ends(&reader)) { continue; }
            cr_assert_eq(tg_restore_records(&restore, records, count, "memory", &err), TG_OK, "%s", err.text);
            together = 1 + tg_prng_below(&f->prng, TG_RESTORE_RECORDS_MAX);
            count = 0;
        }
        cr_assert_eq(count, 0);
        cr_assert_eq(more, 0, "seed %" PRIu64 ": %s", f->seed, err.text);
        tg_state_reader_close(&reader);
    }
}

static void compare(const struct fixture *f, struct table *found)
{
    uint64_t count = 0;
    for (uint32_t id = 0; id < KEYS; id++) {
        uint8_t bytes[9];
        const struct expected *e = &f->at_cut[id];
        const struct tg_key key = key_of(id, bytes);
        const struct value *v = tg_table_find(found->table, key, tg_key_hash(key.data, key.bytes));
        cr_assert_eq(v != NULL, e->present, "seed %" PRIu64 ": key %u", f->seed, id);
        if (v == NULL) { continue; }
        count++;
        cr_assert_eq(v->number, e->number, "seed %" PRIu64, f->seed);
        cr_assert_eq(v->label_bytes, (uint64_t)v->number % 16);
        for (uint32_t i = 0; i < v->label_bytes; i++) {
            cr_assert_eq(v->label[i], 'a' + (int)((uint64_t)v->number % 26));
        }
        cr_assert_eq(v->deque.count, e->deque_count);
        for (uint32_t i = 0; i < e->deque_count; i++) { cr_assert_eq(tg_deque_i64_at(&v->deque, i), e->deque[i]); }
        cr_assert_eq(v->list.count, e->list_count);
        cr_assert(e->list_count == 0 || memcmp(v->list.elements, e->list, e->list_count * sizeof(struct pair)) == 0);
        cr_assert_eq(v->map.count, e->map_count);
        for (int64_t i = 0; i < e->map_count; i++) {
            const int64_t *n = tg_map_find(&v->map, shape, &i);
            cr_assert(n != NULL && *n == e->map[i]);
        }
    }
    cr_assert_eq(tg_table_count(found->table), count);
    tg_table_check(found->table);
}

static void finish_file(struct fixture *f)
{
    uint8_t footer[TG_STATE_FOOTER_BYTES];
    take_blocks(f);
    tg_state_footer_encode(&f->header, &f->totals, footer);
    put_bytes(&f->writing, footer, sizeof footer);
    if (f->is_base) {
        for (uint32_t i = 0; i < f->chain_count; i++) { free(f->chain[i].data); }
        f->chain_count = 0;
    }
    struct file *kept = &f->chain[f->chain_count++];
    kept->bytes = f->writing.bytes;
    kept->data = malloc(kept->bytes);
    memcpy(kept->data, f->writing.data, kept->bytes);
    f->last_complete = f->epoch;
    struct table found;
    table_open(&found);
    load(f, &found);
    compare(f, &found);
    tg_arena_close(&found.arena);
}

/* ---- claims ------------------------------------------------------------------------------------------------------ */

/* Slots that are free again, in a random order: keys will come to lie anywhere among them. */
static void make_holes(struct fixture *f)
{
    static void *values[HOLES];
    for (uint32_t i = 0; i < f->holes; i++) {
        uint8_t bytes[9];
        const struct tg_key key = key_of(KEYS + i, bytes);
        const uint64_t hash = tg_key_hash(key.data, key.bytes);
        uint64_t fresh;
        cr_assert_eq(tg_table_upsert(f->live.table, 1, &key, &hash, &values[i], &fresh), 1);
    }
    for (uint32_t left = f->holes; left != 0; left--) {
        const uint32_t i = tg_prng_below(&f->prng, left);
        tg_table_remove(f->live.table, values[i]);
        values[i] = values[left - 1];
    }
}

static void live_open(struct fixture *f, uint32_t blocks)
{
    struct tg_error err = {0};
    const struct tg_spool_config spool = {.block_count = blocks};
    table_open(&f->live);
    make_holes(f);
    cr_assert_eq(tg_spool_create(&f->spool, &spool, &f->live.arena, &err), TG_OK);
    const struct tg_snapshot_config config = {.table = f->live.table,
                                              .layout = &layout,
                                              .spool = f->spool,
                                              .entry_count_max = KEYS,
                                              .mark_offset = offsetof(struct value, mark)};
    cr_assert_eq(tg_snapshot_init(&f->snapshot, &config, &f->live.arena, &err), TG_OK);
}

static struct fixture *fixture_open(uint32_t blocks, uint32_t holes)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->seed = tg_test_seed();
    f->prng = (struct tg_prng){f->seed};
    f->holes = holes;
    live_open(f, blocks);
    f->writing.data = malloc(FILE_BYTES);
    return f;
}

static void fixture_close(struct fixture *f)
{
    for (uint32_t i = 0; i < f->chain_count; i++) { free(f->chain[i].data); }
    free(f->writing.data);
    tg_arena_close(&f->live.arena);
    free(f);
}

static void cut(struct fixture *f)
{
    f->epoch++;
    f->is_base = !tg_snapshot_has_delta(&f->snapshot) || f->chain_count == CHAIN || tg_prng_below(&f->prng, 6) == 0 ||
                 f->chain_count == 0;
    tg_snapshot_cut(&f->snapshot, f->is_base);
    memcpy(f->at_cut, f->now, sizeof f->now);
    begin_file(f);
}

/* Round by round: change, cut, write with changes between the steps, load and compare. Returns steps of bases. */
static uint32_t run_rounds(uint32_t holes, uint32_t changes_between)
{
    struct fixture *f = fixture_open(64, holes);
    uint32_t bases = 0;
    uint32_t base_steps = 0;
    uint64_t early = 0;
    for (uint32_t round = 0; round < 150; round++) {
        mutate(f, tg_prng_below(&f->prng, 600));
        cut(f);
        bases += f->is_base;
        while (!tg_snapshot_step(&f->snapshot, 1 + tg_prng_below(&f->prng, 40))) {
            const uint64_t written = f->snapshot.written;
            mutate(f, tg_prng_below(&f->prng, changes_between));
            early += f->snapshot.written - written; /* not by the sweep */
            base_steps += f->is_base;
            if (tg_prng_below(&f->prng, 3) == 0) { take_blocks(f); }
        }
        cr_assert(!tg_spool_failed(f->spool));
        finish_file(f);
    }
    cr_assert(bases > 10 && bases < 100, "%u bases", bases);
    cr_assert_gt(early, 1000, "entries changed before their turn");
    fixture_close(f);
    return base_steps / bases;
}

Test(snapshot, loads_as_it_was_at_the_cut) { (void)run_rounds(0, 60); }

Test(snapshot, loads_as_it_was_at_the_cut_when_most_slots_are_free)
{
    const uint32_t steps = run_rounds(HOLES, 12);
    cr_assert_gt(steps, HOLES / TG_SNAPSHOT_STEP_SLOTS / 2, "%u steps a base: they stop between keys", steps);
}

Test(snapshot, a_chain_goes_on_after_it_was_loaded)
{
    struct fixture *f = fixture_open(64, 0);
    uint32_t restarts = 0;
    uint32_t deltas_behind = 0;
    bool loaded = false;
    for (uint32_t round = 0; round < 150; round++) {
        mutate(f, tg_prng_below(&f->prng, 200));
        cut(f);
        deltas_behind += loaded && !f->is_base;
        while (!tg_snapshot_step(&f->snapshot, 1 + tg_prng_below(&f->prng, 40))) {
            mutate(f, tg_prng_below(&f->prng, 40));
        }
        finish_file(f);
        loaded = tg_prng_below(&f->prng, 2) == 0;
        if (!loaded) { continue; }
        tg_arena_close(&f->live.arena);
        live_open(f, 64);
        load(f, &f->live);
        memcpy(f->now, f->at_cut, sizeof f->now);
        tg_snapshot_continue(&f->snapshot);
        cr_assert(tg_snapshot_has_delta(&f->snapshot) && tg_snapshot_changed(&f->snapshot) == 0);
        restarts++;
    }
    cr_assert(restarts > 30 && deltas_behind > 20, "%u restarts, %u deltas right behind one", restarts, deltas_behind);
    fixture_close(f);
}

static void abort_some(uint32_t holes)
{
    struct fixture *f = fixture_open(64, holes);
    for (uint32_t round = 0; round < 150; round++) {
        mutate(f, tg_prng_below(&f->prng, 300));
        cut(f);
        const bool aborted = tg_prng_below(&f->prng, 3) == 0;
        uint32_t steps_left = tg_prng_below(&f->prng, 8);
        bool done = false;
        while (!done && (!aborted || steps_left-- != 0)) {
            done = tg_snapshot_step(&f->snapshot, 1 + tg_prng_below(&f->prng, 40));
            mutate(f, tg_prng_below(&f->prng, 60));
        }
        if (aborted) {
            tg_snapshot_abort(&f->snapshot);
            tg_spool_discard(f->spool);
            while (!tg_snapshot_step(&f->snapshot, 7)) { mutate(f, 20); }
            cr_assert(!tg_snapshot_has_delta(&f->snapshot));
            continue;
        }
        finish_file(f);
    }
    fixture_close(f);
}

Test(snapshot, an_aborted_epoch_is_followed_by_a_base) { abort_some(0); }
Test(snapshot, an_aborted_epoch_is_followed_by_a_base_when_most_slots_are_free) { abort_some(HOLES); }

Test(snapshot, memory_that_is_spent_spoils_the_epoch_and_nothing_else)
{
    struct fixture *f = fixture_open(2, 0);
    uint32_t spoiled = 0;
    uint32_t complete = 0;
    for (uint32_t round = 0; round < 200; round++) {
        mutate(f, tg_prng_below(&f->prng, 300));
        struct tg_block *hoarded = tg_prng_below(&f->prng, 3) == 0 ? tg_spool_open(f->spool, 0, 100) : NULL;
        tg_spool_forgive(f->spool);
        cut(f);
        bool done = tg_snapshot_step(&f->snapshot, 9);
        while (!done) {
            mutate(f, 10);
            done = tg_snapshot_step(&f->snapshot, 9);
        }
        if (hoarded != NULL) { tg_spool_release(f->spool, hoarded); }
        if (tg_spool_failed(f->spool)) {
            spoiled++;
            tg_snapshot_abort(&f->snapshot);
            tg_spool_discard(f->spool);
            continue;
        }
        complete++;
        finish_file(f);
    }
    cr_assert(spoiled > 3 && complete > 20, "%u spoiled, %u complete", spoiled, complete);
    fixture_close(f);
}
