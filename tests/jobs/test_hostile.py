"""Hostile records: accepted or dead-lettered exactly as the definition says. What they cost: test_hostile_rate.py."""

import pathlib
import tempfile
import unittest

from tests.jobs import turgo
from tests.model.definition import tx
from tests.model.purchase_count import TOPIC, Params, run

CASES = turgo.ROOT / "tests" / "data" / "json" / "test_parsing"


def records_of(values):
    """Records as files keep them: no newline inside. A carriage return is just as legal, or illegal, in its place."""
    return [value.replace(b"\n", b"\r") for value in values]


class Hostile(unittest.TestCase):
    def compare(self, values, *flags, name):
        values = records_of(values)
        with tempfile.TemporaryDirectory(prefix="turgo-hostile-") as folder:
            topic = pathlib.Path(folder) / "in" / TOPIC
            topic.mkdir(parents=True)
            (topic / "p0.jsonl").write_bytes(b"".join(value + b"\n" for value in values))
            code, text, report = turgo.replay(folder, Params(), *flags, timeout=300)
            self.assertEqual(code, 0, f"{name}: {text[-2000:]}")
            expected = run({0: values})
            self.assertEqual(turgo.differences(expected, turgo.read_result(pathlib.Path(folder) / "out")), [], name)
            self.assertEqual(report["records_in"], len(values))
        return expected

    def cases(self):
        files = sorted(CASES.glob("*.json"))
        self.assertEqual(len(files), 318)
        return files

    def test_the_318_files_as_documents(self):
        self.compare([path.read_bytes() for path in self.cases()], name="documents")

    def test_the_318_files_as_the_value_of_an_unused_field(self):
        head = b'{"userId":"u1","transactionTimestamp":"2026-03-01T10:00:00Z","x":'
        values = [head + path.read_bytes() + b"}" for path in self.cases()]
        expected = self.compare(values, name="wrapped")
        accepted = len(values) - len(expected.dead)
        self.assertEqual(accepted, 95 + 11, "every y_ file and eleven of the open ones")

    def test_records_of_every_length_up_to_the_limit_and_beyond(self):
        good = tx("u1", "10:00:00")
        limit = 8 << 20
        padded = [good[:-1] + b',"x":"' + b"p" * (size - len(good) - 7) + b'"}' for size in (1000, 65_536, 65_537, 1 << 20, limit - 1, limit)]
        self.assertEqual(len(padded[-1]), limit)
        expected = self.compare([good, *padded, good], name="lengths")
        self.assertEqual(expected.dead, [])

    def test_a_record_beyond_the_limit_is_too_long_and_the_next_one_is_read(self):
        with tempfile.TemporaryDirectory(prefix="turgo-hostile-") as folder:
            topic = pathlib.Path(folder) / "in" / TOPIC
            topic.mkdir(parents=True)
            (topic / "p0.jsonl").write_bytes(tx("u1", "10:00:00") + b"\n" + b"x" * ((8 << 20) + 1) + b"\n" + tx("u1", "10:00:01") + b"\n")
            code, text, report = turgo.replay(folder, Params(), timeout=120)
            self.assertEqual(code, 0, text)
            self.assertEqual((report["records_in"], report["dead_by_reason"], report["rows_out"] > 2), (3, {"too_long": 1}, True))

    def test_brackets_by_the_hundred_thousand(self):
        good = tx("u1", "10:00:00")
        values = [good, b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000, good[:-1] + b',"x":' + b"[" * 1023 + b"]" * 1023 + b"}",
                  good[:-1] + b',"x":' + b"[" * 1024 + b"]" * 1024 + b"}", b'"' + b"\\" * 99_999, b"{" + b'"a":1,' * 50_000 + b"}", good]
        self.compare(values, name="brackets")

    def test_every_prefix_of_a_record_is_refused(self):
        whole = b'{"userId":"\xc3\xbc\\u00fc","transactionTimestamp":"2026-03-01T10:00:00Z","x":[1.5e3,{"y":null}]}'
        self.compare([whole[:size] for size in range(1, len(whole) + 1)], "--poll-size", "5", name="prefixes")

    def test_every_byte_at_every_place_of_a_short_record(self):
        whole = b'{"userId":"u1","transactionTimestamp":"2026-03-01T10:00:00Z"}'
        places = range(0, len(whole), 7 if turgo.QUICK else 1)
        values = [whole[:at] + bytes([byte]) + whole[at + 1:] for at in places for byte in range(0, 256, 5 if turgo.QUICK else 1) if byte != 10]
        self.compare(values, name="bytes")

    def test_text_limits(self):
        def record(user, identity=b""):
            return b'{"userId":"' + user + b'","transactionTimestamp":"2026-03-01T10:00:00Z"' + identity + b"}"
        values = [record(b"k" * size) for size in (1018, 1019, 1020, 65_536, 65_537)]
        values += [record("\u00fc".encode() * 509 + b"x"), record("\u00fc".encode() * 510), record(b"\\u00fc" * 509 + b"x")]
        values += [record(b"u", b',"transactionId":"' + b"t" * size + b'"') for size in (1, 500, 65_537)]
        self.compare(values, name="text limits")

    def test_an_id_that_makes_the_deduplications_key_too_long_is_refused_at_the_source(self):
        # Nothing about it depends on how full the set of ids is, so it is the record's fault and moves no clock.
        def record(user, identity):
            return b'{"userId":"' + user + b'","transactionTimestamp":"2026-03-01T10:00:00Z","transactionId":"' + identity + b'"}'
        self.compare([record(b"u", b"t" * size) for size in (1013, 1014, 2000, 65_536)] + [record(b"k" * 1000, b"t" * size) for size in (14, 15)],
                     name="identities")

    def test_faults_are_named_in_the_order_of_the_fields(self):
        def record(user, stamp, identity=""):
            return b'{"userId":"' + b"u" * user + b'"' + stamp + (b',"transactionId":"' + identity.encode() + b'"' if identity else b"") + b"}"
        right = b',"transactionTimestamp":"2026-03-01T10:00:00Z"'
        self.compare([record(2000, b""), record(2000, b',"transactionTimestamp":"soon"'), record(2000, right, "t"), record(2000, right, "t" * 2000),
                      record(2000, b',"transactionTimestamp":7'), record(10, b"", "t" * 2000), record(10, right, "t" * 2000)], name="order of faults")

    def test_a_full_table_refuses_new_keys_and_nobody_else(self):
        users, rounds = 50, 20
        values = [tx(f"u{user:02}", f"10:{turn:02}:{user:02}") for turn in range(rounds) for user in range(users)]
        for limit in (1, 7, 49):
            with tempfile.TemporaryDirectory(prefix="turgo-hostile-") as folder:
                topic = pathlib.Path(folder) / "in" / TOPIC
                topic.mkdir(parents=True)
                (topic / "p0.jsonl").write_bytes(b"".join(value + b"\n" for value in values))
                code, text, report = turgo.replay(folder, Params(idle=3600 * 1_000_000, window=3600 * 1_000_000), "--shards", "1", "--set", f"engine.max_keys={limit}")
                self.assertEqual(code, 0, text[-2000:])
                self.assertEqual(report["dead_by_reason"], {"state_full": (users - limit - 1) * rounds} if limit + 1 < users else {})
                found = turgo.read_result(pathlib.Path(folder) / "out")
                served = {row["userId"] for row in found.rows}
                expected = run({0: values}, Params(idle=3600 * 1_000_000, window=3600 * 1_000_000))
                expected.rows = [row for row in expected.rows if row["userId"] in served]
                found.dead = []
                self.assertEqual(turgo.differences(expected, found), [])

    def test_a_key_may_arm_its_timer_10000_times_after_the_end(self):
        for count, code in ((10_000, 0), (10_001, 70)):
            values = [b'{"userId":"u","transactionTimestamp":"2026-03-01T10:00:00.%06dZ"}' % n for n in range(count)]
            if code == 0:
                self.compare(values, name="at the limit")
                continue
            with self.assertRaises(OverflowError):
                run({0: values})
            with tempfile.TemporaryDirectory(prefix="turgo-hostile-") as folder:
                topic = pathlib.Path(folder) / "in" / TOPIC
                topic.mkdir(parents=True)
                (topic / "p0.jsonl").write_bytes(b"".join(value + b"\n" for value in values))
                found, text, _ = turgo.replay(folder, Params())
                self.assertEqual(found, code, text[-2000:])
                self.assertIn("TG1603", text)


if __name__ == "__main__":
    unittest.main()
