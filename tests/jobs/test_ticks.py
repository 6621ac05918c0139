"""What an idle partition's clock decided is decided again after kill -9: a record that was late because of silence stays late."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from tests.jobs import turgo
from tests.jobs.services import kcat, tool
from tests.model.purchase_count import SECOND, format_instant

JOB = """
job: ticks
state_dir: "%(folder)s/state"
checkpoint: {every: 1h}
sources:
  tx:
    kafka: {brokers: "%(brokers)s", topic: "%(topic)s", start: earliest}
    fields: {user: {type: text, path: userId, required: true}, at: {type: timestamp, path: transactionTimestamp, required: true}}
    event_time: at
    watermark: {delay: 1s, idle_after: 300ms, max_skew: off}
    partitioned_by: [user]
steps: {counts: {process: {operator: purchase_count, from: tx, key: [user], params: {window: 5m, idle: 30s}}}}
sinks: {counts: {from: counts, "null": {}}}
dead_letters: {"null": {}}
late: {console: {}}
"""


class Ticks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.environ.get("TURGO_KAFKA"):
            raise unittest.SkipTest('TURGO_KAFKA is not set: eval "$(tools/services env)"')

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="turgo-ticks-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.topic = f"ticks.{os.getpid()}.{id(self)}"
        self.log = self.folder / "state" / "checkpoints" / "ticks.log"
        self.job = self.folder / "job.yaml"
        self.job.write_text(JOB % {"folder": self.folder, "brokers": os.environ["TURGO_KAFKA"], "topic": self.topic})
        self.start_us = int(time.time() * SECOND) - 3600 * SECOND
        tool("topic", self.topic, 2)
        self.addCleanup(tool, "untopic", self.topic)

    def produce(self, partition, seconds):
        """A record `seconds` behind the first one in event time."""
        path = self.folder / "value"
        path.write_text(json.dumps({"userId": f"u{partition}", "transactionTimestamp": format_instant(self.start_us + int(seconds * SECOND))}) + "\n")
        kcat("-P", "-b", os.environ["TURGO_KAFKA"], "-t", self.topic, "-p", partition, "-l", path)

    def live(self, *flags, shards=1):
        run = turgo.Turgo("run", self.job, "--quiet", "--shards", shards, "--report", self.folder / "report.json", *flags)
        self.addCleanup(run.kill)
        return run

    def live_until_idle(self, *flags, shards=1):
        run = self.live("--until", "idle:2s", *flags, shards=shards)
        self.assertEqual(run.wait(60), 0, run.text()[-3000:])
        return run

    def wait(self, run, what, message, seconds=40):
        deadline = time.monotonic() + seconds
        while not what():
            if not run.running() or time.monotonic() > deadline:
                raise AssertionError(f"{message}: {run.text()[-2000:]}")
            time.sleep(0.02)

    @staticmethod
    def late(run):
        """{(partition, offset): watermark} of the late entries a run printed"""
        found = re.findall(r'^\{"topic".*\}$', run.text(), re.M)
        return {(entry["partition"], entry["offset"]): entry["wm"] for entry in map(json.loads, found)}

    def lateness_by_silence(self, partition, offset, run):
        """Let the partition be silent for a while, then a record comes that would have been in time without the silence."""
        before = self.log.stat().st_size if self.log.exists() else 0
        self.wait(run, lambda: self.log.exists() and self.log.stat().st_size >= before + 5 * 64, "ticks")
        self.produce(partition, -0.9)
        self.wait(run, lambda: (partition, offset) in self.late(run), f"record {offset} is late")

    def test_a_record_that_was_late_because_of_silence_is_late_again_after_a_kill(self):
        self.produce(0, 0)
        self.produce(1, 0)
        self.live_until_idle("--set", "sources.tx.watermark.idle_after=1h")  # a checkpoint, and no tick
        self.assertFalse(self.log.exists())
        second = self.live(shards=2)
        self.lateness_by_silence(0, 1, second)
        self.produce(0, 3000)  # the clock goes far beyond the ticks, in between
        self.produce(1, 3000)
        second.kill()
        decided = self.late(second)
        verified = subprocess.run([turgo.BIN, "checkpoint", "verify", self.job], capture_output=True, text=True, check=False)
        self.assertEqual(verified.returncode, 0, verified.stderr)
        self.assertRegex(verified.stdout, r"ok  ticks\.log: \d+ bytes, \d+ ticks, [1-9]\d* of them behind the checkpoint")
        copy = self.folder / "copy"
        shutil.copytree(self.folder / "state", copy)
        third = self.live_until_idle(shards=3)  # another shard has the partition now
        self.assertEqual(self.late(third), decided)

        # Without the log it is not: the outcome above is the log's doing.
        shutil.rmtree(self.folder / "state")
        shutil.copytree(copy, self.folder / "state")
        self.log.unlink()
        fourth = self.live_until_idle()
        self.assertEqual(self.late(fourth), {})

    def test_so_it_is_before_the_first_checkpoint_and_after_kills_in_the_middle_of_a_tick(self):
        self.produce(0, 0)
        self.produce(1, 0)
        first = self.live()
        self.lateness_by_silence(0, 1, first)
        first.kill()
        decided = self.late(first)
        for point in ("ticks.write:1:kill", "ticks.sync:1:kill", "ticks.sync:2:kill"):
            run = turgo.Turgo("run", self.job, "--quiet", env={"TURGO_FAILPOINT": point})
            self.addCleanup(run.kill)
            self.assertEqual(run.wait(60), -9, f"{point}: {run.text()[-2000:]}")
        last = self.live_until_idle(shards=2)
        self.assertEqual(self.late(last), decided)

    def test_fresh_forgets_ticks(self):
        self.produce(0, 0)
        self.produce(1, 0)
        first = self.live()
        self.lateness_by_silence(0, 1, first)
        first.kill()
        again = self.live("--fresh", "--until", "idle:2s")
        self.assertEqual(again.wait(60), 0, again.text()[-3000:])
        self.assertEqual(self.late(again), {})

    def test_a_damaged_log_is_refused(self):
        self.produce(0, 0)
        self.produce(1, 0)
        first = self.live()
        self.lateness_by_silence(0, 1, first)
        first.kill()
        data = bytearray(self.log.read_bytes())
        data[-64 - 40] ^= 1  # in the last frame but one
        self.log.write_bytes(data)
        again = self.live("--until", "idle:2s")
        self.assertEqual(again.wait(60), 65, again.text()[-3000:])
        self.assertRegex(again.text(), r"TG1512.*ticks\.log")


if __name__ == "__main__":
    unittest.main()
