#!/usr/bin/env python3
"""Is the simulator's check worth anything? Breaks the engine in one place at a time and requires tests/sim/run to notice.

    tests/sim/mutate.py                 every mutant of the list, 60 seeds each; exit 1 when one survives
    tests/sim/mutate.py NAME ...        these only
    tests/sim/mutate.py --seed 4711     other seeds

Works in a scratch copy of the sources; the working tree is never touched. The unchanged copy must pass.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.sim.mutants_counts import COUNTS  # noqa: E402  (after the path is set)

FOLDERS = ["base", "shards", "state", "io", "engine", "jobs", "tools", "tests", "cmake", "bench", "perf"]
SEEDS = 60

# name: (what the broken engine does, file, text that is there exactly once, what stands there instead)
MUTANTS = {
    "row_before_timers": ("applies a row without firing its key's timers first", "engine/operator.c",
                          "if (!tg_stage_fire(ctx, key, clock) || !tg_stage_has_room(ctx)) { return false; }",
                          "if (!tg_stage_has_room(ctx)) { return false; }"),
    "clock_of_the_batch": ("gives every row the watermark its fetch began with", "engine/ingest.c",
                           "    row->wm = partition->wm;\n",
                           "    static int64_t batch_wm;\n    if (index == 0) { batch_wm = partition->wm; }\n    row->wm = batch_wm;\n"),
    "fires_at_the_clock": ("fires when T <= clock", "engine/stage.h",
                           "    return tg_stage_earliest_timer(stage, key, &timer) >= clock || tg_stage_fire_due(stage, key, clock);\n",
                           "    const int64_t beyond = clock == TG_TS_MAX ? clock : clock + 1;\n"
                           "    return tg_stage_earliest_timer(stage, key, &timer) >= beyond || tg_stage_fire_due(stage, key, beyond);\n"),
    "blocked_row_is_lost": ("goes on behind a row that found no room", "engine/ingest.c",
                            "        if (!route(ingest, ingest->next_row)) { return false; }\n",
                            "        if (!route(ingest, ingest->next_row)) {\n            ingest->next_row++;\n"
                            "            ingest->next_edge = 0;\n            ingest->phase = TG_INGEST_JUDGE;\n            return false;\n        }\n"),
    "ids_never_forgotten": ("does not look at the clock when it judges an identity", "engine/dedupe.c",
                            "if (wm <= until && row->ts <= until) { return TG_DEDUPE_DUPLICATE; }",
                            "(void)wm;\n        (void)until;\n        return TG_DEDUPE_DUPLICATE;"),
    "watermark_overtakes": ("lets a watermark leave before the rows it covers", "engine/ingest.c",
                            "    tg_partition_accept(partition, row->ts, ingest->source->watermark_delay);\n",
                            "    tg_partition_accept(partition, row->ts, ingest->source->watermark_delay);\n"
                            "    for (uint32_t e = 0; e < ingest->readers->edge_count; e++) {\n"
                            "        tg_edge_out_wm(&ingest->edges[ingest->readers->edges[e]], row->partition, partition->wm);\n"
                            "        (void)tg_edge_out_flush(&ingest->edges[ingest->readers->edges[e]], 0);\n    }\n"),
    "rows_taken_twice": ("offers rows to a sink again that it has taken", "engine/outlet.c",
                         "        taken += got;\n", "        taken += got > 1 ? got - 1 : got;\n"),
    "block_goes_on_after_error": ("keeps the half of a block that was written before an error, and writes all of it again", "io/file/sink.c",
                                  "    const int failed = tg_file_write_all(target->fd, data, bytes, target->length);\n"
                                  "    if (failed != 0) { return -failed; }\n",
                                  "    for (uint32_t moved = 0; moved < bytes;) {\n"
                                  "        const int64_t result = target->ops->pwrite(target->ops->self, target->fd, data + moved, bytes - moved,\n"
                                  "                                                   target->length + moved);\n"
                                  "        if (result == -EINTR) { continue; }\n"
                                  "        if (result <= 0) {\n            target->length += moved;\n            return result < 0 ? (int)-result : ENOSPC;\n        }\n"
                                  "        moved += (uint32_t)result;\n    }\n"),
    "timeout_is_success": ("takes WRITE_TIMEOUT for an acknowledgement", "io/cassandra/sink.c",
                           "    case TG_CQL_CODE_WRITE_TIMEOUT: /* perhaps applied */\n        tg_cql_connection_slow",
                           "        tg_cql_connection_slow(&s->cluster.connections[connection], answer->sent_ns, now_ns);\n"
                           "        retry(s, answer->tag, connection, false, now_ns);\n        return;\n"
                           "    case TG_CQL_CODE_WRITE_TIMEOUT: acknowledge(s, connection, answer, now_ns); return;\n"
                           "        tg_cql_connection_slow"),
    "stream_used_again": ("gives a stream id away before its late answer has come", "io/cassandra/connection.c",
                          "    if (outcome == TG_CQL_EXPIRED) {\n", "    if (outcome == TG_CQL_LOST && flight->orphan) {\n"),
    "lost_is_written": ("takes a connection that went down for an acknowledgement", "io/cassandra/sink.c",
                        "    case TG_CQL_LOST: retry(s, answer->tag, connection, true, now_ns); return;\n",
                        "    case TG_CQL_LOST: acknowledge(s, connection, answer, now_ns); return;\n"),
    "full_table_refuses_all": ("refuses every row behind the first key without room", "engine/stage.c",
                               "        if (stage->row >= stage->placed) { place(stage, stage->row, true); }\n",
                               "        if (stage->row >= stage->placed) { stage->placed = stage->row; }\n"),
}
MUTANTS |= COUNTS


def copy_sources(target):
    for name in FOLDERS:
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__", "results"), symlinks=True)
    for path in ROOT.glob("CMake*"):
        shutil.copy(path, target)


def build(target):
    """What the build said when it failed, else None."""
    done = subprocess.run(["nice", "ninja", "-C", "build/release", "-j2", "turgo-sim"], cwd=target, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout[-2000:] if done.returncode else None


def simulate(target, seed, count, crashes=0):
    """(exit code, what the check said)"""
    done = subprocess.run([sys.executable, "tests/sim/run", "--seed", str(seed), "--count", str(count), "--crashes", str(crashes), "--quick-fail"], cwd=target, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    return done.returncode, done.stdout


def mutate(target, path, old, new):
    source = (ROOT / path).read_text()
    if source.count(old) != 1:
        raise SystemExit(f"{path}: the place to break is there {source.count(old)} times, not once; follow the source:\n{old}")
    (target / path).write_text(source.replace(old, new))


def try_mutant(target, name, seed):
    """True when the check noticed."""
    said, path, old, new, *crashes = MUTANTS[name]
    mutate(target, path, old, new)
    try:
        trouble = build(target)
        if trouble:
            print(f"{name}: DOES NOT BUILD\n{trouble}")
            return False
        code, text = simulate(target, seed, SEEDS, *crashes)
    finally:
        shutil.copy(ROOT / path, target / path)
        os.utime(target / path)
    failed = next((line for line in text.splitlines() if line.startswith("FAILED")), "")
    print(f"{name}: {'caught' if code else 'SURVIVED'} ({said}) {' '.join(failed.split()[1:2])}", flush=True)
    return code != 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*MUTANTS, []], metavar="NAME")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="turgo-mutants-") as folder:
        target = pathlib.Path(folder)
        copy_sources(target)
        configured = subprocess.run(["cmake", "--preset", "release"], cwd=target, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        trouble = configured.stdout[-2000:] if configured.returncode else build(target)
        if trouble:
            print(f"unchanged: does not build\n{trouble}")
            return 1
        code, text = simulate(target, options.seed, SEEDS)
        print(f"unchanged: {'FAILS' if code else 'passes'}", flush=True)
        if code:
            print(text[-2000:])
            return 1
        survived = [name for name in options.names or MUTANTS if not try_mutant(target, name, options.seed)]
    print(f"{len(options.names or MUTANTS) - len(survived)} mutants caught, {len(survived)} survived, {time.monotonic() - begun:.0f} s")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
