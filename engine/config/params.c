/* Parameters: texts were checked when the job was loaded and are read again here, once per step and shard, into the
 * layout the operator was compiled with. */
#include "engine/config/params.h"

#include <string.h>

#include "base/assert.h"
#include "base/decimal.h"
#include "base/timestamp.h"
#include "engine/config/values.h"
#include "engine/layout.h"

enum { PARAM_SCALE = 2 };

static bool parse_whole(const char *text, int64_t min, int64_t max, int64_t *number)
{
    return tg_value_parse(TG_OPTION_INTEGER, NULL, text, number) && *number >= min && *number <= max;
}

bool tg_param_parse(const char *kind, const char *text, void *out)
{
    int64_t number = 0;
    if (strcmp(kind, "text") == 0) {
        const tg_text value = {.data = text, .bytes = (uint32_t)strlen(text)};
        memcpy(out, &value, sizeof value);
        return true;
    }
    if (strcmp(kind, "bigint") == 0 || strcmp(kind, "duration") == 0) {
        const enum tg_option_kind as = kind[0] == 'b' ? TG_OPTION_INTEGER : TG_OPTION_DURATION;
        if (!tg_value_parse(as, NULL, text, &number)) { return false; }
        memcpy(out, &number, sizeof number);
        return true;
    }
    if (strcmp(kind, "integer") == 0) {
        if (!parse_whole(text, INT32_MIN, INT32_MAX, &number)) { return false; }
        const int32_t value = (int32_t)number;
        memcpy(out, &value, sizeof value);
        return true;
    }
    if (strcmp(kind, "boolean") == 0) {
        if (!tg_value_parse(TG_OPTION_BOOLEAN, NULL, text, &number)) { return false; }
        const bool value = number == 1;
        memcpy(out, &value, sizeof value);
        return true;
    }
    if (strcmp(kind, "timestamp") == 0) {
        tg_ts value = 0;
        if (!tg_ts_parse(text, (uint32_t)strlen(text), NULL, &value, NULL)) { return false; }
        memcpy(out, &value, sizeof value);
        return true;
    }
    if (strcmp(kind, "date") == 0) {
        tg_date value = 0;
        if (!tg_date_parse(text, (uint32_t)strlen(text), &value)) { return false; }
        memcpy(out, &value, sizeof value);
        return true;
    }
    if (strcmp(kind, "numeric") == 0) {
        tg_dec value = 0;
        if (tg_dec_parse(text, (uint32_t)strlen(text), 38, PARAM_SCALE, false, &value) != TG_DEC_OK) { return false; }
        memcpy(out, &value, sizeof value);
        return true;
    }
    return false;
}

const char *tg_param_looks_like(const char *kind)
{
    static const struct {
        const char *kind;
        const char *looks;
    } rows[] = {
        {"text", "a text"},
        {"bigint", "a whole number"},
        {"integer", "a whole number of 32 bits"},
        {"boolean", "true or false"},
        {"duration", "a duration such as 250ms, 30s, 5m, 24h or 1h30m"},
        {"timestamp", "a time such as 2024-05-01T10:00:00Z"},
        {"date", "a date such as 2024-05-01"},
        {"numeric", "a number with up to 2 fraction digits"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].kind, kind) == 0) { return rows[i].looks; }
    }
    return NULL;
}

void tg_params_build(const struct tg_step_spec *step, void *out)
{
    const struct tg_record *record = step->op->params;
    memset(out, 0, record->bytes);
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct tg_field *field = &record->fields[i];
        const char *text = NULL;
        for (uint32_t k = 0; k < step->param_count; k++) {
            if (strcmp(step->params[k].name, field->name) == 0) { text = step->params[k].text; }
        }
        TG_ASSERT(text != NULL);
        TG_ASSERT(tg_param_parse(field->kind, text, (uint8_t *)out + tg_record_offset(record, i)));
    }
}
