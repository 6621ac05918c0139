/* Any bytes as a job file: the loader says what is wrong or gives a job that can be printed and destroyed. No
 * variables, no files, no peers; connectors and operators are those of the unit tests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/config/config.h"
#include "tests/unit/engine/doubles.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    doubles_register();
    return clearenv();
}

/* Bytes up to the first zero are the file; what follows are --set texts, one per line. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tg_findings findings;
    static FILE *null;
    if (null == NULL) { null = fopen("/dev/null", "w"); }
    char *text = malloc(size + 2);
    if (text == NULL || null == NULL) { abort(); }
    memcpy(text, data, size);
    text[size] = text[size + 1] = '\0';
    const char *sets[16];
    uint32_t set_count = 0;
    char *rest = strlen(text) < size ? text + strlen(text) + 1 : text + size;
    for (char *line = strsep(&rest, "\n"); line != NULL && set_count < 16; line = strsep(&rest, "\n")) {
        sets[set_count++] = line;
    }
    static const char *const profiles[] = {NULL, "dev", "p"};
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        struct tg_job *job = NULL;
        const struct tg_job_options options = {.profile = profiles[i], .set_count = set_count, .sets = sets};
        const tg_status status = tg_job_load_text(&job, "fuzz.yaml", text, &options, &findings);
        if ((status == TG_OK) != (job != NULL) || (status == TG_OK) != (findings.count == 0)) { abort(); }
        if (job == NULL) { continue; }
        tg_job_print_effective(job, null);
        tg_job_print_plan(job, false, null);
        tg_job_print_plan(job, true, null);
        tg_job_destroy(job);
    }
    free(text);
    return 0;
}
