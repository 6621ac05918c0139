/* The checkpoint directory: one owner, nothing half written under a final name, nothing removed that is needed. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/checkpoint/store.h"
#include "tests/faulty_ops.h"

static char folder[64];
static char path[128];
static struct tg_arena arena;
static struct tg_error err;

static void begin(void)
{
    (void)snprintf(folder, sizeof folder, "%s/turgo-store-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/var/job/checkpoints", folder);
    cr_assert_eq(tg_arena_open(&arena, (size_t)256 << 20, NULL), TG_OK);
    err = (struct tg_error){0};
}
static void end(void)
{
    char command[128];
    tg_file_ops_use(NULL);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
    tg_arena_close(&arena);
}
TestSuite(store, .init = begin, .fini = end, .timeout = 120);

static tg_status open_store(struct tg_store *store)
{
    err = (struct tg_error){0};
    return tg_store_open(store, &(struct tg_store_config){.path = path, .pid = 4711}, &err);
}
static bool there(const char *name)
{
    char file[256];
    (void)snprintf(file, sizeof file, "%s/%s", path, name);
    return access(file, F_OK) == 0;
}
static void put(const char *name, const char *text)
{
    char file[256];
    (void)snprintf(file, sizeof file, "%s/%s", path, name);
    FILE *out = fopen(file, "w");
    cr_assert_not_null(out);
    (void)fputs(text, out);
    cr_assert_eq(fclose(out), 0);
}
static void put_folder(const char *name)
{
    char file[256];
    (void)snprintf(file, sizeof file, "%s/%s", path, name);
    cr_assert_eq(mkdir(file, 0777), 0);
}
static struct tg_store_listing list(const struct tg_store *store)
{
    struct tg_store_listing listing;
    cr_assert_eq(tg_store_list(store, &arena, &listing, &err), TG_OK, "%s", err.text);
    return listing;
}

/* Checkpoint `epoch` with one file of `bytes` bytes of its number; in even ones it goes past the page cache. */
static tg_status write_epoch(struct tg_store *store, uint64_t epoch, size_t bytes, bool *decided)
{
    static _Alignas(TG_STORE_BUFFER_ALIGN) uint8_t buffer[TG_STORE_BUFFER_BYTES];
    struct tg_store_file file = {.buffer = epoch % 2 == 0 ? buffer : NULL};
    uint8_t *data = malloc(bytes);
    memset(data, (int)epoch, bytes);
    *decided = false;
    tg_status status = tg_store_epoch_begin(store, epoch, &err);
    if (status == TG_OK) { status = tg_store_file_create(store, epoch, 0, true, &file, &err); }
    if (status == TG_OK) { status = tg_store_file_append(store, &file, data, bytes / 2, &err); }
    if (status == TG_OK) { status = tg_store_file_append(store, &file, data, bytes - bytes / 2, &err); }
    if (status == TG_OK) { status = tg_store_file_finish(store, &file, &err); }
    if (status == TG_OK) { status = tg_store_epoch_sync(store, epoch, &err); }
    if (status == TG_OK) { status = tg_store_publish(store, epoch, data, bytes, decided, &err); }
    free(data);
    return status;
}

Test(store, a_second_owner_is_refused_with_the_pid_of_the_first)
{
    struct tg_store first, second;
    cr_assert_eq(open_store(&first), TG_OK, "%s", err.text);
    cr_assert_eq(first.generation, 1);
    cr_assert_eq(open_store(&second), TG_ERR_LOCKED);
    cr_assert_eq(err.code, TG1604);
    cr_assert_not_null(strstr(err.text, "in use by process 4711"), "%s", err.text);
    put("LOCK", "something else");
    cr_assert_eq(open_store(&second), TG_ERR_LOCKED);
    cr_assert_not_null(strstr(err.text, "in use by another process"), "%s", err.text);
    tg_store_close(&first);
    cr_assert_eq(open_store(&second), TG_OK, "%s", err.text);
    cr_assert_eq(second.generation, 2);
    cr_assert(there("GENERATION-2") && !there("GENERATION-1"));
    tg_store_close(&second);
    tg_store_close(&second);
}

Test(store, looking_needs_no_lock_and_creates_nothing)
{
    struct tg_store looking, owner;
    const struct tg_store_config look = {.path = path, .read_only = true};
    cr_assert_eq(tg_store_open(&looking, &look, &err), TG_OK);
    struct tg_store_listing listing;
    cr_assert_eq(tg_store_list(&looking, &arena, &listing, &err), TG_ERR_IO);
    cr_assert_eq(err.code, TG1511);
    cr_assert_not(there("LOCK"));
    bool decided;
    cr_assert_eq(open_store(&owner), TG_OK);
    cr_assert_eq(write_epoch(&owner, 1, 100, &decided), TG_OK, "%s", err.text);
    cr_assert_eq(list(&looking).manifest_count, 1);
    tg_store_close(&owner);
    tg_store_close(&looking);
}

Test(store, what_is_written_is_read)
{
    struct tg_store store;
    bool decided;
    cr_assert_eq(open_store(&store), TG_OK);
    cr_assert_eq(write_epoch(&store, 12, 100000, &decided), TG_OK, "%s", err.text);
    cr_assert(decided);
    cr_assert_not(there("MANIFEST-12.tmp"));
    const uint8_t *data;
    size_t bytes;
    cr_assert_eq(tg_store_read_manifest(&store, 12, &arena, &data, &bytes, &err), TG_OK, "%s", err.text);
    cr_assert(bytes == 100000 && data[0] == 12 && data[99999] == 12);
    struct tg_store_reading reading;
    cr_assert_eq(tg_store_reading_open(&store, 12, 0, true, &reading, &err), TG_OK);
    cr_assert_eq(reading.bytes, 100000);
    cr_assert_str_eq(reading.name, "e12/s0.base");
    uint8_t some[10];
    cr_assert_eq(tg_store_reading_read(&reading, 99990, some, 10, &err), TG_OK);
    cr_assert_eq(some[9], 12);
    cr_assert_eq(tg_store_reading_read(&reading, 99995, some, 10, &err), TG_ERR_DATA);
    cr_assert_eq(err.code, TG1512);
    cr_assert_str_eq(err.text, "e12/s0.base: cut short at byte 100000");
    tg_store_reading_close(&reading);
    tg_store_reading_close(&reading);
    err = (struct tg_error){0};
    cr_assert_eq(tg_store_reading_open(&store, 12, 0, false, &reading, &err), TG_ERR_DATA);
    cr_assert_eq(err.code, TG1512);
    err = (struct tg_error){0};
    cr_assert_eq(tg_store_read_manifest(&store, 13, &arena, &data, &bytes, &err), TG_ERR_DATA);
    tg_store_close(&store);
}

Test(store, acknowledgements_say_whether_something_was_committed)
{
    struct tg_store store;
    cr_assert_eq(open_store(&store), TG_OK);
    cr_assert_eq(tg_store_acknowledged(&store, 5), TG_STORE_ACK_NONE);
    cr_assert_eq(tg_store_acknowledge(&store, 5, 0, &err), TG_OK, "%s", err.text);
    cr_assert_eq(tg_store_acknowledged(&store, 5), TG_STORE_ACK_EMPTY);
    cr_assert_eq(tg_store_acknowledge(&store, 5, 3, &err), TG_OK);
    cr_assert_eq(tg_store_acknowledged(&store, 5), TG_STORE_ACK_COMMITTED);
    static const char *const garbled[] = {
        "", "committed", "committed 3", "committed 03\n", "committed 3\nx", "committed 99999999999999999999\n", "x"};
    for (size_t i = 0; i < sizeof garbled / sizeof garbled[0]; i++) {
        put("ACK-5", garbled[i]);
        cr_assert_eq(tg_store_acknowledged(&store, 5), TG_STORE_ACK_UNREADABLE, "%s", garbled[i]);
    }
    put_folder("ACK-6");
    cr_assert_eq(tg_store_acknowledged(&store, 6), TG_STORE_ACK_UNREADABLE);
    tg_store_close(&store);
}

Test(store, a_listing_knows_ours_from_the_rest)
{
    struct tg_store store;
    cr_assert_eq(open_store(&store), TG_OK);
    static const char *const files[] = {"MANIFEST-3", "MANIFEST-20", "MANIFEST-7", "MANIFEST-8.tmp", "ACK-7", "ACK-2",
                                        "ACK-9.tmp", "GENERATION-77", "GENERATION-4.tmp",
                                        /* none of ours */
                                        "MANIFEST-", "MANIFEST-0", "MANIFEST-07", "MANIFEST-x", "MANIFEST-3.bak",
                                        "MANIFEST-99999999999999999999", "MANIFEST-123456789012345678901", "manifest-4",
                                        "ACK-", "readme.txt", "e", "exx", "MANIFEST--5", "MANIFEST-+5"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) { put(files[i], "x"); }
    put_folder("e7");
    put_folder("e21");
    put_folder("e07");
    put_folder("e5.tmp");
    const struct tg_store_listing listing = list(&store);
    cr_assert_eq(listing.manifest_count, 3);
    cr_assert_eq(listing.manifests[0].epoch, 20);
    cr_assert_eq(listing.manifests[1].epoch, 7);
    cr_assert_eq(listing.manifests[2].epoch, 3);
    cr_assert(!listing.manifests[0].acknowledged && listing.manifests[1].acknowledged);
    cr_assert(listing.epoch_count == 2 && listing.epochs[0] == 21 && listing.epochs[1] == 7);
    cr_assert(listing.ack_count == 2 && listing.acks[0] == 7 && listing.acks[1] == 2);
    cr_assert_eq(listing.leftover_count, 2);
    cr_assert_eq(listing.newest, 21);
    cr_assert_eq(listing.generation, 77);
    tg_store_close(&store);
}

Test(store, a_newer_generation_stops_the_older_owner)
{
    struct tg_store store;
    bool decided;
    cr_assert_eq(open_store(&store), TG_OK);
    put("GENERATION-9", "");
    cr_assert_eq(write_epoch(&store, 1, 10, &decided), TG_ERR_LOCKED);
    cr_assert_eq(err.code, TG1521);
    cr_assert_not(decided);
    cr_assert_not(there("MANIFEST-1"));
    tg_store_close(&store);
}

Test(store, a_newer_generation_stops_acknowledgements_and_removals)
{
    struct tg_store store;
    bool decided;
    cr_assert_eq(open_store(&store), TG_OK);
    cr_assert_eq(write_epoch(&store, 1, 10, &decided), TG_OK, "%s", err.text);
    put("GENERATION-9", "");
    put("MANIFEST-2.tmp", "x"); /* all of it is the other one's now */
    cr_assert_eq(tg_store_acknowledge(&store, 1, 1, &err), TG_ERR_LOCKED);
    cr_assert_eq(err.code, TG1521);
    cr_assert(!there("ACK-1") && !there("ACK-1.tmp"));
    err = (struct tg_error){0};
    cr_assert_eq(tg_store_sweep(&store, &(struct tg_store_keep){0}, &err), TG_ERR_LOCKED);
    cr_assert_eq(err.code, TG1521);
    tg_store_epoch_abort(&store, 1);
    cr_assert(there("MANIFEST-1") && there("e1/s0.base") && there("MANIFEST-2.tmp") && there("GENERATION-9"));
    tg_store_close(&store);
}

Test(store, sweeping_keeps_what_it_is_told_and_what_is_not_ours)
{
    struct tg_store store;
    bool decided;
    cr_assert_eq(open_store(&store), TG_OK);
    for (uint64_t epoch = 1; epoch <= 5; epoch++) { cr_assert_eq(write_epoch(&store, epoch, 10, &decided), TG_OK); }
    for (uint64_t epoch = 1; epoch <= 5; epoch++) { cr_assert_eq(tg_store_acknowledge(&store, epoch, 1, &err), TG_OK); }
    put_folder("e9");
    for (uint32_t i = 0; i < 300; i++) { /* more than one pass removes */
        char name[64];
        (void)snprintf(name, sizeof name, "e9/out%" PRIu32 ".spool", i);
        put(name, "x");
    }
    put("MANIFEST-9.tmp", "x");
    put("notes", "x");
    const struct tg_store_keep keep = {.manifest_count = 2,
                                       .manifests = (const uint64_t[]){4, 5},
                                       .epoch_count = 3,
                                       .epochs = (const uint64_t[]){2, 4, 5}};
    cr_assert_eq(tg_store_sweep(&store, &keep, &err), TG_OK, "%s", err.text);
    cr_assert(there("MANIFEST-4") && there("MANIFEST-5") && there("ACK-4") && there("e2") && there("e4/s0.base"));
    cr_assert(!there("MANIFEST-3") && !there("ACK-3") && !there("e3") && !there("e1") && !there("MANIFEST-2"));
    cr_assert(!there("e9") && !there("MANIFEST-9.tmp"));
    cr_assert(there("notes") && there("LOCK") && there("GENERATION-1"));
    put_folder("e10");
    put("e10/a-name-that-is-longer-than-any-name-this-program-would-ever-write-into-it", "x");
    cr_assert_eq(tg_store_sweep(&store, &keep, &err), TG_ERR_IO); /* a folder with something strange in it stays */
    cr_assert(there("e10"));
    tg_store_close(&store);
}

Test(store, an_acknowledgement_above_all_manifests_tells_of_one_that_is_gone)
{
    struct tg_store store;
    cr_assert_eq(open_store(&store), TG_OK);
    static const char *const files[] = {"MANIFEST-3", "ACK-1", "ACK-3", "ACK-5", "ACK-4"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) { put(files[i], "committed 1\n"); }
    const struct tg_store_listing listing = list(&store);
    cr_assert_eq(listing.manifest_count, 3);
    cr_assert(listing.manifests[0].epoch == 5 && listing.manifests[1].epoch == 4 && listing.manifests[2].epoch == 3);
    for (uint32_t i = 0; i < 3; i++) { cr_assert(listing.manifests[i].acknowledged); }
    tg_store_close(&store);
}

Test(store, removing_everything_tells_at_no_moment_of_a_manifest_that_is_gone)
{
    struct tg_store store;
    static struct faulty faulty;
    bool decided;
    bool hit = true;
    for (uint64_t k = 1; hit; k++) {
        cr_assert_eq(open_store(&store), TG_OK);
        for (uint64_t epoch = 1; epoch <= 3; epoch++) {
            cr_assert_eq(write_epoch(&store, epoch, 10, &decided), TG_OK);
            cr_assert_eq(tg_store_acknowledge(&store, epoch, 1, &err), TG_OK);
        }
        faulty_use(&faulty, FAULTY_EIO, k, 1000); /* it dies there */
        const tg_status status = tg_store_sweep(&store, &(struct tg_store_keep){0}, &err);
        hit = faulty.hit;
        tg_file_ops_use(NULL);
        cr_assert_eq(status == TG_OK, !hit);
        const struct tg_store_listing listing = list(&store);
        for (uint32_t i = 0; i < listing.manifest_count; i++) {
            char name[TG_STORE_NAME_BYTES];
            (void)snprintf(name, sizeof name, "MANIFEST-%" PRIu64, listing.manifests[i].epoch);
            cr_assert(there(name), "call %" PRIu64 ": %s", k, name);
        }
        tg_store_close(&store);
        end();
        begin();
        cr_assert_lt(k, 100);
    }
}

Test(store, a_restore_is_known_of_until_it_has_ended)
{
    struct tg_store store;
    cr_assert_eq(open_store(&store), TG_OK);
    cr_assert_not(list(&store).restoring);
    for (uint32_t i = 0; i < 2; i++) { /* it may be begun again */
        cr_assert_eq(tg_store_restore_begin(&store, &err), TG_OK, "%s", err.text);
        cr_assert(there("RESTORING") && list(&store).restoring);
    }
    tg_store_restore_end(&store);
    cr_assert(!there("RESTORING") && !list(&store).restoring);
    tg_store_restore_end(&store);
    cr_assert_eq(tg_store_restore_begin(&store, &err), TG_OK, "%s", err.text);
    cr_assert_eq(tg_store_sweep(&store, &(struct tg_store_keep){0}, &err), TG_OK, "%s", err.text);
    cr_assert_not(there("RESTORING"));
    put("MANIFEST-3", "x"); /* a start would go on from that */
    cr_assert_eq(tg_store_restore_begin(&store, &err), TG_OK, "%s", err.text);
    cr_assert_not(there("RESTORING"));
    put("GENERATION-7", "");
    cr_assert_eq(tg_store_restore_begin(&store, &err), TG_ERR_LOCKED);
    cr_assert_not(there("RESTORING"));
    tg_store_close(&store);
}

Test(store, a_restore_that_cannot_be_marked_durably_does_not_begin)
{
    struct tg_store store;
    static struct faulty faulty;
    cr_assert_eq(open_store(&store), TG_OK);
    bool hit = true;
    for (uint64_t k = 1; hit; k++) {
        faulty_use(&faulty, FAULTY_EIO, k, 1);
        const tg_status status = tg_store_restore_begin(&store, &err);
        hit = faulty.hit;
        tg_file_ops_use(NULL);
        cr_assert_eq(status == TG_OK, !hit, "call %" PRIu64, k);
        cr_assert(hit ? k < 50 : k > 4);
    }
    tg_store_close(&store);
}

Test(store, an_aborted_epoch_leaves_nothing)
{
    struct tg_store store;
    struct tg_store_file file = {0};
    cr_assert_eq(open_store(&store), TG_OK);
    cr_assert_eq(tg_store_epoch_begin(&store, 3, &err), TG_OK);
    cr_assert_eq(tg_store_epoch_begin(&store, 3, &err), TG_ERR_IO); /* numbers are used once */
    cr_assert_eq(tg_store_file_create(&store, 3, 1, false, &file, &err), TG_OK);
    struct tg_store_file again = {0};
    cr_assert_eq(tg_store_file_create(&store, 3, 1, false, &again, &err), TG_ERR_IO);
    tg_store_file_drop(&store, &again);
    cr_assert(there("e3/s1.delta"));
    tg_store_file_drop(&store, &file);
    tg_store_file_drop(&store, &file);
    cr_assert_not(there("e3/s1.delta"));
    cr_assert_eq(tg_store_file_create(&store, 3, 2, true, &file, &err), TG_OK);
    put("MANIFEST-3.tmp", "x");
    tg_store_file_drop(&store, &file);
    put("e3/s2.base", "x");
    tg_store_epoch_abort(&store, 3);
    cr_assert(!there("e3") && !there("MANIFEST-3.tmp"));
    tg_store_epoch_abort(&store, 3);
    tg_store_close(&store);
}

Test(store, what_cannot_be_a_directory_is_refused)
{
    struct tg_store store;
    char long_path[3000];
    memset(long_path, 'x', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    cr_assert_eq(tg_store_open(&store, &(struct tg_store_config){.path = long_path}, &err), TG_ERR_IO);
    cr_assert_eq(err.code, TG1511);
    tg_store_close(&store);
    cr_assert_eq(tg_store_open(&store, &(struct tg_store_config){.path = ""}, NULL), TG_ERR_IO);
    (void)snprintf(path, sizeof path, "/dev/null/x");
    cr_assert_eq(open_store(&store), TG_ERR_IO);
    cr_assert_eq(err.code, TG1510);
    (void)snprintf(path, sizeof path, "/dev/null");
    cr_assert_eq(open_store(&store), TG_ERR_IO);
}

Test(store, relative_and_untidy_paths_work)
{
    struct tg_store store;
    cr_assert_eq(chdir(folder), 0);
    static const char *const paths[] = {"a", "b/c", "./d//e/", "../../tmp/.", "."};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (i == 3) { (void)snprintf(path, sizeof path, "%s/d/./..", folder); }
        if (i != 3) { (void)snprintf(path, sizeof path, "%s", paths[i]); }
        cr_assert_eq(open_store(&store), TG_OK, "%s: %s", path, err.text);
        bool decided;
        cr_assert_eq(write_epoch(&store, i + 1, 10, &decided), TG_OK, "%s: %s", path, err.text);
        tg_store_close(&store);
    }
}

Test(store, more_entries_than_any_run_leaves_are_an_error)
{
    struct tg_store store;
    cr_assert_eq(open_store(&store), TG_OK);
    for (uint32_t i = 1; i <= TG_STORE_LIST_MAX + 1; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "ACK-%" PRIu32, i);
        put(name, "x");
    }
    struct tg_store_listing listing;
    cr_assert_eq(tg_store_list(&store, &arena, &listing, &err), TG_ERR_IO);
    cr_assert_eq(err.code, TG1511);
    struct tg_arena small;
    cr_assert_eq(tg_arena_open(&small, 4096, NULL), TG_OK);
    err = (struct tg_error){0};
    cr_assert_eq(tg_store_list(&store, &small, &listing, &err), TG_ERR_IO);
    cr_assert_eq(err.code, TG1601);
    tg_arena_close(&small);
    tg_store_close(&store);
}

Test(store, a_manifest_longer_than_any_is_not_read)
{
    struct tg_store store;
    char file[256];
    const uint8_t *data;
    size_t bytes;
    cr_assert_eq(open_store(&store), TG_OK);
    put("MANIFEST-4", "x");
    (void)snprintf(file, sizeof file, "%s/MANIFEST-4", path);
    cr_assert_eq(truncate(file, TG_STORE_MANIFEST_BYTES_MAX + 1), 0);
    cr_assert_eq(tg_store_read_manifest(&store, 4, &arena, &data, &bytes, &err), TG_ERR_DATA);
    cr_assert_not_null(strstr(err.text, "longer than any manifest"), "%s", err.text);
    cr_assert_eq(truncate(file, 100000), 0);
    struct tg_arena small;
    cr_assert_eq(tg_arena_open(&small, 4096, NULL), TG_OK);
    err = (struct tg_error){0};
    cr_assert_eq(tg_store_read_manifest(&store, 4, &small, &data, &bytes, &err), TG_ERR_IO);
    cr_assert_eq(err.code, TG1601);
    tg_arena_close(&small);
    tg_store_close(&store);
}

Test(store, generations_end_where_numbers_do)
{
    struct tg_store store;
    cr_assert_eq(open_store(&store), TG_OK);
    tg_store_close(&store);
    put("GENERATION-18446744073709551615", "");
    cr_assert_eq(open_store(&store), TG_ERR_IO);
    cr_assert_eq(err.code, TG1510);
}

Test(store, starts_that_fail_leave_no_generations)
{
    struct tg_store store;
    static struct faulty faulty;
    uint64_t failed = 0;
    for (uint64_t k = 1; k <= 40; k++) {
        faulty_use(&faulty, FAULTY_EIO, k, 1);
        const tg_status status = open_store(&store);
        const bool hit = faulty.hit;
        tg_file_ops_use(NULL);
        failed += status != TG_OK;
        tg_store_close(&store);
        if (!hit) { break; }
    }
    cr_assert_gt(failed, 5);
    cr_assert_eq(open_store(&store), TG_OK, "%s", err.text);
    uint32_t left = 0;
    for (uint32_t i = 1; i <= 60; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "GENERATION-%" PRIu32, i);
        left += there(name);
    }
    cr_assert_leq(left, 2, "ours, and one that could not be removed"); /* a sweep does that */
    tg_store_close(&store);
}

Test(store, older_generations_left_by_a_crash_are_swept)
{
    struct tg_store store;
    cr_assert_eq(open_store(&store), TG_OK);
    tg_store_close(&store);
    cr_assert_eq(open_store(&store), TG_OK); /* 2 */
    put("GENERATION-1", "");
    cr_assert_eq(tg_store_sweep(&store, &(struct tg_store_keep){0}, &err), TG_OK);
    cr_assert(!there("GENERATION-1") && there("GENERATION-2"));
    put_folder("MANIFEST-3.tmp"); /* cannot be unlinked */
    cr_assert_eq(tg_store_sweep(&store, &(struct tg_store_keep){0}, &err), TG_ERR_IO);
    cr_assert_eq(err.code, TG1510);
    tg_store_close(&store);
}

/* ---- failing calls ----------------------------------------------------------------------------------------------- */

/* Open, write epochs 2 and 3, acknowledge, sweep, close; aborts an epoch that fails. Returns what was decided: bit
 * per epoch. */
static uint32_t work(struct tg_store *store)
{
    uint32_t decided_set = 0;
    if (open_store(store) != TG_OK) { return 0; }
    for (uint64_t epoch = 2; epoch <= 3; epoch++) {
        bool decided;
        if (write_epoch(store, epoch, 5000, &decided) == TG_OK) {
            const tg_status ignored = tg_store_acknowledge(store, epoch, 1, &err);
            (void)ignored; /* may be lost */
        } else if (!decided) {
            tg_store_epoch_abort(store, epoch);
        }
        decided_set |= (decided ? 1u : 0u) << epoch;
    }
    const struct tg_store_keep keep = {.manifest_count = 3,
                                       .manifests = (const uint64_t[]){1, 2, 3},
                                       .epoch_count = 3,
                                       .epochs = (const uint64_t[]){1, 2, 3}};
    const tg_status ignored = tg_store_sweep(store, &keep, &err);
    (void)ignored;
    tg_store_close(store);
    return decided_set;
}

Test(store, whatever_call_fails_the_directory_opens_again_and_final_names_are_whole)
{
    struct tg_store store;
    static struct faulty faulty;
    bool decided;
    for (int way = 0; way < FAULTY_WAYS; way++) {
        for (uint64_t length = 1; length <= 1000; length += 999) { /* one call, or all from then on */
            for (uint64_t k = 1;; k++) {
                cr_assert_eq(open_store(&store), TG_OK);
                cr_assert_eq(write_epoch(&store, 1, 3000, &decided), TG_OK);
                tg_store_close(&store);
                faulty_use(&faulty, (enum faulty_way)way, k, length);
                const uint32_t decided_set = work(&store);
                const bool hit = faulty.hit;
                tg_file_ops_use(NULL);
                cr_assert_eq(open_store(&store), TG_OK, "way %d call %" PRIu64 ": %s", way, k, err.text);
                const struct tg_store_listing listing = list(&store);
                cr_assert_geq(listing.manifest_count, 1);
                for (uint32_t i = 0; i < listing.manifest_count; i++) {
                    const uint64_t epoch = listing.manifests[i].epoch;
                    const uint8_t *data;
                    size_t bytes;
                    cr_assert(epoch == 1 || (decided_set >> epoch & 1) == 1, "way %d call %" PRIu64, way, k);
                    cr_assert_eq(tg_store_read_manifest(&store, epoch, &arena, &data, &bytes, &err), TG_OK);
                    cr_assert_eq(bytes, epoch == 1 ? 3000 : 5000);
                    struct tg_store_reading reading;
                    cr_assert_eq(tg_store_reading_open(&store, epoch, 0, true, &reading, &err), TG_OK);
                    cr_assert_eq(reading.bytes, bytes);
                    tg_store_reading_close(&reading);
                    if (way == FAULTY_EINTR || !hit) { continue; }
                    cr_assert_neq(tg_store_acknowledged(&store, epoch), TG_STORE_ACK_UNREADABLE);
                }
                tg_store_close(&store);
                end();
                begin();
                if (!hit) { break; }
                cr_assert_lt(k, 200);
            }
        }
    }
}

Test(store, a_file_that_failed_is_gone_and_its_sync_is_never_tried_again)
{
    struct tg_store store;
    static struct faulty faulty;
    struct tg_store_file file = {0};
    cr_assert_eq(open_store(&store), TG_OK);
    cr_assert_eq(tg_store_epoch_begin(&store, 1, &err), TG_OK);
    for (uint64_t k = 2; k <= 3; k++) { /* 1 create, 2 pwrite, 3 fdatasync */
        faulty_use(&faulty, FAULTY_EIO, k, 1);
        cr_assert_eq(tg_store_file_create(&store, 1, 0, true, &file, &err), TG_OK);
        tg_status status = tg_store_file_append(&store, &file, "abc", 3, &err);
        cr_assert_eq(status, k == 2 ? TG_ERR_IO : TG_OK);
        if (status == TG_OK) { status = tg_store_file_finish(&store, &file, &err); }
        cr_assert_eq(status, TG_ERR_IO);
        cr_assert(err.code == TG1510 && err.os_errno == EIO);
        cr_assert_eq(file.fd, -1);
        cr_assert_not(there("e1/s0.base"));
        tg_file_ops_use(NULL);
    }
    tg_store_close(&store);
}
