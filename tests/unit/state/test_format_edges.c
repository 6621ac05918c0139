/* State files at their limits: what a header, a block or a record may just not be, although every checksum is right. */
#include <criterion/criterion.h>

#include "base/crc32c.h"
#include "tests/checkpoint_maker.h"
#include "tests/memory_input.h"
#include "tests/no_memory.h"
#include "tests/seed.h"

static struct maker maker;
static struct tg_state_header header;
static struct tg_state_layout tables[2];
static struct tg_error err;

static void begin(void)
{
    maker_open(&maker, tg_test_seed());
    tables[0] = maker_layout(&maker, TG_STATE_OF_STEP, "counts");
    tables[1] = tables[0];
    tables[1].name = "other"; /* of the same owner */
    header = maker_header(&maker, 0, 1, 1, 0);
    header.tables = tables;
    header.table_count = 2;
    err = (struct tg_error){0};
}
static void end(void) { maker_close(&maker); }
TestSuite(format_edges, .init = begin, .fini = end, .timeout = 120);

static tg_status read_input(const struct tg_state_input *input)
{
    struct tg_state_reader reader;
    struct tg_state_record record;
    err = (struct tg_error){0};
    tg_status status = tg_state_reader_open(&reader, input, &err);
    int more = 1;
    while (status == TG_OK && (more = tg_state_reader_next(&reader, &record, &err)) > 0) {}
    tg_state_reader_close(&reader);
    return more < 0 ? (tg_status)more : status;
}
static tg_status read_all(const uint8_t *data, size_t bytes)
{
    struct memory_input memory = {data, bytes};
    const struct tg_state_input input = memory_input(&memory);
    return read_input(&input);
}
static uint32_t word_at(const uint8_t *data)
{
    uint32_t word;
    memcpy(&word, data, sizeof word);
    return word;
}
static void reseal(uint8_t *block)
{
    const uint32_t crc = tg_crc32c(tg_crc32c(0, block, 28), block + 32, word_at(block + 20));
    memcpy(block + 28, &crc, sizeof crc);
}
static void refuses(const uint8_t *data, size_t bytes, const char *why)
{
    cr_assert_eq(read_all(data, bytes), TG_ERR_DATA, "%s", why);
    cr_assert(err.code == TG1512 && strstr(err.text, why) != NULL, "%s", err.text);
}

Test(format_edges, tables_of_one_owner_differ_by_their_names)
{
    const struct made_file file = maker_file(&maker, &header, 5, 2, 1 << 20);
    cr_assert_eq(read_all(file.data, file.bytes), TG_OK, "%s", err.text);
}

Test(format_edges, a_header_without_room_for_its_checksum_is_an_error)
{
    uint8_t *memory = maker_alloc(&maker, TG_STATE_HEADER_BYTES_MAX);
    struct tg_state_totals totals;
    struct tg_bytes_out out = {.data = memory, .capacity = TG_STATE_HEADER_BYTES_MAX};
    cr_assert_eq(tg_state_header_encode(&header, &out, &totals, &err), TG_OK);
    const size_t whole = out.used;
    for (size_t capacity = 0; capacity < whole; capacity++) {
        out = (struct tg_bytes_out){.data = memory, .capacity = capacity};
        cr_assert_neq(tg_state_header_encode(&header, &out, &totals, NULL), TG_OK, "%zu", capacity);
    }
    out = (struct tg_bytes_out){.data = memory, .capacity = whole};
    cr_assert_eq(tg_state_header_encode(&header, &out, &totals, NULL), TG_OK);
    for (size_t bytes = 0; bytes < whole; bytes++) {
        struct tg_bytes_in in = {.data = memory, .bytes = bytes};
        struct tg_state_header read;
        cr_assert_eq(tg_state_header_decode(&in, "file", &maker.arena, &read, NULL), TG_ERR_DATA, "%zu", bytes);
    }
}

Test(format_edges, a_record_needs_a_key)
{
    const struct made_file file = maker_file(&maker, &header, 5, 2, 1 << 20);
    uint8_t *block = file.data + word_at(file.data + 12);
    memset(block + 32 + 2, 0, 2); /* its first record's length of the key */
    reseal(block);
    refuses(file.data, file.bytes, "wrong length of a key");
}

Test(format_edges, a_large_block_has_one_record)
{
    const struct tg_state_field element = {.name = "at", .kind = TG_STATE_TIMESTAMP};
    const struct tg_state_field seen = {
        .name = "seen", .kind = TG_STATE_DEQUE, .element_count = 1, .elements = &element};
    tables[0].field_count = 1;
    tables[0].fields = &seen;
    header.table_count = 1;
    const struct made_file file = maker_file(&maker, &header, 12, 400000, 64 << 20);
    size_t at = word_at(file.data + 12);
    while (word_at(file.data + at + 20) <= TG_BLOCK_BYTES_MAX) {
        at += 32 + word_at(file.data + at + 20);
        cr_assert_lt(at, file.bytes - TG_STATE_FOOTER_BYTES, "no large block");
    }
    const uint32_t two = 2;
    memcpy(file.data + at + 16, &two, sizeof two);
    reseal(file.data + at);
    refuses(file.data, file.bytes, "wrong number of entries");
}

/* A file as long as it likes: its start and its end, zeros between. */
struct long_file {
    const uint8_t *start;
    size_t start_bytes;
    uint64_t bytes;
    uint8_t footer[TG_STATE_FOOTER_BYTES];
};
static tg_status long_read(void *self, uint64_t at, void *data, size_t bytes, struct tg_error *why)
{
    const struct long_file *file = self;
    (void)why;
    memset(data, 0, bytes);
    if (at < file->start_bytes) {
        const size_t left = file->start_bytes - at;
        memcpy(data, file->start + at, bytes < left ? bytes : left);
    }
    if (at == file->bytes - TG_STATE_FOOTER_BYTES) { memcpy(data, file->footer, bytes); }
    return TG_OK;
}

Test(format_edges, a_block_has_a_largest_size_even_in_a_longer_file)
{
    const struct made_file made = maker_file(&maker, &header, 5, 2, 1 << 20);
    const uint32_t start = word_at(made.data + 12);
    const uint32_t payload = TG_BLOCK_RECORD_BYTES_MAX - 31; /* and its 32 bytes of header: one too many */
    memcpy(made.data + start + 20, &payload, sizeof payload);
    struct long_file file = {
        .start = made.data, .start_bytes = start + 32, .bytes = (uint64_t)start + 32 + payload + TG_STATE_FOOTER_BYTES};
    const uint64_t blocks_end = file.bytes - TG_STATE_FOOTER_BYTES;
    memcpy(file.footer, made.data + made.bytes - TG_STATE_FOOTER_BYTES, TG_STATE_FOOTER_BYTES);
    memcpy(file.footer + 24, &blocks_end, sizeof blocks_end);
    const uint32_t crc = tg_crc32c(0, file.footer, 40);
    memcpy(file.footer + 40, &crc, sizeof crc);
    const struct tg_state_input input = {.read = long_read, .self = &file, .bytes = file.bytes, .name = "long"};
    cr_assert_eq(read_input(&input), TG_ERR_DATA);
    cr_assert_not_null(strstr(err.text, "block longer than its file"), "%s", err.text);
}

Test(format_edges, a_reader_without_memory_says_so)
{
    const struct made_file file = maker_file(&maker, &header, 5, 2, 1 << 20);
    if (!no_memory_above(0)) { return; } /* see there */
    const tg_status status = read_all(file.data, file.bytes);
    memory_again();
    cr_assert(status != TG_OK && err.code == TG1601, "%s", err.text);
}

Test(format_edges, too_many_fields_are_refused)
{
    struct tg_state_field *fields = maker_alloc(&maker, (TG_STATE_FIELDS_MAX + 1) * sizeof *fields);
    for (uint32_t i = 0; i <= TG_STATE_FIELDS_MAX; i++) {
        fields[i] = (struct tg_state_field){.name = maker_name(&maker, "f", i), .kind = TG_STATE_BIGINT};
    }
    tables[0].fields = fields;
    tables[0].field_count = TG_STATE_FIELDS_MAX;
    cr_assert_eq(tg_state_layout_check(&tables[0], &err), TG_OK, "%s", err.text);
    tables[0].field_count++;
    cr_assert_neq(tg_state_layout_check(&tables[0], &err), TG_OK);
    cr_assert_not_null(strstr(err.text, "wrong number of fields"), "%s", err.text);
}

Test(format_edges, nothing_widens_but_integers_to_bigints_and_labels_to_names)
{
    static const enum tg_state_kind kinds[] = {TG_STATE_TEXT,      TG_STATE_BIGINT, TG_STATE_INTEGER, TG_STATE_BOOLEAN,
                                               TG_STATE_TIMESTAMP, TG_STATE_DATE,   TG_STATE_ENUM,    TG_STATE_DURATION,
                                               TG_STATE_LABEL,     TG_STATE_NAME};
    const uint32_t count = sizeof kinds / sizeof kinds[0];
    for (uint32_t i = 0; i < count * count; i++) {
        const struct tg_state_field before = {.name = "x", .kind = kinds[i / count]};
        const struct tg_state_field now = {.name = "x", .kind = kinds[i % count]};
        struct tg_state_layout a = tables[0], b = tables[0];
        struct tg_state_mapping mapping;
        a.field_count = b.field_count = 1;
        a.fields = &before;
        b.fields = &now;
        const bool wider = (before.kind == TG_STATE_INTEGER && now.kind == TG_STATE_BIGINT) ||
                           (before.kind == TG_STATE_LABEL && now.kind == TG_STATE_NAME);
        const tg_status status = tg_state_layout_match(&a, &b, &mapping, NULL);
        cr_assert_eq(status == TG_OK, before.kind == now.kind || wider, "%d to %d", before.kind, now.kind);
    }
}
