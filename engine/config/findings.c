/* Rendering follows libyaml's idea of lines and characters, so that carets stand where the marks say. */
#include "engine/config/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "engine/config/suggest.h"

enum { LINE_CHARACTERS_MAX = 96, CONTEXT_CHARACTERS = 40 };

/* Names come from files: no control characters on anybody's terminal. */
static void clean(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7F) { *text = '?'; }
    }
}

static void place(struct tg_draft *draft, const struct tg_yaml_node *at)
{
    draft->source = at->source;
    draft->line = at->line;
    draft->column = at->column;
    draft->width = at->line == at->end_line && at->end_column > at->column ? at->end_column - at->column : 1;
}

struct tg_draft *tg_finding_add(struct tg_drafts *drafts, enum tg_code code, const struct tg_yaml_node *at,
                               const char *fmt, ...)
{
    const uint32_t capacity = sizeof drafts->list / sizeof drafts->list[0];
    struct tg_draft *draft = drafts->count < capacity ? &drafts->list[drafts->count++] : &drafts->spare;
    *draft = (struct tg_draft){.code = code};
    if (at != NULL) { place(draft, at); }
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(draft->what, sizeof draft->what, fmt, args);
    va_end(args);
    clean(draft->what);
    return draft;
}

void tg_draft_hint(struct tg_draft *draft, const char *fmt, ...)
{
    size_t used = strlen(draft->hint);
    if (used > 0) { used += (size_t)snprintf(draft->hint + used, sizeof draft->hint - used, "   "); }
    if (used >= sizeof draft->hint) { return; }
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(draft->hint + used, sizeof draft->hint - used, fmt, args);
    va_end(args);
    clean(draft->hint);
}

void tg_draft_suggest(struct tg_draft *draft, const char *name, uint32_t count, const char *const *candidates,
                      const char *allowed)
{
    const char *near = tg_suggest(name, count, candidates);
    if (near != NULL) { tg_draft_hint(draft, "did you mean \"%s\"?", near); }
    if (count == 0) { return; }
    char list[640];
    size_t used = 0;
    for (uint32_t i = 0; i < count && used < sizeof list; i++) {
        const int wrote = snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "", candidates[i]);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    tg_draft_hint(draft, "%s: %s", allowed, list);
}

/* Bytes of the line break at `at` (CR, LF, CRLF, NEL, LS, PS as YAML 1.1 has them), 0 when there is none. */
static size_t break_bytes(const char *at)
{
    const unsigned char *byte = (const unsigned char *)at;
    if (byte[0] == '\r') { return byte[1] == '\n' ? 2 : 1; }
    if (byte[0] == '\n') { return 1; }
    if (byte[0] == 0xC2 && byte[1] == 0x85) { return 2; }
    if (byte[0] == 0xE2 && byte[1] == 0x80 && (byte[2] == 0xA8 || byte[2] == 0xA9)) { return 3; }
    return 0;
}

static size_t character_bytes(const char *at)
{
    const unsigned char lead = (unsigned char)*at;
    const size_t bytes = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    for (size_t i = 1; i < bytes; i++) {
        if (at[i] == '\0') { return i; }
    }
    return bytes;
}

static const char *line_start(const char *text, uint32_t line)
{
    while (line > 1 && *text != '\0') {
        const size_t bytes = break_bytes(text);
        line -= bytes > 0;
        text += bytes > 0 ? bytes : 1;
    }
    return text;
}

struct excerpt {
    char text[4 * LINE_CHARACTERS_MAX + 64];
    uint32_t indent; /* characters before the first caret */
    uint32_t width;  /* carets */
};

/* The characters from first to last of the line, secrets as ***. Broken YAML has no tree to know secrets by: there the
 * rest of a line that names one is cut. */
static void excerpt_fill(struct excerpt *out, const struct tg_draft *draft, const struct tg_secrets *secrets)
{
    const char *at = line_start(draft->source->text, draft->line);
    uint32_t column = 1;
    while (*at == ' ' || *at == '\t') {
        at++;
        column++;
    }
    size_t used = 0;
    uint32_t written = 0;
    bool placed = false;
    const uint32_t first = draft->column > LINE_CHARACTERS_MAX ? draft->column - CONTEXT_CHARACTERS : 0;
    for (; *at != '\0' && break_bytes(at) == 0 && written < LINE_CHARACTERS_MAX; column++) {
        const size_t bytes = character_bytes(at);
        if (column < first) {
            at += bytes;
            continue;
        }
        if (column >= draft->column && !placed) {
            out->indent = written;
            placed = true;
        }
        const struct tg_secret_span *span = tg_secrets_at(secrets, draft->source, draft->line, column);
        const bool hidden = span != NULL && (span->line < draft->line || span->column < column) && column > 1;
        if (span == NULL) {
            memcpy(out->text + used, at, bytes);
            if ((unsigned char)*at < 0x20 || *at == 0x7F) { out->text[used] = ' '; }
            used += bytes;
            written++;
        } else if (!hidden || written == 0) {
            memcpy(out->text + used, "***", 3);
            used += 3;
            written += 3;
        }
        at += bytes;
    }
    out->text[used] = '\0';
    if (!placed) { out->indent = written; }
    /* The number of carets would give a secret's length away. */
    out->width = tg_secrets_at(secrets, draft->source, draft->line, draft->column) != NULL ? 3 : draft->width;
    if (out->indent + out->width > written) { out->width = written > out->indent ? written - out->indent : 1; }
    if (out->width == 0) { out->width = 1; }
}

/* Cut behind a secret-looking name of a line that could not be parsed. */
static void excerpt_cut(struct excerpt *excerpt)
{
    char *colon = strpbrk(excerpt->text, ":=");
    if (colon == NULL || !tg_secret_path(excerpt->text)) { return; }
    (void)snprintf(colon, sizeof excerpt->text - (size_t)(colon - excerpt->text), ": ***");
    const uint32_t length = (uint32_t)strlen(excerpt->text);
    if (excerpt->indent >= length) { excerpt->indent = length - 1; }
    excerpt->width = 1;
}

int tg_error_headline(char *out, size_t capacity, enum tg_code code, const char *what)
{
    struct tg_error err = {0};
    const tg_status status = tg_fail(&err, code, 0, "%s", what);
    char left[TG_ERROR_TEXT_BYTES + 64];
    (void)snprintf(left, sizeof left, "error TG%04d %s", (int)code, what);
    return snprintf(out, capacity, "%-64s  exit %d\n", left, tg_exit_code(status));
}

static void render(const struct tg_draft *draft, const struct tg_secrets *secrets, struct tg_finding *out)
{
    out->code = draft->code;
    int used = tg_error_headline(out->text, sizeof out->text, draft->code, draft->what);
    char *rest = out->text + used;
    const size_t room = sizeof out->text - (size_t)used;
    if (draft->source == NULL || secrets->overflow) {
        if (draft->hint[0] != '\0') { (void)snprintf(rest, room, "  %s\n", draft->hint); }
        return;
    }
    char place_text[256];
    if (draft->source->is_file) {
        (void)snprintf(place_text, sizeof place_text, "%.200s:%u:%u", draft->source->name, draft->line, draft->column);
    } else {
        (void)snprintf(place_text, sizeof place_text, "%.200s", draft->source->name);
    }
    struct excerpt excerpt = {.indent = 0};
    excerpt_fill(&excerpt, draft, secrets);
    if (draft->code == TG1001) { excerpt_cut(&excerpt); }
    char carets[LINE_CHARACTERS_MAX + 4];
    const uint32_t width = excerpt.width < LINE_CHARACTERS_MAX ? excerpt.width : LINE_CHARACTERS_MAX;
    memset(carets, '^', width);
    carets[width] = '\0';
    char left[300];
    const int indent = snprintf(left, sizeof left, "  %-18s  ", place_text) + (int)excerpt.indent;
    (void)snprintf(rest, room, "%s%s\n%*s%s%s%s\n", left, excerpt.text, indent, "", carets,
                   draft->hint[0] != '\0' ? "  " : "", draft->hint);
}

/* Files first, in the order of their lines; then the command line and the environment. */
static int compare_drafts(const void *a, const void *b)
{
    const struct tg_draft *left = *(const struct tg_draft *const *)a;
    const struct tg_draft *right = *(const struct tg_draft *const *)b;
    const int left_rank = left->source == NULL ? 0 : left->source->is_file ? 1 : 2;
    const int right_rank = right->source == NULL ? 0 : right->source->is_file ? 1 : 2;
    if (left_rank != right_rank) { return left_rank - right_rank; }
    if (left->line != right->line) { return left->line < right->line ? -1 : 1; }
    if (left->column != right->column) { return left->column < right->column ? -1 : 1; }
    return left < right ? -1 : left > right;
}

tg_status tg_findings_render(const struct tg_drafts *drafts, const struct tg_secrets *secrets, struct tg_findings *out)
{
    const struct tg_draft *order[sizeof drafts->list / sizeof drafts->list[0]];
    tg_status worst = TG_OK;
    for (uint32_t i = 0; i < drafts->count; i++) { order[i] = &drafts->list[i]; }
    qsort(order, drafts->count, sizeof order[0], compare_drafts);
    out->count = drafts->count;
    for (uint32_t i = 0; i < drafts->count; i++) {
        render(order[i], secrets, &out->list[i]);
        const tg_status status = tg_fail(NULL, order[i]->code, 0, "%s", order[i]->what);
        if (status < worst) { worst = status; }
    }
    return worst;
}
