"""A job goes on from a checkpoint with other sinks than it was made with: what would lose rows or replace a file is refused."""

import json
import pathlib
import shutil
import signal
import sqlite3
import tempfile
import unittest

from tests.jobs import turgo

JOB = """
job: sink_changes
state_dir: "%(folder)s/state"
checkpoint: {every: 1h}
sources:
  tx:
    file: {path: "%(folder)s/in", topic: tx}
    fields: {user: {type: text, path: userId, required: true}, at: {type: timestamp, path: transactionTimestamp, required: true}}
    event_time: at
    watermark: {delay: 1s, idle_after: 1h, max_skew: off}
    partitioned_by: [user]
steps: {counts: {process: {operator: purchase_count, from: tx, key: [user], params: {window: 5m, idle: 30s}}}}
dead_letters: {%(dead)s}
late: {"null": {}}
sinks:
"""
FIRST, LATER = 50, 5  # records before and after the restart; each makes a row of its own


class SinkChanges(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="turgo-sinks-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        (self.folder / "in").mkdir()
        self.users = 0
        self.read(FIRST)

    def read(self, count):
        """So many more records of new users."""
        with open(self.folder / "in" / "p0.jsonl", "a", encoding="utf-8") as file:
            for _ in range(count):
                file.write(json.dumps({"userId": f"u{self.users}", "transactionTimestamp": "2026-03-01T10:00:00Z"}) + "\n")
                self.users += 1

    def path(self, name):
        return self.folder / f"{name}.jsonl"

    def file(self, name):
        return f'file: {{path: "{self.path(name)}"}}'

    def job(self, dead='"null": {}', **sinks):
        """A job file: sink=path of a file sink, sink="sqlite" for one of the table `rows`."""
        text = JOB % {"folder": self.folder, "dead": dead}
        for name, kind in sinks.items():
            target = f'sqlite: {{path: "{self.folder}/rows.db", table: counts}}' if kind == "sqlite" else self.file(kind)
            text += f"  {name}: {{from: counts, {target}, columns: {{userId: user, purchaseCount: n, eventTimestamp: at, isTimeout: timeout}}}}\n"
        path = self.folder / "job.yaml"
        path.write_text(text)
        return path

    def run_job(self, *flags, code=0, failpoint=None, **sinks):
        env = {"TURGO_FAILPOINT": failpoint} if failpoint else None
        found, text = turgo.run("run", self.job(**sinks), "--until", "end", "--no-drain", "--quiet", "--shards", 2, *flags, env=env)
        self.assertEqual(found, code, text[-3000:])
        return text

    def refused(self, *words, **sinks):
        """A start with these sinks is refused and leaves output, checkpoints and acknowledgements alone."""
        before = self.kept()
        text = self.run_job(code=78, **sinks)
        for word in ("TG1525", *words):
            self.assertIn(word, text)
        self.assertEqual(self.kept(), before, "a refusal changes nothing")

    def kept(self):
        checkpoints = self.folder / "state" / "checkpoints"
        mine = [*self.folder.glob("*.jsonl*"), *checkpoints.glob("MANIFEST-*"), *checkpoints.glob("ACK-*"), *checkpoints.glob("e*/*")]
        return {path: path.read_bytes() for path in mine}

    def rows(self, name):
        return sorted(json.loads(line)["userId"] for line in self.path(name).read_text().splitlines())

    def table(self):
        with sqlite3.connect(self.folder / "rows.db") as database:
            return sorted(user for user, in database.execute('SELECT "userId" FROM counts'))

    def named(self, first=0):
        return sorted(f"u{number}" for number in range(first, self.users))

    def killed_behind_the_decision(self, **sinks):
        self.run_job(code=-signal.SIGKILL, failpoint="checkpoint.commit:1:kill", **sinks)
        self.assertEqual(self.path("out").read_bytes(), b"", "the rows are decided and not shown yet")
        self.read(LATER)

    def test_a_file_sink_with_another_name_does_not_replace_its_file(self):
        self.run_job(rows="out")
        self.assertEqual(self.rows("out"), self.named())
        self.read(LATER)
        self.refused("sink lines", f"{self.path('out')} is not empty", lines="out")
        self.run_job(rows="out")
        self.assertEqual(self.rows("out"), self.named())

    def test_rows_that_are_decided_and_not_shown_need_their_sink(self):
        self.killed_behind_the_decision(rows="out")
        self.refused("file sink rows", "no such sink", lines="out")
        self.refused("file sink rows", "no such sink", lines="elsewhere")
        self.assertFalse(self.path("elsewhere").exists())
        self.run_job(rows="out")
        self.assertEqual(self.rows("out"), self.named())

    def test_rows_that_are_decided_and_not_shown_need_a_sink_of_their_kind(self):
        self.killed_behind_the_decision(rows="out")
        self.refused("file sink rows", "it is a sqlite sink now", rows="sqlite")
        self.run_job(rows="out")
        self.assertEqual(self.rows("out"), self.named())

    def test_a_restore_needs_the_sinks_whose_files_it_would_cut_back(self):
        self.run_job(rows="out")
        self.read(LATER)
        self.run_job(rows="out")
        self.assertEqual(self.rows("out"), self.named())
        before = self.kept()
        for sinks in ({"lines": "out"}, {"rows": "sqlite"}):
            code, text = turgo.run("checkpoint", "restore", self.job(**sinks), 1, "--accept-duplicates")
            self.assertEqual((code, "TG1525" in text), (78, True), text)
        self.assertEqual(self.kept(), before, "a refusal changes nothing")
        code, text = turgo.run("checkpoint", "restore", self.job(rows="out"), 1, "--accept-duplicates")
        self.assertEqual(code, 0, text)
        self.run_job(rows="out")
        self.assertEqual(self.rows("out"), self.named())

    def test_verify_with_the_job_says_what_its_start_would(self):
        self.killed_behind_the_decision(rows="out")
        code, text = turgo.run("checkpoint", "verify", self.job(lines="out"))
        self.assertEqual((code, "TG1525" in text), (78, True), text)
        for words in ((self.job(rows="out"),), ("--dir", self.folder / "state" / "checkpoints")):
            code, text = turgo.run("checkpoint", "verify", *words)
            self.assertEqual(code, 0, text)

    def test_a_new_sink_beside_the_old_ones_has_the_rows_from_there_on(self):
        self.run_job(rows="out")
        self.path("empty").touch()
        self.read(LATER)
        for _ in range(2):
            self.run_job(rows="out", more="more", empty="empty")
            self.assertEqual(self.rows("out"), self.named())
            self.assertEqual(self.rows("more"), self.named(FIRST))
            self.assertEqual(self.rows("empty"), self.named(FIRST))
            self.read(LATER)

    def test_a_new_file_sink_does_not_replace_a_file_that_is_there(self):
        self.run_job(rows="out")
        self.read(LATER)
        self.path("other").write_text("somebody else's\n")
        self.refused("sink more", f"{self.path('other')} is not empty", rows="out", more="other")
        self.refused("sink dead_letters", f"{self.path('other')} is not empty", rows="out", dead=self.file("other"))
        self.path("other").unlink()
        self.run_job(rows="out", more="other")
        self.assertEqual(self.rows("out"), self.named())
        self.assertEqual(self.rows("other"), self.named(FIRST))

    def test_a_file_sink_whose_rows_are_all_there_may_go_or_become_a_table(self):
        self.run_job(rows="out", more="more")
        shown = self.rows("out")
        self.read(LATER)
        self.run_job(rows="sqlite")
        self.assertEqual((self.rows("out"), self.rows("more")), (shown, shown))
        self.assertEqual(self.table(), self.named(FIRST))
        self.refused("sink rows", "is not empty", rows="out", more="more")

    def test_another_path_is_that_of_the_file_that_was_moved(self):
        self.run_job(rows="out")
        self.run_job(rows="out")  # a checkpoint without rows of its own
        self.read(LATER)
        self.refused("shorter", "another path", rows="elsewhere")
        self.path("other").write_text("somebody else's\n" * 1000)
        self.refused("does not have the rows", "another path", rows="other")
        self.path("out").rename(self.path("moved"))
        self.run_job(rows="moved")
        self.assertEqual(self.rows("moved"), self.named())
        self.assertFalse(self.path("out").exists())

    def test_another_path_before_there_were_rows_replaces_no_file(self):
        self.run_job(rows="out", dead=self.file("dead"))
        self.assertEqual(self.rows("dead"), [])
        self.read(LATER)
        self.path("other").write_text("somebody else's\n")
        self.refused("not empty", "another path", rows="out", dead=self.file("other"))
        self.path("other").write_text("")
        self.run_job(rows="out", dead=self.file("other"))
        self.assertEqual(self.rows("out"), self.named())

    def test_rows_that_are_decided_and_not_shown_are_missed_under_another_path(self):
        self.killed_behind_the_decision(rows="out")
        self.path("elsewhere").touch()
        self.refused("parts are missing", "another path", rows="elsewhere")
        self.path("elsewhere").unlink()
        self.refused("parts are missing", "another path", rows="elsewhere")
        for path in list(self.folder.glob("out.jsonl*")):
            path.rename(self.folder / path.name.replace("out", "moved"))
        self.run_job(rows="moved")
        self.assertEqual(self.rows("moved"), self.named())

    def test_a_file_that_became_another_one_is_not_cut(self):
        self.run_job(rows="out")
        self.run_job(rows="out")
        shown = self.path("out").read_text()
        self.path("out").write_text("somebody else's\n" * 1000)
        text = self.run_job(code=74, rows="out")
        self.assertIn("TG1502", text)
        self.assertEqual(self.path("out").read_text(), "somebody else's\n" * 1000)
        self.path("out").write_text(shown)
        self.read(LATER)
        self.run_job(rows="out")
        self.assertEqual(self.rows("out"), self.named())

    def test_a_table_does_not_mind_the_name_of_its_sink(self):
        self.run_job(rows="sqlite")
        self.read(LATER)
        self.run_job(lines="sqlite")
        self.assertEqual(self.table(), self.named())

    def test_fresh_replaces_the_file(self):
        self.run_job(rows="out")
        self.run_job("--fresh", lines="out")
        self.assertEqual(self.rows("out"), self.named())


if __name__ == "__main__":
    unittest.main()
