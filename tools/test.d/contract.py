"""Gives the contract suites what they need on the real servers: a filled topic to read, names of their own to write to."""

import pathlib
import random
import subprocess
import tempfile
import time

PARTITIONS = 4  # the first one stays empty


def values(chance, count):
    """Mostly short records, some longer than a source's usual buffer slice, some tombstones."""
    for number in range(count):
        dice = chance.random()
        size = 0 if dice < 0.01 else chance.randrange(1, 20_000) if dice < 0.03 else chance.randrange(1, 200)
        yield bytes(97 + (number + at) % 26 for at in range(size))


def make_targets(root, brokers, out):
    """Names of this run, as the environment of the suites; the source's topic is filled and not written to again. Logs to `out`."""
    run = f"{int(time.time()):x}{random.SystemRandom().randrange(1 << 16):04x}"
    source = f"turgo_contract_source_{run}"
    subprocess.run([root / "tools/services", "topic", source, str(PARTITIONS)], check=True, stdout=out, stderr=out)
    chance = random.Random(99)
    with tempfile.TemporaryDirectory(prefix="turgo-contract-") as folder:
        path = pathlib.Path(folder) / "values"
        for partition in range(1, PARTITIONS):
            path.write_bytes(b"".join(b"key\t" + value + b"\n" for value in values(chance, 1500 * partition)))
            subprocess.run(["kcat", "-P", "-K", "\t", "-Z", "-b", brokers, "-t", source, "-p", str(partition), "-X", "enable.idempotence=true",
                            "-X", "linger.ms=50", "-l", path], check=True, stdout=out, stderr=out)
    # The sinks make their own topic and table: that is part of their contract.
    return {"TURGO_KAFKA_SOURCE_TOPIC": source, "TURGO_KAFKA_TOPIC": f"turgo_contract_{run}", "TURGO_CASSANDRA_TABLE": f"turgo_contract.rows_{run}"}
