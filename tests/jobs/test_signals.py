"""SIGTERM ends a run cleanly and commits its position; a second one ends it at once."""

import os
import signal
import time
import unittest

from tests.jobs.services import ServiceTest, tool, transaction, wait_until
from tests.model.purchase_count import SECOND, parse_instant

T0 = parse_instant("2026-03-01T10:00:00Z")


def some(first, count):
    return [transaction(f"u{n % 40}", T0 + n * SECOND) for n in range(first, first + count)]


class Signals(ServiceTest):
    def test_sigterm_flushes_commits_and_the_next_run_goes_on_from_there(self):
        self.make_topic(2)
        self.create_table()
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number.name):
                self.produce(0, some(0, 3000))
                self.produce(1, some(100_000, 2000))
                job = self.start(*(["--fresh"] if number is signal.SIGTERM else []), name=number.name)
                wait_until(lambda: self.read_table().get("u39") is not None and self.drained(job, number), 40, lambda: job.text()[-2000:])
                begun = time.monotonic()
                job.send(number)
                self.assertEqual(job.wait(30), 0, job.text()[-3000:])
                self.assertLess(time.monotonic() - begun, 10)
                report = self.report(number.name)
                self.assertEqual(report["records_in"], 5000, "the second run begins where the first one ended")
                self.assertIn(number.name, report["exit_reason"])

    @staticmethod
    def drained(job, _):
        return "lag 0" in job.text()

    def test_a_run_in_the_middle_of_a_backlog_loses_and_doubles_nothing_over_a_clean_stop(self):
        self.make_topic(2)
        self.create_table()
        self.produce(0, some(0, 60_000))
        self.produce(1, some(0, 60_000))
        first = self.start("--fresh", "--poll-size", "16", name="first")
        wait_until(lambda: len(self.read_table()) >= 40, 30, lambda: first.text()[-2000:])
        first.send(signal.SIGTERM)
        self.assertEqual(first.wait(30), 0, first.text()[-3000:])
        second = self.run_to_end(name="second")
        self.assertEqual(self.report("first")["records_in"] + second["records_in"], 120_000)

    def begin_with_cassandra_away(self, **sets):
        """A run whose sink has rows that Cassandra does not take; the pid of the stopped server, which is woken at the end."""
        self.make_topic(1)
        self.create_table()
        self.produce(0, some(0, 2000))
        job = self.start("--fresh", sets=sets)
        wait_until(lambda: self.read_table(), 30, lambda: job.text()[-2000:])
        pid = int(tool("pid", "cassandra"))
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        self.produce(0, some(2000, 2000))
        time.sleep(2)
        return job, pid

    def test_a_second_sigterm_ends_a_run_that_cannot_flush_at_once(self):
        job, _ = self.begin_with_cassandra_away()
        job.send(signal.SIGTERM)
        time.sleep(2)
        self.assertTrue(job.running(), "it still waits for Cassandra\n" + job.text()[-2000:])
        begun = time.monotonic()
        job.send(signal.SIGTERM)
        self.assertIn(job.wait(10), (128 + signal.SIGTERM, -signal.SIGTERM))
        self.assertLess(time.monotonic() - begun, 1)

    def test_sigterm_while_cassandra_is_away_ends_within_the_drain_timeout_and_the_next_run_reads_it_again(self):
        job, pid = self.begin_with_cassandra_away(engine__drain_timeout="4s")
        begun = time.monotonic()
        job.send(signal.SIGTERM)
        self.assertEqual(job.wait(30), 69, job.text()[-3000:])
        took = time.monotonic() - begun
        self.assertTrue(3.9 < took < 7, f"{took} s")
        self.assertIn("waiting for at most 4s", job.text())
        self.assertRegex(job.text(), r"TG1606 SIGTERM: what was pending could not be written within 4s: user_transaction_counts \(\d+ rows\)")
        self.assertIn("TG1606", self.report()["exit_reason"] + job.text())
        self.assertEqual(self.report()["exit_code"], 69)
        os.kill(pid, signal.SIGCONT)
        self.assertGreaterEqual(self.run_to_end(name="second")["records_in"], 2000, "what was not written is read again")

    def test_sigterm_waits_for_a_cassandra_that_comes_back_in_time(self):
        job, pid = self.begin_with_cassandra_away(engine__drain_timeout="off")
        job.send(signal.SIGTERM)
        time.sleep(6)
        self.assertTrue(job.running(), job.text()[-2000:])
        self.assertIn("waiting until it is", job.text())
        os.kill(pid, signal.SIGCONT)
        self.assertEqual(job.wait(30), 0, job.text()[-3000:])
        self.assertEqual(self.run_to_end(name="second")["records_in"], 0, "everything was committed")


if __name__ == "__main__":
    unittest.main()
