/* Stage 1 of JSON decoding behind a C interface: UTF-8 check, quotes and structure, by simdjson's run-time SIMD
 * kernels. It yields the structural indexes of a document: the offset of every { } [ ] : , outside strings and of the
 * first byte of every string and other scalar. Closing quotes are not among them. What the bytes between mean is the
 * walk's business (decode_walk.h): stage 1 alone accepts a lot that is not JSON. */
#ifndef TG_IO_DECODE_STAGE1_H
#define TG_IO_DECODE_STAGE1_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tg_stage1;

enum tg_stage1_outcome {
    TG_STAGE1_OK,
    TG_STAGE1_REFUSED, /* not UTF-8, nothing but blanks, an unclosed string, a control character inside a string */
};

/* Offsets in ascending order. at[count] is the document's length, so that a scalar always has a next index. */
struct tg_structure {
    const uint32_t *at; /* [count + 1], valid until the next run */
    uint32_t count;     /* >= 1 when the outcome is TG_STAGE1_OK */
};

/* Scratch for documents of up to `bytes_max`: 4 bytes of address space for each, taken once and committed by the kernel
 * as far as documents reach into it; no run allocates. NULL when there is no memory.  @setup */
struct tg_stage1 *tg_stage1_create(uint32_t bytes_max);
void tg_stage1_destroy(struct tg_stage1 *stage1);

/* Index bytes[0..length), 1 <= length <= bytes_max; `out` is filled only with TG_STAGE1_OK. TG_BUFFER_PADDING bytes
 * behind the document are readable; they may hold anything and are never written.  @shard */
enum tg_stage1_outcome tg_stage1_run(struct tg_stage1 *stage1, const uint8_t *bytes, uint32_t length,
                                     struct tg_structure *out);

/* True when the bytes are valid UTF-8. Needed beside tg_stage1_run because the kernel for CPUs without SIMD looks at
 * the encoding inside strings only.  @any */
bool tg_stage1_is_utf8(const uint8_t *bytes, uint32_t length);

/* Name of the kernel chosen for this CPU ("icelake", "haswell", ...).  @any */
const char *tg_stage1_kernel(void);

#ifdef __cplusplus
}
#endif

#endif
