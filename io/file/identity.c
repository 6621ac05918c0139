/* "file 1000-9c3a41d2,7f-00c2b1aa": for each of the first files how many of its first bytes, and their hash. A file
 * that has grown since still begins with those bytes; one that was replaced does not, or is too short. */
#include "io/file/identity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/assert.h"
#include "io/file/folder.h"
#include "io/file_ops.h"

enum { FILES_MAX = 16, HEAD_BYTES = 4096, READ_BYTES = 1 << 18 };
#define PREFIX "file "
static_assert(sizeof PREFIX + FILES_MAX * sizeof "1000-00000000," <= TG_SOURCE_IDENTITY_BYTES, "all files fit");

/* Lines of the file, counting no further than `enough`; or -errno. The newline at the end makes none. */
static int64_t count_lines(int fd, int64_t enough, uint8_t *buffer)
{
    int64_t lines = 0;
    int64_t at = 0;
    bool in_line = false;
    while (lines < enough) {
        const int64_t got = tg_file_read_upto(fd, buffer, READ_BYTES, at);
        if (got < 0) { return got; }
        if (got == 0) { return lines + in_line; }
        const uint8_t *next = buffer;
        const uint8_t *end = buffer + got;
        while (next < end && lines < enough) {
            const uint8_t *newline = memchr(next, '\n', (size_t)(end - next));
            in_line = newline == NULL;
            lines += !in_line;
            next = in_line ? end : newline + 1;
        }
        at += got;
    }
    return lines;
}

/* How many of partition `partition`'s first bytes `known` covers; -1 = it says nothing of it. */
static int64_t known_bytes(const char *known, uint32_t partition)
{
    if (known == NULL || strncmp(known, PREFIX, sizeof PREFIX - 1) != 0) { return -1; }
    const char *at = known + sizeof PREFIX - 1;
    for (uint32_t i = 0; i < partition && at != NULL; i++) {
        at = strchr(at, ',');
        at = at == NULL ? NULL : at + 1;
    }
    if (at == NULL || *at == '\0') { return -1; }
    char *rest;
    const unsigned long bytes = strtoul(at, &rest, 16);
    return *rest == '-' && bytes <= HEAD_BYTES ? (int64_t)bytes : -1;
}

static void describe(struct tg_source_log *log, uint32_t partition, const uint8_t *head, int64_t bytes)
{
    const int64_t known = known_bytes(log->known, partition);
    if (known >= 0 && known <= bytes) { bytes = known; }
    const size_t used = strlen(log->identity);
    (void)snprintf(log->identity + used, sizeof log->identity - used, "%s%" PRIx64 "-%08" PRIx32,
                   partition == 0 ? PREFIX : ",", (uint64_t)bytes, (uint32_t)XXH64(head, (size_t)bytes, 0));
}

static int look(const char *path, uint32_t partition, struct tg_source_log *log, uint8_t *buffer)
{
    const struct tg_file_ops *ops = tg_file_ops();
    const int fd = tg_folder_open(path, partition);
    if (fd < 0) { return fd; }
    int64_t got = 0;
    if (partition < FILES_MAX) {
        got = tg_file_read_upto(fd, buffer, HEAD_BYTES, 0);
        if (got >= 0) { describe(log, partition, buffer, got); }
    }
    const int64_t position = log->positions != NULL ? log->positions[partition] : -1;
    log->begin[partition] = 0;
    if (got >= 0 && position >= 0) {
        got = count_lines(fd, position, buffer);
        log->end[partition] = got >= 0 ? got : -1;
    }
    (void)ops->close(ops->self, fd);
    return got < 0 ? (int)got : 0;
}

tg_status tg_file_identify(const char *path, const char *source_name, struct tg_source_log *log, struct tg_error *err)
{
    struct tg_arena arena;
    tg_status status = tg_arena_open(&arena, READ_BYTES, err);
    if (status != TG_OK) { return status; }
    uint8_t *buffer = tg_arena_alloc(&arena, READ_BYTES, 64);
    TG_ASSERT(buffer != NULL);
    log->identity[0] = '\0';
    for (uint32_t i = 0; status == TG_OK && i < log->partition_count; i++) {
        const int failed = look(path, i, log, buffer);
        if (failed != 0) {
            char name[TG_FOLDER_PATH_BYTES];
            status =
                tg_fail(err, TG1501, -failed, "source %s: input file %s", source_name, tg_folder_name(path, i, name));
        }
    }
    tg_arena_close(&arena);
    return status;
}
