#!/usr/bin/env python3
"""Are the kills of the job tests worth anything? Breaks the real command in one place at a time and requires the tests that kill it to fail.

    tests/jobs/mutate.py                all of them; exit 1 when one survives
    tests/jobs/mutate.py NAME ...       these only

The mutants are those of tests/sim/mutants.py, where the simulator finds them; here it is the process that is killed, with the kernel's files
under it. Part of tools/soak. `ticks_forgotten` needs Kafka (TURGO_KAFKA) and is a failure without.
"""

import argparse
import os
import pathlib
import re
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.sim.mutate import MUTANTS, Workshop, check_places, command  # noqa: E402  (after the path is set)

KILLS = "tests.jobs.test_recovery.Kills"
TICKS = "tests.jobs.test_ticks.Ticks.test_a_record_that_was_late_because_of_silence_is_late_again_after_a_kill"
TRIALS = {
    "sinks_not_awaited": KILLS,  # a manifest before the rows are out
    "positions_of_the_decision": KILLS,  # positions ahead of the state
    "position_behind": KILLS,  # a record is applied again
    "ticks_forgotten": TICKS,  # what silence decided is lost
}
ROUNDS_MAX = 8  # of 30 kills, each from a seed of its own


def run_tests(test, binary):
    """(does it fail, the test's words)"""
    os.environ.update(TURGO_BIN=str(binary), TURGO_QUICK="1", TURGO_KILLS="30", TURGO_CHECKED="1")
    code, text = command(sys.executable, "-m", "unittest", test, timeout=900)
    if re.search(r"skipped=|_FailedTest", text):
        raise SystemExit(f"{test} did not run:\n{text[-3000:]}")
    return code != 0, text


def try_mutant(workshop, name):
    """(is it well, what is to be said)"""
    test = TRIALS[name]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="turgo-mutant-") as folder:
        binary, trouble = workshop.make(MUTANTS[name], pathlib.Path(folder))
        if trouble:
            return False, f"{name}: DOES NOT BUILD\n{trouble}"
        for number in range(1, ROUNDS_MAX + 1):
            failed, text = run_tests(test, binary)
            if failed:
                why = re.findall(r"^\w*Error: (.{0,160})", text, re.M)
                return True, f"{name}: caught ({MUTANTS[name].does}) round {number}, {time.monotonic() - begun:.0f} s: {why[0] if why else text[-300:]}"
    return False, f"{name}: SURVIVED {ROUNDS_MAX} rounds of {test} ({MUTANTS[name].does})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*TRIALS, []], metavar="NAME")
    names = parser.parse_args().names or list(TRIALS)
    check_places(names)
    workshop = Workshop("turgo")
    well = 0
    for name in names:
        good, said = try_mutant(workshop, name)
        print(said, flush=True)
        well += good
    print(f"{well} mutants caught, {len(names) - well} survived")
    return 1 if well != len(names) else 0


if __name__ == "__main__":
    sys.exit(main())
