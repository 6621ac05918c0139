/* YAML trees: places, aliases, and everything that must be refused rather than guessed. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/config/yaml.h"
#include "tests/unit/engine/doubles.h"

static struct tg_arena arena;
static struct tg_yaml_fault fault;

static void setup(void) { cr_assert_eq(tg_arena_open(&arena, (size_t)64 << 20, NULL), TG_OK); }
static void teardown(void) { tg_arena_close(&arena); }
TestSuite(yaml, .init = setup, .fini = teardown);

static struct tg_yaml_source source;
static const struct tg_yaml_node *parse(const char *text)
{
    const struct tg_yaml_node *root = NULL;
    source = (struct tg_yaml_source){.name = "t.yaml", .text = text, .is_file = true};
    return tg_yaml_parse(&arena, &source, &root, &fault) ? root : NULL;
}

static void refused(const char *text, const char *why, uint32_t line)
{
    cr_assert_null(parse(text), "%s", text);
    cr_assert_not_null(strstr(fault.text, why), "%s: %s", text, fault.text);
    cr_assert_eq(fault.line, line, "%s: line %u", text, fault.line);
}

Test(yaml, nodes_know_line_and_column_in_characters)
{
    const struct tg_yaml_node *root = parse("a: 1\nb:\n  \"gr\xC3\xBC\xC3\x9F\": {c: d}\n");
    cr_assert_not_null(root);
    const struct tg_yaml_node *inner = tg_yaml_get(tg_yaml_get(root, "b"), "gr\xC3\xBC\xC3\x9F");
    const struct tg_yaml_node *d = tg_yaml_get(inner, "c");
    cr_assert_str_eq(d->text, "d");
    cr_assert_eq(d->line, 3);
    cr_assert_eq(d->column, 15); /* two-byte letters are one column each */
    cr_assert_eq(d->end_column, 16);
}

Test(yaml, quotes_keep_null_a_text)
{
    const struct tg_yaml_node *root = parse("a: ~\nb: null\nc:\nd: \"null\"\ne: ''\n");
    cr_assert(tg_yaml_is_null(tg_yaml_get(root, "a")));
    cr_assert(tg_yaml_is_null(tg_yaml_get(root, "b")));
    cr_assert(tg_yaml_is_null(tg_yaml_get(root, "c")));
    cr_assert_not(tg_yaml_is_null(tg_yaml_get(root, "d")));
    cr_assert_not(tg_yaml_is_null(tg_yaml_get(root, "e")));
    cr_assert(tg_yaml_is_null(tg_yaml_get(root, "f")));
}

Test(yaml, aliases_share_their_anchor)
{
    const struct tg_yaml_node *root = parse("a: &x {k: v}\nb: *x\n");
    cr_assert_eq(tg_yaml_get(root, "a"), tg_yaml_get(root, "b"));
    cr_assert_str_eq(tg_yaml_get(tg_yaml_get(root, "b"), "k")->text, "v");
}

Test(yaml, empty_text_is_an_empty_mapping)
{
    const struct tg_yaml_node *root = parse("# nothing\n");
    cr_assert_not_null(root);
    cr_assert_eq(root->kind, TG_YAML_MAP);
    cr_assert_eq(root->count, 0);
}

Test(yaml, what_cannot_be_meant_is_refused_where_it_stands)
{
    refused("a: 1\nb: 2\na: 3\n", "already there in line 1", 3);
    cr_assert(fault.is_duplicate);
    refused("a: 1\n---\nb: 2\n", "second document", 2);
    refused("a: {b: 1\n", "expected ',' or '}'", 2);
    refused("a: *nowhere\n", "undefined alias", 1);
    refused("\"a\\0b\": 1\n", "zero byte", 1);
    refused("? [a, b]\n: 1\n", "a key must be a text", 1);
    refused("a:\n\t- b\n", "cannot start any token", 2);
}

Test(yaml, an_anchor_that_contains_itself_is_refused) { refused("a: &x [1, *x]\n", "contains itself", 0); }

Test(yaml, aliases_that_multiply_are_refused)
{
    char text[4096];
    size_t used = (size_t)snprintf(text, sizeof text, "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n");
    for (int i = 1; i < 10; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "a%d: &a%d [", i, i);
        for (int k = 0; k < 8; k++) { used += (size_t)snprintf(text + used, sizeof text - used, "*a%d,", i - 1); }
        used += (size_t)snprintf(text + used, sizeof text - used, "]\n");
    }
    refused(text, "multiply too far", 0);
}

Test(yaml, depth_and_size_are_limited)
{
    char deep[200] = "a: ";
    memset(deep + 3, '[', 40);
    memset(deep + 43, ']', 40);
    refused(deep, "nested too deeply", 0);
    char *large = malloc(TG_YAML_BYTES_MAX + 2);
    memset(large, '#', TG_YAML_BYTES_MAX + 1);
    large[TG_YAML_BYTES_MAX + 1] = '\0';
    refused(large, "larger than 1 MiB", 0);
    free(large);
    char wide[4096];
    size_t used = (size_t)snprintf(wide, sizeof wide, "a: [");
    for (int i = 0; i < 1100; i++) { used += (size_t)snprintf(wide + used, sizeof wide - used, "1,"); }
    (void)snprintf(wide + used, sizeof wide - used, "1]");
    refused(wide, "more than 1,024 items", 1);
}
