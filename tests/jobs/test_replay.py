"""Job A over random hostile files equals the reference model, whatever the shards, the poll size and the I/O loop."""

import functools
import itertools
import json
import pathlib
import random
import shutil
import tempfile
import unittest

from tests.jobs import turgo
from tests.model import inputs
from tests.model.purchase_count import SECOND, format_instant, parse_instant, run

SHARDS = (1, 2, 3, 5)
LOOPS = ("uring", "epoll")
POLLS = (1, 7, 1024)
FIXED = (1, 2, 3, 4, 5)
scratch = None
seeds = ()


def setUpModule():
    global scratch, seeds
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="turgo-replay-"))
    seeds = (*FIXED[:1 if turgo.QUICK else 5], *turgo.fresh_seeds(2 if turgo.QUICK else 6))


def tearDownModule():
    shutil.rmtree(scratch, ignore_errors=True)


@functools.lru_cache(maxsize=None)
def case(seed):
    """(inputs, expected result) of a seed, its files written once."""
    made = inputs.generate(seed, 400 if turgo.QUICK else 1500)
    made.write(scratch / str(seed) / "in")
    return made, run(made.partitions, made.params)


class Replay(unittest.TestCase):
    def check(self, shards, loop, poll):
        for seed in seeds:
            made, expected = case(seed)
            code, text, report = turgo.replay(scratch / str(seed), made.params, "--shards", shards, "--io", loop, "--poll-size", poll)
            where = f"seed {seed} shards {shards} io {loop} poll {poll}"
            self.assertEqual(code, 0, f"{where}: {text[-2000:]}")
            found = turgo.read_result(scratch / str(seed) / "out")
            self.assertEqual(turgo.differences(expected, found), [], where)
            counted = (report["records_in"], report["rows_out"], report["records_late"], report["records_dead"],
                       report["records_duplicate"], report["records_ignored"])
            self.assertEqual(counted, (made.count, len(expected.rows), len(expected.late), len(expected.dead), expected.duplicates,
                                       expected.ignored), where)


def add_combinations():
    combinations = list(itertools.product(SHARDS, LOOPS, POLLS))
    for shards, loop, poll in combinations[::5] if turgo.QUICK else combinations:
        def test(self, shards=shards, loop=loop, poll=poll):
            self.check(shards, loop, poll)
        setattr(Replay, f"test_shards_{shards}_{loop}_poll_{poll}_equals_the_model", test)


add_combinations()


class Chain(unittest.TestCase):
    """A step behind a step follows the slowest partition: its last rows are the same however its inputs meet."""

    DELAY = 2 * SECOND
    WINDOW = 60 * SECOND
    IDLE = 5 * SECOND
    JOB = """
job: chain
sources:
  tx:
    file: {path: "%(folder)s/in", topic: tt}
    fields: {user: {type: text, required: true}, team: {type: text, required: true}, at: timestamp}
    event_time: at
    watermark: {delay: 2s, max_skew: off}
    partitioned_by: [user]
steps:
  users: {process: {operator: purchase_count, from: tx, key: [user, team], params: {window: 20s, idle: 3s}}}
  teams: {process: {operator: purchase_count, from: users, key: team, params: {window: 1m, idle: 5s}}}
sinks:
  users: {from: users, file: {path: "%(folder)s/users.jsonl"}}
  teams: {from: teams, file: {path: "%(folder)s/teams.jsonl"}}
dead_letters: {file: {path: "%(folder)s/dead.jsonl"}}
late: {file: {path: "%(folder)s/late.jsonl"}}
"""
    WAYS = ((1, 1024), (2, 1), (3, 64), (5, 7), (2, 1024))  # shards, poll size

    def write(self, folder, seed):
        """The job and its input; returns the job's clock where the input ends."""
        chance = random.Random(seed)
        (folder / "in").mkdir()
        (folder / "job.yaml").write_text(self.JOB % {"folder": folder})
        clocks = []
        for partition in range(chance.choice((2, 3, 4))):
            now = parse_instant("2026-03-01T10:00:00Z")
            records, newest = [], None
            for _ in range(chance.choice((0, 500, 1_500))):
                now += chance.randrange(2_000) * 1_000
                at = now - chance.randrange(2_200) * 1_000
                newest = at if newest is None or at > newest else newest
                records.append(json.dumps({"user": f"u{chance.randrange(5)}-{partition}", "team": f"t{chance.randrange(6)}", "at": format_instant(at)}))
            (folder / "in" / f"p{partition}.jsonl").write_text("".join(record + "\n" for record in records))
            clocks += [] if newest is None else [newest - self.DELAY]
        return min(clocks, default=None)

    def last_of(self, instants, clock):
        """(n, at, timeout) of a team's last row when its rows stand at `instants` and the clock came to `clock`."""
        latest = max(instants)
        seen = sorted(at for at in instants if at > latest - self.WINDOW)
        row, timer = (len(seen), format_instant(latest), False), latest + self.IDLE
        while seen and timer < clock:
            seen = [at for at in seen if at > timer - self.WINDOW]
            row = (len(seen), format_instant(timer), True)
            timer = seen[0] + self.WINDOW if seen else timer
        return row

    def test_the_last_rows_of_a_step_behind_a_step_depend_on_the_input_alone(self):
        for seed in turgo.fresh_seeds(3 if turgo.QUICK else 6):
            with tempfile.TemporaryDirectory(prefix="turgo-chain-") as name:
                folder = pathlib.Path(name)
                clock = self.write(folder, seed)
                for shards, poll in self.WAYS:
                    code, text = turgo.run("run", folder / "job.yaml", "--until", "end", "--no-drain", "--fresh", "--quiet", "--shards", shards, "--poll-size", poll)
                    self.assertEqual(code, 0, text)
                    instants, last = {}, {}
                    for row in turgo.read_rows(folder / "users.jsonl"):
                        instants.setdefault(row["team"], []).append(parse_instant(row["at"]))
                    for row in turgo.read_rows(folder / "teams.jsonl"):
                        last[row["team"]] = (row["n"], row["at"], row["timeout"])
                    expected = {team: self.last_of(found, clock) for team, found in instants.items()}
                    self.assertEqual(last, expected, f"seed {seed} shards {shards} poll {poll}")


if __name__ == "__main__":
    unittest.main()
