"""The Cassandra sink by itself against a real node: every type, hot keys, both loops and protocols, a node that hangs and
one that dies. A foreign client reads the table; it must equal what the program says it wrote last."""

import decimal
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from tests.jobs import turgo
from tests.jobs.services import connect, is_gone, tool, wait_until

PROGRAM = pathlib.Path(os.environ.get("TURGO_BUILD", turgo.ROOT / "build" / "release")) / "tests" / "cassandra_sink_check"
KEYSPACE = "turgo_sink_check"
VERSION_BASE = 1700000000000000
COLUMNS = ("aBigint", "anInteger", "aBoolean", "aTimestamp", "aDate", "aNumeric", "anEnum", "aJson", "order")


class CassandraSink(unittest.TestCase):
    counter = 0

    @classmethod
    def setUpClass(cls):
        if not os.environ.get("TURGO_CASSANDRA"):
            raise unittest.SkipTest("TURGO_CASSANDRA is not set: eval \"$(tools/services env)\"")
        if not PROGRAM.exists():
            raise unittest.SkipTest(f"{PROGRAM} is not built")
        cls.session = connect(os.environ["TURGO_CASSANDRA"])

    @classmethod
    def tearDownClass(cls):
        cls.session.cluster.shutdown()

    def setUp(self):
        self.new_table()

    def new_table(self):
        CassandraSink.counter += 1
        self.table = f"{KEYSPACE}.t{os.getpid()}_{CassandraSink.counter}"
        self.addCleanup(lambda table: self.session.execute(f"DROP TABLE IF EXISTS {table}", timeout=60), self.table)

    def write(self, rows, keys, instances=1, protocol="auto", backend="uring", rate=0, timeout=240):
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run([PROGRAM, self.table, *map(str, (rows, keys, instances, protocol, backend, rate))],
                                  stdout=out, stderr=err, timeout=timeout, check=False)
            out.seek(0)
            err.seek(0)
            self.log = err.read()
            self.assertEqual(done.returncode, 0, self.log)
            return [json.loads(line, parse_float=str) for line in out]

    def stat(self, name):
        return sum(int(line.split(f" {name} ")[1].split()[0]) for line in self.log.splitlines() if line.startswith("instance"))

    def assert_table_is(self, model):
        from cassandra.query import SimpleStatement
        names = ", ".join('timestampasblob("aTimestamp")' if name == "aTimestamp" else f'"{name}"' for name in COLUMNS)
        times = ", ".join(f'writetime("{name}")' for name in COLUMNS)
        # The instant as its bytes: the driver computes with floats and loses the last millisecond of the year 9999.
        statement = SimpleStatement(f"SELECT key, {names}, {times} FROM {self.table}", fetch_size=500)
        table = {row[0]: row[1:] for row in self.session.execute(statement, timeout=60)}
        self.assertEqual(set(table), {row["key"] for row in model})
        for row in model:
            have = table[row["key"]]
            want = expected(row)
            found = [canonical(name, value) for name, value in zip(COLUMNS, have)]
            self.assertEqual(found, want, (row["key"], self.log))
            for value, written in zip(have, have[len(COLUMNS):]):
                if value is not None:
                    self.assertEqual(written, VERSION_BASE + row["_revision"])

    def test_every_type_arrives_as_it_was(self):
        self.assert_table_is(self.write(3000, 3000))

    def test_hot_keys_end_with_their_last_revision(self):
        for backend in ("uring", "epoll"):
            with self.subTest(backend):
                self.new_table()
                model = self.write(40000, 500, instances=2, backend=backend)
                self.assertLess(self.stat("written"), self.stat("taken"))
                self.assertEqual(self.stat("count"), 40000, "every row has a latency, coalesced ones too")
                self.assert_table_is(model)

    def test_version_4_of_the_protocol(self):
        self.assert_table_is(self.write(5000, 1000, protocol="v4", backend="epoll"))

    def test_a_hundred_thousand_rows_by_two_instances(self):
        self.assert_table_is(self.write(100000, 4000, instances=2))

    def fault(self, action, seconds):
        """Rows written at a rate that lasts `seconds` and some more; the action comes in the middle of it, or the test fails."""
        pid = int(tool("pid", "cassandra"))
        begun, over = [], []

        def act():
            time.sleep(4)
            begun.append(time.monotonic())
            action(pid)
            over.append(time.monotonic())
        thread = threading.Thread(target=act)
        thread.start()
        self.addCleanup(thread.join)
        model = self.write(40000, 2000, instances=2, rate=20000 // (seconds + 12))
        written = time.monotonic()
        thread.join()
        self.assertTrue(begun and over, "the fault itself failed")
        self.assertGreater(written, begun[0] + 1, "everything was written before it")
        return model

    def test_a_node_that_hangs_half_a_minute_loses_nothing(self):
        def hang(pid):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(30)
            os.kill(pid, signal.SIGCONT)
        model = self.fault(hang, 30)
        self.assertGreater(self.stat("retries"), 0)
        self.assert_table_is(model)

    def test_a_node_that_is_killed_loses_nothing_it_confirmed(self):
        def kill(pid):
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: is_gone(pid), 30, "the killed node is still there")
            tool("up", "cassandra")
        model = self.fault(kill, 20)
        self.foreign_client_again()
        self.assert_table_is(model)

    @staticmethod
    def foreign_client_again():
        """The foreign client is slower to notice that the node is back."""
        CassandraSink.session.cluster.shutdown()
        CassandraSink.session = connect(os.environ["TURGO_CASSANDRA"])

    def test_a_node_that_restarts_loses_nothing(self):
        def restart(_):
            tool("down", "cassandra")
            tool("up", "cassandra")
        model = self.fault(restart, 20)  # it stops in order: rows may just have to wait, without a retry
        self.foreign_client_again()
        self.assert_table_is(model)


def days(text):
    """Days since 1970 of a date of any year, by H. Hinnant's days_from_civil (Python's dates end at the year 1)."""
    year, month, day = (int(part) for part in text.rsplit("-", 2))
    year -= month <= 2
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return year // 400 * 146097 + year % 400 * 365 + year % 400 // 4 - year % 400 // 100 + day_of_year - 719468


def milliseconds(text):
    import datetime
    whole, _, fraction = text[:-1].partition(".")
    since = datetime.datetime.fromisoformat(whole) - datetime.datetime(1970, 1, 1)
    return (since.days * 86400 + since.seconds) * 1000 + int(fraction[:3].ljust(3, "0"))


def expected(row):
    out = []
    for name in COLUMNS:
        value = row[name] if name != "aJson" or row[name] is None else json.dumps(row[name], separators=(",", ":"))
        if value is not None and name == "aTimestamp":
            value = milliseconds(value)
        if value is not None and name == "aDate":
            value = days(value)
        if value is not None and name == "aNumeric":
            value = decimal.Decimal(value)
        out.append(value)
    return out


def canonical(name, value):
    if value is None:
        return None
    if name == "aDate":
        return value.days_from_epoch
    if name == "aTimestamp":
        return int.from_bytes(value, "big", signed=True)
    return value


if __name__ == "__main__":
    unittest.main()
