/* The table of verbs and flags. Texts here are what --help prints. */
#include "tools/verbs.h"

#include <string.h>

#define SWITCH(name, doc) \
    { \
        name, NULL, TG_OPTION_BOOLEAN, NULL, false, doc, 0 \
    }
#define SHORT(letter, name, doc) \
    { \
        name, NULL, TG_OPTION_BOOLEAN, NULL, false, doc, letter \
    }
#define VALUE(name, value, kind, doc) \
    { \
        name, value, kind, NULL, false, doc, 0 \
    }
#define CHOICE(name, choices, doc) \
    { \
        name, choices, TG_OPTION_CHOICE, choices, false, doc, 0 \
    }
#define PROFILE VALUE("profile", "NAME", TG_OPTION_TEXT, "overlay of the job file; default: its default_profile")
#define SET \
    { \
        "set", "a.b=c", TG_OPTION_TEXT, NULL, true, "change one value, e.g. sources.tx.watermark.delay=1m; repeats", 0 \
    }
#define COLOR CHOICE("color", "auto|always|never", "of texts on stderr; auto: on a terminal without NO_COLOR")

static const struct tg_flag run_flags[] = {
    PROFILE,
    SET,
    {"shards", "N", TG_OPTION_INTEGER, "auto", false, "threads; default: one per usable core", 0},
    VALUE("cpuset", "2-7,9", TG_OPTION_TEXT, "use these CPUs only"),
    SWITCH("overprovisioned", "others need the cores, too: do not pin threads, do not spin"),
    CHOICE("io", "auto|uring|epoll", "how sockets are driven"),
    VALUE("state-dir", "DIR", TG_OPTION_TEXT, "folder of the job's own files"),
    SWITCH("fresh", "forget checkpoints, committed positions and earlier output versions"),
    SWITCH("accept-duplicates", "when the newest checkpoint is damaged, go on from an older one and write rows again"),
    VALUE("until", "end|idle:5s|records:1M", TG_OPTION_TEXT, "when to stop; default: on SIGTERM"),
    VALUE("for", "60s", TG_OPTION_DURATION, "stop after this time"),
    SWITCH("no-drain", "with --until end: event time stays where the input left it"),
    SHORT('q', "quiet", "no status line, no closing report"),
    SHORT('v', "verbose", "the same as --log-level debug"),
    VALUE("report", "FILE", TG_OPTION_TEXT, "write the closing report as JSON"),
    SWITCH("create-tables", "let sinks create missing tables"),
    VALUE("seed", "N", TG_OPTION_INTEGER, "of generated sources"),
    VALUE("poll-size", "N", TG_OPTION_INTEGER, "records per poll, 1 to 1024"),
    CHOICE("log-format", "auto|text|logfmt|json", "of log lines on stderr; named, progress is logged, too"),
    CHOICE("log-level", "debug|info|warn|error", "the least that is logged; default: info"),
    COLOR,
};
static const struct tg_flag check_flags[] = {
    PROFILE,
    SET,
    SWITCH("no-environment", "only the file: no variables, no servers"),
    SHORT('q', "quiet", "print what is wrong, nothing else"),
    COLOR,
    SWITCH("print-effective", "print every value with its origin; secrets as ***"),
};
static const struct tg_flag plan_flags[] = {
    PROFILE,
    SET,
    COLOR,
    SWITCH("dot", "as Graphviz DOT: turgo plan JOB.yaml --dot | dot -Tsvg"),
};
static const struct tg_flag checkpoint_flags[] = {
    VALUE("dir", "DIR", TG_OPTION_TEXT, "checkpoint directory instead of JOB.yaml's, STATE_DIR/checkpoints"),
    SWITCH("resolved", "dump: only the newest value of each key"),
    VALUE("from", "DIR", TG_OPTION_TEXT, "restore: from this copy of a checkpoint directory"),
    SWITCH("accept-duplicates", "restore: although rows shown since will be written again"),
    PROFILE,
    SET,
};
static const struct tg_flag explain_flags[] = {SWITCH("list", "all codes with their titles")};
static const struct tg_flag version_flags[] = {SWITCH("json", "as one JSON object")};
static const struct tg_flag docs_flags[] = {CHOICE("page", "configuration|verbs", "what to print")};

#define FLAGS(list) .flags = list, .flag_count = sizeof list / sizeof list[0]
#define JOB .arguments = "JOB.yaml", .positional_min = 1, .positional_max = 1
const struct tg_verb tg_verbs[] = {
    {.name = "run",
     JOB,
     .doc = "Run a job until SIGTERM, or until --until or --for says so.",
     .run = tg_verb_run,
     FLAGS(run_flags)},
    {.name = "check",
     JOB,
     .doc = "Say everything that is wrong with a job, its variables and its servers.",
     .run = tg_verb_check,
     FLAGS(check_flags)},
    {.name = "plan",
     JOB,
     .doc = "Show sources, steps with clocks and keys, and sinks.",
     .run = tg_verb_plan,
     FLAGS(plan_flags)},
    {.name = "checkpoint",
     .arguments = "list|verify|dump|restore [JOB.yaml] [EPOCH]",
     .doc = "A job's checkpoints: list all (complete: every file is there, with its length, header and footer), verify "
            "every byte of one (the newest), which only verify does, dump what it holds as JSON lines, or restore "
            "one: the next start goes on from it.",
     .run = tg_verb_checkpoint,
     FLAGS(checkpoint_flags),
     .positional_min = 1,
     .positional_max = 3},
    {.name = "gen",
     .arguments = "",
     .doc = "Make test data: files, standard output or a topic.",
     .run = tg_verb_gen,
     .positional_max = TG_POSITIONALS_MAX,
     .own_help = true},
    {.name = "explain",
     .arguments = "TGnnnn | OPERATOR",
     .doc = "What an error code means and what to do, or what an operator reads, emits and keeps.",
     .run = tg_verb_explain,
     FLAGS(explain_flags),
     .positional_max = 1},
    {.name = "completion",
     .arguments = "bash",
     .doc = "Print completion for a shell: source <(turgo completion bash).",
     .run = tg_verb_completion,
     .positional_min = 1,
     .positional_max = 1},
    {.name = "version",
     .arguments = "",
     .doc = "Version, build, libraries, operators.",
     .run = tg_verb_version,
     FLAGS(version_flags)},
    {.name = "help",
     .arguments = "[VERB]",
     .doc = "This, or the help of a verb.",
     .run = tg_verb_help,
     .positional_max = 1},
    {.name = "docs",
     .arguments = "",
     .doc = "Generated pages of docs/.",
     .run = tg_verb_docs,
     FLAGS(docs_flags),
     .hidden = true},
    {.name = "failpoints",
     .arguments = "",
     .doc = "Names that TURGO_FAILPOINT may arm.",
     .run = tg_verb_failpoints,
     .hidden = true},
};
const uint32_t tg_verb_count = sizeof tg_verbs / sizeof tg_verbs[0];

const struct tg_verb *tg_verb_find(const char *name)
{
    for (uint32_t i = 0; i < tg_verb_count; i++) {
        if (strcmp(tg_verbs[i].name, name) == 0) { return &tg_verbs[i]; }
    }
    return NULL;
}
