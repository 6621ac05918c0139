/* A state file in memory as a reader's input; asking for bytes behind its end is an error the reader must not cause. */
#ifndef TG_TESTS_MEMORY_INPUT_H
#define TG_TESTS_MEMORY_INPUT_H

#include <string.h>

#include "state/format.h"

struct memory_input {
    const uint8_t *data;
    size_t bytes;
};
static inline tg_status memory_read(void *self, uint64_t at, void *data, size_t bytes, struct tg_error *err)
{
    const struct memory_input *input = self;
    if (at > input->bytes || bytes > input->bytes - at) {
        return tg_fail(err, TG1511, 0, "asked for bytes behind the end"); /* the reader must know better */
    }
    memcpy(data, input->data + at, bytes);
    return TG_OK;
}
static inline struct tg_state_input memory_input(struct memory_input *input)
{
    return (struct tg_state_input){.read = memory_read, .self = input, .bytes = input->bytes, .name = "e1/s0.base"};
}

#endif
