/* Rows as an aligned table for people: cells padded to widths that only grow, numbers to the right, long texts cut.
 * Control characters are shown escaped: data must not move the cursor of the terminal it is printed on. */
#ifndef TG_IO_CONSOLE_TABLE_H
#define TG_IO_CONSOLE_TABLE_H

#include <stdatomic.h>

#include "base/json_text.h"

enum {
    TG_TABLE_CELL_CHARS_MAX = 60, /* a longer text is cut and ends in "…" */
    TG_TABLE_COLUMNS_MAX = TG_COLUMNS_MAX + 2,
};

/* Shared by the shards of a sink. Widths are raised by any of them; a stale view costs alignment of a line, no more. */
struct tg_table {
    const struct tg_schema *schema;
    bool with_revision;
    uint32_t column_count;
    _Atomic uint32_t widths[TG_TABLE_COLUMNS_MAX];
};

/* `schema` is borrowed.  @setup */
void tg_table_init(struct tg_table *table, const struct tg_schema *schema, bool with_revision);
/* Longest line, header or row, in bytes.  @setup */
uint32_t tg_table_line_bytes_max(const struct tg_schema *schema);
/* Sum of the widths: has the table grown since the header was printed?  @any */
uint32_t tg_table_width(const struct tg_table *table);
/* Column names and a rule, two lines.  @any */
void tg_table_header(struct tg_table *table, struct tg_writer *writer);
/* One line.  @any */
void tg_table_row(struct tg_table *table, struct tg_writer *writer, const struct tg_row *row);

#endif
