/* The simulator: the real engine, every shard of it, in one thread, in a world of its own (clock, disk, log, network,
 * Cassandra). A seed chooses the input, the number of shards, poll sizes and budgets, what goes wrong and when, and
 * then, step by step, which agent of which shard (or the I/O helper, or the world) runs next. The same seed gives the
 * same run, byte for byte, in any process: tests/sim/run tries it.
 *
 * A run has two phases: first things go wrong, then all is healed and the run must come to its end in bounded time.
 * What came out is compared with the reference model by tests/sim/run, which is told the ticks that acted
 * (dir/out/ticks.jsonl). */
#ifndef TG_ENGINE_SIM_SIM_H
#define TG_ENGINE_SIM_SIM_H

#include "base/prng.h"
#include "engine/cluster.h"
#include "engine/sim/disk.h"

enum tg_sim_level { TG_SIM_NONE, TG_SIM_SOME, TG_SIM_MUCH };
enum { TG_SIM_PARTITIONS_MAX = 5 };

/* Everything a seed chooses; printed in full so that a failing run can be read. */
struct tg_sim_options {
    uint64_t seed;
    uint32_t shards;     /* 1 to TG_SIM_SHARDS_MAX */
    bool reshard;        /* with crashes: another number of them in every life */
    uint32_t poll;       /* records per poll, 1 to TG_BATCH_ROWS_MAX */
    uint32_t budget;     /* of an agent */
    uint32_t partitions; /* 1 to 5 */
    uint32_t keys;
    uint32_t records;
    uint32_t bias; /* 0 = all actors alike; else one shard is starved: it runs every bias-th time only */
    bool no_drain;
    bool ids;
    uint64_t rate; /* records a second of event time */
    tg_us disorder;
    tg_us delay; /* parameters of the job */
    tg_us window;
    tg_us idle;
    tg_us lateness;
    uint32_t late_ppm;
    uint32_t malformed_ppm;
    uint32_t duplicate_ppm;
    uint32_t sink_rows; /* sinks refuse most offers and take at most so many rows of others; 0 = sinks as they are */
    uint32_t id_chars;  /* of each id only so many differ, so that ids come back later; 0 = all */
    bool project;       /* rows go through the projection although the sink has the columns of its input */
    uint32_t max_keys;  /* of the job: so few that there is no room for all; 0 = enough */
    bool chain;         /* a step stands behind the job's step */
    bool log;           /* the source is the simulated log, else files of the simulated disk */
    bool cassandra;     /* the sink is the simulated Cassandra, else a file of the simulated disk */
    uint32_t nodes;     /* of Cassandra */
    uint32_t protocol;  /* newest version it speaks */
    tg_us timeout;      /* request_timeout of the sink */
    tg_us flush;        /* flush_every of the sink */
    uint64_t tick_ns;   /* longest time from step to step */
    uint64_t grow_ns;   /* the log grows for so long; 0 = all of it is there at once */
    tg_us idle_after;   /* partitions of a growing log are idle after so long; 0 = never: results depend on it */
    enum tg_sim_level disk_faults;
    enum tg_sim_level log_faults;
    enum tg_sim_level net_faults;
    enum tg_sim_level cql_faults;
    uint64_t outage_ns;    /* something goes down, or comes back, every so often; 0 = never */
    uint64_t stop_ns;      /* now and then the process stands still for up to so long; 0 = never */
    uint64_t heal_ns;      /* all is well from then on, when the crashes are over */
    uint32_t crashes;      /* so many lives end before their time, unless one is quicker; 0 unless asked for */
    tg_us checkpoint;      /* from one to the next; 0 = none, and every life begins from nothing */
    tg_us max_age;         /* reading stops when none was complete for so long; 0 = never */
    uint64_t crash_steps;  /* longest such life */
    uint32_t crash_visits; /* 0; or half of them end at a failpoint, at the latest at its visit of this number */
    uint32_t crash_calls;  /* 0; or half of the others end at a call to the disk, at the latest at so many */
    bool power_only;       /* every crash is a power cut */
    uint32_t moves;        /* so often at most the job goes on in another directory, from a restored checkpoint; drawn
                              from nothing else */
    bool audit;            /* the job sums up what it applies; half of the seeds, drawn from nothing else */
    bool crowded;          /* file sinks have no room for a second part; likewise a quarter of the seeds */
    enum tg_sim_direct direct; /* writes past the page cache; likewise */
    bool fatal; /* with crashes: also faults that end a job by its own will (sync, reading, creating files) */
};

/* Shards of its largest life. */
enum { TG_SIM_SHARDS_MAX = 8 };
static inline uint32_t tg_sim_shards_max(const struct tg_sim_options *options)
{
    return options->reshard ? TG_SIM_SHARDS_MAX : options->shards;
}

/* What a run came to, also when it failed. */
struct tg_sim_outcome {
    uint64_t steps;
    uint64_t healed_steps; /* of them, after everything was healed */
    uint64_t now_ns;
    uint64_t healed_ns;      /* of that, likewise */
    uint32_t crashes;        /* lives that were ended from outside */
    uint32_t cuts;           /* of them, by a power cut */
    uint32_t failures;       /* lives that ended with an error they were entitled to */
    uint64_t restores;       /* lives that began with a checkpoint */
    uint64_t deltas;         /* that they loaded */
    uint64_t faults;         /* that struck disk and Cassandra */
    uint64_t writes;         /* that reached Cassandra's table */
    uint64_t digest;         /* of what was written to the disk, and of where all seeded choices ended */
    uint64_t ticks;          /* raises of idle partitions' clocks that acted, again and again over lives */
    struct tg_totals totals; /* of the last life */
    uint32_t lives;
    uint32_t moves;           /* between them */
    uint32_t partition_count; /* of a run that came to its end by working; else 0 */
    struct tg_manifest_partition partitions[TG_SIM_PARTITIONS_MAX]; /* [partition_count] since the job's birth */
    struct tg_tally tallies[TG_SIM_PARTITIONS_MAX];                 /* [partition_count] of the job's step */
};

struct tg_sim_config {
    const char *job_path;
    const char *chain_path; /* the job with a step behind its step */
    const char *dir;        /* the input is left in dir/in, the output and the counts in dir/out */
    bool checkpoints;       /* also what every life leaves of them, in dir/checkpoints */
};

/* Draw the options of `seed`; at most `crashes_max` crashes.  @setup */
void tg_sim_options_draw(struct tg_sim_options *options, uint64_t seed, uint32_t crashes_max);
/* Choose otherwise: "name=value", a name and a whole number as in the printed line. False: there is no such name.
 * @setup */
TG_MUST_USE bool tg_sim_options_set(struct tg_sim_options *options, const char *setting);
/* One line of name=value.  @setup */
void tg_sim_options_print(const struct tg_sim_options *options, FILE *out);

/* One run. A run that does not end, or whose Cassandra was written to wrongly, is TG1403.  @setup */
TG_MUST_USE tg_status tg_sim_run(const struct tg_sim_options *options, const struct tg_sim_config *config,
                                 struct tg_sim_outcome *outcome, struct tg_error *err);

#endif
