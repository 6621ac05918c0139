/* The bytes a checkpoint keeps of one shard of a file sink (docs/formats/checkpoint.md): which file it was, and the
 * parts that a commit appends to it. The file is known by its length before the commit, the checksum of its newest
 * bytes below that, and its path, so that a path that leads to another file meanwhile is noticed. */
#ifndef TG_IO_FILE_COMMITTABLE_H
#define TG_IO_FILE_COMMITTABLE_H

#include "base/bytes.h"
#include "io/sink.h"

enum { TG_FILE_TAIL_BYTES = 4096 }; /* so many newest bytes a checkpoint knows */
enum { TG_FILE_HEAD_BYTES = 24, TG_FILE_PART_BYTES = 20 };

/* Formats from which on there are checksums of parts; of the final file's tail and path, too. */
enum { TG_FILE_PARTS_SUMMED = 2, TG_FILE_SUMMED = 3 };

/* The final file before the commit. */
struct tg_file_head {
    uint32_t format;   /* 1 or one of these */
    uint32_t tail_crc; /* CRC-32C of its last TG_FILE_TAIL_BYTES, or of all where it is shorter; 0 before that */
    uint32_t path_crc; /* CRC-32C of its path as the job says it; 0 before that */
    int64_t length;
};

struct tg_file_part {
    uint64_t number;
    uint64_t bytes;
    uint32_t crc; /* CRC-32C of them; 0 in format 1 */
};

/* Append them in the newest format, whatever head->format says.  @helper */
void tg_file_head_put(struct tg_bytes_out *out, const struct tg_file_head *head);
void tg_file_part_put(struct tg_bytes_out *out, const struct tg_file_part *part);

/* One that is being read; in.wrong says what is wrong with it. */
struct tg_file_parts {
    struct tg_bytes_in in;
    struct tg_file_head head;
};

/* Begin one that is not empty, which is lent.  @helper */
struct tg_file_parts tg_file_parts_begin(const struct tg_committable *committable);
/* The next part; false = there is none, or something is wrong.  @helper */
bool tg_file_parts_next(struct tg_file_parts *parts, struct tg_file_part *part);

#endif
