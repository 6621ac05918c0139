/* One read of a file source: a run of whole lines of one partition in a fetch buffer. The read happens on the I/O
 * helper; cutting it into slices on the shard. A line that the end of a block would cut is not carried over but read
 * again as the beginning of the next block: at most one line a block, and no byte is ever copied. */
#ifndef TG_IO_FILE_BLOCK_H
#define TG_IO_FILE_BLOCK_H

#include "io/source.h"

/* A partition's place in its file. The helper has it while a read is under way, the shard otherwise. */
struct tg_file_position {
    const char *path; /* of the source */
    uint32_t partition;
    int fd;          /* -1: not open */
    int64_t offset;  /* of the next line's first byte */
    bool skips_line; /* in the middle of a line that is too long: the next one begins behind the next newline */
};

enum tg_block_outcome {
    TG_BLOCK_LINES,    /* whole lines, the last one of a file maybe without newline; or nothing */
    TG_BLOCK_LONGER,   /* the line does not fit: read it again into a larger buffer */
    TG_BLOCK_OVERSIZE, /* it does not fit the largest one either: its first bytes are there */
    TG_BLOCK_FAILED,   /* os_errno */
};

struct tg_block {
    struct tg_task task; /* first member: a task is its block */
    struct tg_file_position *position;
    struct tg_buffer *buffer;
    uint32_t bytes; /* of them in buffer->data; a newline may stand at data[capacity], a record never */
    enum tg_block_outcome outcome;
    bool is_last; /* the file ends with this block; it is closed then */
    int os_errno;
};

/* Start reading at position->offset into `buffer`; `done` runs on the shard once the block is filled and
 * position->offset stands behind it. False = the helper is full: try next cycle.  @shard */
TG_MUST_USE bool tg_block_read(struct tg_block *block, struct tg_helper *helper, uint32_t shard,
                               void (*done)(struct tg_task *task));

#endif
