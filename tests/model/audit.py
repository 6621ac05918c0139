"""Sums over the uids of applied rows, as `engine: {audit: true}` keeps them: a lost row and one applied twice do not cancel."""

import dataclasses

MASK = (1 << 64) - 1


def mix(x):
    """The finisher of SplitMix64."""
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def uid(partition, offset):
    """Of the record at `offset` of the job's partition `partition`."""
    return mix((partition + 1) * 0x9E3779B97F4A7C15 + offset & MASK)


@dataclasses.dataclass
class Sums:
    rows: int = 0
    sum: int = 0
    squares: int = 0

    def add(self, number):
        self.rows += 1
        self.sum += number  # reduced when somebody looks
        self.squares += number * number

    def signed(self):
        """(rows, sum, squares) as checkpoints print them: 64 bits with a sign."""
        return self.rows, sign(self.sum), sign(self.squares)


def sign(number):
    return (number + (1 << 63) & MASK) - (1 << 63)
