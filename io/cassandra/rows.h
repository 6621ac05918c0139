/* Reading the ROWS answer of a query whose columns are known: positions instead of names. */
#ifndef TG_IO_CASSANDRA_ROWS_H
#define TG_IO_CASSANDRA_ROWS_H

#include "io/cassandra/codec.h"
#include "io/cassandra/frame.h"

enum { TG_CQL_ROWS_COLUMNS_MAX = 8 };

struct tg_cql_rows {
    struct tg_cql_reader reader;
    uint32_t column_count;
    uint32_t left; /* rows not yet read */
    struct tg_cql_view cells[TG_CQL_ROWS_COLUMNS_MAX];
};

/* False: the envelope is no ROWS answer of `column_count` columns.  @any */
TG_MUST_USE bool tg_cql_rows_open(struct tg_cql_rows *rows, const struct tg_cql_envelope *envelope,
                                  uint32_t column_count);
/* Read one row into cells; false at the end, or when the answer is cut short.  @any */
bool tg_cql_rows_next(struct tg_cql_rows *rows);

/* Elements of a list, set or map cell (a map has two per entry) in turn: `reader` starts as the whole cell and *left as
 * UINT32_MAX. False at the end.  @any */
bool tg_cql_elements_next(struct tg_cql_reader *reader, bool is_map, uint32_t *left, struct tg_cql_view *element);

#endif
