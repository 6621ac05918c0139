/* Set-up of the target: is there a keyspace, a table, each column, of a type that fits; create what may be created.
 * Every refusal says what to run or change. */
#include <stdio.h>
#include <stdlib.h>

#include "io/cassandra/session.h"

enum { TABLE_COLUMNS_MAX = 512, LIST_BYTES = 400 };
static const uint64_t AGREEMENT_NS = 10000000000u;
static const uint64_t AGREEMENT_PAUSE_NS = 200000000u;

struct table_column {
    char name[TG_CQL_NAME_BYTES_MAX + 1];
    char type[64];
    uint16_t type_id;
    bool in_key; /* partition or clustering */
};

struct table {
    uint32_t count;
    struct table_column columns[TABLE_COLUMNS_MAX];
};

struct check {
    const struct tg_sink_env *env;
    struct tg_cql_settings settings;
    struct tg_cql_statement statement;
    struct tg_cql_session session;
    struct table table;
};

/* ---- reading the schema ------------------------------------------------------------------------------------------ */

static tg_status keyspace_exists(struct check *check, bool *exists, struct tg_error *err)
{
    char cql[256];
    struct tg_cql_envelope envelope;
    (void)snprintf(cql, sizeof cql, "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = '%s'",
                   check->settings.target.keyspace);
    const tg_status status = tg_cql_session_query(&check->session, cql, &envelope, err);
    if (status != TG_OK) { return status; }
    struct tg_cql_rows rows;
    if (!tg_cql_rows_open(&rows, &envelope, 1)) {
        return tg_fail(err, TG1303, 0, "Cassandra's schema is not readable");
    }
    *exists = tg_cql_rows_next(&rows);
    return TG_OK;
}

static tg_status read_table(struct check *check, struct tg_error *err)
{
    char cql[320];
    struct tg_cql_envelope envelope;
    (void)snprintf(cql, sizeof cql,
                   "SELECT column_name, kind, type FROM system_schema.columns WHERE keyspace_name = '%s' "
                   "AND table_name = '%s'",
                   check->settings.target.keyspace, check->settings.target.table);
    const tg_status status = tg_cql_session_query(&check->session, cql, &envelope, err);
    if (status != TG_OK) { return status; }
    struct tg_cql_rows rows;
    if (!tg_cql_rows_open(&rows, &envelope, 3)) {
        return tg_fail(err, TG1303, 0, "Cassandra's schema is not readable");
    }
    check->table.count = 0;
    while (check->table.count < TABLE_COLUMNS_MAX && tg_cql_rows_next(&rows)) {
        struct table_column *column = &check->table.columns[check->table.count++];
        tg_cql_view_copy(rows.cells[0], column->name, sizeof column->name);
        tg_cql_view_copy(rows.cells[2], column->type, sizeof column->type);
        column->type_id = tg_cql_type_of_name(rows.cells[2]);
        column->in_key = tg_cql_view_is(rows.cells[1], "partition_key") || tg_cql_view_is(rows.cells[1], "clustering");
    }
    return TG_OK;
}

/* ---- creating ---------------------------------------------------------------------------------------------------- */

/* Different schema versions among the nodes, ours included; 1 = agreed. */
static tg_status schema_versions(struct check *check, uint32_t *versions, struct tg_error *err)
{
    static const char *const queries[] = {"SELECT schema_version FROM system.local WHERE key = 'local'",
                                          "SELECT schema_version FROM system.peers"};
    uint8_t first[16] = {0};
    *versions = 0;
    for (uint32_t i = 0; i < 2; i++) {
        struct tg_cql_envelope envelope;
        struct tg_cql_rows rows;
        const tg_status status = tg_cql_session_query(&check->session, queries[i], &envelope, err);
        if (status != TG_OK) { return status; }
        if (!tg_cql_rows_open(&rows, &envelope, 1)) { continue; }
        while (tg_cql_rows_next(&rows)) {
            if (rows.cells[0].is_null || rows.cells[0].bytes != 16) { continue; } /* a node that is gone */
            if (*versions == 0) { memcpy(first, rows.cells[0].data, 16); }
            if (*versions == 0 || memcmp(first, rows.cells[0].data, 16) != 0) { ++*versions; }
        }
    }
    return TG_OK;
}

static tg_status create(struct check *check, const char *cql, struct tg_error *err)
{
    struct tg_cql_envelope envelope;
    tg_status status = tg_cql_session_query(&check->session, cql, &envelope, err);
    const uint64_t end_ns = tg_clock_now_ns(&check->env->clock) + AGREEMENT_NS;
    uint32_t versions = 0;
    while (status == TG_OK) { /* ends: agreement or its time limit */
        status = schema_versions(check, &versions, err);
        if (status != TG_OK || versions <= 1) { return status; }
        if (tg_clock_now_ns(&check->env->clock) > end_ns) {
            return tg_fail(err, TG1301, 0, "the Cassandra nodes do not agree on the schema after \"%s\"", cql);
        }
        tg_cql_session_nap(&check->session, AGREEMENT_PAUSE_NS);
    }
    return status;
}

static tg_status need_keyspace(struct check *check, struct tg_error *err)
{
    bool exists = false;
    const tg_status status = keyspace_exists(check, &exists, err);
    if (status != TG_OK || exists) { return status; }
    char name[TG_CQL_NAME_BYTES_MAX + 3];
    struct tg_cql_writer writer = {.data = (uint8_t *)name, .capacity = sizeof name};
    tg_cql_put_name(&writer, check->settings.target.keyspace);
    tg_cql_put_u8(&writer, 0);
    const char *replication = check->settings.replication != NULL
                                  ? check->settings.replication
                                  : "{'class': 'SimpleStrategy', 'replication_factor': 1}";
    char cql[512];
    const int needed = snprintf(cql, sizeof cql, "CREATE KEYSPACE IF NOT EXISTS %s WITH replication = %s", name,
                                replication);
    if (needed < 0 || needed >= (int)sizeof cql) {
        return tg_fail(err, TG1004, 0, "cassandra replication is too long");
    }
    if (check->env->create_tables) { return create(check, cql, err); }
    return tg_fail(err, TG1309, 0, "Cassandra keyspace %s not found\n  run this, or start with --create-tables:   %s",
                   name, cql);
}

static tg_status need_table(struct check *check, struct tg_error *err)
{
    tg_status status = read_table(check, err);
    if (status != TG_OK || check->table.count > 0) { return status; }
    char name[2 * TG_CQL_NAME_BYTES_MAX + 8];
    char cql[TG_CQL_TEXT_BYTES];
    if (!tg_cql_target_print(&check->settings.target, name, sizeof name) ||
        !tg_cql_statement_create_table(&check->statement, &check->settings.target, cql, sizeof cql)) {
        return tg_fail(err, TG1310, 0, "Cassandra table not found, and its CREATE TABLE is too long to print");
    }
    if (!check->env->create_tables) {
        return tg_fail(err, TG1310, 0, "Cassandra table %s not found (keyspace exists)\n"
                       "  run this, or start with --create-tables:   %s", name, cql);
    }
    status = create(check, cql, err);
    if (status != TG_OK) { /* another instance may have been faster */
        struct tg_error ignored = {0};
        if (read_table(check, &ignored) != TG_OK || check->table.count == 0) { return status; }
        if (err != NULL) { *err = (struct tg_error){0}; }
        return TG_OK;
    }
    return read_table(check, err);
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static const struct table_column *find(const struct table *table, const char *name)
{
    for (uint32_t i = 0; i < table->count; i++) {
        if (strcmp(table->columns[i].name, name) == 0) { return &table->columns[i]; }
    }
    return NULL;
}

static const char *column_list(const struct table *table, char out[LIST_BYTES])
{
    int used = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < table->count && used < LIST_BYTES - 64; i++) {
        used += snprintf(out + used, (size_t)(LIST_BYTES - used), "%s%s", i == 0 ? "" : ", ", table->columns[i].name);
    }
    return out;
}

static tg_status check_column(const struct check *check, const struct tg_column *column, bool is_key,
                              struct tg_error *err)
{
    char list[LIST_BYTES];
    const struct tg_cql_target *target = &check->settings.target;
    const struct table_column *there = find(&check->table, column->name);
    if (there == NULL) {
        return tg_fail(err, TG1311, 0, "table %s.%s has no column \"%s\" (it has: %s)\n"
                       "  add it:   ALTER TABLE %s.%s ADD \"%s\" %s   or change `columns` of sink %s", target->keyspace,
                       target->table, column->name, column_list(&check->table, list), target->keyspace, target->table,
                       column->name, tg_cql_type_name(tg_cql_type_for(column)), check->env->sink_name);
    }
    if (!tg_cql_type_fits(column, there->type_id)) {
        return tg_fail(err, TG1312, 0,
                       "column \"%s\" is %s in the table, %s in the job: change the table (the job's fits %s), "
                       "or map another column to it in `columns` of sink %s",
                       column->name, there->type, tg_type_name(column->type), tg_cql_type_name(tg_cql_type_for(column)),
                       check->env->sink_name);
    }
    if (is_key && !there->in_key) {
        return tg_fail(err, TG1313, 0,
                       "column \"%s\" is part of the job's row key but not of the primary key of %s.%s: rows of "
                       "different keys would overwrite each other",
                       column->name, target->keyspace, target->table);
    }
    return TG_OK;
}

static tg_status check_columns(const struct check *check, struct tg_error *err)
{
    const struct tg_schema *schema = check->env->schema;
    for (uint32_t marker = 0; marker < schema->column_count; marker++) {
        const struct tg_column *column = &schema->columns[check->statement.order[marker]];
        const tg_status status = check_column(check, column, marker < check->statement.key_count, err);
        if (status != TG_OK) { return status; }
    }
    for (uint32_t i = 0; i < check->table.count; i++) {
        const struct table_column *column = &check->table.columns[i];
        if (column->in_key && tg_schema_find(schema, column->name) < 0) {
            return tg_fail(err, TG1313, 0,
                           "\"%s\" is part of the primary key of %s.%s but the sink %s does not write it", column->name,
                           check->settings.target.keyspace, check->settings.target.table, check->env->sink_name);
        }
    }
    return TG_OK;
}

static tg_status run(struct check *check, uint64_t deadline_ns, struct tg_error *err)
{
    tg_status status = tg_cql_session_open(&check->session, &check->settings, check->env->clock, deadline_ns, err);
    if (status == TG_OK) {
        const struct tg_cql_statement_config config = {&check->settings.target, check->env->schema,
                                                       check->env->key_columns, check->env->key_count};
        status = tg_cql_statement_init(&check->statement, &config, &check->session.arena, err);
    }
    if (status == TG_OK) { status = need_keyspace(check, err); }
    if (status == TG_OK) { status = need_table(check, err); }
    if (status == TG_OK) { status = check_columns(check, err); }
    tg_cql_session_close(&check->session);
    return status;
}

/* Too large for the stack; NULL = no memory. */
static struct check *check_create(const struct tg_sink_env *env)
{
    struct check *check = calloc(1, sizeof *check);
    if (check != NULL) { check->env = env; }
    return check;
}

static void check_destroy(struct check *check) { free(check); }

tg_status tg_cql_check(const struct tg_sink_env *env, uint64_t deadline_ns, struct tg_error *err)
{
    struct check *check = check_create(env);
    if (check == NULL) { return tg_fail(err, TG1601, 0, "no memory to check sink %s", env->sink_name); }
    tg_status status = tg_cql_settings_read(&check->settings, env->options, err);
    if (status == TG_OK) { status = run(check, deadline_ns, err); }
    check_destroy(check);
    return status;
}
