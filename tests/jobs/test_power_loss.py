"""The machine of a job with checkpoints loses its power. State and outputs are on a file system of their own in an image; at some instant the image
is copied as it is, which has what was synced and not what only the page cache had, and the job goes on from the copy."""

import collections
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from unittest import mock

from tests.jobs import test_recovery as recovery
from tests.jobs import turgo
from tests.jobs.checkpoint_check import check_directory

LOSSES = int(os.environ.get("TURGO_POWER_LOSSES", "4"))
RECORDS = 12_000
IMAGE_BYTES = 96 << 20
# Half of the file systems commit their journal every second and write nothing early when a file is renamed over another.
MOUNT_OPTIONS = ("loop", "loop,commit=1,noauto_da_alloc")
NO_SYNC = """
int fsync(int fd) { return fd < 0; }
int fdatasync(int fd) { return fd < 0; }
int sync_file_range(int fd) { return fd < 0; }
"""
images = None


def setUpModule():
    global images
    recovery.setUpModule()
    memory = pathlib.Path("/dev/shm")
    images = pathlib.Path(tempfile.mkdtemp(prefix="turgo-power-", dir=memory if os.access(memory, os.W_OK) else None))


def tearDownModule():
    recovery.tearDownModule()
    shutil.rmtree(images, ignore_errors=True)


def shell(script, *arguments):
    """Run in a mount namespace of its own: what is mounted there goes with it."""
    return subprocess.run(["unshare", "-m", "sh", "-ec", script, "sh", *map(str, arguments)], capture_output=True, text=True, check=False)


class Image:
    """A file system in a file, and the folder it is mounted on where something runs on it."""

    def __init__(self, name, folder, options):
        self.path, self.folder, self.options = images / name, folder, options
        folder.mkdir(parents=True, exist_ok=True)

    def make(self):
        empty = images / "empty"
        for name in ("out", "state"):
            (empty / name).mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY))
        os.truncate(self.path, IMAGE_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-J", "size=4", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", "-d", empty, self.path],
                       check=True, capture_output=True)

    def program(self, preload=None):
        """The turgo command, on this file system."""
        path = images / "turgo"
        library = f"LD_PRELOAD={preload} " if preload else ""
        path.write_text(f"#!/bin/sh\nexec unshare -m sh -c 'mount -o {self.options} {self.path} {self.folder} && {library}exec {turgo.BIN} \"$@\"' sh \"$@\"\n")
        path.chmod(0o755)
        return path

    def cut(self):
        """The copy a power cut leaves. Two copies that are the same are the image as it was between them."""
        first, second = self.path.with_suffix(".first"), self.path.with_suffix(".second")
        for _ in range(100):
            for copy in (first, second):
                subprocess.run(["cp", "--sparse=always", self.path, copy], check=True)
            if subprocess.run(["cmp", "-s", first, second], check=False).returncode == 0:
                second.unlink()
                return first
        raise AssertionError("the image is never the same for two copies")

    def read_out(self, folder):
        """Copies what the file system holds to a folder, once nothing has it mounted any more."""
        deadline = time.monotonic() + 60
        while subprocess.run(["losetup", "-j", self.path], capture_output=True, text=True, check=True).stdout:
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.path} stays mounted")
            time.sleep(0.002)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        done = shell('mount -o loop "$1" "$2"; cp -r "$2"/. "$3"', self.path, self.folder, folder)
        if done.returncode != 0:
            raise AssertionError(f"{self.path} cannot be read: {done.stderr}")


class PowerLoss(recovery.RecoveryTest):
    LIVES_MAX = 200  # of one input

    def setUp(self):
        missing = [name for name in ("unshare", "mkfs.ext4", "losetup") if shutil.which(name) is None]
        if missing:
            self.skipTest(f"there is no {' and no '.join(missing)}")
        probe = Image("probe", images / "mounted", "loop")
        probe.make()
        done = shell('mount -o loop "$1" "$2"', probe.path, probe.folder)
        probe.path.unlink()
        if done.returncode != 0:
            self.skipTest(f"no image can be mounted here: {done.stderr.strip()}")
        self.tally = collections.Counter()

    def start(self, its_case, image, *flags, preload=None, **options):
        with mock.patch.object(turgo, "BIN", image.program(preload)):
            life = self.live(its_case, *flags, name=image.folder.name, **options)
        life.checkpoints = pathlib.Path(f"/proc/{life.run.pid}/root{image.folder}/state/checkpoints")
        return life

    def test_a_job_whose_machine_loses_power_again_and_again_loses_and_doubles_nothing(self):
        seed = turgo.fresh_seeds(1)[0]
        begun = time.monotonic()
        names = ("power losses", "power losses behind a new checkpoint", "starts from a checkpoint", "checkpoints",
                 "checkpoints compared with the model", "inputs")
        while self.tally["power losses"] < LOSSES or not all(self.tally[name] for name in names):
            number = self.tally["inputs"]
            self.assertLess(number, 10 + LOSSES, f"TG_SEED={seed}: {self.tally}")
            self.go_through(random.Random(seed + number), recovery.case(seed + number // 6, RECORDS), f"power-{number}", f"TG_SEED={seed} input {number}")
            self.tally["inputs"] += 1
        print(f"({'; '.join(f'{self.tally[name]} {name}' for name in names)}; {time.monotonic() - begun:.0f} s) ", end="", flush=True)

    def go_through(self, chance, its_case, name, where):
        image = Image(f"{name}.image", its_case.folder / name, chance.choice(MOUNT_OPTIONS))
        image.make()
        outputs = chance.choice(("sqlite", "file"))
        where = f"{where} {outputs} {image.options}"
        acknowledged = newest = 0
        self.compared = set()
        for number in range(self.LIVES_MAX):
            flags = ("--shards", chance.randrange(1, 5), "--poll-size", chance.choice((1, 1, 7)), "--io", chance.choice(("uring", "epoll")))
            life = self.start(its_case, image, *flags, outputs=outputs, every=chance.choice(("50ms", "20ms")))
            before = self.began(life, where)
            self.assertGreaterEqual(before, acknowledged, f"{where}, life {number}: a checkpoint that was acknowledged is gone")
            self.tally["starts from a checkpoint"] += before != 0
            self.let_live(chance, life, before)
            if not life.run.running():
                self.assertEqual(life.run.wait(), 0, f"{where}: {life.run.text()[-3000:]}")
                life.close()
                self.finish(its_case, image, life, where)
                self.tally["checkpoints"] += newest
                return
            acknowledged, newest = self.lose_power(its_case, image, life)
            self.tally["power losses"] += 1
            self.tally["power losses behind a new checkpoint"] += newest > before
        self.fail(f"{where}: not at the end after {self.LIVES_MAX} lives")

    def began(self, life, where):
        """The newest checkpoint a life found, as soon as its disk is there."""
        deadline = time.monotonic() + 60
        while life.run.running() and not life.checkpoints.parent.exists():  # state/ is in the image only
            self.assertLess(time.monotonic(), deadline, where)
            time.sleep(0.0005)
        life.run.send(signal.SIGSTOP)  # before it has had the time to make another
        newest = life.newest()
        life.run.send(signal.SIGCONT)
        return newest

    @staticmethod
    def let_live(chance, life, before):
        """Until some instant of a start, behind a new checkpoint, or anywhere. A life is held still again and again, so that checkpoints, made
        by the clock, fall into the middle of the input."""
        place = chance.choice(("start", "checkpoint", "checkpoint", "anywhere"))
        deadline = time.monotonic() + (chance.uniform(0, 0.08) if place == "start" else chance.uniform(0.1, 0.8) if place == "anywhere" else 5)
        pause = chance.choice((0.004, 0.01))
        while life.run.running() and time.monotonic() < deadline:
            if place == "checkpoint" and life.newest() > before:
                place, deadline = "anywhere", time.monotonic() + chance.uniform(0, 0.06)
            if chance.random() < 0.02:  # the kernel writes by itself, too
                subprocess.run(["sync", "-f", life.checkpoints.parent], check=False, capture_output=True)
            life.run.send(signal.SIGSTOP)
            time.sleep(pause)
            life.run.send(signal.SIGCONT)
            time.sleep(chance.uniform(0, 0.004))

    def lose_power(self, its_case, image, life):
        """Numbers of the newest acknowledged and the newest visible checkpoint at that instant; the image is then what was on the disk."""
        life.run.send(signal.SIGSTOP)
        wrong, looked = check_directory(life.checkpoints, its_case.oracle, self.compared)
        self.assertEqual(wrong[:5], [], its_case.seed)
        self.tally["checkpoints compared with the model"] += len(looked)
        acknowledged = max(recovery.numbers_of(life.checkpoints, "ACK-"), default=0)
        newest = life.newest()
        self.compared = {epoch for epoch in self.compared.union(looked) if epoch <= acknowledged}  # others may be taken back
        left = image.cut()
        life.run.kill()
        life.close()
        left.replace(image.path)
        return acknowledged, newest

    def finish(self, its_case, image, life, where):
        kept = its_case.folder / f"{image.folder.name}-read"
        image.read_out(kept)
        life.out = kept / "out"
        self.assert_result(its_case, life, where)
        image.path.unlink()
        shutil.rmtree(kept)

    def test_syncs_that_do_nothing_are_noticed(self):
        if shutil.which("cc") is None:
            self.skipTest("there is no compiler")
        library = images / "no_sync.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=NO_SYNC, text=True, check=True)
        its_case = recovery.case(turgo.fresh_seeds(1)[0], RECORDS)
        image = Image("unsynced.image", its_case.folder / "unsynced", "loop")
        image.make()
        life = self.start(its_case, image, "--poll-size", 1, "--shards", 2, preload=library, every="10ms", outputs="file")
        recovery.wait_for_checkpoint(life, 2)
        self.compared = set()
        acknowledged, _ = self.lose_power(its_case, image, life)
        self.assertGreaterEqual(acknowledged, 1)
        again = self.start(its_case, image, "--poll-size", 1, outputs="file")
        self.assertLess(self.began(again, "unsynced"), acknowledged)


if __name__ == "__main__":
    unittest.main()
