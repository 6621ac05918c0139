/* Row store: a hash index over slots of one row each, a queue through the waiting slots, and the memory of texts.
 * The index is open addressing with linear probing and deletion by shifting back (Knuth 6.4 R), at most half full; an
 * index cell is {upper hash half, slot number + 1}. */
#include "io/row_store.h"

#include <string.h>

#include "base/assert.h"
#include "base/key.h"

enum {
    TEXT_CLASS_SHIFT = 5, /* smallest block: 32 bytes */
    TEXT_CLASS_COUNT = 20 /* largest: 16 MiB, more than 64 texts of 64 KiB */
};
static_assert(((uint64_t)TG_COLUMNS_MAX * TG_TEXT_BYTES_MAX) <= (1ull << (TEXT_CLASS_SHIFT + TEXT_CLASS_COUNT - 1)),
              "the largest class holds the texts of any row");
static_assert(sizeof(struct tg_row_entry) % 8 == 0, "the image behind an entry starts at a multiple of 16");

struct cell {
    uint32_t tag;  /* upper half of the hash */
    uint32_t slot; /* + 1; 0 = empty */
};

struct free_text {
    struct free_text *next;
};

struct tg_row_store {
    const struct tg_schema *schema;
    const uint32_t *key_columns;
    uint32_t key_count;
    uint32_t capacity;
    uint8_t *slots; /* [capacity x slot_bytes] */
    size_t slot_bytes;
    uint32_t slots_used;              /* slots ever handed out */
    struct tg_row_entry *free_slots;  /* of those */
    struct tg_row_entry *first;       /* queue of waiting entries */
    struct tg_row_entry *last;
    uint32_t waiting;
    uint32_t live; /* waiting and taken */
    uint64_t rows; /* behind live entries */
    struct cell *cells;
    uint32_t cell_mask;
    uint8_t *text_area;
    size_t text_bytes;
    size_t text_used;
    uint64_t text_blocks; /* blocks lent */
    struct free_text *free_texts[TEXT_CLASS_COUNT];
    uint32_t text_columns[TG_COLUMNS_MAX];
    uint32_t text_column_count;
};

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

static uint32_t power_of_two(uint64_t at_least)
{
    uint64_t value = 1;
    while (value < at_least) { value <<= 1; }
    TG_ASSERT(value <= 1u << 31);
    return (uint32_t)value;
}

static size_t slot_bytes_of(const struct tg_row_store_config *config)
{
    return ((sizeof(struct tg_row_entry) + 15) & ~(size_t)15) + config->schema->row_bytes;
}

/* Room for the configured bytes, and in any case for one row of the longest texts after everything was released. */
static size_t text_bytes_of(const struct tg_row_store_config *config)
{
    const size_t one_row = 2 * (size_t)config->schema->text_count * TG_TEXT_BYTES_MAX;
    const size_t bytes = config->text_bytes > one_row ? config->text_bytes : one_row;
    return config->schema->text_count == 0 ? 0 : bytes;
}

size_t tg_row_store_bytes(const struct tg_row_store_config *config)
{
    return sizeof(struct tg_row_store) + config->capacity * slot_bytes_of(config) +
           power_of_two(2ull * config->capacity) * sizeof(struct cell) + text_bytes_of(config) + 4 * 64;
}

tg_status tg_row_store_create(struct tg_row_store **store, const struct tg_row_store_config *config,
                              struct tg_arena *arena,
                              struct tg_error *err)
{
    TG_ASSERT(config->key_count >= 1);
    TG_ASSERT(config->capacity >= 1);
    const size_t slot_bytes = slot_bytes_of(config);
    const size_t text_bytes = text_bytes_of(config);
    const uint32_t cell_count = power_of_two(2ull * config->capacity);
    struct tg_row_store *made = tg_arena_alloc(arena, sizeof *made, 64);
    uint8_t *slots = tg_arena_alloc(arena, config->capacity * slot_bytes, 64);
    struct cell *cells = tg_arena_alloc(arena, cell_count * sizeof *cells, 64);
    uint8_t *text_area = tg_arena_alloc(arena, text_bytes, 64);
    if (made == NULL || slots == NULL || cells == NULL || text_area == NULL) {
        return tg_fail(err, TG1601, 0, "no address space for %u waiting rows (%zu bytes)", config->capacity,
                       tg_row_store_bytes(config));
    }
    *made = (struct tg_row_store){.schema = config->schema,
                                  .key_columns = config->key_columns,
                                  .key_count = config->key_count,
                                  .capacity = config->capacity,
                                  .slots = slots,
                                  .slot_bytes = slot_bytes,
                                  .cells = cells,
                                  .cell_mask = cell_count - 1,
                                  .text_area = text_area,
                                  .text_bytes = text_bytes};
    for (uint32_t i = 0; i < config->schema->column_count; i++) {
        const enum tg_type type = config->schema->columns[i].type;
        if (type == TG_TYPE_TEXT || type == TG_TYPE_JSON) { made->text_columns[made->text_column_count++] = i; }
    }
    *store = made;
    return TG_OK;
}

/* ---- texts ------------------------------------------------------------------------------------------------------- */

static uint32_t text_class_of(uint64_t bytes)
{
    if (bytes <= 1u << TEXT_CLASS_SHIFT) { return 0; }
    return (uint32_t)(64 - __builtin_clzll(bytes - 1)) - TEXT_CLASS_SHIFT;
}

static size_t text_class_bytes(uint32_t text_class) { return (size_t)1 << (text_class + TEXT_CLASS_SHIFT); }

static void *text_acquire(struct tg_row_store *store, uint32_t text_class)
{
    TG_ASSERT(text_class < TEXT_CLASS_COUNT);
    void *block = NULL;
    if (store->free_texts[text_class] != NULL) {
        block = store->free_texts[text_class];
        store->free_texts[text_class] = store->free_texts[text_class]->next;
    } else if (text_class_bytes(text_class) <= store->text_bytes - store->text_used) {
        block = store->text_area + store->text_used;
        store->text_used += text_class_bytes(text_class);
    }
    store->text_blocks += block != NULL;
    return block;
}

/* The area starts afresh whenever nothing is lent: blocks of one class never stay in the way of another for ever. */
static void text_release(struct tg_row_store *store, void *block, uint32_t text_class)
{
    if (block == NULL) { return; }
    struct free_text *text = block;
    text->next = store->free_texts[text_class];
    store->free_texts[text_class] = text;
    TG_ASSERT(store->text_blocks > 0);
    if (--store->text_blocks != 0) { return; }
    store->text_used = 0;
    memset(store->free_texts, 0, sizeof store->free_texts);
}

static uint64_t row_text_bytes(const struct tg_row_store *store, const struct tg_row *row)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < store->text_column_count; i++) {
        const uint32_t column = store->text_columns[i];
        if (!tg_row_is_null(store->schema, row, column)) {
            bytes += ((const tg_text *)tg_row_value(store->schema, row, column))->bytes;
        }
    }
    return bytes;
}

/* Copy `row` into the entry's image, its texts into `block`. */
static void entry_fill(struct tg_row_store *store, struct tg_row_entry *entry, const struct tg_row *row, void *block)
{
    struct tg_row *image = (struct tg_row *)(uintptr_t)tg_row_entry_row(entry);
    memcpy(image, row, store->schema->row_bytes);
    char *target = block;
    for (uint32_t i = 0; i < store->text_column_count; i++) {
        const uint32_t column = store->text_columns[i];
        if (tg_row_is_null(store->schema, image, column)) { continue; }
        tg_text *text = tg_row_value(store->schema, image, column);
        if (text->bytes != 0) { memcpy(target, text->data, text->bytes); }
        text->data = target;
        target += text->bytes;
    }
    entry->texts = block;
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static bool is_text(enum tg_type type) { return type == TG_TYPE_TEXT || type == TG_TYPE_JSON; }

static uint64_t key_hash(const struct tg_row_store *store, const struct tg_row *row)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < store->key_count; i++) {
        const uint32_t column = store->key_columns[i];
        const enum tg_type type = store->schema->columns[column].type;
        const void *value = tg_row_value(store->schema, row, column);
        uint64_t part = 0x9E3779B97F4A7C15u; /* null */
        if (!tg_row_is_null(store->schema, row, column)) {
            const tg_text *text = value;
            part = is_text(type) ? tg_key_hash((const uint8_t *)(text->bytes != 0 ? text->data : ""), text->bytes)
                                 : tg_key_hash(value, tg_type_bytes(type));
        }
        hash = ((hash << 23 | hash >> 41) ^ part) * 0xff51afd7ed558ccdu;
    }
    return hash ^ hash >> 32;
}

static bool key_equal(const struct tg_row_store *store, const struct tg_row *a, const struct tg_row *b)
{
    for (uint32_t i = 0; i < store->key_count; i++) {
        const uint32_t column = store->key_columns[i];
        const bool null = tg_row_is_null(store->schema, a, column);
        if (null != tg_row_is_null(store->schema, b, column)) { return false; }
        if (null) { continue; }
        const enum tg_type type = store->schema->columns[column].type;
        const void *value_a = tg_row_value(store->schema, a, column);
        const void *value_b = tg_row_value(store->schema, b, column);
        if (is_text(type)) {
            const tg_text *text_a = value_a;
            const tg_text *text_b = value_b;
            if (text_a->bytes != text_b->bytes) { return false; }
            if (text_a->bytes != 0 && memcmp(text_a->data, text_b->data, text_a->bytes) != 0) { return false; }
        } else if (memcmp(value_a, value_b, tg_type_bytes(type)) != 0) {
            return false;
        }
    }
    return true;
}

/* ---- index ------------------------------------------------------------------------------------------------------- */

static struct tg_row_entry *slot_at(const struct tg_row_store *store, uint32_t slot)
{
    return (struct tg_row_entry *)(void *)(store->slots + slot * store->slot_bytes);
}

static uint32_t slot_of(const struct tg_row_store *store, const struct tg_row_entry *entry)
{
    return (uint32_t)((size_t)((const uint8_t *)entry - store->slots) / store->slot_bytes);
}

/* Cell of the waiting entry with this key, or the empty cell where it belongs. */
static struct cell *cell_find(const struct tg_row_store *store, uint64_t hash, const struct tg_row *row)
{
    for (uint32_t at = (uint32_t)hash & store->cell_mask;; at = (at + 1) & store->cell_mask) {
        struct cell *cell = &store->cells[at];
        if (cell->slot == 0) { return cell; } /* the index is at most half full, so the loop ends */
        if (cell->tag != (uint32_t)(hash >> 32)) { continue; }
        if (key_equal(store, tg_row_entry_row(slot_at(store, cell->slot - 1)), row)) { return cell; }
    }
}

static void cell_remove(struct tg_row_store *store, const struct tg_row_entry *entry)
{
    const uint32_t slot = slot_of(store, entry) + 1;
    uint32_t hole = (uint32_t)entry->hash & store->cell_mask;
    while (store->cells[hole].slot != slot) {
        TG_ASSERT(store->cells[hole].slot != 0);
        hole = (hole + 1) & store->cell_mask;
    }
    for (uint32_t at = (hole + 1) & store->cell_mask; store->cells[at].slot != 0; at = (at + 1) & store->cell_mask) {
        const uint32_t home = (uint32_t)slot_at(store, store->cells[at].slot - 1)->hash & store->cell_mask;
        /* may not move before home */
        if (((at - home) & store->cell_mask) < ((at - hole) & store->cell_mask)) { continue; }
        store->cells[hole] = store->cells[at];
        hole = at;
    }
    store->cells[hole] = (struct cell){0};
}

/* ---- put and take ------------------------------------------------------------------------------------------------ */

static struct tg_row_entry *entry_acquire(struct tg_row_store *store)
{
    struct tg_row_entry *entry = store->free_slots;
    if (entry != NULL) {
        store->free_slots = entry->next;
    } else if (store->slots_used < store->capacity) {
        entry = slot_at(store, store->slots_used++);
    }
    return entry;
}

static enum tg_row_put put_over(struct tg_row_store *store, struct tg_row_entry *entry, const struct tg_row *row)
{
    if (row->revision <= tg_row_entry_row(entry)->revision) {
        entry->rows++;
        store->rows++;
        return TG_ROW_PUT_STALE;
    }
    const uint64_t bytes = row_text_bytes(store, row);
    const uint32_t text_class = text_class_of(bytes);
    void *block = entry->texts;
    if (bytes != 0 && (block == NULL || text_class > entry->text_class)) { /* a larger block serves as well */
        block = text_acquire(store, text_class);
        if (block == NULL) { return TG_ROW_PUT_FULL; }
        text_release(store, entry->texts, entry->text_class);
        entry->text_class = text_class;
    }
    entry_fill(store, entry, row, block);
    entry->rows++;
    store->rows++;
    return TG_ROW_PUT_REPLACED;
}

enum tg_row_put tg_row_store_put(struct tg_row_store *store, const struct tg_row *row, uint64_t arrived_ns)
{
    const uint64_t hash = key_hash(store, row);
    struct cell *cell = cell_find(store, hash, row);
    if (cell->slot != 0) { return put_over(store, slot_at(store, cell->slot - 1), row); }
    const uint64_t bytes = row_text_bytes(store, row);
    const uint32_t text_class = text_class_of(bytes);
    struct tg_row_entry *entry = entry_acquire(store);
    if (entry == NULL) { return TG_ROW_PUT_FULL; }
    void *block = bytes != 0 ? text_acquire(store, text_class) : NULL;
    if (bytes != 0 && block == NULL) {
        entry->next = store->free_slots;
        store->free_slots = entry;
        return TG_ROW_PUT_FULL;
    }
    *entry = (struct tg_row_entry){.hash = hash, .arrived_ns = arrived_ns, .rows = 1, .text_class = text_class};
    entry_fill(store, entry, row, block);
    *cell = (struct cell){.tag = (uint32_t)(hash >> 32), .slot = slot_of(store, entry) + 1};
    if (store->last != NULL) {
        store->last->next = entry;
    } else {
        store->first = entry;
    }
    store->last = entry;
    store->waiting++;
    store->live++;
    store->rows++;
    return TG_ROW_PUT_NEW;
}

uint32_t tg_row_store_count(const struct tg_row_store *store) { return store->waiting; }

uint64_t tg_row_store_rows(const struct tg_row_store *store) { return store->rows; }

uint32_t tg_row_store_take(struct tg_row_store *store, struct tg_row_entry **entries, uint32_t count)
{
    uint32_t taken = 0;
    while (taken < count && store->first != NULL) {
        struct tg_row_entry *entry = store->first;
        cell_remove(store, entry);
        store->first = entry->next;
        entry->next = NULL;
        entries[taken++] = entry;
    }
    if (store->first == NULL) { store->last = NULL; }
    store->waiting -= taken;
    return taken;
}

void tg_row_store_release(struct tg_row_store *store, struct tg_row_entry *entry)
{
    TG_ASSERT(store->live > store->waiting);
    text_release(store, entry->texts, entry->text_class);
    store->live--;
    store->rows -= entry->rows;
    entry->rows = 0;
    entry->texts = NULL;
    entry->next = store->free_slots;
    store->free_slots = entry;
}

void tg_row_store_check(const struct tg_row_store *store)
{
    uint32_t waiting = 0;
    for (const struct tg_row_entry *entry = store->first; entry != NULL; entry = entry->next) {
        const struct cell *cell = cell_find(store, entry->hash, tg_row_entry_row(entry));
        TG_ASSERT(cell->slot == slot_of(store, entry) + 1);
        TG_ASSERT(entry->next != NULL || store->last == entry);
        waiting++;
    }
    uint32_t cells = 0;
    for (uint32_t i = 0; i <= store->cell_mask; i++) { cells += store->cells[i].slot != 0; }
    uint32_t free_slots = 0;
    for (const struct tg_row_entry *entry = store->free_slots; entry != NULL; entry = entry->next) { free_slots++; }
    TG_ASSERT(waiting == store->waiting);
    TG_ASSERT(cells == waiting);
    TG_ASSERT(free_slots + store->live == store->slots_used);
    TG_ASSERT(store->text_used <= store->text_bytes);
}
