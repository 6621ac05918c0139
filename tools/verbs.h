/* The verbs of the turgo command and their flags: one table for dispatch, --help, did-you-mean and completion. */
#ifndef TG_TOOLS_VERBS_H
#define TG_TOOLS_VERBS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "io/options.h"

enum { TG_POSITIONALS_MAX = 8, TG_FLAGS_MAX = 32, TG_REPEATS_MAX = 64 };

struct tg_flag {
    const char *name;  /* without the dashes */
    const char *value; /* "N", "FILE" in help; NULL = a switch */
    enum tg_option_kind kind;
    const char *choices; /* CHOICE, and words beside numbers */
    bool repeats;
    const char *doc;
    char letter; /* 'q': -q is short for it; 0 = none */
};

struct tg_verb {
    const char *name;
    const char *arguments; /* "JOB.yaml" in help */
    const char *doc;
    int (*run)(int argc, char **argv); /* argv[0] is the verb; returns the exit code */
    const struct tg_flag *flags;
    uint32_t flag_count;
    uint32_t positional_min;
    uint32_t positional_max;
    bool hidden;   /* for builds and tests; not in --help */
    bool own_help; /* the verb answers --help itself */
};

/* What a command line said; [i] belongs to flags[i] of its verb. */
struct tg_args {
    const struct tg_verb *verb;
    uint32_t positional_count;
    const char *positional[TG_POSITIONALS_MAX];
    const char *text[TG_FLAGS_MAX]; /* NULL = not given; "" for a switch */
    int64_t number[TG_FLAGS_MAX];   /* as tg_value_parse */
    uint32_t repeat_count;          /* of the one flag that repeats */
    const char *repeats[TG_REPEATS_MAX];
};

extern const struct tg_verb tg_verbs[];
extern const uint32_t tg_verb_count;
/* NULL when there is none.  @any */
const struct tg_verb *tg_verb_find(const char *name);

/* Read argv (argv[0] is the verb) by the verb's table. Returns 0, or 64 after saying on stderr what is wrong.  @setup
 */
TG_MUST_USE int tg_args_parse(int argc, char **argv, struct tg_args *out);
/* Was the flag given; its text (NULL: not given); its number. They assert that the verb has the flag.  @any */
bool tg_args_given(const struct tg_args *args, const char *flag);
const char *tg_args_text(const struct tg_args *args, const char *flag);
int64_t tg_args_number(const struct tg_args *args, const char *flag);

int tg_verb_run(int argc, char **argv);
int tg_verb_check(int argc, char **argv);
int tg_verb_plan(int argc, char **argv);
int tg_verb_explain(int argc, char **argv);
int tg_verb_completion(int argc, char **argv);
int tg_verb_version(int argc, char **argv);
int tg_verb_checkpoint(int argc, char **argv);
int tg_verb_gen(int argc, char **argv);
int tg_verb_docs(int argc, char **argv);
int tg_verb_failpoints(int argc, char **argv);
int tg_verb_help(int argc, char **argv);

#endif
