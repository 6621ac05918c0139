/* A partitioned log in memory, and the source `sim_log` that reads it (known to turgo-sim only). Records become visible
 * over time; fetches bring drawn numbers of them after drawn delays; the broker is away for a while; what was committed
 * for the group may not have arrived when somebody dies. Log and committed positions survive every crash. */
#ifndef TG_ENGINE_SIM_LOG_H
#define TG_ENGINE_SIM_LOG_H

#include <stdbool.h>

#include "engine/sim/world.h"
#include "io/source.h"

struct tg_sim_log;

struct tg_sim_log_record {
    const void *value; /* copied */
    uint32_t bytes;
    bool sets_clock;     /* a good record: from here on reports of the log's end may be told (see below) */
    uint64_t visible_ns; /* not before; never falls within a partition */
};

struct tg_sim_log_faults {
    uint32_t lose_commit_ppm; /* of commits: never arrives */
    uint32_t hold_ppm;        /* of fetches: nothing, the next one comes after delay_ns at most */
    uint64_t delay_ns;
};

/* No partition has records yet. NULL = no memory.  @setup */
struct tg_sim_log *tg_sim_log_create(struct tg_sim_world *world, uint32_t partitions, uint64_t seed);
/* @setup */
void tg_sim_log_destroy(struct tg_sim_log *log);
/* The log that `sim_log` reads from now on; lent.  @setup */
void tg_sim_log_use(struct tg_sim_log *log);
/* @setup */
void tg_sim_log_append(struct tg_sim_log *log, uint32_t partition, const struct tg_sim_log_record *record);
/* From now on.  @setup */
void tg_sim_log_set_faults(struct tg_sim_log *log, const struct tg_sim_log_faults *faults);
/* Take the broker away or bring it back. Records that were to become visible meanwhile do so then: there was nobody to
 * take them.  @setup */
void tg_sim_log_set_up(struct tg_sim_log *log, bool up);
/* Everything appended is visible from now on.  @setup */
void tg_sim_log_reveal(struct tg_sim_log *log);
/* Was nothing to be seen of the record at `offset` at the instant `at_ns`, nor of any behind it? -1 = the first. @setup
 */
bool tg_sim_log_was_silent(const struct tg_sim_log *log, uint32_t partition, int64_t offset, uint64_t at_ns);

/* The process is dead: nothing is fetched or committed until the crash below.  @setup */
void tg_sim_log_freeze(struct tg_sim_log *log);
/* Commits still on their way arrive or do not.  @setup */
void tg_sim_log_crash(struct tg_sim_log *log);
/* Committed position of a partition; -1 = none.  @setup */
int64_t tg_sim_log_committed(const struct tg_sim_log *log, uint32_t partition);

/* What is visible counts as fetched: the client behind the source knows of it, whether the engine polls or not.
 *
 * Reports of the end (TG_RAW_AT_END) come in the middle of the log too, wherever nothing newer was visible. Idleness
 * acts on them: a job whose results must not depend on it sets idle_after out of reach. A partition without any good
 * record is idle at once, so it tells its end only behind its first one, and behind its last record.  @any */
extern const struct tg_source_ops tg_sim_log_source;

#endif
