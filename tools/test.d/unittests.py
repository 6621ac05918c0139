"""`python -m unittest` that also says how long each test took: `took 12.3 s NAME` behind each one that was not skipped."""

import sys
import time
import unittest


class TimedResult(unittest.TextTestResult):
    def startTest(self, test):
        super().startTest(test)
        self.begun = time.monotonic()

    def addSuccess(self, test):
        super().addSuccess(test)
        self.stream.writeln(f"took {time.monotonic() - self.begun:.1f} s {test.id()}")


if __name__ == "__main__":
    sys.path.insert(0, "")  # as -m has it
    unittest.main(module=None, argv=["unittest", *sys.argv[1:]], testRunner=unittest.TextTestRunner(resultclass=TimedResult, verbosity=2))
