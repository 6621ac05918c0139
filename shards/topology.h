/* The machine as this process may use it: which cores, on which node, and what cgroups leave of them. */
#ifndef TG_SHARDS_TOPOLOGY_H
#define TG_SHARDS_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

struct tg_topology {
    uint32_t core_count;            /* usable physical cores: affinity mask and cgroup cpuset applied, one per
                                       hyperthread pair */
    int cpus[TG_SHARDS_MAX];        /* [core_count] a CPU number for each */
    int nodes[TG_SHARDS_MAX];       /* [core_count] its NUMA node, 0 when unknown */
    double cpu_quota;               /* cores' worth of cpu.max; 0 = no quota */
    bool overprovisioned;           /* the quota is below core_count: do not pin, do not spin */
    uint64_t memory_bytes;          /* min(RAM, memory.max); 0 = unknown */
};

/* Read /proc and /sys below `root` ("" for the real ones; tests give a folder). Never fails: what cannot be read is
 * reported as one core without limits.  @setup */
void tg_topology_read(struct tg_topology *topology, const char *root);

#endif
