"""Whole jobs with checkpoints, for a build under ThreadSanitizer: all threads of the engine are at work, and what it reports fails the test."""

import signal
import subprocess
import time

from tests.jobs import test_recovery, turgo
from tests.jobs.test_recovery import Case, numbers_of, wait_for_checkpoint
from tests.model import purchase_count
from tests.model.purchase_count import MINUTE, SECOND, Params, format_instant

setUpModule, tearDownModule = test_recovery.setUpModule, test_recovery.tearDownModule
RECORDS = 12_000
INPUT = 'file: {path: "${TURGO_IN:-in}/user-transaction-topic"}'
TICK_BYTES = 64  # of one in ticks.log, and of what stands before the first


class Races(test_recovery.RecoveryTest):
    def end(self, run, code=0):
        """It ended as it should. A report of the sanitizer changes the exit code, but not of a life that was killed."""
        self.assertEqual(run.wait(60), code, run.text()[-6000:])
        self.assertNotIn("ThreadSanitizer", run.text(), run.text()[-6000:])

    def test_rows_are_staged_while_checkpoints_commit_them(self):
        seed = turgo.fresh_seeds(1)[0]
        its_case = Case(seed, RECORDS)
        for outputs, ends in (("file", ((2, signal.SIGTERM), (2, signal.SIGKILL), (3, signal.SIGTERM))), ("sqlite", ((2, signal.SIGTERM),))):
            for shards, number in ends:
                life = self.live(its_case, "--shards", shards, "--poll-size", 1, name=outputs, outputs=outputs)
                wait_for_checkpoint(life, life.newest() + 2)
                life.run.send(number)
                self.end(life.run, 0 if number == signal.SIGTERM else -number)
            life = self.live(its_case, "--shards", 2, name=outputs, outputs=outputs)
            self.end(life.run)
            self.assert_result(its_case, life)

    def test_clocks_of_idle_partitions_go_on_between_checkpoints(self):
        seed = turgo.fresh_seeds(1)[0]
        folder = test_recovery.scratch / f"idle-{seed}"
        start = format_instant(int(time.time()) * SECOND)
        params = Params(delay=MINUTE, window=SECOND, idle=SECOND // 2)  # so long a delay that no pause of the machine makes a record late
        made = subprocess.Popen([turgo.BIN, "gen", "--kind", "tx", "--partitions", "3", "--keys", "12", "--seed", str(seed), "--rate", "24", "--count", "72",
                                 "--start", start, "--out", folder / "in"], stdout=subprocess.DEVNULL)
        self.addCleanup(made.kill)
        job = folder / "job.yaml"
        text = turgo.JOB.read_text()
        self.assertEqual(text.count(INPUT), 1, "the job has no longer the source this test replaces")
        folder.mkdir(exist_ok=True)
        job.write_text(text.replace(INPUT, f'generate: {{kind: tx, partitions: 3, keys: 12, seed: {seed}, rate: 24/s, count: 72, start_time: "{start}"}}'))
        first = self.idle_run(folder, job, params)
        log = folder / "state" / "checkpoints" / "ticks.log"
        deadline = time.monotonic() + 30
        while not log.exists() or log.stat().st_size < 4 * TICK_BYTES or not numbers_of(log.parent):
            self.assertTrue(first.running() and time.monotonic() < deadline, f"no ticks: {first.text()[-3000:]}")
            time.sleep(0.01)
        first.kill()
        self.end(first, -signal.SIGKILL)
        last = self.idle_run(folder, job, params)
        self.end(last)
        self.assertIn("restored checkpoint", last.text())
        self.assertEqual(made.wait(60), 0)
        partitions = {number: (folder / "in" / f"p{number}.jsonl").read_bytes().splitlines() for number in range(3)}
        self.assertEqual(sum(map(len, partitions.values())), 72)
        self.assertEqual(turgo.differences(purchase_count.run(partitions, params), turgo.read_result(folder / "out")), [], f"TG_SEED={seed}")

    def idle_run(self, folder, job, params):
        sets = [*params.sets(), "sources.tx.watermark.idle_after=50ms", "checkpoint.every=100ms", "engine.audit=true"]
        run = turgo.Turgo("run", job, "--profile", "replay", "--until", "end", "--quiet", "--shards", 2, "--state-dir", folder / "state",
                          *[word for value in sets for word in ("--set", value)], env={"TURGO_OUT": folder / "out"})
        self.addCleanup(run.__exit__)
        return run
