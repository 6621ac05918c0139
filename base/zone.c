/* Zones for stamps without one: a sorted list of moments on the wall clock, searched by halving. Each entry says until
 * when on the wall its offset holds, and from when on the wall that is a matter of choice (gap or overlap). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/civil.h"
#include "base/timestamp.h"
#include "base/tzif.h"

#define ZONE_FOLDER "/usr/share/zoneinfo/"
#define US INT64_C(1000000)
#define CYCLE_US (INT64_C(86400) * TG_CIVIL_CYCLE_DAYS * US)

/* One offset and where on the wall clock it ends. When clocks change at instant T from offset a to offset b, wall times
 * in [T + min(a,b), T + max(a,b)) do not exist (gap, a < b) or exist twice (overlap, a > b). Both are read with a, so a
 * holds until T + max(a,b) and is doubtful from T + min(a,b) on. */
struct span {
    int64_t until_us;    /* wall time, exclusive */
    int64_t doubtful_us; /* wall time, inclusive */
    int64_t offset_us;   /* east of UTC */
};

struct tg_zone {
    int64_t repeats_us; /* wall times from here on are looked up whole cycles earlier */
    uint32_t span_count;
    struct span spans[]; /* ascending; the last one never ends */
};

static struct tg_zone *zone_create(const struct tg_tzif *tzif)
{
    struct tg_zone *zone = calloc(1, sizeof *zone + ((size_t)tzif->change_count + 1) * sizeof zone->spans[0]);
    if (zone == NULL) { return NULL; }
    int64_t before = tzif->first;
    int64_t floor_us = INT64_MIN;
    for (uint32_t i = 0; i < tzif->change_count; i++) {
        const struct tg_tzif_change *change = &tzif->changes[i];
        const int64_t after = change->after;
        struct span *span = &zone->spans[zone->span_count++];
        span->offset_us = before * US;
        span->until_us = (change->at + (before > after ? before : after)) * US;
        span->doubtful_us = (change->at + (before < after ? before : after)) * US;
        /* Two changes closer than the hour they move: keep the order, the later one wins the disputed part. */
        if (span->until_us < floor_us) { span->until_us = floor_us; }
        floor_us = span->until_us;
        before = after;
    }
    zone->spans[zone->span_count++] = (struct span){INT64_MAX, INT64_MAX, before * US};
    zone->repeats_us = tzif->repeats_from == INT64_MAX ? INT64_MAX : tzif->repeats_from * US;
    return zone;
}

/* "+hh:mm", "-hh:mm": seconds east, or INT32_MIN. */
static int32_t fixed_offset(const char *name)
{
    if (strlen(name) != 6 || (name[0] != '+' && name[0] != '-') || name[3] != ':') { return INT32_MIN; }
    for (uint32_t i = 1; i < 6; i++) {
        if (i != 3 && (name[i] < '0' || name[i] > '9')) { return INT32_MIN; }
    }
    const int32_t hour = (name[1] - '0') * 10 + (name[2] - '0');
    const int32_t minute = (name[4] - '0') * 10 + (name[5] - '0');
    if (hour > 23 || minute > 59) { return INT32_MIN; }
    return (hour * 3600 + minute * 60) * (name[0] == '-' ? -1 : 1);
}

/* Names of the database: letters, digits, '_', '-', '+' and single slashes inside. Keeps "../../etc/passwd" out. */
static bool name_is_safe(const char *name)
{
    const size_t bytes = strlen(name);
    if (bytes == 0 || bytes > 64) { return false; }
    if (name[0] == '/' || name[bytes - 1] == '/' || strstr(name, "//") != NULL) { return false; }
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+/") == bytes;
}

static tg_status file_read(const char *path, const char *name, uint8_t *out, size_t *bytes, struct tg_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) { return tg_fail(err, TG1004, 0, "time zone %s is not in " ZONE_FOLDER, name); }
    if (fd < 0) { return tg_fail(err, TG1004, errno, "time zone %s", name); }
    size_t used = 0;
    ssize_t got = 1;
    while (got > 0 && used < TG_TZIF_FILE_BYTES_MAX) {
        got = read(fd, out + used, TG_TZIF_FILE_BYTES_MAX - used);
        used += got > 0 ? (size_t)got : 0;
    }
    const int read_errno = errno;
    (void)close(fd);
    if (got < 0) { return tg_fail(err, TG1004, read_errno, "time zone %s", name); }
    *bytes = used;
    return TG_OK;
}

static tg_status zone_load(struct tg_zone **zone, const char *name, struct tg_error *err)
{
    char path[sizeof ZONE_FOLDER + 64];
    tg_status status = TG_OK;
    const char *wrong = NULL;
    size_t bytes = 0;
    uint8_t *file = malloc(TG_TZIF_FILE_BYTES_MAX);
    struct tg_tzif *tzif = malloc(sizeof *tzif);
    if (file == NULL || tzif == NULL) {
        status = tg_fail(err, TG1004, ENOMEM, "time zone %s", name);
        goto done;
    }
    (void)snprintf(path, sizeof path, ZONE_FOLDER "%s", name);
    status = file_read(path, name, file, &bytes, err);
    if (status != TG_OK) { goto done; }
    wrong = tg_tzif_parse(file, bytes, tzif);
    if (wrong != NULL) {
        status = tg_fail(err, TG1004, 0, "time zone %s: %s", name, wrong);
        goto done;
    }
    *zone = zone_create(tzif);
    if (*zone == NULL) { status = tg_fail(err, TG1004, ENOMEM, "time zone %s", name); }
done:
    free(tzif);
    free(file);
    return status;
}

tg_status tg_zone_open(struct tg_zone **zone, const char *name, struct tg_error *err)
{
    *zone = NULL;
    const int32_t fixed = strcmp(name, "UTC") == 0 || strcmp(name, "Z") == 0 ? 0 : fixed_offset(name);
    if (fixed != INT32_MIN) {
        *zone = calloc(1, sizeof **zone + sizeof (*zone)->spans[0]);
        if (*zone == NULL) { return tg_fail(err, TG1004, ENOMEM, "time zone %s", name); }
        (*zone)->repeats_us = INT64_MAX;
        (*zone)->span_count = 1;
        (*zone)->spans[0] = (struct span){INT64_MAX, INT64_MAX, fixed * US};
        return TG_OK;
    }
    if (!name_is_safe(name)) {
        return tg_fail(err, TG1004, 0, "time zone \"%s\": want UTC, +hh:mm, -hh:mm or a name such as Europe/Berlin",
                       name);
    }
    return zone_load(zone, name, err);
}

void tg_zone_close(struct tg_zone *zone) { free(zone); }

int64_t tg_zone_to_utc(const struct tg_zone *zone, int64_t local_us, bool *adjusted)
{
    int64_t wall_us = local_us;
    if (TG_UNLIKELY(wall_us >= zone->repeats_us)) {
        wall_us -= ((wall_us - zone->repeats_us) / CYCLE_US + 1) * CYCLE_US;
    }
    uint32_t low = 0; /* the first span whose end lies beyond is in [low, low + count] */
    uint32_t count = zone->span_count - 1;
    while (count > 0) {
        const uint32_t half = (count + 1) / 2;
        const bool right = zone->spans[low + half - 1].until_us <= wall_us;
        low += right ? half : 0;
        count = right ? count - half : half - 1;
    }
    const struct span *span = &zone->spans[low];
    TG_DCHECK(wall_us < span->until_us || low + 1 == zone->span_count);
    if (adjusted != NULL) { *adjusted = wall_us >= span->doubtful_us; }
    return local_us - span->offset_us;
}
