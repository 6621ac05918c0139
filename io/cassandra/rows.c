/* ROWS answers: metadata is skipped, cells are handed out. */
#include "io/cassandra/rows.h"

enum { RESULT_ROWS = 2, GLOBAL_TABLE_SPEC = 1, HAS_MORE_PAGES = 2, NO_METADATA = 4 };

/* One type description; collections nest others. User types do not occur in the tables we read. */
static void skip_type(struct tg_cql_reader *reader)
{
    for (uint32_t open = 1; open > 0 && !reader->broken; open--) { /* ends: each round reads two bytes */
        switch (tg_cql_get_u16(reader)) {
        case 0x00: (void)tg_cql_get_string(reader); break;
        case 0x20:
        case 0x22: open += 1; break;
        case 0x21: open += 2; break;
        case 0x31: open += tg_cql_get_u16(reader); break;
        case 0x30: reader->broken = true; break;
        default: break;
        }
    }
}

bool tg_cql_rows_open(struct tg_cql_rows *rows, const struct tg_cql_envelope *envelope, uint32_t column_count)
{
    *rows = (struct tg_cql_rows){.reader = {.data = envelope->body, .bytes = envelope->bytes},
                                 .column_count = column_count};
    struct tg_cql_reader *reader = &rows->reader;
    if (envelope->opcode != TG_CQL_RESULT || tg_cql_get_u32(reader) != RESULT_ROWS) { return false; }
    const uint32_t flags = tg_cql_get_u32(reader);
    if (tg_cql_get_u32(reader) != column_count || column_count > TG_CQL_ROWS_COLUMNS_MAX) { return false; }
    if ((flags & HAS_MORE_PAGES) != 0) { (void)tg_cql_get_bytes(reader); }
    if ((flags & NO_METADATA) == 0) {
        const bool global = (flags & GLOBAL_TABLE_SPEC) != 0;
        if (global) {
            (void)tg_cql_get_string(reader);
            (void)tg_cql_get_string(reader);
        }
        for (uint32_t i = 0; i < column_count; i++) {
            if (!global) {
                (void)tg_cql_get_string(reader);
                (void)tg_cql_get_string(reader);
            }
            (void)tg_cql_get_string(reader);
            skip_type(reader);
        }
    }
    rows->left = tg_cql_get_u32(reader);
    return !reader->broken;
}

bool tg_cql_rows_next(struct tg_cql_rows *rows)
{
    if (rows->left == 0) { return false; }
    rows->left--;
    for (uint32_t i = 0; i < rows->column_count; i++) { rows->cells[i] = tg_cql_get_bytes(&rows->reader); }
    if (rows->reader.broken) { rows->left = 0; }
    return !rows->reader.broken;
}

bool tg_cql_elements_next(struct tg_cql_reader *reader, bool is_map, uint32_t *left, struct tg_cql_view *element)
{
    if (*left == UINT32_MAX) {
        const uint32_t count = tg_cql_get_u32(reader);
        *left = count > INT32_MAX / 2 ? 0 : is_map ? 2 * count : count;
    }
    if (*left == 0 || reader->broken) { return false; }
    --*left;
    *element = tg_cql_get_bytes(reader);
    return !reader->broken;
}
