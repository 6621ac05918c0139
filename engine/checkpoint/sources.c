/* Asking the sources what their logs are and hold: whether a checkpoint can be gone on with, and what the next ones
 * will be of. */
#include <errno.h>
#include <string.h>

#include "engine/checkpoint/checkpoint.h"

#define IDENTIFY_NS 3000000000u /* one try; the caller may try again */

/* Ask a source what its log is and holds. The answer's lists are in `arena`. */
static tg_status identify(struct tg_checkpoint *checkpoint, uint32_t source, const struct tg_manifest_source *stored,
                          struct tg_arena *arena, struct tg_source_log *log, struct tg_error *err)
{
    const struct tg_source_spec *spec = &checkpoint->config.plan->job->sources[source];
    const uint32_t count = checkpoint->config.plan->source_partitions[source];
    int64_t *lists = tg_arena_alloc(arena, 3 * count * sizeof *lists, 8);
    if (lists == NULL) { return tg_fail(err, TG1601, ENOMEM, "no memory for the positions of source %s", spec->name); }
    for (uint32_t p = 0; p < 2 * count; p++) { lists[p] = -1; }
    for (uint32_t p = 0; p < count; p++) {
        lists[2 * count + p] = stored != NULL ? stored->partitions[p].next_offset : -1;
    }
    *log = (struct tg_source_log){.partition_count = count,
                                  .known = stored != NULL ? stored->cluster : NULL,
                                  .positions = stored != NULL ? lists + 2 * count : NULL,
                                  .begin = lists,
                                  .end = lists + count};
    if (spec->ops->identify == NULL) { return TG_OK; }
    const uint64_t deadline_ns = tg_clock_now_ns(&checkpoint->config.clock) + IDENTIFY_NS;
    return spec->ops->identify(&spec->options, spec->name, deadline_ns, log, err);
}

/* Records between the position and the end; false when a partition's are not known. */
static bool count_replay(const struct tg_source_log *log, int64_t *sum)
{
    for (uint32_t p = 0; p < log->partition_count; p++) {
        const int64_t from = log->positions[p] >= 0 ? log->positions[p] : log->begin[p];
        if (!log->ends_there || from < 0 || log->end[p] < from) { return false; }
        *sum += log->end[p] - from;
    }
    return true;
}

tg_status tg_checkpoint_ask_sources(void *self, const struct tg_manifest *manifest, struct tg_arena *arena,
                                    struct tg_recovery_source *now, struct tg_error *err)
{
    struct tg_checkpoint *checkpoint = self;
    bool knows_replay = true;
    int64_t replay = 0;
    for (uint32_t i = 0; i < checkpoint->config.plan->job->source_count; i++) {
        struct tg_source_log log;
        const tg_status status =
            identify(checkpoint, i, tg_manifest_source_find(manifest, now[i].name), arena, &log, err);
        if (status != TG_OK) { return status; }
        memcpy(checkpoint->identities[i], log.identity, sizeof log.identity);
        now[i].cluster = checkpoint->identities[i];
        now[i].log_begin = log.begin;
        now[i].log_end = log.end;
        knows_replay = knows_replay && count_replay(&log, &replay);
    }
    checkpoint->replay = knows_replay ? replay : -1;
    return TG_OK;
}

tg_status tg_checkpoint_ask_first(struct tg_checkpoint *checkpoint, struct tg_error *err)
{
    struct tg_arena arena;
    tg_status status = tg_arena_open(&arena, TG_SOURCES_MAX * TG_PARTITIONS_MAX * 3 * sizeof(int64_t), err);
    for (uint32_t i = 0; status == TG_OK && i < checkpoint->config.plan->job->source_count; i++) {
        struct tg_source_log log;
        status = identify(checkpoint, i, NULL, &arena, &log, err);
        if (status == TG_OK) { memcpy(checkpoint->identities[i], log.identity, sizeof log.identity); }
    }
    tg_arena_close(&arena);
    return status;
}
