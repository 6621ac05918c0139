/* Running a job: threads, signals, the status line and the closing report. */
#ifndef TG_ENGINE_RUNTIME_H
#define TG_ENGINE_RUNTIME_H

#include "engine/job.h"

struct tg_run_options {
    bool fresh;              /* --fresh: forget checkpoints, committed positions and earlier output versions */
    bool accept_duplicates;  /* --accept-duplicates: pass over a damaged checkpoint though its output is outside */
    bool create_tables;      /* --create-tables */
    bool until_end;          /* --until end: bounded input, timers drained (event time runs to infinity) */
    bool no_drain;           /* --no-drain: with until_end, event time stays where the input left it */
    tg_us until_idle;        /* --until idle:5s; 0 = off */
    uint64_t until_records;  /* --until records:1M; 0 = off */
    tg_us run_for;           /* --for 60s; 0 = off */
    bool quiet;              /* --quiet: no status line, no closing report on stderr */
    bool progress_as_log;    /* both as log events: the user chose logs that a program reads */
    bool overprovisioned;    /* --overprovisioned: do not pin, do not spin */
    const char *report_path; /* --report FILE: closing report as JSON; NULL = none */
    uint32_t poll_count_max; /* --poll-size N: records per poll, 1 to TG_BATCH_ROWS_MAX; 0 = default */
    uint64_t seed;           /* --seed N for generated sources; 0 = 1 */
};

/* Run until the input ends, a limit is reached, SIGTERM/SIGINT (flush, commit, TG_OK) or a failure. A second signal
 * ends the process at once with 128 + signal. The status line goes to stderr (repainted on a terminal, a line every 5 s
 * elsewhere), then the closing report.  @setup */
TG_MUST_USE tg_status tg_run(const struct tg_job *job, const struct tg_run_options *options, struct tg_error *err);

#endif
