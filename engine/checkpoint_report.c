/* What checkpoints were and cost, for the report in JSON: counts, bytes, slices, pauses, and the parts of a restore. */
#include <inttypes.h>

#include "engine/checkpoint.h"

/* Merging needs a histogram of its own: too large for the stack of a small thread. */
static void write_histogram(const struct tg_checkpoint *checkpoint, const char *name, bool slices, FILE *out)
{
    static _Thread_local struct tg_histogram all;
    all = (struct tg_histogram){0};
    for (uint32_t i = 0; i < checkpoint->config.plan->shard_count; i++) {
        tg_histogram_merge(&all, slices ? &checkpoint->parts[i].slices : &checkpoint->parts[i].pauses);
    }
    (void)fprintf(out,
                  "\"%s\": {\"count\": %" PRIu64 ", \"p50\": %" PRIu64 ", \"p99\": %" PRIu64 ", \"p999\": %" PRIu64
                  ", \"max\": %" PRIu64 "}",
                  name, tg_histogram_count(&all), tg_histogram_quantile_ns(&all, 0.5),
                  tg_histogram_quantile_ns(&all, 0.99), tg_histogram_quantile_ns(&all, 0.999),
                  tg_histogram_max_ns(&all));
}

static void write_health(const struct tg_checkpoint *checkpoint, FILE *out)
{
    const struct tg_checkpoint_health *health = &checkpoint->health;
    const uint64_t now_ns = tg_clock_now_ns(&checkpoint->config.clock);
    (void)fprintf(out,
                  "\"age_ns\": %" PRIu64 ", \"failed_in_row\": %" PRIu64 ", \"held_ns\": %" PRIu64 ", \"healthy\": %s",
                  tg_checkpoint_health_age_ns(health, now_ns), tg_checkpoint_health_failed_in_row(health),
                  tg_checkpoint_health_held_ns(health, now_ns), tg_checkpoint_health_good(health) ? "true" : "false");
}

static void write_restore(const struct tg_checkpoint *checkpoint, FILE *out)
{
    uint64_t keys = 0;
    uint64_t bytes = 0;
    uint64_t load_ns = 0;
    uint64_t load_cpu_ns = 0;
    uint64_t timers_ns = 0;
    for (uint32_t i = 0; i < checkpoint->config.plan->shard_count; i++) {
        const struct tg_checkpoint_shard *part = &checkpoint->parts[i];
        keys += part->loaded_keys;
        bytes += part->loaded_bytes;
        load_ns = part->load_ns > load_ns ? part->load_ns : load_ns;
        load_cpu_ns = part->load_cpu_ns > load_cpu_ns ? part->load_cpu_ns : load_cpu_ns;
        timers_ns = part->timers_ns > timers_ns ? part->timers_ns : timers_ns;
    }
    (void)fprintf(out,
                  "\"restore\": {\"epoch\": %" PRIu64 ", \"keys\": %" PRIu64 ", \"bytes\": %" PRIu64
                  ", \"verify_ns\": %" PRIu64 ", \"load_ns\": %" PRIu64 ", \"load_cpu_ns\": %" PRIu64
                  ", \"timers_ns\": %" PRIu64 "}",
                  checkpoint->choice.epoch, keys, bytes, checkpoint->verify_ns, load_ns, load_cpu_ns, timers_ns);
}

static uint64_t read_stat(const _Atomic uint64_t *stat) { return atomic_load_explicit(stat, memory_order_relaxed); }

void tg_checkpoint_write_json(const struct tg_checkpoint *checkpoint, FILE *out)
{
    const struct tg_checkpoint_stats *stats = &checkpoint->stats;
    (void)fprintf(out,
                  "{\"complete\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"last_ns\": %" PRIu64
                  ", \"last_bytes\": %" PRIu64 ", \"last_entries\": %" PRIu64 ", \"bytes\": %" PRIu64
                  ", \"entries\": %" PRIu64 ", \"align_ns_max\": %" PRIu64 ", \"restored\": %" PRIu64 ",\n    ",
                  read_stat(&stats->completed), read_stat(&stats->failed), read_stat(&stats->last_ns),
                  read_stat(&stats->last_bytes), read_stat(&stats->last_entries), read_stat(&stats->bytes),
                  read_stat(&stats->entries), read_stat(&stats->align_ns_max),
                  checkpoint->choice.found ? checkpoint->choice.epoch : 0);
    write_health(checkpoint, out);
    (void)fprintf(out, ",\n    ");
    write_histogram(checkpoint, "slice_cpu_ns", true, out);
    (void)fprintf(out, ", ");
    write_histogram(checkpoint, "pause_ns", false, out);
    (void)fprintf(out, ",\n    ");
    write_restore(checkpoint, out);
    (void)fprintf(out, "}");
}
