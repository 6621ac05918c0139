/* How dead letters and late entries become rows of their schemas. */
#include <string.h>

#include "base/assert.h"
#include "base/json_text.h"
#include "engine/side_outputs.h"
#include "io/decode_stage1.h"

static void put_text(const struct tg_schema *schema, struct tg_side_row *row, uint32_t column, const char *data,
                     uint32_t bytes)
{
    tg_text text = {.data = data, .bytes = bytes};
    memcpy(tg_row_value(schema, row, column), &text, sizeof text);
    tg_row_set_null(schema, row, column, data == NULL);
}

static void put_i64(const struct tg_schema *schema, struct tg_side_row *row, uint32_t column, int64_t value)
{
    const int32_t narrow = (int32_t)value;
    const bool wide = tg_type_bytes(schema->columns[column].type) == 8;
    memcpy(tg_row_value(schema, row, column), wide ? (const void *)&value : (const void *)&narrow, wide ? 8 : 4);
}

static void begin_row(const struct tg_schema *schema, struct tg_side_row *row)
{
    TG_ASSERT(schema->row_bytes <= sizeof *row);
    memset(row, 0, sizeof *row);
}

void tg_dead_letter_row(const struct tg_dead_letter *letter, uint8_t *text, uint32_t text_bytes,
                        struct tg_side_row *row)
{
    enum { TOPIC, PARTITION, OFFSET, REASON, FIELD, RAW, RAW_BASE64, RAW_BYTES, TIME };
    const struct tg_schema *schema = tg_dead_letter_schema();
    begin_row(schema, row);
    row->head.offset = letter->offset;
    put_text(schema, row, TOPIC, letter->topic, (uint32_t)strlen(letter->topic));
    put_i64(schema, row, PARTITION, letter->partition);
    put_i64(schema, row, OFFSET, letter->offset);
    put_text(schema, row, REASON, letter->reason, (uint32_t)strlen(letter->reason));
    put_text(schema, row, FIELD, letter->field, letter->field != NULL ? (uint32_t)strlen(letter->field) : 0);
    const bool utf8 =
        letter->raw != NULL && (!letter->raw_unchecked || tg_stage1_is_utf8(letter->raw, letter->raw_bytes));
    put_text(schema, row, RAW, utf8 ? (const char *)letter->raw : NULL, letter->raw_bytes);
    put_text(schema, row, RAW_BASE64, NULL, 0);
    if (letter->raw != NULL && !utf8) {
        struct tg_writer writer = {.data = (char *)text, .capacity = text_bytes};
        tg_write_base64(&writer, letter->raw, letter->raw_bytes);
        TG_ASSERT(!writer.overflow);
        put_text(schema, row, RAW_BASE64, writer.data, writer.used);
    }
    tg_row_set_null(schema, row, RAW_BYTES, true); /* a sink that shortens the entry fills it in */
    put_i64(schema, row, TIME, letter->time);
    tg_row_set_null(schema, row, TIME, letter->time == TG_TS_MIN);
}

void tg_late_row(const struct tg_late_entry *entry, const struct tg_job *job, char *text, uint32_t text_bytes,
                 struct tg_side_row *row)
{
    enum { TOPIC, PARTITION, OFFSET, TS, WM, LATENESS, STEPS };
    const struct tg_schema *schema = tg_late_schema();
    begin_row(schema, row);
    row->head.offset = entry->offset;
    row->head.ts = entry->ts;
    put_text(schema, row, TOPIC, entry->topic, (uint32_t)strlen(entry->topic));
    put_i64(schema, row, PARTITION, entry->partition);
    put_i64(schema, row, OFFSET, entry->offset);
    put_i64(schema, row, TS, entry->ts);
    put_i64(schema, row, WM, entry->wm);
    put_i64(schema, row, LATENESS, entry->wm - entry->ts);
    struct tg_writer writer = {.data = text, .capacity = text_bytes};
    tg_write_cstr(&writer, "[");
    for (uint32_t i = 0; i < job->step_count; i++) {
        if (((entry->steps >> i) & 1) == 0) { continue; }
        if (writer.used > 1) { tg_write_cstr(&writer, ","); }
        tg_write_json_string(&writer, job->steps[i].name, (uint32_t)strlen(job->steps[i].name));
    }
    tg_write_cstr(&writer, "]");
    TG_ASSERT(!writer.overflow);
    put_text(schema, row, STEPS, writer.data, writer.used);
}
