"""Sums over uids: the numbers the engine has, and what they tell apart."""

import random
import unittest

from tests.model.audit import Sums, mix, sign, uid


class Audit(unittest.TestCase):
    def test_uids_are_the_engines(self):  # the same numbers are in tests/unit/engine/test_tally.c
        self.assertEqual([mix(1), uid(0, 0), uid(3, 41), uid(0, (1 << 63) - 1)], VECTORS)

    def test_any_one_lost_and_any_other_one_doubled_changes_the_squares_or_the_sum(self):
        chance = random.Random(1)
        uids = [uid(partition, offset) for partition in range(3) for offset in range(2000)]
        self.assertEqual(len(set(uids)), len(uids))
        whole = Sums()
        for number in uids:
            whole.add(number)
        for _ in range(1000):
            lost, doubled = chance.sample(uids, 2)
            total, squares = sign(whole.sum - lost + doubled), sign(whole.squares - lost * lost + doubled * doubled)
            self.assertNotEqual((total, squares), whole.signed()[1:])

    def test_sums_are_64_bits_with_a_sign(self):
        self.assertEqual([sign(0), sign((1 << 63) - 1), sign(1 << 63), sign((1 << 64) + 5)], [0, (1 << 63) - 1, -(1 << 63), 5])


VECTORS = [0x5692161D100B05E5, 0xE220A8397B1DCDAF, 0x9EBEB27D522A4E8B, 0x2A67D7552E039EA7]

if __name__ == "__main__":
    unittest.main()
