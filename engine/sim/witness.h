/* Somebody outside the process, who remembers over its deaths what it promised: a checkpoint it said was complete is
 * there at the next start, rows a reader saw in a file stay in it, and no clock goes back. What comes out in the end
 * may be right without any of these. */
#ifndef TG_ENGINE_SIM_WITNESS_H
#define TG_ENGINE_SIM_WITNESS_H

#include "engine/cluster.h"
#include "engine/sim/disk.h"

enum { TG_SIM_WITNESS_FILES = 4 };

struct tg_sim_witness {
    const struct tg_sim_disk *disk;
    const char *paths[TG_SIM_WITNESS_FILES]; /* of files that readers watch; NULL = no more of them */
    void *seen[TG_SIM_WITNESS_FILES];        /* the longest a reader saw */
    size_t seen_bytes[TG_SIM_WITNESS_FILES];
    bool is_whole;     /* the life has committed again what its start found: before that, files may be torn */
    uint64_t complete; /* newest checkpoint that was said to be */
    uint64_t restores; /* starts from a checkpoint */
    uint64_t deltas;   /* files of these checkpoints that were deltas */
};

/* A life has opened and not worked yet: is everything as promised? `lossy` = reading and syncing may fail, too: then a
 * complete checkpoint may be passed over. Errors: TG1403.  @setup */
TG_MUST_USE tg_status tg_sim_witness_start(struct tg_sim_witness *witness, const struct tg_cluster *cluster, bool lossy,
                                           struct tg_error *err);
/* A life is over; the disk is as it left it, before a power cut takes anything. `cluster` may be NULL: it failed to
 * start.  @setup */
void tg_sim_witness_end(struct tg_sim_witness *witness, const struct tg_cluster *cluster, bool lossy);
/* @setup */
void tg_sim_witness_close(struct tg_sim_witness *witness);

#endif
