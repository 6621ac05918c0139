/* Findings about names, structure, operators and --set, without their frame: code and text, place and mark, hint.
 * See test_config_errors.c. */
#ifndef TG_TESTS_UNIT_ENGINE_CONFIG_GOLDENS_NAMES_H
#define TG_TESTS_UNIT_ENGINE_CONFIG_GOLDENS_NAMES_H

#include "tests/unit/engine/config_golden.h"

static const struct golden goldens_names[] = {
    {.name = "unknown_source_in_from",
     .line = 14,
     .replacement =
         "    process: {operator: purchase_count, from: txx, key: [user_id], params: {window: 5m, idle: 30s}}",
     .expected = "TG1006 unknown name \"txx\"\n"
                 "job.yaml:14:47 ^^^  did you mean \"tx\"?   to read from: tx, counts\n"},
    {.name = "unknown_step_in_a_sink",
     .line = 17,
     .replacement = "    from: count",
     .expected = "TG1006 unknown name \"count\"\n"
                 "job.yaml:17:11 ^^^^^  did you mean \"counts\"?   to read from: tx, counts\n"},
    {.name = "unknown_output",
     .line = 17,
     .replacement = "    from: counts.numbers",
     .expected = "TG1006 step counts has no output \"numbers\"\n"
                 "job.yaml:17:11 ^^^^^^^^^^^^^^  name one as step.output: double_count\n"},
    {.name = "step_called_like_a_source",
     .line = 13,
     .replacement = "  tx:",
     .expected = "TG1007 a source is called \"tx\", too\n"
                 "job.yaml:13:3 ^^  \"from: tx\" would be ambiguous\n"
                 "TG1006 unknown name \"counts\"\n"
                 "job.yaml:17:11 ^^^^^^  to read from: tx, tx\n"},
    {.name = "duplicate_key",
     .line = 5,
     .replacement = "    kafka: {topic: again}\n"
                    "    fields:",
     .expected = "TG1007 key \"kafka\" is already there in line 4\n"
                 "job.yaml:5:5 ^\n"},
    {.name = "duplicate_column_in_a_list",
     .line = 11,
     .replacement = "    partitioned_by: [user_id, user_id]",
     .expected = "TG1007 column \"user_id\" twice\n"
                 "job.yaml:11:31 ^^^^^^^\n"},
    {.name = "not_yaml",
     .line = 8,
     .replacement = "      amount: {type: text",
     .expected = "TG1001 job.yaml is not YAML that turgo reads: did not find expected ',' or '}': while parsing a "
                 "flow mapping (line 8)\n"
                 "job.yaml:9:15 ^\n"},
    {.name = "tab_indents",
     .line = 7,
     .replacement = "\tat: timestamp",
     .expected = "TG1001 job.yaml is not YAML that turgo reads: found character that cannot start any token: while "
                 "scanning for the next token (line 7)\n"
                 "job.yaml:7:1 ^\n"},
    {.name = "unknown_profile",
     .line = 22,
     .replacement = "",
     .tail = "profiles: {dev: {}, prod: {}}",
     .profile = "pord",
     .expected = "TG1009 unknown profile \"pord\"\n"
                 "  did you mean \"prod\"?   profiles: dev, prod\n"},
    {.name = "unknown_default_profile",
     .line = 22,
     .replacement = "default_profile: x",
     .expected = "TG1009 unknown profile \"x\"\n"
                 "job.yaml:22:18 ^\n"},
    {.name = "profile_that_is_no_mapping",
     .line = 22,
     .replacement = "",
     .tail = "profiles: {dev: 5}\n",
     .profile = "dev",
     .expected = "TG1004 profile dev must be a mapping\n"
                 "job.yaml:24:17 ^\n"},
    {.name = "steps_in_a_circle",
     .line = 13,
     .replacement = "  a: {process: {operator: wide, from: b.wide_left, key: user_id}}\n"
                    "  b: {process: {operator: wide, from: a.wide_left, key: user_id}}\n"
                    "  counts:",
     .expected = "TG1101 step \"a\" reads itself, directly or through others\n"
                 "job.yaml:13:3 ^  steps form no circles\n"
                 "TG1101 step \"b\" reads itself, directly or through others\n"
                 "job.yaml:14:3 ^  steps form no circles\n"},
    {.name = "keyed_sink_without_the_key",
     .line = 19,
     .replacement = "    columns: {n: n}",
     .expected = "TG1101 key column \"user_id\" is not among the columns\n"
                 "job.yaml:19:5 ^^^^^^^  cassandra keeps one row per key of step counts: map it, for example "
                 "user_id: user_id\n"},
    {.name = "keyed_sink_of_a_source",
     .line = 17,
     .replacement = "    from: tx",
     .expected = "TG1102 column \"n\" does not exist\n"
                 "job.yaml:19:35 ^  columns of tx: user_id, at, amount\n"},
    {.name = "keyed_dead_letters",
     .line = 20,
     .replacement = "dead_letters: {sqlite: {path: x, table: y}}",
     .expected = "TG1101 dead_letters cannot go to sqlite\n"
                 "job.yaml:20:1 ^^^^^^^^^^^^  it keeps one row per key, and these are a log: use file, kafka or "
                 "console\n"},
    {.name = "lateness_behind_a_step",
     .line = 13,
     .replacement = "  second: {late: accept, process: {operator: purchase_count, from: counts, key: user_id, "
                    "params: {window: 5m, idle: 30s}}}\n"
                    "  counts:",
     .expected = "TG1101 late belongs to steps that read a source\n"
                 "job.yaml:13:12 ^^^^  rows of a step are never judged late; set it on the step in front\n"},
    {.name = "dedupe_without_the_promise",
     .line = 11,
     .replacement = "    dedupe: {by: user_id, ttl: 5m}",
     .expected = "TG1101 dedupe needs partitioned_by\n"
                 "job.yaml:11:5 ^^^^^^  ids are remembered per partition: say which columns decide a record's "
                 "partition, so that a copy comes to the same one\n"},
    {.name = "unknown_column_in_the_key",
     .line = 14,
     .replacement = "    process: {operator: purchase_count, from: tx, key: [userid], params: {window: 5m, idle: 30s}}",
     .expected = "TG1102 column \"userid\" does not exist\n"
                 "job.yaml:14:57 ^^^^^^  did you mean \"user_id\"?   columns of tx: user_id, at, amount\n"},
    {.name = "unknown_column_in_a_sink",
     .line = 19,
     .replacement = "    columns: {userId: user_id, n: cnt}",
     .expected = "TG1102 column \"cnt\" does not exist\n"
                 "job.yaml:19:35 ^^^  columns of counts: user_id, n, at, timeout\n"},
    {.name = "unknown_event_time",
     .line = 9,
     .replacement = "    event_time: time",
     .expected = "TG1102 column \"time\" does not exist\n"
                 "job.yaml:9:17 ^^^^  columns of tx: user_id, at, amount\n"},
    {.name = "operator_misses_a_column",
     .line = 7,
     .replacement = "      ats: timestamp",
     .expected = "TG1102 column \"at\" does not exist\n"
                 "job.yaml:9:17 ^^  did you mean \"ats\"?   columns of tx: user_id, ats, amount\n"
                 "TG1102 column \"at\" does not exist\n"
                 "job.yaml:14:25 ^^^^^^^^^^^^^^  operator purchase_count reads timestamp \"at\" by this name from tx "
                 "  did you mean \"ats\"?   its columns: user_id, ats, amount\n"},
    {.name = "event_time_of_another_type",
     .line = 7,
     .replacement = "      at: bigint",
     .expected = "TG1103 event_time \"at\" is bigint, it must be a timestamp\n"
                 "job.yaml:9:17 ^^  declared job.yaml:7:7\n"
                 "TG1103 operator purchase_count reads \"at\" as timestamp, but it is bigint\n"
                 "job.yaml:14:25 ^^^^^^^^^^^^^^  the operator declares F(timestamp, at) in its record \"double_tx\"; "
                 "the job file declares bigint at job.yaml:7:7\n"},
    {.name = "unknown_operator",
     .line = 14,
     .replacement = "    process: {operator: purchase_cont, from: tx, key: [user_id], params: {window: 5m, idle: 30s}}",
     .expected = "TG1401 operator \"purchase_cont\" not found\n"
                 "job.yaml:14:25 ^^^^^^^^^^^^^  did you mean \"purchase_count\"?   linked in: purchase_count, wide\n"},
    {.name = "unknown_parameter",
     .line = 14,
     .replacement = "    process: {operator: purchase_count, from: tx, key: [user_id], params: {windw: 5m, idle: 30s}}",
     .expected = "TG1402 missing parameter \"window\"\n"
                 "job.yaml:14:67 ^^^^^^  operator purchase_count takes a duration such as 250ms, 30s, 5m, 24h or "
                 "1h30m\n"
                 "TG1402 operator purchase_count has no parameter \"windw\"\n"
                 "job.yaml:14:76 ^^^^^  did you mean \"window\"?   its parameters: window, idle\n"},
    {.name = "wrong_parameter",
     .line = 14,
     .replacement = "    process: {operator: purchase_count, from: tx, key: [user_id], params: {window: 5m, idle: 30}}",
     .expected = "TG1402 wrong value \"30\" for parameter idle\n"
                 "job.yaml:14:94 ^^  it is declared duration and takes a duration such as 250ms, 30s, 5m, 24h or "
                 "1h30m\n"},
    {.name = "operator_refuses_its_parameters",
     .line = 14,
     .replacement =
         "    process: {operator: purchase_count, from: tx, key: [user_id], params: {window: 10s, idle: 30s}}",
     .expected = "TG1402 window must be longer than the watermark's delay\n"
                 "job.yaml:14:67 ^^^^^^  operator purchase_count refuses these parameters\n"},
    {.name = "set_of_an_unknown_key",
     .set = "sources.tx.watermark.dely=5s",
     .expected = "TG1002 unknown key \"dely\"\n"
                 "--set ^^^^  did you mean \"delay\"?   allowed here: delay, idle_after, idle_clock, max_skew\n"},
    {.name = "set_of_an_unknown_source",
     .set = "sources.txx.zone=UTC",
     .expected = "TG1006 unknown name \"txx\"\n"
                 "--set ^^^  did you mean \"tx\"?   there are: tx\n"},
    {.name = "set_of_an_unknown_step",
     .set = "steps.count.late=accept",
     .expected = "TG1006 unknown name \"count\"\n"
                 "--set ^^^^^  did you mean \"counts\"?   there are: counts\n"},
    {.name = "set_of_an_unknown_parameter",
     .set = "steps.counts.process.params.windo=5m",
     .expected = "TG1402 operator purchase_count has no parameter \"windo\"\n"
                 "--set ^^^^^  did you mean \"window\"?   its parameters: window, idle\n"},
    {.name = "set_of_an_unused_connector",
     .set = "sinks.results.sqlite.path=x",
     .expected = "TG1006 sqlite is not used here, cassandra is\n"
                 "--set ^^^^^^  to change the connector, set the whole block: sqlite={...}\n"},
    {.name = "set_through_a_value",
     .set = "job.name=x",
     .expected = "TG1006 unknown name \"name\"\n"
                 "--set ^^^^  what stands in front of it is a value, not a block\n"},
    {.name = "set_of_a_profile",
     .set = "default_profile=x",
     .expected = "TG1006 default_profile cannot be set\n"
                 "--set ^^^^^^^^^^^^^^^  choose one with --profile NAME, and set the keys themselves\n"},
    {.name = "set_without_a_value",
     .set = "engine.shards",
     .expected = "TG1006 not a setting\n"
                 "--set ^^^^^^^^^^^^^  write path.name=value, for example sources.tx.watermark.delay=30s\n"},
    {.name = "set_of_a_wrong_value",
     .set = "engine.shards=many",
     .expected = "TG1004 wrong value \"many\" for shards\n"
                 "--set ^^^^  it takes a whole number, or auto\n"},
    {.name = "set_that_is_not_yaml",
     .set = "engine.shards={1",
     .expected = "TG1001 value is not YAML: did not find expected ',' or '}': while parsing a flow mapping (line 1)\n"
                 "--set ^^^^^^  quote it: --set 'path=\"value\"'\n"},
    {.name = "wide_letters_keep_carets_in_place",
     .line = 4,
     .replacement = "    kafka: {topic: \"gr\303\274\303\237e\", startt: horizon}",
     .expected = "TG1002 unknown key \"startt\"\n"
                 "job.yaml:4:29 ^^^^^^  did you mean \"start\"?   allowed here: topic, brokers, start, password, "
                 "client\n"},
    {.name = "long_lines_are_cut_around_the_place",
     .line = 14,
     .replacement = "    process: {a0: 1, a1: 1, operator: purchase_count, from: tx, key: [user_id], params: "
                    "{window: 5m, idle: 30s, a_very_long_parameter_name: 1}}",
     .expected = "TG1002 unknown key \"a0\"\n"
                 "job.yaml:14:15 ^^  allowed here: operator, from, key, params\n"
                 "TG1002 unknown key \"a1\"\n"
                 "job.yaml:14:22 ^^  allowed here: operator, from, key, params\n"
                 "TG1402 operator purchase_count has no parameter \"a_very_long_parameter_name\"\n"
                 "job.yaml:14:113 ^^^^^^^^^^^^^^^^^^^^^^^^^^  its parameters: window, idle\n"},
};

#endif
