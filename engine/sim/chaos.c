/* Rates of faults by level, the timetable of outages, healing. */
#include "engine/sim/chaos.h"

enum { FULL_BYTES = 64 << 10 };
#define MS_NS UINT64_C(1000000)

static void set_disk(const struct tg_sim_chaos *chaos, enum tg_sim_level level)
{
    static const struct tg_sim_disk_faults rates[] = {
        [TG_SIM_SOME] = {.write_ppm = 3000, .short_ppm = 20000},
        [TG_SIM_MUCH] = {.write_ppm = 100000, .short_ppm = 300000},
    };
    static const struct tg_sim_disk_faults fatal[] = {
        [TG_SIM_SOME] = {.read_ppm = 500, .write_ppm = 3000, .short_ppm = 20000, .sync_ppm = 3000, .entry_ppm = 500},
        [TG_SIM_MUCH] =
            {.read_ppm = 5000, .write_ppm = 100000, .short_ppm = 300000, .sync_ppm = 50000, .entry_ppm = 5000},
    };
    tg_sim_disk_set_faults(chaos->disk, chaos->options->fatal ? &fatal[level] : &rates[level]);
}

static void set_net(const struct tg_sim_chaos *chaos, enum tg_sim_level level)
{
    static const struct tg_sim_net_faults rates[] = {
        [TG_SIM_NONE] = {.delay_ns = MS_NS / 2},
        [TG_SIM_SOME] = {.cut_ppm = 2000, .silent_ppm = 200, .refuse_ppm = 50000, .delay_ns = 3 * MS_NS},
        [TG_SIM_MUCH] = {.cut_ppm = 20000, .silent_ppm = 2000, .refuse_ppm = 300000, .delay_ns = 30 * MS_NS},
    };
    tg_sim_net_set_faults(chaos->net, &rates[level]);
}

static void set_cql(const struct tg_sim_chaos *chaos, enum tg_sim_level level)
{
    static const struct tg_sim_cql_faults rates[] = {
        [TG_SIM_NONE] = {.service_ns = MS_NS},
        [TG_SIM_SOME] = {.overloaded_ppm = 5000,
                         .timeout_applied_ppm = 5000,
                         .timeout_later_ppm = 2000,
                         .timeout_lost_ppm = 2000,
                         .failure_ppm = 2000,
                         .late_ppm = 2000,
                         .silent_ppm = 1000,
                         .forget_ppm = 1000,
                         .cut_ppm = 1000,
                         .corrupt_ppm = 500,
                         .service_ns = 5 * MS_NS},
        [TG_SIM_MUCH] = {.overloaded_ppm = 100000,
                         .timeout_applied_ppm = 50000,
                         .timeout_later_ppm = 30000,
                         .timeout_lost_ppm = 30000,
                         .failure_ppm = 20000,
                         .late_ppm = 20000,
                         .silent_ppm = 10000,
                         .forget_ppm = 10000,
                         .cut_ppm = 5000,
                         .corrupt_ppm = 3000,
                         .service_ns = 40 * MS_NS},
    };
    struct tg_sim_cql_faults faults = rates[level];
    faults.late_ns = 2000 * (uint64_t)chaos->options->timeout; /* twice the client's limit */
    tg_sim_cql_set_faults(chaos->cql, &faults);
}

static void set_log(const struct tg_sim_chaos *chaos, enum tg_sim_level level)
{
    static const struct tg_sim_log_faults rates[] = {
        [TG_SIM_SOME] = {.lose_commit_ppm = 100000, .hold_ppm = 50000, .delay_ns = 20 * MS_NS},
        [TG_SIM_MUCH] = {.lose_commit_ppm = 500000, .hold_ppm = 400000, .delay_ns = 200 * MS_NS},
    };
    tg_sim_log_set_faults(chaos->log, &rates[level]);
}

static void schedule(struct tg_sim_chaos *chaos)
{
    chaos->next_ns = chaos->options->outage_ns == 0
                         ? UINT64_MAX
                         : chaos->world->now_ns + 1 + tg_prng_next(&chaos->prng) % (2 * chaos->options->outage_ns);
}

void tg_sim_chaos_begin(struct tg_sim_chaos *chaos)
{
    const struct tg_sim_options *options = chaos->options;
    set_disk(chaos, options->disk_faults);
    set_log(chaos, options->log_faults);
    set_net(chaos, options->net_faults);
    set_cql(chaos, options->cql_faults);
    schedule(chaos);
}

/* Something that works goes down, something that does not comes back. */
static void outage(struct tg_sim_chaos *chaos)
{
    const uint32_t what = tg_prng_below(&chaos->prng, 4);
    if (what == 0) {
        chaos->broker_down = !chaos->broker_down;
        tg_sim_log_set_up(chaos->log, !chaos->broker_down);
    } else if (what == 1) {
        chaos->disk_full = !chaos->disk_full;
        tg_sim_disk_set_budget(chaos->disk, chaos->disk_full ? tg_prng_below(&chaos->prng, FULL_BYTES) : UINT64_MAX);
    } else {
        const uint32_t host = tg_prng_below(&chaos->prng, chaos->options->nodes);
        chaos->hosts_down ^= 1u << host;
        tg_sim_net_set_up(chaos->net, host, (chaos->hosts_down >> host & 1) == 0);
    }
}

static void heal(struct tg_sim_chaos *chaos)
{
    chaos->healed = true;
    chaos->next_ns = UINT64_MAX;
    tg_sim_disk_set_faults(chaos->disk, &(struct tg_sim_disk_faults){0});
    tg_sim_disk_set_budget(chaos->disk, UINT64_MAX);
    set_log(chaos, TG_SIM_NONE);
    set_net(chaos, TG_SIM_NONE);
    set_cql(chaos, TG_SIM_NONE);
    tg_sim_log_set_up(chaos->log, true);
    tg_sim_log_reveal(chaos->log);
    for (uint32_t host = 0; host < chaos->options->nodes; host++) { tg_sim_net_set_up(chaos->net, host, true); }
}

void tg_sim_chaos_step(struct tg_sim_chaos *chaos)
{
    if (!chaos->healed && !chaos->held && chaos->world->now_ns >= chaos->options->heal_ns) {
        heal(chaos);
    } else if (chaos->world->now_ns >= chaos->next_ns) {
        outage(chaos);
        schedule(chaos);
    }
}

void tg_sim_chaos_calm(struct tg_sim_chaos *chaos, bool calm)
{
    if (chaos->healed || chaos->options->fatal) { return; }
    if (calm) {
        tg_sim_disk_set_faults(chaos->disk, &(struct tg_sim_disk_faults){0});
        tg_sim_disk_set_budget(chaos->disk, UINT64_MAX);
        chaos->disk_full = false;
    } else {
        set_disk(chaos, chaos->options->disk_faults);
    }
}
