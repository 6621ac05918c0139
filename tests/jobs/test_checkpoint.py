"""A job with checkpoints is killed, stopped, refused and starved of disk space; the table it leaves is that of a run nobody touched."""

import functools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest

from tests.jobs import turgo
from tests.model import inputs
from tests.model.purchase_count import Params, run

KILLS = int(os.environ.get("TURGO_KILLS", "30"))
RECORDS = 8_000 if turgo.QUICK else 40_000
FILE_SINK = 'file: {path: "${TURGO_OUT:-out}/user_transaction_counts.jsonl"}'
SQLITE_SINK = 'sqlite: {path: "${TURGO_OUT:-out}/counts.db", table: counts}'
scratch = None


def setUpModule():
    global scratch
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="turgo-checkpoint-"))


def tearDownModule():
    shutil.rmtree(scratch, ignore_errors=True)


def job_file():
    """Job A whose profile replay ends in a SQLite table."""
    text = turgo.JOB.read_text()
    if text.count(FILE_SINK) != 1:
        raise AssertionError(f"{turgo.JOB} has no longer the sink this test replaces")
    path = scratch / "purchase_count.yaml"
    path.write_text(text.replace(FILE_SINK, SQLITE_SINK))
    return path


def read_table(folder):
    """{user: (count, instant, timeout, version)}"""
    path = pathlib.Path(folder) / "counts.db"
    if not path.exists():
        return {}
    database = sqlite3.connect(path)
    try:
        rows = database.execute('SELECT "userId", "purchaseCount", "eventTimestamp", "isTimeout", "_version" FROM counts').fetchall()
    finally:
        database.close()
    return {user: tuple(rest) for user, *rest in rows}


class Case:
    """Input files of a seed, what the model makes of them and what a run without checkpoints left."""

    def __init__(self, seed):
        self.seed = seed
        chance = random.Random(seed)
        params = inputs.choose_params(chance)
        params.drain = False  # with it every count ends at 0
        self.made = inputs.generate(seed, RECORDS, partitions=chance.choice((1, 2, 3, 4, 7)), malformed=0.02, params=params)
        self.folder = scratch / str(seed)
        self.made.write(self.folder / "in")
        model = run(self.made.partitions, params)
        self.expected = {user: (row["purchaseCount"], row["eventTimestamp"], int(row["isTimeout"]), row["_revision"])
                         for user, row in model.table().items()}
        life = Life(self, "plain", every="off")
        code = life.run.wait(120)
        if code != 0:
            raise AssertionError(f"seed {seed}: exit {code}: {life.run.text()[-2000:]}")
        self.plain = life.table()
        life.close()

    @property
    def count(self):
        return self.made.count


@functools.lru_cache(maxsize=4)
def case(seed):
    return Case(seed)


class Life:
    """One process of a job over a case's files. Lives of one `name` share state folder and output."""

    def __init__(self, its_case, name, *flags, every="50ms", env=None, before=(), fresh=False):
        self.folder = its_case.folder / name
        self.out = self.folder / "out"
        self.out.mkdir(parents=True, exist_ok=True)
        self.report_path = self.folder / "report.json"
        self.report_path.unlink(missing_ok=True)
        self.checkpoints = self.folder / "state" / "checkpoints"
        sets = [word for value in (*its_case.made.params.sets(), f"checkpoint.every={every}") for word in ("--set", value)]
        self.run = turgo.Turgo("run", job_file(), "--profile", "replay", "--until", "end", "--no-drain", "--quiet", "--report", self.report_path,
                               "--state-dir", self.folder / "state", *sets, *(["--fresh"] if fresh else []), *flags,
                               env={"TURGO_IN": its_case.folder / "in", "TURGO_OUT": self.out, **(env or {})})

    def newest(self):
        """Number of the newest complete checkpoint, 0 when there is none."""
        return newest_of(self.checkpoints)

    def records(self):
        return json.loads(self.report_path.read_text())["records_in"]

    def table(self):
        return read_table(self.out)

    def close(self):
        self.run.__exit__()


def newest_of(folder):
    names = os.listdir(folder) if folder.exists() else []
    return max((int(name[9:]) for name in names if re.fullmatch(r"MANIFEST-\d+", name)), default=0)


def wait_for_checkpoint(life, number, seconds=60):
    deadline = time.monotonic() + seconds
    while life.newest() < number:
        if not life.run.running() or time.monotonic() > deadline:
            raise AssertionError(f"no checkpoint {number}, the newest is {life.newest()}: {life.run.text()[-2000:]}")
        time.sleep(0.001)


class CheckpointTest(unittest.TestCase):
    name = "run"

    def live(self, its_case, *flags, name=None, **options):
        life = Life(its_case, name or self._testMethodName, *flags, **options)
        self.addCleanup(life.close)
        return life

    def live_to_end(self, its_case, *flags, code=0, **options):
        life = self.live(its_case, *flags, **options)
        self.assertEqual(life.run.wait(120), code, life.run.text()[-3000:])
        return life

    def assert_table(self, its_case, life, message=""):
        """Equal to the model's, and to that of the run without checkpoints."""
        have = life.table()
        for name, want in (("model", its_case.expected), ("run without checkpoints", its_case.plain)):
            wrong = [f"{user!r}: {name} {want.get(user)}, found {have.get(user)}" for user in want.keys() | have.keys() if want.get(user) != have.get(user)]
            self.assertEqual(wrong[:5], [], f"seed {its_case.seed}: {len(wrong)} of {len(want)} users differ {message}")


class Kills(CheckpointTest):
    """kill -9 at seeded moments, each life with another number of shards, until the job has come to its end; then the next input."""

    LIVES_MAX = 200  # of one input

    def test_a_job_killed_again_and_again_leaves_the_table_of_a_run_nobody_touched(self):
        seed = turgo.fresh_seeds(1)[0]
        self.kills = self.behind = self.restores = self.skipped_ahead = 0
        begun = time.monotonic()
        cycle = 0
        while self.kills < KILLS:
            self.cycle(random.Random(seed + cycle), case(seed + cycle // 6), f"kills-{cycle}", f"TG_SEED={seed} cycle {cycle}")
            cycle += 1
        print(f"({self.kills} kills, {self.behind} behind a new checkpoint, {self.restores} lives began with one, {self.skipped_ahead} of the last lives "
              f"read less than everything, {cycle} inputs, {time.monotonic() - begun:.0f} s) ", end="", flush=True)
        self.assertGreater(self.behind, 0, "no kill came behind a checkpoint")
        self.assertGreater(self.restores, 0, "no life began with a checkpoint")
        self.assertGreater(self.skipped_ahead, 0, "every life read everything: checkpoints were not used")

    def cycle(self, chance, its_case, name, where):
        longest, idle = 0.25, 0
        for number in range(self.LIVES_MAX):
            flags = ("--shards", chance.randrange(1, 6), "--poll-size", chance.choice((1, 1, 7, 64)), "--io", chance.choice(("uring", "epoll")))
            life = self.live(its_case, *flags, name=name, every=chance.choice(("50ms", "50ms", "10ms")))
            before = life.newest()
            self.restores += before != 0
            limit = chance.uniform(0.005, 0.05) if chance.random() < 0.2 else chance.uniform(0.05, longest)
            deadline = time.monotonic() + limit
            while life.run.running() and time.monotonic() < deadline:
                time.sleep(0.0005)
            if not life.run.running():
                self.finish(its_case, life, before, where)
                shutil.rmtree(life.folder)
                return
            life.run.kill()
            self.kills += 1
            after = life.newest()
            self.assertGreaterEqual(after, before, f"{where}: a complete checkpoint is gone")
            self.behind += after > before
            # A loaded machine may need longer than this for a start: give the next lives more when nothing comes of them.
            idle = 0 if after > before else idle + 1
            longest = min(3, longest * 1.5) if idle >= 3 else longest
            life.close()
        self.fail(f"{where}: not at the end after {self.LIVES_MAX} lives")

    def finish(self, its_case, life, before, where):
        self.assertEqual(life.run.wait(), 0, f"{where}: {life.run.text()[-3000:]}")
        self.assert_table(its_case, life, where)
        if before != 0:
            self.skipped_ahead += life.records() < its_case.count
        life.close()


class Stops(CheckpointTest):
    def test_a_stop_by_signal_is_gone_on_from_to_the_record(self):
        seed = turgo.fresh_seeds(1)[0]
        its_case = case(seed)
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number.name, seed=seed):
                first = self.live(its_case, "--shards", 2, "--poll-size", 1, name=f"stop-{number.name}", every="10ms")
                wait_for_checkpoint(first, 1)
                first.run.send(number)
                self.assertEqual(first.run.wait(30), 0, first.run.text()[-3000:])
                read = first.records()
                newest = first.newest()
                second = self.live_to_end(its_case, "--shards", 3, name=f"stop-{number.name}")
                self.assertEqual(read + second.records(), its_case.count, "each record is read once over both lives")
                self.assertGreater(second.newest(), newest)
                self.assert_table(its_case, second)

    def test_a_restart_behind_the_end_reads_nothing_and_changes_nothing(self):
        its_case = case(turgo.fresh_seeds(1)[0])
        self.live_to_end(its_case)
        again = self.live_to_end(its_case, "--shards", 4)
        self.assertEqual(again.records(), 0)
        self.assert_table(its_case, again)

    def test_fresh_begins_anew(self):
        its_case = case(turgo.fresh_seeds(1)[0])
        self.live_to_end(its_case)
        again = self.live_to_end(its_case, fresh=True)
        self.assertEqual(again.records(), its_case.count)
        self.assert_table(its_case, again)
