/* Made-up records: the bytes behind the generate source, `turgo gen` and the benchmarks. A record is a function of the
 * configuration, the partition and its index alone, so that any run can be repeated; the only clock it knows is the
 * schedule (start + index / rate). Who sends the records, and when, is somebody else's business.
 *
 * Kinds
 *   tx            {"userId":"user_7","transactionTimestamp":"2026-01-01T00:00:00.000Z"[,"transactionId":"t17"]}
 *                 Users are dealt to partitions (user u lives in partition u mod partitions), so a job may rely on
 *                 partitioned_by. Faults are mixed in by share: late, malformed, duplicate.
 *   bench_tx      the benchmark's transactions: 100,000 users, event time spread evenly over `span`
 *   bench_clicks  the benchmark's clicks: 200,000 users, about 302 bytes each
 * The bench kinds are one sequence over all partitions; a partition holds the records whose key it owns by Kafka's
 * murmur2, exactly as if they had been produced to a topic. */
#ifndef TG_IO_GENERATE_GENERATE_H
#define TG_IO_GENERATE_GENERATE_H

#include "base/prng.h"
#include "base/types.h"

enum tg_generate_kind { TG_GENERATE_TX, TG_GENERATE_BENCH_TX, TG_GENERATE_BENCH_CLICKS };
/* Their names as an option's choices, in this order. */
#define TG_GENERATE_KINDS "tx|bench_tx|bench_clicks"

enum {
    TG_GENERATE_BYTES_MAX = 4096, /* longest record of any kind */
    TG_GENERATE_KEY_BYTES_MAX = 32,
    TG_GENERATE_PACE = 1000000, /* records a second of event time where no rate is given */
    TG_GENERATE_RECENT = 64,    /* a duplicate repeats one of this many records before it */
};
#define TG_GENERATE_BENCH_START 1767225600000000LL /* 2026-01-01T00:00:00Z: where the bench kinds begin */

struct tg_generate_config {
    enum tg_generate_kind kind;
    uint32_t partitions; /* >= 1; tx: at most `keys` */
    uint64_t seed;
    uint64_t count; /* records over all partitions; 0 = endless (tx only) */
    uint64_t rate;  /* records a second of the schedule, over all partitions; 0 = TG_GENERATE_PACE, bench: none */
    tg_ts start;    /* the schedule's instant of record 0; tx: its event time too */
    /* tx */
    uint32_t keys; /* different users, >= 1 */
    bool ids;      /* write transactionId */
    double skew;   /* Zipf exponent over the users of a partition; 0 = uniform */
    tg_us disorder;         /* event time is up to this much before the schedule, uniformly */
    uint32_t late_ppm;      /* share, parts per million, 6 to 16 min further back */
    uint32_t malformed_ppm; /* share that no schema accepts, of every kind in turn of chance */
    uint32_t duplicate_ppm; /* share that repeats an earlier record; only of use with `ids` */
    /* bench kinds */
    tg_us span;   /* event time from the first to the last record */
    tg_us jitter; /* event time is up to this much before its even place */
};

/* Kafka's partition of a key: murmur2 as the Java client has it.  @any */
uint32_t tg_generate_partition(const char *key, uint32_t bytes, uint32_t partitions);

/* Constants of the Zipf sampler, see zipf_draw. */
struct tg_zipf {
    double integral_first;
    double integral_last;
    double shortcut;
};

/* One partition's sequence. Fields are private. */
struct tg_generator {
    struct tg_generate_config config;
    uint32_t partition;
    uint32_t user_count; /* tx: users of this partition */
    uint64_t count;      /* tx: records of this partition; bench: of all */
    uint64_t index;      /* tx: next record of this partition; bench: next one to draw */
    struct tg_zipf zipf;
    struct tg_prng prng; /* bench kinds: one stream over all records */
    int64_t second;      /* whose text is in second_text */
    char second_text[20];
};

struct tg_generated {
    tg_ts due; /* a timestamp for the record itself: tx by the schedule, bench kinds their event time */
    uint32_t bytes;
    uint32_t key_bytes;
    uint32_t fault; /* 0 = a plain record; TG_GENERATE_LATE and up */
    char key[TG_GENERATE_KEY_BYTES_MAX];
};
enum { TG_GENERATE_LATE = 1, TG_GENERATE_MALFORMED, TG_GENERATE_DUPLICATE };

/* Stand before the first record of `partition`. Asserts what the config's comments demand.  @any */
void tg_generator_init(struct tg_generator *generator, const struct tg_generate_config *config, uint32_t partition);

/* tx: stand before record `index` of the partition, or at its end. Bench kinds draw from one stream and have to be read
 * up to there.  @any */
void tg_generator_seek(struct tg_generator *generator, uint64_t index);

/* When the next record is due by the schedule; TG_TS_MAX at the end, TG_TS_MIN for bench kinds without a rate.  @any */
tg_ts tg_generator_due(const struct tg_generator *generator);

/* Write the next record, without a line end, to out[TG_GENERATE_BYTES_MAX] and say what it is in *info. False at the
 * end. Cost: 40 to 150 ns; bench kinds pay about 15 ns for each record of another partition that is passed over.
 * @any */
bool tg_generator_next(struct tg_generator *generator, char *out, struct tg_generated *info);

/* Records of this partition still to come; -1 = endless. Bench kinds: an upper bound (those of other partitions are
 * counted too).  @any */
int64_t tg_generator_left(const struct tg_generator *generator);

#endif
