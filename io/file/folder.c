/* Counting and opening partition files. File names are exact (p0.jsonl, not p00.jsonl), numbered from 0 without gaps;
 * other names are none of ours, except ones that were evidently meant to be: those are refused and not passed over. */
#include "io/file/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "io/file_ops.h"

/* 0 when `path` is there (and a folder, with O_DIRECTORY in `flags`), else -errno. Reading it may be forbidden. */
static int find(const char *path, int flags)
{
    const struct tg_file_ops *ops = tg_file_ops();
    const int fd = ops->open(ops->self, path, O_PATH | flags, 0);
    if (fd >= 0) { (void)ops->close(ops->self, fd); }
    return fd < 0 ? fd : 0;
}

static bool is_folder(const char *path) { return find(path, O_DIRECTORY) == 0; }

const char *tg_folder_name(const char *path, uint32_t partition, char out[TG_FOLDER_PATH_BYTES])
{
    const size_t bytes = strlen(path);
    const char *slash = bytes > 0 && path[bytes - 1] == '/' ? "" : "/";
    if (is_folder(path)) {
        (void)snprintf(out, TG_FOLDER_PATH_BYTES, "%s%sp%u.jsonl", path, slash, partition);
    } else {
        (void)snprintf(out, TG_FOLDER_PATH_BYTES, "%s", path);
    }
    return out;
}

int tg_folder_open(const char *path, uint32_t partition)
{
    char name[TG_FOLDER_PATH_BYTES];
    const struct tg_file_ops *ops = tg_file_ops();
    /* a pipe must not hang */
    const int fd = ops->open(ops->self, tg_folder_name(path, partition, name), O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0) { return fd; }
    const int64_t size = ops->size(ops->self, fd);
    if (size >= 0) { return fd; }
    (void)ops->close(ops->self, fd);
    return (int)size;
}

/* Number in "p<n>.jsonl", or -1 when the name is another one. *is_exact: spelt as we would. */
static int64_t partition_of(const char *name, bool *is_exact)
{
    if (name[0] != 'p' || name[1] < '0' || name[1] > '9') { return -1; }
    char *end;
    errno = 0;
    const unsigned long number = strtoul(name + 1, &end, 10);
    if (strcmp(end, ".jsonl") != 0) { return -1; }
    char exact[32];
    (void)snprintf(exact, sizeof exact, "p%lu.jsonl", number);
    *is_exact = errno == 0 && strcmp(exact, name) == 0;
    return number < TG_PARTITIONS_MAX ? (int64_t)number : TG_PARTITIONS_MAX;
}

struct scan {
    const char *path;
    const char *source_name;
    uint32_t count; /* of partition files */
    uint32_t end;   /* one more than the highest of their numbers */
    tg_status status;
    struct tg_error *err;
};

static void scan_name(void *to, const char *name)
{
    struct scan *scan = to;
    bool is_exact = false;
    const int64_t partition = partition_of(name, &is_exact);
    if (partition < 0 || scan->status != TG_OK) { return; }
    if (!is_exact) {
        scan->status = tg_fail(scan->err, TG1501, 0,
                               "source %s: %s/%s is no partition file; numbers are written "
                               "without leading zeros",
                               scan->source_name, scan->path, name);
    } else if (partition == TG_PARTITIONS_MAX) {
        scan->status = tg_fail(scan->err, TG1501, 0, "source %s: %s/%s is beyond the %d partitions a source may have",
                               scan->source_name, scan->path, name, TG_PARTITIONS_MAX);
    } else {
        scan->count++;
        scan->end = partition >= scan->end ? (uint32_t)partition + 1 : scan->end;
    }
}

static tg_status folder_scan(struct scan *scan)
{
    const struct tg_file_ops *ops = tg_file_ops();
    const int failed = ops->list(ops->self, scan->path, scan_name, scan);
    if (failed == 0 || scan->status != TG_OK) { return scan->status; }
    return tg_fail(scan->err, TG1501, -failed, "source %s: cannot list the folder %s (sources.%s.file.path)",
                   scan->source_name, scan->path, scan->source_name);
}

static tg_status check_readable(const char *path, const char *source_name, uint32_t partition, struct tg_error *err)
{
    char name[TG_FOLDER_PATH_BYTES];
    const int fd = tg_folder_open(path, partition);
    if (fd >= 0) {
        const struct tg_file_ops *ops = tg_file_ops();
        (void)ops->close(ops->self, fd);
        return TG_OK;
    }
    (void)tg_folder_name(path, partition, name);
    if (fd == -ESPIPE) {
        return tg_fail(err, TG1501, 0, "source %s: %s is no regular file (sources.%s.file.path)", source_name, name,
                       source_name);
    }
    return tg_fail(err, TG1501, -fd, "source %s: input file %s", source_name, name);
}

tg_status tg_folder_count(const char *path, const char *source_name, uint32_t *partition_count, struct tg_error *err)
{
    const int missing = find(path, 0);
    if (missing != 0) {
        return tg_fail(err, TG1501, -missing,
                       "source %s: input %s; put p0.jsonl, p1.jsonl, ... (one for each "
                       "partition, one record a line) into a folder of that name, or set sources.%s.file.path to a "
                       "file or folder that exists",
                       source_name, path, source_name);
    }
    *partition_count = 1;
    if (!is_folder(path)) { return check_readable(path, source_name, 0, err); }
    struct scan scan = {.path = path, .source_name = source_name, .err = err};
    const tg_status status = folder_scan(&scan);
    if (status != TG_OK) { return status; }
    const uint32_t end = scan.end;
    if (end == 0) {
        return tg_fail(err, TG1501, 0,
                       "source %s: the folder %s has no p0.jsonl; file p<n>.jsonl holds partition n, "
                       "one record a line (sources.%s.file.path)",
                       source_name, path, source_name);
    }
    *partition_count = end;
    for (uint32_t i = 0; i < end; i++) {
        char name[TG_FOLDER_PATH_BYTES];
        if (scan.count < end && find(tg_folder_name(path, i, name), 0) == -ENOENT) {
            return tg_fail(err, TG1501, 0,
                           "source %s: %s is missing, but %s/p%u.jsonl is there; partitions are "
                           "numbered from 0 without gaps, an empty file is an empty partition",
                           source_name, name, path, end - 1);
        }
        const tg_status readable = check_readable(path, source_name, i, err);
        if (readable != TG_OK) { return readable; }
    }
    return TG_OK;
}
