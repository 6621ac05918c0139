/* How far a restore is, for whoever waits for one that takes long: bytes verified, then bytes loaded, of all. Any
 * thread that reads adds its blocks; the one that waits says a line now and then. */
#ifndef TG_ENGINE_CHECKPOINT_PROGRESS_H
#define TG_ENGINE_CHECKPOINT_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "engine/checkpoint/manifest.h"

#define TG_RESTORE_LINE_NS 2000000000u /* a restore that takes longer says how far it is, and again after as long */

enum { TG_RESTORE_TEXT_BYTES = 160 };

struct tg_restore_progress {
    struct tg_clock clock;
    const char *done; /* "verified", "loaded" */
    uint64_t epoch;
    uint64_t bytes;        /* of the checkpoint's files */
    uint32_t readers;      /* how often each file is read */
    _Atomic uint64_t read; /* bytes, of bytes x readers; relaxed: nothing hangs on it */
    uint64_t next_ns;      /* when a line is due; the waiting thread's */
};

/* A restore begins: the first line is due TG_RESTORE_LINE_NS from now.  @setup */
void tg_restore_progress_open(struct tg_restore_progress *progress, struct tg_clock clock);
/* Every file of `manifest` is now read `readers` times, until it is `done` (lives for ever). No thread adds
 * meanwhile.  @setup */
void tg_restore_progress_begin(struct tg_restore_progress *progress, const struct tg_manifest *manifest,
                               const char *done, uint32_t readers);
/* So many bytes more are read: once a block, not once a record. `progress` may be NULL, here and below.  @any */
void tg_restore_progress_add(struct tg_restore_progress *progress, uint64_t bytes);
/* Say a line when one is due and something, but not all, is read; by one thread at a time. Returns whether it did.
 * @any */
bool tg_restore_progress_poll(struct tg_restore_progress *progress);
/* "restoring checkpoint 7: loaded 210.0MiB of 640.0MiB"; returns out.  @any */
const char *tg_restore_progress_text(const struct tg_restore_progress *progress, char out[TG_RESTORE_TEXT_BYTES]);

#endif
