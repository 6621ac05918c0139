/* The decoder: slices through stage 1, the walk and the fields of the row. It owns the scratch of stage 1, the group
 * and the learned shape; all of it is allocated at creation, nothing later.
 * Order of faults: length, encoding, grammar, kind of document, then the fields in schema order; the first one is the
 * record's reason.
 *
 * Groups. A run of stage 1 costs about 28 ns plus 5 ns per 64 bytes, so records of 70 or 300 bytes pay mostly for its
 * start and end. Small records are therefore copied one behind the other, two newlines between them, and indexed by one
 * run. That never changes a verdict: a string that its record leaves open meets a newline, which stage 1 refuses inside
 * strings (the second one is for a backslash as the record's last byte), and a character cut short meets one as well.
 * Then the whole group is refused and each of its records is indexed alone. Where stage 1 accepts a group, every record
 * begins outside of strings and escapes, so its indexes are the ones it would have alone. */
#include "io/decode.h"

#include <stdlib.h>

#include "base/assert.h"
#include "io/decode_field.h"
#include "io/decode_string.h"
#include "io/decode_walk.h"

enum {
    FOUND_BLOCK = 16,          /* entries of `found` cleared at a time */
    GROUP_BYTES = 16384,       /* with its indexes half of a first-level cache */
    GROUP_RECORD_BYTES = 2048, /* longer ones go alone: the copy would cost more than it saves */
    GROUP_GAP = 2,
    GROUP_BLOCK = 32, /* copied at a time; the last one reads into the padding behind the slice */
};
static_assert((int)GROUP_BLOCK <= (int)TG_BUFFER_PADDING, "a block may begin at a slice's last byte");

struct tg_decoder {
    const struct tg_schema *schema;
    struct tg_stage1 *stage1;
    struct tg_field *fields;       /* [schema->column_count] */
    uint32_t *enum_bytes;          /* lengths of all enum values, field after field */
    uint32_t *found;               /* [found_count], see decode_walk.h */
    struct tg_text *unescaped;     /* [names.member_count] texts in scratch; data NULL = not unescaped yet */
    uint32_t found_count;          /* members and the unwanted one, rounded up to whole FOUND_BLOCKs */
    struct tg_buffer *buffer;      /* of the call */
    uint64_t adjusted;             /* of the call: stamps of accepted rows */
    const struct tg_slice *slice;  /* being decoded */
    uint32_t slice_start;          /* offset of its first byte in walk.bytes */
    struct tg_names names;
    struct tg_walk walk;
    uint8_t group[GROUP_BYTES + GROUP_RECORD_BYTES + GROUP_GAP + TG_BUFFER_PADDING];
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
TG_COLD static struct tg_text unescaped_text(struct tg_decoder *decoder, uint32_t member, struct tg_text raw)
{
    struct tg_buffer *buffer = decoder->buffer;
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
static struct tg_lexeme lexeme_at(struct tg_decoder *decoder, uint32_t member, uint32_t i)
{
    const struct tg_walk *walk = &decoder->walk;
    const uint32_t start = walk->structure.at[i];
    const uint32_t end = tg_walk_token_end(walk, i);
    const char *text = (const char *)decoder->slice->value + (start - decoder->slice_start);
    if (*text != '"') { return (struct tg_lexeme){.text = text, .bytes = end - start, .first = *text}; }
    struct tg_text inside = {.data = text + 1, .bytes = end - start - 2};
    if (TG_UNLIKELY(walk->has_escapes) && memchr(inside.data, '\\', inside.bytes) != NULL) {
        inside = unescaped_text(decoder, member, inside);
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

static enum tg_reason fill_field(struct tg_decoder *decoder, const struct tg_field *field, uint8_t *row,
                                 uint64_t *adjusted)
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
    const struct tg_lexeme lexeme = lexeme_at(decoder, member, i);
    return tg_field_convert(field, &lexeme, row + field->offset, adjusted);
}

/* The bulk: a text under its first name, a string of 1 to TG_TEXT_BYTES_MAX bytes in a document without escapes. False
 * when it is anything else, or nothing. */
static inline bool fill_plain_text(const struct tg_decoder *decoder, const struct tg_field *field, uint8_t *row)
{
    const struct tg_walk *walk = &decoder->walk;
    if (field->type != TG_TYPE_TEXT || walk->has_escapes) { return false; }
    const uint32_t i = walk->found[field->member]; /* 0: the document's brace, which is no quote */
    const uint32_t start = walk->structure.at[i];
    const uint32_t bytes = tg_walk_token_end(walk, i) - start - 2;
    if (walk->bytes[start] != '"' || bytes - 1 >= TG_TEXT_BYTES_MAX) { return false; }
    const char *text = (const char *)decoder->slice->value + (start - decoder->slice_start) + 1;
    *(tg_text *)(void *)(row + field->offset) = (tg_text){.data = text, .bytes = bytes};
    return true;
}

/* Fill the columns of `row` from the walked document. */
static inline struct tg_decoded fill_row(struct tg_decoder *decoder, uint8_t *row)
{
    const struct tg_schema *schema = decoder->schema;
    const uint32_t count = schema->column_count;
    uint64_t row_adjusted = 0;
    for (uint32_t i = 0; i < (count + 7) / 8; i++) { row[schema->nulls_offset + i] = 0; }
    for (uint32_t column = 0; column < count; column++) {
        const struct tg_field *field = &decoder->fields[column];
        if (TG_LIKELY(fill_plain_text(decoder, field, row))) { continue; }
        const enum tg_reason reason = fill_field(decoder, field, row, &row_adjusted);
        if (TG_UNLIKELY(reason != TG_REASON_none)) { return (struct tg_decoded){reason, (int32_t)column}; }
    }
    decoder->adjusted += row_adjusted;
    return (struct tg_decoded){TG_REASON_none, -1};
}

/* Point `escape` at the first backslash at or behind `from`. */
static void escapes_seek(struct tg_walk *walk, const uint8_t *from)
{
    const uint8_t *found = memchr(from, '\\', (size_t)(walk->escape_end - from));
    walk->escape = found != NULL ? found : walk->escape_end;
}

/* Decode the slice whose first token is structure.at[0] and whose bytes are at slice_start in walk.bytes. */
static inline struct tg_decoded decode_indexed(struct tg_decoder *decoder, uint8_t *row)
{
    struct tg_walk *walk = &decoder->walk;
    const struct tg_slice *slice = decoder->slice;
    walk->end = decoder->slice_start + slice->value_bytes;
    walk->scratch = decoder->buffer->scratch + decoder->buffer->scratch_used;
    /* inlined stores: a call costs more than they do */
    for (uint32_t i = 0; i < decoder->found_count; i += FOUND_BLOCK) {
        memset(decoder->found + i, 0, FOUND_BLOCK * sizeof *decoder->found);
    }
    const bool is_blank = walk->structure.count == 0 || walk->structure.at[0] >= walk->end;
    const enum tg_walk_outcome outcome = is_blank ? TG_WALK_BAD : tg_walk_document(walk);
    if (TG_UNLIKELY(outcome != TG_WALK_OBJECT)) {
        if (outcome == TG_WALK_OTHER) { return (struct tg_decoded){TG_REASON_not_object, -1}; }
        walk->consumed = 0; /* the walk may have run into the documents behind */
        const bool is_utf8 = tg_stage1_is_utf8(slice->value, slice->value_bytes);
        return (struct tg_decoded){is_utf8 ? TG_REASON_bad_json : TG_REASON_bad_utf8, -1};
    }
    if (TG_UNLIKELY(walk->has_escapes)) {
        memset(decoder->unescaped, 0, decoder->names.member_count * sizeof *decoder->unescaped);
    }
    return fill_row(decoder, row);
}

/* A slice by itself. */
static struct tg_decoded decode_alone(struct tg_decoder *decoder, const struct tg_slice *slice, uint8_t *row)
{
    if (slice->oversize != 0 || slice->value_bytes > TG_RECORD_BYTES_MAX) {
        return (struct tg_decoded){TG_REASON_too_long, -1};
    }
    if (slice->value == NULL || slice->value_bytes == 0) { return (struct tg_decoded){TG_REASON_bad_json, -1}; }
    struct tg_walk *walk = &decoder->walk;
    decoder->slice = slice;
    decoder->slice_start = 0;
    walk->bytes = slice->value;
    walk->structure.count = 0; /* stays so when stage 1 refuses */
    (void)tg_stage1_run(decoder->stage1, slice->value, slice->value_bytes, &walk->structure);
    walk->escape_end = slice->value + slice->value_bytes;
    escapes_seek(walk, slice->value);
    return decode_indexed(decoder, row);
}

/* Copy leading slices into the group; returns how many went in, with the group's length in *bytes. */
static uint32_t group_fill(struct tg_decoder *decoder, uint32_t count, const struct tg_slice *slices, uint32_t *bytes)
{
    uint32_t used = 0;
    uint32_t i = 0;
    for (; i < count && used < GROUP_BYTES; i++) {
        const struct tg_slice *slice = &slices[i];
        if (slice->oversize != 0 || slice->value == NULL || slice->value_bytes - 1 >= GROUP_RECORD_BYTES) { break; }
        /* memcpy of a length known to be small becomes rep movs, which takes 20 ns to start. */
        for (uint32_t at = 0; at < slice->value_bytes; at += GROUP_BLOCK) {
            memcpy(decoder->group + used + at, slice->value + at, GROUP_BLOCK);
        }
        used += slice->value_bytes;
        memset(decoder->group + used, '\n', GROUP_GAP);
        used += GROUP_GAP;
    }
    *bytes = used;
    return i;
}

/* Index of the first token at or behind offset `start`, from index i on. */
static uint32_t tokens_skip(const struct tg_structure *structure, uint32_t i, uint32_t start)
{
    while (i < structure->count && structure->at[i] < start) { i++; }
    return i;
}

/* Decode slices[count], which are the group, from its indexes `all`. */
static void group_decode(struct tg_decoder *decoder, const struct tg_structure *all, uint32_t count,
                         const struct tg_slice *slices, uint8_t *rows, struct tg_decoded *results)
{
    struct tg_walk *walk = &decoder->walk;
    const size_t row_bytes = decoder->schema->row_bytes;
    uint32_t first = 0;
    uint32_t start = 0;
    walk->bytes = decoder->group;
    walk->escape_end = decoder->group + all->at[all->count];
    walk->consumed = 0;
    for (uint32_t i = 0; i < count; i++) {
        /* the first one, and behind a refused one */
        if (walk->consumed == 0) { escapes_seek(walk, walk->bytes + start); }
        decoder->slice = &slices[i];
        decoder->slice_start = start;
        walk->structure = (struct tg_structure){.at = all->at + first, .count = all->count - first};
        results[i] = decode_indexed(decoder, rows + i * row_bytes);
        start += slices[i].value_bytes + GROUP_GAP;
        first = tokens_skip(all, first + walk->consumed, start);
    }
}

uint64_t tg_decode_json(struct tg_decoder *decoder, const struct tg_raw_batch *raw, uint8_t *rows,
                        struct tg_decoded *results)
{
    const uint32_t count = raw->count;
    const struct tg_slice *slices = raw->slices;
    const size_t row_bytes = decoder->schema->row_bytes;
    decoder->buffer = raw->buffer;
    decoder->adjusted = 0;
    uint32_t i = 0;
    while (i < count) {
        struct tg_structure all;
        uint32_t bytes;
        uint32_t taken = group_fill(decoder, count - i, slices + i, &bytes);
        if (taken > 1 && tg_stage1_run(decoder->stage1, decoder->group, bytes, &all) == TG_STAGE1_OK) {
            group_decode(decoder, &all, taken, slices + i, rows + i * row_bytes, results + i);
            i += taken;
            continue;
        }
        for (taken = taken == 0 ? 1 : taken; taken > 0; taken--, i++) {
            results[i] = decode_alone(decoder, &slices[i], rows + i * row_bytes);
        }
    }
    return decoder->adjusted;
}
