#include "base/arena.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"

enum { HUGE_PAGE_BYTES = 2 << 20 };

tg_status tg_arena_open(struct tg_arena *arena, size_t reserve_bytes, struct tg_error *err)
{
    *arena = (struct tg_arena){0};
    void *base = mmap(NULL, reserve_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) { return tg_fail(err, TG1601, errno, "reserve %zu bytes of address space", reserve_bytes); }
    arena->base = base;
    arena->reserved_bytes = reserve_bytes;
    return TG_OK;
}

void *tg_arena_alloc(struct tg_arena *arena, size_t bytes, size_t align)
{
    TG_ASSERT(!arena->sealed);
    TG_ASSERT(align != 0 && (align & (align - 1)) == 0 && align <= 4096);
    const size_t start = (arena->used_bytes + align - 1) & ~(align - 1);
    if (start > arena->reserved_bytes || bytes > arena->reserved_bytes - start) { return NULL; }
    arena->used_bytes = start + bytes;
    return arena->base + start;
}

char *tg_arena_strdup(struct tg_arena *arena, const char *text)
{
    const size_t bytes = strlen(text) + 1;
    char *copy = tg_arena_alloc(arena, bytes, 1);
    if (copy != NULL) { memcpy(copy, text, bytes); }
    return copy;
}

void tg_arena_advise_huge(const void *memory, size_t bytes)
{
    const uintptr_t from = ((uintptr_t)memory + HUGE_PAGE_BYTES - 1) & ~(uintptr_t)(HUGE_PAGE_BYTES - 1);
    const uintptr_t to = ((uintptr_t)memory + bytes) & ~(uintptr_t)(HUGE_PAGE_BYTES - 1);
    if (to > from) { (void)madvise((void *)from, to - from, MADV_HUGEPAGE); } /* refusal costs speed only */
}

void tg_arena_seal(struct tg_arena *arena) { arena->sealed = true; }

void tg_arena_close(struct tg_arena *arena)
{
    if (arena->base != NULL) { TG_ASSERT(munmap(arena->base, arena->reserved_bytes) == 0); }
    *arena = (struct tg_arena){0};
}
