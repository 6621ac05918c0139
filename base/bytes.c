#include "base/bytes.h"

const char tg_bytes_no_room[] = "no room in memory";

void *tg_bytes_array(struct tg_bytes_in *in, struct tg_arena *arena, size_t count, size_t element_bytes)
{
    if (in->wrong != NULL) { return NULL; }
    void *array = tg_arena_alloc(arena, count * element_bytes, 16);
    if (array == NULL) { tg_bytes_wrong_at(in, in->at, tg_bytes_no_room); }
    return array;
}

static const char *text_flaw(const uint8_t *text, size_t bytes, uint32_t low, uint32_t high)
{
    if (bytes < low) { return "text too short"; }
    if (bytes > high) { return "text too long"; }
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < 0x20 || text[i] == 0x7F) { return "control character in a text"; }
    }
    return NULL;
}

const char *tg_bytes_get_text(struct tg_bytes_in *in, struct tg_arena *arena, uint32_t low, uint32_t high)
{
    const size_t at = in->at;
    const uint32_t bytes = tg_bytes_get_u16(in);
    const uint8_t *data = tg_bytes_take(in, bytes);
    const char *flaw = data != NULL ? text_flaw(data, bytes, low, high) : NULL;
    if (flaw != NULL) { tg_bytes_wrong_at(in, at, flaw); }
    char *copy = tg_bytes_array(in, arena, bytes + 1, 1);
    if (copy == NULL) { return ""; }
    memcpy(copy, data, bytes);
    return copy;
}

const char *tg_bytes_text_flaw(const char *text, uint32_t low, uint32_t high)
{
    return text_flaw((const uint8_t *)text, strlen(text), low, high);
}
