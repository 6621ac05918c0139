"""Readers that look at a job's outputs while it is killed again and again: what they saw once is never taken back."""

import pathlib
import sqlite3
import threading


class TableReader:
    """Looks at the SQLite table: no row goes away, no version falls, and one version has one content."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder) / "counts.db"
        self.seen = {}  # user -> (version, rest of the row)
        self.looks = 0

    def look(self):
        """What is wrong with the table as it is now."""
        if not self.path.exists():
            return []
        database = sqlite3.connect(self.path, timeout=0.2)
        try:
            rows = {user: (version, rest) for user, version, *rest in
                    database.execute('SELECT "userId", "_version", "purchaseCount", "eventTimestamp", "isTimeout" FROM counts')}
        except sqlite3.OperationalError:  # no table yet, or the log is being recovered: nothing was read
            return []
        finally:
            database.close()
        self.looks += 1
        wrong = [f"user {user!r} is gone" for user in self.seen.keys() - rows.keys()]
        for user, (version, rest) in rows.items():
            before = self.seen.get(user, (version, rest))
            if version < before[0] or (version == before[0] and rest != before[1]):
                wrong.append(f"user {user!r} was {before[1]} at version {before[0]}, is {rest} at {version}")
        self.seen = rows
        return wrong


class FileReader:
    """Looks at a file of rows under its final name: it never gets shorter, and whatever it once ended with stays where it was."""

    TAIL = 256

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.tails = {}  # size -> the last bytes below it
        self.looks = 0

    def look(self):
        try:
            with open(self.path, "rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - self.TAIL))
                tail = file.read(size - max(0, size - self.TAIL))
        except FileNotFoundError:
            return []
        self.looks += 1
        longest = max(self.tails, default=0)
        if size < longest:
            return [f"{self.path.name} has {size} bytes, and had {longest} before"]
        before = self.tails.setdefault(size, tail)
        return [] if before == tail else [f"{self.path.name} ended otherwise at {size} bytes before"]

    def compare_with_the_end(self):
        """What was seen on the way is where it was in the file as it is now."""
        data = self.path.read_bytes() if self.path.exists() else b""
        return [f"{self.path.name}: what was below byte {size} is no longer there" for size, tail in self.tails.items()
                if data[max(0, size - self.TAIL):size] != tail]


class Watch(threading.Thread):
    """A reader in a thread of its own, until it is stopped."""

    def __init__(self, reader, every=0.01):
        super().__init__(daemon=True)
        self.reader, self.every = reader, every
        self.wrong = []
        self.over = threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set() and not self.wrong:
            try:
                self.wrong = self.reader.look()
            except Exception as error:  # a broken reader is a failed test
                self.wrong = [f"{type(error).__name__}: {error}"]
            self.over.wait(self.every)

    def stop(self):
        """What was wrong, with a last look at the end."""
        self.over.set()
        self.join()
        wrong = self.wrong or self.reader.look()
        if isinstance(self.reader, FileReader):
            wrong = wrong or self.reader.compare_with_the_end()
        return wrong
