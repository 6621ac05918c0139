/* What the sinks of the contract suite left behind, compared with what was pushed: one "target" per connector. */
#ifndef TG_TESTS_CONTRACT_SINK_READERS_H
#define TG_TESTS_CONTRACT_SINK_READERS_H

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_text.h"
#include "io/value_text.h"
#include "tests/contract/sink_rig.h"

enum { MODEL_ROWS_MAX = 4096, MODEL_KEYS = 64 };

/* Everything that was pushed: a JSON line per row and shard, and the last revision of every key. */
struct model {
    uint32_t row_count[RIG_SHARDS_MAX];
    char *lines[RIG_SHARDS_MAX][MODEL_ROWS_MAX];
    struct model_key {
        bool present;
        int64_t revision;
        char *cells[MAKER_COLUMNS]; /* NULL = null */
        uint32_t cell_bytes[MAKER_COLUMNS];
    } keys[MODEL_KEYS];
};

static inline void model_clear(struct model *model)
{
    for (uint32_t shard = 0; shard < RIG_SHARDS_MAX; shard++) {
        for (uint32_t i = 0; i < model->row_count[shard]; i++) { free(model->lines[shard][i]); }
    }
    for (uint32_t key = 0; key < MODEL_KEYS; key++) {
        for (uint32_t i = 0; i < MAKER_COLUMNS; i++) { free(model->keys[key].cells[i]); }
    }
    memset(model, 0, sizeof *model);
}

static inline void model_add(struct model *model, const struct rig *rig, uint32_t shard, uint32_t key,
                             const struct tg_row *row)
{
    static char line[4 << 20];
    struct tg_writer writer = {.data = line, .capacity = sizeof line};
    tg_write_json_row(&writer, &rig->schema, row, rig->env[0].with_revision);
    cr_assert_lt(model->row_count[shard], MODEL_ROWS_MAX);
    model->lines[shard][model->row_count[shard]++] = strndup(line, writer.used);
    struct model_key *kept = &model->keys[key];
    if (kept->present && row->revision <= kept->revision) { return; }
    kept->present = true;
    kept->revision = row->revision;
    for (uint32_t i = 0; i < MAKER_COLUMNS; i++) {
        char scratch[TG_VALUE_TEXT_BYTES];
        free(kept->cells[i]);
        kept->cells[i] = NULL;
        if (tg_row_is_null(&rig->schema, row, i)) { continue; }
        tg_text text = tg_value_text(&rig->schema.columns[i], tg_row_value(&rig->schema, row, i), scratch);
        if (rig->schema.columns[i].type == TG_TYPE_BOOLEAN) { text = maker_text(text.bytes == 4 ? "1" : "0", 1); }
        kept->cells[i] = malloc(text.bytes + 1);
        kept->cell_bytes[i] = text.bytes;
        memcpy(kept->cells[i], text.data, text.bytes);
    }
}

static inline char *whole_file(const char *path, size_t *bytes)
{
    const int fd = open(path, O_RDONLY);
    cr_assert_geq(fd, 0, "open %s", path);
    struct stat about;
    cr_assert_eq(fstat(fd, &about), 0);
    *bytes = (size_t)about.st_size;
    char *data = malloc(*bytes + 1);
    cr_assert_eq(read(fd, data, *bytes), (ssize_t)*bytes);
    data[*bytes] = '\0';
    (void)close(fd);
    return data;
}

enum lines { LINES_ALL, LINES_SOME, LINES_SOME_LAST_TORN };

/* Every line is the next expected one of some shard; LINES_ALL = nothing is missing. */
static inline void lines_verify(const struct model *model, const char *path, enum lines lines)
{
    size_t bytes = 0;
    char *data = whole_file(path, &bytes);
    uint32_t next[RIG_SHARDS_MAX] = {0};
    for (char *line = data; *line != '\0';) {
        /* Not strchr: with strict string checks ASan would walk to the end of the file for every line. */
        char *end = memchr(line, '\n', bytes - (size_t)(line - data));
        if (end == NULL && lines == LINES_SOME_LAST_TORN) { break; }
        cr_assert_neq(end, NULL, "%s: the last line is torn: %.80s", path, line);
        *end = '\0';
        uint32_t shard = 0;
        while (shard < RIG_SHARDS_MAX &&
               (next[shard] == model->row_count[shard] || strcmp(line, model->lines[shard][next[shard]]) != 0)) {
            shard++;
        }
        cr_assert_lt(shard, RIG_SHARDS_MAX, "%s: unexpected line at byte %zu: %.120s", path, (size_t)(line - data),
                     line);
        next[shard]++;
        line = end + 1;
    }
    for (uint32_t shard = 0; shard < RIG_SHARDS_MAX && lines == LINES_ALL; shard++) {
        cr_assert_eq(next[shard], model->row_count[shard]);
    }
    free(data);
}

static inline void sqlite_verify(const struct model *model, const struct rig *rig, const char *path)
{
    sqlite3 *connection = NULL;
    sqlite3_stmt *rows = NULL;
    uint32_t expected = 0;
    uint32_t found = 0;
    cr_assert_eq(sqlite3_open_v2(path, &connection, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(connection, "SELECT * FROM rows", -1, &rows, NULL), SQLITE_OK, "%s",
                 sqlite3_errmsg(connection));
    for (uint32_t key = 0; key < MODEL_KEYS; key++) { expected += model->keys[key].present; }
    for (; sqlite3_step(rows) == SQLITE_ROW; found++) {
        const char *name = (const char *)sqlite3_column_text(rows, MAKER_KEY);
        uint32_t key = 0;
        while (key < MODEL_KEYS && strcmp(maker_keys[key], name) != 0) { key++; }
        cr_assert_lt(key, MODEL_KEYS, "unknown key %s", name);
        const struct model_key *kept = &model->keys[key];
        cr_assert(kept->present);
        cr_assert_eq(sqlite3_column_int64(rows, MAKER_COLUMNS), rig->env[0].version_base + kept->revision);
        for (uint32_t i = 0; i < MAKER_COLUMNS; i++) {
            const bool null = sqlite3_column_type(rows, (int)i) == SQLITE_NULL;
            cr_assert_eq(null, kept->cells[i] == NULL);
            if (null) { continue; }
            const enum tg_type type = rig->schema.columns[i].type;
            const bool integer = type == TG_TYPE_BIGINT || type == TG_TYPE_INTEGER || type == TG_TYPE_BOOLEAN;
            cr_assert_eq(sqlite3_column_type(rows, (int)i), integer ? SQLITE_INTEGER : SQLITE_TEXT);
            const void *cell = sqlite3_column_text(rows, (int)i);
            cr_assert_eq((uint32_t)sqlite3_column_bytes(rows, (int)i), kept->cell_bytes[i], "key %s column %u", name,
                         i);
            cr_assert_eq(memcmp(cell, kept->cells[i], kept->cell_bytes[i]), 0, "key %s column %u", name, i);
        }
    }
    cr_assert_eq(found, expected);
    cr_assert_eq(sqlite3_finalize(rows), SQLITE_OK);
    cr_assert_eq(sqlite3_close(connection), SQLITE_OK);
}

#endif
