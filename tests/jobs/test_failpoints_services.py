"""The failpoints of the Kafka and Cassandra sinks, which are reached with the real ones only: killed there, failed there; table and dead
letters are the model's."""

import json
import os
import signal

from tests.jobs import turgo
from tests.jobs.services import ServiceTest
from tests.model import inputs
from tests.model.purchase_count import Params, run

HITS = int(os.environ.get("TURGO_FAILPOINT_HITS", "2"))
PREFIXES = ("kafka.", "cassandra.")
NEEDS = {"kafka.replace": "kafka.serve:1:error:EIO"}  # a producer that is dead
OLD = "dead_letters: {file: {path: var/purchase_count/dead_letters.jsonl}}"


def names():
    code, text = turgo.run("failpoints")
    if code != 0:
        raise AssertionError(text)
    return [name for name in text.split() if name.startswith(PREFIXES)]


class ServiceFailpoints(ServiceTest):
    def setUp(self):
        super().setUp()
        self.made = inputs.generate(turgo.fresh_seeds(1)[0], 3000, partitions=2, params=Params(drain=False))
        self.letters = f"{self.topic}.dead"
        self.make_topic(2)
        self.make_topic(1, self.letters)
        for number, values in self.made.partitions.items():
            self.produce(number, [value for value in values if value])  # kcat's line mode cannot make an empty record
        self.model = run({number: [(offset, value, None) for offset, value, _ in log] for number, log in self.consume_all(2).items()}, self.made.params)
        text = turgo.JOB.read_text()
        self.assertIn(OLD, text)
        self.job = self.folder / "job.yaml"
        self.job.write_text(text.replace(OLD, 'dead_letters: {kafka: {topic: x, brokers: "${KAFKA_BROKERS}"}}'))

    def live(self, name, shards, *plans):
        values = {"sources.tx.kafka.topic": self.topic, "sources.tx.kafka.group": self.name, "sources.tx.kafka.start": "earliest",
                  "sources.tx.watermark.max_skew": "off", "sources.tx.watermark.idle_after": "1h", "checkpoint.every": "50ms",
                  "sinks.user_transaction_counts.cassandra.table": self.table, "dead_letters.kafka.topic": self.letters,
                  "late.file.path": self.folder / name / "late.jsonl"}
        life = turgo.Turgo("run", self.job, "--profile", "prod", "--until", "end", "--no-drain", "--quiet", "--poll-size", 64, "--shards", shards,
                           "--state-dir", self.folder / name / "state", *[word for key, value in values.items() for word in ("--set", f"{key}={value}")],
                           env={**self.env, "TURGO_FAILPOINT": ",".join(plans)})
        self.addCleanup(life.__exit__)
        return life

    def begin(self, name):
        """A table of its own; dead letters from here on."""
        self.table = f"{self.table.partition('.')[0]}.{self.name}_{name.replace('.', '_').replace('-', '_')}"
        self.create_table()
        self.letters_before = len(self.consume(0, self.letters))

    def end(self, name, where):
        life = self.live(name, 3)
        self.assertEqual(life.wait(60), 0, f"{where}: {life.text()[-3000:]}")
        self.assert_result(name, where)

    def assert_result(self, name, where):
        self.assert_table_equals(self.model.table(), where)
        found = {(letter["partition"], letter["offset"]) for letter in
                 (json.loads(value) for _, value, _ in self.consume(0, self.letters)[self.letters_before:])}
        self.assertEqual(found ^ {(letter["partition"], letter["offset"]) for letter in self.model.dead}, set(), f"{where}: dead letters")
        late = turgo.read_rows(self.folder / name / "late.jsonl")
        self.assertEqual(turgo.compare_bags("late entry", [{**entry, "topic": self.topic} for entry in self.model.late], late), [], where)

    def test_a_kill_at_every_failpoint_of_the_network_sinks_is_survived(self):
        reached = set()
        for place in names():
            for visit in range(1, HITS + 1):
                name = f"{place}-{visit}"
                where = f"{place}:{visit}:kill (TG_SEED={self.made.seed})"
                with self.subTest(where):
                    self.begin(name)
                    life = self.live(name, 2, f"{place}:{visit}:kill", *([NEEDS[place]] if place in NEEDS else []))
                    code = life.wait(60)
                    self.assertIn(code, (0, -signal.SIGKILL), f"{where}: {life.text()[-3000:]}")
                    reached |= {place} if code != 0 else set()
                    self.end(name, where)
        self.assertEqual(set(names()) - reached, set(), "no visit: these are not tested")

    def test_errors_of_the_network_sinks_are_waited_out(self):
        plans = {"kafka.serve": "kafka.serve:2:error:EIO,kafka.replace:1-3:error:EIO", "cassandra.write": "cassandra.write:2-200:error:EIO",
                 "flush": "kafka.flush:1+:error:EIO,cassandra.flush:1+:error:EIO"}
        for place, plan in plans.items():
            where = f"{plan} (TG_SEED={self.made.seed})"
            with self.subTest(where):
                self.begin(f"{place}-error")
                life = self.live(f"{place}-error", 2, plan)
                self.assertEqual(life.wait(60), 0, f"{where}: {life.text()[-3000:]}")
                if place == "kafka.serve":
                    self.assertIn("the producer gave up", life.text(), where)
                self.assert_result(f"{place}-error", where)
