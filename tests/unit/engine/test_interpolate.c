/* Variables in values, and the secrets they may bring. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/config/interpolate.h"
#include "tests/unit/engine/doubles.h"

static struct tg_arena arena;
static struct tg_expansion out;

static void setup(void)
{
    cr_assert_eq(tg_arena_open(&arena, (size_t)16 << 20, NULL), TG_OK);
    cr_assert_eq(setenv("FULL", "value", 1), 0);
    cr_assert_eq(setenv("EMPTY", "", 1), 0);
    cr_assert_eq(unsetenv("UNSET"), 0);
}
static void teardown(void) { tg_arena_close(&arena); }
TestSuite(interpolate, .init = setup, .fini = teardown);

static void gives(const char *text, const char *expected)
{
    cr_assert(tg_interpolate(&arena, text, true, false, &out), "%s: %s", text, out.what);
    cr_assert_str_eq(out.text, expected, "%s gives %s", text, out.text);
}

static void fails(const char *text, enum tg_code code, const char *what)
{
    cr_assert_not(tg_interpolate(&arena, text, true, false, &out), "%s", text);
    cr_assert_eq(out.code, code);
    cr_assert_not_null(strstr(out.what, what), "%s: %s", text, out.what);
}

Test(interpolate, variables_defaults_and_dollars)
{
    gives("plain", "plain");
    gives("${FULL}", "value");
    gives("a-${FULL}-b-${FULL}", "a-value-b-value");
    gives("${EMPTY}", "");
    gives("${UNSET:-default}", "default");
    gives("${EMPTY:-default}", "default");
    gives("${FULL:-default}", "value");
    gives("${UNSET:-}", "");
    gives("${UNSET:-a:b/c?d}", "a:b/c?d");
    gives("$${FULL}", "${FULL}");
    gives("a$$b$c$", "a$b$c$");
}

Test(interpolate, values_are_not_interpolated_again)
{
    cr_assert_eq(setenv("NESTED", "${FULL}: {a: b}", 1), 0);
    gives("${NESTED}", "${FULL}: {a: b}");
}

Test(interpolate, unset_variables_fail_by_name)
{
    fails("${UNSET}", TG1005, "environment variable UNSET is not set");
    fails("${EMPTY:?say it}", TG1005, "environment variable EMPTY is empty");
    cr_assert_str_eq(out.hint, "say it");
    fails("${FULL", TG1004, "without");
    fails("${1A}", TG1004, "no variable");
    fails("${FULL:+x}", TG1004, "no variable");
    fails("${}", TG1004, "no variable");
    fails("${file:/etc/hostname}", TG1004, "for secrets only");
}

Test(interpolate, without_environment_unset_is_unresolved)
{
    cr_assert(tg_interpolate(&arena, "x${UNSET:?now}", false, false, &out));
    cr_assert(out.unresolved);
    cr_assert_str_eq(out.text, "x${UNSET:?now}");
    cr_assert(tg_interpolate(&arena, "${UNSET:-d}", false, false, &out));
    cr_assert_not(out.unresolved);
    cr_assert_str_eq(out.text, "d");
    cr_assert(tg_interpolate(&arena, "${file:/nowhere}", false, true, &out));
    cr_assert(out.unresolved);
}

static void secret_file(char path[64], const char *text, mode_t mode)
{
    (void)snprintf(path, 64, "/tmp/turgo-secret-XXXXXX");
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert_eq(fchmod(fd, mode), 0);
    cr_assert_eq(close(fd), 0);
}

Test(interpolate, a_secret_file_loses_one_newline)
{
    char path[64];
    char text[80];
    secret_file(path, "hunter2\n\n", 0600);
    (void)snprintf(text, sizeof text, "${file:%s}", path);
    cr_assert(tg_interpolate(&arena, text, true, true, &out), "%s", out.what);
    cr_assert_str_eq(out.text, "hunter2\n");
    cr_assert_eq(unlink(path), 0);
}

Test(interpolate, a_secret_file_for_everybody_is_refused_and_not_quoted)
{
    char path[64];
    char text[80];
    secret_file(path, "hunter2", 0644);
    (void)snprintf(text, sizeof text, "${file:%s}", path);
    cr_assert_not(tg_interpolate(&arena, text, true, true, &out));
    cr_assert_not_null(strstr(out.what, "readable by everybody"));
    cr_assert_null(strstr(out.what, "hunter2"));
    cr_assert_eq(unlink(path), 0);
    cr_assert_not(tg_interpolate(&arena, text, true, true, &out));
    cr_assert_not_null(strstr(out.what, "No such file"));
    cr_assert_not(tg_interpolate(&arena, "${file:/tmp}", true, true, &out));
    cr_assert_not_null(strstr(out.what, "no regular file"));
}

Test(interpolate, expansions_are_limited)
{
    char *large = malloc(40001);
    memset(large, 'x', 40000);
    large[40000] = '\0';
    cr_assert_eq(setenv("LARGE", large, 1), 0);
    free(large);
    fails("${LARGE}${LARGE}", TG1004, "longer than 64 KiB");
}
