/* Command lines: `--flag value`, `--flag=value`, switches and positional arguments, by the verb's table. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "engine/config/suggest.h"
#include "engine/config/values.h"
#include "tools/report.h"
#include "tools/verbs.h"

static uint32_t flag_index(const struct tg_verb *verb, const char *name)
{
    uint32_t index = 0;
    while (index < verb->flag_count && strcmp(verb->flags[index].name, name) != 0) { index++; }
    return index;
}

static int unknown_flag(const struct tg_verb *verb, const char *name)
{
    const char *names[TG_FLAGS_MAX + 1];
    for (uint32_t i = 0; i < verb->flag_count; i++) { names[i] = verb->flags[i].name; }
    names[verb->flag_count] = "help";
    const char *near = tg_suggest(name, verb->flag_count + 1, names);
    char hint[160];
    (void)snprintf(hint, sizeof hint, "%s%s%sturgo %s --help lists its flags", near != NULL ? "did you mean --" : "",
                   near != NULL ? near : "", near != NULL ? "?   " : "", verb->name);
    char what[160];
    (void)snprintf(what, sizeof what, "turgo %s has no flag --%.80s", verb->name, name);
    return tg_usage_error(what, hint);
}

static int wrong_value(const struct tg_flag *flag, const char *text)
{
    char what[200];
    char hint[200];
    (void)snprintf(what, sizeof what, "wrong value \"%.80s\" for --%s", text, flag->name);
    if (flag->kind == TG_OPTION_CHOICE) {
        (void)snprintf(hint, sizeof hint, "it takes %s", flag->choices);
    } else {
        (void)snprintf(hint, sizeof hint, "it takes %s%s%s", tg_value_looks_like(flag->kind),
                       flag->choices != NULL ? ", or " : "", flag->choices != NULL ? flag->choices : "");
    }
    return tg_usage_error(what, hint);
}

static int take_value(struct tg_args *out, uint32_t index, const char *text)
{
    const struct tg_flag *flag = &out->verb->flags[index];
    char what[160];
    if (!tg_value_parse(flag->kind, flag->choices, text, &out->number[index])) { return wrong_value(flag, text); }
    if (!flag->repeats && out->text[index] != NULL) {
        (void)snprintf(what, sizeof what, "--%s twice", flag->name);
        return tg_usage_error(what, "");
    }
    out->text[index] = text;
    if (!flag->repeats) { return 0; }
    if (out->repeat_count == TG_REPEATS_MAX) {
        (void)snprintf(what, sizeof what, "more than %d times --%s", TG_REPEATS_MAX, flag->name);
        return tg_usage_error(what, "put them into a profile of the job file");
    }
    out->repeats[out->repeat_count++] = text;
    return 0;
}

/* One "--..." argument; *next moves on when it takes the following argument as its value. */
static int take_flag(struct tg_args *out, int argc, char **argv, int *next)
{
    char name[96];
    const char *given = argv[*next] + 2;
    const size_t bytes = strcspn(given, "=");
    const char *value = given[bytes] == '=' ? given + bytes + 1 : NULL;
    (void)snprintf(name, sizeof name, "%.*s", (int)(bytes < 90 ? bytes : 90), given);
    const uint32_t index = flag_index(out->verb, name);
    if (index == out->verb->flag_count) { return unknown_flag(out->verb, name); }
    const struct tg_flag *flag = &out->verb->flags[index];
    char what[160];
    if (flag->value == NULL) {
        (void)snprintf(what, sizeof what, "--%s takes no value", name);
        if (value != NULL) { return tg_usage_error(what, ""); }
        out->text[index] = "";
        return 0;
    }
    if (value == NULL && *next + 1 < argc) { value = argv[++*next]; }
    if (value == NULL) {
        (void)snprintf(what, sizeof what, "--%s needs a value", name);
        (void)snprintf(name, sizeof name, "--%s %s", flag->name, flag->value);
        return tg_usage_error(what, name);
    }
    return take_value(out, index, value);
}

/* One "-q": a single letter for a switch. */
static int take_letter(struct tg_args *out, const char *given)
{
    const struct tg_verb *verb = out->verb;
    for (uint32_t i = 0; i < verb->flag_count && given[1] != '\0' && given[2] == '\0'; i++) {
        if (verb->flags[i].letter != given[1]) { continue; }
        out->text[i] = "";
        return 0;
    }
    char what[160];
    (void)snprintf(what, sizeof what, "turgo %s has no flag %.80s", verb->name, given);
    return tg_usage_error(what, "flags have two dashes, for example --profile dev");
}

int tg_args_parse(int argc, char **argv, struct tg_args *out)
{
    *out = (struct tg_args){.verb = tg_verb_find(argv[0])};
    TG_ASSERT(out->verb != NULL && out->verb->flag_count <= TG_FLAGS_MAX);
    bool only_positional = false;
    for (int i = 1; i < argc; i++) {
        int code = 0;
        if (!only_positional && strcmp(argv[i], "--") == 0) {
            only_positional = true;
        } else if (!only_positional && strncmp(argv[i], "--", 2) == 0) {
            code = take_flag(out, argc, argv, &i);
        } else if (!only_positional && argv[i][0] == '-' && argv[i][1] != '\0') {
            code = take_letter(out, argv[i]);
        } else if (out->positional_count == out->verb->positional_max) {
            char what[160];
            (void)snprintf(what, sizeof what, "one argument too many: %.100s", argv[i]);
            code = tg_usage_error(what, out->verb->arguments);
        } else {
            out->positional[out->positional_count++] = argv[i];
        }
        if (code != 0) { return code; }
    }
    if (out->positional_count >= out->verb->positional_min) { return 0; }
    char what[160];
    char hint[160];
    (void)snprintf(what, sizeof what, "turgo %s needs %s", out->verb->name, out->verb->arguments);
    (void)snprintf(hint, sizeof hint, "turgo %s --help", out->verb->name);
    return tg_usage_error(what, hint);
}

static uint32_t own_flag(const struct tg_args *args, const char *flag)
{
    const uint32_t index = flag_index(args->verb, flag);
    TG_ASSERT(index < args->verb->flag_count);
    return index;
}

bool tg_args_given(const struct tg_args *args, const char *flag) { return args->text[own_flag(args, flag)] != NULL; }

const char *tg_args_text(const struct tg_args *args, const char *flag) { return args->text[own_flag(args, flag)]; }

int64_t tg_args_number(const struct tg_args *args, const char *flag) { return args->number[own_flag(args, flag)]; }
