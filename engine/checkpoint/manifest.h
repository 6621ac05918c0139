/* The manifest of a checkpoint: everything but the state itself, and the list of files that hold it. Encoded bytes are
 * docs/formats/checkpoint.md's; decoding trusts nothing: after it every count, number and name is within its range,
 * names are unique, clocks and files are as many as there must be. */
#ifndef TG_ENGINE_CHECKPOINT_MANIFEST_H
#define TG_ENGINE_CHECKPOINT_MANIFEST_H

#include "base/bytes.h"
#include "base/limits.h"
#include "engine/tally.h"
#include "io/sink.h"
#include "state/format.h"

enum {
    TG_MANIFEST_FORMAT = 1,
    TG_MANIFEST_BYTES_MAX = 64 << 20,
    TG_MANIFEST_PARTITIONS_MAX = 65536,       /* of all sources together */
    TG_MANIFEST_CHAIN_MAX = 64,               /* files of one shard: a base and its deltas */
    TG_MANIFEST_SINKS_MAX = TG_SINKS_MAX + 2, /* dead letters and late rows are sinks, too */
    TG_MANIFEST_TOPIC_BYTES_MAX = 1024,
};

enum {
    TG_PARTITION_HAS_VALID = 1, /* a valid record came */
    TG_PARTITION_AT_END = 2,
    TG_PARTITION_ENDED = 4,
    TG_PARTITION_IDLE = 8, /* published as idle */
    TG_PARTITION_FLAGS = 15,
};

/* A source partition at the cut. */
struct tg_manifest_partition {
    int64_t next_offset; /* first record not in the state; -1 = none was read */
    int64_t max_ts;
    int64_t wm;
    uint32_t flags;    /* TG_PARTITION_* */
    uint64_t quiet_ns; /* idleness: time at the end, see struct tg_partition */
    int64_t idle_base_wm;
    uint64_t idle_base_ns;
    uint64_t records, dead, late, duplicates;
    /* records = dead + (late - late_in_part) + duplicates + accepted */
    uint64_t accepted;     /* went on to steps and sinks */
    uint64_t late_in_part; /* of the late ones, those that were not late for every step and were judged further */
};
struct tg_manifest_source {
    const char *name;
    const char *connector;
    const char *cluster; /* the peer's own id; "" = it has none */
    const char *topic;
    uint32_t partition_count;
    const struct tg_manifest_partition *partitions; /* [partition_count] */
};
struct tg_manifest_step {
    const char *name;
    const char *op;                       /* operator */
    const struct tg_state_layout *layout; /* owner = the step; NULL = it keeps no state */
    uint32_t clock_count;                 /* 0, or partitions of all sources + 1 */
    const int64_t *clocks;                /* [clock_count] per partition in the job's order, then the job clock */
    bool from_source;
    uint32_t tally_first;           /* partition, in the job's order, of the first tally */
    uint32_t tally_count;           /* 0, or the partitions that feed the step */
    const struct tg_tally *tallies; /* [tally_count] since the job's birth, all shards together */
};
/* One state file; its epoch's number and its shard give its name. */
struct tg_manifest_file {
    uint32_t shard;
    enum tg_state_file_kind kind;
    uint64_t epoch;
    uint64_t bytes; /* exactly */
    uint32_t crc;   /* the footer's checksum, which covers every byte of the file through the blocks' */
};
struct tg_manifest_sink {
    const char *name;
    const char *connector;
    uint32_t committable_count;                /* 0, or shard_count */
    const struct tg_committable *committables; /* [committable_count] */
};

struct tg_manifest {
    const char *job;
    struct tg_run_id run_id;
    uint64_t epoch;
    int64_t created_us;     /* wall clock, microseconds since 1970 */
    uint64_t generation;    /* the start that wrote it, counted in the directory */
    int64_t version_base;   /* of sink versions: the wall clock when the job was born */
    int64_t job_clock_base; /* of versions of steps on the job clock: raised at every start */
    uint64_t graph_hash;
    uint64_t hash_seed;       /* 0: the format has a place for it, nothing uses it */
    uint32_t key_group_count; /* TG_KEY_GROUP_COUNT */
    uint32_t shard_count;
    uint32_t source_count;
    uint32_t step_count;
    uint32_t file_count;
    uint32_t sink_count;
    const struct tg_manifest_source *sources; /* [source_count] */
    const struct tg_manifest_step *steps;     /* [step_count] */
    /* [file_count] the whole chain: by shard, then by epoch; each shard's first is its base, its last is of `epoch` */
    const struct tg_manifest_file *files;
    const struct tg_manifest_sink *sinks; /* [sink_count] */
};

/* What decode would say about it; NULL = it is legal. Static text.  @any */
const char *tg_manifest_flaw(const struct tg_manifest *manifest);
/* Encode into the empty `out`; give it TG_MANIFEST_BYTES_MAX of address space and it fits unless nothing would. Asserts
 * that there is no flaw. Errors: TG1510 when it does not fit.  @any */
TG_MUST_USE tg_status tg_manifest_encode(const struct tg_manifest *manifest, struct tg_bytes_out *out,
                                         struct tg_error *err);
/* Decode data[bytes], called `name` in errors, into `arena`; nothing points into data afterwards. Errors: TG1512
 * damaged, with the byte; TG1513 a newer format; TG1601.  @any */
TG_MUST_USE tg_status tg_manifest_decode(const uint8_t *data, size_t bytes, const char *name, struct tg_arena *arena,
                                         struct tg_manifest *out, struct tg_error *err);
/* The source of that name, NULL when there is none.  @any */
const struct tg_manifest_source *tg_manifest_source_find(const struct tg_manifest *manifest, const char *name);
/* The sink of that name and connector, NULL when there is none.  @any */
const struct tg_manifest_sink *tg_manifest_sink_find(const struct tg_manifest *manifest, const char *name,
                                                     const char *connector);
/* Has it a committable that is not empty?  @any */
bool tg_manifest_sink_commits(const struct tg_manifest_sink *sink);
/* Has one of the sinks?  @any */
bool tg_manifest_commits(const struct tg_manifest *manifest);
/* Files of `shard`: index of its base in files, *count of them.  @any */
uint32_t tg_manifest_chain(const struct tg_manifest *manifest, uint32_t shard, uint32_t *count);

/* Bytes of all files of the manifest: what a start reads.  @any */
uint64_t tg_manifest_bytes(const struct tg_manifest *manifest);

#endif
