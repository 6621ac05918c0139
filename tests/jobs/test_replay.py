"""Job A over random hostile files equals the reference model, whatever the shards, the poll size and the I/O loop."""

import functools
import itertools
import pathlib
import shutil
import tempfile
import unittest

from tests.jobs import turgo
from tests.model import inputs
from tests.model.purchase_count import run

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

if __name__ == "__main__":
    unittest.main()
