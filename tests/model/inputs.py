#!/usr/bin/env python3
"""Seeded hostile input for job A: disorder, late rows, retries, every kind of malformed record, every spelling of a good one.

A seed gives the same bytes for ever on every machine. As a command: tests/model/inputs.py --seed N --dir DIR [--records N]
writes <dir>/user-transaction-topic/p<n>.jsonl and prints the parameters the seed chose, as `--set` values.
"""

import argparse
import dataclasses
import json
import pathlib
import random
import sys

if __package__ in (None, ""):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.model.purchase_count import (MINUTE, SECOND, TOPIC, Malformed, Params, format_instant,  # noqa: E402
                                        parse_instant, read_transaction)

BASE = parse_instant("2026-02-27T23:30:00Z")  # the input crosses a day and a month
NAMES = ("u{}", "user-{}", "\u00fc\u2603{}", "\U0001F600{}", 'quo"te\\{}', "sp ace/{}", "\u0000nul{}", "\t{}", "\u65e5\u672c{}", "e\u0301{}")


@dataclasses.dataclass
class Inputs:
    seed: int
    params: Params
    partitions: dict  # number -> [bytes], none with a newline in it

    def write(self, folder):
        topic = pathlib.Path(folder) / TOPIC
        topic.mkdir(parents=True, exist_ok=True)
        for number, values in self.partitions.items():
            data = b"\n".join(values)
            # A last record without newline is one too; only an empty last record needs it to exist.
            if values and (number % 2 == 0 or values[-1] == b""):
                data += b"\n"
            (topic / f"p{number}.jsonl").write_bytes(data)

    @property
    def count(self):
        return sum(map(len, self.partitions.values()))


def generate(seed, records=1500, partitions=None, malformed=0.05, params=None):
    chance = random.Random(seed)
    partitions = partitions or chance.choice((1, 1, 2, 3, 4, 7))
    params = params or choose_params(chance)
    logs = {number: Log(chance, params, number, partitions).fill(records // partitions, malformed) for number in range(partitions)}
    return Inputs(seed, params, logs)


def choose_params(chance):
    if chance.random() < 0.4:
        return Params(drain=chance.random() < 0.7)
    window = chance.choice((5 * MINUTE, MINUTE, 10 * SECOND, 1 * SECOND, 17))
    delay = chance.choice((0, 250_000, 5 * SECOND, 30 * SECOND, 5 * MINUTE))
    return Params(window=window, idle=chance.choice((30 * SECOND, 5 * SECOND, window, 0)), delay=delay,
                  ttl=chance.choice((window + delay, MINUTE, 0)), lateness=chance.choice((0, 0, 0, 10 * SECOND)),
                  drain=chance.random() < 0.7)


class Log:
    """One partition's records. Users live in one partition, as the job's `partitioned_by` promises."""

    def __init__(self, chance, params, number, partition_count):
        self.chance = chance
        self.params = params
        self.clock = BASE + chance.randrange(0, 3600) * SECOND
        self.users = [user_name(chance, n * partition_count + number) for n in range(chance.choice((1, 2, 5, 20, 60)))]
        self.recent = []  # (user, at, id) of some good records
        # Steps of the clock: bursts, ordinary traffic, long silences that run every timer out.
        self.steps = chance.choice(((0, 1, 1000), (0, 1000, SECOND), (SECOND, 5 * SECOND, 30 * SECOND), (0, params.window, params.idle, 7)))

    def fill(self, count, malformed):
        values = []
        for _ in range(count):
            if self.chance.random() < malformed:
                values.append(self.malformed())
            else:
                values.append(self.good())
        return values

    def good(self):
        chance, params = self.chance, self.params
        draw = chance.random()
        if self.recent and draw < 0.12:  # a retry: the same transaction, sometimes with another time
            user, at, identity = chance.choice(self.recent)
            if chance.random() < 0.3:
                at += chance.choice((1, -1, params.ttl, params.ttl + 1, SECOND))
        else:
            self.clock += chance.choice(self.steps) if chance.random() < 0.97 else chance.choice((params.window * 2, 20 * MINUTE))
            user, at, identity = chance.choice(self.users), self.clock - self.disorder(), self.identity()
        self.recent = (self.recent + [(user, at, identity)])[-40:]
        return self.render(user, at, identity)

    def disorder(self):
        """How far behind the newest record this one is; the edges of lateness, window and idleness come up often."""
        params, chance = self.params, self.chance
        draw = chance.random()
        if draw < 0.55:
            return 0
        if draw < 0.75:
            return chance.randrange(0, params.delay + 1)
        if draw < 0.9:
            edge = chance.choice((params.delay, params.delay + params.lateness, params.window, params.idle))
            return max(0, edge + chance.choice((-1, 0, 0, 1)))
        return chance.randrange(0, params.delay + params.lateness + params.window + 10 * SECOND)

    def identity(self):
        draw = self.chance.random()
        if draw < 0.4:
            return None
        if draw < 0.5:
            return self.chance.randrange(0, 30)
        if draw < 0.55:
            return ""
        return f"t{self.chance.randrange(0, 10_000)}"

    def render(self, user, at, identity):
        chance = self.chance
        if chance.random() < 0.3:  # as real producers write it
            members = {"userId": user, "transactionTimestamp": format_instant(at)}
            if identity is not None:
                members["transactionId"] = identity
            return json.dumps(members, separators=(",", ":"), ensure_ascii=chance.random() < 0.5).encode()
        members = [("userId", spell_text(chance, user)), ("transactionTimestamp", spell_string(chance, spell_instant(chance, at)))]
        if identity is not None or chance.random() < 0.2:
            members.append(("transactionId", "null" if identity is None else spell_text(chance, identity)))
        for _ in range(chance.choice((0, 0, 1, 3))):
            members.append((f"x{chance.randrange(9)}", unused_value(chance, 3)))
        chance.shuffle(members)
        if chance.random() < 0.1:  # an earlier member of the same name loses
            name = chance.choice(("userId", "transactionTimestamp", "x1"))
            members.insert(0, (name, chance.choice(("null", "7.5", '"loser"', "[]"))))
        return assemble(chance, members)

    def malformed(self):
        chance = self.chance
        name = chance.choice(self.users)
        user, stamp = spell_text(chance, name), spell_string(chance, format_instant(self.clock + MINUTE))
        kind = chance.randrange(12)
        if kind == 0:
            whole = assemble(chance, [("userId", user), ("transactionTimestamp", stamp)])
            return whole[:chance.randrange(0, len(whole))]
        if kind == 1:
            return chance.choice((b"", b" ", b"{}", b"[]", b"null", b"7", b'"x"', b"{", b"}", b"\xef\xbb\xbf{}", b"nul", b"NaN", b"[" * 5000,
                                  b'{"a":' * 1025 + b"1" + b"}" * 1025, b"{" * 2000, b"\x00", b"\r"))
        if kind == 2:
            whole = bytearray(assemble(chance, [("userId", user), ("transactionTimestamp", stamp)]))
            whole[chance.randrange(len(whole))] = chance.choice((0xFF, 0xC0, 0x80, 0xED, 0x00, 0x1F, 0x22, 0x5C, 0x7D, 0x2C))
            return bytes(whole) if is_refused_or_of(whole, name) else b"{" + whole
        if kind == 3:
            bad = chance.choice(("7.0", "1e2", "true", "false", "null", "[]", "{}", '""', '["u1"]', "-", "01", "1.", ".5", "+1", "1e", '"' + "k" * 1020 + '"',
                                 '"' + "k" * 1500 + '"', '"' + "k" * 66000 + '"', '"\\ud800"', '"\\udc00x"', '"\\u12"', '"\\x41"', '"open'))
            return assemble(chance, [("userId", bad), ("transactionTimestamp", stamp)])
        if kind in (4, 5):
            bad = chance.choice(("1767225600", "1767225600.5", "true", "null", "[]", '""', '"yesterday"', '"2026-02-30T10:00:00Z"', '"2026-03-01T24:00:00Z"',
                                 '"2026-03-01T10:00:60Z"', '"0000-03-01T10:00:00Z"', '"2026-03-01"', '"2026-03-01T10:00:00.1234567890Z"', '"10:00:00"',
                                 '" 2026-03-01T10:00:00Z"', '"2026-03-01T10:00:00Z "', '"2026-03-01T10:00:00+25:00"', '"2026-03-01T10:00:00,5Z"',
                                 '"2026-13-01T10:00:00Z"', '"2026-03-01T10:00Z"', '"20260301T100000Z"', '"2026-03-01T10:00:00.Z"', '"2100-02-29T10:00:00Z"'))
            return assemble(chance, [("userId", user), ("transactionTimestamp", bad)])
        if kind == 6:
            return assemble(chance, [chance.choice((("userId", user), ("transactionTimestamp", stamp), ("USERID", user)))])
        if kind == 7:
            bad = chance.choice(("1.5", "true", "[]", "{}", '"' + "i" * 66000 + '"'))
            return assemble(chance, [("userId", user), ("transactionTimestamp", stamp), ("transactionId", bad)])
        if kind == 8:
            bad = chance.choice(("NaN", "Infinity", "-Infinity", "nil", "undefined", "'x'", "[1,]", "[,1]", '{"a":1,}', '{"a"}', '{1:2}', "[1 2]", '"\x01"',
                                 '"a" "b"', "1 2", "[" * 1024 + "]" * 1024, "[" * 100_000, "]", '{"a":[}', "0x10", "1__0", "tru", "/*x*/1"))
            return assemble(chance, [("userId", user), ("transactionTimestamp", stamp), ("x", bad)])
        if kind == 9:
            return assemble(chance, [("userId", user), ("transactionTimestamp", stamp)]) + chance.choice((b"x", b"{}", b",", b"\x00", b"]", b"}", b"\xc2\xa0"))
        if kind == 10:
            return bytes(chance.randrange(256) for _ in range(chance.randrange(1, 60))).replace(b"\n", b"")
        return assemble(chance, [("x", '"' + "m" * chance.choice((1000, 100_000, 1_000_000)) + '"'), ("userId", user), ("transactionTimestamp", "0")])


def is_refused_or_of(value, user):
    """A damaged record must not turn into a user of another partition: the job's promise would be broken."""
    try:
        return read_transaction(bytes(value)).user == str(user)
    except Malformed:
        return True


def user_name(chance, number):
    if chance.random() < 0.2:
        return number * (-1 if chance.random() < 0.2 else 1)
    if chance.random() < 0.03:
        return "k" * 900 + f"{number:08}"
    return chance.choice(NAMES).format(number)


def spell_text(chance, value):
    """A text, or the integer that stands for it; both spellings are the same user."""
    if isinstance(value, int):
        return str(value) if chance.random() < 0.5 else spell_string(chance, str(value))
    return spell_string(chance, value)


def spell_string(chance, text):
    draw = chance.random()
    if draw < 0.6:
        return json.dumps(text, ensure_ascii=False)
    if draw < 0.8:
        return json.dumps(text)
    units = text.encode("utf-16-be")
    return '"' + "".join(f"\\u{units[n]:02{'X' if draw < 0.9 else 'x'}}{units[n + 1]:02x}" for n in range(0, len(units), 2)) + '"'


def spell_instant(chance, at):
    style = chance.randrange(6)
    if style == 0:
        return format_instant(at)
    offset = 0 if style < 3 else chance.choice((0, 330, -480, 60, -1, 1439))
    shifted = at + offset * MINUTE
    text = format_instant(shifted - shifted % SECOND)[:-1]
    micros = shifted % SECOND
    digits = f"{micros:06}".rstrip("0")
    if style in (1, 4) or digits:
        text += "." + chance.choice((f"{micros:06}", f"{micros:06}123", digits or "0", f"{micros:06}9"))
    text = text.replace("T", chance.choice(("T", "T", "t", " ")))
    if style < 3:
        return text + chance.choice(("Z", "Z", "z", "", "+00:00", "-00:00"))
    return text + f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"


def unused_value(chance, depth):
    if depth and chance.random() < 0.4:
        if chance.random() < 0.5:
            return "[" + ",".join(unused_value(chance, depth - 1) for _ in range(chance.randrange(4))) + "]"
        return "{" + ",".join(f'"userId":{unused_value(chance, depth - 1)}' for _ in range(chance.randrange(3))) + "}"
    return chance.choice(("1", "-0.0e+10", "1e999", "true", "null", '"\\"}"', '"\u2028"', '""', "123456789012345678901234567890", '"{[,:"', '"\\\\"',
                          '"\x7f"', '"' + "\\" * 40 + '"', '"' + "n" * 300 + '"', "[" * 60 + "]" * 60))


def assemble(chance, members):
    space = [chance.choice(("", "", " ", "\t", "\r", "   ")) for _ in range(5)]
    body = f"{space[0]},{space[1]}".join(f"{spell_string(chance, name)}{space[2]}:{space[3]}{value}" for name, value in members)
    return (space[4] + "{" + space[1] + body + space[0] + "}" + space[3]).encode("utf-8", "surrogatepass").replace(b"\n", b" ")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--dir", default="in")
    parser.add_argument("--records", type=int, default=1500)
    options = parser.parse_args()
    inputs = generate(options.seed, options.records)
    inputs.write(options.dir)
    print(" ".join(f"--set {value}" for value in inputs.params.sets()) + ("" if inputs.params.drain else " --no-drain"))


if __name__ == "__main__":
    main()
