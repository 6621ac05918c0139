/* What checkpoints were and cost, for the log and for the report in JSON: counts, bytes, slices, pauses, and the parts
 * of a restore. */
#include <inttypes.h>

#include "base/log.h"
#include "engine/amounts.h"
#include "engine/checkpoint/checkpoint.h"

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
                  "\"age_ns\": %" PRIu64 ", \"recovery_ns\": %" PRIu64 ", \"failed_in_row\": %" PRIu64
                  ", \"held_ns\": %" PRIu64 ", \"healthy\": %s",
                  tg_checkpoint_health_age_ns(health, now_ns), tg_checkpoint_recovery_ns(checkpoint, now_ns),
                  tg_checkpoint_health_failed_in_row(health), tg_checkpoint_health_held_ns(health, now_ns),
                  tg_checkpoint_health_good(health) ? "true" : "false");
}

/* What the shards loaded, all together; of times the longest: they load at once. */
struct restored {
    uint64_t keys;
    uint64_t bytes;
    uint64_t end_ns;
    uint64_t load_ns;
    uint64_t load_cpu_ns;
    uint64_t timers_ns;
};

static uint64_t longer(uint64_t a, uint64_t b) { return a > b ? a : b; }

static struct restored sum_parts(const struct tg_checkpoint *checkpoint)
{
    struct restored sum = {0};
    for (uint32_t i = 0; i < checkpoint->config.plan->shard_count; i++) {
        const struct tg_checkpoint_shard *part = &checkpoint->parts[i];
        sum.keys += part->loaded_keys;
        sum.bytes += part->loaded_bytes;
        sum.end_ns = longer(sum.end_ns, part->loaded_ns);
        sum.load_ns = longer(sum.load_ns, part->load_ns);
        sum.load_cpu_ns = longer(sum.load_cpu_ns, part->load_cpu_ns);
        sum.timers_ns = longer(sum.timers_ns, part->timers_ns);
    }
    return sum;
}

static void write_restore(const struct tg_checkpoint *checkpoint, FILE *out)
{
    const struct restored sum = sum_parts(checkpoint);
    (void)fprintf(out,
                  "\"restore\": {\"epoch\": %" PRIu64 ", \"keys\": %" PRIu64 ", \"bytes\": %" PRIu64
                  ", \"verify_ns\": %" PRIu64 ", \"load_ns\": %" PRIu64 ", \"load_cpu_ns\": %" PRIu64
                  ", \"timers_ns\": %" PRIu64 "}",
                  checkpoint->choice.epoch, sum.keys, sum.bytes, checkpoint->verify_ns, sum.load_ns, sum.load_cpu_ns,
                  sum.timers_ns);
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

const char *tg_checkpoint_restored_text(const struct tg_checkpoint *checkpoint, char out[TG_RESTORE_TEXT_BYTES])
{
    const struct restored sum = sum_parts(checkpoint);
    char count[TG_AMOUNT_BYTES];
    char size[TG_AMOUNT_BYTES];
    char records[TG_AMOUNT_BYTES];
    char replay[64] = "";
    if (checkpoint->replay == 0) { (void)snprintf(replay, sizeof replay, "; nothing to replay"); }
    if (checkpoint->replay > 0) {
        (void)snprintf(replay, sizeof replay, "; replaying %s records",
                       tg_count_text((double)checkpoint->replay, records));
    }
    (void)snprintf(out, TG_RESTORE_TEXT_BYTES, "restored checkpoint %" PRIu64 ": %s keys, %s, %.1f s%s",
                   checkpoint->choice.epoch, tg_count_text((double)sum.keys, count),
                   tg_bytes_text((int64_t)checkpoint->progress.bytes, size),
                   (double)(sum.end_ns - checkpoint->begin_ns) / 1e9, replay);
    return out;
}

uint64_t tg_checkpoint_recovery_ns(const struct tg_checkpoint *checkpoint, uint64_t now_ns)
{
    const uint64_t age_ns = tg_checkpoint_health_age_ns(&checkpoint->health, now_ns);
    return tg_recovery_time_ns(&checkpoint->recovery_time, age_ns, tg_clock_process_cpu_ns());
}

void tg_checkpoint_note_restored(struct tg_checkpoint *checkpoint)
{
    if (checkpoint == NULL || !checkpoint->choice.found) { return; }
    tg_recovery_time_loaded(&checkpoint->recovery_time, checkpoint->progress.bytes,
                            sum_parts(checkpoint).end_ns - checkpoint->begin_ns, tg_clock_process_cpu_ns());
    for (uint32_t i = 0; i < checkpoint->choice.skipped_count && i < TG_RECOVERY_SKIPPED_MAX; i++) {
        tg_log(TG_LOG_WARN, TG1512, -1, NULL, "checkpoint %" PRIu64 " was passed over: %s",
               checkpoint->choice.skipped[i].epoch, checkpoint->choice.skipped[i].why.text);
    }
    char text[TG_RESTORE_TEXT_BYTES];
    tg_log(TG_LOG_INFO, TG_CODE_NONE, -1, NULL, "%s", tg_checkpoint_restored_text(checkpoint, text));
}
