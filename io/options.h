/* Options of a connector: one table per connector declares them; the job loader checks the YAML block against it and
 * hands the values over; docs/CONFIGURATION.md is generated from it. */
#ifndef TG_IO_OPTIONS_H
#define TG_IO_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum tg_option_kind {
    TG_OPTION_TEXT,
    TG_OPTION_SECRET,   /* text that never reaches logs, dumps or argv */
    TG_OPTION_INTEGER,
    TG_OPTION_NUMBER,   /* a share such as 0.05; kept as parts per million in `number` */
    TG_OPTION_BOOLEAN,
    TG_OPTION_DURATION, /* microseconds in `number` */
    TG_OPTION_SIZE,     /* bytes in `number`: 128MiB, 64KiB, 4096 */
    TG_OPTION_RATE,     /* per second in `number`: 1000, 1k/s, 2M/s; 0 = no limit */
    TG_OPTION_CHOICE,   /* one of `choices` ("a|b|c"); its index in `number` */
    TG_OPTION_MAP,      /* text -> text */
    TG_OPTION_LIST,     /* texts; a single scalar is split at its commas */
};

struct tg_option {
    const char *name;
    enum tg_option_kind kind;
    bool required;
    const char *fallback; /* as it would stand in YAML; NULL = unset */
    const char *choices;
    const char *doc; /* one sentence for docs/CONFIGURATION.md */
};

struct tg_option_value {
    bool is_set; /* by the job file or the fallback */
    int64_t number;
    const char *text;         /* TEXT, SECRET, CHOICE and the source text of numbers */
    uint32_t count;           /* MAP, LIST */
    const char *const *names; /* MAP: [count] */
    const char *const *texts; /* MAP, LIST: [count] */
    const char *origin;       /* "job.yaml:14:5", "--set", "env TURGO_SET_X", "default" */
};

/* values[i] belongs to table[i]; both live as long as the job. */
struct tg_options {
    const struct tg_option *table;
    const struct tg_option_value *values;
    uint32_t count;
};

/* The value of option `name`; asserts that the table has it.  @any */
const struct tg_option_value *tg_option(const struct tg_options *options, const char *name);
/* Its text, NULL when unset.  @any */
const char *tg_option_text(const struct tg_options *options, const char *name);
/* Its number, 0 when unset.  @any */
int64_t tg_option_number(const struct tg_options *options, const char *name);

#endif
