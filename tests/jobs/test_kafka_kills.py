"""Job A between real servers, killed at random moments while a producer goes on and somebody looks at the table.

TURGO_KILLS_SERVERS says how often; the soak asks for many.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
import unittest

from tests.jobs import turgo
from tests.jobs.checkpoint_bytes import resealed
from tests.jobs.checkpoint_check import Oracle, dump, epochs_of
from tests.jobs.services import ServiceTest, connect, tool, transaction, wait_until
from tests.model.purchase_count import SECOND, Params, Table, format_instant, parse_instant, run

KILLS = int(os.environ.get("TURGO_KILLS_SERVERS", "6"))
T0 = parse_instant("2026-03-01T10:00:00Z")
BEGIN = parse_instant("2026-01-01T00:00:00Z")
KEPT = turgo.ROOT / "build" / "kept"
KILLS_EACH = 12  # of one topic and table; then the next ones
RATE = 4_000
# Short horizons: timers fire all the time, and the state is small.
PARAMS = Params(window=5 * SECOND, idle=2 * SECOND, delay=5 * SECOND, ttl=5 * SECOND, drain=False)


class Watcher(threading.Thread):
    """Reads the whole table again and again. A row that steps back, vanishes, or changes under the same version is a finding."""

    def __init__(self, address, table):
        super().__init__(daemon=True)
        self.statement = f'SELECT "userId", "purchaseCount", "eventTimestamp", "isTimeout", WRITETIME("purchaseCount") FROM {table}'
        self.session = connect(address)
        self.rows = {}
        self.looks = 0
        self.findings = []
        self.over = threading.Event()

    def run(self):
        from cassandra import DriverException
        from cassandra.cluster import NoHostAvailable
        while not self.over.wait(0.05):
            try:
                found = {user: (version, count, instant, timeout) for user, count, instant, timeout, version in
                         self.session.execute(self.statement, timeout=10)}
            except (DriverException, NoHostAvailable):
                continue  # it was too busy to answer
            self.compare(found)

    def compare(self, found):
        for user, before in self.rows.items():
            now = found.get(user)
            if now is None or now[0] < before[0] or (now[0] == before[0] and now != before):
                self.findings.append(f"{user}: {before} became {now}")
        self.rows.update(found)
        self.looks += 1

    def end(self):
        self.over.set()
        self.join(30)
        self.session.cluster.shutdown()


class KafkaKills(ServiceTest):
    def test_a_job_killed_between_real_servers_loses_nothing_doubles_nothing_and_no_row_steps_back(self):
        seed = turgo.fresh_seeds(1)[0]
        begun = time.monotonic()
        self.kills = self.behind = self.restores = self.early = self.skipped = self.compared = 0
        cycle = 0
        while self.kills < KILLS or not self.has_seen_all():  # lives on a busy machine may die before their first checkpoint
            self.assertLess(cycle, 6 + KILLS // KILLS_EACH, f"TG_SEED={seed}")
            self.cycle(random.Random(seed + cycle), max(3, min(KILLS_EACH, KILLS - self.kills)), f"TG_SEED={seed} cycle {cycle}")
            cycle += 1
        print(f"({self.kills} kills, {self.behind} behind a new checkpoint, {self.early} before one was loaded, {self.restores} lives began with one, "
              f"{self.compared} checkpoints compared with the model, {self.skipped} of {cycle} last lives read less than everything, {time.monotonic() - begun:.0f} s) ", end="", flush=True)

    def has_seen_all(self):
        """Kills behind a checkpoint, lives and a last life that began with one, checkpoints that were compared with the model."""
        return self.behind and self.restores and self.skipped and self.compared

    def live(self, chance, name, *flags):
        return self.start("--create-tables", "--shards", chance.randrange(1, 4), "--state-dir", self.folder / "state",
                          *[word for value in (*PARAMS.sets(), "checkpoint.every=200ms", "engine.audit=true") for word in ("--set", value)], *flags, name=name)

    @property
    def checkpoints(self):
        return self.folder / "state" / "checkpoints"

    def newest(self):
        return max(epochs_of(self.checkpoints), default=0)

    def keep_checkpoints(self):
        """What those hold that are new since the last life; the model knows the log at the end only."""
        self.dumps.update((epoch, dump(self.checkpoints, epoch)) for epoch in epochs_of(self.checkpoints) if epoch not in self.dumps)

    def cycle(self, chance, kills, where):
        self.setUp()  # a topic, a table and a folder of its own
        self.dumps = {}
        partitions = chance.randrange(1, 5)
        self.make_topic(partitions)
        self.create_table()
        # A partition that never had a valid record is idle at once and follows the others, by a clock that the model has not.
        for partition in range(partitions):
            self.produce(partition, [transaction(f"first-{partition}", BEGIN)])
        watcher = Watcher(self.cassandra, self.table)
        producer = subprocess.Popen([turgo.BIN, "gen", "--kind", "tx", "--keys", "2000", "--start", format_instant(BEGIN), "--ids", "--disorder", "3s",
                                     "--late", "0.01", "--duplicate", "0.02", "--malformed", "0.002", "--seed", str(chance.randrange(1 << 30)),
                                     "--rate", str(RATE), "--brokers", self.kafka, "--topic", self.topic], cwd=turgo.ROOT,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            watcher.start()
            broken = chance.randrange(kills)  # Kafka is started anew in this life
            for number in range(kills):
                self.live_and_die(chance, f"{self.name}-{number}", number == broken, where)
            producer.send_signal(signal.SIGTERM)
            producer.wait(60)
            self.finish(chance, partitions, where)
        except AssertionError:
            kept = KEPT / self.name
            shutil.copytree(self.folder, kept, dirs_exist_ok=True)
            print(f"(what {where} left is kept in {kept}) ", end="", flush=True)
            raise
        finally:
            if producer.poll() is None:
                producer.kill()
                producer.wait()
            watcher.end()
        self.assertEqual(watcher.findings[:5], [], f"{where}: {len(watcher.findings)} times a row stepped back")
        self.assertGreater(watcher.looks, 5, where)

    def live_and_die(self, chance, name, kafka_breaks, where):
        before = self.newest()
        life = self.live(chance, name)
        self.restores += before != 0
        if kafka_breaks:
            time.sleep(chance.uniform(0, 1))
            tool("down", "kafka")
            try:
                time.sleep(chance.uniform(0, 0.5))
            finally:
                tool("up", "kafka")
        kind = chance.random()
        if kind < 0.25:  # while it starts
            time.sleep(chance.uniform(0.005, 0.4))
        elif kind < 0.6:  # right behind a checkpoint: between the decision and what follows it
            wait_until(lambda: self.newest() > before or not life.running(), 30, life.text)
            time.sleep(chance.uniform(0, 0.03))
        else:
            time.sleep(chance.uniform(0.3, 2.5))
        if chance.random() < 0.3:
            life.send(signal.SIGSTOP)
            time.sleep(chance.uniform(0.05, 1))
            life.send(signal.SIGCONT)
            time.sleep(chance.uniform(0, 0.2))
        self.assertTrue(life.running(), f"{where}: {life.text()[-3000:]}")
        life.kill()
        self.kills += 1
        self.keep_checkpoints()
        after = self.newest()
        self.assertGreaterEqual(after, before, f"{where}: a complete checkpoint is gone")
        self.behind += after > before
        self.early += before != 0 and "restored checkpoint" not in life.text()

    def finish(self, chance, partitions, where):
        """The last life reads what is left; then everything is as if nothing had happened."""
        records = self.consume_all(partitions)
        total = sum(map(len, records.values()))
        life = self.live(chance, f"{self.name}-last", "--until", "end", "--no-drain")
        self.assertEqual(life.wait(120), 0, f"{where}: {life.text()[-3000:]}")
        self.skipped += self.report(f"{self.name}-last")["records_in"] < total
        self.keep_checkpoints()
        oracle = Oracle({number: [value for _, value, _ in log] for number, log in records.items()}, PARAMS)
        for _, text in sorted(self.dumps.items()):
            self.assertEqual(oracle.check(text), [], where)
        self.compared += oracle.checked
        expected = run(records, PARAMS, Table())
        self.assertEqual(expected.records, total)
        self.assert_table_equals(expected.table(), where)
        for name, letters in (("dead_letters", expected.dead), ("late", expected.late)):
            found = turgo.read_rows(self.folder / f"{name}.jsonl")
            have, want = ([{key: letter[key] for key in ("partition", "offset")} for letter in bag] for bag in (found, letters))
            self.assertEqual(turgo.compare_bags(name, want, have), [], where)


class LogsThatChanged(ServiceTest):
    """A job that comes back to a log that is not what it was says so, and a refusal changes nothing."""

    def setUp(self):
        super().setUp()
        self.create_table()

    def first_life(self, records=200):
        self.make_topic(2)
        for partition in range(2):
            self.produce(partition, [transaction(f"u{partition}-{n % 20}", T0 + n * SECOND) for n in range(records)])
        self.run_to_end(*self.flags, "--no-drain")
        return self.read_table()

    @property
    def flags(self):
        return "--state-dir", self.folder / "state", "--set", "checkpoint.every=1h"

    def assert_refused(self, exit_code, code, word, table, env=None):
        run = self.start(*self.flags, "--until", "end", "--no-drain", name="refused", env=env)
        self.assertEqual(run.wait(60), exit_code, run.text()[-3000:])
        self.assertIn(code, run.text())
        self.assertIn(word, run.text())
        self.assertEqual(self.read_table(), table)

    def test_a_topic_that_was_created_again_is_shorter_than_the_checkpoint(self):
        table = self.first_life()
        self.drop_topic(self.topic)
        wait_until(self.recreate, 30, "the topic was not deleted")
        self.assert_refused(69, "TG1517", "has read up to offset 200, the log ends at 0", table)
        fresh = self.run_to_end(*self.flags, "--fresh", "--no-drain")
        self.assertEqual(fresh["records_in"], 0)

    def recreate(self):
        """True once the deleted topic is there again, empty."""
        try:
            self.make_topic(2)
        except AssertionError:
            return False  # its deletion is not through yet
        return not self.consume(0) and not self.consume(1)

    def test_records_that_retention_removed_are_not_passed_over(self):
        table = self.first_life()
        self.produce(0, [transaction("u0-1", T0 + 300 * SECOND)] * 30)
        plan = self.folder / "delete.json"
        plan.write_text(json.dumps({"partitions": [{"topic": self.topic, "partition": 0, "offset": 210}], "version": 1}))
        tool("kafka", "org.apache.kafka.tools.DeleteRecordsCommand", "--offset-json-file", plan)
        self.assert_refused(69, "TG1205", "goes on at offset 200, the log begins at 210", table)

    def test_a_job_that_is_up_to_date_does_not_mind_retention(self):
        self.first_life()
        plan = self.folder / "delete.json"
        plan.write_text(json.dumps({"partitions": [{"topic": self.topic, "partition": 0, "offset": 200}], "version": 1}))
        tool("kafka", "org.apache.kafka.tools.DeleteRecordsCommand", "--offset-json-file", plan)
        self.assertEqual(self.run_to_end(*self.flags, "--no-drain")["records_in"], 0)

    def test_another_cluster_is_refused(self):
        table = self.first_life()
        checkpoints = self.folder / "state" / "checkpoints"
        manifest, = checkpoints.glob("MANIFEST-*")
        data = manifest.read_bytes()
        cluster = re.search(rb"kafka\0?(..)([A-Za-z0-9_-]{22})", data, re.S)
        self.assertIsNotNone(cluster, "the manifest has the cluster's id")
        other = bytearray(data)
        other[cluster.start(2)] ^= 1
        manifest.write_bytes(resealed(other))
        self.assert_refused(78, "TG1516", "cluster", table)

    def test_more_partitions_are_refused(self):
        table = self.first_life()
        tool("kafka", "org.apache.kafka.tools.TopicCommand", "--alter", "--topic", self.topic, "--partitions", 3)
        self.assert_refused(78, "TG1516", "was made from 2 partitions, source tx has 3 now", table)


if __name__ == "__main__":
    unittest.main()
