#include "engine/checkpoint/progress.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/log.h"
#include "engine/amounts.h"

void tg_restore_progress_open(struct tg_restore_progress *progress, struct tg_clock clock)
{
    *progress = (struct tg_restore_progress){.clock = clock};
    progress->next_ns = tg_clock_now_ns(&progress->clock) + TG_RESTORE_LINE_NS;
}

void tg_restore_progress_begin(struct tg_restore_progress *progress, const struct tg_manifest *manifest,
                               const char *done, uint32_t readers)
{
    TG_ASSERT(readers != 0);
    progress->done = done;
    progress->epoch = manifest->epoch;
    progress->readers = readers;
    progress->bytes = tg_manifest_bytes(manifest);
    atomic_store_explicit(&progress->read, 0, memory_order_relaxed);
}

void tg_restore_progress_add(struct tg_restore_progress *progress, uint64_t bytes)
{
    if (progress == NULL) { return; }
    (void)atomic_fetch_add_explicit(&progress->read, bytes, memory_order_relaxed);
}

static uint64_t bytes_read(const struct tg_restore_progress *progress)
{
    return atomic_load_explicit(&progress->read, memory_order_relaxed) / progress->readers;
}

const char *tg_restore_progress_text(const struct tg_restore_progress *progress, char out[TG_RESTORE_TEXT_BYTES])
{
    char read[TG_AMOUNT_BYTES];
    char all[TG_AMOUNT_BYTES];
    (void)snprintf(out, TG_RESTORE_TEXT_BYTES, "restoring checkpoint %" PRIu64 ": %s %s of %s", progress->epoch,
                   progress->done, tg_bytes_text((int64_t)bytes_read(progress), read),
                   tg_bytes_text((int64_t)progress->bytes, all));
    return out;
}

bool tg_restore_progress_poll(struct tg_restore_progress *progress)
{
    if (progress == NULL || progress->readers == 0) { return false; }
    const uint64_t read = bytes_read(progress);
    if (read == 0 || read >= progress->bytes) { return false; }
    const uint64_t now_ns = tg_clock_now_ns(&progress->clock);
    if (now_ns < progress->next_ns) { return false; }
    progress->next_ns = now_ns + TG_RESTORE_LINE_NS;
    char text[TG_RESTORE_TEXT_BYTES];
    tg_log(TG_LOG_INFO, TG_CODE_NONE, -1, NULL, "%s", tg_restore_progress_text(progress, text));
    return true;
}
