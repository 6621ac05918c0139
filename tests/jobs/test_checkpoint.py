"""turgo checkpoint: list, verify and dump against the stored directories of every format.

TURGO_BIN names the command; default: build/release/turgo.
"""

import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import unittest

from tests.jobs.checkpoint_bytes import facts, resealed, ticks_log

ROOT = pathlib.Path(__file__).resolve().parents[2]
TURGO = os.environ.get("TURGO_BIN", str(ROOT / "build/release/turgo"))
DATA = ROOT / "tests/data/checkpoint"
V1 = DATA / "v1"


class Checkpoint(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="turgo-checkpoint-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.copy = self.folder / "checkpoints"
        shutil.copytree(V1, self.copy)

    def turgo(self, code, *arguments, cwd=ROOT):
        done = subprocess.run([TURGO, "checkpoint", *map(str, arguments)], cwd=cwd, timeout=120, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}{done.stderr}")
        return done

    def flip(self, name, at):
        data = bytearray((self.copy / name).read_bytes())
        data[at] ^= 0x40
        (self.copy / name).write_bytes(data)

    def test_list_shows_newest_first(self):
        lines = self.turgo(0, "list", "--dir", V1).stdout.splitlines()
        self.assertEqual(lines[0].split(), "EPOCH TIME KIND FILES BYTES KEYS RECORDS TICKS AGE ACKED STATE".split())
        rows = [line.split() for line in lines[1:]]
        sizes = [sum(path.stat().st_size for path in V1.glob(pattern)) for pattern in ("e*/s*", "e1/s*")]
        self.assertEqual(rows[0][:8], ["2", "2024-05-11T10:00:20Z", "base+1", "4", str(sizes[0]), "<=18", "17", "0"])
        self.assertEqual(rows[0][9:], ["no", "complete"])
        self.assertEqual(rows[1][:8], ["1", "2024-05-11T10:00:10Z", "base", "2", str(sizes[1]), "14", "17", "0"])
        self.assertEqual(rows[1][9:], ["yes", "complete"])
        self.assertRegex(rows[0][8], r"^\d+d")
        self.assertEqual(len(self.turgo(0, "list", "--dir", V1, "1").stdout.splitlines()), 2)

    def test_looking_changes_nothing(self):
        before = sorted(str(path) for path in self.copy.rglob("*"))
        for action in ("list", "verify", "dump"):
            self.turgo(0, action, "--dir", self.copy)
        self.assertEqual(before, sorted(str(path) for path in self.copy.rglob("*")))

    def test_list_says_what_is_damaged_or_not_complete(self):
        (self.copy / "e9").mkdir()
        self.flip("MANIFEST-1", 30)
        (self.copy / "e2/s1.delta").unlink()
        lines = self.turgo(65, "list", "--dir", self.copy).stdout.splitlines()
        self.assertIn("TG1512 e2/s1.delta is missing", lines[1])
        self.assertIn("TG1512 MANIFEST-1: wrong checksum of the manifest at byte ", lines[2])
        self.assertEqual(lines[3].split(), ["9", "not", "complete"])

    def test_list_reads_no_blocks_and_verify_does(self):
        self.flip("e1/s0.base", (V1 / "e1/s0.base").stat().st_size // 2)
        for line in self.turgo(0, "list", "--dir", self.copy).stdout.splitlines()[1:]:
            self.assertEqual(line.split()[10], "complete")
        for epoch in (1, 2):
            done = self.turgo(65, "verify", "--dir", self.copy, epoch)
            self.assertRegex(done.stderr, r"^error TG1512 e1/s0\.base: wrong checksum of a block at byte \d+ ")
        help_text = subprocess.run([TURGO, "checkpoint", "--help"], capture_output=True, text=True, check=True).stdout
        self.assertRegex(" ".join(help_text.split()), "which only verify does")

    def test_list_and_verify_know_of_a_manifest_that_is_gone(self):
        (self.copy / "MANIFEST-2").unlink()
        self.assertEqual(self.turgo(0, "list", "--dir", self.copy).stdout.splitlines()[2].split(), ["2", "not", "complete"])
        (self.copy / "ACK-2").write_text("committed 1\n")
        lines = self.turgo(65, "list", "--dir", self.copy).stdout.splitlines()
        self.assertEqual(lines[1].split(), ["2", *["-"] * 8, "yes", "TG1512", "MANIFEST-2", "is", "missing"])
        self.assertEqual(lines[2].split()[0], "1")
        self.assertIn("error TG1512 MANIFEST-2 is missing", self.turgo(65, "verify", "--dir", self.copy).stderr)
        self.assertIn("checkpoint 1: 2 files", self.turgo(0, "verify", "--dir", self.copy, "1").stdout)

    def test_verify_reads_every_byte(self):
        size = sum(path.stat().st_size for path in V1.glob("e*/s*"))
        self.assertEqual(self.turgo(0, "verify", "--dir", V1).stdout,
                         f"ok  checkpoint 2: 4 files, {size} bytes, 18 entries, 2 removals\n"
                         "ok  17 records = 15 accepted + 0 dead + 2 late + 0 duplicates, in every partition and step\n")
        self.assertIn("checkpoint 1: 2 files", self.turgo(0, "verify", "--dir", V1, "1").stdout)
        names = ["e1/s0.base", "e1/s1.base", "e2/s0.delta", "e2/s1.delta", "MANIFEST-2"]
        for name in names:
            for at in range(0, (V1 / name).stat().st_size, 97):
                self.flip(name, at)
                done = self.turgo(65, "verify", "--dir", self.copy)
                self.assertRegex(done.stderr, rf"^error TG1512 {name}: .* at byte \d+ ")
                self.assertEqual(done.stdout, "")
                self.flip(name, at)

    def test_list_and_verify_count_the_ticks_that_would_act_again(self):
        of = facts((V1 / "MANIFEST-2").read_bytes())
        late = 1715421600 * 1000000 + 3600 * 1000000
        ticks = [(0, 0, 16, late, late), (0, 0, 17, late, late), (0, 0, 17, late + 1, late), (0, 0, 19, late + 2, late)]
        log = ticks_log(of, ticks)  # the first one is held, the third has overtaken the second
        (self.copy / "ticks.log").write_bytes(log)
        for line in self.turgo(0, "list", "--dir", self.copy).stdout.splitlines()[1:]:
            self.assertEqual(line.split()[7], "2")
        self.assertIn(f"ok  ticks.log: {len(log)} bytes, 4 ticks, 2 of them behind the checkpoint",
                      self.turgo(0, "verify", "--dir", self.copy).stdout)
        own = f"ticks-{of.run_id.hex()}.log"  # of a run that came by a restore: the other one does not count
        (self.copy / own).write_bytes(ticks_log(of, ticks[:2]))
        self.assertEqual(self.turgo(0, "list", "--dir", self.copy, "2").stdout.splitlines()[1].split()[7], "1")
        self.assertIn(f"ok  {own}: ", self.turgo(0, "verify", "--dir", self.copy).stdout)

    def test_a_damaged_log_of_ticks_is_said_with_its_place(self):
        of = facts((V1 / "MANIFEST-2").read_bytes())
        log = ticks_log(of, [(0, 0, 20 + i, 1715421600 * 1000000 + i, 0) for i in range(3)])
        for at in (8, 30, len(log) - 130, len(log) - 70):  # header, frames 1 and 2; a broken last one may be torn
            (self.copy / "ticks.log").write_bytes(log)
            self.flip("ticks.log", at)
            done = self.turgo(65, "verify", "--dir", self.copy)
            self.assertRegex(done.stderr, r"^error TG1512 ticks\.log: .* at byte \d+ ")
            for line in self.turgo(65, "list", "--dir", self.copy).stdout.splitlines()[1:]:
                self.assertEqual(line.split()[7], "-")
                self.assertRegex(line, r"TG1512 ticks\.log: .* at byte \d+$")
        (self.copy / "ticks.log").write_bytes(ticks_log(of._replace(run_id=bytes(16)), []))
        self.assertIn("TG1512 ticks.log is of another run than checkpoint 2", self.turgo(65, "verify", "--dir", self.copy).stderr)

    def test_dump_prints_what_it_always_printed(self):
        for arguments, golden in (((), "v1.dump.jsonl"), (("--resolved",), "v1.resolved.jsonl")):
            done = self.turgo(0, "dump", "--dir", V1, *arguments)
            self.assertEqual(done.stdout, (DATA / golden).read_text())

    def test_dump_begins_with_what_the_manifest_says(self):
        lines = [json.loads(line) for line in (DATA / "v1.dump.jsonl").read_text().splitlines()]
        self.assertEqual(lines[0], {"job": "golden", "checkpoint": 2, "created": "2024-05-11T10:00:20Z", "shards": 2})
        self.assertEqual({name: lines[1][name] for name in ("source", "partition", "next_offset", "records", "late", "accepted")},
                         {"source": "tx", "partition": 0, "next_offset": 17, "records": 17, "late": 2, "accepted": 15})
        self.assertEqual(lines[3], {"step": "counts", "partition": 0, "clock": "2024-05-11T09:59:54Z", "applied": 12, "ignored": 2, "refused": 1,
                                    "sum": 0xFEDCBA9876543210 - (1 << 64), "squares": 0x0123456789ABCDEF})
        self.assertEqual(lines[5], {"step": "counts", "job_clock": "-infinity"})

    def test_verify_says_which_counts_do_not_add_up(self):
        data = bytearray((self.copy / "MANIFEST-2").read_bytes())
        counts = struct.pack("<4Q", 17, 0, 2, 0)  # records, dead letters, late records, duplicates
        self.assertEqual(data.count(counts), 1)
        data[data.index(counts) + 24] = 1
        (self.copy / "MANIFEST-2").write_bytes(resealed(data))
        done = self.turgo(65, "verify", "--dir", self.copy)
        self.assertIn("error TG1529 checkpoint 2: source tx, partition 0: 17 records, but 15 accepted, 0 dead, 2 late (0 for some steps only), 1 duplicates",
                      done.stderr)

    def test_resolved_is_the_last_word_on_each_key(self):
        entries = {}
        for line in (DATA / "v1.dump.jsonl").read_text().splitlines():
            record = json.loads(line)
            if "key" not in record:
                continue
            key = (record.get("step"), record.get("source"), record["state"], json.dumps(record["key"]))
            entries[key] = record.get("value")
        wanted = {key: value for key, value in entries.items() if value is not None}
        self.assertEqual(len(wanted), 13)
        found = {}
        for line in (DATA / "v1.resolved.jsonl").read_text().splitlines():
            record = json.loads(line)
            if "key" not in record:
                continue
            key = (record.get("step"), record.get("source"), record["state"], json.dumps(record["key"]))
            self.assertNotIn(key, found)
            found[key] = record["value"]
        self.assertEqual(found, wanted)

    def test_a_damaged_entry_ends_the_dump_with_an_error(self):
        self.flip("e1/s1.base", 1200)
        done = self.turgo(65, "dump", "--dir", self.copy)
        self.assertIn("error TG1512 e1/s1.base: ", done.stderr)
        for line in done.stdout.splitlines():
            json.loads(line)

    def test_a_job_file_names_the_directory(self):
        (self.folder / "job.yaml").write_text((ROOT / "jobs/purchase_count.yaml").read_text())
        arguments = (self.folder / "job.yaml", "--profile", "dev", "--set", f"state_dir={self.folder}")
        self.assertIn("checkpoint 2: 4 files", self.turgo(0, "verify", *arguments).stdout)
        self.assertIn("checkpoint 1: 2 files", self.turgo(0, "verify", *arguments, "1").stdout)
        self.assertIn("TG1008", self.turgo(66, "list", self.folder / "none.yaml").stderr)

    def test_nothing_there_is_66(self):
        (self.folder / "empty").mkdir()
        for directory in ("empty", "none"):
            done = self.turgo(66, "list", "--dir", self.folder / directory)
            self.assertRegex(done.stderr, f"error TG1520 no checkpoint in .*/{directory}  exit 66")
        (self.folder / "empty" / "RESTORING").touch()
        self.assertIn("/empty: a restore into it has not ended", self.turgo(66, "list", "--dir", self.folder / "empty").stderr)
        self.assertIn("TG1520 no checkpoint 3 in ", self.turgo(66, "verify", "--dir", V1, "3").stderr)
        self.assertIn("TG1511", self.turgo(74, "list", "--dir", V1 / "ACK-1").stderr)

    def test_a_newer_format_is_named(self):
        data = bytearray((self.copy / "MANIFEST-2").read_bytes())
        data[8:10] = struct.pack("<H", 2)
        (self.copy / "MANIFEST-2").write_bytes(resealed(data))
        self.assertIn("TG1513 MANIFEST-2 has format 2, this turgo reads up to 1", self.turgo(78, "dump", "--dir", self.copy).stderr)


if __name__ == "__main__":
    unittest.main()
