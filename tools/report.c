#include "tools/report.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "engine/findings.h"

int tg_usage_error(const char *what, const char *hint)
{
    char line[512];
    (void)tg_error_headline(line, sizeof line, TG1000, what);
    (void)fprintf(stderr, "%s%s%s%s", line, hint[0] != '\0' ? "  " : "", hint, hint[0] != '\0' ? "\n" : "");
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
    (void)fputs(line, stderr);
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
    for (uint32_t i = 0; i < findings.count; i++) { (void)fputs(findings.list[i].text, stderr); }
    return tg_exit_code(status);
}
