/* Parameters reach the operator's C struct at the offsets the compiler chose. */
#include <criterion/criterion.h>
#include <stddef.h>
#include <string.h>

#include "engine/config/params.h"
#include "engine/layout.h"
#include "tests/unit/engine/doubles.h"

Test(params, offsets_are_the_compilers)
{
    const struct tg_record *record = &wide_params_record;
    cr_assert_eq(tg_record_offset(record, 0), offsetof(wide_params, flag));
    cr_assert_eq(tg_record_offset(record, 1), offsetof(wide_params, word));
    cr_assert_eq(tg_record_offset(record, 2), offsetof(wide_params, small));
    cr_assert_eq(tg_record_offset(record, 3), offsetof(wide_params, big));
    cr_assert_eq(tg_record_offset(record, 4), offsetof(wide_params, other));
    cr_assert_eq(tg_record_offset(record, 5), offsetof(wide_params, price));
    cr_assert_eq(tg_record_offset(record, 8), offsetof(wide_params, wait));
}

Test(params, every_kind_is_built)
{
    struct tg_step_spec step = {
        .op = &double_wide,
        .param_count = 9,
        .params = {{.name = "wait", .text = "5m"},
                   {.name = "flag", .text = "true"},
                   {.name = "word", .text = "hello"},
                   {.name = "small", .text = "-7"},
                   {.name = "big", .text = "9000000000"},
                   {.name = "other", .text = "false"},
                   {.name = "price", .text = "12.50"},
                   {.name = "since", .text = "1970-01-01T00:00:01Z"},
                   {.name = "day", .text = "1970-01-03"}},
    };
    wide_params params;
    memset(&params, 0xAA, sizeof params);
    tg_params_build(&step, &params);
    cr_assert(params.flag);
    cr_assert_eq(params.word.bytes, 5);
    cr_assert_eq(memcmp(params.word.data, "hello", 5), 0);
    cr_assert_eq(params.small, -7);
    cr_assert_eq(params.big, 9000000000);
    cr_assert_not(params.other);
    cr_assert(params.price == 1250);
    cr_assert_eq(params.since, 1000000);
    cr_assert_eq(params.day, 2);
    cr_assert_eq(params.wait, 300000000);
}

Test(params, what_does_not_read_is_refused)
{
    _Alignas(16) uint8_t out[16];
    cr_assert_not(tg_param_parse("integer", "2147483648", out));
    cr_assert_not(tg_param_parse("boolean", "1", out));
    cr_assert_not(tg_param_parse("duration", "5", out));
    cr_assert_not(tg_param_parse("timestamp", "yesterday", out));
    cr_assert_not(tg_param_parse("date", "2024-02-30", out));
    cr_assert_not(tg_param_parse("numeric", "1.005", out));
    cr_assert_not(tg_param_parse("deque_timestamp", "1", out));
    cr_assert_null(tg_param_looks_like("deque_timestamp"));
}
