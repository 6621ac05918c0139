/* The table of the simulated Cassandra: cells by write timestamp, the last write wins, of equal timestamps the null and
 * then the larger value. It outlives every crash of the engine. An observer looks over its shoulder and reports what no
 * reader may see and no engine may do:
 *   - a row steps back: its newest write timestamp falls, or the column that tells its event time does;
 *   - one write timestamp of a row comes with two contents: then values decide, which is nobody's intention. */
#ifndef TG_ENGINE_SIM_CQL_TABLE_H
#define TG_ENGINE_SIM_CQL_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/schema.h"
#include "io/cassandra/codec.h"

enum { TG_SIM_CELLS_MAX = 16, TG_SIM_VIOLATION_BYTES = 512 };

struct tg_sim_table_column {
    const char *name; /* lent */
    uint16_t type;    /* enum tg_cql_type */
    bool in_key;
};

struct tg_sim_table_config {
    uint32_t column_count;
    struct tg_sim_table_column columns[TG_SIM_CELLS_MAX];
    int32_t rising; /* column (bigint, int or timestamp) that never falls; -1 = none */
};

/* One bound value of a write. */
struct tg_sim_value {
    struct tg_cql_view view;
    bool unset; /* leaves the cell as it is */
};

struct tg_sim_table;

/* The table a sink with this schema writes. Asserts that there are not too many columns.  @setup */
void tg_sim_table_describe(struct tg_sim_table_config *config, const struct tg_schema *schema,
                           const uint32_t *key_columns, uint32_t key_count);
/* NULL = no memory.  @setup */
struct tg_sim_table *tg_sim_table_create(const struct tg_sim_table_config *config);
/* @setup */
void tg_sim_table_destroy(struct tg_sim_table *table);
/* Its columns.  @any */
const struct tg_sim_table_config *tg_sim_table_columns(const struct tg_sim_table *table);

/* Take a write; values[column_count] in the order of the columns.  @shard */
void tg_sim_table_write(struct tg_sim_table *table, const struct tg_sim_value *values, int64_t timestamp);
/* First violation, NULL while there is none.  @any */
const char *tg_sim_table_violation(const struct tg_sim_table *table);
/* Writes taken, and those of them that changed nothing.  @any */
void tg_sim_table_counts(const struct tg_sim_table *table, uint64_t *writes, uint64_t *stale);
/* Rows as JSON lines with a member _timestamp, the newest of their cells.  @setup */
void tg_sim_table_print(const struct tg_sim_table *table, FILE *out);

#endif
