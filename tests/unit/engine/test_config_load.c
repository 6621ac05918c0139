/* What a job file becomes: specs, layers and their precedence. */
#include "tests/source_path.h"
#include "tests/unit/engine/config_fixture.h"

static struct tg_job *load_shipped(const char *profile, uint32_t set_count, const char *const *sets)
{
    struct tg_job *job = NULL;
    const struct tg_job_options options = {.path = tg_test_source_path("jobs/purchase_count.yaml"),
                                           .profile = profile,
                                           .set_count = set_count,
                                           .sets = sets,
                                           .environment = true};
    doubles_register();
    (void)!tg_job_load(&job, &options, &fixture_findings);
    cr_assert_not_null(job, "%s", fixture_findings.list[0].text);
    return job;
}

Test(config_load, the_shipped_job_in_every_profile)
{
    static const char *const profiles[] = {NULL, "dev", "replay", "prod", "bench"};
    static const char *const sources[] = {"generate", "generate", "file", "kafka", "kafka"};
    static const char *const sinks[] = {"sqlite", "sqlite", "file", "cassandra", "null"};
    cr_assert_eq(setenv("KAFKA_BROKERS", "b1:9092", 1), 0);
    cr_assert_eq(setenv("CASSANDRA_HOSTS", "c1:9042", 1), 0);
    for (size_t i = 0; i < TG_COUNT_OF(profiles); i++) {
        struct tg_job *job = load_shipped(profiles[i], 0, NULL);
        cr_assert_str_eq(job->profile, profiles[i] != NULL ? profiles[i] : "dev");
        cr_assert_str_eq(job->sources[0].ops->name, sources[i]);
        cr_assert_str_eq(job->sinks[0].ops->name, sinks[i]);
        cr_assert_eq(job->replay, i == 2);
        cr_assert_eq(job->sources[0].watermark_delay, i < 2 ? 5000000 : 30000000);
        cr_assert_str_eq(job->sources[0].topic, i == 4 ? "bench_tx" : "user-transaction-topic");
        cr_assert(tg_step_on_partition_clock(job, &job->steps[0]));
        tg_job_destroy(job);
    }
}

Test(config_load, the_shipped_job_in_detail)
{
    struct tg_job *job = load_shipped("dev", 0, NULL);
    const struct tg_source_spec *source = &job->sources[0];
    cr_assert_str_eq(job->name, "purchase_count");
    cr_assert_str_eq(job->state_dir, "var/purchase_count/dev");
    cr_assert_eq(source->schema.column_count, 3);
    cr_assert_str_eq(source->fields[0].names[0], "userId");
    cr_assert(source->fields[0].required);
    cr_assert(source->fields[0].integer_ok);
    cr_assert_eq(source->event_time, 1);
    cr_assert_eq(source->watermark_delay, 5000000, "the profile's");
    cr_assert_eq(source->idle_after, 5000000);
    cr_assert_eq(source->max_skew, 300000000);
    cr_assert(source->has_dedupe);
    cr_assert_eq(source->dedupe_by, 2);
    cr_assert_eq(source->dedupe_per_count, 1);
    cr_assert_eq(source->dedupe_ttl, 330000000);
    cr_assert_eq(tg_option_number(&source->options, "rate"), 1000);
    cr_assert_eq(tg_option_number(&source->options, "late"), 30000);
    const struct tg_step_spec *step = &job->steps[0];
    cr_assert_eq(step->key_count, 1);
    cr_assert_eq(step->output_count, 1);
    cr_assert_eq(step->outputs[0].column_count, 4);
    cr_assert_str_eq(step->outputs[0].columns[0].name, "user_id");
    cr_assert_str_eq(step->outputs[0].columns[3].name, "timeout");
    const struct tg_sink_spec *sink = &job->sinks[0];
    cr_assert_str_eq(sink->schema.columns[1].name, "purchaseCount");
    cr_assert_eq(sink->schema.columns[1].type, TG_TYPE_INTEGER);
    cr_assert_eq(sink->key_count, 1);
    cr_assert_eq(sink->key_columns[0], 0);
    cr_assert_not(sink->with_revision);
    cr_assert_eq(job->engine.max_keys, 2000000);
    cr_assert_eq(job->engine.max_state, 1073741824);
    cr_assert_eq(job->engine.drain_timeout, 10000000);
    cr_assert_eq(job->engine.shards, TG_SHARDS_AUTO);
    cr_assert_str_eq(job->dead_letters->schema.columns[3].name, "reason");
    tg_job_destroy(job);
}

Test(config_load, replay_rows_carry_their_revision_and_skew_is_off)
{
    struct tg_job *job = load_shipped("replay", 0, NULL);
    cr_assert(job->sinks[0].with_revision);
    cr_assert_eq(job->sources[0].max_skew, TG_TS_MAX);
    cr_assert_str_eq(tg_option_text(&job->sources[0].options, "path"), "in/user-transaction-topic");
    tg_job_destroy(job);
}

static tg_us max_age_of(const char *every, const char *more)
{
    const char *const sets[] = {every, more};
    struct tg_job *job = load_shipped("dev", more != NULL ? 2 : 1, sets);
    const tg_us age = job->checkpoint.max_age;
    tg_job_destroy(job);
    return age;
}

Test(config_load, the_age_at_which_reading_stops_follows_from_every_and_timeout_unless_it_is_given)
{
    cr_assert_eq(max_age_of("checkpoint.every=10s", NULL), 1200000000, "two times the timeout of 10m");
    cr_assert_eq(max_age_of("checkpoint.every=1h", NULL), 36000000000, "ten times an hour");
    cr_assert_eq(max_age_of("checkpoint.every=10s", "checkpoint.timeout=1s"), 100000000);
    cr_assert_eq(max_age_of("checkpoint.every=10s", "checkpoint.max_age=20s"), 20000000);
    cr_assert_eq(max_age_of("checkpoint.every=10s", "checkpoint.max_age=off"), TG_TS_MAX);
}

Test(config_load, every_documented_path_can_be_set)
{
    static const char *const sets[] = {
        "sources.tx.watermark.delay=1m",
        "sources.tx.watermark.idle_after=7s",
        "sources.tx.watermark.max_skew=off",
        "sources.tx.zone=+02:00",
        "sources.tx.generate.rate=5k/s",
        "sources.tx.dedupe.ttl=1h",
        "sources.tx.fields.transaction_id.required=true",
        "sources.tx.on_error=stop",
        "steps.counts.allowed_lateness=2m",
        "steps.counts.late=accept",
        "steps.counts.process.params.window=7m",
        "sinks.user_transaction_counts.sqlite.table=other",
        "sinks.user_transaction_counts.columns={isTimeout: ~, eventTimestamp: ~}",
        "dead_letters.file.path=x.jsonl",
        "engine.shards=3",
        "engine.io=epoll",
        "engine.max_keys=1000",
        "engine.max_state=64MiB",
        "engine.drain_timeout=off",
        "state_dir=/tmp/s",
        "job=renamed",
    };
    struct tg_job *job = load_shipped("dev", TG_COUNT_OF(sets), sets);
    const struct tg_source_spec *source = &job->sources[0];
    cr_assert_eq(source->watermark_delay, 60000000);
    cr_assert_eq(source->idle_after, 7000000);
    cr_assert_eq(source->max_skew, TG_TS_MAX);
    cr_assert_str_eq(source->zone_name, "+02:00");
    cr_assert_not_null(source->zone);
    cr_assert_eq(tg_option_number(&source->options, "rate"), 5000);
    cr_assert_eq(source->dedupe_ttl, 3600000000);
    cr_assert(source->fields[2].required);
    cr_assert_eq(source->on_error, TG_ON_ERROR_STOP);
    cr_assert_eq(job->steps[0].allowed_lateness, 120000000);
    cr_assert_eq(job->steps[0].late, TG_LATE_ACCEPT);
    cr_assert_str_eq(job->steps[0].params[0].text, "7m");
    cr_assert_str_eq(job->steps[0].params[0].place.origin, "--set");
    cr_assert_str_eq(tg_option_text(&job->sinks[0].options, "table"), "other");
    cr_assert_eq(job->sinks[0].schema.column_count, 2);
    cr_assert_str_eq(tg_option_text(&job->dead_letters->options, "path"), "x.jsonl");
    cr_assert_eq(job->engine.shards, 3);
    cr_assert_eq(job->engine.io, TG_LOOP_EPOLL);
    cr_assert_eq(job->engine.max_keys, 1000);
    cr_assert_eq(job->engine.max_state, 67108864);
    cr_assert_eq(job->engine.drain_timeout, TG_TS_MAX);
    cr_assert_str_eq(job->state_dir, "/tmp/s");
    cr_assert_str_eq(job->name, "renamed");
    tg_job_destroy(job);
}

static tg_us delay_of(const char *text, const char *profile, uint32_t set_count, const char *const *sets)
{
    struct tg_job *job = fixture_must_load(text, profile, set_count, sets);
    const tg_us delay = job->sources[0].watermark_delay;
    tg_job_destroy(job);
    return delay;
}

Test(config_load, later_layers_win)
{
    static char text[16384];
    static const char *const set[] = {"sources.tx.watermark.delay=4s", "sources.tx.watermark.delay=5s"};
    (void)snprintf(text, sizeof text, "%s",
                   fixture_with(0, "", "profiles: {p: {sources: {tx: {watermark: {delay: 2s}}}}, q: {}}\n"));
    cr_assert_eq(delay_of(text, NULL, 0, NULL), 30000000);
    cr_assert_eq(delay_of(text, "q", 0, NULL), 30000000);
    cr_assert_eq(delay_of(text, "p", 0, NULL), 2000000);
    cr_assert_eq(setenv("TURGO_SET_sources__tx__watermark__delay", "3s", 1), 0);
    cr_assert_eq(delay_of(text, "p", 0, NULL), 3000000);
    cr_assert_eq(delay_of(text, "p", 1, set), 4000000);
    cr_assert_eq(delay_of(text, "p", 2, set), 5000000);
}

Test(config_load, a_profile_replaces_the_connector_and_keeps_the_rest)
{
    struct tg_job *job =
        fixture_must_load(fixture_with(0, "",
                                       "profiles: {p: {sinks: {results: {console: }}, late: {kafka: {topic: l}}, "
                                       "sources: {tx: {partitioned_by: null, kafka: {start: earliest}}}}}\n"),
                          "p", 0, NULL);
    cr_assert_str_eq(job->sinks[0].ops->name, "console");
    cr_assert_eq(job->sinks[0].schema.column_count, 2);
    cr_assert_str_eq(job->late->ops->name, "kafka");
    cr_assert_str_eq(tg_option_text(&job->sources[0].options, "topic"), "transactions");
    cr_assert_eq(tg_option_number(&job->sources[0].options, "start"), TG_START_EARLIEST);
    cr_assert_eq(job->sources[0].partitioned_by_count, 0);
    cr_assert_not(tg_step_on_partition_clock(job, &job->steps[0]));
    tg_job_destroy(job);
}

Test(config_load, variables_of_unused_profiles_are_not_asked_for)
{
    cr_assert_eq(unsetenv("NOT_THERE"), 0);
    struct tg_job *job = fixture_must_load(
        fixture_with(0, "", "profiles: {p: {sources: {tx: {kafka: {brokers: \"${NOT_THERE}\"}}}}}\n"), NULL, 0, NULL);
    tg_job_destroy(job);
}

Test(config_load, a_list_in_a_variable_is_split_at_commas)
{
    cr_assert_eq(setenv("NODES", "n1:9042, n2,,n3 ", 1), 0);
    struct tg_job *job =
        fixture_must_load(fixture_with(18, "    cassandra: {table: t, hosts: \"${NODES}\"}", ""), NULL, 0, NULL);
    const struct tg_option_value *hosts = tg_option(&job->sinks[0].options, "hosts");
    cr_assert_eq(hosts->count, 3);
    cr_assert_str_eq(hosts->texts[0], "n1:9042");
    cr_assert_str_eq(hosts->texts[1], "n2");
    cr_assert_str_eq(hosts->texts[2], "n3");
    cr_assert_str_eq(hosts->text, "n1:9042, n2,,n3 ");
    tg_job_destroy(job);
    job = fixture_must_load(fixture_with(18, "    cassandra: {table: t, hosts: [\"a,b\", c]}", ""), NULL, 0, NULL);
    cr_assert_eq(tg_option(&job->sinks[0].options, "hosts")->count, 2);
    tg_job_destroy(job);
}

Test(config_load, a_short_field_takes_more_by_overlay)
{
    static const char *const sets[] = {"sources.tx.fields.at.epoch=ms"};
    struct tg_job *job = fixture_must_load(fixture_with(0, "", ""), NULL, 1, sets);
    cr_assert_eq(job->sources[0].fields[1].epoch, TG_EPOCH_MS);
    tg_job_destroy(job);
}

Test(config_load, numeric_enum_and_aliases)
{
    struct tg_job *job = fixture_must_load(
        fixture_with(8,
                     "      amount: {type: numeric(18,2), excess: round, path: a.b, aliases: [amt, a.b, sum]}\n"
                     "      price: {type: numeric, scale: 4}\n      kind: {type: enum, values: [credit, debit]}\n"
                     "      plain: numeric",
                     ""),
        NULL, 0, NULL);
    const struct tg_schema *schema = &job->sources[0].schema;
    cr_assert_eq(schema->columns[2].precision, 18);
    cr_assert_eq(schema->columns[2].scale, 2);
    cr_assert(job->sources[0].fields[2].excess_round);
    cr_assert_eq(job->sources[0].fields[2].name_count, 3);
    cr_assert_str_eq(job->sources[0].fields[2].names[0], "a.b");
    cr_assert_str_eq(job->sources[0].fields[2].names[1], "amt");
    cr_assert_str_eq(job->sources[0].fields[2].names[2], "sum");
    cr_assert_eq(schema->columns[3].precision, 38);
    cr_assert_eq(schema->columns[3].scale, 4);
    cr_assert_eq(schema->columns[4].enum_count, 2);
    cr_assert_str_eq(schema->columns[4].enum_values[1], "debit");
    cr_assert_eq(schema->columns[5].scale, 0);
    tg_job_destroy(job);
}

Test(config_load, event_time_is_required_without_saying_so)
{
    struct tg_job *job = fixture_must_load(fixture_with(0, "", ""), NULL, 0, NULL);
    cr_assert(job->sources[0].fields[1].required);
    tg_job_destroy(job);
}

/* Steps in any order in the file; several outputs; numeric outputs are numeric(38,2). */
Test(config_load, steps_are_put_behind_their_inputs)
{
    static const char wide[] = "params: {flag: true, word: w, small: 1, big: 2, other: false, price: 1.5, "
                               "since: \"2024-01-01T00:00:00Z\", day: 2024-01-01, wait: 5s}";
    char steps[2048];
    (void)snprintf(steps, sizeof steps,
                   "  second: {process: {operator: wide, from: first.wide_left, key: user_id, %s}}\n"
                   "  first: {process: {operator: wide, from: tx, key: user_id, %s}}\n  counts:",
                   wide, wide);
    struct tg_job *job = fixture_load(fixture_with(13, steps, ""), NULL, 0, NULL);
    cr_assert_not_null(job, "%s", fixture_findings.list[0].text);
    cr_assert_str_eq(job->steps[0].name, "first");
    cr_assert_str_eq(job->steps[0].outputs[0].name, "first.wide_left");
    cr_assert_eq(job->steps[0].outputs[0].columns[2].type, TG_TYPE_NUMERIC);
    cr_assert_eq(job->steps[0].outputs[0].columns[2].scale, 2);
    uint32_t second = 1;
    while (strcmp(job->steps[second].name, "second") != 0) { second++; }
    cr_assert_not(job->steps[second].from.is_source);
    cr_assert_eq(job->steps[second].from.index, 0);
    tg_job_destroy(job);
}

Test(config_load, the_plan_and_the_values_print)
{
    struct tg_job *job = load_shipped("dev", 0, NULL);
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    tg_job_print_plan(job, false, out);
    tg_job_print_plan(job, true, out);
    tg_job_print_effective(job, out);
    cr_assert_eq(fclose(out), 0);
    cr_assert_not_null(strstr(text, "step counts  operator purchase_count, from tx"));
    cr_assert_not_null(strstr(text, "clock     of the key's partition"));
    cr_assert_not_null(strstr(text, "\"source tx\" -> \"step counts\";"));
    cr_assert_not_null(strstr(text, "# purchase_count.yaml:15:41")); /* idle_after, from the job */
    cr_assert_not_null(strstr(text, "# purchase_count.yaml:34:"));   /* delay, from the profile */
    cr_assert_not_null(strstr(text, "engine.max_keys: 2000000"));
    free(text);
    tg_job_destroy(job);
}

Test(config_load, a_file_that_is_not_there_is_input_missing)
{
    struct tg_job *job = NULL;
    const struct tg_job_options options = {.path = "/nowhere/job.yaml"};
    cr_assert_eq(tg_job_load(&job, &options, &fixture_findings), TG_ERR_INPUT);
    cr_assert_null(job);
    cr_assert_eq(fixture_findings.count, 1);
    cr_assert_eq(fixture_findings.list[0].code, TG1008);
    tg_job_destroy(NULL);
}
