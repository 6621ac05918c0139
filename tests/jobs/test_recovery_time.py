"""The status says how long a start would take if the job died now: killed there and then, it takes about as long."""

import pathlib
import re
import tempfile
import time
import unittest

from tests.jobs import turgo

COUNT = 100_000_000  # more than a life gets through
UNITS = {"": 1, "k": 1e3, "M": 1e6}
FACTOR, SLACK_S = 5, 0.3  # the machine is shared, and a second is short


class RecoveryTime(unittest.TestCase):
    def test_is_about_what_a_start_behind_a_kill_takes(self):
        with tempfile.TemporaryDirectory(prefix="turgo-recovery-time-", dir="/var/tmp") as folder:
            first = self.life(folder, "first")
            second = self.life(folder, "second")
        said = float(re.findall(r"recovery_seconds=([\d.]+)", first)[-1])
        records = int(re.findall(r"records_in=(\d+)", first)[-1])
        restored = re.search(r"restored checkpoint \d+: .*, ([\d.]+) s; replaying ([\d.]+)([kM]?) records", second)
        rate = float(re.search(r"records_per_second=(\d+)", second)[1])
        position = COUNT - float(restored[2]) * UNITS[restored[3]]
        took = float(restored[1]) + max(0, records - position) / rate
        print(f"(said {said:.1f} s, took {took:.1f} s) ", end="", flush=True)
        self.assertGreater(said, 0)
        self.assertLess(took, said * FACTOR + SLACK_S, f"{first}\n{second}")
        self.assertGreater(took, said / FACTOR - SLACK_S, f"{first}\n{second}")

    def life(self, folder, name):
        """What a life had said when it was killed, as soon as it had told its progress behind a checkpoint."""
        job = turgo.Turgo("run", turgo.GENERATED, "--until", "end", "--no-drain", "--log-format", "logfmt", "--set",
                          f"sources.tx.generate.count={COUNT}", "--set", "sources.tx.generate.keys=400000", "--set", "checkpoint.every=700ms",
                          log=pathlib.Path(folder) / name, env={"STATE": folder})
        self.addCleanup(job.kill)
        deadline = time.monotonic() + 60
        told = None  # of its progress when the first checkpoint was complete
        while told is None or job.text().count('"progress"') == told:
            if told is None and any(pathlib.Path(folder).glob("checkpoints/MANIFEST-*[0-9]")):
                told = job.text().count('"progress"')
            self.assertTrue(job.running() and time.monotonic() < deadline, job.text())
            time.sleep(0.005)
        job.kill()
        return job.text()
