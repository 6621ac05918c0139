/* Header, frames, and telling a torn end from damage. */
#include "engine/checkpoint/ticks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/types.h"

#define TICKS_MAGIC "TGTICKS\n"
#define FRAME_MAGIC 0x4B434954u /* TICK */
enum { MAGIC_BYTES = 8, LENGTH_AT = 12, CHECKSUM_AT = 28, ALIGNMENT = 8 };

/* ---- encode ------------------------------------------------------------------------------------------------------ */

bool tg_ticks_header_encode(struct tg_ticks_header *header, struct tg_bytes_out *out)
{
    TG_ASSERT(out->used == 0 && header->source_count <= TG_SOURCES_MAX);
    tg_bytes_put(out, TICKS_MAGIC, MAGIC_BYTES);
    tg_bytes_put_u16(out, TG_TICKS_FORMAT);
    tg_bytes_put_u16(out, 0);
    tg_bytes_put_u32(out, 0); /* the length, below */
    tg_bytes_put(out, header->run_id.bytes, sizeof header->run_id.bytes);
    tg_bytes_put_u64(out, header->graph_hash);
    tg_bytes_put_text(out, header->job);
    tg_bytes_put_u16(out, (uint16_t)header->source_count);
    for (uint32_t i = 0; i < header->source_count; i++) {
        tg_bytes_put_text(out, header->sources[i].name);
        tg_bytes_put_text(out, header->sources[i].topic);
        tg_bytes_put_text(out, header->sources[i].cluster);
        tg_bytes_put_u32(out, header->sources[i].partition_count);
    }
    while (!out->overflow && (out->used + 4) % ALIGNMENT != 0) { tg_bytes_put_u8(out, 0); }
    const uint32_t bytes = (uint32_t)out->used + 4;
    if (out->overflow || bytes > TG_TICKS_HEADER_BYTES_MAX) { return false; }
    memcpy(out->data + LENGTH_AT, &bytes, sizeof bytes);
    header->tag = tg_crc32c(0, out->data, out->used);
    tg_bytes_put_u32(out, header->tag);
    return !out->overflow;
}

static uint32_t frame_crc(const uint8_t *frame, uint32_t count)
{
    const uint32_t crc = tg_crc32c(0, frame, CHECKSUM_AT);
    return tg_crc32c(crc, frame + TG_TICKS_FRAME_HEAD_BYTES, (size_t)count * TG_TICK_BYTES);
}

void tg_ticks_frame_encode(uint32_t tag, uint64_t number, const struct tg_tick *ticks, uint32_t count,
                           struct tg_bytes_out *out)
{
    TG_ASSERT(count >= 1 && count <= TG_TICKS_FRAME_MAX && out->used % ALIGNMENT == 0);
    const size_t start = out->used;
    tg_bytes_put_u32(out, FRAME_MAGIC);
    tg_bytes_put_u32(out, tag);
    tg_bytes_put_u64(out, number);
    tg_bytes_put_u32(out, count);
    tg_bytes_put_u64(out, 0);
    tg_bytes_put_u32(out, 0); /* the checksum, below */
    for (uint32_t i = 0; i < count; i++) {
        tg_bytes_put_u32(out, ticks[i].source);
        tg_bytes_put_u32(out, ticks[i].partition);
        tg_bytes_put_i64(out, ticks[i].offset);
        tg_bytes_put_i64(out, ticks[i].wm);
        tg_bytes_put_i64(out, ticks[i].wall_us);
    }
    TG_ASSERT(!out->overflow);
    const uint32_t crc = frame_crc(out->data + start, count);
    memcpy(out->data + start + CHECKSUM_AT, &crc, sizeof crc);
}

bool tg_ticks_encode(struct tg_ticks_header *header, const struct tg_tick *ticks, uint64_t count,
                     struct tg_arena *arena, struct tg_bytes_out *out)
{
    const uint64_t frames = tg_ticks_frame_count(count);
    const size_t room = TG_TICKS_HEADER_BYTES_MAX + frames * TG_TICKS_FRAME_HEAD_BYTES + count * TG_TICK_BYTES;
    *out = (struct tg_bytes_out){.data = tg_arena_alloc(arena, room, 64), .capacity = room};
    if (out->data == NULL || !tg_ticks_header_encode(header, out)) { return false; }
    for (uint64_t f = 0; f < frames; f++) {
        const uint64_t left = count - f * TG_TICKS_FRAME_MAX;
        const uint32_t some = left < TG_TICKS_FRAME_MAX ? (uint32_t)left : TG_TICKS_FRAME_MAX;
        tg_ticks_frame_encode(header->tag, f, ticks + f * TG_TICKS_FRAME_MAX, some, out);
    }
    return true;
}

/* ---- decode ------------------------------------------------------------------------------------------------------ */

static const char *get_name(struct tg_bytes_in *in, struct tg_arena *arena)
{
    return tg_bytes_get_text(in, arena, 1, TG_STATE_NAME_BYTES_MAX);
}

/* Behind magic, format and length, whose checksum is right. */
static void get_header(struct tg_bytes_in *in, struct tg_arena *arena, struct tg_ticks_header *out)
{
    tg_bytes_get(in, out->run_id.bytes, sizeof out->run_id.bytes);
    out->graph_hash = tg_bytes_get_u64(in);
    out->job = get_name(in, arena);
    out->source_count = (uint32_t)tg_bytes_get_within(in, 2, 0, TG_SOURCES_MAX, "too many sources");
    struct tg_ticks_source *sources = tg_bytes_array(in, arena, out->source_count, sizeof *sources);
    for (uint32_t i = 0; in->wrong == NULL && i < out->source_count; i++) {
        sources[i].name = get_name(in, arena);
        sources[i].topic = tg_bytes_get_text(in, arena, 0, TG_TICKS_TOPIC_BYTES_MAX);
        sources[i].cluster = tg_bytes_get_text(in, arena, 0, TG_STATE_NAME_BYTES_MAX);
        sources[i].partition_count =
            (uint32_t)tg_bytes_get_within(in, 4, 1, TG_PARTITIONS_MAX, "wrong number of partitions");
    }
    out->sources = sources;
    const size_t padding = in->wrong == NULL ? (ALIGNMENT - (in->at + 4) % ALIGNMENT) % ALIGNMENT : 0;
    for (size_t i = 0; i < padding; i++) { (void)tg_bytes_get_within(in, 1, 0, 0, "reserved byte is not 0"); }
    if (in->wrong == NULL && in->at != in->bytes) { tg_bytes_wrong_at(in, in->at, "bytes behind the last source"); }
}

/* Magic, format, length and the checksum's place stand where they stand in every format. Returns the format. */
static uint32_t envelope(struct tg_bytes_in *in, uint32_t *length, uint32_t *tag)
{
    const uint8_t *magic = tg_bytes_take(in, MAGIC_BYTES);
    if (magic != NULL && memcmp(magic, TICKS_MAGIC, MAGIC_BYTES) != 0) { tg_bytes_wrong_at(in, 0, "no log of ticks"); }
    const uint32_t format = tg_bytes_get_u16(in);
    (void)tg_bytes_get_u16(in);
    *length = tg_bytes_get_u32(in);
    if (in->wrong != NULL) { return 0; }
    if (*length > in->bytes || *length > TG_TICKS_HEADER_BYTES_MAX || *length < in->at + 4) {
        tg_bytes_wrong_at(in, LENGTH_AT, "header of another length");
        return 0;
    }
    memcpy(tag, in->data + *length - 4, sizeof *tag);
    if (tg_crc32c(0, in->data, *length - 4) != *tag) { tg_bytes_wrong_at(in, *length - 4, "wrong checksum"); }
    return format;
}

static tg_status decode_header(struct tg_bytes_in *in, const char *name, struct tg_arena *arena,
                               struct tg_ticks_header *out, struct tg_error *err)
{
    uint32_t length = 0;
    const uint32_t format = envelope(in, &length, &out->tag);
    if (in->wrong == NULL && format > TG_TICKS_FORMAT) {
        return tg_fail(err, TG1513, 0, "%s has format %" PRIu32 ", this turgo reads up to %d", name, format,
                       TG_TICKS_FORMAT);
    }
    if (in->wrong == NULL && format != TG_TICKS_FORMAT) { tg_bytes_wrong_at(in, MAGIC_BYTES, "unknown format"); }
    if (in->wrong != NULL) { return tg_state_damaged(name, in->wrong_at, in->wrong, err); }
    struct tg_bytes_in inside = {.data = in->data, .bytes = length - 4, .at = MAGIC_BYTES + 2};
    (void)tg_bytes_get_within(&inside, 2, 0, 0, "reserved bytes are not 0");
    inside.at += inside.wrong == NULL ? 4 : 0;
    get_header(&inside, arena, out);
    in->at = length;
    return inside.wrong == NULL ? TG_OK : tg_state_damaged(name, inside.wrong_at, inside.wrong, err);
}

/* Ticks of the whole frame at byte `at`, 0 = there is none. */
static uint32_t frame_at(const struct tg_bytes_in *in, size_t at, uint32_t tag, uint64_t *number)
{
    uint32_t head[TG_TICKS_FRAME_HEAD_BYTES / 4];
    if (in->bytes - at < sizeof head) { return 0; }
    memcpy(head, in->data + at, sizeof head);
    memcpy(number, in->data + at + 8, sizeof *number);
    const uint32_t count = head[4];
    if (head[0] != FRAME_MAGIC || head[1] != tag || count < 1 || count > TG_TICKS_FRAME_MAX) { return 0; }
    if ((in->bytes - at - sizeof head) / TG_TICK_BYTES < count) { return 0; }
    return frame_crc(in->data + at, count) == head[7] && head[5] == 0 && head[6] == 0 ? count : 0;
}

/* A frame is begun when the one before it is durable: where another one follows, or more than one frame's bytes, what
 * is broken was whole once. */
static bool is_damage(const struct tg_bytes_in *in, uint32_t tag, uint64_t number)
{
    if (in->bytes - in->at > TG_TICKS_FRAME_BYTES_MAX) { return true; }
    for (size_t at = in->at + ALIGNMENT; at + TG_TICKS_FRAME_HEAD_BYTES <= in->bytes; at += ALIGNMENT) {
        uint64_t other;
        if (frame_at(in, at, tag, &other) != 0 && other > number) { return true; }
    }
    return false;
}

static void get_tick(struct tg_bytes_in *in, const struct tg_ticks_header *header, struct tg_tick *out)
{
    if (header->source_count == 0) {
        tg_bytes_wrong_at(in, in->at, "tick of no source");
        return;
    }
    out->source = (uint32_t)tg_bytes_get_within(in, 4, 0, header->source_count - 1, "tick of no source");
    const uint32_t partitions = in->wrong == NULL ? header->sources[out->source].partition_count : 1;
    out->partition = (uint32_t)tg_bytes_get_within(in, 4, 0, partitions - 1, "tick of no partition");
    const size_t at = in->at;
    out->offset = tg_bytes_get_i64(in);
    out->wm = tg_bytes_get_i64(in);
    out->wall_us = tg_bytes_get_i64(in);
    if (out->offset < -1) { tg_bytes_wrong_at(in, at, "offset below 0"); }
    if (out->wm == TG_TS_MIN || out->wm == TG_TS_MAX) { tg_bytes_wrong_at(in, at + 8, "no instant"); }
}

tg_status tg_ticks_decode(const uint8_t *data, size_t bytes, const char *name, struct tg_arena *arena,
                          struct tg_ticks *out, struct tg_error *err)
{
    *out = (struct tg_ticks){0};
    struct tg_bytes_in in = {.data = data, .bytes = bytes};
    const tg_status status = decode_header(&in, name, arena, &out->header, err);
    if (status != TG_OK) { return status; }
    struct tg_tick *list = tg_bytes_array(&in, arena, (bytes - in.at) / TG_TICK_BYTES, sizeof *list);
    uint64_t number = 0;
    uint32_t count;
    while (in.wrong == NULL && (count = frame_at(&in, in.at, out->header.tag, &number)) != 0) {
        if (number != out->frames) { tg_bytes_wrong_at(&in, in.at + 8, "frame of another place"); }
        in.at += TG_TICKS_FRAME_HEAD_BYTES;
        for (uint32_t i = 0; in.wrong == NULL && i < count; i++) { get_tick(&in, &out->header, &list[out->count++]); }
        out->frames++;
    }
    if (in.wrong == NULL && in.at != bytes && is_damage(&in, out->header.tag, out->frames)) {
        tg_bytes_wrong_at(&in, in.at, "broken frame");
    }
    out->list = list;
    out->bytes = in.at;
    return in.wrong == NULL ? TG_OK : tg_state_damaged(name, in.wrong_at, in.wrong, err);
}

bool tg_ticks_same_job(const struct tg_ticks_header *a, const struct tg_ticks_header *b)
{
    if (a->graph_hash != b->graph_hash || a->source_count != b->source_count || strcmp(a->job, b->job) != 0) {
        return false;
    }
    for (uint32_t i = 0; i < a->source_count; i++) {
        const struct tg_ticks_source *x = &a->sources[i];
        const struct tg_ticks_source *y = &b->sources[i];
        if (strcmp(x->name, y->name) != 0 || strcmp(x->topic, y->topic) != 0 ||
            x->partition_count != y->partition_count) {
            return false;
        }
    }
    return true;
}

bool tg_ticks_same_logs(const struct tg_ticks_header *a, const struct tg_ticks_header *b)
{
    for (uint32_t i = 0; i < a->source_count && i < b->source_count; i++) {
        const char *x = a->sources[i].cluster;
        const char *y = b->sources[i].cluster;
        if (x[0] != '\0' && y[0] != '\0' && strcmp(x, y) != 0) { return false; }
    }
    return true;
}

/* ---- condense ---------------------------------------------------------------------------------------------------- */

static int compare(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int in_order(const void *left, const void *right)
{
    const struct tg_tick *a = left;
    const struct tg_tick *b = right;
    if (a->source != b->source) { return compare(a->source, b->source); }
    if (a->partition != b->partition) { return compare(a->partition, b->partition); }
    if (a->offset != b->offset) { return compare(a->offset, b->offset); }
    if (a->wm != b->wm) { return compare(a->wm, b->wm); }
    return compare(a->wall_us, b->wall_us);
}

uint64_t tg_ticks_condense(struct tg_tick *list, uint64_t count)
{
    if (count == 0) { return 0; }
    qsort(list, count, sizeof *list, in_order);
    uint64_t left = 0;
    for (uint64_t i = 1; i < count; i++) {
        const struct tg_tick *last = &list[left];
        const bool same = last->source == list[i].source && last->partition == list[i].partition;
        if (same && last->offset == list[i].offset) {
            list[left] = list[i];
        } else if (!same || list[i].wm > last->wm) {
            list[++left] = list[i];
        }
    }
    return left + 1;
}
