/* Every kind of finding, word for word: a line of the fixture is replaced (or a --set given) and the printed text
 * compared. When a message changes on purpose, change it in the goldens, too. */
#include "tests/unit/engine/config_fixture.h"
#include "tests/unit/engine/config_goldens_names.h"
#include "tests/unit/engine/config_goldens_values.h"

static void check(const struct golden *golden)
{
    static char printed[sizeof fixture_findings];
    const char *replacement = golden->replacement != NULL ? golden->replacement : "";
    const char *text = fixture_with(golden->line, replacement, golden->tail != NULL ? golden->tail : "");
    struct tg_job *job = fixture_load(text, golden->profile, golden->set != NULL ? 1 : 0, &golden->set);
    cr_expect_null(job, "%s loads", golden->name);
    tg_job_destroy(job);
    size_t used = 0;
    printed[0] = '\0';
    for (uint32_t i = 0; i < fixture_findings.count; i++) {
        used += (size_t)snprintf(printed + used, sizeof printed - used, "%s", fixture_findings.list[i].text);
    }
    cr_expect_str_eq(printed, golden->expected, "%s prints\n%sinstead of\n%s", golden->name, printed, golden->expected);
}

Test(config_errors, findings_about_values_read_as_they_should)
{
    cr_assert_eq(unsetenv("UNSET"), 0);
    for (size_t i = 0; i < TG_COUNT_OF(goldens_values); i++) { check(&goldens_values[i]); }
}

Test(config_errors, findings_about_names_read_as_they_should)
{
    for (size_t i = 0; i < TG_COUNT_OF(goldens_names); i++) { check(&goldens_names[i]); }
}

Test(config_errors, the_fixture_itself_loads)
{
    struct tg_job *job = fixture_must_load(fixture_with(0, "", ""), NULL, 0, NULL);
    tg_job_destroy(job);
}

Test(config_errors, at_most_32_findings_in_the_order_of_the_file)
{
    char text[4096];
    size_t used = 0;
    for (int i = 0; i < 50; i++) { used += (size_t)snprintf(text + used, sizeof text - used, "unknown_%d: 1\n", i); }
    struct tg_job *job = fixture_load(text, NULL, 0, NULL);
    cr_assert_null(job);
    cr_assert_eq(fixture_findings.count, 32);
    cr_assert_not_null(strstr(fixture_findings.list[0].text, "\"unknown_0\""));
    cr_assert_not_null(strstr(fixture_findings.list[31].text, "\"unknown_31\""));
}

Test(config_errors, control_characters_of_a_file_never_reach_the_terminal)
{
    struct tg_job *job = fixture_load("\"\\e[31mjob\\a\": 1\n", NULL, 0, NULL);
    cr_assert_null(job);
    for (uint32_t i = 0; i < fixture_findings.count; i++) {
        for (const char *c = fixture_findings.list[i].text; *c != '\0'; c++) {
            cr_assert(*c == '\n' || (unsigned char)*c >= 0x20);
        }
    }
}

Test(config_errors, the_worst_status_is_returned)
{
    struct tg_job *job = NULL;
    const struct tg_job_options options = {.environment = true};
    cr_assert_eq(tg_job_load_text(&job, "job.yaml", "x: 1\n", &options, &fixture_findings), TG_ERR_CONFIG);
    cr_assert_null(job);
}
