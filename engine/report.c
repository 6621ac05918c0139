/* Numbers as people and programs read them. Only the main thread reports. */
#include "engine/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/json_text.h"
#include "base/log.h"
#include "engine/amounts.h"

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

static void print_checkpoints(const struct tg_checkpoint *checkpoint, FILE *out)
{
    char a[TG_AMOUNT_BYTES];
    if (checkpoint == NULL) { return; }
    const struct tg_checkpoint_stats *stats = &checkpoint->stats;
    const uint64_t now_ns = tg_clock_now_ns(&checkpoint->config.clock);
    const uint64_t held_ns = tg_checkpoint_health_held_ns(&checkpoint->health, now_ns);
    const uint64_t failed = tg_checkpoint_health_failed_in_row(&checkpoint->health);
    if (!tg_checkpoint_health_good(&checkpoint->health)) {
        (void)fprintf(
            out, "  unhealthy       %" PRIu64 " checkpoints in a row have failed (TG2503), the newest is of %s ago\n",
            failed, tg_time_text(tg_checkpoint_health_age_ns(&checkpoint->health, now_ns), a));
    }
    if (held_ns != 0) {
        (void)fprintf(out, "  held            nothing was read for %s (TG2502)\n", tg_time_text(held_ns, a));
    }
    (void)fprintf(out, "  checkpoints     %" PRIu64 " complete, %" PRIu64 " failed; the last one %.1f ms, %s\n",
                  atomic_load_explicit(&stats->completed, memory_order_relaxed),
                  atomic_load_explicit(&stats->failed, memory_order_relaxed),
                  (double)atomic_load_explicit(&stats->last_ns, memory_order_relaxed) / 1e6,
                  tg_bytes_text((int64_t)atomic_load_explicit(&stats->last_bytes, memory_order_relaxed), a));
}

static void write_checkpoints(const struct tg_checkpoint *checkpoint, FILE *out)
{
    if (checkpoint == NULL) { return; }
    (void)fprintf(out, "  \"checkpoints\": ");
    tg_checkpoint_write_json(checkpoint, out);
    (void)fprintf(out, ",\n");
}

/* Over all lives that checkpoints connect. */
static void print_since_birth(const struct tg_cluster *cluster, FILE *out)
{
    const struct tg_plan *plan = cluster->plan;
    struct tg_manifest_partition sum = {0};
    struct tg_manifest_partition own;
    if (cluster->checkpoint == NULL || !cluster->checkpoint->choice.found) { return; } /* this life is all there is */
    for (uint32_t s = 0; s < plan->job->source_count; s++) {
        for (uint32_t p = 0; p < plan->source_partitions[s]; p++) {
            if (!tg_cluster_partition(cluster, s, p, &own)) { continue; }
            sum.records += own.records;
            sum.accepted += own.accepted;
            sum.dead += own.dead;
            sum.late += own.late;
            sum.duplicates += own.duplicates;
        }
    }
    (void)fprintf(out,
                  "  since birth     in %" PRIu64 "  accepted %" PRIu64 "  late %" PRIu64 "  dead %" PRIu64
                  "  duplicate %" PRIu64 "\n",
                  sum.records, sum.accepted, sum.late, sum.dead, sum.duplicates);
}

static void write_tallies(const struct tg_cluster *cluster, uint32_t partition, FILE *out)
{
    struct tg_tally tally;
    const char *comma = "";
    for (uint32_t i = 0; i < cluster->plan->job->step_count; i++) {
        if (!tg_cluster_tally(cluster, i, partition, &tally)) { continue; }
        (void)fprintf(out,
                      "%s\"%s\": {\"applied\": %" PRIu64 ", \"ignored\": %" PRIu64 ", \"refused\": %" PRIu64
                      ", \"sum\": %" PRId64 ", \"squares\": %" PRId64 "}",
                      comma, cluster->plan->job->steps[i].name, tally.applied, tally.ignored, tally.refused,
                      (int64_t)tally.sum, (int64_t)tally.squares);
        comma = ", ";
    }
}

/* Every partition since the job's birth, and what its rows came to in each step, by the step's name. */
static void write_partitions(const struct tg_cluster *cluster, FILE *out)
{
    const struct tg_plan *plan = cluster->plan;
    struct tg_manifest_partition own;
    const char *comma = "";
    (void)fprintf(out, "  \"partitions\": [");
    for (uint32_t s = 0; s < plan->job->source_count; s++) {
        for (uint32_t p = 0; p < plan->source_partitions[s]; p++) {
            if (!tg_cluster_partition(cluster, s, p, &own)) { continue; }
            (void)fprintf(out,
                          "%s\n    {\"source\": \"%s\", \"partition\": %u, \"next_offset\": %" PRId64
                          ", \"records\": %" PRIu64 ", \"accepted\": %" PRIu64 ", \"dead\": %" PRIu64
                          ", \"late\": %" PRIu64 ", \"late_in_part\": %" PRIu64 ", \"duplicates\": %" PRIu64
                          ", \"steps\": {",
                          comma, plan->job->sources[s].name, p, own.next_offset, own.records, own.accepted, own.dead,
                          own.late, own.late_in_part, own.duplicates);
            write_tallies(cluster, plan->partition_first[s] + p, out);
            (void)fprintf(out, "}}");
            comma = ",";
        }
    }
    (void)fprintf(out, "\n  ],\n");
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
    char a[TG_AMOUNT_BYTES];
    char b[TG_AMOUNT_BYTES];
    const double span = closing->active_seconds > 0 ? closing->active_seconds : closing->seconds;
    (void)fprintf(out, "\n%s: %s\n", cluster->plan->job->name, closing->exit_reason);
    (void)fprintf(out,
                  "  records         in %" PRIu64 "  out %" PRIu64 "  late %" PRIu64 "  dead %" PRIu64
                  "  duplicate %" PRIu64 "  without effect %" PRIu64 "\n",
                  totals.records_in, totals.rows_out, totals.late, totals.dead, totals.duplicates, totals.ignored);
    print_since_birth(cluster, out);
    print_dead(&totals, out);
    print_oddities(&totals, out);
    (void)fprintf(out, "  time            %.1f s, %s records/s, %.2f s CPU, peak memory %s\n", closing->seconds,
                  tg_count_text(span > 0 ? (double)totals.records_in / span : 0, a), cpu_seconds(),
                  tg_bytes_text((int64_t)rss_max_bytes(), b));
    (void)fprintf(out, "  state           %s keys, %s, %" PRIu64 " timers fired\n",
                  tg_count_text((double)totals.keys, a), tg_bytes_text(totals.state_bytes, b), totals.timers_fired);
    print_checkpoints(cluster->checkpoint, out);
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
    (void)fprintf(out, "  latency         from read to acknowledged:");
    static const struct {
        const char *name;
        double quantile;
    } rows[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const uint64_t ns = tg_histogram_quantile_ns(&acknowledged, rows[i].quantile);
        (void)fprintf(out, " %s %s ", rows[i].name, tg_time_text(ns, a));
    }
    (void)fprintf(out, " max %s\n", tg_time_text(tg_histogram_max_ns(&acknowledged), a));
    tg_histogram_print(&acknowledged, out, 12);
}

void tg_report_log(const struct tg_cluster *cluster, const struct tg_closing *closing)
{
    struct tg_totals totals;
    tg_cluster_totals(cluster, &totals);
    collect_latency(cluster);
    char fields[512];
    (void)snprintf(fields, sizeof fields,
                   "exit_code=%d seconds=%.3f records_in=%" PRIu64 " rows_out=%" PRIu64 " late=%" PRIu64
                   " dead=%" PRIu64 " duplicate=%" PRIu64 " keys=%" PRId64 " state_bytes=%" PRId64
                   " timers_fired=%" PRIu64 " latency_p50_us=%" PRIu64 " latency_p99_us=%" PRIu64
                   " latency_max_us=%" PRIu64,
                   closing->exit_code, closing->seconds, totals.records_in, totals.rows_out, totals.late, totals.dead,
                   totals.duplicates, totals.keys, totals.state_bytes, totals.timers_fired,
                   tg_histogram_quantile_ns(&acknowledged, 0.5) / 1000,
                   tg_histogram_quantile_ns(&acknowledged, 0.99) / 1000, tg_histogram_max_ns(&acknowledged) / 1000);
    tg_log(closing->exit_code == 0 ? TG_LOG_INFO : TG_LOG_ERROR, TG_CODE_NONE, -1, fields, "closed: %s",
           closing->exit_reason);
}

static void write_latency(FILE *out, const char *name, const struct tg_histogram *histogram)
{
    (void)fprintf(out,
                  "  \"%s\": {\"count\": %" PRIu64 ", \"p50\": %" PRIu64 ", \"p90\": %" PRIu64 ", \"p99\": %" PRIu64
                  ", \"p999\": %" PRIu64 ", \"p9999\": %" PRIu64 ", \"max\": %" PRIu64 "},\n",
                  name, tg_histogram_count(histogram), tg_histogram_quantile_ns(histogram, 0.5),
                  tg_histogram_quantile_ns(histogram, 0.9), tg_histogram_quantile_ns(histogram, 0.99),
                  tg_histogram_quantile_ns(histogram, 0.999), tg_histogram_quantile_ns(histogram, 0.9999),
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
    (void)fprintf(
        out,
        "  \"exit_code\": %d,\n  \"shards\": %u,\n  \"records_in\": %" PRIu64 ",\n  \"bytes_in\": %" PRIu64
        ",\n  \"records_late\": %" PRIu64 ",\n  \"records_dead\": %" PRIu64 ",\n  \"records_duplicate\": %" PRIu64
        ",\n  \"records_ignored\": %" PRIu64 ",\n  \"keys_moved\": %" PRIu64 ",\n  \"stamps_adjusted\": %" PRIu64
        ",\n  \"rows_out\": %" PRIu64 ",\n  \"timers_fired\": %" PRIu64 ",\n",
        closing->exit_code, cluster->plan->shard_count, totals.records_in, totals.bytes_in, totals.late, totals.dead,
        totals.duplicates, totals.ignored, totals.moved_keys, totals.adjusted, totals.rows_out, totals.timers_fired);
    write_checkpoints(cluster->checkpoint, out);
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
    write_partitions(cluster, out);
    write_sinks(out, cluster);
    (void)fprintf(out, "  \"version\": \"%s\"\n}\n", TURGO_VERSION);
    if (fclose(out) != 0) { return tg_fail(err, TG1502, errno, "report %s", path); }
    return TG_OK;
}
