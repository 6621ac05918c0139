/* A checkpoint directory has files and, one level down, the folders of epochs: two lists are enough. */
#include "engine/sim/export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_BYTES = 768, NAMES_MAX = 512, NAME_BYTES = 64 };

struct names {
    uint32_t count;
    char list[NAMES_MAX][NAME_BYTES];
};

static void note(void *to, const char *name)
{
    struct names *names = to;
    if (names->count == NAMES_MAX) { return; }
    (void)snprintf(names->list[names->count++], NAME_BYTES, "%s", name);
}

static tg_status make_folder(const char *path, struct tg_error *err)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST) { return tg_fail(err, TG1502, errno, "%s", path); }
    return TG_OK;
}

static tg_status copy_file(const struct tg_sim_disk *disk, const char *from, const char *to, struct tg_error *err)
{
    const void *data = NULL;
    size_t bytes = 0;
    if (!tg_sim_disk_get(disk, from, &data, &bytes)) { return TG_OK; } /* a folder */
    FILE *out = fopen(to, "w");
    if (out == NULL) { return tg_fail(err, TG1502, errno, "%s", to); }
    if (bytes > 0) { (void)fwrite(data, 1, bytes, out); }
    return fclose(out) == 0 ? TG_OK : tg_fail(err, TG1502, errno, "%s", to);
}

static tg_status copy_folder(const struct tg_sim_disk *disk, const char *from, const char *to, struct names *names,
                             struct tg_error *err)
{
    names->count = 0;
    if (!tg_sim_disk_names(disk, from, note, names)) { return TG_OK; }
    tg_status status = make_folder(to, err);
    for (uint32_t i = 0; status == TG_OK && i < names->count; i++) {
        char source[PATH_BYTES];
        char target[PATH_BYTES];
        (void)snprintf(source, sizeof source, "%s/%s", from, names->list[i]);
        (void)snprintf(target, sizeof target, "%s/%s", to, names->list[i]);
        status = copy_file(disk, source, target, err);
    }
    return status;
}

tg_status tg_sim_export_checkpoints(const struct tg_sim_disk *disk, const char *from, const char *dir, uint32_t life,
                                    struct tg_error *err)
{
    static struct names names;
    static struct names inner;
    char path[PATH_BYTES];
    names.count = 0;
    if (!tg_sim_disk_names(disk, from, note, &names)) { return TG_OK; }
    (void)snprintf(path, sizeof path, "%s/checkpoints", dir);
    tg_status status = make_folder(path, err);
    (void)snprintf(path, sizeof path, "%s/checkpoints/%u", dir, life);
    if (status == TG_OK) { status = copy_folder(disk, from, path, &names, err); }
    for (uint32_t i = 0; status == TG_OK && i < names.count; i++) {
        char source[PATH_BYTES];
        char target[PATH_BYTES + NAME_BYTES];
        (void)snprintf(source, sizeof source, "%s/%s", from, names.list[i]);
        (void)snprintf(target, sizeof target, "%s/%s", path, names.list[i]);
        status = copy_folder(disk, source, target, &inner, err);
    }
    return status;
}

tg_status tg_sim_export_counts(const struct tg_sim_outcome *outcome, const char *dir, struct tg_error *err)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/out/counts.jsonl", dir);
    FILE *out = fopen(path, "w");
    if (out == NULL) { return tg_fail(err, TG1502, errno, "%s", path); }
    for (uint32_t i = 0; i < outcome->partition_count; i++) {
        const struct tg_manifest_partition *p = &outcome->partitions[i];
        const struct tg_tally *tally = &outcome->tallies[i];
        (void)fprintf(out,
                      "{\"partition\": %" PRIu32 ", \"records\": %" PRIu64 ", \"dead\": %" PRIu64 ", \"late\": %" PRIu64
                      ", \"late_in_part\": %" PRIu64 ", \"duplicates\": %" PRIu64 ", \"accepted\": %" PRIu64
                      ", \"applied\": %" PRIu64 ", \"ignored\": %" PRIu64 ", \"refused\": %" PRIu64
                      ", \"sum\": %" PRId64 ", \"squares\": %" PRId64 "}\n",
                      i, p->records, p->dead, p->late, p->late_in_part, p->duplicates, p->accepted, tally->applied,
                      tally->ignored, tally->refused, (int64_t)tally->sum, (int64_t)tally->squares);
    }
    return fclose(out) == 0 ? TG_OK : tg_fail(err, TG1502, errno, "%s", path);
}
