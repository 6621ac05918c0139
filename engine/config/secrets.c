/* Secrets are known by name: the SECRET options of the registered connectors, and a few words for settings that are
 * handed through to client libraries. */
#include "engine/config/secrets.h"

#include <ctype.h>
#include <string.h>

#include "io/registry.h"

static bool table_has_secret(const struct tg_option *options, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (options[i].kind == TG_OPTION_SECRET && strcmp(options[i].name, name) == 0) { return true; }
    }
    return false;
}

/* Client settings that are handed through ("client: {sasl.password: ...}") have no table of ours. */
static bool speaks_for_itself(const char *name)
{
    static const char *const words[] = {"password", "passwd",     "secret", "passphrase",
                                        "token",    "credential", ".pem",   "_pem"};
    char folded[96];
    size_t bytes = 0;
    for (; name[bytes] != '\0' && bytes < sizeof folded - 1; bytes++) {
        folded[bytes] = (char)tolower((unsigned char)name[bytes]);
    }
    folded[bytes] = '\0';
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strstr(folded, words[i]) != NULL) { return true; }
    }
    return false;
}

bool tg_secret_name(const char *name)
{
    for (uint32_t i = 0; tg_source_registry[i] != NULL; i++) {
        const struct tg_source_ops *ops = tg_source_registry[i];
        if (table_has_secret(ops->options, ops->option_count, name)) { return true; }
    }
    for (uint32_t i = 0; tg_sink_registry[i] != NULL; i++) {
        const struct tg_sink_ops *ops = tg_sink_registry[i];
        if (table_has_secret(ops->options, ops->option_count, name)) { return true; }
    }
    return speaks_for_itself(name);
}

bool tg_secret_path(const char *path)
{
    char part[96];
    while (*path != '\0') {
        const size_t length = strcspn(path, ".");
        const size_t bytes = length < sizeof part - 1 ? length : sizeof part - 1;
        memcpy(part, path, bytes);
        part[bytes] = '\0';
        if (tg_secret_name(part)) { return true; }
        path += length + (path[length] == '.');
    }
    return false;
}

/* Whatever stands below a secret's name is one. */
static void collect_scalar(void *self, const struct tg_yaml_visit *at)
{
    struct tg_secrets *secrets = self;
    bool secret = false;
    for (uint32_t i = 0; i < at->key_count && !secret; i++) { secret = tg_secret_name(at->keys[i]->text); }
    if (!secret) { return; }
    secrets->has_literal = secrets->has_literal || strncmp(at->scalar->text, "${", 2) != 0;
    if (secrets->count == TG_SECRET_SPANS_MAX) {
        secrets->overflow = true;
        return;
    }
    secrets->spans[secrets->count++] = (struct tg_secret_span){
        .source = at->scalar->source,
        .line = at->scalar->line,
        .column = at->scalar->column,
        .end_line = at->scalar->end_line,
        .end_column = at->scalar->end_column,
    };
}

void tg_secrets_collect(struct tg_secrets *secrets, const struct tg_yaml_node *root)
{
    if (root != NULL && !tg_yaml_walk(root, collect_scalar, secrets)) { secrets->overflow = true; }
}

const struct tg_secret_span *tg_secrets_at(const struct tg_secrets *secrets, const struct tg_yaml_source *source,
                                           uint32_t line, uint32_t column)
{
    for (uint32_t i = 0; i < secrets->count; i++) {
        const struct tg_secret_span *span = &secrets->spans[i];
        if (span->source != source) { continue; }
        const bool started = line > span->line || (line == span->line && column >= span->column);
        const bool ended = line > span->end_line || (line == span->end_line && column >= span->end_column);
        if (started && !ended) { return span; }
    }
    return NULL;
}
