/* How well a job is protected by its checkpoints: how long ago the input stood where the newest complete one began, how
 * many in a row have failed, and whether reading is held back until one is complete. Shard 0 writes; the atomics are
 * for everybody to read, each for itself (relaxed). */
#ifndef TG_ENGINE_CHECKPOINT_HEALTH_H
#define TG_ENGINE_CHECKPOINT_HEALTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/types.h"

enum { TG_CHECKPOINT_FAILURES_MAX = 3 }; /* in a row: then the job is unhealthy */

struct tg_checkpoint_health {
    tg_us max_age; /* TG_TS_MAX = reading is never held back; does not change */
    /* Shard 0's own: when the newest one was complete, or the run began. What is held to max_age is this, not the age
     * of what is in it: a job whose checkpoints take longer than max_age would never read again. */
    uint64_t complete_ns;
    _Atomic uint64_t protected_ns; /* begin of the newest complete checkpoint, or of the run; 0 = not begun */
    _Atomic uint64_t failed_in_row;
    _Atomic uint64_t held_since_ns; /* 0 = reading is not held back */
    _Atomic uint64_t held_ns;       /* of all times that are over */
};

/* A checkpoint that began at started_ns is complete. Says so when it ends trouble.  @shard */
void tg_checkpoint_health_complete(struct tg_checkpoint_health *health, uint64_t started_ns, uint64_t now_ns);
/* One has failed. Says so when it is one too many.  @shard */
void tg_checkpoint_health_failed(struct tg_checkpoint_health *health);
/* Holds reading back once the newest complete checkpoint is too old.  @shard */
void tg_checkpoint_health_poll(struct tg_checkpoint_health *health, uint64_t now_ns);

/* Sources are to be left alone.  @any */
bool tg_checkpoint_health_holds(const struct tg_checkpoint_health *health);
/* False = TG_CHECKPOINT_FAILURES_MAX in a row have failed, or reading is held back.  @any */
bool tg_checkpoint_health_good(const struct tg_checkpoint_health *health);
uint64_t tg_checkpoint_health_failed_in_row(const struct tg_checkpoint_health *health); /* @any */
/* Age of what a crash would go back to; 0 before the run has begun.  @any */
uint64_t tg_checkpoint_health_age_ns(const struct tg_checkpoint_health *health, uint64_t now_ns);
/* How long reading was held back, all times together.  @any */
uint64_t tg_checkpoint_health_held_ns(const struct tg_checkpoint_health *health, uint64_t now_ns);

#endif
