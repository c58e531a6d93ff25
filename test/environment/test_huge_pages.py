# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What nodes and measurements allocate comes in huge pages, unless the user says otherwise."""

from __future__ import annotations

import subprocess
import sys

import pytest

from quantv2x_ros.benchmark.settings import BenchmarkSettings
from quantv2x_ros.environment.huge_pages import HUGE_PAGES
from quantv2x_ros.graph.processes import node_environment

#: Prints the flags of the mapping of 64 MB from malloc: hg where huge pages are asked for.
_FLAGS = """
import ctypes, re
malloc = ctypes.CDLL(None).malloc
malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
address, found = malloc(64 << 20), False
for line in open("/proc/self/smaps"):
    if span := re.match("([0-9a-f]+)-([0-9a-f]+) ", line):
        found = int(span[1], 16) <= address < int(span[2], 16)
    if found and line.startswith("VmFlags:"):
        print(line)
"""


def flags(environment: dict[str, str]) -> list[str]:
    """Flags of a large allocation of a process."""
    command = [sys.executable, "-c", _FLAGS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()[1:]


def test_a_large_allocation_asks_for_huge_pages():
    if sys.platform != "linux":
        pytest.skip("glibc on Linux alone has the tunable")
    plain = flags({})
    if not plain:
        pytest.skip("this kernel does not tell the flags of a mapping")
    assert "hg" not in plain
    assert "hg" in flags(HUGE_PAGES)


@pytest.mark.parametrize("name", ["node", "benchmark"])
def test_a_value_of_the_user_is_kept(name, monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=0")
    environment = (
        node_environment({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"})
        if name == "node"
        else BenchmarkSettings("x").environment()
    )
    assert environment["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=0"
    monkeypatch.delenv("GLIBC_TUNABLES")
    environment = node_environment({}) if name == "node" else BenchmarkSettings("x").environment()
    assert environment["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"
