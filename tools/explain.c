/* turgo explain: the page of a code, or what an operator declares. */
#include "tools/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "engine/config/suggest.h"
#include "engine/job.h"
#include "engine/layout.h"
#include "tools/report.h"
#include "tools/verbs.h"

static void list_codes(void)
{
    for (uint32_t i = 0; i < tg_explain_page_count; i++) {
        const int code = tg_explain_pages[i].code;
        (void)printf("TG%04d  %s\n", code, tg_code_title((enum tg_code)code));
    }
}

static int unknown(const char *name)
{
    const char *names[TG_OPERATORS_MAX];
    const char *near = tg_suggest(name, tg_operator_names(names), names);
    char what[96];
    char hint[160];
    (void)snprintf(what, sizeof what, "no code and no operator %.40s", name);
    (void)snprintf(hint, sizeof hint, "%s%s%sturgo explain --list shows all codes, turgo version the operators",
                   near != NULL ? "did you mean " : "", near != NULL ? near : "", near != NULL ? "?   " : "");
    return tg_usage_error(what, hint);
}

int tg_verb_explain(int argc, char **argv)
{
    struct tg_args args;
    const int code = tg_args_parse(argc, argv, &args);
    if (code != 0) { return code; }
    if (args.positional_count == 0) {
        if (!tg_args_given(&args, "list")) {
            return tg_usage_error("turgo explain needs a code or an operator", "TG1203, purchase_count, or --list");
        }
        list_codes();
        return 0;
    }
    const char *text = args.positional[0];
    const struct tg_operator *op = tg_operator_find(text);
    if (op != NULL) {
        tg_operator_print(op, stdout);
        return 0;
    }
    if (strncasecmp(text, "TG", 2) == 0) { text += 2; }
    char *end = NULL;
    const long number = strtol(text, &end, 10);
    for (uint32_t i = 0; i < tg_explain_page_count && *end == '\0' && end != text; i++) {
        if (tg_explain_pages[i].code != number) { continue; }
        (void)fputs(tg_explain_pages[i].text, stdout);
        return 0;
    }
    return unknown(args.positional[0]);
}
