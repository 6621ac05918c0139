/* Numbers as people and programs read them. Only the main thread reports. */
#include "engine/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/json_text.h"

/* Both histograms of a run; too big for the stack of a small thread, so static: only the main thread reports. */
static struct tg_histogram acknowledged;
static struct tg_histogram applied;

static void collect_latency(const struct tg_cluster *cluster)
{
    memset((void *)&acknowledged, 0, sizeof acknowledged);
    memset((void *)&applied, 0, sizeof applied);
    tg_cluster_latency(cluster, &acknowledged, &applied);
}

/* ----------------------------------------------------------------------------------------------------------------- */

static const char *count_text(double value, char out[24])
{
    const char *unit = "";
    if (value >= 1e9) {
        value /= 1e9;
        unit = "G";
    } else if (value >= 1e6) {
        value /= 1e6;
        unit = "M";
    } else if (value >= 1e4) {
        value /= 1e3;
        unit = "k";
    }
    (void)snprintf(out, 24, *unit != '\0' ? "%.2f%s" : "%.0f%s", value, unit);
    return out;
}

static const char *time_text(uint64_t ns, char out[24])
{
    if (ns >= 10000000000u) {
        (void)snprintf(out, 24, "%.1fs", (double)ns / 1e9);
    } else if (ns >= 1000000) {
        (void)snprintf(out, 24, "%.1fms", (double)ns / 1e6);
    } else {
        (void)snprintf(out, 24, "%.0fus", (double)ns / 1e3);
    }
    return out;
}

static const char *bytes_text(int64_t bytes, char out[24])
{
    if (bytes >= 1 << 30) {
        (void)snprintf(out, 24, "%.1fGiB", (double)bytes / (1 << 30));
    } else if (bytes >= 1 << 20) {
        (void)snprintf(out, 24, "%.1fMiB", (double)bytes / (1 << 20));
    } else {
        (void)snprintf(out, 24, "%" PRId64 "KiB", bytes >> 10);
    }
    return out;
}

/* ----------------------------------------------------------------------------------------------------------------- */

void tg_status_line_begin(struct tg_status_line *line, uint64_t now_ns)
{
    *line = (struct tg_status_line){
        .terminal = isatty(STDERR_FILENO) == 1, .start_ns = now_ns, .next_ns = now_ns + 1000000000u, .last_ns = now_ns};
}

void tg_status_line_show(struct tg_status_line *line, const struct tg_cluster *cluster, uint64_t now_ns)
{
    if (now_ns < line->next_ns) { return; }
    line->next_ns = now_ns + (line->terminal ? 500000000u : 5000000000u);
    struct tg_totals totals;
    tg_cluster_totals(cluster, &totals);
    collect_latency(cluster);
    const double seconds = (double)(now_ns - line->last_ns) / 1e9;
    const double rate = seconds > 0 ? (double)(totals.records_in - line->last_records) / seconds : 0;
    line->last_ns = now_ns;
    line->last_records = totals.records_in;
    const uint64_t elapsed = (now_ns - line->start_ns) / 1000000000u;
    char in[24], per_second[24], lag[24], p50[24], p99[24], keys[24], state[24], wm[24] = "none";
    if (totals.watermark != TG_TS_MAX) {
        const double behind = (double)(tg_clock_wall_us(&cluster->clock) - totals.watermark) / 1e6;
        (void)snprintf(wm, sizeof wm, "-%.1fs", behind);
    }
    (void)snprintf(lag, sizeof lag, "%s", totals.lag < 0 ? "?" : "");
    if (totals.lag >= 0) { (void)count_text((double)totals.lag, lag); }
    (void)fprintf(stderr,
                  "%s%02" PRIu64 ":%02" PRIu64 "  %s rec  %s/s  lag %s  watermark %s  p50 %s p99 %s  state %s keys %s"
                  "  late %" PRIu64 "  dead %" PRIu64 "%s",
                  line->terminal ? "\r\x1b[K" : "", elapsed / 60, elapsed % 60,
                  count_text((double)totals.records_in, in), count_text(rate, per_second), lag, wm,
                  time_text(tg_histogram_quantile_ns(&acknowledged, 0.5), p50),
                  time_text(tg_histogram_quantile_ns(&acknowledged, 0.99), p99), count_text((double)totals.keys, keys),
                  bytes_text(totals.state_bytes, state), totals.late, totals.dead, line->terminal ? "" : "\n");
    line->painted = true;
}

void tg_status_line_end(struct tg_status_line *line)
{
    if (line->terminal && line->painted) { (void)fputc('\n', stderr); }
}

/* ----------------------------------------------------------------------------------------------------------------- */

static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static uint64_t rss_max_bytes(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss * 1024;
}

static void print_dead(const struct tg_totals *totals, FILE *out)
{
    if (totals->dead == 0) { return; }
    (void)fprintf(out, "  dead letters   ");
    for (uint32_t r = 1; r < TG_REASON_COUNT; r++) {
        if (totals->dead_by_reason[r] != 0) {
            (void)fprintf(out, " %s %" PRIu64, tg_reason_name((enum tg_reason)r), totals->dead_by_reason[r]);
        }
    }
    (void)fputc('\n', out);
}

/* What the input does that the job file says it does not. */
static void print_oddities(const struct tg_totals *totals, FILE *out)
{
    if (totals->moved_keys != 0) {
        (void)fprintf(out, "  partitioned_by  keys that came from two partitions: %" PRIu64 " (TG2401)\n",
                      totals->moved_keys);
    }
    if (totals->adjusted != 0) {
        (void)fprintf(out, "  zone            stamps in a gap or overlap of local time: %" PRIu64 "\n",
                      totals->adjusted);
    }
}

void tg_report_print(const struct tg_cluster *cluster, const struct tg_closing *closing, FILE *out)
{
    struct tg_totals totals;
    tg_cluster_totals(cluster, &totals);
    collect_latency(cluster);
    char a[24], b[24], c[24], d[24];
    const double span = closing->active_seconds > 0 ? closing->active_seconds : closing->seconds;
    (void)fprintf(out, "\n%s: %s\n", cluster->plan->job->name, closing->exit_reason);
    (void)fprintf(out,
                  "  records         in %" PRIu64 "  out %" PRIu64 "  late %" PRIu64 "  dead %" PRIu64
                  "  duplicate %" PRIu64 "  without effect %" PRIu64 "\n",
                  totals.records_in, totals.rows_out, totals.late, totals.dead, totals.duplicates, totals.ignored);
    print_dead(&totals, out);
    print_oddities(&totals, out);
    (void)fprintf(out, "  time            %.1f s, %s records/s, %.2f s CPU, peak memory %s\n", closing->seconds,
                  count_text(span > 0 ? (double)totals.records_in / span : 0, a), cpu_seconds(),
                  bytes_text((int64_t)rss_max_bytes(), b));
    (void)fprintf(out, "  state           %s keys, %s, %" PRIu64 " timers fired\n", count_text((double)totals.keys, a),
                  bytes_text(totals.state_bytes, b), totals.timers_fired);
    for (uint32_t s = 0; s < cluster->plan->sink_count; s++) {
        struct tg_sink_stats stats;
        tg_cluster_sink_stats(cluster, s, &stats);
        (void)fprintf(out, "  sink            %s: %" PRIu64 " rows taken, %" PRIu64 " written",
                      cluster->plan->sinks[s].spec->name, stats.rows_taken, stats.rows_written);
        if (stats.retries != 0) { (void)fprintf(out, ", %" PRIu64 " retries", stats.retries); }
        if (stats.digest != 0) { (void)fprintf(out, ", digest %016" PRIx64, stats.digest); }
        (void)fputc('\n', out);
    }
    if (tg_histogram_count(&acknowledged) == 0) { return; }
    (void)fprintf(out, "  latency         from read to acknowledged: p50 %s  p99 %s  p99.9 %s  max %s\n",
                  time_text(tg_histogram_quantile_ns(&acknowledged, 0.5), a),
                  time_text(tg_histogram_quantile_ns(&acknowledged, 0.99), b),
                  time_text(tg_histogram_quantile_ns(&acknowledged, 0.999), c),
                  time_text(tg_histogram_max_ns(&acknowledged), d));
    tg_histogram_print(&acknowledged, out, 12);
}

static void write_latency(FILE *out, const char *name, const struct tg_histogram *histogram)
{
    (void)fprintf(out,
                  "  \"%s\": {\"count\": %" PRIu64 ", \"p50\": %" PRIu64 ", \"p99\": %" PRIu64 ", \"p999\": %" PRIu64
                  ", \"max\": %" PRIu64 "},\n",
                  name, tg_histogram_count(histogram), tg_histogram_quantile_ns(histogram, 0.5),
                  tg_histogram_quantile_ns(histogram, 0.99), tg_histogram_quantile_ns(histogram, 0.999),
                  tg_histogram_max_ns(histogram));
}

static void write_sinks(FILE *out, const struct tg_cluster *cluster)
{
    (void)fprintf(out, "  \"sinks\": {");
    for (uint32_t s = 0; s < cluster->plan->sink_count; s++) {
        struct tg_sink_stats stats;
        tg_cluster_sink_stats(cluster, s, &stats);
        (void)fprintf(out,
                      "%s\n    \"%s\": {\"rows_taken\": %" PRIu64 ", \"rows_written\": %" PRIu64
                      ", \"retries\": %" PRIu64 ", \"errors\": %" PRIu64 ", \"rows_core\": %" PRIu64
                      ", \"digest\": \"%016" PRIx64 "\", \"digest_core\": \"%016" PRIx64 "\"}",
                      s == 0 ? "" : ",", cluster->plan->sinks[s].spec->name, stats.rows_taken, stats.rows_written,
                      stats.retries, stats.errors, stats.rows_core, stats.digest, stats.digest_core);
    }
    (void)fprintf(out, "\n  },\n");
}

static void write_text(FILE *out, const char *name, const char *text)
{
    char quoted[4096];
    struct tg_writer writer = {.data = quoted, .capacity = sizeof quoted};
    tg_write_json_string(&writer, text, (uint32_t)strlen(text));
    (void)fprintf(out, "  \"%s\": %.*s,\n", name, (int)writer.used, quoted);
}

tg_status tg_report_write(const struct tg_cluster *cluster, const struct tg_closing *closing, const char *path,
                          struct tg_error *err)
{
    FILE *out = fopen(path, "w");
    if (out == NULL) { return tg_fail(err, TG1502, errno, "report %s", path); }
    struct tg_totals totals;
    tg_cluster_totals(cluster, &totals);
    collect_latency(cluster);
    const double span = closing->active_seconds > 0 ? closing->active_seconds : closing->seconds;
    (void)fprintf(out, "{\n");
    write_text(out, "job", cluster->plan->job->name);
    write_text(out, "exit_reason", closing->exit_reason);
    (void)fprintf(out,
                  "  \"exit_code\": %d,\n  \"shards\": %u,\n  \"records_in\": %" PRIu64 ",\n  \"bytes_in\": %" PRIu64
                  ",\n  \"records_late\": %" PRIu64 ",\n  \"records_dead\": %" PRIu64
                  ",\n  \"records_duplicate\": %" PRIu64 ",\n  \"records_ignored\": %" PRIu64
                  ",\n  \"keys_moved\": %" PRIu64 ",\n  \"stamps_adjusted\": %" PRIu64
                  ",\n  \"rows_out\": %" PRIu64 ",\n  \"timers_fired\": %" PRIu64 ",\n",
                  closing->exit_code, cluster->plan->shard_count, totals.records_in, totals.bytes_in, totals.late,
                  totals.dead, totals.duplicates, totals.ignored, totals.moved_keys, totals.adjusted, totals.rows_out,
                  totals.timers_fired);
    (void)fprintf(out, "  \"dead_by_reason\": {");
    const char *comma = "";
    for (uint32_t r = 1; r < TG_REASON_COUNT; r++) {
        if (totals.dead_by_reason[r] == 0) { continue; }
        (void)fprintf(out, "%s\"%s\": %" PRIu64, comma, tg_reason_name((enum tg_reason)r), totals.dead_by_reason[r]);
        comma = ", ";
    }
    (void)fprintf(out,
                  "},\n  \"keys\": %" PRId64 ",\n  \"state_bytes\": %" PRId64 ",\n  \"lag\": %" PRId64
                  ",\n  \"seconds\": %.6f"
                  ",\n  \"active_seconds\": %.6f,\n  \"records_per_second\": %.1f,\n  \"cpu_seconds\": %.6f"
                  ",\n  \"rss_max_bytes\": %" PRIu64 ",\n",
                  totals.keys, totals.state_bytes, totals.lag, closing->seconds, closing->active_seconds,
                  span > 0 ? (double)totals.records_in / span : 0, cpu_seconds(), rss_max_bytes());
    write_latency(out, "latency_ns", &acknowledged);
    write_latency(out, "applied_ns", &applied);
    write_sinks(out, cluster);
    (void)fprintf(out, "  \"version\": \"%s\"\n}\n", TURGO_VERSION);
    if (fclose(out) != 0) { return tg_fail(err, TG1502, errno, "report %s", path); }
    return TG_OK;
}
