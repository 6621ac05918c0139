/* See sinks.h. */
#include "engine/checkpoint/sinks.h"

#include <inttypes.h>
#include <string.h>

uint32_t tg_job_sinks(const struct tg_job *job, struct tg_recovery_sink *out)
{
    const struct tg_sink_spec *const side[] = {job->dead_letters, job->late};
    uint32_t count = 0;
    for (uint32_t i = 0; i < job->sink_count; i++) {
        out[count++] = (struct tg_recovery_sink){.name = job->sinks[i].name, .connector = job->sinks[i].ops->name};
    }
    for (uint32_t i = 0; i < sizeof side / sizeof side[0]; i++) {
        if (side[i] == NULL) { continue; }
        out[count++] = (struct tg_recovery_sink){.name = side[i]->name, .connector = side[i]->ops->name};
    }
    return count;
}

/* Today's sink of that name; NULL = there is none. */
static const struct tg_recovery_sink *of_name(const char *name, const struct tg_recovery_sink *sinks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(sinks[i].name, name) == 0) { return &sinks[i]; }
    }
    return NULL;
}

tg_status tg_manifest_sinks_fit(const struct tg_manifest *manifest, const struct tg_recovery_sink *sinks,
                                uint32_t count, struct tg_error *err)
{
    for (uint32_t i = 0; i < manifest->sink_count; i++) {
        const struct tg_manifest_sink *stored = &manifest->sinks[i];
        if (!tg_manifest_sink_commits(stored)) { continue; }
        const struct tg_recovery_sink *now = of_name(stored->name, sinks, count);
        if (now != NULL && strcmp(now->connector, stored->connector) == 0) { continue; }
        return tg_fail(err, TG1525, 0,
                       "checkpoint %" PRIu64 " may have rows of %s sink %s that are not shown yet, and %s%s%s; let the "
                       "job run once with the sink as it was, or use --fresh",
                       manifest->epoch, stored->connector, stored->name,
                       now == NULL ? "the job has no such sink" : "it is a ", now == NULL ? "" : now->connector,
                       now == NULL ? "" : " sink now");
    }
    return TG_OK;
}
