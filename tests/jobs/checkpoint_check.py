#!/usr/bin/env python3
"""Compares checkpoints of job A with the reference model, run up to exactly their offsets.

What a checkpoint must hold follows from its offsets: of every partition the clocks and what became of each record; of every user the
transactions in the window, the newest one, the timer, the revision and the sums over the uids of the rows applied to it; of every
identity that is still remembered its first instant. Nothing else may be in it. As a command:

    tests/jobs/checkpoint_check.py --dir STATE/checkpoints --in IN [--epoch N] [--no-drain] [--window 5m] [--delay 30s] ...
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys

if __package__ in (None, ""):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.model.purchase_count import (FOREVER, STEP, Params, Partition, Result, parse_duration, parse_instant,  # noqa: E402
                                        read_folder)

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("TURGO_BIN", ROOT / "build" / "release" / "turgo"))
SOURCE = "tx"
HAS_VALID, ENDED = 1, 4  # flags of a partition
DIFFERENCES_MAX = 12


def epochs_of(folder):
    """Numbers of the complete checkpoints in a directory, oldest first."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(int(name[9:]) for name in names if re.fullmatch(r"MANIFEST-\d+", name))


def turgo(*arguments):
    done = subprocess.run([str(BIN), "checkpoint", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, encoding="utf-8", timeout=120, check=False)
    if done.returncode != 0:
        raise AssertionError(f"turgo checkpoint {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr}")
    return done.stdout


def dump(folder, epoch):
    try:
        return turgo("dump", "--resolved", "--dir", folder, epoch)
    except AssertionError:
        if epoch not in epochs_of(folder):
            raise Gone from None
        raise


class Gone(Exception):
    """The checkpoint was removed by the job while it was read."""


class Checkpoint:
    """What `turgo checkpoint dump --resolved` prints, by kind."""

    def __init__(self, text):
        lines = [json.loads(line) for line in text.split("\n") if line]
        self.epoch = lines[0]["checkpoint"]
        self.partitions, self.steps, self.users, self.ids = {}, {}, {}, {}
        for line in lines:
            if line.get("step", STEP) != STEP:
                continue  # a step behind job A's own
            if "key" in line:
                self.entry(line)
            elif "checkpoint" in line:
                self.shards = line["shards"]
            elif "source" in line:
                self.partitions[line["partition"]] = line
            elif "partition" in line and line["step"] == STEP:
                self.steps[line["partition"]] = line

    def entry(self, line):
        key, value = line["key"], line["value"]
        if line.get("step", STEP) != STEP:
            return
        if "step" in line:
            into, name = self.users, key["user_id"]
        else:
            into, name = self.ids, (key["_partition"], key["user_id"], key["transaction_id"])
            value = value["first_ts"]
        if name in into:
            raise AssertionError(f"checkpoint {self.epoch}: {name!r} is there twice")
        into[name] = value


def instant(text):
    if text in ("infinity", "-infinity"):
        return FOREVER if text == "infinity" else -FOREVER
    return parse_instant(text)


class Oracle:
    """The model of every partition, moved forward from checkpoint to checkpoint."""

    def __init__(self, records, params, audited=True, ticks=None):
        self.records = records  # partition -> list of values
        self.params = params
        self.ticks = ticks or {}  # partition -> list of (offset, clock): raises of idle partitions
        self.audited = audited
        self.partitions = {}
        self.checked = 0

    def partition_at(self, number, offset):
        """The model of a partition below `offset`; anew when it is beyond that already."""
        model, position = self.partitions.get(number, (None, 0))
        if model is None or position > offset:
            model, position = Partition(number, self.params, Result(), self.ticks.get(number, ())), 0
        for position in range(position, offset):
            model.push(position, self.records[number][position])
        model.result.rows.clear()  # nobody looks at what comes out
        self.partitions[number] = model, offset
        return model

    def check(self, text):
        """What is wrong with one checkpoint, given as its dump: a list of texts."""
        found = Checkpoint(text)
        epoch = found.epoch
        wrong = []
        users = {}
        if set(found.partitions) != set(self.records):
            return [f"checkpoint {epoch}: partitions {sorted(found.partitions)}, the input has {sorted(self.records)}"]
        for number, line in found.partitions.items():
            offset = max(0, line["next_offset"])
            if offset > len(self.records[number]):
                return [f"checkpoint {epoch}: partition {number} is at {offset} of {len(self.records[number])}"]
            model = self.partition_at(number, offset)
            model.tick_until(offset, instant(line["watermark"]))  # which of those since the last record acted before the cut
            wrong += self.check_partition(model, line, found.steps[number], offset)
            clock = instant(found.steps[number]["clock"])
            for user in list(model.users):
                model.fire(user, clock)
            model.result.rows.clear()
            for user, state in model.users.items():
                users[user] = self.entry_of(number, state)
            wrong += self.check_ids(model, found, instant(line["watermark"]))
        wrong += differences("user", users, found.users, self.user_of)
        self.checked += 1
        return [f"checkpoint {epoch}: {text}" for text in wrong[:DIFFERENCES_MAX]]

    def check_partition(self, model, line, step, offset):
        counts, params = model.counts, self.params
        ended = line["flags"] & ENDED != 0
        if params.drain and offset == len(self.records[model.number]):  # a start knows a partition's clock before it has met its end again
            ended = ended or instant(line["watermark"]) == FOREVER
        watermark = FOREVER if ended and (params.drain or model.newest is None) else model.watermark
        clock = watermark if abs(watermark) == FOREVER else watermark - params.lateness
        want = {"records": offset, "dead": counts.dead, "late": counts.late, "duplicates": counts.duplicates, "accepted": counts.accepted,
                "late_in_part": 0, "has_valid": model.newest is not None, "max_ts": -FOREVER if model.newest is None else model.newest,
                "watermark": watermark, "clock": clock, "applied": counts.applied.rows, "ignored": counts.ignored, "refused": 0}
        have = {"has_valid": line["flags"] & HAS_VALID != 0}
        for name in want.keys() - have.keys():
            have[name] = line[name] if name in line else step[name]
            have[name] = instant(have[name]) if isinstance(have[name], str) else have[name]
        if self.audited:
            _, want["sum"], want["squares"] = counts.applied.signed()
            have["sum"], have["squares"] = step["sum"], step["squares"]
        return [f"partition {model.number} below {offset}: {name} is {have[name]}, the model has {want[name]}" for name in sorted(want)
                if have[name] != want[name]]

    def entry_of(self, number, state):
        entry = {"_revision": state.revision, "_partition": number, "_moved": False, "_timer_0": state.timer, "latest": state.latest,
                 "seen": list(state.seen)}
        if self.audited:
            entry["_audit_rows"], entry["_audit_sum"], entry["_audit_squares"] = state.audit.signed()
        return entry

    @staticmethod
    def user_of(value):
        return {name: [instant(text) for text in field] if name == "seen" else instant(field) if isinstance(field, str) else field
                for name, field in value.items()}

    def check_ids(self, model, found, watermark):
        """Identities are forgotten by the clock; whether a passed one is still in a file is nobody's business."""
        def remembered(ids):
            return {name: first for name, first in ids.items() if first + self.params.ttl >= watermark}
        want = remembered(model.ids)
        have = remembered({(user, identity): instant(first) for (number, user, identity), first in found.ids.items() if number == model.number})
        model.ids = dict(want)  # the model forgets, too: it must not grow without end
        return differences(f"identity of partition {model.number}", want, have, lambda value: value)


def differences(what, want, have, read):
    wrong = [f"{what} {name!r} is missing" for name in want.keys() - have.keys()]
    wrong += [f"{what} {name!r} should not be there: {have[name]}" for name in have.keys() - want.keys()]
    for name in want.keys() & have.keys():
        value = read(have[name])
        if value != want[name]:
            fields = [f"{field} is {value.get(field)}, the model has {want[name].get(field)}" for field in want[name].keys() | value.keys()
                      if value.get(field) != want[name].get(field)] if isinstance(value, dict) else [f"{value}, the model has {want[name]}"]
            wrong.append(f"{what} {name!r}: {'; '.join(sorted(fields))}")
    return sorted(wrong)


def check_directory(folder, oracle, known=(), verify=False):
    """(what is wrong, the epochs that were looked at); `known` epochs were looked at before."""
    wrong, looked = [], []
    for epoch in epochs_of(folder):
        if epoch in known:
            continue
        try:
            wrong += oracle.check(dump(folder, epoch))
            if verify:
                turgo("verify", "--dir", folder, epoch)
        except Gone:
            continue
        looked.append(epoch)
    return wrong, looked


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", required=True)
    parser.add_argument("--in", dest="input", default="in")
    parser.add_argument("--epoch", type=int, action="append", help="only this one")
    parser.add_argument("--no-drain", action="store_true")
    parser.add_argument("--no-audit", action="store_true", help="the job ran without engine.audit")
    for name in ("window", "idle", "delay", "ttl", "lateness"):
        parser.add_argument(f"--{name}", type=parse_duration, default=getattr(Params, name))
    options = parser.parse_args()
    params = Params(options.window, options.idle, options.delay, options.ttl, options.lateness, drain=not options.no_drain)
    oracle = Oracle(read_folder(options.input), params, audited=not options.no_audit)
    known = set(epochs_of(options.dir)) - set(options.epoch) if options.epoch else ()
    wrong, looked = check_directory(options.dir, oracle, known, verify=True)
    print("\n".join(wrong) if wrong else f"{len(looked)} checkpoints of step {STEP} are the model's")
    return 1 if wrong or not looked else 0


if __name__ == "__main__":
    sys.exit(main())
