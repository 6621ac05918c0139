/* Layouts: which are legal, that they survive their stored form, and which stored ones today's can take. */
#include <criterion/criterion.h>

#include "tests/checkpoint_maker.h"
#include "tests/seed.h"

static const struct tg_state_field at = {.name = "at", .kind = TG_STATE_TIMESTAMP};
static const struct tg_state_field pair[] = {{.name = "id", .kind = TG_STATE_LABEL},
                                             {.name = "n", .kind = TG_STATE_BIGINT}};

/* A legal layout to spoil. */
static struct tg_state_field keys[2];
static struct tg_state_field fields[5];
static struct tg_state_layout layout;

static void fresh(void)
{
    keys[0] = (struct tg_state_field){.name = "user", .kind = TG_STATE_TEXT};
    keys[1] = (struct tg_state_field){.name = "shop", .kind = TG_STATE_INTEGER};
    fields[0] = (struct tg_state_field){.name = "latest", .kind = TG_STATE_TIMESTAMP};
    fields[1] = (struct tg_state_field){.name = "sum", .kind = TG_STATE_NUMERIC, .scale = 2};
    fields[2] = (struct tg_state_field){.name = "seen", .kind = TG_STATE_DEQUE, .element_count = 1, .elements = &at};
    fields[3] = (struct tg_state_field){.name = "rows", .kind = TG_STATE_LIST, .element_count = 2, .elements = pair};
    fields[4] = (struct tg_state_field){
        .name = "map", .kind = TG_STATE_MAP, .element_count = 2, .key_count = 1, .elements = pair};
    layout = (struct tg_state_layout){.owner_kind = TG_STATE_OF_STEP,
                                      .owner = "counts",
                                      .name = "recent",
                                      .version = 1,
                                      .key_count = 2,
                                      .keys = keys,
                                      .field_count = 5,
                                      .fields = fields};
}
TestSuite(layout, .init = fresh, .timeout = 60);

static void illegal(const char *why)
{
    struct tg_error err = {0};
    cr_assert_eq(tg_state_layout_check(&layout, &err), TG_ERR_CONFIG, "%s", why);
    cr_assert_eq(err.code, TG1519);
    cr_assert_not_null(strstr(err.text, why), "%s", err.text);
    uint8_t bytes[4096]; /* and what is illegal cannot be read either */
    struct tg_bytes_out out = {.data = bytes, .capacity = sizeof bytes};
    tg_state_layout_encode(&layout, &out);
    struct tg_arena arena;
    cr_assert_eq(tg_arena_open(&arena, 1 << 20, NULL), TG_OK);
    struct tg_bytes_in in = {.data = bytes, .bytes = out.used};
    struct tg_state_layout read;
    cr_assert(out.overflow || !tg_state_layout_decode(&in, &arena, &read), "%s", why);
    tg_arena_close(&arena);
    fresh();
    cr_assert_eq(tg_state_layout_check(&layout, NULL), TG_OK);
}

Test(layout, everything_illegal_is_named)
{
    char longest[TG_STATE_NAME_BYTES_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    layout.owner_kind = (enum tg_state_owner)3;
    illegal("unknown owner");
    layout.owner_kind = TG_STATE_OF_SOURCE;
    layout.name = "";
    illegal("too short");
    layout.owner = longest;
    illegal("too long");
    layout.owner = "a\nb";
    illegal("control character");
    layout.owner = "a\x7f";
    illegal("control character");
    layout.key_count = 0;
    illegal("number of key columns");
    layout.key_count = TG_STATE_KEYS_MAX + 1;
    layout.keys = calloc(TG_STATE_KEYS_MAX + 1, sizeof *layout.keys);
    struct tg_state_field *many = (struct tg_state_field *)(uintptr_t)layout.keys;
    for (uint32_t i = 0; i <= TG_STATE_KEYS_MAX; i++) { many[i] = keys[0]; }
    illegal("number of key columns");
    free(many);
    layout.field_count = 0;
    illegal("number of fields");
    keys[1].name = "user";
    illegal("two fields of one name");
    keys[1].kind = TG_STATE_LABEL;
    illegal("not allowed here");
    keys[1] = fields[2];
    illegal("container where");
    keys[1].key_count = 1;
    illegal("without a container");
    keys[1].scale = 3;
    illegal("scale without");
    keys[1].kind = (enum tg_state_kind)13;
    illegal("unknown kind");
    fields[3].name = "sum";
    illegal("two fields of one name");
    fields[0].name = "";
    illegal("too short");
    fields[1].scale = 39;
    illegal("scale beyond");
    fields[0].kind = TG_STATE_JSON;
    illegal("not allowed here");
    fields[0].kind = (enum tg_state_kind)19;
    illegal("unknown kind");
    fields[0].element_count = 1; /* has no stored form, so it is looked at in memory only */
    fields[0].elements = &at;
    cr_assert_eq(tg_state_layout_check(&layout, NULL), TG_ERR_CONFIG);
}

Test(layout, everything_illegal_in_a_container_is_named)
{
    fields[2].element_count = 2;
    fields[2].elements = pair;
    illegal("number of element fields");
    fields[3].element_count = 0;
    illegal("number of element fields");
    fields[4].element_count = 1;
    illegal("number of element fields");
    fields[4].key_count = 0;
    illegal("key fields of a map");
    fields[4].key_count = 2;
    illegal("key fields of a map");
    fields[3].key_count = 1;
    illegal("key fields of a map");
    fields[2].elements = pair;
    illegal("deque of something else");
    const struct tg_state_field nested[] = {pair[0], fields[2]};
    fields[3].elements = nested;
    illegal("container where");
    const struct tg_state_field twice[] = {pair[0], pair[0], pair[0]};
    fields[3].elements = twice;
    illegal("two fields of one name");
    fields[4].elements = twice; /* key and value may share a name */
    cr_assert_eq(tg_state_layout_check(&layout, NULL), TG_OK);
    fields[4].element_count = 3;
    illegal("two fields of one name");
    fields[4].elements = twice;
    fields[4].element_count = 3;
    fields[4].key_count = 2;
    illegal("two fields of one name");
    fields[1].scale = TG_STATE_SCALE_NONE;
    cr_assert_eq(tg_state_layout_check(&layout, NULL), TG_OK);
}

Test(layout, random_layouts_survive_their_stored_form_and_no_prefix_does)
{
    const uint64_t seed = tg_test_seed();
    for (uint32_t round = 0; round < 300; round++) {
        struct maker maker;
        maker_open(&maker, seed + round);
        const struct tg_state_layout made =
            maker_layout(&maker, maker_below(&maker, 2) == 0 ? TG_STATE_OF_STEP : TG_STATE_OF_SOURCE, "owner");
        cr_assert_eq(tg_state_layout_check(&made, NULL), TG_OK);
        uint8_t bytes[8192];
        struct tg_bytes_out out = {.data = bytes, .capacity = sizeof bytes};
        tg_state_layout_encode(&made, &out);
        cr_assert_not(out.overflow);
        struct tg_state_layout read;
        struct tg_bytes_in in = {.data = bytes, .bytes = out.used};
        cr_assert(tg_state_layout_decode(&in, &maker.arena, &read), "seed %" PRIu64, seed + round);
        cr_assert_eq(in.at, out.used);
        cr_assert(tg_state_layout_equal(&made, &read));
        for (size_t cut = 0; cut < out.used; cut++) {
            uint8_t *exact = malloc(cut + 1); /* so that a sanitizer sees what is read behind the cut */
            memcpy(exact, bytes, cut);
            in = (struct tg_bytes_in){.data = exact, .bytes = cut};
            cr_assert_not(tg_state_layout_decode(&in, &maker.arena, &read));
            free(exact);
        }
        maker_close(&maker);
    }
}

Test(layout, any_difference_is_one)
{
    static struct tg_state_field other_keys[2];
    static struct tg_state_field other_fields[5];
    for (uint32_t i = 0; i < 12; i++) {
        fresh();
        memcpy(other_keys, keys, sizeof keys);
        memcpy(other_fields, fields, sizeof fields);
        struct tg_state_layout other = layout;
        other.keys = other_keys;
        other.fields = other_fields;
        cr_assert(tg_state_layout_equal(&layout, &other));
        switch (i) {
        case 0: other.owner_kind = TG_STATE_OF_SOURCE; break;
        case 1: other.owner = "x"; break;
        case 2: other.name = "x"; break;
        case 3: other.version = 2; break;
        case 4: other.key_count = 1; break;
        case 5: other_keys[0].name = "x"; break;
        case 6: other.field_count = 4; break;
        case 7: other_fields[1].scale = 3; break;
        case 8: other_fields[0].kind = TG_STATE_BIGINT; break;
        case 9: other_fields[3].element_count = 1; break;
        case 10: other_fields[4].key_count = 2; break;
        default: other_fields[3].elements = keys; break;
        }
        cr_assert_not(tg_state_layout_equal(&layout, &other), "%" PRIu32, i);
    }
}

/* ---- today's and the stored one ---------------------------------------------------------------------------------- */

static struct tg_state_field now_keys[2];
static struct tg_state_field now_fields[7];
static struct tg_state_layout now;

static void same_as_stored(void)
{
    fresh();
    memcpy(now_keys, keys, sizeof keys);
    memcpy(now_fields, fields, sizeof fields);
    now = layout;
    now.keys = now_keys;
    now.fields = now_fields;
}

Test(layout, fields_may_come_go_move_and_widen)
{
    same_as_stored();
    struct tg_state_mapping mapping;
    cr_assert_eq(tg_state_layout_match(&layout, &now, &mapping, NULL), TG_OK);
    cr_assert(mapping.same && mapping.added_count == 0);
    fields[0] = (struct tg_state_field){.name = "count", .kind = TG_STATE_INTEGER};
    fields[1] = (struct tg_state_field){.name = "gone", .kind = TG_STATE_DATE};
    now_fields[0] = fields[4]; /* map */
    now_fields[1] = (struct tg_state_field){.name = "count", .kind = TG_STATE_BIGINT};
    now_fields[4] = (struct tg_state_field){.name = "new", .kind = TG_STATE_NAME};
    keys[0].name = "customer"; /* a key column is what stands there, whatever its name */
    now_keys[1].kind = TG_STATE_BIGINT;
    struct tg_error err = {0};
    cr_assert_eq(tg_state_layout_match(&layout, &now, &mapping, &err), TG_OK, "%s", err.text);
    cr_assert_not(mapping.same);
    cr_assert(mapping.fate[0] == TG_STATE_WIDER && mapping.target[0] == 1);
    cr_assert_eq(mapping.fate[1], TG_STATE_GONE);
    cr_assert(mapping.fate[2] == TG_STATE_SAME && mapping.target[2] == 2);
    cr_assert(mapping.fate[4] == TG_STATE_SAME && mapping.target[4] == 0);
    cr_assert(mapping.added_count == 1 && mapping.added[0] == 4);
    same_as_stored();
    fields[0] = (struct tg_state_field){.name = "word", .kind = TG_STATE_LABEL};
    now_fields[0] = (struct tg_state_field){.name = "word", .kind = TG_STATE_NAME};
    cr_assert_eq(tg_state_layout_match(&layout, &now, &mapping, NULL), TG_OK);
    cr_assert_eq(mapping.fate[0], TG_STATE_WIDER);
}

static void refused(const char *why)
{
    struct tg_error err = {0};
    struct tg_state_mapping mapping;
    cr_assert_eq(tg_state_layout_match(&layout, &now, &mapping, &err), TG_ERR_CONFIG, "%s", why);
    cr_assert_eq(err.code, TG1519);
    cr_assert_not_null(strstr(err.text, why), "%s", err.text);
    same_as_stored();
}

Test(layout, what_would_change_the_meaning_is_refused)
{
    same_as_stored();
    now.name = "other";
    refused("state other of step counts: what is stored is state recent of step counts");
    now.owner = "other";
    refused("what is stored is state recent of step counts");
    now.owner_kind = TG_STATE_OF_SOURCE;
    refused("state recent of source counts: what is stored");
    now.version = 2;
    refused("version 1 is stored, the operator has version 2");
    now.key_count = 1;
    refused("other columns");
    now_keys[0].kind = TG_STATE_BIGINT;
    refused("key column user was stored as text user and is bigint now");
    keys[1].kind = TG_STATE_BIGINT; /* narrower now */
    refused("key column shop was stored as bigint shop and is integer now");
    keys[1].kind = now_keys[1].kind = TG_STATE_NUMERIC;
    now_keys[1].scale = 3;
    refused("key column shop");
    now_fields[0].kind = TG_STATE_BIGINT;
    refused("field latest was stored as timestamp and is bigint now");
    fields[0].kind = TG_STATE_BIGINT;
    now_fields[0].kind = TG_STATE_INTEGER;
    refused("field latest was stored as bigint and is integer now");
    fields[0].kind = TG_STATE_NAME;
    now_fields[0].kind = TG_STATE_LABEL;
    refused("field latest was stored as name and is label now");
    now_fields[1].scale = 3;
    refused("field sum was stored as numeric and is numeric now with another scale");
    now_fields[3].elements = keys;
    refused("field rows was stored as list and is list now with other elements");
}

Test(layout, every_kind_has_a_name_and_nothing_else_has)
{
    uint32_t count = 0;
    for (uint32_t kind = 0; kind < 300; kind++) { count += tg_state_kind_name((enum tg_state_kind)kind) != NULL; }
    cr_assert_eq(count, 15);
    cr_assert_str_eq(tg_state_kind_name(TG_STATE_JSON), "json");
    for (uint32_t type = TG_TYPE_TEXT; type <= TG_TYPE_JSON; type++) {
        cr_assert_str_eq(tg_state_kind_name((enum tg_state_kind)type), tg_type_name((enum tg_type)type));
    }
}
