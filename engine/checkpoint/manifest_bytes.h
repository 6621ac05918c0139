/* Inside engine/checkpoint/manifest*.c: what is wrong in one section of a manifest, NULL when nothing is. */
#ifndef TG_ENGINE_CHECKPOINT_MANIFEST_BYTES_H
#define TG_ENGINE_CHECKPOINT_MANIFEST_BYTES_H

#include "engine/checkpoint/manifest.h"

/* Each looks at its own section; sources before steps, the job before files and sinks.  @any */
const char *tg_manifest_job_flaw(const struct tg_manifest *m);
const char *tg_manifest_sources_flaw(const struct tg_manifest *m);
const char *tg_manifest_steps_flaw(const struct tg_manifest *m);
const char *tg_manifest_files_flaw(const struct tg_manifest *m);
const char *tg_manifest_sinks_flaw(const struct tg_manifest *m);

#endif
