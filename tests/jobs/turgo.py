"""Runs the turgo command and compares what it wrote with the reference model."""

import collections
import json
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import time

from tests.model.purchase_count import Result
from tests.model.strict_json import Refused, read_object

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("TURGO_BIN", ROOT / "build" / "release" / "turgo"))
JOB = ROOT / "jobs" / "purchase_count.yaml"
GENERATED = ROOT / "tests" / "jobs" / "generated.yaml"
QUICK = bool(os.environ.get("TURGO_QUICK"))
SINK = "user_transaction_counts"
ROW_MEMBERS = ["userId", "purchaseCount", "eventTimestamp", "isTimeout", "_revision", "_final"]
LATE_MEMBERS = ["topic", "partition", "offset", "ts", "wm", "lateness_us", "steps"]


def fresh_seeds(count):
    """Seeds of a randomised test: TG_SEED when set, else new ones; every failure message carries its seed."""
    if "TG_SEED" in os.environ:
        return [int(os.environ["TG_SEED"], 0)]
    first = random.SystemRandom().randrange(1, 1 << 31)
    print(f"(seeds {first} to {first + count - 1}) ", end="", flush=True)
    return list(range(first, first + count))


def process_state(pid):
    """Its letter in /proc, as proc(5) has them: T = stopped."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


class Turgo:
    """One run of the command, started but not waited for."""

    def __init__(self, *arguments, env=None, log=None):
        self.log = pathlib.Path(log or tempfile.mkstemp(prefix="turgo-log-")[1])
        self.owns_log = log is None
        self.usage = None
        self.code = None
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen([str(BIN), *map(str, arguments)], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=subprocess.STDOUT, env={**os.environ, **{k: str(v) for k, v in (env or {}).items()}})
        self.pid = self.process.pid

    def wait(self, timeout=120):
        """Exit code; a negative number is the signal that ended it. Kills and raises when it takes longer."""
        deadline = time.monotonic() + timeout
        while self.code is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self.usage = usage
                self.code = self.process.returncode = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"turgo did not end within {timeout} s:\n{self.text()[-3000:]}")
            else:
                time.sleep(0.005)
        return self.code

    def kill(self):
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            self.process.wait()
            self.code = self.process.returncode

    def send(self, number):
        if self.code is None:
            os.kill(self.pid, number)

    def running(self):
        return self.code is None and os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def rss_bytes(self):
        """Resident memory now, and its peak so far."""
        fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines() if ":" in line)
        return int(fields["VmRSS"].split()[0]) * 1024, int(fields["VmHWM"].split()[0]) * 1024

    def forget_peak(self):
        """From here on the peak is that of what follows."""
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        if self.owns_log:
            self.log.unlink(missing_ok=True)


def run(*arguments, env=None, timeout=120):
    """(exit code, stdout and stderr)."""
    with Turgo(*arguments, env=env) as turgo:
        code = turgo.wait(timeout)
        return code, turgo.text()


def replay(folder, params, *flags, env=None, timeout=120):
    """Run job A over <folder>/in into <folder>/out; (exit code, text, report)."""
    report = pathlib.Path(folder) / "report.json"
    report.unlink(missing_ok=True)
    sets = [word for value in params.sets() for word in ("--set", value)]
    code, text = run("run", JOB, "--profile", "replay", "--until", "end", "--fresh", "--quiet", "--report", report, *sets,
                     *([] if params.drain else ["--no-drain"]), *flags, timeout=timeout,
                     env={"TURGO_IN": f"{folder}/in", "TURGO_OUT": f"{folder}/out", **(env or {})})
    return code, text, json.loads(report.read_text()) if report.exists() else None


# ---- what was written ------------------------------------------------------------------------------------------------

def read_rows(path):
    """Rows of a JSON-lines file. Every line must be strict JSON and end with a newline."""
    data = pathlib.Path(path).read_bytes() if pathlib.Path(path).exists() else b""
    if data and not data.endswith(b"\n"):
        raise AssertionError(f"{path} ends within a line: {data[-80:]!r}")
    rows = []
    for line in data.splitlines() if b"\r" not in data else data.split(b"\n")[:-1]:
        try:
            read_object(line)
        except Refused as refusal:
            raise AssertionError(f"{path}: {refusal.reason}: {line[:200]!r}") from None
        rows.append(json.loads(line))
    return rows


def read_result(folder):
    """<folder>/<sink>.jsonl, dead_letters.jsonl and late.jsonl as a Result."""
    folder = pathlib.Path(folder)
    return Result(read_rows(folder / f"{SINK}.jsonl"), read_rows(folder / "dead_letters.jsonl"), read_rows(folder / "late.jsonl"))


def differences(expected, found, limit=5):
    """What is wrong with `found`: rows of each user in order, dead letters and late entries as multisets."""
    wrong = []
    want, have = expected.by_user(), found.by_user()
    for user in want.keys() | have.keys():
        wrong += compare_lists(f"user {user[:40]!r}", want.get(user, []), have.get(user, []))
        if len(wrong) >= limit:
            break
    for row in found.rows[:1] + found.rows[-1:]:
        if list(row) != ROW_MEMBERS:
            wrong.append(f"members of a row: {list(row)}")
    for row in found.late[:1]:
        if list(row) != LATE_MEMBERS:
            wrong.append(f"members of a late entry: {list(row)}")
    wrong += compare_bags("dead letter", expected.dead, found.dead)
    wrong += compare_bags("late entry", expected.late, found.late)
    return wrong[:limit]


def compare_lists(name, want, have):
    if want == have:
        return []
    for place, (left, right) in enumerate(zip(want, have)):
        if left != right:
            return [f"{name}, row {place}: expected {left}, found {right}"]
    longer, word = (want, "missing") if len(want) > len(have) else (have, "too many")
    return [f"{name}: {len(have)} rows instead of {len(want)}, {word}: {longer[min(len(want), len(have))]}"]


def compare_bags(name, want, have):
    want = collections.Counter(map(frozen, want))
    have = collections.Counter(map(frozen, have))
    return [f"{name} missing: {text[:300]}" for text in list(want - have)[:2]] + [f"{name} too many: {text[:300]}" for text in list(have - want)[:2]]


def frozen(row):
    return json.dumps({key: value for key, value in row.items() if value is not None}, sort_keys=True)
