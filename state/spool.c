/* One stretch of memory cut into blocks of TG_BLOCK_BYTES_MAX. A record that is larger gets as many neighbours as it
 * needs: that is rare, and the map of used blocks is short. First fit from the start, always: a handful of blocks are
 * filled again and again, whose pages are there and whose lines may be. Going round all of the memory instead cost a
 * page fault every 4 KiB of records, a third of what writing them costs. */
#include "state/spool.h"

#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"

enum { PAGE_BYTES = 4096 };

struct tg_spool {
    uint32_t block_count;
    uint32_t used;
    uint32_t first; /* of the queue */
    uint32_t closed;
    bool failed;
    uint8_t *memory;         /* [block_count x TG_BLOCK_BYTES_MAX] */
    uint16_t *taken;         /* [block_count] at a block's first place: how many it takes; 0 = free or part of one */
    bool *busy;              /* [block_count] */
    struct tg_block *blocks; /* [block_count] by first place */
    uint32_t *queue;         /* [block_count] a ring of first places */
};

size_t tg_spool_bytes(const struct tg_spool_config *config)
{
    return sizeof(struct tg_spool) +
           config->block_count * (TG_BLOCK_BYTES_MAX + sizeof(uint16_t) + sizeof(bool) + sizeof(struct tg_block) + 4u) +
           6 * PAGE_BYTES;
}

tg_status tg_spool_create(struct tg_spool **spool, const struct tg_spool_config *config, struct tg_arena *arena,
                          struct tg_error *err)
{
    const uint32_t count = config->block_count;
    TG_ASSERT(count >= 1 && count <= TG_SPOOL_BLOCKS_MAX && config->ready_count <= count);
    struct tg_spool *self = tg_arena_alloc(arena, sizeof *self, 64);
    uint8_t *memory = tg_arena_alloc(arena, (size_t)count * TG_BLOCK_BYTES_MAX, PAGE_BYTES);
    uint16_t *taken = tg_arena_alloc(arena, count * sizeof *taken, 64);
    bool *busy = tg_arena_alloc(arena, count * sizeof *busy, 64);
    struct tg_block *blocks = tg_arena_alloc(arena, count * sizeof *blocks, 64);
    uint32_t *queue = tg_arena_alloc(arena, count * sizeof *queue, 64);
    if (self == NULL || memory == NULL || taken == NULL || busy == NULL || blocks == NULL || queue == NULL) {
        return tg_fail(err, TG1601, 0, "no address space for %u blocks of checkpoints", count);
    }
    *self = (struct tg_spool){
        .block_count = count, .memory = memory, .taken = taken, .busy = busy, .blocks = blocks, .queue = queue};
    for (size_t at = 0; at < (size_t)config->ready_count * TG_BLOCK_BYTES_MAX; at += PAGE_BYTES) { memory[at] = 0; }
    *spool = self;
    return TG_OK;
}

/* First of `wanted` free neighbours, block_count when there are none. */
static uint32_t find_room(const struct tg_spool *spool, uint32_t wanted)
{
    uint32_t free_run = 0;
    for (uint32_t at = 0; at < spool->block_count; at++) {
        free_run = spool->busy[at] ? 0 : free_run + 1;
        if (free_run == wanted) { return at + 1 - wanted; }
    }
    return spool->block_count;
}

struct tg_block *tg_spool_open(struct tg_spool *spool, uint32_t table, uint32_t bytes)
{
    const uint32_t wanted = bytes <= TG_BLOCK_BYTES_MAX ? 1 : (bytes + TG_BLOCK_BYTES_MAX - 1) / TG_BLOCK_BYTES_MAX;
    const uint32_t place = bytes == 0 || wanted > spool->block_count ? spool->block_count : find_room(spool, wanted);
    if (place == spool->block_count || TG_FAILPOINT("spool.open") != 0) {
        spool->failed = true;
        return NULL;
    }
    memset(&spool->busy[place], 1, wanted * sizeof(bool));
    spool->taken[place] = (uint16_t)wanted;
    spool->used += wanted;
    struct tg_block *block = &spool->blocks[place];
    tg_block_begin(block, spool->memory + (size_t)place * TG_BLOCK_BYTES_MAX,
                   bytes <= TG_BLOCK_BYTES_MAX ? TG_BLOCK_BYTES_MAX : bytes, table);
    return block;
}

void tg_spool_close(struct tg_spool *spool, struct tg_block *block)
{
    if (block->entries == 0) {
        tg_spool_release(spool, block);
        return;
    }
    spool->queue[(spool->first + spool->closed) % spool->block_count] = (uint32_t)(block - spool->blocks);
    spool->closed++;
}

struct tg_block *tg_spool_next(struct tg_spool *spool)
{
    if (spool->closed == 0) { return NULL; }
    struct tg_block *block = &spool->blocks[spool->queue[spool->first]];
    spool->first = (spool->first + 1) % spool->block_count;
    spool->closed--;
    return block;
}

void tg_spool_release(struct tg_spool *spool, struct tg_block *block)
{
    const uint32_t place = (uint32_t)(block - spool->blocks);
    const uint32_t count = spool->taken[place];
    TG_ASSERT(place < spool->block_count && count != 0);
    memset(&spool->busy[place], 0, count * sizeof(bool));
    spool->taken[place] = 0;
    spool->used -= count;
}

void tg_spool_discard(struct tg_spool *spool)
{
    struct tg_block *block;
    while ((block = tg_spool_next(spool)) != NULL) { tg_spool_release(spool, block); }
    spool->failed = false;
}

void tg_spool_forgive(struct tg_spool *spool) { spool->failed = false; }
bool tg_spool_failed(const struct tg_spool *spool) { return spool->failed; }
uint32_t tg_spool_used(const struct tg_spool *spool) { return spool->used; }
uint32_t tg_spool_closed(const struct tg_spool *spool) { return spool->closed; }
