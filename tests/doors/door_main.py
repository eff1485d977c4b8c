"""main() of the tests of the doors: runs unittest and writes what ran as GTEST_OUTPUT asks, so that
each test is counted. Exit 1 if one failed, 77 if all were skipped."""

import os
import sys
import unittest
import xml.etree.ElementTree as xml


class _Result(unittest.TextTestResult):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.cases = []

    def _add(self, test, tag=None, words=""):
        kind, _, name = test.id().rpartition(".")
        case = xml.Element(
            "testcase", classname=kind.replace("__main__.", ""), name=name, status="run"
        )
        if tag:
            xml.SubElement(case, tag, message=words)
        self.cases.append(case)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._add(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._add(test, "failure", str(err[1]))

    def addError(self, test, err):
        super().addError(test, err)
        self._add(test, "failure", str(err[1]))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._add(test, "skipped", reason)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._add(test, "failure", f"{subtest}: {err[1]}")


def main():
    runner = unittest.TextTestRunner(resultclass=_Result, verbosity=2)
    result = unittest.main(exit=False, testRunner=runner).result
    output = os.environ.get("GTEST_OUTPUT", "")
    if output.startswith("xml:"):
        suite = xml.Element("testsuite")
        suite.extend(result.cases)
        os.makedirs(os.path.dirname(output[4:]), exist_ok=True)
        xml.ElementTree(suite).write(output[4:], encoding="unicode")
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if result.testsRun == len(result.skipped) else 0)
