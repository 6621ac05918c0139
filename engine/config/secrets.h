/* Which values of a job file must never be printed, and where they stand in its text. */
#ifndef TG_ENGINE_CONFIG_SECRETS_H
#define TG_ENGINE_CONFIG_SECRETS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/config/yaml.h"

enum { TG_SECRET_SPANS_MAX = 256 };

/* A secret's text inside a source: from the first position up to, not including, the second. */
struct tg_secret_span {
    const struct tg_yaml_source *source;
    uint32_t line;
    uint32_t column;
    uint32_t end_line;
    uint32_t end_column;
};
struct tg_secrets {
    uint32_t count;
    bool overflow;    /* more than fit: nothing of any source may be printed */
    bool has_literal; /* at least one stands there itself, not as ${...} */
    struct tg_secret_span spans[TG_SECRET_SPANS_MAX];
};

/* True for the name of a SECRET option of any connector, and for names that speak for themselves ("sasl.password").
 * @any */
bool tg_secret_name(const char *name);
/* The same for one part of a dotted path ("sinks.x.cassandra.password").  @any */
bool tg_secret_path(const char *path);
/* Note every scalar below `root` that stands under a secret's name.  @setup */
void tg_secrets_collect(struct tg_secrets *secrets, const struct tg_yaml_node *root);
/* The span that covers a position, or NULL.  @any */
const struct tg_secret_span *tg_secrets_at(const struct tg_secrets *secrets, const struct tg_yaml_source *source,
                                           uint32_t line, uint32_t column);

#endif
