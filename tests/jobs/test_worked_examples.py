"""The definition's worked lines and edges, on the engine."""

import pathlib
import tempfile
import unittest

from tests.jobs import turgo
from tests.model import definition
from tests.model.definition import tx
from tests.model.purchase_count import TOPIC, Params


class OnEngine:
    """Runs the job over files, with two shards and one record a poll: nothing may depend on what shares a batch."""

    FLAGS = ("--shards", "2", "--poll-size", "1")

    def job(self, partitions, params=Params()):
        with tempfile.TemporaryDirectory(prefix="turgo-example-") as folder:
            topic = pathlib.Path(folder) / "in" / TOPIC
            topic.mkdir(parents=True)
            for number, values in partitions.items():
                (topic / f"p{number}.jsonl").write_bytes(b"".join(value + b"\n" for value in values))
            code, text, report = turgo.replay(folder, params, *self.FLAGS)
            if code == 70 and "TG1603" in text:
                raise OverflowError(text)
            self.assertEqual(code, 0, text)
            result = turgo.read_result(pathlib.Path(folder) / "out")
            result.records, result.duplicates, result.ignored = (
                report[name] for name in ("records_in", "records_duplicate", "records_ignored"))
            return result


class Worked(OnEngine, definition.Worked, unittest.TestCase):
    pass


class Edges(OnEngine, definition.Edges, unittest.TestCase):
    pass


class Revisions(OnEngine, definition.Revisions, unittest.TestCase):
    pass


class WholeBatches(OnEngine, definition.Edges, unittest.TestCase):
    """The same edges when all records come in one poll on one shard."""

    FLAGS = ("--shards", "1", "--poll-size", "1024")


class Reported(unittest.TestCase):
    """What an input does that it should not is taken as well as can be, and told."""

    def replay(self, partitions, *flags, params=Params()):
        with tempfile.TemporaryDirectory(prefix="turgo-reported-") as folder:
            topic = pathlib.Path(folder) / "in" / TOPIC
            topic.mkdir(parents=True)
            for number, values in partitions.items():
                (topic / f"p{number}.jsonl").write_bytes(b"".join(value + b"\n" for value in values))
            code, text, report = turgo.replay(folder, params, *flags)
            self.assertEqual(code, 0, text)
            return text, report, turgo.read_result(pathlib.Path(folder) / "out")

    def test_a_user_in_two_partitions_follows_the_slower_one(self):
        partitions = {0: [tx("u1", "10:00:00"), tx("slow", "10:00:50")], 1: [tx("u1", "10:00:10"), tx("fast", "10:04:00")]}
        rows = [("2026-03-01T10:00:00Z", 1, False), ("2026-03-01T10:00:10Z", 2, False)]
        text, report, result = self.replay(partitions, "--shards", "1", params=Params(drain=False))
        self.assertEqual(report["keys_moved"], 1)
        self.assertEqual(text.count("TG2401"), 1, text)
        found = [(row["eventTimestamp"], row["purchaseCount"], row["isTimeout"]) for row in result.rows if row["userId"] == "u1"]
        self.assertEqual(found, rows)  # 10:00:40 is over in partition 1, but not in partition 0

    def test_stamps_that_a_zone_does_not_have_are_counted(self):
        values = [b'{"userId":"u1","transactionTimestamp":"2024-03-31 02:30:00"}',  # the clocks jumped over it
                  b'{"userId":"u1","transactionTimestamp":"2024-03-31 03:31:00"}']
        _, report, result = self.replay({0: values}, "--set", "sources.tx.zone=Europe/Berlin")
        self.assertEqual(report["stamps_adjusted"], 1)
        self.assertEqual([row["eventTimestamp"] for row in result.rows[:2]], ["2024-03-31T01:30:00Z", "2024-03-31T01:31:00Z"])


if __name__ == "__main__":
    unittest.main()
