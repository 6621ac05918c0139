/* The index is an array of 8-byte entries {tag, slot number + 1} in groups of four (half a cache line). The tag is the
 * upper half of hash x seed with its last bit set, and its leading bits are the group where probing starts: an entry
 * alone tells where it belongs, so removal closes gaps without looking at a single slot. Probing is linear, a group at
 * a time: four tags are compared at once and the branch that follows hardly ever mispredicts, which is what makes the
 * table as fast as inline-stored maps while it is in the cache.
 *
 * Batches overlap the misses. Groups of GROUP_ROWS keys run through three steps: (1) prefetch the index line, (2) look
 * the tag up and prefetch the slot it names, (3) compare the key or insert. Steps work on different groups at the same
 * time (step 3 on group g, 2 on g + 1, 1 on g + 2), so that each miss has a whole group of other work to hide behind.
 * Prefetches ask for the second-level cache: more of them can be under way than first-level fills, and what comes from
 * there is soon enough. At 10 M keys that took an update from 28 to 21 ns; while all is in the
 * second level it costs some 5 %, so small tables do without. */
#include "state/table.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/assert.h"
#include "base/key.h"
#include "state/slots.h"

enum {
    GROUP_ROWS = 32,
    PIPELINE_GROUPS = 4, /* two are on their way behind the one being settled; a power of two is cheap to wrap */
    WAY_COUNT = 4,       /* entries of one index group */
    INDEX_BITS_MIN = 6,
    INDEX_BITS_MAX = 31, /* the tag's last bit must not be part of the position */
    LINES_AHEAD_MAX = 3,
    NEAR_BYTES = 1 << 20, /* a second-level cache of today */
};
static_assert((GROUP_ROWS & (GROUP_ROWS - 1)) == 0, "groups are numbered by a shift");
#define ENTRY_COUNT_LIMIT (1ull << 30)

struct tg_table {
    uint64_t *index; /* [1 << index_bits]; 0 = free */
    uint64_t hash_seed;
    struct tg_slots slots;
    uint32_t index_mask;
    uint32_t tag_shift; /* tag >> tag_shift is a position; its two low bits are dropped */
    uint32_t value_bytes;
    uint32_t line_count; /* lines of a slot worth prefetching */
    uint64_t count;
    uint64_t entry_count_max;
    uint64_t carved; /* slots handed out at least once */
    uint64_t free_count;
    uint32_t carved_next; /* number of the next slot never used */
    uint32_t free_first;  /* number + 1; 0 = none */
    uint32_t probe_max;
    uint32_t index_bits;
    struct tg_heap *heap;
};

/* ---- layout ---- */

/* Smallest power of two that keeps the load at 0.6 or below. */
static uint32_t index_bits_for(uint64_t entry_count_max)
{
    uint32_t bits = INDEX_BITS_MIN;
    while ((3ull << bits) < 5 * entry_count_max) { bits++; }
    return bits;
}

static uint32_t slot_bytes_for(uint32_t value_bytes)
{
    return ((uint32_t)sizeof(struct tg_slot) + value_bytes + 31) & ~31u;
}

static uint64_t segment_count_for(const struct tg_table_config *config)
{
    const uint64_t places = TG_SEGMENT_BYTES / slot_bytes_for(config->value_bytes);
    return (config->entry_count_max + places - 1) / places;
}

size_t tg_table_bytes(const struct tg_table_config *config)
{
    return sizeof(struct tg_table) + (sizeof(uint64_t) << index_bits_for(config->entry_count_max)) +
           segment_count_for(config) * TG_SEGMENT_BYTES + 3 * 4096;
}

static struct tg_slots slots_layout(uint32_t value_bytes, uint8_t *base)
{
    const uint32_t slot_bytes = slot_bytes_for(value_bytes);
    const uint32_t slot_units = slot_bytes >> TG_SLOT_UNIT_BITS;
    return (struct tg_slots){
        .base = base,
        .slot_bytes = slot_bytes,
        .slot_units = slot_units,
        .last_unit = (TG_SEGMENT_BYTES / slot_bytes - 1) * slot_units,
    };
}

tg_status tg_table_create(struct tg_table **table, const struct tg_table_config *config, struct tg_heap *heap,
                          struct tg_arena *arena, struct tg_error *err)
{
    TG_ASSERT(config->entry_count_max >= 1 && config->entry_count_max <= ENTRY_COUNT_LIMIT);
    TG_ASSERT(config->value_bytes >= 1 && config->value_bytes <= TG_VALUE_BYTES_MAX);
    TG_ASSERT((config->hash_seed & 1) == 1);
    const uint32_t index_bits = index_bits_for(config->entry_count_max);
    TG_ASSERT(index_bits <= INDEX_BITS_MAX);
    TG_ASSERT(segment_count_for(config) * TG_SEGMENT_BYTES >> TG_SLOT_UNIT_BITS < TG_SLOT_NONE); /* below 128 GiB */
    struct tg_table *self = tg_arena_alloc(arena, sizeof *self, 64);
    uint64_t *index = tg_arena_alloc(arena, sizeof(uint64_t) << index_bits, 4096);
    uint8_t *base = tg_arena_alloc(arena, segment_count_for(config) * TG_SEGMENT_BYTES, 4096);
    if (self == NULL || index == NULL || base == NULL) {
        return tg_fail(err, TG1601, 0, "no address space for a table of %llu keys",
                       (unsigned long long)config->entry_count_max);
    }
    tg_arena_advise_huge(index, sizeof(uint64_t) << index_bits); /* touched at random: spare the page walks */
    tg_arena_advise_huge(base, segment_count_for(config) * TG_SEGMENT_BYTES);
    *self = (struct tg_table){
        .index = index,
        .hash_seed = config->hash_seed,
        .slots = slots_layout(config->value_bytes, base),
        .index_mask = (uint32_t)((1ull << index_bits) - 1),
        .tag_shift = 32 - index_bits,
        .value_bytes = config->value_bytes,
        .entry_count_max = config->entry_count_max,
        .index_bits = index_bits,
        .heap = heap,
    };
    const uint32_t lines = (self->slots.slot_bytes + 63) / 64;
    self->line_count = lines < LINES_AHEAD_MAX ? lines : LINES_AHEAD_MAX;
    *table = self;
    return TG_OK;
}

/* ---- index ---- */

static inline uint32_t tag_of(const struct tg_table *table, uint64_t hash)
{
    return (uint32_t)((hash * table->hash_seed) >> 32) | 1; /* never 0: a free entry has tag 0 */
}

/* Where probing for `tag` starts: the first entry of its group. */
static inline uint32_t home_of(const struct tg_table *table, uint32_t tag)
{
    return (tag >> table->tag_shift) & ~(uint32_t)(WAY_COUNT - 1);
}

/* Which of the four entries of a group have this tag, as bits; tag 0 finds the free ones. */
static inline uint32_t group_match(const uint64_t *group, uint32_t tag)
{
#ifdef __SSE2__
    const __m128 low = _mm_load_ps((const float *)(const void *)group);
    const __m128 high = _mm_load_ps((const float *)(const void *)(group + 2));
    const __m128i tags = _mm_castps_si128(_mm_shuffle_ps(low, high, _MM_SHUFFLE(3, 1, 3, 1)));
    const __m128i same = _mm_cmpeq_epi32(tags, _mm_set1_epi32((int)tag));
    return (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(same));
#else
    uint32_t match = 0;
    for (uint32_t way = 0; way < WAY_COUNT; way++) { match |= (uint32_t)((uint32_t)(group[way] >> 32) == tag) << way; }
    return match;
#endif
}

static inline struct tg_slot *entry_slot(const struct tg_table *table, uint64_t entry)
{
    return tg_slots_at(&table->slots, (uint32_t)entry) - 1; /* entries hold numbers + 1, and a head is one unit */
}

/* Stands for "no slot" in lookups: it holds no key, so no comparison needs to ask first. */
static struct tg_slot no_slot = {.key_bytes = TG_SLOT_FREE};

/* First slot that may hold the key of `tag`: right but for one in millions of lookups. no_slot when it is absent. */
static inline struct tg_slot *index_candidate(const struct tg_table *table, uint32_t tag)
{
    uint32_t at = home_of(table, tag);
    for (;;) { /* ends: the load is at most 0.6 */
        const uint32_t same = group_match(&table->index[at], tag);
        if (TG_LIKELY(same != 0)) { return entry_slot(table, table->index[at + (uint32_t)__builtin_ctz(same)]); }
        if (group_match(&table->index[at], 0) != 0) { return &no_slot; }
        at = (at + WAY_COUNT) & table->index_mask;
    }
}

/* ---- keys ---- */

static inline const uint8_t *slot_key(const struct tg_slot *slot)
{
    if (slot->key_bytes <= TG_KEY_INLINE_BYTES) { return slot->key; }
    const uint8_t *far;
    memcpy(&far, slot->key + TG_KEY_FAR_OFFSET, sizeof far);
    return far;
}

static inline uint64_t load64(const uint8_t *data)
{
    uint64_t word;
    memcpy(&word, data, sizeof word);
    return word;
}
static inline uint32_t load32(const uint8_t *data)
{
    uint32_t word;
    memcpy(&word, data, sizeof word);
    return word;
}

/* memcmp costs a call; keys are short, so a few loads that may overlap settle nearly all of them. Keys of one table are
 * mostly of one length: the branches on it cost next to nothing, other than a mask or a minimum would. */
static inline bool bytes_equal(const uint8_t *a, const uint8_t *b, uint32_t bytes)
{
    if (TG_LIKELY(bytes - 8 <= TG_KEY_INLINE_BYTES - 8)) {
        const uint64_t ends = (load64(a) ^ load64(b)) | (load64(a + (bytes - 8)) ^ load64(b + (bytes - 8)));
        return bytes <= 16 ? ends == 0 : (ends | (load64(a + 8) ^ load64(b + 8))) == 0;
    }
    if (bytes >= 4) { return ((load32(a) ^ load32(b)) | (load32(a + bytes - 4) ^ load32(b + bytes - 4))) == 0; }
    return bytes == 0 || memcmp(a, b, bytes) == 0;
}

/* Equal keys have equal hashes, so the hash only spares a look at a far key. */
static inline bool slot_holds(const struct tg_slot *slot, struct tg_key key, uint64_t hash)
{
    if (slot->key_bytes != key.bytes) { return false; }
    if (TG_LIKELY(key.bytes <= TG_KEY_INLINE_BYTES)) { return bytes_equal(slot->key, key.data, key.bytes); }
    return slot->hash == hash && memcmp(slot_key(slot), key.data, key.bytes) == 0;
}

/* ---- slots ---- */

/* A slot for a new entry; its value is all zero. NULL when entry_count_max is reached. */
static inline struct tg_slot *slot_acquire(struct tg_table *table, uint32_t *number)
{
    if (table->count == table->entry_count_max) { return NULL; }
    if (table->free_first != 0) {
        *number = table->free_first - 1;
        struct tg_slot *slot = tg_slots_at(&table->slots, *number);
        table->free_first = (uint32_t)slot->hash;
        table->free_count--;
        if (table->free_first != 0) { __builtin_prefetch(tg_slots_at(&table->slots, table->free_first - 1), 1); }
        memset(slot + 1, 0, table->value_bytes);
        return slot;
    }
    *number = table->carved_next;
    table->carved_next = tg_slots_after(&table->slots, *number);
    table->carved++;
    return tg_slots_at(&table->slots, *number); /* fresh from the arena: zero */
}

static inline void slot_release(struct tg_table *table, struct tg_slot *slot, uint32_t number)
{
#ifdef TG_DEBUG
    memset(slot + 1, 0xDB, table->value_bytes); /* use after removal shows */
#endif
    slot->key_bytes = TG_SLOT_FREE;
    slot->hash = table->free_first;
    table->free_first = number + 1;
    table->free_count++;
}

/* Keep a copy of the key. False when the heap is spent. */
static inline bool slot_set_key(struct tg_table *table, struct tg_slot *slot, struct tg_key key, uint64_t hash)
{
    uint8_t *target = slot->key;
    if (TG_UNLIKELY(key.bytes > TG_KEY_INLINE_BYTES)) {
        TG_ASSERT(table->heap != NULL);
        target = tg_heap_acquire(table->heap, key.bytes, NULL);
        if (target == NULL) { return false; }
        memcpy(slot->key + TG_KEY_FAR_OFFSET, &target, sizeof target);
    }
    if (key.bytes != 0) { memcpy(target, key.data, key.bytes); }
    slot->hash = hash;
    slot->key_bytes = key.bytes;
    return true;
}

/* ---- upsert ---- */

/* The whole search, then insertion at the first free entry: new keys, keys that came earlier in this batch, and the
 * rare equal tags of different keys. NULL when table or heap are full. */
static struct tg_slot *find_or_insert(struct tg_table *table, struct tg_key key, uint64_t hash, uint32_t tag,
                                      bool *fresh)
{
    uint32_t at = home_of(table, tag);
    uint32_t probes = 0;
    uint32_t none = 0;
    for (;;) {
        for (uint32_t same = group_match(&table->index[at], tag); same != 0; same &= same - 1) {
            struct tg_slot *slot = entry_slot(table, table->index[at + (uint32_t)__builtin_ctz(same)]);
            if (slot_holds(slot, key, hash)) {
                *fresh = false;
                return slot;
            }
        }
        none = group_match(&table->index[at], 0);
        if (none != 0) { break; }
        at = (at + WAY_COUNT) & table->index_mask;
        probes += WAY_COUNT;
    }
    const uint32_t way = (uint32_t)__builtin_ctz(none);
    uint32_t number;
    struct tg_slot *slot = slot_acquire(table, &number);
    if (slot == NULL) { return NULL; }
    if (!slot_set_key(table, slot, key, hash)) {
        slot_release(table, slot, number);
        return NULL;
    }
    table->index[at + way] = (uint64_t)tag << 32 | (number + 1);
    table->count++;
    if (probes + way >= table->probe_max) { table->probe_max = probes + way + 1; }
    *fresh = true;
    return slot;
}

/* The rows of one call. */
struct rows {
    const struct tg_key *keys;
    const uint64_t *hashes;
    void **values;
    uint64_t *fresh;
};

static inline void prefetch_second_level(const void *line) { __builtin_prefetch(line, 0, 2); }

/* The steps read and write plain arrays: nothing that the compiler must load again after each store. */
static inline void step_locate(const struct tg_table *table, const uint64_t *restrict hashes, uint32_t *restrict tags,
                               uint32_t count)
{
    const uint64_t *index = table->index;
    const uint64_t seed = table->hash_seed;
    const uint32_t shift = table->tag_shift;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t tag = (uint32_t)((hashes[i] * seed) >> 32) | 1;
        tags[i] = tag;
        prefetch_second_level(&index[(tag >> shift) & ~(uint32_t)(WAY_COUNT - 1)]);
    }
}

/* values[i] becomes the value of the slot that is most likely the key's. */
static inline void step_resolve(const struct tg_table *table, const uint32_t *restrict tags, void **restrict values,
                                uint32_t count)
{
    const struct tg_table fixed = *table; /* in registers */
    for (uint32_t i = 0; i < count; i++) {
        struct tg_slot *slot = index_candidate(&fixed, tags[i]);
        values[i] = slot + 1;
        prefetch_second_level(slot);
        if (fixed.line_count > 1) {
            prefetch_second_level((const uint8_t *)slot + 64);
            if (fixed.line_count > 2) { prefetch_second_level((const uint8_t *)slot + 128); }
        }
    }
}

/* The part of step 3 that is not just a look: kept out of the loop, which then stays in registers. False = no room. */
static __attribute__((noinline)) bool settle_slowly(struct tg_table *table, const struct rows *rows, uint32_t row)
{
    bool fresh;
    const uint64_t hash = rows->hashes[row];
    struct tg_slot *slot = find_or_insert(table, rows->keys[row], hash, tag_of(table, hash), &fresh);
    if (slot == NULL) { return false; }
    rows->values[row] = slot + 1;
    rows->fresh[row / 64] |= (uint64_t)fresh << (row & 63);
    return true;
}

/* Rows start to end - 1; returns where it stopped: `end`, or the row that found no room. */
static inline uint32_t step_settle(struct tg_table *table, const struct rows *rows, uint32_t start, uint32_t end)
{
    const struct tg_key *key = rows->keys + start;
    const struct tg_key *const key_end = rows->keys + end;
    void **value = rows->values + start;
    for (; key != key_end; key++, value++) {
        const struct tg_slot *slot = tg_slots_of_value(*value);
        const uint32_t bytes = key->bytes;
        if (TG_LIKELY(slot->key_bytes == bytes && bytes <= TG_KEY_INLINE_BYTES &&
                      bytes_equal(slot->key, key->data, bytes))) {
            continue;
        }
        if (!settle_slowly(table, rows, (uint32_t)(key - rows->keys))) { return (uint32_t)(key - rows->keys); }
    }
    return end;
}

static inline uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* A table that fits the second-level cache: its index needs no prefetch, and two steps are cheaper than three. */
static uint32_t upsert_near(struct tg_table *table, const struct rows *rows, uint32_t count)
{
    for (uint32_t start = 0; start < count; start += GROUP_ROWS) {
        const uint32_t end = min_u32(start + GROUP_ROWS, count);
        const struct tg_table fixed = *table;
        void **restrict values = rows->values;
        for (uint32_t i = start; i < end; i++) {
            struct tg_slot *slot = index_candidate(&fixed, tag_of(&fixed, rows->hashes[i]));
            values[i] = slot + 1;
            __builtin_prefetch(slot);
        }
        const uint32_t stopped = step_settle(table, rows, start, end);
        if (stopped != end) { return stopped; }
    }
    return count;
}

static uint32_t upsert_far(struct tg_table *table, const struct rows *rows, uint32_t count)
{
    uint32_t tags[PIPELINE_GROUPS][GROUP_ROWS];
    const uint64_t *hashes = rows->hashes;
    for (uint32_t at = 0; at < min_u32(2 * GROUP_ROWS, count); at += GROUP_ROWS) {
        step_locate(table, hashes + at, tags[at / GROUP_ROWS], min_u32(GROUP_ROWS, count - at));
    }
    step_resolve(table, tags[0], rows->values, min_u32(GROUP_ROWS, count));
    for (uint32_t start = 0; start < count; start += GROUP_ROWS) {
        const uint32_t group = start / GROUP_ROWS;
        const uint32_t second = start + GROUP_ROWS;
        const uint32_t third = second + GROUP_ROWS;
        if (third < count) {
            step_locate(table, hashes + third, tags[(group + 2) % PIPELINE_GROUPS], min_u32(GROUP_ROWS, count - third));
        }
        if (second < count) {
            step_resolve(table, tags[(group + 1) % PIPELINE_GROUPS], rows->values + second,
                         min_u32(GROUP_ROWS, count - second));
        }
        const uint32_t end = min_u32(second, count);
        const uint32_t stopped = step_settle(table, rows, start, end);
        if (stopped != end) { return stopped; }
    }
    return count;
}

uint32_t tg_table_upsert(struct tg_table *table, uint32_t count, const struct tg_key *keys, const uint64_t *hashes,
                         void **values, uint64_t *fresh)
{
    TG_ASSERT(count >= 1 && count <= TG_BATCH_ROWS_MAX);
    const struct rows rows = {keys, hashes, values, fresh};
    for (uint32_t word = 0; word < (count + 63) / 64; word++) { fresh[word] = 0; }
    const uint64_t touched_bytes = (sizeof(uint64_t) << table->index_bits) + table->carved * table->slots.slot_bytes;
    return touched_bytes <= NEAR_BYTES ? upsert_near(table, &rows, count) : upsert_far(table, &rows, count);
}

/* ---- single entries ---- */

/* Position of the entry that names `number`, whose key has this tag. */
static uint32_t index_position(const struct tg_table *table, uint32_t number, uint32_t tag)
{
    const uint64_t entry = (uint64_t)tag << 32 | (number + 1);
    uint32_t at = home_of(table, tag);
    while (table->index[at] != entry) {
        TG_ASSERT(table->index[at] != 0); /* every occupied slot is in the index, with no gap before it */
        at = (at + 1) & table->index_mask;
    }
    return at;
}

void *tg_table_find(struct tg_table *table, struct tg_key key, uint64_t hash)
{
    const uint32_t tag = tag_of(table, hash);
    uint32_t at = home_of(table, tag);
    for (;;) { /* ends: the load is at most 0.6 */
        for (uint32_t same = group_match(&table->index[at], tag); same != 0; same &= same - 1) {
            struct tg_slot *slot = entry_slot(table, table->index[at + (uint32_t)__builtin_ctz(same)]);
            if (slot_holds(slot, key, hash)) { return slot + 1; }
        }
        if (group_match(&table->index[at], 0) != 0) { return NULL; }
        at = (at + WAY_COUNT) & table->index_mask;
    }
}

/* Free the entry at `hole`, then pull back entries that a search would no longer reach: an entry may move into the hole
 * when its home does not lie between the hole and itself. Its tag alone tells. */
static void index_close_gap(struct tg_table *table, uint32_t hole)
{
    const uint32_t mask = table->index_mask;
    uint32_t at = hole;
    for (;;) { /* ends at the first free entry */
        at = (at + 1) & mask;
        const uint64_t entry = table->index[at];
        if (entry == 0) { break; }
        const uint32_t home = home_of(table, (uint32_t)(entry >> 32));
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            table->index[hole] = entry;
            hole = at;
        }
    }
    table->index[hole] = 0;
}

void tg_table_remove(struct tg_table *table, void *value)
{
    struct tg_slot *slot = tg_slots_of_value(value);
    TG_ASSERT(slot->key_bytes != TG_SLOT_FREE);
    const uint32_t number = tg_slots_number(&table->slots, slot);
    index_close_gap(table, index_position(table, number, tag_of(table, slot->hash)));
    if (slot->key_bytes > TG_KEY_INLINE_BYTES) {
        tg_heap_release(table->heap, (void *)(uintptr_t)slot_key(slot), slot->key_bytes);
    }
    slot_release(table, slot, number);
    table->count--;
}

const struct tg_slots *tg_table_slots(const struct tg_table *table) { return &table->slots; }

uint32_t tg_table_slot(const struct tg_table *table, const void *value)
{
    return tg_slots_number(&table->slots, tg_slots_of_value(value));
}

void *tg_table_value(const struct tg_table *table, uint32_t slot)
{
    TG_DCHECK(slot < table->carved_next);
    return tg_slots_at(&table->slots, slot) + 1;
}

struct tg_key tg_table_key(const struct tg_table *table, const void *value)
{
    (void)table;
    const struct tg_slot *slot = tg_slots_of_value(value);
    TG_DCHECK(slot->key_bytes != TG_SLOT_FREE);
    return (struct tg_key){.data = slot_key(slot), .bytes = slot->key_bytes};
}

uint64_t tg_table_hash(const struct tg_table *table, const void *value)
{
    (void)table;
    return tg_slots_of_value(value)->hash;
}

uint32_t tg_table_slot_end(const struct tg_table *table) { return table->carved_next; }

uint64_t tg_table_count(const struct tg_table *table) { return table->count; }

uint64_t tg_table_used_bytes(const struct tg_table *table)
{
    const uint64_t slot_bytes = (uint64_t)table->carved_next << TG_SLOT_UNIT_BITS;
    const uint64_t segments = (slot_bytes + TG_SEGMENT_BYTES - 1) / TG_SEGMENT_BYTES;
    /* The index is touched at random: a page for each entry so far, until all of it is there. */
    const uint64_t index_bytes = sizeof(uint64_t) << table->index_bits;
    const uint64_t touched_bytes = table->carved * 4096;
    return segments * TG_SEGMENT_BYTES + (touched_bytes < index_bytes ? touched_bytes : index_bytes);
}

uint32_t tg_table_probe_max(const struct tg_table *table) { return table->probe_max; }

uint32_t tg_table_next(const struct tg_table *table, uint32_t slot)
{
    uint32_t number = slot;
    const uint32_t past = number % (TG_SEGMENT_BYTES >> TG_SLOT_UNIT_BITS) % table->slots.slot_units;
    if (past != 0) { number += table->slots.slot_units - past; } /* from between two slots to the next one */
    if (number % (TG_SEGMENT_BYTES >> TG_SLOT_UNIT_BITS) > table->slots.last_unit) {
        number = (number | ((TG_SEGMENT_BYTES >> TG_SLOT_UNIT_BITS) - 1)) + 1;
    }
    for (; number < table->carved_next; number = tg_slots_after(&table->slots, number)) {
        if (tg_slots_at(&table->slots, number)->key_bytes != TG_SLOT_FREE) { return number; }
    }
    return TG_SLOT_NONE;
}

/* ---- invariants ---- */

static void check_entry(const struct tg_table *table, uint32_t at)
{
    const uint64_t entry = table->index[at];
    const uint32_t number = (uint32_t)entry - 1;
    TG_ASSERT(number < table->carved_next);
    const struct tg_slot *slot = tg_slots_at(&table->slots, number);
    TG_ASSERT(tg_slots_number(&table->slots, slot) == number);
    TG_ASSERT(slot->key_bytes != TG_SLOT_FREE);
    TG_ASSERT(tag_of(table, slot->hash) == (uint32_t)(entry >> 32));
    for (uint32_t p = home_of(table, (uint32_t)(entry >> 32)); p != at; p = (p + 1) & table->index_mask) {
        TG_ASSERT(table->index[p] != 0); /* a search reaches it */
    }
}

void tg_table_check(const struct tg_table *table)
{
    uint64_t indexed = 0;
    for (uint64_t at = 0; at <= table->index_mask; at++) {
        if (table->index[at] == 0) { continue; }
        check_entry(table, (uint32_t)at);
        indexed++;
    }
    TG_ASSERT(indexed == table->count);
    TG_ASSERT(table->count <= table->entry_count_max);
    uint64_t occupied = 0;
    for (uint32_t n = tg_table_next(table, 0); n != TG_SLOT_NONE; n = tg_table_next(table, n + 1)) { occupied++; }
    TG_ASSERT(occupied == table->count);
    uint64_t listed = 0;
    for (uint32_t n = table->free_first; n != 0; n = (uint32_t)tg_slots_at(&table->slots, n - 1)->hash) {
        TG_ASSERT(tg_slots_at(&table->slots, n - 1)->key_bytes == TG_SLOT_FREE);
        listed++;
        TG_ASSERT(listed <= table->free_count);
    }
    TG_ASSERT(listed == table->free_count);
    TG_ASSERT(listed + occupied == table->carved);
}
