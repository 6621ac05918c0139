/* The status line: repainted on a terminal and never wider than it, a line every 5 s elsewhere, a log event when the
 * user asked for logs that a program reads. */
#include "engine/report.h"

#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/amounts.h"

enum { PARTS_MAX = 12, PART_BYTES = 64, LINE_BYTES = 512, WIDTH_UNKNOWN = 80 };

/* Too big for the stack of a small thread, so static: only the main thread reports. */
static struct tg_histogram acknowledged;
static struct tg_histogram applied;

struct figures {
    struct tg_totals totals;
    double seconds; /* since the line before */
    double rate;
    double behind_s; /* of the watermark, when there is one */
    uint64_t p50_ns;
    uint64_t p99_ns;
    bool has_checkpoints;
    bool healthy;
    bool held;
    uint64_t age_ns;      /* of the newest complete checkpoint */
    uint64_t recovery_ns; /* what a start would take now */
    uint64_t failed_in_row;
};

static void take_figures(struct tg_status_line *line, const struct tg_cluster *cluster, uint64_t now_ns,
                         struct figures *out)
{
    memset((void *)&acknowledged, 0, sizeof acknowledged);
    memset((void *)&applied, 0, sizeof applied);
    tg_cluster_totals(cluster, &out->totals);
    tg_cluster_latency(cluster, &acknowledged, &applied);
    const double seconds = (double)(now_ns - line->last_ns) / 1e9;
    out->rate = seconds > 0 ? (double)(out->totals.records_in - line->last_records) / seconds : 0;
    line->last_ns = now_ns;
    line->last_records = out->totals.records_in;
    const bool has_wm = out->totals.watermark != TG_TS_MAX;
    out->behind_s = has_wm ? (double)(tg_clock_wall_us(&cluster->clock) - out->totals.watermark) / 1e6 : 0;
    out->p50_ns = tg_histogram_quantile_ns(&acknowledged, 0.5);
    out->p99_ns = tg_histogram_quantile_ns(&acknowledged, 0.99);
    const struct tg_checkpoint *checkpoint = cluster->checkpoint;
    out->has_checkpoints = checkpoint != NULL;
    if (checkpoint == NULL) { return; }
    out->healthy = tg_checkpoint_health_good(&checkpoint->health);
    out->held = tg_checkpoint_health_holds(&checkpoint->health);
    out->age_ns = tg_checkpoint_health_age_ns(&checkpoint->health, now_ns);
    out->recovery_ns = tg_checkpoint_recovery_ns(checkpoint, now_ns);
    out->failed_in_row = tg_checkpoint_health_failed_in_row(&checkpoint->health);
}

/* The most important first: what does not fit into a narrow terminal is left out from the end. */
static uint32_t make_parts(const struct tg_status_line *line, const struct figures *f, uint64_t now_ns,
                           char parts[PARTS_MAX][PART_BYTES])
{
    const uint64_t elapsed = (now_ns - line->start_ns) / 1000000000u;
    char a[TG_AMOUNT_BYTES];
    char b[TG_AMOUNT_BYTES];
    uint32_t n = 0;
    (void)snprintf(parts[n++], PART_BYTES, "%02" PRIu64 ":%02" PRIu64, elapsed / 60, elapsed % 60);
    if (f->has_checkpoints && !f->healthy) {
        (void)snprintf(parts[n++], PART_BYTES, "UNHEALTHY %" PRIu64 " checkpoints failed%s", f->failed_in_row,
                       f->held ? ", not reading" : "");
    }
    (void)snprintf(parts[n++], PART_BYTES, "%s rec", tg_count_text((double)f->totals.records_in, a));
    (void)snprintf(parts[n++], PART_BYTES, "%s/s", tg_count_text(f->rate, a));
    const bool knows_lag = f->totals.lag >= 0;
    (void)snprintf(parts[n++], PART_BYTES, "lag %s", knows_lag ? tg_count_text((double)f->totals.lag, a) : "?");
    if (f->totals.watermark == TG_TS_MAX) {
        (void)snprintf(parts[n++], PART_BYTES, "watermark none");
    } else {
        (void)snprintf(parts[n++], PART_BYTES, "watermark %.1fs", -f->behind_s);
    }
    (void)snprintf(parts[n++], PART_BYTES, "p50 %s p99 %s", tg_time_text(f->p50_ns, a), tg_time_text(f->p99_ns, b));
    (void)snprintf(parts[n++], PART_BYTES, "state %s keys %s", tg_count_text((double)f->totals.keys, a),
                   tg_bytes_text(f->totals.state_bytes, b));
    if (f->has_checkpoints) {
        (void)snprintf(parts[n++], PART_BYTES, "checkpoint %" PRIu64 "s ago", f->age_ns / 1000000000u);
        (void)snprintf(parts[n++], PART_BYTES, "recovery %.1fs", (double)f->recovery_ns / 1e9);
    }
    (void)snprintf(parts[n++], PART_BYTES, "late %" PRIu64, f->totals.late);
    (void)snprintf(parts[n++], PART_BYTES, "dead %" PRIu64, f->totals.dead);
    return n;
}

/* Columns of the terminal. A line as wide as it would wrap, and a wrapped line cannot be painted over. */
static uint32_t terminal_width(void)
{
    struct winsize size = {0};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) { return WIDTH_UNKNOWN; }
    return size.ws_col;
}

static void log_figures(const struct figures *f)
{
    char fields[LINE_BYTES];
    char behind[PART_BYTES] = "";
    char checkpoints[PART_BYTES * 3] = "";
    if (f->has_checkpoints) {
        (void)snprintf(checkpoints, sizeof checkpoints,
                       " healthy=%s reading_held=%s checkpoint_age_seconds=%.1f recovery_seconds=%.1f"
                       " checkpoints_failed_in_row=%" PRIu64,
                       f->healthy ? "true" : "false", f->held ? "true" : "false", (double)f->age_ns / 1e9,
                       (double)f->recovery_ns / 1e9, f->failed_in_row);
    }
    if (f->totals.watermark != TG_TS_MAX) {
        (void)snprintf(behind, sizeof behind, " watermark_lag_seconds=%.1f", f->behind_s);
    }
    (void)snprintf(fields, sizeof fields,
                   "records_in=%" PRIu64 " records_per_second=%.0f lag=%" PRId64 "%s"
                   " latency_p50_us=%" PRIu64 " latency_p99_us=%" PRIu64 " keys=%" PRId64 " state_bytes=%" PRId64
                   " late=%" PRIu64 " dead=%" PRIu64 "%s",
                   f->totals.records_in, f->rate, f->totals.lag, behind, f->p50_ns / 1000, f->p99_ns / 1000,
                   f->totals.keys, f->totals.state_bytes, f->totals.late, f->totals.dead, checkpoints);
    tg_log(TG_LOG_INFO, TG_CODE_NONE, -1, fields, "progress");
}

void tg_status_line_begin(struct tg_status_line *line, bool as_log, uint64_t now_ns)
{
    *line = (struct tg_status_line){
        .as_log = as_log,
        .terminal = !as_log && isatty(STDERR_FILENO) == 1,
        .start_ns = now_ns,
        .next_ns = now_ns + 1000000000u,
        .last_ns = now_ns,
    };
}

void tg_status_line_show(struct tg_status_line *line, const struct tg_cluster *cluster, uint64_t now_ns)
{
    if (now_ns < line->next_ns) { return; }
    line->next_ns = now_ns + (line->terminal ? 500000000u : 5000000000u);
    struct figures figures;
    take_figures(line, cluster, now_ns, &figures);
    if (line->as_log) {
        log_figures(&figures);
        return;
    }
    char parts[PARTS_MAX][PART_BYTES];
    char text[LINE_BYTES] = "";
    size_t used = 0;
    const uint32_t count = make_parts(line, &figures, now_ns, parts);
    const size_t room = line->terminal ? terminal_width() : sizeof text;
    for (uint32_t i = 0; i < count && used + strlen(parts[i]) + 3 <= room; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i == 0 ? "" : "  ", parts[i]);
    }
    (void)fprintf(stderr, "%s%s%s", line->terminal ? "\r\x1b[K" : "", text, line->terminal ? "" : "\n");
    line->painted = true;
}

void tg_status_line_end(struct tg_status_line *line)
{
    if (line->terminal && line->painted) { (void)fputc('\n', stderr); }
}
