#include "tools/report.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "engine/config/findings.h"

void tg_print_finding(const char *text)
{
    static const char error[] = "error ";
    for (const char *line = text; *line != '\0';) {
        const char *end = strchr(line, '\n');
        const size_t bytes = end != NULL ? (size_t)(end - line) + 1 : strlen(line);
        const bool head = tg_log_coloured() && strncmp(line, error, sizeof error - 1) == 0;
        const size_t word = head ? sizeof error - 2 : 0;
        (void)fprintf(stderr, "%s%.*s%s%.*s", head ? "\033[31m" : "", (int)word, line, head ? "\033[0m" : "",
                      (int)(bytes - word), line + word);
        line += bytes;
    }
}

void tg_set_colour(const struct tg_args *args)
{
    const enum tg_log_colour colour = (enum tg_log_colour)tg_args_number(args, "color");
    tg_log_configure(&(struct tg_log_config){.level_min = TG_LOG_INFO, .colour = colour});
}

int tg_usage_error(const char *what, const char *hint)
{
    char line[512];
    (void)tg_error_headline(line, sizeof line, TG1000, what);
    tg_print_finding(line);
    if (hint[0] != '\0') { (void)fprintf(stderr, "  %s\n", hint); }
    return tg_exit_code(TG_ERR_USAGE);
}

int tg_print_error(const struct tg_error *err)
{
    char first[TG_ERROR_TEXT_BYTES];
    char line[TG_ERROR_TEXT_BYTES + 128];
    const size_t bytes = strcspn(err->text, "\n");
    const char *title = tg_code_title(err->code);
    if (bytes > 0 || title == NULL) {
        (void)snprintf(first, sizeof first, "%.*s", (int)bytes, err->text);
    } else {
        (void)snprintf(first, sizeof first, "%s", title);
    }
    (void)tg_error_headline(line, sizeof line, err->code, first);
    tg_print_finding(line);
    for (const char *rest = err->text + bytes; *rest == '\n';) {
        const size_t length = strcspn(++rest, "\n");
        if (length > 0) { (void)fprintf(stderr, "%s%.*s\n", rest[0] == ' ' ? "" : "  ", (int)length, rest); }
        rest += length;
    }
    return tg_exit_code(err->status);
}

int tg_load_job(const struct tg_args *args, uint32_t more_count, const char *const *more, bool environment,
                struct tg_job **job)
{
    static struct tg_findings findings;
    const char *sets[TG_REPEATS_MAX + 8];
    TG_ASSERT(more_count <= 8);
    uint32_t count = 0;
    for (uint32_t i = 0; i < args->repeat_count; i++) { sets[count++] = args->repeats[i]; }
    for (uint32_t i = 0; i < more_count; i++) { sets[count++] = more[i]; }
    const struct tg_job_options options = {
        .path = args->positional[0],
        .profile = tg_args_text(args, "profile"),
        .set_count = count,
        .sets = sets,
        .environment = environment,
    };
    const tg_status status = tg_job_load(job, &options, &findings);
    for (uint32_t i = 0; i < findings.count; i++) { tg_print_finding(findings.list[i].text); }
    return tg_exit_code(status);
}
