# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a node: ``python -m quantv2x_ros.nodes encoder --ros-args …``."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from quantv2x_ros.graph.graph import EXECUTABLES
from quantv2x_ros.nodes import entry

#: Process id of the parent that this process is not to survive.
PARENT_VARIABLE = "QUANTV2X_PARENT_PID"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def follow_parent() -> None:
    """Ask Linux to interrupt this process when its parent dies, for whatever reason."""
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != int(parent):  # it died before
        sys.exit(0)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in EXECUTABLES:
        sys.exit(f"usage: python -m quantv2x_ros.nodes {{{','.join(EXECUTABLES)}}} [--ros-args …]")
    follow_parent()
    sys.exit(getattr(entry, sys.argv.pop(1))())
