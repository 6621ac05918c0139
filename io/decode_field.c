/* Conversions, one function per family of types. Number tokens have passed the walk's grammar, so an integer token is
 * one without point and exponent. */
#include "io/decode_field.h"

#include <string.h>

#include "base/assert.h"
#include "base/decimal.h"

/* Instants a timestamp text can name: 0001-01-01T00:00:00 to 9999-12-31T23:59:59.999999. Epochs keep to them too, so
 * that every timestamp in a row can be printed. */
#define TS_TEXT_MIN (INT64_C(-62135596800) * 1000000)
#define TS_TEXT_MAX (INT64_C(253402300799) * 1000000 + 999999)

static bool is_number(const struct tg_lexeme *lexeme)
{
    return lexeme->first == '-' || (uint32_t)(lexeme->first - '0') < 10;
}

static bool is_integer(const struct tg_lexeme *lexeme)
{
    if (!is_number(lexeme)) { return false; }
    for (uint32_t i = 1; i < lexeme->bytes; i++) {
        if ((uint32_t)(lexeme->text[i] - '0') >= 10) { return false; }
    }
    return true;
}

/* Value of an integer token. */
static enum tg_reason read_integer(const struct tg_lexeme *lexeme, int64_t *out)
{
    if (!is_number(lexeme)) { return TG_REASON_wrong_type; }
    const bool negative = lexeme->first == '-';
    const uint64_t limit = negative ? UINT64_C(1) << 63 : INT64_MAX;
    uint64_t value = 0;
    bool fits = true;
    for (uint32_t i = negative; i < lexeme->bytes; i++) {
        const uint32_t digit = (uint32_t)(lexeme->text[i] - '0');
        if (digit >= 10) { return TG_REASON_wrong_type; } /* whatever its size: 1e30 is no integer token */
        fits = fits && value <= (limit - digit) / 10;
        if (fits) { value = value * 10 + digit; }
    }
    if (!fits) { return TG_REASON_out_of_range; }
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return TG_REASON_none;
}

static enum tg_reason convert_text(const struct tg_field *field, const struct tg_lexeme *lexeme, tg_text *out)
{
    struct tg_lexeme text = *lexeme;
    if (lexeme->first != '"') {
        if (!field->integer_ok || !is_integer(lexeme)) { return TG_REASON_wrong_type; }
        if (text.bytes == 2 && memcmp(text.text, "-0", 2) == 0) { /* the one integer token that is not canonical */
            text.text++;
            text.bytes--;
        }
    }
    if (text.bytes > TG_TEXT_BYTES_MAX) { return TG_REASON_too_long; }
    if (text.bytes == 0 && field->required) { return TG_REASON_empty_key; }
    *out = (tg_text){.data = text.text, .bytes = text.bytes};
    return TG_REASON_none;
}

static enum tg_reason convert_enum(const struct tg_field *field, const struct tg_lexeme *lexeme, int32_t *out)
{
    if (lexeme->first != '"') { return TG_REASON_wrong_type; }
    for (uint32_t i = 0; i < field->column->enum_count; i++) {
        if (field->enum_bytes[i] == lexeme->bytes &&
            memcmp(field->column->enum_values[i], lexeme->text, lexeme->bytes) == 0) {
            *out = (int32_t)i;
            return TG_REASON_none;
        }
    }
    return TG_REASON_unknown_enum;
}

static enum tg_reason convert_epoch(const struct tg_field *field, const struct tg_lexeme *lexeme, tg_ts *out)
{
    static const int64_t unit_us[] = {
        [TG_EPOCH_NONE] = 0, [TG_EPOCH_S] = 1000000, [TG_EPOCH_MS] = 1000, [TG_EPOCH_US] = 1};
    if (field->epoch == TG_EPOCH_NONE) { return TG_REASON_wrong_type; }
    int64_t count = 0;
    const enum tg_reason reason = read_integer(lexeme, &count);
    if (reason != TG_REASON_none) { return reason; }
    int64_t ts;
    if (__builtin_mul_overflow(count, unit_us[field->epoch], &ts)) { return TG_REASON_out_of_range; }
    if (ts < TS_TEXT_MIN || ts > TS_TEXT_MAX) { return TG_REASON_out_of_range; }
    *out = ts;
    return TG_REASON_none;
}

static enum tg_reason convert_timestamp(const struct tg_field *field, const struct tg_lexeme *lexeme, tg_ts *out,
                                        uint64_t *adjusted)
{
    if (lexeme->first != '"') { return convert_epoch(field, lexeme, out); }
    bool was_adjusted = false;
    if (!tg_ts_parse(lexeme->text, lexeme->bytes, field->zone, out, &was_adjusted)) { return TG_REASON_bad_timestamp; }
    *adjusted += was_adjusted;
    return TG_REASON_none;
}

static enum tg_reason convert_date(const struct tg_lexeme *lexeme, tg_date *out)
{
    if (lexeme->first != '"') { return TG_REASON_wrong_type; }
    return tg_date_parse(lexeme->text, lexeme->bytes, out) ? TG_REASON_none : TG_REASON_bad_timestamp;
}

static enum tg_reason convert_numeric(const struct tg_field *field, const struct tg_lexeme *lexeme, tg_dec *out)
{
    if (!is_number(lexeme)) { return TG_REASON_wrong_type; }
    const struct tg_column *column = field->column;
    switch (tg_dec_parse(lexeme->text, lexeme->bytes, column->precision, column->scale, field->excess_round, out)) {
    case TG_DEC_OK: return TG_REASON_none;
    case TG_DEC_SCALE: return TG_REASON_scale;
    case TG_DEC_RANGE: return TG_REASON_out_of_range;
    case TG_DEC_SYNTAX: break; /* the walk has checked the grammar */
    }
    TG_ASSERT(false);
    return TG_REASON_bad_json;
}

static enum tg_reason convert_int32(const struct tg_lexeme *lexeme, int32_t *out)
{
    int64_t value = 0;
    const enum tg_reason reason = read_integer(lexeme, &value);
    if (reason != TG_REASON_none) { return reason; }
    if (value < INT32_MIN || value > INT32_MAX) { return TG_REASON_out_of_range; }
    *out = (int32_t)value;
    return TG_REASON_none;
}

static enum tg_reason convert_boolean(const struct tg_lexeme *lexeme, bool *out)
{
    if (lexeme->first != 't' && lexeme->first != 'f') { return TG_REASON_wrong_type; }
    *out = lexeme->first == 't';
    return TG_REASON_none;
}

enum tg_reason tg_field_convert(const struct tg_field *field, const struct tg_lexeme *lexeme, void *out,
                                uint64_t *adjusted)
{
    switch ((enum tg_type)field->type) {
    case TG_TYPE_TEXT: return convert_text(field, lexeme, out);
    case TG_TYPE_BIGINT: return read_integer(lexeme, out);
    case TG_TYPE_INTEGER: return convert_int32(lexeme, out);
    case TG_TYPE_BOOLEAN: return convert_boolean(lexeme, out);
    case TG_TYPE_TIMESTAMP: return convert_timestamp(field, lexeme, out, adjusted);
    case TG_TYPE_DATE: return convert_date(lexeme, out);
    case TG_TYPE_NUMERIC: return convert_numeric(field, lexeme, out);
    case TG_TYPE_ENUM: return convert_enum(field, lexeme, out);
    case TG_TYPE_JSON: break; /* refused at creation: output columns only */
    }
    TG_ASSERT(false);
    return TG_REASON_wrong_type;
}
