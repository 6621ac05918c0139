/* Orders of a shard become a frame, a frame becomes durable, and only then anybody hears of it. */
#include "engine/checkpoint/tick_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "engine/checkpoint/recovery.h"

enum { MANIFESTS_MAX = 64 }; /* more than that are kept: the log is not trimmed by them */
#define PACE_NS 20000000u    /* from one frame of a shard to the next: ticks of many partitions share a sync */
#define DOUBT_NS 100000000u  /* from one try to take back a failed write to the next */

/* ---- the log: start ---------------------------------------------------------------------------------------------- */

static const struct tg_manifest_partition *held(const struct tg_manifest *manifest,
                                                const struct tg_ticks_header *header, const struct tg_tick *tick)
{
    const char *name = header->sources[tick->source].name;
    for (uint32_t i = 0; manifest != NULL && i < manifest->source_count; i++) {
        const struct tg_manifest_source *source = &manifest->sources[i];
        if (strcmp(source->name, name) == 0 && tick->partition < source->partition_count) {
            return &source->partitions[tick->partition];
        }
    }
    return NULL;
}

static bool is_held(const struct tg_manifest *manifest, const struct tg_ticks_header *header,
                    const struct tg_tick *tick)
{
    const struct tg_manifest_partition *partition = held(manifest, header, tick);
    return partition != NULL && (tick->offset < partition->next_offset || tick->wm <= partition->wm);
}

/* The ticks that `manifest` (NULL = none) does not hold, condensed. */
static uint64_t not_held(const struct tg_manifest *manifest, const struct tg_ticks *ticks, struct tg_tick *out)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < ticks->count; i++) {
        const struct tg_tick *tick = &ticks->list[i];
        if (!is_held(manifest, &ticks->header, tick)) { out[count++] = *tick; }
    }
    return tg_ticks_condense(out, count);
}

static tg_status another_run(const char *name, const struct tg_manifest *manifest, struct tg_error *err)
{
    return tg_fail(err, TG1512, 0, "%s is of another run than checkpoint %" PRIu64, name, manifest->epoch);
}

void tg_tick_log_name(const struct tg_run_id *run_id, char name[TG_STORE_NAME_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    char text[TG_TICK_FILE_RUN_DIGITS + 1] = {0};
    static_assert(2 * sizeof run_id->bytes == TG_TICK_FILE_RUN_DIGITS, "a run id in hexadecimal digits");
    for (uint32_t i = 0; i < sizeof run_id->bytes; i++) {
        text[2 * i] = digits[run_id->bytes[i] >> 4];
        text[2 * i + 1] = digits[run_id->bytes[i] & 15];
    }
    (void)snprintf(name, TG_STORE_NAME_BYTES, TG_TICK_FILE_PREFIX "%s" TG_TICK_FILE_SUFFIX, text);
}

tg_status tg_tick_log_find(const struct tg_store *store, const struct tg_run_id *run_id, struct tg_arena *arena,
                           struct tg_tick_log_found *out, struct tg_error *err)
{
    size_t bytes;
    tg_status status = TG_OK;
    *out = (struct tg_tick_log_found){0};
    if (run_id != NULL) {
        tg_tick_log_name(run_id, out->name);
        status = tg_tick_file_read(store, out->name, arena, &out->data, &bytes, err);
    }
    if (status == TG_OK && out->data == NULL) {
        (void)snprintf(out->name, sizeof out->name, TG_TICK_FILE_NAME);
        status = tg_tick_file_read(store, out->name, arena, &out->data, &bytes, err);
    }
    if (status != TG_OK || out->data == NULL) { return status; }
    return tg_ticks_decode(out->data, bytes, out->name, arena, &out->ticks, err);
}

tg_status tg_tick_log_is_beside(const struct tg_tick_log_found *found, const struct tg_manifest *manifest,
                                struct tg_error *err)
{
    const struct tg_run_id *run_id = &found->ticks.header.run_id;
    if (found->data == NULL || memcmp(run_id, &manifest->run_id, sizeof *run_id) == 0) { return TG_OK; }
    return another_run(found->name, manifest, err);
}

static tg_status take(struct tg_tick_log *log, const struct tg_tick_log_found *found, const struct tg_manifest *chosen,
                      struct tg_error *err)
{
    const struct tg_ticks *ticks = &found->ticks;
    const bool same_job = tg_ticks_same_job(&log->header, &ticks->header);
    const bool same_logs = tg_ticks_same_logs(&log->header, &ticks->header);
    if (chosen == NULL && !(same_job && same_logs)) { return TG_OK; } /* nobody needs it: the first tick replaces it */
    const tg_status status = chosen != NULL ? tg_tick_log_is_beside(found, chosen, err) : TG_OK;
    if (status != TG_OK) { return status; }
    if (chosen != NULL && !same_job) { return another_run(found->name, chosen, err); }
    struct tg_tick *replay = tg_arena_alloc(&log->arena, ticks->count * sizeof *replay + 1, 8);
    if (replay == NULL) { return tg_fail(err, TG1601, ENOMEM, "no memory to read %s", found->name); }
    log->replay = replay;
    log->replay_count = not_held(chosen, ticks, replay);
    log->header.run_id = ticks->header.run_id;
    log->header.tag = ticks->header.tag;
    log->frames = ticks->frames;
    log->found = true;
    tg_tick_file_begin(&log->file, log->file.store, found->name);
    return tg_tick_file_replace(&log->file, found->data, ticks->bytes, err);
}

tg_status tg_tick_log_open(struct tg_tick_log *log, const struct tg_store *store, const struct tg_ticks_header *header,
                           const struct tg_manifest *chosen, struct tg_error *err)
{
    *log = (struct tg_tick_log){.header = *header, .trim_bytes = TG_TICK_LOG_TRIM_BYTES};
    TG_ASSERT(header->source_count <= TG_SOURCES_MAX);
    memcpy(log->sources, header->sources, header->source_count * sizeof log->sources[0]);
    log->header.sources = log->sources;
    tg_tick_file_begin(&log->file, store, TG_TICK_FILE_NAME);
    tg_status status = tg_arena_open(&log->arena, 4 * tg_ticks_decode_bytes(TG_TICK_FILE_BYTES_MAX), err);
    if (status != TG_OK) { return status; }
    log->frame = tg_arena_alloc(&log->arena, TG_TICKS_FRAME_BYTES_MAX, 64);
    if (log->frame == NULL) { return tg_fail(err, TG1601, ENOMEM, "no memory for %s", log->file.name); }
    struct tg_tick_log_found found;
    status = tg_tick_log_find(store, chosen != NULL ? &chosen->run_id : NULL, &log->arena, &found, err);
    return status == TG_OK && found.data != NULL ? take(log, &found, chosen, err) : status;
}

void tg_tick_log_close(struct tg_tick_log *log)
{
    tg_tick_file_close(&log->file);
    tg_arena_close(&log->arena);
}

void tg_tick_log_begin(struct tg_tick_log *log, const struct tg_run_id *run_id)
{
    TG_ASSERT(!log->found || memcmp(run_id, &log->header.run_id, sizeof *run_id) == 0);
    log->header.run_id = *run_id;
}

const struct tg_tick *tg_tick_log_replay(const struct tg_tick_log *log, uint32_t source, uint32_t partition,
                                         uint32_t *count)
{
    uint64_t low = 0;
    for (uint64_t high = log->replay_count; low < high;) { /* first that is not before (source, partition) */
        const uint64_t middle = low + (high - low) / 2;
        const struct tg_tick *tick = &log->replay[middle];
        const bool before = tick->source < source || (tick->source == source && tick->partition < partition);
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    uint64_t end = low;
    while (end < log->replay_count && log->replay[end].source == source && log->replay[end].partition == partition) {
        end++;
    }
    *count = (uint32_t)(end - low);
    return *count == 0 ? NULL : &log->replay[low];
}

static tg_status verify(const struct tg_store *store, const struct tg_manifest *manifest, struct tg_arena *arena,
                        struct tg_tick_totals *totals, struct tg_error *err)
{
    struct tg_tick_log_found found;
    tg_status status = tg_tick_log_find(store, &manifest->run_id, arena, &found, err);
    if (status == TG_OK) { status = tg_tick_log_is_beside(&found, manifest, err); }
    if (status != TG_OK || found.data == NULL) { return status; }
    struct tg_tick *waiting = tg_arena_alloc(arena, found.ticks.count * sizeof *waiting + 1, 8);
    if (waiting == NULL) { return tg_fail(err, TG1601, ENOMEM, "no memory to read %s", found.name); }
    *totals = (struct tg_tick_totals){.found = true,
                                      .bytes = found.ticks.bytes,
                                      .ticks = found.ticks.count,
                                      .waiting = not_held(manifest, &found.ticks, waiting)};
    memcpy(totals->name, found.name, sizeof totals->name);
    return TG_OK;
}

tg_status tg_tick_log_verify(const struct tg_store *store, const struct tg_manifest *manifest,
                             struct tg_tick_totals *totals, struct tg_error *err)
{
    struct tg_arena arena;
    *totals = (struct tg_tick_totals){0};
    tg_status status = tg_arena_open(&arena, 4 * tg_ticks_decode_bytes(TG_TICK_FILE_BYTES_MAX), err);
    if (status != TG_OK) { return status; }
    status = verify(store, manifest, &arena, totals, err);
    tg_arena_close(&arena);
    return status;
}

/* ---- the log: writing, on the helper ----------------------------------------------------------------------------- */

/* A log of this run with ticks[count]. */
static tg_status replace(struct tg_tick_log *log, const struct tg_tick *ticks, uint64_t count, struct tg_arena *arena,
                         struct tg_error *err)
{
    struct tg_bytes_out out;
    if (!tg_ticks_encode(&log->header, ticks, count, arena, &out)) {
        return tg_fail(err, TG1601, ENOMEM, "no memory for %s", log->file.name);
    }
    const bool had_file = log->file.fd >= 0;
    const tg_status status = tg_tick_file_replace(&log->file, out.data, out.used, err);
    if (status == TG_OK || log->file.unnamed || !had_file) { log->frames = tg_ticks_frame_count(count); }
    return status;
}

static tg_status create(struct tg_tick_log *log, struct tg_error *err)
{
    struct tg_arena arena;
    tg_status status = tg_arena_open(&arena, 2 * TG_TICKS_HEADER_BYTES_MAX, err);
    if (status != TG_OK) { return status; }
    status = replace(log, NULL, 0, &arena, err);
    tg_arena_close(&arena);
    return status;
}

/* Leave out of list[*count] what every checkpoint of this run holds: which one a start will choose is not known, and
 * one that was restored is older than its number. When one of them cannot be read nobody knows what may go. */
static void drop_held(const struct tg_tick_log *log, struct tg_arena *arena, struct tg_tick *list, uint64_t *count)
{
    struct tg_store_listing listing;
    if (tg_store_list(log->file.store, arena, &listing, NULL) != TG_OK) { return; }
    struct tg_manifest manifests[MANIFESTS_MAX];
    uint32_t of_run = 0;
    for (uint32_t i = 0; i < listing.manifest_count; i++) {
        if (of_run == MANIFESTS_MAX) { return; }
        struct tg_manifest *manifest = &manifests[of_run];
        if (tg_recovery_read_manifest(log->file.store, listing.manifests[i].epoch, arena, manifest, NULL) != TG_OK) {
            return;
        }
        of_run += memcmp(&manifest->run_id, &log->header.run_id, sizeof manifest->run_id) == 0;
    }
    uint64_t left = 0;
    for (uint64_t i = 0; i < *count; i++) {
        bool held_by_all = of_run != 0;
        for (uint32_t m = 0; held_by_all && m < of_run; m++) {
            held_by_all = is_held(&manifests[m], &log->header, &list[i]);
        }
        if (!held_by_all) { list[left++] = list[i]; }
    }
    *count = left;
}

static tg_status write_what_counts(struct tg_tick_log *log, struct tg_arena *arena, struct tg_error *err)
{
    struct tg_ticks ticks;
    uint8_t *data = tg_arena_alloc(arena, log->file.bytes, 16);
    if (data == NULL) { return tg_fail(err, TG1601, ENOMEM, "no memory to trim %s", log->file.name); }
    tg_status status = tg_tick_file_again(&log->file, data, log->file.bytes, err);
    if (status == TG_OK) { status = tg_ticks_decode(data, log->file.bytes, log->file.name, arena, &ticks, err); }
    if (status != TG_OK) { return status; }
    struct tg_tick *left = tg_arena_alloc(arena, ticks.count * sizeof *left + 1, 8);
    if (left == NULL) { return tg_fail(err, TG1601, ENOMEM, "no memory to trim %s", log->file.name); }
    uint64_t count = not_held(NULL, &ticks, left);
    drop_held(log, arena, left, &count);
    return replace(log, left, count, arena, err);
}

/* What every checkpoint holds, and what later ticks before the same offset have overtaken, goes. When that fails
 * the log stays as long as it is. */
static tg_status trim(struct tg_tick_log *log, struct tg_error *err)
{
    struct tg_arena arena;
    tg_status status = tg_arena_open(&arena, 4 * tg_ticks_decode_bytes(log->file.bytes) + TG_RECOVERY_ARENA_BYTES, err);
    if (status != TG_OK) { return status; }
    status = write_what_counts(log, &arena, err);
    tg_arena_close(&arena);
    const uint64_t twice = 2 * log->file.bytes;
    log->trim_bytes = twice > TG_TICK_LOG_TRIM_BYTES ? twice : TG_TICK_LOG_TRIM_BYTES;
    return status;
}

tg_status tg_tick_log_append(struct tg_tick_log *log, const struct tg_tick *ticks, uint32_t count, struct tg_error *err)
{
    tg_status status = log->file.fd >= 0 ? tg_tick_file_repair(&log->file, err) : create(log, err);
    if (status != TG_OK) { return status; }
    if (log->file.bytes >= log->trim_bytes) {
        struct tg_error trouble = {0};
        status = trim(log, &trouble);
        if (status != TG_OK) { tg_log(TG_LOG_DEBUG, TG_CODE_NONE, -1, NULL, "%s", trouble.text); }
    }
    struct tg_bytes_out out = {.data = log->frame, .capacity = TG_TICKS_FRAME_BYTES_MAX};
    tg_ticks_frame_encode(log->header.tag, log->frames, ticks, count, &out);
    status = tg_tick_file_append(&log->file, out.data, out.used, err);
    if (status == TG_OK) { log->frames++; }
    return status;
}

/* ---- lanes ------------------------------------------------------------------------------------------------------- */

tg_status tg_tick_lane_open(struct tg_tick_lane *lane, const struct tg_tick_lane_config *config, struct tg_arena *arena,
                            struct tg_error *err)
{
    *lane = (struct tg_tick_lane){
        .log = config->log, .helper = config->helper, .shard = config->shard, .clock = config->clock};
    if (lane->log == NULL) { return TG_OK; }
    lane->gathered = tg_arena_alloc(arena, TG_TICKS_FRAME_MAX * sizeof *lane->gathered, 64);
    lane->orders = tg_arena_alloc(arena, TG_TICKS_FRAME_MAX * sizeof *lane->orders, 64);
    lane->ticks = tg_arena_alloc(arena, TG_TICKS_FRAME_MAX * sizeof *lane->ticks, 64);
    if (lane->gathered != NULL && lane->orders != NULL && lane->ticks != NULL) { return TG_OK; }
    return tg_fail(err, TG1601, 0, "no address space for ticks");
}

bool tg_tick_lane_order(struct tg_tick_lane *lane, const struct tg_tick *tick, struct tg_partition *partition)
{
    TG_ASSERT(partition->tick == TG_TICK_NONE);
    if (lane->gathered_count == TG_TICKS_FRAME_MAX) { return false; }
    lane->gathered[lane->gathered_count++] = (struct tg_tick_order){*tick, partition};
    partition->tick = TG_TICK_ORDERED;
    return true;
}

static void run_append(struct tg_task *task)
{
    struct tg_tick_lane *lane = task->owner;
    lane->status = tg_tick_log_append(lane->log, lane->ticks, lane->order_count, &lane->error);
    lane->doubtful = lane->status != TG_OK && lane->log->file.doubtful;
}

static void run_repair(struct tg_task *task)
{
    struct tg_tick_lane *lane = task->owner;
    lane->doubtful = tg_tick_file_repair(&lane->log->file, &lane->error) != TG_OK && lane->log->file.doubtful;
}

static void warn(struct tg_tick_lane *lane, uint64_t now_ns)
{
    uint64_t suppressed;
    if (!tg_log_allowed(&lane->log_limit, now_ns, &suppressed)) { return; }
    tg_log(TG_LOG_WARN, TG2504, (int)lane->shard, NULL,
           "clocks of %" PRIu32 " idle partitions stand still: %s; the job goes on, trying again%s", lane->order_count,
           lane->error.text, lane->doubtful ? ", their records wait until the failed write is taken back" : "");
}

static void task_done(struct tg_task *task)
{
    struct tg_tick_lane *lane = task->owner;
    const uint64_t now_ns = tg_clock_now_ns(&lane->clock);
    lane->under_way = false;
    if (lane->error.code == TG1521) { /* records of these partitions wait until the job has stopped */
        lane->fatal = lane->error;
        return;
    }
    if (lane->status != TG_OK) { warn(lane, now_ns); }
    lane->next_ns = now_ns + (lane->doubtful ? DOUBT_NS : PACE_NS);
    if (lane->doubtful) { return; }
    for (uint32_t i = 0; i < lane->order_count; i++) {
        lane->orders[i].partition->tick = lane->status == TG_OK ? TG_TICK_DURABLE : TG_TICK_NONE;
    }
    lane->order_count = 0;
}

uint32_t tg_tick_lane_poll(struct tg_tick_lane *lane, uint64_t now_ns)
{
    const bool nothing = lane->gathered_count == 0 && lane->order_count == 0;
    if (lane->under_way || nothing || now_ns < lane->next_ns || lane->fatal.status != TG_OK) { return 0; }
    if (lane->order_count == 0) {
        struct tg_tick_order *orders = lane->orders;
        lane->orders = lane->gathered;
        lane->order_count = lane->gathered_count;
        lane->gathered = orders;
        lane->gathered_count = 0;
        for (uint32_t i = 0; i < lane->order_count; i++) { lane->ticks[i] = lane->orders[i].tick; }
    }
    lane->error = (struct tg_error){0};
    lane->task = (struct tg_task){.run = lane->doubtful ? run_repair : run_append, .done = task_done, .owner = lane};
    if (!tg_helper_submit(lane->helper, lane->shard, &lane->task)) { return 0; }
    lane->under_way = true;
    return 1;
}
