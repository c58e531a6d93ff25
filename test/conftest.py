# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What all tests share: the data beside the repository, and a ROS graph of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# Node processes of a test must neither meet another run's nor a robot's on the network. Domains 0
# to 101 are usable on every platform; 0 is the default one, and so left alone.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 101)
if os.environ.get("ROS_DISTRO") == "humble":
    os.environ["ROS_LOCALHOST_ONLY"] = "1"  # Humble does not know the variable below.
else:
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


@pytest.fixture(scope="session")
def repository() -> Path:
    """Returns the repository's root."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Returns the folder of golden data and real sweeps, which is not part of the repository.

    It lies beside the repository's root, or where QUANTV2X_SHARED says; tests that need it skip
    where it is absent.
    """
    folder = Path(os.environ.get("QUANTV2X_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}: golden data and real sweeps (QUANTV2X_SHARED) are absent")
    return folder
