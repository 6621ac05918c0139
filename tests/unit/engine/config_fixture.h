/* Loading texts as job files. Line numbers in tests count from FIXTURE_JOB's first line. */
#ifndef TG_TESTS_UNIT_ENGINE_CONFIG_FIXTURE_H
#define TG_TESTS_UNIT_ENGINE_CONFIG_FIXTURE_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/config/config.h"
#include "engine/plan.h"
#include "tests/unit/engine/doubles.h"

/* One line per thing a test may replace. */
static const char *const fixture_lines[] = {
    /*  1 */ "job: counts",
    /*  2 */ "sources:",
    /*  3 */ "  tx:",
    /*  4 */ "    kafka: {topic: transactions, start: horizon}",
    /*  5 */ "    fields:",
    /*  6 */ "      user_id: {type: text, required: true}",
    /*  7 */ "      at: timestamp",
    /*  8 */ "      amount: {type: numeric(18,2), excess: round}",
    /*  9 */ "    event_time: at",
    /* 10 */ "    watermark: {delay: 30s}",
    /* 11 */ "    partitioned_by: [user_id]",
    /* 12 */ "steps:",
    /* 13 */ "  counts:",
    /* 14 */ "    process: {operator: purchase_count, from: tx, key: [user_id], params: {window: 5m, idle: 30s}}",
    /* 15 */ "sinks:",
    /* 16 */ "  results:",
    /* 17 */ "    from: counts",
    /* 18 */ "    cassandra: {table: ks.results}",
    /* 19 */ "    columns: {userId: user_id, n: n}",
    /* 20 */ "dead_letters: {file: {path: dead.jsonl}}",
    /* 21 */ "late: {file: {path: late.jsonl}}",
    /* 22 */ "",
    /* 23 */ "",
};
enum { FIXTURE_LINES = sizeof fixture_lines / sizeof fixture_lines[0] };

static struct tg_findings fixture_findings;
static char fixture_text[16384];

/* The fixture with line `line` replaced (0: unchanged) and `tail` behind it. */
static inline const char *fixture_with(uint32_t line, const char *replacement, const char *tail)
{
    size_t used = 0;
    for (uint32_t i = 1; i <= FIXTURE_LINES; i++) {
        used += (size_t)snprintf(fixture_text + used, sizeof fixture_text - used, "%s\n",
                                 i == line ? replacement : fixture_lines[i - 1]);
    }
    used += (size_t)snprintf(fixture_text + used, sizeof fixture_text - used, "%s", tail);
    cr_assert_lt(used, sizeof fixture_text);
    return fixture_text;
}

static inline struct tg_job *fixture_load(const char *text, const char *profile, uint32_t set_count,
                                          const char *const *sets)
{
    struct tg_job *job = NULL;
    const struct tg_job_options options = {
        .profile = profile, .set_count = set_count, .sets = sets, .environment = true};
    doubles_register();
    const tg_status status = tg_job_load_text(&job, "jobs/job.yaml", text, &options, &fixture_findings);
    cr_assert_eq(status == TG_OK, job != NULL);
    cr_assert_eq(status == TG_OK, fixture_findings.count == 0);
    return job;
}

static inline struct tg_job *fixture_must_load(const char *text, const char *profile, uint32_t set_count,
                                               const char *const *sets)
{
    struct tg_job *job = fixture_load(text, profile, set_count, sets);
    cr_assert_not_null(job, "%s", fixture_findings.list[0].text);
    return job;
}

/* The plan of `text` with `set` (NULL = none): two shards, sources of four partitions. The caller destroys both. */
static inline struct tg_plan *fixture_plan(const char *text, const char *set, struct tg_job **job)
{
    const uint32_t partitions = 4;
    struct tg_plan *plan;
    struct tg_error err = {0};
    *job = fixture_must_load(text, NULL, set == NULL ? 0 : 1, &set);
    cr_assert_eq(tg_plan_create(&plan, *job, 2, &partitions, &err), TG_OK, "%s", err.text);
    return plan;
}

#endif
