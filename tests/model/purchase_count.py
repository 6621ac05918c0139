#!/usr/bin/env python3
"""Reference model of job A, transactions of a user in the last five minutes: one thread, standard library, no batches.

It is written from the job's definition (docs/jobs/purchase_count.md) and shares nothing with the engine; where the two
differ, one of them is wrong. As a command it does what `turgo run jobs/purchase_count.yaml --profile replay` does:

    tests/model/purchase_count.py --in DIR --out DIR [--no-drain] [--window 5m] [--idle 30s] [--delay 30s] [--ttl 5m30s]
"""

import argparse
import base64
import bisect
import dataclasses
import functools
import json
import math
import pathlib
import re
import sys

if __package__ in (None, ""):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.model.audit import Sums, uid  # noqa: E402  (after the path is set)
from tests.model.strict_json import Number, Refused, read_object  # noqa: E402  (after the path is set)

TOPIC = "user-transaction-topic"
STEP = "counts"
SECOND = 1_000_000
MINUTE = 60 * SECOND
RECORD_BYTES_MAX = 8 << 20
TEXT_BYTES_MAX = 65536
KEY_BYTES_MAX = 1024
KEY_HEAD_BYTES = 5  # of one text column in an encoded key: presence and length
REARM_AT_INFINITY_MAX = 10_000
FOREVER = math.inf


@dataclasses.dataclass
class Params:
    window: int = 5 * MINUTE
    idle: int = 30 * SECOND
    delay: int = 30 * SECOND  # B
    ttl: int = 5 * MINUTE + 30 * SECOND  # of the deduplication
    lateness: int = 0  # L of the step
    max_skew: float = FOREVER  # off in replay
    drain: bool = True

    def sets(self):
        """The `--set` values that give a run the same parameters."""
        return [f"sources.tx.watermark.delay={self.delay}us", f"sources.tx.dedupe.ttl={self.ttl}us",
                f"steps.counts.allowed_lateness={self.lateness}us", f"steps.counts.process.params.window={self.window}us",
                f"steps.counts.process.params.idle={self.idle}us"]


# ---- instants ------------------------------------------------------------------------------------------------------

RFC_3339 = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
                      r"(?:([Zz])|([+-])([0-9]{2}):([0-9]{2}))?", re.ASCII)
MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
days_known = {}


def is_leap(year):
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_before_year(year):
    """Days from 0001-01-01 to the first of January of `year`."""
    last = year - 1
    return last * 365 + last // 4 - last // 100 + last // 400


def days_since_1970(date):
    """`date` is YYYY-MM-DD; None when there is no such day."""
    if date in days_known:
        return days_known[date]
    year, month, day = int(date[:4]), int(date[5:7]), int(date[8:])
    days = None
    if year >= 1 and 1 <= month <= 12:
        in_month = MONTH_DAYS[month - 1] + (1 if month == 2 and is_leap(year) else 0)
        if 1 <= day <= in_month:
            in_year = sum(MONTH_DAYS[:month - 1]) + (1 if month > 2 and is_leap(year) else 0) + day - 1
            days = days_before_year(year) + in_year - days_before_year(1970)
    days_known[date] = days
    return days


def parse_instant(text):
    """Microseconds since 1970 UTC of an RFC 3339 text (no zone: UTC), or None when it is refused."""
    found = RFC_3339.fullmatch(text)
    if not found:
        return None
    date, hour, minute, second, fraction, _, sign, zone_hour, zone_minute = found.groups()
    days = days_since_1970(date)
    if days is None or int(hour) > 23 or int(minute) > 59 or int(second) > 59:
        return None
    instant = ((days * 24 + int(hour)) * 60 + int(minute)) * 60 + int(second)
    if sign:
        if int(zone_hour) > 23 or int(zone_minute) > 59:
            return None
        offset = (int(zone_hour) * 60 + int(zone_minute)) * 60
        instant += offset if sign == "-" else -offset
    return instant * SECOND + (int(fraction[:6].ljust(6, "0")) if fraction else 0)


@functools.lru_cache(maxsize=None)
def civil_date(days):
    """(year, month, day) of a day counted from 1970-01-01."""
    year = 1970 + days // 366
    while days_before_year(year + 1) - days_before_year(1970) <= days:
        year += 1
    while days_before_year(year) - days_before_year(1970) > days:
        year -= 1
    day = days - (days_before_year(year) - days_before_year(1970))
    for month, length in enumerate(MONTH_DAYS, 1):
        length += 1 if month == 2 and is_leap(year) else 0
        if day < length:
            return year, month, day + 1
        day -= length
    raise AssertionError("unreachable")


def format_instant(instant):
    """RFC 3339 UTC with the fewest of 0, 3, 6 fraction digits that are exact."""
    seconds, micros = divmod(instant, SECOND)
    days, in_day = divmod(seconds, 86400)
    year, month, day = civil_date(days)
    text = f"{year:04}-{month:02}-{day:02}T{in_day // 3600:02}:{in_day // 60 % 60:02}:{in_day % 60:02}"
    if micros:
        text += f".{micros // 1000:03}" if micros % 1000 == 0 else f".{micros:06}"
    return text + "Z"


DURATION = re.compile(r"([0-9]+)(us|ms|s|m|h|d)", re.ASCII)
UNITS = {"us": 1, "ms": 1000, "s": SECOND, "m": MINUTE, "h": 60 * MINUTE, "d": 24 * 60 * MINUTE}


def parse_duration(text):
    if text != "0" and not re.fullmatch(f"(?:{DURATION.pattern})+", text):
        raise argparse.ArgumentTypeError(f"not a duration: {text}")
    return sum(int(number) * UNITS[unit] for number, unit in DURATION.findall(text))


# ---- records -------------------------------------------------------------------------------------------------------

class Malformed(Exception):
    """A dead letter: the first fault in the order of the checks. `field` is the member's name in the record."""

    def __init__(self, reason, field=None):
        super().__init__(reason, field)
        self.reason = reason
        self.field = field


@dataclasses.dataclass
class Transaction:
    user: str
    at: int
    id: str | None


# The shape nearly every record has. Whatever this matches, the strict reader reads the same way; it is here because a
# million records in pure Python would otherwise take minutes.
USUAL = re.compile(rb'\{"userId":"([ !#-\[\]-~]{1,500})","transactionTimestamp":"([ !#-\[\]-~]*)"'
                   rb'(?:,"transactionId":"([ !#-\[\]-~]{0,500})")?\}')


def read_transaction(value):
    """The transaction in `value` (bytes), or Malformed."""
    found = USUAL.fullmatch(value)
    if found:
        user, stamp, identity = (part.decode() if part is not None else None for part in found.groups())
        instant = parse_instant(stamp)
        if instant is None:
            raise Malformed("bad_timestamp", "transactionTimestamp")
        return Transaction(user, instant, identity)
    if len(value) > RECORD_BYTES_MAX:
        raise Malformed("too_long")
    try:
        members = read_object(value)
    except Refused as refusal:
        raise Malformed(refusal.reason) from None
    user = read_text(members, "userId", required=True)
    if len(user.encode()) + KEY_HEAD_BYTES > KEY_BYTES_MAX:
        raise Malformed("too_long", "userId")
    stamp = members.get("transactionTimestamp")
    if stamp is None:
        raise Malformed("missing_field", "transactionTimestamp")
    if isinstance(stamp, Number) or not isinstance(stamp, str):
        raise Malformed("wrong_type", "transactionTimestamp")
    instant = parse_instant(stamp)
    if instant is None:
        raise Malformed("bad_timestamp", "transactionTimestamp")
    identity = read_text(members, "transactionId", required=False)
    # The deduplication's key is (user, id), and a key has a limit.
    if identity is not None and len(user.encode()) + len(identity.encode()) + 2 * KEY_HEAD_BYTES > KEY_BYTES_MAX:
        raise Malformed("too_long", "transactionId")
    return Transaction(user, instant, identity)


def read_text(members, name, required):
    """A text that may also be written as an integer."""
    value = members.get(name)
    if value is None:
        if required:
            raise Malformed("missing_field", name)
        return None
    if isinstance(value, Number):
        if not value.is_integer:
            raise Malformed("wrong_type", name)
        value = "0" if value == "-0" else str(value)
    elif not isinstance(value, str):
        raise Malformed("wrong_type", name)
    if required and not value:
        raise Malformed("empty_key", name)
    if len(value.encode()) > TEXT_BYTES_MAX:
        raise Malformed("too_long", name)
    return value


# ---- the job -------------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Recent:
    """State of one user."""

    latest: int
    seen: list  # ascending
    timer: int
    revision: int
    audit: Sums = dataclasses.field(default_factory=Sums)


@dataclasses.dataclass
class Result:
    rows: list = dataclasses.field(default_factory=list)  # output rows; order between users is free
    dead: list = dataclasses.field(default_factory=list)
    late: list = dataclasses.field(default_factory=list)
    records: int = 0
    duplicates: int = 0
    ignored: int = 0
    counts: dict = dataclasses.field(default_factory=dict)  # number of a partition -> Counts
    clock: float = FOREVER  # the job's, in the end

    def add(self, row):
        self.rows.append(row)

    def by_user(self):
        users = {}
        for row in self.rows:
            users.setdefault(row["userId"], []).append(row)
        return users

    def table(self):
        """What a row-per-key sink holds in the end."""
        return {user: rows[-1] for user, rows in self.by_user().items()}


class Table(Result):
    """A result that keeps the last row of each user only, for inputs of millions of records."""

    def __init__(self):
        super().__init__(rows={})
        self.rows_out = 0

    def add(self, row):
        self.rows[row["userId"]] = row
        self.rows_out += 1

    def table(self):
        return self.rows


@dataclasses.dataclass
class Counts:
    """What became of a partition's records."""

    records: int = 0
    dead: int = 0
    late: int = 0
    duplicates: int = 0
    ignored: int = 0
    applied: Sums = dataclasses.field(default_factory=Sums)

    @property
    def accepted(self):
        return self.applied.rows + self.ignored


class Partition:
    """One partition's log: its clock, its deduplication, and the users that live in it. `ticks` are (offset, clock): the partition was idle and
    its clock was raised before the record at that offset."""

    def __init__(self, number, params, result, ticks=()):
        self.number = number
        self.params = params
        self.result = result
        self.ticks = sorted(ticks, reverse=True)
        self.raised = -FOREVER
        self.newest = None  # largest ts of the records that move the clock
        self.ids = {}  # (user, id) -> ts of the row that was applied
        self.users = {}
        self.counts = Counts()

    @property
    def watermark(self):
        return self.raised if self.newest is None else max(self.raised, self.newest - self.params.delay)

    def tick_until(self, offset, clock=FOREVER):
        """Raises up to `clock` act that came before the record at `offset`."""
        while self.ticks and self.ticks[-1][0] <= offset and self.ticks[-1][1] <= clock:
            self.raised = max(self.raised, self.ticks.pop()[1])

    def push(self, offset, value, record_time=None):
        self.tick_until(offset)
        params, result, watermark = self.params, self.result, self.watermark
        result.records += 1
        self.counts.records += 1
        try:
            row = read_transaction(value if value is not None else b"")
            if record_time is not None and row.at > record_time + params.max_skew:
                raise Malformed("future", "transactionTimestamp")
        except Malformed as fault:
            result.dead.append(dead_letter(self.number, offset, fault, value))
            self.counts.dead += 1
            return
        if row.at < watermark - params.lateness:
            result.late.append({"topic": TOPIC, "partition": self.number, "offset": offset, "ts": format_instant(row.at),
                                "wm": format_instant(watermark), "lateness_us": watermark - row.at, "steps": [STEP]})
            self.counts.late += 1
            return
        if self.newest is None or row.at > self.newest:
            self.newest = row.at
        if self.is_duplicate(row, watermark):
            result.duplicates += 1
            self.counts.duplicates += 1
            return
        self.fire(row.user, watermark - params.lateness)
        self.apply(row, offset)

    def is_duplicate(self, row, watermark):
        if row.id is None:
            return False
        first = self.ids.get((row.user, row.id))
        if first is not None and watermark <= first + self.params.ttl and row.at <= first + self.params.ttl:
            return True
        self.ids[row.user, row.id] = row.at
        return False

    def apply(self, row, offset):
        state = self.users.get(row.user)
        if state is None:
            state = self.users[row.user] = Recent(row.at, [], 0, -FOREVER)
        latest = max(state.latest, row.at)
        if row.at <= latest - self.params.window:
            self.result.ignored += 1
            self.counts.ignored += 1
            return
        number = uid(self.number, offset)
        state.audit.add(number)
        self.counts.applied.add(number)
        state.latest = latest
        bisect.insort_right(state.seen, row.at)
        self.expire(state, latest)
        self.emit(row.user, state, latest, False)
        state.timer = latest + self.params.idle

    def expire(self, state, now):
        del state.seen[:bisect.bisect_right(state.seen, now - self.params.window)]

    def emit(self, user, state, instant, is_timeout):
        state.revision = max(instant, state.revision + 1)
        self.result.add({"userId": user, "purchaseCount": len(state.seen), "eventTimestamp": format_instant(instant),
                                 "isTimeout": is_timeout, "_revision": state.revision, "_final": False})

    def fire(self, user, clock):
        """Run the user's timers that are due: those the clock has passed."""
        state = self.users.get(user)
        rearmed = 0
        while state is not None and state.timer < clock:
            now = state.timer
            self.expire(state, now)
            self.emit(user, state, now, True)
            if not state.seen:
                del self.users[user]
                return
            state.timer = state.seen[0] + self.params.window
            rearmed += 1
            if clock == FOREVER and rearmed > REARM_AT_INFINITY_MAX:
                raise OverflowError(f"timers of user {user!r} never come to rest")

    def end(self):
        self.tick_until(FOREVER)
        clock = FOREVER if self.params.drain else self.watermark - self.params.lateness
        for user in list(self.users):
            self.fire(user, clock)


def dead_letter(partition, offset, fault, value):
    letter = {"topic": TOPIC, "partition": partition, "offset": offset, "reason": fault.reason, "field": fault.field,
              "raw": None, "raw_base64": None}
    if value is None:  # a tombstone
        return letter
    try:
        letter["raw"] = value.decode("utf-8")
    except UnicodeDecodeError:
        letter["raw_base64"] = base64.b64encode(value).decode()
    return letter


def run(partitions, params=None, result=None, ticks=None):
    """Result of the job over `partitions`: partition number -> iterable of values (bytes), or of (offset, value,
    record time in us) where offsets have gaps or records have times of their own. `ticks`: partition number -> list of (offset, clock)."""
    params = params or Params()
    result = result or Result()
    result.counts = {}
    for number in sorted(partitions):
        partition = Partition(number, params, result, (ticks or {}).get(number, ()))
        result.counts[number] = partition.counts
        for line, record in enumerate(partitions[number]):
            if isinstance(record, tuple):
                partition.push(*record)
            else:
                partition.push(line, record)
        partition.end()
        if not params.drain and partition.newest is not None:
            result.clock = min(result.clock, partition.watermark - params.lateness)
    return result


# ---- files ---------------------------------------------------------------------------------------------------------

def read_lines(path):
    """Records of one replay file: split at newlines, and the last newline makes no record."""
    data = pathlib.Path(path).read_bytes()
    lines = data.split(b"\n")
    if lines and lines[-1] == b"":
        lines.pop()
    return lines


def read_folder(folder):
    """Partitions in <folder>/<topic>/p<n>.jsonl."""
    return {int(path.stem[1:]): read_lines(path) for path in (pathlib.Path(folder) / TOPIC).glob("p*.jsonl")}


def write_jsonl(path, rows):
    with open(path, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--in", dest="folder", default="in")
    parser.add_argument("--out", default="out")
    parser.add_argument("--no-drain", action="store_true")
    for name in ("window", "idle", "delay", "ttl", "lateness"):
        parser.add_argument(f"--{name}", type=parse_duration, default=getattr(Params, name))
    options = parser.parse_args()
    params = Params(options.window, options.idle, options.delay, options.ttl, options.lateness, drain=not options.no_drain)
    result = run(read_folder(options.folder), params)
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    write_jsonl(out / "user_transaction_counts.jsonl", result.rows)
    write_jsonl(out / "dead_letters.jsonl", result.dead)
    write_jsonl(out / "late.jsonl", result.late)
    print(f"{result.records} records in, {len(result.rows)} rows out, {len(result.late)} late, {len(result.dead)} dead, "
          f"{result.duplicates} duplicates, {result.ignored} ignored")


if __name__ == "__main__":
    main()
