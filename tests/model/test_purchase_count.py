"""Every worked line and edge of job A's definition, on the reference model."""

import datetime
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from tests.model.purchase_count import (MINUTE, SECOND, Params, Malformed, format_instant, parse_duration, parse_instant,
                                        read_lines, read_transaction, run)

DAY = "2026-03-01T"
WIDE = Params(delay=5 * MINUTE, ttl=10 * MINUTE)


def tx(user, time, identity=None):
    """One record; `time` is a time of DAY."""
    members = {"userId": user, "transactionTimestamp": f"{DAY}{time}Z"}
    if identity is not None:
        members["transactionId"] = identity
    return json.dumps(members).encode()


def short(rows):
    """(time of day, count, T|F) of rows, as the definition writes them."""
    return [(row["eventTimestamp"][11:-1], row["purchaseCount"], "T" if row["isTimeout"] else "F") for row in rows]


def rows_of(records, params=WIDE, user="u1"):
    return short(run({0: records}, params).by_user().get(user, []))


def fault_of(value):
    try:
        read_transaction(value)
    except Malformed as fault:
        return fault.reason, fault.field
    return None


class Worked(unittest.TestCase):
    FIRST_THREE = [tx("u1", "10:00:00"), tx("u1", "10:01:00"), tx("u1", "10:04:30")]

    def test_three_transactions_then_silence(self):
        self.assertEqual(rows_of(self.FIRST_THREE), [
            ("10:00:00", 1, "F"), ("10:01:00", 2, "F"), ("10:04:30", 3, "F"),
            ("10:05:00", 2, "T"), ("10:06:00", 1, "T"), ("10:09:30", 0, "T")])

    def test_state_is_gone_after_zero_and_the_next_transaction_starts_at_one(self):
        clock = tx("u2", "10:20:00")  # somebody else moves the partition's clock on
        records = self.FIRST_THREE + [clock, tx("u1", "10:30:00")]
        self.assertEqual(rows_of(records)[5:], [("10:09:30", 0, "T"), ("10:30:00", 1, "F"), ("10:30:30", 1, "T"), ("10:35:00", 0, "T")])

    def test_an_older_transaction_is_counted_at_the_latest_instant_and_runs_out_at_its_own(self):
        rows = rows_of(self.FIRST_THREE + [tx("u1", "10:02:00")])
        self.assertEqual(rows[3], ("10:04:30", 4, "F"))
        self.assertEqual(rows[4:], [("10:05:00", 3, "T"), ("10:06:00", 2, "T"), ("10:07:00", 1, "T"), ("10:09:30", 0, "T")])

    def test_no_timer_row_before_the_idle_time(self):
        rows = rows_of([tx("u1", "10:00:00"), tx("u1", "10:04:50")])
        self.assertEqual(rows, [("10:00:00", 1, "F"), ("10:04:50", 2, "F"), ("10:05:20", 1, "T"), ("10:09:50", 0, "T")])

    def test_timers_wait_for_the_clock_before_the_row_not_the_row_itself(self):
        # Nothing moved the clock in between, so the row that ends the silence also replaces the timer.
        self.assertEqual(rows_of([tx("u1", "10:00:00"), tx("u1", "10:30:00")])[1], ("10:30:00", 1, "F"))

    def test_the_first_timer_row_comes_even_if_the_count_did_not_change(self):
        self.assertEqual(rows_of([tx("u1", "10:00:00")])[1], ("10:00:30", 1, "T"))


class Edges(unittest.TestCase):
    def test_equal_timestamps_both_count(self):
        self.assertEqual(rows_of([tx("u1", "10:00:00"), tx("u1", "10:00:00")])[:2], [("10:00:00", 1, "F"), ("10:00:00", 2, "F")])

    def test_changes_at_one_instant_give_one_row(self):
        rows = rows_of([tx("u1", "10:00:00"), tx("u1", "10:00:00"), tx("u1", "10:00:01")])
        self.assertEqual(rows[3:], [("10:00:31", 3, "T"), ("10:05:00", 1, "T"), ("10:05:01", 0, "T")])

    def test_exactly_a_window_ago_is_out_and_a_microsecond_less_is_in(self):
        out = run({0: [tx("u1", "10:05:00"), tx("u1", "10:00:00")]}, WIDE)
        self.assertEqual((len(out.rows), out.ignored), (3, 1))
        self.assertEqual(rows_of([tx("u1", "10:05:00"), tx("u1", "10:00:00.000001")])[1], ("10:05:00", 2, "F"))
        self.assertEqual(rows_of([tx("u1", "10:00:00"), tx("u1", "10:05:00")])[1], ("10:05:00", 1, "F"))

    def test_an_ignored_transaction_rearms_nothing(self):
        self.assertEqual(rows_of([tx("u1", "10:05:00"), tx("u1", "10:00:00")]), [("10:05:00", 1, "F"), ("10:05:30", 1, "T"), ("10:10:00", 0, "T")])

    def test_an_older_transaction_leaves_the_timer_at_the_latest_plus_idle(self):
        rows = rows_of([tx("u1", "10:02:00"), tx("u1", "10:01:59")])
        self.assertEqual(rows[1:3], [("10:02:00", 2, "F"), ("10:02:30", 2, "T")])

    def test_retries_count_twice_unless_they_carry_an_id(self):
        self.assertEqual(rows_of([tx("u1", "10:00:00"), tx("u1", "10:00:00")])[1][1], 2)
        result = run({0: [tx("u1", "10:00:00", "a"), tx("u1", "10:00:00", "a"), tx("u2", "10:00:00", "a")]}, WIDE)
        self.assertEqual((result.duplicates, len(result.by_user()["u1"]), len(result.by_user()["u2"])), (1, 3, 3))

    def test_an_id_is_remembered_through_its_time_to_live_and_no_longer(self):
        params = Params(delay=0, ttl=MINUTE)
        self.assertEqual(run({0: [tx("u1", "10:00:00", "a"), tx("u1", "10:01:00", "a")]}, params).duplicates, 1)
        self.assertEqual(run({0: [tx("u1", "10:00:00", "a"), tx("u1", "10:01:00.000001", "a")]}, params).duplicates, 0)

    def test_an_id_is_forgotten_when_the_clock_before_the_row_has_passed(self):
        params = Params(delay=0, ttl=MINUTE, lateness=MINUTE)
        remembered = [tx("u1", "10:00:00", "a"), tx("u2", "10:01:00"), tx("u1", "10:00:30", "a")]
        forgotten = [tx("u1", "10:00:00", "a"), tx("u2", "10:01:00.000001"), tx("u1", "10:00:30", "a")]
        self.assertEqual(run({0: remembered}, params).duplicates, 1)
        self.assertEqual(run({0: forgotten}, params).duplicates, 0)

    def test_a_late_copy_of_an_applied_row_is_late_not_a_duplicate(self):
        result = run({0: [tx("u1", "10:00:00", "a"), tx("u1", "10:01:00"), tx("u1", "10:00:00", "a")]})
        self.assertEqual((len(result.late), result.duplicates), (1, 0))

    def test_late_is_judged_by_the_partition_alone_and_equal_is_on_time(self):
        ahead = [tx("u9", "11:00:00")]
        on_time = [tx("u1", "10:00:30"), tx("u1", "10:00:00")]
        late = [tx("u1", "10:00:30.000001"), tx("u1", "10:00:00")]
        self.assertEqual(run({0: on_time, 1: ahead}).late, [])
        entry, = run({0: late, 1: ahead}).late
        self.assertEqual((entry["partition"], entry["offset"], entry["lateness_us"], entry["steps"]), (0, 1, 1, ["counts"]))
        self.assertEqual((entry["ts"], entry["wm"]), (f"{DAY}10:00:00Z", f"{DAY}10:00:00.000001Z"))

    def test_late_rows_bad_rows_and_future_rows_do_not_move_the_clock(self):
        records = [tx("u1", "10:00:00"), b"{", b'{"userId":"u1","transactionTimestamp":7}', tx("u1", "09:59:30")]
        self.assertEqual(run({0: records}).late, [])
        far = (0, tx("u1", "12:00:00"), parse_instant(f"{DAY}10:00:00Z"))
        near = (1, tx("u1", "10:05:00"), parse_instant(f"{DAY}10:00:00Z"))
        result = run({0: [far, near, (2, tx("u1", "10:04:30"), None)]}, Params(max_skew=5 * MINUTE))
        self.assertEqual([letter["reason"] for letter in result.dead], ["future"])
        self.assertEqual(result.late, [])

    def test_duplicates_move_the_clock(self):
        records = [tx("u1", "10:00:00", "a"), tx("u1", "10:01:00", "a"), tx("u2", "10:00:29")]
        self.assertEqual(len(run({0: records}).late), 1)

    def test_timers_of_a_key_fire_before_its_row_when_the_clock_has_passed(self):
        # The clock before the last row is 10:06:00: idle and both expiries of u1 are over, its state starts afresh.
        records = [tx("u1", "10:00:00"), tx("u1", "10:00:10"), tx("u2", "10:06:30"), tx("u1", "10:06:30")]
        self.assertEqual(rows_of(records, Params())[2:6], [
            ("10:00:40", 2, "T"), ("10:05:00", 1, "T"), ("10:05:10", 0, "T"), ("10:06:30", 1, "F")])

    def test_a_timer_at_the_clock_itself_waits_for_the_rows_of_that_instant(self):
        params = Params(delay=0)
        records = [tx("u1", "10:00:00"), tx("u2", "10:00:30"), tx("u1", "10:00:30")]
        self.assertEqual(rows_of(records, params)[1], ("10:00:30", 2, "F"))
        records = [tx("u1", "10:00:00"), tx("u2", "10:00:30.000001"), tx("u1", "10:00:30.000001")]
        self.assertEqual(rows_of(records, params)[1], ("10:00:30", 1, "T"))

    def test_without_drain_the_clock_stays_where_the_input_left_it(self):
        records = [tx("u1", "10:00:00"), tx("u2", "10:06:00")]
        params = Params(drain=False)
        self.assertEqual(rows_of(records, params), [("10:00:00", 1, "F"), ("10:00:30", 1, "T"), ("10:05:00", 0, "T")])
        self.assertEqual(rows_of(records, params, "u2"), [("10:06:00", 1, "F")])

    def test_a_hot_key_that_never_comes_to_rest_fails_by_name(self):
        records = [tx("u1", f"10:00:00.{n:06}") for n in range(10_050)]
        with self.assertRaises(OverflowError):
            run({0: records}, WIDE)

    def test_partitions_do_not_meet(self):
        one = [tx("u1", "10:00:00"), tx("u1", "10:04:00")]
        other = [tx("u2", "18:00:00"), tx("u2", "18:00:01")]
        both = run({0: one, 1: other}).by_user()
        self.assertEqual(both["u1"], run({0: one}).by_user()["u1"])
        self.assertEqual(both["u2"], run({1: other}).by_user()["u2"])


class Revisions(unittest.TestCase):
    def test_a_revision_is_the_event_time_in_microseconds(self):
        rows = run({0: [tx("u1", "10:00:00")]}, WIDE).rows
        self.assertEqual([row["_revision"] for row in rows], [parse_instant(row["eventTimestamp"]) for row in rows])
        self.assertEqual([row["_final"] for row in rows], [False] * 3)

    def test_ties_and_older_rows_count_up(self):
        at = parse_instant(f"{DAY}10:04:30Z")
        rows = run({0: [tx("u1", "10:04:30"), tx("u1", "10:04:30"), tx("u1", "10:02:00")]}, WIDE).rows
        self.assertEqual([row["_revision"] for row in rows[:4]], [at, at + 1, at + 2, at + 30 * SECOND])

    def test_revisions_of_a_key_grow_even_across_forgotten_state(self):
        records = [tx("u1", f"10:{minute:02}:00") for minute in range(0, 60, 7)]
        revisions = [row["_revision"] for row in run({0: records}).rows]
        self.assertEqual(revisions, sorted(set(revisions)))


class Records(unittest.TestCase):
    GOOD = "2026-03-01T10:00:00Z"

    def value(self, **members):
        return json.dumps({"userId": "u1", "transactionTimestamp": self.GOOD, **members}).encode()

    def test_each_fault_has_its_reason_and_field(self):
        cases = [
            (b"", ("bad_json", None)), (b"[]", ("not_object", None)), (b'{"userId":"\xff"}', ("bad_utf8", None)),
            (b"{}", ("missing_field", "user_id")), (self.value(userId=None), ("missing_field", "user_id")),
            (self.value(userId=""), ("empty_key", "user_id")), (self.value(userId=7.0), ("wrong_type", "user_id")),
            (self.value(userId=True), ("wrong_type", "user_id")), (self.value(userId=["u"]), ("wrong_type", "user_id")),
            (self.value(userId="x" * 1020), ("too_long", "user_id")), (self.value(userId="x" * 70_000), ("too_long", "user_id")),
            (b'{"userId":"u1"}', ("missing_field", "at")), (self.value(transactionTimestamp=None), ("missing_field", "at")),
            (self.value(transactionTimestamp=1767225600), ("wrong_type", "at")), (self.value(transactionTimestamp={}), ("wrong_type", "at")),
            (self.value(transactionTimestamp=""), ("bad_timestamp", "at")), (self.value(transactionId=1.5), ("wrong_type", "transaction_id")),
            (self.value(transactionId="x" * 65_537), ("too_long", "transaction_id")),
            (b'{"userId":"' + b"x" * (8 << 20) + b'"}', ("too_long", None)),
        ]
        for value, expected in cases:
            self.assertEqual(fault_of(value), expected, value[:80])

    def test_the_first_fault_in_the_order_of_the_job_file_names_the_reason(self):
        self.assertEqual(fault_of(b'{"transactionTimestamp":7,"userId":""}'), ("empty_key", "user_id"))
        self.assertEqual(fault_of(b'{"transactionId":[],"transactionTimestamp":"x","userId":"u"}'), ("bad_timestamp", "at"))
        self.assertEqual(fault_of(b'{"userId":7.5,"x":NaN}'), ("bad_json", None))

    def test_integers_are_taken_as_their_text(self):
        for lexeme, text in ((b"7", "7"), (b"-12", "-12"), (b"0", "0")):
            row = read_transaction(b'{"userId":' + lexeme + b',"transactionTimestamp":"' + self.GOOD.encode() + b'"}')
            self.assertEqual(row.user, text)
        for lexeme in (b"7.0", b"1e2"):
            self.assertEqual(fault_of(b'{"userId":' + lexeme + b',"transactionTimestamp":"x"}'), ("wrong_type", "user_id"))

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
