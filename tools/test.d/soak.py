"""The long run of `tools/soak`: phases of the test command with other figures, and a result file."""

import argparse
import collections
import datetime
import importlib.machinery
import importlib.util
import os
import pathlib
import random
import re
import shutil
import signal
import sys
import time
import unittest

import main as test

sys.path.insert(0, str(test.ROOT))

from tests.jobs.mutate import TRIALS  # noqa: E402  (after the path is set)

# Every test of these modules is one fault; a loop that kills the engine itself is one more module here.
FAULTS = ["tests.jobs.test_faults", "tests.jobs.test_signals", "tests.jobs.test_cassandra_sink", "tests.jobs.test_dead_letters"]
TARGETS = ["turgo", "turgo-sim", "cassandra_sink_check"]
FORMATS = ["test_format", "test_manifest", "test_recovery_mutants"]  # damage what a checkpoint is, with seeds of their own
# What a full run does, and which share of a short run's time each part gets.
SEEDS_AS_MUTANTS = 60  # of each kind
SEEDS, SEEDS_CALM, SEEDS_ASAN, KILLS, SERVER_KILLS, POWER_LOSSES, FAILPOINT_HITS = 2000, 500, 200, 1000, 200, 50, 5
FAULT_RUNS, REPLAY_ROUNDS, FUZZ_SECONDS_EACH = 100, 100, 1800
SHARES = {"simulator": 0.25, "kills": 0.1, "servers": 0.1, "failpoints": 0.05, "power": 0.05, "replay": 0.1, "faults": 0.2, "mutants": 0.05, "formats": 0.05, "fuzz": 0.1}
PARTS = tuple(SHARES)
MUTANTS_SECONDS = 600  # for all of them
KILLERS = 3  # at a time: a killed life waits more than it works
FOREVER = float("inf")
SEED_LINES = re.compile(r"^seed \d+ and up.*|\(seeds \d+ to \d+\)|seed \d{6,}", re.M)


class Soak(test.Run):
    def __init__(self, minutes, only):
        super().__init__(strict=True)
        self.minutes = minutes
        self.only = only
        self.chosen = random.SystemRandom().randrange(1 << 31)

    def seconds(self, part):
        return self.minutes * 60 * SHARES[part] / sum(SHARES[name] for name in self.only) if self.minutes else FOREVER

    def rounds(self, name, part, most, one):
        """A phase that calls one(phase, number) until its time is over or `most` are done; at least once."""
        def body(phase):
            until = time.monotonic() + self.seconds(part)
            number = 0
            while number < most and (number == 0 or time.monotonic() < until):
                one(phase, number)
                number += 1
            phase.note = f"{number} rounds"
        self.phase(name, body)

    def simulator(self):
        limit = self.seconds("simulator")
        for preset, seeds, crashes, share in (("release", SEEDS, test.SIM_CRASHES_MAX, 0.5), ("release", SEEDS_CALM, 0, 0.2),
                                              ("asan", SEEDS_ASAN, test.SIM_CRASHES_MAX, 0.3)):
            seconds = 0 if limit == FOREVER else int(limit * share)
            self.sim(preset, seconds, seeds if limit == FOREVER else 1, crashes, timeout=7200 if limit == FOREVER else seconds * 6 + 900)
        if limit == FOREVER:
            self.one("simulator, as mutants run", ["tests/sim/mutate.py", "--unchanged", SEEDS_AS_MUTANTS], 7200)

    def kills(self):
        """kill -9 to the real command, by several loops at a time, each in folders of its own; their figures added up."""
        limit = self.seconds("kills")
        wanted = KILLS if limit == FOREVER else min(KILLS, max(30, int(limit)))

        def body(phase):
            each = -(-wanted // KILLERS)
            logs = [phase.log.with_suffix(f".{number}.log") for number in range(KILLERS)]
            loops = [self.spawn([*test.UNITTEST, *test.KILLS], log, {"TURGO_KILLS": str(each), "TURGO_QUICK": "1"})
                     for log in logs]
            figures = collections.Counter()
            for loop, log in zip(loops, logs):
                self.count_round(phase, self.finish(loop, 3600), log)
                for text in test.FIGURES.findall(log.read_text(errors="replace")):
                    figures.update({name: int(number) for number, name in re.findall(r"(\d+) ([a-z ]{4,})", text)})
            phase.note = "; ".join(f"{number} {name}" for name, number in figures.items())
            if figures["kills"] < wanted:
                phase.count(failed=1, bad=f"{figures['kills']} of {wanted} kills")
        self.phase("kills", body)

    def mutants(self):
        """Would the kills notice? All of the broken engines, or one of them when there is little time."""
        names = ["tests/jobs/mutate.py"]
        if self.seconds("mutants") < MUTANTS_SECONDS:
            names.append(random.Random(self.chosen).choice(list(TRIALS)))
        self.one("mutate process", names, 7200)

    def failpoints(self):
        """Every failpoint at its first hits; with the sanitizers, too, when there is time."""
        hits = str(FAILPOINT_HITS if self.seconds("failpoints") >= 300 else 2)
        modules = [*test.FAILPOINTS, "tests.jobs.test_failpoints_services"]
        self.unittests("failpoints", modules, {"TURGO_FAILPOINT_HITS": hits}, timeout=3600)
        if self.seconds("failpoints") == FOREVER:
            self.unittests("failpoints asan", test.FAILPOINTS, {**test.SANITIZED, **test.sanitizer_env()}, timeout=3600)

    def servers(self):
        """The same between a real Kafka and a real Cassandra."""
        limit = self.seconds("servers")
        kills = SERVER_KILLS if limit == FOREVER else min(SERVER_KILLS, max(6, int(limit / 7)))
        self.unittests("kills between servers", test.SERVER_KILLS, {"TURGO_KILLS_SERVERS": str(kills)}, timeout=7200)

    def power(self):
        limit = self.seconds("power")
        losses = POWER_LOSSES if limit == FOREVER else min(POWER_LOSSES, max(3, int(limit / 4)))
        self.unittests("power losses", test.POWER, {"TURGO_POWER_LOSSES": str(losses)}, timeout=3600)

    def replay(self):
        def one(phase, number):
            log = phase.log.with_suffix(f".{number}.log")
            code = self.command([*test.UNITTEST, *test.REPLAY], log, 1500, {"TURGO_QUICK": None})
            self.count_round(phase, code, log)
        self.rounds("replay", "replay", REPLAY_ROUNDS, one)

    def faults(self):
        names = list(names_of(unittest.defaultTestLoader.loadTestsFromNames(FAULTS)))
        random.Random(self.chosen).shuffle(names)
        env = {"TURGO_QUICK": "1"} if self.minutes and self.minutes < 60 else {"TURGO_QUICK": None}

        def one(phase, number):
            name = names[number % len(names)]
            log = phase.log.with_suffix(f".{number}.log")
            log.unlink(missing_ok=True)
            code = self.command([*test.UNITTEST, name], log, 900, env)
            self.count_round(phase, code, log)
        self.rounds("faults", "faults", FAULT_RUNS, one)
        self.phases[-1].note += f", of {len(names)} kinds, in the order of seed {self.chosen}"

    @staticmethod
    def count_round(phase, code, log):
        """One round's unittest log into the phase; a skipped test is a failed one here."""
        part = test.Phase("round")
        part.log = log
        test.count_unittest(part, code)
        phase.count(part.passed, part.failed, part.skipped)
        phase.bad += [f"{bad} ({log})" for bad in part.bad]
        phase.slow += part.slow

    def formats(self):
        """Damaged files, manifests and directories, once more in the fast build and with the sanitizers."""
        for preset in ("release", "asan"):
            self.build(preset, FORMATS)
            self.ctest(f"formats {preset}", preset, ["-V", "-R", f"^({'|'.join(FORMATS)})$"])  # -V: seeds into the log

    def fuzzers(self):
        targets = len(list((test.ROOT / "tests/fuzz").glob("fuzz_*.c")))
        limit = self.seconds("fuzz")
        self.fuzz(FUZZ_SECONDS_EACH * targets // 2 if limit == FOREVER else int(limit))
        executed = 0
        for log in test.LOGS.glob("fuzz_*.log"):
            executed += sum(map(int, re.findall(r"stat::number_of_executed_units: (\d+)", log.read_text(errors="replace"))))
        self.phases[-1].note = f"{targets} targets, {executed:,} inputs"

    # ---- the result ------------------------------------------------------------------------------------------------

    def result(self, command, left=()):
        """The text of the result file, of a run from which the parts in `left` are missing."""
        bench = load(test.ROOT / "bench" / "run")
        facts = bench.machine()
        lines = ["turgo soak" + (f", short: {self.minutes:g} minutes" if self.minutes else ""),
                 f"date      {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
                 f"command   {command}", f"parts     {', '.join(self.only)}", *([f"not run   {', '.join(left)}"] if left else []),
                 f"commit    {bench.commit()}",
                 f"machine   {facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB, kernel {facts['kernel']}, "
                 f"load {' '.join(f'{load:.1f}' for load in os.getloadavg())}", "",
                 f"{'phase':<28}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}"]
        for phase in self.phases:
            lines.append(f"{phase.name:<28}{phase.passed:>8}{phase.failed:>8}{phase.skipped:>9}{phase.seconds:>9.0f}  {phase.note}")
        lines += ["", "seeds"]
        for phase in self.phases:
            logs = [phase.log, *test.LOGS.glob(f"{phase.log.stem}.*.log")]
            found = sorted({seed for log in logs if log.exists() for seed in SEED_LINES.findall(log.read_text(errors="replace"))})
            if found:
                lines.append(f"  {phase.name}: " + "; ".join(found[:40]) + (f"; {len(found) - 40} more in the logs" if len(found) > 40 else ""))
        failures = [f"  {phase.name}: {bad}" for phase in self.phases for bad in phase.bad]
        lines += ["", "failures" if failures else "no failure", *failures]
        return "\n".join(line.rstrip() for line in lines) + "\n"


def names_of(suite):
    """Dotted names of all tests; a module that does not load is one of them, and fails when it is run."""
    for entry in suite:
        if isinstance(entry, unittest.TestSuite):
            yield from names_of(entry)
        else:
            yield entry.id()


def load(path):
    """A script without .py as a module: machine and commit are written down as in the results of bench/."""
    loader = importlib.machinery.SourceFileLoader("bench_run", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_run", loader))
    loader.exec_module(module)
    return module


def main():
    parser = argparse.ArgumentParser(prog="tools/soak", description="see tools/soak --help")
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--only", type=lambda text: tuple(text.split(",")), default=PARTS)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    if unknown := [part for part in options.only if part not in PARTS]:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    sys.dont_write_bytecode = True
    os.environ.pop("TG_SEED", None)  # fresh seeds in every round
    test.LOGS = test.ROOT / "build" / "soak-logs"
    shutil.rmtree(test.LOGS, ignore_errors=True)
    test.LOGS.mkdir(parents=True)
    run = Soak(options.minutes, options.only)
    name = "-".join((f"{datetime.date.today():%Y-%m-%d}", *(options.only if options.only != PARTS else ())))
    out = options.out or test.ROOT / "docs" / "soak" / f"{name}.txt"
    out.parent.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))
    try:
        run.build("release", TARGETS)
        if "simulator" in options.only:
            run.build("asan", ["turgo-sim"])
        if "failpoints" in options.only and not options.minutes:
            run.build("asan", ["turgo"])
        if {"faults", "failpoints", "servers", "mutants"} & set(options.only):
            run.services_up()
        parts = {"simulator": run.simulator, "kills": run.kills, "servers": run.servers, "failpoints": run.failpoints, "power": run.power,
                 "replay": run.replay, "faults": run.faults,
                 "mutants": run.mutants, "formats": run.formats, "fuzz": run.fuzzers}
        chosen = [part for part in PARTS if part in options.only]
        for number, part in enumerate(chosen, 1):
            parts[part]()
            out.write_text(run.result("tools/soak " + " ".join(sys.argv[1:]), chosen[number:]))  # hours are not lost with the one after them
    except KeyboardInterrupt:
        print("\ninterrupted", flush=True)
        return 130
    finally:
        run.close()
    code = run.report()
    print(f"written to {out}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
