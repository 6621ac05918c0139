/* Reads what Linux says about processors and memory and what cgroups take away again: version 2 (one hierarchy, limits
 * of every ancestor apply) and version 1 (a hierarchy per controller). Files that are missing or odd are skipped. */
#include "shards/topology.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CPU_COUNT_MAX = 4096, PATH_BYTES = 1024, TEXT_BYTES = 65536, CGROUP_DEPTH_MAX = 32 };

struct cpu_set {
    uint64_t words[CPU_COUNT_MAX / 64];
};

static bool cpu_set_has(const struct cpu_set *set, uint32_t cpu)
{
    return (set->words[cpu / 64] >> (cpu % 64) & 1) == 1;
}

static bool cpu_set_empty(const struct cpu_set *set)
{
    uint64_t any = 0;
    for (uint32_t i = 0; i < CPU_COUNT_MAX / 64; i++) { any |= set->words[i]; }
    return any == 0;
}

/* ---- files ---- */

/* The file `name` in `folder` below `root` as text, cut at the buffer's end; false when it cannot be read. */
static bool file_read(const char *root, const char *folder, const char *name, char text[TEXT_BYTES])
{
    char full[4 * PATH_BYTES];
    if (snprintf(full, sizeof full, "%s%s/%s", root, folder, name) >= (int)sizeof full) { return false; }
    const int fd = open(full, O_RDONLY | O_CLOEXEC);
    if (fd < 0) { return false; }
    size_t used = 0;
    ssize_t got = 1;
    while (got > 0 && used < TEXT_BYTES - 1) {
        got = read(fd, text + used, TEXT_BYTES - 1 - used);
        if (got > 0) { used += (size_t)got; }
    }
    (void)close(fd);
    text[used] = '\0';
    return got >= 0;
}

/* An unsigned number at the start of `text`; false for "max", "-1" and other text. */
static bool number_parse(const char *text, uint64_t *out)
{
    if (text[0] < '0' || text[0] > '9') { return false; }
    errno = 0;
    const unsigned long long number = strtoull(text, NULL, 10);
    if (errno != 0) { return false; }
    *out = number;
    return true;
}

static bool file_number(const char *root, const char *folder, const char *name, uint64_t *out)
{
    char text[TEXT_BYTES];
    return file_read(root, folder, name, text) && number_parse(text, out);
}

/* "0-3,8,10-11". False when nothing was understood. */
static bool cpu_list_parse(const char *text, struct cpu_set *out)
{
    *out = (struct cpu_set){{0}};
    const char *at = text;
    while (*at >= '0' && *at <= '9') {
        char *end;
        const unsigned long first = strtoul(at, &end, 10);
        unsigned long last = first;
        if (*end == '-') { last = strtoul(end + 1, &end, 10); }
        for (unsigned long cpu = first; cpu <= last && cpu < CPU_COUNT_MAX; cpu++) {
            out->words[cpu / 64] |= 1ull << (cpu % 64);
        }
        at = *end == ',' ? end + 1 : end;
    }
    return !cpu_set_empty(out);
}

static bool file_cpu_list(const char *root, const char *folder, const char *name, struct cpu_set *out)
{
    char text[TEXT_BYTES];
    return file_read(root, folder, name, text) && cpu_list_parse(text, out);
}

/* The text behind `label` at the start of a line of `text`, NULL when there is none. */
static const char *line_find(const char *text, const char *label)
{
    const size_t bytes = strlen(label);
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        if (*line == '\n') { line++; }
        if (strncmp(line, label, bytes) == 0) {
            line += bytes;
            while (*line == ' ' || *line == '\t') { line++; }
            return line;
        }
    }
    return NULL;
}

/* ---- cgroups ---- */

/* Path of this process in the hierarchy of `controller` ("" = version 2), "/" when it is not told. */
static void cgroup_path(const char *cgroups, const char *controller, char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES, "/");
    for (const char *line = cgroups; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        if (*line == '\n') { line++; }
        const char *names = strchr(line, ':'); /* "4:cpu,cpuacct:/path" */
        const char *end = names == NULL ? NULL : strchr(names + 1, ':');
        if (end == NULL) { return; }
        names++;
        const size_t bytes = strlen(controller);
        bool found = bytes == 0 && names == end;
        for (const char *name = names; bytes != 0 && !found && name < end; name++) {
            const bool starts = name == names || name[-1] == ',';
            found = starts && strncmp(name, controller, bytes) == 0 && (name[bytes] == ',' || name[bytes] == ':');
        }
        if (!found) { continue; }
        const int length = (int)strcspn(end + 1, "\n");
        if (end[1] == '/' && strncmp(end + 1, "/..", 3) != 0) {
            (void)snprintf(path, PATH_BYTES, "%.*s", length, end + 1);
        }
        return;
    }
}

/* Cut the last component: "/a/b" to "/a" to "/" to "". */
static void path_cut(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == path && path[1] != '\0') {
        path[1] = '\0';
    } else if (slash != NULL) {
        *slash = '\0';
    }
}

static void quota_lower(struct tg_topology *topology, double quota)
{
    if (quota > 0 && (topology->cpu_quota == 0 || quota < topology->cpu_quota)) { topology->cpu_quota = quota; }
}
static void memory_lower(struct tg_topology *topology, uint64_t bytes)
{
    if (topology->memory_bytes == 0 || bytes < topology->memory_bytes) { topology->memory_bytes = bytes; }
}

/* "50000 100000" is half a core; "max 100000" is no quota. */
static void cpu_max_read(struct tg_topology *topology, const char *root, const char *folder)
{
    char text[TEXT_BYTES];
    uint64_t quota;
    uint64_t period;
    if (!file_read(root, folder, "cpu.max", text) || !number_parse(text, &quota)) { return; }
    const char *second = strchr(text, ' ');
    if (second == NULL || !number_parse(second + 1, &period) || period == 0) { return; }
    quota_lower(topology, (double)quota / (double)period);
}

/* One directory of a hierarchy; files of the other version are not there. */
static void cgroup_limits_read(struct tg_topology *topology, const char *root, const char *folder)
{
    uint64_t number;
    uint64_t period;
    cpu_max_read(topology, root, folder);
    if (file_number(root, folder, "memory.max", &number)) { memory_lower(topology, number); }
    if (file_number(root, folder, "memory.limit_in_bytes", &number)) { /* "none" is a number near 2^63 here */
        memory_lower(topology, number);
    }
    if (file_number(root, folder, "cpu.cfs_quota_us", &number) &&
        file_number(root, folder, "cpu.cfs_period_us", &period) && period != 0) {
        quota_lower(topology, (double)number / (double)period);
    }
}

/* A container without its own cgroup mount sees a path that does not exist below the mount: then its root is ours. */
static void cgroup_read(struct tg_topology *topology, const char *root, const char *mount, const char *cgroups,
                        const char *controller, struct cpu_set *allowed)
{
    char path[PATH_BYTES];
    char folder[2 * PATH_BYTES];
    static const char *const set_files[] = {"cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"};
    bool has_set = false;
    cgroup_path(cgroups, controller, path);
    for (uint32_t depth = 0; depth < CGROUP_DEPTH_MAX && path[0] != '\0'; depth++) {
        if (snprintf(folder, sizeof folder, "%s%s", mount, path[1] == '\0' ? "" : path) >= (int)sizeof folder) {
            return;
        }
        cgroup_limits_read(topology, root, folder);
        for (uint32_t i = 0; i < 3 && !has_set; i++) { /* the nearest one holds: it is a part of its ancestors' */
            struct cpu_set set;
            has_set = file_cpu_list(root, folder, set_files[i], &set);
            for (uint32_t w = 0; has_set && w < CPU_COUNT_MAX / 64; w++) { allowed->words[w] &= set.words[w]; }
        }
        path_cut(path);
    }
}

static void cgroups_read(struct tg_topology *topology, const char *root, struct cpu_set *allowed)
{
    static const char *const controllers[] = {"cpu", "cpuset", "memory"};
    char cgroups[TEXT_BYTES];
    if (!file_read(root, "/proc/self", "cgroup", cgroups)) { cgroups[0] = '\0'; }
    cgroup_read(topology, root, "/sys/fs/cgroup", cgroups, "", allowed);
    for (uint32_t i = 0; i < 3; i++) {
        char mount[64];
        (void)snprintf(mount, sizeof mount, "/sys/fs/cgroup/%s", controllers[i]);
        cgroup_read(topology, root, mount, cgroups, controllers[i], allowed);
    }
}

/* ---- cores ---- */

/* True when a lower-numbered usable processor is a hyperthread of the same core. */
static bool core_taken(const char *root, const struct cpu_set *allowed, uint32_t cpu)
{
    static const char *const files[] = {"core_cpus_list", "thread_siblings_list"};
    struct cpu_set siblings;
    bool known = false;
    for (uint32_t i = 0; i < 2 && !known; i++) {
        char folder[64];
        (void)snprintf(folder, sizeof folder, "/sys/devices/system/cpu/cpu%u/topology", cpu);
        known = file_cpu_list(root, folder, files[i], &siblings);
    }
    for (uint32_t other = 0; known && other < cpu; other++) {
        if (cpu_set_has(&siblings, other) && cpu_set_has(allowed, other)) { return true; }
    }
    return false;
}

static void nodes_read(struct tg_topology *topology, const char *root)
{
    struct cpu_set nodes;
    if (!file_cpu_list(root, "/sys/devices/system/node", "online", &nodes)) { return; }
    for (uint32_t node = 0; node < CPU_COUNT_MAX; node++) {
        char folder[64];
        struct cpu_set cpus;
        if (!cpu_set_has(&nodes, node)) { continue; }
        (void)snprintf(folder, sizeof folder, "/sys/devices/system/node/node%u", node);
        if (!file_cpu_list(root, folder, "cpulist", &cpus)) { continue; }
        for (uint32_t i = 0; i < topology->core_count; i++) {
            if (cpu_set_has(&cpus, (uint32_t)topology->cpus[i])) { topology->nodes[i] = (int)node; }
        }
    }
}

/* "MemTotal:       24613692 kB" */
static void memory_read(struct tg_topology *topology, const char *root)
{
    char text[TEXT_BYTES];
    uint64_t kib;
    if (!file_read(root, "/proc", "meminfo", text)) { return; }
    const char *total = line_find(text, "MemTotal:");
    if (total != NULL && number_parse(total, &kib)) { memory_lower(topology, kib * 1024); }
}

void tg_topology_read(struct tg_topology *topology, const char *root)
{
    char status[TEXT_BYTES];
    struct cpu_set allowed;
    *topology = (struct tg_topology){0};
    memory_read(topology, root);
    const char *affinity =
        file_read(root, "/proc/self", "status", status) ? line_find(status, "Cpus_allowed_list:") : NULL;
    const bool known = affinity != NULL && cpu_list_parse(affinity, &allowed);
    if (!known) { memset(&allowed, 0, sizeof allowed); }
    cgroups_read(topology, root, &allowed);
    for (uint32_t cpu = 0; cpu < CPU_COUNT_MAX && topology->core_count < TG_SHARDS_MAX; cpu++) {
        if (cpu_set_has(&allowed, cpu) && !core_taken(root, &allowed, cpu)) {
            topology->cpus[topology->core_count++] = (int)cpu;
        }
    }
    if (topology->core_count == 0) { topology->core_count = 1; } /* cpus[0] = nodes[0] = 0 */
    nodes_read(topology, root);
    topology->overprovisioned = topology->cpu_quota > 0 && topology->cpu_quota < topology->core_count;
}
