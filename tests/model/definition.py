"""Every worked line and edge of job A's definition, as test cases that run on anything that can do the job.

A class that mixes these in offers `job(partitions, params)`, which returns what tests.model.purchase_count.run returns.
"""

import json

from tests.model.purchase_count import MINUTE, SECOND, Params, parse_instant

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


class Examples:
    def rows_of(self, records, params=WIDE, user="u1"):
        return short(self.job({0: records}, params).by_user().get(user, []))


class Worked(Examples):
    FIRST_THREE = [tx("u1", "10:00:00"), tx("u1", "10:01:00"), tx("u1", "10:04:30")]

    def test_three_transactions_then_silence(self):
        self.assertEqual(self.rows_of(self.FIRST_THREE), [
            ("10:00:00", 1, "F"), ("10:01:00", 2, "F"), ("10:04:30", 3, "F"),
            ("10:05:00", 2, "T"), ("10:06:00", 1, "T"), ("10:09:30", 0, "T")])

    def test_state_is_gone_after_zero_and_the_next_transaction_starts_at_one(self):
        clock = tx("u2", "10:20:00")  # somebody else moves the partition's clock on
        records = self.FIRST_THREE + [clock, tx("u1", "10:30:00")]
        self.assertEqual(self.rows_of(records)[5:], [("10:09:30", 0, "T"), ("10:30:00", 1, "F"), ("10:30:30", 1, "T"), ("10:35:00", 0, "T")])

    def test_an_older_transaction_is_counted_at_the_latest_instant_and_runs_out_at_its_own(self):
        rows = self.rows_of(self.FIRST_THREE + [tx("u1", "10:02:00")])
        self.assertEqual(rows[3], ("10:04:30", 4, "F"))
        self.assertEqual(rows[4:], [("10:05:00", 3, "T"), ("10:06:00", 2, "T"), ("10:07:00", 1, "T"), ("10:09:30", 0, "T")])

    def test_no_timer_row_before_the_idle_time(self):
        rows = self.rows_of([tx("u1", "10:00:00"), tx("u1", "10:04:50")])
        self.assertEqual(rows, [("10:00:00", 1, "F"), ("10:04:50", 2, "F"), ("10:05:20", 1, "T"), ("10:09:50", 0, "T")])

    def test_timers_wait_for_the_clock_before_the_row_not_the_row_itself(self):
        # Nothing moved the clock in between, so the row that ends the silence also replaces the timer.
        self.assertEqual(self.rows_of([tx("u1", "10:00:00"), tx("u1", "10:30:00")])[1], ("10:30:00", 1, "F"))

    def test_the_first_timer_row_comes_even_if_the_count_did_not_change(self):
        self.assertEqual(self.rows_of([tx("u1", "10:00:00")])[1], ("10:00:30", 1, "T"))


class Edges(Examples):
    def test_equal_timestamps_both_count(self):
        self.assertEqual(self.rows_of([tx("u1", "10:00:00"), tx("u1", "10:00:00")])[:2], [("10:00:00", 1, "F"), ("10:00:00", 2, "F")])

    def test_changes_at_one_instant_give_one_row(self):
        rows = self.rows_of([tx("u1", "10:00:00"), tx("u1", "10:00:00"), tx("u1", "10:00:01")])
        self.assertEqual(rows[3:], [("10:00:31", 3, "T"), ("10:05:00", 1, "T"), ("10:05:01", 0, "T")])

    def test_exactly_a_window_ago_is_out_and_a_microsecond_less_is_in(self):
        out = self.job({0: [tx("u1", "10:05:00"), tx("u1", "10:00:00")]}, WIDE)
        self.assertEqual((len(out.rows), out.ignored), (3, 1))
        self.assertEqual(self.rows_of([tx("u1", "10:05:00"), tx("u1", "10:00:00.000001")])[1], ("10:05:00", 2, "F"))
        self.assertEqual(self.rows_of([tx("u1", "10:00:00"), tx("u1", "10:05:00")])[1], ("10:05:00", 1, "F"))

    def test_an_ignored_transaction_rearms_nothing(self):
        self.assertEqual(self.rows_of([tx("u1", "10:05:00"), tx("u1", "10:00:00")]), [("10:05:00", 1, "F"), ("10:05:30", 1, "T"), ("10:10:00", 0, "T")])

    def test_an_older_transaction_leaves_the_timer_at_the_latest_plus_idle(self):
        rows = self.rows_of([tx("u1", "10:02:00"), tx("u1", "10:01:59")])
        self.assertEqual(rows[1:3], [("10:02:00", 2, "F"), ("10:02:30", 2, "T")])

    def test_retries_count_twice_unless_they_carry_an_id(self):
        self.assertEqual(self.rows_of([tx("u1", "10:00:00"), tx("u1", "10:00:00")])[1][1], 2)
        result = self.job({0: [tx("u1", "10:00:00", "a"), tx("u1", "10:00:00", "a"), tx("u2", "10:00:00", "a")]}, WIDE)
        self.assertEqual((result.duplicates, len(result.by_user()["u1"]), len(result.by_user()["u2"])), (1, 3, 3))

    def test_an_id_is_remembered_through_its_time_to_live_and_no_longer(self):
        params = Params(delay=0, ttl=MINUTE)
        self.assertEqual(self.job({0: [tx("u1", "10:00:00", "a"), tx("u1", "10:01:00", "a")]}, params).duplicates, 1)
        self.assertEqual(self.job({0: [tx("u1", "10:00:00", "a"), tx("u1", "10:01:00.000001", "a")]}, params).duplicates, 0)

    def test_an_id_is_forgotten_when_the_clock_before_the_row_has_passed(self):
        params = Params(delay=0, ttl=MINUTE, lateness=MINUTE)
        remembered = [tx("u1", "10:00:00", "a"), tx("u2", "10:01:00"), tx("u1", "10:00:30", "a")]
        forgotten = [tx("u1", "10:00:00", "a"), tx("u2", "10:01:00.000001"), tx("u1", "10:00:30", "a")]
        self.assertEqual(self.job({0: remembered}, params).duplicates, 1)
        self.assertEqual(self.job({0: forgotten}, params).duplicates, 0)

    def test_a_late_copy_of_an_applied_row_is_late_not_a_duplicate(self):
        result = self.job({0: [tx("u1", "10:00:00", "a"), tx("u1", "10:01:00"), tx("u1", "10:00:00", "a")]})
        self.assertEqual((len(result.late), result.duplicates), (1, 0))

    def test_late_is_judged_by_the_partition_alone_and_equal_is_on_time(self):
        ahead = [tx("u9", "11:00:00")]
        on_time = [tx("u1", "10:00:30"), tx("u1", "10:00:00")]
        late = [tx("u1", "10:00:30.000001"), tx("u1", "10:00:00")]
        self.assertEqual(self.job({0: on_time, 1: ahead}).late, [])
        entry, = self.job({0: late, 1: ahead}).late
        self.assertEqual((entry["partition"], entry["offset"], entry["lateness_us"], entry["steps"]), (0, 1, 1, ["counts"]))
        self.assertEqual((entry["ts"], entry["wm"]), (f"{DAY}10:00:00Z", f"{DAY}10:00:00.000001Z"))

    def test_allowed_lateness_moves_the_border_and_equal_is_on_time(self):
        params = Params(lateness=MINUTE)
        ahead = tx("u9", "10:02:30")  # the watermark is 10:02:00, the step's clock 10:01:00
        self.assertEqual(self.job({0: [ahead, tx("u1", "10:01:00")]}, params).late, [])
        entry, = self.job({0: [ahead, tx("u1", "10:00:59.999999")]}, params).late
        self.assertEqual(entry["lateness_us"], MINUTE + 1)

    def test_late_rows_and_bad_rows_do_not_move_the_clock(self):
        records = [tx("u1", "10:00:00"), b"{", b'{"userId":"u1","transactionTimestamp":7}', tx("u1", "09:59:30")]
        self.assertEqual(self.job({0: records}).late, [])

    def test_duplicates_move_the_clock(self):
        records = [tx("u1", "10:00:00", "a"), tx("u1", "10:01:00", "a"), tx("u2", "10:00:29")]
        self.assertEqual(len(self.job({0: records}).late), 1)

    def test_timers_of_a_key_fire_before_its_row_when_the_clock_has_passed(self):
        # The clock before the last row is 10:06:00: idle and both expiries of u1 are over, its state starts afresh.
        records = [tx("u1", "10:00:00"), tx("u1", "10:00:10"), tx("u2", "10:06:30"), tx("u1", "10:06:30")]
        self.assertEqual(self.rows_of(records, Params())[2:6], [
            ("10:00:40", 2, "T"), ("10:05:00", 1, "T"), ("10:05:10", 0, "T"), ("10:06:30", 1, "F")])

    def test_a_timer_at_the_clock_itself_waits_for_the_rows_of_that_instant(self):
        params = Params(delay=0)
        records = [tx("u1", "10:00:00"), tx("u2", "10:00:30"), tx("u1", "10:00:30")]
        self.assertEqual(self.rows_of(records, params)[1], ("10:00:30", 2, "F"))
        records = [tx("u1", "10:00:00"), tx("u2", "10:00:30.000001"), tx("u1", "10:00:30.000001")]
        self.assertEqual(self.rows_of(records, params)[1], ("10:00:30", 1, "T"))

    def test_without_drain_the_clock_stays_where_the_input_left_it(self):
        records = [tx("u1", "10:00:00"), tx("u2", "10:06:00")]
        params = Params(drain=False)
        self.assertEqual(self.rows_of(records, params), [("10:00:00", 1, "F"), ("10:00:30", 1, "T"), ("10:05:00", 0, "T")])
        self.assertEqual(self.rows_of(records, params, "u2"), [("10:06:00", 1, "F")])

    def test_a_hot_key_that_never_comes_to_rest_fails_by_name(self):
        records = [tx("u1", f"10:00:00.{n:06}") for n in range(10_050)]
        with self.assertRaises(OverflowError):
            self.job({0: records}, WIDE)

    def test_many_keys_with_timers_at_the_end_are_no_hot_key(self):
        records = [tx(f"u{n}", f"10:00:0{second}") for n in range(5_100) for second in (0, 1)]
        result = self.job({0: records}, WIDE)  # three timer rows each
        self.assertEqual(len(result.rows), 5_100 * 5)

    def test_partitions_do_not_meet(self):
        one = [tx("u1", "10:00:00"), tx("u1", "10:04:00")]
        other = [tx("u2", "18:00:00"), tx("u2", "18:00:01")]
        both = self.job({0: one, 1: other}).by_user()
        self.assertEqual(both["u1"], self.job({0: one}).by_user()["u1"])
        self.assertEqual(both["u2"], self.job({0: [], 1: other}).by_user()["u2"])


class Revisions(Examples):
    def test_a_revision_is_the_event_time_in_microseconds(self):
        rows = self.job({0: [tx("u1", "10:00:00")]}, WIDE).rows
        self.assertEqual([row["_revision"] for row in rows], [parse_instant(row["eventTimestamp"]) for row in rows])
        self.assertEqual([row["_final"] for row in rows], [False] * 3)

    def test_ties_and_older_rows_count_up(self):
        at = parse_instant(f"{DAY}10:04:30Z")
        rows = self.job({0: [tx("u1", "10:04:30"), tx("u1", "10:04:30"), tx("u1", "10:02:00")]}, WIDE).rows
        self.assertEqual([row["_revision"] for row in rows[:4]], [at, at + 1, at + 2, at + 30 * SECOND])

    def test_revisions_of_a_key_grow_even_across_forgotten_state(self):
        records = [tx("u1", f"10:{minute:02}:00") for minute in range(0, 60, 7)]
        revisions = [row["_revision"] for row in self.job({0: records}).rows]
        self.assertEqual(revisions, sorted(set(revisions)))
