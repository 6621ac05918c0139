/* Latency histogram: log-linear buckets (HdrHistogram's layout: G. Tene), 2^5 sub-buckets for every power of two, from
 * 1 ns to about 36 min with a relative error of at most 1/32. One writer; readers may add up a running histogram and
 * see each counter either before or after an update. */
#ifndef TG_BASE_HISTOGRAM_H
#define TG_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

enum { TG_HISTOGRAM_SUB_BITS = 5, TG_HISTOGRAM_BUCKETS = (41 - TG_HISTOGRAM_SUB_BITS + 1) << TG_HISTOGRAM_SUB_BITS };

struct tg_histogram {
    _Atomic uint64_t counts[TG_HISTOGRAM_BUCKETS];
    _Atomic uint64_t max_ns;
};

/* Add `count` values of `value_ns`; values beyond the range go to the last bucket, max stays exact.  @shard */
void tg_histogram_record(struct tg_histogram *histogram, uint64_t value_ns, uint64_t count);
/* Add the counts of `from` to `into` (owned by the caller).  @any */
void tg_histogram_merge(struct tg_histogram *into, const struct tg_histogram *from);
/* Number of values.  @any */
uint64_t tg_histogram_count(const struct tg_histogram *histogram);
/* Upper bound of the bucket that holds quantile `q` (0 to 1); exact max for 1; 0 when empty.  @any */
uint64_t tg_histogram_quantile_ns(const struct tg_histogram *histogram, double q);
/* Largest recorded value.  @any */
uint64_t tg_histogram_max_ns(const struct tg_histogram *histogram);
/* Text histogram for people, at most `lines` lines with bars, 1-2-5 bounds.  @any */
void tg_histogram_print(const struct tg_histogram *histogram, FILE *out, uint32_t lines);

#endif
