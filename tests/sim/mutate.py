#!/usr/bin/env python3
"""Are the simulator's checks worth anything? Breaks the engine in one place at a time and requires tests/sim/run to notice.

    tests/sim/mutate.py                 every mutant of tests/sim/mutants.py, from a fresh seed on; exit 1 when one survives
    tests/sim/mutate.py NAME ...        these only
    tests/sim/mutate.py --seed 4711     from that seed on
    tests/sim/mutate.py --unchanged 100 no mutants: 100 runs of the unchanged engine as each kind of mutant has them, all of which must pass

What a mutant changes is compiled and linked beside the simulator of build/release; the working tree is never touched. Each seed that
catches a mutant is given to the unchanged simulator, too, which must pass.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import re
import shlex
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.sim.mutants import COUNTS, ENGINE, RECOVERY  # noqa: E402  (after the path is set)

BUILD = ROOT / "build" / "release"
MUTANTS = ENGINE | RECOVERY | COUNTS
SEEDS_MAX = 400  # of one mutant
CHUNK = 3
AT_ONCE = 2


def command(*words, cwd=ROOT, timeout=600):
    """(exit code, what it said)"""
    done = subprocess.run(list(map(str, words)), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False,
                          env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    return done.returncode, done.stdout


class Workshop:
    """How build/release makes turgo-sim, or another program: enough to make another one with some sources replaced."""

    def __init__(self, target="turgo-sim"):
        self.target = target
        if not (BUILD / "build.ninja").exists():
            self.must("cmake", "--preset", "release")
        self.must("nice", "ninja", "-C", BUILD, "-j2", target)
        compiles = json.loads((BUILD / "compile_commands.json").read_text())
        self.compiles = {os.path.relpath(entry["file"], ROOT): shlex.split(entry["command"]) for entry in compiles if "/tests/" not in entry["file"]}
        link = self.must("ninja", "-C", BUILD, "-t", "commands", target).splitlines()[-1]
        self.link = shlex.split(link.removeprefix(": && ").removesuffix(" && :"))

    @staticmethod
    def must(*words):
        code, text = command(*words)
        if code != 0:
            raise SystemExit(f"{' '.join(map(str, words))}: exit {code}\n{text[-3000:]}")
        return text

    def compile(self, source, object_path, folder):
        """Compile `source`, or what stands for it in `folder`, whose headers come first. What the compiler said when it failed."""
        words = [word for word in self.compiles[source] if word not in ("-Werror", "-g", "-flto", "-ffat-lto-objects", "ccache")]
        at = words.index("-o")
        words = words[:at] + words[at + 2:]
        words[words.index("-c"):] = ["-w", "-c", folder / source if (folder / source).exists() else ROOT / source, "-o", object_path]
        code, text = command(words[0], f"-I{folder}", *words[1:], cwd=BUILD)
        return text[-2000:] if code != 0 else None

    def make(self, mutant, folder):
        """The broken program, or None and why not."""
        for path, old, new in mutant.edits:
            text = (folder / path).read_text() if (folder / path).exists() else (ROOT / path).read_text()
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text.replace(old, new))
        sources = {path for path, _, _ in mutant.edits if path in self.compiles} | set(mutant.users)
        objects = []
        for number, source in enumerate(sorted(sources)):
            objects.append(folder / f"{number}.o")
            trouble = self.compile(source, objects[-1], folder)
            if trouble:
                return None, trouble
        words = list(self.link)
        at = words.index("-o")
        binary = folder / self.target
        words[at + 1] = binary  # the objects come before the archives: what they define is not taken from there
        code, text = command(*words[:at], *objects, *words[at:], cwd=BUILD)
        return (None, text[-2000:]) if code != 0 else (binary, None)


def settings(crashes, sets):
    return ["--crashes", str(crashes), *(word for value in sets for word in ("--set", value))]


def simulate(binary, mutant, seed, count):
    """(exit code, what the check said)"""
    return command(sys.executable, "tests/sim/run", "--binary", binary, "--seed", seed, "--count", count,
                   *settings(mutant.crashes, mutant.sets), "--chunk", CHUNK, "--checkpoints", int("audit=1" in mutant.sets), "--quick-fail")


def try_mutant(workshop, name, seed):
    """(is it well, what is to be said)"""
    mutant = MUTANTS[name]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="turgo-mutant-") as folder:
        binary, trouble = workshop.make(mutant, pathlib.Path(folder))
        if trouble:
            return False, f"{name}: DOES NOT BUILD\n{trouble}"
        built = time.monotonic() - begun
        code, text = simulate(binary, mutant, seed, SEEDS_MAX)
    seeds = re.findall(r"^FAILED seed=(\d+).*\n +(.{0,120})", text, re.M)
    if code == 0 or not seeds:
        return False, f"{name}: SURVIVED {SEEDS_MAX} seeds from {seed} on ({mutant.does}){text[-500:] if code else ''}"
    caught, why = seeds[0]
    code, text = simulate(BUILD / "turgo-sim", mutant, caught, 1)
    if code != 0:
        return False, f"{name}: THE UNCHANGED ENGINE FAILS, TOO: {text[-2000:]}"
    return True, f"{name}: caught ({mutant.does}) seed {caught}, {int(caught) - seed + 1} tried, {built:.1f}+{time.monotonic() - begun - built:.1f} s: {why}"


def try_settings(crashes, sets, seed, count):
    """(is the unchanged engine well with them, what is to be said)"""
    begun = time.monotonic()
    words = settings(crashes, sets)
    code, text = command(sys.executable, "tests/sim/run", "--seed", seed, "--count", count, *words, timeout=7200)
    said = text.splitlines()[-1] if code == 0 else text
    return code == 0, f"{' '.join(words)}: {said}, {time.monotonic() - begun:.0f} s"


def check_places(names):
    listed = (ROOT / "docs" / "TESTING.md").read_text()
    for name in names:
        if f"`{name}`" not in listed:
            raise SystemExit(f"{name} is not in docs/TESTING.md")
        for path, old, _ in MUTANTS[name].edits:
            count = (ROOT / path).read_text().count(old)
            if count != 1:
                raise SystemExit(f"{name}: {path}: the place to break is there {count} times, not once; follow the source:\n{old}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*MUTANTS, []], metavar="NAME")
    parser.add_argument("--seed", type=int, help="first seed (default: TG_SEED, else a fresh one)")
    parser.add_argument("--unchanged", type=int, metavar="COUNT", help="run the unchanged engine with the mutants' settings, each from COUNT seeds")
    options = parser.parse_args()
    seed = options.seed
    if seed is None:
        seed = int(os.environ["TG_SEED"], 0) if "TG_SEED" in os.environ else random.SystemRandom().randrange(1, 1 << 31)
    names = options.names or list(MUTANTS)
    print(f"seed {seed} and up", flush=True)
    begun = time.monotonic()
    check_places(names)
    workshop = Workshop()
    if options.unchanged:
        settings = sorted({(MUTANTS[name].crashes, MUTANTS[name].sets) for name in names})
        calls = [(try_settings, crashes, sets, seed, options.unchanged) for crashes, sets in settings]
    else:
        calls = [(try_mutant, workshop, name, seed) for name in names]
    well = 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for result in [pool.submit(*call) for call in calls]:
            good, said = result.result()
            print(said, flush=True)
            well += good
    took = f"{time.monotonic() - begun:.0f} s"
    if options.unchanged:
        print(f"{well} settings passed, {len(calls) - well} failed, {took}")
    else:
        print(f"{well} mutants caught, {len(calls) - well} survived, {took}")
    return 1 if well != len(calls) else 0


if __name__ == "__main__":
    sys.exit(main())
