/* The digest. A row's text is never put together: column after column, what it adds to the text goes into the hashes of
 * four rows side by side (the "lanes"). FNV is one chain of multiplications per row, so a single row would leave the
 * multiplier idle three cycles out of four.
 *
 * Phrases. One step of FNV-1a is h = (h ^ byte) x PRIME. The exclusive or changes the lowest byte l of h and nothing
 * else: it adds (l ^ byte) - l. The step therefore is h x PRIME + f(l), and the lowest byte of its result depends on l
 * alone. So do k steps with constant bytes: h x PRIME^k + F(l), with one table of 256 sums per text. Hashing a boolean
 * or the leading digits of a timestamp costs one multiplication that way. */
#include "io/null/digest.h"

#include <string.h>

#include "base/assert.h"
#include "io/value_text.h"

enum { LANES = 4, CELL_BYTES = TG_VALUE_TEXT_BYTES + 1, HEAD_SEEN = 16 };

static const uint64_t FNV_OFFSET = 0xcbf29ce484222325u;
static const uint64_t FNV_PRIME = 0x100000001b3u;
static const uint64_t E8 = 100000000;

struct lane {
    const uint8_t *data;
    uint32_t bytes;
};

static uint64_t fmix64(uint64_t k)
{
    k ^= k >> 33;
    k *= 0xff51afd7ed558ccdu;
    k ^= k >> 33;
    k *= 0xc4ceb9fe1a85ec53u;
    return k ^ (k >> 33);
}

static inline uint64_t fnv(uint64_t hash, uint8_t byte) { return (hash ^ byte) * FNV_PRIME; }

/* ---- phrases ----------------------------------------------------------------------------------------------------- */

static void phrase_make(struct tg_digest_phrase *phrase, const char *text, uint32_t bytes)
{
    phrase->power = 1;
    for (uint32_t i = 0; i < bytes; i++) { phrase->power *= FNV_PRIME; }
    for (uint64_t low = 0; low < 256; low++) {
        uint64_t hash = low;
        for (uint32_t i = 0; i < bytes; i++) { hash = fnv(hash, (uint8_t)text[i]); }
        phrase->add[low] = hash - low * phrase->power;
    }
}

static inline uint64_t phrase_hash(const struct tg_digest_phrase *phrase, uint64_t hash)
{
    return hash * phrase->power + phrase->add[hash & 0xFF];
}

/* ---- digits ------------------------------------------------------------------------------------------------------ */

/* The eight digits of n < 10^8 as digit values, first one in the lowest byte: halves, quarters, eighths, all at
 * once. */
static inline uint64_t digits8(uint32_t n)
{
    uint64_t word = n / 10000 | (uint64_t)(n % 10000) << 32;
    const uint64_t hundreds = ((word * 10486) >> 20) & 0x0000007F0000007Fu; /* / 100, exact below 10^4 */
    word = hundreds | (word - hundreds * 100) << 16;
    const uint64_t tens = ((word * 103) >> 10) & 0x000F000F000F000Fu; /* / 10, exact below 100 */
    return tens | (word - tens * 10) << 8;
}

static inline uint64_t text8(uint32_t n) { return digits8(n) | 0x3030303030303030u; }

/* Decimal text of any number; returns where it ends. */
static char *put_u64(char *out, uint64_t value)
{
    char text[24];
    uint32_t at = sizeof text;
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    memcpy(out, text + at, sizeof text - at);
    return out + sizeof text - at;
}

static char *put_i64(char *out, int64_t value)
{
    *out = '-';
    return put_u64(out + (value < 0), value < 0 ? -(uint64_t)value : (uint64_t)value);
}

/* ---- columns of four rows ---------------------------------------------------------------------------------------- */

/* One value of each of the four rows. Members and not an array, so that they live in registers. */
struct quad {
    uint64_t a, b, c, d;
};

static inline uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }
static inline uint32_t max_u32(uint32_t a, uint32_t b) { return a > b ? a : b; }
static inline uint64_t max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }
static inline uint64_t max_of(struct quad q) { return max_u64(max_u64(q.a, q.b), max_u64(q.c, q.d)); }

static inline struct quad fnv_comma(struct quad hash)
{
    return (struct quad){fnv(hash.a, ','), fnv(hash.b, ','), fnv(hash.c, ','), fnv(hash.d, ',')};
}

/* The hash with one more byte where `has`. A mask, not a branch: lengths differ from row to row as they like. */
static inline uint64_t fnv_if(uint64_t hash, bool has, uint8_t byte)
{
    const uint64_t mask = -(uint64_t)has;
    return hash ^ ((hash ^ fnv(hash, byte)) & mask);
}

/* Byte `i` of a lane; any byte of it behind its end. */
static inline uint64_t lane_step(uint64_t hash, struct lane lane, uint32_t i)
{
    const bool has = i < lane.bytes;
    return fnv_if(hash, has, lane.data[has ? i : 0]);
}

/* Four texts in step as far as all four reach, then on to the end of the longest. Always in line: hashes handed over in
 * memory would cost more than a text. */
__attribute__((always_inline)) static inline struct quad fnv_lanes(struct quad hash, const struct lane lanes[LANES])
{
    const uint32_t common = min_u32(min_u32(lanes[0].bytes, lanes[1].bytes), min_u32(lanes[2].bytes, lanes[3].bytes));
    const uint32_t longest = max_u32(max_u32(lanes[0].bytes, lanes[1].bytes), max_u32(lanes[2].bytes, lanes[3].bytes));
    for (uint32_t i = 0; i < common; i++) {
        hash.a = fnv(hash.a, lanes[0].data[i]);
        hash.b = fnv(hash.b, lanes[1].data[i]);
        hash.c = fnv(hash.c, lanes[2].data[i]);
        hash.d = fnv(hash.d, lanes[3].data[i]);
    }
    for (uint32_t i = common; i < longest; i++) {
        hash.a = lane_step(hash.a, lanes[0], i);
        hash.b = lane_step(hash.b, lanes[1], i);
        hash.c = lane_step(hash.c, lanes[2], i);
        hash.d = lane_step(hash.d, lanes[3], i);
    }
    return hash;
}

static inline int64_t floor_ms(tg_ts ts) { return ts / 1000 - (ts % 1000 < 0); }

static inline int64_t number_at(const struct tg_digest_step *step, const uint8_t *row)
{
    const void *value = row + step->offset;
    switch (step->type) {
    case TG_TYPE_INTEGER: return *(const int32_t *)value;
    case TG_TYPE_TIMESTAMP: return floor_ms(*(const tg_ts *)value);
    default: return *(const int64_t *)value;
    }
}

/* Any value as text: in `cell`, or where it lies. */
static struct lane cell_lane(const struct tg_schema *schema, const struct tg_digest_step *step, const uint8_t *row,
                             char cell[CELL_BYTES])
{
    if (TG_UNLIKELY(tg_row_is_null(schema, row, step->index))) { return (struct lane){(const uint8_t *)"null", 4}; }
    if (step->kind == TG_DIGEST_NUMBER) {
        return (struct lane){(uint8_t *)cell, (uint32_t)(put_i64(cell, number_at(step, row)) - cell)};
    }
    const tg_text text = tg_value_text(&schema->columns[step->index], row + step->offset, cell);
    return (struct lane){(const uint8_t *)(text.bytes != 0 ? text.data : ""), text.bytes};
}

/* Any column, the slow way. */
__attribute__((noinline)) static struct quad add_cells(const struct tg_schema *schema,
                                                       const struct tg_digest_step *step,
                                                       const uint8_t *const rows[LANES], struct quad hash)
{
    char cells[LANES][CELL_BYTES];
    struct lane lanes[LANES];
    for (uint32_t lane = 0; lane < LANES; lane++) { lanes[lane] = cell_lane(schema, step, rows[lane], cells[lane]); }
    return fnv_lanes(step->index != 0 ? fnv_comma(hash) : hash, lanes);
}

static inline struct quad add_texts(const struct tg_digest_step *step, const uint8_t *const rows[LANES],
                                    struct quad hash)
{
    struct lane lanes[LANES];
    for (uint32_t lane = 0; lane < LANES; lane++) {
        const tg_text *text = (const tg_text *)(const void *)(rows[lane] + step->offset);
        lanes[lane] = (struct lane){(const uint8_t *)(text->bytes != 0 ? text->data : ""), text->bytes};
    }
    return fnv_lanes(step->index != 0 ? fnv_comma(hash) : hash, lanes);
}

static inline struct quad add_booleans(const struct tg_digest *digest, uint32_t offset,
                                       const uint8_t *const rows[LANES], struct quad hash)
{
    return (struct quad){
        phrase_hash(&digest->booleans[*(const bool *)(rows[0] + offset)], hash.a),
        phrase_hash(&digest->booleans[*(const bool *)(rows[1] + offset)], hash.b),
        phrase_hash(&digest->booleans[*(const bool *)(rows[2] + offset)], hash.c),
        phrase_hash(&digest->booleans[*(const bool *)(rows[3] + offset)], hash.d),
    };
}

/* Numbers of one or two digits: the first one, if there are two, then the last one. */
static inline uint64_t add_below_100(uint64_t hash, uint64_t value)
{
    hash = fnv_if(hash, value >= 10, (uint8_t)('0' + value / 10));
    return fnv(hash, (uint8_t)('0' + value % 10));
}

/* Numbers that share their leading digits: those, then the last eight. */
static inline struct quad add_behind_head(const struct tg_digest_phrase *head, struct quad below, struct quad hash)
{
    struct quad text = {text8((uint32_t)below.a), text8((uint32_t)below.b), text8((uint32_t)below.c),
                        text8((uint32_t)below.d)};
    hash = (struct quad){phrase_hash(head, hash.a), phrase_hash(head, hash.b), phrase_hash(head, hash.c),
                         phrase_hash(head, hash.d)};
    for (uint32_t i = 0; i < 8; i++) {
        hash = (struct quad){fnv(hash.a, (uint8_t)text.a), fnv(hash.b, (uint8_t)text.b), fnv(hash.c, (uint8_t)text.c),
                             fnv(hash.d, (uint8_t)text.d)};
        text = (struct quad){text.a >> 8, text.b >> 8, text.c >> 8, text.d >> 8};
    }
    return hash;
}

/* Numbers that do not begin as the head says. Only when others have come for a while a new phrase is worth its 256
 * sums. */
static TG_COLD void head_miss(struct tg_digest_head *head, uint64_t value)
{
    const uint64_t base = value - value % E8;
    head->next_seen = base == head->next ? head->next_seen + 1 : 1;
    head->next = base;
    if (head->next_seen < HEAD_SEEN || base == 0 || base >= E8 * E8) { return; }
    char text[CELL_BYTES] = {','};
    phrase_make(&head->phrase, text, (uint32_t)(put_u64(text + 1, base / E8) - text));
    head->base = base;
    head->next_seen = 0;
}

static inline struct quad add_numbers(const struct tg_schema *schema, const struct tg_digest_step *step,
                                      const uint8_t *const rows[LANES], struct quad hash)
{
    /* negative ones become larger than any */
    const struct quad value = {(uint64_t)number_at(step, rows[0]), (uint64_t)number_at(step, rows[1]),
                               (uint64_t)number_at(step, rows[2]), (uint64_t)number_at(step, rows[3])};
    if (max_of(value) < 100) {
        hash = fnv_comma(hash);
        return (struct quad){add_below_100(hash.a, value.a), add_below_100(hash.b, value.b),
                             add_below_100(hash.c, value.c), add_below_100(hash.d, value.d)};
    }
    struct tg_digest_head *head = step->head;
    const struct quad below = {value.a - head->base, value.b - head->base, value.c - head->base, value.d - head->base};
    if (TG_LIKELY(head->base != 0 && max_of(below) < E8)) { return add_behind_head(&head->phrase, below, hash); }
    head_miss(head, value.a);
    return add_cells(schema, step, rows, hash);
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static enum tg_digest_kind kind_of(enum tg_type type)
{
    switch (type) {
    case TG_TYPE_TEXT:
    case TG_TYPE_JSON: return TG_DIGEST_TEXT;
    case TG_TYPE_BIGINT:
    case TG_TYPE_INTEGER:
    case TG_TYPE_TIMESTAMP: return TG_DIGEST_NUMBER;
    case TG_TYPE_BOOLEAN: return TG_DIGEST_BOOLEAN;
    case TG_TYPE_DATE:
    case TG_TYPE_NUMERIC:
    case TG_TYPE_ENUM: break;
    }
    return TG_DIGEST_OTHER;
}

void tg_digest_init(struct tg_digest *digest, const struct tg_schema *schema, int core_column)
{
    *digest = (struct tg_digest){.schema = schema, .core_column = core_column};
    uint32_t heads = 0;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        struct tg_digest_step *step = &digest->steps[i];
        const enum tg_type type = schema->columns[i].type;
        *step = (struct tg_digest_step){
            .kind = kind_of(type), .type = type, .index = i, .offset = schema->columns[i].offset};
        if (step->kind == TG_DIGEST_NUMBER && i != 0 && heads < TG_DIGEST_HEADS) {
            step->head = &digest->heads[heads++];
        }
        step->plain = step->kind == TG_DIGEST_TEXT || step->head != NULL || (step->kind == TG_DIGEST_BOOLEAN && i != 0);
    }
    phrase_make(&digest->booleans[0], ",false", 6);
    phrase_make(&digest->booleans[1], ",true", 5);
}

/* All ones when the row is a core row. */
static inline uint64_t core_mask(const struct tg_digest *digest, const uint8_t *row)
{
    if (digest->core_column < 0) { return 0; }
    const struct tg_schema *schema = digest->schema;
    const uint32_t index = (uint32_t)digest->core_column;
    return -(uint64_t)(!tg_row_is_null(schema, row, index) & !*(const bool *)(row + schema->columns[index].offset));
}

/* Count the hashes of finished rows. */
static inline void hashes_add(struct tg_digest *digest, const uint8_t *const rows[LANES], struct quad hash,
                              uint32_t count)
{
    const uint64_t hashes[LANES] = {hash.a, hash.b, hash.c, hash.d};
    uint64_t sum = 0;
    uint64_t sum_core = 0;
    uint64_t not_core = 0;
    for (uint32_t lane = 0; lane < count; lane++) {
        const uint64_t mixed = fmix64(hashes[lane]);
        const uint64_t core = core_mask(digest, rows[lane]);
        sum += mixed;
        sum_core += mixed & core;
        not_core += core + 1;
    }
    digest->rows += count;
    digest->sum += sum;
    digest->sum_core += sum_core;
    digest->rows_core += count - not_core;
}

/* True when some column of some row is null. */
static inline bool any_null(const struct tg_schema *schema, const uint8_t *const rows[LANES])
{
    uint8_t nulls = 0;
    for (uint32_t i = 0; i < (schema->column_count + 7) / 8; i++) {
        for (uint32_t lane = 0; lane < LANES; lane++) { nulls |= rows[lane][schema->nulls_offset + i]; }
    }
    return nulls != 0;
}

/* Hash `count` rows, 1 to LANES; the lanes of missing ones repeat the first. */
static inline void rows_add(struct tg_digest *digest, const uint8_t *const rows[LANES], uint32_t count)
{
    const struct tg_schema *schema = digest->schema;
    const bool nulls = any_null(schema, rows);
    struct quad hash = {FNV_OFFSET, FNV_OFFSET, FNV_OFFSET, FNV_OFFSET};
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const struct tg_digest_step *step = &digest->steps[i];
        if (TG_UNLIKELY(nulls || !step->plain)) {
            hash = add_cells(schema, step, rows, hash);
            continue;
        }
        switch (step->kind) {
        case TG_DIGEST_TEXT: hash = add_texts(step, rows, hash); break;
        case TG_DIGEST_NUMBER: hash = add_numbers(schema, step, rows, hash); break;
        case TG_DIGEST_BOOLEAN: hash = add_booleans(digest, step->offset, rows, hash); break;
        case TG_DIGEST_OTHER: break; /* never plain */
        }
    }
    hashes_add(digest, rows, hash, count);
}

void tg_digest_add(struct tg_digest *digest, const struct tg_batch *batch, uint32_t from)
{
    const uint32_t stride = digest->schema->row_bytes;
    for (uint32_t row = from; row < batch->count; row += LANES) {
        const uint8_t *first = batch->rows + (size_t)row * stride;
        const uint32_t count = batch->count - row < LANES ? batch->count - row : LANES;
        const uint8_t *rows[LANES];
        for (uint32_t lane = 0; lane < LANES; lane++) {
            rows[lane] = first + (lane < count ? (size_t)lane * stride : 0);
        }
        rows_add(digest, rows, count);
    }
}
