"""The reference model: the definition's examples, its reading of records and instants, its files."""

import datetime
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from tests.model import definition
from tests.model.definition import DAY, tx
from tests.model.purchase_count import (MINUTE, Malformed, Params, format_instant, parse_duration, parse_instant, read_lines,
                                        read_transaction, run)


def fault_of(value):
    try:
        read_transaction(value)
    except Malformed as fault:
        return fault.reason, fault.field
    return None


class OnModel:
    @staticmethod
    def job(partitions, params=Params()):
        return run(partitions, params)


class Worked(OnModel, definition.Worked, unittest.TestCase):
    pass


class Edges(OnModel, definition.Edges, unittest.TestCase):
    def test_future_rows_are_dead_and_do_not_move_the_clock(self):
        far = (0, tx("u1", "12:00:00"), parse_instant(f"{DAY}10:00:00Z"))
        near = (1, tx("u1", "10:05:00"), parse_instant(f"{DAY}10:00:00Z"))
        result = self.job({0: [far, near, (2, tx("u1", "10:04:30"), None)]}, Params(max_skew=5 * MINUTE))
        self.assertEqual([letter["reason"] for letter in result.dead], ["future"])
        self.assertEqual(result.late, [])


class Revisions(OnModel, definition.Revisions, unittest.TestCase):
    pass


class Records(unittest.TestCase):
    GOOD = "2026-03-01T10:00:00Z"

    def value(self, **members):
        return json.dumps({"userId": "u1", "transactionTimestamp": self.GOOD, **members}).encode()

    def test_each_fault_has_its_reason_and_field(self):
        cases = [
            (b"", ("bad_json", None)), (b"[]", ("not_object", None)), (b'{"userId":"\xff"}', ("bad_utf8", None)),
            (b"{}", ("missing_field", "userId")), (self.value(userId=None), ("missing_field", "userId")),
            (self.value(userId=""), ("empty_key", "userId")), (self.value(userId=7.0), ("wrong_type", "userId")),
            (self.value(userId=True), ("wrong_type", "userId")), (self.value(userId=["u"]), ("wrong_type", "userId")),
            (self.value(userId="x" * 1020), ("too_long", "userId")), (self.value(userId="x" * 70_000), ("too_long", "userId")),
            (b'{"userId":"u1"}', ("missing_field", "transactionTimestamp")), (self.value(transactionTimestamp=None), ("missing_field", "transactionTimestamp")),
            (self.value(transactionTimestamp=1767225600), ("wrong_type", "transactionTimestamp")), (self.value(transactionTimestamp={}), ("wrong_type", "transactionTimestamp")),
            (self.value(transactionTimestamp=""), ("bad_timestamp", "transactionTimestamp")), (self.value(transactionId=1.5), ("wrong_type", "transactionId")),
            (self.value(transactionId="x" * 65_537), ("too_long", "transactionId")),
            (self.value(transactionId="x" * 1013), ("too_long", "transactionId")),
            (b'{"userId":"' + b"x" * (8 << 20) + b'"}', ("too_long", None)),
        ]
        for value, expected in cases:
            self.assertEqual(fault_of(value), expected, value[:80])

    def test_the_first_fault_in_the_order_of_the_job_file_names_the_reason(self):
        self.assertEqual(fault_of(b'{"transactionTimestamp":7,"userId":""}'), ("empty_key", "userId"))
        self.assertEqual(fault_of(b'{"transactionId":[],"transactionTimestamp":"x","userId":"u"}'), ("bad_timestamp", "transactionTimestamp"))
        self.assertEqual(fault_of(b'{"userId":7.5,"x":NaN}'), ("bad_json", None))

    def test_integers_are_taken_as_their_text(self):
        for lexeme, text in ((b"7", "7"), (b"-12", "-12"), (b"0", "0")):
            row = read_transaction(b'{"userId":' + lexeme + b',"transactionTimestamp":"' + self.GOOD.encode() + b'"}')
            self.assertEqual(row.user, text)
        for lexeme in (b"7.0", b"1e2"):
            self.assertEqual(fault_of(b'{"userId":' + lexeme + b',"transactionTimestamp":"x"}'), ("wrong_type", "userId"))

    def test_an_id_is_optional_and_null_is_missing(self):
        self.assertIsNone(read_transaction(self.value(transactionId=None)).id)
        self.assertIsNone(read_transaction(self.value()).id)
        self.assertEqual(read_transaction(self.value(transactionId=12)).id, "12")
        self.assertEqual(read_transaction(self.value(transactionId="")).id, "")

    def test_the_quick_path_reads_what_the_strict_one_reads(self):
        for identity in (None, "", "t-1"):
            quick = self.value() if identity is None else self.value(transactionId=identity)
            compact = json.dumps(json.loads(quick), separators=(",", ":")).encode()
            self.assertEqual(read_transaction(compact), read_transaction(b" " + compact))
        self.assertEqual(fault_of(b'{"userId":"u","transactionTimestamp":"x"}'), fault_of(b' {"userId":"u","transactionTimestamp":"x"}'))

    def test_dead_letters_carry_text_or_base64(self):
        result = run({3: [b"{", b"\xff", b""]})
        self.assertEqual([(letter["partition"], letter["offset"], letter["raw"], letter["raw_base64"]) for letter in result.dead],
                         [(3, 0, "{", None), (3, 1, None, "/w=="), (3, 2, "", None)])


class Instants(unittest.TestCase):
    def test_accepted_forms(self):
        ten = parse_instant("2026-03-01T10:00:00Z")
        for text in ("2026-03-01 10:00:00", "2026-03-01t10:00:00z", "2026-03-01T11:30:00+01:30", "2026-03-01T09:00:00-01:00",
                     "2026-03-01T10:00:00.0Z", "2026-03-01T10:00:00-00:00", "2026-03-01T10:00:00.000000999Z"):
            self.assertEqual(parse_instant(text), ten, text)
        self.assertEqual(parse_instant("2026-03-01T10:00:00.1234567Z"), ten + 123456)
        self.assertEqual(parse_instant("2026-03-01T10:00:00.5"), ten + 500_000)

    def test_refused_forms(self):
        for text in ("2026-03-01T10:00:60Z", "2026-03-01T24:00:00Z", "0000-03-01T10:00:00Z", "2026-02-29T10:00:00Z",
                     "2026-13-01T10:00:00Z", "2026-00-01T10:00:00Z", "2026-04-31T10:00:00Z", "2026-03-00T10:00:00Z",
                     "2026-03-01T10:60:00Z", "2026-03-01T10:00:00.1234567890Z", "2026-03-01T10:00:00.Z", "2026-03-01T10:00Z",
                     "2026-03-01", "2026-03-01  10:00:00", "2026-03-01T10:00:00 Z", " 2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z ",
                     "2026-03-01T10:00:00+01", "2026-03-01T10:00:00+0100", "2026-03-01T10:00:00+24:00", "2026-03-01T10:00:00+01:60",
                     "26-03-01T10:00:00Z", "2026-3-1T10:00:00Z", "2026-03-01T10:00:00,5Z", "+2026-03-01T10:00:00Z", "1900-02-29T00:00:00Z",
                     "\u0662026-03-01T10:00:00Z", "2026-03-01T10:00:00Z\n", ""):
            self.assertIsNone(parse_instant(text), text)

    def test_instants_agree_with_the_standard_library(self):
        for text in ("1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2000-02-29T12:00:00Z",
                     "2024-02-29T23:59:59Z", "1969-12-31T23:59:59Z", "2100-03-01T00:00:00Z", "1600-12-31T01:02:03Z"):
            known = datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
            self.assertEqual(parse_instant(text), known // datetime.timedelta(microseconds=1), text)
            self.assertEqual(format_instant(parse_instant(text)), text)

    def test_text_has_the_fewest_exact_digits(self):
        for text in ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00.120Z", "2026-03-01T10:00:00.000001Z", "1969-12-31T23:59:59.999Z"):
            self.assertEqual(format_instant(parse_instant(text)), text)

    def test_durations(self):
        self.assertEqual(parse_duration("1h30m"), 90 * MINUTE)
        self.assertEqual(parse_duration("250ms"), 250_000)
        self.assertEqual(parse_duration("0"), 0)


class Files(unittest.TestCase):
    def test_the_last_newline_makes_no_record(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "p0.jsonl"
            for data, lines in ((b"", []), (b"\n", [b""]), (b"a", [b"a"]), (b"a\n", [b"a"]), (b"a\n\nb\r\n", [b"a", b"", b"b\r"])):
                path.write_bytes(data)
                self.assertEqual(read_lines(path), lines, data)

    def test_the_command_writes_the_three_files(self):
        with tempfile.TemporaryDirectory() as folder:
            base = pathlib.Path(folder)
            topic = base / "in" / "user-transaction-topic"
            topic.mkdir(parents=True)
            (topic / "p0.jsonl").write_bytes(b"\n".join([tx("u1", "10:00:00"), b"{", tx("u1", "10:09:00"), tx("u1", "10:00:00")]))
            subprocess.run([sys.executable, pathlib.Path(__file__).with_name("purchase_count.py"), "--in", base / "in", "--out", base / "out"],
                           check=True, stdout=subprocess.DEVNULL)
            sizes = {name: len((base / "out" / f"{name}.jsonl").read_text().splitlines())
                     for name in ("user_transaction_counts", "dead_letters", "late")}
            self.assertEqual(sizes, {"user_transaction_counts": 4, "dead_letters": 1, "late": 1})


if __name__ == "__main__":
    unittest.main()
