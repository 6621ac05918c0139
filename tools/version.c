/* turgo version: what this binary is and what it can use here. */
#include <liburing.h>
#include <librdkafka/rdkafka.h>
#include <lz4.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>
#include <yaml.h>

#include "base/failpoint.h"
#include "engine/job.h"
#include "io/loop.h"
#include "tools/build_info.h"
#include "tools/verbs.h"

struct row {
    const char *name;
    char text[96];
};
enum { ROWS = 10 };

/* Asked the way a run would: containers often refuse it although the kernel has it. */
static const char *uring_state(void)
{
    struct io_uring ring;
    const int refused = io_uring_queue_init(4, &ring, 0);
    if (refused < 0) { return strerror(-refused); }
    io_uring_queue_exit(&ring);
    return "available";
}

static uint32_t collect(struct row rows[ROWS])
{
    uint32_t count = 0;
    int yaml_major = 0;
    int yaml_minor = 0;
    int yaml_patch = 0;
    yaml_get_version(&yaml_major, &yaml_minor, &yaml_patch);
#define ROW(label, ...) \
    rows[count].name = label; \
    (void)snprintf(rows[count++].text, sizeof rows[0].text, __VA_ARGS__)
    ROW("version", "%s", TURGO_VERSION);
    ROW("commit", "%s", TG_BUILD_COMMIT);
    ROW("build", "%s", TG_BUILD_TYPE);
    ROW("compiler", "%s", TG_BUILD_COMPILER);
    ROW("io_uring", "%s", uring_state());
    ROW("librdkafka", "%s", rd_kafka_version_str());
    ROW("sqlite", "%s", sqlite3_libversion());
    ROW("lz4", "%s", LZ4_versionString());
    ROW("xxhash", "%u.%u.%u", XXH_versionNumber() / 10000, XXH_versionNumber() / 100 % 100, XXH_versionNumber() % 100);
    ROW("libyaml", "%d.%d.%d", yaml_major, yaml_minor, yaml_patch);
#undef ROW
    return count;
}

int tg_verb_version(int argc, char **argv)
{
    struct tg_args args;
    struct row rows[ROWS];
    const char *operators[TG_OPERATORS_MAX];
    const int code = tg_args_parse(argc, argv, &args);
    if (code != 0) { return code; }
    const uint32_t count = collect(rows);
    const uint32_t operator_count = tg_operator_names(operators);
    const bool json = tg_args_given(&args, "json");
    (void)fputs(json ? "{" : "", stdout);
    for (uint32_t i = 0; i < count; i++) { /* none of these texts holds a quote or a backslash */
        if (json) {
            (void)printf("\"%s\":\"%s\",", rows[i].name, rows[i].text);
        } else {
            (void)printf("%-10s %s\n", rows[i].name, rows[i].text);
        }
    }
    (void)fputs(json ? "\"operators\":[" : "operators  ", stdout);
    for (uint32_t i = 0; i < operator_count; i++) {
        (void)printf(json ? "%s\"%s\"" : "%s%s", i == 0 ? "" : json ? "," : " ", operators[i]);
    }
    (void)fputs(json ? "]}\n" : "\n", stdout);
    return 0;
}

int tg_verb_failpoints(int argc, char **argv)
{
    struct tg_args args;
    const int code = tg_args_parse(argc, argv, &args);
    for (uint32_t i = 0; code == 0 && tg_failpoint_name(i) != NULL; i++) { (void)puts(tg_failpoint_name(i)); }
    return code;
}
