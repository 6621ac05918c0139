/* A few findings as they are printed, to the blank: the headline with its exit code, the place with the line it names,
 * the mark below. The other goldens leave this frame out; see test_config_errors.c. */
#ifndef TG_TESTS_UNIT_ENGINE_CONFIG_GOLDENS_FRAMES_H
#define TG_TESTS_UNIT_ENGINE_CONFIG_GOLDENS_FRAMES_H

#include "tests/unit/engine/config_golden.h"

static const struct golden goldens_frames[] = {
    {.name = "unknown_source_in_from",
     .line = 14,
     .replacement =
         "    process: {operator: purchase_count, from: txx, key: [user_id], params: {window: 5m, idle: 30s}}",
     .expected = "error TG1006 unknown name \"txx\"                                   exit 78\n"
                 "  job.yaml:14:47      process: {operator: purchase_count, from: txx, key: [user_id], "
                 "params: {window: 5m, idle: 30s}}\n"
                 "                                                                ^^^  did you mean \"tx\"?   "
                 "to read from: tx, counts\n"},
    {.name = "step_called_like_a_source",
     .line = 13,
     .replacement = "  tx:",
     .expected = "error TG1007 a source is called \"tx\", too                         exit 78\n"
                 "  job.yaml:13:3       tx:\n"
                 "                      ^^  \"from: tx\" would be ambiguous\n"
                 "error TG1006 unknown name \"counts\"                                exit 78\n"
                 "  job.yaml:17:11      from: counts\n"
                 "                            ^^^^^^  to read from: tx, tx\n"},
    {.name = "duplicate_key",
     .line = 5,
     .replacement = "    kafka: {topic: again}\n"
                    "    fields:",
     .expected = "error TG1007 key \"kafka\" is already there in line 4               exit 78\n"
                 "  job.yaml:5:5        kafka: {topic: again}\n"
                 "                      ^\n"},
    {.name = "tab_indents",
     .line = 7,
     .replacement = "\tat: timestamp",
     .expected = "error TG1001 job.yaml is not YAML that turgo reads: found character that cannot start any "
                 "token: while scanning for the next token (line 7)  exit 78\n"
                 "  job.yaml:7:1        at: timestamp\n"
                 "                      ^\n"},
    {.name = "unknown_profile",
     .line = 22,
     .replacement = "",
     .tail = "profiles: {dev: {}, prod: {}}",
     .profile = "pord",
     .expected = "error TG1009 unknown profile \"pord\"                               exit 78\n"
                 "  did you mean \"prod\"?   profiles: dev, prod\n"},
    {.name = "lateness_behind_a_step",
     .line = 13,
     .replacement = "  second: {late: accept, process: {operator: purchase_count, from: counts, key: user_id, "
                    "params: {window: 5m, idle: 30s}}}\n"
                    "  counts:",
     .expected = "error TG1101 late belongs to steps that read a source             exit 78\n"
                 "  job.yaml:13:12      second: {late: accept, process: {operator: purchase_count, from: "
                 "counts, key: user_id, params: {\n"
                 "                               ^^^^  rows of a step are never judged late; set it on the "
                 "step in front\n"},
    {.name = "set_of_an_unknown_key",
     .set = "sources.tx.watermark.dely=5s",
     .expected = "error TG1002 unknown key \"dely\"                                   exit 78\n"
                 "  --set               sources.tx.watermark.dely=5s\n"
                 "                                           ^^^^  did you mean \"delay\"?   allowed here: "
                 "delay, idle_after, idle_clock, max_skew\n"},
};

#endif
