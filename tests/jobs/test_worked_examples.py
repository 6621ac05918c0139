"""The definition's worked lines and edges, on the engine."""

import pathlib
import tempfile
import unittest

from tests.jobs import turgo
from tests.model import definition
from tests.model.purchase_count import TOPIC, Params


class OnEngine:
    """Runs the job over files, with two shards and one record a poll: nothing may depend on what shares a batch."""

    FLAGS = ("--shards", "2", "--poll-size", "1")

    def job(self, partitions, params=Params()):
        with tempfile.TemporaryDirectory(prefix="turgo-example-") as folder:
            topic = pathlib.Path(folder) / "in" / TOPIC
            topic.mkdir(parents=True)
            for number, values in partitions.items():
                (topic / f"p{number}.jsonl").write_bytes(b"".join(value + b"\n" for value in values))
            code, text, report = turgo.replay(folder, params, *self.FLAGS)
            if code == 70 and "TG1603" in text:
                raise OverflowError(text)
            self.assertEqual(code, 0, text)
            result = turgo.read_result(pathlib.Path(folder) / "out")
            result.records, result.duplicates, result.ignored = (
                report[name] for name in ("records_in", "records_duplicate", "records_ignored"))
            return result


class Worked(OnEngine, definition.Worked, unittest.TestCase):
    pass


class Edges(OnEngine, definition.Edges, unittest.TestCase):
    pass


class Revisions(OnEngine, definition.Revisions, unittest.TestCase):
    pass


class WholeBatches(OnEngine, definition.Edges, unittest.TestCase):
    """The same edges when all records come in one poll on one shard."""

    FLAGS = ("--shards", "1", "--poll-size", "1024")


if __name__ == "__main__":
    unittest.main()
