/* The job's sinks keep all their operations but push: that one is ours. The replay profile has sinks of one kind, so
 * one copy of the operations serves them all. */
#include "engine/sim/slow_sink.h"

#include "base/assert.h"
#include "base/prng.h"
#include "io/sink.h"

enum { REFUSALS = 4 }; /* of so many offers one is taken up */

static const struct tg_sink_ops *inner;
static struct tg_sink_ops slow;
static struct tg_prng prng;
static uint32_t limit;

static uint32_t push(void *state, const struct tg_batch *batch, uint32_t from)
{
    if (tg_prng_below(&prng, REFUSALS) != 0) { return 0; }
    struct tg_batch view = *batch;
    const uint32_t rows = 1 + tg_prng_below(&prng, limit);
    if (view.count - from > rows) { view.count = from + rows; }
    return inner->push(state, &view, from);
}

static void put_before(struct tg_sink_spec *spec)
{
    if (spec == NULL) { return; }
    TG_ASSERT(spec->ops == inner);
    spec->ops = &slow;
}

void tg_slow_sink_put_before(struct tg_job *job, uint32_t rows_max, uint64_t seed)
{
    TG_ASSERT(rows_max >= 1 && job->sink_count >= 1);
    inner = job->sinks[0].ops;
    slow = *inner;
    slow.push = push;
    prng = (struct tg_prng){seed};
    limit = rows_max;
    for (uint32_t i = 0; i < job->sink_count; i++) { put_before(&job->sinks[i]); }
    put_before(job->dead_letters);
    put_before(job->late);
}
