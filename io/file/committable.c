/* See committable.h. */
#include "io/file/committable.h"

enum { FORMAT = TG_FILE_SUMMED };
static const int64_t FORMAT_BASE = INT64_C(1) << 62; /* no file is as long: format 1 begins with a file's length */
static const char no_length[] = "no length of a file";

void tg_file_head_put(struct tg_bytes_out *out, const struct tg_file_head *head)
{
    tg_bytes_put_i64(out, FORMAT_BASE + FORMAT);
    tg_bytes_put_i64(out, head->length);
    tg_bytes_put_u32(out, head->tail_crc);
    tg_bytes_put_u32(out, head->path_crc);
}

void tg_file_part_put(struct tg_bytes_out *out, const struct tg_file_part *part)
{
    tg_bytes_put_u64(out, part->number);
    tg_bytes_put_u64(out, part->bytes);
    tg_bytes_put_u32(out, part->crc);
}

struct tg_file_parts tg_file_parts_begin(const struct tg_committable *committable)
{
    struct tg_file_parts parts = {.in = {.data = committable->data, .bytes = committable->bytes}};
    struct tg_file_head *head = &parts.head;
    head->format = 1;
    head->length = tg_bytes_get_i64(&parts.in);
    if (head->length > FORMAT_BASE && head->length <= FORMAT_BASE + FORMAT) {
        head->format = (uint32_t)(head->length - FORMAT_BASE);
        head->length = tg_bytes_get_i64(&parts.in);
    }
    if (head->length < 0) { tg_bytes_wrong_at(&parts.in, 0, no_length); }
    if (head->length >= FORMAT_BASE) { tg_bytes_wrong_at(&parts.in, 0, "written by a newer turgo"); }
    if (head->format >= TG_FILE_SUMMED) {
        head->tail_crc = tg_bytes_get_u32(&parts.in);
        head->path_crc = tg_bytes_get_u32(&parts.in);
    }
    return parts;
}

bool tg_file_parts_next(struct tg_file_parts *parts, struct tg_file_part *part)
{
    if (tg_bytes_left(&parts->in) == 0) { return false; }
    part->number = tg_bytes_get_u64(&parts->in);
    part->bytes = tg_bytes_get_within(&parts->in, 8, 0, (uint64_t)FORMAT_BASE, no_length);
    part->crc = parts->head.format >= TG_FILE_PARTS_SUMMED ? tg_bytes_get_u32(&parts->in) : 0;
    return parts->in.wrong == NULL;
}
