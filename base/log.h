/* Log lines to stderr: short coloured text on a terminal, logfmt elsewhere, JSON on request. One line is one write().
 * Repeats of one call site are limited to one line a minute with a count of what was suppressed, when it asks for it.
 * Never on the hot path; never payloads or secrets. */
#ifndef TG_BASE_LOG_H
#define TG_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/codes.h"

enum tg_log_level { TG_LOG_DEBUG, TG_LOG_INFO, TG_LOG_WARN, TG_LOG_ERROR };
enum tg_log_format { TG_LOG_AUTO, TG_LOG_TEXT, TG_LOG_LOGFMT, TG_LOG_JSON };

enum tg_log_colour { TG_COLOUR_AUTO, TG_COLOUR_ALWAYS, TG_COLOUR_NEVER };

struct tg_log_config {
    enum tg_log_level level_min;
    enum tg_log_format format;
    enum tg_log_colour colour; /* AUTO: on a terminal, unless NO_COLOR is set or TERM is dumb */
    const char *job;           /* borrowed for ever; NULL before the job is known */
};

/* Once, before the first thread.  @setup */
void tg_log_configure(const struct tg_log_config *config);

/* Shall texts for people on stderr be coloured?  @any */
bool tg_log_coloured(void);

/* One event. `fields` is NULL or a logfmt tail the caller formatted ("topic=x retry_in=2s"); values with blanks are
 * quoted by the caller. shard is -1 outside shards.  @any */
TG_COLD void tg_log(enum tg_log_level level, enum tg_code code, int shard, const char *fields, const char *fmt, ...)
    TG_PRINTF(5, 6);

/* A limiter of one call site: true when a line may be written now (first time, then once a minute), with the number
 * suppressed since in *suppressed.  @shard */
struct tg_log_limit {
    uint64_t next_ns;
    uint64_t suppressed;
};
bool tg_log_allowed(struct tg_log_limit *limit, uint64_t now_ns, uint64_t *suppressed);

#endif
