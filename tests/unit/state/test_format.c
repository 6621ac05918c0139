/* State files: what is written comes back, and nothing else ever does. */
#include <criterion/criterion.h>

#include "base/crc32c.h"
#include "tests/checkpoint_maker.h"
#include "tests/memory_input.h"
#include "tests/seed.h"

static struct maker maker;
static uint64_t seed;

static void begin(void)
{
    seed = tg_test_seed();
    maker_open(&maker, seed);
}
static void end(void) { maker_close(&maker); }
TestSuite(format, .init = begin, .fini = end, .timeout = 200);

static struct tg_state_header header_of_tables(uint32_t tables, uint64_t epoch, uint64_t previous)
{
    struct tg_state_header header = maker_header(&maker, 1, 3, epoch, previous);
    struct tg_state_layout *layouts = maker_alloc(&maker, (tables + 1) * sizeof *layouts);
    for (uint32_t i = 0; i < tables; i++) {
        layouts[i] =
            maker_layout(&maker, i % 4 == 3 ? TG_STATE_OF_SOURCE : TG_STATE_OF_STEP, maker_name(&maker, "owner", i));
    }
    header.table_count = tables;
    header.tables = layouts;
    return header;
}

static bool same_record(const struct made_record *made, const struct tg_state_record *record)
{
    return record->op == made->op && record->table == made->table && record->key.bytes == made->key.bytes &&
           record->value_bytes == made->value_bytes && memcmp(record->key.data, made->key.data, made->key.bytes) == 0 &&
           (made->op == TG_STATE_DEL || memcmp(record->value, made->value, made->value_bytes) == 0);
}

static bool same_tables(const struct tg_state_header *a, const struct tg_state_header *b)
{
    if (a->table_count != b->table_count || strcmp(a->job, b->job) != 0 || a->epoch != b->epoch) { return false; }
    for (uint32_t i = 0; i < a->table_count; i++) {
        if (!tg_state_layout_equal(&a->tables[i], &b->tables[i])) { return false; }
    }
    return true;
}

/* Read all of data[bytes]: TG_OK when it is a valid file; asserts that it then holds exactly what `file` does. */
static tg_status read_back(const struct made_file *file, const uint8_t *data, size_t bytes, struct tg_error *err)
{
    struct memory_input memory = {data, bytes};
    const struct tg_state_input input = memory_input(&memory);
    struct tg_state_reader reader;
    tg_status status = tg_state_reader_open(&reader, &input, err);
    struct tg_state_record record;
    uint32_t count = 0;
    bool same = status != TG_OK || same_tables(&reader.header, &file->header);
    int more = status == TG_OK ? 1 : 0;
    while (more > 0 && (more = tg_state_reader_next(&reader, &record, err)) > 0) {
        same = same && count < file->record_count && same_record(&file->records[count], &record);
        count++;
    }
    if (more < 0) { status = (tg_status)more; }
    if (status == TG_OK) {
        cr_assert(same && count == file->record_count, "seed %" PRIu64 ": other content was accepted", seed);
        cr_assert_eq(reader.wanted.footer_crc, file->totals.footer_crc);
    }
    tg_state_reader_close(&reader);
    return status;
}

Test(format, random_files_come_back_record_by_record)
{
    for (uint32_t round = 0; round < 60; round++) {
        end();
        maker_open(&maker, seed + round);
        const struct tg_state_header header = header_of_tables(maker_below(&maker, 5), 7, maker_below(&maker, 7));
        const struct made_file file = maker_file(&maker, &header, maker_below(&maker, 300), 20, 16 << 20);
        struct tg_error err = {0};
        cr_assert_eq(read_back(&file, file.data, file.bytes, &err), TG_OK, "seed %" PRIu64 ": %s", seed + round,
                     err.text);
    }
}

Test(format, a_record_that_fits_no_block_has_one_of_its_own)
{
    struct tg_state_header header = header_of_tables(1, 1, 0);
    const struct tg_state_field element = {.name = "at", .kind = TG_STATE_TIMESTAMP};
    const struct tg_state_field seen = {
        .name = "seen", .kind = TG_STATE_DEQUE, .element_count = 1, .elements = &element};
    struct tg_state_layout layout = header.tables[0];
    layout.field_count = 1;
    layout.fields = &seen;
    header.tables = &layout;
    /* up to 3.2 MB a record, most beyond 1 MiB, small ones between */
    const struct made_file file = maker_file(&maker, &header, 20, 400000, 96 << 20);
    struct tg_error err = {0};
    cr_assert_eq(read_back(&file, file.data, file.bytes, &err), TG_OK, "seed %" PRIu64 ": %s", seed, err.text);
    cr_assert_gt(file.totals.blocks, 10);
}

Test(format, a_block_takes_what_fits_and_no_more)
{
    static uint8_t memory[2 * TG_BLOCK_BYTES_MAX];
    const uint8_t key_bytes[TG_KEY_BYTES_MAX] = {1, 2, 3};
    const struct tg_key key = {.data = key_bytes, .bytes = 3};
    struct tg_block block;
    tg_block_begin(&block, memory, TG_BLOCK_BYTES_MAX, 0);
    const uint32_t around = TG_BLOCK_HEADER_BYTES + TG_RECORD_PUT_BYTES + 3;
    cr_assert_eq(tg_block_bytes(3, 10), around + 10);
    cr_assert_null(tg_block_put(&block, key, TG_BLOCK_BYTES_MAX - around + 1)); /* one too many */
    cr_assert_not_null(tg_block_put(&block, key, TG_BLOCK_BYTES_MAX - around)); /* to the last byte */
    cr_assert_null(tg_block_put(&block, key, 0));
    cr_assert_not(tg_block_delete(&block, key));
    tg_block_begin(&block, memory, sizeof memory, 0);
    cr_assert_not_null(tg_block_put(&block, key, TG_BLOCK_BYTES_MAX)); /* large: alone */
    cr_assert_null(tg_block_put(&block, key, 0));
    tg_block_begin(&block, memory, sizeof memory, 0);
    cr_assert(tg_block_delete(&block, key));
    cr_assert_null(tg_block_put(&block, key, TG_BLOCK_BYTES_MAX)); /* not alone: no */
    cr_assert_eq(tg_block_bytes(1, TG_BLOCK_RECORD_BYTES_MAX), 0);
    cr_assert_eq(tg_block_bytes(1, UINT64_MAX), 0);
    const uint32_t most = TG_BLOCK_RECORD_BYTES_MAX - TG_BLOCK_HEADER_BYTES - TG_RECORD_PUT_BYTES - 1;
    cr_assert_eq(tg_block_bytes(1, most), TG_BLOCK_RECORD_BYTES_MAX);
    cr_assert_eq(tg_block_bytes(1, (uint64_t)most + 1), 0);
}

Test(format, an_empty_block_is_not_written)
{
    static uint8_t memory[1024];
    struct tg_state_header header = header_of_tables(1, 1, 0);
    struct tg_state_totals totals = {.bytes = 5};
    struct tg_block block;
    tg_block_begin(&block, memory, sizeof memory, 0);
    cr_assert_eq(tg_block_end(&block, &header, &totals), 0);
    cr_assert_eq(totals.blocks, 0);
    cr_assert_eq(totals.bytes, 5);
}

Test(format, group_ranges_are_the_shard_rule_turned_round)
{
    for (uint32_t count = 1; count <= TG_SHARDS_MAX; count++) {
        uint32_t next = 0;
        for (uint32_t shard = 0; shard < count; shard++) {
            uint32_t first, last;
            tg_state_group_range(shard, count, &first, &last);
            cr_assert_eq(first, next);
            next = last + 1;
            cr_assert_eq(tg_key_shard((uint64_t)first << 54, count), shard);
            cr_assert_eq(tg_key_shard((uint64_t)last << 54, count), shard);
        }
        cr_assert_eq(next, TG_KEY_GROUP_COUNT);
    }
}

/* ---- damage ------------------------------------------------------------------------------------------------------ */

/* A file of a few blocks small enough to damage in every place. */
static struct made_file small_file(void)
{
    const struct tg_state_header header = header_of_tables(2, 9, 8);
    return maker_file(&maker, &header, 12, 3, 1 << 20);
}

static void refuses(const struct made_file *file, const uint8_t *data, size_t bytes, const char *what, size_t at)
{
    struct tg_error err = {0};
    const tg_status status = read_back(file, data, bytes, &err);
    cr_assert_neq(status, TG_OK, "seed %" PRIu64 ": %s at %zu was accepted", seed, what, at);
    cr_assert_eq(err.code, TG1512, "seed %" PRIu64 ": %s at %zu: TG%d %s", seed, what, at, (int)err.code, err.text);
    cr_assert_not_null(strstr(err.text, "e1/s0.base: "), "%s", err.text);
    cr_assert_not_null(strstr(err.text, " at byte "), "%s", err.text);
}

Test(format, every_byte_counts_flipped_or_cut)
{
    const struct made_file file = small_file();
    uint8_t *copy = malloc(file.bytes);
    for (size_t at = 0; at < file.bytes; at++) {
        memcpy(copy, file.data, file.bytes);
        copy[at] ^= (uint8_t)(1u << (at % 8));
        refuses(&file, copy, file.bytes, "a flipped bit", at);
        copy[at] = (uint8_t)~file.data[at];
        refuses(&file, copy, file.bytes, "a flipped byte", at);
        refuses(&file, file.data, at, "a cut", at);
    }
    free(copy);
}

/* Put the right checksums on a damaged file, so that what stands behind them is looked at, too. */
static void reseal_header(uint8_t *data)
{
    uint32_t bytes;
    memcpy(&bytes, data + 12, 4);
    const uint32_t crc = tg_crc32c(0, data, bytes - 4);
    memcpy(data + bytes - 4, &crc, 4);
}
static void reseal_footer(uint8_t *footer)
{
    const uint32_t crc = tg_crc32c(0, footer, 40);
    memcpy(footer + 40, &crc, 4);
}
static void reseal_block(uint8_t *block)
{
    uint32_t payload;
    memcpy(&payload, block + 20, 4);
    const uint32_t crc = tg_crc32c(tg_crc32c(0, block, 28), block + 32, payload);
    memcpy(block + 28, &crc, 4);
}

Test(format, headers_with_right_checksums_are_still_looked_at)
{
    const struct made_file file = small_file();
    uint32_t header_bytes;
    memcpy(&header_bytes, file.data + 12, 4);
    uint8_t *copy = malloc(file.bytes);
    uint32_t newer = 0;
    for (size_t at = 0; at < header_bytes - 4; at++) {
        memcpy(copy, file.data, file.bytes);
        copy[at] ^= (uint8_t)(1 + maker_below(&maker, 255));
        if (at < 12 || at >= 16) { reseal_header(copy); }
        struct tg_error err = {0};
        cr_assert_neq(read_back(&file, copy, file.bytes, &err), TG_OK, "seed %" PRIu64 " byte %zu", seed, at);
        cr_assert(err.code == TG1512 || (err.code == TG1513 && (at == 8 || at == 9)), "byte %zu: %s", at, err.text);
        newer += err.code == TG1513;
    }
    cr_assert_gt(newer, 0);
    free(copy);
}

Test(format, a_newer_format_is_said_to_be_newer_and_not_damaged)
{
    const struct made_file file = small_file();
    file.data[8] = TG_STATE_FORMAT + 1;
    reseal_header(file.data);
    struct tg_error err = {0};
    cr_assert_eq(read_back(&file, file.data, file.bytes, &err), TG_ERR_CONFIG);
    cr_assert_eq(err.code, TG1513);
    file.data[8] = 0;
    reseal_header(file.data);
    refuses(&file, file.data, file.bytes, "format 0", 8);
}

Test(format, blocks_with_right_checksums_are_still_looked_at)
{
    const struct made_file file = small_file();
    uint32_t header_bytes;
    memcpy(&header_bytes, file.data + 12, 4);
    uint8_t *copy = malloc(file.bytes);
    for (uint32_t round = 0; round < 4000; round++) {
        memcpy(copy, file.data, file.bytes);
        uint8_t *block = copy + header_bytes;
        uint32_t payload;
        memcpy(&payload, block + 20, 4);
        const uint32_t at = round < 28 ? round : maker_below(&maker, 32 + payload);
        if (at >= 28 && at < 32) { continue; } /* sealing repairs that */
        const uint8_t flip = (uint8_t)(1u << maker_below(&maker, 8));
        block[at] ^= flip;
        memcpy(&payload, block + 20, 4);
        if (payload < file.bytes - header_bytes - 32) { reseal_block(block); }
        refuses(&file, copy, file.bytes, "a resealed block", at); /* at the latest by the checksum over checksums */
    }
    free(copy);
}

Test(format, footers_with_right_checksums_are_still_looked_at)
{
    const struct made_file file = small_file();
    uint8_t *footer = file.data + file.bytes - TG_STATE_FOOTER_BYTES;
    for (size_t at = 0; at < 40; at++) {
        footer[at] ^= 0x10;
        reseal_footer(footer);
        refuses(&file, file.data, file.bytes, "a resealed footer", at);
        footer[at] ^= 0x10;
    }
}

Test(format, every_field_of_a_header_has_its_range)
{
    static const struct {
        size_t at;
        uint32_t bytes;
        uint64_t value;
        const char *why;
    } wrongs[] = {
        {40, 8, 0, "epoch 0"},
        {48, 8, 0, "wrong previous epoch"},
        {48, 8, 9, "wrong previous epoch"},
        {56, 1, 1, "wrong previous epoch"},
        {56, 1, 3, "unknown kind of file"},
        {60, 2, 0, "wrong number of shards"},
        {60, 2, TG_SHARDS_MAX + 1, "wrong number of shards"},
        {58, 2, 3, "shard beyond their number"},
        {58, 2, 0, "key groups of another shard"},
        {62, 2, 1, "key groups of another shard"},
        {64, 2, 1, "key groups of another shard"},
        {66, 2, TG_STATE_TABLES_MAX + 1, "too many tables"},
        {66, 2, 1, "bytes behind the last table"},
        {66, 2, 3, "cut short"},
        {12, 4, 20, "wrong length of the header"},
        {12, 4, TG_STATE_HEADER_BYTES_MAX + 1, "wrong length of the header"},
    };
    const struct made_file file = small_file();
    uint8_t *copy = malloc(file.bytes);
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        memcpy(copy, file.data, file.bytes);
        memcpy(copy + wrongs[i].at, &wrongs[i].value, wrongs[i].bytes);
        if (wrongs[i].at != 12) { reseal_header(copy); }
        struct tg_error err = {0};
        cr_assert_eq(read_back(&file, copy, file.bytes, &err), TG_ERR_DATA, "%zu", i);
        cr_assert_not_null(strstr(err.text, wrongs[i].why), "%zu: %s", i, err.text);
    }
    free(copy);
}

Test(format, two_tables_of_one_name_are_refused)
{
    struct tg_state_header header = header_of_tables(2, 9, 8);
    struct made_file file = maker_file(&maker, &header, 2, 2, 1 << 20);
    uint8_t *owner = memmem(file.data, file.bytes, "owner1", 6);
    cr_assert_not_null(owner);
    owner[5] = '0';
    reseal_header(file.data);
    struct tg_error err = {0};
    cr_assert_eq(read_back(&file, file.data, file.bytes, &err), TG_ERR_DATA);
    cr_assert_not_null(strstr(err.text, "two tables of one name"), "%s", err.text);
}

Test(format, a_block_must_have_entries_and_room)
{
    const struct made_file file = small_file();
    uint32_t header_bytes;
    memcpy(&header_bytes, file.data + 12, 4);
    uint8_t *copy = malloc(file.bytes);
    memcpy(copy, file.data, file.bytes);
    uint8_t *block = copy + header_bytes;
    memset(block + 16, 0, 4);
    reseal_block(block);
    struct tg_error err = {0};
    cr_assert_eq(read_back(&file, copy, file.bytes, &err), TG_ERR_DATA);
    cr_assert_not_null(strstr(err.text, "wrong number of entries"), "%s", err.text);
    /* a footer right behind a few bytes that are no block */
    const size_t start = header_bytes + 10;
    uint8_t *footer = copy + start;
    memcpy(footer, file.data + file.bytes - TG_STATE_FOOTER_BYTES, TG_STATE_FOOTER_BYTES);
    const uint64_t where = start;
    memcpy(footer + 24, &where, 8);
    reseal_footer(footer);
    err = (struct tg_error){0};
    cr_assert_eq(read_back(&file, copy, start + TG_STATE_FOOTER_BYTES, &err), TG_ERR_DATA);
    cr_assert_not_null(strstr(err.text, "block cut short"), "%s", err.text);
    free(copy);
}

/* One random damage; false when it changed nothing. */
static bool mutate(uint8_t *copy, size_t *bytes, size_t capacity, const struct made_file *file,
                   const struct made_file *other)
{
    const size_t size = *bytes;
    const uint32_t at = maker_below(&maker, (uint32_t)size);
    const uint32_t length = 1 + maker_below(&maker, (uint32_t)(size - at));
    const uint32_t from = maker_below(&maker, (uint32_t)(size - length + 1));
    switch (maker_below(&maker, 8)) {
    case 0: copy[at] ^= (uint8_t)(1u << maker_below(&maker, 8)); break;
    case 1: copy[at] = (uint8_t)tg_prng_next(&maker.prng); break;
    case 2: *bytes = at; break;
    case 3: memset(copy + at, 0, length < 512 ? length : 512); break;
    case 4: memmove(copy + at, copy + from, length); break;
    case 5: /* grow */
        *bytes = size + length < capacity ? size + length : capacity;
        memset(copy + size, (int)maker_below(&maker, 256), *bytes - size);
        break;
    case 6: /* a sector of another file at the same place */
        if (at + length <= other->bytes) { memcpy(copy + at, other->data + at, length); }
        break;
    default: /* cut something out */
        memmove(copy + at, copy + at + length, size - at - length);
        *bytes = size - length;
        break;
    }
    return *bytes != file->bytes || memcmp(copy, file->data, file->bytes) != 0;
}

Test(format, ten_thousand_mutants_are_refused)
{
    const struct made_file file = small_file();
    struct tg_state_header header = file.header;
    header.epoch = 10;
    const struct made_file other = maker_file(&maker, &header, 12, 3, 1 << 20);
    const size_t capacity = 2 * file.bytes;
    uint8_t *copy = malloc(capacity);
    for (uint32_t made = 0; made < 10000;) {
        size_t bytes = file.bytes;
        memcpy(copy, file.data, bytes);
        bool is_other = false;
        for (uint32_t i = 0; i <= maker_below(&maker, 3) && bytes > 0; i++) {
            is_other = mutate(copy, &bytes, capacity, &file, &other);
        }
        if (!is_other) { continue; }
        made++;
        struct tg_error err = {0};
        cr_assert_neq(read_back(&file, copy, bytes, &err), TG_OK, "seed %" PRIu64 " mutant %" PRIu32, seed, made);
    }
    free(copy);
}

Test(format, whole_blocks_cannot_change_places_vanish_or_come_from_elsewhere)
{
    const struct tg_state_header header = header_of_tables(3, 2, 0); /* one block a table at least */
    const struct made_file file = maker_file(&maker, &header, 5, 2, 1 << 20);
    cr_assert_geq(file.totals.blocks, 2);
    uint32_t header_bytes, first;
    memcpy(&header_bytes, file.data + 12, 4);
    memcpy(&first, file.data + header_bytes + 20, 4);
    first += TG_BLOCK_HEADER_BYTES;
    uint32_t second;
    memcpy(&second, file.data + header_bytes + first + 20, 4);
    second += TG_BLOCK_HEADER_BYTES;
    uint8_t *copy = malloc(file.bytes + first);
    memcpy(copy, file.data, file.bytes); /* swapped */
    memcpy(copy + header_bytes, file.data + header_bytes + first, second);
    memcpy(copy + header_bytes + second, file.data + header_bytes, first);
    refuses(&file, copy, file.bytes, "swapped blocks", header_bytes);
    const size_t rest = file.bytes - header_bytes - first;
    memcpy(copy + header_bytes, file.data + header_bytes + first, rest); /* the first one is gone, the footer agrees */
    uint8_t *footer = copy + file.bytes - first - TG_STATE_FOOTER_BYTES;
    const uint64_t where = file.bytes - first - TG_STATE_FOOTER_BYTES;
    memcpy(footer + 24, &where, 8);
    reseal_footer(footer);
    refuses(&file, copy, file.bytes - first, "a missing block", header_bytes);
    struct tg_state_header twin = header; /* a block of the same shape from another epoch */
    twin.epoch = 3;
    struct made_file elsewhere = {.header = twin};
    elsewhere.data = copy;
    struct tg_bytes_out out = {.data = copy, .capacity = file.bytes};
    cr_assert_eq(tg_state_header_encode(&elsewhere.header, &out, &elsewhere.totals, NULL), TG_OK);
    cr_assert_eq(out.used, header_bytes);
    memcpy(copy + header_bytes, file.data + header_bytes, file.bytes - header_bytes);
    footer = copy + file.bytes - TG_STATE_FOOTER_BYTES;
    memcpy(footer + 32, &elsewhere.header.tag, 4);
    reseal_footer(footer);
    refuses(&file, copy, file.bytes, "a block of another file", header_bytes);
    free(copy);
}

Test(format, too_many_names_for_a_header_are_an_error)
{
    char *name = maker_alloc(&maker, TG_STATE_NAME_BYTES_MAX + 1);
    memset(name, 'n', TG_STATE_NAME_BYTES_MAX);
    struct tg_state_header header = header_of_tables(TG_STATE_TABLES_MAX, 1, 0);
    struct tg_state_layout *layouts = maker_alloc(&maker, TG_STATE_TABLES_MAX * sizeof *layouts);
    struct tg_state_field *fields = maker_alloc(&maker, TG_STATE_FIELDS_MAX * sizeof *fields);
    for (uint32_t i = 0; i < TG_STATE_FIELDS_MAX; i++) {
        fields[i] = (struct tg_state_field){.kind = TG_STATE_BIGINT};
        char *own = maker_alloc(&maker, TG_STATE_NAME_BYTES_MAX + 1);
        memcpy(own, name, TG_STATE_NAME_BYTES_MAX);
        (void)snprintf(own, 10, "%09" PRIu32, i);
        own[9] = 'n';
        fields[i].name = own;
    }
    for (uint32_t i = 0; i < TG_STATE_TABLES_MAX; i++) {
        layouts[i] = header.tables[i];
        layouts[i].fields = fields;
        layouts[i].field_count = TG_STATE_FIELDS_MAX;
    }
    header.tables = layouts;
    uint8_t *memory = malloc(4 << 20);
    struct tg_bytes_out out = {.data = memory, .capacity = 4 << 20};
    struct tg_state_totals totals;
    struct tg_error err = {0};
    cr_assert_eq(tg_state_header_encode(&header, &out, &totals, &err), TG_ERR_CONFIG);
    cr_assert_eq(err.code, TG1519);
    out = (struct tg_bytes_out){.data = memory, .capacity = 100};
    cr_assert_eq(tg_state_header_encode(&header, &out, &totals, NULL), TG_ERR_CONFIG);
    header.table_count = 30; /* these fit */
    out = (struct tg_bytes_out){.data = memory, .capacity = 4 << 20};
    cr_assert_eq(tg_state_header_encode(&header, &out, &totals, NULL), TG_OK);
    layouts[3].field_count = 0;
    out = (struct tg_bytes_out){.data = memory, .capacity = 4 << 20};
    cr_assert_eq(tg_state_header_encode(&header, &out, &totals, NULL), TG_ERR_CONFIG);
    free(memory);
}

static tg_status fails(void *self, uint64_t at, void *data, size_t bytes, struct tg_error *err)
{
    int *left = self;
    (void)at;
    if ((*left)-- > 0) { return memory_read(*(void **)(void *)(left + 2), at, data, bytes, err); }
    return tg_fail(err, TG1511, 5, "the disk says no");
}

Test(format, an_input_that_fails_is_reported_as_it_says)
{
    const struct made_file file = small_file();
    struct {
        int left;
        int reserved;
        struct memory_input *memory;
    } self;
    struct memory_input memory = {file.data, file.bytes};
    bool done = false;
    for (int k = 0; !done; k++) {
        self.left = k;
        self.memory = &memory;
        struct tg_state_input input = {.read = fails, .self = &self, .bytes = file.bytes, .name = "file"};
        struct tg_state_reader reader;
        struct tg_error err = {0};
        tg_status status = tg_state_reader_open(&reader, &input, &err);
        struct tg_state_record record;
        int more = 1;
        while (status == TG_OK && (more = tg_state_reader_next(&reader, &record, &err)) > 0) {}
        done = status == TG_OK && more == 0;
        cr_assert(done || err.code == TG1511);
        tg_state_reader_close(&reader);
    }
}

Test(format, an_arena_too_small_is_not_called_damage)
{
    const struct made_file file = small_file();
    for (size_t bytes = 4096; bytes < 32768; bytes += 512) {
        struct tg_arena arena;
        cr_assert_eq(tg_arena_open(&arena, bytes, NULL), TG_OK);
        arena.used_bytes = 4096 - 512;
        arena.reserved_bytes = bytes - 512;
        struct tg_bytes_in in = {.data = file.data, .bytes = file.bytes};
        struct tg_state_header header;
        struct tg_error err = {0};
        const tg_status status = tg_state_header_decode(&in, "file", &arena, &header, &err);
        arena.reserved_bytes = bytes;
        cr_assert(status == TG_OK || err.code == TG1601, "%s", err.text);
        tg_arena_close(&arena);
    }
}
