/* Counting and opening partition files. File names are exact (p0.jsonl, not p00.jsonl), numbered from 0 without gaps;
 * other names are none of ours, except ones that were evidently meant to be: those are refused and not passed over. */
#include "io/file/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "io/file_ops.h"

static bool is_folder(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

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

/* Number of partition files in a folder, and one more than the highest of their numbers. */
static tg_status folder_scan(const char *path, const char *source_name, uint32_t *count, uint32_t *end,
                             struct tg_error *err)
{
    *count = 0;
    *end = 0;
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return tg_fail(err, TG1501, errno, "source %s: cannot list the folder %s (sources.%s.file.path)", source_name,
                       path, source_name);
    }
    tg_status status = TG_OK;
    for (struct dirent *entry = readdir(folder); entry != NULL && status == TG_OK; entry = readdir(folder)) {
        const char *name = entry->d_name;
        bool is_exact = false;
        const int64_t partition = partition_of(name, &is_exact);
        if (partition < 0) { continue; }
        if (!is_exact) {
            status = tg_fail(err, TG1501, 0, "source %s: %s/%s is no partition file; numbers are written without "
                             "leading zeros", source_name, path, name);
        } else if (partition == TG_PARTITIONS_MAX) {
            status = tg_fail(err, TG1501, 0, "source %s: %s/%s is beyond the %d partitions a source may have",
                             source_name, path, name, TG_PARTITIONS_MAX);
        } else {
            (*count)++;
            *end = partition >= *end ? (uint32_t)partition + 1 : *end;
        }
    }
    (void)closedir(folder);
    return status;
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
    struct stat about;
    if (stat(path, &about) != 0) {
        return tg_fail(err, TG1501, errno, "source %s: input %s; put p0.jsonl, p1.jsonl, ... (one for each partition, "
                       "one record a line) into a folder of that name, or set sources.%s.file.path to a file or folder "
                       "that exists", source_name, path, source_name);
    }
    *partition_count = 1;
    if (!S_ISDIR(about.st_mode)) { return check_readable(path, source_name, 0, err); }
    uint32_t count;
    uint32_t end;
    const tg_status status = folder_scan(path, source_name, &count, &end, err);
    if (status != TG_OK) { return status; }
    if (end == 0) {
        return tg_fail(err, TG1501, 0, "source %s: the folder %s has no p0.jsonl; file p<n>.jsonl holds partition n, "
                       "one record a line (sources.%s.file.path)", source_name, path, source_name);
    }
    *partition_count = end;
    for (uint32_t i = 0; i < end; i++) {
        char name[TG_FOLDER_PATH_BYTES];
        if (count < end && stat(tg_folder_name(path, i, name), &about) != 0 && errno == ENOENT) {
            return tg_fail(err, TG1501, 0, "source %s: %s is missing, but %s/p%u.jsonl is there; partitions are "
                           "numbered from 0 without gaps, an empty file is an empty partition", source_name, name, path,
                           end - 1);
        }
        const tg_status readable = check_readable(path, source_name, i, err);
        if (readable != TG_OK) { return readable; }
    }
    return TG_OK;
}
