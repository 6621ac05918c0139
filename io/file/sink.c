/* File sink: an append log of JSON lines, one file for all shards. Rows are rendered by the shards and written by the
 * I/O helper in whole blocks, so lines never interleave. The file's length in whole blocks is known at all times and
 * every block is written at that offset: after an error or a short write the rest is cut off (at the latest before the
 * next attempt), so no line is ever torn or doubled, however often writing fails. What it promises: a row is
 * acknowledged once the kernel has it (a crash of the process loses nothing), and flush() makes everything durable with
 * fdatasync. Without checkpoints an fdatasync that fails ends the job: the kernel may have dropped what earlier blocks
 * left with it, and a second call would report success. An existing file is replaced when a run starts, but not by a
 * sink that comes to a job that goes on from a checkpoint: who knows whose file that is.
 *
 * With checkpoints the rows are staged instead and become visible when their checkpoint is complete (staging.h):
 * whoever reads the file sees each row once, whatever crashes. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "io/connectors.h"
#include "io/file/staging.h"
#include "io/file_ops.h"
#include "io/outbox.h"

struct file_target {
    struct tg_clock clock;
    const char *sink_name;
    const char *path;
    int64_t length; /* whole blocks written */
    int fd;
    bool staged;
    bool has_staging;
    bool resumes;
    bool made; /* there was no file */
    struct tg_staging staging;
    bool torn;                 /* bytes behind `length` may have to be cut off */
    bool durable;              /* nothing was written since the last fdatasync */
    uint64_t failing_since_ns; /* 0 = the last attempt went well */
    struct tg_log_limit limit;
};

struct file_sink {
    struct tg_outbox outbox;
    const struct tg_schema *schema;
    bool with_revision;
    struct file_target *target;
    uint32_t shard;
};

static const struct tg_option file_options[] = {
    {.name = "path",
     .kind = TG_OPTION_TEXT,
     .required = true,
     .doc = "File of JSON lines; folders are created, an existing file is replaced when a run begins anew."},
    {.name = "flush_every",
     .kind = TG_OPTION_DURATION,
     .fallback = "200ms",
     .doc = "Rows wait at most this long before they are handed to the operating system."},
};

/* ---- on the helper ----------------------------------------------------------------------------------------------- */

static enum tg_outbox_result refused(struct file_target *target, struct tg_outbox_block *block, int os_errno)
{
    if (!tg_file_may_recover(os_errno)) {
        (void)tg_fail(&block->error, TG1502, os_errno, "sink %s: write %s", target->sink_name, target->path);
        return TG_OUTBOX_FAILED;
    }
    const uint64_t now_ns = tg_clock_now_ns(&target->clock);
    if (target->failing_since_ns == 0) { target->failing_since_ns = now_ns; }
    uint64_t suppressed = 0;
    if (tg_log_allowed(&target->limit, now_ns, &suppressed)) {
        tg_log(TG_LOG_WARN, TG1502, -1, NULL,
               "sink %s: cannot write %s: %s; rows wait, trying again (%" PRIu64 " attempts not shown)",
               target->sink_name, target->path, strerror(os_errno), suppressed);
    }
    return TG_OUTBOX_AGAIN;
}

/* Cut the file back to its whole blocks; 0 or an errno. */
static int mend(struct file_target *target)
{
    const struct tg_file_ops *ops = tg_file_ops();
    if (!target->torn) { return 0; }
    const int failed = ops->ftruncate(ops->self, target->fd, target->length);
    if (failed == 0) { target->torn = false; }
    return -failed;
}

/* Write all bytes behind the whole blocks; 0 or an errno. */
static int append(struct file_target *target, const char *data, uint32_t bytes)
{
    target->torn = true; /* also when the call fails: it may have written before it did */
    const int failed = tg_file_write_all(target->fd, data, bytes, target->length);
    if (failed != 0) { return -failed; }
    target->length += bytes;
    target->torn = false;
    return 0;
}

static void note_recovered(struct file_target *target)
{
    if (target->failing_since_ns == 0) { return; }
    tg_log(TG_LOG_INFO, TG_CODE_NONE, -1, NULL, "sink %s: writing %s again after %.1f s", target->sink_name,
           target->path, (double)(tg_clock_now_ns(&target->clock) - target->failing_since_ns) / 1e9);
    target->failing_since_ns = 0;
}

/* Into the shard's part; made durable with the last block of an epoch. */
static enum tg_outbox_result block_stage(struct file_target *target, struct tg_outbox_block *block)
{
    const uint32_t shard = ((const struct tg_outbox *)block->task.owner)->shard;
    if (block->moved < block->used) {
        const int failed = tg_staging_append(&target->staging, shard, block->tag, block->data, block->used);
        if (failed == -EAGAIN) { return TG_OUTBOX_LATER; }
        if (failed != 0) { return refused(target, block, -failed); }
        block->moved = block->used;
    }
    const int failed = block->sync ? tg_staging_sync(&target->staging, shard) : 0;
    if (failed == 0) {
        note_recovered(target);
        return TG_OUTBOX_WRITTEN;
    }
    if (failed != -EBADMSG) { return refused(target, block, -failed); }
    (void)tg_fail(&block->error, TG1502, 0,
                  "sink %s: rows for %s could not be made durable, and read back they are not what was written\n  the "
                  "disk has lost them; the next start reads them from the source again",
                  target->sink_name, target->path);
    return TG_OUTBOX_FAILED;
}

static enum tg_outbox_result block_write(void *shared, struct tg_outbox_block *block)
{
    struct file_target *target = shared;
    if (target->staged) { return block_stage(target, block); }
    if (block->moved < block->used) {
        int failed = mend(target);
        if (failed != 0) { return refused(target, block, failed); }
        failed = TG_FAILPOINT("file.append");
        if (failed == 0) { failed = append(target, block->data, block->used); }
        if (failed != 0) {
            (void)mend(target); /* readers should not see half a line meanwhile; else the next attempt does it */
            return refused(target, block, failed);
        }
        block->moved = block->used;
        target->durable = false;
    }
    note_recovered(target);
    if (block->sync && !target->durable) {
        int failed = -TG_FAILPOINT("file.sync");
        if (failed == 0) { failed = tg_file_sync(target->fd); }
        if (failed != 0) {
            (void)tg_fail(&block->error, TG1502, -failed,
                          "sink %s: make %s durable; rows since the last flush may be missing", target->sink_name,
                          target->path);
            return TG_OUTBOX_FAILED;
        }
        target->durable = true;
    }
    return TG_OUTBOX_WRITTEN;
}

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

static tg_status not_a_file(const struct tg_sink_env *env, const char *path, int os_errno, struct tg_error *err)
{
    if (os_errno == ESPIPE) {
        return tg_fail(err, TG1502, 0,
                       "sink %s: %s is not a regular file; to write to a terminal or a pipe use the console sink",
                       env->sink_name, path);
    }
    return tg_fail(err, TG1502, os_errno, "sink %s: look at %s", env->sink_name, path);
}

static tg_status file_check(const struct tg_sink_env *env, uint64_t deadline_ns, struct tg_error *err)
{
    (void)deadline_ns;
    const struct tg_file_ops *ops = tg_file_ops();
    const char *path = tg_option_text(env->options, "path");
    const int fd = ops->open(ops->self, path, O_WRONLY, 0);
    if (fd == -ENOENT) {
        const int failed = tg_file_creatable(path);
        return failed == 0 ? TG_OK : tg_fail(err, TG1502, -failed, "sink %s: cannot create %s", env->sink_name, path);
    }
    if (fd < 0) { return tg_fail(err, TG1502, -fd, "sink %s: open %s for writing", env->sink_name, path); }
    const int64_t bytes = ops->size(ops->self, fd);
    (void)ops->close(ops->self, fd);
    return bytes >= 0 ? TG_OK : not_a_file(env, path, (int)-bytes, err);
}

/* Open, lock and empty the file. */
static tg_status target_open(struct file_target *target, const struct tg_sink_env *env, struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    int failed = tg_file_make_parents(target->path);
    if (failed != 0) {
        return tg_fail(err, TG1502, -failed, "sink %s: create the folders of %s", env->sink_name, target->path);
    }
    const int flags = env->staged ? O_RDWR : O_WRONLY;
    target->fd = ops->open(ops->self, target->path, flags, 0666);
    if (target->fd == -ENOENT) {
        target->made = true;
        target->fd = ops->open(ops->self, target->path, flags | O_CREAT, 0666);
    }
    if (target->fd < 0) {
        return tg_fail(err, TG1502, -target->fd, "sink %s: open %s for writing", env->sink_name, target->path);
    }
    const int64_t bytes = ops->size(ops->self, target->fd);
    if (bytes < 0) { return not_a_file(env, target->path, (int)-bytes, err); }
    failed = ops->lock(ops->self, target->fd);
    if (failed == -EWOULDBLOCK) {
        return tg_fail(err, TG1505, 0, "sink %s: another sink or another turgo is writing %s", env->sink_name,
                       target->path);
    }
    if (failed == 0 && env->joins && bytes > 0) {
        return tg_fail(err, TG1525, 0,
                       "sink %s: %s is not empty, and the checkpoint that the job goes on from knows no such file "
                       "sink, which would replace it; name another path, move the file away, or use --fresh",
                       env->sink_name, target->path);
    }
    if (failed == 0 && !env->resumes) { failed = ops->ftruncate(ops->self, target->fd, 0); }
    if (failed != 0) { return tg_fail(err, TG1502, -failed, "sink %s: replace %s", env->sink_name, target->path); }
    return TG_OK;
}

static void file_unshare(void *shared)
{
    const struct tg_file_ops *ops = tg_file_ops();
    struct file_target *target = shared;
    if (target == NULL) { return; }
    if (target->torn) { (void)mend(target); }
    if (target->has_staging) { tg_staging_close(&target->staging); }
    if (target->fd >= 0) { (void)ops->close(ops->self, target->fd); }
    free(target);
}

static tg_status file_share(const struct tg_sink_env *env, void **shared, struct tg_error *err)
{
    struct file_target *target = calloc(1, sizeof *target);
    if (target == NULL) { return tg_fail(err, TG1601, ENOMEM, "open sink %s", env->sink_name); }
    target->clock = env->clock;
    target->sink_name = env->sink_name;
    target->path = tg_option_text(env->options, "path");
    target->fd = -1;
    TG_ASSERT(target->path != NULL);
    target->staged = env->staged;
    target->resumes = env->resumes;
    tg_status status = target_open(target, env, err);
    if (status == TG_OK && env->staged) {
        target->has_staging = true;
        status = tg_staging_open(&target->staging, target->path, target->fd, env->shard_count, env->generation, err);
    }
    if (status == TG_OK && env->staged && !env->resumes) {
        const int failed = tg_staging_clean(&target->staging);
        if (failed != 0) {
            status = tg_fail(err, TG1502, -failed, "sink %s: remove old parts of %s", env->sink_name, target->path);
        }
    }
    if (status != TG_OK) {
        file_unshare(target);
        return status;
    }
    *shared = target;
    return TG_OK;
}

static size_t file_state_bytes(const struct tg_sink_env *env)
{
    (void)env;
    return sizeof(struct file_sink);
}

static tg_status file_open(void *state, const struct tg_sink_env *env, struct tg_error *err)
{
    struct file_sink *sink = state;
    sink->schema = env->schema;
    sink->with_revision = env->with_revision;
    sink->target = env->shared;
    sink->shard = env->shard;
    sink->outbox.tag = sink->target->staged ? sink->target->staging.next_segment : 0;
    const struct tg_outbox_config config = {
        .write = block_write,
        .flush_every_ns = (uint64_t)tg_option_number(env->options, "flush_every") * 1000,
        .sync_on_flush = true,
        .row_bytes_max = tg_outbox_json_bytes_max(env->schema),
    };
    return tg_outbox_open(&sink->outbox, &config, env, err);
}

/* ---- on the shard ------------------------------------------------------------------------------------------------ */

static uint32_t file_push(void *state, const struct tg_batch *batch, uint32_t from)
{
    struct file_sink *sink = state;
    uint32_t row = from;
    while (row < batch->count) {
        struct tg_writer *writer = tg_outbox_begin(&sink->outbox);
        if (writer == NULL) { break; }
        tg_write_json_row(writer, sink->schema, tg_batch_row(batch, row), sink->with_revision);
        tg_write_bytes(writer, "\n", 1);
        row += tg_outbox_end(&sink->outbox, batch->arrived_ns);
    }
    return row - from;
}

static uint32_t file_poll(void *state, uint64_t now_ns)
{
    return tg_outbox_poll(&((struct file_sink *)state)->outbox, now_ns);
}
static void file_flush(void *state) { tg_outbox_flush(&((struct file_sink *)state)->outbox); }
static bool file_flushed(const void *state) { return tg_outbox_flushed(&((const struct file_sink *)state)->outbox); }
/* ---- checkpoints ------------------------------------------------------------------------------------------------- */

static void file_cut(void *state)
{
    struct file_sink *sink = state;
    tg_outbox_flush(&sink->outbox);
    sink->outbox.tag++; /* the flush has closed all blocks with rows */
}

static void file_settle(void *state)
{
    struct file_sink *sink = state;
    if (sink->target->staged) { tg_staging_settle(&sink->target->staging, sink->shard, sink->outbox.tag - 1); }
}

static uint32_t file_prepare(void *state, uint8_t *out)
{
    struct file_sink *sink = state;
    if (!sink->target->staged) { return 0; }
    return tg_staging_prepare(&sink->target->staging, sink->shard, sink->outbox.tag - 1, out);
}

static tg_status file_commit(void *shared, const struct tg_committable *list, uint32_t count, struct tg_error *err)
{
    struct file_target *target = shared;
    if (!target->staged) { return TG_OK; }
    const tg_status status = tg_staging_commit(&target->staging, list, count, err);
    if (status == TG_OK && target->resumes) { /* what is left now are parts that no checkpoint knows */
        target->resumes = false;
        if (tg_staging_clean(&target->staging) != 0) { /* what stays is removed by a later start */
            tg_log(TG_LOG_INFO, TG_CODE_NONE, -1, NULL, "sink %s: old parts of %s stay for now", target->sink_name,
                   target->path);
        }
    }
    if (status != TG_OK && target->resumes && target->made) { /* a start that is refused leaves no empty file */
        const struct tg_file_ops *ops = tg_file_ops();
        (void)ops->unlink(ops->self, target->path);
    }
    return status;
}

static tg_status file_failure(const void *state, struct tg_error *err)
{
    return tg_outbox_failure(&((const struct file_sink *)state)->outbox, err);
}
static void file_stats(const void *state, struct tg_sink_stats *out)
{
    tg_outbox_stats(&((const struct file_sink *)state)->outbox, out);
}
static void file_close(void *state) { tg_outbox_close(&((struct file_sink *)state)->outbox); }

const struct tg_sink_ops tg_file_sink = {
    .name = "file",
    .options = file_options,
    .option_count = sizeof file_options / sizeof file_options[0],
    .keyed = false,
    .needs_server = false,
    .check = file_check,
    .share = file_share,
    .unshare = file_unshare,
    .state_bytes = file_state_bytes,
    .open = file_open,
    .push = file_push,
    .poll = file_poll,
    .flush = file_flush,
    .flushed = file_flushed,
    .cut = file_cut,
    .settle = file_settle,
    .prepare = file_prepare,
    .commit = file_commit,
    .failure = file_failure,
    .stats = file_stats,
    .close = file_close,
};
