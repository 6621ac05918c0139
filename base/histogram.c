/* Log-linear buckets. Values below 32 have a bucket each; above, every power of two is cut into 32 equal parts, so that
 * a bucket is never wider than 1/32 of its values. */
#include "base/histogram.h"

enum { SUB_COUNT = 1 << TG_HISTOGRAM_SUB_BITS, LAST_BUCKET = TG_HISTOGRAM_BUCKETS - 1, BAR_BYTES = 40 };

/* 1-2-5 bounds from 1 ns to 5000 s, which lies beyond the last bucket. */
enum { ROW_COUNT = 39 };

static uint32_t bucket_index(uint64_t value)
{
    if (value < SUB_COUNT) { return (uint32_t)value; }
    const uint32_t top = 63u - (uint32_t)__builtin_clzll(value); /* at least SUB_BITS */
    const uint32_t shift = top - TG_HISTOGRAM_SUB_BITS;
    const uint32_t index = (shift << TG_HISTOGRAM_SUB_BITS) + (uint32_t)(value >> shift);
    return index < LAST_BUCKET ? index : LAST_BUCKET;
}

/* Largest value of a bucket. */
static uint64_t bucket_upper(uint32_t index)
{
    if (index < 2 * SUB_COUNT) { return index; }
    const uint32_t shift = (index >> TG_HISTOGRAM_SUB_BITS) - 1;
    const uint64_t sub = (index & (SUB_COUNT - 1)) + SUB_COUNT;
    return ((sub + 1) << shift) - 1;
}

static uint64_t load(const _Atomic uint64_t *word) { return atomic_load_explicit(word, memory_order_relaxed); }

static void store(_Atomic uint64_t *word, uint64_t value) { atomic_store_explicit(word, value, memory_order_relaxed); }

void tg_histogram_record(struct tg_histogram *histogram, uint64_t value_ns, uint64_t count)
{
    /* One writer: load and store need not be one atomic step. */
    _Atomic uint64_t *bucket = &histogram->counts[bucket_index(value_ns)];
    store(bucket, load(bucket) + count);
    if (count != 0 && value_ns > load(&histogram->max_ns)) { store(&histogram->max_ns, value_ns); }
}

void tg_histogram_merge(struct tg_histogram *into, const struct tg_histogram *from)
{
    for (uint32_t i = 0; i < TG_HISTOGRAM_BUCKETS; i++) {
        const uint64_t more = load(&from->counts[i]);
        if (more != 0) { store(&into->counts[i], load(&into->counts[i]) + more); }
    }
    const uint64_t max = load(&from->max_ns);
    if (max > load(&into->max_ns)) { store(&into->max_ns, max); }
}

uint64_t tg_histogram_count(const struct tg_histogram *histogram)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < TG_HISTOGRAM_BUCKETS; i++) { count += load(&histogram->counts[i]); }
    return count;
}

uint64_t tg_histogram_quantile_ns(const struct tg_histogram *histogram, double q)
{
    const uint64_t count = tg_histogram_count(histogram);
    const uint64_t max = load(&histogram->max_ns);
    if (count == 0) { return 0; }
    if (q >= 1) { return max; }
    const double exact = q * (double)count;
    uint64_t rank = exact > 0 ? (uint64_t)exact : 0;
    if ((double)rank < exact || rank == 0) { rank++; }
    uint64_t seen = 0;
    for (uint32_t i = 0; i < LAST_BUCKET; i++) {
        seen += load(&histogram->counts[i]);
        if (seen < rank) { continue; }
        const uint64_t upper = bucket_upper(i);
        return upper < max ? upper : max; /* no quantile lies above the maximum */
    }
    return max; /* the last bucket has no upper bound */
}

uint64_t tg_histogram_max_ns(const struct tg_histogram *histogram) { return load(&histogram->max_ns); }

static uint64_t row_bound(uint32_t row)
{
    static const uint64_t steps[3] = {1, 2, 5};
    uint64_t bound = steps[row % 3];
    for (uint32_t i = 0; i < row / 3; i++) { bound *= 10; }
    return bound;
}

/* "20us", "5ms": 1-2-5 bounds are whole in one unit. */
static void bound_print(char out[32], uint64_t ns)
{
    static const char *const names[] = {"ns", "us", "ms", "s"};
    uint32_t unit = 0;
    while (unit < 3 && ns >= 1000) {
        ns /= 1000;
        unit++;
    }
    (void)snprintf(out, 32, "%llu%s", (unsigned long long)ns, names[unit]);
}

/* Counts by 1-2-5 rows; a bucket that straddles a bound goes to the row of its upper end. Returns the total. */
static uint64_t rows_fill(const struct tg_histogram *histogram, uint64_t rows[ROW_COUNT])
{
    uint64_t total = 0;
    uint32_t row = 0;
    for (uint32_t i = 0; i < TG_HISTOGRAM_BUCKETS; i++) {
        while (row < ROW_COUNT - 1 && row_bound(row) < bucket_upper(i)) { row++; }
        const uint64_t count = load(&histogram->counts[i]);
        rows[row] += count;
        total += count;
    }
    return total;
}

void tg_histogram_print(const struct tg_histogram *histogram, FILE *out, uint32_t lines)
{
    uint64_t rows[ROW_COUNT] = {0};
    const uint64_t total = rows_fill(histogram, rows);
    if (total == 0 || lines == 0) { return; }
    uint32_t first = 0;
    uint32_t last = ROW_COUNT - 1;
    while (rows[first] == 0) { first++; }
    while (rows[last] == 0) { last--; }
    const uint32_t step = (last - first) / lines + 1; /* neighbours merged into one line */
    uint64_t most = 0;
    for (uint32_t row = first; row <= last; row += step) {
        uint64_t count = 0;
        for (uint32_t i = row; i < row + step && i <= last; i++) { count += rows[i]; }
        if (count > most) { most = count; }
    }
    static const char bar[BAR_BYTES + 1] = "########################################";
    for (uint32_t row = first; row <= last; row += step) {
        uint64_t count = 0;
        uint32_t end = row;
        for (; end < row + step && end <= last; end++) { count += rows[end]; }
        char bound[32];
        bound_print(bound, row_bound(end - 1));
        const double share = (double)count / (double)total;
        const int bytes = (int)((double)count / (double)most * BAR_BYTES + (count != 0 ? 0.999 : 0));
        (void)fprintf(out, "  <= %6s %12llu %6.2f%%%s%.*s\n", bound, (unsigned long long)count, share * 100,
                      bytes > 0 ? " " : "", bytes < BAR_BYTES ? bytes : BAR_BYTES, bar);
    }
}
