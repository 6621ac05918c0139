/* The simulator: the real engine, every shard of it, in one thread. A seed chooses the input, the number of shards,
 * poll sizes and budgets, and then, step by step, which agent of which shard (or the I/O helper) runs next. The same
 * seed gives the same run, byte for byte. Time is the simulator's own. */
#ifndef TG_ENGINE_SIM_SIM_H
#define TG_ENGINE_SIM_SIM_H

#include "base/prng.h"
#include "engine/cluster.h"

/* Everything a seed chooses; printed in full so that a failing run can be read. */
struct tg_sim_options {
    uint64_t seed;
    uint32_t shards;     /* 1 to 8 */
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
};

/* What a run came to, also when it failed. */
struct tg_sim_outcome {
    uint64_t steps;
    struct tg_totals totals;
};

/* Draw the options of `seed`.  @setup */
void tg_sim_options_draw(struct tg_sim_options *options, uint64_t seed);
/* One line of name=value.  @setup */
void tg_sim_options_print(const struct tg_sim_options *options, FILE *out);

/* Write the input below dir/in, run the job file, leave its output below dir/out. A run that does not end is TG1403
 * (liveness).  @setup */
TG_MUST_USE tg_status tg_sim_run(const struct tg_sim_options *options, const char *job_path, const char *dir,
                                 struct tg_sim_outcome *outcome, struct tg_error *err);

#endif
