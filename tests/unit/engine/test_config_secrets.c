/* A canary in every place a secret can stand; no text the loader makes may sing. */
#include "tests/unit/engine/config_fixture.h"

#define CANARY "canary-4711"

static void must_not_sing(const struct tg_job *job)
{
    for (uint32_t i = 0; i < fixture_findings.count; i++) {
        cr_assert_null(strstr(fixture_findings.list[i].text, CANARY), "%s", fixture_findings.list[i].text);
    }
    if (job == NULL) { return; }
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    tg_job_print_effective(job, out);
    tg_job_print_plan(job, false, out);
    tg_job_print_plan(job, true, out);
    cr_assert_eq(fclose(out), 0);
    cr_assert_null(strstr(text, CANARY), "%s", text);
    free(text);
}

static void try_line(uint32_t line, const char *replacement, bool loads)
{
    struct tg_job *job = fixture_load(fixture_with(line, replacement, ""), NULL, 0, NULL);
    cr_assert_eq(job != NULL, loads, "%s: %s", replacement,
                 fixture_findings.count > 0 ? fixture_findings.list[0].text : "");
    must_not_sing(job);
    tg_job_destroy(job);
}

static void try_set(const char *set, bool loads)
{
    struct tg_job *job = fixture_load(fixture_with(0, "", ""), NULL, 1, &set);
    cr_assert_eq(job != NULL, loads, "%s", set);
    must_not_sing(job);
    tg_job_destroy(job);
}

Test(config_secrets, inline_secrets_of_the_file)
{
    try_line(18, "    cassandra: {table: t, password: " CANARY "}", true);
    try_line(18, "    cassandra: {table: t, password: " CANARY ", tabel: x}", false);
    try_line(18, "    cassandra: {password: \"" CANARY "\", hosts: {a: b}}", false);
    try_line(18, "    cassandra: {tabel: x, passwrd: " CANARY "}", false);
    try_line(18, "    cassandra: {table: t, password: [" CANARY "]}", false);
    try_line(18, "    cassandra: {table: t, password: {a: " CANARY "}}", false);
    try_line(4, "    kafka: {topic: t, client: {sasl.password: " CANARY "}}", true);
    try_line(4, "    kafka: {topik: t, client: {sasl.password: " CANARY ", ssl.key.password: " CANARY "}}", false);
    try_line(4, "    kafka: {topik: t, password: \"" CANARY "\n      " CANARY "\"}", false);
    try_line(18, "    cassandra: {table: t, password: \"" CANARY "}", false); /* not YAML any more */
    try_line(18, "    cassandra: {table: t, password: " CANARY " } }", false);
}

Test(config_secrets, secrets_by_variable)
{
    cr_assert_eq(setenv("TURGO_TEST_SECRET", CANARY, 1), 0);
    try_line(18, "    cassandra: {table: t, password: \"${TURGO_TEST_SECRET}\"}", true);
    try_line(18, "    cassandra: {tabel: t, password: \"${TURGO_TEST_SECRET}\"}", false);
}

Test(config_secrets, secrets_by_environment_setting)
{
    cr_assert_eq(setenv("TURGO_SET_sinks__results__cassandra__password", CANARY, 1), 0);
    try_line(0, "", true);
    cr_assert_eq(unsetenv("TURGO_SET_sinks__results__cassandra__password"), 0);
    cr_assert_eq(setenv("TURGO_SET_sinks__results__cassandra__passwrd", CANARY, 1), 0);
    try_line(0, "", false);
    cr_assert_eq(unsetenv("TURGO_SET_sinks__results__cassandra__passwrd"), 0);
    cr_assert_eq(setenv("TURGO_SET_sinks__result__cassandra__password", CANARY, 1), 0);
    try_line(0, "", false);
    cr_assert_eq(unsetenv("TURGO_SET_sinks__result__cassandra__password"), 0);
    cr_assert_eq(setenv("TURGO_SET_sinks__results", "{cassandra: {password: " CANARY ", tabel: x}}", 1), 0);
    try_line(0, "", false);
}

Test(config_secrets, a_secret_does_not_belong_on_the_command_line)
{
    try_set("sinks.results.cassandra.password=" CANARY, false);
    cr_assert_not_null(strstr(fixture_findings.list[0].text, "must not stand on a command line"));
    try_set("sinks.results.cassandra.pasword=" CANARY, false);
    try_set("sinks.results={cassandra: {table: t, password: " CANARY "}}", false);
    try_set("sources.tx.kafka.client={sasl.password: " CANARY "}", false);
    cr_assert_eq(setenv("TURGO_TEST_SECRET", CANARY, 1), 0);
    try_set("sinks.results.cassandra.password=${TURGO_TEST_SECRET}", true);
}

Test(config_secrets, the_connector_still_gets_it)
{
    struct tg_job *job =
        fixture_must_load(fixture_with(18, "    cassandra: {table: t, password: " CANARY "}", ""), NULL, 0, NULL);
    cr_assert_str_eq(tg_option_text(&job->sinks[0].options, "password"), CANARY);
    tg_job_destroy(job);
}
