/* The decoder: one slice after the other through stage 1, the walk and the fields of the row. It owns the scratch of
 * stage 1 and the learned shape; all of it is allocated at creation, nothing later.
 * Order of faults: length, encoding, grammar, kind of document, then the fields in schema order; the first one is the
 * record's reason. */
#include "io/decode.h"

#include <stdlib.h>

#include "base/assert.h"
#include "io/decode_field.h"
#include "io/decode_string.h"
#include "io/decode_walk.h"

/* Entries of `found` cleared at a time: one vector store or two. */
enum { FOUND_BLOCK = 16 };

struct tg_decoder {
    const struct tg_schema *schema;
    struct tg_stage1 *stage1;
    struct tg_field *fields;       /* [schema->column_count] */
    uint32_t *enum_bytes;          /* lengths of all enum values, field after field */
    uint32_t *found;               /* [found_count], see decode_walk.h */
    struct tg_text *unescaped;     /* [names.member_count] texts in scratch; data NULL = not unescaped yet */
    uint32_t found_count;          /* members and the unwanted one, rounded up to whole FOUND_BLOCKs */
    struct tg_names names;
    struct tg_walk walk;
};

const char *tg_reason_name(enum tg_reason reason)
{
#define TG_REASON_NAME(name) #name,
    static const char *const names[] = {"", TG_REASONS(TG_REASON_NAME)};
#undef TG_REASON_NAME
    static_assert(sizeof names / sizeof names[0] == TG_REASON_COUNT, "every reason has a name");
    TG_ASSERT((uint32_t)reason < TG_REASON_COUNT);
    return names[reason];
}

static uint32_t enum_values_count(const struct tg_schema *schema)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        count += schema->columns[i].type == TG_TYPE_ENUM ? schema->columns[i].enum_count : 0;
    }
    return count;
}

static void fields_init(struct tg_decoder *decoder, const struct tg_decoder_config *config)
{
    uint32_t *enum_bytes = decoder->enum_bytes;
    const uint32_t *alias = decoder->names.aliases;
    for (uint32_t i = 0; i < config->schema->column_count; i++) {
        const struct tg_column *column = &config->schema->columns[i];
        const struct tg_field_spec *spec = &config->fields[i];
        TG_ASSERT(column->type != TG_TYPE_JSON);
        TG_ASSERT(spec->name_count > 0 && spec->name_count <= UINT16_MAX);
        decoder->fields[i] = (struct tg_field){
            .member = alias[0], .offset = column->offset, .type = (uint8_t)column->type, .epoch = (uint8_t)spec->epoch,
            .required = spec->required, .integer_ok = spec->integer_ok, .excess_round = spec->excess_round,
            .value_bytes = (uint8_t)tg_type_bytes(column->type), .alias_count = (uint16_t)(spec->name_count - 1),
            .aliases = alias + 1, .column = column, .zone = config->zone, .enum_bytes = enum_bytes};
        alias += spec->name_count;
        for (uint32_t j = 0; column->type == TG_TYPE_ENUM && j < column->enum_count; j++) {
            *enum_bytes++ = (uint32_t)strlen(column->enum_values[j]);
        }
    }
}

tg_status tg_decoder_create(struct tg_decoder **out, const struct tg_decoder_config *config, struct tg_error *err)
{
    TG_ASSERT(config->schema->row_bytes != 0); /* laid out */
    const uint32_t count = config->schema->column_count;
    *out = NULL;
    struct tg_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder == NULL) { return tg_fail(err, TG1601, 0, "no memory for a decoder"); }
    decoder->schema = config->schema;
    decoder->fields = calloc(count + 1, sizeof *decoder->fields);
    decoder->enum_bytes = calloc(enum_values_count(config->schema) + 1, sizeof *decoder->enum_bytes);
    decoder->stage1 = tg_stage1_create(TG_RECORD_BYTES_MAX);
    bool complete = decoder->fields != NULL && decoder->enum_bytes != NULL && decoder->stage1 != NULL &&
                    tg_names_init(&decoder->names, config->fields, count);
    if (complete) {
        decoder->found_count = (decoder->names.member_count + FOUND_BLOCK) / FOUND_BLOCK * FOUND_BLOCK;
        decoder->found = calloc(decoder->found_count, sizeof *decoder->found);
        decoder->unescaped = calloc(decoder->names.member_count + 1, sizeof *decoder->unescaped);
        complete = decoder->found != NULL && decoder->unescaped != NULL;
    }
    if (!complete) {
        tg_decoder_destroy(decoder);
        return tg_fail(err, TG1601, 0, "no memory for a decoder of %u fields", count);
    }
    fields_init(decoder, config);
    decoder->walk.names = &decoder->names;
    decoder->walk.found = decoder->found;
    *out = decoder;
    return TG_OK;
}

void tg_decoder_destroy(struct tg_decoder *decoder)
{
    if (decoder == NULL) { return; }
    tg_names_deinit(&decoder->names);
    tg_stage1_destroy(decoder->stage1);
    free(decoder->fields);
    free(decoder->enum_bytes);
    free(decoder->found);
    free(decoder->unescaped);
    free(decoder);
}

/* Text of a string with escapes, once per member and record, so that scratch, as long as the buffer, cannot run out as
 * long as no slice is decoded twice. */
TG_COLD static struct tg_text unescaped_text(struct tg_decoder *decoder, uint32_t member, struct tg_text raw,
                                             struct tg_buffer *buffer)
{
    struct tg_text *known = &decoder->unescaped[member];
    if (known->data == NULL) {
        TG_ASSERT(buffer->capacity - buffer->scratch_used >= raw.bytes);
        uint8_t *out = buffer->scratch + buffer->scratch_used;
        const uint32_t bytes = tg_string_unescape((const uint8_t *)raw.data, raw.bytes, out);
        buffer->scratch_used += bytes;
        *known = (struct tg_text){.data = (const char *)out, .bytes = bytes};
    }
    return *known;
}

/* What stands at index i as the value of `member`. */
static struct tg_lexeme lexeme_at(struct tg_decoder *decoder, uint32_t member, uint32_t i, struct tg_buffer *buffer)
{
    const struct tg_walk *walk = &decoder->walk;
    const uint32_t start = walk->structure.at[i];
    const uint32_t end = tg_walk_token_end(walk, i);
    const char *text = (const char *)walk->bytes + start;
    if (*text != '"') { return (struct tg_lexeme){.text = text, .bytes = end - start, .first = *text}; }
    struct tg_text inside = {.data = text + 1, .bytes = end - start - 2};
    if (TG_UNLIKELY(walk->has_escapes) && memchr(inside.data, '\\', inside.bytes) != NULL) {
        inside = unescaped_text(decoder, member, inside, buffer);
    }
    return (struct tg_lexeme){.text = inside.data, .bytes = inside.bytes, .first = '"'};
}

/* Index of the member's value, 0 when it is not there or null, which is the same. */
static inline uint32_t present_at(const struct tg_walk *walk, uint32_t member)
{
    const uint32_t i = walk->found[member];
    return walk->bytes[walk->structure.at[i]] == 'n' ? 0 : i;
}

/* The first of the field's further names that is present; *member is left alone when none is. */
static uint32_t alias_find(const struct tg_walk *walk, const struct tg_field *field, uint32_t *member)
{
    for (uint32_t i = 0; i < field->alias_count; i++) {
        const uint32_t at = present_at(walk, field->aliases[i]);
        if (at != 0) {
            *member = field->aliases[i];
            return at;
        }
    }
    return 0;
}

static enum tg_reason fill_field(struct tg_decoder *decoder, const struct tg_field *field, struct tg_buffer *buffer,
                                 uint8_t *row, uint64_t *adjusted)
{
    uint32_t member = field->member;
    uint32_t i = present_at(&decoder->walk, member);
    if (TG_UNLIKELY(i == 0)) { i = alias_find(&decoder->walk, field, &member); }
    if (TG_UNLIKELY(i == 0)) {
        if (field->required) { return TG_REASON_missing_field; }
        memset(row + field->offset, 0, field->value_bytes);
        tg_row_set_null(decoder->schema, row, (uint32_t)(field - decoder->fields), true);
        return TG_REASON_none;
    }
    const struct tg_lexeme lexeme = lexeme_at(decoder, member, i, buffer);
    return tg_field_convert(field, &lexeme, row + field->offset, adjusted);
}

/* The bulk: a text under its first name, a string of 1 to TG_TEXT_BYTES_MAX bytes in a document without escapes. False
 * when it is anything else, or nothing. */
static inline bool fill_plain_text(const struct tg_walk *walk, const struct tg_field *field, uint8_t *row)
{
    if (field->type != TG_TYPE_TEXT || walk->has_escapes) { return false; }
    const uint32_t i = walk->found[field->member]; /* 0: the document's brace, which is no quote */
    const uint8_t *start = walk->bytes + walk->structure.at[i];
    if (*start != '"') { return false; }
    const uint8_t *end = walk->bytes + tg_walk_token_end(walk, i);
    const uint32_t bytes = (uint32_t)(end - start) - 2;
    if (bytes - 1 >= TG_TEXT_BYTES_MAX) { return false; }
    *(tg_text *)(void *)(row + field->offset) = (tg_text){.data = (const char *)start + 1, .bytes = bytes};
    return true;
}

/* Fill the columns of `row` from the walked document. */
static inline struct tg_decoded fill_row(struct tg_decoder *decoder, struct tg_buffer *buffer, uint8_t *row,
                                         uint64_t *adjusted)
{
    const struct tg_schema *schema = decoder->schema;
    const uint32_t count = schema->column_count;
    uint64_t row_adjusted = 0;
    for (uint32_t i = 0; i < (count + 7) / 8; i++) { row[schema->nulls_offset + i] = 0; }
    for (uint32_t column = 0; column < count; column++) {
        const struct tg_field *field = &decoder->fields[column];
        if (TG_LIKELY(fill_plain_text(&decoder->walk, field, row))) { continue; }
        const enum tg_reason reason = fill_field(decoder, field, buffer, row, &row_adjusted);
        if (TG_UNLIKELY(reason != TG_REASON_none)) { return (struct tg_decoded){reason, (int32_t)column}; }
    }
    *adjusted += row_adjusted;
    return (struct tg_decoded){TG_REASON_none, -1};
}

/* Point `escape` at the first backslash at or behind the record. One scan reaches over all slices of the call, to
 * `reach`; a slice that stands before its predecessor or behind `reach` starts a scan of its own. *behind is the end of
 * the slice before. */
static inline void escapes_seek(struct tg_walk *walk, const struct tg_slice *slice, const uint8_t **behind,
                                const uint8_t *reach)
{
    const uint8_t *const end = slice->value + slice->value_bytes;
    const bool is_next = slice->value >= *behind && end <= walk->escape_end;
    *behind = end;
    if (TG_LIKELY(is_next && walk->escape >= slice->value)) { return; }
    if (!is_next) { walk->escape_end = reach > end ? reach : end; }
    const uint8_t *found = memchr(slice->value, '\\', (size_t)(walk->escape_end - slice->value));
    walk->escape = found != NULL ? found : walk->escape_end;
}

static enum tg_reason walk_slice(struct tg_decoder *decoder, const struct tg_slice *slice, struct tg_buffer *buffer)
{
    struct tg_walk *walk = &decoder->walk;
    walk->bytes = slice->value;
    walk->scratch = buffer->scratch + buffer->scratch_used;
    for (uint32_t i = 0; i < decoder->found_count; i += FOUND_BLOCK) { /* inlined stores: a call costs more than they do */
        memset(decoder->found + i, 0, FOUND_BLOCK * sizeof *decoder->found);
    }
    enum tg_walk_outcome outcome = TG_WALK_BAD;
    if (TG_LIKELY(tg_stage1_run(decoder->stage1, slice->value, slice->value_bytes, &walk->structure) == TG_STAGE1_OK)) {
        outcome = tg_walk_document(walk);
    }
    if (TG_LIKELY(outcome == TG_WALK_OBJECT)) { return TG_REASON_none; }
    if (outcome == TG_WALK_OTHER) { return TG_REASON_not_object; }
    return tg_stage1_is_utf8(slice->value, slice->value_bytes) ? TG_REASON_bad_json : TG_REASON_bad_utf8;
}

void tg_decode_json(struct tg_decoder *decoder, uint32_t count, const struct tg_slice *slices, struct tg_buffer *buffer,
                    uint8_t *rows, struct tg_decoded *results, uint64_t *adjusted)
{
    if (count == 0) { return; }
    const uint8_t *behind = buffer->data;
    const struct tg_slice *last = &slices[count - 1];
    const uint8_t *const reach = last->value != NULL ? last->value + last->value_bytes : NULL;
    decoder->walk.escape_end = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const struct tg_slice *slice = &slices[i];
        results[i] = (struct tg_decoded){TG_REASON_bad_json, -1};
        if (slice->oversize != 0 || slice->value_bytes > TG_RECORD_BYTES_MAX) {
            results[i].reason = TG_REASON_too_long;
            continue;
        }
        if (slice->value == NULL || slice->value_bytes == 0) { continue; }
        TG_DCHECK(slice->value >= buffer->data);
        TG_DCHECK(slice->value + slice->value_bytes <= buffer->data + buffer->capacity);
        escapes_seek(&decoder->walk, slice, &behind, reach);
        results[i].reason = walk_slice(decoder, slice, buffer);
        if (TG_UNLIKELY(results[i].reason != TG_REASON_none)) { continue; }
        if (TG_UNLIKELY(decoder->walk.has_escapes)) {
            memset(decoder->unescaped, 0, decoder->names.member_count * sizeof *decoder->unescaped);
        }
        results[i] = fill_row(decoder, buffer, rows + (size_t)i * decoder->schema->row_bytes, adjusted);
    }
}
