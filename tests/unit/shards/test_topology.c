/* Claims about the machine reader, on folders that look like /proc and /sys. */
#include <criterion/criterion.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shards/topology.h"

static char root[64];

static void root_make(void)
{
    (void)snprintf(root, sizeof root, "/tmp/tg_topology_XXXXXX");
    cr_assert_not_null(mkdtemp(root));
}
static void root_drop(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}
/* Write a file below the root, folders included. */
static void put(const char *path, const char *text)
{
    char full[512];
    (void)snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = strchr(full + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(full, 0755);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    cr_assert_not_null(file, "%s", full);
    (void)fputs(text, file);
    cr_assert_eq(fclose(file), 0);
}
/* 8 processors: 0-3 are the first, 4-7 the second hyperthreads of four cores; two nodes. */
static void put_eight_threads(void)
{
    put("/proc/self/status", "Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n");
    put("/proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\n");
    for (int cpu = 0; cpu < 8; cpu++) {
        char path[128];
        char text[16];
        (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
        (void)snprintf(text, sizeof text, "%d,%d\n", cpu % 4, cpu % 4 + 4);
        put(path, text);
    }
    put("/sys/devices/system/node/online", "0-1\n");
    put("/sys/devices/system/node/node0/cpulist", "0-1,4-5\n");
    put("/sys/devices/system/node/node1/cpulist", "2-3,6-7\n");
}

TestSuite(topology, .init = root_make, .fini = root_drop);

Test(topology, takes_one_processor_per_core_with_its_node)
{
    struct tg_topology t;
    put_eight_threads();
    tg_topology_read(&t, root);
    cr_assert_eq(t.core_count, 4);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(t.cpus[i], i);
        cr_assert_eq(t.nodes[i], i / 2);
    }
    cr_assert_eq(t.cpu_quota, 0);
    cr_assert_not(t.overprovisioned);
    cr_assert_eq(t.memory_bytes, 16ull << 30);
}

Test(topology, second_hyperthread_counts_when_the_first_is_not_ours)
{
    struct tg_topology t;
    put_eight_threads();
    put("/proc/self/status", "Cpus_allowed_list:\t1,4-5\n");
    tg_topology_read(&t, root);
    cr_assert_eq(t.core_count, 2);
    cr_assert_eq(t.cpus[0], 1);
    cr_assert_eq(t.cpus[1], 4);
}

Test(topology, version_2_limits_of_all_ancestors_apply)
{
    struct tg_topology t;
    put_eight_threads();
    put("/proc/self/cgroup", "0::/system.slice/turgo.service\n");
    put("/sys/fs/cgroup/system.slice/turgo.service/cpuset.cpus.effective", "2-7\n");
    put("/sys/fs/cgroup/cpuset.cpus.effective", "0-7\n");
    put("/sys/fs/cgroup/system.slice/turgo.service/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/system.slice/cpu.max", "150000 100000\n");
    put("/sys/fs/cgroup/cpu.max", "400000 100000\n");
    put("/sys/fs/cgroup/system.slice/turgo.service/memory.max", "8589934592\n");
    put("/sys/fs/cgroup/system.slice/memory.max", "4294967296\n");
    tg_topology_read(&t, root);
    cr_assert_eq(t.core_count, 4);
    cr_assert_eq(t.cpus[0], 2);
    cr_assert_eq(t.cpus[3], 5); /* 4 and 5 are cores 0 and 1; 6 and 7 are hyperthreads of 2 and 3 */
    cr_assert_eq(t.cpu_quota, 1.5);
    cr_assert(t.overprovisioned);
    cr_assert_eq(t.memory_bytes, 4ull << 30);
}

Test(topology, container_without_its_own_path_uses_the_mounts_root)
{
    struct tg_topology t;
    put_eight_threads();
    put("/proc/self/cgroup", "0::/../../outside\n");
    put("/sys/fs/cgroup/cpu.max", "800000 100000\n");
    put("/sys/fs/cgroup/memory.max", "max\n");
    tg_topology_read(&t, root);
    cr_assert_eq(t.cpu_quota, 8);
    cr_assert_not(t.overprovisioned, "eight cores' worth of quota for four cores");
    cr_assert_eq(t.memory_bytes, 16ull << 30);
}

Test(topology, version_1_controllers_are_read)
{
    struct tg_topology t;
    put_eight_threads();
    put("/proc/self/cgroup", "9:name=systemd:/\n4:memory:/box\n3:cpuset:/\n2:cpuacct,cpu:/box\n0::/\n");
    put("/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "50000\n");
    put("/sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpuset/cpuset.cpus", "0-1\n");
    put("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "1073741824\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    tg_topology_read(&t, root);
    cr_assert_eq(t.core_count, 2);
    cr_assert_eq(t.cpu_quota, 0.5);
    cr_assert(t.overprovisioned);
    cr_assert_eq(t.memory_bytes, 1ull << 30);
}

Test(topology, nothing_readable_is_one_core_without_limits)
{
    struct tg_topology t;
    tg_topology_read(&t, root);
    cr_assert_eq(t.core_count, 1);
    cr_assert_eq(t.cpus[0], 0);
    cr_assert_eq(t.cpu_quota, 0);
    cr_assert_not(t.overprovisioned);
    cr_assert_eq(t.memory_bytes, 0);
}

Test(topology, nonsense_is_skipped)
{
    struct tg_topology t;
    put_eight_threads();
    put("/proc/self/cgroup", "no colons here\n\n:::\n0::\n");
    put("/sys/fs/cgroup/cpu.max", "100000");
    put("/sys/fs/cgroup/memory.max", "99999999999999999999999999\n");
    put("/sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "x-y");
    put("/sys/devices/system/node/node1/cpulist", "9999999-\n");
    tg_topology_read(&t, root);
    cr_assert_eq(t.core_count, 4);
    cr_assert_eq(t.cpu_quota, 0);
    cr_assert_eq(t.memory_bytes, 16ull << 30);
}

Test(topology, real_machine_fits_the_affinity_mask)
{
    struct tg_topology t;
    cpu_set_t set;
    tg_topology_read(&t, "");
    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    cr_assert_geq(t.core_count, 1);
    for (uint32_t i = 0; i < t.core_count; i++) { cr_assert(CPU_ISSET((size_t)t.cpus[i], &set)); }
    cr_assert_geq(t.memory_bytes, 64u << 20);
}
