/* What a checkpoint stores of each table of a job: the layouts of steps' states and of sources' identities, and the
 * hash by which a checkpoint knows its job's graph. */
#ifndef TG_ENGINE_CHECKPOINT_STATE_LAYOUT_H
#define TG_ENGINE_CHECKPOINT_STATE_LAYOUT_H

#include "base/arena.h"
#include "engine/plan.h"
#include "state/layout.h"

/* Tables of a job in the order files have them: one per step, then one per source with dedupe. */
struct tg_job_tables {
    uint32_t count;
    struct tg_state_layout layouts[TG_STEPS_MAX + TG_SOURCES_MAX];
    uint32_t of_source[TG_SOURCES_MAX]; /* index of its identities; UINT32_MAX = none */
};

/* Memory from `arena` (1 MiB is enough). Errors: TG1519 naming a state that cannot be stored, TG1601.  @setup */
TG_MUST_USE tg_status tg_job_tables_make(const struct tg_plan *plan, struct tg_arena *arena, struct tg_job_tables *out,
                                         struct tg_error *err);

/* What must be the same for a checkpoint to fit: sources and what identifies their records, steps, operators, keys, and
 * who reads whom. Not parameters, not layouts (those are matched by name), not sinks' settings.  @setup */
uint64_t tg_job_graph_hash(const struct tg_plan *plan);

#endif
