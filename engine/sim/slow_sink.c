/* A sink keeps all its operations but push: that one is ours. The sinks of a job are of two kinds at most, and each
 * kind has a push of its own here, because a sink's state says nothing of its kind. */
#include "engine/sim/slow_sink.h"

#include "base/assert.h"
#include "base/prng.h"
#include "io/sink.h"

enum { REFUSALS = 4, KINDS = 2 }; /* of so many offers one is taken up */

static const struct tg_sink_ops *inner[KINDS];
static struct tg_sink_ops slow[KINDS];
static struct tg_prng prng;
static uint32_t limit;

static uint32_t push(const struct tg_sink_ops *ops, void *state, const struct tg_batch *batch, uint32_t from)
{
    if (tg_prng_below(&prng, REFUSALS) != 0) { return 0; }
    struct tg_batch view = *batch;
    const uint32_t rows = 1 + tg_prng_below(&prng, limit);
    if (view.count - from > rows) { view.count = from + rows; }
    return ops->push(state, &view, from);
}

static uint32_t push_first(void *state, const struct tg_batch *batch, uint32_t from)
{
    return push(inner[0], state, batch, from);
}

static uint32_t push_second(void *state, const struct tg_batch *batch, uint32_t from)
{
    return push(inner[1], state, batch, from);
}

static void put_before(struct tg_sink_spec *spec)
{
    if (spec == NULL) { return; }
    uint32_t kind = 0;
    while (kind < KINDS && inner[kind] != NULL && inner[kind] != spec->ops) { kind++; }
    TG_ASSERT(kind < KINDS);
    if (inner[kind] == NULL) {
        inner[kind] = spec->ops;
        slow[kind] = *spec->ops;
        slow[kind].push = kind == 0 ? push_first : push_second;
    }
    spec->ops = &slow[kind];
}

void tg_slow_sink_put_before(struct tg_job *job, uint32_t rows_max, uint64_t seed)
{
    TG_ASSERT(rows_max >= 1 && job->sink_count >= 1);
    for (uint32_t i = 0; i < KINDS; i++) { inner[i] = NULL; }
    prng = (struct tg_prng){seed};
    limit = rows_max;
    for (uint32_t i = 0; i < job->sink_count; i++) { put_before(&job->sinks[i]); }
    put_before(job->dead_letters);
    put_before(job->late);
}
