/* Values of every kind of field between memory and records: they come back as they were, under their own layout and
 * under a wider one; what is damaged or does not fit into memory is told from each other and from what is whole. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/key.h"
#include "base/prng.h"
#include "state/containers.h"
#include "state/entry.h"
#include "state/restore.h"
#include "state/snapshot.h"
#include "tests/seed.h"

enum { RECORD_BYTES = 1 << 16, ELEMENTS_MAX = 40 };

struct pair {
    int64_t at;
    char label[16];
};
struct tally {
    tg_dec sum;
    int32_t count;
    bool open;
};
struct value {
    tg_dec sum;
    int64_t number;
    int32_t small;
    bool open;
    char label[16];
    char name[64];
    struct tg_mark mark;
    struct tg_deque_i64 deque;
    struct tg_list pairs;
    struct tg_list numbers;
    struct tg_map tallies; /* by label: a text */
    struct tg_map counts;  /* by number: all of fixed width */
};
/* The value one version later: fields have gone, others are wider or new. */
struct wider {
    int64_t fresh;
    int64_t small;
    char label[64];
    struct tg_list numbers;
};

#define AT(type, member) .offset = offsetof(type, member)
static const struct tg_state_field key_columns[] = {{.name = "id", .kind = TG_STATE_BIGINT}};
static const struct tg_state_field moments[] = {{.name = "element", .kind = TG_STATE_BIGINT}};
static const struct tg_state_field pairs[] = {{.name = "at", .kind = TG_STATE_BIGINT, AT(struct pair, at)},
                                              {.name = "label", .kind = TG_STATE_LABEL, AT(struct pair, label)}};
static const struct tg_state_field numbers[] = {{.name = "n", .kind = TG_STATE_INTEGER}};
static const struct tg_state_field tallies[] = {
    {.name = "id", .kind = TG_STATE_LABEL},
    {.name = "sum", .kind = TG_STATE_NUMERIC, .scale = 2, AT(struct tally, sum)},
    {.name = "count", .kind = TG_STATE_INTEGER, AT(struct tally, count)},
    {.name = "open", .kind = TG_STATE_BOOLEAN, AT(struct tally, open)}};
static const struct tg_state_field counts[] = {{.name = "id", .kind = TG_STATE_BIGINT},
                                               {.name = "n", .kind = TG_STATE_BIGINT}};
static const struct tg_state_field fields[] = {
    {.name = "sum", .kind = TG_STATE_NUMERIC, .scale = 2, AT(struct value, sum)},
    {.name = "number", .kind = TG_STATE_BIGINT, AT(struct value, number)},
    {.name = "small", .kind = TG_STATE_INTEGER, AT(struct value, small)},
    {.name = "label", .kind = TG_STATE_LABEL, AT(struct value, label)},
    {.name = "open", .kind = TG_STATE_BOOLEAN, AT(struct value, open)}, /* behind a text */
    {.name = "name", .kind = TG_STATE_NAME, AT(struct value, name)},
    {.name = "deque", .kind = TG_STATE_DEQUE, AT(struct value, deque), .element_count = 1, .elements = moments},
    {.name = "pairs",
     .kind = TG_STATE_LIST,
     AT(struct value, pairs),
     .element_count = 2,
     .elements = pairs,
     .element_bytes = sizeof(struct pair)},
    {.name = "numbers",
     .kind = TG_STATE_LIST,
     AT(struct value, numbers),
     .element_count = 1,
     .elements = numbers,
     .element_bytes = sizeof(int32_t)},
    {.name = "tallies",
     .kind = TG_STATE_MAP,
     AT(struct value, tallies),
     .element_count = 4,
     .key_count = 1,
     .elements = tallies,
     .key_bytes = 16,
     .element_bytes = sizeof(struct tally),
     .align = 16},
    {.name = "counts",
     .kind = TG_STATE_MAP,
     AT(struct value, counts),
     .element_count = 2,
     .key_count = 1,
     .elements = counts,
     .key_bytes = 8,
     .element_bytes = 8,
     .align = 8},
};
static const struct tg_state_field wider_fields[] = {
    {.name = "fresh", .kind = TG_STATE_BIGINT, AT(struct wider, fresh)},
    {.name = "small", .kind = TG_STATE_BIGINT, AT(struct wider, small)},
    {.name = "label", .kind = TG_STATE_NAME, AT(struct wider, label)},
    {.name = "numbers",
     .kind = TG_STATE_LIST,
     AT(struct wider, numbers),
     .element_count = 1,
     .elements = numbers,
     .element_bytes = sizeof(int32_t)},
};
static const struct tg_state_layout layout = {.owner_kind = TG_STATE_OF_STEP,
                                              .owner = "counts",
                                              .name = "value",
                                              .version = 1,
                                              .key_count = 1,
                                              .keys = key_columns,
                                              .field_count = sizeof fields / sizeof fields[0],
                                              .fields = fields};
static const struct tg_state_layout wider = {.owner_kind = TG_STATE_OF_STEP,
                                             .owner = "counts",
                                             .name = "value",
                                             .version = 1,
                                             .key_count = 1,
                                             .keys = key_columns,
                                             .field_count = sizeof wider_fields / sizeof wider_fields[0],
                                             .fields = wider_fields};
static const struct tg_map_shape tally_shape = {.key_bytes = 16, .value_bytes = sizeof(struct tally), .align = 16};
static const struct tg_map_shape count_shape = {.key_bytes = 8, .value_bytes = 8, .align = 8};

static struct tg_arena arena;
static struct tg_heap *heap;
static struct tg_state_plan plan;
static struct tg_prng prng;
static struct tg_error err;
static uint64_t seed;
static uint8_t record[RECORD_BYTES];

static void begin(void)
{
    seed = tg_test_seed();
    prng = (struct tg_prng){seed};
    tg_state_plan_make(&layout, &plan);
    cr_assert_eq(tg_arena_open(&arena, (size_t)256 << 20, NULL), TG_OK);
    cr_assert_eq(tg_heap_create(&heap, 16 << 20, &arena, NULL), TG_OK);
}
static void end(void) { tg_arena_close(&arena); }
TestSuite(entry, .init = begin, .fini = end, .timeout = 120);

static void text_make(char *text, uint32_t capacity, uint32_t number)
{
    memset(text, 0, capacity);
    const uint32_t bytes = number % capacity;
    memset(text, 'a' + (int)(number % 26), bytes);
    text[capacity - 1] = (char)bytes;
}

/* All different: another length or another letter. */
static void label_make(char label[16], uint32_t number)
{
    memset(label, 0, 16);
    memset(label, 'a' + (int)(number / 15), 1 + number % 15);
    label[15] = (char)(1 + number % 15);
}

static void value_make(struct value *v, uint32_t elements)
{
    *v = (struct value){.number = (int64_t)tg_prng_next(&prng), .small = (int32_t)tg_prng_next(&prng)};
    v->sum = (tg_dec)v->number * 1000;
    v->open = tg_prng_below(&prng, 2) == 0;
    text_make(v->label, sizeof v->label, tg_prng_below(&prng, 100));
    text_make(v->name, sizeof v->name, tg_prng_below(&prng, 100));
    for (uint32_t i = 0; i < elements; i++) {
        struct pair pair = {.at = i};
        char label[16];
        const int32_t n = -(int32_t)i;
        const int64_t id = i;
        bool fresh;
        text_make(pair.label, sizeof pair.label, i);
        label_make(label, i);
        cr_assert(tg_deque_i64_insert(&v->deque, heap, (int64_t)i * 3));
        cr_assert_not_null(tg_list_append(&v->pairs, heap, sizeof pair, &pair));
        cr_assert_not_null(tg_list_append(&v->numbers, heap, sizeof n, &n));
        struct tally *tally = tg_map_upsert(&v->tallies, heap, tally_shape, label, &fresh);
        cr_assert(tally != NULL && fresh);
        *tally = (struct tally){.sum = -(tg_dec)i, .count = (int32_t)i, .open = i % 2 == 0};
        int64_t *count = tg_map_upsert(&v->counts, heap, count_shape, &id, &fresh);
        cr_assert_not_null(count);
        *count = id * id;
    }
}

/* The value as a record; its length. */
static uint32_t write_record(const struct value *v)
{
    const uint64_t bytes = tg_state_entry_bytes(&plan, v);
    cr_assert_leq(bytes, RECORD_BYTES);
    memset(record, 0xEE, sizeof record);
    tg_state_entry_prefetch(&plan, v); /* changes nothing */
    tg_state_entry_write(&plan, v, record);
    return (uint32_t)bytes;
}

static bool read_as(const struct tg_state_layout *now, uint32_t bytes, void *value, struct tg_bytes_in *in, bool *full)
{
    uint8_t *copy = malloc(bytes + 1); /* exactly as long, so that reading on is seen */
    memcpy(copy, record, bytes);
    struct tg_state_mapping mapping;
    cr_assert_eq(tg_state_layout_match(&layout, now, &mapping, &err), TG_OK, "%s", err.text);
    struct tg_state_entry_reading reading = {.stored = &layout, .now = now, .mapping = &mapping, .heap = heap};
    *in = (struct tg_bytes_in){.data = copy, .bytes = bytes};
    const bool whole = tg_state_entry_read(&reading, in, value);
    *full = reading.full;
    free(copy);
    return whole;
}

static void compare(const struct value *a, const struct value *b)
{
    cr_assert(a->sum == b->sum && a->number == b->number && a->small == b->small && a->open == b->open);
    cr_assert_arr_eq(a->label, b->label, sizeof a->label);
    cr_assert_arr_eq(a->name, b->name, sizeof a->name);
    cr_assert(a->deque.count == b->deque.count && a->pairs.count == b->pairs.count);
    cr_assert(a->numbers.count == b->numbers.count && a->counts.count == b->counts.count);
    cr_assert_eq(a->tallies.count, b->tallies.count);
    for (uint32_t i = 0; i < a->deque.count; i++) {
        char label[16];
        const int64_t id = i;
        label_make(label, i);
        cr_assert_eq(tg_deque_i64_at(&a->deque, i), tg_deque_i64_at(&b->deque, i));
        cr_assert_arr_eq(tg_list_at(&a->pairs, sizeof(struct pair), i), tg_list_at(&b->pairs, sizeof(struct pair), i),
                         sizeof(struct pair));
        cr_assert_eq(*(int32_t *)tg_list_at(&a->numbers, 4, i), *(int32_t *)tg_list_at(&b->numbers, 4, i));
        const struct tally *left = tg_map_find(&a->tallies, tally_shape, label);
        const struct tally *right = tg_map_find(&b->tallies, tally_shape, label);
        cr_assert(left->sum == right->sum && left->count == right->count && left->open == right->open);
        cr_assert_eq(*(int64_t *)tg_map_find(&b->counts, count_shape, &id), id * id);
    }
}

Test(entry, values_come_back_as_they_were)
{
    for (uint32_t round = 0; round < 2000; round++) {
        struct value v, found = {0};
        struct tg_bytes_in in;
        bool full;
        value_make(&v, tg_prng_below(&prng, ELEMENTS_MAX));
        const uint32_t bytes = write_record(&v);
        cr_assert_eq(record[bytes], 0xEE, "more was written than said");
        cr_assert(read_as(&layout, bytes, &found, &in, &full), "seed %" PRIu64 ": %s", seed, in.wrong);
        compare(&v, &found);
        tg_state_entry_clear(&layout, &v, heap);
        tg_state_entry_clear(&layout, &found, heap);
        cr_assert_eq(tg_heap_used_bytes(heap), 0);
        cr_assert(found.deque.count == 0 && found.pairs.count == 0 && found.tallies.count == 0);
    }
}

Test(entry, a_wider_layout_takes_what_it_knows_and_leaves_the_rest)
{
    for (uint32_t round = 0; round < 500; round++) {
        struct value v;
        struct wider found = {.fresh = 77};
        struct tg_bytes_in in;
        bool full;
        value_make(&v, tg_prng_below(&prng, ELEMENTS_MAX));
        cr_assert(read_as(&wider, write_record(&v), &found, &in, &full), "seed %" PRIu64 ": %s", seed, in.wrong);
        cr_assert(found.fresh == 77 && found.small == v.small && found.numbers.count == v.numbers.count);
        cr_assert_eq(found.label[63], v.label[15]);
        cr_assert_arr_eq(found.label, v.label, 15);
        tg_state_entry_clear(&layout, &v, heap);
        tg_state_entry_clear(&wider, &found, heap);
    }
}

/* Under both layouts: where a field has gone its bytes are walked over, and looked at all the same. */
Test(entry, a_value_cut_at_any_byte_or_longer_is_damaged)
{
    static const struct tg_state_layout *const layouts[] = {&layout, &wider};
    struct value v;
    value_make(&v, 5);
    const uint32_t bytes = write_record(&v);
    for (uint32_t cut = 0; cut <= bytes + 1; cut++) {
        for (uint32_t i = 0; i < 2; i++) {
            struct value found = {0};
            struct tg_bytes_in in;
            bool full;
            const bool whole = read_as(layouts[i], cut, &found, &in, &full);
            cr_assert(whole == (cut == bytes) && !full && (in.wrong == NULL) == whole, "cut %" PRIu32, cut);
        }
    }
}

Test(entry, bytes_that_mean_nothing_are_damage)
{
    static const struct tg_state_layout *const layouts[] = {&layout, &wider};
    struct value v;
    uint32_t refused = 0;
    value_make(&v, 6);
    const uint32_t bytes = write_record(&v);
    for (uint32_t at = 0; at < bytes; at++) {
        for (uint32_t i = 0; i < 2; i++) {
            struct value found = {0};
            struct tg_bytes_in in;
            bool full;
            record[at] ^= 0x84;
            const bool whole = read_as(layouts[i], bytes, &found, &in, &full);
            cr_assert(whole == (in.wrong == NULL) && !full, "byte %" PRIu32, at);
            refused += !whole;
            record[at] ^= 0x84;
        }
    }
    cr_assert_gt(refused, 50, "lengths, counts, truth values");
}

Test(entry, a_key_twice_in_a_map_is_damage)
{
    struct value v, found = {0};
    struct tg_bytes_in in;
    bool full;
    value_make(&v, 2);
    const uint32_t bytes = write_record(&v);
    memcpy(record + bytes - 16, record + bytes - 32, 8); /* the last two entries: a key and a number of 8 bytes each */
    cr_assert_not(read_as(&layout, bytes, &found, &in, &full));
    cr_assert_str_eq(in.wrong, "a map's key twice");
}

/* ---- into a table ------------------------------------------------------------------------------------------------ */

struct target {
    struct tg_table *table;
    struct tg_restore restore;
    uint32_t made_fresh;
    uint32_t refused; /* records nobody wanted */
    bool wants;
};
static bool is_wanted(void *self, const struct tg_state_record *wanted, uint64_t hash)
{
    struct target *target = self;
    (void)wanted;
    (void)hash;
    target->refused += !target->wants;
    return target->wants;
}
static void count_fresh(void *self, void *value)
{
    (void)value;
    ((struct target *)self)->made_fresh++;
}
static void target_open(struct target *target, uint64_t entries, struct tg_heap *of)
{
    const struct tg_table_config config = {
        .entry_count_max = entries, .hash_seed = 7, .value_bytes = sizeof(struct value)};
    *target = (struct target){.wants = true};
    cr_assert_eq(tg_table_create(&target->table, &config, of, &arena, NULL), TG_OK);
    target->restore = (struct tg_restore){.table = target->table,
                                          .heap = of,
                                          .now = &layout,
                                          .value_bytes = sizeof(struct value),
                                          .mark_offset = offsetof(struct value, mark),
                                          .wanted = is_wanted,
                                          .make_fresh = count_fresh,
                                          .self = target};
    cr_assert_eq(tg_restore_begin(&target->restore, &layout, &err), TG_OK);
}
static tg_status put(struct target *target, enum tg_state_op op, int64_t id, uint32_t bytes)
{
    uint8_t key[9] = {1};
    memcpy(key + 1, &id, sizeof id);
    const struct tg_state_record made = {.op = op, .key = {key, 9}, .value = record, .value_bytes = bytes, .at = 100};
    err = (struct tg_error){0};
    return tg_restore_records(&target->restore, &made, 1, "e1/s0.base", &err);
}

Test(entry, records_replace_and_remove_what_was_there)
{
    struct target target;
    struct value v;
    target_open(&target, 2, heap);
    value_make(&v, 30);
    const uint32_t bytes = write_record(&v);
    tg_state_entry_clear(&layout, &v, heap);
    cr_assert_eq(put(&target, TG_STATE_PUT, 1, bytes), TG_OK, "%s", err.text);
    const uint64_t used = tg_heap_used_bytes(heap);
    cr_assert_eq(put(&target, TG_STATE_PUT, 1, bytes), TG_OK, "%s", err.text);
    cr_assert(tg_heap_used_bytes(heap) == used && target.made_fresh == 2 && tg_table_count(target.table) == 1);
    cr_assert_eq(put(&target, TG_STATE_DEL, 2, 0), TG_OK, "a key that is not there");
    target.wants = false;
    cr_assert_eq(put(&target, TG_STATE_PUT, 2, bytes), TG_OK);
    cr_assert_eq(put(&target, TG_STATE_DEL, 1, 0), TG_OK);
    cr_assert(target.refused == 2 && tg_table_count(target.table) == 1);
    target.wants = true;
    cr_assert_eq(put(&target, TG_STATE_DEL, 1, 0), TG_OK);
    cr_assert(tg_table_count(target.table) == 0 && tg_heap_used_bytes(heap) == 0);
}

/* As many as fit into one call, with keys that come again: the last one counts. */
Test(entry, records_of_one_call_apply_in_their_order)
{
    struct tg_state_record records[TG_RESTORE_RECORDS_MAX];
    uint8_t values[4][RECORD_BYTES / 4];
    uint8_t keys[TG_RESTORE_RECORDS_MAX][9];
    uint32_t bytes[4];
    for (uint32_t i = 0; i < 4; i++) {
        struct value v;
        value_make(&v, 10 * i);
        v.number = i;
        bytes[i] = write_record(&v);
        memcpy(values[i], record, bytes[i]);
        tg_state_entry_clear(&layout, &v, heap);
    }
    for (uint32_t round = 0; round < 200; round++) {
        struct target target;
        int64_t expected[8];
        struct tg_arena own = arena; /* what a table takes of it is given back */
        const uint32_t count = 1 + tg_prng_below(&prng, TG_RESTORE_RECORDS_MAX);
        memset(expected, 0xFF, sizeof expected);
        target_open(&target, 8, heap);
        for (uint32_t i = 0; i < count; i++) {
            const int64_t id = tg_prng_below(&prng, 8);
            const uint32_t which = tg_prng_below(&prng, 4);
            const bool is_put = tg_prng_below(&prng, 10) != 0;
            keys[i][0] = 1;
            memcpy(keys[i] + 1, &id, sizeof id);
            records[i] = (struct tg_state_record){.op = is_put ? TG_STATE_PUT : TG_STATE_DEL,
                                                  .key = {keys[i], 9},
                                                  .value = values[which],
                                                  .value_bytes = bytes[which]};
            expected[id] = is_put ? (int64_t)which : -1;
        }
        cr_assert_eq(tg_restore_records(&target.restore, records, count, "file", &err), TG_OK, "%s", err.text);
        for (int64_t id = 0; id < 8; id++) {
            uint8_t key[9] = {1};
            memcpy(key + 1, &id, sizeof id);
            struct value *v = tg_table_find(target.table, (struct tg_key){key, 9}, tg_key_hash(key, 9));
            cr_assert_eq(v != NULL, expected[id] >= 0, "seed %" PRIu64, seed);
            if (v == NULL) { continue; }
            cr_assert(v->number == expected[id] && v->deque.count == 10 * expected[id], "seed %" PRIu64, seed);
            tg_state_entry_clear(&layout, v, heap);
        }
        cr_assert_eq(tg_heap_used_bytes(heap), 0, "seed %" PRIu64, seed);
        arena.used_bytes = own.used_bytes;
        memset(arena.base + own.used_bytes, 0, 1 << 20);
    }
}

Test(entry, what_a_table_has_no_room_for_is_not_called_damage)
{
    struct target target;
    struct value v;
    target_open(&target, 1, heap);
    value_make(&v, 3);
    const uint32_t bytes = write_record(&v);
    target.restore.wanted = NULL;
    target.restore.make_fresh = NULL;
    cr_assert_eq(put(&target, TG_STATE_PUT, 1, bytes), TG_OK, "%s", err.text);
    cr_assert_neq(put(&target, TG_STATE_PUT, 2, bytes), TG_OK);
    cr_assert(err.code == TG1601 && strstr(err.text, "max_keys") != NULL, "%s", err.text);
    cr_assert_neq(put(&target, TG_STATE_PUT, 1, bytes - 1), TG_OK);
    cr_assert(err.code == TG1512 && strstr(err.text, "e1/s0.base, byte ") != NULL, "%s", err.text);
    struct tg_state_layout other = layout;
    other.version++;
    err = (struct tg_error){0};
    cr_assert_neq(tg_restore_begin(&target.restore, &other, &err), TG_OK);
    cr_assert_eq(err.code, TG1519);
}

/* The heap is spent at each of the things that ask it for memory. */
Test(entry, a_heap_that_is_spent_is_not_called_damage)
{
    struct value v;
    uint32_t spent = 0;
    bool fits = false;
    value_make(&v, 30);
    const uint32_t bytes = write_record(&v);
    for (uint64_t limit = 64; !fits; limit += 64) {
        struct tg_arena small;
        struct tg_heap *little;
        struct target target;
        cr_assert_eq(tg_arena_open(&small, (size_t)64 << 20, NULL), TG_OK);
        cr_assert_eq(tg_heap_create(&little, limit, &small, NULL), TG_OK);
        target_open(&target, 4, little);
        fits = put(&target, TG_STATE_PUT, 1, bytes) == TG_OK;
        cr_assert(fits || (err.code == TG1601 && strstr(err.text, "max_state") != NULL), "%s", err.text);
        spent += !fits;
        tg_arena_close(&small);
    }
    cr_assert_gt(spent, 20);
}
