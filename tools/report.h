/* Errors and job files as the command's verbs meet them. */
#ifndef TG_TOOLS_REPORT_H
#define TG_TOOLS_REPORT_H

#include "base/status.h"
#include "engine/job.h"
#include "tools/verbs.h"

/* A finding's lines to stderr; on a coloured terminal the word "error" stands out.  @any */
void tg_print_finding(const char *text);
/* What the verb's --color says, for everything on stderr.  @setup */
void tg_set_colour(const struct tg_args *args);
/* "error TG1000 what   exit 64" and a line of what to do; returns 64.  @any */
int tg_usage_error(const char *what, const char *hint);
/* The error as a finding: "error TGnnnn text   exit N", further lines of its text indented below; returns N.  @any */
int tg_print_error(const struct tg_error *err);
/* Load the job named by the first positional argument with --profile and --set, and `more` --set texts of the verb's
 * own. Returns 0, or the exit code after printing every finding to stderr.  @setup */
TG_MUST_USE int tg_load_job(const struct tg_args *args, uint32_t more_count, const char *const *more, bool environment,
                            struct tg_job **job);

#endif
