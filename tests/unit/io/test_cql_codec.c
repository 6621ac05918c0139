/* Codec and answers cut at every byte: nothing beyond the end is read (ASan), nothing is made up. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "io/cassandra/codec.h"
#include "io/cassandra/rows.h"
#include "tests/unit/io/cql_bytes.h"

Test(cql_codec, reader_stops_at_the_end_and_stays_broken)
{
    uint8_t *data = malloc(64);
    struct tg_cql_writer writer = {.data = data, .capacity = 64};
    tg_cql_put_u8(&writer, 1);
    tg_cql_put_u16(&writer, 0x0203);
    tg_cql_put_u32(&writer, 0x04050607);
    tg_cql_put_u64(&writer, 0x08090a0b0c0d0e0fu);
    tg_cql_put_string(&writer, "text");
    tg_cql_put_long_string(&writer, "longer");
    cr_assert_str_eq(to_hex(data, 7), "01020304050607");
    for (uint32_t bytes = 0; bytes <= writer.used; bytes++) {
        uint8_t *cut = malloc(bytes + 1);
        memcpy(cut, data, bytes);
        struct tg_cql_reader reader = {.data = cut, .bytes = bytes};
        const bool good = tg_cql_get_u8(&reader) == 1 && tg_cql_get_u16(&reader) == 0x0203 &&
                          tg_cql_get_u32(&reader) == 0x04050607 && tg_cql_get_u64(&reader) == 0x08090a0b0c0d0e0fu &&
                          tg_cql_view_is(tg_cql_get_string(&reader), "text") &&
                          tg_cql_view_is(tg_cql_get_bytes(&reader), "longer");
        cr_assert_eq(good, bytes == writer.used);
        cr_assert_eq(reader.broken, bytes < writer.used);
        cr_assert_eq(tg_cql_get_u64(&reader), 0);
        cr_assert(reader.broken);
        free(cut);
    }
    free(data);
}

Test(cql_codec, writer_overflows_once_and_writes_nothing_more)
{
    uint8_t data[8];
    struct tg_cql_writer writer = {.data = data, .capacity = 5};
    tg_cql_put_u32(&writer, 1);
    tg_cql_put_u16(&writer, 2);
    cr_assert(writer.overflow);
    tg_cql_put_u8(&writer, 3);
    cr_assert_eq(writer.used, 4);
}

/* ROWS of two columns (text, set<text>), global table, two rows: ("a", {"1"}), (null, null). */
static const char *const rows_hex =
    "00000002" "00000001" "00000002" "00026b73" "0001" "74" "0001" "63" "000d" "0001" "73" "0022000d" "00000002"
    "0000000161" "00000009" "00000001" "0000000131" "ffffffff" "ffffffff";

Test(cql_codec, rows_are_read_and_any_cut_is_noticed)
{
    uint8_t data[256];
    const uint32_t whole = from_hex(rows_hex, data);
    for (uint32_t bytes = 0; bytes <= whole; bytes++) {
        uint8_t *cut = malloc(bytes + 1);
        memcpy(cut, data, bytes);
        const struct tg_cql_envelope envelope = {.opcode = TG_CQL_RESULT, .body = cut, .bytes = bytes};
        struct tg_cql_rows rows;
        uint32_t count = 0;
        if (tg_cql_rows_open(&rows, &envelope, 2)) {
            while (tg_cql_rows_next(&rows)) {
                if (count == 0) {
                    struct tg_cql_reader reader = {.data = rows.cells[1].data, .bytes = rows.cells[1].bytes};
                    uint32_t left = UINT32_MAX;
                    struct tg_cql_view element;
                    cr_assert(tg_cql_view_is(rows.cells[0], "a"));
                    cr_assert(tg_cql_elements_next(&reader, false, &left, &element));
                    cr_assert(tg_cql_view_is(element, "1"));
                    cr_assert_not(tg_cql_elements_next(&reader, false, &left, &element));
                } else {
                    cr_assert(rows.cells[0].is_null && rows.cells[1].is_null);
                }
                count++;
            }
        }
        cr_assert_leq(count, 2);
        cr_assert_eq(count == 2, bytes == whole, "cut at %u", bytes);
        free(cut);
    }
}

Test(cql_codec, another_number_of_columns_is_refused)
{
    uint8_t data[256];
    const struct tg_cql_envelope envelope = {.opcode = TG_CQL_RESULT, .body = data, .bytes = from_hex(rows_hex, data)};
    struct tg_cql_rows rows;
    cr_assert_not(tg_cql_rows_open(&rows, &envelope, 3));
}
