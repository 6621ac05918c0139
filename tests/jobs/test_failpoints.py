"""Every failpoint the program lists, at its first visits: killed there, failed there, told to stop there; disks that are full. What the job
leaves is the model's."""

import collections
import errno
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
from unittest import mock

from tests.jobs import turgo
from tests.jobs.checkpoint_check import Oracle, check_directory
from tests.model import inputs
from tests.model.purchase_count import run

HITS = int(os.environ.get("TURGO_FAILPOINT_HITS", "2"))
RECORDS = 4_000
FILE_SINK = 'sinks: {user_transaction_counts: {file: {path: "${TURGO_OUT:-out}/user_transaction_counts.jsonl"}}}'
COLUMNS = "columns: {userId: user_id, purchaseCount: n, eventTimestamp: at, isTimeout: timeout}"
MORE_SINKS = f"""sinks:
      user_transaction_counts: {{file: {{path: "${{TURGO_OUT:-out}}/user_transaction_counts.jsonl"}}}}
      table: {{from: counts, sqlite: {{path: "${{TURGO_OUT:-out}}/counts.db", table: counts, flush_every: 5ms}}, {COLUMNS}}}
      shown: {{from: counts, console: {{format: json}}, {COLUMNS}}}"""
PACE = "source.batch:1+:delay:300us"  # input that takes long enough for dozens of checkpoints
scratch = None

# What an error at a place does. A name in none of these is a failed test: say here what it does.
DROPS = {  # the checkpoint is given up (TG2501), the next one is tried
    "store.epoch", "store.create", "spool.open", "store.append", "store.sync", "store.folder_sync", "store.root_sync", "checkpoint.cut", "checkpoint.acknowledged",
    "checkpoint.prepare", "checkpoint.manifest", "manifest.create", "manifest.write", "manifest.sync", "manifest.rename"}
COMMITS_AGAIN = {  # decided: the commit is repeated until it works (TG2501)
    "checkpoint.commit", "checkpoint.commit_sink", "file.commit", "file.copy", "file.commit_sync", "file.commit_folder_sync"}
LEAVES_OLD_ONES = {"ack.create", "ack.write", "ack.sync", "ack.rename", "ack.folder_sync", "sweep.manifests", "sweep.sync", "sweep.files"}  # TG2501
WRITES_AGAIN = {"file.segment": "TG1502", "file.stage": "TG1502", "console.write": "TG1502", "sqlite.begin": "TG1503", "sqlite.commit": "TG1503",
                "sqlite.committed": "TG1503", "file.append": "TG1502", "file.stage_sync": "TG1502", "file.stage_folder_sync": "TG1502",
                "file.stage_anew": "TG1502"}
ENDS_THE_RUN = {"manifest.folder_sync": "TG1510", "source.read": "TG1501", "file.sync": "TG1502"}
REFUSES_THE_START = {"store.lock", "store.generation", "store.generation_sync", "recovery.list", "recovery.read", "recovery.verify", "recovery.recommit",
                     "recovery.load"}
DOES_NOTHING = {"checkpoint.positions", "store.abort", "file.remove", "file.full", "source.batch"}
WITHOUT_CHECKPOINTS = {"file.append", "file.sync"}  # the file sink's way when there are none
NEEDS = {"store.abort": "store.sync:1-4:error:EIO", "file.stage_anew": "file.stage_sync:1-8:error:EIO"}  # reached behind another failure only
# Reached with servers only, test_failpoints_services.py, and by a restore, test_restore_ticks.py.
ELSEWHERE = ("kafka.", "cassandra.", "ticks.", "restore.")


def needs(name):
    """Further plans without which a place is not reached."""
    return [NEEDS[name]] if name in NEEDS else []


def setUpModule():
    global scratch
    shared = pathlib.Path("/dev/shm")  # nothing here needs a disk that is slow
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="turgo-failpoints-", dir=shared if os.access(shared, os.W_OK) else None))


def tearDownModule():
    shutil.rmtree(scratch, ignore_errors=True)


def names():
    code, text = turgo.run("failpoints")
    if code != 0:
        raise AssertionError(text)
    return [name for name in text.split() if not name.startswith(ELSEWHERE)]


class Case:
    """Input of a seed, what the model makes of it, and the job with three sinks for the same rows."""

    def __init__(self, seed):
        self.seed = seed
        chance = random.Random(seed)
        params = inputs.choose_params(chance)
        params.drain = False  # a drained run cannot be gone on with
        self.made = inputs.generate(seed, RECORDS, partitions=chance.choice((2, 3, 4)), malformed=0.02, params=params)
        self.folder = scratch / str(seed)
        self.made.write(self.folder / "in")
        self.model = run(self.made.partitions, params)
        self.oracle = Oracle(self.made.partitions, params)
        self.table = {user: (row["purchaseCount"], row["eventTimestamp"], int(row["isTimeout"]), row["_revision"])
                      for user, row in self.model.table().items()}
        text = turgo.JOB.read_text()
        if text.count(FILE_SINK) != 1:
            raise AssertionError(f"{turgo.JOB} has no longer the sink this test replaces")
        self.job = self.folder / "job.yaml"
        self.job.write_text(text.replace(FILE_SINK, MORE_SINKS))

    def killed_at(self, plan):
        """A folder with what a life left that was killed there: made once, to be copied."""
        folder = self.folder / ("killed-" + plan.replace(":", "-"))
        if not folder.exists():
            life = Life(self, folder, plan + ":kill", shards=2)
            if life.run.wait(60) != -signal.SIGKILL:
                raise AssertionError(f"seed {self.seed}: {plan} was not reached: {life.text()}")
        return folder


@functools.lru_cache(maxsize=1)
def case():
    return Case(turgo.fresh_seeds(1)[0])


class Life:
    """One process of the job. Lives of one folder share state and output; what each said is in its log."""

    def __init__(self, its_case, folder, *plans, shards, every="5ms", paced=True, poll=4, sets=(), disk=None):
        self.folder = folder
        self.state = (disk or folder) / "state"
        self.out = (disk or folder) / "out"
        self.out.mkdir(parents=True, exist_ok=True)
        self.report_path = folder / "report.json"
        self.report_path.unlink(missing_ok=True)
        plans = [*plans, *([PACE] if paced else [])]
        sets = [word for value in (*its_case.made.params.sets(), f"checkpoint.every={every}", "engine.audit=true", *sets) for word in ("--set", value)]
        self.run = turgo.Turgo("run", its_case.job, "--profile", "replay", "--until", "end", "--no-drain", "--quiet", "--shards", shards, "--poll-size", poll,
                               "--report", self.report_path, "--state-dir", self.state, *sets, log=folder / f"log-{len(list(folder.glob('log-*')))}",
                               env={"TURGO_IN": its_case.folder / "in", "TURGO_OUT": self.out, "TURGO_FAILPOINT": ",".join(plans)})

    def text(self):
        """What it said, without the rows on the console."""
        return "\n".join(line for line in self.run.text().split("\n") if not line.startswith('{"userId"'))[-3000:]

    def report(self):
        return json.loads(self.report_path.read_text())


class FailpointTest(unittest.TestCase):
    def setUp(self):
        self.case = case()
        self.compared = 0
        self.reached = collections.Counter()

    def live(self, folder, *plans, shards=2, **options):
        life = Life(self.case, folder, *plans, shards=shards, **options)
        self.addCleanup(life.run.kill)
        return life

    def folder(self, name, left_by=None):
        """A new folder, with what a killed life left when one is named."""
        path = self.case.folder / f"{self._testMethodName}-{name}"
        if left_by:
            shutil.copytree(self.case.killed_at(left_by), path)
        return path

    def end(self, folder, where, shards=3, **options):
        """A life that nothing disturbs brings the job to its end; then everything is the model's, as the checkpoints before and after it are."""
        before = self.assert_checkpoints(folder / "state", where)
        life = self.live(folder, shards=shards, paced=False, **options)
        self.assertEqual(life.run.wait(60), 0, f"{where}: {life.text()}")
        self.assert_result(folder, where)
        self.assert_checkpoints(folder / "state", where, before)
        return life

    def assert_checkpoints(self, state, where, known=()):
        """Each complete one is what the model has at its offsets; returns their epochs."""
        wrong, looked = check_directory(state / "checkpoints", self.case.oracle, known)
        self.assertEqual(wrong, [], where)
        self.compared += len(looked)
        return {*known, *looked}

    def assert_result(self, folder, where, out=None):
        out = out or folder / "out"
        self.assertEqual(turgo.differences(self.case.model, turgo.read_result(out)), [], where)
        database = sqlite3.connect(out / "counts.db")
        rows = database.execute('SELECT "userId", "purchaseCount", "eventTimestamp", "isTimeout", "_version" FROM counts').fetchall()
        database.close()
        have = {user: tuple(rest) for user, *rest in rows}
        wrong = [(user, self.case.table.get(user), have.get(user)) for user in self.case.table.keys() | have.keys()
                 if self.case.table.get(user) != have.get(user)]
        self.assertEqual(wrong[:3], [], f"{where}: {len(wrong)} rows of the table differ")
        # A kill may cut a write() between two pages: what has no newline is the beginning of a row.
        shown = {line for log in folder.glob("log-*") for line in log.read_text().split("\n")[:-1] if line.startswith('{"userId"')}
        model = {json.dumps(row, sort_keys=True) for row in self.case.model.rows}
        self.assertEqual(model ^ {json.dumps(json.loads(line), sort_keys=True) for line in shown}, set(), f"{where}: rows on the console")

    def assert_all_reached(self, wanted):
        missing = [name for name in wanted if self.reached[name] == 0]
        self.assertEqual(missing, [], "no visit: these are not tested")


class Kills(FailpointTest):
    def test_a_kill_at_every_failpoint_is_survived(self):
        """The first visit in a life that begins with a checkpoint, the second in one that begins with nothing; with more hits, all of both."""
        begun = time.monotonic()
        for name in names():
            for visit in range(1, HITS + 1):
                for left_by in ("checkpoint.commit:3", None):
                    if HITS > 2 or (visit == 1) == (left_by is not None):
                        self.kill(name, visit, left_by)
        print(f"({sum(self.reached.values())} kills at {len(self.reached)} places, {self.compared} checkpoints compared with the model, {time.monotonic() - begun:.0f} s) ", end="", flush=True)
        self.assert_all_reached(names())

    def kill(self, name, visit, left_by):
        where = f"{name}:{visit}:kill {'begun anew' if left_by is None else 'gone on'} (TG_SEED={self.case.seed})"
        every = {"every": "off"} if name in WITHOUT_CHECKPOINTS else {}
        with self.subTest(where):
            folder = self.folder(f"{name}-{visit}-{left_by is None}", None if every else left_by)
            first = self.live(folder, f"{name}:{visit}:kill", *needs(name), **every)
            code = first.run.wait(60)
            self.assertIn(code, (0, -signal.SIGKILL), f"{where}: {first.text()}")
            self.reached[name] += code != 0
            self.end(folder, where, **every)
            shutil.rmtree(folder)

    def test_kills_in_a_row_at_random_failpoints_are_survived(self):
        """The second kill comes while the first one is being recovered from, and so on."""
        chance = random.Random(self.case.seed)
        places = [name for name in names() if name not in WITHOUT_CHECKPOINTS]
        for turn in range(4 * HITS):
            folder = self.folder(turn)
            plans = []
            for _ in range(8):
                plans.append(f"{chance.choice(places)}:{chance.randrange(1, 6)}:kill")
                life = self.live(folder, plans[-1], shards=chance.randrange(1, 5))
                if life.run.wait(60) == 0:
                    break
            self.end(folder, f"{plans} (TG_SEED={self.case.seed})")
            shutil.rmtree(folder)


BOTH = (0, -signal.SIGKILL)  # a life that is to be killed at its n-th checkpoint may have fewer on a busy machine


class Errors(FailpointTest):
    def errors(self, name, plan, code, word, left_by=None, **options):
        """A life with errors, killed some complete checkpoints behind them, or ended by one; what it left is gone on with."""
        where = f"{plan} (TG_SEED={self.case.seed})"
        with self.subTest(where):
            folder = self.folder(name, left_by)
            life = self.live(folder, plan, *needs(name), *options.pop("more", ()), **options)
            self.assertIn(life.run.wait(60), code, f"{where}: {life.text()}")
            text = life.text()
            self.assertRegex(text, word, where)
            self.end(folder, where, **options)
            shutil.rmtree(folder)

    def test_an_error_before_the_decision_costs_that_checkpoint_and_nothing_else(self):
        for name in sorted(DROPS):
            self.errors(name, f"{name}:2:error:EIO,{name}:5-6:error:ENOSPC", BOTH, "warn.*TG2501.*checkpoint [0-9]+ failed: ", more=["sweep.files:5:kill"])

    def test_all_of_them_in_one_run_that_comes_to_its_end(self):
        plans = [f"{name}:{visit}:error:{error}" for visit, name in enumerate(sorted(DROPS), 2) for error in ("ENOSPC",)]
        folder = self.folder("all")
        life = self.live(folder, *plans)
        self.assertEqual(life.run.wait(60), 0, life.text())
        self.assert_result(folder, f"seed {self.case.seed}")
        checkpoints = life.report()["checkpoints"]
        self.assertGreater(checkpoints["failed"], 2)
        self.assertGreater(checkpoints["complete"], 0)
        self.end(folder, f"seed {self.case.seed}")

    def test_a_commit_is_repeated_until_it_works(self):
        for name in sorted(COMMITS_AGAIN):
            self.errors(name, f"{name}:2:error:EIO", BOTH, "warn.*TG2501.*not visible yet", more=["sweep.files:4:kill"])

    def test_an_error_behind_the_commit_leaves_old_checkpoints_for_later(self):
        for name in sorted(LEAVES_OLD_ONES):
            self.errors(name, f"{name}:2-3:error:EIO", BOTH, "warn.*TG2501.*old ones stay for now", more=["store.epoch:9:kill"])

    def test_a_sink_writes_again_what_could_not_be_written(self):
        for name, code in sorted(WRITES_AGAIN.items()):
            off = name in WITHOUT_CHECKPOINTS
            self.errors(name, f"{name}:2-3:error:ENOSPC,{name}:5:error:EIO", (0,) if off else BOTH, code,
                        **({"every": "off"} if off else {"more": ["sweep.files:4:kill"]}))

    def test_a_sync_that_failed_is_never_repeated_the_run_ends_and_the_next_one_is_right(self):
        for name, code in sorted(ENDS_THE_RUN.items()):
            off = name in WITHOUT_CHECKPOINTS
            self.errors(name, f"{name}:1:error:EIO", (66 if code == "TG1501" else 74,), code, left_by=None if off else "checkpoint.commit:3", **({"every": "off"} if off else {}))

    def test_a_start_that_fails_changes_nothing(self):
        for name in sorted(REFUSES_THE_START):
            self.errors(name, f"{name}:1:error:ENOMEM", (74,), "TG15", left_by="checkpoint.commit:3")

    def test_an_error_where_nothing_depends_on_it_is_passed_over(self):
        for name in sorted(DOES_NOTHING):
            self.errors(name, f"{name}:2-3:error:EIO", BOTH, "^", more=["sweep.files:4:kill"] if name not in NEEDS else [])

    def test_this_file_says_what_an_error_does_at_every_place(self):
        said = DROPS | COMMITS_AGAIN | LEAVES_OLD_ONES | set(WRITES_AGAIN) | set(ENDS_THE_RUN) | REFUSES_THE_START | DOES_NOTHING
        self.assertEqual(said ^ set(names()), set())


class Protection(FailpointTest):
    """A job that cannot checkpoint: unhealthy after three, and after checkpoint.max_age it stops reading."""

    SETS = ("checkpoint.max_age=100ms", "engine.drain_timeout=300ms")

    def wait_for(self, life, word):
        deadline = time.monotonic() + 30
        while not re.search(word, life.text()):
            self.assertTrue(life.run.running() and time.monotonic() < deadline, f"{word}: {life.text()}")
            time.sleep(0.005)

    def test_reading_stops_until_a_checkpoint_is_complete(self):
        folder = self.folder("held")
        life = self.live(folder, "store.create:3-60:error:ENOSPC", every="20ms", poll=1, sets=self.SETS)
        self.assertEqual(life.run.wait(60), 0, life.text())
        for word in ("warn.*TG2502.*reading stops", "warn.*TG2503.*3 checkpoints in a row", "TG2503.*healthy again", "TG2502.*reading again"):
            self.assertRegex(life.text(), word)
        checkpoints = life.report()["checkpoints"]
        self.assertGreater(checkpoints["held_ns"], 0)
        self.assertTrue(checkpoints["healthy"])
        self.assert_result(folder, f"TG_SEED={self.case.seed}")

    def test_nothing_is_read_meanwhile_and_a_stop_then_loses_nothing(self):
        folder = self.folder("stopped")
        life = self.live(folder, "store.create:7+:error:ENOSPC", every="20ms", poll=1, sets=self.SETS)
        self.wait_for(life, "TG2502")
        time.sleep(0.3)  # what was on its way
        rows = len(life.run.text())
        time.sleep(0.5)
        news = [line for line in life.run.text()[rows:].split("\n") if line.startswith('{"userId"')]
        self.assertEqual(news, [], "rows of records that should not have been read")
        life.run.send(signal.SIGTERM)
        self.assertEqual(life.run.wait(10), 69, life.text())
        checkpoints = life.report()["checkpoints"]
        self.assertGreater(checkpoints["held_ns"], 500_000_000)
        self.assertFalse(checkpoints["healthy"])
        self.assertLess(life.report()["records_in"], self.case.made.count)
        self.end(folder, f"TG_SEED={self.case.seed}")

    def test_with_max_age_off_the_job_goes_on(self):
        folder = self.folder("off")
        life = self.live(folder, "store.create:3-40:error:ENOSPC", every="20ms", poll=1, sets=("checkpoint.max_age=off",))
        self.assertEqual(life.run.wait(60), 0, life.text())
        self.assertNotIn("TG2502", life.text())
        self.assertEqual(life.report()["checkpoints"]["held_ns"], 0)
        self.assert_result(folder, f"TG_SEED={self.case.seed}")


class FullDisk(FailpointTest):
    """State and output on a file system of 24 MiB that is full for a while. It belongs to a process of its own and outlives every life."""

    def setUp(self):
        super().setUp()
        if not shutil.which("unshare") or not shutil.which("nsenter"):
            self.skipTest("no small file system can be mounted here: there is no unshare or no nsenter")
        self.path = self.folder("disk")
        self.disk = self.path / "disk"
        self.disk.mkdir(parents=True)
        self.holder = subprocess.Popen(["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=24m turgo {self.disk} && echo && exec sleep 600"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end_holder)
        if self.holder.stdout.readline() == "":
            self.skipTest(f"no small file system can be mounted here: {self.holder.stderr.read().strip()}")
        self.inside = pathlib.Path(f"/proc/{self.holder.pid}/root{self.disk}")
        program = self.path / "turgo"
        program.write_text(f'#!/bin/sh\nexec nsenter --mount=/proc/{self.holder.pid}/ns/mnt {turgo.BIN} "$@"\n')
        program.chmod(0o755)
        patch = mock.patch.object(turgo, "BIN", program)
        patch.start()
        self.addCleanup(patch.stop)

    def end_holder(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()
        self.holder.stderr.close()

    def life(self, *plans, **options):
        (self.inside / "out").mkdir(exist_ok=True)
        return self.live(self.path, *plans, disk=self.disk, **options)

    def newest(self):
        found = [int(path.name[9:]) for path in (self.inside / "state" / "checkpoints").glob("MANIFEST-*") if path.name[9:].isdigit()]
        return max(found, default=0)

    def fill(self):
        with open(self.inside / "filler", "wb", buffering=0) as filler:
            with self.assertRaises(OSError) as full:
                while True:
                    filler.write(b"x" * 4096)
            self.assertEqual(full.exception.errno, errno.ENOSPC)

    def wait(self, life, condition, what):
        deadline = time.monotonic() + 60
        while not condition():
            self.assertTrue(life.run.running() and time.monotonic() < deadline, f"{what} did not come: {life.text()}")
            time.sleep(0.002)

    def filled(self):
        """A life in the middle of its input whose disk has become full and which has said so."""
        life = self.life(poll=1)
        self.wait(life, lambda: self.newest() >= 2, "a second checkpoint")
        self.fill()
        # A checkpoint fails, or a sink cannot acknowledge: whoever comes first.
        self.wait(life, lambda: re.search("warn.*(TG2501|TG1502|TG1503).*(No space left|is full)", life.text()), "a warning of the full disk")
        return life

    def test_space_that_returns_makes_checkpoints_complete_again_and_they_are_right(self):
        life = self.filled()
        before = self.newest()
        self.assertGreaterEqual(before, 2, "complete ones stay")
        (self.inside / "filler").unlink()
        self.wait(life, lambda: self.newest() > before, "a checkpoint after the lack of space")
        life.run.kill()
        self.finish()

    def test_a_kill_while_the_disk_is_full_loses_nothing(self):
        self.filled().run.kill()
        again = self.life()
        code = again.run.wait(30) if not self.goes_on(again) else None
        self.assertIn(code, (None, 74), again.text())
        again.run.kill()
        (self.inside / "filler").unlink()
        self.finish()

    def goes_on(self, life):
        """A start may need no space. True when it runs, and has nowhere to put anything."""
        time.sleep(0.5)
        return life.run.running()

    def finish(self):
        life = self.life(shards=3, paced=False)
        self.assertEqual(life.run.wait(60), 0, life.text())
        shutil.copytree(self.inside / "out", self.path / "copy")  # SQLite would resolve a path through /proc
        self.assert_result(self.path, f"TG_SEED={self.case.seed}", self.path / "copy")
        self.assert_checkpoints(self.inside / "state", f"TG_SEED={self.case.seed}")


class SlowDisk(unittest.TestCase):
    """More entries that cannot wait than the device takes at once: the state file goes on through the page cache."""

    def test_state_files_go_on_through_the_page_cache(self):
        """Where the file system does not take O_DIRECT they do so from the start."""
        with tempfile.TemporaryDirectory(prefix="turgo-slow-", dir="/var/tmp") as folder:
            wanted = [True, False] if self.takes_direct(folder) else [False]
            job = turgo.Turgo("run", turgo.GENERATED, "--until", "end", "--no-drain", "--quiet", "--shards", 1, "--set", "checkpoint.every=1500ms",
                              "--set", "sources.tx.generate.count=1000000000", env={"STATE": folder, "TURGO_FAILPOINT": "store.append:3+:delay:60"})
            self.addCleanup(job.kill)
            ways = collections.defaultdict(list)  # by file: was it open with O_DIRECT, and then?
            deadline = time.monotonic() + 60
            while wanted not in ways.values() and time.monotonic() < deadline:
                self.assertTrue(job.running(), job.text())
                for name, direct in self.state_files(job.pid):
                    ways[name] += [direct] if ways[name][-1:] != [direct] else []
                time.sleep(0.002)
            job.kill()
        self.assertIn(wanted, ways.values())

    @staticmethod
    def takes_direct(folder):
        try:
            os.close(os.open(pathlib.Path(folder) / "probe", os.O_WRONLY | os.O_CREAT | os.O_DIRECT))
        except OSError:
            return False
        return True

    @staticmethod
    def state_files(pid):
        """(name, is it open with O_DIRECT?) of each that is being written."""
        for link in pathlib.Path(f"/proc/{pid}/fd").glob("*"):
            try:
                name = os.readlink(link)
                if name.endswith((".base", ".delta")):
                    flags = re.search(r"^flags:\s*(\d+)", pathlib.Path(f"/proc/{pid}/fdinfo/{link.name}").read_text(), re.M)
                    yield name, int(flags[1], 8) & os.O_DIRECT != 0
            except OSError:
                pass  # closed meanwhile


class Stops(FailpointTest):
    """SIGTERM while the process stands at a failpoint, so that it comes in exactly that phase of a checkpoint."""

    def held_at(self, folder, *plans, **options):
        """A life that has stopped there; None when it came to its end before."""
        life = self.live(folder, *plans, **options)
        while life.run.running():
            if turgo.process_state(life.run.pid) == "T":
                return life
            time.sleep(0.001)
        self.assertEqual(life.run.wait(), 0, life.text())
        return None

    def test_a_stop_in_every_phase_is_clean_and_gone_on_from_to_the_record(self):
        places = [name for name in names() if name not in REFUSES_THE_START | WITHOUT_CHECKPOINTS | {"store.abort"}]
        for name in places:
            where = f"SIGTERM at {name} (TG_SEED={self.case.seed})"
            with self.subTest(where):
                folder = self.folder(name)
                life = self.held_at(folder, f"{name}:{1 if name == 'source.read' else 2}:stop", *needs(name))
                if life is None:
                    continue
                self.reached[name] += 1
                life.run.send(signal.SIGTERM)
                life.run.send(signal.SIGCONT)
                self.assertEqual(life.run.wait(10), 0, f"{where}: {life.text()}")
                read = life.report()["records_in"]
                second = self.end(folder, where)
                self.assertEqual(read + second.report()["records_in"], self.case.made.count, f"{where}: each record is read once over both lives")
                shutil.rmtree(folder)
        self.assert_all_reached(places)

    def test_a_second_signal_abandons_the_checkpoint_and_nothing_is_lost(self):
        for name in ("store.sync", "manifest.rename", "manifest.folder_sync", "file.copy"):
            where = f"two SIGTERM at {name} (TG_SEED={self.case.seed})"
            with self.subTest(where):
                folder = self.folder(name)
                life = self.held_at(folder, f"{name}:3:stop,{name}:3:delay:3000")
                self.assertIsNotNone(life, where)
                for _ in range(2):
                    life.run.send(signal.SIGTERM)
                    life.run.send(signal.SIGCONT)
                    time.sleep(0.1)
                self.assertEqual(life.run.wait(2), 128 + signal.SIGTERM, f"{where}: {life.text()}")
                self.end(folder, where)
                shutil.rmtree(folder)


if __name__ == "__main__":
    unittest.main()
