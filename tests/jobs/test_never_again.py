"""Mistakes that stream jobs of this kind have made before, each a regression test by name (where job A can make them)."""

import pathlib
import tempfile
import unittest

from tests.jobs import turgo
from tests.jobs.test_worked_examples import OnEngine
from tests.model.definition import WIDE, short, tx
from tests.model.purchase_count import MINUTE, TOPIC, Params


class NeverAgain(OnEngine, unittest.TestCase):
    def job_with(self, flags, partitions, params):
        self.FLAGS = flags
        return self.job(partitions, params)

    def test_equal_timestamps_are_not_kept_or_dropped_by_batch(self):
        records = [tx("u1", "10:00:00")] * 9
        for poll in ("1", "2", "4", "1024"):
            result = self.job_with(("--shards", "2", "--poll-size", poll), {0: records}, WIDE)
            self.assertEqual([row["purchaseCount"] for row in result.rows][:9], list(range(1, 10)), f"poll {poll}")

    def test_a_slow_partition_is_not_dropped_by_a_watermark_of_the_fast_one(self):
        fast = [tx("u1", f"11:{minute:02}:00") for minute in range(60)]
        slow = [tx("u2", f"10:{minute:02}:00") for minute in range(0, 60, 3)]
        result = self.job({0: fast, 1: slow}, Params())
        self.assertEqual((result.late, len([row for row in result.by_user()["u2"] if not row["isTimeout"]])), ([], 20))

    def test_a_late_batch_does_not_move_the_latest_instant_back(self):
        records = [tx("u1", "10:04:30"), tx("u1", "10:01:00"), tx("u1", "10:00:30")]
        rows = short(self.job_with(("--shards", "1", "--poll-size", "1"), {0: records}, WIDE).rows)
        self.assertEqual(rows[:3], [("10:04:30", 1, "F"), ("10:04:30", 2, "F"), ("10:04:30", 3, "F")])

    def test_an_idle_user_is_not_rewritten_for_ever(self):
        clock = [tx("u2", f"{hour:02}:00:00") for hour in range(11, 23)]
        rows = self.job({0: [tx("u1", "10:00:00"), *clock]}, Params(drain=False)).by_user()["u1"]
        self.assertEqual(short(rows), [("10:00:00", 1, "F"), ("10:00:30", 1, "T"), ("10:05:00", 0, "T")])

    def test_a_row_does_not_wait_for_the_next_record_of_another_key(self):
        result = self.job({0: [tx("u1", "10:00:00")]}, Params(drain=False))
        self.assertEqual(short(result.rows), [("10:00:00", 1, "F")])

    def test_last_weeks_input_gives_last_weeks_rows_not_zeros(self):
        records = [tx("u1", "10:00:00"), tx("u1", "10:01:00")]
        rows = short(self.job({0: records}, Params(drain=False)).rows)
        self.assertEqual(rows, [("10:00:00", 1, "F"), ("10:01:00", 2, "F")])

    def test_a_duplicate_is_one_by_its_instant_not_by_the_batch_it_comes_in(self):
        params = Params(delay=5 * MINUTE, ttl=5 * MINUTE + 5 * MINUTE)
        records = [tx("u1", "10:00:00", "a"), *[tx("u3", "10:00:01")] * 1500, tx("u1", "10:00:00", "a")]
        for poll in ("1", "1024"):
            result = self.job_with(("--shards", "1", "--poll-size", poll), {0: records}, params)
            self.assertEqual(result.duplicates, 1, f"poll {poll}")

    def test_a_partition_without_valid_records_holds_nobody_up(self):
        result = self.job({0: [tx("u1", "10:00:00"), tx("u1", "10:06:00")], 1: [b"{", b"["], 2: []}, WIDE)
        self.assertEqual((len(result.dead), short(result.by_user()["u1"])[-1]), (2, ("10:11:00", 0, "T")))

    def test_existing_output_files_are_replaced(self):
        with tempfile.TemporaryDirectory(prefix="turgo-again-") as folder:
            topic = pathlib.Path(folder) / "in" / TOPIC
            topic.mkdir(parents=True)
            (topic / "p0.jsonl").write_bytes(tx("u1", "10:00:00") + b"\n{\n")
            for _ in range(2):
                code, text, _ = turgo.replay(folder, WIDE)
                self.assertEqual(code, 0, text)
                found = turgo.read_result(pathlib.Path(folder) / "out")
                self.assertEqual((len(found.rows), len(found.dead), len(found.late)), (3, 1, 0))


if __name__ == "__main__":
    unittest.main()
