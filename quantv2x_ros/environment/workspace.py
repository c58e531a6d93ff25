# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Brings a plain Python of the checkout into the environment of the built workspace."""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: Set where the workspace has been sourced by this module, so that it happens once.
_SOURCED = "QUANTV2X_SOURCED"
# Values inherited without their library path would keep rclpy from being found.
_SCRIPT = """
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE
[ -f "$0/.venv/setup.bash" ] && source "$0/.venv/setup.bash"
source "$0/install/setup.bash" && exec "$@"
"""


class WorkspaceError(ValueError):
    """ROS 2 or the messages cannot be imported, and cannot be found either."""


def missing() -> str:
    """Return what cannot be imported: empty where ROS 2 and the messages are there."""
    try:
        import rclpy  # noqa: F401
    except ImportError as error:
        return f"rclpy ({error})"
    try:
        from quantv2x_msgs.msg import BevIndices  # noqa: F401
    except ImportError as error:
        return f"quantv2x_msgs ({error})"
    return ""


def enter_workspace() -> None:
    """Return where ROS 2 is at hand; else start this program again with the workspace sourced.

    Raises:
        WorkspaceError: where there is no built workspace, or sourcing it did not help.
    """
    lacking = missing()
    if not lacking:
        return
    root = Path(__file__).resolve().parents[2]
    if os.environ.get(_SOURCED) or not (root / "install" / "setup.bash").is_file():
        raise WorkspaceError(
            f"cannot import {lacking}: run `make demo`, which prepares everything, or source a "
            "workspace in which this package is built"
        )
    environment = {**os.environ, _SOURCED: "1"}
    command = [sys.executable, "-m", "quantv2x_ros", *sys.argv[1:]]
    os.execvpe("bash", ["bash", "-c", _SCRIPT, str(root), *command], environment)
