/* Arena: all memory of a shard, reserved once (anonymous, not committed until touched), carved by a bump pointer at
 * set-up and then sealed. Nothing is ever freed singly. */
#ifndef TG_BASE_ARENA_H
#define TG_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct tg_arena {
    uint8_t *base;
    size_t reserved_bytes;
    size_t used_bytes;
    bool sealed;
};

/* Reserve `reserve_bytes` of address space; pages are committed by first touch. Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_arena_open(struct tg_arena *arena, size_t reserve_bytes, struct tg_error *err);

/* Zeroed memory, `align` a power of two up to 4096. Asserts that the arena is not sealed; returns NULL when the
 * reservation is spent.  @setup */
TG_MUST_USE void *tg_arena_alloc(struct tg_arena *arena, size_t bytes, size_t align);

/* Ask for huge pages: pays where memory is touched at random (tables), costs memory where it is touched in part.
 * @setup */
void tg_arena_advise_huge(const void *memory, size_t bytes);

/* Copy of a string into the arena.  @setup */
TG_MUST_USE char *tg_arena_strdup(struct tg_arena *arena, const char *text);

/* No allocation after this.  @setup */
void tg_arena_seal(struct tg_arena *arena);

/* Unmap everything.  @setup */
void tg_arena_close(struct tg_arena *arena);

#endif
