/* The one statement a sink runs, INSERT with every column bound, and how a row becomes its bound values ("image").
 * The key columns are bound first, so that the first bytes of an image identify its row. */
#ifndef TG_IO_CASSANDRA_STATEMENT_H
#define TG_IO_CASSANDRA_STATEMENT_H

#include "base/arena.h"
#include "base/schema.h"
#include "io/cassandra/codec.h"

/* Type ids of the protocol (its chapter on RESULT). */
enum tg_cql_type {
    TG_CQL_TYPE_NONE = 0,
    TG_CQL_TYPE_BIGINT = 0x02,
    TG_CQL_TYPE_BOOLEAN = 0x04,
    TG_CQL_TYPE_DECIMAL = 0x06,
    TG_CQL_TYPE_DOUBLE = 0x07,
    TG_CQL_TYPE_INT = 0x09,
    TG_CQL_TYPE_TIMESTAMP = 0x0B,
    TG_CQL_TYPE_TEXT = 0x0D,
    TG_CQL_TYPE_VARINT = 0x0E,
    TG_CQL_TYPE_DATE = 0x11,
};

enum { TG_CQL_NAME_BYTES_MAX = 48, TG_CQL_TEXT_BYTES = 8192 };

/* "keyspace.table" as its two names, each without quotes. */
struct tg_cql_target {
    char keyspace[TG_CQL_NAME_BYTES_MAX + 1];
    char table[TG_CQL_NAME_BYTES_MAX + 1];
};

struct tg_cql_statement {
    const struct tg_schema *schema; /* borrowed */
    uint32_t key_count;
    uint32_t order[TG_COLUMNS_MAX]; /* [schema->column_count] marker i binds schema column order[i] */
    uint16_t types[TG_COLUMNS_MAX]; /* enum tg_cql_type of each marker, once bound */
    uint32_t partition_count;       /* once bound: markers of the partition key, in its order */
    uint16_t partition[TG_COLUMNS_MAX];
    bool bound;
    bool nulls_unset;         /* null columns keep what the table has instead of being erased */
    uint32_t image_bytes_max; /* of any row that obeys the engine's limits */
    const char *cql;          /* INSERT text, in the arena */
};

/* Split `text`; names may be "quoted". Errors: TG1004.  @setup */
TG_MUST_USE tg_status tg_cql_target_parse(struct tg_cql_target *target, const char *text, struct tg_error *err);
/* Append `name` as CQL wants it: bare when that means the same, else in double quotes.  @setup */
void tg_cql_put_name(struct tg_cql_writer *writer, const char *name);
/* keyspace.table, quoted where needed, terminated; false when out is too small.  @setup */
bool tg_cql_target_print(const struct tg_cql_target *target, char *out, uint32_t capacity);

struct tg_cql_statement_config {
    const struct tg_cql_target *target;
    const struct tg_schema *schema;    /* borrowed for the statement's life */
    const uint32_t *key_columns;       /* [key_count] of schema */
    uint32_t key_count;                /* >= 1 */
};

/* Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_cql_statement_init(struct tg_cql_statement *statement,
                                            const struct tg_cql_statement_config *config, struct tg_arena *arena,
                                            struct tg_error *err);
/* Take types and partition key from the metadata of a PREPARED result (after the ids). A column whose type cannot hold
 * the job's is TG1312; broken metadata is TG1303. The second time nothing may have changed.  @shard */
TG_MUST_USE tg_status tg_cql_statement_bind(struct tg_cql_statement *statement, struct tg_cql_reader *metadata,
                                            struct tg_error *err);

/* Encode `row` at the end of writer; *key_bytes is the length of the key part. False: a key column is null, or
 * the writer overflowed.  @shard */
TG_HOT TG_MUST_USE bool tg_cql_statement_encode(const struct tg_cql_statement *statement, const void *row,
                                                struct tg_cql_writer *writer, uint32_t *key_bytes);
/* Token of an encoded image; `scratch` holds at least as many bytes as the image plus 3 a column.  @shard */
TG_HOT int64_t tg_cql_statement_token(const struct tg_cql_statement *statement, const uint8_t *image, uint32_t bytes,
                                      uint8_t *scratch);

/* True when every value of `column` can be kept in a column of type `type` without loss (timestamps keep ms).  @any */
bool tg_cql_type_fits(const struct tg_column *column, uint16_t type);
/* "int", "text", ...; "type 0xNN" of others is not needed: unknown ids give "another type".  @any */
const char *tg_cql_type_name(uint16_t type);
/* Id of a type as system_schema.columns prints it; NONE for those we never write.  @any */
uint16_t tg_cql_type_of_name(struct tg_cql_view name);
/* The type CREATE TABLE gives `column`.  @any */
uint16_t tg_cql_type_for(const struct tg_column *column);
/* CREATE TABLE text for the statement: time columns at the key's end cluster, the others make the partition key.
 * Terminated; false when out is too small.  @setup */
bool tg_cql_statement_create_table(const struct tg_cql_statement *statement, const struct tg_cql_target *target,
                                   char *out, uint32_t capacity);

#endif
