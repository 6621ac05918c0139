/* Keyed state: find-or-create and update in batches of 512, against boost::unordered_flat_map, std::unordered_map and,
 * out of the cache, a prefetched random update of the same bytes without any table (the memory's own speed).
 * The same for all: the rows, one batch made ready at a time as a stage does it, keys packed, and the update of the
 * value; whole hashes are ready beforehand and everyone mixes them once more; what reading the clock costs is taken
 * off. Bias against ourselves: rivals get plain 8-byte keys or texts of fixed size where we get pointers to the
 * engine's encoded ones, their hashes are ready or cheaper than ours, and update each value at once where we hand out a
 * batch of pointers first; their capacity is reserved and their memory on huge pages, which the arena of a table this
 * small is not. perf_table [--smoke | part of a name] */
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <new>
#include <sys/mman.h>
#include <unordered_map>

#include "perf/measure.h"
extern "C" {
#include "base/key.h"
#include "base/prng.h"
#include "state/table.h"
}

namespace {

constexpr uint32_t BATCH = 512; /* rows made ready before the clock starts */

struct value {
    uint64_t count;
    uint64_t sum;
    uint64_t most;
    uint64_t last;
};
void touch(value &v, uint64_t amount)
{
    v.count++;
    v.sum += amount;
    v.most = v.most > amount ? v.most : amount;
    v.last = amount;
}

/* Memory that is never given back, on huge pages: what our arena does, for everyone. */
template <typename T> struct huge_allocator {
    using value_type = T;
    huge_allocator() = default;
    template <typename U> huge_allocator(const huge_allocator<U> &) {}
    static T *allocate(std::size_t n)
    {
        static unsigned char *next = nullptr;
        static std::size_t left = 0;
        const std::size_t bytes = (n * sizeof(T) + 63) & ~std::size_t{63};
        if (bytes > left) {
            const std::size_t chunk =
                bytes > (std::size_t{64} << 20) ? bytes + (std::size_t{2} << 20) : std::size_t{64} << 20;
            void *base =
                mmap(nullptr, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (base == MAP_FAILED) { throw std::bad_alloc(); }
            (void)madvise(base, chunk, MADV_HUGEPAGE);
            next = static_cast<unsigned char *>(base);
            left = chunk;
        }
        T *out = reinterpret_cast<T *>(next);
        next += bytes;
        left -= bytes;
        return out;
    }
    static void deallocate(T *, std::size_t) {}
    template <typename U> bool operator==(const huge_allocator<U> &) const { return true; }
    template <typename U> bool operator!=(const huge_allocator<U> &) const { return false; }
};

/* A text key as a rival would keep it, with its hash at hand. */
struct text_key {
    uint64_t hash;
    char bytes[16];
    bool operator==(const text_key &other) const { return memcmp(bytes, other.bytes, sizeof bytes) == 0; }
};
struct text_hash {
    using is_avalanching = void;
    std::size_t operator()(const text_key &key) const { return key.hash; }
};

template <typename K> struct rivals;
template <> struct rivals<uint64_t> {
    using flat = boost::unordered_flat_map<uint64_t, value, boost::hash<uint64_t>, std::equal_to<uint64_t>,
                                           huge_allocator<std::pair<const uint64_t, value>>>;
    using node = std::unordered_map<uint64_t, value, std::hash<uint64_t>, std::equal_to<uint64_t>,
                                    huge_allocator<std::pair<const uint64_t, value>>>;
};
template <> struct rivals<text_key> {
    using flat = boost::unordered_flat_map<text_key, value, text_hash, std::equal_to<text_key>,
                                           huge_allocator<std::pair<const text_key, value>>>;
    using node = std::unordered_map<text_key, value, text_hash, std::equal_to<text_key>,
                                    huge_allocator<std::pair<const text_key, value>>>;
};

/* Some rows in every contestant's form. */
template <typename K> struct batch {
    K keys[BATCH];
    unsigned char encoded[BATCH * 32];
    uint32_t encoded_bytes;
    tg_key tg_keys[BATCH];
    uint64_t hashes[BATCH];
    uint32_t numbers[BATCH];
};

void encode(uint64_t number, uint64_t &key, unsigned char *out, tg_key &encoded)
{
    key = number * 0x9E3779B97F4A7C15u; /* ids, not a dense range */
    out[0] = 1;
    memcpy(out + 1, &key, 8);
    encoded = tg_key{out, 9};
}
void encode(uint64_t number, text_key &key, unsigned char *out, tg_key &encoded)
{
    memcpy(key.bytes, "user_00000000\0\0", sizeof key.bytes);
    for (uint32_t i = 0; i < 8; i++) { key.bytes[12 - i] = "0123456789abcdef"[number >> (4 * i) & 15]; }
    const uint32_t bytes = 13;
    out[0] = 1;
    memcpy(out + 1, &bytes, 4);
    memcpy(out + 5, key.bytes, bytes);
    encoded = tg_key{out, 5 + bytes};
    key.hash = tg_key_hash(out, 5 + bytes);
}

template <typename K> void fill(batch<K> &b, uint32_t i, uint32_t number)
{
    if (i == 0) { b.encoded_bytes = 0; }
    b.numbers[i] = number;
    encode(number, b.keys[i], b.encoded + b.encoded_bytes, b.tg_keys[i]);
    b.encoded_bytes += b.tg_keys[i].bytes;
    b.hashes[i] = tg_key_hash(b.tg_keys[i].data, b.tg_keys[i].bytes);
}

struct ours_runner {
    tg_table *table;
    template <typename K> void operator()(const batch<K> &b) const
    {
        void *values[BATCH];
        uint64_t fresh[BATCH / 64];
        if (tg_table_upsert(table, BATCH, b.tg_keys, b.hashes, values, fresh) != BATCH) { abort(); }
        for (uint32_t i = 0; i < BATCH; i++) { touch(*static_cast<value *>(values[i]), i); }
    }
};
template <typename M> struct map_runner {
    M *map;
    template <typename K> void operator()(const batch<K> &b) const
    {
        for (uint32_t i = 0; i < BATCH; i++) { touch((*map)[b.keys[i]], i); }
    }
};
/* Each row's place known, nothing but the misses, prefetched at the distance and to the level that were found best.
 * With `index`, a random line of an array as large as our index is read for each row too: what a table of this shape
 * must touch. */
struct gather_runner {
    unsigned char *slots;
    const uint64_t *index;
    uint64_t index_mask;
    template <typename K> void operator()(const batch<K> &b) const
    {
        constexpr uint32_t AHEAD = 64;
        uint64_t sum = 0;
        for (uint32_t i = 0; i < BATCH + AHEAD; i++) {
            if (i < BATCH) {
                __builtin_prefetch(slots + std::size_t{b.numbers[i]} * 64 + 32, 0, 2);
                if (index != nullptr) { __builtin_prefetch(index + (b.hashes[i] & index_mask), 0, 2); }
            }
            if (i >= AHEAD) {
                if (index != nullptr) { sum += index[b.hashes[i - AHEAD] & index_mask]; }
                touch(*reinterpret_cast<value *>(slots + std::size_t{b.numbers[i - AHEAD]} * 64 + 32), i + sum);
            }
        }
    }
};

/* What two readings of the clock take by themselves, at least. */
uint64_t clock_cost_ns()
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < 10000; i++) {
        const uint64_t start = tg_measure_cpu_ns();
        const uint64_t elapsed = tg_measure_cpu_ns() - start;
        if (elapsed < least) { least = elapsed; }
    }
    return least;
}

/* CPU time of `row_count` random rows; the same rows for everyone in the same round. Half as many go before them
 * uncounted: nobody pays for the caches as the one before left them. */
template <typename K, typename R> uint64_t run(const R &runner, uint32_t key_count, uint32_t row_count, uint64_t seed)
{
    static batch<K> b;
    static const uint64_t clock_cost = clock_cost_ns();
    tg_prng prng = {seed};
    uint64_t elapsed = 0;
    const uint32_t warm_count = row_count / 2;
    for (uint32_t done = 0; done < warm_count + row_count; done += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) { fill(b, i, tg_prng_below(&prng, key_count)); }
        const uint64_t start = tg_measure_cpu_ns();
        runner(b);
        if (done >= warm_count) { elapsed += tg_measure_cpu_ns() - start - clock_cost; }
    }
    return elapsed;
}
/* Every key once, so that the rounds meet present keys only. */
template <typename K, typename R> void preload(const R &runner, uint32_t key_count)
{
    static batch<K> b;
    for (uint32_t done = 0; done < key_count; done += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) { fill(b, i, (done + i) % key_count); }
        runner(b);
    }
}

struct shape {
    const char *name;
    uint32_t key_count;
    uint32_t row_count; /* of a round */
    uint32_t rounds;
    double floor_ratio;
    double gather_floor; /* 0 = not compared */
};

/* Equal contents in the end: nobody skipped work. */
template <typename M> void check_same(tg_table *table, M &flat, uint64_t expected)
{
    uint64_t ours = 0;
    uint64_t theirs = 0;
    for (uint32_t n = tg_table_next(table, 0); n != TG_SLOT_NONE; n = tg_table_next(table, n + 1)) {
        ours += static_cast<value *>(tg_table_value(table, n))->sum;
    }
    for (const auto &entry : flat) { theirs += entry.second.sum; }
    if (ours != theirs || tg_table_count(table) != expected || flat.size() != expected) {
        (void)fprintf(stderr, "perf_table: contents differ\n");
        exit(1);
    }
}

template <typename K> int run_shape(const shape &s, bool smoke)
{
    tg_arena arena;
    tg_error err = {};
    tg_heap *heap;
    tg_table *table;
    const tg_table_config config = {s.key_count, 0x9E3779B97F4A7C15u, sizeof(value)};
    if (tg_arena_open(&arena, tg_table_bytes(&config) + tg_heap_bytes(4096), &err) != TG_OK ||
        tg_heap_create(&heap, 4096, &arena, &err) != TG_OK ||
        tg_table_create(&table, &config, heap, &arena, &err) != TG_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    typename rivals<K>::flat flat;
    typename rivals<K>::node node;
    flat.reserve(s.key_count);
    node.reserve(s.key_count);
    const ours_runner by_us = {table};
    const map_runner<typename rivals<K>::flat> by_flat = {&flat};
    const map_runner<typename rivals<K>::node> by_node = {&node};
    preload<K>(by_us, s.key_count);
    preload<K>(by_flat, s.key_count);
    preload<K>(by_node, s.key_count);
    gather_runner by_gather = {nullptr, nullptr, 0};
    gather_runner by_both = {nullptr, nullptr, 0};
    if (s.gather_floor > 0) {
        uint64_t entries = 64;
        while (5 * entries < 8 * uint64_t{s.key_count}) { entries *= 2; }
        uint64_t *index = huge_allocator<uint64_t>::allocate(entries);
        by_gather.slots = huge_allocator<unsigned char>::allocate(std::size_t{s.key_count} * 64);
        memset(by_gather.slots, 0, std::size_t{s.key_count} * 64);
        memset(index, 0, entries * sizeof *index);
        by_both = {by_gather.slots, index, entries - 1};
    }
    tg_measure ours = {}, boosts = {}, stds = {}, gathers = {}, boths = {};
    for (uint32_t round = 0; round < s.rounds; round++) {
        for (uint32_t k = 0; k < 5; k++) { /* another one begins each round */
            const uint32_t n = s.row_count;
            switch ((k + round) % 5) {
            case 0: tg_measure_add(&ours, run<K>(by_us, s.key_count, n, round), n); break;
            case 1: tg_measure_add(&boosts, run<K>(by_flat, s.key_count, n, round), n); break;
            case 2: tg_measure_add(&stds, run<K>(by_node, s.key_count, n, round), n); break;
            case 3:
                if (by_gather.slots != nullptr) {
                    tg_measure_add(&gathers, run<K>(by_gather, s.key_count, n, round), n);
                }
                break;
            default:
                if (by_both.slots != nullptr) { tg_measure_add(&boths, run<K>(by_both, s.key_count, n, round), n); }
            }
        }
    }
    check_same(table, flat, s.key_count);
    int failed = tg_measure_judge(s.name, &ours, "boost flat_map", &boosts, s.floor_ratio, smoke);
    failed |= tg_measure_judge(s.name, &ours, "std::unordered_map", &stds, s.floor_ratio, smoke);
    if (s.gather_floor > 0) {
        failed |= tg_measure_judge(s.name, &ours, "gather index + slots", &boths, s.gather_floor, smoke);
        (void)tg_measure_judge(s.name, &ours, "gather slots only", &gathers, 0, smoke);
    }
    tg_arena_close(&arena);
    return failed;
}

} // namespace

int main(int argc, char **argv)
{
    const bool smoke = tg_measure_smoke(argc, argv);
    const char *only = argc > 1 && !smoke ? argv[1] : "";
    int failed = 0;
    if (smoke) {
        failed |= run_shape<uint64_t>({"8-byte keys, 1 k keys", 1000, 8192, 3, 1.0, 0}, true);
        failed |= run_shape<text_key>({"13-byte texts, 1 k keys", 1000, 8192, 3, 1.0, 0.5}, true);
        return failed;
    }
    const shape numbers[] = {
        {"8-byte keys, 1 k keys", 1000, 1 << 18, 21, 1.0, 0},
        {"8-byte keys, 3 k keys", 3000, 1 << 18, 21, 1.0, 0},
        {"8-byte keys, 10 k keys", 10000, 1 << 18, 21, 1.0, 0},
        {"8-byte keys, 100 k keys", 100000, 1 << 18, 21, 1.0, 0},
        {"8-byte keys, 10 M keys", 10000000, 1 << 19, 9, 2.0, 0.5},
    };
    const shape texts[] = {
        {"13-byte texts, 1 k keys", 1000, 1 << 18, 21, 1.0, 0},
        {"13-byte texts, 3 k keys", 3000, 1 << 18, 21, 1.0, 0},
        {"13-byte texts, 10 k keys", 10000, 1 << 18, 21, 1.0, 0},
        {"13-byte texts, 100 k keys", 100000, 1 << 18, 21, 1.0, 0},
        {"13-byte texts, 10 M keys", 10000000, 1 << 19, 9, 2.0, 0.5},
    };
    for (const shape &s : numbers) {
        if (strstr(s.name, only) != nullptr) { failed |= run_shape<uint64_t>(s, false); }
    }
    for (const shape &s : texts) {
        if (strstr(s.name, only) != nullptr) { failed |= run_shape<text_key>(s, false); }
    }
    return failed;
}
