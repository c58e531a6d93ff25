# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs `colcon test`, prints the results, and fails unless tests ran and passed.

colcon hides failures: `colcon test` exits with 0 on them, `colcon test-result` also counts what
earlier runs have left, and no test at all is a success to both. Arguments go on to pytest.

Files of tests run side by side, one on each of up to four cores; `-n 0` runs them one after the
other.
"""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from packages import COLCON
from steps import ROOT

#: A worker takes about 2 GiB of memory.
MOST_WORKERS = 4


def side_by_side(arguments: list[str]) -> list[str]:
    """Returns pytest's options for tests side by side; none where the arguments choose."""
    if any(argument.startswith(("-n", "--numprocesses", "--dist")) for argument in arguments):
        return []
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    # in the order of test/conftest.py, the longest first
    return ["-n", str(workers), "--dist", "loadfile", "--no-loadscope-reorder"]


def colcon(*arguments: str) -> int:
    """Runs colcon with its output on the terminal, and returns its exit status."""
    return subprocess.run([sys.executable, "-c", COLCON, *arguments], cwd=ROOT).returncode


def count(result_files: list[Path]) -> dict[str, int]:
    """Counts the test cases of JUnit files by outcome."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for path in result_files:
        for case in ElementTree.parse(path).iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                counts["failed"] += 1
            elif case.find("skipped") is not None:
                counts["skipped"] += 1
            else:
                counts["passed"] += 1
    return counts


def main(pytest_arguments: list[str]) -> int:
    """Runs the tests of both packages.

    Returns:
        The exit status: 0 where at least one test ran and none failed.
    """
    for path in ROOT.glob("build/*/pytest.xml"):
        path.unlink()
    pytest = ["--pytest-args", "-rs", *side_by_side(pytest_arguments), *pytest_arguments]
    ran = colcon("test", "--event-handlers", "console_direct+", *pytest)
    listed = colcon("test-result", "--verbose")
    counts = count(sorted(ROOT.glob("build/*/pytest.xml")))
    print(", ".join(f"{number} {outcome}" for outcome, number in counts.items()), flush=True)
    if counts["passed"] + counts["failed"] == 0:
        print("error: no test ran; see the output of colcon test above.", file=sys.stderr)
        return 1
    return 1 if ran or listed or counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
