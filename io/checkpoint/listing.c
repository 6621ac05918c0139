/* Looking into a checkpoint directory, reading from it, and removing what nobody needs. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "io/checkpoint/place.h"
#include "io/file_ops.h"

const char *tg_place_of(const char *directory, const char *name, char out[TG_PLACE_BYTES])
{
    const int bytes = snprintf(out, TG_PLACE_BYTES, "%s/%s", directory, name);
    TG_ASSERT(bytes > 0 && bytes < TG_PLACE_BYTES);
    return out;
}

static tg_status not_read(const struct tg_store *store, const char *what, const char *name, int failed,
                          struct tg_error *err)
{
    return tg_fail(err, TG1511, -failed, "checkpoint directory %s: cannot %s %s", store->path, what, name);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* The number behind `prefix`, 0 when the name is another one. No signs, no leading zeros; *rest is what follows. */
static uint64_t number_of(const char *name, const char *prefix, const char **rest)
{
    const size_t bytes = strlen(prefix);
    if (strncmp(name, prefix, bytes) != 0) { return 0; }
    const char *digits = name + bytes;
    const size_t count = strspn(digits, "0123456789");
    if (count == 0 || count > 20 || digits[0] == '0') { return 0; }
    *rest = digits + count;
    errno = 0;
    const unsigned long long number = strtoull(digits, NULL, 10);
    return errno == 0 ? number : 0;
}

static void note(uint64_t *list, uint32_t *count, uint64_t number)
{
    if (list != NULL && *count < TG_STORE_LIST_MAX) { list[*count] = number; }
    (*count)++;
}

static void note_leftover(struct tg_store_names *names, const char *name)
{
    const uint32_t index = names->leftover_count++;
    if (names->leftovers == NULL || index >= TG_STORE_LIST_MAX) { return; }
    (void)snprintf(names->leftovers[index], TG_STORE_NAME_BYTES, "%s", name);
}

static void found_name(void *to, const char *name)
{
    struct tg_store_names *names = to;
    const char *rest = "";
    if (strcmp(name, TG_PLACE_RESTORING) == 0) {
        names->restoring = true;
        note_leftover(names, name);
        return;
    }
    uint64_t *list = NULL;
    uint32_t *count = NULL;
    uint64_t number = number_of(name, "GENERATION-", &rest);
    if (number > 0 && rest[0] == '\0') {
        names->generation = number > names->generation ? number : names->generation;
        note(names->generations, &names->generation_count, number);
        return;
    }
    if ((number = number_of(name, "MANIFEST-", &rest)) > 0) {
        list = names->manifests;
        count = &names->manifest_count;
    } else if ((number = number_of(name, "ACK-", &rest)) > 0) {
        list = names->acks;
        count = &names->ack_count;
    } else if ((number = number_of(name, "e", &rest)) > 0 && rest[0] == '\0') {
        list = names->epochs;
        count = &names->epoch_count;
    }
    if (count == NULL) { return; }
    if (rest[0] == '\0') {
        note(list, count, number);
    } else if (strcmp(rest, ".tmp") == 0) {
        note_leftover(names, name);
    } else {
        return;
    }
    names->newest = number > names->newest ? number : names->newest;
}

tg_status tg_store_scan(const struct tg_store *store, struct tg_store_names *out, struct tg_error *err)
{
    *out = (struct tg_store_names){0};
    const struct tg_file_ops *ops = tg_file_ops();
    const int failed = ops->list(ops->self, store->path, found_name, out);
    return failed == 0 ? TG_OK : not_read(store, "list", "it", failed, err);
}

static tg_status too_many(const struct tg_store *store, struct tg_error *err)
{
    return tg_fail(err, TG1511, 0, "checkpoint directory %s holds more than %d entries of one kind", store->path,
                   TG_STORE_LIST_MAX);
}

tg_status tg_store_scan_lists(const struct tg_store *store, struct tg_arena *arena, struct tg_store_names *out,
                              struct tg_error *err)
{
    *out = (struct tg_store_names){0};
    uint64_t *numbers = tg_arena_alloc(arena, 4 * TG_STORE_LIST_MAX * sizeof *numbers, 16);
    out->leftovers = tg_arena_alloc(arena, TG_STORE_LIST_MAX * sizeof *out->leftovers, 16);
    if (numbers == NULL || out->leftovers == NULL) {
        return tg_fail(err, TG1601, 0, "checkpoint directory %s: no memory to list it", store->path);
    }
    out->manifests = numbers;
    out->epochs = numbers + TG_STORE_LIST_MAX;
    out->acks = numbers + 2 * TG_STORE_LIST_MAX;
    out->generations = numbers + 3 * TG_STORE_LIST_MAX;
    const struct tg_file_ops *ops = tg_file_ops();
    const int failed = ops->list(ops->self, store->path, found_name, out);
    if (failed != 0) { return not_read(store, "list", "it", failed, err); }
    if (out->manifest_count > TG_STORE_LIST_MAX || out->epoch_count > TG_STORE_LIST_MAX ||
        out->ack_count > TG_STORE_LIST_MAX || out->generation_count > TG_STORE_LIST_MAX ||
        out->leftover_count > TG_STORE_LIST_MAX) {
        return too_many(store, err);
    }
    return TG_OK;
}

static int newest_first(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

/* Acknowledgements above every manifest; both lists newest first. */
static uint32_t count_lost(const struct tg_store_names *names)
{
    const uint64_t newest = names->manifest_count == 0 ? 0 : names->manifests[0];
    uint32_t count = 0;
    while (count < names->ack_count && names->acks[count] > newest) { count++; }
    return count;
}

static bool is_in(const uint64_t *list, uint32_t count, uint64_t number)
{
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] == number) { return true; }
    }
    return false;
}

tg_status tg_store_list(const struct tg_store *store, struct tg_arena *arena, struct tg_store_listing *out,
                        struct tg_error *err)
{
    *out = (struct tg_store_listing){0};
    struct tg_store_names names;
    const tg_status status = tg_store_scan_lists(store, arena, &names, err);
    if (status != TG_OK) { return status; }
    qsort(names.manifests, names.manifest_count, sizeof(uint64_t), newest_first);
    qsort(names.epochs, names.epoch_count, sizeof(uint64_t), newest_first);
    qsort(names.acks, names.ack_count, sizeof(uint64_t), newest_first);
    const uint32_t lost = count_lost(&names);
    const uint32_t manifest_count = lost + names.manifest_count;
    if (manifest_count > TG_STORE_LIST_MAX) { return too_many(store, err); }
    out->manifests = tg_arena_alloc(arena, manifest_count * sizeof *out->manifests, 16);
    out->leftovers = tg_arena_alloc(arena, names.leftover_count * sizeof *out->leftovers, 16);
    if (out->manifests == NULL || out->leftovers == NULL) {
        return tg_fail(err, TG1601, 0, "checkpoint directory %s: no memory to list it", store->path);
    }
    for (uint32_t i = 0; i < manifest_count; i++) {
        const uint64_t epoch = i < lost ? names.acks[i] : names.manifests[i - lost];
        out->manifests[i].epoch = epoch;
        out->manifests[i].acknowledged = is_in(names.acks, names.ack_count, epoch);
    }
    for (uint32_t i = 0; i < names.leftover_count; i++) { out->leftovers[i] = names.leftovers[i]; }
    out->manifest_count = manifest_count;
    out->epoch_count = names.epoch_count;
    out->epochs = names.epochs;
    out->ack_count = names.ack_count;
    out->acks = names.acks;
    out->leftover_count = names.leftover_count;
    out->newest = names.newest;
    out->generation = names.generation;
    out->restoring = names.restoring;
    return TG_OK;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static tg_status reading_open(const struct tg_store *store, struct tg_store_reading *out, struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char path[TG_PLACE_BYTES];
    out->store = store;
    out->fd = ops->open(ops->self, tg_place_of(store->path, out->name, path), O_RDONLY, 0);
    if (out->fd == -ENOENT) { return tg_fail(err, TG1512, 0, "%s is missing", out->name); }
    if (out->fd < 0) { return not_read(store, "open", out->name, out->fd, err); }
    const int64_t bytes = ops->size(ops->self, out->fd);
    if (bytes < 0) {
        tg_store_reading_close(out);
        return not_read(store, "read", out->name, (int)bytes, err);
    }
    out->bytes = (uint64_t)bytes;
    return TG_OK;
}

tg_status tg_store_reading_open(const struct tg_store *store, uint64_t epoch, uint32_t shard, bool base,
                                struct tg_store_reading *out, struct tg_error *err)
{
    *out = (struct tg_store_reading){.fd = -1};
    tg_store_file_name(epoch, shard, base, out->name);
    return reading_open(store, out, err);
}

tg_status tg_store_reading_read(void *self, uint64_t at, void *data, size_t bytes, struct tg_error *err)
{
    const struct tg_store_reading *reading = self;
    const int64_t moved = tg_file_read_upto(reading->fd, data, bytes, (int64_t)at);
    if (moved < 0) { return not_read(reading->store, "read", reading->name, (int)moved, err); }
    if ((size_t)moved == bytes) { return TG_OK; }
    return tg_fail(err, TG1512, 0, "%s: cut short at byte %" PRIu64, reading->name, at + (uint64_t)moved);
}

void tg_store_reading_close(struct tg_store_reading *reading)
{
    const struct tg_file_ops *ops = tg_file_ops();
    if (reading->fd >= 0) { (void)ops->close(ops->self, reading->fd); }
    reading->fd = -1;
}

tg_status tg_store_read_manifest(const struct tg_store *store, uint64_t epoch, struct tg_arena *arena,
                                 const uint8_t **data, size_t *bytes, struct tg_error *err)
{
    struct tg_store_reading reading = {.fd = -1};
    (void)snprintf(reading.name, sizeof reading.name, "MANIFEST-%" PRIu64, epoch);
    tg_status status = reading_open(store, &reading, err);
    if (status != TG_OK) { return status; }
    uint8_t *memory = NULL;
    if (reading.bytes > TG_STORE_MANIFEST_BYTES_MAX) {
        status =
            tg_fail(err, TG1512, 0, "%s: longer than any manifest, %" PRIu64 " bytes", reading.name, reading.bytes);
    } else if ((memory = tg_arena_alloc(arena, reading.bytes, 16)) == NULL) {
        status = tg_fail(err, TG1601, 0, "%s: no memory to read it", reading.name);
    } else {
        status = tg_store_reading_read(&reading, 0, memory, reading.bytes, err);
    }
    *data = memory;
    *bytes = reading.bytes;
    tg_store_reading_close(&reading);
    return status;
}

enum tg_store_ack tg_store_acknowledged(const struct tg_store *store, uint64_t epoch)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char path[TG_PLACE_BYTES];
    char name[TG_STORE_NAME_BYTES];
    char text[TG_STORE_NAME_BYTES] = {0};
    (void)snprintf(name, sizeof name, "ACK-%" PRIu64, epoch);
    const int fd = ops->open(ops->self, tg_place_of(store->path, name, path), O_RDONLY, 0);
    if (fd == -ENOENT) { return TG_STORE_ACK_NONE; }
    if (fd < 0) { return TG_STORE_ACK_UNREADABLE; }
    const int64_t bytes = ops->pread(ops->self, fd, text, sizeof text - 1, 0);
    (void)ops->close(ops->self, fd);
    const char *rest = "";
    if (bytes == (int64_t)strlen("committed 0\n") && strcmp(text, "committed 0\n") == 0) { return TG_STORE_ACK_EMPTY; }
    const uint64_t committed = bytes > 0 ? number_of(text, "committed ", &rest) : 0;
    return committed > 0 && strcmp(rest, "\n") == 0 ? TG_STORE_ACK_COMMITTED : TG_STORE_ACK_UNREADABLE;
}

/* ---- removing ---------------------------------------------------------------------------------------------------- */

enum { FOLDER_BATCH = 128, FOLDER_PASSES_MAX = 256 };

struct folder_names {
    uint32_t count;
    char names[FOLDER_BATCH][TG_STORE_NAME_BYTES];
};

static void found_in_folder(void *to, const char *name)
{
    struct folder_names *batch = to;
    if (batch->count < FOLDER_BATCH && strlen(name) < TG_STORE_NAME_BYTES) {
        memcpy(batch->names[batch->count++], name, strlen(name) + 1);
    }
}

int tg_store_remove_epoch(const struct tg_store *store, uint64_t epoch)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char name[TG_STORE_NAME_BYTES];
    char folder[TG_PLACE_BYTES];
    char path[TG_PLACE_BYTES];
    (void)snprintf(name, sizeof name, "e%" PRIu64, epoch);
    (void)tg_place_of(store->path, name, folder);
    for (uint32_t pass = 0; pass < FOLDER_PASSES_MAX; pass++) {
        struct folder_names batch = {.count = 0};
        const int failed = ops->list(ops->self, folder, found_in_folder, &batch);
        if (failed != 0) { return failed == -ENOENT ? 0 : failed; }
        if (batch.count == 0) { break; }
        for (uint32_t i = 0; i < batch.count; i++) {
            const int kept = ops->unlink(ops->self, tg_place_of(folder, batch.names[i], path));
            if (kept != 0 && kept != -ENOENT) { return kept; }
        }
    }
    const int failed = ops->rmdir(ops->self, folder);
    return failed == -ENOENT ? 0 : failed;
}

/* Remove `prefix`<number> of the listed ones that are not to be kept. */
static tg_status remove_files(const struct tg_store *store, const char *prefix, const uint64_t *list, uint32_t count,
                              const struct tg_store_keep *keep, struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char name[TG_STORE_NAME_BYTES];
    char path[TG_PLACE_BYTES];
    for (uint32_t i = 0; i < count; i++) {
        if (is_in(keep->manifests, keep->manifest_count, list[i])) { continue; }
        (void)snprintf(name, sizeof name, "%s%" PRIu64, prefix, list[i]);
        const int failed = ops->unlink(ops->self, tg_place_of(store->path, name, path));
        if (failed != 0 && failed != -ENOENT) {
            return tg_fail(err, TG1510, -failed, "checkpoint directory %s: cannot remove %s", store->path, name);
        }
    }
    return TG_OK;
}

static tg_status remove_rest(const struct tg_store *store, const struct tg_store_names *names,
                             const struct tg_store_keep *keep, struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    char path[TG_PLACE_BYTES];
    for (uint32_t i = 0; i < names->epoch_count; i++) {
        if (is_in(keep->epochs, keep->epoch_count, names->epochs[i])) { continue; }
        const int failed = tg_store_remove_epoch(store, names->epochs[i]);
        if (failed != 0) {
            return tg_fail(err, TG1510, -failed, "checkpoint directory %s: cannot remove e%" PRIu64, store->path,
                           names->epochs[i]);
        }
    }
    for (uint32_t i = 0; i < names->leftover_count; i++) {
        const int failed = ops->unlink(ops->self, tg_place_of(store->path, names->leftovers[i], path));
        if (failed != 0 && failed != -ENOENT) {
            return tg_fail(err, TG1510, -failed, "checkpoint directory %s: cannot remove %s", store->path,
                           names->leftovers[i]);
        }
    }
    uint32_t older = 0;
    for (uint32_t i = 0; i < names->generation_count; i++) {
        if (names->generations[i] < store->generation) { names->generations[older++] = names->generations[i]; }
    }
    const struct tg_store_keep none = {.manifest_count = 0};
    return remove_files(store, "GENERATION-", names->generations, older, &none, err);
}

static tg_status may_sweep(const struct tg_store *store, int failed, struct tg_error *err)
{
    return failed == 0 ? TG_OK : tg_fail(err, TG1510, failed, "checkpoint directory %s: cannot remove", store->path);
}

static tg_status sync_removals(const struct tg_store *store, struct tg_error *err)
{
    const struct tg_file_ops *ops = tg_file_ops();
    int failed = -TG_FAILPOINT("sweep.sync");
    if (failed == 0) { failed = ops->sync_dir(ops->self, store->path); }
    if (failed == 0) { return TG_OK; }
    return tg_fail(err, TG1510, -failed, "checkpoint directory %s: removals are not durable", store->path);
}

static tg_status remove_acks(const struct tg_store *store, const struct tg_store_names *names,
                             const struct tg_store_keep *keep, struct tg_error *err)
{
    return remove_files(store, "ACK-", names->acks, names->ack_count, keep, err);
}

tg_status tg_store_sweep(struct tg_store *store, const struct tg_store_keep *keep, struct tg_error *err)
{
    TG_ASSERT(store->lock_fd >= 0);
    struct tg_arena arena;
    tg_status status = tg_arena_open(&arena, TG_STORE_ARENA_BYTES, err);
    if (status != TG_OK) { return status; }
    struct tg_store_names names;
    status = tg_store_scan_lists(store, &arena, &names, err);
    if (status == TG_OK) { status = tg_store_check_newest(store, &names, err); }
    if (status == TG_OK) { status = may_sweep(store, TG_FAILPOINT("sweep.manifests"), err); }
    if (status == TG_OK && keep->manifest_count == 0) { /* an acknowledgement alone would tell of a lost manifest */
        status = remove_acks(store, &names, keep, err);
        if (status == TG_OK) { status = sync_removals(store, err); }
    }
    if (status == TG_OK) {
        status = remove_files(store, "MANIFEST-", names.manifests, names.manifest_count, keep, err);
    }
    if (status == TG_OK) { status = sync_removals(store, err); }
    if (status == TG_OK) { status = may_sweep(store, TG_FAILPOINT("sweep.files"), err); }
    if (status == TG_OK) { status = remove_acks(store, &names, keep, err); }
    if (status == TG_OK) { status = remove_rest(store, &names, keep, err); }
    tg_arena_close(&arena);
    return status;
}
