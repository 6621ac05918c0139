"""Is the comparison of checkpoints with the model worth anything? Takes checkpoints of a run, changes one thing in their dumps and requires a complaint."""

import copy
import json
import pathlib
import shutil
import tempfile
import unittest

from tests.jobs import turgo
from tests.jobs.checkpoint_check import Oracle, dump, epochs_of
from tests.model import audit, inputs
from tests.model.purchase_count import MINUTE, SECOND, Params

PARAMS = Params(window=5 * MINUTE, idle=30 * SECOND, delay=30 * SECOND, ttl=5 * MINUTE, drain=False)


class Dumps(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="turgo-oracle-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.seed = turgo.fresh_seeds(1)[0]
        cls.made = inputs.generate(cls.seed, 4000, partitions=2, malformed=0.02, params=PARAMS)
        # Whatever the seed: somebody has two equal transactions in his window at the end, and an identity is remembered.
        for number, values in cls.made.partitions.items():
            newest = inputs.format_instant(inputs.BASE + 10_000 * MINUTE)
            for identity in (None, None, "once"):
                members = {"userId": f"twice{number}", "transactionTimestamp": newest, **({"transactionId": identity} if identity else {})}
                values.append(json.dumps(members).encode())
        cls.made.write(cls.folder / "in")
        state = cls.folder / "state"
        code, text, cls.report = turgo.replay(cls.folder, PARAMS, "--state-dir", state, "--shards", 3, "--set", "checkpoint.every=10ms", "--set",
                                              "checkpoint.keep=1000", "--set", "engine.audit=true")
        assert code == 0, text
        cls.dumps = [dump(state / "checkpoints", epoch) for epoch in epochs_of(state / "checkpoints")]
        cls.last = [json.loads(line) for line in cls.dumps[-1].splitlines()]

    def complaints(self, lines):
        oracle = Oracle(self.made.partitions, PARAMS)
        return oracle.check("\n".join(json.dumps(line) for line in lines))

    def assert_noticed(self, change, word):
        """`change` is made to a copy of the last checkpoint's lines."""
        lines = copy.deepcopy(self.last)
        lines = change(lines) or lines
        self.assertNotEqual(lines, self.last)
        wrong = self.complaints(lines)
        self.assertTrue(any(word in text for text in wrong), f"seed {self.seed}: {wrong}")
        return wrong

    def entry(self, lines, name):
        return next(line["value"] for line in lines if line.get("step") and line.get("key", {}).get("user_id") == name)

    def test_every_checkpoint_of_the_run_is_the_models(self):
        oracle = Oracle(self.made.partitions, PARAMS)
        wrong = [text for each in self.dumps for text in oracle.check(each)]
        self.assertEqual(wrong[:5], [], f"seed {self.seed}")
        self.assertGreaterEqual(oracle.checked, 1)

    def test_an_older_checkpoint_can_be_judged_after_a_newer_one(self):
        oracle = Oracle(self.made.partitions, PARAMS)
        for each in reversed(self.dumps):
            self.assertEqual(oracle.check(each), [], f"seed {self.seed}")

    def test_the_report_has_the_counts_of_the_last_checkpoint(self):
        for line in self.last:
            if line.get("source") and "partition" in line:
                have = next(each for each in self.report["partitions"] if each["partition"] == line["partition"])
                for name in ("records", "accepted", "dead", "late", "duplicates", "next_offset"):
                    self.assertEqual(have[name], line[name], name)
            if line.get("step") and "partition" in line:
                have = next(each for each in self.report["partitions"] if each["partition"] == line["partition"])["steps"]["counts"]
                for name in ("applied", "ignored", "refused", "sum", "squares"):
                    self.assertEqual(have[name], line[name], name)

    def test_one_row_lost_and_an_equal_one_applied_twice_is_noticed_by_the_sums_alone(self):
        offset = len(self.made.partitions[0]) - 3  # and the one behind it are equal: no state tells which of them was applied
        lost, doubled = audit.uid(0, offset), audit.uid(0, offset + 1)

        def change(lines):
            for value, total, squares in ((self.entry(lines, "twice0"), "_audit_sum", "_audit_squares"),
                                          (next(line for line in lines if line.get("step") and line.get("partition") == 0), "sum", "squares")):
                value[total] = audit.sign(value[total] - lost + doubled)
                value[squares] = audit.sign(value[squares] - lost ** 2 + doubled ** 2)
        wrong = self.assert_noticed(change, "_audit_squares")
        self.assertTrue(all("sum" in text or "squares" in text for text in wrong), f"nothing else shows it: {wrong}")

    def test_a_sum_alone_could_be_made_up_for_its_square_cannot(self):
        def change(lines):
            value = self.entry(lines, "twice0")
            value["_audit_squares"] = audit.sign(value["_audit_squares"] + 1)
        self.assert_noticed(change, "_audit_squares")

    def test_a_wrong_count_of_a_partition_is_noticed(self):
        for name in ("records", "dead", "late", "duplicates", "accepted", "late_in_part", "next_offset"):
            def change(lines, name=name):
                next(line for line in lines if line.get("source") and line.get("partition") == 1)[name] -= 1
            with self.subTest(name=name):
                self.assert_noticed(change, "partition 1")

    def test_a_wrong_count_of_a_step_is_noticed(self):
        for name in ("applied", "ignored", "refused", "sum", "squares"):
            def change(lines, name=name):
                next(line for line in lines if line.get("step") and line.get("partition") == 1)[name] += 1
            with self.subTest(name=name):
                self.assert_noticed(change, name)

    def test_clocks_are_exact(self):
        for kind, name in (("source", "watermark"), ("source", "max_ts"), ("step", "clock")):
            def change(lines, kind=kind, name=name):
                next(line for line in lines if line.get(kind) and line.get("partition") == 0)[name] = "2030-01-01T00:00:00Z"
            with self.subTest(name=name):
                self.assert_noticed(change, "partition 0")

    def test_every_field_of_an_entry_counts(self):
        for name, other in (("_revision", 7), ("_partition", 1), ("_moved", True), ("_audit_rows", 5), ("_timer_0", "2030-01-01T00:00:00Z"),
                            ("latest", "2030-01-01T00:00:00Z"), ("seen", [])):
            def change(lines, name=name, other=other):
                self.entry(lines, "twice0")[name] = other
            with self.subTest(name=name):
                self.assert_noticed(change, name)

    def test_entries_that_are_missing_or_too_many_are_noticed(self):
        def without(lines):
            return [line for line in lines if line.get("key", {}).get("user_id") != "twice1" or "source" in line]

        def invented(lines):
            line = copy.deepcopy(next(line for line in lines if line.get("step") and "key" in line))
            line["key"]["user_id"] = "nobody"
            lines.append(line)
        self.assert_noticed(without, "user 'twice1' is missing")
        self.assert_noticed(invented, "user 'nobody' should not be there")

    def test_identities_are_compared_as_far_as_they_are_remembered(self):
        def of(line, name="once"):
            return line.get("source") and line.get("key", {}).get("transaction_id") == name and line["key"]["_partition"] == 0

        def later(lines):
            next(line for line in lines if of(line))["value"]["first_ts"] = "2030-01-01T00:00:00Z"

        def forgotten(lines):
            next(line for line in lines if of(line))["value"]["first_ts"] = "2020-01-01T00:00:00Z"
        self.assert_noticed(lambda lines: [line for line in lines if not of(line)], "is missing")
        self.assert_noticed(later, "identity of partition 0")
        self.assert_noticed(forgotten, "is missing")
        passed = copy.deepcopy(next(line for line in self.last if of(line)))
        passed["key"]["transaction_id"], passed["value"]["first_ts"] = "passed", "2020-01-01T00:00:00Z"
        self.assertEqual(self.complaints([*self.last, passed]), [], "what the clock has passed may still be in a file")

    def test_a_checkpoint_of_another_offset_is_noticed(self):
        def change(lines):
            line = next(line for line in lines if line.get("source") and line.get("partition") == 0)
            line["next_offset"] -= 1
            line["records"] -= 1
        self.assert_noticed(change, "twice0")


if __name__ == "__main__":
    unittest.main()
