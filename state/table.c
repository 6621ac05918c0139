/* The index is an array of groups of eight entries {tag, slot number + 1}, a cache line each. The tag is the upper half
 * of hash x seed with its last bit set, and its leading bits are the group where probing starts: a tag alone tells
 * where its entry belongs, so removal closes gaps without looking at a single slot. Probing is linear, a group at a
 * time: eight tags are compared at once, one key in fifty lies outside its first group when the index is as full as it
 * gets, and the branch that asks hardly ever mispredicts.
 *
 * A batch is looked at first and settled second. Looking changes nothing; rows whose key is not where the index leads
 * are marked, and those alone are then searched for once more or inserted, one by one in their order. Looking overlaps
 * what the rows wait for: in the moment that one row's key is compared, the slot of the row LAG further on is fetched
 * and, in tables larger than the second-level cache, the index line of the row LAG beyond that. Each miss has LAG rows
 * of other work to hide behind, and no step waits for the one before it: fewer instructions in one step after the other
 * were slower. Rows go from the last to the first: the caller will begin with the first one, and finds its slot still
 * in the first-level cache. */
#include "state/table.h"

#include <string.h>

#include "base/assert.h"
#include "base/key.h"
#include "state/group.h"
#include "state/slots.h"

enum {
    LAG = 64, /* rows between the steps of a lookup */
    INDEX_BITS_MIN = 6,
    INDEX_BITS_MAX = 31, /* the tag's last bit must not be part of the position */
    LINES_AHEAD_MAX = 3,
    NEAR_BYTES = 1 << 20, /* a second-level cache of today */
};
#define ENTRY_COUNT_LIMIT (1ull << 30)

struct tg_table {
    struct tg_group *index; /* [(index_mask + 1) / TG_GROUP_WAYS] */
    uint64_t hash_seed;
    uint64_t home_mask; /* (hash x seed >> home_shift) & home_mask: bytes from the index's start to the home group */
    struct tg_slots slots;
    uint32_t index_mask; /* of the number of an entry */
    uint32_t home_shift;
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

/* Smallest power of two that keeps the load at 5/8 or below. */
static uint32_t index_bits_for(uint64_t entry_count_max)
{
    uint32_t bits = INDEX_BITS_MIN;
    while ((5ull << bits) < 8 * entry_count_max) { bits++; }
    return bits;
}

static uint64_t index_bytes_for(uint32_t index_bits) { return (sizeof(struct tg_group) / TG_GROUP_WAYS) << index_bits; }

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
    return sizeof(struct tg_table) + index_bytes_for(index_bits_for(config->entry_count_max)) +
           segment_count_for(config) * (TG_SEGMENT_BYTES + sizeof(uint16_t)) + 3 * 4096;
}

static struct tg_slots slots_layout(uint32_t value_bytes, uint8_t *base, uint16_t *occupied)
{
    const uint32_t slot_bytes = slot_bytes_for(value_bytes);
    const uint32_t slot_units = slot_bytes >> TG_SLOT_UNIT_BITS;
    return (struct tg_slots){
        .base = base,
        .occupied = occupied,
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
    struct tg_group *index = tg_arena_alloc(arena, index_bytes_for(index_bits), 4096);
    uint8_t *base = tg_arena_alloc(arena, segment_count_for(config) * TG_SEGMENT_BYTES, 4096);
    uint16_t *occupied = tg_arena_alloc(arena, segment_count_for(config) * sizeof *occupied, 64);
    if (self == NULL || index == NULL || base == NULL || occupied == NULL) {
        return tg_fail(err, TG1601, 0, "no address space for a table of %llu keys",
                       (unsigned long long)config->entry_count_max);
    }
    tg_arena_advise_huge(index, index_bytes_for(index_bits)); /* touched at random: spare the page walks */
    tg_arena_advise_huge(base, segment_count_for(config) * TG_SEGMENT_BYTES);
    *self = (struct tg_table){
        .index = index,
        .hash_seed = config->hash_seed,
        .slots = slots_layout(config->value_bytes, base, occupied),
        .home_mask = index_bytes_for(index_bits) - sizeof(struct tg_group),
        .home_shift = 64 - (index_bits - 3) - TG_GROUP_BITS, /* eight entries a group: three bits fewer than entries */
        .index_mask = (uint32_t)((1ull << index_bits) - 1),
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

static inline uint64_t mix(const struct tg_table *table, uint64_t hash) { return hash * table->hash_seed; }

static inline uint32_t tag_of(uint64_t mixed) { return (uint32_t)(mixed >> 32) | 1; } /* 0 is for free entries */

/* Where probing starts. */
static inline struct tg_group *home_group(const struct tg_table *table, uint64_t mixed)
{
    uint8_t *start = (uint8_t *)table->index;
    return (struct tg_group *)(void *)(start + ((mixed >> table->home_shift) & table->home_mask));
}

static inline struct tg_group *group_after(const struct tg_table *table, const struct tg_group *group)
{
    return &table->index[(uint64_t)(group + 1 - table->index) & table->index_mask / TG_GROUP_WAYS];
}

static inline void *entry_value(const struct tg_table *table, uint32_t entry_number)
{
    return table->slots.base + ((uint64_t)entry_number << TG_SLOT_UNIT_BITS); /* + 1, and a head is one unit */
}

/* Stands for "no slot" in lookups: it holds no key, so no comparison needs to ask first. */
static struct tg_slot no_slot = {.key_bytes = TG_SLOT_FREE};

/* The rest of value_candidate: groups behind the first one. */
static __attribute__((noinline)) void *displaced_candidate(const struct tg_table *table, uint64_t mixed)
{
    const struct tg_group *group = home_group(table, mixed);
    while (tg_group_is_full(group)) { /* ends: the load is at most 5/8 */
        group = group_after(table, group);
        const uint32_t same = tg_group_match(group, tag_of(mixed));
        if (same != 0) { return entry_value(table, tg_group_number(group, same)); }
    }
    return tg_slots_value(&no_slot);
}

/* First value whose slot may hold the key: hardly ever another key's. no_slot's when the key is absent. */
static inline void *value_candidate(const struct tg_table *table, uint64_t mixed)
{
    const struct tg_group *group = home_group(table, mixed);
    const uint32_t same = tg_group_match(group, tag_of(mixed));
    if (TG_UNLIKELY(same == 0)) { return displaced_candidate(table, mixed); }
    return entry_value(table, tg_group_number(group, same));
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

/* Whether keys of the same length are equal; false for those that do not fit a slot. memcmp costs a call; keys are
 * short, so a few loads that may overlap settle nearly all of them. Keys of one table are mostly of one length: the
 * branches on it cost next to nothing, other than a mask or a minimum would. */
static inline bool inline_equal(const uint8_t *a, const uint8_t *b, uint32_t bytes)
{
    uint64_t difference = 0;
    if (TG_LIKELY(bytes - 8 <= TG_KEY_INLINE_BYTES - 8)) {
        difference = (load64(a) ^ load64(b)) | (load64(a + (bytes - 8)) ^ load64(b + (bytes - 8)));
        if (bytes > 16) { difference |= load64(a + 8) ^ load64(b + 8); }
    } else if (bytes > TG_KEY_INLINE_BYTES) {
        difference = 1;
    } else if (bytes >= 4) {
        difference = (load32(a) ^ load32(b)) | (load32(a + bytes - 4) ^ load32(b + bytes - 4));
    } else {
        for (uint32_t i = 0; i < bytes; i++) { difference |= (uint64_t)(a[i] ^ b[i]); }
    }
    return difference == 0;
}

/* Equal keys have equal hashes, so the hash only spares a look at a far key. */
static inline bool slot_holds(const struct tg_slot *slot, struct tg_key key, uint64_t hash)
{
    if (slot->key_bytes != key.bytes) { return false; }
    if (TG_LIKELY(key.bytes <= TG_KEY_INLINE_BYTES)) { return inline_equal(slot->key, key.data, key.bytes); }
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
        table->slots.occupied[*number / TG_SEGMENT_UNITS]++;
        if (table->free_first != 0) { __builtin_prefetch(tg_slots_at(&table->slots, table->free_first - 1), 1); }
        memset(slot + 1, 0, table->value_bytes);
        return slot;
    }
    *number = table->carved_next;
    table->carved_next = tg_slots_after(&table->slots, *number);
    table->carved++;
    table->slots.occupied[*number / TG_SEGMENT_UNITS]++;
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
    table->slots.occupied[number / TG_SEGMENT_UNITS]--;
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

/* The whole search; where it ends without success, `*end` is the first group with room and *probes what was walked. */
static inline struct tg_slot *find_slot(const struct tg_table *table, struct tg_key key, uint64_t hash,
                                        struct tg_group **end, uint32_t *probes)
{
    const uint64_t mixed = mix(table, hash);
    struct tg_group *group = home_group(table, mixed);
    *probes = 0;
    for (;;) { /* ends: the load is at most 5/8 */
        for (uint32_t same = tg_group_match(group, tag_of(mixed)); same != 0; same = tg_match_rest(same)) {
            struct tg_slot *slot = tg_slots_of_value(entry_value(table, tg_group_number(group, same)));
            if (slot_holds(slot, key, hash)) { return slot; }
        }
        if (!tg_group_is_full(group)) { break; }
        group = group_after(table, group);
        *probes += TG_GROUP_WAYS;
    }
    *end = group;
    return NULL;
}

/* New keys, keys that came earlier in this batch, long keys, and the rare equal tags of different keys. NULL when table
 * or heap are full. */
static struct tg_slot *find_or_insert(struct tg_table *table, struct tg_key key, uint64_t hash, bool *fresh)
{
    struct tg_group *group;
    uint32_t probes;
    struct tg_slot *slot = find_slot(table, key, hash, &group, &probes);
    *fresh = slot == NULL;
    if (slot != NULL) { return slot; }
    uint32_t number;
    slot = slot_acquire(table, &number);
    if (slot == NULL) { return NULL; }
    if (!slot_set_key(table, slot, key, hash)) {
        slot_release(table, slot, number);
        return NULL;
    }
    const uint32_t way = tg_match_way(tg_group_match(group, 0));
    group->tags[way] = tag_of(mix(table, hash));
    group->numbers[way] = number + 1;
    table->count++;
    if (probes + way >= table->probe_max) { table->probe_max = probes + way + 1; }
    return slot;
}

/* The rows of one call. */
struct rows {
    const struct tg_key *keys;
    const uint64_t *hashes;
    void **values;
    uint64_t *fresh;
};

/* More prefetches into the second level can be under way than first-level fills, and what comes from there is soon
 * enough: at 100 k keys that took an update from 11 to 7 ns. */
static inline __attribute__((always_inline)) void prefetch(const void *line, bool far)
{
    if (far) {
        __builtin_prefetch(line, 0, 2);
    } else {
        __builtin_prefetch(line);
    }
}

/* *value becomes the value of the slot that is most likely the key's. */
static inline __attribute__((always_inline)) void resolve(const struct tg_table *table, uint64_t hash, void **value,
                                                          bool far)
{
    const uint8_t *candidate = value_candidate(table, mix(table, hash));
    *value = (void *)(uintptr_t)candidate;
    const uint8_t *slot = candidate - sizeof(struct tg_slot);
    prefetch(slot, far);
    if (far && table->line_count > 1) {
        prefetch(slot + 64, far);
        if (table->line_count > 2) { prefetch(slot + 128, far); }
    }
}

static inline bool holds_inline(const void *value, const struct tg_key *key)
{
    const struct tg_slot *slot = tg_slots_of_value(value);
    const uint32_t bytes = key->bytes;
    return TG_LIKELY(slot->key_bytes == bytes && inline_equal(slot->key, key->data, bytes));
}

static inline void mark(uint64_t *fresh, uint32_t row) { fresh[row / 64] |= 1ull << (row % 64); }

static inline uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Look all rows up: values where the key is in a slot and was found at once, a bit in `fresh` for all others. */
static inline __attribute__((always_inline)) void look(const struct tg_table *table, const struct rows *rows,
                                                       uint32_t count, bool far)
{
    const struct tg_table fixed = *table; /* nothing that the compiler must load again after each store */
    const uint64_t *restrict hashes = rows->hashes;
    void **restrict values = rows->values;
    const struct tg_key *restrict keys = rows->keys;
    const uint32_t lead = min_u32(LAG, count);
    for (uint32_t row = count; far && row-- > count - min_u32(2 * LAG, count);) {
        prefetch(home_group(&fixed, mix(&fixed, hashes[row])), far);
    }
    for (uint32_t row = count; row-- > count - lead;) { resolve(&fixed, hashes[row], &values[row], far); }
    void **value = values + (count - lead);
    const uint64_t *hash = hashes + (count - lead);
    const struct tg_key *key = keys + count;
    while (value != values) {
        value--;
        hash--;
        key--;
        if (far) { prefetch(home_group(&fixed, mix(&fixed, hash - hashes < LAG ? *hashes : hash[-LAG])), far); }
        resolve(&fixed, *hash, value, far);
        if (!holds_inline(value[LAG], key)) { mark(rows->fresh, (uint32_t)(key - keys)); }
    }
    for (uint32_t row = lead; row-- > 0;) {
        if (!holds_inline(values[row], &keys[row])) { mark(rows->fresh, row); }
    }
}

/* The rows that look() marked, in their order. Returns where it stopped: `count`, or the row that found no room. */
static uint32_t settle(struct tg_table *table, const struct rows *rows, uint32_t count)
{
    const uint32_t word_count = (count + 63) / 64;
    for (uint32_t word = 0; word < word_count; word++) {
        uint64_t marked = rows->fresh[word];
        rows->fresh[word] = 0;
        for (; marked != 0; marked &= marked - 1) {
            const uint32_t row = word * 64 + (uint32_t)__builtin_ctzll(marked);
            bool fresh;
            struct tg_slot *slot = find_or_insert(table, rows->keys[row], rows->hashes[row], &fresh);
            if (slot == NULL) {
                while (++word < word_count) { rows->fresh[word] = 0; }
                return row;
            }
            rows->values[row] = tg_slots_value(slot);
            if (fresh) { mark(rows->fresh, row); }
        }
    }
    return count;
}

uint32_t tg_table_upsert(struct tg_table *table, uint32_t count, const struct tg_key *keys, const uint64_t *hashes,
                         void **values, uint64_t *fresh)
{
    TG_ASSERT(count >= 1 && count <= TG_BATCH_ROWS_MAX);
    const struct rows rows = {keys, hashes, values, fresh};
    fresh[0] = 0; /* a memset of unknown length costs more than the whole look-up of a single row */
    if (count > 64) { memset(fresh + 1, 0, (count - 1) / 64 * sizeof *fresh); }
    const uint64_t touched_bytes = index_bytes_for(table->index_bits) + table->carved * table->slots.slot_bytes;
    if (touched_bytes <= NEAR_BYTES) {
        look(table, &rows, count, false);
    } else {
        look(table, &rows, count, true);
    }
    return settle(table, &rows, count);
}

/* ---- single entries ---- */

/* Entry `at` of the index, counted over all groups. */
static inline uint32_t *tag_at(const struct tg_table *table, uint32_t at)
{
    return &table->index[at / TG_GROUP_WAYS].tags[at % TG_GROUP_WAYS];
}
static inline uint32_t *number_at(const struct tg_table *table, uint32_t at)
{
    return &table->index[at / TG_GROUP_WAYS].numbers[at % TG_GROUP_WAYS];
}

/* First entry of the group where probing for `tag` starts. */
static inline uint32_t home_of(const struct tg_table *table, uint32_t tag)
{
    return (uint32_t)(home_group(table, (uint64_t)tag << 32) - table->index) * TG_GROUP_WAYS;
}

/* Position of the entry that names `number`, whose key has this tag. */
static uint32_t index_position(const struct tg_table *table, uint32_t number, uint32_t tag)
{
    uint32_t at = home_of(table, tag);
    while (*number_at(table, at) != number + 1) {
        TG_ASSERT(*tag_at(table, at) != 0); /* every occupied slot is in the index, with no gap before it */
        at = (at + 1) & table->index_mask;
    }
    return at;
}

void *tg_table_find(struct tg_table *table, struct tg_key key, uint64_t hash)
{
    struct tg_group *end;
    uint32_t probes;
    struct tg_slot *slot = find_slot(table, key, hash, &end, &probes);
    return slot == NULL ? NULL : tg_slots_value(slot);
}

/* Free the entry at `hole`, then pull back entries that a search would no longer reach: an entry may move into the hole
 * when its home does not lie between the hole and itself. Its tag alone tells. */
static void index_close_gap(struct tg_table *table, uint32_t hole)
{
    const uint32_t mask = table->index_mask;
    uint32_t at = hole;
    for (;;) { /* ends at the first free entry */
        at = (at + 1) & mask;
        const uint32_t tag = *tag_at(table, at);
        if (tag == 0) { break; }
        const uint32_t home = home_of(table, tag);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            *tag_at(table, hole) = tag;
            *number_at(table, hole) = *number_at(table, at);
            hole = at;
        }
    }
    *tag_at(table, hole) = 0;
    *number_at(table, hole) = 0;
}

void tg_table_remove(struct tg_table *table, void *value)
{
    struct tg_slot *slot = tg_slots_of_value(value);
    TG_ASSERT(slot->key_bytes != TG_SLOT_FREE);
    const uint32_t number = tg_slots_number(&table->slots, slot);
    index_close_gap(table, index_position(table, number, tag_of(mix(table, slot->hash))));
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
    const uint64_t index_bytes = index_bytes_for(table->index_bits);
    const uint64_t touched_bytes = table->carved * 4096;
    return segments * TG_SEGMENT_BYTES + (touched_bytes < index_bytes ? touched_bytes : index_bytes);
}

uint32_t tg_table_probe_max(const struct tg_table *table) { return table->probe_max; }

/* ---- invariants ---- */

static void check_entry(const struct tg_table *table, uint32_t at)
{
    const uint32_t tag = *tag_at(table, at);
    const uint32_t number = *number_at(table, at) - 1;
    TG_ASSERT(number < table->carved_next);
    const struct tg_slot *slot = tg_slots_at(&table->slots, number);
    TG_ASSERT(tg_slots_number(&table->slots, slot) == number);
    TG_ASSERT(slot->key_bytes != TG_SLOT_FREE);
    TG_ASSERT(tag_of(mix(table, slot->hash)) == tag);
    for (uint32_t p = home_of(table, tag); p != at; p = (p + 1) & table->index_mask) {
        TG_ASSERT(*tag_at(table, p) != 0); /* a search reaches it */
    }
}

void tg_table_check(const struct tg_table *table)
{
    uint64_t indexed = 0;
    for (uint64_t at = 0; at <= table->index_mask; at++) {
        if (*tag_at(table, (uint32_t)at) == 0) { continue; }
        check_entry(table, (uint32_t)at);
        indexed++;
    }
    TG_ASSERT(indexed == table->count);
    TG_ASSERT(table->count <= table->entry_count_max);
    uint64_t occupied = 0;
    for (uint32_t n = tg_table_next(table, 0); n != TG_SLOT_NONE; n = tg_table_next(table, n + 1)) { occupied++; }
    TG_ASSERT(occupied == table->count);
    uint64_t counted = 0;
    for (uint32_t n = 0; n < table->carved_next; n += TG_SEGMENT_UNITS) {
        counted += table->slots.occupied[n / TG_SEGMENT_UNITS];
    }
    TG_ASSERT(counted == occupied);
    uint64_t listed = 0;
    for (uint32_t n = table->free_first; n != 0; n = (uint32_t)tg_slots_at(&table->slots, n - 1)->hash) {
        TG_ASSERT(tg_slots_at(&table->slots, n - 1)->key_bytes == TG_SLOT_FREE);
        listed++;
        TG_ASSERT(listed <= table->free_count);
    }
    TG_ASSERT(listed == table->free_count);
    TG_ASSERT(listed + occupied == table->carved);
}
