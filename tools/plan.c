/* turgo plan: what would run. Offline: no variables are needed, no server is asked. */
#include <stdio.h>

#include "tools/report.h"
#include "tools/verbs.h"

int tg_verb_plan(int argc, char **argv)
{
    struct tg_args args;
    struct tg_job *job = NULL;
    int code = tg_args_parse(argc, argv, &args);
    if (code == 0) { tg_set_colour(&args); }
    if (code == 0) { code = tg_load_job(&args, 0, NULL, false, &job); }
    if (code != 0) { return code; }
    tg_job_print_plan(job, tg_args_given(&args, "dot"), stdout);
    tg_job_destroy(job);
    return 0;
}
