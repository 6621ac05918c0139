/* Partitions, fetches and commits. */
#include "engine/sim/log.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "io/fill.h"

struct record {
    size_t at; /* in the partition's bytes */
    uint32_t bytes;
    uint64_t visible_ns;
};

struct log_partition {
    uint8_t *bytes;
    size_t used;
    size_t capacity;
    struct record *records;
    uint32_t count;
    uint32_t record_capacity;
    uint32_t clock_from; /* one more than the first good record; UINT32_MAX = there is none yet */
    int64_t committed;
    int64_t committing; /* on its way since committing_ns; -1 = nothing is */
    uint64_t committing_ns;
};

struct tg_sim_log {
    struct tg_sim_world *world;
    struct tg_sim_log_faults faults;
    struct tg_prng prng;
    bool down;
    uint64_t down_ns; /* since when */
    bool frozen;
    uint32_t partition_count;
    struct log_partition partitions[];
};

static struct tg_sim_log *current;

static bool strikes(struct tg_sim_log *log, uint32_t ppm)
{
    return ppm != 0 && tg_prng_below(&log->prng, 1000000) < ppm;
}

/* ---- the log ----------------------------------------------------------------------------------------------------- */

struct tg_sim_log *tg_sim_log_create(struct tg_sim_world *world, uint32_t partitions, uint64_t seed)
{
    struct tg_sim_log *log = calloc(1, sizeof *log + partitions * sizeof log->partitions[0]);
    if (log == NULL) { return NULL; }
    log->world = world;
    log->prng = (struct tg_prng){seed};
    log->partition_count = partitions;
    for (uint32_t i = 0; i < partitions; i++) {
        log->partitions[i].clock_from = UINT32_MAX;
        log->partitions[i].committed = -1;
        log->partitions[i].committing = -1;
    }
    return log;
}

void tg_sim_log_destroy(struct tg_sim_log *log)
{
    if (log == NULL) { return; }
    for (uint32_t i = 0; i < log->partition_count; i++) {
        free(log->partitions[i].bytes);
        free(log->partitions[i].records);
    }
    if (current == log) { current = NULL; }
    free(log);
}

void tg_sim_log_use(struct tg_sim_log *log) { current = log; }

void tg_sim_log_append(struct tg_sim_log *log, uint32_t partition, const struct tg_sim_log_record *record)
{
    struct log_partition *p = &log->partitions[partition];
    if (p->bytes == NULL || p->used + record->bytes > p->capacity) {
        p->capacity = 2 * (p->used + record->bytes) + 4096;
        p->bytes = realloc(p->bytes, p->capacity);
        TG_ASSERT(p->bytes != NULL);
    }
    if (p->count == p->record_capacity) {
        p->record_capacity = 2 * p->count + 64;
        p->records = realloc(p->records, p->record_capacity * sizeof *p->records);
        TG_ASSERT(p->records != NULL);
    }
    TG_ASSERT(p->count == 0 || p->records[p->count - 1].visible_ns <= record->visible_ns);
    memcpy(p->bytes + p->used, record->value, record->bytes);
    p->records[p->count++] = (struct record){p->used, record->bytes, record->visible_ns};
    p->used += record->bytes;
    if (record->sets_clock && p->clock_from == UINT32_MAX) { p->clock_from = p->count; }
}

void tg_sim_log_set_faults(struct tg_sim_log *log, const struct tg_sim_log_faults *faults) { log->faults = *faults; }

void tg_sim_log_set_up(struct tg_sim_log *log, bool up)
{
    if (up == !log->down) { return; }
    log->down = !up;
    if (log->down) { log->down_ns = log->world->now_ns; }
    for (uint32_t i = 0; up && i < log->partition_count; i++) {
        const struct log_partition *p = &log->partitions[i];
        for (uint32_t k = 0; k < p->count; k++) {
            const bool missed =
                p->records[k].visible_ns > log->down_ns && p->records[k].visible_ns < log->world->now_ns;
            if (missed) { p->records[k].visible_ns = log->world->now_ns; }
        }
    }
}

void tg_sim_log_reveal(struct tg_sim_log *log)
{
    for (uint32_t i = 0; i < log->partition_count; i++) {
        const struct log_partition *p = &log->partitions[i];
        for (uint32_t k = 0; k < p->count; k++) {
            if (p->records[k].visible_ns > log->world->now_ns) { p->records[k].visible_ns = log->world->now_ns; }
        }
    }
}

void tg_sim_log_freeze(struct tg_sim_log *log) { log->frozen = true; }

/* A commit that had time enough has arrived. */
static void settle(const struct tg_sim_log *log, struct log_partition *p)
{
    if (p->committing < 0 || p->committing_ns > log->world->now_ns) { return; }
    p->committed = p->committing;
    p->committing = -1;
}

void tg_sim_log_crash(struct tg_sim_log *log)
{
    log->frozen = false;
    for (uint32_t i = 0; i < log->partition_count; i++) {
        struct log_partition *p = &log->partitions[i];
        if (p->committing >= 0 && tg_prng_below(&log->prng, 2) == 0) { p->committed = p->committing; }
        p->committing = -1;
    }
}

int64_t tg_sim_log_committed(const struct tg_sim_log *log, uint32_t partition)
{
    return log->partitions[partition].committed;
}

static bool visible_at(const struct tg_sim_log *log, const struct log_partition *p, uint64_t offset, uint64_t at_ns)
{
    if (log->down && at_ns > log->down_ns) { at_ns = log->down_ns; }
    return offset < p->count && p->records[offset].visible_ns <= at_ns;
}

bool tg_sim_log_was_silent(const struct tg_sim_log *log, uint32_t partition, int64_t offset, uint64_t at_ns)
{
    return !visible_at(log, &log->partitions[partition], offset < 0 ? 0 : (uint64_t)offset, at_ns);
}

/* ---- the source -------------------------------------------------------------------------------------------------- */

struct reader {
    uint32_t partition;
    uint32_t next; /* offset */
    bool ended;
    bool told_end;    /* that nothing is visible behind `next` */
    uint64_t wait_ns; /* no fetch before */
};

struct log_source {
    struct tg_sim_log *log;
    struct tg_fill fill;
    uint32_t poll_count_max;
    uint32_t count;
    uint32_t turn;
    bool bounded;
    struct reader readers[];
};

static tg_status discover(const struct tg_options *options, const char *source_name, uint64_t deadline_ns,
                          uint32_t *partition_count, struct tg_error *err)
{
    (void)options;
    (void)deadline_ns;
    if (current == NULL) { return tg_fail(err, TG1501, 0, "source %s: there is no simulated log", source_name); }
    *partition_count = current->partition_count;
    return TG_OK;
}

static tg_status identify(const struct tg_options *options, const char *source_name, uint64_t deadline_ns,
                          struct tg_source_log *log, struct tg_error *err)
{
    (void)options;
    (void)source_name;
    (void)deadline_ns;
    (void)err;
    memcpy(log->identity, "sim", sizeof "sim");
    for (uint32_t i = 0; i < log->partition_count; i++) {
        log->begin[i] = 0;
        log->end[i] = current->partitions[i].count;
    }
    return TG_OK;
}

static size_t state_bytes(const struct tg_options *options, uint32_t owned_count)
{
    (void)options;
    return sizeof(struct log_source) + owned_count * sizeof(struct reader);
}

static tg_status open_source(void *state, const struct tg_source_env *env, struct tg_error *err)
{
    (void)err;
    struct log_source *source = state;
    source->log = current;
    source->fill.pool = env->buffers;
    source->poll_count_max = env->poll_count_max;
    source->count = env->owned_count;
    source->bounded = env->bounded;
    for (uint32_t i = 0; i < env->owned_count; i++) {
        struct log_partition *p = &source->log->partitions[env->partitions[i]];
        settle(source->log, p);
        const uint32_t start = env->fresh || p->committed < 0 ? 0 : (uint32_t)p->committed;
        source->readers[i] = (struct reader){.partition = env->partitions[i], .next = start};
    }
    return TG_OK;
}

static bool visible(const struct tg_sim_log *log, const struct log_partition *p, uint32_t offset)
{
    return visible_at(log, p, offset, log->world->now_ns);
}

/* Records into the batch, at most `count`. */
static void fetch(struct log_source *source, struct reader *reader, uint32_t count, struct tg_raw_batch *out)
{
    const struct log_partition *p = &source->log->partitions[reader->partition];
    while (out->count < count && visible(source->log, p, reader->next)) {
        const struct record *record = &p->records[reader->next];
        if (out->count > 0 && tg_fill_room(&source->fill) < record->bytes) { return; } /* one buffer a batch */
        if (!tg_fill_begin(&source->fill, record->bytes)) { return; }
        out->slices[out->count++] = (struct tg_slice){
            .value = tg_fill_append(&source->fill, p->bytes + record->at, record->bytes),
            .offset = reader->next++,
            .record_us = TG_TS_MIN,
            .value_bytes = record->bytes,
        };
    }
}

/* News of one partition; 0 = none. */
static uint32_t reader_poll(struct log_source *source, struct reader *reader, struct tg_raw_batch *out)
{
    struct tg_sim_log *log = source->log;
    const struct log_partition *p = &log->partitions[reader->partition];
    if (reader->ended || log->world->now_ns < reader->wait_ns) { return 0; }
    if (strikes(log, log->faults.hold_ppm) && log->faults.delay_ns > 0) {
        reader->wait_ns = log->world->now_ns + tg_prng_next(&log->prng) % log->faults.delay_ns;
        return 0;
    }
    out->partition = reader->partition;
    fetch(source, reader, 1 + tg_prng_below(&log->prng, source->poll_count_max), out);
    if (out->count > 0) {
        out->buffer = tg_fill_lend(&source->fill);
        reader->told_end = false;
    }
    if (visible(log, p, reader->next)) { return out->count > 0; }
    if (reader->next == p->count) {
        if (source->bounded) {
            out->flags = TG_RAW_AT_END | TG_RAW_ENDED;
            reader->ended = true;
        } else if (!reader->told_end) {
            out->flags = TG_RAW_AT_END;
        }
    } else if (reader->next >= p->clock_from && !reader->told_end) {
        out->flags = TG_RAW_AT_END;
    }
    reader->told_end = reader->told_end || out->flags != 0;
    return out->count > 0 || out->flags != 0;
}

static uint32_t poll_source(void *state, struct tg_raw_batch *out, uint64_t now_ns)
{
    struct log_source *source = state;
    if (source->log->down || source->log->frozen) { return 0; }
    out->count = 0;
    out->flags = 0;
    out->buffer = NULL;
    out->arrived_ns = now_ns;
    for (uint32_t i = 0; i < source->count; i++) {
        struct reader *reader = &source->readers[source->turn];
        source->turn = (source->turn + 1) % source->count;
        if (reader_poll(source, reader, out) != 0) { return 1; }
    }
    return 0;
}

static tg_status failure(const void *state, struct tg_error *err)
{
    (void)state;
    (void)err;
    return TG_OK;
}

static bool unread(void *state, uint32_t partition)
{
    const struct log_source *source = state;
    for (uint32_t i = 0; i < source->count; i++) {
        const struct reader *reader = &source->readers[i];
        if (reader->partition != partition) { continue; }
        return visible(source->log, &source->log->partitions[partition], reader->next);
    }
    return false;
}

static int64_t lag(const void *state)
{
    const struct log_source *source = state;
    int64_t records = 0;
    for (uint32_t i = 0; i < source->count; i++) {
        records += source->log->partitions[source->readers[i].partition].count - source->readers[i].next;
    }
    return records;
}

static void commit(void *state, uint32_t partition, int64_t offset)
{
    const struct log_source *source = state;
    struct tg_sim_log *log = source->log;
    struct log_partition *p = &log->partitions[partition];
    settle(log, p);
    if (log->frozen || strikes(log, log->faults.lose_commit_ppm)) { return; }
    p->committing = offset;
    p->committing_ns =
        log->world->now_ns + (log->faults.delay_ns > 0 ? tg_prng_next(&log->prng) % log->faults.delay_ns : 0);
}

static void close_source(void *state)
{
    struct log_source *source = state;
    tg_fill_close(&source->fill);
}

const struct tg_source_ops tg_sim_log_source = {
    .name = "sim_log",
    .discover = discover,
    .identify = identify,
    .state_bytes = state_bytes,
    .open = open_source,
    .poll = poll_source,
    .failure = failure,
    .unread = unread,
    .lag = lag,
    .commit = commit,
    .close = close_source,
};
