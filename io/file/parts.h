/* Parts of a file sink by name and by place: what those who write them and those who commit them share. */
#ifndef TG_IO_FILE_PARTS_H
#define TG_IO_FILE_PARTS_H

#include "io/file/staging.h"

enum { TG_STAGING_PATH_BYTES = 4200, TG_STAGING_NAME_BYTES = 256, TG_STAGING_COPY_BYTES = 256 << 10 };

/* `<path>.part-<shard>-<segment>` into out. Returns out.  @helper */
const char *tg_staging_part_name(const struct tg_staging *staging, uint32_t shard, uint64_t segment,
                                 char out[TG_STAGING_PATH_BYTES]);
/* The segment at a cursor's position.  @helper */
static inline struct tg_file_part *tg_staging_part_at(const struct tg_staging_shard *shard, uint64_t position)
{
    return &shard->segments[position % TG_STAGING_SEGMENTS_MAX];
}
/* Copy a segment to byte `at` of another file, by way of copy[TG_STAGING_COPY_BYTES]; *crc is that of what was read. 1,
 * 0 where the file is shorter than the segment, or -errno.  @helper */
TG_MUST_USE int tg_staging_part_copy(char *copy, int from, int to, int64_t at, const struct tg_file_part *segment,
                                     uint32_t *crc);
/* Make the names of parts and of the final file durable. 0 or -errno.  @helper */
TG_MUST_USE int tg_staging_sync_folder(const struct tg_staging *staging);

#endif
