/* File source: the lines of files as records. Line n of p<k>.jsonl is offset n of partition k, counted from 0; an empty
 * line is an empty record, the newline at the end of a file makes none, \r is a byte like any other. Files are finite,
 * so every partition ends.
 * Partitions are read in turn, one block each. Two blocks exist: one is cut into slices while the helper fills the
 * other. Blocks are delivered in the order in which their reads were started, errors too, so that what comes out does
 * not depend on how long reads take. */
#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "io/connectors.h"
#include "io/file/block.h"
#include "io/file/folder.h"
#include "io/file/identity.h"
#include "io/file_ops.h"

enum { BLOCKS = 2 };

static const struct tg_option options_table[] = {
    {.name = "path",
     .kind = TG_OPTION_TEXT,
     .required = true,
     .doc = "Folder of p0.jsonl, p1.jsonl, ... (file n is partition n, one record a line), or a single file."},
    {.name = "topic",
     .kind = TG_OPTION_TEXT,
     .doc = "Topic that dead letters and late rows name; default: the job's Kafka topic, else the source's name."},
};

enum block_state { BLOCK_FREE, BLOCK_READING, BLOCK_READY };

struct file_partition {
    struct tg_file_position position;
    int64_t line;     /* offset of the next record */
    bool is_reading;  /* the helper has `position` */
    bool is_read;     /* to its end; the last block may still wait */
    bool needs_large; /* its next line does not fit a standard buffer */
};

struct file_block {
    struct tg_block block; /* first member */
    enum block_state state;
    uint32_t cursor; /* bytes delivered */
};

struct file_source {
    struct tg_source_env env;
    struct tg_error error;
    struct file_block blocks[BLOCKS]; /* block n of the run is blocks[n % BLOCKS] */
    uint64_t first;                   /* oldest one not yet delivered */
    uint64_t next;                    /* to be started next */
    uint32_t turn;                    /* partition to be read next */
    uint32_t owned_count;
    uint32_t ended_count; /* partitions whose end was delivered */
    struct file_partition partitions[];
};

static tg_status discover(const struct tg_options *options, const char *source_name, uint64_t deadline_ns,
                          uint32_t *partition_count, struct tg_error *err)
{
    (void)deadline_ns; /* a file is there or it is not */
    return tg_folder_count(tg_option_text(options, "path"), source_name, partition_count, err);
}

static tg_status identify(const struct tg_options *options, const char *source_name, uint64_t deadline_ns,
                          struct tg_source_log *log, struct tg_error *err)
{
    (void)deadline_ns;
    return tg_file_identify(tg_option_text(options, "path"), source_name, log, err);
}

static size_t state_bytes(const struct tg_options *options, uint32_t owned_count)
{
    (void)options;
    return sizeof(struct file_source) + owned_count * sizeof(struct file_partition);
}

static tg_status open_source(void *state, const struct tg_source_env *env, struct tg_error *err)
{
    (void)err; /* files are opened by the helper; what discover has not seen fails the first poll */
    struct file_source *source = state;
    TG_ASSERT(env->poll_count_max >= 1 && env->poll_count_max <= TG_BATCH_ROWS_MAX);
    source->env = *env;
    source->owned_count = env->owned_count;
    const char *path = tg_option_text(env->options, "path");
    for (uint32_t i = 0; i < env->owned_count; i++) {
        source->partitions[i].position =
            (struct tg_file_position){.path = path, .partition = env->partitions[i], .fd = -1};
    }
    return TG_OK;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static struct file_partition *partition_of(struct file_block *block)
{
    return (struct file_partition *)block->block.position; /* first member */
}

/* On the shard: a read is over. */
static void read_done(struct tg_task *task)
{
    struct file_block *block = (struct file_block *)task;
    struct file_partition *partition = partition_of(block);
    block->state = BLOCK_READY;
    block->cursor = 0;
    partition->is_reading = false;
    partition->is_read = block->block.is_last || block->block.outcome == TG_BLOCK_FAILED;
    partition->needs_large = block->block.outcome == TG_BLOCK_LONGER;
}

/* The next partition in turn that can be read, NULL when there is none. */
static struct file_partition *partition_next(struct file_source *source)
{
    for (uint32_t i = 0; i < source->owned_count; i++) {
        struct file_partition *partition = &source->partitions[source->turn];
        source->turn = source->turn + 1 == source->owned_count ? 0 : source->turn + 1;
        if (!partition->is_reading && !partition->is_read) { return partition; }
    }
    return NULL;
}

/* Start the next block with a read of `partition`; false when buffers or the helper are spent. */
static bool read_start(struct file_source *source, struct file_partition *partition)
{
    struct file_block *block = &source->blocks[source->next % BLOCKS];
    const uint32_t room = partition->needs_large ? TG_RECORD_BYTES_MAX : 1;
    struct tg_buffer *buffer = tg_buffer_acquire(source->env.buffers, room);
    if (buffer == NULL) { return false; }
    block->block = (struct tg_block){.position = &partition->position, .buffer = buffer};
    if (!tg_block_read(&block->block, source->env.helper, source->env.shard, read_done)) {
        tg_buffer_release(buffer);
        return false;
    }
    block->state = BLOCK_READING;
    partition->is_reading = true;
    source->next++;
    return true;
}

/* Start as many reads as there are free blocks; a partition that finds no buffer of its size waits for another turn. */
static void read_ahead(struct file_source *source)
{
    for (uint32_t i = 0; i < source->owned_count && source->next - source->first < BLOCKS; i++) {
        struct file_partition *partition = partition_next(source);
        if (partition == NULL) { return; }
        (void)read_start(source, partition);
    }
}

/* ---- delivering -------------------------------------------------------------------------------------------------- */

/* Cut lines off the block until the batch is full or the block is used up. */
static void cut_lines(struct file_source *source, struct file_block *block, struct tg_raw_batch *out)
{
    const uint8_t *data = block->block.buffer->data;
    const uint32_t bytes = block->block.bytes;
    struct file_partition *partition = partition_of(block);
    while (block->cursor < bytes && out->count < source->env.poll_count_max) {
        const uint8_t *line = data + block->cursor;
        const uint8_t *newline = memchr(line, '\n', bytes - block->cursor);
        const uint32_t length = newline == NULL ? bytes - block->cursor : (uint32_t)(newline - line);
        block->cursor += length + (newline != NULL);
        out->slices[out->count++] = (struct tg_slice){
            .value = line,
            .offset = partition->line++,
            .record_us = TG_TS_MIN,
            .value_bytes = length,
            .oversize = block->block.outcome == TG_BLOCK_OVERSIZE,
        };
    }
}

/* Give up the oldest block; batches with slices of it have references of their own. */
static void block_end(struct file_source *source, struct file_block *block)
{
    tg_buffer_release(block->block.buffer);
    block->block.buffer = NULL;
    block->state = BLOCK_FREE;
    source->first++;
}

static void fail(struct file_source *source, struct file_block *block)
{
    char name[TG_FOLDER_PATH_BYTES];
    const struct tg_file_position *position = block->block.position;
    (void)tg_fail(&source->error, TG1501, block->block.os_errno, "source %s: input file %s", source->env.source_name,
                  tg_folder_name(position->path, position->partition, name));
}

/* News from the oldest block; 0 when it has none. It is over once its last line was taken. */
static uint32_t deliver(struct file_source *source, struct file_block *block, struct tg_raw_batch *out)
{
    if (block->block.outcome == TG_BLOCK_FAILED) {
        fail(source, block);
        block_end(source, block);
        return 0;
    }
    out->partition = block->block.position->partition;
    cut_lines(source, block, out);
    if (out->count > 0) {
        out->buffer = block->block.buffer;
        tg_buffer_retain(out->buffer);
    }
    if (block->cursor == block->block.bytes) {
        if (block->block.is_last) {
            out->flags = TG_RAW_AT_END | TG_RAW_ENDED;
            source->ended_count++;
        }
        block_end(source, block);
    }
    return out->count > 0 || out->flags != 0;
}

static uint32_t poll_source(void *state, struct tg_raw_batch *out, uint64_t now_ns)
{
    struct file_source *source = state;
    out->count = 0;
    out->flags = 0;
    out->buffer = NULL;
    out->arrived_ns = now_ns;
    while (source->error.status == TG_OK) { /* bounded: ends with news, or once every block was started anew */
        read_ahead(source);
        struct file_block *block = &source->blocks[source->first % BLOCKS];
        if (source->first == source->next || block->state != BLOCK_READY) { return 0; }
        if (TG_FAILPOINT("source.batch") != 0) { return 0; }
        if (deliver(source, block, out) != 0) {
            read_ahead(source);
            return 1;
        }
    }
    return 0;
}

static tg_status failure(const void *state, struct tg_error *err)
{
    const struct file_source *source = state;
    if (source->error.status != TG_OK && err != NULL && err->status == TG_OK) { *err = source->error; }
    return source->error.status;
}

/* Lines are not counted before they are read. */
static int64_t lag(const void *state)
{
    const struct file_source *source = state;
    return source->ended_count == source->owned_count ? 0 : -1;
}

/* A file remembers nothing: a run reads it from its first line. */
static void commit(void *state, uint32_t partition, int64_t offset)
{
    (void)state;
    (void)partition;
    (void)offset;
}

static bool is_reading(const struct file_source *source)
{
    bool reading = false;
    for (uint32_t i = 0; i < BLOCKS; i++) { reading = reading || source->blocks[i].state == BLOCK_READING; }
    return reading;
}

static void close_source(void *state)
{
    struct file_source *source = state;
    const struct tg_file_ops *ops = tg_file_ops();
    while (is_reading(source)) { (void)tg_helper_wait(source->env.helper, source->env.shard); }
    for (uint32_t i = 0; i < BLOCKS; i++) {
        if (source->blocks[i].state == BLOCK_READY) { tg_buffer_release(source->blocks[i].block.buffer); }
        source->blocks[i].state = BLOCK_FREE;
    }
    for (uint32_t i = 0; i < source->owned_count; i++) {
        struct tg_file_position *position = &source->partitions[i].position;
        if (position->fd >= 0) { (void)ops->close(ops->self, position->fd); }
        position->fd = -1;
    }
}

const struct tg_source_ops tg_file_source = {
    .name = "file",
    .options = options_table,
    .option_count = sizeof options_table / sizeof options_table[0],
    .offsets_count_records = true,
    .discover = discover,
    .identify = identify,
    .state_bytes = state_bytes,
    .open = open_source,
    .poll = poll_source,
    .failure = failure,
    .lag = lag,
    .commit = commit,
    .close = close_source,
};
