"""Servers that stop, hang and die in mid-run: nothing is lost, memory stays bounded, the lag comes back to 0."""

import os
import re
import signal
import subprocess
import time
import unittest

from tests.jobs import turgo
from tests.jobs.services import ServiceTest, pause, tool, wait_until
from tests.model.purchase_count import Params, Table, run

RATE = 10_000
BACKLOG = 300_000
PAUSE_S = 8 if turgo.QUICK else 30
MEMORY_GROWTH_MAX = 1.2


class Faults(ServiceTest):
    def begin(self):
        """A live run that has caught up with a backlog and now keeps up with a producer; its peak memory until here."""
        self.make_topic(2)
        self.create_table()
        code, text = turgo.run("gen", "--kind", "bench_tx", "--count", BACKLOG, "--seed", 7, "--brokers", self.kafka, "--topic", self.topic, timeout=120)
        self.assertEqual(code, 0, text)
        job = self.start("--fresh")
        wait_until(lambda: self.caught_up(job, BACKLOG), 90, lambda: job.text()[-2000:])
        # Its event time begins where the backlog's ends (2,400 s), so that it is not late.
        producer = subprocess.Popen([turgo.BIN, "gen", "--kind", "tx", "--keys", "20000", "--start", "2026-01-01T00:40:00Z", "--ids", "--disorder", "3s",
                                     "--late", "0.01", "--duplicate", "0.01", "--malformed", "0.001", "--seed", "8", "--rate", str(RATE),
                                     "--brokers", self.kafka, "--topic", self.topic], cwd=turgo.ROOT, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end_producer, producer)
        time.sleep(6)
        return job, producer, job.rss_bytes()[1]

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

    def finish(self, job, producer, peak_before):
        """Everything produced arrives, memory stayed where it was, and the table is the model's."""
        time.sleep(3)
        self.end_producer(producer)
        records = self.consume_all(2)
        total = sum(map(len, records.values()))
        self.assertGreater(total, BACKLOG + RATE * PAUSE_S // 2)
        wait_until(lambda: self.caught_up(job, total), 60, lambda: f"{total} records\n{job.text()[-2000:]}")
        peak = job.rss_bytes()[1]
        job.send(signal.SIGTERM)
        self.assertEqual(job.wait(60), 0, job.text()[-3000:])
        report = self.report()
        self.assertEqual(report["records_in"], total)
        expected = run(records, Params(drain=False), Table())
        self.assertEqual((report["records_late"], report["records_dead"]), (len(expected.late), len(expected.dead)))
        self.assert_table_equals(expected.table())
        self.assertLessEqual(peak, peak_before * MEMORY_GROWTH_MAX,
                             f"peak memory {peak_before >> 20} MiB before the fault, {peak >> 20} MiB after")
        print(f"(peak memory {peak_before >> 20} -> {peak >> 20} MiB, {total} records, retries "
              f"{report['sinks']['user_transaction_counts']['retries']}) ", end="", flush=True)

    def test_cassandra_hangs(self):
        job, producer, peak = self.begin()
        pause("cassandra", PAUSE_S)
        self.finish(job, producer, peak)

    def test_cassandra_is_killed_and_comes_back(self):
        job, producer, peak = self.begin()
        os.kill(int(tool("pid", "cassandra")), signal.SIGKILL)
        try:
            time.sleep(PAUSE_S / 3)
            self.assertTrue(job.running(), job.text()[-3000:])
        finally:
            tool("up", "cassandra")
        self.finish(job, producer, peak)
        self.assertRegex(job.text(), "TG2301|TG1301", "one line says that Cassandra is away")
        self.assertLess(len(re.findall("TG2301|TG1301", job.text())), 20, "and it is not a flood")

    def test_kafka_hangs(self):
        job, producer, peak = self.begin()
        pause("kafka", PAUSE_S / 2)
        self.finish(job, producer, peak)

    def test_kafka_stops_and_comes_back(self):
        job, producer, peak = self.begin()
        tool("down", "kafka")
        try:
            time.sleep(PAUSE_S / 3)
            self.assertTrue(job.running(), job.text()[-3000:])
        finally:
            tool("up", "kafka")
        self.finish(job, producer, peak)

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
