/* Claims about the keyed table, mostly against a model that is an array of keys. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "base/key.h"
#include "base/prng.h"
#include "state/slots.h"
#include "tests/seed.h"

enum { MODEL_KEYS = 3000, KEY_BYTES_MAX = 64 };

/* What a value looks like: its first bytes tell which key it belongs to and how often it was touched. */
struct payload {
    uint64_t owner;
    uint64_t touched;
    uint8_t rest[24];
};
struct model_key {
    uint8_t bytes[KEY_BYTES_MAX];
    uint32_t length;
    uint64_t hash;
    bool present;
    uint64_t touched;
    void *value;
    uint32_t slot;
};
struct fixture {
    struct tg_arena arena;
    struct tg_heap *heap;
    struct tg_table *table;
};

static void open_table(struct fixture *f, uint64_t entry_count_max, uint32_t value_bytes, uint64_t heap_bytes,
                       uint64_t seed)
{
    struct tg_error err = {0};
    const struct tg_table_config config = {
        .entry_count_max = entry_count_max, .hash_seed = seed | 1, .value_bytes = value_bytes};
    cr_assert_eq(tg_arena_open(&f->arena, tg_table_bytes(&config) + tg_heap_bytes(heap_bytes), &err), TG_OK);
    cr_assert_eq(tg_heap_create(&f->heap, heap_bytes, &f->arena, &err), TG_OK);
    cr_assert_eq(tg_table_create(&f->table, &config, f->heap, &f->arena, &err), TG_OK);
    tg_arena_seal(&f->arena);
}
static void close_table(struct fixture *f) { tg_arena_close(&f->arena); }

static struct model_key keys[MODEL_KEYS];

/* Distinct keys of 0 to 64 bytes. `hash_bits` below 64 makes different keys collide in the whole hash. */
static void make_keys(struct tg_prng *prng, uint32_t hash_bits)
{
    for (uint32_t i = 0; i < MODEL_KEYS; i++) {
        struct model_key *key = &keys[i];
        memset(key, 0, sizeof *key);
        key->length = i == 0 ? 0 : 2 + tg_prng_below(prng, i % 3 == 0 ? KEY_BYTES_MAX - 1 : 24);
        for (uint32_t b = 0; b < key->length; b++) { key->bytes[b] = (uint8_t)tg_prng_next(prng); }
        if (i != 0) { memcpy(key->bytes, &(uint16_t){(uint16_t)i}, 2); } /* makes them distinct */
        key->hash = tg_key_hash(key->bytes, key->length);
        if (hash_bits < 64) { key->hash &= (1ull << hash_bits) - 1; }
    }
}

static void check_value(const struct fixture *f, uint32_t k, void *value, bool fresh, const char *where)
{
    struct model_key *key = &keys[k];
    struct payload *payload = value;
    cr_assert_eq(fresh, !key->present, "%s: key %u", where, k);
    if (fresh) {
        const struct payload zero = {0};
        cr_assert_eq(memcmp(payload, &zero, sizeof zero), 0, "%s: fresh value is zero", where);
        *payload = (struct payload){.owner = k};
        memset(payload->rest, (int)k, sizeof payload->rest);
        key->present = true;
        key->touched = 0;
        key->value = value;
        key->slot = tg_table_slot(f->table, value);
    }
    cr_assert_eq(value, key->value, "%s: values never move", where);
    cr_assert_eq((uintptr_t)value % 16, 0);
    cr_assert_eq(payload->owner, k);
    cr_assert_eq(payload->touched, key->touched);
    payload->touched++;
    key->touched++;
}

static uint32_t present_count(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < MODEL_KEYS; i++) { count += keys[i].present; }
    return count;
}

static void upsert_some(struct fixture *f, struct tg_prng *prng)
{
    static struct tg_key batch[TG_BATCH_ROWS_MAX];
    static uint64_t hashes[TG_BATCH_ROWS_MAX];
    static void *values[TG_BATCH_ROWS_MAX];
    static uint32_t chosen[TG_BATCH_ROWS_MAX];
    uint64_t fresh[TG_BATCH_ROWS_MAX / 64];
    const uint32_t count = 1 + tg_prng_below(prng, tg_prng_below(prng, 4) == 0 ? TG_BATCH_ROWS_MAX : 40);
    const uint32_t range = 1 + tg_prng_below(prng, MODEL_KEYS); /* small ranges: many duplicates in a batch */
    for (uint32_t i = 0; i < count; i++) {
        chosen[i] = tg_prng_below(prng, range);
        batch[i] = (struct tg_key){keys[chosen[i]].bytes, keys[chosen[i]].length};
        hashes[i] = keys[chosen[i]].hash;
    }
    memset(fresh, 0xFF, sizeof fresh);
    cr_assert_eq(tg_table_upsert(f->table, count, batch, hashes, values, fresh), count);
    for (uint32_t i = 0; i < count; i++) {
        check_value(f, chosen[i], values[i], (fresh[i / 64] >> (i % 64) & 1) == 1, "upsert");
    }
}

static void look_up_and_remove_some(struct fixture *f, struct tg_prng *prng)
{
    for (uint32_t i = 0; i < 40; i++) {
        const uint32_t k = tg_prng_below(prng, MODEL_KEYS);
        const struct tg_key key = {keys[k].bytes, keys[k].length};
        void *value = tg_table_find(f->table, key, keys[k].hash);
        cr_assert_eq(value != NULL, keys[k].present);
        if (value == NULL) { continue; }
        check_value(f, k, value, false, "find");
        const struct tg_key held = tg_table_key(f->table, value);
        cr_assert_eq(held.bytes, key.bytes);
        cr_assert_eq(memcmp(held.data, key.data, key.bytes), 0);
        cr_assert_eq(tg_table_hash(f->table, value), keys[k].hash);
        cr_assert_eq(tg_table_value(f->table, keys[k].slot), value);
        if (tg_prng_below(prng, 3) != 0) { continue; }
        tg_table_remove(f->table, value);
        keys[k].present = false;
        cr_assert_null(tg_table_find(f->table, key, keys[k].hash));
    }
}

/* The same slots in the same order, and no more looks than were allowed, wherever they end. */
static void walk_in_pieces(const struct fixture *f, struct tg_prng *prng)
{
    const uint32_t end = tg_table_slot_end(f->table);
    struct tg_slots_walk walk = {0};
    uint32_t expected = tg_table_next(f->table, 0);
    while (walk.next < end) {
        const uint32_t from = walk.next;
        const uint32_t looks = tg_prng_below(prng, 20);
        walk.looks = looks;
        const uint32_t found = tg_slots_walk(tg_table_slots(f->table), &walk, end);
        cr_assert(walk.looks <= looks && (found != TG_SLOT_NONE || walk.looks == 0 || walk.next >= end));
        cr_assert(walk.next > from || looks == 0);
        if (found == TG_SLOT_NONE) {
            cr_assert_leq(walk.next < end ? walk.next : 0, expected, "skips none");
            continue;
        }
        cr_assert(found == expected && found < walk.next);
        expected = tg_table_next(f->table, found + 1);
    }
    cr_assert_eq(expected, TG_SLOT_NONE);
    walk = (struct tg_slots_walk){.looks = 5};
    cr_assert(tg_slots_walk(tg_table_slots(f->table), &walk, 0) == TG_SLOT_NONE && walk.looks == 5 && walk.next == 0);
}

static void walk_all(const struct fixture *f)
{
    uint32_t walked = 0;
    for (uint32_t n = tg_table_next(f->table, 0); n != TG_SLOT_NONE; n = tg_table_next(f->table, n + 1)) {
        const struct payload *payload = tg_table_value(f->table, n);
        cr_assert_lt(payload->owner, MODEL_KEYS);
        cr_assert(keys[payload->owner].present);
        cr_assert_eq(keys[payload->owner].slot, n);
        walked++;
    }
    cr_assert_eq(walked, present_count());
}

static void run_model(uint32_t hash_bits, uint32_t value_bytes, uint32_t steps)
{
    struct tg_prng prng = {tg_test_seed()};
    struct fixture f;
    make_keys(&prng, hash_bits);
    open_table(&f, MODEL_KEYS, value_bytes, 4 << 20, tg_prng_next(&prng));
    for (uint32_t step = 0; step < steps; step++) {
        upsert_some(&f, &prng);
        look_up_and_remove_some(&f, &prng);
        cr_assert_eq(tg_table_count(f.table), present_count());
        if (step % 16 == 0) {
            tg_table_check(f.table);
            walk_all(&f);
            walk_in_pieces(&f, &prng);
        }
    }
    for (uint32_t k = 0; k < MODEL_KEYS; k++) {
        if (keys[k].present) { tg_table_remove(f.table, keys[k].value); }
    }
    tg_table_check(f.table);
    cr_assert_eq(tg_table_count(f.table), 0);
    cr_assert_eq(tg_heap_used_bytes(f.heap), 0, "long keys were given back");
    close_table(&f);
}

Test(table, agrees_with_a_model) { run_model(64, sizeof(struct payload), 600); }
/* Beyond the second-level cache, where batches take the three-step way. */
Test(table, agrees_with_a_model_when_values_are_large) { run_model(64, 1000, 200); }
Test(table, keeps_keys_apart_whose_whole_hashes_are_equal) { run_model(7, sizeof(struct payload), 60); }
Test(table, keeps_keys_apart_when_all_hashes_are_one) { run_model(0, sizeof(struct payload), 3); }

Test(table, stops_at_its_limit_and_goes_on_after_a_removal)
{
    enum { MAX = 100 };
    struct fixture f;
    struct tg_key batch[MAX + 2];
    uint64_t numbers[MAX + 2];
    uint64_t hashes[MAX + 2];
    void *values[MAX + 2];
    uint64_t fresh[2];
    open_table(&f, MAX, 8, 4096, 12345);
    for (uint64_t i = 0; i < MAX + 2; i++) {
        numbers[i] = i;
        batch[i] = (struct tg_key){(const uint8_t *)&numbers[i], 8};
        hashes[i] = tg_key_hash(batch[i].data, 8);
    }
    cr_assert_eq(tg_table_upsert(f.table, MAX + 2, batch, hashes, values, fresh), MAX);
    cr_assert_eq(tg_table_count(f.table), MAX);
    cr_assert_eq(fresh[0], UINT64_MAX);
    cr_assert_eq(fresh[1], (1ull << (MAX - 64)) - 1);
    /* Present keys in front of the one that finds no room are placed. */
    batch[1] = batch[MAX];
    hashes[1] = hashes[MAX];
    cr_assert_eq(tg_table_upsert(f.table, 3, batch, hashes, values, fresh), 1);
    cr_assert_eq(fresh[0], 0);
    tg_table_remove(f.table, values[0]);
    cr_assert_eq(tg_table_upsert(f.table, 1, &batch[1], &hashes[1], values, fresh), 1);
    cr_assert_eq(*(uint64_t *)values[0], 0);
    tg_table_check(f.table);
    close_table(&f);
}

Test(table, stops_at_a_long_key_when_the_heap_is_spent)
{
    struct fixture f;
    uint8_t longs[3][200] = {{1}, {2}, {3}};
    struct tg_key batch[4] = {{longs[0], 200}, {longs[1], 200}, {longs[1], 5}, {longs[2], 200}};
    uint64_t hashes[4];
    void *values[4];
    uint64_t fresh[1];
    open_table(&f, 100, 8, 512, 777); /* two keys of 200 bytes take 256 each */
    for (uint32_t i = 0; i < 4; i++) { hashes[i] = tg_key_hash(batch[i].data, batch[i].bytes); }
    cr_assert_eq(tg_table_upsert(f.table, 4, batch, hashes, values, fresh), 3);
    cr_assert_eq(tg_table_count(f.table), 3);
    tg_table_check(f.table);
    tg_table_remove(f.table, values[0]);
    cr_assert_eq(tg_table_upsert(f.table, 1, &batch[3], &hashes[3], values, fresh), 1);
    tg_table_check(f.table);
    close_table(&f);
}

/* Hash whose product with `seed` is `mixed`: chooses group and tag of a key at will. */
static uint64_t hash_for(uint64_t mixed, uint64_t seed)
{
    uint64_t inverse = seed; /* right in three bits; each round doubles them */
    for (uint32_t i = 0; i < 5; i++) { inverse *= 2 - seed * inverse; }
    return mixed * inverse;
}

/* Rows 0 to count - 1 of a batch of numbers as keys. */
struct number_batch {
    uint64_t numbers[TG_BATCH_ROWS_MAX];
    struct tg_key keys[TG_BATCH_ROWS_MAX];
    uint64_t hashes[TG_BATCH_ROWS_MAX];
    void *values[TG_BATCH_ROWS_MAX];
    uint64_t fresh[TG_BATCH_ROWS_MAX / 64];
};
static struct number_batch numbered;

static void set_row(uint32_t row, uint64_t number)
{
    numbered.numbers[row] = number;
    numbered.keys[row] = (struct tg_key){(const uint8_t *)&numbered.numbers[row], 8};
    numbered.hashes[row] = tg_key_hash(numbered.keys[row].data, 8);
}
static uint32_t upsert_rows(struct fixture *f, uint32_t count)
{
    memset(numbered.fresh, 0xFF, sizeof numbered.fresh);
    return tg_table_upsert(f->table, count, numbered.keys, numbered.hashes, numbered.values, numbered.fresh);
}
static bool row_is_fresh(uint32_t row) { return (numbered.fresh[row / 64] >> (row % 64) & 1) == 1; }

/* Lookups run some rows apart: every length around those distances, with nothing, something and everything present. */
static void place_every_length(uint32_t value_bytes)
{
    static const uint32_t lengths[] = {1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 129, 191, 192, 193, 511, 512, 1024};
    for (uint32_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
        struct fixture f;
        const uint32_t count = lengths[l];
        open_table(&f, TG_BATCH_ROWS_MAX, value_bytes, 4096, 99 + l);
        for (uint32_t present = 0; present <= count; present += (count + 2) / 3) {
            for (uint32_t row = 0; row < present; row++) { set_row(row, row); }
            if (present != 0) { cr_assert_eq(upsert_rows(&f, present), present); }
            for (uint32_t row = 0; row < count; row++) { set_row(row, count - 1 - row); } /* the other way round */
            cr_assert_eq(upsert_rows(&f, count), count);
            for (uint32_t row = 0; row < count; row++) {
                cr_assert_eq(row_is_fresh(row), numbered.numbers[row] >= present, "length %u row %u", count, row);
                cr_assert_eq(numbered.values[row], tg_table_find(f.table, numbered.keys[row], numbered.hashes[row]));
                const struct tg_key held = tg_table_key(f.table, numbered.values[row]);
                cr_assert_eq(memcmp(held.data, &numbered.numbers[row], 8), 0);
            }
            tg_table_check(f.table);
            for (uint32_t row = 0; row < count; row++) { tg_table_remove(f.table, numbered.values[row]); }
        }
        close_table(&f);
    }
}
Test(table, places_batches_of_every_length) { place_every_length(8); }
Test(table, places_batches_of_every_length_when_values_are_large) { place_every_length(8000); }

Test(table, finds_a_new_key_again_in_its_own_batch)
{
    enum { MAX = 400 };
    struct fixture f;
    open_table(&f, MAX, 8, 4096, 4321);
    for (uint32_t distance = 1; distance <= 200; distance++) {
        const uint64_t first = (uint64_t)distance * 1000;
        for (uint32_t row = 0; row < 2 * distance; row++) { set_row(row, first + row % distance); }
        cr_assert_eq(upsert_rows(&f, 2 * distance), 2 * distance);
        for (uint32_t row = 0; row < 2 * distance; row++) {
            cr_assert_eq(row_is_fresh(row), row < distance, "distance %u row %u", distance, row);
            cr_assert_eq(numbered.values[row], numbered.values[row % distance]);
        }
        cr_assert_eq(tg_table_count(f.table), distance);
        for (uint32_t row = 0; row < distance; row++) { tg_table_remove(f.table, numbered.values[row]); }
    }
    tg_table_check(f.table);
    close_table(&f);
}

/* Forty keys at home in one group of eight, the last one: they reach round the end of the index. */
static void crowd_the_last_group(uint64_t tag_step)
{
    enum { COUNT = 40, SEED = 0x1E3779B1 };
    struct fixture f;
    void *first_values[COUNT];
    open_table(&f, COUNT, 8, 4096, SEED);
    for (uint32_t row = 0; row < COUNT; row++) {
        set_row(row, row);
        numbered.hashes[row] = hash_for((UINT64_MAX << 52) + row * tag_step, SEED);
    }
    cr_assert_eq(upsert_rows(&f, COUNT), COUNT);
    cr_assert_eq(numbered.fresh[0], (1ull << COUNT) - 1);
    cr_assert_geq(tg_table_probe_max(f.table), COUNT);
    memcpy(first_values, numbered.values, sizeof first_values);
    for (uint32_t removed = 0; removed < COUNT; removed++) {
        cr_assert_eq(upsert_rows(&f, COUNT), COUNT);
        cr_assert_eq(memcmp(first_values, numbered.values, sizeof first_values), 0, "%u removed", removed);
        cr_assert_eq(numbered.fresh[0], removed == 0 ? 0 : 1ull << (removed * 7 % COUNT));
        tg_table_check(f.table);
        tg_table_remove(f.table, numbered.values[(removed + 1) * 7 % COUNT]);
        tg_table_check(f.table);
    }
    close_table(&f);
}
Test(table, keeps_keys_that_crowd_the_last_group) { crowd_the_last_group(1ull << 33); }
Test(table, keeps_keys_apart_whose_tags_are_equal) { crowd_the_last_group(1); }

/* Every length that fits a slot and some that do not; the hash, and so the tag, says nothing. */
Test(table, keeps_keys_apart_that_differ_in_one_byte)
{
    enum { LENGTH_MAX = 40 };
    struct fixture f;
    uint8_t bytes[LENGTH_MAX + 1][LENGTH_MAX] = {{0}};
    open_table(&f, 2 * LENGTH_MAX, 8, 1 << 16, 11);
    for (uint32_t length = 1; length <= LENGTH_MAX; length++) {
        memset(bytes, 0x5A, sizeof bytes);
        for (uint32_t row = 0; row <= length; row++) {
            if (row < length) { bytes[row][row] ^= 1; } /* the last row stays as it is */
            numbered.keys[row] = (struct tg_key){bytes[row], length};
            numbered.hashes[row] = 7;
        }
        cr_assert_eq(upsert_rows(&f, length + 1), length + 1);
        for (uint32_t row = 0; row <= length; row++) { cr_assert(row_is_fresh(row), "length %u row %u", length, row); }
        cr_assert_eq(tg_table_count(f.table), length + 1);
        for (uint32_t row = 0; row <= length; row++) { tg_table_remove(f.table, numbered.values[row]); }
    }
    close_table(&f);
}

/* The row without room, at each place of the batch: rows before it are placed, no bit behind it is set. */
Test(table, stops_where_it_is_full_and_leaves_no_bit_behind)
{
    enum { COUNT = 300 };
    for (uint32_t max = 1; max < COUNT; max += 13) {
        struct fixture f;
        open_table(&f, max, 8, 4096, 5);
        for (uint32_t row = 0; row < COUNT; row++) { set_row(row, row); }
        cr_assert_eq(upsert_rows(&f, COUNT), max);
        for (uint32_t row = 0; row < COUNT; row++) {
            cr_assert_eq(row_is_fresh(row), row < max, "max %u row %u", max, row);
        }
        for (uint32_t row = 0; row < max; row++) {
            cr_assert_eq(tg_table_find(f.table, numbered.keys[row], numbered.hashes[row]), numbered.values[row]);
        }
        cr_assert_eq(upsert_rows(&f, COUNT), max);
        for (uint32_t word = 0; word < (COUNT + 63) / 64; word++) { cr_assert_eq(numbered.fresh[word], 0); }
        tg_table_check(f.table);
        close_table(&f);
    }
}

Test(table, keeps_probes_short_and_reports_memory)
{
    enum { COUNT = 60000 };
    struct fixture f;
    open_table(&f, COUNT, 32, 4096, tg_test_seed());
    cr_assert_eq(tg_table_used_bytes(f.table), 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        const struct tg_key key = {(const uint8_t *)&i, 8};
        const uint64_t hash = tg_key_hash(key.data, 8);
        void *value;
        uint64_t fresh;
        cr_assert_eq(tg_table_upsert(f.table, 1, &key, &hash, &value, &fresh), 1);
        cr_assert_eq(fresh, 1);
    }
    cr_assert_lt(tg_table_probe_max(f.table), 200);
    cr_assert_geq(tg_table_used_bytes(f.table), COUNT * 64);
    tg_table_check(f.table);
    close_table(&f);
}
