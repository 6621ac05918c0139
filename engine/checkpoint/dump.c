/* A checkpoint as JSON lines: what its manifest says, then its entries. With `resolved` two passes: the first learns
 * which record of each key is the last one, the second prints those; it costs about 80 bytes and the key's length of
 * memory for each key. */
#include "engine/checkpoint/dump.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/decimal.h"
#include "base/json_text.h"
#include "base/key.h"
#include "base/timestamp.h"
#include "state/value.h"

/* ---- values as JSON ---------------------------------------------------------------------------------------------- */

/* Ends of time have no date. */
static void write_timestamp(struct tg_writer *writer, int64_t value)
{
    char text[TG_TS_TEXT_BYTES];
    if (value == TG_TS_MIN || value == TG_TS_MAX) {
        tg_write_cstr(writer, value == TG_TS_MIN ? "\"-infinity\"" : "\"infinity\"");
        return;
    }
    tg_write_json_string(writer, text, tg_ts_format(value, text));
}

static void write_decimal(struct tg_writer *writer, tg_dec value, uint8_t scale)
{
    char text[TG_DEC_TEXT_BYTES];
    tg_dec limit = 1;
    for (uint32_t i = 0; i < 38; i++) { limit *= 10; }
    if (value >= limit || value <= -limit) {
        tg_write_cstr(writer, "\"out of range\"");
        return;
    }
    tg_write_json_string(writer, text, tg_dec_format(value, scale == TG_STATE_SCALE_NONE ? 0 : scale, text));
}

static void write_scalar(struct tg_writer *writer, const struct tg_state_field *field,
                         const struct tg_state_scalar *value)
{
    char text[TG_DATE_TEXT_BYTES];
    switch (field->kind) {
    case TG_STATE_TEXT:
    case TG_STATE_LABEL:
    case TG_STATE_NAME:
    case TG_STATE_JSON: tg_write_json_string(writer, value->text.data, value->text.bytes); break;
    case TG_STATE_TIMESTAMP: write_timestamp(writer, value->number); break;
    case TG_STATE_NUMERIC: write_decimal(writer, value->decimal, field->scale); break;
    case TG_STATE_BOOLEAN: tg_write_cstr(writer, value->number == 1 ? "true" : "false"); break;
    case TG_STATE_DATE: tg_write_json_string(writer, text, tg_date_format((tg_date)value->number, text)); break;
    default: tg_write_i64(writer, value->number); break;
    }
}

static void write_name(struct tg_writer *writer, const char *name, bool is_first)
{
    if (!is_first) { tg_write_bytes(writer, ",", 1); }
    tg_write_json_string(writer, name, (uint32_t)strlen(name));
    tg_write_bytes(writer, ":", 1);
}

/* {"a":1,...} of plain fields. */
static void write_plain(struct tg_writer *writer, struct tg_bytes_in *in, const struct tg_state_field *fields,
                        uint32_t count)
{
    struct tg_state_scalar value;
    tg_write_bytes(writer, "{", 1);
    for (uint32_t i = 0; i < count; i++) {
        tg_state_scalar_get(in, &fields[i], &value);
        write_name(writer, fields[i].name, i == 0);
        write_scalar(writer, &fields[i], &value);
    }
    tg_write_bytes(writer, "}", 1);
}

/* [1,2] for deques, [{...},...] for lists, [{"key":{...},"value":{...}},...] for maps. */
static void write_container(struct tg_writer *writer, struct tg_bytes_in *in, const struct tg_state_field *field)
{
    const uint32_t count = tg_state_count_get(in, field);
    struct tg_state_scalar value;
    tg_write_bytes(writer, "[", 1);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) { tg_write_bytes(writer, ",", 1); }
        if (field->kind == TG_STATE_DEQUE) {
            tg_state_scalar_get(in, field->elements, &value);
            write_scalar(writer, field->elements, &value);
        } else if (field->kind == TG_STATE_LIST) {
            write_plain(writer, in, field->elements, field->element_count);
        } else {
            tg_write_cstr(writer, "{\"key\":");
            write_plain(writer, in, field->elements, field->key_count);
            tg_write_cstr(writer, ",\"value\":");
            write_plain(writer, in, field->elements + field->key_count, field->element_count - field->key_count);
            tg_write_bytes(writer, "}", 1);
        }
    }
    tg_write_bytes(writer, "]", 1);
}

static void write_key(struct tg_writer *writer, const struct tg_state_layout *layout, struct tg_key key)
{
    struct tg_bytes_in in = {.data = key.data, .bytes = key.bytes};
    struct tg_state_scalar value;
    bool is_null;
    tg_write_bytes(writer, "{", 1);
    for (uint32_t i = 0; i < layout->key_count; i++) {
        tg_state_key_get(&in, &layout->keys[i], &is_null, &value);
        write_name(writer, layout->keys[i].name, i == 0);
        if (is_null) {
            tg_write_cstr(writer, "null");
        } else {
            write_scalar(writer, &layout->keys[i], &value);
        }
    }
    tg_write_bytes(writer, "}", 1);
}

static void write_value(struct tg_writer *writer, const struct tg_state_layout *layout,
                        const struct tg_state_record *record)
{
    struct tg_bytes_in in = {.data = record->value, .bytes = record->value_bytes};
    struct tg_state_scalar value;
    tg_write_bytes(writer, "{", 1);
    for (uint32_t i = 0; i < layout->field_count; i++) {
        const struct tg_state_field *field = &layout->fields[i];
        write_name(writer, field->name, i == 0);
        if (field->kind >= TG_STATE_DEQUE) {
            write_container(writer, &in, field);
        } else {
            tg_state_scalar_get(&in, field, &value);
            write_scalar(writer, field, &value);
        }
    }
    tg_write_bytes(writer, "}", 1);
}

/* ---- one pass ---------------------------------------------------------------------------------------------------- */

/* The last record of a key. */
struct last {
    uint64_t hash;
    uint64_t ordinal; /* of the record among all, from 1; 0 = free place */
    uint8_t *key;     /* table name and key; owned */
    uint32_t bytes;
    bool is_put;
};

struct dump {
    const struct tg_store *store;
    const struct tg_manifest *manifest;
    FILE *out;
    bool resolved;
    bool is_learning; /* first pass of two */
    uint64_t ordinal;
    struct tg_writer line;
    struct last *places; /* [capacity] open addressing */
    uint64_t capacity;   /* a power of two */
    uint64_t count;
};

static tg_status no_memory(struct tg_error *err) { return tg_fail(err, TG1601, 0, "no memory to print a checkpoint"); }

static struct last *find_place(struct last *places, uint64_t capacity, uint64_t hash, const uint8_t *key,
                               uint32_t bytes)
{
    for (uint64_t at = hash & (capacity - 1);; at = (at + 1) & (capacity - 1)) {
        struct last *place = &places[at];
        const bool is_it =
            place->hash == hash && place->bytes == bytes && place->ordinal != 0 && memcmp(place->key, key, bytes) == 0;
        if (is_it || place->ordinal == 0) { return place; }
    }
}

static bool grow(struct dump *dump)
{
    const uint64_t capacity = dump->capacity == 0 ? 1024 : 2 * dump->capacity;
    struct last *places = calloc(capacity, sizeof *places);
    if (places == NULL) { return false; }
    for (uint64_t i = 0; i < dump->capacity; i++) {
        const struct last *old = &dump->places[i];
        if (old->ordinal != 0) { *find_place(places, capacity, old->hash, old->key, old->bytes) = *old; }
    }
    free(dump->places);
    dump->places = places;
    dump->capacity = capacity;
    return true;
}

/* The place of this record's key in its table; NULL when there is no memory for a new one. */
static struct last *place_of_key(struct dump *dump, const struct tg_state_layout *layout, struct tg_key key)
{
    uint8_t bytes[TG_KEY_BYTES_MAX + 2 * (TG_STATE_NAME_BYTES_MAX + 1) + 1];
    struct tg_bytes_out out = {.data = bytes, .capacity = sizeof bytes};
    tg_bytes_put_u8(&out, (uint8_t)layout->owner_kind);
    tg_bytes_put(&out, layout->owner, strlen(layout->owner) + 1);
    tg_bytes_put(&out, layout->name, strlen(layout->name) + 1);
    tg_bytes_put(&out, key.data, key.bytes);
    TG_ASSERT(!out.overflow);
    if (dump->count * 2 >= dump->capacity && !grow(dump)) { return NULL; }
    const uint64_t hash = tg_key_hash(bytes, (uint32_t)out.used);
    struct last *place = find_place(dump->places, dump->capacity, hash, bytes, (uint32_t)out.used);
    if (place->ordinal != 0) { return place; }
    uint8_t *copy = malloc(out.used);
    if (copy == NULL) { return NULL; }
    memcpy(copy, bytes, out.used);
    *place = (struct last){.hash = hash, .ordinal = 1, .key = copy, .bytes = (uint32_t)out.used};
    dump->count++;
    return place;
}

static void write_line(struct dump *dump, const struct tg_state_reader *reader, const struct tg_state_record *record)
{
    struct tg_writer *line = &dump->line;
    const struct tg_state_layout *layout = &reader->header.tables[record->table];
    line->used = 0;
    line->overflow = false;
    tg_write_cstr(line, "{");
    if (!dump->resolved) {
        tg_write_cstr(line, record->op == TG_STATE_PUT ? "\"op\":\"put\"," : "\"op\":\"del\",");
        tg_write_cstr(line, "\"epoch\":");
        tg_write_i64(line, (int64_t)reader->header.epoch);
        tg_write_cstr(line, ",\"shard\":");
        tg_write_i64(line, reader->header.shard);
        tg_write_cstr(line, ",");
    }
    write_name(line, layout->owner_kind == TG_STATE_OF_SOURCE ? "source" : "step", true);
    tg_write_json_string(line, layout->owner, (uint32_t)strlen(layout->owner));
    write_name(line, "state", false);
    tg_write_json_string(line, layout->name, (uint32_t)strlen(layout->name));
    write_name(line, "key", false);
    write_key(line, layout, record->key);
    if (record->op == TG_STATE_PUT) {
        write_name(line, "value", false);
        write_value(line, layout, record);
    }
    tg_write_cstr(line, "}\n");
}

static tg_status print_line(struct dump *dump, const struct tg_state_reader *reader,
                            const struct tg_state_record *record, struct tg_error *err)
{
    write_line(dump, reader, record);
    while (dump->line.overflow) { /* at most 10 times: from 64 KiB to more than any record can need */
        if (dump->line.capacity > UINT32_MAX / 2) { return no_memory(err); }
        free(dump->line.data);
        dump->line.capacity *= 2;
        dump->line.data = malloc(dump->line.capacity);
        if (dump->line.data == NULL) { return no_memory(err); }
        write_line(dump, reader, record);
    }
    (void)fwrite(dump->line.data, 1, dump->line.used, dump->out); /* the command looks at the stream at its end */
    return TG_OK;
}

static tg_status take_record(struct dump *dump, const struct tg_state_reader *reader,
                             const struct tg_state_record *record, struct tg_error *err)
{
    dump->ordinal++;
    if (!dump->resolved) { return print_line(dump, reader, record, err); }
    struct last *last = place_of_key(dump, &reader->header.tables[record->table], record->key);
    if (last == NULL) { return no_memory(err); }
    if (dump->is_learning) {
        last->ordinal = dump->ordinal;
        last->is_put = record->op == TG_STATE_PUT;
        return TG_OK;
    }
    return last->ordinal == dump->ordinal && last->is_put ? print_line(dump, reader, record, err) : TG_OK;
}

/* ---- the manifest ------------------------------------------------------------------------------------------------ */

static void write_number(struct tg_writer *line, const char *name, int64_t value)
{
    write_name(line, name, false);
    tg_write_i64(line, value);
}

static void print_head_line(struct dump *dump)
{
    tg_write_cstr(&dump->line, "}\n");
    (void)fwrite(dump->line.data, 1, dump->line.used, dump->out);
}

static void begin_head_line(struct tg_writer *line, const char *kind, const char *name)
{
    line->used = 0;
    tg_write_cstr(line, "{");
    write_name(line, kind, true);
    tg_write_json_string(line, name, (uint32_t)strlen(name));
}

static void print_partition(struct dump *dump, const struct tg_manifest_source *source, uint32_t index)
{
    const struct tg_manifest_partition *p = &source->partitions[index];
    struct tg_writer *line = &dump->line;
    begin_head_line(line, "source", source->name);
    write_number(line, "partition", index);
    write_number(line, "next_offset", p->next_offset);
    write_name(line, "max_ts", false);
    write_timestamp(line, p->max_ts);
    write_name(line, "watermark", false);
    write_timestamp(line, p->wm);
    write_number(line, "flags", p->flags);
    write_number(line, "records", (int64_t)p->records);
    write_number(line, "dead", (int64_t)p->dead);
    write_number(line, "late", (int64_t)p->late);
    write_number(line, "duplicates", (int64_t)p->duplicates);
    write_number(line, "late_in_part", (int64_t)p->late_in_part);
    write_number(line, "accepted", (int64_t)p->accepted);
    print_head_line(dump);
}

/* Partition `index` of the job, or its end: the job clock. */
static void print_step(struct dump *dump, const struct tg_manifest_step *step, uint32_t index)
{
    struct tg_writer *line = &dump->line;
    begin_head_line(line, "step", step->name);
    if (index + 1 < step->clock_count) { write_number(line, "partition", index); }
    write_name(line, index + 1 < step->clock_count ? "clock" : "job_clock", false);
    write_timestamp(line, step->clocks[index]);
    if (index - step->tally_first < step->tally_count && index + 1 < step->clock_count) {
        const struct tg_tally *tally = &step->tallies[index - step->tally_first];
        write_number(line, "applied", (int64_t)tally->applied);
        write_number(line, "ignored", (int64_t)tally->ignored);
        write_number(line, "refused", (int64_t)tally->refused);
        write_number(line, "sum", (int64_t)tally->sum);
        write_number(line, "squares", (int64_t)tally->squares);
    }
    print_head_line(dump);
}

/* Lines that have no "key": the checkpoint, the partitions of sources, the clocks and counts of steps. */
static void print_head(struct dump *dump)
{
    const struct tg_manifest *m = dump->manifest;
    begin_head_line(&dump->line, "job", m->job);
    write_number(&dump->line, "checkpoint", (int64_t)m->epoch);
    write_name(&dump->line, "created", false);
    write_timestamp(&dump->line, m->created_us);
    write_number(&dump->line, "shards", m->shard_count);
    print_head_line(dump);
    for (uint32_t s = 0; s < m->source_count; s++) {
        for (uint32_t p = 0; p < m->sources[s].partition_count; p++) { print_partition(dump, &m->sources[s], p); }
    }
    for (uint32_t s = 0; s < m->step_count; s++) {
        for (uint32_t i = 0; i < m->steps[s].clock_count; i++) { print_step(dump, &m->steps[s], i); }
    }
}

static tg_status walk(struct dump *dump, struct tg_error *err)
{
    tg_status status = TG_OK;
    dump->ordinal = 0;
    for (uint32_t i = 0; status == TG_OK && i < dump->manifest->file_count; i++) {
        struct tg_recovery_file file;
        struct tg_state_record record;
        int more = 1;
        status = tg_recovery_file_open(dump->store, dump->manifest, i, &file, err);
        while (status == TG_OK && (more = tg_state_reader_next(&file.reader, &record, err)) > 0) {
            status = tg_recovery_record_check(&file.reader, &record, err);
            if (status == TG_OK) { status = take_record(dump, &file.reader, &record, err); }
        }
        if (more < 0) { status = (tg_status)more; }
        tg_recovery_file_close(&file);
    }
    return status;
}

tg_status tg_checkpoint_dump(const struct tg_store *store, const struct tg_manifest *manifest, bool resolved, FILE *out,
                             struct tg_error *err)
{
    struct dump dump = {.store = store, .manifest = manifest, .out = out, .resolved = resolved};
    dump.line.capacity = 1 << 16;
    dump.line.data = malloc(dump.line.capacity);
    tg_status status = dump.line.data != NULL ? TG_OK : no_memory(err);
    if (status == TG_OK) { print_head(&dump); }
    if (status == TG_OK && resolved) {
        dump.is_learning = true;
        status = walk(&dump, err);
        dump.is_learning = false;
    }
    if (status == TG_OK) { status = walk(&dump, err); }
    for (uint64_t i = 0; i < dump.capacity; i++) { free(dump.places[i].key); }
    free(dump.places);
    free(dump.line.data);
    return status;
}
