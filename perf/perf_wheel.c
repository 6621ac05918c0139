/* Timers at 1 M and 10 M live keys: arm (first time), re-arm (later and a little earlier), expire with re-arming,
 * against a binary heap with positions and a plain wheel (4 levels of 256 buckets, 1 ms ticks, moves at every re-arm,
 * fires by the tick). All three keep their bookkeeping in or beside the same 64-byte records, on huge pages.
 *   perf_wheel [--smoke | live timers] */
#include <sys/mman.h>

#include "base/key.h"
#include "base/prng.h"
#include "perf/measure.h"
#include "state/wheel.h"

enum { ROUNDS = 7, BATCH = 512 };
#define SECOND 1000000
#define START (1750000000ll * SECOND)
#define HORIZON (30ll * SECOND) /* an idle timer, the commonest kind */

/* ---- contestants: records by number, 64 bytes each ---- */

struct contest {
    const char *name;
    uint8_t *(*record)(uint32_t number);
    void (*arm)(uint32_t number, int64_t due);
    uint32_t (*expire)(int64_t clock, uint32_t *numbers, uint32_t count_max);
};

static uint32_t live;

/* Ours: the node lies in the table's slot. */
struct value {
    struct tg_wheel_node node;
    uint64_t number;
};
static struct tg_arena arena;
static struct tg_wheel *wheel;
static uint8_t *first_value; /* slots of 64 bytes fill their segments: value n lies 64 n bytes behind */

static void ours_open(void)
{
    struct tg_error err = {0};
    struct tg_heap *heap;
    struct tg_table *table;
    const struct tg_table_config config = {
        .entry_count_max = live, .hash_seed = 0x9E3779B97F4A7C15u, .value_bytes = sizeof(struct value)};
    struct tg_wheel_config wheel_config = {.entry_count_max = live,
                                           .wheel_count = 1,
                                           .node_offset = offsetof(struct value, node),
                                           .tick_bits = TG_WHEEL_TICK_BITS};
    if (tg_arena_open(&arena, tg_table_bytes(&config) + tg_heap_bytes(4096) + tg_wheel_bytes(&wheel_config), &err) !=
            TG_OK ||
        tg_heap_create(&heap, 4096, &arena, &err) != TG_OK ||
        tg_table_create(&table, &config, heap, &arena, &err) != TG_OK) {
        exit(1);
    }
    wheel_config.table = table;
    if (tg_wheel_create(&wheel, &wheel_config, &arena, &err) != TG_OK) { exit(1); }
    for (uint64_t i = 0; i < live; i++) {
        const struct tg_key key = {(const uint8_t *)&i, 8};
        const uint64_t hash = tg_key_hash(key.data, 8);
        void *value;
        uint64_t fresh;
        if (tg_table_upsert(table, 1, &key, &hash, &value, &fresh) != 1) { exit(1); }
        if (i == 0) { first_value = value; }
        if (value != first_value + 64 * i) { exit(1); }
        ((struct value *)value)->number = i;
    }
}
/* Everyone's memory has been touched before: what the kernel takes for a page is not compared. */
static void ours_touch(void)
{
    for (uint32_t i = 0; i < live; i++) { tg_wheel_arm(wheel, first_value + 64ull * i, START + i % HORIZON); }
    for (uint32_t i = 0; i < live; i++) { tg_wheel_disarm(wheel, first_value + 64ull * i); }
    tg_wheel_rebuild(wheel);
}
static uint8_t *ours_record(uint32_t number) { return first_value + 64ull * number; }
static void ours_arm(uint32_t number, int64_t due) { tg_wheel_arm(wheel, ours_record(number), due); }
static uint32_t ours_expire(int64_t clock, uint32_t *records, uint32_t count_max)
{
    static void *fired[BATCH];
    const uint32_t got = tg_wheel_expire(wheel, clock, fired, count_max);
    for (uint32_t i = 0; i < got; i++) { records[i] = (uint32_t)((struct value *)fired[i])->number; }
    return got;
}

static void *huge(size_t bytes)
{
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) { exit(1); }
    (void)madvise(base, bytes, MADV_HUGEPAGE);
    return base;
}

/* Binary heap of {due, record}; the record knows its place, so that re-arming is one sift. */
struct heap_entry {
    int64_t due;
    uint64_t record;
};
struct heap_record {
    uint32_t place; /* + 1; 0 = not armed */
    uint8_t rest[60];
};
static struct heap_entry *heap_entries;
static struct heap_record *heap_records;
static uint32_t heap_count;

static void heap_put(uint32_t place, struct heap_entry entry)
{
    heap_entries[place] = entry;
    heap_records[entry.record].place = place + 1;
}
static void heap_sift(uint32_t place, struct heap_entry entry)
{
    while (place > 0 && heap_entries[(place - 1) / 2].due > entry.due) {
        heap_put(place, heap_entries[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    for (uint32_t child = 2 * place + 1; child < heap_count; child = 2 * place + 1) {
        if (child + 1 < heap_count && heap_entries[child + 1].due < heap_entries[child].due) { child++; }
        if (heap_entries[child].due >= entry.due) { break; }
        heap_put(place, heap_entries[child]);
        place = child;
    }
    heap_put(place, entry);
}
static uint8_t *heap_record(uint32_t number) { return (uint8_t *)&heap_records[number]; }
static void heap_arm(uint32_t record, int64_t due)
{
    const uint32_t place = heap_records[record].place;
    heap_sift(place != 0 ? place - 1 : heap_count++, (struct heap_entry){due, record});
}
static uint32_t heap_expire(int64_t clock, uint32_t *records, uint32_t count_max)
{
    uint32_t got = 0;
    while (got < count_max && heap_count > 0 && heap_entries[0].due < clock) {
        records[got] = (uint32_t)heap_entries[0].record;
        heap_records[records[got++]].place = 0;
        if (--heap_count > 0) { heap_sift(0, heap_entries[heap_count]); }
    }
    return got;
}

/* Plain wheel: doubly linked buckets, the level by the distance from now, cascades when a level wraps. */
struct plain_record {
    uint32_t next;   /* + 1 */
    uint32_t prev;   /* + 1 */
    uint32_t bucket; /* + 1 */
    uint32_t pad;
    int64_t due;
    uint8_t rest[40];
};
static struct plain_record *plain_records;
static uint32_t plain_heads[4][256];
static int64_t plain_now = START / 1000;

static void plain_unlink(struct plain_record *r)
{
    if (r->next != 0) { plain_records[r->next - 1].prev = r->prev; }
    if (r->prev != 0) {
        plain_records[r->prev - 1].next = r->next;
    } else {
        plain_heads[(r->bucket - 1) / 256][(r->bucket - 1) % 256] = r->next;
    }
    r->bucket = 0;
}
static void plain_link(uint32_t record)
{
    struct plain_record *r = &plain_records[record];
    int64_t tick = r->due / 1000 + 1; /* never early */
    if (tick <= plain_now) { tick = plain_now + 1; }
    uint32_t level = 0;
    while (level < 3 && tick - plain_now >= 1ll << (8 * (level + 1))) { level++; }
    uint32_t *head = &plain_heads[level][(tick >> (8 * level)) & 255];
    r->bucket = level * 256 + (uint32_t)((tick >> (8 * level)) & 255) + 1;
    r->prev = 0;
    r->next = *head;
    if (*head != 0) { plain_records[*head - 1].prev = record + 1; }
    *head = record + 1;
}
static uint8_t *plain_record(uint32_t number) { return (uint8_t *)&plain_records[number]; }
static void plain_arm(uint32_t record, int64_t due)
{
    struct plain_record *r = &plain_records[record];
    if (r->bucket != 0) { plain_unlink(r); }
    r->due = due;
    plain_link(record);
}
static uint32_t plain_expire(int64_t clock, uint32_t *records, uint32_t count_max)
{
    uint32_t got = 0;
    for (;;) {
        uint32_t *head = &plain_heads[0][plain_now & 255];
        while (*head != 0 && got < count_max) {
            const uint32_t record = *head - 1;
            plain_unlink(&plain_records[record]);
            records[got++] = record;
        }
        if (got == count_max || plain_now >= clock / 1000) { return got; }
        plain_now++;
        for (uint32_t level = 1; level < 4 && ((plain_now >> (8 * (level - 1))) & 255) == 0; level++) {
            uint32_t *list = &plain_heads[level][(plain_now >> (8 * level)) & 255];
            uint32_t link = *list;
            *list = 0;
            while (link != 0) {
                const uint32_t next = plain_records[link - 1].next;
                plain_link(link - 1);
                link = next;
            }
        }
    }
}

/* ---- what is measured ---- */

/* The same random records and instants for everyone; time by CPU, a batch of preparation outside the clock. */
static uint64_t run_arms(const struct contest *c, int64_t clock, uint32_t count, int64_t spread, bool in_order,
                         uint64_t seed)
{
    static uint32_t records[BATCH];
    static int64_t dues[BATCH];
    struct tg_prng prng = {seed};
    uint64_t elapsed = 0;
    for (uint32_t done = 0; done < count; done += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            records[i] = in_order ? (done + i) % live : tg_prng_below(&prng, live);
            dues[i] = clock + HORIZON + (int64_t)tg_prng_below(&prng, (uint32_t)spread);
        }
        /* As in the engine, where the row's state is at hand when its timer is armed. */
        for (uint32_t i = 0; i < BATCH; i++) { *(volatile uint8_t *)c->record(records[i]); }
        const uint64_t start = tg_measure_cpu_ns();
        for (uint32_t i = 0; i < BATCH; i++) { c->arm(records[i], dues[i]); }
        elapsed += tg_measure_cpu_ns() - start;
    }
    return elapsed;
}

/* The clock moves in small steps, as after each batch of rows; what fires is armed again. Ends after `count` fired. */
static uint64_t run_expire(const struct contest *c, int64_t *clock, uint32_t count, uint64_t *fired)
{
    static uint32_t records[BATCH];
    const int64_t step = HORIZON * 256 / live > 0 ? HORIZON * 256 / live : 1;
    uint64_t done = 0;
    const uint64_t start = tg_measure_cpu_ns();
    while (done < count) {
        uint32_t got;
        *clock += step;
        do {
            got = c->expire(*clock, records, BATCH);
            for (uint32_t i = 0; i < got; i++) { c->arm(records[i], *clock + HORIZON + (records[i] & 0xFFFFF)); }
            done += got;
        } while (got == BATCH);
    }
    *fired = done;
    return tg_measure_cpu_ns() - start;
}

static const struct contest contests[] = {
    {"ours", ours_record, ours_arm, ours_expire},
    {"binary heap", heap_record, heap_arm, heap_expire},
    {"plain 4-level wheel", plain_record, plain_arm, plain_expire},
};
enum { CONTESTS = 3 };

static int run(uint32_t live_count, bool smoke)
{
    static struct tg_measure first[CONTESTS];
    static struct tg_measure rearm[CONTESTS];
    static struct tg_measure expire[CONTESTS];
    const uint32_t count = smoke ? 4096 : 1 << 18;
    int64_t clocks[CONTESTS] = {START, START, START};
    char what[3][64];
    live = live_count;
    heap_entries = huge(sizeof *heap_entries * (live + 1));
    heap_records = huge(sizeof *heap_records * (size_t)live);
    plain_records = huge(sizeof *plain_records * (size_t)live);
    memset(heap_entries, 0, sizeof *heap_entries * (live + 1));
    memset(heap_records, 0, sizeof *heap_records * (size_t)live);
    memset(plain_records, 0, sizeof *plain_records * (size_t)live);
    ours_open();
    uint32_t dummy[1];
    (void)ours_expire(START, dummy, 1);
    ours_touch();
    for (uint32_t c = 0; c < CONTESTS; c++) { /* every timer once, spread over the coming half minute */
        const uint64_t elapsed = run_arms(&contests[c], START - HORIZON, live, HORIZON, true, 99);
        tg_measure_add(&first[c], elapsed, live);
    }
    for (uint32_t round = 0; round < (smoke ? 3u : (uint32_t)ROUNDS); round++) {
        for (uint32_t k = 0; k < CONTESTS; k++) {
            const uint32_t c = (k + round) % CONTESTS;
            uint64_t fired;
            const uint64_t elapsed = run_expire(&contests[c], &clocks[c], count, &fired);
            tg_measure_add(&expire[c], elapsed, fired);
            tg_measure_add(&rearm[c], run_arms(&contests[c], clocks[c], count, SECOND, false, round), count);
        }
    }
    (void)snprintf(what[0], sizeof what[0], "arm, %u k live", live / 1000);
    (void)snprintf(what[1], sizeof what[1], "re-arm, %u k live", live / 1000);
    (void)snprintf(what[2], sizeof what[2], "expire + arm, %u k live", live / 1000);
    int failed = 0;
    const struct tg_measure *sets[3] = {first, rearm, expire};
    for (uint32_t m = 0; m < 3; m++) {
        for (uint32_t c = 1; c < CONTESTS; c++) {
            failed |= tg_measure_judge(what[m], &sets[m][0], contests[c].name, &sets[m][c], 0, smoke);
        }
    }
    /* The verdict: one arm, one re-arm and one expiry, as a timer's life has them. */
    static struct tg_measure life[CONTESTS];
    for (uint32_t c = 0; c < CONTESTS; c++) {
        life[c].count = rearm[c].count;
        for (uint32_t i = 0; i < life[c].count; i++) {
            life[c].rounds[i] = first[c].rounds[0] + rearm[c].rounds[i] + expire[c].rounds[i];
        }
    }
    (void)snprintf(what[0], sizeof what[0], "arm + re-arm + expire, %u k live", live / 1000);
    failed |= tg_measure_judge(what[0], &life[0], "binary heap", &life[1], 8.0, smoke);
    failed |= tg_measure_judge(what[0], &life[0], "plain 4-level wheel", &life[2], 1.2, smoke);
    return failed;
}

int main(int argc, char **argv)
{
    const bool smoke = tg_measure_smoke(argc, argv);
    if (argc > 1 && !smoke) { return run((uint32_t)strtoul(argv[1], NULL, 10), false); }
    if (smoke) { return run(20000, true); }
    /* Each size in a process of its own: memory is never given back here. */
    char command[512];
    int failed = 0;
    static const char *const sizes[] = {"1000000", "10000000"};
    for (uint32_t i = 0; i < 2; i++) {
        (void)snprintf(command, sizeof command, "'%s' %s", argv[0], sizes[i]);
        failed |= system(command) != 0;
    }
    return failed;
}
