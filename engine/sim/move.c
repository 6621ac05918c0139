/* Attempts follow each other until a start would find the checkpoint, or would see that only a part of it is there. */
#include "engine/sim/move.h"

#include <errno.h>

#include "base/assert.h"
#include "engine/checkpoint/recovery.h"

enum { DEATHS_MAX = 4 };

struct attempt {
    struct tg_sim_disk *disk;
    uint64_t calls;
    uint64_t calls_max; /* UINT64_MAX = it lives */
    bool dead;
};

static void called(void *self)
{
    struct attempt *attempt = self;
    attempt->calls++;
    if (attempt->calls != attempt->calls_max) { return; }
    attempt->dead = true;
    tg_sim_disk_freeze(attempt->disk);
}

/* Newest complete checkpoint of a directory, and the largest number of any, complete or not; 0 = none. */
static tg_status newest(const struct tg_store *store, uint64_t *epoch, uint64_t *in_use, struct tg_error *err)
{
    struct tg_arena arena;
    struct tg_store_listing listing;
    *epoch = *in_use = 0;
    tg_status status = tg_arena_open(&arena, TG_STORE_ARENA_BYTES, err);
    if (status == TG_OK) { status = tg_store_list(store, &arena, &listing, err); }
    if (status == TG_OK && listing.manifest_count != 0) { *epoch = listing.manifests[0].epoch; }
    if (status == TG_OK) { *in_use = listing.newest; }
    tg_arena_close(&arena);
    return status;
}

static tg_status restore(const struct tg_sim_move *move, const struct tg_store *from, uint64_t epoch,
                         struct tg_error *err)
{
    struct tg_arena arena;
    struct tg_store to;
    struct tg_manifest manifest;
    struct tg_recovery_totals totals;
    uint64_t there;
    uint64_t in_use;
    tg_status status = tg_arena_open(&arena, TG_RECOVERY_ARENA_BYTES, err);
    if (status != TG_OK) { return status; }
    status = tg_store_open(&to, &(struct tg_store_config){.path = move->to, .pid = 1}, err);
    if (status == TG_OK) { status = newest(&to, &there, &in_use, err); }
    if (status == TG_OK) { status = tg_recovery_read_manifest(from, epoch, &arena, &manifest, err); }
    if (status == TG_OK) {
        const uint64_t last = in_use > epoch ? in_use : epoch;
        status = tg_recovery_copy(from, &manifest, &to, last + 1, &totals, err);
    }
    tg_store_close(&to);
    tg_arena_close(&arena);
    return status;
}

static tg_status look(const char *path, uint64_t *epoch, uint64_t *in_use, struct tg_error *err)
{
    struct tg_store store;
    tg_status status = tg_store_open(&store, &(struct tg_store_config){.path = path, .read_only = true}, err);
    if (status == TG_OK) { status = newest(&store, epoch, in_use, err); }
    if (status != TG_OK && err->os_errno == ENOENT) { /* nobody has made it yet */
        *err = (struct tg_error){0};
        *epoch = *in_use = 0;
        return TG_OK;
    }
    return status;
}

tg_status tg_sim_move_run(const struct tg_sim_move *move, bool *moved, struct tg_error *err)
{
    struct tg_store from;
    uint64_t epoch;
    uint64_t in_use;
    uint64_t there = 0;
    bool left = false;
    tg_status status = TG_OK;
    for (uint32_t deaths = 0; status == TG_OK && there == 0 && !left;) {
        status = look(move->from, &epoch, &in_use, err); /* a manifest whose name was not durable went with the power */
        if (status != TG_OK || epoch == 0) { break; }
        const bool dies = deaths < DEATHS_MAX && tg_prng_below(move->prng, 2) == 0;
        struct attempt attempt = {.disk = move->disk, .calls_max = UINT64_MAX};
        if (dies) { attempt.calls_max = 1 + tg_prng_below(move->prng, move->calls_max); }
        const bool power = tg_prng_below(move->prng, 2) != 0 || move->power_only;
        status = tg_store_open(&from, &(struct tg_store_config){.path = move->from, .read_only = true}, err);
        TG_ASSERT(status == TG_OK); /* one that only looks opens nothing */
        tg_sim_disk_watch(move->disk, called, &attempt);
        status = restore(move, &from, epoch, err);
        tg_sim_disk_watch(move->disk, NULL, NULL);
        if (attempt.dead) {
            *err = (struct tg_error){0};
            deaths++;
            tg_sim_disk_crash(move->disk, power ? TG_SIM_POWER : TG_SIM_KILL);
            status = TG_OK;
        }
        if (status == TG_OK) { status = look(move->to, &there, &in_use, err); }
        left = in_use != 0 && tg_prng_below(move->prng, 2) == 0; /* something has come: nobody does it again */
    }
    *moved = status == TG_OK && (there != 0 || left);
    return status;
}
