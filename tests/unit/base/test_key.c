/* Key encoding: golden vectors of docs/formats/key.md, round trips, capacity to the byte. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/key.h"
#include "base/limits.h"
#include "base/prng.h"
#include "tests/seed.h"

enum { ROW_BYTES = 4096 };
static const uint32_t shard_counts[5] = {1, 2, 3, 7, 16};

/* One column's value of a vector. */
struct cell {
    enum tg_type type; /* 0 = end of the key */
    bool null;
    const char *text;
    int64_t number;
};

struct vector {
    struct cell cells[4];
    const char *hex;
    uint64_t hash;
    uint32_t group;
    uint32_t shards[5];
};

#define TEXT(value) {TG_TYPE_TEXT, false, value, 0}
#define NUMBER(kind, value) {TG_TYPE_##kind, false, NULL, value}
#define NONE(kind) {TG_TYPE_##kind, true, NULL, 0}

static const struct vector vectors[] = {
    {{TEXT("u1")}, "01020000007531", 0x52A1FC1C88535B52u, 330, {0, 0, 0, 2, 5}},
    {{TEXT("")}, "0100000000", 0xD1DD927ED529F768u, 839, {0, 1, 2, 5, 13}},
    {{NONE(TEXT)}, "00", 0xC44BDFF4074EECDBu, 785, {0, 1, 2, 5, 12}},
    {{TEXT("서울")}, "0106000000ec849cec9ab8", 0x41DFB32A0920918Du, 263, {0, 0, 0, 1, 4}},
    {{NUMBER(BIGINT, 7)}, "010700000000000000", 0xA37A4D57E7457851u, 653, {0, 1, 1, 4, 10}},
    {{NUMBER(BIGINT, -1)}, "01ffffffffffffffff", 0x53A5F4BC2FC0168Cu, 334, {0, 0, 0, 2, 5}},
    {{NUMBER(INTEGER, 7)}, "010700000000000000", 0xA37A4D57E7457851u, 653, {0, 1, 1, 4, 10}},
    {{NUMBER(INTEGER, -2147483648LL)}, "0100000080ffffffff", 0x816972F1E27D3364u, 517, {0, 1, 1, 3, 8}},
    {{NUMBER(BOOLEAN, 1)}, "0101", 0x070D80D6A76865F3u, 28, {0, 0, 0, 0, 0}},
    {{NUMBER(BOOLEAN, 0)}, "0100", 0xAB94AC0ACE7276C0u, 686, {0, 1, 2, 4, 10}},
    {{NUMBER(TIMESTAMP, 1715421600000000)}, "0100a81bb72a180600", 0xAA453CFF94BD38AAu, 681, {0, 1, 1, 4, 10}},
    {{NUMBER(DATE, 19854)}, "018e4d0000", 0x4E3673E4C64AD147u, 312, {0, 0, 0, 2, 4}},
    {{NUMBER(DATE, -1)}, "01ffffffff", 0xD42AC8B080162E7Fu, 848, {0, 1, 2, 5, 13}},
    {{NUMBER(NUMERIC, 1234)}, "01d2040000000000000000000000000000", 0x2027A4E12EA38735u, 128, {0, 0, 0, 0, 2}},
    {{NUMBER(NUMERIC, -1)}, "01ffffffffffffffffffffffffffffffff", 0x3192EBCED8DA1530u, 198, {0, 0, 0, 1, 3}},
    {{NUMBER(ENUM, 2)}, "010200000000000000", 0x04F2C58C2EDEDCAEu, 19, {0, 0, 0, 0, 0}},
    {{TEXT("u1"), TEXT("s1")}, "0102000000753101020000007331", 0xBAA362BABF7F1631u, 746, {0, 1, 2, 5, 11}},
    {{TEXT("u1s"), TEXT("1")}, "0103000000753173010100000031", 0xBD23AECFE8814B08u, 756, {0, 1, 2, 5, 11}},
    {{NONE(TEXT), NUMBER(BIGINT, 7), NUMBER(BOOLEAN, 1)},
     "000107000000000000000101",
     0xE4EBD55DABB005D0u, 915, {0, 1, 2, 6, 14}},
    {{TEXT("books"), TEXT("credit card"), NUMBER(TIMESTAMP, 1715421600000000)},
     "0105000000626f6f6b73010b00000063726564697420636172640100a81bb72a180600",
     0xB06FB5E3381DDEBFu, 705, {0, 1, 2, 4, 11}},
};
enum { VECTOR_COUNT = sizeof vectors / sizeof vectors[0] };

static struct tg_schema schema;
static struct tg_key_spec spec;
static uint8_t row[ROW_BYTES] __attribute__((aligned(16)));

static void put(uint32_t column, const struct cell *cell)
{
    void *value = tg_row_value(&schema, row, column);
    tg_row_set_null(&schema, row, column, cell->null);
    switch (cell->type) {
    case TG_TYPE_TEXT:
    case TG_TYPE_JSON: {
        const tg_text text = {.data = cell->text, .bytes = cell->text == NULL ? 0 : (uint32_t)strlen(cell->text)};
        memcpy(value, &text, sizeof text);
        break;
    }
    case TG_TYPE_BIGINT:
    case TG_TYPE_TIMESTAMP: *(int64_t *)value = cell->number; break;
    case TG_TYPE_INTEGER:
    case TG_TYPE_ENUM:
    case TG_TYPE_DATE: *(int32_t *)value = (int32_t)cell->number; break;
    case TG_TYPE_BOOLEAN: *(bool *)value = cell->number != 0; break;
    case TG_TYPE_NUMERIC: *(tg_dec *)value = cell->number; break;
    }
}

static void build(const struct cell *cells, uint32_t count)
{
    schema = (struct tg_schema){.name = "key", .column_count = count};
    spec = (struct tg_key_spec){.schema = &schema, .column_count = count};
    for (uint32_t i = 0; i < count; i++) {
        schema.columns[i] = (struct tg_column){.name = "c", .type = cells[i].type, .scale = 2};
        spec.columns[i] = i;
    }
    tg_schema_layout(&schema);
    cr_assert_leq(schema.row_bytes, ROW_BYTES);
    memset(row, 0xA5, sizeof row); /* padding must not matter */
    for (uint32_t i = 0; i < count; i++) { put(i, &cells[i]); }
}

static uint32_t cell_count(const struct vector *v)
{
    uint32_t count = 0;
    while (count < 4 && v->cells[count].type != 0) { count++; }
    return count;
}

Test(key, golden_vectors_bytes_hash_group_and_shard)
{
    for (uint32_t i = 0; i < VECTOR_COUNT; i++) {
        const struct vector *v = &vectors[i];
        uint8_t out[TG_KEY_BYTES_MAX];
        char hex[2 * TG_KEY_BYTES_MAX + 1] = "";
        build(v->cells, cell_count(v));
        const uint32_t bytes = tg_key_encode(&spec, row, out, sizeof out);
        for (uint32_t k = 0; k < bytes; k++) { (void)snprintf(hex + 2 * k, 3, "%02x", out[k]); }
        cr_assert_str_eq(hex, v->hex, "vector %u", i);
        const uint64_t hash = tg_key_hash(out, bytes);
        cr_assert_eq(hash, v->hash, "vector %u: %016" PRIx64, i, hash);
        cr_assert_eq(tg_key_group(hash), v->group);
        for (uint32_t k = 0; k < 5; k++) {
            cr_assert_eq(tg_key_shard(hash, shard_counts[k]), v->shards[k], "vector %u", i);
        }
    }
}

Test(key, long_texts_take_the_long_paths_of_the_hash)
{
    static const struct {
        uint32_t letters;
        uint64_t hash;
    } table[] = {{200, 0xce31077508dbb05eu}, {1019, 0x69ca71fba47903feu}};
    for (uint32_t i = 0; i < 2; i++) {
        char text[1020] = "";
        memset(text, 'k', table[i].letters);
        uint8_t out[TG_KEY_BYTES_MAX];
        const struct cell cell = TEXT(text);
        build(&cell, 1);
        const uint32_t bytes = tg_key_encode(&spec, row, out, sizeof out);
        cr_assert_eq(bytes, table[i].letters + 5);
        cr_assert_eq(tg_key_hash(out, bytes), table[i].hash);
    }
}

Test(key, a_key_fits_its_length_exactly_and_not_a_byte_less)
{
    for (uint32_t i = 0; i < VECTOR_COUNT; i++) {
        const uint32_t bytes = (uint32_t)strlen(vectors[i].hex) / 2;
        build(vectors[i].cells, cell_count(&vectors[i]));
        for (uint32_t capacity = 0; capacity < bytes + 3; capacity++) {
            uint8_t out[TG_KEY_BYTES_MAX];
            memset(out, 0xEE, sizeof out);
            cr_assert_eq(tg_key_encode(&spec, row, out, capacity), capacity < bytes ? 0 : bytes, "vector %u in %u", i,
                         capacity);
            for (uint32_t k = capacity; k < sizeof out; k++) { cr_assert_eq(out[k], 0xEE, "wrote past the capacity"); }
        }
    }
}

Test(key, a_text_longer_than_32_bits_of_room_is_refused)
{
    uint8_t out[64];
    const struct cell cell = TEXT("x");
    build(&cell, 1);
    ((tg_text *)tg_row_value(&schema, row, 0))->bytes = UINT32_MAX;
    cr_assert_eq(tg_key_encode(&spec, row, out, sizeof out), 0);
}

Test(key, an_empty_text_may_be_a_null_pointer)
{
    uint8_t out[64];
    const struct cell cell = TEXT(NULL);
    build(&cell, 1);
    cr_assert_eq(tg_key_encode(&spec, row, out, sizeof out), 5);
}

Test(key, shards_cover_all_groups_evenly_and_in_order)
{
    for (uint32_t shards = 1; shards <= TG_SHARDS_MAX; shards++) {
        uint32_t counts[TG_SHARDS_MAX] = {0};
        uint32_t last = 0;
        for (uint64_t group = 0; group < TG_KEY_GROUP_COUNT; group++) {
            const uint64_t hash = group << 54 | ((UINT64_C(1) << 54) - 1);
            const uint32_t shard = tg_key_shard(hash, shards);
            cr_assert_lt(shard, shards);
            cr_assert(shard == last || shard == last + 1);
            last = shard;
            counts[shard]++;
        }
        for (uint32_t i = 0; i < shards; i++) { cr_assert_leq(counts[i] - TG_KEY_GROUP_COUNT / shards, 1); }
    }
}

static struct cell random_cell(struct tg_prng *prng, char text[32])
{
    struct cell cell = {.type = (enum tg_type)(1 + tg_prng_below(prng, TG_TYPE_JSON)),
                        .null = tg_prng_below(prng, 5) == 0};
    const uint32_t letters = tg_prng_below(prng, 31);
    for (uint32_t i = 0; i < letters; i++) { text[i] = (char)('a' + tg_prng_below(prng, 3)); }
    text[letters] = '\0';
    cell.text = text;
    cell.number = (int64_t)tg_prng_next(prng) >> tg_prng_below(prng, 64);
    return cell;
}

static bool same(const struct cell *a, uint32_t column, const void *other_row, const struct tg_schema *other,
                 uint32_t target)
{
    const void *left = tg_row_value(&schema, row, column);
    const void *right = tg_row_value(other, other_row, target);
    if (a->null || tg_row_is_null(other, other_row, target)) {
        return a->null == tg_row_is_null(other, other_row, target);
    }
    if (a->type != TG_TYPE_TEXT && a->type != TG_TYPE_JSON) { return memcmp(left, right, tg_type_bytes(a->type)) == 0; }
    const tg_text *x = left;
    const tg_text *y = right;
    return x->bytes == y->bytes && memcmp(x->data, y->data, x->bytes) == 0;
}

Test(key, random_keys_decode_to_what_was_encoded)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    for (uint32_t round = 0; round < 20000; round++) {
        enum { COLUMNS = 6 };
        const uint32_t count = 1 + tg_prng_below(&prng, COLUMNS);
        struct cell cells[COLUMNS];
        char texts[COLUMNS][32];
        uint8_t out[TG_KEY_BYTES_MAX];
        for (uint32_t i = 0; i < count; i++) { cells[i] = random_cell(&prng, texts[i]); }
        build(cells, count);
        const uint32_t bytes = tg_key_encode(&spec, row, out, sizeof out);
        cr_assert_gt(bytes, 0);
        /* The target row holds a column of its own behind the key's. */
        struct tg_schema target = {.name = "target", .column_count = count + 1};
        for (uint32_t i = 0; i < count; i++) { target.columns[i] = schema.columns[i]; }
        target.columns[count] = (struct tg_column){.name = "own", .type = TG_TYPE_BOOLEAN};
        tg_schema_layout(&target);
        uint8_t decoded[ROW_BYTES] __attribute__((aligned(16)));
        memset(decoded, 0x3C, sizeof decoded);
        for (uint32_t i = 0; i <= count; i++) { tg_row_set_null(&target, decoded, i, false); }
        tg_key_decode(&spec, (struct tg_key){out, bytes}, &target, decoded);
        for (uint32_t i = 0; i < count; i++) {
            cr_assert(same(&cells[i], i, decoded, &target, i), "seed %" PRIu64 " round %u column %u", seed,
                      round, i);
        }
    }
}
