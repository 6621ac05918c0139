/* Values as plain text. */
#include "io/value_text.h"

#include <string.h>

#include "base/assert.h"
#include "base/decimal.h"
#include "base/json_text.h"
#include "base/timestamp.h"

static_assert((int)TG_VALUE_TEXT_BYTES >= (int)TG_DEC_TEXT_BYTES, "decimals fit");
static_assert((int)TG_VALUE_TEXT_BYTES >= (int)TG_TS_TEXT_BYTES, "timestamps fit");
static_assert((int)TG_VALUE_TEXT_BYTES >= (int)TG_DATE_TEXT_BYTES, "dates fit");

static tg_text text_of(const char *data, uint32_t bytes) { return (tg_text){.data = data, .bytes = bytes}; }

static tg_text integer_text(int64_t value, char *scratch)
{
    struct tg_writer writer = {.data = scratch, .capacity = TG_VALUE_TEXT_BYTES};
    tg_write_i64(&writer, value);
    return text_of(scratch, writer.used);
}

tg_text tg_value_text(const struct tg_column *column, const void *value, char scratch[TG_VALUE_TEXT_BYTES])
{
    switch (column->type) {
    case TG_TYPE_TEXT:
    case TG_TYPE_JSON: return *(const tg_text *)value;
    case TG_TYPE_BIGINT: return integer_text(*(const int64_t *)value, scratch);
    case TG_TYPE_INTEGER: return integer_text(*(const int32_t *)value, scratch);
    case TG_TYPE_BOOLEAN: return *(const bool *)value ? text_of("true", 4) : text_of("false", 5);
    case TG_TYPE_TIMESTAMP: return text_of(scratch, tg_ts_format(*(const tg_ts *)value, scratch));
    case TG_TYPE_DATE: return text_of(scratch, tg_date_format(*(const tg_date *)value, scratch));
    case TG_TYPE_NUMERIC: return text_of(scratch, tg_dec_format(*(const tg_dec *)value, column->scale, scratch));
    case TG_TYPE_ENUM: {
        const int32_t index = *(const int32_t *)value;
        TG_ASSERT(index >= 0 && index < column->enum_count);
        return text_of(column->enum_values[index], (uint32_t)strlen(column->enum_values[index]));
    }
    }
    tg_assert_failed(__FILE__, __LINE__, "a column has one of the types above");
}
