/* Rendering of tables. Width is counted in terminal columns: combining marks none, East Asian wide characters and emoji
 * two, everything else one (a coarse table of ranges: it serves alignment, not typography). */
#include "io/console/table.h"

#include <string.h>

#include "base/assert.h"
#include "io/value_text.h"

enum { CHAR_BYTES_MAX = 6, GAP = 2 }; /* an escaped control byte: \u001b */

struct character {
    uint32_t bytes; /* in the text */
    uint32_t code;
};

/* The character at the start of text (bytes > 0). Invalid UTF-8 counts as single bytes. */
static struct character character_at(const char *text, uint32_t bytes)
{
    const unsigned char first = (unsigned char)text[0];
    const uint32_t length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 1;
    if (length == 1 || length > bytes) { return (struct character){1, first}; }
    uint32_t code = first & (0xFFu >> (length + 1));
    for (uint32_t i = 1; i < length; i++) { code = code << 6 | ((unsigned char)text[i] & 0x3F); }
    return (struct character){length, code};
}

static bool is_control(uint32_t code) { return code < 0x20 || (code >= 0x7F && code < 0xA0); }

static uint32_t terminal_columns(uint32_t code)
{
    if (code < 0x300) { return 1; }
    if (code < 0x370 || (code >= 0x200B && code <= 0x200F) || (code >= 0xFE00 && code <= 0xFE0F)) { return 0; }
    const bool wide = (code >= 0x1100 && code <= 0x115F) || (code >= 0x2E80 && code <= 0xA4CF) ||
                      (code >= 0xAC00 && code <= 0xD7A3) || (code >= 0xF900 && code <= 0xFAFF) ||
                      (code >= 0xFE30 && code <= 0xFE6F) || (code >= 0xFF00 && code <= 0xFF60) ||
                      (code >= 0x1F300 && code <= 0x1FAFF) || (code >= 0x20000 && code <= 0x3FFFD);
    return wide ? 2 : 1;
}

static void spaces(struct tg_writer *writer, uint32_t count)
{
    static const char blank[] = "                                                                ";
    static_assert(sizeof blank > TG_TABLE_CELL_CHARS_MAX + GAP, "one piece pads any cell");
    while (count != 0) {
        const uint32_t piece = count < sizeof blank - 1 ? count : (uint32_t)sizeof blank - 1;
        tg_write_bytes(writer, blank, piece);
        count -= piece;
    }
}

/* Printable form of a text into a cell of at most TG_TABLE_CELL_CHARS_MAX columns; returns the columns it takes. */
static uint32_t cell_fill(struct tg_writer *cell, tg_text text)
{
    static const char hex[] = "0123456789abcdef";
    uint32_t columns = 0;
    for (uint32_t at = 0; at < text.bytes;) {
        const struct character c = character_at(text.data + at, text.bytes - at);
        const uint32_t needed = is_control(c.code) ? CHAR_BYTES_MAX : terminal_columns(c.code);
        const bool is_last = at + c.bytes == text.bytes;
        if (columns + needed > TG_TABLE_CELL_CHARS_MAX - (is_last ? 0 : 1)) {
            tg_write_cstr(cell, "\xe2\x80\xa6"); /* … */
            return columns + 1;
        }
        if (is_control(c.code)) {
            const char escape[CHAR_BYTES_MAX] = {'\\', 'u', '0', '0', hex[c.code >> 4 & 15], hex[c.code & 15]};
            tg_write_bytes(cell, escape, CHAR_BYTES_MAX);
        } else {
            tg_write_bytes(cell, text.data + at, c.bytes);
        }
        columns += needed;
        at += c.bytes;
    }
    return columns;
}

static void width_raise(_Atomic uint32_t *width, uint32_t columns)
{
    uint32_t seen = atomic_load_explicit(width, memory_order_relaxed);
    while (seen < columns &&
           !atomic_compare_exchange_weak_explicit(width, &seen, columns, memory_order_relaxed, memory_order_relaxed)) {}
}

enum side { LEFT, RIGHT };

/* One padded cell and the gap behind it; the last column of a line is not padded on the right. */
static void cell_write(struct tg_table *table, struct tg_writer *writer, uint32_t column, tg_text text, enum side side)
{
    char data[(TG_TABLE_CELL_CHARS_MAX + 1) * CHAR_BYTES_MAX];
    struct tg_writer cell = {.data = data, .capacity = sizeof data};
    const uint32_t columns = cell_fill(&cell, text);
    width_raise(&table->widths[column], columns);
    const uint32_t width = atomic_load_explicit(&table->widths[column], memory_order_relaxed);
    const uint32_t padding = width > columns ? width - columns : 0;
    const bool is_last = column + 1 == table->column_count;
    if (side == RIGHT) { spaces(writer, padding); }
    tg_write_bytes(writer, data, cell.used);
    if (side == LEFT && !is_last) { spaces(writer, padding); }
    if (is_last) {
        tg_write_bytes(writer, "\n", 1);
    } else {
        spaces(writer, GAP);
    }
}

static tg_text text_of(const char *text) { return (tg_text){.data = text, .bytes = (uint32_t)strlen(text)}; }

static enum side side_of(const struct tg_table *table, uint32_t column)
{
    if (column >= table->schema->column_count) { return column == table->schema->column_count ? RIGHT : LEFT; }
    switch (table->schema->columns[column].type) {
    case TG_TYPE_BIGINT:
    case TG_TYPE_INTEGER:
    case TG_TYPE_NUMERIC: return RIGHT;
    default: return LEFT;
    }
}

static const char *name_of(const struct tg_table *table, uint32_t column)
{
    const uint32_t count = table->schema->column_count;
    return column < count ? table->schema->columns[column].name : column == count ? "_revision" : "_final";
}

/* What most values of a type take, so that the first lines already align with later ones. */
static uint32_t width_expected(enum tg_type type)
{
    switch (type) {
    case TG_TYPE_TIMESTAMP: return 24;
    case TG_TYPE_DATE: return 10;
    case TG_TYPE_BOOLEAN: return 5;
    case TG_TYPE_NUMERIC: return 10;
    case TG_TYPE_BIGINT:
    case TG_TYPE_INTEGER: return 6;
    default: return 12;
    }
}

void tg_table_init(struct tg_table *table, const struct tg_schema *schema, bool with_revision)
{
    *table = (struct tg_table){.schema = schema, .with_revision = with_revision};
    table->column_count = schema->column_count + (with_revision ? 2 : 0);
    for (uint32_t i = 0; i < table->column_count; i++) {
        char data[(TG_TABLE_CELL_CHARS_MAX + 1) * CHAR_BYTES_MAX];
        struct tg_writer cell = {.data = data, .capacity = sizeof data};
        const uint32_t name = cell_fill(&cell, text_of(name_of(table, i)));
        const uint32_t values = i < schema->column_count ? width_expected(schema->columns[i].type) : 5;
        atomic_store_explicit(&table->widths[i], name > values ? name : values, memory_order_relaxed);
    }
}

uint32_t tg_table_line_bytes_max(const struct tg_schema *schema)
{
    const uint32_t cell = (TG_TABLE_CELL_CHARS_MAX + 1) * CHAR_BYTES_MAX + TG_TABLE_CELL_CHARS_MAX + GAP;
    return (schema->column_count + 2) * cell * 2 + 2;
}

uint32_t tg_table_width(const struct tg_table *table)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < table->column_count; i++) {
        sum += atomic_load_explicit(&table->widths[i], memory_order_relaxed);
    }
    return sum;
}

void tg_table_header(struct tg_table *table, struct tg_writer *writer)
{
    static const char rule[] = "------------------------------------------------------------";
    static_assert(sizeof rule - 1 == TG_TABLE_CELL_CHARS_MAX, "one piece underlines any column");
    for (uint32_t i = 0; i < table->column_count; i++) {
        cell_write(table, writer, i, text_of(name_of(table, i)), side_of(table, i));
    }
    for (uint32_t i = 0; i < table->column_count; i++) {
        const uint32_t width = atomic_load_explicit(&table->widths[i], memory_order_relaxed);
        cell_write(table, writer, i, (tg_text){.data = rule, .bytes = width}, LEFT);
    }
}

void tg_table_row(struct tg_table *table, struct tg_writer *writer, const struct tg_row *row)
{
    char scratch[TG_VALUE_TEXT_BYTES];
    const struct tg_schema *schema = table->schema;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const tg_text text = tg_row_is_null(schema, row, i)
                                 ? text_of("null")
                                 : tg_value_text(&schema->columns[i], tg_row_value(schema, row, i), scratch);
        cell_write(table, writer, i, text, side_of(table, i));
    }
    if (!table->with_revision) { return; }
    struct tg_writer revision = {.data = scratch, .capacity = sizeof scratch};
    tg_write_i64(&revision, row->revision);
    cell_write(table, writer, schema->column_count, (tg_text){.data = scratch, .bytes = revision.used}, RIGHT);
    cell_write(table, writer, schema->column_count + 1, text_of((row->flags & TG_ROW_FINAL) != 0 ? "true" : "false"),
               LEFT);
}
