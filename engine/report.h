/* What a run shows of itself: the status line while it runs, the closing report, the same as JSON. */
#ifndef TG_ENGINE_REPORT_H
#define TG_ENGINE_REPORT_H

#include "engine/cluster.h"

/* The one live line. On a terminal it repaints itself; elsewhere it is a line, or a log event, every 5 s. */
struct tg_status_line {
    bool as_log;
    bool terminal;
    bool painted;
    uint64_t start_ns;
    uint64_t next_ns;
    uint64_t last_ns;
    uint64_t last_records;
};

/* The first line is due a second after now_ns.  @setup */
void tg_status_line_begin(struct tg_status_line *line, bool as_log, uint64_t now_ns);
/* Print when it is time to.  @setup */
void tg_status_line_show(struct tg_status_line *line, const struct tg_cluster *cluster, uint64_t now_ns);
/* Leave the terminal with a clean line.  @setup */
void tg_status_line_end(struct tg_status_line *line);

struct tg_closing {
    const char *exit_reason; /* "input ended", "--for 60s", "SIGTERM", or the error's text */
    double seconds;          /* from the first shard's start to the last one's end */
    double active_seconds;   /* from the first record read to the last acknowledgement */
    int exit_code;
};

/* The main figures as one log event, for logs that a program reads.  @setup */
void tg_report_log(const struct tg_cluster *cluster, const struct tg_closing *closing);
/* For people, to `out`.  @setup */
void tg_report_print(const struct tg_cluster *cluster, const struct tg_closing *closing, FILE *out);
/* For programs, to a file. Errors: TG1502.  @setup */
TG_MUST_USE tg_status tg_report_write(const struct tg_cluster *cluster, const struct tg_closing *closing,
                                      const char *path, struct tg_error *err);

#endif
