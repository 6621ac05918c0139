"""The command line: exit codes, help of every verb, explain pages, generated documentation.

TURGO_BIN names the command; default: build/release/turgo.
"""

import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import struct
import subprocess
import tempfile
import termios
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TURGO = os.path.abspath(os.environ.get("TURGO_BIN", ROOT / "build/release/turgo"))
JOB = "jobs/purchase_count.yaml"
VERBS = ["run", "check", "plan", "checkpoint", "gen", "explain", "completion", "version", "help"]


def turgo(*arguments, env=None, cwd=ROOT, timeout=120):
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith("TURGO_") and name not in ("KAFKA_BROKERS", "CASSANDRA_HOSTS")}
    return subprocess.run([TURGO, *arguments], cwd=cwd, env={**clean, **(env or {})}, timeout=timeout,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)


class CommandLine(unittest.TestCase):
    maxDiff = None

    def expect(self, code, *arguments, **options):
        done = turgo(*arguments, **options)
        self.assertEqual(done.returncode, code, f"turgo {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return done

    def test_every_verb_has_help(self):
        overview = self.expect(0, "--help").stdout
        for verb in VERBS:
            self.assertRegex(overview, rf"(?m)^  {verb} ")
            by_flag = self.expect(0, verb, "--help")
            by_verb = self.expect(0, "help", verb)
            self.assertEqual(by_flag.stdout, by_verb.stdout)
            self.assertIn(f"turgo {verb}", by_flag.stdout)
            self.assertEqual(by_flag.stderr, "")

    def test_help_of_run_names_every_flag(self):
        text = self.expect(0, "run", "--help").stdout
        for flag in ("profile set shards io state-dir fresh until for no-drain quiet report create-tables seed poll-size "
                     "log-format log-level cpuset overprovisioned verbose color").split():
            self.assertRegex(text, rf"(?m)^  (-\w, )?--{flag} ")

    def test_nothing_is_usage(self):
        done = self.expect(64)
        self.assertIn("turgo VERB", done.stderr)
        self.assertEqual(done.stdout, "")

    def test_misspelt_verbs_and_flags_are_suggested(self):
        self.assertIn("did you mean turgo check?", self.expect(64, "chekc").stderr)
        self.assertIn("did you mean turgo version?", self.expect(64, "vers").stderr)
        self.assertIn("did you mean --profile?", self.expect(64, "check", JOB, "--profil", "dev").stderr)
        self.assertIn("did you mean --shards?", self.expect(64, "run", JOB, "--shard=2").stderr)

    def test_wrong_command_lines_are_64(self):
        for arguments in (["run"], ["run", JOB, JOB], ["run", JOB, "--shards"], ["run", JOB, "--shards", "two"],
                          ["run", JOB, "--io", "aio"], ["run", JOB, "--until", "never"], ["run", JOB, "--until", "idle:0s"],
                          ["run", JOB, "--until", "records:1k/s"], ["run", JOB, "--for", "0s"],
                          ["run", JOB, "--poll-size", "1025"], ["run", JOB, "--no-drain"], ["run", JOB, "-x"], ["run", JOB, "--cpuset", "a"], ["run", JOB, "--cpuset", "1-"],
                          ["run", JOB, "--cpuset", "99999"], ["gen", "--foo"], ["gen", "--keys"], ["gen", "--keys", "x"], ["gen", "x"],
                          ["completion", "csh"], ["run", JOB, "--color", "red"],
                          ["run", JOB, "--quiet=1"], ["run", JOB, "--quiet", "--seed", "-1"],
                          ["run", JOB, "--profile", "dev", "--profile", "dev"], ["plan"], ["explain"], ["explain", "TG1"],
                          ["version", "x"], ["help", "nothing"], ["check"],
                          ["checkpoint"], ["checkpoint", "restore"], ["checkpoint", "list"], ["checkpoint", "list", JOB, "x"],
                          ["checkpoint", "list", "--dir", "x", "1", "2"], ["checkpoint", "list", JOB, "--resolved"],
                          ["checkpoint", "verify", JOB, "0"], ["checkpoint", "verify", JOB, "-1"]):
            done = self.expect(64, *arguments)
            self.assertRegex(done.stderr, r"^error TG1000 .* exit 64\n", arguments)
            self.assertEqual(done.stdout, "", arguments)

    def test_job_file_problems_are_66_and_78(self):
        self.assertIn("TG1008", self.expect(66, "check", "jobs/none.yaml").stderr)
        self.assertIn("TG1009", self.expect(78, "check", JOB, "--profile", "pord").stderr)
        self.assertIn("TG1005", self.expect(78, "check", JOB, "--profile", "prod").stderr)
        self.assertIn("TG1006", self.expect(78, "check", JOB, "--set", "sources.tz.zone=UTC").stderr)
        self.assertIn("TG1402", self.expect(78, "run", JOB, "--set", "steps.counts.process.params.window=0s").stderr)
        self.assertIn("TG1004", self.expect(78, "run", JOB, "--shards", "65").stderr)

    def test_every_profile_of_the_shipped_job_is_right(self):
        for profile in ("dev", "replay", "prod", "bench"):
            done = self.expect(0, "check", JOB, "--profile", profile, "--no-environment")
            self.assertEqual(done.stdout, f"ok  job purchase_count, profile {profile} (file only)\n")
            self.assertEqual(done.stderr, "")
            self.expect(0, "plan", JOB, "--profile", profile)

    def test_check_asks_the_environment(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(ROOT / JOB, folder)
            done = self.expect(0, "check", "purchase_count.yaml", cwd=folder)
            self.assertIn("ok  source tx: generate, 4 partitions", done.stdout)
            self.assertIn("ok  sink user_transaction_counts: sqlite", done.stdout)
            # Nobody listens on port 1: check fails where run would wait.
            done = self.expect(69, "check", "purchase_count.yaml", "--profile", "prod", cwd=folder,
                               env={"KAFKA_BROKERS": "127.0.0.1:1", "CASSANDRA_HOSTS": "127.0.0.1:1"})
            self.assertRegex(done.stderr, r"(?s)^error TG1201 [^\n]*127\.0\.0\.1:1[^\n]*exit 69\n.*\n  source tx, purchase_count.yaml:7:3\n")
            self.assertIn("TG1301", done.stderr)

    def test_print_effective_names_origins_and_hides_secrets(self):
        env = {"TURGO_SET_sources__tx__watermark__delay": "45s", "KAFKA_BROKERS": "b:1", "CASSANDRA_HOSTS": "c:1",
               "PW": "canary-4711"}
        done = self.expect(0, "check", JOB, "--profile", "prod", "--no-environment", "--print-effective",
                           "--set", "engine.shards=2", "--set", "sinks.user_transaction_counts.cassandra.password=${PW}", env=env)
        self.assertRegex(done.stdout, r"(?m)^sources.tx.watermark.delay: 45s +# env TURGO_SET_sources__tx__watermark__delay$")
        self.assertRegex(done.stdout, r"(?m)^engine.shards: 2 +# --set$")
        self.assertRegex(done.stdout, r"(?m)^engine.io: auto +# default$")
        self.assertRegex(done.stdout, r"(?m)^job: purchase_count +# purchase_count.yaml:\d+:\d+$")
        self.assertRegex(done.stdout, r"(?m)cassandra.password: \*\*\* ")
        self.assertNotIn("canary", done.stdout + done.stderr)

    def test_plan_is_graphviz(self):
        text = self.expect(0, "plan", JOB, "--dot").stdout
        self.assertTrue(text.startswith('digraph "purchase_count" {\n') and text.endswith("}\n"))
        self.assertIn('"source tx" -> "step counts";', text)
        self.assertIn('"step counts" -> "sink user_transaction_counts";', text)

    def test_every_code_has_its_page(self):
        codes = dict(re.findall(r'X\((\d{4}), \w+, "([^"]+)"\)', (ROOT / "base/codes.h").read_text()))
        listed = dict(re.findall(r"(?m)^TG(\d{4})  (.+)$", self.expect(0, "explain", "--list").stdout))
        self.assertEqual(listed, codes)
        self.assertEqual({page.stem for page in (ROOT / "tools/explain").glob("*.md")}, {f"TG{code}" for code in codes})
        for code, title in codes.items():
            text = self.expect(0, "explain", f"TG{code}").stdout
            self.assertTrue(text.startswith(f"TG{code} {title} ("), text[:80])
            for part in ("\nHow it happens\n- ", "\nWhat to do\n", "\nExample\n    "):
                self.assertIn(part, text)
            self.assertEqual(text, (ROOT / f"tools/explain/TG{code}.md").read_text())

    def test_explain_takes_numbers_and_letters_of_any_case(self):
        self.assertEqual(self.expect(0, "explain", "1002").stdout, self.expect(0, "explain", "tg1002").stdout)

    def test_explain_shows_what_an_operator_declares(self):
        text = self.expect(0, "explain", "purchase_count").stdout
        self.assertIn("reads     tx: at timestamp\n", text)
        self.assertIn("emits     count: n integer, at timestamp, timeout boolean\n", text)
        self.assertIn("params    limits: window duration, idle duration\n", text)
        self.assertRegex(text, r"(?m)^ +seen +128 bytes at 8 +deque of timestamp, ascending$")
        self.assertIn("seen ", self.expect(0, "plan", JOB).stdout)
        self.assertIn("did you mean purchase_count?", self.expect(64, "explain", "purchase_cuont").stderr)

    def test_version(self):
        facts = json.loads(self.expect(0, "version", "--json").stdout)
        for name in ("version", "commit", "compiler", "io_uring", "librdkafka", "sqlite", "libyaml", "operators"):
            self.assertTrue(facts[name], name)
        self.assertIn("purchase_count", facts["operators"])
        self.assertEqual(self.expect(0, "--version").stdout, self.expect(0, "version").stdout)

    def test_configuration_page_is_up_to_date(self):
        self.assertEqual((ROOT / "docs/CONFIGURATION.md").read_text(), self.expect(0, "docs").stdout,
                         "run: build/release/turgo docs > docs/CONFIGURATION.md")

    def test_full_output_is_a_failure(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([TURGO, "explain", "--list"], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 74)

    def folder(self):
        folder = tempfile.TemporaryDirectory(prefix="turgo-cli-")
        self.addCleanup(folder.cleanup)
        shutil.copy(ROOT / JOB, folder.name)
        return folder.name

    def terminal(self, folder, width, *arguments):
        """What a terminal of that width would get."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 25, width, 0, 0))
        child = subprocess.Popen([TURGO, *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave,
                                 env={**os.environ, "TERM": "xterm"})
        os.close(slave)
        text = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            text += part
        os.close(master)
        self.assertEqual(child.wait(60), 0, text)
        return text.decode()

    def test_the_status_line_is_never_wider_than_the_terminal(self):
        for width, shown, hidden in ((60, "watermark", "p50"), (200, "dead", None)):
            text = self.terminal(self.folder(), width, "run", "purchase_count.yaml", "--for", "2s", "--shards", "1")
            lines = re.findall(r"\r\x1b\[K([^\r\n]*)", text)
            self.assertGreater(len(lines), 1, text)
            for line in lines:
                self.assertLess(len(line), width)
                self.assertIn(shown, line)
                if hidden:
                    self.assertNotIn(hidden, line)

    def test_data_for_a_terminal_is_a_sample(self):
        self.assertEqual(len(self.terminal(self.folder(), 120, "gen").splitlines()), 11)

    def test_chosen_log_formats_carry_progress_and_closing(self):
        done = self.expect(0, "run", "purchase_count.yaml", "--for", "2s", "--shards", "1", "--log-format", "json", cwd=self.folder())
        events = [json.loads(line) for line in done.stderr.splitlines()]
        self.assertEqual([event["msg"] for event in events], ["progress", "closed: --for is over"])
        for event in events:
            self.assertEqual(event["job"], "purchase_count")
            self.assertIsInstance(event["records_in"], int)
        self.assertEqual(events[1]["exit_code"], 0)
        done = self.expect(0, "run", "purchase_count.yaml", "--for", "2s", "--shards", "1", "--log-format", "logfmt", cwd=self.folder())
        for line in done.stderr.splitlines():
            self.assertRegex(line, r"^ts=\S+ level=info job=purchase_count msg=\"(progress|closed: [^\"]*)\" \S+=\d")
        self.assertIn("TG1502", self.expect(74, "run", "purchase_count.yaml", "--log-format", "json", "--report", "/nonexistent/r", cwd=self.folder()).stderr)

    def test_the_closing_report_has_percentiles_and_a_histogram(self):
        done = self.expect(0, "run", "purchase_count.yaml", "--for", "3s", "--shards", "1", "--report", "r.json", cwd=self.folder())
        self.assertRegex(done.stderr, r"latency +from read to acknowledged: p50 \S+  p90 \S+  p99 \S+  p99.9 \S+  p99.99 \S+  max \S+\n  <= ")
        for line in done.stderr.splitlines():
            self.assertEqual(line, line.rstrip())

    def test_a_report_that_cannot_be_written_is_known_before_the_run(self):
        done = self.expect(74, "run", "purchase_count.yaml", "--report", "/nonexistent/r.json", "--for", "1h", cwd=self.folder(), timeout=20)
        self.assertIn("error TG1502 report /nonexistent/r.json", done.stderr)

    def test_colour_is_a_choice(self):
        line = self.expect(78, "check", JOB, "--color", "always", "--profile", "x").stderr
        self.assertTrue(line.startswith("\x1b[31merror\x1b[0m TG1009"), line)
        self.assertTrue(self.expect(78, "check", JOB, "--profile", "x").stderr.startswith("error TG1009"))

    def test_cpus_can_be_chosen(self):
        cpu = str(min(os.sched_getaffinity(0)))
        self.expect(0, "run", "purchase_count.yaml", "--until", "records:100", "--cpuset", cpu, "--overprovisioned", "--quiet",
                    "--report", "r.json", cwd=(folder := self.folder()))
        self.assertEqual(json.loads(pathlib.Path(folder, "r.json").read_text())["shards"], 1)

    def test_quiet_check_says_only_what_is_wrong(self):
        done = self.expect(0, "check", "purchase_count.yaml", "-q", cwd=self.folder())
        self.assertEqual(done.stdout + done.stderr, "")

    def test_one_mistake_is_one_finding(self):
        done = self.expect(78, "check", JOB, "--set", "sources.tx.fields.at.type=tmestamp")
        self.assertEqual(re.findall(r"(?m)^error (TG\d+)", done.stderr), ["TG1004"])

    def test_a_file_that_is_no_text_is_no_job(self):
        folder = self.folder()
        pathlib.Path(folder, "binary").write_bytes(bytes(range(256)))
        self.assertIn("TG1001 job file binary holds zero bytes", self.expect(78, "check", "binary", cwd=folder).stderr)

    def test_a_second_run_of_a_job_is_told_to_try_again(self):
        folder = self.folder()
        first = subprocess.Popen([TURGO, "run", "purchase_count.yaml", "--for", "6s", "-q"], cwd=folder)
        try:
            time.sleep(1.5)
            self.assertIn("TG1604", self.expect(75, "run", "purchase_count.yaml", "--for", "1s", "-q", cwd=folder).stderr)
            second = self.expect(75, "run", "purchase_count.yaml", "--for", "1s", "-q", "--state-dir", "other", cwd=folder)
            self.assertIn("TG1505", second.stderr)  # its files are the first one's, too
        finally:
            self.assertEqual(first.wait(30), 0)

    def test_gen_suggests(self):
        self.assertIn("did you mean --count?", self.expect(64, "gen", "--coumt", "3").stderr)

    def test_completion_knows_verbs_flags_and_words(self):
        def complete(*words):
            script = (f'source <({TURGO} completion bash); COMP_WORDS=({" ".join(repr(word) for word in words)}); '
                      f'COMP_CWORD={len(words) - 1}; _turgo; echo "${{COMPREPLY[@]}}"')
            return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
        self.assertEqual(complete("turgo", "ch"), ["check", "checkpoint"])
        self.assertEqual(complete("turgo", "run", "--prof"), ["--profile"])
        self.assertEqual(complete("turgo", "checkpoint", ""), ["list", "verify", "dump", "restore"])
        self.assertEqual(complete("turgo", "run", "--io", ""), ["auto", "uring", "epoll"])
        self.assertEqual(complete("turgo", "check", "jobs/purchase_count.y"), ["jobs/purchase_count.yaml"])

    def test_a_run_ends_by_itself(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(ROOT / JOB, folder)
            done = self.expect(0, "run", "purchase_count.yaml", "--until", "records:500", "--shards", "1", "--quiet",
                               "--report", "report.json", "--state-dir", "it's a $dir", cwd=folder)
            self.assertEqual(done.stdout, "")
            self.assertGreaterEqual(json.loads(pathlib.Path(folder, "report.json").read_text())["records_in"], 500)


if __name__ == "__main__":
    unittest.main()
