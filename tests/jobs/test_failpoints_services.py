"""The failpoints of the Kafka and Cassandra sinks, and of the log of idle partitions' ticks, which are reached with a real topic and table
only: killed there, failed there; table and dead letters are the model's."""

import json
import os
import signal

from tests.jobs import turgo
from tests.jobs.services import ServiceTest, transaction
from tests.model import inputs
from tests.model.purchase_count import MINUTE, SECOND, Params, parse_instant, run

HITS = int(os.environ.get("TURGO_FAILPOINT_HITS", "2"))
PREFIXES = ("kafka.", "cassandra.")
TICKS = "ticks."
T0 = parse_instant("2026-03-01T10:00:00Z")
NEEDS = {"kafka.replace": "kafka.serve:1:error:EIO"}  # a producer that is dead
OLD = "dead_letters: {file: {path: var/purchase_count/dead_letters.jsonl}}"


def names(prefixes):
    code, text = turgo.run("failpoints")
    if code != 0:
        raise AssertionError(text)
    return [name for name in text.split() if name.startswith(prefixes)]


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

    def live(self, name, shards, *plans, until="end", idle_after="1h"):
        values = {"sources.tx.kafka.topic": self.topic, "sources.tx.kafka.group": self.name, "sources.tx.kafka.start": "earliest",
                  "sources.tx.watermark.max_skew": "off", "sources.tx.watermark.idle_after": idle_after, "checkpoint.every": "50ms",
                  "sinks.user_transaction_counts.cassandra.table": self.table, "dead_letters.kafka.topic": self.letters,
                  "late.file.path": self.folder / name / "late.jsonl"}
        values.update(pair.split("=", 1) for pair in self.made.params.sets() if "idle_after" not in pair)
        life = turgo.Turgo("run", self.job, "--profile", "prod", "--until", until, *(["--no-drain"] if until == "end" else []), "--quiet", "--poll-size", 64, "--shards", shards,
                           "--state-dir", self.folder / name / "state", *[word for key, value in values.items() for word in ("--set", f"{key}={value}")],
                           env={**self.env, "TURGO_FAILPOINT": ",".join(plans)})
        self.addCleanup(life.__exit__)
        return life

    def begin(self, name):
        """A table of its own; dead letters from here on."""
        self.table = f"{self.table.partition('.')[0]}.{self.name}_{name.replace('.', '_').replace('-', '_')}".lower()
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
        for place in names(PREFIXES):
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
        self.assertEqual(set(names(PREFIXES)) - reached, set(), "no visit: these are not tested")

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

    def test_a_kill_and_an_error_at_the_ticks_of_idle_partitions_are_survived(self):
        """Records behind which no timer is due for an hour: that the clocks of silent partitions are raised by seconds changes no row."""
        self.made = inputs.Inputs(0, Params(window=120 * MINUTE, idle=60 * MINUTE, ttl=121 * MINUTE, drain=False),
                                  {p: [transaction(f"u{p}-{n % 20}", T0 + n * SECOND) for n in range(300)] for p in range(2)})
        self.topic += ".idle"
        self.make_topic(2)
        for number, values in self.made.partitions.items():
            self.produce(number, values)
        self.model = run(self.made.partitions, self.made.params)
        reached = set()
        for place in names(TICKS):
            for plan in [f"{place}:{visit}:kill" for visit in range(1, HITS + 1)] + [f"{place}:1-2:error:EIO"]:
                with self.subTest(plan):
                    name = plan.replace(":", "-")
                    self.begin(name)
                    life = self.live(name, 2, plan, until="idle:1s", idle_after="100ms")
                    code = life.wait(60)
                    self.assertIn(code, (0, -signal.SIGKILL), f"{plan}: {life.text()[-3000:]}")
                    reached |= {place} if code != 0 else set()
                    again = self.live(name, 3, until="idle:1s", idle_after="100ms")
                    self.assertEqual(again.wait(60), 0, f"{plan}: {again.text()[-3000:]}")
                    self.assert_result(name, plan)
        self.assertEqual(set(names(TICKS)) - reached, set(), "no visit: these are not tested")
