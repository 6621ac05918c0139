/* Rows by key, and everything that was ever written to them. */
#include "engine/sim/cql_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/json_text.h"
#include "base/key.h"
#include "base/timestamp.h"
#include "io/cassandra/statement.h"

struct cell {
    bool written;
    bool is_null;
    int64_t timestamp;
    uint32_t bytes;
    uint8_t *data;
};

struct row {
    uint64_t hash; /* of the key's values */
    int64_t timestamp;
    int64_t risen;
    struct cell cells[TG_SIM_CELLS_MAX];
};

/* A write once seen: what it wrote under which timestamp of which row. */
struct seen {
    uint64_t place; /* 0 = free */
    uint64_t content;
};

struct tg_sim_table {
    struct tg_sim_table_config config;
    struct row **rows; /* [row_slots] open addressing by hash */
    uint32_t row_slots;
    uint32_t row_count;
    struct seen *seen; /* [seen_slots] */
    uint32_t seen_slots;
    uint32_t seen_count;
    uint64_t writes;
    uint64_t stale;
    char violation[TG_SIM_VIOLATION_BYTES];
};

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

void tg_sim_table_describe(struct tg_sim_table_config *config, const struct tg_schema *schema,
                           const uint32_t *key_columns, uint32_t key_count)
{
    TG_ASSERT(schema->column_count <= TG_SIM_CELLS_MAX);
    *config = (struct tg_sim_table_config){.column_count = schema->column_count, .rising = -1};
    for (uint32_t i = 0; i < schema->column_count; i++) {
        config->columns[i].name = schema->columns[i].name;
        config->columns[i].type = tg_cql_type_for(&schema->columns[i]);
        if (config->columns[i].type == TG_CQL_TYPE_TIMESTAMP) { config->rising = (int32_t)i; }
    }
    for (uint32_t i = 0; i < key_count; i++) { config->columns[key_columns[i]].in_key = true; }
}

struct tg_sim_table *tg_sim_table_create(const struct tg_sim_table_config *config)
{
    enum { ROW_SLOTS = 1024, SEEN_SLOTS = 8192 };
    struct tg_sim_table *table = calloc(1, sizeof *table);
    if (table == NULL) { return NULL; }
    table->config = *config;
    table->row_slots = ROW_SLOTS;
    table->seen_slots = SEEN_SLOTS;
    table->rows = calloc(ROW_SLOTS, sizeof(struct row *));
    table->seen = calloc(SEEN_SLOTS, sizeof *table->seen);
    if (table->rows == NULL || table->seen == NULL) {
        tg_sim_table_destroy(table);
        return NULL;
    }
    return table;
}

void tg_sim_table_destroy(struct tg_sim_table *table)
{
    if (table == NULL) { return; }
    for (uint32_t i = 0; table->rows != NULL && i < table->row_slots; i++) {
        if (table->rows[i] == NULL) { continue; }
        for (uint32_t c = 0; c < table->config.column_count; c++) { free(table->rows[i]->cells[c].data); }
        free(table->rows[i]);
    }
    free(table->rows);
    free(table->seen);
    free(table);
}

const struct tg_sim_table_config *tg_sim_table_columns(const struct tg_sim_table *table) { return &table->config; }

/* ---- look-up ----------------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, const void *data, uint32_t bytes)
{
    return (hash ^ tg_key_hash(data, bytes)) * 0x9E3779B97F4A7C15ULL + bytes;
}

static uint64_t values_hash(const struct tg_sim_table *table, const struct tg_sim_value *values, bool of_key)
{
    uint64_t hash = 1;
    for (uint32_t i = 0; i < table->config.column_count; i++) {
        if (of_key && !table->config.columns[i].in_key) { continue; }
        const uint8_t kind = values[i].unset ? 2 : values[i].view.is_null ? 1 : 0;
        hash = mix(hash, &kind, 1);
        if (kind == 0) { hash = mix(hash, values[i].view.data, values[i].view.bytes); }
    }
    return hash == 0 ? 1 : hash;
}

static struct row **row_slot(struct row **rows, uint32_t slots, uint64_t hash)
{
    uint32_t slot = (uint32_t)hash & (slots - 1);
    while (rows[slot] != NULL && rows[slot]->hash != hash) { slot = (slot + 1) & (slots - 1); }
    return &rows[slot];
}

static struct row *row_of(struct tg_sim_table *table, uint64_t hash)
{
    if (table->row_count * 2 >= table->row_slots) {
        struct row **larger = calloc((size_t)table->row_slots * 2, sizeof *larger);
        TG_ASSERT(larger != NULL);
        for (uint32_t i = 0; i < table->row_slots; i++) {
            if (table->rows[i] != NULL) {
                *row_slot(larger, table->row_slots * 2, table->rows[i]->hash) = table->rows[i];
            }
        }
        free(table->rows);
        table->rows = larger;
        table->row_slots *= 2;
    }
    struct row **slot = row_slot(table->rows, table->row_slots, hash);
    if (*slot == NULL) {
        *slot = calloc(1, sizeof **slot);
        TG_ASSERT(*slot != NULL);
        (*slot)->hash = hash;
        (*slot)->timestamp = INT64_MIN;
        (*slot)->risen = INT64_MIN;
        table->row_count++;
    }
    return *slot;
}

static struct seen *seen_slot(struct seen *seen, uint32_t slots, uint64_t place)
{
    uint32_t slot = (uint32_t)(place >> 20) & (slots - 1);
    while (seen[slot].place != 0 && seen[slot].place != place) { slot = (slot + 1) & (slots - 1); }
    return &seen[slot];
}

/* What was first written at this place; `content` when nothing was. */
static uint64_t first_content(struct tg_sim_table *table, uint64_t place, uint64_t content)
{
    if (table->seen_count * 2 >= table->seen_slots) {
        struct seen *larger = calloc((size_t)table->seen_slots * 2, sizeof *larger);
        TG_ASSERT(larger != NULL);
        for (uint32_t i = 0; i < table->seen_slots; i++) {
            const struct seen *old = &table->seen[i];
            if (old->place != 0) { *seen_slot(larger, table->seen_slots * 2, old->place) = *old; }
        }
        free(table->seen);
        table->seen = larger;
        table->seen_slots *= 2;
    }
    struct seen *slot = seen_slot(table->seen, table->seen_slots, place);
    if (slot->place == 0) {
        *slot = (struct seen){place, content};
        table->seen_count++;
    }
    return slot->content;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* Would this value replace the cell's under the same timestamp? */
static bool wins_tie(const struct cell *cell, struct tg_cql_view value)
{
    if (cell->is_null || value.is_null) { return value.is_null && !cell->is_null; }
    const uint32_t shorter = cell->bytes < value.bytes ? cell->bytes : value.bytes;
    const int order = shorter > 0 ? memcmp(value.data, cell->data, shorter) : 0;
    return order != 0 ? order > 0 : value.bytes > cell->bytes;
}

static bool cell_write(struct cell *cell, struct tg_cql_view value, int64_t timestamp)
{
    if (cell->written && (timestamp < cell->timestamp || (timestamp == cell->timestamp && !wins_tie(cell, value)))) {
        return false;
    }
    cell->written = true;
    cell->is_null = value.is_null;
    cell->timestamp = timestamp;
    cell->bytes = value.is_null ? 0 : value.bytes;
    cell->data = realloc(cell->data, cell->bytes + 1);
    TG_ASSERT(cell->data != NULL);
    if (cell->bytes > 0) { memcpy(cell->data, value.data, cell->bytes); }
    return true;
}

static int64_t cell_number(const struct cell *cell)
{
    uint64_t number = cell->bytes > 0 && (cell->data[0] & 0x80) != 0 ? UINT64_MAX : 0;
    for (uint32_t i = 0; i < cell->bytes && i < 8; i++) { number = number << 8 | cell->data[i]; }
    return (int64_t)number;
}

/* What a reader sees of the row after each write. */
static void observe(struct tg_sim_table *table, struct row *row, const struct tg_sim_value *values, int64_t timestamp)
{
    const int32_t rising = table->config.rising;
    int64_t newest = INT64_MIN;
    for (uint32_t i = 0; i < table->config.column_count; i++) {
        const struct cell *cell = &row->cells[i];
        newest = cell->written && cell->timestamp > newest ? cell->timestamp : newest;
    }
    int64_t risen = row->risen;
    if (rising >= 0 && row->cells[rising].written && !row->cells[rising].is_null) {
        risen = cell_number(&row->cells[rising]);
    }
    if (table->violation[0] == '\0' && (newest < row->timestamp || risen < row->risen)) {
        (void)snprintf(table->violation, sizeof table->violation,
                       "a row (first value %.*s) stepped back under write timestamp %" PRId64 ": timestamp %" PRId64
                       " to %" PRId64 ", %s %" PRId64 " to %" PRId64,
                       values[0].view.is_null ? 0 : (int)(values[0].view.bytes < 64 ? values[0].view.bytes : 64),
                       (const char *)values[0].view.data, timestamp, row->timestamp, newest,
                       rising >= 0 ? table->config.columns[rising].name : "-", row->risen, risen);
    }
    row->timestamp = newest;
    row->risen = risen;
}

void tg_sim_table_write(struct tg_sim_table *table, const struct tg_sim_value *values, int64_t timestamp)
{
    const uint64_t hash = values_hash(table, values, true);
    const uint64_t content = values_hash(table, values, false);
    struct row *row = row_of(table, hash);
    const uint64_t place = mix(hash, &timestamp, sizeof timestamp) | 1;
    if (first_content(table, place, content) != content && table->violation[0] == '\0') {
        (void)snprintf(table->violation, sizeof table->violation,
                       "a row (first value %.*s) was written twice under timestamp %" PRId64 " with different values",
                       values[0].view.is_null ? 0 : (int)(values[0].view.bytes < 64 ? values[0].view.bytes : 64),
                       (const char *)values[0].view.data, timestamp);
    }
    bool changed = false;
    for (uint32_t i = 0; i < table->config.column_count; i++) {
        if (!values[i].unset) { changed = cell_write(&row->cells[i], values[i].view, timestamp) || changed; }
    }
    table->writes++;
    table->stale += !changed;
    observe(table, row, values, timestamp);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

const char *tg_sim_table_violation(const struct tg_sim_table *table)
{
    return table->violation[0] != '\0' ? table->violation : NULL;
}

void tg_sim_table_counts(const struct tg_sim_table *table, uint64_t *writes, uint64_t *stale)
{
    *writes = table->writes;
    *stale = table->stale;
}

static void print_cell(const struct cell *cell, uint16_t type, FILE *out)
{
    char text[8192];
    struct tg_writer writer = {.data = text, .capacity = sizeof text};
    char stamp[TG_TS_TEXT_BYTES];
    if (!cell->written || cell->is_null) {
        (void)fputs("null", out);
        return;
    }
    switch (type) {
    case TG_CQL_TYPE_TIMESTAMP: /* milliseconds */
        (void)fprintf(out, "\"%.*s\"", (int)tg_ts_format(cell_number(cell) * 1000, stamp), stamp);
        return;
    case TG_CQL_TYPE_BOOLEAN: (void)fputs(cell->data[0] != 0 ? "true" : "false", out); return;
    case TG_CQL_TYPE_INT:
    case TG_CQL_TYPE_BIGINT: (void)fprintf(out, "%" PRId64, cell_number(cell)); return;
    default: break;
    }
    tg_write_json_string(&writer, (const char *)cell->data, cell->bytes);
    TG_ASSERT(!writer.overflow);
    (void)fwrite(text, 1, writer.used, out);
}

void tg_sim_table_print(const struct tg_sim_table *table, FILE *out)
{
    for (uint32_t i = 0; i < table->row_slots; i++) {
        const struct row *row = table->rows[i];
        if (row == NULL) { continue; }
        (void)fputc('{', out);
        for (uint32_t c = 0; c < table->config.column_count; c++) {
            (void)fprintf(out, "\"%s\":", table->config.columns[c].name);
            print_cell(&row->cells[c], table->config.columns[c].type, out);
            (void)fputc(',', out);
        }
        (void)fprintf(out, "\"_timestamp\":%" PRId64 "}\n", row->timestamp);
    }
}
