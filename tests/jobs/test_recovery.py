"""A job with checkpoints is killed, stopped, refused and starved of disk space; the table it leaves is that of a run nobody touched."""

import collections
import contextlib
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
from tests.jobs.reader import FileReader, TableReader, Watch
from tests.model import inputs
from tests.model.purchase_count import Params, run

KILLS = int(os.environ.get("TURGO_KILLS", "30"))
RECORDS = 8_000 if turgo.QUICK else 40_000
CHECKED = int(os.environ.get("TURGO_CHECKED", "0"))  # checkpoints of a life that are compared with the model; 0 = all
FILE_SINK = 'file: {path: "${TURGO_OUT:-out}/user_transaction_counts.jsonl"}'
SQLITE_SINK = 'sqlite: {path: "${TURGO_OUT:-out}/counts.db", table: counts}'
# Of a checkpoint, and of a table's commits.
STEPS = ("store.epoch", "store.create", "checkpoint.cut", "store.append", "checkpoint.acknowledged", "store.sync", "checkpoint.manifest", "store.root_sync",
         "manifest.create", "manifest.write", "manifest.sync", "manifest.rename", "manifest.folder_sync", "checkpoint.commit", "ack.create", "ack.rename",
         "ack.folder_sync", "sweep.manifests", "sweep.sync", "sweep.files", "sqlite.begin", "sqlite.committed")
SIDE_SINKS = ('file: {path: "${TURGO_OUT:-out}/dead_letters.jsonl"}', 'file: {path: "${TURGO_OUT:-out}/late.jsonl"}')
scratch = None


def setUpModule():
    global scratch
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="turgo-recovery-"))


def tearDownModule():
    shutil.rmtree(scratch, ignore_errors=True)


def job_file(outputs="sqlite"):
    """Job A with profile replay's outputs changed: "file" is the job as it stands, "sqlite" writes the rows into a table and the side outputs into
    files, "table" writes the table alone, so that nothing is committed with a checkpoint."""
    text = turgo.JOB.read_text()
    if outputs == "file":
        return turgo.JOB
    for sink in (FILE_SINK, *SIDE_SINKS):
        if text.count(sink) != 1:
            raise AssertionError(f"{turgo.JOB} has no longer the sink this test replaces: {sink}")
    text = text.replace(FILE_SINK, SQLITE_SINK)
    for sink in SIDE_SINKS if outputs == "table" else ():
        text = text.replace(sink, '"null": {}')
    path = scratch / f"{outputs}.yaml"
    path.write_text(text)
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

    def __init__(self, seed, records):
        self.seed = seed
        chance = random.Random(seed)
        params = inputs.choose_params(chance)
        params.drain = False  # with it every count ends at 0
        self.made = inputs.generate(seed, records, partitions=chance.choice((1, 2, 3, 4, 7)), malformed=0.02, params=params)
        self.folder = scratch / str(seed)
        self.made.write(self.folder / "in")
        self.model = model = run(self.made.partitions, params)
        self.expected = {user: (row["purchaseCount"], row["eventTimestamp"], int(row["isTimeout"]), row["_revision"])
                         for user, row in model.table().items()}
        self.oracle = Oracle(self.made.partitions, params)
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
def case(seed, records=RECORDS):
    return Case(seed, records)


class Life:
    """One process of a job over a case's files. Lives of one `name` share state folder and output."""

    def __init__(self, its_case, name, *flags, every="50ms", env=None, fresh=False, job=None, outputs="sqlite", sets=True, keep=3):
        self.outputs = outputs
        self.folder = its_case.folder / name
        self.out = self.folder / "out"
        self.out.mkdir(parents=True, exist_ok=True)
        self.report_path = self.folder / "report.json"
        self.report_path.unlink(missing_ok=True)
        self.checkpoints = self.folder / "state" / "checkpoints"
        values = [*(its_case.made.params.sets() if sets else []), f"checkpoint.every={every}", f"checkpoint.keep={keep}", "engine.audit=true"]
        sets = [word for value in values for word in ("--set", value)]
        self.run = turgo.Turgo("run", job or job_file(outputs), "--profile", "replay", "--until", "end", "--no-drain", "--quiet", "--report", self.report_path,
                               "--state-dir", self.folder / "state", *sets, *(["--fresh"] if fresh else []), *flags,
                               env={"TURGO_IN": its_case.folder / "in", "TURGO_OUT": self.out, **(env or {})})

    def newest(self):
        """Number of the newest complete checkpoint, 0 when there is none."""
        return newest_of(self.checkpoints)

    def listed(self):
        """The lines of `turgo checkpoint list`, newest first, by column."""
        _, text = turgo.run("checkpoint", "list", "--dir", self.checkpoints)
        head, *lines = [line.split() for line in text.splitlines()]
        return [dict(zip(head, line)) for line in lines if line[1:2] != ["not"]]

    def records(self):
        return json.loads(self.report_path.read_text())["records_in"]

    def table(self):
        return read_table(self.out)

    def close(self):
        self.run.__exit__()


def numbers_of(folder, kind="MANIFEST-"):
    """Numbers of the checkpoint directory's names of one kind."""
    names = os.listdir(folder) if folder.exists() else []
    return {int(name[len(kind):]) for name in names if re.fullmatch(kind + r"\d+", name)}


def newest_of(folder):
    return max(numbers_of(folder), default=0)


def in_transaction(path):
    """Has somebody begun to write to the database?"""
    if not path.exists():
        return False
    with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
            return False
        except sqlite3.OperationalError:
            return True


def wait_for_checkpoint(life, number, seconds=60):
    deadline = time.monotonic() + seconds
    while life.newest() < number:
        if not life.run.running() or time.monotonic() > deadline:
            raise AssertionError(f"no checkpoint {number}, the newest is {life.newest()}: {life.run.text()[-2000:]}")
        time.sleep(0.001)


class RecoveryTest(unittest.TestCase):
    def live(self, its_case, *flags, name=None, **options):
        life = Life(its_case, name or self._testMethodName, *flags, **options)
        self.addCleanup(life.close)
        return life

    def live_to_end(self, its_case, *flags, code=0, **options):
        life = self.live(its_case, *flags, **options)
        self.assertEqual(life.run.wait(120), code, life.run.text()[-3000:])
        return life

    def assert_result(self, its_case, life, message=""):
        """What the job's outputs hold is the model's, nothing twice; a table equals that of the run without checkpoints, too."""
        where = f"seed {its_case.seed} {message}"
        found = turgo.read_result(life.out)
        if life.outputs == "file":
            self.assertEqual(turgo.differences(its_case.model, found), [], where)
            return
        self.assert_table(its_case, life, message)
        if life.outputs == "sqlite":
            self.assertEqual(turgo.compare_bags("dead letter", its_case.model.dead, found.dead), [], where)
            self.assertEqual(turgo.compare_bags("late entry", its_case.model.late, found.late), [], where)

    def assert_table(self, its_case, life, message=""):
        have = life.table()
        for name, want in (("model", its_case.expected), ("run without checkpoints", its_case.plain)):
            wrong = [f"{user!r}: {name} {want.get(user)}, found {have.get(user)}" for user in want.keys() | have.keys() if want.get(user) != have.get(user)]
            self.assertEqual(wrong[:5], [], f"seed {its_case.seed}: {len(wrong)} of {len(want)} users differ {message}")

    def killed_late(self, outputs="table", shards=2):
        """A killed life of self.case with at least three checkpoints, the oldest of records already: their numbers are second, newest first."""
        slowly = {"TURGO_FAILPOINT": "source.batch:1+:delay:100us"}  # checkpoints may take long on a busy disk
        for _ in range(40):
            life = self.live(self.case, "--poll-size", 1, "--shards", shards, every="10ms", outputs=outputs, fresh=True, env=slowly)
            while life.run.running() and min(numbers_of(life.checkpoints), default=1) == 1:  # cut before anything was read; 3 are kept
                time.sleep(0.001)
            if life.run.running():
                life.run.kill()
                checkpoints = life.listed()
                if checkpoints[-1]["RECORDS"] != "0":
                    return life, [int(checkpoint["EPOCH"]) for checkpoint in checkpoints]
        self.fail(f"seed {self.case.seed}: the job was always faster than three checkpoints, or slower: {life.listed()} {life.run.text()[-2000:]}")


class Kills(RecoveryTest):
    """kill -9 at seeded moments, each life with another number of shards, until the job has come to its end; then the next input."""

    LIVES_MAX = 200  # of one input
    INPUTS_MAX = 10 + 2 * KILLS

    def test_a_job_killed_again_and_again_leaves_the_table_of_a_run_nobody_touched(self):
        seed = turgo.fresh_seeds(1)[0]
        self.tally = collections.Counter()
        begun = time.monotonic()
        names = ("kills", "kills behind a new checkpoint", "kills during restore", "starts from a checkpoint", "starts with other shards", "epochs",
                 "checkpoints", "checkpoints compared with the model", "looks of readers", "inputs", "inputs ended by a life that read a part")
        while self.tally["inputs"] < self.INPUTS_MAX and (self.tally["kills"] < KILLS or not all(self.tally[name] for name in names)):
            cycle = self.tally["inputs"]
            self.cycle(random.Random(seed + cycle), case(seed + cycle // 6, RECORDS * 2), f"kills-{cycle}", f"TG_SEED={seed} cycle {cycle}")
            self.tally["inputs"] += 1
        print(f"({'; '.join(f'{self.tally[name]} {name}' for name in names)}; {time.monotonic() - begun:.0f} s) ", end="", flush=True)
        self.assertGreaterEqual(self.tally["kills"], KILLS)
        for name in names:
            self.assertGreater(self.tally[name], 0, f"TG_SEED={seed}: {name}")

    def cycle(self, chance, its_case, name, where):
        longest, idle, shards_before = 1.0, 0, 0
        outputs = chance.choice(("sqlite", "file"))
        keep = chance.choice((3, 1000))
        self.complete, self.compared, watch = set(), set(), None
        for number in range(self.LIVES_MAX):
            shards = chance.randrange(1, 6)
            flags = ("--shards", shards, "--poll-size", chance.choice((1, 1, 7, 64)), "--io", chance.choice(("uring", "epoll")))
            life = self.live(its_case, *flags, name=name, outputs=outputs, every=chance.choice(("50ms", "20ms")), keep=keep)
            watch = watch or self.watch(life)
            before, generation = life.newest(), max(numbers_of(life.checkpoints, "GENERATION-"), default=0)
            self.tally["starts from a checkpoint"] += before != 0
            self.tally["starts with other shards"] += before != 0 and shards != shards_before
            shards_before = shards
            if number % 4 == 3:
                self.let_restore(chance, life, generation)
            else:
                self.let_live(chance, life, before, chance.uniform(0.005, 0.05) if chance.random() < 0.2 else chance.uniform(0.1, longest))
            ended = not life.run.running()
            if not ended:
                life.run.kill()
            self.complete |= numbers_of(life.checkpoints)
            self.tally["checkpoints compared with the model"] += self.compare(chance, its_case, life, where)
            if ended:
                wrong = watch.stop()
                self.assertEqual(wrong[:5], [], f"{where}: a reader saw something go back")
                self.tally["looks of readers"] += watch.reader.looks
                self.finish(its_case, life, before, where)
                return
            after = life.newest()
            self.assertGreaterEqual(after, before, f"{where}: a complete checkpoint is gone")
            self.tally["kills"] += 1
            self.tally["kills behind a new checkpoint"] += after > before
            has_directory = max(numbers_of(life.checkpoints, "GENERATION-"), default=0) > generation
            self.tally["kills during restore"] += before != 0 and has_directory and "restored checkpoint" not in life.run.text()
            # A loaded machine may need longer than this for a start: give the next lives more when nothing comes of them.
            idle = 0 if after > before else idle + 1
            longest = min(5, longest * 1.5) if idle >= 3 else longest
            life.close()
        self.fail(f"{where}: not at the end after {self.LIVES_MAX} lives")

    @staticmethod
    def let_restore(chance, life, generation):
        """Until a moment after the process took the directory: it reads the checkpoint then, commits its rows again and loads its keys."""
        deadline = time.monotonic() + 10
        while life.run.running() and time.monotonic() < deadline and max(numbers_of(life.checkpoints, "GENERATION-"), default=0) <= generation:
            time.sleep(0.0002)
        time.sleep(chance.uniform(0, 0.01))

    def let_live(self, chance, life, before, seconds):
        """For that long, or until a while after a new checkpoint. Most lives are held still again and again, so that checkpoints, made by
        the clock, fall into the middle of the input."""
        deadline = time.monotonic() + seconds
        pause = chance.choice((0, 0.006, 0.012))
        behind_checkpoint = chance.random() < 0.5
        while life.run.running() and time.monotonic() < deadline:
            there = numbers_of(life.checkpoints)
            self.complete |= there
            if behind_checkpoint and max(there, default=0) > before:
                behind_checkpoint, deadline = False, min(deadline, time.monotonic() + chance.uniform(0, 0.03))
            if pause:
                life.run.send(signal.SIGSTOP)
                time.sleep(pause)
                life.run.send(signal.SIGCONT)
            time.sleep(0.002)

    def watch(self, life):
        """A reader of the job's output, through all its lives."""
        watch = Watch(TableReader(life.out) if life.outputs == "sqlite" else FileReader(life.out / f"{turgo.SINK}.jsonl"))
        self.addCleanup(watch.over.set)
        return watch

    def compare(self, chance, its_case, life, where):
        """Some of the checkpoints that are new since the last life, the newest among them, hold what the model has at their offsets."""
        there = numbers_of(life.checkpoints)
        new = sorted(there - self.compared)
        self.compared |= there
        chosen = new if CHECKED == 0 or len(new) <= CHECKED else [*chance.sample(new[:-1], CHECKED - 1), new[-1]]
        wrong, looked = check_directory(life.checkpoints, its_case.oracle, there - set(chosen), verify=True)
        self.assertEqual(wrong[:5], [], f"seed {its_case.seed} {where}")
        return len(looked)

    def finish(self, its_case, life, before, where):
        self.assertEqual(life.run.wait(), 0, f"{where}: {life.run.text()[-3000:]}")
        self.assert_result(its_case, life, f"{where} {life.outputs}")
        self.tally["epochs"] += max(numbers_of(life.checkpoints) | numbers_of(life.checkpoints, "e"), default=0)
        self.tally["checkpoints"] += len(self.complete)
        self.tally["inputs ended by a life that read a part"] += before != 0 and life.records() < its_case.count
        life.close()
        shutil.rmtree(life.folder)


MADE_UP = """
job: made_up
state_dir: "%(folder)s/state"
checkpoint: {every: 1h}
sources:
  tx:
    generate: {kind: tx, rate: 20k/s, count: 30000, keys: 300, seed: 5, start_time: "2026-03-01T10:00:00Z"}
    fields: {user: {type: text, path: userId, required: true}, at: {type: timestamp, path: transactionTimestamp, required: true}}
    event_time: at
    watermark: {delay: 1s, idle_after: 1h, max_skew: off}
    partitioned_by: [user]
steps: {counts: {process: {operator: purchase_count, from: tx, key: [user], params: {window: 5m, idle: 30s}}}}
sinks: {counts: {from: counts, "null": {}}}
dead_letters: {"null": {}}
late: {"null": {}}
"""

AT_ONCE = ("--until", "end", "--no-drain", "--set", "sources.tx.generate.rate=0")  # what a rate withholds is not there to be replayed


def amount(count):
    """A count as log lines have it."""
    for limit, unit in ((1e9, "G"), (1e6, "M")):
        if count >= limit:
            return f"{count / limit:.2f}{unit}"
    return f"{count / 1e3:.2f}k" if count >= 1e4 else str(count)


def size_text(size):
    return f"{size / (1 << 20):.1f}MiB" if size >= 1 << 20 else f"{size >> 10}KiB"


class Stops(RecoveryTest):
    @classmethod
    def setUpClass(cls):
        cls.seed = turgo.fresh_seeds(1)[0]

    def test_a_stop_by_signal_is_gone_on_from_to_the_record(self):
        seed, its_case = self.seed, case(self.seed)
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
                self.assert_result(its_case, second)

    def test_a_start_says_what_came_back_and_what_is_read_again(self):
        folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
        (folder / "job.yaml").write_text(MADE_UP % {"folder": folder})
        said, read = self.made_up(folder, 2, "--until", "records:20000")
        self.assertNotIn("restored", said)
        behind = 30_000 - read
        self.assertGreater(behind, 0)
        kept = folder / "kept"
        shutil.copytree(folder / "state", kept)
        _, listed = turgo.run("checkpoint", "list", "--dir", kept / "checkpoints")
        row = dict(zip(*(line.split() for line in listed.splitlines()[:2])))
        for shards in (3, 2):
            shutil.rmtree(folder / "state")
            shutil.copytree(kept, folder / "state")
            said, read = self.made_up(folder, shards, *AT_ONCE)
            self.assertEqual(read, behind)
            restored = re.findall(r'msg="restored checkpoint (\d+): (\S+) keys, (\S+), (\d+\.\d) s; replaying (\S+) records"', said)
            self.assertEqual([(*found[:3], found[4]) for found in restored], [(row["EPOCH"], "300", size_text(int(row["BYTES"])), amount(behind))], said)
            self.assertLess(float(restored[0][3]), 30)
            replayed = re.findall(r'msg="replayed (\S+) records, (\d+\.\d) s after the start"', said)
            self.assertEqual([found[0] for found in replayed], [amount(behind)], said)
            self.assertLess(said.index("restored checkpoint"), said.index("replayed "))
        said, read = self.made_up(folder, 2, *AT_ONCE, env={"TURGO_FAILPOINT": "recovery.load:2:delay:2500"})  # one shard has loaded, one waits
        lines = re.findall(r'msg="restoring checkpoint (\d+): loaded (\S+) of (\S+)"', said)
        self.assertEqual(len(lines), 1, said)
        size = re.search(r'msg="restored checkpoint (\d+): 300 keys, (\S+), (2\.[5-9]|[3-9]\.\d) s; nothing to replay"', said)
        self.assertIsNotNone(size, said)
        self.assertEqual((lines[0][0], lines[0][2]), size.groups()[:2])
        self.assertNotEqual(lines[0][1], lines[0][2])
        self.assertLess(said.index("restoring"), said.index("restored"))
        self.assertEqual(read, 0)
        self.assertNotIn("replayed", said)

    def made_up(self, folder, shards, *flags, env=None):
        """What a life of MADE_UP said, and how many records it read."""
        life = turgo.Turgo("run", folder / "job.yaml", "--shards", shards, "--quiet", "--report", folder / "report.json", *flags, env=env)
        self.addCleanup(life.__exit__)
        self.assertEqual(life.wait(60), 0, life.text()[-3000:])
        return life.text(), json.loads((folder / "report.json").read_text())["records_in"]

    def test_a_restart_behind_the_end_reads_nothing_and_changes_nothing(self):
        its_case = case(self.seed)
        self.live_to_end(its_case)
        again = self.live_to_end(its_case, "--shards", 4)
        self.assertEqual(again.records(), 0)
        self.assertRegex(again.run.text(), r'restored checkpoint \d+: \S+ keys, \S+iB, \d+\.\d s"', "files do not say how many records they hold")
        self.assert_result(its_case, again)

    def test_the_first_checkpoint_of_a_start_with_as_many_shards_is_a_delta_behind_the_last_one(self):
        its_case = case(self.seed)
        kinds = []
        for shards in (2, 2, 3):
            life = self.live_to_end(its_case, "--shards", shards, every="1h", outputs="table")  # the last checkpoint of a run is its only one
            kinds.append(sorted({path.suffix for path in (life.checkpoints / f"e{life.newest()}").iterdir()}))
        self.assertEqual(kinds, [[".base"], [".delta"], [".base"]], "with another number of shards a chain cannot go on")
        self.assert_table(its_case, life)

    def test_fresh_begins_anew(self):
        its_case = case(self.seed)
        self.live_to_end(its_case)
        again = self.live_to_end(its_case, fresh=True)
        self.assertEqual(again.records(), its_case.count)
        self.assert_result(its_case, again)


CROWDED = """
job: crowded
state_dir: "%(folder)s/state"
engine: {max_keys: 300}
checkpoint: {every: 1h}
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
late: {"null": {}}
"""


class Refusals(RecoveryTest):
    """What a start says to a directory that does not fit."""

    @classmethod
    def setUpClass(cls):
        cls.case = case(turgo.fresh_seeds(1)[0])

    def assert_refused(self, run, code, word):
        self.assertEqual(run.wait(60), code, run.text()[-3000:])
        self.assertIn(word, run.text())

    def test_a_run_that_was_drained_has_nothing_to_go_on_with(self):
        drained = self.run_with_drain()
        self.assertEqual(drained.wait(60), 0, drained.text()[-3000:])
        self.assert_refused(self.run_with_drain(), 78, "TG1522")
        fresh = self.run_with_drain("--fresh")
        self.assertEqual(fresh.wait(60), 0, fresh.text()[-3000:])

    def run_with_drain(self, *flags):
        folder = self.case.folder / "drained"
        (folder / "out").mkdir(parents=True, exist_ok=True)
        sets = [word for value in (*self.case.made.params.sets(), "checkpoint.every=50ms") for word in ("--set", value)]
        process = turgo.Turgo("run", job_file(), "--profile", "replay", "--until", "end", "--quiet", "--state-dir", folder / "state", *sets, *flags,
                              env={"TURGO_IN": self.case.folder / "in", "TURGO_OUT": folder / "out"})
        self.addCleanup(process.__exit__)
        return process

    def test_keys_that_do_not_fit_another_number_of_shards_name_the_max_keys_that_does(self):
        folder = self.case.folder / "crowded"
        (folder / "in").mkdir(parents=True, exist_ok=True)
        at = "2026-03-01T10:00:00Z"
        lines = [json.dumps({"userId": f"u{number}", "transactionTimestamp": at}) + "\n" for number in range(300)]
        (folder / "in" / "p0.jsonl").write_text("".join(lines))
        job = folder / "job.yaml"
        job.write_text(CROWDED % {"folder": folder})
        flags = ("--until", "end", "--no-drain")
        code, text = turgo.run("run", job, "--shards", 1, *flags)
        self.assertEqual(code, 0, text)
        code, text = turgo.run("run", job, "--shards", 8, *flags)
        self.assertEqual(code, 74, text)
        self.assertRegex(text, r"TG1601 step counts: checkpoint \d+ has more keys for shard \d of 8 than its part of engine\.max_keys: 300; "
                               r"with \d+ all keys that 1 shard had room for find it again")
        enough = re.search(r"300; with (\d+) all keys", text)[1]
        code, text = turgo.run("run", job, "--shards", 8, "--set", f"engine.max_keys={enough}", *flags)
        self.assertEqual(code, 0, text)
        self.assertIn("300 keys", text)
        code, text = turgo.run("run", job, "--shards", 8, "--set", "engine.max_keys=100", *flags)
        self.assertIn("engine.max_keys: 100; it was larger when the checkpoint was made", text)

    def test_another_topic_is_refused(self):
        first = self.live_to_end(self.case)
        self.assert_refused(self.live(self.case, "--set", "sources.tx.file.topic=another").run, 78, "TG1516")
        self.assertEqual(self.live_to_end(self.case).records(), 0, "a refusal changes nothing")
        self.assert_table(self.case, first)

    def test_another_number_of_partitions_is_refused(self):
        self.live_to_end(self.case)
        shutil.copytree(self.case.folder / "in", scratch / "more", dirs_exist_ok=True)
        (scratch / "more" / inputs.TOPIC / f"p{len(self.case.made.partitions)}.jsonl").write_bytes(b"")
        self.assert_refused(self.live(self.case, env={"TURGO_IN": scratch / "more"}).run, 78, "TG1516")

    def changed_input(self, name, change):
        """A copy of the case's input, the longest file of it changed."""
        folder = scratch / f"changed-{name}"
        shutil.copytree(self.case.folder / "in", folder)
        path = max((folder / inputs.TOPIC).glob("p*.jsonl"), key=lambda path: path.stat().st_size)
        path.write_bytes(change(path.read_bytes()))
        return {"TURGO_IN": folder}

    def test_a_file_that_has_become_shorter_is_refused_and_a_longer_one_is_gone_on_with(self):
        self.live_to_end(self.case)
        cut = self.changed_input("cut", lambda data: data[:data[:-1].rindex(b"\n") + 1])
        self.assert_refused(self.live(self.case, env=cut).run, 69, "TG1517")
        empty = self.changed_input("empty", lambda data: b"")
        self.assert_refused(self.live(self.case, env=empty).run, 78, "TG1516")
        longer = self.changed_input("longer", lambda data: data + (b"" if data.endswith(b"\n") else b"\n") + b"not json\n")
        self.assertEqual(self.live_to_end(self.case, env=longer).records(), 1)

    def test_a_file_that_was_replaced_is_refused(self):
        first = self.live_to_end(self.case)
        other = self.changed_input("other", lambda data: bytes([data[0] ^ 1]) + data[1:])
        self.assert_refused(self.live(self.case, env=other).run, 78, "TG1516")
        self.assertEqual(self.live_to_end(self.case).records(), 0, "a refusal changes nothing")
        self.assert_table(self.case, first)

    def test_another_graph_and_another_job_are_refused(self):
        self.live_to_end(self.case)
        original = job_file().read_text()
        for word, text in (("TG1515", original.replace("  counts:", "  tallies:").replace("from: counts", "from: tallies")),
                           ("TG1514", original.replace("job: purchase_count", "job: another"))):
            self.assertNotEqual(text, original)
            with tempfile.NamedTemporaryFile("w", suffix=".yaml", dir=scratch) as other:
                other.write(text)
                other.flush()
                life = self.live(self.case, job=other.name, sets=word != "TG1515")
                self.assert_refused(life.run, 78, word)

    def test_a_second_process_on_the_same_directory_is_told_who_has_it(self):
        first = self.live(self.case, "--poll-size", 1, every="10ms")
        wait_for_checkpoint(first, 1)
        first.run.send(signal.SIGSTOP)
        second = self.live(self.case)
        self.assert_refused(second.run, 75, "TG1604")
        self.assertIn(str(first.run.pid), second.run.text())
        first.run.send(signal.SIGCONT)
        self.assertEqual(first.run.wait(60), 0, first.run.text()[-3000:])
        self.assert_table(self.case, first)

    def stopped_at(self, plan, *flags, **options):
        """A life that stands still there (TURGO_FAILPOINT), and in no transaction of its table: then nobody else could write to that."""
        for _ in range(20):
            life = self.live(self.case, "--poll-size", 1, *flags, every="10ms", outputs="table", env={"TURGO_FAILPOINT": plan}, **options)
            deadline = time.monotonic() + 60
            while turgo.process_state(life.run.pid) != "T":
                self.assertTrue(life.run.running(), life.run.text()[-3000:])
                self.assertLess(time.monotonic(), deadline, f"nobody stopped at {plan}")
                time.sleep(0.001)
            if not in_transaction(life.out / "counts.db"):
                return life
            life.close()
        self.fail(f"seed {self.case.seed}: at {plan} the table is always being written")

    def test_a_process_that_was_replaced_while_it_stood_still_stops_and_spoils_nothing(self):
        for step in STEPS:
            with self.subTest(step=step):
                first = self.stopped_at(f"{step}:{random.randint(1, 3)}:stop", name=step)
                (first.checkpoints / "LOCK").unlink()  # somebody is sure that nothing runs there any more
                second = self.live(self.case, "--poll-size", 1, "--shards", 3, every="10ms", outputs="table", name=step)
                wait_for_checkpoint(second, first.newest() + 1)
                first.run.send(signal.SIGCONT)
                self.assert_refused(first.run, 75, "TG1521")
                self.assertEqual(second.run.wait(60), 0, second.run.text()[-3000:])
                self.assert_table(self.case, second)
                self.assertEqual(self.live_to_end(self.case, outputs="table", name=step).records(), 0, "its checkpoints are whole")

    def test_one_that_was_replaced_before_its_decision_does_not_decide(self):
        first = self.stopped_at("manifest.rename:1:stop")
        (first.checkpoints / "LOCK").unlink()
        second = self.stopped_at("manifest.sync:1:stop", "--shards", 3)  # a manifest without a name, of the same number
        first.run.send(signal.SIGCONT)
        self.assert_refused(first.run, 75, "TG1521")
        self.assertEqual(second.newest(), 0)
        second.run.send(signal.SIGCONT)
        self.assertEqual(second.run.wait(60), 0, second.run.text()[-3000:])
        self.assertNotIn("TG15", second.run.text(), "nobody took its manifest")
        self.assert_table(self.case, second)

    def test_one_that_was_replaced_behind_its_decision_removes_nothing_of_the_other_ones(self):
        first = self.stopped_at("checkpoint.commit:1:stop")
        (first.checkpoints / "LOCK").unlink()
        # Its files are there and nothing names them yet; it dies once something does.
        second = self.stopped_at("manifest.create:1:stop,checkpoint.commit:1:kill", "--shards", 3)
        first.run.send(signal.SIGCONT)
        self.assert_refused(first.run, 75, "TG1521")
        second.run.send(signal.SIGCONT)
        self.assertEqual(second.run.wait(60), -signal.SIGKILL, second.run.text()[-3000:])
        newest = second.newest()
        third = self.live_to_end(self.case, outputs="table")
        self.assertIn(f"restored checkpoint {newest}:", third.run.text(), "it is whole")
        self.assert_table(self.case, third)

    def test_fresh_does_not_remove_what_is_another_jobs(self):
        life = self.live_to_end(self.case, outputs="table")
        newest = life.newest()
        other = scratch / "another.yaml"
        other.write_text(job_file("table").read_text().replace("job: purchase_count", "job: another"))
        self.assert_refused(self.live(self.case, job=other, fresh=True, outputs="table").run, 78, "TG1514")
        self.assertEqual(life.newest(), newest)
        self.assertEqual(self.live_to_end(self.case, outputs="table").records(), 0)

    def test_a_damaged_manifest_leads_to_the_checkpoint_before_it(self):
        for kind in ("damaged", "cut", "empty"):
            with self.subTest(kind=kind):
                life, _ = self.killed_late()
                path = life.checkpoints / f"MANIFEST-{life.newest()}"
                data = path.read_bytes()
                path.write_bytes({"damaged": flip(data, len(data) // 2), "cut": data[:len(data) // 2], "empty": b""}[kind])
                again = self.live_to_end(self.case, "--shards", 3, outputs="table")
                self.assertLess(again.records(), self.case.count, "the one before it is used")
                self.assert_table(self.case, again)

    def test_a_start_says_what_it_passes_over(self):
        life, _ = self.killed_late()
        path = life.checkpoints / f"MANIFEST-{life.newest()}"
        path.write_bytes(b"")
        again = self.live_to_end(self.case, outputs="table")
        self.assertRegex(again.run.text(), f"warn.*{path.name}")

    def test_damaged_state_is_never_loaded(self):
        life, _ = self.killed_late()
        newest = life.checkpoints / f"e{life.newest()}"
        for path in newest.iterdir():
            data = path.read_bytes()
            path.write_bytes(flip(data, len(data) // 2))
        again = self.live_to_end(self.case, outputs="table")
        self.assert_table(self.case, again)

    def test_a_directory_of_damaged_manifests_only_is_refused_and_fresh_begins_anew(self):
        life, _ = self.killed_late()
        for path in life.checkpoints.glob("MANIFEST-*"):
            path.write_bytes(flip(path.read_bytes(), 60))
        self.assert_refused(self.live(self.case, outputs="table").run, 65, "TG1512")
        fresh = self.live_to_end(self.case, outputs="table", fresh=True)
        self.assertEqual(fresh.records(), self.case.count)
        self.assert_table(self.case, fresh)

    def test_a_damaged_checkpoint_whose_rows_are_outside_is_not_passed_over_silently(self):
        life, _ = self.killed_late("file")
        for path in life.checkpoints.glob("MANIFEST-*"):
            path.write_bytes(b"")
        again = self.live(self.case, outputs="file")
        self.assertEqual(again.run.wait(60), 65, again.run.text()[-3000:])
        self.assertRegex(again.run.text(), "TG1518|TG1512")

    def test_a_manifest_that_is_gone_is_missed_when_its_rows_are_outside(self):
        self.killed_late("file")
        life = self.live_to_end(self.case, outputs="file")
        newest = life.newest()
        (life.checkpoints / f"MANIFEST-{newest}").unlink()
        again = self.live(self.case, outputs="file")
        self.assert_refused(again.run, 65, "TG1518")
        self.assertIn(f"checkpoint {newest} is damaged (MANIFEST-{newest} is missing)", again.run.text())
        accepted = self.live_to_end(self.case, "--accept-duplicates", outputs="file")
        self.assertGreater(accepted.newest(), newest)
        self.assertEqual(self.live_to_end(self.case, outputs="file").records(), 0, "nothing is missed any more")
        for path in life.checkpoints.glob("MANIFEST-*"):
            path.unlink()
        self.assert_refused(self.live(self.case, outputs="file").run, 65, "TG1518")
        fresh = self.live_to_end(self.case, outputs="file", fresh=True)
        self.assertEqual(fresh.records(), self.case.count)
        self.assert_result(self.case, fresh)

    def test_an_unreadable_manifest_may_have_rows_outside_unless_it_is_known_that_it_had_none(self):
        life, _ = self.killed_late("file")
        newest = life.newest()
        (life.checkpoints / f"MANIFEST-{newest}").write_bytes(b"")
        (life.checkpoints / f"ACK-{newest}").unlink(missing_ok=True)
        again = self.live(self.case, outputs="file")
        self.assertEqual(again.run.wait(60), 65, again.run.text()[-3000:])
        self.assertIn("TG1518", again.run.text())


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:]


class Restores(RecoveryTest):
    """turgo checkpoint restore: the next start goes on from the checkpoint that was asked for."""

    @classmethod
    def setUpClass(cls):
        cls.case = case(turgo.fresh_seeds(1)[0])

    def restore(self, life, *arguments, code=0, job=None):
        found, text = turgo.run("checkpoint", "restore", job or job_file(life.outputs), *arguments, "--profile", "replay", "--set",
                                f"state_dir={life.folder / 'state'}")
        self.assertEqual(found, code, text)
        return text

    def test_an_older_one_becomes_the_newest_and_is_gone_on_from(self):
        life, epochs = self.killed_late()
        copy = life.folder / "state-copy"
        shutil.copytree(life.folder / "state", copy)
        from_newest = self.live_to_end(self.case, outputs="table").records()
        shutil.rmtree(life.folder / "state")
        shutil.copytree(copy, life.folder / "state")
        text = self.restore(life, epochs[-1])
        self.assertRegex(text, f"ok  checkpoint {epochs[-1]} is now checkpoint {epochs[0] + 1}, the newest: .*the next start goes on from it")
        self.assertIn("is the newest", self.restore(life, epochs[0] + 1))
        again = self.live_to_end(self.case, "--shards", 3, outputs="table")
        self.assertIn(f"restored checkpoint {epochs[0] + 1}", again.run.text())
        self.assertGreaterEqual(again.records(), from_newest)
        self.assertLess(again.records(), self.case.count)
        self.assert_table(self.case, again)

    def test_rows_that_are_outside_are_not_written_again_unless_it_is_wanted(self):
        life, epochs = self.killed_late("file")
        self.assertIn("TG1523", self.restore(life, epochs[-1], code=65))
        self.assertEqual(life.newest(), epochs[0], "a refusal changes nothing")
        self.restore(life, epochs[-1], "--accept-duplicates")
        again = self.live_to_end(self.case, outputs="file")
        self.assert_result(self.case, again, "a file is cut back to what it was")

    def test_a_running_job_keeps_its_directory(self):
        life = self.live(self.case, "--poll-size", 1, every="10ms", outputs="table")
        wait_for_checkpoint(life, 2)
        life.run.send(signal.SIGSTOP)
        oldest = min(int(path.name[9:]) for path in life.checkpoints.glob("MANIFEST-*"))
        self.assertIn("TG1604", self.restore(life, oldest, code=75))
        life.run.send(signal.SIGCONT)
        self.assertEqual(life.run.wait(60), 0, life.run.text()[-3000:])

    def test_a_copied_directory_replaces_a_lost_or_a_later_one(self):
        life, _ = self.killed_late()
        backup = life.folder / "backup"
        shutil.copytree(life.checkpoints, backup)
        self.live_to_end(self.case, outputs="table")
        later = life.newest()
        self.restore(life, "--from", backup)
        self.assertEqual(life.newest(), later + 1)
        again = self.live_to_end(self.case, outputs="table")
        self.assertIn(f"restored checkpoint {later + 1}", again.run.text())
        self.assert_table(self.case, again)
        shutil.rmtree(life.folder / "state")
        self.restore(life, "--from", backup)
        again = self.live_to_end(self.case, "--shards", 3, outputs="table")
        self.assertLess(again.records(), self.case.count)
        self.assert_table(self.case, again)

    def test_rows_of_a_checkpoint_whose_manifest_is_gone_count_as_shown(self):
        self.killed_late("file")
        life = self.live_to_end(self.case, outputs="file")
        newest = life.newest()
        (life.checkpoints / f"MANIFEST-{newest}").unlink()
        older = life.newest()
        self.assertIn(f"checkpoint {newest} has shown rows", self.restore(life, older, code=65))
        self.restore(life, older, "--accept-duplicates")
        again = self.live_to_end(self.case, outputs="file")
        self.assertIn(f"restored checkpoint {newest + 1}", again.run.text())
        self.assertGreater(again.newest(), newest + 1)
        self.assert_result(self.case, again, "a file is cut back to what it was")

    def test_behind_a_damaged_part_of_staged_rows_the_checkpoint_before_it_is_the_way_on(self):
        life = self.live(self.case, "--poll-size", 1, every="10ms", outputs="file", fresh=True, env={"TURGO_FAILPOINT": "checkpoint.commit:3:kill"})
        self.assertEqual(life.run.wait(60), -signal.SIGKILL, life.run.text()[-3000:])
        epochs = [int(checkpoint["EPOCH"]) for checkpoint in life.listed()]
        part = max(life.out.rglob("*.part-*"), key=lambda path: path.stat().st_size)
        part.write_bytes(flip(part.read_bytes(), part.stat().st_size // 2))
        refused = self.live(self.case, outputs="file")
        self.assertEqual(refused.run.wait(60), 74, refused.run.text()[-3000:])
        self.assertRegex(refused.run.text(), f"TG1502.*{re.escape(part.name)} is not the part that the checkpoint means")
        self.restore(life, epochs[1], "--accept-duplicates")
        again = self.live_to_end(self.case, outputs="file")
        self.assertIn(f"restored checkpoint {epochs[0] + 1}", again.run.text())
        self.assert_result(self.case, again, "nothing of the damaged one was shown")

    def test_what_cannot_be_restored_is_refused_and_changes_nothing(self):
        life, epochs = self.killed_late()
        before = sorted(str(path) for path in life.checkpoints.rglob("*") if not path.name.startswith("GENERATION"))
        original = job_file("table").read_text()
        self.assertIn("TG1520", self.restore(life, 4711, code=66))
        self.assertIn("TG1520", self.restore(life, "--from", life.folder / "nothing", code=66))
        for word, text in (("TG1514", original.replace("job: purchase_count", "job: another")),
                           ("TG1515", original.replace("  counts:", "  tallies:").replace("from: counts", "from: tallies"))):
            self.assertNotEqual(text, original)
            other = life.folder / "other.yaml"
            other.write_text(text)
            self.assertIn(word, self.restore(life, epochs[-1], code=78, job=other))
        newest = max((path for path in (life.checkpoints / f"e{epochs[-1]}").iterdir()), key=lambda path: path.stat().st_size)
        newest.write_bytes(flip(newest.read_bytes(), newest.stat().st_size // 2))
        self.assertIn("TG1512", self.restore(life, epochs[-1], code=65))
        self.assertEqual(sorted(str(path) for path in life.checkpoints.rglob("*") if not path.name.startswith("GENERATION")), before)
        self.assert_table(self.case, self.live_to_end(self.case, outputs="table"))


class FullDisk(RecoveryTest):
    """Checkpoints on a file system of 2 MiB that is full for a while: the job goes on, and so do checkpoints once there is room. With output
    on it, too, and with kills meanwhile: test_failpoints.py."""

    JOB = """
job: full_disk
state_dir: "%(state)s"
checkpoint: {every: "%(every)s"}
sources:
  tx:
    generate: {kind: tx, rate: 10k/s, count: 60000, keys: 300, seed: 5, start_time: "2026-03-01T10:00:00Z"}
    fields: {user: {type: text, path: userId, required: true}, at: {type: timestamp, path: transactionTimestamp, required: true}}
    event_time: at
    watermark: {delay: 5s, idle_after: 1h, max_skew: off}
    partitioned_by: [user]
steps: {counts: {process: {operator: purchase_count, from: tx, key: [user], params: {window: 5m, idle: 30s}}}}
sinks:
  counts:
    from: counts
    sqlite: {path: "%(folder)s/counts.db", table: counts}
    columns: {userId: user, purchaseCount: n, eventTimestamp: at, isTimeout: timeout}
dead_letters: {"null": {}}
late: {"null": {}}
"""

    def start(self, name, every, mount=None):
        """A run; with `mount` options its state folder is a file system of its own, seen by this run alone."""
        folder = scratch / f"disk-{name}"
        state = folder / "state"
        state.mkdir(parents=True)
        job = folder / "job.yaml"
        job.write_text(self.JOB % {"state": state, "every": every, "folder": folder})
        program = turgo.BIN
        if mount:
            program = folder / "turgo"
            program.write_text(f"#!/bin/sh\nexec unshare -m sh -c 'mount -t tmpfs -o {mount} turgo {state} && exec {turgo.BIN} \"$@\"' sh \"$@\"\n")
            program.chmod(0o755)
        with mock.patch.object(turgo, "BIN", program):
            process = turgo.Turgo("run", job, "--until", "end", "--no-drain", "--quiet", "--shards", 2)
        self.addCleanup(process.__exit__)
        return process, folder

    def setUp(self):
        probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=64k", "turgo", scratch], capture_output=True, text=True, check=False) \
            if shutil.which("unshare") else None
        if probe is None or probe.returncode != 0:
            self.skipTest(f"no small file system can be mounted here: {probe.stderr.strip() if probe else 'there is no unshare'}")

    def test_a_full_disk_costs_checkpoints_and_nothing_else(self):
        plain, plain_folder = self.start("plain", "off")
        run, folder = self.start("full", "100ms", "size=2m")
        state = pathlib.Path(f"/proc/{run.pid}/root{folder}/state")
        checkpoints = state / "checkpoints"
        self.wait(run, lambda: newest_of(checkpoints) >= 1, "a first checkpoint")
        with open(state / "filler", "wb") as filler:
            try:
                while filler.write(b"x" * 4096):
                    filler.flush()
            except OSError as error:
                self.assertEqual(error.errno, errno.ENOSPC)
            with contextlib.suppress(OSError):
                filler.close()
        self.wait(run, lambda: "TG2501" in run.text(), "the warning of a checkpoint that failed")
        self.assertRegex(run.text(), "warn.*TG2501.*checkpoint .*No space left on device")
        before = newest_of(checkpoints)
        self.assertGreaterEqual(before, 1, "the complete ones stay")
        time.sleep(0.5)
        self.assertTrue(run.running(), run.text()[-2000:])
        (state / "filler").unlink()
        self.wait(run, lambda: newest_of(checkpoints) > before, "a checkpoint after the lack of space")
        self.assertEqual(run.wait(120), 0, run.text()[-2000:])
        self.assertEqual(plain.wait(120), 0, plain.text()[-2000:])
        self.assertEqual(read_table(folder), read_table(plain_folder))
        self.assertGreater(len(read_table(folder)), 100)

    def test_a_read_only_folder_is_refused_at_the_start(self):
        run, _ = self.start("read-only", "100ms", "size=2m,ro")
        self.assertEqual(run.wait(30), 74, run.text())
        self.assertIn("TG1510", run.text())

    def wait(self, run, condition, what):
        deadline = time.monotonic() + 60
        while not condition():
            self.assertTrue(run.running() and time.monotonic() < deadline, f"{what} did not come: {run.text()[-2000:]}")
            time.sleep(0.005)


if __name__ == "__main__":
    unittest.main()
