/* The I/O helper: one thread per process for everything that may block (files, SQLite). A shard submits tasks through a
 * ring; the helper runs them in submission order per shard and sends them back; the shard runs `done`.
 * The simulator owns a helper without a thread and steps it. */
#ifndef TG_IO_HELPER_H
#define TG_IO_HELPER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct tg_helper;

struct tg_task {
    void (*run)(struct tg_task *task);  /* on the helper; may block */
    void (*done)(struct tg_task *task); /* on the shard, in tg_helper_poll; NULL = nothing to do */
    void *owner;
};

/* `wake(self, shard)` is called on the helper after results were queued for that shard; may be NULL.  @setup */
TG_MUST_USE tg_status tg_helper_create(struct tg_helper **helper, uint32_t shard_count,
                                       void (*wake)(void *self, uint32_t shard),
                                       void *self, struct tg_error *err);
/* Start its thread. Without it tg_helper_step does the work.  @setup */
TG_MUST_USE tg_status tg_helper_start(struct tg_helper *helper, struct tg_error *err);
/* Finish all submitted tasks, stop the thread, free. `done`s of unpolled tasks do not run.  @setup */
void tg_helper_destroy(struct tg_helper *helper);

enum { TG_HELPER_TASKS_MAX = 256 }; /* per shard, submitted and not yet polled back */
/* Queue a task; ownership passes until its `done`. False = TG_HELPER_TASKS_MAX are under way: try again.  @shard */
TG_MUST_USE bool tg_helper_submit(struct tg_helper *helper, uint32_t shard, struct tg_task *task);
/* Run the `done`s of finished tasks; returns how many.  @shard */
uint32_t tg_helper_poll(struct tg_helper *helper, uint32_t shard);
/* True when tg_helper_poll would find something: what a shard asks after it announced that it sleeps.  @shard */
bool tg_helper_ready(const struct tg_helper *helper, uint32_t shard);
/* Run the `done`s of finished tasks, waiting for at least one when some are under way: for closing.  @setup */
uint32_t tg_helper_wait(struct tg_helper *helper, uint32_t shard);
/* Run at most `budget` queued tasks in the calling thread (simulator), shards in turn; returns how many. Nothing and 0
 * when the helper has a thread.  @shard */
uint32_t tg_helper_step(struct tg_helper *helper, uint32_t budget);

#endif
