/* A job that cannot checkpoint goes on for a while, because disks are emptied and peers come back; then it stops
 * reading rather than let a crash cost ever more. */
#include "engine/checkpoint/health.h"

#include <inttypes.h>

#include "base/log.h"

static uint64_t get(const _Atomic uint64_t *value) { return atomic_load_explicit(value, memory_order_relaxed); }
static void set(_Atomic uint64_t *value, uint64_t to) { atomic_store_explicit(value, to, memory_order_relaxed); }

bool tg_checkpoint_health_holds(const struct tg_checkpoint_health *health)
{
    return get(&health->held_since_ns) != 0;
}

bool tg_checkpoint_health_good(const struct tg_checkpoint_health *health)
{
    return get(&health->failed_in_row) < TG_CHECKPOINT_FAILURES_MAX && !tg_checkpoint_health_holds(health);
}

uint64_t tg_checkpoint_health_failed_in_row(const struct tg_checkpoint_health *health)
{
    return get(&health->failed_in_row);
}

uint64_t tg_checkpoint_health_age_ns(const struct tg_checkpoint_health *health, uint64_t now_ns)
{
    const uint64_t since_ns = get(&health->protected_ns);
    return since_ns == 0 || now_ns < since_ns ? 0 : now_ns - since_ns;
}

uint64_t tg_checkpoint_health_held_ns(const struct tg_checkpoint_health *health, uint64_t now_ns)
{
    const uint64_t since_ns = get(&health->held_since_ns);
    return get(&health->held_ns) + (since_ns == 0 || now_ns < since_ns ? 0 : now_ns - since_ns);
}

void tg_checkpoint_health_complete(struct tg_checkpoint_health *health, uint64_t started_ns, uint64_t now_ns)
{
    const uint64_t failed = get(&health->failed_in_row);
    set(&health->protected_ns, started_ns);
    health->complete_ns = now_ns;
    set(&health->failed_in_row, 0);
    if (failed >= TG_CHECKPOINT_FAILURES_MAX) {
        tg_log(TG_LOG_INFO, TG2503, -1, NULL, "healthy again: a checkpoint is complete after %" PRIu64 " that failed",
               failed);
    }
    if (!tg_checkpoint_health_holds(health)) { return; }
    tg_log(TG_LOG_INFO, TG2502, -1, NULL, "reading again after %.1f s",
           (double)(now_ns - get(&health->held_since_ns)) / 1e9);
    set(&health->held_ns, tg_checkpoint_health_held_ns(health, now_ns));
    set(&health->held_since_ns, 0);
}

void tg_checkpoint_health_failed(struct tg_checkpoint_health *health)
{
    const uint64_t failed = get(&health->failed_in_row) + 1;
    set(&health->failed_in_row, failed);
    if (failed != TG_CHECKPOINT_FAILURES_MAX) { return; }
    tg_log(TG_LOG_WARN, TG2503, -1, NULL, "unhealthy: %" PRIu64 " checkpoints in a row have failed", failed);
}

void tg_checkpoint_health_poll(struct tg_checkpoint_health *health, uint64_t now_ns)
{
    if (health->complete_ns == 0) {
        health->complete_ns = now_ns;
        set(&health->protected_ns, now_ns);
    }
    if (health->max_age == TG_TS_MAX || tg_checkpoint_health_holds(health)) { return; }
    const uint64_t quiet_ns = now_ns - health->complete_ns;
    if (quiet_ns / 1000 <= (uint64_t)health->max_age) { return; }
    tg_log(TG_LOG_WARN, TG2502, -1, NULL,
           "no checkpoint was completed for %.1f s (checkpoint.max_age is %.1f s): reading stops until one is complete",
           (double)quiet_ns / 1e9, (double)health->max_age / 1e6);
    set(&health->held_since_ns, now_ns);
}
