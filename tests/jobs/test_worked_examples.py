"""The definition's worked lines and edges, on the engine."""

import pathlib
import tempfile
import unittest

from tests.jobs import turgo
from tests.model import definition
from tests.model.definition import short, tx
from tests.model.purchase_count import MINUTE, TOPIC, Params


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
        # The long record keeps the files' blocks apart: u1 of partition 0, u1 of partition 1, then `fast`, which takes
        # the clock of partition 0 to 10:19:30. Partition 1 stands at 09:59:40, so u1's timer of 10:10:10 is not due.
        long = b'{"userId":"other","transactionTimestamp":"2026-03-01T10:00:00Z","x":"' + b"x" * (1 << 20) + b'"}'
        partitions = {0: [tx("u1", "10:00:00"), long, tx("fast", "10:20:00")], 1: [tx("u1", "10:00:10")]}
        text, report, result = self.replay(partitions, "--shards", "1", params=Params(idle=10 * MINUTE, drain=False))
        self.assertEqual(report["keys_moved"], 1)
        self.assertEqual(text.count("TG2401"), 1, text)
        self.assertEqual(short(result.by_user()["u1"]), [("10:00:00", 1, "F"), ("10:00:10", 2, "F")])

    def test_stamps_that_a_zone_does_not_have_are_counted(self):
        values = [b'{"userId":"u1","transactionTimestamp":"2024-03-31 02:30:00"}',  # the clocks jumped over it
                  b'{"userId":"u1","transactionTimestamp":"2024-03-31 03:31:00"}']
        _, report, result = self.replay({0: values}, "--set", "sources.tx.zone=Europe/Berlin")
        self.assertEqual(report["stamps_adjusted"], 1)
        self.assertEqual([row["eventTimestamp"] for row in result.rows[:2]], ["2024-03-31T01:30:00Z", "2024-03-31T01:31:00Z"])


class SeveralSteps(unittest.TestCase):
    """Three steps read one source and are late by rules of their own."""

    JOB = """
job: three
sources:
  tx:
    file: {path: "%(folder)s/in", topic: tt}
    fields: {user: {type: text, required: true}, at: timestamp}
    event_time: at
    watermark: {delay: 0s, max_skew: off}
    partitioned_by: [user]
steps:
  strict: {process: {operator: purchase_count, from: tx, key: user, params: {window: 5m, idle: 30s}}}
  patient: {process: {operator: purchase_count, from: tx, key: user, params: {window: 5m, idle: 30s}}, allowed_lateness: 1m}
  %(third)s
sinks:
  strict: {from: strict, file: {path: "%(folder)s/strict.jsonl"}}
  patient: {from: patient, file: {path: "%(folder)s/patient.jsonl"}}
dead_letters: {file: {path: "%(folder)s/dead.jsonl"}}
late: {file: {path: "%(folder)s/late.jsonl"}}
"""
    ANY = "any: {process: {operator: purchase_count, from: tx, key: user, params: {window: 5m, idle: 30s}}, late: accept}"
    TIMES = ("10:02:00", "10:01:59", "10:00:59.999999")

    def run_job(self, third):
        with tempfile.TemporaryDirectory(prefix="turgo-steps-") as folder:
            base = pathlib.Path(folder)
            (base / "in").mkdir()
            (base / "in" / "p0.jsonl").write_text("".join(f'{{"user":"u1","at":"2026-03-01T{time}Z"}}\n' for time in self.TIMES))
            (base / "job.yaml").write_text(self.JOB % {"folder": folder, "third": third})
            code, text = turgo.run("run", base / "job.yaml", "--until", "end", "--fresh", "--quiet", "--no-drain", "--shards", "2")
            self.assertEqual(code, 0, text)
            counts = {name: [row["n"] for row in turgo.read_rows(base / f"{name}.jsonl")] for name in ("strict", "patient")}
            return counts, [(row["offset"], row["lateness_us"], row["steps"]) for row in turgo.read_rows(base / "late.jsonl")]

    LATE = [(1, 1_000_000, ["strict"]), (2, 60_000_001, ["strict", "patient"])]

    def test_a_late_row_goes_to_the_steps_that_take_it_and_is_told_once(self):
        counts, late = self.run_job("")
        self.assertEqual(counts, {"strict": [1], "patient": [1, 2]})
        self.assertEqual(late, self.LATE)

    def test_a_step_that_accepts_late_rows_refuses_none_and_changes_nothing_for_the_others(self):
        counts, late = self.run_job(self.ANY)
        self.assertEqual(counts, {"strict": [1], "patient": [1, 2]})
        self.assertEqual(late, self.LATE)


if __name__ == "__main__":
    unittest.main()
