"""The input generator reaches what it promises, and its good records are good."""

import collections
import unittest

from tests.model.inputs import generate
from tests.model.purchase_count import run


class Generator(unittest.TestCase):
    def test_a_seed_gives_the_same_bytes(self):
        self.assertEqual(generate(7).partitions, generate(7).partitions)
        self.assertNotEqual(generate(7).partitions, generate(8).partitions)

    def test_without_malformed_records_none_is_refused(self):
        for seed in range(40):
            self.assertEqual(run(generate(seed, 400, malformed=0).partitions, generate(seed, 400).params).dead, [], f"seed {seed}")

    def test_records_hold_no_newline(self):
        for seed in range(20):
            self.assertFalse(any(b"\n" in value for values in generate(seed).partitions.values() for value in values), f"seed {seed}")

    def test_every_outcome_comes_up(self):
        seen = collections.Counter()
        reasons = collections.Counter()
        for seed in range(60):
            inputs = generate(seed, 800)
            result = run(inputs.partitions, inputs.params)
            reasons.update(f"{letter['reason']} {letter['field'] or ''}".strip() for letter in result.dead)
            seen["base64"] += sum(letter["raw_base64"] is not None for letter in result.dead)
            seen["late"] += len(result.late)
            seen["duplicates"] += result.duplicates
            seen["ignored"] += result.ignored
            seen["timeouts"] += sum(row["isTimeout"] for row in result.rows)
            seen["zeros"] += sum(row["purchaseCount"] == 0 for row in result.rows)
            for rows in result.by_user().values():
                zero = [n for n, row in enumerate(rows[:-1]) if row["purchaseCount"] == 0]
                seen["restarts"] += len(zero)
                seen["older"] += sum(a["eventTimestamp"] == b["eventTimestamp"] for a, b in zip(rows, rows[1:]))
        for outcome in ("base64", "late", "duplicates", "ignored", "timeouts", "zeros", "restarts", "older"):
            self.assertGreater(seen[outcome], 20, outcome)
        for reason in ("bad_json", "bad_utf8", "not_object", "missing_field userId", "missing_field transactionTimestamp", "wrong_type userId", "wrong_type transactionTimestamp",
                       "wrong_type transactionId", "empty_key userId", "bad_timestamp transactionTimestamp", "too_long userId", "too_long transactionId"):
            self.assertGreater(reasons[reason], 0, reason)


if __name__ == "__main__":
    unittest.main()
