/* Console sink: rows on standard output, as JSON lines or as a table for people. The I/O helper writes whole lines in
 * pieces a pipe or terminal takes at once, and leaves when the reader is slow, so that a paused pager does not hold up
 * files and SQLite. A reader that goes away (`| head`) ends the job with TG1502: rows that nobody can see must not
 * count as delivered. Acknowledged = the kernel has the line. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "io/connectors.h"
#include "io/console/table.h"
#include "io/file_ops.h"
#include "io/outbox.h"

enum {
    PIECE_BYTES = 4096, /* a pipe that is writable takes this much without blocking */
    PATIENCE_MS = 5,    /* for a slow reader, before other work of the helper gets its turn */
    HEADER_EVERY = 20,  /* rows at least between two headers */
};
enum console_format { CONSOLE_JSON, CONSOLE_TABLE };

struct console_target {
    const struct tg_file_ops *ops;
    struct tg_clock clock;
    const char *sink_name;
    enum console_format format;
    struct tg_table table;
    const struct tg_outbox_block *begun; /* while in_progress is this target */
    uint32_t header_width; /* of the table when its header was printed; 0 = never */
    uint64_t rows_since_header;
    char *header; /* lines to write in front of the next block: [header_used], of which header_moved are out */
    uint32_t header_capacity;
    uint32_t header_used;
    uint32_t header_moved;
    struct tg_log_limit limit;
};

struct console_sink {
    struct tg_outbox outbox;
    struct console_target *target;
    const struct tg_schema *schema;
    bool with_revision;
};

static const struct tg_option console_options[] = {
    {.name = "format", .kind = TG_OPTION_CHOICE, .fallback = "json", .choices = "json|table",
     .doc = "json: one object a line; table: aligned columns for people, texts over 60 characters cut."},
    {.name = "flush_every", .kind = TG_OPTION_DURATION, .fallback = "100ms",
     .doc = "Rows wait at most this long before they are printed."},
};

/* Standard output is one per process: the sink that has begun to write a block and has not ended. Other sinks, and
 * other blocks of the same one, wait for it, so that lines stay whole. The helper's; a sink that was closed in the
 * middle (its job has failed) is forgotten when the next first one opens. */
static const struct console_target *in_progress;
static uint32_t open_targets; /* set-up's */

/* ---- on the helper ----------------------------------------------------------------------------------------------- */

/* Length of the next piece: whole lines where they fit, else a part of a long line. */
static uint32_t piece_bytes(const char *data, uint32_t bytes)
{
    if (bytes <= PIECE_BYTES) { return bytes; }
    const char *end = memrchr(data, '\n', PIECE_BYTES);
    return end != NULL ? (uint32_t)(end - data) + 1 : PIECE_BYTES;
}

static enum tg_outbox_result refused(struct console_target *target, struct tg_outbox_block *block, int os_errno)
{
    if (os_errno == EPIPE) {
        (void)tg_fail(&block->error, TG1502, 0,
                      "sink %s: the reader of standard output has gone away; rows can no longer be shown",
                      target->sink_name);
        return TG_OUTBOX_FAILED;
    }
    if (!tg_file_may_recover(os_errno)) {
        (void)tg_fail(&block->error, TG1502, os_errno, "sink %s: write to standard output", target->sink_name);
        return TG_OUTBOX_FAILED;
    }
    uint64_t suppressed = 0;
    if (tg_log_allowed(&target->limit, tg_clock_now_ns(&target->clock), &suppressed)) {
        tg_log(TG_LOG_WARN, TG1502, -1, NULL,
               "sink %s: cannot write to standard output: %s; rows wait, trying again (%" PRIu64 " attempts not shown)",
               target->sink_name, strerror(os_errno), suppressed);
    }
    return TG_OUTBOX_AGAIN;
}

/* Write data[*moved..bytes); *moved follows, so that the next attempt goes on from there. */
static enum tg_outbox_result stream(struct console_target *target, struct tg_outbox_block *block, const char *data,
                                    uint32_t bytes, uint32_t *moved)
{
    const struct tg_file_ops *ops = target->ops;
    while (*moved < bytes) {
        const int ready = ops->writable(ops->self, STDOUT_FILENO, PATIENCE_MS);
        if (ready == 0 || ready == -EINTR) { return TG_OUTBOX_LATER; }
        if (ready < 0) { return refused(target, block, -ready); }
        const int failed = TG_FAILPOINT("console.write");
        if (failed != 0) { return refused(target, block, failed); }
        const int64_t result =
            ops->write(ops->self, STDOUT_FILENO, data + *moved, piece_bytes(data + *moved, bytes - *moved));
        if (result == -EINTR || result == -EAGAIN) { return TG_OUTBOX_LATER; }
        if (result < 0) { return refused(target, block, (int)-result); }
        *moved += (uint32_t)result;
    }
    return TG_OUTBOX_WRITTEN;
}

/* Render the header when the table is new, or wider by now and the last header is some way up. */
static void header_prepare(struct console_target *target)
{
    const uint32_t width = tg_table_width(&target->table);
    if (target->header_width != 0 && (width == target->header_width || target->rows_since_header < HEADER_EVERY)) {
        return;
    }
    struct tg_writer writer = {.data = target->header, .capacity = target->header_capacity};
    if (target->header_width != 0) { tg_write_bytes(&writer, "\n", 1); }
    tg_table_header(&target->table, &writer);
    target->header_used = writer.used;
    target->header_moved = 0;
    target->header_width = width;
    target->rows_since_header = 0;
}

static enum tg_outbox_result block_write(void *shared, struct tg_outbox_block *block)
{
    struct console_target *target = shared;
    if (in_progress != NULL && (in_progress != target || target->begun != block)) { return TG_OUTBOX_LATER; }
    if (in_progress == NULL && target->format == CONSOLE_TABLE && block->moved == 0 && block->used != 0) {
        header_prepare(target);
    }
    target->begun = block;
    in_progress = target;
    enum tg_outbox_result result = stream(target, block, target->header, target->header_used, &target->header_moved);
    if (result == TG_OUTBOX_WRITTEN) { result = stream(target, block, block->data, block->used, &block->moved); }
    if (result == TG_OUTBOX_WRITTEN) { target->rows_since_header += block->rows; }
    if (result == TG_OUTBOX_WRITTEN || result == TG_OUTBOX_FAILED) { in_progress = NULL; }
    return result;
}

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

static tg_status console_check(const struct tg_sink_env *env, uint64_t deadline_ns, struct tg_error *err)
{
    (void)deadline_ns;
    const struct tg_file_ops *ops = tg_file_ops();
    const int ready = ops->writable(ops->self, STDOUT_FILENO, 0);
    return ready >= 0 ? TG_OK : tg_fail(err, TG1502, -ready, "sink %s: standard output", env->sink_name);
}

static tg_status console_share(const struct tg_sink_env *env, void **shared, struct tg_error *err)
{
    struct console_target *target = calloc(1, sizeof *target);
    const uint32_t header_capacity = 2 * tg_table_line_bytes_max(env->schema) + 2;
    char *header = malloc(header_capacity);
    if (target == NULL || header == NULL) {
        free(target);
        free(header);
        return tg_fail(err, TG1601, ENOMEM, "open sink %s", env->sink_name);
    }
    *target = (struct console_target){.ops = tg_file_ops(),
                                      .clock = env->clock,
                                      .sink_name = env->sink_name,
                                      .format = (enum console_format)tg_option_number(env->options, "format"),
                                      .header = header,
                                      .header_capacity = header_capacity};
    tg_table_init(&target->table, env->schema, env->with_revision);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that left must be an error code here, not the end of the process */
    if (open_targets++ == 0) { in_progress = NULL; }
    *shared = target;
    return TG_OK;
}

static void console_unshare(void *shared)
{
    struct console_target *target = shared;
    if (target == NULL) { return; }
    open_targets--;
    free(target->header);
    free(target);
}

static size_t console_state_bytes(const struct tg_sink_env *env)
{
    (void)env;
    return sizeof(struct console_sink);
}

static tg_status console_open(void *state, const struct tg_sink_env *env, struct tg_error *err)
{
    struct console_sink *sink = state;
    sink->target = env->shared;
    sink->schema = env->schema;
    sink->with_revision = env->with_revision;
    const uint32_t json_max = tg_outbox_json_bytes_max(env->schema);
    const uint32_t table_max = tg_table_line_bytes_max(env->schema);
    const struct tg_outbox_config config = {
        .write = block_write,
        .flush_every_ns = (uint64_t)tg_option_number(env->options, "flush_every") * 1000,
        .sync_on_flush = false,
        .row_bytes_max = json_max > table_max ? json_max : table_max,
    };
    return tg_outbox_open(&sink->outbox, &config, env, err);
}

/* ---- on the shard ------------------------------------------------------------------------------------------------ */

static uint32_t console_push(void *state, const struct tg_batch *batch, uint32_t from)
{
    struct console_sink *sink = state;
    uint32_t row = from;
    while (row < batch->count) {
        struct tg_writer *writer = tg_outbox_begin(&sink->outbox);
        if (writer == NULL) { break; }
        if (sink->target->format == CONSOLE_TABLE) {
            tg_table_row(&sink->target->table, writer, tg_batch_row(batch, row));
        } else {
            tg_write_json_row(writer, sink->schema, tg_batch_row(batch, row), sink->with_revision);
            tg_write_bytes(writer, "\n", 1);
        }
        row += tg_outbox_end(&sink->outbox, batch->arrived_ns);
    }
    return row - from;
}

static uint32_t console_poll(void *state, uint64_t now_ns)
{
    return tg_outbox_poll(&((struct console_sink *)state)->outbox, now_ns);
}
static void console_flush(void *state) { tg_outbox_flush(&((struct console_sink *)state)->outbox); }
static bool console_flushed(const void *state)
{
    return tg_outbox_flushed(&((const struct console_sink *)state)->outbox);
}
static tg_status console_failure(const void *state, struct tg_error *err)
{
    return tg_outbox_failure(&((const struct console_sink *)state)->outbox, err);
}
static void console_stats(const void *state, struct tg_sink_stats *out)
{
    tg_outbox_stats(&((const struct console_sink *)state)->outbox, out);
}
static void console_close(void *state) { tg_outbox_close(&((struct console_sink *)state)->outbox); }

const struct tg_sink_ops tg_console_sink = {
    .name = "console",
    .options = console_options,
    .option_count = sizeof console_options / sizeof console_options[0],
    .keyed = false,
    .needs_server = false,
    .check = console_check,
    .share = console_share,
    .unshare = console_unshare,
    .state_bytes = console_state_bytes,
    .open = console_open,
    .push = console_push,
    .poll = console_poll,
    .flush = console_flush,
    .flushed = console_flushed,
    .failure = console_failure,
    .stats = console_stats,
    .close = console_close,
};
