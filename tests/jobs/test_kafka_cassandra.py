"""Job A from real Kafka into real Cassandra equals the reference model; both ends are watched by foreign clients."""

import time
import unittest

from tests.jobs import turgo
from tests.jobs.services import ServiceTest, kcat, transaction, wait_until
from tests.model import inputs
from tests.model.purchase_count import SECOND, Params, Table, parse_instant, run

T0 = parse_instant("2026-03-01T10:00:00Z")


class KafkaCassandra(ServiceTest):
    def test_a_million_records_leave_the_models_table_with_revisions_as_write_times(self):
        self.make_topic(2)
        count = 200_000 if turgo.QUICK else 1_000_000
        code, text = turgo.run("gen", "--kind", "bench_tx", "--count", count, "--seed", 42, "--brokers", self.kafka, "--topic", self.topic, timeout=300)
        self.assertEqual(code, 0, text)
        report = self.run_to_end("--create-tables", "--no-drain", "--fresh")
        expected = run(self.consume_all(2), Params(drain=False), Table())
        self.assertEqual(expected.records, count)
        self.assertEqual((report["records_in"], report["rows_out"], report["records_late"], report["records_dead"]),
                         (count, expected.rows_out, len(expected.late), len(expected.dead)))
        self.assert_table_equals(expected.table())

    def test_hostile_records_from_kcat_give_the_models_table_dead_letters_and_late_rows(self):
        made = inputs.generate(turgo.fresh_seeds(1)[0], 3000, partitions=3, params=Params())
        self.make_topic(3)
        for number, values in made.partitions.items():
            # kcat's line mode cannot make an empty record; the replay tests have those.
            self.produce(number, [value for value in values if value])
        report = self.run_to_end("--create-tables", "--fresh")
        records = self.consume_all(3)
        expected = run({number: [(offset, value, None) for offset, value, _ in log] for number, log in records.items()}, made.params)
        expected.dead = [{**letter, "topic": self.topic} for letter in expected.dead]
        expected.late = [{**entry, "topic": self.topic} for entry in expected.late]
        dead = turgo.read_rows(self.folder / "dead_letters.jsonl")
        self.assertTrue(all(letter.pop("time", None) for letter in dead), "outside replay a dead letter says when")
        late = turgo.read_rows(self.folder / "late.jsonl")
        where = f"seed {made.seed}"
        self.assertEqual(turgo.compare_bags("dead letter", expected.dead, dead), [], where)
        self.assertEqual(turgo.compare_bags("late entry", expected.late, late), [], where)
        self.assertEqual(report["records_in"], expected.records, where)
        self.assert_table_equals(expected.table(), where)

    def test_running_it_again_changes_nothing(self):
        self.make_topic(1)
        self.produce(0, [transaction(f"u{n % 50}", T0 + n * SECOND) for n in range(5000)])
        self.run_to_end("--create-tables", "--fresh")
        before = self.read_table()
        self.run_to_end("--fresh", "--shards", "2")
        self.assertEqual(self.read_table(), before)

    def test_a_tombstone_is_a_dead_letter(self):
        self.make_topic(1)
        (self.folder / "tombstone").write_bytes(b"u1:\n")
        kcat("-P", "-b", self.kafka, "-t", self.topic, "-p", 0, "-Z", "-K", ":", "-l", self.folder / "tombstone")
        self.produce(0, [transaction("u1", T0)])
        report = self.run_to_end("--create-tables", "--fresh")
        self.assertEqual((report["records_in"], report["records_dead"]), (2, 1))
        letter, = turgo.read_rows(self.folder / "dead_letters.jsonl")
        self.assertEqual((letter["reason"], letter["offset"], letter.get("raw")), ("bad_json", 0, None))

    def test_a_future_record_is_a_dead_letter_and_does_not_move_time(self):
        self.make_topic(1)
        now = int(time.time() * SECOND)
        self.produce(0, [transaction("u1", now - 60 * SECOND), transaction("u1", now + 3600 * SECOND), transaction("u1", now - 61 * SECOND)])
        report = self.run_to_end("--create-tables", "--fresh", sets={"sources__tx__watermark__max_skew": "5m"})
        self.assertEqual((report["records_dead"], report["records_late"], report["dead_by_reason"]), (1, 0, {"future": 1}))

    def test_a_row_is_written_without_waiting_for_any_other_record(self):
        self.make_topic(2)
        self.create_table()
        job = self.start("--fresh")
        self.produce(0, [transaction("warm", T0)])
        wait_until(lambda: "warm" in self.read_table(), 30, lambda: job.text()[-2000:])
        begun = time.monotonic()
        self.produce(0, [transaction("u1", T0 + SECOND)])
        wait_until(lambda: self.read_table().get("u1", (0,))[0] == 1, 10, lambda: job.text()[-2000:])
        self.assertLess(time.monotonic() - begun, 5)

    def test_on_a_silent_topic_time_goes_on_and_the_idle_row_leaves(self):
        self.make_topic(2)
        self.create_table()
        job = self.start("--fresh", sets={"sources__tx__watermark__idle_after": "1s", "sources__tx__watermark__delay": "1s",
                                          "steps__counts__process__params__idle": "2s"})
        self.produce(0, [transaction("u1", int(time.time() * SECOND))])
        wait_until(lambda: self.read_table().get("u1", (0, "", False))[2], 30, lambda: job.text()[-2000:])
        self.assertEqual(self.read_table()["u1"][0], 1)


if __name__ == "__main__":
    unittest.main()
