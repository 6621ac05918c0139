/* Timers that are armed again by their own callback: moving on through time is no fault, standing still for ever is. A
 * whole job runs an operator that arms its timer again `times` times, each time `step` later (or to and fro). */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/job.h"
#include "engine/runtime.h"

#define BEAT(F) F(timestamp, at)
#define ECHO(F) F(bigint, fired)
#define PULSE(F) F(bigint, fired)
#define PACE(F) F(bigint, times) F(duration, step) F(boolean, back)
TG_RECORD(beat, BEAT)
TG_RECORD(echo, ECHO)
TG_STATE(pulse, PULSE, 1)
TG_PARAMS(pace, PACE)

static tg_result on_row(tg_ctx *c, const beat *r, pulse *s, const pace *p)
{
    (void)p;
    if (s->fired == 0) { tg_timer_arm(c, 0, r->at); }
    return TG_ROW_OK;
}

static tg_result on_timer(tg_ctx *c, uint32_t timer, pulse *s, const pace *p)
{
    (void)timer;
    if (s->fired++ < p->times) {
        tg_timer_arm(c, 0, tg_instant(c) + (p->back && s->fired % 2 == 0 ? -p->step : p->step));
    }
    return TG_ROW_OK;
}

TG_OPERATOR(pulses, beat, pulse, pace, on_row, on_timer, .outputs = TG_OUTPUTS(TG_OUTPUT(echo)), .output_count = 1,
            .timer_count = 1);

static const char job_text[] = "job: pulses\n"
                               "sources:\n"
                               "  beats:\n"
                               "    file: {path: %s/in.jsonl}\n"
                               "    decode: json\n"
                               "    fields: {who: text, at: timestamp}\n"
                               "    event_time: at\n"
                               "    watermark: {delay: 0s}\n"
                               "steps:\n"
                               "  echoes: {process: {operator: pulses, from: beats, key: [who], params: {times: %d, "
                               "step: %s, back: %s}}}\n"
                               "sinks:\n"
                               "  out: {from: echoes, \"null\": {}}\n"
                               "dead_letters: {\"null\": {}}\nlate: {\"null\": {}}\n"
                               "engine: {shards: 1}\n"
                               "state_dir: %s/state\n";

static char dir[64];

static void put_file(const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    (void)fputs(text, file);
    cr_assert_eq(fclose(file), 0);
}

/* What becomes of the job. Its clock stays below the end of time: the second row's lets the timers of the first fire.
 */
static enum tg_code outcome(int times, const char *step, bool back)
{
    static struct tg_findings findings;
    char text[2048];
    char path[128];
    (void)snprintf(dir, sizeof dir, "/tmp/turgo-timers-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    put_file("in.jsonl",
             "{\"who\":\"a\",\"at\":\"2024-01-01T00:00:00Z\"}\n{\"who\":\"b\",\"at\":\"2024-01-01T01:00:00Z\"}\n");
    (void)snprintf(text, sizeof text, job_text, dir, times, step, back ? "true" : "false", dir);
    put_file("job.yaml", text);
    (void)snprintf(path, sizeof path, "%s/job.yaml", dir);
    const struct tg_job_options options = {.path = path, .environment = true};
    struct tg_job *job = NULL;
    tg_operator_register(&tg_operator_pulses);
    cr_assert_eq(tg_job_load(&job, &options, &findings), TG_OK, "%s", findings.list[0].text);
    struct tg_error err = {0};
    const struct tg_run_options run = {.fresh = true, .until_end = true, .no_drain = true, .quiet = true};
    const tg_status status = tg_run(job, &run, &err);
    cr_assert_eq(status == TG_OK, err.code == TG_CODE_NONE);
    tg_job_destroy(job);
    (void)snprintf(text, sizeof text, "rm -r %s", dir);
    cr_assert_eq(system(text), 0);
    return err.code;
}

Test(timers, a_timer_may_be_armed_10000_times_without_time_going_on)
{
    cr_assert_eq(outcome(10000, "0s", false), TG_CODE_NONE);
    cr_assert_eq(outcome(10001, "0s", false), TG1603);
}

Test(timers, going_to_and_fro_is_standing_still) { cr_assert_eq(outcome(30000, "1us", true), TG1603); }

Test(timers, one_that_goes_through_time_may_be_armed_as_often_as_there_is_time)
{
    cr_assert_eq(outcome(30000, "1us", false), TG_CODE_NONE);
}
