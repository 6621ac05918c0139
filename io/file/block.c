/* Filling a block; everything here but tg_block_read runs on the helper. */
#include "io/file/block.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "io/file/folder.h"
#include "io/file_ops.h"

/* What was read begins with the rest of a line that is too long: pass over it. */
static void skip_line(struct tg_block *block, uint32_t bytes)
{
    struct tg_file_position *position = block->position;
    const uint8_t *newline = memchr(block->buffer->data, '\n', bytes);
    const uint32_t skipped = newline == NULL ? bytes : (uint32_t)(newline + 1 - block->buffer->data);
    position->skips_line = newline == NULL && !block->is_last;
    position->offset += skipped;
    block->is_last = block->is_last && skipped == bytes;
}

/* Keep the whole lines among what was read; what follows them is read again. */
static void keep_lines(struct tg_block *block, uint32_t bytes)
{
    struct tg_buffer *buffer = block->buffer;
    const uint8_t *newline = memrchr(buffer->data, '\n', bytes);
    if (block->is_last) {
        block->bytes = bytes;
    } else if (newline != NULL) {
        block->bytes = (uint32_t)(newline + 1 - buffer->data);
    } else if (buffer->capacity < TG_RECORD_BYTES_MAX) {
        block->outcome = TG_BLOCK_LONGER;
    } else {
        block->outcome = TG_BLOCK_OVERSIZE;
        block->bytes = TG_RECORD_BYTES_MAX;
        block->position->skips_line = true;
    }
    buffer->used = block->bytes < buffer->capacity ? block->bytes : buffer->capacity;
    block->position->offset += block->bytes;
}

static void close_file(struct tg_file_position *position)
{
    const struct tg_file_ops *ops = tg_file_ops();
    if (position->fd >= 0) { (void)ops->close(ops->self, position->fd); }
    position->fd = -1;
}

static void run_read(struct tg_task *task)
{
    struct tg_block *block = (struct tg_block *)task;
    struct tg_file_position *position = block->position;
    struct tg_buffer *buffer = block->buffer;
    if (position->fd < 0) { position->fd = tg_folder_open(position->path, position->partition); }
    /* One byte more than fits, into the padding: a record that fills the buffer still has its newline with it. */
    const uint32_t want = buffer->capacity + 1;
    const int failed = -TG_FAILPOINT("source.read");
    const int fd = failed != 0 ? failed : position->fd;
    const int64_t bytes = fd < 0 ? fd : tg_file_read_upto(fd, buffer->data, want, position->offset);
    if (bytes < 0) {
        block->outcome = TG_BLOCK_FAILED;
        block->os_errno = (int)-bytes;
        close_file(position);
        return;
    }
    block->outcome = TG_BLOCK_LINES;
    block->is_last = bytes < want;
    if (position->skips_line) {
        skip_line(block, (uint32_t)bytes);
    } else {
        keep_lines(block, (uint32_t)bytes);
    }
    if (block->is_last) { close_file(position); }
}

bool tg_block_read(struct tg_block *block, struct tg_helper *helper, uint32_t shard, void (*done)(struct tg_task *task))
{
    TG_ASSERT(block->buffer != NULL && block->buffer->used == 0);
    block->task = (struct tg_task){.run = run_read, .done = done, .owner = block->task.owner};
    block->bytes = 0;
    block->is_last = false;
    block->os_errno = 0;
    return tg_helper_submit(helper, shard, &block->task);
}
