/* Every key of the job file, once: the loader checks against these tables and docs/CONFIGURATION.md is printed from
 * them. */
#include "engine/config/config.h"

#define KEY(name, kind, fallback, choices, doc) \
    { \
        {name, kind, false, fallback, choices, doc}, TG_READ_KIND, NULL \
    }
#define MUST(name, kind, choices, doc) \
    { \
        {name, kind, true, NULL, choices, doc}, TG_READ_KIND, NULL \
    }
#define HAND(name, required, doc) \
    { \
        {name, TG_OPTION_LIST, required, NULL, NULL, doc}, TG_READ_HAND, NULL \
    }
#define NAME(name, required, doc) \
    { \
        {name, TG_OPTION_TEXT, required, NULL, NULL, doc}, TG_READ_HAND, NULL \
    }
#define BLOCK(name, required, block, doc) \
    { \
        {name, TG_OPTION_MAP, required, NULL, NULL, doc}, TG_READ_BLOCK, block \
    }

static const struct tg_config_key job_keys[] = {
    MUST("job", TG_OPTION_TEXT, NULL, "Name of the job: letters, digits, `_` and `-`."),
    KEY("default_profile", TG_OPTION_TEXT, NULL, NULL, "Profile that is used without `--profile`."),
    BLOCK("sources", true, "source", "What the job reads, by name."),
    BLOCK("steps", false, "step", "What it computes, by name."),
    BLOCK("sinks", true, "sink", "Where results go, by name."),
    BLOCK("dead_letters", true, "side output", "Where refused records go."),
    BLOCK("late", false, "side output",
          "Where late records go; required unless every step that reads a source accepts them."),
    BLOCK("checkpoint", false, "checkpoint",
          "Save state and positions again and again, to go on from there after a crash or a stop."),
    BLOCK("engine", false, "engine", "Limits and resources."),
    BLOCK("profiles", false, "job", "Named overlays of this file: the same keys again, laid over the rest."),
    KEY("state_dir", TG_OPTION_TEXT, NULL, NULL, "Folder of the job's own files; `var/<job>` when not given."),
};

static const struct tg_config_key source_keys[] = {
    KEY("decode", TG_OPTION_CHOICE, "json", "json", "Format of the records."),
    BLOCK("fields", true, "field", "Columns of the rows, in this order: `name: type` or `name: {type: ..., ...}`."),
    NAME("event_time", true, "The timestamp field that is the row's time; it becomes required."),
    BLOCK("watermark", true, "watermark", "How far rows may be out of order, and what silence means."),
    KEY("zone", TG_OPTION_TEXT, "UTC", NULL, "Zone of time stamps without one: `UTC`, `+02:00`, `Asia/Seoul`."),
    HAND("partitioned_by", false, "Promise: each value of these columns stands in one partition only."),
    BLOCK("dedupe", false, "dedupe", "Drop rows whose id was seen before; needs `partitioned_by`."),
    KEY("on_error", TG_OPTION_CHOICE, "dead_letter", "dead_letter|stop", "What a refused record does."),
};

static const struct tg_config_key field_keys[] = {
    MUST("type", TG_OPTION_TEXT, NULL,
         "`text`, `bigint`, `integer`, `boolean`, `timestamp`, `date`, `numeric(precision,scale)`, `enum`."),
    KEY("path", TG_OPTION_TEXT, NULL, NULL,
        "Member of the record, `a.b` reaches into `a`; the field's name when not given."),
    KEY("aliases", TG_OPTION_LIST, NULL, NULL,
        "Further members to look for, in this order; the first one present wins."),
    KEY("required", TG_OPTION_BOOLEAN, "false", NULL, "A record without it (or with `null`) is a dead letter."),
    KEY("integer_ok", TG_OPTION_BOOLEAN, "false", NULL, "text: an integer gives its canonical text."),
    KEY("scale", TG_OPTION_INTEGER, NULL, NULL, "numeric: fraction digits, when the type does not say them."),
    KEY("excess", TG_OPTION_CHOICE, "refuse", "refuse|round",
        "numeric: what digits beyond the scale do (round half to even)."),
    KEY("epoch", TG_OPTION_CHOICE, NULL, "s|ms|us", "timestamp: a JSON integer counts these since 1970."),
    KEY("values", TG_OPTION_LIST, NULL, NULL, "enum: its values."),
};

static const struct tg_config_key watermark_keys[] = {
    MUST("delay", TG_OPTION_DURATION, NULL, "How much older than the newest row of its partition a row may be."),
    KEY("idle_after", TG_OPTION_DURATION, "5s", NULL,
        "Silence after which a partition no longer holds the others back."),
    KEY("idle_clock", TG_OPTION_CHOICE, "rate", "rate|off",
        "Whether event time goes on when all partitions are silent."),
    KEY("max_skew", TG_OPTION_DURATION, "5m", "off", "A row further ahead of its record's own time is a dead letter."),
};

static const struct tg_config_key dedupe_keys[] = {
    NAME("by", true, "Column of the id; rows where it is null are never duplicates."),
    HAND("per", false, "Further columns of the identity."),
    MUST("ttl", TG_OPTION_DURATION, NULL, "How long (event time) an id is remembered."),
};

static const struct tg_config_key step_keys[] = {
    BLOCK("process", true, "process", "The operator and what it works on."),
    KEY("allowed_lateness", TG_OPTION_DURATION, "0s", NULL, "How much later than the watermark a row is still taken."),
    KEY("late", TG_OPTION_CHOICE, "output", "output|accept",
        "Late rows go to the late output, or are taken as any other."),
};

static const struct tg_config_key process_keys[] = {
    NAME("operator", true, "Name of a linked-in operator (`turgo version` lists them)."),
    NAME("from", true, "A source, a step, or `step.output`."),
    HAND("key", true, "Columns whose values own the state."),
    BLOCK("params", false, NULL, "The operator's parameters by name."),
};

static const struct tg_config_key sink_keys[] = {
    NAME("from", true, "A step, `step.output`, or a source."),
    BLOCK("columns", false, NULL, "`target column: column`; all columns under their own names when not given."),
};

static const struct tg_config_key checkpoint_keys[] = {
    KEY("every", TG_OPTION_DURATION, "10s", "off", "From the start of one checkpoint to the start of the next."),
    KEY("keep", TG_OPTION_INTEGER, "3", NULL, "Complete checkpoints to keep, at least 3."),
    KEY("dir", TG_OPTION_TEXT, NULL, NULL,
        "Folder of the checkpoints; `checkpoints` in the state folder when not given."),
    KEY("timeout", TG_OPTION_DURATION, "10m", NULL,
        "A checkpoint that is not complete by then (a sink is away) is given up; the job goes on."),
    KEY("max_age", TG_OPTION_DURATION, NULL, "off",
        "When none was completed for so long, nothing is read until one is complete (TG2502). When not "
        "given: ten times `every`, at least two times `timeout`."),
};

static const struct tg_config_key engine_keys[] = {
    KEY("shards", TG_OPTION_INTEGER, "auto", "auto", "Threads, 1 to 64; `auto` is one per usable core."),
    KEY("io", TG_OPTION_CHOICE, "auto", "auto|uring|epoll",
        "How sockets are driven; `auto` takes io_uring where it is allowed."),
    KEY("max_keys", TG_OPTION_INTEGER, "2000000", NULL, "Keys each step may hold, all shards together."),
    KEY("max_state", TG_OPTION_SIZE, "1GiB", NULL, "Bytes of state containers, all shards together."),
    KEY("drain_timeout", TG_OPTION_DURATION, "10s", "off",
        "How long a stop by signal waits for sinks to write what is pending; then the run ends without a commit."),
    KEY("audit", TG_OPTION_BOOLEAN, "false", NULL,
        "Keep sums over the rows applied to each key, for checks of its checkpoints; 24 bytes a key."),
};

#define ROWS(keys) keys, sizeof keys / sizeof keys[0]
const struct tg_config_block tg_config_blocks[TG_BLOCK_COUNT] = {
    [TG_BLOCK_JOB] = {"job", "(top level)", "A job file.", ROWS(job_keys), TG_NO_CONNECTOR},
    [TG_BLOCK_SOURCE] = {"source", "sources.<name>", "An input: one connector, and how its records become rows.",
                         ROWS(source_keys), TG_SOURCE_CONNECTOR},
    [TG_BLOCK_FIELD] = {"field", "sources.<name>.fields.<field>", "One column of a source.", ROWS(field_keys),
                        TG_NO_CONNECTOR},
    [TG_BLOCK_WATERMARK] = {"watermark", "sources.<name>.watermark", "Event time of a source.", ROWS(watermark_keys),
                            TG_NO_CONNECTOR},
    [TG_BLOCK_DEDUPE] = {"dedupe", "sources.<name>.dedupe", "Deduplication by id.", ROWS(dedupe_keys), TG_NO_CONNECTOR},
    [TG_BLOCK_STEP] = {"step", "steps.<name>", "A computation.", ROWS(step_keys), TG_NO_CONNECTOR},
    [TG_BLOCK_PROCESS] = {"process", "steps.<name>.process", "An operator at work.", ROWS(process_keys),
                          TG_NO_CONNECTOR},
    [TG_BLOCK_SINK] = {"sink", "sinks.<name>", "An output: one connector, and which columns it gets.", ROWS(sink_keys),
                       TG_SINK_CONNECTOR},
    [TG_BLOCK_SIDE_OUTPUT] = {"side output", "dead_letters, late", "A built-in output: one connector that keeps a log.",
                              NULL, 0, TG_SINK_CONNECTOR},
    [TG_BLOCK_CHECKPOINT] = {"checkpoint", "checkpoint", "Saved state.", ROWS(checkpoint_keys), TG_NO_CONNECTOR},
    [TG_BLOCK_ENGINE] = {"engine", "engine", "Limits and resources.", ROWS(engine_keys), TG_NO_CONNECTOR},
};
