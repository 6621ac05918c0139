"""Dead letters in a Kafka topic: each refused record has one, however large it was; what the topic does not take is shortened."""

import base64
import json
import unittest

from tests.jobs import turgo
from tests.jobs.services import ServiceTest, tool, transaction
from tests.model.purchase_count import parse_instant

T0 = parse_instant("2026-03-01T10:00:00Z")
KEPT = 4096  # bytes of a record whose entry is too large for its topic
DEFAULT_LIMIT = 1_048_588  # of a topic, where nobody set another one


class DeadLetters(ServiceTest):
    def setUp(self):
        super().setUp()
        self.letters = f"{self.topic}.dead"
        text = turgo.JOB.read_text()
        old = "dead_letters: {file: {path: var/purchase_count/dead_letters.jsonl}}"
        self.assertIn(old, text)
        self.job = self.folder / "job.yaml"
        self.job.write_text(text.replace(old, 'dead_letters: {kafka: {topic: x, brokers: "${KAFKA_BROKERS}"}}'))

    def make_letters_topic(self, limit):
        tool("kafka", "org.apache.kafka.tools.TopicCommand", "--create", "--topic", self.letters, "--partitions", 1, "--config", f"max.message.bytes={limit}")
        self.addCleanup(self.drop_topic, self.letters)

    def run_job(self):
        values = {"sources.tx.kafka.topic": self.topic, "sources.tx.kafka.group": self.name, "sources.tx.kafka.start": "earliest",
                  "sources.tx.watermark.max_skew": "off", "sinks.user_transaction_counts.cassandra.table": self.table,
                  "dead_letters.kafka.topic": self.letters, "late.file.path": self.folder / "late.jsonl"}
        report = self.folder / "report.json"
        code, text = turgo.run("run", self.job, "--profile", "prod", "--until", "end", "--fresh", "--report", report, "--state-dir", self.folder / "state",
                               *[word for name, value in values.items() for word in ("--set", f"{name}={value}")], env=self.env, timeout=120)
        self.assertEqual(code, 0, text[-3000:])
        return json.loads(report.read_text()), text

    def found(self):
        return {letter["offset"]: letter for letter in (json.loads(value) for _, value, _ in self.consume(0, self.letters))}

    def assert_letters(self, values, limit):
        """One entry for each refused value: whole where the topic takes it, else its beginning and its length."""
        letters = self.found()
        refused = {offset: value for offset, value in enumerate(values) if value is not None}
        self.assertEqual(sorted(letters), sorted(refused))
        cut = 0
        for offset, value in refused.items():
            letter = letters[offset]
            self.assertEqual((letter["topic"], letter["partition"]), (self.topic, 0))
            raw = base64.b64decode(letter["raw_base64"]) if "raw_base64" in letter else letter["raw"].encode()
            if "raw_bytes" in letter:
                cut += 1
                self.assertEqual(letter["raw_bytes"], len(value))
                self.assertTrue(value.startswith(raw) and KEPT - 4 < len(raw) <= KEPT, (offset, len(raw)))
                self.assertGreater(len(value) * 6, limit, "it would have fitted")
            else:
                self.assertEqual(raw, value)
        return cut

    def values(self):
        """(values to produce, the same with None for those that are accepted)"""
        good = transaction("u1", T0)
        refused = [b"{", b'{"userId":"' + b"k" * 1_500_000 + b'"}', b"[" * 100_000, b"[" * 5_000_000, b'{"userId":"' + b"\xff" * 1_200_000, b"\x01" * 7_000_000,
                   "\u2603".encode() * 700_000, b'{"userId":"' + b"m" * 400_000 + b'"', b"]"]
        values = [good]
        for value in refused:
            values += [value, good]
        return values, [None if value is good else value for value in values]

    def check(self, limit):
        values, expected = self.values()
        self.make_topic(1)
        self.make_letters_topic(limit)
        self.create_table()
        self.produce(0, values)
        report, text = self.run_job()
        self.assertEqual((report["records_in"], report["records_dead"]), (len(values), len(values) // 2))
        self.assertEqual(list(self.read_table()), ["u1"])
        self.assertEqual(report["sinks"]["dead_letters"]["rows_written"], len(values) // 2)
        return self.assert_letters(expected, limit), text

    def test_records_larger_than_the_topic_takes_are_shortened_and_the_job_goes_on(self):
        cut, text = self.check(DEFAULT_LIMIT)
        self.assertEqual(cut, 5)
        self.assertIn("TG2202", text)

    def test_a_limit_that_only_the_broker_knows_is_met_on_the_way(self):
        cut, _ = self.check(150_000)
        self.assertEqual(cut, 6)

    def test_a_client_that_may_send_more_than_the_broker_takes(self):
        self.job.write_text(self.job.read_text().replace("topic: x,", 'topic: x, client: {message.max.bytes: "8000000"},'))
        cut, _ = self.check(DEFAULT_LIMIT)
        self.assertEqual(cut, 5)


if __name__ == "__main__":
    unittest.main()
