/* What a seed chooses. Ranges are wide on purpose: tiny batches and starved shards find what comfort hides. */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sim/sim.h"

static uint32_t pick(struct tg_prng *prng, uint32_t count, const uint32_t *values)
{
    return values[tg_prng_below(prng, count)];
}

static tg_us pick_us(struct tg_prng *prng, uint32_t count, const tg_us *values)
{
    return values[tg_prng_below(prng, count)];
}

/* Time may not pass so quickly that a connection attempt or a request runs out of it merely because it is not yet the
 * turn of those who would finish it: that would be no fault of anybody's, and would never end. */
static void bound_time(struct tg_sim_options *options)
{
    enum { AGENTS = 5, TURNS = 6 }; /* of a request and its answer */
    const uint64_t round =
        (uint64_t)(tg_sim_shards_max(options) + 2) * AGENTS * (options->bias > 1 ? options->bias : 1);
    const uint64_t tick_ns_max = 1000000000 / (2 * round);
    options->tick_ns = options->tick_ns < tick_ns_max ? options->tick_ns : tick_ns_max;
    const tg_us turn_us = (tg_us)(TURNS * round * (options->tick_ns / 2) / 1000);
    options->timeout = options->timeout > 10 * turn_us ? options->timeout : 10 * turn_us;
}

/* What goes together. Who is refused for want of room is told apart by every single row. */
static void reconcile(struct tg_sim_options *options)
{
    if (options->cassandra || options->checkpoint != 0) { options->max_keys = 0; }
    if (options->crashes == 0) { options->reshard = false; }
    if (options->crashes == 0 || options->checkpoint == 0) { options->moves = 0; }
    if (options->chain) { options->max_keys = 0; }
    /* Without checkpoints the lives of a run have different ticks, and nothing is their common result; the job's clock
     * depends on when they come. */
    if (!options->log || options->chain || (options->checkpoint == 0 && options->crashes != 0)) {
        options->idle_after = 0;
    }
    /* Every checkpoint waits for the starved shard a few times: much of the run would be that. */
    if (options->checkpoint != 0 && options->bias > 5) { options->bias = 5; }
    bound_time(options);
}

/* The world around the job, and what goes wrong in it. */
static void draw_world(struct tg_sim_options *options, struct tg_prng *prng, uint32_t crashes_max)
{
    static const tg_us timeouts[] = {50000, 500000, 5000000};
    static const tg_us flushes[] = {0, 10000, 200000};
    static const uint32_t ticks[] = {20000, 200000, 2000000};
    static const uint32_t levels[] = {TG_SIM_NONE, TG_SIM_SOME, TG_SIM_SOME, TG_SIM_MUCH};
    static const uint32_t outages_ms[] = {0, 0, 300, 3000};
    static const uint32_t heals_ms[] = {2000, 10000, 60000};
    static const uint32_t crash_steps[] = {500, 5000, 50000};
    static const uint32_t crash_visits[] = {0, 30, 1000};
    static const uint32_t crash_calls[] = {0, 40, 400};
    static const uint32_t grows_ms[] = {0, 500, 8000};
    static const tg_us idle_afters[] = {0, 5000, 50000, 500000};
    static const uint32_t idle_grows_ms[] = {3000, 10000};
    static const uint32_t stops_ms[] = {0, 0, 100, 2000};
    static const tg_us checkpoints[] = {0, 1000, 3000, 10000, 30000, 200000};
    options->log = tg_prng_below(prng, 2) == 0;
    options->cassandra = tg_prng_below(prng, 2) == 0;
    options->nodes = 1 + tg_prng_below(prng, 3);
    options->protocol = 4 + (tg_prng_below(prng, 4) != 0);
    options->timeout = pick_us(prng, 3, timeouts);
    options->flush = pick_us(prng, 3, flushes);
    options->tick_ns = pick(prng, 3, ticks);
    options->grow_ns = options->log ? pick(prng, 3, grows_ms) * UINT64_C(1000000) : 0;
    options->disk_faults = (enum tg_sim_level)pick(prng, 4, levels);
    options->log_faults = (enum tg_sim_level)pick(prng, 4, levels);
    options->net_faults = (enum tg_sim_level)pick(prng, 4, levels);
    options->cql_faults = (enum tg_sim_level)pick(prng, 4, levels);
    options->outage_ns = pick(prng, 4, outages_ms) * UINT64_C(1000000);
    options->heal_ns = pick(prng, 3, heals_ms) * UINT64_C(1000000);
    options->crash_steps = pick(prng, 3, crash_steps);
    options->crash_visits = pick(prng, 3, crash_visits);
    options->crashes = crashes_max == 0 ? 0 : tg_prng_below(prng, crashes_max + 1);
    options->fatal = crashes_max != 0 && tg_prng_below(prng, 4) == 0;
    options->checkpoint = crashes_max == 0 ? 0 : pick_us(prng, 6, checkpoints);
    options->reshard = tg_prng_below(prng, 2) == 0;
    options->chain = tg_prng_below(prng, 4) == 0;
    options->crash_calls = pick(prng, 3, crash_calls);
    options->idle_after = options->log ? pick_us(prng, 4, idle_afters) : 0;
    const uint64_t idle_grow_ns = pick(prng, 2, idle_grows_ms) * UINT64_C(1000000);
    if (options->idle_after != 0) { options->grow_ns = idle_grow_ns; }
    options->max_age = tg_prng_below(prng, 4) == 0 ? 50 * options->checkpoint : 0;
    options->stop_ns = pick(prng, 4, stops_ms) * UINT64_C(1000000);
    reconcile(options);
}

void tg_sim_options_draw(struct tg_sim_options *options, uint64_t seed, uint32_t crashes_max)
{
    static const uint32_t polls[] = {1, 2, 7, 64, 500, 1024};
    static const uint32_t budgets[] = {1, 2, 8};
    static const uint32_t keys[] = {5, 20, 200};
    static const uint32_t biases[] = {0, 0, 5, 50};
    static const uint32_t records[] = {200, 800, 2500};
    static const uint32_t shares[] = {0, 10000, 50000};
    static const tg_us disorders[] = {0, 1000000, 20000000, 120000000};
    static const tg_us delays[] = {0, 5000000, 30000000, 300000000};
    static const tg_us windows[] = {300000000, 60000000, 1000000};
    static const tg_us idles[] = {30000000, 1000000, 400000000};
    static const tg_us latenesses[] = {0, 0, 10000000};
    static const uint32_t rates[] = {1, 5, 100};
    static const uint32_t sink_rows[] = {0, 1, 5, 300};
    static const uint32_t key_limits[] = {0, 0, 0, 2, 12};
    struct tg_prng prng = {seed * 0x9E3779B97F4A7C15ULL + 1};
    *options = (struct tg_sim_options){.seed = seed};
    options->shards = 1 + tg_prng_below(&prng, 8);
    options->poll = pick(&prng, 6, polls);
    options->budget = pick(&prng, 3, budgets);
    options->partitions = 1 + tg_prng_below(&prng, 5);
    options->keys = pick(&prng, 3, keys);
    options->records = pick(&prng, 3, records);
    options->bias = pick(&prng, 4, biases);
    options->no_drain = tg_prng_below(&prng, 4) == 0;
    options->ids = tg_prng_below(&prng, 2) == 0;
    options->rate = pick(&prng, 3, rates);
    options->disorder = pick_us(&prng, 4, disorders);
    options->delay = pick_us(&prng, 4, delays);
    options->window = pick_us(&prng, 3, windows);
    options->idle = pick_us(&prng, 3, idles);
    options->lateness = pick_us(&prng, 3, latenesses);
    options->late_ppm = pick(&prng, 3, shares);
    options->malformed_ppm = pick(&prng, 3, shares);
    options->duplicate_ppm = options->ids ? pick(&prng, 3, shares) : 0;
    options->sink_rows = pick(&prng, 4, sink_rows);
    options->id_chars = options->ids ? tg_prng_below(&prng, 3) : 0;
    options->project = tg_prng_below(&prng, 2) == 0;
    options->audit = seed % 2 == 1;
    options->crowded = seed / 2 % 4 == 1;
    options->moves = seed % 3 == 0 ? 3 : 0;
    options->direct = (enum tg_sim_direct)(seed / 8 % TG_SIM_DIRECT_WAYS);
    options->max_keys = pick(&prng, 5, key_limits);
    draw_world(options, &prng, crashes_max);
}

bool tg_sim_options_set(struct tg_sim_options *options, const char *setting)
{
    static const struct {
        const char *name;
        size_t offset;
        size_t bytes;
    } fields[] = {
#define FIELD(text, field) {text, offsetof(struct tg_sim_options, field), sizeof(((struct tg_sim_options *)0)->field)}
        FIELD("shards", shards),
        FIELD("reshard", reshard),
        FIELD("poll", poll),
        FIELD("partitions", partitions),
        FIELD("keys", keys),
        FIELD("records", records),
        FIELD("no_drain", no_drain),
        FIELD("ids", ids),
        FIELD("rate", rate),
        FIELD("window_us", window),
        FIELD("idle_us", idle),
        FIELD("delay_us", delay),
        FIELD("disorder_us", disorder),
        FIELD("lateness_us", lateness),
        FIELD("late_ppm", late_ppm),
        FIELD("duplicate_ppm", duplicate_ppm),
        FIELD("sink_rows", sink_rows),
        FIELD("log", log),
        FIELD("cassandra", cassandra),
        FIELD("flush_us", flush),
        FIELD("checkpoint_us", checkpoint),
        FIELD("crashes_max", crashes),
        FIELD("crash_steps", crash_steps),
        FIELD("crash_visits", crash_visits),
        FIELD("crash_calls", crash_calls),
        FIELD("fatal", fatal),
        FIELD("id_chars", id_chars),
        FIELD("bias", bias),
        FIELD("disk_faults", disk_faults),
        FIELD("power_only", power_only),
        FIELD("max_keys", max_keys),
        FIELD("chain", chain),
        FIELD("tick_ns", tick_ns),
        FIELD("grow_ns", grow_ns),
        FIELD("stop_ns", stop_ns),
        FIELD("budget", budget),
        FIELD("idle_after_us", idle_after),
        FIELD("max_age_us", max_age),
        FIELD("audit", audit),
        FIELD("crowded", crowded),
        FIELD("direct", direct),
        FIELD("moves_max", moves),
#undef FIELD
    };
    const char *equals = strchr(setting, '=');
    for (uint32_t i = 0; equals != NULL && i < sizeof fields / sizeof fields[0]; i++) {
        if (strncmp(fields[i].name, setting, (size_t)(equals - setting)) != 0) { continue; }
        if (fields[i].name[equals - setting] != '\0') { continue; }
        const uint64_t value = strtoull(equals + 1, NULL, 0); /* little endian: the low bytes come first */
        memcpy((uint8_t *)options + fields[i].offset, &value, fields[i].bytes);
        reconcile(options);
        return true;
    }
    return false;
}

void tg_sim_options_print(const struct tg_sim_options *options, FILE *out)
{
    (void)fprintf(
        out,
        "seed=%" PRIu64 " shards=%u poll=%u budget=%u partitions=%u keys=%u records=%u bias=%u no_drain=%d ids=%d "
        "rate=%" PRIu64 " disorder_us=%" PRId64 " delay_us=%" PRId64 " window_us=%" PRId64 " idle_us=%" PRId64
        " lateness_us=%" PRId64 " late_ppm=%u malformed_ppm=%u duplicate_ppm=%u "
        "sink_rows=%u id_chars=%u project=%d max_keys=%u",
        options->seed, options->shards, options->poll, options->budget, options->partitions, options->keys,
        options->records, options->bias, options->no_drain, options->ids, options->rate, options->disorder,
        options->delay, options->window, options->idle, options->lateness, options->late_ppm, options->malformed_ppm,
        options->duplicate_ppm, options->sink_rows, options->id_chars, options->project, options->max_keys);
    (void)fprintf(out,
                  " log=%d cassandra=%d nodes=%u protocol=%u timeout_us=%" PRId64 " flush_us=%" PRId64
                  " tick_ns=%" PRIu64 " grow_ns=%" PRIu64 " disk_faults=%u log_faults=%u net_faults=%u cql_faults=%u "
                  "outage_ns=%" PRIu64 " heal_ns=%" PRIu64 " checkpoint_us=%" PRId64
                  " crashes_max=%u crash_steps=%" PRIu64 " crash_visits=%u "
                  "crash_calls=%u reshard=%d chain=%d fatal=%d idle_after_us=%" PRId64 " max_age_us=%" PRId64
                  " audit=%d stop_ns=%" PRIu64 " moves_max=%u crowded=%d direct=%u",
                  options->log, options->cassandra, options->nodes, options->protocol, options->timeout, options->flush,
                  options->tick_ns, options->grow_ns, options->disk_faults, options->log_faults, options->net_faults,
                  options->cql_faults, options->outage_ns, options->heal_ns, options->checkpoint, options->crashes,
                  options->crash_steps, options->crash_visits, options->crash_calls, options->reshard, options->chain,
                  options->fatal, options->idle_after, options->max_age, options->audit, options->stop_ns,
                  options->moves, options->crowded, options->direct);
}
