/* Statement texts: names and quoting, INSERT, CREATE TABLE, and what a PREPARED answer says about the markers. */
#include "io/cassandra/statement.h"

#include <ctype.h>

#include "base/assert.h"

/* CQL's reserved words: bare they are a syntax error. */
static const char *const reserved_words[] = {
    "add",          "allow",  "alter",    "and",          "apply",   "asc",         "authorize", "batch",
    "begin",        "by",     "column",   "columnfamily", "create",  "default",     "delete",    "desc",
    "describe",     "drop",   "entries",  "execute",      "from",    "full",        "grant",     "if",
    "in",           "index",  "infinity", "insert",       "into",    "is",          "keyspace",  "limit",
    "materialized", "mbean",  "mbeans",   "modify",       "nan",     "norecursive", "not",       "null",
    "of",           "on",     "or",       "order",        "primary", "rename",      "replace",   "revoke",
    "schema",       "select", "set",      "table",        "to",      "token",       "truncate",  "unlogged",
    "unset",        "update", "use",      "using",        "view",    "where",       "with",
};

static bool reserved(const char *name)
{
    for (size_t i = 0; i < sizeof reserved_words / sizeof reserved_words[0]; i++) {
        if (strcmp(reserved_words[i], name) == 0) { return true; }
    }
    return false;
}

static bool bare(const char *name)
{
    if (!islower((unsigned char)name[0])) { return false; }
    for (const char *c = name; *c != '\0'; c++) {
        if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '_') { return false; }
    }
    return !reserved(name);
}

static void put_text(struct tg_cql_writer *writer, const char *text)
{
    tg_cql_put_raw(writer, text, (uint32_t)strlen(text));
}

void tg_cql_put_name(struct tg_cql_writer *writer, const char *name)
{
    if (bare(name)) {
        put_text(writer, name);
        return;
    }
    tg_cql_put_u8(writer, '"');
    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '"') { tg_cql_put_u8(writer, '"'); }
        tg_cql_put_u8(writer, (uint8_t)*c);
    }
    tg_cql_put_u8(writer, '"');
}

static void put_target(struct tg_cql_writer *writer, const struct tg_cql_target *target)
{
    tg_cql_put_name(writer, target->keyspace);
    tg_cql_put_u8(writer, '.');
    tg_cql_put_name(writer, target->table);
}

bool tg_cql_target_print(const struct tg_cql_target *target, char *out, uint32_t capacity)
{
    struct tg_cql_writer writer = {.data = (uint8_t *)out, .capacity = capacity};
    put_target(&writer, target);
    tg_cql_put_u8(&writer, 0);
    return !writer.overflow;
}

/* One name from *text up to a dot or the end; quotes are removed. */
static bool parse_name(const char **text, char out[TG_CQL_NAME_BYTES_MAX + 1])
{
    const char *c = *text;
    const bool quoted = *c == '"';
    uint32_t used = 0;
    for (c += quoted; *c != '\0' && (quoted || *c != '.'); c++) {
        if (quoted && *c == '"') { break; }
        /* Cassandra's own rule for keyspaces and tables, quoted or not. */
        if (used == TG_CQL_NAME_BYTES_MAX || (!isalnum((unsigned char)*c) && *c != '_')) { return false; }
        out[used++] = *c;
    }
    out[used] = '\0';
    if (quoted) {
        if (*c != '"') { return false; }
        c++;
    }
    *text = c;
    return used > 0;
}

tg_status tg_cql_target_parse(struct tg_cql_target *target, const char *text, struct tg_error *err)
{
    const char *rest = text;
    bool good = parse_name(&rest, target->keyspace) && *rest == '.';
    if (good) {
        rest++;
        good = parse_name(&rest, target->table) && *rest == '\0';
    }
    if (good) { return TG_OK; }
    return tg_fail(err, TG1004, 0, "cassandra table \"%s\": write keyspace.table, each name at most %d bytes", text,
                   TG_CQL_NAME_BYTES_MAX);
}

/* ---- init -------------------------------------------------------------------------------------------------------- */

static uint32_t value_bytes_max(const struct tg_column *column)
{
    switch (column->type) {
    case TG_TYPE_TEXT:
    case TG_TYPE_JSON: return 4 + TG_TEXT_BYTES_MAX;
    case TG_TYPE_ENUM: {
        uint32_t longest = 0;
        for (uint32_t i = 0; i < column->enum_count; i++) {
            const uint32_t bytes = (uint32_t)strlen(column->enum_values[i]);
            longest = bytes > longest ? bytes : longest;
        }
        return 4 + longest;
    }
    case TG_TYPE_NUMERIC: return 4 + 4 + 17;
    case TG_TYPE_BIGINT:
    case TG_TYPE_INTEGER:
    case TG_TYPE_BOOLEAN:
    case TG_TYPE_TIMESTAMP:
    case TG_TYPE_DATE: return 4 + 4 + 8;
    }
    TG_ASSERT(false);
    return 0;
}

static void order_columns(struct tg_cql_statement *statement, const uint32_t *key_columns)
{
    uint64_t is_key = 0;
    for (uint32_t i = 0; i < statement->key_count; i++) {
        statement->order[i] = key_columns[i];
        is_key |= 1ull << key_columns[i];
    }
    uint32_t marker = statement->key_count;
    for (uint32_t i = 0; i < statement->schema->column_count; i++) {
        if (((is_key >> i) & 1) == 0) { statement->order[marker++] = i; }
    }
    TG_ASSERT(marker == statement->schema->column_count);
}

static void put_insert(const struct tg_cql_statement *statement, const struct tg_cql_target *target,
                       struct tg_cql_writer *writer)
{
    const struct tg_schema *schema = statement->schema;
    put_text(writer, "INSERT INTO ");
    put_target(writer, target);
    put_text(writer, " (");
    for (uint32_t i = 0; i < schema->column_count; i++) {
        put_text(writer, i == 0 ? "" : ", ");
        tg_cql_put_name(writer, schema->columns[statement->order[i]].name);
    }
    put_text(writer, ") VALUES (");
    for (uint32_t i = 0; i < schema->column_count; i++) { put_text(writer, i == 0 ? "?" : ", ?"); }
    tg_cql_put_raw(writer, ")", 2);
}

tg_status tg_cql_statement_init(struct tg_cql_statement *statement, const struct tg_cql_statement_config *config,
                                struct tg_arena *arena, struct tg_error *err)
{
    const struct tg_schema *schema = config->schema;
    TG_ASSERT(config->key_count > 0 && config->key_count <= schema->column_count);
    *statement = (struct tg_cql_statement){.schema = schema, .key_count = config->key_count};
    order_columns(statement, config->key_columns);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        statement->image_bytes_max += value_bytes_max(&schema->columns[i]);
    }
    char text[TG_CQL_TEXT_BYTES];
    struct tg_cql_writer writer = {.data = (uint8_t *)text, .capacity = sizeof text};
    put_insert(statement, config->target, &writer);
    statement->cql = writer.overflow ? NULL : tg_arena_strdup(arena, text);
    if (statement->cql == NULL) { return tg_fail(err, TG1601, 0, "column names of a Cassandra sink are too long"); }
    return TG_OK;
}

/* ---- PREPARED metadata ------------------------------------------------------------------------------------------- */

enum { GLOBAL_TABLE_SPEC = 1, HAS_MORE_PAGES = 2 };

static tg_status bind_column(const struct tg_cql_statement *statement, uint32_t marker, uint16_t type,
                             struct tg_error *err)
{
    const struct tg_column *column = &statement->schema->columns[statement->order[marker]];
    if (tg_cql_type_fits(column, type)) { return TG_OK; }
    return tg_fail(
        err, TG1312, 0, "column \"%s\" is %s in the table, %s in the job: change the table (the job's fits %s)",
        column->name, tg_cql_type_name(type), tg_type_name(column->type), tg_cql_type_name(tg_cql_type_for(column)));
}

tg_status tg_cql_statement_bind(struct tg_cql_statement *statement, struct tg_cql_reader *metadata,
                                struct tg_error *err)
{
    const uint32_t flags = tg_cql_get_u32(metadata);
    const uint32_t column_count = tg_cql_get_u32(metadata);
    const uint32_t partition_count = tg_cql_get_u32(metadata);
    if (metadata->broken || column_count != statement->schema->column_count || partition_count > column_count) {
        return tg_fail(err, TG1303, 0, "PREPARE answered with impossible metadata");
    }
    struct tg_cql_statement seen = *statement;
    seen.partition_count = partition_count;
    for (uint32_t i = 0; i < partition_count; i++) {
        seen.partition[i] = tg_cql_get_u16(metadata);
        if (seen.partition[i] >= column_count) { metadata->broken = true; }
    }
    if ((flags & HAS_MORE_PAGES) != 0) { (void)tg_cql_get_bytes(metadata); }
    if ((flags & GLOBAL_TABLE_SPEC) != 0) {
        (void)tg_cql_get_string(metadata);
        (void)tg_cql_get_string(metadata);
    }
    for (uint32_t i = 0; i < column_count && !metadata->broken; i++) {
        if ((flags & GLOBAL_TABLE_SPEC) == 0) {
            (void)tg_cql_get_string(metadata);
            (void)tg_cql_get_string(metadata);
        }
        (void)tg_cql_get_string(metadata);
        seen.types[i] = tg_cql_get_u16(metadata);
        if (metadata->broken) { break; }
        /* Collections and user types have more to read, but no row of ours fits them: the loop ends here. */
        const tg_status status = bind_column(statement, i, seen.types[i], err);
        if (status != TG_OK) { return status; }
        if (statement->bound && seen.types[i] != statement->types[i]) {
            return tg_fail(err, TG1312, 0, "column \"%s\" changed its type from %s to %s while the job ran",
                           statement->schema->columns[statement->order[i]].name, tg_cql_type_name(statement->types[i]),
                           tg_cql_type_name(seen.types[i]));
        }
    }
    if (metadata->broken) { return tg_fail(err, TG1303, 0, "PREPARE answered with impossible metadata"); }
    seen.bound = true;
    *statement = seen;
    return TG_OK;
}

/* ---- CREATE TABLE ------------------------------------------------------------------------------------------------ */

static bool clusters(const struct tg_cql_statement *statement, uint32_t marker)
{
    const enum tg_type type = statement->schema->columns[statement->order[marker]].type;
    return type == TG_TYPE_TIMESTAMP || type == TG_TYPE_DATE;
}

static void put_primary_key(const struct tg_cql_statement *statement, struct tg_cql_writer *writer)
{
    uint32_t partition_count = 0;
    for (uint32_t i = 0; i < statement->key_count; i++) { partition_count += clusters(statement, i) ? 0 : 1; }
    const bool all = partition_count == 0; /* only times: they are the partition key */
    put_text(writer, ", PRIMARY KEY ((");
    const char *comma = "";
    for (uint32_t i = 0; i < statement->key_count; i++) {
        if (!all && clusters(statement, i)) { continue; }
        put_text(writer, comma);
        tg_cql_put_name(writer, statement->schema->columns[statement->order[i]].name);
        comma = ", ";
    }
    put_text(writer, ")");
    for (uint32_t i = 0; i < statement->key_count; i++) {
        if (all || !clusters(statement, i)) { continue; }
        put_text(writer, ", ");
        tg_cql_put_name(writer, statement->schema->columns[statement->order[i]].name);
    }
    put_text(writer, ")");
}

bool tg_cql_statement_create_table(const struct tg_cql_statement *statement, const struct tg_cql_target *target,
                                   char *out, uint32_t capacity)
{
    struct tg_cql_writer writer = {.data = (uint8_t *)out, .capacity = capacity};
    put_text(&writer, "CREATE TABLE ");
    put_target(&writer, target);
    put_text(&writer, " (");
    for (uint32_t i = 0; i < statement->schema->column_count; i++) {
        const struct tg_column *column = &statement->schema->columns[statement->order[i]];
        put_text(&writer, i == 0 ? "" : ", ");
        tg_cql_put_name(&writer, column->name);
        put_text(&writer, " ");
        put_text(&writer, tg_cql_type_name(tg_cql_type_for(column)));
        if (i == 0 && statement->key_count == 1) { put_text(&writer, " PRIMARY KEY"); }
    }
    if (statement->key_count > 1) { put_primary_key(statement, &writer); }
    tg_cql_put_raw(&writer, ")", 2);
    return !writer.overflow;
}
