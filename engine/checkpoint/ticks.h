/* Ticks as bytes. A tick says that an idle partition's clock was raised, to what and before which offset; what was late
 * because of it is late again when the log is read again. Encoded bytes are docs/formats/ticks.md's; decoding trusts
 * nothing but the lengths it was given. */
#ifndef TG_ENGINE_CHECKPOINT_TICKS_H
#define TG_ENGINE_CHECKPOINT_TICKS_H

#include "base/bytes.h"
#include "base/limits.h"
#include "state/format.h"

enum {
    TG_TICKS_FORMAT = 1,
    TG_TICKS_HEADER_BYTES_MAX = 64 << 10,
    TG_TICKS_FRAME_HEAD_BYTES = 32,
    TG_TICK_BYTES = 32,
    TG_TICKS_FRAME_MAX = 1024, /* ticks of a frame */
    TG_TICKS_FRAME_BYTES_MAX = TG_TICKS_FRAME_HEAD_BYTES + TG_TICKS_FRAME_MAX * TG_TICK_BYTES,
    TG_TICKS_TOPIC_BYTES_MAX = 1024,
};

struct tg_tick {
    uint32_t source;    /* index into the header's */
    uint32_t partition; /* of the source */
    int64_t offset;     /* it acts before the record at this one is judged; -1 = before any is read */
    int64_t wm;         /* what the partition's clock becomes, unless it is beyond */
    int64_t wall_us;    /* when that was, for what silence follows */
};

struct tg_ticks_source {
    const char *name;
    const char *topic;
    const char *cluster; /* what tells the log from another one of the same name; "" = nothing does */
    uint32_t partition_count;
};
struct tg_ticks_header {
    const char *job;
    struct tg_run_id run_id;
    uint64_t graph_hash;
    uint32_t source_count;
    const struct tg_ticks_source *sources; /* [source_count] */
    uint32_t tag;                          /* its checksum, repeated in every frame; encode and decode fill it */
};

/* A whole log. */
struct tg_ticks {
    struct tg_ticks_header header;
    const struct tg_tick *list; /* [count] in the order they were written */
    uint64_t count;
    uint64_t frames;
    uint64_t bytes; /* of header and whole frames; what follows was never made durable, and never acted */
};

/* Write the header into the empty `out` and set header->tag. False = it does not fit, or a name is too long.  @any */
TG_MUST_USE bool tg_ticks_header_encode(struct tg_ticks_header *header, struct tg_bytes_out *out);
/* Add frame `number` (from 0) with ticks[count], 1 to TG_TICKS_FRAME_MAX. The caller has given room.  @any */
void tg_ticks_frame_encode(uint32_t tag, uint64_t number, const struct tg_tick *ticks, uint32_t count,
                           struct tg_bytes_out *out);
/* How many frames ticks[count] take.  @any */
static inline uint64_t tg_ticks_frame_count(uint64_t count)
{
    return (count + TG_TICKS_FRAME_MAX - 1) / TG_TICKS_FRAME_MAX;
}
/* A whole log of ticks[count] in memory of `arena`, in *out; sets header->tag. False = no memory, or a name is too
 * long.  @any */
TG_MUST_USE bool tg_ticks_encode(struct tg_ticks_header *header, const struct tg_tick *ticks, uint64_t count,
                                 struct tg_arena *arena, struct tg_bytes_out *out);
/* Decode data[bytes], called `name` in errors, into `arena`; nothing points into data afterwards. A last frame that is
 * not whole is left out: a crash met it. Errors: TG1512 damaged, with the byte; TG1513 a newer format; TG1601.  @any */
TG_MUST_USE tg_status tg_ticks_decode(const uint8_t *data, size_t bytes, const char *name, struct tg_arena *arena,
                                      struct tg_ticks *out, struct tg_error *err);
/* Address space that decoding `bytes` takes.  @any */
static inline size_t tg_ticks_decode_bytes(size_t bytes) { return 2 * bytes + (1 << 20); }
/* Are both of the same job, graph, sources and partitions? And do their sources read the same logs, as far as both say?
 * @any */
bool tg_ticks_same_job(const struct tg_ticks_header *a, const struct tg_ticks_header *b);
bool tg_ticks_same_logs(const struct tg_ticks_header *a, const struct tg_ticks_header *b);

/* What of list[count] has an effect, in the order in which it acts: by source, partition, offset. Of ticks before one
 * offset the highest is left. Sorts in place, returns how many are left.  @any */
uint64_t tg_ticks_condense(struct tg_tick *list, uint64_t count);

#endif
