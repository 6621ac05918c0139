/* Collecting what is wrong with a job file: every finding first, then all of them rendered in the order of the file,
 * with the source line, carets and what to do. Rendering comes last because only then is known which texts are secrets.
 */
#ifndef TG_ENGINE_CONFIG_FINDINGS_H
#define TG_ENGINE_CONFIG_FINDINGS_H

#include "engine/config/secrets.h"
#include "engine/config/yaml.h"
#include "engine/job.h"

struct tg_draft {
    enum tg_code code;
    const struct tg_yaml_source *source; /* NULL = the command line or the file as a whole */
    uint32_t line;
    uint32_t column;
    uint32_t width;
    char what[320];
    char hint[1024];
};

struct tg_drafts {
    uint32_t count;
    struct tg_draft list[32];
    struct tg_draft spare; /* takes what does not fit */
};

/* Add a finding about `at` (NULL: about nothing that has a place).  @setup */
struct tg_draft *tg_finding_add(struct tg_drafts *drafts, enum tg_code code, const struct tg_yaml_node *at,
                               const char *fmt, ...) TG_PRINTF(4, 5);
/* Append a sentence to what the finding says to do.  @setup */
void tg_draft_hint(struct tg_draft *draft, const char *fmt, ...) TG_PRINTF(2, 3);
/* Append "did you mean ...?" (when one is near) and the list of what is allowed, called `allowed`.  @setup */
void tg_draft_suggest(struct tg_draft *draft, const char *name, uint32_t count, const char *const *candidates,
                      const char *allowed);

/* "error TGnnnn what     exit 78" for a finding without a place; returns the worst status.  @any */
tg_status tg_findings_render(const struct tg_drafts *drafts, const struct tg_secrets *secrets, struct tg_findings *out);
/* First line of an error as users see it, with its newline.  @any */
int tg_error_headline(char *out, size_t capacity, enum tg_code code, const char *what);

#endif
