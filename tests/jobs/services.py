"""The real Kafka and Cassandra of the job tests, reached with foreign clients only: kcat and the Python driver."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

from tests.jobs import turgo
from tests.model.purchase_count import format_instant

TOOL = turgo.ROOT / "tools" / "services"
KEYSPACE = "turgo_jobs"


def tool(*arguments, timeout=180):
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise AssertionError(f"tools/services {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
    return done.stdout


class ServiceTest(unittest.TestCase):
    """A test with a topic and a table of its own. Skips, with the reason, where the services are not there."""

    counter = 0

    @classmethod
    def setUpClass(cls):
        for name in ("TURGO_KAFKA", "TURGO_CASSANDRA"):
            if not os.environ.get(name):
                raise unittest.SkipTest(f"{name} is not set: eval \"$(tools/services env)\"")
        cls.kafka = os.environ["TURGO_KAFKA"]
        cls.cassandra = os.environ["TURGO_CASSANDRA"]
        cls.session = connect(cls.cassandra)
        cls.query(f"CREATE KEYSPACE IF NOT EXISTS {KEYSPACE} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}")

    @classmethod
    def tearDownClass(cls):
        cls.session.cluster.shutdown()

    def setUp(self):
        ServiceTest.counter += 1
        self.name = f"t{os.getpid()}_{ServiceTest.counter}"
        self.topic = f"jobs.{self.name}"
        self.table = f"{KEYSPACE}.{self.name}"
        folder = tempfile.TemporaryDirectory(prefix="turgo-jobs-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    # ---- turgo -----------------------------------------------------------------------------------------------------

    def sets(self, **more):
        """Flags that point profile prod at this test's topic and table; `__` in a name stands for a dot."""
        values = {
            "sources.tx.kafka.topic": self.topic, "sources.tx.kafka.group": self.name, "sources.tx.kafka.start": "earliest",
            "sources.tx.watermark.max_skew": "off", "sources.tx.watermark.idle_after": "1h",
            "sinks.user_transaction_counts.cassandra.table": self.table,
            "dead_letters.file.path": self.folder / "dead_letters.jsonl", "late.file.path": self.folder / "late.jsonl",
            **{name.replace("__", "."): value for name, value in more.items()}}
        return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]

    @property
    def env(self):
        return {"KAFKA_BROKERS": self.kafka, "CASSANDRA_HOSTS": self.cassandra}

    def start(self, *flags, profile="prod", sets=None, env=None, name="run"):
        run = turgo.Turgo("run", turgo.JOB, "--profile", profile, "--report", self.folder / f"{name}.json",
                        *([] if "--state-dir" in flags else ["--state-dir", self.folder / "state"]), *self.sets(**(sets or {})),
                          *flags, env={**self.env, **(env or {})}, log=self.folder / f"{name}.log")
        self.addCleanup(run.kill)
        return run

    def run_to_end(self, *flags, timeout=300, name="run", **options):
        run = self.start("--until", "end", *flags, name=name, **options)
        code = run.wait(timeout)
        self.assertEqual(code, 0, run.text()[-3000:])
        return self.report(name)

    def report(self, name="run"):
        return json.loads((self.folder / f"{name}.json").read_text())

    # ---- Kafka -----------------------------------------------------------------------------------------------------

    def make_topic(self, partitions=2, topic=None):
        tool("topic", topic or self.topic, partitions)
        self.addCleanup(self.drop_topic, topic or self.topic)

    @staticmethod
    def drop_topic(topic):
        try:
            tool("untopic", topic)
        except AssertionError:
            pass  # the test may have left the broker down

    def produce(self, partition, values, topic=None):
        """Values into one partition by kcat, in order. A newline in a value is not possible this way."""
        path = self.folder / "values"
        path.write_bytes(b"\n".join(values) + b"\n")
        kcat("-P", "-b", self.kafka, "-t", topic or self.topic, "-p", partition, "-X", "message.max.bytes=8388608", "-X", "linger.ms=50",
             "-X", "batch.num.messages=20000", "-X", "enable.idempotence=true", "-X", "queue.buffering.max.messages=1000000", "-l", path)
        path.unlink()

    def consume(self, partition, topic=None):
        """[(offset, value or None, record time in us)] of a whole partition, as a foreign client sees it."""
        data = kcat("-C", "-q", "-e", "-b", self.kafka, "-t", topic or self.topic, "-p", partition, "-o", "beginning",
                    "-X", "fetch.message.max.bytes=16777216", "-f", "%o %T %S %s")
        return list(split_records(data))

    def consume_all(self, partitions, topic=None):
        return {number: self.consume(number, topic) for number in range(partitions)}

    # ---- Cassandra -------------------------------------------------------------------------------------------------

    def create_table(self, ddl='"userId" text PRIMARY KEY, "purchaseCount" int, "eventTimestamp" timestamp, "isTimeout" boolean'):
        self.query(f"CREATE TABLE IF NOT EXISTS {self.table} ({ddl})")

    @classmethod
    def query(cls, statement):
        """Rows of a statement. The tests stop and kill the server, so a lost connection is made anew for a while."""
        from cassandra import DriverException, OperationTimedOut
        from cassandra.cluster import NoHostAvailable
        from cassandra.query import SimpleStatement
        for attempt in range(12):
            try:
                return list(cls.session.execute(SimpleStatement(statement, fetch_size=5000), timeout=120))
            except (NoHostAvailable, OperationTimedOut, DriverException) as error:
                lost = error
            time.sleep(min(5, 1 + attempt))
            try:
                fresh = connect(cls.cassandra)
            except (NoHostAvailable, OperationTimedOut, DriverException) as error:
                lost = error
            else:
                cls.session.cluster.shutdown()
                cls.session = fresh
        raise AssertionError(f"Cassandra at {cls.cassandra} does not answer: {lost}")

    def read_table(self):
        """{user: (count, instant text in ms, timeout, {write times})}"""
        statement = (f'SELECT "userId", "purchaseCount", "eventTimestamp", "isTimeout", WRITETIME("purchaseCount"), WRITETIME("eventTimestamp"), '
                     f'WRITETIME("isTimeout") FROM {self.table}')
        rows = {}
        for user, count, instant, timeout, *written in self.query(statement):
            rows[user] = count, instant.isoformat(timespec="milliseconds") + "Z", timeout, set(written)
        return rows

    def assert_table_equals(self, table, message=""):
        """The table holds exactly the model's last row of each user, each column written at the row's revision."""
        want = {user: (row["purchaseCount"], in_milliseconds(row["eventTimestamp"]), row["isTimeout"], {row["_revision"]})
                for user, row in table.items()}
        have = self.read_table()
        wrong = [f"{user!r}: expected {want.get(user)}, found {have.get(user)}" for user in want.keys() | have.keys() if want.get(user) != have.get(user)]
        self.assertEqual(wrong[:5], [], f"{len(wrong)} of {len(want)} users differ {message}")


def in_milliseconds(text):
    """A TIMESTAMP column keeps milliseconds; the sink cuts the rest off."""
    whole, _, fraction = text[:-1].partition(".")
    return f"{whole}.{fraction[:3].ljust(3, '0')}Z"


def connect(address, user=None, password=None):
    import logging
    from cassandra.auth import PlainTextAuthProvider
    from cassandra.cluster import Cluster
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)
    host, _, port = address.partition(":")
    auth = PlainTextAuthProvider(user, password) if user else None
    return Cluster([host], port=int(port), auth_provider=auth, connect_timeout=30, control_connection_timeout=30).connect()


def kcat(*arguments):
    done = subprocess.run(["kcat", *map(str, arguments)], capture_output=True, timeout=300, check=False)
    if done.returncode != 0:
        raise AssertionError(f"kcat {arguments}: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout


def split_records(data):
    at = 0
    while at < len(data):
        offset, stamp, size = (data[at:data.index(b" ", at)], *data[data.index(b" ", at) + 1:data.index(b" ", at) + 60].split(b" ", 2)[:2])
        at += len(offset) + len(stamp) + len(size) + 3
        length = int(size)
        value = data[at:at + max(0, length)]
        yield int(offset), None if length < 0 else value, int(stamp) * 1000 if int(stamp) >= 0 else None
        at += max(0, length)


def pause(name, seconds):
    """Stop a service's process for a while; connections stay open and nothing answers."""
    pid = int(tool("pid", name))
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)


def is_gone(pid):
    """A large process that was killed is there for a while yet."""
    try:
        return turgo.process_state(pid) in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until(condition, seconds, message):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {message() if callable(message) else message}")


def transaction(user, at, identity=None):
    members = {"userId": user, "transactionTimestamp": format_instant(at)}
    if identity is not None:
        members["transactionId"] = identity
    return json.dumps(members, separators=(",", ":")).encode()
