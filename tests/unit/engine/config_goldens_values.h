/* Findings about keys, values and variables, without their frame: code and text, place and mark, hint.
 * See test_config_errors.c. */
#ifndef TG_TESTS_UNIT_ENGINE_CONFIG_GOLDENS_VALUES_H
#define TG_TESTS_UNIT_ENGINE_CONFIG_GOLDENS_VALUES_H

#include "tests/unit/engine/config_golden.h"

static const struct golden goldens_values[] = {
    {.name = "unknown_key_in_a_source",
     .line = 10,
     .replacement = "    watermrk: {delay: 60s}",
     .expected = "TG1002 unknown key \"watermrk\"\n"
                 "job.yaml:10:5 ^^^^^^^^  did you mean \"watermark\"?   allowed here: kafka, file, generate, decode, "
                 "fields, event_time, watermark, zone, partitioned_by, dedupe, on_error\n"},
    {.name = "unknown_key_at_the_top",
     .line = 22,
     .replacement = "sink: {}",
     .expected = "TG1002 unknown key \"sink\"\n"
                 "job.yaml:22:1 ^^^^  did you mean \"sinks\"?   allowed here: job, default_profile, sources, steps, "
                 "sinks, dead_letters, late, checkpoint, engine, profiles, state_dir\n"},
    {.name = "unknown_key_in_a_connector",
     .line = 18,
     .replacement = "    cassandra: {table: t, hots: a}",
     .expected = "TG1002 unknown key \"hots\"\n"
                 "job.yaml:18:27 ^^^^  did you mean \"hosts\"?   allowed here: table, hosts, password, timeout, tls\n"},
    {.name = "unknown_key_in_a_field",
     .line = 6,
     .replacement = "      user_id: {type: text, requird: true}",
     .expected = "TG1002 unknown key \"requird\"\n"
                 "job.yaml:6:29 ^^^^^^^  did you mean \"required\"?   allowed here: type, path, aliases, required, "
                 "integer_ok, scale, excess, epoch, values\n"},
    {.name = "unknown_key_in_watermark",
     .line = 10,
     .replacement = "    watermark: {delay: 30s, idle: 5s}",
     .expected = "TG1002 unknown key \"idle\"\n"
                 "job.yaml:10:29 ^^^^  did you mean \"idle_after\"?   allowed here: delay, idle_after, idle_clock, "
                 "max_skew\n"},
    {.name = "unknown_key_in_process",
     .line = 14,
     .replacement =
         "    process: {operator: purchase_count, form: tx, key: [user_id], params: {window: 5m, idle: 30s}}",
     .expected = "TG1002 unknown key \"form\"\n"
                 "job.yaml:14:41 ^^^^  did you mean \"from\"?   allowed here: operator, from, key, params\n"},
    {.name = "misspelt_connector",
     .line = 4,
     .replacement = "    kafak: {topic: transactions, start: horizon}",
     .expected = "TG1002 unknown key \"kafak\"\n"
                 "job.yaml:4:5 ^^^^^  did you mean \"kafka\"?   allowed here: kafka, file, generate, decode, fields, "
                 "event_time, watermark, zone, partitioned_by, dedupe, on_error\n"},
    {.name = "unknown_key_in_engine",
     .line = 22,
     .replacement = "engine: {shard: 2}",
     .expected = "TG1002 unknown key \"shard\"\n"
                 "job.yaml:22:10 ^^^^^  did you mean \"shards\"?   allowed here: shards, io, max_keys, max_state, "
                 "drain_timeout, audit\n"},
    {.name = "unknown_key_in_dead_letters",
     .line = 20,
     .replacement = "dead_letters: {file: {path: x}, columns: {}}",
     .expected = "TG1002 unknown key \"columns\"\n"
                 "job.yaml:20:33 ^^^^^^^  allowed here: cassandra, kafka, sqlite, file, console, null\n"},
    {.name = "missing_key_at_the_top",
     .line = 20,
     .replacement = "",
     .expected = "TG1003 missing key \"dead_letters\" at the top of job.yaml\n"
                 "  Where refused records go.\n"},
    {.name = "missing_late_output",
     .line = 21,
     .replacement = "",
     .expected = "TG1003 missing key \"late\"\n"
                 "  step counts refuses late rows; say where they go: late: {file: {path: late.jsonl}}, or late: "
                 "accept in the step\n"},
    {.name = "missing_key_in_a_source",
     .line = 9,
     .replacement = "",
     .expected = "TG1003 missing key \"event_time\"\n"
                 "job.yaml:3:3 ^^  The timestamp field that is the row's time; it becomes required.\n"},
    {.name = "missing_option",
     .line = 18,
     .replacement = "    cassandra: {}",
     .expected = "TG1003 missing key \"table\"\n"
                 "job.yaml:18:5 ^^^^^^^^^  keyspace.table\n"},
    {.name = "missing_connector",
     .line = 18,
     .replacement = "",
     .expected = "TG1003 missing connector in sinks.results\n"
                 "job.yaml:16:3 ^^^^^^^  one of: cassandra, kafka, sqlite, file, console, null\n"},
    {.name = "two_connectors",
     .line = 18,
     .replacement = "    cassandra: {table: t}\n"
                    "    console:",
     .expected = "TG1004 two connectors: cassandra and console\n"
                 "job.yaml:19:5 ^^^^^^^  sinks.results takes one; a profile may replace it\n"},
    {.name = "wrong_duration",
     .line = 10,
     .replacement = "    watermark: {delay: 5 minutes}",
     .expected = "TG1004 wrong value \"5 minutes\" for delay\n"
                 "job.yaml:10:24 ^^^^^^^^^  it takes a duration such as 250ms, 30s, 5m, 24h or 1h30m\n"},
    {.name = "wrong_word_or_duration",
     .line = 10,
     .replacement = "    watermark: {delay: 30s, max_skew: none}",
     .expected = "TG1004 wrong value \"none\" for max_skew\n"
                 "job.yaml:10:39 ^^^^  it takes a duration such as 250ms, 30s, 5m, 24h or 1h30m, or off\n"},
    {.name = "wrong_boolean",
     .line = 6,
     .replacement = "      user_id: {type: text, required: yes}",
     .expected = "TG1004 wrong value \"yes\" for required\n"
                 "job.yaml:6:39 ^^^  it takes true or false\n"},
    {.name = "wrong_choice",
     .line = 4,
     .replacement = "    kafka: {topic: t, start: begining}",
     .expected = "TG1004 wrong value \"begining\" for start\n"
                 "job.yaml:4:30 ^^^^^^^^  allowed here: earliest, latest, horizon, committed\n"},
    {.name = "wrong_size",
     .line = 20,
     .replacement = "dead_letters: {file: {path: x, roll: 5k}}",
     .expected = "TG1004 wrong value \"5k\" for roll\n"
                 "job.yaml:20:38 ^^  it takes a size such as 4096, 64KiB, 128MiB or 1GiB\n"},
    {.name = "wrong_kind_of_node",
     .line = 4,
     .replacement = "    kafka: [a, b]",
     .expected = "TG1004 sources.tx.kafka is a list, it should be a mapping\n"
                 "job.yaml:4:5 ^^^^^\n"},
    {.name = "list_where_a_value_belongs",
     .line = 4,
     .replacement = "    kafka: {topic: [a, b]}",
     .expected = "TG1004 topic is a list, it should be a text\n"
                 "job.yaml:4:13 ^^^^^\n"},
    {.name = "unknown_type",
     .line = 6,
     .replacement = "      user_id: txt",
     .expected = "TG1004 unknown type \"txt\"\n"
                 "job.yaml:6:16 ^^^  did you mean \"text\"?   types: text, bigint, integer, boolean, timestamp, "
                 "date, numeric, enum   numeric(precision,scale) with 1 to 38 digits\n"},
    {.name = "numeric_beyond_38_digits",
     .line = 8,
     .replacement = "      amount: numeric(39,2)",
     .expected = "TG1004 unknown type \"numeric(39,2)\"\n"
                 "job.yaml:8:15 ^^^^^^^^^^^^^  types: text, bigint, integer, boolean, timestamp, date, numeric, enum "
                 "  numeric(precision,scale) with 1 to 38 digits\n"},
    {.name = "enum_without_values",
     .line = 8,
     .replacement = "      amount: enum",
     .expected = "TG1003 missing key \"values\"\n"
                 "job.yaml:8:7 ^^^^^^  an enum lists its values: values: [a, b]\n"},
    {.name = "integer_ok_of_a_timestamp",
     .line = 7,
     .replacement = "      at: {type: timestamp, integer_ok: true}",
     .expected = "TG1004 integer_ok has no meaning here\n"
                 "job.yaml:7:29 ^^^^^^^^^^  it belongs to type text\n"},
    {.name = "negative_delay_is_no_duration",
     .line = 10,
     .replacement = "    watermark: {delay: -5s}",
     .expected = "TG1004 wrong value \"-5s\" for delay\n"
                 "job.yaml:10:24 ^^^  it takes a duration such as 250ms, 30s, 5m, 24h or 1h30m\n"},
    {.name = "shards_out_of_range",
     .line = 22,
     .replacement = "engine: {shards: 65}",
     .expected = "TG1004 engine.shards must be between 1 and 64\n"
                 "job.yaml:22:18 ^^\n"},
    {.name = "max_keys_of_zero",
     .line = 22,
     .replacement = "engine: {max_keys: 0}",
     .expected = "TG1004 engine.max_keys must be between 1 and 2147483647\n"
                 "job.yaml:22:20 ^\n"},
    {.name = "max_age_of_less_than_two_intervals",
     .line = 22,
     .replacement = "checkpoint: {every: 10s, max_age: 15s}",
     .expected = "TG1004 checkpoint.max_age must be at least two times checkpoint.every\n"
                 "job.yaml:22:35 ^^^\n"},
    {.name = "unknown_zone",
     .line = 9,
     .replacement = "    event_time: at\n"
                    "    zone: Mars/Olympus",
     .expected = "TG1004 time zone Mars/Olympus is not in /usr/share/zoneinfo/\n"
                 "job.yaml:10:11 ^^^^^^^^^^^^\n"},
    {.name = "not_a_name",
     .line = 1,
     .replacement = "job: my job",
     .expected = "TG1004 \"my job\" is no name\n"
                 "job.yaml:1:6 ^^^^^^  names are letters, digits, _ and -, at most 63, and do not start with a "
                 "digit\n"},
    {.name = "variable_not_set",
     .line = 18,
     .replacement = "    cassandra: {table: \"${UNSET:?name the table}\"}",
     .expected = "TG1005 environment variable UNSET is not set\n"
                 "job.yaml:18:24 ^^^^^^^^^^^^^^^^^^^^^^^^^^  name the table\n"},
    {.name = "variable_without_message",
     .line = 18,
     .replacement = "    cassandra: {table: \"${UNSET}\"}",
     .expected = "TG1005 environment variable UNSET is not set\n"
                 "job.yaml:18:24 ^^^^^^^^^^  set it, or give a default: ${NAME:-default}\n"},
    {.name = "variable_malformed",
     .line = 18,
     .replacement = "    cassandra: {table: \"${UNSET\"}",
     .expected = "TG1004 \"${\" without \"}\"\n"
                 "job.yaml:18:24 ^^^^^^^^^  $$ is a dollar sign\n"},
    {.name = "file_for_no_secret",
     .line = 18,
     .replacement = "    cassandra: {table: \"${file:/etc/hostname}\"}",
     .expected = "TG1004 ${file:...} is for secrets only\n"
                 "job.yaml:18:24 ^^^^^^^^^^^^^^^^^^^^^^^  write the value itself, or a variable: ${NAME}\n"},
};

#endif
