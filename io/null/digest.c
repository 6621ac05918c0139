/* The digest. A row's text is never put together: text columns are hashed where they lie, runs of other columns are
 * rendered into a small buffer per row, and four rows go through the hash side by side (the "lanes"). */
#include "io/null/digest.h"

#include <string.h>

#include "base/assert.h"
#include "io/value_text.h"

enum { LANES = 4, RUN_BYTES = TG_DIGEST_RUN_MAX * (TG_VALUE_TEXT_BYTES + 1) + 8 };

static const uint64_t FNV_OFFSET = 0xcbf29ce484222325u;
static const uint64_t FNV_PRIME = 0x100000001b3u;
static const uint64_t TRUE_WORD = 0x65757274;    /* "true", first character lowest */
static const uint64_t FALSE_WORD = 0x65736c6166; /* "false" */

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

/* Decimal text of n < 10^8; writes up to 8 bytes, returns where it ends. Small counts are common: a branch. */
static inline char *put_below_1e8(char *out, uint32_t n)
{
    if (n < 100) {
        const uint32_t one = n < 10;
        const uint16_t pair = (uint16_t)(('0' + n / 10) | ('0' + n % 10) << 8);
        const uint16_t text = (uint16_t)(pair >> (8 * one));
        memcpy(out, &text, sizeof text);
        return out + 2 - one;
    }
    const uint64_t digits = digits8(n);
    const uint32_t zeros = (uint32_t)__builtin_ctzll(digits | 1ull << 56) >> 3; /* leading; the last digit stays */
    const uint64_t text = (digits | 0x3030303030303030u) >> (8 * zeros);
    memcpy(out, &text, sizeof text);
    return out + 8 - zeros;
}

/* Exactly eight digits. */
static inline char *put_8(char *out, uint32_t n)
{
    const uint64_t text = digits8(n) | 0x3030303030303030u;
    memcpy(out, &text, sizeof text);
    return out + 8;
}

/* Decimal text; returns where it ends. */
static inline char *put_u64(struct tg_digest *digest, char *out, uint64_t value)
{
    enum { E8 = 100000000 };
    if (value < E8) { return put_below_1e8(out, (uint32_t)value); }
    if (value < (uint64_t)E8 * E8) {
        const uint64_t high = value / E8;
        if (TG_UNLIKELY(high != digest->high)) {
            char text[8] = {0};
            digest->high = high;
            digest->high_bytes = (uint32_t)(put_below_1e8(text, (uint32_t)high) - text);
            memcpy(&digest->high_text, text, sizeof text);
        }
        memcpy(out, &digest->high_text, sizeof digest->high_text);
        return put_8(out + digest->high_bytes, (uint32_t)(value - high * E8));
    }
    const uint64_t low = value % ((uint64_t)E8 * E8);
    out = put_below_1e8(out, (uint32_t)(value / ((uint64_t)E8 * E8)));
    return put_8(put_8(out, (uint32_t)(low / E8)), (uint32_t)(low % E8));
}

static inline char *put_i64(struct tg_digest *digest, char *out, int64_t value)
{
    *out = '-';
    return put_u64(digest, out + (value < 0), value < 0 ? -(uint64_t)value : (uint64_t)value);
}

static inline int64_t floor_ms(tg_ts ts) { return ts / 1000 - (ts % 1000 < 0); }

static char *put_other(char *out, const struct tg_column *column, const void *value)
{
    char scratch[TG_VALUE_TEXT_BYTES];
    const tg_text text = tg_value_text(column, value, scratch);
    memcpy(out, text.data, text.bytes);
    return out + text.bytes;
}

/* Render a run; returns its length. */
static inline uint32_t run_put(struct tg_digest *digest, const struct tg_digest_step *step, const uint8_t *row,
                               char *out)
{
    const struct tg_schema *schema = digest->schema;
    char *at = out;
    *at = ',';
    at += step->comma;
    for (uint32_t i = 0; i < step->count; i++) {
        const struct tg_column *column = &schema->columns[step->columns[i]];
        const void *value = row + column->offset;
        if (i != 0) { *at++ = ','; }
        if (TG_UNLIKELY(tg_row_is_null(schema, row, step->columns[i]))) {
            memcpy(at, "null", 4);
            at += 4;
            continue;
        }
        switch (column->type) {
        case TG_TYPE_BIGINT: at = put_i64(digest, at, *(const int64_t *)value); break;
        case TG_TYPE_INTEGER: at = put_i64(digest, at, *(const int32_t *)value); break;
        case TG_TYPE_TIMESTAMP: at = put_i64(digest, at, floor_ms(*(const tg_ts *)value)); break;
        case TG_TYPE_BOOLEAN: {
            const uint64_t yes = *(const bool *)value;
            const uint64_t word = FALSE_WORD ^ ((FALSE_WORD ^ TRUE_WORD) & -yes); /* no branch on data */
            memcpy(at, &word, sizeof word);
            at += 5 - yes;
            break;
        }
        default: at = put_other(at, column, value); break;
        }
    }
    *at = ',';
    return (uint32_t)(at - out) + step->comma_behind;
}

static inline struct lane text_lane(const struct tg_schema *schema, uint32_t index, const uint8_t *row)
{
    const struct tg_column *column = &schema->columns[index];
    const void *value = row + column->offset;
    if (TG_UNLIKELY(tg_row_is_null(schema, row, index))) { return (struct lane){(const uint8_t *)"null", 4}; }
    if (column->type == TG_TYPE_ENUM) {
        const char *name = column->enum_values[*(const int32_t *)value];
        return (struct lane){(const uint8_t *)name, (uint32_t)strlen(name)};
    }
    const tg_text *text = value;
    return (struct lane){(const uint8_t *)(text->bytes != 0 ? text->data : ""), text->bytes};
}

static inline uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }
static inline uint32_t max_u32(uint32_t a, uint32_t b) { return a > b ? a : b; }

/* One byte of a lane if it has one at `i`. A mask, not a branch: lengths differ from row to row as they like. */
static inline uint64_t fnv_if(uint64_t hash, struct lane lane, uint32_t i)
{
    const uint64_t has = -(uint64_t)(i < lane.bytes);
    const uint64_t next = (hash ^ lane.data[i & has]) * FNV_PRIME;
    return hash ^ ((hash ^ next) & has);
}

/* Four chains in step as far as all four reach, then on to the end of the longest. */
static inline void fnv_lanes(uint64_t hashes[LANES], const struct lane lanes[LANES])
{
    uint64_t a = hashes[0];
    uint64_t b = hashes[1];
    uint64_t c = hashes[2];
    uint64_t d = hashes[3];
    const uint32_t common = min_u32(min_u32(lanes[0].bytes, lanes[1].bytes), min_u32(lanes[2].bytes, lanes[3].bytes));
    const uint32_t longest = max_u32(max_u32(lanes[0].bytes, lanes[1].bytes), max_u32(lanes[2].bytes, lanes[3].bytes));
    for (uint32_t i = 0; i < common; i++) {
        a = (a ^ lanes[0].data[i]) * FNV_PRIME;
        b = (b ^ lanes[1].data[i]) * FNV_PRIME;
        c = (c ^ lanes[2].data[i]) * FNV_PRIME;
        d = (d ^ lanes[3].data[i]) * FNV_PRIME;
    }
    for (uint32_t i = common; i < longest; i++) {
        a = fnv_if(a, lanes[0], i);
        b = fnv_if(b, lanes[1], i);
        c = fnv_if(c, lanes[2], i);
        d = fnv_if(d, lanes[3], i);
    }
    hashes[0] = a;
    hashes[1] = b;
    hashes[2] = c;
    hashes[3] = d;
}

static bool is_text(enum tg_type type) { return type == TG_TYPE_TEXT || type == TG_TYPE_JSON || type == TG_TYPE_ENUM; }

void tg_digest_init(struct tg_digest *digest, const struct tg_schema *schema, int core_column)
{
    *digest = (struct tg_digest){.schema = schema, .core_column = core_column, .high = UINT64_MAX};
    struct tg_digest_step *last = NULL;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const bool text = is_text(schema->columns[i].type);
        if (text && last != NULL && last->is_text) { /* a run without columns: only the comma */
            digest->steps[digest->step_count++] = (struct tg_digest_step){.comma = true};
        } else if (text && last != NULL) {
            last->comma_behind = true;
        }
        if (text || last == NULL || last->is_text || last->count == TG_DIGEST_RUN_MAX) {
            last = &digest->steps[digest->step_count++];
            *last = (struct tg_digest_step){.is_text = text, .comma = !text && i != 0};
        }
        last->columns[last->count++] = (uint8_t)i;
    }
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
static inline void hashes_add(struct tg_digest *digest, const uint8_t *const rows[LANES], const uint64_t hashes[LANES],
                              uint32_t count)
{
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

/* Hash `count` rows, 1 to LANES; the lanes of missing ones repeat the first. */
static inline void rows_add(struct tg_digest *digest, const uint8_t *const rows[LANES], uint32_t count)
{
    char runs[LANES][RUN_BYTES];
    struct lane lanes[LANES];
    uint64_t hashes[LANES] = {FNV_OFFSET, FNV_OFFSET, FNV_OFFSET, FNV_OFFSET};
    for (uint32_t i = 0; i < digest->step_count; i++) {
        const struct tg_digest_step *step = &digest->steps[i];
        for (uint32_t lane = 0; lane < LANES; lane++) {
            if (step->is_text) {
                lanes[lane] = text_lane(digest->schema, step->columns[0], rows[lane]);
            } else {
                lanes[lane].bytes = run_put(digest, step, rows[lane], runs[lane]);
                lanes[lane].data = (const uint8_t *)runs[lane];
            }
        }
        fnv_lanes(hashes, lanes);
    }
    hashes_add(digest, rows, hashes, count);
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
