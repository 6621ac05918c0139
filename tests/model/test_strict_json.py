"""The reference model's JSON reader against the JSONTestSuite cases and its own edges."""

import pathlib
import unittest

from tests.model.strict_json import CONTAINER, DEPTH_MAX, Number, Refused, read_object

CASES = pathlib.Path(__file__).resolve().parents[1] / "data" / "json" / "test_parsing"


def reason_of(data):
    try:
        read_object(data)
    except Refused as refusal:
        return refusal.reason
    return None


def wrapped(data):
    return b'{"userId":"u1","x":' + data + b',"y":1}'


class JsonTestSuite(unittest.TestCase):
    def cases(self, prefix, count):
        files = sorted(CASES.glob(f"{prefix}_*.json"))
        self.assertEqual(len(files), count, f"the {prefix}_ cases of {CASES}")
        return files

    def test_every_valid_case_is_accepted_as_the_value_of_an_unused_field(self):
        for path in self.cases("y", 95):
            self.assertIsNone(reason_of(wrapped(path.read_bytes())), path.name)

    def test_every_valid_case_is_an_object_or_refused_as_none(self):
        for path in self.cases("y", 95):
            data = path.read_bytes()
            self.assertEqual(reason_of(data), None if data.strip().startswith(b"{") else "not_object", path.name)

    def test_every_invalid_case_is_refused_wrapped_and_alone(self):
        for path in self.cases("n", 188):
            self.assertIn(reason_of(wrapped(path.read_bytes())), ("bad_json", "bad_utf8"), path.name)
            self.assertIn(reason_of(path.read_bytes()), ("bad_json", "bad_utf8"), path.name)

    def test_undefined_cases_are_decided_by_rfc_8259_alone(self):
        accepted = {path.name for path in self.cases("i", 35) if reason_of(wrapped(path.read_bytes())) is None}
        self.assertEqual(accepted, {
            "i_number_double_huge_neg_exp.json", "i_number_huge_exp.json", "i_number_neg_int_huge_exp.json",
            "i_number_pos_double_huge_exp.json", "i_number_real_neg_overflow.json", "i_number_real_pos_overflow.json",
            "i_number_real_underflow.json", "i_number_too_big_neg_int.json", "i_number_too_big_pos_int.json",
            "i_number_very_big_negative_int.json", "i_structure_500_nested_arrays.json"})


class Edges(unittest.TestCase):
    def test_the_last_of_equal_names_wins_and_names_compare_unescaped(self):
        self.assertEqual(read_object(rb'{"a":1,"\u0061":"two"}'), {"a": "two"})

    def test_numbers_keep_their_lexeme(self):
        members = read_object(b'{"a":2.0,"b":-0,"c":1e2,"d":123456789012345678901234567890}')
        self.assertEqual(members, {"a": "2.0", "b": "-0", "c": "1e2", "d": "123456789012345678901234567890"})
        self.assertEqual([members[name].is_integer for name in "abcd"], [False, True, False, True])
        self.assertIsInstance(members["a"], Number)

    def test_members_of_inner_objects_stay_inside(self):
        self.assertEqual(read_object(b'{"a":{"b":[1,{"c":2}],"d":{}},"e":null}'), {"a": CONTAINER, "e": None})

    def test_depth_counts_every_bracket_up_to_the_limit(self):
        def nested(depth):
            return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
        self.assertIsNone(reason_of(nested(DEPTH_MAX)))
        self.assertEqual(reason_of(nested(DEPTH_MAX + 1)), "bad_json")
        self.assertEqual(reason_of(b"[" * 100_000), "bad_json")

    def test_surrogates_must_pair(self):
        self.assertEqual(read_object(rb'{"a":"\ud83d\ude00"}'), {"a": "\U0001F600"})
        for text in (rb"\ud83d", rb"\ude00", rb"\ud83dx", rb"\ud83d\n", rb"\ud83d\ud83d", rb"\ud83", rb"\u12g4"):
            self.assertEqual(reason_of(b'{"a":"' + text + b'"}'), "bad_json", text)
        self.assertEqual(reason_of(b'{"a":"\xed\xa0\x80"}'), "bad_utf8")

    def test_trailing_bytes_mark_and_emptiness_are_bad_json(self):
        for data in (b"", b" ", b'{"a":1} x', b'{"a":1}{"a":1}', b'\xef\xbb\xbf{"a":1}', b'{"a":NaN}', b'{"a":1}\x00',
                     b'{"a":"\x1f"}', b"{'a':1}", b'{"a":01}', b'{"a":+1}', b'{"a":.5}', b'{"a":1.}', b'{"a":tru}', b'{"a" 1}',
                     b'{"a":1,}', b'{,"a":1}', b'{"a":1\x0c}', b'{1:1}', b"{", b'{"a":[1}}'):
            self.assertEqual(reason_of(data), "bad_json", data)

    def test_a_valid_document_that_is_no_object_is_named_so(self):
        for data in (b"[]", b"1", b'"x"', b"null", b" [ {} ] "):
            self.assertEqual(reason_of(data), "not_object", data)
        self.assertEqual(reason_of(b"[1,"), "bad_json")

    def test_utf8_is_checked_before_json(self):
        for data in (b"\xff", b'{"a":"\xc0\xaf"}', b'{"a":"\xf5\x80\x80\x80"}', b"{\xe2\x28"):
            self.assertEqual(reason_of(data), "bad_utf8", data)


if __name__ == "__main__":
    unittest.main()
