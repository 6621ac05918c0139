"""Servers that stop, hang and die in mid-run: nothing is lost, memory stays bounded, the lag comes back to 0."""

import os
import re
import signal
import subprocess
import time
import unittest

from tests.jobs import turgo
from tests.jobs.services import ServiceTest, pause, tool, wait_until
from tests.model.purchase_count import SECOND, Params, Table, run

RATE = 10_000
BACKLOG = 300_000
PAUSE_S = 8 if turgo.QUICK else 30
MEMORY_GROWTH_MAX = 1.2
# Short horizons, so that the state stops growing before the fault: with five minutes of ids and instants it grew by a
# megabyte a second all through the test, fault or not, and that was what the growth measured.
PARAMS = Params(window=5 * SECOND, idle=2 * SECOND, delay=5 * SECOND, ttl=5 * SECOND, drain=False)
# Read-ahead is what a job may grow by when a broker comes back with a burst: so much per partition (640 bytes a record, the
# client's own included). Two of the default's 64 MiB would be half of this small job.
QUEUE = "8MiB"
DRAIN_S = 60  # a server that has just started takes a thousand rows a second on a busy machine
SETTLE_S = 15  # of the producer's event time: delay, then ttl or window, and a little


class Faults(ServiceTest):
    def begin(self):
        """A live run that has caught up with a backlog and now keeps up with a producer; its memory at rest."""
        self.make_topic(2)
        self.create_table()
        code, text = turgo.run("gen", "--kind", "bench_tx", "--count", BACKLOG, "--seed", 7, "--brokers", self.kafka, "--topic", self.topic, timeout=120)
        self.assertEqual(code, 0, text)
        job = self.start("--fresh", *[word for value in PARAMS.sets() for word in ("--set", value)],
                         sets={"sources__tx__kafka__queue_bytes": QUEUE, "engine__drain_timeout": f"{DRAIN_S}s"})
        wait_until(lambda: self.caught_up(job, BACKLOG), 90, lambda: job.text()[-2000:])
        # Its event time begins where the backlog's ends (2,400 s), so that it is not late.
        producer = subprocess.Popen([turgo.BIN, "gen", "--kind", "tx", "--keys", "20000", "--start", "2026-01-01T00:40:00Z", "--ids", "--disorder", "3s",
                                     "--late", "0.01", "--duplicate", "0.01", "--malformed", "0.001", "--seed", "8", "--rate", str(RATE),
                                     "--brokers", self.kafka, "--topic", self.topic], cwd=turgo.ROOT, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end_producer, producer)
        time.sleep(SETTLE_S)
        job.forget_peak()  # that of catching up with the backlog
        return job, producer, job.rss_bytes()[0]

    @staticmethod
    def end_producer(producer):
        if producer.poll() is None:
            producer.terminate()
            try:
                producer.wait(30)
            except subprocess.TimeoutExpired:
                producer.kill()
                producer.wait()

    @staticmethod
    def status(job):
        """(records, lag) of the newest status line; piped, there is one every 5 s."""
        found = re.findall(r"([0-9.]+)([kMG]?) rec .*?lag (\S+)", job.text())
        if not found:
            return 0, None
        number, unit, lag = found[-1]
        return float(number) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[unit], lag

    def caught_up(self, job, records):
        self.assertTrue(job.running(), job.text()[-3000:])
        seen, lag = self.status(job)
        return seen >= records * 0.99 and lag == "0"

    def finish(self, job, producer, memory_before):
        """Everything produced arrives, memory stayed where it was, and the table is the model's."""
        time.sleep(3)
        self.end_producer(producer)
        records = self.consume_all(2)
        total = sum(map(len, records.values()))
        self.assertGreater(total, BACKLOG + RATE * PAUSE_S // 2)
        wait_until(lambda: self.caught_up(job, total), 60, lambda: f"{total} records\n{job.text()[-2000:]}")
        peak = job.rss_bytes()[1]
        job.send(signal.SIGTERM)
        self.assertEqual(job.wait(DRAIN_S + 10), 0, job.text()[-3000:])
        report = self.report()
        self.assertEqual(report["records_in"], total)
        expected = run(records, PARAMS, Table())
        self.assertEqual((report["records_late"], report["records_dead"]), (len(expected.late), len(expected.dead)))
        self.assert_table_equals(expected.table())
        self.assertLessEqual(peak, memory_before * MEMORY_GROWTH_MAX,
                             f"{memory_before >> 20} MiB before the fault, {peak >> 20} MiB at the peak since")
        print(f"(memory {memory_before >> 20} MiB before, at its peak {peak >> 20} MiB, {peak / memory_before:.2f}, {total} records, retries "
              f"{report['sinks']['user_transaction_counts']['retries']}) ", end="", flush=True)

    def test_cassandra_hangs(self):
        job, producer, memory = self.begin()
        pause("cassandra", PAUSE_S)
        self.finish(job, producer, memory)

    def test_cassandra_is_killed_and_comes_back(self):
        job, producer, memory = self.begin()
        os.kill(int(tool("pid", "cassandra")), signal.SIGKILL)
        try:
            time.sleep(PAUSE_S / 3)
            self.assertTrue(job.running(), job.text()[-3000:])
        finally:
            tool("up", "cassandra")
        self.finish(job, producer, memory)
        self.assertRegex(job.text(), "TG2301|TG1301", "one line says that Cassandra is away")
        self.assertLess(len(re.findall("TG2301|TG1301", job.text())), 20, "and it is not a flood")

    def test_kafka_hangs(self):
        job, producer, memory = self.begin()
        pause("kafka", PAUSE_S / 2)
        self.finish(job, producer, memory)

    def test_kafka_stops_and_comes_back(self):
        job, producer, memory = self.begin()
        tool("down", "kafka")
        try:
            time.sleep(PAUSE_S / 3)
            self.assertTrue(job.running(), job.text()[-3000:])
        finally:
            tool("up", "kafka")
        self.finish(job, producer, memory)

    def test_cassandra_that_is_down_at_the_start_is_waited_for(self):
        self.make_topic(1)
        self.create_table()
        self.produce(0, [b'{"userId":"u1","transactionTimestamp":"2026-03-01T10:00:00Z"}'])
        tool("down", "cassandra")
        try:
            job = self.start("--fresh")
            time.sleep(4)
            self.assertTrue(job.running(), job.text()[-3000:])
        finally:
            tool("up", "cassandra")
        wait_until(lambda: self.read_table().get("u1"), 90, lambda: job.text()[-3000:])
        job.send(signal.SIGTERM)
        self.assertEqual(job.wait(30), 0, job.text()[-3000:])


if __name__ == "__main__":
    unittest.main()
