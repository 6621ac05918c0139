/* The checkpoint directory at its limits: every step that fails by itself, files that vanish while they are removed,
 * more entries than there is room for, and no memory. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "io/checkpoint/store.h"
#include "tests/faulty_ops.h"
#include "tests/no_memory.h"

static char folder[64];
static char path[128];
static struct tg_arena arena;
static struct tg_store store;
static struct tg_error err;

static void open_store(void)
{
    cr_assert_eq(tg_store_open(&store, &(struct tg_store_config){.path = path, .pid = 4711}, &err), TG_OK, "%s",
                 err.text);
}
static void begin(void)
{
    (void)snprintf(folder, sizeof folder, "%s/turgo-edges-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/checkpoints", folder);
    cr_assert_eq(tg_arena_open(&arena, (size_t)256 << 20, NULL), TG_OK);
    err = (struct tg_error){0};
    open_store();
}
static void end(void)
{
    char command[128];
    tg_failpoint_reset();
    tg_file_ops_use(NULL);
    tg_store_close(&store);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
    tg_arena_close(&arena);
}
TestSuite(store_edges, .init = begin, .fini = end, .timeout = 120);

static const char *place(const char *name)
{
    static char file[256];
    (void)snprintf(file, sizeof file, "%s/%s", path, name);
    return file;
}
static bool there(const char *name) { return access(place(name), F_OK) == 0; }
static void put(const char *name)
{
    const int fd = open(place(name), O_WRONLY | O_CREAT, 0666);
    cr_assert_geq(fd, 0);
    cr_assert_eq(close(fd), 0);
}

/* Checkpoint `epoch` with all it takes, the removal of older ones included. */
static tg_status live_through(uint64_t epoch, bool *decided)
{
    static _Alignas(TG_STORE_BUFFER_ALIGN) uint8_t buffer[TG_STORE_BUFFER_BYTES];
    struct tg_store_file file = {.buffer = buffer};
    const struct tg_store_keep keep = {.manifest_count = 1, .manifests = &epoch, .epoch_count = 1, .epochs = &epoch};
    err = (struct tg_error){0};
    *decided = false;
    tg_status status = tg_store_epoch_begin(&store, epoch, &err);
    if (status == TG_OK) { status = tg_store_file_create(&store, epoch, 0, true, &file, &err); }
    if (status == TG_OK) { status = tg_store_file_append(&store, &file, "state", 5, &err); }
    if (status == TG_OK) { status = tg_store_file_finish(&store, &file, &err); }
    if (status == TG_OK) { status = tg_store_epoch_sync(&store, epoch, &err); }
    if (status == TG_OK) { status = tg_store_publish(&store, epoch, "manifest", 8, decided, &err); }
    if (status != TG_OK && !*decided) { tg_store_epoch_abort(&store, epoch); }
    if (status == TG_OK) { status = tg_store_acknowledge(&store, epoch, 1, &err); }
    if (status == TG_OK) { status = tg_store_sweep(&store, &keep, &err); }
    return status;
}

/* ---- steps that fail by themselves ------------------------------------------------------------------------------- */

struct visited {
    uint64_t fails; /* number of the visit that does, of any name */
    uint64_t visits;
    char name[64]; /* of the one that did */
};
static int visit(void *self, const char *name, uint64_t count)
{
    struct visited *visited = self;
    (void)count;
    if (++visited->visits != visited->fails) { return 0; }
    (void)snprintf(visited->name, sizeof visited->name, "%s", name);
    return EIO;
}

Test(store_edges, every_step_may_fail_and_the_next_checkpoint_is_whole)
{
    bool all = false;
    for (uint64_t k = 1; !all; k++) {
        struct visited visited = {.fails = k};
        bool decided;
        tg_failpoint_watch(visit, &visited);
        const tg_status status = live_through(2 * k, &decided);
        tg_failpoint_reset();
        all = visited.name[0] == '\0';
        cr_assert(all == (status == TG_OK), "%s: %s", visited.name, err.text);
        cr_assert(all || err.code == TG1510, "%s", visited.name);
        const bool before = strncmp(visited.name, "store.", 6) == 0 || (!decided && !all);
        cr_assert_eq(decided, !before, "%s", visited.name);
        cr_assert_eq(live_through(2 * k + 1, &decided), TG_OK, "%s: %s", visited.name, err.text);
        struct tg_store_listing listing;
        cr_assert_eq(tg_store_list(&store, &arena, &listing, &err), TG_OK);
        cr_assert(listing.manifest_count == 1 && listing.manifests[0].epoch == 2 * k + 1);
        cr_assert(listing.manifests[0].acknowledged && listing.epoch_count == 1 && listing.leftover_count == 0);
    }
}

Test(store_edges, a_start_that_fails_at_any_step_may_be_tried_again)
{
    bool all = false;
    for (uint64_t k = 1; !all; k++) {
        struct visited visited = {.fails = k};
        tg_store_close(&store);
        tg_failpoint_watch(visit, &visited);
        const tg_status status = tg_store_open(&store, &(struct tg_store_config){.path = path, .pid = 1}, &err);
        tg_failpoint_reset();
        all = visited.name[0] == '\0';
        cr_assert_eq(status == TG_OK, all, "%s", visited.name);
        tg_store_close(&store);
        open_store();
    }
}

Test(store_edges, an_abort_that_fails_is_made_up_for_at_the_next_sweep)
{
    bool decided;
    cr_assert_eq(tg_store_epoch_begin(&store, 1, &err), TG_OK);
    cr_assert_eq(tg_failpoint_arm("store.abort:1:error:EIO", &err), TG_OK);
    tg_store_epoch_abort(&store, 1);
    cr_assert(there("e1"));
    tg_failpoint_reset();
    cr_assert_eq(live_through(2, &decided), TG_OK, "%s", err.text);
    cr_assert_not(there("e1"));
}

Test(store_edges, a_mark_of_a_restore_that_cannot_be_synced_or_removed)
{
    cr_assert_eq(tg_failpoint_arm("restore.sync:1:error:EIO,restore.end:1:error:EIO", &err), TG_OK);
    cr_assert_eq(tg_store_restore_begin(&store, &err), TG_ERR_IO);
    cr_assert_eq(err.code, TG1510);
    cr_assert_eq(tg_store_restore_begin(&store, &err), TG_OK);
    tg_store_restore_end(&store);
    cr_assert(there("RESTORING"));
    tg_store_restore_end(&store);
    cr_assert_not(there("RESTORING"));
}

Test(store_edges, what_an_earlier_try_left_is_written_anew)
{
    bool decided;
    put("MANIFEST-5.tmp");
    put("ACK-5.tmp");
    cr_assert_eq(live_through(5, &decided), TG_OK, "%s", err.text);
    cr_assert(!there("MANIFEST-5.tmp") && !there("ACK-5.tmp") && there("MANIFEST-5") && there("ACK-5"));
}

/* ---- somebody was quicker ---------------------------------------------------------------------------------------- */

Test(store_edges, what_is_gone_already_needs_not_be_removed)
{
    bool all = false;
    uint32_t forgiven = 0;
    for (uint64_t k = 1; !all; k++) {
        const uint64_t first = 3 * k;
        const struct tg_store_keep nothing = {.manifest_count = 0};
        struct faulty faulty;
        bool decided;
        cr_assert_eq(live_through(first, &decided), TG_OK, "%s", err.text);
        cr_assert_eq(live_through(first + 1, &decided), TG_OK, "%s", err.text);
        put("MANIFEST-2.tmp");
        put("GENERATION-0000");
        faulty_use(&faulty, FAULTY_ENOENT, k, 1);
        forgiven += tg_store_sweep(&store, &nothing, &err) == TG_OK;
        all = !faulty.hit;
        tg_file_ops_use(NULL);
        cr_assert_eq(tg_store_sweep(&store, &nothing, &err), TG_OK, "%s", err.text);
    }
    cr_assert_gt(forgiven, 4, "manifest, acknowledgement, state file, its folder, leftover");
    all = false;
    for (uint64_t k = 1; !all; k++) { /* a start that removes an older generation, and writing */
        struct faulty faulty;
        bool decided;
        tg_store_close(&store);
        faulty_use(&faulty, FAULTY_ENOENT, k, 1);
        tg_status status = tg_store_open(&store, &(struct tg_store_config){.path = path, .pid = 1}, &err);
        if (status == TG_OK) { status = live_through(1000000 + k, &decided); }
        all = !faulty.hit;
        tg_file_ops_use(NULL);
        cr_assert(!all || status == TG_OK, "%s", err.text);
        tg_store_close(&store);
        open_store();
    }
}

/* ---- too much of everything -------------------------------------------------------------------------------------- */

Test(store_edges, each_kind_of_entry_has_its_limit)
{
    static const char *const kinds[] = {"MANIFEST-%d", "e%d", "ACK-%d", "GENERATION-%d", "MANIFEST-%d.tmp"};
    for (uint32_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
        char name[64];
        tg_store_close(&store);
        (void)snprintf(path, sizeof path, "%s/%s", folder, kind == 1 ? "folders" : "files");
        (void)snprintf(path + strlen(path), 8, "%u", kind);
        open_store();
        const struct tg_store_keep nothing = {.manifest_count = 0};
        for (int i = 1; i <= TG_STORE_LIST_MAX + 1; i++) {
            if (i == TG_STORE_LIST_MAX + 1) { /* so many are fine: the store's own generation is one of them */
                struct tg_store_listing listing;
                cr_assert_eq(tg_store_list(&store, &arena, &listing, &err), TG_OK, "%s: %s", kinds[kind], err.text);
            }
            switch (kind) {
            case 0: (void)snprintf(name, sizeof name, "MANIFEST-%d", i); break;
            case 1: (void)snprintf(name, sizeof name, "e%d", i); break;
            case 2: (void)snprintf(name, sizeof name, "ACK-%d", i); break;
            case 3: (void)snprintf(name, sizeof name, "GENERATION-%d", i); break;
            default: (void)snprintf(name, sizeof name, "MANIFEST-%d.tmp", i); break;
            }
            put(name);
        }
        struct tg_store_listing listing;
        cr_assert_neq(tg_store_list(&store, &arena, &listing, &err), TG_OK, "%s", kinds[kind]);
        cr_assert_eq(err.code, TG1511);
        cr_assert_neq(tg_store_sweep(&store, &nothing, &err), TG_OK);
        bool decided; /* looking for a newer owner needs no list */
        cr_assert_eq(tg_store_publish(&store, 9999, "m", 1, &decided, &err) == TG_OK, kind != 3, "%s", kinds[kind]);
        err = (struct tg_error){0};
    }
}

Test(store_edges, manifests_and_those_that_are_missed_share_a_limit)
{
    char name[64];
    struct tg_store_listing listing;
    for (int i = 1; i <= TG_STORE_LIST_MAX; i++) {
        (void)snprintf(name, sizeof name, "MANIFEST-%d", i);
        put(name);
    }
    cr_assert_eq(tg_store_list(&store, &arena, &listing, &err), TG_OK, "%s", err.text);
    (void)snprintf(name, sizeof name, "ACK-%d", TG_STORE_LIST_MAX + 1);
    put(name);
    cr_assert_neq(tg_store_list(&store, &arena, &listing, &err), TG_OK);
    cr_assert_eq(err.code, TG1511);
}

static uint32_t endless_count;

static int endless_list(void *self, const char *where, void (*found)(void *to, const char *name), void *to)
{
    const struct tg_file_ops *usual = self;
    if (strstr(where, "/e7") == NULL) { return usual->list(usual->self, where, found, to); }
    endless_count++;
    for (uint32_t i = 0; i < 200; i++) { found(to, "again"); }
    found(to, "a name that is longer than any that a checkpoint has, and therefore nobody's business here");
    return 0;
}
static int gone(void *self, const char *where)
{
    (void)self;
    (void)where;
    return -ENOENT;
}

Test(store_edges, a_folder_that_never_gets_empty_is_left_after_a_while)
{
    const struct tg_file_ops usual = *tg_file_ops();
    struct tg_file_ops ops = usual;
    ops.self = (void *)&usual;
    ops.list = endless_list;
    ops.unlink = gone;
    ops.rmdir = gone;
    endless_count = 0;
    tg_file_ops_use(&ops);
    tg_store_epoch_abort(&store, 7);
    tg_file_ops_use(NULL);
    cr_assert_gt(endless_count, 1);
}

/* ---- no memory --------------------------------------------------------------------------------------------------- */

Test(store_edges, a_listing_without_memory_says_so)
{
    bool decided, done = false;
    cr_assert_eq(live_through(1, &decided), TG_OK);
    put("MANIFEST-3.tmp");
    uint32_t failed = 0;
    for (size_t bytes = 4096; !done; bytes += bytes < 380u << 10 ? 4096 : 8) { /* the last things asked for are small */
        struct tg_arena small;
        struct tg_store_listing listing;
        err = (struct tg_error){0};
        cr_assert_eq(tg_arena_open(&small, 1 << 20, NULL), TG_OK);
        small.reserved_bytes = bytes;
        done = tg_store_list(&store, &small, &listing, &err) == TG_OK;
        cr_assert(done || err.code == TG1601, "%s", err.text);
        failed += !done;
        small.reserved_bytes = 1 << 20;
        tg_arena_close(&small);
    }
    cr_assert_gt(failed, 10);
    const struct tg_store_keep nothing = {.manifest_count = 0};
    if (!no_memory_above(0)) { return; } /* see there */
    err = (struct tg_error){0};
    const tg_status status = tg_store_sweep(&store, &nothing, &err);
    memory_again();
    cr_assert(status != TG_OK && err.code == TG1601, "%s", err.text);
}

Test(store_edges, an_owner_who_left_no_pid_is_another_process)
{
    struct tg_store second;
    cr_assert_eq(truncate(place("LOCK"), 0), 0);
    cr_assert_eq(tg_store_open(&second, &(struct tg_store_config){.path = path, .pid = 1}, &err), TG_ERR_LOCKED);
    cr_assert_not_null(strstr(err.text, "in use by another process"), "%s", err.text);
    tg_store_close(&second);
}
