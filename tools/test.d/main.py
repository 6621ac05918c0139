"""Runs the phases of `tools/test`, counts every test in them and prints the closing lines."""

import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree

import contract

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOGS = ROOT / "build" / "test-logs"
SERVICES_DIR = pathlib.Path(f"/tmp/turgo-services-test-{os.getuid()}-{os.getpid()}")
CRITERION_TOTALS = re.compile(r"Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)")
UNITTEST_RAN = re.compile(r"^Ran (\d+) tests? in", re.M)
UNITTEST_BAD = re.compile(r"(failures|errors|skipped|expected failures|unexpected successes)=(\d+)")
FIGURES = re.compile(r"\((\d+ (?:kills|power losses);[^)]*)\)")  # what a job test prints of what it went through
ANSI = re.compile(r"\x1b\[[0-9;]*m")
GOOD = re.compile(r"^took |\.\.\. ok$|: caught \(|^\[(?:PASS|RUN )\]")
BAD = re.compile(r"^(?:FAIL|ERROR)(?:ED)?\b|SURVIVED|DOES NOT BUILD|UNCHANGED ENGINE|^\[(?:----|FAIL)\]|ERROR: |error:|Traceback")
EVIDENCE_LINES = 40
FUZZ_SECONDS = 120
SIM_SEEDS_MIN = 300
SIM_CRASHES_MAX = 60  # of one seed; about 20 on average
UNITTEST = [sys.executable, str(ROOT / "tools/test.d/unittests.py")]
SUITES_AT_ONCE = "3"  # on two cores: those with servers wait more than they work
NICE, NICER = 10, 19  # of what is tested; of a lane that has not the right of way


class Phase:
    """One named part of the run: its log, what it counted, how long it took."""

    def __init__(self, name):
        self.name = name
        self.log = LOGS / f"{name.replace(' ', '-')}.log"
        self.passed = self.failed = self.skipped = 0
        self.bad = []
        self.slow = []
        self.note = ""  # what it went through, in figures
        self.seconds = 0.0

    def count(self, passed=0, failed=0, skipped=0, bad=None):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        if bad:
            self.bad.append(bad)


class Run:
    def __init__(self, strict):
        self.strict = strict
        self.phases = []
        self.services_started = False
        self.children = set()
        self.stopping = False
        self.begun = time.monotonic()
        self.lane = threading.local()

    # ---- running commands ------------------------------------------------------------------------------------------

    def spawn(self, command, log, env=None):
        if self.stopping:
            raise InterruptedError("the run is being stopped")
        log.parent.mkdir(parents=True, exist_ok=True)
        out = open(log, "ab")
        out.write(("$ " + " ".join(map(str, command)) + "\n").encode())
        out.flush()
        # A group of its own: what a phase leaves behind can be ended without touching anything else.
        nice = getattr(self.lane, "nice", NICE)
        child = subprocess.Popen(["nice", "-n", str(nice), *map(str, command)], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT,
                                 stdin=subprocess.DEVNULL, env=environment(env), start_new_session=True)
        out.close()
        self.children.add(child)
        return child

    def finish(self, child, timeout):
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired:
            code = 124
        self.end_group(child)
        self.children.discard(child)
        return code

    @staticmethod
    def end_group(child):
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()

    def command(self, command, log, timeout, env=None):
        return self.finish(self.spawn(command, log, env), timeout)

    def phase(self, name, body):
        phase = Phase(name)
        phase.log.unlink(missing_ok=True)
        beside = hasattr(self.lane, "nice")  # then its line is printed whole, at its end
        if not beside:
            print(f"{name:<28}", end="", flush=True)
        begun = time.monotonic()
        try:
            body(phase)
        except Exception as error:  # a broken phase is a failed test, not a lost run
            phase.count(failed=1, bad=f"{type(error).__name__}: {error}")
        phase.seconds = time.monotonic() - begun
        self.phases.append(phase)
        skipped = f", {phase.skipped} skipped" if phase.skipped else ""
        note = f"   {phase.note}" if phase.note else ""
        lines = [f"{phase.passed:>6} passed, {phase.failed} failed{skipped}   {phase.seconds:.0f} s{note}"]
        if phase.failed:
            lines += [*(f"    {bad}" for bad in phase.bad[:12]), f"    log: {phase.log.relative_to(ROOT)}"]
        print((f"{name:<28}" if beside else "") + "\n".join(lines) + "\n", end="", flush=True)

    def side_by_side(self, first, second):
        """Two calls that run phases, at the same time: `first` waits more than it works and has the right of way. They must not
        need what the other one takes away: a test that stops a server stops it for all."""
        errors = []

        def lane(body, nice):
            self.lane.nice = nice
            try:
                body()
            except Exception as error:  # outside of a phase
                errors.append(error)
        lanes = [threading.Thread(target=lane, args=arguments, daemon=True) for arguments in ((first, NICE), (second, NICER))]
        for thread in lanes:
            thread.start()
        for thread in lanes:
            thread.join()
        if errors:
            raise errors[0]

    # ---- phases ----------------------------------------------------------------------------------------------------

    def build(self, preset, targets=(), configure=()):
        def body(phase):
            code = self.command(["cmake", "--preset", preset, *configure], phase.log, 300)
            if code == 0:
                code = self.command(["cmake", "--build", f"build/{preset}", "-j", "2",
                                     *(["--target", *targets] if targets else [])], phase.log, 1500)
            phase.count(passed=code == 0, failed=code != 0, bad=None if code == 0 else tail(phase.log, "error"))
        self.phase(f"build {preset}", body)

    def ctest(self, name, preset, arguments, env=None, timeout=1500):
        def body(phase):
            report = LOGS / f"{phase.log.stem}.xml"
            report.unlink(missing_ok=True)
            self.command(["ctest", "--test-dir", f"build/{preset}", "-j", SUITES_AT_ONCE, "--no-tests=error", "--output-junit", report,
                          "--test-output-size-passed", "4000000", "--test-output-size-failed", "4000000", *arguments],
                         phase.log, timeout, {"CRITERION_NO_COLOR": "1", **sanitizer_env(), **(env or {})})
            if not report.exists():
                phase.count(failed=1, bad=f"ctest made no report: {tail(phase.log)}")
                return
            count_ctest(phase, report)
        self.phase(name, body)

    def unittests(self, name, modules, env=None, timeout=1500, pattern=None):
        def body(phase):
            selection = ["-k", pattern] if pattern else []
            code = self.command([*UNITTEST, *selection, *modules], phase.log, timeout, env)
            count_unittest(phase, code)
            text = phase.log.read_text(errors="replace")
            phase.note = "; ".join([*FIGURES.findall(text), *sorted(set(re.findall(r"skipped (['\"].*)", text)))])
        self.phase(name, body)

    def one(self, name, command, timeout, env=None):
        """A command that is one test: it passes when it ends with 0."""
        def body(phase):
            code = self.command(command, phase.log, timeout, {**sanitizer_env(), **(env or {})})
            phase.count(passed=code == 0, failed=code != 0, bad=f"exit {code}: {tail(phase.log)}" if code else None)
        self.phase(name, body)

    def sim(self, preset, seconds, seeds, crashes=0, timeout=None):
        def body(phase):
            code = self.command([sys.executable, "tests/sim/run", "--preset", preset, "--seconds", seconds, "--seeds", seeds,
                                 "--crashes", crashes],
                                phase.log, timeout or seconds * 6 + 900, sanitizer_env())
            text = phase.log.read_text(errors="replace")
            found = re.findall(r"^(\d+) seeds passed, (\d+) failed", text, re.M)
            passed, failed = map(int, found[-1]) if found else (0, 0)
            phase.count(passed, failed)
            went = re.findall(r"(\d+) crashes \((\d+) power cuts\), (\d+) checkpoints compared", text)
            again = re.findall(r"(\d+) repeated", text)
            phase.note = ", ".join([f"{passed + failed} seeds", *(f"{crashes} crashes, {cuts} of them power cuts, {compared} checkpoints compared"
                                                                  for crashes, cuts, compared in went[-1:]),
                                    *(f"{count} repeated" for count in again[-1:])])
            phase.bad += re.findall(r"^FAILED (.*)", text, re.M)
            if (code != 0 and failed == 0) or passed + failed < seeds:
                phase.count(failed=1, bad=f"exit {code}, {passed + failed} of {seeds} seeds: {tail(phase.log)}")
        self.phase(f"simulator {preset}" + (", crashes" if crashes else ""), body)

    def fuzz(self, seconds):
        targets = sorted(path.stem for path in (ROOT / "tests/fuzz").glob("fuzz_*.c"))
        self.build("fuzz", targets)

        def body(phase):
            each = max(10, seconds * 2 // max(1, len(targets)))  # two at a time
            pending, running = list(targets), []
            while pending or running:
                while pending and len(running) < 2:
                    running.append(self.start_fuzzer(pending.pop(0), each))
                name, child, log = running.pop(0)
                code = self.finish(child, each + 120)
                phase.count(passed=code == 0, failed=code != 0, bad=f"{name}: {tail(log, 'SUMMARY|ERROR')} ({log})" if code else None)
            if not targets:
                phase.count(failed=1, bad="no fuzz target")
        self.phase("fuzz", body)

    def start_fuzzer(self, name, seconds):
        scratch = ROOT / "build/fuzz/corpus" / name
        scratch.mkdir(parents=True, exist_ok=True)
        seeds = ROOT / "tests/fuzz/corpus" / name.removeprefix("fuzz_")
        log = LOGS / f"{name}.log"
        log.unlink(missing_ok=True)
        command = [ROOT / "build/fuzz/tests" / name, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
                   "-print_final_stats=1", f"-artifact_prefix={LOGS}/{name}-", scratch]
        return name, self.spawn(command + ([seeds] if seeds.is_dir() else []), log, sanitizer_env()), log

    # ---- services --------------------------------------------------------------------------------------------------

    def services_up(self):
        os.environ["TURGO_SERVICES_DIR"] = str(SERVICES_DIR)
        self.services_started = True

        def body(phase):
            code = self.command_in_session(["tools/services", "up"], phase.log, 900)
            if code == 0:
                for line in (SERVICES_DIR / "env").read_text().split():
                    key, value = line.split("=", 1)
                    os.environ[key] = value
                with open(phase.log, "ab") as out:
                    os.environ.update(contract.make_targets(ROOT, os.environ["TURGO_KAFKA"], out))
            phase.count(passed=code == 0, failed=code != 0, bad=None if code == 0 else tail(phase.log))
        self.phase("services", body)

    @staticmethod
    def command_in_session(command, log, timeout):
        with open(log, "ab") as out:
            return subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                  timeout=timeout, check=False).returncode

    def close(self):
        self.stopping = True
        for child in list(self.children):
            self.end_group(child)
        if self.services_started:
            self.command_in_session(["tools/services", "down"], LOGS / "services.log", 120)
            self.services_started = False

    def report(self):
        passed = sum(phase.passed for phase in self.phases)
        failed = sum(phase.failed for phase in self.phases)
        skipped = sum(phase.skipped for phase in self.phases)
        if self.strict:
            failed, skipped_left = failed + skipped, 0
        else:
            skipped_left = skipped
        slow = sorted((entry for phase in self.phases for entry in phase.slow), reverse=True)[:8]
        print("\nslowest: " + ", ".join(f"{name} {seconds:.0f} s" for seconds, name in slow if seconds >= 1))
        print(f"total: {time.monotonic() - self.begun:.0f} s; logs: {LOGS.relative_to(ROOT)}")
        for phase in self.phases:
            if phase.failed or (phase.skipped and self.strict):
                print(f"failed in {phase.name}: {'; '.join(phase.bad[:4]) or f'{phase.skipped} skipped'}")
                print("".join(f"    | {line}\n" for line in evidence(phase.log)), end="")
        print(f"{passed} passed, {failed} failed" + (f", {skipped_left} skipped" if skipped_left else ""), flush=True)
        return 1 if failed or passed == 0 else 0


def environment(changes):
    """This process's environment with `changes`; None takes a variable away."""
    merged = {**os.environ, **(changes or {})}
    return {name: value for name, value in merged.items() if value is not None}


def sanitizer_env():
    return {"ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1", "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1"}


def lines_of(log):
    """The lines of a log that say anything, without colours."""
    text = ANSI.sub("", log.read_text(errors="replace")) if log.exists() else ""
    return [line[:300] for line in text.splitlines() if line.strip()]


def tail(log, pattern=None):
    """The last telling line of a log."""
    lines = lines_of(log)
    if pattern:
        lines = [line for line in lines if re.search(pattern, line)] or lines
    return lines[-1] if lines else "no output"


def evidence(log):
    """What a log says of its first failure: who reads the closing lines elsewhere has no log."""
    lines = [line for line in lines_of(log) if not GOOD.search(line)]
    first = next((i for i, line in enumerate(lines) if BAD.search(line)), max(0, len(lines) - EVIDENCE_LINES // 2))
    return lines[first:first + EVIDENCE_LINES]


def count_ctest(phase, report):
    """Each Criterion test counts; a suite that died without its totals, and a plain program, count as one."""
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name, text = case.get("name"), ANSI.sub("", case.findtext("system-out") or "")
        failed_run = case.get("status") != "run"
        phase.slow.append((float(case.get("time") or 0), f"{phase.name}/{name}"))
        totals = CRITERION_TOTALS.findall(text)
        skipped = len(re.findall(r"^\[SKIP\]", text, re.M))
        if totals:
            _, passing, failing, crashing = map(int, totals[-1])
            phase.count(max(0, passing - skipped), failing + crashing, skipped)
            if failing + crashing:
                phase.bad += [f"{name}: {line[:200]}" for line in re.findall(r"^\[(?:FAIL|----)\] *(.*)", text, re.M)[:3]]
            elif failed_run:
                phase.count(failed=1, bad=f"{name}: suite ended badly")
        elif re.search(r"^\[SKIP\]|^SKIP:", text, re.M):
            phase.count(skipped=1)
        else:
            phase.count(passed=not failed_run, failed=failed_run, bad=f"{name}: {last_line(text)}" if failed_run else None)


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no output"


def count_unittest(phase, code):
    text = phase.log.read_text(errors="replace")
    ran = sum(map(int, UNITTEST_RAN.findall(text)))
    bad = {kind: 0 for kind in ("failures", "errors", "skipped", "expected failures", "unexpected successes")}
    last = text.splitlines()[-1] if text.splitlines() else ""
    for kind, number in UNITTEST_BAD.findall(last):
        bad[kind] += int(number)
    failed = bad["failures"] + bad["errors"] + bad["unexpected successes"]
    if code != 0 and failed == 0:
        failed = 1
        phase.bad.append(f"exit {code}: {tail(phase.log)}")
    phase.count(max(0, ran - failed - bad["skipped"]), failed, bad["skipped"])
    phase.bad += re.findall(r"^(?:FAIL|ERROR): (.*)", text, re.M)
    phase.slow += [(float(seconds), test) for seconds, test in re.findall(r"^took (\S+) s (\S+)", text, re.M)]


# ---- what each selection runs ----------------------------------------------------------------------------------------

MODEL = ["tests.model.test_purchase_count", "tests.model.test_strict_json", "tests.model.test_inputs", "tests.model.test_audit"]
REPLAY = ["tests.jobs.test_replay", "tests.jobs.test_worked_examples", "tests.jobs.test_never_again", "tests.jobs.test_hostile"]
RECOVERY = [*(f"tests.jobs.test_recovery.{name}" for name in ("Stops", "Refusals", "Restores", "FullDisk")), "tests.jobs.test_sink_changes",
            "tests.jobs.test_recovery_time"]
FAILPOINTS = ["tests.jobs.test_failpoints"]
KILLS = ["tests.jobs.test_recovery.Kills"]
KILLS_SECONDS = 180
SERVER_KILLS = ["tests.jobs.test_kafka_kills"]
POWER = ["tests.jobs.test_power_loss"]
SERVICES = ["tests.jobs.test_errors", "tests.jobs.test_signals", "tests.jobs.test_kafka_cassandra", "tests.jobs.test_cassandra_sink",
            "tests.jobs.test_dead_letters", "tests.jobs.test_faults", "tests.jobs.test_failpoints_services", "tests.jobs.test_ticks"]
RATE = ["tests.jobs.test_hostile_rate"]  # not under a sanitizer
CLI = ["tests.jobs.test_cli", "tests.jobs.test_operator_api", "tests.jobs.test_checkpoint", "tests.jobs.test_restore_ticks",
       "tests.jobs.test_checkpoint_check"]
RACES = ["tests.jobs.test_worked_examples", "tests.jobs.test_never_again", "tests.jobs.test_races"]
SANITIZED = {"TURGO_BIN": str(ROOT / "build/asan/turgo"), "TURGO_QUICK": "1"}


def run_quick(run):
    run.one("tidy", ["tools/tidy"], 600)
    run.build("release")
    run.unittests("reference model", MODEL)
    run.ctest("unit release", "release", ["-E", "^tidy$"], dict.fromkeys(("TURGO_KAFKA", "TURGO_CASSANDRA", "TURGO_POSTGRES")))
    run.unittests("replay", [*REPLAY, *RATE], {"TURGO_QUICK": "1"})
    run.sim("release", 10, 20)
    run.sim("release", 10, 20, crashes=SIM_CRASHES_MAX)


def run_unit(run, full=False):
    run.ctest("unit release", "release", ["-E", "^tidy$"])
    run.ctest("unit asan", "asan", ["-E", "^(perf_|tidy$)"])
    if full:
        run.ctest("stress tsan", "tsan", ["-R", "^stress_"], timeout=900)
        for script in sorted((ROOT / "tests/stress").glob("mutate_*")):
            if os.access(script, os.X_OK):
                run.one(script.stem.replace("_", " "), [script], 900)


def run_jobs(run, pattern=None, more=lambda run: None):
    """`more` beside the tests that need no server, too."""
    run.unittests("replay", [*REPLAY, *RATE], pattern=pattern)
    run.side_by_side(lambda: run_with_servers(run, pattern), lambda: (run_without_servers(run, pattern), more(run)))


def run_with_servers(run, pattern):
    run.unittests("kills between servers", SERVER_KILLS, pattern=pattern, timeout=600)
    run.unittests("services and faults", SERVICES, pattern=pattern, timeout=2400)


def run_without_servers(run, pattern):
    run.unittests("recovery", RECOVERY, pattern=pattern)
    run.unittests("failpoints", FAILPOINTS, pattern=pattern)
    run.unittests("kills", KILLS, pattern=pattern, timeout=KILLS_SECONDS)
    run.unittests("power losses", POWER, pattern=pattern, timeout=KILLS_SECONDS)


def run_mutants_and_fuzz(run):
    run.one("mutate engine", ["tests/sim/mutate.py"], 1200)
    run.fuzz(FUZZ_SECONDS)


def run_all(run):
    run.one("tidy", ["tools/tidy"], 600)
    run.build("release")
    run.build("asan")
    run.build("tsan", ["turgo", *sorted(path.stem for path in (ROOT / "tests/stress").glob("stress_*.c"))])
    run.unittests("reference model", MODEL)
    run.services_up()
    run_unit(run, full=True)
    run.unittests("replay asan", REPLAY, SANITIZED)
    run.unittests("runtime tsan", RACES, {"TURGO_BIN": str(ROOT / "build/tsan/turgo"), "TURGO_QUICK": "1"})
    run.unittests("command line", CLI)
    run_jobs(run, more=run_mutants_and_fuzz)
    run.sim("release", 40, SIM_SEEDS_MIN)
    run.sim("release", 150, SIM_SEEDS_MIN, crashes=SIM_CRASHES_MAX)
    run.sim("asan", 50, 40, crashes=SIM_CRASHES_MAX)


def main():
    parser = argparse.ArgumentParser(prog="tools/test", description="see tools/test --help")
    parser.add_argument("what", nargs="?", default="all", choices=["all", "quick", "unit", "sim", "jobs", "fuzz"])
    parser.add_argument("pattern", nargs="?")
    parser.add_argument("--strict", action="store_true")
    options = parser.parse_args()
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    run = Run(options.strict)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))
    try:
        if options.what == "all":
            run_all(run)
        elif options.what == "quick":
            run_quick(run)
        elif options.what == "unit":
            run.build("release")
            run.build("asan")
            run.services_up()
            run_unit(run)
        elif options.what == "sim":
            run.build("release", ["turgo-sim"])
            run.sim("release", 120, SIM_SEEDS_MIN)
        elif options.what == "jobs":
            run.build("release", ["turgo", "cassandra_sink_check"])
            run.services_up()
            run_jobs(run, options.pattern)
        else:
            run.fuzz(FUZZ_SECONDS)
    except KeyboardInterrupt:
        print("\ninterrupted", flush=True)
        return 130
    finally:
        run.close()
    return run.report()


if __name__ == "__main__":
    sys.exit(main())
