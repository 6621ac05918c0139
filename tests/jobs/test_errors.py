"""What a user meets when something is wrong: a code, what, where, the way out, and the documented exit code."""

import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

from tests.jobs import turgo
from tests.jobs.services import ServiceTest, connect, transaction
from tests.model.purchase_count import parse_instant

T0 = parse_instant("2026-03-01T10:00:00Z")


class CommandLine(unittest.TestCase):
    """Needs no services."""

    def expect(self, code, number, *arguments, env=None, contains=()):
        found, text = turgo.run(*arguments, env=env, timeout=60)
        self.assertEqual(found, code, text)
        if number:
            self.assertIn(number, text)
        for part in contains:
            self.assertIn(part, text)
        return text

    def job_file(self, old, new):
        folder = tempfile.TemporaryDirectory(prefix="turgo-errors-")
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name) / "job.yaml"
        source = turgo.JOB.read_text()
        self.assertIn(old, source)
        path.write_text(source.replace(old, new, 1))
        return path

    SHIM = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <errno.h>
        #include <pthread.h>
        #include <stdlib.h>
        static int calls;
        int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x)
        {
            int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = dlsym(RTLD_NEXT, "pthread_create");
            return ++calls == atoi(getenv("FAIL_THREAD")) ? EAGAIN : real(t, a, f, x);
        }
    """

    def test_a_thread_that_does_not_start_ends_the_run_by_name(self):
        with tempfile.TemporaryDirectory(prefix="turgo-errors-") as folder:
            base = pathlib.Path(folder)
            (base / "shim.c").write_text(self.SHIM)
            subprocess.run(["cc", "-shared", "-fPIC", "-o", base / "shim.so", base / "shim.c", "-ldl"], check=True)
            topic = base / "in" / "user-transaction-topic"
            topic.mkdir(parents=True)
            (topic / "p0.jsonl").write_bytes(b'{"userId":"u","transactionTimestamp":"2026-03-01T10:00:00Z"}\n')
            for k in range(1, 5):  # the helper, then three shards
                code, text = turgo.run("run", turgo.JOB, "--profile", "replay", "--until", "end", "--shards", "3", timeout=20,
                                       env={"TURGO_IN": base / "in", "TURGO_OUT": base / "out", "LD_PRELOAD": base / "shim.so", "FAIL_THREAD": k})
                self.assertEqual(code, 74, text)
                self.assertIn("TG1601", text)

    def test_usage_errors_exit_64(self):
        self.expect(64, None)
        self.expect(64, None, "rum")
        self.expect(64, None, "run")
        self.expect(64, None, "run", turgo.JOB, "--no-such-flag")
        self.expect(64, None, "run", turgo.JOB, "--shards", "many")

    def test_a_missing_job_file_exits_66(self):
        self.expect(66, "TG1008", "check", "no/such/job.yaml", contains=["no/such/job.yaml"])

    def test_an_unknown_key_names_line_column_and_suggestion(self):
        path = self.job_file("watermark: {delay: 30s", "watermrk: {delay: 30s")
        line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "watermrk" in text)
        self.expect(78, "TG1002", "check", path, contains=["watermrk", f"job.yaml:{line}:5", 'did you mean "watermark"'])

    def test_wrong_yaml_and_wrong_values_exit_78(self):
        self.expect(78, "TG1001", "check", self.job_file("sources:", "sources: ["))
        self.expect(78, "TG1004", "check", self.job_file("idle_after: 5s", "idle_after: soon"), contains=["soon"])
        self.expect(78, None, "check", self.job_file("type: timestamp", "type: timestmp"), contains=["timestmp"])
        self.expect(78, "TG1401", "check", self.job_file("operator: purchase_count", "operator: purchase_cnt"), contains=["purchase_count"])
        self.expect(78, "TG1402", "check", turgo.JOB, "--set", "steps.counts.process.params.window=0s")
        self.expect(78, "TG1009", "run", turgo.JOB, "--profile", "produ", contains=["prod"])

    def test_an_unset_variable_exits_78_with_its_message(self):
        env = {name: "" for name in ("CASSANDRA_HOSTS",)}
        env["KAFKA_BROKERS"] = ""
        self.expect(78, "TG1005", "run", turgo.JOB, "--profile", "prod", env=env, contains=["KAFKA_BROKERS"])
        self.expect(0, None, "check", turgo.JOB, "--profile", "prod", "--no-environment", env=env)

    def test_missing_replay_input_exits_66(self):
        self.expect(66, "TG1501", "run", turgo.JOB, "--profile", "replay", "--until", "end", "--fresh", env={"TURGO_IN": "/nonexistent", "TURGO_OUT": "/tmp"})

    def test_every_verb_explains_itself(self):
        for verb in ("run", "check", "plan", "gen", "version", "explain"):
            self.expect(0, None, verb, "--help", contains=[verb])
        self.expect(0, None, "--help")
        self.expect(0, None, "version")
        self.expect(0, None, "plan", turgo.JOB, contains=["counts", "user_transaction_counts"])
        self.expect(0, None, "check", turgo.JOB, "--profile", "dev")

    def test_explain_knows_every_code(self):
        codes = [line.split("X(")[1].split(",")[0] for line in (turgo.ROOT / "base/codes.h").read_text().splitlines() if line.strip().startswith("X(")]
        self.assertGreater(len(codes), 40)
        for code in codes:
            text = self.expect(0, None, "explain", f"TG{code}", contains=[f"TG{code}"])
            self.assertGreater(len(text.splitlines()), 2, f"TG{code} has a page")

    def test_a_dead_broker_is_waited_for_by_run_and_reported_by_check(self):
        env = {"KAFKA_BROKERS": "127.0.0.1:1", "CASSANDRA_HOSTS": "127.0.0.1:1"}
        self.expect(69, "TG1201", "check", turgo.JOB, "--profile", "prod", env=env, contains=["127.0.0.1:1"])
        with turgo.Turgo("run", turgo.JOB, "--profile", "prod", env=env) as job:
            time.sleep(5)
            self.assertTrue(job.running(), job.text())
            self.assertIn("TG2201", job.text())
            self.assertIn("127.0.0.1:1", job.text())
            job.send(signal.SIGTERM)
            self.assertEqual(job.wait(20), 0, job.text())

    def test_logs_are_logfmt_or_json_when_piped(self):
        env = {"KAFKA_BROKERS": "127.0.0.1:1", "CASSANDRA_HOSTS": "127.0.0.1:1"}
        for flags, start in (((), "ts="), (("--log-format", "json"), "{")):
            with turgo.Turgo("run", turgo.JOB, "--profile", "prod", *flags, env=env) as job:
                time.sleep(4)
                job.send(signal.SIGTERM)
                job.wait(20)
                line = next(line for line in job.text().splitlines() if "TG2201" in line)
                self.assertTrue(line.startswith(start), line)
                for part in ("purchase_count", "tx", "retry_in", "hint", "--profile dev"):
                    self.assertIn(part, line)
                self.assertNotIn("\\n", line)


class Services(ServiceTest):
    def expect(self, code, number, *flags, contains=(), **options):
        job = self.start("--fresh", *flags, **options)
        self.assertEqual(job.wait(60), code, job.text())
        for part in (number, *contains):
            self.assertIn(part, job.text())

    def test_a_missing_topic_is_named(self):
        self.create_table()
        self.expect(69, "TG1203", contains=[self.topic, self.kafka])

    def test_a_missing_table_is_named_with_the_statement_that_makes_it(self):
        self.make_topic(1)
        self.expect(78, "TG1310", contains=[self.table, "--create-tables", 'CREATE TABLE', '"userId" text'])

    def test_a_missing_keyspace_is_named(self):
        self.make_topic(1)
        self.expect(78, "TG1309", sets={"sinks__user_transaction_counts__cassandra__table": "no_such_keyspace.t"}, contains=["no_such_keyspace"])

    def test_a_column_of_another_type_is_named(self):
        self.make_topic(1)
        self.create_table('"userId" text PRIMARY KEY, "purchaseCount" text, "eventTimestamp" timestamp, "isTimeout" boolean')
        self.expect(78, "TG1312", contains=["purchaseCount", "text", "int"])

    def test_a_missing_column_is_named(self):
        self.make_topic(1)
        self.create_table('"userId" text PRIMARY KEY, "purchaseCount" int, "eventTimestamp" timestamp')
        self.expect(78, "TG1311", contains=["isTimeout"])

    def test_check_asks_the_same_questions(self):
        self.make_topic(1)
        code, text = turgo.run("check", turgo.JOB, "--profile", "prod", *self.sets(), env=self.env)
        self.assertEqual(code, 78, text)
        self.assertIn("TG1310", text)
        self.create_table()
        code, text = turgo.run("check", turgo.JOB, "--profile", "prod", *self.sets(), env=self.env)
        self.assertEqual(code, 0, text)

    def test_the_denial_of_io_uring_is_one_warning(self):
        self.make_topic(1)
        self.produce(0, [transaction("u1", T0)])
        report = self.run_to_end("--fresh", "--create-tables", "--io", "epoll")
        self.assertEqual(report["records_in"], 1)


class Password(unittest.TestCase):
    """A Cassandra of its own that asks for a password."""

    @classmethod
    def setUpClass(cls):
        if not os.environ.get("TURGO_KAFKA"):
            raise unittest.SkipTest("TURGO_KAFKA is not set")
        cls.folder = tempfile.mkdtemp(prefix="turgo-services-auth-")
        os.rmdir(cls.folder)
        cls.services_env = {**os.environ, "TURGO_SERVICES_DIR": cls.folder, "TURGO_CASSANDRA_AUTH": "1"}
        cls.addClassCleanup(subprocess.run, [turgo.ROOT / "tools/services", "down"], env=cls.services_env, check=False, capture_output=True)
        subprocess.run([turgo.ROOT / "tools/services", "up", "cassandra"], env=cls.services_env, check=True, capture_output=True, timeout=300)
        cls.cassandra = pathlib.Path(cls.folder, "env").read_text().split("TURGO_CASSANDRA=")[1].split()[0]
        cls.topic = f"jobs.password.{os.getpid()}"
        subprocess.run([turgo.ROOT / "tools/services", "topic", cls.topic, "1"], check=True, capture_output=True)

    def attempt(self, user, password):
        return turgo.run("run", turgo.JOB, "--profile", "prod", "--until", "end", "--fresh", "--create-tables", "--set", f"sources.tx.kafka.topic={self.topic}",
                         "--state-dir", f"{self.folder}-state-{os.getpid()}",
                         "--set", f"sinks.user_transaction_counts.cassandra.username={user}",
                         "--set", "sinks.user_transaction_counts.cassandra.password=${SECRET}", timeout=60,
                         env={"KAFKA_BROKERS": os.environ["TURGO_KAFKA"], "CASSANDRA_HOSTS": self.cassandra, "SECRET": password})

    def test_a_wrong_password_is_refused_by_name_and_never_shown(self):
        code, text = self.attempt("cassandra", "wrong-secret-word")
        self.assertEqual(code, 78, text)
        self.assertIn("TG1302", text)
        self.assertNotIn("wrong-secret-word", text)

    def test_the_right_password_works(self):
        session = connect(self.cassandra, "cassandra", "cassandra")
        self.addCleanup(session.cluster.shutdown)
        session.execute("CREATE KEYSPACE IF NOT EXISTS streaming_demo WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
        code, text = self.attempt("cassandra", "cassandra")
        self.assertEqual(code, 0, text)


if __name__ == "__main__":
    unittest.main()
