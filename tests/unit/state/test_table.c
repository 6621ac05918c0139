/* Claims about the keyed table, mostly against a model that is an array of keys. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "base/key.h"
#include "base/prng.h"
#include "state/table.h"
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
