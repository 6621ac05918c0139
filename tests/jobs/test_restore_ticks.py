"""turgo checkpoint restore and the ticks of idle partitions: the next start goes on from the checkpoint that was asked for with the ticks of
its run, whenever the restore dies, and a restore can be undone."""

import json
import os
import pathlib
import re
import shutil
import tempfile
import unittest

from tests.jobs import turgo
from tests.jobs.checkpoint_bytes import facts, ticks_log
from tests.model.purchase_count import SECOND, format_instant

JOB = """
job: restored
state_dir: "%(folder)s/state"
checkpoint: {every: 1h, keep: %(keep)s}
sources:
  tx:
    file: {path: "%(folder)s/in", topic: tx}
    fields: {user: {type: text, path: userId, required: true}, at: {type: timestamp, path: transactionTimestamp, required: true}}
    event_time: at
    watermark: {delay: 1s, idle_after: 1h, max_skew: off}
    partitioned_by: [user]
steps: {counts: {process: {operator: purchase_count, from: tx, key: [user], params: {window: 5m, idle: 30s}}}}
sinks: {counts: {from: counts, "null": {}}}
dead_letters: {"null": {}}
late: {console: {}}
"""
START_US = 1_780_000_000 * SECOND
RECORDS = 20
READ = 10  # of them, by the checkpoints that are restored


class RestoreTicks(unittest.TestCase):
    def setUp(self):
        shared = "/dev/shm"
        folder = tempfile.TemporaryDirectory(prefix="turgo-restore-", dir=shared if os.access(shared, os.W_OK) else None)
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "in").mkdir()
        self.job = self.folder / "job.yaml"
        self.job.write_text(JOB % {"folder": self.folder, "keep": 9})
        self.checkpoints = self.folder / "state" / "checkpoints"

    def input(self, count):
        """Records of one user, a second apart."""
        lines = [json.dumps({"userId": "u", "transactionTimestamp": format_instant(START_US + i * SECOND)}) for i in range(count)]
        (self.folder / "in" / "p0.jsonl").write_text("".join(line + "\n" for line in lines))

    def start(self, *flags):
        """A life to the end of the input; its text."""
        code, text = turgo.run("run", self.job, "--shards", 1, "--until", "end", "--no-drain", *flags)
        self.assertEqual(code, 0, text)
        return text

    @staticmethod
    def late(text):
        return [json.loads(line)["offset"] for line in re.findall(r'^\{"topic".*\}$', text, re.M)]

    def newest(self):
        return max((int(path.name[9:]) for path in self.checkpoints.glob("MANIFEST-*") if path.suffix != ".tmp"), default=0)

    def born(self, name, *offsets):
        """A copy of the directory of a run of its own, which has read some records; before these offsets silence raised the clock."""
        self.input(READ)
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        self.start()
        of = facts((self.checkpoints / f"MANIFEST-{self.newest()}").read_bytes())
        if offsets:
            ticks = [(0, 0, offset, START_US + (offset + 1) * SECOND, START_US + 7200 * SECOND) for offset in offsets]
            (self.checkpoints / "ticks.log").write_bytes(ticks_log(of, ticks))
        self.input(RECORDS)
        copy = self.folder / name
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.checkpoints, copy)
        return copy

    def restore(self, *arguments):
        code, text = turgo.run("checkpoint", "restore", self.job, *arguments)
        self.assertEqual(code, 0, text)

    def test_the_ticks_of_a_copy_act_and_undoing_it_brings_back_those_before(self):
        theirs = self.born("theirs", 12)
        self.born("ours", 15)
        ours = self.newest()
        self.restore("--from", theirs)
        self.assertEqual(self.late(self.start()), [12])
        self.restore(ours)
        self.assertEqual(self.late(self.start()), [15])
        self.restore("--from", theirs)
        self.restore(ours)
        self.restore(ours + 1)
        self.assertEqual(self.late(self.start()), [12])

    def test_so_it_is_when_one_of_the_runs_has_none(self):
        for with_ticks, without in ((True, False), (False, True)):
            theirs = self.born("theirs", *([12] if with_ticks else []))
            self.born("ours", *([12] if without else []))
            ours = self.newest()
            self.restore("--from", theirs)
            self.assertEqual(self.late(self.start()), [12] if with_ticks else [])
            self.restore(ours)
            self.assertEqual(self.late(self.start()), [12] if without else [])

    def test_a_lost_directory_comes_back_from_a_copy_with_its_ticks(self):
        copy = self.born("copy", 11, 14)
        shutil.rmtree(self.folder / "state")
        self.restore("--from", copy)
        self.assertEqual(self.late(self.start()), [11, 14])

    def test_a_run_that_no_kept_checkpoint_is_of_keeps_no_log(self):
        theirs = self.born("theirs", 12)
        self.born("ours", 15)
        ours = self.newest()
        self.restore("--from", theirs)
        log, = self.checkpoints.glob("ticks-*.log")
        self.restore(ours)
        self.job.write_text(JOB % {"folder": self.folder, "keep": 3})
        for kept in (True, False):  # checkpoints 4 and 5: the 3 newest begin with the copy, then behind it
            self.assertEqual(self.late(self.start()), [15] if kept else [])
            self.assertEqual(log.exists(), kept)

    def test_a_restore_that_dies_at_any_step_is_there_with_its_ticks_or_not_at_all(self):
        theirs = self.born("theirs", 12)
        for ours in (self.born("ours", 15), None):
            with self.subTest(into="another run's directory" if ours else "nothing"):
                self.dies_at_every_step(theirs, ours)

    def dies_at_every_step(self, theirs, ours):
        done = refused = 0
        killed = []
        _, names = turgo.run("failpoints")
        for name in names.split():
            for visit in range(1, 3 if turgo.QUICK else 40):
                shutil.rmtree(self.checkpoints, ignore_errors=True)
                if ours:
                    shutil.copytree(ours, self.checkpoints)
                before = self.newest()
                kill = {"TURGO_FAILPOINT": f"{name}:{visit}:kill"}
                code, text = turgo.run("checkpoint", "restore", self.job, "--from", theirs, env=kill)
                if code == 0:
                    break
                self.assertEqual(code, -9, f"{name}:{visit}: {text}")
                killed.append(name)
                is_there = self.newest() > before
                done += is_there
                is_begun = not ours and (self.checkpoints / "RESTORING").exists()
                if is_begun and not is_there:
                    refused += 1
                    code, text = turgo.run("run", self.job, "--shards", 1, "--until", "end")
                    self.assertEqual((code, "TG1524" in text), (65, True), f"{name}:{visit}: {text}")
                    self.restore("--from", theirs)
                expected = [12] if is_there or is_begun else [15] if ours else []
                self.assertEqual(self.late(self.start()), expected, f"{name}:{visit}")
        self.assertEqual(refused > 10, not ours)
        self.assertGreater(len(killed), 15)
        self.assertEqual("restore.sync" in killed, not ours)
        self.assertIn("restore.end", killed)
        self.assertGreater(done, 0)


if __name__ == "__main__":
    unittest.main()
