/* Findings about keys, values and variables, word for word; see test_config_errors.c. */
#ifndef TG_TESTS_UNIT_ENGINE_CONFIG_GOLDENS_VALUES_H
#define TG_TESTS_UNIT_ENGINE_CONFIG_GOLDENS_VALUES_H

#include "tests/unit/engine/config_golden.h"

static const struct golden goldens_values[] = {
    {.name = "unknown_key_in_a_source",
     .line = 10,
     .replacement = "    watermrk: {delay: 60s}",
     .expected = "error TG1003 missing key \"watermark\"                              exit 78\n"
                 "  job.yaml:3:3        tx:\n"
                 "                      ^^  How far rows may be out of order, and what silence means.\n"
                 "error TG1002 unknown key \"watermrk\"                               exit 78\n"
                 "  job.yaml:10:5       watermrk: {delay: 60s}\n"
                 "                      ^^^^^^^^  did you mean \"watermark\"?   allowed here: kafka, file, "
                 "generate, decode, fields, event_time, watermark, zone, partitioned_by, dedupe, on_error\n"},
    {.name = "unknown_key_at_the_top",
     .line = 22,
     .replacement = "sink: {}",
     .expected = "error TG1002 unknown key \"sink\"                                   exit 78\n"
                 "  job.yaml:22:1       sink: {}\n"
                 "                      ^^^^  did you mean \"sinks\"?   allowed here: job, default_profile, "
                 "sources, steps, sinks, dead_letters, late, engine, profiles, state_dir\n"},
    {.name = "unknown_key_in_a_connector",
     .line = 18,
     .replacement = "    cassandra: {table: t, hots: a}",
     .expected = "error TG1002 unknown key \"hots\"                                   exit 78\n"
                 "  job.yaml:18:27      cassandra: {table: t, hots: a}\n"
                 "                                            ^^^^  did you mean \"hosts\"?   allowed here: "
                 "table, hosts, password, timeout, tls\n"},
    {.name = "unknown_key_in_a_field",
     .line = 6,
     .replacement = "      user_id: {type: text, requird: true}",
     .expected = "error TG1002 unknown key \"requird\"                                exit 78\n"
                 "  job.yaml:6:29       user_id: {type: text, requird: true}\n"
                 "                                            ^^^^^^^  did you mean \"required\"?   allowed "
                 "here: type, path, aliases, required, integer_ok, scale, excess, epoch, values\n"},
    {.name = "unknown_key_in_watermark",
     .line = 10,
     .replacement = "    watermark: {delay: 30s, idle: 5s}",
     .expected = "error TG1002 unknown key \"idle\"                                   exit 78\n"
                 "  job.yaml:10:29      watermark: {delay: 30s, idle: 5s}\n"
                 "                                              ^^^^  did you mean \"idle_after\"?   allowed "
                 "here: delay, idle_after, idle_clock, max_skew\n"},
    {.name = "unknown_key_in_process",
     .line = 14,
     .replacement =
         "    process: {operator: purchase_count, form: tx, key: [user_id], params: {window: 5m, idle: 30s}}",
     .expected = "error TG1003 missing key \"from\"                                   exit 78\n"
                 "  job.yaml:14:5       process: {operator: purchase_count, form: tx, key: [user_id], "
                 "params: {window: 5m, idle: 30s}}\n"
                 "                      ^^^^^^^  A source, a step, or `step.output`.\n"
                 "error TG1002 unknown key \"form\"                                   exit 78\n"
                 "  job.yaml:14:41      process: {operator: purchase_count, form: tx, key: [user_id], "
                 "params: {window: 5m, idle: 30s}}\n"
                 "                                                          ^^^^  did you mean \"from\"?   "
                 "allowed here: operator, from, key, params\n"},
    {.name = "unknown_key_in_engine",
     .line = 22,
     .replacement = "engine: {shard: 2}",
     .expected = "error TG1002 unknown key \"shard\"                                  exit 78\n"
                 "  job.yaml:22:10      engine: {shard: 2}\n"
                 "                               ^^^^^  did you mean \"shards\"?   allowed here: shards, io, "
                 "max_keys, max_state, drain_timeout\n"},
    {.name = "unknown_key_in_dead_letters",
     .line = 20,
     .replacement = "dead_letters: {file: {path: x}, columns: {}}",
     .expected = "error TG1002 unknown key \"columns\"                                exit 78\n"
                 "  job.yaml:20:33      dead_letters: {file: {path: x}, columns: {}}\n"
                 "                                                      ^^^^^^^  allowed here: cassandra, "
                 "kafka, sqlite, file, console, null\n"},
    {.name = "missing_key_at_the_top",
     .line = 20,
     .replacement = "",
     .expected = "error TG1003 missing key \"dead_letters\" at the top of job.yaml    exit 78\n"
                 "  Where refused records go.\n"},
    {.name = "missing_late_output",
     .line = 21,
     .replacement = "",
     .expected = "error TG1003 missing key \"late\"                                   exit 78\n"
                 "  step counts refuses late rows; say where they go: late: {file: {path: late.jsonl}}, or "
                 "late: accept in the step\n"},
    {.name = "missing_key_in_a_source",
     .line = 9,
     .replacement = "",
     .expected = "error TG1003 missing key \"event_time\"                             exit 78\n"
                 "  job.yaml:3:3        tx:\n"
                 "                      ^^  The timestamp field that is the row's time; it becomes required.\n"},
    {.name = "missing_option",
     .line = 18,
     .replacement = "    cassandra: {}",
     .expected = "error TG1003 missing key \"table\"                                  exit 78\n"
                 "  job.yaml:18:5       cassandra: {}\n"
                 "                      ^^^^^^^^^  keyspace.table\n"},
    {.name = "missing_connector",
     .line = 18,
     .replacement = "",
     .expected = "error TG1003 missing connector in sinks.results                   exit 78\n"
                 "  job.yaml:16:3       results:\n"
                 "                      ^^^^^^^  one of: cassandra, kafka, sqlite, file, console, null\n"},
    {.name = "two_connectors",
     .line = 18,
     .replacement = "    cassandra: {table: t}\n"
                    "    console:",
     .expected = "error TG1004 two connectors: cassandra and console                exit 78\n"
                 "  job.yaml:19:5       console:\n"
                 "                      ^^^^^^^  sinks.results takes one; a profile may replace it\n"},
    {.name = "wrong_duration",
     .line = 10,
     .replacement = "    watermark: {delay: 5 minutes}",
     .expected = "error TG1004 wrong value \"5 minutes\" for delay                    exit 78\n"
                 "  job.yaml:10:24      watermark: {delay: 5 minutes}\n"
                 "                                         ^^^^^^^^^  it takes a duration such as 250ms, "
                 "30s, 5m, 24h or 1h30m\n"},
    {.name = "wrong_word_or_duration",
     .line = 10,
     .replacement = "    watermark: {delay: 30s, max_skew: none}",
     .expected = "error TG1004 wrong value \"none\" for max_skew                      exit 78\n"
                 "  job.yaml:10:39      watermark: {delay: 30s, max_skew: none}\n"
                 "                                                        ^^^^  it takes a duration such as "
                 "250ms, 30s, 5m, 24h or 1h30m, or off\n"},
    {.name = "wrong_boolean",
     .line = 6,
     .replacement = "      user_id: {type: text, required: yes}",
     .expected = "error TG1004 wrong value \"yes\" for required                       exit 78\n"
                 "  job.yaml:6:39       user_id: {type: text, required: yes}\n"
                 "                                                      ^^^  it takes true or false\n"},
    {.name = "wrong_choice",
     .line = 4,
     .replacement = "    kafka: {topic: t, start: begining}",
     .expected = "error TG1004 wrong value \"begining\" for start                     exit 78\n"
                 "  job.yaml:4:30       kafka: {topic: t, start: begining}\n"
                 "                                               ^^^^^^^^  allowed here: earliest, latest, "
                 "horizon, committed\n"},
    {.name = "wrong_size",
     .line = 20,
     .replacement = "dead_letters: {file: {path: x, roll: 5k}}",
     .expected = "error TG1004 wrong value \"5k\" for roll                            exit 78\n"
                 "  job.yaml:20:38      dead_letters: {file: {path: x, roll: 5k}}\n"
                 "                                                           ^^  it takes a size such as "
                 "4096, 64KiB, 128MiB or 1GiB\n"},
    {.name = "wrong_kind_of_node",
     .line = 4,
     .replacement = "    kafka: [a, b]",
     .expected = "error TG1004 sources.tx.kafka is a list, it should be a mapping   exit 78\n"
                 "  job.yaml:4:5        kafka: [a, b]\n"
                 "                      ^^^^^\n"},
    {.name = "list_where_a_value_belongs",
     .line = 4,
     .replacement = "    kafka: {topic: [a, b]}",
     .expected = "error TG1004 topic is a list, it should be a text                 exit 78\n"
                 "  job.yaml:4:13       kafka: {topic: [a, b]}\n"
                 "                              ^^^^^\n"},
    {.name = "unknown_type",
     .line = 6,
     .replacement = "      user_id: txt",
     .expected = "error TG1004 unknown type \"txt\"                                   exit 78\n"
                 "  job.yaml:6:16       user_id: txt\n"
                 "                               ^^^  did you mean \"text\"?   types: text, bigint, integer, "
                 "boolean, timestamp, date, numeric, enum   numeric(precision,scale) with 1 to 38 digits\n"},
    {.name = "numeric_beyond_38_digits",
     .line = 8,
     .replacement = "      amount: numeric(39,2)",
     .expected = "error TG1004 unknown type \"numeric(39,2)\"                         exit 78\n"
                 "  job.yaml:8:15       amount: numeric(39,2)\n"
                 "                              ^^^^^^^^^^^^^  types: text, bigint, integer, boolean, "
                 "timestamp, date, numeric, enum   numeric(precision,scale) with 1 to 38 digits\n"},
    {.name = "enum_without_values",
     .line = 8,
     .replacement = "      amount: enum",
     .expected = "error TG1003 missing key \"values\"                                 exit 78\n"
                 "  job.yaml:8:7        amount: enum\n"
                 "                      ^^^^^^  an enum lists its values: values: [a, b]\n"},
    {.name = "integer_ok_of_a_timestamp",
     .line = 7,
     .replacement = "      at: {type: timestamp, integer_ok: true}",
     .expected = "error TG1004 integer_ok has no meaning here                       exit 78\n"
                 "  job.yaml:7:29       at: {type: timestamp, integer_ok: true}\n"
                 "                                            ^^^^^^^^^^  it belongs to type text\n"},
    {.name = "negative_delay_is_no_duration",
     .line = 10,
     .replacement = "    watermark: {delay: -5s}",
     .expected = "error TG1004 wrong value \"-5s\" for delay                          exit 78\n"
                 "  job.yaml:10:24      watermark: {delay: -5s}\n"
                 "                                         ^^^  it takes a duration such as 250ms, 30s, 5m, "
                 "24h or 1h30m\n"},
    {.name = "shards_out_of_range",
     .line = 22,
     .replacement = "engine: {shards: 65}",
     .expected = "error TG1004 engine.shards must be between 1 and 64               exit 78\n"
                 "  job.yaml:22:18      engine: {shards: 65}\n"
                 "                                       ^^\n"},
    {.name = "max_keys_of_zero",
     .line = 22,
     .replacement = "engine: {max_keys: 0}",
     .expected = "error TG1004 engine.max_keys must be between 1 and 2147483647     exit 78\n"
                 "  job.yaml:22:20      engine: {max_keys: 0}\n"
                 "                                         ^\n"},
    {.name = "unknown_zone",
     .line = 9,
     .replacement = "    event_time: at\n"
                    "    zone: Mars/Olympus",
     .expected = "error TG1004 time zone Mars/Olympus is not in /usr/share/zoneinfo/  exit 78\n"
                 "  job.yaml:10:11      zone: Mars/Olympus\n"
                 "                            ^^^^^^^^^^^^\n"},
    {.name = "not_a_name",
     .line = 1,
     .replacement = "job: my job",
     .expected = "error TG1004 \"my job\" is no name                                  exit 78\n"
                 "  job.yaml:1:6        job: my job\n"
                 "                           ^^^^^^  names are letters, digits, _ and -, at most 63, and do "
                 "not start with a digit\n"},
    {.name = "variable_not_set",
     .line = 18,
     .replacement = "    cassandra: {table: \"${UNSET:?name the table}\"}",
     .expected = "error TG1005 environment variable UNSET is not set                exit 78\n"
                 "  job.yaml:18:24      cassandra: {table: \"${UNSET:?name the table}\"}\n"
                 "                                         ^^^^^^^^^^^^^^^^^^^^^^^^^^  name the table\n"},
    {.name = "variable_without_message",
     .line = 18,
     .replacement = "    cassandra: {table: \"${UNSET}\"}",
     .expected = "error TG1005 environment variable UNSET is not set                exit 78\n"
                 "  job.yaml:18:24      cassandra: {table: \"${UNSET}\"}\n"
                 "                                         ^^^^^^^^^^  set it, or give a default: "
                 "${NAME:-default}\n"},
    {.name = "variable_malformed",
     .line = 18,
     .replacement = "    cassandra: {table: \"${UNSET\"}",
     .expected = "error TG1004 \"${\" without \"}\"                                     exit 78\n"
                 "  job.yaml:18:24      cassandra: {table: \"${UNSET\"}\n"
                 "                                         ^^^^^^^^^  $$ is a dollar sign\n"},
    {.name = "file_for_no_secret",
     .line = 18,
     .replacement = "    cassandra: {table: \"${file:/etc/hostname}\"}",
     .expected = "error TG1004 ${file:...} is for secrets only                      exit 78\n"
                 "  job.yaml:18:24      cassandra: {table: \"${file:/etc/hostname}\"}\n"
                 "                                         ^^^^^^^^^^^^^^^^^^^^^^^  write the value itself, "
                 "or a variable: ${NAME}\n"},
};

#endif
