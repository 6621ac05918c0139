/* Errors: codes have a status and a title, the first failure wins, exit codes are those of sysexits.h. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/status.h"

Test(status, a_failure_carries_status_code_and_text)
{
    struct tg_error err = {0};
    cr_assert_eq(tg_fail(&err, TG1002, 0, "unknown key %s at line %d", "sorces", 3), TG_ERR_CONFIG);
    cr_assert_eq(err.status, TG_ERR_CONFIG);
    cr_assert_eq(err.code, TG1002);
    cr_assert_eq(err.os_errno, 0);
    cr_assert_str_eq(err.text, "unknown key sorces at line 3");
}

Test(status, the_systems_reason_is_appended)
{
    struct tg_error err = {0};
    cr_assert_eq(tg_fail(&err, TG1501, ENOENT, "open %s", "in/tx"), TG_ERR_INPUT);
    cr_assert_eq(err.os_errno, ENOENT);
    cr_assert_str_eq(err.text, "open in/tx: No such file or directory");
}

Test(status, the_first_failure_wins)
{
    struct tg_error err = {0};
    (void)tg_fail(&err, TG1201, 0, "first");
    cr_assert_eq(tg_fail(&err, TG1503, EIO, "second"), TG_ERR_IO, "the caller still gets the status of his own code");
    cr_assert_eq(err.code, TG1201);
    cr_assert_eq(err.status, TG_ERR_UNAVAILABLE);
    cr_assert_str_eq(err.text, "first");
}

Test(status, an_error_may_be_left_out) { cr_assert_eq(tg_fail(NULL, TG1604, 0, "locked"), TG_ERR_LOCKED); }

Test(status, warnings_and_unknown_codes_are_bugs_when_used_as_errors)
{
    cr_assert_eq(tg_fail(NULL, TG2101, 0, "x"), TG_ERR_INTERNAL);
    cr_assert_eq(tg_fail(NULL, (enum tg_code)4711, 0, "x"), TG_ERR_INTERNAL);
}

Test(status, long_texts_are_cut_at_the_end)
{
    struct tg_error err = {0};
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)tg_fail(&err, TG1601, EIO, "%s", text);
    cr_assert_eq(strlen(err.text), sizeof err.text - 1);
}

Test(status, exit_codes_are_those_of_sysexits)
{
    static const struct {
        tg_status status;
        int code;
    } table[] = {{TG_OK, 0},           {TG_ERR_USAGE, 64}, {TG_ERR_DATA, 65}, {TG_ERR_INPUT, 66},
                 {TG_ERR_UNAVAILABLE, 69},
                 {TG_ERR_INTERNAL, 70}, {TG_ERR_IO, 74},    {TG_ERR_LOCKED, 75}, {TG_ERR_CONFIG, 78},
                 {(tg_status)-99, 70}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cr_assert_eq(tg_exit_code(table[i].status), table[i].code, "status %d", table[i].status);
    }
}

#define NUMBER(number, status, title) number,
#define TITLE(number, status, title) title,
Test(status, every_code_has_a_title_and_a_number_of_its_own)
{
    static const int numbers[] = {TG_CODES(NUMBER)};
    static const char *const titles[] = {TG_CODES(TITLE)};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        cr_assert_str_eq(tg_code_title((enum tg_code)numbers[i]), titles[i], "TG%d", numbers[i]);
        cr_assert(numbers[i] >= 1000 && numbers[i] <= 9999);
        for (size_t k = 0; k < i; k++) { cr_assert_neq(numbers[i], numbers[k], "TG%d twice", numbers[i]); }
    }
    cr_assert_null(tg_code_title(TG_CODE_NONE));
    cr_assert_null(tg_code_title((enum tg_code)4711));
}
