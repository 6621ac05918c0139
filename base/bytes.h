/* Little-endian bytes in and out of bounded memory. Out: what does not fit sets `overflow` and writes nothing more.
 * In: the first thing that is wrong is kept with its position; every read after it gives zeros, so a reader checks once
 * at the end of a group. Texts are a 16-bit length and the bytes. */
#ifndef TG_BASE_BYTES_H
#define TG_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

struct tg_bytes_out {
    uint8_t *data;
    size_t capacity;
    size_t used;
    bool overflow;
};

struct tg_bytes_in {
    const uint8_t *data;
    size_t bytes;
    size_t at;
    const char *wrong; /* static text, NULL while all is well */
    size_t wrong_at;
};

/* Room for `bytes` more, NULL when there is none.  @any */
static inline uint8_t *tg_bytes_claim(struct tg_bytes_out *out, size_t bytes)
{
    if (out->overflow || bytes > out->capacity - out->used) {
        out->overflow = true;
        return NULL;
    }
    uint8_t *place = out->data + out->used;
    out->used += bytes;
    return place;
}
static inline void tg_bytes_put(struct tg_bytes_out *out, const void *data, size_t bytes)
{
    uint8_t *place = tg_bytes_claim(out, bytes);
    if (place != NULL && bytes > 0) { memcpy(place, data, bytes); }
}
static inline void tg_bytes_put_u8(struct tg_bytes_out *out, uint8_t value) { tg_bytes_put(out, &value, 1); }
static inline void tg_bytes_put_u16(struct tg_bytes_out *out, uint16_t value) { tg_bytes_put(out, &value, 2); }
static inline void tg_bytes_put_u32(struct tg_bytes_out *out, uint32_t value) { tg_bytes_put(out, &value, 4); }
static inline void tg_bytes_put_u64(struct tg_bytes_out *out, uint64_t value) { tg_bytes_put(out, &value, 8); }
static inline void tg_bytes_put_i64(struct tg_bytes_out *out, int64_t value) { tg_bytes_put(out, &value, 8); }
static inline void tg_bytes_put_text(struct tg_bytes_out *out, const char *text)
{
    const size_t bytes = strlen(text);
    if (bytes > UINT16_MAX) {
        out->overflow = true;
        return;
    }
    tg_bytes_put_u16(out, (uint16_t)bytes);
    tg_bytes_put(out, text, bytes);
}

/* Say what is wrong at byte `at`; only the first one counts.  @any */
static inline void tg_bytes_wrong_at(struct tg_bytes_in *in, size_t at, const char *what)
{
    if (in->wrong == NULL) {
        in->wrong = what;
        in->wrong_at = at;
    }
}
static inline size_t tg_bytes_left(const struct tg_bytes_in *in) { return in->wrong != NULL ? 0 : in->bytes - in->at; }
/* The next `bytes`, lent; NULL when so many are not there.  @any */
static inline const uint8_t *tg_bytes_take(struct tg_bytes_in *in, size_t bytes)
{
    if (in->wrong != NULL || bytes > in->bytes - in->at) {
        tg_bytes_wrong_at(in, in->at, "cut short");
        return NULL;
    }
    const uint8_t *place = in->data + in->at;
    in->at += bytes;
    return place;
}
static inline void tg_bytes_get(struct tg_bytes_in *in, void *out, size_t bytes)
{
    const uint8_t *place = tg_bytes_take(in, bytes);
    if (place != NULL) {
        memcpy(out, place, bytes);
    } else {
        memset(out, 0, bytes);
    }
}
static inline uint8_t tg_bytes_get_u8(struct tg_bytes_in *in)
{
    uint8_t value;
    tg_bytes_get(in, &value, sizeof value);
    return value;
}
static inline uint16_t tg_bytes_get_u16(struct tg_bytes_in *in)
{
    uint16_t value;
    tg_bytes_get(in, &value, sizeof value);
    return value;
}
static inline uint32_t tg_bytes_get_u32(struct tg_bytes_in *in)
{
    uint32_t value;
    tg_bytes_get(in, &value, sizeof value);
    return value;
}
static inline uint64_t tg_bytes_get_u64(struct tg_bytes_in *in)
{
    uint64_t value;
    tg_bytes_get(in, &value, sizeof value);
    return value;
}
static inline int64_t tg_bytes_get_i64(struct tg_bytes_in *in) { return (int64_t)tg_bytes_get_u64(in); }
/* A number of `low` to `high` in 1, 2, 4 or 8 bytes; anything else is wrong where it stands.  @any */
static inline uint64_t tg_bytes_get_within(struct tg_bytes_in *in, uint32_t width, uint64_t low, uint64_t high,
                                           const char *what)
{
    const size_t at = in->at;
    uint64_t value = 0;
    tg_bytes_get(in, &value, width);
    if (in->wrong == NULL && (value < low || value > high)) { tg_bytes_wrong_at(in, at, what); }
    return in->wrong == NULL ? value : 0;
}

/* Why a read failed without the bytes being to blame: the arena is spent.  */
extern const char tg_bytes_no_room[];
/* A zeroed array of `count` elements in `arena`; NULL when `in` is wrong already, or now because the arena is spent.
 * @any */
void *tg_bytes_array(struct tg_bytes_in *in, struct tg_arena *arena, size_t count, size_t element_bytes);
/* A text of `low` to `high` bytes without control characters, copied into `arena` with a zero behind it; "" when
 * something is wrong.  @any */
const char *tg_bytes_get_text(struct tg_bytes_in *in, struct tg_arena *arena, uint32_t low, uint32_t high);
/* What is wrong with a text in memory by the same rule; NULL = nothing.  @any */
const char *tg_bytes_text_flaw(const char *text, uint32_t low, uint32_t high);

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are stored as they lie in memory");

#endif
