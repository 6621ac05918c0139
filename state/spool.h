/* Blocks of state between the tables that fill them and the file they go to: memory of a fixed number of blocks, and
 * the queue of full ones in the order in which they belong into the file. One per shard. Running out of memory spoils
 * the checkpoint under way, never the job: what asked for a block goes on without it, and the epoch is to be aborted.
 */
#ifndef TG_STATE_SPOOL_H
#define TG_STATE_SPOOL_H

#include "base/arena.h"
#include "state/format.h"

struct tg_spool; /* opaque: spool.c */

struct tg_spool_config {
    uint32_t block_count; /* of TG_BLOCK_BYTES_MAX each, 1 to TG_SPOOL_BLOCKS_MAX */
    uint32_t ready_count; /* the first so many are touched here, the others as they are used: that is a page fault every
                             4 KiB, of which one can take longer than what is written between two */
};
enum { TG_SPOOL_BLOCKS_MAX = 1024 };

/* Address space needed from the arena.  @setup */
size_t tg_spool_bytes(const struct tg_spool_config *config);
/* Errors: TG1601.  @setup */
TG_MUST_USE tg_status tg_spool_create(struct tg_spool **spool, const struct tg_spool_config *config,
                                      struct tg_arena *arena, struct tg_error *err);

/* An empty block of records of `table` with room for at least `bytes` (tg_block_bytes of its largest record). NULL: the
 * memory is spent, and tg_spool_failed says so from now on.  @shard */
TG_MUST_USE struct tg_block *tg_spool_open(struct tg_spool *spool, uint32_t table, uint32_t bytes);
/* The block is full: behind all closed before it. An empty one goes back at once.  @shard */
void tg_spool_close(struct tg_spool *spool, struct tg_block *block);
/* The oldest closed block, NULL when there is none. It leaves the queue; release it once its bytes are written.  @shard
 */
struct tg_block *tg_spool_next(struct tg_spool *spool);
/* Give a block back, from wherever it is: being filled or taken from the queue.  @shard */
void tg_spool_release(struct tg_spool *spool, struct tg_block *block);
/* Forget the closed blocks of an epoch that nobody wants any more, and the failure.  @shard */
void tg_spool_discard(struct tg_spool *spool);

/* The block that did not find memory was not one of the epoch being written.  @shard */
void tg_spool_forgive(struct tg_spool *spool);

/* Did a block not find memory since the last discard?  @shard */
bool tg_spool_failed(const struct tg_spool *spool);
/* Blocks in use, closed ones among them.  @shard */
uint32_t tg_spool_used(const struct tg_spool *spool);
uint32_t tg_spool_closed(const struct tg_spool *spool);

#endif
