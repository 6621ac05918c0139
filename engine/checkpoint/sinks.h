/* Whether a checkpoint's sinks are the job's. A sink is known by its name and its connector: what a checkpoint keeps of
 * one is bytes that only that connector understands, about an output that only that name stands for. */
#ifndef TG_ENGINE_CHECKPOINT_SINKS_H
#define TG_ENGINE_CHECKPOINT_SINKS_H

#include "engine/checkpoint/manifest.h"
#include "engine/job.h"

/* What today's job says about a sink. */
struct tg_recovery_sink {
    const char *name;
    const char *connector;
};

/* The sinks of a job, dead letters and late rows among them. Fills out[TG_MANIFEST_SINKS_MAX] with names that live as
 * long as the job; returns how many there are.  @setup */
uint32_t tg_job_sinks(const struct tg_job *job, struct tg_recovery_sink *out);

/* Does each sink that has something to commit exist in today's job, sinks[count]? The caller asks while the checkpoint
 * is not settled: what is all outside needs nobody any more. Errors: TG1525.  @setup */
TG_MUST_USE tg_status tg_manifest_sinks_fit(const struct tg_manifest *manifest, const struct tg_recovery_sink *sinks,
                                            uint32_t count, struct tg_error *err);

#endif
