"""The operator interface as its compiler sees it: the documented operator compiles, wrong declarations are refused by name."""

import os
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLAGS = ["-std=gnu11", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Wno-sign-conversion", "-Werror",
         "-Wno-unused-const-variable", "-D_GNU_SOURCE"]


def compile_text(text, compiler="cc"):
    done = subprocess.run([compiler, *FLAGS, "-fsyntax-only", "-I", str(ROOT), "-x", "c", "-"], input=text, text=True,
                          capture_output=True, check=False)
    return done.returncode, done.stderr


class OperatorApi(unittest.TestCase):
    def refused(self, text, because):
        code, said = compile_text('#include "engine/turgo.h"\n' + text)
        self.assertNotEqual(code, 0, text)
        self.assertIn(because, said)

    def test_the_documented_operator_compiles_without_a_warning(self):
        blocks = re.findall(r"```c\n(.*?)```", (ROOT / "docs/OPERATORS.md").read_text(), re.S)
        self.assertEqual(len(blocks), 2)
        for compiler in ("gcc", "clang"):
            code, said = compile_text("".join(blocks), compiler)
            self.assertEqual((code, said), (0, ""), compiler)

    def test_state_keeps_no_borrowed_text(self):
        self.refused("#define S(F) F(text, who)\nTG_STATE(s, S, 1)", "a text is borrowed for the callback")
        self.refused("#define E(F) F(text, who)\nTG_ELEMENT(e, E)", "a text is borrowed for the callback")

    def test_containers_do_not_nest(self):
        self.refused("#define E(F) F(deque_timestamp, seen)\nTG_ELEMENT(e, E)", "containers do not nest")

    def test_map_keys_have_no_padding(self):
        self.refused("#define K(F) F(integer, a) F(bigint, b)\n#define V(F) F(bigint, n)\n#define S(F) F(map, m, k, v)\n"
                     "TG_ELEMENT(k, K) TG_ELEMENT(v, V) TG_STATE(s, S, 1)", "no padding inside")

    def test_rows_and_parameters_hold_no_state(self):
        self.refused("#define R(F) F(deque_timestamp, seen)\nTG_RECORD(r, R)", "a record holds what a row's column can hold")
        self.refused("#define R(F) F(duration, d)\nTG_RECORD(r, R)", "a record holds what a row's column can hold")
        self.refused("#define P(F) F(label, l)\nTG_PARAMS(p, P)", "labels, names and containers live in state")

    def test_a_state_fits_its_slot(self):
        fields = " ".join(f"F(deque_bigint, d{i})" for i in range(61))
        self.refused(f"#define S(F) {fields}\nTG_STATE(s, S, 1)", "at most 7680 bytes")

    def test_an_unknown_kind_is_named(self):
        self.refused("#define R(F) F(float, x)\nTG_RECORD(r, R)", "TG_KIND_float")

    def test_elements_have_their_types(self):
        state = ("#define E(F) F(bigint, n)\n#define S(F) F(list, l, e)\nTG_ELEMENT(e, E) TG_STATE(s, S, 1)\n"
                 "void f(tg_ctx *c, s *st);\nvoid f(tg_ctx *c, s *st) {{ {} }}\n")
        code, said = compile_text('#include "engine/turgo.h"\n' + state.format("e *x = tg_list_add(c, &st->l, .n = 1); (void)x;"))
        self.assertEqual((code, said), (0, ""))
        self.refused(state.format("int *x = tg_list_get(c, &st->l, 0); (void)x;"), "incompatible pointer")
        self.refused(state.format("tg_list_add(c, &st->l, .m = 1);"), "no member named")


if __name__ == "__main__":
    unittest.main()
