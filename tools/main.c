/* turgo: find the verb, or help to find it. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/status.h"
#include "engine/config/suggest.h"
#include "jobs/jobs.h"
#include "tools/report.h"
#include "tools/verbs.h"

/* Read by jemalloc when the process starts. The Kafka client makes an object per record, ten thousand at a time, and we
 * free them soon after: their pages become one large free stretch. By default jemalloc splits a free stretch only for
 * requests of at least 1/64 of it, so the next ten thousand objects went to pages fresh from the kernel: 700 MB of them
 * for 4 million records, a tenth of the CPU time and twice the memory of job A. 2^24: split any. */
__attribute__((visibility("default"))) extern const char *malloc_conf;
const char *malloc_conf = "lg_extent_max_active_fit:24";

static void print_verbs(FILE *out)
{
    (void)fputs("turgo runs stateful stream jobs on one machine.\n\n  turgo VERB [ARGUMENTS] [--flags]\n\n", out);
    for (uint32_t i = 0; i < tg_verb_count; i++) {
        if (!tg_verbs[i].hidden) {
            const char *arguments = tg_verbs[i].arguments;
            const bool is_long = strlen(arguments) > 17; /* then the doc has a line of its own */
            (void)fprintf(out, "  %-10s %-17s%s%*s%s\n", tg_verbs[i].name, arguments, is_long ? "\n" : " ",
                          is_long ? 31 : 0, "", tg_verbs[i].doc);
        }
    }
    (void)fputs(
        "\n  turgo VERB --help shows a verb's flags. Exit codes are those of sysexits.h: 0 done, 64 wrong command "
        "line, "
        "65 poison\n  record, 66 input missing, 69 peer away, 70 bug, 74 input/output, 75 in use, 78 configuration.\n",
        out);
}

static void print_verb(const struct tg_verb *verb, FILE *out)
{
    (void)fprintf(out, "turgo %s%s%s%s\n\n  %s\n", verb->name, verb->arguments[0] != '\0' ? " " : "", verb->arguments,
                  verb->flag_count > 0 ? " [--flags]" : "", verb->doc);
    if (verb->flag_count > 0) { (void)fputc('\n', out); }
    for (uint32_t i = 0; i < verb->flag_count; i++) {
        const struct tg_flag *flag = &verb->flags[i];
        char left[64];
        const char letter[] = {'-', flag->letter, ',', ' ', '\0'};
        (void)snprintf(left, sizeof left, "%s--%s%s%s", flag->letter != 0 ? letter : "", flag->name,
                       flag->value != NULL ? " " : "", flag->value != NULL ? flag->value : "");
        (void)fprintf(out, "  %-36s %s\n", left, flag->doc);
    }
}

static int unknown_verb(const char *name)
{
    const char *names[32];
    uint32_t count = 0;
    for (uint32_t i = 0; i < tg_verb_count && count < 32; i++) {
        if (!tg_verbs[i].hidden) { names[count++] = tg_verbs[i].name; }
    }
    const char *near = tg_suggest(name, count, names);
    char what[160];
    char hint[160];
    (void)snprintf(what, sizeof what, "turgo has no verb \"%.80s\"", name);
    (void)snprintf(hint, sizeof hint, "%s%s%sturgo --help lists them", near != NULL ? "did you mean turgo " : "",
                   near != NULL ? near : "", near != NULL ? "?   " : "");
    return tg_usage_error(what, hint);
}

int tg_verb_help(int argc, char **argv)
{
    struct tg_args args;
    const int code = tg_args_parse(argc, argv, &args);
    if (code != 0) { return code; }
    if (args.positional_count == 0) {
        print_verbs(stdout);
        return 0;
    }
    const struct tg_verb *verb = tg_verb_find(args.positional[0]);
    if (verb == NULL) { return unknown_verb(args.positional[0]); }
    if (verb->own_help) {
        char flag[] = "--help";
        char *const help[] = {(char *)(uintptr_t)verb->name, flag, NULL};
        return verb->run(2, (char **)(uintptr_t)help);
    }
    print_verb(verb, stdout);
    return 0;
}

/* --help anywhere before a "--" wins over whatever else the line says, unless the verb brings its own. */
static bool asks_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) { return true; }
    }
    return false;
}

/* Data that cannot be written (a full disk, a closed pipe) is a failure, too. */
static int finish(int code)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0) { return code; }
    (void)fputs("error TG1502 standard output not writable   exit 74\n", stderr);
    return code != 0 ? code : tg_exit_code(TG_ERR_IO);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_verbs(stderr);
        return tg_exit_code(TG_ERR_USAGE);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_verbs(stdout);
        return finish(0);
    }
    const bool version = strcmp(argv[1], "--version") == 0;
    const struct tg_verb *verb = tg_verb_find(version ? "version" : argv[1]);
    if (verb == NULL) { return unknown_verb(argv[1]); }
    argv[1] = (char *)(uintptr_t)verb->name;
    if (!verb->own_help && asks_help(argc - 1, argv + 1)) {
        print_verb(verb, stdout);
        return finish(0);
    }
    tg_jobs_register();
    tg_log_configure(&(struct tg_log_config){.level_min = TG_LOG_INFO}); /* until a verb's flags say otherwise */
    return finish(verb->run(argc - 1, argv + 1));
}
