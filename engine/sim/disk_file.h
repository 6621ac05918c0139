/* Contents of one file of the simulated disk: what is seen, what is durable, and the changes in between. */
#ifndef TG_ENGINE_SIM_DISK_FILE_H
#define TG_ENGINE_SIM_DISK_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"

enum { TG_SIM_SECTOR_BYTES = 512 };

struct tg_sim_bytes {
    uint8_t *data;
    size_t used;
    size_t capacity;
};

/* An unsynced write, or a change of the length when data is NULL. */
struct tg_sim_change {
    uint8_t *data;
    size_t offset; /* the new length of a truncation */
    size_t bytes;
};

struct tg_sim_file {
    struct tg_sim_bytes seen;
    struct tg_sim_bytes durable;
    struct tg_sim_change *changes; /* oldest first */
    size_t change_count;
    size_t change_capacity;
};

/* @setup */
void tg_sim_file_write(struct tg_sim_file *file, size_t offset, const void *data, size_t bytes);
void tg_sim_file_truncate(struct tg_sim_file *file, size_t bytes);
/* Everything seen is durable.  @setup */
void tg_sim_file_sync(struct tg_sim_file *file);
/* Part of the changes became durable, the rest counts as clean: it is seen as long as the cache lives, no more.
 * @setup */
void tg_sim_file_sync_failed(struct tg_sim_file *file, struct tg_prng *prng);
/* The power is cut.  @setup */
void tg_sim_file_crash(struct tg_sim_file *file, struct tg_prng *prng);
/* Give back the memory.  @setup */
void tg_sim_file_free(struct tg_sim_file *file);

#endif
