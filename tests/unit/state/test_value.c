/* Values as bytes: everything made is accepted, no prefix is, and every rule is looked at. */
#include <criterion/criterion.h>

#include "tests/checkpoint_maker.h"
#include "tests/seed.h"

TestSuite(value, .timeout = 60);

Test(value, random_values_and_keys_are_accepted_whole_and_refused_cut)
{
    const uint64_t seed = tg_test_seed();
    for (uint32_t round = 0; round < 500; round++) {
        struct maker maker;
        maker_open(&maker, seed + round);
        const struct tg_state_layout layout = maker_layout(&maker, TG_STATE_OF_STEP, "step");
        uint8_t bytes[8192];
        for (uint32_t is_key = 0; is_key < 2; is_key++) {
            struct tg_bytes_out out = {.data = bytes, .capacity = sizeof bytes};
            if (is_key == 1) {
                maker_key(&maker, &layout, &out);
            } else {
                maker_value(&maker, &layout, &out, 5);
            }
            cr_assert_not(out.overflow);
            for (size_t cut = 0; cut <= out.used + 1; cut++) {
                uint8_t *exact = malloc(cut + 1);
                memcpy(exact, bytes, cut <= out.used ? cut : out.used);
                struct tg_bytes_in in = {.data = exact, .bytes = cut};
                const bool legal = is_key == 1 ? tg_state_key_check(&layout, &in) : tg_state_value_check(&layout, &in);
                cr_assert_eq(legal, cut == out.used, "seed %" PRIu64 " cut %zu of %zu", seed + round, cut, out.used);
                cr_assert(legal || (in.wrong != NULL && in.wrong_at <= cut));
                free(exact);
            }
        }
        maker_close(&maker);
    }
}

static void wrong(struct tg_state_field field, const void *bytes, size_t count, size_t at, const char *what)
{
    field.name = "f";
    const struct tg_state_layout layout = {.field_count = 1, .fields = &field};
    struct tg_bytes_in in = {.data = bytes, .bytes = count};
    cr_assert_not(tg_state_value_check(&layout, &in), "%s", what);
    cr_assert_eq(in.wrong_at, at, "%s: %zu", what, in.wrong_at);
    cr_assert_not_null(strstr(in.wrong, what), "%s", in.wrong);
}

Test(value, every_rule_has_a_position)
{
    const struct tg_state_field element = {.name = "e", .kind = TG_STATE_TIMESTAMP};
    const struct tg_state_field word = {.name = "e", .kind = TG_STATE_LABEL};
    const struct tg_state_field prose = {.name = "e", .kind = TG_STATE_TEXT};
    uint8_t bytes[64] = {2};
    wrong((struct tg_state_field){.kind = TG_STATE_BOOLEAN}, bytes, 1, 0, "neither 0 nor 1");
    bytes[0] = 16;
    wrong((struct tg_state_field){.kind = TG_STATE_LABEL}, bytes, 20, 0, "longer than its field");
    bytes[0] = 64;
    wrong((struct tg_state_field){.kind = TG_STATE_NAME}, bytes, 64, 0, "longer than its field");
    memcpy(bytes, "\x01\x00\x01\x00", 4);
    wrong((struct tg_state_field){.kind = TG_STATE_TEXT}, bytes, 64, 0, "longer than its field");
    memcpy(bytes, "\x02\x00\x00\x00", 4);
    wrong((struct tg_state_field){.kind = TG_STATE_DEQUE, .element_count = 1, .elements = &element}, bytes, 19, 0,
          "more elements than bytes");
    memcpy(bytes, "\xff\xff\xff\xff", 4);
    wrong((struct tg_state_field){.kind = TG_STATE_LIST, .element_count = 1, .elements = &word}, bytes, 19, 0,
          "more elements than bytes");
    wrong((struct tg_state_field){.kind = TG_STATE_LIST, .element_count = 1, .elements = &prose}, bytes, 19, 0,
          "more elements than bytes");
    memcpy(bytes, "\x02\x00\x00\x00\x05\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0", 20);
    wrong((struct tg_state_field){.kind = TG_STATE_DEQUE, .element_count = 1, .elements = &element}, bytes, 20, 12,
          "does not ascend");
    wrong((struct tg_state_field){.kind = TG_STATE_BIGINT}, bytes, 9, 8, "bytes behind");
    const struct tg_state_layout layout = {
        .key_count = 1, .keys = &(const struct tg_state_field){.name = "k", .kind = TG_STATE_INTEGER}};
    struct tg_bytes_in in = {.data = (const uint8_t *)"\x01\0\0\0\x80\0\0\0\0", .bytes = 9};
    cr_assert_not(tg_state_key_check(&layout, &in)); /* 2^31 */
    cr_assert_str_eq(in.wrong, "an integer beyond 32 bits");
    in = (struct tg_bytes_in){.data = (const uint8_t *)"\x02\0\0\0\0\0\0\0\0", .bytes = 9};
    cr_assert_not(tg_state_key_check(&layout, &in));
    cr_assert_eq(in.wrong_at, 0);
}

Test(value, what_is_put_is_got)
{
    const uint64_t seed = tg_test_seed();
    struct maker maker;
    maker_open(&maker, seed);
    for (uint32_t i = 0; i < 5000; i++) {
        const struct tg_state_field field = maker_plain(&maker, "f", 0, false);
        const struct tg_state_scalar put = maker_scalar(&maker, &field);
        uint8_t bytes[128];
        struct tg_bytes_out out = {.data = bytes, .capacity = sizeof bytes};
        tg_state_scalar_put(&out, &field, &put);
        struct tg_bytes_in in = {.data = bytes, .bytes = out.used};
        struct tg_state_scalar got;
        tg_state_scalar_get(&in, &field, &got);
        cr_assert(in.wrong == NULL && in.at == out.used);
        if (field.kind == TG_STATE_NUMERIC) {
            cr_assert(put.decimal == got.decimal);
        } else if (tg_state_scalar_bytes(field.kind) > 0) {
            cr_assert_eq(put.number, got.number, "seed %" PRIu64, seed);
        } else {
            cr_assert_eq(put.text.bytes, got.text.bytes);
            cr_assert_eq(memcmp(put.text.data, got.text.data, put.text.bytes), 0);
        }
    }
    maker_close(&maker);
}
