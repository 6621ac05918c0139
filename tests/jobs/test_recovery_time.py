"""The status says how long a start would take if the job died now: killed there and then, it takes about as long."""

import datetime
import pathlib
import re
import tempfile
import time
import unittest

from tests.jobs import turgo

COUNT = 1_000_000_000  # more than a life gets through
UNITS = {"": 1, "k": 1e3, "M": 1e6}
FACTOR, SLACK_S = 10, 1  # on a machine that is busy in the one life and not in the other
TRIALS = 5


class RecoveryTime(unittest.TestCase):
    def test_is_about_what_a_start_behind_a_kill_takes(self):
        for _ in range(TRIALS):
            with tempfile.TemporaryDirectory(prefix="turgo-recovery-time-", dir="/var/tmp") as folder:
                said, records = self.first(folder)
                restored_s, position, rate = self.second(folder)
            if position > records:
                continue  # one more checkpoint was complete before the kill: not the one that was spoken of
            took = restored_s + (records - position) / rate
            print(f"(said {said:.1f} s, took {took:.1f} s) ", end="", flush=True)
            self.assertGreater(said, 0)
            self.assertLess(took, said * FACTOR + SLACK_S)
            self.assertGreater(took, said / FACTOR - SLACK_S)
            return
        self.fail(f"{TRIALS} times a checkpoint was complete between a line and the kill behind it")

    def first(self, folder):
        """(the estimate, records so far) of the first line behind a checkpoint."""
        lines = self.life(folder, "first", lambda lines: lines and any(pathlib.Path(folder).glob("checkpoints/MANIFEST-*[0-9]")))
        return float(re.search(r"recovery_seconds=([\d.]+)", lines[-1])[1]), int(re.search(r"records_in=(\d+)", lines[-1])[1])

    def second(self, folder):
        """(seconds of the restore, position of its checkpoint in records, records a second behind it)"""
        lines = self.life(folder, "second", lambda lines: len(lines) > 1 and "restored" in lines[-2])
        restored = re.search(r", ([\d.]+) s; replaying ([\d.]+)([kM]?) records", lines[-2])
        begun, ended = (datetime.datetime.fromisoformat(re.match(r"ts=(\S+)Z", line)[1]) for line in lines[-2:])
        rate = int(re.search(r"records_in=(\d+)", lines[-1])[1]) / (ended - begun).total_seconds()
        return float(restored[1]), COUNT - float(restored[2]) * UNITS[restored[3]], rate

    def life(self, folder, name, enough):
        """What a life had told of its restore and progress when it was killed: as soon as there is more of it and it is enough."""
        job = turgo.Turgo("run", turgo.GENERATED, "--until", "end", "--no-drain", "--log-format", "logfmt", "--set",
                          f"sources.tx.generate.count={COUNT}", "--set", "sources.tx.generate.keys=400000", "--set", "checkpoint.every=700ms",
                          log=pathlib.Path(folder) / name, env={"STATE": folder})
        self.addCleanup(job.kill)
        deadline = time.monotonic() + 60
        known = 0
        while True:
            lines = re.findall(r'.*(?:"progress"|restored checkpoint).*\n', job.text())
            if len(lines) > known and enough(lines):
                break
            known = len(lines)
            self.assertTrue(job.running() and time.monotonic() < deadline, job.text())
            time.sleep(0.005)
        job.kill()
        return lines
